//! Deployments and ReplicaSets.

use std::sync::Arc;

use serde_json::Value;

use super::super::node_selector::lower_labels;
use super::super::problem::{At, Found, Problem};
use super::super::read::{count, int_or_string, items, seconds, text};
use super::{Lowering, errors, lower_selector, object_name, pod};
use crate::base::{Duration, IntOrString, Interner};
use crate::model::{
    DeploymentSpec, ForeignOwner, Labels, ReplicaSetSpec, Selector, Strategy, Workload,
    WorkloadKind,
};

/// The annotation that asks the Deployment controller for an earlier revision.
pub const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";

/// Annotations that are one object's own: a Deployment does not hand them to its ReplicaSets.
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
/// `annotationsToSkip` (rule C28).
pub const OWN_ANNOTATIONS: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    ROLLBACK_TO,
];

/// Lowers a Deployment.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_deployment(
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<DeploymentSpec, Vec<Problem>> {
    let spec = &object["spec"];
    let name = object_name(object, cx.names);
    let mut found = Found::default();
    let at = At::ROOT.field("spec.template");
    let workload = Workload { kind: WorkloadKind::Deployment, name };
    let template = pod::lower_template(workload, &spec["template"], &at, cx, &mut found);
    let selector = lower_selector(&spec["selector"], cx.names, &mut found);
    let (Some(template), []) = (template, errors(&found).as_slice()) else {
        return Err(found.0);
    };
    // The largest value means "never".
    let progress = spec["progressDeadlineSeconds"].as_i64();
    let progress = progress.filter(|seconds| *seconds != i64::from(i32::MAX));
    Ok(DeploymentSpec {
        name,
        source: Arc::clone(object),
        replicas: count(&spec["replicas"]).unwrap_or(1),
        selector,
        template,
        strategy: lower_strategy(&spec["strategy"]),
        min_ready: seconds(&spec["minReadySeconds"]).unwrap_or(Duration::ZERO),
        progress_deadline: progress.and_then(|_| seconds(&spec["progressDeadlineSeconds"])),
        history_limit: count(&spec["revisionHistoryLimit"]).unwrap_or(10),
        paused: spec["paused"] == true,
        annotations: shared_annotations(&object["metadata"]["annotations"], cx.names),
        rollback_to: text(&object["metadata"]["annotations"][ROLLBACK_TO]).parse().ok(),
    })
}

/// Lowers a ReplicaSet that was written by hand.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_replica_set(
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<ReplicaSetSpec, Vec<Problem>> {
    lower_set(WorkloadKind::ReplicaSet, object, cx)
}

/// Lowers a ReplicationController: a ReplicaSet whose selector is a plain mapping. Its template
/// says by the workload's kind that it is one.
///
/// # Errors
/// As for a ReplicaSet.
///
/// Source: kubernetes v1.36.3 pkg/controller/replication/conversion.go.
pub fn lower_replication_controller(
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<ReplicaSetSpec, Vec<Problem>> {
    lower_set(WorkloadKind::ReplicationController, object, cx)
}

fn lower_set(
    kind: WorkloadKind,
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<ReplicaSetSpec, Vec<Problem>> {
    let spec = &object["spec"];
    let name = object_name(object, cx.names);
    let mut found = Found::default();
    let at = At::ROOT.field("spec.template");
    let workload = Workload { kind, name };
    let template = pod::lower_template(workload, &spec["template"], &at, cx, &mut found);
    let selector = match kind {
        WorkloadKind::ReplicationController => {
            Selector::from_labels(&lower_labels(&spec["selector"], cx.names))
        }
        _ => lower_selector(&spec["selector"], cx.names, &mut found),
    };
    let (Some(template), []) = (template, errors(&found).as_slice()) else {
        return Err(found.0);
    };
    Ok(ReplicaSetSpec {
        name,
        replicas: count(&spec["replicas"]).unwrap_or(1),
        selector,
        template,
        min_ready: seconds(&spec["minReadySeconds"]).unwrap_or(Duration::ZERO),
        labels: lower_labels(&object["metadata"]["labels"], cx.names),
        annotations: shared_annotations(&object["metadata"]["annotations"], cx.names),
        controller: foreign_owner(object, cx.names),
    })
}

fn shared_annotations(annotations: &Value, names: &mut Interner) -> Labels {
    let pairs = annotations.as_object().into_iter().flatten();
    let shared = pairs.filter(|(key, _)| !OWN_ANNOTATIONS.contains(&key.as_str()));
    Labels::new(shared.map(|(key, value)| (names.intern(key), names.intern(text(value)))))
}

/// The controller that an object names as its owner.
fn foreign_owner(object: &Value, names: &mut Interner) -> Option<ForeignOwner> {
    let owners = items(&object["metadata"]["ownerReferences"]);
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    let [name, uid] = ["name", "uid"].map(|key| names.intern(text(&owner[key])));
    Some(ForeignOwner { name, uid })
}

fn lower_strategy(strategy: &Value) -> Strategy {
    if strategy["type"] == "Recreate" {
        return Strategy::Recreate;
    }
    let quarter = || IntOrString::Text("25%".into());
    let rolling = &strategy["rollingUpdate"];
    Strategy::RollingUpdate {
        max_surge: int_or_string(&rolling["maxSurge"]).unwrap_or_else(quarter),
        max_unavailable: int_or_string(&rolling["maxUnavailable"]).unwrap_or_else(quarter),
    }
}
