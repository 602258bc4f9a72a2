//! The proxies of a service mesh (rules N187, N471).

use std::collections::BTreeMap;

use seatrial::engine::World;
use seatrial::experiment::{Options, run};
use seatrial::manifest::Loader;
use seatrial::record::Cause;
use seatrial::recorder::Recorder;
use seatrial::scenario::{Loaded, Place, Refused, load, show};

use crate::support::WEB;

fn scenario(mesh: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: mesh
cluster:
  nodes: [{{ pool: workers, count: 4, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: measured-small
  {mesh}
apply: [web.yaml]
behaviors:
  - {{ for: deployment/web, container: app, start: 2s, shutdown: {{ drain: 20s }}, serve: {{ hold: 8s, concurrency: 1000 }} }}
traffic:
  - {{ name: users, to: service/web, rate: 20/s, timeout: 20s }}
timeline:
  - {{ at: 60s, run: kubectl rollout restart deployment/web }}
run: {{ until: 3m, seed: 11, warmup: 50s }}
"
    )
}

const PROXY: &str = "{ name: istio-proxy, image: proxy";

/// Pods whose app serves for 5 s after its deletion, with a proxy as an ordinary container or as a
/// native sidecar.
fn web(is_native: bool) -> String {
    let app = "ports: [{ containerPort: 8080 }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
          lifecycle: { preStop: { sleep: { seconds: 5 } } }";
    let web = WEB.replace("REPLICAS", "4").replace("ports: [{ containerPort: 8080 }]", app);
    let inits =
        format!("      initContainers: [{PROXY}, restartPolicy: Always }}]\n      containers:\n");
    let plain = format!("      containers:\n        - {PROXY} }}\n");
    web.replacen("      containers:\n", if is_native { &inits } else { &plain }, 1)
}

fn loaded(mesh: &str, is_native: bool) -> Result<Loaded, Box<Refused>> {
    let files = [("scenario.yaml", scenario(mesh)), ("web.yaml", web(is_native))];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    load(&place, &[])
}

/// Calls that failed for a cause, all that failed, and the median latency in seconds.
fn rollout(mesh: &str, is_native: bool, cause: Cause) -> (f64, f64, f64) {
    let loaded = loaded(mesh, is_native).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let options = Options { replications: 1, checks: true, ..Options::of(&loaded.model) };
    let done = run(&loaded.model, options, &|_| {}).expect("within all limits");
    let value = |what: &[&str]| done.summary.value(&[&["services", "web", "calls"], what].concat());
    let of_cause = value(&["by_cause", cause.as_str()]).unwrap_or(0.0);
    let median = done.summary.value(&["services", "web", "latency_p50_s"]).unwrap_or(0.0);
    (of_cause, value(&["failed"]).unwrap_or(0.0), median)
}

/// N471: proxy and app get SIGTERM together, and the proxy ends after its drain of 5 s: what takes
/// longer is cut. A native sidecar ends after the app: none. A longer drain helps too.
#[test]
fn a_proxy_that_ends_before_its_app() {
    let (cut, failed, _) = rollout("mesh: { drain: 5s }", false, Cause::CutByMeshProxy);
    assert!(cut > 20.0 && failed >= cut, "{cut} {failed}");
    let (_, failed, _) = rollout("mesh: { drain: 5s }", true, Cause::CutByMeshProxy);
    assert!(failed < 0.5, "{failed}");
    let (_, failed, _) = rollout("mesh: { drain: 30s }", false, Cause::CutByMeshProxy);
    assert!(failed < 0.5, "{failed}");
}

/// A proxy that starts later than its app, in a pod that does not wait for it: calls are refused.
#[test]
fn a_proxy_that_starts_after_its_app() {
    let (refused, ..) = rollout("mesh: { start: 8s, drain: 30s }", false, Cause::NoMeshProxy);
    assert!(refused > 20.0, "{refused}");
}

const FRONT: &str = "apiVersion: seatrial/v1
kind: Scenario
name: meshed
cluster:
  nodes: [{ pool: workers, count: 4, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: measured-small
  mesh: { injection: { namespaces: [default] } }
apply: [web.yaml, front.yaml]
behaviors:
  - { for: deployment/web, start: 2s, serve: { hold: 100ms, concurrency: 1000 } }
  - { for: deployment/front, start: 2s, serve: { hold: 1ms, concurrency: 1000 }, calls: [{ to: service/web, timeout: 5s }] }
traffic:
  - { name: users, to: service/front, rate: 100/s, timeout: 10s }
timeline:
  - { at: 60s, run: kubectl rollout restart deployment/web }
run: { until: 2m, seed: 5, warmup: 50s }
";

const ORDINARY: &str = "cluster.mesh.injection.kind=container";
const SLEEP: &str = "deployment/web:spec.template.spec.containers[name=app].lifecycle={ preStop: { sleep: { seconds: 5 } } }";
const DRAIN: &str = "behaviors[0].shutdown={ drain: 20s }";
const NO_RETRIES: &str = "cluster.mesh.retries={ attempts: 0 }";

fn plain(replicas: &str) -> String {
    let probe = "ports: [{ containerPort: 8080 }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }";
    WEB.replace("REPLICAS", replicas).replace("ports: [{ containerPort: 8080 }]", probe)
}

fn meshed(sets: &[&str]) -> Result<Loaded, Box<Refused>> {
    let files = [
        ("scenario.yaml", FRONT.to_owned()),
        ("web.yaml", plain("4")),
        ("front.yaml", plain("2").replace("web", "front")),
    ];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load(&place, &sets)
}

/// The number of calls to `web` that failed, by causes, in three runs on average.
fn failures(sets: &[&str]) -> BTreeMap<&'static str, f64> {
    let loaded = meshed(sets).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let options = Options { replications: 3, jobs: 2, checks: true, ..Options::of(&loaded.model) };
    let done = run(&loaded.model, options, &|_| {}).expect("within all limits");
    let total = done.summary.value(&["services", "web", "calls", "total"]);
    assert!(total.expect("calls are made") > 5_000.0, "{total:?}");
    let number = |cause: &Cause| {
        let path = ["services", "web", "calls", "by_cause", cause.as_str()];
        let count = done.summary.value(&path).filter(|count| *count > 0.0);
        Some((cause.as_str(), count?))
    };
    let found = Cause::ALL.iter().filter_map(number).collect();
    println!("{sets:?}: {found:?}");
    found
}

/// N131, N184, N471: proxies choose pods themselves, by what the control plane has told them. Pods
/// that stop at once are still chosen until the push; two tries at other pods hide what was
/// refused, and the 503 of a proxy whose app is gone. A POST that was sent is not sent again.
#[test]
fn proxies_choose_pods_and_try_again() {
    let none = failures(&[NO_RETRIES]);
    assert!(none["stale_mesh"] > 5.0 && none["cut_by_stop"] > 5.0, "{none:?}");
    assert!(!none.contains_key("stale_proxy"), "{none:?}");
    let gets = failures(&[]);
    // Now and then three pods are tried that have all just stopped.
    assert!(gets.values().sum::<f64>() < 1.0, "{gets:?}");
    let posts = failures(&["traffic[0].method=POST"]);
    assert!(posts["cut_by_stop"] > 5.0, "{posts:?}");
    let resent = failures(&["traffic[0].method=POST", "cluster.mesh.retries={ resend: true }"]);
    assert!(resent.values().sum::<f64>() < 1.0, "{resent:?}");
    let slept = failures(&[NO_RETRIES, SLEEP, DRAIN]);
    assert!(slept.is_empty(), "{slept:?}");
}

/// A push waits for a quiet span: with a debounce of 4 s pods that have stopped are chosen for
/// longer.
#[test]
fn a_push_that_waits() {
    let stale = |sets: &[&str]| failures(&[&[NO_RETRIES], sets].concat())["stale_mesh"];
    let (usual, late) = (stale(&[]), stale(&["cluster.mesh.push={ debounce: 4s }"]));
    assert!(late > 5.0 * usual, "{usual} {late}");
    let at_once = failures(&[NO_RETRIES, "cluster.latencies=ideal"]);
    assert!(!at_once.contains_key("stale_mesh"), "{at_once:?}");
}

/// N471, N472 (N124): injected as an ordinary container the proxy ends 5 s after SIGTERM, with its
/// app still at work; a native sidecar ends after it. One whose preStop hook stops it does not: the
/// hook runs with the others, at the beginning.
#[test]
fn sidecars_that_stop_too_early() {
    let slow = [
        NO_RETRIES,
        SLEEP,
        DRAIN,
        "behaviors[0].serve={ hold: 8s, concurrency: 1000 }",
        "behaviors[1].calls=[{ to: service/web, timeout: 20s }]",
        "traffic[0].timeout=30s",
    ];
    let with = |more: &[&str]| failures(&[&slow, more].concat());
    let ordinary = with(&[ORDINARY]);
    assert!(ordinary["cut_by_mesh_proxy"] > 50.0, "{ordinary:?}");
    assert!(with(&[]).is_empty());
    let quits =
        "cluster.mesh.injection={ namespaces: [default], preStop: [sh, -c, 'sleep 1; kill 1'] }";
    let quits = with(&[quits]);
    assert!(quits["cut_by_mesh_proxy"] > 50.0, "{quits:?}");
    let waits = with(&[ORDINARY, "cluster.mesh.exitWhenIdle=true"]);
    assert!(!waits.contains_key("cut_by_mesh_proxy"), "{waits:?}");
}

/// `holdApplicationUntilProxyStarts`: without it an app that starts faster than its proxy is called
/// and cannot call.
#[test]
fn an_app_that_does_not_wait() {
    let late = ["cluster.mesh.start=8s", "cluster.mesh.drain=30s", ORDINARY];
    let roll = "timeline[0].run=kubectl rollout restart deployment/front";
    let of = |more: &[&str]| {
        let sets = [&late[..], &[roll], more].concat();
        let loaded = meshed(&sets).unwrap_or_else(|refused| {
            panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
        });
        let options = Options { replications: 1, ..Options::of(&loaded.model) };
        let done = run(&loaded.model, options, &|_| {}).expect("within all limits");
        let path = ["services", "front", "calls", "by_cause", "no_mesh_proxy"];
        done.summary.value(&path).unwrap_or(0.0)
    };
    // The proxy's own readiness probe keeps the pod out of rotation; without it calls come.
    assert!(of(&["cluster.mesh.injection.holdApplication=true"]) < 0.5);
    let plain = "deployment/front:spec.template.spec.containers=[{ name: app, image: web:v1, ports: [{ containerPort: 8080 }] }, { name: istio-proxy, image: proxy }]";
    assert!(of(&[plain]) > 20.0);
}

/// N185: pods that answer with errors are ejected after five in a row, a tenth of them at most but
/// one always; others go on. With one call at a time the rest gets 503 at once.
#[test]
fn outliers_and_limits() {
    let bad = "behaviors[0].serve={ hold: 10ms, errors: 50% }";
    let no_roll = "timeline=[]";
    let all = failures(&[no_roll, bad, NO_RETRIES]);
    let ejected = "cluster.mesh.ejection={ failures: 2, share: 100% }";
    let gone = failures(&[no_roll, bad, NO_RETRIES, ejected]);
    assert!(gone["ejected"] > 500.0 && gone["server_fault"] < all["server_fault"] / 2.0);
    let panics = failures(&[no_roll, bad, NO_RETRIES, ejected, "cluster.mesh.panic=50%"]);
    assert!(!panics.contains_key("ejected"), "{panics:?}");
    let full = failures(&[no_roll, NO_RETRIES, "cluster.mesh.callsMax=3"]);
    assert!(full["caller_full"] > 500.0, "{full:?}");
}

/// What is wrong is told at its place; the mesh is shown.
#[test]
fn words() {
    let refused = loaded("mesh: { container: linkerd-proxy }", true).expect_err("it is wrong");
    let text = refused.found.lines(&refused.sources).join("\n");
    assert!(text.contains("no pod has a container \"linkerd-proxy\""), "{text}");
    let text = show(&loaded("mesh: {}", true).expect("it is right"));
    assert!(text.contains("container: istio-proxy"), "{text}");
    let told = |set: &str| {
        let refused = meshed(&[set]).expect_err("it is wrong");
        refused.found.lines(&refused.sources).join("\n")
    };
    for (set, words) in [
        ("cluster.mesh.injection={}", "no pod gets the proxy"),
        ("cluster.mesh.retries={ on: [conect-failure] }", "no condition of Envoy's"),
        ("cluster.mesh.retries={ perTryTimeout: 0s }", "every call fails"),
        ("cluster.mesh.callsMax=0", "no call at a time"),
        ("cluster.mesh.push={ debounce: 1s, debounceMax: 1ms }", "shorter than `debounce`"),
        ("cluster.mesh.ejection={ failures: 0 }", "1 failure at least"),
    ] {
        let text = told(set);
        assert!(text.contains(words), "{set}: {text}");
    }
    let text = show(&meshed(&["cluster.mesh.warmup=45s"]).expect("it is right"));
    for words in
        ["warmup: 45s", "kind: native-sidecar", "balance: least-request", "- connect-failure"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// Failed calls to `front` for lack of a proxy, and containers of the pods of `front` and `web` at
/// the end of a run.
fn containers(scenario: &str, files: &[(&str, String)]) -> Vec<(String, usize)> {
    let mut all = vec![("scenario.yaml", scenario.to_owned())];
    all.extend(files.iter().map(|(name, text)| (*name, text.clone())));
    let place = Place { loader: Loader::from_memory(all), path: "scenario.yaml".to_owned() };
    let loaded = load(&place, &[]).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let outcome = World::new(&loaded.model, 0, Recorder::default()).run().expect("within limits");
    let cluster = &outcome.cluster;
    let count = |(_, pod): (_, &seatrial::cluster::Pod)| {
        let spec = &cluster.template_of(pod).template.spec;
        let own = spec.init_containers.iter().chain(&spec.containers).count();
        let name = cluster.template_of(pod).template.workload.name.name;
        (cluster.names().resolve(name).to_owned(), own)
    };
    let mut all: Vec<(String, usize)> = cluster.pods().iter().map(count).collect();
    all.sort();
    all.dedup();
    all
}

/// Injection into what commands create: by the namespace's label as it is when the template is
/// written, against it by the pod's own.
#[test]
fn injection_during_a_run() {
    let with = |timeline: &str| {
        FRONT
            .replace("{ injection: { namespaces: [default] } }", "{ injection: {} }")
            .replace("apply: [web.yaml, front.yaml]", "apply: [web.yaml]")
            .replace("  - { at: 60s, run: kubectl rollout restart deployment/web }\n", timeline)
    };
    let front = plain("2").replace("web", "front");
    let labels = "metadata: { labels: { app: front, sidecar.istio.io/inject: \"WORD\" } }";
    let said = |word: &str| {
        front.replace("metadata: { labels: { app: front } }", &labels.replace("WORD", word))
    };
    let files = [
        ("web.yaml", plain("2")),
        ("front.yaml", front.clone()),
        ("not.yaml", said("false")),
        ("asks.yaml", said("true")),
        (
            "space.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: { name: default, labels: { istio-injection: enabled } }\n"
                .to_owned(),
        ),
    ];
    let of = |web: usize, front: usize| vec![("front".to_owned(), front), ("web".to_owned(), web)];
    let label = "  - { at: 20s, run: kubectl label namespace default istio-injection=enabled }\n";
    let apply = |file: &str| format!("  - {{ at: 40s, run: kubectl apply -f {file} }}\n");
    let run = |timeline: &str| containers(&with(timeline), &files);
    // Pods that are there stay as they are.
    assert_eq!(run(&format!("{label}{}", apply("front.yaml"))), of(1, 2));
    assert_eq!(run(&format!("{label}{}", apply("not.yaml"))), of(1, 1));
    assert_eq!(run(&apply("asks.yaml")), of(1, 2));
    assert_eq!(run(&apply("front.yaml")), of(1, 1));
    let restart = "  - { at: 60s, run: kubectl rollout restart deployment/web }\n";
    assert_eq!(run(&format!("{label}{}{restart}", apply("front.yaml"))), of(2, 2));
    let space = apply("space.yaml").replace("40s", "30s");
    assert_eq!(run(&format!("{space}{}", apply("front.yaml"))), of(1, 2));
    let taken = "  - { at: 30s, run: kubectl label namespace default istio-injection- }\n";
    assert_eq!(run(&format!("{label}{taken}{}", apply("front.yaml"))), of(1, 1));
}
