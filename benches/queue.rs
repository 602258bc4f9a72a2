//! The event queue against the structures it could have been, on the hold model: pop one event,
//! push one a random increment later, at a constant number pending.
//!
//! `cargo bench --bench queue` prints a table and lines `figure NAME VALUE UNIT`. Candidates take
//! turns over several rounds and the best round of each counts: other work on the machine only adds.
//! `EventQueue` is measured whole, through its public face; the others are bare structures.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hint::black_box;
#[expect(clippy::disallowed_types, reason = "a benchmark reads the wall clock")]
use std::time::Instant;

use dary_heap::QuaternaryHeap;
use radix_heap::RadixHeapMap;
use seatrial::base::{Duration, SimTime};
use seatrial::sim::{EventQueue, Ranked};

/// Rounds of the small sizes; a million pending has a third.
const ROUNDS: usize = 36;
const SECOND: u64 = 1_000_000_000;

/// 16 bytes, as the simulator's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Payload([u64; 2]);

impl Ranked for Payload {
    fn rank(&self) -> u8 {
        (self.0[0] & 3) as u8
    }
}

/// What a candidate must do; times are nanoseconds.
trait Candidate {
    fn push(&mut self, at: u64, event: Payload);
    fn pop(&mut self) -> (u64, Payload);
}

impl Candidate for EventQueue<Payload> {
    fn push(&mut self, at: u64, event: Payload) {
        Self::push(self, SimTime::from_nanos(at), event);
    }

    fn pop(&mut self) -> (u64, Payload) {
        let (at, event) = Self::pop(self).expect("the hold model never empties");
        (at.as_nanos(), event)
    }
}

type Key = Reverse<(u64, u64, Payload)>;

#[derive(Default)]
struct StdHeap(BinaryHeap<Key>, u64);

impl Candidate for StdHeap {
    fn push(&mut self, at: u64, event: Payload) {
        self.1 += 1;
        self.0.push(Reverse((at, self.1, event)));
    }

    fn pop(&mut self) -> (u64, Payload) {
        let Reverse((at, _, event)) = self.0.pop().expect("the hold model never empties");
        (at, event)
    }
}

#[derive(Default)]
struct FourHeap(QuaternaryHeap<Key>, u64);

impl Candidate for FourHeap {
    fn push(&mut self, at: u64, event: Payload) {
        self.1 += 1;
        self.0.push(Reverse((at, self.1, event)));
    }

    fn pop(&mut self) -> (u64, Payload) {
        let Reverse((at, _, event)) = self.0.pop().expect("the hold model never empties");
        (at, event)
    }
}

/// The radix heap of the crate of that name; ties come in any order.
struct RadixHeap(RadixHeapMap<Reverse<u64>, (u64, Payload)>, u64);

impl Candidate for RadixHeap {
    fn push(&mut self, at: u64, event: Payload) {
        self.1 += 1;
        self.0.push(Reverse(at), (self.1, event));
    }

    fn pop(&mut self) -> (u64, Payload) {
        let (Reverse(at), (_, event)) = self.0.pop().expect("the hold model never empties");
        (at, event)
    }
}

/// R. Brown's calendar queue (Communications of the ACM 31(10), 1988): days of equal width in a
/// year that wraps around, each day sorted; the width follows the gaps between the next events.
struct Calendar {
    days: Vec<VecDeque<(u64, u64, Payload)>>,
    /// The binary logarithm of a day's width.
    shift: u32,
    today: u64,
    len: usize,
    seq: u64,
}

impl Calendar {
    fn new() -> Self {
        Self { days: vec![VecDeque::new(); 2], shift: 20, today: 0, len: 0, seq: 0 }
    }

    fn insert(&mut self, entry: (u64, u64, Payload)) {
        let mask = self.days.len() as u64 - 1;
        let day = &mut self.days[usize::try_from((entry.0 >> self.shift) & mask).expect("a day")];
        if day.back().is_none_or(|last| (last.0, last.1) < (entry.0, entry.1)) {
            day.push_back(entry);
        } else {
            let index = day.partition_point(|other| (other.0, other.1) < (entry.0, entry.1));
            day.insert(index, entry);
        }
    }

    fn resize(&mut self, days: usize) {
        let mut all: Vec<_> = self.days.drain(..).flatten().collect();
        let sample = 64.min(all.len() - 1);
        all.select_nth_unstable_by_key(sample, |entry| (entry.0, entry.1));
        let first = all[..=sample].iter().map(|entry| entry.0).min().unwrap_or(0);
        let width = 3 * (all[sample].0 - first) / sample.max(1) as u64;
        self.shift = width.max(1).ilog2();
        self.days = vec![VecDeque::new(); days];
        self.today = first >> self.shift;
        all.into_iter().for_each(|entry| self.insert(entry));
    }

    fn take_today(&mut self, today: u64) -> Option<(u64, u64, Payload)> {
        let mask = self.days.len() as u64 - 1;
        let day = &mut self.days[usize::try_from(today & mask).expect("a day")];
        if day.front()?.0 >> self.shift != today {
            return None;
        }
        self.today = today;
        day.pop_front()
    }
}

impl Candidate for Calendar {
    fn push(&mut self, at: u64, event: Payload) {
        self.seq += 1;
        self.len += 1;
        self.insert((at, self.seq, event));
        if self.len > 2 * self.days.len() {
            self.resize(2 * self.days.len());
        }
    }

    fn pop(&mut self) -> (u64, Payload) {
        let year = self.today..self.today + self.days.len() as u64;
        let found = year.into_iter().find_map(|day| self.take_today(day));
        let (at, _, event) = found.unwrap_or_else(|| {
            let first = self.days.iter().filter_map(|day| day.front()).map(|entry| entry.0).min();
            let today = first.expect("the hold model never empties") >> self.shift;
            self.take_today(today).expect("the first event's day")
        });
        self.len -= 1;
        if self.len > 8 && self.len < self.days.len() / 2 {
            self.resize(self.days.len() / 2);
        }
        (at, event)
    }
}

/// The distribution of increments.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Exponential, mean 1 s.
    Exponential,
    /// 9 of 10 up to 2 ms, 1 of 10 one to three minutes.
    Bimodal,
    /// Exactly 1 s, all begun at one instant.
    OneInstant,
    /// Exponential, rounded up to 10 ms.
    Bursts,
}

/// A fast random source: it must cost little beside the queue.
struct Increments {
    state: u64,
    shape: Shape,
    /// Quantiles of the exponential distribution in nanoseconds.
    quantiles: Vec<u64>,
}

impl Increments {
    fn new(shape: Shape) -> Self {
        let quantiles = (0..=1024u32).map(|i| {
            let survival = 1.0 - f64::from(i.min(1023)) / 1024.0 - f64::from(i / 1024) / 2048.0;
            seatrial::base::cast::u64_trunc(-libm::log(survival) * 1e9)
        });
        Self { state: 0x9e37_79b9_7f4a_7c15, shape, quantiles: quantiles.collect() }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let random = self.state;
        match self.shape {
            Shape::Exponential => self.exponential(random),
            Shape::Bimodal if random.is_multiple_of(10) => SECOND * 60 + random % (SECOND * 120),
            Shape::Bimodal => 1 + (random >> 8) % (SECOND / 500),
            Shape::OneInstant => SECOND,
            Shape::Bursts => (self.exponential(random) / (SECOND / 100) + 1) * (SECOND / 100),
        }
    }

    fn exponential(&self, random: u64) -> u64 {
        let bin = (random >> 54) as usize;
        let (low, high) = (self.quantiles[bin], self.quantiles[bin + 1]);
        let within = (random >> 22) & 0xffff_ffff;
        1 + low + (((high - low) * (within >> 16)) >> 16)
    }
}

/// Holds so many times.
type Hold = Box<dyn FnMut(&mut Increments, usize)>;

/// A candidate under way, with the nanoseconds a hold of each round.
struct Runner {
    name: &'static str,
    hold: Hold,
    increments: Increments,
    rounds: Vec<f64>,
}

fn runner<C: Candidate + 'static>(
    name: &'static str,
    mut candidate: C,
    shape: Shape,
    pending: usize,
) -> Runner {
    let mut increments = Increments::new(shape);
    for number in 0..pending {
        candidate.push(increments.next(), Payload([number as u64; 2]));
    }
    let hold = move |increments: &mut Increments, steps: usize| {
        for _ in 0..steps {
            let (at, event) = candidate.pop();
            candidate.push(at + increments.next(), black_box(event));
        }
    };
    Runner { name, hold: Box::new(hold), increments, rounds: Vec::new() }
}

impl Runner {
    #[expect(clippy::disallowed_types, reason = "a benchmark reads the wall clock")]
    fn round(&mut self, steps: usize) {
        let start = Instant::now();
        (self.hold)(&mut self.increments, steps);
        self.rounds.push(
            start.elapsed().as_secs_f64() * 1e9
                / f64::from(u32::try_from(steps).expect("a few million steps")),
        );
    }

    fn best(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// The nanoseconds a hold of each candidate, `EventQueue` first, then the standard heap.
fn measure(shape: Shape, pending: usize) -> Vec<(&'static str, f64)> {
    let queue = EventQueue::new(u64::MAX);
    let radix = RadixHeap(RadixHeapMap::new_at(Reverse(0)), 0);
    let mut runners = [
        runner("EventQueue", queue, shape, pending),
        runner("std BinaryHeap", StdHeap::default(), shape, pending),
        runner("4-ary heap", FourHeap::default(), shape, pending),
        runner("radix-heap", radix, shape, pending),
        runner("calendar", Calendar::new(), shape, pending),
    ];
    let (rounds, steps) = match pending {
        ..=100_000 => (ROUNDS, 100_000),
        _ => (ROUNDS / 3, 500_000),
    };
    runners.iter_mut().for_each(|runner| (runner.hold)(&mut runner.increments, 2 * pending));
    for _ in 0..rounds {
        runners.iter_mut().for_each(|runner| runner.round(steps));
    }
    runners.iter().map(|runner| (runner.name, runner.best())).collect()
}

/// A lane: every event waits the same delay. The first ones, still to come, stand in the future.
struct Lane(EventQueue<Payload>, seatrial::sim::LaneId, usize);

impl Candidate for Lane {
    fn push(&mut self, at: u64, event: Payload) {
        if self.2 > 0 {
            self.2 -= 1;
            self.0.push(SimTime::from_nanos(at), event);
        } else {
            self.0.push_lane(self.1, event);
        }
    }

    fn pop(&mut self) -> (u64, Payload) {
        Candidate::pop(&mut self.0)
    }
}

/// Cursors: each event is the one arrival of its own stream.
struct Cursors(EventQueue<Payload>, Vec<seatrial::sim::CursorId>);

impl Candidate for Cursors {
    fn push(&mut self, at: u64, event: Payload) {
        let cursor = self.1[usize::try_from(event.0[1]).expect("a number of a stream")];
        self.0.set_cursor(cursor, SimTime::from_nanos(at), event);
    }

    fn pop(&mut self) -> (u64, Payload) {
        Candidate::pop(&mut self.0)
    }
}

/// Lanes and cursors, nanoseconds a hold.
fn measure_sources() -> Vec<(String, f64)> {
    let mut lane = EventQueue::new(u64::MAX);
    let id = lane.add_lane(Duration::ns(SECOND));
    let mut runners = vec![(
        String::from("queue_lane_ns_1e5"),
        runner("lane", Lane(lane, id, 100_000), Shape::Exponential, 100_000),
    )];
    for (label, streams) in [("8", 8usize), ("1e3", 1_000)] {
        let mut queue = EventQueue::new(u64::MAX);
        let cursors = (0..streams).map(|_| queue.add_cursor()).collect();
        let candidate = Cursors(queue, cursors);
        let name = format!("queue_cursor_ns_{label}");
        runners.push((name, runner("cursors", candidate, Shape::Exponential, streams)));
    }
    for _ in 0..ROUNDS {
        runners.iter_mut().for_each(|(_, runner)| runner.round(200_000));
    }
    runners.into_iter().map(|(name, runner)| (name, runner.best())).collect()
}

fn main() {
    println!("nanoseconds a hold (pop one, push one), the best round");
    let mut figures = Vec::new();
    let sizes = [("1e3", 1_000), ("1e5", 100_000), ("1e6", 1_000_000)];
    for shape in [Shape::Exponential, Shape::Bimodal, Shape::OneInstant, Shape::Bursts] {
        for (label, pending) in sizes {
            let row = measure(shape, pending);
            let cells: Vec<String> =
                row.iter().map(|(name, ns)| format!("{name} {ns:6.1}")).collect();
            println!("{:<12} {label:>4} pending:  {}", format!("{shape:?}"), cells.join("  "));
            let stem = match shape {
                Shape::Exponential => String::new(),
                Shape::Bimodal => String::from("_bimodal"),
                Shape::OneInstant => String::from("_one_instant"),
                Shape::Bursts => String::from("_bursts"),
            };
            figures.push((format!("queue_ns{stem}_{label}"), row[0].1, "ns"));
            figures.push((format!("queue_std_ns{stem}_{label}"), row[1].1, "ns"));
            figures.push((format!("queue_speedup{stem}_{label}"), row[1].1 / row[0].1, "x"));
        }
    }
    figures.extend(measure_sources().into_iter().map(|(name, ns)| (name, ns, "ns")));
    for (name, value, unit) in figures {
        println!("figure {name} {value:.1} {unit}");
    }
}
