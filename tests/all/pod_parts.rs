//! What a pod is made of: its containers' configuration, files of ConfigMaps and Secrets, images
//! (rules N42, N53, N54, N60 to N62, N92).

use crate::support::{Told, tell};

fn run(pods: &str, cluster: &str, rest: &str) -> Told {
    run_for("10m", pods, cluster, rest)
}

fn run_for(until: &str, pods: &str, cluster: &str, rest: &str) -> Told {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: parts
cluster: {{ {cluster} }}
apply: [pods.yaml]
{rest}
run: {{ until: {until}, replications: 1 }}
"
    );
    tell(&[("scenario.yaml", &scenario), ("pods.yaml", pods)])
}

const ONE: &str = "latencies: ideal,
  nodes: [{ pool: w, count: 1, allocatable: { cpu: 4, memory: 4Gi } }]";

/// Rule N53: what one container's environment lacks keeps that one from being made, and no other
/// of its pod; of an init container it keeps all.
#[test]
fn each_container_has_an_environment_of_its_own() {
    let lacking = "env: [{ name: A, valueFrom: { configMapKeyRef: { name: s, key: a } } }]";
    let pod = |kind: &str| {
        format!(
            "apiVersion: v1
kind: Pod
metadata: {{ name: web }}
spec:
  initContainers: [{{ name: first, image: a:1{init} }}]
  containers: [{{ name: one, image: a:1{one} }}, {{ name: two, image: a:1 }}]
",
            init = if kind == "init" { format!(", {lacking}") } else { String::new() },
            one = if kind == "one" { format!(", {lacking}") } else { String::new() },
        )
    };
    let create = "timeline: [{ at: 34s, run: kubectl create configmap s --from-literal=a=1 }]";
    let started = |told: &Told, name: &str| told.times(&format!("Started container {name}"));
    let told = run(&pod("one"), ONE, create);
    assert_eq!(started(&told, "two"), [0.0], "{:#?}", told.events);
    assert_eq!(started(&told, "one"), [40.0]);
    let told = run(&pod("init"), ONE, create);
    assert_eq!([started(&told, "first"), started(&told, "two")], [[40.0], [40.0]]);
}

/// Rule N53: a volume that names keys needs them, one that can do without needs nothing.
#[test]
fn volumes_name_keys() {
    let pod = |optional: bool| {
        format!(
            "apiVersion: v1
kind: ConfigMap
metadata: {{ name: c }}
data: {{ b: x }}
---
apiVersion: v1
kind: Pod
metadata: {{ name: web }}
spec:
  containers: [{{ name: app, image: a:1, volumeMounts: [{{ name: v, mountPath: /v }}] }}]
  volumes: [{{ name: v, configMap: {{ name: c, optional: {optional}, items: [{{ key: a, path: a }}] }} }}]
"
        )
    };
    let create = r#"timeline: [{ at: 20s, run: 'kubectl patch configmap c -p "{\"data\":{\"a\":\"y\"}}"' }]"#;
    let told = run(&pod(false), ONE, create);
    assert_eq!(told.times("references non-existent config key: a"), [0.0], "{:#?}", told.events);
    assert_eq!(told.times("Started container app"), [31.5]);
    assert_eq!(run(&pod(true), ONE, create).times("Started container app"), [0.0]);
}

/// Rule N54: an optional ConfigMap that comes later becomes files as any other; an immutable one is
/// never heard of again, even when another of its name comes.
#[test]
fn files_of_optional_and_immutable_objects() {
    let pod = "apiVersion: v1
kind: ConfigMap
metadata: { name: fixed }
immutable: true
data: { a: x }
---
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  containers: [{ name: app, image: a:1, volumeMounts: [{ name: v, mountPath: /v }] }]
  volumes:
    - name: v
      projected:
        sources:
          - configMap: { name: fixed }
          - configMap: { name: later, optional: true }
          - serviceAccountToken: { path: token }
          - downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }] }
";
    let timeline = "timeline:
  - { at: 20s, run: kubectl create configmap later --from-literal=a=1 }
  - { at: 30s, run: kubectl delete configmap fixed }
  - { at: 31s, run: kubectl create configmap fixed --from-literal=a=2 }
";
    let told = run(pod, ONE, timeline);
    assert_eq!(told.times("Started container app"), [0.0], "{:#?}", told.events);
    let refreshed = |name: &str| told.value(&["configs", name, "refreshed"]);
    assert_eq!(refreshed("configmap/later"), Some(1.0));
    assert_eq!(refreshed("configmap/fixed"), None);
}

/// When images were there, of four pods with an image each; a pull takes ten seconds.
fn pulls(kubelet: &str) -> Vec<f64> {
    let pods: String = (0..4)
        .map(|n| {
            format!(
                "---
apiVersion: v1
kind: Pod
metadata: {{ name: p{n} }}
spec: {{ containers: [{{ name: app, image: 'a{n}:1' }}] }}
"
            )
        })
        .collect();
    let cluster = format!(
        "latencies: {{ base: ideal, pull: 10s }},
  nodes: [{{ pool: w, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }}, images: [],
             kubelet: {{ {kubelet} }} }}]"
    );
    run(&pods, &cluster, "").times("Successfully pulled")
}

/// Rule N60: one pull at a time unless the kubelet is told otherwise.
#[test]
fn images_are_pulled_one_at_a_time_or_side_by_side() {
    assert_eq!(pulls(""), [10.0, 20.0, 30.0, 40.0]);
    assert_eq!(pulls("serializeImagePulls: false"), [10.0; 4]);
    assert_eq!(pulls("maxParallelImagePulls: 2"), [10.0, 10.0, 20.0, 20.0]);
    assert_eq!(pulls("maxParallelImagePulls: 1"), [10.0, 20.0, 30.0, 40.0]);
}

/// Rules N62, N521: what is above the limit of pulls a second fails at once, and is tried again after a
/// back-off of 10 s.
#[test]
fn too_many_pulls_a_second_fail() {
    let cluster = |kubelet: &str| {
        format!(
            "latencies: {{ base: measured, pull: 0.1s, pullRate: 1T }},
  nodes: [{{ pool: w, count: 1, allocatable: {{ cpu: 9, memory: 9Gi }}, images: [],
             kubelet: {{ serializeImagePulls: false, {kubelet} }} }}]"
        )
    };
    let set = "apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 12
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: app, image: 'a:1', imagePullPolicy: Always }] }
";
    let refused = |kubelet: &str| run(set, &cluster(kubelet), "").times("pull QPS exceeded").len();
    assert!(refused("registryPullQPS: 1, registryBurst: 2") >= 5);
    assert_eq!(refused("registryPullQPS: 0"), 0);
}

/// Rule N92: a node may shorten the back-off of containers that crash: 0, 10, 20, 20 s.
#[test]
fn a_node_may_shorten_the_back_off() {
    let pod = "apiVersion: v1
kind: Pod
metadata: { name: web }
spec: { containers: [{ name: app, image: 'a:1' }] }
";
    let cluster = |kubelet: &str| {
        format!(
            "latencies: ideal,
  nodes: [{{ pool: w, count: 1, allocatable: {{ cpu: 9, memory: 9Gi }}, kubelet: {{ {kubelet} }} }}]"
        )
    };
    let crashes = "behaviors: [{ for: pod/web, run: 1s, exit: [{ code: 1 }] }]";
    let starts = |kubelet: &str| {
        let told = run(pod, &cluster(kubelet), crashes);
        told.times("Started container app").into_iter().take(6).collect::<Vec<_>>()
    };
    assert_eq!(starts(""), [0.0, 1.0, 12.0, 33.0, 74.0, 155.0]);
    let short = "crashLoopBackOff: { maxContainerRestartPeriod: 20s }";
    assert_eq!(starts(short), [0.0, 1.0, 12.0, 33.0, 54.0, 75.0]);
    let least = "crashLoopBackOff: { maxContainerRestartPeriod: 1s }";
    assert_eq!(starts(least), [0.0, 1.0, 3.0, 5.0, 7.0, 9.0]);
}

/// Rule N95: limits of the pod as a whole: its containers together meet it, and the largest goes;
/// 20 MiB and 40 MiB, which leaks 1 MiB a second, meet 100 MiB after 40 s.
#[test]
fn a_limit_of_the_whole_pod() {
    let pod = "apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  resources: { limits: { cpu: 1, memory: 100Mi } }
  containers: [{ name: calm, image: 'a:1' }, { name: leaky, image: 'b:1' }]
";
    let behaviors = "behaviors:
  - { for: pod/web, container: calm, memory: 20Mi }
  - { for: pod/web, container: leaky, memory: 40Mi, leak: 1Mi }
";
    let told = run(pod, ONE, behaviors);
    assert_eq!(told.times("Started container calm"), [0.0]);
    assert_eq!(told.times("Started container leaky")[..3], [0.0, 40.0, 90.0], "{:#?}", told.events);
}

/// Rule N97: pods that ask for 250m and 750m and want all of one core get a quarter and three
/// quarters of it; alone, or where there is enough, each gets what it wants.
#[test]
fn a_full_machine_is_shared_by_weight() {
    let twin = |name: &str, cpu: &str| {
        format!(
            "---
apiVersion: v1
kind: Pod
metadata: {{ name: {name}, labels: {{ app: {name} }} }}
spec:
  containers: [{{ name: app, image: 'a:1', ports: [{{ containerPort: 80 }}],
                 resources: {{ requests: {{ cpu: {cpu} }} }} }}]
---
apiVersion: v1
kind: Service
metadata: {{ name: {name} }}
spec: {{ selector: {{ app: {name} }}, ports: [{{ port: 80 }}] }}
"
        )
    };
    let pods = twin("small", "250m") + &twin("large", "750m");
    let serve = "start: 0s, serve: { hold: 100ms, cpu: 100ms, concurrency: 8, sharing: cpu }";
    let rest = format!(
        "behaviors:
  - {{ for: pod/small, {serve} }}
  - {{ for: pod/large, {serve} }}
traffic:
  - {{ name: few, to: service/small, users: {{ count: 4, think: 10ms }}, timeout: 30s }}
  - {{ name: many, to: service/large, users: {{ count: 4, think: 10ms }}, timeout: 30s }}
"
    );
    let calls = |cores: u32| {
        let cluster = format!(
            "latencies: ideal,
  nodes: [{{ pool: w, count: 1, allocatable: {{ cpu: {cores}, memory: 4Gi }} }}]"
        );
        let told = run_for("40s", &pods, &cluster, &rest);
        ["small", "large"].map(|of| told.number(&["services", of, "calls", "total"]) / 40.0)
    };
    let near = |one: f64, other: f64| (one / other - 1.0).abs() < 0.1;
    let [small, large] = calls(1);
    assert!(near(small, 2.5) && near(large, 7.5), "{small} and {large} calls a second");
    let [small, large] = calls(8);
    // 4 / (0.1 s + 0.01 s)
    assert!(near(small, 36.4) && near(large, 36.4), "{small} and {large} calls a second");
}
