//! Machines that are cut off from the API server or from each other (rules N406, N407).

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::Readiness;
use seatrial::engine::World;
use seatrial::experiment::{Options, run};
use seatrial::manifest::Loader;
use seatrial::record::{CallRecord, Cause, Fate};
use seatrial::recorder::Recorder;
use seatrial::scenario::{Place, load};

use crate::support::{Stepped, WEB, load_memory};

fn scenario(latencies: &str, timeline: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: cut
cluster:
  nodes: [{{ pool: workers, count: 3, zones: [a, b, c], allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: {latencies}
apply: [web.yaml]
behaviors:
  - {{ for: deployment/web, start: 2s, shutdown: {{ drain: 10s }}, serve: {{ hold: 20ms }} }}
traffic:
  - {{ name: users, to: service/web, rate: 100/s, timeout: 1s }}
timeline:
{timeline}
run: {{ until: 12m, seed: 11, warmup: 20s }}
"
    )
}

const CUT: &str = "  - { at: 60s, fault: { partition: { node: workers-0, from: control-plane } } }
  - { at: 8m, fault: { recover: { node: workers-0 } } }";

/// Pods of the cut node that are there, those of them that are to go, and all that are ready.
fn counts(cluster: &seatrial::cluster::Cluster) -> (usize, usize, usize) {
    let pods = || cluster.pods().iter().map(|(_, pod)| pod);
    let here = || pods().filter(|pod| pod.node.is_some_and(|node| node.number() == 0));
    let ready = pods().filter(|pod| pod.status.ready).count();
    (here().count(), here().filter(|pod| pod.deletion.is_some()).count(), ready)
}

/// N406: a node that is cut off from the API server is lost for it after the grace period, and its
/// pods are evicted after their tolerations' five minutes; they stay until it is back, then they
/// are killed with their grace. Meanwhile other pods take their place.
#[test]
fn a_node_without_the_api_server() {
    for latencies in ["ideal", "measured-small"] {
        let mut run = Stepped::of(&scenario(latencies, CUT), 3);
        assert_eq!(counts(run.to(59)), (1, 0, 3), "{latencies}");
        let cluster = run.to(100);
        assert!(cluster.nodes().iter().all(|node| node.ready), "{latencies}");
        let cluster = run.to(130);
        let node = cluster.nodes().iter().next().expect("the first node");
        assert!(node.condition == Readiness::Unknown && node.is_up, "{latencies}");
        assert_eq!(counts(cluster), (1, 0, 2), "{latencies}");
        assert_eq!(counts(run.to(470)), (1, 1, 3), "{latencies}");
        let cluster = run.to(530);
        assert!(cluster.nodes().iter().all(|node| node.ready), "{latencies}");
        assert_eq!(counts(cluster), (0, 0, 3), "{latencies}");
    }
}

/// N406: a short cut changes nothing but what the API server believes: the pod is ready again.
#[test]
fn a_short_cut() {
    let short = CUT.replace("8m", "3m");
    let mut run = Stepped::of(&scenario("measured-small", &short), 3);
    assert_eq!(counts(run.to(150)), (1, 0, 2));
    assert_eq!(counts(run.to(190)), (1, 0, 3));
}

/// Failed calls: all, and those with a cause.
fn failed(timeline: &str, cause: &str) -> (f64, f64) {
    let web = WEB.replace("REPLICAS", "3");
    let text = scenario("measured-small", timeline);
    let model = load_memory(&[("scenario.yaml", &text), ("web.yaml", &web)]).model;
    let options = Options { replications: 1, checks: true, ..Options::of(&model) };
    let done = run(&model, options, &|_| {}).expect("within all limits");
    let value = |what: &[&str]| done.summary.value(&[&["services", "web", "calls"], what].concat());
    (value(&["failed"]).unwrap_or(0.0), value(&["by_cause", cause]).unwrap_or(0.0))
}

/// N406: without the API server pods go on serving: no call fails for the cut alone. Without the
/// other nodes calls across get no answer: two of three nodes' calls to one of three pods, and two
/// thirds of the cut node's.
#[test]
fn what_callers_notice() {
    let (all, _) = failed(&CUT.replace("8m", "4m"), "partitioned");
    assert!(all < 1.0, "{all}");
    let nodes = CUT.replace("control-plane", "nodes").replace("8m", "2m");
    let (all, cut) = failed(&nodes, "partitioned");
    let expected = 60.0 * 100.0 * (2.0 / 3.0 * 1.0 / 3.0 + 1.0 / 3.0 * 2.0 / 3.0);
    assert!((cut / expected - 1.0).abs() < 0.1 && all - cut < 1.0, "{all} {cut} {expected}");
    let zones = nodes.replace("node: workers-0, from: nodes", "zone: b, from: zone/c");
    let zones = zones.replace("recover: { node: workers-0 }", "recover: { zone: b }");
    let (_, cut) = failed(&zones, "partitioned");
    assert!((cut / (expected / 2.0) - 1.0).abs() < 0.12, "{cut} {expected}");
}

/// What is wrong is told at its place.
#[test]
fn wrong_words() {
    for (wrong, word) in [
        ("{ node: workers-9 }", "there is no node \"workers-9\""),
        ("{ zone: a, node: workers-0 }", "exactly one of node and zone"),
        ("{ zone: a, from: controlplane }", "nothing is cut off from \"controlplane\""),
        ("{ zone: a, from: zone/x }", "no node is in zone \"x\""),
        ("{ zone: a, from: zone/a }", "not cut off from themselves"),
    ] {
        let entry = format!("  - {{ at: 60s, fault: {{ partition: {wrong} }} }}");
        let files = [
            ("scenario.yaml", scenario("ideal", &entry)),
            ("web.yaml", WEB.replace("REPLICAS", "3")),
        ];
        let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
        let refused = load(&place, &[]).expect_err("it is wrong");
        let text = refused.found.lines(&refused.sources).join("\n");
        assert!(text.contains(word), "{text}");
    }
}

/// All calls of a run in order of their start, with another client and behaviour.
fn calls(timeline: &str, traffic: &str, hold: &str) -> Vec<CallRecord> {
    let text = scenario("measured-small", timeline)
        .replace("timeout: 1s", traffic)
        .replace("hold: 20ms", hold)
        .replace("until: 12m", "until: 90s");
    let web = WEB.replace("REPLICAS", "3");
    let model = load_memory(&[("scenario.yaml", &text), ("web.yaml", &web)]).model;
    let outcome = World::new(&model, 0, Recorder::keeping_calls()).run().expect("within limits");
    let mut recorder = outcome.recorder;
    let mut calls = recorder.take_calls();
    // Not those from before the first pod is ready.
    calls.retain(|call| call.start >= SimTime::at(Duration::secs(20)));
    calls.sort_by_key(|call| call.start);
    calls
}

/// A cut from 60 s on for some seconds.
fn cut_for(what: &str, seconds: u32) -> String {
    format!(
        "  - {{ at: 60s, fault: {{ partition: {{ node: workers-0, from: {what} }} }} }}
  - {{ at: {}s, fault: {{ recover: {{ node: workers-0 }} }} }}",
        60 + seconds
    )
}

/// What late calls took, beyond their hold of 20 ms and hops: seconds since the call began.
fn late(calls: &[CallRecord]) -> Vec<f64> {
    let late = calls.iter().map(|call| call.latency.as_secs_f64());
    late.filter(|took| *took > 0.15).collect()
}

/// N158: a connection that is asked for while the network is cut is asked for again after 1, 3, 7,
/// … s: who waits for so long is late and loses nothing.
#[test]
fn connections_are_asked_for_again() {
    let calls = calls(&cut_for("nodes", 5), "timeout: 10s", "hold: 20ms");
    assert!(calls.iter().all(|call| call.fate == Fate::Ok));
    let late = late(&calls);
    // The last ones: the request, after a handshake that went well.
    let steps = [1.0, 3.0, 7.0, 0.2, 0.6, 1.4, 3.0, 6.2];
    let is_step = |took: &f64| steps.iter().any(|step| (0.0..0.05).contains(&(took - step)));
    assert!(late.iter().all(is_step), "{late:?}");
    // 4 in 9 of 100 calls a second go across; those of the last second before it heals wait 1 s.
    let share = f64::from(u32::try_from(late.len()).unwrap()) / 500.0;
    assert!((share - 4.0 / 9.0).abs() < 0.05, "{share}");
    let ends = |call: &CallRecord| call.start + call.latency;
    let cut = calls.iter().filter(|call| call.latency > Duration::ms(150));
    assert!(cut.clone().all(|call| ends(call) >= SimTime::at(Duration::secs(65))));
    let longest = late.iter().fold(0.0_f64, |a, b| a.max(*b));
    assert!((7.0..7.2).contains(&longest), "{longest}");
}

/// N160: a kept connection goes on through its entry of the connection table, and what is sent on
/// it is sent again after 0.2, 0.6, 1.4, … s: requests and answers.
#[test]
fn segments_are_sent_again() {
    let kept = "timeout: 10s, connections: keep-alive";
    let all = calls(&cut_for("nodes", 2), kept, "hold: 20ms");
    assert!(all.iter().all(|call| call.fate == Fate::Ok));
    let took = late(&all);
    let is_step = |took: &f64| {
        let steps = [0.2, 0.6, 1.4, 3.0, 1.0];
        steps.iter().any(|step| (0.0..0.05).contains(&(took - step)))
    };
    assert!(took.iter().all(is_step) && took.len() > 15, "{took:?}");
    // Calls of 2 s whose answers meet the cut: 0.2, 0.6, 1.4 s later.
    let long = calls(&cut_for("nodes", 1), "timeout: 10s", "hold: 2s, concurrency: 1000");
    assert!(long.iter().all(|call| call.fate == Fate::Ok));
    let second = |from: u64| SimTime::at(Duration::secs(from));
    let met = long.iter().filter(|call| call.start >= second(58) && call.start < second(59));
    let late: Vec<f64> = met.map(|call| call.latency.as_secs_f64() - 2.0).collect();
    let is_late = |more: &&f64| [0.2, 0.6, 1.4].iter().any(|s| (0.0..0.05).contains(&(**more - s)));
    let share = late.iter().filter(is_late).count();
    assert!((30..60).contains(&share), "{late:?}");
    // Who does not wait for so long has none.
    let impatient = calls(&cut_for("nodes", 1), "timeout: 2100ms", "hold: 2s, concurrency: 1000");
    let lost = impatient.iter().filter(|call| call.cause == Cause::Partitioned).count();
    assert!(lost > 30, "{lost}");
}

/// Callers outside do not reach a machine: a third of the calls come in by it. A load balancer
/// notices by its checks, and a connection of a pod is not concerned.
#[test]
fn cut_off_from_outside() {
    let lost = |timeline: &str, sets: &str| {
        let text = scenario("measured-small", timeline).replace("latencies:", sets);
        let mut web = WEB.replace("REPLICAS", "3");
        if sets.contains("loadBalancer") {
            web = web.replace(
                "spec:\n  selector: { app: web }\n  ports",
                "spec:\n  type: LoadBalancer\n  selector: { app: web }\n  ports",
            );
        }
        let model = load_memory(&[("scenario.yaml", &text), ("web.yaml", &web)]).model;
        let options = Options { replications: 1, checks: true, ..Options::of(&model) };
        let done = run(&model, options, &|_| {}).expect("within all limits");
        let value = |what: &[&str]| {
            done.summary.value(&[&["services", "web", "calls"], what].concat()).unwrap_or(0.0)
        };
        (value(&["failed"]), value(&["by_cause", "partitioned"]))
    };
    let (all, cut) = lost(&cut_for("outside", 60), "latencies:");
    assert!((cut / 2000.0 - 1.0).abs() < 0.1 && all - cut < 1.0, "{all} {cut}");
    // Three checks 10 s apart: 20 to 30 s.
    let balancer = "loadBalancer: { interval: 10s, unhealthy: 3 }\n  latencies:";
    let (all, cut) = lost(&cut_for("outside", 60), balancer);
    assert!((600.0..1100.0).contains(&cut) && all - cut < 1.0, "{all} {cut}");
    // Everything is that too: two thirds of the others' calls besides, less what the API server
    // learns after 50 s.
    let (_, cut) = lost(&cut_for("everything", 30), "latencies:");
    let expected = 30.0 * 100.0 * (1.0 / 3.0 + 2.0 / 3.0 * 1.0 / 3.0);
    assert!((cut / expected - 1.0).abs() < 0.1, "{cut} {expected}");
}

/// N409: cut off from the API server, all nodes go on with the endpoints that they know: what
/// crashes on one of them is chosen still, and refused until its container runs again, though it is
/// not ready. With the API server such pods leave rotation.
#[test]
fn a_control_plane_that_is_away() {
    let failed = |timeline: &str| {
        let text = scenario("measured-small", timeline)
            .replace("start: 2s", "start: 20s, run: 70s, exit: [{ code: 1 }]")
            .replace("until: 12m", "until: 130s")
            .replace("warmup: 20s", "warmup: 60s");
        let probe = "ports: [{ containerPort: 8080 }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }";
        let web = WEB.replace("REPLICAS", "6").replace("ports: [{ containerPort: 8080 }]", probe);
        let model = load_memory(&[("scenario.yaml", &text), ("web.yaml", &web)]).model;
        let options = Options { replications: 1, ..Options::of(&model) };
        let done = run(&model, options, &|_| {}).expect("within all limits");
        let value = |cause: &str| {
            let path = ["services", "web", "calls", "by_cause", cause];
            done.summary.value(&path).unwrap_or(0.0)
        };
        (value("process_down") + value("not_yet_serving"), value("no_ready_pod"))
    };
    let zones = ["a", "b", "c"];
    let cut = |zone: &str| {
        format!(
            "  - {{ at: 60s, fault: {{ partition: {{ zone: {zone}, from: control-plane }} }} }}"
        )
    };
    let all = zones.map(cut).join("\n");
    let (frozen, none) = failed(&all);
    let (usual, _) = failed("  []");
    // About 20 s of 100 calls a second, as all crash within a second or two.
    assert!(frozen > 1500.0 && none < 1.0 && usual < frozen / 3.0, "{frozen} {none} {usual}");
}

/// N408: without a zone one in three calls to the others' Service meets a pod that does not answer,
/// until the nodes' Leases are missed and the rules are written: 45 to 60 s, and no call after it.
/// With PreferSameZone calls stay in the zone by which they come in, which is not the lost one.
#[test]
fn a_zone_that_is_lost() {
    let lost = |more: &str| {
        let timeline = "  - { at: 60s, fault: { crash: { zone: b } } }";
        let text = scenario("measured-small", timeline).replace("until: 12m", "until: 4m");
        let web = WEB.replace("REPLICAS", "3").replace(
            "spec:\n  selector: { app: web }\n  ports",
            &format!("spec:\n{more}  selector: {{ app: web }}\n  ports"),
        );
        let model = load_memory(&[("scenario.yaml", &text), ("web.yaml", &web)]).model;
        let outcome = World::new(&model, 0, Recorder::keeping_calls()).run().expect("it ends");
        let mut recorder = outcome.recorder;
        let mut calls = recorder.take_calls();
        calls.retain(|call| call.start >= SimTime::at(Duration::secs(60)));
        let failed = calls.iter().filter(|call| call.fate != Fate::Ok);
        let begin = SimTime::at(Duration::secs(60));
        let last = failed.clone().map(|call| call.start).max().unwrap_or(begin);
        let until = last.saturating_since(begin).as_secs_f64();
        let by = |cause| failed.clone().filter(|call| call.cause == cause).count();
        (until, by(Cause::NodeDown), failed.clone().count())
    };
    let (until, down, all) = lost("");
    assert!((45.0..62.0).contains(&until), "{until}");
    let share = f64::from(u32::try_from(down).unwrap()) / (100.0 * until);
    assert!((share - 1.0 / 3.0).abs() < 0.04 && down == all, "{share} {down} {all}");
    let (_, down, _) = lost("  trafficDistribution: PreferSameZone\n");
    assert!(f64::from(u32::try_from(down).unwrap()) < 0.1 * 100.0 * until, "{down}");
}

/// N160: an established connection goes through the machine by which it came, whatever pod is
/// behind: HTTP/2 connections that came by a machine without power are dead too.
#[test]
fn connections_through_a_dead_machine() {
    let timeline = "  - { at: 60s, fault: { crash: { node: workers-0 } } }";
    let shared = "timeout: 1s, connections: { kind: http2, count: 60 }";
    let calls = calls(timeline, shared, "hold: 20ms");
    let after = calls.iter().filter(|call| call.start >= SimTime::at(Duration::secs(62)));
    let dead = after.clone().filter(|call| call.cause == Cause::NodeDown).count();
    let share =
        f64::from(u32::try_from(dead).unwrap()) / f64::from(u32::try_from(after.count()).unwrap());
    // By one of three machines, or to its pod by one of the others: 1/3 + 2/3 · 1/3.
    assert!((share - 5.0 / 9.0).abs() < 0.17, "{share}");
}
