//! Pods.

use seatrial::record::PodName;
use serde_json::{Value, json};

use super::records::View;

/// A pod with a generated name is called by base and number: `web-5d4f#3`.
pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    let pods = view.cluster.pods();
    for (id, pod) in pods.iter() {
        let part = &view.actor.parts[&pods.refer(id)];
        let name = match pod.name {
            PodName::Fixed(_) | PodName::Numbered { .. } => part.base.clone(),
            PodName::Generated { .. } | PodName::Indexed { .. } => {
                format!("{}#{}", part.base, part.number)
            }
        };
        let record = json!({
            "owner": view.names.owner(pod, view.cluster),
            "phase": format!("{:?}", pod.status.phase),
            "node": pod.node.map(|node| view.text(view.cluster.nodes()[node].spec.name)),
            "ready": pod.status.ready,
            "deleting": pod.deletion.is_some(),
            "index": pod.index.map(|index| index.to_string()),
            "disruption": pod.disruption.map(seatrial::cluster::Disruption::as_str),
            "restarts": pod.status.restarts,
        });
        out.push((name, record));
    }
}
