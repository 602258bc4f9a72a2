//! Commands of the timeline in kubectl's words, checked against what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use crate::api::{self, Kind};
use crate::base::{Interner, SimTime};
use crate::kubectl::{self, Invocation, Rollout, Set, Verb, Wait};
use crate::model::{
    Action, Command, Custom, Kubectl, ObjectName, Revision, TimelineEntry, Workload, WorkloadKind,
};
use crate::tree::{self, Diagnostic, Diagnostics, ParseOptions, Span, Spanned};

use super::behaviors::{object_name, shown};
use super::custom;
use super::input::Input;
use super::known::missing;
use super::timeline::{Known, node, part};

/// A line with a command.
pub(super) struct Line {
    /// When it runs.
    pub at: SimTime,
    /// The command; in a script it may go over several lines.
    pub text: String,
    /// Where it is written.
    pub place: Place,
    /// What a here-document gives it to read.
    pub stdin: Option<Spanned<String>>,
}

/// Where a line is written.
pub(super) enum Place {
    /// In the scenario.
    Entry(Spanned<String>),
    /// In a script, from this byte on.
    Script(Span),
}

impl Line {
    pub(super) fn of_entry(at: SimTime, run: &Spanned<String>) -> Self {
        Self { at, text: run.value.clone(), place: Place::Entry(run.clone()), stdin: None }
    }

    /// The place of bytes of it.
    fn span(&self, at: &Range<usize>) -> Span {
        match &self.place {
            Place::Entry(run) => part(run, at),
            Place::Script(Span { file, start, .. }) => {
                let offset = |byte: usize| start + u32::try_from(byte).unwrap_or(0);
                Span::new(*file, offset(at.start), offset(at.end))
            }
        }
    }

    fn whole(&self) -> Span {
        match &self.place {
            Place::Entry(run) => run.span,
            Place::Script(span) => *span,
        }
    }

    /// The place of a word that holds this text.
    fn word_with(&self, text: &str) -> Span {
        match self.text.find(text) {
            Some(at) => self.span(&(at..at + text.len())),
            None => self.whole(),
        }
    }

    /// The place of the word that is a name or ends with `/name`, `name=…`.
    fn word(&self, name: &str) -> Span {
        let is_name = |word: &&str| {
            let last = word.rsplit('/').next().unwrap_or(word);
            last == name || word.split('=').next() == Some(name)
        };
        let Some(found) = self.text.split_whitespace().find(is_name) else { return self.whole() };
        let at = found.as_ptr() as usize - self.text.as_ptr() as usize;
        self.span(&(at..at + found.len()))
    }
}

/// Kind (plural), namespace and name of objects that the timeline brings itself.
type Brought = BTreeSet<(&'static str, String, String)>;

/// A line that is read, and the documents that its files have.
pub(super) struct Read<'l> {
    /// The place of the line among all.
    place: usize,
    pub(super) line: &'l Line,
    pub(super) invocation: Invocation,
    pub(super) files: BTreeMap<String, Vec<Value>>,
}

/// Whether a command may change the labels of namespaces.
pub(super) fn changes_labels(read: &Read<'_>) -> bool {
    let verb = &read.invocation.verb;
    matches!(verb, Verb::Label(_) | Verb::Patch(_) | Verb::Apply(_) | Verb::CreateFiles(_))
}

/// The lines that are commands of kubectl's.
pub(super) fn read_all<'l>(lines: &'l [Line], input: &mut Input) -> Vec<Read<'l>> {
    lines.iter().enumerate().filter_map(|(place, line)| read(place, line, input)).collect()
}

/// The commands that are right, as entries with the places of their lines.
pub(super) fn lower(
    read: Vec<Read<'_>>,
    known: &Known<'_>,
    names: &mut Interner,
    input: &mut Input,
) -> Vec<(usize, TimelineEntry)> {
    let brought: Brought = read.iter().flat_map(brings).collect();
    let entry = |Read { place, line, invocation, files }: Read<'_>| {
        check(line, &invocation, (known, &brought), names, &mut input.found)?;
        let action = match &invocation.verb {
            Verb::Drain(drain) => {
                Command::Drain(Box::new(drain.options(&invocation.targets, names)))
            }
            _ => Command::Kubectl(Box::new(Kubectl {
                words: kubectl::words(&line.text).unwrap_or_default(),
                revisions: revisions(&invocation, &files, names),
                files,
            })),
        };
        let words: Vec<&str> = line.text.split_whitespace().filter(|word| *word != "\\").collect();
        let text = match &line.place {
            Place::Entry(_) => line.text.trim().to_owned(),
            Place::Script(_) => words.join(" "),
        };
        let is_scripted = matches!(line.place, Place::Script(_));
        let action = Action::Command(action);
        Some((place, TimelineEntry { at: line.at, is_scripted, action, text }))
    };
    read.into_iter().filter_map(entry).collect()
}

fn read<'l>(place: usize, line: &'l Line, input: &mut Input) -> Option<Read<'l>> {
    let invocation = match kubectl::parse(&line.text, "default") {
        Ok(invocation) => invocation,
        Err(problem) => {
            let error = Diagnostic::error(line.span(&problem.at), problem.message);
            input.found.push(match problem.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
            return None;
        }
    };
    let before = input.found.error_count();
    let mut files = BTreeMap::new();
    let patch = invocation.patch_file().map(str::to_owned);
    for name in invocation.files().map(str::to_owned).collect::<Vec<_>>() {
        let at = line.word(&name);
        let documents = if name == "-" {
            let Some(text) = &line.stdin else {
                let error = Diagnostic::error(at, "nothing is piped into this command");
                input.found.push(error.with_hint("name a file: -f web.yaml"));
                continue;
            };
            here_document(text, input)
        } else if patch.as_ref() == Some(&name) {
            patch_file(&Spanned::new(name.clone(), at), input)
        } else {
            let documents = input.read_manifests(&[Spanned::new(name.clone(), at)]);
            let objects = documents.iter().map(|document| object(document.root(), input));
            objects.collect()
        };
        files.insert(name, documents);
    }
    (input.found.error_count() == before).then_some(Read { place, line, invocation, files })
}

/// An object as it is written, checked.
fn object(root: tree::Value<'_>, input: &mut Input) -> Value {
    let written = root.to_json();
    let text = |key: &str| written[key].as_str().unwrap_or_default();
    if let Some(custom) = custom::custom_of(text("apiVersion"), text("kind")) {
        let mut names = Interner::new();
        names.intern("");
        let wrong = custom::lower(custom, &written, &mut names).err().unwrap_or_default();
        wrong.into_iter().for_each(|wrong| input.found.error(root.span(), wrong));
    }
    if let api::KindClass::Modelled(kind) = api::classify(text("apiVersion"), text("kind")) {
        let problems = input.prepare(kind, &mut written.clone());
        api::report(&problems, root, &mut input.found);
    }
    written
}

fn here_document(text: &Spanned<String>, input: &mut Input) -> Vec<Value> {
    let name = format!("the here-document of {}", input.sources.place(text.span));
    let file = input.sources.add(name, text.value.clone());
    let parsed = tree::parse(&input.sources, file, &ParseOptions::manifest(), &mut input.found);
    parsed.iter().map(|parsed| object(parsed.tree.root(), input)).collect()
}

fn patch_file(path: &Spanned<String>, input: &mut Input) -> Vec<Value> {
    let Some(file) = input.read_file(path) else { return Vec::new() };
    let parsed = tree::parse(&input.sources, file, &ParseOptions::manifest(), &mut input.found);
    parsed.iter().map(|parsed| parsed.tree.root().to_json()).collect()
}

/// What a command brings.
fn brings(read: &Read<'_>) -> Vec<(&'static str, String, String)> {
    let Read { invocation, files, .. } = read;
    let namespace = invocation.namespace.clone();
    match &invocation.verb {
        Verb::Apply(_) | Verb::CreateFiles(_) => {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let of = |object: &Value| {
                let version = text(&object["apiVersion"])?;
                let resource = kubectl::resource_of(&version, &text(&object["kind"])?)?;
                let metadata = &object["metadata"];
                let own = text(&metadata["namespace"]).unwrap_or_else(|| namespace.clone());
                Some((resource.plural, own, text(&metadata["name"])?))
            };
            files.values().flatten().filter_map(of).collect()
        }
        Verb::Create(create) => vec![(create.resource.plural, namespace, create.name.clone())],
        Verb::Expose(expose) => {
            let names = invocation.targets.named.iter().map(|target| target.name.clone());
            let names: Vec<String> =
                expose.name.clone().map_or_else(|| names.collect(), |n| vec![n]);
            names.into_iter().map(|name| ("services", namespace.clone(), name)).collect()
        }
        Verb::Autoscale(of) => {
            let names = invocation.targets.named.iter().map(|target| target.name.clone());
            let names: Vec<String> = of.name.clone().map_or_else(|| names.collect(), |n| vec![n]);
            let plural = kubectl::resource(Kind::HorizontalPodAutoscaler).plural;
            names.into_iter().map(|name| (plural, namespace.clone(), name)).collect()
        }
        _ => Vec::new(),
    }
}

/// Objects that a manifest or the timeline brings must be there; pods, ReplicaSets and Jobs may
/// come to be in the run.
fn check(
    line: &Line,
    invocation: &Invocation,
    (known, brought): (&Known<'_>, &Brought),
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<()> {
    let before = found.error_count();
    if let Verb::Wait(wait) = &invocation.verb {
        check_wait(wait, line, invocation, found);
        if wait.is_for_new() {
            return Some(());
        }
    }
    // Whether it is there is what such a command asks.
    if matches!(invocation.verb, Verb::Get(_)) {
        return Some(());
    }
    for target in &invocation.targets.named {
        let (plural, namespace) = (target.resource.plural, invocation.namespace.clone());
        let is_brought = brought.contains(&(plural, namespace.clone(), target.name.clone()));
        if let Some(custom) = target.resource.custom.filter(|_| !is_brought) {
            let namespace = if target.resource.is_namespaced { &namespace } else { "default" };
            let name = object_name(namespace, &target.name, names);
            check_custom(custom, name, line.span(&target.at), known, names, found);
        }
        let Some(kind) = target.resource.kind.filter(|_| !is_brought) else { continue };
        if kind == Kind::Node {
            let name = Spanned::new(target.name.clone(), line.span(&target.at));
            if brought.iter().all(|(plural, _, name)| (*plural, name) != ("nodes", &target.name)) {
                node(&name, known, names, found);
            }
            continue;
        }
        let name = object_name(&namespace, &target.name, names);
        let Some((kind, all)) = declared(kind, known) else { continue };
        if !all.contains(&name) && !known.gaps.objects {
            let texts: Vec<String> = all.iter().map(|name| shown(kind, *name, names)).collect();
            found.push(missing(line.span(&target.at), (kind, name), &texts, names));
        }
    }
    if let Verb::Set(Set::Image(images)) = &invocation.verb
        && found.error_count() == before
    {
        for target in &invocation.targets.named {
            let name = object_name(&invocation.namespace, &target.name, names);
            check_containers(name, images, line, known, names, found);
        }
    }
    (found.error_count() == before).then_some(())
}

/// A custom object that a command names must be there, or come.
fn check_custom(
    custom: Custom,
    name: ObjectName,
    place: Span,
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) {
    let kind = match custom {
        Custom::VerticalPodAutoscaler => "vpa",
        Custom::NodePool => "nodepool",
    };
    let all = || known.customs.iter().filter(|own| own.custom == custom);
    if !all().any(|own| own.name == name) && !known.gaps.objects {
        let texts: Vec<String> = all().map(|own| shown(kind, own.name, names)).collect();
        found.push(missing(place, (kind, name), &texts, names));
    }
}

/// A condition that objects of a kind never have is waited for in vain.
fn check_wait(wait: &Wait, line: &Line, invocation: &Invocation, found: &mut Diagnostics) {
    let Some(condition) = wait.condition() else { return };
    let targets = &invocation.targets;
    let named = targets.named.iter().map(|target| target.resource);
    let kinds = named.chain(targets.kinds.iter().copied()).filter_map(|resource| resource.kind);
    for kind in kinds {
        let Some(known) = conditions(kind) else { continue };
        if known.iter().any(|name| name.eq_ignore_ascii_case(condition)) {
            continue;
        }
        let place = line.word_with(&format!("condition={condition}"));
        let name = kind.name();
        let warning = if known.is_empty() {
            let message = format!("a {name} has no conditions: this waits in vain");
            Diagnostic::warning(place, message)
                .with_hint("kubectl rollout status or --for=jsonpath='{.status.readyReplicas}'=N")
        } else {
            let message = format!("a {name} has no condition \"{condition}\": this waits in vain");
            Diagnostic::warning(place, message).with_hint(format!("it has {}", known.join(", ")))
        };
        found.push(warning);
        return;
    }
}

/// The conditions of a kind, if all that there can be are known here.
const fn conditions(kind: Kind) -> Option<&'static [&'static str]> {
    Some(match kind {
        Kind::Pod => &[
            "PodScheduled",
            "Initialized",
            "ContainersReady",
            "Ready",
            "DisruptionTarget",
            "PodReadyToStartContainers",
        ],
        Kind::Deployment => &["Available", "Progressing", "ReplicaFailure"],
        Kind::ReplicaSet | Kind::ReplicationController => &["ReplicaFailure"],
        Kind::Job => &["Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"],
        Kind::PodDisruptionBudget => &["DisruptionAllowed"],
        Kind::HorizontalPodAutoscaler => &["AbleToScale", "ScalingActive", "ScalingLimited"],
        Kind::StatefulSet | Kind::DaemonSet | Kind::CronJob => &[],
        _ => return None,
    })
}

/// How a kind is called whose objects only manifests bring, and those that are there.
fn declared(kind: Kind, known: &Known<'_>) -> Option<(&'static str, Vec<ObjectName>)> {
    let workloads = |kind: WorkloadKind| {
        let of = known.workloads.iter().filter(move |workload| workload.kind == kind);
        of.map(|workload| workload.name).collect()
    };
    Some(match kind {
        Kind::Deployment => ("deployment", workloads(WorkloadKind::Deployment)),
        Kind::StatefulSet => ("statefulset", workloads(WorkloadKind::StatefulSet)),
        Kind::DaemonSet => ("daemonset", workloads(WorkloadKind::DaemonSet)),
        Kind::CronJob => ("cronjob", workloads(WorkloadKind::CronJob)),
        Kind::Service => ("service", known.services.to_vec()),
        Kind::HorizontalPodAutoscaler => ("hpa", known.hpas.to_vec()),
        _ => return None,
    })
}

/// `set image` names containers of the template; kubectl refuses others.
fn check_containers(
    name: ObjectName,
    images: &[(String, String)],
    line: &Line,
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) {
    let Some(deployment) = known.deployments.iter().find(|d| d.name == name) else {
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
        let kind = shown("deployment", name, names);
        let message = format!("there is no container \"{container}\" in {kind}");
        let all: Vec<&str> = containers().collect();
        let error = Diagnostic::error(line.word(container), message);
        let error = error.with_hint(format!("it has {}", all.join(", ")));
        found.push(error.with_suggestion(container, containers()));
    }
}

/// Which workloads get new pods by a command.
fn revisions(
    invocation: &Invocation,
    files: &BTreeMap<String, Vec<Value>>,
    names: &mut Interner,
) -> Vec<Revision> {
    let (images, about): (&[_], _) = match &invocation.verb {
        Verb::Set(Set::Image(images)) => (images, "to the same image"),
        Verb::Set(Set::Env(_)) => (&[], "set env"),
        Verb::Set(Set::Resources { .. }) => (&[], "set resources"),
        Verb::Set(Set::ServiceAccount(_)) => (&[], "set serviceaccount"),
        Verb::Rollout(Rollout::Restart) => (&[], "restart"),
        Verb::Rollout(Rollout::Undo(_)) => (&[], "undo"),
        Verb::Patch(_) => (&[], "patch"),
        Verb::Apply(_) => return applied(invocation, files, names),
        _ => return Vec::new(),
    };
    let named = invocation.targets.named.iter();
    let of = named.filter_map(|target| Some((rolling(target.resource.kind?)?, target)));
    of.map(|(kind, target)| Revision {
        workload: Workload { kind, name: object_name(&invocation.namespace, &target.name, names) },
        images: images.to_vec(),
        about,
    })
    .collect()
}

/// The kinds of object that roll out.
const fn rolling(kind: Kind) -> Option<WorkloadKind> {
    match kind {
        Kind::Deployment => Some(WorkloadKind::Deployment),
        Kind::StatefulSet => Some(WorkloadKind::StatefulSet),
        Kind::DaemonSet => Some(WorkloadKind::DaemonSet),
        _ => None,
    }
}

fn applied(
    invocation: &Invocation,
    files: &BTreeMap<String, Vec<Value>>,
    names: &mut Interner,
) -> Vec<Revision> {
    let kinds = [
        ("Deployment", WorkloadKind::Deployment),
        ("StatefulSet", WorkloadKind::StatefulSet),
        ("DaemonSet", WorkloadKind::DaemonSet),
    ];
    let kind = |object: &Value| kinds.iter().find(|(kind, _)| object["kind"] == *kind);
    let of = files.values().flatten().filter_map(|object| Some((kind(object)?.1, object)));
    of.map(|(kind, object)| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let own = metadata["namespace"].as_str().unwrap_or(&invocation.namespace);
        let containers = object["spec"]["template"]["spec"]["containers"].as_array();
        let image = |of: &Value| (text(&of["name"]), text(&of["image"]));
        Revision {
            workload: Workload { kind, name: object_name(own, &text(&metadata["name"]), names) },
            images: containers.into_iter().flatten().map(image).collect(),
            about: "apply",
        }
    })
    .collect()
}
