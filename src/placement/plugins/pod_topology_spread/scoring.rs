//! Soft constraints: counts by domain and the scores.

use std::collections::BTreeMap;

use crate::base::{Symbol, cast, math};
use crate::model::{NodeId, SpreadConstraint};

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::{Applicant, PodInfo};
use super::super::super::select::SCORE_MAX;
use super::super::super::world::World;
use super::super::PluginScores;
use super::{Constraints, HOST, constraints, count_on, has_all_keys, includes};

/// Soft constraints with their counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::placement) struct ScoreState {
    constraints: Vec<SpreadConstraint>,
    /// By constraint: pods by value of the label, of the values of nodes that take the pod; `None`
    /// is the domain of nodes without the label. Empty for host names.
    counts: Vec<BTreeMap<Option<Symbol>, u32>>,
    weights: Vec<f64>,
    /// By node that takes the pod: whether a label is missing that is required.
    ignored: Vec<bool>,
}

/// What a constraint with that many domains weighs (rule S112).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/scoring.go
/// `topologyNormalizingWeight` (recorded).
pub(in crate::placement) fn weight(domains: usize) -> f64 {
    math::go_ln(cast::f64_of_usize(domains + 2))
}

/// What a constraint adds to the sum of a node in whose domain that many pods count (rule S114): a
/// multiplication, then an addition (rule S114a).
pub(in crate::placement) fn score_for(count: u32, max_skew: i32, weight: f64) -> f64 {
    let weighted = f64::from(count) * weight;
    weighted + f64::from(max_skew - 1)
}

/// The raw score of a sum, which is never below zero: rounded half away from zero (rule S114).
pub(in crate::placement) fn rounded(sum: f64) -> i64 {
    let whole = cast::i64_trunc(sum);
    whole + i64::from(sum - cast::f64_of_i64(whole) >= 0.5)
}

/// The normalised score of a node that is not ignored; `least` and `most` are the raw scores of
/// all such nodes, 0 if there is none (rule S115).
pub(in crate::placement) const fn normalized(raw: i64, least: i64, most: i64) -> i64 {
    if most == 0 { SCORE_MAX } else { SCORE_MAX * (most + least - raw) / most }
}

/// Counts for soft constraints; `None` without any (rules S111 to S113).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/scoring.go
/// `initPreScoreState`, `PreScore` (recorded).
#[must_use]
pub(in crate::placement) fn pre_score(
    of: &Applicant,
    nodes: &[(NodeId, &NodeState)],
    world: &World<'_>,
) -> Option<ScoreState> {
    let Constraints { soft, requires_all, .. } = constraints(&of.info, world);
    if soft.is_empty() {
        return None;
    }
    let is_left_out = |node: &NodeState| requires_all && !has_all_keys(&soft, &node.spec.labels);
    let ignored: Vec<bool> = nodes.iter().map(|(_, node)| is_left_out(node)).collect();
    let scored = || nodes.iter().zip(&ignored).filter(|(_, ignored)| !**ignored);
    let empty = world.names.get("");
    let mut counts = Vec::with_capacity(soft.len());
    let mut weights = Vec::with_capacity(soft.len());
    for constraint in &soft {
        let mut domains = BTreeMap::new();
        if is_host(constraint, world) {
            weights.push(weight(scored().count()));
        } else {
            domains.extend(scored().map(|((_, node), _)| (value(constraint, node, empty), 0)));
            weights.push(weight(domains.len()));
        }
        counts.push(domains);
    }
    for id in world.nodes.order() {
        let node = world.nodes.state(*id);
        if !is_left_out(node) {
            count(&soft, &mut counts, &of.info, node, world);
        }
    }
    Some(ScoreState { constraints: soft, counts, weights, ignored })
}

fn is_host(constraint: &SpreadConstraint, world: &World<'_>) -> bool {
    world.names.resolve(constraint.topology_key) == HOST
}

/// The value of a constraint's label; a missing one is as good as an empty one.
fn value(constraint: &SpreadConstraint, node: &NodeState, empty: Option<Symbol>) -> Option<Symbol> {
    node.spec.labels.get(constraint.topology_key).filter(|value| Some(*value) != empty)
}

/// Counts the pods of a node (rule S113).
fn count(
    soft: &[SpreadConstraint],
    counts: &mut [BTreeMap<Option<Symbol>, u32>],
    pod: &PodInfo,
    node: &NodeState,
    world: &World<'_>,
) {
    let empty = world.names.get("");
    for (constraint, counts) in soft.iter().zip(counts) {
        let Some(sum) = counts.get_mut(&value(constraint, node, empty)) else {
            continue;
        };
        if includes(constraint, &pod.spec, &node.spec, world.names) {
            *sum += count_on(constraint, pod.namespace, node, world.names);
        }
    }
}

/// The scores (rules S114, S115).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/scoring.go
/// `Score`, `NormalizeScore` (recorded).
#[must_use]
pub(in crate::placement) fn scores(
    state: &ScoreState,
    of: &Applicant,
    nodes: &[(NodeId, &NodeState)],
    world: &World<'_>,
) -> PluginScores {
    let raw: Vec<i64> = nodes
        .iter()
        .zip(&state.ignored)
        .map(|((_, node), ignored)| if *ignored { 0 } else { raw(state, &of.info, node, world) })
        .collect();
    let counted = || raw.iter().zip(&state.ignored).filter(|(_, ignored)| !**ignored);
    let least = counted().map(|(raw, _)| *raw).min().unwrap_or(0);
    let most = counted().map(|(raw, _)| *raw).max().unwrap_or(0);
    let normalize =
        |(raw, ignored): (&i64, &bool)| if *ignored { 0 } else { normalized(*raw, least, most) };
    let normalized = raw.iter().zip(&state.ignored).map(normalize).collect();
    PluginScores { raw, normalized }
}

fn raw(state: &ScoreState, pod: &PodInfo, node: &NodeState, world: &World<'_>) -> i64 {
    let empty = world.names.get("");
    let mut sum = 0.0;
    for (at, constraint) in state.constraints.iter().enumerate() {
        if node.spec.labels.get(constraint.topology_key).is_none() {
            continue;
        }
        let count = if is_host(constraint, world) {
            count_on(constraint, pod.namespace, node, world.names)
        } else {
            state.counts[at].get(&value(constraint, node, empty)).copied().unwrap_or(0)
        };
        sum += score_for(count, constraint.max_skew, state.weights[at]);
    }
    rounded(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_node_keeps_a_part() {
        assert_eq!([2, 3, 6].map(|raw| normalized(raw, 2, 6)), [100, 83, 33]);
        assert_eq!(normalized(0, 0, 0), 100);
    }

    #[test]
    fn a_sum_is_rounded_once() {
        // Two pods in one of three zones, skew 5: 2 ln 5 + 4 = 7.22.
        assert_eq!(rounded(score_for(2, 5, weight(3))), 7);
        assert_eq!([0.5, 1.5, 2.49].map(rounded), [1, 2, 2]);
    }
}
