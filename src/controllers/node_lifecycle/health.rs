//! One pass over all nodes: who has fallen silent, whose pods are unready, which zones are
//! disrupted.
//!
//! Source: kubernetes v1.36.3 pkg/controller/nodelifecycle/node_lifecycle_controller.go
//! `monitorNodeHealth`, `tryUpdateNodeHealth`, `processTaintBaseEviction`, `handleDisruption`;
//! pkg/controller/util/node/controller_utils.go `MarkPodsNotReady` (rules C162, C163, C165, C167).

use std::collections::BTreeMap;

use crate::base::dist::open01;
use crate::base::{Duration, SimTime};
use crate::cluster::{Cluster, Node, Plan, Readiness, Write};
use crate::model::{NodeId, Taint, TaintEffect, ZoneId};
use crate::record::{About, EventRecord};
use crate::sim::Ctx;

use super::zones::ZoneState;
use super::{NodeLifecycleController, lost_keys, swap, there};

/// How many nodes a pass works on at once.
const WORKERS: usize = 8;
/// Requests that it takes to add a taint, or to remove one: a GET and a PATCH.
const TAINT_CALLS: u32 = 2;

/// What the controller knows of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    /// Its condition in the last pass that was carried out.
    pub(super) seen: Readiness,
    /// Since when it is down, and the last sign that it has given.
    silent: Option<(SimTime, SimTime)>,
}

/// What a pass has to do for one node.
#[derive(Default)]
struct Work {
    writes: Vec<Write>,
    calls: u32,
}

impl Work {
    fn call(&mut self, write: Write, calls: u32) {
        self.writes.push(write);
        self.calls += calls;
    }
}

impl NodeLifecycleController {
    /// Works out when each node that is down gave its last sign.
    pub(super) fn note_leases(&mut self, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        for (id, node) in there(cluster) {
            let health = self.nodes.grow_to(id);
            let noted = health.silent.map(|(since, _)| since);
            if noted == node.down_since {
                continue;
            }
            health.silent = node.down_since.map(|since| {
                let lease = node.lease.unwrap_or_else(|| renewed(node, since, cluster, ctx));
                (since, node.reported.map_or(lease, |at| at.max(lease)))
            });
        }
    }

    /// The instant after which a pass finds that a node has been silent for too long; `None` while
    /// it gives signs, and once it has been found.
    pub(super) fn expires(&self, id: NodeId, node: &Node) -> Option<SimTime> {
        match node.condition {
            Readiness::Unknown => None,
            Readiness::Absent => Some(node.created + self.settings.startup_grace),
            Readiness::True | Readiness::False => {
                let (_, sign) = self.nodes.get(id)?.silent?;
                Some(self.passes.first_from(sign).max(self.probes_reset) + self.settings.grace)
            }
        }
    }

    /// One pass. How long it waits for answers.
    pub(super) fn pass(
        &mut self,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Duration {
        let mut zones: BTreeMap<ZoneId, (usize, usize)> = BTreeMap::new();
        let mut works = Vec::new();
        self.counted = 0;
        for (id, node) in there(cluster) {
            self.counted += 1;
            let mut work = Work::default();
            let condition = self.examine(id, node, cluster, &mut work, ctx);
            if node.spec.labels.get(cluster.node_keys().exclude_disruption).is_none() {
                let (ready, unready) = zones.entry(node.zone).or_default();
                *if condition == Readiness::True { ready } else { unready } += 1;
            }
            self.nodes.grow_to(id).seen = condition;
            if !work.writes.is_empty() {
                works.push(work);
            }
        }
        let mut calls = in_parallel(works, plan);
        calls += self.handle_disruption(&zones, cluster, plan, ctx.now());
        self.answer * u64::from(calls)
    }

    /// One node: its condition after this pass.
    fn examine(
        &mut self,
        id: NodeId,
        node: &Node,
        cluster: &Cluster,
        work: &mut Work,
        ctx: &mut Ctx<'_>,
    ) -> Readiness {
        let now = ctx.now();
        let is_silent =
            self.expires(id, node).is_some_and(|at| now > at || (self.drifts && now == at));
        let condition = if is_silent { Readiness::Unknown } else { node.condition };
        if is_silent {
            work.call(Write::NodeCondition { node: id, condition }, 1);
        }
        self.process_taint((id, node), condition, cluster, work, now);
        if node.condition == Readiness::True && condition != Readiness::True {
            mark_pods(node, cluster, work, ctx);
        }
        condition
    }

    /// The NoExecute taint that goes with a condition: swapped at once if the opposite one is
    /// there, queued if there is none, removed when the node is ready.
    fn process_taint(
        &mut self,
        (id, node): (NodeId, &Node),
        condition: Readiness,
        cluster: &Cluster,
        work: &mut Work,
        now: SimTime,
    ) {
        let rank = self.first.iter().position(|first| *first == id).unwrap_or(usize::MAX);
        let zone = self.zones.grow_to(node.zone);
        let Some((own, other)) = lost_keys(condition, cluster) else {
            if condition == Readiness::True {
                reach(id, node, cluster, work);
                zone.remove(id);
            }
            return;
        };
        if node.has_taint(other, TaintEffect::NoExecute) {
            return work.call(swap(id, own, other, cluster), 2 * TAINT_CALLS);
        }
        if !node.has_taint(own, TaintEffect::NoExecute) {
            zone.remove(id);
        }
        // It is seen at the next look at the queues, not at one of this very instant.
        zone.add(id, rank, now + self.answer.max(Duration::ns(1)));
    }

    /// New states of the zones, and what follows from them. How many requests it took.
    fn handle_disruption(
        &mut self,
        zones: &BTreeMap<ZoneId, (usize, usize)>,
        cluster: &Cluster,
        plan: &mut Plan,
        now: SimTime,
    ) -> u32 {
        let state =
            |zone: &ZoneId| zones.get(zone).map(|(ready, unready)| ZoneState::of(*ready, *unready));
        let all: Vec<ZoneId> = zones.keys().copied().collect();
        let now_full = all.iter().all(|zone| state(zone) == Some(ZoneState::Full));
        let mut states = all.iter().map(|zone| self.zones.grow_to(*zone).state);
        let was_full = states.all(|state| state == ZoneState::Full);
        if now_full && was_full {
            return 0;
        }
        if now_full {
            for zone in &all {
                self.zones[*zone].stop(now);
                self.zones[*zone].state = ZoneState::Full;
            }
            return self.reach_all(cluster, plan);
        }
        if was_full {
            self.probes_reset = now;
        }
        for zone in &all {
            let new = state(zone).expect("it has nodes");
            let row = &mut self.zones[*zone];
            if was_full || row.state != new {
                let (ready, unready) = zones[zone];
                row.set_pace(new, ready + unready, &self.settings, now);
                row.state = new;
            }
        }
        0
    }

    /// No zone has a ready node: rather the network is broken than all of them. All NoExecute
    /// taints go (rule C167).
    fn reach_all(&mut self, cluster: &Cluster, plan: &mut Plan) -> u32 {
        let mut work = Work::default();
        for (id, node) in there(cluster) {
            reach(id, node, cluster, &mut work);
            self.zones.grow_to(node.zone).remove(id);
        }
        work.writes.into_iter().for_each(|write| plan.push(write));
        work.calls
    }
}

/// The last renewal of the Lease of a node that went down.
fn renewed(node: &Node, down: SimTime, cluster: &Cluster, ctx: &mut Ctx<'_>) -> SimTime {
    let jitter = &cluster.model().latencies.lease_jitter;
    let renewal = cluster.model().node_monitor.renewal();
    let age = if jitter.is_constant() {
        let period = renewal + Duration::from_secs_f64(jitter.mean());
        let up = down.saturating_since(node.created);
        Duration::ns(up.as_nanos() % period.as_nanos())
    } else {
        let name = cluster.names().resolve(node.spec.name);
        let mut rng = ctx.streams.open("lease", &format!("{name}@{}", down.as_nanos()));
        (renewal + jitter.sample_duration(&mut rng)).scale(open01(&mut rng))
    };
    down.saturating_sub(age).max(node.created)
}

/// Takes the NoExecute taints of a lost node off it.
fn reach(id: NodeId, node: &Node, cluster: &Cluster, work: &mut Work) {
    let keys = cluster.node_keys();
    for key in [keys.unreachable, keys.not_ready] {
        if node.has_taint(key, TaintEffect::NoExecute) {
            let taint = Taint { key, value: keys.no_value, effect: TaintEffect::NoExecute };
            let write = Write::SwapTaints { node: id, add: Vec::new(), remove: vec![taint] };
            work.call(write, TAINT_CALLS);
        }
    }
}

/// All pods of a node become unready.
fn mark_pods(node: &Node, cluster: &Cluster, work: &mut Work, ctx: &mut Ctx<'_>) {
    let name = node.spec.name;
    if ctx.recorder.wants_events() {
        let message = format!("Node {} status is now: NodeNotReady", cluster.names().resolve(name));
        tell(About::Node(name), message, ctx);
    }
    for id in &node.pods {
        let pod = &cluster.pods()[*id];
        if pod.status.ready {
            work.call(Write::MarkUnready { pod: cluster.pods().refer(*id) }, 1);
            if ctx.recorder.wants_events() {
                let about = About::Pod(pod.namespace, pod.name);
                tell(about, "Node is not ready".to_owned(), ctx);
            }
        }
    }
}

fn tell(about: About, message: String, ctx: &mut Ctx<'_>) {
    let (at, reason) = (ctx.now(), "NodeNotReady");
    let is_warning = matches!(about, About::Pod(..));
    ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
}

/// Asks for what the workers write, one node each at a time. How many requests the busiest makes.
fn in_parallel(works: Vec<Work>, plan: &mut Plan) -> u32 {
    let mut loads = [0; WORKERS];
    let mut queues: [Vec<Write>; WORKERS] = Default::default();
    for work in works {
        let free = (0..WORKERS).min_by_key(|worker| loads[*worker]).unwrap_or(0);
        loads[free] += work.calls;
        queues[free].extend(work.writes);
    }
    let mut queues = queues.map(Vec::into_iter);
    loop {
        let before = queues.iter().map(ExactSizeIterator::len).sum::<usize>();
        for queue in &mut queues {
            if let Some(write) = queue.next() {
                plan.push(write);
            }
        }
        if before == 0 {
            return loads.into_iter().max().unwrap_or(0);
        }
    }
}
