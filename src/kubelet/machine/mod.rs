//! The kubelet of one node as a machine: from the configuration of its pods, what its runtime
//! answers and what its probes say to runtime calls, API writes and events, each at its instant.
//!
//! It has no clock, no cluster and no randomness: whoever owns it (the *host*: the engine's
//! adapter, or a test that replays recordings) tells it what happens, calls [`Machine::advance`] at
//! [`Machine::next_due`], and answers through [`Host`]. Nothing ticks: the periodic loops of the
//! kubelet (relist, sync tick, housekeeping, status manager, volumes, probes) are phases and
//! periods, and the next instant at which one of them finds something to do is computed.
//!
//! ```text
//!  config ──► dispatch ──► worker of a pod ──► runtime calls ──► Host
//!               ▲   ▲            │   ▲
//!  relist ──────┘   │            │   └── cache (what the last relist saw)
//!  probe results ───┘            └──► status ──► sender ──► API writes ──► Host
//! ```
//!
//! Who calls what:
//! * the host calls the inputs (`pod_added` … `done`, `exited`), always with the present instant;
//!   each input does all that follows from it at that instant before it returns;
//! * the machine calls [`Host`]; a call that takes no time answers there and then, any other is
//!   answered later with [`Machine::done`] (never after it was cancelled);
//! * `prober`, `images` and `admit` know nothing of workers: the machine calls them.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet (rules N1 to N139; recorded: conformance/kubelet).

mod actions;
pub mod admit;
pub mod backoff;
mod build;
mod evict;
pub mod images;
mod inputs;
mod kill;
mod pod;
pub mod pressure;
pub mod prober;
mod relist;
mod restart;
mod runtime;
mod sender;
mod start;
mod types;
mod worker;

pub use types::*;

use std::collections::{BTreeSet, VecDeque};

use backoff::Backoff;
use images::Images;
use inputs::{Hold, Later};
use pod::{Busy, Pod};
use prober::Act;
use runtime::RunState;
use sender::Sender;

use crate::base::{Duration, SimTime, cast};

/// Period of the container garbage collection (rule N103).
const GARBAGE: crate::base::Duration = crate::base::Duration::mins(1);

/// Something to be done at this instant.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// A call is over.
    Done(Slot, Call, Outcome),
    /// The kills of a pod may all be over.
    Kills(Slot),
    /// A step may go on.
    Step(Slot),
    /// Statuses may be written.
    Send,
    /// Pulls may begin.
    Pulls,
    /// A worker may begin, probes may act.
    Look(Slot),
}

/// The kubelet of one node.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    pods: Vec<Option<Box<Pod>>>,
    free: Vec<u32>,
    work: VecDeque<Work>,
    dues: BTreeSet<(SimTime, Slot)>,
    sender: Sender,
    images: Images,
    backoff: Backoff<(Slot, u8)>,
    now: SimTime,
    /// Statuses are written at this instant, once the rest of it has happened.
    is_sending: bool,
    /// Relists of one pod are carried out one after another: the last one is, then.
    relists: SimTime,
    /// What the main loop is held up by, and what waits for it meanwhile (rule N43).
    hold: Option<Hold>,
    later: VecDeque<Later>,
    /// Its node has no power.
    is_down: bool,
}

fn images_of(config: &Config) -> Images {
    Images::new(config.serialize_pulls, config.parallel_pulls_max, config.limits_pulls)
}

impl Machine {
    /// A kubelet that has run for a while and has no pods.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            images: images_of(&config),
            backoff: Backoff::new(config.backoff_max),
            config,
            is_down: false,
            pods: Vec::new(),
            free: Vec::new(),
            work: VecDeque::new(),
            dues: BTreeSet::new(),
            sender: Sender::default(),
            now: SimTime::default(),
            is_sending: false,
            relists: SimTime::default(),
            hold: None,
            later: VecDeque::new(),
        }
    }

    fn find(&self, slot: Slot) -> Option<&Pod> {
        self.pods.get(cast::usize_of(slot.0))?.as_deref()
    }

    fn pod(&self, slot: Slot) -> &Pod {
        self.find(slot).expect("a pod that is known")
    }

    fn pod_mut(&mut self, slot: Slot) -> &mut Pod {
        let at = cast::usize_of(slot.0);
        self.pods[at].as_deref_mut().expect("a pod that is known")
    }

    fn slots(&self) -> Vec<Slot> {
        (0..)
            .map(Slot)
            .zip(&self.pods)
            .filter(|(_, pod)| pod.is_some())
            .map(|(slot, _)| slot)
            .collect()
    }

    fn begin<H: Host>(&mut self, slot: Slot, call: Call, host: &mut H) {
        if let Some(outcome) = host.begin(slot, call) {
            self.work.push_back(Work::Done(slot, call, outcome));
        }
    }

    /// A call that [`Host::begin`] did not answer at once is over.
    pub fn done<H: Host>(
        &mut self,
        slot: Slot,
        call: Call,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        self.now = now;
        self.work.push_back(Work::Done(slot, call, outcome));
        self.run(now, host);
    }

    /// A container's process ended: by itself, on the stop signal or killed. Told before the end
    /// of the stop call that brought it about.
    pub fn exited<H: Host>(
        &mut self,
        slot: Slot,
        container: u8,
        exit: Exit,
        now: SimTime,
        host: &mut H,
    ) {
        self.now = now;
        if self.find(slot).is_none() {
            return;
        }
        let pod = self.pod_mut(slot);
        if let Some(run) = pod.run_of(container) {
            let started = match run.state {
                RunState::Running(since) => Some(since),
                RunState::Created | RunState::Exited(..) => None,
            };
            pod.set_run(run.id, RunState::Exited(exit, started, now), now);
        }
        self.work.push_back(Work::Look(slot));
        self.run(now, host);
    }

    /// The sandbox of a pod is not ready any more, though its containers run: the next relist tells,
    /// and they are killed and started in a new one (rule N57).
    pub fn sandbox_lost<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        self.now = now;
        let Some(pod) = self.pods.get_mut(cast::usize_of(slot.0)).and_then(Option::as_mut) else {
            return;
        };
        if let Some(sandbox) = pod.runtime.sandbox.as_mut().filter(|sandbox| sandbox.is_ready) {
            sandbox.is_ready = false;
            pod.touch(now);
            self.work.push_back(Work::Look(slot));
        }
        self.run(now, host);
    }

    /// What [`Host::probe_outlook`] says of a pod's probes is another thing from now on.
    pub fn outlook_changed<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        self.now = now;
        if self.find(slot).is_some() {
            self.pod_mut(slot).probes.wake(now);
            self.work.push_back(Work::Look(slot));
        }
        self.run(now, host);
    }

    /// Whether the machine has done all that it will ever do for a pod, and forgets it when its
    /// object is gone.
    #[must_use]
    pub fn is_over(&self, slot: Slot) -> bool {
        self.find(slot).is_some_and(|pod| {
            let is_clean = pod.runtime.runs.is_empty() || self.config.relist.is_zero();
            (pod.is_rejected || pod.worker.is_over) && pod.probes.is_empty() && is_clean
        })
    }

    /// The pods whose containers may run.
    pub fn active(&self) -> impl Iterator<Item = Slot> {
        let is_active = |slot: &Slot| worker::is_active(self.pod(*slot));
        self.slots().into_iter().filter(is_active)
    }

    /// Whether a pod is over, and cleaned up.
    #[must_use]
    pub fn has_ended(&self, slot: Slot) -> bool {
        self.find(slot).is_none_or(|pod| pod.is_rejected || pod.worker.is_over)
    }

    /// Whether the containers of a pod have stopped for good.
    #[must_use]
    pub fn has_stopped(&self, slot: Slot) -> bool {
        self.find(slot).is_none_or(|pod| pod.is_rejected || pod.worker.is_terminated)
    }

    /// What [`Host::lacks_volumes`] says of a pod is another thing from now on.
    pub fn volumes_changed<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        self.now = now;
        let wait = self.config.volume_wait;
        let Some(pod) = self.find(slot) else { return };
        let worker = &pod.worker;
        let has_given_up = worker.step.is_none() && worker.last.is_some() && !pod.is_mounted;
        let until = match worker.step.as_ref().and_then(|step| step.busy) {
            Some(Busy::Lacking(until)) => Some(until),
            _ => None,
        };
        if (until.is_some() || has_given_up) && !host.lacks_volumes(slot) {
            match until {
                // The next sync finds them mounted.
                None => self.pod_mut(slot).is_mounted = true,
                Some(_) if wait.is_zero() => self.have_volumes(slot, now, host),
                Some(until) => {
                    let next = now.saturating_add(Duration::ns(1));
                    let look = next.next_tick(until.saturating_sub(worker::VOLUMES_MAX), wait);
                    if let Some(step) = &mut self.pod_mut(slot).worker.step {
                        step.busy = Some(Busy::Volumes(look));
                    }
                }
            }
            self.work.push_back(Work::Look(slot));
        }
        self.run(now, host);
    }

    /// When something of its own is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<SimTime> {
        if self.is_sending {
            return Some(self.now);
        }
        self.dues.first().map(|(due, _)| *due)
    }

    /// Does what is due at `now`.
    pub fn advance<H: Host>(&mut self, now: SimTime, host: &mut H) {
        self.now = now;
        let due: Vec<Slot> =
            self.dues.iter().take_while(|(due, _)| *due <= now).map(|(_, slot)| *slot).collect();
        // A probe looks at the stored status there and then; what a relist finds at the same
        // instant gets there through the main loop and the worker, and is later.
        for slot in &due {
            while let Some(act) = self.next_act(*slot, now) {
                self.probe_act(*slot, act, host);
            }
        }
        let due: Vec<Slot> = due;
        self.order_relists(&due, now, host);
        for slot in &due {
            self.relist(*slot, now, host);
        }
        for slot in due {
            if self.find(slot).is_some() {
                self.drop_orphan(slot, now);
                self.status_tick(slot, now);
                if self.is_forgettable(slot) {
                    self.forget(slot, host);
                    continue;
                }
                self.timers(slot, now, host);
                self.collect(slot, now, host);
                self.work.push_back(Work::Look(slot));
            }
        }
        if std::mem::take(&mut self.is_sending) {
            self.work.push_back(Work::Send);
        }
        self.run(now, host);
    }

    /// Whether more happens at this instant that statuses are not to be written before.
    fn is_held<H: Host>(&self, now: SimTime, host: &mut H) -> bool {
        let is_due = self.dues.first().is_some_and(|(due, _)| *due <= now);
        self.work.is_empty() && (is_due || host.has_more_now())
    }

    /// Housekeeping forgets the status of a pod whose object is gone.
    fn drop_orphan(&mut self, slot: Slot, now: SimTime) {
        let period = self.config.housekeeping;
        let is_tick = !period.is_zero() && now.next_tick(self.config.sync_phase, period) == now;
        let pod = self.pod(slot);
        if is_tick && pod.is_gone && pod.kept.status.is_some() {
            self.drop_status(slot);
        }
    }

    /// What is left of a pod that is gone is removed once a minute, and of others the dead runs of
    /// a container but for the last (rule N103).
    fn collect<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let pod = self.pod(slot);
        let is_tick = now.next_tick(self.config.sync_phase, GARBAGE) == now;
        if !is_tick {
            return;
        }
        let is_over = pod.is_gone && pod.worker.is_over;
        let runs = if is_over { pod.runtime.runs.to_vec() } else { pod.runtime.older_dead() };
        for run in runs {
            self.remove(slot, run, host);
        }
    }

    fn timers<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        self.kill_timers(slot, now, host);
        self.ticks(slot, now, false);
        self.hold_timer(slot, now, host);
        let wait = self.config.volume_wait;
        let pod = self.pod_mut(slot);
        let unmounted = pod.unmounted;
        let Some(step) = &mut pod.worker.step else { return };
        match step.busy {
            Some(Busy::Volumes(due)) if due <= now => {
                if pod.worker.is_cancelled {
                    step.busy = None;
                    step.has_failed = true;
                    self.work.push_back(Work::Step(slot));
                } else {
                    self.have_volumes(slot, now, host);
                }
            }
            Some(Busy::Lacking(due)) if due <= now => {
                step.busy = None;
                step.has_failed = true;
                host.event(slot, None, Say::MountTimedOut);
                self.work.push_back(Work::Step(slot));
            }
            Some(Busy::Unmount(due)) if due <= now => {
                let is_gone = unmounted.is_none_or(|gone| gone <= now);
                let next = Busy::Unmount(now.saturating_add(wait));
                step.busy = (!is_gone).then_some(next);
                self.work.push_back(Work::Step(slot));
            }
            _ => {}
        }
    }

    /// An update for the worker.
    fn dispatch(&mut self, slot: Slot) {
        self.pod_mut(slot).worker.has_update = true;
        self.work.push_back(Work::Look(slot));
    }

    /// The worker is to end the pod (rule N9).
    fn terminate<H: Host>(&mut self, slot: Slot, host: &mut H) {
        let pod = self.pod_mut(slot);
        if pod.is_rejected {
            self.dispatch(slot);
            return;
        }
        if !std::mem::replace(&mut pod.worker.is_terminating, true) {
            let own = pod.input.spec.grace.whole_secs().max(1);
            pod.worker.grace.get_or_insert(own);
            pod.worker.is_cancelled = true;
            let waits = pod.worker.step.as_ref().map(|step| step.busy);
            for (container, which) in pod.probes.cancel() {
                if host.probe_heeds_cancel(slot, container, which) {
                    let timeout = crate::base::Duration::ZERO;
                    let call = Call::Probe { container, which, attempt: 0, timeout };
                    host.cancel(slot, call);
                    self.work.push_back(Work::Done(slot, call, Outcome::Cancelled));
                }
            }
            if let Some(Some(Busy::Volumes(_) | Busy::Lacking(_))) = waits
                && let Some(step) = &mut self.pod_mut(slot).worker.step
            {
                step.busy = None;
                step.has_failed = true;
                self.work.push_back(Work::Step(slot));
            }
        }
        self.dispatch(slot);
    }

    /// Does all that follows at this instant.
    fn run<H: Host>(&mut self, now: SimTime, host: &mut H) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Done(slot, call, outcome) => self.route(slot, call, outcome, now, host),
                // Last of an instant: what changes in it is written together.
                Work::Send if self.is_held(now, host) => {
                    self.send_early(host);
                    self.is_sending = true;
                }
                Work::Send if self.work.iter().any(|other| !matches!(other, Work::Send)) => {
                    self.send_early(host);
                    self.work.push_back(Work::Send);
                }
                Work::Send => self.send(host),
                Work::Pulls => self.pulls(now, host),
                Work::Kills(slot) if self.find(slot).is_some() => self.kills_over(slot, host),
                Work::Step(slot) if self.find(slot).is_some() => {
                    self.step(slot, now, host);
                    self.work.push_back(Work::Look(slot));
                }
                Work::Look(slot) if self.find(slot).is_some() => self.look(slot, now, host),
                Work::Kills(_) | Work::Step(_) | Work::Look(_) => {}
            }
        }
    }

    fn look<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        if !self.pod(slot).is_rejected {
            self.work_on(slot, now, host);
        }
        while let Some(act) = self.next_act(slot, now) {
            self.probe_act(slot, act, host);
        }
        if self.is_forgettable(slot) && self.config.housekeeping.is_zero() {
            self.forget(slot, host);
            return;
        }
        self.renew(slot);
    }

    fn next_act(&mut self, slot: Slot, now: SimTime) -> Option<Act> {
        let pod = self.pod_mut(slot);
        let spec = std::sync::Arc::clone(&pod.input.spec);
        pod.probes.next(&spec, pod.kept.status.as_ref(), now)
    }

    /// The run that a probe is about.
    fn probed(&self, slot: Slot, container: u8, which: Which) -> u32 {
        let pod = self.pod(slot);
        let id = pod.probes.id(container, which);
        let run = id.and_then(|id| pod.runtime.by_id(id)).or(pod.runtime.newest(container));
        run.map_or(0, |run| run.attempt)
    }

    fn probe_act<H: Host>(&mut self, slot: Slot, act: Act, host: &mut H) {
        match act {
            Act::Probe { container, which, timeout, is_cancelled } => {
                let attempt = self.probed(slot, container, which);
                let call = Call::Probe { container, which, attempt, timeout };
                if is_cancelled && host.probe_heeds_cancel(slot, container, which) {
                    let outcome = match host.begin(slot, call) {
                        Some(Outcome::NotRunning) => Outcome::NotRunning,
                        Some(_) | None => {
                            host.cancel(slot, call);
                            Outcome::Cancelled
                        }
                    };
                    self.pod_mut(slot).probes.answered(container, which, outcome);
                    return;
                }
                if let Outlook::Steady(outcome, until) = host.probe_outlook(slot, container, which)
                {
                    self.pod_mut(slot).probes.answered(container, which, outcome);
                    self.pod_mut(slot).probes.steady(container, which, until);
                    return;
                }
                self.begin(slot, call, host);
            }
            Act::Unhealthy { container, which, outcome } => {
                host.event(slot, Some(container), Say::Unhealthy(which, outcome));
            }
            Act::Changed { which, id, verdict, .. } => {
                self.hear(Later::Probed(slot, which, id, verdict), host);
            }
        }
    }

    fn route<H: Host>(
        &mut self,
        slot: Slot,
        call: Call,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        match call {
            Call::Get => return self.got(slot, outcome, now, host),
            Call::Patch => return self.written(slot, outcome, host),
            Call::Delete => return self.deleted(slot),
            _ => {}
        }
        if self.find(slot).is_none() {
            return;
        }
        match call {
            Call::RunSandbox { .. } => self.sandbox_made(slot, outcome, now, host),
            Call::StopSandbox => self.sandbox_stopped(slot, now),
            Call::Create { container, attempt } => {
                self.created(slot, (container, attempt), outcome, now, host);
            }
            Call::Start { container, .. } => self.launched(slot, container, outcome, now, host),
            Call::Stop { container, .. } => self.stopped(slot, container, now, host),
            Call::Pull { container, .. } => self.pulled((slot, container), outcome, now, host),
            Call::Probe { container, which, .. } => {
                self.pod_mut(slot).probes.answered(container, which, outcome);
            }
            Call::Hook { container, is_post_start: true } => {
                self.post_started(slot, container, outcome, now, host);
            }
            Call::Hook { container, is_post_start: false } => {
                self.hook_ended(slot, container, outcome, now, host);
            }
            Call::Resize => self.resize_ended(slot, outcome),
            Call::Remove { .. } | Call::Get | Call::Patch | Call::Delete => {}
        }
        self.work.push_back(Work::Look(slot));
    }

    fn is_forgettable(&self, slot: Slot) -> bool {
        let pod = self.pod(slot);
        let is_clean = pod.runtime.runs.is_empty() || self.config.relist.is_zero();
        pod.is_gone && pod.worker.is_over && pod.probes.is_empty() && is_clean
    }

    fn forget<H: Host>(&mut self, slot: Slot, host: &mut H) {
        let at = cast::usize_of(slot.0);
        if let Some(due) = self.pod(slot).due {
            self.dues.remove(&(due, slot));
        }
        self.pods[at] = None;
        self.free.push(slot.0);
        self.images.forget(slot);
        if self.sender.forget(slot) {
            self.work.push_back(Work::Send);
        }
        self.backoff.forget(|(of, _)| *of == slot);
        host.forgotten(slot);
    }

    /// Notes when the pod is due next.
    fn renew(&mut self, slot: Slot) {
        let mut due = self.pod(slot).next_due(&self.config, self.hold.is_some());
        due = due.into_iter().chain(self.hold_due(slot)).min();
        let after = self.now.saturating_add(crate::base::Duration::ns(1));
        let after_gc = after.next_tick(self.config.sync_phase, GARBAGE);
        if self.is_behind(slot) {
            let period = self.config.status_tick;
            let tick = if period.is_zero() {
                self.now
            } else {
                after.next_tick(self.config.sync_phase, period)
            };
            due = due.into_iter().chain([tick]).min();
        }
        if self.is_forgettable(slot) {
            let tick = after.next_tick(self.config.sync_phase, self.config.housekeeping);
            due = Some(due.map_or(tick, |due| due.min(tick)));
        }
        let (sync_phase, housekeeping) = (self.config.sync_phase, self.config.housekeeping);
        let pod = self.pod_mut(slot);
        if pod.is_gone && pod.kept.status.is_some() && !housekeeping.is_zero() {
            let tick = after.next_tick(sync_phase, housekeeping);
            due = due.into_iter().chain([tick]).min();
        }
        let is_over = pod.is_gone && pod.worker.is_over && !pod.runtime.runs.is_empty();
        if is_over || !pod.runtime.older_dead().is_empty() {
            due = due.into_iter().chain([after_gc]).min();
        }
        if pod.due == due {
            return;
        }
        let before = std::mem::replace(&mut pod.due, due);
        if let Some(before) = before {
            self.dues.remove(&(before, slot));
        }
        if let Some(due) = due {
            self.dues.insert((due, slot));
        }
    }
}
