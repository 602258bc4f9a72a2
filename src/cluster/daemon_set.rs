//! The row of a DaemonSet, and writes about it.

use std::sync::Arc;

use crate::base::SimTime;
use crate::model::{DaemonSetId, DaemonSetSpec, ObjectKey, PodId};

use super::{Change, Cluster, ObjectChange};

/// A DaemonSet.
#[derive(Clone, Debug)]
pub struct DaemonSet {
    /// As declared now.
    pub spec: Arc<DaemonSetSpec>,
    /// When it was created.
    pub created: SimTime,
    /// `metadata.generation` (rule C4).
    pub generation: u64,
    /// Whether it is being deleted and waits for its dependents (foreground).
    pub is_deleting: bool,
    /// All its pods, those being deleted and terminal ones too, in order of creation.
    pub pods: Vec<PodId>,
    /// Status.
    pub status: DaemonSetStatus,
}

/// Status of a DaemonSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonSetStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
}

/// A write about a DaemonSet.
#[derive(Clone, Debug)]
pub enum DaemonSetWrite {
    /// All of its status.
    Status(DaemonSetStatus),
}

impl DaemonSet {
    /// As it is when it has just been created.
    pub(super) fn new(spec: Arc<DaemonSetSpec>, created: SimTime) -> Self {
        Self {
            spec,
            created,
            generation: 1,
            is_deleting: false,
            pods: Vec::new(),
            status: DaemonSetStatus::default(),
        }
    }
}

impl Cluster {
    /// Carries out a write about a DaemonSet.
    pub(super) fn write_daemon_set(
        &mut self,
        id: DaemonSetId,
        write: DaemonSetWrite,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.daemon_sets.get_mut(id) else { return };
        let what = match write {
            DaemonSetWrite::Status(status) if row.status == status => return,
            DaemonSetWrite::Status(status) => {
                row.status = status;
                ObjectChange::Status
            }
        };
        changes.push(Change::Object { key: ObjectKey::DaemonSet(id), what });
    }
}
