//! Pods that the kubelet itself ends (rules N43, N133).

use super::types::{Because, Condition, Message, Phase, Status};
use crate::base::SimTime;

/// Writes into a status that the kubelet ended the pod.
pub(super) fn judge(status: &mut Status, reason: &'static str, message: Message, now: SimTime) {
    status.phase = Phase::Failed;
    status.reason = reason;
    status.message = message;
    status.conditions.disruption = Some(Condition {
        is_true: true,
        reason: Because::TerminationByKubelet,
        since: now.floor_secs(),
        named: 0,
    });
}
