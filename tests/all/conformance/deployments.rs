//! Deployments with their ReplicaSets and pods, slot by slot.

use crate::support::plane::judge_controllers;

#[test]
#[ignore = "not all cases agree yet"]
fn conformance_deployments() {
    judge_controllers("deployment", |_, _| None);
}

#[test]
#[ignore = "not all cases agree yet"]
fn conformance_deployments_more() {
    judge_controllers("deployment-more", |_, _| None);
}
