//! Whoever watches over nodes: a machine that dies is taken for lost after a while, and its pods
//! are evicted later still.
//!
//! ```text
//! machine dies ─45 to 60 s─► Lost: NotReady, taints ─toleration (300 s)─► Evict: DELETE of its pods
//! machine is back ─► Back: Ready, taints gone
//! ```
//!
//! Stands for kube-controller-manager's node lifecycle and taint eviction controllers and for the
//! kubelets' leases. Owns when each node was lost and when its taint took effect.
//!
//! Source: kubernetes v1.36.3 pkg/controller/nodelifecycle/node_lifecycle_controller.go
//! `monitorNodeHealth`, `doNoExecuteTaintingPass`; pkg/controller/tainteviction (rules N400 to
//! N403). Differs: a disrupted zone does not slow down or stop evictions (N405); leases are not
//! sent one by one, the delay until a node is lost is one draw; Node objects are never deleted
//! (N404); partitions of the network are not modelled (N406, N407).

#[cfg(test)]
mod tests;

use rand_chacha::ChaCha8Rng;

use crate::base::{Duration, IdVec, SimTime, Symbol};
use crate::cluster::{Change, Cluster, Component, NodeChange, NodeEvent, Plan, Pod, Write};
use crate::event::{Event, NodeStep};
use crate::model::{Model, NodeId, Taint, TaintEffect};
use crate::sim::{Ctx, Streams};

/// How long a pod tolerates an unreachable node unless it says otherwise: admission adds that
/// toleration to every pod (rule N403).
const TOLERATION: Duration = Duration::secs(300);
/// A zone's nodes get the NoExecute taint one in so long (rule N402: 0.1 nodes a second).
const TAINT_GAP: Duration = Duration::secs(10);

/// Watches over nodes.
#[derive(Debug)]
pub struct NodeWatch {
    rng: ChaCha8Rng,
    nodes: IdVec<NodeId, Watched>,
    /// When the last node of each zone got its NoExecute taint, or will.
    zones: Vec<(Option<Symbol>, SimTime)>,
}

/// A node as the control plane sees it. Timers as in the kubelet: an event about another instant
/// than the one noted is stale.
#[derive(Clone, Copy, Debug)]
struct Watched {
    /// When it is taken for lost, or was.
    lost_due: SimTime,
    /// When its NoExecute taint takes effect.
    tainted: SimTime,
    /// When the next pod is evicted.
    evict_due: SimTime,
    /// When it is seen again.
    back_due: SimTime,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            lost_due: SimTime::MAX,
            tainted: SimTime::MAX,
            evict_due: SimTime::MAX,
            back_due: SimTime::MAX,
        }
    }
}

impl NodeWatch {
    /// A watch over the nodes of a model and those that come later.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        Self {
            rng: streams.open("node-watch", ""),
            nodes: model.nodes.iter().map(|_| Watched::default()).collect(),
            zones: Vec::new(),
        }
    }

    /// When the NoExecute taint of a node lost now takes effect: nodes of a zone stand in a row.
    fn taint_time(&mut self, zone: Option<Symbol>, now: SimTime) -> SimTime {
        let Some((_, last)) = self.zones.iter_mut().find(|(z, _)| *z == zone) else {
            self.zones.push((zone, now));
            return now;
        };
        *last = now.max(*last + TAINT_GAP);
        *last
    }

    fn lost(&mut self, node: NodeId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let row = &cluster.nodes()[node];
        let mut taints = other_taints(node, cluster);
        for effect in [TaintEffect::NoSchedule, TaintEffect::NoExecute] {
            taints.push(cluster.unreachable_taint(effect));
        }
        plan.push(Write::NodeReady { node, ready: false });
        plan.push(Write::Taints { node, taints });
        self.nodes[node].tainted = self.taint_time(row.spec.zone, ctx.now());
        self.next_eviction(node, ctx.now(), cluster, ctx);
    }

    /// Schedules the eviction of the pod whose toleration is over first, not before `from`.
    fn next_eviction(&mut self, node: NodeId, from: SimTime, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let watched = &mut self.nodes[node];
        let pods = cluster.nodes()[node].pods.iter().filter_map(|id| cluster.pods().at(*id));
        let left = pods.filter(|pod| pod.deletion.is_none());
        let due = left.filter_map(|pod| evicted_at(pod, watched.tainted, cluster));
        let Some(first) = due.filter(|at| *at >= from).min() else {
            return;
        };
        watched.evict_due = first;
        ctx.at(first, Event::Node { node, step: NodeStep::Evict });
    }

    fn evict(&mut self, node: NodeId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let tainted = self.nodes[node].tainted;
        for id in &cluster.nodes()[node].pods {
            let Some(pod) = cluster.pods().at(*id).filter(|pod| pod.deletion.is_none()) else {
                continue;
            };
            if evicted_at(pod, tainted, cluster).is_some_and(|at| at <= ctx.now()) {
                plan.push(Write::DeletePod { pod: cluster.pods().refer(*id), grace: None });
            }
        }
        self.next_eviction(node, ctx.now() + Duration::ns(1), cluster, ctx);
    }

    fn back(&mut self, node: NodeId, cluster: &Cluster, plan: &mut Plan) {
        self.nodes[node] = Watched::default();
        if cluster.nodes()[node].ready {
            return;
        }
        plan.push(Write::NodeReady { node, ready: true });
        plan.push(Write::Taints { node, taints: other_taints(node, cluster) });
    }
}

/// The taints of a node without those of an unreachable one.
fn other_taints(node: NodeId, cluster: &Cluster) -> Vec<Taint> {
    let key = cluster.unreachable_taint(TaintEffect::NoExecute).key;
    let taints = &cluster.nodes()[node].spec.taints;
    taints.iter().filter(|taint| taint.key != key).cloned().collect()
}

/// When a pod is evicted from a node that got its taint at `tainted`; `None`: never.
///
/// Source: pkg/controller/tainteviction/taint_eviction.go `getMinTolerationTime`.
fn evicted_at(pod: &Pod, tainted: SimTime, cluster: &Cluster) -> Option<SimTime> {
    let taint = cluster.unreachable_taint(TaintEffect::NoExecute);
    let tolerations = &cluster.template_of(pod).template.spec.tolerations;
    let mut matching = tolerations.iter().filter(|t| t.tolerates(&taint)).peekable();
    if matching.peek().is_none() {
        return Some(tainted + TOLERATION);
    }
    matching.filter_map(|t| t.seconds).min().map(|seconds| tainted + seconds)
}

impl Component<NodeEvent> for NodeWatch {
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Change::Node { node, what } = *change else {
            return;
        };
        let latencies = &cluster.model().latencies;
        let (delay, step) = match what {
            NodeChange::Down => {
                (latencies.node_lost.sample_duration(&mut self.rng), NodeStep::Lost)
            }
            NodeChange::Up => (latencies.watch.sample_duration(&mut self.rng), NodeStep::Back),
            NodeChange::Added => {
                self.nodes.grow_to(node);
                return;
            }
            NodeChange::Cordoned
            | NodeChange::Uncordoned
            | NodeChange::Taints
            | NodeChange::Labels
            | NodeChange::Offer
            | NodeChange::Removed
            | NodeChange::Ready => return,
        };
        let due = ctx.now() + delay;
        let watched = self.nodes.grow_to(node);
        if step == NodeStep::Lost {
            (watched.lost_due, watched.back_due) = (due, SimTime::MAX);
        } else {
            (watched.lost_due, watched.back_due) = (SimTime::MAX, due);
        }
        ctx.at(due, Event::Node { node, step });
    }

    fn handle(
        &mut self,
        (node, step): NodeEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let now = ctx.now();
        let watched = self.nodes[node];
        match step {
            NodeStep::Lost if watched.lost_due == now => self.lost(node, cluster, plan, ctx),
            NodeStep::Evict if watched.evict_due == now => self.evict(node, cluster, plan, ctx),
            NodeStep::Back if watched.back_due == now => self.back(node, cluster, plan),
            NodeStep::Lost | NodeStep::Evict | NodeStep::Back => {}
        }
    }
}
