//! StatefulSets in whole runs, with the real scheduler and kubelets in ideal latencies.

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Cluster, StatefulSet};
use seatrial::engine::World;

use crate::support::{begun, load_memory};

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: database
cluster:
  nodes:
    - { pool: workers, count: 3, zones: [a, b, c], allocatable: { cpu: 4, memory: 16Gi } }
  latencies: ideal
apply: [database.yaml]
behaviors:
  - { for: statefulset/db, start: 5s }
run: { until: 10m }
";

fn database(policy: &str) -> String {
    format!(
        "apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{ name: disks }}
provisioner: disks.example.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{ name: db }}
spec:
  serviceName: db
  replicas: 3
  podManagementPolicy: {policy}
  persistentVolumeClaimRetentionPolicy: {{ whenScaled: Delete, whenDeleted: Retain }}
  selector: {{ matchLabels: {{ app: db }} }}
  template:
    metadata: {{ labels: {{ app: db }} }}
    spec:
      containers:
        - name: db
          image: db:v1
          ports: [{{ containerPort: 80 }}]
          readinessProbe: {{ httpGet: {{ path: /, port: 80 }}, periodSeconds: 1 }}
          volumeMounts: [{{ name: data, mountPath: /data }}]
  volumeClaimTemplates:
    - metadata: {{ name: data }}
      spec:
        storageClassName: disks
        accessModes: [ReadWriteOnce]
        resources: {{ requests: {{ storage: 1Gi }} }}
---
apiVersion: v1
kind: Service
metadata: {{ name: second }}
spec:
  selector: {{ statefulset.kubernetes.io/pod-name: db-1 }}
  ports: [{{ port: 80 }}]
"
    )
}

fn world(policy: &str) -> World {
    let database = database(policy);
    let files = [("scenario.yaml", SCENARIO), ("database.yaml", database.as_str())];
    let model = load_memory(&files).model;
    begun(&model)
}

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + Duration::secs(seconds)
}

fn set(cluster: &Cluster) -> &StatefulSet {
    cluster.stateful_sets().iter().next().expect("the StatefulSet").1
}

fn pods(cluster: &Cluster) -> Vec<String> {
    let rows = set(cluster).pods.iter().map(|id| &cluster.pods()[*id]);
    let mut names: Vec<String> = rows.map(|pod| pod.name.text(cluster.names())).collect();
    names.sort();
    names
}

/// Rule C86: each pod waits for the one before to be ready.
#[test]
fn ordered_pods_come_one_after_another() {
    let mut world = world("OrderedReady");
    world.step_until(at(4));
    assert_eq!(pods(world.cluster()), ["db-0"]);
    world.step_until(at(9));
    assert_eq!(pods(world.cluster()), ["db-0", "db-1"]);
    world.step_until(at(60));
    let status = set(world.cluster()).status;
    assert_eq!((status.replicas, status.ready, status.updated), (3, 3, 3));
}

/// Rules C86 and C82: all at once; each has a claim called after template and pod.
#[test]
fn parallel_pods_come_at_once_with_claims_of_their_own() {
    let mut world = world("Parallel");
    world.step_until(at(1));
    let cluster = world.cluster();
    assert_eq!(pods(cluster), ["db-0", "db-1", "db-2"]);
    let name = |name: seatrial::model::ObjectName| cluster.names().resolve(name.name).to_owned();
    let claims: Vec<String> = cluster.claims().map(|(claim, _)| name(claim)).collect();
    assert_eq!(claims, ["data-db-0", "data-db-1", "data-db-2"]);
    assert!(set(cluster).pods.iter().all(|id| cluster.pods()[*id].node.is_some()));
}

/// Rule C82: a Service may select one pod by its name.
#[test]
fn a_service_selects_one_pod_by_name() {
    let mut world = world("Parallel");
    world.step_until(at(30));
    let cluster = world.cluster();
    let service = cluster.service_ids().next().expect("the Service");
    let behind = &cluster.service(service).expect("it is there").pods;
    let names: Vec<String> =
        behind.iter().map(|id| cluster.pods()[*id].name.text(cluster.names())).collect();
    assert_eq!(names, ["db-1"]);
}

/// kubectl changes the image of a StatefulSet that has claim templates: no immutable field moves.
#[test]
fn an_image_can_be_set_beside_claim_templates() {
    let mut world = world("Parallel");
    let line = "kubectl set image statefulset/db db=db:v2";
    let output = world.kubectl(at(60), line, &Default::default()).expect("words of kubectl");
    assert_eq!((output.exit_code, output.stderr.as_str()), (0, ""));
    world.step_until(at(300));
    let status = set(world.cluster()).status;
    assert_eq!((status.updated, status.current_revision), (3, status.update_revision));
}
