//! Samples: the series of the whole cluster, and the metrics pipeline.

use crate::base::{Duration, cast};
use crate::cluster::{
    CallCount, Cluster, KubeletRole, Phase, Plan, Pod, ReplicaSet, TrafficRole, Write,
};
use crate::event::Event;
use crate::model::{MetricSource, MetricSpec, Model, PodId, Workload};
use crate::record::{ReplicaSample, Sample};
use crate::sim::{Ctx, EventQueue};

/// Arms the first samples.
pub(super) fn start(model: &Model, queue: &mut EventQueue<Event>) {
    queue.push(queue.now(), Event::Sample);
    if !model.hpas.is_empty() || !model.vpas.is_empty() || !model.traffic.is_empty() {
        queue.push_after(model.latencies.metrics_period, Event::Metrics);
    }
}

/// Takes the samples of the series; keeps its buffer.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    sample: Sample,
}

impl Sampler {
    /// Takes one, and arms the next unless the run has no horizon and is idle but for so many
    /// `retries` of evictions: false then.
    pub(super) fn sample(&mut self, cluster: &Cluster, retries: usize, ctx: &mut Ctx<'_>) -> bool {
        let model = cluster.model();
        let sample = &mut self.sample;
        sample.at = ctx.now();
        count_pods(cluster, sample);
        sum_nodes(cluster, sample);
        sample.replicas.clear();
        for (_, replica_set) in cluster.replica_sets().iter() {
            sample.replicas.push(count_replicas(cluster, replica_set));
        }
        for (_, set) in cluster.stateful_sets().iter() {
            let of = (set.spec.template.workload, set.spec.replicas);
            count_revisions(of, &set.pods, cluster, &mut sample.replicas);
        }
        for (_, set) in cluster.daemon_sets().iter() {
            let of = (set.spec.template.workload, set.status.desired);
            count_revisions(of, &set.pods, cluster, &mut sample.replicas);
        }
        ctx.recorder.sample(sample);
        ctx.recorder.write_rows(cluster.names());
        let goes_on = model.run.until.is_some() || !is_idle(cluster, retries, ctx);
        if goes_on {
            ctx.after(model.run.sample, Event::Sample);
        }
        goes_on
    }
}

/// Whether nothing will happen any more but retries: of pods that fit nowhere, and so many of
/// evictions that were refused.
fn is_idle(cluster: &Cluster, retries: usize, ctx: &Ctx<'_>) -> bool {
    let waiting = usize::try_from(cluster.pod_counts().unbound).unwrap_or(usize::MAX);
    let only_waits = waiting > 0 && cluster.pods().len() == waiting;
    ctx.queue.len() <= retries || (only_waits && ctx.queue.len() <= 1)
}

fn count_pods(cluster: &Cluster, sample: &mut Sample) {
    let counts = cluster.pod_counts();
    sample.pods_pending = counts.unbound;
    sample.pods_running = counts.running;
    sample.pods_ready = counts.ready;
    sample.pods_terminating = counts.terminating;
}

fn sum_nodes(cluster: &Cluster, sample: &mut Sample) {
    let (mut ready, mut allocatable, mut requested) = (0, 0, 0);
    let (mut memory, mut memory_requested) = (0, 0);
    let (mut low, mut high) = (1.0_f64, 0.0_f64);
    let mut cost = 0.0;
    for node in cluster.nodes().iter().filter(|node| !node.is_gone) {
        if !node.is_machine {
            cost += node.spec.price_per_hour.as_usd();
        }
        requested += node.requested.cpu.0;
        memory_requested += node.requested.memory.0;
        if !node.ready {
            continue;
        }
        ready += 1;
        allocatable += node.spec.allocatable.cpu.0;
        memory += node.spec.allocatable.memory.0;
        if node.spec.allocatable.cpu.0 > 0 {
            let part = node.requested.cpu.as_cores() / node.spec.allocatable.cpu.as_cores();
            (low, high) = (low.min(part), high.max(part));
        }
    }
    let machines = cluster.cloud().instances();
    let mut running = 0;
    for (_, machine) in machines.iter().filter(|(_, machine)| machine.running.is_some()) {
        let price = machine.offer.as_ref().map(|offer| offer.node.price_per_hour);
        cost += price.map_or(0.0, crate::base::Money::as_usd);
        running += 1;
    }
    sample.machines = running;
    let cores = |milli: i64| cast::f64_of_i64(milli) / 1000.0;
    sample.nodes_ready = ready;
    sample.cpu_allocatable_cores = cores(allocatable);
    sample.cpu_requested_cores = cores(requested);
    sample.cpu_used_cores = cores(cluster.cpu_used_milli());
    sample.memory_allocatable_bytes = cast::f64_of_i64(memory);
    sample.memory_requested_bytes = cast::f64_of_i64(memory_requested);
    sample.cpu_requested_range = if high < low { (0.0, 0.0) } else { (low, high) };
    sample.cost_usd_per_hour = cost;
}

fn count_replicas(cluster: &Cluster, replica_set: &ReplicaSet) -> ReplicaSample {
    let row = &cluster.templates()[replica_set.template];
    let wanted = (replica_set.owner.and_then(|id| cluster.deployment(id)))
        .map_or(replica_set.replicas, |deployment| deployment.replicas);
    ReplicaSample {
        workload: row.template.workload,
        revision: replica_set.revision,
        pods: replica_set.counts.active,
        ready: replica_set.counts.ready,
        terminating: replica_set.counts.terminating,
        wanted,
    }
}

/// Counts the pods of an owner whose revisions are not objects with pods of their own: a row for
/// each revision that has some.
fn count_revisions(
    (workload, wanted): (Workload, u32),
    pods: &[PodId],
    cluster: &Cluster,
    out: &mut Vec<ReplicaSample>,
) {
    let first = out.len();
    for pod in pods.iter().filter_map(|id| cluster.pods().at(*id)) {
        let known = out[first..].iter().position(|row| row.revision == pod.revision);
        let at = known.map_or(out.len(), |known| first + known);
        if known.is_none() {
            let revision = pod.revision;
            let none =
                ReplicaSample { workload, revision, pods: 0, ready: 0, terminating: 0, wanted };
            out.push(none);
        }
        count_pod(pod, &mut out[at]);
    }
}

fn count_pod(pod: &Pod, counted: &mut ReplicaSample) {
    if !pod.is_terminal() {
        counted.terminating += u32::from(pod.deletion.is_some());
        counted.pods += u32::from(pod.deletion.is_none());
        counted.ready += u32::from(pod.deletion.is_none() && pod.status.ready);
    }
}

/// The metrics pipeline takes a sample of every running pod on a node that answers, and publishes
/// it (rules A62 to A65). Differs: all nodes are asked at one instant.
pub(super) fn metrics(
    (traffic, kubelet): (&dyn TrafficRole, &dyn KubeletRole),
    cluster: &Cluster,
    plan: &mut Plan,
    ctx: &mut Ctx<'_>,
) {
    let answers = |pod: &&(PodId, &Pod)| {
        let node = pod.1.node.map(|id| &cluster.nodes()[id]);
        pod.1.status.phase == Phase::Running && node.is_some_and(|node| node.is_up)
    };
    let running: Vec<(PodId, &Pod)> = cluster.pods().iter().collect();
    let sample = running.iter().filter(answers).map(|(id, pod)| {
        let pod_ref = cluster.pods().refer(*id);
        let age = pod.status.started.map_or(Duration::ZERO, |at| ctx.now() - at);
        let behaviors = &cluster.template_of(pod).template.behaviors;
        let idle: i64 = behaviors.iter().map(|b| b.cpu_idle.0).sum();
        let used = pod.node.and_then(|node| kubelet.memory_used(node, pod_ref, ctx.now()));
        let memory = used.unwrap_or_else(|| behaviors.iter().map(|b| b.memory.0).sum());
        let spent = traffic.cpu_spent(pod_ref, ctx) + age.scale(cast::f64_of_i64(idle) / 1000.0);
        (*id, spent, memory)
    });
    plan.push(Write::Metrics(sample.collect()));
    let of_calls = |metric: &MetricSpec| matches!(metric.source, MetricSource::Calls { .. });
    if cluster.model().metrics.iter().any(of_calls) {
        let count = |(id, pod): &(PodId, &Pod)| {
            let pod_ref = cluster.pods().refer(*id);
            let (served, in_flight) = traffic.calls(pod_ref);
            let workload = cluster.template_of(pod).template.workload;
            CallCount { pod: pod_ref, workload, served, in_flight }
        };
        plan.push(Write::CallMetrics(running.iter().filter(answers).map(count).collect()));
    }
    if cluster.model().run.until.is_some() {
        ctx.after(cluster.model().latencies.metrics_period, Event::Metrics);
    }
}
