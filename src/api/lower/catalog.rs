//! Objects that decisions read beside nodes and pods: namespaces, budgets, selectors of owners.

use serde_json::Value;

use super::super::node_selector::lower_labels;
use super::super::read::{entries, int_or_string, is_set, text};
use super::{object_name, optional_selector};
use crate::base::Interner;
use crate::model::{DisruptionBudget, NamespaceSpec, Selector};

/// The label with the name, which the API server sets.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Lowers a Namespace.
pub fn lower_namespace(object: &Value, names: &mut Interner) -> NamespaceSpec {
    let name = names.intern(text(&object["metadata"]["name"]));
    let mut labels = lower_labels(&object["metadata"]["labels"], names);
    labels.set(names.intern(NAME_LABEL), name);
    NamespaceSpec { name, labels }
}

/// Lowers a PodDisruptionBudget with its status (rules C144, S179).
pub fn lower_budget(object: &Value, names: &mut Interner) -> DisruptionBudget {
    let (spec, status) = (&object["spec"], &object["status"]);
    DisruptionBudget {
        name: object_name(object, names),
        selector: optional_selector(&spec["selector"], names),
        min_available: int_or_string(&spec["minAvailable"]),
        max_unavailable: int_or_string(&spec["maxUnavailable"]),
        evicts_unhealthy: spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow",
        allowed: status["disruptionsAllowed"].as_i64().unwrap_or(0),
        disrupted: entries(&status["disruptedPods"]).map(|(pod, _)| names.intern(pod)).collect(),
    }
}

/// The selector of an owner of pods: a ReplicaSet, StatefulSet or ReplicationController, whose
/// selector is a plain mapping (rule S104).
pub fn lower_owner_selector(object: &Value, names: &mut Interner) -> Option<Selector> {
    let selector = &object["spec"]["selector"];
    let is_plain = entries(selector).all(|(_, value)| value.is_string());
    if is_set(selector) && is_plain && entries(selector).next().is_some() {
        return Some(Selector::from_labels(&lower_labels(selector, names)));
    }
    optional_selector(selector, names)
}
