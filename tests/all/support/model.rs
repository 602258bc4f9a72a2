//! Small models built by hand: one node, one container a pod, no latency.

use std::sync::Arc;

use seatrial::base::{Bytes, Duration, IntOrString, Interner, MilliCpu};
use seatrial::model::*;
use serde_json::{Value, json};

/// Collects what a model is made of.
pub(crate) struct ModelBuilder {
    names: Interner,
    pub(crate) model: Model,
}

impl ModelBuilder {
    /// A cluster with one node, `node-0`, and nothing on it.
    pub(crate) fn new() -> Self {
        let mut names = Interner::new();
        let none = names.intern("");
        let resources = |cpu, memory| Resources {
            cpu: MilliCpu(cpu),
            memory: Bytes(memory),
            ..Resources::default()
        };
        let node = NodeSpec {
            pool: none,
            pods_max: 100_000,
            ..NodeSpec::plain(names.intern("node-0"), resources(1_000_000, 1 << 40))
        };
        let model = Model {
            nodes: vec![node],
            node_order: NodeOrder::Given,
            ..Model::empty("test", Interner::new())
        };
        Self { names, model }
    }

    pub(crate) fn name(&mut self, name: &str) -> ObjectName {
        ObjectName { namespace: self.names.intern("default"), name: self.names.intern(name) }
    }

    pub(crate) fn labels(&mut self, app: &str) -> Labels {
        Labels::new([(self.names.intern("app"), self.names.intern(app))])
    }

    /// A template of the workload, whose pods carry the label `app` with its name; it asks for
    /// 100m of CPU and 100 MiB.
    pub(crate) fn template(&mut self, kind: WorkloadKind, app: &str, image: &str) -> Arc<Template> {
        let workload = Workload { kind, name: self.name(app) };
        let requests =
            Resources { cpu: MilliCpu(100), memory: Bytes(100 << 20), ..Resources::default() };
        let container = Container {
            requests: requests.clone(),
            asked: seatrial::model::OwnRequests {
                cpu: Some(requests.cpu),
                memory: Some(requests.memory),
            },
            ..Container::plain(self.names.intern("app"), self.names.intern(image))
        };
        let spec = PodSpec {
            nonzero_requests: (requests.cpu, requests.memory),
            requests,
            qos: QosClass::Burstable,
            ..PodSpec::plain(vec![container], self.names.intern("default-scheduler"))
        };
        Arc::new(Template {
            workload,
            labels: self.labels(app),
            deletion_cost: 0,
            spec: Arc::new(spec),
            source: Arc::new(json!({ "app": app, "image": image })),
            behaviors: Arc::from([Arc::new(Behavior::plain())]),
            server: None,
        })
    }

    /// A Deployment that rolls, not yet in the model.
    pub(crate) fn deployment(
        &mut self,
        name: &str,
        replicas: u32,
        (surge, unavailable): (&str, &str),
    ) -> DeploymentSpec {
        let mut spec = DeploymentSpec {
            name: self.name(name),
            source: Arc::new(Value::Null),
            replicas,
            selector: Selector::from_labels(&self.labels(name)),
            template: self.template(WorkloadKind::Deployment, name, "app:v1"),
            strategy: Strategy::RollingUpdate {
                max_surge: IntOrString::parse(surge),
                max_unavailable: IntOrString::parse(unavailable),
            },
            min_ready: Duration::ZERO,
            progress_deadline: Some(Duration::secs(600)),
            history_limit: 10,
            annotations: Labels::default(),
            rollback_to: None,
            paused: false,
        };
        spec.source = source(&spec);
        spec
    }

    /// A Service that selects the pods of a workload of this name.
    pub(crate) fn service(&mut self, name: &str) -> ServiceSpec {
        ServiceSpec {
            name: self.name(name),
            selector: Some(self.labels(name)),
            kind: ServiceKind::ClusterIp,
            ports: Vec::new(),
            publish_not_ready: false,
            internal_local: false,
            external_local: false,
            labels: Labels::default(),
            distribution: None,
            topology_auto: false,
            affinity: None,
        }
    }

    /// An autoscaler of a Deployment that aims at so many percent of the CPU requests.
    pub(crate) fn hpa(&mut self, of: &str, percent: i32, (min, max): (u32, u32)) -> HpaSpec {
        let name = self.name(of);
        HpaSpec {
            name,
            target: HpaTarget::Deployment(name.name),
            replicas_min: min,
            replicas_max: max,
            metrics: vec![HpaMetric::Resource {
                resource: ResourceName::Cpu,
                container: None,
                target: HpaAim::Utilization(percent),
            }],
            behavior: None,
        }
    }

    pub(crate) fn build(self) -> Arc<Model> {
        Arc::new(Model { names: Arc::new(self.names), ..self.model })
    }
}

/// The tree of a Deployment: only as much as tells two specifications apart.
pub(crate) fn source(spec: &DeploymentSpec) -> Arc<Value> {
    Arc::new(json!({
        "template": *spec.template.source,
        "paused": spec.paused,
        "strategy": format!("{:?}", spec.strategy),
        "minReadySeconds": spec.min_ready.whole_secs(),
        "progressDeadlineSeconds": spec.progress_deadline.map(Duration::whole_secs),
        "revisionHistoryLimit": spec.history_limit,
    }))
}
