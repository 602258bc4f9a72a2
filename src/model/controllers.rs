//! StatefulSets and DaemonSets as they are declared, defaults filled; and any object.

use std::sync::Arc;

use serde_json::Value;

use super::ids::ObjectName;
use super::labels::Selector;
use super::pod::Template;

/// A StatefulSet as it is declared.
#[derive(Clone, Debug)]
pub struct StatefulSetSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// The whole object as a value tree with defaults.
    pub source: Arc<Value>,
    /// How many pods are wanted.
    pub replicas: u32,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods' template.
    pub template: Arc<Template>,
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
    /// The pods' template.
    pub template: Arc<Template>,
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
    /// Kept as a tree alone: others read it there.
    Tree,
}
