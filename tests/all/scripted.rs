//! Any component can be replaced by a scripted one: here a scheduler that binds to the first node
//! after 100 ms, and kubelets that make a pod ready two seconds after its binding.

use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Change, Cluster, Component, KubeletEvent, Phase, Plan, PodStatus, Write};
use seatrial::engine::{Roles, World};
use seatrial::event::{Event, KubeletStep, SchedulerEvent};
use seatrial::model::{Model, NodeId};
use seatrial::recorder::Recorder;
use seatrial::sim::{Ctx, Streams};

use crate::support::model_of;

struct FirstNode;

impl Component<SchedulerEvent> for FirstNode {
    fn observe(&mut self, change: &Change, _cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if let Change::PodAdded { pod, .. } = change {
            ctx.after(Duration::ms(100), Event::Scheduler(SchedulerEvent::Bind(*pod)));
        }
    }

    fn handle(&mut self, event: SchedulerEvent, _: &Cluster, plan: &mut Plan, _: &mut Ctx<'_>) {
        if let SchedulerEvent::Bind(pod) = event {
            plan.push(Write::BindPod { pod, node: NodeId::new(0) });
        }
    }
}

struct ReadyAfterTwoSeconds;

impl seatrial::cluster::KubeletRole for ReadyAfterTwoSeconds {}

impl Component<KubeletEvent> for ReadyAfterTwoSeconds {
    fn observe(&mut self, change: &Change, _cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let (pod, delay, step) = match change {
            Change::PodBound { pod, .. } => (*pod, Duration::secs(2), KubeletStep::Admit),
            Change::PodDeleting { pod, .. } => (*pod, Duration::secs(1), KubeletStep::Kill),
            _ => return,
        };
        ctx.after(delay, Event::Kubelet { pod, step });
    }

    fn handle(
        &mut self,
        event: KubeletEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let KubeletEvent::Pod(pod, step) = event else { return };
        let Some(row) = cluster.pod(pod) else { return };
        let status = PodStatus {
            phase: Phase::Running,
            ready: true,
            ip: Some(seatrial::base::Ip::LOCALHOST),
            started: Some(ctx.now()),
            ..row.status
        };
        plan.push(match step {
            KubeletStep::Kill => Write::RemovePod { pod },
            KubeletStep::Admit => Write::PodStatus { pod, status },
            KubeletStep::Resize | KubeletStep::Conditions => return,
        });
    }
}

fn world(model: &Arc<Model>) -> World {
    let streams = Streams { seed: 1, replication: 0 };
    let mut roles = Roles::real(model, &streams);
    roles.scheduler = Box::new(FirstNode);
    roles.kubelet = Box::new(ReadyAfterTwoSeconds);
    World::with_roles(model, streams, roles, Recorder::off()).with_checks()
}

/// Four replicas with a quarter of surge and unavailability each (S1 U1): the golden trace of rule
/// C42, in ideal latencies, with pods that are ready 2.1 s after their creation.
#[test]
fn a_rollout_with_scripted_neighbours_takes_the_golden_steps() {
    let model = model_of(
        "
        latencies: ideal
        timeline: [{ at: 10s, run: kubectl set image deployment/web app=web:v2 }]
        until: 30s
        replicas: 4
        ",
    );
    let mut world = world(&model);
    world.begin();
    // Old and new size of the ReplicaSets at the end of an instant.
    let sizes = |world: &World| {
        let mut all: Vec<(u64, u32)> = world
            .cluster()
            .replica_sets()
            .iter()
            .map(|(_, set)| (set.serial, set.replicas))
            .collect();
        all.sort_unstable();
        all.iter().map(|(_, size)| *size).collect::<Vec<u32>>()
    };
    world.step_until(SimTime::at(Duration::secs(10)));
    assert_eq!(sizes(&world), [4]);
    // 1/4 → 1/3 → 2/3 at once; the first two new pods are ready at 12.1 s.
    world.step_until(SimTime::at(Duration::ms(10_001)));
    assert_eq!(sizes(&world), [3, 2]);
    // [2 avail] 3/1 → 4/1, then the step for the second pod.
    world.step_until(SimTime::at(Duration::ms(12_101)));
    assert_eq!(sizes(&world), [1, 4]);
    world.step_until(SimTime::at(Duration::ms(14_201)));
    assert_eq!(sizes(&world), [0, 4]);
    // The old pods' objects go a second after their deletion.
    world.step_until(SimTime::at(Duration::secs(20)));
    let on_first = |node: &seatrial::cluster::Node| node.pods.len();
    assert_eq!(on_first(&world.cluster().nodes()[NodeId::new(0)]), 4);
}
