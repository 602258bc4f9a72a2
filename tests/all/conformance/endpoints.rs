//! EndpointSlices of Services in rollouts, slot by slot.

use crate::support::plane::judge_controllers;

#[test]
fn conformance_endpoints() {
    judge_controllers("endpoints", |_, _| None);
}
