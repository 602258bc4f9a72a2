//! Nodes and priority classes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found, Reason};
use super::super::read::{entries, is_set, items, text};
use super::pod::{has_entries, taint_effect};
use super::{against, one_of, resources};

/// Source: kubernetes v1.36.3 validation.go `ValidateNode`.
pub(super) fn validate_node(object: &Value, found: &mut Found) {
    let at = At::ROOT.field("spec.taints");
    let mut seen = BTreeSet::new();
    for (index, taint) in items(&object["spec"]["taints"]).iter().enumerate() {
        let here = at.index(index);
        let (key, value) = (text(&taint["key"]), text(&taint["value"]));
        against(&here.field("key"), key, &names::qualified_name(key), found);
        against(&here.field("value"), value, &names::label_value(value), found);
        let effect = text(&taint["effect"]);
        if effect.is_empty() {
            found.required(&here.field("effect"), "");
        }
        taint_effect(&here.field("effect"), &taint["effect"], found);
        if !seen.insert((key, effect)) {
            let shown =
                format!("{{{key:?}, {effect:?}}}: taints must be unique by key and effect pair");
            found.duplicate(&here, &shown);
        }
    }
    let status = &object["status"];
    for kind in ["capacity", "allocatable"] {
        let place = At::ROOT.field("status");
        let place = place.field(kind);
        for (name, value) in entries(&status[kind]) {
            resources::amount(&place.key(name), name, value, found);
        }
    }
    if !has_entries(&status["allocatable"]) && !has_entries(&status["capacity"]) {
        let message = "this node has no status.allocatable: it takes no pod".to_owned();
        let problem = found.add(&At::ROOT.field("status"), Reason::Required, message);
        problem.is_error = false;
    }
}

/// Source: kubernetes v1.36.3 pkg/apis/scheduling/validation/validation.go.
pub(super) fn validate_priority_class(object: &Value, found: &mut Found) {
    const USER_MAX: i64 = 1_000_000_000;
    let name = text(&object["metadata"]["name"]);
    let value = &object["value"];
    let system = matches!(name, "system-cluster-critical" | "system-node-critical");
    if name.starts_with("system-") && !system {
        let why = "priority class names with 'system-' prefix are reserved for system use only";
        found.forbidden(&At::ROOT.field("metadata.name"), why);
    }
    if !system && value.as_i64().is_some_and(|value| value > USER_MAX) {
        let why = format!("maximum allowed value of a user defined priority is {USER_MAX}");
        found.forbidden(&At::ROOT.field("value"), &why);
    }
    if !is_set(value) {
        found.required(&At::ROOT.field("value"), "");
    }
    const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];
    one_of(&At::ROOT.field("preemptionPolicy"), &object["preemptionPolicy"], &POLICIES, found);
}
