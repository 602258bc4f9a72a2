//! The queue against an oracle: a plain set ordered by (time, rank, sequence).

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{CursorId, EventQueue, LaneId, Ranked};
use crate::base::{Duration, SimTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    rank: u8,
    number: u64,
}

impl Ranked for Probe {
    fn rank(&self) -> u8 {
        self.rank
    }
}

/// One step of a random run.
#[derive(Clone, Debug)]
enum Step {
    Push { delay: u64, rank: u8 },
    Lane { lane: usize, rank: u8 },
    Cursor { cursor: usize, delay: u64, rank: u8 },
    Pop(usize),
}

const LANES: [u64; 4] = [0, 1, 1_000, 5_000_000];
const CURSORS: usize = 20;

/// The queue and the oracle side by side.
struct Pair {
    queue: EventQueue<Probe>,
    lanes: Vec<LaneId>,
    cursors: Vec<CursorId>,
    cursor_of: BTreeMap<u64, usize>,
    cursor_busy: [bool; CURSORS],
    oracle: BTreeMap<(u64, u8, u64), Probe>,
    number: u64,
}

impl Pair {
    fn new() -> Self {
        let mut queue = EventQueue::new(u64::MAX / 2);
        Self {
            lanes: LANES.iter().map(|&delay| queue.add_lane(Duration::ns(delay))).collect(),
            cursors: (0..CURSORS).map(|_| queue.add_cursor()).collect(),
            queue,
            cursor_of: BTreeMap::new(),
            cursor_busy: [false; CURSORS],
            oracle: BTreeMap::new(),
            number: 0,
        }
    }

    fn add(&mut self, delay: u64, rank: u8) -> (SimTime, Probe) {
        let at = self.queue.now().as_nanos() + delay;
        let probe = Probe { rank, number: self.number };
        self.oracle.insert((at, rank, self.number), probe);
        self.number += 1;
        (SimTime::from_nanos(at), probe)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Push { delay, rank } => {
                let (at, probe) = self.add(delay, rank);
                self.queue.push(at, probe);
            }
            Step::Lane { lane, rank } => {
                let (_, probe) = self.add(LANES[lane], rank);
                self.queue.push_lane(self.lanes[lane], probe);
            }
            Step::Cursor { cursor, .. } if self.cursor_busy[cursor] => {}
            Step::Cursor { cursor, delay, rank } => {
                let (at, probe) = self.add(delay, rank);
                self.cursor_busy[cursor] = true;
                self.cursor_of.insert(probe.number, cursor);
                self.queue.set_cursor(self.cursors[cursor], at, probe);
            }
            Step::Pop(times) => (0..times).for_each(|_| self.pop()),
        }
        assert_eq!(self.queue.len(), self.oracle.len());
    }

    fn pop(&mut self) {
        let expected = self.oracle.pop_first();
        let peeked = self.queue.peek_time().map(SimTime::as_nanos);
        assert_eq!(peeked, expected.map(|((at, _, _), _)| at));
        let popped = self.queue.pop().map(|(at, probe)| (at.as_nanos(), probe));
        assert_eq!(popped, expected.map(|((at, _, _), probe)| (at, probe)));
        if let Some((_, probe)) = popped
            && let Some(cursor) = self.cursor_of.remove(&probe.number)
        {
            self.cursor_busy[cursor] = false;
        }
    }
}

/// Delays of every size, with many ties.
fn delays() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0u64),
        3 => 0u64..4,
        3 => 0u64..100_000,
        2 => (0u64..50).prop_map(|x| x * 1_000_000),
        1 => (0u32..50, 0u64..3).prop_map(|(shift, low)| (1 << shift) + low),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (delays(), 0u8..5).prop_map(|(delay, rank)| Step::Push { delay, rank }),
        2 => (delays(), any::<u8>()).prop_map(|(delay, rank)| Step::Push { delay, rank }),
        3 => (0..LANES.len(), 0u8..5).prop_map(|(lane, rank)| Step::Lane { lane, rank }),
        3 => (0..CURSORS, delays(), 0u8..5)
            .prop_map(|(cursor, delay, rank)| Step::Cursor { cursor, delay, rank }),
        6 => (0usize..4).prop_map(Step::Pop),
        1 => (0usize..400).prop_map(Step::Pop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn the_order_is_time_rank_sequence(steps in prop::collection::vec(steps(), 0..2_000)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step);
        }
        while !pair.oracle.is_empty() {
            pair.pop();
        }
        pair.pop();
    }
}

/// A small generator for the long runs below.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Fills to `pending`, holds for as many steps, drains; each pushed delay is `delay(random)`.
fn fill_hold_drain(pending: usize, delay: impl Fn(u64) -> u64) {
    let (mut pair, mut state) = (Pair::new(), 1);
    let mut push = |pair: &mut Pair| {
        let random = next(&mut state);
        let rank = (random % 3) as u8;
        pair.step(&Step::Push { delay: delay(random / 3), rank });
    };
    (0..pending).for_each(|_| push(&mut pair));
    for _ in 0..2 * pending {
        pair.pop();
        push(&mut pair);
    }
    (0..=pending).for_each(|_| pair.pop());
    assert!(pair.queue.is_empty());
}

#[test]
fn many_events_of_every_shape_keep_the_order() {
    fill_hold_drain(20_000, |x| x % 2_000_000_000);
    fill_hold_drain(20_000, |x| if x % 10 == 0 { 60_000_000_000 + x } else { x % 2_000_000 });
    fill_hold_drain(20_000, |x| x % 50);
    fill_hold_drain(20_000, |_| 1_000);
    fill_hold_drain(20_000, |x| 1 << (x % 61));
    fill_hold_drain(20_000, |x| if x % 100 == 0 { 1_000_000 } else { 0 });
}

#[test]
fn a_lower_rank_pushed_late_comes_before_a_higher_one_that_waits() {
    let mut queue = EventQueue::new(10);
    let at = SimTime::from_nanos(5);
    let probe = |rank, number| Probe { rank, number };
    queue.push(at, probe(9, 0));
    queue.push(at, probe(1, 1));
    assert_eq!(queue.pop(), Some((at, probe(1, 1))));
    queue.push(at, probe(0, 2));
    queue.push_after(Duration::ns(0), probe(9, 3));
    let rest: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|(_, e)| e.number).collect();
    assert_eq!(rest, [2, 0, 3]);
    assert_eq!(queue.events_popped(), 4);
}

#[test]
fn the_horizon_is_half_open() {
    let mut queue = EventQueue::new(10);
    queue.push(SimTime::from_nanos(5), Probe { rank: 0, number: 0 });
    queue.push(SimTime::from_nanos(6), Probe { rank: 0, number: 1 });
    assert_eq!(queue.pop_before(SimTime::from_nanos(5)), None);
    assert_eq!(queue.now(), SimTime::from_nanos(0));
    assert!(queue.pop_before(SimTime::from_nanos(6)).is_some());
    assert_eq!(queue.pop_before(SimTime::from_nanos(6)), None);
    assert_eq!((queue.len(), queue.outcome()), (1, Ok(())));
}

#[test]
fn an_instant_without_end_is_a_limit_and_no_hang() {
    let mut queue = EventQueue::new(3);
    let at = SimTime::from_nanos(5);
    queue.push(at, Probe { rank: 0, number: 0 });
    let mut popped = 0;
    while let Some((at, probe)) = queue.pop() {
        popped += 1;
        queue.push(at, probe);
    }
    assert_eq!(popped, 3);
    assert_eq!(queue.outcome(), Err(super::QueueLimit { at, limit: 3 }));
    assert_eq!(queue.pop(), None);
}

#[test]
#[should_panic(expected = "an event at 4 ns, pushed at 5 ns")]
fn a_push_into_the_past_is_a_bug() {
    let mut queue = EventQueue::new(3);
    queue.push(SimTime::from_nanos(5), Probe { rank: 0, number: 0 });
    queue.pop();
    queue.push(SimTime::from_nanos(4), Probe { rank: 0, number: 1 });
}

#[test]
#[should_panic(expected = "while an arrival waits in it")]
fn a_cursor_holds_one_arrival() {
    let mut queue = EventQueue::new(3);
    let cursor = queue.add_cursor();
    queue.set_cursor(cursor, SimTime::from_nanos(5), Probe { rank: 0, number: 0 });
    queue.set_cursor(cursor, SimTime::from_nanos(6), Probe { rank: 0, number: 1 });
}
