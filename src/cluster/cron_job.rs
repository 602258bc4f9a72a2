//! The row of a CronJob, and writes about it.

use std::sync::Arc;

use crate::base::SimTime;
use crate::model::{CronJobId, CronJobSpec, JobId, ObjectKey};

use super::{Change, Cluster, ObjectChange};

/// A CronJob.
#[derive(Clone, Debug)]
pub struct CronJob {
    /// As declared now.
    pub spec: Arc<CronJobSpec>,
    /// When it was created.
    pub created: SimTime,
    /// `metadata.generation` (rule C4).
    pub generation: u64,
    /// Whether it is being deleted and waits for its dependents (foreground).
    pub is_deleting: bool,
    /// Its Jobs in order of creation.
    pub jobs: Vec<JobId>,
    /// Status.
    pub status: CronJobStatus,
}

/// Status of a CronJob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronJobStatus {
    /// Its Jobs that run, as far as the controller knows, in order of their starts.
    pub active: Vec<ActiveJob>,
    /// The point of the schedule for which the last Job was started, in Unix seconds.
    pub last_schedule: Option<i64>,
    /// When the last Job succeeded, in whole seconds.
    pub last_success: Option<SimTime>,
}

/// A Job on the list of active ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveJob {
    /// Its name.
    pub name: Box<str>,
}

/// A write about a CronJob.
#[derive(Clone, Debug)]
pub enum CronJobWrite {
    /// All of its status.
    Status(CronJobStatus),
}

impl CronJob {
    /// As it is when it has just been created.
    pub(super) fn new(spec: Arc<CronJobSpec>, created: SimTime) -> Self {
        Self {
            spec,
            created,
            generation: 1,
            is_deleting: false,
            jobs: Vec::new(),
            status: CronJobStatus::default(),
        }
    }
}

impl Cluster {
    /// Carries out a write about a CronJob.
    pub(super) fn write_cron_job(
        &mut self,
        id: CronJobId,
        write: CronJobWrite,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.cron_jobs.get_mut(id) else { return };
        let what = match write {
            CronJobWrite::Status(status) if row.status == status => return,
            CronJobWrite::Status(status) => {
                row.status = status;
                ObjectChange::Status
            }
        };
        changes.push(Change::Object { key: ObjectKey::CronJob(id), what });
    }
}
