//! Autoscalers.

use serde_json::Value;

use super::super::problem::{At, Found, Reason};
use super::super::read::{is_set, items, quantity, text};
use super::one_of;

/// Source: kubernetes v1.36.3 pkg/apis/autoscaling/validation/validation.go (rule A61).
pub(super) fn validate_hpa(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let least = spec["minReplicas"].as_i64();
    if let Some(least) = least.filter(|least| *least < 1) {
        found.invalid(&at.field("minReplicas"), &least, "must be greater than or equal to 1");
    }
    let most = spec["maxReplicas"].as_i64().unwrap_or(0);
    if most < 1 {
        found.required(&at.field("maxReplicas"), "must be set and greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        let why = "must be greater than or equal to `minReplicas`";
        found.invalid(&at.field("maxReplicas"), &most, why);
    }
    target_ref(&spec["scaleTargetRef"], &at.field("scaleTargetRef"), found);
    let list = at.field("metrics");
    let outside = |metric: &Value| matches!(text(&metric["type"]), "Object" | "External");
    if least == Some(0) && !items(&spec["metrics"]).iter().any(outside) {
        let why = "must specify at least one Object or External metric to support scaling to zero \
                   replicas";
        found.forbidden(&list, why);
    }
    for (index, metric) in items(&spec["metrics"]).iter().enumerate() {
        validate_metric(metric, &list.index(index), found);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &spec["behavior"][direction];
        if is_set(rules) {
            let place = at.field("behavior");
            validate_rules(rules, &place.field(direction), found);
        }
    }
}

fn target_ref(target: &Value, at: &At<'_>, found: &mut Found) {
    for field in ["kind", "name"] {
        if text(&target[field]).is_empty() {
            found.required(&at.field(field), "");
        }
    }
    let version = text(&target["apiVersion"]);
    if version.split('/').count() > 2 {
        let why = format!("unexpected GroupVersion string: {version}");
        found.invalid_text(&at.field("apiVersion"), version, &why);
    } else if !version.contains('/') && target["kind"] != "ReplicationController" {
        let why = "apiVersion must specify API group";
        found.invalid_text(&at.field("apiVersion"), version, why);
    }
    let modelled =
        matches!(text(&target["kind"]), "Deployment" | "ReplicaSet" | "ReplicationController" | "");
    if !modelled {
        let kind = text(&target["kind"]);
        let message = format!("a {kind} as target is not modelled: the autoscaler does nothing");
        found.add(&at.field("kind"), Reason::NotModelled, message);
    }
}

fn validate_metric(metric: &Value, at: &At<'_>, found: &mut Found) {
    const TYPES: [(&str, &str); 5] = [
        ("ContainerResource", "containerResource"),
        ("External", "external"),
        ("Object", "object"),
        ("Pods", "pods"),
        ("Resource", "resource"),
    ];
    let kind = text(&metric["type"]);
    let Some((_, own)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        let known = TYPES.map(|(name, _)| name);
        match kind {
            "" => found.required(&at.field("type"), "must specify a metric source type"),
            other => found.not_supported(&at.field("type"), other, &known),
        }
        return;
    };
    for (_, field) in TYPES.iter().filter(|(_, field)| field != own) {
        if is_set(&metric[*field]) {
            let why = "must populate the given metric source only";
            found.forbidden(&at.field(field), why);
        }
    }
    let (source, here) = (&metric[*own], at.field(own));
    if !is_set(source) {
        let why = "must populate information for the given metric source";
        found.required(&here, why);
        return;
    }
    match kind {
        "Resource" | "ContainerResource" => {
            if text(&source["name"]).is_empty() {
                found.required(&here.field("name"), "must specify a resource name");
            }
            if kind == "ContainerResource" && text(&source["container"]).is_empty() {
                found.required(&here.field("container"), "must specify a container");
            }
            resource_target(&source["target"], &here.field("target"), found);
            let name = text(&source["name"]);
            if !matches!(name, "cpu" | "memory" | "") {
                let message = format!("the metric {name} is not modelled: it has no value");
                found.add(&here.field("name"), Reason::NotModelled, message);
            }
        }
        _ => other_target(kind, source, &here, found),
    }
}

fn resource_target(target: &Value, at: &At<'_>, found: &mut Found) {
    target_type(target, at, found);
    let (average, percent) = (&target["averageValue"], &target["averageUtilization"]);
    positive(&at.field("averageValue"), average, found);
    if percent.as_i64().is_some_and(|percent| percent < 1) {
        found.invalid(&at.field("averageUtilization"), percent, "must be greater than 0");
    }
    match (is_set(average), is_set(percent)) {
        (true, true) => {
            let why = "may not set both a target raw value and a target utilization";
            found.forbidden(&at.field("averageValue"), why);
        }
        (false, false) => {
            let why = "must set either a target raw value or a target utilization";
            found.required(&at.field("averageUtilization"), why);
        }
        _ => {}
    }
}

fn target_type(target: &Value, at: &At<'_>, found: &mut Found) {
    match text(&target["type"]) {
        "" => found.required(&at.field("type"), "must specify a metric target type"),
        "Utilization" | "Value" | "AverageValue" => {}
        other => {
            let why = "must be either Utilization, Value, or AverageValue";
            found.invalid_text(&at.field("type"), other, why);
        }
    }
}

fn positive(at: &At<'_>, value: &Value, found: &mut Found) {
    if let Some(amount) = quantity(value).filter(|amount| amount.sign() <= 0) {
        found.invalid(at, &format!("{:?}", amount.to_string()), "must be positive");
    }
}

fn other_target(kind: &str, source: &Value, at: &At<'_>, found: &mut Found) {
    let (target, here) = (&source["target"], at.field("target"));
    let name = text(&source["metric"]["name"]);
    if name.is_empty() {
        found.required(&at.field("metric.name"), "must specify a metric name");
    } else if name.contains('/') {
        found.invalid_text(&at.field("metric.name"), name, "may not contain '/'");
    }
    target_type(target, &here, found);
    positive(&here.field("value"), &target["value"], found);
    positive(&here.field("averageValue"), &target["averageValue"], found);
    match (kind, is_set(&target["value"]), is_set(&target["averageValue"])) {
        ("Pods", _, false) => {
            let why = "must specify a positive target averageValue";
            found.required(&here.field("averageValue"), why);
        }
        ("External" | "Object", false, false) => {
            let why = "must set either a target value for metric or a per-pod target";
            found.required(&here.field("averageValue"), why);
        }
        ("External", true, true) => {
            let why = "may not set both a target value for metric and a per-pod target";
            found.forbidden(&here.field("value"), why);
        }
        _ => {}
    }
}

fn validate_rules(rules: &Value, at: &At<'_>, found: &mut Found) {
    let window = &rules["stabilizationWindowSeconds"];
    let here = at.field("stabilizationWindowSeconds");
    match window.as_i64() {
        Some(..0) => found.invalid(&here, window, "must be greater than or equal to zero"),
        Some(3_601..) => found.invalid(&here, window, "must be less than or equal to 3600"),
        _ => {}
    }
    one_of(&at.field("selectPolicy"), &rules["selectPolicy"], &["Disabled", "Max", "Min"], found);
    let list = at.field("policies");
    if items(&rules["policies"]).is_empty() {
        found.required(&list, "must specify at least one Policy");
    }
    for (index, policy) in items(&rules["policies"]).iter().enumerate() {
        let here = list.index(index);
        let kind = text(&policy["type"]);
        if !matches!(kind, "Pods" | "Percent") {
            found.not_supported(&here.field("type"), kind, &["Percent", "Pods"]);
        }
        let value = policy["value"].as_i64().unwrap_or(0);
        if value <= 0 {
            found.invalid(&here.field("value"), &value, "must be greater than zero");
        }
        let period = policy["periodSeconds"].as_i64().unwrap_or(0);
        let place = here.field("periodSeconds");
        match period {
            ..=0 => found.invalid(&place, &period, "must be greater than zero"),
            1_801.. => found.invalid(&place, &period, "must be less than or equal to 1800"),
            _ => {}
        }
    }
    if let Some(tolerance) = quantity(&rules["tolerance"]).filter(|amount| amount.sign() < 0) {
        let shown = format!("{:?}", tolerance.to_string());
        found.invalid(&at.field("tolerance"), &shown, "must be greater than or equal to 0");
    }
}
