//! `kubectl scale`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/scale/scale.go, pkg/scale/scale.go (recorded).

use serde_json::json;

use crate::api::PatchType;

use super::client::{Done, Session, Trouble, all_of};
use super::targets::{Targets, Whole};
use super::words::{Args, CommandError, Flag, Result, switch, value};

/// How many pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// `--replicas`.
    pub replicas: i64,
    /// `--current-replicas`: only if there are so many.
    pub current: Option<i64>,
}

pub(super) const FLAGS: &[Flag] = &[
    value("replicas"),
    value("current-replicas"),
    value("filename").short('f'),
    switch("all"),
    value("selector").short('l'),
];

const COUNT: &str = "error: The --replicas=COUNT flag is required, and COUNT must be greater than \
                     or equal to 0\n";

pub(super) fn read(args: &Args) -> Result<(Scale, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Asked)?;
    if let Some(target) = targets.named.iter().find(|t| never_scales(t.resource.name)) {
        let message = format!("a {} has no number of replicas", target.resource.singular());
        let says =
            "Error from server (NotFound): the server could not find the requested resource\n";
        return Err(CommandError::new(target.at.clone(), message).says(says));
    }
    let missing = || {
        let error = CommandError::new(args.end.clone(), "--replicas is missing");
        error.hint("for example --replicas=3").says(COUNT)
    };
    let replicas = args.number("replicas", "pods")?.ok_or_else(missing)?;
    if replicas < 0 {
        let message = format!("\"{replicas}\" is not a number of pods");
        return Err(CommandError::new(args.place("replicas"), message).says(COUNT));
    }
    let current = args.number("current-replicas", "pods")?;
    if current.is_some_and(|current| current < -1) {
        let message = "The --current-replicas must specify an integer of -1 or greater";
        return Err(CommandError::new(args.place("current-replicas"), message));
    }
    Ok((Scale { replicas, current: current.filter(|current| *current >= 0) }, targets))
}

/// Kinds without pods; of others the server says that they have no scale.
fn never_scales(kind: &str) -> bool {
    !matches!(
        kind,
        "Deployment"
            | "ReplicaSet"
            | "StatefulSet"
            | "ReplicationController"
            | "DaemonSet"
            | "Job"
            | "CronJob"
            | "Pod"
    )
}

pub(super) fn run(scale: Scale, targets: &Targets, session: &mut Session<'_>) -> Done {
    let mut troubles = Vec::new();
    let mut count = 0;
    for found in session.find(targets) {
        match found {
            Ok(info) => {
                count += 1;
                if session.writes() {
                    change(scale, &info, session)?;
                }
                session.tell(info.resource, &info.name, "scaled");
            }
            Err(trouble) => troubles.push(trouble),
        }
    }
    if count == 0 && troubles.is_empty() {
        return Err("no objects passed to scale".into());
    }
    all_of(troubles)
}

fn change(scale: Scale, info: &super::targets::Info, session: &mut Session<'_>) -> Done {
    let Some(wanted) = scale.current else {
        let patch = json!({ "spec": { "replicas": scale.replicas } });
        session.api.patch(info.scale(), PatchType::Merge, patch)?;
        return Ok(());
    };
    let mut object = session.api.get(info.scale())?;
    let now = object["spec"]["replicas"].as_i64().unwrap_or(0);
    if now != wanted {
        return Err(Trouble::Text(format!("Expected replicas to be {wanted}, was {now}")));
    }
    object["spec"]["replicas"] = scale.replicas.into();
    session.api.replace(info.scale(), object)?;
    Ok(())
}
