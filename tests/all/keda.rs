//! KEDA beyond its first steps: fallback, formulas, pauses, other targets, ScaledJobs.

use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::engine::World;
use seatrial::manifest::Loader;
use seatrial::model::{DeploymentId, Model};
use seatrial::recorder::Recorder;
use seatrial::scenario::{Place, load};

use crate::support::load_memory;

const QUEUES: &str = "[{ name: jobs, steps: [{ at: 0s, value: 0 }, { at: 5m, value: 90 }, \
                      { at: 10m, value: 0 }] }, { name: orders, value: 30 }]";

fn files(metrics: &str, manifests: &str) -> [(&'static str, String); 2] {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 64, memory: 64Gi, pods: 110 }} }}]
  latencies: ideal
apply: [app.yaml]
metrics: {metrics}
run: {{ until: 30m }}
"
    );
    [("scenario.yaml", scenario), ("app.yaml", manifests.to_owned())]
}

fn model(metrics: &str, manifests: &str) -> Arc<Model> {
    let files = files(metrics, manifests);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    load_memory(&files).model
}

fn refused(metrics: &str, manifests: &str) -> String {
    let files = files(metrics, manifests);
    let files = files.iter().map(|(path, text)| (*path, text.clone().into_bytes()));
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    match load(&place, &[]) {
        Ok(loaded) => loaded.found.draw(&loaded.sources, &Default::default()),
        Err(refused) => refused.found.draw(&refused.sources, &Default::default()),
    }
}

/// A workload `web` of two pods and its ScaledObject.
fn web(kind: &str, annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: {kind}
metadata: {{ name: web }}
spec:
  replicas: 2
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec: {{ containers: [{{ name: app, image: web, resources: {{ requests: {{ cpu: 100m }} }} }}] }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{ name: web, annotations: {{ {annotations} }} }}
spec:
  scaleTargetRef: {{ kind: {kind}, name: web }}
{spec}
"
    )
}

fn at_each(model: &Arc<Model>, at: &[u64], of: impl Fn(&World) -> u32) -> Vec<u32> {
    let mut world = World::new(model, 0, Recorder::off()).with_checks();
    world.begin();
    let mut all = Vec::new();
    for at in at {
        world.step_until(SimTime::at(Duration::ms(at * 1000 + 500)));
        all.push(of(&world));
    }
    all
}

fn sizes(model: &Arc<Model>, at: &[u64]) -> Vec<u32> {
    at_each(model, at, |world| {
        world.cluster().deployment(DeploymentId::new(0)).expect("it is there").replicas
    })
}

/// Rule A228: after more failures in a row than are borne the autoscaler asks for the fallback's
/// size; when the metric is back it follows it again.
#[test]
fn a_fallback_counts_while_a_trigger_fails() {
    let gap = QUEUES.replace("name: jobs,", "name: jobs, gaps: [{ at: 6m, for: 5m }],");
    let spec = |behavior: &str| {
        format!(
            "  minReplicaCount: 1
  fallback: {{ failureThreshold: 3, replicas: 6{behavior} }}
  triggers: [{{ type: rabbitmq, metadata: {{ queueName: jobs, value: \"30\" }} }}]"
        )
    };
    let of = |behavior| model(&gap, &web("Deployment", "", &spec(behavior)));
    // 90 of 30: three. Looks each 15 s: the fourth that fails is 45 s after the first.
    let at = [350, 390, 420, 600, 960];
    assert_eq!(sizes(&of(""), &at), [3, 3, 6, 6, 1]);
    assert_eq!(sizes(&of(", behavior: currentReplicas"), &at)[..4], [3, 3, 3, 3]);
    assert_eq!(sizes(&of(", behavior: currentReplicasIfHigher"), &at)[..4], [3, 3, 6, 6]);
    assert_eq!(sizes(&of(", behavior: currentReplicasIfLower"), &at)[..4], [3, 3, 3, 3]);
    let without = spec("").replace("fallback", "x-fallback");
    assert_eq!(sizes(&model(&gap, &web("Deployment", "", &without)), &at)[..4], [3, 3, 3, 3]);
}

/// Rule A228: what fails does not go to zero, unless the fallback itself is none.
#[test]
fn a_target_that_fails_does_not_go_to_zero() {
    let gap = QUEUES.replace("name: jobs,", "name: jobs, gaps: [{ at: 6m, for: 10m }],");
    let spec = |replicas| {
        format!(
            "  pollingInterval: 10
  cooldownPeriod: 60
  fallback: {{ failureThreshold: 1000, replicas: {replicas} }}
  triggers: [{{ type: rabbitmq, metadata: {{ queueName: jobs, value: \"30\" }} }}]"
        )
    };
    let of = |replicas| model(&gap, &web("Deployment", "", &spec(replicas)));
    assert_eq!(sizes(&of(5), &[350, 500, 1100]), [3, 3, 0]);
    assert_eq!(sizes(&of(0), &[350, 500, 1100]), [3, 0, 0]);
}

/// Rule A225: a formula's result stands for the triggers, for the size and for activity.
#[test]
fn a_formula_stands_for_the_triggers() {
    let spec = |formula: &str, more: &str| {
        format!(
            "  pollingInterval: 10
  cooldownPeriod: 30
  advanced: {{ scalingModifiers: {{ formula: \"{formula}\", target: \"20\"{more} }} }}
  triggers:
    - {{ type: rabbitmq, name: queue, metadata: {{ queueName: jobs, value: \"1\" }} }}
    - {{ type: redis, name: orders, metadata: {{ listName: orders }} }}"
        )
    };
    let of =
        |formula: &str, more: &str| model(QUEUES, &web("Deployment", "", &spec(formula, more)));
    // (90 + 30) / 2 = 60 of 20 each.
    let mean = of("(queue + orders) / 2", "");
    assert_eq!(mean.hpas[0].metrics.len(), 1);
    assert_eq!(sizes(&mean, &[200, 400, 1200]), [2, 3, 1]);
    let active = of("(queue + orders) / 2", ", activationTarget: \"20\"");
    assert_eq!(sizes(&active, &[200, 420, 1200]), [0, 3, 0]);
    let choice = of("queue > 50 ? max(queue, orders) + 10 : 0", "");
    assert_eq!(sizes(&choice, &[200, 420, 1200]), [0, 5, 0]);
    // A number that is none is an error: nothing is scaled.
    assert_eq!(sizes(&of("orders / queue", ""), &[200, 420]), [2, 1]);
}

/// Rule A231: `paused-replicas` sets a size and ends the loop and the autoscaler.
#[test]
fn a_paused_one_is_kept_at_its_size() {
    let spec = "  triggers: [{ type: rabbitmq, metadata: { queueName: jobs, value: \"30\" } }]";
    let paused = "autoscaling.keda.sh/paused-replicas: \"4\"";
    let model = model(QUEUES, &web("Deployment", paused, spec));
    assert!(model.hpas.is_empty());
    assert_eq!(sizes(&model, &[10, 400, 1200]), [4, 4, 4]);
    let told = refused(QUEUES, &web("Deployment", &paused.replace('4', "four"), spec));
    assert!(told.contains("paused-replicas is a whole number, not \"four\""), "{told}");
}

/// Rules A222 to A229 of a StatefulSet: whatever has a Scale can be a target, of an autoscaler too.
#[test]
fn a_stateful_set_is_scaled() {
    let spec = "  pollingInterval: 10
  cooldownPeriod: 60
  triggers: [{ type: rabbitmq, metadata: { queueName: jobs, value: \"30\" } }]";
    let model = model(QUEUES, &web("StatefulSet", "", spec));
    let replicas = |world: &World| {
        world.cluster().stateful_sets().iter().next().expect("it is there").1.spec.replicas
    };
    assert_eq!(at_each(&model, &[200, 420, 1200], replicas), [0, 3, 0]);
    let pods = |world: &World| u32::try_from(world.cluster().pods().iter().count()).expect("few");
    assert_eq!(at_each(&model, &[200, 420, 1200], pods), [0, 3, 0]);
}

/// A cron trigger beside a queue: the autoscaler takes the larger of the two.
#[test]
fn several_triggers_ask_for_the_most() {
    let spec = "  minReplicaCount: 0
  cooldownPeriod: 60
  pollingInterval: 10
  triggers:
    - { type: rabbitmq, metadata: { queueName: jobs, value: \"30\" } }
    - { type: cron, metadata: { timezone: UTC, start: \"8 * * * *\", end: \"20 * * * *\", desiredReplicas: \"5\" } }";
    let model = model(QUEUES, &web("Deployment", "", spec));
    assert_eq!(sizes(&model, &[200, 420, 560, 1150, 1750]), [0, 3, 5, 5, 0]);
}

const JOBS: &str = "apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: { name: encode }
spec:
  pollingInterval: 10
  maxReplicaCount: 5
  scalingStrategy: { STRATEGY }
  jobTargetRef:
    template:
      spec: { containers: [{ name: work, image: encode, resources: { requests: { cpu: 1 } } }] }
  triggers: [{ type: rabbitmq, metadata: { queueName: jobs, value: \"30\" } }]
";

fn jobs(strategy: &str) -> Vec<u32> {
    let model = model(QUEUES, &JOBS.replace("STRATEGY", strategy));
    let running = |world: &World| {
        let jobs = world.cluster().jobs().iter();
        let running = jobs.filter(|(_, job)| job.status.finished().is_none());
        u32::try_from(running.count()).expect("few")
    };
    at_each(&model, &[200, 305, 320, 700], running)
}

/// ScaledJobs: a Job for each 30 messages, and what the strategy takes off; without messages none.
#[test]
fn scaled_jobs_make_jobs_for_what_waits() {
    // Nothing ends its Jobs here: they run on.
    assert_eq!(jobs("strategy: default"), [0, 3, 3, 3]);
    // What runs is no longer in the queue, it believes: up to the most.
    assert_eq!(jobs("strategy: accurate"), [0, 3, 5, 5]);
    assert_eq!(jobs("strategy: eager"), [0, 3, 5, 5]);
    let half = "strategy: custom, customScalingRunningJobPercentage: \"0.5\", \
                customScalingQueueLengthDeduction: 1";
    // 3 − 1, then 3 − 1 − half of those that run, at each poll.
    assert_eq!(jobs(half), [0, 2, 4, 4]);
}

#[test]
fn what_is_wrong_is_told_where_it_is() {
    let of = |spec: &str| web("Deployment", "", spec);
    let queue =
        "triggers: [{ type: rabbitmq, name: queue, metadata: { queueName: jobs, value: \"3\" } }]";
    let formula = |formula: &str| {
        of(&format!(
            "  advanced: {{ scalingModifiers: {{ formula: \"{formula}\", target: \"2\" }} }}\n  {queue}"
        ))
    };
    let job = |from: &str, to: &str| JOBS.replace("STRATEGY", "").replace(from, to);
    for (manifests, wanted) in [
        (
            of(&format!("  fallback: {{ replicas: 3 }}\n  {queue}")),
            "`failureThreshold` of a fallback",
        ),
        (
            of(&format!(
                "  fallback: {{ failureThreshold: 1, replicas: 3, behavior: statik }}\n  {queue}"
            )),
            "did you mean \"static\"?",
        ),
        (
            of(
                "  fallback: { failureThreshold: 1, replicas: 3 }\n  triggers: [{ type: cpu, metadata: { value: \"50\" } }]",
            ),
            "a fallback needs a trigger other than cpu and memory",
        ),
        (formula("queue +"), "this formula cannot be read: the formula ends where"),
        (formula("queu + 1"), "did you mean \"queue\"?"),
        (
            formula("queue").replace(", target: \"2\"", ""),
            "scalingModifiers needs a target above 0",
        ),
        (
            of(&format!("  {queue}")).replace("{ kind: Deployment", "{ kind: Rollout"),
            "a Rollout has no number of replicas",
        ),
        (job("{  }", "{ strategy: acurate }"), "did you mean \"accurate\"?"),
        (job("{  }", "{ strategy: custom }"), "needs customScalingRunningJobPercentage"),
        (job("{  }", "{ multipleScalersCalculation: most }"), "there are max, min, avg, sum"),
        (job("{  }", "{ pendingPodConditions: [Redy] }"), "did you mean \"Ready\"?"),
        (
            job("maxReplicaCount: 5", "minReplicaCount: 7\n  maxReplicaCount: 5"),
            "minReplicaCount 7 is above",
        ),
        (job("name: work, ", ""), "spec.jobTargetRef.template.spec.containers[0].name"),
        (
            job("  jobTargetRef:", "  rollout: { strategy: fast }\n  jobTargetRef:"),
            "there are default and gradual",
        ),
    ] {
        let told = refused(QUEUES, &manifests);
        assert!(told.contains(wanted), "{wanted} is not in\n{told}");
    }
}
