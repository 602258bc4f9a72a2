//! Which changes concern a command that waits: those of its object.

use crate::api::Kind;
use crate::cluster::{Change, Cluster, ObjectChange};
use crate::kubectl::Waiting;
use crate::model::{ObjectName, PodRef};

/// Whether a change is worth a look.
pub(super) fn concerns(change: &Change, waiting: &Waiting, cluster: &Cluster) -> bool {
    if waiting.is_for_new() {
        return is_new(change);
    }
    let Some(object) = waiting.object() else { return false };
    let Some(kind) = object.resource.kind else { return false };
    let names = cluster.names();
    let is_it = |name: ObjectName| names.resolve(name.name) == object.name;
    match change {
        Change::PodAdded { pod, .. }
        | Change::PodBound { pod, .. }
        | Change::PodStatus { pod, .. }
        | Change::PodUnplaced { pod }
        | Change::PodDeleting { pod, .. }
        | Change::PodMeta { pod, .. }
        | Change::PodResized { pod, .. }
        | Change::PodConditions { pod, .. }
        | Change::PodRemoved { pod, .. } => {
            kind == Kind::Pod && is_pod(*pod, &object.name, cluster)
        }
        Change::Deployment { deployment, .. } => {
            kind == Kind::Deployment
                && cluster.deployment(*deployment).is_none_or(|row| is_it(row.spec.name))
        }
        Change::ReplicaSet { .. } => {
            matches!(kind, Kind::ReplicaSet | Kind::ReplicationController)
        }
        Change::Hpa { .. } => kind == Kind::HorizontalPodAutoscaler,
        Change::Service { .. } => kind == Kind::Service,
        Change::Node { node, .. } => {
            kind == Kind::Node && names.resolve(cluster.nodes()[*node].spec.name) == object.name
        }
        Change::Tree { kind: of, .. } => *of == kind,
        Change::Object { .. } | Change::Claim { .. } => true,
        Change::PodNominated { .. }
        | Change::PodRefused { .. }
        | Change::Disk { .. }
        | Change::Garbage
        | Change::Serving { .. }
        | Change::ServerIdle { .. }
        | Change::Endpoints { .. }
        | Change::Plight { .. }
        | Change::Load { .. }
        | Change::Served { .. }
        | Change::OomKill { .. }
        | Change::Cloud(_) => false,
    }
}

/// Whether it is a pod of this name, or one that is gone.
fn is_pod(pod: PodRef, name: &str, cluster: &Cluster) -> bool {
    cluster.pod(pod).is_none_or(|row| row.name.is(name, cluster.names()))
}

/// Whether something has come to be.
const fn is_new(change: &Change) -> bool {
    matches!(
        change,
        Change::PodAdded { .. }
            | Change::Tree { .. }
            | Change::Claim { .. }
            | Change::Object { what: ObjectChange::Added, .. }
            | Change::Deployment { what: ObjectChange::Added, .. }
            | Change::ReplicaSet { what: ObjectChange::Added, .. }
            | Change::Hpa { what: ObjectChange::Added, .. }
            | Change::Service { what: ObjectChange::Added, .. }
            | Change::Node { .. }
    )
}
