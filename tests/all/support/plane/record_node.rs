//! Nodes.

use seatrial::model::TaintEffect;
use serde_json::{Value, json};

use super::records::View;

/// The node lifecycle controller sets it, in cases where it runs.
const CORDONED: &str = "node.kubernetes.io/unschedulable";

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for node in view.cluster.nodes().iter().filter(|node| !node.is_gone) {
        let taint = |taint: &seatrial::model::Taint| {
            let effect = match taint.effect {
                TaintEffect::NoSchedule => "NoSchedule",
                TaintEffect::PreferNoSchedule => "PreferNoSchedule",
                TaintEffect::NoExecute => "NoExecute",
            };
            let (key, value) = (view.text(taint.key), view.text(taint.value));
            let mark = if value.is_empty() { "" } else { "=" };
            format!("{key}{mark}{value}:{effect}")
        };
        let is_told = |taint: &&seatrial::model::Taint| {
            view.actor.has_node_lifecycle || view.text(taint.key) != CORDONED
        };
        let taints = node.spec.taints.iter().filter(is_told);
        let mut taints: Vec<String> = taints.map(taint).collect();
        taints.sort_unstable();
        let record = json!({
            "ready": node.condition.as_str(),
            "taints": taints,
            "unschedulable": node.spec.unschedulable,
        });
        out.push((view.text(node.spec.name).to_owned(), record));
    }
}
