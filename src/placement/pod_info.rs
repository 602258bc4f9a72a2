//! A pod as a decision sees it.

use std::sync::Arc;

use super::classes::ClassId;
use crate::base::{SimTime, Symbol};
use crate::model::{Labels, NodeId, PodRef, PodSpec};

/// What all pods of one template share.
#[derive(Clone, Debug, PartialEq)]
pub struct PodInfo {
    /// Namespace.
    pub namespace: Symbol,
    /// Labels.
    pub labels: Labels,
    /// The controlling owner, if its selector may count (rule S104).
    pub owner: Option<Owner>,
    /// The specification.
    pub spec: Arc<PodSpec>,
    /// Who it is, of a pod with generic ephemeral volumes: they belong to it alone.
    pub identity: Option<PodIdentity>,
}

impl PodInfo {
    /// Of a pod without an owner whose selector counts and without ephemeral volumes. Label keys
    /// that wait for the labels of the pod are merged (rules S106, S116).
    #[must_use]
    pub fn plain(namespace: Symbol, labels: Labels, spec: Arc<PodSpec>) -> Self {
        let waits = spec.has_label_keys();
        let spec = if waits { Arc::new(spec.with_label_keys(&labels)) } else { spec };
        Self { namespace, labels, owner: None, spec, identity: None }
    }
}

/// The controlling owner of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its name, in the pod's namespace.
    pub name: Symbol,
}

/// Kinds of owners whose selectors count for default spread constraints (rule S104).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// A ReplicationController.
    ReplicationController,
    /// A ReplicaSet.
    ReplicaSet,
    /// A StatefulSet.
    StatefulSet,
}

/// Who a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PodIdentity {
    /// Its name.
    pub name: Symbol,
    /// Its UID.
    pub uid: Symbol,
}

/// A pod that is to be placed.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// Which.
    pub pod: PodRef,
    /// What it is like.
    pub info: Arc<PodInfo>,
    /// `status.nominatedNodeName`.
    pub nominated: Option<NodeId>,
    /// The name of the only node that it can go to: its required affinity asks for just that field
    /// (rule C102).
    pub pinned: Option<Symbol>,
}

/// A pod that is counted on a node: bound, or assumed to be.
#[derive(Clone, Debug)]
pub struct PlacedPod {
    /// Which.
    pub pod: PodRef,
    /// What it is like.
    pub info: Arc<PodInfo>,
    /// Its name, where a budget may list it as disrupted already (rule S179).
    pub name: Option<Symbol>,
    /// `status.startTime` (rule S178).
    pub start: Option<SimTime>,
    /// Whether its deletion has begun.
    pub is_terminating: bool,
    /// Its class, once it is counted by a placer.
    pub class: Option<ClassId>,
    /// Whether the scheduler has evicted it: condition `DisruptionTarget` with reason
    /// `PreemptionByScheduler` (rule S171).
    pub is_preempted: bool,
}

impl PlacedPod {
    /// One that has not started and is not being deleted.
    #[must_use]
    pub const fn new(pod: PodRef, info: Arc<PodInfo>) -> Self {
        let (start, class, name) = (None, None, None);
        Self { pod, info, name, start, is_terminating: false, is_preempted: false, class }
    }

    /// 1 if it requires anti-affinity, else 0.
    pub(super) fn avoiding(&self) -> u32 {
        u32::from(!self.info.spec.pod_affinity.anti_required.is_empty())
    }
}
