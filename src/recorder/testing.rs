//! A small model for tests: a Deployment and a Service of each name, calls to the first.

use std::sync::Arc;

use crate::base::{
    Bytes, Distribution, Duration, IntOrString, Interner, MilliCpu, Money, SimTime, Symbol,
};
use crate::model::*;

/// Six nodes of 0.16 USD an hour, a Deployment of six pods and a Service of each name, 400 calls a
/// second to the first; 600 s, seed 7, warm-up 30 s.
pub(crate) fn model(workloads: &[&str]) -> Arc<Model> {
    let mut names = Interner::new();
    let mut sorted = workloads.to_vec();
    sorted.sort_unstable();
    let deployments = sorted.iter().map(|name| deployment(name, &mut names)).collect();
    let services: Vec<ServiceSpec> = sorted.iter().map(|name| service(name, &mut names)).collect();
    let traffic = services.first().map(|first| traffic(first.name, &mut names));
    let nodes = (0..6).map(|index| node(index, &mut names)).collect();
    Arc::new(Model {
        nodes,
        node_order: NodeOrder::Given,
        deployments,
        services,
        traffic: traffic.into_iter().collect(),
        run: RunSettings {
            until: Some(SimTime::at(Duration::secs(600))),
            seed: 7,
            warmup: Duration::secs(30),
            ..RunSettings::default()
        },
        ..Model::empty("quickstart", names)
    })
}

fn object(name: &str, names: &mut Interner) -> ObjectName {
    ObjectName { namespace: names.intern("default"), name: names.intern(name) }
}

fn labels(name: &str, names: &mut Interner) -> Labels {
    Labels::new([(names.intern("app"), names.intern(name))])
}

fn node(index: u32, names: &mut Interner) -> NodeSpec {
    NodeSpec {
        pool: names.intern("workers"),
        price_per_hour: Money::usd(0.16),
        ..NodeSpec::plain(
            names.intern(&format!("workers-{index}")),
            Resources { cpu: MilliCpu::cores(4), memory: Bytes::gib(16), ..Resources::default() },
        )
    }
}

fn behavior() -> Behavior {
    Behavior {
        start: Distribution::Constant(4.0),
        serve: Some(Serve {
            cpu: Duration::ms(12),
            backlog: 100,
            ..Serve::new(Distribution::Constant(0.02), 32)
        }),
        memory: Bytes::mib(64),
        exits: Vec::new(),
        image_size: Bytes::mib(100),
        ..Behavior::plain()
    }
}

fn container(image: &str, names: &mut Interner) -> Container {
    Container::plain(names.intern("app"), names.intern(image))
}

fn pod_spec(image: &str, names: &mut Interner) -> PodSpec {
    PodSpec::plain(vec![container(image, names)], names.intern("default-scheduler"))
}

fn deployment(name: &str, names: &mut Interner) -> DeploymentSpec {
    let object = object(name, names);
    let template = Template {
        workload: Workload { kind: WorkloadKind::Deployment, name: object },
        labels: labels(name, names),
        deletion_cost: 0,
        spec: Arc::new(pod_spec(&format!("shop/{name}:v1"), names)),
        source: Arc::new(serde_json::Value::Null),
        behaviors: Arc::from([Arc::new(behavior())]),
        server: Some(0),
    };
    DeploymentSpec {
        name: object,
        source: Arc::new(serde_json::Value::Null),
        replicas: 6,
        selector: Selector::from_labels(&template.labels),
        template: Arc::new(template),
        strategy: Strategy::RollingUpdate {
            max_surge: IntOrString::Text("25%".into()),
            max_unavailable: IntOrString::Text("25%".into()),
        },
        min_ready: Duration::ZERO,
        progress_deadline: None,
        history_limit: 10,
        annotations: Labels::default(),
        rollback_to: None,
        paused: false,
    }
}

fn service(name: &str, names: &mut Interner) -> ServiceSpec {
    ServiceSpec {
        name: object(name, names),
        selector: Some(labels(name, names)),
        kind: ServiceKind::ClusterIp,
        ports: vec![ServicePort {
            name: names.intern(""),
            port: 80,
            target: TargetPort::Number(8080),
            protocol: Protocol::Tcp,
            app_protocol: None,
        }],
        publish_not_ready: false,
        internal_local: false,
        external_local: false,
        labels: Labels::default(),
        distribution: None,
        topology_auto: false,
        affinity: None,
    }
}

fn traffic(to: ObjectName, names: &mut Interner) -> TrafficSpec {
    let name = names.intern("shoppers");
    let mut spec = TrafficSpec::new(name, to, Rate::constant(400.0), Duration::secs(2));
    spec.client.connections = Connections::keep_alive(4);
    spec
}

/// An autoscaler of a Deployment, from 3 to 10 pods.
pub(crate) fn hpa(name: ObjectName, target: Symbol) -> HpaSpec {
    HpaSpec {
        name,
        target: HpaTarget::Deployment(target),
        replicas_min: 3,
        replicas_max: 10,
        metrics: vec![HpaMetric::Resource {
            resource: ResourceName::Cpu,
            container: None,
            target: HpaAim::Utilization(60),
        }],
        behavior: None,
    }
}
