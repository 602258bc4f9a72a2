//! The event queue: the one total order of a run.
//!
//! Events come out by (time, rank, order of insertion). The queue owns the clock, the numbering of
//! insertions and all that waits; it knows nothing of what an event means.
//!
//! ```text
//!   push ─────────► future (radix wheel)  ─┐
//!   push_lane ────► lanes (constant delay) ├─ next time ─► instant: (rank, sequence) ─► pop
//!   set_cursor ───► cursors (arrivals)    ─┘                  ▲
//!   push at now ──────────────────────────────────────────────┘
//! ```
//!
//! The queue is monotone in time only. Within the instant being worked a handler may push any
//! rank: a lower one still comes before a higher one that waits already. Nothing can be cancelled:
//! an event about a thing that can restart carries the thing's life.
//!
//! Why a radix wheel: `cargo bench --bench queue` holds so many events pending (pop one, push one
//! later) and prints nanoseconds a hold. `EventQueue` counts whole; the others are bare structures,
//! and `radix-heap` leaves ties in any order.
//!
//! | increments          | pending | `EventQueue` | std heap | 4-ary heap | radix-heap | calendar |
//! |---------------------|---------|--------------|----------|------------|------------|----------|
//! | exponential         | 1e3     |           40 |       48 |         51 |         44 |       35 |
//! |                     | 1e5     |           54 |      193 |        132 |         51 |      170 |
//! |                     | 1e6     |           70 |     1077 |        632 |         61 |      312 |
//! | milliseconds, 10 %  | 1e3     |           26 |       41 |         34 |         32 |      250 |
//! | minutes             | 1e5     |           36 |      110 |         77 |         37 |      157 |
//! |                     | 1e6     |           62 |      904 |        554 |         53 |      293 |
//! | all at one instant  | 1e3     |           33 |       43 |         44 |         15 |       11 |
//! |                     | 1e6     |           16 |       80 |         57 |         13 |       18 |
//! | bursts each 10 ms   | 1e3     |           40 |       58 |         68 |         25 |       24 |
//! |                     | 1e6     |           54 |     1100 |        615 |         28 |      146 |
//!
//! A lane takes 16 ns a hold, a cursor 32 ns among 8 and 47 ns among 1,000. The calendar queue was
//! seen at 4,200 ns where its width no longer fits the gaps; the wheel has no width to fit.

use crate::base::{Duration, SimTime};

use super::lanes::{CursorId, LaneId, Sources};
use super::queue_future::{Entry, Future, KEEP_LEN, NEVER};
use super::queue_instant::Instant;

/// What can stand in an [`EventQueue`].
pub trait Ranked: Copy {
    /// The order among events of one instant, lowest first; equal ranks keep the order of
    /// insertion.
    fn rank(&self) -> u8;
}

/// More events at one instant than the queue allows: the run turns on the spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} events at {} ns", at.as_nanos())]
pub struct QueueLimit {
    /// The instant.
    pub at: SimTime,
    /// Events allowed at one instant.
    pub limit: u64,
}

/// The events that wait, and the clock.
#[derive(Debug)]
pub struct EventQueue<E> {
    now: u64,
    next_seq: u64,
    instant: Instant<E>,
    future: Future<E>,
    sources: Sources<E>,
    /// What came due together, before it is put in the order of its sequence.
    due: Vec<Entry<E>>,
    popped: u64,
    /// The value of `popped` that this instant must not pass.
    popped_max: u64,
    instant_limit: u64,
    passed: Option<QueueLimit>,
}

impl<E: Ranked> EventQueue<E> {
    /// An empty queue at time zero that allows `instant_limit` events at one instant.
    ///
    /// # Panics
    /// If `instant_limit` is zero.
    #[must_use]
    pub fn new(instant_limit: u64) -> Self {
        assert!(instant_limit > 0, "an instant without events");
        Self {
            now: 0,
            next_seq: 0,
            instant: Instant::new(),
            future: Future::new(),
            sources: Sources::new(),
            due: Vec::new(),
            popped: 0,
            popped_max: instant_limit,
            instant_limit,
            passed: None,
        }
    }

    /// The time of the last event popped; zero before the first.
    #[inline]
    #[must_use]
    pub fn now(&self) -> SimTime {
        SimTime::from_nanos(self.now)
    }

    /// Adds an event at a time that has not passed. At `now` it joins the instant being worked.
    ///
    /// # Panics
    /// If `at` is before `now` or is `SimTime`'s largest value: a bug of the caller.
    #[inline]
    pub fn push(&mut self, at: SimTime, event: E) {
        let entry = self.entry(at.as_nanos(), event);
        if entry.at == self.now {
            self.instant.push(event.rank(), event);
        } else {
            self.future.push(entry, self.now);
        }
    }

    /// Adds an event `delay` after `now`.
    ///
    /// # Panics
    /// If that is past the end of time.
    #[inline]
    pub fn push_after(&mut self, delay: Duration, event: E) {
        self.push(self.now() + delay, event);
    }

    /// Makes a lane: a row of events that all wait `delay`.
    pub fn add_lane(&mut self, delay: Duration) -> LaneId {
        self.sources.add_lane(delay.as_nanos())
    }

    /// Adds an event at `now` plus the lane's delay, in constant time.
    ///
    /// # Panics
    /// If that is past the end of time, or the lane is not of this queue.
    #[inline]
    pub fn push_lane(&mut self, lane: LaneId, event: E) {
        let seq = self.next_seq;
        self.next_seq += 1;
        if !self.sources.push_lane(lane, self.now, seq, event) {
            self.instant.push(event.rank(), event);
        }
    }

    /// Makes a cursor: the place of one stream's next arrival.
    pub fn add_cursor(&mut self) -> CursorId {
        self.sources.add_cursor()
    }

    /// Sets a cursor's next arrival. At `now` it joins the instant being worked and leaves the
    /// cursor empty.
    ///
    /// # Panics
    /// If an arrival waits in the cursor, or `at` is as [`push`](Self::push) forbids.
    #[inline]
    pub fn set_cursor(&mut self, cursor: CursorId, at: SimTime, event: E) {
        let entry = self.entry(at.as_nanos(), event);
        if entry.at == self.now {
            self.instant.push(event.rank(), event);
        } else {
            self.sources.set_cursor(cursor, entry);
        }
    }

    /// Takes the next event and moves the clock to its time.
    ///
    /// `None` when nothing waits or the limit was passed; [`outcome`](Self::outcome) tells which.
    #[inline]
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        self.pop_below(NEVER)
    }

    /// Takes the next event if it is before `horizon`; what would happen at the horizon does not.
    ///
    /// `None` also when the limit was passed; [`outcome`](Self::outcome) tells.
    #[inline]
    pub fn pop_before(&mut self, horizon: SimTime) -> Option<(SimTime, E)> {
        self.pop_below(horizon.as_nanos())
    }

    /// The time of the next event.
    #[inline]
    #[must_use]
    pub fn peek_time(&self) -> Option<SimTime> {
        let at = self.next_time();
        (at != NEVER).then(|| SimTime::from_nanos(at))
    }

    /// Whether no event waits at `now`.
    #[inline]
    #[must_use]
    pub fn is_instant_done(&self) -> bool {
        self.instant.is_empty()
    }

    /// The number of events that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.instant.len() + self.future.len() + self.sources.len()
    }

    /// Whether no event waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next_time() == NEVER
    }

    /// The number of events popped so far.
    #[must_use]
    pub fn events_popped(&self) -> u64 {
        self.popped
    }

    /// Whether the run stayed within the limit: ask after the last `pop`.
    ///
    /// # Errors
    /// The instant at which the limit was passed; no event has been popped since.
    pub fn outcome(&self) -> Result<(), QueueLimit> {
        self.passed.map_or(Ok(()), Err)
    }

    #[inline]
    fn next_time(&self) -> u64 {
        if self.instant.is_empty() { self.future.min().min(self.sources.min()) } else { self.now }
    }

    /// Numbers an event.
    #[inline]
    fn entry(&mut self, at: u64, event: E) -> Entry<E> {
        assert!(at >= self.now && at < NEVER, "an event at {at} ns, pushed at {} ns", self.now);
        let seq = self.next_seq;
        self.next_seq += 1;
        Entry { at, seq, event }
    }

    #[inline]
    fn pop_below(&mut self, horizon: u64) -> Option<(SimTime, E)> {
        if !self.instant.is_empty() {
            return self.pop_instant(horizon);
        }
        let (future, sources) = (self.future.min(), self.sources.min());
        let at = future.min(sources);
        if at >= horizon || self.passed.is_some() {
            return None;
        }
        self.now = at;
        self.popped_max = self.popped.saturating_add(self.instant_limit);
        let event = if future < sources {
            let first = self.future.pop().expect("a minimum has an entry").event;
            match self.future.near_time() == at {
                true => open_after(&mut self.instant, first, || self.future.pop_at(at)),
                false => first,
            }
        } else if sources < future {
            let first = self.sources.pop_first().expect("a minimum has an entry").event;
            match self.sources.min() == at {
                true => open_after(&mut self.instant, first, || self.sources.pop_at(at)),
                false => first,
            }
        } else {
            self.open_instant();
            return self.pop_instant(horizon);
        };
        self.popped += 1;
        Some((SimTime::from_nanos(at), event))
    }

    /// Moves all that is due now, from the future and from other places, into the instant in the
    /// order of its sequence.
    #[cold]
    fn open_instant(&mut self) {
        let at = self.now;
        while let Some(entry) = self.sources.pop_at(at) {
            self.due.push(entry);
        }
        self.due.extend(self.future.pop());
        while let Some(entry) = self.future.pop_at(at) {
            self.due.push(entry);
        }
        // Both parts are sorted already: a sort that finds runs is linear here.
        self.due.sort_by_key(|entry| entry.seq);
        for entry in self.due.drain(..) {
            self.instant.push(entry.event.rank(), entry.event);
        }
        if self.due.capacity() > KEEP_LEN {
            self.due.shrink_to(0);
        }
    }

    fn pop_instant(&mut self, horizon: u64) -> Option<(SimTime, E)> {
        if self.now >= horizon || self.passed.is_some() {
            return None;
        }
        if self.popped >= self.popped_max {
            self.passed = Some(QueueLimit { at: self.now(), limit: self.instant_limit });
            return None;
        }
        self.popped += 1;
        self.instant.pop().map(|event| (SimTime::from_nanos(self.now), event))
    }
}

/// Moves into the instant what comes after `first` and is due with it; gives what is next.
#[inline]
fn open_after<E: Ranked>(
    instant: &mut Instant<E>,
    first: E,
    mut more: impl FnMut() -> Option<Entry<E>>,
) -> E {
    let mut least = u8::MAX;
    while let Some(Entry { event, .. }) = more() {
        least = least.min(event.rank());
        instant.push(event.rank(), event);
    }
    instant.first_or(first.rank(), first, least)
}
