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
    ["sidecar", "shared-volume", "config-change", "ingress", "partition"]
        .into_iter()
        .for_each(check);
}

#[test]
fn nodes_come_and_go() {
    ["spike-outruns-nodes", "consolidation-pdb", "autoscaler-compare"].into_iter().for_each(check);
}
