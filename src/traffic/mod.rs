//! Callers and servers: every call from its start to its end.
//!
//! A source calls a Service at random instants. The call enters through a node; the node's proxy
//! chooses an endpoint among those that *it* has applied (`network::view`); one hop later the
//! call meets the pod's server as it is at that instant, so a rule that is late, a process that is
//! gone and a machine that is down show as what a client sees. This room owns callers, connections,
//! backlogs and servers, and tells the recorder of each call once.
//!
//! ```text
//! Start ─► proxy ─hop─► Arrive ─► slot, or backlog ─hold─► HoldEnds ─► downstream… ─hop─► told
//! ```
//!
//! A call on its happy path is three events: `Start` from a cursor, `Arrive` from a lane (if the
//! hop is constant), `HoldEnds`. Its end is told as soon as it is certain, with the latency that it
//! will have; calls that would end at or after the horizon are not told.
//!
//! Randomness: a source draws the gaps of its calls from one stream and one word a call, its
//! *luck*, from another; node, endpoint, hold, fault and hop are hashes of that word, the
//! attempt's number and the purpose, mapped through the inverse of the distribution. So the
//! thousandth call of a source has the same luck under every policy, and a draw more or less
//! elsewhere changes nothing here.
//!
//! Clients: a new connection takes one round trip, and one more with TLS 1.3, before its first call;
//! calls go on kept ones without (rule N425). Each attempt has its own time and all have the
//! client's; failed ones are followed by others as far as the client's budget allows (rules N185,
//! N186), or a second one races with the first (hedging). What a client did for a call that it gave
//! up its server finishes.
//!
//! Servers: slots, processor sharing or the CPU of a container with its quota (`shared`); a backlog;
//! warm-up and caches (rules N423, N424); what they call meanwhile, one after another or at once
//! (`graph`, rule N427).
//!
//! Differs: hops by distance only if the scenario says so (N188); a load balancer in front of
//! `externalTrafficPolicy: Local` knows at once where the endpoints are unless the scenario has one
//! (N162); all clients of a source share one answer of DNS;
//! what is told ahead of time is certain: the hedge of a call whose answer is on the wire does not
//! start; calls that share a connection do not wait while it is being set up.

mod attempts;
mod backlog;
mod call;
mod clients;
mod ends;
mod graph;
mod hang;
mod ingress;
mod inside;
mod kinds;
mod machines;
mod mesh;
mod recorded;
mod resending;
mod route;
mod servers;
mod shared;
mod sources;
mod stops;
mod strangers;
mod targets;

use crate::api::Kind;
use crate::base::{Duration, IdVec, LookupMap, SimTime, Slots};
use crate::cluster::{
    Change, Cluster, Component, NodeChange, ObjectChange, Plan, Serving, TrafficRole, Write,
};
use crate::event::{CallId, Event, TrafficEvent};
use crate::model::{Model, NodeId, PodRef, ServiceId, SourceId};
use crate::network::balancer::Balancer;
use crate::network::dns::Names;
use crate::network::ingress::News;
use crate::network::view::Proxies;
use crate::sim::{Ctx, Streams};

use call::{Call, Caller, NO_SERVICE, Purpose, Stage};
use clients::ClientState;
use route::Hops;
use servers::Servers;
use sources::Source;

/// All callers and servers of a run.
#[derive(Debug)]
pub struct Traffic {
    sources: IdVec<SourceId, Source>,
    /// The sources' clients first, in their order, then those of pods that call.
    clients: Vec<ClientState>,
    calls: Slots<CallId, Call>,
    servers: Servers,
    proxies: Proxies,
    /// Nodes through which calls come in: those that are ready and up.
    entries: Vec<NodeId>,
    entries_are_stale: bool,
    hops: Hops,
    links: inside::Links,
    names: Names,
    /// Load balancers by the Services before which they stand.
    balancers: IdVec<ServiceId, Option<Box<Balancer>>>,
    /// Those with pods as targets, and whether there are any.
    targets: targets::PodBalancers,
    has_targets: bool,
    /// Whether some machine is down.
    has_down: bool,
    /// Machines that cannot be reached from outside.
    outside_cut: IdVec<NodeId, bool>,
    /// To which pod a node sends the calls of an address, and when it did last.
    sticky: LookupMap<(ServiceId, NodeId, u64), (PodRef, SimTime)>,
    ingress: ingress::Ingress,
    mesh: mesh::Mesh,
    horizon: SimTime,
    /// Whether a server may hang after some calls.
    can_hang: bool,
    /// How many servers hang.
    hung: u32,
    recorded: recorded::RecordedCpu,
}

impl Traffic {
    /// Before the run begins.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let sources = model.traffic.iter();
        Self {
            sources: sources.map(|spec| Source::new(spec, &model.names, streams)).collect(),
            clients: model
                .traffic
                .iter()
                .map(|spec| ClientState::new(spec.client.clone(), spec.speaks, false))
                .collect(),
            calls: Slots::new(),
            servers: Servers::default(),
            proxies: Proxies::new(&model.latencies, streams),
            entries: Vec::new(),
            entries_are_stale: true,
            hops: Hops::new(&model.latencies),
            links: inside::Links::new(&model.latencies),
            names: Names::new(model.dns),
            balancers: IdVec::new(),
            targets: IdVec::new(),
            has_targets: false,
            has_down: false,
            outside_cut: IdVec::new(),
            sticky: LookupMap::new(),
            ingress: ingress::Ingress::new(&model.ingress),
            mesh: mesh::Mesh::new(model),
            horizon: model.run.until.unwrap_or(SimTime::MAX),
            can_hang: hang::can_hang(&model.behaviors),
            hung: 0,
            recorded: recorded::RecordedCpu::new(model),
        }
    }

    /// How many calls are under way: on the wire, waiting or in service.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.calls.len()
    }

    /// The nodes through which calls come in.
    fn entries(&mut self, cluster: &Cluster) -> &[NodeId] {
        if self.entries_are_stale {
            let up = || cluster.nodes().enumerate().filter(|(_, node)| node.is_up && !node.is_gone);
            self.entries.clear();
            self.entries.extend(up().filter(|(_, node)| node.ready).map(|(id, _)| id));
            // What the API server believes of all of them ends no call (rule N409).
            if self.entries.is_empty() {
                self.entries.extend(up().map(|(id, _)| id));
            }
            self.entries_are_stale = false;
        }
        &self.entries
    }

    /// A server that drains and has nothing left says so; its pod may end.
    fn check_idle(&self, pod: PodRef, plan: &mut Plan) {
        if self.servers.is_drained(pod) || self.is_awaited(pod) {
            plan.push(Write::ServerIdle { pod });
        }
    }

    /// A source calls.
    #[inline]
    fn start_call(&mut self, source: SourceId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if let Some(mut call) = self.sources[source].call(source, ctx) {
            self.attempt(&mut call, cluster, ctx);
        }
    }
}

impl Component<TrafficEvent> for Traffic {
    fn start(&mut self, cluster: &Cluster, _plan: &mut Plan, ctx: &mut Ctx<'_>) {
        self.hops.start(ctx);
        for id in self.sources.ids() {
            self.sources[id].start(id, cluster, ctx);
        }
        self.begin_balancers(cluster, ctx);
        self.begin_ingress(cluster, ctx);
        self.begin_mesh(ctx);
        for (id, _) in cluster.pods().iter() {
            let pod = cluster.pods().refer(id);
            if cluster.serving(pod) != Serving::Absent {
                let Self { servers, clients, .. } = self;
                servers.set(pod, (cluster.serving(pod), false), cluster, clients, ctx.now());
            }
        }
    }

    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        self.recorded.observe(change, cluster, ctx.now());
        if self.has_targets && matches!(change, Change::Serving { .. } | Change::Node { .. }) {
            self.targets_settle(ctx.now());
        }
        match change {
            Change::Serving { pod, to, .. } => self.server_changes(*pod, *to, cluster, ctx),
            Change::Plight { pod, what } => self.befalls(*pod, *what, ctx),
            Change::Endpoints { service } => {
                if self.has_targets {
                    self.targets_hear(*service, cluster, ctx);
                }
                self.ingress_hears(News::Endpoints, cluster, ctx);
                self.mesh_hears(cluster, ctx.now());
            }
            Change::Service { service, what } => {
                if *what == ObjectChange::Added {
                    self.begin_balancer(*service, cluster, ctx);
                }
                self.ingress_hears(News::Endpoints, cluster, ctx);
            }
            Change::Tree { kind: Kind::Ingress, .. } => {
                self.ingress_hears(News::Ingresses, cluster, ctx);
            }
            Change::PodResized { pod, is_asked: false, .. } => {
                self.servers.resized(*pod, cluster, ctx.now());
                self.arm(*pod, ctx);
            }
            Change::OomKill { pod } => self.server_is_killed(*pod, ctx),
            Change::Node { node, what } => {
                self.entries_are_stale = true;
                self.balancers_hear(*node, *what, cluster, ctx.now());
                if matches!(what, NodeChange::Down | NodeChange::Up) {
                    self.has_down = cluster.nodes().iter().any(|node| !node.is_up);
                }
                match what {
                    NodeChange::Down => self.node_dies(*node, ctx),
                    NodeChange::Up => drop(self.servers.set_up(*node, true)),
                    NodeChange::Cut | NodeChange::Joined => self.proxies.cut(cluster, *node),
                    NodeChange::Links => self.links_change(*node, cluster),
                    NodeChange::Added
                    | NodeChange::Cordoned
                    | NodeChange::Uncordoned
                    | NodeChange::Taints
                    | NodeChange::Labels
                    | NodeChange::Offer
                    | NodeChange::Pressure
                    | NodeChange::ShutsDown
                    | NodeChange::KubeletRestarts
                    | NodeChange::SandboxesLost
                    | NodeChange::Removed
                    | NodeChange::Ready => {}
                }
            }
            _ => {}
        }
    }

    #[inline]
    fn handle(
        &mut self,
        event: TrafficEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        match event {
            TrafficEvent::Start(source) | TrafficEvent::User(source) => {
                self.start_call(source, cluster, ctx);
            }
            TrafficEvent::Arrive(call) => self.arrive(call, cluster, ctx),
            TrafficEvent::HoldEnds(call) => self.hold_ends(call, cluster, ctx),
            TrafficEvent::Continue(call) => self.carry_on(call, cluster, ctx),
            TrafficEvent::Answer(call) => self.answered(call, ctx.now()),
            TrafficEvent::Resend(call) => self.resend(call, cluster, ctx),
            TrafficEvent::Timeout(call) => self.time_is_over(call, ctx),
            TrafficEvent::Retry(call) => self.retry(call, cluster, ctx),
            TrafficEvent::Hedge(call) => self.hedge(call, cluster, ctx),
            TrafficEvent::Over { client, again, place } => {
                self.clients[usize::from(client)].over(place, again);
            }
            TrafficEvent::Work(pod) => self.work(pod, cluster, ctx),
            TrafficEvent::IdleCheck(pod) => self.check_idle(pod, plan),
            TrafficEvent::Probe { pod, number, timeout_s } => {
                self.probe(pod, number, timeout_s, ctx);
            }
            TrafficEvent::Target(pod) => self.target_checked(pod, plan, ctx),
            TrafficEvent::Ingress { proxy, step } => self.ingress_step(proxy, step, cluster, ctx),
        }
        if self.servers.has_news() {
            self.servers.tell_loads(plan);
        }
    }
}

impl TrafficRole for Traffic {
    fn cpu_spent(&mut self, pod: PodRef, ctx: &Ctx<'_>) -> Duration {
        self.servers.cpu_spent(pod, ctx.now()) + self.recorded.spent(pod, ctx.now())
    }

    fn calls(&self, pod: PodRef) -> (u64, u64) {
        self.servers.calls(pod)
    }
}

/// An event of a call.
const fn event(what: TrafficEvent) -> Event {
    Event::Traffic(what)
}
