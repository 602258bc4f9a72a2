//! Why a budget refuses an eviction, and whether it could ever allow one.

use crate::base::IntOrString;
use crate::cluster::{Budget, Cluster, DisruptionAllowed, EvictionRefused};
use crate::model::DisruptionBudget;
use crate::record::BlockedBy;

/// What a budget asks for, in its manifest's words.
pub(super) fn rule(spec: &DisruptionBudget) -> String {
    let text = |amount: &IntOrString| match amount {
        IntOrString::Int(count) => count.to_string(),
        IntOrString::Text(share) => share.to_string(),
    };
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(max), _) => format!("maxUnavailable {}", text(max)),
        (None, Some(min)) => format!("minAvailable {}", text(min)),
        (None, None) => "neither minAvailable nor maxUnavailable".to_owned(),
    }
}

/// Why a budget refused, seen from what its pods are now.
pub(super) fn why(
    refused: &EvictionRefused,
    budget: Option<&Budget>,
    cluster: &Cluster,
) -> BlockedBy {
    let Some(budget) = budget else { return BlockedBy::SeveralBudgets };
    if let Some(DisruptionAllowed::SyncFailed(why)) = &budget.status.condition {
        return BlockedBy::NotCounted(why.to_string());
    }
    if refused.retry_after.is_some() {
        return BlockedBy::NotObserved;
    }
    let pods = budget.pods.iter().map(|pod| &cluster.pods()[*pod]);
    let (mut there, mut waiting, mut unready) = (0_i64, 0, 0);
    for pod in pods.filter(|pod| pod.is_active()) {
        there += 1;
        waiting += u32::from(pod.node.is_none());
        unready += u32::from(pod.node.is_some() && !pod.status.ready);
    }
    let wanted = match cluster.expected_scale(&budget.pods) {
        Ok((scale, false)) => scale,
        Ok((_, true)) | Err(_) => there,
    };
    let (healthy, desired) = (budget.status.healthy, budget.status.desired);
    if desired >= wanted {
        return BlockedBy::Never { desired, pods: wanted };
    }
    if waiting + unready > 0 {
        return BlockedBy::Unready { healthy, desired, waiting, unready };
    }
    BlockedBy::Busy { healthy, desired }
}
