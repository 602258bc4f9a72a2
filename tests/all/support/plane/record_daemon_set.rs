//! DaemonSets.

use serde_json::{Value, json};

use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for (_, set) in view.cluster.daemon_sets().iter() {
        let status = &set.status;
        let record = json!({
            "gen": set.generation,
            "obs": status.observed_generation,
            "desired": status.desired,
            "current": status.current,
            "misscheduled": status.misscheduled,
            "ready": status.ready,
            "available": status.available,
            "unavailable": status.unavailable,
            "updated": status.updated,
        });
        out.push((view.name(set.spec.name), record));
    }
}
