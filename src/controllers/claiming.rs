//! Which pods are an owner's own: those that it selects. Pods that it owns and selects no more are
//! released, pods without owner that it selects are adopted.

use crate::base::Symbol;
use crate::cluster::{Cluster, Plan, Pod, Write};
use crate::model::{ObjectKey, OwnerRef, PodId, PodRef, Selector};

/// What an owner claims by.
#[derive(Clone, Copy)]
pub(super) struct Claims<'a> {
    pub(super) owner: OwnerRef,
    pub(super) namespace: Symbol,
    pub(super) selector: &'a Selector,
    /// The pods that it owns.
    pub(super) pods: &'a [PodId],
}

/// Adopts and releases; true if there was something, which ends the look: another one follows.
/// What is no member by its name is nobody's business here.
///
/// Source: kubernetes v1.36.3 pkg/controller/controller_ref_manager.go `ClaimPods`, `ClaimObject`
/// (rule C8).
pub(super) fn claim(
    claims: Claims<'_>,
    is_member: impl Fn(&Pod) -> bool,
    cluster: &Cluster,
    plan: &mut Plan,
) -> bool {
    let (pods, before) = (cluster.pods(), plan.writes().len());
    let selects =
        |pod: &Pod| claims.selector.matches(&cluster.template_of(pod).labels, cluster.names());
    for id in claims.pods.iter().filter(|id| !selects(&pods[**id])) {
        plan.push(Write::PodOwner { pod: pods.refer(*id), owner: None });
    }
    for id in cluster.orphans(claims.namespace, claims.selector) {
        let pod = &pods[id];
        if pod.deletion.is_none() && is_member(pod) {
            plan.push(Write::PodOwner { pod: pods.refer(id), owner: Some(claims.owner) });
        }
    }
    plan.writes().len() > before
}

/// Who must look because a pod has other labels or another owner, or is new and nobody's: its owner
/// now, and all that select it if it has none.
pub(super) fn concerned(pod: PodRef, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
    let Some(row) = cluster.pod(pod) else { return };
    match row.owner {
        Some(owner) => out.push(owner.key()),
        None => {
            let labels = &cluster.template_of(row).labels;
            cluster.owners_selecting(row.namespace, labels, out);
        }
    }
}
