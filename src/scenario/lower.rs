//! From the file as written to the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Interner, Symbol};
use crate::model::{
    Behaviors, BehaviorRule, Connections, GeneratorSpec, Model, NodeSpec, ObjectName,
    TemplateHandle, TimelineEntry, TrafficSpec, Workload,
};
use crate::tree::{Diagnostic, Spanned};

use super::behaviors::{self, Known};
use super::file::{ConnectionsFile, ScenarioFile, TrafficFile};
use super::input::Input;
use super::objects::{Identities, Objects};
use super::units::Span;
use super::{cycles, latencies, nodes, objects, rates, run, timeline, workloads};

/// How long a call is waited for when nobody says otherwise.
const TIMEOUT: crate::base::Duration = crate::base::Duration::secs(5);
/// Connections that a pool of one node holds.
const POOL: u32 = 100;

/// What a scenario becomes.
pub(super) struct Lowered {
    pub model: Model,
    pub expect: Vec<Spanned<String>>,
    pub objects: Vec<Arc<serde_json::Value>>,
}

/// Lowers the file; `None` where too much is wrong to go on.
pub(super) fn lower(file: ScenarioFile, input: &mut Input) -> Option<Lowered> {
    let mut names = Interner::new();
    names.intern("");
    check_head(&file, input);
    let mut documents = objects::sorted(input.read_manifests(&file.apply), input);
    if let Some(from) = &file.cluster.from {
        documents.extend(objects::sorted(input.read_manifests(std::slice::from_ref(from)), input));
    }
    let mut all_nodes = pools(&file, &mut names, input);
    let identities = objects::identities(&documents, &mut names);
    let generators: Vec<Workload> =
        file.workload.iter().map(|w| workloads::identity(&w.value, &mut names)).collect();
    let known: Vec<Workload> =
        identities.workloads.iter().chain(&generators).copied().collect();
    let rules = behavior_rules(&file, &known, &identities, &mut names, input);
    let behaviors = Behaviors { standard: behaviors::standard(), rules };
    let mut objects = objects::lower(&documents, &behaviors, &mut names, input);
    all_nodes.append(&mut objects.nodes);
    check_nodes(&all_nodes, &file, &names, input);
    let generators = lower_generators(&file, &objects, &behaviors, &mut names, input);
    let traffic = lower_traffic(&file, &identities.services, &mut names, input);
    let timeline = lower_timeline(&file, &identities, &known, &all_nodes, &mut names, input);
    let latencies = latencies::lower(file.cluster.latencies.as_ref(), all_nodes.len());
    let settings = run::settings(&file.run, &mut input.found);
    let scheduler = run::scheduler(file.cluster.scheduler.as_ref(), &mut input.found);
    let mut model = Model {
        name: file.name.value.clone(),
        about: file.about.trim().to_owned(),
        names: Arc::new(Interner::new()),
        nodes: all_nodes,
        node_order: run::node_order(file.cluster.node_order),
        deployments: objects.deployments,
        replica_sets: objects.replica_sets,
        pods: objects.pods,
        services: objects.services,
        hpas: objects.hpas,
        config_maps: objects.config_maps,
        secrets: objects.secrets,
        priorities: objects.priorities,
        behaviors,
        traffic,
        generators,
        timeline,
        latencies,
        scheduler,
        run: settings,
    };
    check_whole(&model, &file, &names, input);
    model.names = Arc::new(names);
    Some(Lowered { model, expect: file.expect, objects: objects.trees })
}

fn check_head(file: &ScenarioFile, input: &mut Input) {
    let found = &mut input.found;
    if file.api_version.value != "seatrial/v1" {
        let message = format!("apiVersion \"{}\" is unknown", file.api_version.value);
        found.push(
            Diagnostic::error(file.api_version.span, message).with_hint("expected seatrial/v1"),
        );
    }
    if !nodes::is_dns_name(&file.name.value) {
        let message = format!("\"{}\" cannot name a scenario", file.name.value);
        let hint = "lower-case letters, digits, - and .; it names the folder of results";
        found.push(Diagnostic::error(file.name.span, message).with_hint(hint));
    }
    if let Some(version) = file.cluster.kubernetes.as_ref().filter(|v| v.value != "1.36") {
        let message = format!("Kubernetes {} is not modelled", version.value);
        found.push(Diagnostic::error(version.span, message).with_hint("modelled is \"1.36\""));
    }
}

fn pools(file: &ScenarioFile, names: &mut Interner, input: &mut Input) -> Vec<NodeSpec> {
    let mut seen: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
    let mut all = Vec::new();
    for pool in &file.cluster.nodes {
        if let Some(first) = seen.insert(&pool.value.pool.value, &pool.value.pool) {
            let message = format!("a second pool \"{}\"", pool.value.pool.value);
            let error = Diagnostic::error(pool.value.pool.span, message);
            input.found.push(error.with_related(first.span, "the first"));
        }
        all.extend(nodes::lower(&pool.value, names, &mut input.found));
    }
    all
}

fn behavior_rules(
    file: &ScenarioFile,
    workloads: &[Workload],
    identities: &Identities,
    names: &mut Interner,
    input: &mut Input,
) -> Vec<BehaviorRule> {
    let known = Known { workloads, services: &identities.services };
    let rule = |entry| behaviors::lower(entry, &known, names, &mut input.found);
    file.behaviors.iter().map(rule).collect()
}

fn check_nodes(nodes: &[NodeSpec], file: &ScenarioFile, names: &Interner, input: &mut Input) {
    if nodes.is_empty() && !input.found.has_errors() {
        let place = file.name.span;
        let error = Diagnostic::error(place, "the cluster has no nodes");
        let hint = "cluster: { nodes: [ { pool: workers, count: 3, allocatable: { cpu: 4, \
                    memory: 16Gi } } ] }";
        input.found.push(error.with_hint(hint));
    }
    let mut seen: Vec<Symbol> = nodes.iter().map(|node| node.name).collect();
    seen.sort_unstable();
    for pair in seen.windows(2).filter(|pair| pair[0] == pair[1]) {
        let message = format!("two nodes are called \"{}\"", names.resolve(pair[0]));
        input.found.error(file.name.span, message);
    }
}

fn lower_generators(
    file: &ScenarioFile,
    objects: &Objects,
    behaviors: &Behaviors,
    names: &mut Interner,
    input: &mut Input,
) -> Vec<GeneratorSpec> {
    let mut all = Vec::new();
    for entry in &file.workload {
        let mut mix = Vec::new();
        for kind in &entry.value.pods {
            nodes::amounts(&kind.value.requests.value, names, &mut input.found);
            let pod = workloads::manifest(&entry.value, &kind.value);
            let workload = workloads::identity(&entry.value, names);
            let template =
                objects::generated(pod, workload, kind.span, objects, (behaviors, names), input);
            let weight = kind.value.weight.unwrap_or(1.0);
            mix.extend(template.map(|template| (weight, TemplateHandle(template))));
        }
        all.extend(workloads::lower(entry, mix, names, &mut input.found));
    }
    all.sort_by(|a, b| names.resolve(a.name).cmp(names.resolve(b.name)));
    all
}

fn lower_traffic(
    file: &ScenarioFile,
    services: &[ObjectName],
    names: &mut Interner,
    input: &mut Input,
) -> Vec<TrafficSpec> {
    let mut all: Vec<TrafficSpec> = Vec::new();
    for entry in &file.traffic {
        let TrafficFile { name, to, port, connections, timeout, retries, .. } = &entry.value;
        let rate = rates::lower(&entry.value, entry.span, input);
        let to = behaviors::service(to, services, names, &mut input.found);
        let symbol = names.intern(&name.value);
        if all.iter().any(|other| other.name == symbol) {
            let message = format!("a second source of calls \"{}\"", name.value);
            input.found.error(name.span, message);
        }
        let (Some(rate), Some(to)) = (rate, to) else { continue };
        let timeout = timeout.map_or(TIMEOUT, |Span(span)| span);
        if timeout.is_zero() {
            input.found.error(entry.span, "a time-out of 0s fails every call");
        }
        all.push(TrafficSpec {
            name: symbol,
            to,
            port: port.as_ref().map_or(0, |port| port.value),
            rate,
            timeout,
            retries: retries.as_ref().map_or(0, |retries| retries.attempts),
            connections: match connections {
                Some(ConnectionsFile::KeepAlive) => Connections::KeepAlive { pool: POOL },
                Some(ConnectionsFile::New) | None => Connections::New,
            },
        });
    }
    all.sort_by(|a, b| names.resolve(a.name).cmp(names.resolve(b.name)));
    all
}

fn lower_timeline(
    file: &ScenarioFile,
    identities: &Identities,
    workloads: &[Workload],
    nodes: &[NodeSpec],
    names: &mut Interner,
    input: &mut Input,
) -> Vec<TimelineEntry> {
    let nodes: Vec<Symbol> = nodes.iter().map(|node| node.name).collect();
    let known = timeline::Known {
        workloads,
        services: &identities.services,
        hpas: &identities.hpas,
        nodes: &nodes,
    };
    let lower = |entry| timeline::lower(entry, &known, names, &mut input.found);
    let mut entries: Vec<TimelineEntry> = file.timeline.iter().filter_map(lower).collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

/// What only the whole shows: horizons that are missing, services that nobody stands behind,
/// calls that come back.
fn check_whole(model: &Model, file: &ScenarioFile, names: &Interner, input: &mut Input) {
    let found = &mut input.found;
    let endless = !model.traffic.is_empty() || !model.hpas.is_empty();
    if endless && model.run.until.is_none() {
        let message = "a run with calls or autoscalers never ends by itself: `run.until` is missing";
        found.push(Diagnostic::error(file.name.span, message).with_hint("run: { until: 10m }"));
    }
    if let (Some(until), Some(last)) = (model.run.until, model.timeline.last())
        && last.at >= until
    {
        let warning = Diagnostic::warning(
            file.timeline.last().map_or(file.name.span, |entry| entry.span),
            format!("the timeline goes on at {}, after the horizon of {until}", last.at),
        );
        found.push(warning.with_hint("it does not happen: raise run.until"));
    }
    let behind = cycles::behind(model);
    for entry in &file.traffic {
        let Some((_, namespace, name)) = behaviors::split_target(&entry.value.to.value) else {
            continue;
        };
        let is_target = |s: &crate::model::ServiceSpec| {
            names.resolve(s.name.namespace) == namespace && names.resolve(s.name.name) == name
        };
        let Some(index) = model.services.iter().position(is_target) else { continue };
        if behind[index].is_empty() {
            let message = format!("no workload stands behind service \"{name}\"");
            let hint = "its selector matches the labels of no pod template";
            found.push(Diagnostic::error(entry.value.to.span, message).with_hint(hint));
        }
        let ports = &model.services[index].ports;
        if let Some(port) = &entry.value.port
            && !ports.iter().any(|p| p.port == port.value)
        {
            let have: Vec<String> = ports.iter().map(|p| p.port.to_string()).collect();
            let message = format!("service \"{name}\" has no port {}", port.value);
            let hint = format!("it has {}", have.join(", "));
            found.push(Diagnostic::error(port.span, message).with_hint(hint));
        }
    }
    if let Some(cycle) = cycles::first_cycle(model, names) {
        let places = file.behaviors.iter().find(|b| b.value.calls.is_some());
        let message = format!("calls go round in a circle: {}", cycle.join(" → "));
        let hint = "a call must end somewhere: take one of them out";
        let place = places.map_or(file.name.span, |entry| entry.span);
        found.push(Diagnostic::error(place, message).with_hint(hint));
    }
}
