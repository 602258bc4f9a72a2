//! Storage objects and budgets.
//!
//! Source: kubernetes v1.36.3 pkg/apis/{core,storage,policy}/validation/validation.go. Differs: of
//! volumes only what scheduling reads.

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{entries, is_set, items, quantity, text};
use super::{against, label_selector, one_of};

/// Fields of a PersistentVolume's spec that are not its source.
pub(super) const NOT_SOURCES: [&str; 9] = [
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
];

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

pub(super) fn validate_claim(object: &Value, found: &mut Found) {
    claim_spec(&object["spec"], &At::ROOT.field("spec"), found);
}

/// Of a claim, or of the template of an ephemeral volume's claim.
pub(super) fn claim_spec(spec: &Value, at: &At<'_>, found: &mut Found) {
    access_modes(spec, at, "at least 1 access mode is required", found);
    label_selector(&at.field("selector"), &spec["selector"], found);
    let requests = at.alias("resources[storage]", "resources.requests[storage]");
    amount(&spec["resources"]["requests"]["storage"], &requests, found);
    for field in ["storageClassName", "volumeName"] {
        let name = text(&spec[field]);
        if !name.is_empty() {
            against(&at.field(field), name, &names::dns_subdomain(name), found);
        }
    }
    one_of(&at.field("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"], found);
}

pub(super) fn validate_volume(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    access_modes(spec, &at, "", found);
    capacity(&spec["capacity"], &at.field("capacity"), found);
    const KEPT: [&str; 3] = ["Delete", "Recycle", "Retain"];
    let policy = &spec["persistentVolumeReclaimPolicy"];
    one_of(&at.field("persistentVolumeReclaimPolicy"), policy, &KEPT, found);
    one_of(&at.field("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"], found);
    let sources = entries(spec).filter(|(key, value)| is_set(value) && !NOT_SOURCES.contains(key));
    match sources.count() {
        0 => found.required(&at, "must specify a volume type"),
        1 => {}
        _ => found.forbidden(&at, "may not specify more than 1 volume type"),
    }
    if is_set(&spec["local"]) && !is_set(&spec["nodeAffinity"]["required"]) {
        found.required(&at.field("nodeAffinity"), "Local volume requires node affinity");
    }
}

pub(super) fn validate_class(object: &Value, found: &mut Found) {
    if text(&object["provisioner"]).is_empty() {
        found.required(&At::ROOT.field("provisioner"), "");
    }
    const KEPT: [&str; 3] = ["Delete", "Recycle", "Retain"];
    one_of(&At::ROOT.field("reclaimPolicy"), &object["reclaimPolicy"], &KEPT[..], found);
    let mode = At::ROOT.field("volumeBindingMode");
    one_of(&mode, &object["volumeBindingMode"], &["Immediate", "WaitForFirstConsumer"], found);
}

pub(super) fn validate_capacity(object: &Value, found: &mut Found) {
    let class = text(&object["storageClassName"]);
    let at = At::ROOT.field("storageClassName");
    against(&at, class, &names::dns_subdomain(class), found);
    label_selector(&At::ROOT.field("nodeTopology"), &object["nodeTopology"], found);
}

pub(super) fn validate_attachment(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    for field in ["attacher", "nodeName"] {
        if text(&spec[field]).is_empty() {
            found.required(&at.field(field), "");
        }
    }
}

pub(super) fn validate_budget(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    if is_set(&spec["minAvailable"]) && is_set(&spec["maxUnavailable"]) {
        let shown = serde_json::json!({
            "MinAvailable": spec["minAvailable"],
            "Selector": spec["selector"],
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"],
        });
        let keys = ["MinAvailable", "Selector", "MaxUnavailable", "UnhealthyPodEvictionPolicy"];
        let why = "minAvailable and maxUnavailable cannot be both set";
        found.invalid(&at, &super::show(&shown, &keys), why);
    }
    for field in ["minAvailable", "maxUnavailable"] {
        super::workload::int_or_percent(&at.field(field), &spec[field], found);
        super::workload::no_more_than_all(&at.field(field), &spec[field], found);
    }
    const POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];
    let policy = &spec["unhealthyPodEvictionPolicy"];
    one_of(&at.field("unhealthyPodEvictionPolicy"), policy, &POLICIES, found);
    label_selector(&at.field("selector"), &spec["selector"], found);
}

fn capacity(capacity: &Value, at: &At<'_>, found: &mut Found) {
    if entries(capacity).next().is_none() {
        found.required(at, "");
    }
    if !is_set(&capacity["storage"]) || entries(capacity).count() > 1 {
        let shown = if capacity.is_null() { "{}".to_owned() } else { capacity.to_string() };
        found.unsupported(at, &shown, &["storage"]);
    }
    for (name, value) in entries(capacity) {
        amount(value, &at.key(name), found);
    }
}

fn access_modes(spec: &Value, at: &At<'_>, missing: &str, found: &mut Found) {
    let (modes, at) = (items(&spec["accessModes"]), at.field("accessModes"));
    if modes.is_empty() {
        found.required(&at, missing);
    }
    for mode in modes.iter().map(text).filter(|mode| !MODES.contains(mode)) {
        found.not_supported(&at, mode, &MODES);
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        found.forbidden(&at, "may not use ReadWriteOncePod with other access modes");
    }
}

fn amount(value: &Value, at: &At<'_>, found: &mut Found) {
    match quantity(value) {
        None => found.required(at, ""),
        Some(amount) if amount.sign() <= 0 => {
            let shown = format!("{:?}", amount.to_string());
            found.invalid(at, &shown, "must be greater than zero");
        }
        Some(_) => {}
    }
}
