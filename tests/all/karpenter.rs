//! Karpenter in whole runs: it buys machines for pods that wait, removes and replaces nodes, and
//! makes room before a spot machine is taken back (rules A185, A186, A196, A200, A207, A215, A219,
//! A220).

use seatrial::cluster::{Cluster, InstanceState};
use seatrial::model::CapacityType;

use crate::support::{Stepped, WEB, tell};

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

/// The pool declared anew at ten minutes: machines of such types on demand, and these keys.
fn declared(types: &str, keys: &str) -> String {
    format!(
        "[{{ at: 10m, cloud: {{ nodePool: {{ name: default, requirements: [\
         {{ key: node.kubernetes.io/instance-type, operator: In, values: [{types}] }}, \
         {{ key: karpenter.sh/capacity-type, operator: In, values: [on-demand] }}]{keys} }} }} }}]"
    )
}

/// Rule A217: nodes are no longer what their pool's template says; the replacement is up before the
/// old one is emptied.
#[test]
fn a_drifted_node_is_replaced() {
    let mut run = run(ON_DEMAND, 6, &declared("two, four, eight", ", labels: { tier: new }"));
    assert_eq!(machines(run.to(599)).len(), 1);
    // Asked for within 10 s, Ready 35 s later; the node controller's taint goes within 5 s.
    assert_eq!(machines(run.to(620)).len(), 2);
    assert_eq!(bound(run.to(640)), 6);
    let cluster = run.to(760);
    assert_eq!((machines(cluster).len(), bound(cluster)), (1, 6));
    let names = cluster.names();
    let (tier, new) = (names.get("tier").expect("a label"), names.get("new").expect("a value"));
    let nodes = cluster.nodes().iter().filter(|node| !node.is_gone);
    assert_eq!(nodes.map(|node| node.spec.labels.get(tier)).collect::<Vec<_>>(), [Some(new)]);
}

/// Rule A217: the labels of the machine do not meet what is asked of it now.
#[test]
fn a_node_that_does_not_meet_new_requirements_is_replaced() {
    let mut run = run(ON_DEMAND, 6, &declared("eight", ""));
    let kinds = |cluster: &Cluster| {
        machines(cluster).into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(kinds(run.to(599)), ["four"]);
    let cluster = run.to(760);
    assert_eq!((kinds(cluster), bound(cluster)), (vec!["eight".to_owned()], 6));
}

/// Rule A217: weight, limits, budgets and consolidation do not make a node drift.
#[test]
fn a_pool_may_change_without_drift() {
    let mut run = run(ON_DEMAND, 6, &declared("four", ", weight: 9, limits: { cpu: 99 }"));
    let before = machines(run.to(599));
    assert_eq!(machines(run.to(760)), before);
}

/// Twelve pods of 900m, two of which fit on the smallest machine, that would rather be one to a
/// node; ten minutes later the pool's nodes drift, whatever the budget.
fn spread(policy: &str) -> Stepped {
    let keys = ", labels: { tier: new }, budgets: [{ nodes: 100% }]";
    let text = scenario(ON_DEMAND, &declared("two", keys))
        .replace("values: [two, four, eight]", "values: [two]")
        .replace("  karpenter:\n", &format!("  karpenter:\n    preferencePolicy: {policy}\n"));
    let spread = "      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: { matchLabels: { app: web } }
      containers:\n";
    let web = WEB.replace("REPLICAS", "12").replace("cpu: 500m", "cpu: 900m");
    let web = web.replace("      containers:\n", spread);
    Stepped::read(&[("scenario.yaml", &text), ("web.yaml", &web)])
}

/// Rules A191, A211, A217: what pods prefer holds as if they required it while a place can be made
/// that suits them. Replacements of drifted nodes are made one to a pod that would rather be alone,
/// and half-empty as they are, none goes: its pod would need a new machine at the same price.
#[test]
fn a_preferred_spread_keeps_half_empty_nodes() {
    let mut run = spread("Respect");
    let cluster = run.to(7_000);
    assert_eq!((machines(cluster).len(), bound(cluster)), (12, 12));
}

/// Rule A191: with preferences ignored the same pods share nodes, before the drift and after it.
#[test]
fn ignored_preferences_let_pods_share_nodes() {
    let mut run = spread("Ignore");
    assert_eq!(machines(run.to(599)).len(), 6);
    let cluster = run.to(7_000);
    assert_eq!((machines(cluster).len(), bound(cluster)), (6, 12));
}

/// Rules N164, A186: before the first machine is there no pod of the Service is ready; no node is
/// down.
#[test]
fn calls_before_the_first_node_find_no_ready_pod() {
    let traffic = "traffic: [{ name: users, to: service/web, rate: 10/s, timeout: 1s }]\nrun:";
    let text = scenario(ON_DEMAND, "[]").replace("run:", traffic).replace("until: 2h", "until: 2m");
    let told = tell(&[("scenario.yaml", &text), ("web.yaml", &WEB.replace("REPLICAS", "2"))]);
    let calls = |cause| told.number(&["services", "web", "calls", "by_cause", cause]);
    assert!(calls("no_ready_pod") > 300.0);
    assert!(calls("node_down") < 1.0);
}

const PDB: &str = "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { maxUnavailable: 0, selector: { matchLabels: { app: web } } }
";

/// Nodes expire after ten minutes, and no pod may be evicted.
fn expiring(more: &str) -> Stepped {
    let text = scenario(ON_DEMAND, "[]")
        .replace("apply: [web.yaml]", "apply: [web.yaml, more.yaml]")
        .replace(
            "- name: default\n",
            &format!("- name: default\n        expireAfter: 10m\n{more}"),
        );
    Stepped::with(&text, 6, PDB)
}

/// Rules A218, A220: a budget holds an expired node for ever, unless it has a grace period: then
/// its pods are told to end early enough to have their own, and it is gone at its end.
#[test]
fn the_grace_period_of_a_node_passes_over_budgets() {
    // The machine was asked for at 1 s.
    let mut held = expiring("");
    let old = machines(held.to(599));
    assert_eq!(machines(held.to(3_600)), old);
    let mut run = expiring("        terminationGracePeriod: 2m\n");
    assert_eq!((machines(run.to(685)), bound(run.to(685))), (old.clone(), 6));
    let cluster = run.to(700);
    let states = machines(cluster).into_iter().map(|(.., state)| state).collect::<Vec<_>>();
    assert!(states.contains(&InstanceState::Deleting), "{states:?}");
    let cluster = run.to(800);
    assert_eq!((machines(cluster), bound(cluster)), (old, 6));
}

const NODE_POOL: &str = "apiVersion: karpenter.sh/v1
kind: NodePool
metadata: { name: batch }
spec:
  weight: 10
  limits: { cpu: 100, memory: 400Gi }
  template:
    metadata: { labels: { tier: batch } }
    spec:
      nodeClassRef: { group: karpenter.k8s.aws, kind: EC2NodeClass, name: default }
      requirements:
      - { key: node.kubernetes.io/instance-type, operator: In, values: [eight] }
      - { key: karpenter.sh/capacity-type, operator: In, values: [on-demand] }
      expireAfter: 24h
      terminationGracePeriod: 1h
  disruption:
    consolidationPolicy: WhenEmpty
    consolidateAfter: 1m
    budgets: [{ nodes: 20% }, { nodes: '0', schedule: '0 9 * * *', duration: 8h }]
";

/// NodePools of the manifests come to those of the scenario; the heavier is taken (rule A189).
#[test]
fn pools_of_the_manifests_count() {
    let text = scenario(ON_DEMAND, "[]").replace("[web.yaml]", "[web.yaml, more.yaml]");
    let mut run = Stepped::with(&text, 6, NODE_POOL);
    let asked = [("eight".to_owned(), CapacityType::OnDemand, InstanceState::Requested)];
    assert_eq!(machines(run.to(2)), asked);
}

/// Rule A217 by a command: a merge patch of the pool makes its nodes drift, as `cloud: { nodePool }`
/// does.
#[test]
fn kubectl_patches_a_pool() {
    let timeline = "[{ at: 10m, run: \"kubectl patch nodepool default --type=merge -p 'spec: { \
                    template: { metadata: { labels: { tier: new } } } }'\" }]";
    let mut run = run(ON_DEMAND, 6, timeline);
    assert_eq!(machines(run.to(599)).len(), 1);
    assert_eq!(machines(run.to(620)).len(), 2);
    let cluster = run.to(760);
    assert_eq!((machines(cluster).len(), bound(cluster)), (1, 6));
    let names = cluster.names();
    let (tier, new) = (names.get("tier").expect("a label"), names.get("new").expect("a value"));
    let nodes = cluster.nodes().iter().filter(|node| !node.is_gone);
    assert_eq!(nodes.map(|node| node.spec.labels.get(tier)).collect::<Vec<_>>(), [Some(new)]);
}

const SECOND: &str = "apiVersion: karpenter.sh/v1
kind: NodePool
metadata: { name: second }
spec:
  template:
    spec:
      requirements:
        - { key: node.kubernetes.io/instance-type, operator: In, values: [eight] }
        - { key: karpenter.sh/capacity-type, operator: In, values: [on-demand] }
";

/// A pool that a command creates buys machines; the nodes of one that is deleted are emptied and
/// go after it.
#[test]
fn kubectl_creates_and_deletes_pools() {
    let timeline = "[{ at: 10m, run: kubectl apply -f more.yaml }, \
                    { at: 11m, run: kubectl delete nodepool default }]";
    let mut run = Stepped::with(&scenario(ON_DEMAND, timeline), 6, SECOND);
    let kinds = |cluster: &Cluster| {
        machines(cluster).into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(kinds(run.to(659)), ["four"]);
    let cluster = run.to(800);
    assert_eq!((kinds(cluster), bound(cluster)), (vec!["eight".to_owned()], 6));
}
