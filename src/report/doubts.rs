//! Doubts about the numbers, with advice: printed beside the result, not in it.

use crate::base::text::counted;
use crate::recorder::Facts;

use super::drains;
use super::names;
use super::rollouts;
use super::scripts;
use super::summary::Summary;

/// What a reader of the numbers should know: rows that could not be written, calls that are only
/// counted, rollouts that the end of the run cuts off, too few runs.
#[must_use]
pub fn warnings(summary: &Summary, facts: &Facts) -> Vec<String> {
    let mut all: Vec<String> =
        facts.trouble.iter().map(|trouble| format!("not all rows are there: {trouble}")).collect();
    if facts.failures_dropped > 0 {
        let more = counted(facts.failures_dropped, "failed call");
        all.push(format!("{more} more are counted, but not in the charts of causes by rollout"));
    }
    for (workload, name) in names::rolling(&facts.model) {
        let last = rollouts::of_workload(facts, workload).last().copied();
        let Some(last) = last.filter(|last| last.settled().is_none()) else { continue };
        let name = names::with_kind(workload, &name);
        all.push(if last.completed.is_some() {
            format!(
                "old pods of {name} were still ending when the run ended, as on a node that is \
                 down: all calls that failed since are counted with its rollout"
            )
        } else {
            format!(
                "the rollout of {name} was under way when the run ended: \
                 a later run.until would show all of it"
            )
        });
    }
    all.extend(drains::doubts(facts));
    all.extend(scripts::doubts(facts));
    if (2..5).contains(&summary.replications) {
        let runs = counted(crate::base::cast::u64_of(summary.replications), "run");
        all.push(format!("{runs} give wide intervals: 10 or more are better"));
    }
    all
}
