//! How many pods a Job has: they are deleted or made, never both in one look (rules C123 to C126,
//! C131, C132).
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/job_controller.go `manageJob`, `deleteJobPods`,
//! `deleteActivePods`.

use crate::base::cast;
use crate::cluster::{JobCondition, JobConditionKind, NewPod, Plan, Write};
use crate::model::{JobId, OwnerRef, PodId};
use crate::record::{About, EventRecord, PodName};
use crate::sim::Ctx;

use super::super::pod_names::PodNames;
use super::look::{Look, Verdict};
use super::removal_order::to_remove;

/// Pods that one look makes or deletes at most.
const BURST: usize = 500;

impl Look<'_> {
    /// Deletes what runs: the Job ends. The finalizers stay until the pods are counted.
    pub(super) fn delete_active(&mut self, plan: &mut Plan) {
        for id in &self.active {
            plan.push(Write::DeletePod { pod: self.cluster.pods().refer(*id), grace: None });
        }
        self.terminating += cast::u32_of(self.active.len());
        (self.active_count, self.ready) = (0, 0);
    }

    /// Brings the pods to their number, and says whether all is done.
    pub(super) fn manage(
        &mut self,
        names: &mut PodNames<JobId>,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let is_managed = !self.row.is_deleting;
        if is_managed {
            self.bring_to_number(names, plan, ctx);
        }
        let enough = match self.spec.completions {
            None => self.succeeded > 0,
            Some(completions) => self.succeeded >= completions,
        };
        if enough && self.active_count == 0 {
            let message = "Reached expected number of succeeded pods";
            self.verdict = Some(Verdict::succeeded("CompletionsReached", message));
        } else if is_managed {
            self.tell_suspended(ctx);
        }
    }

    fn bring_to_number(&mut self, names: &mut PodNames<JobId>, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let active = self.active.len();
        let pods = self.cluster.pods();
        if self.spec.is_suspended {
            let goes = to_remove(&self.active, pods, self.completions_if_indexed(), active);
            return self.remove(&goes, plan, ctx);
        }
        let wanted = cast::usize_of(self.wanted());
        let excess = active.saturating_sub(wanted);
        let mut goes = to_remove(&self.active, pods, self.completions_if_indexed(), excess);
        goes.truncate(BURST);
        if !goes.is_empty() {
            return self.remove(&goes, plan, ctx);
        }
        let ending = if self.spec.replaces_ended_only { self.terminating_pods.len() } else { 0 };
        let missing = wanted.saturating_sub(active + ending);
        // What is refused because the namespace ends is silent.
        let is_ending = self.cluster.namespace_deleted(self.spec.name.namespace).is_some();
        if missing > 0 && !is_ending {
            self.create(missing, names, plan, ctx);
        }
    }

    /// How many pods shall be active (rule C123).
    fn wanted(&self) -> u32 {
        match self.spec.completions {
            None if self.succeeded > 0 => cast::u32_of(self.active.len()),
            None => self.spec.parallelism,
            Some(completions) => {
                completions.saturating_sub(self.succeeded).min(self.spec.parallelism)
            }
        }
    }

    /// Deletes pods that are one too many: without finalizer, so that they do not count as failed.
    fn remove(&mut self, goes: &[PodId], plan: &mut Plan, ctx: &mut Ctx<'_>) {
        for id in goes {
            let pod = self.cluster.pods().refer(*id);
            plan.push(Write::Untrack { pod });
            plan.push(Write::DeletePod { pod, grace: None });
            self.ready -= u32::from(self.pod(*id).status.ready);
            if ctx.recorder.wants_events() {
                let name = self.pod(*id).name.text(self.cluster.names());
                self.tell(false, "SuccessfulDelete", format!("Deleted pod: {name}"), ctx);
            }
        }
        let removed = cast::u32_of(goes.len());
        self.active_count -= removed;
        self.terminating += removed;
    }

    /// Makes pods, in growing batches: the first batch with a refusal is the last.
    fn create(
        &mut self,
        missing: usize,
        names: &mut PodNames<JobId>,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        if self.spec.backoff_limit_per_index.is_none() {
            let wait = self.record.remaining(self.now);
            if !wait.is_zero() {
                return self.again_batched(wait);
            }
        }
        let count = missing.min(BURST);
        let indexes = match self.completions_if_indexed() {
            None => vec![None; count],
            Some(completions) => {
                let wanted = self.pending_indexes(count, completions);
                match self.ready_indexes(&wanted) {
                    Ok(now) => now.into_iter().map(Some).collect(),
                    Err(wait) => return self.again_batched(wait),
                }
            }
        };
        let (mut from, mut batch) = (0, 1);
        while from < indexes.len() && !self.has_trouble {
            let to = (from + batch).min(indexes.len());
            for index in &indexes[from..to] {
                self.create_pod(*index, names, plan, ctx);
            }
            (from, batch) = (to, batch * 2);
        }
    }

    fn create_pod(
        &mut self,
        index: Option<u32>,
        names: &mut PodNames<JobId>,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let (of, texts) = (self.spec.name, self.cluster.names());
        let suffix = names.suffix(self.job, of, texts);
        let name = match index {
            Some(index) => PodName::Indexed { prefix: of.name, index, suffix },
            None => PodName::Generated { prefix: of.name, suffix },
        };
        let template = &self.spec.template;
        let new = NewPod {
            owner: Some(OwnerRef::Job(self.job)),
            index,
            is_tracked: true,
            index_failures: index.map_or_else(Default::default, |index| self.failures_of(index)),
            lifetime: template.spec.lifetime,
            ..NewPod::new(of.namespace, name, self.row.template, template.workload.kind)
        };
        let made = plan.create_pod(new, self.cluster);
        let tells = ctx.recorder.wants_events();
        match made {
            Ok(()) => {
                self.active_count += 1;
                if tells {
                    let message = format!("Created pod: {}", name.text(texts));
                    self.tell(false, "SuccessfulCreate", message, ctx);
                }
            }
            Err(refusal) => {
                self.has_trouble = true;
                if tells {
                    let message = format!("Error creating: {}", refusal.message);
                    self.tell(true, "FailedCreate", message, ctx);
                }
            }
        }
    }

    /// The condition Suspended; a Job that is resumed begins anew (rule C131). Since 1.36 a
    /// suspended one has no start time.
    fn tell_suspended(&mut self, ctx: &mut Ctx<'_>) {
        let (holds, reason, message, event) = match self.spec.is_suspended {
            true => (true, "JobSuspended", "Job suspended", "Suspended"),
            false => (false, "JobResumed", "Job resumed", "Resumed"),
        };
        let kind = JobConditionKind::Suspended;
        if !self.set_condition(kind, holds, (reason, message.into())) {
            return;
        }
        self.flush = true;
        self.status.start_time = (!holds).then(|| self.now.floor_secs());
        self.tell(false, event, message.to_owned(), ctx);
    }

    /// Sets a condition; one that does not hold is not added. Says whether something changed.
    pub(super) fn set_condition(
        &mut self,
        kind: JobConditionKind,
        holds: bool,
        (reason, message): (&'static str, Box<str>),
    ) -> bool {
        let since = self.now.floor_secs();
        let found = self.status.conditions.iter_mut().find(|condition| condition.kind == kind);
        let Some(found) = found else {
            if holds {
                let new = JobCondition { kind, holds, reason, message, since };
                self.status.conditions.push(new);
            }
            return holds;
        };
        let is_same = (found.holds, found.reason, &found.message) == (holds, reason, &message);
        if !is_same {
            *found = JobCondition { kind, holds, reason, message, since };
        }
        !is_same
    }

    pub(super) fn tell(
        &self,
        is_warning: bool,
        reason: &'static str,
        message: String,
        ctx: &mut Ctx<'_>,
    ) {
        let about = About::Object("Job", self.spec.name);
        let at = self.now;
        ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}
