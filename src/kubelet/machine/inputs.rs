//! What the main loop hears: pods of the API, news of relists, results of probes; admission, and
//! the time in which a critical pod holds it up (rules N1, N40, N42, N43, N87).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kubelet.go (`syncLoopIteration`, `HandlePodAdditions`,
//! `HandlePodReconcile`), pkg/kubelet/preemption/preemption.go, pod_workers.go `killPodNow`.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::pod::{Gates, Pod};
use super::prober::Verdict;
use super::runtime::Noticed;
use super::types::{
    Conditions, Deletion, Host, Message, Phase, PodInput, Rejection, Say, Slot, SpecChange, Status,
    Told, Which,
};
use super::{Machine, Work, admit, build, worker};
use crate::base::{Duration, SimTime, cast};
use crate::model::PodSpec;

/// A kill that the main loop waits for has at least so long.
const KILL_MIN: Duration = Duration::secs(10);

/// What the main loop hears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Later {
    Added(Slot),
    Deleting(Slot, Deletion),
    Removed(Slot),
    Spec(Slot, SpecChange),
    Gates(Slot, Gates),
    Resized(Slot),
    Noticed(Slot, Noticed),
    Probed(Slot, Which, u32, Verdict),
}

/// The main loop waits until pods have made room for a critical one: one after another.
#[derive(Debug)]
pub(super) struct Hold {
    pod: Slot,
    since: SimTime,
    victim: Slot,
    /// It waits for this victim no longer than until then.
    until: SimTime,
    rest: VecDeque<Slot>,
}

impl Machine {
    /// The API has a new pod bound to this node. Ends with the pod dispatched or turned away, or
    /// waiting for its turn.
    ///
    /// # Panics
    /// If a node ever had more than 2³² pods.
    pub fn pod_added<H: Host>(&mut self, pod: PodInput, now: SimTime, host: &mut H) -> Slot {
        self.now = now;
        let slot = self.free.pop().map_or_else(
            || {
                self.pods.push(None);
                Slot(u32::try_from(self.pods.len() - 1).expect("few pods"))
            },
            Slot,
        );
        let at = cast::usize_of(slot.0);
        self.pods[at] = Some(Box::new(Pod::new(pod, host.has_volumes(slot))));
        self.hear(Later::Added(slot), host);
        self.run(now, host);
        slot
    }

    /// The API object has a deletion timestamp now, or a shorter grace than before.
    pub fn pod_deleting<H: Host>(
        &mut self,
        slot: Slot,
        deletion: Deletion,
        now: SimTime,
        host: &mut H,
    ) {
        self.now = now;
        self.hear(Later::Deleting(slot, deletion), host);
        self.run(now, host);
    }

    /// The specification was patched (`activeDeadlineSeconds`).
    pub fn spec_changed<H: Host>(
        &mut self,
        slot: Slot,
        change: SpecChange,
        now: SimTime,
        host: &mut H,
    ) {
        self.now = now;
        self.hear(Later::Spec(slot, change), host);
        self.run(now, host);
    }

    /// The node has promised a pod other amounts, those of `to`, which is the same pod otherwise:
    /// its containers get them at the next sync (rule N104).
    pub fn resized<H: Host>(&mut self, slot: Slot, to: &PodSpec, now: SimTime, host: &mut H) {
        self.now = now;
        if self.find(slot).is_none() {
            return;
        }
        let pod = self.pod_mut(slot);
        let spec = Arc::make_mut(&mut pod.input.spec);
        let own = spec.init_containers.iter_mut().chain(&mut spec.containers);
        let mut restarts = pod.resize.unwrap_or(0);
        for (index, (from, to)) in own.zip(to.all_containers()).enumerate() {
            restarts |= u64::from(from.restarts_for(to)) << index;
            from.requests.clone_from(&to.requests);
            (from.cpu_limit, from.memory_limit) = (to.cpu_limit, to.memory_limit);
        }
        spec.requests.clone_from(&to.requests);
        pod.resize = Some(restarts);
        self.hear(Later::Resized(slot), host);
        self.run(now, host);
    }

    /// Somebody else wrote the status: which of the pod's readiness gates are open now, bit by bit.
    pub fn gates_changed<H: Host>(&mut self, slot: Slot, open: u32, now: SimTime, host: &mut H) {
        let told = self.find(slot).map_or(0, |pod| pod.gates.told);
        self.gates_told(slot, open, open | told, now, host);
    }

    /// The same, and which gates have a condition at all.
    pub fn gates_told<H: Host>(
        &mut self,
        slot: Slot,
        open: u32,
        told: u32,
        now: SimTime,
        host: &mut H,
    ) {
        self.now = now;
        self.hear(Later::Gates(slot, Gates { open, told }), host);
        self.run(now, host);
    }

    /// The API object is gone.
    pub fn pod_removed<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        self.now = now;
        self.hear(Later::Removed(slot), host);
        self.run(now, host);
    }

    /// The node needs what the pod has: it ends as Failed for this reason (`Evicted`), with this
    /// grace instead of its own (a hard threshold: 1 s; rules N101, N133). Nobody asks the API.
    pub fn evict<H: Host>(
        &mut self,
        slot: Slot,
        reason: &'static str,
        grace: Duration,
        now: SimTime,
        host: &mut H,
    ) {
        self.now = now;
        if self.find(slot).is_some_and(worker::is_active) {
            let worker = &mut self.pod_mut(slot).worker;
            worker.is_evicted |= !worker.is_terminating;
            worker.verdict = Some((reason, Message::None));
            let asked = grace.whole_secs().max(1);
            worker.grace = Some(worker.grace.map_or(asked, |before| before.min(asked)));
            self.terminate(slot, host);
        }
        self.run(now, host);
    }

    /// The main loop hears something, now or when nothing holds it up any more.
    pub(super) fn hear<H: Host>(&mut self, what: Later, host: &mut H) {
        if self.is_down {
            self.hear_down(&what, host);
            return;
        }
        if self.hold.is_some() {
            self.later.push_back(what);
            return;
        }
        let (Later::Added(slot)
        | Later::Deleting(slot, _)
        | Later::Removed(slot)
        | Later::Spec(slot, _)
        | Later::Gates(slot, _)
        | Later::Resized(slot)
        | Later::Noticed(slot, _)
        | Later::Probed(slot, ..)) = what;
        if self.find(slot).is_none() {
            return;
        }
        match what {
            Later::Added(_) => self.admit(slot, host),
            Later::Deleting(_, deletion) => self.deleting(slot, deletion, host),
            Later::Removed(_) => self.removed(slot, host),
            Later::Spec(_, change) => {
                let pod = self.pod_mut(slot);
                pod.input.generation = change.generation;
                Arc::make_mut(&mut pod.input.spec).active_deadline = change.active_deadline;
                self.dispatch(slot);
            }
            Later::Gates(_, gates) => self.gated(slot, gates),
            Later::Resized(_) => self.dispatch(slot),
            Later::Noticed(_, noticed) => self.notice(slot, noticed, host),
            Later::Probed(_, which, id, verdict) => {
                self.probed_as(slot, which, id, verdict, host);
            }
        }
    }

    fn admit<H: Host>(&mut self, slot: Slot, host: &mut H) {
        let others = self.slots().into_iter();
        let others: Vec<Slot> = others.filter(|it| worker::is_active(self.pod(*it))).collect();
        if let Some(deletion) = self.pod(slot).input.deletion {
            self.pod_mut(slot).is_unseen = false;
            self.deleting(slot, deletion, host);
            return;
        }
        match host.rejection(slot, &others) {
            None => self.admitted(slot),
            Some(rejection) if rejection.victims.is_empty() => {
                self.reject(slot, rejection.reason, rejection.numbers, host);
            }
            Some(Rejection { victims, .. }) => {
                let (since, until) = (self.now, SimTime::MAX);
                let hold = Hold { pod: slot, since, victim: slot, until, rest: victims.into() };
                self.hold = Some(hold);
                self.next_victim(host);
            }
        }
    }

    fn admitted(&mut self, slot: Slot) {
        self.pod_mut(slot).is_unseen = false;
        self.dispatch(slot);
    }

    fn deleting<H: Host>(&mut self, slot: Slot, deletion: Deletion, host: &mut H) {
        let pod = self.pod_mut(slot);
        pod.input.deletion = Some(deletion);
        pod.input.generation = deletion.generation;
        if pod.is_rejected {
            // Its worker ends it formally: that is written, if there is still an object.
            pod.kept.version += 1;
            pod.kept.is_finished = true;
            self.sender.ask();
            self.work.push_back(Work::Send);
            return;
        }
        pod.worker.is_deleted |= !pod.worker.is_terminating;
        let asked = deletion.grace.whole_secs().max(1);
        let grace = pod.worker.grace.map_or(asked, |before| before.min(asked));
        pod.worker.grace = Some(grace);
        self.terminate(slot, host);
    }

    fn removed<H: Host>(&mut self, slot: Slot, host: &mut H) {
        let is_rejected = self.pod(slot).is_rejected;
        let pod = self.pod_mut(slot);
        pod.is_gone = true;
        if is_rejected {
            pod.worker.is_over = true;
            self.work.push_back(Work::Look(slot));
            return;
        }
        let own = pod.input.spec.grace.whole_secs().max(1);
        pod.worker.grace.get_or_insert(own);
        self.terminate(slot, host);
    }

    fn gated(&mut self, slot: Slot, gates: Gates) {
        self.pod_mut(slot).gates = gates;
        self.reconcile(slot);
    }

    /// The object's Ready does not say what its own conditions and containers ask for: a sync
    /// (rule N88).
    ///
    /// Source: kubernetes v1.36.3 pkg/kubelet/status `NeedToReconcilePodReadiness`.
    pub(super) fn reconcile(&mut self, slot: Slot) {
        let pod = self.pod(slot);
        let Some(mut api) = pod.kept.api.clone() else { return };
        if pod.input.spec.readiness_gates.is_empty() || pod.is_gone {
            return;
        }
        let before = api.conditions.ready;
        build::refresh_ready(&pod.input.spec, pod.gates, &mut api, self.now);
        let ready = before.zip(api.conditions.ready);
        if ready.is_some_and(|(a, b)| (a.is_true, a.named) != (b.is_true, b.named)) {
            self.dispatch(slot);
        }
    }

    fn probed_as<H: Host>(
        &mut self,
        slot: Slot,
        which: Which,
        id: u32,
        verdict: Verdict,
        host: &mut H,
    ) {
        let is_good = verdict == Verdict::Success;
        match which {
            Which::Readiness => self.set_ready(slot, id, is_good, self.now),
            Which::Startup => self.set_started(slot, id, is_good),
            Which::Liveness if verdict != Verdict::Failure => return,
            Which::Liveness => {}
        }
        let now = self.now;
        let worker = &self.pod(slot).worker;
        let is_idle = worker.step.is_none() && !worker.is_waiting && !worker.is_over;
        if is_idle && worker.has_update && host.comes_apart(slot, false) {
            self.work_on(slot, now, host);
        }
        let worker = &self.pod(slot).worker;
        let is_with = worker.is_waiting && worker.taken.at == now && !worker.has_update;
        if is_with && !host.comes_apart(slot, true) {
            return;
        }
        self.dispatch(slot);
    }

    /// The node turns a pod away (rule N42).
    fn reject<H: Host>(
        &mut self,
        slot: Slot,
        reason: &'static str,
        numbers: [i64; 3],
        host: &mut H,
    ) {
        host.event(slot, None, Say::Rejected(reason, numbers));
        let now = self.now;
        let pod = self.pod_mut(slot);
        pod.is_unseen = false;
        pod.is_rejected = true;
        let status = Status {
            phase: Phase::Failed,
            reason,
            message: Message::Rejected(numbers),
            ip: None,
            start: Some(now.floor_secs()),
            observed_generation: pod.input.generation,
            conditions: Conditions::default(),
            containers: SmallVec::new(),
            resources: Told::default(),
        };
        self.keep(slot, status, false);
        self.work.push_back(Work::Look(slot));
    }

    /// Drives out the next pod; when there is none left the critical pod is taken.
    fn next_victim<H: Host>(&mut self, host: &mut H) {
        loop {
            let Some(hold) = &mut self.hold else { return };
            let (waits, next) = (hold.pod, hold.rest.pop_front());
            let Some(victim) = next else {
                self.admitted(waits);
                self.go_on(host);
                return;
            };
            if !self.find(victim).is_some_and(worker::is_active) {
                continue;
            }
            let grace = self.pod(victim).input.spec.grace;
            let most = Duration::secs(grace.whole_secs() * 3 / 2).max(KILL_MIN);
            let until = self.now.saturating_add(most);
            if let Some(hold) = &mut self.hold {
                (hold.victim, hold.until) = (victim, until);
            }
            host.event(victim, None, Say::Preempting);
            let worker = &mut self.pod_mut(victim).worker;
            worker.is_evicted |= !worker.is_terminating;
            worker.verdict = Some(("Preempting", Message::Preempted));
            self.terminate(victim, host);
            self.work.push_back(Work::Look(waits));
            return;
        }
    }

    /// The containers of a pod have stopped.
    pub(super) fn freed<H: Host>(&mut self, slot: Slot, host: &mut H) {
        if self.hold.as_ref().is_some_and(|hold| hold.victim == slot) {
            self.next_victim(host);
        }
    }

    /// When the main loop gives up to wait for a victim of this pod.
    pub(super) fn hold_due(&self, slot: Slot) -> Option<SimTime> {
        self.hold.as_ref().filter(|hold| hold.pod == slot).map(|hold| hold.until)
    }

    /// A victim did not end in time: the pod that needs its place is turned away.
    pub(super) fn hold_timer<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        if self.hold_due(slot).is_some_and(|due| due <= now) {
            self.reject(slot, admit::UNEXPECTED, [0; 3], host);
            self.go_on(host);
        }
    }

    /// Nothing holds the main loop up any more: it hears what has waited, and a tick if one came.
    fn go_on<H: Host>(&mut self, host: &mut H) {
        let Some(hold) = self.hold.take() else { return };
        let (phase, period) = (self.config.sync_phase, self.config.sync_tick);
        let after = hold.since.saturating_add(Duration::ns(1));
        let is_missed = period.is_zero() || after.next_tick(phase, period) <= self.now;
        while self.hold.is_none()
            && let Some(what) = self.later.pop_front()
        {
            self.hear(what, host);
        }
        for slot in self.slots() {
            if is_missed {
                self.ticks(slot, self.now, true);
            }
            self.work.push_back(Work::Look(slot));
        }
    }
}
