//! One look at a Job: what it sees, and whether the Job is to end (rules C117 to C121).

use crate::base::{Duration, SimTime, cast};
use crate::cluster::{
    Cluster, Job, JobCondition, JobConditionKind, JobStatus, Phase, Pod, Requeue,
};
use crate::model::{FailureAction, JobRef, JobSpec, PodId, RestartPolicy};

use super::BATCH;
use super::backoff::{Record, finished_time};
use super::failure_policy::{Matched, first_match, message};
use super::indexed::Indexes;
use super::success_policy;

/// What one look at a Job knows.
pub(super) struct Look<'a> {
    pub cluster: &'a Cluster,
    pub job: JobRef,
    pub row: &'a Job,
    pub spec: &'a JobSpec,
    pub now: SimTime,
    /// Pods that are neither terminal nor being deleted.
    pub active: Vec<PodId>,
    /// Pods that are being deleted and not terminal.
    pub terminating_pods: Vec<PodId>,
    /// What the status will say of active pods: 0 while new ones wait for a back-off (rule C126).
    pub active_count: u32,
    pub ready: u32,
    pub terminating: u32,
    /// With all that have not been counted yet; of an indexed Job the indexes.
    pub succeeded: u32,
    pub failed: u32,
    pub indexes: Option<Indexes>,
    pub record: Record,
    pub verdict: Option<Verdict>,
    /// The status as it will be.
    pub status: JobStatus,
    /// Whether the status is to be written.
    pub flush: bool,
    /// Whether a write was refused.
    pub has_trouble: bool,
    next: Option<Duration>,
}

/// Why a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it has succeeded.
    pub is_success: bool,
    pub reason: &'static str,
    pub message: Box<str>,
}

impl Verdict {
    fn failed(reason: &'static str, message: impl Into<Box<str>>) -> Self {
        Self { is_success: false, reason, message: message.into() }
    }

    pub(super) fn succeeded(reason: &'static str, message: impl Into<Box<str>>) -> Self {
        Self { is_success: true, reason, message: message.into() }
    }

    fn again(condition: &JobCondition) -> Self {
        let is_success = condition.kind == JobConditionKind::SuccessCriteriaMet;
        Self { is_success, reason: condition.reason, message: condition.message.clone() }
    }
}

impl<'a> Look<'a> {
    pub(super) fn new(job: JobRef, record: Record, cluster: &'a Cluster, now: SimTime) -> Self {
        let row = &cluster.jobs()[job.id];
        let mut look = Self {
            cluster,
            job,
            row,
            spec: &row.spec,
            now,
            active: Vec::new(),
            terminating_pods: Vec::new(),
            active_count: 0,
            ready: 0,
            terminating: 0,
            succeeded: row.status.succeeded,
            failed: row.status.failed,
            indexes: None,
            record,
            verdict: None,
            status: row.status.clone(),
            flush: row.status == JobStatus::default(),
            has_trouble: false,
            next: None,
        };
        look.count_pods();
        look.start();
        look
    }

    fn count_pods(&mut self) {
        let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
        for id in &self.row.pods {
            let pod = self.pod(*id);
            if pod.is_active() {
                self.active.push(*id);
                self.ready += u32::from(pod.status.ready);
            } else if !pod.is_terminal() {
                self.terminating_pods.push(*id);
            }
            if !pod.is_tracked || !self.has_valid_index(pod) {
                continue;
            }
            if self.has_succeeded(pod) {
                self.succeeded += 1;
                succeeded.push(finished_time(pod));
            } else if self.has_failed(pod) {
                self.failed += u32::from(self.counts(pod));
                failed.push(finished_time(pod));
            }
        }
        self.active_count = cast::u32_of(self.active.len());
        self.terminating = cast::u32_of(self.terminating_pods.len());
        self.record = self.record.with(&succeeded, &failed);
    }

    /// The first look at a Job that is not suspended starts it (rule C120).
    fn start(&mut self) {
        if self.status.start_time.is_none() && !self.spec.is_suspended {
            self.status.start_time = Some(self.now.floor_secs());
            self.flush = true;
        }
    }

    pub(super) fn pod(&self, id: PodId) -> &'a Pod {
        &self.cluster.pods()[id]
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = (PodId, &'a Pod)> {
        let (pods, row): (_, &'a Job) = (self.cluster.pods(), self.row);
        row.pods.iter().map(move |id| (*id, &pods[*id]))
    }

    pub(super) fn completions_if_indexed(&self) -> Option<u32> {
        self.spec.completions.filter(|_| self.spec.is_indexed)
    }

    pub(super) fn has_valid_index(&self, pod: &Pod) -> bool {
        match self.completions_if_indexed() {
            Some(completions) => pod.index.is_some_and(|index| index < completions),
            None => true,
        }
    }

    pub(super) fn has_succeeded(&self, pod: &Pod) -> bool {
        pod.status.phase == Phase::Succeeded
    }

    /// Rule C117: what is deleted counts as failed before it has ended, unless only ended pods are
    /// replaced.
    pub(super) fn has_failed(&self, pod: &Pod) -> bool {
        pod.status.phase == Phase::Failed
            || (!self.spec.replaces_ended_only
                && pod.deletion.is_some()
                && !self.has_succeeded(pod))
    }

    /// What the failure policy says of a pod.
    pub(super) fn policy(&self, pod: &Pod) -> Option<Matched> {
        first_match(self.spec.failure_policy.as_ref()?, pod, &self.spec.template.spec)
    }

    /// Whether the failure of a pod counts.
    pub(super) fn counts(&self, pod: &Pod) -> bool {
        self.policy(pod).is_none_or(|matched| matched.action != FailureAction::Ignore)
    }

    /// Looks again after this, not before a second has passed.
    pub(super) fn again_after(&mut self, delay: Duration) {
        self.next = Some(self.next.map_or(delay, |next| next.min(delay)));
    }

    /// Like [`Self::again_after`], but a second at least (rule C115).
    pub(super) fn again_batched(&mut self, delay: Duration) {
        self.again_after(delay.max(BATCH));
    }

    pub(super) fn requeue(&self) -> Requeue {
        match self.next {
            _ if self.has_trouble => Requeue::Failed,
            Some(next) => Requeue::After(next),
            None => Requeue::Never,
        }
    }

    /// Whether the Job is to end, in the order in which reasons are looked at (rule C118).
    pub(super) fn judge(&mut self) {
        use JobConditionKind::{FailureTarget, SuccessCriteriaMet};
        let met = self.row.status.condition(SuccessCriteriaMet);
        let target = self.row.status.holding(FailureTarget);
        self.verdict = met.or(target).map(Verdict::again);
        self.verdict = self.verdict.take().or_else(|| self.by_policy());
        if self.verdict.is_none() {
            self.verdict = self.by_limits();
        }
        self.indexes = self.indexes();
        if let Some(indexes) = &self.indexes {
            self.succeeded = indexes.succeeded.total();
            self.verdict = self.verdict.take().or_else(|| self.by_indexes(indexes));
        }
    }

    fn by_policy(&self) -> Option<Verdict> {
        let rules = self.spec.failure_policy.as_ref()?;
        self.pods().filter(|(_, pod)| self.has_failed(pod)).find_map(|(_, pod)| {
            let matched = self.policy(pod)?;
            let fails = matched.action == FailureAction::FailJob;
            let message = || message(matched, pod, rules, self.cluster);
            fails.then(|| Verdict::failed("PodFailurePolicy", message()))
        })
    }

    fn by_limits(&mut self) -> Option<Verdict> {
        if self.failed > self.spec.backoff_limit || self.restarts_too_often() {
            let message = "Job has reached the specified backoff limit";
            return Some(Verdict::failed("BackoffLimitExceeded", message));
        }
        let deadline = self.spec.active_deadline.filter(|_| !self.spec.is_suspended)?;
        let ends = self.status.start_time?.saturating_add(deadline);
        if ends <= self.now {
            let message = "Job was active longer than specified deadline";
            return Some(Verdict::failed("DeadlineExceeded", message));
        }
        self.again_after(ends.saturating_since(self.now));
        None
    }

    /// Containers that are started again count where the pod is not replaced (rule C119).
    fn restarts_too_often(&self) -> bool {
        if self.spec.template.spec.restart_policy != RestartPolicy::OnFailure {
            return false;
        }
        let runs = |pod: &Pod| !pod.is_terminal();
        let restarts: u32 =
            self.pods().filter(|(_, pod)| runs(pod)).map(|(_, pod)| pod.status.restarts).sum();
        restarts > 0 && restarts >= self.spec.backoff_limit
    }

    fn by_indexes(&self, indexes: &Indexes) -> Option<Verdict> {
        let completions = self.completions_if_indexed()?;
        if let Some(failed) = indexes.failed.as_ref().map(crate::model::Intervals::total) {
            if self.spec.max_failed_indexes.is_some_and(|max| failed > max) {
                let message = "Job has exceeded the specified maximal number of failed indexes";
                return Some(Verdict::failed("MaxFailedIndexesExceeded", message));
            }
            if failed > 0 && failed + indexes.succeeded.total() >= completions {
                return Some(Verdict::failed("FailedIndexes", "Job has failed indexes"));
            }
        }
        let rules = &self.spec.success_policy;
        let met = success_policy::first_met(rules, completions, &indexes.succeeded)?;
        let message = format!("Matched rules at index {met}");
        Some(Verdict::succeeded("SuccessPolicy", message))
    }
}
