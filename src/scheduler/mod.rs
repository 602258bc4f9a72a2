//! The scheduler: takes waiting pods one by one and binds them to nodes.
//!
//! ```text
//! change ─(watch)─► notice ─► cache (placer), queue ─► ScheduleOne ─► assume ─(latency)─► bind
//!                                    ▲                      │
//!                                    └──── rejected ◄───────┘
//! ```
//!
//! It owns the queue and a cache of its own: nodes and pods as its watch has told, and the pods
//! that it has assumed on a node before their binding is there (rules S1, S6, S52). Where a pod
//! goes is decided in `placement`.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler (rules S1 to S62, S130 to S150). Differs: a failed
//! attempt is back in the queue at the instant it began, so nothing happens to a pod while it is
//! being placed; bindings do not fail; a pod does not change; preemption, nominated nodes and
//! extenders are absent; pods that are there at the start come in the order of their creation.

mod binder;
mod hints;
mod probe;
mod queue;

use std::collections::VecDeque;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::base::{Distribution, Duration, IdVec, Interner, LookupSet, SimTime, Symbol};
use crate::cluster::{Change, Cluster, Component, NodeChange, Plan, Pod, Write};
use crate::event::{Event, SchedulerEvent};
use crate::model::{Model, NodeId, PodId, PodRef, PodSpec, TemplateId};
use crate::placement::plugins::volumes::hints::StorageChange;
use crate::placement::{ClassId, Decision, Failure, Placer, PodInfo, Policy};
use crate::record::{About, EventRecord};
use crate::sim::{Ctx, Streams};

pub use binder::VolumeBinder;
pub use hints::{Happened, may_help};
pub use probe::Probe;
pub use queue::{Place, SchedulingQueue, Waiting};

/// The name of the one profile (rule S4).
const PROFILE: &str = "default-scheduler";
/// The longest message of a Kubernetes Event, in bytes (rule S60).
const EVENT_MESSAGE_MAX: usize = 1024;

/// What the watch tells.
#[derive(Clone, Copy, Debug)]
enum Notice {
    /// A pod is new.
    Added(PodRef),
    /// A pod has a node.
    Bound(PodRef, NodeId),
    /// A pod has ended or is gone.
    Freed(PodRef),
    /// A node is new or declares something else.
    Node(NodeId),
}

/// A pod that is counted on a node: bound, or assumed to be.
#[derive(Clone, Copy, Debug)]
struct Counted {
    life: u32,
    node: NodeId,
    class: ClassId,
}

/// What all pods of a template share.
#[derive(Clone, Debug)]
struct Kind {
    spec: Arc<PodSpec>,
    class: ClassId,
    is_ours: bool,
}

/// The scheduler with the default profile.
#[derive(Debug)]
pub struct Scheduler {
    placer: Placer,
    queue: SchedulingQueue,
    counted: IdVec<PodId, Option<Counted>>,
    kinds: IdVec<TemplateId, Option<Kind>>,
    watch: Lag,
    inbox: VecDeque<Notice>,
    binding: Lag,
    volumes: VolumeBinder,
    cycle: Duration,
    /// Whether a `ScheduleOne` is under way.
    is_armed: bool,
    backoff_flush: Option<SimTime>,
    unschedulable_flush: Option<SimTime>,
    strangers: LookupSet<Symbol>,
    probe: Option<Box<dyn Probe>>,
}

impl Scheduler {
    /// Of this model; its cache is empty until the run starts.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let settings = &model.scheduler;
        let (latencies, open) = (&model.latencies, |of| streams.open(of, ""));
        Self {
            placer: Placer::new(settings),
            queue: SchedulingQueue::new(settings.backoff_initial, settings.backoff_max),
            counted: IdVec::new(),
            kinds: IdVec::new(),
            watch: Lag::new(&latencies.watch, open("scheduler-watch")),
            inbox: VecDeque::new(),
            binding: Lag::new(&latencies.schedule, open("scheduler-binding")),
            volumes: VolumeBinder::new(latencies, open("scheduler-volumes")),
            cycle: latencies.schedule_cycle,
            is_armed: false,
            backoff_flush: None,
            unschedulable_flush: None,
            strangers: LookupSet::new(),
            probe: None,
        }
    }

    /// With policies of the user's own, which profiles name as `Plugin::Custom`.
    #[must_use]
    pub fn with_policies(mut self, policies: Vec<Arc<dyn Policy>>) -> Self {
        self.placer = self.placer.with_policies(policies);
        self
    }

    /// With somebody who sees each attempt.
    #[must_use]
    pub fn with_probe(mut self, probe: Option<Box<dyn Probe>>) -> Self {
        self.probe = probe;
        self
    }

    /// The pods that wait.
    #[must_use]
    pub const fn queue(&self) -> &SchedulingQueue {
        &self.queue
    }

    /// The nodes as this scheduler sees them.
    #[must_use]
    pub const fn placer(&self) -> &Placer {
        &self.placer
    }
}

impl Component<SchedulerEvent> for Scheduler {
    fn start(&mut self, cluster: &Cluster, _plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let order = cluster.initial_node_order(ctx.streams);
        let nodes = order.iter().map(|id| (*id, cluster.nodes()[*id].spec.clone()));
        self.placer.add_nodes(nodes, cluster.names());
        VolumeBinder::start(&cluster.model().storage, &mut self.placer, cluster.names());
    }

    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(notice) = notice_of(change) else {
            return;
        };
        if self.watch.is_none() {
            return self.learn(notice, cluster, ctx);
        }
        self.inbox.push_back(notice);
        let at = self.watch.ordered(ctx.now());
        ctx.at(at, Event::Scheduler(SchedulerEvent::Notice));
    }

    fn handle(
        &mut self,
        event: SchedulerEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        match event {
            SchedulerEvent::Notice => {
                let notice = self.inbox.pop_front().expect("a delivery has a notice");
                self.learn(notice, cluster, ctx);
            }
            SchedulerEvent::ScheduleOne => self.schedule_one(cluster, plan, ctx),
            SchedulerEvent::Bind(pod) => self.bind(pod, cluster, plan, ctx),
            SchedulerEvent::FlushBackoff => {
                self.backoff_flush = None;
                self.queue.flush_backoff(ctx.now());
                self.arm(ctx);
            }
            SchedulerEvent::FlushUnschedulable => {
                self.unschedulable_flush = None;
                self.queue.flush_unschedulable(ctx.now());
                self.arm(ctx);
            }
        }
    }
}

/// What of a change the watch tells.
const fn notice_of(change: &Change) -> Option<Notice> {
    match change {
        Change::PodAdded { pod, .. } => Some(Notice::Added(*pod)),
        Change::PodBound { pod, node, .. } => Some(Notice::Bound(*pod, *node)),
        Change::PodStatus { pod, what, .. } if what.ended => Some(Notice::Freed(*pod)),
        Change::PodRemoved { pod, .. } => Some(Notice::Freed(*pod)),
        Change::Node {
            node,
            what:
                NodeChange::Added | NodeChange::Cordoned | NodeChange::Uncordoned | NodeChange::Taints,
        } => Some(Notice::Node(*node)),
        Change::PodStatus { .. }
        | Change::PodDeleting { .. }
        | Change::Serving { .. }
        | Change::ServerIdle { .. }
        | Change::ReplicaSet { .. }
        | Change::Deployment { .. }
        | Change::Hpa { .. }
        | Change::Service { .. }
        | Change::Endpoints { .. }
        | Change::Node { .. } => None,
    }
}

impl Scheduler {
    /// Takes over what the watch tells.
    fn learn(&mut self, notice: Notice, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        match notice {
            Notice::Added(pod) => self.enqueue(pod, cluster, ctx),
            Notice::Bound(pod, node) => self.count_bound(pod, node, cluster),
            Notice::Freed(pod) => self.free(pod, cluster, ctx),
            Notice::Node(node) => self.learn_node(node, cluster, ctx),
        }
    }

    /// A new pod without a node waits to be placed, unless it is not for this scheduler.
    fn enqueue(&mut self, pod: PodRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(row) = cluster.pod(pod) else { return };
        if row.node.is_some() {
            return;
        }
        let kind = self.kind_of(row, cluster);
        let (class, priority) = (kind.class, kind.spec.priority);
        let (is_ours, is_gated) = (kind.is_ours, !kind.spec.scheduling_gates.is_empty());
        let (names_node, asks_for) = (kind.spec.node_name.is_some(), kind.spec.scheduler_name);
        if names_node {
            return;
        }
        if !is_ours {
            return self.warn_of_stranger(asks_for, row, cluster, ctx);
        }
        if is_gated {
            return self.queue.add_gated(pod, class, priority, ctx.now());
        }
        self.queue.add(pod, class, priority, ctx.now());
        self.arm(ctx);
    }

    /// Says once of each other scheduler that its pods will wait for ever.
    fn warn_of_stranger(&mut self, who: Symbol, pod: &Pod, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if self.strangers.insert(who) {
            let who = cluster.names().resolve(who);
            let message = format!("no scheduler is called {who}: its pods are never placed");
            tell((true, "UnknownScheduler"), pod, message, ctx);
        }
    }

    fn kind_of(&mut self, pod: &Pod, cluster: &Cluster) -> &Kind {
        let spec = &cluster.template_of(pod).template.spec;
        let Self { kinds, placer, .. } = self;
        let slot = kinds.grow_to(pod.template);
        if !slot.as_ref().is_some_and(|kind| Arc::ptr_eq(&kind.spec, spec)) {
            let labels = cluster.template_of(pod).labels.clone();
            let info = PodInfo::plain(pod.namespace, labels, Arc::clone(spec));
            let info = Arc::new(info);
            *slot = Some(Kind {
                spec: Arc::clone(spec),
                class: placer.class(&info, cluster.names()),
                is_ours: cluster.names().resolve(spec.scheduler_name) == PROFILE,
            });
        }
        slot.as_ref().expect("set above")
    }

    /// A pod has a node: what this scheduler assumed, or somebody else's doing.
    fn count_bound(&mut self, pod: PodRef, node: NodeId, cluster: &Cluster) {
        let counted = self.counted.get(pod.id).copied().flatten();
        if counted.is_some_and(|c| c.life == pod.life) {
            return;
        }
        self.queue.forget(pod);
        if let Some(row) = cluster.pod(pod) {
            let class = self.kind_of(row, cluster).class;
            self.count(pod, node, class, cluster.names());
        }
    }

    fn count(&mut self, pod: PodRef, node: NodeId, class: ClassId, names: &Interner) {
        self.placer.add_pod(node, pod, class, names);
        let life = pod.life;
        *self.counted.grow_to(pod.id) = Some(Counted { life, node, class });
    }

    /// A pod has ended or is gone: what it held is free, which may help others (rules S6, S146).
    fn free(&mut self, pod: PodRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        self.queue.forget(pod);
        let slot = self.counted.get_mut(pod.id);
        let Some(gone) = slot.and_then(|slot| slot.take_if(|c| c.life == pod.life)) else {
            return;
        };
        self.placer.remove_pod(gone.node, pod);
        if self.queue.has_unschedulable() {
            let Self { queue, placer, .. } = self;
            let happened = Happened::PodFreed(placer.info(gone.class));
            wake(queue, placer, happened, cluster, ctx.now());
            self.arm(ctx);
        }
    }

    /// A node is new or declares something else.
    fn learn_node(&mut self, node: NodeId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let (spec, names) = (&cluster.nodes()[node].spec, cluster.names());
        let Self { queue, placer, .. } = self;
        match placer.nodes().get(node).map(|known| known.spec.clone()) {
            None => {
                placer.add_node(node, spec.clone(), names);
                let happened = Happened::NodeAdded(placer.nodes().state(node));
                wake(queue, placer, happened, cluster, ctx.now());
            }
            Some(known) if known == *spec => return,
            Some(known) => {
                placer.update_node(node, spec, names);
                let happened = Happened::NodeChanged(&known, placer.nodes().state(node));
                wake(queue, placer, happened, cluster, ctx.now());
            }
        }
        self.arm(ctx);
    }

    /// One turn of the loop (rule S1). When a cycle takes no time, failed ones are followed by the
    /// next at once: nothing can happen between them.
    fn schedule_one(&mut self, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        self.is_armed = false;
        while let Some(waiting) = self.queue.pop() {
            let (pod, class) = (waiting.pod, waiting.class);
            let has_failed = self.attempt((pod, class), cluster, plan, ctx);
            if !self.cycle.is_zero() {
                self.is_armed = true;
                ctx.after(self.cycle, Event::Scheduler(SchedulerEvent::ScheduleOne));
            }
            if !has_failed || self.is_armed {
                break;
            }
        }
        self.arm(ctx);
    }

    /// One scheduling cycle; true if the pod goes nowhere.
    fn attempt(
        &mut self,
        (pod, class): (PodRef, ClassId),
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let Some(row) = cluster.pod(pod) else {
            // It is gone, and the watch has not told yet.
            self.queue.forget(pod);
            return true;
        };
        if let Some(probe) = &mut self.probe {
            let (of, world) =
                (self.placer.applicant(pod, class), self.placer.world(0, cluster.names()));
            probe.attempt(ctx.now(), row, &of, &world, self.placer.start());
        }
        match self.placer.decide(pod, class, 0, cluster.names()) {
            Decision::Placed { node, .. } => {
                self.queue.forget(pod);
                self.count(pod, node, class, cluster.names());
                self.begin_binding((pod, node, class), row, cluster, plan, ctx);
                false
            }
            Decision::Failed(failure) => {
                self.fail((pod, row), &failure, plan, ctx);
                true
            }
        }
    }

    /// The binding cycle: at once, or when its latency is over and its volumes are bound.
    fn begin_binding(
        &mut self,
        (pod, node, class): (PodRef, NodeId, ClassId),
        row: &Pod,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let info = Arc::clone(self.placer.info(class));
        let Self { volumes, placer, .. } = self;
        let wait = volumes.reserve(pod, &info, (node, 0), placer, cluster.names());
        let wait = wait.unwrap_or(Duration::ZERO);
        if self.binding.is_none() && wait.is_zero() {
            self.bind_volumes(pod, cluster, ctx);
            plan.push(Write::BindPod { pod, node });
            tell_scheduled(row, node, cluster, ctx);
        } else {
            let delay = wait + self.binding.draw();
            ctx.after(delay, Event::Scheduler(SchedulerEvent::Bind(pod)));
        }
    }

    /// What was promised of volumes is written, which may help pods that wait.
    fn bind_volumes(&mut self, pod: PodRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Self { volumes, placer, queue, .. } = self;
        let bound = volumes.finish(pod, placer, cluster.names());
        if !queue.has_unschedulable() {
            return;
        }
        for (claim, volume) in bound {
            let storage = &placer.catalog().storage;
            let (claim, volume) = (storage.claim(claim), storage.volume(volume));
            let changes = [
                volume.map(|_| StorageChange::VolumeAdded),
                claim.map(StorageChange::ClaimUpdated),
            ];
            for change in changes.into_iter().flatten() {
                wake(queue, placer, Happened::Storage(change), cluster, ctx.now());
            }
        }
        self.arm(ctx);
    }

    /// A binding lands, unless the pod is gone by now; its notice frees what was assumed.
    fn bind(&mut self, pod: PodRef, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        self.bind_volumes(pod, cluster, ctx);
        let counted = self.counted.get(pod.id).copied().flatten();
        let Some(assumed) = counted.filter(|c| c.life == pod.life) else {
            return;
        };
        if let Some(row) = cluster.pod(pod).filter(|row| row.node.is_none()) {
            let node = assumed.node;
            plan.push(Write::BindPod { pod, node });
            tell_scheduled(row, node, cluster, ctx);
        }
    }

    /// The failure handler (rules S59 to S61): back to the queue, and a condition if it is news.
    fn fail(
        &mut self,
        (pod, row): (PodRef, &Pod),
        failure: &Failure,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        if failure.plugins.is_empty() {
            self.queue.requeue_error(pod, ctx.now());
        } else {
            self.queue.requeue_rejected(pod, failure.plugins, ctx.now());
        }
        if !self.queue.set_message(pod, &failure.message) {
            return;
        }
        plan.push(Write::Unschedulable { pod, message: failure.message.as_ref().into() });
        if ctx.recorder.wants_events() {
            let message = event_message(&failure.message);
            tell((true, "FailedScheduling"), row, message, ctx);
        }
    }

    /// Lets the loop turn and the queue be flushed when there is something for them.
    fn arm(&mut self, ctx: &mut Ctx<'_>) {
        if !self.is_armed && self.queue.may_pop() {
            self.is_armed = true;
            ctx.after(Duration::ZERO, Event::Scheduler(SchedulerEvent::ScheduleOne));
        }
        let due = |at: Option<SimTime>, armed: &mut Option<SimTime>, now: SimTime| {
            let at = at?.max(now);
            let is_earlier = armed.is_none_or(|armed| at < armed);
            is_earlier.then(|| *armed.insert(at))
        };
        let now = ctx.now();
        if let Some(at) = due(self.queue.next_flush(), &mut self.backoff_flush, now) {
            ctx.at(at, Event::Scheduler(SchedulerEvent::FlushBackoff));
        }
        let next = self.queue.next_unschedulable_flush();
        if let Some(at) = due(next, &mut self.unschedulable_flush, now) {
            ctx.at(at, Event::Scheduler(SchedulerEvent::FlushUnschedulable));
        }
    }
}

/// Moves the waiting pods that this may help.
fn wake(
    queue: &mut SchedulingQueue,
    placer: &Placer,
    happened: Happened<'_>,
    cluster: &Cluster,
    now: SimTime,
) {
    queue.move_if(now, |waiting| {
        let info = placer.info(waiting.class);
        may_help(happened, info, waiting.rejectors, &placer.world(0, cluster.names()))
    });
}

fn tell_scheduled(pod: &Pod, node: NodeId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
    if !ctx.recorder.wants_events() {
        return;
    }
    let names = cluster.names();
    let (namespace, name) = (names.resolve(pod.namespace), pod.name.text(names));
    let node = names.resolve(cluster.nodes()[node].spec.name);
    let message = format!("Successfully assigned {namespace}/{name} to {node}");
    tell((false, "Scheduled"), pod, message, ctx);
}

fn tell((is_warning, reason): (bool, &'static str), pod: &Pod, message: String, ctx: &mut Ctx<'_>) {
    let at = ctx.now();
    ctx.recorder.event(EventRecord {
        at,
        is_warning,
        reason,
        about: About::Pod(pod.namespace, pod.name),
        message,
    });
}

/// A message as an event carries it.
fn event_message(message: &str) -> String {
    const MARK: &str = " ...";
    if message.len() <= EVENT_MESSAGE_MAX {
        return message.to_owned();
    }
    let fits = |at: &usize| message.is_char_boundary(*at);
    let cut = (0..=EVENT_MESSAGE_MAX - MARK.len()).rfind(fits).unwrap_or(0);
    format!("{}{MARK}", &message[..cut])
}

/// A latency with its random stream.
#[derive(Debug)]
struct Lag {
    /// `None`: there is none.
    latency: Option<(Distribution, ChaCha8Rng)>,
    last: SimTime,
}

impl Lag {
    fn new(latency: &Distribution, stream: ChaCha8Rng) -> Self {
        let is_none = *latency == Distribution::Constant(0.0);
        Self { latency: (!is_none).then(|| (latency.clone(), stream)), last: SimTime::ZERO }
    }

    const fn is_none(&self) -> bool {
        self.latency.is_none()
    }

    fn draw(&mut self) -> Duration {
        match &mut self.latency {
            Some((latency, stream)) => latency.sample_duration(stream),
            None => Duration::ZERO,
        }
    }

    /// When what is sent now arrives: not before what was sent earlier.
    fn ordered(&mut self, now: SimTime) -> SimTime {
        self.last = self.last.max(now + self.draw());
        self.last
    }
}
