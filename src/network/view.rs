//! What the proxies of a run's nodes have applied: a reader's view of the endpoint log, one a node.
//!
//! Each node has a kube-proxy that follows all Services. An entry of the log reaches it after the
//! delay of a watch and asks for a run; a run takes over all that has reached it by the run's start
//! and is written a run time later.
//!
//! ```text
//! written ──watch──► reached ──asks the Cycle──► run starts ──run time──► applied
//! ```
//!
//! A run takes over everything, so one number a node says it all: the log is applied up to there.
//! It is worked out when somebody asks, from hashed draws, so a node that nobody calls through
//! costs no event and no memory beyond its row. When runs start is the [`Cycle`]'s; which endpoints
//! a version uses is `choice`'s, and what becomes of a connection `way`'s: the same code
//! that recordings judge. What one waits between the write and the rule is the delay R of rule
//! N134.
//!
//! Differs: no run fails; a machine that recovers has its rules still; a change of a node's zone
//! counts at once; a Service's ports share their endpoints.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go (rules N150, N151, N156 to N160).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::dist::{mix, open01_of};
use crate::base::{Distribution, Duration, IdVec, SimTime, Symbol, cast};
use crate::cluster::{Cluster, EndpointLog, EndpointSet};
use crate::model::{Action, Fault, Latencies, NodeId, ProxySpec, ServiceId};
use crate::sim::Streams;

use super::choice::choose;
use super::cycle::{Cycle, Found};
use super::runner::Bounds;
use super::way::{Rules, Side, Table, Way, all_seen};

/// Applied by a proxy without any delay: all that will ever be written.
const ALL: u64 = u64::MAX;

/// Somebody who follows the endpoints and is no kube-proxy: stands for a node in draws.
#[derive(Clone, Copy, Debug)]
pub struct Watcher(NodeId);

impl Watcher {
    /// The cluster's DNS.
    pub const DNS: Self = Self(NodeId::new(u32::MAX));
    /// The control plane of a service mesh.
    pub const MESH: Self = Self(NodeId::new(u32::MAX - (1 << 20)));

    /// An ingress proxy, by its number.
    #[must_use]
    pub const fn ingress(number: u32) -> Self {
        Self(NodeId::new(u32::MAX - 1 - number))
    }
}

/// What each node's proxy has applied.
#[derive(Debug)]
pub struct Proxies {
    seed: u64,
    watch: Distribution,
    run: Distribution,
    min_sync: Duration,
    nodes: IdVec<NodeId, Row>,
    machines: IdVec<NodeId, Option<Box<Machine>>>,
    services: IdVec<ServiceId, OfService>,
    read_to: u64,
    /// When nodes were cut off from the API server.
    cuts: IdVec<NodeId, Vec<(SimTime, SimTime)>>,
}

/// What a call needs of a node's proxy. Numbers are those of the log's entries.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// All entries before this one are applied.
    applied: u64,
    /// Up to where the log was known at the last look, and the instant from which another look
    /// tells more.
    seen: u64,
    look: SimTime,
}

/// The rest of a proxy.
#[derive(Clone, Debug)]
struct Machine {
    cycle: Cycle,
    /// The first entry that no run has taken.
    next: u64,
    /// When the entry before `next` reached the node.
    reached: SimTime,
    /// The run under way: its end, and up to where it applies.
    run: Option<(SimTime, u64)>,
}

/// The versions of a Service that some proxy may have.
#[derive(Debug, Default)]
struct OfService {
    versions: VecDeque<Version>,
    /// What a node's proxy makes of the version that it had last, where nodes differ.
    by_node: IdVec<NodeId, Option<(Place, Table)>>,
}

/// A version and the zone of who looks at it.
type Place = (u64, Option<Symbol>);

#[derive(Debug)]
struct Version {
    /// A proxy has it that has applied the log up to here.
    from: u64,
    set: Arc<EndpointSet>,
    rules: Rules,
    /// Where its usable endpoints are, if somebody has asked.
    places: Option<Box<[NodeId]>>,
}

impl Proxies {
    /// The view at the beginning of a run: nothing is applied, and nothing is written.
    #[must_use]
    pub fn new(latencies: &Latencies, streams: &Streams) -> Self {
        Self {
            seed: mix(streams.seed ^ mix(u64::from(streams.replication))),
            watch: latencies.watch.clone(),
            run: latencies.proxy_run.clone(),
            min_sync: latencies.proxy_period,
            nodes: IdVec::new(),
            machines: IdVec::new(),
            services: IdVec::new(),
            read_to: 0,
            cuts: IdVec::new(),
        }
    }

    /// What becomes of a new connection to a Service on a node at an instant, and for how long its
    /// client stays with its pod. Instants of one node
    /// must not go back.
    #[inline]
    pub fn way(
        &mut self,
        cluster: &Cluster,
        (node, side): (NodeId, Side),
        service: ServiceId,
        now: SimTime,
    ) -> (&Way, Option<Duration>) {
        let applied = self.applied(cluster, node, now);
        self.read(cluster.endpoint_log());
        let row = &mut self.services[service];
        let mut place = row.versions.len() - 1;
        while row.versions[place].from > applied {
            place -= 1;
        }
        let version = &mut row.versions[place];
        if matches!(version.rules, Rules::Unread) {
            version.rules = Rules::of(&version.set, cluster, node);
        }
        let table = match &version.rules {
            Rules::Common(table) => table,
            Rules::Own | Rules::Unread => {
                let spec = &cluster.nodes()[node].spec;
                let slot = row.by_node.grow_to(node);
                let is_here = |(place, _): &(Place, Table)| *place == (version.from, spec.zone);
                let known = slot.take().filter(is_here).map(|(_, table)| table);
                let table =
                    known.unwrap_or_else(|| Table::of(&version.set, node, spec.zone, spec.proxy));
                &slot.insert(((version.from, spec.zone), table)).1
            }
        };
        let way = match side {
            Side::Inside => &table.inside,
            Side::Outside => &table.outside,
        };
        (way, table.affinity)
    }

    /// The newest version of which a watcher has been told that does nothing else, and when it
    /// will be told of the next one.
    pub fn told(
        &mut self,
        cluster: &Cluster,
        watcher: Watcher,
        service: ServiceId,
        now: SimTime,
    ) -> (Arc<EndpointSet>, Option<SimTime>) {
        self.read(cluster.endpoint_log());
        let versions = &self.services[service].versions;
        let told_at = |version: &Version| match version.from {
            0 => SimTime::ZERO,
            from => version.set.at + self.draw(&self.watch, watcher.0, from),
        };
        let place = versions.iter().rposition(|version| told_at(version) <= now).unwrap_or(0);
        let next = versions.iter().skip(place + 1).map(told_at).min();
        (Arc::clone(&versions[place].set), next)
    }

    /// The newest version of a Service that is known to somebody, who says of which changes he
    /// knows: a version's number is one more than its place in the log, and 0 for the first.
    pub fn newest(
        &mut self,
        cluster: &Cluster,
        service: ServiceId,
        knows: impl Fn(u64) -> bool,
    ) -> (u64, &Arc<EndpointSet>) {
        self.read(cluster.endpoint_log());
        let versions = &self.services[service].versions;
        let known = versions.iter().rfind(|version| version.from == 0 || knows(version.from));
        let version = known.unwrap_or(&versions[0]);
        (version.from, &version.set)
    }

    /// When a watcher hears of a version of the Ingresses, by its number.
    #[must_use]
    pub fn hears_of_ingresses(&self, watcher: Watcher, number: usize, at: SimTime) -> SimTime {
        match number {
            0 => at,
            number => at + self.draw(&self.watch, watcher.0, 1 << 48 | cast::u64_of(number)),
        }
    }

    /// When a watcher hears of the newest entry of the log that is written now.
    #[must_use]
    pub fn hears(&self, cluster: &Cluster, watcher: Watcher, now: SimTime) -> SimTime {
        now + self.draw(&self.watch, watcher.0, cluster.endpoint_log().end())
    }

    /// How many ready endpoints of a Service are on a node, as its proxy has applied them.
    pub fn local_ready(
        &mut self,
        cluster: &Cluster,
        node: NodeId,
        service: ServiceId,
        now: SimTime,
    ) -> usize {
        let applied = self.applied(cluster, node, now);
        self.read(cluster.endpoint_log());
        let versions = &self.services[service].versions;
        let version = versions.iter().rev().find(|version| version.from <= applied);
        let set = &version.unwrap_or(&versions[0]).set;
        set.endpoints.iter().filter(|e| e.node == node && e.ready).count()
    }

    /// Whether a node's proxy keeps up (rule N163).
    pub fn is_healthy(&mut self, cluster: &Cluster, node: NodeId, now: SimTime) -> bool {
        self.applied(cluster, node, now);
        let machine = self.machines.get(node).and_then(Option::as_ref);
        machine.is_none_or(|machine| machine.cycle.is_healthy(now))
    }

    /// The nodes of the endpoints that are usable by the newest version, one entry an endpoint.
    ///
    /// # Panics
    /// If there is no such Service.
    pub fn places(&mut self, cluster: &Cluster, service: ServiceId) -> &[NodeId] {
        self.read(cluster.endpoint_log());
        let version = self.services[service].versions.back_mut().expect("there is a first one");
        let Version { set, places, .. } = version;
        places.get_or_insert_with(|| {
            let usage = super::choice::Usage { cluster: true, local: false };
            let chosen = choose(&all_seen(set, None), usage).cluster;
            chosen.iter().map(|at| set.endpoints[cast::usize_of(*at)].node).collect()
        })
    }

    /// Up to where a proxy has applied the log.
    #[inline]
    fn applied(&mut self, cluster: &Cluster, node: NodeId, now: SimTime) -> u64 {
        let end = cluster.endpoint_log().end();
        let row = *self.nodes.grow_to(node);
        if row.applied != ALL && (row.seen != end || now >= row.look) {
            self.advance(cluster, node, now);
        }
        self.nodes[node].applied
    }

    /// Sorts what is new in the log by Service, and forgets what no proxy has any more.
    #[inline]
    fn read(&mut self, log: &EndpointLog) {
        if self.read_to != log.end() || self.services.len() != log.services() {
            self.read_on(log);
        }
    }

    #[cold]
    fn read_on(&mut self, log: &EndpointLog) {
        while self.services.len() < log.services() {
            let mut row = OfService::default();
            let first = log.base(self.services.next_id());
            row.versions.push_back(Version::new(0, Arc::clone(first)));
            self.services.push(row);
        }
        for number in self.read_to.max(log.first())..log.end() {
            let (service, set) = log.entry(number);
            let versions = &mut self.services[service].versions;
            versions.push_back(Version::new(number + 1, Arc::clone(set)));
            while versions.get(1).is_some_and(|second| second.from <= log.first()) {
                versions.pop_front();
            }
        }
        self.read_to = log.end();
    }

    /// Lets one node's proxy do all that it has done by now.
    fn advance(&mut self, cluster: &Cluster, node: NodeId, now: SimTime) {
        let log = cluster.endpoint_log();
        let known = self.machines.grow_to(node).take();
        let Some(mut machine) = known.or_else(|| self.begin(cluster, node)) else {
            self.nodes[node] = Row { applied: ALL, ..Row::default() };
            return;
        };
        let mut applied = self.nodes[node].applied.max(log.first());
        self.catch_up(&mut machine, log, node);
        let look = loop {
            if let Some((ends, to)) = machine.run {
                if ends > now {
                    break ends;
                }
                applied = applied.max(to);
                machine.ends(ends);
            }
            let first = (machine.next < log.end())
                .then(|| self.reaches(log, node, machine.next, machine.reached));
            if let Some(first) = first.filter(|first| *first < SimTime::MAX) {
                machine.cycle.ask(first);
            }
            let start = machine.cycle.next_run().expect("no run is under way");
            if start > now {
                break start;
            }
            self.take(&mut machine, log, node, start);
            machine.cycle.start(start, Found::default());
        };
        self.nodes[node] = Row { applied, seen: log.end(), look };
        self.machines[node] = Some(machine);
    }

    /// A run takes over all that has reached the node by its start.
    fn take(&self, machine: &mut Machine, log: &EndpointLog, node: NodeId, start: SimTime) {
        while machine.next < log.end() {
            let at = self.reaches(log, node, machine.next, machine.reached);
            if at > start {
                break;
            }
            machine.reached = at;
            machine.next += 1;
        }
        let ends = start + self.draw(&self.run, node, !machine.next);
        machine.run = Some((ends, machine.next));
    }

    /// What has left the log was written long ago: a run has taken it as soon as it came.
    fn catch_up(&self, machine: &mut Machine, log: &EndpointLog, node: NodeId) {
        let first = log.first();
        if machine.next >= first {
            return;
        }
        if let Some((ends, _)) = machine.run {
            machine.ends(ends);
        }
        let came = log.folded_at() + self.draw(&self.watch, node, first - 1);
        machine.reached = machine.reached.max(came);
        machine.next = first;
        machine.cycle.start(machine.reached, Found::default());
        machine.cycle.end(machine.reached + self.draw(&self.run, node, !first), true);
    }

    /// A node's proxy as it begins; `None`: it has no delays, its view is the truth. Those of the
    /// first nodes have long run; that of another one writes all rules first, at once.
    #[cold]
    fn begin(&self, cluster: &Cluster, node: NodeId) -> Option<Box<Machine>> {
        let row = &cluster.nodes()[node];
        let ProxySpec { min_sync, sync, .. } = row.spec.proxy;
        let min = min_sync.unwrap_or(self.min_sync);
        let is_zero = |d: &Distribution| d.is_constant() && d.quantile(0.5) <= 0.0;
        let may_be_cut = || {
            let entries = &cluster.model().timeline;
            entries.iter().any(|entry| matches!(entry.action, Action::Fault(Fault::Cut(..))))
        };
        if is_zero(&self.watch) && is_zero(&self.run) && min.is_zero() && !may_be_cut() {
            return None;
        }
        let bounds = Bounds { min, retry: sync, max: Bounds::IDLE_MAX };
        let log = cluster.endpoint_log();
        let mut machine = if row.created == SimTime::ZERO {
            let phase = open01_of(mix(self.seed ^ u64::from(node.number())));
            let by_itself = SimTime::at(Bounds::IDLE_MAX.scale(phase));
            let cycle = Cycle::long_since(bounds, by_itself);
            Machine { cycle, next: 0, reached: SimTime::ZERO, run: None }
        } else {
            let cycle = Cycle::new(bounds);
            let first = log.first();
            Machine { cycle, next: first, reached: row.created, run: None }
        };
        if row.created > SimTime::ZERO {
            let start = row.created + self.draw(&self.watch, node, ALL);
            self.take(&mut machine, log, node, start);
            machine.cycle.start_at_once(start, Found::default());
        }
        Some(Box::new(machine))
    }

    /// When an entry reaches a node: not before the entry before it.
    fn reaches(&self, log: &EndpointLog, node: NodeId, number: u64, before: SimTime) -> SimTime {
        let delay = self.draw(&self.watch, node, number);
        let at = log.entry(number).1.at + delay;
        // What would reach it while it is cut off it hears when it is not any more (rule N406).
        let mut cut = self.cuts.get(node).into_iter().flatten();
        let cut = cut.rfind(|(from, until)| (*from..*until).contains(&at));
        before.max(cut.map_or(at, |(_, until)| until.saturating_add(delay)))
    }

    /// A node is cut off from the API server, or is so no longer.
    pub fn cut(&mut self, cluster: &Cluster, node: NodeId) {
        self.cuts.grow_to(node).clone_from(&cluster.nodes()[node].cuts);
        self.nodes.grow_to(node).look = SimTime::ZERO;
    }

    /// A draw that hangs on seed, node and number alone, in whatever order it is asked for.
    fn draw(&self, of: &Distribution, node: NodeId, number: u64) -> Duration {
        let word = mix(self.seed ^ mix(number ^ mix(u64::from(node.number()))));
        Duration::from_secs_f64(of.quantile(open01_of(word)))
    }
}

impl Machine {
    /// The run under way ends; after the first one the loop begins.
    fn ends(&mut self, now: SimTime) {
        self.run = None;
        if self.cycle.end(now, true).is_outside_loop() {
            self.cycle.begin_loop(now);
        }
    }
}

impl Version {
    const fn new(from: u64, set: Arc<EndpointSet>) -> Self {
        Self { from, set, rules: Rules::Unread, places: None }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
