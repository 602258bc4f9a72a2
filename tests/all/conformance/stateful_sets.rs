//! StatefulSets, slot by slot (rules C80 to C96).

use crate::support::plane::judge_controllers;

#[test]
fn conformance_stateful_sets() {
    judge_controllers("statefulset", |_, _| None);
}
