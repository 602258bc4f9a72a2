//! Nodes that fall silent, taints, evictions and pod garbage collection, slot by slot (rules C161 to C175).

use crate::support::plane::judge_controllers;

#[test]
fn conformance_node_lifecycle() {
    judge_controllers("nodelifecycle", |_, _| None);
}
