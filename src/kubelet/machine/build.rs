//! The API status of a pod, from what was seen of it (rules N59, N88, N89, N93, N106).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/kubelet_pods.go (`generateAPIPodStatus`,
//! `convertToAPIContainerStatuses`, `getPhase`), pkg/kubelet/status/generate.go.

use smallvec::SmallVec;

use super::actions::{all, is_init, is_sidecar, mains, should_restart};
use super::pod::Gates;
use super::prober::Probes;
use super::runtime::{Run, RunState, Runtime};
use super::types::{
    Because, Condition, Conditions, ContainerStatus, Ended, Message, Phase, State, Status, Told,
};
use crate::base::SimTime;
use crate::model::{AfterExit, Container, PodSpec};

/// Reason of containers that all are restarted (rule N93).
pub(super) const RESTARTING: &str = "RestartingAllContainers";

/// All that a status is built from.
pub(super) struct Basis<'a> {
    pub spec: &'a PodSpec,
    pub seen: &'a Runtime,
    /// The status before.
    pub old: Option<&'a Status>,
    pub generation: i64,
    /// Why containers could not be started, by container.
    pub reasons: &'a [(u8, &'static str)],
    pub gates: Gates,
    pub is_deleting: bool,
    /// The containers will not be started again, whatever the policy.
    pub is_terminal: bool,
    /// The deadline is over.
    pub is_late: bool,
    /// The phase that the API had when the update was taken.
    pub api_phase: Phase,
}

impl Basis<'_> {
    /// The status at `now`, and pokes readiness probes (rule N85).
    pub(super) fn build(&self, probes: &mut Probes, now: SimTime) -> Status {
        let restarting = self.restarting(now);
        let each = all(self.spec).map(|(container, _)| self.container(container));
        let mut containers: SmallVec<[ContainerStatus; 1]> = each.collect();
        let mut phase = self.phase(&containers);
        let (mut reason, mut message) = ("", Message::None);
        if let Some(old) = self.old {
            if !phase.is_terminal() && old.phase.is_terminal() {
                phase = old.phase;
            }
            if phase == old.phase {
                (reason, message) = (old.reason, old.message);
            }
        }
        if self.is_late {
            (phase, reason, message) = (Phase::Failed, "DeadlineExceeded", Message::Deadline);
        }
        self.ask_probes(&mut containers, probes);
        let address = self.seen.sandbox.map(|sandbox| sandbox.ip);
        let mut status = Status {
            phase,
            reason,
            message,
            ip: address.or(self.old.and_then(|old| old.ip)),
            start: self.old.and_then(|old| old.start).or(Some(now.floor_secs())),
            observed_generation: self.generation,
            conditions: Conditions {
                scheduled: Some(condition(true, Because::None, now)),
                ready_to_start: None,
                initialized: None,
                containers_ready: None,
                ready: None,
                all_restarting: restarting,
                disruption: self.old.and_then(|old| old.conditions.disruption),
            },
            containers,
            resources: self.resources(),
        };
        let has_sandbox = self.seen.sandbox_needed().is_none();
        status.conditions.ready_to_start = Some(condition(has_sandbox, Because::None, now));
        status.conditions.initialized = Some(self.initialized(&status, now));
        refresh_ready(self.spec, self.gates, &mut status, now);
        status
    }

    /// What the pod's `resources` name: all that it asks for as long as the API does not call it
    /// running; then the kubelet looks at the pod's cgroup, and keeps CPU and limits from the
    /// status before if that was of a running pod. Without such a change nothing is written.
    ///
    /// Source: kubernetes v1.36.3 pkg/kubelet/kubelet_pods.go
    /// `convertToAPIPodLevelResourcesStatus`.
    fn resources(&self) -> Told {
        if self.api_phase != Phase::Running {
            return asked(self.spec);
        }
        let old = self.old.filter(|old| old.phase == Phase::Running);
        old.map_or_else(Told::default, |old| Told { has_others: false, ..old.resources })
    }

    /// AllContainersRestarting, of pods that have such a rule.
    fn restarting(&self, now: SimTime) -> Option<Condition> {
        let has_rule = all(self.spec).any(|(_, own)| {
            own.restart_rules.iter().any(|rule| rule.action == AfterExit::RestartAll)
        });
        let is_on = !self.is_deleting && restarts_all(self.spec, self.seen);
        let reason = if is_on { Because::RestartAllContainersStarted } else { Because::None };
        has_rule.then(|| condition(is_on, reason, now))
    }

    fn container(&self, container: u8) -> ContainerStatus {
        let old = self.old.and_then(|old| old.containers.get(usize::from(container)));
        let has_inits = is_init(self.spec, container) || !self.spec.init_containers.is_empty();
        let waiting = if has_inits { "PodInitializing" } else { "ContainerCreating" };
        let mut status = ContainerStatus {
            state: State::Waiting(waiting),
            last: None,
            ready: false,
            started: false,
            restarts: 0,
            id: None,
        };
        if let Some(old) = old {
            if let State::Terminated(_) = old.state {
                status = *old;
            } else {
                (status.restarts, status.last) = (old.restarts, old.last);
            }
        }
        let mut runs = self.seen.runs.iter().rev().filter(|run| run.container == container);
        if let Some(run) = runs.next() {
            status = met(run, old);
            if let Some(older) = runs.next() {
                status.last = match state(older) {
                    State::Terminated(ended) => Some(ended),
                    State::Waiting(_) | State::Running(_) => None,
                };
            }
        } else {
            self.gone(&mut status, old);
        }
        self.cannot_start(container, &mut status);
        status
    }

    /// A container that ran and is not there any more.
    fn gone(&self, status: &mut ContainerStatus, old: Option<&ContainerStatus>) {
        let Some(old) = old else { return };
        let ended = |reason| Ended { code: 137, reason, started: None, finished: None };
        let restarting = self.old.and_then(|old| old.conditions.all_restarting);
        if restarting.is_some_and(|condition| condition.is_true)
            && !matches!(old.state, State::Waiting(_))
        {
            status.state = State::Waiting(RESTARTING);
            status.last = Some(ended(RESTARTING));
            status.restarts = old.restarts + 1;
            status.id = None;
        } else if let State::Running(_) = old.state
            && status.last.is_none()
        {
            status.last = Some(ended("ContainerStatusUnknown"));
            status.restarts += u32::from(!self.is_deleting);
        }
    }

    fn cannot_start(&self, container: u8, status: &mut ContainerStatus) {
        if is_init(self.spec, container)
            && matches!(status.state, State::Terminated(ended) if ended.code == 0)
        {
            return;
        }
        let reason = self.reasons.iter().find(|(of, _)| *of == container);
        let Some((_, reason)) = reason else { return };
        if !should_restart(self.spec, self.seen, container, self.is_deleting) {
            return;
        }
        if let State::Terminated(ended) = status.state {
            status.last = Some(ended);
        }
        status.state = State::Waiting(reason);
    }

    fn ask_probes(&self, containers: &mut [ContainerStatus], probes: &mut Probes) {
        for (container, status) in (0_u8..).zip(containers) {
            let old = self.old.and_then(|old| old.containers.get(usize::from(container)));
            let running = status.id.filter(|_| matches!(status.state, State::Running(_)));
            if is_init(self.spec, container) && !is_sidecar(self.spec, container) {
                status.started = running.is_some();
                status.ready |= matches!(status.state, State::Terminated(e) if e.code == 0);
                continue;
            }
            let was_started = old.is_some_and(|old| old.started);
            (status.started, status.ready) = probes.report(container, running, was_started);
        }
    }

    /// Rule N89.
    fn phase(&self, containers: &[ContainerStatus]) -> Phase {
        let spec = self.spec;
        let mut tally = Tally::default();
        for ((container, own), status) in all(spec).zip(containers) {
            let ended = match (status.state, status.last) {
                (State::Terminated(ended), _) | (State::Waiting(_), Some(ended)) => Some(ended),
                (State::Waiting(_) | State::Running(_), _) => None,
            };
            let will_not =
                |ended: Ended| own.after_exit(ended.code, spec.restart_policy) == AfterExit::Stay;
            if !is_init(spec, container) {
                match (status.state, ended) {
                    (State::Running(_), _) => tally.running += 1,
                    (_, None) => tally.waiting += 1,
                    (_, Some(ended)) => {
                        tally.stopped += 1;
                        tally.succeeded += u32::from(ended.code == 0);
                        tally.returning += u32::from(!will_not(ended));
                    }
                }
            } else if own.restart_always {
                match (status.state, ended) {
                    (State::Running(_), _) => {
                        tally.running += 1;
                        tally.slow_sidecars += u32::from(!status.started);
                    }
                    (State::Waiting(_), None) => {
                        tally.waiting += 1;
                        tally.slow_sidecars += 1;
                    }
                    (State::Waiting(_) | State::Terminated(_), _) => {}
                }
            } else {
                match (status.state, ended) {
                    (State::Running(_), _) | (_, None) => tally.inits += 1,
                    (State::Waiting(RESTARTING), _) => {}
                    (_, Some(ended)) => {
                        tally.failed_inits += u32::from(ended.code != 0 && will_not(ended));
                    }
                }
            }
        }
        let has_run = mains(spec).any(|(container, _)| {
            let state = self.seen.newest(container).map(|run| run.state);
            matches!(state, Some(RunState::Running(_) | RunState::Exited(..)))
        });
        tally.phase(has_run, self.is_terminal)
    }

    fn initialized(&self, status: &Status, now: SimTime) -> Condition {
        if status.phase == Phase::Succeeded {
            return condition(true, Because::PodCompleted, now);
        }
        let is_done = |(container, status): (u8, &ContainerStatus)| {
            if is_sidecar(self.spec, container) { status.started } else { status.ready }
        };
        let inits = self.spec.init_containers.len();
        let has_begun = |status: &ContainerStatus| {
            matches!(status.state, State::Running(_) | State::Terminated(_))
                || status.last.is_some()
        };
        if (0_u8..).zip(&status.containers).take(inits).all(is_done)
            || status.containers[inits..].iter().any(has_begun)
        {
            return condition(true, Because::None, now);
        }
        let open = (0_u8..).zip(&status.containers).take(inits).filter(|each| !is_done(*each));
        let named = open.fold(0, |bits, (container, _)| bits | 1 << container);
        Condition { named, ..condition(false, Because::ContainersNotInitialized, now) }
    }
}

/// All that a pod asks for, but memory requests, which are always told.
fn asked(spec: &PodSpec) -> Told {
    let limits = |is_set: fn(&Container) -> bool| all(spec).any(|(_, own)| is_set(own));
    let asked = &spec.requests;
    Told {
        has_cpu: asked.cpu.0 != 0,
        has_cpu_limit: limits(|own| own.cpu_limit.is_some()),
        has_memory_limit: limits(|own| own.memory_limit.is_some()),
        has_others: asked.ephemeral_storage.0 != 0 || !asked.scalars.is_empty(),
    }
}

#[derive(Default)]
struct Tally {
    inits: u32,
    failed_inits: u32,
    slow_sidecars: u32,
    running: u32,
    waiting: u32,
    stopped: u32,
    succeeded: u32,
    returning: u32,
}

impl Tally {
    #[expect(clippy::fn_params_excessive_bools, reason = "two facts of the pod, asked for once")]
    const fn phase(&self, has_run: bool, is_terminal: bool) -> Phase {
        let is_good = self.stopped == self.succeeded;
        if self.failed_inits > 0 {
            Phase::Failed
        } else if self.inits > 0 || (self.slow_sidecars > 0 && !has_run) || self.waiting > 0 {
            Phase::Pending
        } else if self.running > 0 {
            Phase::Running
        } else if self.stopped == 0 {
            Phase::Pending
        } else if !is_terminal && self.returning > 0 {
            Phase::Running
        } else if is_good {
            Phase::Succeeded
        } else {
            Phase::Failed
        }
    }
}

/// Whether an exit that was seen asks for a restart of all containers (rule N93).
pub(super) fn restarts_all(spec: &PodSpec, seen: &Runtime) -> bool {
    all(spec).any(|(container, own)| {
        seen.newest(container).and_then(Run::exit).is_some_and(|(exit, _)| {
            own.after_exit(exit.code, spec.restart_policy) == AfterExit::RestartAll
        })
    })
}

/// The newest run of a container that is there.
fn met(run: &Run, old: Option<&ContainerStatus>) -> ContainerStatus {
    let mut status = ContainerStatus {
        state: state(run),
        last: None,
        ready: false,
        started: false,
        restarts: run.attempt,
        id: Some(run.id),
    };
    let Some(old) = old else { return status };
    status.restarts = status.restarts.max(old.restarts);
    status.last = match old.state {
        State::Terminated(ended) if old.id != status.id => Some(ended),
        State::Terminated(_) | State::Waiting(_) | State::Running(_) => old.last,
    };
    if run.is_running() && matches!(old.state, State::Terminated(_)) && old.restarts >= run.attempt
    {
        status.restarts = old.restarts + 1;
    }
    status
}

const fn condition(is_true: bool, reason: Because, now: SimTime) -> Condition {
    Condition { is_true, reason, since: now.floor_secs(), named: 0 }
}

fn state(run: &Run) -> State {
    match run.state {
        RunState::Created => State::Waiting(""),
        RunState::Running(since) => State::Running(since.floor_secs()),
        RunState::Exited(exit, started, finished) => State::Terminated(Ended {
            code: exit.code,
            reason: exit.reason,
            started: started.map(SimTime::floor_secs),
            finished: Some(finished.floor_secs()),
        }),
    }
}

/// Sets ContainersReady and Ready as the containers have them (rule N88).
pub(super) fn refresh_ready(spec: &PodSpec, gates: Gates, status: &mut Status, now: SimTime) {
    let counts = |container: u8| !is_init(spec, container) || is_sidecar(spec, container);
    let mut each = (0_u8..).zip(&status.containers).filter(|(container, _)| counts(*container));
    let is_ready = each.all(|(_, status)| status.ready);
    let ready = match status.phase {
        Phase::Succeeded => condition(false, Because::PodCompleted, now),
        Phase::Failed => condition(false, Because::PodFailed, now),
        Phase::Pending | Phase::Running if !is_ready => {
            condition(false, Because::ContainersNotReady, now)
        }
        Phase::Pending | Phase::Running => condition(true, Because::None, now),
    };
    // Its message names the gates that have no condition, and those whose condition is not True.
    let closed = (0..spec.readiness_gates.len()).filter(|gate| gates.open >> gate & 1 == 0);
    let named = closed.fold(0, |bits, gate| {
        let is_told = u64::from(gates.told >> gate & 1);
        bits | (1 + is_told) << (2 * gate)
    });
    status.conditions.containers_ready = Some(ready);
    status.conditions.ready = Some(if ready.is_true && named != 0 {
        Condition { named, ..condition(false, Because::ReadinessGatesNotReady, now) }
    } else {
        ready
    });
    if let Some(restarting) = &mut status.conditions.all_restarting
        && status.phase.is_terminal()
    {
        *restarting = condition(false, ready.reason, now);
    }
}

/// What becomes of containers that nobody can find when the pod is over (`TerminatePod`).
pub(super) fn close(spec: &PodSpec, status: &mut Status) {
    let inits = spec.init_containers.len();
    let has_begun = |status: &ContainerStatus| {
        matches!(status.state, State::Running(_) | State::Terminated(_)) || status.last.is_some()
    };
    let unknown =
        Ended { code: 137, reason: "ContainerStatusUnknown", started: None, finished: None };
    let has_initialized = inits == 0 || status.containers[inits..].iter().any(has_begun);
    let begun_inits = (0..inits).rev().find(|at| has_begun(&status.containers[*at]));
    let begun_inits = if has_initialized { inits } else { begun_inits.map_or(0, |at| at + 1) };
    for (at, container) in status.containers.iter_mut().enumerate() {
        let counts = if at < inits { at < begun_inits } else { has_initialized };
        if counts && !matches!(container.state, State::Terminated(_)) {
            container.state = State::Terminated(unknown);
        }
        container.started = false;
    }
    if !status.phase.is_terminal() {
        status.phase = Phase::Failed;
    }
}
