//! CronJobs.

use serde_json::{Value, json};

use super::record_job::millis;
use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    let start = view.cluster.model().run.start_unix;
    for (_, row) in view.cluster.cron_jobs().iter() {
        let status = &row.status;
        let record = json!({
            "suspend": row.spec.is_suspended,
            "active": status.active.iter().map(|active| &*active.name).collect::<Vec<_>>(),
            "lastSchedule": status.last_schedule.map(|at| (at - start) * 1000),
            "lastSuccess": status.last_success.map(millis),
        });
        out.push((view.name(row.spec.name), record));
    }
}
