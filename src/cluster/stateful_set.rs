//! The row of a StatefulSet, and writes about it.

use std::sync::Arc;

use crate::base::SimTime;
use crate::model::{ObjectKey, PodId, StatefulSetId, StatefulSetSpec};

use super::{Change, Cluster, ObjectChange};

/// A StatefulSet.
#[derive(Clone, Debug)]
pub struct StatefulSet {
    /// As declared now.
    pub spec: Arc<StatefulSetSpec>,
    /// When it was created.
    pub created: SimTime,
    /// `metadata.generation` (rule C4).
    pub generation: u64,
    /// Whether it is being deleted and waits for its dependents (foreground).
    pub is_deleting: bool,
    /// All its pods, those being deleted and terminal ones too, in order of creation.
    pub pods: Vec<PodId>,
    /// Status.
    pub status: StatefulSetStatus,
}

/// Status of a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatefulSetStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
}

/// A write about a StatefulSet.
#[derive(Clone, Debug)]
pub enum StatefulSetWrite {
    /// All of its status.
    Status(StatefulSetStatus),
}

impl StatefulSet {
    /// As it is when it has just been created.
    pub(super) fn new(spec: Arc<StatefulSetSpec>, created: SimTime) -> Self {
        Self {
            spec,
            created,
            generation: 1,
            is_deleting: false,
            pods: Vec::new(),
            status: StatefulSetStatus::default(),
        }
    }
}

impl Cluster {
    /// Carries out a write about a StatefulSet.
    pub(super) fn write_stateful_set(
        &mut self,
        id: StatefulSetId,
        write: StatefulSetWrite,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.stateful_sets.get_mut(id) else { return };
        let what = match write {
            StatefulSetWrite::Status(status) if row.status == status => return,
            StatefulSetWrite::Status(status) => {
                row.status = status;
                ObjectChange::Status
            }
        };
        changes.push(Change::Object { key: ObjectKey::StatefulSet(id), what });
    }
}
