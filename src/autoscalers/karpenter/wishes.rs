//! What one pod asks of its place, and how that is given up step by step.

use crate::base::{Id, Interner, Symbol};
use crate::model::{
    Labels, NodeAffinity, PodAffinity, PodSpec, SpreadConstraint, TaintEffect, Toleration,
    TolerationOperator,
};

use super::requirement::Requirements;
use super::words::Words;

/// What a pod asks; preferences count as demands until they are given up (rule A191).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wishes {
    pub(super) selector: Labels,
    pub(super) nodes: NodeAffinity,
    pub(super) fellows: PodAffinity,
    pub(super) spread: Vec<SpreadConstraint>,
    pub(super) tolerations: Vec<Toleration>,
}

impl Wishes {
    /// All that is written; preferences heaviest first.
    pub(super) fn of(spec: &PodSpec) -> Self {
        let mut all = Self {
            selector: spec.node_selector.clone(),
            nodes: spec.node_affinity.clone(),
            fellows: spec.pod_affinity.clone(),
            spread: spec.spread.clone(),
            tolerations: spec.tolerations.clone(),
        };
        all.nodes.preferred.sort_by_key(|(weight, _)| -weight);
        all.fellows.preferred.sort_by_key(|(weight, _)| -weight);
        all.fellows.anti_preferred.sort_by_key(|(weight, _)| -weight);
        all
    }

    /// What is required of the node: the first of several terms counts alone.
    pub(super) fn required(&self, words: &Words, names: &Interner) -> Requirements {
        let mut all = Requirements::of_labels(&self.selector, words, names);
        if let Some(term) = self.nodes.required.iter().flatten().next() {
            all.add_all(&Requirements::of_expressions(&term.expressions, words, names), names);
        }
        all
    }

    /// What is asked of the node: what is required, and the heaviest preference.
    pub(super) fn asked(&self, words: &Words, names: &Interner) -> Requirements {
        let mut all = self.required(words, names);
        if let Some((_, term)) = self.nodes.preferred.first() {
            all.add_all(&Requirements::of_expressions(&term.expressions, words, names), names);
        }
        all
    }

    /// What each term of required affinity asks of a node, with the selector: one must hold.
    pub(super) fn alternatives(&self, words: &Words, names: &Interner) -> Vec<Requirements> {
        let selector = Requirements::of_labels(&self.selector, words, names);
        let Some(terms) = &self.nodes.required else { return vec![selector] };
        let with = |term: &crate::model::NodeSelectorTerm| {
            let mut all = selector.clone();
            all.add_all(&Requirements::of_expressions(&term.expressions, words, names), names);
            all
        };
        if terms.is_empty() { vec![selector] } else { terms.iter().map(with).collect() }
    }

    /// Gives up one thing, in this order: a required term of several, the heaviest preferred
    /// affinity, anti-affinity and node affinity, a soft spread, the dislike of taints.
    ///
    /// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/provisioning/scheduling/preferences.go
    /// `Relax` (rule A191).
    pub(super) fn relax(&mut self, tolerates_preferred: bool) -> bool {
        self.drop_term()
            || drop_first(&mut self.fellows.preferred)
            || drop_first(&mut self.fellows.anti_preferred)
            || drop_first(&mut self.nodes.preferred)
            || self.drop_soft_spread()
            || (tolerates_preferred && self.tolerate_preferred())
    }

    /// Drops the first of several required terms.
    pub(super) fn drop_term(&mut self) -> bool {
        match &mut self.nodes.required {
            Some(terms) if terms.len() > 1 => drop_first(terms),
            _ => false,
        }
    }

    fn drop_soft_spread(&mut self) -> bool {
        let soft = self.spread.iter().position(|constraint| !constraint.is_hard);
        soft.is_some_and(|at| {
            self.spread.swap_remove(at);
            true
        })
    }

    /// Tolerates every `PreferNoSchedule`.
    pub(super) fn tolerate_preferred(&mut self) -> bool {
        let wanted = Toleration {
            key: None,
            operator: TolerationOperator::Exists,
            value: Symbol::from_index(0), // not looked at
            effect: Some(TaintEffect::PreferNoSchedule),
            seconds: None,
        };
        let is_it = |t: &Toleration| {
            t.key.is_none() && t.operator == wanted.operator && t.effect == wanted.effect
        };
        if self.tolerations.iter().any(is_it) {
            return false;
        }
        self.tolerations.push(wanted);
        true
    }
}

fn drop_first<T>(list: &mut Vec<T>) -> bool {
    let has_one = !list.is_empty();
    if has_one {
        list.remove(0);
    }
    has_one
}
