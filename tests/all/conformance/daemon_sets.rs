//! DaemonSets, slot by slot (rules C97 to C113).

use crate::support::plane::judge_controllers;

#[test]
#[ignore = "until the taint of a cordoned node is the node lifecycle's"]
fn conformance_daemon_sets() {
    judge_controllers("daemonset", |_, _| None);
}
