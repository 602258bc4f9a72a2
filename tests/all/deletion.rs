//! DELETE of pods and of what owns pods: graces, order, names.

use seatrial::api::Kind;
use seatrial::base::{Duration, Interner, SimTime};
use seatrial::cluster::{Cluster, Write};
use seatrial::engine::World;
use seatrial::model::{ObjectName, PodRef, Propagation};
use seatrial::record::PodName;

use crate::support::{WEB, begun, load_memory};

const TOO_LARGE: &str = "
apiVersion: v1
kind: Pod
metadata: { name: large }
spec: { containers: [{ name: x, image: x:1, resources: { requests: { cpu: 100 } } }] }
";

/// Three pods that need ten seconds to end, and one that no node takes, after half a minute.
fn world() -> World {
    let scenario = "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{ pool: workers, count: 3, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: ideal
apply: [web.yaml, large.yaml]
behaviors: [{ for: deployment/web, shutdown: { accept: 10s } }]
run: { until: 10m }
";
    let web = WEB.replace("REPLICAS", "3");
    let files = [("scenario.yaml", scenario), ("web.yaml", &web), ("large.yaml", TOO_LARGE)];
    let model = load_memory(&files).model;
    let mut world = begun(&model);
    world.advance_to(at(30));
    world
}

fn at(seconds: u64) -> SimTime {
    SimTime::at(Duration::secs(seconds))
}

fn pods(cluster: &Cluster, is_bound: bool) -> Vec<PodRef> {
    let found = cluster.pods().iter().filter(|(_, pod)| pod.node.is_some() == is_bound);
    found.map(|(id, _)| cluster.pods().refer(id)).collect()
}

/// Rules N120, N127, N426: what a process does on SIGTERM decides when its pod is gone: it exits at
/// once, or when what it has accepted is over (nothing here), or after the time in which it goes on
/// accepting; one that does not hear the signal lives to the end of the grace of 30 s.
#[test]
fn styles_of_shutdown() {
    let gone_after = |style: &str| {
        let scenario = format!(
            "apiVersion: seatrial/v1
kind: Scenario
name: styles
cluster:
  nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [web.yaml]
behaviors: [{{ for: deployment/web, shutdown: {style} }}]
run: {{ until: 10m }}
"
        );
        let web = WEB.replace("REPLICAS", "1");
        let files = [("scenario.yaml", scenario.as_str()), ("web.yaml", web.as_str())];
        let mut world = begun(&load_memory(&files).model);
        world.advance_to(at(30));
        let pod = pods(world.cluster(), true)[0];
        world.apply(|_, plan| plan.push(Write::DeletePod { pod, grace: None }));
        (0..60).find(|seconds| {
            world.advance_to(SimTime::at(Duration::ms(30_500 + 1000 * seconds)));
            world.cluster().pods().get(pod).is_none()
        })
    };
    assert_eq!(gone_after("{}"), Some(0));
    assert_eq!(gone_after("{ drain: 20s }"), Some(0));
    assert_eq!(gone_after("{ accept: 10s, drain: 20s }"), Some(10));
    assert_eq!(gone_after("{ ignoresSignal: true }"), Some(30));
}

/// Rules C6 and N137: a pod without a node goes at once; another stays until its kubelet is done. A
/// second DELETE may only shorten the grace, and does not shorten what the kubelet has begun.
#[test]
fn a_grace_is_only_ever_shortened() {
    let mut world = world();
    let large = pods(world.cluster(), false)[0];
    let pod = pods(world.cluster(), true)[0];
    let delete = |world: &mut World, pod, grace: Option<u64>| {
        let grace = grace.map(Duration::secs);
        world.apply(|_, plan| plan.push(Write::DeletePod { pod, grace }));
    };
    delete(&mut world, large, None);
    assert!(world.cluster().pods().get(large).is_none(), "nobody has to stop it");
    let ends = |world: &World| {
        let deletion = world.cluster().pods().get(pod).and_then(|row| row.deletion);
        deletion.map(|deletion| deletion.requested + deletion.grace)
    };
    delete(&mut world, pod, None);
    assert_eq!(ends(&world), Some(at(60)));
    world.advance_to(at(32));
    delete(&mut world, pod, Some(60));
    assert_eq!(ends(&world), Some(at(60)), "longer is not heard");
    delete(&mut world, pod, Some(3));
    assert_eq!(ends(&world), Some(at(33)), "counted from the first DELETE");
    world.advance_to(at(39));
    assert!(ends(&world).is_some(), "a kill that is under way goes on as it began");
    world.advance_to(at(41));
    assert!(ends(&world).is_none(), "the container needed ten seconds");
}

/// Rules C192 and C193: under foreground deletion pods go before their ReplicaSet, that before its
/// Deployment; nothing that has an owner left goes.
#[test]
fn foreground_goes_from_below() {
    let mut world = world();
    let name = |text: &str| {
        let names = world.cluster().names();
        let symbol = |text: &str| names.get(text).expect("a name");
        ObjectName { namespace: symbol("default"), name: symbol(text) }
    };
    let (kind, name) = (Kind::Deployment, name("web"));
    let propagation = Propagation::Foreground;
    world.apply(|_, plan| {
        plan.push(Write::Delete { kind, name, propagation, grace: None });
    });
    let mut gone = Vec::new();
    for second in 31..60 {
        world.advance_to(at(second));
        let cluster = world.cluster();
        let has_pods = !pods(cluster, true).is_empty();
        let has_set = cluster.replica_sets().iter().next().is_some();
        let has_deployment = cluster.tree(kind, name).is_some();
        assert!(has_set || !has_pods, "pods without their ReplicaSet at {second} s");
        assert!(has_deployment || !has_set, "a ReplicaSet without its Deployment at {second} s");
        if !has_deployment {
            gone.push(second);
        }
    }
    assert!(gone.first().is_some_and(|first| (39..=42).contains(first)), "{gone:?}");
    assert_eq!(pods(world.cluster(), false).len(), 1, "the bare pod is nobody's");
}

/// Rule C7: five characters of the safe alphabet after `<owner>-`, of which 58 characters count: a
/// longer owner loses its end and the dash.
#[test]
fn generated_names_have_58_characters_and_five() {
    let mut names = Interner::new();
    let mut text = |owner: &str, suffix| {
        let prefix = names.intern(owner);
        PodName::Generated { prefix, suffix }.text(&names)
    };
    assert_eq!(text("web-5d8c", 0), "web-5d8c-bbbbb");
    let (last, long) = (PodName::SUFFIXES - 1, "x".repeat(57));
    assert_eq!(text(&long, last), format!("{long}-99999"));
    assert_eq!(text(&"x".repeat(58), 0), format!("{}bbbbb", "x".repeat(58)));
    assert_eq!(text(&"x".repeat(70), 0), format!("{}bbbbb", "x".repeat(58)));
    let vowels = (0..3000)
        .map(|suffix| text("", suffix * 4001))
        .any(|name| name.contains(|c: char| "aeiou013".contains(c) || c.is_ascii_uppercase()));
    assert!(!vowels, "no vowels and nothing that looks like one");
}

/// Rule C195: where clients are limited, the collector deletes what a Deployment owned: its
/// ReplicaSet, then 15 pods at once and 20 in a second.
#[test]
fn the_collector_takes_its_time() {
    let scenario = "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{ pool: workers, count: 2, allocatable: { cpu: 64, memory: 128Gi, pods: 200 } }]
  latencies: measured
apply: [web.yaml]
timeline: [{ at: 2m, run: kubectl delete deployment web --wait=false }]
run: { until: 10m }
";
    let mut run = crate::support::Stepped::of(scenario, 100);
    let deleted = |cluster: &seatrial::cluster::Cluster| {
        cluster.pods().iter().filter(|(_, pod)| pod.deletion.is_some()).count()
            + (100 - cluster.pods().len())
    };
    assert_eq!(deleted(run.to(119)), 0);
    let soon = deleted(run.to(121));
    assert!((25..=45).contains(&soon), "{soon}");
    assert!(deleted(run.to(123)) < 100);
    assert_eq!(deleted(run.to(126)), 100);
}
