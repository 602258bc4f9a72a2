//! Deployments, ReplicaSets, Services and autoscalers as they are declared, defaults filled.

use std::sync::Arc;

use crate::base::{Duration, IntOrString, Symbol};

use super::ids::ObjectName;
use super::labels::{Labels, Selector};
use super::pod::{Protocol, Template};

/// A Deployment as it is declared.
#[derive(Clone, Debug)]
pub struct DeploymentSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// The whole object as a value tree with defaults: what commands patch.
    pub source: Arc<serde_json::Value>,
    /// How many pods are wanted.
    pub replicas: u32,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods' template.
    pub template: Arc<Template>,
    /// How a new template replaces an old one.
    pub strategy: Strategy,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// `progressDeadlineSeconds`; `None` for the value that means never.
    pub progress_deadline: Option<Duration>,
    /// `revisionHistoryLimit`.
    pub history_limit: u32,
    /// Whether it is paused.
    pub paused: bool,
    /// Annotations that its ReplicaSets get too (rule C28).
    pub annotations: Labels,
    /// Annotation `deprecated.deployment.rollback.to`: to which revision, 0 for the last but one
    /// (rule C64).
    pub rollback_to: Option<u64>,
}

/// How a new template replaces an old one.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// All old pods go first.
    Recreate,
    /// Step by step.
    RollingUpdate {
        /// `maxSurge`.
        max_surge: IntOrString,
        /// `maxUnavailable`.
        max_unavailable: IntOrString,
    },
}

/// A ReplicaSet as it is declared by hand; those of Deployments are made by the controller.
#[derive(Clone, Debug)]
pub struct ReplicaSetSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// How many pods are wanted.
    pub replicas: u32,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods' template.
    pub template: Arc<Template>,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// Its own labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// The controller that it names as its owner and that is not in the cluster: what tells which
    /// ReplicaSets belong together (rule C75).
    pub controller: Option<ForeignOwner>,
}

/// An owner that is not in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignOwner {
    /// Its name.
    pub name: Symbol,
    /// Its uid.
    pub uid: Symbol,
}

/// A pod that stands alone in a manifest.
#[derive(Clone, Debug)]
pub struct PodObject {
    /// Namespace and name.
    pub name: ObjectName,
    /// Its template.
    pub template: Arc<Template>,
}

/// A Service as it is declared.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// Which pods stand behind it; `None` without a selector.
    pub selector: Option<Labels>,
    /// What kind of Service.
    pub kind: ServiceKind,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// Whether pods that are not ready are published too.
    pub publish_not_ready: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `sessionAffinity: ClientIP`: for how long after its last use.
    pub affinity: Option<Duration>,
    /// Its own labels.
    pub labels: Labels,
    /// `trafficDistribution`.
    pub distribution: Option<TrafficDistribution>,
    /// Annotation `service.kubernetes.io/topology-mode: Auto`.
    pub topology_auto: bool,
}

/// Which endpoints callers prefer (rule C181).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficDistribution {
    /// Those of their zone: `PreferSameZone`, or `PreferClose`, its older name.
    PreferSameZone,
    /// Those of their node, else of their zone.
    PreferSameNode,
}

impl ServiceSpec {
    /// Whether nothing differs that a proxy uses: such a change asks for no run (rule N150).
    #[must_use]
    pub fn is_same_to_proxies(&self, other: &Self) -> bool {
        let seen = |s: &Self| (s.kind, s.internal_local, s.external_local, s.affinity);
        seen(self) == seen(other) && self.ports == other.ports
    }

    /// Whether pods of a namespace with these labels stand behind it.
    #[must_use]
    pub fn selects(&self, namespace: Symbol, labels: &Labels) -> bool {
        self.name.namespace == namespace
            && self.selector.as_ref().is_some_and(|selector| labels.has_all(selector))
    }
}

/// The kinds of Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// A virtual IP in the cluster.
    ClusterIp,
    /// No virtual IP: DNS gives the pods.
    Headless,
    /// A port on each node.
    NodePort,
    /// A load balancer outside.
    LoadBalancer,
    /// A name outside the cluster.
    ExternalName,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePort {
    /// Its name; the empty symbol if it has none.
    pub name: Symbol,
    /// The port of the Service.
    pub port: u16,
    /// The port of the pod.
    pub target: TargetPort,
    /// Protocol.
    pub protocol: Protocol,
    /// `appProtocol`.
    pub app_protocol: Option<Symbol>,
}

/// The port of a pod that a Service leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By the name that a container gives.
    Name(Symbol),
}

/// A HorizontalPodAutoscaler as it is declared.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// What it scales.
    pub target: HpaTarget,
    /// `minReplicas`.
    pub replicas_min: u32,
    /// `maxReplicas`.
    pub replicas_max: u32,
    /// Metrics, in order; of a kind that is not modelled `Unmodelled`.
    pub metrics: Vec<HpaMetric>,
    /// `behavior`, defaults filled (rule A60); `None` if it is absent (rule A12).
    pub behavior: Option<HpaBehavior>,
}

/// What an autoscaler scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpaTarget {
    /// A Deployment of the same namespace, by name.
    Deployment(Symbol),
    /// A ReplicaSet of the same namespace, by name.
    ReplicaSet(Symbol),
    /// A ReplicationController of the same namespace, by name.
    ReplicationController(Symbol),
    /// A StatefulSet of the same namespace, by name.
    StatefulSet(Symbol),
    /// A kind or name that is not there: the Scale cannot be read.
    Missing,
}

/// One metric of an autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub enum HpaMetric {
    /// A resource of the pods (cpu, memory), of all containers or of one.
    Resource {
        /// Which.
        resource: ResourceName,
        /// Of this container only (`ContainerResource`).
        container: Option<Symbol>,
        /// What is aimed at.
        target: HpaAim,
    },
    /// A number of each pod (`Pods`), the average in thousandths that is aimed at.
    Pods {
        /// The metric.
        name: Symbol,
        /// What is aimed at.
        target: i64,
    },
    /// A number of one object (`Object`).
    Object {
        /// The metric.
        name: Symbol,
        /// What is aimed at.
        target: HpaGoal,
    },
    /// A number from outside (`External`).
    External {
        /// The metric.
        name: Symbol,
        /// What is aimed at.
        target: HpaGoal,
    },
    /// A kind that is not modelled: it counts as an invalid metric (rule A47).
    Unmodelled(Symbol),
}

/// The resources that a pod's metrics tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceName {
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
}

/// What a metric aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpaAim {
    /// Percent of the requests.
    Utilization(i32),
    /// Average a pod, in thousandths of the unit (millicores, millibytes).
    AverageValue(i64),
}

/// What a metric that is not of the pods aims at, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpaGoal {
    /// The number itself.
    Value(i64),
    /// Its share of each replica.
    AverageValue(i64),
}

/// The rules of both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaBehavior {
    /// Upwards.
    pub up: HpaRules,
    /// Downwards.
    pub down: HpaRules,
}

/// The rules of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaRules {
    /// `stabilizationWindowSeconds`; `None`: the controller's default.
    pub window: Option<Duration>,
    /// Which policy counts.
    pub select: SelectPolicy,
    /// Policies.
    pub policies: Vec<HpaPolicy>,
    /// `tolerance`; `None`: the controller's default.
    pub tolerance: Option<f64>,
}

/// Which policy counts when there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectPolicy {
    /// The largest change.
    Max,
    /// The smallest change.
    Min,
    /// None: no change in this direction.
    Disabled,
}

/// How much may change in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HpaPolicy {
    /// Whether the value is in percent (else in pods).
    pub is_percent: bool,
    /// The value.
    pub value: i32,
    /// In how long.
    pub period: Duration,
}
