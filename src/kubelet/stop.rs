//! The end of a pod (rules N120 to N139).
//!
//! ```text
//! a container:  preStop ─► (a sidecar: its turn) ─► signal ─► Accepting ─► Draining ─► exit
//!                  └─────────── grace ──────────────┘ └── what is left, at least 2 s ──► SIGKILL
//! the pod:      all containers at once ─► sandbox gone ─► clean-up ─► the object goes
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kuberuntime/kuberuntime_container.go `killContainer`,
//! `executePreStopHook`; termination_order.go; pkg/kubelet/kubelet.go `SyncTerminatingPod`,
//! `SyncTerminatedPod`. Differs: a sidecar is not restarted while the pod is being stopped (N126);
//! a process that cannot serve yet exits at once on the signal.

use crate::base::{Duration, SimTime};
use crate::cluster::{Serving, Write};
use crate::event::KubeletStep;

use super::exits::{SIGKILL, SIGTERM};
use super::state::{End, NEVER, Process, Stage, Stop};
use super::worker::Worker;

/// What a container has at least between signal and SIGKILL (rule N122).
const GRACE_MIN: Duration = Duration::secs(2);

impl Worker<'_, '_> {
    /// Stops all containers, in parallel.
    pub(super) fn begin_kill(&mut self) {
        self.state.stage = Stage::Stopping;
        self.state.kill_pending = false;
        let own = self.template.spec.grace;
        let grace = match self.state.end {
            End::Removed => self.row.deletion.map_or(own, |deletion| deletion.grace),
            End::Completed | End::Failed(_) => own,
        };
        for c in self.all() {
            let container = self.at_mut(c);
            (container.restart_due, container.seen_due) = (NEVER, NEVER);
            (container.live_due, container.startup_due) = (NEVER, NEVER);
            if container.process == Process::Running {
                self.begin_stop(c, grace);
            }
        }
    }

    /// Stops a container that a probe has condemned; it is started again in the same pass.
    pub(super) fn begin_probe_kill(&mut self, c: u8) {
        self.state.at_hand = Some(c);
        self.state.in_pass = true;
        let spec = self.spec(c);
        let probe = match self.at(c).verdict {
            Some(super::state::Verdict::Startup) => &spec.startup,
            Some(super::state::Verdict::Liveness) | None => &spec.liveness,
        };
        let grace = probe.as_ref().and_then(|probe| probe.grace);
        let container = self.at_mut(c);
        (container.live_due, container.startup_due) = (NEVER, NEVER);
        self.begin_stop(c, grace.unwrap_or(self.template.spec.grace));
    }

    /// Begins with the preStop hook, which the grace bounds.
    fn begin_stop(&mut self, c: u8, grace: Duration) {
        self.tell(false, "Killing", |worker| format!("Stopping container {}", worker.name(c)));
        let hook = self.spec(c).pre_stop.as_ref().map(|hook| self.hook_time(c, hook));
        let hook = hook.unwrap_or(Duration::ZERO).min(grace);
        let now = self.now;
        let container = self.at_mut(c);
        container.stop = Stop::Hook;
        (container.stop_since, container.grace_left) = (now, grace);
        container.stop_due = now + hook;
        if hook.is_zero() {
            self.pre_stopped(c);
        } else {
            self.later(now + hook, KubeletStep::PreStopped(c));
        }
    }

    /// The hook is done; a sidecar waits for the containers that came after it.
    pub(super) fn pre_stopped(&mut self, c: u8) {
        let now = self.now;
        let container = self.at_mut(c);
        if container.process != Process::Running || container.stop != Stop::Hook {
            return;
        }
        container.stop_due = NEVER;
        let left = left_of(container.grace_left, now - container.stop_since);
        (container.stop_since, container.grace_left) = (now, left);
        if self.state.stage == Stage::Stopping && self.is_sidecar(c) && !self.has_turn(c) {
            let container = self.at_mut(c);
            container.stop = Stop::Turn;
            container.grace_due = now + left;
            self.later(now + left, KubeletStep::GraceEnds(c));
        } else {
            self.signal(c, left);
        }
    }

    /// Whether a sidecar may stop: all app containers are dead, and the sidecars after it
    /// (rule N124).
    fn has_turn(&self, c: u8) -> bool {
        self.all().skip(usize::from(c) + 1).all(|later| {
            let matters = !self.is_init(later) || self.is_sidecar(later);
            !matters || self.at(later).process != Process::Running
        })
    }

    /// A container died: sidecars whose turn it is now get their signal, the last one first.
    pub(super) fn next_turns(&mut self) {
        let now = self.now;
        for c in (0..self.mains().start).rev() {
            if self.at(c).stop == Stop::Turn && self.has_turn(c) {
                let waited = now - self.at(c).stop_since;
                let left = left_of(self.at(c).grace_left, waited);
                self.signal(c, left);
            }
        }
    }

    /// The stop signal; SIGKILL follows after `left`, and not before two seconds.
    fn signal(&mut self, c: u8, left: Duration) {
        let shutdown = self.behavior(c).shutdown;
        let (now, grace_due) = (self.now, self.now + left.max(GRACE_MIN));
        let container = self.at_mut(c);
        container.grace_due = grace_due;
        let is_able = container.able_at <= now;
        if shutdown.ignores_signal {
            container.stop = Stop::Deaf;
            self.later(grace_due, KubeletStep::GraceEnds(c));
        } else if is_able && !shutdown.accept.is_zero() {
            container.stop = Stop::Accepting;
            self.until(c, now + shutdown.accept, KubeletStep::AcceptEnds(c));
        } else if is_able {
            self.drain(c);
        } else {
            self.die(c, SIGTERM);
        }
    }

    /// Lets a step happen at `at`, or SIGKILL if that comes first.
    fn until(&mut self, c: u8, at: SimTime, step: KubeletStep) {
        let container = self.at_mut(c);
        container.stop_due = at;
        let grace_due = container.grace_due;
        if at <= grace_due {
            self.later(at, step);
        } else {
            self.later(grace_due, KubeletStep::GraceEnds(c));
        }
    }

    /// The process accepts no more and finishes what it has accepted; what has none exits.
    pub(super) fn drain(&mut self, c: u8) {
        let time = self.behavior(c).shutdown.drain;
        self.at_mut(c).stop_due = NEVER;
        if !self.is_server(c) || time.is_zero() {
            return self.bows_out(c);
        }
        let now = self.now;
        let container = self.at_mut(c);
        container.stop = Stop::Draining;
        container.able_at = NEVER;
        self.set_serving(Serving::Draining);
        self.no_longer_able(c);
        self.until(c, now + time, KubeletStep::DrainEnds(c));
    }

    /// The grace is over: SIGKILL; a sidecar that still waits for its turn gets its signal.
    pub(super) fn grace_ends(&mut self, c: u8) {
        if self.at(c).stop == Stop::Turn {
            self.signal(c, Duration::ZERO);
        } else {
            self.die(c, SIGKILL);
        }
    }

    /// All containers are dead: the sandbox goes. A pod that ended by itself waits for another
    /// relist before (rule N139).
    pub(super) fn stopped(&mut self) {
        let latencies = &self.model.latencies;
        self.state.stage = Stage::SandboxStop;
        (self.state.kill_pending, self.state.in_pass) = (false, false);
        self.state.at_hand = None;
        let relist = match self.state.end {
            End::Removed => Duration::ZERO,
            End::Completed | End::Failed(_) => latencies.relist,
        };
        let stop = if self.state.has_sandbox {
            self.draw(&latencies.sandbox_stop)
        } else {
            Duration::ZERO
        };
        self.wait(relist + stop, KubeletStep::SandboxStopped);
    }

    /// The network namespace is gone.
    pub(super) fn sandbox_stopped(&mut self) {
        self.state.has_sandbox = false;
        self.state.status.ready = false;
        if self.has_server() {
            self.set_serving(Serving::Gone);
        }
        match self.state.end {
            End::Completed => self.ended(self.final_phase(), ""),
            End::Failed(reason) => self.ended(crate::cluster::Phase::Failed, reason),
            End::Removed => {
                self.state.stage = Stage::Finalize;
                self.end_tracked();
                let delay = self.draw_relist() + self.draw(&self.model.latencies.finalize);
                self.wait(delay, KubeletStep::Finalize);
            }
        }
    }

    /// The Job controller must see how a deleted pod ended: its phase is terminal before the object
    /// goes (rules C117, N129). Of other pods nobody looks at that.
    fn end_tracked(&mut self) {
        if self.row.is_tracked {
            let phase = self.final_phase();
            self.ended(phase, "");
            self.state.stage = Stage::Finalize;
        }
    }

    /// Everything of the pod is cleaned up: its object goes (rule N130).
    pub(super) fn finalize(&mut self) {
        self.state.stage = Stage::Ended;
        self.is_removed = true;
        if self.row.is_tracked && self.row.status != self.state.status {
            // The phase is written before the object goes, whatever a write takes.
            let (pod, status) = (self.pod, self.state.status);
            self.plan.push(Write::PodStatus { pod, status });
        }
        self.plan.push(Write::RemovePod { pod: self.pod });
    }
}

/// What is left of a grace: whole seconds are taken off (rule N122).
fn left_of(grace: Duration, spent: Duration) -> Duration {
    grace.saturating_sub(Duration::secs(spent.whole_secs()))
}
