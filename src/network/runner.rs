//! When a proxy's runs start: the bounded loop.
//!
//! ```text
//!            asked                     run ends well
//!   idle ───────────► running ───────────────────────► resting (minimum) ──► idle
//!                        │ run fails                        │ asked meanwhile: run at its end
//!                        └──► as above, and asked again after the retry's time
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/util/async/bounded_frequency_runner.go, as pkg/proxy/runner has
//! it (rules N150, N503).

use crate::base::{Duration, SimTime};

/// Its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From the end of a run to the start of the next, at least (`minSyncPeriod`).
    pub min: Duration,
    /// From the end of a failed run to the next (`syncPeriod`).
    pub retry: Duration,
    /// From the end of a run to the next that nobody asked for.
    pub max: Duration,
}

impl Bounds {
    /// An hour without an event is followed by a run.
    pub const IDLE_MAX: Duration = Duration::hours(1);
}

/// The loop of one proxy.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    bounds: Bounds,
    /// When the loop began.
    began: SimTime,
    /// The end of the last run of the loop.
    ended: Option<SimTime>,
    /// The first time that a run was asked for since the last one started.
    asked: Option<SimTime>,
    has_failed: bool,
    is_running: bool,
}

impl Runner {
    /// A loop that will begin at an instant.
    #[must_use]
    pub const fn new(bounds: Bounds, began: SimTime) -> Self {
        Self { bounds, began, ended: None, asked: None, has_failed: false, is_running: false }
    }

    /// The loop begins at another instant.
    pub const fn begin_at(&mut self, at: SimTime) {
        self.began = at;
    }

    /// Asks for a run.
    pub fn ask(&mut self, now: SimTime) {
        self.asked = Some(self.asked.map_or(now, |asked| asked.min(now)));
    }

    /// When the next run starts, as far as is known; `None` while one is under way.
    #[must_use]
    pub fn next(&self) -> Option<SimTime> {
        if self.is_running {
            return None;
        }
        let rested = self.ended.map_or(self.began, |ended| ended + self.bounds.min);
        let last = self.ended.unwrap_or(self.began);
        let by_itself = if self.has_failed { self.bounds.retry } else { self.bounds.max };
        let by_itself = (last + by_itself).max(rested);
        Some(self.asked.map_or(by_itself, |asked| by_itself.min(asked.max(rested))))
    }

    /// The run starts.
    pub const fn start(&mut self) {
        self.asked = None;
        self.is_running = true;
    }

    /// The run ends, well or not.
    pub const fn end(&mut self, now: SimTime, is_ok: bool) {
        self.ended = Some(now);
        self.has_failed = !is_ok;
        self.is_running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SimTime {
        SimTime::at(Duration::ms(ms))
    }

    /// N150: at once when idle, one second after the end of the last run else, 30 s after a failed
    /// one, an hour without an event.
    #[test]
    fn the_loop() {
        let (min, retry) = (Duration::secs(1), Duration::secs(30));
        let mut runner = Runner::new(Bounds { min, retry, max: Bounds::IDLE_MAX }, at(0));
        runner.ask(at(500));
        runner.ask(at(700));
        assert_eq!(runner.next(), Some(at(500)));
        runner.start();
        assert_eq!(runner.next(), None);
        runner.ask(at(600));
        runner.end(at(800), true);
        assert_eq!(runner.next(), Some(at(1800)));
        runner.start();
        runner.end(at(2000), false);
        assert_eq!(runner.next(), Some(at(32_000)));
        runner.ask(at(9000));
        assert_eq!(runner.next(), Some(at(9000)));
        runner.start();
        runner.end(at(9100), true);
        assert_eq!(runner.next(), Some(at(3_609_100)));
    }
}
