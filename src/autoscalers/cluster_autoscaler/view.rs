//! What one iteration sees of the cluster: lists, in the order that decides.
//!
//! The real program walks over maps and caches, so its orders are left to chance; whoever makes a
//! view chooses them (names in natural order, digit runs as numbers, in the recordings).

use std::cmp::Ordering;
use std::sync::Arc;

use crate::base::{Duration, SimTime, Symbol};
use crate::model::{NodeId, NodeSpec, PodRef, Profile, Resources, Selector};
use crate::placement::{Catalog, PodInfo};
use crate::record::PodName;

/// The cluster as an iteration sees it.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// When the iteration runs.
    pub now: SimTime,
    /// The plugins of the simulated scheduler.
    pub profile: &'a Profile,
    /// Namespaces and what else filters read beside nodes and pods.
    pub catalog: &'a Catalog,
    /// All nodes that the API has.
    pub nodes: Vec<NodeView>,
    /// All pods that have not ended.
    pub pods: Vec<PodView>,
    /// All budgets.
    pub budgets: Vec<BudgetView>,
    /// All DaemonSets.
    pub daemon_sets: Vec<DaemonSetView>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Which.
    pub node: NodeId,
    /// As declared: taints and cordon as they are now.
    pub spec: NodeSpec,
    /// `status.capacity`.
    pub capacity: Resources,
    /// The number of its node group.
    pub group: Option<usize>,
    /// Ready, and without a taint that says otherwise.
    pub is_ready: bool,
    /// When that changed last.
    pub ready_changed: SimTime,
    /// When the object was made.
    pub created: SimTime,
    /// Annotation `scale-down-disabled: "true"`.
    pub is_kept: bool,
    /// The value of the taint `ToBeDeletedByClusterAutoscaler`, if it has it.
    pub deleting_since: Option<SimTime>,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct PodView {
    /// Which.
    pub pod: PodRef,
    /// Its name.
    pub name: PodName,
    /// What the filters read.
    pub info: Arc<PodInfo>,
    /// The same number for pods whose specifications are the same as written.
    pub shape: u64,
    /// The node that it is bound to.
    pub node: Option<NodeId>,
    /// The node that it is nominated to.
    pub nominated: Option<NodeId>,
    /// Condition PodScheduled is False with reason Unschedulable.
    pub is_unschedulable: bool,
    /// When the object was made.
    pub created: SimTime,
    /// Its controlling owner.
    pub controller: Option<Controller>,
    /// What decides whether it may be moved.
    pub traits: PodTraits,
}

impl PodView {
    /// Whether a DaemonSet owns it.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.controller.is_some_and(|owner| owner.kind == ControllerKind::DaemonSet)
    }
}

/// The controlling owner of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its kind.
    pub kind: ControllerKind,
    /// A number that is its own.
    pub uid: u64,
    /// Whether the object is there.
    pub exists: bool,
    /// `spec.replicas`, of kinds that have it.
    pub replicas: Option<i64>,
}

/// Kinds of controllers that the autoscaler tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControllerKind {
    /// A ReplicationController.
    ReplicationController,
    /// A ReplicaSet.
    ReplicaSet,
    /// A StatefulSet.
    StatefulSet,
    /// A Job.
    Job,
    /// A DaemonSet.
    DaemonSet,
    /// Any other.
    Other,
}

/// Annotation `cluster-autoscaler.kubernetes.io/safe-to-evict`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SafeToEvict {
    /// Absent, or another value.
    #[default]
    Unsaid,
    /// `true`.
    Yes,
    /// `false`.
    No,
    /// `on-completion`.
    OnCompletion,
}

/// What decides whether a pod may be moved.
#[derive(Clone, Debug, Default)]
pub struct PodTraits {
    /// Whether a kubelet made it (annotation `kubernetes.io/config.mirror`).
    pub is_mirror: bool,
    /// Whether its manifest is a node's own file.
    pub is_static: bool,
    /// `metadata.deletionTimestamp`.
    pub deletion: Option<SimTime>,
    /// `spec.terminationGracePeriodSeconds`.
    pub grace: Duration,
    /// What its annotation says.
    pub safe_to_evict: SafeToEvict,
    /// Whether it has local storage that its annotation does not let go.
    pub has_local_storage: bool,
    /// Annotation `pod-scale-up-delay`.
    pub scale_up_delay: Option<Duration>,
    /// Whether it is in namespace `kube-system`.
    pub is_system: bool,
    /// Whether it has ended.
    pub is_finished: bool,
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetView {
    /// Namespace.
    pub namespace: Symbol,
    /// Which pods.
    pub selector: Option<Selector>,
    /// `status.disruptionsAllowed`.
    pub allowed: i64,
}

/// A DaemonSet.
#[derive(Clone, Debug)]
pub struct DaemonSetView {
    /// The number that its pods name as their owner's.
    pub uid: u64,
    /// What its pods are like.
    pub info: Arc<PodInfo>,
    /// Priority class `system-node-critical`, and it may preempt.
    pub is_critical: bool,
}

/// Compares names with runs of digits as numbers.
#[must_use]
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let ([x, ..], [y, ..]) = (a, b) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (first, rest_a) = digits(a);
            let (second, rest_b) = digits(b);
            match first.len().cmp(&second.len()).then_with(|| first.cmp(second)) {
                Ordering::Equal => (a, b) = (rest_a, rest_b),
                other => return other,
            }
        } else if x == y {
            (a, b) = (&a[1..], &b[1..]);
        } else {
            return x.cmp(y);
        }
    }
    a.len().cmp(&b.len())
}

/// A run of digits without its leading zeros, and what follows it.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    let zeros = run.iter().position(|c| *c != b'0').unwrap_or(run.len());
    (&run[zeros..], rest)
}
