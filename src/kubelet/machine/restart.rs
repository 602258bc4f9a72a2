//! Loss of power, and the kubelet's start after it (rules N57, N59), or while its pods run (N16).
//!
//! What the runtime has is there after a reboot: its containers have exited, its sandboxes are not
//! ready. What the kubelet had in memory is not: it begins with the statuses that the API has.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kubelet.go (`HandlePodAdditions` of all pods that the
//! first list brings, in order of their creation), runtimeutil `PodSandboxChanged`; prober/worker.go
//! `run`, `doProbe`. Differs: what a kubelet is about when it is started anew (pulls, starts, stops)
//! goes on, and pods that run are not asked again whether they fit.

use super::backoff::Backoff;
use super::inputs::Later;
use super::pod::Pod;
use super::runtime::RunState;
use super::sender::Sender;
use super::types::{Call, Exit, Host};
use super::{Machine, Work, images_of};
use crate::base::{Duration, SimTime};

/// How the runtime calls the end of a process that nobody saw.
const UNKNOWN: Exit = Exit { code: 255, reason: "Unknown" };

/// A container that has run for so long keeps its readiness over a restart of the kubelet.
const SETTLED: Duration = Duration::secs(10);

impl Machine {
    /// The node loses power: every process is gone, and so is what the kubelet knew. Until
    /// [`Machine::restarted`] only deletions and removals may be told.
    pub fn power_lost(&mut self, now: SimTime) {
        self.now = now;
        self.is_down = true;
        self.is_sending = false;
        self.work.clear();
        self.dues.clear();
        self.hold = None;
        self.later.clear();
        self.relists = SimTime::default();
        self.sender = Sender::default();
        self.images = images_of(&self.config);
        self.backoff = Backoff::new(self.config.backoff_max);
        for slot in self.slots() {
            let pod = self.pod_mut(slot);
            pod.due = None;
            if !pod.is_rejected && !pod.worker.is_over {
                let new = after_reboot(pod, now);
                *pod = new;
            }
        }
    }

    /// The kubelet starts on a node that has power again: it takes its pods, or turns them away,
    /// one after another.
    pub fn restarted<H: Host>(&mut self, now: SimTime, host: &mut H) {
        self.now = now;
        self.is_down = false;
        let mut slots = self.slots();
        slots.retain(|slot| self.pod(*slot).is_unseen);
        slots.sort_by_key(|slot| {
            let input = &self.pod(*slot).input;
            (input.created, input.serial)
        });
        for slot in slots {
            self.hear(Later::Added(slot), host);
        }
        self.sender.ask();
        self.work.push_back(Work::Send);
        self.run(now, host);
    }

    /// The kubelet is started anew while its containers go on: it has forgotten what its probes
    /// said and who was to wait, and looks at all its pods. With `keeps_ready`, as from 1.35 on, a
    /// container that has run for ten seconds stays ready until a probe says otherwise; without,
    /// each is not ready until its probe has succeeded (rule N16). `phase` draws from 0 to 1.
    pub fn kubelet_restarted<H: Host>(
        &mut self,
        keeps_ready: bool,
        phase: &mut dyn FnMut() -> f64,
        now: SimTime,
        host: &mut H,
    ) {
        self.now = now;
        self.backoff = Backoff::new(self.config.backoff_max);
        for slot in self.slots() {
            let pod = self.pod_mut(slot);
            if pod.is_rejected || pod.worker.is_over {
                continue;
            }
            let has_run = |container: u8| {
                let run = pod.runtime.newest(container).map(|run| run.state);
                matches!(run, Some(RunState::Running(since)) if now.saturating_since(since) >= SETTLED)
            };
            let keeps = |container| keeps_ready && has_run(container);
            let busy = pod.probes.restarted(now, keeps, phase);
            pod.worker.last = None;
            for (container, which, timeout) in busy {
                let attempt = self.probed(slot, container, which);
                host.cancel(slot, Call::Probe { container, which, attempt, timeout });
            }
            self.dispatch(slot);
        }
        self.run(now, host);
    }

    /// What the API tells while there is nobody to hear it is found at the start.
    pub(super) fn hear_down<H: Host>(&mut self, what: &Later, host: &mut H) {
        match *what {
            Later::Deleting(slot, deletion) if self.find(slot).is_some() => {
                self.pod_mut(slot).input.deletion = Some(deletion);
            }
            Later::Removed(slot) if self.find(slot).is_some() => self.forget(slot, host),
            _ => {}
        }
    }
}

/// What a kubelet that starts finds of a pod.
fn after_reboot(old: &Pod, now: SimTime) -> Pod {
    let mut pod = Pod::new(old.input.clone(), old.has_volumes);
    pod.gates = old.gates;
    pod.ids = old.ids;
    pod.is_gone = old.is_gone;
    pod.runtime = old.runtime.clone();
    for run in &mut pod.runtime.runs {
        run.state = match run.state {
            RunState::Created => RunState::Exited(UNKNOWN, None, now),
            RunState::Running(since) => RunState::Exited(UNKNOWN, Some(since), now),
            RunState::Exited(..) => run.state,
        };
    }
    if let Some(sandbox) = &mut pod.runtime.sandbox {
        sandbox.is_ready = false;
    }
    pod.cache = pod.runtime.clone();
    pod.kept.status.clone_from(&old.kept.api);
    pod
}
