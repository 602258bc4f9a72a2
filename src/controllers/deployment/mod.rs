//! Deployment: one template after another, each with a ReplicaSet of its own.
//!
//! ```text
//! look ─► pause noted ─► paused or scaled? ──yes──► scale (C48) ─────────────────► status
//!                              │ no
//!              RollingUpdate ──┴── Recreate
//!              new up, else old down ─► history ─► status + progress
//! ```
//!
//! At most one of "up" and "down" a look; the next look follows from the writes of this one. It
//! never sees pods' readiness but through the status of ReplicaSets (rule C24).
//!
//! Source: kubernetes v1.36.3 pkg/controller/deployment/deployment_controller.go `syncDeployment`
//! (rule C25). Differs: the status is written once a look, at its end; the original writes it
//! twice and repeats the look after the conflict (rule C30). Where clients are not limited,
//! ReplicaSets see all writes of a look together, and not those for unhealthy pods first.

mod look;

use crate::base::IdVec;
use crate::cluster::{
    Backoff, Change, Cluster, Controller, Deployment, DeploymentStatus, ObjectChange, Plan,
    ProgressReason, ReplicaSet, Requeue, Write,
};
use crate::model::{DeploymentId, Model, ObjectKey, OwnerRef, ReplicaSetRef, Strategy, Workload};
use crate::record::{RolloutRecord, RolloutStep};
use crate::sim::{Ctx, Streams};

use self::look::{End, Look, whose};
use super::deployment_progress::Progress;

/// The Deployment controller.
#[derive(Debug, Default)]
pub struct DeploymentController {
    /// The revision that was complete last.
    completed: IdVec<DeploymentId, u32>,
}

impl DeploymentController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, _streams: &Streams) -> Self {
        Self::default()
    }
}

impl Controller for DeploymentController {
    fn name(&self) -> &'static str {
        "deployment-controller"
    }

    /// Source: kubernetes v1.36.3 pkg/controller/deployment/deployment_controller.go
    /// `addReplicaSet`, `updateReplicaSet`, `deletePod` (rule C24).
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        match change {
            Change::Deployment { deployment, what } if *what != ObjectChange::Removed => {
                out.push(ObjectKey::Deployment(*deployment));
            }
            Change::ReplicaSet { owner: Some(owner), .. } => {
                out.push(ObjectKey::Deployment(*owner));
            }
            Change::ReplicaSet { replica_set, what, .. } if *what != ObjectChange::Status => {
                if let Some(set) = cluster.replica_sets().get(*replica_set) {
                    out.extend(adopters(cluster, set).map(ObjectKey::Deployment));
                }
            }
            Change::PodRemoved { owner: Some(OwnerRef::ReplicaSet(owner)), .. } => {
                out.extend(emptied(cluster, *owner).map(ObjectKey::Deployment));
            }
            _ => {}
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Deployment(id) = key else {
            return Requeue::Never;
        };
        let Some(row) = cluster.deployment(id) else {
            return Requeue::Never;
        };
        if claim(id, row, cluster, plan) {
            return Requeue::Never;
        }
        let mut look = Look::new(id, row, cluster, ctx);
        let end = look.sync();
        let Look { progress, revision, writes, .. } = look;
        for write in writes {
            plan.push(write);
        }
        let (status, requeue) = match end {
            End::Unwritten => return Requeue::Never,
            End::Rollout(status) => (status, progress.look_again(&status)),
            End::Plain(status) => (status, Requeue::Never),
            End::Again(status) => (status, Requeue::Failed),
        };
        self.record((id, whose(row)), &progress, revision, (&row.status, &status), ctx);
        if (status, revision) == (row.status, row.revision) {
            return requeue;
        }
        plan.push(Write::DeploymentStatus { deployment: id, status, revision });
        if requeue == Requeue::Failed { requeue } else { Requeue::Never }
    }

    /// Rule C17.
    fn backoff(&self) -> Backoff {
        Backoff { tries: Some(15), ..Backoff::DEFAULT }
    }
}

/// Adopts ReplicaSets without owner that are selected, and releases those that no longer are; true
/// if there were any.
///
/// Source: kubernetes v1.36.3 pkg/controller/controller_ref_manager.go `ClaimReplicaSets`
/// (rule C8).
fn claim(id: DeploymentId, row: &Deployment, cluster: &Cluster, plan: &mut Plan) -> bool {
    if row.is_deleting {
        return false;
    }
    let (sets, names) = (cluster.replica_sets(), cluster.names());
    let selector = &row.spec.selector;
    let before = plan.is_empty();
    for set in &row.replica_sets {
        if !selector.matches(&sets[*set].labels, names) {
            let replica_set = sets.refer(*set);
            plan.push(Write::ReplicaSetOwner { replica_set, owner: None });
        }
    }
    for set in cluster.free_replica_sets() {
        let other = &sets[*set];
        let is_here = other.name.namespace == row.spec.name.namespace && !other.is_deleting;
        if is_here && selector.matches(&other.labels, names) {
            let replica_set = sets.refer(*set);
            plan.push(Write::ReplicaSetOwner { replica_set, owner: Some(id) });
        }
    }
    before && !plan.is_empty()
}

/// The Deployments that select a ReplicaSet.
fn adopters(cluster: &Cluster, set: &ReplicaSet) -> impl Iterator<Item = DeploymentId> {
    let names = cluster.names();
    let selects = move |id: &DeploymentId| {
        let row = cluster.deployment(*id);
        row.is_some_and(|row| {
            row.spec.name.namespace == set.name.namespace
                && row.spec.selector.matches(&set.labels, names)
        })
    };
    cluster.deployment_ids().filter(selects)
}

impl DeploymentController {
    /// Tells what a status means for the rollout to `revision`.
    fn record(
        &mut self,
        (deployment, workload): (DeploymentId, Workload),
        progress: &Progress,
        revision: u32,
        (before, status): (&DeploymentStatus, &DeploymentStatus),
        ctx: &mut Ctx<'_>,
    ) {
        let mut tell = |step| {
            ctx.recorder.rollout(RolloutRecord { at: progress.now, workload, revision, step });
        };
        let completed = self.completed.grow_to(deployment);
        if progress.is_complete(status) && *completed != revision {
            *completed = revision;
            tell(RolloutStep::Completed);
        }
        let is_late = |status: &DeploymentStatus| {
            let reason = status.progressing.map(|p| p.reason);
            reason == Some(ProgressReason::ProgressDeadlineExceeded)
        };
        if is_late(status) && !is_late(before) {
            tell(RolloutStep::DeadlineExceeded);
        }
    }
}

/// The Deployment of a ReplicaSet, if its strategy is Recreate and none of its ReplicaSets has a
/// pod any more (rule C24).
fn emptied(cluster: &Cluster, replica_set: ReplicaSetRef) -> Option<DeploymentId> {
    let id = cluster.replica_sets().get(replica_set)?.owner?;
    let row = cluster.deployment(id)?;
    let sets = cluster.replica_sets();
    let is_empty = || row.replica_sets.iter().all(|set| sets[*set].pods.is_empty());
    (row.spec.strategy == Strategy::Recreate && is_empty()).then_some(id)
}
