//! `kubectl label` and `kubectl annotate`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/label/label.go, pkg/cmd/annotate/annotate.go (recorded).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::api::{PatchType, label_value_faults, merge_diff};

use super::client::{Done, Session, Trouble, all_of};
use super::pairs::{Pair, pairs, split_pairs};
use super::targets::{Info, Targets, Whole};
use super::words::{Args, CommandError, Flag, Result, switch, value};

/// Labels or annotations that change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// New values.
    pub set: BTreeMap<String, String>,
    /// Keys that go.
    pub removed: Vec<String>,
    /// `--overwrite`.
    pub overwrites: bool,
}

pub(super) const FLAGS: &[Flag] = &[
    switch("overwrite"),
    value("filename").short('f'),
    switch("all"),
    value("selector").short('l'),
];

pub(super) fn read(what: &str, args: &Args) -> Result<(Labels, Targets)> {
    let example = if what == "label" { "for example tier=web" } else { "for example note=text" };
    let (targets, changes) = split_pairs(&args.words, what, "KEY=VALUE", example)?;
    let targets = Targets::read(targets, args, Whole::Asked)?;
    let mut labels = Labels { overwrites: args.is_on("overwrite")?, ..Labels::default() };
    for (pair, at) in pairs(changes, what, true)? {
        match pair {
            Pair::Set(key, value) => {
                if what == "label" {
                    let spec = format!("{key}={value}");
                    let fault = if value.contains('=') {
                        Some(format!("invalid label spec: {spec}"))
                    } else {
                        let faults = label_value_faults(&value);
                        (!faults.is_empty())
                            .then(|| format!("invalid label value: {spec:?}: {}", faults.join(";")))
                    };
                    if let Some(fault) = fault {
                        return Err(CommandError::new(at, fault));
                    }
                }
                labels.set.insert(key, value);
            }
            Pair::Remove(key) => labels.removed.push(key),
        }
    }
    if labels.set.is_empty() && labels.removed.is_empty() {
        let message = format!("at least one {what} update is required");
        return Err(CommandError::new(args.end.clone(), message).hint(example));
    }
    let both: Vec<&str> = labels
        .removed
        .iter()
        .map(String::as_str)
        .filter(|key| labels.set.contains_key(*key))
        .collect();
    if !both.is_empty() {
        let message = match what {
            "label" => "can not both modify and remove a label in the same command".to_owned(),
            _ => format!(
                "can not both modify and remove the following annotation(s) in the same command: {}",
                both.join(", ")
            ),
        };
        return Err(CommandError::new(args.words_at(), message));
    }
    Ok((labels, targets))
}

pub(super) fn run_label(labels: &Labels, targets: &Targets, session: &mut Session<'_>) -> Done {
    let mut troubles = Vec::new();
    for found in session.find(targets) {
        let done = found.and_then(|info| label(labels, &info, session));
        troubles.extend(done.err());
    }
    all_of(troubles)
}

fn label(labels: &Labels, info: &Info, session: &mut Session<'_>) -> Done {
    let old = texts(&info.object, "labels");
    if session.writes() {
        for key in labels.removed.iter().filter(|key| !old.contains_key(*key)) {
            let _ = writeln!(session.out, "label {key:?} not found.");
        }
    }
    if !labels.overwrites {
        let differs = |(key, value): (&String, &String)| {
            let own = old.get(key).and_then(Value::as_str).filter(|own| own != value)?;
            Some(Trouble::Text(format!(
                "'{key}' already has a value ({own}), and --overwrite is false"
            )))
        };
        all_of(labels.set.iter().filter_map(differs).collect())?;
    }
    let new = changed(&old, labels);
    let adds = new.iter().any(|(key, value)| old.get(key) != Some(value));
    let removes = old.keys().any(|key| !new.contains_key(key));
    if (adds || removes) && session.writes() {
        patch("labels", &old, &new, info, session)?;
    }
    let done = match (adds, removes) {
        (true, true) => "modified",
        (true, false) => "labeled",
        (false, true) => "unlabeled",
        (false, false) => "not labeled",
    };
    session.tell(info.resource, &info.name, done);
    Ok(())
}

pub(super) fn run_annotate(labels: &Labels, targets: &Targets, session: &mut Session<'_>) -> Done {
    let mut troubles = Vec::new();
    for found in session.find(targets) {
        let done = found.and_then(|info| annotate(labels, &info, session));
        troubles.extend(done.err());
    }
    all_of(troubles)
}

/// The annotation that may always be written over.
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

fn annotate(labels: &Labels, info: &Info, session: &mut Session<'_>) -> Done {
    let old = texts(&info.object, "annotations");
    if !labels.overwrites {
        let there = |key: &&String| *key != CHANGE_CAUSE && old.contains_key(*key);
        let there: Vec<String> = labels
            .set
            .keys()
            .filter(there)
            .map(|key| {
                let own = old[key].as_str().unwrap_or_default();
                format!("'{key}' already has a value ({own})")
            })
            .collect();
        if !there.is_empty() {
            return Err(Trouble::Text(format!(
                "--overwrite is false but found the following declared annotation(s): {}",
                there.join("; ")
            )));
        }
    }
    if session.writes() {
        patch("annotations", &old, &changed(&old, labels), info, session)?;
    }
    session.tell(info.resource, &info.name, "annotated");
    Ok(())
}

fn texts(object: &Value, part: &str) -> Map<String, Value> {
    object["metadata"][part].as_object().cloned().unwrap_or_default()
}

fn changed(old: &Map<String, Value>, labels: &Labels) -> Map<String, Value> {
    let mut new = old.clone();
    for (key, value) in &labels.set {
        new.insert(key.clone(), value.as_str().into());
    }
    new.retain(|key, _| !labels.removed.contains(key));
    new
}

fn patch(
    part: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    info: &Info,
    session: &mut Session<'_>,
) -> Done {
    let before = match info.object["metadata"].get(part) {
        Some(_) => json!({ "metadata": { part: old } }),
        None => json!({ "metadata": {} }),
    };
    let patch = merge_diff(&before, &json!({ "metadata": { part: new } }));
    session.api.patch(info.at(), PatchType::Merge, patch)?;
    Ok(())
}
