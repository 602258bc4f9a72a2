//! Probe workers of one pod (rules N51, N80 to N87, N125, N138).
//!
//! A worker is made for each container and probe when a sync has its volumes, looks at once and
//! then every period; each look reads the *stored* status of the pod, not the cache. What a look
//! leads to comes out of [`Probes::next`], one act at a time. Looks that cannot find anything new
//! are skipped until [`Probes::wake`] tells that the status or the answers are others; the phase of
//! the period stays.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/prober (`worker.go` `run`, `doProbe`; `prober_manager.go`
//! `AddPod`, `UpdatePodStatus`, `isContainerStarted`; `prober.go` `runProbeWithRetries`).

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::types::{ContainerStatus, Outcome, State, Status, Which};
use crate::base::{Duration, SimTime};
use crate::model::{AfterExit, Container, PodSpec, Probe};

/// How often a probe that cannot be carried out is tried in one look (rule N80).
const TRIES: u8 = 3;

/// What a worker says of its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fails.
    Failure,
    /// It is well.
    Success,
    /// Nobody knows yet.
    Unknown,
}

/// What a look leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Carry out a probe; hand the outcome to [`Probes::answered`].
    Probe {
        /// Of which container.
        container: u8,
        /// Which probe.
        which: Which,
        /// `timeoutSeconds`.
        timeout: Duration,
        /// The context of the worker is cancelled: the outcome is [`Outcome::Cancelled`] if the
        /// runtime heeds that (rule N138).
        is_cancelled: bool,
    },
    /// The published result changed: goes through the main loop (rule N87).
    Changed {
        /// Of which container.
        container: u8,
        /// Which probe.
        which: Which,
        /// Of which run.
        id: u32,
        /// What it is now.
        verdict: Verdict,
    },
    /// The event Unhealthy.
    Unhealthy {
        /// Of which container.
        container: u8,
        /// Which probe.
        which: Which,
        /// What it got.
        outcome: Outcome,
    },
}

/// The workers of one pod.
#[derive(Debug, Default)]
pub struct Probes {
    workers: SmallVec<[Worker; 2]>,
    acts: VecDeque<Act>,
    is_cancelled: bool,
}

#[derive(Clone, Debug)]
struct Worker {
    container: u8,
    which: Which,
    probe: Probe,
    is_init: bool,
    /// The pod was being deleted already when the worker was made.
    was_deleting: bool,
    /// A tick; the others are whole periods before and after.
    anchor: SimTime,
    /// The last look began then.
    looked: Option<SimTime>,
    /// Ticks before this find nothing; `None`: each may.
    doze: Option<SimTime>,
    is_poked: bool,
    is_stopping: bool,
    /// A probe is under way, and how often it was tried in this look.
    tries: Option<u8>,
    id: Option<u32>,
    published: Option<Verdict>,
    last: Option<Verdict>,
    run: u32,
    is_on_hold: bool,
}

/// What follows a look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The worker ends.
    End,
    /// Nothing will be found before the status is another.
    Idle,
    /// Nothing was found, and something may be at the next tick.
    Wait,
    /// It asks.
    Ask,
}

impl Worker {
    fn new(container: u8, which: Which, probe: Probe, is_init: bool, now: SimTime) -> Self {
        Self {
            container,
            which,
            probe,
            is_init,
            was_deleting: false,
            anchor: now,
            looked: None,
            doze: None,
            is_poked: false,
            is_stopping: false,
            tries: None,
            id: None,
            published: None,
            last: None,
            run: 0,
            is_on_hold: false,
        }
    }

    /// When it looks next by itself; `None`: not before it hears something.
    fn due(&self) -> Option<SimTime> {
        let Some(looked) = self.looked else { return Some(self.anchor) };
        if self.tries.is_some() {
            return None;
        }
        let after = looked.saturating_add(Duration::ns(1));
        match self.doze {
            Some(SimTime::MAX) => None,
            Some(until) => Some(after.max(until).next_tick(self.anchor, self.probe.period)),
            None => Some(after.next_tick(self.anchor, self.probe.period)),
        }
    }

    fn publish(&mut self, verdict: Verdict, acts: &mut VecDeque<Act>) {
        let (Some(id), true) = (self.id, self.published != Some(verdict)) else { return };
        self.published = Some(verdict);
        acts.push_back(Act::Changed { container: self.container, which: self.which, id, verdict });
    }

    const fn initial(&self) -> Verdict {
        match self.which {
            Which::Readiness => Verdict::Failure,
            Which::Liveness => Verdict::Success,
            Which::Startup => Verdict::Unknown,
        }
    }

    /// One look up to the probe itself (rules N81, N82, N84).
    fn look(
        &mut self,
        spec: &PodSpec,
        status: Option<&Status>,
        now: SimTime,
        acts: &mut VecDeque<Act>,
    ) -> Look {
        let Some(status) = status else { return Look::Idle };
        if status.phase.is_terminal() {
            return Look::End;
        }
        let seen = status.containers.get(usize::from(self.container));
        let Some((seen, id)) = seen.and_then(|seen| Some((seen, seen.id?))) else {
            return Look::Idle;
        };
        if self.id != Some(id) {
            self.id = Some(id);
            self.published = None;
            self.publish(self.initial(), acts);
            self.is_on_hold = false;
        }
        if self.is_on_hold {
            return Look::Idle;
        }
        let State::Running(since) = seen.state else {
            self.publish(Verdict::Failure, acts);
            return if self.will_return(spec, status, seen) { Look::Idle } else { Look::End };
        };
        if self.was_deleting && self.which != Which::Readiness {
            self.publish(Verdict::Success, acts);
            return Look::End;
        }
        if now.saturating_since(since).whole_secs() < self.probe.initial_delay.whole_secs() {
            return Look::Wait;
        }
        if seen.started == (self.which == Which::Startup) { Look::Idle } else { Look::Ask }
    }

    /// Whether the container that does not run will run again (rule N93).
    fn will_return(&self, spec: &PodSpec, status: &Status, seen: &ContainerStatus) -> bool {
        let State::Terminated(ended) = seen.state else { return true };
        let own = nth(spec, self.container);
        let is_sidecar = self.is_init && own.is_some_and(|own| own.restart_always);
        is_sidecar
            || own.is_some_and(|own| {
                own.after_exit(ended.code, spec.restart_policy) != AfterExit::Stay
            })
            || restarts_all(spec, status)
    }

    /// What an answer does to the published result (rules N83, N84).
    fn count(&mut self, verdict: Verdict, acts: &mut VecDeque<Act>) {
        if self.last == Some(verdict) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(verdict);
            self.run = 1;
        }
        let threshold = match verdict {
            Verdict::Failure => self.probe.failure_threshold,
            Verdict::Success | Verdict::Unknown => self.probe.success_threshold,
        };
        if self.run < threshold {
            return;
        }
        self.publish(verdict, acts);
        if self.which == Which::Startup
            || (self.which == Which::Liveness && verdict == Verdict::Failure)
        {
            self.is_on_hold = true;
            self.run = 0;
        }
    }
}

fn nth(spec: &PodSpec, container: u8) -> Option<&Container> {
    spec.init_containers.iter().chain(&spec.containers).nth(usize::from(container))
}

/// Whether an exit of one container asks for a restart of all (rule N93).
fn restarts_all(spec: &PodSpec, status: &Status) -> bool {
    let all = spec.init_containers.iter().chain(&spec.containers);
    all.zip(&status.containers).any(|(own, seen)| match seen.state {
        State::Terminated(ended) => {
            own.after_exit(ended.code, spec.restart_policy) == AfterExit::RestartAll
        }
        State::Waiting(_) | State::Running(_) => false,
    })
}

impl Probes {
    /// Workers for the probes that have none (each sync, once its volumes are there; rule N51):
    /// main containers first, then sidecars; the first worker that is there already ends it.
    pub fn add(&mut self, spec: &PodSpec, is_deleting: bool, now: SimTime) {
        let inits = spec.init_containers.len();
        let mains = spec.containers.iter().enumerate().map(|(at, own)| (inits + at, own, false));
        let sidecars = spec.init_containers.iter().enumerate();
        let sidecars = sidecars.filter(|(_, own)| own.restart_always);
        for (at, own, is_init) in mains.chain(sidecars.map(|(at, own)| (at, own, true))) {
            let Ok(container) = u8::try_from(at) else { return };
            let probes = [
                (Which::Startup, own.startup),
                (Which::Readiness, own.readiness),
                (Which::Liveness, own.liveness),
            ];
            for (which, probe) in probes {
                let Some(probe) = probe else { continue };
                if self.find(container, which).is_some() {
                    return;
                }
                let mut worker = Worker::new(container, which, probe, is_init, now);
                worker.was_deleting = is_deleting;
                self.workers.push(worker);
            }
        }
    }

    fn find(&self, container: u8, which: Which) -> Option<usize> {
        self.workers.iter().position(|w| w.container == container && w.which == which)
    }

    /// When a worker looks next by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<SimTime> {
        self.workers.iter().filter_map(Worker::due).min()
    }

    /// The next act of this instant, given the stored status; `None`: nothing is left to do.
    pub fn next(&mut self, spec: &PodSpec, status: Option<&Status>, now: SimTime) -> Option<Act> {
        loop {
            if let Some(act) = self.acts.pop_front() {
                return Some(act);
            }
            let at = self.workers.iter().position(|worker| {
                // Nobody wakes a worker that has not begun (rule N16).
                let has_begun = worker.looked.is_some() || worker.anchor <= now;
                let is_awake = has_begun && (worker.is_poked || worker.is_stopping);
                worker.tries.is_none() && (is_awake || worker.due().is_some_and(|due| due <= now))
            })?;
            self.step(at, spec, status, now);
        }
    }

    fn step(&mut self, at: usize, spec: &PodSpec, status: Option<&Status>, now: SimTime) {
        let worker = &mut self.workers[at];
        if worker.is_stopping && worker.looked.is_some() {
            self.workers.remove(at);
            return;
        }
        if std::mem::take(&mut worker.is_poked) && worker.looked.is_some() {
            worker.anchor = now;
        }
        worker.looked = Some(now);
        worker.doze = None;
        match worker.look(spec, status, now, &mut self.acts) {
            Look::End => {
                self.workers.remove(at);
            }
            Look::Idle => worker.doze = Some(SimTime::MAX),
            Look::Wait => {}
            Look::Ask => {
                worker.tries = Some(0);
                self.ask(at);
            }
        }
    }

    fn ask(&mut self, at: usize) {
        let worker = &self.workers[at];
        self.acts.push_back(Act::Probe {
            container: worker.container,
            which: worker.which,
            timeout: worker.probe.timeout,
            is_cancelled: self.is_cancelled,
        });
    }

    /// A probe is over; go on with [`Probes::next`].
    pub fn answered(&mut self, container: u8, which: Which, outcome: Outcome) {
        let Some(at) = self.find(container, which) else { return };
        let worker = &mut self.workers[at];
        let Some(tries) = worker.tries else { return };
        let verdict = match outcome {
            Outcome::Ok | Outcome::Sandbox(_) => Verdict::Success,
            Outcome::Exit(_) | Outcome::TimedOut => Verdict::Failure,
            Outcome::Failed
            | Outcome::NotRunning
            | Outcome::Cancelled
            | Outcome::Errored
            | Outcome::Replaced => {
                if tries + 1 < TRIES {
                    worker.tries = Some(tries + 1);
                    self.ask(at);
                } else {
                    worker.tries = None;
                    self.acts.push_back(Act::Unhealthy { container, which, outcome });
                }
                return;
            }
        };
        worker.tries = None;
        if verdict == Verdict::Failure {
            self.acts.push_back(Act::Unhealthy { container, which, outcome });
        }
        worker.count(verdict, &mut self.acts);
    }

    /// A probe answers the same until then: if its result is settled, looks before it are skipped.
    pub fn steady(&mut self, container: u8, which: Which, until: SimTime) {
        let Some(at) = self.find(container, which) else { return };
        let worker = &mut self.workers[at];
        if worker.tries.is_none() && worker.published == worker.last {
            worker.doze = Some(until);
        }
    }

    /// The stored status or the answers are others from now on.
    pub fn wake(&mut self, now: SimTime) {
        for worker in &mut self.workers {
            worker.doze = worker.doze.is_some().then_some(now);
        }
    }

    /// The API status of a container is built: whether it has started and is ready, given the run
    /// that is running and whether the status before called it started. A readiness that is not
    /// there yet is asked for out of band (rule N85), at the next [`Probes::next`].
    pub fn report(
        &mut self,
        container: u8,
        running: Option<u32>,
        was_started: bool,
    ) -> (bool, bool) {
        let Some(id) = running else { return (false, false) };
        let started = self.is_started(container, id, was_started);
        if !started {
            return (false, false);
        }
        let Some(at) = self.find(container, Which::Readiness) else { return (true, true) };
        let worker = &mut self.workers[at];
        let ready = worker.id == Some(id) && worker.published == Some(Verdict::Success);
        worker.is_poked |= !ready;
        (true, ready)
    }

    /// Rule N84: a run that the startup worker has not met counts as started if the one before was.
    fn is_started(&self, container: u8, id: u32, was_started: bool) -> bool {
        let worker = self.find(container, Which::Startup).map(|at| &self.workers[at]);
        match worker {
            Some(Worker { id: Some(known), published: Some(verdict), .. }) if *known == id => {
                *verdict == Verdict::Success
            }
            Some(_) => was_started,
            None => true,
        }
    }

    /// Takes back the pokes that `is_later` wants to be after the status is stored; gives them.
    pub fn hold_pokes(&mut self, mut is_later: impl FnMut(u8) -> bool) -> SmallVec<[u8; 2]> {
        let mut held = SmallVec::new();
        for worker in &mut self.workers {
            if worker.is_poked && is_later(worker.container) {
                worker.is_poked = false;
                held.push(worker.container);
            }
        }
        held
    }

    /// Asks a readiness worker to look now.
    pub fn poke(&mut self, container: u8) {
        if let Some(at) = self.find(container, Which::Readiness) {
            self.workers[at].is_poked = true;
        }
    }

    /// Whether a worker is asked to look now.
    #[must_use]
    pub fn is_poked(&self) -> bool {
        self.workers.iter().any(|worker| worker.is_poked)
    }

    /// The run that a worker knows.
    #[must_use]
    pub fn id(&self, container: u8, which: Which) -> Option<u32> {
        self.workers[self.find(container, which)?].id
    }

    /// What a worker says of a run; `None`: nothing.
    #[must_use]
    pub fn verdict(&self, container: u8, which: Which, id: u32) -> Option<Verdict> {
        let worker = &self.workers[self.find(container, which)?];
        if worker.id == Some(id) { worker.published } else { None }
    }

    /// Whether a run is to be killed, and for which of its probes (rule N94).
    #[must_use]
    pub fn condemned(&self, container: u8, id: u32) -> Option<Which> {
        let fails = |which: &Which| self.verdict(container, *which, id) == Some(Verdict::Failure);
        [Which::Liveness, Which::Startup].into_iter().find(fails)
    }

    /// Termination begins: liveness and startup of main containers end (rule N125).
    pub fn stop_liveness_and_startup(&mut self) {
        for worker in &mut self.workers {
            worker.is_stopping |= !worker.is_init && worker.which != Which::Readiness;
        }
    }

    /// The containers are dead: all workers end.
    pub fn remove(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.is_stopping = true);
    }

    /// The context of the workers is cancelled (rule N138). Gives the probes under way, which end
    /// with [`Outcome::Cancelled`] if the runtime heeds it.
    pub fn cancel(&mut self) -> SmallVec<[(u8, Which); 2]> {
        self.is_cancelled = true;
        let busy = self.workers.iter().filter(|worker| worker.tries.is_some());
        busy.map(|worker| (worker.container, worker.which)).collect()
    }

    /// The kubelet starts anew, and its workers with it: each waits for a part of its period,
    /// `phase` from 0 to 1, before it looks first. A container that `keeps` its state is as it was
    /// until a probe says something else (rule N16). Gives the probes under way, which nobody waits
    /// for any more.
    pub fn restarted(
        &mut self,
        now: SimTime,
        keeps: impl Fn(u8) -> bool,
        phase: &mut dyn FnMut() -> f64,
    ) -> SmallVec<[(u8, Which, Duration); 2]> {
        let mut busy = SmallVec::new();
        self.acts.clear();
        for worker in &mut self.workers {
            if worker.tries.take().is_some() {
                busy.push((worker.container, worker.which, worker.probe.timeout));
            }
            if !keeps(worker.container) {
                (worker.id, worker.published) = (None, None);
            }
            (worker.last, worker.run, worker.is_on_hold) = (None, 0, false);
            (worker.looked, worker.doze, worker.is_poked) = (None, None, false);
            worker.anchor = now.saturating_add(worker.probe.period.scale(phase()));
        }
        busy
    }

    /// Whether no worker is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }
}
