//! ReplicationControllers in whole runs: pods of their own beside those of a ReplicaSet of the same
//! name, kubectl's words about them, rows, autoscalers (rules C67, C71, C145, C191).

use seatrial::api::Kind;
use seatrial::cluster::Cluster;
use seatrial::model::{ObjectName, WorkloadKind};
use seatrial::recorder::{RowSinks, Wants};

use crate::support::{Page, ended_with, images, load_memory};

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: old
cluster:
  nodes: [{ pool: workers, count: 3, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: ideal
apply: [old.yaml]
timeline:
";

const OLD: &str = "
apiVersion: v1
kind: ReplicationController
metadata: { name: old }
spec:
  replicas: 3
  selector: { app: old }
  template:
    metadata: { labels: { app: old } }
    spec: { containers: [{ name: app, image: old:1 }] }
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: { name: old }
spec:
  replicas: 1
  selector: { matchLabels: { app: other } }
  template:
    metadata: { labels: { app: other } }
    spec: { containers: [{ name: app, image: other:1 }] }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: old }
spec:
  maxUnavailable: 50%
  selector: { matchLabels: { app: old } }
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: old }
spec:
  scaleTargetRef: { apiVersion: v1, kind: ReplicationController, name: old }
  minReplicas: 2
  maxReplicas: 6
";

/// What a run left: the cluster, what it refused, and its rows of pods.
struct Run {
    cluster: Cluster,
    refused: Vec<String>,
    rows: String,
}

/// A run with these commands at 60 s, 120 s and so on.
fn run(commands: &[&str]) -> Run {
    let mut scenario = SCENARIO.to_owned();
    for (minute, command) in (1..).zip(commands) {
        scenario.push_str(&format!("  - {{ at: {minute}m, run: kubectl {command} }}\n"));
    }
    scenario.push_str("run: { until: 10m }\n");
    let model = load_memory(&[("scenario.yaml", &scenario), ("old.yaml", OLD)]).model;
    let page = Page::default();
    let rows = RowSinks::default().pods(page.clone());
    let (cluster, facts) = ended_with(&model, Wants { rows, ..Wants::default() });
    let refused = facts.commands.into_iter().filter_map(|c| c.refused).collect();
    Run { cluster, refused, rows: String::from_utf8(page.bytes()).expect("text") }
}

#[test]
fn commands_scale_and_change_it() {
    let done = run(&[
        "scale rc/old --replicas=5",
        "set image rc/old app=old:2",
        "scale replicationcontroller old --replicas=6",
        "rollout restart rc/old",
    ]);
    let old = images(&done.cluster, WorkloadKind::ReplicationController);
    assert_eq!(old, ["old:1", "old:1", "old:1", "old:1", "old:1", "old:2"], "no rollout");
    assert_eq!(images(&done.cluster, WorkloadKind::ReplicaSet), ["other:1"], "of the same name");
    let names = done.cluster.names();
    let symbol = |text: &str| names.get(text).expect("it is there");
    let name = ObjectName { namespace: symbol("default"), name: symbol("old") };
    let (_, budget) = done.cluster.budgets().iter().next().expect("a budget");
    assert_eq!((budget.status.expected, budget.status.desired), (6, 3), "C145: its scale counts");
    assert!(done.cluster.replica_set_named(Kind::ReplicationController, name).is_some());
    assert_eq!(done.refused, ["error: replicationcontrollers \"old\" restarting is not supported"]);
}

#[test]
fn it_goes_with_its_pods_or_without_them() {
    let done = run(&["delete rc old"]);
    assert!(images(&done.cluster, WorkloadKind::ReplicationController).is_empty());
    assert_eq!(images(&done.cluster, WorkloadKind::ReplicaSet), ["other:1"], "C191: only its own");
    let own = done.rows.lines().filter(|row| row.contains("replicationcontroller/old"));
    assert_eq!(own.count(), 3, "{}", done.rows);
    let done = run(&["delete rc old --cascade=orphan"]);
    assert_eq!(
        images(&done.cluster, WorkloadKind::ReplicationController).len(),
        3,
        "C191: they stay"
    );
}

#[test]
fn an_autoscaler_holds_it_within_its_limits() {
    let done = run(&["scale rc/old --replicas=9"]);
    assert_eq!(images(&done.cluster, WorkloadKind::ReplicationController).len(), 6, "maxReplicas");
}
