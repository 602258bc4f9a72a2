//! Storage in a whole run: claims that are made, bound and removed with the pods that use them.

use seatrial::experiment::{self, Options};
use seatrial::recorder::{RowSinks, Wants};

use crate::support::{Page, load_memory};

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: volumes
cluster:
  nodes: [{ pool: workers, count: 4, zones: [a, b], allocatable: { cpu: 2, memory: 8Gi } }]
  latencies: ideal
apply: [app.yaml]
timeline: [TIMELINE]
run: { until: 5m }
";

const APP: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: disk }
provisioner: disk.example.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: shared }
spec:
  storageClassName: disk
  accessModes: [ReadWriteOnce]
  resources: { requests: { storage: 1Gi } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  replicas: 3
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      containers:
        - { name: app, image: app:1, resources: { requests: { cpu: 1, memory: 1Gi } } }
      volumes: [VOLUME]
";

const CLAIM: &str = "{ name: data, persistentVolumeClaim: { claimName: shared } }";
const EPHEMERAL: &str = "{ name: data, ephemeral: { volumeClaimTemplate: { spec: {
  storageClassName: disk, accessModes: [ReadWriteOnce],
  resources: { requests: { storage: 1Gi } } } } } }";

/// The node of each pod that was placed, in order, of a run with this volume and timeline.
fn nodes_of(volume: &str, timeline: &str) -> Vec<String> {
    let (scenario, app) = (SCENARIO.replace("TIMELINE", timeline), APP.replace("VOLUME", volume));
    let model = load_memory(&[("scenario.yaml", &scenario), ("app.yaml", &app)]).model;
    let pods = Page::default();
    let wants = Wants { events: false, rows: RowSinks::default().pods(pods.clone()) };
    let options = Options { replications: 1, wants, checks: true, ..Options::of(&model) };
    experiment::run(&model, options, &|_| {}).expect("within all limits");
    let bytes = pods.bytes();
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let headers = reader.headers().expect("a table has headers").clone();
    let at = headers.iter().position(|name| name == "node").expect("the column is there");
    let rows = reader.into_records().map(|row| row.expect("a row")[at].to_owned());
    rows.filter(|node| !node.is_empty()).collect()
}

/// Nodes come to zones by turns: even ones to a, odd ones to b.
fn zone(node: &str) -> u32 {
    let number = node.rsplit('-').next().and_then(|number| number.parse::<u32>().ok());
    number.expect("a node of the pool") % 2
}

#[test]
fn pods_that_share_a_claim_stay_in_the_zone_of_its_volume() {
    let nodes = nodes_of(CLAIM, "");
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    assert!(nodes.iter().all(|node| zone(node) == zone(&nodes[0])), "{nodes:?}");
}

#[test]
fn each_pod_has_an_ephemeral_volume_of_its_own() {
    let restart = "{ at: 1m, run: kubectl rollout restart deployment/app }";
    let nodes = nodes_of(EPHEMERAL, restart);
    assert_eq!(nodes.len(), 6, "{nodes:?}");
    let zones: Vec<_> = nodes.iter().map(|node| zone(node)).collect();
    assert!(zones.contains(&0) && zones.contains(&1), "{nodes:?}");
}
