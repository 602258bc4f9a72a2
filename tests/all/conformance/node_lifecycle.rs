//! Nodes that fall silent, taints, evictions and pod garbage collection, slot by slot.

use crate::support::plane::judge_controllers;

#[test]
fn conformance_node_lifecycle() {
    judge_controllers("nodelifecycle", |_, _| None);
}
