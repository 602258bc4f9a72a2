//! A node as it is declared.

use std::sync::Arc;

use crate::base::{Bytes, Duration, Money, Symbol};

use super::kubelet::KubeletSpec;
use super::labels::Labels;
use super::resources::Resources;

/// A node as it is declared: immutable but for what the run changes in its own table.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// Its name.
    pub name: Symbol,
    /// The pool that it came from; the empty symbol for one from a manifest.
    pub pool: Symbol,
    /// Labels, the host name and zone among them.
    pub labels: Labels,
    /// Taints in the order written.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// What pods can have of it.
    pub allocatable: Resources,
    /// How many pods it takes.
    pub pods_max: u32,
    /// What an hour of it costs, in USD.
    pub price_per_hour: Money,
    /// Images that are there from the start (warm cache), with their sizes.
    pub images: Arc<[(Symbol, Bytes)]>,
    /// Zone, if labelled: `topology.kubernetes.io/zone`.
    pub zone: Option<Symbol>,
    /// How its kube-proxy is set.
    pub proxy: ProxySpec,
    /// How its kubelet is set.
    pub kubelet: KubeletSpec,
    /// Which autoscalers its annotations keep away.
    pub keeps: NodeKeeps,
}

/// Which autoscalers do not remove a node, by its annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeKeeps {
    /// `cluster-autoscaler.kubernetes.io/scale-down-disabled: "true"` (rule A162).
    pub from_cluster_autoscaler: bool,
    /// `karpenter.sh/do-not-disrupt: "true"` (rule A201).
    pub from_karpenter: bool,
}

/// How the kube-proxy of a node is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxySpec {
    /// How it writes its rules.
    pub mode: ProxyMode,
    /// From the end of a run to the start of the next at least (`minSyncPeriod`); `None`: as the
    /// cluster's latencies say.
    pub min_sync: Option<Duration>,
    /// From the end of a failed run to the next (`syncPeriod`).
    pub sync: Duration,
}

impl ProxySpec {
    /// The defaults (rules N150, N155).
    pub const DEFAULT: Self =
        Self { mode: ProxyMode::Iptables, min_sync: None, sync: Duration::secs(30) };
}

/// How a proxy writes its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// The default.
    Iptables,
    /// Its successor.
    Nftables,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaintEffect {
    /// They are not placed here.
    NoSchedule,
    /// They are placed here last.
    PreferNoSchedule,
    /// They are not placed here, and those that run are evicted.
    NoExecute,
}

/// A taint of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Its key.
    pub key: Symbol,
    /// Its value; the empty symbol if it has none.
    pub value: Symbol,
    /// Its effect.
    pub effect: TaintEffect,
}

/// How a toleration compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TolerationOperator {
    /// The values are equal.
    Equal,
    /// The key is there.
    Exists,
    /// Less than, a number (alpha in 1.36 and off: tolerates nothing).
    Lt,
    /// Greater than, a number (alpha in 1.36 and off: tolerates nothing).
    Gt,
}

/// A toleration of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// The key; `None` (with `Exists`) tolerates every key.
    pub key: Option<Symbol>,
    /// How it compares.
    pub operator: TolerationOperator,
    /// The value; the empty symbol if it has none.
    pub value: Symbol,
    /// The effect; `None` tolerates every effect.
    pub effect: Option<TaintEffect>,
    /// How long a NoExecute taint is tolerated; `None` for ever.
    pub seconds: Option<Duration>,
}

impl Toleration {
    /// Whether it tolerates the taint.
    ///
    /// Source: kubernetes v1.36.3 api/core/v1/toleration.go `ToleratesTaint` (rule S93).
    #[must_use]
    pub fn tolerates(&self, taint: &Taint) -> bool {
        if self.effect.is_some_and(|effect| effect != taint.effect) {
            return false;
        }
        if self.key.is_some_and(|key| key != taint.key) {
            return false;
        }
        match self.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => self.value == taint.value,
            TolerationOperator::Lt | TolerationOperator::Gt => false,
        }
    }
}
