//! Containers, their ports, probes and hooks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{is_set, items, text};
use super::{against, not_negative, one_of, pod, port_number, port_or_name, resources, security};

/// All containers of a pod; `volumes` are the names of its volumes.
pub(super) fn validate_all(spec: &Value, at: &At<'_>, volumes: &BTreeSet<&str>, found: &mut Found) {
    let list = at.field("containers");
    if items(&spec["containers"]).is_empty() {
        found.required(&list, "");
    }
    let mut names_seen = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for (index, container) in items(&spec["containers"]).iter().enumerate() {
        let here = list.index(index);
        common(container, spec, &here, volumes, found);
        unique(container, &here, &mut names_seen, found);
        unique_host_ports(container, &here, &mut host_ports, found);
        handlers(container, spec, &here, found);
        if is_set(&container["restartPolicy"]) {
            const KNOWN: [&str; 3] = ["Always", "OnFailure", "Never"];
            one_of(&here.field("restartPolicy"), &container["restartPolicy"], &KNOWN, found);
        }
    }
    let list = at.field("initContainers");
    for (index, container) in items(&spec["initContainers"]).iter().enumerate() {
        let here = list.index(index);
        common(container, spec, &here, volumes, found);
        unique(container, &here, &mut names_seen, found);
        if container["restartPolicy"] == "Always" {
            unique_host_ports(container, &here, &mut host_ports, found);
            handlers(container, spec, &here, found);
            continue;
        }
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if is_set(&container[field]) {
                let why = "may not be set for init containers without restartPolicy=Always";
                found.forbidden(&here.field(field), why);
            }
        }
    }
}

fn unique<'a>(container: &'a Value, at: &At<'_>, seen: &mut BTreeSet<&'a str>, found: &mut Found) {
    let name = text(&container["name"]);
    if !name.is_empty() && !seen.insert(name) {
        found.duplicate(&at.field("name"), &format!("{name:?}"));
    }
}

/// Two containers of one pod cannot have the same port of the node.
fn unique_host_ports(
    container: &Value,
    at: &At<'_>,
    seen: &mut BTreeSet<String>,
    found: &mut Found,
) {
    let list = at.field("ports");
    for (index, port) in items(&container["ports"]).iter().enumerate() {
        let number = port["hostPort"].as_i64().unwrap_or(0);
        let (protocol, ip) = (text(&port["protocol"]), text(&port["hostIP"]));
        let key = format!("{protocol}/{ip}/{number}");
        if number != 0 && !seen.insert(key.clone()) {
            let here = list.index(index);
            found.duplicate(&here.field("hostPort"), &format!("{key:?}"));
        }
    }
}

/// Source: kubernetes v1.36.3 validation.go `validateContainerCommon`.
fn common(
    container: &Value,
    spec: &Value,
    at: &At<'_>,
    volumes: &BTreeSet<&str>,
    found: &mut Found,
) {
    let name = text(&container["name"]);
    if name.is_empty() {
        found.required(&at.field("name"), "");
    } else {
        against(&at.field("name"), name, &names::dns_label(name), found);
    }
    if text(&container["image"]).is_empty() {
        found.required(&at.field("image"), "");
    }
    security::of_container(container, spec, at, found);
    const MESSAGES: [&str; 2] = ["File", "FallbackToLogsOnError"];
    let place = at.field("terminationMessagePolicy");
    one_of(&place, &container["terminationMessagePolicy"], &MESSAGES, found);
    const PULL: [&str; 3] = ["Always", "IfNotPresent", "Never"];
    one_of(&at.field("imagePullPolicy"), &container["imagePullPolicy"], &PULL, found);
    ports(container, spec, &at.field("ports"), found);
    environment(container, &at.field("env"), found);
    environment_from(container, &at.field("envFrom"), found);
    mounts(container, at, volumes, found);
    resources::of_container(container, spec, at, found);
    resize_policy(container, &at.field("resizePolicy"), found);
}

fn ports(container: &Value, spec: &Value, at: &At<'_>, found: &mut Found) {
    let mut seen = BTreeSet::new();
    for (index, port) in items(&container["ports"]).iter().enumerate() {
        let here = at.index(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            let why = names::port_name(name);
            against(&here.field("name"), name, &why, found);
            if why.is_empty() && !seen.insert(name) {
                found.duplicate(&here.field("name"), &format!("{name:?}"));
            }
        }
        match port["containerPort"].as_i64().unwrap_or(0) {
            0 => found.required(&here.field("containerPort"), ""),
            _ => port_number(&here.field("containerPort"), &port["containerPort"], found),
        }
        let host = &port["hostPort"];
        if host.as_i64().is_some_and(|host| host != 0) {
            port_number(&here.field("hostPort"), host, found);
            if spec["hostNetwork"] == true && *host != port["containerPort"] {
                let why = "must match `containerPort` when `hostNetwork` is true";
                found.invalid(&here.field("hostPort"), host, why);
            }
        }
        one_of(&here.field("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"], found);
    }
}

fn environment(container: &Value, at: &At<'_>, found: &mut Found) {
    const SOURCES: [&str; 5] =
        ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    for (index, variable) in items(&container["env"]).iter().enumerate() {
        let here = at.index(index);
        let name = text(&variable["name"]);
        if name.is_empty() {
            found.required(&here.field("name"), "");
        } else if !name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
            let why = "a valid environment variable name must consist only of printable ASCII \
                 characters other than '='";
            found.invalid_text(&here.field("name"), name, why);
        }
        let source = &variable["valueFrom"];
        if !is_set(source) {
            continue;
        }
        let place = here.field("valueFrom");
        let given: Vec<&str> = SOURCES.into_iter().filter(|kind| is_set(&source[*kind])).collect();
        if given.is_empty() {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
                 `secretKeyRef` or `fileKeyRef`";
            found.invalid_text(&place, "", why);
        } else if !text(&variable["value"]).is_empty() {
            found.invalid_text(&place, "", "may not be specified when `value` is not empty");
        } else if given.len() > 1 {
            found.invalid_text(&place, "", "may not have more than one field specified at a time");
        }
        field_ref(&source["fieldRef"], &ENV_FIELDS, &place.field("fieldRef"), found);
        resource_ref(&source["resourceFieldRef"], &place.field("resourceFieldRef"), found);
        for kind in ["configMapKeyRef", "secretKeyRef"] {
            if is_set(&source[kind]) && text(&source[kind]["key"]).is_empty() {
                let place = place.field(kind);
                found.required(&place.field("key"), "");
            }
        }
    }
}

/// What a variable may read of its pod.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// A field of the pod. Source: `validateObjectFieldSelector`.
pub(super) fn field_ref(source: &Value, known: &[&str], at: &At<'_>, found: &mut Found) {
    if !is_set(source) {
        return;
    }
    const LABELS: [&str; 7] = [
        "metadata.annotations",
        "metadata.labels",
        "spec.restartPolicy",
        "spec.schedulerName",
        "status.phase",
        "spec.host",
        "status.nominatedNodeName",
    ];
    let (path, place) = (text(&source["fieldPath"]), at.field("fieldPath"));
    if text(&source["apiVersion"]).is_empty() {
        found.required(&at.field("apiVersion"), "");
        return;
    }
    if path.is_empty() {
        found.required(&place, "");
        return;
    }
    let subscript = path.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    match subscript {
        Some((map @ ("metadata.annotations" | "metadata.labels"), key)) => {
            let key =
                if map == "metadata.annotations" { key.to_lowercase() } else { key.to_owned() };
            against(at, &key, &names::qualified_name(&key), found);
        }
        Some((other, _)) => {
            let why = format!("error converting fieldPath: field label not supported: {other}");
            found.invalid_text(&place, path, &why);
        }
        None if known.contains(&path) => {}
        None if ENV_FIELDS.contains(&path) || LABELS[..6].contains(&path) => {
            found.not_supported(&place, path, known);
        }
        None => {
            let why = format!("error converting fieldPath: field label not supported: {path}");
            found.invalid_text(&place, path, &why);
        }
    }
}

/// A resource of a container. Source: `validateContainerResourceFieldSelector`.
pub(super) fn resource_ref(source: &Value, at: &At<'_>, found: &mut Found) {
    const KNOWN: [&str; 6] = [
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ];
    if !is_set(source) {
        return;
    }
    let (resource, place) = (text(&source["resource"]), at.field("resource"));
    let huge = ["limits.hugepages-", "requests.hugepages-"].iter().any(|p| resource.starts_with(p));
    if resource.is_empty() {
        found.required(&place, "");
    } else if !KNOWN.contains(&resource) && !huge {
        found.not_supported(&place, resource, &KNOWN);
    }
    divisor(source, resource, &at.field("divisor"), found);
}

fn divisor(source: &Value, resource: &str, at: &At<'_>, found: &mut Found) {
    let name = resource.split_once('.').map_or("", |(_, name)| name);
    let fine: &[&str] = match name {
        "cpu" => &["1m", "1"],
        "memory" | "ephemeral-storage" => {
            &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"]
        }
        _ => return,
    };
    let given = super::super::read::quantity(&source["divisor"]).unwrap_or_default();
    let shown = given.canonical();
    if given.sign() != 0 && !fine.contains(&shown.as_str()) {
        let what = if name == "cpu" {
            "only divisor's values 1m and 1 are supported with the cpu resource".to_owned()
        } else {
            let what = if name == "memory" { "memory" } else { "local ephemeral storage" };
            format!(
                "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are \
                 supported with the {what} resource"
            )
        };
        let (place, _) = (at, ());
        found.invalid_text(place, name, &what);
    }
}

fn environment_from(container: &Value, at: &At<'_>, found: &mut Found) {
    for (index, source) in items(&container["envFrom"]).iter().enumerate() {
        let here = at.index(index);
        let given: Vec<&str> =
            ["configMapRef", "secretRef"].into_iter().filter(|of| is_set(&source[*of])).collect();
        match given.as_slice() {
            [] => {
                let why = "must specify one of: `configMapRef` or `secretRef`";
                found.invalid_text(at, "", why);
            }
            [one] => {
                let name = text(&source[*one]["name"]);
                let place = here.field(one);
                if name.is_empty() {
                    found.required(&place.field("name"), "");
                } else {
                    against(&place.field("name"), name, &names::dns_subdomain(name), found);
                }
            }
            _ => {
                let why = "may not have more than one field specified at a time";
                found.invalid_text(at, "", why);
            }
        }
    }
}

fn mounts(container: &Value, at: &At<'_>, volumes: &BTreeSet<&str>, found: &mut Found) {
    let list = at.field("volumeMounts");
    let mut paths = BTreeSet::new();
    for (index, mount) in items(&container["volumeMounts"]).iter().enumerate() {
        let here = list.index(index);
        let (name, path) = (text(&mount["name"]), text(&mount["mountPath"]));
        if name.is_empty() {
            found.required(&here.field("name"), "");
        } else if !volumes.contains(name) {
            found.not_found(&here.field("name"), name);
        }
        if path.is_empty() {
            found.required(&here.field("mountPath"), "");
        } else if !paths.insert(path) {
            found.invalid_text(&here.field("mountPath"), path, "must be unique");
        }
        let sub = text(&mount["subPath"]);
        if sub.starts_with('/') {
            found.invalid_text(&list.field("subPath"), sub, "must be a relative path");
        }
        if !sub.is_empty() && !text(&mount["subPathExpr"]).is_empty() {
            let why = "subPathExpr and subPath are mutually exclusive";
            found.invalid_text(&list.field("subPathExpr"), text(&mount["subPathExpr"]), why);
        }
        mount_propagation(mount, container, &list, found);
        if sub.split('/').any(|part| part == "..") {
            found.invalid_text(&list.field("subPath"), sub, "must not contain '..'");
        }
    }
}

fn mount_propagation(mount: &Value, container: &Value, at: &At<'_>, found: &mut Found) {
    const KNOWN: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
    let place = at.field("mountPropagation");
    one_of(&place, &mount["mountPropagation"], &KNOWN, found);
    let own = mount["mountPropagation"] == "Bidirectional";
    if own && container["securityContext"]["privileged"] != true {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        found.forbidden(&place, why);
    }
}

fn resize_policy(container: &Value, at: &At<'_>, found: &mut Found) {
    for policy in items(&container["resizePolicy"]) {
        one_of(at, &policy["resourceName"], &["cpu", "memory"], found);
        one_of(at, &policy["restartPolicy"], &["NotRequired", "RestartContainer"], found);
    }
}

/// Probes and hooks.
fn handlers(container: &Value, spec: &Value, at: &At<'_>, found: &mut Found) {
    let grace = spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    for hook in ["postStart", "preStop"] {
        let handler = &container["lifecycle"][hook];
        if is_set(handler) {
            let place = at.field("lifecycle");
            let kinds = ["exec", "httpGet", "tcpSocket", "sleep"];
            one_handler(handler, &kinds, &place.field(hook), found);
            let seconds = &handler["sleep"]["seconds"];
            if seconds.as_i64().is_some_and(|seconds| seconds < 0 || seconds > grace) {
                let why = format!(
                    "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                );
                let place = place.field(hook);
                found.invalid(&place.field("sleep"), seconds, &why);
            }
        }
    }
    for (field, is_readiness) in
        [("livenessProbe", false), ("readinessProbe", true), ("startupProbe", false)]
    {
        let probe = &container[field];
        if is_set(probe) {
            validate_probe(probe, is_readiness, &at.field(field), found);
        }
    }
}

/// Rule N80.
fn validate_probe(probe: &Value, is_readiness: bool, at: &At<'_>, found: &mut Found) {
    one_handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], at, found);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        not_negative(&at.field(field), &probe[field], found);
    }
    let successes = &probe["successThreshold"];
    if !is_readiness && successes.as_i64().is_some_and(|n| n != 1) {
        found.invalid(&at.field("successThreshold"), successes, "must be 1");
    }
    let grace = &probe["terminationGracePeriodSeconds"];
    let here = at.field("terminationGracePeriodSeconds");
    if is_readiness && is_set(grace) {
        found.invalid(&here, grace, "must not be set for readinessProbes");
    } else if grace.as_i64().is_some_and(|grace| grace <= 0) {
        found.invalid(&here, grace, "must be greater than 0");
    }
}

fn one_handler(handler: &Value, kinds: &[&str], at: &At<'_>, found: &mut Found) {
    let given: Vec<&str> = kinds.iter().copied().filter(|k| is_set(&handler[*k])).collect();
    if given.is_empty() {
        found.required(at, "must specify a handler type");
    }
    for (index, kind) in given.into_iter().enumerate() {
        let (here, inner) = (at.field(kind), &handler[kind]);
        if index > 0 {
            found.forbidden(&here, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" if items(&inner["command"]).is_empty() => {
                found.required(&here.field("command"), "");
            }
            "httpGet" => {
                if text(&inner["path"]).is_empty() {
                    found.required(&here.field("path"), "");
                }
                port_or_name(&here.field("port"), &or_zero(&inner["port"]), found);
                for name in items(&inner["httpHeaders"]).iter().map(|header| text(&header["name"]))
                {
                    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                    if name.is_empty() || !name.bytes().all(fine) {
                        let why = "a valid HTTP header must consist of alphanumeric characters or \
                                   '-' (e.g. 'X-Header-Name', regex used for validation is \
                                   '[-A-Za-z0-9]+')";
                        found.invalid_text(&here.field("httpHeaders"), name, why);
                    }
                }
                one_of(&here.field("scheme"), &inner["scheme"], &["HTTP", "HTTPS"], found);
            }
            "tcpSocket" => port_or_name(&here.field("port"), &or_zero(&inner["port"]), found),
            "grpc" => port_number(&here.field("port"), &or_zero(&inner["port"]), found),
            _ => {}
        }
    }
}

/// A number that is no pointer in Go: 0 where it is not written.
fn or_zero(value: &Value) -> Value {
    if value.is_null() { 0.into() } else { value.clone() }
}

/// Names of resource claims that a container may use.
pub(super) fn validate_claims(container: &Value, spec: &Value, at: &At<'_>, found: &mut Found) {
    let known = pod::claim_names(spec);
    let list = at.field("claims");
    for (index, claim) in items(&container["resources"]["claims"]).iter().enumerate() {
        let name = text(&claim["name"]);
        if name.is_empty() {
            found.required(&list.index(index), "");
        } else if !known.contains(name) {
            let why = match known.is_empty() {
                true => "must be one of the names in pod.spec.resourceClaims which is empty",
                false => "must be one of the names in pod.spec.resourceClaims",
            };
            found.not_found_because(&list.index(index), name, why);
        }
    }
}
