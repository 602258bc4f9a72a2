//! Nodes that fall silent, taints, evictions and pod garbage collection, slot by slot (rules C161 to C175,
//! N400, N402, N404 and N405).

use crate::support::plane::judge_controllers;

#[test]
fn conformance_node_lifecycle() {
    judge_controllers("nodelifecycle", |_, _| None);
}
