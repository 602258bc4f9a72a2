//! The scheduler alone: pods come when the test says, live as long as it says, and are gone.

use std::sync::Arc;

use seatrial::base::{Distribution, Duration, MilliCpu, SimTime};
use seatrial::cluster::{Change, Cluster, Component, NewPod, Plan, Write};
use seatrial::event::{Event, KubeletStep};
use seatrial::model::{
    Model, NodeId, PodObject, PodRef, PodSpec, Taint, TaintEffect, Template, TemplateId,
    Toleration, TolerationOperator, WorkloadKind,
};
use seatrial::record::PodName;
use seatrial::recorder::Recorder;
use seatrial::scheduler::{Place, Scheduler};
use seatrial::sim::{Ctx, EventQueue, Streams};

use crate::support::model::ModelBuilder;

/// The world of the scheduler.
struct Harness {
    cluster: Cluster,
    scheduler: Scheduler,
    queue: EventQueue<Event>,
    streams: Streams,
    recorder: Recorder,
    plan: Plan,
}

/// A model with nodes of these cores and pods by name; `change` adds to each specification.
fn model(cores: &[i64], pods: &[(&str, i64)], change: impl Fn(&str, &mut PodSpec)) -> Model {
    let mut builder = ModelBuilder::new();
    let node = builder.model.nodes[0].clone();
    builder.model.nodes.clear();
    for (number, cores) in cores.iter().enumerate() {
        let mut spec = node.clone();
        spec.name = builder.name(&format!("node-{number}")).name;
        spec.allocatable.cpu = MilliCpu(cores * 1000);
        builder.model.nodes.push(spec);
    }
    for (name, cores) in pods {
        let template = builder.template(WorkloadKind::Pod, name, "app:v1");
        let mut spec = (*template.spec).clone();
        spec.requests.cpu = MilliCpu(cores * 1000);
        spec.nonzero_requests.0 = spec.requests.cpu;
        change(name, &mut spec);
        let template = Arc::new(Template { spec: Arc::new(spec), ..(*template).clone() });
        let name = builder.name(name);
        builder.model.pods.push(PodObject { name, template });
    }
    Arc::try_unwrap(builder.build()).expect("nobody else has it")
}

impl Harness {
    fn new(model: Model) -> Self {
        let model = Arc::new(model);
        let streams = Streams { seed: 1, replication: 0 };
        let mut changes = Vec::new();
        let cluster = Cluster::new(&model, &streams, &mut changes);
        let mut harness = Self {
            scheduler: Scheduler::new(&model, &streams),
            cluster,
            queue: EventQueue::new(100_000),
            streams,
            recorder: Recorder::off(),
            plan: Plan::default(),
        };
        let Self { cluster, scheduler, queue, streams, recorder, plan } = &mut harness;
        let ctx = &mut Ctx { queue, streams, recorder };
        scheduler.start(cluster, plan, ctx);
        for change in changes {
            scheduler.observe(&change, cluster, ctx);
        }
        harness
    }

    fn settle(&mut self) {
        let Self { cluster, scheduler, queue, streams, recorder, plan } = self;
        let mut changes: Vec<Change> = Vec::new();
        cluster.commit(plan, queue.now(), &mut changes, recorder);
        cluster.check_invariants();
        let ctx = &mut Ctx { queue, streams, recorder };
        for change in changes {
            scheduler.observe(&change, cluster, ctx);
        }
    }

    /// Asks for a change at the present instant.
    fn apply(&mut self, write: Write) {
        self.plan.push(write);
        self.settle();
    }

    /// Lets all happen that is due before the instant; times are in milliseconds.
    fn run_until(&mut self, ms: u64) {
        let until = SimTime::at(Duration::ms(ms));
        while let Some((_, event)) = self.queue.pop_before(until) {
            match event {
                Event::Scheduler(event) => {
                    let Self { cluster, scheduler, queue, streams, recorder, plan } = self;
                    let ctx = &mut Ctx { queue, streams, recorder };
                    scheduler.handle(event, cluster, plan, ctx);
                }
                Event::Kubelet { pod, .. } => self.plan.push(Write::RemovePod { pod }),
                other => panic!("nobody asked for {other:?}"),
            }
            self.settle();
        }
    }

    /// Removes a pod at an instant, in milliseconds.
    fn remove_at(&mut self, name: &str, ms: u64) {
        let pod = self.pod(name);
        let step = KubeletStep::Kill;
        let at = SimTime::at(Duration::ms(ms));
        self.queue.push(at, Event::Kubelet { pod, step });
    }

    fn pod(&self, name: &str) -> PodRef {
        let names = self.cluster.names();
        let mut pods = self.cluster.pods().iter();
        let found = pods.find(|(_, pod)| pod.name.text(names) == name);
        self.cluster.pods().refer(found.expect("a pod of this name").0)
    }

    /// The node of a pod, by number.
    fn node_of(&self, name: &str) -> Option<u32> {
        let pod = self.cluster.pod(self.pod(name)).expect("it is there");
        pod.node.map(NodeId::number)
    }

    fn message_of(&self, name: &str) -> Option<String> {
        let pod = self.cluster.pod(self.pod(name)).expect("it is there");
        pod.unschedulable.as_deref().map(str::to_owned)
    }

    fn place_of(&self, name: &str) -> Option<Place> {
        self.scheduler.queue().get(self.pod(name)).map(|w| w.place)
    }

    fn attempts_of(&self, name: &str) -> Option<u32> {
        self.scheduler.queue().get(self.pod(name)).map(|w| w.attempts)
    }

    fn template_of(&self, name: &str) -> TemplateId {
        self.cluster.pod(self.pod(name)).expect("it is there").template
    }
}

fn as_is(_: &str, _: &mut PodSpec) {}

/// In `ideal` all that can be placed is placed at once, and the rest says why (S86, S127).
#[test]
fn pods_are_placed_or_told_why() {
    let pods = [("a", 2), ("b", 2), ("c", 2), ("d", 9)];
    let mut harness = Harness::new(model(&[2, 2], &pods, as_is));
    harness.run_until(1);
    assert_eq!((harness.node_of("a"), harness.node_of("b")), (Some(0), Some(1)));
    assert_eq!(
        harness.message_of("c").as_deref(),
        Some(
            "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, \
             preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
        )
    );
    assert_eq!(
        harness.message_of("d").as_deref(),
        Some(
            "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, \
             preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
    );
}

/// S137, S150: what is freed goes to the pod that waits, at that instant.
#[test]
fn a_pod_that_waits_gets_what_is_freed() {
    let mut harness = Harness::new(model(&[2], &[("a", 2), ("b", 2)], as_is));
    harness.run_until(1);
    assert_eq!(harness.place_of("b"), Some(Place::Unschedulable));
    harness.remove_at("a", 5_300);
    harness.run_until(5_301);
    assert_eq!(harness.node_of("b"), Some(0));
}

/// S74: of the pods that wait the one of higher priority is tried first.
#[test]
fn priority_goes_first() {
    let raise = |name: &str, spec: &mut PodSpec| spec.priority = i32::from(name == "c");
    let mut harness = Harness::new(model(&[2], &[("a", 2), ("b", 2), ("c", 2)], raise));
    harness.run_until(1);
    assert_eq!(harness.node_of("c"), Some(0));
    harness.remove_at("c", 1_000);
    harness.run_until(1_001);
    assert_eq!((harness.node_of("a"), harness.node_of("b")), (Some(0), None));
}

/// S145, S148, S150: uncordoning and a tolerable taint wake; cordoning does not.
#[test]
fn changes_of_nodes_wake() {
    let mut harness = Harness::new(model(&[2], &[("a", 1)], as_is));
    let node = NodeId::new(0);
    let cordon = |unschedulable| Write::Cordon { node, unschedulable };
    harness.apply(cordon(true));
    harness.run_until(1);
    assert_eq!(
        harness.message_of("a").as_deref(),
        Some(
            "0/1 nodes are available: 1 node(s) were unschedulable. no new claims to deallocate, \
             preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
    );
    harness.run_until(10_000);
    assert_eq!(harness.attempts_of("a"), Some(1));
    let key = harness.cluster.names_mut().intern("maintenance");
    let value = harness.cluster.names_mut().intern("");
    let taint = Taint { key, value, effect: TaintEffect::NoSchedule };
    let taints = |taints: Vec<Taint>| Write::Taints { node, taints };
    harness.apply(taints(vec![taint]));
    harness.apply(cordon(false));
    harness.run_until(10_001);
    assert_eq!(harness.attempts_of("a"), Some(2));
    harness.apply(taints(Vec::new()));
    harness.run_until(10_002);
    assert_eq!(harness.node_of("a"), Some(0));
}

/// S73, S4: a pod with gates waits, and one of another scheduler is left alone.
#[test]
fn gated_and_foreign_pods_wait() {
    let gate = |name: &str, spec: &mut PodSpec| {
        if name == "gated" {
            spec.scheduling_gates = vec![spec.scheduler_name];
        }
        if name == "foreign" {
            spec.scheduler_name = spec.containers[0].name;
        }
    };
    let mut harness = Harness::new(model(&[2], &[("gated", 1), ("foreign", 1)], gate));
    harness.run_until(600_000);
    assert_eq!(harness.place_of("gated"), Some(Place::Gated));
    assert_eq!(harness.place_of("foreign"), None);
    assert!(harness.queue.is_empty(), "nothing more will happen");
}

/// S14, S135: without nodes the attempt is an error and comes again after its back-off.
#[test]
fn no_nodes_is_an_error() {
    let mut harness = Harness::new(model(&[], &[("a", 1)], as_is));
    harness.run_until(1);
    let message = "no nodes available to schedule pods";
    assert_eq!(harness.message_of("a").as_deref(), Some(message));
    assert_eq!(harness.place_of("a"), Some(Place::ErrorBackoff));
    // The first back-off ends in second 1 and is flushed at 2 s; the second in 4, flushed at 5 s.
    harness.run_until(2_001);
    assert_eq!(harness.attempts_of("a"), Some(2));
    harness.run_until(5_001);
    assert_eq!(harness.attempts_of("a"), Some(3));
}

/// S139: what nothing woke is tried again at the first tick of 30 s after more than five minutes.
#[test]
fn a_forgotten_pod_is_tried_again() {
    let mut harness = Harness::new(model(&[1], &[("a", 2)], as_is));
    harness.run_until(329_999);
    assert_eq!(harness.attempts_of("a"), Some(1));
    harness.run_until(330_001);
    assert_eq!(harness.attempts_of("a"), Some(2));
}

/// S52, S199: with latencies a pod is counted where it is assumed to be before its binding is
/// there, the loop is occupied, and a pod that is gone by then frees what was assumed.
#[test]
fn assumed_pods_are_counted() {
    let mut model = model(&[2], &[("a", 1), ("b", 1), ("c", 1)], as_is);
    model.latencies.watch = Distribution::Constant(0.010);
    model.latencies.schedule = Distribution::Constant(0.100);
    model.latencies.schedule_cycle = Duration::ms(4);
    let mut harness = Harness::new(model);
    // Seen at 10 ms; attempts at 10, 14 and 18 ms; bindings at 110 and 114 ms.
    harness.run_until(110);
    assert_eq!(harness.node_of("a"), None);
    assert!(harness.message_of("c").is_some(), "both places are assumed");
    harness.remove_at("b", 112);
    harness.run_until(114);
    assert_eq!(harness.node_of("a"), Some(0));
    // The watch tells of b's end at 122 ms; c is tried at once and bound at 222 ms.
    harness.run_until(222);
    assert_eq!(harness.node_of("c"), None);
    harness.run_until(223);
    assert_eq!(harness.node_of("c"), Some(0));
}

/// A pod that names its node is bound without the scheduler, and counts.
#[test]
fn pods_bound_by_hand_count() {
    let mut names_node = model(&[2], &[("a", 2), ("b", 1)], as_is);
    let node = names_node.nodes[0].name;
    let template = &mut names_node.pods[0].template;
    let mut spec = (*template.spec).clone();
    spec.node_name = Some(node);
    *template = Arc::new(Template { spec: Arc::new(spec), ..(**template).clone() });
    let mut harness = Harness::new(names_node);
    harness.run_until(1);
    assert_eq!((harness.node_of("a"), harness.node_of("b")), (Some(0), None));
    harness.remove_at("a", 10);
    harness.run_until(11);
    assert_eq!(harness.node_of("b"), Some(0));
}

/// Slots are used again: a pod in the slot of another is a pod of its own.
#[test]
fn a_slot_has_many_lives() {
    let mut harness = Harness::new(model(&[2], &[("keep", 1), ("a", 1)], as_is));
    let template = harness.template_of("keep");
    harness.run_until(1);
    for life in 1..5_u32 {
        harness.remove_at("a", u64::from(life) * 1000);
        harness.run_until(u64::from(life) * 1000 + 1);
        let keep = harness.pod("keep");
        let keep = harness.cluster.pod(keep).expect("it stays").clone();
        let name = harness.cluster.names_mut().intern("a");
        let (name, kind) = (PodName::Fixed(name), WorkloadKind::Pod);
        let new = NewPod::new(keep.namespace, name, template, kind);
        harness.apply(Write::CreatePod(new));
        harness.run_until(u64::from(life) * 1000 + 2);
        assert_eq!(harness.pod("a").life, life);
        assert_eq!(harness.node_of("a"), Some(0));
    }
}

/// S127, S142: a crowd that waits is tried whole at each event, and says nothing twice.
#[test]
fn a_crowd_is_tried_at_each_event() {
    let names: Vec<String> = (0..30).map(|number| format!("p{number:02}")).collect();
    let pods: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut harness = Harness::new(model(&[1], &pods, as_is));
    harness.run_until(1);
    for (gone, next) in names.iter().zip(&names[1..]) {
        assert_eq!(harness.node_of(gone), Some(0), "{gone}");
        let now = harness.queue.now().since_start().whole_millis();
        harness.remove_at(gone, now + 2_500);
        harness.run_until(now + 2_501);
        assert_eq!(harness.node_of(next), Some(0), "{next}");
    }
}

/// S185 to S188: a pod of higher priority has others evicted, is nominated, and is bound once they
/// are gone.
#[test]
fn a_more_important_pod_takes_the_place_of_others() {
    let change = |name: &str, spec: &mut PodSpec| match name {
        "urgent" => spec.priority = 10,
        _ => spec.tolerations.push(Toleration {
            key: None,
            operator: TolerationOperator::Exists,
            value: spec.scheduler_name,
            effect: None,
            seconds: None,
        }),
    };
    let mut harness = Harness::new(model(&[2], &[("a", 1), ("b", 1), ("urgent", 2)], change));
    let node = NodeId::new(0);
    let key = harness.cluster.names_mut().intern("maintenance");
    let value = harness.cluster.names_mut().intern("");
    let taint = Taint { key, value, effect: TaintEffect::NoSchedule };
    harness.apply(Write::Taints { node, taints: vec![taint] });
    harness.run_until(1_000);
    assert_eq!((harness.node_of("a"), harness.node_of("b")), (Some(0), Some(0)));
    harness.apply(Write::Taints { node, taints: Vec::new() });
    harness.run_until(1_001);
    for victim in ["a", "b"] {
        let row = harness.cluster.pod(harness.pod(victim)).expect("it is there");
        assert!(row.disruption.is_some() && row.deletion.is_some(), "{victim}");
    }
    let urgent = harness.pod("urgent");
    assert_eq!(harness.cluster.pod(urgent).expect("it is there").nominated, Some(node));
    harness.remove_at("a", 3_000);
    harness.run_until(3_001);
    assert_eq!(harness.node_of("urgent"), None);
    harness.remove_at("b", 4_000);
    harness.run_until(4_001);
    assert_eq!(harness.node_of("urgent"), Some(0));
    assert_eq!(harness.cluster.pod(urgent).expect("it is there").nominated, None);
}
