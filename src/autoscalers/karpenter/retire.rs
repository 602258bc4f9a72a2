//! Pods on nodes that are to go (rules A202, A220).

use std::collections::BTreeSet;

use crate::cluster::{Cluster, Pod};
use crate::model::{NodeId, PodRef, Taint, TaintEffect, WorkloadKind};

use super::requirement::tolerates;
use super::words::Words;

/// The taint of nodes that are to go.
pub(super) const fn taint(words: &Words) -> Taint {
    Taint { key: words.disrupted, value: words.nothing, effect: TaintEffect::NoSchedule }
}

/// Pods of a node whose coming and going counts (rule A202).
pub(super) fn own_pods(node: NodeId, cluster: &Cluster) -> BTreeSet<u64> {
    let rows = cluster.nodes()[node].pods.iter().map(|pod| &cluster.pods()[*pod]);
    rows.filter(|row| row.origin != WorkloadKind::DaemonSet).map(|row| row.serial).collect()
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
