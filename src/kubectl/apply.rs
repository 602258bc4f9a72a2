//! `kubectl apply -f` and `kubectl create -f`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/apply/{apply,patcher}.go, pkg/cmd/create/create.go,
//! pkg/util/apply.go (recorded).

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::api::{PatchType, three_way, three_way_merge};

use super::client::{At, Done, Session, Sub, Trouble, all_of};
use super::resources::Resource;
use super::targets::{is_missing, name_of};
use super::words::{Args, CommandError, Flag, Result, Takes, switch, value};

pub(super) const FLAGS: &[Flag] = &[
    value("filename").short('f'),
    switch("overwrite"),
    Flag { long: "validate", short: None, takes: Takes::Maybe("true") },
    switch("wait"),
    switch("save-config"),
    switch("server-side"),
    switch("force-conflicts"),
];

const JSON: &str = "application/json";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// `apply`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// The files of `-f`.
    pub files: Vec<String>,
    /// `--server-side`.
    pub is_server_side: bool,
    /// `--force-conflicts`.
    pub forces: bool,
}

pub(super) fn read_apply(args: &Args) -> Result<Apply> {
    let (is_server_side, forces) = (args.is_on("server-side")?, args.is_on("force-conflicts")?);
    if forces && !is_server_side {
        let message = "--force-conflicts only works with --server-side";
        return Err(CommandError::new(args.place("force-conflicts"), message));
    }
    Ok(Apply { files: read(args)?, is_server_side, forces })
}

/// The files of `-f`.
pub(super) fn read(args: &Args) -> Result<Vec<String>> {
    if let Some(word) = args.words.first() {
        let error = CommandError::new(word.at.clone(), format!("unexpected \"{}\"", word.text));
        let says = format!(
            "error: Unexpected args: [{}]\nSee '{} -h' for help and examples\n",
            word.text, args.command
        );
        return Err(error.says(says));
    }
    let files: Vec<String> =
        args.all("filename").flat_map(|word| word.text.split(',').map(str::to_owned)).collect();
    if files.is_empty() {
        let error = CommandError::new(args.end.clone(), "-f is missing");
        let says = "error: must specify one of -f and -k\n";
        return Err(error.hint("for example -f web.yaml").says(says));
    }
    Ok(files)
}

pub(super) fn run_create(files: &[String], session: &mut Session<'_>) -> Done {
    let mut troubles = Vec::new();
    for file in files {
        let documents = session.documents(file)?;
        for (resource, namespace, object) in documents {
            let name = name_of(&object).to_owned();
            let created = created(resource, &namespace, object, file, session);
            match created {
                Ok(()) => session.tell(resource, &name, "created"),
                Err(trouble) => troubles.push(trouble),
            }
        }
    }
    all_of(troubles)
}

fn created(
    resource: &'static Resource,
    namespace: &str,
    object: Value,
    file: &str,
    session: &mut Session<'_>,
) -> Done {
    if !session.writes() {
        return Ok(());
    }
    let at = At { resource, namespace, name: "", sub: Sub::Object };
    let made = session.api.create(at, object, JSON);
    made.map(drop).map_err(|status| Trouble::from(status).when("creating", file))
}

pub(super) fn run_apply(of: &Apply, session: &mut Session<'_>) -> Done {
    let (mut troubles, mut count) = (Vec::new(), 0);
    for file in &of.files {
        match session.documents(file) {
            Ok(documents) => {
                for (resource, namespace, object) in documents {
                    count += 1;
                    let done = match of.is_server_side {
                        true => on_server(resource, &namespace, &object, of.forces, session),
                        false => apply(resource, &namespace, &object, file, session),
                    };
                    troubles.extend(done.err());
                }
            }
            Err(trouble) => troubles.push(trouble),
        }
    }
    if count == 0 && troubles.is_empty() {
        return Err("no objects passed to apply".into());
    }
    all_of(troubles)
}

/// What kubectl adds to a conflict.
const REVIEW: &str = "\
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";

/// The server merges.
fn on_server(
    resource: &'static Resource,
    namespace: &str,
    object: &Value,
    forces: bool,
    session: &mut Session<'_>,
) -> Done {
    let name = name_of(object);
    if name.is_empty() {
        let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
        return Err(format!("from {prefix}: cannot use generate name with apply").into());
    }
    if session.writes() {
        let at = At { resource, namespace, name, sub: Sub::Object };
        let applied = session.api.apply(at, without_nulls(object.clone()), forces);
        applied.map_err(|status| match status.reason {
            "Conflict" => Trouble::Text(format!("{}\n{REVIEW}", status.message)),
            _ => status.into(),
        })?;
    }
    session.tell(resource, name, "serverside-applied");
    Ok(())
}

fn apply(
    resource: &'static Resource,
    namespace: &str,
    object: &Value,
    file: &str,
    session: &mut Session<'_>,
) -> Done {
    let name = name_of(object);
    if name.is_empty() {
        let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
        return Err(format!("from {prefix}: cannot use generate name with apply").into());
    }
    let modified = annotated(object);
    let at = At { resource, namespace, name, sub: Sub::Object };
    let current = match session.api.get(at) {
        Ok(current) => current,
        Err(status) if is_missing(&status) => {
            created(resource, namespace, without_nulls(modified), file, session)?;
            session.tell(resource, name, "created");
            return Ok(());
        }
        Err(status) => {
            let doing = format!(
                "retrieving current configuration of:\n{}\nfrom server for:",
                described(at)
            );
            return Err(Trouble::from(status).when(&doing, file));
        }
    };
    if current["metadata"]["annotations"].get(LAST_APPLIED).is_none() {
        let _ = writeln!(
            session.err,
            "Warning: resource {}/{name} is missing the {LAST_APPLIED} annotation which is \
             required by kubectl apply. kubectl apply should only be used on resources created \
             declaratively by either kubectl create --save-config or kubectl apply. The missing \
             annotation will be patched automatically.",
            resource.plural
        );
    }
    let (patch, sent) = patched(at, &modified, &current, session);
    if let Err(trouble) = sent {
        let patch = patch.as_ref().map(go_json).unwrap_or_default();
        let doing = format!("applying patch:\n{patch}\nto:\n{}\nfor:", described(at));
        return Err(trouble.when("patching", file).when(&doing, file));
    }
    let is_empty = patch.as_ref().and_then(Value::as_object).is_none_or(|map| map.is_empty());
    session.tell(resource, name, if is_empty { "unchanged" } else { "configured" });
    Ok(())
}

/// Makes the patch and sends it, unless it is empty.
fn patched(
    at: At<'_>,
    modified: &Value,
    current: &Value,
    session: &mut Session<'_>,
) -> (Option<Value>, Done) {
    let text = current["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or_default();
    let original = serde_json::from_str(text).unwrap_or(Value::Null);
    let (made, language) = match at.resource.kind {
        Some(kind) => (three_way(kind, &original, modified, current), PatchType::Strategic),
        None => (Ok(three_way_merge(&original, modified, current)), PatchType::Merge),
    };
    let patch = match made {
        Ok(patch) => patch,
        Err(error) => {
            let (modified, current) = (go_json(modified), go_json(current));
            return (
                None,
                Err(format!(
                    "creating patch with:\noriginal:\n{text}\nmodified:\n{modified}\n\ncurrent:\n\
                     {current}\n\nfor: {error}"
                )
                .into()),
            );
        }
    };
    if patch.as_object().is_none_or(|patch| patch.is_empty()) || !session.writes() {
        return (Some(patch), Ok(()));
    }
    let sent = session.api.patch(at, language, patch.clone());
    (Some(patch), sent.map(drop).map_err(Trouble::from))
}

/// The object with an annotation that holds it.
fn annotated(object: &Value) -> Value {
    let mut object = object.clone();
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{}\n", go_json(&object));
    object["metadata"]["annotations"][LAST_APPLIED] = text.into();
    object
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}

/// JSON as Go writes it: some letters are escaped.
fn go_json(value: &Value) -> String {
    let text = value.to_string();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// How kubectl describes an object in errors.
fn described(at: At<'_>) -> String {
    let At { resource, namespace, name, .. } = at;
    let version = match resource.group {
        "" => format!("/{}", resource.version),
        _ => resource.api_version(),
    };
    let (plural, kind) = (resource.plural, resource.name);
    let namespace = if resource.is_namespaced { namespace } else { "" };
    format!(
        "Resource: \"{version}, Resource={plural}\", GroupVersionKind: \"{version}, Kind={kind}\"\n\
         Name: {name:?}, Namespace: {namespace:?}"
    )
}
