//! The scenario file as written. Every key has its documentation here; the JSON Schema and the
//! messages come from these types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

pub(super) use super::file_addresses::*;
pub(super) use super::file_behavior::*;
pub(super) use super::file_cloud::*;
pub(super) use super::file_cpu::*;
pub(super) use super::file_horizontal::*;
pub(super) use super::file_ingress::*;
pub(super) use super::file_kubelet::*;
pub(super) use super::file_mesh::*;
pub(super) use super::file_metrics::*;
pub(super) use super::file_traffic::*;
use super::law::Law;
use super::search::Values;
use super::units::{Amount, PerHour, PerSecond, Share, Size, Span};

/// A scenario: what a manifest cannot know.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Seatrial scenario")]
pub struct ScenarioFile {
    /// `seatrial/v1`.
    pub api_version: Spanned<String>,
    /// `Scenario`.
    pub kind: Spanned<String>,
    /// Its name: the folder of its results.
    pub name: Spanned<String>,
    /// The question that it asks, in a sentence.
    #[serde(default)]
    pub about: String,
    /// The machines, and how the machinery behaves.
    pub cluster: Spanned<ClusterFile>,
    /// Where machines come from during the run: types of machines, node groups.
    pub cloud: Option<Spanned<CloudFile>>,
    /// Manifests: files, folders, globs, relative to this file; `-` is standard input.
    #[serde(default)]
    pub apply: Vec<Spanned<String>>,
    /// What the containers do; later entries win over earlier ones, field by field.
    #[serde(default)]
    pub behaviors: Vec<Spanned<BehaviorFile>>,
    /// Metrics that HorizontalPodAutoscalers and ScaledObjects ask for by name.
    #[serde(default)]
    pub metrics: Vec<Spanned<MetricFile>>,
    /// Who calls the services.
    #[serde(default)]
    pub traffic: Vec<Spanned<TrafficFile>>,
    /// Pods that come without a controller.
    #[serde(default)]
    pub workload: Vec<Spanned<WorkloadFile>>,
    /// What happens when.
    #[serde(default)]
    pub timeline: Vec<Spanned<TimelineFile>>,
    /// Horizon, seed, replications.
    #[serde(default)]
    pub run: Spanned<RunFile>,
    /// Values that are open, for `seatrial advise`: a path as of `--set` (of this file, or
    /// `KIND/NAME:path` of an object of the manifests), and a list or a range of values.
    #[serde(default)]
    pub search: BTreeMap<String, Spanned<Values>>,
    /// What must hold; paths are those of summary.json.
    #[serde(default)]
    pub expect: Vec<Spanned<String>>,
}

/// The machines, and how the machinery behaves.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFile {
    /// The version whose behaviour is modelled: 1.36.
    pub kubernetes: Option<Spanned<String>>,
    /// Pools of equal machines.
    #[serde(default)]
    pub nodes: Vec<Spanned<PoolFile>>,
    /// A file with Nodes, as `kubectl get nodes -o yaml` writes it.
    pub from: Option<Spanned<String>>,
    /// In which order a scheduler that starts finds the nodes.
    pub node_order: Option<OrderFile>,
    /// How long the machinery takes: `ideal`, `measured`, or a table of overrides.
    pub latencies: Option<LatenciesFile>,
    /// How the scheduler is set.
    pub scheduler: Option<SchedulerFile>,
    /// How kube-controller-manager watches over nodes.
    pub node_monitor: Option<NodeMonitorFile>,
    /// How kube-controller-manager looks at HorizontalPodAutoscalers.
    pub horizontal_pod_autoscaler: Option<HorizontalFile>,
    /// Where the addresses of pods come from.
    pub addresses: Option<Spanned<AddressFile>>,
    /// What the cluster's DNS does: it answers for headless Services.
    pub dns: Option<DnsFile>,
    /// The load balancer in front of Services of the type LoadBalancer, as callers from outside
    /// meet it. Without it calls come in through any node that is ready, and where
    /// `externalTrafficPolicy` is Local through those with pods, which it knows at once.
    pub load_balancer: Option<Spanned<BalancerFile>>,
    /// The proxies that serve Ingresses, for calls `to: ingress/NAME`.
    pub ingress: Option<Spanned<IngressFile>>,
    /// The service mesh whose proxies pods have.
    pub mesh: Option<Spanned<MeshFile>>,
    /// The registries that images come from.
    #[serde(default)]
    pub registry: RegistryFile,
    /// Known regressions of the version; each is as the version has it unless it is switched.
    pub regressions: Option<RegressionsFile>,
}

/// The registries that images come from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RegistryFile {
    /// Images that cannot be pulled: ErrImagePull, then ImagePullBackOff.
    pub outages: Vec<OutageFile>,
}

/// Images that cannot be pulled for a while, or ever.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutageFile {
    /// An image as pods name it (a tag that is not there), or how it begins and `*`:
    /// `registry.example.com/*`.
    pub images: Spanned<String>,
    /// From when on, since the start of the run; from the start if absent.
    pub from: Option<Spanned<Span>>,
    /// Until when; for good if absent.
    pub until: Option<Spanned<Span>>,
}

/// Known regressions of the version.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RegressionsFile {
    /// Exec probes end as soon as a pod is told to end (1.35.0 to 1.36.3 at least): it stays ready
    /// while it drains, and sidecars are not restarted any more. `true` if absent; `false` is as
    /// 1.34 was.
    pub cancelled_exec_probes: Option<bool>,
    /// Containers are not ready after a restart of the kubelet (`fault: { kubeletRestart: … }`)
    /// until their probe has succeeded, as up to 1.34. `false` if absent: they stay as they were.
    pub unready_after_kubelet_restart: Option<bool>,
}

/// What the cluster's DNS does; what is left out is as kubeadm sets it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DnsFile {
    /// For how long an answer may be kept: `ttl`, else 30s.
    pub ttl: Option<Spanned<Span>>,
    /// For how long the server keeps an answer: `cache`, else 30s.
    pub cache: Option<Spanned<Span>>,
    /// For how long the server keeps the answer that there is no such name; 5s if absent.
    pub negative: Option<Spanned<Span>>,
}

/// A load balancer outside the cluster that knows nodes by its own health checks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BalancerFile {
    /// What it sends to, and checks: `nodes` if absent.
    pub targets: Option<TargetsFile>,
    /// From one check of a target to the next; 30s if absent.
    pub interval: Option<Spanned<Span>>,
    /// After so many failed checks in a row a target gets no new connections; 3 if absent.
    pub unhealthy: Option<Spanned<u32>>,
    /// After so many good checks in a row it gets them again; 3 if absent.
    pub healthy: Option<Spanned<u32>>,
    /// How long a target that has left still gets new connections; if absent a node not at all, a
    /// pod about 25 s, 65 s at p99.
    pub deregister: Option<Law>,
    /// `pods`: how long the registration of a pod takes; about 2 s, 10 s at p99, if absent.
    pub register: Option<Spanned<Law>>,
}

/// What a load balancer sends to.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetsFile {
    /// A port of each node, behind which a kube-proxy chooses.
    Nodes,
    /// The pods themselves; readiness gates `target-health.elbv2.k8s.aws/…` and
    /// `cloud.google.com/load-balancer-neg-ready` open as its checks say.
    Pods,
}

/// How kube-controller-manager watches over nodes; what is left out is its default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NodeMonitorFile {
    /// From one pass over all nodes to the next: `--node-monitor-period`, else 5s.
    pub period: Option<Spanned<Span>>,
    /// How long a node is believed without a sign: `--node-monitor-grace-period`, else 50s.
    pub grace: Option<Spanned<Span>>,
    /// The same for a node that has never given any: `--node-startup-grace-period`, else 60s.
    pub startup_grace: Option<Spanned<Span>>,
    /// How long a kubelet's Lease holds, renewed four times in that time:
    /// `nodeLeaseDurationSeconds`, else 40s.
    pub lease: Option<Spanned<Span>>,
    /// Lost nodes of a zone whose pods are evicted, a second: `--node-eviction-rate`, else 0.1.
    pub eviction_rate: Option<Spanned<f64>>,
    /// The same in a large zone of which many nodes are lost: `--secondary-node-eviction-rate`,
    /// else 0.01. In a smaller one it is 0.
    pub secondary_eviction_rate: Option<Spanned<f64>>,
    /// A zone of more nodes is large: `--large-cluster-size-threshold`, else 50.
    pub large_zone: Option<Spanned<u32>>,
}

/// A pool of equal machines, named `<pool>-0`, `<pool>-1` and so on.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct PoolFile {
    /// Its name.
    pub pool: Spanned<String>,
    /// How many machines.
    #[serde(default = "one")]
    pub count: Spanned<u32>,
    /// Zones, round robin: `topology.kubernetes.io/zone`.
    #[serde(default)]
    pub zones: Vec<String>,
    /// What pods can have of each.
    pub allocatable: Spanned<BTreeMap<String, Spanned<Amount>>>,
    /// What each costs.
    pub price: Option<PerHour>,
    /// More labels.
    #[serde(default)]
    pub labels: Spanned<BTreeMap<String, String>>,
    /// Annotations: `cluster-autoscaler.kubernetes.io/scale-down-disabled` and
    /// `karpenter.sh/do-not-disrupt` are read.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Taints.
    #[serde(default)]
    pub taints: Vec<Spanned<TaintFile>>,
    /// Images that are there from the start.
    #[serde(default)]
    pub images: Vec<String>,
    /// Manifests of pods that lie on each of the machines, relative to this file: their kubelets
    /// start them, whatever API and scheduler do.
    #[serde(default)]
    pub static_pods: Vec<Spanned<String>>,
    /// How kube-proxy is set there.
    pub proxy: Option<Spanned<ProxyFile>>,
    /// The disk of each; without it `ephemeral-storage` says how large it is, and without that
    /// there is enough.
    pub disk: Option<Spanned<DiskFile>>,
    /// How kubelets are set there.
    pub kubelet: Option<Spanned<KubeletFile>>,
}

/// How kube-proxy is set; what is left out is its default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProxyFile {
    /// How it writes its rules: `iptables` if absent.
    pub mode: Option<ProxyModeFile>,
    /// From the end of a run to the start of the next at least: `minSyncPeriod`; without it as
    /// `latencies.proxyPeriod`.
    pub min_sync_period: Option<Spanned<Span>>,
    /// From the end of a failed run to the next: `syncPeriod`, else 30s.
    pub sync_period: Option<Spanned<Span>>,
}

/// How a proxy writes its rules.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyModeFile {
    /// The default.
    Iptables,
    /// Its successor.
    Nftables,
}

fn one() -> Spanned<u32> {
    Spanned::nowhere(1)
}

/// A taint.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TaintFile {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: EffectFile,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum EffectFile {
    /// Pods are not placed here.
    NoSchedule,
    /// Pods are placed here last.
    PreferNoSchedule,
    /// Pods are not placed here, and those that run are evicted.
    NoExecute,
}

/// In which order a scheduler that starts finds the nodes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderFile {
    /// By name.
    ByName,
    /// Shuffled with the seed.
    Seeded,
    /// As written.
    Given,
}

/// How the scheduler is set.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerFile {
    /// A file with a KubeSchedulerConfiguration, relative to this file, in place of all the rest.
    pub config: Option<Spanned<String>>,
    /// How nodes are scored by resources.
    pub profile: Option<ProfileFile>,
    /// Part of the nodes that is looked for at most; 0: adaptive.
    pub percentage_of_nodes_to_score: Option<Spanned<u8>>,
    /// Weights of the score plugins by their names.
    #[serde(default)]
    pub weights: BTreeMap<String, Spanned<i64>>,
    /// First back-off of a pod that does not fit.
    pub backoff_initial: Option<Spanned<Span>>,
    /// Longest back-off.
    pub backoff_max: Option<Spanned<Span>>,
}

/// How nodes are scored by resources.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileFile {
    /// The default profile: emptier nodes first (LeastAllocated).
    Default,
    /// Fuller nodes first (MostAllocated).
    MostAllocated,
}

/// How long the machinery takes: a profile by name, or a table over one.
#[derive(Debug)]
pub enum LatenciesFile {
    /// A profile.
    Profile(ProfileName),
    /// A table over a profile.
    Table(Box<LatencyTable>),
}

/// The profiles of latencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// Nothing takes time.
    Ideal,
    /// As measured on real clusters, by the number of nodes.
    #[default]
    Measured,
    /// As measured up to about 30 nodes.
    MeasuredSmall,
    /// As measured at about 100 nodes.
    MeasuredMedium,
    /// As measured at about 5,000 nodes.
    MeasuredLarge,
}

/// Overrides of a profile's latencies.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LatencyTable {
    /// The profile that is overridden.
    pub base: ProfileName,
    /// Delivery of a change to one watcher.
    pub watch: Option<Law>,
    /// One mutating call to the API server.
    pub api_write: Option<Law>,
    /// One call of the eviction API.
    pub eviction: Option<Law>,
    /// From the start of a scheduling cycle to the binding.
    pub schedule: Option<Law>,
    /// What one cycle occupies the scheduler.
    pub schedule_cycle: Option<Span>,
    /// From binding to the kubelet's first sync.
    pub kubelet_sync: Option<Law>,
    /// Wait for local volumes.
    pub volumes: Option<Span>,
    /// A provisioner makes a volume for a claim.
    pub provision: Option<Law>,
    /// A cloud attaches a disk to a node, until it can be mounted there.
    pub attach: Option<Law>,
    /// A cloud detaches a disk from a node.
    pub detach: Option<Law>,
    /// How often the scheduler looks whether a pod's volumes are bound.
    pub volume_poll: Option<Span>,
    /// Sandbox and network of a pod.
    pub sandbox: Option<Law>,
    /// Create and start one container.
    pub container_start: Option<Law>,
    /// Fixed part of an image pull.
    pub pull: Option<Law>,
    /// Bytes a second of an image pull, in the median; given without pullSlow, of each.
    pub pull_rate: Option<Spanned<Size>>,
    /// Bytes a second that one pull in a hundred is slower than.
    pub pull_slow: Option<Spanned<Size>>,
    /// How often the kubelet looks for containers that ended.
    pub relist: Option<Span>,
    /// From the deletion to the kubelet's kill.
    pub kill: Option<Law>,
    /// Stop of the sandbox.
    pub sandbox_stop: Option<Law>,
    /// From there to the final delete.
    pub finalize: Option<Law>,
    /// Work of the EndpointSlice controller for one change.
    pub endpoints: Option<Law>,
    /// Least time between two runs of a node's proxy.
    pub proxy_period: Option<Span>,
    /// One run of a proxy.
    pub proxy_run: Option<Law>,
    /// One way between two pods; between two nodes of one zone, if the next two are given.
    pub hop: Option<Law>,
    /// One way between two pods on one node; without it as `hop`. Measured machines: about 30 µs.
    pub hop_same_node: Option<Law>,
    /// One way between two zones; without it as `hop`. Measured in one cloud: 0.5 ms.
    pub hop_between_zones: Option<Law>,
    /// One way between two containers of a pod (localhost).
    pub hop_in_pod: Option<Span>,
    /// Bytes a second between two machines, for calls whose `serve` says how large they are; such
    /// a call takes longer by its size over this. Absent: as fast as they come.
    pub network_rate: Option<Spanned<Size>>,
    /// From one sample of a node's pods to the next, at a phase of the node's own; zero: taken when
    /// metrics-server asks. Measured clusters: 10 s to 15 s.
    pub kubelet_sample: Option<Law>,
    /// The requests of one scrape are spread over so much a node, 4 s at most.
    pub scrape_spread: Option<Span>,
    /// How long metrics-server waits for a node that does not answer.
    pub scrape_timeout: Option<Span>,
    /// Part of the nodes that do not answer a scrape: their pods are missing then.
    pub scrape_loss: Option<Share>,
    /// How often the kubelet's first question to a new container whether it is ready comes too early
    /// to count, so that the next one is a period later; 5% if absent.
    pub probe_miss: Option<Share>,
    /// Period of the metrics pipeline (metrics-server's resolution).
    pub metrics_period: Option<Spanned<Span>>,
    /// A kubelet's status write.
    pub status_write: Option<Law>,
    /// From a kubelet's promise of other amounts until running containers have them.
    pub resize: Option<Law>,
    /// What is added to the 10 s between two renewals of a node's Lease.
    pub lease_jitter: Option<Law>,
}

/// Pods that come without a controller.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadFile {
    /// Its name: pods are called `<name>-0`, `<name>-1` and so on.
    pub name: Spanned<String>,
    /// Their namespace.
    pub namespace: Option<Spanned<String>>,
    /// When they come.
    pub arrivals: Spanned<ArrivalsFile>,
    /// How many in all.
    pub count: Option<u64>,
    /// What they ask for, and how often each kind comes.
    pub pods: Vec<Spanned<KindFile>>,
    /// How long each runs before it exits 0; for ever if absent.
    pub lifetime: Option<Law>,
}

/// When pods come: exactly one of the three.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ArrivalsFile {
    /// So many a second, independently (Poisson).
    pub rate: Option<PerSecond>,
    /// One after another with these gaps.
    pub every: Option<Law>,
    /// All at this instant; `count` says how many.
    pub at: Option<Span>,
}

/// One kind of pod of a workload.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct KindFile {
    /// How often it comes, compared with the others.
    pub weight: Option<Spanned<f64>>,
    /// What it asks for.
    #[serde(default)]
    pub requests: Spanned<BTreeMap<String, Spanned<Amount>>>,
    /// Its labels.
    #[serde(default)]
    pub labels: Spanned<BTreeMap<String, String>>,
    /// Labels that its node must have.
    #[serde(default)]
    pub node_selector: Spanned<BTreeMap<String, String>>,
    /// Its tolerations, as in a manifest.
    #[serde(default)]
    pub tolerations: Spanned<Vec<BTreeMap<String, String>>>,
    /// The name of its PriorityClass.
    pub priority_class: Option<Spanned<String>>,
    /// The profile of the scheduler that places it: `default-scheduler` if absent.
    pub scheduler_name: Option<Spanned<String>>,
}

/// Something that happens: a command or a fault.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TimelineFile {
    /// When; of a script when its first line runs (at the start if it is left out).
    pub at: Option<Span>,
    /// A command in kubectl's words.
    pub run: Option<Spanned<String>>,
    /// A file with such commands, a line each, and lines such as `sleep 30` between them.
    pub script: Option<Spanned<String>>,
    /// A fault.
    pub fault: Option<Spanned<FaultFile>>,
    /// Something that happens to the cloud.
    pub cloud: Option<Spanned<CloudActionFile>>,
}

/// A fault: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct FaultFile {
    /// Machines that lose power.
    pub crash: Option<Spanned<PlaceFile>>,
    /// Machines that report that they are not ready, and go on.
    pub not_ready: Option<Spanned<PlaceFile>>,
    /// Machines that shut down in order: for up to the kubelet's `shutdownGracePeriod` pods may
    /// end; without one the power is off at once.
    pub shutdown: Option<Spanned<PlaceFile>>,
    /// Machines whose kubelet is started anew, as an upgrade does; their pods run on.
    pub kubelet_restart: Option<Spanned<PlaceFile>>,
    /// Machines whose network plugin fails: new pods there get no sandbox until `recover`; the node
    /// stays Ready and the scheduler goes on to choose it.
    pub cni_down: Option<Spanned<PlaceFile>>,
    /// Machines whose pods lose their sandboxes (their pause containers are killed): kubelets stop
    /// all their containers, and start them in new ones.
    pub sandbox_loss: Option<Spanned<PlaceFile>>,
    /// metrics-server: `down` (autoscalers get no metrics of pods), or `up` again.
    pub metrics_server: Option<Spanned<String>>,
    /// Machines that are cut off, and go on.
    pub partition: Option<Spanned<PartitionFile>>,
    /// The end of all of these.
    pub recover: Option<Spanned<PlaceFile>>,
}

/// Machines that are cut off: exactly one of `node` and `zone`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PartitionFile {
    /// A node.
    pub node: Option<Spanned<String>>,
    /// All nodes of a zone.
    pub zone: Option<Spanned<String>>,
    /// From what: `control-plane` (kubelet and kube-proxy hear and say nothing), `nodes` (calls to
    /// and from other machines get no answer), `outside` (callers and load balancers outside the
    /// cluster do not reach them), `node/NAME` or `zone/NAME` (calls to and from those get no
    /// answer), `everything` if absent.
    pub from: Option<Spanned<String>>,
}

/// Where a fault strikes: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PlaceFile {
    /// A node.
    pub node: Option<Spanned<String>>,
    /// All nodes of a zone.
    pub zone: Option<Spanned<String>>,
}

/// Horizon, seed, replications.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default)]
pub struct RunFile {
    /// The horizon; without one the run ends when nothing more will happen.
    pub until: Option<Spanned<Span>>,
    /// Seed of the experiment.
    pub seed: Option<u64>,
    /// How many replications.
    pub replications: Option<Spanned<u32>>,
    /// Calls that start before this do not count.
    pub warmup: Option<Spanned<Span>>,
    /// Good calls that take longer than this count as slow; 1s if absent.
    pub slow: Option<Spanned<Span>>,
    /// The wall clock at zero, in RFC 3339.
    pub start: Option<Spanned<String>>,
    /// From one sample of the series to the next.
    pub sample: Option<Spanned<Span>>,
    /// Events of a run at most.
    pub events_max: Option<Spanned<u64>>,
}
