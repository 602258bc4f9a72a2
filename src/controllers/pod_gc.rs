//! Pod garbage collection: pods that no kubelet will ever finish, and ended ones that are too many.
//!
//! A loop of 20 s. It is an event only where there is something for it: ended pods above the
//! limit, pods that are being deleted on a node out of service, pods bound to a node that is gone.
//!
//! Source: kubernetes v1.36.3 pkg/controller/podgc/gc_controller.go (rules C173 to C175).
//! Differs: pods that are being deleted without a node go at once in any case (rule C6); that a
//! node is gone is not confirmed by a request.

use std::collections::BTreeMap;

use crate::base::{Duration, SimTime};
use crate::cluster::{
    Change, Cluster, Controller, Disruption, Node, NodeChange, Phase, Plan, Pod, PodStatus,
    Requeue, Write,
};
use crate::model::{Model, NodeId, ObjectKey, PodId, PodRef};
use crate::sim::{Ctx, Streams};

/// The period of the loop.
const PERIOD: Duration = Duration::secs(20);
/// How long a node must have been gone.
const QUARANTINE: Duration = Duration::secs(40);
/// How many ended pods are left (`--terminated-pod-gc-threshold`).
const ENDED_MAX: usize = 12_500;

/// The pod garbage collector.
#[derive(Debug, Default)]
pub struct PodGcController {
    /// Nodes that are gone, with pods: until when they are in quarantine.
    quarantine: BTreeMap<NodeId, SimTime>,
}

impl PodGcController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, _streams: &Streams) -> Self {
        Self::default()
    }

    fn collect(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        for pod in ended_above(ENDED_MAX, cluster) {
            force_delete((pod, now), None, cluster, plan);
        }
        for (id, pod) in cluster.pods().iter() {
            let node = pod.node.map(|node| &cluster.nodes()[node]);
            if pod.deletion.is_some() && node.is_some_and(|node| is_out_of_service(node, cluster)) {
                force_delete((cluster.pods().refer(id), now), None, cluster, plan);
            }
        }
        self.collect_orphans(cluster, plan, now);
    }

    /// Pods bound to nodes that are gone: a node is noted in one loop and its pods go in the first
    /// one after its quarantine.
    fn collect_orphans(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        for (_, pod) in cluster.pods().iter() {
            if let Some(node) = pod.node.filter(|node| cluster.nodes()[*node].is_gone) {
                self.quarantine.entry(node).or_insert(now + QUARANTINE);
            }
        }
        let free: Vec<NodeId> =
            self.quarantine.iter().filter(|(_, until)| **until <= now).map(|(id, _)| *id).collect();
        for node in free {
            self.quarantine.remove(&node);
            let orphans = cluster.pods().iter().filter(|(_, pod)| pod.node == Some(node));
            for (id, _) in orphans {
                let pod = cluster.pods().refer(id);
                force_delete((pod, now), Some(Disruption::DeletionByPodGc), cluster, plan);
            }
        }
    }

    /// Whether a later loop will find something.
    fn has_more(&self, cluster: &Cluster) -> bool {
        let is_stuck = |pod: &Pod| {
            pod.node.map(|node| &cluster.nodes()[node]).is_some_and(|node| {
                !pod.is_over
                    && (node.is_gone
                        || (pod.deletion.is_some() && is_out_of_service(node, cluster)))
            })
        };
        !self.quarantine.is_empty()
            || cluster.pod_counts().terminal as usize > ENDED_MAX
            || cluster.pods().iter().any(|(_, pod)| is_stuck(pod))
    }
}

impl Controller for PodGcController {
    fn name(&self) -> &'static str {
        "pod-garbage-collector-controller"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let is_stuck = |node: NodeId| {
            let row = &cluster.nodes()[node];
            row.is_gone || is_out_of_service(row, cluster)
        };
        let matters = match *change {
            Change::Node { node, what: NodeChange::Removed } => {
                cluster.pod_counts().terminal > 0 || !cluster.nodes()[node].pods.is_empty()
            }
            Change::Node { node, what: NodeChange::Taints | NodeChange::Ready }
            | Change::PodDeleting { node: Some(node), .. }
            | Change::PodBound { node, .. } => is_stuck(node),
            Change::PodStatus { what, .. } => {
                what.ended && cluster.pod_counts().terminal as usize > ENDED_MAX
            }
            _ => false,
        };
        if matters {
            out.push(ObjectKey::Cluster);
        }
    }

    fn reconcile(
        &mut self,
        _key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let now = ctx.now();
        let loops = now.since_start().as_nanos() / PERIOD.as_nanos();
        let this = SimTime::ZERO + PERIOD * loops;
        if this == now {
            self.collect(cluster, plan, now);
        }
        if self.has_more(cluster) {
            Requeue::After((this + PERIOD).saturating_since(now))
        } else {
            Requeue::Never
        }
    }
}

/// Whether a user has said that a node that is not ready will not come back (rule C174).
fn is_out_of_service(node: &Node, cluster: &Cluster) -> bool {
    let key = cluster.node_keys().out_of_service;
    !node.is_gone && !node.ready && node.spec.taints.iter().any(|taint| taint.key == key)
}

/// Ended pods above a limit: evicted ones first, then the oldest (rule C173).
fn ended_above(limit: usize, cluster: &Cluster) -> Vec<PodRef> {
    if cluster.pod_counts().terminal as usize <= limit {
        return Vec::new();
    }
    let rank = |pod: &Pod| {
        let is_evicted = pod.status.phase == Phase::Failed && pod.status.reason == "Evicted";
        (!is_evicted, pod.created.floor_secs(), pod.name.text(cluster.names()))
    };
    let ended = cluster.pods().iter().filter(|(_, pod)| pod.is_terminal());
    let mut ended: Vec<(_, PodId)> = ended.map(|(id, pod)| (rank(pod), id)).collect();
    ended.sort_unstable();
    ended.truncate(ended.len().saturating_sub(limit));
    ended.into_iter().map(|(_, id)| cluster.pods().refer(id)).collect()
}

/// Phase Failed if it has not ended, then a DELETE without grace.
fn force_delete(
    (pod, now): (PodRef, SimTime),
    why: Option<Disruption>,
    cluster: &Cluster,
    plan: &mut Plan,
) {
    let Some(row) = cluster.pod(pod).filter(|row| !row.is_over) else { return };
    let grace = Some(Duration::ZERO);
    let reason = why.filter(|_| !row.is_terminal());
    if !row.is_terminal() {
        let finished = row.status.finished.or(Some(now));
        let status = PodStatus { phase: Phase::Failed, finished, ..row.status };
        plan.push(Write::PodStatus { pod, status });
    }
    plan.push(match reason {
        Some(reason) => Write::Evict { pod, reason, grace },
        None => Write::DeletePod { pod, grace },
    });
}
