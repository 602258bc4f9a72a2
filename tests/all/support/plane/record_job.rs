//! Jobs.

use seatrial::base::SimTime;
use serde_json::{Value, json};

use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for (_, row) in view.cluster.jobs().iter() {
        let status = &row.status;
        let owner = row.owner.and_then(|owner| view.cluster.cron_jobs().get(owner));
        let mut cond: Vec<Value> = Vec::new();
        for condition in &status.conditions {
            let holds = if condition.holds { "True" } else { "False" };
            cond.push(json!([condition.kind.as_str(), holds, condition.reason]));
        }
        cond.sort_by_key(|condition| condition[0].as_str().unwrap_or("").to_owned());
        let uncounted = &status.uncounted;
        let record = json!({
            "owner": owner.map(|owner| view.name(owner.spec.name)),
            "suspend": row.spec.is_suspended,
            "parallelism": row.spec.parallelism,
            "completions": row.spec.completions,
            "active": status.active,
            "ready": status.ready,
            "terminating": status.terminating,
            "succeeded": status.succeeded,
            "failed": status.failed,
            "completedIndexes": status.completed_indexes.to_string(),
            "failedIndexes": status.failed_indexes.as_ref().map(ToString::to_string),
            "uncounted": uncounted.succeeded.len() + uncounted.failed.len(),
            "cond": cond,
            "startTime": status.start_time.map(millis),
            "completionTime": status.completion_time.map(millis),
            "deleting": row.is_deleting,
        });
        out.push((view.name(row.spec.name), record));
    }
}

/// Milliseconds since the start of the case.
pub(super) fn millis(at: SimTime) -> u64 {
    at.since_start().whole_millis()
}
