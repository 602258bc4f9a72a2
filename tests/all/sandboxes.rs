//! Sandboxes that cannot be made, and such as are lost (rules N8, N57, N58).

use seatrial::explain::{Question, explain};
use seatrial::manifest::Loader;
use seatrial::scenario::{self, Place};

use crate::support::{Told, tell};

const INIT: &str = "initContainers: [{ name: first, image: first:1 }]";

fn scenario(timeline: &str, latencies: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: sandboxes
cluster:
  nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }} }}]
  latencies: {latencies}
apply: [web.yaml]
behaviors:
  - {{ for: deployment/web, container: app, start: 0s }}
  - {{ for: deployment/web, container: first, run: 2s }}
timeline: [{timeline}]
run: {{ until: 5m, replications: 1 }}
"
    )
}

fn web(pod: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: 1
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec: {{ containers: [{{ name: app, image: web:1 }}], {pod} }}
"
    )
}

fn run(timeline: &str, latencies: &str) -> Told {
    let (scenario, web) = (scenario(timeline, latencies), web(INIT));
    tell(&[("scenario.yaml", &scenario), ("web.yaml", &web)])
}

const DOWN: &str = "{ at: 60s, fault: { cniDown: { node: workers-0 } } },
  { at: 61s, run: kubectl rollout restart deployment/web },
  { at: 2m, fault: { recover: { node: workers-0 } } }";

/// Rules N8 and N58: a sandbox that cannot be made is tried again 10 s later, without any back-off
/// of its own; the rollout waits for the first pod that is started after the plugin works again,
/// and the old pod serves on.
#[test]
fn a_rollout_waits_for_the_network_plugin() {
    let told = run(DOWN, "ideal");
    let failed = told.times("FailedCreatePodSandBox");
    assert_eq!(failed, [61.0, 71.0, 81.0, 91.0, 101.0, 111.0], "{:#?}", told.events);
    assert_eq!(told.times("Started container app"), [2.0, 123.0], "{:#?}", told.events);
    assert_eq!(told.times("Killing"), [123.0]);
    assert!(told.times("SandboxChanged").is_empty(), "there was none before");
}

/// Rule N8: with the work queue's jitter the tries are 10 to 15 s apart, the next tick of the sync
/// loop and the time of the try itself added.
#[test]
fn tries_are_ten_to_fifteen_seconds_apart() {
    let told = run(DOWN, "measured-small");
    let failed = told.times("FailedCreatePodSandBox");
    assert!((4..=6).contains(&failed.len()), "{failed:?}");
    for pair in failed.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((10.0..=19.0).contains(&gap), "{failed:?}");
    }
}

/// Rule N57: a pod that loses its sandbox is killed with its grace and begins anew in another one:
/// init containers too.
#[test]
fn a_lost_sandbox_ends_all_containers() {
    let loss = "{ at: 60s, fault: { sandboxLoss: { node: workers-0 } } }";
    let told = run(loss, "ideal");
    assert_eq!(told.times("SandboxChanged"), [60.0], "{:#?}", told.events);
    assert_eq!(told.times("Killing"), [60.0]);
    assert_eq!(told.times("Started container first"), [0.0, 60.0]);
    assert_eq!(told.times("Started container app"), [2.0, 62.0]);
    // The init container's old run is removed, so that it begins with attempt 0 again.
    assert_eq!(told.column("restarts"), [1.0]);
    // Measured: the relist sees it first, up to a second later.
    let told = run(loss, "measured-small");
    let changed = told.times("SandboxChanged");
    assert!(changed.len() == 1 && (60.0..=61.5).contains(&changed[0]), "{changed:?}");
    assert_eq!(told.times("Started container app").len(), 2, "{:#?}", told.events);
}

/// While the network plugin fails, a pod that has lost its sandbox gets none. The end of its
/// container is news, for which it is looked at once more at once.
#[test]
fn a_lost_sandbox_is_not_made_without_the_plugin() {
    let both = "{ at: 60s, fault: { cniDown: { node: workers-0 } } },
      { at: 60s, fault: { sandboxLoss: { node: workers-0 } } },
      { at: 85s, fault: { recover: { node: workers-0 } } }";
    let told = run(both, "ideal");
    assert_eq!(told.times("FailedCreatePodSandBox"), [60.0, 60.0, 70.0, 80.0]);
    assert_eq!(told.times("Started container app"), [2.0, 92.0], "{:#?}", told.events);
}

/// The story of a pod says what its kubelet said of its sandbox.
#[test]
fn explain_tells_of_the_sandbox() {
    let (scenario, web) = (scenario(DOWN, "ideal"), web(INIT));
    let files = [("scenario.yaml", scenario.as_str()), ("web.yaml", web.as_str())];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let Ok(loaded) = scenario::load(&place, &[]) else { panic!("it is right") };
    let told = run(DOWN, "ideal");
    let event = told.events.iter().find(|event| event.contains("FailedCreatePodSandBox"));
    let pod = event.and_then(|event| event.split("default/").nth(1)).expect("about a pod");
    let pod = pod.split([' ', ',', ':']).next().expect("a name");
    let question = Question { pod, at: None, replication: 0, policies: Vec::new() };
    let text = explain(&loaded.model, question).expect("it was placed").text();
    assert!(text.contains("\nSANDBOX\n"), "{text}");
    assert!(text.contains("Failed to create pod sandbox"), "{text}");
}

/// A node that is not there, and two faults in one.
#[test]
fn faults_of_sandboxes_are_checked() {
    let said = |timeline: &str| {
        let (scenario, web) = (scenario(timeline, "ideal"), web(INIT));
        let files = [("scenario.yaml", scenario.as_str()), ("web.yaml", web.as_str())];
        let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
        match scenario::load(&place, &[]) {
            Ok(_) => String::new(),
            Err(refused) => refused.found.lines(&refused.sources).join("\n"),
        }
    };
    let unknown = said("{ at: 1s, fault: { cniDown: { node: workers-7 } } }");
    assert!(unknown.contains("workers-7"), "{unknown}");
    let node = "{ node: workers-0 }";
    let both = said(&format!("{{ at: 1s, fault: {{ cniDown: {node}, sandboxLoss: {node} }} }}"));
    assert!(both.contains("expected exactly one of crash"), "{both}");
}
