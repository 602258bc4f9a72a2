//! What one sees of the controllers' work queues: late news, one look at a time.

use seatrial::base::{Duration, SimTime};
use seatrial::engine::World;
use seatrial::kubectl::Files;
use seatrial::recorder::Recorder;

use crate::support::{WEB, begun, load_memory};

fn world(latencies: &str) -> World {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: {{ base: ideal, {latencies} }}
apply: [web.yaml]
run: {{ until: 10m }}
"
    );
    let web = WEB.replace("REPLICAS", "3");
    let model = load_memory(&[("scenario.yaml", &scenario), ("web.yaml", &web)]).model;
    begun(&model)
}

fn pods_at(world: &mut World, ms: u64) -> usize {
    world.advance_to(SimTime::at(Duration::ms(ms)));
    world.cluster().pods().len()
}

/// Rule C1: each controller hears of what happened a watch later, and news that came meanwhile are
/// looked at together.
#[test]
fn controllers_hear_late() {
    let mut world = world("watch: 1s");
    // The Deployment is heard of at 1 s, its ReplicaSet at 2 s.
    assert_eq!([1_999, 2_001].map(|ms| pods_at(&mut world, ms)), [0, 3]);
    let files = Files::new();
    for (ms, replicas) in [(10_000, 9), (10_500, 5)] {
        let line = format!("scale deployment/web --replicas={replicas}");
        let at = SimTime::at(Duration::ms(ms));
        assert_eq!(world.kubectl(at, &line, &files).expect("a right line").exit_code, 0);
    }
    // What the controller sees at 11 s is what is there then: nobody asks for nine any more.
    assert_eq!([11_999, 12_001].map(|ms| pods_at(&mut world, ms)), [3, 5]);
    assert_eq!(pods_at(&mut world, 20_000), 5);
}

/// Rules C11, C19 and C20: a key is looked at by one worker at a time and again only when its own
/// writes are seen, so that slow writes make no pod twice.
#[test]
fn slow_writes_make_nothing_twice() {
    let mut world = world("apiWrite: 1s");
    let counts = [500, 2_500, 3_500, 6_000, 20_000].map(|ms| pods_at(&mut world, ms));
    assert!(counts.is_sorted() && counts[0] == 0, "{counts:?}");
    assert_eq!((counts[3], counts[4]), (3, 3), "{counts:?}");
    assert_eq!(world.cluster().pods_created(), 3);
}

/// Rules C10 and C73: where the original leaves an order to chance, ours follows from the seed.
#[test]
fn chance_follows_from_the_seed() {
    let left = |replication: u32| {
        let model = std::sync::Arc::clone(world("watch: 0s").cluster().model());
        let mut world = World::new(&model, replication, Recorder::off());
        world.begin();
        // Of one age by the logarithm, but not ready in the same second.
        for (secs, replicas) in [(10, 4), (20, 5), (30, 6), (590, 1)] {
            let line = format!("scale deployment/web --replicas={replicas}");
            let at = SimTime::at(Duration::secs(secs));
            assert_eq!(world.kubectl(at, &line, &Files::new()).expect("a line").exit_code, 0);
        }
        pods_at(&mut world, 700_000);
        world.cluster().pods().iter().map(|(_, pod)| pod.serial).collect::<Vec<_>>()
    };
    let all: Vec<Vec<u64>> = (0..12).map(left).collect();
    assert!(all.iter().all(|left| left.len() == 1));
    assert_eq!(left(3), all[3], "one seed, one outcome");
    assert!(all.iter().any(|left| *left != all[0]), "others take other pods: {all:?}");
}
