//! Deployments with their ReplicaSets and pods, slot by slot (rules C15 to C65).
//!
//! One case differs (deployment-000237): there a ReplicaSet was looked at between two writes of one
//! look of its Deployment, 18 → 17 for a pod that is not ready and 17 → 7 for the rest. The node of
//! the first pod had lost its higher rank by the second look (rules C35, C38, C75); ours sees 18 → 7.

use crate::support::plane::{judge_controllers, judge_limited, judge_most_controllers};

#[test]
fn conformance_deployments() {
    // One of a hundred: of the 820 recorded cases one differs.
    judge_most_controllers("deployment", 1, |_, _| None);
}

#[test]
fn conformance_deployments_more() {
    judge_controllers("deployment-more", |_, _| None);
}

/// Rules C12 to C14: clients of 20 requests a second.
#[test]
fn conformance_rate_limited() {
    judge_limited("rate-limited");
}
