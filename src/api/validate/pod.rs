//! Pods: what is not in a container.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{entries, is_set, items, text};
use super::{affinity, against, container, labels, one_of, resources, security, show, volumes};

pub(super) fn validate_pod(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    annotated(&object["metadata"], spec, &At::ROOT.field("metadata.annotations"), found);
    validate_spec(spec, &at, found);
    for list in ["containers", "initContainers"] {
        let here = at.field(list);
        for (index, container) in items(&spec[list]).iter().enumerate() {
            image(container, &here.index(index), found);
        }
    }
    if !text(&spec["nodeName"]).is_empty() && !items(&spec["schedulingGates"]).is_empty() {
        let why = "cannot be set until all schedulingGates have been cleared";
        found.forbidden(&at.field("nodeName"), why);
    }
}

/// The image of a pod that stands alone.
pub(super) fn image(container: &Value, at: &At<'_>, found: &mut Found) {
    let image = text(&container["image"]);
    if image.is_empty() {
        found.required(&at.field("image"), "");
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        found.invalid_text(&at.field("image"), image, why);
    }
}

/// A pod that is created, not a template.
pub(super) fn only_new(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    if !items(&spec["ephemeralContainers"]).is_empty() {
        found.forbidden(&at.field("ephemeralContainers"), "cannot be set on create");
    }
}

/// Annotations of a pod that mean something.
pub(super) fn annotated(metadata: &Value, _spec: &Value, at: &At<'_>, found: &mut Found) {
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let cost = &metadata["annotations"][COST];
    if let Some(text) = cost.as_str() {
        let odd = text.starts_with('+') || text.starts_with('0') && text != "0";
        if odd || text.parse::<i32>().is_err() {
            found.invalid_text(&at.silent(COST), COST, "must be a 32bit integer");
        }
    }
}

/// Source: kubernetes v1.36.3 pkg/apis/core/validation/validation.go `ValidatePodSpec`.
pub(super) fn validate_spec(spec: &Value, at: &At<'_>, found: &mut Found) {
    let volumes = volumes::validate(&spec["volumes"], &at.field("volumes"), found);
    container::validate_all(spec, at, &volumes, found);
    const RESTART: [&str; 3] = ["Always", "OnFailure", "Never"];
    one_of(&at.field("restartPolicy"), &spec["restartPolicy"], &RESTART, found);
    const DNS: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of(&at.field("dnsPolicy"), &spec["dnsPolicy"], &DNS, found);
    if spec["dnsPolicy"] == "None" && items(&spec["dnsConfig"]["nameservers"]).is_empty() {
        if is_set(&spec["dnsConfig"]) {
            let here = at.field("dnsConfig.nameservers");
            found.required(
                &here,
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            );
        } else {
            let why = "must provide `dnsConfig` when `dnsPolicy` is None";
            found.required(&at.field("dnsConfig"), why);
        }
    }
    labels(&at.field("nodeSelector"), &spec["nodeSelector"], found);
    named(spec, at, found);
    let deadline = &spec["activeDeadlineSeconds"];
    if deadline.as_i64().is_some_and(|n| !(1..=2_147_483_647).contains(&n)) {
        let why = "must be between 1 and 2147483647, inclusive";
        found.invalid(&at.field("activeDeadlineSeconds"), deadline, why);
    }
    if let Some(os) = spec["os"]["name"].as_str()
        && !matches!(os, "linux" | "windows")
    {
        found.not_supported(&at.field("os").silent_field("name"), os, &["linux", "windows"]);
    }
    security::of_pod(spec, at, found);
    host_aliases(spec, at, found);
    affinity::validate(&spec["affinity"], &at.field("affinity"), found);
    tolerations(&spec["tolerations"], &at.field("tolerations"), found);
    let (spread, here) =
        (&spec["topologySpreadConstraints"], at.field("topologySpreadConstraints"));
    affinity::topology_spread(spread, &here, found);
    gates(spec, at, found);
    resources::pod_level(spec, at, found);
}

fn host_aliases(spec: &Value, at: &At<'_>, found: &mut Found) {
    let list = at.field("hostAliases");
    for (index, alias) in items(&spec["hostAliases"]).iter().enumerate() {
        let here = list.index(index);
        let address = text(&alias["ip"]);
        against(&here.field("ip"), address, &names::ip(address), found);
        let list = here.field("hostnames");
        for (index, name) in items(&alias["hostnames"]).iter().map(text).enumerate() {
            let why = names::dns_subdomain(name);
            let index = format!("[{index}]");
            against(&list.alias("", &index), name, &why, found);
        }
    }
}

/// Fields that hold a name.
fn named(spec: &Value, at: &At<'_>, found: &mut Found) {
    for (field, rule) in [
        ("serviceAccountName", names::dns_subdomain as fn(&str) -> Vec<String>),
        ("nodeName", names::dns_subdomain),
        ("hostname", names::dns_label),
        ("subdomain", names::dns_label),
        ("priorityClassName", names::dns_subdomain),
        ("runtimeClassName", names::dns_subdomain),
    ] {
        let name = text(&spec[field]);
        if !name.is_empty() {
            against(&at.field(field), name, &rule(name), found);
        }
    }
    const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];
    one_of(&at.field("preemptionPolicy"), &spec["preemptionPolicy"], &POLICIES, found);
}

fn gates(spec: &Value, at: &At<'_>, found: &mut Found) {
    let list = at.field("readinessGates");
    for (index, gate) in items(&spec["readinessGates"]).iter().enumerate() {
        let name = text(&gate["conditionType"]);
        let here = list.index(index);
        against(&here.field("conditionType"), name, &names::qualified_name(name), found);
    }
    let list = at.field("resourceClaims");
    for (index, claim) in items(&spec["resourceClaims"]).iter().enumerate() {
        let given = ["resourceClaimName", "resourceClaimTemplateName"].map(|f| is_set(&claim[f]));
        if given[0] == given[1] {
            let why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
            let shown = serde_json::json!({
                "Name": claim["name"],
                "ResourceClaimName": claim["resourceClaimName"],
                "ResourceClaimTemplateName": claim["resourceClaimTemplateName"],
            });
            let keys = ["Name", "ResourceClaimName", "ResourceClaimTemplateName"];
            found.invalid(&list.index(index), &show(&shown, &keys), why);
        }
    }
    let list = at.field("schedulingGates");
    let mut seen = BTreeSet::new();
    for (index, gate) in items(&spec["schedulingGates"]).iter().enumerate() {
        let name = text(&gate["name"]);
        let here = list.index(index);
        against(&here, name, &names::qualified_name(name), found);
        if !seen.insert(name) {
            found.duplicate(&here, &format!("{name:?}"));
        }
    }
}

/// Source: kubernetes v1.36.3 validation.go `ValidateTolerations`.
pub(super) fn tolerations(list: &Value, at: &At<'_>, found: &mut Found) {
    for (index, toleration) in items(list).iter().enumerate() {
        let here = at.index(index);
        let (key, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
        let (operator, value) = (text(&toleration["operator"]), text(&toleration["value"]));
        if !key.is_empty() {
            against(&here.field("key"), key, &names::qualified_name(key), found);
        }
        if key.is_empty() && operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values \
                 and all keys\"";
            found.invalid_text(&here.field("operator"), operator, why);
        }
        if is_set(&toleration["tolerationSeconds"]) && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            found.invalid_text(&here.field("effect"), effect, why);
        }
        let place = here.field("operator");
        match operator {
            "" | "Equal" => {
                against(&place, value, &names::label_value(value), found);
            }
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                found.invalid_text(&place, value, why);
            }
            "Exists" => {}
            "Gt" | "Lt" => {
                found.not_supported(&place, operator, &["Equal", "Exists", "Lt", "Gt"]);
            }
            other => found.not_supported(&place, other, &["Equal", "Exists"]),
        }
        taint_effect(&here.field("effect"), &toleration["effect"], found);
    }
}

pub(super) fn taint_effect(at: &At<'_>, effect: &Value, found: &mut Found) {
    one_of(at, effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"], found);
}

/// The names of resource claims.
pub(super) fn claim_names(spec: &Value) -> BTreeSet<&str> {
    items(&spec["resourceClaims"]).iter().map(|claim| text(&claim["name"])).collect()
}

/// Whether a mapping has any entry.
pub(super) fn has_entries(value: &Value) -> bool {
    entries(value).next().is_some()
}
