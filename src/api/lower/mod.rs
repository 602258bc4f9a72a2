//! From an object's tree to the plain data of the model.
//!
//! The tree has been through [`super::prepare`]: defaults are filled and what would be refused has
//! been said. What is odd all the same becomes the nearest thing that the model can hold; nothing
//! here panics.

mod affinity;
mod catalog;
mod container;
mod controllers;
mod daemon_set;
mod hpa;
mod job;
mod node;
mod object;
mod pod;
mod service;
mod storage;

use std::sync::Arc;

use serde_json::Value;

pub use affinity::lower_spread;
pub use catalog::{lower_budget, lower_namespace, lower_owner_selector};
pub use container::command_sleep;
pub use controllers::lower_stateful_set;
pub use daemon_set::lower_daemon_set;
pub use hpa::lower_hpa;
pub use job::{lower_cron_job, lower_job};
pub use node::{lower_node, lower_taints};
pub use object::{Object, lower_object};
pub use pod::{
    deletion_cost, lower_generated, lower_pod, lower_pod_spec, lower_tolerations, tagged,
};
pub use service::lower_service;
pub use storage::{
    lower_attachment, lower_capacity, lower_claim, lower_class, lower_csi_driver, lower_csi_node,
    lower_volume,
};

use super::problem::{At, Found, Problem};
use super::read::{count, int_or_string, seconds, text};
use super::selector::TextSelector;
use crate::base::{Duration, IntOrString, Interner};
use crate::model::{
    Behaviors, DeploymentSpec, ObjectName, PriorityClasses, ReplicaSetSpec, Selector, Strategy,
    Workload, WorkloadKind,
};

/// What lowering needs besides the object.
pub struct Lowering<'a> {
    /// What containers do.
    pub behaviors: &'a Behaviors,
    /// The priority classes of the cluster.
    pub classes: &'a PriorityClasses,
    /// Where names get their symbols.
    pub names: &'a mut Interner,
}

/// Namespace and name of an object; `default` where no namespace is given.
pub fn object_name(object: &Value, names: &mut Interner) -> ObjectName {
    let metadata = &object["metadata"];
    let namespace = match text(&metadata["namespace"]) {
        "" => "default",
        given => given,
    };
    let name = text(&metadata["name"]);
    ObjectName { namespace: names.intern(namespace), name: names.intern(name) }
}

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
    let spec = &object["spec"];
    let name = object_name(object, cx.names);
    let mut found = Found::default();
    let at = At::ROOT.field("spec.template");
    let workload = Workload { kind: WorkloadKind::ReplicaSet, name };
    let template = pod::lower_template(workload, &spec["template"], &at, cx, &mut found);
    let selector = lower_selector(&spec["selector"], cx.names, &mut found);
    let (Some(template), []) = (template, errors(&found).as_slice()) else {
        return Err(found.0);
    };
    Ok(ReplicaSetSpec {
        name,
        replicas: count(&spec["replicas"]).unwrap_or(1),
        selector,
        template,
        min_ready: seconds(&spec["minReadySeconds"]).unwrap_or(Duration::ZERO),
    })
}

fn errors(found: &Found) -> Vec<&Problem> {
    found.0.iter().filter(|problem| problem.is_error).collect()
}

/// A selector whose faults were said before: what cannot be read selects nothing, as null does.
fn optional_selector(object: &Value, names: &mut Interner) -> Option<Selector> {
    Some(TextSelector::of_object(object).ok()??.lower(names))
}

fn lower_selector(object: &Value, names: &mut Interner, found: &mut Found) -> Selector {
    match TextSelector::of_object(object) {
        Ok(selector) => selector.unwrap_or_default().lower(names),
        Err(why) => {
            found.invalid(&At::ROOT.field("spec.selector"), object, &why);
            Selector::default()
        }
    }
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
