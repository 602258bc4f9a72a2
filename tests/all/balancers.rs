//! `cluster.loadBalancer`: what its keys say wrong is told at its place, and what they say is shown
//! (rules N162, N190 to N192).

use seatrial::experiment::{Options, run};
use seatrial::manifest::Loader;
use seatrial::scenario::{Loaded, Place, Refused, load, show};

use crate::support::{WEB, load_memory};

fn loaded(balancer: &str) -> Result<Loaded, Box<Refused>> {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: balanced
cluster:
  nodes: [{{ pool: workers, count: 2, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  loadBalancer: {balancer}
apply: [web.yaml]
traffic:
  - {{ name: users, to: service/web, rate: 10/s }}
run: {{ until: 1m }}
"
    );
    let web = WEB.replace("REPLICAS", "2").replace(
        "spec:\n  selector: { app: web }\n  ports",
        "spec:\n  type: LoadBalancer\n  selector: { app: web }\n  ports",
    );
    let files = [("scenario.yaml", scenario), ("web.yaml", web)];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    load(&place, &[])
}

/// N190: each key, what it refuses, and where: line 6 of the scenario.
#[test]
fn wrong_words() {
    for (balancer, words) in [
        ("{ interval: 50ms }", "`interval` is at least 100 ms, not 50 ms"),
        ("{ interval: 0s }", "`interval` is at least 100 ms, not 0 s"),
        ("{ interval: -5s }", "-5s"),
        ("{ interval: 5 }", "5"),
        ("{ unhealthy: 0 }", "`unhealthy` is from 1 to 100 checks, not 0"),
        ("{ unhealthy: 101 }", "`unhealthy` is from 1 to 100 checks, not 101"),
        ("{ healthy: 0 }", "`healthy` is from 1 to 100 checks, not 0"),
        ("{ healthy: three }", "three"),
        ("{ targets: pod }", "pod"),
        ("{ deregister: { median: 5s, p99: 1s } }", "p99"),
        ("{ deregister: soon }", "soon"),
        ("{ register: { median: 2s, p95: 4s } }", "p95"),
        ("{ drain: 5s }", "drain"),
    ] {
        let refused = loaded(balancer).expect_err(balancer);
        let lines = refused.found.lines(&refused.sources);
        assert!(lines.iter().any(|line| line.contains(words)), "{balancer}: {lines:?}");
        assert!(
            lines.iter().any(|line| line.contains("scenario.yaml:6:")),
            "{balancer}: {lines:?}"
        );
    }
    let both = loaded("{ interval: 1ms, unhealthy: 0, healthy: 200 }").expect_err("all at once");
    assert_eq!(both.found.error_count(), 3);
}

/// N191, N192: what has no effect is a warning; what is left out is filled.
#[test]
fn what_is_right() {
    let plain = loaded("{ register: 1s }").expect("it loads");
    let text = plain.found.lines(&plain.sources).join("\n");
    assert!(text.contains("`register` is for pods as targets"), "{text}");
    let pods = loaded("{ targets: pods, register: 1s, healthy: 2 }").expect("it loads");
    assert!(pods.found.lines(&pods.sources).is_empty());
    let text = show(&pods);
    for words in ["targets: pods", "healthy: 2", "unhealthy: ", "interval: "] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// N193: eleven pods behind a balancer with pods as targets, 100 calls a second, no preStop and no
/// drain: with 0.96 s from a pod's deletion to its last new connection a rollout loses 11 pods ×
/// 9.1 calls a second × 0.96 s = 96 calls, as was counted in one real rollout.
#[test]
fn what_a_gap_costs() {
    let scenario = "apiVersion: seatrial/v1
kind: Scenario
name: balanced
cluster:
  nodes: [{ pool: workers, count: 6, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: ideal
  loadBalancer: { targets: pods, interval: 1s, healthy: 1, register: 0s, deregister: 960ms }
apply: [web.yaml]
behaviors:
  - { for: deployment/web, start: 1s, serve: { hold: 1ms } }
traffic:
  - { name: users, to: service/web, rate: 100/s }
timeline:
  - { at: 60s, run: kubectl rollout restart deployment/web }
run: { until: 3m, seed: 5, warmup: 50s }
";
    let probe = "ports: [{ containerPort: 8080 }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }";
    let web = WEB
        .replace("REPLICAS", "11")
        .replace("ports: [{ containerPort: 8080 }]", probe)
        .replace("  selector: { matchLabels", "  minReadySeconds: 3\n  strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }\n  selector: { matchLabels")
        .replace("spec:\n  selector: { app: web }\n  ports", "spec:\n  type: LoadBalancer\n  selector: { app: web }\n  ports");
    let model = load_memory(&[("scenario.yaml", scenario), ("web.yaml", &web)]).model;
    let options = Options { replications: 6, jobs: 2, ..Options::of(&model) };
    let summary = run(&model, options, &|_| {}).expect("within all limits").summary;
    let failed = summary.value(&["services", "web", "calls", "failed"]).unwrap_or(0.0);
    // Six runs: a standard error of 4.
    assert!((failed - 96.0).abs() < 16.0, "{failed}");
}
