//! A pod as its template describes it, defaults filled.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::base::{Bytes, Duration, MilliCpu, Symbol};

use super::affinity::{PodAffinity, SpreadConstraint};
use super::behavior::Behavior;
use super::ids::Workload;
use super::labels::{Labels, Requirement};
use super::node::Toleration;
use super::resources::Resources;
use super::storage::PodVolume;

/// What all pods of one template share: labels, specification and what was computed from them.
///
/// Two templates are the same revision when their `source` trees are equal (rule C26).
#[derive(Clone, Debug)]
pub struct Template {
    /// Whose template it is; behaviours are found by it.
    pub workload: Workload,
    /// The labels of its pods.
    pub labels: Labels,
    /// `controller.kubernetes.io/pod-deletion-cost`; 0 if absent or invalid (rule C74).
    pub deletion_cost: i32,
    /// The specification.
    pub spec: Arc<PodSpec>,
    /// The whole template as a value tree with defaults, without the hash label.
    pub source: Arc<serde_json::Value>,
    /// What the containers do: init containers first, then the others, in the order of the spec.
    pub behaviors: Arc<[Arc<Behavior>]>,
    /// Which of `spec.containers` serves calls.
    pub server: Option<u8>,
}

impl Template {
    /// Whether its pods have the proxy of a mesh.
    #[must_use]
    pub fn is_meshed(&self, mesh: Option<&super::MeshSpec>) -> bool {
        let mut all = self.spec.init_containers.iter().chain(&self.spec.containers);
        mesh.is_some_and(|mesh| all.any(|container| container.name == mesh.container))
    }

    /// Containers and sidecars with what they do, in the order of the pod's containers.
    pub fn running(&self) -> impl Iterator<Item = (&Container, &Behavior)> {
        let first = self.spec.init_containers.len();
        let all = self.spec.containers.iter().zip(self.behaviors[first..].iter());
        let sidecars = self.spec.init_containers.iter().zip(self.behaviors.iter());
        let sidecars = sidecars.filter(|(container, _)| container.restart_always);
        all.chain(sidecars).map(|(container, behavior)| (container, &**behavior))
    }

    /// The behaviour of an init container.
    #[must_use]
    pub fn init_behavior(&self, index: usize) -> &Behavior {
        &self.behaviors[index]
    }

    /// The behaviour of a container.
    #[must_use]
    pub fn behavior(&self, index: usize) -> &Behavior {
        &self.behaviors[self.spec.init_containers.len() + index]
    }
}

/// Requests as they are written; `None`: nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnRequests {
    /// CPU.
    pub cpu: Option<MilliCpu>,
    /// Memory.
    pub memory: Option<Bytes>,
}

/// The specification of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSpec {
    /// Init containers, sidecars (`restart_always`) among them, in order.
    pub init_containers: Vec<Container>,
    /// Containers, in order; at least one.
    pub containers: Vec<Container>,
    /// What happens when a container exits.
    pub restart_policy: RestartPolicy,
    /// `terminationGracePeriodSeconds`.
    pub grace: Duration,
    /// `activeDeadlineSeconds`.
    pub active_deadline: Option<Duration>,
    /// A node written by hand: no scheduling.
    pub node_name: Option<Symbol>,
    /// Which scheduler is to place it.
    pub scheduler_name: Symbol,
    /// Priority, resolved from the class.
    pub priority: i32,
    /// `preemptionPolicy: Never`.
    pub preempts_never: bool,
    /// Names of `schedulingGates`.
    pub scheduling_gates: Vec<Symbol>,
    /// `nodeSelector` as labels.
    pub node_selector: Labels,
    /// Node affinity.
    pub node_affinity: NodeAffinity,
    /// Affinity to other pods.
    pub pod_affinity: PodAffinity,
    /// Topology spread constraints, in order.
    pub spread: Vec<SpreadConstraint>,
    /// Tolerations, in order.
    pub tolerations: Vec<Toleration>,
    /// Whether it lives in the node's network.
    pub host_network: bool,
    /// What scheduling counts (rules S80 to S83): the aggregate of containers, init containers,
    /// sidecars, pod-level requests and overhead.
    pub requests: Resources,
    /// The requests of the pod as a whole, as they are written (rule A33).
    pub own_requests: OwnRequests,
    /// The limits of the pod as a whole, as they are written.
    pub own_limits: OwnRequests,
    /// CPU and memory with the scheduler's defaults for containers without (rule S85).
    pub nonzero_requests: (MilliCpu, Bytes),
    /// What NodeResourcesFit scores of an incoming pod: the containers' aggregate and the overhead
    /// with the scheduler's defaults for CPU and memory, without pod-level requests (rule S88).
    pub scored_requests: Resources,
    /// Host ports that it wants, each once.
    pub host_ports: Vec<HostPort>,
    /// Quality of service.
    pub qos: QosClass,
    /// What it takes of ConfigMaps and Secrets.
    pub config_refs: Vec<ConfigRef>,
    /// Condition types of `readinessGates`.
    pub readiness_gates: Vec<Symbol>,
    /// Volumes that scheduling looks at, in order.
    pub volumes: Vec<PodVolume>,
    /// Volumes of the kind `emptyDir` on the node's disk, with their size limits.
    pub empty_dirs: Vec<(Symbol, Option<Bytes>)>,
    /// Images of init containers, then of the others, normalised: `:latest` if there is no tag
    /// (rule S122).
    pub image_names: Vec<Symbol>,
    /// How long this pod runs before its containers exit 0; for pods of generators and traces.
    pub lifetime: Option<Duration>,
}

impl PodSpec {
    /// Whether `matchLabelKeys` or `mismatchLabelKeys` wait for the labels of a pod.
    #[must_use]
    pub fn has_label_keys(&self) -> bool {
        self.pod_affinity.has_keys() || self.spread.iter().any(SpreadConstraint::has_keys)
    }

    /// All its containers: init containers, then the others.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }

    /// Whether its containers ask for the same CPU and memory as those of another and may use the
    /// same.
    #[must_use]
    pub fn has_amounts_of(&self, other: &Self) -> bool {
        let mut pairs = self.all_containers().zip(other.all_containers());
        pairs.all(|(one, other)| one.has_amounts_of(other))
    }

    /// As the API server stores a pod of these labels: with the keys merged into the selectors
    /// (rules S106, S116).
    #[must_use]
    pub fn with_label_keys(&self, labels: &Labels) -> Self {
        let mut merged = self.clone();
        merged.pod_affinity.merge_keys(labels);
        merged.spread.iter_mut().for_each(|constraint| constraint.merge_keys(labels));
        merged
    }
}

/// A ConfigMap or Secret of which a pod has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigRef {
    /// Whether it is a Secret (else a ConfigMap).
    pub is_secret: bool,
    /// Its name.
    pub name: Symbol,
    /// The key that must be in it; `None`: it must be there.
    pub key: Option<Symbol>,
    /// Whose environment needs it, init containers first; `None`: it is mounted.
    pub container: Option<u8>,
    /// Whether the pod can do without.
    pub is_optional: bool,
    /// Whether containers mount it with `subPath` alone: such files never change (rule N54).
    pub is_sub_path: bool,
}

impl ConfigRef {
    /// Whether a volume has it (else the environment of a container).
    #[must_use]
    pub const fn is_mounted(&self) -> bool {
        self.container.is_none()
    }
}

/// What happens when a container exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// It is started again.
    Always,
    /// It is started again if it failed.
    OnFailure,
    /// It stays down.
    Never,
}

/// Quality of service class (rule N96).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QosClass {
    /// Limits equal requests everywhere.
    Guaranteed,
    /// Something is asked for.
    Burstable,
    /// Nothing is asked for.
    BestEffort,
}

/// A port on the node that a pod wants for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Address; the empty symbol for all.
    pub ip: Symbol,
    /// Protocol.
    pub protocol: Protocol,
    /// Number.
    pub port: u16,
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A container.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: Symbol,
    /// Its image.
    pub image: Symbol,
    /// When the image is pulled.
    pub pull_policy: PullPolicy,
    /// Ports that it declares.
    pub ports: Vec<ContainerPort>,
    /// Its own requests.
    pub requests: Resources,
    /// What of them it writes down, be it 0.
    pub asked: OwnRequests,
    /// Its CPU limit.
    pub cpu_limit: Option<MilliCpu>,
    /// Its memory limit.
    pub memory_limit: Option<Bytes>,
    /// Its limit of ephemeral storage.
    pub storage_limit: Option<Bytes>,
    /// Whether it is a sidecar: an init container that keeps running.
    pub restart_always: bool,
    /// `restartPolicy` of its own, which wins over the pod's (rule N93).
    pub restart_policy: Option<RestartPolicy>,
    /// `restartPolicyRules`, in order: the first that matches decides (rule N93).
    pub restart_rules: Vec<RestartRule>,
    /// Whether another amount of a resource restarts it (rule N104).
    pub resize_policy: ResizePolicy,
    /// `lifecycle.stopSignal`; `None`: what the image says.
    pub stop_signal: Option<Symbol>,
    /// Readiness probe.
    pub readiness: Option<Probe>,
    /// Liveness probe.
    pub liveness: Option<Probe>,
    /// Startup probe.
    pub startup: Option<Probe>,
    /// What runs before the stop signal.
    pub pre_stop: Option<Hook>,
    /// What runs after the start.
    pub post_start: Option<Hook>,
    /// Whether what runs before the stop signal stops its process itself.
    pub pre_stop_quits: bool,
}

impl Container {
    /// Whether it asks for the same CPU and memory as another and may use the same.
    #[must_use]
    pub fn has_amounts_of(&self, other: &Self) -> bool {
        let cpu = |of: &Self| (of.requests.cpu, of.cpu_limit);
        let memory = |of: &Self| (of.requests.memory, of.memory_limit);
        cpu(self) == cpu(other) && memory(self) == memory(other)
    }

    /// Whether it has to be restarted to get the amounts of another (rule N104).
    #[must_use]
    pub fn restarts_for(&self, other: &Self) -> bool {
        let cpu = (self.requests.cpu, self.cpu_limit) != (other.requests.cpu, other.cpu_limit);
        let memory = (self.requests.memory, self.memory_limit)
            != (other.requests.memory, other.memory_limit);
        (cpu && self.resize_policy.cpu) || (memory && self.resize_policy.memory)
    }

    /// What happens to the container after it ended with `code` (rule N93).
    ///
    /// Source: kubernetes v1.36.3 pkg/api/v1/pod/util.go `ContainerShouldRestart`.
    #[must_use]
    pub fn after_exit(&self, code: i32, pods: RestartPolicy) -> AfterExit {
        let rule = self.restart_rules.iter().find(|rule| rule.matches(code));
        if let (Some(rule), Some(_)) = (rule, self.restart_policy) {
            return rule.action;
        }
        let again = match self.restart_policy.unwrap_or(pods) {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => code != 0,
            RestartPolicy::Never => false,
        };
        if again { AfterExit::Restart } else { AfterExit::Stay }
    }
}

/// `resizePolicy`: whether a container is restarted when it gets another amount (rule N104).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResizePolicy {
    /// `RestartContainer` for CPU.
    pub cpu: bool,
    /// `RestartContainer` for memory.
    pub memory: bool,
}

/// One of `restartPolicyRules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartRule {
    /// What it asks for.
    pub action: AfterExit,
    /// Whether it matches the codes that are not listed (`NotIn`).
    pub is_other: bool,
    /// Exit codes.
    pub codes: Vec<i32>,
}

impl RestartRule {
    /// Whether it is for this exit code.
    #[must_use]
    pub fn matches(&self, code: i32) -> bool {
        self.codes.contains(&code) != self.is_other
    }
}

/// What happens to a container that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterExit {
    /// It stays down.
    Stay,
    /// It is started again.
    Restart,
    /// All containers of the pod are started again, init containers first.
    RestartAll,
}

/// When an image is pulled (rule N61).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// The registry is asked at each start.
    Always,
    /// Only if the node lacks it.
    IfNotPresent,
    /// It must be there.
    Never,
}

/// A port that a container declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContainerPort {
    /// Its name; the empty symbol if it has none.
    pub name: Symbol,
    /// Number.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

/// A probe, defaults filled (rule N80).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// How it asks.
    pub how: ProbeKind,
    /// Not before this long after the start of the container.
    pub initial_delay: Duration,
    /// From one to the next.
    pub period: Duration,
    /// How long it waits for an answer.
    pub timeout: Duration,
    /// Successes in a row that turn it good.
    pub success_threshold: u32,
    /// Failures in a row that turn it bad.
    pub failure_threshold: u32,
    /// Grace of the kill that a liveness or startup failure brings; `None`: the pod's.
    pub grace: Option<Duration>,
}

/// How a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// HTTP GET.
    Http,
    /// A TCP connection.
    Tcp,
    /// The gRPC health service.
    Grpc,
    /// A command in the container.
    Exec,
}

/// A lifecycle hook.
#[derive(Clone, Debug, PartialEq)]
pub enum Hook {
    /// `sleep`.
    Sleep(Duration),
    /// A command; `sleep N` in it is understood, other commands take what the behaviour says.
    Exec(Option<Duration>),
    /// An HTTP request to the container.
    Http,
}

/// Node affinity of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeAffinity {
    /// Required terms, one of which must match; `None` if there is no requirement, empty matches
    /// nothing (rule S97).
    pub required: Option<Vec<NodeSelectorTerm>>,
    /// Preferred terms with their weights.
    pub preferred: Vec<(i32, NodeSelectorTerm)>,
    /// What the scheduler cannot read in the preferred terms: scoring fails on it (rule S98a).
    pub preferred_error: Option<Arc<str>>,
}

/// One term of node affinity: all of it must match; without anything it matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelectorTerm {
    /// On labels.
    pub expressions: Vec<Requirement>,
    /// On the field `metadata.name`.
    pub fields: SmallVec<[Requirement; 1]>,
}

impl NodeSelectorTerm {
    /// Whether a node of this name and these labels matches.
    ///
    /// Source: kubernetes v1.36.3
    /// component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go `nodeSelectorTerm.match`
    /// (rules S97, S98).
    #[must_use]
    pub fn matches(&self, name: Symbol, labels: &Labels, names: &crate::base::Interner) -> bool {
        if self.expressions.is_empty() && self.fields.is_empty() {
            return false;
        }
        let field = |requirement: &Requirement| {
            let listed = requirement.values.contains(&name);
            match requirement.operator {
                super::Operator::In => listed,
                super::Operator::NotIn => !listed,
                super::Operator::Exists
                | super::Operator::DoesNotExist
                | super::Operator::Gt
                | super::Operator::Lt => false,
            }
        };
        self.expressions.iter().all(|r| r.matches(labels, names)) && self.fields.iter().all(field)
    }
}

/// Whether `nodeSelector` and required node affinity let the pod on a node (rule S97).
#[must_use]
pub fn matches_node(
    selector: &Labels,
    affinity: &NodeAffinity,
    name: Symbol,
    labels: &Labels,
    names: &crate::base::Interner,
) -> bool {
    labels.has_all(selector)
        && affinity
            .required
            .as_ref()
            .is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels, names)))
}
