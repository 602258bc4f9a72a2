//! The catalogue of causes (rules N460 to N491) as a table: each cause makes calls fail, its
//! mitigation brings them to none, and what is no mitigation does not help.
//!
//! Every row is run over the same seeds, as it is and with each change. "None" is none in any run;
//! "does not help" is more than half of what failed before, on average. What is not a matter of
//! failing or not is in `figures`, and what the rules expect by a
//! formula in `formulas`.

mod figures;
mod formulas;
mod hangs;
mod stories;
mod table;
mod ways;

use std::sync::Arc;

use seatrial::experiment::{Experiment, Options, run};
use seatrial::manifest::Loader;
use seatrial::model::Model;
use seatrial::scenario::{Place, load};

use hangs::HANGS;
use table::{DRAINS, GRACE_60, KEEPS_ALL, Measure, Row, SLEEP_15, TABLE};
use ways::WAYS;

const SEEDS: u32 = 6;

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

const BUDGET: &str = "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: web } } }
";

const INGRESS: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: web }
spec: { defaultBackend: { service: { name: web, port: { number: 80 } } } }
";

/// The plain rollout with assignments laid over it.
fn model_of(sets: &[&str]) -> Arc<Model> {
    let web = crate::support::WEB.replace("REPLICAS", "4").replace(
        "ports: [{ containerPort: 8080 }]",
        "ports: [{ containerPort: 8080 }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }",
    );
    let front = web.replace("web", "front");
    let set = web
        .replace("web", "set")
        .replace("kind: Deployment", "kind: StatefulSet")
        .replace("replicas: 4", "serviceName: set\n  replicas: 3");
    let service = web
        .split_once("---\n")
        .expect("a Service")
        .1
        .replace("{ name: web }", "{ name: web-peers }");
    let twice = format!("{web}---\n{service}");
    let others: Vec<String> =
        (0..49).map(|n| twice.replace("web", &format!("other-{n}"))).collect();
    let (others, few) = (others.join("---\n"), others[..4].join("---\n"));
    let files = [
        ("scenario.yaml", SCENARIO),
        ("web.yaml", web.as_str()),
        ("front.yaml", front.as_str()),
        ("others.yaml", others.as_str()),
        ("few.yaml", few.as_str()),
        ("set.yaml", set.as_str()),
        ("budget.yaml", BUDGET),
        ("ingress.yaml", INGRESS),
    ];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let loaded = load(&place, &sets).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    Arc::clone(&loaded.model)
}

/// Runs the plain rollout with assignments laid over it.
fn experiment(sets: &[&str], seeds: u32) -> Experiment {
    let model = model_of(sets);
    let options = Options { replications: seeds, jobs: 2, ..Options::of(&model) };
    run(&model, options, &|_| {}).expect("within all limits")
}

/// A number of the calls to `web`: its mean, and the most of any run.
fn calls(of: &Experiment, what: &str) -> (f64, f64) {
    let number = of.summary.get(&["services", "web", "calls", what]).expect("counted");
    let most = number.runs.iter().flatten().copied().fold(0.0, f64::max);
    (number.value.expect("calls were made"), most)
}

/// Runs, and the lower end of the 95 % interval of a number's mean over the seeds: over six times
/// as many where those do not show that it is more than none.
fn sure(sets: &[&str], what: &str) -> (Experiment, f64) {
    let low = |of: &Experiment| {
        let number = of.summary.get(&["services", "web", "calls", what]).expect("counted");
        number.interval.expect("several runs").0
    };
    let few = experiment(sets, SEEDS);
    let from = low(&few);
    if from > 0.0 {
        return (few, from);
    }
    let many = experiment(sets, 6 * SEEDS);
    let from = low(&many);
    (many, from)
}

/// Runs one row; what is wrong with it.
fn judge(row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = row.rule;
    let what = match row.measure {
        Measure::Failed(_) => "failed",
        Measure::Slow => "slow",
    };
    let (before, low) = sure(row.cause, what);
    let (mean, _) = calls(&before, what);
    if let Measure::Failed(causes) = row.measure {
        let by =
            |cause: &&str| before.summary.value(&["services", "web", "calls", "by_cause", cause]);
        let of_causes: f64 = causes.iter().filter_map(by).sum();
        println!("{name}: {mean:.1} failed, {of_causes:.1} by {causes:?}");
        if of_causes < 0.9 * mean {
            wrong.push(format!("{name}: {mean} failed, {of_causes} by its causes"));
        }
    } else {
        println!("{name}: {mean:.1} slow");
    }
    if mean < 1.0 {
        wrong.push(format!("{name}: {mean} {what}"));
    }
    // The cause is no matter of luck: the interval over the seeds is above none.
    if low <= 0.0 {
        wrong.push(format!("{name}: {mean} {what}, from {low} on"));
    }
    let with = |more: &[&str]| calls(&experiment(&[row.cause, more].concat(), SEEDS), what);
    for change in row.helps {
        let (left, most) = with(change);
        println!("    {change:?}: {left:.2}, at most {most}");
        if most > 0.0 {
            wrong.push(format!("{name}: {left} still {what} with {change:?}"));
        }
    }
    for change in row.wrong {
        let (after, low) = sure(&[row.cause, change].concat(), what);
        let (left, _) = calls(&after, what);
        println!("    no help, {change:?}: {left:.2}, from {low:.2} on");
        if left < mean / 2.0 || low <= 0.0 {
            wrong.push(format!("{name}: {change:?} helps: {left} of {mean}, from {low} on"));
        }
    }
    wrong
}

/// Judges every third row. `SEATRIAL_RULE` names one.
fn judge_third(first: usize) {
    let only = std::env::var_os("SEATRIAL_RULE").unwrap_or_default();
    let only = only.to_string_lossy();
    let rows = TABLE
        .iter()
        .chain(HANGS)
        .chain(WAYS)
        .skip(first)
        .step_by(3)
        .filter(|row| row.rule.contains(&*only));
    let wrong: Vec<String> = rows.flat_map(judge).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_cause_fails_calls_and_its_mitigation_alone_ends_that_1() {
    judge_third(0);
}

#[test]
fn each_cause_fails_calls_and_its_mitigation_alone_ends_that_2() {
    judge_third(1);
}

#[test]
fn each_cause_fails_calls_and_its_mitigation_alone_ends_that_3() {
    judge_third(2);
}

/// Rule N491, the control: nothing fails where all is as it should be, of a million calls in each of
/// two profiles.
#[test]
fn the_control_loses_nothing() {
    for profile in ["measured-small", "measured-medium"] {
        let sets = [
            SLEEP_15,
            GRACE_60,
            DRAINS,
            KEEPS_ALL,
            "traffic[0].rate=1000/s",
            &format!("cluster.latencies={profile}"),
        ];
        let experiment = experiment(&sets, SEEDS);
        let total = experiment.summary.value(&["services", "web", "calls", "total"]);
        let made = total.expect("counted") * f64::from(SEEDS);
        let failed = calls(&experiment, "failed");
        println!("{profile}: {made} calls, {failed:?} failed a run and at most");
        assert!(made >= 1e6, "{made} calls");
        assert!(failed.1 <= 0.0, "{profile}: {failed:?} failed");
    }
}
