//! The row of a DaemonSet, and writes about it.

use std::sync::Arc;

use crate::base::SimTime;
use crate::model::{DaemonSetId, DaemonSetSpec, ObjectKey, PodId};

use super::{Change, Cluster, ObjectChange, Revision, RevisionWrite};

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
    /// Its ControllerRevisions, in order of creation (rule C113).
    pub revisions: Vec<Revision>,
    /// Status.
    pub status: DaemonSetStatus,
}

/// Status of a DaemonSet (rule C109).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaemonSetStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
    /// `desiredNumberScheduled`: nodes that should run a pod.
    pub desired: u32,
    /// `currentNumberScheduled`: those of them that have one.
    pub current: u32,
    /// `numberMisscheduled`: nodes that have a pod and should not.
    pub misscheduled: u32,
    /// `numberReady`.
    pub ready: u32,
    /// `numberAvailable`.
    pub available: u32,
    /// `numberUnavailable`.
    pub unavailable: u32,
    /// `updatedNumberScheduled`: nodes whose pod is of the newest revision.
    pub updated: u32,
}

/// A write about a DaemonSet.
#[derive(Clone, Debug)]
pub enum DaemonSetWrite {
    /// All of its status.
    Status(DaemonSetStatus),
    /// About one of its revisions.
    Revision(RevisionWrite),
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
            revisions: Vec::new(),
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
            DaemonSetWrite::Revision(write) => {
                let mut revisions = std::mem::take(&mut row.revisions);
                self.write_revision(&mut revisions, write);
                let row = self.daemon_sets.get_mut(id).expect("it was there");
                row.revisions = revisions;
                ObjectChange::Revisions
            }
        };
        changes.push(Change::Object { key: ObjectKey::DaemonSet(id), what });
    }
}
