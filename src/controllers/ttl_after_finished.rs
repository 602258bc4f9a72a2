//! Jobs that have ended are deleted after their time to live (rule C134).
//!
//! Source: kubernetes v1.36.3 pkg/controller/ttlafterfinished/ttlafterfinished_controller.go
//! `processJob`, `processTTL`.

use crate::cluster::{Change, Cluster, Controller, ObjectChange, Plan, Requeue, Write};
use crate::model::{Model, ObjectKey, Propagation};
use crate::sim::{Ctx, Streams};

/// The TTL-after-finished controller.
#[derive(Debug, Default)]
pub struct TtlAfterFinishedController;

impl TtlAfterFinishedController {
    /// For a run of this model.
    #[must_use]
    pub const fn new(_model: &Model, _streams: &Streams) -> Self {
        Self
    }
}

impl Controller for TtlAfterFinishedController {
    fn name(&self) -> &'static str {
        "ttl-after-finished-controller"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let Change::Object { key: key @ ObjectKey::Job(id), what } = change else { return };
        let row = cluster.jobs().at(*id).filter(|_| *what != ObjectChange::Removed);
        if row.is_some_and(|row| row.spec.ttl.is_some() && row.status.finished().is_some()) {
            out.push(*key);
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Job(id) = key else { return Requeue::Never };
        let row = cluster.jobs().at(id).filter(|row| !row.is_deleting);
        let ended = row.and_then(|row| Some(row.status.finished()?.since + row.spec.ttl?));
        let Some(expires) = ended else { return Requeue::Never };
        let left = expires.saturating_since(ctx.now());
        if !left.is_zero() {
            return Requeue::After(left);
        }
        let job = cluster.jobs().refer(id);
        plan.push(Write::DeleteJob { job, propagation: Propagation::Foreground });
        Requeue::Never
    }
}
