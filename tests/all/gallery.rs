//! Scenarios of the gallery that measure: their `expect` lines hold.

use std::sync::Arc;

use seatrial::experiment::{Options, run};
use seatrial::report::expect::Expect;
use seatrial::report::known_paths;

use crate::support::gallery;

/// Runs a scenario over two seeds; every line holds.
fn check(name: &str) {
    let loaded = gallery(name, &[]);
    let model = Arc::clone(&loaded.model);
    let options = Options { replications: 2, jobs: 2, ..Options::of(&model) };
    let experiment = run(&model, options, &|_| {}).expect("within all limits");
    let known = known_paths(&model);
    assert!(!loaded.expect.is_empty(), "{name} expects nothing");
    for line in &loaded.expect {
        let expect = Expect::read(&line.value, &known);
        let expect = expect.unwrap_or_else(|error| panic!("{}: {error:?}", line.value));
        let verdict = expect.judge(&experiment.summary);
        assert!(verdict.held, "{name}: {verdict:?}");
    }
    let refused = experiment.summary.value(&["run", "commands_refused"]);
    assert_eq!(refused, Some(0.0), "{name}: a command was refused");
}

#[test]
fn causes_and_what_helps() {
    for name in [
        "retry-storm",
        "capacity-dip",
        "cold-pods",
        "pinned-http2",
        "cpu-throttling",
        "probe-kills",
        "oom-leak",
        "node-shutdown",
        "grace",
        "bad-releases",
        "kubelet-upgrade",
        "metrics-outage",
        "fan-out",
        "noisy-disk",
        "image-gc",
    ] {
        check(name);
    }
}

#[test]
fn what_autoscalers_follow() {
    ["hpa-flapping", "hpa-surge", "llm-serving", "real-demand"].into_iter().for_each(check);
}

#[test]
fn why_pods() {
    ["sidecar", "shared-volume", "config-change", "ingress", "mesh", "partition", "runbook"]
        .into_iter()
        .for_each(check);
}

#[test]
fn switches() {
    ["blue-green", "noisy-neighbour", "sticky", "control"].into_iter().for_each(check);
}

/// Rule N461: which sleep is enough, in clusters of three sizes.
#[test]
fn sleeps() {
    for name in ["sleep-sweep", "sleep-sweep/medium.yaml", "sleep-sweep/large.yaml"] {
        check(name);
    }
}

#[test]
fn nodes_come_and_go() {
    ["spike-outruns-nodes", "consolidation-pdb", "autoscaler-compare"].into_iter().for_each(check);
}

/// The summary of a stuck rollout says that it was stuck, and not only that its undo was quick.
#[test]
fn a_stuck_rollout_is_told() {
    let sets = ["run.replications=1", "traffic=[]", "expect=[]"];
    let model = gallery("stuck-rollout", &sets).model;
    let run = run(&model, Options::of(&model), &|_| {}).expect("within all limits");
    let text = seatrial::report::text::print(&run.summary, &run.facts, &[]);
    let wanted = "  before     v1 → v2 at 1:00: not complete when this one began, progress deadline \
                  passed at 2:01\n";
    assert!(text.contains(wanted), "{text}");
}
