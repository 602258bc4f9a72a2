//! Karpenter in whole runs: it buys machines for pods that wait, removes and replaces nodes, and
//! makes room before a spot machine is taken back (rules A185, A186, A196, A200, A207, A215, A219,
//! A220).

use seatrial::cluster::{Cluster, InstanceState};
use seatrial::model::CapacityType;

use crate::support::Stepped;

/// Machines of 2, 4 and 8 cores, of each of which 100m are kept; 10 s until one runs, 20 s more
/// until its node is there, 5 s more until Ready.
fn scenario(capacity: &str, timeline: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster: {{ latencies: ideal }}
cloud:
  boot: {{ create: 10s, register: 20s, ready: 5s, delete: 30s }}
  zones: [a, b]
  instanceTypes:
    - {{ name: two, cpu: 2, memory: 8Gi, reserved: {{ cpu: 100m, memory: 1Gi }}, price: 0.10/h, spotPrice: 0.03/h }}
    - {{ name: four, cpu: 4, memory: 16Gi, reserved: {{ cpu: 100m, memory: 1Gi }}, price: 0.20/h, spotPrice: 0.06/h }}
    - {{ name: eight, cpu: 8, memory: 32Gi, reserved: {{ cpu: 100m, memory: 1Gi }}, price: 0.40/h, spotPrice: 0.12/h }}
  karpenter:
    nodePools:
      - name: default
        requirements:
          - {{ key: node.kubernetes.io/instance-type, operator: In, values: [two, four, eight] }}
          - {{ key: karpenter.sh/capacity-type, operator: In, values: [{capacity}] }}
apply: [web.yaml]
timeline: {timeline}
run: {{ until: 2h }}
"
    )
}

fn run(capacity: &str, replicas: u32, timeline: &str) -> Stepped {
    Stepped::of(&scenario(capacity, timeline), replicas)
}

/// Its machines: type, way of paying, state.
fn machines(cluster: &Cluster) -> Vec<(String, CapacityType, InstanceState)> {
    let label = cluster.names().get("node.kubernetes.io/instance-type").expect("a known label");
    let kind = |offer: &seatrial::model::Offer| {
        offer.node.labels.get(label).map(|name| cluster.names().resolve(name).to_owned())
    };
    let rows = cluster.cloud().instances().iter();
    rows.map(|(_, machine)| {
        let offer = machine.offer.as_ref().unwrap_or(&machine.offers[0]);
        (kind(offer).unwrap_or_default(), offer.capacity, machine.state)
    })
    .collect()
}

fn bound(cluster: &Cluster) -> usize {
    cluster.pods().iter().filter(|(_, pod)| pod.node.is_some()).count()
}

const ON_DEMAND: &str = "on-demand";

/// Rules A185, A186: pods that found no place at 0 s are collected until 1 s, then a machine is
/// asked for that has room for all of them: 6 pods of 500m need 3 cores.
#[test]
fn pods_that_wait_get_the_cheapest_machine_that_holds_them() {
    let mut run = run(ON_DEMAND, 6, "[]");
    assert_eq!(machines(run.to(0)), []);
    let asked = [("four".to_owned(), CapacityType::OnDemand, InstanceState::Requested)];
    assert_eq!(machines(run.to(2)), asked);
    assert_eq!(bound(run.to(35)), 0);
    // Ready at 36 s; the node controller, which looks every 5 s, takes its taint off at 40 s.
    assert_eq!((bound(run.to(40)), bound(run.to(41))), (0, 6));
    assert_eq!(machines(run.to(60)).len(), 1);
}

/// Rule A196: a pool that may have both gets spot machines; rule A220: at the notice of an
/// interruption the node is emptied and its pods get another machine.
#[test]
fn an_interrupted_machine_makes_room_before_it_goes() {
    let timeline = "[{ at: 10m, cloud: { interrupt: { zone: a } } }, \
                     { at: 10m, cloud: { interrupt: { zone: b } } }]";
    let mut run = run("on-demand, spot", 6, timeline);
    let there = [("four".to_owned(), CapacityType::Spot, InstanceState::Registered)];
    assert_eq!(machines(run.to(599)), there);
    let cluster = run.to(615);
    assert_eq!(machines(cluster).len(), 2, "{:?}", machines(cluster));
    let cluster = run.to(700);
    assert_eq!(bound(cluster), 6);
    assert_eq!(machines(cluster), there);
}

/// Rules A200, A207, A215: a node without pods is found by the loop every 10 s, and goes 15 s later.
#[test]
fn an_empty_node_goes() {
    let timeline = "[{ at: 10m, run: kubectl scale deployment/web --replicas=0 }]";
    let mut run = run(ON_DEMAND, 6, timeline);
    assert_eq!(machines(run.to(599)).len(), 1);
    let doomed = |cluster: &Cluster| {
        machines(cluster).iter().all(|(.., state)| *state == InstanceState::Deleting)
    };
    assert!(!doomed(run.to(614)));
    assert!(doomed(run.to(700)));
    assert_eq!(machines(run.to(720)), []);
}

/// Rules A212, A215, A219: a node that is too large is replaced by a cheaper one, which is up
/// before the old one is emptied: no pod ever waits.
#[test]
fn a_node_that_is_too_large_is_replaced() {
    let timeline = "[{ at: 10m, run: kubectl scale deployment/web --replicas=2 }]";
    let mut run = run(ON_DEMAND, 12, timeline);
    let names = |cluster: &Cluster| {
        machines(cluster).into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(run.to(599)), ["eight"]);
    assert_eq!(names(run.to(640)), ["eight", "two"]);
    assert_eq!(bound(run.to(650)), 2);
    let cluster = run.to(760);
    assert_eq!((names(cluster), bound(cluster)), (vec!["two".to_owned()], 2));
}
