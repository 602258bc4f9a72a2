//! ReplicaSets, slot by slot (rules C66 to C79).

use crate::support::plane::judge_controllers;

#[test]
fn conformance_replica_sets() {
    judge_controllers("replicaset", |_, _| None);
}
