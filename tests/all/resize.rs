//! Pods that are resized in place (rules N104, S84): `kubectl patch --subresource resize`.

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Cluster, Pod};
use seatrial::engine::{Outcome, World};
use seatrial::explain::{Question, explain};
use seatrial::recorder::{Recorder, Wants};

use crate::support::{Told, load_memory, tell};

const APP: &str = "
apiVersion: v1
kind: Pod
metadata: { name: app, labels: { app: web } }
spec:
  containers:
    - name: main
      image: app:1
      ports: [{ containerPort: 80 }]
      resizePolicy: [{ resourceName: memory, restartPolicy: POLICY }]
      resources:
        requests: { cpu: 500m, memory: 512Mi }
        limits: { cpu: '1', memory: 1Gi }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
";

const OTHER: &str = "
apiVersion: v1
kind: Pod
metadata: { name: other }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - { name: main, image: other:1, resources: { requests: { cpu: '3' } } }
";

fn scenario(latencies: &str, behavior: &str, timeline: &[&str]) -> String {
    let timeline: String = timeline.iter().map(|entry| format!("  - {entry}\n")).collect();
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: resize
cluster:
  nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }} }}]
  latencies: {latencies}
behaviors: [{{ for: pod/app, start: 0s, {behavior} }}]
apply: [app.yaml, other.yaml]
traffic: [{{ name: users, to: service/web, rate: 1/s }}]
timeline:
{timeline}
run: {{ until: 20m, replications: 1 }}
"
    )
}

fn patch(at: &str, resources: &str) -> String {
    let spec =
        format!(r#"{{"spec":{{"containers":[{{"name":"main","resources":{resources}}}]}}}}"#);
    format!(
        "{{ at: {at}, run: \"kubectl patch pod app --subresource resize -p '{}'\" }}",
        spec.replace('"', "\\\"")
    )
}

struct Case {
    policy: &'static str,
    latencies: &'static str,
    behavior: &'static str,
    timeline: Vec<String>,
}

impl Case {
    fn of(timeline: Vec<String>) -> Self {
        Self { policy: "NotRequired", latencies: "ideal", behavior: "memory: 100Mi", timeline }
    }

    fn files(&self) -> (String, String) {
        let timeline: Vec<&str> = self.timeline.iter().map(String::as_str).collect();
        let text = scenario(self.latencies, self.behavior, &timeline);
        (text, APP.replace("POLICY", self.policy))
    }

    fn told(&self) -> Told {
        let (scenario, app) = self.files();
        tell(&[("scenario.yaml", &scenario), ("app.yaml", &app), ("other.yaml", OTHER)])
    }

    fn fresh(&self) -> World {
        let (scenario, app) = self.files();
        let files =
            [("scenario.yaml", scenario.as_str()), ("app.yaml", &app), ("other.yaml", OTHER)];
        let model = load_memory(&files).model;
        World::new(&model, 0, Recorder::new(&model, Wants::default())).with_checks()
    }

    fn world(&self) -> World {
        let mut world = self.fresh();
        world.begin();
        world
    }
}

fn to(world: &mut World, ms: u64) -> &Cluster {
    world.advance_to(SimTime::at(Duration::ms(ms)));
    world.cluster()
}

fn app(cluster: &Cluster) -> &Pod {
    let mut all = cluster.pods().iter().map(|(_, pod)| pod);
    all.find(|pod| pod.name.is("app", cluster.names())).expect("it is there")
}

/// CPU in millicores: asked for, promised, had, and what the node's pods take.
fn cpus(cluster: &Cluster) -> [i64; 4] {
    let pod = app(cluster);
    let asked = cluster.template_of(pod).template.spec.requests.cpu.0;
    let promised = pod.resize.as_ref().map_or(asked, |of| of.status.allocated.requests.cpu.0);
    let node = &cluster.nodes()[pod.node.expect("it is bound")];
    [asked, promised, cluster.actual(pod).requests.cpu.0, node.requested.cpu.0]
}

/// Rules N104, N300, S84: the node counts the greatest of what is asked for, promised and had,
/// until the containers have it, 0.15 s after the kubelet has seen it; nothing restarts.
#[test]
fn a_container_gets_more_while_it_runs() {
    let latencies = "{ base: ideal, kubeletSync: 14ms, resize: 150ms }";
    let timeline = vec![
        patch("10s", r#"{"requests":{"cpu":"800m"}}"#),
        patch("20s", r#"{"requests":{"cpu":"200m"}}"#),
    ];
    let case = Case { latencies, ..Case::of(timeline) };
    let mut world = case.world();
    assert_eq!(cpus(to(&mut world, 9_000)), [500, 500, 500, 3500]);
    assert_eq!(cpus(to(&mut world, 10_010)), [800, 500, 500, 3800], "S84");
    assert_eq!(cpus(to(&mut world, 10_020)), [800, 800, 500, 3800], "S84");
    assert_eq!(cpus(to(&mut world, 10_165)), [800, 800, 800, 3800], "N104");
    assert!(app(world.cluster()).resize.is_none(), "N104: it is complete");
    assert_eq!(cpus(to(&mut world, 20_020)), [200, 200, 800, 3800], "S84");
    assert_eq!(cpus(to(&mut world, 20_165)), [200, 200, 200, 3200], "N104");
    let told = case.told();
    assert_eq!(told.times("Started container main").len(), 2, "{:#?}", told.events);
    assert_eq!(told.times("ResizeCompleted"), [10.164, 20.164], "{:#?}", told.events);
}

/// Rule N104: `resizePolicy` RestartContainer restarts the container, for that resource alone.
#[test]
fn a_policy_restarts_the_container() {
    let timeline = vec![
        patch("10s", r#"{"requests":{"cpu":"600m"}}"#),
        patch("20s", r#"{"requests":{"memory":"600Mi"}}"#),
    ];
    let case = Case { policy: "RestartContainer", ..Case::of(timeline) };
    let told = case.told();
    assert_eq!(told.times("resize requires restart"), [20.0], "{:#?}", told.events);
    assert_eq!(
        told.times("default/app: Started container main"),
        [0.0, 20.0],
        "{:#?}",
        told.events
    );
}

/// Rule N104: what the node never has is infeasible; what others have now is deferred, and given
/// when they are gone.
#[test]
fn a_resize_waits_or_never_comes() {
    let timeline = vec![
        patch("10s", r#"{"requests":{"cpu":"900m","memory":"5Gi"},"limits":{"memory":"6Gi"}}"#),
        patch("20s", r#"{"requests":{"cpu":"2","memory":"512Mi"},"limits":{"cpu":"2"}}"#),
        "{ at: 60s, run: kubectl delete pod other --wait=false }".to_owned(),
    ];
    let case = Case::of(timeline);
    let mut world = case.world();
    assert_eq!(cpus(to(&mut world, 10_001)), [900, 500, 500, 3500], "S84: infeasible");
    let pending = |cluster: &Cluster| {
        let resize = app(cluster).resize.as_ref();
        resize
            .and_then(|of| of.status.pending.as_ref())
            .map(|why| (why.reason(), why.message.to_string()))
    };
    let text =
        "Node didn't have enough capacity: memory, requested: 5368709120, capacity: 4294967296";
    assert_eq!(pending(world.cluster()), Some(("Infeasible", text.to_owned())));
    assert_eq!(cpus(to(&mut world, 20_001)), [2000, 500, 500, 5000], "S84: deferred counts");
    let text = "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000";
    assert_eq!(pending(world.cluster()), Some(("Deferred", text.to_owned())));
    assert_eq!(cpus(to(&mut world, 70_000)), [2000, 2000, 2000, 2000], "N104");
    let told = case.told();
    let seen = ["ResizeInfeasible", "ResizeDeferred", "ResizeStarted", "ResizeCompleted"];
    let times = seen.map(|event| told.times(event).first().copied());
    assert_eq!(times[..2], [Some(10.0), Some(20.0)], "{:#?}", told.events);
    assert!(times[2] >= Some(60.0) && times[3] >= Some(60.0), "{:#?}", told.events);
}

/// Rules N95, N104: a memory limit below what a container has is not set, and tried again; a
/// higher one lets it live longer.
#[test]
fn memory_limits_follow() {
    let timeline = vec![patch("100s", r#"{"limits":{"memory":"2Gi"}}"#)];
    let behavior = "memory: 512Mi, leak: 4Mi";
    let case = Case { behavior, ..Case::of(timeline) };
    let told = case.told();
    // 512 MiB and 4 MiB a second are 1 GiB after 128 s, 2 GiB after 384 s.
    assert_eq!(
        told.times("default/app: Started container main")[1..2],
        [384.0],
        "{:#?}",
        told.events
    );
    let timeline =
        vec![patch("100s", r#"{"requests":{"memory":"256Mi"},"limits":{"memory":"400Mi"}}"#)];
    let case = Case { behavior: "memory: 500Mi", ..Case::of(timeline) };
    let told = case.told();
    assert_eq!(told.times("ResizeError"), [100.0], "{:#?}", told.events);
    assert!(told.times("ResizeCompleted").is_empty(), "{:#?}", told.events);
    let mut world = case.world();
    let error = |pod: &Pod| pod.resize.as_ref().and_then(|of| of.status.progress.clone()).flatten();
    let text = "attempting to set pod memory limit (419430400) below current usage (524288000)";
    assert_eq!(error(app(to(&mut world, 110_000))).as_deref(), Some(text));
}

/// Rules C188, N104: a quota refuses what becomes more than it has left; less is never refused, and
/// what a resize gives back others may take.
#[test]
fn a_quota_refuses_a_resize() {
    const QUOTA: &str = "
apiVersion: v1
kind: ResourceQuota
metadata: { name: team }
spec: { hard: { requests.cpu: 700m, limits.memory: 2Gi } }
";
    let timeline = [
        patch("10s", r#"{"requests":{"cpu":"900m"}}"#),
        patch("20s", r#"{"requests":{"cpu":"700m"},"limits":{"memory":"2Gi"}}"#),
        patch("30s", r#"{"limits":{"memory":"3Gi"}}"#),
        patch("40s", r#"{"requests":{"cpu":"100m"}}"#),
    ];
    let timeline: Vec<&str> = timeline.iter().map(String::as_str).collect();
    let text = scenario("ideal", "memory: 100Mi", &timeline);
    let app = format!("{}---{QUOTA}", APP.replace("POLICY", "NotRequired"));
    let files = [("scenario.yaml", text.as_str()), ("app.yaml", &app), ("other.yaml", "")];
    let model = load_memory(&files).model;
    let world = World::new(&model, 0, Recorder::new(&model, Wants::default())).with_checks();
    let Outcome { recorder, cluster, ended, events } = world.run().expect("no limit");
    assert_eq!(cpus(&cluster)[2], 100);
    let facts = recorder.into_facts(cluster.names(), ended, events).expect("kept");
    let refused = |at: usize| facts.commands[at].refused.clone().unwrap_or_default();
    let text = "exceeded quota: team, requested: requests.cpu=400m, used: requests.cpu=500m, \
                limited: requests.cpu=700m";
    assert!(refused(0).contains(text), "{}", refused(0));
    assert_eq!(refused(1), "");
    assert!(refused(2).contains("limits.memory=1Gi, used: limits.memory=2Gi"), "{}", refused(2));
    assert_eq!(refused(3), "");
}

/// The story of a pod says what became of its resizes.
#[test]
fn explain_tells_of_resizes() {
    let timeline = vec![
        patch("20s", r#"{"requests":{"cpu":"2"},"limits":{"cpu":"2"}}"#),
        "{ at: 60s, run: kubectl delete pod other --wait=false }".to_owned(),
    ];
    let (scenario, app) = Case::of(timeline).files();
    let files = [("scenario.yaml", scenario.as_str()), ("app.yaml", &app), ("other.yaml", OTHER)];
    let model = load_memory(&files).model;
    let question = Question { pod: "app", at: None, replication: 0, policies: Vec::new() };
    let text = explain(&model, question).expect("it was placed").text();
    assert!(text.contains("\nRESIZES\n"), "{text}");
    let waits = "Pod resize Deferred: Node didn't have enough resource: cpu, requested: 2000";
    assert!(text.contains(waits), "{text}");
    assert!(text.contains("Pod resize completed"), "{text}");
}

/// Rule N104: the class may not change, nothing is taken away, nothing else is changed.
#[test]
fn what_is_refused() {
    let refused = |resources: &str| {
        let case = Case::of(vec![patch("1s", resources)]);
        let Outcome { recorder, cluster, ended, events } = case.fresh().run().expect("no limit");
        let facts = recorder.into_facts(cluster.names(), ended, events).expect("kept");
        facts.commands[0].refused.clone().unwrap_or_default()
    };
    let guaranteed = refused(r#"{"requests":{"cpu":"1","memory":"1Gi"}}"#);
    assert_eq!(
        guaranteed,
        "The Pod \"app\" is invalid: spec: Invalid value: \"Guaranteed\": Pod QOS Class may not \
         change as a result of resizing"
    );
    let removed = refused(r#"{"limits":{"cpu":null}}"#);
    assert!(removed.contains("resource limits cannot be removed"), "{removed}");
    let above = refused(r#"{"requests":{"cpu":"1500m"}}"#);
    assert!(above.contains("must be less than or equal to cpu limit of 1"), "{above}");
    let others = refused(r#"{"requests":{"ephemeral-storage":"1Gi"}}"#);
    assert!(others.contains("only cpu and memory resources are mutable"), "{others}");
}

/// Rules N97, N104: a higher CPU limit ends the throttling of a server at once.
#[test]
fn a_cpu_limit_throttles_until_it_is_raised() {
    let slow = |timeline: Vec<String>| {
        let behavior = "serve: { hold: 100ms, cpu: 100ms, sharing: cpu }";
        let mut case = Case { behavior, ..Case::of(timeline) };
        case.timeline
            .insert(0, patch("1ms", r#"{"requests":{"cpu":"100m"},"limits":{"cpu":"200m"}}"#));
        case.told().number(&["services", "web", "calls", "latency_mean"])
    };
    let throttled = slow(Vec::new());
    let raised = slow(vec![patch("10m", r#"{"limits":{"cpu":"2"}}"#)]);
    // 20 ms of CPU in 100 ms: some 0.45 s a call, twice that as the server is half busy.
    assert!(throttled > 0.6 && throttled < 1.3, "{throttled}");
    let halves = f64::midpoint(throttled, 0.1);
    assert!((raised - halves).abs() < 0.15 * halves, "{raised} of {throttled}");
}
