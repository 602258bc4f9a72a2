//! The numbers of Jobs and CronJobs.

use crate::base::cast;
use crate::model::{Model, Workload, WorkloadKind};
use crate::recorder::{Facts, JobTally};

use super::names;
use super::summary::{Metrics, Unit};

/// Jobs and CronJobs with numbers of their own, at most.
const JOBS_MAX: usize = 200;

/// The Jobs and CronJobs of a model, with their names.
pub(super) fn jobs(model: &Model) -> Vec<(Workload, String)> {
    let of = |kind| move |name| Workload { kind, name };
    let jobs = model.jobs.iter().map(|job| job.name).map(of(WorkloadKind::Job));
    let crons = model.cron_jobs.iter().map(|cron| cron.name).map(of(WorkloadKind::CronJob));
    let all: Vec<Workload> = jobs.chain(crons).take(JOBS_MAX).collect();
    let names = names::workloads(&all, &model.names);
    all.into_iter().zip(names).collect()
}

pub(super) fn put_jobs(facts: &Facts, out: &mut Metrics) {
    for (workload, name) in jobs(&facts.model) {
        let tally = facts.jobs.get(&workload).cloned().unwrap_or_default();
        put_job(&name, workload.kind, &tally, out);
    }
}

fn put_job(name: &str, kind: WorkloadKind, of: &JobTally, out: &mut Metrics) {
    let mut put = |last: &str, number: u64, unit, about| {
        out.put(&["jobs", name, last], Some(cast::f64_of_u64(number)), unit, about);
    };
    put("started", of.started, Unit::Count, "Jobs that started");
    put("complete", of.complete, Unit::Count, "Jobs that were complete");
    put("failed", of.failed, Unit::Count, "Jobs that failed");
    put("pods_succeeded", of.pods_succeeded, Unit::Pods, "pods that succeeded, of ended Jobs");
    put("pods_failed", of.pods_failed, Unit::Pods, "pods that failed, of ended Jobs");
    let about = "indexes that failed, of ended Jobs";
    put("indexes_failed", of.indexes_failed, Unit::Count, about);
    if kind == WorkloadKind::CronJob {
        let about = "Jobs that were deleted to make way for the next one";
        put("replaced", of.replaced, Unit::Count, about);
        let about = "points of the schedule at which an earlier Job still ran and none started";
        put("blocked", of.blocked, Unit::Count, about);
        put("missed", of.missed, Unit::Count, "points of the schedule that were found too late");
    }
    let quantile = |p: f64| {
        let has_some = of.durations.count() > 0;
        has_some.then(|| of.durations.quantile(p).as_secs_f64())
    };
    let mut put = |last: &str, p, about| {
        out.put(&["jobs", name, last], quantile(p), Unit::Seconds, about);
    };
    put("duration_p50", 0.5, "median from start to end");
    put("duration_max", 1.0, "longest from start to end");
}
