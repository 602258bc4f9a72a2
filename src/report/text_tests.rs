use std::sync::Arc;

use super::*;
use crate::base::{Duration, SimTime};
use crate::model::{
    Action, Command, HpaId, Kubectl, Load, Model, Rate, Revision, ServiceId, TimelineEntry,
};
use crate::record::{
    CallRecord, CommandRecord, Fate, PodName, PodRecord, ReplicaSample, RolloutRecord, RolloutStep,
    Sample, ScaleRecord,
};
use crate::recorder::testing::{hpa, model};
use crate::recorder::{Recorder, Wants};
use crate::report::expect::Expect;
use crate::report::metrics;

fn at(ms: u64) -> SimTime {
    SimTime::at(Duration::ms(ms))
}

/// A model whose Deployments get `v2` at 1:00.
fn rolling(names: &[&str]) -> Model {
    let mut model = Arc::unwrap_or_clone(model(names));
    for deployment in &model.deployments {
        let name = model.names.resolve(deployment.name.name);
        let image = format!("shop/{name}:v2");
        let images = vec![("app".to_owned(), image.clone())];
        let revision =
            Revision { workload: deployment.template.workload, images, about: "set image" };
        let revisions = vec![revision];
        model.timeline.push(TimelineEntry {
            at: at(60_000),
            is_scripted: false,
            action: Action::Command(Command::Kubectl(Box::new(Kubectl {
                revisions,
                ..Kubectl::default()
            }))),
            text: format!("kubectl set image deployment/{name} app={image}"),
        });
    }
    model
}

/// A made-up run: `failed` calls fail as the old pods stop; all rollouts last 112 s and more.
fn facts(model: &Arc<Model>, replication: u64, failed: u64) -> Facts {
    let mut recorder = Recorder::new(model, Wants::default());
    let workloads: Vec<_> = model.deployments.iter().map(|d| d.template.workload).collect();
    for (number, entry) in (0..).zip(&model.timeline) {
        recorder.command(CommandRecord::begun(number, entry.at, entry.text.clone()));
    }
    for second in 0..600 {
        let replicas = workloads.iter().map(|workload| ReplicaSample {
            workload: *workload,
            revision: 1,
            pods: 6,
            ready: 6,
            terminating: 0,
            wanted: 6,
        });
        recorder.sample(&Sample {
            at: SimTime::at(Duration::secs(second)),
            pods_running: 6,
            nodes_ready: 6,
            cpu_allocatable_cores: 24.0,
            cpu_requested_cores: 12.0,
            cpu_used_cores: 7.0 + 0.1 * f64::from(u32::try_from(replication).unwrap()),
            cost_usd_per_hour: 0.96,
            replicas: replicas.collect(),
            ..Sample::default()
        });
    }
    for index in 0..u32::try_from(model.deployments.len()).unwrap() {
        roll(&mut recorder, model, index, replication, if index == 0 { failed } else { 0 });
    }
    recorder.into_facts(&model.names, at(600_000), 1_000).unwrap()
}

fn roll(recorder: &mut Recorder, model: &Model, index: u32, replication: u64, failed: u64) {
    let deployment = &model.deployments[usize::try_from(index).unwrap()];
    let workload = deployment.template.workload;
    let step = |ms, step| RolloutRecord { at: at(ms), workload, revision: 2, step };
    recorder.rollout(RolloutRecord { revision: 1, ..step(0, RolloutStep::Started) });
    recorder.rollout(step(60_000, RolloutStep::Started));
    for n in 0..60_000_u64 {
        let bad = n < failed;
        let start = if bad { 61_000 + n * 50 } else { n * 10 };
        let slow = (60_000..180_000).contains(&start);
        recorder.call(&CallRecord {
            source: None,
            service: ServiceId::new(index),
            start: at(start),
            latency: Duration::us(if slow { 90_000 + n % 500 } else { 50_000 + n % 500 }),
            fate: if bad { Fate::Refused } else { Fate::Ok },
            cause: match n % 5 {
                _ if !bad => Cause::None,
                0 => Cause::CutByStop,
                _ => Cause::StaleProxy,
            },
            retries: 0,
            pod: bad.then_some(0),
        });
    }
    recorder.rollout(step(172_000 + replication * 500, RolloutStep::Completed));
    let prefix = deployment.name.name;
    recorder.pod(&PodRecord {
        ip: None,
        serial: 0,
        namespace: workload.name.namespace,
        name: PodName::Generated { prefix, suffix: 0 },
        workload,
        revision: 1,
        node: None,
        created: at(0),
        scheduled: Some(at(38_000)),
        started: Some(at(38_500)),
        ready: Some(at(42_000)),
        deleted: Some(at(61_000)),
        finished: None,
        gone: Some(at(70_000)),
        price_requested: 0,
        cost_used: 0,
        restarts: 0,
        reason: "Deleted",
        message: Some("0/6 nodes are available: 6 Insufficient cpu.".to_owned()),
    });
}

/// The printed summary of runs with these numbers of failed calls.
fn printed(model: Model, failed: &[u64], expects: &[&str]) -> String {
    let model = Arc::new(model);
    let facts: Vec<Facts> =
        (0..).zip(failed).map(|(replication, n)| facts(&model, replication, *n)).collect();
    let runs: Vec<_> = facts.iter().map(metrics).collect();
    let summary = Summary::fold(&runs);
    let judge = |text: &&str| Expect::parse(text).unwrap().judge(&summary);
    let verdicts: Vec<Verdict> = expects.iter().map(judge).collect();
    let text = print(&summary, &facts[0], &verdicts);
    assert!(text.lines().count() < 40, "{text}");
    assert!(!text.lines().any(|line| line.ends_with(' ')), "{text}");
    text
}

/// Compares with `golden/<name>.txt`; `UPDATE_GOLDEN=1` writes it.
fn golden(name: &str, text: &str) {
    let path = format!("{}/src/report/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{text}");
}

#[test]
fn one_rollout_with_failed_calls() {
    let text = printed(
        rolling(&["checkout"]),
        &[37, 29, 46],
        &["services.checkout.calls.failed == 0", "rollouts.checkout.duration < 3m"],
    );
    golden("rollout", &text);
}

#[test]
fn a_rollout_without_failed_calls_needs_no_advice() {
    let text = printed(rolling(&["a"]), &[0], &[]);
    golden("good", &text);
}

#[test]
fn twins_stand_side_by_side() {
    let long = "a-service-with-a-name-of-quite-some-length";
    let text = printed(rolling(&["bare", long]), &[1_234, 1_250], &[]);
    golden("twins", &text);
}

#[test]
fn many_rollouts_have_a_row_each() {
    let names: Vec<String> = (0..12).map(|n| format!("shop-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = printed(rolling(&names), &[37], &[]);
    golden("many", &text);
}

#[test]
fn an_autoscaler_that_steps() {
    let mut model = Arc::unwrap_or_clone(model(&["checkout"]));
    let name = model.deployments[0].name;
    model.hpas.push(hpa(name, name.name));
    let points = Arc::from([(at(0), 100.0), (at(120_000), 400.0)]);
    let rate = Rate { points, is_linear: false, repeat: None };
    model.traffic[0].load = Load::Poisson(rate);
    let model = Arc::new(model);
    let mut recorder = Recorder::new(&model, Wants::default());
    for (second, from, to) in [(163, 3, 6), (193, 6, 7)] {
        recorder.scale(ScaleRecord {
            at: SimTime::at(Duration::secs(second)),
            hpa: HpaId::new(0),
            from,
            to,
            raw: to,
            utilization: Some(110),
            reason: "cpu resource utilization (percentage of request) above target",
        });
    }
    let facts = recorder.into_facts(&model.names, at(600_000), 1_000).unwrap();
    let summary = Summary::fold(&[metrics(&facts)]);
    let text = print(&summary, &facts, &[]);
    let wanted =
        "SCALING  hpa/checkout  3 → 7 pods, 2 steps, first 43 s after the rise; 0 reversals\n";
    assert!(text.contains(wanted), "{text}");
}
