//! What is required: counts by label and value, and the filter.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Interner, Symbol};
use crate::model::{Labels, PodAffinityTerm};

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::{Applicant, PodInfo};
use super::super::super::verdict::{Plugin, Reason, Rejection};
use super::super::super::world::World;
use super::{Incoming, OwnTerm, all_select};

/// Counts by label and value; a pair whose count is 0 is not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::placement) struct Counts(BTreeMap<(Symbol, Symbol), i64>);

impl Counts {
    /// Changes the count of a node's value of a label, if it has it.
    pub(in crate::placement) fn add(&mut self, key: Symbol, node: &Labels, by: i64) {
        let Some(value) = node.get(key) else { return };
        let count = self.0.entry((key, value)).or_insert(0);
        *count += by;
        if *count == 0 {
            self.0.remove(&(key, value));
        }
    }

    fn of(&self, key: Symbol, value: Symbol) -> i64 {
        self.0.get(&(key, value)).copied().unwrap_or(0)
    }
}

/// What is required of the pod's fellows, and what they require, with counts (rule S118).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterState {
    required: Arc<[OwnTerm]>,
    anti_required: Arc<[OwnTerm]>,
    affinity: Counts,
    anti: Counts,
    existing: Counts,
}

impl FilterState {
    /// Of a pod, with nothing counted yet.
    pub(in crate::placement) fn new(pod: &PodInfo, world: &World<'_>) -> Self {
        let own = |terms: &[PodAffinityTerm]| -> Arc<[OwnTerm]> {
            terms.iter().map(|term| OwnTerm::new(term, world.catalog, world.names)).collect()
        };
        let affinity = &pod.spec.pod_affinity;
        Self {
            required: own(&affinity.required),
            anti_required: own(&affinity.anti_required),
            ..Self::default()
        }
    }

    /// Whether there is nothing to look at (rule S118).
    pub(in crate::placement) fn is_idle(&self) -> bool {
        self.required.is_empty() && self.anti_required.is_empty() && self.existing.0.is_empty()
    }

    /// Counts for the pod's own terms a pod that is on a node of these labels, `by` times.
    pub(in crate::placement) fn count_for_own(
        &mut self,
        other: &PodInfo,
        node: &Labels,
        names: &Interner,
        by: i64,
    ) {
        if all_select(&self.required, other, names) {
            for term in &*self.required {
                self.affinity.add(term.key, node, by);
            }
        }
        for term in &*self.anti_required {
            if term.selects(other, names) {
                self.anti.add(term.key, node, by);
            }
        }
    }

    /// Counts the terms of a pod that is on a node of these labels and does not want the incoming
    /// one there, `by` times.
    pub(in crate::placement) fn count_existing(
        &mut self,
        other: &PodInfo,
        node: &Labels,
        incoming: Incoming<'_>,
        by: i64,
    ) {
        for term in &other.spec.pod_affinity.anti_required {
            if incoming.is_selected_by(term) {
                self.existing.add(term.topology_key, node, by);
            }
        }
    }

    /// A pod comes to a node (`by` 1) or leaves it (−1) in thought.
    pub fn update(
        &mut self,
        of: &Applicant,
        other: &PodInfo,
        node: &NodeState,
        world: &World<'_>,
        by: i32,
    ) {
        let incoming = Incoming::new(&of.info, world.catalog, world.names);
        self.count_existing(other, &node.spec.labels, incoming, i64::from(by));
        self.count_for_own(other, &node.spec.labels, world.names, i64::from(by));
    }

    /// Whether the pods that must be there are (rule S119): or nobody is anywhere, and the pod is
    /// the first of its kind.
    fn has_fellows(&self, pod: &PodInfo, node: &Labels, names: &Interner) -> bool {
        let mut all_there = true;
        for term in &*self.required {
            let Some(value) = node.get(term.key) else {
                return false;
            };
            all_there &= self.affinity.of(term.key, value) > 0;
        }
        all_there || (self.affinity.0.is_empty() && all_select(&self.required, pod, names))
    }

    fn meets_the_avoided(&self, node: &Labels) -> bool {
        let meets = |term: &OwnTerm| {
            node.get(term.key).is_some_and(|value| self.anti.of(term.key, value) > 0)
        };
        self.anti_required.iter().any(meets)
    }

    fn is_avoided(&self, node: &Labels) -> bool {
        !self.existing.0.is_empty() && node.iter().any(|(k, v)| self.existing.of(k, v) > 0)
    }
}

/// Counts over all pods, those being deleted too; `None` if there is nothing to look at (rule
/// S118).
#[must_use]
pub fn pre_filter(of: &Applicant, world: &World<'_>) -> Option<FilterState> {
    let mut state = FilterState::new(&of.info, world);
    let incoming = Incoming::new(&of.info, world.catalog, world.names);
    let has_own = !state.required.is_empty() || !state.anti_required.is_empty();
    if !has_own && world.nodes.pods_avoiding() == 0 {
        return None;
    }
    for id in world.nodes.order() {
        let node = world.nodes.state(*id);
        if !has_own && node.pods_avoiding == 0 {
            continue;
        }
        for placed in &node.pods {
            state.count_existing(&placed.info, &node.spec.labels, incoming, 1);
            if has_own {
                state.count_for_own(&placed.info, &node.spec.labels, world.names, 1);
            }
        }
    }
    (!state.is_idle()).then_some(state)
}

/// The filter (rule S119).
///
/// # Errors
/// If affinity or anti-affinity forbids the node.
pub fn filter(
    state: &FilterState,
    of: &Applicant,
    node: &NodeState,
    world: &World<'_>,
) -> Result<(), Rejection> {
    let (plugin, labels) = (Plugin::InterPodAffinity, &node.spec.labels);
    if !state.has_fellows(&of.info, labels, world.names) {
        return Err(Rejection::unresolvable(plugin, Reason::Fixed(NO_FRIENDS)));
    }
    let reason = if state.meets_the_avoided(labels) {
        MEETS_SHUNNED
    } else if state.is_avoided(labels) {
        SHUNNED
    } else {
        return Ok(());
    };
    Err(Rejection::unschedulable(plugin, Reason::Fixed(reason)))
}

/// Why a node does not take a pod whose required fellows are not there.
pub(in crate::placement) const NO_FRIENDS: &str = "node(s) didn't match pod affinity rules";
/// Why a node does not take a pod that does not want to be with those that are there.
pub(in crate::placement) const MEETS_SHUNNED: &str = "node(s) didn't match pod anti-affinity rules";
/// Why a node does not take a pod that those that are there do not want.
pub(in crate::placement) const SHUNNED: &str =
    "node(s) didn't satisfy existing pods anti-affinity rules";
