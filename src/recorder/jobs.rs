//! Jobs and CronJobs: how many started and how they ended.

use crate::base::Histogram;
use crate::record::{JobEnd, JobRecord, JobStep};

/// The Jobs of one manifest: one of a Job, any number of a CronJob.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobTally {
    /// Jobs that started.
    pub started: u64,
    /// Those that were complete.
    pub complete: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were deleted to make way for the next one.
    pub replaced: u64,
    /// Points of the schedule at which an earlier one still ran and none started.
    pub blocked: u64,
    /// Points of the schedule that were found too late.
    pub missed: u64,
    /// Pods that succeeded, of Jobs that ended.
    pub pods_succeeded: u64,
    /// Pods that failed, of Jobs that ended.
    pub pods_failed: u64,
    /// Indexes that failed, of Jobs that ended.
    pub indexes_failed: u64,
    /// From start to end.
    pub durations: Histogram,
}

impl JobTally {
    pub(super) fn add(&mut self, row: &JobRecord) {
        match row.step {
            JobStep::Started => self.started += 1,
            JobStep::Complete(end) => {
                self.complete += 1;
                self.end(end);
            }
            JobStep::Failed(end) => {
                self.failed += 1;
                self.end(end);
            }
            JobStep::Replaced => self.replaced += 1,
            JobStep::Blocked => self.blocked += 1,
            JobStep::Missed => self.missed += 1,
        }
    }

    fn end(&mut self, end: JobEnd) {
        self.pods_succeeded += u64::from(end.succeeded);
        self.pods_failed += u64::from(end.failed);
        self.indexes_failed += u64::from(end.failed_indexes);
        self.durations.record(end.duration);
    }
}
