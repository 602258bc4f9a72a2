//! Ingresses, and Services behind them, that commands change during a run (rule N180).

use std::collections::BTreeSet;

use seatrial::base::{Duration, SimTime};
use seatrial::engine::World;
use seatrial::manifest::Loader;
use seatrial::record::{CallRecord, Cause, Fate};
use seatrial::recorder::Recorder;
use seatrial::scenario::{Loaded, Place, Refused, load};

use crate::support::WEB;

fn scenario(latencies: &str, to: &str, timeline: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: shop
cluster:
  nodes: [{{ pool: workers, count: 4, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: {latencies}
apply: [web.yaml]
behaviors:
  - {{ start: 1s, serve: {{ hold: 20ms, concurrency: 1000 }} }}
traffic:
  - {{ name: users, rate: 100/s, {to} }}
timeline:
{timeline}
run: {{ until: 80s, seed: 11, warmup: 20s }}
"
    )
}

/// An Ingress with one path of one host.
fn ingress(name: &str, host: &str, path: &str, service: &str) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{ name: {name} }}
spec:
  rules:
    - host: {host}
      http:
        paths: [{{ path: {path}, pathType: Prefix, backend: {{ service: {{ name: {service}, port: {{ number: 80 }} }} }} }}]
"
    )
}

const SHOP: &str = "shop.example.com";

/// Twins: `web` and `new`.
fn twins() -> String {
    let web = WEB.replace("REPLICAS", "2");
    let new = web.replace("name: web", "name: new").replace("app: web", "app: new");
    format!("{web}---{new}")
}

fn loaded(latencies: &str, to: &str, timeline: &str) -> Result<Loaded, Box<Refused>> {
    let patched =
        "[{ op: replace, path: /spec/rules/0/http/paths/0/backend/service/name, value: new }]";
    let files = [
        ("scenario.yaml", scenario(latencies, to, timeline)),
        ("web.yaml", format!("{}{}", twins(), ingress("shop", SHOP, "/", "web"))),
        ("old.yaml", ingress("shop", SHOP, "/", "web")),
        ("moved.yaml", ingress("shop", SHOP, "/cart", "web")),
        ("other.yaml", ingress("other", "other.example.com", "/", "new")),
        ("patch.yaml", patched.to_owned()),
    ];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    load(&place, &[])
}

/// All calls of a run, in order of their start.
fn calls(latencies: &str, to: &str, timeline: &str) -> (Vec<CallRecord>, Vec<String>) {
    let loaded = loaded(latencies, to, timeline).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let model = &loaded.model;
    let outcome = World::new(model, 0, Recorder::keeping_calls()).run().expect("within limits");
    let mut recorder = outcome.recorder;
    let mut calls = recorder.take_calls();
    calls.sort_by_key(|call| call.start);
    let name = |call: &CallRecord| {
        model.names.resolve(model.services[call.service.index()].name.name).to_owned()
    };
    let services = calls.iter().map(name).collect();
    (calls, services)
}

fn at(seconds: f64) -> SimTime {
    SimTime::at(Duration::from_secs_f64(seconds))
}

/// What became of the calls that start from an instant to another.
fn between(all: &(Vec<CallRecord>, Vec<String>), from: f64, to: f64) -> BTreeSet<(String, Cause)> {
    let own = all.0.iter().zip(&all.1);
    own.filter(|(call, _)| call.start >= at(from) && call.start < at(to))
        .map(|(call, service)| (service.clone(), call.cause))
        .collect()
}

fn only(service: &str, cause: Cause) -> BTreeSet<(String, Cause)> {
    BTreeSet::from([(service.to_owned(), cause)])
}

const URL: &str = "to: 'http://shop.example.com/'";

/// N180: an Ingress that is deleted: 404, and no cause but that; one that is created again is
/// served again. Without any latency all of that is at once.
#[test]
fn an_ingress_goes_and_comes() {
    let timeline = "  - { at: 40s, run: kubectl delete ingress shop }
  - { at: 60s, run: kubectl apply -f old.yaml }";
    for to in [URL, "to: ingress/shop"] {
        let all = calls("ideal", to, timeline);
        assert_eq!(between(&all, 20.0, 40.0), only("web", Cause::None));
        assert_eq!(between(&all, 40.001, 60.0), only("web", Cause::NoRoute));
        assert_eq!(between(&all, 60.001, 80.0), only("web", Cause::None));
        let lost = all.0.iter().filter(|call| call.cause == Cause::NoRoute);
        assert!(lost.clone().all(|call| call.fate == Fate::ServerError) && lost.count() > 1500);
    }
}

/// N180: a path that leads to another Service takes its calls there, and none is lost; the calls
/// are the other Service's from then on.
#[test]
fn a_path_that_leads_elsewhere() {
    let timeline =
        "  - { at: 40s, run: kubectl patch ingress shop --type=json --patch-file=patch.yaml }";
    for to in [URL, "to: ingress/shop"] {
        let all = calls("ideal", to, timeline);
        assert_eq!(between(&all, 20.0, 40.0), only("web", Cause::None));
        assert_eq!(between(&all, 40.001, 80.0), only("new", Cause::None));
    }
}

/// A host that only a command brings: callers get 404 until then. A path that is no longer there
/// is one too.
#[test]
fn hosts_and_paths_of_commands() {
    let timeline = "  - { at: 40s, run: kubectl apply -f other.yaml }";
    let all = calls("ideal", "to: 'http://other.example.com/'", timeline);
    assert_eq!(between(&all, 0.0, 40.0), only("new", Cause::NoRoute));
    assert_eq!(between(&all, 40.001, 80.0), only("new", Cause::None));
    let timeline = "  - { at: 40s, run: kubectl apply -f moved.yaml }";
    let all = calls("ideal", "to: ingress/shop, url: shop.example.com/books", timeline);
    assert_eq!(between(&all, 40.001, 80.0), only("web", Cause::NoRoute));
    let all = calls("ideal", "to: ingress/shop, url: shop.example.com/cart/3", timeline);
    assert_eq!(between(&all, 20.0, 80.0), only("web", Cause::None));
    let refused = loaded("ideal", "to: 'http://third.example.com/'", timeline).expect_err("404");
    let text = refused.found.lines(&refused.sources).join("\n");
    assert!(text.contains("no path of an Ingress takes \"third.example.com/\""), "{text}");
}

/// A Service behind an Ingress that is deleted, or has another port: its Ingress leads nowhere.
#[test]
fn services_behind_an_ingress() {
    let timeline = "  - { at: 30s, run: kubectl delete service web }
  - { at: 40s, run: kubectl expose deployment web --port=80 --target-port=8080 }
  - at: 60s
    run: kubectl patch service web --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/ports/0/port\",\"value\":81}]'";
    let all = calls("ideal", URL, timeline);
    assert_eq!(between(&all, 30.001, 40.0), only("web", Cause::NoRoute));
    assert_eq!(between(&all, 40.001, 60.0), only("web", Cause::None));
    assert_eq!(between(&all, 60.001, 80.0), only("web", Cause::NoRoute));
}

/// N180: a proxy hears by its watch, looks 3.33 s apart at least, and a reload takes part of a
/// second: until then it does as before. What it answers for lack of a look is its own fault.
#[test]
fn a_proxy_learns_later() {
    let timeline = "  - { at: 40s, run: kubectl delete ingress shop }
  - { at: 40.5s, run: kubectl apply -f old.yaml }
  - { at: 60s, run: kubectl apply -f other.yaml }";
    let latencies = "{ base: ideal, watch: 100ms }
  ingress: { sync: 0s, poll: 0s, reload: 0s }";
    let all = calls(latencies, URL, timeline);
    // Without limits of looks or time for a reload: 0.1 s later.
    assert_eq!(between(&all, 40.001, 40.099), only("web", Cause::None));
    assert_eq!(between(&all, 40.101, 40.499), only("web", Cause::NoRoute));
    assert_eq!(between(&all, 40.501, 40.599), only("web", Cause::StaleIngress));
    assert_eq!(between(&all, 40.601, 80.0), only("web", Cause::None));
    // As it is installed: the first look comes at once, the second 3.33 s after it.
    let all = calls("measured-small", URL, timeline);
    let is_lost = |call: &&CallRecord| call.start >= at(20.0) && call.cause == Cause::StaleIngress;
    let lost: Vec<_> = all.0.iter().filter(is_lost).collect();
    let (first, last) = (lost.first().expect("some").start, lost.last().expect("some").start);
    assert!(first >= at(40.5) && last > at(43.0) && last < at(46.0), "{first} {last}");
    assert_eq!(between(&all, 46.0, 80.0), only("web", Cause::None));
}

/// N180: another configuration needs a reload even where pods are taken over without one: what the
/// old processes have not finished after their time is cut. New endpoints alone need none.
#[test]
fn a_reload_ends_the_old_processes() {
    let cut = |timeline: &str| {
        let scenario = scenario("ideal", "to: ingress/shop, timeout: 20s", timeline)
            .replace("hold: 20ms", "hold: 5s")
            .replace("latencies: ideal", "latencies: ideal\n  ingress: { drain: 2s }");
        let web = format!("{}{}", twins(), ingress("shop", SHOP, "/", "web"));
        let other = ingress("other", "other.example.com", "/", "new");
        let files = [("scenario.yaml", scenario), ("web.yaml", web), ("other.yaml", other)];
        let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
        let loaded = load(&place, &[]).expect("it is right");
        assert!(loaded.found.lines(&loaded.sources).is_empty(), "`drain` plays a part");
        let outcome = World::new(&loaded.model, 0, Recorder::keeping_calls()).run().expect("ends");
        let mut recorder = outcome.recorder;
        let calls = recorder.take_calls();
        calls.iter().filter(|call| call.cause == Cause::CutByReload).count()
    };
    // Calls of 3 s are left of those under way, when 2 s are over.
    let by_reload = cut("  - { at: 40s, run: kubectl apply -f other.yaml }");
    assert!((250..350).contains(&by_reload), "{by_reload}");
    assert_eq!(cut("  - { at: 40s, run: kubectl scale deployment/web --replicas=4 }"), 0);
    assert_eq!(cut("  - { at: 40s, run: kubectl label ingress shop a=b }"), 0);
    let annotate = "kubectl annotate ingress shop nginx.ingress.kubernetes.io/proxy-read-timeout=9";
    assert!(cut(&format!("  - {{ at: 40s, run: {annotate} }}")) > 250);
}
