//! Probes (rules N80 to N87): at which tick a verdict changes.
//!
//! A probe succeeds from the instant on at which the process can serve until it stops accepting.
//! Both instants are known when they are decided, so a row of equal results is counted by
//! arithmetic, and only the tick that changes something is an event.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/prober/worker.go `run`, `doProbe`. Differs: the counter
//! of a new container begins at zero (N83); after a restart the startup worker knows the new
//! container at once (N84); a refused probe takes no time; `Unhealthy` is told once a verdict and
//! not once a failure; a sync without cause does not poke (N85).

use crate::base::{Duration, SimTime};
use crate::event::KubeletStep;
use crate::model::{Probe, ProbeKind};

use super::state::{NEVER, Process, Stage, Verdict};
use super::worker::Worker;

/// The tick that ends a row of `count` equal results which begins at the first tick at or after
/// `from`, of a worker whose ticks have this phase.
pub(super) fn row_ends(from: SimTime, phase: SimTime, period: Duration, count: u32) -> SimTime {
    if from == NEVER {
        return NEVER;
    }
    let first = from.next_tick(phase, period);
    first.saturating_add(period.saturating_mul(u64::from(count.saturating_sub(1))))
}

/// When a probe that begins to fail at its first tick at or after `from` has failed often enough;
/// [`NEVER`] if the process can serve before.
fn fails_at(probe: &Probe, from: SimTime, phase: SimTime, able_at: SimTime) -> SimTime {
    let failed = row_ends(from, phase, probe.period, probe.failure_threshold);
    if failed < able_at { failed } else { NEVER }
}

/// The next instant: a tick of this one came before the container (rules N51, N84).
fn after(now: SimTime) -> SimTime {
    now + Duration::ns(1)
}

impl Worker<'_, '_> {
    /// The readiness probe asks now, and its period begins anew (rules N85, N86); it sees the
    /// container from `from` on.
    pub(super) fn poke(&mut self, c: u8, from: SimTime) {
        let Some(probe) = &self.spec(c).readiness else {
            return;
        };
        let (now, is_running) = (self.now, self.state.stage == Stage::Running);
        let container = self.at_mut(c);
        let is_up = container.process == Process::Running && container.is_started;
        if !is_running || !is_up || container.is_ready {
            return;
        }
        let from = from.max(container.started + probe.initial_delay).max(container.able_at);
        container.ready_anchor = now;
        container.ready_due = row_ends(from, now, probe.period, probe.success_threshold);
        let due = container.ready_due;
        if due == now {
            container.ready_due = NEVER;
            container.is_ready = true;
        } else {
            self.later(due, KubeletStep::Readiness(c));
        }
    }

    /// What the readiness probe says turns.
    pub(super) fn readiness(&mut self, c: u8) {
        let container = self.at_mut(c);
        container.ready_due = NEVER;
        container.is_ready = !container.is_ready;
        let is_ready = container.is_ready;
        if !is_ready {
            self.tell(true, "Unhealthy", |_| "Readiness probe failed".to_owned());
        }
        if self.state.stage == Stage::Running {
            self.build_status();
        } else {
            self.state.status.ready &= is_ready;
        }
    }

    /// The process no longer accepts: the readiness probe fails from its next tick on. Once the
    /// pod is being stopped an exec probe says nothing new (rule N138).
    pub(super) fn no_longer_able(&mut self, c: u8) {
        let Some(probe) = &self.spec(c).readiness else {
            return;
        };
        let is_frozen = probe.how == ProbeKind::Exec && self.state.stage == Stage::Stopping;
        let now = self.now;
        let container = self.at_mut(c);
        if is_frozen || !container.is_ready || container.ready_due != NEVER {
            return;
        }
        let (phase, count) = (container.ready_anchor, probe.failure_threshold);
        container.ready_due = row_ends(now, phase, probe.period, count);
        let due = container.ready_due;
        self.later(due, KubeletStep::Readiness(c));
    }

    /// Finds out whether and when the liveness probe will condemn a container that starts
    /// slowly: one that can serve is never condemned.
    pub(super) fn arm_liveness(&mut self, c: u8) {
        let Some(probe) = &self.spec(c).liveness else {
            return;
        };
        let (now, phase) = (self.now, self.state.probes_since);
        let container = self.at_mut(c);
        let from = after(now).max(container.started + probe.initial_delay);
        container.live_due = fails_at(probe, from, phase, container.able_at);
        let due = container.live_due;
        self.later(due, KubeletStep::Liveness(c));
    }

    /// The liveness probe has failed too often (rule N94).
    pub(super) fn liveness(&mut self, c: u8) {
        self.at_mut(c).live_due = NEVER;
        self.condemn(c, Verdict::Liveness);
    }

    /// Finds out when the startup probe passes or gives up.
    pub(super) fn arm_startup(&mut self, c: u8) {
        let Some(probe) = &self.spec(c).startup else {
            return;
        };
        let (now, phase) = (self.now, self.state.probes_since);
        let container = self.at_mut(c);
        let from = after(now).max(container.started + probe.initial_delay);
        let passes = row_ends(from.max(container.able_at), phase, probe.period, 1);
        container.startup_due = fails_at(probe, from, phase, container.able_at).min(passes);
        let due = container.startup_due;
        self.later(due, KubeletStep::Startup(c));
    }

    /// The startup probe passes, and the other probes begin; or it gives up.
    pub(super) fn startup(&mut self, c: u8) {
        let now = self.now;
        let container = self.at_mut(c);
        container.startup_due = NEVER;
        if container.able_at > now {
            return self.condemn(c, Verdict::Startup);
        }
        container.is_started = true;
        self.arm_liveness(c);
        self.poke(c, now);
        self.build_status();
    }

    fn condemn(&mut self, c: u8, verdict: Verdict) {
        if self.state.stage != Stage::Running || self.at(c).process != Process::Running {
            return;
        }
        self.at_mut(c).verdict = Some(verdict);
        self.tell(true, "Unhealthy", |_| match verdict {
            Verdict::Liveness => "Liveness probe failed".to_owned(),
            Verdict::Startup => "Startup probe failed".to_owned(),
        });
    }

    /// The first container that a probe has condemned.
    pub(super) fn condemned(&self) -> Option<u8> {
        let is_doomed =
            |c: &u8| self.at(*c).verdict.is_some() && self.at(*c).process == Process::Running;
        self.all().find(is_doomed)
    }
}
