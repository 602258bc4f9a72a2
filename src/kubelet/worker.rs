//! The worker of one pod, for the time of one event: which step leads where, and the tools of all
//! steps.

use crate::base::{Distribution, Duration, SimTime, dist};
use crate::cluster::{Cluster, Phase, Plan, Pod, Serving, Write};
use crate::event::{Event, KubeletStep};
use crate::model::{self, Behavior, Model, PodRef, Template};
use crate::record::{About, EventRecord};
use crate::sim::Ctx;

use super::state::{Container, End, NEVER, NodeState, PodState, Process, Stage};

/// A pod's worker, and all that it may touch.
pub(super) struct Worker<'a, 'q> {
    /// The pod.
    pub pod: PodRef,
    /// Its row in the API.
    pub row: &'a Pod,
    /// Its template.
    pub template: &'a Template,
    /// The model.
    pub model: &'a Model,
    /// The cluster.
    pub cluster: &'a Cluster,
    /// What the kubelet knows of the pod.
    pub state: &'a mut PodState,
    /// What the kubelet keeps for the node.
    pub node: &'a mut NodeState,
    /// The present instant.
    pub now: SimTime,
    /// Whether anybody can call the pod: if not, nobody asks for the state of its server, and it
    /// has nothing to drain.
    pub is_called: bool,
    /// Whether the object's removal has been asked for.
    pub is_removed: bool,
    /// What is asked for.
    pub plan: &'a mut Plan,
    /// Queue and recorder.
    pub ctx: &'a mut Ctx<'q>,
}

/// The number of a container.
///
/// # Panics
/// If a pod has more than 255 containers.
pub(super) fn small(index: usize) -> u8 {
    u8::try_from(index).expect("at most 255 containers")
}

impl Worker<'_, '_> {
    /// One event: the step, what follows from it at this instant, and the status if it changed.
    pub(super) fn work(mut self, step: KubeletStep, rejection: Option<&'static str>) {
        if step == KubeletStep::Admit {
            self.admit(rejection);
        } else {
            self.step(step);
        }
        self.go_on();
        self.flush(step == KubeletStep::StatusWrite);
    }

    /// Each step to its handler, if it is still due.
    fn step(&mut self, step: KubeletStep) {
        match step {
            KubeletStep::Admit => {}
            KubeletStep::VolumesReady if self.is_due(Stage::Volumes) => self.volumes_ready(),
            KubeletStep::SandboxReady if self.is_due(Stage::Sandbox) => self.sandbox_ready(),
            KubeletStep::Pulled(c) if self.is_at_hand(c) => self.pulled(c),
            KubeletStep::Started(c) if self.is_at_hand(c) => self.started(c),
            KubeletStep::PostStarted(c) if self.is_at_hand(c) => self.post_started(),
            KubeletStep::Able(c) if self.at(c).able_at == self.now => self.able(c),
            KubeletStep::Exited(c) if self.at(c).exit_due == self.now => self.exits(c),
            KubeletStep::ExitSeen(c) if self.at(c).seen_due == self.now => self.exit_seen(c),
            KubeletStep::Restart(c) if self.at(c).restart_due == self.now => self.restart(c),
            KubeletStep::Readiness(c) if self.at(c).ready_due == self.now => self.readiness(c),
            KubeletStep::Liveness(c) if self.at(c).live_due == self.now => self.liveness(c),
            KubeletStep::Startup(c) if self.at(c).startup_due == self.now => self.startup(c),
            KubeletStep::StatusWrite => {}
            KubeletStep::Kill => self.kill(),
            KubeletStep::PreStopped(c) if self.at(c).stop_due == self.now => self.pre_stopped(c),
            KubeletStep::AcceptEnds(c) if self.at(c).stop_due == self.now => self.drain(c),
            KubeletStep::DrainEnds(c) if self.at(c).stop_due == self.now => self.bows_out(c),
            KubeletStep::GraceEnds(c) if self.at(c).grace_due == self.now => self.grace_ends(c),
            KubeletStep::SandboxStopped if self.is_due(Stage::SandboxStop) => {
                self.sandbox_stopped();
            }
            KubeletStep::Finalize if self.is_due(Stage::Finalize) => self.finalize(),
            KubeletStep::Deadline => self.deadline(),
            KubeletStep::PowerLost => self.power_lost(),
            KubeletStep::VolumesReady
            | KubeletStep::SandboxReady
            | KubeletStep::Pulled(_)
            | KubeletStep::Started(_)
            | KubeletStep::PostStarted(_)
            | KubeletStep::Able(_)
            | KubeletStep::Exited(_)
            | KubeletStep::ExitSeen(_)
            | KubeletStep::Restart(_)
            | KubeletStep::Readiness(_)
            | KubeletStep::Liveness(_)
            | KubeletStep::Startup(_)
            | KubeletStep::PreStopped(_)
            | KubeletStep::AcceptEnds(_)
            | KubeletStep::DrainEnds(_)
            | KubeletStep::GraceEnds(_)
            | KubeletStep::SandboxStopped
            | KubeletStep::Finalize => {}
        }
    }

    /// Whatever the pod's worker can do now, until something takes time or there is nothing more.
    fn go_on(&mut self) {
        loop {
            match self.state.stage {
                Stage::Running if self.state.at_hand.is_none() => {
                    if !self.pass() {
                        return;
                    }
                }
                Stage::Stopping if self.state.all_dead() => self.stopped(),
                Stage::Bound
                | Stage::Volumes
                | Stage::Sandbox
                | Stage::Running
                | Stage::Stopping
                | Stage::SandboxStop
                | Stage::Finalize
                | Stage::Ended
                | Stage::Down => return,
            }
        }
    }

    /// One move of a pod without a container at hand; false if there is none.
    fn pass(&mut self) -> bool {
        let may_start = self.state.in_pass || !self.state.kill_pending;
        let next = if may_start { self.next_to_start() } else { None };
        if let Some(c) = next {
            self.state.in_pass = true;
            self.begin_start(c);
            if self.is_init(c) && self.state.at_hand.is_none() {
                self.close_pass();
            }
        } else if self.state.in_pass {
            self.close_pass();
        } else if self.state.kill_pending {
            self.begin_kill();
        } else if let Some(c) = self.condemned() {
            self.begin_probe_kill(c);
        } else if self.is_complete() {
            self.complete();
        } else {
            return false;
        }
        true
    }

    fn is_due(&self, stage: Stage) -> bool {
        self.state.stage == stage && self.state.due == self.now
    }

    fn is_at_hand(&self, c: u8) -> bool {
        self.state.at_hand == Some(c) && self.state.due == self.now
    }

    /// Lets a step of the pod's worker happen after `delay`; at once if there is none.
    pub(super) fn wait(&mut self, delay: Duration, step: KubeletStep) {
        self.state.due = self.now + delay;
        if delay.is_zero() {
            self.step(step);
        } else {
            self.later(self.state.due, step);
        }
    }

    /// Lets a step happen at an instant.
    pub(super) fn later(&mut self, at: SimTime, step: KubeletStep) {
        if at != NEVER {
            self.ctx.at(at, Event::Kubelet { pod: self.pod, step });
        }
    }

    /// One draw of the machinery.
    pub(super) fn draw(&mut self, of: &Distribution) -> Duration {
        of.sample_duration(&mut self.node.machinery)
    }

    /// How late something is noticed that the kubelet did not cause (rule N4).
    pub(super) fn draw_relist(&mut self) -> Duration {
        let period = self.model.latencies.relist;
        if period.is_zero() {
            return period;
        }
        period.scale(dist::open01(&mut self.node.machinery))
    }

    /// Whether the machinery takes no time: then nothing is late by chance either.
    pub(super) fn is_ideal(&self) -> bool {
        self.model.latencies.relist.is_zero()
    }

    pub(super) fn at(&self, c: u8) -> &Container {
        &self.state.containers[usize::from(c)]
    }

    pub(super) fn at_mut(&mut self, c: u8) -> &mut Container {
        &mut self.state.containers[usize::from(c)]
    }

    /// The numbers of all containers.
    pub(super) fn all(&self) -> std::ops::Range<u8> {
        0..small(self.state.containers.len())
    }

    fn inits(&self) -> usize {
        self.template.spec.init_containers.len()
    }

    /// The numbers of the app containers.
    pub(super) fn mains(&self) -> std::ops::Range<u8> {
        small(self.inits())..small(self.state.containers.len())
    }

    /// Whether it is an init container (sidecars among them).
    pub(super) fn is_init(&self, c: u8) -> bool {
        usize::from(c) < self.inits()
    }

    /// Whether it is a sidecar: an init container that keeps running (rule N65).
    pub(super) fn is_sidecar(&self, c: u8) -> bool {
        self.is_init(c) && self.spec(c).restart_always
    }

    /// Whether it is a container that serves calls and may get some.
    pub(super) fn is_server(&self, c: u8) -> bool {
        let is_it = |server| usize::from(server) + self.inits() == usize::from(c);
        self.is_called && self.template.server.is_some_and(is_it)
    }

    /// Whether a container of the pod serves calls and may get some.
    pub(super) fn has_server(&self) -> bool {
        self.is_called && self.template.server.is_some()
    }

    /// A container as its template describes it.
    pub(super) fn spec<'b>(&self, c: u8) -> &'b model::Container
    where
        Self: 'b,
    {
        let (spec, index) = (&self.template.spec, usize::from(c));
        match index.checked_sub(spec.init_containers.len()) {
            None => &spec.init_containers[index],
            Some(index) => &spec.containers[index],
        }
    }

    /// What a container does.
    pub(super) fn behavior<'b>(&self, c: u8) -> &'b Behavior
    where
        Self: 'b,
    {
        &self.template.behaviors[usize::from(c)]
    }

    /// Sets the state of the pod's server.
    pub(super) fn set_serving(&mut self, state: Serving) {
        self.plan.push(Write::Serving { pod: self.pod, state });
    }

    /// Tells a Kubernetes Event about the pod, if somebody wants it.
    pub(super) fn tell(
        &mut self,
        is_warning: bool,
        reason: &'static str,
        message: impl FnOnce(&Self) -> String,
    ) {
        if !self.ctx.recorder.wants_events() {
            return;
        }
        let about = About::Pod(self.row.namespace, self.row.name);
        let message = message(self);
        self.ctx.recorder.event(EventRecord { at: self.now, is_warning, reason, about, message });
    }

    /// The name of a container.
    pub(super) fn name(&self, c: u8) -> &str {
        self.cluster.names().resolve(self.spec(c).name)
    }

    /// The pod is to end, as soon as its worker is free.
    fn end(&mut self, end: End) {
        self.state.end = end;
        match self.state.stage {
            Stage::Bound | Stage::Volumes | Stage::Down => self.stopped(),
            Stage::Sandbox | Stage::Running => self.state.kill_pending = true,
            Stage::Stopping | Stage::SandboxStop | Stage::Finalize => {}
            Stage::Ended => {
                self.state.stage = Stage::Finalize;
                let delay = self.draw(&self.model.latencies.finalize);
                self.wait(delay, KubeletStep::Finalize);
            }
        }
    }

    /// The kubelet sees the deletion. A second, shorter one changes nothing of a stop under way
    /// (rule N137).
    fn kill(&mut self) {
        if !self.is_removed {
            self.end(End::Removed);
        }
    }

    /// `activeDeadlineSeconds` is over (rule N133).
    fn deadline(&mut self) {
        let is_alive = match self.state.stage {
            Stage::Volumes | Stage::Sandbox | Stage::Running => true,
            Stage::Bound
            | Stage::Stopping
            | Stage::SandboxStop
            | Stage::Finalize
            | Stage::Ended
            | Stage::Down => false,
        };
        if is_alive && !self.state.kill_pending {
            self.tell(false, "DeadlineExceeded", |_| {
                "Pod was active on the node longer than the specified deadline".to_owned()
            });
            self.end(End::Failed("DeadlineExceeded"));
        }
    }

    /// The machine died: processes and network namespace are gone, and nobody writes about it.
    fn power_lost(&mut self) {
        let now = self.now;
        for container in &mut self.state.containers {
            if container.process == Process::Running {
                *container = container.without_process(now);
            }
            container.ready_due = NEVER;
            container.seen_due = NEVER;
            container.restart_due = NEVER;
            (container.backoff, container.is_ready) = (Duration::ZERO, false);
        }
        self.state.due = NEVER;
        self.state.write_due = NEVER;
        self.state.at_hand = None;
        (self.state.in_pass, self.state.kill_pending) = (false, false);
        self.state.has_sandbox = false;
        if self.state.stage != Stage::Ended {
            self.state.stage = Stage::Down;
        }
        if self.has_server() {
            self.set_serving(Serving::Gone);
        }
    }

    /// The phase is terminal: the kubelet is done with the pod.
    pub(super) fn ended(&mut self, phase: Phase, reason: &'static str) {
        let last = self.state.containers.iter().map(|c| c.finished).max();
        self.state.stage = Stage::Ended;
        self.state.status.phase = phase;
        self.state.status.reason = reason;
        self.state.status.ready = false;
        self.state.status.finished =
            Some(last.filter(|_| self.state.initialised).unwrap_or(self.now));
        self.state.status.exits = self.exit_codes();
    }
}
