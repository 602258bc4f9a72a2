//! CronJob: a Job at each point of a schedule.
//!
//! ```text
//! due point ─► too late? already started? one runs? ─► Job <cronjob>-<unix minutes> ─► active list
//! Job ended ─► off the active list, lastSuccessfulTime, history
//! ```
//!
//! A controller that was not there, or a Job that stood in the way, is made up for by the latest
//! missed point alone (rules C136, C137, C139).
//!
//! Source: kubernetes v1.36.3 pkg/controller/cronjob/cronjob_controllerv2.go `sync`, `syncCronJob`,
//! `cleanupFinishedJobs`, utils.go `mostRecentScheduleTime`, `nextScheduleTimeDuration` (rules C135
//! to C143).

use crate::base::{Duration, IdVec, Schedule, SimTime};
use crate::cluster::{
    ActiveJob, Change, Cluster, Controller, CronJob, CronJobStatus, CronJobWrite, Job,
    JobConditionKind, ObjectChange, Plan, Requeue, Write,
};
use crate::model::{Concurrency, CronJobId, CronJobSpec, JobId, Model, ObjectKey, Propagation};
use crate::record::{About, EventRecord, JobRecord, JobStep};
use crate::sim::{Ctx, Streams};

/// It looks so long after a due point.
const DELTA: i128 = 100_000_000;
const SECOND: i128 = 1_000_000_000;
/// So many missed points are told as many.
const MANY: i64 = 100;

/// The CronJob controller.
#[derive(Debug)]
pub struct CronJobController {
    /// The wall clock at the start of the run, in Unix seconds.
    start_unix: i64,
    /// Schedule and zone at the last look.
    seen: IdVec<CronJobId, Option<(String, Option<String>)>>,
    /// The last point at which nothing was started: each is told once.
    skipped: IdVec<CronJobId, Option<i64>>,
}

impl CronJobController {
    /// For a run of this model.
    #[must_use]
    pub const fn new(model: &Model, _streams: &Streams) -> Self {
        Self { start_unix: model.run.start_unix, seen: IdVec::new(), skipped: IdVec::new() }
    }

    /// Whether the schedule is another one than at the last look: then nothing is started now, only
    /// the next point is waited for.
    fn has_new_schedule(&mut self, id: CronJobId, spec: &CronJobSpec) -> bool {
        let seen = self.seen.grow_to(id);
        let before = seen.as_ref() == Some(&spec.schedule_text);
        !before && seen.replace(spec.schedule_text.clone()).is_some()
    }
}

impl Controller for CronJobController {
    fn name(&self) -> &'static str {
        "cronjob-controller"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let Change::Object { key, what } = change else { return };
        match key {
            ObjectKey::CronJob(_) if *what != ObjectChange::Removed => out.push(*key),
            ObjectKey::Job(job) => {
                let owner = cluster.jobs().at(*job).and_then(|row| row.owner);
                out.extend(owner.map(ObjectKey::CronJob));
            }
            _ => {}
        }
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
        if cluster.model().scaled_jobs.iter().any(|scaled| scaled.name == row.spec.name) {
            return Requeue::Never; // KEDA's
        }
        let clock = Clock { start_unix: self.start_unix, now: ctx.now() };
        if self.has_new_schedule(id, &row.spec) {
            return match &row.spec.schedule {
                Ok(schedule) => clock.wait(row, schedule),
                Err(_) => Requeue::Never,
            };
        }
        let jobs = row.jobs.iter().map(|job| (*job, &cluster.jobs()[*job])).collect();
        let status = row.status.clone();
        let mut look =
            Look { id, row, jobs, status, clock, cluster, skips: None, has_trouble: false };
        look.clean_up(plan, ctx);
        let next = look.sync(plan, ctx);
        if let Some((due, step)) = look.skips {
            let told = self.skipped.grow_to(id).replace(due) == Some(due);
            if !told {
                look.record(step, ctx);
            }
        }
        if look.status != row.status {
            plan.push(Write::CronJob(id, CronJobWrite::Status(look.status)));
        }
        if look.has_trouble { Requeue::Failed } else { next }
    }
}

/// The clock on the wall.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start_unix: i64,
    now: SimTime,
}

impl Clock {
    /// An instant in Unix seconds, cut to whole ones.
    fn unix(self, at: SimTime) -> i64 {
        self.start_unix + i64::try_from(at.since_start().whole_secs()).unwrap_or(i64::MAX / 2)
    }

    /// Now, in whole seconds.
    fn seconds(self) -> i64 {
        self.unix(self.now)
    }

    /// Now, in nanoseconds.
    fn nanos(self) -> i128 {
        i128::from(self.start_unix) * SECOND + i128::from(self.now.as_nanos())
    }

    /// Points of the schedule that have not been started: where to start from, and the latest.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/cronjob/utils.go `mostRecentScheduleTime`
    /// (rule C136).
    fn missed(self, row: &CronJob, schedule: &Schedule, within_deadline: bool) -> Missed {
        let last = row.status.last_schedule;
        let mut earliest = last.unwrap_or_else(|| self.unix(row.created));
        if let Some(deadline) = row.spec.starting_deadline.filter(|_| within_deadline) {
            let from = self.nanos() - i128::from(deadline.as_nanos());
            let from = i64::try_from(from.div_euclid(SECOND)).unwrap_or(i64::MIN);
            earliest = earliest.max(from);
        }
        let now = self.seconds();
        let none = Missed { earliest, latest: None, count: 0 };
        let Some(first) = schedule.next(earliest) else {
            return Missed { count: -1, ..none };
        };
        if now < first {
            return none;
        }
        let Some(second) = schedule.next(first).filter(|second| *second <= now) else {
            return Missed { latest: Some(first), ..none };
        };
        let mut latest = second;
        while let Some(next) = schedule.next(latest).filter(|next| *next <= now) {
            latest = next;
        }
        let count = (now - first) / (second - first) + 1;
        Missed { latest: Some(latest), count, ..none }
    }

    /// Looks again a little after the point that follows the latest due one (rule C142).
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/cronjob/utils.go `nextScheduleTimeDuration`.
    fn wait(self, row: &CronJob, schedule: &Schedule) -> Requeue {
        let missed = self.missed(row, schedule, false);
        let from = missed.latest.unwrap_or(missed.earliest);
        let Some(next) = schedule.next(from) else { return Requeue::Never };
        let wait = i128::from(next) * SECOND + DELTA - self.nanos();
        Requeue::After(Duration::ns(u64::try_from(wait).unwrap_or(0)))
    }
}

/// Points that were not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missed {
    /// The last start, or the creation.
    earliest: i64,
    /// The latest point that is due.
    latest: Option<i64>,
    /// How many there are about, if more than one; −1 if no point comes at all.
    count: i64,
}

/// One look at a CronJob.
struct Look<'a> {
    id: CronJobId,
    row: &'a CronJob,
    /// Its Jobs, as they were when the look began.
    jobs: Vec<(JobId, &'a Job)>,
    /// The status as it will be.
    status: CronJobStatus,
    clock: Clock,
    cluster: &'a Cluster,
    /// A due point at which nothing is started.
    skips: Option<(i64, JobStep)>,
    /// Whether it must look again soon.
    has_trouble: bool,
}

impl Look<'_> {
    fn name_of(&self, job: &Job) -> &str {
        self.cluster.names().resolve(job.spec.name.name)
    }

    fn is_active(&self, name: &str) -> bool {
        self.status.active.iter().any(|active| &*active.name == name)
    }

    fn delete(&mut self, job: JobId, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let name = self.name_of(&self.cluster.jobs()[job]).to_owned();
        let job = self.cluster.jobs().refer(job);
        plan.push(Write::DeleteJob { job, propagation: Propagation::Background });
        self.status.active.retain(|active| *active.name != *name);
        self.tell(false, "SuccessfulDelete", format!("Deleted job {name}"), ctx);
    }

    /// Deletes ended Jobs beyond the limits, those that started first before the others (rule
    /// C143).
    fn clean_up(&mut self, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        use JobConditionKind::{Complete, Failed};
        let spec = &self.row.spec;
        for (kind, limit) in [(Complete, spec.succeeded_limit), (Failed, spec.failed_limit)] {
            let ended = |job: &Job| job.status.finished().is_some_and(|end| end.kind == kind);
            let mut all: Vec<(JobId, &Job)> =
                self.jobs.iter().copied().filter(|(_, job)| ended(job)).collect();
            all.sort_by_key(|(_, job)| {
                let start = job.status.start_time;
                (start.is_none(), start, self.name_of(job).to_owned())
            });
            let excess = all.len().saturating_sub(limit as usize);
            let goes: Vec<JobId> = all.iter().take(excess).map(|(id, _)| *id).collect();
            for job in goes {
                self.delete(job, plan, ctx);
            }
        }
    }

    /// Brings the active list up to date, then starts what is due.
    fn sync(&mut self, plan: &mut Plan, ctx: &mut Ctx<'_>) -> Requeue {
        self.note_ended(ctx);
        self.note_vanished(ctx);
        if self.row.is_deleting || self.row.spec.is_suspended {
            return Requeue::Never;
        }
        let row = self.row;
        match &row.spec.schedule {
            Ok(schedule) => self.start_due(schedule, plan, ctx),
            Err(error) => {
                let (schedule, _) = &row.spec.schedule_text;
                let message = format!("unparseable schedule: {schedule:?} : {error}");
                self.tell(true, "UnparseableSchedule", message, ctx);
                Requeue::Never
            }
        }
    }

    fn note_ended(&mut self, ctx: &mut Ctx<'_>) {
        for (_, job) in self.jobs.clone() {
            let name = self.name_of(job).to_owned();
            match (self.is_active(&name), job.status.finished()) {
                (false, None) => {
                    let message =
                        format!("Saw a job that the controller did not create or forgot: {name}");
                    self.tell(true, "UnexpectedJob", message, ctx);
                }
                (true, Some(end)) => {
                    self.status.active.retain(|active| *active.name != *name);
                    let end = end.kind.as_str();
                    let message = format!("Saw completed job: {name}, condition: {end}");
                    self.tell(false, "SawCompletedJob", message, ctx);
                }
                (false, Some(end)) if end.kind == JobConditionKind::Complete => {
                    let latest = self.status.last_success.max(job.status.completion_time);
                    self.status.last_success = latest;
                }
                _ => {}
            }
        }
    }

    fn note_vanished(&mut self, ctx: &mut Ctx<'_>) {
        let there = |name: &str| self.jobs.iter().any(|(_, job)| self.name_of(job) == name);
        let gone: Vec<ActiveJob> =
            self.status.active.iter().filter(|active| !there(&active.name)).cloned().collect();
        for ActiveJob { name } in gone {
            self.status.active.retain(|active| active.name != name);
            self.tell(false, "MissingJob", format!("Active job went missing: {name}"), ctx);
        }
    }

    fn start_due(&mut self, schedule: &Schedule, plan: &mut Plan, ctx: &mut Ctx<'_>) -> Requeue {
        let missed = self.clock.missed(self.row, schedule, true);
        if missed.count < 0 {
            self.tell(true, "InvalidSchedule", "invalid schedule".to_owned(), ctx);
            return Requeue::Never;
        }
        let Some(due) = missed.latest else {
            return self.clock.wait(self.row, schedule);
        };
        if missed.count > MANY {
            let message = "too many missed start times. Set or decrease \
                           .spec.startingDeadlineSeconds or check clock skew";
            self.tell(true, "TooManyMissedTimes", message.to_owned(), ctx);
        }
        if self.may_start(due, ctx) {
            self.start(due, plan, ctx);
        }
        self.clock_after(schedule)
    }

    /// The wait that follows from the status as it is now.
    fn clock_after(&self, schedule: &Schedule) -> Requeue {
        let after = CronJob { status: self.status.clone(), ..self.row.clone() };
        self.clock.wait(&after, schedule)
    }

    /// Rules C138 and C139.
    fn may_start(&mut self, due: i64, ctx: &mut Ctx<'_>) -> bool {
        if let Some(deadline) = self.row.spec.starting_deadline {
            let latest = i128::from(due) * SECOND + i128::from(deadline.as_nanos());
            if latest < self.clock.nanos() {
                let message = format!("Missed scheduled time to start a job: {due}");
                self.tell(true, "MissSchedule", message, ctx);
                self.skips = Some((due, JobStep::Missed));
                return false;
            }
        }
        if self.is_active(&self.job_name(due)) || self.status.last_schedule == Some(due) {
            return false;
        }
        let forbids = self.row.spec.concurrency == Concurrency::Forbid;
        if forbids && !self.status.active.is_empty() {
            let message = "Not starting job because prior execution is running and concurrency \
                           policy is Forbid";
            self.tell(false, "JobAlreadyActive", message.to_owned(), ctx);
            self.skips = Some((due, JobStep::Blocked));
            return false;
        }
        true
    }

    /// Rule C141.
    fn job_name(&self, due: i64) -> String {
        let name = self.cluster.names().resolve(self.row.spec.name.name);
        format!("{name}-{}", due.div_euclid(60))
    }

    /// Starts the Job of a due point; one of that name that is there already is taken for it.
    fn start(&mut self, due: i64, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        if self.row.spec.concurrency == Concurrency::Replace {
            for ActiveJob { name } in self.status.active.clone() {
                let found = self.jobs.iter().find(|(_, job)| self.name_of(job) == &*name);
                let Some((job, _)) = found else {
                    self.has_trouble = true;
                    return;
                };
                self.delete(*job, plan, ctx);
                self.record(JobStep::Replaced, ctx);
            }
        }
        let name = self.job_name(due);
        let own = self.jobs.iter().any(|(_, job)| self.name_of(job) == name);
        if !own && self.is_taken(&name) {
            let message = "Error creating job: the name belongs to another".to_owned();
            self.tell(true, "FailedCreate", message, ctx);
            self.has_trouble = true;
            return;
        }
        let namespace = self.row.spec.name.namespace;
        let admitted = self.cluster.admit_made(crate::api::Kind::Job, namespace, &name);
        if let Some(why) = admitted.err().filter(|_| !own) {
            // What is refused because the namespace ends is silent.
            if self.cluster.namespace_deleted(namespace).is_none() {
                let message = format!("Error creating job: {}", why.message);
                self.tell(true, "FailedCreate", message, ctx);
            }
            self.has_trouble = true;
            return;
        }
        if !own {
            let spec = std::sync::Arc::clone(&self.row.spec.job);
            plan.push(Write::CreateJob { cron_job: self.id, spec, name: name.clone() });
            self.tell(false, "SuccessfulCreate", format!("Created job {name}"), ctx);
        }
        self.status.active.push(ActiveJob { name: name.into() });
        self.status.last_schedule = Some(due);
    }

    /// Whether a Job has that name that is not its own.
    fn is_taken(&self, name: &str) -> bool {
        let namespace = self.row.spec.name.namespace;
        let name = self.cluster.names().get(name);
        let named = name.map(|name| crate::model::ObjectName { namespace, name });
        named.is_some_and(|name| self.cluster.tree(crate::api::Kind::Job, name).is_some())
    }

    fn record(&self, step: JobStep, ctx: &mut Ctx<'_>) {
        let workload = self.row.spec.job.template.workload;
        ctx.recorder.job(&JobRecord { at: self.clock.now, workload, step });
    }

    fn tell(&self, is_warning: bool, reason: &'static str, message: String, ctx: &mut Ctx<'_>) {
        let about = About::Object("CronJob", self.row.spec.name);
        let at = self.clock.now;
        ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}
