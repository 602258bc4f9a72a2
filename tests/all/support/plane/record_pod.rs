//! Pods.

use seatrial::cluster::Pod;
use seatrial::model::{OwnerRef, PodRef};
use serde_json::{Value, json};

use super::records::View;

/// What a pod is called, one that is gone too.
pub(super) fn name_of(pod: PodRef, view: &View<'_>) -> String {
    let part = &view.actor.parts[&pod];
    if part.is_generated { format!("{}#{}", part.base, part.number) } else { part.base.clone() }
}

/// A pod with a generated name is called by base and number: `web-5d4f#3`.
pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    let pods = view.cluster.pods();
    for (id, pod) in pods.iter() {
        // Where the engine plays the case nobody has a part.
        let Some(part) = view.actor.parts.get(&pods.refer(id)) else { continue };
        let name = name_of(pods.refer(id), view);
        let index = pod.index.filter(|_| matches!(pod.owner, Some(OwnerRef::Job(_))));
        let owner = view.names.owner(pod, view.cluster);
        let owner = owner.or_else(|| pod.owner.and(part.owner.clone()));
        let record = json!({
            "owner": owner,
            "phase": format!("{:?}", pod.status.phase),
            "node": pod.node.map(|node| view.text(view.cluster.nodes()[node].spec.name)),
            "ready": pod.status.ready,
            "deleting": pod.deletion.is_some(),
            "index": index.map(|index| index.to_string()),
            "rev": revision(pod, owner.as_deref(), view),
            "disruption": pod.disruption.map(seatrial::cluster::Disruption::as_str),
            "restarts": pod.status.restarts,
        });
        out.push((name, record));
    }
}

/// The revision of a pod, a generated name: in a StatefulSet with its owner's name before it.
fn revision(pod: &Pod, owner: Option<&str>, view: &View<'_>) -> Option<String> {
    let hash = view.cluster.template_of(pod).labels.get(view.cluster.revision_label())?;
    match pod.owner? {
        OwnerRef::StatefulSet(_) => Some(format!("~{}-{}", owner?, view.text(hash))),
        OwnerRef::DaemonSet(_) => Some(format!("~{}", view.text(hash))),
        OwnerRef::ReplicaSet(_) | OwnerRef::Job(_) => None,
    }
}
