//! The proxies of a service mesh (rules N187, N471).

use seatrial::experiment::{Options, run};
use seatrial::manifest::Loader;
use seatrial::record::Cause;
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

/// What is wrong is told at its place; the mesh is shown.
#[test]
fn words() {
    let refused = loaded("mesh: { container: linkerd-proxy }", true).expect_err("it is wrong");
    let text = refused.found.lines(&refused.sources).join("\n");
    assert!(text.contains("no pod has a container \"linkerd-proxy\""), "{text}");
    let text = show(&loaded("mesh: {}", true).expect("it is right"));
    assert!(text.contains("container: istio-proxy"), "{text}");
}
