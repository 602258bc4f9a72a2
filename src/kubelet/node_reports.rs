//! What kubelets report of their nodes: a machine that comes back, or is not cut off any more, is
//! ready.
//!
//! A report that would say what is known already is no event, and neither is the renewal of a
//! Lease: whoever waits for them works out when they were (rule C161).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kubelet_node_status.go `syncNodeStatus`. Differs: a
//! kubelet reports as soon as its machine is back, and is ready then.

use rand_chacha::ChaCha8Rng;

use crate::base::SimTime;
use crate::cluster::{Change, Cluster, Component, NodeChange, NodeEvent, Plan, Readiness, Write};
use crate::event::{Event, NodeStep};
use crate::sim::{Ctx, Streams};

/// The reports of all kubelets.
#[derive(Debug)]
pub struct NodeReports {
    rng: ChaCha8Rng,
    /// When reports land.
    due: crate::base::IdVec<crate::model::NodeId, SimTime>,
}

impl NodeReports {
    /// For a run.
    #[must_use]
    pub fn new(streams: &Streams) -> Self {
        Self { rng: streams.open("node-reports", ""), due: crate::base::IdVec::new() }
    }
}

impl Component<NodeEvent> for NodeReports {
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Change::Node { node, what: NodeChange::Up | NodeChange::Joined } = *change else {
            return;
        };
        let write = &cluster.model().latencies.status_write;
        let due = ctx.now() + write.sample_duration(&mut self.rng);
        *self.due.grow_to(node) = due;
        ctx.at(due, Event::Node { node, step: NodeStep::Report });
    }

    fn handle(
        &mut self,
        (node, step): NodeEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let NodeStep::Report = step;
        let row = &cluster.nodes()[node];
        let is_due = self.due.get(node) == Some(&ctx.now());
        if is_due && row.is_up && !row.is_cut() && row.condition != Readiness::True {
            plan.push(Write::NodeReady { node, ready: true });
        }
    }
}
