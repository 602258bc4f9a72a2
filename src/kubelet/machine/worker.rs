//! The worker of a pod: its steps (rules N2, N7 to N9, N50 to N52, N58, N60, N67, N128 to N130).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet (`pod_workers.go` `podWorkerLoop`, `completeWork`;
//! `kubelet.go` `SyncPod`, `SyncTerminatingPod`, `SyncTerminatedPod`), kuberuntime
//! (`kuberuntime_manager.go` `SyncPod`, `doBackOff`; `kuberuntime_container.go` `startContainer`).

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::actions::{Actions, actions, all, resize};
use super::build::{Basis, close};
use super::kill::How;
use super::pod::{AfterKills, Busy, Kind, Pod, Step, Taken, Todo};
use super::runtime::{Run, Runtime, Sandbox};
use super::types::{Call, Host, Kill, Outcome, Phase, Say, Slot, Status};
use super::{Machine, Work};
use crate::base::{Duration, SimTime};
use crate::model::{AfterExit, Container, PodSpec};

const RESYNC: Duration = Duration::secs(60);
const RETRY: Duration = Duration::secs(10);
/// How long a sync waits for volumes (rule N52).
pub(super) const VOLUMES_MAX: Duration = Duration::secs(123);

impl Machine {
    /// An idle worker takes what waits for it, and begins once its view is new enough (rule N7).
    pub(super) fn work_on<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let relist = self.config.relist;
        let phase = self.config.relist_phase;
        let pod = self.pod_mut(slot);
        let relisted = pod.relisted;
        let worker = &mut pod.worker;
        if worker.step.is_some() || worker.is_over {
            return;
        }
        if worker.has_update && !worker.is_waiting {
            worker.has_update = false;
            worker.is_waiting = true;
            worker.is_cancelled = false;
            worker.taken = Taken {
                kind: match (worker.is_terminated, worker.is_terminating) {
                    (true, _) => Kind::Terminated,
                    (_, true) => Kind::Terminating,
                    _ => Kind::Sync,
                },
                generation: pod.input.generation,
                deletion: pod.input.deletion,
                at: now,
                phase: pod.kept.api.as_ref().map(|api| api.phase),
            };
        }
        let worker = &mut pod.worker;
        if !worker.is_waiting {
            return;
        }
        let is_new = worker.last.is_none_or(|last| {
            // The last relist of all before now, or one of this pod.
            let next = last.saturating_add(Duration::ns(1)).next_tick(phase, relist);
            relisted > Some(last) || (!relist.is_zero() && next < now)
        });
        if is_new {
            self.begin_step(slot, now, host);
        }
    }

    /// A step begins.
    pub(super) fn begin_step<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let pod = self.pod_mut(slot);
        pod.worker.is_waiting = false;
        let kind = pod.worker.taken.kind;
        pod.worker.step = Some(Step {
            kind,
            todo: VecDeque::new(),
            busy: None,
            has_acted: false,
            has_failed: false,
            backoff: None,
            seen: pod.cache.clone(),
            is_terminal: false,
            is_reset: false,
        });
        match kind {
            Kind::Sync => self.begin_sync(slot, now, host),
            Kind::Terminating => self.begin_terminating(slot, now, host),
            Kind::Terminated => self.begin_terminated(slot, now, host),
        }
        self.work.push_back(Work::Step(slot));
    }

    fn status<H: Host>(
        &mut self,
        slot: Slot,
        seen: &Runtime,
        is_terminal: bool,
        now: SimTime,
        host: &mut H,
    ) -> Status {
        let pod = self.pod_mut(slot);
        let is_late = pod.deadline().is_some_and(|due| due <= now);
        if is_late {
            host.event(slot, None, Say::DeadlineExceeded);
        }
        let basis = Basis {
            spec: &pod.input.spec,
            seen,
            old: pod.kept.status.as_ref().or(pod.kept.api.as_ref()),
            generation: pod.worker.taken.generation,
            reasons: &pod.reasons,
            gates: pod.gates,
            is_deleting: pod.worker.taken.deletion.is_some(),
            is_terminal,
            is_late,
            api_phase: pod.worker.taken.phase.unwrap_or(Phase::Pending),
        };
        let status = basis.build(&mut pod.probes, now);
        pod.kept.gates = pod.gates;
        status
    }

    fn begin_sync<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let seen = self.pod(slot).cache.clone();
        let status = self.status(slot, &seen, false, now, host);
        let is_terminal = status.phase.is_terminal();
        let is_reset = status.conditions.all_restarting.is_some_and(|condition| condition.is_true);
        self.early_pokes(slot, now, host);
        self.keep(slot, status, false);
        let wait = self.config.volume_wait;
        let pod = self.pod_mut(slot);
        let step = pod.worker.step.as_mut().expect("a step has begun");
        step.is_terminal = is_terminal;
        step.is_reset = is_reset;
        if is_terminal {
            return;
        }
        if !pod.is_mounted && host.lacks_volumes(slot) {
            // Without latencies nothing is gained by giving up and waiting again.
            let until = if wait.is_zero() { SimTime::MAX } else { now + VOLUMES_MAX };
            step.busy = Some(Busy::Lacking(until));
            host.event(slot, None, Say::MountFailed);
        } else if pod.is_mounted || wait.is_zero() {
            self.have_volumes(slot, now, host);
        } else {
            step.busy = Some(Busy::Volumes(now.saturating_add(wait)));
        }
    }

    /// Readiness workers that look before the new status is stored.
    fn early_pokes<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let probes = &mut self.pod_mut(slot).probes;
        if !probes.is_poked() {
            return;
        }
        let held = probes.hold_pokes(|container| host.poke_sees(slot, container));
        if self.pod(slot).probes.is_poked() {
            while let Some(act) = self.next_act(slot, now) {
                self.probe_act(slot, act, host);
            }
        }
        for container in held {
            self.pod_mut(slot).probes.poke(container);
        }
    }

    /// The volumes are there: probe workers, then the runtime.
    pub(super) fn have_volumes<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let pod = self.pod_mut(slot);
        pod.is_mounted = true;
        let spec = Arc::clone(&pod.input.spec);
        let is_deleting = pod.worker.taken.deletion.is_some();
        pod.probes.add(&spec, is_deleting, now);
        let Some(step) = &mut pod.worker.step else { return };
        step.busy = None;
        if step.is_reset {
            step.todo = resets(&spec, &step.seen).into_iter().map(Todo::Reset).collect();
        } else {
            let mut actions = actions(&spec, &step.seen, &pod.probes, is_deleting);
            if let Some(restarts) = pod.resize.filter(|_| !is_deleting) {
                resize(&spec, &step.seen, restarts, &mut actions);
            }
            if actions.sandbox.is_some() && step.seen.sandbox.is_some() {
                host.event(slot, None, Say::SandboxChanged);
            }
            step.todo = todo(&actions, &step.seen);
            self.prune(slot, host);
        }
        self.work.push_back(Work::Step(slot));
    }

    fn begin_terminating<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let seen = self.pod(slot).cache.clone();
        let mut status = self.status(slot, &seen, false, now, host);
        if let Some((reason, message)) = self.pod(slot).worker.verdict {
            super::evict::judge(&mut status, reason, message, now);
        }
        self.keep(slot, status, false);
        let pod = self.pod_mut(slot);
        pod.probes.stop_liveness_and_startup();
        if let Some(step) = &mut pod.worker.step {
            step.todo.push_back(Todo::KillPod);
        }
    }

    fn begin_terminated<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let wait = self.config.volume_wait;
        let pod = self.pod(slot);
        let is_gone = !pod.has_volumes || pod.unmounted.is_none_or(|gone| gone <= now);
        let wait = if is_gone { host.clean_up(slot) } else { wait };
        let step = self.pod_mut(slot).worker.step.as_mut().expect("a step has begun");
        step.busy = (!wait.is_zero()).then(|| Busy::Unmount(now.saturating_add(wait)));
    }

    /// Goes on with a step.
    pub(super) fn step<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        loop {
            if self.find(slot).is_none() {
                return;
            }
            let Some(step) = &mut self.pod_mut(slot).worker.step else { return };
            if step.busy.is_some() {
                return;
            }
            match step.todo.pop_front() {
                Some(todo) => self.act(slot, &todo, now, host),
                None => {
                    self.end_step(slot, now, host);
                    return;
                }
            }
        }
    }

    fn act<H: Host>(&mut self, slot: Slot, todo: &Todo, now: SimTime, host: &mut H) {
        let pod = self.pod_mut(slot);
        let Some(step) = &mut pod.worker.step else { return };
        step.has_acted = true;
        let running = |seen: &Runtime, why| -> SmallVec<[(u32, Kill); 2]> {
            let runs = seen.runs.iter().filter(|run| run.is_running());
            runs.map(|run| (run.id, why)).collect()
        };
        match *todo {
            Todo::KillPod => {
                let ids = running(&step.seen, Kill::Stopping);
                let grace = pod.worker.grace.filter(|_| step.kind == Kind::Terminating);
                let is_ordered = pod.input.spec.init_containers.iter().any(|c| c.restart_always);
                let after = AfterKills::StopSandbox;
                self.kill(slot, &ids, How { grace, is_ordered, after }, now, host);
            }
            Todo::Kill(id, why) => {
                self.kill(slot, &[(id, why)], How::alone(AfterKills::Next), now, host);
            }
            Todo::Reset(container) => {
                let mut ids = running(&step.seen, Kill::Plain);
                let own =
                    |id: u32| step.seen.by_id(id).is_some_and(|run| run.container == container);
                ids.retain(|(id, _)| own(*id));
                self.kill(
                    slot,
                    &ids,
                    How { grace: Some(0), is_ordered: false, after: AfterKills::Reset(container) },
                    now,
                    host,
                );
            }
            Todo::Sandbox(attempt) => {
                step.busy = Some(Busy::Sandbox(attempt));
                self.begin(slot, Call::RunSandbox { attempt }, host);
            }
            Todo::Resize => {
                pod.resize = None;
                step.busy = Some(Busy::Resize);
                self.begin(slot, Call::Resize, host);
            }
            Todo::Start(container) => self.start(slot, container, now, host),
        }
    }

    /// All kills of the list are over.
    pub(super) fn kills_over<H: Host>(&mut self, slot: Slot, host: &mut H) {
        if !self.are_dead(slot) {
            return;
        }
        let pod = self.pod_mut(slot);
        let Some(step) = &mut pod.worker.step else { return };
        let Some(Busy::Kills(after)) = step.busy else { return };
        pod.kills.clear();
        step.busy = None;
        match after {
            AfterKills::StopSandbox
                if step.seen.sandbox.is_some_and(|sandbox| sandbox.is_ready) =>
            {
                step.busy = Some(Busy::StopSandbox);
                self.begin(slot, Call::StopSandbox, host);
            }
            AfterKills::StopSandbox | AfterKills::Next => {}
            AfterKills::Reset(container) => {
                let own = pod.runtime.runs.iter().filter(|run| run.container == container);
                let runs: SmallVec<[Run; 4]> = own.copied().collect();
                for run in runs {
                    self.remove(slot, run, host);
                }
            }
            AfterKills::HookFailed(container) => {
                self.start_failed(slot, container, "PostStartHookError", None);
            }
        }
        self.work.push_back(Work::Step(slot));
    }

    /// Removes a dead container from the runtime.
    pub(super) fn remove<H: Host>(&mut self, slot: Slot, run: Run, host: &mut H) {
        let Run { container, attempt, .. } = run;
        host.begin(slot, Call::Remove { container, attempt });
        let now = self.now;
        let pod = self.pod_mut(slot);
        pod.runtime.runs.retain(|other| other.id != run.id);
        pod.touch(now);
    }

    /// StopPodSandbox returned.
    pub(super) fn sandbox_stopped(&mut self, slot: Slot, now: SimTime) {
        let pod = self.pod_mut(slot);
        if let Some(sandbox) = &mut pod.runtime.sandbox
            && sandbox.is_ready
        {
            sandbox.is_ready = false;
            pod.touch(now);
        }
        if let Some(step) = &mut pod.worker.step {
            step.busy = None;
        }
        self.work.push_back(Work::Step(slot));
    }

    /// RunPodSandbox returned (rules N58, N59).
    pub(super) fn sandbox_made<H: Host>(
        &mut self,
        slot: Slot,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        let pod = self.pod_mut(slot);
        let Some(step) = &mut pod.worker.step else { return };
        let Some(Busy::Sandbox(attempt)) = step.busy.take() else { return };
        if let Outcome::Sandbox(ip) = outcome {
            pod.runtime.sandbox = Some(Sandbox { attempt, is_ready: true, ip });
            pod.touch(now);
            if let Some(mut status) = pod.kept.status.clone() {
                if let Some(condition) = &mut status.conditions.ready_to_start
                    && !condition.is_true
                {
                    condition.is_true = true;
                    condition.since = now.floor_secs();
                }
                self.keep(slot, status, false);
            }
        } else {
            step.has_failed = true;
            step.todo.clear();
            host.event(slot, None, Say::SandboxFailed);
        }
        self.work.push_back(Work::Step(slot));
    }

    /// The containers have their new amounts; or not, and it is tried again.
    pub(super) fn resize_ended(&mut self, slot: Slot, outcome: Outcome) {
        let pod = self.pod_mut(slot);
        let Some(step) = pod.worker.step.as_mut().filter(|of| of.busy == Some(Busy::Resize)) else {
            return;
        };
        step.busy = None;
        if outcome != Outcome::Ok {
            step.has_failed = true;
            pod.resize.get_or_insert(0);
        }
        self.work.push_back(Work::Step(slot));
    }

    /// A step is over (rule N8).
    fn end_step<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let Some(step) = self.pod_mut(slot).worker.step.take() else { return };
        match step.kind {
            Kind::Sync => self.end_sync(slot, &step, now, host),
            Kind::Terminating => {
                let seen = self.pod(slot).runtime.clone();
                self.pod_mut(slot).probes.remove();
                let status = self.status(slot, &seen, true, now, host);
                self.keep(slot, status, false);
                let loops = self.config.volume_loop;
                let phase = self.config.sync_phase;
                let is_late = self.pod(slot).has_volumes && host.unmounts_late(slot);
                let pod = self.pod_mut(slot);
                let tick = now.saturating_add(Duration::ns(1)).next_tick(phase, loops);
                let tick = if is_late { tick.saturating_add(loops) } else { tick };
                let unmounted = if loops.is_zero() { now } else { tick };
                pod.unmounted = Some(unmounted);
                pod.worker.is_terminated = true;
                pod.worker.has_update = true;
                pod.worker.queue = None;
                host.unmounts(slot, unmounted);
                self.freed(slot, host);
            }
            Kind::Terminated => {
                let seen = step.seen;
                let mut status = self.status(slot, &seen, true, now, host);
                self.keep(slot, status.clone(), false);
                self.pod_mut(slot).kept.version += 1;
                self.sender.ask();
                self.send_early(host);
                let spec = Arc::clone(&self.pod(slot).input.spec);
                close(&spec, &mut status);
                self.keep(slot, status, true);
                self.pod_mut(slot).worker.is_over = true;
            }
        }
        self.pod_mut(slot).worker.last = Some(now);
        self.work.push_back(Work::Look(slot));
    }

    fn end_sync<H: Host>(&mut self, slot: Slot, step: &Step, now: SimTime, host: &mut H) {
        let resync = self.config.resync;
        let pod = self.pod_mut(slot);
        let is_ok = !step.has_failed && step.backoff.is_none();
        if step.is_terminal {
            pod.worker.is_terminating = true;
            pod.worker.has_update = true;
            pod.worker.queue = None;
            return;
        }
        if is_ok && step.has_acted {
            self.ask_relist(slot, now);
        }
        if step.is_reset && is_ok {
            self.pod_mut(slot).worker.has_update = true;
        }
        let base = match step.backoff {
            _ if is_ok => RESYNC,
            Some(until) if !step.has_failed => until.saturating_since(now).min(RESYNC),
            _ => RETRY,
        };
        if !is_ok || resync {
            let delay = host.requeue(slot, base);
            self.pod_mut(slot).worker.queue = Some(now.saturating_add(delay));
        }
    }
}

/// What the actions are, one after another.
fn todo(actions: &Actions, seen: &Runtime) -> VecDeque<Todo> {
    let mut todo = VecDeque::new();
    if actions.kill_pod {
        let is_something = seen.sandbox.is_some() || !seen.runs.is_empty();
        if is_something {
            todo.push_back(Todo::KillPod);
        }
    } else {
        todo.extend(actions.kill.iter().map(|(id, why)| Todo::Kill(*id, *why)));
    }
    todo.extend(actions.sandbox.map(Todo::Sandbox));
    if !actions.kill_pod || actions.sandbox.is_some() {
        todo.extend(actions.start_init.iter().copied().map(Todo::Start));
        todo.extend(actions.resize.then_some(Todo::Resize));
        todo.extend(actions.start.iter().copied().map(Todo::Start));
    }
    todo
}

/// The containers in the order in which they are forgotten: those whose exit asks for it last.
fn resets(spec: &PodSpec, seen: &Runtime) -> Vec<u8> {
    let inits = spec.init_containers.len();
    let mains = all(spec).skip(inits).chain(all(spec).take(inits));
    let asks = |(container, own): &(u8, &Container)| {
        let exit = seen.newest(*container).and_then(Run::exit);
        exit.is_some_and(|(exit, _)| {
            own.after_exit(exit.code, spec.restart_policy) == AfterExit::RestartAll
        })
    };
    let (sources, targets): (Vec<_>, Vec<_>) = mains.partition(asks);
    targets.into_iter().chain(sources).map(|(container, _)| container).collect()
}

/// Dead init containers that are removed before a sync starts one.
pub(super) fn stale_inits(spec: &PodSpec, seen: &Runtime) -> SmallVec<[Run; 2]> {
    let mut stale = SmallVec::new();
    for (container, _) in all(spec).take(spec.init_containers.len()) {
        let dead = seen.runs.iter().rev().filter(|run| run.container == container);
        stale.extend(dead.filter(|run| run.exit().is_some()).skip(1).copied());
    }
    stale
}

/// Whether the pod's containers can still run.
pub(super) const fn is_active(pod: &Pod) -> bool {
    !pod.is_unseen && !pod.is_rejected && !pod.worker.is_terminated
}
