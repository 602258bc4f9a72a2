//! Deployments.

use seatrial::cluster::ProgressReason;
use serde_json::{Value, json};

use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for row in view.cluster.deployments() {
        let status = &row.status;
        let mut cond = Vec::new();
        if status.observed_generation > 0 {
            cond.push(if status.is_available {
                json!(["Available", "True", "MinimumReplicasAvailable"])
            } else {
                json!(["Available", "False", "MinimumReplicasUnavailable"])
            });
        }
        if let Some(progressing) = status.progressing {
            cond.push(reason(progressing.reason));
        }
        if let Some(failure) = status.failure {
            cond.push(json!(["ReplicaFailure", "True", format!("{failure:?}")]));
        }
        let image = row.spec.template.spec.containers[0].image;
        let record = json!({
            "spec": row.replicas,
            "paused": row.spec.paused,
            "image": view.text(image),
            "gen": row.generation,
            "obs": status.observed_generation,
            "rev": (row.revision > 0).then(|| row.revision.to_string()),
            "replicas": status.replicas,
            "updated": status.updated,
            "ready": status.ready,
            "available": status.available,
            "unavailable": status.unavailable,
            "terminating": status.terminating,
            "collisions": status.collisions,
            "deleting": row.is_deleting,
            "cond": cond,
        });
        out.push((view.name(row.spec.name), record));
    }
}

fn reason(reason: ProgressReason) -> Value {
    let status = match reason {
        ProgressReason::ProgressDeadlineExceeded => "False",
        ProgressReason::DeploymentPaused | ProgressReason::DeploymentResumed => "Unknown",
        _ => "True",
    };
    json!(["Progressing", status, format!("{reason:?}")])
}
