//! Manifests become objects of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::api::{self, Kind, KindClass, Lowering};
use crate::base::{Interner, Symbol};
use crate::kubectl;
use crate::manifest::Document;
use crate::model::{
    Behaviors, CronJobSpec, DaemonSetSpec, DeploymentSpec, DisruptionBudget, HpaSpec, JobSpec,
    Later, NamespaceSpec, NodeSpec, ObjectName, PodObject, PriorityClasses, ReplicaSetSpec,
    ServiceSpec, StatefulSetSpec, Storage, Template, VpaSpec, Workload, WorkloadKind,
};
use crate::tree::{self, Diagnostic, Severity, Span, Spanned};

use super::behaviors::{object_name, split_target};
use super::input::Input;
use super::known;
use super::metrics;
use super::node_pools;
use super::object_checks;
use super::plain_parts;
use super::verticals;
use super::{keda, keda_jobs};

/// All objects, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub nodes: Vec<NodeSpec>,
    pub deployments: Vec<DeploymentSpec>,
    pub replica_sets: Vec<ReplicaSetSpec>,
    pub stateful_sets: Vec<StatefulSetSpec>,
    pub daemon_sets: Vec<DaemonSetSpec>,
    pub jobs: Vec<JobSpec>,
    pub cron_jobs: Vec<CronJobSpec>,
    pub pods: Vec<PodObject>,
    pub services: Vec<ServiceSpec>,
    pub hpas: Vec<HpaSpec>,
    pub vpas: Vec<VpaSpec>,
    pub config_maps: Vec<ObjectName>,
    pub secrets: Vec<ObjectName>,
    /// Keys of ConfigMaps (`false`) and Secrets (`true`).
    pub config_keys: BTreeSet<(bool, ObjectName, Symbol)>,
    pub namespaces: Vec<NamespaceSpec>,
    pub storage: Storage,
    pub budgets: Vec<DisruptionBudget>,
    pub priorities: PriorityClasses,
    /// All of them as trees with defaults.
    pub trees: Vec<Arc<Value>>,
    /// What of them only commands create.
    pub later: Later,
    /// Where the selectors of the Services are written.
    pub selectors: BTreeMap<ObjectName, Span>,
    /// Ports of Services that name a port of a container.
    pub named_ports: Vec<NamedPort>,
}

impl Objects {
    /// The templates of all pods that they bring.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Arc<Template>> {
        (self.deployments.iter().map(|d| &d.template))
            .chain(self.replica_sets.iter().map(|r| &r.template))
            .chain(self.stateful_sets.iter().map(|s| &s.template))
            .chain(self.daemon_sets.iter().map(|s| &s.template))
            .chain(self.jobs.iter().map(|j| &j.template))
            .chain(self.pods.iter().map(|p| &p.template))
    }
}

/// A port of a Service that leads to a named port of its pods.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedPort {
    pub service: ObjectName,
    pub target: Symbol,
    pub place: Span,
}

/// Who is there, before anything is lowered.
#[derive(Debug, Default)]
pub(super) struct Identities {
    pub workloads: Vec<Workload>,
    pub services: Vec<ObjectName>,
    pub hpas: Vec<ObjectName>,
}

pub(super) fn identity(document: &Document) -> (&str, &str, &str) {
    let namespace = document.namespace.as_ref().map_or("default", |n| n.value.as_str());
    (&document.kind.value, namespace, &document.name.value)
}

/// The documents that a controller among the others made, as a dump of a cluster has them: pods of
/// a ReplicaSet, a ReplicaSet of a Deployment, EndpointSlices of a Service. The controller makes
/// them again. Pods of a node itself stay.
fn without_made(documents: Vec<Document>) -> Vec<Document> {
    let there: BTreeSet<(String, String, String)> = documents
        .iter()
        .map(|document| {
            let (kind, namespace, name) = identity(document);
            (kind.to_owned(), namespace.to_owned(), name.to_owned())
        })
        .collect();
    let is_made = |document: &Document| {
        let Some(owners) = document.root().at(&["metadata", "ownerReferences"]) else {
            return false;
        };
        let owner = owners
            .items()
            .find(|owner| owner.get("controller").and_then(tree::Value::as_bool) == Some(true));
        let word = |key| owner.and_then(|owner| owner.get(key)?.as_str()).unwrap_or("").to_owned();
        let (kind, name) = (word("kind"), word("name"));
        kind != "Node" && there.contains(&(kind, identity(document).1.to_owned(), name))
    };
    documents.into_iter().filter(|document| !is_made(document)).collect()
}

/// The documents by kind, namespace and name, without what their controllers make again and what
/// helm does not install; two of one identity are an error.
pub(super) fn sorted(documents: Vec<Document>, input: &mut Input) -> Vec<Document> {
    let mut documents = plain_parts::without_hooks(without_made(documents), input);
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

/// Lays the values over the objects that `--set KIND/NAME:path=value` names.
pub(super) fn set(documents: &mut [Document], input: &mut Input) {
    for assignment in std::mem::take(&mut input.sets) {
        let Some(target) = &assignment.target else { continue };
        let Some((kind, namespace, name)) = split_target(&target.value) else {
            input.found.push(known::no_kind(
                target.span,
                &target.value,
                &[],
                "deployment/checkout",
            ));
            continue;
        };
        let kind = kubectl::kind_called(kind).unwrap_or(kind);
        let is_it = |document: &&mut Document| {
            let (its_kind, its_namespace, its_name) = identity(document);
            its_kind.eq_ignore_ascii_case(kind) && (its_namespace, its_name) == (namespace, name)
        };
        if let Some(document) = documents.iter_mut().find(is_it) {
            document.set(&assignment, &mut input.found);
            continue;
        }
        let shown = |document: &Document| {
            let (kind, namespace, name) = identity(document);
            let namespace = (namespace != "default").then(|| format!("{namespace}/"));
            format!("{}/{}{name}", kind.to_lowercase(), namespace.unwrap_or_default())
        };
        let there: Vec<String> = documents.iter().map(shown).collect();
        let message = format!("no object \"{}\" in the manifests", target.value);
        let wanted = format!("{}/{name}", kind.to_lowercase());
        let error = Diagnostic::error(target.span, message);
        input.found.push(error.with_suggestion(&wanted, there.iter().map(String::as_str)));
    }
}

/// Who is there.
pub(super) fn identities(documents: &[Document], names: &mut Interner) -> Identities {
    let mut all = Identities::default();
    for document in documents {
        let (_, namespace, name) = identity(document);
        if keda::is_of(document, "ScaledJob") {
            all.add(Kind::CronJob, object_name(namespace, name, names));
        }
        let KindClass::Modelled(kind) = class(document) else { continue };
        all.add(kind, object_name(namespace, name, names));
    }
    all
}

impl Identities {
    pub(super) fn add(&mut self, kind: Kind, name: ObjectName) {
        let all = self;
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
            | Kind::ServiceAccount
            | Kind::PersistentVolumeClaim
            | Kind::PersistentVolume
            | Kind::StorageClass
            | Kind::CsiNode
            | Kind::CsiDriver
            | Kind::CsiStorageCapacity
            | Kind::VolumeAttachment
            | Kind::PodDisruptionBudget => {}
            Kind::StatefulSet => all.workloads.push(workload(WorkloadKind::StatefulSet)),
            Kind::DaemonSet => all.workloads.push(workload(WorkloadKind::DaemonSet)),
            Kind::Job => all.workloads.push(workload(WorkloadKind::Job)),
            Kind::CronJob => all.workloads.push(workload(WorkloadKind::CronJob)),
            Kind::ReplicationController => {
                all.workloads.push(workload(WorkloadKind::ReplicationController));
            }
            Kind::ResourceQuota | Kind::LimitRange | Kind::RuntimeClass => {}
            Kind::Ingress | Kind::NetworkPolicy | Kind::RoleBinding => {}
        }
    }
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
        if keda::is_one(document) {
            continue; // its metrics are not known yet
        }
        if keda::is_of(document, "ScaledJob") {
            continue; // its Jobs may ask for priority classes
        }
        if node_pools::is_one(document) {
            continue; // Karpenter's
        }
        if verticals::is_one(document) {
            objects.vpas.extend(verticals::lower(document, documents, names, input));
            continue;
        }
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
    warn_of_old_and_idle(documents, input);
    warn_unknown(&unknown, documents, input);
    for (_, _, tree) in prepared.iter().filter(|(kind, _, _)| *kind == Kind::PriorityClass) {
        objects.priorities.add(tree);
    }
    if input.is_plain {
        let of = prepared.iter().map(|(_, document, tree)| (*document, tree));
        plain_parts::assume_classes(of, &mut objects.priorities, input);
    }
    let priorities = objects.priorities.clone();
    for (kind, document, tree) in prepared {
        let mut cx = Lowering { behaviors, classes: &priorities, names };
        add(kind, document, &tree, &mut cx, &mut objects, input);
        objects.trees.push(tree);
    }
    for document in documents.iter().filter(|d| keda::is_of(d, "ScaledJob")) {
        let mut cx = Lowering { behaviors, classes: &priorities, names };
        objects.cron_jobs.extend(keda_jobs::cron_job(document, &mut cx, input));
    }
    default_class(&mut objects.storage);
    objects
}

fn warn(left_out: &LeftOut<'_>, what: &str, input: &mut Input) {
    for (kind, (count, place)) in left_out {
        let times = if *count == 1 { String::new() } else { format!(" ({count} objects)") };
        input.found.warning(*place, format!("kind {kind} {what}{times}"));
    }
}

/// What is read as something else than the API server would, and what is read and does nothing.
fn warn_of_old_and_idle(documents: &[Document], input: &mut Input) {
    let of = |kind: Kind| {
        documents.iter().filter(move |document| class(document) == KindClass::Modelled(kind))
    };
    for document in of(Kind::HorizontalPodAutoscaler) {
        let version = &document.api_version;
        if version.value.contains("beta") {
            let message = format!("Kubernetes 1.36 does not serve {}", version.value);
            let warning = Diagnostic::warning(version.span, message);
            input.found.push(warning.with_hint("it is read as autoscaling/v2"));
        }
    }
    if let Some(first) = of(Kind::NetworkPolicy).next() {
        let message = "kind NetworkPolicy changes nothing here";
        let warning = Diagnostic::warning(first.kind.span, message);
        input.found.push(warning.with_hint("calls that it forbids go through"));
    }
}

/// An unknown kind is a misspelt one, one of another version, or one of somebody's own.
fn warn_unknown(left_out: &LeftOut<'_>, documents: &[Document], input: &mut Input) {
    for document in documents.iter().filter(|d| class(d) == KindClass::Unknown) {
        let (version, kind) = (&document.api_version, &document.kind);
        if let Some(served) = api::suggested_version(&version.value, &kind.value) {
            let message = format!("{} has no kind {}; left out", version.value, kind.value);
            let warning = Diagnostic::warning(version.span, message);
            input.found.push(warning.with_hint(format!("write apiVersion: {served}")));
        }
    }
    for (kind, (count, place)) in left_out {
        let versions = documents.iter().filter(|d| d.kind.value == *kind);
        let is_known = |d: &Document| api::suggested_version(&d.api_version.value, kind).is_some();
        if versions.clone().any(is_known) {
            continue;
        }
        let times = if *count == 1 { String::new() } else { format!(" ({count} objects)") };
        let message = format!("kind {kind} is none that Kubernetes or Seatrial knows{times}");
        let warning = Diagnostic::warning(*place, message).with_hint("it is left out");
        input.found.push(warning.with_suggestion(kind, KINDS));
    }
}

/// Kinds that a word may be a misspelling of.
const KINDS: [&str; 19] = [
    "Pod",
    "ReplicationController",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ConfigMap",
    "Secret",
    "Node",
    "PriorityClass",
    "Namespace",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
];

pub(super) fn prepare(kind: Kind, document: &Document, input: &mut Input) -> Option<Arc<Value>> {
    let mut tree = document.root().to_json();
    let problems = input.prepare(kind, &mut tree);
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
        Kind::ReplicationController => match api::lower_replication_controller(tree, cx) {
            Ok(replica_set) => objects.replica_sets.push(replica_set),
            Err(problems) => told(problems),
        },
        Kind::StatefulSet => match api::lower_stateful_set(tree, cx) {
            Ok(set) => objects.stateful_sets.push(set),
            Err(problems) => told(problems),
        },
        Kind::DaemonSet => match api::lower_daemon_set(tree, cx) {
            Ok(set) => objects.daemon_sets.push(set),
            Err(problems) => told(problems),
        },
        Kind::Job => match api::lower_job(tree, cx) {
            Ok(job) => objects.jobs.push(job),
            Err(problems) => told(problems),
        },
        Kind::CronJob => match api::lower_cron_job(tree, cx) {
            Ok(cron_job) => objects.cron_jobs.push(cron_job),
            Err(problems) => told(problems),
        },
        Kind::Service => {
            let service = api::lower_service(tree, cx.names);
            let selector = document.root().at(&["spec", "selector"]);
            objects.selectors.extend(selector.map(|value| (service.name, value.span())));
            let ports = document.root().at(&["spec", "ports"]).into_iter();
            for target in ports.flat_map(tree::Value::items).filter_map(|p| p.get("targetPort")) {
                let name = target.as_str().map(|name| cx.names.intern(name));
                let place = target.span();
                let named = name.map(|target| NamedPort { service: service.name, target, place });
                objects.named_ports.extend(named);
            }
            objects.services.push(service);
        }
        Kind::HorizontalPodAutoscaler => objects.hpas.push(api::lower_hpa(tree, cx.names)),
        Kind::Node => objects.nodes.push(api::lower_node(tree, cx.names)),
        Kind::ConfigMap | Kind::Secret => add_config(kind, tree, cx.names, objects),
        Kind::Namespace => objects.namespaces.push(api::lower_namespace(tree, cx.names)),
        Kind::PodDisruptionBudget => objects.budgets.push(api::lower_budget(tree, cx.names)),
        Kind::PersistentVolumeClaim
        | Kind::PersistentVolume
        | Kind::StorageClass
        | Kind::CsiNode
        | Kind::CsiDriver
        | Kind::CsiStorageCapacity
        | Kind::VolumeAttachment => add_storage(kind, tree, cx.names, &mut objects.storage),
        Kind::PriorityClass
        | Kind::ServiceAccount
        | Kind::ResourceQuota
        | Kind::LimitRange
        | Kind::Ingress
        | Kind::NetworkPolicy
        | Kind::RoleBinding
        | Kind::RuntimeClass => {}
    }
}

fn add_storage(kind: Kind, tree: &Value, names: &mut Interner, storage: &mut Storage) {
    match kind {
        Kind::PersistentVolumeClaim => storage.claims.push(api::lower_claim(tree, names)),
        Kind::PersistentVolume => storage.volumes.push(api::lower_volume(tree, names)),
        Kind::StorageClass => storage.classes.push(api::lower_class(tree, names)),
        Kind::CsiNode => storage.csi_nodes.push(api::lower_csi_node(tree, names)),
        Kind::CsiDriver => storage.csi_drivers.push(api::lower_csi_driver(tree, names)),
        Kind::CsiStorageCapacity => storage.capacities.push(api::lower_capacity(tree, names)),
        Kind::VolumeAttachment => storage.attachments.push(api::lower_attachment(tree, names)),
        _ => {}
    }
}

/// Claims that name no class get the default one; of several the first by name.
///
/// Source: kubernetes v1.36.3 plugin/pkg/admission/storage/storageclass/setdefault/admission.go.
/// Differs: of several default classes the API server takes the newest.
fn default_class(storage: &mut Storage) {
    let standard = storage.classes.iter().find(|class| class.is_default).map(|class| class.name);
    for claim in storage.claims.iter_mut().filter(|claim| claim.class.is_none()) {
        claim.class = standard;
    }
}

/// The template of a pod that a generator makes.
pub(super) fn generated(
    mut pod: Value,
    workload: Workload,
    (place, places): (Span, &[(&str, Span)]),
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
    for problem in &problems {
        let path = problem.path.strip_prefix("spec.").unwrap_or(&problem.path);
        let near = places.iter().find(|(start, span)| path.starts_with(start) && !span.is_none());
        let severity = if problem.is_error { Severity::Error } else { Severity::Warning };
        let place = near.map_or(place, |(_, span)| *span);
        let message = api::plain(&problem.message);
        let diagnostic = Diagnostic::new(severity, place, message);
        input.found.push(match &problem.hint {
            Some(hint) => diagnostic.with_hint(hint.clone()),
            None => diagnostic,
        });
    }
    template
}

/// Checks manifests alone, and counts their objects by kind.
pub(super) fn check(paths: &[Spanned<String>], input: &mut Input) -> Vec<(String, usize)> {
    let documents = sorted(input.read_manifests(paths), input);
    let mut names = Interner::new();
    names.intern("");
    let behaviors =
        Behaviors { standard: super::behaviors::standard(), rules: Vec::new(), mesh: None };
    let mut objects = lower(&documents, &behaviors, &mut names, input);
    metrics::check_asked(&documents, &[], &names, input);
    keda::lower(&documents, &mut Vec::new(), &mut objects.hpas, &mut names, input);
    object_checks::hpas(&objects, &documents, &names, input);
    if !input.found.has_errors() {
        let templates: Vec<&Template> = objects.templates().map(|t| &**t).collect();
        let told = |_| false;
        let about = (&names, &mut *input);
        object_checks::idle_services(
            &objects.services,
            &objects.selectors,
            &templates,
            told,
            about,
        );
        let ports = (&*objects.services, &*objects.named_ports);
        object_checks::lost_ports(ports, &templates, &names, input);
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for document in &documents {
        *counts.entry(document.kind.value.clone()).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// A ConfigMap or Secret: that it is there, and its keys.
fn add_config(kind: Kind, tree: &Value, names: &mut Interner, objects: &mut Objects) {
    let name = api::object_name(tree, names);
    let is_secret = kind == Kind::Secret;
    let list = if is_secret { &mut objects.secrets } else { &mut objects.config_maps };
    list.push(name);
    for part in ["data", "binaryData", "stringData"] {
        for key in tree[part].as_object().into_iter().flat_map(serde_json::Map::keys) {
            objects.config_keys.insert((is_secret, name, names.intern(key)));
        }
    }
}
