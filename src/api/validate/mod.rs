//! What the API server would refuse, as far as it matters here; all at once.
//!
//! Source: kubernetes v1.36.3 pkg/apis/{core,apps,autoscaling}/validation/validation.go,
//! staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go (recorded). Objects are looked
//! at with their defaults. Differs: places are those of the field in the manifest (the API server
//! says `metadata.taints` for `spec.taints`), labels are located to the label; what an object names
//! elsewhere is not asked for; amounts beyond 2^50 are refused.

mod affinity;
mod container;
mod hpa;
mod node;
mod pod;
mod resources;
mod service;
mod storage;
mod volumes;
mod workload;

use serde_json::Value;

use super::kinds::Kind;
use super::names;
use super::problem::{At, Found};
use super::read::{entries, items, text};

/// Validates an object with its defaults.
pub(super) fn validate(kind: Kind, object: &Value, found: &mut Found) {
    let name_rule = match kind {
        Kind::Service | Kind::Namespace => names::dns_label,
        _ => names::dns_subdomain,
    };
    let namespaced = !matches!(
        kind,
        Kind::Node
            | Kind::Namespace
            | Kind::PriorityClass
            | Kind::PersistentVolume
            | Kind::StorageClass
            | Kind::CsiNode
            | Kind::CsiDriver
            | Kind::VolumeAttachment
            | Kind::RuntimeClass
    );
    metadata(&object["metadata"], name_rule, namespaced, found);
    match kind {
        Kind::Pod => pod::validate_pod(object, found),
        Kind::Deployment => workload::validate_deployment(object, found),
        Kind::ReplicaSet => workload::validate_replica_set(object, found),
        Kind::Service => service::validate_service(object, found),
        Kind::HorizontalPodAutoscaler => hpa::validate_hpa(object, found),
        Kind::Node => node::validate_node(object, found),
        Kind::PriorityClass => node::validate_priority_class(object, found),
        Kind::PersistentVolumeClaim => storage::validate_claim(object, found),
        Kind::PersistentVolume => storage::validate_volume(object, found),
        Kind::StorageClass => storage::validate_class(object, found),
        Kind::CsiStorageCapacity => storage::validate_capacity(object, found),
        Kind::VolumeAttachment => storage::validate_attachment(object, found),
        Kind::PodDisruptionBudget => storage::validate_budget(object, found),
        Kind::StatefulSet | Kind::DaemonSet | Kind::Job | Kind::CronJob => {}
        Kind::ReplicationController
        | Kind::ResourceQuota
        | Kind::LimitRange
        | Kind::RuntimeClass => {}
        Kind::CsiNode | Kind::CsiDriver => {}
        Kind::ConfigMap | Kind::Secret | Kind::Namespace | Kind::ServiceAccount => {}
    }
}

fn metadata(metadata: &Value, rule: fn(&str) -> Vec<String>, namespaced: bool, found: &mut Found) {
    let at = At::ROOT.field("metadata");
    let (name, prefix) = (text(&metadata["name"]), text(&metadata["generateName"]));
    if name.is_empty() && prefix.is_empty() {
        found.required(&at.field("name"), "name or generateName is required");
    }
    if !name.is_empty() {
        against(&at.field("name"), name, &rule(name), found);
    }
    if !prefix.is_empty() {
        // What follows the prefix is a letter or a digit.
        let complete = format!("{}a", prefix.strip_suffix('-').unwrap_or(prefix));
        against(&at.field("generateName"), prefix, &rule(&complete), found);
    }
    let namespace = text(&metadata["namespace"]);
    if namespaced && !namespace.is_empty() {
        against(&at.field("namespace"), namespace, &names::dns_label(namespace), found);
    }
    labels(&at.field("labels"), &metadata["labels"], found);
    annotations(&at.field("annotations"), &metadata["annotations"], found);
    owners(&metadata["ownerReferences"], &at.field("ownerReferences"), found);
    for (index, finalizer) in items(&metadata["finalizers"]).iter().enumerate() {
        let name = text(finalizer);
        let list = at.field("finalizers");
        let here = list.index(index);
        let faults = names::qualified_name(name);
        against(&here, name, &faults, found);
        let standard = matches!(name, "kubernetes" | "orphan" | "foregroundDeletion");
        if faults.is_empty() && !standard && !name.contains('/') {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            found.invalid_text(&here, name, why);
        }
    }
}

fn owners(list: &Value, at: &At<'_>, found: &mut Found) {
    let mut controllers = 0;
    for owner in items(list) {
        let version = text(&owner["apiVersion"]);
        if version.rsplit('/').next().unwrap_or("").is_empty() {
            found.invalid_text(&at.field("apiVersion"), version, "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(&owner[field]).is_empty() {
                found.invalid_text(&at.field(field), "", "must not be empty");
            }
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        let why = "only one reference can have controller set to true";
        found.invalid(at, list, why);
    }
}

/// Says each reason against a text.
fn against(at: &At<'_>, value: &str, why: &[String], found: &mut Found) {
    for why in why {
        found.invalid_text(at, value, why);
    }
}

fn labels(at: &At<'_>, labels: &Value, found: &mut Found) {
    for (key, value) in entries(labels) {
        let here = at.key(key);
        against(&here, key, &names::qualified_name(key), found);
        against(&here, text(value), &names::label_value(text(value)), found);
    }
}

fn annotations(at: &At<'_>, annotations: &Value, found: &mut Found) {
    for (key, _) in entries(annotations) {
        let lower = key.to_lowercase();
        against(&at.key(key), key, &names::qualified_name(&lower), found);
    }
}

/// One of these texts; empty counts as absent.
fn one_of(at: &At<'_>, value: &Value, known: &[&str], found: &mut Found) {
    let word = text(value);
    if !word.is_empty() && !known.contains(&word) {
        found.not_supported(at, word, known);
    }
}

fn not_negative(at: &At<'_>, value: &Value, found: &mut Found) {
    if value.as_i64().is_some_and(|number| number < 0) {
        found.invalid(at, value, "must be greater than or equal to 0");
    }
}

/// The number of a port; `value` may be absent.
fn port_number(at: &At<'_>, value: &Value, found: &mut Found) {
    if value.as_i64().is_some_and(|port| !(1..=65_535).contains(&port)) {
        found.invalid(at, value, "must be between 1 and 65535, inclusive");
    }
}

/// A port by number or name.
fn port_or_name(at: &At<'_>, value: &Value, found: &mut Found) {
    match value {
        Value::String(name) => against(at, name, &names::port_name(name), found),
        number => port_number(at, number, found),
    }
}

/// A label selector in its object form.
fn label_selector(at: &At<'_>, selector: &Value, found: &mut Found) {
    labels(&at.field("matchLabels"), &selector["matchLabels"], found);
    let list = at.field("matchExpressions");
    for (index, expression) in items(&selector["matchExpressions"]).iter().enumerate() {
        let here = list.index(index);
        let values = items(&expression["values"]);
        match text(&expression["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                found.required(&here.field("values"), why);
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                found.forbidden(&here.field("values"), why);
            }
            "Exists" | "DoesNotExist" => {}
            other => {
                found.invalid_text(&here.field("operator"), other, "not a valid selector operator");
            }
        }
        let key = text(&expression["key"]);
        against(&here.field("key"), key, &names::qualified_name(key), found);
        let list = here.field("values");
        for (index, value) in values.iter().enumerate() {
            let value = text(value);
            against(&list.index(index), value, &names::label_value(value), found);
        }
    }
}
