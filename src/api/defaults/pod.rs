//! Pods, their containers, probes and volumes.

use serde_json::{Map, Value, json};

use super::super::read::{deep_mut, default, map_mut, maps_mut, text};
use super::super::requests::fill_requests;
use super::image::pull_policy;
use super::{fill_number, fill_text};

/// Fills in a pod that stands alone: its specification, and what templates get only once a pod is
/// made of them.
pub(in super::super) fn default_bare_pod(object: &mut Value) {
    if let Some(spec) = deep_mut(object, &["spec"]) {
        default_pod_spec(spec);
        default(spec, "enableServiceLinks", true);
        if spec.get("hostNetwork").is_some_and(|on| on == true) {
            default_host_ports(spec);
        }
    }
    if let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) {
        fill_requests(spec);
    }
}

/// The pod that is made of a template, with what is filled in then.
pub(in super::super) fn pod_view(template: &Value) -> Value {
    let mut pod = json!({ "metadata": template["metadata"], "spec": template["spec"] });
    default_bare_pod(&mut pod);
    pod
}

/// In the node's network a container's port is the node's port.
fn default_host_ports(spec: &mut Map<String, Value>) {
    for list in ["containers", "initContainers"] {
        for container in maps_mut(spec, list) {
            for port in maps_mut(container, "ports") {
                let own = port.get("containerPort").cloned().unwrap_or_default();
                if own.as_i64().is_some_and(|own| own != 0) {
                    let unset = port.get("hostPort").is_none_or(|host| host == 0);
                    if unset {
                        port.insert("hostPort".to_owned(), own);
                    }
                }
            }
        }
    }
}

/// Fills in a pod's specification, of a template too.
///
/// Source: kubernetes v1.36.3 pkg/apis/core/v1/defaults.go `SetDefaults_PodSpec` and those below.
pub(in super::super) fn default_pod_spec(spec: &mut Map<String, Value>) {
    fill_text(spec, "dnsPolicy", "ClusterFirst");
    fill_text(spec, "restartPolicy", "Always");
    default(spec, "securityContext", Map::new());
    default(spec, "terminationGracePeriodSeconds", 30);
    fill_text(spec, "schedulerName", "default-scheduler");
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        maps_mut(spec, list).for_each(default_container);
    }
    maps_mut(spec, "volumes").for_each(default_volume);
    if let Some(resources) = map_mut(spec, "resources") {
        round_amounts(resources);
    }
}

fn default_container(container: &mut Map<String, Value>) {
    let policy = pull_policy(text(container.get("image").unwrap_or(&Value::Null)));
    fill_text(container, "imagePullPolicy", policy);
    fill_text(container, "terminationMessagePath", "/dev/termination-log");
    fill_text(container, "terminationMessagePolicy", "File");
    default(container, "resources", Map::new());
    if let Some(resources) = map_mut(container, "resources") {
        round_amounts(resources);
    }
    for port in maps_mut(container, "ports") {
        fill_text(port, "protocol", "TCP");
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = map_mut(container, probe) {
            default_probe(probe);
        }
    }
    if let Some(lifecycle) = map_mut(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = map_mut(lifecycle, hook) {
                default_http(hook);
            }
        }
    }
    for variable in maps_mut(container, "env") {
        if let Some(source) = map_mut(variable, "valueFrom") {
            default_field_ref(source);
            if let Some(source) = map_mut(source, "resourceFieldRef") {
                default(source, "divisor", "0");
            }
            if let Some(source) = map_mut(source, "fileKeyRef") {
                default(source, "optional", false);
            }
        }
    }
    if let Some(context) = map_mut(container, "securityContext")
        && context.get("procMount").is_some_and(Value::is_null)
    {
        context.remove("procMount");
    }
}

/// Rule N80.
fn default_probe(probe: &mut Map<String, Value>) {
    fill_number(probe, "timeoutSeconds", 1);
    fill_number(probe, "periodSeconds", 10);
    fill_number(probe, "successThreshold", 1);
    fill_number(probe, "failureThreshold", 3);
    default_http(probe);
    if let Some(grpc) = map_mut(probe, "grpc") {
        default(grpc, "service", "");
    }
}

fn default_http(handler: &mut Map<String, Value>) {
    if let Some(http) = map_mut(handler, "httpGet") {
        fill_text(http, "path", "/");
        fill_text(http, "scheme", "HTTP");
    }
}

fn default_field_ref(source: &mut Map<String, Value>) {
    if let Some(field) = map_mut(source, "fieldRef") {
        fill_text(field, "apiVersion", "v1");
    }
}

/// Amounts finer than a thousandth are rounded up to it.
fn round_amounts(resources: &mut Map<String, Value>) {
    for kind in ["limits", "requests"] {
        for amount in map_mut(resources, kind).into_iter().flat_map(Map::values_mut) {
            let Some(quantity) = super::super::read::quantity(amount) else {
                continue;
            };
            let milli = quantity.milli_value();
            let rounded = crate::base::Quantity::from_milli(milli, quantity.format());
            // Beyond the range of thousandths nothing is finer than one.
            if rounded > quantity && milli.unsigned_abs() < 1 << 53 {
                *amount = rounded.canonical().into();
            }
        }
    }
}

fn default_volume(volume: &mut Map<String, Value>) {
    if !volume.iter().any(|(key, value)| key != "name" && !value.is_null()) {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for mode in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = map_mut(volume, mode) {
            default(source, "defaultMode", 420);
        }
    }
    if let Some(api) = map_mut(volume, "downwardAPI") {
        maps_mut(api, "items").for_each(default_field_ref);
    }
    if let Some(projected) = map_mut(volume, "projected") {
        for source in maps_mut(projected, "sources") {
            if let Some(token) = map_mut(source, "serviceAccountToken") {
                default(token, "expirationSeconds", 3_600);
            }
            if let Some(api) = map_mut(source, "downwardAPI") {
                maps_mut(api, "items").for_each(default_field_ref);
            }
        }
    }
    let fields: [(&str, &str, Value); 11] = [
        ("hostPath", "type", "".into()),
        ("iscsi", "iscsiInterface", "default".into()),
        ("rbd", "pool", "rbd".into()),
        ("rbd", "user", "admin".into()),
        ("rbd", "keyring", "/etc/ceph/keyring".into()),
        ("azureDisk", "cachingMode", "ReadWrite".into()),
        ("azureDisk", "kind", "Shared".into()),
        ("azureDisk", "fsType", "ext4".into()),
        ("azureDisk", "readOnly", false.into()),
        ("scaleIO", "storageMode", "ThinProvisioned".into()),
        ("scaleIO", "fsType", "xfs".into()),
    ];
    for (source, field, value) in fields {
        if let Some(source) = map_mut(volume, source) {
            default(source, field, value);
        }
    }
    let claim = map_mut(volume, "ephemeral").and_then(|e| map_mut(e, "volumeClaimTemplate"));
    if let Some(spec) = claim.and_then(|claim| map_mut(claim, "spec")) {
        default(spec, "volumeMode", "Filesystem");
    }
}
