//! Calls a second of one core: engine, sources, proxies, servers, event queue and recorder
//! together, against a plain loop over a binary heap with the same workload and nothing around it.
//!
//! `cargo bench --bench traffic` prints a table and lines `figure NAME VALUE UNIT`. Candidates take
//! turns over several rounds and the median round counts, so that a busy machine does not decide;
//! time is that which the process had a core for (Linux; elsewhere the wall's). Names of candidates
//! and a number of rounds choose: `cargo bench --bench traffic -- single_hop graph10 21`.
//!
//! Allocations are counted while it is measured, after twenty seconds of warm-up in which pools of
//! connections, backlogs and the lanes of the event queue reach their size. What is left are the
//! doublings of the series, a row of which begins each simulated second; bytes that stay are theirs,
//! until rows are merged two by two.
//!
//! The graph: a call of the source makes three at once, each of which makes two at once: ten
//! services, ten hops a call.
//!
//! The workload: 32 pods of 32 slots on 100 nodes, log-normal holds (median 20 ms, p99 80 ms),
//! 0.3 ms one way, 70 % busy. The plain loop draws gap, pod and hold, keeps calls in a growing
//! table of slots and first-in-first-out queues a pod, and sums up latencies; it has no nodes, no
//! proxies, no timeouts, no CPU accounts and no records.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::alloc::System;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hint::black_box;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use seatrial::base::dist::open01;
use seatrial::base::math::ln;
use seatrial::base::{Distribution, Duration, SimTime};
use seatrial::cluster::{Endpoint, Off, Serving, Write};
use seatrial::engine::{Roles, World};
use seatrial::model::{ConnectionKind, Connections, Downstream, Serve};
use seatrial::recorder::{Recorder, Wants};
use seatrial::sim::Streams;
use seatrial::traffic::Traffic;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[path = "../tests/all/support/servers.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod servers;

use clock::Clock;
use servers::{Field, Setup, behavior, serve};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 7;
const CALLS: f64 = 1e6;
const PODS: u32 = 32;
const SLOTS: u32 = 32;
const HOP_NS: u64 = 300_000;
const WARM_UP: Duration = Duration::secs(20);

fn hold() -> Distribution {
    Distribution::log_normal_p99(0.020, 0.080)
}

/// Calls a second that keep the pods 70 % busy.
fn rate() -> f64 {
    0.7 * f64::from(PODS * SLOTS) / hold().mean()
}

fn setup(watch_s: f64, hop: Distribution) -> Setup {
    let server = Serve { cpu: Duration::ms(12), backlog: 1000, ..serve(hold(), SLOTS) };
    let mut setup =
        Setup::new(1).group("web", PODS as usize, behavior(server)).source("load", "web", rate());
    setup.nodes = 100;
    setup.latencies.hop = hop;
    setup.latencies.watch = Distribution::Constant(watch_s);
    setup.traffic[0].client.timeout = Duration::secs(2);
    setup.traffic[0].client.connections = Connections::keep_alive(1000);
    setup
}

/// What a candidate's run gave a call: nanoseconds, allocations, and bytes that stay.
#[derive(Clone, Copy)]
struct Measured {
    ns: f64,
    allocations: f64,
    kept: f64,
}

#[expect(clippy::disallowed_types, reason = "a benchmark reads a clock")]
mod clock {
    use std::time::Instant;

    use super::CALLS;

    /// The time of this process on a core in seconds, where the system tells it.
    fn core_secs() -> Option<f64> {
        let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
        let nanos: f64 = text.split_whitespace().next()?.parse().ok()?;
        Some(nanos / 1e9)
    }

    /// A stretch of time that is measured.
    pub(super) struct Clock(Option<f64>, Instant, (f64, f64));

    /// Allocations so far, and bytes that are in use.
    fn memory() -> (f64, f64) {
        let stats = super::ALLOCATOR.stats();
        let float = seatrial::base::cast::f64_of_usize;
        let count = stats.allocations + stats.reallocations;
        (float(count), float(stats.bytes_allocated) - float(stats.bytes_deallocated))
    }

    impl Clock {
        pub(super) fn start() -> Self {
            Self(core_secs(), Instant::now(), memory())
        }

        pub(super) fn a_call(&self) -> super::Measured {
            let on_core = core_secs().zip(self.0).map(|(now, then)| now - then);
            let ns = on_core.unwrap_or_else(|| self.1.elapsed().as_secs_f64()) * 1e9 / CALLS;
            let (now, before) = (memory(), self.2);
            let a_call = |now: f64, before: f64| (now - before) / CALLS;
            let (allocations, kept) = (a_call(now.0, before.0), a_call(now.1, before.1));
            super::Measured { ns, allocations, kept }
        }
    }
}

/// Runs a field for so many calls from its sources; gives the nanoseconds a call.
fn run(setup: Setup, calls: f64) -> Measured {
    let mut field = Field::new(setup, 0, Recorder::off());
    field.run_until(SimTime::at(WARM_UP));
    let span = Duration::from_secs_f64(calls / rate());
    let clock = Clock::start();
    field.run_until(field.now() + span);
    black_box(field.traffic.calls_under_way());
    clock.a_call()
}

/// The same through the engine, with all that a run has around it and a recorder that keeps the
/// facts of the report.
fn run_world(setup: Setup, calls: f64) -> Measured {
    let model = setup.model();
    let streams = Streams { seed: model.run.seed, replication: 0 };
    let roles = Roles {
        scheduler: Box::new(Off),
        kubelet: Box::new(Off),
        nodes: Box::new(Off),
        cloud: Box::new(Off),
        traffic: Box::new(Traffic::new(&model, &streams)),
        generators: Box::new(Off),
        controllers: Vec::new(),
    };
    let recorder = Recorder::new(&model, Wants::default());
    let mut world = World::with_roles(&model, streams, roles, recorder);
    world.begin();
    world.apply(|cluster, plan| {
        for service in cluster.service_ids() {
            let mut endpoints = Vec::new();
            for (id, row) in cluster.pods().iter() {
                let pod = cluster.pods().refer(id);
                if !cluster.template_of(row).services.contains(&service) {
                    continue;
                }
                plan.push(Write::Serving { pod, state: Serving::Accepting });
                endpoints.push(Endpoint {
                    pod,
                    node: row.node.expect("bound by hand"),
                    ready: true,
                    serving: true,
                    terminating: false,
                });
            }
            plan.push(Write::Endpoints { service, endpoints });
        }
    });
    let warm = SimTime::at(WARM_UP);
    world.step_until(warm);
    let clock = Clock::start();
    world.step_until(warm + Duration::from_secs_f64(calls / rate()));
    clock.a_call()
}

fn single_hop() -> Measured {
    run_world(setup(0.0, Distribution::Constant(0.0003)), CALLS)
}

fn bare() -> Measured {
    run(setup(0.0, Distribution::Constant(0.0003)), CALLS)
}

fn with_proxies() -> Measured {
    run(setup(0.05, Distribution::Constant(0.0003)), CALLS)
}

fn random_hop() -> Measured {
    run(setup(0.0, Distribution::log_normal_p99(0.0003, 0.001)), CALLS)
}

/// A new connection a call.
fn new_connections() -> Measured {
    let mut setup = setup(0.0, Distribution::Constant(0.0003));
    setup.traffic[0].client.connections = Connections::new(ConnectionKind::New);
    run(setup, CALLS)
}

/// Each call makes one more behind it: two calls a call of the source.
fn two_tiers() -> Measured {
    let mut setup = setup(0.0, Distribution::Constant(0.0003));
    let to = setup.object("back");
    setup.groups[0].behavior.calls = vec![Downstream::new(to, 1, Duration::secs(1))];
    if let Some(serve) = &mut setup.groups[0].behavior.serve {
        serve.concurrency = 2 * SLOTS;
    }
    let back = behavior(serve(hold(), SLOTS));
    run(setup.group("back", PODS as usize, back), CALLS / 2.0)
}

/// Ten services: one calls three at once, each of them two at once.
fn graph() -> Measured {
    const NAMES: [&str; 10] = ["web", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut all = setup(0.0, Distribution::Constant(0.0003));
    all.groups.clear();
    for (index, name) in NAMES.into_iter().enumerate() {
        let mut server = behavior(Serve {
            cpu: Duration::ms(2),
            ..serve(Distribution::log_normal_p99(0.005, 0.020), 4096)
        });
        let behind = match index {
            0 => 1..4,
            1..4 => 2 * index + 2..2 * index + 4,
            _ => 0..0,
        };
        server.calls = NAMES[behind]
            .iter()
            .map(|name| {
                let mut call = Downstream::new(all.object(name), 1, Duration::secs(1));
                call.parallel = true;
                call.client.connections = Connections::keep_alive(1000);
                call
            })
            .collect();
        all = all.group(name, 8, server);
    }
    run_world(all, CALLS / 10.0)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Start,
    Arrive(usize),
    HoldEnds(usize),
}

#[derive(Clone, Copy)]
struct Call {
    start: u64,
    pod: usize,
}

#[derive(Default)]
struct Pod {
    busy: u32,
    backlog: VecDeque<usize>,
}

/// The same in the plainest way.
struct Plain {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    seq: u64,
    calls: Vec<Call>,
    free: Vec<usize>,
    pods: Vec<Pod>,
    rng: ChaCha8Rng,
    hold: Distribution,
    latency: u64,
    done: u64,
}

impl Plain {
    fn push(&mut self, at: u64, event: Event) {
        self.seq += 1;
        self.heap.push(Reverse((at, self.seq, event)));
    }

    fn begin(&mut self, now: u64, id: usize) {
        let hold = self.hold.sample_duration(&mut self.rng).as_nanos();
        self.push(now + hold, Event::HoldEnds(id));
    }

    fn handle(&mut self, now: u64, event: Event) {
        match event {
            Event::Start => {
                let gap = -ln(open01(&mut self.rng)) * 1e9 / rate();
                self.push(now + Duration::from_secs_f64(gap / 1e9).as_nanos(), Event::Start);
                let pod = (self.rng.next_u32() % PODS) as usize;
                let call = Call { start: now, pod };
                let id = match self.free.pop() {
                    Some(id) => {
                        self.calls[id] = call;
                        id
                    }
                    None => {
                        self.calls.push(call);
                        self.calls.len() - 1
                    }
                };
                self.push(now + HOP_NS, Event::Arrive(id));
            }
            Event::Arrive(id) => {
                let pod = &mut self.pods[self.calls[id].pod];
                if pod.busy < SLOTS {
                    pod.busy += 1;
                    self.begin(now, id);
                } else {
                    pod.backlog.push_back(id);
                }
            }
            Event::HoldEnds(id) => {
                let call = self.calls[id];
                self.free.push(id);
                self.latency += now + HOP_NS - call.start;
                self.done += 1;
                match self.pods[call.pod].backlog.pop_front() {
                    Some(next) => self.begin(now, next),
                    None => self.pods[call.pod].busy -= 1,
                }
            }
        }
    }
}

fn plain() -> Measured {
    let mut plain = Plain {
        heap: BinaryHeap::new(),
        seq: 0,
        calls: Vec::new(),
        free: Vec::new(),
        pods: (0..PODS).map(|_| Pod::default()).collect(),
        rng: ChaCha8Rng::seed_from_u64(1),
        hold: hold(),
        latency: 0,
        done: 0,
    };
    plain.push(0, Event::Start);
    let warm = WARM_UP.as_nanos();
    let end = warm + Duration::from_secs_f64(CALLS / rate()).as_nanos();
    let mut clock = None;
    while let Some(Reverse((at, _, event))) = plain.heap.pop() {
        if at >= warm && clock.is_none() {
            clock = Some(Clock::start());
        }
        if at >= end {
            break;
        }
        plain.handle(at, event);
    }
    black_box((plain.latency, plain.done));
    clock.expect("it ran").a_call()
}

fn main() {
    type Candidate = (&'static str, &'static str, fn() -> Measured);
    let candidates: [Candidate; 8] = [
        ("single_hop", "engine and recorder, one hop", single_hop),
        ("graph10", "engine and recorder, ten services", graph),
        ("bare", "no engine, no recorder", bare),
        ("new_connections", "bare, a connection a call", new_connections),
        ("with_proxies", "bare, proxies with delay", with_proxies),
        ("random_hop", "bare, hop drawn", random_hop),
        ("two_tiers", "bare, a call behind each call", two_tiers),
        ("plain", "plain loop over a binary heap", plain),
    ];
    let (mut wanted, mut count) = (Vec::new(), ROUNDS);
    for word in std::env::args().skip(1).filter(|word| !word.starts_with('-')) {
        match word.parse() {
            Ok(rounds) => count = rounds,
            Err(_) => wanted.push(word),
        }
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let candidates: Vec<Candidate> =
        candidates.into_iter().filter(|(name, ..)| is_wanted(name)).collect();
    let mut rounds = vec![Vec::new(); candidates.len()];
    for _ in 0..count {
        for (times, (_, _, run)) in rounds.iter_mut().zip(&candidates) {
            times.push(run());
        }
    }
    println!(
        "{:34} {:>9} {:>14} {:>22} {:>18}",
        "workload", "ns a hop", "hops a second", "allocations a million", "kB kept a million"
    );
    let mut medians = Vec::new();
    for (times, (name, about, _)) in rounds.iter_mut().zip(candidates) {
        times.sort_by(|a, b| a.ns.total_cmp(&b.ns));
        let Measured { ns, allocations, kept } = times[count / 2];
        let (million, kb) = (allocations * 1e6, kept * 1e3);
        println!("{about:34} {ns:>9.1} {:>14.0} {million:>22.0} {kb:>18.0}", 1e9 / ns);
        medians.push((name, ns, million, kb));
    }
    for (name, ns, million, kb) in medians {
        match name {
            "graph10" => println!("figure hops_per_s_graph10 {:.0} hops/s", 1e9 / ns),
            _ => println!("figure calls_per_s_{name} {:.0} calls/s", 1e9 / ns),
        }
        if matches!(name, "single_hop" | "graph10") {
            println!("figure allocations_per_million_{name} {million:.0} allocations");
            println!("figure kept_per_million_{name} {kb:.0} kB");
        }
        if name == "single_hop" {
            println!("figure ns_per_call {ns:.1} ns");
        }
    }
}
