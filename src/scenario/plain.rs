//! A plain cluster for manifests that come without a scenario: as many machines as they need,
//! calls to each Service that leads to a workload, and what they name and do not bring.
//!
//! ```text
//! manifests ─ first look, one machine ─► Model ─► size, Services, what is missing ─► Plain
//! Plain + what shall happen ─► the text of a scenario ─► Loaded
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::base::{Duration, MilliCpu, Symbol};
use crate::manifest::Loader;
use crate::model::{
    HpaTarget, IngressRequest, Model, ObjectName, ServiceKind, Template, Workload, WorkloadKind,
};
use crate::tree::json_to_yaml;

use super::behaviors::shown;
use super::call_graph::{self, Edge};
use super::plain_parts::{is_plain_class, missing, title};
use super::{Loaded, Refused, load_text};

/// Machines of a plain cluster at least: two a zone.
const NODES_MIN: i64 = 6;
/// Room that a rollout may take besides what all pods ask for, in percent.
const ROOM_PERCENT: i64 = 150;
/// Pods of one machine at most (the kubelet's default).
const PODS: i64 = 110;
/// Where the objects that manifests name and do not bring are put.
const MISSING: &str = "plain-cluster.yaml";
/// Where the objects that a trial adds are put.
const ADDED: &str = "added.yaml";
/// The name of its zones.
const ZONES: [&str; 3] = ["a", "b", "c"];

/// Manifests, and the plain cluster that is sized for them.
#[derive(Debug)]
pub struct Plain {
    files: BTreeMap<String, Vec<u8>>,
    apply: Vec<String>,
    pool: Value,
    nodes: u32,
    /// How long Jobs run that do not say so: entries of `behaviors`.
    runs: Vec<Value>,
    /// The first look: its findings are those of the manifests.
    pub loaded: Loaded,
    /// The workloads that Services lead to, in the order of the model's tables.
    pub fronted: Vec<Fronted>,
    /// Services behind an Ingress as scenarios name them, with `ingress/NAME` and `HOST/PATH`.
    pub through: BTreeMap<String, (String, String)>,
    /// Services that lead to no workload that could be rolled out, and why.
    pub others: Vec<(String, &'static str)>,
    /// Calls between workloads, as their environment and arguments name Services.
    pub edges: Vec<Edge>,
    /// Objects that the manifests name and do not bring, as `configmap/shop/web`.
    pub stand_ins: Vec<String>,
}

/// A workload behind Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fronted {
    /// Which.
    pub workload: Workload,
    /// As scenarios and `--set` name it: `deployment/shop/web`.
    pub target: String,
    /// As kubectl names it: `deployment/web -n shop`.
    pub kubectl: String,
    /// Its Services as scenarios name them: `service/shop/web`.
    pub services: Vec<String>,
}

/// What shall happen in a plain cluster.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// Its name.
    pub name: String,
    /// Calls a second to each Service.
    pub rate: f64,
    /// Entries of the timeline as the scenario file has them.
    pub timeline: Vec<Value>,
    /// What is measured before does not count.
    pub warmup: Duration,
    /// The horizon.
    pub until: Duration,
    /// Seed.
    pub seed: u64,
    /// Entries of `behaviors` as the scenario file has them.
    pub behaviors: Vec<Value>,
    /// Services whose callers try again once.
    pub retried: BTreeSet<String>,
    /// Assignments over objects.
    pub sets: Vec<String>,
    /// Objects that are added.
    pub objects: Vec<Value>,
    /// Calls go to Services that are behind an Ingress without it.
    pub is_direct: bool,
    /// Workloads call each other, and callers from outside only Services that no other calls.
    pub is_graph: bool,
}

impl Plain {
    /// Reads manifests and sizes a cluster for them.
    ///
    /// # Errors
    /// If anything in the manifests is wrong: all of it, at once.
    pub fn read(loader: &Loader, paths: &[String]) -> Result<Self, Box<Refused>> {
        let look = |loader: Loader, paths: &[String], runs: &[Value]| {
            let file = json!({
                "apiVersion": "seatrial/v1",
                "kind": "Scenario",
                "name": "manifests",
                "cluster": { "nodes": [{ "pool": "workers", "allocatable": { "cpu": 4, "memory": "16Gi" } }] },
                "apply": paths,
                "behaviors": runs,
                "run": { "until": "1s" },
            });
            load_text(loader, "the command line", &json_to_yaml(&file), &[])
        };
        let mut loaded = look(loader.clone(), paths, &[])?;
        let mut files = BTreeMap::new();
        let mut apply = Vec::new();
        for file in loaded.sources.files().skip(1) {
            let name = match file.name() {
                "<stdin>" => "stdin.yaml".to_owned(),
                name => name.to_owned(),
            };
            if files.insert(name.clone(), file.text().as_bytes().to_vec()).is_none() {
                apply.push(name);
            }
        }
        let runs = runs(&loaded.model);
        if !runs.is_empty() {
            loaded = look(Loader::from_memory(files.clone()), &apply, &runs)?;
        }
        let model = &loaded.model;
        let missing = missing(model, &counts(model));
        let stand_ins =
            missing.iter().filter(|object| !is_plain_class(object)).map(title).collect();
        let missing: String =
            missing.iter().map(|object| format!("---\n{}", json_to_yaml(object))).collect();
        if !missing.is_empty() {
            files.insert(MISSING.to_owned(), missing.into_bytes());
            apply.push(MISSING.to_owned());
        }
        let (pool, nodes) = pool(model);
        let (fronted, others) = fronted(model);
        let through = through(model);
        let edges = call_graph::edges(&loaded.objects, &fronted);
        Ok(Self {
            files,
            apply,
            pool,
            nodes,
            runs,
            loaded,
            fronted,
            through,
            others,
            edges,
            stand_ins,
        })
    }

    /// How many machines it has; they are called `workers-0` and so on.
    #[must_use]
    pub const fn nodes(&self) -> u32 {
        self.nodes
    }

    /// What is assumed of Jobs, in words; empty if there are none that do not say how long they run.
    #[must_use]
    pub const fn assumed(&self) -> &'static str {
        if self.runs.is_empty() { "" } else { " · Jobs run 1 min (assumed)" }
    }

    /// The machines in words: `6 nodes of 4 cpu, 16 GiB`.
    #[must_use]
    pub fn machines(&self) -> String {
        let of = |name: &str| self.pool["allocatable"][name].to_string().replace('"', "");
        let nodes = crate::base::text::counted(u64::from(self.nodes), "node");
        format!("{nodes} of {} cpu, {}", of("cpu"), of("memory").replace("Gi", " GiB"))
    }

    /// When every pod that takes its time should be ready: from the start.
    #[must_use]
    pub fn settled(&self) -> Duration {
        let delay = |template: &Template| {
            let containers = template.spec.init_containers.iter().chain(&template.spec.containers);
            let probes = containers.flat_map(|c| [c.readiness.as_ref(), c.startup.as_ref()]);
            probes.flatten().map(|probe| probe.initial_delay + probe.period).max()
        };
        let slowest = self.loaded.model.templates().filter_map(|t| delay(t)).max();
        Duration::secs(60) + slowest.unwrap_or_default()
    }

    /// The Ingress through which a Service is called, and the URL.
    #[must_use]
    pub fn ingress_of(&self, is_direct: bool, service: &str) -> Option<(&str, &str)> {
        let (ingress, url) = self.through.get(service).filter(|_| !is_direct)?;
        Some((ingress, url))
    }

    /// The scenario of a trial as the text of its file.
    #[must_use]
    pub fn scenario(&self, trial: &Trial) -> String {
        let mut names = BTreeSet::new();
        let services: BTreeSet<&String> =
            self.fronted.iter().flat_map(|fronted| &fronted.services).collect();
        let is_inner =
            |service: &String| trial.is_graph && self.edges.iter().any(|edge| edge.to == *service);
        let services = services.into_iter().filter(|service| !is_inner(service));
        let traffic = services.map(|service| {
            let short = service.rsplit('/').next().unwrap_or(service).to_owned();
            let long = service.trim_start_matches("service/").replace('/', "-");
            let name = if names.insert(short.clone()) { short } else { long };
            let retries = u32::from(trial.retried.contains(service));
            let mut source = json!({
                "name": name,
                "to": service,
                "rate": format!("{}/s", trial.rate),
                "retries": { "attempts": retries },
            });
            if let Some((ingress, url)) = self.ingress_of(trial.is_direct, service) {
                source["to"] = ingress.into();
                source["url"] = url.into();
            }
            source
        });
        let mut file = json!({
            "apiVersion": "seatrial/v1",
            "kind": "Scenario",
            "name": trial.name,
            "cluster": { "nodes": [self.pool], "latencies": "measured" },
            "apply": self.apply,
        });
        if let (false, Some(apply)) = (trial.objects.is_empty(), file["apply"].as_array_mut()) {
            apply.push(ADDED.into());
        }
        let mut put = |key: &str, value: Vec<Value>| {
            if !value.is_empty() {
                file[key] = Value::Array(value);
            }
        };
        let calls = if trial.is_graph { self.calls_between(trial) } else { Vec::new() };
        put("behaviors", self.runs.iter().chain(&calls).chain(&trial.behaviors).cloned().collect());
        put("traffic", traffic.collect());
        put("timeline", trial.timeline.clone());
        file["run"] = json!({
            "until": trial.until.go_text(),
            "warmup": trial.warmup.go_text(),
            "seed": trial.seed,
        });
        json_to_yaml(&file) + "\n"
    }

    /// The file of objects that stand in, as comments to follow the scenario.
    #[must_use]
    pub fn stand_ins_as_comments(&self) -> String {
        let Some(bytes) = self.files.get(MISSING) else { return String::new() };
        let text = String::from_utf8_lossy(bytes);
        let lines: String = text.lines().map(|line| format!("#   {line}\n")).collect();
        format!("# {MISSING}, a file beside this one:\n{lines}")
    }

    /// Entries of `behaviors`: each workload calls each Service that it names once for each call.
    fn calls_between(&self, trial: &Trial) -> Vec<Value> {
        let of = |own: &Fronted| {
            let edges = self.edges.iter().filter(|edge| edge.from == own.target);
            let calls: Vec<Value> = edges
                .map(|edge| match trial.retried.contains(&edge.to) {
                    true => json!({ "to": edge.to, "retries": { "attempts": 1 } }),
                    false => json!({ "to": edge.to }),
                })
                .collect();
            (!calls.is_empty()).then(|| json!({ "for": own.target, "calls": calls }))
        };
        self.fronted.iter().filter_map(of).collect()
    }

    /// The calls between workloads in words: `frontend → ads, cart; cart → redis`.
    #[must_use]
    pub fn graph_text(&self) -> String {
        let short = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
        let of = |own: &Fronted| {
            let edges = self.edges.iter().filter(|edge| edge.from == own.target);
            let to: Vec<String> = edges.map(|edge| short(&edge.to)).collect();
            (!to.is_empty()).then(|| format!("{} → {}", short(&own.target), to.join(", ")))
        };
        self.fronted.iter().filter_map(of).collect::<Vec<_>>().join("; ")
    }

    /// The trial as a scenario that can run.
    ///
    /// # Errors
    /// If an assignment or behaviour of the trial does not fit.
    pub fn load(&self, trial: &Trial) -> Result<Loaded, Box<Refused>> {
        let mut files = self.files.clone();
        let added = trial.objects.iter().map(|object| format!("---\n{}", json_to_yaml(object)));
        files.insert(ADDED.to_owned(), added.collect::<String>().into_bytes());
        let loader = Loader::from_memory(files);
        load_text(loader, "the plain cluster", &self.scenario(trial), &trial.sets)
    }
}

/// The workloads that Services lead to, and the Services that lead to none.
fn fronted(model: &Model) -> (Vec<Fronted>, Vec<(String, &'static str)>) {
    let names = &*model.names;
    let mut all = Vec::new();
    let mut others = Vec::new();
    let is_rolling = |kind| {
        matches!(
            kind,
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet
        )
    };
    for (workload, template) in model.rolling_templates() {
        let ObjectName { namespace, name } = workload.name;
        let selected = model.services.iter().filter(|service| {
            is_called(service.kind) && service.selects(namespace, &template.labels)
        });
        let services: Vec<String> =
            selected.map(|service| shown("service", service.name, names)).collect();
        if services.is_empty() || is_empty(workload, model) {
            continue;
        }
        let kind = workload.kind.as_str();
        let (namespace, name) = (names.resolve(namespace), names.resolve(name));
        let kubectl = match namespace {
            "default" => format!("{kind}/{name}"),
            _ => format!("{kind}/{name} -n {namespace}"),
        };
        let target = shown(kind, workload.name, names);
        all.push(Fronted { workload, target, kubectl, services });
    }
    for service in &model.services {
        let behind: Vec<Workload> = model
            .templates()
            .filter(|template| service.selects(template.workload.name.namespace, &template.labels))
            .map(|template| template.workload)
            .collect();
        let why = match behind.first() {
            _ if service.kind == ServiceKind::ExternalName => "names something outside the cluster",
            None => "no workload of these manifests stands behind it",
            Some(_) if behind.iter().all(|own| is_empty(*own, model)) => {
                "the workload behind it has 0 replicas"
            }
            Some(_) if behind.iter().any(|own| is_rolling(own.kind)) => continue,
            Some(_) => "what stands behind it is no workload that rolls out",
        };
        others.push((shown("service", service.name, names), why));
    }
    (all, others)
}

/// For each Service behind an Ingress a request that leads to it.
fn through(model: &Model) -> BTreeMap<String, (String, String)> {
    let names = &*model.names;
    let mut all = BTreeMap::new();
    for path in model.ingresses.iter().flat_map(|rules| &rules.paths) {
        let Some(service) = path.backend else { continue };
        let request = path.example();
        let cut = request.find('/').unwrap_or(request.len());
        let (host, below) = (request[..cut].into(), request[cut..].into());
        let asked = IngressRequest { host, path: below, of: Some(path.ingress) };
        let paths = model.ingresses.iter().flat_map(|rules| &rules.paths);
        let best = asked.taken_by(paths);
        if best.is_some_and(|best| best.backend == path.backend) {
            let to = (shown("ingress", path.ingress, names), request);
            all.entry(shown("service", service, names)).or_insert(to);
        }
    }
    all
}

/// Whether a workload has no pods, and nothing gives it some.
fn is_empty(workload: Workload, model: &Model) -> bool {
    let replicas = match workload.kind {
        WorkloadKind::Deployment => {
            model.deployments.iter().find(|own| own.name == workload.name).map(|own| own.replicas)
        }
        WorkloadKind::StatefulSet => {
            model.stateful_sets.iter().find(|own| own.name == workload.name).map(|own| own.replicas)
        }
        _ => None,
    };
    let is_it = |target: &HpaTarget| match *target {
        HpaTarget::Deployment(name) => {
            workload.kind == WorkloadKind::Deployment && name == workload.name.name
        }
        HpaTarget::StatefulSet(name) => {
            workload.kind == WorkloadKind::StatefulSet && name == workload.name.name
        }
        _ => false,
    };
    let is_kept = model.paused_scales.iter().any(|kept| is_it(&kept.target) && kept.replicas > 0);
    let mut scaled = model.hpas.iter().filter(|hpa| is_it(&hpa.target));
    let is_scaled = scaled.any(|hpa| model.scaled_objects.iter().any(|own| own.hpa == hpa.name));
    replicas == Some(0) && !is_kept && !is_scaled
}

fn is_called(kind: ServiceKind) -> bool {
    kind != ServiceKind::ExternalName
}

/// A minute for each Job, and those of CronJobs, whose pods would never end.
fn runs(model: &Model) -> Vec<Value> {
    super::checks::jobs(model)
        .filter(|(_, job)| super::checks::is_endless(job))
        .map(|(kind, job)| json!({ "for": shown(kind, job.name, &model.names), "run": "1m" }))
        .collect()
}

/// How many pods of a template there will be; `None`: one a machine.
fn counts(model: &Model) -> Vec<(&Template, Option<i64>)> {
    let deployments = model.deployments.iter().map(|d| (&*d.template, Some(i64::from(d.replicas))));
    let sets = model.replica_sets.iter().map(|r| (&*r.template, Some(i64::from(r.replicas))));
    let stateful = model.stateful_sets.iter();
    let stateful = stateful.map(|s| (&*s.template, Some(i64::from(s.replicas))));
    let daemons = model.daemon_sets.iter().map(|d| (&*d.template, None));
    let jobs = model.jobs.iter().map(|j| (&*j.template, Some(1)));
    let pods = model.pods.iter().map(|p| (&*p.template, Some(1)));
    deployments.chain(sets).chain(stateful).chain(daemons).chain(jobs).chain(pods).collect()
}

/// The pool of a plain cluster, and how many machines it has: each is at least twice as large as
/// the largest pod, and together they have half as much again as all pods ask for.
fn pool(model: &Model) -> (Value, u32) {
    let names = &*model.names;
    let all = counts(model);
    let mut machine = (4_000_i64, 16_i64 << 30);
    let (mut daemon, mut total, mut pods) = ((0_i64, 0_i64), (0_i64, 0_i64), 0_i64);
    let mut scalars: BTreeMap<Symbol, i64> = BTreeMap::new();
    let mut storage = 0_i64;
    let mut apart = NODES_MIN;
    for (template, count) in &all {
        let (MilliCpu(cpu), memory) = template.spec.nonzero_requests;
        let memory = memory.0;
        while machine.0 < 2 * cpu || machine.1 < 2 * memory {
            machine = (2 * machine.0, 2 * machine.1);
        }
        storage = storage.max(template.spec.requests.ephemeral_storage.0);
        for (name, amount) in &template.spec.requests.scalars {
            let most = scalars.entry(*name).or_default();
            *most = (*most).max(*amount);
        }
        match count {
            None => daemon = (daemon.0 + cpu, daemon.1 + memory),
            Some(count) => {
                total = (total.0 + count * cpu, total.1 + count * memory);
                pods += count;
                let keeps_apart = !template.spec.pod_affinity.anti_required.is_empty()
                    || !template.spec.host_ports.is_empty()
                    || !template.spec.requests.scalars.is_empty();
                if keeps_apart {
                    apart = apart.max(count + 1);
                }
            }
        }
    }
    while machine.0 < 2 * daemon.0 || machine.1 < 2 * daemon.1 {
        machine = (2 * machine.0, 2 * machine.1);
    }
    let need = |total: i64, room: i64| (total * ROOM_PERCENT / 100 + room - 1) / room.max(1);
    let count = need(total.0, machine.0 - daemon.0)
        .max(need(total.1, machine.1 - daemon.1))
        .max(need(pods, PODS - 20))
        .max(apart);
    let count = (count + 2) / 3 * 3;
    let mut allocatable = json!({
        "cpu": machine.0 / 1_000,
        "memory": format!("{}Gi", machine.1 >> 30),
        "pods": PODS,
    });
    let gib = (2 * storage) >> 30;
    allocatable["ephemeral-storage"] = format!("{}Gi", gib.max(100)).into();
    for (name, most) in scalars {
        allocatable[names.resolve(name)] = (2 * most).into();
    }
    let mut labels = serde_json::Map::new();
    for (template, _) in &all {
        for (key, value) in template.spec.node_selector.iter() {
            let (key, value) = (names.resolve(key), names.resolve(value));
            if !key.starts_with("topology.kubernetes.io/") && key != "kubernetes.io/hostname" {
                labels.entry(key).or_insert_with(|| value.into());
            }
        }
    }
    let pool = json!({
        "pool": "workers",
        "count": count,
        "zones": ZONES,
        "allocatable": allocatable,
        "labels": labels,
    });
    (pool, u32::try_from(count).unwrap_or(u32::MAX))
}
