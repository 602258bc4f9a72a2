//! Jobs and CronJobs.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::defaults::default_object;
use super::super::kinds::Kind;
use super::super::problem::{At, Found, Problem};
use super::super::read::{count, is_set, items, seconds, text};
use super::{Lowering, errors, lower_selector, object_name, pod};
use crate::base::{CronError, Interner, Schedule, Zone};
use crate::model::{
    Concurrency, CronJobSpec, FailureAction, FailureMatch, FailureRule, Intervals, JobSpec,
    ObjectName, SuccessRule, Workload, WorkloadKind,
};

/// Lowers a Job.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_job(object: &Arc<Value>, cx: &mut Lowering<'_>) -> Result<JobSpec, Vec<Problem>> {
    let name = object_name(object, cx.names);
    let mut workload = Workload { kind: WorkloadKind::Job, name };
    // What a CronJob owns is one of its Jobs, whoever made it.
    let owner = &object["metadata"]["ownerReferences"][0];
    if owner["kind"] == "CronJob" && owner["controller"] == true {
        let name = ObjectName { name: cx.names.intern(text(&owner["name"])), ..name };
        workload = Workload { kind: WorkloadKind::CronJob, name };
    }
    let job = lower_job_of(workload, object, &At::ROOT.field("spec.template"), cx)?;
    Ok(JobSpec { name, ..job })
}

/// Lowers a CronJob.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_cron_job(
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<CronJobSpec, Vec<Problem>> {
    let name = object_name(object, cx.names);
    let workload = Workload { kind: WorkloadKind::CronJob, name };
    let spec = &object["spec"];
    let tree = Arc::new(job_tree(object));
    let at = At::ROOT.field("spec.jobTemplate.spec.template");
    let job = lower_job_of(workload, &tree, &at, cx)?;
    let zone = spec["timeZone"].as_str();
    Ok(CronJobSpec {
        name,
        source: Arc::clone(object),
        job: Arc::new(job),
        schedule: schedule(text(&spec["schedule"]), zone),
        schedule_text: (text(&spec["schedule"]).to_owned(), zone.map(str::to_owned)),
        concurrency: match text(&spec["concurrencyPolicy"]) {
            "Forbid" => Concurrency::Forbid,
            "Replace" => Concurrency::Replace,
            _ => Concurrency::Allow,
        },
        starting_deadline: seconds(&spec["startingDeadlineSeconds"]),
        is_suspended: spec["suspend"] == true,
        succeeded_limit: count(&spec["successfulJobsHistoryLimit"]).unwrap_or(3),
        failed_limit: count(&spec["failedJobsHistoryLimit"]).unwrap_or(1),
    })
}

/// The schedule in its zone; without one the clock is UTC, that of the controller manager.
fn schedule(text: &str, zone: Option<&str>) -> Result<Schedule, CronError> {
    let zone = zone.map_or(Ok(Zone::UTC), Zone::named)?;
    Schedule::parse(text, &zone)
}

/// A Job of a CronJob as the API server stores it, but for its name.
fn job_tree(cron_job: &Value) -> Value {
    let template = &cron_job["spec"]["jobTemplate"];
    let mut metadata = Map::new();
    for key in ["labels", "annotations"] {
        if is_set(&template["metadata"][key]) {
            metadata.insert(key.to_owned(), template["metadata"][key].clone());
        }
    }
    for key in ["name", "namespace"] {
        if is_set(&cron_job["metadata"][key]) {
            metadata.insert(key.to_owned(), cron_job["metadata"][key].clone());
        }
    }
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": template["spec"],
    });
    default_object(Kind::Job, &mut job);
    job
}

/// What is absent is as the API server fills it in.
///
/// Source: kubernetes v1.36.3 pkg/apis/batch/v1/defaults.go `SetDefaults_Job` (rule C114).
fn lower_job_of(
    workload: Workload,
    object: &Arc<Value>,
    at: &At<'_>,
    cx: &mut Lowering<'_>,
) -> Result<JobSpec, Vec<Problem>> {
    let spec = &object["spec"];
    let mut found = Found::default();
    let template = pod::lower_template(workload, &spec["template"], at, cx, &mut found);
    let selector = lower_selector(&spec["selector"], cx.names, &mut found);
    let (Some(template), []) = (template, errors(&found).as_slice()) else {
        return Err(found.0);
    };
    let name: ObjectName = workload.name;
    let completions = count(&spec["completions"]);
    let parallelism = count(&spec["parallelism"]);
    let per_index = count(&spec["backoffLimitPerIndex"]);
    let failure_policy = failure_policy(&spec["podFailurePolicy"], cx.names);
    let limit = if per_index.is_some() { i32::MAX.cast_unsigned() } else { 6 };
    Ok(JobSpec {
        name,
        source: Arc::clone(object),
        selector,
        template,
        parallelism: parallelism.unwrap_or(1),
        completions: match (completions, parallelism) {
            (None, None) => Some(1),
            (given, _) => given,
        },
        is_indexed: text(&spec["completionMode"]) == "Indexed",
        backoff_limit: count(&spec["backoffLimit"]).unwrap_or(limit),
        backoff_limit_per_index: per_index,
        max_failed_indexes: count(&spec["maxFailedIndexes"]),
        success_policy: items(&spec["successPolicy"]["rules"]).iter().map(success_rule).collect(),
        active_deadline: seconds(&spec["activeDeadlineSeconds"]),
        ttl: seconds(&spec["ttlSecondsAfterFinished"]),
        is_suspended: spec["suspend"] == true,
        replaces_ended_only: failure_policy.is_some()
            || text(&spec["podReplacementPolicy"]) == "Failed",
        failure_policy,
        is_managed_elsewhere: !matches!(
            text(&spec["managedBy"]),
            "" | "kubernetes.io/job-controller"
        ),
    })
}

fn failure_policy(policy: &Value, names: &mut Interner) -> Option<Vec<FailureRule>> {
    let rule = |rule: &Value| failure_rule(rule, names);
    is_set(policy).then(|| items(&policy["rules"]).iter().filter_map(rule).collect())
}

/// A rule; `None` if its action is unknown: it never matches then.
fn failure_rule(rule: &Value, names: &mut Interner) -> Option<FailureRule> {
    let action = match text(&rule["action"]) {
        "FailJob" => FailureAction::FailJob,
        "FailIndex" => FailureAction::FailIndex,
        "Ignore" => FailureAction::Ignore,
        "Count" => FailureAction::Count,
        _ => return None,
    };
    let codes = &rule["onExitCodes"];
    let when = if is_set(codes) {
        let values = items(&codes["values"]).iter().filter_map(Value::as_i64);
        FailureMatch::ExitCodes {
            container: codes["containerName"].as_str().map(|name| names.intern(name)),
            is_in: text(&codes["operator"]) != "NotIn",
            values: values.filter_map(|value| i32::try_from(value).ok()).collect(),
        }
    } else {
        let pattern = |pattern: &Value| {
            let status = pattern["status"].as_str().unwrap_or("True");
            (text(&pattern["type"]).into(), status.into())
        };
        FailureMatch::Conditions(items(&rule["onPodConditions"]).iter().map(pattern).collect())
    };
    Some(FailureRule { action, when })
}

fn success_rule(rule: &Value) -> SuccessRule {
    SuccessRule {
        indexes: rule["succeededIndexes"].as_str().map(Intervals::parse),
        count: count(&rule["succeededCount"]),
    }
}
