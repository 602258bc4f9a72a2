//! Models made by hand, for unit tests of components: nodes, and pods bound by name.

use std::sync::Arc;

use crate::base::{Bytes, Distribution, Duration, Interner, MilliCpu, Symbol};
use crate::model::*;

/// That many seconds.
pub(crate) fn secs(count: u64) -> Duration {
    Duration::secs(count)
}

/// A model under construction.
pub(crate) struct Builder {
    names: Interner,
    pub(crate) nodes: Vec<NodeSpec>,
    pods: Vec<PodObject>,
    latencies: Latencies,
    kind: WorkloadKind,
}

impl Builder {
    pub(crate) fn new(latencies: Latencies) -> Self {
        let mut names = Interner::new();
        names.intern("");
        Self { names, nodes: Vec::new(), pods: Vec::new(), latencies, kind: WorkloadKind::Pod }
    }

    /// The symbol of a name.
    pub(crate) fn name(&mut self, text: &str) -> Symbol {
        self.names.intern(text)
    }

    pub(crate) fn node(mut self, name: &str) -> Self {
        let (name, empty) = (self.name(name), self.name(""));
        self.nodes.push(NodeSpec {
            pool: empty,
            ..NodeSpec::plain(
                name,
                Resources { cpu: MilliCpu(4000), memory: Bytes::gib(16), ..Resources::default() },
            )
        });
        self
    }

    /// Pods of a generator: their submitter deletes them when they end.
    pub(crate) fn generated(mut self) -> Self {
        self.kind = WorkloadKind::Generator;
        self
    }

    /// A pod on a node, with one app container that serves.
    pub(crate) fn pod(mut self, node: &str, shape: impl FnOnce(&mut Shape)) -> Self {
        let (node, empty) = (self.name(node), self.name(""));
        let index = self.pods.len();
        let name = ObjectName { namespace: empty, name: self.name(&format!("pod-{index}")) };
        let mut shape_of = Shape::new(&mut self.names);
        shape(&mut shape_of);
        let Shape { mut spec, behaviors, server, .. } = shape_of;
        spec.node_name = Some(node);
        let template = Template {
            workload: Workload { kind: self.kind, name },
            labels: Labels::default(),
            deletion_cost: 0,
            spec: Arc::new(spec),
            source: Arc::new(serde_json::Value::Null),
            behaviors: behaviors.into_iter().map(Arc::new).collect(),
            server,
        };
        self.pods.push(PodObject { name, template: Arc::new(template) });
        self
    }

    /// The model: one Service selects all pods.
    pub(crate) fn model(self) -> Model {
        let empty = self.names.get("").unwrap();
        let nobody = ObjectName { namespace: empty, name: empty };
        // A source of calls that nobody starts, so that servers count.
        let caller = TrafficSpec::new(empty, nobody, Rate::constant(1.0), secs(1));
        let service = ServiceSpec {
            name: nobody,
            selector: Some(Labels::default()),
            kind: ServiceKind::ClusterIp,
            ports: Vec::new(),
            publish_not_ready: false,
            internal_local: false,
            external_local: false,
            labels: Labels::default(),
            distribution: None,
            topology_auto: false,
            affinity: None,
        };
        Model {
            nodes: self.nodes,
            node_order: NodeOrder::Given,
            pods: self.pods,
            services: vec![service],
            traffic: vec![caller],
            latencies: self.latencies,
            ..Model::empty("test", self.names)
        }
    }
}

/// Always the same number of seconds.
pub(crate) fn constant(secs: f64) -> Distribution {
    Distribution::Constant(secs)
}

/// A pod template under construction: init containers first in `behaviors`.
pub(crate) struct Shape {
    pub(crate) spec: PodSpec,
    pub(crate) behaviors: Vec<Behavior>,
    server: Option<u8>,
    pub(crate) empty: Symbol,
}

impl Shape {
    fn new(names: &mut Interner) -> Self {
        let empty = names.intern("");
        let spec = PodSpec {
            requests: Resources { cpu: MilliCpu(100), ..Resources::default() },
            qos: QosClass::Burstable,
            ..PodSpec::plain(vec![container(names.intern("app"), empty)], empty)
        };
        Self { spec, behaviors: vec![Behavior::plain()], server: Some(0), empty }
    }

    /// The app's container.
    pub(crate) fn app(&mut self) -> &mut Container {
        self.spec.containers.last_mut().unwrap()
    }

    /// What it does.
    pub(crate) fn does(&mut self) -> &mut Behavior {
        self.behaviors.last_mut().unwrap()
    }

    /// Adds an init container before the app.
    pub(crate) fn init(&mut self, is_sidecar: bool, does: Behavior) -> &mut Container {
        let index = self.spec.init_containers.len();
        let mut init = container(self.empty, self.empty);
        init.restart_always = is_sidecar;
        self.spec.init_containers.push(init);
        self.behaviors.insert(index, does);
        self.spec.init_containers.last_mut().unwrap()
    }
}

/// A container without anything.
pub(crate) fn container(name: Symbol, image: Symbol) -> Container {
    Container::plain(name, image)
}

/// A probe with the defaults of the API but for the period.
pub(crate) fn probe(period: u64) -> Probe {
    Probe {
        how: ProbeKind::Http,
        initial_delay: Duration::ZERO,
        period: secs(period),
        timeout: secs(1),
        success_threshold: 1,
        failure_threshold: 3,
        grace: None,
    }
}
