//! Deployments and ReplicaSets.

use serde_json::Value;

use super::super::node_selector::lower_labels;
use super::super::problem::{At, Found};
use super::super::read::{entries, int_or_string, is_set, items, text};
use super::super::selector::TextSelector;
use super::{annotations, label_selector, labels, not_negative, pod, show, volumes};
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

/// Whether a selector is there and asks for nothing.
pub(super) fn is_empty_selector(selector: &Value) -> bool {
    entries(&selector["matchLabels"]).next().is_none()
        && items(&selector["matchExpressions"]).is_empty()
}

fn selector_and_template(spec: &Value, at: &At<'_>, found: &mut Found) {
    let selector = &spec["selector"];
    let here = at.field("selector");
    if selector.is_null() {
        found.required(&here, "");
    } else {
        label_selector(&here, selector, found);
        if is_empty_selector(selector) {
            found.invalid(&here, selector, "empty selector is invalid for deployment");
        }
    }
    match TextSelector::of_object(selector) {
        Err(_) => found.invalid(&here, selector, "invalid label selector"),
        Ok(selector) => {
            let here = at.field("template");
            matches_template(&spec["template"], selector.as_ref(), &here, found);
            template(&spec["template"], &here, found);
            if spec["replicas"].as_i64().is_some_and(|replicas| replicas > 1) {
                let list = here.field("spec.volumes");
                volumes::read_only_disks(&spec["template"]["spec"]["volumes"], &list, found);
            }
            only_always(&spec["template"]["spec"], "ReplicaSet", &here, found);
        }
    }
}

/// Whether labels match a selector; none matches nothing.
pub(super) fn matches_labels(labels: &Value, selector: Option<&TextSelector>) -> bool {
    let mut names = Interner::new();
    let lowered = lower_labels(labels, &mut names);
    selector.is_some_and(|s| s.lower(&mut names).matches(&lowered, &names))
}

pub(super) fn matches_template(
    template: &Value,
    selector: Option<&TextSelector>,
    at: &At<'_>,
    found: &mut Found,
) {
    let of_template = &template["metadata"]["labels"];
    if !matches_labels(of_template, selector) {
        let why = "`selector` does not match template `labels`";
        found.invalid(&at.field("metadata.labels"), of_template, why);
    }
}

/// What every template is held to. Source: `ValidatePodTemplateSpec`.
pub(super) fn template(template: &Value, at: &At<'_>, found: &mut Found) {
    let metadata = &template["metadata"];
    labels(&at.alias("labels", "metadata.labels"), &metadata["labels"], found);
    annotations(&at.alias("annotations", "metadata.annotations"), &metadata["annotations"], found);
    let (spec, spec_at) = (&template["spec"], at.field("spec"));
    pod::annotated(metadata, spec, &at.alias("annotations", "metadata.annotations"), found);
    pod::validate_spec(spec, &spec_at, found);
    if !items(&spec["ephemeralContainers"]).is_empty() {
        let why = "ephemeral containers not allowed in pod template";
        found.forbidden(&spec_at.field("ephemeralContainers"), why);
    }
}

/// Pods that are kept running for ever. `at` is the template.
pub(super) fn only_always(spec: &Value, kind: &str, at: &At<'_>, found: &mut Found) {
    let spec_at = at.field("spec");
    let policy = text(&spec["restartPolicy"]);
    if policy != "Always" {
        found.not_supported(&spec_at.field("restartPolicy"), policy, &["Always"]);
    }
    if is_set(&spec["activeDeadlineSeconds"]) {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        found.forbidden(&spec_at.field("activeDeadlineSeconds"), &why);
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
        "RollingUpdate" if !is_set(rolling) => {
            let why = "this should be defaulted and never be nil";
            found.required(&at.field("rollingUpdate"), why);
        }
        "RollingUpdate" => rolling_update(rolling, &at.field("rollingUpdate"), found),
        other => {
            let shown = serde_json::json!({ "Type": other, "RollingUpdate": rolling });
            let shown = show(&shown, &["Type", "RollingUpdate"]);
            found.unsupported(&at.silent_field("type"), &shown, &["Recreate", "RollingUpdate"]);
        }
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
    no_more_than_all(&here, missing, found);
}

pub(super) fn int_or_percent(at: &At<'_>, value: &Value, found: &mut Found) {
    match value {
        Value::String(_) if percent(value).is_none() => found.invalid(at, value, PERCENT),
        Value::Number(_) => not_negative(at, value, found),
        _ => {}
    }
}

pub(super) fn no_more_than_all(at: &At<'_>, value: &Value, found: &mut Found) {
    if percent(value).is_some_and(|percent| percent > 100) {
        found.invalid(at, value, "must not be greater than 100%");
    }
}

/// The number before the percent sign; huge ones are cut.
fn percent(value: &Value) -> Option<i64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(i64::MAX))
}

pub(super) fn share(value: &Value) -> i64 {
    match int_or_string(value) {
        Some(IntOrString::Int(count)) => count,
        _ => percent(value).unwrap_or(0),
    }
}
