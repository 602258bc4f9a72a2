//! Autoscalers.

use serde_json::Value;

use super::super::read::{count, is_set, items, quantity, seconds, text};
use super::object_name;
use crate::base::{Duration, Interner};
use crate::model::{
    HpaAim, HpaBehavior, HpaGoal, HpaMetric, HpaPolicy, HpaRules, HpaSpec, HpaTarget, ResourceName,
    SelectPolicy,
};

/// Lowers an autoscaler. Whether its target is there is asked by whoever knows all objects.
pub fn lower_hpa(object: &Value, names: &mut Interner) -> HpaSpec {
    let spec = &object["spec"];
    let target = &spec["scaleTargetRef"];
    let of_apps =
        target["apiVersion"].is_null() || text(&target["apiVersion"]).starts_with("apps/");
    let of_core = matches!(text(&target["apiVersion"]), "" | "v1");
    let named = names.intern(text(&target["name"]));
    let behavior = &spec["behavior"];
    HpaSpec {
        name: object_name(object, names),
        target: match text(&target["kind"]) {
            "Deployment" if of_apps => HpaTarget::Deployment(named),
            "ReplicaSet" if of_apps => HpaTarget::ReplicaSet(named),
            "StatefulSet" if of_apps => HpaTarget::StatefulSet(named),
            "ReplicationController" if of_core => HpaTarget::ReplicationController(named),
            _ => HpaTarget::Missing,
        },
        replicas_min: count(&spec["minReplicas"]).unwrap_or(1),
        replicas_max: count(&spec["maxReplicas"]).unwrap_or(1),
        metrics: items(&spec["metrics"]).iter().map(|m| lower_metric(m, names)).collect(),
        behavior: is_set(behavior).then(|| HpaBehavior {
            up: lower_rules(&behavior["scaleUp"]),
            down: lower_rules(&behavior["scaleDown"]),
        }),
    }
}

fn lower_metric(metric: &Value, names: &mut Interner) -> HpaMetric {
    let kind = text(&metric["type"]);
    let source = match kind {
        "Resource" => &metric["resource"],
        "ContainerResource" => &metric["containerResource"],
        _ => &Value::Null,
    };
    let resource = match text(&source["name"]) {
        "cpu" => Some(ResourceName::Cpu),
        "memory" => Some(ResourceName::Memory),
        _ => None,
    };
    let container = (kind == "ContainerResource").then(|| names.intern(text(&source["container"])));
    if let Some(metric) = lower_named(kind, metric, names) {
        return metric;
    }
    match (resource, lower_aim(&source["target"])) {
        (Some(resource), Some(target)) => HpaMetric::Resource { resource, container, target },
        _ => HpaMetric::Unmodelled(names.intern(kind)),
    }
}

/// A metric that has a name of its own (rule A28).
fn lower_named(kind: &str, metric: &Value, names: &mut Interner) -> Option<HpaMetric> {
    let source = match kind {
        "Pods" => &metric["pods"],
        "Object" => &metric["object"],
        "External" => &metric["external"],
        _ => return None,
    };
    let name = names.intern(text(&source["metric"]["name"]));
    let target = &source["target"];
    let milli = |key: &str| quantity(&target[key]).map(|quantity| quantity.milli_value());
    let average = milli("averageValue").map(HpaGoal::AverageValue);
    let value = milli("value").map(HpaGoal::Value);
    Some(match kind {
        "Pods" => HpaMetric::Pods { name, target: milli("averageValue")? },
        "Object" if target["type"] == "Value" => HpaMetric::Object { name, target: value? },
        "Object" => HpaMetric::Object { name, target: average.or(value)? },
        _ => HpaMetric::External { name, target: average.or(value)? },
    })
}

fn lower_aim(target: &Value) -> Option<HpaAim> {
    if let Some(average) = quantity(&target["averageValue"]) {
        return Some(HpaAim::AverageValue(average.milli_value()));
    }
    let percent = target["averageUtilization"].as_i64()?;
    Some(HpaAim::Utilization(i32::try_from(percent).ok()?))
}

fn lower_rules(rules: &Value) -> HpaRules {
    HpaRules {
        window: seconds(&rules["stabilizationWindowSeconds"]),
        select: match text(&rules["selectPolicy"]) {
            "Min" => SelectPolicy::Min,
            "Disabled" => SelectPolicy::Disabled,
            _ => SelectPolicy::Max,
        },
        policies: items(&rules["policies"]).iter().map(lower_policy).collect(),
        tolerance: quantity(&rules["tolerance"]).map(|tolerance| tolerance.approximate_f64()),
    }
}

fn lower_policy(policy: &Value) -> HpaPolicy {
    let value = policy["value"].as_i64().and_then(|value| i32::try_from(value).ok());
    HpaPolicy {
        is_percent: policy["type"] == "Percent",
        value: value.unwrap_or(0),
        period: seconds(&policy["periodSeconds"]).unwrap_or(Duration::ZERO),
    }
}
