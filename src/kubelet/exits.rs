//! How containers end by themselves, start again, and how a pod is complete (rules N89 to N94,
//! N139).
//!
//! Differs: RestartAllContainers restarts the container alone.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kuberuntime/kuberuntime_manager.go `computePodActions`,
//! `doBackOff`; client-go/util/flowcontrol/backoff.go; pkg/kubelet/pod_workers.go.

use crate::base::{Duration, SimTime, dist};
use crate::cluster::{ContainerExit, Exits, Phase, Serving};
use crate::event::KubeletStep;
use crate::model::{AfterExit, Exit, RestartPolicy};

use super::state::{Container, End, NEVER, Process, Stage};
use super::worker::Worker;

/// Codes of processes that a signal ends: 128 and its number.
pub(super) const SIGTERM: i32 = 143;
/// See [`SIGTERM`].
pub(super) const SIGKILL: i32 = 137;
/// First crash back-off (rule N90).
const BACKOFF_FIRST: Duration = Duration::secs(10);
/// Longest crash back-off.
const BACKOFF_MAX: Duration = Duration::secs(300);
/// After this long it begins anew.
const BACKOFF_RESET: Duration = Duration::secs(600);
/// The longest nap of a pod's worker before it looks at a back-off again (rule N8).
const NAP_MAX: Duration = Duration::secs(60);

/// Whether an instant is so long after the last restart that its back-off is forgotten.
fn is_forgotten(container: &Container, at: SimTime) -> bool {
    container.backoff.is_zero() || at.saturating_since(container.backoff_at) > BACKOFF_RESET
}

impl Worker<'_, '_> {
    /// A container's process ends by itself.
    pub(super) fn exits(&mut self, c: u8) {
        let runs = self.at(c).runs;
        let index = self.row.index;
        let behavior = self.behavior(c);
        let fails = |exit: &&Exit| {
            let of = exit.indexes.as_ref();
            let draw = dist::open01_of(dist::mix(self.row.uid ^ u64::from(runs)));
            of.is_none_or(|of| index.is_some_and(|index| of.has(index))) && draw < exit.share
        };
        let exit = behavior.exits.iter().find(fails).filter(|_| !self.is_init(c));
        let code = exit.map_or(0, |exit| i32::from(exit.code));
        self.die(c, if self.port_taken(c).is_some() { 1 } else { code });
    }

    /// A container's process ends because of the stop signal, with all its work done: a server
    /// exits 0, what would have ended by itself does not.
    pub(super) fn bows_out(&mut self, c: u8) {
        let ends = self.behavior(c).run.is_some() || self.lifetime().is_some();
        self.die(c, if ends { SIGTERM } else { 0 });
    }

    /// The codes other than 0 of ended containers.
    pub(super) fn exit_codes(&self) -> Exits {
        let ordered = self.mains().chain(0..self.mains().start);
        Exits::of(ordered.zip(0..).map(|(c, container)| {
            let ended = self.at(c).process == Process::Exited;
            ContainerExit { container, code: if ended { self.at(c).exit_code } else { 0 } }
        }))
    }

    /// A container's process ends with a code.
    pub(super) fn die(&mut self, c: u8, code: i32) {
        let now = self.now;
        let container = self.at_mut(c);
        if container.process != Process::Running {
            return;
        }
        let older = (container.runs > 1).then_some(container.finished);
        let verdict = container.verdict;
        let exit_ok = code == 0;
        *container = Container { exit_ok, exit_code: code, ..container.without_process(now) };
        if self.is_server(c) {
            self.set_serving(Serving::Absent);
        }
        if self.state.stage == Stage::Stopping {
            self.at_mut(c).seen = true;
            self.no_longer_able(c);
            self.next_turns();
        } else if verdict.is_some() && self.state.at_hand == Some(c) {
            self.killed_by_probe(c, older);
        } else {
            let delay = self.draw_relist();
            self.at_mut(c).seen_due = now + delay;
            if delay.is_zero() {
                self.exit_seen(c);
            } else {
                self.later(now + delay, KubeletStep::ExitSeen(c));
            }
        }
    }

    /// A relist finds a container's process ended.
    pub(super) fn exit_seen(&mut self, c: u8) {
        let container = self.at_mut(c);
        container.seen_due = NEVER;
        container.seen = true;
        (container.is_started, container.is_ready, container.ready_due) = (false, false, NEVER);
        let (finished, ok) = (container.finished, container.exit_ok);
        if self.state.stage == Stage::Running && self.starts_again(c, ok) {
            self.restart_after(c, Some(finished));
        }
        if !self.state.in_pass {
            self.build_status();
        }
    }

    /// Whether a container that ended is started again, by its own rules and policy, else the
    /// pod's (rule N93). What a probe has killed is, unless the policy is Never. A pod with a lifetime is over at its end, whatever the policy.
    fn starts_again(&self, c: u8, ok: bool) -> bool {
        if self.is_init(c) {
            return self.is_sidecar(c);
        }
        let policy = self.template.spec.restart_policy;
        if ok && policy == RestartPolicy::Always && self.lifetime().is_some() {
            return false;
        }
        self.spec(c).after_exit(self.at(c).exit_code, policy) != AfterExit::Stay
    }

    /// A container that a probe condemned is dead: it is started again in the same pass. Only an
    /// older instance that ended makes it wait (rule N94).
    fn killed_by_probe(&mut self, c: u8, older: Option<SimTime>) {
        let container = self.at_mut(c);
        container.seen = true;
        (container.is_started, container.is_ready, container.ready_due) = (false, false, NEVER);
        container.exit_ok = false;
        if container.exit_code == 0 {
            container.exit_code = SIGKILL;
        }
        self.state.at_hand = None;
        if self.starts_again(c, false) {
            self.restart_after(c, older);
        }
    }

    /// Starts a container again, or after its back-off since an instance's end (rule N90).
    fn restart_after(&mut self, c: u8, ended: Option<SimTime>) {
        let now = self.now;
        let container = self.at_mut(c);
        let Some(ended) = ended else {
            container.process = Process::Due;
            return;
        };
        let until = ended + container.backoff;
        if is_forgotten(container, ended) || now >= until {
            return self.restart(c);
        }
        let at = self.wakes_at(until);
        self.at_mut(c).restart_due = at;
        self.tell(true, "BackOff", |worker| {
            format!("Back-off restarting failed container {}", worker.name(c))
        });
        self.later(at, KubeletStep::Restart(c));
    }

    /// A container is to be started again, and its back-off grows.
    pub(super) fn restart(&mut self, c: u8) {
        let now = self.now;
        if self.state.stage != Stage::Running {
            return;
        }
        let container = self.at_mut(c);
        container.backoff = if is_forgotten(container, now) {
            BACKOFF_FIRST
        } else {
            container.backoff.saturating_mul(2).min(BACKOFF_MAX)
        };
        container.backoff_at = now;
        container.restart_due = NEVER;
        container.process = Process::Due;
    }

    /// When a worker that waits for `until` looks at its pod after that: it naps for as long as
    /// is left, jittered upwards and never longer than a minute, and is woken by the tick of each
    /// second (rules N8, N91).
    fn wakes_at(&mut self, until: SimTime) -> SimTime {
        if self.is_ideal() {
            return until;
        }
        let rng = &mut self.node.machinery;
        let mut at = self.now;
        while at < until {
            let nap = (until - at).min(NAP_MAX).scale(1.0 + 0.5 * dist::open01(rng));
            at = at + nap + Duration::secs(1).scale(dist::open01(rng));
        }
        at
    }

    /// Whether all app containers have ended and none is started again (rule N139).
    pub(super) fn is_complete(&self) -> bool {
        self.state.initialised
            && self.mains().all(|c| {
                let container = self.at(c);
                let has_ended = container.process == Process::Exited && container.seen;
                has_ended && container.restart_due == NEVER
            })
    }

    /// All app containers have ended: sidecars are stopped, then the pod ends (rules N65, N139).
    pub(super) fn complete(&mut self) {
        self.state.end = End::Completed;
        self.begin_kill();
    }

    /// The phase that the exit codes make (rule N129).
    pub(super) fn final_phase(&self) -> Phase {
        let ok = self.state.initialised && self.mains().all(|c| self.at(c).exit_ok);
        if ok { Phase::Succeeded } else { Phase::Failed }
    }
}
