//! From the file as written to the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Interner, Symbol};
use crate::model::{
    BehaviorRule, Behaviors, GeneratorSpec, Model, NodeSpec, TemplateHandle, TrafficSpec, Workload,
};
use crate::tree::{Diagnostic, Span, Spanned};

use super::behaviors::{self, Known};
use super::file::{
    KindFile, LatenciesFile, MethodFile, ProfileName, ScenarioFile, TrafficFile, WorkloadFile,
};
use super::input::Input;
use super::known::Gaps;
use super::objects::Objects;
use super::{
    addresses, checks, clients, cloud, commands, custom, horizontal, ingress, keda, latencies,
    later, loads, mesh, metrics, network, node_monitor, node_pools, nodes, object_checks, objects,
    run, scheduler, static_pods, timeline, workloads,
};

/// What a scenario becomes.
pub(super) struct Lowered {
    pub model: Model,
    pub objects: Vec<Arc<serde_json::Value>>,
}

/// Lowers the file; `None` where too much is wrong to go on. `damaged` are its sections of which
/// something could not be read.
pub(super) fn lower(
    file: &ScenarioFile,
    damaged: &BTreeSet<String>,
    input: &mut Input,
) -> Option<Lowered> {
    let mut names = Interner::new();
    names.intern("");
    check_head(file, input);
    let before = input.found.error_count();
    let mut documents = objects::sorted(input.read_manifests(&file.apply), input);
    if let Some(from) = &file.cluster.from {
        documents.extend(objects::sorted(input.read_manifests(std::slice::from_ref(from)), input));
    }
    objects::set(&mut documents, input);
    let mut gaps = Gaps {
        objects: damaged.contains("apply") || input.found.error_count() > before,
        nodes: damaged.contains("cluster"),
        generators: damaged.contains("workload"),
        run: damaged.contains("run"),
    };
    let (lines, scripts) = timeline::read(&file.timeline, input);
    let commands = commands::read_all(&lines, input);
    let later::Played { created: later, ingresses } = later::play(&commands, &documents);
    let before = input.found.error_count();
    let mut all_nodes = pools(file, &mut names, input);
    let is_ideal =
        matches!(&file.cluster.latencies, Some(LatenciesFile::Profile(ProfileName::Ideal)));
    let (cloud, first) =
        cloud::lower(file.cloud.as_ref(), (is_ideal, &documents), &mut names, input);
    if cloud.karpenter.is_none() {
        node_pools::warn_unread(&documents, &mut input.found);
    }
    all_nodes.extend(first);
    gaps.nodes |= damaged.contains("cloud");
    gaps.nodes |= input.found.error_count() > before;
    let hpa = file.cluster.horizontal_pod_autoscaler.as_ref();
    input.scales_to_zero = hpa.is_some_and(|hpa| hpa.scale_to_zero == Some(true));
    let mut identities = objects::identities(&documents, &mut names);
    for (kind, of) in later.iter().filter_map(|of| Some((of.kind()?, of))) {
        identities.add(kind, of.object_name(&mut names));
    }
    let static_pods = static_pods::read(file, input);
    let mirrors = static_pods::identities(&static_pods, &mut names);
    let generators: Vec<Workload> =
        file.workload.iter().map(|w| workloads::identity(&w.value, &mut names)).collect();
    let known: Vec<Workload> =
        identities.workloads.iter().chain(&generators).chain(&mirrors).copied().collect();
    let targets = Known { workloads: &known, services: &identities.services, gaps };
    let rule = |entry| behaviors::lower(entry, &targets, &mut names, input);
    let mut rules: Vec<BehaviorRule> = file.behaviors.iter().map(rule).collect();
    let ingress_file = file.cluster.ingress.as_ref();
    let proxies = ingress::workload(ingress_file, &targets, &mut names, &mut input.found);
    rules.splice(0..0, proxies.iter().map(|(_, rule)| rule.clone()));
    let mesh_file = file.cluster.mesh.as_ref();
    let mesh = mesh::lower(mesh_file, (is_ideal, &documents), &mut names, &mut input.found);
    rules.splice(0..0, mesh.iter().map(|mesh| mesh.rule.clone()));
    let proxied = mesh.as_ref().map(|mesh| mesh.proxied.clone());
    let mesh = mesh.map(|mesh| mesh.spec);
    let mut paths = ingress::Paths::of(&documents, &ingresses, &mut names);
    paths.is_meshed = mesh.is_some();
    let behaviors = Behaviors { standard: behaviors::standard(), rules, mesh: proxied };
    let before = input.found.error_count();
    let mut objects = objects::lower(&documents, &behaviors, &mut names, input);
    later::lower(&later, &behaviors, &mut names, &mut objects);
    object_checks::hpas(&objects, &documents, &names, input);
    static_pods::lower(&static_pods, &all_nodes, &behaviors, &mut names, &mut objects, input);
    let whole = !gaps.objects && input.found.error_count() == before;
    all_nodes.append(&mut objects.nodes);
    check_nodes(&all_nodes, file, gaps, &names, input);
    let generators = lower_generators(file, &objects, &behaviors, &mut names, input);
    let traffic = lower_traffic(file, (&targets, &paths), &mut names, input);
    let mut ingress = ingress::lower(ingress_file, is_ideal, &mut input.found);
    if let Some((workload, _)) = proxies.filter(|_| whole) {
        let templates: Vec<_> = objects.templates().map(|template| &**template).collect();
        let services = &objects.services;
        let front = ingress::front(ingress_file, workload, &templates, services, &mut input.found);
        ingress.place = front.unwrap_or(ingress.place);
    }
    if whole {
        let templates: Vec<_> = objects.templates().map(|template| &**template).collect();
        let found = &mut input.found;
        let is_later = commands.iter().any(commands::changes_labels);
        mesh::check(mesh_file, mesh.as_ref(), (&templates, is_later), &names, found);
        paths.warn(&identities.services, &names, &mut input.found);
    }
    let mut metrics = metrics::lower(&file.metrics, &targets, &mut names, input);
    metrics::check_asked(&documents, &metrics, &names, input);
    let (hpas, lowered) = (&mut objects.hpas, &mut metrics);
    let scaled = keda::lower(&documents, lowered, hpas, &mut names, input);
    let node_names: Vec<Symbol> = all_nodes.iter().map(|node| node.name).collect();
    let mut zones: Vec<Symbol> = all_nodes.iter().filter_map(|node| node.zone).collect();
    let offers = cloud.groups.iter().flat_map(|group| &group.offers);
    zones.extend(offers.filter_map(|offer| offer.zone));
    zones.extend(cloud.zones.iter().filter(|_| cloud.karpenter.is_some()));
    zones.sort_unstable();
    zones.dedup();
    let karpenter = cloud.karpenter.as_ref().map_or(&[][..], |of| &of.pools);
    let written = file.cloud.as_ref().and_then(|cloud| cloud.karpenter.as_ref());
    let written = written.map_or(&[][..], |of| &of.value.node_pools);
    let customs = custom::declared(&documents, (karpenter, written), &mut names);
    objects.later.pools.retain(|name| karpenter.iter().all(|pool| pool.name != *name));
    let known = timeline::Known {
        workloads: &known,
        services: &identities.services,
        hpas: &identities.hpas,
        customs: &customs,
        nodes: &node_names,
        zones: &zones,
        deployments: &objects.deployments,
        cloud: &cloud,
        gaps,
    };
    let (timeline, scripts) =
        timeline::lower(&file.timeline, (commands, scripts), &known, &mut names, input);
    let cluster = &file.cluster;
    let latencies = latencies::lower(cluster.latencies.as_ref(), all_nodes.len(), &mut input.found);
    let monitor = node_monitor::lower(cluster.node_monitor.as_ref(), &mut input.found);
    let horizontal =
        horizontal::lower(cluster.horizontal_pod_autoscaler.as_ref(), &mut input.found);
    let settings = run::settings(&file.run, &mut input.found);
    let scheduler = scheduler::lower(cluster.scheduler.as_ref(), &mut names, input);
    if whole {
        scheduler::check_names(&scheduler, &documents, &file.workload, input);
    }
    let addresses = cluster.addresses.as_ref();
    let addresses = addresses::lower(addresses, &all_nodes, &names, &mut input.found);
    let mut model = Model {
        name: file.name.value.clone(),
        about: file.about.trim().to_owned(),
        names: Arc::new(Interner::new()),
        nodes: all_nodes,
        cloud,
        node_order: run::node_order(cluster.node_order),
        default_toleration: Some(crate::base::Duration::secs(300)),
        node_monitor: monitor,
        horizontal,
        dns: network::dns(cluster.dns.as_ref(), &mut input.found),
        regressions: network::regressions(cluster.regressions.as_ref()),
        balancer: network::balancer(cluster.load_balancer.as_ref(), &mut input.found),
        ingress,
        mesh,
        ingresses: paths.all,
        customs,
        later: objects.later,
        addresses,
        outages: network::outages(&cluster.registry, &mut input.found),
        deployments: objects.deployments,
        replica_sets: objects.replica_sets,
        stateful_sets: objects.stateful_sets,
        daemon_sets: objects.daemon_sets,
        jobs: objects.jobs,
        cron_jobs: objects.cron_jobs,
        trees: objects.trees.clone(),
        pods: objects.pods,
        services: objects.services,
        hpas: objects.hpas,
        metrics,
        scaled_objects: scaled.objects,
        paused_scales: scaled.paused,
        scaled_jobs: scaled.jobs,
        vpas: objects.vpas,
        config_maps: objects.config_maps,
        secrets: objects.secrets,
        config_keys: objects.config_keys,
        namespaces: objects.namespaces,
        storage: objects.storage,
        budgets: objects.budgets,
        priorities: objects.priorities,
        behaviors,
        traffic,
        generators,
        timeline,
        scripts,
        latencies,
        scheduler,
        run: settings,
    };
    nodes::size_images(&mut model, &mut names);
    checks::ends(&model, file, gaps, &mut input.found);
    if whole {
        checks::whole(&model, file, &objects.selectors, &names, input);
        let templates: Vec<_> = model.templates().map(|template| &**template).collect();
        let ports = (&*model.services, &*objects.named_ports);
        object_checks::lost_ports(ports, &templates, &names, input);
    }
    model.names = Arc::new(names);
    Some(Lowered { model, objects: objects.trees })
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
            continue;
        }
        all.extend(nodes::lower(&pool.value, names, &mut input.found));
    }
    all
}

fn check_nodes(
    nodes: &[NodeSpec],
    file: &ScenarioFile,
    gaps: Gaps,
    names: &Interner,
    input: &mut Input,
) {
    let has_groups = file
        .cloud
        .as_ref()
        .is_some_and(|cloud| !cloud.node_groups.is_empty() || cloud.karpenter.is_some());
    if nodes.is_empty() && !has_groups && !gaps.nodes && !gaps.objects {
        let place = file.cluster.span;
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
    let mut seen: BTreeMap<(&str, &str), &Spanned<String>> = BTreeMap::new();
    for entry in &file.workload {
        let WorkloadFile { name, namespace, .. } = &entry.value;
        let namespace = namespace.as_ref().map_or("default", |namespace| &namespace.value);
        if let Some(first) = seen.insert((namespace, &name.value), name) {
            let message = format!("a second workload \"{}\"", name.value);
            let error = Diagnostic::error(name.span, message);
            input.found.push(error.with_related(first.span, "the first"));
        }
        if !nodes::is_dns_name(&name.value) {
            let message = format!("\"{}\" cannot name pods", name.value);
            let error = Diagnostic::error(name.span, message);
            input.found.push(error.with_hint("lower-case letters, digits and -"));
            continue;
        }
        let mut mix = Vec::new();
        for kind in &entry.value.pods {
            let before = input.found.error_count();
            nodes::amounts(&kind.value.requests.value, names, &mut input.found);
            if input.found.error_count() > before {
                continue;
            }
            let pod = workloads::manifest(&entry.value, &kind.value);
            let workload = workloads::identity(&entry.value, names);
            let KindFile {
                weight,
                requests,
                labels,
                node_selector,
                tolerations,
                priority_class,
                scheduler_name: _,
            } = &kind.value;
            let places = [
                ("priorityClassName", priority_class.as_ref().map_or(Span::NONE, |c| c.span)),
                ("nodeSelector", node_selector.span),
                ("tolerations", tolerations.span),
                ("containers[0].resources", requests.span),
                ("metadata.labels", labels.span),
            ];
            let places = (kind.span, places.as_slice());
            let template =
                objects::generated(pod, workload, places, objects, (behaviors, names), input);
            let weight = weight.as_ref().map_or(1.0, |weight| weight.value);
            mix.extend(template.map(|template| (weight, TemplateHandle(template))));
        }
        all.extend(workloads::lower(entry, mix, names, &mut input.found));
    }
    all.sort_by(|a, b| names.resolve(a.name).cmp(names.resolve(b.name)));
    all
}

fn lower_traffic(
    file: &ScenarioFile,
    known: (&Known<'_>, &ingress::Paths),
    names: &mut Interner,
    input: &mut Input,
) -> Vec<TrafficSpec> {
    let mut all: Vec<TrafficSpec> = Vec::new();
    let mut seen: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
    for entry in &file.traffic {
        let TrafficFile { name, method, port, priority, hold, speaks, clients: addresses, .. } =
            &entry.value;
        let load = loads::lower(&entry.value, entry.span, input);
        let to = ingress::target(&entry.value, known, names, &mut input.found);
        let symbol = names.intern(&name.value);
        if let Some(first) = seen.insert(&name.value, name) {
            let message = format!("a second source of calls \"{}\"", name.value);
            let error = Diagnostic::error(name.span, message);
            input.found.push(error.with_related(first.span, "the first"));
        }
        let client = clients::client(&(&entry.value).into(), &mut input.found);
        let speaks = speaks.as_ref().map(|version| names.intern(version));
        if let Some(none) = addresses.as_ref().filter(|count| count.value == 0) {
            input.found.error(none.span, "calls come from one address at least");
        }
        let (Some(load), Some(to)) = (load, to) else { continue };
        all.push(TrafficSpec {
            name: symbol,
            to: to.service,
            port: port.as_ref().map_or(0, |port| port.value),
            through: to.through,
            request: to.request,
            is_idempotent: !method
                .as_ref()
                .is_some_and(|method| matches!(method.value, MethodFile::Post | MethodFile::Patch)),
            load,
            client,
            priority: priority.unwrap_or(0),
            hold: hold.as_ref().map(|law| law.0.clone()),
            speaks,
            clients: addresses.as_ref().map(|count| count.value),
        });
    }
    all.sort_by(|a, b| names.resolve(a.name).cmp(names.resolve(b.name)));
    all
}
