//! Objects that only commands of the timeline create: they have rollouts, calls and scaling of
//! their own in the report, and clients may call them before they are there.

use seatrial::api::Kind;
use seatrial::cluster::Cluster;
use seatrial::engine::{Outcome, World};
use seatrial::model::ObjectName;
use seatrial::recorder::{Facts, Recorder, Wants};
use seatrial::report::metrics;
use seatrial::report::summary::Summary;

use seatrial::manifest::Loader;
use seatrial::scenario::{Place, load};

use crate::support::load_memory;

const QUIET: &str = "
apiVersion: v1
kind: ConfigMap
metadata: { name: nothing }
";

struct Run {
    cluster: Cluster,
    facts: Facts,
}

impl Run {
    fn of(script: &str, rest: &str, files: &[(&str, &str)]) -> Self {
        let scenario = format!(
            "apiVersion: seatrial/v1
kind: Scenario
name: later
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [quiet.yaml]
timeline: {{ script: up.sh }}
run: {{ until: 20m }}
{rest}
"
        );
        let mut all =
            vec![("scenario.yaml", scenario.as_str()), ("quiet.yaml", QUIET), ("up.sh", script)];
        all.extend(files);
        let model = load_memory(&all).model;
        let recorder = Recorder::new(&model, Wants::default());
        let world = World::new(&model, 0, recorder).with_checks();
        let Outcome { recorder, cluster, ended, events } = world.run().expect("no limit");
        let facts = recorder.into_facts(cluster.names(), ended, events).expect("kept");
        Self { cluster, facts }
    }

    fn name(&self, text: &str) -> ObjectName {
        let names = self.cluster.names();
        let symbol = |text: &str| names.get(text).unwrap_or_else(|| panic!("no name {text}"));
        ObjectName { namespace: symbol("default"), name: symbol(text) }
    }

    fn number(&self, path: &[&str]) -> f64 {
        let summary = Summary::fold(&[metrics(&self.facts)]);
        let found = summary.get(path).unwrap_or_else(|| panic!("no number {path:?}"));
        found.value.unwrap_or_else(|| panic!("no value {path:?}"))
    }

    fn refusals(&self) -> Vec<&str> {
        self.facts.commands.iter().filter_map(|c| c.refused.as_deref()).collect()
    }
}

const UP: &str = "
sleep 60
kubectl create deployment shop --image=shop:1 --replicas=4 --port=8080
kubectl set resources deployment/shop --requests=cpu=100m
kubectl expose deployment shop --port=80 --target-port=8080
kubectl autoscale deployment shop --min=4 --max=20 --cpu-percent=50
kubectl rollout status deployment/shop
sleep 10m
kubectl set image deployment/shop shop=shop:2
";

const CALLS: &str = "
traffic: [{ name: users, to: service/shop, rate: 100/s }]
behaviors: [{ for: deployment/shop, start: 1s, serve: { hold: 10ms, cpu: 10ms } }]
";

#[test]
fn what_a_script_creates_has_numbers_of_its_own() {
    let run = Run::of(UP, CALLS, &[]);
    assert_eq!(run.refusals(), [""; 0]);
    let failed = run.number(&["services", "shop", "calls", "failed"]);
    assert!((6000.0..7500.0).contains(&failed), "before it is there: {failed}");
    assert!(run.number(&["services", "shop", "calls", "ok"]) > 100_000.0);
    // 100 calls a second of 10 ms are 1 CPU, so 20 pods of 50m would do: it grows to the limit.
    assert!(run.number(&["hpas", "shop", "replicas_max"]) >= 18.0);
    assert!(run.number(&["hpas", "shop", "steps_up"]) >= 1.0);
    // Of the rollouts the first revision is left out; setting resources made the second.
    assert!(run.number(&["rollouts", "shop", "count"]) >= 1.0);
    assert!(run.number(&["rollouts", "shop", "completed"]) > 0.0);
    assert!(run.number(&["rollouts", "shop", "calls"]) > 0.0);
    assert!(run.cluster.tree(Kind::Service, run.name("shop")).is_some());
}

#[test]
fn a_service_that_comes_again_is_called_again() {
    let script = "
kubectl create deployment shop --image=shop:1 --port=8080
kubectl expose deployment shop --port=80
sleep 300
kubectl delete service shop
sleep 300
kubectl expose deployment shop --port=80
";
    let run = Run::of(script, CALLS, &[]);
    assert_eq!(run.refusals(), [""; 0]);
    let ok = run.number(&["services", "shop", "calls", "ok"]);
    assert!((85_000.0..95_000.0).contains(&ok), "15 of 20 minutes: {ok}");
}

/// Rules A62, A67: metrics are there although nothing asked for them when the run began.
#[test]
fn an_autoscaler_that_a_command_makes_sees_metrics() {
    let script = "
sleep 120
kubectl create deployment busy --image=busy:1
kubectl set resources deployment/busy --requests=cpu=100m
kubectl autoscale deployment busy --max=5 --cpu-percent=50
";
    let behaviors = "behaviors: [{ for: deployment/busy, cpuIdle: 200m }]";
    let run = Run::of(script, behaviors, &[]);
    assert_eq!(run.refusals(), [""; 0]);
    assert!(run.number(&["hpas", "busy", "replicas_max"]) >= 5.0);
}

#[test]
fn what_nothing_ever_creates_is_missing() {
    let scenario = "apiVersion: seatrial/v1
kind: Scenario
name: later
cluster: { nodes: [{ pool: workers, count: 1, allocatable: { cpu: 16, memory: 64Gi } }] }
timeline:
- { at: 1m, run: kubectl create deployment shop --image=shop:1 }
- { at: 2m, run: kubectl expose deployment shop --port=80 }
traffic: [{ name: users, to: service/shopp, rate: 1/s }]
behaviors: [{ for: deployment/chop, start: 1s }]
run: { until: 3m }
";
    let found = refused(&[("scenario.yaml", scenario)]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("there is no service \"shopp\""), "{found:?}");
    assert!(found[1].contains("there is no deployment \"chop\""), "{found:?}");
}

fn refused(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec()));
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let refused = load(&place, &[]).expect_err("it is wrong");
    refused.found.lines(&refused.sources)
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 4
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: app, image: 'web:1', resources: { requests: { cpu: 50m }, limits: { cpu: 100m } } }
";

const VPA: &str = "
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: { name: web }
spec:
  targetRef: { apiVersion: apps/v1, kind: Deployment, name: web }
  updatePolicy: { updateMode: 'Off' }
";

/// Rules A77, A102, A105: made by a command it recommends, changed by a patch it evicts, and when
/// it is deleted new pods are as they are declared.
#[test]
fn a_vertical_autoscaler_comes_changes_and_goes() {
    let mode = r#"kubectl patch vpa web --type=merge -p '{"spec":{"updatePolicy":{"updateMode":"Recreate"}}}'"#;
    let script = |end: &str| {
        format!(
            "kubectl apply -f web.yaml\nsleep 120\nkubectl apply -f vpa.yaml\nsleep 300\n{mode}\n{end}"
        )
    };
    let behaviors = "behaviors: [{ for: deployment/web, cpuIdle: 200m }]";
    let files = [("web.yaml", WEB), ("vpa.yaml", VPA)];
    let run = Run::of(&script(""), behaviors, &files);
    assert_eq!(run.refusals(), [""; 0]);
    assert!((run.number(&["vpas", "web", "evicted"]) - 4.0).abs() < 1e-9);
    let target = run.number(&["vpas", "web", "target_cpu_milli"]);
    assert!((230.0..=250.0).contains(&target), "A85, A95: {target}");
    let first = run.facts.verticals.iter().find(|row| row.evicted > 0).expect("it evicts");
    assert!(first.at.as_secs_f64() >= 420.0, "not before the patch: {}", first.at);
    let requests = |run: &Run| -> Vec<i64> {
        let pods = run.cluster.pods().iter().filter(|(_, pod)| pod.deletion.is_none());
        let of = |pod| run.cluster.template_of(pod).template.spec.containers[0].requests.cpu.0;
        pods.map(|(_, pod)| of(pod)).collect()
    };
    assert!(requests(&run).iter().all(|cpu| *cpu > 200), "{:?}", requests(&run));
    let end = "sleep 300\nkubectl delete vpa web\nkubectl rollout restart deployment/web";
    let run = Run::of(&script(end), behaviors, &files);
    assert_eq!(run.refusals(), [""; 0]);
    assert_eq!(requests(&run), [50; 4]);
}

#[test]
fn custom_objects_have_no_strategic_patches() {
    let script = "kubectl apply -f web.yaml\nkubectl apply -f vpa.yaml\n\
                  kubectl patch vpa web -p '{\"spec\":{}}'\nkubectl apply -f vpa.yaml";
    let run = Run::of(script, "", &[("web.yaml", WEB), ("vpa.yaml", VPA)]);
    let refused = "Error from server (UnsupportedMediaType): the body of the request was in an \
                   unknown format - accepted media types include: application/json-patch+json, \
                   application/merge-patch+json, application/apply-patch+yaml";
    assert_eq!(run.refusals(), [refused]);
    assert_eq!(
        run.facts.commands[3].said,
        "verticalpodautoscaler.autoscaling.k8s.io/web unchanged"
    );
}
