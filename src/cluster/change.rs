//! What a commit changed.

use crate::api::Kind;
use crate::model::{
    DeploymentId, DiskId, HpaId, NodeId, ObjectKey, ObjectName, OwnerRef, PodRef, ReplicaSetRef,
    ServiceId, TemplateId,
};

use super::{CloudChange, Plight, Serving};

/// What a commit changed, told to all components.
///
/// Ids of things that are gone stay valid until the next commit, so that a watcher can say whose
/// they were; their rows are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A pod was created.
    PodAdded {
        /// Which.
        pod: PodRef,
        /// Its owner.
        owner: Option<OwnerRef>,
    },
    /// A pod was bound.
    PodBound {
        /// Which.
        pod: PodRef,
        /// To which node.
        node: NodeId,
        /// Its owner.
        owner: Option<OwnerRef>,
    },
    /// A pod's status changed.
    PodStatus {
        /// Which.
        pod: PodRef,
        /// Where it is.
        node: Option<NodeId>,
        /// Its owner.
        owner: Option<OwnerRef>,
        /// What of it.
        what: PodChange,
    },
    /// The scheduler says that it found no place for a pod.
    PodUnplaced {
        /// Which.
        pod: PodRef,
    },
    /// A pod was nominated to a node, or no longer is.
    PodNominated {
        /// Which.
        pod: PodRef,
    },
    /// A pod's deletion was set or its grace was shortened.
    PodDeleting {
        /// Which.
        pod: PodRef,
        /// Where it is.
        node: Option<NodeId>,
        /// Its owner.
        owner: Option<OwnerRef>,
    },
    /// A pod's labels or its owner changed.
    PodMeta {
        /// Which.
        pod: PodRef,
        /// Who owned it before.
        owner: Option<OwnerRef>,
    },
    /// A pod's containers are to get other amounts, or its kubelet says something of that.
    PodResized {
        /// Which.
        pod: PodRef,
        /// Where it is.
        node: Option<NodeId>,
        /// Its owner.
        owner: Option<OwnerRef>,
        /// Whether its specification changed; else what the kubelet says.
        is_asked: bool,
    },
    /// Conditions of a pod that are not its kubelet's changed.
    PodConditions {
        /// Which.
        pod: PodRef,
        /// Where it is.
        node: Option<NodeId>,
    },
    /// A pod could not be created when the write came: admission refused it by then.
    PodRefused {
        /// Whose it would have been.
        owner: Option<OwnerRef>,
    },
    /// A StatefulSet, DaemonSet, Job, CronJob or PodDisruptionBudget was created, or changed.
    Object {
        /// Which.
        key: ObjectKey,
        /// What of it.
        what: ObjectChange,
    },
    /// Something waits for the garbage collector.
    Garbage,
    /// A claim of a StatefulSet's pod was made, has another owner or is gone.
    Claim {
        /// Which.
        name: ObjectName,
        /// What of it.
        what: ObjectChange,
    },
    /// A disk is wanted at a node, attached to it or used there, or no longer.
    Disk {
        /// Which.
        disk: DiskId,
        /// Where.
        node: NodeId,
    },
    /// An object that is kept as a tree alone was created, changed or deleted.
    Tree {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: ObjectName,
        /// Whether it is new, or has other data.
        has_new_data: bool,
    },
    /// A pod is gone.
    PodRemoved {
        /// Which it was.
        pod: PodRef,
        /// Where it was.
        node: Option<NodeId>,
        /// Its owner.
        owner: Option<OwnerRef>,
        /// Its template.
        template: TemplateId,
        /// Whether it held resources until now (it was bound and not terminal).
        freed: bool,
    },
    /// A pod's server changed its state.
    Serving {
        /// Whose.
        pod: PodRef,
        /// What it was.
        from: Serving,
        /// What it is.
        to: Serving,
    },
    /// Something befalls a pod's server.
    Plight {
        /// Whose.
        pod: PodRef,
        /// What.
        what: Plight,
    },
    /// A server has another number of calls, which take memory.
    Load {
        /// Whose.
        pod: PodRef,
        /// Calls in service or in the backlog.
        calls: u32,
    },
    /// A server has taken so many more calls, each of which writes something to the disk.
    Served {
        /// Whose.
        pod: PodRef,
        /// How many more.
        calls: u32,
    },
    /// A server was killed because it took too much memory.
    OomKill {
        /// Whose.
        pod: PodRef,
    },
    /// A draining server has finished all that it had accepted.
    ServerIdle {
        /// Whose.
        pod: PodRef,
    },
    /// A ReplicaSet was created, or changed.
    ReplicaSet {
        /// Which.
        replica_set: ReplicaSetRef,
        /// Its owner.
        owner: Option<DeploymentId>,
        /// What of it.
        what: ObjectChange,
    },
    /// A Deployment was created, or changed.
    Deployment {
        /// Which.
        deployment: DeploymentId,
        /// What of it.
        what: ObjectChange,
    },
    /// An autoscaler was created, or changed.
    Hpa {
        /// Which.
        hpa: HpaId,
        /// What of it.
        what: ObjectChange,
    },
    /// A Service was created, or changed.
    Service {
        /// Which.
        service: ServiceId,
        /// What of it.
        what: ObjectChange,
    },
    /// A Service has another version of its endpoints.
    Endpoints {
        /// Which.
        service: ServiceId,
    },
    /// Something of the cloud.
    Cloud(CloudChange),
    /// A node was created, or changed.
    Node {
        /// Which.
        node: NodeId,
        /// What of it.
        what: NodeChange,
    },
}

impl Change {
    /// Whether it is about a pod.
    #[must_use]
    pub const fn is_of_pod(&self) -> bool {
        matches!(
            self,
            Self::PodAdded { .. }
                | Self::PodBound { .. }
                | Self::PodStatus { .. }
                | Self::PodNominated { .. }
                | Self::PodDeleting { .. }
                | Self::PodMeta { .. }
                | Self::PodResized { .. }
                | Self::PodConditions { .. }
                | Self::PodRefused { .. }
                | Self::PodRemoved { .. }
        )
    }
}

/// What of a pod's status changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodChange {
    /// Condition Ready flipped.
    pub ready: bool,
    /// The phase changed.
    pub phase: bool,
    /// The phase became terminal: what it held is free.
    pub ended: bool,
    /// The IP was published or withdrawn.
    pub ip: bool,
}

/// What of an object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectChange {
    /// It is new.
    Added,
    /// Its specification or annotations.
    Spec,
    /// Its status.
    Status,
    /// One of its dependents is gone.
    Dependents,
    /// Its ControllerRevisions.
    Revisions,
    /// It is gone.
    Removed,
}

/// What of a node changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// It is new.
    Added,
    /// It was cordoned.
    Cordoned,
    /// It was uncordoned.
    Uncordoned,
    /// Its taints.
    Taints,
    /// Condition Ready.
    Ready,
    /// Condition MemoryPressure or DiskPressure.
    Pressure,
    /// The machine is to shut down.
    ShutsDown,
    /// Its kubelet is started anew.
    KubeletRestarts,
    /// Its pods have lost their sandboxes.
    SandboxesLost,
    /// The machine died.
    Down,
    /// The machine came back.
    Up,
    /// Its labels.
    Labels,
    /// What pods can have of it, or its images.
    Offer,
    /// It is gone.
    Removed,
    /// It is cut off from the API server.
    Cut,
    /// It is so no longer.
    Joined,
    /// Other machines are cut off from it, or some are not any more.
    Links,
}
