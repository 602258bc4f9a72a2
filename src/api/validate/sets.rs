//! StatefulSets, DaemonSets and ReplicationControllers.
//!
//! Source: kubernetes v1.36.3 pkg/apis/apps/validation/validation.go, pkg/apis/core/validation
//! (recorded).

use serde_json::{Value, json};

use super::super::problem::{At, Found};
use super::super::read::{entries, is_set, items, text};
use super::super::selector::TextSelector;
use super::workload::{
    int_or_percent, is_empty_selector, matches_template, no_more_than_all, only_always, share,
    template,
};
use super::{against, label_selector, names, not_negative, one_of, show, storage, volumes};

/// Rule C80.
pub(super) fn validate_stateful_set(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let policy = text(&spec["podManagementPolicy"]);
    if !matches!(policy, "OrderedReady" | "Parallel") {
        let here = at.field("podManagementPolicy");
        found.invalid_text(&here, policy, "must be 'OrderedReady' or 'Parallel'");
    }
    update_of_stateful_set(&spec["updateStrategy"], &at.field("updateStrategy"), found);
    let here = at.field("persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        let policy = &spec["persistentVolumeClaimRetentionPolicy"][field];
        one_of(&here.field(field), policy, &["Retain", "Delete"], found);
    }
    not_negative(&at.field("replicas"), &spec["replicas"], found);
    not_negative(&at.field("minReadySeconds"), &spec["minReadySeconds"], found);
    let ordinals = at.field("ordinals");
    not_negative(&ordinals.field("start"), &spec["ordinals"]["start"], found);
    let service = text(&spec["serviceName"]);
    if !service.is_empty() {
        against(&at.field("serviceName"), service, &names::dns_label(service), found);
    }
    let list = at.field("volumeClaimTemplates");
    for (index, claim) in items(&spec["volumeClaimTemplates"]).iter().enumerate() {
        let here = list.index(index);
        storage::claim_spec(&claim["spec"], &here.field("spec"), found);
    }
    let (selector, here) = (&spec["selector"], at.field("selector"));
    if selector.is_null() {
        found.required(&here, "");
    } else {
        label_selector(&here, selector, found);
        if is_empty_selector(selector) {
            found.invalid(&here, selector, "empty selector is invalid for statefulset");
        }
    }
    let here = at.field("template");
    match TextSelector::of_object(selector) {
        Err(_) => found.invalid(&at.field("selector"), selector, ""),
        Ok(selector) => {
            matches_template(&spec["template"], selector.as_ref(), &here, found);
            template(&with_claims(spec), &here, found);
        }
    }
    only_always(&spec["template"]["spec"], "StatefulSet", &here, found);
}

/// The template with a volume for each claim in front, as the pods have it.
fn with_claims(spec: &Value) -> Value {
    let mut template = spec["template"].clone();
    let claims = items(&spec["volumeClaimTemplates"]);
    let name = |volume: &Value| volume.get("name").cloned().unwrap_or_default();
    let mut volumes: Vec<Value> = claims
        .iter()
        .map(|claim| {
            let name = claim["metadata"]["name"].clone();
            json!({ "name": name, "persistentVolumeClaim": { "claimName": name } })
        })
        .collect();
    let own = items(&template["spec"]["volumes"]).iter();
    let kept: Vec<Value> =
        own.filter(|own| !volumes.iter().any(|v| name(v) == name(own))).cloned().collect();
    volumes.extend(kept);
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut)
        && !volumes.is_empty()
    {
        spec.insert("volumes".to_owned(), volumes.into());
    }
    template
}

fn update_of_stateful_set(strategy: &Value, at: &At<'_>, found: &mut Found) {
    let rolling = &strategy["rollingUpdate"];
    let here = at.field("rollingUpdate");
    match text(&strategy["type"]) {
        "" => found.required(at, ""),
        "OnDelete" if is_set(rolling) => {
            let shown = json!({
                "Partition": rolling["partition"], "MaxUnavailable": rolling["maxUnavailable"],
            });
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            found.invalid(&here, &show(&shown, &["Partition", "MaxUnavailable"]), why);
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            not_negative(&here.field("partition"), &rolling["partition"], found);
            let missing = &rolling["maxUnavailable"];
            int_or_percent(&here.field("maxUnavailable"), missing, found);
            no_more_than_all(&here.field("maxUnavailable"), missing, found);
        }
        other => {
            let shown = json!({ "Type": other, "RollingUpdate": rolling });
            let why = "must be 'RollingUpdate' or 'OnDelete'";
            found.invalid(at, &show(&shown, &["Type", "RollingUpdate"]), why);
        }
    }
}

/// Rule C97.
pub(super) fn validate_daemon_set(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let (selector, here) = (&spec["selector"], at.field("selector"));
    label_selector(&here, selector, found);
    let place = at.field("template");
    if let Ok(selector) = TextSelector::of_object(selector) {
        matches_template(&spec["template"], selector.as_ref(), &place, found);
    }
    if is_set(selector) && is_empty_selector(selector) {
        found.invalid(&here, selector, "empty selector is invalid for daemonset");
    }
    template(&spec["template"], &place, found);
    let list = place.field("spec.volumes");
    volumes::read_only_disks(&spec["template"]["spec"]["volumes"], &list, found);
    only_always(&spec["template"]["spec"], "DaemonSet", &place, found);
    not_negative(&at.field("minReadySeconds"), &spec["minReadySeconds"], found);
    update_of_daemon_set(&spec["updateStrategy"], &at.field("updateStrategy"), found);
    not_negative(&at.field("revisionHistoryLimit"), &spec["revisionHistoryLimit"], found);
}

fn update_of_daemon_set(strategy: &Value, at: &At<'_>, found: &mut Found) {
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "OnDelete" => {}
        "RollingUpdate" => {
            let here = at.field("rollingUpdate");
            let (surge, missing) = (&rolling["maxSurge"], &rolling["maxUnavailable"]);
            int_or_percent(&here.field("maxUnavailable"), missing, found);
            int_or_percent(&here.field("maxSurge"), surge, found);
            match (share(missing) != 0, share(surge) != 0) {
                (true, true) => {
                    let why = "may not be set when maxUnavailable is non-zero";
                    found.invalid(&here.field("maxSurge"), surge, why);
                }
                (false, false) => {
                    let why = "cannot be 0 when maxSurge is 0";
                    found.required(&here.field("maxUnavailable"), why);
                }
                _ => {}
            }
            no_more_than_all(&here.field("maxUnavailable"), missing, found);
            no_more_than_all(&here.field("maxSurge"), surge, found);
        }
        other => {
            let shown = show(
                &json!({ "Type": other, "RollingUpdate": rolling }),
                &["Type", "RollingUpdate"],
            );
            found.unsupported(at, &shown, &["RollingUpdate", "OnDelete"]);
        }
    }
}

pub(super) fn validate_replication_controller(object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    not_negative(&at.field("minReadySeconds"), &spec["minReadySeconds"], found);
    let selector = &spec["selector"];
    if entries(selector).next().is_none() {
        found.required(&at.field("selector"), "");
    }
    not_negative(&at.field("replicas"), &spec["replicas"], found);
    let place = at.field("template");
    let of_labels = TextSelector::of_object(&json!({ "matchLabels": selector }));
    if let (Ok(selector), true) = (of_labels, entries(selector).next().is_some()) {
        matches_template(&spec["template"], selector.as_ref(), &place, found);
    }
    template(&spec["template"], &place, found);
    if spec["replicas"].as_i64().is_some_and(|replicas| replicas > 1) {
        let list = place.field("spec.volumes");
        volumes::read_only_disks(&spec["template"]["spec"]["volumes"], &list, found);
    }
    only_always(&spec["template"]["spec"], "ReplicationController", &place, found);
}
