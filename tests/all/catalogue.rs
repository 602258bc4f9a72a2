//! The catalogue of causes (rules N460 to N491) as a table: each cause makes calls fail, its
//! mitigation brings them to none, and what is no mitigation does not help.
//!
//! Every row is run over the same seeds, as it is and with each change. "None" is none in any run;
//! "does not help" is more than half of what failed before, on average.

use std::sync::Arc;

use seatrial::experiment::{Experiment, Options, run};
use seatrial::manifest::Loader;
use seatrial::scenario::{Place, load};

const SEEDS: u32 = 6;

/// A row: a server and callers that fail, and what is changed.
struct Row {
    rule: &'static str,
    /// What is laid over the plain rollout.
    cause: &'static [&'static str],
    /// The causes that calls may fail for.
    causes: &'static [&'static str],
    /// What brings failed calls to none.
    helps: &'static [&'static str],
    /// What looks like help.
    wrong: &'static [&'static [&'static str]],
}

const SLEEP_5: &str = "deployment/web:spec.template.spec.containers[name=app].lifecycle={ preStop: { sleep: { seconds: 5 } } }";
const SLEEP_15: &str = "deployment/web:spec.template.spec.containers[name=app].lifecycle={ preStop: { sleep: { seconds: 15 } } }";
const NO_PROBE: &str = "deployment/web:spec.template.spec.containers[name=app].readinessProbe=null";
const GRACE_60: &str = "deployment/web:spec.template.spec.terminationGracePeriodSeconds=60";
const REPLICAS_8: &str = "deployment/web:spec.replicas=8";
const KEEPS_ALL: &str =
    "deployment/web:spec.strategy={ rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }";
const DRAINS: &str = "behaviors[0].shutdown={ drain: 20s }";

const TABLE: &[Row] = &[
    Row {
        rule: "N460",
        cause: &[],
        causes: &["stale_proxy", "cut_by_stop"],
        helps: &[SLEEP_5],
        // Neither finishing calls nor more patience tells proxies anything sooner.
        wrong: &[&[DRAINS], &[GRACE_60]],
    },
    Row {
        rule: "N463",
        cause: &[
            SLEEP_5,
            "behaviors[0].serve.hold=12s",
            "traffic[0].timeout=60s",
            "traffic[0].rate=20/s",
        ],
        causes: &["cut_by_stop"],
        helps: &[DRAINS, GRACE_60],
        wrong: &[&[GRACE_60], &[REPLICAS_8]],
    },
    Row {
        rule: "N464",
        cause: &[
            "behaviors[0].shutdown={ ignoresSignal: true }",
            "behaviors[0].serve.hold=40s",
            "traffic[0].timeout=100s",
            // 120 calls in service, of the 256 that four pods can hold.
            "traffic[0].rate=3/s",
        ],
        causes: &["cut_by_stop"],
        helps: &[DRAINS_45, SLEEP_5, GRACE_60],
        wrong: &[&[SLEEP_5], &[REPLICAS_8]],
    },
    Row {
        rule: "N465",
        cause: &[
            SLEEP_15,
            "traffic[0].connections=keep-alive",
            "behaviors[0].serve={ hold: 20ms, saysClose: false }",
        ],
        causes: &["connection_closed", "cut_by_stop", "stale_proxy"],
        helps: &["behaviors[0].serve={ hold: 20ms, saysClose: true }", DRAINS],
        // The sleep ends before the server says anything: kept connections go on to the old pod.
        wrong: &[&[GRACE_60], &[SLEEP_25, GRACE_60]],
    },
    Row {
        rule: "N467",
        cause: &[SLEEP_5, NO_PROBE, "behaviors[0].start=5s"],
        causes: &["not_yet_serving"],
        helps: &[PROBE],
        wrong: &[&[SLEEP_15, GRACE_60], &[DRAINS]],
    },
    Row {
        rule: "N482",
        cause: &[SLEEP_5, "deployment/web:spec.strategy={ type: Recreate, rollingUpdate: null }"],
        causes: &["no_ready_pod", "stale_proxy"],
        helps: &["deployment/web:spec.strategy={ type: RollingUpdate }"],
        wrong: &[&[REPLICAS_8], &[DRAINS]],
    },
    Row {
        rule: "N474",
        cause: &[
            SLEEP_5,
            "behaviors[0].serve={ hold: 100ms, concurrency: 2, backlog: 10 }",
            "behaviors[0].start=20s",
            "traffic[0].rate=66/s",
            "deployment/web:spec.strategy={ rollingUpdate: { maxSurge: 0, maxUnavailable: 50% } }",
        ],
        causes: &["backlog_full", "waited_too_long"],
        helps: &[KEEPS_ALL, REPLICAS_8],
        wrong: &[&[SLEEP_15], &[GRACE_60]],
    },
];

const SLEEP_25: &str = "deployment/web:spec.template.spec.containers[name=app].lifecycle={ preStop: { sleep: { seconds: 25 } } }";
const DRAINS_45: &str = "behaviors[0].shutdown={ drain: 45s }";
const PROBE: &str = "deployment/web:spec.template.spec.containers[name=app].readinessProbe={ tcpSocket: { port: 8080 }, periodSeconds: 1 }";

const SCENARIO: &str = "apiVersion: seatrial/v1
kind: Scenario
name: catalogue
cluster:
  nodes: [{ pool: workers, count: 4, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: measured-small
apply: [web.yaml]
behaviors:
  - { for: deployment/web, start: 2s, serve: { hold: 20ms } }
traffic:
  - { name: users, to: service/web, rate: 200/s }
timeline:
  - { at: 60s, run: kubectl rollout restart deployment/web }
run: { until: 4m, seed: 11, warmup: 50s }
";

fn experiment(sets: &[&str]) -> Experiment {
    let web = crate::support::WEB.replace("REPLICAS", "4").replace(
        "ports: [{ containerPort: 8080 }]",
        "ports: [{ containerPort: 8080 }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }",
    );
    let files = [("scenario.yaml", SCENARIO), ("web.yaml", web.as_str())];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let loaded = load(&place, &sets).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let model = Arc::clone(&loaded.model);
    let options = Options { replications: SEEDS, jobs: 2, ..Options::of(&model) };
    run(&model, options, &|_| {}).expect("within all limits")
}

/// Failed calls a run, and the most of any run.
fn failed(of: &Experiment) -> (f64, f64) {
    let number = of.summary.get(&["services", "web", "calls", "failed"]).expect("counted");
    let most = number.runs.iter().flatten().copied().fold(0.0, f64::max);
    (number.value.expect("calls were made"), most)
}

#[test]
fn each_cause_fails_calls_and_its_mitigation_alone_ends_that() {
    let mut wrong = Vec::new();
    for row in TABLE {
        let before = experiment(row.cause);
        let (mean, _) = failed(&before);
        let of_causes: f64 = (row.causes.iter())
            .filter_map(|cause| {
                before.summary.value(&["services", "web", "calls", "by_cause", cause])
            })
            .sum();
        println!("{}: {mean:.1} failed, {of_causes:.1} by {:?}", row.rule, row.causes);
        if mean < 1.0 || of_causes < 0.9 * mean {
            wrong.push(format!("{}: {mean} failed, {of_causes} by its causes", row.rule));
        }
        let with = |more: &[&str]| failed(&experiment(&[row.cause, more].concat()));
        let (left, most) = with(row.helps);
        println!("    {:?}: {left:.2}, at most {most}", row.helps);
        if most > 0.0 {
            wrong.push(format!("{}: {left} still failed with its mitigation", row.rule));
        }
        for change in row.wrong {
            let (left, _) = with(change);
            println!("    no help, {change:?}: {left:.2}");
            if left < mean / 2.0 {
                wrong.push(format!("{}: {change:?} helps: {left} of {mean}", row.rule));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Rule N491, the control: nothing fails where all is as it should be, of half a million calls in
/// each of two profiles (the rule asks for a million in each).
#[test]
fn the_control_loses_nothing() {
    for profile in ["measured-small", "measured-medium"] {
        let sets = [
            SLEEP_15,
            GRACE_60,
            DRAINS,
            KEEPS_ALL,
            "traffic[0].rate=500/s",
            &format!("cluster.latencies={profile}"),
        ];
        let experiment = experiment(&sets);
        let total = experiment.summary.value(&["services", "web", "calls", "total"]);
        let calls = total.expect("counted") * f64::from(SEEDS);
        println!("{profile}: {calls} calls, {:?} failed a run and at most", failed(&experiment));
        assert!(calls > 5e5, "{calls} calls");
        assert!(failed(&experiment).1 <= 0.0, "{profile}: {:?} failed", failed(&experiment));
    }
}
