//! What is preferred: sums by label and value, and the scores.

use std::collections::BTreeMap;

use crate::base::{Symbol, cast};
use crate::model::{Labels, NodeId, PodAffinityTerm};

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::{Applicant, PodInfo};
use super::super::super::select::SCORE_MAX;
use super::super::super::world::World;
use super::super::PluginScores;
use super::{Incoming, OwnTerm};

/// Sums of weights by label and value (rule S120).
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::placement) struct ScoreState(BTreeMap<Symbol, BTreeMap<Symbol, i64>>);

impl ScoreState {
    /// Whether no term met any pod.
    pub(in crate::placement) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a weight to a node's value of a label, if it has it.
    pub(in crate::placement) fn add(&mut self, key: Symbol, node: &Labels, weight: i64) {
        if let Some(value) = node.get(key) {
            *self.0.entry(key).or_default().entry(value).or_insert(0) += weight;
        }
    }

    /// Adds what the terms of a pod that is on a node of these labels say of the incoming one.
    pub(in crate::placement) fn count_existing(
        &mut self,
        other: &PodInfo,
        node: &Labels,
        incoming: Incoming<'_>,
        hard_weight: i32,
    ) {
        let affinity = &other.spec.pod_affinity;
        let hard = if hard_weight > 0 { affinity.required.as_slice() } else { &[] };
        let hard = hard.iter().map(|term| (i64::from(hard_weight), term));
        for (weight, term) in hard.chain(signed(&affinity.preferred, &affinity.anti_preferred)) {
            if incoming.is_selected_by(term) {
                self.add(term.topology_key, node, weight);
            }
        }
    }

    /// The raw score of a node of these labels (rule S120).
    pub(in crate::placement) fn raw(&self, node: &Labels) -> i64 {
        let of = |(key, sums): (&Symbol, &BTreeMap<Symbol, i64>)| {
            node.get(*key).and_then(|value| sums.get(&value)).copied()
        };
        self.0.iter().filter_map(of).sum()
    }
}

/// Preferred terms with the weights of affinity and the negative ones of anti-affinity.
fn signed<'a>(
    with: &'a [(i32, PodAffinityTerm)],
    without: &'a [(i32, PodAffinityTerm)],
) -> impl Iterator<Item = (i64, &'a PodAffinityTerm)> {
    let with = with.iter().map(|(weight, term)| (i64::from(*weight), term));
    with.chain(without.iter().map(|(weight, term)| (-i64::from(*weight), term)))
}

/// The pod's preferred terms with their weights.
pub(in crate::placement) fn own_terms(pod: &PodInfo, world: &World<'_>) -> Vec<(i64, OwnTerm)> {
    let affinity = &pod.spec.pod_affinity;
    let own = |term| OwnTerm::new(term, world.catalog, world.names);
    let terms = signed(&affinity.preferred, &affinity.anti_preferred);
    terms.map(|(weight, term)| (weight, own(term))).collect()
}

/// Sums over all pods, those being deleted too; `None` if nothing was summed up (rule S120).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/interpodaffinity/scoring.go
/// `PreScore`, `processExistingPod` (recorded).
#[must_use]
pub(in crate::placement) fn pre_score(of: &Applicant, world: &World<'_>) -> Option<ScoreState> {
    let args = &world.profile.args;
    let own = own_terms(&of.info, world);
    if own.is_empty() && args.ignores_preferred_of_existing {
        return None;
    }
    let mut state = ScoreState::default();
    let incoming = Incoming::new(&of.info, world.catalog, world.names);
    for id in world.nodes.order() {
        let node = world.nodes.state(*id);
        if own.is_empty() && node.pods_sociable == 0 {
            continue;
        }
        let labels = &node.spec.labels;
        for placed in &node.pods {
            for (weight, term) in &own {
                if term.selects(&placed.info, world.names) {
                    state.add(term.key, labels, *weight);
                }
            }
            state.count_existing(&placed.info, labels, incoming, args.hard_pod_affinity_weight);
        }
    }
    (!state.is_empty()).then_some(state)
}

/// The scores (rules S120, S121).
#[must_use]
pub(in crate::placement) fn scores(
    state: &ScoreState,
    nodes: &[(NodeId, &NodeState)],
) -> PluginScores {
    let raw: Vec<i64> = nodes.iter().map(|(_, node)| state.raw(&node.spec.labels)).collect();
    let least = raw.iter().copied().min().unwrap_or(0);
    let most = raw.iter().copied().max().unwrap_or(0);
    PluginScores { normalized: raw.iter().map(|r| normalized(*r, least, most)).collect(), raw }
}

/// The normalised score: the quotient first, then the product, then cut off (rule S121).
pub(in crate::placement) fn normalized(raw: i64, least: i64, most: i64) -> i64 {
    if most == least {
        return 0;
    }
    let part = cast::f64_of_i64(raw - least) / cast::f64_of_i64(most - least);
    cast::i64_trunc(cast::f64_of_i64(SCORE_MAX) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quotient_comes_first() {
        // S121: exact percentages lose one where the quotient is a little too small.
        assert_eq!([29, 57, 58].map(|raw| normalized(raw, 0, 100)), [28, 56, 57]);
        assert_eq!([-5, 0, 5].map(|raw| normalized(raw, -5, 5)), [0, 50, 100]);
        assert_eq!(normalized(7, 7, 7), 0);
    }
}
