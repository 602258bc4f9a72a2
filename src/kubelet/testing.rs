//! Kubelets driven without a control plane: pods are bound by name and deleted by hand.

use std::sync::Arc;

use super::Kubelet;
use crate::base::{Distribution, Duration, SimTime};
use crate::cluster::testing::Builder;
use crate::cluster::{
    Change, Cluster, Component, KubeletEvent, Plan, Pod, PodStatus, Serving, Write,
};
use crate::event::Event;
use crate::model::*;
use crate::recorder::Recorder;
use crate::sim::{Ctx, EventQueue, Streams};

/// A cluster with kubelets only.
pub(super) struct World {
    pub(super) cluster: Cluster,
    kubelet: Kubelet,
    pub(super) queue: EventQueue<Event>,
    streams: Streams,
    pub(super) recorder: Recorder,
    plan: Plan,
    changes: Vec<Change>,
    /// What happened: instants and changes.
    pub(super) log: Vec<(SimTime, Change)>,
    /// Status of each pod after each change of it.
    pub(super) statuses: Vec<(SimTime, PodRef, PodStatus)>,
}

impl World {
    pub(super) fn new(model: Model, seed: u64) -> Self {
        let model = Arc::new(model);
        let streams = Streams { seed, replication: 0 };
        let mut changes = Vec::new();
        let mut world = Self {
            cluster: Cluster::new(&model, &streams, &mut changes),
            kubelet: Kubelet::new(&model, &streams),
            queue: EventQueue::new(10_000_000),
            streams,
            recorder: Recorder::off(),
            plan: Plan::default(),
            changes,
            log: Vec::new(),
            statuses: Vec::new(),
        };
        world.tell();
        world
    }

    pub(super) fn tell(&mut self) {
        let Self { cluster, kubelet, queue, streams, recorder, changes, log, statuses, .. } = self;
        let now = queue.now();
        let ctx = &mut Ctx { queue, streams, recorder };
        for change in changes.drain(..) {
            kubelet.observe(&change, cluster, ctx);
            if let Change::PodStatus { pod, .. } = change {
                statuses.extend(cluster.pod(pod).map(|row| (now, pod, row.status)));
            }
            log.push((now, change));
        }
    }

    /// Carries out writes at the present instant.
    pub(super) fn write(&mut self, writes: impl IntoIterator<Item = Write>) {
        for write in writes {
            self.plan.push(write);
        }
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        let now = self.queue.now();
        self.cluster.commit(&mut self.plan, now, &mut self.changes, &mut self.recorder);
        self.cluster.check_invariants();
        self.tell();
    }

    /// Lets everything before an instant happen, and moves the clock to it.
    pub(super) fn run_to(&mut self, secs: f64) {
        let until = time(secs);
        // The clock moves with events only: one of nobody's stands at the instant itself.
        self.queue.push(until, Event::Sample);
        while let Some((at, event)) = self.queue.pop_before(until + Duration::ns(1)) {
            let Self { cluster, kubelet, queue, streams, recorder, plan, .. } = self;
            let ctx = &mut Ctx { queue, streams, recorder };
            match event {
                Event::Kubelet { pod, step } => {
                    kubelet.handle(KubeletEvent::Pod(pod, step), cluster, plan, ctx);
                }
                Event::Slot { node, slot, step } => {
                    kubelet.handle(KubeletEvent::Slot(node, slot, step), cluster, plan, ctx);
                }
                Event::KubeletNode { node, step } => {
                    kubelet.handle(KubeletEvent::Node(node, step), cluster, plan, ctx);
                }
                Event::Sample => {
                    if at == until {
                        break;
                    }
                }
                other => panic!("nobody handles {other:?}"),
            }
            self.settle();
        }
        self.queue.outcome().unwrap();
    }

    pub(super) fn pod(&self, index: u32) -> PodRef {
        self.cluster.pods().refer(PodId::new(index))
    }

    pub(super) fn row(&self, index: u32) -> &Pod {
        self.cluster.pods().at(PodId::new(index)).expect("the pod is there")
    }

    pub(super) fn is_gone(&self, index: u32) -> bool {
        self.cluster.pods().at(PodId::new(index)).is_none()
    }

    pub(super) fn serving(&self, index: u32) -> Serving {
        self.cluster.serving(self.pod(index))
    }

    pub(super) fn delete(&mut self, index: u32) {
        let pod = self.pod(index);
        self.write([Write::DeletePod { pod, grace: None }]);
    }

    /// When pod 0's server took a state, in seconds.
    pub(super) fn serving_times(&self, state: Serving) -> Vec<f64> {
        let is_it = |change: &Change| matches!(change, Change::Serving { to, .. } if *to == state);
        self.log.iter().filter(|(_, c)| is_it(c)).map(|(at, _)| at.as_secs_f64()).collect()
    }

    /// When the pod object went.
    pub(super) fn removed_at(&self) -> SimTime {
        let is_it = |change: &Change| matches!(change, Change::PodRemoved { .. });
        self.log.iter().find(|(_, c)| is_it(c)).expect("a pod went").0
    }
}

pub(super) fn time(secs: f64) -> SimTime {
    SimTime::at(Duration::from_secs_f64(secs))
}

/// A world of a model.
pub(super) trait Build {
    fn build(self, seed: u64) -> World;
}

impl Build for Builder {
    fn build(self, seed: u64) -> World {
        World::new(self.model(), seed)
    }
}

pub(super) fn ideal() -> Builder {
    Builder::new(Latencies::ideal()).node("n")
}

/// Profile S of rule N302, as far as kubelets go.
pub(super) fn measured() -> Latencies {
    let ln = Distribution::log_normal_p99;
    Latencies {
        profile: "measured",
        kubelet_sync: ln(0.013, 0.05),
        volumes: Duration::ms(300),
        sandbox: ln(0.45, 1.5),
        container_start: ln(0.2, 0.6),
        pull: ln(0.3, 1.5),
        pull_rate: 40e6,
        pull_slow: 8e6,
        relist: Duration::secs(1),
        kill: ln(0.013, 0.05),
        sandbox_stop: ln(0.15, 1.0),
        finalize: Distribution::Uniform { low: 0.1, high: 0.4 },
        status_write: ln(0.009, 0.075),
        ..Latencies::ideal()
    }
}

pub(super) fn close(is: f64, should: f64, part: f64) {
    assert!((is - should).abs() <= part * should, "{is} is not {should} ± {part}");
}
