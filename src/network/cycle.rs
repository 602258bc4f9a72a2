//! When a node's proxy runs, and what kind of run it is: the part of a proxy that knows no object.
//!
//! ```text
//!   told of nothing ──first run, at once──► initialized ──asked, or by itself──► run ──► rests
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go `syncProxyRules`,
//! pkg/proxy/nftables/proxier.go (rules N150, N163, N503).

use crate::base::{Duration, SimTime};

use super::health::ProxyHealth;
use super::runner::{Bounds, Runner};

/// After this long a run is a full one.
const FULL_PERIOD: Duration = Duration::hours(1);

/// The loop of a proxy and what it knows of its runs.
#[derive(Clone, Copy, Debug)]
pub struct Cycle {
    bounds: Bounds,
    runner: Runner,
    health: ProxyHealth,
    is_initialized: bool,
    needs_full: bool,
    last_full: Option<SimTime>,
    run: Option<Run>,
}

/// A run under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whether all rules are written.
    pub is_full: bool,
    /// Whether the loop started it.
    is_of_loop: bool,
    /// Whether endpoints of UDP ports have changed, so flows are looked at.
    pub looks_at_flows: bool,
}

impl Run {
    /// Whether it is the first one, or one outside the loop.
    #[must_use]
    pub const fn is_outside_loop(self) -> bool {
        !self.is_of_loop
    }
}

/// What a run finds when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// At the run before there were so many endpoints that hourly runs are not full.
    pub is_large: bool,
    /// Endpoints of UDP ports have changed.
    pub changes_udp: bool,
}

impl Cycle {
    /// A proxy that has not run yet.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            runner: Runner::new(bounds, SimTime::ZERO),
            health: ProxyHealth::new(),
            is_initialized: false,
            needs_full: true,
            last_full: None,
            run: None,
        }
    }

    /// A proxy that has long run, and does so again by itself at an instant.
    #[must_use]
    pub fn long_since(bounds: Bounds, by_itself: SimTime) -> Self {
        let mut cycle = Self::new(bounds);
        (cycle.is_initialized, cycle.needs_full) = (true, false);
        cycle.runner.ask(by_itself);
        cycle
    }

    /// Something has changed.
    pub fn ask(&mut self, now: SimTime) {
        self.health.queued(now);
        self.runner.ask(now);
    }

    /// The same; before the first run nobody needs to ask.
    pub fn ask_if_ready(&mut self, now: SimTime) {
        if self.is_initialized {
            self.ask(now);
        }
    }

    /// The next run is a full one.
    pub const fn need_full(&mut self) {
        self.needs_full = true;
    }

    /// When the loop's next run starts; `None` before the first run has begun and while one is
    /// under way.
    #[must_use]
    pub fn next_run(&self) -> Option<SimTime> {
        if self.is_initialized && self.run.is_none() { self.runner.next() } else { None }
    }

    /// Whether a run is under way.
    #[must_use]
    pub const fn run(&self) -> Option<Run> {
        self.run
    }

    /// A run of the loop starts.
    pub fn start(&mut self, now: SimTime, found: Found) -> Run {
        self.runner.start();
        self.begin(now, found, true)
    }

    /// A run starts outside the loop and its limits: the first one, or one because somebody has
    /// flushed the rules.
    pub fn start_at_once(&mut self, now: SimTime, found: Found) -> Run {
        self.needs_full = true;
        self.is_initialized = true;
        self.begin(now, found, false)
    }

    fn begin(&mut self, now: SimTime, found: Found, is_of_loop: bool) -> Run {
        let is_late = self.last_full.is_none_or(|last| now.saturating_since(last) > FULL_PERIOD);
        let is_full = self.needs_full || (is_late && !found.is_large);
        let run = Run { is_full, is_of_loop, looks_at_flows: found.changes_udp };
        self.run = Some(run);
        run
    }

    /// The run ends, well or not. After one that failed the next one is full.
    ///
    /// # Panics
    /// If none is under way.
    pub fn end(&mut self, now: SimTime, is_ok: bool) -> Run {
        let run = self.run.take().expect("a run is under way");
        self.needs_full = !is_ok;
        if is_ok {
            if run.is_full {
                self.last_full = Some(now);
            }
            self.health.updated();
        }
        if run.is_of_loop {
            self.runner.end(now, is_ok);
        }
        run
    }

    /// The first run has ended: the loop begins.
    pub const fn begin_loop(&mut self, now: SimTime) {
        self.runner.begin_at(now);
    }

    /// Whether the proxy keeps up (rule N163).
    #[must_use]
    pub fn is_healthy(&self, now: SimTime) -> bool {
        self.health.is_healthy(now, self.bounds.retry)
    }
}
