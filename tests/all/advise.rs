//! `seatrial advise` and values laid over objects, through the command itself.

use std::fs;

use crate::support::{WEB, seatrial};

fn folder(search: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: small
cluster:
  nodes: [{{ pool: workers, count: 4, allocatable: {{ cpu: 4, memory: 8Gi }}, price: 1/h }}]
apply: [web.yaml]
behaviors:
  - {{ for: deployment/web, start: 1s, serve: {{ hold: 100ms, concurrency: 1 }} }}
traffic:
  - {{ name: users, to: service/web, rate: 25/s, timeout: 2s }}
run: {{ until: 1m, seed: 5, replications: 4, warmup: 20s }}
search:
{search}expect: [services.web.calls.failed == 0]
"
    );
    fs::write(folder.path().join("scenario.yaml"), scenario).expect("written");
    fs::write(folder.path().join("web.yaml"), WEB.replace("REPLICAS", "3")).expect("written");
    folder
}

/// A pod serves 10 calls a second, and 25 come: three pods are too few for no call to wait two
/// seconds, and each node that is not needed costs. The search finds the fewest nodes, and
/// enough pods.
#[test]
fn the_cheapest_settings_that_hold_are_found() {
    let search =
        "  cluster.nodes[pool=workers].count: 1..4\n  deployment/web:spec.replicas: [1, 2, 3, 6]\n";
    let folder = folder(search);
    let output = seatrial(folder.path(), &["advise", "scenario.yaml", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{error}");
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let best = &result["tried"][0];
    assert_eq!(best["values"]["cluster.nodes[pool=workers].count"], "1", "{best:#}");
    assert_eq!(best["values"]["deployment/web:spec.replicas"], "6", "{best:#}");
    assert_eq!(best["runs"], 4);
    assert_eq!(result["tried"].as_array().map(Vec::len), Some(16));
    let one = &result["tried"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tried| tried["values"]["deployment/web:spec.replicas"] == "1");
    assert_eq!(one.unwrap()["lines"][0]["held"], false, "one pod is too few");
    assert!(folder.path().join("results/small-advise/charts/pareto.svg").exists());
    let again = seatrial(folder.path(), &["advise", "scenario.yaml", "--json", "--jobs", "1"]);
    assert_eq!(again.stdout, text.as_bytes(), "the same for any number of jobs");
}

#[test]
fn what_cannot_be_held_is_said() {
    let folder = folder("  deployment/web:spec.replicas: [1]\n");
    let output = seatrial(folder.path(), &["advise", "scenario.yaml", "--no-files"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no setting holds every line"), "{text}");
}

#[test]
fn wrong_searches_are_refused_before_anything_runs() {
    let cases = [
        ("  deployment/wep:spec.replicas: [1, 2]\n", "no object \"deployment/wep\""),
        ("  deployment/web:metadata.name: [a]\n", "which object it is"),
        ("  run.seeds: 1..3\n", "seeds"),
        ("  deployment/web:spec.replicas: 3..1\n", "holds no value"),
        ("  deployment/web:spec.replicas: [-1]\n", "spec.replicas"),
    ];
    for (search, words) in cases {
        let folder = folder(search);
        let output = seatrial(folder.path(), &["advise", "scenario.yaml"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{search}: {error}");
        assert!(error.contains(words), "{search}: {error}");
        assert!(!folder.path().join("results").exists(), "nothing is written");
    }
    let folder = folder("  deployment/web:spec.replicas: [3]\n");
    for (flag, words) in [
        (["--minimise", "costs"], "no such path"),
        (["--subject-to", "cluster.cost <"], "no value"),
    ] {
        let output = seatrial(folder.path(), &[&["advise", "scenario.yaml"], &flag[..]].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_value_is_laid_over_an_object() {
    let folder = folder("  run.seed: [1]\n");
    let set = ["check", "--show", "scenario.yaml", "--set", "deploy/web:spec.replicas=2"];
    let output = seatrial(folder.path(), &set);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("replicas: 2") && !text.contains("replicas: 3"), "{text}");
}
