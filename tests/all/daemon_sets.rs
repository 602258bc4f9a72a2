//! DaemonSets in whole runs: the real controllers, scheduler and kubelets, and nodes that come, go
//! and change.

use std::sync::Arc;

use seatrial::api::{Kind, Lowering, Object, lower_object};
use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Cluster, DaemonSet, Pod, Write};
use seatrial::engine::World;
use seatrial::experiment::{self, Options};
use seatrial::model::{NodeId, ObjectName, Propagation, TaintEffect};
use seatrial::report::text;
use serde_json::{Value, json};

use crate::support::{begun, load_memory};

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: agents
cluster:
  nodes:
    - { pool: small, count: 3, allocatable: { cpu: 2, memory: 4Gi } }
    - { pool: big, count: 2, allocatable: { cpu: 8, memory: 32Gi }, labels: { disk: ssd } }
  latencies: LATENCIES
apply: [agent.yaml]
behaviors:
  - { for: daemonset/agent, start: 3s }
run: { until: 10m }
";

const AGENT: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec:
      containers:
        - name: agent
          image: agent:v1
          ports: [{ containerPort: 80 }]
          resources: { requests: { cpu: 1500m, memory: 1Gi } }
          readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 }
";

fn world_of(latencies: &str, agent: &str) -> World {
    let scenario = SCENARIO.replace("LATENCIES", latencies);
    let model = load_memory(&[("scenario.yaml", &scenario), ("agent.yaml", agent)]).model;
    begun(&model)
}

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + Duration::secs(seconds)
}

fn only(cluster: &Cluster) -> &DaemonSet {
    cluster.daemon_sets().iter().next().expect("the scenario has one").1
}

/// Of the status: desired, current, misscheduled, ready, updated.
fn counts(world: &World) -> [u32; 5] {
    let status = only(world.cluster()).status;
    [status.desired, status.current, status.misscheduled, status.ready, status.updated]
}

fn pods(cluster: &Cluster) -> impl Iterator<Item = &Pod> {
    only(cluster).pods.iter().map(|id| &cluster.pods()[*id])
}

/// The nodes of the set's pods, in order.
fn nodes_of(world: &World) -> Vec<Option<NodeId>> {
    let mut nodes: Vec<_> = pods(world.cluster()).map(|pod| pod.node).collect();
    nodes.sort_unstable();
    nodes
}

/// Does what a user does with an object.
fn write(world: &mut World, kind: Kind, tree: Value, what: fn(Box<Object>) -> Write) {
    world.apply(|cluster, plan| {
        let model = Arc::clone(cluster.model());
        let (behaviors, classes) = (&model.behaviors, &model.priorities);
        let mut cx = Lowering { behaviors, classes, names: cluster.names_mut() };
        let object = lower_object(kind, &Arc::new(tree), &mut cx).expect("it is right");
        plan.push(what(Box::new(object)));
    });
}

fn delete_node(world: &mut World, name: &str) {
    world.apply(|cluster, plan| {
        let mut intern = |text: &str| cluster.names_mut().intern(text);
        let name = ObjectName { namespace: intern("default"), name: intern(name) };
        let propagation = Propagation::Background;
        plan.push(Write::Delete { kind: Kind::Node, name, propagation, grace: None });
    });
}

fn node(name: &str, disk: &str, taints: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "disk": disk } },
        "spec": { "taints": taints },
        "status": { "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "110" } },
    })
}

/// The set's tree with another image.
fn with_image(world: &World, image: &str) -> Value {
    let mut tree = (*only(world.cluster()).spec.source).clone();
    tree["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
    tree
}

/// Rules C99, C102, C103, C109: a pod on every node, put there by the scheduler.
#[test]
fn every_node_gets_its_pod() {
    for latencies in ["ideal", "measured"] {
        let mut world = world_of(latencies, AGENT);
        world.step_until(at(60));
        let all: Vec<_> = world.cluster().nodes().ids().map(Some).collect();
        assert_eq!(nodes_of(&world), all, "{latencies}");
        assert_eq!(counts(&world), [5, 5, 0, 5, 5], "{latencies}");
    }
}

/// Rule C99: the template's node selector says which nodes; a label that comes later counts too
/// (rule C110), and one that goes takes the pod along.
#[test]
fn labels_say_which_nodes() {
    let agent = format!("{AGENT}      nodeSelector: {{ disk: ssd }}\n");
    let mut world = world_of("ideal", &agent);
    world.step_until(at(30));
    assert_eq!(counts(&world), [2, 2, 0, 2, 2]);
    write(&mut world, Kind::Node, node("late", "hdd", &json!([])), Write::Create);
    world.step_until(at(40));
    assert_eq!(counts(&world), [2, 2, 0, 2, 2]);
    write(&mut world, Kind::Node, node("late", "ssd", &json!([])), Write::Replace);
    world.step_until(at(50));
    assert_eq!(counts(&world), [3, 3, 0, 3, 3]);
    write(&mut world, Kind::Node, node("late", "hdd", &json!([])), Write::Replace);
    world.step_until(at(100));
    assert_eq!(counts(&world), [2, 2, 0, 2, 2]);
    assert_eq!(only(world.cluster()).pods.len(), 2);
}

/// A node that comes gets its pod, one whose taint nobody tolerates does not (rules C100, C110); of
/// one that goes the pod's object stays for the pod garbage collector (rule C175).
#[test]
fn nodes_come_and_go() {
    let mut world = world_of("ideal", AGENT);
    world.step_until(at(30));
    let taint = |key: &str, effect: &str| json!([{ "key": key, "value": "", "effect": effect }]);
    let tainted = taint("dedicated", "NoSchedule");
    write(&mut world, Kind::Node, node("tainted", "hdd", &tainted), Write::Create);
    let full = taint("node.kubernetes.io/disk-pressure", "NoSchedule");
    write(&mut world, Kind::Node, node("full", "hdd", &full), Write::Create);
    world.step_until(at(40));
    assert_eq!(counts(&world), [6, 6, 0, 6, 6]);
    delete_node(&mut world, "full");
    world.step_until(at(50));
    assert_eq!(only(world.cluster()).pods.len(), 6);
    // NoExecute that nobody tolerates: the pod goes by the controller's hand.
    let lost = taint("dedicated", "NoExecute");
    let name = |world: &World, id: usize| {
        let (_, node) = world.cluster().nodes().enumerate().nth(id).expect("it is there");
        world.cluster().names().resolve(node.spec.name).to_owned()
    };
    let first = name(&world, 0);
    write(&mut world, Kind::Node, node(&first, "hdd", &lost), Write::Replace);
    world.step_until(at(120));
    assert_eq!(counts(&world)[..3], [4, 4, 0]);
}

/// Rule C112: a pod that waits for a node that is gone goes.
#[test]
fn a_pod_that_waits_for_a_node_that_is_gone_goes() {
    let agent = AGENT.replace("1500m", "3");
    let mut world = world_of("ideal", &agent);
    world.step_until(at(30));
    // Three nodes have too little: their pods wait, counted as current (rule C109).
    assert_eq!(counts(&world), [5, 5, 0, 2, 5]);
    let waiting = pods(world.cluster()).find(|pod| pod.node.is_none()).expect("three wait");
    let message = waiting.unschedulable.as_deref().expect("it was tried").to_owned();
    assert!(
        message.starts_with(
            "0/5 nodes are available: 1 Insufficient cpu, 4 node(s) didn't satisfy plugin(s) \
             [NodeAffinity]."
        ),
        "{message}"
    );
    let cluster = world.cluster();
    let name = cluster.nodes()[waiting.pinned.expect("a daemon's pod")].spec.name;
    let name = cluster.names().resolve(name).to_owned();
    delete_node(&mut world, &name);
    // Nobody tells the controller (rule C110): it sees it when it looks for another reason.
    write(&mut world, Kind::Node, node("late", "hdd", &json!([])), Write::Create);
    world.step_until(at(40));
    assert_eq!(counts(&world), [5, 5, 0, 3, 5]);
    assert_eq!(only(world.cluster()).pods.len(), 5);
}

/// Rule C106: one node after another by default; C113: both revisions are kept, and going back
/// numbers the first one anew.
#[test]
fn an_update_goes_from_node_to_node() {
    let mut world = world_of("ideal", AGENT);
    world.step_until(at(30));
    let tree = with_image(&world, "agent:v2");
    write(&mut world, Kind::DaemonSet, tree, Write::Replace);
    let mut fewest = 5;
    for second in 31..200 {
        world.step_until(at(second));
        fewest = fewest.min(counts(&world)[3]);
    }
    assert_eq!((fewest, counts(&world)), (4, [5, 5, 0, 5, 5]));
    let numbers = |world: &World| -> Vec<u32> {
        only(world.cluster()).revisions.iter().map(|revision| revision.number).collect()
    };
    assert_eq!(numbers(&world), [1, 2]);
    let tree = with_image(&world, "agent:v1");
    write(&mut world, Kind::DaemonSet, tree, Write::Replace);
    world.step_until(at(400));
    assert_eq!((numbers(&world), counts(&world)), (vec![3, 2], [5, 5, 0, 5, 5]));
}

/// Rule C108: with surge the new pod is there before the old one goes.
#[test]
fn with_surge_no_node_is_without() {
    let agent = AGENT.replace("1500m", "500m").replace(
        "  selector:",
        "  updateStrategy: { type: RollingUpdate, rollingUpdate: { maxSurge: 40%, maxUnavailable: 0 } }
  selector:",
    );
    let mut world = world_of("ideal", &agent);
    world.step_until(at(30));
    let tree = with_image(&world, "agent:v2");
    write(&mut world, Kind::DaemonSet, tree, Write::Replace);
    let (mut fewest, mut most) = (5, 5);
    for second in 31..200 {
        world.step_until(at(second));
        fewest = fewest.min(counts(&world)[3]);
        let alive = pods(world.cluster()).filter(|pod| pod.deletion.is_none()).count();
        most = most.max(alive);
    }
    assert_eq!((fewest, most, counts(&world)), (5, 7, [5, 5, 0, 5, 5]));
}

/// A critical daemon makes room on its node, and on no other (rule S172).
#[test]
fn a_daemon_preempts_on_its_own_node() {
    let agent = AGENT.replace(
        "      containers:",
        "      priorityClassName: system-node-critical\n      containers:",
    );
    let scenario =
        SCENARIO.replace("LATENCIES", "ideal").replace("[agent.yaml]", "[web.yaml, agent.yaml]");
    let web = crate::support::WEB.replace("REPLICAS", "4").replace("500m", "1500m");
    let files = [("scenario.yaml", &scenario), ("agent.yaml", &agent), ("web.yaml", &web)];
    let model = load_memory(&files.map(|(path, text)| (path, text.as_str()))).model;
    let mut world = begun(&model);
    world.step_until(at(120));
    assert_eq!(counts(&world), [5, 5, 0, 5, 5]);
}

/// Rule C8: a pod whose labels no longer match is let go and another one takes its place; with its
/// old labels it is taken back, and the younger one goes (rule C103).
#[test]
fn a_pod_is_released_and_taken_back() {
    let mut world = world_of("ideal", &AGENT.replace("1500m", "500m"));
    world.step_until(at(30));
    let pod = only(world.cluster()).pods[0];
    let pod = world.cluster().pods().refer(pod);
    let relabel = |world: &mut World, value: &str| {
        world.apply(|cluster, plan| {
            let mut intern = |text: &str| cluster.names_mut().intern(text);
            let (key, value) = (intern("app"), intern(value));
            let row = cluster.pod(pod).expect("it is there");
            let mut labels = cluster.template_of(row).labels.clone();
            labels.set(key, value);
            plan.push(Write::LabelPod { pod, labels });
        });
    };
    relabel(&mut world, "debugged");
    world.step_until(at(60));
    assert!(world.cluster().pod(pod).expect("it stays").owner.is_none());
    assert_eq!(counts(&world), [5, 5, 0, 5, 5]);
    relabel(&mut world, "agent");
    world.step_until(at(120));
    assert!(world.cluster().pod(pod).expect("it stays").owner.is_some());
    assert_eq!((only(world.cluster()).pods.len(), counts(&world)), (5, [5, 5, 0, 5, 5]));
}

/// Rule C107: a pod on a dead node is never replaced, and with one pod that may be missing the
/// update of all other nodes waits for it.
#[test]
fn a_dead_node_holds_an_update_up() {
    let mut world = world_of("ideal", AGENT);
    world.step_until(at(30));
    world.apply(|cluster, plan| {
        let node = cluster.nodes().ids().next().expect("there are some");
        plan.push(Write::NodeUp { node, is_up: false });
    });
    // By then the node is taken for lost: it wants no pod any more, and keeps the one it has.
    world.step_until(at(200));
    let tree = with_image(&world, "agent:v2");
    write(&mut world, Kind::DaemonSet, tree, Write::Replace);
    world.step_until(at(500));
    assert_eq!(counts(&world), [4, 4, 1, 4, 0]);
    let deleted: Vec<_> = pods(world.cluster()).filter(|pod| pod.deletion.is_some()).collect();
    assert_eq!(deleted.len(), 1);
}

/// The report counts a DaemonSet's pods as those of any workload.
#[test]
fn the_report_counts_its_pods() {
    let scenario = SCENARIO.replace("LATENCIES", "ideal");
    let model = load_memory(&[("scenario.yaml", &scenario), ("agent.yaml", AGENT)]).model;
    let options = Options { replications: 1, checks: true, ..Options::of(&model) };
    let experiment = experiment::run(&model, options, &|_| {}).expect("within all limits");
    let summary = &experiment.summary;
    assert_eq!(summary.value(&["workloads", "agent", "created"]), Some(5.0));
    let text = text::print(summary, &experiment.facts, &[]);
    assert!(text.contains("5 nodes, 1 workload"), "{text}");
}

/// Nodes come, go and change while a Deployment and a DaemonSet run on them: in the end every node
/// that is there has its pod, and nothing is left of the others.
#[test]
fn nothing_is_lost_while_nodes_come_and_go() {
    for (seed, latencies) in [(1, "ideal"), (2, "measured"), (3, "measured")] {
        let agent = AGENT.replace("1500m", "500m");
        let scenario = SCENARIO
            .replace("LATENCIES", latencies)
            .replace("[agent.yaml]", "[web.yaml, agent.yaml]");
        let web = crate::support::WEB.replace("REPLICAS", "4");
        let files = [("scenario.yaml", &scenario), ("agent.yaml", &agent), ("web.yaml", &web)];
        let model = load_memory(&files.map(|(path, text)| (path, text.as_str()))).model;
        let mut world = begun(&model);
        let mut state: u64 = seed;
        let mut below = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % bound
        };
        for second in 1..150 {
            world.step_until(at(second * 2));
            let name = format!("late-{}", below(6));
            let is_there = {
                let cluster = world.cluster();
                let symbol = cluster.names().get(&name);
                symbol.is_some_and(|symbol| cluster.node_named(symbol).is_some())
            };
            let disk = ["ssd", "hdd"][usize::from(below(2) == 0)];
            let effect = ["NoSchedule", "NoExecute", "PreferNoSchedule"];
            let effect = effect[usize::try_from(below(3)).expect("small")];
            let taint = json!([{ "key": "dedicated", "value": "", "effect": effect }]);
            let taints = if below(3) == 0 { taint } else { json!([]) };
            match (is_there, below(3)) {
                (false, _) => {
                    write(&mut world, Kind::Node, node(&name, disk, &taints), Write::Create);
                }
                (true, 0) => delete_node(&mut world, &name),
                (true, _) => {
                    write(&mut world, Kind::Node, node(&name, disk, &taints), Write::Replace);
                }
            }
        }
        world.step_until(at(590));
        let cluster = world.cluster();
        let is_free = |node: &seatrial::cluster::Node| {
            !node.is_gone
                && node.spec.taints.iter().all(|t| t.effect == TaintEffect::PreferNoSchedule)
        };
        let free = cluster.nodes().iter().filter(|node| is_free(node)).count();
        let status = only(cluster).status;
        assert_eq!((status.ready as usize, status.desired as usize), (free, free), "seed {seed}");
        for pod in pods(cluster) {
            let node = &cluster.nodes()[pod.node.expect("it is bound")];
            assert!(!node.is_gone, "seed {seed}: a pod on a node that is gone");
        }
    }
}
