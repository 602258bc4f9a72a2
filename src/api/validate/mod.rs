//! What the API server would refuse, as far as it matters here; all at once.
//!
//! Source: kubernetes v1.36.3 pkg/apis/{core,apps,autoscaling}/validation/validation.go,
//! staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go (recorded). Objects are looked
//! at with their defaults. Differs: what an object names elsewhere is not asked for; amounts beyond
//! 2^50 are refused.

mod affinity;
mod config;
mod container;
mod hpa;
mod job;
mod metadata;
mod network;
mod node;
mod pod;
mod resize;
mod resources;
mod security;
mod service;
mod sets;
mod storage;
mod update;
mod volumes;
mod workload;

pub(super) use job::JOB_LABELS;
pub(super) use metadata::generic as generic_metadata;
pub(super) use resize::{only_resized, validate_resize};
pub(super) use update::{validate_generic_update, validate_update};

use serde_json::Value;

use super::kinds::Kind;
use super::names;
use super::problem::{At, Found};
use super::read::{entries, items, text};

/// What a control plane was told to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Privileged containers (`kube-apiserver --allow-privileged`).
    pub privileged: bool,
}

impl Default for Allowed {
    /// What clusters of people have.
    fn default() -> Self {
        Self { privileged: true }
    }
}

/// What a new object is held to by its kind, with its defaults.
pub(super) fn validate(kind: Kind, object: &Value, allowed: Allowed, found: &mut Found) {
    let before = found.0.len();
    metadata::of_kind(kind, &object["metadata"], found);
    of_kind(kind, object, None, found);
    if !allowed.privileged {
        security::privileged(kind, object, found);
    }
    if kind == Kind::Pod {
        pod::only_new(object, found);
    }
    if kind == Kind::CronJob {
        metadata::short_name(object, found);
    }
    debug_assert!(found.0.len() >= before, "findings are only added");
}

/// What an object is held to by its kind, new or changed.
fn of_kind(kind: Kind, object: &Value, old: Option<&Value>, found: &mut Found) {
    match kind {
        Kind::Pod => pod::validate_pod(object, found),
        Kind::Deployment => workload::validate_deployment(object, found),
        Kind::ReplicaSet => workload::validate_replica_set(object, found),
        Kind::StatefulSet => sets::validate_stateful_set(object, found),
        Kind::DaemonSet => sets::validate_daemon_set(object, found),
        Kind::ReplicationController => sets::validate_replication_controller(object, found),
        Kind::Job => job::validate_job(object, found),
        Kind::CronJob => job::validate_cron_job(object, old, found),
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
        Kind::ConfigMap => config::validate_config_map(object, found),
        Kind::Secret => config::validate_secret(object, found),
        Kind::ResourceQuota => config::validate_quota(object, found),
        Kind::LimitRange => config::validate_limit_range(object, found),
        Kind::RuntimeClass => config::validate_runtime_class(object, found),
        Kind::Ingress => network::validate_ingress(object, found),
        Kind::NetworkPolicy => network::validate_network_policy(object, found),
        Kind::RoleBinding => network::validate_role_binding(object, found),
        Kind::CsiNode | Kind::CsiDriver | Kind::Namespace | Kind::ServiceAccount => {}
    }
}

/// A mapping as Go prints it: its keys in this order, without spaces.
fn show(value: &Value, keys: &[&str]) -> String {
    let pairs: Vec<String> = keys.iter().map(|key| format!("{key:?}:{}", value[*key])).collect();
    format!("{{{}}}", pairs.join(","))
}

/// Says each reason against a text.
fn against(at: &At<'_>, value: &str, why: &[String], found: &mut Found) {
    for why in why {
        found.invalid_text(at, value, why);
    }
}

/// All annotations of an object, in bytes.
const ANNOTATIONS_MAX: usize = 256 << 10;

fn labels(at: &At<'_>, labels: &Value, found: &mut Found) {
    for (key, value) in entries(labels) {
        let here = at.silent(key);
        against(&here, key, &names::qualified_name(key), found);
        against(&here, text(value), &names::label_value(text(value)), found);
    }
}

fn annotations(at: &At<'_>, annotations: &Value, found: &mut Found) {
    for (key, _) in entries(annotations) {
        let lower = key.to_lowercase();
        against(&at.silent(key), key, &names::qualified_name(&lower), found);
    }
    let size: usize = entries(annotations).map(|(key, value)| key.len() + text(value).len()).sum();
    if size > ANNOTATIONS_MAX {
        found.too_long(at, ANNOTATIONS_MAX);
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
