//! What became of `kubectl drain`.

#![deny(clippy::wildcard_enum_match_arm)]

use crate::base::SimTime;

/// A `kubectl drain`, told when it ends or the run does.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainRecord {
    /// The command as written.
    pub text: String,
    /// When it began.
    pub started: SimTime,
    /// When kubectl returned; `None`: it was still at it when the run ended.
    pub ended: Option<SimTime>,
    /// Its nodes, in the order in which they have their turns.
    pub nodes: Vec<DrainedNode>,
}

/// What became of one node of a drain.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainedNode {
    /// Its name.
    pub name: String,
    /// When it had its turn.
    pub started: Option<SimTime>,
    /// When that was over.
    pub ended: Option<SimTime>,
    /// How it ended.
    pub outcome: DrainOutcome,
    /// Pods that went.
    pub gone: u32,
    /// Pods that did not.
    pub left: u32,
    /// Who refused evictions, in order of the first refusals.
    pub blocks: Vec<DrainBlock>,
}

impl DrainedNode {
    /// A node that waits for its turn.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self {
            name,
            started: None,
            ended: None,
            outcome: DrainOutcome::Waits,
            gone: 0,
            left: 0,
            blocks: Vec::new(),
        }
    }
}

/// How a node's turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainOutcome {
    /// It has not had its turn.
    Waits,
    /// Its pods are on their way.
    UnderWay,
    /// Its pods are gone.
    Drained,
    /// Not all of them; with kubectl's words.
    Failed(String),
}

/// A PodDisruptionBudget that refused evictions of a node's pods.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainBlock {
    /// Which budget, with `NAMESPACE/` unless that is `default`; `None`: a pod has several, and then no eviction is possible (rule C152).
    pub budget: Option<String>,
    /// What it asks for: `maxUnavailable 1`.
    pub rule: String,
    /// The first refusal.
    pub since: SimTime,
    /// The last one.
    pub last: SimTime,
    /// How often it refused.
    pub refusals: u32,
    /// How many pods it refused.
    pub pods: u32,
    /// How many of them it let go later.
    pub let_through: u32,
    /// Why, at the last refusal.
    pub why: BlockedBy,
}

/// Why a budget refuses an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockedBy {
    /// It wants as many healthy pods as there shall be: it never allows one.
    Never {
        /// Healthy pods that it wants.
        desired: i64,
        /// Pods that there shall be.
        pods: i64,
    },
    /// Some of its pods are not healthy.
    Unready {
        /// Healthy pods.
        healthy: i64,
        /// Healthy pods that it wants.
        desired: i64,
        /// Pods without a node.
        waiting: u32,
        /// Pods on a node that are not ready.
        unready: u32,
    },
    /// Others of its pods are going.
    Busy {
        /// Healthy pods.
        healthy: i64,
        /// Healthy pods that it wants.
        desired: i64,
    },
    /// Its controller cannot count its pods (rule C148); with what that says.
    NotCounted(String),
    /// Its controller has not seen its latest version.
    NotObserved,
    /// The pod has several budgets.
    SeveralBudgets,
}
