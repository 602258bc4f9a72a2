//! Static pods: manifests that lie on the machines (rules N15, N43).

use seatrial::manifest::Loader;
use seatrial::scenario::{Place, load};

use crate::support::{Told, tell};

const AGENT: &str = "
apiVersion: v1
kind: Pod
metadata: { name: agent, namespace: kube-system }
spec:
  containers:
    - { name: main, image: agent:1, resources: { requests: { cpu: '1' } } }
";

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 4
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: app, image: web:1, resources: { requests: { cpu: 1500m } } }
";

fn scenario(timeline: &str) -> String {
    "apiVersion: seatrial/v1
kind: Scenario
name: static
cluster:
  nodes:
    - { pool: workers, count: 2, allocatable: { cpu: 4, memory: 4Gi }, staticPods: [agent.yaml] }
  latencies: ideal
behaviors: [{ for: pod/kube-system/agent, start: 0s }]
apply: [web.yaml]
timeline: TIMELINE
run: { until: 10m, replications: 1 }
"
    .replace("TIMELINE", timeline)
}

fn run(timeline: &str) -> Told {
    tell(&[("scenario.yaml", &scenario(timeline)), ("agent.yaml", AGENT), ("web.yaml", WEB)])
}

/// Rule N15: each machine has its own, at once and without a scheduler; what it asks for counts.
#[test]
fn each_machine_runs_its_own() {
    let told = run("[]");
    for node in ["workers-0", "workers-1"] {
        let name = format!("kube-system/agent-{node}: Started");
        assert_eq!(told.times(&name), [0.0], "{:#?}", told.events);
    }
    assert!(told.times("Scheduled kube-system/agent").is_empty(), "{:#?}", told.events);
    // 4 − 1 CPUs have room for two pods of 1.5.
    assert_eq!(told.column("ready_s").len(), 6, "{:?}", told.pods());
    let more = run("[{ at: 10s, run: kubectl scale deployment web --replicas 5 }]");
    assert_eq!(more.rows("reason", "Unschedulable").len(), 1, "{:?}", more.pods());
}

/// Rule N15, C158: neither a drain nor a deletion through the API ends one; the containers go on.
#[test]
fn the_api_does_not_end_them() {
    let told = run("[{ at: 10s, run: kubectl delete pod agent-workers-0 -n kube-system },
        { at: 20s, run: kubectl drain workers-1 --force --ignore-daemonsets },
        { at: 30s, run: kubectl taint node workers-0 a=b:NoExecute }]");
    assert_eq!(told.times("kube-system/agent-workers-0: Killing").len(), 0, "{:#?}", told.events);
    let started = told.times("Started container main");
    assert_eq!(started, [0.0, 0.0], "{:#?}", told.events);
    let gone =
        |pod: &str| told.pods().iter().any(|row| row["pod"] == pod && !row["gone_s"].is_empty());
    assert!(!gone("agent-workers-0") && !gone("agent-workers-1"), "{:?}", told.pods());
}

/// Rule N15: it dies with its machine, and is started again with it.
#[test]
fn it_lives_and_dies_with_its_machine() {
    let told = run("[{ at: 60s, fault: { crash: { node: workers-0 } } },
        { at: 180s, fault: { recover: { node: workers-0 } } }]");
    let name = "kube-system/agent-workers-0: Started container main";
    assert_eq!(told.times(name), [0.0, 180.0], "{:#?}", told.events);
}

#[test]
fn mistakes_are_located() {
    let refused = |agent: &str| {
        let scenario = scenario("[]");
        let files =
            [("scenario.yaml", scenario.as_str()), ("agent.yaml", agent), ("web.yaml", WEB)];
        let files = files.map(|(path, text)| (path, text.as_bytes().to_vec()));
        let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
        let refused = load(&place, &[]).expect_err("it is refused");
        refused.found.draw(&refused.sources, &Default::default())
    };
    let told = refused(WEB);
    assert!(told.contains("a kubelet runs no Deployment from a file"), "{told}");
    let secret = "volumes: [{ name: keys, secret: { secretName: keys } }]\n  containers:";
    let told = refused(&AGENT.replace("containers:", secret));
    assert!(
        told.contains("a static pod may not refer to other objects of the API: secret"),
        "{told}"
    );
}
