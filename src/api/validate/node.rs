//! Nodes and priority classes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found, Reason};
use super::super::read::{entries, items, text};
use super::pod::{has_entries, taint_effect};
use super::{against, one_of, resources, show};

/// Source: kubernetes v1.36.3 validation.go `ValidateNode`.
pub(super) fn validate_node(object: &Value, found: &mut Found) {
    let at = At::ROOT.alias("metadata.taints", "spec.taints");
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
            let shown = serde_json::json!({
                "Key": key, "Value": value, "Effect": effect, "TimeAdded": taint["timeAdded"],
            });
            let shown = show(&shown, &["Key", "Value", "Effect", "TimeAdded"]);
            let shown = format!("{shown}: taints must be unique by key and effect pair");
            found.duplicate(&here, &shown);
        }
    }
    let list = At::ROOT.field("spec.podCIDRs");
    let ranges = pod_ranges(&object["spec"]);
    for (index, range) in ranges.iter().enumerate() {
        against(&list.index(index), range, &names::cidr(range), found);
    }
    let versions: Vec<bool> = ranges.iter().map(|range| range.contains(':')).collect();
    if ranges.len() > 2 || ranges.len() == 2 && versions[0] == versions[1] {
        let why = "may specify no more than one CIDR for each IP family";
        found.invalid(&list, &object["spec"]["podCIDRs"], why);
    }
    let status = &object["status"];
    for kind in ["capacity", "allocatable"] {
        for (name, value) in entries(&status[kind]) {
            let shown = format!("{kind}.{name}");
            let real = format!("{kind}[{name}]");
            resources::amount(&At::ROOT.field("status").alias(&shown, &real), name, value, found);
        }
    }
    if !has_entries(&status["allocatable"]) && !has_entries(&status["capacity"]) {
        let message = "this node has no status.allocatable: it takes no pod".to_owned();
        let problem = found.add(&At::ROOT.field("status"), Reason::Required, message);
        problem.is_error = false;
    }
}

/// The ranges of addresses of a node's pods: the second field counts beside the first one only.
pub(super) fn pod_ranges(spec: &Value) -> Vec<String> {
    let first = text(&spec["podCIDR"]);
    let list = items(&spec["podCIDRs"]);
    match (first, list.first()) {
        ("", _) => Vec::new(),
        (first, Some(head)) if head == first => list.iter().map(|r| text(r).to_owned()).collect(),
        (first, _) => vec![first.to_owned()],
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
        let why = format!("{why}. error: {name} is not a known system priority class");
        found.forbidden(&At::ROOT.field("metadata.name"), &why);
    }
    if !system && value.as_i64().is_some_and(|value| value > USER_MAX) {
        let why = format!("maximum allowed value of a user defined priority is {USER_MAX}");
        found.forbidden(&At::ROOT.field("value"), &why);
    }
    const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];
    one_of(&At::ROOT.field("preemptionPolicy"), &object["preemptionPolicy"], &POLICIES, found);
}
