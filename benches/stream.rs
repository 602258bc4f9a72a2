//! A stream of pods through a cluster.
//!
//! `cargo bench --bench stream` prints lines `figure NAME VALUE UNIT`.
//!
//! - `loop_s_1000x100000`: 1,000 nodes of 32 cores and 128 GiB; 100,000 pods of 1 core and 4 GiB
//!   come at 100 a second (Poisson) and live for 100 s; default profile, adaptive sampling, the
//!   real components; a row a pod goes to a sink that counts bytes. The time of the loop alone.
//! - `loop_cpu_s_…`: the same in the processor's time (Linux), for a machine that others use too.
//! - `peak_rss_mib_…`: the process's greatest memory so far (Linux), after that run and after one
//!   of ten times as many pods.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "support/watch.rs"]
mod watch;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use seatrial::base::{Bytes, Distribution, Interner, MilliCpu, Symbol};
use seatrial::engine::World;
use seatrial::model::*;
use seatrial::recorder::{Recorder, RowSinks, Wants};

use watch::{Watch, peak_rss_mib};

const ROUNDS: usize = 5;
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Counts what is written.
struct Sink;

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        BYTES.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn resources(cpu: i64, memory: Bytes) -> Resources {
    Resources { cpu: MilliCpu(cpu), memory, ..Resources::default() }
}

fn node(number: u32, names: &mut Interner) -> NodeSpec {
    NodeSpec {
        pool: names.intern(""),
        ..NodeSpec::plain(
            names.intern(&format!("node-{number}")),
            resources(32_000, Bytes::gib(128)),
        )
    }
}

fn pod(requests: Resources, names: &mut Interner) -> PodSpec {
    let container = Container {
        requests: requests.clone(),
        ..Container::plain(names.intern("app"), names.intern("app:v1"))
    };
    PodSpec {
        restart_policy: RestartPolicy::Never,
        nonzero_requests: (requests.cpu, requests.memory),
        requests,
        qos: QosClass::Burstable,
        ..PodSpec::plain(vec![container], names.intern("default-scheduler"))
    }
}

fn generator(name: Symbol, namespace: Symbol, spec: PodSpec, pods: u64) -> GeneratorSpec {
    let workload = Workload { kind: WorkloadKind::Generator, name: ObjectName { namespace, name } };
    let template = Template {
        workload,
        labels: Labels::default(),
        deletion_cost: 0,
        spec: Arc::new(spec),
        source: Arc::new(serde_json::Value::Null),
        behaviors: Arc::from([Arc::new(Behavior::plain())]),
        server: None,
    };
    GeneratorSpec {
        name,
        namespace,
        arrivals: Arrivals::Poisson(Rate::constant(100.0)),
        count: Some(pods),
        mix: vec![(1.0, TemplateHandle(Arc::new(template)))],
        lifetime: Some(Distribution::Constant(100.0)),
    }
}

fn model(pods: u64) -> Arc<Model> {
    let mut names = Interner::new();
    let nodes = (0..1000).map(|number| node(number, &mut names)).collect();
    let spec = pod(resources(1000, Bytes::gib(4)), &mut names);
    let (name, namespace) = (names.intern("stream"), names.intern("default"));
    Arc::new(Model {
        nodes,
        generators: vec![generator(name, namespace, spec, pods)],
        ..Model::empty("stream", names)
    })
}

/// Seconds of one run's loop: wall clock and processor.
fn stream(pods: u64) -> (f64, f64) {
    let model = model(pods);
    let wants = Wants { events: false, rows: RowSinks::default().pods(Sink) };
    let before = BYTES.load(Ordering::Relaxed);
    let world = World::new(&model, 0, Recorder::new(&model, wants));
    let watch = Watch::start();
    let outcome = world.run().expect("no limit is passed");
    let seconds = watch.wall_s();
    let processor = watch.processor_s();
    let written = BYTES.load(Ordering::Relaxed) - before;
    let events = outcome.events;
    println!("  {pods} pods, {events} events, {written} bytes: {seconds:.3} s, {processor:.3} s");
    assert_eq!(outcome.cluster.pods_created(), pods);
    assert!(outcome.cluster.pods().is_empty(), "pods are left");
    (seconds, processor)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("figure {name} {value:.4} {unit}");
}

fn peak(name: &str) {
    if let Some(peak) = peak_rss_mib() {
        figure(name, peak, "MiB");
    }
}

fn main() {
    let (wall, processor): (Vec<_>, Vec<_>) = (0..ROUNDS).map(|_| stream(100_000)).unzip();
    figure("loop_s_1000x100000", median(wall), "s");
    figure("loop_cpu_s_1000x100000", median(processor), "s");
    peak("peak_rss_mib_100000");
    let (wall, processor) = stream(1_000_000);
    figure("loop_s_1000x1000000", wall, "s");
    figure("loop_cpu_s_1000x1000000", processor, "s");
    peak("peak_rss_mib_1000000");
}
