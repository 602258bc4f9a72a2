//! Entries of the timeline become commands and faults, checked against what is there.

use crate::base::{Interner, SimTime};
use crate::kubectl;
use crate::model::{
    Action, Command, DeploymentSpec, Fault, FaultPlace, ObjectName, Target, TargetKind,
    TimelineEntry, Workload, WorkloadKind,
};
use crate::tree::{Diagnostic, Diagnostics, Span, Spanned};

use super::behaviors::shown;
use super::file::{FaultFile, PlaceFile, TimelineFile};
use super::known::{Gaps, missing};

/// What is there for commands to refer to.
pub(super) struct Known<'a> {
    pub workloads: &'a [Workload],
    pub services: &'a [ObjectName],
    pub hpas: &'a [ObjectName],
    pub nodes: &'a [crate::base::Symbol],
    pub zones: &'a [crate::base::Symbol],
    pub deployments: &'a [DeploymentSpec],
    pub gaps: Gaps,
}

/// The entry, if it is right.
pub(super) fn lower(
    entry: &Spanned<TimelineFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<TimelineEntry> {
    let at = SimTime::ZERO + entry.value.at.0;
    match (&entry.value.run, &entry.value.fault) {
        (Some(run), None) => {
            let action = command(run, known, names, found)?;
            Some(TimelineEntry { at, action, text: run.value.trim().to_owned() })
        }
        (None, Some(fault)) => {
            let (fault, text) = lower_fault(fault, known, names, found)?;
            Some(TimelineEntry { at, action: Action::Fault(fault), text })
        }
        _ => {
            let error = Diagnostic::error(entry.span, "expected exactly one of run and fault");
            found.push(error.with_hint("run: kubectl rollout restart deployment/NAME"));
            None
        }
    }
}

/// A fault and how the report calls it.
fn lower_fault(
    fault: &Spanned<FaultFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(Fault, String)> {
    type Make = fn(FaultPlace) -> Fault;
    let FaultFile { crash, not_ready, recover } = &fault.value;
    let kinds: [(&Option<_>, &str, Make); 3] = [
        (crash, "crash", Fault::Crash),
        (not_ready, "not ready:", Fault::NotReady),
        (recover, "recovery", Fault::Recover),
    ];
    let mut written = kinds
        .into_iter()
        .filter_map(|(place, word, make)| place.as_ref().map(|place| (place, word, make)));
    let (Some((place, word, make)), None) = (written.next(), written.next()) else {
        let is_empty = crash.is_none() && not_ready.is_none() && recover.is_none();
        let one = "expected exactly one of crash, notReady and recover";
        let message = if is_empty { "an empty fault" } else { one };
        let error = Diagnostic::error(fault.span, message);
        found.push(error.with_hint("crash: { node: NAME }"));
        return None;
    };
    let (place, shown) = lower_place(place, known, names, found)?;
    Some((make(place), format!("{word} of {shown}").replace(": of", ":")))
}

fn lower_place(
    place: &Spanned<PlaceFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(FaultPlace, String)> {
    match (&place.value.node, &place.value.zone) {
        (Some(name), None) => {
            let symbol = node(name, known, names, found)?;
            Some((FaultPlace::Node(symbol), format!("node {}", name.value)))
        }
        (None, Some(name)) => {
            let symbol = zone(name, known, names, found)?;
            Some((FaultPlace::Zone(symbol), format!("zone {}", name.value)))
        }
        _ => {
            let error = Diagnostic::error(place.span, "expected exactly one of node and zone");
            found.push(error.with_hint("crash: { node: NAME }"));
            None
        }
    }
}

fn zone(
    name: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<crate::base::Symbol> {
    let symbol = names.intern(&name.value);
    if known.zones.contains(&symbol) {
        return Some(symbol);
    }
    if known.gaps.nodes {
        return None;
    }
    let message = format!("no node is in zone \"{}\"", name.value);
    let all = known.zones.iter().map(|zone| names.resolve(*zone));
    found.push(Diagnostic::error(name.span, message).with_suggestion(&name.value, all));
    None
}

fn node(
    name: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<crate::base::Symbol> {
    let symbol = names.intern(&name.value);
    if known.nodes.contains(&symbol) {
        return Some(symbol);
    }
    if known.gaps.nodes {
        return None;
    }
    let error = Diagnostic::error(name.span, format!("there is no node \"{}\"", name.value));
    let all = known.nodes.iter().map(|node| names.resolve(*node));
    found.push(error.with_suggestion(&name.value, all));
    None
}

/// The part of a scalar's span that the bytes `at` of its text take.
#[must_use]
pub fn part(whole: &Spanned<String>, at: &std::ops::Range<usize>) -> Span {
    let Span { file, start, end } = whole.span;
    let (written, text) = ((end - start) as usize, whole.value.len());
    // A plain scalar is written as it is, a quoted one between two quotes.
    let skipped = match written.checked_sub(text) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return whole.span,
    };
    let offset = |byte: usize| start + u32::try_from(byte + skipped).unwrap_or(0);
    Span::new(file, offset(at.start), offset(at.end).min(end))
}

fn command(
    run: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<Action> {
    let command = match kubectl::parse_command(&run.value, "default", names) {
        Ok(command) => command,
        Err(problem) => {
            let error = Diagnostic::error(part(run, &problem.at), problem.message);
            found.push(match problem.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
            return None;
        }
    };
    if let Command::Cordon { node: name } | Command::Uncordon { node: name } = &command {
        let name = names.resolve(*name).to_owned();
        let place = word(run, &name);
        node(&Spanned::new(name, place), known, names, found)?;
    }
    if let Command::Drain(options) = &command {
        for name in &options.nodes {
            let name = names.resolve(*name).to_owned();
            let place = word(run, &name);
            node(&Spanned::new(name, place), known, names, found)?;
        }
    }
    if let Some(target) = target(&command) {
        check_target(target, run, known, names, found)?;
    }
    if let Command::SetImage { target, images } = &command {
        check_containers(*target, images, run, known, names, found)?;
    }
    Some(Action::Command(command))
}

/// The place of the word of a command that is a name or ends with `/name`, `name=…`.
fn word(run: &Spanned<String>, name: &str) -> Span {
    let text = run.value.as_str();
    let is_name = |word: &&str| {
        let last = word.rsplit('/').next().unwrap_or(word);
        last == name || word.split('=').next() == Some(name)
    };
    let Some(found) = text.split_whitespace().find(is_name) else { return run.span };
    let at = found.as_ptr() as usize - text.as_ptr() as usize;
    part(run, &(at..at + found.len()))
}

const fn target(command: &Command) -> Option<Target> {
    match command {
        Command::SetImage { target, .. }
        | Command::Scale { target, .. }
        | Command::RolloutRestart { target }
        | Command::Delete { target, .. } => Some(*target),
        Command::Cordon { .. } | Command::Uncordon { .. } | Command::Drain(_) => None,
    }
}

/// Objects that a manifest brings must be there; pods and ReplicaSets may come to be in the run.
fn check_target(
    target: Target,
    run: &Spanned<String>,
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<()> {
    let (kind, all): (&str, Vec<ObjectName>) = match target.kind {
        TargetKind::Workload(WorkloadKind::Deployment) => {
            let of = |w: &&Workload| w.kind == WorkloadKind::Deployment;
            ("deployment", known.workloads.iter().filter(of).map(|w| w.name).collect())
        }
        TargetKind::Service => ("service", known.services.to_vec()),
        TargetKind::Hpa => ("hpa", known.hpas.to_vec()),
        TargetKind::Workload(_) | TargetKind::Node => return Some(()),
    };
    if all.contains(&target.name) {
        return Some(());
    }
    if !known.gaps.objects {
        let place = word(run, names.resolve(target.name.name));
        let texts: Vec<String> = all.iter().map(|name| shown(kind, *name, names)).collect();
        found.push(missing(place, (kind, target.name), &texts, names));
    }
    None
}

/// `set image` names containers of the template; kubectl refuses others.
fn check_containers(
    target: Target,
    images: &[(String, String)],
    run: &Spanned<String>,
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<()> {
    let Some(deployment) = known.deployments.iter().find(|d| d.name == target.name) else {
        return Some(()); // its manifest is wrong, which is said there
    };
    let spec = &deployment.template.spec;
    let containers = || {
        let all = spec.init_containers.iter().chain(&spec.containers);
        all.map(|container| names.resolve(container.name))
    };
    let before = found.error_count();
    for (container, _) in images {
        if container == "*" || containers().any(|name| name == container) {
            continue;
        }
        let kind = shown("deployment", target.name, names);
        let message = format!("there is no container \"{container}\" in {kind}");
        let all: Vec<&str> = containers().collect();
        let error = Diagnostic::error(word(run, container), message);
        let error = error.with_hint(format!("it has {}", all.join(", ")));
        found.push(error.with_suggestion(container, containers()));
    }
    (found.error_count() == before).then_some(())
}
