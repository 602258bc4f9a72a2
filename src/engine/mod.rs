//! The engine: the world with one field a role, the one `match`, the work queues of controllers,
//! the limits, and the run to the horizon or until nothing more will happen.
//!
//! It knows no files, no arguments and no policy. A test puts a scripted component in place of any
//! role by filling the field of [`Roles`] with it.

#![deny(clippy::wildcard_enum_match_arm)]

mod api_server;
mod awaited;
mod client;
mod commands;
mod managed;
mod objects;
mod outgoing;
mod pipeline;
mod sampling;
mod statuses;
mod work_queues;

use std::sync::Arc;

use crate::base::SimTime;
use crate::cluster::{
    Change, CloudRole, Cluster, Controller, GeneratorRole, KubeletEvent, KubeletRole, NodeRole,
    Plan, SchedulerRole, TrafficRole,
};
use crate::controllers::{
    AttachDetachController, CronJobController, DaemonSetController, DeploymentController,
    DisruptionController, EndpointSliceController, GARBAGE_COLLECTOR, GarbageCollector,
    JobController, NamespaceController, NodeLifecycleController, PodGcController,
    ReplicaSetController, StatefulSetController, TaintEvictionController,
    TtlAfterFinishedController,
};
use crate::drain::Drains;
use crate::event::{CloudEvent, Event};
use crate::kubectl::{Files, Output};
use crate::model::Model;
use crate::placement::Policy;
use crate::recorder::Recorder;
use crate::scheduler::Probe;
use crate::sim::{Ctx, EventQueue, Streams};

use work_queues::WorkQueues;

/// What a run has besides its model.
#[derive(Debug, Default)]
pub struct Extras {
    /// Policies of the user's own: those that the model names, in its order.
    pub policies: Vec<Arc<dyn Policy>>,
    /// Who sees each attempt of the scheduler.
    pub probe: Option<Box<dyn Probe>>,
}

/// Who plays which role.
pub struct Roles {
    /// Places pods.
    pub scheduler: Box<dyn SchedulerRole>,
    /// Runs pods on their nodes.
    pub kubelet: Box<dyn KubeletRole>,
    /// Reports of kubelets on their nodes.
    pub nodes: Box<dyn NodeRole>,
    /// Makes and deletes machines.
    pub cloud: Box<dyn CloudRole>,
    /// Calls and serves.
    pub traffic: Box<dyn TrafficRole>,
    /// Submits pods without a controller.
    pub generators: Box<dyn GeneratorRole>,
    /// The control loops, in the order in which they are woken.
    pub controllers: Vec<Box<dyn Controller>>,
}

impl Roles {
    /// The real ones: a registry with one row a controller.
    #[must_use]
    pub fn real(model: &Model, streams: &Streams) -> Self {
        Self::real_with(model, streams, Extras::default())
    }

    /// The real ones, with what the user brings.
    ///
    /// # Panics
    /// If the policies are not those that the model names.
    #[must_use]
    pub fn real_with(model: &Model, streams: &Streams, extras: Extras) -> Self {
        let Extras { policies, probe } = extras;
        let brought: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
        let wanted = &model.scheduler.policies;
        assert!(brought == *wanted, "the model knows policies {wanted:?}, the run has {brought:?}");
        let scheduler = crate::scheduler::Scheduler::new(model, streams);
        Self {
            scheduler: Box::new(scheduler.with_policies(policies).with_probe(probe)),
            kubelet: Box::new(crate::kubelet::Kubelet::new(model, streams)),
            nodes: Box::new(crate::kubelet::NodeReports::new(streams)),
            cloud: Box::new(crate::cloud::Provider::new(model)),
            traffic: Box::new(crate::traffic::Traffic::new(model, streams)),
            generators: Box::new(crate::generators::Generators::new(model, streams)),
            controllers: vec![
                Box::new(DeploymentController::new(model, streams)),
                Box::new(ReplicaSetController::new(model, streams)),
                Box::new(StatefulSetController::new(model, streams)),
                Box::new(DaemonSetController::new(model, streams)),
                Box::new(EndpointSliceController::new(model, streams)),
                Box::new(JobController::new(model, streams)),
                Box::new(TtlAfterFinishedController::new(model, streams)),
                Box::new(CronJobController::new(model, streams)),
                Box::new(DisruptionController::new(model, streams)),
                Box::new(NodeLifecycleController::new(model, streams)),
                Box::new(TaintEvictionController::new(model, streams)),
                Box::new(PodGcController::new(model, streams)),
                Box::new(NamespaceController::new(model, streams)),
                Box::new(AttachDetachController::new(model, streams)),
                Box::new(GarbageCollector::new(model, streams)),
                Box::new(crate::autoscalers::HorizontalController::new(model, streams)),
                Box::new(crate::autoscalers::KedaController::new(model)),
                Box::new(crate::autoscalers::ScaledJobController::new(model, streams)),
                Box::new(crate::autoscalers::VerticalController::new(model)),
                Box::new(crate::autoscalers::KarpenterController::new(model)),
                Box::new(crate::autoscalers::ClusterAutoscalerController::new(model)),
                Box::new(crate::controllers::NodeIpamController::new(model)),
            ],
        }
    }
}

/// A limit was passed, or the model asks for what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// An instant that does not end.
    #[error("more than {limit} events at {at}: last {event}")]
    EventsPerInstant {
        /// When.
        at: SimTime,
        /// The limit.
        limit: u64,
        /// The last event.
        event: String,
    },
    /// A run that does not end.
    #[error("more than {limit} events in the run, at {at}: last {event}")]
    Events {
        /// When.
        at: SimTime,
        /// The limit.
        limit: u64,
        /// The last event.
        event: String,
    },
    /// A cluster that grows without end.
    #[error("more than {limit} pods alive at {at}: last {event}")]
    Objects {
        /// When.
        at: SimTime,
        /// The limit.
        limit: u64,
        /// The last event.
        event: String,
    },
}

/// What a run leaves besides what the recorder took.
#[derive(Debug)]
pub struct Outcome {
    /// The recorder, with all facts.
    pub recorder: Recorder,
    /// The cluster at the end.
    pub cluster: Cluster,
    /// When the run ended.
    pub ended: SimTime,
    /// How many events happened.
    pub events: u64,
}

/// One run: a cluster, what will happen to it, and who acts.
pub struct World {
    cluster: Cluster,
    queue: EventQueue<Event>,
    streams: Streams,
    recorder: Recorder,
    roles: Roles,
    work: WorkQueues,
    plan: Plan,
    changes: Vec<Change>,
    drains: Drains,
    commands: commands::Commands,
    sampler: sampling::Sampler,
    pipeline: pipeline::Pipeline,
    managed: managed::Managed,
    is_idle: bool,
    checks: bool,
    last: LastWords,
}

impl World {
    /// A world with the real components.
    ///
    /// # Panics
    /// If the model names policies: then [`Self::with_extras`] brings them.
    #[must_use]
    pub fn new(model: &Arc<Model>, replication: u32, recorder: Recorder) -> Self {
        Self::with_extras(model, replication, recorder, Extras::default())
    }

    /// A world with the real components and what the user brings.
    ///
    /// # Panics
    /// If the policies are not those that the model names.
    #[must_use]
    pub fn with_extras(
        model: &Arc<Model>,
        replication: u32,
        recorder: Recorder,
        extras: Extras,
    ) -> Self {
        let streams = Streams { seed: model.run.seed, replication };
        let roles = Roles::real_with(model, &streams, extras);
        Self::with_roles(model, streams, roles, recorder)
    }

    /// A world with these components.
    #[must_use]
    pub fn with_roles(
        model: &Arc<Model>,
        streams: Streams,
        roles: Roles,
        recorder: Recorder,
    ) -> Self {
        let mut changes = Vec::new();
        let mut cluster = Cluster::new(model, &streams, &mut changes);
        if model.latencies.limited_clients
            && roles.controllers.iter().any(|own| own.name() == GARBAGE_COLLECTOR)
        {
            cluster.collect_later();
        }
        let work = WorkQueues::new(&roles.controllers, model, &streams);
        Self {
            cluster,
            queue: EventQueue::new(model.run.events_per_instant_max),
            streams,
            recorder,
            roles,
            work,
            plan: Plan::default(),
            changes,
            drains: Drains::new(model, &streams),
            commands: commands::Commands::new(model, &streams),
            sampler: sampling::Sampler::default(),
            pipeline: pipeline::Pipeline::default(),
            managed: managed::Managed::default(),
            is_idle: false,
            checks: false,
            last: LastWords {
                model: Arc::clone(model),
                streams,
                event: (SimTime::ZERO, Event::Sample),
            },
        }
    }

    /// Checks all invariants after every commit.
    #[must_use]
    pub const fn with_checks(mut self) -> Self {
        self.checks = true;
        self
    }

    /// Runs to the horizon, or until nothing more will happen.
    ///
    /// # Errors
    /// If a limit is passed.
    pub fn run(mut self) -> Result<Outcome, SimError> {
        let model = Arc::clone(self.cluster.model());
        let horizon = model.run.until.unwrap_or(SimTime::MAX);
        self.start(&model);
        while let Some((at, event)) = self.queue.pop_before(horizon) {
            self.last.event = (at, event);
            self.dispatch(event);
            self.settle();
            self.check_limits(&model)?;
            if self.is_idle {
                break;
            }
        }
        if let Err(passed) = self.queue.outcome() {
            let limit = model.run.events_per_instant_max;
            return Err(SimError::EventsPerInstant {
                at: passed.at,
                limit,
                event: format!("{:?}", self.last.event.1),
            });
        }
        Ok(self.finish(model.run.until))
    }

    fn start(&mut self, model: &Model) {
        let Self { cluster, queue, streams, recorder, plan, roles, work, .. } = self;
        let ctx = &mut Ctx { queue, streams, recorder };
        roles.scheduler.start(cluster, plan, ctx);
        roles.kubelet.start(cluster, plan, ctx);
        roles.nodes.start(cluster, plan, ctx);
        roles.cloud.start(cluster, plan, ctx);
        roles.traffic.start(cluster, plan, ctx);
        roles.generators.start(cluster, plan, ctx);
        work.begin(&roles.controllers, cluster, ctx);
        for (index, entry) in (0..).zip(&model.timeline) {
            if !entry.is_scripted {
                ctx.at(entry.at, Event::Timeline(index));
            }
        }
        for (script, of) in (0..).zip(&model.scripts) {
            ctx.at(of.at, Event::Script { script, slept: None });
        }
        self.tell();
        self.settle();
        sampling::start(&mut self.queue);
        self.pipeline.start(model, &mut self.queue);
    }

    /// The one match: each event goes to its role.
    fn dispatch(&mut self, event: Event) {
        if let Event::Timeline(index) = event {
            return commands::run(index, self);
        }
        if let Event::Script { script, slept } = event {
            return commands::start_script(script, slept, self);
        }
        if let Event::Command { command, step } = event {
            return commands::handle(command, step, self);
        }
        if let Event::Cloud(CloudEvent::Drain(instance)) = event {
            return commands::drain_machine(instance, self);
        }
        let Self { cluster, queue, streams, recorder, plan, roles, work, pipeline, .. } = self;
        let ctx = &mut Ctx { queue, streams, recorder };
        match event {
            Event::Write(id) => work.land(id, &mut roles.controllers, plan, ctx),
            Event::Kubelet { pod, step } => {
                roles.kubelet.handle(KubeletEvent::Pod(pod, step), cluster, plan, ctx);
            }
            Event::Slot { node, slot, step } => {
                roles.kubelet.handle(KubeletEvent::Slot(node, slot, step), cluster, plan, ctx);
            }
            Event::Server { pod, step } => {
                roles.kubelet.handle(KubeletEvent::Server(pod, step), cluster, plan, ctx);
            }
            Event::KubeletNode { node, step } => {
                roles.kubelet.handle(KubeletEvent::Node(node, step), cluster, plan, ctx);
            }
            Event::Node { node, step } => roles.nodes.handle((node, step), cluster, plan, ctx),
            Event::Cloud(event) => roles.cloud.handle(event, cluster, plan, ctx),
            Event::Traffic(event) => roles.traffic.handle(event, cluster, plan, ctx),
            // Commands write one after another: see above.
            Event::Timeline(_) | Event::Script { .. } | Event::Command { .. } => {}
            Event::Generator(generator) => roles.generators.handle(generator, cluster, plan, ctx),
            Event::Metrics => {
                let Roles { traffic, kubelet, .. } = roles;
                let measured =
                    &mut pipeline::Measured { traffic: &mut **traffic, kubelet: &**kubelet };
                pipeline.handle(measured, cluster, plan, ctx);
            }
            Event::Reconcile { controller, key } => {
                work.reconcile((controller, key), &mut roles.controllers, cluster, plan, ctx);
            }
            Event::Scheduler(event) => roles.scheduler.handle(event, cluster, plan, ctx),
            Event::Drain { drain, step } => {
                self.drains.handle((drain, step), cluster, plan, ctx);
                commands::look_at_drains(self);
            }
            Event::Sample => {
                let retries = self.drains.refused_pods();
                self.is_idle = !self.sampler.sample(cluster, retries, ctx);
            }
        }
    }

    /// Commits what was asked for and tells everybody.
    fn settle(&mut self) {
        if self.plan.is_empty() {
            return;
        }
        let now = self.queue.now();
        self.cluster.commit(&mut self.plan, now, &mut self.changes, &mut self.recorder);
        if self.checks {
            self.cluster.check_invariants();
        }
        self.tell();
    }

    fn tell(&mut self) {
        let Self { cluster, queue, streams, recorder, roles, work, changes, .. } = self;
        let (commands, pipeline) = (&mut self.commands, &mut self.pipeline);
        let ctx = &mut Ctx { queue, streams, recorder };
        for change in changes.drain(..) {
            pipeline.observe(&change, cluster, ctx);
            roles.kubelet.observe(&change, cluster, ctx);
            roles.traffic.observe(&change, cluster, ctx);
            roles.nodes.observe(&change, cluster, ctx);
            roles.cloud.observe(&change, cluster, ctx);
            roles.generators.observe(&change, cluster, ctx);
            work.wake(&change, &mut roles.controllers, cluster, ctx);
            roles.scheduler.observe(&change, cluster, ctx);
            commands.observe(&change, cluster, ctx);
        }
    }

    fn check_limits(&self, model: &Model) -> Result<(), SimError> {
        let (at, event) = self.last.event;
        if self.queue.events_popped() > model.run.events_max {
            let limit = model.run.events_max;
            return Err(SimError::Events { at, limit, event: format!("{event:?}") });
        }
        if self.cluster.pods().len() as u64 > model.run.objects_max {
            let limit = model.run.objects_max;
            return Err(SimError::Objects { at, limit, event: format!("{event:?}") });
        }
        Ok(())
    }

    /// Records the pods that are still there, in order of their creation.
    fn finish(self, until: Option<SimTime>) -> Outcome {
        let Self { cluster, mut queue, mut recorder, streams, mut drains, .. } = self;
        let ended = until.unwrap_or_else(|| queue.now());
        let ctx = &mut Ctx { queue: &mut queue, streams: &streams, recorder: &mut recorder };
        drains.finish(ctx);
        let mut left: Vec<_> = cluster.pods().iter().map(|(id, p)| (p.serial, id)).collect();
        left.sort_unstable();
        let machines = cluster.cloud().instances();
        let mut running: Vec<_> = machines.iter().map(|(id, m)| (m.serial, id)).collect();
        running.sort_unstable();
        for (_, id) in running {
            if let Some(record) = cluster.machine_record(machines.refer(id), None) {
                recorder.machine(&record);
            }
        }
        for (id, node) in cluster.nodes().enumerate() {
            if !node.is_machine {
                recorder.machine(&cluster.node_record(id));
            }
        }
        for (_, id) in left {
            recorder.pod(&cluster.pod_record(id, None));
        }
        cluster.namespaces_left().for_each(|row| recorder.namespace(row));
        let events = queue.events_popped();
        Outcome { recorder, cluster, ended, events }
    }

    /// How many events have happened.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.queue.events_popped()
    }

    /// The cluster as it is now.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> SimTime {
        self.queue.now()
    }

    /// Starts the run without going on: for tests that step.
    pub fn begin(&mut self) {
        let model = Arc::clone(self.cluster.model());
        self.start(&model);
    }

    /// Lets everything happen that is due before `until`; true while something is left after it.
    pub fn step_until(&mut self, until: SimTime) -> bool {
        while let Some((at, event)) = self.queue.pop_before(until) {
            self.last.event = (at, event);
            self.dispatch(event);
            self.settle();
        }
        !self.queue.is_empty()
    }

    /// Lets everything happen up to `at`, and then kubectl carry out a line: for tests that play a
    /// user.
    ///
    /// # Errors
    /// A word that cannot be taken, or a drain that cannot begin.
    pub fn kubectl(&mut self, at: SimTime, line: &str, files: &Files) -> Result<Output, String> {
        self.advance_to(at);
        let output = commands::kubectl(line, files, self);
        self.settle();
        output
    }

    /// Lets everything happen up to `at`, and brings the clock there.
    pub fn advance_to(&mut self, at: SimTime) {
        // The clock stands at its last event: this one brings it to `at`.
        self.queue.push(at, Event::Sample);
        while let Some((now, event)) = self.queue.pop() {
            if (now, event) == (at, Event::Sample) {
                break;
            }
            self.last.event = (now, event);
            self.dispatch(event);
            self.settle();
        }
    }

    /// Adds a change from outside, at the present instant: for tests that play kubectl.
    pub fn apply(&mut self, fill: impl FnOnce(&mut Cluster, &mut Plan)) {
        fill(&mut self.cluster, &mut self.plan);
        self.settle();
    }
}

/// What a panic tells: it is a bug of ours, and this repeats it.
struct LastWords {
    model: Arc<Model>,
    streams: Streams,
    event: (SimTime, Event),
}

impl Drop for LastWords {
    #[expect(clippy::print_stderr, reason = "a bug's last words, in no normal run")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (at, event) = self.event;
            let Streams { seed, replication } = self.streams;
            let name = &self.model.name;
            eprintln!("bug at {at} of \"{name}\", last event {event:?}");
            eprintln!("repeat it: --seed {seed}, replication {replication}");
        }
    }
}
