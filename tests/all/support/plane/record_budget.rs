//! PodDisruptionBudgets.

use serde_json::{Value, json};

use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for (_, budget) in view.cluster.budgets().iter() {
        let status = &budget.status;
        let condition = status.condition.as_ref().map(|condition| {
            let (holds, reason) = condition.as_strs();
            json!(["DisruptionAllowed", holds, reason])
        });
        let disrupted = status.disrupted.iter().map(|(name, _)| name.text(view.cluster.names()));
        let record = json!({
            "expected": status.expected,
            "healthy": status.healthy,
            "desired": status.desired,
            "allowed": status.allowed,
            "disrupted": disrupted.collect::<Vec<_>>(),
            "cond": condition,
            "gen": budget.generation,
            "obs": status.observed_generation,
        });
        out.push((view.name(budget.spec.name), record));
    }
}
