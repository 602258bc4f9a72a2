//! The row of a StatefulSet, and writes about it.

use std::sync::Arc;

use crate::base::{SimTime, Symbol};
use crate::model::{ObjectKey, PodId, StatefulSetId, StatefulSetSpec};

use super::{Change, Cluster, ObjectChange, Revision, RevisionWrite};

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
    /// Its ControllerRevisions, in order of creation (rule C83).
    pub revisions: Vec<Revision>,
    /// Status.
    pub status: StatefulSetStatus,
}

/// Status of a StatefulSet (rule C93).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatefulSetStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
    /// Pods, those being deleted too.
    pub replicas: u32,
    /// Pods that run and are ready.
    pub ready: u32,
    /// Pods that are available.
    pub available: u32,
    /// Pods of the current revision.
    pub current: u32,
    /// Pods of the update revision.
    pub updated: u32,
    /// `currentRevision`, by its hash.
    pub current_revision: Option<Symbol>,
    /// `updateRevision`, by its hash.
    pub update_revision: Option<Symbol>,
}

/// A write about a StatefulSet.
#[derive(Clone, Debug)]
pub enum StatefulSetWrite {
    /// All of its status.
    Status(StatefulSetStatus),
    /// About one of its revisions.
    Revision(RevisionWrite),
    /// `spec.replicas`, by the Scale subresource.
    Replicas(u32),
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
            revisions: Vec::new(),
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
            StatefulSetWrite::Replicas(replicas) if row.spec.replicas == replicas => return,
            StatefulSetWrite::Replicas(replicas) => {
                Arc::make_mut(&mut row.spec).replicas = replicas;
                row.generation += 1;
                ObjectChange::Spec
            }
            StatefulSetWrite::Revision(write) => {
                let mut revisions = std::mem::take(&mut row.revisions);
                self.write_revision(&mut revisions, write);
                let row = self.stateful_sets.get_mut(id).expect("it was there");
                row.revisions = revisions;
                ObjectChange::Revisions
            }
        };
        changes.push(Change::Object { key: ObjectKey::StatefulSet(id), what });
    }
}
