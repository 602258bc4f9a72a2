//! What calls meet when servers, machines and clients change.

use seatrial::base::{Distribution, Duration, SimTime};
use seatrial::cluster::{NewPod, Serving, Write};
use seatrial::model::{Connections, Downstream, NodeId, Serve, ServiceId};
use seatrial::record::{CallRecord, Cause, Fate};
use seatrial::recorder::Recorder;

use crate::support::servers::{Field, Setup, behavior, serve};

fn ms(at: u64) -> SimTime {
    SimTime::at(Duration::ms(at))
}

fn constant(hold_ms: u64) -> Distribution {
    Distribution::Constant(Duration::ms(hold_ms).as_secs_f64())
}

fn start(setup: Setup) -> Field {
    Field::new(setup, 0, Recorder::keeping_calls())
}

/// One pod that serves for so long, called at a rate.
fn one_pod(hold_ms: u64, concurrency: u32, per_second: f64) -> Setup {
    Setup::new(5)
        .group("web", 1, behavior(serve(constant(hold_ms), concurrency)))
        .source("load", "web", per_second)
}

fn all(calls: &[CallRecord], fate: Fate, cause: Cause) -> bool {
    !calls.is_empty() && calls.iter().all(|call| (call.fate, call.cause) == (fate, cause))
}

/// A new connection takes a round trip, with TLS two (N425); then a hop there, the hold, a hop back.
/// A kept one takes no trip.
#[test]
fn a_call_takes_two_hops_and_the_hold_once_it_is_connected() {
    let latencies = |change: fn(&mut Connections)| {
        let mut setup = one_pod(20, 1000, 100.0);
        setup.latencies.hop = Distribution::Constant(0.0003);
        change(&mut setup.traffic[0].client.connections);
        let mut field = start(setup);
        field.run_until(ms(1000));
        let calls = field.take_calls();
        assert!(all(&calls, Fate::Ok, Cause::None));
        let mut found: Vec<Duration> = calls.iter().map(|call| call.latency).collect();
        found.sort();
        found.dedup();
        found
    };
    assert_eq!(latencies(|_| ()), [Duration::us(21_200)]);
    assert_eq!(latencies(|of| of.tls = true), [Duration::us(21_800)]);
    let kept = latencies(|of| *of = Connections::keep_alive(100));
    assert_eq!(kept, [Duration::us(20_600), Duration::us(21_200)]);
}

/// A call that is not answered in time ends at its timeout, whether it waits or is in service; the
/// server goes on with the one in service.
#[test]
fn a_timeout_is_exact() {
    let mut setup = one_pod(900, 1, 5.0);
    setup.traffic[0].client.timeout = Duration::ms(500);
    setup.latencies.hop = Distribution::Constant(0.001);
    let mut field = start(setup);
    field.run_until(ms(60_000));
    let calls = field.take_calls();
    assert!(calls.iter().all(|call| call.fate == Fate::TimedOut));
    assert!(calls.iter().all(|call| call.latency == Duration::ms(500)));
    let late = calls.iter().filter(|call| call.cause == Cause::SlowService).count();
    let waited = calls.iter().filter(|call| call.cause == Cause::WaitedTooLong).count();
    // One call in 0.9 s is in service at its deadline; about 5/s come.
    assert!((50..=67).contains(&late), "{late}");
    assert_eq!(late + waited, calls.len());
    assert!(calls.len() > 200);
}

/// Rules N460, N467: what a refused connection says of the pod.
#[test]
fn a_closed_door_has_its_cause() {
    let mut field = start(one_pod(1, 10, 1000.0));
    let pod = field.pods()[0];
    field.run_until(ms(10));
    field.take_calls();
    for (state, cause) in [
        (Serving::Absent, Cause::ProcessDown),
        (Serving::Starting, Cause::ProcessDown),
        (Serving::Draining, Cause::StaleProxy),
    ] {
        field.set(pod, state);
        field.run_until(field.now() + Duration::ms(10));
        field.take_calls();
        field.run_until(field.now() + Duration::ms(100));
        assert!(all(&field.take_calls(), Fate::Refused, cause), "{state:?}");
    }
    field.apply(|_, plan| plan.push(Write::DeletePod { pod, grace: None }));
    field.set(pod, Serving::Absent);
    field.run_until(field.now() + Duration::ms(100));
    assert!(all(&field.take_calls(), Fate::Refused, Cause::StaleProxy));
    field.apply(|_, plan| plan.push(Write::RemovePod { pod }));
    field.run_until(field.now() + Duration::ms(100));
    assert!(all(&field.take_calls(), Fate::Refused, Cause::StaleProxy));
}

/// A pod in rotation before its process listens (N467).
#[test]
fn a_pod_that_never_served_is_named() {
    let mut setup = one_pod(1, 10, 1000.0);
    setup.nodes = 2;
    setup = setup.group("other", 2, behavior(serve(constant(1), 1)));
    let mut field = start(setup);
    // A new pod takes the place of the first.
    let (first, fresh) = (field.pods()[0], field.pods()[1]);
    field.apply(|cluster, plan| {
        let row = cluster.pod(first).expect("it is there");
        let new = NewPod::new(row.namespace, row.name, row.template, row.origin);
        plan.push(Write::CreatePod(new));
    });
    let fresh = field.pods().into_iter().find(|pod| *pod != first && *pod != fresh);
    let fresh = fresh.expect("it was created");
    let new = field.pods().into_iter().max_by_key(|p| field.cluster.pod(*p).map(|r| r.serial));
    let new = new.unwrap_or(fresh);
    field.publish(ServiceId::new(0), |pod| pod == new, |_| false);
    field.run_until(ms(5));
    field.take_calls();
    field.run_until(ms(500));
    assert!(all(&field.take_calls(), Fate::Refused, Cause::NotYetServing));
}

/// N426: a server that stops at once cuts what is in service and what waits, at that instant and a hop.
#[test]
fn a_stop_cuts_what_is_there() {
    let mut setup = one_pod(10_000, 3, 100.0);
    setup.latencies.hop = Distribution::Constant(0.002);
    let mut field = start(setup);
    let pod = field.pods()[0];
    field.run_until(ms(500));
    assert!(field.take_calls().is_empty());
    field.set(pod, Serving::Absent);
    let calls = field.take_calls();
    let cut = calls.iter().filter(|call| call.cause == Cause::CutByStop).count();
    assert_eq!(cut, 3);
    assert!(calls.len() > 20 && calls.iter().all(|call| call.fate == Fate::Reset));
    assert!(calls.iter().all(|call| call.start + call.latency == ms(502)));
    assert!(field.told.is_empty());
}

/// N426: a draining server finishes what it has accepted, its backlog too, refuses the rest, and says
/// when it is done.
#[test]
fn a_drain_finishes_what_was_accepted() {
    let mut field = start(one_pod(100, 2, 40.0));
    let pod = field.pods()[0];
    field.run_until(ms(1000));
    let under_way = field.traffic.calls_under_way();
    assert!(under_way > 4);
    field.take_calls();
    field.set(pod, Serving::Draining);
    field.run_until(ms(20_000));
    let calls = field.take_calls();
    let served: Vec<_> = calls.iter().filter(|call| call.fate == Fate::Ok).collect();
    assert_eq!(served.len(), under_way);
    assert!(served.iter().all(|call| call.start <= ms(1000)));
    let done = served.iter().map(|call| call.start + call.latency).max();
    assert_eq!(field.told.len(), 1);
    assert_eq!(Some(field.told[0].0), done);
    let later = calls.iter().filter(|call| call.fate != Fate::Ok);
    assert!(later.into_iter().all(|call| call.cause == Cause::StaleProxy));
    // An idle server that begins to drain is done at once.
    field.set(pod, Serving::Accepting);
    field.publish(ServiceId::new(0), |_| false, |_| false);
    field.run_until(ms(30_000));
    field.set(pod, Serving::Draining);
    field.run_until(ms(30_001));
    assert_eq!(field.told.last().map(|(at, _)| *at), Some(ms(30_000)));
}

/// A machine that dies answers nothing: who waits, waits until the timeout, and who comes later too.
#[test]
fn a_dead_machine_is_silent() {
    let mut setup = one_pod(50, 100, 200.0);
    setup.nodes = 2;
    setup.traffic[0].client.timeout = Duration::secs(2);
    let mut field = start(setup);
    field.run_until(ms(1000));
    field.take_calls();
    field.apply(|_, plan| {
        plan.push(Write::NodeUp { node: NodeId::new(0), is_up: false });
    });
    field.run_until(ms(2000));
    let calls = field.take_calls();
    assert!(all(&calls, Fate::TimedOut, Cause::NodeDown));
    assert!(calls.iter().any(|call| call.start < ms(1000)));
    assert!(calls.iter().all(|call| call.latency == Duration::secs(2)));
    field.apply(|_, plan| {
        plan.push(Write::NodeUp { node: NodeId::new(1), is_up: false });
    });
    field.run_until(ms(2100));
    assert!(all(&field.take_calls(), Fate::TimedOut, Cause::NodeDown));
    field.apply(|_, plan| {
        plan.push(Write::NodeUp { node: NodeId::new(0), is_up: true });
        plan.push(Write::NodeUp { node: NodeId::new(1), is_up: true });
    });
    field.run_until(ms(3000));
    assert!(all(&field.take_calls(), Fate::Ok, Cause::None));
}

/// Kept connections stay with their pod whatever the endpoints say (N136, N160). A server that
/// drains closes them politely: nothing fails. One that stops at once resets what is on the wire.
#[test]
fn kept_connections_stay_with_their_pod() {
    let mut setup = Setup::new(5)
        .group("web", 2, behavior(serve(constant(5), 100)))
        .source("load", "web", 500.0);
    setup.traffic[0].client.connections = Connections::keep_alive(20);
    setup.latencies.hop = Distribution::Constant(0.002);
    let mut field = start(setup);
    let (first, second) = (field.pods()[0], field.pods()[1]);
    let web = ServiceId::new(0);
    field.run_until(ms(1000));
    field.publish(web, |pod| pod == second, |_| false);
    field.run_until(ms(1100));
    field.take_calls();
    field.run_until(ms(2000));
    let calls = field.take_calls();
    let serials = [first, second].map(|pod| field.cluster.pod(pod).map(|row| row.serial));
    let to_first = calls.iter().filter(|call| call.pod == serials[0]).count();
    assert!(to_first > 50, "{to_first} of {}", calls.len());
    field.set(first, Serving::Draining);
    field.run_until(ms(3000));
    let calls = field.take_calls();
    assert!(all(&calls, Fate::Ok, Cause::None));
    let after = calls.iter().filter(|call| call.start > ms(2002));
    assert!(after.into_iter().all(|call| call.pod == serials[1]));
    field.set(second, Serving::Absent);
    field.run_until(ms(3002));
    let calls = field.take_calls();
    let of = |cause| calls.iter().filter(|call| call.cause == cause).count();
    assert!(of(Cause::CutByStop) > 0 && of(Cause::ConnectionClosed) > 0, "{calls:?}");
    field.run_until(ms(3100));
    field.take_calls();
    field.run_until(ms(3200));
    assert!(all(&field.take_calls(), Fate::Refused, Cause::ProcessDown));
    // After a restart the old connections are gone and new ones work.
    field.set(second, Serving::Accepting);
    field.run_until(ms(3300));
    let calls = field.take_calls();
    assert!(calls.iter().filter(|call| call.start > ms(3200)).all(|call| call.fate == Fate::Ok));
}

/// A front that calls a back twice for each of its calls: both are told, the front's latency holds
/// all, and what fails behind fails in front.
#[test]
fn what_a_call_depends_on() {
    let mut setup = Setup::new(5);
    let to = setup.object("back");
    let mut front = behavior(serve(constant(10), 1000));
    front.calls = vec![Downstream::new(to, 2, Duration::ms(300))];
    let back = behavior(Serve { errors: 0.1, ..serve(constant(20), 1000) });
    let mut setup =
        setup.group("back", 2, back).group("front", 1, front).source("load", "front", 200.0);
    setup.latencies.hop = Distribution::Constant(0.001);
    let mut field = start(setup);
    field.run_until(ms(20_000));
    let calls = field.take_calls();
    let (outer, inner): (Vec<&CallRecord>, Vec<&CallRecord>) =
        calls.iter().partition(|call| call.source.is_some());
    let ok: Vec<_> = outer.iter().filter(|call| call.fate == Fate::Ok).collect();
    // 3 + 10 + 2 · (3 + 20 + 1) + 1: connections are new.
    assert!(ok.iter().all(|call| call.latency == Duration::ms(62)));
    let failed = outer.len() - ok.len();
    assert!(outer.iter().all(|c| c.fate == Fate::Ok || c.cause == Cause::Downstream));
    // 1 − 0.9² = 0.19 of about 4000.
    assert!((650..870).contains(&failed), "{failed}");
    let behind = inner.iter().filter(|call| call.cause == Cause::ServerFault).count();
    assert!(behind.abs_diff(failed) < 5);
    // The back's pods stop: the front still answers, with errors.
    for (pod, _) in field.pods_of(ServiceId::new(0)) {
        field.set(pod, Serving::Absent);
    }
    field.run_until(ms(20_100));
    field.take_calls();
    field.run_until(ms(21_000));
    let calls = field.take_calls();
    assert!(calls.iter().filter(|c| c.source.is_some()).all(|c| c.cause == Cause::Downstream));
    assert!(calls.iter().filter(|c| c.source.is_none()).all(|c| c.fate == Fate::Refused));
}

/// Traffic policies Local (N158, N506): a pod's call stays on the node or is dropped; calls from outside
/// come in where endpoints are.
#[test]
fn a_local_policy_keeps_calls_on_the_node() {
    let mut setup = Setup::new(5);
    let to = setup.object("back");
    let mut front = behavior(serve(constant(1), 1000));
    front.calls = vec![Downstream::new(to, 1, Duration::ms(100))];
    let back = behavior(serve(constant(1), 1000));
    let mut setup = setup
        .group("back", 1, back)
        .group("front", 2, front)
        .source("load", "front", 200.0)
        .source("straight", "back", 100.0);
    setup.nodes = 2;
    setup.groups[0].is_local = true;
    let mut field = start(setup);
    field.run_until(ms(2000));
    let calls = field.take_calls();
    let (front, back) = (ServiceId::new(1), ServiceId::new(0));
    // The front's first pod is on the back's node, its second is not.
    let serials: Vec<_> = field.pods_of(front).iter().map(|(p, _)| field.cluster.pod(*p)).collect();
    let far = serials[1].map(|row| row.serial);
    let outer = calls.iter().filter(|call| call.service == front);
    assert!(outer.clone().count() > 300);
    assert!(outer.into_iter().all(|call| (call.fate != Fate::Ok) == (call.pod == far)));
    let dropped = |call: &&CallRecord| call.fate == Fate::TimedOut;
    let inner = calls.iter().filter(|call| call.service == back && call.source.is_none());
    assert!(inner.filter(dropped).all(|call| call.cause == Cause::NotOnNode));
    let straight = calls.iter().filter(|call| call.service == back && call.source.is_some());
    assert!(straight.clone().count() > 100);
    assert!(straight.into_iter().all(|call| call.fate == Fate::Ok));
}

/// A late attempt is given up at its timeout and tried again after a back-off, while the server
/// goes on with the first: 500 ms, at most 25 ms, 500 ms.
#[test]
fn a_late_call_is_tried_again() {
    let mut setup = one_pod(900, 1000, 20.0);
    setup.traffic[0].client.timeout = Duration::ms(500);
    setup.traffic[0].client.retries.attempts = 1;
    let mut field = start(setup);
    field.run_until(ms(10_000));
    let calls = field.take_calls();
    assert!(all(&calls, Fate::TimedOut, Cause::SlowService));
    assert!(calls.iter().all(|call| call.retries == 1));
    let range = Duration::ms(1000)..=Duration::ms(1025);
    assert!(calls.iter().all(|call| range.contains(&call.latency)));
    // Both attempts are in service for 0.9 s each: 20/s · 1.8 s, and what backs off.
    assert!((20..60).contains(&field.traffic.calls_under_way()));
}

/// CPU of a call is spread over its hold.
#[test]
fn cpu_is_that_of_the_holds() {
    let server = Serve { cpu: Duration::ms(40), ..serve(constant(100), 1000) };
    let setup = Setup::new(5).group("web", 1, behavior(server)).source("load", "web", 50.0);
    let mut field = start(setup);
    let pod = field.pods()[0];
    for at in [1010, 2020, 3030] {
        field.run_until(ms(at));
        let spent = field.cpu_spent(pod).as_secs_f64();
        let calls = field.take_calls();
        let running: usize = field.traffic.calls_under_way();
        assert!(running > 0);
        drop(calls);
        // 50 calls a second of 40 ms each are two CPUs.
        let seconds = f64::from(u32::try_from(at).expect("small")) / 1000.0;
        assert!((spent / seconds - 2.0).abs() < 0.4, "{spent} s of CPU in {seconds} s");
    }
    // What is cut counts with what it has used.
    let before = field.cpu_spent(pod);
    field.set(pod, Serving::Absent);
    let after = field.cpu_spent(pod);
    assert!(before.as_nanos().abs_diff(after.as_nanos()) < 1000);
    field.run_until(ms(4000));
    assert_eq!(field.cpu_spent(pod), after);
}

/// The same seed gives the same calls; another policy behind the same source sees the same calls.
#[test]
fn a_source_sees_no_policy() {
    let run = |concurrency, nodes, replication| {
        let mut setup = one_pod(3, concurrency, 300.0);
        setup.nodes = nodes;
        let mut field = Field::new(setup, replication, Recorder::keeping_calls());
        field.run_until(ms(3000));
        let mut calls = field.take_calls();
        calls.sort_by_key(|call| call.start);
        calls
    };
    assert_eq!(run(1, 1, 0), run(1, 1, 0));
    let starts =
        |calls: Vec<CallRecord>| calls.iter().map(|c| c.start).take(800).collect::<Vec<_>>();
    assert_eq!(starts(run(1, 1, 0)), starts(run(9, 4, 0)));
    assert_ne!(starts(run(1, 1, 0)), starts(run(1, 1, 1)));
}
