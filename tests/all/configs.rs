//! ConfigMaps and Secrets that change while pods run: whole runs with the real controllers.

use seatrial::experiment::{self, Options};
use seatrial::explain::{Question, explain};
use seatrial::report::summary::Summary;
use seatrial::report::text;

use crate::support::load_memory;

const SHOP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: { name: prices }
data: { currency: EUR }
---
apiVersion: v1
kind: Secret
metadata: { name: fixed }
immutable: true
data: { key: YQ== }
---
apiVersion: v1
kind: Pod
metadata: { name: files }
spec:
  containers: [{ name: a, image: a:1, volumeMounts: [{ name: v, mountPath: /v }] }]
  volumes: [{ name: v, configMap: { name: prices } }]
---
apiVersion: v1
kind: Pod
metadata: { name: env }
spec:
  containers: [{ name: a, image: a:1, envFrom: [{ configMapRef: { name: prices } }] }]
---
apiVersion: v1
kind: Pod
metadata: { name: part }
spec:
  containers: [{ name: a, image: a:1, volumeMounts: [{ name: v, mountPath: /v, subPath: p }] }]
  volumes: [{ name: v, configMap: { name: prices } }]
---
apiVersion: v1
kind: Pod
metadata: { name: sealed }
spec:
  containers: [{ name: a, image: a:1, volumeMounts: [{ name: v, mountPath: /v }] }]
  volumes: [{ name: v, secret: { secretName: fixed } }]
";

fn scenario(latencies: &str, commands: &[(u32, &str)]) -> String {
    let entry = |(at, run): &(u32, &str)| format!("  - {{ at: {at}s, run: '{run}' }}\n");
    format!(
        "apiVersion: seatrial/v1\nkind: Scenario\nname: test\ncluster:\n  nodes: [{{ pool: w, \
         count: 2, allocatable: {{ cpu: 16, memory: 64Gi }} }}]\n  latencies: {latencies}\napply: \
         [all.yaml]\ntimeline:\n{}run: {{ until: 10m }}\n",
        commands.iter().map(entry).collect::<String>()
    )
}

fn told(latencies: &str, commands: &[(u32, &str)]) -> (Summary, Option<String>, Vec<String>) {
    let scenario = scenario(latencies, commands);
    let model = load_memory(&[("scenario.yaml", &scenario), ("all.yaml", SHOP)]).model;
    let options = Options { replications: 1, checks: true, ..Options::of(&model) };
    let run = experiment::run(&model, options, &|_| {}).expect("within all limits");
    let text = text::print(&run.summary, &run.facts, &[]);
    let line = text.lines().find(|line| line.starts_with("CONFIG")).map(str::to_owned);
    let question = Question { pod: "files", at: None, replication: 0, policies: Vec::new() };
    let files = explain(&model, question).expect("it was placed").volumes;
    (run.summary, line, files.into_iter().map(|(_, text)| text).collect())
}

const PATCH: &str = r#"kubectl patch configmap prices -p "{\"data\":{\"currency\":\"USD\"}}""#;
const BACK: &str = r#"kubectl patch configmap prices -p "{\"data\":{\"currency\":\"CHF\"}}""#;
const LABEL: &str = "kubectl label configmap prices a=b";
const SEALED: &str = r#"kubectl patch secret fixed -p "{\"data\":{\"key\":\"Yg==\"}}""#;
const SEALED_TEXT: &str = r#"kubectl patch secret fixed -p "{\"stringData\":{\"key\":\"b\"}}""#;

fn number(summary: &Summary, last: &str) -> Option<f64> {
    summary.value(&["configs", "configmap/prices", last])
}

/// Rule N54: where nothing takes time, files change at once; environments and `subPath` do not.
#[test]
fn files_follow_at_once_in_ideal() {
    let (summary, line, files) = told("ideal", &[(60, PATCH)]);
    let of = |last| number(&summary, last);
    assert_eq!((of("refreshed"), of("delay_max"), of("stale")), (Some(1.0), Some(0.0), Some(2.0)));
    let line = line.expect("pods mount it");
    assert!(
        line.starts_with("CONFIG   configmap/prices  pods with new files: 1, after p50 0 s"),
        "{line}"
    );
    assert_eq!(files, ["files of configmap/prices as of 1 min from 1 min on"]);
}

/// Rule N54: else with the next resync, within the delay of the watch and 90 s; one refresh brings
/// both of two changes.
#[test]
fn files_follow_with_the_next_resync() {
    let (summary, _, files) = told("measured", &[(60, PATCH)]);
    let first = number(&summary, "delay_max").expect("it was refreshed");
    assert!(first > 0.0 && first < 91.0, "{first}");
    assert_eq!(files.iter().filter(|text| text.starts_with("files of")).count(), 1);
    let (summary, _, files) = told("measured", &[(60, PATCH), (61, BACK)]);
    assert_eq!(number(&summary, "refreshed"), Some(1.0), "of one pod");
    let ends: Vec<_> = files.iter().filter_map(|text| text.split_once(" from ")).collect();
    assert!(matches!(ends[..], [(_, a), (_, b)] if a == b) || first < 1.5, "{ends:?}");
}

/// Rule N54: new labels are no new data, and immutable Secrets cannot be changed.
#[test]
fn what_has_no_new_data_changes_no_files() {
    let (summary, line, files) = told("ideal", &[(60, LABEL), (61, SEALED), (62, SEALED_TEXT)]);
    assert_eq!((number(&summary, "refreshed"), line), (None, None));
    assert_eq!(summary.value(&["configs", "secret/fixed", "refreshed"]), None);
    assert_eq!(files, [""; 0]);
}

/// Rule N54: a pod that is gone before its resync is none whose files changed.
#[test]
fn a_pod_that_ends_gets_no_files() {
    let gone = "kubectl delete pod files --now --wait=false";
    let (summary, line, _) = told("measured", &[(60, PATCH), (60, gone)]);
    assert_eq!(number(&summary, "refreshed"), Some(0.0));
    assert_eq!((number(&summary, "stale"), line), (Some(2.0), None));
}
