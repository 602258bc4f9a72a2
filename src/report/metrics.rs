//! The numbers of one run: every path that `summary.json` and `expect` know.

use crate::base::{Histogram, SimTime, cast};
use crate::model::{Action, Fault, Model, TimelineEntry, Workload};
use crate::record::{CallRecord, Cause, Distance, Fate};
use crate::recorder::{DiskTally, Facts, Gauge, IntervalLatency, PodTally, ServiceCalls};

use super::drains::put_drains;
use super::metrics_groups::put_groups;
use super::metrics_jobs::put_jobs;
use super::metrics_money::{put_money, put_pools, put_share};
use super::metrics_scaling::put_hpa;
use super::metrics_vertical::put_vpas;
use super::scripts::put_scripts;
use super::summary::{Metrics, Unit};
use super::{configs, namespaces};
use super::{names, rollouts};

/// Workloads with numbers of their own, at most.
const WORKLOADS_MAX: usize = 200;

/// The numbers of one run.
#[must_use]
pub fn metrics(facts: &Facts) -> Metrics {
    let mut out = Metrics::default();
    put_run(facts, &mut out);
    for (index, name) in names::services(&facts.model).iter().enumerate() {
        put_calls(name, index, facts, &mut out);
    }
    for (workload, name) in names::rolling(&facts.model) {
        put_rollouts(&name, workload, facts, &mut out);
    }
    for (index, name) in names::hpas(&facts.model).iter().enumerate() {
        put_hpa(name, index, facts, &mut out);
    }
    put_network(facts, &mut out);
    put_vpas(facts, &mut out);
    put_groups(facts, &mut out);
    put_jobs(facts, &mut out);
    put_drains(facts, &mut out);
    namespaces::put_namespaces(facts, &mut out);
    configs::put_configs(facts, &mut out);
    put_scripts(facts, &mut out);
    put_pods(facts, &mut out);
    put_workloads(facts, &mut out);
    put_cluster(facts, &mut out);
    put_money(facts, &mut out);
    put_pools(facts, &mut out);
    out
}

/// Every path that runs of this model have, with its unit; none has a number.
#[must_use]
pub fn known_paths(model: &std::sync::Arc<Model>) -> Metrics {
    metrics(&Facts::empty(model))
}

fn count(number: u64) -> Option<f64> {
    Some(cast::f64_of_u64(number))
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| cast::f64_of_u64(part) / cast::f64_of_u64(whole))
}

fn quantile(of: &Histogram, p: f64) -> Option<f64> {
    (of.count() > 0).then(|| of.quantile(p).as_secs_f64())
}

fn put_run(facts: &Facts, out: &mut Metrics) {
    let simulated = facts.ended.as_secs_f64();
    out.put(&["run", "simulated"], simulated, Unit::Seconds, "simulated time");
    out.put(&["run", "events"], count(facts.events), Unit::Count, "events of the simulation");
    let refused = facts.commands.iter().filter(|c| c.refused.is_some() && !c.is_asked).count();
    let refused = cast::f64_of_usize(refused);
    let about = "commands of the timeline that were refused";
    out.put(&["run", "commands_refused"], refused, Unit::Count, about);
}

fn put_calls(name: &str, index: usize, facts: &Facts, out: &mut Metrics) {
    let calls = &facts.services.as_slice()[index];
    let counts = &calls.counts;
    let mut put = |last: &str, value, unit, about| {
        out.put(&["services", name, "calls", last], value, unit, about);
    };
    put("total", count(counts.total()), Unit::Calls, "calls after the warm-up");
    put("ok", count(counts.ok()), Unit::Calls, "calls that were answered well");
    put("failed", count(counts.failed()), Unit::Calls, "calls that failed");
    let failed_share = share(counts.failed(), counts.total());
    put("failed_share", failed_share, Unit::Share, "failed calls of all calls");
    let warm = calls.between(SimTime::at(facts.model.run.warmup), SimTime::MAX).latency;
    let slow = warm.above(facts.model.run.slow);
    put("slow", count(slow), Unit::Calls, "good calls that took longer than run.slow");
    put("retried", count(counts.retried), Unit::Calls, "calls of more than one attempt");
    put("per_second", rate(calls, facts), Unit::CallsPerSecond, "calls a second");
    let of = &calls.latency;
    put("latency_p50", quantile(of, 0.5), Unit::Seconds, "median latency of good calls");
    put("latency_p90", quantile(of, 0.9), Unit::Seconds, "90th percentile of good calls' latency");
    put("latency_p99", quantile(of, 0.99), Unit::Seconds, "99th percentile of good calls' latency");
    put("latency_max", quantile(of, 1.0), Unit::Seconds, "greatest latency of good calls");
    let mean = (of.count() > 0).then(|| of.mean_secs());
    put("latency_mean", mean, Unit::Seconds, "mean latency of good calls");
    let warm = SimTime::at(facts.model.run.warmup);
    let own = |call: &&CallRecord| call.service.index() == index && call.start >= warm;
    let late = facts.failures.iter().filter(own).filter_map(|call| facts.after_deletion(call));
    let late = late.max().map(crate::base::Duration::as_secs_f64);
    let about = "how long after its pod's deletion a call failed, at most";
    put("failed_after_deletion_max", late, Unit::Seconds, about);
    put_kinds(&["services", name, "calls"], (counts.by_fate, counts.by_cause), out);
}

type Kinds = ([u64; Fate::ALL.len()], [u64; Cause::ALL.len()]);

fn put_kinds(path: &[&str], (by_fate, by_cause): Kinds, out: &mut Metrics) {
    let join = |more: [&'static str; 2]| [path, &more].concat();
    for fate in Fate::ALL.into_iter().filter(|fate| *fate != Fate::Ok) {
        let path = join(["by_fate", fate.as_str()]);
        out.put(&path, count(by_fate[fate as usize]), Unit::Calls, "failed calls that ended so");
    }
    for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::None) {
        let path = join(["by_cause", cause.as_str()]);
        out.put(&path, count(by_cause[cause as usize]), Unit::Calls, cause.sentence());
    }
}

/// What calls took over the network, of each Service and in all; no numbers where no behaviour says
/// how large calls are.
fn put_network(facts: &Facts, out: &mut Metrics) {
    let counts = facts.services.iter().any(|calls| calls.bytes.iter().any(|bytes| *bytes > 0));
    let about = |distance| match distance {
        Distance::InPod => "bytes of calls between containers of one pod",
        Distance::SameNode => "bytes of calls between pods of one node",
        Distance::SameZone => "bytes of calls between nodes of one zone",
        Distance::BetweenZones => "bytes of calls between zones",
    };
    let names = names::services(&facts.model);
    for distance in Distance::ALL {
        let mut sum = 0;
        for (name, calls) in names.iter().zip(facts.services.iter()) {
            let bytes = calls.bytes[distance as usize];
            sum += bytes;
            let path = ["services", name, "network", distance.as_str()];
            let bytes = count(bytes).filter(|_| counts);
            out.put(&path, bytes, Unit::Bytes, about(distance));
        }
        let sum = count(sum).filter(|_| counts);
        out.put(&["network", distance.as_str()], sum, Unit::Bytes, about(distance));
    }
}

fn rate(calls: &ServiceCalls, facts: &Facts) -> Option<f64> {
    let measured = facts.ended.checked_since(SimTime::at(facts.model.run.warmup))?;
    (!measured.is_zero()).then(|| cast::f64_of_u64(calls.counts.total()) / measured.as_secs_f64())
}

fn put_rollouts(name: &str, workload: Workload, facts: &Facts, out: &mut Metrics) {
    let all = rollouts::of_workload(facts, workload);
    let last = all.last();
    let calls = last.map(|last| rollouts::calls(facts, last));
    let calls = calls.as_ref();
    let mut put = |path: &str, value: Option<f64>, unit, about| {
        out.put(&["rollouts", name, path], value, unit, about);
    };
    let yes_no = |yes: bool| f64::from(u8::from(yes));
    put("count", Some(cast::f64_of_usize(all.len())), Unit::Count, "rollouts");
    let completed = last.map(|r| yes_no(r.completed.is_some()));
    put("completed", completed, Unit::YesNo, "whether the last rollout was complete");
    let late = last.map(|r| yes_no(r.deadline_exceeded.is_some()));
    put("deadline_exceeded", late, Unit::YesNo, "whether it passed its progress deadline");
    let duration = last.and_then(|r| r.duration()).map(crate::base::Duration::as_secs_f64);
    put("duration", duration, Unit::Seconds, "from the new template until all pods are new");
    let total = calls.map(|c| cast::f64_of_u64(c.counts.total()));
    put("calls", total, Unit::Calls, "calls to its Services while it rolled");
    let failed = calls.map(|c| cast::f64_of_u64(c.counts.failed()));
    put("failed_calls", failed, Unit::Calls, "failed calls to its Services while it rolled");
    let failed_share = calls.and_then(|c| share(c.counts.failed(), c.counts.total()));
    put("failed_share", failed_share, Unit::Share, "failed calls of the calls while it rolled");
    let limit = facts.model.run.slow;
    let slow = calls.map(|c| cast::f64_of_u64(c.during.above(limit)));
    put(
        "slow_calls",
        slow,
        Unit::Calls,
        "good calls that took longer than run.slow, while it rolled",
    );
    let p99 = |of: &IntervalLatency| of.quantile(0.99).map(crate::base::Duration::as_secs_f64);
    let before = calls.and_then(|c| p99(&c.before));
    put("latency_p99_before", before, Unit::Seconds, "99th percentile of latency before it");
    let during = calls.and_then(|c| p99(&c.during));
    put("latency_p99_during", during, Unit::Seconds, "99th percentile while it rolled");
    let after = calls.and_then(|c| c.after_deletion_max);
    let after = after.map(crate::base::Duration::as_secs_f64);
    let about = "how long after its pod's deletion a call failed, at most";
    put("failed_after_deletion_max", after, Unit::Seconds, about);
    for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::None) {
        let failed = calls.map(|c| cast::f64_of_u64(c.counts.of_cause(cause)));
        let path = ["rollouts", name, "by_cause", cause.as_str()];
        out.put(&path, failed, Unit::Calls, cause.sentence());
    }
}

fn put_pods(facts: &Facts, out: &mut Metrics) {
    let all = &facts.pods.all;
    put_tally(&["pods"], all, out);
    out.put(
        &["pods", "finished"],
        count(all.finished),
        Unit::Pods,
        "pods that ended by themselves",
    );
    out.put(
        &["pods", "deleted"],
        count(all.deleted),
        Unit::Pods,
        "pods whose deletion was asked for",
    );
    let pulls = facts.pods.failed_pulls.values().sum();
    out.put(&["pods", "failed_pulls"], count(pulls), Unit::Count, "pulls of images that failed");
    let sandboxes: u64 = facts.pods.failed_sandboxes.values().sum();
    let has_fault =
        |entry: &TimelineEntry| matches!(entry.action, Action::Fault(Fault::CniDown(_)));
    if facts.model.timeline.iter().any(has_fault) {
        let about = "sandboxes of pods that could not be made";
        out.put(&["pods", "failed_sandboxes"], count(sandboxes), Unit::Count, about);
    }
    let about = "pods for which an attempt to place them failed";
    out.put(&["pods", "waited"], count(all.waited), Unit::Pods, about);
    let about = "99th percentile of the pending times of those that waited";
    out.put(&["pods", "waited_p99"], quantile(&all.waiting, 0.99), Unit::Seconds, about);
    for (reason, pods) in &facts.pods.waited_for {
        let about = "pods that waited, by what most nodes lacked at the last attempt";
        out.put_sometimes(
            &["pods", "waited_for", reason],
            cast::f64_of_u64(*pods),
            Unit::Pods,
            about,
        );
    }
    put_disks(&facts.pods.disks, out);
    super::metrics_pressure::put(facts, out);
    let pending = (all.pending.count() > 0).then(|| all.pending.mean_secs());
    out.put(&["pods", "pending_mean"], pending, Unit::Seconds, "mean pending time");
    out.put(&["scheduler", "placed"], count(all.placed), Unit::Pods, "pods that were placed");
    let first = share(all.placed.saturating_sub(all.waiting.count()), all.placed);
    let about = "pods placed at the first attempt, of those placed";
    out.put(&["scheduler", "first_attempt_share"], first, Unit::Share, about);
}

fn put_disks(disks: &DiskTally, out: &mut Metrics) {
    let waits = &disks.waits;
    if waits.count() == 0 {
        return;
    }
    let mut put = |last: &str, value: f64, unit, about| {
        out.put_sometimes(&["disks", last], value, unit, about);
    };
    let of = |histogram, q| quantile(histogram, q).unwrap_or(0.0);
    let attached = cast::f64_of_u64(waits.count());
    put("attached", attached, Unit::Count, "waits of pods for a disk to be attached");
    let about = "median from the binding of a pod until a disk is attached to its node";
    put("wait_p50", of(waits, 0.5), Unit::Seconds, about);
    put("wait_max", of(waits, 1.0), Unit::Seconds, "longest of these waits");
    let held = cast::f64_of_u64(disks.held.count());
    let about = "waits for a disk that was still attached to another node";
    put("held", held, Unit::Count, about);
    put("held_max", of(&disks.held, 1.0), Unit::Seconds, "longest that one stayed there");
}

fn put_tally(path: &[&str], tally: &PodTally, out: &mut Metrics) {
    let mut put = |last: &str, value: Option<f64>, unit, about| {
        out.put(&[path, &[last]].concat(), value, unit, about);
    };
    put("created", count(tally.created), Unit::Pods, "pods that were created");
    put("never_scheduled", count(tally.never_scheduled), Unit::Pods, "pods never placed");
    put("restarts", count(tally.restarts), Unit::Count, "restarts of containers");
    let of = &tally.pending;
    put("pending_p50", quantile(of, 0.5), Unit::Seconds, "median from creation to placement");
    put("pending_p99", quantile(of, 0.99), Unit::Seconds, "99th percentile of it");
    put("pending_max", quantile(of, 1.0), Unit::Seconds, "longest from creation to placement");
    let of = &tally.startup;
    put("startup_p50", quantile(of, 0.5), Unit::Seconds, "median from placement to ready");
    put("startup_p99", quantile(of, 0.99), Unit::Seconds, "99th percentile of it");
}

fn put_workloads(facts: &Facts, out: &mut Metrics) {
    let all = workloads(&facts.model);
    let none = PodTally::default();
    for (workload, name) in all.iter().zip(names::workloads(&all, &facts.model.names)) {
        let tally = facts.pods.by_workload.get(workload).unwrap_or(&none);
        put_tally(&["workloads", &name], tally, out);
        put_share(&["workloads", &name], tally, facts, out);
    }
}

/// All that makes pods, but for single ones.
fn workloads(model: &Model) -> Vec<Workload> {
    let generators = model.generators.iter().filter_map(|g| g.mix.first());
    (model.deployments.iter().map(|d| d.template.workload))
        .chain(model.replica_sets.iter().map(|r| r.template.workload))
        .chain(model.stateful_sets.iter().map(|s| s.template.workload))
        .chain(model.daemon_sets.iter().map(|d| d.template.workload))
        .chain(model.jobs.iter().map(|j| j.template.workload))
        .chain(model.cron_jobs.iter().map(|c| c.job.template.workload))
        .chain(generators.map(|(_, template)| template.0.workload))
        .take(WORKLOADS_MAX)
        .collect()
}

fn put_cluster(facts: &Facts, out: &mut Metrics) {
    let samples = &facts.samples;
    let part = |of: Gauge, whole: Gauge| {
        let whole = samples.area(whole);
        (whole > 0.0).then(|| samples.area(of) / whole)
    };
    let mut put = |last: &str, value: Option<f64>, unit, about| {
        out.put(&["cluster", last], value, unit, about);
    };
    let requested = part(Gauge::CpuRequested, Gauge::CpuAllocatable);
    put("cpu_requested_share", requested, Unit::Share, "requested of allocatable CPU over time");
    let used_any = samples.area(Gauge::CpuUsed) > 0.0;
    let used = part(Gauge::CpuUsed, Gauge::CpuAllocatable).filter(|_| used_any);
    put("cpu_used_share", used, Unit::Share, "used of allocatable CPU over time");
    let busy = part(Gauge::CpuUsed, Gauge::CpuRequested).filter(|_| used_any);
    let idle = busy.map(|busy| (1.0 - busy).max(0.0));
    put("cpu_requested_idle_share", idle, Unit::Share, "requested CPU that is not used");
    let memory = part(Gauge::MemoryRequested, Gauge::MemoryAllocatable);
    put("memory_requested_share", memory, Unit::Share, "requested of allocatable memory");
    put("nodes", samples.mean(Gauge::NodesReady), Unit::Nodes, "ready nodes, mean over time");
    let pending = samples.mean(Gauge::PodsPending);
    put("pods_pending_mean", pending, Unit::Pods, "pods without a node, mean over time");
    let most = (samples.samples() > 0.0).then(|| samples.max(Gauge::PodsPending));
    put("pods_pending_max", most, Unit::Pods, "most pods without a node at a sample");
    let running = samples.mean(Gauge::PodsRunning);
    put("pods_running_mean", running, Unit::Pods, "pods that run, mean over time");
}
