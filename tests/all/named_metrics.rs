//! Metrics that autoscalers ask for by name, in whole runs, and KEDA's ScaledObjects.

use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::manifest::Loader;
use seatrial::model::Model;
use seatrial::scenario::{Place, load};

use crate::support::{begun, load_memory};

/// A Deployment `web` of two pods and what scales it.
fn model(metrics: &str, scaler: &str) -> Arc<Model> {
    let files = files(metrics, scaler);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    load_memory(&files).model
}

fn files(metrics: &str, scaler: &str) -> [(&'static str, String); 2] {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi, pods: 110 }} }}]
  latencies: ideal
apply: [web.yaml]
behaviors: [{{ for: deployment/web, serve: {{ hold: 10ms, concurrency: 100 }} }}]
traffic: [{{ name: users, to: service/web, rate: 50/s }}]
metrics: {metrics}
run: {{ until: 30m }}
"
    );
    let web = crate::support::WEB.replace("REPLICAS", "2");
    [("scenario.yaml", scenario), ("web.yaml", format!("{web}\n---\n{scaler}"))]
}

/// An autoscaler with one metric of a kind.
fn hpa(metric: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{ name: web }}
spec:
  scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: web }}
  minReplicas: 1
  maxReplicas: 20
  metrics: [{metric}]
"
    )
}

fn scaled(spec: &str) -> String {
    format!(
        "apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{ name: web }}
spec:
  scaleTargetRef: {{ name: web }}
{spec}
"
    )
}

/// The size of `web` just after each of these seconds.
fn sizes(model: &Arc<Model>, at: &[u64]) -> Vec<u32> {
    let mut world = begun(model);
    let mut all = Vec::new();
    for at in at {
        world.step_until(SimTime::at(Duration::ms(at * 1000 + 500)));
        let row = world.cluster().deployment(seatrial::model::DeploymentId::new(0));
        all.push(row.expect("it is there").replicas);
    }
    all
}

/// What is wrong with the files, as it is printed.
fn refused(metrics: &str, scaler: &str) -> String {
    let files = files(metrics, scaler);
    let files = files.iter().map(|(path, text)| (*path, text.clone().into_bytes()));
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    match load(&place, &[]) {
        Ok(loaded) => loaded.found.draw(&loaded.sources, &Default::default()),
        Err(refused) => refused.found.draw(&refused.sources, &Default::default()),
    }
}

const QUEUE: &str =
    "[{ name: jobs, steps: [{ at: 0s, value: 0 }, { at: 5m, value: 90 }, { at: 10m, value: 0 }] }]";

/// Rules A25, A28, A44: an External metric as a share of each replica; a value of 90 at 15 each.
#[test]
fn an_external_metric_is_shared_by_the_replicas() {
    let metric = "{ type: External, external: { metric: { name: jobs }, \
                  target: { type: AverageValue, averageValue: \"15\" } } }";
    let model = model(QUEUE, &hpa(metric));
    // From two pods by doubling, to four at least (rule A50).
    assert_eq!(sizes(&model, &[60, 299, 300, 315]), [2, 2, 4, 6]);
    let delayed = QUEUE.replace("jobs,", "jobs, delay: 1m,");
    let model = self::model(&delayed, &hpa(metric));
    assert_eq!(sizes(&model, &[330, 359, 360, 375]), [1, 1, 4, 6]);
}

/// Rules A28, A43: an Object metric by its value: the ratio counts, of the pods that are ready.
#[test]
fn an_object_metric_is_a_ratio_of_the_pods_that_are_ready() {
    let metric = "{ type: Object, object: { metric: { name: jobs }, \
                  describedObject: { apiVersion: v1, kind: Service, name: web }, \
                  target: { type: Value, value: \"60\" } } }";
    let model = model(QUEUE, &hpa(metric));
    // 90 of 60: 3 of 2, then 5 of 3 and so on: it never gets better.
    assert_eq!(sizes(&model, &[300, 315, 330]), [3, 5, 8]);
}

/// Rules A24, A28, A35: a Pods metric is the average of the pods' own numbers: 50 calls a second at
/// 10 each are five pods.
#[test]
fn a_pods_metric_counts_the_calls_of_each_pod() {
    let metric = "{ type: Pods, pods: { metric: { name: rps }, \
                  target: { type: AverageValue, averageValue: \"10\" } } }";
    let rps = "[{ name: rps, calls: { of: deployment/web, measure: per-second } }]";
    let size = sizes(&model(rps, &hpa(metric)), &[120])[0];
    assert!((5..=6).contains(&size), "{size} pods");
    let in_flight = rps.replace("per-second", "in-flight");
    assert_eq!(sizes(&model(&in_flight, &hpa(metric)), &[1200]), [1]);
}

/// Rules A17 to A20: with the gate an autoscaler goes to zero and comes back by itself; without it
/// `minReplicas: 0` is refused.
#[test]
fn with_the_gate_it_goes_to_zero_and_comes_back() {
    let queue = "[{ name: jobs, steps: [{ at: 0s, value: 0 }, { at: 8m, value: 90 }] }]";
    let metric = "{ type: External, external: { metric: { name: jobs }, \
                  target: { type: AverageValue, averageValue: \"15\" } } }";
    let scaler = hpa(metric).replace("minReplicas: 1", "minReplicas: 0");
    let mut files = files(queue, &scaler);
    let gate = "  latencies: ideal\n  horizontalPodAutoscaler: { scaleToZero: true }";
    files[0].1 = files[0].1.replace("  latencies: ideal", gate);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    // Down when the size of the beginning is older than 5 min; up to 4, then to ⌈90 / 15⌉.
    let sizes = sizes(&load_memory(&files).model, &[315, 330, 479, 480, 495]);
    assert_eq!(sizes, [2, 0, 0, 4, 6]);
    assert!(refused(queue, &scaler).contains("must be greater than or equal to 1"));
}

/// Rule A33: a request of 0 is one, and what the pod asks for as a whole counts instead of what its
/// containers do; rule A10: pods of others with the labels of the selector count too.
#[test]
fn requests_and_pods_are_counted_as_they_are_written() {
    let run = |containers: &str, more: &str, target: &str| {
        let scaler =
            hpa(&format!("{{ type: Resource, resource: {{ name: cpu, target: {target} }} }}"));
        let text = "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{ pool: workers, count: 3, allocatable: { cpu: 16, memory: 64Gi, pods: 110 } }]
  latencies: ideal
apply: [web.yaml]
behaviors: [{ for: deployment/web, container: app, cpuIdle: 100m }]
run: { until: 10m }
";
        let deployment = |name: &str, labels: &str, containers: &str| {
            format!(
                "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: 2
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web{labels} }} }}
    spec: {containers}
---
"
            )
        };
        let others = match more {
            "" => String::new(),
            name => deployment(name, ", of: others", "{ containers: [{ name: app, image: a:1 }] }"),
        };
        let manifests = deployment("web", "", containers) + &others + &scaler;
        let files = [("scenario.yaml", text), ("web.yaml", manifests.as_str())];
        sizes(&load_memory(&files).model, &[60])[0]
    };
    let percent = "{ type: Utilization, averageUtilization: 50 }";
    let app = "{ name: app, image: a:1, resources: { requests: { cpu: 100m } } }";
    let side =
        |cpu: &str| format!("{{ name: side, image: a:1, resources: {{ requests: {cpu} }} }}");
    let both = |cpu: &str| format!("{{ containers: [{app}, {}] }}", side(cpu));
    assert!(run(&both("{ cpu: 0 }"), "", percent) > 2, "0 is a request");
    assert_eq!(run(&both("{ memory: 1Mi }"), "", percent), 2, "no request, no metric");
    let whole = format!("{{ resources: {{ requests: {{ cpu: 200m }} }}, containers: [{app}] }}");
    assert_eq!(run(&whole, "", percent), 2, "100m of the pod's 200m are on target");
    let each = "{ type: AverageValue, averageValue: 50m }";
    let alone = format!("{{ containers: [{app}] }}");
    assert!(run(&alone, "", each) > 2);
    assert_eq!(run(&alone, "others", each), 2, "the average of four pods is on target");
}

/// Rules A47, A48, A68: in a gap the metric is invalid, so nothing is scaled until it is over.
#[test]
fn a_gap_of_a_metric_holds_the_size() {
    let metric = "{ type: External, external: { metric: { name: jobs }, \
                  target: { type: AverageValue, averageValue: \"15\" } } }";
    let gap = QUEUE.replace("jobs,", "jobs, gaps: [{ at: 4m, for: 3m }],");
    assert_eq!(sizes(&model(&gap, &hpa(metric)), &[418, 420, 435]), [2, 4, 6]);
}

/// Rule A68: an adapter that asks for the rate of two minutes hears of a rise later.
#[test]
fn a_rate_over_a_long_window_rises_late() {
    let metric = "{ type: Pods, pods: { metric: { name: rps }, \
                  target: { type: AverageValue, averageValue: \"10\" } } }";
    let rps = "[{ name: rps, calls: { of: deployment/web, measure: per-second, window: 4m } }]";
    let window = model(rps, &hpa(metric));
    let first = model(&rps.replace(", window: 4m", ""), &hpa(metric));
    let size = |model: &Arc<Model>| sizes(model, &[600])[0];
    assert!((5..=6).contains(&size(&window)), "{} pods", size(&window));
    assert!((5..=8).contains(&size(&first)), "{} pods", size(&first));
    let told = refused(&rps.replace("per-second", "in-flight"), &hpa(metric));
    assert!(told.contains("`window` is for a rate"), "{told}");
}

/// Rules A47 and A48: a metric that nobody knows is invalid, and nothing is scaled; the user is told.
#[test]
fn a_metric_that_nothing_answers_is_told_and_scales_nothing() {
    let metric = "{ type: External, external: { metric: { name: job }, \
                  target: { type: AverageValue, averageValue: \"15\" } } }";
    let told = refused(QUEUE, &hpa(metric));
    assert!(told.contains("warning: the scenario has no metric \"job\""), "{told}");
    assert!(told.contains("did you mean \"jobs\"?"), "{told}");
    assert_eq!(sizes(&model(QUEUE, &hpa(metric)), &[900]), [2]);
}

/// Rules A222 to A230: KEDA brings the target to zero, wakes it up at its next poll, and lets it
/// rest the cooldown after the last active poll.
#[test]
fn keda_scales_from_zero_and_to_zero() {
    let spec = "  pollingInterval: 7
  cooldownPeriod: 120
  triggers: [{ type: rabbitmq, metadata: { queueName: jobs, value: \"30\" } }]";
    let model = model(QUEUE, &scaled(spec));
    let hpa = &model.hpas[0];
    assert_eq!((hpa.replicas_min, hpa.replicas_max), (1, 100));
    // Nothing was ever active: at zero after the first poll at which the run is not new.
    let at = [5, 8, 300, 302, 316, 590, 715, 722, 750];
    // 90 of 30 each: three. Active last at 595 s: the poll at 714 s is not more than 2 min later.
    assert_eq!(sizes(&model, &at), [2, 0, 0, 1, 3, 3, 3, 0, 0]);
}

/// Rules A225 and A229: a trigger is active above its activation threshold, and without one no pod
/// fewer than asked for is left.
#[test]
fn keda_keeps_the_least_that_is_asked_for() {
    let spec = "  minReplicaCount: 4
  triggers: [{ type: prometheus, metadata: { query: jobs, threshold: \"100\", \
                activationThreshold: \"90\" } }]";
    let model = model(QUEUE, &scaled(spec));
    assert_eq!(sizes(&model, &[1, 400]), [4, 4]);
    let none = spec.replace("minReplicaCount: 4", "minReplicaCount: 0");
    let model = self::model(QUEUE, &scaled(&none));
    assert_eq!(sizes(&model, &[100, 400]), [0, 0]); // 90 is not above 90
}

/// Rule A231: a paused one leaves its target alone; paused in one direction it still goes the other.
#[test]
fn keda_pauses_by_annotation() {
    let spec = "  pollingInterval: 7
  cooldownPeriod: 30
  triggers: [{ type: rabbitmq, metadata: { queueName: jobs, value: \"30\" } }]";
    let with = |name: &str| {
        let annotations =
            format!("name: web, annotations: {{ autoscaling.keda.sh/{name}: \"true\" }}");
        model(QUEUE, &scaled(spec).replacen("name: web", &annotations, 1))
    };
    assert_eq!(sizes(&with("paused"), &[250, 590, 900]), [2, 2, 2]);
    assert_eq!(sizes(&with("paused-scale-in"), &[250, 590, 1200]), [2, 3, 3]);
    assert_eq!(sizes(&with("paused-scale-out"), &[250, 590, 900]), [0, 0, 0]);
}

/// A cron trigger: so many between its start and its end, one outside.
#[test]
fn keda_follows_the_clock() {
    let spec = "  minReplicaCount: 1
  triggers: [{ type: cron, metadata: { timezone: UTC, start: \"10 * * * *\", \
                end: \"20 * * * *\", desiredReplicas: \"4\" } }]";
    let model = model("[]", &scaled(spec));
    assert_eq!(sizes(&model, &[500, 620, 1100, 1520]), [1, 4, 4, 1]);
}

#[test]
fn what_is_wrong_with_metrics_is_told_where_it_is() {
    let ok = scaled("  triggers: [{ type: redis, metadata: { listName: jobs } }]");
    for (metrics, scaler, wanted) in [
        ("[{ name: jobs }]", ok.clone(), "expected exactly one of value, steps, series and calls"),
        ("[{ name: jobs, value: -1 }]", ok.clone(), "a metric is a number from 0 to"),
        ("[{ name: a, value: 1 }, { name: a, value: 2 }]", ok.clone(), "a second metric \"a\""),
        (
            "[{ name: a, calls: { of: deployment/wed, measure: in-flight } }]",
            ok.clone(),
            "did you mean \"deployment/web\"?",
        ),
        ("[]", ok, "the scenario has no metric for this redis trigger"),
        (QUEUE, scaled("  triggers: [{ type: reddis }]"), "did you mean \"redis\"?"),
        (
            QUEUE,
            scaled("  triggers: [{ type: prometheus, metadata: { query: jobs } }]"),
            "needs a threshold above 0",
        ),
        (
            QUEUE,
            scaled("  minReplicaCount: 5\n  maxReplicaCount: 2\n  triggers: [{ type: cpu }]"),
            "minReplicaCount 5 is above maxReplicaCount 2",
        ),
        (
            QUEUE,
            scaled("  triggers: [{ type: cpu }]").replace("name: web }\n ", "name: wep }\n "),
            "there is no Deployment",
        ),
        (
            QUEUE,
            scaled("  triggers: [{ type: cron, metadata: { start: \"1 * * * *\" } }]"),
            "a cron trigger needs a timezone",
        ),
    ] {
        let told = refused(metrics, &scaler);
        assert!(told.contains(wanted), "{wanted} is not in\n{told}");
    }
}
