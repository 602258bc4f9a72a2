//! Lanes and cursors: sources that are sorted already and never enter the future's order.
//!
//! A lane is a first-in-first-out row of events that all wait the same delay. A cursor is the one
//! next arrival of a sorted stream; the engine sets the following one when it has popped. A
//! tournament over the heads of all sources (a tree of minima) tells which is next: two or three
//! steps for a few sources, ten for a thousand.

use std::collections::VecDeque;
use std::hint::select_unpredictable;

use super::queue_future::{Entry, KEEP_LEN, NEVER};

/// A constant-delay lane of one [`EventQueue`](super::EventQueue).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneId(u32);

/// A cursor of one [`EventQueue`](super::EventQueue).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorId(u32);

#[derive(Debug)]
enum Source<E> {
    Lane { delay: u64, row: VecDeque<Entry<E>> },
    Cursor(Option<Entry<E>>),
}

/// All lanes and cursors.
#[derive(Debug)]
pub(super) struct Sources<E> {
    sources: Vec<Source<E>>,
    heads: Tournament,
    len: usize,
}

impl<E: Copy> Sources<E> {
    pub(super) fn new() -> Self {
        Self { sources: Vec::new(), heads: Tournament::new(), len: 0 }
    }

    /// The number of events that wait in lanes and cursors.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The earliest time; `NEVER` when nothing waits.
    #[inline]
    pub(super) fn min(&self) -> u64 {
        self.heads.winner().at
    }

    pub(super) fn add_lane(&mut self, delay: u64) -> LaneId {
        LaneId(self.add(Source::Lane { delay, row: VecDeque::new() }))
    }

    pub(super) fn add_cursor(&mut self) -> CursorId {
        CursorId(self.add(Source::Cursor(None)))
    }

    fn add(&mut self, source: Source<E>) -> u32 {
        let id = u32::try_from(self.sources.len()).expect("fewer than 2^32 sources");
        self.sources.push(source);
        self.heads.grow(self.sources.len());
        id
    }

    /// Adds to the end of a lane what waits its delay from now on, so that it is never before those
    /// that wait. False: the lane has no delay, and nothing was added.
    ///
    /// # Panics
    /// If that is past the end of time.
    #[inline]
    pub(super) fn push_lane(&mut self, lane: LaneId, now: u64, seq: u64, event: E) -> bool {
        let Source::Lane { delay, row } = &mut self.sources[lane.0 as usize] else {
            unreachable!("{lane:?} is a cursor of another queue")
        };
        if *delay == 0 {
            return false;
        }
        let at = now.checked_add(*delay).filter(|at| *at < NEVER).expect("a time within 584 years");
        if row.is_empty() {
            self.heads.set(Head { at, seq, source: lane.0 });
        }
        row.push_back(Entry { at, seq, event });
        self.len += 1;
        true
    }

    #[inline]
    pub(super) fn set_cursor(&mut self, cursor: CursorId, entry: Entry<E>) {
        let Source::Cursor(waiting) = &mut self.sources[cursor.0 as usize] else {
            unreachable!("{cursor:?} is a lane of another queue")
        };
        assert!(
            waiting.is_none(),
            "{cursor:?} is set to {} ns while an arrival waits in it",
            entry.at
        );
        *waiting = Some(entry);
        self.heads.set(Head { at: entry.at, seq: entry.seq, source: cursor.0 });
        self.len += 1;
    }

    /// Takes the first entry, if its time is `at`, the earliest.
    pub(super) fn pop_at(&mut self, at: u64) -> Option<Entry<E>> {
        if self.min() == at { self.pop_first() } else { None }
    }

    /// Takes the first entry, if any waits.
    #[inline]
    pub(super) fn pop_first(&mut self) -> Option<Entry<E>> {
        let winner = self.heads.winner();
        if winner.at == NEVER {
            return None;
        }
        self.len -= 1;
        match &mut self.sources[winner.source as usize] {
            Source::Lane { row, .. } => {
                let entry = row.pop_front();
                let (at, seq) = row.front().map_or((NEVER, 0), |next| (next.at, next.seq));
                self.heads.set(Head { at, seq, source: winner.source });
                if row.is_empty() && row.capacity() > KEEP_LEN {
                    row.shrink_to(0);
                }
                entry
            }
            Source::Cursor(waiting) => {
                self.heads.set(Head { source: winner.source, ..Tournament::NOBODY });
                waiting.take()
            }
        }
    }
}

/// The time and number of a source's next event, and the source's number.
#[derive(Clone, Copy, Debug)]
struct Head {
    at: u64,
    seq: u64,
    source: u32,
}

impl Head {
    fn key(self) -> u128 {
        u128::from(self.at) << 64 | u128::from(self.seq)
    }
}

/// A complete binary tree: node `i` is the earlier of `2i` and `2i + 1`, the leaves are the heads
/// of the sources.
#[derive(Debug)]
struct Tournament {
    nodes: Vec<Head>,
}

impl Tournament {
    const NOBODY: Head = Head { at: NEVER, seq: 0, source: 0 };

    fn new() -> Self {
        Self { nodes: vec![Self::NOBODY; 2] }
    }

    #[inline]
    fn winner(&self) -> Head {
        self.nodes[1]
    }

    /// Makes room for `len` leaves, all kept.
    fn grow(&mut self, len: usize) {
        let old = self.nodes.len() / 2;
        if len <= old {
            return;
        }
        let leaves = len.next_power_of_two();
        let heads = self.nodes.split_off(old);
        self.nodes = vec![Self::NOBODY; 2 * leaves];
        for head in heads.into_iter().filter(|head| head.at != NEVER) {
            self.set(head);
        }
    }

    /// Sets a leaf and plays its matches again. No branch depends on a time: it could not be
    /// predicted and would cost more than the few steps that it might save.
    #[inline]
    fn set(&mut self, head: Head) {
        let mut node = self.nodes.len() / 2 + head.source as usize;
        let mut best = head;
        self.nodes[node] = best;
        while node > 1 {
            let other = self.nodes[node ^ 1];
            let other_wins = other.key() < best.key();
            best.at = select_unpredictable(other_wins, other.at, best.at);
            best.seq = select_unpredictable(other_wins, other.seq, best.seq);
            best.source = select_unpredictable(other_wins, other.source, best.source);
            node /= 2;
            self.nodes[node] = best;
        }
    }
}
