//! `kubectl delete`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/delete/delete.go (recorded).

use std::fmt::Write as _;

use crate::base::Duration;

use super::client::{At, Cascade, DeleteOptions, Done, DryRun, Session, Sub, Trouble, all_of};
use super::resources::Resource;
use super::targets::{Targets, Whole, is_missing, name_of};
use super::wait::{self, Awaited, Waiting};
use super::words::{Args, CommandError, Flag, Result, Takes, switch, value};

/// How objects are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delete {
    /// What the requests carry.
    pub options: DeleteOptions,
    /// `--force`.
    pub force: bool,
    /// `--ignore-not-found`.
    pub ignores_missing: bool,
    /// How long it waits for the objects to be gone; `None`: `--wait=false`.
    pub waits: Option<Duration>,
}

pub(super) const FLAGS: &[Flag] = &[
    value("filename").short('f'),
    switch("all"),
    value("selector").short('l'),
    Flag { long: "cascade", short: None, takes: Takes::Maybe("background") },
    value("grace-period"),
    switch("force"),
    switch("now"),
    switch("ignore-not-found"),
    switch("wait"),
    value("timeout"),
];

pub(super) fn read(args: &Args) -> Result<(Delete, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Asked)?;
    let cascade = match args.text("cascade") {
        None | Some("background" | "true") => Cascade::Background,
        Some("foreground") => Cascade::Foreground,
        Some("orphan" | "false") => Cascade::Orphan,
        Some(other) => {
            let message = format!(
                "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \
                 \"orphan\""
            );
            return Err(CommandError::new(args.place("cascade"), message));
        }
    };
    let force = args.is_on("force")?;
    let mut grace = args.number("grace-period", "seconds")?.unwrap_or(-1);
    if args.is_on("now")? {
        if grace != -1 {
            let message = "--now and --grace-period cannot be specified together";
            return Err(CommandError::new(args.place("now"), message));
        }
        grace = 1;
    }
    if force && grace > 0 {
        let message = "--force and --grace-period greater than 0 cannot be specified together";
        return Err(CommandError::new(args.place("force"), message));
    }
    // kubectl makes a second of zero, lest somebody lose data.
    let grace = match (force, grace) {
        (false, 0) => 1,
        (true, grace) if grace < 0 => 0,
        (_, grace) => grace,
    };
    let grace_s = Some(grace).filter(|grace| *grace >= 0);
    let options = DeleteOptions { grace_s, cascade };
    let ignores_missing = match args.switch("ignore-not-found")? {
        Some(given) => given,
        None => args.is_on("all")?,
    };
    // A grace of zero without force is waited for, whatever else is said.
    let waits = match args.switch("wait")? {
        Some(false) if force || args.text("grace-period") != Some("0") => None,
        _ => Some(wait::read_delete_timeout(args)?),
    };
    Ok((Delete { options, force, ignores_missing, waits }, targets))
}

const FORCED: &str = "Warning: Immediate deletion does not wait for confirmation that the running \
                      resource has been terminated. The resource may continue to run on the cluster \
                      indefinitely.\n";

/// An object to delete: its kind, namespace, name and the file that names it.
type Doomed = (&'static Resource, String, String, String);

pub(super) fn run(delete: Delete, targets: &Targets, session: &mut Session<'_>) -> Done {
    if delete.force {
        session.err.push_str(FORCED);
    }
    let (doomed, mut troubles) = doomed(targets, session);
    let (mut count, mut awaited) = (0, Vec::new());
    for object in &doomed {
        let (resource, namespace, name, _) = object;
        let at = At { resource, namespace, name, sub: Sub::Object };
        let life = delete.waits.and_then(|_| session.api.life(at));
        match remove(delete, object, session) {
            Ok(true) => {
                count += 1;
                awaited.extend(life.map(|life| Awaited::new(at, Some(life))));
            }
            Ok(false) => {}
            Err(trouble) => {
                count += 1;
                troubles.push(trouble);
            }
        }
    }
    all_of(troubles)?;
    if count == 0 {
        session.out.push_str("No resources found\n");
    }
    if let Some(timeout) = delete.waits.filter(|_| session.writes()) {
        session.waiting = Some(Waiting::gone(awaited, timeout));
    }
    Ok(())
}

/// The objects; those by name need not be there.
fn doomed(targets: &Targets, session: &mut Session<'_>) -> (Vec<Doomed>, Vec<Trouble>) {
    let (mut doomed, mut troubles) = (Vec::new(), Vec::new());
    for file in &targets.files {
        match session.documents(file) {
            Ok(documents) => doomed.extend(documents.into_iter().map(|(resource, ns, object)| {
                (resource, ns, name_of(&object).to_owned(), file.clone())
            })),
            Err(trouble) => troubles.push(trouble),
        }
    }
    let namespace = session.namespace.to_owned();
    for target in &targets.named {
        doomed.push((target.resource, namespace.clone(), target.name.clone(), String::new()));
    }
    for resource in &targets.kinds {
        match session.api.list(resource, &namespace, &targets.selector) {
            Ok(objects) => doomed.extend(objects.iter().map(|object| {
                (*resource, namespace.clone(), name_of(object).to_owned(), String::new())
            })),
            Err(status) => troubles.push(status.into()),
        }
    }
    (doomed, troubles)
}

/// Whether there was something to delete.
fn remove(
    delete: Delete,
    (resource, namespace, name, source): &Doomed,
    session: &mut Session<'_>,
) -> std::result::Result<bool, Trouble> {
    if session.writes() {
        let at = At { resource, namespace, name, sub: Sub::Object };
        if let Err(status) = session.api.delete(at, delete.options) {
            if is_missing(&status) && delete.ignores_missing {
                return Ok(false);
            }
            let trouble = Trouble::from(status);
            return Err(match source.as_str() {
                "" => trouble,
                source => trouble.when("deleting", source),
            });
        }
    }
    let kind = resource.printed();
    if session.prints_names {
        let _ = writeln!(session.out, "{kind}/{name}");
        return Ok(true);
    }
    let done = if delete.options.grace_s == Some(0) { "force deleted" } else { "deleted" };
    let from = match resource.is_namespaced {
        true => format!(" from {namespace} namespace"),
        false => String::new(),
    };
    let note = match session.dry_run {
        DryRun::No => "",
        DryRun::Client => " (dry run)",
        DryRun::Server => " (server dry run)",
    };
    let _ = writeln!(session.out, "{kind} {name:?} {done}{from}{note}");
    Ok(true)
}
