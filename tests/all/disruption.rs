//! PodDisruptionBudgets, the eviction API and `kubectl drain` in a run.

use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{
    BudgetStatus, BudgetWrite, Cluster, Disruption, DisruptionAllowed, EvictionRefused, Phase,
    Plan, PodStatus, Write,
};
use seatrial::engine::World;
use seatrial::model::{Model, ObjectName, PodRef};

use crate::support::{begun, load_memory};

/// A model of three nodes with these manifests, in `ideal` latencies.
fn model(manifests: &str, timeline: &str) -> Arc<Model> {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: node, count: 3, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [all.yaml]
timeline: {timeline}
run: {{ until: 10m }}
"
    );
    load_memory(&[("scenario.yaml", scenario.as_str()), ("all.yaml", manifests)]).model
}

fn workload(kind: &str, name: &str, replicas: u32) -> String {
    let replicas = match kind {
        "DaemonSet" => String::new(),
        _ => format!("replicas: {replicas}, "),
    };
    format!(
        "apiVersion: apps/v1
kind: {kind}
metadata: {{ name: {name} }}
spec: {{ {replicas}selector: {{ matchLabels: {{ app: {name} }} }}, template: {{ metadata: {{ \
         labels: {{ app: {name} }} }}, spec: {{ containers: [{{ name: c, image: c, \
         readinessProbe: {{ initialDelaySeconds: 10, tcpSocket: {{ port: 80 }} }}, lifecycle: {{ \
         preStop: {{ sleep: {{ seconds: 5 }} }} }} }}] }} }} }}
---
"
    )
}

fn budget(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{ name: {name} }}
spec: {{ {spec} }}
---
"
    )
}

struct Bench {
    world: World,
}

impl Bench {
    /// Everything has settled at 1:00.
    fn new(manifests: &str) -> Self {
        let model = model(manifests, "[]");
        let mut world = begun(&model);
        world.step_until(SimTime::ZERO + Duration::secs(60));
        Self { world }
    }

    fn cluster(&self) -> &Cluster {
        self.world.cluster()
    }

    /// Healthy, desired, allowed, expected of the first budget.
    fn counts(&self) -> [i64; 4] {
        let (_, row) = self.cluster().budgets().iter().next().expect("a budget");
        let status = &row.status;
        [status.healthy, status.desired, status.allowed, status.expected]
    }

    /// The pods, oldest first.
    fn pods(&self) -> Vec<PodRef> {
        let pods = self.cluster().pods();
        let mut all: Vec<_> = pods.iter().map(|(id, row)| (row.serial, pods.refer(id))).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, pod)| pod).collect()
    }

    fn apply(&mut self, fill: impl FnOnce(&Cluster, &mut Plan)) {
        self.world.apply(|cluster, plan| fill(cluster, plan));
        let now = self.now();
        self.world.step_until(now + Duration::ns(1));
    }

    fn now(&self) -> SimTime {
        self.world.now()
    }

    fn pass(&mut self, span: Duration) {
        let until = self.now() + span;
        self.world.step_until(until);
    }

    fn evict(&mut self, pod: PodRef) -> Result<(), EvictionRefused> {
        let mut answer = Ok(());
        self.apply(|cluster, plan| answer = plan.evict_pod(pod, None, cluster));
        answer
    }

    fn unready(&mut self, pod: PodRef) {
        self.apply(|cluster, plan| {
            let status = cluster.pod(pod).expect("a pod").status;
            plan.push(Write::PodStatus { pod, status: PodStatus { ready: false, ..status } });
        });
    }
}

fn web(budget_spec: &str) -> Bench {
    let selector = "selector: { matchLabels: { app: web } }";
    let all = workload("Deployment", "web", 5);
    Bench::new(&(all + &budget("web", &format!("{budget_spec}, {selector}"))))
}

/// Rules C144 and C147, by hand; both shares round up (rule C3).
#[test]
fn what_is_expected_depends_on_the_way_of_asking() {
    assert_eq!(web("maxUnavailable: 1").counts(), [5, 4, 1, 5]);
    assert_eq!(web("maxUnavailable: 30%").counts(), [5, 3, 2, 5]);
    assert_eq!(web("maxUnavailable: 9").counts(), [5, 0, 5, 5]);
    assert_eq!(web("minAvailable: 30%").counts(), [5, 2, 3, 5]);
    assert_eq!(web("minAvailable: 6").counts(), [5, 6, 0, 5]);
    // Neither: no pod is expected and none may go.
    let selector = "selector: { matchLabels: { app: web } }";
    let both = workload("Deployment", "web", 5) + &budget("web", selector);
    assert_eq!(Bench::new(&both).counts(), [5, 0, 0, 0]);
}

/// Rules C144 and C145: the scales of distinct controllers add up; bare pods do not count in
/// shares; an empty selector takes all pods of the namespace.
#[test]
fn controllers_are_counted_once() {
    let pod = "apiVersion: v1
kind: Pod
metadata: { name: lone }
spec: { containers: [{ name: c, image: c }] }
---
";
    let all = workload("Deployment", "a", 2) + &workload("ReplicaSet", "b", 3) + pod;
    let shares = all.clone() + &budget("all", "maxUnavailable: 50%, selector: {}");
    assert_eq!(Bench::new(&shares).counts(), [6, 2, 4, 5]);
    let count = all + &budget("all", "minAvailable: 2, selector: {}");
    assert_eq!(Bench::new(&count).counts(), [6, 2, 4, 6]);
}

/// Rules C151, C152, C154 and C155.
#[test]
fn the_eviction_api_answers_as_the_real_one() {
    let mut bench = web("maxUnavailable: 1");
    let pods = bench.pods();
    assert_eq!(bench.evict(pods[0]), Ok(()));
    assert_eq!(
        bench.cluster().pod(pods[0]).and_then(|row| row.disruption),
        Some(Disruption::EvictionByEvictionApi)
    );
    let refused = bench.evict(pods[1]).expect_err("the budget is used up");
    assert!(refused.is_too_many() && refused.retry_after.is_none());
    assert_eq!(
        refused.to_string(),
        "429 TooManyRequests: Cannot evict pod as it would violate the pod's disruption budget. | \
         DisruptionBudget: The disruption budget web needs 4 healthy pods and has 4 currently"
    );
    // A second time: it is going already.
    assert_eq!(bench.evict(pods[0]), Ok(()));
    // Within one plan each eviction counts.
    let mut bench = web("maxUnavailable: 2");
    let pods = bench.pods();
    bench.apply(|cluster, plan| {
        let answers = pods.iter().map(|pod| plan.evict_pod(*pod, None, cluster).is_ok());
        assert_eq!(answers.collect::<Vec<_>>(), [true, true, false, false, false]);
    });
    // Two budgets.
    let selector = "selector: { matchLabels: { app: web } }";
    let (a, b) = (budget("a", selector), budget("b", selector));
    let mut bench = Bench::new(&(workload("Deployment", "web", 1) + &a + &b));
    let pods = bench.pods();
    let refused = bench.evict(pods[0]).expect_err("two budgets");
    assert_eq!((refused.code, refused.is_too_many()), (500, false));
}

/// Rule C153: an unready pod goes without taking an eviction if the budget is met.
#[test]
fn unready_pods_go_when_the_budget_is_met() {
    let mut bench = web("minAvailable: 4");
    let pods = bench.pods();
    bench.unready(pods[0]);
    assert_eq!(bench.counts(), [4, 4, 0, 5]);
    assert!(bench.evict(pods[1]).is_err());
    assert_eq!(bench.evict(pods[0]), Ok(()));
    // Not met: neither goes, unless the policy says so.
    for (policy, goes) in [("IfHealthyBudget", false), ("AlwaysAllow", true)] {
        let mut bench = web(&format!("minAvailable: 5, unhealthyPodEvictionPolicy: {policy}"));
        let pods = bench.pods();
        bench.unready(pods[0]);
        assert_eq!(bench.evict(pods[0]).is_ok(), goes, "{policy}");
    }
}

/// Rule C149: a condition `DisruptionTarget` that no deletion follows is taken back after 2 min.
#[test]
fn a_stale_disruption_target_is_taken_back() {
    let mut bench = web("maxUnavailable: 1");
    let pod = bench.pods()[0];
    let reason = Some(Disruption::DeletionByTaintManager);
    bench.apply(|_, plan| plan.push(Write::Disruption { pod, reason }));
    bench.pass(Duration::secs(119));
    assert_eq!(bench.cluster().pod(pod).expect("a pod").disruption, reason);
    bench.pass(Duration::secs(5));
    assert_eq!(bench.cluster().pod(pod).expect("a pod").disruption, None);
    assert_eq!(bench.cluster().pod(pod).expect("a pod").status.phase, Phase::Running);
}

/// Rule C148: pods of a DaemonSet have no scale. No eviction, and no generation is observed.
#[test]
fn pods_without_scale_fail_safe() {
    let selector = "maxUnavailable: 1, selector: { matchLabels: { app: agent } }";
    let mut bench = Bench::new(&(workload("DaemonSet", "agent", 0) + &budget("agent", selector)));
    let (_, row) = bench.cluster().budgets().iter().next().expect("a budget");
    let why = "daemonsets.apps does not implement the scale subresource";
    assert_eq!(row.status.condition, Some(DisruptionAllowed::SyncFailed(why.into())));
    let pod = bench.pods()[0];
    assert!(bench.evict(pod).expect_err("fails safe").is_too_many());
}

/// Rule C156: a scale-down, a plain delete and a rolling update ask no budget.
#[test]
fn who_asks_no_budget() {
    let mut bench = web("maxUnavailable: 0");
    let pod = bench.pods()[0];
    assert!(bench.evict(pod).is_err());
    bench.apply(|_, plan| plan.push(Write::DeletePod { pod, grace: None }));
    assert!(bench.cluster().pod(pod).is_some_and(|row| row.deletion.is_some()));
    bench.pass(Duration::secs(30));
    let names = bench.cluster().names();
    let (namespace, name) = (names.get("default"), names.get("web"));
    let name = ObjectName { namespace: namespace.expect("it is"), name: name.expect("it is") };
    let deployment = bench.cluster().deployment_named(name).expect("it is there");
    bench.apply(|_, plan| plan.push(Write::ScaleDeployment { deployment, replicas: 1 }));
    let going = |bench: &Bench| {
        let pods = bench.cluster().pods().iter();
        pods.filter(|(_, row)| row.deletion.is_some()).count()
    };
    assert_eq!(going(&bench), 4);
}

/// Rule C150: a controller's scale wakes nobody; pods do. The eviction API's write and the
/// controller's own meet as conflicts: one that is made from an old version is refused.
#[test]
fn what_wakes_the_controller_and_what_conflicts() {
    let mut bench = web("maxUnavailable: 40%");
    assert_eq!(bench.counts(), [5, 3, 2, 5]);
    let (id, row) = bench.cluster().budgets().iter().next().expect("a budget");
    let (version, stale) = (row.version, BudgetStatus { allowed: 5, ..row.status.clone() });
    let pod = bench.pods()[0];
    assert_eq!(bench.evict(pod), Ok(()));
    let status = stale.clone();
    bench.apply(|_, plan| {
        plan.push(Write::Budget(id, BudgetWrite::Status { version, status }));
    });
    assert_eq!(bench.counts()[2], 1, "the old version is refused");
    let (_, row) = bench.cluster().budgets().iter().next().expect("a budget");
    assert!(row.status.disrupted.is_empty(), "the pod is going: the note is dropped (rule C149)");
}
