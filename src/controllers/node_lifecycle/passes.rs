//! When the passes over all nodes are.
//!
//! A pass begins a period (5 s) after the one before has ended (rule C162). Passes that would change nothing
//! are no events: where they lie follows from the last one that was carried out.

use std::collections::VecDeque;

use crate::base::{Duration, SimTime};

/// How many passes that were carried out are remembered: more than a Lease can be old when its
/// node falls silent.
const KEPT: usize = 8;

/// All passes of a run.
#[derive(Clone, Debug)]
pub(super) struct Passes {
    /// From the end of a pass to the next one.
    pub(super) period: Duration,
    /// Those that were carried out: when each began and when it ended. The passes after it lie
    /// a period apart from its end on.
    done: VecDeque<(SimTime, SimTime)>,
}

impl Passes {
    pub(super) const fn new(period: Duration) -> Self {
        Self { period, done: VecDeque::new() }
    }

    /// Whether a pass begins now.
    pub(super) fn is_due(&self, now: SimTime) -> bool {
        match self.done.back() {
            Some((began, ended)) => now > *began && now > *ended && now == self.tick(*ended, now),
            None => now == self.tick(SimTime::ZERO, now),
        }
    }

    /// A pass was carried out.
    pub(super) fn carry_out(&mut self, began: SimTime, ended: SimTime) {
        self.done.push_back((began, ended));
        if self.done.len() > KEPT {
            self.done.pop_front();
        }
    }

    /// The last one has ended later than was thought.
    pub(super) fn end(&mut self, at: SimTime) {
        if let Some((_, ended)) = self.done.back_mut() {
            *ended = at.max(*ended);
        }
    }

    /// The first pass after an instant, of those that are still to come.
    pub(super) fn first_after(&self, at: SimTime) -> SimTime {
        match self.done.back() {
            Some((_, ended)) => self.tick(*ended, (at + Duration::ns(1)).max(*ended + self.period)),
            None => self.tick(SimTime::ZERO, at + Duration::ns(1)),
        }
    }

    /// The pass that saw, or will see, what happened at an instant: the first one not before it.
    pub(super) fn first_from(&self, at: SimTime) -> SimTime {
        let start = (SimTime::ZERO, SimTime::ZERO);
        let mut done = std::iter::once(start).chain(self.done.iter().copied()).peekable();
        while let Some((began, ended)) = done.next() {
            if began >= at {
                return began;
            }
            let next = self.tick(ended, at.max(ended + self.period));
            if done.peek().is_none_or(|(later, _)| next < *later) {
                return next;
            }
        }
        self.first_after(at)
    }

    /// The first instant not before `at` that lies a whole number of periods after `anchor`.
    fn tick(&self, anchor: SimTime, at: SimTime) -> SimTime {
        let periods = at.saturating_since(anchor).as_nanos().div_ceil(self.period.as_nanos());
        anchor + self.period * periods
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> SimTime {
        SimTime::ZERO + Duration::ms(count)
    }

    /// Rule C162: the next pass begins 5 s after the end of the one before.
    #[test]
    fn passes_shift_with_what_they_take() {
        let mut passes = Passes::new(Duration::secs(5));
        assert!(passes.is_due(ms(0)) && passes.is_due(ms(10_000)) && !passes.is_due(ms(12_000)));
        assert_eq!(passes.first_after(ms(10_000)), ms(15_000));
        passes.carry_out(ms(15_000), ms(15_030));
        assert!(!passes.is_due(ms(15_000)) && passes.is_due(ms(20_030)));
        assert_eq!(passes.first_after(ms(15_000)), ms(20_030));
        assert_eq!(passes.first_from(ms(9_000)), ms(10_000));
        assert_eq!(passes.first_from(ms(14_000)), ms(15_000));
        assert_eq!(passes.first_from(ms(15_001)), ms(20_030));
        passes.end(ms(16_000));
        assert_eq!(passes.first_from(ms(15_001)), ms(21_000));
    }
}
