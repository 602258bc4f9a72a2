//! Any object: the typed part that the cluster's tables keep, beside its tree.

use std::sync::Arc;

use serde_json::Value;

use super::super::kinds::Kind;
use super::super::problem::Problem;
use super::{
    Lowering, lower_budget, lower_cron_job, lower_daemon_set, lower_deployment, lower_hpa,
    lower_ingress, lower_job, lower_node, lower_pod, lower_replica_set,
    lower_replication_controller, lower_service, lower_stateful_set, object_name,
};
use crate::model::{Declared, ObjectName};

/// An object as the API server stores it.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its name; of a kind without namespaces the namespace is `default` here.
    pub name: ObjectName,
    /// All of it, defaults filled.
    pub tree: Arc<Value>,
    /// What the tables keep of it.
    pub declared: Declared,
}

/// Lowers an object of any kind.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_object(
    kind: Kind,
    tree: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<Object, Vec<Problem>> {
    let declared = match kind {
        Kind::Pod => Declared::Pod(Box::new(lower_pod(tree, cx)?)),
        Kind::Deployment => Declared::Deployment(Arc::new(lower_deployment(tree, cx)?)),
        Kind::ReplicaSet => Declared::ReplicaSet(Arc::new(lower_replica_set(tree, cx)?)),
        Kind::ReplicationController => {
            Declared::ReplicaSet(Arc::new(lower_replication_controller(tree, cx)?))
        }
        Kind::StatefulSet => Declared::StatefulSet(Arc::new(lower_stateful_set(tree, cx)?)),
        Kind::DaemonSet => Declared::DaemonSet(Arc::new(lower_daemon_set(tree, cx)?)),
        Kind::Job => Declared::Job(Arc::new(lower_job(tree, cx)?)),
        Kind::CronJob => Declared::CronJob(Arc::new(lower_cron_job(tree, cx)?)),
        Kind::Service => Declared::Service(Arc::new(lower_service(tree, cx.names))),
        Kind::HorizontalPodAutoscaler => Declared::Hpa(Arc::new(lower_hpa(tree, cx.names))),
        Kind::PodDisruptionBudget => Declared::Budget(Arc::new(lower_budget(tree, cx.names))),
        Kind::Node => Declared::Node(Box::new(lower_node(tree, cx.names))),
        Kind::Ingress => Declared::Ingress(Arc::new(lower_ingress(tree, cx.names))),
        _ => Declared::Tree,
    };
    Ok(Object { kind, name: object_name(tree, cx.names), tree: Arc::clone(tree), declared })
}
