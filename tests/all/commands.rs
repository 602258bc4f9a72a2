//! Whole runs whose timeline speaks kubectl: what a command does to the cluster, what is refused in
//! which words (rules C63, C65, C157), and runbooks as shell scripts.

use seatrial::api::Kind;
use seatrial::cluster::Cluster;
use seatrial::model::{ObjectName, WorkloadKind};
use seatrial::recorder::Facts;
use serde_json::Value;

use crate::support::{WEB, ended, images, stateful_set};

const NIGHTLY: &str = "
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly }
spec:
  schedule: '0 3 * * *'
  jobTemplate:
    spec:
      template:
        spec: { restartPolicy: Never, containers: [{ name: m, image: m:1 }] }
";

/// A run of a timeline (YAML, or a script) with files.
struct Run {
    cluster: Cluster,
    facts: Facts,
}

impl Run {
    fn of(timeline: &str, files: &[(&str, &str)]) -> Self {
        let scenario = format!(
            "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [web.yaml, db.yaml, nightly.yaml]
behaviors: [{{ for: cronjob/nightly, run: 20s }}]
timeline: {timeline}
run: {{ until: 10m }}
"
        );
        let web = WEB.replace("REPLICAS", "3");
        let db = stateful_set("db", 2, "containers: [{ name: db, image: db:1 }]");
        let mut all = vec![
            ("scenario.yaml", scenario.as_str()),
            ("web.yaml", web.as_str()),
            ("db.yaml", &db),
            ("nightly.yaml", NIGHTLY),
        ];
        all.extend(files);
        let (cluster, facts) = ended(&all);
        Self { cluster, facts }
    }

    /// Runs one script.
    fn script(text: &str, files: &[(&str, &str)]) -> Self {
        let mut all = vec![("upgrade.sh", text)];
        all.extend(files);
        Self::of("{ script: upgrade.sh }", &all)
    }

    fn name(&self, text: &str) -> ObjectName {
        let names = self.cluster.names();
        let symbol = |text: &str| names.get(text).unwrap_or_else(|| panic!("no name {text}"));
        ObjectName { namespace: symbol("default"), name: symbol(text) }
    }

    fn tree(&self, kind: Kind, name: &str) -> Value {
        let tree = self.cluster.tree(kind, self.name(name));
        tree.map_or(Value::Null, |tree| (**tree).clone())
    }

    /// Images of the pods of a kind of owner that run now.
    fn pods(&self, kind: WorkloadKind) -> Vec<String> {
        images(&self.cluster, kind)
    }

    fn refusals(&self) -> Vec<&str> {
        self.facts.commands.iter().filter_map(|c| c.refused.as_deref()).collect()
    }
}

#[test]
fn a_runbook_is_a_timeline() {
    let run = Run::script(
        r#"#!/bin/sh
set -e
# Two replicas more, then the new image.
kubectl scale deployment/web --replicas=5
sleep 30
kubectl set image deployment/web \
  app=web:v2
sleep 1m   # until it is out
kubectl rollout status deployment/web --timeout=60s
kubectl set image statefulset/db db=db:2
kubectl label node workers-0 pool=gold
kubectl patch service web -p '{"spec":{
  "ports":[{"port":81,"name":"more"}]}}' || true
kubectl apply -f - <<EOF
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { level: '3' }
EOF
kubectl get pods -o wide
"#,
        &[],
    );
    let words = ["The Service \"web\" is invalid: spec.ports[1].name: Required value"];
    assert_eq!(run.refusals(), words);
    assert_eq!(run.pods(WorkloadKind::Deployment), vec!["web:v2"; 5]);
    assert_eq!(run.pods(WorkloadKind::StatefulSet), vec!["db:2"; 2]);
    let at: Vec<String> = run.facts.commands.iter().map(|c| c.at.to_string()).collect();
    assert_eq!(at[..3], ["0:00", "0:30", "1:30"].map(str::to_owned));
    let text = &run.facts.commands[1].text;
    assert_eq!(text, "kubectl set image deployment/web app=web:v2");
    assert_eq!(run.tree(Kind::ConfigMap, "settings")["data"]["level"], "3");
}

#[test]
fn rollouts_go_back() {
    let run = Run::of(
        "
  - { at: 1m, run: kubectl set image deployment/web app=web:v2 }
  - { at: 1m, run: kubectl set image sts/db db=db:2 }
  - { at: 3m, run: kubectl rollout undo deployment/web }
  - { at: 3m, run: kubectl rollout undo statefulset/db }
  - { at: 5m, run: kubectl rollout undo deployment/web --to-revision=9 }
  - { at: 6m, run: kubectl rollout pause deployment/web }
  - { at: 6m, run: kubectl rollout restart deployment/web }
  - { at: 7m, run: kubectl rollout resume deployment/web }
  - { at: 8m, run: kubectl rollout history deployment/web }",
        &[],
    );
    assert_eq!(run.pods(WorkloadKind::Deployment), vec!["web:v1"; 3]);
    assert_eq!(run.pods(WorkloadKind::StatefulSet), vec!["db:1"; 2]);
    let words = [
        "error: unable to find specified revision 9 in history",
        "error: deployments.apps \"web\" can't restart paused deployment (run rollout resume first)",
    ];
    assert_eq!(run.refusals(), words);
}

#[test]
fn objects_come_change_and_go() {
    let more = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: extra }
spec:
  replicas: 2
  selector: { matchLabels: { app: extra } }
  template:
    metadata: { labels: { app: extra } }
    spec: { containers: [{ name: x, image: x:1 }] }
";
    let next = more.replace("x:1", "x:2").replace("replicas: 2", "replicas: 4");
    let run = Run::of(
        "
  - { at: 1m, run: kubectl apply -f extra.yaml }
  - { at: 2m, run: kubectl apply -f next.yaml }
  - { at: 3m, run: kubectl delete deployment web }
  - { at: 3m, run: kubectl create job manual --from=cronjob/nightly }
  - { at: 3m, run: kubectl autoscale deployment extra --max=6 --cpu=80% }
  - { at: 3m, run: kubectl expose deployment extra --port=80 }
  - { at: 3m, run: kubectl run solo --image=solo:1 }
  - { at: 3m, run: kubectl taint nodes workers-1 dedicated=db:NoSchedule }
  - { at: 3m, run: kubectl cordon workers-2 }
  - { at: 4m, run: kubectl delete pod solo --grace-period=0 --force }
  - { at: 5m, run: kubectl scale deployment/web --replicas=2 }
  - { at: 6m, run: kubectl apply -f extra.yaml }",
        &[("extra.yaml", more), ("next.yaml", &next)],
    );
    let words = ["Error from server (NotFound): deployments.apps \"web\" not found"];
    assert_eq!(run.refusals(), words);
    assert_eq!(run.pods(WorkloadKind::Deployment), vec!["x:1"; 2]);
    assert_eq!(run.pods(WorkloadKind::Pod), Vec::<String>::new());
    assert_eq!(run.cluster.jobs().iter().count(), 1, "the Job that was made by hand");
    let hpas = run.cluster.hpa_ids().filter_map(|id| run.cluster.hpa(id)).count();
    assert_eq!(hpas, 1);
    let node = |name: &str| {
        let symbol = run.cluster.names().get(name).expect("a name");
        let id = run.cluster.node_named(symbol).expect("a node");
        &run.cluster.nodes()[id].spec
    };
    assert_eq!(node("workers-1").taints.len(), 1);
    assert!(node("workers-2").unschedulable);
}

#[test]
fn the_api_server_refuses_with_the_field() {
    let run = Run::script(
        r#"
sleep 60
kubectl patch sts db -p '{"spec":{"serviceName":"x"}}'
kubectl set resources deployment web --requests=cpu=2 --limits=cpu=1
kubectl patch deployment web --type=json -p '[{"op":"remove","path":"/x"}]'
kubectl rollout restart deployment/web
kubectl rollout restart deployment/web
"#,
        &[],
    );
    let refusals = run.refusals();
    assert!(refusals[0].starts_with("The StatefulSet \"db\" is invalid: spec: Forbidden: updates"));
    assert!(refusals[1].contains("must be less than or equal to cpu limit of 1"), "{refusals:?}");
    assert!(refusals[2].starts_with("The request is invalid: error in remove for path: '/x'"));
    assert!(refusals[3].starts_with("error: failed to create patch for web"), "{refusals:?}");
    assert_eq!(refusals.len(), 4);
}

/// Pods that controllers made are found by their names, and what a manifest brings beside
/// workloads is applied again.
#[test]
fn pods_by_label_and_config_again() {
    let config = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: prices }}\ndata: {{ A: {value} }}\n"
        )
    };
    let (old, new) = (config("old"), config("new"));
    let run = Run::of(
        "
  - { at: 1m, run: kubectl create -f old.yaml }
  - { at: 2m, run: kubectl apply -f new.yaml }
  - { at: 3m, run: kubectl delete pod -l app=web }",
        &[("old.yaml", &old), ("new.yaml", &new)],
    );
    assert!(run.refusals().iter().all(|said| said.starts_with("Warning:")), "{:?}", run.refusals());
    assert_eq!(run.pods(WorkloadKind::Deployment).len(), 3);
    let deleted = run.facts.deletions.len();
    assert_eq!(deleted, 3, "each was made anew once");
}

/// A rollout by server-side apply: what others manage is a conflict unless it is forced, what was
/// applied before and is not any more goes, and what a controller has scaled stays.
#[test]
fn server_side_apply_asks_who_manages_a_field() {
    let applied = |image: &str, more: &str, env: &str| {
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: shop }}
spec:{more}
  selector: {{ matchLabels: {{ app: shop }} }}
  template:
    metadata: {{ labels: {{ app: shop }} }}
    spec:
      containers: [{{ name: app, image: '{image}', env: [{env}] }}]
"
        )
    };
    let a = "{ name: A, value: '1' }";
    let one = applied("shop:1", "", &format!("{a}, {{ name: B, value: '1' }}"));
    let two = applied("shop:2", "", a);
    let three = applied("shop:2", "\n  replicas: 2", a);
    let files = [("one.yaml", one.as_str()), ("two.yaml", &two), ("three.yaml", &three)];
    let run = Run::script(
        "
kubectl apply --server-side -f one.yaml
sleep 60
kubectl set image deployment/shop app=shop:9
kubectl apply --server-side -f two.yaml
kubectl apply --server-side --force-conflicts -f two.yaml
kubectl scale deployment/shop --replicas=4
kubectl apply --server-side -f two.yaml
kubectl apply --server-side --field-manager=ci -f three.yaml
",
        &files,
    );
    let said: Vec<&str> = run.facts.commands.iter().map(|c| c.said.as_str()).collect();
    let done = "deployment.apps/shop serverside-applied";
    assert_eq!(said[0], done, "{:?}", run.refusals());
    assert_eq!((said[3], said[5]), (done, done));
    let refusals = run.refusals();
    let first = "error: Apply failed with 1 conflict: conflict with \"kubectl-set\" using apps/v1 at \
                 2026-01-05T00:01:00Z: .spec.template.spec.containers[name=\"app\"].image\n\
                 Please review the fields above--they currently have other managers. Here\n";
    assert!(refusals[0].starts_with(first), "{refusals:#?}");
    let second = "error: Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \
                  \"scale\" using autoscaling/v1 at 2026-01-05T00:01:00Z: .spec.replicas\n";
    assert!(refusals[1].starts_with(second), "{refusals:#?}");
    assert_eq!(run.pods(WorkloadKind::Deployment).iter().filter(|i| *i == "shop:2").count(), 4);
    let tree = run.tree(Kind::Deployment, "shop");
    let env = &tree["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(env.as_array().map(Vec::len), Some(1), "B is nobody's any more: {env}");
}

/// Replicas that a HorizontalPodAutoscaler has set are its own.
#[test]
fn an_autoscaler_manages_what_it_scales() {
    let web = WEB.replace("REPLICAS", "3").replace("web:v1", "web:v2");
    let without = web.replace("  replicas: 3\n", "");
    assert_ne!(web, without);
    let run = Run::script(
        "
kubectl set resources deployment/web --requests=cpu=100m
kubectl autoscale deployment web --min=5 --max=9 --cpu-percent=50
sleep 120
kubectl apply --server-side -f new.yaml
kubectl apply --server-side -f new.yaml --force-conflicts
sleep 60
kubectl apply --server-side -f without.yaml --force-conflicts
",
        &[("new.yaml", &web), ("without.yaml", &without)],
    );
    let refusals = run.refusals();
    assert!(
        refusals[0].contains("\"kube-controller-manager\" with subresource \"scale\""),
        "{refusals:#?}"
    );
    assert!(refusals[0].contains(".spec.replicas"), "{refusals:#?}");
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
    assert_eq!(run.pods(WorkloadKind::Deployment), vec!["web:v2"; 5]);
}
