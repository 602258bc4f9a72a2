//! Whether a node takes a pod that was bound to it.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/lifecycle/predicate.go `Admit`, `generalFilter` (rules
//! N40 to N42). Differs: no pressure, topology and shutdown handlers (N44, N45).

use crate::base::IdVec;
use crate::cluster::{Cluster, Node, Pod};
use crate::model::{NodeId, PodId, PodRef, PodSpec, Resources, TaintEffect, matches_node};

use super::state::{PodState, Stage};

/// Why a pod is turned away, if it is: the reason of the phase Failed.
pub(super) fn rejection(
    states: &IdVec<PodId, PodState>,
    pod: PodRef,
    row: &Pod,
    node: NodeId,
    cluster: &Cluster,
) -> Option<&'static str> {
    let spec = &*cluster.template_of(row).template.spec;
    let node = &cluster.nodes()[node];
    lacks(states, pod, spec, node, cluster)
        .or_else(|| mismatch(spec, node, cluster))
        .or_else(|| port_taken(states, pod, spec, node, cluster))
        .or_else(|| untolerated(spec, node, cluster))
}

/// The first resource that the node lacks.
fn lacks(
    states: &IdVec<PodId, PodState>,
    pod: PodRef,
    spec: &PodSpec,
    node: &Node,
    cluster: &Cluster,
) -> Option<&'static str> {
    // The API's sums hold every pod that the kubelet has and those that it has not seen yet: if
    // all of them fit there is nothing to look at.
    let has = &node.spec.allocatable;
    let fits = excess(&node.requested, has).is_none();
    if fits && node.pods.len() <= crate::base::cast::usize_of(node.spec.pods_max) {
        return None;
    }
    let mut sum = spec.requests.clone();
    let mut count = 1;
    for row in held(states, pod, node, cluster) {
        sum.add(&cluster.template_of(row).template.spec.requests);
        count += 1;
    }
    if count > node.spec.pods_max {
        return Some("OutOfpods");
    }
    excess_of(&spec.requests, &sum, has)
}

/// The pods that the kubelet has: admitted, and their containers not all dead (rule N40).
fn held<'a>(
    states: &'a IdVec<PodId, PodState>,
    but: PodRef,
    node: &'a Node,
    cluster: &'a Cluster,
) -> impl Iterator<Item = &'a Pod> {
    let is_held = move |id: &&PodId| {
        **id != but.id
            && states.get(**id).is_some_and(|state| match state.stage {
                Stage::Volumes | Stage::Sandbox | Stage::Running | Stage::Stopping => true,
                Stage::Bound
                | Stage::SandboxStop
                | Stage::Finalize
                | Stage::Ended
                | Stage::Down => false,
            })
    };
    node.pods.iter().filter(is_held).filter_map(|id| cluster.pods().at(*id))
}

/// The first resource of which more is asked for in all than there is.
fn excess(sum: &Resources, has: &Resources) -> Option<&'static str> {
    excess_of(sum, sum, has)
}

/// The first resource that is asked for, and of which the sum is more than there is. Resources
/// that the node does not name are not looked at (`removeMissingExtendedResources`).
fn excess_of(asked: &Resources, sum: &Resources, has: &Resources) -> Option<&'static str> {
    if asked.cpu.0 > 0 && sum.cpu > has.cpu {
        return Some("OutOfcpu");
    }
    if asked.memory.0 > 0 && sum.memory > has.memory {
        return Some("OutOfmemory");
    }
    if asked.ephemeral_storage.0 > 0 && sum.ephemeral_storage > has.ephemeral_storage {
        return Some("OutOfephemeral-storage");
    }
    let too_much = |(name, amount): &(_, i64)| {
        let known = has.scalars.iter().find(|(n, _)| n == name);
        *amount > 0 && known.is_some_and(|(_, there)| sum.scalar(*name) > *there)
    };
    asked.scalars.iter().any(too_much).then_some("UnexpectedAdmissionError")
}

fn mismatch(spec: &PodSpec, node: &Node, cluster: &Cluster) -> Option<&'static str> {
    let (selector, affinity) = (&spec.node_selector, &spec.node_affinity);
    let own = &node.spec;
    (!matches_node(selector, affinity, own.name, &own.labels, cluster.names()))
        .then_some("NodeAffinity")
}

fn port_taken(
    states: &IdVec<PodId, PodState>,
    pod: PodRef,
    spec: &PodSpec,
    node: &Node,
    cluster: &Cluster,
) -> Option<&'static str> {
    if spec.host_ports.is_empty() {
        return None;
    }
    let is_any = |ip| matches!(cluster.names().resolve(ip), "" | "0.0.0.0");
    let taken = held(states, pod, node, cluster).any(|row| {
        let theirs = &cluster.template_of(row).template.spec.host_ports;
        theirs.iter().any(|b| {
            spec.host_ports.iter().any(|a| {
                let same_ip = a.ip == b.ip || is_any(a.ip) || is_any(b.ip);
                a.port == b.port && a.protocol == b.protocol && same_ip
            })
        })
    });
    taken.then_some("NodePorts")
}

/// A NoExecute taint. That of an unreachable node is tolerated for a while by every pod
/// (rule N403) and does not count.
fn untolerated(spec: &PodSpec, node: &Node, cluster: &Cluster) -> Option<&'static str> {
    let unreachable = cluster.node_keys().unreachable;
    let bad = node.spec.taints.iter().any(|taint| {
        taint.effect == TaintEffect::NoExecute
            && taint.key != unreachable
            && !spec.tolerations.iter().any(|t| t.tolerates(taint))
    });
    bad.then_some("TaintToleration")
}
