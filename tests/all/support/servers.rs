//! A field of servers for the tests and the bench of calls: a cluster whose pods change as a
//! script says, and `Traffic`; no scheduler, kubelet or controller.

use std::sync::Arc;

use seatrial::base::{Bytes, Distribution, Duration, Interner, MilliCpu, SimTime, Symbol};
use seatrial::cluster::{Change, Cluster, Component, Endpoint, Plan, Serving, Write};
use seatrial::event::{Event, TrafficEvent};
use seatrial::model::{
    Behavior, Behaviors, Container, Labels, Latencies, Model, NodeId, NodeOrder, NodeSpec,
    ObjectName, PodObject, PodRef, PodSpec, Rate, Resources, RunSettings, Serve, ServiceId,
    ServiceKind, ServiceSpec, Shutdown, Template, TrafficSpec, Workload, WorkloadKind,
};
use seatrial::record::CallRecord;
use seatrial::recorder::Recorder;
use seatrial::sim::{Ctx, EventQueue, Streams};
use seatrial::traffic::Traffic;

/// Pods of one kind behind a Service of the same name.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) pods: usize,
    pub(crate) behavior: Behavior,
    /// Both traffic policies are Local, and the Service is a load balancer's.
    pub(crate) is_local: bool,
    /// Another container of its pods, and what that does.
    pub(crate) beside: Option<(&'static str, Behavior)>,
}

/// What a field is made of. Pods stand on the nodes in turn.
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    /// Of each node.
    pub(crate) cores: i64,
    pub(crate) groups: Vec<Group>,
    /// Source, Service and rate a second, with the other settings to be changed at will.
    pub(crate) traffic: Vec<TrafficSpec>,
    pub(crate) latencies: Latencies,
    pub(crate) names: Interner,
    pub(crate) seed: u64,
    /// What else the model has.
    pub(crate) shape: fn(&mut Model),
    /// The ingress proxies, if some are told.
    pub(crate) ingress: Option<seatrial::model::IngressSpec>,
}

/// How a server serves: hold, concurrency, no bound on its backlog, no CPU, no errors.
pub(crate) fn serve(hold: Distribution, concurrency: u32) -> Serve {
    Serve::new(hold, concurrency)
}

pub(crate) fn behavior(serve: Serve) -> Behavior {
    let shutdown =
        Shutdown { accept: Duration::ZERO, drain: Duration::ZERO, ignores_signal: false };
    Behavior {
        shutdown,
        serve: Some(serve),
        cpu_idle: MilliCpu::default(),
        memory: Bytes::default(),
        exits: Vec::new(),
        image_size: Bytes::default(),
        ..Behavior::plain()
    }
}

impl Setup {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: 1,
            cores: 0,
            groups: Vec::new(),
            traffic: Vec::new(),
            latencies: Latencies::ideal(),
            names: Interner::new(),
            seed,
            shape: |_| {},
            ingress: None,
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> ObjectName {
        ObjectName { namespace: self.names.intern("default"), name: self.names.intern(name) }
    }

    pub(crate) fn group(mut self, name: &'static str, pods: usize, behavior: Behavior) -> Self {
        self.groups.push(Group { name, pods, behavior, is_local: false, beside: None });
        self
    }

    pub(crate) fn source(mut self, name: &str, to: &str, per_second: f64) -> Self {
        let (name, to) = (self.names.intern(name), self.object(to));
        let rate = Rate::constant(per_second);
        self.traffic.push(TrafficSpec::new(name, to, rate, Duration::hours(1000)));
        self
    }

    pub(crate) fn model(mut self) -> Arc<Model> {
        let nodes: Vec<Symbol> =
            (0..self.nodes).map(|n| self.names.intern(&format!("node-{n}"))).collect();
        let app = self.names.intern("app");
        let (mut services, mut pods) = (Vec::new(), Vec::new());
        for group in std::mem::take(&mut self.groups) {
            let name = self.object(group.name);
            let labels = Labels::new([(app, name.name)]);
            services.push(service(name, labels.clone(), group.is_local));
            for number in 0..group.pods {
                let name = self.object(&format!("{}-{number}", group.name));
                let node = nodes[number % nodes.len()];
                let workload = Workload { kind: WorkloadKind::Pod, name };
                let beside = group.beside.as_ref();
                let beside = beside.map(|(name, what)| (self.names.intern(name), what.clone()));
                let all = [(node, group.behavior.clone())].into_iter().chain(beside);
                let template = template(workload, labels.clone(), all.collect(), node);
                pods.push(PodObject { name, template: Arc::new(template) });
            }
        }
        let standard = behavior(serve(Distribution::Constant(0.0), 1));
        let mut model = Model {
            nodes: nodes.into_iter().map(|name| node(name, self.cores)).collect(),
            node_order: NodeOrder::Given,
            pods,
            services,
            behaviors: Behaviors { standard, rules: Vec::new(), mesh: None },
            traffic: self.traffic,
            latencies: self.latencies,
            run: RunSettings { seed: self.seed, ..RunSettings::default() },
            ..Model::empty("servers", self.names)
        };
        (self.shape)(&mut model);
        model.ingress = self.ingress.unwrap_or(model.ingress);
        Arc::new(model)
    }
}

fn node(name: Symbol, cores: i64) -> NodeSpec {
    NodeSpec::plain(name, Resources { cpu: MilliCpu::cores(cores), ..Resources::default() })
}

fn service(name: ObjectName, selector: Labels, is_local: bool) -> ServiceSpec {
    let kind = if is_local { ServiceKind::LoadBalancer } else { ServiceKind::ClusterIp };
    ServiceSpec {
        name,
        selector: Some(selector),
        kind,
        ports: Vec::new(),
        publish_not_ready: false,
        internal_local: is_local,
        external_local: is_local,
        labels: Labels::default(),
        distribution: None,
        topology_auto: false,
        affinity: None,
    }
}

fn template(
    workload: Workload,
    labels: Labels,
    containers: Vec<(Symbol, Behavior)>,
    node: Symbol,
) -> Template {
    let (containers, behaviors): (Vec<Container>, Vec<Arc<Behavior>>) = containers
        .into_iter()
        .map(|(name, behavior)| (Container::plain(name, node), Arc::new(behavior)))
        .unzip();
    let spec = PodSpec {
        node_name: Some(node),
        nonzero_requests: Default::default(),
        ..PodSpec::plain(containers, node)
    };
    Template {
        workload,
        labels,
        deletion_cost: 0,
        spec: Arc::new(spec),
        source: Arc::new(serde_json::Value::Null),
        behaviors: Arc::from(behaviors),
        server: Some(0),
    }
}

/// A run of a field.
pub(crate) struct Field {
    pub(crate) cluster: Cluster,
    pub(crate) traffic: Traffic,
    queue: EventQueue<Event>,
    streams: Streams,
    recorder: Recorder,
    plan: Plan,
    changes: Vec<Change>,
    /// Changes that the script did not make: servers that became idle.
    pub(crate) told: Vec<(SimTime, Change)>,
}

impl Field {
    /// All pods stand and serve, and every proxy will know it.
    pub(crate) fn new(setup: Setup, replication: u32, recorder: Recorder) -> Self {
        let model = setup.model();
        let streams = Streams { seed: model.run.seed, replication };
        let mut changes = Vec::new();
        let cluster = Cluster::new(&model, &streams, &mut changes);
        let mut field = Self {
            traffic: Traffic::new(&model, &streams),
            cluster,
            queue: EventQueue::new(1 << 40),
            streams,
            recorder,
            plan: Plan::default(),
            changes,
            told: Vec::new(),
        };
        field.tell();
        let Self { cluster, traffic, queue, streams, recorder, plan, .. } = &mut field;
        traffic.start(cluster, plan, &mut Ctx { queue, streams, recorder });
        for pod in field.pods() {
            field.apply(|_, plan| {
                plan.push(Write::Serving { pod, state: Serving::Accepting });
            });
        }
        for service in field.cluster.service_ids() {
            field.publish(service, |_| true, |_| false);
        }
        field
    }

    /// All pods in order of creation.
    pub(crate) fn pods(&self) -> Vec<PodRef> {
        let pods = self.cluster.pods();
        pods.ids().map(|id| pods.refer(id)).collect()
    }

    /// The pods of a Service.
    pub(crate) fn pods_of(&self, service: ServiceId) -> Vec<(PodRef, NodeId)> {
        let pods = self.pods().into_iter();
        let rows = pods.map(|pod| (pod, self.cluster.pod(pod).expect("it was listed")));
        rows.filter(|(_, row)| self.cluster.template_of(row).services.contains(&service))
            .map(|(pod, row)| (pod, row.node.expect("bound by hand")))
            .collect()
    }

    /// Publishes the endpoints of a Service: those that serve and those that terminate.
    pub(crate) fn publish(
        &mut self,
        service: ServiceId,
        serving: impl Fn(PodRef) -> bool,
        terminating: impl Fn(PodRef) -> bool,
    ) {
        let pods = self.pods_of(service).into_iter();
        let endpoint = |(pod, node)| {
            let (serving, terminating) = (serving(pod), terminating(pod));
            Endpoint { pod, node, ready: serving && !terminating, serving, terminating }
        };
        let endpoints = pods.map(endpoint).collect();
        self.apply(|_, plan| plan.push(Write::Endpoints { service, endpoints }));
    }

    /// Commits changes at the present instant.
    pub(crate) fn apply(&mut self, fill: impl FnOnce(&Cluster, &mut Plan)) {
        fill(&self.cluster, &mut self.plan);
        self.settle();
    }

    pub(crate) fn set(&mut self, pod: PodRef, state: Serving) {
        self.apply(|_, plan| plan.push(Write::Serving { pod, state }));
    }

    /// Lets everything happen before `until`, and moves the clock there.
    pub(crate) fn run_until(&mut self, until: SimTime) {
        while let Some((_, event)) = self.queue.pop_before(until) {
            self.dispatch(event);
        }
        self.queue.push(until, Event::Sample);
        while let Some((at, event)) = self.queue.pop() {
            assert_eq!(at, until, "the clock stops where it was told to");
            if event == Event::Sample {
                break;
            }
            self.dispatch(event);
        }
    }

    pub(crate) fn now(&self) -> SimTime {
        self.queue.now()
    }

    pub(crate) fn take_calls(&mut self) -> Vec<CallRecord> {
        self.recorder.take_calls()
    }

    pub(crate) fn cpu_spent(&mut self, pod: PodRef) -> Duration {
        use seatrial::cluster::TrafficRole;
        let Self { traffic, queue, streams, recorder, .. } = self;
        traffic.cpu_spent(pod, &Ctx { queue, streams, recorder })
    }

    #[inline]
    fn dispatch(&mut self, event: Event) {
        let Self { cluster, traffic, queue, streams, recorder, plan, .. } = self;
        let Event::Traffic(event) = event else { panic!("{event:?} without its component") };
        traffic.handle(event, cluster, plan, &mut Ctx { queue, streams, recorder });
        if !self.plan.is_empty() {
            self.settle();
            let now = self.queue.now();
            if let TrafficEvent::IdleCheck(pod) = event {
                self.told.push((now, Change::ServerIdle { pod }));
            }
        }
    }

    fn settle(&mut self) {
        let now = self.queue.now();
        self.cluster.commit(&mut self.plan, now, &mut self.changes, &mut self.recorder);
        self.tell();
    }

    fn tell(&mut self) {
        let Self { cluster, traffic, queue, streams, recorder, changes, .. } = self;
        for change in changes.drain(..) {
            traffic.observe(&change, cluster, &mut Ctx { queue, streams, recorder });
        }
    }
}
