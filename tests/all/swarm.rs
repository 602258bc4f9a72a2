//! Random scenarios with all checkers on: nothing panics, no limit is passed, the books add up, and
//! the same seed gives the same numbers. A failure names its seed.

use std::fmt::Write;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use seatrial::experiment::{self, Options};
use seatrial::report::text;

use crate::support::load_memory;

/// Worlds that are tried.
const WORLDS: u64 = 60;

struct Draw(ChaCha8Rng);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    fn one_of<'t>(&mut self, of: &[&'t str]) -> &'t str {
        let index = usize::try_from(self.below(of.len() as u64)).expect("an index");
        of[index]
    }
}

fn manifest(draw: &mut Draw, name: &str) -> String {
    let strategy = draw.one_of(&[
        "{ type: Recreate }",
        "{ rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }",
        "{ rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }",
        "{ rollingUpdate: { maxSurge: 100%, maxUnavailable: 50% } }",
        "{}",
    ]);
    let probe = draw.one_of(&[
        "",
        "readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 }",
        "readinessProbe: { httpGet: { port: 80 }, initialDelaySeconds: 3, failureThreshold: 1 }",
    ]);
    let startup =
        draw.one_of(&["", "startupProbe: { tcpSocket: { port: 80 }, failureThreshold: 30 }"]);
    let hook = draw.one_of(&[
        "",
        "lifecycle: { preStop: { sleep: { seconds: 2 } } }",
        "lifecycle: { preStop: { exec: { command: [sleep, '40'] } } }",
    ]);
    let init = draw.one_of(&[
        "",
        "initContainers: [{ name: once, image: once:v1 }]",
        "initContainers: [{ name: side, image: side:v1, restartPolicy: Always }]",
    ]);
    let (replicas, min_ready) = (draw.below(7), draw.below(3));
    let (cpu, grace) = (draw.one_of(&["100m", "700m", "3"]), draw.one_of(&["3", "5", "30"]));
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: {replicas}
  minReadySeconds: {min_ready}
  progressDeadlineSeconds: 60
  strategy: {strategy}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      terminationGracePeriodSeconds: {grace}
      {init}
      containers:
        - name: app
          image: {name}:v1
          ports: [{{ containerPort: 80 }}]
          resources: {{ requests: {{ cpu: {cpu}, memory: 128Mi }} }}
          {probe}
          {startup}
          {hook}
---
apiVersion: v1
kind: Service
metadata: {{ name: {name} }}
spec: {{ selector: {{ app: {name} }}, ports: [{{ port: 80 }}] }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{ name: {name} }}
spec:
  scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: {name} }}
  minReplicas: 1
  maxReplicas: 6
---
"
    )
}

fn command(draw: &mut Draw, name: &str) -> String {
    let node = draw.below(3);
    let replicas = draw.below(8);
    let command =
        draw.one_of(&["image", "scale", "restart", "cordon", "uncordon", "crash", "delete"]);
    match command {
        "image" => format!("run: kubectl set image deployment/{name} app={name}:v{replicas}"),
        "scale" => format!("run: kubectl scale deployment/{name} --replicas={replicas}"),
        "restart" => format!("run: kubectl rollout restart deployment/{name}"),
        "crash" => format!("fault: {{ crash: {{ node: workers-{node} }} }}"),
        "delete" => format!("run: kubectl delete service {name}"),
        cordon => format!("run: kubectl {cordon} workers-{node}"),
    }
}

fn files(seed: u64) -> Vec<(String, String)> {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
    let names = ["front", "back", "store"];
    let apps = usize::try_from(1 + draw.below(3)).expect("few");
    let manifests: String = names[..apps].iter().map(|name| manifest(&mut draw, name)).collect();
    let latencies =
        draw.one_of(&["ideal", "measured", "measured-large", "{ base: ideal, relist: 1s }"]);
    let nodes = 3 + draw.below(3);
    let connections = draw.one_of(&["new", "keep-alive"]);
    let (rate, retries) = (1 + draw.below(80), draw.below(3));
    let shutdown = draw.one_of(&[
        "{}",
        "{ drain: 3s }",
        "{ accept: 2s, drain: 3s }",
        "{ ignoresSignal: true }",
    ]);
    let calls = if apps > 1 { "calls: [{ to: service/back, timeout: 1s }]" } else { "" };
    let mut text = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: swarm
cluster:
  nodes: [{{ pool: workers, count: {nodes}, zones: [a, b], allocatable: {{ cpu: 4, memory: 8Gi }} }}]
  latencies: {latencies}
apply: [apps.yaml]
behaviors:
  - shutdown: {shutdown}
    start: {{ median: 1s, p99: 6s }}
    serve: {{ hold: {{ exponential: 20ms }}, concurrency: 4, backlog: 20, errors: 1% }}
  - for: deployment/front
    {calls}
    hook: 1s
traffic:
  - {{ name: users, to: service/front, rate: {rate}/s, timeout: 1s, connections: {connections}, retries: {{ attempts: {retries} }} }}
workload:
  - name: batch
    arrivals: {{ rate: 0.5/s }}
    pods: [{{ requests: {{ cpu: 1 }} }}, {{ requests: {{ cpu: 3 }} }}]
    lifetime: {{ mean: 20s, cv: 1 }}
run: {{ until: 4m, seed: {seed}, replications: 2 }}
timeline:
"
    );
    for _ in 0..draw.below(9) {
        let name = names[usize::try_from(draw.below(apps as u64)).expect("few")];
        let at = draw.below(200);
        writeln!(text, "  - {{ at: {at}s, {} }}", command(&mut draw, name)).expect("a string");
    }
    vec![("scenario.yaml".to_owned(), text), ("apps.yaml".to_owned(), manifests)]
}

#[test]
fn any_world_runs_to_its_end_and_its_books_add_up() {
    for seed in 0..WORLDS {
        println!("world {seed}");
        let files = files(seed);
        let borrowed: Vec<(&str, &str)> =
            files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let loaded = load_memory(&borrowed);
        let run = |jobs| {
            let options = Options { jobs, checks: true, ..Options::of(&loaded.model) };
            experiment::run(&loaded.model, options, &|_| {}).expect("within all limits")
        };
        let first = run(1);
        let value = |path: &str| first.summary.find(path).and_then(|(_, n)| n.value);
        for service in ["front", "back", "store"] {
            let number = |what: &str| value(&format!("services.{service}.calls.{what}"));
            if let (Some(total), Some(ok), Some(failed)) =
                (number("total"), number("ok"), number("failed"))
            {
                assert!(
                    (total - ok - failed).abs() < 1e-6,
                    "world {seed}: {total} ≠ {ok} + {failed}"
                );
            }
        }
        let printed = |experiment: &experiment::Experiment| {
            text::print(&experiment.summary, &experiment.facts, &[])
        };
        assert_eq!(printed(&first), printed(&run(2)), "world {seed}");
    }
}
