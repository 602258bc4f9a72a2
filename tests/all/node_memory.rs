//! Memory in a run: containers that pass their limits, nodes that run out of it (rules N44, N95,
//! N99 to N101, N133).

use crate::support::{Told, deployment, tell};

/// A server of 64 MiB with a limit of 256 MiB beside a helper, and what it does.
fn shop(behavior: &str, timeline: &str) -> Told {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: memory
cluster:
  nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }} }}]
  latencies: ideal
apply: [web.yaml]
behaviors: [{behavior}]
traffic: [{{ name: users, to: service/web, rate: 20/s }}]
timeline: [{timeline}]
run: {{ until: 5m, replications: 1 }}
"
    );
    let web = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: app
          image: web:1
          ports: [{ containerPort: 80 }]
          resources: { requests: { memory: 64Mi }, limits: { memory: 256Mi } }
        - { name: helper, image: helper:1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
";
    tell(&[("scenario.yaml", &scenario), ("web.yaml", web)])
}

/// Rules N90, N95 and N428: 64 MiB and 2 MiB a second are 256 MiB after 96 s. The container is
/// killed and starts again at once; 96 s later again, and 10 s later than the first time, as it
/// had not run for ten minutes. The helper goes on, and the calls that were in service fail for
/// that reason.
#[test]
fn a_container_that_leaks_is_killed_at_its_limit() {
    let told = shop(
        "{ for: deployment/web, container: app, start: 0s, memory: 64Mi, leak: 2Mi,
           serve: { hold: 1s } }",
        "",
    );
    let starts = told.times("Started container app");
    assert_eq!(starts, [0.0, 96.0, 202.0], "{:#?}", told.events);
    assert_eq!(told.times("Started container helper"), [0.0]);
    assert_eq!(told.times("Back-off restarting failed container app"), [192.0, 298.0]);
    let lost = told.number(&["services", "web", "calls", "by_cause", "out_of_memory"]);
    assert!((30.0..=60.0).contains(&lost), "20 a second for a second, three times: {lost}");
    assert!((told.number(&["workloads", "web", "restarts"]) - 2.0).abs() < 1e-9);
}

/// Rule N95: 192 MiB are there for calls of 8 MiB each: 24 calls of a second at a time are enough,
/// 20 a second on average are too many sooner or later, 10 never are.
#[test]
fn calls_take_memory_while_they_are_there() {
    let heavy = |hold: &str| {
        let behavior = format!(
            "{{ for: deployment/web, container: app, start: 0s, memory: 64Mi, memoryPerCall: 8Mi,
               serve: {{ hold: {hold}, concurrency: 100 }} }}"
        );
        shop(&behavior, "")
    };
    let (few, many) = (heavy("500ms"), heavy("2s"));
    let lost =
        |told: &Told| told.number(&["services", "web", "calls", "by_cause", "out_of_memory"]);
    assert_eq!((lost(&few), few.times("Started container app").len()), (0.0, 1));
    assert!(lost(&many) >= 24.0 && many.times("Started container app").len() > 2);
}

/// Pods of 1 GiB each that leak, on a node that has 4 GiB for them.
fn crowd(kubelet: &str, latencies: &str, pods: &[(&str, &str, &str)]) -> Told {
    let behaviors: Vec<String> = pods
        .iter()
        .map(|(name, _, memory)| format!("{{ for: deployment/{name}, start: 0s, {memory} }}"))
        .collect();
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: pressure
cluster:
  nodes:
    - {{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }}, kubelet: {{ {kubelet} }} }}
  latencies: {latencies}
apply: [all.yaml]
behaviors: [{}]
run: {{ until: 20m, replications: 1 }}
",
        behaviors.join(", ")
    );
    let all: String =
        pods.iter().map(|(name, resources, _)| deployment(name, resources, "")).collect();
    tell(&[("scenario.yaml", &scenario), ("all.yaml", &all)])
}

const GIB: &str = "requests: { memory: 1Gi }";
const NONE: &str = "";

/// Rules N99 to N101: the pods use 1 GiB and 1 GiB as they ask for, and one that asks for nothing
/// 8 MiB more each second: after 256 s they have all that pods can have. The one that asks for
/// nothing is evicted, whoever is larger; its replacement waits until the condition is over, as it
/// does not tolerate the taint.
#[test]
fn the_node_evicts_who_uses_more_than_it_asked_for() {
    let told = crowd(
        "evictionPressureTransitionPeriod: 2m",
        "ideal",
        &[
            ("calm", GIB, "memory: 1Gi"),
            ("still", GIB, "memory: 1Gi"),
            ("wild", NONE, "memory: 0, leak: 8Mi, shutdown: { ignoresSignal: true }"),
        ],
    );
    let evicted = told.rows("reason", "Evicted");
    assert_eq!(evicted.len(), 3, "{:#?}", told.events);
    assert!(evicted.iter().all(|pod| pod.starts_with("wild-")), "{evicted:?}");
    let at: Vec<u64> =
        told.times("The node was low on resource: memory").iter().map(whole).collect();
    // Two seconds until SIGKILL (rule N122). The next one starts when the taint is gone, two
    // minutes later, and takes as long.
    assert_eq!(at, [256, 634, 1012]);
    assert!(told.events.iter().any(|event| event.contains("Threshold quantity: 100Mi")));
    let starts: Vec<u64> = told.times("Started pod/default/wild").iter().map(whole).collect();
    assert_eq!(starts, [0, 378, 756, 1134]);
    let taint = told.times("NodeHasInsufficientMemory").iter().map(whole).collect::<Vec<_>>();
    assert_eq!(taint, [256, 634, 1012]);
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as iterators give it")]
fn whole(at: &f64) -> u64 {
    seatrial::base::Duration::from_secs_f64(*at).whole_secs()
}

/// Rule N99: a real kubelet looks every 10 s, so that memory may be gone between two looks: then
/// the kernel kills a container, and the pod stays (rule N95).
#[test]
fn what_grows_too_fast_is_killed_by_the_kernel() {
    // The 100 MiB of the threshold last for a tenth of a second.
    let told = crowd("", "measured-small", &[("wild", NONE, "memory: 0, leak: 1000Mi")]);
    assert!(told.times("Back-off restarting failed container").len() > 1, "{:#?}", told.events);
    assert!(told.number(&["workloads", "wild", "restarts"]) > 2.0);
}

/// Rule N99: the look that finds it comes within 10 s, one pod goes in each round.
#[test]
fn one_pod_goes_in_each_round() {
    let told = crowd(
        "evictionMinimumReclaim: { memory.available: 1500Mi }",
        "measured-small",
        &[
            ("one", NONE, "memory: 1400Mi"),
            ("two", NONE, "memory: 1400Mi"),
            ("three", NONE, "memory: 1300Mi, leak: 100Ki"),
        ],
    );
    let at = told.times("The node was low on resource: memory");
    // 3 × 1.4 GiB but 4 MiB: 4196 MiB of 4096 (and the threshold of 100).
    assert!(at.len() >= 2 && at[1] - at[0] < 13.0, "{:#?}", told.events);
}

/// Rule N101: a soft threshold waits for its grace, and gives pods time to end.
#[test]
fn a_soft_threshold_waits() {
    let told = crowd(
        "evictionSoft: { memory.available: 1124Mi }, evictionSoftGracePeriod: { memory.available: \
         90s }, evictionMaxPodGracePeriod: 20s",
        "ideal",
        &[("wild", NONE, "memory: 0, leak: 16Mi, shutdown: { ignoresSignal: true }")],
    );
    // 3 GiB in use after 192 s; 90 s later that has not changed. SIGKILL after 20 s.
    let at: Vec<u64> =
        told.times("The node was low on resource: memory").iter().map(whole).collect();
    assert_eq!(at.first(), Some(&256), "the hard threshold comes first");
    let slow = crowd(
        "evictionSoft: { memory.available: 1124Mi }, evictionSoftGracePeriod: { memory.available: \
         90s }, evictionMaxPodGracePeriod: 20s",
        "ideal",
        &[("wild", NONE, "memory: 0, leak: 10Mi, shutdown: { ignoresSignal: true }")],
    );
    let at = slow.times("The node was low on resource: memory");
    // 3072 MiB at 10 MiB a second: 307.2 s, and 90 s.
    assert!((at[0] - 397.2).abs() < 0.01, "{at:?}");
    let finished = slow.column("finished_s");
    assert!((finished[0] - 417.2).abs() < 0.01, "{finished:?}");
}
