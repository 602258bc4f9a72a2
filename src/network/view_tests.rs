use super::*;
use crate::base::Ref;
use crate::cluster::testing::{Builder, constant};
use crate::cluster::{Endpoint, Plan, Write};
use crate::model::PodId;
use crate::model::{ServiceKind, ServiceSpec};
use crate::recorder::Recorder;

const SERVICE: ServiceId = ServiceId::new(0);
const STREAMS: Streams = Streams { seed: 1, replication: 0 };

fn at_ms(ms: u64) -> SimTime {
    SimTime::at(Duration::ms(ms))
}

fn latencies(watch_s: f64, run_s: f64, period: Duration) -> Latencies {
    let mut latencies = Latencies::ideal();
    latencies.watch = constant(watch_s);
    latencies.proxy_run = constant(run_s);
    latencies.proxy_period = period;
    latencies
}

/// Pods by node and state: one letter each, r ready, t serving and terminating, n neither.
fn endpoints(pods: &[(u32, char)]) -> Vec<Endpoint> {
    let row = |(pod, (node, state)): (u32, &(u32, char))| Endpoint {
        pod: Ref { id: PodId::new(pod), life: 0 },
        node: NodeId::new(*node),
        ready: *state == 'r',
        serving: *state != 'n',
        terminating: *state == 't',
    };
    (0..).zip(pods).map(row).collect()
}

struct World {
    cluster: Cluster,
    view: Proxies,
}

impl World {
    fn new(latencies: Latencies, shape: impl FnOnce(&mut ServiceSpec)) -> Self {
        let view = Proxies::new(&latencies, &STREAMS);
        let mut model = Builder::new(latencies).node("a").node("b").node("c").model();
        shape(&mut model.services[0]);
        let cluster = Cluster::new(&Arc::new(model), &STREAMS, &mut Vec::new());
        Self { cluster, view }
    }

    fn publish(&mut self, ms: u64, endpoints: Vec<Endpoint>) {
        let mut plan = Plan::default();
        plan.push(Write::Endpoints { service: SERVICE, endpoints });
        self.cluster.commit(&mut plan, at_ms(ms), &mut Vec::new(), &mut Recorder::off());
    }

    /// Writes a version with 1, 2, 3 … endpoints at each instant.
    fn write(mut self, at: &[u64]) -> Self {
        for (ms, count) in at.iter().zip(1..) {
            self.publish(*ms, endpoints(&vec![(0, 'r'); count]));
        }
        self
    }

    fn way(&mut self, node: u32, side: Side, ms: u64) -> Way {
        let Self { cluster, view } = self;
        view.way(cluster, (NodeId::new(node), side), SERVICE, at_ms(ms)).0.clone()
    }

    /// The number of the version that a node has.
    fn version(&mut self, ms: u64) -> usize {
        match self.way(0, Side::Inside, ms) {
            Way::To(pods) => pods.len(),
            Way::Reject => 0,
            Way::Drop | Way::ByName => panic!("no policy is Local"),
        }
    }
}

/// N150: writes at 0, 100, 200 and 5000 ms; watch 10 ms, a run takes 50 ms, period 1 s. An idle
/// proxy runs at once: 10 to 60 applies version 1. Versions 2 and 3 wait for 60 + 1000, one run
/// until 1110 applies both. At 5010 it is idle again: applied at 5060.
#[test]
fn runs_are_immediate_when_idle_and_coalesce_after() {
    let world = World::new(latencies(0.01, 0.05, Duration::secs(1)), |_| {});
    let mut world = world.write(&[0, 100, 200, 5000]);
    let looks = [(59, 0), (60, 1), (1109, 1), (1110, 3), (5059, 3), (5060, 4)];
    for (at, expected) in looks {
        assert_eq!(world.version(at), expected, "at {at} ms");
    }
}

#[test]
fn how_often_one_looks_changes_nothing() {
    let mut latencies = Latencies::ideal();
    latencies.watch = Distribution::exponential(0.1);
    latencies.proxy_run = Distribution::exponential(0.2);
    latencies.proxy_period = Duration::ms(500);
    let at = [0, 3, 100, 180, 200, 1300, 1310, 2500, 5000];
    let mut often = World::new(latencies.clone(), |_| {}).write(&at);
    for ms in 5000..8000 {
        let fresh = Proxies::new(&latencies, &STREAMS);
        let mut seldom = World { cluster: often.cluster, view: fresh };
        let expected = seldom.version(ms);
        often.cluster = seldom.cluster;
        assert_eq!(often.version(ms), expected, "at {ms} ms");
    }
    assert_eq!(often.version(20_000), 9);
}

#[test]
fn without_delay_the_view_is_the_log() {
    let world = World::new(latencies(0.0, 0.0, Duration::ZERO), |_| {});
    assert_eq!(world.write(&[0, 100, 200]).version(200), 3);
}

/// N151: under steady churn an entry waits half a cycle and a run on average. Period 1 s, run
/// 0.1 s: 1.1 / 2 + 0.1 = 0.65 s. Writes come each 37 ms, which hits all phases of a cycle.
#[test]
fn the_wait_under_churn() {
    let at: Vec<u64> = (0..1000).map(|number| 37 * number).collect();
    let mut world = World::new(latencies(0.0, 0.1, Duration::secs(1)), |_| {}).write(&at);
    let (mut seen, mut waited_ms) = (0, 0);
    for now in 0..39_000 {
        let applied = world.version(now) as u64;
        waited_ms += (seen..applied).map(|number| now - 37 * number).sum::<u64>();
        seen = applied;
    }
    assert_eq!(seen, 1000);
    let mean_ms = waited_ms / 1000;
    assert!((630..670).contains(&mean_ms), "{mean_ms}");
}

/// Entries older than ten minutes are in the base, whoever has applied them.
#[test]
fn what_left_the_log_is_applied() {
    let world = World::new(latencies(0.01, 0.0, Duration::secs(1)), |_| {});
    let mut world = world.write(&[0, 1, 700_000]);
    assert_eq!(world.cluster.endpoint_log().first(), 2);
    assert_eq!(world.version(700_005), 2);
    assert_eq!(world.version(700_010), 3);
}

/// N150: a proxy that is idle runs by itself once an hour; what comes meanwhile waits for the
/// end of that run and the minimum after it.
#[test]
fn the_hourly_run_is_in_the_way_once() {
    let mut late = 0;
    for second in 0..3600 {
        let world = World::new(latencies(0.0, 0.1, Duration::secs(1)), |_| {});
        let mut world = world.write(&[second * 1000]);
        late += u32::from(world.version(second * 1000 + 100) == 0);
    }
    // The run takes 0.1 s and rests for 1 s: one or two of the whole seconds fall into that.
    assert!((1..=2).contains(&late), "{late}");
}

/// N157, N158: the ready ones, else those that serve while they terminate, in the scope of
/// each policy; refused if nothing is usable anywhere, dropped if only elsewhere.
#[test]
fn each_side_has_its_policy() {
    let pods = endpoints(&[(0, 'r'), (1, 't'), (1, 'r'), (2, 'n'), (2, 't')]);
    let world = |internal_local: bool, external_local: bool| {
        let mut world = World::new(Latencies::ideal(), |spec| {
            spec.kind = ServiceKind::NodePort;
            (spec.internal_local, spec.external_local) = (internal_local, external_local);
        });
        world.publish(0, pods.clone());
        world
    };
    let to = |pods: &[u32]| {
        Way::To(pods.iter().map(|pod| Ref { id: PodId::new(*pod), life: 0 }).collect())
    };
    let mut both = world(false, false);
    assert_eq!(both.way(2, Side::Inside, 1), to(&[0, 2]));
    assert_eq!(both.way(2, Side::Outside, 1), to(&[0, 2]));
    let mut outside = world(false, true);
    assert_eq!(outside.way(2, Side::Inside, 1), to(&[0, 2]));
    assert_eq!(outside.way(2, Side::Outside, 1), to(&[4]));
    assert_eq!(outside.way(1, Side::Outside, 1), to(&[2]));
    let mut inside = world(true, false);
    assert_eq!(inside.way(1, Side::Inside, 1), to(&[2]));
    assert_eq!(inside.way(1, Side::Outside, 1), to(&[0, 2]));
    inside.publish(2, endpoints(&[(0, 'r')]));
    assert_eq!(inside.way(1, Side::Inside, 3), Way::Drop);
    assert_eq!(inside.way(0, Side::Inside, 3), to(&[0]));
    inside.publish(4, endpoints(&[(0, 'n')]));
    assert_eq!(inside.way(0, Side::Inside, 5), Way::Reject);
}

/// N151: under steady churn a change waits for a run half of a second and a run on average, and
/// then for its own run: (1 + s) / 2 + s. An idle proxy writes at once: s alone.
#[test]
fn changes_wait_for_each_other() {
    let run = 0.2;
    let mut world = World::new(latencies(0.0, run, Duration::secs(1)), |_| {});
    let node = NodeId::new(0);
    // A change each 37 ms for a minute, each by one endpoint more.
    let (mut waits, mut written) = (Vec::new(), VecDeque::new());
    let mut ms = 10_000;
    let mut count = 0;
    while ms < 70_000 {
        if ms % 37 == 0 {
            count += 1;
            world.publish(ms, endpoints(&vec![(0, 'r'); 1 + count % 7]));
            written.push_back((world.cluster.endpoint_log().end(), ms));
        }
        let applied = world.view.applied(&world.cluster, node, at_ms(ms));
        while let Some((end, at)) = written.front().copied().filter(|(end, _)| *end <= applied) {
            assert!(end <= applied);
            waits.push(ms - at);
            written.pop_front();
        }
        ms += 1;
    }
    let sum: u64 = waits.iter().sum();
    let mean = cast::f64_of_usize(usize::try_from(sum).unwrap()) / cast::f64_of_usize(waits.len());
    let expected = 1000.0 * ((1.0 + run) / 2.0 + run);
    assert!((mean - expected).abs() < 25.0, "{mean} {expected}");
    assert_eq!(waits[0], 200);
}
