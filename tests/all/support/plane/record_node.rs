//! Nodes.

use seatrial::model::TaintEffect;
use serde_json::{Value, json};

use super::records::View;

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
        let mut taints: Vec<String> = node.spec.taints.iter().map(taint).collect();
        taints.sort_unstable();
        let record = json!({
            "ready": node.condition.as_str(),
            "taints": taints,
            "unschedulable": node.spec.unschedulable,
        });
        out.push((view.text(node.spec.name).to_owned(), record));
    }
}
