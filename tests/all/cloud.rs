//! Node groups in whole runs: machines that come, fail, are interrupted and go (rules A126, A242,
//! A245, C164, C175), and what they cost.

use seatrial::cluster::{Cluster, InstanceState, Node, Readiness};
use seatrial::recorder::Facts;

use crate::support::{Stepped, WEB, ended};

/// Machines of 2 cores of which 1.9 are left, so that three pods of 500m fit with what else is
/// there; 10 s until one runs, 20 s more until its node is there, 5 s more until Ready.
fn scenario(group: &str, timeline: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster: {{ latencies: ideal }}
cloud:
  boot: {{ create: 10s, register: 20s, ready: 5s, delete: 30s }}
  instanceTypes:
    - {{ name: two, cpu: 2, memory: 8Gi, reserved: {{ cpu: 100m, memory: 1Gi }}, price: 0.36/h, spotPrice: 0.036/h }}
  nodeGroups:
    - {group}
apply: [web.yaml]
timeline: {timeline}
run: {{ until: 1h }}
"
    )
}

/// A run of `web` with so many replicas of half a core on a group.
fn run(group: &str, replicas: u32, timeline: &str) -> Stepped {
    Stepped::of(&scenario(group, timeline), replicas)
}

/// The nodes that are there, by name.
fn nodes(cluster: &Cluster) -> Vec<(String, &Node)> {
    let there = cluster.nodes().iter().filter(|node| !node.is_gone);
    there.map(|node| (cluster.names().resolve(node.spec.name).to_owned(), node)).collect()
}

fn names(cluster: &Cluster) -> Vec<String> {
    nodes(cluster).into_iter().map(|(name, _)| name).collect()
}

fn states(cluster: &Cluster) -> Vec<InstanceState> {
    cluster.cloud().instances().iter().map(|(_, machine)| machine.state).collect()
}

const GROUP: &str = "{ name: workers, instanceTypes: [two], max: 9, size: 1 }";

/// Rules A242, C164: a machine runs, then its Node is there with the taint of a node that is not
/// ready, then it is Ready and pods that waited run on it.
#[test]
fn a_machine_comes_step_by_step() {
    let mut run = run(GROUP, 6, "[{ at: 60s, cloud: { resize: { group: workers, to: 2 } } }]");
    let bound = |cluster: &Cluster| cluster.pods().iter().filter(|(_, p)| p.node.is_some()).count();
    let before = bound(run.to(59));
    assert_eq!(names(run.to(69)), ["workers-0"]);
    assert_eq!(states(run.to(69)), [InstanceState::Registered, InstanceState::Requested]);
    assert_eq!(states(run.to(71)), [InstanceState::Registered, InstanceState::Running]);
    let cluster = run.to(91);
    assert_eq!(names(cluster), ["workers-0", "workers-1"]);
    let added = nodes(cluster)[1].1;
    assert_eq!(added.condition, Readiness::False);
    assert!(added.spec.taints.iter().any(|taint| taint.key == cluster.node_keys().not_ready));
    assert_eq!(bound(cluster), before);
    let cluster = run.to(96);
    let added = nodes(cluster)[1].1;
    assert!(added.ready && added.spec.taints.is_empty(), "{:?}", added.spec.taints);
    assert!(bound(cluster) > before);
}

/// A group that shrinks gives up its oldest machine; the Node goes when it is not Ready any more
/// and the cloud knows no such machine (rules C162, C175), and its pods run elsewhere.
#[test]
fn a_machine_goes_and_its_node_after_it() {
    let group = GROUP.replace("size: 1", "size: 3");
    let mut run = run(&group, 4, "[{ at: 60s, cloud: { resize: { group: workers, to: 2 } } }]");
    assert_eq!(run.to(59).cloud().groups().iter().next().map(|group| group.target), Some(3));
    assert_eq!(names(run.to(89)).len(), 3);
    // Off at 90 s; silent for 50 s at the latest at 145 s; the Node goes within 5 s.
    let cluster = run.to(160);
    assert_eq!(names(cluster), ["workers-1", "workers-2"]);
    assert_eq!(cluster.cloud().instances().len(), 2);
    let cluster = run.to(300);
    assert_eq!(cluster.pod_counts().running, 4);
    cluster.check_invariants();
}

/// Names are not used again, and a group that may not have what it wants tries again later.
#[test]
fn launches_that_fail_are_tried_again() {
    let group = "{ name: workers, instanceTypes: [two], max: 9, size: 0, failures: { outOfResources: 100% } }";
    let mut run = run(group, 1, "[{ at: 60s, cloud: { resize: { group: workers, to: 1 } } }]");
    assert_eq!(states(run.to(71)), [InstanceState::Failed]);
    let failed = run.to(71).cloud().instances().iter().next().map(|(_, m)| (m.serial, m.error));
    assert_eq!(failed, Some((0, Some(seatrial::cluster::LaunchError::OutOfResources))));
    // Given up at 130 s; the next one is asked for at once and fails 10 s later.
    assert_eq!(states(run.to(131)), [InstanceState::Requested]);
    assert_eq!(states(run.to(141)), [InstanceState::Failed]);
}

/// A group spreads over zones, and takes another zone where there are none to be had.
#[test]
fn zones_are_balanced_as_far_as_there_are_machines() {
    let group = "{ name: workers, instanceTypes: [two], max: 9, size: 2, zones: [a, b, c] }";
    let timeline = "[{ at: 10s, cloud: { scarce: { zone: c } } }, \
                    { at: 60s, cloud: { resize: { group: workers, to: 4 } } }, \
                    { at: 300s, cloud: { plenty: { zone: c } } }, \
                    { at: 301s, cloud: { resize: { group: workers, to: 5 } } }]";
    let mut run = run(group, 1, timeline);
    let zones = |cluster: &Cluster| {
        let zone =
            |node: &Node| node.spec.zone.map(|zone| cluster.names().resolve(zone).to_owned());
        nodes(cluster).into_iter().filter_map(|(_, node)| zone(node)).collect::<String>()
    };
    assert_eq!(zones(run.to(1)), "ab");
    assert_eq!(zones(run.to(200)), "abab");
    assert_eq!(zones(run.to(400)), "ababc");
}

/// Two minutes after the notice a spot machine is off; its node is drained meanwhile, and its
/// group replaces it.
#[test]
fn a_spot_machine_is_interrupted() {
    let group = "{ name: workers, instanceTypes: [two], max: 9, size: 2, capacity: spot }";
    let mut run = run(group, 2, "[{ at: 60s, cloud: { interrupt: { count: 1 } } }]");
    let cluster = run.to(62);
    assert!(nodes(cluster)[0].1.spec.unschedulable, "a node that is drained is cordoned");
    assert_eq!(cluster.pod_counts().running, 2, "its pods run on the other node");
    assert_eq!(states(run.to(179)), [InstanceState::Registered; 2]);
    // 180 s: off, and another one asked for; 215 s: that is Ready.
    let cluster = run.to(250);
    assert_eq!(names(cluster), ["workers-1", "workers-2"]);
    assert_eq!(cluster.cloud().groups().iter().next().map(|group| group.target), Some(2));
}

fn finished(group: &str, timeline: &str) -> Facts {
    let scenario = scenario(group, timeline);
    let web = WEB.replace("REPLICAS", "2");
    ended(&[("scenario.yaml", scenario.as_str()), ("web.yaml", &web)]).1
}

/// Money by the second, from the instant a machine runs until it is off.
#[test]
fn machines_cost_what_they_ran() {
    let facts = finished(GROUP, "[]");
    assert!((facts.machines.all.cost.as_usd() - 0.36).abs() < 1e-15);
    // Two pods of 500m of 1900m and 256 of 7168 MiB: 0.36 USD · 2 · (0.2632 + 0.0357) / 2
    let asked = facts.pods.all.cost_requested.as_usd();
    assert!((asked - 0.36 * (500.0 / 1900.0 + 256.0 / 7168.0)).abs() < 1e-9, "{asked}");
    let facts = finished(
        GROUP,
        "[{ at: 600s, cloud: { resize: { group: workers, to: 2 } } }, { at: 1200s, cloud: { resize: { group: workers, to: 1 } } }]",
    );
    // One runs all 3600 s or to 1230 s, the other from 610 s: 1230 + 2990 s at 0.0001 USD
    assert!((facts.machines.all.cost.as_usd() - 0.422).abs() < 1e-12);
    assert_eq!((facts.machines.all.ran, facts.machines.all.ended), (2, 1));
}
