//! What a component asks for.

use std::sync::Arc;

use crate::base::{Duration, Symbol};
use crate::model::{
    DeploymentId, DeploymentSpec, HpaId, NodeId, PodId, PodRef, ReplicaSetRef, ServiceId, Taint,
    Template, TemplateId, WorkloadKind,
};
use crate::record::PodName;

use super::{DeploymentStatus, Endpoint, HpaStatus, PodStatus, ReplicaSetStatus, Serving};

/// Changes that a component asks for, carried out in order by `Cluster::commit`.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) writes: Vec<Write>,
}

impl Plan {
    /// Asks for one more change.
    pub fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Takes all that is asked for.
    pub fn take(&mut self) -> std::vec::Drain<'_, Write> {
        self.writes.drain(..)
    }
}

/// One change of the cluster. A write about something that is gone does nothing: the API server
/// would answer "not found".
#[derive(Clone, Debug)]
pub enum Write {
    /// Creates a pod.
    CreatePod(NewPod),
    /// Binds a pod to a node.
    BindPod {
        /// Which pod.
        pod: PodRef,
        /// To which node.
        node: NodeId,
    },
    /// A placement failed: condition PodScheduled=False with this message.
    Unschedulable {
        /// Which pod.
        pod: PodRef,
        /// Why.
        message: Box<str>,
    },
    /// Sets or clears `status.nominatedNodeName`.
    Nominate {
        /// Which pod.
        pod: PodRef,
        /// The node; `None`: none any more.
        node: Option<NodeId>,
    },
    /// The scheduler evicts a pod for another: condition `DisruptionTarget`, then a DELETE with the
    /// pod's own grace (rule S187).
    Preempt {
        /// Which pod.
        pod: PodRef,
    },
    /// The kubelet's status of a pod.
    PodStatus {
        /// Which pod.
        pod: PodRef,
        /// All of it.
        status: PodStatus,
    },
    /// The API's DELETE of a pod (rule C6): sets the deletion, or removes a pod without node or
    /// with a terminal phase at once.
    DeletePod {
        /// Which pod.
        pod: PodRef,
        /// The grace asked for; `None`: the pod's own.
        grace: Option<Duration>,
    },
    /// The kubelet's last word: the pod object goes.
    RemovePod {
        /// Which pod.
        pod: PodRef,
    },
    /// The state of a pod's server.
    Serving {
        /// Whose.
        pod: PodRef,
        /// What it is now.
        state: Serving,
    },
    /// A draining server has finished all that it had accepted.
    ServerIdle {
        /// Whose.
        pod: PodRef,
    },
    /// Creates a ReplicaSet for a Deployment.
    CreateReplicaSet(NewReplicaSet),
    /// Sets the size of a ReplicaSet and the two annotations that go with it (rule C39).
    ScaleReplicaSet {
        /// Which.
        replica_set: ReplicaSetRef,
        /// `spec.replicas`.
        replicas: u32,
        /// Annotation `desired-replicas`.
        desired: Option<u32>,
        /// Annotation `max-replicas`.
        max: Option<u32>,
    },
    /// Sets revision and `minReadySeconds` of a ReplicaSet.
    ReviseReplicaSet {
        /// Which.
        replica_set: ReplicaSetRef,
        /// Revision.
        revision: u32,
        /// `minReadySeconds`.
        min_ready: Duration,
    },
    /// Status of a ReplicaSet.
    ReplicaSetStatus {
        /// Which.
        replica_set: ReplicaSetRef,
        /// All of it.
        status: ReplicaSetStatus,
    },
    /// Deletes a ReplicaSet; its pods follow (background).
    DeleteReplicaSet {
        /// Which.
        replica_set: ReplicaSetRef,
    },
    /// Puts another specification in place of a Deployment's; `spec.replicas` stays as it is.
    UpdateDeployment {
        /// Which.
        deployment: DeploymentId,
        /// The new one.
        spec: Arc<DeploymentSpec>,
    },
    /// Sets `spec.replicas` of a Deployment.
    ScaleDeployment {
        /// Which.
        deployment: DeploymentId,
        /// How many.
        replicas: u32,
    },
    /// Status and revision of a Deployment.
    DeploymentStatus {
        /// Which.
        deployment: DeploymentId,
        /// All of it.
        status: DeploymentStatus,
        /// Revision (an annotation that the status endpoint takes, rule C4).
        revision: u32,
    },
    /// Deletes a Deployment; its ReplicaSets and pods follow (background).
    DeleteDeployment {
        /// Which.
        deployment: DeploymentId,
    },
    /// Status of an autoscaler.
    HpaStatus {
        /// Which.
        hpa: HpaId,
        /// All of it.
        status: HpaStatus,
    },
    /// Deletes an autoscaler.
    DeleteHpa {
        /// Which.
        hpa: HpaId,
    },
    /// A new version of a Service's endpoints.
    Endpoints {
        /// Which.
        service: ServiceId,
        /// All of them, in order of the pods' serials.
        endpoints: Vec<Endpoint>,
    },
    /// Deletes a Service.
    DeleteService {
        /// Which.
        service: ServiceId,
    },
    /// Cordons or uncordons a node.
    Cordon {
        /// Which.
        node: NodeId,
        /// Whether it takes no pods from now on.
        unschedulable: bool,
    },
    /// Sets the taints of a node.
    Taints {
        /// Which.
        node: NodeId,
        /// All of them.
        taints: Vec<Taint>,
    },
    /// Condition Ready of a node; turning it off makes all its pods unready (rule N402).
    NodeReady {
        /// Which.
        node: NodeId,
        /// Whether it is ready.
        ready: bool,
    },
    /// The machine itself dies or comes back.
    NodeUp {
        /// Which.
        node: NodeId,
        /// Whether it is up.
        is_up: bool,
    },
    /// The metrics pipeline publishes a sample: pod, CPU time since its start, memory in bytes.
    Metrics(Vec<(PodId, Duration, i64)>),
}

/// A pod to create.
#[derive(Clone, Debug)]
pub struct NewPod {
    /// Namespace.
    pub namespace: Symbol,
    /// Name.
    pub name: PodName,
    /// Template.
    pub template: TemplateId,
    /// Owner.
    pub owner: Option<ReplicaSetRef>,
    /// Which kind of object makes it.
    pub origin: WorkloadKind,
    /// Revision of the template.
    pub revision: u32,
    /// How long its containers run before they exit 0.
    pub lifetime: Option<Duration>,
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
        owner: Option<ReplicaSetRef>,
    },
    /// A pod was bound.
    PodBound {
        /// Which.
        pod: PodRef,
        /// To which node.
        node: NodeId,
        /// Its owner.
        owner: Option<ReplicaSetRef>,
    },
    /// A pod's status changed.
    PodStatus {
        /// Which.
        pod: PodRef,
        /// Where it is.
        node: Option<NodeId>,
        /// Its owner.
        owner: Option<ReplicaSetRef>,
        /// What of it.
        what: PodChange,
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
        node: NodeId,
        /// Its owner.
        owner: Option<ReplicaSetRef>,
    },
    /// A pod is gone.
    PodRemoved {
        /// Which it was.
        pod: PodRef,
        /// Where it was.
        node: Option<NodeId>,
        /// Its owner.
        owner: Option<ReplicaSetRef>,
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
    /// A node was created, or changed.
    Node {
        /// Which.
        node: NodeId,
        /// What of it.
        what: NodeChange,
    },
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
    /// The machine died.
    Down,
    /// The machine came back.
    Up,
}
