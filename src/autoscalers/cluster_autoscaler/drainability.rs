//! Whether the pods of a node may be moved: the first rule that decides wins.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 simulator/drainability/rules (rules A171
//! to A177).

use crate::base::{Duration, Interner, SimTime};

use super::Options;
use super::view::{BudgetView, Controller, ControllerKind, PodView, SafeToEvict};

/// How long a pod may take beyond its grace period before it is not waited for.
pub(super) const LONG_TERMINATING: Duration = Duration::secs(30);

/// What is to be done about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It does not count.
    Skip,
    /// It is moved.
    Move,
    /// It ends by itself, and the node stays until then (rule A177).
    Wait,
    /// The node cannot go; why.
    Block(&'static str),
}

/// What the rules read beside the pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) options: &'a Options,
    pub(super) now: SimTime,
    pub(super) names: &'a Interner,
    /// Budgets with what is left of them; `None` where nobody looks (rule A161).
    pub(super) budgets: Option<&'a [BudgetView]>,
}

impl Rules<'_> {
    /// The verdict on a pod.
    pub(super) fn judge(&self, pod: &PodView) -> Outcome {
        use Outcome::{Block, Move, Skip, Wait};
        let traits = &pod.traits;
        if traits.is_mirror || self.is_overdue(pod) {
            return Skip;
        }
        if let Some(why) = self.controller(pod) {
            return Block(why);
        }
        let is_free = pod.is_daemon() || traits.is_finished;
        if is_free || traits.safe_to_evict == SafeToEvict::Yes {
            return Move;
        }
        if traits.safe_to_evict == SafeToEvict::OnCompletion {
            return Wait;
        }
        if !self.is_replicated(pod.controller) {
            return Block("NotReplicated");
        }
        if self.options.skips_system && traits.is_system && !self.is_budgeted(pod) {
            let is_old = pod.created + self.options.system_blocks < self.now;
            return if is_old { Move } else { Block("UnmovableKubeSystemPod") };
        }
        if traits.safe_to_evict == SafeToEvict::No {
            return Block("NotSafeToEvictAnnotation");
        }
        if self.options.skips_local_storage && traits.has_local_storage {
            return Block("LocalStorageRequested");
        }
        let mut of_pod = self.budgets.into_iter().flatten().filter(|b| self.covers(b, pod));
        if of_pod.any(|budget| budget.allowed < 1) {
            return Block("NotEnoughPdb");
        }
        Move
    }

    /// Whether it should have ended by now.
    pub(super) fn is_overdue(&self, pod: &PodView) -> bool {
        let until = |since: SimTime| since + pod.traits.grace + LONG_TERMINATING;
        pod.traits.deletion.is_some_and(|since| until(since) < self.now)
    }

    /// Rule A172.
    fn controller(&self, pod: &PodView) -> Option<&'static str> {
        use ControllerKind::{Other, ReplicaSet, ReplicationController};
        let owner = pod.controller.filter(|owner| owner.kind != Other)?;
        if self.budgets.is_none() || !self.options.skips_custom {
            return None;
        }
        if !owner.exists {
            return Some("ControllerNotFound");
        }
        let counts = matches!(owner.kind, ReplicaSet | ReplicationController);
        let is_below = owner.replicas.is_some_and(|n| n < self.options.replicas_min);
        (counts && is_below).then_some("MinReplicasReached")
    }

    /// Rule A173.
    fn is_replicated(&self, owner: Option<Controller>) -> bool {
        let counts =
            |owner: Controller| !self.options.skips_custom || owner.kind != ControllerKind::Other;
        owner.is_some_and(counts)
    }

    fn is_budgeted(&self, pod: &PodView) -> bool {
        self.budgets.into_iter().flatten().any(|budget| self.covers(budget, pod))
    }

    /// Whether a budget covers a pod.
    pub(super) fn covers(&self, budget: &BudgetView, pod: &PodView) -> bool {
        let selects = |s: &crate::model::Selector| s.matches(&pod.info.labels, self.names);
        budget.namespace == pod.info.namespace && budget.selector.as_ref().is_some_and(selects)
    }
}
