//! Karpenter as it is declared: its pools, how it is set, and what its cloud sells.

use std::sync::Arc;

use crate::base::cron::Schedule;
use crate::base::{Duration, Interner, Symbol};

use super::cloud::Offer;
use super::labels::{Labels, Requirement};
use super::node::Taint;
use super::scheduling::Resource;

/// Labels, values and taints that Karpenter reads: its model knows them all.
pub const KARPENTER_WORDS: [&str; 27] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "karpenter.sh/capacity-type",
    "karpenter.sh/nodepool",
    "karpenter.sh/disrupted",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "reserved",
    "spot",
    "on-demand",
    "",
    "pods",
    "nodes",
    "cpu",
    "memory",
    "ephemeral-storage",
];

/// How many machines one scheduling run can ask for.
const CLAIMS_MAX: u32 = 2_000;

/// Karpenter.
#[derive(Clone, Debug, PartialEq)]
pub struct KarpenterSpec {
    /// Its pools, in order of names.
    pub pools: Vec<PoolSpec>,
    /// What the cloud sells: each type in each zone in each way, without a pool's labels.
    pub offers: Vec<Arc<Offer>>,
    /// Stand-ins for the host names of machines that are to come.
    pub hosts: Vec<Symbol>,
    /// `preference-policy: Ignore`.
    pub ignores_preferences: bool,
    /// `min-values-policy: BestEffort`.
    pub relaxes_min_values: bool,
    /// Feature gate `SpotToSpotConsolidation`.
    pub spot_to_spot: bool,
}

impl KarpenterSpec {
    /// One of these pools and offers, set as it is by default; all words that it reads get a
    /// symbol.
    #[must_use]
    pub fn new(pools: Vec<PoolSpec>, offers: Vec<Arc<Offer>>, names: &mut Interner) -> Self {
        for word in KARPENTER_WORDS {
            names.intern(word);
        }
        let host = |n| names.intern(&format!("hostname-placeholder-{n:04}"));
        let hosts = (1..=CLAIMS_MAX).map(host).collect();
        let (ignores_preferences, relaxes_min_values, spot_to_spot) = (false, false, false);
        Self { pools, offers, hosts, ignores_preferences, relaxes_min_values, spot_to_spot }
    }
}

/// A NodePool as it is declared.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec {
    /// Its name.
    pub name: Symbol,
    /// Of two pools that suit, the heavier is taken (rule A189).
    pub weight: i32,
    /// `spec.template.spec.requirements`, each with its `minValues`.
    pub requirements: Vec<(Requirement, Option<usize>)>,
    /// Labels of its nodes.
    pub labels: Labels,
    /// Taints of its nodes.
    pub taints: Vec<Taint>,
    /// `spec.limits`: only what is named is limited. CPU in thousandths, memory in bytes.
    pub limits: Vec<(Resource, i64)>,
    /// `consolidationPolicy`.
    pub policy: ConsolidationPolicy,
    /// `consolidateAfter`; `None`: never.
    pub consolidate_after: Option<Duration>,
    /// Budgets.
    pub budgets: Vec<DisruptionQuota>,
    /// `expireAfter`; `None`: never (rule A218).
    pub expire_after: Option<Duration>,
    /// `terminationGracePeriod`: a node that is to go is gone after that, whatever is on it;
    /// `None`: it waits for its pods (rule A220).
    pub termination_grace: Option<Duration>,
}

/// When nodes of a pool may be consolidated (rule A203).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsolidationPolicy {
    /// Only nodes without movable pods.
    WhenEmpty,
    /// Nodes whose removal or replacement saves money.
    #[default]
    WhenEmptyOrUnderutilized,
    /// Likewise, when the saving is worth the disturbance (rule A214).
    Balanced,
}

/// How many nodes of a pool may be disturbed at a time (rule A216).
#[derive(Clone, Debug, PartialEq)]
pub struct DisruptionQuota {
    /// A number or a percentage of the nodes.
    pub nodes: QuotaNodes,
    /// Why; empty: for any reason.
    pub reasons: Vec<DisruptionReason>,
    /// Only within windows that open by this schedule (cron, UTC) and last so long.
    pub window: Option<(Schedule, Duration)>,
}

/// The size of a [`DisruptionQuota`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaNodes {
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded up.
    Percent(u32),
}

/// Why a node is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DisruptionReason {
    /// It has no movable pod.
    Empty,
    /// It is not what its pool now asks for.
    Drifted,
    /// Its pods fit elsewhere or on something cheaper.
    Underutilized,
}
