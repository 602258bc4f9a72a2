//! Autoscalers.
//!
//! Source: kubernetes v1.36.3 pkg/apis/autoscaling/v2/defaults.go (rules A60, A61).

use serde_json::{Map, Value, json};

use super::super::read::{deep_mut, default, map_mut, text};

pub(super) fn default_hpa(object: &mut Value) {
    let version = text(&object["apiVersion"]);
    let (old, beta) = (version == "autoscaling/v1", version == "autoscaling/v2beta2");
    if old {
        from_v1(object);
    }
    if (old || beta) && object.is_object() {
        object["apiVersion"] = "autoscaling/v2".into();
    }
    let Some(spec) = deep_mut(object, &["spec"]) else {
        return;
    };
    default(spec, "minReplicas", 1);
    default(spec, "maxReplicas", 0); // no pointer in Go
    let none = spec.get("metrics").is_none_or(|list| list.as_array().is_some_and(Vec::is_empty));
    if none {
        spec.insert("metrics".to_owned(), json!([cpu_metric(&80.into())]));
    }
    if let Some(behavior) = map_mut(spec, "behavior") {
        let pods = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
        let percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
        let up = json!([pods, percent]);
        fill_rules(behavior, "scaleUp", up, Some(0));
        fill_rules(behavior, "scaleDown", json!([percent]), None);
    }
}

fn cpu_metric(percent: &Value) -> Value {
    json!({
        "type": "Resource",
        "resource": {
            "name": "cpu",
            "target": { "type": "Utilization", "averageUtilization": percent },
        },
    })
}

/// A given list of policies replaces the whole default list; other fields are filled one by one.
fn fill_rules(behavior: &mut Map<String, Value>, key: &str, policies: Value, window: Option<i64>) {
    default(behavior, key, Map::new());
    let Some(rules) = map_mut(behavior, key) else {
        return;
    };
    default(rules, "selectPolicy", "Max");
    default(rules, "policies", policies);
    if let Some(window) = window {
        default(rules, "stabilizationWindowSeconds", window);
    }
}

/// The first version knew one metric only.
fn from_v1(object: &mut Value) {
    let Some(spec) = deep_mut(object, &["spec"]) else {
        return;
    };
    let percent = spec.remove("targetCPUUtilizationPercentage").unwrap_or_else(|| 80.into());
    default(spec, "metrics", json!([cpu_metric(&percent)]));
}
