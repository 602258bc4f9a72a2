//! Disks in a whole run: they are attached to the nodes of pods, and move with them (rules N52,
//! N55, N56, N404).

use seatrial::experiment::{self, Options};
use seatrial::explain::{Question, explain};
use seatrial::recorder::{RowSinks, Wants};

use crate::support::{Page, load_memory};

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: disks
cluster:
  nodes: [{ pool: node, count: 2, allocatable: { cpu: 4, memory: 8Gi } }]
  latencies: LATENCIES
apply: [app.yaml]
timeline: [TIMELINE]
run: { until: UNTIL }
";

const APP: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: disk }
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec:
  storageClassName: disk
  accessModes: [ReadWriteOnce]
  resources: { requests: { storage: 1Gi } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  replicas: 1
  strategy: { type: Recreate }
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      containers:
        - { name: app, image: app:1, resources: { requests: { cpu: 1, memory: 1Gi } } }
      volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]
";

/// A row of a table by its columns.
type Row = std::collections::BTreeMap<String, String>;

fn rows(page: &Page) -> Vec<Row> {
    let bytes = page.bytes();
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let headers = reader.headers().expect("a table has headers").clone();
    let row = |row: csv::StringRecord| {
        headers.iter().zip(&row).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    };
    reader.into_records().map(|record| row(record.expect("a row"))).collect()
}

/// The pods and Events of a run.
fn run(app: &str, latencies: &str, timeline: &str, until: &str) -> (Vec<Row>, Vec<Row>) {
    let scenario = SCENARIO.replace("LATENCIES", latencies).replace("TIMELINE", timeline);
    let scenario = scenario.replace("UNTIL", until);
    let model = load_memory(&[("scenario.yaml", &scenario), ("app.yaml", app)]).model;
    let (pods, events) = (Page::default(), Page::default());
    let sinks = RowSinks::default().pods(pods.clone()).events(events.clone());
    let wants = Wants { events: true, rows: sinks };
    let options = Options { replications: 1, wants, checks: true, ..Options::of(&model) };
    experiment::run(&model, options, &|_| {}).expect("within all limits");
    (rows(&pods), rows(&events))
}

/// When the pods started, in order of creation; in seconds.
fn starts(pods: &[Row]) -> Vec<f64> {
    pods.iter().map(|row| row["started_s"].parse().unwrap_or(f64::NAN)).collect()
}

/// When Events of a reason were told, and their texts.
fn told<'a>(events: &'a [Row], reason: &str) -> Vec<(f64, &'a str)> {
    let of = events.iter().filter(|row| row["reason"] == reason);
    of.map(|row| (row["at_s"].parse().expect("a time"), row["message"].as_str())).collect()
}

const SLOW: &str = "{ base: ideal, attach: 20s, detach: 10s }";
const DRAIN: &str = "{ at: 5m, run: kubectl drain node-0 --ignore-daemonsets }";
const CRASH: &str = "{ at: 5m, fault: { crash: { node: node-0 } } }";

/// In `ideal` a disk is there at once, and moves at once.
#[test]
fn without_latencies_a_disk_costs_nothing() {
    let (pods, events) = run(APP, "ideal", DRAIN, "10m");
    assert_eq!(starts(&pods), [0.0, 300.0]);
    assert!(told(&events, "FailedAttachVolume").is_empty());
}

/// Rules N55, N56: attach for the first pod; for the next on another node detach, then attach.
/// A kubelet tries to mount it after 0.5 s, 1.5 s, 3.5 s, … 31.5 s.
#[test]
fn a_disk_moves_with_its_pod() {
    let (pods, events) = run(APP, SLOW, DRAIN, "10m");
    assert_eq!(starts(&pods), [31.5, 331.5]);
    assert_eq!(pods[1]["node"], "node-1");
    assert_eq!(told(&events, "SuccessfulAttachVolume").len(), 2);
}

/// Rule N56: a pod whose containers still run keeps its disk; the new one is told.
#[test]
fn a_disk_in_use_is_not_taken_off() {
    let app = APP.replace(
        "image: app:1,",
        "image: app:1, lifecycle: { preStop: { sleep: { seconds: 20 } } },",
    );
    let app = app.replace(
        "    spec:\n      containers:",
        "    spec:\n      terminationGracePeriodSeconds: 60\n      containers:",
    );
    let app = app.replace(
        "{ type: Recreate }",
        "{ type: RollingUpdate, rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }",
    );
    let (pods, events) = run(&app, SLOW, DRAIN, "10m");
    // The drain's DELETE makes the ReplicaSet replace it at once; it runs for 20 s more,
    // then 10 s and 20 s; tries are 31.5 s and 63.5 s after 300 s.
    assert_eq!(starts(&pods), [31.5, 363.5]);
    let errors = told(&events, "FailedAttachVolume");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].0 < 300.1 && errors[0].1.contains("already used by pod(s) app-"),
        "{errors:?}"
    );
}

/// Rules N52, N56, N403: on a node that died nobody ends the pod, so its disk stays; the kubelet of
/// the new one gives up each 2 min 3 s and tries again 10 to 15 s later.
#[test]
fn a_disk_of_a_dead_node_stays_while_its_pod_is_there() {
    let (pods, events) = run(APP, "measured", CRASH, "30m");
    assert!(starts(&pods)[1].is_nan(), "{pods:?}");
    let gave_up = told(&events, "FailedMount");
    assert!(gave_up.len() > 5, "{gave_up:?}");
    for pair in gave_up.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert!((133.0..140.0).contains(&gap), "{gap}");
    }
    assert!(gave_up[0].1.contains("unmounted volumes=[pvc-default-data]"), "{gave_up:?}");
}

/// Rules N56, N404: once the Node is deleted, its pod goes after a quarantine of 40 s, and the disk
/// is taken off by force 6 min later.
#[test]
fn a_disk_of_a_node_that_is_gone_is_forced_off_after_six_minutes() {
    let timeline = format!("{CRASH}, {{ at: 12m, run: kubectl delete node node-0 }}");
    let (_, events) = run(APP, SLOW, &timeline, "30m");
    let attached = told(&events, "SuccessfulAttachVolume")[1].0;
    let forced = attached - 30.0 - 720.0;
    assert!((400.0..=420.0).contains(&forced), "{forced}");
}

/// Rules N56, C174: a taint says that the node will not come back: pod and disk leave at once.
#[test]
fn out_of_service_skips_the_wait() {
    let taint = "kubectl taint nodes node-0 node.kubernetes.io/out-of-service=down:NoExecute";
    let timeline = format!("{CRASH}, {{ at: 8m, run: '{taint}' }}");
    let (pods, events) = run(APP, SLOW, &timeline, "30m");
    let attached = told(&events, "SuccessfulAttachVolume")[1].0;
    assert!((510.0..=530.0).contains(&attached), "{attached}");
    // Tries after 0.5 s, 1 s, 2 s …: at most as long again.
    assert!((510.0..=560.0).contains(&starts(&pods)[1]), "{pods:?}");
}

/// Rule N56: a node that comes back takes its own disk off.
#[test]
fn a_node_that_comes_back_lets_go() {
    let crash = &format!("{CRASH}, {{ at: 15m, fault: {{ recover: {{ node: node-0 }} }} }}");
    let (pods, _) = run(APP, SLOW, crash, "30m");
    let start = starts(&pods)[1];
    assert!((930.0..1055.0).contains(&start), "{start}");
}

/// Rule N56: of one disk many pods of one node have one attachment; with ReadWriteMany those of
/// others have theirs.
#[test]
fn pods_share_a_disk_on_a_node() {
    let three = APP.replace("replicas: 1", "replicas: 3");
    let one_node = "{ at: 0s, run: kubectl cordon node-1 }";
    let (pods, events) = run(&three, SLOW, one_node, "5m");
    assert_eq!(starts(&pods), [31.5; 3]);
    assert!(told(&events, "FailedAttachVolume").is_empty());
    let many = three.replace("ReadWriteOnce", "ReadWriteMany");
    let (pods, events) = run(&many, SLOW, "", "5m");
    assert_eq!(starts(&pods), [31.5; 3]);
    assert!(pods.iter().any(|pod| pod["node"] != pods[0]["node"]));
    assert!(told(&events, "FailedAttachVolume").is_empty());
}

/// A network share is not attached: by the name of its driver, or because the CSIDriver says so.
#[test]
fn what_needs_no_attach_is_there_at_once() {
    let share = APP.replace("ebs.csi.aws.com", "efs.csi.aws.com");
    assert_eq!(starts(&run(&share, SLOW, "", "1m").0), [0.0]);
    let driver = "
---
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: { name: ebs.csi.aws.com }
spec: { attachRequired: false }
";
    assert_eq!(starts(&run(&format!("{APP}{driver}"), SLOW, "", "1m").0), [0.0]);
}

/// The story of a pod says how long it waited for its disk, and where that was meanwhile.
#[test]
fn a_pod_tells_what_it_waited_for() {
    let scenario = SCENARIO.replace("LATENCIES", SLOW).replace("TIMELINE", DRAIN);
    let scenario = scenario.replace("UNTIL", "10m");
    let app = APP.replace("kind: Deployment", "kind: StatefulSet");
    let app = app.replace("  strategy: { type: Recreate }", "  serviceName: app");
    let model = load_memory(&[("scenario.yaml", &scenario), ("app.yaml", &app)]).model;
    let question = Question { pod: "app-0", at: None, replication: 0, policies: Vec::new() };
    let explanation = explain(&model, question).expect("a pod that was placed");
    let said: Vec<&str> = explanation.volumes.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(said[0], "waited 20 s for volume pvc-default-data: attached to node-0");
    assert!(explanation.text().contains("VOLUMES"), "{}", explanation.text());
}

/// Rule N482: without a pod that is ready there is an outage; a disk that must move makes it longer
/// by detach, attach and the kubelet's tries (N56), one that may stay does not.
#[test]
fn a_restart_on_the_same_node_keeps_the_disk() {
    let restart = "{ at: 5m, run: kubectl rollout restart deployment/app }";
    let stays = format!("{{ at: 1m, run: kubectl cordon node-1 }}, {restart}");
    let moves = format!("{{ at: 1m, run: kubectl cordon node-0 }}, {restart}");
    let measured = "{ base: measured, attach: 20s, detach: 10s }";
    let (pods, events) = run(APP, measured, &stays, "10m");
    assert_eq!(told(&events, "SuccessfulAttachVolume").len(), 1);
    assert!(starts(&pods)[1] < 310.0, "{pods:?}");
    let (pods, events) = run(APP, measured, &moves, "10m");
    assert_eq!(told(&events, "SuccessfulAttachVolume").len(), 2);
    assert!(starts(&pods)[1] > 330.0, "{pods:?}");
}
