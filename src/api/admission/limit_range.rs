//! LimitRange: requests and limits that containers get, and bounds that they must keep.
//!
//! Source: kubernetes v1.36.3 plugin/pkg/admission/limitranger/admission.go (rule C187).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::kinds::Kind;
use super::super::read::{entries, items, maps_mut, text};
use super::super::requests::{Amounts, list, pod_amounts};
use crate::base::Quantity;

/// Fills in a LimitRange's own defaults: what is missing comes from its other bounds.
///
/// Source: kubernetes v1.36.3 pkg/apis/core/v1/defaults.go `SetDefaults_LimitRangeItem`.
pub fn default_limit_range(object: &mut Value) {
    let Some(limits) = object["spec"]["limits"].as_array_mut() else { return };
    for item in limits.iter_mut().filter(|item| item["type"] == "Container") {
        for (to, from) in
            [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
        {
            let source = item[from].as_object().cloned().unwrap_or_default();
            if let Some(target) = own_map(item, to) {
                for (name, amount) in source {
                    target.entry(name).or_insert(amount);
                }
            }
        }
    }
}

fn own_map<'a>(item: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let map = item.as_object_mut()?;
    map.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// Gives containers the requests and limits that they lack, and notes it in the annotation.
pub(super) fn fill_pod(pod: &mut Value, ranges: &[&Value]) {
    let mut told = Vec::new();
    for range in ranges {
        let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
        let all = items(&range["spec"]["limits"]).iter();
        for item in all.filter(|item| item["type"] == "Container") {
            requests.extend(entries(&item["defaultRequest"]).map(owned));
            limits.extend(entries(&item["default"]).map(owned));
        }
        let Some(spec) = pod["spec"].as_object_mut() else { return };
        for list in ["containers", "initContainers"] {
            let kind = if list == "containers" { "container" } else { "init container" };
            for container in maps_mut(spec, list) {
                for (what, amounts) in [("requests", &requests), ("limits", &limits)] {
                    let set = fill_container(container, what, amounts);
                    if !set.is_empty() {
                        let name = container["name"].as_str().unwrap_or_default();
                        let what = what.strip_suffix('s').unwrap_or(what);
                        told.push(format!("{} {what} for {kind} {name}", set.join(", ")));
                    }
                }
            }
        }
    }
    if !told.is_empty() && pod["metadata"].is_object() {
        let note = format!("LimitRanger plugin set: {}", told.join("; "));
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] = note.into();
    }
}

fn owned((name, amount): (&str, &Value)) -> (String, Value) {
    (name.to_owned(), amount.clone())
}

/// The names of what was set.
fn fill_container(
    container: &mut Map<String, Value>,
    what: &str,
    amounts: &BTreeMap<String, Value>,
) -> Vec<String> {
    if amounts.is_empty() {
        return Vec::new();
    }
    let empty = || Value::Object(Map::new());
    let resources = container.entry("resources").or_insert_with(empty);
    let Some(resources) = resources.as_object_mut() else { return Vec::new() };
    let Some(own) = resources.entry(what).or_insert_with(empty).as_object_mut() else {
        return Vec::new();
    };
    let mut set = Vec::new();
    for (name, amount) in amounts {
        if !own.contains_key(name) {
            own.insert(name.clone(), amount.clone());
            set.push(name.clone());
        }
    }
    set
}

/// What a LimitRange has against an object.
pub(super) fn broken_by(kind: Kind, object: &Value, range: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    for item in items(&range["spec"]["limits"]) {
        match (kind, text(&item["type"])) {
            (Kind::Pod, "Container") => {
                let spec = &object["spec"];
                let all = items(&spec["containers"]).iter().chain(items(&spec["initContainers"]));
                for container in all {
                    let resources = &container["resources"];
                    let have = (list(&resources["requests"]), list(&resources["limits"]));
                    check_item(item, &have, &mut broken);
                }
            }
            (Kind::Pod, "Pod") => {
                let amounts = pod_amounts(object);
                check_item(item, &(amounts.requests, amounts.limits), &mut broken);
            }
            (Kind::PersistentVolumeClaim, "PersistentVolumeClaim") => {
                let have = list(&object["spec"]["resources"]["requests"]);
                check_claim(item, &have, &mut broken);
            }
            _ => {}
        }
    }
    broken
}

/// Bounds of one item against requests and limits.
fn check_item(item: &Value, (requests, limits): &(Amounts, Amounts), broken: &mut Vec<String>) {
    let of = text(&item["type"]);
    for (name, bound) in list(&item["min"]) {
        let text = format!("minimum {name} usage per {of} is {bound}");
        match requests.get(&name) {
            None => broken.push(format!("{text}.  No request is specified")),
            Some(request) if *request < bound => {
                broken.push(format!("{text}, but request is {request}"));
            }
            Some(_) => {
                let limit = limits.get(&name).filter(|limit| **limit < bound);
                broken.extend(limit.map(|limit| format!("{text}, but limit is {limit}")));
            }
        }
    }
    for (name, bound) in list(&item["max"]) {
        let text = format!("maximum {name} usage per {of} is {bound}");
        match limits.get(&name) {
            None => broken.push(format!("{text}.  No limit is specified")),
            Some(limit) if *limit > bound => {
                broken.push(format!("{text}, but limit is {limit}"));
            }
            Some(_) => {
                let request = requests.get(&name).filter(|request| **request > bound);
                broken.extend(request.map(|request| format!("{text}, but request is {request}")));
            }
        }
    }
    for (name, bound) in list(&item["maxLimitRequestRatio"]) {
        let pair = (requests.get(&name), limits.get(&name));
        broken.extend(check_ratio(of, &name, &bound, pair));
    }
}

/// The greatest ratio of limit to request.
fn check_ratio(
    of: &str,
    name: &str,
    bound: &Quantity,
    (request, limit): (Option<&Quantity>, Option<&Quantity>),
) -> Option<String> {
    let text = format!("{name} max limit to request ratio per {of} is {bound}, but");
    let positive = |amount: Option<&Quantity>| amount.filter(|amount| amount.sign() > 0).cloned();
    let Some(request) = positive(request) else {
        return Some(format!("{text} no request is specified or request is 0"));
    };
    let Some(limit) = positive(limit) else {
        return Some(format!("{text} no limit is specified or limit is 0"));
    };
    let ratio = limit.approximate_f64() / request.approximate_f64();
    (ratio > bound.approximate_f64()).then(|| format!("{text} provided ratio is {ratio:.6}"))
}

/// Bounds of a claim's storage.
fn check_claim(item: &Value, requests: &Amounts, broken: &mut Vec<String>) {
    let of = text(&item["type"]);
    let bounds = [("minimum", "min"), ("maximum", "max")];
    for (word, key) in bounds {
        for (name, bound) in list(&item[key]) {
            let text = format!("{word} {name} usage per {of} is {bound}");
            match requests.get(&name) {
                None => broken.push(format!("{text}.  No request is specified")),
                Some(have)
                    if (key == "min" && *have < bound) || (key == "max" && *have > bound) =>
                {
                    broken.push(format!("{text}, but request is {have}"));
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn range() -> Value {
        let mut range = json!({"spec": {"limits": [
            {"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "50m"},
             "default": {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "5"}},
            {"type": "Pod", "max": {"cpu": "2"}},
        ]}});
        default_limit_range(&mut range);
        range
    }

    /// Rule C187: limits and requests that are missing are filled in, the latter from the default
    /// limit; then the bounds hold.
    #[test]
    fn containers_get_what_they_lack() {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app"}]}});
        fill_pod(&mut pod, &[&range()]);
        let resources = &pod["spec"]["containers"][0]["resources"];
        assert_eq!(resources["limits"]["cpu"], "500m");
        assert_eq!(resources["requests"]["cpu"], "500m");
        assert!(broken_by(Kind::Pod, &pod, &range()).is_empty());
        let note = &pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"];
        let wanted = "LimitRanger plugin set: cpu request for container app; \
                      cpu limit for container app";
        assert_eq!(note, wanted);
    }

    /// Rule C187: container, pod and ratio are checked one by one.
    #[test]
    fn bounds_are_told_in_its_words() {
        let container = |request: &str, limit: &str| json!({"name": "c", "resources": {"requests": {"cpu": request}, "limits": {"cpu": limit}}});
        let pod = json!({"spec": {"containers": [container("100m", "2")]}});
        let told = broken_by(Kind::Pod, &pod, &range());
        assert_eq!(told[0], "maximum cpu usage per Container is 1, but limit is 2");
        let ratio = "cpu max limit to request ratio per Container is 5, but provided ratio is \
                     20.000000";
        assert_eq!(told[1], ratio);
        let one = container("1", "1");
        let pod = json!({"spec": {"containers": [one, one, one]}});
        let told = broken_by(Kind::Pod, &pod, &range());
        assert_eq!(told, ["maximum cpu usage per Pod is 2, but limit is 3"]);
    }
}
