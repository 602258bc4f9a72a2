//! What the API server's admission does to an object that is created, beyond defaults and
//! validation: LimitRange, RuntimeClass and ResourceQuota.
//!
//! ```text
//! object with defaults ─ fill (LimitRange, RuntimeClass) ─► validated ─ check (LimitRange, then quota) ─► stored
//! ```
//!
//! Pure over trees: the caller brings what stands in the object's namespace.
//!
//! Source: kubernetes v1.36.3 plugin/pkg/admission/limitranger, plugin/pkg/admission/runtimeclass,
//! apiserver/pkg/admission/plugin/resourcequota (rules C185 to C188).

mod limit_range;
mod quota;

use serde_json::Value;

use super::kinds::Kind;
use super::read::{is_set, text};

pub use limit_range::default_limit_range;
pub use quota::{Quota, Usage, usage};

/// What admission reads of the object's namespace, and of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Surroundings<'a> {
    /// The LimitRanges of the namespace, by name, with their defaults.
    pub limit_ranges: Vec<&'a Value>,
    /// The RuntimeClasses of the cluster.
    pub runtime_classes: Vec<&'a Value>,
}

/// Fills in what admission fills in.
///
/// # Errors
/// A RuntimeClass that is not there, or overhead that contradicts it: the message of the refusal.
pub fn fill(kind: Kind, object: &mut Value, around: &Surroundings<'_>) -> Result<(), String> {
    if kind != Kind::Pod {
        return Ok(());
    }
    limit_range::fill_pod(object, &around.limit_ranges);
    set_overhead(object, &around.runtime_classes)
}

/// Whether the LimitRanges allow the object.
///
/// # Errors
/// The message of the refusal.
pub fn check_limits(kind: Kind, object: &Value, around: &Surroundings<'_>) -> Result<(), String> {
    let broken: Vec<String> = around
        .limit_ranges
        .iter()
        .flat_map(|range| limit_range::broken_by(kind, object, range))
        .collect();
    match broken.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

/// The service account of a pod: `default` where none is written; it must be there.
///
/// Source: kubernetes v1.36.3 plugin/pkg/admission/serviceaccount/admission.go. Its volumes are not
/// added.
///
/// # Errors
/// The message of the refusal.
pub fn service_account(pod: &mut Value, is_there: impl Fn(&str) -> bool) -> Result<(), String> {
    if text(&pod["spec"]["serviceAccountName"]).is_empty() {
        pod["spec"]["serviceAccountName"] = "default".into();
    }
    let name = text(&pod["spec"]["serviceAccountName"]);
    if is_there(name) {
        return Ok(());
    }
    let namespace = text(&pod["metadata"]["namespace"]);
    let namespace = if namespace.is_empty() { "default" } else { namespace };
    Err(format!(
        "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
    ))
}

/// The overhead of a pod's RuntimeClass.
///
/// Source: kubernetes v1.36.3 plugin/pkg/admission/runtimeclass/admission.go `setOverhead`,
/// `validateOverhead`.
fn set_overhead(pod: &mut Value, classes: &[&Value]) -> Result<(), String> {
    let name = text(&pod["spec"]["runtimeClassName"]).to_owned();
    if name.is_empty() {
        return Ok(());
    }
    let class = classes.iter().find(|class| class["metadata"]["name"] == name.as_str());
    let class = class.ok_or_else(|| format!("pod rejected: RuntimeClass \"{name}\" not found"))?;
    let fixed = &class["overhead"]["podFixed"];
    if is_set(&pod["spec"]["overhead"]) && pod["spec"]["overhead"] != *fixed {
        return Err(
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead".to_owned()
        );
    }
    if is_set(fixed) {
        pod["spec"]["overhead"] = fixed.clone();
    }
    Ok(())
}
