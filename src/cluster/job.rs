//! The row of a Job, and writes about it.

use std::sync::Arc;

use crate::base::SimTime;
use crate::model::{CronJobId, JobRef, JobSpec, ObjectKey, PodId};

use super::{Change, Cluster, ObjectChange};

/// A Job.
#[derive(Clone, Debug)]
pub struct Job {
    /// As declared now.
    pub spec: Arc<JobSpec>,
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
    /// The generation that the controller has seen.
    pub observed_generation: u64,
}

/// A write about a Job.
#[derive(Clone, Debug)]
pub enum JobWrite {
    /// All of its status.
    Status(JobStatus),
}

impl Job {
    /// As it is when it has just been created.
    pub(super) fn new(spec: Arc<JobSpec>, created: SimTime) -> Self {
        Self {
            spec,
            created,
            generation: 1,
            is_deleting: false,
            pods: Vec::new(),
            owner: None,
            status: JobStatus::default(),
        }
    }
}

impl Cluster {
    /// Carries out a write about a Job.
    pub(super) fn write_job(&mut self, id: JobRef, write: JobWrite, changes: &mut Vec<Change>) {
        let Some(row) = self.jobs.get_mut(id) else { return };
        let what = match write {
            JobWrite::Status(status) if row.status == status => return,
            JobWrite::Status(status) => {
                row.status = status;
                ObjectChange::Status
            }
        };
        changes.push(Change::Object { key: ObjectKey::Job(id.id), what });
    }
}
