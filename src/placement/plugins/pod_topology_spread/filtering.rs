//! Hard constraints: counts by domain and the filter.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Symbol, cast};
use crate::model::SpreadConstraint;

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::{Applicant, PodInfo};
use super::super::super::verdict::{Plugin, Reason, Rejection};
use super::super::super::world::World;
use super::{constraints, count_on, has_all_keys, includes, selects};

/// Hard constraints with their counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterState {
    constraints: Arc<[SpreadConstraint]>,
    domains: Vec<Domains>,
}

/// The domains of one constraint.
#[derive(Clone, Debug, Default, PartialEq)]
struct Domains {
    counts: BTreeMap<Symbol, i64>,
    emptiest: Emptiest,
    /// 1 if the pod itself is one that counts.
    own: i64,
}

impl Domains {
    fn new(counts: BTreeMap<Symbol, i64>, own: bool) -> Self {
        let mut emptiest = Emptiest::default();
        for (domain, count) in &counts {
            emptiest.update(*domain, *count);
        }
        Self { counts, emptiest, own: i64::from(own) }
    }

    fn add(&mut self, domain: Symbol, by: i64) {
        let count = self.counts.entry(domain).or_insert(0);
        *count += by;
        self.emptiest.update(domain, *count);
    }

    /// The least count, 0 if there are too few domains (rule S109).
    fn minimum(&self, min_domains: i32) -> i64 {
        if cast::i64_of(self.counts.len()) < i64::from(min_domains) {
            return 0;
        }
        self.emptiest.0[0].1
    }

    /// Whether one more pod in the domain keeps the skew (rule S109). A domain that is not known
    /// has no pods.
    fn lets(&self, domain: Symbol, constraint: &SpreadConstraint) -> bool {
        let count = self.counts.get(&domain).copied().unwrap_or(0);
        let skew = count + self.own - self.minimum(constraint.min_domains);
        skew <= i64::from(constraint.max_skew)
    }
}

/// The emptiest domain and another one with their counts: enough to know the minimum while the pods
/// of one node change (rule S110).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/filtering.go
/// `criticalPaths` (recorded).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Emptiest([(Option<Symbol>, i64); 2]);

impl Default for Emptiest {
    fn default() -> Self {
        Self([(None, i64::from(i32::MAX)); 2])
    }
}

impl Emptiest {
    fn update(&mut self, domain: Symbol, count: i64) {
        let paths = &mut self.0;
        if let Some(known) = paths.iter_mut().find(|(known, _)| *known == Some(domain)) {
            known.1 = count;
            if paths[0].1 > paths[1].1 {
                paths.swap(0, 1);
            }
        } else if count < paths[0].1 {
            paths[1] = paths[0];
            paths[0] = (Some(domain), count);
        } else if count < paths[1].1 {
            paths[1] = (Some(domain), count);
        }
    }
}

impl FilterState {
    /// A pod comes to a node (`by` 1) or leaves it (−1) in thought. It does not matter whether it
    /// is being deleted, nor whether it was counted before (rule S110).
    pub fn update(
        &mut self,
        of: &Applicant,
        other: &PodInfo,
        node: &NodeState,
        world: &World<'_>,
        by: i32,
    ) {
        let labels = &node.spec.labels;
        if other.namespace != of.info.namespace || !has_all_keys(&self.constraints, labels) {
            return;
        }
        for (constraint, domains) in self.constraints.iter().zip(&mut self.domains) {
            if let Some(domain) = labels.get(constraint.topology_key)
                && selects(constraint, &other.labels, world.names)
                && includes(constraint, &of.info.spec, &node.spec, world.names)
            {
                domains.add(domain, i64::from(by));
            }
        }
    }
}

/// Counts for hard constraints; `None` without any (rules S108, S111).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/filtering.go
/// `calPreFilterState` (recorded).
#[must_use]
pub fn pre_filter(of: &Applicant, world: &World<'_>) -> Option<FilterState> {
    let hard = constraints(&of.info, world).hard;
    if hard.is_empty() {
        return None;
    }
    let mut counts = vec![BTreeMap::new(); hard.len()];
    for id in world.nodes.order() {
        let node = world.nodes.state(*id);
        if !has_all_keys(&hard, &node.spec.labels) {
            continue;
        }
        for (constraint, counts) in hard.iter().zip(&mut counts) {
            if let Some(domain) = node.spec.labels.get(constraint.topology_key)
                && includes(constraint, &of.info.spec, &node.spec, world.names)
            {
                let count = count_on(constraint, of.info.namespace, node, world.names);
                *counts.entry(domain).or_insert(0) += i64::from(count);
            }
        }
    }
    let own = |constraint| selects(constraint, &of.info.labels, world.names);
    let domains =
        counts.into_iter().zip(&hard).map(|(counts, hard)| Domains::new(counts, own(hard)));
    Some(FilterState { domains: domains.collect(), constraints: hard.into() })
}

/// The filter (rule S109).
///
/// # Errors
/// If a constraint would be broken, or the node is in no domain of one.
pub fn filter(state: &FilterState, node: &NodeState) -> Result<(), Rejection> {
    let plugin = Plugin::PodTopologySpread;
    for (constraint, domains) in state.constraints.iter().zip(&state.domains) {
        let Some(domain) = node.spec.labels.get(constraint.topology_key) else {
            return Err(Rejection::unresolvable(plugin, Reason::Fixed(MISSING_LABEL)));
        };
        if !domains.lets(domain, constraint) {
            return Err(Rejection::unschedulable(plugin, Reason::Fixed(TOO_SKEWED)));
        }
    }
    Ok(())
}

/// Why a node does not take a pod whose constraint it would break.
pub(in crate::placement) const TOO_SKEWED: &str =
    "node(s) didn't match pod topology spread constraints";
/// Why a node does not take a pod whose constraint is about a label that the node has not.
pub(in crate::placement) const MISSING_LABEL: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

#[cfg(test)]
mod tests {
    use super::*;

    const A: Symbol = Symbol::new(1);
    const B: Symbol = Symbol::new(2);
    const C: Symbol = Symbol::new(3);

    fn paths(of: &[(Symbol, i64)]) -> Emptiest {
        let mut emptiest = Emptiest::default();
        of.iter().for_each(|(domain, count)| emptiest.update(*domain, *count));
        emptiest
    }

    #[test]
    fn the_two_emptiest_domains_are_kept() {
        assert_eq!(paths(&[(A, 3), (B, 1), (C, 2)]).0, [(Some(B), 1), (Some(C), 2)]);
        assert_eq!(paths(&[(A, 1), (B, 2), (C, 3)]).0, [(Some(A), 1), (Some(B), 2)]);
        // An update of a known one swaps them.
        assert_eq!(paths(&[(A, 1), (B, 2), (A, 5)]).0, [(Some(B), 2), (Some(A), 5)]);
        assert_eq!(paths(&[(A, 1), (B, 2), (B, 0)]).0, [(Some(B), 0), (Some(A), 1)]);
    }

    #[test]
    fn what_the_two_entries_forget_is_forgotten() {
        // C with 3 is not kept: once A and B have more, the minimum is wrong, as in Kubernetes.
        assert_eq!(paths(&[(A, 1), (B, 2), (C, 3), (A, 9), (B, 8)]).0[0], (Some(B), 8));
    }

    #[test]
    fn too_few_domains_make_the_minimum_zero() {
        let mut constraint = SpreadConstraint {
            max_skew: 1,
            topology_key: A,
            is_hard: true,
            selector: None,
            match_label_keys: Vec::new(),
            min_domains: 2,
            honors_affinity: true,
            honors_taints: false,
        };
        let domains = Domains::new(BTreeMap::from([(A, 4), (B, 5)]), true);
        assert!(domains.lets(A, &constraint) && !domains.lets(B, &constraint));
        constraint.min_domains = 3;
        assert!(!domains.lets(A, &constraint) && domains.lets(C, &constraint));
        assert!(Domains::default().lets(A, &constraint), "no domain at all");
    }
}
