//! From the containers' use of CPU to what autoscalers read of it (rules A62 to A67), with CPU that
//! a series says.

use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::engine::World;
use seatrial::model::{Model, PodId};

use crate::support::{begun, load_memory};

/// A Deployment `web` whose pods ask for 500m, and an autoscaler that wants 50 % of it used.
fn model(latencies: &str, cpu: &str, extra: &str) -> Arc<Model> {
    let files = files(latencies, cpu, extra);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    load_memory(&files).model
}

fn files(latencies: &str, cpu: &str, extra: &str) -> [(&'static str, String); 3] {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi, pods: 110 }} }}]
  latencies: {latencies}
apply: [web.yaml]
behaviors: [{{ for: deployment/web, cpuIdle: 0, cpu: {cpu} }}]
{extra}
run: {{ until: 40m }}
"
    );
    let web = "apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers: [{ name: web, image: web:v1, resources: { requests: { cpu: 500m } } }]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: web }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }
  minReplicas: 2
  maxReplicas: 30
  metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 50 } } }]
";
    let rows = "time,percent\n0:00,25\n0:10,100\n0:20,50\n";
    [("scenario.yaml", scenario), ("web.yaml", web.to_owned()), ("cpu.csv", rows.to_owned())]
}

fn world(model: &Arc<Model>) -> World {
    begun(model)
}

fn at(secs: u64) -> SimTime {
    SimTime::at(Duration::ms(secs * 1000 + 500))
}

fn sizes(model: &Arc<Model>, seconds: &[u64]) -> Vec<u32> {
    let mut world = world(model);
    let size = |secs: &u64| {
        world.step_until(at(*secs));
        let row = world.cluster().deployment(seatrial::model::DeploymentId::new(0));
        row.expect("it is there").replicas
    };
    seconds.iter().map(size).collect()
}

/// 2 cores at a quarter of a core each are 8 pods; a series of the file: 1, 4 and 2 cores.
#[test]
fn an_autoscaler_follows_the_cpu_that_a_series_says() {
    let steps = "{ steps: [{ at: 0s, cpu: 500m }, { at: 10m, cpu: 2 }] }";
    assert_eq!(sizes(&model("ideal", steps, ""), &[590, 660]), [2, 8]);
    let series = "{ series: { file: cpu.csv, column: percent, every: 10m, scale: 0.04 } }";
    assert_eq!(sizes(&model("ideal", series, ""), &[590, 690, 1190, 1800]), [4, 16, 16, 8]);
    let repeated =
        "{ series: { file: cpu.csv, column: percent, every: 5m, scale: 0.04 }, repeat: 15m }";
    assert_eq!(sizes(&model("ideal", repeated, ""), &[290, 390, 1190, 1290]), [4, 16, 8, 16]);
}

/// Rules A33, A47: pods that ask for no CPU have no utilisation: Kubernetes' own condition says so.
#[test]
fn a_target_without_requests_is_not_scaled_and_says_why() {
    let steps = "{ steps: [{ at: 0s, cpu: 2 }] }";
    let files = files("ideal", steps, "");
    let bare = files[1].1.replace(", resources: { requests: { cpu: 500m } }", "");
    let model = load_memory(&[("scenario.yaml", &files[0].1), ("web.yaml", &bare)]).model;
    let mut world = world(&model);
    world.step_until(at(300));
    let hpa = world.cluster().hpa(seatrial::model::HpaId::new(0)).expect("it is there");
    assert_eq!(hpa.status.active_reason, "FailedGetResourceMetric");
    assert_eq!(sizes(&model, &[600]), [2]);
}

/// A series of each pod is not shared: more pods use more.
#[test]
fn a_series_of_each_pod_stays_when_there_are_more_pods() {
    let each = "{ of: pod, steps: [{ at: 0s, cpu: 400m }] }";
    assert_eq!(sizes(&model("ideal", each, ""), &[1200]), [30]);
}

/// What the pipeline says of the first pods after each of these seconds.
fn ages(model: &Arc<Model>, seconds: std::ops::Range<u64>) -> Vec<Option<(u64, u64)>> {
    let mut world = world(model);
    let look = |secs: u64| {
        world.step_until(at(secs));
        let metrics = world.cluster().reported(PodId::new(0))?;
        let age = at(secs).saturating_since(metrics.at);
        Some((age.whole_secs(), metrics.window.whole_secs()))
    };
    seconds.map(look).collect()
}

/// Rules A62, A67: a value is as old as the kubelet's sample, a scrape and the time since; in
/// `ideal` it is taken when it is asked for.
#[test]
fn a_value_is_as_old_as_its_sample_and_its_publication() {
    let steady = "{ steps: [{ at: 0s, cpu: 500m }] }";
    let ideal = ages(&model("ideal", steady, ""), 100..400);
    assert!(ideal.iter().all(|seen| seen.is_some_and(|(age, window)| age <= 15 && window == 15)));
    let real = ages(&model("measured", steady, ""), 100..400);
    let real: Vec<(u64, u64)> =
        real.into_iter().map(|seen| seen.expect("nothing is lost")).collect();
    let oldest = real.iter().map(|(age, _)| *age).max();
    assert!(oldest > Some(15) && oldest <= Some(31), "{oldest:?}");
    assert!(real.iter().all(|(_, window)| (10..=30).contains(window)), "{real:?}");
    let slow = ages(&model("{ base: ideal, metricsPeriod: 60s }", steady, ""), 200..400);
    assert_eq!(slow.iter().flatten().map(|(age, _)| *age).max(), Some(59));
}

/// Rule A65: pods of a node that does not answer are missing until it has answered twice.
#[test]
fn a_node_that_does_not_answer_hides_its_pods_for_two_scrapes() {
    let steady = "{ steps: [{ at: 0s, cpu: 500m }] }";
    let lossy = "{ base: ideal, scrapeLoss: 30% }";
    let seen = ages(&model(lossy, steady, ""), 60..1260);
    let missing = seen.iter().filter(|seen| seen.is_none()).count();
    // Seen: both this scrape and the one before were answered, 49 % of the time.
    assert!((400..800).contains(&missing), "{missing}");
}

/// Rules A44, A64: without metrics-server an autoscaler says FailedGetResourceMetric and scales
/// nothing, whatever is used; it goes on once the server is back and has two samples.
#[test]
fn without_metrics_server_nothing_is_scaled() {
    let steps = "{ steps: [{ at: 0s, cpu: 500m }, { at: 10m, cpu: 2 }] }";
    let away = "timeline:
  - { at: 9m50s, fault: { metricsServer: down } }
  - { at: 20m, fault: { metricsServer: up } }";
    let model = model("ideal", steps, away);
    let mut world = world(&model);
    let mut look = |secs: u64| {
        world.step_until(at(secs));
        let cluster = world.cluster();
        let hpa = cluster.hpa(seatrial::model::HpaId::new(0)).expect("it is there");
        let web = cluster.deployment(seatrial::model::DeploymentId::new(0)).expect("it is there");
        (web.replicas, hpa.status.active_reason)
    };
    assert_eq!(look(580), (2, "ValidMetricFound"));
    assert_eq!(look(700), (2, "FailedGetResourceMetric"));
    // One sample says nothing yet.
    assert_eq!(look(1210), (2, "FailedGetResourceMetric"));
    assert_eq!(look(1260), (8, "ValidMetricFound"));
    // Others see nothing but a wrong word.
    let wrong = files("ideal", steps, "timeline: [{ at: 1m, fault: { metricsServer: gone } }]");
    let files: Vec<(&str, &str)> = wrong.iter().map(|(path, text)| (*path, &**text)).collect();
    let place = seatrial::scenario::Place {
        loader: seatrial::manifest::Loader::from_memory(files),
        path: "scenario.yaml".to_owned(),
    };
    let refused = seatrial::scenario::load(&place, &[]).expect_err("a wrong word");
    let text = refused.found.lines(&refused.sources).join("\n");
    assert!(text.contains("metrics-server is up or down, not \"gone\""), "{text}");
}
