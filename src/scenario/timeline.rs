//! Entries of the timeline become commands and faults, checked against what is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::{self, Kind, KindClass};
use crate::base::{Interner, SimTime};
use crate::kubectl::{self, Invocation, Rollout, Set, Verb};
use crate::model::{
    Action, Command, DeploymentSpec, Effect, Fault, FaultPlace, ObjectName, TimelineEntry,
    Workload, WorkloadKind,
};
use crate::tree::{Diagnostic, Diagnostics, Severity, Span, Spanned};

use super::behaviors::shown;
use super::file::{FaultFile, PlaceFile, TimelineFile};
use super::input::Input;
use super::known::{Gaps, missing};

/// What is there for commands to refer to.
pub(super) struct Known<'a> {
    /// All objects of manifests.
    pub objects: &'a BTreeSet<(Kind, ObjectName)>,
    pub nodes: &'a [crate::base::Symbol],
    pub zones: &'a [crate::base::Symbol],
    pub deployments: &'a [DeploymentSpec],
    pub gaps: Gaps,
    /// Whether a command may bring objects that no manifest has.
    pub creates: bool,
}

/// Whether a line may bring objects that no manifest has.
pub(super) fn creates(line: &str) -> bool {
    let invocation = kubectl::parse(line, "default");
    invocation.is_ok_and(|invocation| {
        matches!(
            invocation.verb,
            Verb::Apply(_)
                | Verb::CreateFiles(_)
                | Verb::Create(_)
                | Verb::Expose(_)
                | Verb::Autoscale(_)
        )
    })
}

/// The entry, if it is right.
pub(super) fn lower(
    entry: &Spanned<TimelineFile>,
    known: &Known<'_>,
    names: &mut Interner,
    input: &mut Input,
) -> Option<TimelineEntry> {
    let at = SimTime::ZERO + entry.value.at.0;
    match (&entry.value.run, &entry.value.fault) {
        (Some(run), None) => {
            let action = command(run, known, names, input)?;
            Some(TimelineEntry { at, action, text: run.value.trim().to_owned() })
        }
        (None, Some(fault)) => {
            let (fault, text) = lower_fault(fault, known, names, &mut input.found)?;
            Some(TimelineEntry { at, action: Action::Fault(fault), text })
        }
        _ => {
            let error = Diagnostic::error(entry.span, "expected exactly one of run and fault");
            input.found.push(error.with_hint("run: kubectl rollout restart deployment/NAME"));
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
    input: &mut Input,
) -> Option<Action> {
    let invocation = match kubectl::parse(&run.value, "default") {
        Ok(invocation) => invocation,
        Err(problem) => {
            let error = Diagnostic::error(part(run, &problem.at), problem.message);
            input.found.push(match problem.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
            return None;
        }
    };
    let before = input.found.error_count();
    check_targets(&invocation, run, known, names, &mut input.found);
    let workloads = workloads(&invocation, names);
    let effect = match &invocation.verb {
        Verb::Set(Set::Image(images)) => {
            check_containers(&workloads, images, run, known, names, &mut input.found);
            Effect::SetImage { workloads, images: images.clone() }
        }
        Verb::Rollout(Rollout::Restart) => Effect::Restart(workloads),
        Verb::Rollout(Rollout::Undo(_)) => Effect::Undo(workloads),
        Verb::Drain(drain) => {
            Effect::Drain(drain.nodes.named.iter().map(|node| node.name.clone()).collect())
        }
        _ => Effect::Other,
    };
    let files = read_files(&invocation, run, input);
    (input.found.error_count() == before)
        .then(|| Action::Command(Command { line: run.value.trim().to_owned(), files, effect }))
}

/// The documents of the files that a command names, each as right as a manifest must be.
fn read_files(
    invocation: &Invocation,
    run: &Spanned<String>,
    input: &mut Input,
) -> BTreeMap<String, Vec<Value>> {
    let mut files = BTreeMap::new();
    for name in invocation.files().map(str::to_owned) {
        let place = word(run, &name);
        if name == "-" {
            input.found.push(
                Diagnostic::error(place, "a command of the timeline has no standard input")
                    .with_hint("name a file beside the scenario"),
            );
            continue;
        }
        let documents = input.read_manifests(&[Spanned::new(name.clone(), place)]);
        let mut trees = Vec::new();
        for document in documents {
            let tree = document.root().to_json();
            let class = api::classify(&document.api_version.value, &document.kind.value);
            if let KindClass::Modelled(kind) = class {
                let problems = api::prepare(kind, &mut tree.clone());
                api::report(&problems, document.root(), &mut input.found);
            } else {
                let message = format!("kind {} is not modelled", document.kind.value);
                let severity = Severity::Error;
                input.found.push(Diagnostic::new(severity, document.kind.span, message));
            }
            trees.push(tree);
        }
        files.insert(name, trees);
    }
    files
}

/// The place of the word of a command that is a name or ends with `/name`, `name=…`.
fn word(run: &Spanned<String>, name: &str) -> Span {
    let text = run.value.as_str();
    let is_name = |word: &&str| {
        let last = word.rsplit('/').next().unwrap_or(word);
        *word == name || last == name || word.split('=').next() == Some(name)
    };
    let Some(found) = text.split_whitespace().find(is_name) else { return run.span };
    let at = found.as_ptr() as usize - text.as_ptr() as usize;
    part(run, &(at..at + found.len()))
}

/// The workloads that a command names.
fn workloads(invocation: &Invocation, names: &mut Interner) -> Vec<Workload> {
    let namespace = names.intern(&invocation.namespace);
    let mut all = Vec::new();
    for target in &invocation.targets.named {
        let kind = match target.resource.kind {
            Some(Kind::Deployment) => WorkloadKind::Deployment,
            Some(Kind::ReplicaSet) => WorkloadKind::ReplicaSet,
            Some(Kind::StatefulSet) => WorkloadKind::StatefulSet,
            Some(Kind::DaemonSet) => WorkloadKind::DaemonSet,
            Some(Kind::CronJob) => WorkloadKind::CronJob,
            Some(Kind::Job) => WorkloadKind::Job,
            _ => continue,
        };
        all.push(Workload {
            kind,
            name: ObjectName { namespace, name: names.intern(&target.name) },
        });
    }
    all
}

/// Objects that a manifest brings must be there; pods, ReplicaSets and Jobs may come to be in the
/// run.
fn check_targets(
    invocation: &Invocation,
    run: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) {
    if known.creates {
        return;
    }
    let nodes = match &invocation.verb {
        Verb::Drain(drain) => &drain.nodes,
        _ => &invocation.targets,
    };
    for target in &nodes.named {
        let place = part(run, &target.at);
        let place = if target.at.is_empty() { run.span } else { place };
        match target.resource.kind {
            Some(Kind::Node) => {
                node(
                    &Spanned::new(target.name.clone(), word(run, &target.name)),
                    known,
                    names,
                    found,
                );
            }
            None | Some(Kind::Pod | Kind::ReplicaSet | Kind::Job) => {}
            Some(kind) => {
                let namespace = match target.resource.is_namespaced {
                    true => invocation.namespace.as_str(),
                    false => "default",
                };
                let namespace = names.intern(namespace);
                let name = ObjectName { namespace, name: names.intern(&target.name) };
                if known.gaps.objects || known.objects.contains(&(kind, name)) {
                    continue;
                }
                let of_kind = known.objects.iter().filter(|(k, _)| *k == kind);
                let word_of = target.resource.singular();
                let all: Vec<String> =
                    of_kind.map(|(_, name)| shown(&word_of, *name, names)).collect();
                found.push(missing(place, (&word_of, name), &all, names));
            }
        }
    }
}

/// `set image` names containers of the template; kubectl refuses others.
fn check_containers(
    workloads: &[Workload],
    images: &[(String, String)],
    run: &Spanned<String>,
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) {
    let named = |d: &&DeploymentSpec| {
        workloads.iter().any(|w| w.kind == WorkloadKind::Deployment && w.name == d.name)
    };
    let Some(deployment) = known.deployments.iter().find(named) else {
        return; // its manifest is wrong, which is said there
    };
    let spec = &deployment.template.spec;
    let containers = || {
        let all = spec.init_containers.iter().chain(&spec.containers);
        all.map(|container| names.resolve(container.name))
    };
    for (container, _) in images {
        if container == "*" || containers().any(|name| name == container) {
            continue;
        }
        let kind = shown("deployment", deployment.name, names);
        let message = format!("there is no container \"{container}\" in {kind}");
        let all: Vec<&str> = containers().collect();
        let error = Diagnostic::error(word(run, container), message);
        let error = error.with_hint(format!("it has {}", all.join(", ")));
        found.push(error.with_suggestion(container, containers()));
    }
}
