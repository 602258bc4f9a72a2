//! Cluster Autoscaler in whole runs: it asks node groups for machines when pods wait, and takes
//! nodes away that are not needed (rules A118, A119, A133, A137, A157, A159, A160, A167, A178 to
//! A180, A183).

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Cluster, InstanceState};
use seatrial::explain::{Question, explain};

use crate::support::{Stepped, load_memory};

/// A group of machines of 2 cores, of each of which 100m are kept; 10 s until one runs, 20 s more
/// until its node is there, 5 s more until Ready.
fn scenario(group: &str, flags: &str, timeline: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster: {{ latencies: ideal }}
cloud:
  boot: {{ create: 10s, register: 20s, ready: 5s, delete: 30s }}
  instanceTypes:
    - {{ name: two, cpu: 2, memory: 8Gi, reserved: {{ cpu: 100m, memory: 1Gi }}, price: 0.10/h }}
  nodeGroups:
    - {{ name: workers, instanceTypes: [two], {group} }}
  clusterAutoscaler: {{ {flags} }}
apply: [web.yaml]
timeline: {timeline}
run: {{ until: 2h }}
"
    )
}

fn run(group: &str, flags: &str, replicas: u32, timeline: &str) -> Stepped {
    Stepped::of(&scenario(group, flags, timeline), replicas)
}

/// How many machines are there that nobody deletes.
fn machines(cluster: &Cluster) -> usize {
    let rows = cluster.cloud().instances().iter();
    rows.filter(|(_, machine)| machine.state != InstanceState::Deleting).count()
}

fn bound(cluster: &Cluster) -> usize {
    cluster.pods().iter().filter(|(_, pod)| pod.node.is_some()).count()
}

/// The names of the taints of a node.
fn taints(cluster: &Cluster, node: &str) -> Vec<String> {
    let name = cluster.names().get(node).expect("a known name");
    let node = cluster.node_named(name).expect("it is there");
    let keys = cluster.nodes()[node].spec.taints.iter().map(|taint| taint.key);
    keys.map(|key| cluster.names().resolve(key).to_owned()).collect()
}

/// Rules A118, A119, A133: a pod without place starts an iteration at once, which declines since
/// all pods are younger than 2 s; the next one is 10 s later. Three pods of 500m fit on a machine.
#[test]
fn pods_that_wait_get_machines() {
    let mut run = run("min: 1, max: 5", "", 9, "[]");
    assert_eq!((machines(run.to(9)), bound(run.to(9))), (1, 3));
    assert_eq!(machines(run.to(10)), 3);
    assert_eq!(bound(run.to(44)), 3);
    // Ready at 45 s; the node controller, which looks every 5 s, has taken its taint off by 51 s.
    assert_eq!((machines(run.to(51)), bound(run.to(51))), (3, 9));
}

/// Rule A136: a group does not grow above its largest size.
#[test]
fn a_group_has_a_largest_size() {
    let mut run = run("min: 1, max: 2", "", 9, "[]");
    assert_eq!((machines(run.to(600)), bound(run.to(600))), (2, 6));
}

/// Rules A159, A160, A167, A183: a node that is not needed gets the soft taint, and goes when it
/// has not been needed for longer than 10 min.
#[test]
fn a_node_that_is_not_needed_goes() {
    let timeline = "[{ at: 1h, run: kubectl scale deployment/web --replicas=3 }]";
    let mut run = run("min: 1, max: 5", "", 9, timeline);
    assert_eq!(machines(run.to(3599)), 3);
    let soft = "DeletionCandidateOfClusterAutoscaler";
    let marked = |cluster: &Cluster| {
        let all = ["workers-0", "workers-1", "workers-2"];
        all.iter().filter(|name| taints(cluster, name).iter().any(|key| key == soft)).count()
    };
    assert_eq!(marked(run.to(3615)), 2);
    assert_eq!(machines(run.to(3600 + 600)), 3);
    assert_eq!(machines(run.to(3600 + 660)), 1);
    assert_eq!(bound(run.to(3600 + 900)), 3);
}

/// Rules A178 to A180: a node whose pods fit elsewhere is tainted and cordoned, its pods are
/// evicted 5 s later, then its machine is deleted; no more than one such node at a time.
#[test]
fn a_node_is_emptied_before_it_goes() {
    // two groups of pods: 3 a node at first, then one on each of three nodes
    let timeline = "[{ at: 1h, run: kubectl scale deployment/web --replicas=4 }]";
    let mut run = run("min: 1, max: 5", "scale-down-utilization-threshold: 0.6", 9, timeline);
    assert_eq!(bound(run.to(3599)), 9);
    let cluster = run.to(3600 + 1500);
    assert_eq!((machines(cluster), bound(cluster)), (2, 4));
}

/// Rule A162: a node that an annotation keeps stays, until the annotation goes.
#[test]
fn a_node_with_the_annotation_stays() {
    let key = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
    let timeline = format!(
        "[{{ at: 30m, run: kubectl annotate node workers-1 {key}=true }}, \
          {{ at: 1h, run: kubectl scale deployment/web --replicas=0 }}, \
          {{ at: 90m, run: kubectl annotate node workers-1 {key}- }}]"
    );
    let mut run = run("min: 0, max: 5", "", 9, &timeline);
    assert_eq!(machines(run.to(3600)), 3);
    let is_there = |cluster: &Cluster| {
        let name = cluster.names().get("workers-1").expect("a known name");
        cluster.node_named(name).is_some_and(|node| !cluster.nodes()[node].is_gone)
    };
    assert!(is_there(run.to(5399)));
    assert_eq!(machines(run.to(5399)), 1);
    assert_eq!(machines(run.to(7100)), 0);
}

/// Rule A126: with a startup taint nodes never get ready for the autoscaler, however ready they are:
/// it does not take them for nodes that pods could go to.
#[test]
fn a_startup_taint_makes_a_node_unready() {
    let group = "min: 1, max: 5, taints: [{ key: warming, effect: PreferNoSchedule }]";
    let timeline = "[{ at: 1h, run: kubectl scale deployment/web --replicas=1 }]";
    let flags = "startup-taint: [warming], scale-down-unready-enabled: false";
    let mut run = run(group, flags, 9, timeline);
    assert_eq!(machines(run.to(3599)), 3);
    assert_eq!(machines(run.to(7100)), 3);
    let mut run = Stepped::of(&scenario(group, "", timeline), 9);
    assert_eq!(machines(run.to(7100)), 1);
}

/// Flag `scale-down-enabled`.
#[test]
fn nodes_stay_if_they_are_told_to() {
    let timeline = "[{ at: 1h, run: kubectl scale deployment/web --replicas=1 }]";
    let mut run = run("min: 1, max: 5", "scale-down-enabled: false", 9, timeline);
    assert_eq!(machines(run.to(7100)), 3);
}

/// Rule A157: a machine that could not be had is given up at once, and the group backed off.
#[test]
fn a_group_that_fails_is_left_alone_for_a_while() {
    let timeline = "[{ at: 0s, cloud: { scarce: { group: workers } } }, \
                     { at: 4m, cloud: { plenty: { group: workers } } }]";
    let mut run = run("min: 1, max: 5", "", 6, timeline);
    assert_eq!(machines(run.to(15)), 2);
    // Failed at 20 s and given up; backed off for 5 min, and asked again then.
    assert_eq!(machines(run.to(40)), 1);
    assert_eq!(machines(run.to(310)), 1);
    assert_eq!((machines(run.to(335)), bound(run.to(400))), (2, 6));
}

/// Rules A136, A171, A173: a pod without a controller, and one that says so, keep their node;
/// `explain` says of a pod why no group helped it.
#[test]
fn a_pod_hears_why_no_group_helps() {
    let big = "apiVersion: v1
kind: Pod
metadata: { name: big }
spec: { containers: [{ name: app, image: app:1, resources: { requests: { cpu: 7 } } }] }
";
    let text = scenario("min: 1, max: 5", "", "[]").replace("until: 2h", "until: 5m");
    let files = [("scenario.yaml", text.as_str()), ("web.yaml", big)];
    let model = load_memory(&files).model;
    let question = Question { pod: "big", at: None, replication: 0, policies: Vec::new() };
    let answer = explain(&model, question).expect("it is there");
    let at = SimTime::ZERO + Duration::secs(10);
    let said = "pod didn't trigger scale-up: 1 Insufficient cpu".to_owned();
    assert_eq!(answer.scale_ups, [(at, said)]);
    assert!(answer.text().contains("CLUSTER AUTOSCALER"), "{}", answer.text());
}

/// Rules A130, A132: pods of a low priority, but not below the cut-off, hold room and get nodes;
/// below it they are as if they were not there.
#[test]
fn pods_below_the_cut_off_get_no_nodes() {
    let asked = |cutoff: i32| {
        let flags = format!("expendable-pods-priority-cutoff: {cutoff}");
        let mut run = run("min: 1, max: 5", &flags, 9, "[]");
        machines(run.to(60))
    };
    assert_eq!((asked(-10), asked(1)), (3, 1));
}
