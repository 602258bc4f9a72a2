//! Calls through ingress proxies (rules N180, N184, N473).

use std::collections::BTreeMap;

use seatrial::base::{Distribution, Duration, SimTime};
use seatrial::cluster::Serving;
use seatrial::experiment::trial::{How, Kind, conduct, scenario as scenario_of};
use seatrial::experiment::{Options, run};
use seatrial::manifest::Loader;
use seatrial::model::{
    Finds, IngressBalance, IngressPlace, IngressSpec, Load, RecordedCall, ServiceId,
};
use seatrial::record::{CallRecord, Cause, Fate};
use seatrial::recorder::Recorder;
use seatrial::scenario::plain::Plain;
use seatrial::scenario::{Loaded, Place, Refused, load, show};

use crate::support::WEB;
use crate::support::servers::{Field, Setup, behavior, serve};

fn ms(count: u64) -> Duration {
    Duration::ms(count)
}

fn at(count: u64) -> SimTime {
    SimTime::at(ms(count))
}

const WEB_SERVICE: ServiceId = ServiceId::new(0);

/// So many pods behind one proxy outside the cluster, called 1000 times a second.
fn field(pods: usize, ingress: impl FnOnce(&mut IngressSpec), post: bool) -> Field {
    let server = behavior(serve(Distribution::Constant(0.001), 1000));
    let mut setup = Setup::new(4).group("web", pods, server).source("load", "web", 1000.0);
    setup.nodes = pods;
    let name = setup.object("web");
    setup.traffic[0].through = Some(name);
    setup.traffic[0].is_idempotent = !post;
    setup.traffic[0].client.timeout = Duration::secs(10);
    let mut spec = IngressSpec::ideal();
    spec.place = seatrial::model::IngressPlace::Outside(1);
    spec.workers = 1;
    ingress(&mut spec);
    setup.ingress = Some(spec);
    Field::new(setup, 0, Recorder::keeping_calls())
}

fn by_pod(calls: &[CallRecord]) -> BTreeMap<Option<u64>, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.pod).or_default() += 1;
    }
    counts
}

fn why(calls: &[CallRecord]) -> BTreeMap<(&'static str, &'static str), usize> {
    let mut counts = BTreeMap::new();
    for call in calls.iter().filter(|call| call.fate != Fate::Ok) {
        *counts.entry((call.fate.as_str(), call.cause.as_str())).or_default() += 1;
    }
    counts
}

/// N184, N529: a process of a proxy gives calls to the pods in turn, exactly; each call is told once, of
/// the Service behind the Ingress.
#[test]
fn pods_have_their_turns() {
    let mut field = field(4, |_| {}, false);
    field.run_until(at(4000));
    let calls = field.take_calls();
    let counts: Vec<usize> = by_pod(&calls).into_values().collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(counts.len() == 4 && most - least <= 1, "{counts:?}");
    assert!(calls.iter().all(|call| call.service == WEB_SERVICE && call.fate == Fate::Ok));
}

/// N180: a pod that stops before the proxy knows: the next pod answers whatever was not sent yet;
/// with one try, or where no other pod is, the call fails with 502.
#[test]
fn the_next_upstream_answers() {
    let failed = |tries: u32, post: bool, pods: usize| {
        let mut field = field(
            pods,
            |spec| {
                spec.sync = Duration::secs(100);
                spec.client.retries.attempts = tries - 1;
            },
            post,
        );
        field.run_until(at(1000));
        // A first look, after which none is allowed for long.
        field.publish(WEB_SERVICE, |_| true, |_| false);
        field.run_until(at(2000));
        field.take_calls();
        let pod = field.pods()[0];
        field.set(pod, Serving::Absent);
        field.publish(WEB_SERVICE, |other| other != pod, |_| false);
        field.run_until(at(3000));
        why(&field.take_calls())
    };
    assert_eq!(failed(3, false, 2), BTreeMap::new());
    // The same of a POST: a refused connection has sent nothing.
    let left: usize = failed(3, true, 2).into_values().sum();
    assert!(left < 5, "{left}");
    let alone = failed(1, false, 2);
    let half = alone.get(&("server_error", "process_down")).copied().unwrap_or(0);
    assert!((400..600).contains(&half), "{alone:?}");
}

/// N180: looks are 3.33 s apart at least, so that the second of two changes is known up to so much
/// later, and a process takes over at its next poll.
#[test]
fn looks_are_rare() {
    let mut field = field(
        3,
        |spec| {
            (spec.sync, spec.poll) = (ms(3333), Duration::secs(1));
            spec.client.retries.attempts = 0;
        },
        false,
    );
    field.run_until(at(10_000));
    let pods = field.pods();
    field.take_calls();
    // The first change has its look at once.
    field.publish(WEB_SERVICE, |other| other != pods[0], |_| false);
    field.run_until(at(11_100));
    field.take_calls();
    field.run_until(at(11_500));
    assert_eq!(by_pod(&field.take_calls()).len(), 2);
    // The second one waits until 13.333 s, and for a poll.
    field.publish(WEB_SERVICE, |other| other == pods[2], |_| false);
    field.run_until(at(13_300));
    assert_eq!(by_pod(&field.take_calls()).len(), 2);
    field.run_until(at(14_400));
    field.take_calls();
    field.run_until(at(15_000));
    assert_eq!(by_pod(&field.take_calls()).len(), 1);
}

/// N180, N184: `balance: ewma` gives calls to pods by how soon they have answered: equal ones get
/// about as many, not in turn.
#[test]
fn equal_pods_answer_as_soon() {
    let counts = |balance: IngressBalance| {
        let mut field = field(3, |spec| spec.balance = balance, false);
        field.run_until(at(10_000));
        let counts: Vec<usize> = by_pod(&field.take_calls()).into_values().collect();
        let most = counts.iter().copied().max().unwrap();
        (counts.len(), most - counts.iter().copied().min().unwrap())
    };
    let in_turn = counts(IngressBalance::RoundRobin);
    assert!(in_turn.0 == 3 && in_turn.1 <= 1, "{in_turn:?}");
    let sooner = counts(IngressBalance::Ewma);
    assert!(sooner.0 == 3 && (2..2_000).contains(&sooner.1), "{sooner:?}");
}

/// N181: a proxy that polls each 3 s still sends to a pod that has stopped for up to 3 s.
#[test]
fn a_proxy_that_polls() {
    let mut last = Vec::new();
    for gone in [4_000, 4_700, 5_500, 6_300, 7_100, 7_900] {
        let polls = |spec: &mut IngressSpec| {
            (spec.poll, spec.client.retries.attempts) = (Duration::secs(3), 0);
        };
        let mut field = field(2, polls, false);
        field.run_until(at(gone));
        let pod = field.pods()[0];
        field.set(pod, Serving::Absent);
        field.publish(WEB_SERVICE, |other| other != pod, |_| false);
        field.take_calls();
        field.run_until(at(gone + 4_000));
        let calls = field.take_calls();
        let failed = calls.iter().filter(|call| call.fate != Fate::Ok).map(|call| call.start);
        last.push((failed.max().expect("some fail") - at(gone)).as_secs_f64());
    }
    // Spread over the 3 s, by when the pod has stopped.
    assert!(last.iter().all(|late| (0.0..3.01).contains(late)), "{last:?}");
    let most = last.iter().fold(0.0_f64, |a, b| a.max(*b));
    let least = last.iter().fold(3.0_f64, |a, b| a.min(*b));
    assert!(most > 2.0 && least < 1.0, "{last:?}");
}

/// A reload: new processes have the new endpoints, the old ones finish what they have, as long as
/// they may (rule N180).
#[test]
fn old_processes_finish_their_calls() {
    let end = |drain: Duration| {
        let server = behavior(serve(Distribution::Constant(0.001), 1000));
        let mut setup = Setup::new(4).group("web", 2, server).source("load", "web", 1.0);
        setup.nodes = 2;
        let name = setup.object("web");
        let calls = [RecordedCall { at: at(1000), hold: Duration::secs(5) }];
        setup.traffic[0].load = Load::Recorded { calls: calls.into(), repeat: None };
        setup.traffic[0].through = Some(name);
        let place = IngressPlace::Outside(1);
        let spec = IngressSpec { place, finds: Finds::Reload, drain, ..IngressSpec::ideal() };
        setup.ingress = Some(spec);
        let mut field = Field::new(setup, 0, Recorder::keeping_calls());
        field.run_until(at(1500));
        let pod = field.pods()[0];
        field.publish(WEB_SERVICE, |other| other != pod, |_| false);
        field.run_until(at(9000));
        let calls = field.take_calls();
        assert_eq!(calls.len(), 1);
        (calls[0].fate, calls[0].cause, calls[0].latency)
    };
    assert_eq!(end(Duration::secs(240)), (Fate::Ok, Cause::None, Duration::secs(5)));
    assert_eq!(end(Duration::secs(2)), (Fate::Reset, Cause::CutByReload, ms(2500)));
}

const INGRESS: &str = "
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  ingressClassName: nginx
  rules:
    - host: shop.example.com
      http:
        paths:
          - { path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }
";

fn scenario(traffic: &str, cluster: &str) -> String {
    format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: shop
cluster:
  nodes: [{{ pool: workers, count: 4, allocatable: {{ cpu: 16, memory: 64Gi }} }}]
  latencies: measured-small
{cluster}
apply: [web.yaml]
behaviors:
  - {{ for: deployment/web, start: 2s, serve: {{ hold: 20ms }} }}
traffic:
  - {{ name: users, rate: 200/s, {traffic} }}
timeline:
  - {{ at: 60s, run: kubectl rollout restart deployment/web }}
run: {{ until: 3m, seed: 11, warmup: 50s }}
"
    )
}

fn web(more: &str) -> String {
    let probe = "ports: [{ containerPort: 8080 }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }";
    let web = WEB.replace("REPLICAS", "4").replace("ports: [{ containerPort: 8080 }]", probe);
    format!("{web}{INGRESS}{more}")
}

fn loaded(traffic: &str, cluster: &str, sets: &[&str], more: &str) -> Result<Loaded, Box<Refused>> {
    let files = [("scenario.yaml", scenario(traffic, cluster)), ("web.yaml", web(more))];
    let place = Place { loader: Loader::from_memory(files), path: "scenario.yaml".to_owned() };
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load(&place, &sets)
}

/// Failed calls a run by cause over a rollout, and good ones.
fn rollout(
    traffic: &str,
    cluster: &str,
    sets: &[&str],
    more: &str,
) -> (BTreeMap<String, f64>, f64) {
    let loaded = loaded(traffic, cluster, sets, more).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    assert!(show(&loaded).contains("through: ingress/shop"));
    let options = Options { replications: 3, jobs: 2, ..Options::of(&loaded.model) };
    let done = run(&loaded.model, options, &|_| {}).expect("within all limits");
    let value = |what: &[&str]| done.summary.value(&[&["services", "web", "calls"], what].concat());
    let causes = Cause::ALL.into_iter().skip(1).filter_map(|cause| {
        let count = value(&["by_cause", cause.as_str()]).filter(|count| *count > 0.0)?;
        Some((cause.as_str().to_owned(), count))
    });
    (causes.collect(), value(&["ok"]).unwrap_or(0.0))
}

const SLEEP: &str = "deployment/web:spec.template.spec.containers[0].lifecycle={ preStop: { sleep: { seconds: 8 } } }";
const DRAIN: &str = "behaviors[0].shutdown={ drain: 20s }";

/// N473: with ingress-nginx in front of pods that stop at once, the next upstream hides what was
/// refused, and POSTs in flight surface as 502; a preStop of more than 4.3 s clears it.
#[test]
fn nginx_in_front_of_a_rollout() {
    let (gets, ok) = rollout("to: ingress/shop", "", &[], "");
    assert!(ok > 20_000.0, "{ok}");
    let (posts, _) = rollout("to: ingress/shop, method: POST", "", &[], "");
    let cut = posts.get("cut_by_stop").copied().unwrap_or(0.0);
    assert!(cut > 3.0, "{posts:?}");
    let (one_try, _) =
        rollout("to: 'http://shop.example.com/cart'", "  ingress: { tries: 1 }", &[], "");
    let stale = one_try.get("stale_ingress").copied().unwrap_or(0.0);
    println!("GET {gets:?}, POST {posts:?}, one try {one_try:?}");
    // Four pods go within seconds, so that now and then none of three is there any more.
    assert!(stale > 20.0 && 4.0 * gets["stale_ingress"] < stale, "{gets:?} {one_try:?}");
    assert!(gets.get("cut_by_stop").copied().unwrap_or(0.0) < cut / 2.0, "{gets:?} {posts:?}");
    let (slept, ok) =
        rollout("to: ingress/shop, method: POST", "  ingress: { tries: 1 }", &[SLEEP, DRAIN], "");
    assert!(slept.is_empty() && ok > 20_000.0, "{slept:?}");
}

/// The proxies as pods: calls go by a node port to them and on to the pods of the shop; when the
/// proxies roll out, what is lost is theirs.
#[test]
fn proxies_in_the_cluster() {
    let proxy = WEB
        .replace("REPLICAS", "2")
        .replace("name: web", "name: proxy")
        .replace("app: web", "app: proxy")
        .replace("ports: [{ port: 80,", "type: NodePort\n  ports: [{ port: 80,");
    let of = "  ingress: { workload: deployment/proxy }";
    let (none, ok) = rollout("to: ingress/shop", of, &[SLEEP, DRAIN], &format!("---{proxy}"));
    assert!(none.is_empty() && ok > 20_000.0, "{none:?}");
    let roll = "timeline[0].run=kubectl rollout restart deployment/proxy";
    let (lost, _) = rollout("to: ingress/shop", of, &[roll], &format!("---{proxy}"));
    let stale = lost.get("stale_proxy").copied().unwrap_or(0.0);
    assert!(stale > 20.0, "{lost:?}");
    let found = loaded("to: ingress/shop", of, &["cluster.ingress.workload=deployment/web"], "");
    assert!(found.is_ok(), "the Service web leads to it");
}

/// What is wrong is told at its place.
#[test]
fn wrong_words() {
    let told = |traffic: &str, cluster: &str| -> Vec<String> {
        let refused = loaded(traffic, cluster, &[], "").expect_err("it is wrong");
        refused.found.lines(&refused.sources)
    };
    let has = |told: Vec<String>, words: &[&str]| {
        let text = told.join("\n");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    has(told("to: ingress/shp", ""), &["there is no ingress \"shp\""]);
    has(told("to: http://other.example.com/", ""), &["other.example.com", "404"]);
    has(told("to: service/web, method: POST", ""), &["`method` is for calls through an Ingress"]);
    has(told("to: ingress/shop, port: 80", ""), &["which port of a Service"]);
    has(told("to: ingress/shop", "  ingress: { tries: 0 }"), &["`tries` is from 1"]);
    has(
        told("to: ingress/shop", "  ingress: { workload: deployment/web, proxies: 3 }"),
        &["`proxies` is for proxies outside"],
    );
}

/// Ingresses whose Services are not there load with a warning.
#[test]
fn an_ingress_that_leads_nowhere() {
    let more = INGRESS.replace("name: shop", "name: lost").replace("name: web", "name: wbe");
    let loaded = loaded("to: ingress/shop", "", &[], &more).expect("it loads");
    let text = loaded.found.lines(&loaded.sources).join("\n");
    assert!(text.contains("ingress \"lost\" leads to service \"wbe\""), "{text}");
}

/// `rollout` of manifests sends calls through the Ingress that leads to a Service, or directly if
/// asked to.
#[test]
fn plain_manifests_are_called_through_their_ingress() {
    let loader = Loader::from_memory([("web.yaml", web(""))]);
    let plain = Plain::read(&loader, &["web.yaml".to_owned()]).expect("they are right");
    let how = |is_direct| How {
        kind: Kind::Rollout,
        rate: 50.0,
        seeds: 1,
        seed: 1,
        jobs: 1,
        checks: false,
        one_by_one: false,
        tries: false,
        is_direct,
        is_graph: false,
        at: None,
    };
    let through = scenario_of(&plain, &how(false)).expect("a scenario");
    assert!(through.contains("to: ingress/shop") && through.contains("url: shop.example.com/"));
    assert!(scenario_of(&plain, &how(true)).expect("a scenario").contains("to: service/web"));
    let report = conduct(&plain, &how(false), &|_, _| {}).expect("it runs");
    assert!(report.text().contains("through ingress/shop"), "{}", report.text());
}
