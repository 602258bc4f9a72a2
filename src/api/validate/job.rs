//! Jobs and CronJobs.
//!
//! Source: kubernetes v1.36.3 pkg/apis/batch/validation/validation.go (recorded; rules C114, C135).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::problem::{At, Found};
use super::super::read::{is_set, items, text};
use super::super::selector::TextSelector;
use super::workload::{matches_labels, matches_template, template};
use super::{against, label_selector, names, not_negative, show};
use crate::base::{Schedule, Zone};

const PARALLEL_MAX: i64 = 100_000;
const COMPLETIONS_MANY: i64 = 100_000;
const PARALLEL_MAX_OF_MANY: i64 = 10_000;
const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const INDEXED: &str = "requires indexed completion mode";

/// The labels that a Job without a selector of its own gives its pods.
pub(in super::super) const JOB_LABELS: [(&str, bool); 4] = [
    ("batch.kubernetes.io/controller-uid", true),
    ("batch.kubernetes.io/job-name", false),
    ("controller-uid", true),
    ("job-name", false),
];

pub(super) fn validate_job(object: &Value, found: &mut Found) {
    generated_selector(object, found);
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    job_spec_with_selector(spec, &at, found);
    let completions = spec["completions"].as_i64().unwrap_or(0);
    if spec["completionMode"] == "Indexed" && completions > 0 {
        let name = text(&object["metadata"]["name"]);
        let longest = format!("{name}-{}", completions - 1);
        if !names::dns_label(&longest).is_empty() {
            let why = format!("will not able to create pod with invalid DNS label: {longest}");
            found.invalid_text(&At::ROOT.field("metadata.name"), name, &why);
        }
    }
}

/// Unless the selector is written by hand, selector and labels are those that were generated.
fn generated_selector(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    if spec["manualSelector"] == true || spec["selector"].is_null() {
        return;
    }
    let (uid, name) = (text(&object["metadata"]["uid"]), text(&object["metadata"]["name"]));
    if uid.is_empty() {
        found.required(&At::ROOT.field("metadata.uid"), "");
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let at = At::ROOT.field("spec.template.metadata.labels");
    let mut expected = serde_json::Map::new();
    for (label, is_uid) in JOB_LABELS {
        let value = if is_uid { uid } else { name };
        expected.insert(label.to_owned(), value.into());
        let why = format!("must be '{value}'");
        match labels.get(label) {
            None => found.required(&at.key(label), &why),
            Some(own) if own != value => found.invalid(&at.key(label), labels, &why),
            Some(_) => {}
        }
    }
    if let Ok(selector) = TextSelector::of_object(&spec["selector"])
        && !matches_labels(&expected.into(), selector.as_ref())
    {
        let here = At::ROOT.field("spec.selector");
        found.invalid(&here, &spec["selector"], "`selector` not auto-generated");
    }
}

fn job_spec_with_selector(spec: &Value, at: &At<'_>, found: &mut Found) {
    job_spec(spec, at, found);
    let (selector, here) = (&spec["selector"], at.field("selector"));
    if selector.is_null() {
        found.required(&here, "");
    } else {
        label_selector(&here, selector, found);
    }
    if let Ok(selector) = TextSelector::of_object(selector) {
        matches_template(&spec["template"], selector.as_ref(), &at.field("template"), found);
    }
}

/// Of a Job, or of the template of a CronJob.
fn job_spec(spec: &Value, at: &At<'_>, found: &mut Found) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        not_negative(&at.field(field), &spec[field], found);
    }
    if let Some(manager) = spec["managedBy"].as_str() {
        let here = at.field("managedBy");
        against(&here, manager, &names::domain_prefixed_path(manager), found);
        if manager.len() > 63 {
            found.too_long(&here, 63);
        }
    }
    completion_mode(spec, at, found);
    if is_set(&spec["maxFailedIndexes"]) && !is_set(&spec["backoffLimitPerIndex"]) {
        let why = "when maxFailedIndexes is specified";
        found.required(&at.field("backoffLimitPerIndex"), why);
    }
    if is_set(&spec["podFailurePolicy"]) {
        failure_policy(spec, &at.field("podFailurePolicy"), found);
    }
    if is_set(&spec["successPolicy"]) {
        success_policy(spec, &at.field("successPolicy"), found);
    }
    replacement_policy(spec, &at.field("podReplacementPolicy"), found);
    let place = at.field("template");
    template(&spec["template"], &place, found);
    let policy = text(&spec["template"]["spec"]["restartPolicy"]);
    let place = place.field("spec.restartPolicy");
    match policy {
        "" | "Always" => found.required(&place, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if is_set(&spec["podFailurePolicy"]) => {
            let why = "only \"Never\" is supported when podFailurePolicy is specified";
            found.invalid_text(&place, policy, why);
        }
        "OnFailure" | "Never" => {}
        other => found.not_supported(&place, other, &["OnFailure", "Never"]),
    }
}

fn completion_mode(spec: &Value, at: &At<'_>, found: &mut Found) {
    let (completions, parallelism) = (&spec["completions"], &spec["parallelism"]);
    let (each, failed) = (&spec["backoffLimitPerIndex"], &spec["maxFailedIndexes"]);
    let above = |value: &Value, max: i64| value.as_i64().is_some_and(|value| value > max);
    match spec["completionMode"].as_str() {
        None | Some("NonIndexed") => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if is_set(&spec[field]) {
                    found.invalid(&at.field(field), &spec[field], INDEXED);
                }
            }
        }
        Some("Indexed") => {
            if completions.is_null() {
                found.required(&at.field("completions"), "when completion mode is Indexed");
            }
            if above(parallelism, PARALLEL_MAX) {
                let why = "must be less than or equal to 100000 when completion mode is Indexed";
                found.invalid(&at.field("parallelism"), parallelism, why);
            }
            let here = at.field("maxFailedIndexes");
            if completions.as_i64().is_some_and(|all| above(failed, all)) {
                found.invalid(&here, failed, "must be less than or equal to completions");
            }
            if above(failed, PARALLEL_MAX) {
                found.invalid(&here, failed, "must be less than or equal to 100000");
            }
            if above(completions, COMPLETIONS_MANY) && is_set(each) {
                let why = "must be less than or equal to 10000 when completions are above 100000 \
                           and used with backoff limit per index";
                if !is_set(failed) {
                    let why = "must be specified when completions is above 100000";
                    found.required(&here, why);
                }
                if above(parallelism, PARALLEL_MAX_OF_MANY) {
                    found.invalid(&at.field("parallelism"), parallelism, why);
                }
                if above(failed, PARALLEL_MAX_OF_MANY) {
                    found.invalid(&here, failed, why);
                }
            }
        }
        Some(other) => {
            found.not_supported(&at.field("completionMode"), other, &["NonIndexed", "Indexed"]);
        }
    }
}

fn failure_policy(spec: &Value, at: &At<'_>, found: &mut Found) {
    let pod = &spec["template"]["spec"];
    let containers = items(&pod["containers"]).iter().chain(items(&pod["initContainers"]));
    let containers: BTreeSet<&str> = containers.map(|own| text(&own["name"])).collect();
    let list = at.field("rules");
    let rules = items(&spec["podFailurePolicy"]["rules"]);
    if rules.len() > RULES_MAX {
        found.too_many(&list, rules.len(), RULES_MAX);
    }
    for (index, rule) in rules.iter().enumerate() {
        let here = list.index(index);
        const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
        let place = here.field("action");
        match text(&rule["action"]) {
            "" => {
                let known = ACTIONS.map(|word| format!("{word:?}")).join(", ");
                found.required(&place, &format!("valid values: {known}"));
            }
            "FailIndex" if !is_set(&spec["backoffLimitPerIndex"]) => {
                let why = "requires the backoffLimitPerIndex to be set";
                found.invalid_text(&place, "FailIndex", why);
            }
            action if ACTIONS.contains(&action) => {}
            other => found.not_supported(&place, other, &ACTIONS),
        }
        let (codes, conditions) = (&rule["onExitCodes"], items(&rule["onPodConditions"]));
        if is_set(codes) {
            exit_codes(codes, &containers, &here.field("onExitCodes"), found);
        }
        if !conditions.is_empty() {
            pod_conditions(conditions, &here.field("onPodConditions"), found);
        }
        match (is_set(codes), conditions.is_empty()) {
            (true, false) => found.invalid_rule(
                &here,
                "specifying both OnExitCodes and OnPodConditions is not supported",
            ),
            (false, true) => found.invalid_rule(
                &here,
                "specifying one of OnExitCodes and OnPodConditions is required",
            ),
            _ => {}
        }
    }
}

fn pod_conditions(conditions: &[Value], at: &At<'_>, found: &mut Found) {
    if conditions.len() > RULES_MAX {
        found.too_many(at, conditions.len(), RULES_MAX);
    }
    for (index, condition) in conditions.iter().enumerate() {
        let here = at.index(index);
        let name = text(&condition["type"]);
        against(&here.field("type"), name, &names::qualified_name(name), found);
        const KNOWN: [&str; 3] = ["False", "True", "Unknown"];
        match text(&condition["status"]) {
            "" => {
                let why = "valid values: \"False\", \"True\", \"Unknown\"";
                found.required(&here.field("status"), why);
            }
            status if KNOWN.contains(&status) => {}
            other => found.not_supported(&here.field("status"), other, &KNOWN),
        }
    }
}

fn exit_codes(codes: &Value, containers: &BTreeSet<&str>, at: &At<'_>, found: &mut Found) {
    let operator = text(&codes["operator"]);
    match operator {
        "" => found.required(&at.field("operator"), "valid values: \"In\", \"NotIn\""),
        "In" | "NotIn" => {}
        other => found.not_supported(&at.field("operator"), other, &["In", "NotIn"]),
    }
    if let Some(name) = codes["containerName"].as_str().filter(|name| !containers.contains(name)) {
        let why = "must be one of the container or initContainer names in the pod template";
        found.invalid_text(&at.field("containerName"), name, why);
    }
    let (values, list) = (items(&codes["values"]), at.field("values"));
    if values.is_empty() {
        found.invalid(&list, &json!([]), "at least one value is required");
    } else if values.len() > EXIT_CODES_MAX {
        found.too_many(&list, values.len(), EXIT_CODES_MAX);
    }
    let numbers: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
    let mut seen = BTreeSet::new();
    for (index, number) in numbers.iter().enumerate() {
        if operator == "In" && *number == 0 {
            found.invalid(&list.index(index), number, "must not be 0 for the In operator");
        }
        if !seen.insert(number) {
            found.duplicate(&list.index(index), number);
        }
    }
    if !numbers.is_sorted() {
        found.invalid(&list, &codes["values"], "must be ordered");
    }
}

fn success_policy(spec: &Value, at: &At<'_>, found: &mut Found) {
    let policy = &spec["successPolicy"];
    if spec["completionMode"] != "Indexed" {
        let rules = items(&policy["rules"]).iter().map(|rule| {
            let parts = json!({
                "SucceededIndexes": rule["succeededIndexes"],
                "SucceededCount": rule["succeededCount"],
            });
            show(&parts, &["SucceededIndexes", "SucceededCount"])
        });
        let rules: Vec<String> = rules.collect();
        found.invalid(at, &format!("{{\"Rules\":[{}]}}", rules.join(",")), INDEXED);
        return;
    }
    let list = at.field("rules");
    let rules = items(&policy["rules"]);
    if rules.is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        found.required(&list, why);
    } else if rules.len() > RULES_MAX {
        found.too_many(&list, rules.len(), RULES_MAX);
    }
    let completions = spec["completions"].as_i64().unwrap_or(0);
    for (index, rule) in rules.iter().enumerate() {
        let here = list.index(index);
        let (indexes, count) = (&rule["succeededIndexes"], &rule["succeededCount"]);
        if indexes.is_null() && count.is_null() {
            let why = "at least one of succeededCount or succeededIndexes must be specified";
            found.required(&here, why);
        }
        let mut named = None;
        if let Some(text) = indexes.as_str() {
            match count_indexes(text, completions) {
                Ok(count) => named = Some(count),
                Err(error) => {
                    let why = format!("error parsing succeededIndexes: {error}");
                    found.invalid_text(&here.field("succeededIndexes"), text, &why);
                }
            }
        }
        let place = here.field("succeededCount");
        not_negative(&place, count, found);
        if let Some(number) = count.as_i64() {
            if number > completions {
                let why = format!(
                    "must be less than or equal to {completions} (the number of specified \
                     completions)"
                );
                found.invalid(&place, count, &why);
            }
            if let Some(named) = named.filter(|named| number > *named) {
                let why = format!(
                    "must be less than or equal to {named} (the number of indexes in the \
                     specified succeededIndexes field)"
                );
                found.invalid(&place, count, &why);
            }
        }
    }
}

/// How many indexes a text such as `1,3-5,7` names.
fn count_indexes(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let (mut total, mut last) = (0, None);
    for part in text.split(',') {
        let ends: Vec<&str> = part.split('-').collect();
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain
                .then(|| text.parse::<i64>().unwrap_or(i64::MAX))
                .ok_or_else(|| format!("cannot convert string to integer for index: {text:?}"))
        };
        if ends.len() > 2 {
            return Err(format!(
                "the fragment {part:?} violates the requirement that an index interval can have at \
                 most two parts separated by '-'"
            ));
        }
        let first = number(ends[0])?;
        if first >= completions {
            return Err(format!("too large index: {:?}", ends[0]));
        }
        if last.is_some_and(|last| last >= first) {
            return Err(format!(
                "non-increasing order, previous: {}, current: {first}",
                last.unwrap_or_default()
            ));
        }
        let end = match ends.get(1) {
            Some(text) => number(text)?,
            None => first,
        };
        if end >= completions {
            return Err(format!("too large index: {:?}", ends.last().unwrap_or(&"")));
        }
        if ends.len() == 2 && first >= end {
            return Err(format!("non-increasing order, previous: {first}, current: {end}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn replacement_policy(spec: &Value, at: &At<'_>, found: &mut Found) {
    let Some(policy) = spec["podReplacementPolicy"].as_str() else { return };
    let known: &[&str] = match is_set(&spec["podFailurePolicy"]) {
        true => &["Failed"],
        false => &["Failed", "TerminatingOrFailed"],
    };
    if !known.contains(&policy) {
        found.not_supported(at, policy, known);
    }
}

/// Rule C135. `old` is the specification that is changed.
pub(super) fn validate_cron_job(object: &Value, old: Option<&Value>, found: &mut Found) {
    let (spec, at) = (&object["spec"], At::ROOT.field("spec"));
    let schedule = text(&spec["schedule"]);
    let here = at.field("schedule");
    if schedule.is_empty() {
        found.required(&here, "");
    } else {
        if let Err(error) = Schedule::parse(schedule, &Zone::UTC) {
            found.invalid_text(&here, schedule, &error.to_string());
        }
        let kept = old.is_some_and(|old| text(&old["spec"]["schedule"]).contains("TZ"));
        if schedule.contains("TZ") && kept && is_set(&spec["timeZone"]) {
            let why = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
            found.invalid_text(&here, schedule, why);
        } else if schedule.contains("TZ") && !kept {
            let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            found.invalid_text(&here, schedule, why);
        }
    }
    not_negative(&at.field("startingDeadlineSeconds"), &spec["startingDeadlineSeconds"], found);
    if old.is_none_or(|old| old["spec"]["timeZone"] != spec["timeZone"]) {
        time_zone(&spec["timeZone"], &at.field("timeZone"), found);
    }
    const POLICIES: [&str; 3] = ["Allow", "Forbid", "Replace"];
    let policy = text(&spec["concurrencyPolicy"]);
    if !POLICIES.contains(&policy) {
        found.not_supported(&at.field("concurrencyPolicy"), policy, &POLICIES);
    }
    let job = &spec["jobTemplate"]["spec"];
    let place = at.field("jobTemplate.spec");
    job_spec(job, &place, found);
    if is_set(&job["selector"]) {
        let why = "`selector` will be auto-generated";
        found.invalid(&place.field("selector"), &job["selector"], why);
    }
    if job["manualSelector"] == true {
        found.unsupported(&place.field("manualSelector"), "true", &["nil", "false"]);
    }
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        not_negative(&at.field(field), &spec[field], found);
    }
}

fn time_zone(value: &Value, at: &At<'_>, found: &mut Found) {
    let Some(zone) = value.as_str() else { return };
    if zone.is_empty() {
        found.invalid_text(at, zone, "timeZone must be nil or non-empty string");
    } else if zone.eq_ignore_ascii_case("local") {
        let why = "timeZone must be an explicit time zone as defined in \
                   https://www.iana.org/time-zones";
        found.invalid_text(at, zone, why);
    } else if Zone::named(zone).is_err() {
        found.invalid_text(at, zone, &format!("unknown time zone {zone}"));
    }
}
