//! Controllers of pods.
//!
//! Source: kubernetes v1.36.3 pkg/apis/{apps,batch,core}/v1/defaults.go (rules C22, C80, C97, C114,
//! C135).

use serde_json::{Map, Value, json};

use super::super::read::{deep_mut, default, map_mut, maps_mut, text};
use super::{default_template, fill_text};

/// The specification, made if it is not there.
fn spec(object: &mut Value) -> Option<&mut Map<String, Value>> {
    default(object.as_object_mut()?, "spec", Map::new());
    deep_mut(object, &["spec"])
}

fn is_type(strategy: &Map<String, Value>, kind: &str) -> bool {
    strategy.get("type").is_some_and(|own| own == kind)
}

/// Rule C22.
pub(super) fn default_deployment(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    default(spec, "strategy", Map::new());
    if let Some(strategy) = map_mut(spec, "strategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if is_type(strategy, "RollingUpdate") {
            default(strategy, "rollingUpdate", Map::new());
            if let Some(rolling) = map_mut(strategy, "rollingUpdate") {
                default(rolling, "maxSurge", "25%");
                default(rolling, "maxUnavailable", "25%");
            }
        }
    }
    default_template(spec);
}

pub(super) fn default_replica_set(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    default(spec, "replicas", 1);
    default_template(spec);
}

/// Labels and selector are those of the template where none are written.
pub(super) fn default_replication_controller(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    default(spec, "replicas", 1);
    default_template(spec);
    let labels = spec["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        if spec.get("selector").is_none_or(|own| *own == json!({})) {
            spec.insert("selector".to_owned(), labels.clone());
        }
        label(object, labels);
    }
}

/// The labels of an object that has none.
fn label(object: &mut Value, labels: Value) {
    let Some(object) = object.as_object_mut() else { return };
    default(object, "metadata", Map::new());
    if let Some(metadata) = map_mut(object, "metadata")
        && metadata.get("labels").is_none_or(|own| *own == json!({}))
    {
        metadata.insert("labels".to_owned(), labels);
    }
}

/// Rule C80.
pub(super) fn default_stateful_set(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    fill_text(spec, "podManagementPolicy", "OrderedReady");
    default(spec, "updateStrategy", Map::new());
    if let Some(strategy) = map_mut(spec, "updateStrategy") {
        if text(strategy.get("type").unwrap_or(&Value::Null)).is_empty() {
            strategy.insert("type".to_owned(), "RollingUpdate".into());
            default(strategy, "rollingUpdate", Map::new());
        }
        if is_type(strategy, "RollingUpdate")
            && let Some(rolling) = map_mut(strategy, "rollingUpdate")
        {
            default(rolling, "partition", 0);
        }
    }
    default(spec, "persistentVolumeClaimRetentionPolicy", Map::new());
    if let Some(policy) = map_mut(spec, "persistentVolumeClaimRetentionPolicy") {
        fill_text(policy, "whenDeleted", "Retain");
        fill_text(policy, "whenScaled", "Retain");
    }
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default_template(spec);
    for claim in maps_mut(spec, "volumeClaimTemplates") {
        if let Some(spec) = map_mut(claim, "spec") {
            default(spec, "volumeMode", "Filesystem");
        }
        default_claim_status(claim);
    }
}

/// A claim that is not there yet is pending.
pub(super) fn default_claim_status(claim: &mut Map<String, Value>) {
    default(claim, "status", Map::new());
    if let Some(status) = map_mut(claim, "status") {
        fill_text(status, "phase", "Pending");
    }
}

/// Rule C97.
pub(super) fn default_daemon_set(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    default(spec, "updateStrategy", Map::new());
    if let Some(strategy) = map_mut(spec, "updateStrategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if is_type(strategy, "RollingUpdate") {
            default(strategy, "rollingUpdate", Map::new());
            if let Some(rolling) = map_mut(strategy, "rollingUpdate") {
                default(rolling, "maxUnavailable", 1);
                default(rolling, "maxSurge", 0);
            }
        }
    }
    default(spec, "revisionHistoryLimit", 10);
    default_template(spec);
}

/// Rule C114.
pub(super) fn default_job(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    let is_set = |spec: &Map<String, Value>, key: &str| spec.get(key).is_some_and(|v| !v.is_null());
    if !is_set(spec, "completions") && !is_set(spec, "parallelism") {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    let each = is_set(spec, "backoffLimitPerIndex");
    default(spec, "backoffLimit", if each { i32::MAX } else { 6 });
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    let replacement =
        if is_set(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    default(spec, "podReplacementPolicy", replacement);
    if let Some(policy) = map_mut(spec, "podFailurePolicy") {
        for rule in maps_mut(policy, "rules") {
            for pattern in maps_mut(rule, "onPodConditions") {
                fill_text(pattern, "status", "True");
            }
        }
    }
    default_template(spec);
    let labels = spec["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        label(object, labels);
    }
}

/// Rule C135. Of the Job's own fields none is filled in before there is a Job.
pub(super) fn default_cron_job(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    fill_text(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", 3);
    default(spec, "failedJobsHistoryLimit", 1);
    default(spec, "jobTemplate", Map::new());
    if let Some(job) = map_mut(spec, "jobTemplate") {
        default(job, "spec", Map::new());
        if let Some(spec) = map_mut(job, "spec") {
            default_template(spec);
        }
    }
}
