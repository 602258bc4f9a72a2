//! Pods that lose their owner and find one again, as users make it: labels, `--cascade=orphan`.

use std::collections::BTreeSet;

use seatrial::cluster::Pod;
use seatrial::kubectl::Output;
use serde_json::{Value, json};

use crate::support::Stepped;

const SCENARIO: &str = "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{ pool: workers, count: 3, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: ideal
apply: [all.yaml]
behaviors: [{ for: KIND, BEHAVIOR }]
run: { until: 10m }
";

fn object(version: &str, kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

fn of_app(kind: &str, name: &str, more: &Value) -> Value {
    let mut spec = json!({
        "replicas": 3,
        "selector": { "matchLabels": { "app": name } },
        "template": {
            "metadata": { "labels": { "app": name } },
            "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
        },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    object("apps/v1", kind, name, &spec)
}

fn work() -> Value {
    let pod = json!({ "restartPolicy": "Never", "containers": [{ "name": "w", "image": "w:1" }] });
    object(
        "batch/v1",
        "Job",
        "work",
        &json!({ "parallelism": 2, "completions": 4, "template": { "spec": pod } }),
    )
}

struct Run(Stepped);

impl Run {
    fn of(object: &Value) -> Self {
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_lowercase();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let (kind, is_job) = (text("kind"), text("kind") == "job");
        let scenario = SCENARIO.replace("KIND", &format!("{kind}/{name}"));
        let scenario = scenario.replace("BEHAVIOR", if is_job { "run: 60s" } else { "start: 1s" });
        let run = Stepped::read(&[("scenario.yaml", &scenario), ("all.yaml", &object.to_string())]);
        Self(run.with_file("all.yaml", object.clone()))
    }

    fn to(&mut self, secs: u64) {
        self.0.to(secs);
    }

    /// Lets kubectl carry out a line that it takes.
    fn kubectl(&mut self, secs: u64, line: &str) -> Output {
        let output = self.0.kubectl(secs, line);
        assert_eq!(output.exit_code, 0, "{}", output.stderr);
        output
    }

    fn pods(&self, is_it: impl Fn(&Pod) -> bool) -> BTreeSet<u64> {
        let pods = self.0.cluster().pods().iter();
        pods.filter(|(_, pod)| pod.deletion.is_none() && is_it(pod))
            .map(|(_, p)| p.serial)
            .collect()
    }

    fn owned(&self) -> BTreeSet<u64> {
        self.pods(|pod| pod.owner.is_some())
    }

    fn free(&self) -> BTreeSet<u64> {
        self.pods(|pod| pod.owner.is_none())
    }

    fn name(&self, serial: u64) -> String {
        let cluster = self.0.cluster();
        let found = cluster.pods().iter().find(|(_, pod)| pod.serial == serial);
        found.expect("it is there").1.name.text(cluster.names())
    }
}

/// Rules C8 and C68: a pod with another label is no longer its ReplicaSet's, which makes another
/// one; with its old label it is taken back, and one is too many.
#[test]
fn a_pod_that_is_relabelled_is_replaced() {
    let mut run = Run::of(&of_app("Deployment", "web", &json!({})));
    run.to(30);
    let first = run.owned();
    let name = run.name(0);
    run.kubectl(31, &format!("label pod {name} app=debug --overwrite"));
    run.to(32);
    assert_eq!((run.owned().len(), run.free()), (3, BTreeSet::from([0])));
    assert!(!run.owned().is_subset(&first));
    run.kubectl(33, &format!("label pod {name} app=web --overwrite"));
    run.to(34);
    assert_eq!((run.owned(), run.free().len()), (first, 0), "the newest went again");
}

/// Rules C8 and C191: pods outlive a Deployment or StatefulSet that is deleted without them, and
/// are its own again when it is applied again.
#[test]
fn orphans_are_adopted_by_who_comes_again() {
    for kind in ["Deployment", "StatefulSet"] {
        let mut run = Run::of(&of_app(kind, "web", &json!({})));
        run.to(30);
        let before = run.owned();
        let what = kind.to_lowercase();
        run.kubectl(31, &format!("delete {what} web --cascade=orphan"));
        run.to(40);
        let is_set = kind == "StatefulSet";
        let own = if is_set { run.free() } else { run.owned() };
        assert_eq!(own, before, "{kind}: its pods stay, those of a Deployment with a ReplicaSet");
        run.kubectl(41, "apply -f all.yaml");
        run.to(60);
        assert_eq!((run.owned(), run.free().len()), (before.clone(), 0), "{kind}");
        let cluster = run.0.cluster();
        assert_eq!(cluster.replica_sets().iter().count(), usize::from(!is_set));
        run.kubectl(61, &format!("scale {what} web --replicas=1"));
        run.to(70);
        assert_eq!(run.owned().len(), 1, "{kind}: it rules them");
    }
}

/// Rules C8 and C81: a StatefulSet cannot make a pod whose name a released one has still.
#[test]
fn a_name_is_free_when_its_pod_is_gone() {
    let mut run = Run::of(&of_app("StatefulSet", "db", &json!({})));
    run.kubectl(30, "label pod db-1 app=debug --overwrite");
    run.to(40);
    assert_eq!((run.owned().len(), run.free()), (2, BTreeSet::from([1])));
    run.kubectl(41, "delete pod db-1");
    run.to(120);
    assert_eq!((run.owned().len(), run.free().len()), (3, 0));
}

/// Rules C8, C115 and C116: a pod that loses its Job's label is released with its finalizer, and
/// the Job makes another one; all pods of a Job are found by its name.
#[test]
fn a_job_releases_what_it_does_not_select() {
    let mut run = Run::of(&work());
    run.to(10);
    let name = run.name(0);
    run.kubectl(11, &format!("label pod {name} batch.kubernetes.io/controller-uid=x --overwrite"));
    run.to(14);
    assert_eq!((run.owned().len(), run.free()), (2, BTreeSet::from([0])));
    assert!(run.pods(|pod| pod.is_tracked).len() == 2, "the released one has no finalizer");
    let said = run.kubectl(15, "delete pod -l job-name=work").stdout;
    assert_eq!(said.lines().count(), 3, "{said}");
    run.kubectl(16, "delete job work --cascade=orphan");
    run.to(20);
    let orphans = run.free();
    run.kubectl(21, "apply -f all.yaml");
    run.to(30);
    assert!(run.owned().is_disjoint(&orphans), "another Job has another uid");
    assert_eq!(run.owned().len(), 2);
}
