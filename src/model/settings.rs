//! The whole model and the settings of a run.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Duration, Interner, SimTime, Symbol};

use super::behavior::Behaviors;
use super::cloud::CloudSpec;
use super::controllers::{DaemonSetSpec, StatefulSetSpec};
use super::horizontal::HorizontalSettings;
use super::ids::{ObjectName, Workload, WorkloadKind};
use super::ingress::IngressSpec;
use super::jobs::{CronJobSpec, JobSpec};
use super::latency::Latencies;
use super::network::{AddressSpec, BalancerSpec, Dns, Outage, Regressions};
use super::node::NodeSpec;
use super::node_monitor::NodeMonitor;
use super::pod::Template;
use super::priority::PriorityClasses;
use super::scheduling::SchedulerSettings;
use super::storage::{DisruptionBudget, NamespaceSpec, Storage};
use super::timeline::{Script, TimelineEntry};
use super::traffic::{GeneratorSpec, TrafficSpec};
use super::workload::{DeploymentSpec, HpaSpec, PodObject, ReplicaSetSpec, ServiceSpec};

/// All that a run needs to know.
#[derive(Clone, Debug)]
pub struct Model {
    /// Name of the scenario.
    pub name: String,
    /// What it asks, in the author's words.
    pub about: String,
    /// All names; a run adds its own in a layer above.
    pub names: Arc<Interner>,
    /// Nodes, in order of creation.
    pub nodes: Vec<NodeSpec>,
    /// Node groups and types of machines.
    pub cloud: CloudSpec,
    /// How the scheduler lists the nodes at its start.
    pub node_order: NodeOrder,
    /// How long pods tolerate a node that is not ready or unreachable unless they say otherwise:
    /// what admission adds to them (rule C168). `None`: that plugin is off.
    pub default_toleration: Option<Duration>,
    /// How kube-controller-manager watches over nodes.
    pub node_monitor: NodeMonitor,
    /// How kube-controller-manager looks at autoscalers.
    pub horizontal: HorizontalSettings,
    /// Deployments, by namespace and name.
    pub deployments: Vec<DeploymentSpec>,
    /// ReplicaSets written by hand, by namespace and name.
    pub replica_sets: Vec<ReplicaSetSpec>,
    /// StatefulSets.
    pub stateful_sets: Vec<StatefulSetSpec>,
    /// DaemonSets.
    pub daemon_sets: Vec<DaemonSetSpec>,
    /// Jobs that no CronJob made.
    pub jobs: Vec<JobSpec>,
    /// CronJobs.
    pub cron_jobs: Vec<CronJobSpec>,
    /// All declared objects as trees with defaults, in order of kind, namespace and name.
    pub trees: Vec<Arc<serde_json::Value>>,
    /// Bare pods, by namespace and name.
    pub pods: Vec<PodObject>,
    /// Services, by namespace and name.
    pub services: Vec<ServiceSpec>,
    /// Autoscalers, by namespace and name.
    pub hpas: Vec<HpaSpec>,
    /// Metrics that autoscalers ask for by name.
    pub metrics: Vec<super::MetricSpec>,
    /// ScaledObjects, by namespace and name.
    pub scaled_objects: Vec<super::ScaledObjectSpec>,
    /// ScaledObjects that are kept at one size.
    pub paused_scales: Vec<super::PausedScale>,
    /// ScaledJobs, by namespace and name.
    pub scaled_jobs: Vec<super::ScaledJobSpec>,
    /// VerticalPodAutoscalers, by namespace and name.
    pub vpas: Vec<super::VpaSpec>,
    /// ConfigMaps that are there.
    pub config_maps: Vec<ObjectName>,
    /// Secrets that are there.
    pub secrets: Vec<ObjectName>,
    /// The keys of ConfigMaps (`false`) and Secrets (`true`).
    pub config_keys: BTreeSet<(bool, ObjectName, Symbol)>,
    /// Namespaces that are declared.
    pub namespaces: Vec<NamespaceSpec>,
    /// Storage objects.
    pub storage: Storage,
    /// PodDisruptionBudgets, by namespace and name.
    pub budgets: Vec<DisruptionBudget>,
    /// What `priorityClassName` means.
    pub priorities: PriorityClasses,
    /// What containers do.
    pub behaviors: Behaviors,
    /// Sources of calls, by name.
    pub traffic: Vec<TrafficSpec>,
    /// Generators and traces of pods, by name.
    pub generators: Vec<GeneratorSpec>,
    /// What happens when, sorted by time, then as written.
    pub timeline: Vec<TimelineEntry>,
    /// Scripts, in the order in which the scenario names them.
    pub scripts: Vec<Script>,
    /// How long the machinery takes.
    pub latencies: Latencies,
    /// How the scheduler is set.
    pub scheduler: SchedulerSettings,
    /// Horizon, seed and the like.
    pub run: RunSettings,
    /// What the cluster's DNS does.
    pub dns: Dns,
    /// Known regressions of the version.
    pub regressions: Regressions,
    /// The load balancer in front of Services of that type; `None`: it knows at once where pods
    /// are.
    pub balancer: Option<BalancerSpec>,
    /// The proxies that serve Ingresses.
    pub ingress: IngressSpec,
    /// The service mesh, if there is one.
    pub mesh: Option<super::MeshSpec>,
    /// Ingresses.
    pub ingresses: Vec<super::IngressRules>,
    /// Where the addresses of pods come from.
    pub addresses: AddressSpec,
    /// When which images cannot be pulled.
    pub outages: Vec<Outage>,
    /// Custom objects as trees.
    pub customs: Vec<super::CustomObject>,
    /// What of all this only a command of the timeline creates.
    pub later: super::Later,
}

impl Model {
    /// All templates that stand in the model, in the order of their tables.
    pub fn templates(&self) -> impl Iterator<Item = &Arc<Template>> {
        let mixes = self.generators.iter().flat_map(|g| g.mix.iter().map(|(_, t)| &t.0));
        (self.deployments.iter().map(|d| &d.template))
            .chain(self.replica_sets.iter().map(|r| &r.template))
            .chain(self.stateful_sets.iter().map(|s| &s.template))
            .chain(self.daemon_sets.iter().map(|s| &s.template))
            .chain(self.jobs.iter().map(|j| &j.template))
            .chain(self.pods.iter().map(|p| &p.template))
            .chain(mixes)
    }

    /// What rolls out, with its template: Deployments, StatefulSets and DaemonSets, in the order of
    /// their tables.
    pub fn rolling_templates(&self) -> impl Iterator<Item = (Workload, &Arc<Template>)> {
        let named = |kind| move |(name, template)| (Workload { kind, name }, template);
        let deployments = self.deployments.iter().map(|d| (d.name, &d.template));
        let stateful_sets = self.stateful_sets.iter().map(|s| (s.name, &s.template));
        let daemon_sets = self.daemon_sets.iter().map(|d| (d.name, &d.template));
        (deployments.map(named(WorkloadKind::Deployment)))
            .chain(stateful_sets.map(named(WorkloadKind::StatefulSet)))
            .chain(daemon_sets.map(named(WorkloadKind::DaemonSet)))
    }

    /// What rolls out.
    pub fn rolling(&self) -> impl Iterator<Item = Workload> {
        self.rolling_templates().map(|(workload, _)| workload)
    }
}

/// How the scheduler lists the nodes at its start (rule S12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeOrder {
    /// By name.
    ByName,
    /// Shuffled with the run's seed, as a real scheduler of 1.35 and later would find them.
    Seeded,
    /// As written.
    Given,
}

/// Horizon, seed and the like.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSettings {
    /// The horizon: what would happen at it does not happen.
    pub until: Option<SimTime>,
    /// The experiment's seed.
    pub seed: u64,
    /// How many replications.
    pub replications: u32,
    /// What is measured of calls before this does not count.
    pub warmup: Duration,
    /// Good calls that take longer count as slow.
    pub slow: Duration,
    /// Wall clock at zero, in seconds since 1970-01-01T00:00:00Z.
    pub start_unix: i64,
    /// From one sample of the series to the next.
    pub sample: Duration,
    /// Events per run at most.
    pub events_max: u64,
    /// Events per instant at most.
    pub events_per_instant_max: u64,
    /// Objects of one kind alive at once at most.
    pub objects_max: u64,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            until: None,
            seed: 1,
            replications: 1,
            warmup: Duration::ZERO,
            slow: Duration::secs(1),
            // Monday, 2026-01-05T00:00:00Z.
            start_unix: 1_767_571_200,
            sample: Duration::secs(1),
            events_max: 20_000_000_000,
            events_per_instant_max: 50_000_000,
            objects_max: 10_000_000,
        }
    }
}
