//! The garbage collector: what an object owned goes after it, at the pace of the collector's client.
//!
//! Each dependent costs it a GET and a DELETE of 40 a second, so that 20 go in a second (rule
//! C195). Where clients are not limited nothing waits for it.
//!
//! Source: kubernetes v1.36.3 pkg/controller/garbagecollector/garbagecollector.go
//! `attemptToDeleteItem`, cmd/kube-controller-manager/app/core.go `startGarbageCollectorController`.

use crate::cluster::{Change, Cluster, Controller, Plan, Requeue, Write};
use crate::model::{Model, ObjectKey};
use crate::sim::{Ctx, Streams};

/// Its name.
pub const GARBAGE_COLLECTOR: &str = "garbage-collector-controller";

/// The collector.
#[derive(Debug, Default)]
pub struct GarbageCollector;

impl GarbageCollector {
    /// For a run of this model.
    #[must_use]
    pub const fn new(_model: &Model, _streams: &Streams) -> Self {
        Self
    }
}

impl Controller for GarbageCollector {
    fn name(&self) -> &'static str {
        GARBAGE_COLLECTOR
    }

    fn wakes(&self, change: &Change, _cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        if matches!(change, Change::Garbage) {
            out.push(ObjectKey::Cluster);
        }
    }

    fn reconcile(
        &mut self,
        _key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        _ctx: &mut Ctx<'_>,
    ) -> Requeue {
        for _ in 0..cluster.garbage() {
            plan.push(Write::Collect);
        }
        Requeue::Never
    }
}
