//! The scheduling queue in virtual time: pods that are stuck and what wakes them.

use serde_json::Value;

use crate::support::corpus::{run_corpus, same};
use crate::support::scheduler_case::list;
use crate::support::scheduler_driver::{Done, run};

/// Compares what was done with what was recorded.
pub(super) fn check(case: &Value) -> Result<(), String> {
    let done = run(case)?;
    compare(case, &done).map_err(|how| how.chars().take(900).collect())
}

fn compare(case: &Value, done: &Done) -> Result<(), String> {
    let outcome = &case["outcome"];
    let order: Vec<_> = list(outcome, "nodeOrder").iter().filter_map(Value::as_str).collect();
    if !done.node_order.is_empty() {
        same("nodeOrder", done.node_order.iter().map(String::as_str).collect(), order)?;
    }
    all_same("attempt", &done.attempts, list(outcome, "attempts"))?;
    all_same("eviction", &done.evictions, list(outcome, "evictions"))?;
    for recorded in list(outcome, "queueAfterEvent") {
        let event = recorded["event"].as_u64().unwrap_or(0);
        let found = done.queue_after.iter().find(|(number, _)| *number as u64 == event);
        let ours = found.map(|(_, places)| places);
        same(&format!("queue after event {event}"), ours, Some(&recorded["queue"]))?;
    }
    same("placements", &serde_json::json!(done.placements), &outcome["placements"])?;
    same("pending", &done.pending, &outcome["pending"])
}

fn all_same(what: &str, ours: &[Value], theirs: &[Value]) -> Result<(), String> {
    for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        same(&format!("{what} {number}"), ours, theirs)?;
    }
    let shorter = ours.len().min(theirs.len());
    same(
        &format!("{what} {shorter}"),
        ours.get(shorter).map(ToString::to_string),
        theirs.get(shorter).map(ToString::to_string),
    )
}

#[test]
fn conformance_queue() {
    run_corpus("scheduler", "queue", check);
}
