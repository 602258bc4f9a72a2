use std::sync::Arc;

use super::NodeWatch;
use crate::base::{Distribution, Duration, SimTime};
use crate::cluster::testing::{Builder, secs};
use crate::cluster::{Change, Cluster, Component, NodeChange, Plan, Write};
use crate::event::Event;
use crate::model::{Latencies, NodeId, TaintEffect, Toleration, TolerationOperator};
use crate::recorder::Recorder;
use crate::sim::{Ctx, EventQueue, Streams};

/// A cluster that somebody watches, and nobody else.
struct World {
    cluster: Cluster,
    watch: NodeWatch,
    queue: EventQueue<Event>,
    streams: Streams,
    recorder: Recorder,
    log: Vec<(f64, Change)>,
}

impl World {
    fn new(builder: Builder) -> Self {
        let model = Arc::new(builder.model());
        let streams = Streams { seed: 1, replication: 0 };
        let cluster = Cluster::new(&model, &streams, &mut Vec::new());
        let watch = NodeWatch::new(&model, &streams);
        let (queue, recorder) = (EventQueue::new(1000), Recorder::off());
        Self { cluster, watch, queue, streams, recorder, log: Vec::new() }
    }

    fn commit(&mut self, plan: &mut Plan) {
        let Self { cluster, watch, queue, streams, recorder, log } = self;
        let (now, mut changes) = (queue.now(), Vec::new());
        cluster.commit(plan, now, &mut changes, recorder);
        let ctx = &mut Ctx { queue, streams, recorder };
        for change in changes {
            watch.observe(&change, cluster, ctx);
            log.push((now.as_secs_f64(), change));
        }
    }

    fn power(&mut self, node: u32, is_up: bool) {
        let mut plan = Plan::default();
        plan.push(Write::NodeUp { node: NodeId::new(node), is_up });
        self.commit(&mut plan);
    }

    fn run_to(&mut self, until: u64) {
        let until = SimTime::at(secs(until));
        self.queue.push(until, Event::Sample);
        while let Some((_, event)) = self.queue.pop_before(until + Duration::ns(1)) {
            let Event::Node { node, step } = event else {
                continue;
            };
            let mut plan = Plan::default();
            let Self { cluster, watch, queue, streams, recorder, .. } = self;
            let ctx = &mut Ctx { queue, streams, recorder };
            watch.handle((node, step), cluster, &mut plan, ctx);
            self.commit(&mut plan);
        }
    }

    fn times(&self, is_it: impl Fn(&Change) -> bool) -> Vec<f64> {
        self.log.iter().filter(|(_, c)| is_it(c)).map(|(at, _)| *at).collect()
    }

    fn deletions(&self) -> Vec<f64> {
        self.times(|c| matches!(c, Change::PodDeleting { .. }))
    }

    fn flips(&self) -> Vec<f64> {
        self.times(|c| matches!(c, Change::Node { what: NodeChange::Ready, .. }))
    }
}

fn builder() -> Builder {
    Builder::new(Latencies { node_lost: Distribution::Constant(52.0), ..Latencies::ideal() })
}

fn tolerates(seconds: Option<Duration>) -> Toleration {
    Toleration {
        key: None,
        operator: TolerationOperator::Exists,
        value: crate::base::Symbol::new(0),
        effect: Some(TaintEffect::NoExecute),
        seconds,
    }
}

/// Rules N401 to N403: lost after 52 s, evicted when the toleration is over.
#[test]
fn a_dead_node_is_lost_and_its_pods_are_evicted() {
    let build = builder().node("n").pod("n", |_| {});
    let build = build.pod("n", |pod| {
        pod.spec.tolerations = vec![tolerates(Some(secs(20)))];
    });
    let build = build.pod("n", |pod| pod.spec.tolerations = vec![tolerates(None)]);
    let build = build.pod("n", |pod| {
        pod.spec.tolerations = vec![tolerates(Some(secs(0)))];
    });
    let mut world = World::new(build);
    world.run_to(100);
    world.power(0, false);
    world.run_to(1000);
    assert_eq!(world.flips(), [152.0]);
    assert_eq!(world.deletions(), [152.0, 172.0, 452.0]);
    assert_eq!(world.cluster.nodes()[NodeId::new(0)].spec.taints.len(), 2);
}

#[test]
fn a_node_that_comes_back_keeps_what_it_has() {
    let mut world = World::new(builder().node("n").pod("n", |_| {}));
    world.power(0, false);
    world.run_to(30);
    world.power(0, true);
    world.run_to(100);
    assert!(world.flips().is_empty(), "not missed");
    world.power(0, false);
    world.run_to(200);
    world.power(0, true);
    world.run_to(1000);
    assert_eq!(world.flips(), [152.0, 200.0]);
    assert!(world.deletions().is_empty());
    assert!(world.cluster.nodes()[NodeId::new(0)].spec.taints.is_empty());
}

/// Rule N402: one node in 10 s of each zone gets the NoExecute taint.
#[test]
fn nodes_of_a_zone_are_evicted_one_after_another() {
    let mut build = builder();
    for name in ["a", "b", "c"] {
        build = build.node(name).pod(name, |_| {});
    }
    let mut world = World::new(build);
    for node in 0..3 {
        world.power(node, false);
    }
    world.run_to(1000);
    assert_eq!(world.flips(), [52.0; 3]);
    assert_eq!(world.deletions(), [352.0, 362.0, 372.0]);
}
