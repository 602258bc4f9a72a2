//! How ended pods are counted, and how a Job's end is written (rules C116, C122).
//!
//! ```text
//! pod ended ─► status.uncounted ─► finalizer off ─► status.succeeded | failed ─► Complete | Failed
//! ```
//!
//! All steps stand in one plan, in this order: no other look comes in between.
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/job_controller.go
//! `trackJobStatusAndRemoveFinalizers`, `flushUncountedAndRemoveFinalizers`, `enactJobFinished`.

use crate::base::cast;
use crate::cluster::{JobConditionKind, JobWrite, Plan, Pod, Uncounted, Write};
use crate::model::{Intervals, PodId, PodRef};
use crate::record::{JobEnd, JobRecord, JobStep};
use crate::sim::Ctx;

use super::look::{Look, Verdict};

/// Pods that one look counts at most.
const MOST: usize = 500;

/// The ended pods of one look.
#[derive(Default)]
struct Ended {
    /// Their finalizers go.
    goes: Vec<PodRef>,
    /// Indexes that succeeded, one a pod.
    indexes: Vec<u32>,
    /// Whether there may be more.
    is_full: bool,
}

impl Look<'_> {
    /// Counts what has ended and writes the status. Says whether the failures of pods are to be
    /// remembered: they are if the status had something new.
    pub(super) fn track(&mut self, plan: &mut Plan, ctx: &mut Ctx<'_>) -> bool {
        if self.begins() {
            let workload = self.spec.template.workload;
            let step = JobStep::Started;
            ctx.recorder.job(&JobRecord { at: self.now, workload, step });
        }
        self.note_counts();
        let ended = self.ended();
        self.note_indexes(&ended);
        self.note_interim();
        let remembers = self.flush;
        if self.flush {
            self.write(plan);
            self.flush = false;
        }
        for pod in &ended.goes {
            plan.push(Write::Untrack { pod: *pod });
        }
        let counted = std::mem::take(&mut self.status.uncounted);
        self.flush |= counted != Uncounted::default();
        self.status.succeeded += cast::u32_of(counted.succeeded.len());
        self.status.failed += cast::u32_of(counted.failed.len());
        if !ended.is_full && self.terminating == 0 {
            self.finish(ctx);
        }
        if self.flush {
            self.write(plan);
        }
        remembers
    }

    fn write(&self, plan: &mut Plan) {
        let status = Box::new(self.status.clone());
        plan.push(Write::Job(self.job, JobWrite::Status(status)));
    }

    /// Whether the Job starts now for the first time.
    fn begins(&self) -> bool {
        let before = &self.row.status;
        let was_resumed = before.condition(JobConditionKind::Suspended).is_some_and(|c| !c.holds);
        before.start_time.is_none() && self.status.start_time.is_some() && !was_resumed
    }

    fn note_counts(&mut self) {
        let status = &mut self.status;
        let before = (status.active, status.ready, status.terminating);
        let after = (self.active_count, self.ready, self.terminating);
        (status.active, status.ready, status.terminating) = after;
        self.flush |= before != after;
    }

    /// Looks for pods that have ended; of an indexed Job in order of their indexes.
    fn ended(&mut self) -> Ended {
        let mut ended = Ended::default();
        let mut pods: Vec<(PodId, &Pod)> = self.pods().filter(|(_, pod)| pod.is_tracked).collect();
        if self.spec.is_indexed {
            pods.sort_by_key(|(_, pod)| pod.index);
        }
        for (id, pod) in pods {
            if !self.may_go(id, pod) {
                continue;
            }
            let pod_ref = self.cluster.pods().refer(id);
            ended.goes.push(pod_ref);
            self.note_end(pod_ref, pod, &mut ended);
            let Uncounted { succeeded, failed } = &self.status.uncounted;
            if ended.indexes.len() + succeeded.len() + failed.len() >= MOST {
                ended.is_full = true;
                break;
            }
        }
        ended
    }

    /// Whether a pod's finalizer may go: it has ended, or the Job does; unless its replacement is to
    /// take over its count of failures.
    fn may_go(&self, id: PodId, pod: &Pod) -> bool {
        if self.row.is_deleting || self.verdict.is_some() || self.has_succeeded(pod) {
            return true;
        }
        let delayed = self.indexes.as_ref().map(|indexes| &indexes.delayed);
        let is_delayed =
            delayed.zip(pod.index).is_some_and(|(d, index)| d.get(&index) == Some(&id));
        self.has_failed(pod) && !is_delayed
    }

    fn note_end(&mut self, pod_ref: PodRef, pod: &Pod, ended: &mut Ended) {
        let is_valid = self.has_valid_index(pod);
        if self.has_succeeded(pod) {
            let Some(indexes) = &self.indexes else {
                self.flush = true;
                return self.status.uncounted.succeeded.push(pod_ref);
            };
            let new = pod.index.filter(|index| is_valid && !indexes.previous.has(*index));
            if let Some(index) = new {
                ended.indexes.push(index);
                self.flush = true;
            }
            return;
        }
        // Of a Job that fails every pod that has not succeeded has failed.
        let fails = self.verdict.as_ref().is_some_and(|verdict| !verdict.is_success);
        if (self.has_failed(pod) || fails) && is_valid && self.counts(pod) {
            self.flush = true;
            self.status.uncounted.failed.push(pod_ref);
        }
    }

    fn note_indexes(&mut self, ended: &Ended) {
        let Some(indexes) = &self.indexes else { return };
        let succeeded = indexes.succeeded.union(&Intervals::of(ended.indexes.iter().copied()));
        let status = &mut self.status;
        status.succeeded = succeeded.total();
        self.flush |= status.completed_indexes != succeeded;
        self.flush |= status.failed_indexes != indexes.failed;
        status.completed_indexes = succeeded;
        status.failed_indexes.clone_from(&indexes.failed);
    }

    /// The condition that stands until the last pod is gone.
    fn note_interim(&mut self) {
        let Some(Verdict { is_success, reason, message }) = self.verdict.clone() else { return };
        let kind = match is_success {
            true => JobConditionKind::SuccessCriteriaMet,
            false => JobConditionKind::FailureTarget,
        };
        if self.status.condition(kind).is_none() {
            self.flush |= self.set_condition(kind, true, (reason, message));
        }
    }

    fn record(&self, is_success: bool, ctx: &mut Ctx<'_>) {
        let status = &self.status;
        let started = status.start_time.unwrap_or(self.now).max(self.row.created);
        let end = JobEnd {
            duration: self.now.saturating_since(started),
            succeeded: status.succeeded,
            failed: status.failed,
            failed_indexes: status.failed_indexes.as_ref().map_or(0, Intervals::total),
        };
        let step = if is_success { JobStep::Complete(end) } else { JobStep::Failed(end) };
        let workload = self.spec.template.workload;
        ctx.recorder.job(&JobRecord { at: self.now, workload, step });
    }

    /// Ends the Job if it has a verdict.
    fn finish(&mut self, ctx: &mut Ctx<'_>) {
        let Some(Verdict { is_success, reason, message }) = self.verdict.clone() else { return };
        self.flush = true;
        self.record(is_success, ctx);
        let text = message.to_string();
        if is_success {
            self.set_condition(JobConditionKind::Complete, true, (reason, message));
            self.status.completion_time = Some(self.now.floor_secs());
            self.tell(false, "Completed", "Job completed".to_owned(), ctx);
        } else {
            self.set_condition(JobConditionKind::Failed, true, (reason, message));
            self.tell(true, reason, text, ctx);
        }
    }
}
