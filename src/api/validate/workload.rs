//! Deployments and ReplicaSets.

use serde_json::Value;

use super::super::node_selector::lower_labels;
use super::super::problem::{At, Found};
use super::super::read::{entries, int_or_string, is_set, items, text};
use super::super::selector::TextSelector;
use super::{annotations, label_selector, labels, not_negative, pod};
use crate::base::{IntOrString, Interner};

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' \
     (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// Rule C22.
pub(super) fn validate_deployment(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    not_negative(&at.field("replicas"), &spec["replicas"], found);
    selector_and_template(spec, &at, found);
    strategy(&spec["strategy"], &at.field("strategy"), found);
    not_negative(&at.field("minReadySeconds"), &spec["minReadySeconds"], found);
    not_negative(&at.field("revisionHistoryLimit"), &spec["revisionHistoryLimit"], found);
    let deadline = &spec["progressDeadlineSeconds"];
    let here = at.field("progressDeadlineSeconds");
    not_negative(&here, deadline, found);
    let min_ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    if deadline.as_i64().is_some_and(|deadline| deadline <= min_ready) {
        found.invalid(&here, deadline, "must be greater than minReadySeconds");
    }
}

pub(super) fn validate_replica_set(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    not_negative(&at.field("replicas"), &spec["replicas"], found);
    not_negative(&at.field("minReadySeconds"), &spec["minReadySeconds"], found);
    selector_and_template(spec, &at, found);
}

fn selector_and_template(spec: &Value, at: &At<'_>, found: &mut Found) {
    let selector = &spec["selector"];
    let here = at.field("selector");
    if selector.is_null() {
        found.required(&here, "");
    } else {
        label_selector(&here, selector, found);
        let empty = entries(&selector["matchLabels"]).next().is_none()
            && items(&selector["matchExpressions"]).is_empty();
        if empty {
            found.invalid(&here, selector, "empty selector is invalid for deployment");
        }
    }
    match TextSelector::of_object(selector) {
        Err(_) => found.invalid(&here, selector, "invalid label selector"),
        Ok(selector) => template(&spec["template"], selector.as_ref(), at, found),
    }
}

fn template(template: &Value, selector: Option<&TextSelector>, at: &At<'_>, found: &mut Found) {
    let of_template = &template["metadata"]["labels"];
    let mut names = Interner::new();
    let lowered = lower_labels(of_template, &mut names);
    let matches = selector.is_some_and(|s| s.lower(&mut names).matches(&lowered, &names));
    let here = at.field("template");
    if !matches {
        let why = "`selector` does not match template `labels`";
        found.invalid(&here.field("metadata.labels"), of_template, why);
    }
    let metadata = here.field("metadata");
    labels(&metadata.field("labels"), of_template, found);
    annotations(&metadata.field("annotations"), &template["metadata"]["annotations"], found);
    let (spec, spec_at) = (&template["spec"], here.field("spec"));
    pod::validate_spec(spec, &spec_at, found);
    if !items(&spec["ephemeralContainers"]).is_empty() {
        let why = "ephemeral containers not allowed in pod template";
        found.forbidden(&spec_at.field("ephemeralContainers"), why);
    }
    let policy = text(&spec["restartPolicy"]);
    if policy != "Always" && is_set(spec) {
        found.not_supported(&spec_at.field("restartPolicy"), policy, &["Always"]);
    }
    if is_set(&spec["activeDeadlineSeconds"]) {
        let why = "activeDeadlineSeconds in ReplicaSet is not Supported";
        found.forbidden(&spec_at.field("activeDeadlineSeconds"), why);
    }
}

fn strategy(strategy: &Value, at: &At<'_>, found: &mut Found) {
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" if is_set(rolling) => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            found.forbidden(&at.field("rollingUpdate"), why);
        }
        "Recreate" => {}
        "RollingUpdate" => rolling_update(rolling, &at.field("rollingUpdate"), found),
        other => found.not_supported(&at.field("type"), other, &["Recreate", "RollingUpdate"]),
    }
}

fn rolling_update(rolling: &Value, at: &At<'_>, found: &mut Found) {
    let (surge, missing) = (&rolling["maxSurge"], &rolling["maxUnavailable"]);
    int_or_percent(&at.field("maxUnavailable"), missing, found);
    int_or_percent(&at.field("maxSurge"), surge, found);
    let here = at.field("maxUnavailable");
    if share(surge) == 0 && share(missing) == 0 {
        found.invalid(&here, missing, "may not be 0 when `maxSurge` is 0");
    }
    if percent(missing).is_some_and(|percent| percent > 100) {
        found.invalid(&here, missing, "must not be greater than 100%");
    }
}

fn int_or_percent(at: &At<'_>, value: &Value, found: &mut Found) {
    match value {
        Value::String(_) if percent(value).is_none() => found.invalid(at, value, PERCENT),
        Value::Number(_) => not_negative(at, value, found),
        _ => {}
    }
}

/// The number before the percent sign; huge ones are cut.
fn percent(value: &Value) -> Option<i64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(i64::MAX))
}

fn share(value: &Value) -> i64 {
    match int_or_string(value) {
        Some(IntOrString::Int(count)) => count,
        _ => percent(value).unwrap_or(0),
    }
}
