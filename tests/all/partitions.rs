//! Machines that are cut off from the API server or from each other (rules N406, N407).

use seatrial::cluster::Readiness;
use seatrial::experiment::{Options, run};
use seatrial::manifest::Loader;
use seatrial::scenario::{Place, load};

use crate::support::{Stepped, WEB, load_memory};

fn scenario(latencies: &str, timeline: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: cut
cluster:
  nodes: [{{ pool: workers, count: 3, zones: [a, b, c], allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: {latencies}
apply: [web.yaml]
behaviors:
  - {{ for: deployment/web, start: 2s, shutdown: {{ drain: 10s }}, serve: {{ hold: 20ms }} }}
traffic:
  - {{ name: users, to: service/web, rate: 100/s, timeout: 1s }}
timeline:
{timeline}
run: {{ until: 12m, seed: 11, warmup: 20s }}
"
    )
}

const CUT: &str = "  - { at: 60s, fault: { partition: { node: workers-0, from: control-plane } } }
  - { at: 8m, fault: { recover: { node: workers-0 } } }";

/// Pods of the cut node that are there, those of them that are to go, and all that are ready.
fn counts(cluster: &seatrial::cluster::Cluster) -> (usize, usize, usize) {
    let pods = || cluster.pods().iter().map(|(_, pod)| pod);
    let here = || pods().filter(|pod| pod.node.is_some_and(|node| node.number() == 0));
    let ready = pods().filter(|pod| pod.status.ready).count();
    (here().count(), here().filter(|pod| pod.deletion.is_some()).count(), ready)
}

/// N406: a node that is cut off from the API server is lost for it after the grace period, and its
/// pods are evicted after their tolerations' five minutes; they stay until it is back, then they
/// are killed with their grace. Meanwhile other pods take their place.
#[test]
fn a_node_without_the_api_server() {
    for latencies in ["ideal", "measured-small"] {
        let mut run = Stepped::of(&scenario(latencies, CUT), 3);
        assert_eq!(counts(run.to(59)), (1, 0, 3), "{latencies}");
        let cluster = run.to(100);
        assert!(cluster.nodes().iter().all(|node| node.ready), "{latencies}");
        let cluster = run.to(130);
        let node = cluster.nodes().iter().next().expect("the first node");
        assert!(node.condition == Readiness::Unknown && node.is_up, "{latencies}");
        assert_eq!(counts(cluster), (1, 0, 2), "{latencies}");
        assert_eq!(counts(run.to(470)), (1, 1, 3), "{latencies}");
        let cluster = run.to(530);
        assert!(cluster.nodes().iter().all(|node| node.ready), "{latencies}");
        assert_eq!(counts(cluster), (0, 0, 3), "{latencies}");
    }
}

/// N406: a short cut changes nothing but what the API server believes: the pod is ready again.
#[test]
fn a_short_cut() {
    let short = CUT.replace("8m", "3m");
    let mut run = Stepped::of(&scenario("measured-small", &short), 3);
    assert_eq!(counts(run.to(150)), (1, 0, 2));
    assert_eq!(counts(run.to(190)), (1, 0, 3));
}

/// Failed calls: all, and those with a cause.
fn failed(timeline: &str, cause: &str) -> (f64, f64) {
    let web = WEB.replace("REPLICAS", "3");
    let text = scenario("measured-small", timeline);
    let model = load_memory(&[("scenario.yaml", &text), ("web.yaml", &web)]).model;
    let options = Options { replications: 1, checks: true, ..Options::of(&model) };
    let done = run(&model, options, &|_| {}).expect("within all limits");
    let value = |what: &[&str]| done.summary.value(&[&["services", "web", "calls"], what].concat());
    (value(&["failed"]).unwrap_or(0.0), value(&["by_cause", cause]).unwrap_or(0.0))
}

/// N406: without the API server pods go on serving: no call fails for the cut alone. Without the
/// other nodes calls across get no answer: two of three nodes' calls to one of three pods, and two
/// thirds of the cut node's.
#[test]
fn what_callers_notice() {
    let (all, _) = failed(&CUT.replace("8m", "4m"), "partitioned");
    assert!(all < 1.0, "{all}");
    let nodes = CUT.replace("control-plane", "nodes").replace("8m", "2m");
    let (all, cut) = failed(&nodes, "partitioned");
    let expected = 60.0 * 100.0 * (2.0 / 3.0 * 1.0 / 3.0 + 1.0 / 3.0 * 2.0 / 3.0);
    assert!((cut / expected - 1.0).abs() < 0.1 && all - cut < 1.0, "{all} {cut} {expected}");
    let zones = nodes.replace("node: workers-0, from: nodes", "zone: b, from: zone/c");
    let zones = zones.replace("recover: { node: workers-0 }", "recover: { zone: b }");
    let (_, cut) = failed(&zones, "partitioned");
    assert!((cut / (expected / 2.0) - 1.0).abs() < 0.12, "{cut} {expected}");
}

/// What is wrong is told at its place.
#[test]
fn wrong_words() {
    for (wrong, word) in [
        ("{ node: workers-9 }", "there is no node \"workers-9\""),
        ("{ zone: a, node: workers-0 }", "exactly one of node and zone"),
        ("{ zone: a, from: controlplane }", "nothing is cut off from \"controlplane\""),
        ("{ zone: a, from: zone/x }", "no node is in zone \"x\""),
        ("{ zone: a, from: zone/a }", "not cut off from themselves"),
    ] {
        let entry = format!("  - {{ at: 60s, fault: {{ partition: {wrong} }} }}");
        let files = [
            ("scenario.yaml", scenario("ideal", &entry)),
            ("web.yaml", WEB.replace("REPLICAS", "3")),
        ];
        let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
        let refused = load(&place, &[]).expect_err("it is wrong");
        let text = refused.found.lines(&refused.sources).join("\n");
        assert!(text.contains(word), "{text}");
    }
}
