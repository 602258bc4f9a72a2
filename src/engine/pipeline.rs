//! The metrics pipeline: kubelets take samples, metrics-server asks for them and publishes.
//!
//! ```text
//! kubelet, each 10 to 15 s, at a phase of its own ─► sample ┐ the last one before it is asked
//! metrics-server, each 15 s: asks every node a little later ─┴─► answers, or the time-out ─► publish
//! ```
//!
//! So what an autoscaler reads is up to a sample, a scrape and a sync old (rule A67). Where
//! `kubeletSample` is zero, as in `ideal`, all nodes are measured and answer at the tick.
//!
//! Differs: all containers of a node are sampled at one instant, a whole tenth of a second; a
//! sample that a kubelet takes while metrics-server still waits for other nodes counts from the
//! publication on.

use rand_chacha::ChaCha8Rng;

use crate::base::{Distribution, Duration, IdVec, SimTime, cast};
use crate::cluster::{
    CallCount, Change, Cluster, KubeletRole, Node, ObjectChange, Phase, Plan, Pod, PodReading,
    TrafficRole, Write,
};
use crate::event::Event;
use crate::model::{Latencies, MetricSource, MetricSpec, Model, NodeId, PodId};
use crate::sim::{Ctx, EventQueue};

/// The longest time over which the requests of one scrape are spread (rule A62).
const SPREAD_MAX: Duration = Duration::secs(4);
/// Samples fall on whole steps of this.
const STEP: Duration = Duration::ms(100);

/// Whether anybody may ask for metrics, from the start or after a command of the timeline.
fn is_asked(model: &Model) -> bool {
    let has_series = || model.behaviors.rules.iter().any(|rule| rule.change.cpu.is_some());
    !model.hpas.is_empty() || !model.vpas.is_empty() || !model.traffic.is_empty() || has_series()
}

/// What is measured: what pods do, and what kubelets know of their memory.
pub(super) struct Measured<'a> {
    pub(super) traffic: &'a mut dyn TrafficRole,
    pub(super) kubelet: &'a dyn KubeletRole,
}

/// The kubelets' last samples, and what metrics-server does next.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    /// Whether it ticks.
    is_on: bool,
    nodes: IdVec<NodeId, Kubelet>,
    /// Samples to take before the next publication, the latest first.
    due: Vec<(SimTime, NodeId)>,
    /// When metrics-server asks and when it publishes next.
    scrape: Option<Scrape>,
}

#[derive(Clone, Copy, Debug)]
struct Scrape {
    tick: SimTime,
    publish: SimTime,
}

/// What a node's kubelet has measured.
#[derive(Clone, Debug, Default)]
struct Kubelet {
    chance: Option<ChaCha8Rng>,
    /// When it takes its next sample.
    next: Option<SimTime>,
    /// Whether its answer to the next scrape is lost.
    is_lost: bool,
    readings: Vec<PodReading>,
}

impl Pipeline {
    /// Arms the first tick, if anybody may ask for metrics.
    pub(super) fn start(&mut self, model: &Model, queue: &mut EventQueue<Event>) {
        if is_asked(model) {
            self.is_on = true;
            queue.push_after(model.latencies.metrics_period, Event::Metrics);
        }
    }

    /// An autoscaler has come that nobody had announced: from the next tick on there are metrics.
    pub(super) fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if !self.is_on && matches!(change, Change::Hpa { what: ObjectChange::Added, .. }) {
            self.is_on = true;
            let period = cluster.model().latencies.metrics_period.as_nanos().max(1);
            let ticks = ctx.now().as_nanos() / period + 1;
            ctx.at(SimTime::from_nanos(ticks.saturating_mul(period)), Event::Metrics);
        }
    }

    /// Something is due: samples, or a publication.
    pub(super) fn handle(
        &mut self,
        roles: &mut Measured<'_>,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let now = ctx.now();
        let at_once = is_zero(&cluster.model().latencies.kubelet_sample);
        let scrape = *self.scrape.get_or_insert(Scrape { tick: now, publish: now });
        if at_once {
            self.measure_all(roles, cluster, ctx);
        }
        while let Some((_, node)) = self.due.pop_if(|(at, _)| *at <= now) {
            self.measure(node, roles, cluster, ctx);
        }
        if now >= scrape.publish {
            self.publish(roles, cluster, plan);
            let tick = (scrape.tick + cluster.model().latencies.metrics_period).max(now);
            let publish = if at_once { tick } else { self.arrange(tick, cluster, ctx) };
            self.scrape = Some(Scrape { tick, publish });
        }
        if cluster.model().run.until.is_some() {
            let publish = self.scrape.map_or(now, |scrape| scrape.publish);
            let next = self.due.last().map_or(publish, |(at, _)| publish.min(*at));
            ctx.at(next.max(now), Event::Metrics);
        }
    }

    /// Every kubelet measures at this instant.
    fn measure_all(&mut self, roles: &mut Measured<'_>, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        for (id, node) in cluster.nodes().enumerate().filter(|(_, node)| !node.is_gone) {
            let loss = cluster.model().latencies.scrape_loss;
            let kubelet = self.nodes.grow_to(id);
            kubelet.is_lost = loss > 0.0 && kubelet.draws(node, cluster, ctx) < loss;
            self.measure(id, roles, cluster, ctx);
        }
    }

    /// A kubelet measures its pods that run.
    fn measure(
        &mut self,
        id: NodeId,
        roles: &mut Measured<'_>,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        let readings = &mut self.nodes.grow_to(id).readings;
        readings.clear();
        let node = &cluster.nodes()[id];
        if !node.is_up {
            return;
        }
        for pod in &node.pods {
            let row = &cluster.pods()[*pod];
            if row.status.phase == Phase::Running {
                readings.push(read(*pod, row, roles, cluster, ctx));
            }
        }
    }

    /// metrics-server publishes what it has been told.
    fn publish(&self, roles: &Measured<'_>, cluster: &Cluster, plan: &mut Plan) {
        let answers = |(id, _): &(NodeId, &Kubelet)| {
            let node = cluster.nodes().get(*id);
            node.is_some_and(|node| node.is_up && !node.is_gone && !node.is_cut())
        };
        let told = self.nodes.enumerate().filter(answers).filter(|(_, kubelet)| !kubelet.is_lost);
        let told = told.flat_map(|(_, kubelet)| kubelet.readings.iter().copied());
        if cluster.has_metrics_server() {
            plan.push(Write::Metrics(told.collect()));
        }
        let of_calls = |metric: &MetricSpec| matches!(metric.source, MetricSource::Calls { .. });
        if cluster.model().metrics.iter().any(of_calls) {
            plan.push(Write::CallMetrics(count_calls(roles, cluster)));
        }
    }

    /// Draws when each node is asked after this tick and which sample it will answer with; gives
    /// the instant of the publication (rule A62).
    fn arrange(&mut self, tick: SimTime, cluster: &Cluster, ctx: &mut Ctx<'_>) -> SimTime {
        let latencies = &cluster.model().latencies;
        let count = cluster.nodes().iter().filter(|node| !node.is_gone).count();
        let spread = latencies.scrape_spread.saturating_mul(cast::u64_of(count)).min(SPREAD_MAX);
        let mut publish = tick;
        self.due.clear();
        for (id, node) in cluster.nodes().enumerate().filter(|(_, node)| !node.is_gone) {
            let kubelet = self.nodes.grow_to(id);
            let asked = tick + spread.scale(kubelet.draws(node, cluster, ctx));
            kubelet.is_lost = kubelet.draws(node, cluster, ctx) < latencies.scrape_loss;
            publish = publish.max(match node.is_up && !node.is_cut() {
                true => asked,
                false => asked + latencies.scrape_timeout.min(latencies.metrics_period),
            });
            if let Some(sample) = kubelet.last_before(asked, node, latencies) {
                self.due.push((sample.max(ctx.now()), id));
            }
        }
        self.due.sort_unstable_by(|a, b| b.cmp(a));
        publish
    }
}

fn is_zero(law: &Distribution) -> bool {
    matches!(law, Distribution::Constant(secs) if *secs <= 0.0)
}

impl Kubelet {
    fn chance<'a>(
        chance: &'a mut Option<ChaCha8Rng>,
        node: &Node,
        cluster: &Cluster,
        ctx: &Ctx<'_>,
    ) -> &'a mut ChaCha8Rng {
        let open = || ctx.streams.open("metrics", cluster.names().resolve(node.spec.name));
        chance.get_or_insert_with(open)
    }

    /// A number from 0 to 1.
    fn draws(&mut self, node: &Node, cluster: &Cluster, ctx: &Ctx<'_>) -> f64 {
        let chance = Self::chance(&mut self.chance, node, cluster, ctx);
        Distribution::Uniform { low: 0.0, high: 1.0 }.sample(chance)
    }

    /// The last sample that it takes until an instant, if that is a new one (rule A67).
    fn last_before(
        &mut self,
        asked: SimTime,
        node: &Node,
        latencies: &Latencies,
    ) -> Option<SimTime> {
        let chance = self.chance.as_mut()?;
        let phase = Distribution::Uniform { low: 0.0, high: 1.0 }.sample(chance);
        let mut gap = || latencies.kubelet_sample.sample_duration(chance).max(STEP);
        // How long kubelets have been running when the run begins is chance too.
        let mut next = self.next.unwrap_or_else(|| node.created + gap().scale(phase));
        let mut last = None;
        while next <= asked {
            last = Some(next);
            next = next.saturating_add(gap());
        }
        self.next = Some(next);
        last.map(|at| SimTime::from_nanos(at.as_nanos() / STEP.as_nanos() * STEP.as_nanos()))
    }
}

/// What a kubelet measures of a pod.
fn read(
    id: PodId,
    pod: &Pod,
    roles: &mut Measured<'_>,
    cluster: &Cluster,
    ctx: &Ctx<'_>,
) -> PodReading {
    let pod_ref = cluster.pods().refer(id);
    let age = pod.status.started.map_or(Duration::ZERO, |at| ctx.now().saturating_since(at));
    let template = &cluster.template_of(pod).template;
    let idle: i64 = template.running().map(|(_, b)| b.cpu_idle.0).sum();
    let used = pod.node.and_then(|node| roles.kubelet.memory_used(node, pod_ref, ctx.now()));
    let memory = used.unwrap_or_else(|| template.running().map(|(_, b)| b.memory.0).sum());
    let spent = roles.traffic.cpu_spent(pod_ref, ctx) + age.scale(cast::f64_of_i64(idle) / 1000.0);
    let restarts = pod.status.restarts;
    PodReading { pod: pod_ref, at: ctx.now(), spent, memory, restarts }
}

/// The calls of all pods on nodes that answer, as an adapter sees them.
fn count_calls(roles: &Measured<'_>, cluster: &Cluster) -> Vec<CallCount> {
    let answers = |pod: &Pod| {
        let node = pod.node.map(|id| &cluster.nodes()[id]);
        pod.status.phase == Phase::Running && node.is_some_and(|node| node.is_up)
    };
    let count = |(id, pod): (PodId, &Pod)| {
        let pod_ref = cluster.pods().refer(id);
        let (served, in_flight) = roles.traffic.calls(pod_ref);
        let workload = cluster.template_of(pod).template.workload;
        CallCount { pod: pod_ref, workload, served, in_flight }
    };
    cluster.pods().iter().filter(|(_, pod)| answers(pod)).map(count).collect()
}
