//! The claims of a StatefulSet's pods, and who owns them.
//!
//! Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_pod_control.go
//! `createPersistentVolumeClaims`, stateful_set_utils.go `updateClaimOwnerRefForSetAndPod`,
//! `PodClaimIsStale` (rules C82, C94).

use crate::cluster::{ClaimOwner, Plan, Pod, Write};
use crate::record::PodName;

use super::look::Look;

/// The names of a pod's claims.
fn names_of<'a>(look: &'a Look<'_, '_>, pod: PodName) -> impl Iterator<Item = String> + 'a {
    let names = look.cluster.names();
    let pod = pod.text(names);
    look.set.spec.claims.iter().map(move |claim| format!("{}-{pod}", names.resolve(*claim)))
}

/// The owner of a claim, if the claim is there.
fn owner_of(look: &Look<'_, '_>, claim: &str) -> Option<ClaimOwner> {
    look.cluster.claim_owner(look.set.spec.name.namespace, claim)
}

/// Makes the claims of a new pod that are not there.
pub(super) fn make(look: &Look<'_, '_>, pod: PodName, plan: &mut Plan) {
    let owner = match look.set.spec.retention.deletes_with_set {
        true => ClaimOwner::StatefulSet(look.id),
        false => ClaimOwner::Nobody,
    };
    for claim in names_of(look, pod) {
        if owner_of(look, &claim).is_none() {
            let namespace = look.set.spec.name.namespace;
            plan.push(Write::Claim { namespace, name: claim.into(), owner });
        }
    }
}

/// Makes the claims that a pod waits for.
pub(super) fn make_missing(look: &Look<'_, '_>, pod: &Pod, plan: &mut Plan) {
    make(look, pod.name, plan);
}

/// Whether a claim of that pod is still that of its predecessor, whose end takes it along.
pub(super) fn is_stale(look: &Look<'_, '_>, pod: PodName) -> bool {
    names_of(look, pod).any(|claim| {
        matches!(owner_of(look, &claim), Some(ClaimOwner::Pod(of)) if look.cluster.pod(of).is_none())
    })
}

/// Gives the claims of a pod the owner that the retention policy asks for.
pub(super) fn retain(look: &Look<'_, '_>, pod: &Pod, is_condemned: bool, plan: &mut Plan) {
    let policy = look.set.spec.retention;
    if look.set.spec.claims.is_empty() {
        return;
    }
    let Some(id) = look.pod_ref(pod) else { return };
    let wanted = match (policy.deletes_with_set, policy.deletes_with_scale) {
        (_, true) if is_condemned => ClaimOwner::Pod(id),
        (true, _) => ClaimOwner::StatefulSet(look.id),
        (false, _) => ClaimOwner::Nobody,
    };
    for claim in names_of(look, pod.name) {
        if owner_of(look, &claim).is_some_and(|owner| owner != wanted) {
            let namespace = look.set.spec.name.namespace;
            plan.push(Write::Claim { namespace, name: claim.into(), owner: wanted });
        }
    }
}
