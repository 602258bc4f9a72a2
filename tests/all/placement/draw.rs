//! Draws worlds: names, nodes, pods.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use seatrial::base::{Bytes, Interner, MilliCpu, Symbol};
use seatrial::model::{
    HostPort, Labels, NodeAffinity, NodeSelectorTerm, NodeSpec, ObjectName, Operator, Plugin,
    PodAffinity, PodAffinityTerm, PodSpec, Profile, Protocol, Requirement, Resources,
    SchedulerSettings, Scoring, Selector, SpreadConstraint, Taint, TaintEffect, Toleration,
    TolerationOperator, WorkloadKind,
};
use seatrial::placement::{Catalog, Owner, OwnerKind, PodInfo};
use seatrial::sim::Streams;

use crate::support::model::ModelBuilder;

/// Draws worlds: names, nodes, pods.
pub(super) struct Draw {
    pub(super) rng: ChaCha8Rng,
    pub(super) names: Interner,
    pub(super) pod: PodSpec,
    pub(super) node: NodeSpec,
}

impl Draw {
    pub(super) fn new(world: u32) -> Self {
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

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// True once in `times`.
    pub(super) fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn name(&mut self, text: &str) -> Symbol {
        self.names.intern(text)
    }

    pub(super) fn settings(&mut self) -> SchedulerSettings {
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
    pub(super) fn info(&mut self, spec: &Arc<PodSpec>) -> Arc<PodInfo> {
        let namespace = self.name("default");
        Arc::new(PodInfo::plain(namespace, Labels::default(), Arc::clone(spec)))
    }

    /// A pod that cares for others, or that others care for.
    pub(super) fn fellow(&mut self) -> Arc<PodInfo> {
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

    pub(super) fn pod_labels(&mut self) -> Labels {
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

    pub(super) fn pod_selector(&mut self) -> Option<Selector> {
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

    pub(super) fn topology_key(&mut self) -> Symbol {
        let keys = ["topology.kubernetes.io/zone", "kubernetes.io/hostname", "disk"];
        let keys = keys.map(|text| self.name(text));
        self.one_of(&keys)
    }

    pub(super) fn constraint(&mut self) -> SpreadConstraint {
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

    pub(super) fn pod_term(&mut self) -> PodAffinityTerm {
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
    pub(super) fn catalog(&mut self, catalog: &mut Catalog) {
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

    pub(super) fn labels(&mut self) -> Labels {
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

    pub(super) fn taints(&mut self) -> Vec<Taint> {
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
    pub(super) fn images(&mut self) -> Arc<[(Symbol, Bytes)]> {
        let all = ["app:1", "app:2", "base:1"].map(|text| self.name(text));
        let count = self.one_of(&[0, 0, 0, 0, 0, 1, 2]);
        (0..count).map(|_| (self.one_of(&all), Bytes::mib(self.one_of(&[20, 300, 4000])))).collect()
    }

    pub(super) fn node(&mut self, number: usize) -> NodeSpec {
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

    pub(super) fn requirement(&mut self) -> Requirement {
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

    pub(super) fn term(&mut self) -> NodeSelectorTerm {
        let expressions = (0..self.below(3)).map(|_| self.requirement()).collect();
        NodeSelectorTerm { expressions, ..NodeSelectorTerm::default() }
    }

    /// A term that names nodes.
    pub(super) fn naming_term(&mut self) -> NodeSelectorTerm {
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

    pub(super) fn affinity(&mut self) -> NodeAffinity {
        let required = match self.below(6) {
            0 => Some((0..self.below(3)).map(|_| self.term()).collect()),
            1 => Some((0..self.below(3)).map(|_| self.naming_term()).collect()),
            _ => None,
        };
        let count = self.one_of(&[0, 0, 1, 3]);
        let preferred = (0..count).map(|_| (self.one_of(&[0, 1, 50, 100]), self.term()));
        NodeAffinity { preferred: preferred.collect(), required, preferred_error: None }
    }

    pub(super) fn tolerations(&mut self) -> Vec<Toleration> {
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

    pub(super) fn pod(&mut self) -> Arc<PodSpec> {
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
