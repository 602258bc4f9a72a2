//! KEDA's ScaledJobs: at each poll Jobs for what waits.
//!
//! ```text
//! poll ─► triggers ─► queue and most (queue ÷ threshold) ─► strategy: without what runs ─► Jobs
//!                                                           ended Jobs beyond the history go
//! ```
//!
//! Source: keda v2.20.2 pkg/scaling/executor/scale_jobs.go `RequestJobScale`,
//! pkg/scaling/scaledjob/scale_job.go `IsScaledJobActive`. Differs: its Jobs hang on a CronJob that
//! starts none; a ScaledJob is not changed during a run, so `rollout` does nothing.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::base::{Duration, SimTime, cast};
use crate::cluster::{
    Change, Cluster, Controller, Job, JobConditionKind, Phase, Plan, Requeue, Write,
};
use crate::model::{
    JobId, JobStrategy, Model, ObjectKey, PendingCondition, Propagation, ScaledJobSpec, Together,
};
use crate::record::{About, EventRecord, PodName};
use crate::sim::{Ctx, Streams};

/// The loops of all ScaledJobs.
#[derive(Debug, Default)]
pub struct ScaledJobController {
    /// Who draws the ends of their Jobs' names, in the order of the model.
    names: Vec<ChaCha8Rng>,
}

impl ScaledJobController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let text = |symbol| model.names.resolve(symbol);
        let open = |spec: &ScaledJobSpec| {
            let thing = format!("{}/{}", text(spec.name.namespace), text(spec.name.name));
            streams.open("scaledjob-names", &thing)
        };
        Self { names: model.scaled_jobs.iter().map(open).collect() }
    }
}

impl Controller for ScaledJobController {
    fn name(&self) -> &'static str {
        "keda-scaledjobs"
    }

    fn wakes(&self, _change: &Change, _cluster: &Cluster, _out: &mut Vec<ObjectKey>) {}

    /// Each is looked at at once, and then every `pollingInterval` (rule A224).
    fn begins(&self, cluster: &Cluster, out: &mut Vec<(ObjectKey, Duration)>) {
        let owners = cluster.model().scaled_jobs.iter();
        let owners = owners.filter_map(|spec| cluster.cron_jobs().named(spec.name));
        out.extend(owners.map(|id| (ObjectKey::CronJob(id), Duration::ZERO)));
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::CronJob(id) = key else { return Requeue::Never };
        let Some(row) = cluster.cron_jobs().get(id) else { return Requeue::Never };
        let all = cluster.model().scaled_jobs.iter().enumerate();
        let Some((index, spec)) = all.into_iter().find(|(_, spec)| spec.name == row.spec.name)
        else {
            return Requeue::Never;
        };
        let jobs: Vec<(JobId, &Job)> =
            row.jobs.iter().map(|job| (*job, &cluster.jobs()[*job])).collect();
        let wait = waits(spec, cluster, ctx.now());
        let new = starts(spec, wait, counts(spec, &jobs, cluster));
        for _ in 0..new {
            let suffix = self.names[index].next_u32() % PodName::SUFFIXES;
            let name = PodName::Generated { prefix: spec.name.name, suffix };
            let name = name.text(cluster.names());
            plan.push(Write::CreateJob { cron_job: id, spec: row.spec.job.clone(), name });
        }
        tell(spec, new, ctx);
        clean_up(spec, &jobs, cluster, plan);
        Requeue::After(spec.polling)
    }
}

/// What the triggers say together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Waits {
    is_active: bool,
    /// How much waits.
    queue: f64,
    /// How many Jobs that is worth.
    most: f64,
}

/// Jobs that have not ended, and those of them whose pods do not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    running: i64,
    pending: i64,
}

/// A trigger that fails says nothing.
fn waits(spec: &ScaledJobSpec, cluster: &Cluster, now: SimTime) -> Waits {
    let metrics = &cluster.model().metrics;
    let one = |(trigger, threshold): &(crate::model::TriggerSpec, i64)| {
        let value = cluster.metric_value(&metrics[trigger.metric?], now)?;
        let queue = cast::f64_of_i64(value) / 1e3;
        let most = queue / (cast::f64_of_i64(*threshold) / 1e3);
        let most = most.min(cast::f64_of_i64(spec.jobs_max));
        Some(Waits { is_active: value > trigger.activation, queue, most })
    };
    let all: Vec<Waits> = spec.triggers.iter().filter_map(one).collect();
    together(spec, &all)
}

/// Source: keda v2.20.2 pkg/scaling/scaledjob/scale_job.go `IsScaledJobActive`.
fn together(spec: &ScaledJobSpec, all: &[Waits]) -> Waits {
    let active = || all.iter().filter(|one| one.is_active);
    let sum = active().fold(Waits::default(), |sum, one| Waits {
        is_active: true,
        queue: sum.queue + one.queue,
        most: sum.most + one.most,
    });
    let by_queue = |a: &&Waits, b: &&Waits| a.queue.total_cmp(&b.queue);
    let mut wait = match spec.together {
        Together::Max => active().max_by(by_queue).copied().unwrap_or_default(),
        Together::Min => active().min_by(by_queue).copied().unwrap_or_default(),
        Together::Sum => sum,
        Together::Mean if sum.is_active => {
            let count = cast::f64_of_usize(active().count());
            Waits { queue: sum.queue / count, most: sum.most / count, ..sum }
        }
        Together::Mean => sum,
    };
    wait.is_active |= spec.jobs_min > 0;
    wait.most = wait.most.min(cast::f64_of_i64(spec.jobs_max));
    wait
}

/// How many Jobs begin now.
///
/// Source: keda v2.20.2 pkg/scaling/executor/scale_jobs.go `getScalingDecision`, `createJobs` and
/// the strategies' `GetEffectiveMaxScale`.
fn starts(spec: &ScaledJobSpec, wait: Waits, of: Counts) -> i64 {
    if !wait.is_active {
        return 0;
    }
    let whole = |number: f64| cast::i64_trunc(number.ceil());
    let (queue, most) = (whole(wait.queue), whole(wait.most));
    if of.running < spec.jobs_min {
        return spec.jobs_min - of.running;
    }
    let running = of.running - spec.jobs_min;
    let (room, wanted) = match spec.strategy {
        JobStrategy::Default => (most - running, queue),
        JobStrategy::Custom { deduction, running: part } => {
            let counted = cast::i64_trunc(cast::f64_of_i64(running) * part);
            ((most - deduction - counted).min(spec.jobs_max), queue)
        }
        JobStrategy::Accurate if most + running > spec.jobs_max => (spec.jobs_max - running, queue),
        JobStrategy::Accurate => (most - of.pending, queue),
        JobStrategy::Eager => ((spec.jobs_max - running - of.pending).min(most), spec.jobs_max),
    };
    wanted.min(room).max(0)
}

fn counts(spec: &ScaledJobSpec, jobs: &[(JobId, &Job)], cluster: &Cluster) -> Counts {
    let mut counts = Counts::default();
    for (_, job) in jobs.iter().filter(|(_, job)| job.status.finished().is_none()) {
        counts.running += 1;
        counts.pending += i64::from(is_pending(spec, job, cluster));
    }
    counts
}

/// Source: scale_jobs.go `isAnyPodRunningOrCompleted`, `areAllPendingPodConditionsFulfilled`.
fn is_pending(spec: &ScaledJobSpec, job: &Job, cluster: &Cluster) -> bool {
    let pods = || job.pods.iter().map(|pod| &cluster.pods()[*pod]);
    if spec.pending_until.is_empty() {
        return !pods().any(|pod| matches!(pod.status.phase, Phase::Running | Phase::Succeeded));
    }
    let fulfilled = pods().map(|pod| {
        let holds = |condition: &&PendingCondition| match condition {
            PendingCondition::PodScheduled => pod.node.is_some(),
            PendingCondition::Ready => pod.status.ready,
        };
        spec.pending_until.iter().filter(holds).count()
    });
    fulfilled.sum::<usize>() != spec.pending_until.len()
}

/// Ended Jobs beyond the history go, those that ended first before the others.
fn clean_up(spec: &ScaledJobSpec, jobs: &[(JobId, &Job)], cluster: &Cluster, plan: &mut Plan) {
    use JobConditionKind::{Complete, Failed};
    for (kind, kept) in [(Complete, spec.kept.0), (Failed, spec.kept.1)] {
        let ended = |job: &Job| job.status.finished().is_some_and(|end| end.kind == kind);
        let mut all: Vec<&(JobId, &Job)> = jobs.iter().filter(|(_, job)| ended(job)).collect();
        all.sort_by_key(|(_, job)| job.status.completion_time);
        let excess = all.len().saturating_sub(kept);
        for (job, _) in all.iter().take(excess) {
            let job = cluster.jobs().refer(*job);
            plan.push(Write::DeleteJob { job, propagation: Propagation::Background });
        }
    }
}

fn tell(spec: &ScaledJobSpec, jobs: i64, ctx: &mut Ctx<'_>) {
    if jobs == 0 || !ctx.recorder.wants_events() {
        return;
    }
    ctx.recorder.event(EventRecord {
        at: ctx.now(),
        is_warning: false,
        reason: "KEDAJobsCreated",
        about: About::Object("ScaledJob", spec.name),
        message: format!("Created {jobs} jobs"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Symbol;
    use crate::model::ObjectName;

    fn spec(strategy: JobStrategy) -> ScaledJobSpec {
        ScaledJobSpec {
            name: ObjectName { namespace: Symbol::new(0), name: Symbol::new(0) },
            polling: Duration::secs(30),
            jobs_min: 0,
            jobs_max: 10,
            strategy,
            together: Together::Max,
            pending_until: Vec::new(),
            kept: (100, 100),
            triggers: Vec::new(),
        }
    }

    fn wait(queue: f64, threshold: f64) -> Waits {
        Waits { is_active: queue > 0.0, queue, most: (queue / threshold).min(10.0) }
    }

    /// The strategies' own tables: queue 10 of which 3 run, one of those pending.
    #[test]
    fn strategies_differ_in_what_they_take_off() {
        let counts = Counts { running: 3, pending: 1 };
        let custom = JobStrategy::Custom { deduction: 1, running: 0.5 };
        for (strategy, queue, wanted) in [
            (JobStrategy::Default, 10.0, 7),
            (JobStrategy::Default, 2.0, 0),
            (custom, 10.0, 8),
            (JobStrategy::Accurate, 10.0, 7),
            (JobStrategy::Accurate, 4.0, 3),
            (JobStrategy::Eager, 4.0, 4),
            (JobStrategy::Eager, 9.0, 6),
            (JobStrategy::Eager, 0.0, 0),
        ] {
            let jobs = starts(&spec(strategy), wait(queue, 1.0), counts);
            assert_eq!(jobs, wanted, "{strategy:?} of {queue}");
        }
    }

    #[test]
    fn a_threshold_makes_one_job_of_several_messages() {
        let none = Counts::default();
        assert_eq!(starts(&spec(JobStrategy::Default), wait(11.0, 5.0), none), 3);
        assert_eq!(starts(&spec(JobStrategy::Default), wait(90.0, 5.0), none), 10);
        let least = ScaledJobSpec { jobs_min: 2, ..spec(JobStrategy::Default) };
        let idle = together(&least, &[]);
        assert_eq!(starts(&least, idle, none), 2);
        assert_eq!(starts(&least, idle, Counts { running: 2, pending: 0 }), 0);
    }

    #[test]
    fn triggers_count_together() {
        let all = [wait(4.0, 2.0), wait(10.0, 1.0), wait(0.0, 1.0)];
        for (how, queue, most) in [
            (Together::Max, 10.0, 10.0),
            (Together::Min, 4.0, 2.0),
            (Together::Mean, 7.0, 6.0),
            (Together::Sum, 14.0, 10.0),
        ] {
            let spec = ScaledJobSpec { together: how, ..spec(JobStrategy::Default) };
            assert_eq!(together(&spec, &all), Waits { is_active: true, queue, most }, "{how:?}");
        }
        let none = together(&spec(JobStrategy::Default), &all[2..]);
        assert!(!none.is_active);
    }
}
