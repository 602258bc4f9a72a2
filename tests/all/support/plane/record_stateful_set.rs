//! StatefulSets.

use serde_json::{Value, json};

use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for (_, set) in view.cluster.stateful_sets().iter() {
        let status = &set.status;
        let name = view.name(set.spec.name);
        let revision = |hash: Option<_>| hash.map(|hash| format!("~{name}-{}", view.text(hash)));
        let record = json!({
            "spec": set.spec.replicas,
            "gen": set.generation,
            "obs": status.observed_generation,
            "replicas": status.replicas,
            "ready": status.ready,
            "available": status.available,
            "current": status.current,
            "updated": status.updated,
            "currentRevision": revision(status.current_revision),
            "updateRevision": revision(status.update_revision),
        });
        out.push((name, record));
    }
}
