//! Jobs and CronJobs, slot by slot.

use crate::support::plane::judge_controllers;

/// Rules C114 to C134.
#[test]
fn conformance_jobs() {
    judge_controllers("job", |_, _| None);
}

/// Rules C135 to C143.
#[test]
fn conformance_cron_jobs() {
    judge_controllers("cronjob", |_, _| None);
}
