//! The network as callers see it: scenarios of the gallery, cause and mitigation.

use std::collections::{BTreeMap, BTreeSet};

use seatrial::base::{Distribution, Duration, SimTime};
use seatrial::cluster::{Serving, Write};
use seatrial::experiment::{self, Options};
use seatrial::model::{
    BalancerSpec, ConnectionKind, Connections, DnsCache, Downstream, NodeId, ProxyMode, ServiceId,
    ServiceKind,
};
use seatrial::record::{CallRecord, Cause, Fate};
use seatrial::recorder::Recorder;

use crate::support::gallery;
use crate::support::servers::{Field, Setup, behavior, serve};

fn ms(count: u64) -> Duration {
    Duration::ms(count)
}

fn at(count: u64) -> SimTime {
    SimTime::at(ms(count))
}

/// So many pods on as many nodes, called 1000 times a second.
fn shop(pods: usize) -> Setup {
    let server = behavior(serve(Distribution::Constant(0.001), 1000));
    let mut setup = Setup::new(4).group("web", pods, server).source("load", "web", 1000.0);
    setup.nodes = pods;
    setup.traffic[0].client.timeout = Duration::secs(1);
    setup
}

fn field(setup: Setup) -> Field {
    Field::new(setup, 0, Recorder::keeping_calls())
}

fn by_pod(calls: &[CallRecord]) -> BTreeMap<Option<u64>, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.pod).or_default() += 1;
    }
    counts
}

fn causes(calls: &[CallRecord]) -> BTreeSet<&'static str> {
    calls.iter().map(|call| call.cause.as_str()).collect()
}

const WEB: ServiceId = ServiceId::new(0);

/// N161: a pod's calls stay with one pod of a Service with affinity, per node; when that is not
/// ready any more it goes to another one and stays there, also when the first one is back. After
/// a pause longer than the limit it is chosen anew.
#[test]
fn an_address_stays_with_its_pod() {
    let mut setup = Setup::new(4)
        .group("front", 1, behavior(serve(Distribution::Constant(0.001), 1000)))
        .group("web", 6, behavior(serve(Distribution::Constant(0.001), 1000)))
        .source("load", "front", 500.0);
    let to = setup.object("web");
    setup.groups[0].behavior.calls = vec![Downstream::new(to, 1, Duration::secs(1))];
    setup.shape = |model| model.services[1].affinity = Some(Duration::secs(10));
    let mut field = field(setup);
    let web = ServiceId::new(1);
    field.run_until(at(2000));
    let calls = |field: &mut Field| {
        let calls = field.take_calls();
        calls.into_iter().filter(|call| call.service == web).collect::<Vec<_>>()
    };
    let first = by_pod(&calls(&mut field));
    assert_eq!(first.len(), 1, "{first:?}");
    let stuck = first.keys().next().copied().flatten().expect("a pod answered");
    let serial = |field: &Field, pod| field.cluster.pod(pod).map(|row| row.serial);
    let pods = field.pods_of(web);
    let pod = pods.iter().map(|(pod, _)| *pod).find(|pod| serial(&field, *pod) == Some(stuck));
    field.publish(web, |other| Some(other) != pod, |_| false);
    field.run_until(at(4000));
    let second = by_pod(&calls(&mut field));
    assert!(second.len() == 1 && !second.contains_key(&Some(stuck)), "{second:?}");
    field.publish(web, |_| true, |_| false);
    field.run_until(at(6000));
    assert!(by_pod(&calls(&mut field)).keys().eq(second.keys()));
}

/// N161: calls from outside share as many addresses as the source has, each of which every node
/// sends to one pod; without addresses each call comes from another one.
#[test]
fn a_source_has_addresses() {
    let of = |clients: Option<u32>| {
        let mut setup = shop(6);
        setup.nodes = 1;
        setup.traffic[0].clients = clients;
        setup.shape = |model| model.services[0].affinity = Some(Duration::secs(10));
        let mut field = field(setup);
        field.run_until(at(2000));
        by_pod(&field.take_calls()).len()
    };
    assert_eq!(of(Some(1)), 1);
    assert_eq!(of(Some(1000)), 6);
    assert_eq!(of(None), 6);
}

/// What a headless Service's callers meet when two of three pods stop at 1 s and two others, the
/// last of the six, are there in their place: from when on no call fails, in milliseconds.
fn headless(
    cache: DnsCache,
    shape: fn(&mut seatrial::model::Model),
) -> (u64, BTreeSet<&'static str>) {
    let mut setup = shop(6);
    setup.traffic[0].client.dns_cache = cache;
    setup.shape = shape;
    let mut field = field(setup);
    let pods: Vec<_> = field.pods();
    field.publish(WEB, |pod| pods[..3].contains(&pod), |_| false);
    field.run_until(at(1000));
    let failed: Vec<_> = field.take_calls().into_iter().filter(|c| c.fate != Fate::Ok).collect();
    assert!(failed.is_empty(), "{failed:?}");
    field.publish(WEB, |pod| pods[2..5].contains(&pod), |_| false);
    for pod in &pods[..2] {
        field.apply(|_, plan| plan.push(Write::Serving { pod: *pod, state: Serving::Draining }));
        field.set(*pod, Serving::Absent);
    }
    field.run_until(at(60_000));
    let failed: Vec<_> = field.take_calls().into_iter().filter(|c| c.fate != Fate::Ok).collect();
    let last = failed.iter().map(|call| call.start).max();
    (last.map_or(0, |last| last.since_start().as_nanos() / 1_000_000), causes(&failed))
}

/// N182, N488: an answer of DNS is good for its TTL. The server has it since the first call at
/// 0 s, so clients that ask for each connection get the old one until 30 s, those that keep it for
/// 10 s until they ask next after that, and with neither cache nobody has an old one.
#[test]
fn old_answers_of_dns() {
    let headless_service = |model: &mut seatrial::model::Model| {
        model.services[0].kind = ServiceKind::Headless;
    };
    let (until, why) = headless(DnsCache::For(Duration::ZERO), headless_service);
    assert!((29_900..=30_010).contains(&until), "{until}");
    assert!(why.iter().all(|why| ["stale_dns", "process_down"].contains(why)), "{why:?}");
    let (until, _) = headless(DnsCache::For(Duration::secs(20)), headless_service);
    assert!((39_900..=40_030).contains(&until), "{until}");
    let (until, _) = headless(DnsCache::Ttl, headless_service);
    assert!((29_900..=30_010).contains(&until), "{until}");
    let (until, _) = headless(DnsCache::For(Duration::ZERO), |model| {
        model.services[0].kind = ServiceKind::Headless;
        model.dns.cache = Duration::ZERO;
    });
    assert_eq!(until, 0);
}

/// N164: of a headless Service without ready pods DNS says that there is no such name, and the
/// server keeps that too: 5 s after its first such answer, the pods being there since 1 s.
#[test]
fn dns_keeps_that_there_is_nothing() {
    let mut setup = shop(2);
    setup.shape = |model| model.services[0].kind = ServiceKind::Headless;
    let mut field = field(setup);
    field.publish(WEB, |_| false, |_| false);
    field.run_until(at(1000));
    let calls = field.take_calls();
    assert!(calls.iter().all(|c| c.fate == Fate::NoEndpoint && c.cause == Cause::NoReadyPod));
    field.publish(WEB, |_| true, |_| false);
    field.run_until(at(10_000));
    let calls = field.take_calls();
    let (bad, good): (Vec<_>, Vec<_>) = calls.into_iter().partition(|c| c.fate != Fate::Ok);
    assert_eq!(causes(&bad), BTreeSet::from(["stale_dns"]));
    let first = good.iter().map(|call| call.start).min().expect("some are good");
    assert!((5000..5020).contains(&(first.since_start().as_nanos() / 1_000_000)), "{first}");
}

fn balanced(model: &mut seatrial::model::Model) {
    model.balancer = Some(BalancerSpec {
        interval: Duration::secs(2),
        unhealthy: 3,
        healthy: 2,
        deregister: Distribution::Constant(0.0),
        ..BalancerSpec::plain()
    });
    model.services[0].kind = ServiceKind::LoadBalancer;
}

/// N162, N190: under `externalTrafficPolicy: Local` a load balancer knows by its own checks where
/// pods are: 3 failed ones 2 s apart, so calls to the node without a pod are lost for 4 to 6 s.
/// Pods that serve while they terminate are used meanwhile.
#[test]
fn a_load_balancer_learns_by_its_checks() {
    let run = |is_last_served: bool| {
        let mut setup = shop(4);
        setup.groups[0].is_local = true;
        setup.shape = balanced;
        let mut field = field(setup);
        field.run_until(at(10_000));
        let early = field.take_calls();
        assert!(early.iter().all(|call| call.fate == Fate::Ok), "{:?}", causes(&early));
        let gone = field.pods()[1];
        field.publish(WEB, |pod| pod != gone || is_last_served, |pod| pod == gone);
        field.run_until(at(30_000));
        let calls = field.take_calls();
        let failed: Vec<_> = calls.into_iter().filter(|call| call.fate != Fate::Ok).collect();
        let last = failed.iter().map(|call| call.start).max();
        (
            failed.len(),
            last.map_or(0, |at| at.since_start().as_nanos() / 1_000_000),
            causes(&failed),
        )
    };
    let (count, last, why) = run(false);
    assert_eq!(why, BTreeSet::from(["stale_balancer"]));
    assert!((14_000..=16_000).contains(&last), "{last}");
    // A quarter of 1000 calls a second.
    assert!((900..1600).contains(&count), "{count}");
    assert_eq!(run(true).0, 0);
}

/// N166: whether a node is Ready is not asked: one whose kubelet says that it is not stays in the
/// set of a load balancer, and forwards as before.
#[test]
fn a_node_that_is_not_ready_stays_with_the_load_balancer() {
    let mut setup = shop(4);
    setup.shape = balanced;
    let mut field = field(setup);
    field.run_until(at(10_000));
    field.take_calls();
    field.apply(|_, plan| {
        plan.push(Write::NodeReady { node: NodeId::new(1), ready: false });
    });
    field.run_until(at(30_000));
    let calls = field.take_calls();
    assert!(calls.len() > 15_000, "{}", calls.len());
    assert!(calls.iter().all(|call| call.fate == Fate::Ok), "{:?}", causes(&calls));
}

/// N155: the default of 1.36 is iptables; nftables is asked for.
#[test]
fn proxies_use_iptables_unless_told_otherwise() {
    let mode = |proxy: &str| {
        let scenario = format!(
            "apiVersion: seatrial/v1
kind: Scenario
name: proxies
cluster: {{ nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }}{proxy} }}] }}
apply: [web.yaml]
run: {{ until: 1m }}
"
        );
        let web = crate::support::WEB.replace("REPLICAS", "1");
        let files = [("scenario.yaml", scenario.as_str()), ("web.yaml", web.as_str())];
        let world = crate::support::begun(&crate::support::load_memory(&files).model);
        world.cluster().nodes()[NodeId::new(0)].spec.proxy.mode
    };
    assert_eq!(mode(""), ProxyMode::Iptables);
    assert_eq!(mode(", proxy: { mode: nftables }"), ProxyMode::Nftables);
}

/// N163, N190: under the policy Cluster it asks the node's kube-proxy, which a machine that is down
/// does not answer: its calls are lost until the third failed check.
#[test]
fn a_load_balancer_finds_out_that_a_machine_is_down() {
    let mut setup = shop(4);
    setup.shape = balanced;
    let mut field = field(setup);
    field.run_until(at(10_000));
    field.publish(WEB, |pod| pod != field_pod(1), |_| false);
    field.apply(|_, plan| plan.push(Write::NodeUp { node: NodeId::new(1), is_up: false }));
    field.run_until(at(30_000));
    let calls = field.take_calls();
    let failed: Vec<_> = calls.into_iter().filter(|call| call.fate != Fate::Ok).collect();
    let last = failed.iter().map(|call| call.start).max().expect("some fail");
    let last = last.since_start().as_nanos() / 1_000_000;
    assert!((14_000..=16_000).contains(&last), "{last}");
    assert!(causes(&failed).contains("stale_balancer"));
}

fn field_pod(number: u32) -> seatrial::model::PodRef {
    seatrial::base::Ref { id: seatrial::model::PodId::new(number), life: 0 }
}

/// N160, N505: the proxy decides once a connection: one that is kept goes on to a pod that is no endpoint
/// any more, for as long as both ends live.
#[test]
fn an_established_connection_goes_on() {
    let mut setup = shop(2);
    setup.traffic[0].client.connections = Connections::new(ConnectionKind::Shared { count: 20 });
    let mut field = field(setup);
    field.run_until(at(1000));
    let before = by_pod(&field.take_calls());
    let gone = field.pods()[0];
    field.publish(WEB, |pod| pod != gone, |pod| pod == gone);
    field.run_until(at(5000));
    let calls = field.take_calls();
    assert!(calls.iter().all(|call| call.fate == Fate::Ok));
    assert!(by_pod(&calls).keys().eq(before.keys()), "{before:?}");
}

/// Hops cost by distance (N188), so callers of `plain`, two thirds of whose calls cross zones, wait
/// longer than those of `near`, which prefers its own zone (N159). Nothing guards a zone with few
/// pods (N159, N530): the one pod of `lopsided` in zone b bears all the calls of its zone, at
/// 300/s · 2 ms = 60 % use, and calls wait there.
#[test]
fn callers_near_by_are_answered_sooner_and_a_zone_with_one_pod_waits() {
    let loaded = gallery("topology-aware", &["run.until=40s"]);
    let options = Options { replications: 1, checks: true, ..Options::of(&loaded.model) };
    let run = experiment::run(&loaded.model, options, &|_| {}).expect("no limit is passed");
    let value = |service: &str, what: &str| {
        let path = ["services", service, "calls", what];
        run.summary.value(&path).unwrap_or_else(|| panic!("{path:?} is in the summary"))
    };
    let (plain, near) = (value("plain", "latency_p50"), value("near", "latency_p50"));
    // Medians: 2 ms and 1 ms on the wire against 2 ms and 0.26 ms.
    assert!(plain > near + 0.4e-3, "{plain} {near}");
    let (lopsided, even) = (value("lopsided", "latency_p99"), value("near", "latency_p99"));
    assert!(lopsided > 1.5 * even, "{lopsided} {even}");
    for service in ["plain", "near", "lopsided"] {
        assert!(value(service, "failed").abs() < 0.5, "{service} lost calls");
    }
}

/// What a gallery scenario of twins counts in one replication: failed calls of `hasty` by a cause,
/// and all failed calls of `patient`.
fn twins(name: &str, cause: &str) -> (f64, f64) {
    let loaded = gallery(name, &[]);
    let options = Options { replications: 1, checks: true, ..Options::of(&loaded.model) };
    let run = experiment::run(&loaded.model, options, &|_| {}).expect("no limit is passed");
    let value = |path: &[&str]| run.summary.value(path).expect("it is in the summary");
    (
        value(&["services", "hasty", "calls", "by_cause", cause]),
        value(&["services", "patient", "calls", "failed"]),
    )
}

/// N183, N466: all pods are replaced within seconds, and gRPC callers ask DNS every 30 s only: calls
/// fail for up to 30 s, none if the old pods stay for 35 s.
#[test]
fn old_answers_of_dns_outlive_a_fast_rollout() {
    let (hasty, patient) = twins("headless-dns", "stale_dns");
    assert!((200.0..3000.0).contains(&hasty) && patient < 0.5, "{hasty} {patient}");
}

/// N470: under `externalTrafficPolicy: Local` with a pod a node callers wait in vain until the load
/// balancer's checks of 8 s have failed three times; a pod that still serves for 40 s loses none.
#[test]
fn a_load_balancer_is_slower_than_a_rollout() {
    let (hasty, patient) = twins("cloud-balancer", "stale_balancer");
    assert!((200.0..3000.0).contains(&hasty) && patient < 0.5, "{hasty} {patient}");
}
