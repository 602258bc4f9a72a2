//! The plain evaluation: one attempt, rule by rule, without any cache.
//!
//! It is the oracle of the property test: what `columns` decides must be this, bit for bit. It
//! keeps all that an attempt computed, for tests, recordings and explanations.

use crate::base::{Interner, cast};
use crate::model::{NodeId, PodSpec, SchedulerSettings};

use super::failure::{FitError, TERMS_CONFLICT};
use super::nodes::{NodeState, Nodes};
use super::plugins::{self, balanced_allocation, node_affinity, resources_fit, taint_toleration};
use super::select::{feasible_max, heap_root, next_start, normalized, normalized_reverse};
use super::verdict::{Plugin, Reason, Rejection};

/// All of one attempt to place a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    /// The nodes that were looked at in place of all, if the pod names them (rule S18).
    pub narrowed: Option<Vec<NodeId>>,
    /// The nodes that let it on, in the order found.
    pub feasible: Vec<NodeId>,
    /// Those that did not.
    pub failed: Vec<(NodeId, Rejection)>,
    /// Why no node was looked at.
    pub pre_filter: Option<&'static str>,
    /// Scores, if there was a choice.
    pub scores: Option<Scores>,
    /// The node that takes it.
    pub chosen: Option<NodeId>,
    /// Where the next search starts.
    pub next_start: usize,
}

/// The scores of the feasible nodes, a list a plugin in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// TaintToleration, before normalisation.
    pub taint_raw: Vec<i64>,
    /// TaintToleration.
    pub taint: Vec<i64>,
    /// NodeAffinity, before normalisation.
    pub affinity_raw: Vec<i64>,
    /// NodeAffinity; 0 if skipped (rule S100).
    pub affinity: Vec<i64>,
    /// NodeResourcesFit.
    pub fit: Vec<i64>,
    /// NodeResourcesBalancedAllocation; 0 if skipped (rule S90).
    pub balanced: Vec<i64>,
    /// The weighted sums.
    pub totals: Vec<i64>,
}

/// One attempt with the search starting at `start`.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/schedule_one.go `schedulePod`,
/// `findNodesThatFitPod` (rules S15 to S50; recorded). Differs: one worker (rule S26); a search
/// narrowed to several nodes walks them in the order of all nodes (rule S18 leaves it to chance).
#[must_use]
pub fn attempt(
    pod: &PodSpec,
    nodes: &Nodes,
    settings: &SchedulerSettings,
    start: usize,
    names: &Interner,
) -> Attempt {
    let mut attempt = Attempt { next_start: start, ..Attempt::default() };
    let named = node_affinity::named_nodes(pod);
    if named.as_ref().is_some_and(Vec::is_empty) {
        attempt.pre_filter = Some(TERMS_CONFLICT);
        return attempt;
    }
    attempt.narrowed = named.map(|named| {
        let mut known: Vec<_> = named.iter().filter_map(|name| nodes.named(*name)).collect();
        known.sort_unstable_by_key(|node| nodes.position(*node));
        known
    });
    search(&mut attempt, (pod, nodes), settings, names);
    let found = attempt.feasible.as_slice();
    if found.len() > 1 {
        let states: Vec<_> = found.iter().map(|node| nodes.state(*node)).collect();
        attempt.scores = Some(scores(pod, &states, settings, names));
    }
    attempt.chosen = match &attempt.scores {
        Some(scores) => Some(found[heap_root(&scores.totals)]),
        None => found.first().copied(),
    };
    attempt
}

/// Filters node by node until enough are found (rules S21 to S28).
fn search(
    attempt: &mut Attempt,
    (pod, nodes): (&PodSpec, &Nodes),
    settings: &SchedulerSettings,
    names: &Interner,
) {
    let all = nodes.order();
    let walk = attempt.narrowed.as_deref().unwrap_or(all);
    let start = attempt.next_start;
    let enough = feasible_max(walk.len(), settings.percentage_of_nodes_to_score);
    for step in 0..walk.len() {
        let node = walk[(start + step) % walk.len()];
        match plugins::filter(pod, nodes.state(node), names) {
            Ok(()) if attempt.feasible.len() == enough => break,
            Ok(()) => attempt.feasible.push(node),
            Err(rejection) => attempt.failed.push((node, rejection)),
        }
    }
    let examined = attempt.feasible.len() + attempt.failed.len();
    if !all.is_empty() {
        attempt.next_start = next_start(start, examined, all.len());
    }
}

/// Scores the feasible nodes (rules S37, S38, S70).
fn scores(
    pod: &PodSpec,
    nodes: &[&NodeState],
    settings: &SchedulerSettings,
    names: &Interner,
) -> Scores {
    let each = |score: &dyn Fn(&NodeState) -> i64| nodes.iter().map(|n| score(n)).collect();
    let normal = |raw: &[i64], of: fn(i64, i64) -> i64| {
        let max = raw.iter().copied().max().unwrap_or(0);
        raw.iter().map(|r| of(*r, max)).collect()
    };
    let taint_raw: Vec<i64> = each(&|node| taint_toleration::raw_score(pod, node));
    let affinity_raw: Vec<i64> = each(&|node| node_affinity::raw_score(pod, node, names));
    let mut scores = Scores {
        taint: normal(&taint_raw, normalized_reverse),
        affinity: normal(&affinity_raw, normalized),
        taint_raw,
        affinity_raw,
        fit: each(&|node| fit_score(pod, node, settings)),
        balanced: each(&|node| balanced_score(pod, node)),
        totals: Vec::new(),
    };
    let weights = &settings.weights;
    let total = |at: usize| {
        weights.taint_toleration * scores.taint[at]
            + weights.node_affinity * scores.affinity[at]
            + weights.resources_fit * scores.fit[at]
            + weights.balanced_allocation * scores.balanced[at]
    };
    scores.totals = (0..nodes.len()).map(total).collect();
    scores
}

fn allocatable(node: &NodeState) -> [i64; 2] {
    [node.spec.allocatable.cpu.0, node.spec.allocatable.memory.0]
}

fn fit_score(pod: &PodSpec, node: &NodeState, settings: &SchedulerSettings) -> i64 {
    let (taken, wanted) = (node.usage.nonzero_requested, pod.nonzero_requests);
    let requested = [(taken.0 + wanted.0).0, (taken.1 + wanted.1).0];
    resources_fit::score(settings.scoring, requested, allocatable(node))
}

fn balanced_score(pod: &PodSpec, node: &NodeState) -> i64 {
    if balanced_allocation::skips(pod) {
        return 0;
    }
    let (taken, wanted) = (&node.usage.requested, &pod.requests);
    balanced_allocation::score(
        [taken.cpu.0, taken.memory.0],
        [wanted.cpu.0, wanted.memory.0],
        allocatable(node),
    )
}

impl Attempt {
    /// Why the pod goes nowhere, if no node was feasible.
    #[must_use]
    pub fn fit_error(&self, nodes: &Nodes) -> FitError {
        let mut error = FitError::of(nodes.len());
        error.pre_filter = self.pre_filter;
        for (_, rejection) in &self.failed {
            error.count(rejection, 1);
        }
        if let Some(narrowed) = &self.narrowed {
            let others = cast::u32_of(nodes.len() - narrowed.len());
            let absent = Rejection::unresolvable(Plugin::NodeAffinity, Reason::NotNamedByAffinity);
            error.plugins.insert(Plugin::NodeAffinity);
            if others > 0 {
                error.count(&absent, others);
            }
        }
        if self.pre_filter.is_some() {
            error.plugins.insert(Plugin::NodeAffinity);
        }
        error
    }
}
