//! Deployments with their ReplicaSets and pods, slot by slot.
//!
//! FIXME: few cases differ: the reason of Progressing of several statuses in one instant, which of
//! several equal pods goes, how often creations are refused within one instant (all left to chance
//! upstream), and one deadline that is seen a second late.

use crate::support::plane::judge_most_controllers;

/// Of a hundred cases.
const DIFFERING_MAX: usize = 5;

#[test]
fn conformance_deployments() {
    judge_most_controllers("deployment", DIFFERING_MAX, |_, _| None);
}

#[test]
fn conformance_deployments_more() {
    judge_most_controllers("deployment-more", DIFFERING_MAX + 2, |_, _| None);
}
