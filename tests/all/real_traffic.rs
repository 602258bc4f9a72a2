//! Recorded calls of real services drive one: `../shared/data`, where it is there.

use std::path::Path;

use seatrial::engine::World;
use seatrial::record::CallRecord;
use seatrial::recorder::Recorder;

use crate::support::load_bytes;

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 4
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: web, image: web, ports: [ { containerPort: 80 } ] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [ { port: 80 } ] }
";

/// The calls of a run of the Service that this source calls; `None`: the file is not there.
fn calls(file: &str, source: &str, until: &str) -> Option<Vec<CallRecord>> {
    let path = crate::support::shared("data").map(|data| Path::new(&data).join(file));
    let Some(bytes) = path.and_then(|path| std::fs::read(path).ok()) else {
        println!("skipped: ../shared/data/{file} is not here");
        return None;
    };
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: real
cluster:
  latencies: ideal
  nodes: [ {{ pool: p, count: 4, allocatable: {{ cpu: 8, memory: 32Gi, pods: 110 }} }} ]
apply: [web.yaml]
behaviors: [ {{ for: deployment/web, start: 0s, serve: {{ hold: 5ms, concurrency: 512 }} }} ]
traffic: [ {{ name: real, to: service/web, timeout: 10m, {source} }} ]
run: {{ until: {until} }}
"
    );
    let name = file.rsplit('/').next().expect("a file has a name");
    let files =
        [("scenario.yaml", scenario.as_bytes()), ("web.yaml", WEB.as_bytes()), (name, &bytes[..])];
    let loaded = load_bytes(&files);
    let outcome = World::new(&loaded.model, 0, Recorder::keeping_calls()).run().expect("no limit");
    let mut recorder = outcome.recorder;
    Some(recorder.take_calls())
}

/// Each recorded call comes once, at its instant, and holds by its tokens.
#[test]
fn azure_llm_inference() {
    let source = "recorded: { file: AzureLLMInferenceTrace_code.csv, at: TIMESTAMP, \
                  hold: { ContextTokens: 100us, GeneratedTokens: 20ms } }";
    let file = "azure-llm-inference-2023/AzureLLMInferenceTrace_code.csv";
    let Some(calls) = calls(file, source, "2h") else { return };
    assert_eq!(calls.len(), 8_819);
    assert!(calls.iter().skip(1).all(|call| call.latency.as_secs_f64() >= 0.02));
}

/// The match of the 7th of July 1998: the counts of each minute become calls.
#[test]
fn world_cup_98() {
    let source = "series: { file: invocation_count.csv.gz, column: count, time: period, \
                  from: \"1998-07-07 21:30:00\", scale: 0.01 }";
    let Some(calls) = calls("worldcup98-http/invocation_count.csv.gz", source, "20m") else {
        return;
    };
    assert!((20_000..46_000).contains(&calls.len()), "{}", calls.len());
}
