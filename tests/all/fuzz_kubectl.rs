//! Lines of kubectl, mutated, in a cluster that runs: they are refused with words or carried out, and
//! the cluster goes on; nothing panics.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use seatrial::model::Model;
use serde_json::json;

use crate::support::{Noise, Stepped, WEB, load_memory, rounds, stateful_set};

/// Worlds that are tried, and lines in each.
const WORLDS: Range<u64> = 1..41;
const LINES: u64 = 25;

const SCENARIO: &str = "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{ pool: workers, count: 3, zones: [a, b], allocatable: { cpu: 16, memory: 64Gi } }]
apply: [web.yaml, more.yaml]
behaviors: [{ for: cronjob/nightly, run: 20s }, { for: job/once, run: 20s }]
run: { until: 1h }
";

const MORE: &str = "
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: web }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }
  minReplicas: 2
  maxReplicas: 6
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { minAvailable: 1, selector: { matchLabels: { app: web } } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly }
spec:
  schedule: '* * * * *'
  jobTemplate:
    spec: { template: { spec: { restartPolicy: Never, containers: [{ name: m, image: m:1 }] } } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: once }
spec: { template: { spec: { restartPolicy: Never, containers: [{ name: m, image: m:1 }] } } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: prices }
data: { tea: '1' }
---
";

/// What users write.
const WORDS: [&str; 48] = [
    "set image deployment/web app=web:v2",
    "set image statefulset db db=db:2",
    "set resources deployment web -c=app --limits=cpu=2,memory=512Mi --requests=cpu=1",
    "set env deployment/web A=1 B-",
    "set serviceaccount deployment web other",
    "set selector service web app=other",
    "scale deployment/web --replicas=5",
    "scale statefulset db --replicas=1 --current-replicas=2",
    "autoscale deployment web --min=1 --max=9 --cpu=50%",
    "rollout restart deployment/web",
    "rollout undo deployment/web --to-revision=1",
    "rollout pause deployment web",
    "rollout resume deployment web",
    "rollout status deployment web --timeout=5s",
    "rollout history deployment web",
    "label pod -l app=web tier=front --overwrite",
    "label node workers-1 disk=ssd",
    "annotate deployment web note=x --overwrite",
    "taint nodes workers-1 dedicated=db:NoSchedule",
    "taint nodes --all dedicated:NoSchedule-",
    "cordon workers-0",
    "uncordon workers-0",
    "drain workers-0 --ignore-daemonsets --delete-emptydir-data --force --timeout=10s",
    "drain -l kubernetes.io/hostname=workers-2 --grace-period=1 --disable-eviction",
    "delete pod -l app=web",
    "delete pods --all --grace-period=0 --force",
    "delete deployment web --cascade=orphan",
    "delete statefulset db",
    "delete node workers-2",
    "delete service web --ignore-not-found",
    "delete hpa,pdb --all",
    "delete namespace shop",
    "create namespace shop",
    "create deployment late --image=late:1 --replicas=2 -n shop",
    "create job more --from=cronjob/nightly",
    "create configmap prices --from-literal=tea=2",
    "create service clusterip late --tcp=80:8080",
    "run bare --image=bare:1 --labels=app=web",
    "expose deployment web --port=81 --name=again",
    "patch deployment web -p '{\"spec\":{\"replicas\":4}}'",
    "patch pdb web --type=merge -p '{\"spec\":{\"minAvailable\":\"50%\"}}'",
    "patch cronjob nightly --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/suspend\",\"value\":true}]'",
    "apply -f web.json",
    "apply --server-side -f web.json",
    "replace -f web.json --force",
    "delete -f web.json",
    "wait --for=condition=Ready pod -l app=web --timeout=5s",
    "get pods -o wide -A",
];

/// Words that fit nowhere.
const ODD: [&str; 30] = [
    "",
    "''",
    "-",
    "--",
    "=",
    "-1",
    "0",
    "1000000",
    "99999999999999999999",
    "1e308",
    "NaN",
    "-n",
    "--replicas=-1",
    "--replicas=1000000",
    "--all",
    "-A",
    "--dry-run=server",
    "*",
    "web",
    "db",
    "deployment/",
    "/web",
    "a/b/c",
    "💥",
    "[]",
    "'{\"spec\":null}'",
    "'{\"spec\":[[[\"'",
    "x:y:z=",
    "--grace-period=-5",
    "--timeout=-1s",
];

/// One of the lines, with some words changed.
fn line(noise: &mut Noise) -> String {
    let chosen = noise.one_of(&WORDS);
    let mut words: Vec<&str> = chosen.split(' ').collect();
    let other: Vec<&str> = noise.one_of(&WORDS).split(' ').collect();
    for _ in 0..[0, 1, 1, 2, 4][noise.below(5)] {
        let at = noise.below(words.len());
        match noise.below(5) {
            0 if words.len() > 1 => drop(words.remove(at)),
            1 => words.insert(at, words[at]),
            2 => words.insert(at, noise.one_of(&ODD)),
            3 => words[at] = noise.one_of(&ODD),
            _ => words[at] = other[noise.below(other.len())],
        }
    }
    words.join(" ")
}

fn model() -> Arc<Model> {
    let db = stateful_set("db", 2, "containers: [{ name: db, image: db:1 }]");
    let (web, more) = (WEB.replace("REPLICAS", "3"), MORE.to_owned() + &db);
    load_memory(&[("scenario.yaml", SCENARIO), ("web.yaml", &web), ("more.yaml", &more)]).model
}

#[test]
fn no_line_of_kubectl_panics() {
    let model = model();
    let file = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "app", "image": "web:v3" }] },
            },
        },
    });
    let mut panicked = String::new();
    let mut carried_out = 0_u64;
    let worlds = rounds(WORLDS);
    for world in worlds.clone() {
        let mut noise = Noise::of(world << 32);
        let mut said = Vec::new();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut run = Stepped::new(&model).with_file("web.json", file.clone());
            for number in 1..=LINES {
                let line = line(&mut noise);
                said.push(line.clone());
                let at = run.cluster().pods().len() < 500;
                if at && let Ok(output) = run.try_kubectl(20 * number, &line) {
                    carried_out += u64::from(output.exit_code == 0);
                }
            }
            run.to(20 * LINES + 60);
        }));
        if ended.is_err() {
            panicked += &format!("world {world}:\n{}\n", said.join("\n"));
        }
    }
    assert!(panicked.is_empty(), "{panicked}");
    assert!(carried_out > 150 || worlds != WORLDS, "only {carried_out} lines are carried out");
}
