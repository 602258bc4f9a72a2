//! Placement: what is kept between decisions gives what the plain evaluation gives, in random
//! worlds and in all small ones.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use seatrial::base::{Bytes, Id, Interner, MilliCpu, Symbol};
use seatrial::model::{
    HostPort, Labels, NodeAffinity, NodeId, NodeSelectorTerm, NodeSpec, ObjectName, Operator,
    Plugin, PodAffinity, PodAffinityTerm, PodId, PodRef, PodSpec, Profile, Protocol, Requirement,
    Resources, SchedulerSettings, Scoring, Selector, SpreadConstraint, Taint, TaintEffect,
    Toleration, TolerationOperator, WorkloadKind,
};
use seatrial::placement::{Catalog, ClassId, Decision, Owner, OwnerKind, Placer, PodInfo, plain};
use seatrial::sim::Streams;

use crate::support::model::ModelBuilder;

const WORLDS: u32 = 60;
const FELLOW_WORLDS: u32 = 80;
const STEPS: u32 = 250;
/// A pod that is asked about and nowhere counted.
const PROBE: PodRef = PodRef { id: PodId::new(u32::MAX - 1), life: 0 };

fn pod_ref(number: usize) -> PodRef {
    PodRef { id: PodId::from_index(number), life: 0 }
}

/// Draws worlds: names, nodes, pods.
struct Draw {
    rng: ChaCha8Rng,
    names: Interner,
    pod: PodSpec,
    node: NodeSpec,
}

impl Draw {
    fn new(world: u32) -> Self {
        let streams = Streams { seed: 11, replication: world };
        let mut builder = ModelBuilder::new();
        let template = builder.template(WorkloadKind::Pod, "pod", "app:v1");
        let model = builder.build();
        Self {
            rng: streams.open("placement", "world"),
            names: Interner::clone(&model.names),
            pod: (*template.spec).clone(),
            node: model.nodes[0].clone(),
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// True once in `times`.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn name(&mut self, text: &str) -> Symbol {
        self.names.intern(text)
    }

    fn settings(&mut self) -> SchedulerSettings {
        let mut profile = Profile::default();
        profile.args.scoring = match self.below(2) {
            0 => Scoring::LeastAllocated,
            _ => Scoring::MostAllocated,
        };
        if self.rarely(2) {
            profile.set_weight(Plugin::TaintToleration, self.one_of(&[0, 1, 3]));
            profile.set_weight(Plugin::NodeAffinity, self.one_of(&[0, 2, 7]));
            profile.set_weight(Plugin::NodeResourcesFit, self.one_of(&[0, 1, 5]));
            profile.set_weight(Plugin::NodeResourcesBalancedAllocation, self.one_of(&[0, 1, 2]));
        }
        SchedulerSettings {
            profiles: vec![profile],
            percentage_of_nodes_to_score: self.one_of(&[0, 0, 30, 100]),
            ..SchedulerSettings::default()
        }
    }

    /// What a pod of this specification is like.
    fn info(&mut self, spec: &Arc<PodSpec>) -> Arc<PodInfo> {
        let namespace = self.name("default");
        Arc::new(PodInfo::plain(namespace, Labels::default(), Arc::clone(spec)))
    }

    /// A pod that cares for others, or that others care for.
    fn fellow(&mut self) -> Arc<PodInfo> {
        let mut spec = (*self.pod()).clone();
        let constraints = self.one_of(&[0, 0, 1, 2]);
        spec.spread = (0..constraints).map(|_| self.constraint()).collect();
        let terms = |draw: &mut Self| -> Vec<PodAffinityTerm> {
            let count = draw.one_of(&[0, 0, 0, 0, 1, 2]);
            (0..count).map(|_| draw.pod_term()).collect()
        };
        let weighted = |draw: &mut Self| -> Vec<(i32, PodAffinityTerm)> {
            let count = draw.one_of(&[0, 0, 0, 1, 2]);
            (0..count).map(|_| (draw.one_of(&[1, 10, 100]), draw.pod_term())).collect()
        };
        spec.pod_affinity = PodAffinity {
            required: terms(self),
            preferred: weighted(self),
            anti_required: terms(self),
            anti_preferred: weighted(self),
        };
        spec.priority = self.one_of(&[0, 0, 0, 5]);
        let images = ["app:1", "app:2", "none:1"].map(|text| self.name(text));
        spec.image_names = vec![self.one_of(&images)];
        let namespaces = ["default", "other"].map(|text| self.name(text));
        let owners = ["rs-1", "rs-2"].map(|text| self.name(text));
        let namespace = self.one_of(&namespaces);
        let owner = Owner { kind: OwnerKind::ReplicaSet, name: self.one_of(&owners) };
        let labels = self.pod_labels();
        let owner = self.rarely(2).then_some(owner);
        Arc::new(PodInfo { owner, ..PodInfo::plain(namespace, labels, Arc::new(spec)) })
    }

    fn pod_labels(&mut self) -> Labels {
        let keys = ["app", "tier"].map(|text| self.name(text));
        let values = ["a", "b", "c"].map(|text| self.name(text));
        let mut labels = Labels::default();
        for key in keys {
            if !self.rarely(4) {
                labels.set(key, self.one_of(&values));
            }
        }
        labels
    }

    fn pod_selector(&mut self) -> Option<Selector> {
        let keys = ["app", "tier"].map(|text| self.name(text));
        let values = ["a", "b", "c"].map(|text| self.name(text));
        let operators = [Operator::In, Operator::In, Operator::NotIn, Operator::Exists];
        let count = self.one_of(&[0, 1, 1, 1, 2]);
        let requirement = |draw: &mut Self| Requirement {
            key: draw.one_of(&keys),
            operator: draw.one_of(&operators),
            values: [draw.one_of(&values)].into_iter().collect(),
        };
        let selector = Selector((0..count).map(|_| requirement(self)).collect());
        (!self.rarely(8)).then_some(selector)
    }

    fn topology_key(&mut self) -> Symbol {
        let keys = ["topology.kubernetes.io/zone", "kubernetes.io/hostname", "disk"];
        let keys = keys.map(|text| self.name(text));
        self.one_of(&keys)
    }

    fn constraint(&mut self) -> SpreadConstraint {
        SpreadConstraint {
            max_skew: self.one_of(&[1, 1, 2, 5]),
            topology_key: self.topology_key(),
            is_hard: self.rarely(2),
            selector: self.pod_selector(),
            match_label_keys: Vec::new(),
            min_domains: self.one_of(&[1, 1, 1, 4]),
            honors_affinity: !self.rarely(3),
            honors_taints: self.rarely(3),
        }
    }

    fn pod_term(&mut self) -> PodAffinityTerm {
        let names = ["default", "other"].map(|text| self.name(text));
        let mut namespaces = vec![self.one_of(&names)];
        let team = self.name("team");
        let values = ["a", "b"].map(|text| self.name(text));
        let requirement = Requirement {
            key: team,
            operator: self.one_of(&[Operator::In, Operator::NotIn, Operator::Exists]),
            values: [self.one_of(&values)].into_iter().collect(),
        };
        let namespace_selector = match self.below(6) {
            0 => Some(Selector::default()),
            1 => Some(Selector(vec![requirement])),
            _ => None,
        };
        if namespace_selector.is_some() && self.rarely(2) {
            namespaces.clear();
        }
        PodAffinityTerm {
            namespaces,
            namespace_selector,
            match_label_keys: Vec::new(),
            mismatch_label_keys: Vec::new(),
            selector: self.pod_selector(),
            topology_key: self.topology_key(),
        }
    }

    /// Services, owners and namespaces.
    fn catalog(&mut self, catalog: &mut Catalog) {
        let team = self.name("team");
        for (name, value) in [("default", "a"), ("other", "b")] {
            let (name, value) = (self.name(name), self.name(value));
            catalog.namespaces.insert(name, Labels::new([(team, value)]));
            for service in ["s-1", "s-2"] {
                let service = ObjectName { namespace: name, name: self.name(service) };
                if self.rarely(2) {
                    let selector = self.pod_labels();
                    catalog.services.insert(service, selector);
                }
            }
            for owner in ["rs-1", "rs-2"] {
                let owner = Owner { kind: OwnerKind::ReplicaSet, name: self.name(owner) };
                if let Some(selector) = self.pod_selector().filter(|_| self.rarely(2)) {
                    catalog.owners.insert((name, owner), selector);
                }
            }
        }
    }

    fn labels(&mut self) -> Labels {
        let zone = self.name("topology.kubernetes.io/zone");
        let (disk, gen_) = (self.name("disk"), self.name("gen"));
        let values = ["a", "b", "c"].map(|text| self.name(text));
        let numbers = ["1", "2", "x"].map(|text| self.name(text));
        let mut labels = Labels::new([(zone, self.one_of(&values))]);
        if self.rarely(2) {
            labels.set(disk, self.one_of(&values));
        }
        let host = self.name("kubernetes.io/hostname");
        if !self.rarely(20) {
            let number = self.below(400);
            let name = self.name(&format!("host-{number}"));
            labels.set(host, name);
        }
        if self.rarely(2) {
            labels.set(gen_, self.one_of(&numbers));
        }
        labels
    }

    fn taints(&mut self) -> Vec<Taint> {
        let count = self.one_of(&[0, 0, 0, 1, 2]);
        let keys = ["dedicated", "spot"].map(|text| self.name(text));
        let values = ["", "x"].map(|text| self.name(text));
        let effects = [
            TaintEffect::NoSchedule,
            TaintEffect::PreferNoSchedule,
            TaintEffect::PreferNoSchedule,
            TaintEffect::NoExecute,
        ];
        let taint = |draw: &mut Self| Taint {
            key: draw.one_of(&keys),
            value: draw.one_of(&values),
            effect: draw.one_of(&effects),
        };
        (0..count).map(|_| taint(self)).collect()
    }

    /// Images that a node reports: mostly none, so that new ones matter.
    fn images(&mut self) -> Arc<[(Symbol, Bytes)]> {
        let all = ["app:1", "app:2", "base:1"].map(|text| self.name(text));
        let count = self.one_of(&[0, 0, 0, 0, 0, 1, 2]);
        (0..count).map(|_| (self.one_of(&all), Bytes::mib(self.one_of(&[20, 300, 4000])))).collect()
    }

    fn node(&mut self, number: usize) -> NodeSpec {
        let mut allocatable = Resources {
            cpu: MilliCpu(self.one_of(&[0, 1000, 2000, 4000, 4000, 8000])),
            memory: Bytes::gib(self.one_of(&[0, 1, 4, 8, 16])),
            ephemeral_storage: Bytes::gib(10),
            ..Resources::default()
        };
        if self.rarely(3) {
            let gpu = self.name("gpu");
            allocatable.add_scalar(gpu, 2);
        }
        NodeSpec {
            name: self.name(&format!("node-{number}")),
            labels: self.labels(),
            taints: self.taints(),
            unschedulable: self.rarely(10),
            allocatable,
            pods_max: self.one_of(&[0, 2, 5, 110]),
            images: self.images(),
            ..self.node.clone()
        }
    }

    fn requirement(&mut self) -> Requirement {
        let operators = [
            Operator::In,
            Operator::NotIn,
            Operator::Exists,
            Operator::DoesNotExist,
            Operator::Gt,
            Operator::Lt,
        ];
        let operator = self.one_of(&operators);
        let keys = ["disk", "gen"].map(|text| self.name(text));
        let values = ["a", "b", "1"].map(|text| self.name(text));
        Requirement {
            key: self.one_of(&keys),
            operator,
            values: [self.one_of(&values)].into_iter().collect(),
        }
    }

    fn term(&mut self) -> NodeSelectorTerm {
        let expressions = (0..self.below(3)).map(|_| self.requirement()).collect();
        NodeSelectorTerm { expressions, ..NodeSelectorTerm::default() }
    }

    /// A term that names nodes.
    fn naming_term(&mut self) -> NodeSelectorTerm {
        let key = self.name("metadata.name");
        let number = self.below(4);
        let values = [self.name(&format!("node-{number}")), self.name("node-x")];
        let field = Requirement {
            key,
            operator: Operator::In,
            values: [self.one_of(&values)].into_iter().collect(),
        };
        NodeSelectorTerm { fields: [field].into_iter().collect(), ..NodeSelectorTerm::default() }
    }

    fn affinity(&mut self) -> NodeAffinity {
        let required = match self.below(6) {
            0 => Some((0..self.below(3)).map(|_| self.term()).collect()),
            1 => Some((0..self.below(3)).map(|_| self.naming_term()).collect()),
            _ => None,
        };
        let count = self.one_of(&[0, 0, 1, 3]);
        let preferred = (0..count).map(|_| (self.one_of(&[0, 1, 50, 100]), self.term()));
        NodeAffinity { preferred: preferred.collect(), required, preferred_error: None }
    }

    fn tolerations(&mut self) -> Vec<Toleration> {
        let count = self.one_of(&[0, 0, 1, 2]);
        let keys = ["dedicated", "spot", "node.kubernetes.io/unschedulable"];
        let keys = keys.map(|text| Some(self.name(text)));
        let keys = [keys[0], keys[1], keys[2], None];
        let values = ["", "x"].map(|text| self.name(text));
        let effects = [None, Some(TaintEffect::NoSchedule), Some(TaintEffect::PreferNoSchedule)];
        let toleration = |draw: &mut Self| {
            let key = draw.one_of(&keys);
            let operators = [TolerationOperator::Exists, TolerationOperator::Equal];
            Toleration {
                key,
                operator: if key.is_some() {
                    draw.one_of(&operators)
                } else {
                    TolerationOperator::Exists
                },
                value: draw.one_of(&values),
                effect: draw.one_of(&effects),
                seconds: None,
            }
        };
        (0..count).map(|_| toleration(self)).collect()
    }

    fn pod(&mut self) -> Arc<PodSpec> {
        let mut requests = Resources {
            cpu: MilliCpu(self.one_of(&[0, 250, 1000, 3000])),
            memory: Bytes::mib(self.one_of(&[0, 100, 1024, 3000])),
            ..Resources::default()
        };
        if self.rarely(6) {
            let gpu = self.name("gpu");
            requests.add_scalar(gpu, self.one_of(&[0, 1, 2]));
        }
        if self.rarely(6) {
            requests.ephemeral_storage = Bytes::gib(3);
        }
        let or = |amount: i64, standard: i64| if amount == 0 { standard } else { amount };
        let nonzero_requests =
            (MilliCpu(or(requests.cpu.0, 100)), Bytes(or(requests.memory.0, 200 << 20)));
        let selector = if self.rarely(5) { self.labels() } else { Labels::default() };
        let ips = ["", "0.0.0.0", "10.0.0.1", "10.0.0.2"].map(|text| self.name(text));
        let mut port = || HostPort {
            ip: self.one_of(&ips),
            protocol: self.one_of(&[Protocol::Tcp, Protocol::Udp]),
            port: self.one_of(&[80, 81]),
        };
        let port = port();
        Arc::new(PodSpec {
            requests,
            nonzero_requests,
            scored_requests: Resources {
                cpu: nonzero_requests.0,
                memory: nonzero_requests.1,
                ..Resources::default()
            },
            node_selector: selector,
            node_affinity: self.affinity(),
            tolerations: self.tolerations(),
            host_ports: if self.rarely(4) { vec![port] } else { Vec::new() },
            preempts_never: self.rarely(5),
            ..self.pod.clone()
        })
    }
}

/// The same of a pod that can go to one node alone (rule C102): one that is there, or none.
fn decide_pinned(placer: &mut Placer, class: ClassId, names: &Interner, of: &str) {
    let start = placer.start();
    let order = placer.nodes().order();
    let some = order.get(start * 7 % order.len().max(1)).filter(|_| start % 8 != 3);
    let name = match some {
        Some(node) => placer.nodes().state(*node).spec.name,
        None => placer.info(class).namespace,
    };
    let fast = (placer.decide_pinned(PROBE, class, name, 0, names), placer.start());
    placer.set_start(start);
    let slow = (placer.decide_pinned_plain(PROBE, class, name, 0, names), placer.start());
    assert_eq!(fast, slow, "{of}, pinned, search from {start}");
    placer.set_start(start);
}

/// Decides twice, the second time plainly, and demands the same.
fn decide(placer: &mut Placer, class: ClassId, names: &Interner, of: &str) -> Decision {
    decide_pinned(placer, class, names, of);
    let start = placer.start();
    let fast = (placer.decide(PROBE, class, 0, names), placer.start());
    placer.set_start(start);
    let slow = (placer.decide_plain(PROBE, class, 0, names), placer.start());
    assert_eq!(fast, slow, "{of}, search from {start}");
    fast.0
}

/// S15 to S100: the columns decide what the plain evaluation decides, whatever happened before.
#[test]
fn columns_are_the_plain_evaluation() {
    for world in 0..WORLDS {
        let mut draw = Draw::new(world);
        let settings = draw.settings();
        let mut placer = Placer::new(&settings);
        let count = draw.one_of(&[0, 1, 2, 3, 30, 63, 64, 65, 101, 130, 207, 300]);
        let nodes: Vec<_> = (0..count).map(|n| (NodeId::new(n), draw.node(n as usize))).collect();
        placer.add_nodes(nodes, &draw.names);
        let pods: Vec<_> = (0..8).map(|_| draw.pod()).collect();
        let mut bound: Vec<(NodeId, PodRef)> = Vec::new();
        let mut made = 0;
        for step in 0..STEPS {
            let of = format!("world {world}, step {step}");
            let ids = placer.nodes().order().to_vec();
            let some_node = (!ids.is_empty()).then(|| draw.one_of(&ids));
            match draw.below(20) {
                0 | 1 if !bound.is_empty() => {
                    let (node, pod) = bound.swap_remove(draw.below(bound.len()));
                    placer.remove_pod(node, pod);
                }
                2 if draw.rarely(4) => {
                    let node = NodeId::new(count + step);
                    let spec = draw.node((count + step) as usize);
                    placer.add_node(node, spec, &draw.names);
                }
                3 if draw.rarely(8) && some_node.is_some() => {
                    let gone = some_node.expect("asked for");
                    placer.remove_node(gone, &draw.names);
                    bound.retain(|(node, _)| *node != gone);
                }
                4 | 5 if some_node.is_some() => {
                    let node = some_node.expect("asked for");
                    let mut spec = placer.nodes().state(node).spec.clone();
                    match draw.below(3) {
                        0 => spec.unschedulable = !spec.unschedulable,
                        1 => spec.taints = draw.taints(),
                        _ => spec.labels = draw.labels(),
                    }
                    placer.update_node(node, &spec, &draw.names);
                }
                // Much happens, so that what is kept is too old.
                6 if draw.rarely(4) && some_node.is_some() => {
                    let info = draw.info(&pods[0]);
                    let class = placer.class(&info, &draw.names);
                    for _ in 0..draw.one_of(&[50, 150, 700]) {
                        let node = draw.one_of(&ids);
                        placer.add_pod(node, PROBE, class, &draw.names);
                        placer.remove_pod(node, PROBE);
                    }
                }
                _ => {
                    let pod = &pods[draw.below(pods.len())];
                    let info = draw.info(pod);
                    let class = placer.class(&info, &draw.names);
                    if let Decision::Placed { node, .. } =
                        decide(&mut placer, class, &draw.names, &of)
                    {
                        let pod = pod_ref(made);
                        made += 1;
                        placer.add_pod(node, pod, class, &draw.names);
                        bound.push((node, pod));
                    }
                }
            }
        }
    }
}

/// S103 to S122: counters and columns decide what the plain evaluation decides for pods that care
/// for others, whatever happened before.
#[test]
fn counters_are_the_plain_evaluation() {
    for world in 0..FELLOW_WORLDS {
        let mut draw = Draw::new(1000 + world);
        let settings = draw.settings();
        let mut placer = Placer::new(&settings);
        let count = draw.one_of(&[1, 2, 5, 30, 64, 101, 150]);
        let nodes: Vec<_> = (0..count).map(|n| (NodeId::new(n), draw.node(n as usize))).collect();
        placer.add_nodes(nodes, &draw.names);
        draw.catalog(placer.catalog_mut());
        let pods: Vec<_> = (0..10).map(|_| draw.fellow()).collect();
        let mut bound: Vec<(NodeId, PodRef)> = Vec::new();
        for step in 0..STEPS {
            let of = format!("world {world}, step {step}");
            let ids = placer.nodes().order().to_vec();
            match draw.below(24) {
                0 | 1 if !bound.is_empty() => {
                    let (node, pod) = bound.swap_remove(draw.below(bound.len()));
                    placer.remove_pod(node, pod);
                }
                2 | 3 if !bound.is_empty() => {
                    let (node, pod) = bound[draw.below(bound.len())];
                    placer.touch_pod(node, pod, |placed| placed.is_terminating = true);
                }
                4 if draw.rarely(4) => {
                    let node = NodeId::new(count + step);
                    let spec = draw.node((count + step) as usize);
                    placer.add_node(node, spec, &draw.names);
                }
                5 if draw.rarely(8) && ids.len() > 1 => {
                    let gone = draw.one_of(&ids);
                    placer.remove_node(gone, &draw.names);
                    bound.retain(|(node, _)| *node != gone);
                }
                6 | 7 => {
                    let node = draw.one_of(&ids);
                    let mut spec = placer.nodes().state(node).spec.clone();
                    match draw.below(3) {
                        0 => spec.taints = draw.taints(),
                        1 => spec.images = draw.images(),
                        _ => spec.labels = draw.labels(),
                    }
                    placer.update_node(node, &spec, &draw.names);
                }
                8 if draw.rarely(6) => draw.catalog(placer.catalog_mut()),
                9 if draw.rarely(6) => {
                    let info = Arc::clone(&pods[draw.below(pods.len())]);
                    placer.nominator_mut().add(pod_ref(900), info, draw.one_of(&ids));
                }
                10 => {
                    placer.nominator_mut().remove(pod_ref(900));
                }
                _ => {
                    let class = placer.class(&pods[draw.below(pods.len())], &draw.names);
                    if let Decision::Placed { node, .. } =
                        decide(&mut placer, class, &draw.names, &of)
                    {
                        let pod = pod_ref(1000 + step as usize);
                        placer.add_pod(node, pod, class, &draw.names);
                        bound.push((node, pod));
                    }
                }
            }
        }
    }
}

/// S122: the first image of a pod's class may come with a node that is new, or changes.
#[test]
fn images_count_from_the_first_on() {
    let mut draw = Draw::new(0);
    let mut placer = Placer::new(&SchedulerSettings::default());
    let image = draw.name("app:1");
    let node = |draw: &mut Draw, number: usize| NodeSpec {
        name: draw.name(&format!("node-{number}")),
        allocatable: Resources { cpu: MilliCpu(4000), ..Resources::default() },
        pods_max: 10,
        ..draw.node.clone()
    };
    let nodes: Vec<_> = (0..3).map(|n| (NodeId::new(n), node(&mut draw, n as usize))).collect();
    placer.add_nodes(nodes, &draw.names);
    let mut spec = (*draw.pod()).clone();
    spec.node_selector = Labels::default();
    spec.node_affinity = NodeAffinity::default();
    spec.requests = Resources::default();
    spec.image_names = vec![image];
    let info = draw.info(&Arc::new(spec));
    let class = placer.class(&info, &draw.names);
    let placed = |node| Decision::Placed { node: NodeId::new(node), feasible: 3 };
    assert_eq!(decide(&mut placer, class, &draw.names, "no images"), placed(0));
    let mut with = placer.nodes().state(NodeId::new(2)).spec.clone();
    with.images = [(image, Bytes::gib(3))].into();
    placer.update_node(NodeId::new(2), &with, &draw.names);
    assert_eq!(decide(&mut placer, class, &draw.names, "an image"), placed(2));
}

/// All worlds of two nodes of 1 or 2 cores and three pods of 0, 1 or 2 cores against brute force.
#[test]
fn all_small_worlds() {
    let mut draw = Draw::new(0);
    let settings = SchedulerSettings::default();
    let worlds = (0..4).flat_map(|nodes| (0..27).map(move |pods| (nodes, pods)));
    for (nodes, pods) in worlds {
        let sizes = [1 + nodes % 2, 1 + nodes / 2].map(|cores| cores * 1000);
        let wants = [pods % 3, pods / 3 % 3, pods / 9].map(|cores| cores * 1000);
        let mut placer = Placer::new(&settings);
        for (node, cpu) in (0..).zip(sizes) {
            let mut spec = draw.node.clone();
            spec.allocatable.cpu = MilliCpu(cpu);
            spec.allocatable.memory = Bytes(0);
            placer.add_node(NodeId::new(node), spec, &draw.names);
        }
        let mut taken = [0, 0];
        let mut placed = 0;
        for wanted in wants {
            let mut pod = draw.pod.clone();
            pod.requests = Resources { cpu: MilliCpu(wanted), ..Resources::default() };
            pod.nonzero_requests = (MilliCpu(wanted), Bytes::mib(200));
            pod.scored_requests = Resources {
                cpu: MilliCpu(wanted),
                memory: Bytes::mib(200),
                ..Resources::default()
            };
            let info = draw.info(&Arc::new(pod));
            let class = placer.class(&info, &draw.names);
            let at = |node: usize| total_without_memory(sizes[node], taken[node], wanted);
            let expected = match (at(0), at(1)) {
                (None, None) => None,
                (one, other) if one >= other => Some(0),
                _ => Some(1),
            };
            let decision = decide(&mut placer, class, &draw.names, "a small world");
            let got = match decision {
                Decision::Placed { node, .. } => Some(node.index()),
                Decision::Failed(_) => None,
            };
            assert_eq!(got, expected, "{sizes:?} {taken:?} {wanted}");
            if let Some(node) = got {
                taken[node] += wanted;
                let pod = pod_ref(placed);
                placed += 1;
                placer.add_pod(NodeId::from_index(node), pod, class, &draw.names);
            }
        }
    }
}

/// The total of a node without memory: its part of the score of the fit is left out (rule S87), and
/// evenness of one resource is full (rule S90).
fn total_without_memory(of: i64, taken: i64, wanted: i64) -> Option<i64> {
    if wanted > 0 && taken + wanted > of {
        return None;
    }
    let fit = (of - taken - wanted) * 100 / of;
    let balance = if wanted == 0 { 0 } else { 50 + (50 + 100 - 100) / 2 };
    Some(300 + fit + balance)
}

/// S8, S27, V3: identical nodes, each pod starts where the search before it ended.
#[test]
fn the_start_moves_on() {
    let mut draw = Draw::new(0);
    let mut placer = Placer::new(&SchedulerSettings::default());
    let nodes = (0..300).map(|n| (NodeId::new(n), draw.node.clone()));
    placer.add_nodes(nodes, &draw.names);
    let info = draw.info(&Arc::new(draw.pod.clone()));
    let class = placer.class(&info, &draw.names);
    let mut starts = Vec::new();
    for _ in 0..6 {
        starts.push(placer.start());
        let decision = decide(&mut placer, class, &draw.names, "identical nodes");
        assert!(matches!(decision, Decision::Placed { feasible: 144, .. }));
    }
    assert_eq!(starts, [0, 144, 288, 132, 276, 120]);
    let of = placer.applicant(PROBE, class);
    let attempt = plain::attempt(&of, &placer.world(0, &draw.names), 0);
    assert_eq!(attempt.feasible.len(), 144);
}
