//! Commands that wait: `kubectl wait`, `rollout status`, `delete` and `drain` in scripts, and what
//! a shell makes of their ends (rules C65, C157).

use seatrial::recorder::Facts;

use crate::support::{ended, stateful_set};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: app
          image: web:v1
          readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 }
";

const DB: &str = "terminationGracePeriodSeconds: 5, containers: [{ name: db, image: db:1, \
                  readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 } }]";

const JOB: &str = "
apiVersion: batch/v1
kind: CronJob
metadata: { name: migrate }
spec:
  schedule: '0 3 * * *'
  jobTemplate:
    spec:
      template: { spec: { restartPolicy: Never, containers: [{ name: m, image: m:1 }] } }
";

fn scenario(timeline: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{{ pool: workers, count: 3, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: ideal
apply: [web.yaml, db.yaml, job.yaml]
behaviors:
  - {{ for: deployment/web, start: 10s }}
  - {{ for: deployment/web, image: '*:bad', start: 2h }}
  - {{ for: statefulset/db, start: 20s }}
  - {{ for: cronjob/migrate, run: 45s }}
timeline: {timeline}
run: {{ until: 20m }}
"
    )
}

fn run(timeline: &str, script: &str) -> Facts {
    let text = scenario(timeline);
    let db = stateful_set("db", 2, DB);
    let files = [
        ("scenario.yaml", text.as_str()),
        ("web.yaml", WEB),
        ("db.yaml", &db),
        ("job.yaml", JOB),
        ("upgrade.sh", script),
    ];
    ended(&files).1
}

/// Start, end and what was said of each command of a script.
fn told(script: &str) -> Vec<String> {
    let facts = run("{ script: upgrade.sh }", script);
    let mut told: Vec<String> = facts
        .commands
        .iter()
        .map(|c| {
            let ended = c.ended.map_or("-".to_owned(), |at| at.to_string());
            let said = c.refused.as_deref().unwrap_or(&c.said);
            format!("{}..{ended} {said}", c.at)
        })
        .collect();
    told.extend(facts.scripts.iter().map(|s| format!("{} status {}", s.ended, s.status)));
    told
}

#[test]
fn rollouts_are_waited_for_one_after_another() {
    let told = told(
        "#!/bin/bash
set -euo pipefail
sleep 60
kubectl set image deployment/web app=web:v2
kubectl rollout status deployment/web --timeout=5m   # three pods, one after another
kubectl rollout restart statefulset/db
kubectl rollout status statefulset/db
",
    );
    assert_eq!(
        told,
        [
            "1:00..1:00 deployment.apps/web image updated",
            "1:00..1:30 deployment \"web\" successfully rolled out",
            "1:30..1:30 statefulset.apps/db restarted",
            "1:30..2:10 partitioned roll out complete: 2 new pods have been updated...",
            "2:10 status 0",
        ]
    );
}

#[test]
fn a_wait_that_fails_ends_the_script_or_not() {
    let bad = "sleep 60
kubectl set image deployment/web app=web:bad
kubectl rollout status deployment/web --timeout=2m";
    let late = "1:00..3:00 error: timed out waiting for the condition";
    let stopped = told(&format!("set -e\n{bad}\nkubectl scale deployment/web --replicas=9\n"));
    assert_eq!(stopped[1..], [late, "3:00 status 1"]);
    let went_on = told(&format!("{bad}\nkubectl scale deployment/web --replicas=2\n"));
    assert_eq!(went_on[1..], [late, "3:00..3:00 deployment.apps/web scaled", "3:00 status 0"]);
    let undone = told(&format!("set -e\n{bad} || kubectl rollout undo deployment/web\n"));
    assert_eq!(undone[1..], [late, "3:00..3:00 deployment.apps/web rolled back", "3:00 status 0"]);
    let branch = told(&format!(
        "set -e
if {}; then
  kubectl rollout undo deployment/web
  kubectl rollout status deployment/web
  exit 3
fi
kubectl scale deployment/web --replicas=9
",
        bad.replace("kubectl rollout", "! kubectl rollout")
    ));
    assert_eq!(branch[1], late);
    assert_eq!(
        branch[2..4],
        [
            "3:00..3:00 deployment.apps/web rolled back",
            "3:00..3:00 deployment \"web\" successfully rolled out",
        ]
    );
    assert_eq!(branch[4], "3:00 status 3");
}

#[test]
fn the_progress_deadline_ends_it() {
    let told = told(
        "kubectl set image deployment/web app=web:bad
kubectl rollout status deploy web >/dev/null 2>&1
",
    );
    assert_eq!(
        told[1..],
        ["0:00..10:01 error: deployment \"web\" exceeded its progress deadline", "10:01 status 1"]
    );
}

#[test]
fn conditions_paths_and_deletions() {
    let told = told(
        "sleep 30
kubectl wait --for=condition=Available deployment/web
kubectl create job now --from=cronjob/migrate && kubectl wait --for=condition=complete job/now --timeout=2m
kubectl scale deployment/web --replicas=5
kubectl wait deployment/web --for=jsonpath='{.status.readyReplicas}'=5
kubectl wait deployment/web --for=jsonpath='{.status.readyReplicas}'=6 --timeout=0
kubectl wait pod -l app=web --for=condition=Ready=false --timeout 15s
kubectl delete pod db-1
kubectl delete pod db-0 --wait=false
kubectl wait --for=delete pod/db-0
kubectl wait pod/db-1 --for=create --timeout=1m
kubectl wait pod/db-1 --for=condition=Ready --timeout=1m
kubectl wait pods -l app=nothing --for=condition=Ready
kubectl wait --for=create deployment/later --timeout=5s
kubectl drain workers-0 --ignore-daemonsets --timeout=3m
kubectl uncordon workers-0
",
    );
    let expect = [
        "0:30..0:30 deployment.apps/web condition met",
        "0:30..0:30 job.batch/now created",
        "0:30..1:16 job.batch/now condition met",
        "1:16..1:16 deployment.apps/web scaled",
        "1:16..1:26 deployment.apps/web condition met",
        "1:26..1:26 error: condition not met for deployments/web",
    ];
    assert_eq!(told[..6], expect);
    assert!(told[6].starts_with("1:26..1:41 timed out waiting for the condition on pods/web-"));
    assert_eq!(told.len(), 17, "{told:#?}");
    let said: Vec<&str> =
        told[7..].iter().map(|line| line.split_once(' ').expect("a space").1).collect();
    assert_eq!(
        said[..9],
        [
            "pod \"db-1\" deleted from default namespace",
            "pod \"db-0\" deleted from default namespace",
            "pod/db-0 condition met",
            "pod/db-1 condition met",
            "pod/db-1 condition met",
            "error: no matching resources found",
            "error: timed out waiting for the condition",
            "node/workers-0 drained",
            "node/workers-0 uncordoned",
        ],
        "{told:#?}"
    );
}

#[test]
fn entries_keep_their_times() {
    let facts = run(
        "
  - { at: 1m, run: kubectl set image deployment/web app=web:v2 }
  - { at: 1m, run: kubectl rollout status deployment/web }
  - { at: 70s, run: kubectl scale statefulset/db --replicas=1 }
  - { at: 2m, run: kubectl rollout status statefulset/db --watch=false }",
        "",
    );
    let at: Vec<String> =
        facts.commands.iter().map(|c| format!("{} {}", c.at, c.ended.expect("over"))).collect();
    assert_eq!(at, ["1:00 1:00", "1:00 1:30", "1:10 1:10", "2:00 2:00"]);
}

/// However long a script is, it needs no more stack than a short one.
#[test]
fn a_script_of_many_lines() {
    let work = || {
        let facts = run("{ script: upgrade.sh }", &"kubectl get pods\n".repeat(20_000));
        facts.scripts.iter().map(|script| script.status).collect::<Vec<_>>()
    };
    let small = std::thread::Builder::new().stack_size(1 << 20).spawn(work);
    assert_eq!(small.expect("a thread").join().expect("it ends"), [0]);
}

/// Rule C163's commands in scripts: whether an object is there decides.
#[test]
fn a_look_is_a_condition() {
    let told = told(
        "
if kubectl get deployment web; then kubectl scale deployment/web --replicas=4; fi
if ! kubectl get deployment other > /dev/null 2>&1; then
  kubectl create deployment other --image=other:1
fi
kubectl get deployment/other -o name
kubectl describe service nothing || kubectl expose deployment web --port=80 --name=nothing
kubectl get service nothing --ignore-not-found
kubectl get pods -l app=web -o wide
kubectl get events --watch
kubectl get node workers-9
",
    );
    let said: Vec<&str> =
        told.iter().map(|line| line.split_once(' ').map_or("", |(_, said)| said)).collect();
    assert_eq!(
        said,
        [
            "",
            "deployment.apps/web scaled",
            "Error from server (NotFound): deployments.apps \"other\" not found",
            "deployment.apps/other created",
            "deployment.apps/other",
            "Error from server (NotFound): services \"nothing\" not found",
            "service/nothing exposed",
            "",
            "",
            "",
            "Error from server (NotFound): nodes \"workers-9\" not found",
            "status 1",
        ],
        "{told:#?}"
    );
}

/// Each command of the daily work, in the words that kubectl says to it.
#[test]
fn the_commands_of_the_day() {
    let told = told(
        "
sleep 20
kubectl set image deployment/web app=web:v2
kubectl rollout status deployment/web
kubectl set env deployment/web LEVEL=debug
sleep 60
kubectl set resources deployment/web -c app --requests=cpu=200m
sleep 60
kubectl rollout pause deployment/web
kubectl set image deployment/web app=web:v3
kubectl rollout resume deployment/web
sleep 60
kubectl rollout undo deployment/web
sleep 60
kubectl rollout history deployment/web
kubectl scale deployment/web --current-replicas=9 --replicas=5
kubectl scale deployment/web --current-replicas=3 --replicas=5
kubectl label deployment/web tier=front
kubectl annotate deployment/web note=done
kubectl label node workers-0 disk=ssd --overwrite
kubectl taint node workers-0 dedicated=db:NoSchedule
kubectl taint node workers-0 dedicated-
kubectl cordon workers-0
kubectl drain workers-0 --ignore-daemonsets --delete-emptydir-data --force
kubectl uncordon workers-0
kubectl uncordon workers-0
",
    );
    let said: Vec<&str> =
        told.iter().map(|line| line.split_once(' ').map_or("", |(_, said)| said)).collect();
    assert_eq!(
        said,
        [
            "deployment.apps/web image updated",
            "deployment \"web\" successfully rolled out",
            "deployment.apps/web env updated",
            "deployment.apps/web resource requirements updated",
            "deployment.apps/web paused",
            "deployment.apps/web image updated",
            "deployment.apps/web resumed",
            "deployment.apps/web rolled back",
            "6         <none>",
            "error: Expected replicas to be 9, was 3",
            "deployment.apps/web scaled",
            "deployment.apps/web labeled",
            "deployment.apps/web annotated",
            "node/workers-0 labeled",
            "node/workers-0 tainted",
            "node/workers-0 untainted",
            "node/workers-0 cordoned",
            "node/workers-0 drained",
            "node/workers-0 uncordoned",
            "node/workers-0 already uncordoned",
            "status 0",
        ],
        "{told:#?}"
    );
}
