//! StatefulSets and DaemonSets as they are declared, defaults filled; and any object.

use std::sync::Arc;

use serde_json::Value;

use crate::base::{Duration, IntOrString, Symbol};

use super::ids::ObjectName;
use super::labels::Selector;
use super::pod::{NodeAffinity, Template};

/// A StatefulSet as it is declared.
#[derive(Clone, Debug)]
pub struct StatefulSetSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// The whole object as a value tree with defaults.
    pub source: Arc<Value>,
    /// How many pods are wanted.
    pub replicas: u32,
    /// `ordinals.start`: the number of the first pod.
    pub start: u32,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods' template; its volumes that are claims of each pod are among them.
    pub template: Arc<Template>,
    /// `podManagementPolicy: Parallel`: pods do not wait for each other.
    pub is_parallel: bool,
    /// `updateStrategy.type: OnDelete`: nothing is replaced.
    pub on_delete: bool,
    /// `updateStrategy.rollingUpdate`; without it and with partition 0 are not the same (rule C84).
    pub rolling: Option<RollingUpdate>,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// `revisionHistoryLimit`.
    pub history_limit: u32,
    /// Names of the claim templates, in order.
    pub claims: Vec<Symbol>,
    /// What becomes of the claims.
    pub retention: ClaimRetention,
}

/// `rollingUpdate` of a StatefulSet. `maxUnavailable` is behind a gate that is off (rule C91).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollingUpdate {
    /// Slots below it keep the current revision.
    pub partition: u32,
}

/// `persistentVolumeClaimRetentionPolicy` of a StatefulSet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimRetention {
    /// `whenDeleted: Delete`.
    pub deletes_with_set: bool,
    /// `whenScaled: Delete`.
    pub deletes_with_scale: bool,
}

/// A DaemonSet as it is declared.
#[derive(Clone, Debug)]
pub struct DaemonSetSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// The whole object as a value tree with defaults.
    pub source: Arc<Value>,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods are made of: with the tolerations that each gets (rule C100), and without
    /// required node affinity, in whose place each pod gets its node's name (rule C102).
    pub template: Arc<Template>,
    /// The template's node affinity as it is declared: it says which nodes want a pod (rule C99).
    pub affinity: NodeAffinity,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// `revisionHistoryLimit`.
    pub history_limit: u32,
    /// `updateStrategy`.
    pub strategy: DaemonSetStrategy,
}

/// How pods of a new template replace old ones on their nodes (rule C97).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonSetStrategy {
    /// When somebody deletes the old ones.
    OnDelete,
    /// Some at a time. One of the two is zero.
    RollingUpdate {
        /// `maxUnavailable`: on so many nodes the old one goes first.
        max_unavailable: IntOrString,
        /// `maxSurge`: on so many nodes the new one comes first.
        max_surge: IntOrString,
    },
}

/// What becomes of an object's dependents when it is deleted (rule C191).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// It goes, then they go.
    #[default]
    Background,
    /// They go first; it stays until none is left that blocks it.
    Foreground,
    /// They stay without owner.
    Orphan,
}

/// An object that has a row of its own in the cluster's tables.
#[derive(Clone, Debug)]
pub enum Declared {
    /// A pod without controller.
    Pod(Box<super::PodObject>),
    /// A Deployment.
    Deployment(Arc<super::DeploymentSpec>),
    /// A ReplicaSet or ReplicationController.
    ReplicaSet(Arc<super::ReplicaSetSpec>),
    /// A StatefulSet.
    StatefulSet(Arc<StatefulSetSpec>),
    /// A DaemonSet.
    DaemonSet(Arc<DaemonSetSpec>),
    /// A Job.
    Job(Arc<super::JobSpec>),
    /// A CronJob.
    CronJob(Arc<super::CronJobSpec>),
    /// A PodDisruptionBudget.
    Budget(Arc<super::DisruptionBudget>),
    /// A Service.
    Service(Arc<super::ServiceSpec>),
    /// A HorizontalPodAutoscaler.
    Hpa(Arc<super::HpaSpec>),
    /// A Node.
    Node(Box<super::NodeSpec>),
    /// An Ingress.
    Ingress(Arc<super::IngressRules>),
    /// Kept as a tree alone: others read it there.
    Tree,
}
