//! PodDisruptionBudgets, evictions and drains, slot by slot, with every answer (rules C144 to
//! C159).

use crate::support::plane::judge_controllers;

#[test]
fn conformance_disruption() {
    judge_controllers("disruption", |_, _| None);
}
