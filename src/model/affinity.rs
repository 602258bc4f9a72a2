//! What a pod asks of its fellows: spreading over domains and affinity between pods.

use crate::base::Symbol;

use super::labels::{Labels, Operator, Requirement, Selector};

/// A topology spread constraint, defaults filled (rules S103 to S109).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpreadConstraint {
    /// How much fuller the domain may become than the emptiest.
    pub max_skew: i32,
    /// The label whose values are the domains.
    pub topology_key: Symbol,
    /// `DoNotSchedule` (else `ScheduleAnyway`).
    pub is_hard: bool,
    /// Which pods are counted; `None` (a null selector) counts none.
    pub selector: Option<Selector>,
    /// `matchLabelKeys`, until they are merged into the selector with the labels of the pod.
    pub match_label_keys: Vec<Symbol>,
    /// `minDomains`; 1 if absent.
    pub min_domains: i32,
    /// `nodeAffinityPolicy: Honor`, the default (rule S107).
    pub honors_affinity: bool,
    /// `nodeTaintsPolicy: Honor`; the default is to ignore them (rule S107).
    pub honors_taints: bool,
}

/// Affinity and anti-affinity between pods, each list in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodAffinity {
    /// Required: all must hold.
    pub required: Vec<PodAffinityTerm>,
    /// Preferred, with weights.
    pub preferred: Vec<(i32, PodAffinityTerm)>,
    /// Required anti-affinity.
    pub anti_required: Vec<PodAffinityTerm>,
    /// Preferred anti-affinity, with weights.
    pub anti_preferred: Vec<(i32, PodAffinityTerm)>,
}

impl PodAffinity {
    /// Whether nothing is asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.required.is_empty()
            && self.preferred.is_empty()
            && self.anti_required.is_empty()
            && self.anti_preferred.is_empty()
    }
}

/// One term: pods of some namespaces with some labels, in one domain (rule S116).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodAffinityTerm {
    /// Namespaces, sorted by symbol, as listed; with no list and no selector the pod's own stands
    /// here.
    pub namespaces: Vec<Symbol>,
    /// Namespaces by their labels: `None` selects none, an empty one all.
    pub namespace_selector: Option<Selector>,
    /// Which pods; `None` matches none.
    pub selector: Option<Selector>,
    /// `matchLabelKeys`, until they are merged into the selector with the labels of the pod.
    pub match_label_keys: Vec<Symbol>,
    /// `mismatchLabelKeys`, likewise.
    pub mismatch_label_keys: Vec<Symbol>,
    /// The label whose values are the domains.
    pub topology_key: Symbol,
}

impl SpreadConstraint {
    /// Whether keys wait for the labels of the pod.
    #[must_use]
    pub const fn has_keys(&self) -> bool {
        !self.match_label_keys.is_empty()
    }

    /// Merges the keys that the pod has into the selector; the others are ignored (rule S106).
    pub fn merge_keys(&mut self, pod: &Labels) {
        merge(&mut self.selector, &mut self.match_label_keys, pod, Operator::In);
    }
}

impl PodAffinity {
    /// All terms.
    pub fn terms(&self) -> impl Iterator<Item = &PodAffinityTerm> {
        let preferred = self.preferred.iter().chain(&self.anti_preferred).map(|(_, term)| term);
        self.required.iter().chain(&self.anti_required).chain(preferred)
    }

    fn terms_mut(&mut self) -> impl Iterator<Item = &mut PodAffinityTerm> {
        let preferred = self.preferred.iter_mut().chain(&mut self.anti_preferred);
        let required = self.required.iter_mut().chain(&mut self.anti_required);
        required.chain(preferred.map(|(_, term)| term))
    }

    /// Whether keys wait for the labels of the pod.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        let has = |term: &PodAffinityTerm| {
            !term.match_label_keys.is_empty() || !term.mismatch_label_keys.is_empty()
        };
        self.terms().any(has)
    }

    /// Merges the keys that the pod has into the selectors, as the API server does when the pod is
    /// created (rule S116).
    ///
    /// Source: kubernetes v1.36.3 pkg/registry/core/pod/strategy.go
    /// `applyLabelKeysToLabelSelector`.
    pub fn merge_keys(&mut self, pod: &Labels) {
        for term in self.terms_mut() {
            merge(&mut term.selector, &mut term.match_label_keys, pod, Operator::In);
            merge(&mut term.selector, &mut term.mismatch_label_keys, pod, Operator::NotIn);
        }
    }
}

fn merge(selector: &mut Option<Selector>, keys: &mut Vec<Symbol>, pod: &Labels, how: Operator) {
    let Some(selector) = selector else { return };
    for key in keys.drain(..) {
        let Some(value) = pod.get(key) else { continue };
        let values = [value].into_iter().collect();
        let requirement = Requirement { key, operator: how, values };
        if !selector.0.contains(&requirement) {
            selector.0.push(requirement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Interner;

    #[test]
    fn label_keys_become_requirements_of_the_pods_own_values() {
        let mut names = Interner::new();
        let (hash, tier, red) = (names.intern("hash"), names.intern("tier"), names.intern("red"));
        let pod = Labels::new([(hash, red)]);
        let mut term = PodAffinityTerm {
            namespaces: Vec::new(),
            namespace_selector: None,
            selector: Some(Selector::default()),
            match_label_keys: vec![hash, tier],
            mismatch_label_keys: vec![hash],
            topology_key: tier,
        };
        let mut all = PodAffinity { required: vec![term.clone()], ..PodAffinity::default() };
        assert!(all.has_keys());
        all.merge_keys(&pod);
        assert!(!all.has_keys());
        let of =
            |operator| Requirement { key: hash, operator, values: [red].into_iter().collect() };
        let merged = vec![of(Operator::In), of(Operator::NotIn)];
        assert_eq!(all.required[0].selector, Some(Selector(merged)));
        // Nothing is merged into a selector that is not there.
        term.selector = None;
        let mut all = PodAffinity { required: vec![term], ..PodAffinity::default() };
        all.merge_keys(&pod);
        assert_eq!(all.required[0].selector, None);
    }
}
