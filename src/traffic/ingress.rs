//! Calls through ingress proxies: caller ─► proxy ─► pod.
//!
//! ```text
//! call ─► proxy (outside, or a pod that serves it first) ─► upstream call ─► pod
//!                       ▲                                        │ fails
//!                       └────────── next pod, as tries allow ◄───┘
//! ```
//!
//! The proxy's call to the pod is a call like any other, whose client is the proxy: its kept
//! connections, its time-outs, its next tries. It is not recorded: what the caller gets is the
//! proxy's answer, 502 to 504 with the cause of the last try, 404 where no path takes the call.
//! Which paths and pods a proxy knows is [`IngressProxy`]'s.
//!
//! Differs: which process of a proxy takes a call is drawn for each call; what a process from before
//! a reload tries next it takes from the new endpoints.
//!
//! Source: ingress-nginx, nginx's `proxy_next_upstream` (rules N180, N184, N473).

use crate::base::dist::mix;
use crate::base::{LookupMap, SimTime, Slots, cast};
use crate::cluster::Cluster;
use crate::event::{CallId, CallRef, IngressStep, TrafficEvent};
use crate::model::{
    Finds, IngressBalance, IngressPlace, IngressPort, IngressSpec, NodeId, PodId, PodRef,
};
use crate::network::ingress::{IngressProxy, News, Route, true_route};
use crate::network::rules::one_of;
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::call::{ClientId, NO_POD};
use super::clients::ClientState;
use super::ends::End;
use super::mesh::is_sidecar;
use super::route::{high, low};
use super::{Call, Caller, Purpose, Stage, Traffic, event};

/// The slot that stands for all proxies outside the cluster; a proxy's number is its life.
const OUTSIDE: PodId = PodId::new(u32::MAX - 1);

/// Whether this stands for a proxy that is no pod: one outside the cluster, or of a mesh.
#[inline]
pub(super) const fn is_proxy(pod: PodRef) -> bool {
    is_outside(pod) || is_sidecar(pod)
}

/// Whether this stands for a proxy outside the cluster.
const fn is_outside(pod: PodRef) -> bool {
    pod.id.number() == OUTSIDE.number()
}

/// The client of the call for which a proxy makes this one.
pub(super) fn caller_of(call: &Call, calls: &Slots<CallId, Call>) -> ClientId {
    let parent = match call.caller {
        Caller::Call(parent) => calls.get(parent),
        Caller::Source(..) | Caller::Probe(_) => None,
    };
    parent.map_or(call.client, |parent| parent.client)
}

/// All ingress proxies.
#[derive(Debug)]
pub(super) struct Ingress {
    spec: IngressSpec,
    client: ClientId,
    seed: u64,
    proxies: Vec<Proxy>,
    by_pod: LookupMap<PodRef, u32>,
}

#[derive(Debug)]
struct Proxy {
    pod: PodRef,
    is_there: bool,
    view: IngressProxy,
}

impl Ingress {
    pub(super) fn new(spec: &IngressSpec) -> Self {
        let spec = spec.clone();
        Self { spec, client: 0, seed: 0, proxies: Vec::new(), by_pod: LookupMap::new() }
    }

    /// Whether proxies choose pods themselves.
    pub(super) fn balances(&self) -> bool {
        self.spec.finds != Finds::Service
    }

    /// The proxy outside the cluster that a call goes to, if that is where it goes.
    #[inline]
    pub(super) fn outside(&self, call: &Call, word: u64) -> Option<PodRef> {
        let IngressPlace::Outside(count) = self.spec.place else { return None };
        let number = || one_of(high(mix(word)), cast::usize_of(count));
        call.is_proxied().then(|| PodRef { id: OUTSIDE, life: cast::u32_of(number()) })
    }

    /// The number of the proxy in a pod, or of one outside.
    fn number(&mut self, pod: PodRef, cluster: &Cluster) -> u32 {
        if is_outside(pod) {
            return pod.life;
        }
        let Self { by_pod, proxies, seed, .. } = self;
        if let Some(number) = by_pod.get(&pod) {
            return *number;
        }
        let number = cast::u32_of(proxies.len());
        proxies.push(Proxy {
            pod,
            is_there: true,
            view: IngressProxy::new(number, *seed, cluster),
        });
        by_pod.insert(pod, number);
        number
    }

    /// A pod is gone, and the proxy in it.
    pub(super) fn forget(&mut self, pod: PodRef) {
        if let Some(number) = self.by_pod.remove(&pod) {
            self.proxies[cast::usize_of(number)].is_there = false;
        }
    }
}

impl Traffic {
    /// The proxies are there if somebody calls through them.
    pub(super) fn begin_ingress(&mut self, cluster: &Cluster, ctx: &Ctx<'_>) {
        if !self.sources.iter().any(super::Source::is_proxied) {
            return;
        }
        let client = ClientState::of_proxy(self.ingress.spec.client.clone());
        self.ingress.client = ClientId::try_from(self.clients.len()).expect("fewer than 2^16");
        self.clients.push(client);
        self.ingress.seed = mix(ctx.streams.seed ^ mix(u64::from(ctx.streams.replication)));
        if let IngressPlace::Outside(count) = self.ingress.spec.place {
            let seed = self.ingress.seed;
            let proxy = |life| {
                let pod = PodRef { id: OUTSIDE, life };
                Proxy { pod, is_there: true, view: IngressProxy::new(life, seed, cluster) }
            };
            self.ingress.proxies.extend((0..count).map(proxy));
        }
        self.lead_sources(cluster);
    }

    /// Endpoints, Services or Ingresses have changed.
    pub(super) fn ingress_hears(&mut self, news: News, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if news == News::Ingresses {
            self.lead_sources(cluster);
        }
        let Self { ingress: Ingress { spec, proxies, .. }, proxies: nodes, .. } = self;
        for (number, proxy) in (0..).zip(proxies).filter(|(_, proxy)| proxy.is_there) {
            if let Some(at) = proxy.view.hear(news, (spec, nodes), cluster, ctx.now()) {
                ctx.at(at, ingress_event(number, IngressStep::Look));
            }
        }
    }

    /// The calls of sources are about the Services to which Ingresses lead them now.
    fn lead_sources(&mut self, cluster: &Cluster) {
        for id in self.sources.ids() {
            let route = self.sources[id].request().map(|request| true_route(request, cluster));
            if let Some(Route::To(service, _)) = route {
                self.sources[id].is_led_to(service);
            }
        }
    }

    /// Something happens to a proxy.
    pub(super) fn ingress_step(
        &mut self,
        number: u32,
        step: IngressStep,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        let Ingress { spec, proxies, client, .. } = &mut self.ingress;
        let proxy = &mut proxies[cast::usize_of(number)];
        if !proxy.is_there {
            return;
        }
        match step {
            IngressStep::Look => {
                let looked = proxy.view.look(spec, &mut self.proxies, cluster, ctx.now());
                if let Some(at) = looked.next {
                    ctx.at(at, ingress_event(number, IngressStep::Look));
                }
                if let Some(at) = looked.reloads {
                    ctx.at(at, ingress_event(number, IngressStep::Reloaded));
                    let over = at.saturating_add(spec.drain);
                    if over < SimTime::MAX {
                        ctx.at(over, ingress_event(number, IngressStep::Drained));
                    }
                }
            }
            IngressStep::Reloaded => {
                for process in 0..spec.workers {
                    self.clients[usize::from(*client)].close_idle(number * spec.workers + process);
                }
            }
            IngressStep::Drained => self.processes_end(number, ctx),
        }
    }

    /// The processes from before a reload end, and what they still do with them.
    fn processes_end(&mut self, number: u32, ctx: &mut Ctx<'_>) {
        let pod = self.ingress.proxies[cast::usize_of(number)].pod;
        let reloaded = ctx.now().as_nanos().saturating_sub(self.ingress.spec.drain.as_nanos());
        let is_left = |call: &Call| {
            call.server == pod
                && call.is_proxied()
                && call.stage == Stage::Calling
                && call.began.as_nanos() < reloaded
        };
        let left = self.calls.iter().filter(|(_, call)| is_left(call));
        let left: Vec<CallId> = left.map(|(id, _)| id).collect();
        for id in left {
            let id = self.calls.refer(id);
            self.proxy_is_done(id, (Fate::Reset, Cause::CutByReload), ctx);
        }
    }

    /// A proxy has a call and makes its own.
    pub(super) fn call_upstream(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let call = &mut self.calls[id.id];
        if is_sidecar(call.server) {
            return self.call_from_sidecar(id, cluster, ctx);
        }
        let number = self.ingress.number(call.server, cluster);
        let workers = self.ingress.spec.workers;
        (call.stage, call.began, call.pending) = (Stage::Calling, ctx.now(), 1);
        let client = self.ingress.client;
        if let Err(cause) = self.find_backend(id, number, cluster, ctx.now()) {
            return self.proxy_is_done(id, (Fate::ServerError, cause), ctx);
        }
        let call = &mut self.calls[id.id];
        let luck = call.child_luck();
        let mut own = Call::new(Caller::Call(id), client, call.backend, ctx.now(), luck);
        let process = one_of(low(own.word(Purpose::Slot)), cast::usize_of(workers));
        own.place = number * workers + cast::u32_of(process);
        own.is_upstream = true;
        (own.is_idempotent, own.hold) = (call.is_idempotent, call.hold);
        own.priority = call.priority;
        self.attempt(&mut own, cluster, ctx);
    }

    /// The Service to which a proxy's configuration leads a call.
    fn find_backend(
        &mut self,
        id: CallRef,
        number: u32,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<(), Cause> {
        let Self { ingress, sources, calls, .. } = self;
        let call = &mut calls[id.id];
        let Caller::Source(source, _) = call.caller else { return Ok(()) };
        let Some(request) = sources[source].request() else { return Ok(()) };
        let view = &mut ingress.proxies[cast::usize_of(number)].view;
        match view.route(source, request, cluster, now) {
            Route::To(service, _) => {
                call.backend = service;
                Ok(())
            }
            Route::Nowhere | Route::NoPath => Err(match true_route(request, cluster) {
                Route::To(..) => Cause::StaleIngress,
                Route::Nowhere | Route::NoPath => Cause::NoRoute,
            }),
        }
    }

    /// Why a proxy has no pod for a call.
    #[cold]
    fn why_no_upstream(&self, call: &Call, cluster: &Cluster) -> Cause {
        let parent = match call.caller {
            Caller::Call(parent) => self.calls.get(parent),
            Caller::Source(..) | Caller::Probe(_) => None,
        };
        let request = parent.and_then(|parent| match parent.caller {
            Caller::Source(source, _) => self.sources[source].request(),
            Caller::Call(_) | Caller::Probe(_) => None,
        });
        let (service, port) = match request.map(|request| true_route(request, cluster)) {
            Some(Route::To(service, port)) => (service, port),
            Some(Route::Nowhere | Route::NoPath) => return Cause::NoRoute,
            None => (call.service, None),
        };
        let Some(row) = cluster.service(service) else { return Cause::NoRoute };
        let is_elsewhere = service != call.service;
        let has_port = port.is_none_or(|port| port.is_of(&row.spec));
        match row.endpoints.endpoints.iter().any(|e| e.ready) {
            _ if !has_port => Cause::NoRoute,
            true => Cause::StaleIngress,
            false if is_elsewhere => Cause::StaleIngress,
            false => Cause::NoReadyPod,
        }
    }

    /// Finds the pod whose turn it is, and a connection to it.
    pub(super) fn connect_upstream(
        &mut self,
        call: &mut Call,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<(), End> {
        let port = self.port_of(call, cluster, now);
        let Self { ingress: Ingress { spec, proxies, .. }, proxies: nodes, .. } = self;
        let view = &mut proxies[cast::usize_of(call.place / spec.workers)].view;
        let before = Some(std::mem::replace(&mut call.server, NO_POD)).filter(|p| *p != NO_POD);
        let process = (&*spec, call.place % spec.workers);
        let pod = view.next(process, (nodes, cluster), (call.service, port), before, now);
        let Some(pod) = pod else {
            let cause = self.why_no_upstream(call, cluster);
            return Err(End { fate: Fate::NoEndpoint, cause, at: now });
        };
        let client = &mut self.clients[usize::from(call.client)];
        let (settings, hop, servers) = (client.spec.connections, call.hop(), &self.servers);
        let verdict =
            |kept: &super::clients::Connection| servers.verdict(kept, &settings, hop, now);
        match client.take_idle_to(call.place, pod, verdict) {
            Some((kept, is_doomed)) => {
                (call.server, call.ages_at) = (pod, kept.ages_at);
                (call.is_kept, call.is_doomed) = (true, is_doomed);
            }
            None => self.opened(call, pod, NodeId::new(0), now),
        }
        Ok(())
    }

    /// The port to which a proxy's configuration leads a call.
    fn port_of(&mut self, call: &Call, cluster: &Cluster, now: SimTime) -> Option<IngressPort> {
        let Caller::Call(parent) = call.caller else { return None };
        let Self { ingress: Ingress { spec, proxies, .. }, sources, calls, .. } = self;
        let Caller::Source(source, _) = calls.get(parent)?.caller else { return None };
        let view = &mut proxies[cast::usize_of(call.place / spec.workers)].view;
        match view.route(source, sources[source].request()?, cluster, now) {
            Route::To(service, port) if service == call.service => port,
            Route::To(..) | Route::Nowhere | Route::NoPath => None,
        }
    }

    /// The last try of a proxy's call has ended: how long its pod took counts where proxies look at
    /// that.
    #[inline]
    pub(super) fn note_answer(&mut self, call: &Call, at: SimTime) {
        let Ingress { spec, proxies, client, .. } = &mut self.ingress;
        if spec.balance != IngressBalance::Ewma || call.client != *client || call.server == NO_POD {
            return;
        }
        let sent = call.deadline.saturating_sub(spec.client.timeout);
        let proxy = proxies.get_mut(cast::usize_of(call.place / spec.workers));
        if let Some(proxy) = proxy {
            proxy.view.answered(call.service, call.server, at.saturating_since(sent), at);
        }
    }

    /// The proxy's call has ended: it answers.
    pub(super) fn upstream_answers(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let call = &self.calls[id.id];
        let end = match call.is_failed {
            true => (Fate::ServerError, call.why),
            false => (Fate::Ok, Cause::None),
        };
        self.proxy_is_done(id, end, ctx);
    }

    fn proxy_is_done(&mut self, id: CallRef, (fate, cause): (Fate, Cause), ctx: &mut Ctx<'_>) {
        if !is_proxy(self.calls[id.id].server) {
            return self.leave(id, fate, cause, ctx);
        }
        let call = self.calls.remove(id.id);
        let at = ctx.now() + call.hop();
        self.settle(&call, End { fate, cause, at }, ctx);
    }

    /// Notes for whom a proxy calls what it waits for in vain.
    pub(super) fn blame(&mut self, call: &Call, cause: Cause) {
        let Caller::Call(parent) = call.caller else { return };
        if let Some(parent) = self.calls.get_mut(parent).filter(|_| call.is_upstream) {
            parent.why = cause;
        }
    }

    /// Whether a call comes from a proxy outside the cluster.
    #[inline]
    pub(super) fn is_from_outside(&self, call: &Call) -> bool {
        let Caller::Call(parent) = call.caller else { return false };
        call.is_upstream && self.calls.get(parent).is_some_and(|parent| is_outside(parent.server))
    }
}

/// An event of a proxy.
const fn ingress_event(proxy: u32, step: IngressStep) -> crate::event::Event {
    event(TrafficEvent::Ingress { proxy, step })
}
