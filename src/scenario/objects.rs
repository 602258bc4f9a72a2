//! Manifests become objects of the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::api::{self, Kind, KindClass, Lowering};
use crate::base::Interner;
use crate::manifest::Document;
use crate::model::{
    Behaviors, DeploymentSpec, HpaSpec, HpaTarget, NodeSpec, ObjectName, PodObject,
    PriorityClasses, ReplicaSetSpec, ServiceSpec, Template, Workload, WorkloadKind,
};
use crate::tree::{Diagnostic, Span, Spanned};

use super::behaviors::object_name;
use super::input::Input;

/// All objects, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub nodes: Vec<NodeSpec>,
    pub deployments: Vec<DeploymentSpec>,
    pub replica_sets: Vec<ReplicaSetSpec>,
    pub pods: Vec<PodObject>,
    pub services: Vec<ServiceSpec>,
    pub hpas: Vec<HpaSpec>,
    pub config_maps: Vec<ObjectName>,
    pub secrets: Vec<ObjectName>,
    pub priorities: PriorityClasses,
    /// All of them as trees with defaults.
    pub trees: Vec<Arc<Value>>,
}

/// Who is there, before anything is lowered.
#[derive(Debug, Default)]
pub(super) struct Identities {
    pub workloads: Vec<Workload>,
    pub services: Vec<ObjectName>,
    pub hpas: Vec<ObjectName>,
}

fn identity(document: &Document) -> (&str, &str, &str) {
    let namespace = document.namespace.as_ref().map_or("default", |n| n.value.as_str());
    (&document.kind.value, namespace, &document.name.value)
}

/// The documents by kind, namespace and name; two of one identity are an error.
pub(super) fn sorted(mut documents: Vec<Document>, input: &mut Input) -> Vec<Document> {
    documents.sort_by(|a, b| identity(a).cmp(&identity(b)));
    for pair in documents.windows(2) {
        if identity(&pair[0]) == identity(&pair[1]) && pair[0].api_version == pair[1].api_version {
            let (kind, namespace, name) = identity(&pair[1]);
            let message = format!("a second {kind} \"{name}\" in namespace {namespace}");
            let error = Diagnostic::error(pair[1].span(), message);
            input.found.push(error.with_related(pair[0].span(), "the first"));
        }
    }
    documents
}

/// Who is there.
pub(super) fn identities(documents: &[Document], names: &mut Interner) -> Identities {
    let mut all = Identities::default();
    for document in documents {
        let KindClass::Modelled(kind) = class(document) else { continue };
        let (_, namespace, name) = identity(document);
        let name = object_name(namespace, name, names);
        let workload = |kind| Workload { kind, name };
        match kind {
            Kind::Deployment => all.workloads.push(workload(WorkloadKind::Deployment)),
            Kind::ReplicaSet => all.workloads.push(workload(WorkloadKind::ReplicaSet)),
            Kind::Pod => all.workloads.push(workload(WorkloadKind::Pod)),
            Kind::Service => all.services.push(name),
            Kind::HorizontalPodAutoscaler => all.hpas.push(name),
            Kind::ConfigMap
            | Kind::Secret
            | Kind::Namespace
            | Kind::Node
            | Kind::PriorityClass
            | Kind::ServiceAccount => {}
        }
    }
    all
}

fn class(document: &Document) -> KindClass {
    api::classify(&document.api_version.value, &document.kind.value)
}

/// Counts of what is left out, by kind, with the first place of each.
type LeftOut<'a> = BTreeMap<&'a str, (usize, Span)>;

/// Lowers all documents; what is not modelled is named once a kind.
pub(super) fn lower(
    documents: &[Document],
    behaviors: &Behaviors,
    names: &mut Interner,
    input: &mut Input,
) -> Objects {
    let mut objects = Objects::default();
    let (mut not_modelled, mut unknown) = (LeftOut::new(), LeftOut::new());
    let mut prepared = Vec::new();
    for document in documents {
        let left_out = match class(document) {
            KindClass::Modelled(kind) => {
                prepared.extend(prepare(kind, document, input).map(|tree| (kind, document, tree)));
                continue;
            }
            KindClass::Irrelevant => continue,
            KindClass::NotModelled => &mut not_modelled,
            KindClass::Unknown => &mut unknown,
        };
        left_out.entry(&document.kind.value).or_insert((0, document.kind.span)).0 += 1;
    }
    warn(&not_modelled, "is not modelled yet and left out", input);
    warn(&unknown, "is no kind that Kubernetes or Seatrial knows; left out", input);
    for (_, _, tree) in prepared.iter().filter(|(kind, _, _)| *kind == Kind::PriorityClass) {
        objects.priorities.add(tree);
    }
    let priorities = objects.priorities.clone();
    for (kind, document, tree) in prepared {
        let mut cx = Lowering { behaviors, classes: &priorities, names };
        add(kind, document, &tree, &mut cx, &mut objects, input);
        objects.trees.push(tree);
    }
    check_hpas(&objects, documents, names, input);
    objects
}

fn warn(left_out: &LeftOut<'_>, what: &str, input: &mut Input) {
    for (kind, (count, place)) in left_out {
        let times = if *count == 1 { String::new() } else { format!(" ({count} objects)") };
        input.found.warning(*place, format!("kind {kind} {what}{times}"));
    }
}

fn prepare(kind: Kind, document: &Document, input: &mut Input) -> Option<Arc<Value>> {
    let mut tree = document.root().to_json();
    let problems = api::prepare(kind, &mut tree);
    let refused = problems.iter().any(|problem| problem.is_error);
    api::report(&problems, document.root(), &mut input.found);
    (!refused).then(|| Arc::new(tree))
}

fn add(
    kind: Kind,
    document: &Document,
    tree: &Arc<Value>,
    cx: &mut Lowering<'_>,
    objects: &mut Objects,
    input: &mut Input,
) {
    let found = &mut input.found;
    let mut told = |problems: Vec<api::Problem>| api::report(&problems, document.root(), found);
    match kind {
        Kind::Pod => match api::lower_pod(tree, cx) {
            Ok(pod) => objects.pods.push(pod),
            Err(problems) => told(problems),
        },
        Kind::Deployment => match api::lower_deployment(tree, cx) {
            Ok(deployment) => objects.deployments.push(deployment),
            Err(problems) => told(problems),
        },
        Kind::ReplicaSet => match api::lower_replica_set(tree, cx) {
            Ok(replica_set) => objects.replica_sets.push(replica_set),
            Err(problems) => told(problems),
        },
        Kind::Service => objects.services.push(api::lower_service(tree, cx.names)),
        Kind::HorizontalPodAutoscaler => objects.hpas.push(api::lower_hpa(tree, cx.names)),
        Kind::Node => objects.nodes.push(api::lower_node(tree, cx.names)),
        Kind::ConfigMap => objects.config_maps.push(api::object_name(tree, cx.names)),
        Kind::Secret => objects.secrets.push(api::object_name(tree, cx.names)),
        Kind::PriorityClass | Kind::Namespace | Kind::ServiceAccount => {}
    }
}

/// Autoscalers whose target is not there do nothing, which is hardly meant.
fn check_hpas(objects: &Objects, documents: &[Document], names: &Interner, input: &mut Input) {
    for hpa in &objects.hpas {
        let there = match hpa.target {
            HpaTarget::Deployment(name) => (objects.deployments.iter())
                .any(|d| d.name.name == name && d.name.namespace == hpa.name.namespace),
            HpaTarget::ReplicaSet(name) => (objects.replica_sets.iter())
                .any(|r| r.name.name == name && r.name.namespace == hpa.name.namespace),
            HpaTarget::Missing => false,
        };
        if there {
            continue;
        }
        let name = names.resolve(hpa.name.name);
        let own = documents.iter().find(|d| {
            d.kind.value == "HorizontalPodAutoscaler" && d.name.value == name
        });
        let place = own.and_then(|d| d.root().at(&["spec", "scaleTargetRef"]));
        let place = place.map_or(Span::NONE, |value| value.span());
        let warning = "this autoscaler's target is not there or not modelled: it does nothing";
        input.found.warning(place, warning);
    }
}

/// The template of a pod that a generator makes.
pub(super) fn generated(
    mut pod: Value,
    workload: Workload,
    place: Span,
    objects: &Objects,
    (behaviors, names): (&Behaviors, &mut Interner),
    input: &mut Input,
) -> Option<Arc<Template>> {
    let mut problems = api::prepare(Kind::Pod, &mut pod);
    let mut cx = Lowering { behaviors, classes: &objects.priorities, names };
    let template = match problems.iter().any(|problem| problem.is_error) {
        true => None,
        false => match api::lower_generated(&Arc::new(pod), workload, &mut cx) {
            Ok(template) => Some(template),
            Err(more) => {
                problems.extend(more);
                None
            }
        },
    };
    for problem in problems.iter().filter(|problem| problem.is_error) {
        input.found.error(place, problem.to_string());
    }
    template
}

/// Checks manifests alone, and counts their objects by kind.
pub(super) fn check(paths: &[Spanned<String>], input: &mut Input) -> Vec<(String, usize)> {
    let documents = sorted(input.read_manifests(paths), input);
    let mut names = Interner::new();
    names.intern("");
    let behaviors = Behaviors { standard: super::behaviors::standard(), rules: Vec::new() };
    lower(&documents, &behaviors, &mut names, input);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for document in &documents {
        *counts.entry(document.kind.value.clone()).or_default() += 1;
    }
    counts.into_iter().collect()
}
