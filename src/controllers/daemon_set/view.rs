//! Which nodes want a pod of a DaemonSet, and which have some.

use smallvec::SmallVec;

use crate::base::SimTime;
use crate::cluster::{Cluster, DaemonSet, DaemonSetStatus, Node, Pod, Revision};
use crate::model::{
    DaemonSetId, DaemonSetSpec, DaemonSetStrategy, NodeId, PodId, TaintEffect, matches_node,
};

/// What a node is to a DaemonSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// It should run a pod.
    pub(super) wants: bool,
    /// A pod that is there may stay.
    pub(super) keeps: bool,
}

/// Whether a node should run a pod of a DaemonSet, and whether it may keep one. Resources, ports
/// and readiness are the scheduler's business.
///
/// Source: kubernetes v1.36.3 pkg/controller/daemon/daemon_controller.go `NodeShouldRunDaemonPod`
/// (rules C99, C101).
pub(super) fn verdict(node: &Node, spec: &DaemonSetSpec, cluster: &Cluster) -> Verdict {
    let (of, pod, names) = (&node.spec, &*spec.template.spec, cluster.names());
    let is_other = pod.node_name.is_some_and(|name| name != of.name);
    if is_other || !matches_node(&pod.node_selector, &spec.affinity, of.name, &of.labels, names) {
        return Verdict { wants: false, keeps: false };
    }
    let mut verdict = Verdict { wants: true, keeps: true };
    for taint in &of.taints {
        let drives_out = match taint.effect {
            TaintEffect::PreferNoSchedule => continue,
            TaintEffect::NoSchedule => false,
            TaintEffect::NoExecute => true,
        };
        if !pod.tolerations.iter().any(|toleration| toleration.tolerates(taint)) {
            verdict.wants = false;
            verdict.keeps &= !drives_out;
        }
    }
    verdict
}

/// The pods of one node.
pub(super) type Pods = SmallVec<[PodId; 2]>;

/// A node with its pods of the set.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) node: NodeId,
    pub(super) verdict: Verdict,
    pub(super) pods: Pods,
}

/// All nodes with the set's pods on them, or bound for them, at one look.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) id: DaemonSetId,
    pub(super) set: &'a DaemonSet,
    /// The present revision.
    pub(super) present: &'a Revision,
    pub(super) now: SimTime,
    /// The nodes that are there, in order of creation.
    pub(super) places: Vec<Place>,
    /// Pods of nodes that are gone, node by node.
    pub(super) strays: Vec<(NodeId, Pods)>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        (id, set): (DaemonSetId, &'a DaemonSet),
        (claimed, present): (&[PodId], &'a Revision),
        cluster: &'a Cluster,
        now: SimTime,
    ) -> Self {
        let mut by_node: Vec<Pods> = vec![Pods::new(); cluster.nodes().len()];
        for id in claimed {
            let pod = &cluster.pods()[*id];
            let Some(node) = target(pod, cluster) else { continue };
            // One that is over and being deleted waits for a finalizer alone.
            if !(pod.is_terminal() && pod.deletion.is_some()) {
                by_node[node.index()].push(*id);
            }
        }
        let (mut places, mut strays) = (Vec::with_capacity(by_node.len()), Vec::new());
        for ((node, row), pods) in cluster.nodes().enumerate().zip(by_node) {
            if !row.is_gone {
                let verdict = verdict(row, &set.spec, cluster);
                places.push(Place { node, verdict, pods });
            } else if !pods.is_empty() {
                strays.push((node, pods));
            }
        }
        Self { cluster, id, set, present, now, places, strays }
    }

    pub(super) fn pod(&self, id: PodId) -> &'a Pod {
        &self.cluster.pods()[id]
    }

    pub(super) fn spec(&self) -> &'a DaemonSetSpec {
        &self.set.spec
    }

    /// Whether a pod is of the present revision.
    pub(super) fn is_new(&self, pod: &Pod) -> bool {
        let label = || {
            let labels = &self.cluster.template_of(pod).labels;
            labels.get(self.cluster.revision_label())
        };
        pod.template == self.present.template || label() == Some(self.present.hash)
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        pod.is_available(self.spec().min_ready, self.now)
    }

    /// Whether a second pod may stand on a node during an update.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/daemon/util/daemonset_util.go `AllowsSurge`.
    pub(super) fn allows_surge(&self) -> bool {
        match &self.spec().strategy {
            DaemonSetStrategy::OnDelete => false,
            DaemonSetStrategy::RollingUpdate { max_surge, .. } => {
                max_surge.scaled_up(1).is_ok_and(|surge| surge > 0)
            }
        }
    }

    /// Bound ones first, then the older one, then by name.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/daemon/daemon_controller.go
    /// `podByCreationTimestampAndPhase` (rule C103).
    pub(super) fn sort(&self, pods: &mut [PodId]) {
        if pods.len() > 1 {
            pods.sort_by_cached_key(|id| {
                let pod = self.pod(*id);
                let name = pod.name.text(self.cluster.names());
                (pod.node.is_none(), pod.created.floor_secs(), name)
            });
        }
    }

    /// The status as the pods are: of each node one counts, the first in that order.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/daemon/daemon_controller.go
    /// `updateDaemonSetStatus` (rule C109).
    pub(super) fn status(&self) -> DaemonSetStatus {
        let observed_generation = self.set.generation;
        let mut status = DaemonSetStatus { observed_generation, ..DaemonSetStatus::default() };
        for place in &self.places {
            if !place.verdict.wants {
                status.misscheduled += u32::from(!place.pods.is_empty());
                continue;
            }
            status.desired += 1;
            let mut pods = place.pods.clone();
            self.sort(&mut pods);
            let Some(first) = pods.first() else { continue };
            let pod = self.pod(*first);
            status.current += 1;
            status.ready += u32::from(pod.status.ready);
            status.available += u32::from(self.is_available(pod));
            status.updated += u32::from(self.is_new(pod));
        }
        status.unavailable = status.desired - status.available;
        status
    }
}

/// The node of a pod: where it is, or where it is to go. A node that is gone is taken for the one
/// that has its name now.
fn target(pod: &Pod, cluster: &Cluster) -> Option<NodeId> {
    let node = pod.node.or(pod.pinned)?;
    let row = &cluster.nodes()[node];
    let heir = if row.is_gone { cluster.node_named(row.spec.name) } else { None };
    Some(heir.unwrap_or(node))
}
