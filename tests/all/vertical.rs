//! VerticalPodAutoscalers in whole runs: recommendation, admission of new pods, evictions with
//! budgets (rules A77, A102, A105, A108 to A110, A114, A115).

use seatrial::cluster::Cluster;
use seatrial::manifest::Loader;
use seatrial::recorder::Facts;
use seatrial::scenario::{Place, load};

use crate::support::ended;

const SCENARIO: &str = "
apiVersion: seatrial/v1
kind: Scenario
name: tight
cluster:
  nodes: [{ pool: workers, count: 3, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: ideal
behaviors:
  - for: deployment/web
    cpuIdle: 200m
    memory: 300Mi
apply: [web.yaml]
run: { until: 20m }
";

fn manifests(policy: &str, more: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: 4
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec:
      containers:
        - name: app
          image: web:1
          resources:
            requests: {{ cpu: 50m, memory: 100Mi }}
            limits: {{ cpu: 100m }}
---
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: {{ name: web }}
spec:
  targetRef: {{ apiVersion: apps/v1, kind: Deployment, name: web }}
  updatePolicy: {policy}
{more}"
    )
}

fn run(policy: &str, more: &str) -> (Cluster, Facts) {
    run_of(SCENARIO, &manifests(policy, more))
}

fn run_of(scenario: &str, web: &str) -> (Cluster, Facts) {
    ended(&[("scenario.yaml", scenario), ("web.yaml", web)])
}

/// Requests and limits of CPU of the pods that are there, in millicores.
fn cpus(cluster: &Cluster) -> Vec<(i64, Option<i64>)> {
    let of = |pod| {
        let container = &cluster.template_of(pod).template.spec.containers[0];
        (container.requests.cpu.0, container.cpu_limit.map(|limit| limit.0))
    };
    cluster.pods().iter().map(|(_, pod)| of(pod)).collect()
}

fn evicted(facts: &Facts) -> (u32, u32) {
    let rows = &facts.verticals;
    (rows.iter().map(|row| row.evicted).sum(), rows.iter().map(|row| row.refused).sum())
}

#[test]
fn it_replaces_pods_that_ask_for_too_little() {
    let (cluster, facts) = run("{ updateMode: Recreate }", "");
    let target = facts.verticals.last().expect("it recommends").target.cpu.expect("CPU");
    assert!((230..=250).contains(&target), "A85, A95: {target}");
    assert_eq!(cpus(&cluster), [(target, Some(2 * target)); 4], "A114, A115");
    assert_eq!(evicted(&facts), (4, 0), "A105: too low is outside of the bounds");
    let first = facts.verticals.iter().find(|row| row.evicted > 0).expect("it evicts");
    assert_eq!(first.evicted, 2, "A109: half of four in a loop");
}

#[test]
fn modes_and_bounds_are_kept() {
    let (cluster, facts) = run("{ updateMode: Initial }", "");
    assert_eq!((cpus(&cluster), evicted(&facts)), (vec![(50, Some(100)); 4], (0, 0)), "A102");
    let (_, facts) = run("{ updateMode: Recreate, minReplicas: 5 }", "");
    assert_eq!(evicted(&facts), (0, 0), "A108");
    let down = "{ updateMode: Recreate, evictionRequirements: [{ resources: [cpu], changeRequirement: TargetLowerThanRequests }] }";
    assert_eq!(evicted(&run(down, "").1), (0, 0), "A107");
    let capped = "  resourcePolicy: { containerPolicies: [{ containerName: '*', maxAllowed: { cpu: 120m }, controlledResources: [cpu], controlledValues: RequestsOnly }] }";
    let (cluster, _) = run("{ updateMode: Auto }", capped);
    assert_eq!(cpus(&cluster), [(100, Some(100)); 4], "A100, A115: bound, and below the limit");
}

/// Rules A91, A92, A105: a container that was killed for its memory gets 100 MiB more than it asked
/// for or had, and its pod is replaced soon.
#[test]
fn a_kill_for_memory_raises_what_is_asked_for() {
    let leaks = SCENARIO.replace("memory: 300Mi", "memory: 60Mi\n    leak: 1Mi");
    let web = manifests("{ updateMode: Recreate }", "");
    let memory = |web: &str| {
        let (_, facts) = run_of(&leaks, web);
        let targets = facts.verticals.iter().filter_map(|row| row.target.memory);
        (targets.map(|bytes| bytes >> 20).max(), evicted(&facts).0)
    };
    let limits = web.replace("limits: { cpu: 100m }", "limits: { cpu: 100m, memory: 150Mi }");
    let (target, gone) = memory(&limits);
    // Who asks for the least that there is, 250 MiB, may use 375, and gets 100 more than it used, a
    // bucket and a margin of 15 %.
    assert!(target.is_some_and(|mib| mib >= 402), "{target:?} MiB");
    assert!(gone >= 4, "{gone}");
}

#[test]
fn budgets_may_refuse() {
    let budget = "---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { minAvailable: 4, selector: { matchLabels: { app: web } } }
";
    let (cluster, facts) = run("{ updateMode: Recreate }", budget);
    let (gone, refused) = evicted(&facts);
    assert_eq!((gone, cpus(&cluster)), (0, vec![(50, Some(100)); 4]), "A110");
    assert!(refused > 10, "A110: asked again each minute, {refused}");
}

/// Rules A111, N104: pods are resized while they run, half of a group in a loop, and nobody is
/// evicted.
#[test]
fn it_resizes_pods_in_place() {
    let (cluster, facts) = run("{ updateMode: InPlaceOrRecreate }", "");
    let target = facts.verticals.last().expect("it recommends").target.cpu.expect("CPU");
    assert_eq!(cpus(&cluster), [(target, Some(2 * target)); 4], "A111, A115");
    assert_eq!(evicted(&facts), (0, 0), "A111");
    let resized: Vec<u32> = facts.verticals.iter().map(|row| row.resized).collect();
    assert_eq!(resized.iter().sum::<u32>(), 4, "A111: {resized:?}");
    assert_eq!(resized.iter().max(), Some(&2), "A109");
    let restarts = cluster.pods().iter().map(|(_, pod)| pod.status.restarts).sum::<u32>();
    assert_eq!((cluster.pods().iter().count(), restarts), (4, 0), "N104: the same pods");
}

/// Rule A111: a resize that the API server refuses is an eviction in the same loop; one that is
/// deferred for more than 5 min too, one that is infeasible at once.
#[test]
fn a_resize_that_fails_is_an_eviction() {
    let best_effort = manifests("{ updateMode: InPlaceOrRecreate }", "")
        .replace("            requests: { cpu: 50m, memory: 100Mi }\n", "")
        .replace("            limits: { cpu: 100m }", "            {}");
    let (_, facts) = run_of(SCENARIO, &best_effort);
    let resized: u32 = facts.verticals.iter().map(|row| row.resized).sum();
    assert_eq!((resized, evicted(&facts).0), (0, 4), "A111, N104: its class would change");
    let of = |cpu: &str| {
        let web = manifests("{ updateMode: InPlaceOrRecreate }", "")
            .replace("replicas: 4", "replicas: 2");
        let scenario = SCENARIO
            .replace("count: 3, allocatable: { cpu: 16", "count: 1, allocatable: { cpu: CPU")
            .replace("CPU", cpu);
        let (_, facts) = run_of(&scenario, &web);
        let first = |get: fn(&seatrial::record::VerticalRecord) -> u32| {
            let row = facts.verticals.iter().find(|row| get(row) > 0);
            row.map(|row| row.at.since_start().whole_secs() / 60)
        };
        (first(|row| row.resized), first(|row| row.evicted))
    };
    let (resized, gone) = of("100m");
    let (resized, gone) = (resized.expect("it is asked for"), gone.expect("it is evicted"));
    assert_eq!(gone, resized + 1, "A111: infeasible");
    let (resized, gone) = of("400m");
    let (resized, gone) = (resized.expect("it is asked for"), gone.expect("it is evicted"));
    assert!((6..=9).contains(&(gone - resized)), "A111: deferred, {resized} {gone}");
}

#[test]
fn mistakes_are_located() {
    let text = |policy: &str| {
        let web = manifests(policy, "");
        let files = [("scenario.yaml", SCENARIO), ("web.yaml", web.as_str())];
        let files = files.map(|(path, text)| (path, text.as_bytes().to_vec()));
        let loader = Loader::from_memory(files);
        let place = Place { loader, path: "scenario.yaml".to_owned() };
        let refused = load(&place, &[]).expect_err("it is refused");
        refused.found.draw(&refused.sources, &Default::default())
    };
    let told = text("{ updateMode: Recrate }");
    assert!(told.contains("there is no updateMode \"Recrate\""), "{told}");
    assert!(told.contains("Recreate"), "{told}");
}
