//! ReplicaSets.

use serde_json::{Value, json};

use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for (_, set) in view.cluster.replica_sets().iter() {
        let template = &view.cluster.templates()[set.template].template;
        let owner = set.owner.and_then(|id| view.cluster.deployment(id));
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        let foreign = set.foreign_owner.map(|owner| view.text(owner.name).to_owned());
        let history: Vec<String> = set.revision_history.iter().map(u32::to_string).collect();
        let failure =
            set.status.failure.map(|f| json!([["ReplicaFailure", "True", format!("{f:?}")]]));
        let record = json!({
            "owner": owner.map(|owner| view.name(owner.spec.name)).or(foreign),
            "revhist": history.join(","),
            "cond": failure,
            "rev": (set.revision > 0).then(|| set.revision.to_string()),
            "desired": number(set.desired),
            "max": number(set.max),
            "image": view.text(template.spec.containers[0].image),
            "spec": set.replicas,
            "replicas": set.status.replicas,
            "labeled": set.status.fully_labeled,
            "ready": set.status.ready,
            "available": set.status.available,
            "terminating": set.status.terminating,
        });
        out.push((view.name(set.name), record));
    }
}
