//! A pod that is resized: what may change through its subresource `resize`.
//!
//! Source: kubernetes v1.36.3 pkg/apis/core/validation/validation.go `ValidatePodResize` (rule
//! N104).

use serde_json::Value;

use super::super::kinds::Kind;
use super::super::problem::{At, Found};
use super::super::read::{entries, items, text};
use super::super::requests::{list, qos_class};
use super::of_kind;
use crate::model::QosClass;

/// What a resized pod is held to.
pub(in super::super) fn validate_resize(old: &Value, new: &Value, found: &mut Found) {
    let at = At::ROOT.field("spec");
    if old["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
        return found.forbidden(&At::ROOT, "static pods cannot be resized");
    }
    of_kind(Kind::Pod, new, Some(old), found);
    let (before, after) = (&old["spec"], &new["spec"]);
    let class = qos_class(after);
    if qos_class(before) != class {
        let class = match class {
            QosClass::Guaranteed => "Guaranteed",
            QosClass::Burstable => "Burstable",
            QosClass::BestEffort => "BestEffort",
        };
        let why = "Pod QOS Class may not change as a result of resizing";
        found.invalid_text(&at, class, why);
    }
    let mut has_others = false;
    for kind in ["containers", "initContainers"] {
        let pairs = items(&before[kind]).iter().zip(items(&after[kind]));
        for (index, (was, is)) in pairs.enumerate() {
            let list_at = at.field(kind);
            let place = list_at.index(index);
            let here = place.field("resources");
            if kind == "initContainers"
                && is["restartPolicy"] != "Always"
                && was["resources"] != is["resources"]
            {
                let why = "resources for non-sidecar init containers are immutable";
                found.forbidden(&here, why);
            }
            for part in ["requests", "limits"] {
                let (had, has) = (list(&was["resources"][part]), list(&is["resources"][part]));
                has_others |= others(&was["resources"][part]) != others(&is["resources"][part]);
                let is_gone = |name: &&String| is_mutable(name) && !has.contains_key(*name);
                if had.keys().any(|name| is_gone(&name)) {
                    let why = format!("resource {part} cannot be removed");
                    found.forbidden(&here.field(part), &why);
                }
            }
        }
    }
    if has_others {
        found.forbidden(&at, "only cpu and memory resources are mutable");
    }
}

fn is_mutable(name: &str) -> bool {
    matches!(name, "cpu" | "memory")
}

fn others(amounts: &Value) -> Vec<(&str, &Value)> {
    entries(amounts).filter(|(name, _)| !is_mutable(name)).collect()
}

/// The old pod with amounts and resize policies of the new one; whatever else a client changes
/// through this subresource is dropped.
///
/// Source: kubernetes v1.36.3 pkg/registry/core/pod/strategy.go `dropNonResizeUpdates`.
pub(in super::super) fn only_resized(old: &Value, new: &Value) -> Value {
    let mut kept = old.clone();
    for kind in ["containers", "initContainers"] {
        let Some(containers) = kept["spec"].get_mut(kind).and_then(Value::as_array_mut) else {
            continue;
        };
        for container in containers {
            let name = text(&container["name"]).to_owned();
            let named = |other: &&Value| text(&other["name"]) == name;
            let Some(own) = items(&new["spec"][kind]).iter().find(named) else { continue };
            for field in ["resources", "resizePolicy"] {
                match own.get(field) {
                    Some(value) => container[field] = value.clone(),
                    None => drop(container.as_object_mut().map(|own| own.remove(field))),
                }
            }
        }
    }
    kept
}
