//! InterPodAffinity: pods go where certain others are, or are not.
//!
//! Here is which pods a term selects; `filtering.rs` keeps what is required, `scoring.rs` ranks by
//! what is preferred.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/interpodaffinity (rules S116 to
//! S121; recorded).

mod filtering;
mod scoring;

use crate::base::{Interner, Symbol};
use crate::model::{Labels, Operator, PodAffinityTerm, Selector};

use super::super::catalog::Catalog;
use super::super::pod_info::PodInfo;
use super::super::world::World;

pub use filtering::{FilterState, filter, pre_filter};
pub(in crate::placement) use filtering::{MEETS_SHUNNED, NO_FRIENDS, SHUNNED};
pub(in crate::placement) use scoring::{ScoreState, normalized, pre_score, scores};

/// A term of the pod that is to be placed, with the namespaces that it names or selects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::placement) struct OwnTerm {
    namespaces: Vec<Symbol>,
    in_any_namespace: bool,
    selector: Option<Selector>,
    /// The label whose values are the domains.
    pub(in crate::placement) key: Symbol,
}

impl OwnTerm {
    /// Looks up the namespaces that the term selects. A selector that asks for no label to be there
    /// selects pods of every namespace, whatever the labels of those (rule S117): the scheduler
    /// keeps asking it, of namespaces without labels.
    ///
    /// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/interpodaffinity/plugin.go
    /// `mergeAffinityTermNamespacesIfNotEmpty` (recorded).
    pub(in crate::placement) fn new(
        term: &PodAffinityTerm,
        catalog: &Catalog,
        names: &Interner,
    ) -> Self {
        let mut namespaces = term.namespaces.clone();
        let selector = term.namespace_selector.as_ref();
        if let Some(selector) = selector.filter(|selector| !selector.0.is_empty()) {
            let selected = |(_, labels): &(&Symbol, &Labels)| selector.matches(labels, names);
            namespaces.extend(catalog.namespaces.iter().filter(selected).map(|(name, _)| *name));
            namespaces.sort_unstable();
            namespaces.dedup();
        }
        Self {
            namespaces,
            in_any_namespace: selector.is_some_and(|s| s.matches(&Labels::default(), names)),
            selector: term.selector.clone(),
            key: term.topology_key,
        }
    }

    /// Pods of one namespace.
    pub(in crate::placement) fn within(
        namespace: Symbol,
        selector: Option<Selector>,
        key: Symbol,
    ) -> Self {
        Self { namespaces: vec![namespace], in_any_namespace: false, selector, key }
    }

    /// A namespace, a label and a value that every selected pod has, if the term names one of
    /// each.
    pub(in crate::placement) fn anchor(&self) -> Option<(Symbol, Symbol, Symbol)> {
        let [namespace] = self.namespaces[..] else { return None };
        let selector = self.selector.as_ref().filter(|_| !self.in_any_namespace)?;
        selector.0.iter().find_map(|requirement| match requirement.values[..] {
            [value] if requirement.operator == Operator::In => {
                Some((namespace, requirement.key, value))
            }
            _ => None,
        })
    }

    /// Whether the term selects a pod.
    pub(in crate::placement) fn selects(&self, pod: &PodInfo, names: &Interner) -> bool {
        (self.in_any_namespace || self.namespaces.binary_search(&pod.namespace).is_ok())
            && self.selector.as_ref().is_some_and(|s| s.matches(&pod.labels, names))
    }
}

/// Whether terms, all together, select a pod (rule S118); no terms select none.
pub(in crate::placement) fn all_select(terms: &[OwnTerm], pod: &PodInfo, names: &Interner) -> bool {
    !terms.is_empty() && terms.iter().all(|term| term.selects(pod, names))
}

/// The pod that is to be placed as terms of other pods see it.
#[derive(Clone, Copy, Debug)]
pub(in crate::placement) struct Incoming<'a> {
    pod: &'a PodInfo,
    namespace: Option<&'a Labels>,
    names: &'a Interner,
}

impl<'a> Incoming<'a> {
    /// Looks up the labels of its namespace; one that is not known has none.
    pub(in crate::placement) fn new(
        pod: &'a PodInfo,
        catalog: &'a Catalog,
        names: &'a Interner,
    ) -> Self {
        Self { pod, namespace: catalog.namespaces.get(&pod.namespace), names }
    }

    /// Whether a term of another pod selects it (rule S116).
    ///
    /// Source: kubernetes v1.36.3 kube-scheduler/framework/types.go `AffinityTerm.Matches`
    /// (recorded).
    pub(in crate::placement) fn is_selected_by(self, term: &PodAffinityTerm) -> bool {
        let selects_namespace = |selector: &Selector| match self.namespace {
            Some(labels) => selector.matches(labels, self.names),
            None => selector.matches(&Labels::default(), self.names),
        };
        (term.namespaces.binary_search(&self.pod.namespace).is_ok()
            || term.namespace_selector.as_ref().is_some_and(selects_namespace))
            && term.selector.as_ref().is_some_and(|s| s.matches(&self.pod.labels, self.names))
    }
}

/// Whether a term of a pod that is there selects the pod that is to be placed.
pub(in crate::placement) fn means(
    term: &PodAffinityTerm,
    pod: &PodInfo,
    world: &World<'_>,
) -> bool {
    Incoming::new(pod, world.catalog, world.names).is_selected_by(term)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{PodSpec, Requirement};

    fn term(namespaces: &[Symbol], by: Option<Vec<Requirement>>, key: Symbol) -> PodAffinityTerm {
        PodAffinityTerm {
            namespaces: namespaces.to_vec(),
            namespace_selector: by.map(Selector),
            selector: Some(Selector::default()),
            match_label_keys: Vec::new(),
            mismatch_label_keys: Vec::new(),
            topology_key: key,
        }
    }

    /// S117: of the pod's own terms; terms of others do look at the labels.
    #[test]
    fn a_selector_that_only_excludes_selects_every_namespace() {
        let mut names = Interner::new();
        let [red, blue, team] = ["red", "blue", "team"].map(|name| names.intern(name));
        let mut catalog = Catalog::default();
        for namespace in [red, blue] {
            catalog.namespaces.insert(namespace, Labels::new([(team, namespace)]));
        }
        let is_red = |operator| {
            let values = [red].into_iter().collect();
            Some(vec![Requirement { key: team, operator, values }])
        };
        let pod = |namespace| {
            PodInfo::plain(namespace, Labels::default(), Arc::new(PodSpec::plain(Vec::new(), red)))
        };
        let check = |term: &PodAffinityTerm| {
            let own = OwnTerm::new(term, &catalog, &names);
            let others = [red, blue]
                .map(|ns| Incoming::new(&pod(ns), &catalog, &names).is_selected_by(term));
            ([red, blue].map(|ns| own.selects(&pod(ns), &names)), others)
        };
        let yes = [true, true];
        assert_eq!(check(&term(&[], is_red(Operator::NotIn), team)), (yes, [false, true]));
        assert_eq!(check(&term(&[], is_red(Operator::In), team)), ([true, false], [true, false]));
        assert_eq!(check(&term(&[blue], None, team)), ([false, true], [false, true]));
        assert_eq!(check(&term(&[blue], is_red(Operator::In), team)), (yes, yes));
        assert_eq!(check(&term(&[], Some(Vec::new()), team)), (yes, yes));
    }
}
