//! A machine that is shut down in order (rules N45, N132, N133).

use crate::support::{Told, tell};

const PODS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: app, image: web:1, ports: [{ containerPort: 80 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: agent }
spec:
  priorityClassName: system-node-critical
  nodeName: workers-0
  containers: [{ name: app, image: agent:1 }]
";

fn shutdown(kubelet: &str, web: &str) -> Told {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: shutdown
cluster:
  nodes:
    - {{ pool: workers, count: 2, allocatable: {{ cpu: 4, memory: 4Gi }}, kubelet: {{ {kubelet} }} }}
  latencies: ideal
apply: [all.yaml]
behaviors:
  - {{ for: deployment/web, start: 0s, serve: {{ hold: 10ms }}, shutdown: {{ {web} }} }}
  - {{ for: pod/agent, start: 0s, shutdown: {{ ignoresSignal: true }} }}
traffic: [{{ name: users, to: service/web, rate: 100/s }}]
timeline:
  - {{ at: 60s, fault: {{ shutdown: {{ node: workers-0 }} }} }}
  - {{ at: 3m, fault: {{ recover: {{ node: workers-0 }} }} }}
run: {{ until: 5m, replications: 1 }}
"
    );
    tell(&[("scenario.yaml", &scenario), ("all.yaml", PODS)])
}

/// When pods finished.
fn sorted(told: &Told) -> Vec<f64> {
    let mut at = told.column("finished_s");
    at.sort_by(f64::total_cmp);
    at
}

/// Rule N132: 30 s in all, 10 s of them for critical pods: the ordinary ones have 20 s, which a
/// deaf one uses up; then the critical one has its 10 s. They end as Failed for the reason
/// Terminated, and are replaced on another node at once.
#[test]
fn pods_end_group_by_group() {
    let told = shutdown(
        "shutdownGracePeriod: 30s, shutdownGracePeriodCriticalPods: 10s",
        "ignoresSignal: true",
    );
    assert_eq!(told.times("NodeShutdown"), [60.0], "{:#?}", told.events);
    assert_eq!(told.times("status is now: NodeNotReady"), [60.0]);
    let mut ended = told.rows("reason", "Terminated");
    ended.sort_unstable();
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert_eq!(ended[0], "agent");
    assert_eq!(sorted(&told), [80.0, 90.0]);
    // Both are deaf, so that the one that is left keeps serving until SIGKILL; the new one is on
    // the other node as soon as the pod has failed.
    assert_eq!(told.times("Started pod/default/web"), [0.0, 0.0, 80.0]);
}

/// Rule N133: who ends well on the signal has Succeeded, and goes as soon as it likes: the
/// critical pod has its turn right after it.
#[test]
fn who_ends_well_does_not_fail() {
    let told =
        shutdown("shutdownGracePeriod: 30s, shutdownGracePeriodCriticalPods: 10s", "accept: 5s");
    assert_eq!(told.rows("reason", "Terminated"), ["agent"]);
    assert_eq!(sorted(&told), [65.0, 75.0]);
}

/// Without `shutdownGracePeriod`, the default, nothing is put off: it is as a crash.
#[test]
fn without_a_grace_the_power_is_off_at_once() {
    let told = shutdown("", "accept: 5s");
    assert!(told.rows("reason", "Terminated").is_empty());
    assert!(told.times("NodeShutdown").is_empty());
    assert!(told.number(&["services", "web", "calls", "by_cause", "node_down"]) > 0.0);
}

/// Rule N132: other groups, by priority: those below 1000 have 5 s, the others 20 s; in a group
/// without pods nobody waits. Each pod has its own grace at most.
#[test]
fn groups_by_priority() {
    let groups = "[{ priority: 1000, shutdownGracePeriodSeconds: 20 }, \
                   { priority: 500, shutdownGracePeriodSeconds: 60 }, \
                   { priority: 0, shutdownGracePeriodSeconds: 5 }]";
    let told =
        shutdown(&format!("shutdownGracePeriodByPodPriority: {groups}"), "ignoresSignal: true");
    assert_eq!(sorted(&told), [65.0, 85.0]);
    assert_eq!(told.rows("reason", "Terminated").len(), 2);
}
