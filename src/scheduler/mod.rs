//! The scheduler: takes waiting pods one by one and binds them to nodes.
//!
//! ```text
//! change ─(watch)─► notice ─► core: cache, queue ─► ScheduleOne ─► assume ─(latency)─► bind
//!                                    ▲                   │
//!                                    └──── rejected ◄────┘ (preempt)
//! ```
//!
//! The [`Core`] is the whole scheduler without a cluster: this component tells it what its watch
//! tells, lets its loop turn, and makes writes and events of what it wants. Where a pod goes is
//! decided in `placement`.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler (rules S1 to S62, S130 to S157, S185 to S199). Differs:
//! a failed attempt is back in the queue at the instant it began, so nothing happens to a pod while
//! it is being placed; bindings do not fail; extenders are absent; pods that are there at the start
//! come in the order of their creation unless the order is left to chance.

mod binder;
mod core;
mod hints;
mod lag;
mod probe;
mod queue;
mod tell;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Duration, SimTime};
use crate::cluster::{Change, Cluster, Component, Disruption, Plan, Pod, Write};
use crate::event::{Event, SchedulerEvent};
use crate::model::{Model, NodeId, PodRef};
use crate::placement::plugins::volumes::attach;
use crate::placement::{Applicant, Failure, Placer, Policy};
use crate::sim::{Ctx, Streams};

use lag::{Client, Lag};
use watch::{Notice, Watch};

pub use binder::VolumeBinder;
pub use core::{Core, Outcome, Patch, PodFacts};
pub use hints::{Happened, NodeAspect, PodAspect, helpers, may_help};
pub use probe::{Look, Probe};
pub use queue::{Kin, Place, SchedulingQueue, Waiting};

/// The scheduler of a run.
#[derive(Debug)]
pub struct Scheduler {
    core: Core,
    watch: Watch,
    /// Of the watches of pods and nodes, of other news of pods, and of the other watches: each has
    /// draws of its own, so that one more notice changes no other's delay.
    lags: [Lag; 3],
    /// What is under way, by when it arrives.
    inbox: BTreeMap<(SimTime, u64), Notice>,
    notices: u64,
    binding: Lag,
    client: Client,
    cycle: Duration,
    /// Whether a `ScheduleOne` is under way.
    is_armed: bool,
    backoff_flush: Option<SimTime>,
    unschedulable_flush: Option<SimTime>,
    probe: Option<Box<dyn Probe>>,
}

impl Scheduler {
    /// Of this model; its cache is empty until the run starts.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let (latencies, open) = (&model.latencies, |of| streams.open(of, ""));
        let volumes = VolumeBinder::new(latencies, open("scheduler-volumes"));
        Self {
            core: Core::new(&model.scheduler, volumes),
            watch: Watch::default(),
            lags: ["scheduler-watch", "scheduler-watch-updates", "scheduler-watch-others"]
                .map(|name| Lag::new(&latencies.watch, open(name))),
            inbox: BTreeMap::new(),
            notices: 0,
            binding: Lag::new(&latencies.schedule, open("scheduler-binding")),
            client: Client::new(latencies.limited_clients),
            cycle: latencies.schedule_cycle,
            is_armed: false,
            backoff_flush: None,
            unschedulable_flush: None,
            probe: None,
        }
    }

    /// With policies of the user's own, which profiles name as `Plugin::Custom`.
    #[must_use]
    pub fn with_policies(mut self, policies: Vec<Arc<dyn Policy>>) -> Self {
        self.core = self.core.with_policies(policies);
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
        self.core.queue()
    }

    /// The nodes as this scheduler sees them.
    #[must_use]
    pub const fn placer(&self) -> &Placer {
        self.core.placer()
    }
}

impl Component<SchedulerEvent> for Scheduler {
    fn start(&mut self, cluster: &Cluster, _plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let order = cluster.initial_node_order(ctx.streams);
        let nodes = order.iter().map(|id| (*id, cluster.nodes()[*id].spec.clone()));
        self.core.add_nodes(nodes, cluster.names());
        VolumeBinder::start(&cluster.model().storage, self.core.placer_mut(), cluster.names());
        self.watch.start(&mut self.core, cluster, ctx);
        self.arm(ctx);
    }

    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(notice) = Notice::of(change).filter(|n| self.watch.wants(*n, cluster)) else {
            return;
        };
        if self.lags[0].is_none() {
            return self.learn(notice, cluster, ctx);
        }
        let at = self.arrives(notice, ctx.now());
        self.notices += 1;
        self.inbox.insert((at, self.notices), notice);
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
                let (_, notice) = self.inbox.pop_first().expect("a delivery has a notice");
                self.learn(notice, cluster, ctx);
            }
            SchedulerEvent::ScheduleOne => self.schedule_one(cluster, plan, ctx),
            SchedulerEvent::Bind(pod) => self.bind(pod, cluster, plan, ctx),
            SchedulerEvent::FlushBackoff => {
                self.backoff_flush = None;
                self.core.flush_backoff(ctx.now());
                self.arm(ctx);
            }
            SchedulerEvent::FlushUnschedulable => {
                self.unschedulable_flush = None;
                self.core.flush_unschedulable(ctx.now());
                self.arm(ctx);
            }
        }
    }
}

impl Scheduler {
    /// When a notice arrives: what one watch tells keeps its order.
    fn arrives(&mut self, notice: Notice, now: SimTime) -> SimTime {
        let [pods, updates, others] = &mut self.lags;
        match notice {
            Notice::Added(_)
            | Notice::Bound(..)
            | Notice::Resized(_)
            | Notice::Freed(_)
            | Notice::Node(_) => pods.ordered(now),
            Notice::Updated(_) => {
                let delay = updates.draw();
                pods.not_before(now + delay)
            }
            Notice::Service(_) | Notice::Owner(_) | Notice::Budget(_) | Notice::ClaimGone(_) => {
                others.ordered(now)
            }
        }
    }

    fn learn(&mut self, notice: Notice, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        self.watch.learn(notice, &mut self.core, cluster, ctx);
        self.arm(ctx);
    }

    /// One turn of the loop (rule S1). When a cycle takes no time, failed ones are followed by the
    /// next at once: nothing can happen between them.
    fn schedule_one(&mut self, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        self.is_armed = false;
        while let Some(pod) = self.core.pop() {
            let (has_failed, blocked) = self.attempt(pod, cluster, plan, ctx);
            let turn = self.cycle.max(blocked);
            if !turn.is_zero() {
                self.is_armed = true;
                ctx.after(turn, Event::Scheduler(SchedulerEvent::ScheduleOne));
            }
            if !has_failed || self.is_armed {
                break;
            }
        }
        self.arm(ctx);
    }

    /// One scheduling cycle: whether the pod goes nowhere and nobody is evicted for it, and how
    /// long the loop waits for its client (rule S62).
    fn attempt(
        &mut self,
        pod: PodRef,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> (bool, Duration) {
        let Some(row) = cluster.pod(pod) else {
            // It is gone, and the watch has not told yet.
            self.core.skip(pod);
            return (true, Duration::ZERO);
        };
        self.show(pod, row, cluster, ctx);
        match self.core.attempt(pod, cluster.names()) {
            Outcome::Skipped => (true, Duration::ZERO),
            Outcome::Assumed { node, volumes, .. } => {
                self.begin_binding((pod, node, volumes), row, cluster, plan, ctx);
                (false, Duration::ZERO)
            }
            Outcome::Failed(failure) => self.fail((pod, row), &failure, cluster, plan, ctx),
        }
    }

    fn show(&mut self, pod: PodRef, row: &Pod, cluster: &Cluster, ctx: &Ctx<'_>) {
        let Some(probe) = &mut self.probe else { return };
        let Some(waiting) = self.core.queue().get(pod) else { return };
        let placer = self.core.placer();
        let of = &Applicant { pinned: waiting.pinned, ..placer.applicant(pod, waiting.class) };
        let start = placer.start();
        let world = placer.world(usize::from(waiting.profile), cluster.names());
        probe.attempt(Look { at: ctx.now(), pod: row, cluster, of, world, start });
    }

    /// The binding cycle: at once, or when its latency is over and its volumes are bound.
    fn begin_binding(
        &mut self,
        (pod, node, volumes): (PodRef, NodeId, Duration),
        row: &Pod,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let delay = volumes + self.binding.draw() + self.client.wait(ctx.now());
        if delay.is_zero() {
            self.core.bind_volumes(pod, cluster.names(), ctx.now());
            self.tell_disks(pod, cluster, plan);
            plan.push(Write::BindPod { pod, node });
            tell::scheduled(row, node, cluster, ctx);
        } else {
            ctx.after(delay, Event::Scheduler(SchedulerEvent::Bind(pod)));
        }
    }

    /// What of a pod's volumes must be attached to its node: the claims are bound by now.
    fn tell_disks(&self, pod: PodRef, cluster: &Cluster, plan: &mut Plan) {
        let Some(info) = self.core.info_of(pod).filter(|info| !info.spec.volumes.is_empty()) else {
            return;
        };
        let storage = &self.core.placer().catalog().storage;
        let disks = attach::disks(info, storage, cluster.names());
        if !disks.is_empty() {
            plan.push(Write::PodDisks { pod, disks });
        }
    }

    /// A binding lands, unless the pod is gone by now; its notice frees what was assumed.
    fn bind(&mut self, pod: PodRef, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        self.core.bind_volumes(pod, cluster.names(), ctx.now());
        self.arm(ctx);
        let Some(node) = self.core.node_of(pod) else { return };
        if let Some(row) = cluster.pod(pod).filter(|row| row.node.is_none()) {
            self.tell_disks(pod, cluster, plan);
            plan.push(Write::BindPod { pod, node });
            tell::scheduled(row, node, cluster, ctx);
        }
    }

    /// After a failed attempt: evictions, then the failure handler (rules S59 to S61, S186, S187).
    fn fail(
        &mut self,
        (pod, row): (PodRef, &Pod),
        failure: &Failure,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> (bool, Duration) {
        let victims = self.core.preempt(pod, failure);
        if !victims.is_empty() {
            for pod in &failure.cleared {
                plan.push(Write::Nominate { pod: *pod, node: None });
            }
        }
        for victim in &victims {
            if let Some(victim) = cluster.pod(*victim) {
                tell::preempted(victim, row, cluster, ctx);
            }
            let reason = Disruption::PreemptionByScheduler;
            plan.push(Write::Evict { pod: *victim, reason, grace: None });
        }
        let mut blocked = Duration::ZERO;
        if let Some(patch) = self.core.fail(pod, failure, ctx.now()) {
            blocked = self.client.wait(ctx.now());
            if patch.is_news {
                let message = patch.message.as_ref().into();
                plan.push(Write::Unschedulable { pod, message });
                tell::failed(row, &patch.message, ctx);
            }
            if let Some(node) = patch.nomination {
                plan.push(Write::Nominate { pod, node });
            }
        }
        (victims.is_empty(), blocked)
    }

    /// Lets the loop turn and the queue be flushed when there is something for them.
    fn arm(&mut self, ctx: &mut Ctx<'_>) {
        let queue = self.core.queue();
        if !self.is_armed && queue.may_pop() {
            self.is_armed = true;
            ctx.after(Duration::ZERO, Event::Scheduler(SchedulerEvent::ScheduleOne));
        }
        let due = |at: Option<SimTime>, armed: &mut Option<SimTime>, now: SimTime| {
            let at = at?.max(now);
            let is_earlier = armed.is_none_or(|armed| at < armed);
            is_earlier.then(|| *armed.insert(at))
        };
        let now = ctx.now();
        if let Some(at) = due(queue.next_flush(), &mut self.backoff_flush, now) {
            ctx.at(at, Event::Scheduler(SchedulerEvent::FlushBackoff));
        }
        let next = queue.next_unschedulable_flush();
        if let Some(at) = due(next, &mut self.unschedulable_flush, now) {
            ctx.at(at, Event::Scheduler(SchedulerEvent::FlushUnschedulable));
        }
    }
}
