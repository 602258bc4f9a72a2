//! Decisions of the scheduler alone, in clusters of 100 to 100,000 nodes.
//!
//! `cargo bench --bench scheduler` prints lines `figure decision_us_NODES_CASE VALUE us`.
//!
//! A decision is the choice of a node under the default profile, with the pod counted there and the
//! oldest pod gone, in a steady state of up to ten pods a node (a third of the nodes' room). Nodes
//! have host names and stand in three zones. Cases:
//!
//! - `identical`: pods of one template without Service and owner.
//! - `templates`: pods of 50 such templates in turn, of 50 sizes.
//! - `deployments`: pods of 50 ReplicaSets in turn: default spread constraints act (rule S104).
//! - `different`: no two pods alike in size and labels; each is of one of 50 applications, is spread
//!   over zones (hard) and hosts (soft) within it, avoids its own kind on a host and likes to be in
//!   the zone of the next; every tenth application bars its own kind from its hosts. Its class is
//!   made in the measured time.
//!
//! `…_all` looks at all nodes (`percentageOfNodesToScore: 100`), else the adaptive sample is taken;
//! `…_plain` is the plain evaluation of the same, in the same run. In the processor's time where it
//! is known (Linux), for machines that others use too. `growth_…` is the ratio of two figures.
//!
//! `cargo bench --bench scheduler -- 5000 templates` measures that size and case only.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "support/watch.rs"]
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;

use seatrial::base::{Bytes, Interner, MilliCpu, Symbol};
use seatrial::model::*;
use seatrial::placement::{ClassId, Decision, Owner, OwnerKind, Placer, PodInfo};

use watch::Watch;

const SIZES: [u32; 5] = [100, 1000, 5000, 20_000, 100_000];
const APPLICATIONS: u32 = 50;
const ROUNDS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Identical,
    Templates,
    Deployments,
    Different,
}

impl Case {
    const ALL: [Self; 4] = [Self::Identical, Self::Templates, Self::Deployments, Self::Different];

    const fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Templates => "templates",
            Self::Deployments => "deployments",
            Self::Different => "different",
        }
    }
}

/// Names that all worlds use.
struct Names {
    names: Interner,
    namespace: Symbol,
    app: Symbol,
    id: Symbol,
    zone: Symbol,
    host: Symbol,
    container: Symbol,
    scheduler: Symbol,
    apps: Vec<Symbol>,
}

impl Names {
    fn new() -> Self {
        let mut names = Interner::new();
        let apps = (0..APPLICATIONS).map(|app| names.intern(&format!("app-{app}"))).collect();
        let mut name = |text: &str| names.intern(text);
        Self {
            namespace: name("default"),
            app: name("app"),
            id: name("id"),
            zone: name("topology.kubernetes.io/zone"),
            host: name("kubernetes.io/hostname"),
            container: name("app:v1"),
            scheduler: name("default-scheduler"),
            apps,
            names,
        }
    }

    fn node(&mut self, number: u32) -> NodeSpec {
        let name = self.names.intern(&format!("node-{number}"));
        let zone = self.names.intern(&format!("zone-{}", number % 3));
        let allocatable = resources(32_000, Bytes::gib(128));
        NodeSpec {
            labels: Labels::new([(self.zone, zone), (self.host, name)]),
            zone: Some(zone),
            ..NodeSpec::plain(name, allocatable)
        }
    }

    fn spec(&self, cpu: i64) -> PodSpec {
        let requests = resources(cpu, Bytes::gib(4));
        let container = Container {
            requests: requests.clone(),
            ..Container::plain(self.container, self.container)
        };
        PodSpec {
            nonzero_requests: (requests.cpu, requests.memory),
            scored_requests: requests.clone(),
            requests,
            qos: QosClass::Burstable,
            image_names: vec![self.container],
            ..PodSpec::plain(vec![container], self.scheduler)
        }
    }

    fn of_app(&self, app: Symbol) -> Selector {
        Selector::from_labels(&Labels::new([(self.app, app)]))
    }

    fn term(&self, app: Symbol, topology_key: Symbol) -> PodAffinityTerm {
        PodAffinityTerm {
            namespaces: vec![self.namespace],
            namespace_selector: None,
            match_label_keys: Vec::new(),
            mismatch_label_keys: Vec::new(),
            selector: Some(self.of_app(app)),
            topology_key,
        }
    }

    fn constraint(&self, app: Symbol, topology_key: Symbol, is_hard: bool) -> SpreadConstraint {
        SpreadConstraint {
            max_skew: 1,
            topology_key,
            is_hard,
            selector: Some(self.of_app(app)),
            ..SpreadConstraint::plain(topology_key)
        }
    }

    /// Pod number `number` of a case.
    fn pod(&mut self, case: Case, number: u32) -> PodInfo {
        let kind = number % APPLICATIONS;
        let app = self.apps[kind as usize];
        let size = match case {
            Case::Identical => 0,
            Case::Templates | Case::Deployments => kind,
            Case::Different => number,
        };
        let mut spec = self.spec(1000 + i64::from(size % 1000));
        let mut labels = Labels::new([(self.app, app)]);
        let mut owner = None;
        match case {
            Case::Identical | Case::Templates => {}
            Case::Deployments => {
                owner = Some(Owner { kind: OwnerKind::ReplicaSet, name: app });
            }
            Case::Different => {
                let id = self.names.intern(&format!("pod-{number}"));
                labels.set(self.id, id);
                let next = self.apps[((kind + 1) % APPLICATIONS) as usize];
                spec.spread = vec![
                    self.constraint(app, self.zone, true),
                    self.constraint(app, self.host, false),
                ];
                spec.pod_affinity.preferred = vec![(10, self.term(next, self.zone))];
                spec.pod_affinity.anti_preferred = vec![(100, self.term(app, self.host))];
                if kind.is_multiple_of(10) {
                    spec.pod_affinity.anti_required = vec![self.term(app, self.host)];
                }
            }
        }
        PodInfo { owner, ..PodInfo::plain(self.namespace, labels, Arc::new(spec)) }
    }
}

fn resources(cpu: i64, memory: Bytes) -> Resources {
    Resources { cpu: MilliCpu(cpu), memory, ..Resources::default() }
}

/// A cluster in its steady state.
struct Bench {
    names: Names,
    placer: Placer,
    case: Case,
    classes: Vec<ClassId>,
    alive: VecDeque<(NodeId, PodRef)>,
    alive_max: usize,
    next: u32,
}

impl Bench {
    fn new(nodes: u32, case: Case, percentage: u8) -> Self {
        let mut names = Names::new();
        let settings = SchedulerSettings {
            percentage_of_nodes_to_score: percentage,
            ..SchedulerSettings::default()
        };
        let mut placer = Placer::new(&settings);
        let specs: Vec<_> = (0..nodes).map(|n| (NodeId::new(n), names.node(n))).collect();
        placer.add_nodes(specs, &names.names);
        for app in names.apps.clone() {
            let owner = Owner { kind: OwnerKind::ReplicaSet, name: app };
            let selector = names.of_app(app);
            placer.catalog_mut().owners.insert((names.namespace, owner), selector);
        }
        let classes = match case {
            Case::Different => 0,
            Case::Identical => 1,
            Case::Templates | Case::Deployments => APPLICATIONS,
        };
        let class = |number| {
            let info = Arc::new(names.pod(case, number));
            placer.class(&info, &names.names)
        };
        let classes: Vec<_> = (0..classes).map(class).collect();
        let alive_max = (nodes as usize * 10).min(300_000);
        let alive = VecDeque::new();
        let mut bench = Self { names, placer, case, classes, alive, alive_max, next: 0 };
        for number in 0..u32::try_from(alive_max).expect("a small number") {
            bench.put(NodeId::new(number % nodes));
        }
        for _ in 0..300 {
            bench.turn(false);
        }
        bench
    }

    /// The next pod and its class.
    fn next_pod(&mut self) -> (PodRef, ClassId) {
        let number = self.next;
        self.next += 1;
        let class = if self.classes.is_empty() {
            let info = Arc::new(self.names.pod(self.case, number));
            self.placer.class(&info, &self.names.names)
        } else {
            self.classes[number as usize % self.classes.len()]
        };
        (PodRef { id: PodId::new(number), life: 0 }, class)
    }

    /// Counts the next pod on a node, undecided: the cluster is filled evenly, as the default
    /// profile would.
    fn put(&mut self, node: NodeId) {
        let (pod, class) = self.next_pod();
        self.placer.add_pod(node, pod, class, &self.names.names);
        self.alive.push_back((node, pod));
    }

    fn turn(&mut self, is_plain: bool) {
        let (pod, class) = self.next_pod();
        let names = &self.names.names;
        let decision = if is_plain {
            self.placer.decide_plain(pod, class, 0, names)
        } else {
            self.placer.decide(pod, class, 0, names)
        };
        if let Decision::Placed { node, .. } = decision {
            self.placer.add_pod(node, pod, class, names);
            self.alive.push_back((node, pod));
        }
        if self.alive.len() > self.alive_max {
            let (node, pod) = self.alive.pop_front().expect("not empty");
            self.placer.remove_pod(node, pod);
        }
    }

    /// Microseconds a decision, of so many.
    fn measure(&mut self, count: u32, is_plain: bool) -> f64 {
        let watch = Watch::start();
        for _ in 0..count {
            self.turn(is_plain);
        }
        watch.processor_s() * 1e6 / f64::from(count)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many decisions are measured: fewer of those that take longer.
const fn count((nodes, percentage): (u32, u8), case: Case, is_plain: bool) -> u32 {
    match (case, is_plain) {
        (_, true) if nodes >= 20_000 => 400_000 / nodes,
        (_, true) => 1_000_000 / (nodes + 1000),
        (Case::Different, false) => 10_000_000 / (nodes + 1000),
        (Case::Deployments, false) => 50_000_000 / (nodes + 1000),
        (_, false) if percentage == 100 => 100_000_000 / (nodes + 1000),
        (_, false) => 100_000,
    }
}

fn main() {
    let only: Vec<u32> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let wanted: Vec<String> = std::env::args().collect();
    let cases = Case::ALL.into_iter().filter(|case| wanted.iter().any(|w| w == case.name()));
    let mut cases: Vec<_> = cases.collect();
    if cases.is_empty() {
        cases = Case::ALL.to_vec();
    }
    let sizes = SIZES.into_iter().filter(|size| only.is_empty() || only.contains(size));
    let mut growth = Vec::new();
    for nodes in sizes {
        for case in cases.iter().copied() {
            for (percentage, suffix) in [(0, ""), (100, "_all")] {
                let mut bench = Bench::new(nodes, case, percentage);
                let (mut fast, mut plain) = (Vec::new(), Vec::new());
                for _ in 0..ROUNDS {
                    fast.push(bench.measure(count((nodes, percentage), case, false), false));
                    plain.push(bench.measure(count((nodes, percentage), case, true), true));
                }
                let (fast, plain) = (median(fast), median(plain));
                let name = format!("decision_us_{nodes}_{}{suffix}", case.name());
                println!("figure {name} {fast:.3} us");
                println!("figure {name}_plain {plain:.1} us");
                if (nodes == 1000 || nodes == 100_000) && percentage == 0 {
                    growth.push((case, nodes, fast));
                }
            }
        }
    }
    for case in Case::ALL {
        let of = |size| growth.iter().find(|(c, n, _)| *c == case && *n == size).map(|g| g.2);
        if let (Some(small), Some(large)) = (of(1000), of(100_000)) {
            let name = case.name();
            println!("figure growth_1000_to_100000_{name} {:.2} ratio", large / small);
        }
    }
}
