//! What is to be created, as a plan carries it, and why that may be refused.

use std::sync::Arc;

use crate::base::{Duration, Symbol};
use crate::model::{DeploymentId, NodeId, OwnerRef, Template, TemplateId, WorkloadKind};
use crate::record::PodName;

/// A pod to create.
#[derive(Clone, Debug)]
pub struct NewPod {
    /// Namespace.
    pub namespace: Symbol,
    /// Name.
    pub name: PodName,
    /// Template.
    pub template: TemplateId,
    /// OwnerRef.
    pub owner: Option<OwnerRef>,
    /// Which kind of object makes it.
    pub origin: WorkloadKind,
    /// Revision of the template.
    pub revision: u32,
    /// Ordinal or completion index.
    pub index: Option<u32>,
    /// The only node that it can go to.
    pub pinned: Option<NodeId>,
    /// Whether it has the Job's finalizer.
    pub is_tracked: bool,
    /// How often pods of its index failed before it (rule C128).
    pub index_failures: super::IndexFailures,
    /// Stands for the uid where its order matters; `None`: the cluster makes one.
    pub uid: Option<u64>,
    /// How long its containers run before they exit 0.
    pub lifetime: Option<Duration>,
}

impl NewPod {
    /// A pod of this template without owner, ordinal and the like.
    #[must_use]
    pub const fn new(
        namespace: Symbol,
        name: PodName,
        template: TemplateId,
        origin: WorkloadKind,
    ) -> Self {
        Self {
            namespace,
            name,
            template,
            owner: None,
            origin,
            revision: 0,
            index: None,
            pinned: None,
            is_tracked: false,
            index_failures: super::IndexFailures::NONE,
            uid: None,
            lifetime: None,
        }
    }
}

/// Why the API server refuses to create a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code: 403, 409, 422, 500.
    pub code: u16,
    /// In its words.
    pub message: String,
}

/// A ReplicaSet to create for a Deployment.
#[derive(Clone, Debug)]
pub struct NewReplicaSet {
    /// For which Deployment.
    pub deployment: DeploymentId,
    /// Value of the label `pod-template-hash`; the name is `<deployment>-<hash>` (rule C27).
    pub hash: String,
    /// The template, without that label.
    pub template: Arc<Template>,
    /// `spec.replicas`.
    pub replicas: u32,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// Revision.
    pub revision: u32,
    /// Annotation `desired-replicas`.
    pub desired: u32,
    /// Annotation `max-replicas`.
    pub max: u32,
}
