//! Kills of containers: hooks, turns, signals (rules N122 to N124, N137).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kuberuntime (`kuberuntime_container.go` `killContainer`,
//! `executePreStopHook`, `setTerminationGracePeriod`; `kuberuntime_termination_order.go`).

use super::actions::{is_init, is_sidecar, nth};
use super::pod::{AfterKills, Busy, KillPhase, Killing, Pod};
use super::types::{Call, Host, Kill, Outcome, Say, Slot};
use super::{Machine, Work};
use crate::base::{Duration, SimTime};

/// The least time between the signal and SIGKILL, seconds.
const MINIMUM: u64 = 2;

/// From the pod's configuration and the reason of the kill, seconds.
fn own_grace(pod: &Pod, container: u8, why: Kill) -> u64 {
    if let Some(deletion) = pod.worker.taken.deletion {
        return deletion.grace.whole_secs();
    }
    let own = nth(&pod.input.spec, container);
    let probe = match why {
        Kill::Liveness => own.liveness,
        Kill::Startup => own.startup,
        Kill::Stopping | Kill::PostStart | Kill::Plain | Kill::Resize => None,
    };
    probe.and_then(|probe| probe.grace).unwrap_or(pod.input.spec.grace).whole_secs()
}

/// How runs are killed.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Seconds they have; `None`: each its own.
    pub(super) grace: Option<u64>,
    /// Whether sidecars wait for their turn.
    pub(super) is_ordered: bool,
    /// What follows.
    pub(super) after: AfterKills,
}

impl How {
    /// With the grace of its own, nobody waits.
    pub(super) const fn alone(after: AfterKills) -> Self {
        Self { grace: None, is_ordered: false, after }
    }
}

impl Machine {
    /// Kills runs at once; what follows is in `after`.
    pub(super) fn kill<H: Host>(
        &mut self,
        slot: Slot,
        ids: &[(u32, Kill)],
        how: How,
        now: SimTime,
        host: &mut H,
    ) {
        let How { grace, is_ordered, after } = how;
        let pod = self.pod_mut(slot);
        pod.kills.clear();
        if let Some(step) = &mut pod.worker.step {
            step.busy = Some(Busy::Kills(after));
        }
        for (id, why) in ids {
            let known = pod.runtime.by_id(*id).copied();
            let Some(run) = known else { continue };
            let left = grace.unwrap_or_else(|| own_grace(pod, run.container, *why));
            host.event(slot, Some(run.container), Say::Killing(*why));
            pod.kills.push(Killing {
                container: run.container,
                attempt: run.attempt,
                phase: KillPhase::Done,
                left,
                began: now,
                is_ordered,
            });
        }
        for at in 0..self.pod(slot).kills.len() {
            let pod = self.pod_mut(slot);
            let spec = std::sync::Arc::clone(&pod.input.spec);
            let kill = &mut pod.kills[at];
            // Not done yet, whatever the order in which turns are looked at.
            kill.phase = KillPhase::Turn(SimTime::MAX);
            let (container, left) = (kill.container, kill.left);
            if nth(&spec, container).pre_stop.is_some() && left > 0 {
                kill.phase = KillPhase::PreStop(now.saturating_add(Duration::secs(left)));
                self.begin(slot, Call::Hook { container, is_post_start: false }, host);
            }
        }
        for at in 0..self.pod(slot).kills.len() {
            if matches!(self.pod(slot).kills[at].phase, KillPhase::Turn(SimTime::MAX)) {
                self.take_turn(slot, at, now, host);
            }
        }
        self.work.push_back(Work::Kills(slot));
    }

    /// The hook of a kill is over or given up.
    fn hook_over<H: Host>(&mut self, slot: Slot, at: usize, now: SimTime, host: &mut H) {
        let kill = &mut self.pod_mut(slot).kills[at];
        let took = now.saturating_since(kill.began).whole_secs();
        kill.left = kill.left.saturating_sub(took);
        self.take_turn(slot, at, now, host);
    }

    /// Sends the signal, or waits for the turn of a sidecar.
    fn take_turn<H: Host>(&mut self, slot: Slot, at: usize, now: SimTime, host: &mut H) {
        let is_mine = self.is_turn(slot, at);
        let kill = &mut self.pod_mut(slot).kills[at];
        if kill.is_ordered && kill.left > 0 && !is_mine {
            kill.began = now;
            kill.phase = KillPhase::Turn(now.saturating_add(Duration::secs(kill.left)));
            return;
        }
        self.signal(slot, at, host);
    }

    /// A sidecar waits for the main containers and for the sidecar right after it, which may be
    /// over or never have run (rule N124): the ones after that are not looked at.
    fn is_turn(&self, slot: Slot, at: usize) -> bool {
        let pod = self.pod(slot);
        let spec = &pod.input.spec;
        let own = pod.kills[at].container;
        if !is_sidecar(spec, own) {
            return true;
        }
        let inits = u8::try_from(spec.init_containers.len()).expect("few init containers");
        let next = (own + 1..inits).find(|later| is_sidecar(spec, *later));
        let goes_before =
            |kill: &&Killing| !is_init(spec, kill.container) || Some(kill.container) == next;
        pod.kills.iter().filter(goes_before).all(|kill| kill.phase == KillPhase::Done)
    }

    fn signal<H: Host>(&mut self, slot: Slot, at: usize, host: &mut H) {
        let kill = &mut self.pod_mut(slot).kills[at];
        kill.phase = KillPhase::Stop;
        let timeout = Duration::secs(kill.left.max(MINIMUM));
        let (container, attempt) = (kill.container, kill.attempt);
        self.begin(slot, Call::Stop { container, attempt, timeout }, host);
    }

    /// A preStop hook ended.
    pub(super) fn hook_ended<H: Host>(
        &mut self,
        slot: Slot,
        container: u8,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        if outcome != Outcome::Ok {
            host.event(slot, Some(container), Say::PreStopFailed);
        }
        let kills = &self.pod(slot).kills;
        let at = kills.iter().position(|kill| {
            kill.container == container && matches!(kill.phase, KillPhase::PreStop(_))
        });
        if let Some(at) = at {
            self.hook_over(slot, at, now, host);
        }
    }

    /// StopContainer returned.
    pub(super) fn stopped<H: Host>(
        &mut self,
        slot: Slot,
        container: u8,
        now: SimTime,
        host: &mut H,
    ) {
        let kills = &mut self.pod_mut(slot).kills;
        let found = kills
            .iter_mut()
            .find(|kill| kill.container == container && kill.phase == KillPhase::Stop);
        let Some(kill) = found else { return };
        kill.phase = KillPhase::Done;
        for at in 0..self.pod(slot).kills.len() {
            let kill = self.pod(slot).kills[at];
            if matches!(kill.phase, KillPhase::Turn(_)) && self.is_turn(slot, at) {
                let waited = now.saturating_since(kill.began).whole_secs();
                let kill = &mut self.pod_mut(slot).kills[at];
                kill.left = kill.left.saturating_sub(waited);
                self.signal(slot, at, host);
            }
        }
        self.work.push_back(Work::Kills(slot));
    }

    /// Hooks and turns whose time is over.
    pub(super) fn kill_timers<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        for at in 0..self.pod(slot).kills.len() {
            match self.pod(slot).kills[at].phase {
                KillPhase::PreStop(due) if due <= now => self.hook_over(slot, at, now, host),
                KillPhase::Turn(due) if due <= now => {
                    self.pod_mut(slot).kills[at].left = 0;
                    self.signal(slot, at, host);
                }
                KillPhase::PreStop(_) | KillPhase::Turn(_) | KillPhase::Stop | KillPhase::Done => {}
            }
        }
    }

    /// Whether all kills of the list are over.
    pub(super) fn are_dead(&self, slot: Slot) -> bool {
        self.pod(slot).kills.iter().all(|kill| kill.phase == KillPhase::Done)
    }
}
