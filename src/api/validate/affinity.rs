//! Affinity and topology spread.

use serde_json::Value;

use super::super::names;
use super::super::node_selector::NodeRules;
use super::super::problem::{At, Found, Reason};
use super::super::read::{is_set, items, text};
use super::{against, label_selector, one_of};
use crate::base::Interner;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(affinity: &Value, at: &At<'_>, found: &mut Found) {
    let (node, here) = (&affinity["nodeAffinity"], at.field("nodeAffinity"));
    if is_set(&node[REQUIRED]) {
        let place = here.field(REQUIRED);
        let list = place.field("nodeSelectorTerms");
        let terms = items(&node[REQUIRED]["nodeSelectorTerms"]);
        if terms.is_empty() {
            found.required(&list, "must have at least one node selector term");
        }
        for (index, term) in terms.iter().enumerate() {
            node_term(term, &list.index(index), Values::Labels, found);
        }
    }
    let list = here.field(PREFERRED);
    for (index, wish) in items(&node[PREFERRED]).iter().enumerate() {
        let here = list.index(index);
        weight(&here.field("weight"), &wish["weight"], found);
        node_term(&wish["preference"], &here.field("preference"), Values::Any, found);
    }
    unreadable(node, &list, found);
    for field in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(&affinity[field], &at.field(field), found);
    }
}

/// Rule S98a: preferred terms that the API takes and the scheduler cannot read.
fn unreadable(affinity: &Value, at: &At<'_>, found: &mut Found) {
    let rules = NodeRules::lower(&Value::Null, affinity, &mut Interner::new());
    if let Some(error) = rules.preferred_error {
        let message = format!("the scheduler cannot read this: {error}");
        let problem = found.add(at, Reason::Invalid, message);
        problem.is_error = false;
        let hint = "it fails each attempt to place such a pod where two nodes or more would do";
        problem.hint = Some(hint.to_owned());
    }
}

/// Whether the values of terms have to be legal label values (rule S98a).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Labels,
    Any,
}

fn weight(at: &At<'_>, value: &Value, found: &mut Found) {
    let number = value.as_i64().unwrap_or(0);
    if !(1..=100).contains(&number) {
        found.invalid(at, &number, "must be in the range 1-100");
    }
}

fn node_term(term: &Value, at: &At<'_>, rule: Values, found: &mut Found) {
    let list = at.field("matchExpressions");
    for (index, expression) in items(&term["matchExpressions"]).iter().enumerate() {
        let here = list.index(index);
        let values = items(&expression["values"]);
        let place = here.field("values");
        match text(&expression["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                found.required(&place, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                found.forbidden(&place, why);
            }
            "Gt" | "Lt" if values.len() != 1 => {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                found.required(&place, why);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => {
                let why = "not a valid selector operator";
                found.invalid_text(&here.field("operator"), other, why);
            }
        }
        let key = text(&expression["key"]);
        against(&here.field("key"), key, &names::qualified_name(key), found);
        if rule == Values::Labels {
            for (index, value) in values.iter().enumerate() {
                let value = text(value);
                against(&place.index(index), value, &names::label_value(value), found);
            }
        }
    }
    let list = at.field("matchFields");
    for (index, field) in items(&term["matchFields"]).iter().enumerate() {
        let here = list.index(index);
        match text(&field["operator"]) {
            "In" | "NotIn" if items(&field["values"]).len() != 1 => {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node \
                     field selector";
                found.required(&here.field("values"), why);
            }
            "In" | "NotIn" => {}
            other => {
                let why = "not a valid selector operator";
                found.invalid_text(&here.field("operator"), other, why);
            }
        }
        let key = text(&field["key"]);
        if key != "metadata.name" {
            found.invalid_text(&here.field("key"), key, "not a valid field selector key");
        }
    }
}

fn pod_affinity(affinity: &Value, at: &At<'_>, found: &mut Found) {
    let list = at.field(REQUIRED);
    for (index, term) in items(&affinity[REQUIRED]).iter().enumerate() {
        pod_term(term, &list.index(index), found);
    }
    let list = at.field(PREFERRED);
    for (index, wish) in items(&affinity[PREFERRED]).iter().enumerate() {
        let here = list.index(index);
        weight(&here.field("weight"), &wish["weight"], found);
        pod_term(&wish["podAffinityTerm"], &here.field("podAffinityTerm"), found);
    }
}

fn pod_term(term: &Value, at: &At<'_>, found: &mut Found) {
    label_selector(&at.field("labelSelector"), &term["labelSelector"], found);
    label_selector(&at.field("namespaceSelector"), &term["namespaceSelector"], found);
    for namespace in items(&term["namespaces"]) {
        let name = text(namespace);
        against(&at.field("namespace"), name, &names::dns_label(name), found);
    }
    let key = text(&term["topologyKey"]);
    if key.is_empty() {
        found.required(&at.field("topologyKey"), "can not be empty");
    }
    against(&at.field("topologyKey"), key, &names::qualified_name(key), found);
    let selector = &term["labelSelector"];
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        label_keys(&term[field], selector, &at.field(field), found);
    }
    let (list, others) = (at.field("matchLabelKeys"), items(&term["mismatchLabelKeys"]));
    for (index, key) in items(&term["matchLabelKeys"]).iter().enumerate() {
        if others.contains(key) {
            let why = "exists in both matchLabelKeys and mismatchLabelKeys";
            found.invalid_text(&list.index(index), text(key), why);
        }
    }
}

/// Keys of the pod's labels that are merged into a selector.
///
/// Source: kubernetes v1.36.3 validation.go `validateLabelKeys`.
fn label_keys(keys: &Value, selector: &Value, at: &At<'_>, found: &mut Found) {
    if items(keys).is_empty() {
        return;
    }
    if !is_set(selector) {
        found.forbidden(at, "must not be specified when labelSelector is not set");
    }
    for (index, key) in items(keys).iter().enumerate() {
        let key = text(key);
        against(&at.index(index), key, &names::qualified_name(key), found);
    }
}

/// Source: kubernetes v1.36.3 validation.go `validateTopologySpreadConstraints`.
pub(super) fn topology_spread(list: &Value, at: &At<'_>, found: &mut Found) {
    let pair = |of: &Value| (of["topologyKey"].clone(), of["whenUnsatisfiable"].clone());
    for (index, constraint) in items(list).iter().enumerate() {
        let here = at.index(index);
        let skew = constraint["maxSkew"].as_i64().unwrap_or(0);
        if skew <= 0 {
            found.invalid(&here.field("maxSkew"), &skew, "must be greater than zero");
        }
        let key = text(&constraint["topologyKey"]);
        if key.is_empty() {
            found.required(&here.field("topologyKey"), "can not be empty");
        }
        let when = text(&constraint["whenUnsatisfiable"]);
        if !matches!(when, "DoNotSchedule" | "ScheduleAnyway") {
            let known = ["DoNotSchedule", "ScheduleAnyway"];
            found.not_supported(&here.field("whenUnsatisfiable"), when, &known);
        }
        let mut later = items(list).iter().skip(index + 1);
        if later.any(|other| pair(other) == pair(constraint)) {
            let pair = here.field("{topologyKey, whenUnsatisfiable}");
            found.duplicate(&pair, &format!("\"{{{key}, {when}}}\""));
        }
        let least = &constraint["minDomains"];
        if least.as_i64().is_some_and(|least| least <= 0) {
            found.invalid(&here.field("minDomains"), least, "must be greater than zero");
        }
        if is_set(least) && when == "ScheduleAnyway" {
            let why = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not \
                 ScheduleAnyway";
            found.invalid(&here.field("minDomains"), least, why);
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            one_of(&here.field(policy), &constraint[policy], &["Honor", "Ignore"], found);
        }
        let (keys, selector) = (&constraint["matchLabelKeys"], &constraint["labelSelector"]);
        let place = here.field("matchLabelKeys");
        label_keys(keys, selector, &place, found);
        label_selector(&here.field("labelSelector"), &constraint["labelSelector"], found);
    }
}
