//! A scheduling policy of one's own against the default profile: jobs with few accelerators fill up
//! nodes that are begun, so that whole nodes stay free for jobs that need all eight.
//!
//! ```text
//!   default: evenest node first            tightest node first
//!   node-0 │■■·····│  eight wait           node-0 │■■■■■■■■│
//!   node-1 │■■·····│  for ever             node-1 │········│ ◄─ eight fit
//! ```
//!
//! `cargo run --example gpu_packing`

use std::sync::Arc;

use seatrial::experiment::{self, Experiment, Options};
use seatrial::manifest::Loader;
use seatrial::placement::{NodeState, PodInfo, Policy, World};
use seatrial::scenario::{self, Place};
use seatrial::tree::DrawOptions;

/// The resource that is short.
const GPU: &str = "nvidia.com/gpu";

/// The fewer accelerators a node has left after this pod, the better.
#[derive(Debug)]
struct GpuBestFit;

impl Policy for GpuBestFit {
    fn name(&self) -> &'static str {
        "GpuBestFit"
    }

    fn filter(&self, pod: &PodInfo, node: &NodeState, world: &World<'_>) -> Result<(), String> {
        let Some(gpu) = world.names.get(GPU) else { return Ok(()) };
        let needs_none = pod.spec.requests.scalar(gpu) == 0;
        match needs_none && node.spec.allocatable.scalar(gpu) > 0 {
            true => Err("node(s) kept for pods with accelerators".to_owned()),
            false => Ok(()),
        }
    }

    fn score(&self, pod: &PodInfo, node: &NodeState, world: &World<'_>) -> i64 {
        let Some(gpu) = world.names.get(GPU) else { return 0 };
        let left = node.spec.allocatable.scalar(gpu)
            - node.usage.requested.scalar(gpu)
            - pod.spec.requests.scalar(gpu);
        -left
    }

    fn normalize(&self, scores: &mut [i64]) {
        let (least, most) = (scores.iter().copied().min(), scores.iter().copied().max());
        let (Some(least), Some(most)) = (least, most) else { return };
        let range = (most - least).max(1);
        scores.iter_mut().for_each(|score| *score = (*score - least) * 100 / range);
    }
}

/// What is simulated; `SCHEDULER` is filled in.
const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: gpu
cluster:
  nodes:
    - pool: accelerated
      count: 12
      allocatable: { cpu: 96, memory: 768Gi, nvidia.com/gpu: 8 }
    - { pool: plain, count: 4, allocatable: { cpu: 32, memory: 128Gi } }
  latencies: ideal
  scheduler: SCHEDULER
workload:
  - name: inference
    arrivals: { rate: 0.08/s }
    pods:
      - { weight: 3, requests: { cpu: 8, memory: 32Gi, nvidia.com/gpu: 1 } }
      - { weight: 1, requests: { cpu: 16, memory: 64Gi, nvidia.com/gpu: 2 } }
    lifetime: { mean: 5m, cv: 1 }
  - name: training
    arrivals: { rate: 0.006/s }
    pods: [{ requests: { cpu: 64, memory: 512Gi, nvidia.com/gpu: 8 } }]
    lifetime: { median: 8m, p99: 20m }
  - name: web
    arrivals: { rate: 0.1/s }
    pods: [{ requests: { cpu: 1, memory: 2Gi } }]
    lifetime: { mean: 5m, cv: 1 }
run: { until: 2h, seed: 1, replications: 10, warmup: 10m }
";

/// A configuration as the real scheduler would read it, with the policy enabled by its name.
const CONFIGURATION: &str = "
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
  - schedulerName: default-scheduler
    plugins:
      multiPoint:
        enabled: [{ name: GpuBestFit, weight: 10 }]
";

/// Runs the scenario with the scheduler set so, and these policies at hand.
fn run(scheduler: &str, policies: &[Arc<dyn Policy>]) -> Experiment {
    let scenario = SCENARIO.replace("SCHEDULER", scheduler);
    let files = [("scenario.yaml", scenario.as_str()), ("scheduler.yaml", CONFIGURATION)];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let names: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
    let loaded = match scenario::load_with(&place, &[], &names) {
        Ok(loaded) => loaded,
        Err(refused) => {
            panic!("{}", refused.found.draw(&refused.sources, &DrawOptions::default()))
        }
    };
    let options = Options { policies: policies.to_vec(), ..Options::of(&loaded.model) };
    experiment::run(&loaded.model, options, &|_| {}).expect("no limit is passed")
}

#[expect(clippy::print_stdout, reason = "a program prints")]
fn main() {
    let default = run("{ profile: default }", &[]);
    let packed = run("{ config: scheduler.yaml }", &[Arc::new(GpuBestFit)]);
    let comparison = experiment::compare(&default, &packed);
    print!("{}", comparison.text(["default", "GpuBestFit"], 1));
}
