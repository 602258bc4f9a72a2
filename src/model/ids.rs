//! The dense ids of everything that a run keeps in a table, and the names of things.

use crate::base::{Interner, Ref, Symbol, id_type};

id_type!(
    PodId,
    "A slot in the table of pods; used again, so what outlives the pod holds a [`PodRef`]."
);
id_type!(NodeId, "A node, numbered in the order of creation.");
id_type!(ZoneId, "A failure domain of nodes (region and zone), numbered as they are met.");
id_type!(DeploymentId, "A Deployment.");
id_type!(ReplicaSetId, "A slot in the table of ReplicaSets; used again.");
id_type!(StatefulSetId, "A StatefulSet.");
id_type!(DaemonSetId, "A DaemonSet.");
id_type!(JobId, "A slot in the table of Jobs; used again.");
id_type!(CronJobId, "A CronJob.");
id_type!(BudgetId, "A PodDisruptionBudget.");
id_type!(ServiceId, "A Service.");
id_type!(HpaId, "A HorizontalPodAutoscaler.");
id_type!(TemplateId, "A slot in the table of pod templates: all pods of one template share it.");
id_type!(SourceId, "A source of calls (an entry of `traffic`, or an entry of `calls`).");
id_type!(DiskId, "A disk that pods on a node need attached to it.");
id_type!(GeneratorId, "A generator or trace of bare pods (an entry of `workload`).");

/// A pod that may be gone: stale when the slot has begun another life.
pub type PodRef = Ref<PodId>;
/// A ReplicaSet that may be gone.
pub type ReplicaSetRef = Ref<ReplicaSetId>;
/// A Job that may be gone.
pub type JobRef = Ref<JobId>;

/// The controller that owns a pod. Ids of tables whose slots are not used again stand for
/// themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerRef {
    /// A ReplicaSet or a ReplicationController.
    ReplicaSet(ReplicaSetRef),
    /// A StatefulSet.
    StatefulSet(StatefulSetId),
    /// A DaemonSet.
    DaemonSet(DaemonSetId),
    /// A Job.
    Job(JobRef),
}

impl OwnerRef {
    /// The ReplicaSet, if it is one.
    #[must_use]
    pub const fn replica_set(self) -> Option<ReplicaSetRef> {
        match self {
            Self::ReplicaSet(set) => Some(set),
            Self::StatefulSet(_) | Self::DaemonSet(_) | Self::Job(_) => None,
        }
    }

    /// What a controller's work queue holds of it.
    #[must_use]
    pub const fn key(self) -> ObjectKey {
        match self {
            Self::ReplicaSet(set) => ObjectKey::ReplicaSet(set.id),
            Self::StatefulSet(set) => ObjectKey::StatefulSet(set),
            Self::DaemonSet(set) => ObjectKey::DaemonSet(set),
            Self::Job(job) => ObjectKey::Job(job.id),
        }
    }
}

/// Namespace and name of an object, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace; of an object without one (a Node), the empty symbol.
    pub namespace: Symbol,
    /// The name.
    pub name: Symbol,
}

impl ObjectName {
    /// `KIND/NAME`, with the namespace before the name unless it is `default`.
    #[must_use]
    pub fn of_kind(self, kind: &str, names: &Interner) -> String {
        let name = names.resolve(self.name);
        match names.resolve(self.namespace) {
            "default" => format!("{kind}/{name}"),
            namespace => format!("{kind}/{namespace}/{name}"),
        }
    }
}

/// Which object of the control plane: what a controller's work queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKey {
    /// A Deployment.
    Deployment(DeploymentId),
    /// A ReplicaSet (the slot; whoever wakes looks whether it still lives).
    ReplicaSet(ReplicaSetId),
    /// A StatefulSet.
    StatefulSet(StatefulSetId),
    /// A DaemonSet.
    DaemonSet(DaemonSetId),
    /// A Job (the slot).
    Job(JobId),
    /// A CronJob.
    CronJob(CronJobId),
    /// A PodDisruptionBudget.
    Budget(BudgetId),
    /// A Service.
    Service(ServiceId),
    /// A HorizontalPodAutoscaler.
    Hpa(HpaId),
    /// A Namespace.
    Namespace(Symbol),
    /// A Node.
    Node(NodeId),
    /// A failure domain of nodes.
    Zone(ZoneId),
    /// A pod (the slot).
    Pod(PodId),
    /// A disk.
    Disk(DiskId),
    /// The cluster as a whole: for loops that go over everything.
    Cluster,
}

/// The workload that a pod template belongs to: what `for:` of a behaviour names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// What kind of object it is.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: ObjectName,
}

/// The kinds of object that own a pod template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A ReplicaSet without a Deployment.
    ReplicaSet,
    /// A ReplicationController.
    ReplicationController,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A Job without a CronJob.
    Job,
    /// A CronJob: the pods of its Jobs.
    CronJob,
    /// A bare pod.
    Pod,
    /// An entry of `workload` in the scenario.
    Generator,
}

impl WorkloadKind {
    /// The lower-case name, as in `deployment/checkout`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::ReplicaSet => "replicaset",
            Self::ReplicationController => "replicationcontroller",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::Pod => "pod",
            Self::Generator => "workload",
        }
    }
}
