//! Pods on nodes that are to go (rules A202, A220).

use crate::base::SimTime;
use crate::cluster::{Cluster, Pod};
use crate::model::{NodeId, PodRef, Taint, TaintEffect, WorkloadKind};

use super::requirement::tolerates;
use super::words::Words;

/// The taint of nodes that are to go.
pub(super) const fn taint(words: &Words) -> Taint {
    Taint { key: words.disrupted, value: words.nothing, effect: TaintEffect::NoSchedule }
}

/// Pods of a node whose coming and going counts (rule A202), in the order of the table.
pub(super) fn own_pods(node: NodeId, cluster: &Cluster) -> impl Iterator<Item = u64> + '_ {
    let rows = cluster.nodes()[node].pods.iter().map(|pod| &cluster.pods()[*pod]);
    rows.filter(|row| row.origin != WorkloadKind::DaemonSet).map(|row| row.serial)
}

/// Whether pods came or went since they were noted; notes them.
pub(super) fn note_pods(known: &mut Vec<u64>, node: NodeId, cluster: &Cluster) -> bool {
    if own_pods(node, cluster).eq(known.iter().copied()) {
        return false;
    }
    let mut before = std::mem::replace(known, own_pods(node, cluster).collect());
    let mut now = known.clone();
    before.sort_unstable();
    now.sort_unstable();
    before != now
}

/// When a pod must be told to end so that it has its own grace before its node is gone.
pub(super) fn is_due(pod: &Pod, now: SimTime, deadline: SimTime, cluster: &Cluster) -> bool {
    now + cluster.template_of(pod).template.spec.grace >= deadline
}

/// Pods that must leave a node before it goes, and whether a DaemonSet owns them.
pub(super) fn movable(node: NodeId, taint: &Taint, cluster: &Cluster) -> Vec<(PodRef, bool)> {
    let pods = cluster.nodes()[node].pods.iter();
    let stays = |row: &Pod| {
        let spec = &cluster.template_of(row).template.spec;
        tolerates(&spec.tolerations, std::slice::from_ref(taint))
    };
    let rows = pods.map(|pod| (cluster.pods().refer(*pod), &cluster.pods()[*pod]));
    rows.filter(|(_, row)| !stays(row))
        .map(|(pod, row)| (pod, row.origin == WorkloadKind::DaemonSet))
        .collect()
}
