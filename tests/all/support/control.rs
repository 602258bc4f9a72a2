//! Controllers alone: a cluster whose pods do what a script says, at once and in virtual time.
//!
//! A pod is bound and runs when it is created and is gone when its deletion is asked for, unless
//! the script delays that. Of the keys that wait at one instant the ReplicaSets come first, so
//! that a Deployment always reads a fresh status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seatrial::autoscalers::HorizontalController;
use seatrial::base::{Duration, Id, SimTime};
use seatrial::cluster::{
    Change, Cluster, Controller, Phase, Plan, Pod, PodReading, PodStatus, ReplicaSet, Requeue,
    Write,
};
use seatrial::controllers::{DeploymentController, EndpointSliceController, ReplicaSetController};
use seatrial::event::Event;
use seatrial::model::{DeploymentId, DeploymentSpec, Model, NodeId, ObjectKey, PodRef, Template};
use seatrial::recorder::Recorder;
use seatrial::sim::{Ctx, EventQueue, Streams};

use super::model::source;

/// What happens to a pod by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ready,
    Gone,
}

/// The world of the controllers.
pub(crate) struct Control {
    pub(crate) cluster: Cluster,
    controllers: Vec<Box<dyn Controller>>,
    queue: EventQueue<Event>,
    streams: Streams,
    recorder: Recorder,
    plan: Plan,
    /// Keys by (instant, place in the order of controllers, key).
    due: BTreeSet<(SimTime, usize, ObjectKey)>,
    /// Of the keys that wait for a later instant the earliest one (rule C15).
    delayed: BTreeMap<(usize, ObjectKey), SimTime>,
    /// By (instant, order of creation, step).
    steps: BTreeSet<(SimTime, u64, Step, PodRef)>,
    /// From the creation of a pod to its readiness; `None`: the test says when.
    pub(crate) ready_after: Option<Duration>,
    /// From the deletion of a pod to its end.
    pub(crate) gone_after: Duration,
    /// Sizes of the first Deployment's ReplicaSets, newest first, at each change.
    pub(crate) trace: Vec<Vec<u32>>,
}

impl Control {
    pub(crate) fn new(model: &Arc<Model>) -> Self {
        let streams = Streams { seed: model.run.seed, replication: 0 };
        let mut changes = Vec::new();
        let cluster = Cluster::new(model, &streams, &mut changes);
        let mut control = Self {
            cluster,
            controllers: vec![
                Box::new(ReplicaSetController::new(model, &streams)),
                Box::new(DeploymentController::new(model, &streams)),
                Box::new(EndpointSliceController::new(model, &streams)),
                Box::new(HorizontalController::new(model, &streams)),
            ],
            queue: EventQueue::new(1_000_000),
            streams,
            recorder: Recorder::off(),
            plan: Plan::default(),
            due: BTreeSet::new(),
            delayed: BTreeMap::new(),
            steps: BTreeSet::new(),
            ready_after: None,
            gone_after: Duration::ZERO,
            trace: Vec::new(),
        };
        control.hear(&changes);
        control
    }

    /// The next instant at which something happens.
    pub(crate) fn next_due(&self) -> Option<SimTime> {
        let key = self.due.first().map(|key| key.0);
        let step = self.steps.first().map(|step| step.0);
        key.into_iter().chain(step).min()
    }

    pub(crate) fn now(&self) -> SimTime {
        self.queue.now()
    }

    /// Lets everything happen that is due up to and at `at`.
    pub(crate) fn run_to(&mut self, at: Duration) {
        let at = SimTime::ZERO + at;
        loop {
            let key = self.due.first().copied();
            let Some(next) = self.next_due().filter(|next| *next <= at) else {
                break self.advance(at);
            };
            self.advance(next);
            let fires = |key: &(SimTime, usize, ObjectKey)| {
                key.0 == next && self.delayed.get(&(key.1, key.2)) == Some(&next)
            };
            let timer = key.is_some_and(|key| fires(&key));
            if !timer && self.steps.first().is_some_and(|step| step.0 == next) {
                let (_, _, step, pod) = self.steps.pop_first().expect("it is there");
                self.take_step(pod, step);
            } else if let Some(key) = key {
                self.due.remove(&key);
                if self.delayed.get(&(key.1, key.2)) == Some(&key.0) {
                    self.delayed.remove(&(key.1, key.2));
                }
                self.reconcile(key.1, key.2);
            }
        }
    }

    /// Lets everything happen that follows from the present instant.
    pub(crate) fn settle(&mut self) {
        self.run_to(self.now().since_start());
    }

    fn advance(&mut self, to: SimTime) {
        if to > self.now() {
            self.queue.push(to, Event::Sample);
            self.queue.pop();
        }
    }

    /// Writes as somebody outside.
    pub(crate) fn write(&mut self, write: Write) {
        self.plan.push(write);
        self.commit();
    }

    fn commit(&mut self) {
        let mut changes = Vec::new();
        let now = self.now();
        self.cluster.commit(&mut self.plan, now, &mut changes, &mut self.recorder);
        self.cluster.check_invariants();
        self.hear(&changes);
    }

    fn hear(&mut self, changes: &[Change]) {
        let now = self.now();
        let mut keys = Vec::new();
        for change in changes {
            for place in 0..self.controllers.len() {
                let controller = &self.controllers[place];
                controller.wakes(change, &self.cluster, &mut keys);
                let at = now + controller.wake_delay();
                for key in keys.drain(..) {
                    self.add(at, place, key);
                }
            }
        }
        for change in changes {
            match change {
                Change::PodAdded { pod, .. } => self.start(*pod),
                Change::PodDeleting { pod, .. } => {
                    self.plan_step(*pod, self.gone_after, Step::Gone);
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, at: SimTime, place: usize, key: ObjectKey) {
        if at > self.now() {
            let waiting = self.delayed.get(&(place, key)).copied();
            if waiting.is_some_and(|earlier| earlier <= at) {
                return;
            }
            if let Some(later) = waiting {
                self.due.remove(&(later, place, key));
            }
            self.delayed.insert((place, key), at);
        }
        self.due.insert((at, place, key));
    }

    fn plan_step(&mut self, pod: PodRef, delay: Duration, step: Step) {
        let serial = self.cluster.pod(pod).map_or(0, |pod| pod.serial);
        self.steps.insert((self.now() + delay, serial, step, pod));
    }

    fn start(&mut self, pod: PodRef) {
        let node = NodeId::from_index(0);
        self.plan.push(Write::BindPod { pod, node });
        self.run(pod);
        if let Some(delay) = self.ready_after {
            self.plan_step(pod, delay, Step::Ready);
        }
    }

    fn run(&mut self, pod: PodRef) {
        let now = self.now();
        let status = PodStatus {
            phase: Phase::Running,
            ip: Some(seatrial::base::Ip::LOCALHOST),
            start_time: Some(now),
            started: Some(now),
            ..PodStatus::NEW
        };
        self.write(Write::PodStatus { pod, status });
    }

    fn take_step(&mut self, pod: PodRef, step: Step) {
        match step {
            Step::Gone => self.write(Write::RemovePod { pod }),
            Step::Ready if self.cluster.pod(pod).is_some_and(Pod::is_active) => {
                self.set_ready(pod, true);
            }
            Step::Ready => {}
        }
    }

    /// Lets the metrics pipeline publish that each pod has used so many millicores since its last
    /// sample, or since its start.
    pub(crate) fn publish(&mut self, milli: u64) {
        let now = self.now();
        let spent = |pod: PodRef, row: &Pod| {
            let start = (row.created, Duration::ZERO);
            let (at, before) = self.cluster.metrics(pod.id).points[1].unwrap_or(start);
            let spent = before + Duration::ns((now - at).as_nanos() / 1000 * milli);
            PodReading { pod, at: now, spent, memory: 0, restarts: 0 }
        };
        let sample = self.pods().into_iter().map(|(pod, row)| spent(pod, row)).collect();
        self.write(Write::Metrics(sample));
    }

    /// Sets a pod's condition Ready.
    pub(crate) fn set_ready(&mut self, pod: PodRef, ready: bool) {
        if let Some(row) = self.cluster.pod(pod) {
            let status = PodStatus { ready, ..row.status };
            self.write(Write::PodStatus { pod, status });
        }
    }

    fn reconcile(&mut self, place: usize, key: ObjectKey) {
        let ctx = &mut Ctx {
            queue: &mut self.queue,
            streams: &self.streams,
            recorder: &mut self.recorder,
        };
        let requeue = self.controllers[place].reconcile(key, &self.cluster, &mut self.plan, ctx);
        if let Requeue::After(delay) = requeue {
            self.add(self.now() + delay, place, key);
        }
        self.commit();
        let sizes = self.sizes();
        if self.trace.last() != Some(&sizes) {
            self.trace.push(sizes);
        }
    }

    /// The first Deployment's ReplicaSets, newest first.
    pub(crate) fn sets(&self) -> Vec<&ReplicaSet> {
        let row = self.cluster.deployment(DeploymentId::from_index(0));
        let ids = row.map_or(&[][..], |row| &row.replica_sets);
        let rows = self.cluster.replica_sets();
        ids.iter().rev().map(|id| &rows[*id]).collect()
    }

    pub(crate) fn sizes(&self) -> Vec<u32> {
        self.sets().iter().map(|set| set.replicas).collect()
    }

    /// Pods that are not being deleted, in order of creation.
    pub(crate) fn pods(&self) -> Vec<(PodRef, &Pod)> {
        let pods = self.cluster.pods();
        let mut all: Vec<_> = pods
            .iter()
            .filter(|(_, pod)| pod.is_active())
            .map(|(id, pod)| (pods.refer(id), pod))
            .collect();
        all.sort_by_key(|(_, pod)| pod.serial);
        all
    }

    /// Makes the oldest pod ready that is not.
    pub(crate) fn one_more_ready(&mut self) -> bool {
        let waiting = self.pods().into_iter().find(|(_, pod)| !pod.status.ready);
        let Some(pod) = waiting.map(|(pod, _)| pod) else {
            return false;
        };
        self.set_ready(pod, true);
        self.settle();
        true
    }

    pub(crate) fn all_ready(&mut self) {
        while self.one_more_ready() {}
    }

    /// Changes the first Deployment.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut DeploymentSpec)) {
        let deployment = DeploymentId::from_index(0);
        let row = self.cluster.deployment(deployment).expect("it is there");
        let mut spec = DeploymentSpec::clone(&row.spec);
        change(&mut spec);
        spec.source = source(&spec);
        let spec = Arc::new(spec);
        self.write(Write::UpdateDeployment { deployment, spec });
    }

    pub(crate) fn roll_to(&mut self, template: &Arc<Template>) {
        let template = Arc::clone(template);
        self.update(|spec| spec.template = template);
    }

    pub(crate) fn scale(&mut self, replicas: u32) {
        let deployment = DeploymentId::from_index(0);
        self.write(Write::ScaleDeployment { deployment, replicas });
    }
}
