//! Requests and limits.

use serde_json::Value;

use super::super::names;
use super::super::problem::{At, Found};
use super::super::read::{entries, items, quantity};
use super::super::requests::{Amounts, aggregate, is_pod_level, is_too_large, list};
use super::container::validate_claims;
use super::pod::has_entries;
use crate::base::Quantity;

/// Source: kubernetes v1.36.3 validation.go `ValidateContainerResourceRequirements`.
pub(super) fn of_container(container: &Value, spec: &Value, at: &At<'_>, found: &mut Found) {
    let (own, here) = (&container["resources"], at.field("resources"));
    for kind in ["limits", "requests"] {
        let place = here.field(kind);
        for (name, value) in entries(&own[kind]) {
            container_resource(&place.key(name), name, found);
            amount(&place.key(name), name, value, found);
        }
    }
    requests_within_limits(own, &here, found);
    let has = |name: &str| ["limits", "requests"].iter().any(|kind| own[kind].get(name).is_some());
    let huge = ["limits", "requests"]
        .iter()
        .any(|kind| entries(&own[kind]).any(|(name, _)| name.starts_with("hugepages-")));
    if huge && !has("cpu") && !has("memory") {
        found.forbidden(&here, "HugePages require cpu or memory");
    }
    validate_claims(container, spec, &here, found);
}

/// A name that a container may ask for.
fn container_resource(at: &At<'_>, name: &str, found: &mut Found) {
    for why in names::qualified_name(name) {
        found.invalid_text(at, name, &why);
    }
    if name.contains('/') {
        return;
    }
    const QUOTA: [&str; 6] = [
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "limits.cpu",
        "limits.memory",
        "pods",
    ];
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage")
        || name.starts_with("hugepages-")
        || name.starts_with("attachable-volumes-");
    if !standard {
        if !QUOTA.contains(&name) && name != "storage" {
            found.invalid_text(at, name, "must be a standard resource type or fully qualified");
        }
        found.invalid_text(at, name, "must be a standard resource for containers");
    }
}

/// An amount of a resource.
pub(super) fn amount(at: &At<'_>, name: &str, value: &Value, found: &mut Found) {
    let Some(quantity) = quantity(value) else {
        return;
    };
    let shown = format!("{:?}", quantity.to_string());
    if quantity.sign() < 0 {
        found.invalid(at, &shown, "must be greater than or equal to 0");
    }
    let whole = name.contains('/') && !name.ends_with(".kubernetes.io");
    if whole && is_fraction(&quantity) {
        found.invalid(at, &shown, "must be an integer");
    }
    if is_too_large(name, &quantity) {
        found.invalid(at, &shown, "is more than can be simulated (2^50)");
    }
    if let Some(size) = name.strip_prefix("hugepages-").and_then(|s| Quantity::parse(s).ok()) {
        let (size, value) = (size.value(), quantity.value());
        if size <= 0 || value % size != 0 {
            let why = format!("{quantity} is not positive integer multiple of {name}");
            found.invalid(at, &shown, &why);
        }
    }
}

fn is_fraction(quantity: &Quantity) -> bool {
    quantity.milli_value() % 1_000 != 0
}

fn requests_within_limits(own: &Value, at: &At<'_>, found: &mut Found) {
    let limits = list(&own["limits"]);
    let here = at.field("requests");
    for (name, request) in list(&own["requests"]) {
        let native = !name.contains('/') || name.contains("kubernetes.io/");
        let overcommits = native && !name.starts_with("hugepages-");
        let shown = format!("{:?}", request.to_string());
        match limits.get(&name) {
            None if !overcommits => {
                let why = "Limit must be set for non overcommitable resources";
                found.required(&at.field("limits"), why);
            }
            Some(limit) if !overcommits && request != *limit => {
                found.invalid(&here, &shown, &format!("must be equal to {name} limit of {limit}"));
            }
            Some(limit) if request > *limit => {
                let why = format!("must be less than or equal to {name} limit of {limit}");
                found.invalid(&here, &shown, &why);
            }
            _ => {}
        }
    }
}

/// Pod-level amounts and overhead.
///
/// Source: kubernetes v1.36.3 validation.go `validatePodResources`.
pub(super) fn pod_level(spec: &Value, at: &At<'_>, found: &mut Found) {
    let overhead = at.alias("overhead.limits", "overhead");
    for (name, value) in entries(&spec["overhead"]) {
        amount(&overhead.key(name), name, value, found);
    }
    let (own, here) = (&spec["resources"], at.field("resources"));
    if !has_entries(own) {
        return;
    }
    for kind in ["limits", "requests"] {
        let place = here.field(kind);
        for (name, value) in entries(&own[kind]) {
            if !is_pod_level(name) {
                found.not_supported(&place.key(name), name, &["cpu", "hugepages-", "memory"]);
            }
            amount(&place.key(name), name, value, found);
        }
    }
    requests_within_limits(own, &here, found);
    let of_containers: Amounts = aggregate(spec, |c| list(&c["resources"]["requests"]));
    let place = here.field("requests");
    for (name, request) in list(&own["requests"]) {
        if let Some(least) = of_containers.get(&name).filter(|least| request < **least) {
            let why =
                format!("must be greater than or equal to aggregate container requests of {least}");
            found.invalid(&place.key(&name), &format!("{:?}", request.to_string()), &why);
        }
    }
    let limits = list(&own["limits"]);
    for (index, container) in items(&spec["containers"]).iter().enumerate() {
        for (name, limit) in list(&container["resources"]["limits"]) {
            if let Some(most) = limits.get(&name).filter(|most| limit > **most) {
                let shown = format!("resources.containers[{index}][{name}].limits");
                let real = format!("containers[{index}].resources.limits[{name}]");
                let why = format!("must be less than or equal to pod limits of {most}");
                found.invalid(&at.alias(&shown, &real), &format!("{:?}", limit.to_string()), &why);
            }
        }
    }
}
