//! Where a naive re-implementation of a kubelet goes wrong (rules N501 to N534, as far as no other
//! test has them).

use crate::support::{Told, tell};

fn run(pods: &str, latencies: &str, rest: &str) -> Told {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: traps
cluster:
  nodes: [{{ pool: w, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }}, images: [] }}]
  latencies: {latencies}
apply: [pods.yaml]
{rest}
run: {{ until: 10m, replications: 1 }}
"
    );
    tell(&[("scenario.yaml", &scenario), ("pods.yaml", pods)])
}

fn pod(spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: web, labels: {{ app: web }} }}\nspec:\n{spec}"
    )
}

const DELETE: &str = "timeline: [{ at: 60s, run: kubectl delete pod web --wait=false }]";

/// Rules N124, N512: the hook of a sidecar runs at once, with those of the app, and not when its turn
/// comes: it takes 15 s while the app takes 10 s to stop; at 75 s the sidecar has its turn already.
#[test]
fn hooks_of_sidecars_run_first() {
    let pod = pod("  initContainers: [{ name: side, image: 'b:1', restartPolicy: Always,
    lifecycle: { preStop: { sleep: { seconds: 15 } } } }]
  containers: [{ name: app, image: 'a:1', ports: [{ containerPort: 80 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
");
    let rest = "behaviors: [{ for: pod/web, container: app, start: 0s, shutdown: { accept: 10s } }]
traffic: [{ name: users, to: service/web, rate: 1/s }]
";
    let told = run(&pod, "ideal", &format!("{rest}{DELETE}"));
    assert_eq!(told.column("gone_s"), [75.0]);
}

/// Rules N60, N67, N513: one container after another, each with its own pull before it: 10 s for an
/// image and 1 s for a start, and 3 s for a hook that keeps the next one waiting.
#[test]
fn containers_start_one_after_another() {
    let pod = pod("  containers:
    - { name: one, image: 'a:1', lifecycle: { postStart: { exec: { command: [sleep, '3'] } } } }
    - { name: two, image: 'b:1' }
    - { name: three, image: 'a:1', imagePullPolicy: IfNotPresent }
");
    let told = run(&pod, "{ base: ideal, pull: 10s, containerStart: 1s }", "");
    let started = |name: &str| told.times(&format!("Started container {name}"));
    assert_eq!([started("one"), started("two"), started("three")], [[11.0], [25.0], [26.0]]);
}

/// Rules N52, N514: no pod starts before the kubelet has looked at its volumes a second time.
#[test]
fn every_pod_waits_for_its_volumes() {
    let pod = pod("  containers: [{ name: app, image: 'a:1' }]\n");
    let told = run(&pod, "{ base: ideal, volumes: 300ms }", "");
    assert_eq!(told.times("Started container app"), [0.3]);
}

/// Rules N4, N5, N519: what a kubelet does it knows at once, what happens by itself it finds with
/// its next relist: the first start costs no relist, a restart up to a second.
#[test]
fn exits_are_found_by_the_relist() {
    let pod = pod("  containers: [{ name: app, image: 'a:1' }]\n");
    let crash = "behaviors: [{ for: pod/web, run: 5s }]";
    let told = run(&pod, "{ base: ideal, relist: 1s }", crash);
    let at = told.times("Started container app");
    assert!(at[0] < 0.001, "{at:?}");
    assert!(at[1] > 5.0 && at[1] <= 6.0, "{at:?}");
}

/// Rules N101, N133, N523: the kubelet asks no budget: the only pod of one that lets none go is
/// evicted, and the object is not deleted.
#[test]
fn evictions_of_a_kubelet_ask_nobody() {
    let pods = pod("  containers: [{ name: app, image: 'a:1' }]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { maxUnavailable: 0, selector: { matchLabels: { app: web } } }
");
    let leak = "behaviors: [{ for: pod/web, memory: 1Gi, leak: 64Mi,
      shutdown: { ignoresSignal: true } }]";
    let told = run(&pods, "ideal", leak);
    assert_eq!(told.rows("reason", "Evicted"), ["web"]);
    assert_eq!(told.column("deleted_s"), [0.0; 0]);
}

/// Rules N125, N502: a pod that is deleted stays ready as long as its probe goes well: it is the
/// only one, so calls reach it until it stops (rule N507); none is refused before that.
#[test]
fn deletion_does_not_make_a_pod_unready() {
    let pod = pod("  containers: [{ name: app, image: 'a:1', ports: [{ containerPort: 80 }],
    readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1 },
    lifecycle: { preStop: { sleep: { seconds: 20 } } } }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
");
    let rest = "behaviors: [{ for: pod/web, start: 0s, serve: { hold: 0s } }]
traffic: [{ name: users, to: service/web, steps: [{ at: 0s, rate: 0/s }, { at: 1s, rate: 50/s }, { at: 79s, rate: 0/s }] }]
";
    let told = run(&pod, "ideal", &format!("{rest}{DELETE}"));
    assert!(told.number(&["services", "web", "calls", "failed"]) < 0.5);
    assert_eq!(told.column("gone_s"), [80.0]);
}
