//! Random pods, deletions and power cuts from one seed.

use super::testing::*;
use crate::base::Duration;
use crate::cluster::Write;
use crate::cluster::testing::{Builder, Shape, constant, probe, secs};
use crate::model::*;

/// Any pod, whatever happens to it: once deleted on a node that is up, it goes within its grace
/// and a little, and everything of it is the same in a second run.
#[test]
fn every_deleted_pod_goes() {
    for seed in 0..80 {
        let first = swarm(seed);
        assert_eq!(first, swarm(seed), "seed {seed}");
    }
}

fn swarm(seed: u64) -> Vec<String> {
    use rand::{Rng, RngExt};
    let streams = crate::sim::Streams { seed, replication: 0 };
    let mut rng = streams.open("swarm", "");
    let latencies = if seed.is_multiple_of(2) { Latencies::ideal() } else { measured() };
    let mut build = Builder::new(latencies).node("n").node("m");
    for _ in 0..6 {
        let node = if rng.random_bool(0.5) { "n" } else { "m" };
        build = build.pod(node, |pod| any_pod(pod, &mut rng));
    }
    let mut world = build.build(seed);
    for step in 1..20 {
        world.run_to(f64::from(step) * 3.7);
        let node = NodeId::new(rng.random_range(0..2));
        match rng.next_u32() % 4 {
            0 => world.write([Write::NodeUp { node, is_up: !world.cluster.nodes()[node].is_up }]),
            1 => {
                let index = rng.random_range(0..6);
                if !world.is_gone(index) {
                    world.delete(index);
                }
            }
            _ => {}
        }
    }
    for node in [0, 1].map(NodeId::new) {
        if !world.cluster.nodes()[node].is_up {
            world.write([Write::NodeUp { node, is_up: true }]);
        }
    }
    for index in 0..6 {
        if !world.is_gone(index) {
            world.delete(index);
        }
    }
    world.run_to(400.0);
    for index in 0..6 {
        assert!(world.is_gone(index), "seed {seed}: {:?}", world.row(index));
    }
    world.log.iter().map(|entry| format!("{entry:?}")).collect()
}

fn any_pod(pod: &mut Shape, rng: &mut impl rand::Rng) {
    use rand::RngExt;
    let mut some = |most: u64| secs(rng.random_range(0..=most));
    let behavior_of = |some: &mut dyn FnMut(u64) -> Duration| Behavior {
        start: constant(some(8).as_secs_f64()),
        shutdown: Shutdown { accept: some(4), drain: some(6), ignores_signal: some(5).is_zero() },
        run: (some(2).is_zero()).then(|| constant(some(9).as_secs_f64())),
        hook: some(3),
        ..Behavior::plain()
    };
    for _ in 0..some(2).whole_secs() {
        let does = behavior_of(&mut some);
        let is_sidecar = some(1).is_zero();
        let init = pod.init(is_sidecar, does);
        if is_sidecar && some(1).is_zero() {
            init.startup = Some(probe(2));
        }
    }
    *pod.does() = behavior_of(&mut some);
    pod.spec.grace = some(12) + secs(1);
    pod.spec.active_deadline = some(4).is_zero().then(|| secs(30));
    let policies = [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never];
    pod.spec.restart_policy = policies[crate::base::cast::usize_trunc(some(2).as_secs_f64())];
    let app = pod.app();
    let probed = |period: Duration| (!period.is_zero()).then(|| probe(period.whole_secs()));
    (app.readiness, app.liveness, app.startup) =
        (probed(some(3)), probed(some(3)), probed(some(3)));
    app.pre_stop = Some(Hook::Sleep(some(15)));
    app.post_start = some(1).is_zero().then(|| Hook::Exec(Some(some(4))));
}
