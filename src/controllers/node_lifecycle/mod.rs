//! Node lifecycle: nodes that nobody hears of, and the taints that follow from conditions.
//!
//! ```text
//! last renewal ─► a pass sees it ─grace─► a pass: Ready Unknown, pods unready, NoSchedule taint
//!     └─► queue of its zone ─0.1 nodes/s─► NoExecute taint ─► tainteviction
//! ready again ─► NoSchedule taint goes at once, NoExecute taint in the next pass
//! ```
//!
//! Keys: the cluster for the passes over all nodes, every 5 s unless set otherwise (`passes`, `health`), a zone for its
//! queue, looked at every 100 ms (`zones`), a node for its NoSchedule taints (`no_schedule`).
//! Where nothing would happen there is no event: a Lease is not renewed one by one, and the time
//! of the next pass that matters is worked out from the last one and the phase of the Leases.
//!
//! Source: kubernetes v1.36.3 pkg/controller/nodelifecycle/node_lifecycle_controller.go (rules
//! C161 to C167). Differs: nodes have no conditions but Ready, MemoryPressure and DiskPressure, so the taints of
//! the others only go; nodes that wait have their turn by age, then by number, where the original leaves it to
//! chance; the loop of the queues does not shift with what its writes take; pods bound to a node
//! that is not ready are not looked at, since they are not ready either.

mod health;
mod no_schedule;
mod passes;
mod zones;

use crate::base::{Duration, IdVec, SimTime};
use crate::cluster::{
    Change, Cluster, Controller, Node, NodeChange, Plan, Readiness, Requeue, Write,
};
use crate::model::{Model, NodeId, NodeMonitor, ObjectKey, Taint, TaintEffect, ZoneId};
use crate::sim::{Ctx, Streams};

use health::Health;
use passes::Passes;
use zones::Zone;

/// How often the queues of the zones are looked at (`NodeEvictionPeriod`).
const TICK: Duration = Duration::ms(100);

/// The node lifecycle controller.
#[derive(Debug)]
pub struct NodeLifecycleController {
    settings: NodeMonitor,
    /// Whether a pass takes some time, so that each begins a little more than a period after the
    /// one before, and a grace of whole periods is over at the last of them (rule C162).
    drifts: bool,
    passes: Passes,
    zones: IdVec<ZoneId, Zone>,
    nodes: IdVec<NodeId, Health>,
    /// When all probes were set to the time of a pass (rule C167).
    probes_reset: SimTime,
    /// How many nodes the last pass saw.
    counted: usize,
    /// How long its client waits for an answer beyond what the engine's client takes.
    answer: Duration,
    /// Which nodes come first of those that wait equally long.
    first: Vec<NodeId>,
}

impl NodeLifecycleController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model, _streams: &Streams) -> Self {
        let settings = model.node_monitor.clone();
        Self {
            passes: Passes::new(settings.period),
            settings,
            drifts: model.latencies.api_write.mean() > 0.0,
            zones: IdVec::new(),
            nodes: IdVec::new(),
            probes_reset: SimTime::ZERO,
            counted: 0,
            answer: Duration::ZERO,
            first: Vec::new(),
        }
    }

    /// The same, with a client that gets each answer that much later than the write is done: a
    /// pass takes its answers' time.
    #[must_use]
    pub fn with_answers_after(self, answer: Duration) -> Self {
        Self { answer, ..self }
    }

    /// The same, with this order of turns among nodes that wait equally long; the others follow by
    /// number. The original leaves it to chance.
    #[must_use]
    pub fn with_turns(self, first: Vec<NodeId>) -> Self {
        Self { first, ..self }
    }

    /// The passes over all nodes.
    fn look(&mut self, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) -> Requeue {
        let now = ctx.now();
        self.note_leases(cluster, ctx);
        if self.passes.is_due(now) {
            let took = self.pass(cluster, plan, ctx);
            self.passes.carry_out(now, now + took);
            if !plan.is_empty() {
                return Requeue::After(took + self.settings.period);
            }
        }
        match self.next_pass(cluster, now) {
            Some(at) => Requeue::After(at.saturating_since(now)),
            None => Requeue::Never,
        }
    }

    /// When the next pass is that changes anything, as things are.
    fn next_pass(&self, cluster: &Cluster, now: SimTime) -> Option<SimTime> {
        let next = self.passes.first_after(now);
        let mut count = 0;
        let mut has_lost = false;
        let mut soonest: Option<SimTime> = None;
        for (id, node) in there(cluster) {
            count += 1;
            has_lost |= node.condition != Readiness::True;
            let at = if self.is_unsettled(id, node, cluster) {
                Some(next)
            } else {
                self.expires(id, node).map(|at| self.first_past(at).max(next))
            };
            soonest = soonest.into_iter().chain(at).min();
        }
        if has_lost && count != self.counted { Some(next) } else { soonest }
    }

    /// The first pass that finds a grace over that ends at an instant.
    fn first_past(&self, at: SimTime) -> SimTime {
        if self.drifts { self.passes.first_from(at) } else { self.passes.first_after(at) }
    }

    /// Whether the next pass does something about a node, other than finding it silent.
    fn is_unsettled(&self, id: NodeId, node: &Node, cluster: &Cluster) -> bool {
        let keys = cluster.node_keys();
        if self.nodes.get(id).map_or(Readiness::True, |health| health.seen) != node.condition {
            return true;
        }
        match lost_keys(node.condition, cluster) {
            Some((own, other)) => {
                let waits = || self.zones.get(node.zone).is_some_and(|zone| zone.has(id));
                node.has_taint(other, TaintEffect::NoExecute)
                    || (!node.has_taint(own, TaintEffect::NoExecute) && !waits())
            }
            None => node.condition == Readiness::True && node.has_lost_taint(keys),
        }
    }

    /// The queue of a zone.
    fn turn(&mut self, zone: ZoneId, cluster: &Cluster, plan: &mut Plan, now: SimTime) -> Requeue {
        loop {
            let Some(turn) = self.zones.grow_to(zone).next_turn() else {
                // What the next pass puts in is seen at the tick after it.
                let next = self.next_pass(cluster, now).map(tick_after);
                return next.map_or(Requeue::Never, |at| Requeue::After(at.saturating_since(now)));
            };
            let tick = tick_from(turn);
            if tick > now {
                return Requeue::After(tick.saturating_since(now));
            }
            let Some(id) = self.zones[zone].take(now) else { return Requeue::Never };
            let node = &cluster.nodes()[id];
            if let Some((own, other)) = lost_keys(node.condition, cluster).filter(|_| !node.is_gone)
            {
                plan.push(swap(id, own, other, cluster));
            }
        }
    }
}

impl Controller for NodeLifecycleController {
    fn name(&self) -> &'static str {
        "node-controller"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let Change::Node { node: id, what } = *change else { return };
        let node = &cluster.nodes()[id];
        if !node.is_gone && no_schedule::write(id, node, cluster).is_some() {
            out.push(ObjectKey::Node(id));
        }
        let is_lost = node.condition != Readiness::True;
        let matters = match what {
            NodeChange::Down | NodeChange::Cut | NodeChange::Ready | NodeChange::Removed => true,
            NodeChange::Taints | NodeChange::Added => {
                is_lost || node.has_lost_taint(cluster.node_keys())
            }
            NodeChange::Cordoned
            | NodeChange::Uncordoned
            | NodeChange::Up
            | NodeChange::Joined
            | NodeChange::Links
            | NodeChange::Offer
            | NodeChange::Pressure
            | NodeChange::ShutsDown
            | NodeChange::KubeletRestarts
            | NodeChange::SandboxesLost
            | NodeChange::Labels => false,
        };
        if matters {
            out.push(ObjectKey::Cluster);
            if !matches!(what, NodeChange::Down | NodeChange::Cut | NodeChange::Added) {
                out.extend(cluster.zones().map(ObjectKey::Zone));
            }
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        match key {
            ObjectKey::Cluster => self.look(cluster, plan, ctx),
            ObjectKey::Zone(zone) => self.turn(zone, cluster, plan, ctx.now()),
            ObjectKey::Node(id) => {
                let node = &cluster.nodes()[id];
                if let Some(write) = no_schedule::write(id, node, cluster).filter(|_| !node.is_gone)
                {
                    plan.push(write);
                }
                Requeue::Never
            }
            _ => Requeue::Never,
        }
    }

    fn landed(&mut self, key: ObjectKey, now: SimTime) -> Requeue {
        if key != ObjectKey::Cluster {
            return Requeue::Never;
        }
        self.passes.end(now);
        Requeue::After(self.settings.period)
    }
}

/// The nodes that are there.
fn there(cluster: &Cluster) -> impl Iterator<Item = (NodeId, &Node)> {
    cluster.nodes().enumerate().filter(|(_, node)| !node.is_gone)
}

/// The taint that goes with a condition other than True, and the opposite one.
fn lost_keys(
    condition: Readiness,
    cluster: &Cluster,
) -> Option<(crate::base::Symbol, crate::base::Symbol)> {
    let keys = cluster.node_keys();
    match condition {
        Readiness::False => Some((keys.not_ready, keys.unreachable)),
        Readiness::Unknown => Some((keys.unreachable, keys.not_ready)),
        Readiness::True | Readiness::Absent => None,
    }
}

/// Puts the NoExecute taint `own` in place of `other`.
fn swap(
    node: NodeId,
    own: crate::base::Symbol,
    other: crate::base::Symbol,
    cluster: &Cluster,
) -> Write {
    let value = cluster.node_keys().no_value;
    let taint = |key| Taint { key, value, effect: TaintEffect::NoExecute };
    Write::SwapTaints { node, add: vec![taint(own)], remove: vec![taint(other)] }
}

/// The first look at the queues not before an instant.
fn tick_from(at: SimTime) -> SimTime {
    let ticks = at.since_start().as_nanos().div_ceil(TICK.as_nanos());
    SimTime::ZERO + TICK * ticks
}

/// The first look at the queues after an instant.
fn tick_after(at: SimTime) -> SimTime {
    tick_from(at + Duration::ns(1))
}
