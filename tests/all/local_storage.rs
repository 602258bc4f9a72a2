//! What pods write to the disk of their node, and their eviction for it (rule N102).

use seatrial::experiment::{self, Options};
use seatrial::recorder::{RowSinks, Wants};

use crate::support::{Page, load_memory};

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: storage
cluster:
  nodes: [{ pool: node, count: 1, allocatable: { cpu: 4, memory: 8Gi } }]
  latencies: LATENCIES
apply: [app.yaml]
behaviors: [{ for: deployment/app, writes: WRITES }]
run: { until: 170s }
";

const APP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  replicas: 1
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      containers:
        - { name: app, image: app:1, resources: { LIMITS } }
      volumes: [{ name: cache, emptyDir: { sizeLimit: 500Mi } }]
";

/// The Events `Evicted`: when and their texts.
fn evictions(latencies: &str, writes: &str, limits: &str) -> Vec<(f64, String)> {
    let scenario = SCENARIO.replace("LATENCIES", latencies).replace("WRITES", writes);
    let app = APP.replace("LIMITS", limits);
    let model = load_memory(&[("scenario.yaml", &scenario), ("app.yaml", &app)]).model;
    let events = Page::default();
    let wants = Wants { events: true, rows: RowSinks::default().events(events.clone()) };
    let options = Options { replications: 1, wants, checks: true, ..Options::of(&model) };
    experiment::run(&model, options, &|_| {}).expect("within all limits");
    let bytes = events.bytes();
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let rows = reader.records().map(|row| row.expect("a row"));
    let evicted = rows.filter(|row| &row[2] == "Evicted");
    evicted.map(|row| (row[0].parse().expect("a time"), row[4].to_owned())).collect()
}

/// A container that writes 1 MiB a second into its layer passes 50 MiB after 50 s; its
/// replacement begins anew.
#[test]
fn a_pod_above_its_limit_is_evicted() {
    let found = evictions(
        "ideal",
        "{ rate: 1Mi }",
        "requests: { ephemeral-storage: 0 }, limits: { ephemeral-storage: 50Mi }",
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!((50.0..50.001).contains(&found[0].0), "{found:?}");
    let text = "Pod ephemeral local storage usage exceeds the total limit of containers 50Mi. ";
    assert_eq!(found[0].1, text);
}

/// An `emptyDir` has a limit of its own; what is there at the start counts.
#[test]
fn a_volume_has_a_size_limit() {
    let writes = "{ start: 400Mi, rate: 1Mi, volume: cache }";
    let found = evictions("ideal", writes, "");
    assert!((100.0..100.001).contains(&found[0].0), "{found:?}");
    assert_eq!(found[0].1, "Usage of EmptyDir volume \"cache\" exceeds the limit \"500Mi\". ");
    assert!(evictions("ideal", "{ start: 400Mi, volume: cache }", "").is_empty());
}

/// The kubelet looks every 10 s.
#[test]
fn the_kubelet_looks_every_ten_seconds() {
    let found = evictions(
        "measured",
        "{ rate: 1Mi }",
        "requests: { ephemeral-storage: 0 }, limits: { ephemeral-storage: 50Mi }",
    );
    let gap = found[1].0 - found[0].0;
    assert!((gap / 10.0 - (gap / 10.0).round()).abs() < 1e-6, "{found:?}");
    assert!((50.0..70.0).contains(&gap), "{found:?}");
}
