//! What Karpenter sees of the cluster: nodes with their claims, pods, budgets of disruption.

use std::sync::Arc;

use crate::base::{Interner, SimTime, Symbol};
use crate::model::{Labels, Resources, Selector, Taint};
use crate::placement::PodInfo;

use super::types::{InstanceType, NodePool};

/// All that a decision reads.
#[derive(Clone, Debug)]
pub struct View {
    /// Now.
    pub now: SimTime,
    /// Now by the calendar: seconds since 1970, UTC.
    pub unix: i64,
    /// What can be bought.
    pub types: Vec<InstanceType>,
    /// The pools.
    pub pools: Vec<NodePool>,
    /// Nodes and claims, those that are being deleted too.
    pub nodes: Vec<NodeView>,
    /// All pods that are not finished.
    pub pods: Vec<PodView>,
    /// A pod of each DaemonSet.
    pub daemons: Vec<Arc<PodInfo>>,
    /// PodDisruptionBudgets.
    pub budgets: Vec<BudgetView>,
    /// Namespaces with their labels; those of pods need not stand here.
    pub namespaces: Vec<(Symbol, Labels)>,
}

/// How the scheduling is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Settings {
    /// `preference-policy=Ignore`: preferences of pods are dropped at once (rule A191).
    pub ignores_preferences: bool,
    /// `min-values-policy=BestEffort`: `minValues` are lowered to what there is (rule A195).
    pub relaxes_min_values: bool,
    /// Feature gate `SpotToSpotConsolidation` (rule A213).
    pub spot_to_spot: bool,
}

/// A node, or a claim whose node is still to come.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its name; of a claim without a node the claim's.
    pub name: Symbol,
    /// Labels.
    pub labels: Labels,
    /// Taints.
    pub taints: Vec<Taint>,
    /// What pods can have; `pods` among the scalars.
    pub allocatable: Resources,
    /// All it has.
    pub capacity: Resources,
    /// Whether the Node object exists.
    pub is_registered: bool,
    /// Ready, with its startup taints gone (rule A198).
    pub is_initialized: bool,
    /// Whether the node's condition Ready is true.
    pub is_ready: bool,
    /// Whether it is marked for deletion or being deleted.
    pub is_deleting: bool,
    /// Annotation `karpenter.sh/do-not-disrupt: "true"`.
    pub is_kept: bool,
    /// Nominated for pods until then (rule A199).
    pub nominated_until: Option<SimTime>,
    /// The NodeClaim behind it, if Karpenter made it.
    pub claim: Option<ClaimView>,
}

/// What disruption reads of a NodeClaim.
#[derive(Clone, Copy, Debug)]
pub struct ClaimView {
    /// Condition Consolidatable (rule A202).
    pub is_consolidatable: bool,
    /// When the last pod came or went, or when it was initialized (rule A202).
    pub last_pod_event: Option<SimTime>,
    /// Since when condition Drifted is true (rule A217).
    pub drifted: Option<SimTime>,
    /// `terminationGracePeriod` is set.
    pub has_grace_period: bool,
    /// When it was created.
    pub created: SimTime,
    /// `expireAfter` ends then.
    pub expires: Option<SimTime>,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct PodView {
    /// Stands for the UID, the last word on the order of pods.
    pub uid: u64,
    /// When it was created.
    pub created: SimTime,
    /// What it is like.
    pub info: Arc<PodInfo>,
    /// Its node: a place in the list of nodes.
    pub node: Option<usize>,
    /// Whether the scheduler found no place for it (rule A185).
    pub is_pending: bool,
    /// Whether its deletion has begun.
    pub is_terminating: bool,
    /// Whether a DaemonSet owns it.
    pub is_daemon: bool,
    /// Whether a node owns it (static pods).
    pub is_static: bool,
    /// Whether a StatefulSet owns it.
    pub is_stateful: bool,
    /// `karpenter.sh/do-not-disrupt` holds now (rule A201).
    pub is_kept: bool,
    /// Whether its condition Ready is false.
    pub is_unready: bool,
    /// `controller.kubernetes.io/pod-deletion-cost`.
    pub deletion_cost: Option<f64>,
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug)]
pub struct BudgetView {
    /// Namespace.
    pub namespace: Symbol,
    /// Which pods; `None` selects none.
    pub selector: Option<Selector>,
    /// `status.disruptionsAllowed`.
    pub allowed: i64,
    /// Whether it never lets a pod go: `maxUnavailable` 0 or 0 %, `minAvailable` 100 %.
    pub is_blocking: bool,
    /// `unhealthyPodEvictionPolicy: AlwaysAllow`.
    pub frees_unready: bool,
}

impl BudgetView {
    /// Whether it is about the pod.
    pub(super) fn selects(&self, pod: &PodView, names: &Interner) -> bool {
        self.namespace == pod.info.namespace
            && self.selector.as_ref().is_some_and(|s| s.matches(&pod.info.labels, names))
    }
}
