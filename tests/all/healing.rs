//! Pods that wait for what others do: ConfigMaps and Secrets that come later, readiness gates
//! (rules N8, N53, N88).

use crate::support::{Told, tell};

fn run(pod: &str, behavior: &str, timeline: &str, latencies: &str) -> Told {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: healing
cluster:
  nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }} }}]
  latencies: {latencies}
apply: [pod.yaml]
behaviors: [{{ for: pod/web, start: 0s, {behavior} }}]
timeline: [{timeline}]
run: {{ until: 5m, replications: 1 }}
"
    );
    let pod = format!(
        "apiVersion: v1
kind: Pod
metadata: {{ name: web }}
spec: {{ {pod} }}
"
    );
    tell(&[("scenario.yaml", &scenario), ("pod.yaml", &pod)])
}

const ENV: &str = "containers: [{ name: app, image: web:1, env: [{ name: A, valueFrom: {
  configMapKeyRef: { name: settings, key: a } } }] }]";
const MOUNTED: &str = "containers: [{ name: app, image: web:1 }],
  volumes: [{ name: config, configMap: { name: settings } }]";

/// Rules N8 and N53: no container is made without its environment; each sync, 10 s after the one
/// that failed, tries again.
#[test]
fn a_container_is_made_once_its_config_is_there() {
    let create = "{ at: 34s, run: kubectl create configmap settings --from-literal=a=1 }";
    let told = run(ENV, "run: 1h", create, "ideal");
    assert_eq!(told.times("configmap \"settings\" not found").last(), Some(&30.0));
    assert_eq!(told.times("Started pod/default/web"), [40.0]);
    let other = "{ at: 34s, run: kubectl create configmap settings --from-literal=b=1 }";
    let told = run(ENV, "run: 1h", other, "ideal");
    assert!(told.times("Started pod/default/web").is_empty(), "it lacks the key");
    assert_eq!(
        told.times("couldn't find key a in ConfigMap default/settings").first(),
        Some(&40.0)
    );
}

/// Rule N53: a mount that fails is tried again after 0.5 s, 1 s, 2 s …: at 15.5 s and 31.5 s.
#[test]
fn a_pod_starts_once_its_volume_can_be_mounted() {
    let create = "{ at: 20s, run: kubectl create configmap settings --from-literal=a=1 }";
    let told = run(MOUNTED, "run: 1h", create, "ideal");
    assert_eq!(told.times("FailedMount"), [0.0], "{:#?}", told.events);
    assert_eq!(told.times("Started pod/default/web"), [31.5]);
    let told = run(MOUNTED, "run: 1h", create, "measured-small");
    let at = told.times("Started pod/default/web");
    assert!(at.len() == 1 && at[0] > 31.5 && at[0] < 36.0, "{at:?}");
}

/// Rule N88: a pod with a readiness gate is ready when that is opened, here 12 s after it has an
/// address; without a word on it, never.
#[test]
fn gates_open_from_outside() {
    let pod =
        "containers: [{ name: app, image: web:1 }], readinessGates: [{ conditionType: lb/ok }]";
    let told = run(pod, "gates: 12s", "", "ideal");
    assert_eq!(told.column("ready_s"), [12.0], "{:#?}", told.events);
    assert!(run(pod, "run: 1h", "", "ideal").column("ready_s").is_empty());
}
