//! Spread constraints and affinity between pods.

use serde_json::Value;

use super::super::read::{is_set, items, text};
use super::optional_selector;
use crate::base::{Interner, Symbol};
use crate::model::{PodAffinity, PodAffinityTerm, SpreadConstraint};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Lowers `topologySpreadConstraints`; the defaults are rules S107 and S109.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/common.go
/// `filterTopologySpreadConstraints`.
pub fn lower_spread(list: &Value, names: &mut Interner) -> Vec<SpreadConstraint> {
    let mut lower = |constraint: &Value| SpreadConstraint {
        max_skew: number(&constraint["maxSkew"]).unwrap_or(1),
        topology_key: names.intern(text(&constraint["topologyKey"])),
        is_hard: constraint["whenUnsatisfiable"] == "DoNotSchedule",
        selector: optional_selector(&constraint["labelSelector"], names),
        match_label_keys: keys(&constraint["matchLabelKeys"], names),
        min_domains: number(&constraint["minDomains"]).unwrap_or(1),
        honors_affinity: constraint["nodeAffinityPolicy"] != "Ignore",
        honors_taints: constraint["nodeTaintsPolicy"] == "Honor",
    };
    items(list).iter().map(&mut lower).collect()
}

/// Lowers `podAffinity` and `podAntiAffinity` of a pod of this namespace.
pub(super) fn lower_pod_affinity(
    affinity: &Value,
    namespace: Symbol,
    names: &mut Interner,
) -> PodAffinity {
    let (with, without) = (&affinity["podAffinity"], &affinity["podAntiAffinity"]);
    let mut required = |of: &Value| -> Vec<_> {
        items(&of[REQUIRED]).iter().map(|term| lower_term(term, namespace, names)).collect()
    };
    let (all, none) = (required(with), required(without));
    let mut preferred = |of: &Value| -> Vec<_> {
        let lower = |wish: &Value| {
            let weight = number(&wish["weight"]).unwrap_or(0);
            (weight, lower_term(&wish["podAffinityTerm"], namespace, names))
        };
        items(&of[PREFERRED]).iter().map(lower).collect()
    };
    PodAffinity {
        required: all,
        preferred: preferred(with),
        anti_required: none,
        anti_preferred: preferred(without),
    }
}

/// Rule S116: without a list and a selector of namespaces the pod's own stands in the list.
fn lower_term(term: &Value, namespace: Symbol, names: &mut Interner) -> PodAffinityTerm {
    let mut namespaces = keys(&term["namespaces"], names);
    if namespaces.is_empty() && !is_set(&term["namespaceSelector"]) {
        namespaces.push(namespace);
    }
    namespaces.sort_unstable();
    namespaces.dedup();
    PodAffinityTerm {
        namespaces,
        namespace_selector: optional_selector(&term["namespaceSelector"], names),
        selector: optional_selector(&term["labelSelector"], names),
        match_label_keys: keys(&term["matchLabelKeys"], names),
        mismatch_label_keys: keys(&term["mismatchLabelKeys"], names),
        topology_key: names.intern(text(&term["topologyKey"])),
    }
}

fn keys(list: &Value, names: &mut Interner) -> Vec<Symbol> {
    items(list).iter().map(|key| names.intern(text(key))).collect()
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let mut names = Interner::new();
        let zone = names.intern("zone");
        let list = json!([
            { "maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" },
            { "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
              "nodeTaintsPolicy": "Honor", "nodeAffinityPolicy": "Ignore", "labelSelector": {} },
        ]);
        let lowered = lower_spread(&list, &mut names);
        let hard = &lowered[0];
        assert_eq!((hard.max_skew, hard.topology_key, hard.min_domains), (2, zone, 1));
        assert!(hard.is_hard && hard.honors_affinity && !hard.honors_taints);
        assert_eq!(hard.selector, None);
        let soft = &lowered[1];
        assert!(!soft.is_hard && !soft.honors_affinity && soft.honors_taints);
        assert_eq!(soft.selector.as_ref().map(|s| s.0.len()), Some(0));
    }

    #[test]
    fn the_own_namespace_counts_only_where_none_is_named() {
        let mut names = Interner::new();
        let (own, other) = (names.intern("own"), names.intern("other"));
        let affinity = json!({ "podAntiAffinity": { REQUIRED: [
            { "topologyKey": "zone" },
            { "topologyKey": "zone", "namespaces": ["other"] },
            { "topologyKey": "zone", "namespaceSelector": {} },
        ] } });
        let lowered = lower_pod_affinity(&affinity, own, &mut names);
        let listed: Vec<_> = lowered.anti_required.iter().map(|t| t.namespaces.clone()).collect();
        assert_eq!(listed, [vec![own], vec![other], vec![]]);
    }
}
