//! `kubectl rollout restart|pause|resume|undo|history|status`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/rollout/*.go, pkg/polymorphichelpers/{objectrestarter,
//! objectpauser,objectresumer,rollback,history}.go (rules C63, C65; recorded).

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::api::{PatchType, TextSelector, two_way};

use super::client::{Done, Session, Trouble, all_of};
use super::resources::{Resource, controller_revisions, resource};
use super::targets::{Info, Targets, Whole};
use super::wait::{self, Watch};
use super::words::{Args, Flag, Result, switch, value};

/// What becomes of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// A new revision that differs in an annotation.
    Restart,
    /// It stops.
    Pause,
    /// It goes on.
    Resume,
    /// Back to a revision; 0: to the one before.
    Undo(i64),
    /// Tells of the revisions.
    History,
    /// Waits for its end.
    Status(Watch),
}

pub(super) const FLAGS: &[Flag] = &[value("filename").short('f'), value("selector").short('l')];
pub(super) const UNDO_FLAGS: &[Flag] = &[value("to-revision")];
pub(super) const STATUS_FLAGS: &[Flag] =
    &[switch("watch").short('w'), value("timeout"), value("revision")];

pub(super) fn read(what: &str, args: &Args) -> Result<(Rollout, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Allowed)?;
    let rollout = match what {
        "restart" => Rollout::Restart,
        "pause" => Rollout::Pause,
        "resume" => Rollout::Resume,
        "undo" => Rollout::Undo(args.number("to-revision", "a revision")?.unwrap_or(0)),
        "history" => Rollout::History,
        _ => Rollout::Status(wait::read_watch(args)?),
    };
    Ok((rollout, targets))
}

pub(super) fn run(rollout: Rollout, targets: &Targets, session: &mut Session<'_>) -> Done {
    let mut troubles = Vec::new();
    let found = session.find(targets);
    let is_patch = matches!(rollout, Rollout::Restart | Rollout::Pause | Rollout::Resume);
    if found.is_empty() && is_patch {
        let _ = writeln!(session.err, "No resources found in {} namespace.", session.namespace);
    }
    if let Rollout::Status(watch) = rollout {
        return status(watch, found, session);
    }
    for found in found {
        let done = found.and_then(|info| match rollout {
            Rollout::Restart => changed(rollout, &info, "restarted", session),
            Rollout::Pause => changed(rollout, &info, "paused", session),
            Rollout::Resume => changed(rollout, &info, "resumed", session),
            Rollout::Undo(revision) => undo(revision, &info, session),
            Rollout::History => history(&info, session),
            Rollout::Status(_) => Ok(()), // all at once: see above
        });
        troubles.extend(done.err());
    }
    all_of(troubles)
}

/// Waits for one rollout after another.
fn status(
    watch: Watch,
    found: Vec<std::result::Result<Info, Trouble>>,
    session: &mut Session<'_>,
) -> Done {
    let infos = found.into_iter().collect::<std::result::Result<Vec<Info>, Trouble>>()?;
    if infos.is_empty() {
        let _ = writeln!(session.err, "No resources found in {} namespace.", session.namespace);
        return Ok(());
    }
    session.waiting = Some(wait::begin_watch(watch, &infos, session));
    Ok(())
}

const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Restarts, pauses or resumes.
fn changed(rollout: Rollout, info: &Info, done: &str, session: &mut Session<'_>) -> Done {
    let mut object = info.object.clone();
    let change = match rollout {
        Rollout::Restart => restart(&mut object, &session.now.to_string()),
        Rollout::Pause => pause(&mut object),
        _ => resume(&mut object),
    };
    let refused =
        |why: &str| Trouble::Text(format!("error: {} {:?} {why}", info.resource.full(), info.name));
    change.map_err(refused)?;
    let kind = info.resource.kind.ok_or("no such kind")?;
    let patch = two_way(kind, &info.object, &object).map_err(|error| refused(&error))?;
    if patch.as_object().is_none_or(Map::is_empty) {
        return Err(Trouble::Text(format!(
            "failed to create patch for {}: if restart has already been triggered within the past \
             second, please wait before attempting to trigger another",
            info.name
        )));
    }
    if session.writes() {
        let sent = session.api.patch(info.at(), PatchType::Strategic, patch);
        sent.map_err(|status| format!("failed to patch: {}", status.message))?;
    }
    session.tell(info.resource, &info.name, done);
    Ok(())
}

type Changed = std::result::Result<(), &'static str>;

fn restart(object: &mut Value, at: &str) -> Changed {
    match object["kind"].as_str() {
        Some("Deployment") if object["spec"]["paused"] == true => {
            return Err("can't restart paused deployment (run rollout resume first)");
        }
        Some("Deployment" | "DaemonSet" | "StatefulSet") => {}
        _ => return Err("restarting is not supported"),
    }
    let template = object.get_mut("spec").and_then(|spec| spec.get_mut("template"));
    let Some(template) = template.and_then(Value::as_object_mut) else {
        return Err("restarting is not supported");
    };
    let metadata = template.entry("metadata").or_insert(Value::Null);
    if !metadata.is_object() {
        *metadata = json!({});
    }
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = json!({});
    }
    metadata["annotations"][RESTARTED_AT] = at.into();
    Ok(())
}

fn pause(object: &mut Value) -> Changed {
    let spec = deployment_spec(object).ok_or("pausing is not supported")?;
    if spec.get("paused").is_some_and(|paused| *paused == true) {
        return Err("is already paused");
    }
    spec.insert("paused".to_owned(), true.into());
    Ok(())
}

fn resume(object: &mut Value) -> Changed {
    let spec = deployment_spec(object).ok_or("resuming is not supported")?;
    match spec.remove("paused") {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err("is not paused"),
    }
}

fn deployment_spec(object: &mut Value) -> Option<&mut Map<String, Value>> {
    if object["kind"] != "Deployment" {
        return None;
    }
    object.get_mut("spec").and_then(Value::as_object_mut)
}

/// The annotation with a revision.
const REVISION: &str = "deployment.kubernetes.io/revision";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
const HASH: &str = "pod-template-hash";

/// Annotations of a Deployment that no undo takes from a ReplicaSet.
const OWN_ANNOTATIONS: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

fn undo(revision: i64, info: &Info, session: &mut Session<'_>) -> Done {
    let done = match info.resource.name {
        "Deployment" => undo_deployment(revision, info, session)?,
        "StatefulSet" | "DaemonSet" => undo_by_history(revision, info, session)?,
        _ => {
            let kind = match info.resource.group {
                "" => info.resource.name.to_owned(),
                group => format!("{}.{group}", info.resource.name),
            };
            return Err(format!("no rollbacker has been implemented for {kind:?}").into());
        }
    };
    session.tell(info.resource, &info.name, &done);
    Ok(())
}

fn not_in_history(revision: i64) -> Trouble {
    format!("unable to find specified revision {revision} in history").into()
}

fn matches_already(revision: i64) -> String {
    format!("skipped rollback (current template already matches revision {revision})")
}

fn undo_deployment(
    to_revision: i64,
    info: &Info,
    session: &mut Session<'_>,
) -> std::result::Result<String, Trouble> {
    if to_revision < 0 {
        return Err(not_in_history(to_revision));
    }
    let sets = owned(resource(crate::api::Kind::ReplicaSet), info, session)?;
    let set = revision_of(to_revision, &sets, &info.name)?;
    if info.object["spec"]["paused"] == true {
        return Err("cannot rollback a paused deployment; resume it first with 'kubectl rollout \
                    resume' and try again"
            .into());
    }
    let template = without_hash(&set["spec"]["template"]);
    if template == without_hash(&info.object["spec"]["template"]) {
        return Ok(matches_already(to_revision));
    }
    let of = |object: &Value| object["metadata"]["annotations"].as_object().cloned();
    let mut annotations = of(&info.object).unwrap_or_default();
    annotations.retain(|key, _| OWN_ANNOTATIONS.contains(&key.as_str()));
    let theirs = of(set).unwrap_or_default().into_iter();
    annotations.extend(theirs.filter(|(key, _)| !OWN_ANNOTATIONS.contains(&key.as_str())));
    let patch = json!([
        { "op": "replace", "path": "/spec/template", "value": template },
        { "op": "replace", "path": "/metadata/annotations", "value": annotations },
    ]);
    restored(to_revision, info, PatchType::Json, patch, session)
}

fn restored(
    revision: i64,
    info: &Info,
    language: PatchType,
    patch: Value,
    session: &mut Session<'_>,
) -> std::result::Result<String, Trouble> {
    if session.writes() {
        let sent = session.api.patch(info.at(), language, patch);
        let failed = |why: &str| format!("failed restoring revision {revision}: {why}");
        sent.map_err(|status| failed(&status.message))?;
    }
    Ok("rolled back".to_owned())
}

fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    let metadata = template.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata
        && let Some(Value::Object(labels)) = metadata.get_mut("labels")
    {
        labels.remove(HASH);
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
    template
}

/// The objects of a kind that a controller owns.
fn owned(
    of: &'static Resource,
    owner: &Info,
    session: &mut Session<'_>,
) -> std::result::Result<Vec<Value>, Trouble> {
    let selector = TextSelector::of_object(&owner.object["spec"]["selector"])?;
    let mut all = session.api.list(of, &owner.namespace, &selector.unwrap_or_default())?;
    let uid = &owner.object["metadata"]["uid"];
    all.retain(|object| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        owners.into_iter().flatten().any(|reference| {
            let same_uid = !uid.is_string() || reference["uid"] == *uid || reference["uid"] == "";
            reference["controller"] == true
                && reference["kind"] == owner.resource.name
                && reference["name"] == owner.name.as_str()
                && same_uid
        })
    });
    Ok(all)
}

/// The revision that an annotation gives, 0 without one, nothing for other texts.
fn revision_number(set: &Value) -> Option<i64> {
    match set["metadata"]["annotations"][REVISION].as_str() {
        None => Some(0),
        Some(text) => text.parse().ok(),
    }
}

/// The ReplicaSet of a revision; of 0 the one with the second highest.
fn revision_of<'s>(
    revision: i64,
    sets: &'s [Value],
    name: &str,
) -> std::result::Result<&'s Value, Trouble> {
    let mut numbered: Vec<(i64, &Value)> =
        sets.iter().filter_map(|set| Some((revision_number(set)?, set))).collect();
    if revision > 0 {
        let found = numbered.iter().find(|(number, _)| *number == revision);
        return found.map(|(_, set)| *set).ok_or_else(|| not_in_history(revision));
    }
    numbered.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let none = || format!("no rollout history found for deployment {name:?}").into();
    numbered.get(1).map(|(_, set)| *set).ok_or_else(none)
}

/// The revisions of a StatefulSet or DaemonSet, oldest first.
fn revisions(info: &Info, session: &mut Session<'_>) -> std::result::Result<Vec<Value>, Trouble> {
    let mut all = owned(controller_revisions(), info, session)?;
    all.sort_by_key(|object| object["revision"].as_i64());
    Ok(all)
}

fn undo_by_history(
    to_revision: i64,
    info: &Info,
    session: &mut Session<'_>,
) -> std::result::Result<String, Trouble> {
    if to_revision < 0 {
        return Err(not_in_history(to_revision));
    }
    let history = revisions(info, session)?;
    let found = match (to_revision, history.len()) {
        (0, 0 | 1) => return Err("no last revision to roll back to".into()),
        (0, count) => history.get(count - 2),
        (wanted, _) => history.iter().find(|object| object["revision"] == wanted),
    };
    let data = found.map(|object| object["data"].clone());
    let data = data.ok_or_else(|| not_in_history(to_revision))?;
    let mut template = info.object["spec"]["template"].clone();
    if let Some(template) = template.as_object_mut() {
        template.insert("$patch".to_owned(), "replace".into());
    }
    if data == json!({ "spec": { "template": template } }) {
        return Ok(matches_already(to_revision));
    }
    restored(to_revision, info, PatchType::Strategic, data, session)
}

fn history(info: &Info, session: &mut Session<'_>) -> Done {
    let cause = |object: &Value| {
        let text = object["metadata"]["annotations"][CHANGE_CAUSE].as_str();
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let mut rows: Vec<(i64, Option<String>)> = match info.resource.name {
        "Deployment" => {
            let sets = owned(resource(crate::api::Kind::ReplicaSet), info, session)?;
            sets.iter().filter_map(|set| Some((revision_number(set)?, cause(set)))).collect()
        }
        "StatefulSet" | "DaemonSet" => {
            let all = revisions(info, session)?;
            all.iter().map(|of| (of["revision"].as_i64().unwrap_or(0), cause(of))).collect()
        }
        other => return Err(format!("no history viewer has been implemented for {other:?}").into()),
    };
    rows.sort();
    let mut text = "\n".to_owned();
    if rows.is_empty() {
        text.push_str("No rollout history found.");
    } else {
        text.push_str("REVISION  CHANGE-CAUSE\n");
        for (revision, cause) in rows {
            let _ = writeln!(text, "{revision:<8}  {}", cause.as_deref().unwrap_or("<none>"));
        }
    }
    session.tell(info.resource, &info.name, &text);
    Ok(())
}
