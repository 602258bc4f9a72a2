//! The proxies of a service mesh: a container of the pod through which all its calls go, in and out
//! (rules N187, N471).
//!
//! ```text
//! app ─► localhost ─► its proxy ─► network ─► the other proxy ─► localhost ─► app
//!                        ▲                        │ fails
//!                        └── next pod, as tries allow ◄┘
//! ```
//!
//! The proxy of a pod that calls chooses the pod itself; what it knows is [`Upstream`]'s. Its call is
//! one like any other, whose client is the proxy: kept connections, tries, ejections. It is not
//! recorded: what the app gets is the proxy's answer, 503 with the cause of the last try.
//!
//! A pod whose proxy has not begun, or has ended, refuses what comes and cannot call; what is under
//! way through a proxy that ends is reset. A proxy answers for an app that is not there, and for one
//! that breaks off: 503. Connections from outside end at the proxy: what the app says of its own is
//! not heard beyond.
//!
//! Differs: an app does not go on with what its proxy's end has cut; calls to headless Services go
//! past the proxy's own choice, as DNS says; whether a call may be sent again is said once for all
//! Services, and of the call whether it is idempotent (a VirtualService has routes for that).

use std::sync::Arc;

use crate::base::dist::mix;
use crate::base::{Duration, IdVec, LookupMap, SimTime, cast};
use crate::cluster::{Cluster, Serving};
use crate::event::{CallId, CallRef, TrafficEvent};
use crate::model::{
    Balance, Conditions, MeshSpec, Model, NodeId, PodId, PodRef, ServiceId, ServiceKind,
};
use crate::network::mesh::{ControlPlane, Upstream};
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::attempts::Door;
use super::call::{ClientId, NO_POD};
use super::clients::{ClientState, Connection};
use super::ends::End;
use super::{Call, Caller, Purpose, Stage, Traffic, event};

/// The slot that stands for the proxies of pods that call; a proxy's number is its life.
const SIDECAR: PodId = PodId::new(u32::MAX - 2);
/// A proxy gives its own calls up no earlier than the app gives up.
const LATER: Duration = Duration::ms(1);

/// Whether this stands for the proxy of a pod that calls.
#[inline]
pub(super) const fn is_sidecar(pod: PodRef) -> bool {
    pod.id.number() == SIDECAR.number()
}

/// The proxies, and what they know.
#[derive(Debug)]
pub(super) struct Mesh {
    spec: Option<Box<MeshSpec>>,
    /// The life of the pod whose proxy takes calls, and since when.
    up: IdVec<PodId, Option<(u32, SimTime)>>,
    plane: Option<ControlPlane>,
    client: ClientId,
    /// Proxies that have called, in the order of their first calls.
    callers: Vec<Sidecar>,
    by_pod: LookupMap<PodRef, u32>,
    /// What each knows of a Service: the place of its client.
    upstreams: Vec<Upstream>,
    by_service: LookupMap<(u32, ServiceId), u32>,
    /// Pods whose proxy ends as soon as they have no calls.
    waiting: LookupMap<PodRef, ()>,
}

/// The proxy of a pod that calls.
#[derive(Debug)]
struct Sidecar {
    pod: PodRef,
    began: SimTime,
    is_there: bool,
    places: Vec<u32>,
}

impl Mesh {
    pub(super) fn new(model: &Model) -> Self {
        Self {
            spec: model.mesh.clone().map(Box::new),
            up: IdVec::new(),
            plane: None,
            client: 0,
            callers: Vec::new(),
            by_pod: LookupMap::new(),
            upstreams: Vec::new(),
            by_service: LookupMap::new(),
            waiting: LookupMap::new(),
        }
    }

    /// Whether there is a mesh at all.
    #[inline]
    pub(super) const fn is_there(&self) -> bool {
        self.spec.is_some()
    }

    /// Whether a proxy of the mesh makes a call itself.
    #[inline]
    pub(super) fn makes(&self, call: &Call) -> bool {
        call.is_upstream && self.is_there() && call.client == self.client
    }

    /// Whether the proxy of a pod takes calls.
    pub(super) fn is_up(&self, pod: PodRef) -> bool {
        self.since(pod).is_some()
    }

    fn since(&self, pod: PodRef) -> Option<SimTime> {
        let up = self.up.get(pod.id).copied().flatten();
        up.filter(|(life, _)| *life == pod.life).map(|(_, since)| since)
    }

    /// The pod in which a proxy is, or the pod itself.
    #[inline]
    pub(super) fn pod_of(&self, pod: PodRef) -> PodRef {
        if is_sidecar(pod) { self.callers[cast::usize_of(pod.life)].pod } else { pod }
    }

    /// The proxy of a pod as something to call.
    fn sidecar(&mut self, pod: PodRef, began: SimTime) -> PodRef {
        let Self { by_pod, callers, .. } = self;
        let life = by_pod.get(&pod).copied().unwrap_or_else(|| {
            let number = cast::u32_of(callers.len());
            callers.push(Sidecar { pod, began, is_there: true, places: Vec::new() });
            by_pod.insert(pod, number);
            number
        });
        PodRef { id: SIDECAR, life }
    }

    /// The place of a proxy's client for a Service.
    fn place(&mut self, number: u32, service: ServiceId) -> u32 {
        let Self { by_service, upstreams, callers, .. } = self;
        by_service.get(&(number, service)).copied().unwrap_or_else(|| {
            let place = cast::u32_of(upstreams.len());
            let caller = &mut callers[cast::usize_of(number)];
            upstreams.push(Upstream::new(service, u64::from(number), caller.began));
            caller.places.push(place);
            by_service.insert((number, service), place);
            place
        })
    }

    /// The proxy of a pod has ended.
    fn forget(&mut self, pod: PodRef) -> Option<(PodRef, Vec<u32>)> {
        self.waiting.remove(&pod);
        let number = self.by_pod.remove(&pod)?;
        let caller = &mut self.callers[cast::usize_of(number)];
        caller.is_there = false;
        let places = std::mem::take(&mut caller.places);
        for place in &places {
            let upstream = &mut self.upstreams[cast::usize_of(*place)];
            upstream.forget();
            self.by_service.remove(&(number, upstream.service()));
        }
        Some((PodRef { id: SIDECAR, life: number }, places))
    }

    /// A call that a proxy made is over for it.
    #[cold]
    pub(super) fn over(&mut self, call: &Call) {
        let is_counted = self.spec.as_ref().is_some_and(|s| s.balance == Balance::LeastRequest);
        if is_counted && call.server != NO_POD {
            self.upstreams[cast::usize_of(call.place)].over(call.server);
        }
    }

    /// Whether a proxy sends a call of its own again that ended so.
    #[cold]
    pub(super) fn tries_again(&self, call: &Call, end: End, is_grpc: bool) -> bool {
        let Some(spec) = &self.spec else { return false };
        let is_sent = call.is_kept && end.fate != Fate::Refused;
        let may_be_sent = call.is_idempotent || spec.resends || !is_sent;
        may_be_sent && takes(spec.on, end, is_grpc)
    }
}

/// Whether an end is one after which a proxy tries again. Of a call that is sent as gRPC a 503 is
/// `unavailable`; an end without an answer counts as a 5xx.
///
/// Source: Envoy, source/common/router/retry_state_impl.cc.
fn takes(on: Conditions, end: End, is_grpc: bool) -> bool {
    let is_own = matches!(end.cause, Cause::ServerFault | Cause::Incompatible | Cause::Downstream);
    match end.fate {
        Fate::Ok | Fate::NoEndpoint => false,
        Fate::Refused => on.has(&["connect-failure", "gateway-error", "5xx"]),
        Fate::Reset => on.has(&["reset", "gateway-error", "5xx"]),
        Fate::TimedOut => on.has(&["gateway-error", "5xx"]),
        // The app's own 500, in place of a proxy's 503.
        Fate::ServerError if is_own => on.has(&["5xx"]),
        Fate::ServerError if is_grpc => on.has(&["unavailable", "503", "gateway-error", "5xx"]),
        Fate::ServerError => on.has(&["503", "gateway-error", "5xx"]),
    }
}

impl Traffic {
    /// The mesh is there from the start.
    pub(super) fn begin_mesh(&mut self, ctx: &Ctx<'_>) {
        let Some(spec) = &self.mesh.spec else { return };
        let seed = mix(ctx.streams.seed ^ mix(u64::from(ctx.streams.replication)));
        self.mesh.plane = Some(ControlPlane::new(spec.push.clone(), seed));
        self.mesh.client = ClientId::try_from(self.clients.len()).expect("fewer than 2^16");
        self.clients.push(ClientState::new(spec.client.clone(), None, false));
    }

    /// Endpoints have changed.
    pub(super) fn mesh_hears(&mut self, cluster: &Cluster, now: SimTime) {
        if let Some(plane) = &mut self.mesh.plane {
            plane.hear(&self.proxies, cluster, now);
        }
    }

    /// Whether a pod is part of the mesh; then whether its proxy takes calls.
    pub(super) fn proxy_of(&self, pod: PodRef) -> Option<bool> {
        let is_meshed = self.servers.get(pod).is_some_and(|row| row.is_meshed);
        is_meshed.then(|| self.mesh.is_up(pod))
    }

    /// The pod that makes a call.
    fn pod_of_caller(&self, call: &Call) -> Option<PodRef> {
        match call.caller {
            Caller::Call(parent) => self.calls.get(parent).map(|parent| parent.server),
            Caller::Source(..) | Caller::Probe(_) => None,
        }
    }

    /// Sends an attempt to the proxy of the pod that calls; `None`: it does not go there. Gives the
    /// call, unless that refuses it.
    #[cold]
    pub(super) fn through_own_proxy(
        &mut self,
        call: &mut Call,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) -> Option<Option<CallRef>> {
        if self.mesh.makes(call) {
            let Caller::Call(parent) = call.caller else { return None };
            let app = self.calls.get(parent).map_or(SimTime::MAX, |app| app.deadline);
            call.deadline = call.deadline.min(app.saturating_add(LATER));
        }
        if call.is_upstream {
            return None;
        }
        let pod = self.pod_of_caller(call)?;
        if !self.proxy_of(pod)? {
            let end = End { fate: Fate::Refused, cause: Cause::NoMeshProxy, at: ctx.now() };
            self.settle(call, end, ctx);
            return Some(None);
        }
        let kind = cluster.service(call.service).map(|row| row.spec.kind);
        if matches!(kind, None | Some(ServiceKind::Headless)) {
            return None;
        }
        let since = self.mesh.since(pod).unwrap_or(ctx.now());
        (call.backend, call.server) = (call.service, self.mesh.sidecar(pod, since));
        (call.is_kept, call.opening) = (true, 0);
        call.set_hop(self.links.in_pod() + self.share_of_pair(call, 1));
        let sent = self.calls.insert(*call);
        self.time_from_start(sent, ctx);
        self.hedge_later(call, sent, ctx);
        let hop = call.hop();
        if hop.is_zero() {
            self.arrive(sent, cluster, ctx);
        } else {
            ctx.after(hop, event(TrafficEvent::Arrive(sent)));
        }
        Some(Some(sent))
    }

    /// The proxy of the pod that calls has a call and makes its own.
    pub(super) fn call_from_sidecar(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let call = &mut self.calls[id.id];
        let number = call.server.life;
        if !self.mesh.callers[cast::usize_of(number)].is_there {
            let call = self.calls.remove(id.id);
            let end = End { fate: Fate::Refused, cause: Cause::NoMeshProxy, at: ctx.now() };
            return self.settle(&call, end, ctx);
        }
        (call.stage, call.began, call.pending) = (Stage::Calling, ctx.now(), 1);
        let (client, luck) = (self.mesh.client, call.child_luck());
        let mut own = Call::new(Caller::Call(id), client, call.backend, ctx.now(), luck);
        (own.place, own.is_upstream) = (self.mesh.place(number, call.backend), true);
        (own.is_idempotent, own.hold, own.priority) =
            (call.is_idempotent, call.hold, call.priority);
        self.attempt(&mut own, cluster, ctx);
    }

    /// Finds the pod that a proxy chooses, and a connection to it.
    #[cold]
    pub(super) fn connect_mesh(
        &mut self,
        call: &mut Call,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<(), End> {
        let before = Some(std::mem::replace(&mut call.server, NO_POD)).filter(|p| *p != NO_POD);
        if !matches!(call.caller, Caller::Call(parent) if self.calls.contains(parent)) {
            return Err(End { fate: Fate::Reset, cause: Cause::CutByMeshProxy, at: now });
        }
        let (spec, plane) = self.mesh.spec.as_ref().zip(self.mesh.plane.as_ref()).expect("a mesh");
        let upstream = &mut self.mesh.upstreams[cast::usize_of(call.place)];
        let pods = Arc::clone(upstream.pods(plane, (&mut self.proxies, cluster), now));
        let no_pod = |cause| End { fate: Fate::NoEndpoint, cause, at: now };
        if pods.is_empty() {
            let row = cluster.service(call.service);
            let is_ready = row.is_some_and(|row| row.endpoints.endpoints.iter().any(|e| e.ready));
            return Err(no_pod(if is_ready { Cause::StaleMesh } else { Cause::NoReadyPod }));
        }
        let client = &mut self.clients[usize::from(call.client)];
        client.could_choose(call.place, pods.len(), |pod| pods.contains(&pod));
        let mut among = None;
        if client.has_failing(call.place) {
            let left: Vec<usize> = (0..pods.len())
                .filter(|place| !client.avoids(call.place, pods[*place], now))
                .collect();
            let healthy = cast::f64_of_usize(left.len());
            if healthy >= spec.panic * cast::f64_of_usize(pods.len()) {
                among = Some(left).filter(|left| left.len() < pods.len());
            }
        }
        if among.as_ref().is_some_and(Vec::is_empty) {
            return Err(no_pod(Cause::Ejected));
        }
        let not = before.filter(|_| client.spec.retries.elsewhere);
        let word = call.word(Purpose::Route);
        let pod = upstream.choose((spec.balance, spec.warmup, now), among.as_deref(), not, word);
        let (settings, hop, servers) = (client.spec.connections, call.hop(), &self.servers);
        let verdict = |kept: &Connection| servers.verdict(kept, &settings, hop, now);
        match client.take_idle_to(call.place, pod, verdict) {
            Some((kept, is_doomed)) => {
                (call.server, call.ages_at) = (pod, kept.ages_at);
                (call.is_kept, call.is_doomed) = (true, is_doomed);
            }
            None => {
                self.opened(call, pod, NodeId::new(0), now);
                // Only proxies speak TLS with each other.
                if self.proxy_of(pod).is_none() {
                    call.opening = call.opening.min(1);
                }
            }
        }
        Ok(())
    }

    /// How a call that reaches a pod fares by its proxy, if it is part of the mesh.
    #[cold]
    pub(super) fn door_of_proxy(&self, call: &Call, door: Door, cluster: &Cluster) -> Door {
        let is_up = match (self.proxy_of(call.server), &door) {
            (None, _) | (_, Door::Dark(_)) => return door,
            (Some(is_up), _) => is_up,
        };
        let state = self.servers.get(call.server).map(|row| row.state);
        match door {
            _ if !is_up && call.is_kept => Door::Shut(Fate::Reset, Cause::NoMeshProxy),
            _ if !is_up => Door::Shut(Fate::Refused, Cause::NoMeshProxy),
            Door::Open if state != Some(Serving::Draining) => Door::Open,
            Door::Shut(fate, cause) if fate != Fate::Refused && state.is_none() => {
                Door::Shut(fate, cause)
            }
            // The proxy is there and does not reach the app.
            _ => {
                let mut new = *call;
                new.is_kept = false;
                match self.shut(&new, cluster) {
                    Door::Shut(_, cause) => Door::Shut(Fate::ServerError, cause),
                    door => door,
                }
            }
        }
    }

    /// How what a pod's server breaks off ends for its callers: its proxy answers for it.
    pub(super) fn broken_off(&self, pod: PodRef) -> Fate {
        let is_answered = self.mesh.is_there() && self.proxy_of(pod) == Some(true);
        if is_answered { Fate::ServerError } else { Fate::Reset }
    }

    /// What so many proxies add to one way: of the law for two there and back a quarter each.
    fn share_of_pair(&self, call: &Call, count: u8) -> Duration {
        let Some(spec) = &self.mesh.spec else { return Duration::ZERO };
        let pair = Duration::from_secs_f64(spec.latency.quantile(call.chance(Purpose::Mesh)));
        pair.scale(f64::from(count) * 0.25)
    }

    /// What proxies add to the way of a call.
    #[cold]
    pub(super) fn set_mesh(&self, call: &mut Call) {
        let pods = [self.pod_of_caller(call), Some(call.server)];
        let count = (0_u8..)
            .zip(pods.into_iter().flatten().filter(|pod| self.proxy_of(*pod).is_some()))
            .count();
        if count > 0 {
            let share = self.share_of_pair(call, if count == 2 { 2 } else { 1 });
            call.set_hop(call.hop() + share);
        }
    }

    /// The proxy of a pod begins to take calls, or ends: what goes through it then is reset.
    pub(super) fn proxy_is(&mut self, pod: PodRef, is_up: bool, ctx: &mut Ctx<'_>) {
        *self.mesh.up.grow_to(pod.id) = is_up.then_some((pod.life, ctx.now()));
        if is_up {
            return;
        }
        self.forget_proxy(pod, ctx);
        if self.proxy_of(pod).is_none() {
            return;
        }
        self.servers.close(pod, ctx.now());
        for call in self.cut(pod, ctx) {
            let at = ctx.now() + call.hop();
            self.settle(&call, End { fate: Fate::Reset, cause: Cause::CutByMeshProxy, at }, ctx);
        }
        self.tell_if_idle(pod, ctx);
    }

    /// The proxy of a pod is gone, and what it had to do for calls of its app.
    pub(super) fn forget_proxy(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) {
        let Some((sidecar, places)) = self.mesh.forget(pod) else { return };
        for place in places {
            self.clients[usize::from(self.mesh.client)].close_idle(place);
        }
        let is_there = |call: &Call| call.server == sidecar && call.stage == Stage::Calling;
        let left = self.calls.iter().filter(|(_, call)| is_there(call));
        let left: Vec<CallId> = left.map(|(id, _)| id).collect();
        for id in left {
            let call = self.calls.remove(id);
            let end = End { fate: Fate::Reset, cause: Cause::CutByMeshProxy, at: ctx.now() };
            self.settle(&call, end, ctx);
        }
    }

    /// The proxy of a pod has been told to stop and waits until its pod has no calls.
    pub(super) fn proxy_drains(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) {
        self.mesh.waiting.insert(pod, ());
        self.tell_if_idle(pod, ctx);
    }

    /// Whether a pod's proxy waits for calls that are over now.
    #[inline]
    pub(super) fn is_awaited(&self, pod: PodRef) -> bool {
        self.mesh.is_there()
            && self.mesh.waiting.get(&pod).is_some()
            && self.servers.get(pod).is_none_or(super::servers::Server::is_idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(fate: Fate, cause: Cause) -> End {
        End { fate, cause, at: SimTime::ZERO }
    }

    /// Istio's conditions: what was not sent, and a 503 of the other proxy; neither a reset in
    /// flight nor the app's own 500.
    #[test]
    fn after_which_ends() {
        let istio = |fate, cause| takes(Conditions::ISTIO, end(fate, cause), false);
        assert!(istio(Fate::Refused, Cause::NoMeshProxy));
        assert!(!istio(Fate::Reset, Cause::CutByMeshProxy));
        assert!(istio(Fate::ServerError, Cause::StaleMesh));
        assert!(!istio(Fate::ServerError, Cause::ServerFault));
        let unavailable = Conditions::of([3]);
        assert!(takes(unavailable, end(Fate::ServerError, Cause::CutByStop), true));
        assert!(!takes(unavailable, end(Fate::ServerError, Cause::CutByStop), false));
        let all = Conditions::of([7]);
        assert!(takes(all, end(Fate::TimedOut, Cause::SlowService), false));
        assert!(!takes(all, end(Fate::NoEndpoint, Cause::NoReadyPod), false));
    }
}
