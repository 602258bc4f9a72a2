//! What a component asks for.

use std::sync::Arc;

use crate::api::{Kind, Object};
use crate::base::{Duration, Ip, SimTime, Symbol};
use crate::model::{
    Amounts, BudgetId, CronJobId, CutFrom, DaemonSetId, DeploymentId, DeploymentSpec, DiskId,
    DiskUse, FaultPlace, GroupId, HpaId, InstanceRef, JobRef, Labels, NodeId, ObjectName, OwnerRef,
    PodRef, Pressure, Propagation, ReplicaSetRef, ServiceId, StatefulSetId, Taint, Workload,
};

use super::{
    BudgetWrite, ClaimOwner, Cluster, CronJobWrite, DaemonSetWrite, DeploymentStatus, DiskWrite,
    Disruption, Endpoint, EndpointSlice, HpaStatus, InstanceWrite, JobWrite, Launch, NewPod,
    NewReplicaSet, Plight, PodStatus, Readiness, Refusal, ReplicaSetStatus, Scarcity, Serving,
    StatefulSetWrite,
};

/// Changes that a component asks for, carried out in order by `Cluster::commit`.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) writes: Vec<Write>,
    /// What the pods that it creates take of quotas and the like.
    pub(super) charged: super::admission::Charged,
}

impl Plan {
    /// Asks for one more change.
    pub fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Asks for a pod, unless the API server would refuse it as things are.
    ///
    /// # Errors
    /// If admission refuses it: a quota, a namespace that is going, no ServiceAccount.
    pub fn create_pod(&mut self, new: NewPod, cluster: &Cluster) -> Result<(), Refusal> {
        cluster.admit(&new, &mut self.charged)?;
        self.writes.push(Write::CreatePod(new));
        Ok(())
    }

    /// What is asked for so far, in order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
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
    /// What a pod that is bound next needs attached to its node.
    PodDisks {
        /// Which pod.
        pod: PodRef,
        /// Its disks.
        disks: Vec<DiskUse>,
    },
    /// Something happens to a disk at a node.
    Disk {
        /// Which disk.
        disk: DiskId,
        /// Which node.
        node: NodeId,
        /// What.
        write: DiskWrite,
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
    /// Condition `DisruptionTarget` of a pod, then a DELETE with that grace (rules S187, C155).
    Evict {
        /// Which pod.
        pod: PodRef,
        /// Why.
        reason: Disruption,
        /// The grace asked for; `None`: the pod's own.
        grace: Option<Duration>,
    },
    /// Sets or takes back the condition `DisruptionTarget` of a pod, without deleting it.
    Disruption {
        /// Which pod.
        pod: PodRef,
        /// Why; `None`: the condition turns False.
        reason: Option<Disruption>,
    },
    /// Sets the labels of a pod.
    LabelPod {
        /// Which pod.
        pod: PodRef,
        /// All of them.
        labels: Labels,
    },
    /// Sets the deletion cost of a pod.
    DeletionCost {
        /// Which pod.
        pod: PodRef,
        /// The cost.
        cost: i32,
    },
    /// Sets the owner of a pod: adopted, or released (rule C8).
    PodOwner {
        /// Which pod.
        pod: PodRef,
        /// Whose it is now.
        owner: Option<OwnerRef>,
    },
    /// Lets the containers of a pod ask for other amounts (subresource `resize`, rule N104).
    ResizePod {
        /// Which pod.
        pod: PodRef,
        /// What they ask for, by container; others stay as they are.
        amounts: super::Allotments,
    },
    /// What a kubelet says of a pod's amounts.
    ResizeStatus {
        /// Which pod.
        pod: PodRef,
        /// All of it.
        status: super::ResizeStatus,
    },
    /// Sets conditions of a pod that are not its kubelet's (rule N88).
    PodConditions {
        /// Which pod.
        pod: PodRef,
        /// Type, and whether it is True; others stay.
        conditions: Vec<(Symbol, bool)>,
    },
    /// Takes the Job's finalizer off a pod; one that is over goes then (rule C116).
    Untrack {
        /// Which pod.
        pod: PodRef,
    },
    /// Creates an object, as a user does it.
    Create(Box<Object>),
    /// Puts another version of an object in place.
    Replace(Box<Object>),
    /// Deletes an object by name.
    Delete {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: ObjectName,
        /// What becomes of its dependents.
        propagation: Propagation,
        /// The grace asked for, of a pod.
        grace: Option<Duration>,
    },
    /// Takes the namespace controller's finalizer off a namespace on its way out.
    FinishNamespace {
        /// Which.
        namespace: Symbol,
    },
    /// Something about a StatefulSet.
    StatefulSet(StatefulSetId, StatefulSetWrite),
    /// Makes a claim of a StatefulSet's pod, or gives it another owner.
    Claim {
        /// Its namespace.
        namespace: Symbol,
        /// Its name.
        name: Box<str>,
        /// Its owner.
        owner: ClaimOwner,
    },
    /// Something about a DaemonSet.
    DaemonSet(DaemonSetId, DaemonSetWrite),
    /// Something about a Job.
    Job(JobRef, JobWrite),
    /// Creates a Job of a CronJob.
    CreateJob {
        /// Whose.
        cron_job: CronJobId,
        /// As it is declared, but for its name.
        spec: Arc<crate::model::JobSpec>,
        /// Its name.
        name: String,
    },
    /// Deletes a Job.
    DeleteJob {
        /// Which.
        job: JobRef,
        /// What becomes of its pods.
        propagation: Propagation,
    },
    /// Something about a CronJob.
    CronJob(CronJobId, CronJobWrite),
    /// Something about a PodDisruptionBudget.
    Budget(BudgetId, BudgetWrite),
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
    /// A pod's sandbox has an address, or has it no more; of pods that somebody may call.
    Address {
        /// Whose.
        pod: PodRef,
        /// Which.
        ip: Ip,
        /// Whether it has it.
        holds: bool,
    },
    /// The state of a pod's server.
    Serving {
        /// Whose.
        pod: PodRef,
        /// What it is now.
        state: Serving,
    },
    /// Something befalls a pod's server.
    Plight {
        /// Whose.
        pod: PodRef,
        /// What.
        what: Plight,
    },
    /// A draining server has finished all that it had accepted.
    ServerIdle {
        /// Whose.
        pod: PodRef,
    },
    /// How many calls a server has, if they take memory.
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
    /// A server is killed because it took too much memory.
    OomKill {
        /// Whose.
        pod: PodRef,
    },
    /// A container was killed because it took too much memory.
    OomKilled {
        /// Whose.
        pod: PodRef,
        /// Its name.
        container: Symbol,
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
    /// Brings a Deployment's ReplicaSet up to date (rule C28).
    ReviseReplicaSet {
        /// Which.
        replica_set: ReplicaSetRef,
        /// Revision.
        revision: u32,
        /// `minReadySeconds`.
        min_ready: Duration,
        /// The Deployment's annotations.
        annotations: Labels,
    },
    /// Sets the owner of a ReplicaSet: adopted, or released (rule C8).
    ReplicaSetOwner {
        /// Which.
        replica_set: ReplicaSetRef,
        /// Whose it is now.
        owner: Option<DeploymentId>,
    },
    /// Takes the template of an earlier revision back, or only the annotation that asked for it
    /// off (rule C64).
    RollBack {
        /// Which.
        deployment: DeploymentId,
        /// The revision's ReplicaSet.
        replica_set: Option<ReplicaSetRef>,
    },
    /// Status of a ReplicaSet.
    ReplicaSetStatus {
        /// Which.
        replica_set: ReplicaSetRef,
        /// All of it.
        status: ReplicaSetStatus,
    },
    /// Deletes a ReplicaSet; its pods follow.
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
    /// Creates an EndpointSlice (without a number), updates one, or deletes one (without a slice).
    Slice {
        /// Of which Service.
        service: ServiceId,
        /// Which slice.
        number: Option<u32>,
        /// What it is to be.
        slice: Option<Box<EndpointSlice>>,
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
    /// Adds taints to a node and removes others, by key and effect, as they are when it lands.
    SwapTaints {
        /// Which node.
        node: NodeId,
        /// New ones, put last; one of that key and effect takes the place of what is there.
        add: Vec<Taint>,
        /// Those that go.
        remove: Vec<Taint>,
    },
    /// A kubelet reports condition Ready of its node.
    NodeReady {
        /// Which.
        node: NodeId,
        /// Whether it is ready.
        ready: bool,
    },
    /// Somebody shuts a machine down.
    NodeShutdown {
        /// Which.
        node: NodeId,
    },
    /// Somebody starts the kubelet of a machine anew.
    KubeletRestart {
        /// Which.
        node: NodeId,
    },
    /// The network plugin of a machine fails, or works again.
    NodeCni {
        /// Which.
        node: NodeId,
        /// Whether it works.
        is_up: bool,
    },
    /// The pods of a machine lose their sandboxes.
    SandboxLoss {
        /// Which.
        node: NodeId,
    },
    /// metrics-server goes away, or is back.
    MetricsServer {
        /// Whether it is there.
        is_up: bool,
    },
    /// A kubelet reports condition MemoryPressure or DiskPressure of its node.
    NodePressure {
        /// Which.
        node: NodeId,
        /// Which of them.
        what: Pressure,
        /// Whether it has it.
        is_on: bool,
    },
    /// Somebody else sets condition Ready of a node.
    NodeCondition {
        /// Which.
        node: NodeId,
        /// What it is.
        condition: Readiness,
    },
    /// Tells when the Lease of a node was renewed last, before its machine goes down.
    Lease {
        /// Of which node.
        node: NodeId,
        /// When.
        renewed: SimTime,
    },
    /// Turns condition Ready of a pod off, without its kubelet (rule C163).
    MarkUnready {
        /// Which pod.
        pod: PodRef,
    },
    /// The machine itself dies or comes back.
    NodeUp {
        /// Which.
        node: NodeId,
        /// Whether it is up.
        is_up: bool,
    },
    /// Machines are cut off, or all cuts of that place are over.
    Cut {
        /// As the fault names them.
        place: FaultPlace,
        /// From what; `None`: it is over.
        from: Option<CutFrom>,
        /// They.
        nodes: Vec<NodeId>,
    },
    /// Changes the target size of a node group: the cloud makes machines, or deletes some.
    Retarget {
        /// Which.
        group: GroupId,
        /// By how much.
        by: i32,
    },
    /// Asks the cloud for a machine.
    Launch(Box<Launch>),
    /// Deletes machines.
    DeleteInstances {
        /// Which.
        instances: Vec<InstanceRef>,
        /// Whether their groups are to be smaller by them; else others take their places.
        lowers_target: bool,
    },
    /// The cloud does something with a machine.
    Instance {
        /// Which.
        instance: InstanceRef,
        /// What.
        write: Box<InstanceWrite>,
    },
    /// There are no machines to be had somewhere, or some again.
    Scarcity {
        /// Where.
        scarcity: Scarcity,
        /// Whether there are none.
        is_scarce: bool,
    },
    /// The garbage collector deletes the next object whose owner is gone.
    Collect,
    /// Writes or deletes a custom object.
    Custom(Box<super::CustomWrite>),
    /// Declares a NodePool of Karpenter anew.
    NodePool(std::sync::Arc<crate::model::PoolSpec>),
    /// Removes a Node whose machine is gone.
    RemoveNode {
        /// Which.
        node: NodeId,
    },
    /// metrics-server publishes what the kubelets that answered have measured.
    Metrics(Vec<super::PodReading>),
    /// The metrics pipeline publishes a sample of the calls of all pods.
    CallMetrics(Vec<super::CallCount>),
    /// What a VerticalPodAutoscaler recommends for new pods of a workload, by container.
    Recommend {
        /// Whose pods.
        workload: Workload,
        /// Targets.
        targets: Vec<(Symbol, Amounts)>,
    },
}
