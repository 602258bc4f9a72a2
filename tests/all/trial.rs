//! `seatrial rollout` and `seatrial drill`: manifests without a scenario, through the command.

use std::path::Path;

use serde_json::Value;

use crate::support::{WEB, seatrial, seatrial_fed};

/// What a command prints as JSON: its words, and its standard input.
fn report(folder: &Path, words: &str, stdin: &str) -> Value {
    let arguments: Vec<&str> = words.split_whitespace().chain(["--format", "json"]).collect();
    let output = seatrial_fed(folder, &arguments, stdin.as_bytes());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {error}"))
}

fn web() -> String {
    WEB.replace("REPLICAS", "3")
}

/// A server that stops at once loses the calls that proxies still send to it (rule N460): a
/// preStop sleep is found to help, a server that only finishes its calls is not enough.
#[test]
fn a_rollout_of_piped_manifests_tells_what_fails_and_what_helps() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let report = report(here.path(), "rollout - --seeds 6 --rate 200", &web());
    let subject = &report["subjects"][0];
    assert_eq!(subject["name"], "deployment/web");
    let now = subject["now"]["failed"]["value"].as_f64().expect("a number");
    assert!(now > 10.0, "{now} calls failed");
    assert!(subject["now"]["causes"]["stale_proxy"]["value"].as_f64() > Some(5.0));
    let helps = subject["helps"].as_str().expect("something helps");
    assert!(helps.contains("preStop sleep"), "{helps}");
    let tried = subject["tried"].as_array().expect("a list");
    let of = |about: &str| {
        tried
            .iter()
            .find(|tried| tried["about"].as_str().is_some_and(|text| text.ends_with(about)))
            .expect("tried")
    };
    assert_eq!(of(helps)["failed"]["value"], 0);
    let drained = of("the server finishes its calls on SIGTERM");
    assert!(drained["failed"]["value"].as_f64() > Some(1.0), "{drained}");
}

#[test]
fn the_exit_code_says_whether_too_many_calls_fail() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let careful = "ports: [{ containerPort: 8080 }]
          lifecycle: { preStop: { sleep: { seconds: 15 } } }
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
";
    let kept = web().replace("ports: [{ containerPort: 8080 }]\n", careful);
    assert_ne!(kept, web(), "the manifest has a container named app");
    std::fs::write(here.path().join("web.yaml"), web()).expect("written");
    std::fs::write(here.path().join("kept.yaml"), kept).expect("written");
    let code = |file: &str, more: &[&str]| {
        let arguments = [&["rollout", file, "--seeds", "3", "--no-advice"], more].concat();
        let output = seatrial(here.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    assert_eq!(code("web.yaml", &[]).0, Some(0), "without a limit nothing is judged");
    assert_eq!(code("web.yaml", &["--max-failed", "0"]).0, Some(1));
    let (exit, text) = code("kept.yaml", &["--max-failed", "0"]);
    assert_eq!(exit, Some(0), "{text}");
    assert!(text.contains("1 of 1 without a failed call in 3 runs"), "{text}");
    assert_eq!(code("nowhere.yaml", &[]).0, Some(2));
}

/// The scenario of a rollout is one that a person can go on from.
/// Manifests do not say how long a Job's pods run: it is assumed, and said.
#[test]
fn jobs_beside_what_rolls_run_a_minute() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let with_jobs = format!(
        "{}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{ name: report, namespace: office }}
spec:
  schedule: '*/5 * * * *'
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{{ name: report, image: report }}]
",
        web()
    );
    let output = seatrial_fed(here.path(), &["rollout", "-", "--seeds", "2"], with_jobs.as_bytes());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!error.contains("never end"), "{error}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Jobs run 1 min (assumed)"), "{text}");
    let shown =
        seatrial_fed(here.path(), &["rollout", "-", "--show-scenario"], with_jobs.as_bytes());
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("for: cronjob/office/report"), "{text}");
}

#[test]
fn the_scenario_that_is_run_can_be_had() {
    let here = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(here.path().join("web.yaml"), web()).expect("written");
    let shown = seatrial(here.path(), &["rollout", "web.yaml", "--show-scenario"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("kubectl rollout restart deployment/web"), "{text}");
    // What the plain cluster brings besides is told by its own file.
    let own = text.replace("- plain-cluster.yaml", "");
    std::fs::write(here.path().join("scenario.yaml"), own).expect("written");
    let checked = seatrial(here.path(), &["check", "scenario.yaml"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn drills_take_nodes_and_zones_away() {
    let here = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(here.path().join("web.yaml"), web()).expect("written");
    let drill = |kind: &str| {
        let words = format!("drill {kind} web.yaml --seeds 2 --rate 20 --no-advice");
        report(here.path(), &words, "")["subjects"][0].clone()
    };
    let lost = drill("--zone-loss");
    assert_eq!(lost["name"], "service/web");
    assert!(lost["now"]["causes"]["node_down"]["value"].as_f64() > Some(1.0), "{lost}");
    let drained = drill("--drain");
    assert!(drained["now"]["failed"]["value"].as_f64() > Some(1.0), "{drained}");
    assert!(drained["now"]["causes"]["node_down"].is_null(), "{drained}");
}

/// Where a drill strikes: the node with most pods if nobody says, and what is said.
#[test]
fn a_drill_strikes_where_pods_are() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let pinned = web().replace(
        "      containers:",
        "      nodeSelector: { kubernetes.io/hostname: workers-4 }\n      containers:",
    );
    std::fs::write(here.path().join("web.yaml"), pinned).expect("written");
    let shown = |more: &[&str]| {
        let arguments = [&["drill", "web.yaml", "--show-scenario"], more].concat();
        let output = seatrial(here.path(), &arguments);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (_, text) = shown(&["--node-crash"]);
    assert!(text.contains("node: workers-4"), "{text}");
    // Zones are given in turn: workers-4 is in b.
    let (_, text) = shown(&["--zone-loss"]);
    assert!(text.contains("zone: b"), "{text}");
    let (_, text) = shown(&["--drain", "--at", "workers-2"]);
    assert_eq!(text.matches("kubectl drain workers-2 ").count(), 1, "{text}");
    assert_eq!(text.matches("kubectl drain").count(), 1, "{text}");
    let (code, text) = shown(&["--node-crash", "--at", "b"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("there is no node b: there are workers-0, workers-1"), "{text}");
}

/// How many pods there are is an autoscaler's: where they stand is tried against the loss of a zone.
#[test]
fn scaled_pods_are_spread() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let hpa = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: { name: web }\nspec: { minReplicas: 3, maxReplicas: 6, scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }, metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 80 } } }] }\n";
    let report =
        report(here.path(), "drill --zone-loss - --seeds 1 --rate 5", &format!("{}{hpa}", web()));
    let tried = report["subjects"][0]["tried"].as_array().expect("a list");
    let abouts: Vec<&str> = tried.iter().map(|one| one["about"].as_str().expect("text")).collect();
    assert!(abouts.contains(&"pods spread over zones and nodes"), "{abouts:?}");
    assert!(!abouts.iter().any(|about| about.contains("replicas")), "{abouts:?}");
}

/// Every Service of other people's manifests that leads to a workload goes through it.
#[test]
fn other_peoples_services_roll() {
    let Some(data) = crate::support::shared("data") else {
        return println!("skipped: ../shared/data is not here");
    };
    let expected = [
        ("online-boutique", 11),
        ("podinfo", 7),
        ("sock-shop", 14),
        ("kube-prometheus", 6),
        ("kubernetes-examples", 5),
    ];
    for (folder, workloads) in expected {
        let path = data.join("manifests").join(folder).display().to_string();
        let words = format!("rollout {path} --seeds 1 --rate 5 --no-advice");
        let report = report(&data, &words, "");
        let subjects = report["subjects"].as_array().expect("a list");
        assert_eq!(subjects.len(), workloads, "{folder}");
        for subject in subjects {
            assert_eq!(subject["now"]["completed"]["value"], 1, "{folder}: {subject}");
            let calls = subject["now"]["calls"]["value"].as_f64();
            assert!(calls > Some(0.0), "{folder}: {subject}");
        }
    }
}

/// A hook does nothing for a rollout that takes all pods away first: that is to end, and then a hook
/// may help (rule N482).
#[test]
fn no_hook_is_tried_beside_recreate() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let recreate = web().replace(
        "  selector: { matchLabels: { app: web } }",
        "  strategy: { type: Recreate }\n  selector: { matchLabels: { app: web } }",
    );
    assert_ne!(recreate, web());
    let report = report(here.path(), "rollout - --seeds 2 --rate 20", &recreate);
    let tried = report["subjects"][0]["tried"].as_array().expect("a list");
    assert!(!tried.is_empty());
    for one in tried {
        let about = one["about"].as_str().expect("text");
        assert!(!about.contains("preStop") || about.contains("maxUnavailable 0"), "{about}");
    }
}

/// N56: the new pod of a Deployment whose pods share a disk waits on another node for ever; taking the
/// old one away first is found to help. More pods are not tried.
#[test]
fn pods_that_share_a_disk() {
    let here = tempfile::tempdir().expect("a temporary folder");
    // No two on one node.
    let shared = web().replace(
        "      containers:",
        "      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: kubernetes.io/hostname, labelSelector: { matchLabels: { app: web } } }] } }
      volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]
      containers:",
    );
    assert_ne!(shared, web());
    let claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }\n";
    let one = shared.replace("replicas: 3", "replicas: 1");
    let report = report(here.path(), "rollout - --seeds 2 --rate 20", &format!("{one}{claim}"));
    let subject = &report["subjects"][0];
    assert_eq!(subject["helps"], "strategy Recreate");
    assert!(subject["note"].as_str().is_some_and(|note| note.contains("claim data")));
    let tried = subject["tried"].as_array().expect("a list");
    let abouts: Vec<&str> = tried.iter().map(|one| one["about"].as_str().expect("text")).collect();
    assert!(abouts.contains(&"strategy Recreate"), "{abouts:?}");
    assert!(!abouts.iter().any(|about| about.contains("replicas")), "{abouts:?}");
}

/// With `--graph` workloads call those that their environment names: what is lost in one is lost for
/// those that wait for it.
#[test]
fn workloads_call_each_other() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let front = web()
        .replace("web", "front")
        .replace("resources:", "env: [{ name: WEB_ADDR, value: 'web:80' }]\n          resources:");
    let both = format!("{}---\n{front}", web());
    let arguments = ["rollout", "-", "--seeds", "2", "--no-advice", "--rate", "50", "--graph"];
    let output = seatrial_fed(here.path(), &arguments, both.as_bytes());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("each call leads to one of each: front → web"), "{text}");
    assert!(text.contains("a call it depended on failed"), "{text}");
    let shown = [&arguments[..], &["--show-scenario"]].concat();
    let shown = seatrial_fed(here.path(), &shown, both.as_bytes());
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("calls:\n  - to: service/web"), "{shown}");
    assert!(!shown.contains("to: service/web\n  rate"), "{shown}");
}

/// One workload rolls after another: each at a time of its own.
#[test]
fn rollouts_one_by_one() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let both = format!("{}---{}", web(), web().replace("web", "shop"));
    let shown = seatrial_fed(
        here.path(),
        &["rollout", "-", "--one-by-one", "--show-scenario"],
        both.as_bytes(),
    );
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("at: 1m0s") && text.contains("at: 4m0s"), "{text}");
    let report =
        report(here.path(), "rollout - --one-by-one --seeds 2 --rate 20 --no-advice", &both);
    for subject in report["subjects"].as_array().expect("a list") {
        assert_eq!(subject["now"]["completed"]["value"], 1, "{subject}");
    }
}

/// Causes of a load balancer's: the policy is tried, and sleeps that are longer than its checks.
#[test]
fn local_policies_are_tried_without() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let local = web().replace(
        "spec:\n  selector: { app: web }",
        "spec:\n  type: LoadBalancer\n  externalTrafficPolicy: Local\n  selector: { app: web }",
    );
    assert_ne!(local, web());
    let report = report(here.path(), "rollout - --seeds 3 --rate 100", &local);
    let subject = &report["subjects"][0];
    let causes = &subject["now"]["causes"];
    let tried: Vec<&str> = subject["tried"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["about"].as_str())
        .collect();
    println!("{causes} {tried:?}");
    if causes["not_on_node"]["value"].as_f64() > Some(0.0) {
        assert!(tried.contains(&"traffic policy Cluster"), "{tried:?}");
    }
}

/// What manifests need of elsewhere is assumed and said; what has no pods is left out; what helm
/// does not install is not there.
#[test]
fn what_manifests_do_not_bring_is_assumed_and_said() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let needy = web().replace(
        "      containers:",
        "      priorityClassName: business\n      runtimeClassName: gvisor\n      containers:",
    );
    assert_ne!(needy, web(), "the manifest has containers");
    let more = "
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: web }
spec:
  minReplicaCount: 2
  scaleTargetRef: { name: web }
  triggers: [{ type: kafka, metadata: { topic: orders, lagThreshold: '5' } }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: asleep }
spec:
  replicas: 0
  selector: { matchLabels: { app: asleep } }
  template:
    metadata: { labels: { app: asleep } }
    spec: { containers: [{ name: app, image: app }] }
---
apiVersion: v1
kind: Service
metadata: { name: asleep }
spec: { selector: { app: asleep }, ports: [{ port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Pod
metadata: { name: test, annotations: { helm.sh/hook: test } }
spec: { containers: [{ name: app, image: app }] }
";
    let all = needy + more;
    let arguments = ["rollout", "-", "--replications", "2", "--no-advice", "--json"];
    let output = seatrial_fed(here.path(), &arguments, all.as_bytes());
    let error = String::from_utf8_lossy(&output.stderr);
    for told in [
        "no PriorityClass \"business\" is among these manifests",
        "a hook of helm for test is left out",
        "the scenario has no metric for this kafka trigger",
        "what ScaledObject \"web\" scales has 2 pods",
        "no container behind service \"asleep\" has a port \"http\"",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["subjects"][0]["now"]["completed"]["value"], 1);
    let assumed = &report["assumed"];
    assert_eq!(assumed[0], "priorityclass/business", "{assumed}");
    assert_eq!(assumed[1], "runtimeclass/gvisor", "{assumed}");
    assert_eq!(report["leftOut"][0]["why"], "the workload behind it has 0 replicas");
}

/// A rollout that is never complete and a node that is never drained say why, and do not pass.
#[test]
fn what_does_not_end_says_why() {
    let here = tempfile::tempdir().expect("a temporary folder");
    let one = WEB.replace("REPLICAS", "1");
    let budget = "
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { minAvailable: 1, selector: { matchLabels: { app: web } } }
";
    let words = ["drill", "--drain", "-", "--seeds", "1", "--no-advice", "--max-failed", "1000000"];
    let output = seatrial_fed(here.path(), &words, (one.clone() + budget).as_bytes());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("5 of 6 nodes drained in every run"), "{text}");
    let why = "not: budget web (minAvailable 1) wants 1 healthy of 1 pods";
    assert!(text.contains(why), "{text}");
    let nowhere = one.replace(
        "      containers:",
        "      nodeSelector: { topology.kubernetes.io/zone: z }\n      containers:",
    );
    let words = ["rollout", "-", "--seeds", "1", "--no-advice"];
    let output = seatrial_fed(here.path(), &words, nowhere.as_bytes());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("WHY      deployment/web: 2 pods without a node: 0/6 nodes"), "{text}");
}
