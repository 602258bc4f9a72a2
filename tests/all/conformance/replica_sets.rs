//! ReplicaSets, slot by slot.

use crate::support::plane::judge_controllers;

#[test]
#[ignore = "not all cases agree yet"]
fn conformance_replica_sets() {
    judge_controllers("replicaset", |_, _| None);
}
