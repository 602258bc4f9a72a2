//! DaemonSets, slot by slot (rules C97 to C113).

use crate::support::plane::judge_controllers;

#[test]
fn conformance_daemon_sets() {
    judge_controllers("daemonset", |_, _| None);
}
