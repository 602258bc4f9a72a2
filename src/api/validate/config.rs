//! Kinds without pods: ConfigMaps, Secrets, quotas, ranges and runtime classes.
//!
//! Source: kubernetes v1.36.3 pkg/apis/core/validation/validation.go, pkg/apis/node/validation
//! (recorded). Differs: scopes of quotas are checked by name alone.

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{entries, items, quantity, text};
use super::{against, pod, resources};
use crate::base::Quantity;

/// What a ConfigMap or a Secret may hold, in bytes.
const DATA_MAX: usize = 1 << 20;

pub(super) fn validate_config_map(object: &Value, found: &mut Found) {
    let mut size = 0;
    for field in ["data", "binaryData"] {
        let at = At::ROOT.field(field);
        for (key, value) in entries(&object[field]) {
            against(&at.key(key), key, &names::config_key(key), found);
            if field == "binaryData" && object["data"].get(key).is_some() {
                let why = "duplicate of key present in data";
                found.invalid_text(&At::ROOT.field("data").key(key), key, why);
            }
            let value = text(value).len();
            size += if field == "data" { value } else { value / 4 * 3 };
        }
    }
    if size > DATA_MAX {
        found.too_long(&At::ROOT.alias("", "data"), DATA_MAX);
    }
}

pub(super) fn validate_secret(object: &Value, found: &mut Found) {
    let at = At::ROOT.field("data");
    let mut size = 0;
    for (key, value) in entries(&object["data"]) {
        against(&at.key(key), key, &names::config_key(key), found);
        size += text(value).len() / 4 * 3;
    }
    if size > DATA_MAX {
        found.too_long(&at, DATA_MAX);
    }
    let needed: &[&str] = match text(&object["type"]) {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/service-account-token" => {
            let account = "kubernetes.io/service-account.name";
            if text(&object["metadata"]["annotations"][account]).is_empty() {
                found.required(&At::ROOT.field("metadata.annotations").key(account), "");
            }
            &[]
        }
        "kubernetes.io/basic-auth" => {
            let has = |key: &str| object["data"].get(key).is_some();
            if !has("username") && !has("password") {
                found.required(&at.key("username"), "");
                found.required(&at.key("password"), "");
            }
            &[]
        }
        _ => &[],
    };
    for key in needed {
        if object["data"].get(*key).is_none() {
            found.required(&at.key(key), "");
        }
    }
}

/// Rule C188.
pub(super) fn validate_quota(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let hard = at.field("hard");
    for (name, value) in entries(&spec["hard"]) {
        let here = hard.key(name);
        against(&here, name, &names::qualified_name(name), found);
        if !name.contains('/') && !is_quota_resource(name) {
            found.invalid_text(&here, name, "must be a standard resource for quota");
        }
        resources::amount(&here, name, value, found);
        let counts = name.starts_with("count/") || OBJECTS.contains(&name);
        if counts && quantity(value).is_some_and(|amount| amount.milli_value() % 1000 != 0) {
            found.invalid(&here, value, "must be an integer");
        }
    }
    const SCOPES: [&str; 6] = [
        "Terminating",
        "NotTerminating",
        "BestEffort",
        "NotBestEffort",
        "CrossNamespacePodAffinity",
        "VolumeAttributesClass",
    ];
    for scope in items(&spec["scopes"]).iter().map(text) {
        if !SCOPES.contains(&scope) && scope != "PriorityClass" {
            found.invalid(&at.field("scopes"), &spec["scopes"], "unsupported scope");
        }
    }
}

const OBJECTS: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

fn is_quota_resource(name: &str) -> bool {
    const AMOUNTS: [&str; 10] = [
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    ];
    OBJECTS.contains(&name)
        || AMOUNTS.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
        || name.starts_with("requests.") && name.contains('/')
}

/// Rule C187.
pub(super) fn validate_limit_range(object: &Value, found: &mut Found) {
    let list = At::ROOT.field("spec.limits");
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in items(&object["spec"]["limits"]).iter().enumerate() {
        let here = list.index(index);
        let kind = text(&item["type"]);
        against(&here.field("type"), kind, &names::qualified_name(kind), found);
        let standard = ["Pod", "Container", "PersistentVolumeClaim"].contains(&kind);
        if !standard && !kind.contains('/') {
            let why = "must be a standard limit type or fully qualified";
            found.invalid_text(&here.field("type"), kind, why);
        }
        if !seen.insert(kind) {
            found.duplicate(&here.field("type"), &format!("{kind:?}"));
        }
        limit_item(item, kind, &here, found);
    }
}

fn limit_item(item: &Value, kind: &str, at: &At<'_>, found: &mut Found) {
    let get = |field: &str, name: &str| quantity(&item[field][name]);
    let mut names: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        for (name, value) in entries(&item[field]) {
            names.insert(name);
            let place = at.field(field);
            resources::amount(&place.key(name), name, value, found);
        }
    }
    if kind == "Pod" {
        for field in ["default", "defaultRequest"] {
            if pod::has_entries(&item[field]) {
                let why = "may not be specified when `type` is 'Pod'";
                found.forbidden(&at.field(field), why);
            }
        }
    }
    if kind == "PersistentVolumeClaim"
        && get("min", "storage").is_none()
        && get("max", "storage").is_none()
    {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        found.required(at, why);
    }
    for name in names {
        let bounds = [
            ("min", "min", "max", "max"),
            ("defaultRequest", "min", "defaultRequest", "default request"),
            ("defaultRequest", "defaultRequest", "max", "max"),
            ("defaultRequest", "defaultRequest", "default", "default"),
            ("default", "min", "default", "default"),
            ("default", "default", "max", "max"),
        ];
        for (field, low, high, word) in bounds {
            let (Some(low_amount), Some(high_amount)) = (get(low, name), get(high, name)) else {
                continue;
            };
            if low_amount > high_amount {
                let low_word = match low {
                    "defaultRequest" => "default request",
                    other => other,
                };
                let shown = get(field, name).map_or_else(String::new, |own| own.to_string());
                let shown =
                    if field == "default" && low == "min" { low_amount.to_string() } else { shown };
                let why = format!(
                    "{low_word} value {low_amount} is greater than {word} value {high_amount}"
                );
                let place = at.field(field);
                found.invalid_text(&place.key(name), &shown, &why);
            }
        }
        let ratio = get("maxLimitRequestRatio", name);
        if let Some(ratio) = ratio {
            let place = at.field("maxLimitRequestRatio");
            if ratio < Quantity::from_value(1, ratio.format()) {
                let why = format!("ratio {ratio} is less than 1");
                found.invalid_text(&place.key(name), &ratio.to_string(), &why);
            }
        }
    }
}

pub(super) fn validate_runtime_class(object: &Value, found: &mut Found) {
    let handler = text(&object["handler"]);
    against(&At::ROOT.field("handler"), handler, &names::dns_label(handler), found);
    let at = At::ROOT.field("overhead.podFixed");
    for (name, value) in entries(&object["overhead"]["podFixed"]) {
        resources::amount(&at.key(name), name, value, found);
    }
    let (scheduling, at) = (&object["scheduling"], At::ROOT.field("scheduling"));
    super::labels(&at.field("nodeSelector"), &scheduling["nodeSelector"], found);
    pod::tolerations(&scheduling["tolerations"], &at.field("tolerations"), found);
}
