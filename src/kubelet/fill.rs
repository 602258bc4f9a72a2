//! How full something is over time: the sum of lines that begin, rise, stop to rise and end.
//!
//! ```text
//!                ______________   a line stops at the most that it may be
//!          _____/
//!    _____/
//! ```
//!
//! Nothing is looked at between changes: when an amount is passed is worked out.

use super::memory::time_to;
use super::node::NEVER;
use crate::base::{Duration, SimTime};

const NANOS: i128 = 1_000_000_000;

/// An amount of bytes that grows evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// At the instant `since`.
    level: i64,
    /// More, a second.
    rate: i64,
    since: SimTime,
    /// It stops to grow there.
    most: Option<i64>,
}

impl Line {
    /// From an instant on.
    pub(super) fn new(level: i64, rate: i64, since: SimTime, most: Option<i64>) -> Self {
        Self { level: most.map_or(level, |most| level.min(most)), rate, since, most }
    }

    /// What there is at an instant.
    pub(super) fn at(&self, now: SimTime) -> i64 {
        let age = nanos(now.min(self.full_at()).saturating_since(self.since));
        let grown = i128::from(self.rate) * age / NANOS;
        i64::try_from(i128::from(self.level) + grown).unwrap_or(i64::MAX)
    }

    /// So much more than it was, from an instant on.
    pub(super) fn raised(self, by: i64, now: SimTime) -> Self {
        Self::new(self.at(now).saturating_add(by), self.rate, now, self.most)
    }

    /// When it stops to grow.
    fn full_at(&self) -> SimTime {
        match self.most {
            Some(most) if self.rate > 0 => {
                time_to(i128::from(most - self.level), i128::from(self.rate), self.since)
            }
            _ => NEVER,
        }
    }
}

fn nanos(of: Duration) -> i128 {
    i128::from(of.as_nanos())
}

/// The sum of lines and of amounts that stay.
#[derive(Clone, Debug, Default)]
pub(super) struct Fill {
    /// At the instant zero, in bytes times nanoseconds a second.
    origin: i128,
    /// In bytes a second.
    rate: i128,
    /// What changes by itself later, in order.
    turns: Vec<Turn>,
}

/// A change of an instant to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    at: SimTime,
    /// So much more at once, in bytes.
    jump: i128,
    /// So much more a second.
    rate: i128,
}

impl Fill {
    /// A line begins, now or before.
    pub(super) fn add(&mut self, line: &Line, now: SimTime) {
        self.put(line, 1, now);
    }

    /// A line that was there is no more, and has never been.
    pub(super) fn take(&mut self, line: &Line, now: SimTime) {
        self.put(line, -1, now);
    }

    fn put(&mut self, line: &Line, sign: i128, now: SimTime) {
        let (level, rate) = (i128::from(line.level), i128::from(line.rate));
        self.origin += sign * (level * NANOS - rate * nanos(line.since.since_start()));
        self.rate += sign * rate;
        self.turn(Turn { at: line.full_at(), jump: 0, rate: -sign * rate });
        self.settle(now);
    }

    /// An amount is there that was not.
    pub(super) fn raise(&mut self, by: i64) {
        self.origin += i128::from(by) * NANOS;
    }

    /// The same from an instant on.
    pub(super) fn raise_at(&mut self, at: SimTime, by: i64) {
        self.turn(Turn { at, jump: i128::from(by), rate: 0 });
    }

    fn turn(&mut self, turn: Turn) {
        if turn.at == NEVER || (turn.jump, turn.rate) == (0, 0) {
            return;
        }
        let opposite = Turn { at: turn.at, jump: -turn.jump, rate: -turn.rate };
        match self.turns.iter().position(|known| *known == opposite) {
            Some(at) => drop(self.turns.remove(at)),
            None => {
                let at = self.turns.partition_point(|known| known.at <= turn.at);
                self.turns.insert(at, turn);
            }
        }
    }

    /// What has turned is settled.
    fn settle(&mut self, now: SimTime) {
        let past = self.turns.partition_point(|turn| turn.at <= now);
        for turn in self.turns.drain(..past) {
            self.origin += turn.jump * NANOS - turn.rate * nanos(turn.at.since_start());
            self.rate += turn.rate;
        }
    }

    /// How much there is at an instant, and how much more a second.
    fn state(&self, now: SimTime) -> (i128, i128) {
        let mut value = self.origin + self.rate * nanos(now.since_start());
        let mut rate = self.rate;
        for turn in self.turns.iter().take_while(|turn| turn.at <= now) {
            value += turn.jump * NANOS + turn.rate * nanos(now.saturating_since(turn.at));
            rate += turn.rate;
        }
        (value.div_euclid(NANOS), rate)
    }

    /// How much there is, in bytes.
    pub(super) fn at(&self, now: SimTime) -> i64 {
        i64::try_from(self.state(now).0).unwrap_or(i64::MAX)
    }

    /// When it is more than an amount, as things are; at once if it is already.
    pub(super) fn passes(&self, amount: i64, now: SimTime) -> SimTime {
        let mut from = now;
        loop {
            let (value, rate) = self.state(from);
            let missing = i128::from(amount) + 1 - value;
            if missing <= 0 {
                return from;
            }
            let crossed = time_to(missing, rate, from);
            let next = self.next_turn(from);
            if crossed <= next {
                return crossed;
            }
            from = next;
        }
    }

    /// When something changes by itself next, after an instant.
    pub(super) fn next_turn(&self, now: SimTime) -> SimTime {
        let after = self.turns.partition_point(|turn| turn.at <= now);
        self.turns.get(after).map_or(NEVER, |turn| turn.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(at: u64) -> SimTime {
        SimTime::at(Duration::secs(at))
    }

    /// 10 a second from 5 s on, up to 100, which is after 15 s; beside it 2 a second for ever.
    #[test]
    fn lines_stop_at_the_most_that_they_may_be() {
        let line = Line::new(0, 10, secs(5), Some(100));
        let other = Line::new(7, 2, secs(0), None);
        let mut fill = Fill::default();
        fill.add(&line, secs(5));
        fill.add(&other, secs(5));
        assert_eq!([5, 10, 15, 20].map(|at| fill.at(secs(at))), [17, 77, 137, 147]);
        // 100 + 7 + 2 · 20 = 147: more than that after another half second.
        assert_eq!(fill.passes(147, secs(6)), secs(20) + Duration::ms(500));
        assert_eq!(fill.next_turn(secs(6)), secs(15));
        fill.take(&other, secs(12));
        assert_eq!(fill.passes(100, secs(12)), NEVER);
        fill.take(&line, secs(30));
        assert_eq!((fill.at(secs(30)), fill.next_turn(secs(0))), (0, NEVER));
        fill.add(&line, secs(6));
        fill.take(&line, secs(7));
        assert_eq!((fill.at(secs(9)), fill.turns.len()), (0, 0));
    }

    /// What is freed later is there until then.
    #[test]
    fn what_is_freed_later() {
        let mut fill = Fill::default();
        fill.raise(500);
        fill.raise_at(secs(60), -500);
        assert_eq!((fill.at(secs(59)), fill.at(secs(60))), (500, 0));
        assert_eq!(fill.passes(400, secs(61)), NEVER);
        let line = Line::new(0, 1, secs(0), Some(10)).raised(5, secs(3));
        assert_eq!((line.at(secs(3)), line.at(secs(99))), (8, 10));
    }
}
