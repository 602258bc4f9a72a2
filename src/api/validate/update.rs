//! Objects that are changed: what may not change, and what else new ones are held to.
//!
//! Source: kubernetes v1.36.3 pkg/apis/*/validation/validation.go `Validate…Update`,
//! staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go (recorded). Differs: where the
//! API server tells the difference of two texts, the message ends before it.

use serde_json::Value;

use super::super::internal;
use super::super::kinds::Kind;
use super::super::problem::{At, Found};
use super::super::read::{is_set, items, quantity, text};
use super::{metadata, node, of_kind, show, storage};

const IMMUTABLE: &str = "field is immutable";

/// What a changed object is held to by its kind.
pub(in super::super) fn validate_update(kind: Kind, old: &Value, new: &Value, found: &mut Found) {
    if kind != Kind::PodDisruptionBudget {
        metadata_update(kind, old, new, found);
        metadata::of_kind(kind, &new["metadata"], found);
    }
    of_kind(kind, new, Some(old), found);
    let at = At::ROOT.field("spec");
    match kind {
        Kind::Pod => pod(old, new, found),
        Kind::Deployment | Kind::ReplicaSet | Kind::DaemonSet => {
            immutable(old, new, &["spec", "selector"], found);
        }
        Kind::StatefulSet => stateful_set(old, new, found),
        Kind::Job => job(old, new, found),
        Kind::Service => service(old, new, found),
        Kind::PersistentVolumeClaim => claim(old, new, found),
        Kind::Node => node_update(old, new, found),
        Kind::ConfigMap | Kind::Secret => data(kind, old, new, found),
        Kind::PriorityClass => {
            if old["value"] != new["value"] {
                found.forbidden(&At::ROOT.field("value"), "may not be changed in an update.");
            }
            immutable(old, new, &["preemptionPolicy"], found);
        }
        Kind::StorageClass => {
            for field in ["parameters", "provisioner", "reclaimPolicy"] {
                let same = old[field] == new[field];
                if !same && field == "parameters" {
                    let why = "updates to parameters are forbidden.";
                    found.forbidden(&At::ROOT.field(field), why);
                } else if !same {
                    immutable(old, new, &[field], found);
                }
            }
            immutable(old, new, &["volumeBindingMode"], found);
        }
        Kind::RoleBinding => {
            let role = &new["roleRef"];
            if old["roleRef"] != *role {
                let shown = serde_json::json!({
                    "APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"],
                });
                let shown = show(&shown, &["APIGroup", "Kind", "Name"]);
                found.invalid(&At::ROOT.field("roleRef"), &shown, "cannot change roleRef");
            }
        }
        Kind::RuntimeClass => immutable(old, new, &["handler"], found),
        Kind::ResourceQuota => {
            immutable(old, new, &["spec", "scopes"], found);
            immutable(old, new, &["spec", "scopeSelector"], found);
        }
        Kind::PersistentVolume => {
            let source = |of: &Value| {
                let mut spec = of["spec"].clone();
                if let Some(spec) = spec.as_object_mut() {
                    for field in storage::NOT_SOURCES {
                        spec.remove(field);
                    }
                }
                spec
            };
            if source(old) != source(new) {
                let why = "spec.persistentvolumesource is immutable after creation";
                found.forbidden(&at.alias("persistentvolumesource", ""), why);
            }
            immutable(old, new, &["spec", "volumeMode"], found);
        }
        _ => {}
    }
}

/// What every changed object is held to, once its kind has nothing against it.
pub(in super::super) fn validate_generic_update(
    kind: Kind,
    old: &Value,
    new: &Value,
    found: &mut Found,
) {
    metadata_update(kind, old, new, found);
    metadata::generic(kind, &new["metadata"], found);
}

/// Source: `ValidateObjectMetaAccessorUpdate`.
fn metadata_update(kind: Kind, old: &Value, new: &Value, found: &mut Found) {
    let at = At::ROOT.field("metadata");
    let (old, new) = (&old["metadata"], &new["metadata"]);
    let scope: &[&str] = if kind.is_namespaced() { &["name", "namespace"] } else { &["name"] };
    for field in scope.iter().chain(&["uid"]) {
        if text(&old[*field]) != text(&new[*field]) {
            found.invalid_text(&at.field(field), text(&new[*field]), IMMUTABLE);
        }
    }
    if old["creationTimestamp"] != new["creationTimestamp"] {
        found.invalid(&at.field("creationTimestamp"), &new["creationTimestamp"], IMMUTABLE);
    }
    if new["generation"].as_i64() < old["generation"].as_i64() {
        let why = "must not be decremented";
        found.invalid(&at.field("generation"), &new["generation"], why);
    }
    if is_set(&old["deletionTimestamp"]) {
        let held = items(&old["finalizers"]);
        let added: Vec<&Value> =
            items(&new["finalizers"]).iter().filter(|own| !held.contains(own)).collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers {added:?}"
            );
            found.forbidden(&at.field("finalizers"), &why);
        }
    }
    metadata::common(new, found);
}

/// A field that keeps its value.
fn immutable(old: &Value, new: &Value, path: &[&str], found: &mut Found) {
    let of = |value: &Value| path.iter().fold(value.clone(), |value, key| value[*key].clone());
    if of(old) != of(new) {
        let name = path.join(".");
        found.invalid(&At::ROOT.field(&name), &of(new), IMMUTABLE);
    }
}

/// The fields of a pod that may change are images, the deadline, tolerations that are added, and
/// a grace period below zero that becomes 1; gates and selectors while gates hold it.
fn pod(old: &Value, new: &Value, found: &mut Found) {
    let (before, after) = (&old["spec"], &new["spec"]);
    let at = At::ROOT.field("spec");
    for list in ["containers", "initContainers"] {
        let (own, here) = (items(&after[list]), at.field(list));
        if own.len() != items(&before[list]).len() {
            found.forbidden(&here, "pod updates may not add or remove containers");
            return; // The lists cannot be compared.
        }
        for (index, container) in own.iter().enumerate() {
            super::pod::image(container, &here.index(index), found);
        }
    }
    deadline(before, after, &at, found);
    let gated = !items(&before["schedulingGates"]).is_empty();
    let added = |gate: &&Value| !items(&before["schedulingGates"]).contains(gate);
    let list = at.field("schedulingGates");
    for (index, gate) in items(&after["schedulingGates"]).iter().enumerate() {
        if added(&gate) {
            let why = format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                text(&gate["name"])
            );
            found.forbidden(&list.index(index).field("name"), &why);
        }
    }
    tolerations(before, after, &at.field("tolerations"), found);
    let mut allowed = after.clone();
    for list in ["containers", "initContainers"] {
        for (index, container) in items(&before[list]).iter().enumerate() {
            allowed[list][index]["image"] = container["image"].clone();
        }
    }
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        keep(before, &mut allowed, field);
    }
    let negative = before["terminationGracePeriodSeconds"].as_i64().is_some_and(|n| n < 0);
    if negative && after["terminationGracePeriodSeconds"] == 1 {
        keep(before, &mut allowed, "terminationGracePeriodSeconds");
    }
    if gated {
        keep(before, &mut allowed, "nodeSelector");
        if is_set(&before["affinity"]) || is_set(&after["affinity"]) {
            keep(before, &mut allowed, "affinity");
        }
    }
    if allowed != *before {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,\
                   `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` \
                   (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
                   (allow it to be set to 1 if it was previously negative)";
        found.forbidden(&at, why);
    }
}

/// Puts back what may change.
fn keep(before: &Value, allowed: &mut Value, field: &str) {
    let Some(allowed) = allowed.as_object_mut() else { return };
    match before.get(field) {
        Some(value) => allowed.insert(field.to_owned(), value.clone()),
        None => allowed.remove(field),
    };
}

fn deadline(before: &Value, after: &Value, at: &At<'_>, found: &mut Found) {
    let here = at.field("activeDeadlineSeconds");
    let (old, new) = (&before["activeDeadlineSeconds"], &after["activeDeadlineSeconds"]);
    match (old.as_i64(), new.as_i64()) {
        (_, Some(number)) if !(0..=2_147_483_647).contains(&number) => {
            let why = "must be between 0 and 2147483647, inclusive";
            found.invalid(&here, new, why);
        }
        (Some(old), Some(number)) if old < number => {
            let why = "must be less than or equal to previous value";
            found.invalid(&here, new, why);
        }
        (Some(_), None) => {
            let why = "must not update from a positive integer to nil value";
            found.invalid(&here, &Value::Null, why);
        }
        _ => {}
    }
}

/// Tolerations are only added, or bounded in time otherwise.
fn tolerations(before: &Value, after: &Value, at: &At<'_>, found: &mut Found) {
    let plain = |toleration: &Value| {
        let mut toleration = toleration.clone();
        if let Some(map) = toleration.as_object_mut() {
            map.remove("tolerationSeconds");
        }
        toleration
    };
    let kept = |old: &&Value| {
        items(&after["tolerations"])
            .iter()
            .any(|new| new == *old || old["effect"] == "NoExecute" && plain(new) == plain(old))
    };
    if !items(&before["tolerations"]).iter().all(|old| kept(&old)) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        found.forbidden(at, why);
    }
}

fn stateful_set(old: &Value, new: &Value, found: &mut Found) {
    let fixed = |of: &Value| {
        let mut spec = of["spec"].clone();
        if let Some(spec) = spec.as_object_mut() {
            for field in [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ] {
                spec.remove(field);
            }
            spec.retain(|_, value| *value != "");
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                   'template', 'updateStrategy', 'revisionHistoryLimit', \
                   'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        found.forbidden(&At::ROOT.field("spec"), why);
    }
}

/// Rule C114: a suspended Job that has not begun may change where its pods are placed.
fn job(old: &Value, new: &Value, found: &mut Found) {
    let (before, after) = (&old["spec"], &new["spec"]);
    completions(before, after, found);
    immutable(old, new, &["spec", "selector"], found);
    pod_template(old, new, found);
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy"] {
        if field != "managedBy" || before["suspend"] != true {
            immutable(old, new, &["spec", field], found);
        }
    }
    immutable(old, new, &["spec", "successPolicy"], found);
}

fn completions(before: &Value, after: &Value, found: &mut Found) {
    if before["completions"] == after["completions"] {
        return;
    }
    let here = At::ROOT.field("spec.completions");
    let shown = &after["completions"];
    let elastic = after["completionMode"] == "Indexed"
        && before["completionMode"] == "Indexed"
        && is_set(&before["completions"]);
    if after["completionMode"] == "Indexed" && elastic {
        if after["completions"] != after["parallelism"] {
            let why = "can only be modified in tandem with spec.parallelism";
            found.invalid(&here, shown, why);
        }
    } else if after["completionMode"] == "Indexed" {
        let why = "can only be modified in tandem with spec.parallelism";
        found.invalid(&here, shown, why);
    } else {
        found.invalid(&here, shown, IMMUTABLE);
    }
}

fn pod_template(old: &Value, new: &Value, found: &mut Found) {
    let (before, mut after) = (&old["spec"]["template"], new["spec"]["template"].clone());
    let suspended = old["spec"]["suspend"] == true || new["spec"]["suspend"] == true;
    let begun = is_set(&old["status"]["startTime"]);
    if suspended && !begun && old["spec"]["suspend"] == true {
        for field in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
            if let Some(spec) = after.get_mut("spec") {
                keep(&before["spec"], spec, field);
            }
        }
        for field in ["labels", "annotations"] {
            if let (Some(metadata), true) =
                (after.get_mut("metadata"), before["metadata"].is_object())
            {
                keep(&before["metadata"], metadata, field);
            }
        }
    }
    if *before != after {
        let shown = internal::pod_template(&new["spec"]["template"]);
        let at = At::ROOT.field("spec.template");
        let inner = suspended && before["metadata"] == after["metadata"];
        let at = if inner { at.field("spec") } else { at };
        found.invalid(&at, &shown, IMMUTABLE);
    }
}

/// The first address of a Service stays, unless it becomes one without or was one.
fn service(old: &Value, new: &Value, found: &mut Found) {
    let (before, after) = (&old["spec"], &new["spec"]);
    if before["type"] == "ExternalName" || after["type"] == "ExternalName" {
        return;
    }
    let at = At::ROOT.field("spec");
    let both = before["type"] == "LoadBalancer" && after["type"] == "LoadBalancer";
    if both && before["loadBalancerClass"] != after["loadBalancerClass"] {
        let why = "may not change once set";
        found.invalid(&at.field("loadBalancerClass"), &after["loadBalancerClass"], why);
    }
    let (had, has) = (items(&before["clusterIPs"]), items(&after["clusterIPs"]));
    if let (Some(first), second) = (had.first(), has.first())
        && second != Some(first)
        && !text(first).is_empty()
    {
        let list = at.alias("clusterIPs", "clusterIP");
        let here = list.alias("[0]", "");
        match second {
            None => found.invalid(&here, &Value::Null, "primary clusterIP can not be unset"),
            Some(_) => found.invalid(&here, &after["clusterIPs"], "may not change once set"),
        }
    }
}

/// Rule S108: a bound claim may ask for more.
fn claim(old: &Value, new: &Value, found: &mut Found) {
    let (before, after) = (&old["spec"], &new["spec"]);
    let at = At::ROOT.field("spec");
    let mut allowed = after.clone();
    // The volume is set once, by the controller that binds.
    if text(&before["volumeName"]).is_empty() {
        keep(before, &mut allowed, "volumeName");
    }
    if !is_set(&before["storageClassName"]) && is_set(&after["storageClassName"]) {
        // A class is set once where none was written: there is a default one now.
        keep(before, &mut allowed, "storageClassName");
    }
    let bound = old["status"]["phase"] == "Bound";
    if bound {
        keep(before, &mut allowed, "volumeAttributesClassName");
        if let Some(resources) = allowed.get_mut("resources") {
            keep(&before["resources"], resources, "requests");
        }
    }
    if allowed != *before {
        let why = "spec is immutable after creation except resources.requests and \
                   volumeAttributesClassName for bound claims";
        found.forbidden(&at, why);
    } else if bound {
        let size = |spec: &Value| quantity(&spec["resources"]["requests"]["storage"]);
        let given = quantity(&old["status"]["capacity"]["storage"]);
        if size(after) < size(before) && given.is_some() && size(after) <= given {
            let here = at.field("resources.requests.storage");
            found.forbidden(&here, "field can not be less than status.capacity");
        }
    }
}

fn node_update(old: &Value, new: &Value, found: &mut Found) {
    let (before, after) = (&old["spec"], &new["spec"]);
    let at = At::ROOT.field("spec");
    let had = node::pod_ranges(before);
    if !had.is_empty() && had != node::pod_ranges(after) {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        found.forbidden(&at.field("podCIDRs"), why);
    }
    let provider = |spec: &Value| text(&spec["providerID"]).to_owned();
    if !provider(before).is_empty() && provider(before) != provider(after) {
        let why = "node updates may not change providerID except from \"\" to valid";
        found.forbidden(&at.field("providerID"), why);
    }
}

fn data(kind: Kind, old: &Value, new: &Value, found: &mut Found) {
    if kind == Kind::Secret {
        immutable(old, new, &["type"], found);
    }
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        let why = "field is immutable when `immutable` is set";
        found.forbidden(&At::ROOT.field("immutable"), why);
    }
    // What is given as stringData becomes data.
    let same = |field: &str| old[field] == new[field];
    for (field, is_same) in
        [("data", same("data") && same("stringData")), ("binaryData", same("binaryData"))]
    {
        if !is_same {
            let why = "field is immutable when `immutable` is set";
            found.forbidden(&At::ROOT.field(field), why);
        }
    }
}
