//! The row of a Job, and writes about it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::Kind;
use crate::base::dist::mix;
use crate::base::{SimTime, Symbol};
use crate::model::{
    CronJobId, Intervals, JobId, JobRef, JobSpec, ObjectKey, ObjectName, Operator, PodId, PodRef,
    Requirement, Selector, TemplateId,
};

use super::{Change, Cluster, ObjectChange};

/// A Job.
#[derive(Clone, Debug)]
pub struct Job {
    /// As declared now.
    pub spec: Arc<JobSpec>,
    /// Stands for the uid in the labels of its pods.
    pub uid: Symbol,
    /// Which pods are its own.
    pub selector: Selector,
    /// Its pods' template, with the labels that name the Job.
    pub template: TemplateId,
    /// When it was created.
    pub created: SimTime,
    /// `metadata.generation` (rule C4).
    pub generation: u64,
    /// Whether it is being deleted and waits for its dependents (foreground).
    pub is_deleting: bool,
    /// All its pods, those being deleted and terminal ones too, in order of creation.
    pub pods: Vec<PodId>,
    /// The CronJob that made it.
    pub owner: Option<CronJobId>,
    /// Status.
    pub status: JobStatus,
}

/// Status of a Job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// Pods that are neither terminal nor being deleted.
    pub active: u32,
    /// Those of them that are ready.
    pub ready: u32,
    /// Pods that are being deleted and not terminal.
    pub terminating: u32,
    /// Pods that succeeded; of an indexed Job the indexes.
    pub succeeded: u32,
    /// Pods that failed.
    pub failed: u32,
    /// Pods that ended and whose finalizer is about to go: the counts follow (rule C116).
    pub uncounted: Uncounted,
    /// Indexes that succeeded.
    pub completed_indexes: Intervals,
    /// Indexes that failed; `None` if they are not judged one by one.
    pub failed_indexes: Option<Intervals>,
    /// When it became active last, in whole seconds; `None` while it is suspended.
    pub start_time: Option<SimTime>,
    /// When it was complete, in whole seconds.
    pub completion_time: Option<SimTime>,
    /// Its conditions, in the order in which they came.
    pub conditions: Vec<JobCondition>,
}

/// Pods between their end and their being counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// They succeeded.
    pub succeeded: Vec<PodRef>,
    /// They failed.
    pub failed: Vec<PodRef>,
}

/// A condition of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCondition {
    /// Its type.
    pub kind: JobConditionKind,
    /// Whether it holds.
    pub holds: bool,
    /// Reason, as Kubernetes words it.
    pub reason: &'static str,
    /// Message.
    pub message: Box<str>,
    /// When it changed last, in whole seconds.
    pub since: SimTime,
}

/// The types of a Job's conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobConditionKind {
    /// It is done.
    Complete,
    /// It has failed.
    Failed,
    /// It will have failed when its last pod is gone.
    FailureTarget,
    /// It will be done when its last pod is gone.
    SuccessCriteriaMet,
    /// It has no pods for now.
    Suspended,
}

impl JobConditionKind {
    /// The type as the API has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::FailureTarget => "FailureTarget",
            Self::SuccessCriteriaMet => "SuccessCriteriaMet",
            Self::Suspended => "Suspended",
        }
    }
}

impl JobStatus {
    /// The condition of a type.
    #[must_use]
    pub fn condition(&self, kind: JobConditionKind) -> Option<&JobCondition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The condition of a type if it holds.
    #[must_use]
    pub fn holding(&self, kind: JobConditionKind) -> Option<&JobCondition> {
        self.condition(kind).filter(|condition| condition.holds)
    }

    /// The condition Complete or Failed, once one of them holds.
    #[must_use]
    pub fn finished(&self) -> Option<&JobCondition> {
        let complete = self.holding(JobConditionKind::Complete);
        complete.or_else(|| self.holding(JobConditionKind::Failed))
    }
}

/// A write about a Job.
#[derive(Clone, Debug)]
pub enum JobWrite {
    /// All of its status.
    Status(Box<JobStatus>),
}

impl Cluster {
    /// Adds a Job; its pods carry its name and uid as labels, and by the latter it selects them.
    ///
    /// Source: kubernetes v1.36.3 pkg/registry/batch/job/strategy.go `generateSelector`. Differs:
    /// pods have a label with their completion index only where a Service asks for it.
    pub(super) fn insert_job(
        &mut self,
        spec: Arc<JobSpec>,
        owner: Option<CronJobId>,
        changes: &mut Vec<Change>,
    ) -> JobId {
        let text = uid(mix(self.seed ^ mix(!self.jobs_created)));
        self.jobs_created += 1;
        let uid = self.names.intern(&text);
        let selector = if is_manual(&spec) {
            spec.selector.clone()
        } else {
            let key = self.names.intern(UID_LABELS[0]);
            let values = smallvec::smallvec![uid];
            Selector(vec![Requirement { key, operator: Operator::In, values }])
        };
        let template = self.job_template(&spec, uid);
        let namespace = spec.name.namespace;
        let job = self.jobs.insert(Job {
            spec,
            uid,
            selector: selector.clone(),
            template,
            created: self.now,
            generation: 1,
            is_deleting: false,
            pods: Vec::new(),
            owner,
            status: JobStatus::default(),
        });
        self.add_selector(ObjectKey::Job(job.id), namespace, &selector);
        changes.push(Change::Object { key: ObjectKey::Job(job.id), what: ObjectChange::Added });
        job.id
    }

    fn job_template(&mut self, spec: &JobSpec, uid: Symbol) -> TemplateId {
        let mut labels = spec.template.labels.clone();
        if is_manual(spec) {
            return self.use_template(&spec.template, labels);
        }
        for key in UID_LABELS {
            labels.set(self.names.intern(key), uid);
        }
        for key in ["job-name", "batch.kubernetes.io/job-name"] {
            labels.set(self.names.intern(key), spec.name.name);
        }
        self.use_template(&spec.template, labels)
    }

    /// Puts another specification of a Job in place.
    pub(super) fn replace_job(
        &mut self,
        job: JobRef,
        spec: Arc<JobSpec>,
        is_same: bool,
        changes: &mut Vec<Change>,
    ) {
        let Some(uid) = self.jobs.get(job).map(|row| row.uid) else { return };
        let template = self.job_template(&spec, uid);
        let row = &mut self.jobs[job.id];
        let before = std::mem::replace(&mut row.template, template);
        row.spec = spec;
        row.generation += u64::from(!is_same);
        self.drop_template(before);
        changes.push(Change::Object { key: ObjectKey::Job(job.id), what: ObjectChange::Spec });
    }

    /// Adds a Job of a CronJob, unless the CronJob is gone or the name is taken.
    pub(super) fn create_job(
        &mut self,
        cron_job: CronJobId,
        (spec, name): (&JobSpec, &str),
        changes: &mut Vec<Change>,
    ) {
        if self.cron_jobs.get(cron_job).is_none() {
            return;
        }
        let namespace = spec.name.namespace;
        let name = ObjectName { namespace, name: self.names.intern(name) };
        if self.trees.contains_key(&(Kind::Job, name)) {
            return;
        }
        let source = Arc::new(named(&spec.source, self.names.resolve(name.name)));
        self.trees.insert((Kind::Job, name), Arc::clone(&source));
        let spec = JobSpec { name, source, ..spec.clone() };
        let id = self.insert_job(Arc::new(spec), Some(cron_job), changes);
        let owner = self.cron_jobs.get_mut(cron_job).expect("it was there a moment ago");
        owner.jobs.push(id);
    }

    /// Carries out a write about a Job.
    pub(super) fn write_job(&mut self, id: JobRef, write: JobWrite, changes: &mut Vec<Change>) {
        let Some(row) = self.jobs.get_mut(id) else { return };
        let what = match write {
            JobWrite::Status(status) if row.status == *status => return,
            JobWrite::Status(status) => {
                row.status = *status;
                ObjectChange::Status
            }
        };
        changes.push(Change::Object { key: ObjectKey::Job(id.id), what });
    }
}

/// The labels with the uid, which the API server gives the pods of a Job.
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];

/// Whether a Job's selector is the user's own.
fn is_manual(spec: &JobSpec) -> bool {
    spec.source["spec"]["manualSelector"] == true
}

/// Something that looks like a uid.
fn uid(of: u64) -> String {
    let more = mix(of);
    let part = |shift: u32, bits: u32| (of >> shift) & ((1 << bits) - 1);
    let (a, b, c) = (part(32, 32), part(16, 16), part(0, 12));
    format!("{a:08x}-{b:04x}-4{c:03x}-8{:03x}-{:012x}", more >> 52, more & 0xffff_ffff_ffff)
}

/// A Job's tree under another name.
fn named(tree: &Value, name: &str) -> Value {
    let mut tree = tree.clone();
    tree["metadata"]["name"] = json!(name);
    tree
}
