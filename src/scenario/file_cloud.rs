//! `cloud` of the scenario file as written: types of machines, node groups.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::file::{DiskFile, KubeletFile, ProxyFile, TaintFile};
use super::law::Law;
use super::units::{Amount, Cpu, PerHour, Share, Size, Span};

/// Where machines come from and go to during a run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CloudFile {
    /// A file with types of machines (`instanceTypes: [...]`), relative to this file, in place of
    /// the example catalogue.
    pub catalogue: Option<Spanned<String>>,
    /// Types of machines of your own; one of the same name takes the place of the catalogue's.
    pub instance_types: Vec<Spanned<InstanceTypeFile>>,
    /// Node groups: equal machines whose number changes during the run.
    pub node_groups: Vec<Spanned<NodeGroupFile>>,
    /// Zones in which machines can be had, of groups that name none.
    pub zones: Vec<String>,
    /// How long a machine takes: of groups that do not say it, and of machines without a group.
    pub boot: Option<Spanned<BootFile>>,
    /// Every machine is paid for at least this long; 60s if absent.
    pub minimum_billing: Option<Span>,
    /// After a launch that failed a group tries again so much later; 60s if absent.
    pub retry: Option<Spanned<Span>>,
    /// From the notice of an interruption to the end of a spot machine; 2m if absent.
    pub notice: Option<Span>,
    /// Karpenter, which buys machines for pods that wait and consolidates nodes.
    pub karpenter: Option<Spanned<super::file_karpenter::KarpenterFile>>,
    /// Cluster Autoscaler, which changes the sizes of node groups.
    pub cluster_autoscaler: Option<Spanned<super::file_cluster_autoscaler::ClusterAutoscalerFile>>,
}

/// A file with types of machines.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CatalogueFile {
    /// The types.
    pub(super) instance_types: Vec<Spanned<InstanceTypeFile>>,
}

/// A type of machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceTypeFile {
    /// Its name: label `node.kubernetes.io/instance-type`.
    pub name: Spanned<String>,
    /// Its cores.
    pub cpu: Spanned<Cpu>,
    /// Its memory.
    pub memory: Spanned<Size>,
    /// How many pods it takes; 110 if absent.
    pub pods: Option<u32>,
    /// Its processor: label `kubernetes.io/arch`; amd64 if absent.
    pub arch: Option<String>,
    /// Extended resources and ephemeral storage.
    #[serde(default)]
    pub resources: Spanned<BTreeMap<String, Spanned<Amount>>>,
    /// What is kept for the system of cpu and memory: allocatable is the rest. Without it by the
    /// public formulas: CPU by cores, memory by pods.
    pub reserved: Option<Spanned<ReservedFile>>,
    /// An hour on demand.
    pub price: Option<PerHour>,
    /// An hour as a spot machine.
    pub spot_price: Option<PerHour>,
    /// More labels of its nodes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a machine keeps for the system.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ReservedFile {
    /// Cores.
    pub cpu: Cpu,
    /// Memory, what is kept so that no pod is evicted among it.
    pub memory: Size,
}

/// A node group: its nodes are called `<name>-0`, `<name>-1` and so on.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeGroupFile {
    /// Its name.
    pub name: Spanned<String>,
    /// Types of its machines in order of preference: what an autoscaler expects is the first.
    pub instance_types: Vec<Spanned<String>>,
    /// An autoscaler goes no lower; 0 if absent.
    #[serde(default)]
    pub min: Option<Spanned<u32>>,
    /// An autoscaler goes no higher.
    pub max: Spanned<u32>,
    /// Machines at the start; `min` if absent.
    pub size: Option<Spanned<u32>>,
    /// Zones: its machines are spread over them.
    #[serde(default)]
    pub zones: Vec<String>,
    /// How its machines are paid for; on-demand if absent.
    #[serde(default)]
    pub capacity: CapacityFile,
    /// More labels.
    #[serde(default)]
    pub labels: Spanned<BTreeMap<String, String>>,
    /// Taints.
    #[serde(default)]
    pub taints: Vec<Spanned<TaintFile>>,
    /// Images that are in its machines from the start.
    #[serde(default)]
    pub images: Vec<String>,
    /// How kube-proxy is set there.
    pub proxy: Option<Spanned<ProxyFile>>,
    /// The disk of each; without it `ephemeral-storage` says how large it is, and without that
    /// there is enough.
    pub disk: Option<Spanned<DiskFile>>,
    /// How kubelets are set there.
    pub kubelet: Option<Spanned<KubeletFile>>,
    /// How long its machines take: a profile, or a table over one.
    pub boot: Option<Spanned<BootFile>>,
    /// What goes wrong with launches.
    #[serde(default)]
    pub failures: Spanned<FailuresFile>,
    /// How long a spot machine lives until the notice of its interruption, as in
    /// `{ exponential: 10h }`; without it none is interrupted but by the timeline.
    pub interrupted_after: Option<Spanned<Law>>,
    /// What happens on a node at that notice.
    #[serde(default)]
    pub on_notice: OnNoticeFile,
    /// After this long a machine that is down is replaced; never if absent.
    pub replace_after: Option<Span>,
}

/// How machines are paid for.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityFile {
    /// At the list's price.
    #[default]
    OnDemand,
    /// At the spot price, until the cloud wants them back.
    Spot,
}

/// What happens at the notice of an interruption.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnNoticeFile {
    /// The node is cordoned and drained, as by a termination handler.
    #[default]
    Drain,
    /// Nothing: pods die with the machine.
    Nothing,
}

/// What goes wrong with launches.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FailuresFile {
    /// The cloud has none left: this part of the launches.
    pub out_of_resources: Option<Share>,
    /// Another error of the cloud.
    pub other: Option<Share>,
    /// The machine runs and is paid for, and its node never appears.
    pub never_registers: Option<Share>,
}

/// How long a machine takes: a profile by name, or a table over one.
#[derive(Debug)]
pub enum BootFile {
    /// A profile.
    Profile(BootProfile),
    /// A table over one.
    Table(Box<BootTable>),
}

/// The profiles (rule A241): from the request to the node that is Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootProfile {
    /// Nothing takes time.
    Ideal,
    /// EKS, launched by Karpenter: median 50 s, p95 95 s.
    EksKarpenter,
    /// EKS with auto scaling groups: 110 s and 240 s.
    EksAsg,
    /// GKE: 90 s and 210 s.
    Gke,
    /// AKS with scale sets: 210 s and 420 s.
    AksVmss,
    /// AKS with node auto-provisioning: 80 s and 160 s.
    AksNap,
    /// Machines with a GPU, anywhere: 8 min and 14 min.
    Gpu,
}

/// Overrides of a profile.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BootTable {
    /// The profile that is overridden.
    pub profile: Option<BootProfile>,
    /// From the request until the machine runs and is paid for.
    pub create: Option<Law>,
    /// From there until its Node is registered.
    pub register: Option<Law>,
    /// From there until the Node is Ready.
    pub ready: Option<Law>,
    /// From the deletion until the machine is off.
    pub delete: Option<Law>,
}

/// What happens to the cloud: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudActionFile {
    /// A node group gets another target size.
    pub resize: Option<Spanned<ResizeFile>>,
    /// Spot machines get the notice of their interruption.
    pub interrupt: Option<Spanned<InterruptFile>>,
    /// There are no machines to be had any more: of a group, in a zone, or both.
    pub scarce: Option<Spanned<ScarceFile>>,
    /// There are some again.
    pub plenty: Option<Spanned<ScarceFile>>,
    /// A NodePool of Karpenter is declared anew, as when a changed manifest of it is applied: its
    /// machines that are not what it asks for any more drift.
    pub node_pool: Option<Spanned<super::file_karpenter::NodePoolFile>>,
}

/// A new target size.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ResizeFile {
    /// Which group.
    pub group: Spanned<String>,
    /// How many machines it is to have.
    pub to: Spanned<u32>,
}

/// Which spot machines are interrupted.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct InterruptFile {
    /// Of this group; else of all.
    pub group: Option<Spanned<String>>,
    /// In this zone; else in all.
    pub zone: Option<Spanned<String>>,
    /// So many, the oldest; else all.
    pub count: Option<u32>,
}

/// Where there are no machines.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ScarceFile {
    /// Of this group; else of all.
    pub group: Option<Spanned<String>>,
    /// In this zone; else in all.
    pub zone: Option<Spanned<String>>,
}
