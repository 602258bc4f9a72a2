//! Samples: the series of the whole cluster.

use crate::base::{Symbol, cast};
use crate::cluster::{Cluster, Pod, ReplicaSet};
use crate::event::Event;
use crate::model::{PodId, Workload};
use crate::record::{PoolSample, ReplicaSample, Sample};
use crate::sim::{Ctx, EventQueue};

/// Arms the first sample.
pub(super) fn start(queue: &mut EventQueue<Event>) {
    queue.push(queue.now(), Event::Sample);
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
    sample.pools.clear();
    let (mut ready, mut allocatable, mut requested) = (0, 0, 0);
    let (mut memory, mut memory_requested) = (0, 0);
    let (mut low, mut high) = (1.0_f64, 0.0_f64);
    let mut cost = 0.0;
    for node in cluster.nodes().iter().filter(|node| !node.is_gone) {
        if !node.is_machine {
            cost += node.spec.price_per_hour.as_usd();
            count_machine((node.spec.pool, node.spec.price_per_hour.as_usd()), &mut sample.pools);
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
        if let Some(offer) = &machine.offer {
            let price = offer.node.price_per_hour.as_usd();
            cost += price;
            count_machine((offer.node.pool, price), &mut sample.pools);
        }
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

/// One more machine of a pool at this price an hour.
fn count_machine((pool, price): (Symbol, f64), pools: &mut Vec<PoolSample>) {
    let known = pools.iter().position(|row| row.pool == pool);
    let at = known.unwrap_or_else(|| {
        pools.push(PoolSample { pool, nodes: 0, cost_usd_per_hour: 0.0 });
        pools.len() - 1
    });
    pools[at].nodes += 1;
    pools[at].cost_usd_per_hour += price;
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
