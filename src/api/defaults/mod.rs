//! What the API server fills in.
//!
//! Source: kubernetes v1.36.3 pkg/apis/{core/v1,apps/v1,autoscaling/v1,autoscaling/v2}/defaults.go
//! (recorded). Differs: status is not filled but for claims and volumes; an autoscaler of an older
//! version becomes one of `autoscaling/v2`.

mod hpa;
mod image;
mod pod;
mod workload;

use serde_json::{Map, Value, json};

use super::canonical::canonical;
use super::kinds::Kind;
use super::read::{deep_mut, default, map_mut, maps_mut, text};

pub(super) use pod::{default_bare_pod, default_pod_spec, pod_view};

/// Fills in what the API server fills in. Never fails: what has the wrong type stays as it is.
pub fn default_object(kind: Kind, object: &mut Value) {
    canonical(kind, object);
    match kind {
        Kind::Pod => default_bare_pod(object),
        Kind::Deployment => workload::default_deployment(object),
        Kind::ReplicaSet => workload::default_replica_set(object),
        Kind::StatefulSet => workload::default_stateful_set(object),
        Kind::DaemonSet => workload::default_daemon_set(object),
        Kind::Job => workload::default_job(object),
        Kind::CronJob => workload::default_cron_job(object),
        Kind::ReplicationController => workload::default_replication_controller(object),
        Kind::Service => default_service(object),
        Kind::HorizontalPodAutoscaler => hpa::default_hpa(object),
        Kind::LimitRange => super::admission::default_limit_range(object),
        Kind::Node => default_node(object),
        Kind::NetworkPolicy => default_network_policy(object),
        Kind::RoleBinding => {
            if let Some(role) = deep_mut(object, &["roleRef"]) {
                fill_text(role, "apiGroup", "rbac.authorization.k8s.io");
            }
        }
        Kind::PriorityClass => {
            if let Some(object) = object.as_object_mut() {
                default(object, "preemptionPolicy", "PreemptLowerPriority");
                default(object, "value", 0); // no pointer in Go
            }
        }
        Kind::Secret => {
            if let Some(object) = object.as_object_mut() {
                default(object, "type", "Opaque");
            }
        }
        Kind::PersistentVolumeClaim | Kind::PersistentVolume => {
            if let Some(spec) = deep_mut(object, &["spec"]) {
                default(spec, "volumeMode", "Filesystem");
                if kind == Kind::PersistentVolume {
                    fill_text(spec, "persistentVolumeReclaimPolicy", "Retain");
                }
            }
            if let Some(claim) = object.as_object_mut() {
                workload::default_claim_status(claim);
            }
        }
        Kind::StorageClass => {
            if let Some(object) = object.as_object_mut() {
                default(object, "reclaimPolicy", "Delete");
                default(object, "volumeBindingMode", "Immediate");
            }
        }
        Kind::ConfigMap
        | Kind::Namespace
        | Kind::ServiceAccount
        | Kind::CsiNode
        | Kind::CsiDriver
        | Kind::CsiStorageCapacity
        | Kind::VolumeAttachment
        | Kind::ResourceQuota
        | Kind::RuntimeClass
        | Kind::Ingress
        | Kind::PodDisruptionBudget => {}
    }
}

fn default_template(spec: &mut Map<String, Value>) {
    default(spec, "template", Map::new());
    if let Some(template) = map_mut(spec, "template") {
        default(template, "spec", Map::new());
    }
    if let Some(pod) = map_mut(spec, "template").and_then(|template| map_mut(template, "spec")) {
        default_pod_spec(pod);
    }
}

/// Rule C183.
fn default_service(object: &mut Value) {
    let Some(spec) = deep_mut(object, &["spec"]) else {
        return;
    };
    fill_text(spec, "sessionAffinity", "None");
    if spec.get("sessionAffinity").is_some_and(|kind| kind == "None") {
        spec.remove("sessionAffinityConfig");
    }
    if spec.get("sessionAffinity").is_some_and(|kind| kind == "ClientIP") {
        default(spec, "sessionAffinityConfig", json!({ "clientIP": { "timeoutSeconds": 10_800 } }));
    }
    fill_text(spec, "type", "ClusterIP");
    for port in maps_mut(spec, "ports") {
        fill_text(port, "protocol", "TCP");
        let unset = port.get("targetPort").is_none_or(|target| target == 0 || target == "");
        if unset && let Some(own) = port.get("port").cloned() {
            port.insert("targetPort".to_owned(), own);
        }
    }
    let kind = text(spec.get("type").unwrap_or(&Value::Null)).to_owned();
    let has_external =
        spec.get("externalIPs").is_some_and(|ips| !super::read::items(ips).is_empty());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || kind == "ClusterIP" && has_external {
        fill_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// Source: kubernetes v1.36.3 pkg/apis/networking/v1/defaults.go.
fn default_network_policy(object: &mut Value) {
    let Some(spec) = deep_mut(object, &["spec"]) else { return };
    for list in ["ingress", "egress"] {
        for rule in maps_mut(spec, list) {
            maps_mut(rule, "ports").for_each(|port| default(port, "protocol", "TCP"));
        }
    }
    let has = |list: &str| spec.get(list).is_some_and(|own| !super::read::items(own).is_empty());
    if !has("policyTypes") {
        let kinds: &[&str] = if has("egress") { &["Ingress", "Egress"] } else { &["Ingress"] };
        spec.insert("policyTypes".to_owned(), json!(kinds));
    }
}

fn default_node(object: &mut Value) {
    let Some(status) = deep_mut(object, &["status"]) else {
        return;
    };
    if let Some(capacity) = status.get("capacity").cloned() {
        default(status, "allocatable", capacity);
    }
}

/// Fills a text in where it is absent or empty: fields that are no pointers in Kubernetes.
fn fill_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    if map.get(key).is_none_or(|present| present.is_null() || present == "") {
        map.insert(key.to_owned(), value.into());
    }
}

/// Fills a number in where it is absent or 0: fields that are no pointers in Kubernetes.
fn fill_number(map: &mut Map<String, Value>, key: &str, value: i64) {
    if map.get(key).is_none_or(|present| present.is_null() || present == 0) {
        map.insert(key.to_owned(), value.into());
    }
}
