//! Entries of the timeline become commands and faults, checked against what is there.

use crate::base::{Interner, SimTime};
use crate::kubectl;
use crate::model::{
    Action, Command, DeploymentSpec, Fault, ObjectName, Target, TargetKind, TimelineEntry,
    Workload, WorkloadKind,
};
use crate::tree::{Diagnostic, Diagnostics, Span, Spanned};

use super::behaviors::shown;
use super::file::TimelineFile;
use super::known::{Gaps, missing};

/// What is there for commands to refer to.
pub(super) struct Known<'a> {
    pub workloads: &'a [Workload],
    pub services: &'a [ObjectName],
    pub hpas: &'a [ObjectName],
    pub nodes: &'a [crate::base::Symbol],
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
            let Some(crash) = &fault.value.crash else {
                let error = Diagnostic::error(fault.span, "an empty fault");
                found.push(error.with_hint("crash: { node: NAME }"));
                return None;
            };
            let node = node(&crash.node, known, names, found)?;
            let text = format!("crash of node {}", crash.node.value);
            Some(TimelineEntry { at, action: Action::Fault(Fault::CrashNode { node }), text })
        }
        _ => {
            let error = Diagnostic::error(entry.span, "expected exactly one of run and fault");
            found.push(error.with_hint("run: kubectl rollout restart deployment/NAME"));
            None
        }
    }
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
    let command = match kubectl::parse(&run.value, "default", names) {
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
