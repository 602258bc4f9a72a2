//! What callers do about servers: budgets, hedging, ejection, shared connections, priorities; and
//! what servers do about their CPU, their start and their end. All by hand-made fields.

use seatrial::base::{Distribution, Duration, SimTime};
use seatrial::cluster::Serving;
use seatrial::model::{
    Budget, Cache, Callee, ConnectionKind, Connections, Discipline, Downstream, Ejection, Fades,
    Load, Order, RecordedCall, Serve, WarmUp,
};
use seatrial::record::{CallRecord, Cause, Fate};
use seatrial::recorder::Recorder;

use crate::support::servers::{Field, Setup, behavior, serve};

fn constant(ms: u64) -> Distribution {
    Distribution::Constant(Duration::ms(ms).as_secs_f64())
}

fn ms(at: u64) -> SimTime {
    SimTime::at(Duration::ms(at))
}

fn start(setup: Setup) -> Field {
    Field::new(setup, 0, Recorder::keeping_calls())
}

fn one_kind(pods: usize, server: Serve, per_second: f64) -> Setup {
    Setup::new(3).group("web", pods, behavior(server)).source("load", "web", per_second)
}

fn of_fate(calls: &[CallRecord], fate: Fate) -> usize {
    calls.iter().filter(|call| call.fate == fate).count()
}

fn recorded(setup: &mut Setup, source: usize, calls: &[(u64, u64)]) {
    let call = |(at, hold): &(u64, u64)| RecordedCall { at: ms(*at), hold: Duration::ms(*hold) };
    let calls = calls.iter().map(call).collect();
    setup.traffic[source].load = Load::Recorded { calls, repeat: None };
}

/// N420: recorded calls come at their instants and hold as long as recorded; again after a while.
#[test]
fn recorded_calls() {
    let mut setup = one_kind(1, serve(constant(20), 10), 1.0);
    recorded(&mut setup, 0, &[(5, 0), (5, 30), (90, 0)]);
    let Load::Recorded { repeat, .. } = &mut setup.traffic[0].load else { unreachable!() };
    *repeat = Some(Duration::ms(100));
    let mut field = start(setup);
    field.run_until(ms(200));
    let mut found: Vec<(SimTime, Duration)> =
        field.take_calls().iter().map(|call| (call.start, call.latency)).collect();
    found.sort();
    let of = |at, hold| (ms(at), Duration::ms(hold));
    assert_eq!(found, [of(5, 20), of(5, 30), of(90, 20), of(105, 20), of(105, 30)]);
}

/// N184: calls over a shared connection (HTTP/2) all go to its pod, and a new pod gets none until
/// the connections age.
#[test]
fn shared_connections_stay() {
    let used = |age_max| {
        let mut setup = one_kind(4, serve(constant(5), 1000), 400.0);
        let connections = &mut setup.traffic[0].client.connections;
        *connections = Connections::new(ConnectionKind::Shared { count: 1 });
        connections.age_max = age_max;
        let mut field = start(setup);
        field.run_until(ms(60_000));
        let mut pods: Vec<_> = field.take_calls().iter().map(|call| call.pod).collect();
        pods.sort();
        pods.dedup();
        pods.len()
    };
    assert_eq!(used(seatrial::model::NO_LIMIT), 1);
    assert_eq!(used(Duration::secs(1)), 4);
}

/// N136, N465: a server that says "close" loses nothing of kept connections; one that does not is
/// waited for until it is killed, and then calls are reset.
#[test]
fn a_server_that_does_not_say_close() {
    let resets = |says_close| {
        let server = Serve { says_close, ..serve(constant(50), 1000) };
        let mut setup = one_kind(2, server, 400.0);
        setup.latencies.hop = Distribution::Constant(0.001);
        setup.traffic[0].client.connections = Connections::keep_alive(100);
        let mut field = start(setup);
        field.run_until(ms(1000));
        let pod = field.pods()[0];
        field.publish(seatrial::model::ServiceId::new(0), |p| p != pod, |_| false);
        field.set(pod, Serving::Draining);
        field.run_until(ms(2000));
        let told = !field.told.is_empty();
        field.set(pod, Serving::Absent);
        field.run_until(ms(3000));
        (told, of_fate(&field.take_calls(), Fate::Reset))
    };
    assert_eq!(resets(true), (true, 0));
    let (told, resets) = resets(false);
    assert!(!told && resets > 0, "{told} {resets}");
}

/// N425: the server closes idle connections after 5 s, the client keeps them: the calls that it
/// sends on them within a hop are reset; a client that does not notice loses each of them.
#[test]
fn idle_connections() {
    let resets = |notices_close| {
        let server = Serve { idle_max: Duration::secs(5), ..serve(constant(1), 10) };
        let mut setup = one_kind(1, server, 1.0);
        setup.latencies.hop = Distribution::Constant(0.001);
        recorded(&mut setup, 0, &[(0, 0), (4000, 0), (8990, 0), (20_000, 0)]);
        let connections = &mut setup.traffic[0].client.connections;
        *connections = Connections { notices_close, ..Connections::keep_alive(10) };
        let mut field = start(setup);
        field.run_until(ms(30_000));
        let calls = field.take_calls();
        let closed = |call: &&CallRecord| call.cause == Cause::IdleClosed;
        calls.iter().filter(closed).map(|call| call.start).collect::<Vec<_>>()
    };
    assert_eq!(resets(true), []);
    assert_eq!(resets(false), [ms(20_000)]);
}

/// Hedging: a second attempt beside a slow first one; the first good answer counts.
#[test]
fn a_second_attempt_beside_the_first() {
    let mut setup = one_kind(2, serve(Distribution::log_normal_cv(0.05, 3.0), 10_000), 200.0);
    setup.traffic[0].client.hedge = Some(Duration::ms(100));
    let mut hedged = start(setup);
    hedged.run_until(ms(50_000));
    let calls = hedged.take_calls();
    let mut plain =
        start(one_kind(2, serve(Distribution::log_normal_cv(0.05, 3.0), 10_000), 200.0));
    plain.run_until(ms(50_000));
    let p99 = |mut calls: Vec<CallRecord>| {
        calls.sort_by_key(|call| call.latency);
        calls[calls.len() * 99 / 100].latency
    };
    let second = calls.iter().filter(|call| call.retries > 0).count();
    assert!(calls.iter().all(|call| call.fate == Fate::Ok) && second > 100, "{second}");
    let (with, without) = (p99(calls), p99(plain.take_calls()));
    assert!(with * 2 < without, "{with} {without}");
}

/// N185: a pod that fails is left alone, and calls go to the others.
#[test]
fn ejected_pods() {
    let failed = |ejection| {
        let mut setup = one_kind(5, serve(constant(5), 100), 200.0);
        setup.traffic[0].client.ejection = ejection;
        let mut field = start(setup);
        let pod = field.pods()[0];
        field.set(pod, Serving::Absent);
        field.run_until(ms(20_000));
        of_fate(&field.take_calls(), Fate::Refused)
    };
    assert!((700..900).contains(&failed(None)), "a fifth of 4000");
    assert_eq!(failed(Some(Ejection::ENVOY)), 5);
}

/// N185: of five pods one at most may be left alone (a tenth, but one always). One that is going away
/// is not counted: the next that stops is left alone too, as pods of a rollout that stop one by one.
#[test]
fn ejected_pods_that_go() {
    let mut setup = one_kind(5, serve(constant(5), 100), 200.0);
    setup.traffic[0].client.ejection = Some(Ejection::ENVOY);
    let mut field = start(setup);
    for (number, deleted) in [(0, true), (1, true), (2, false), (3, false)] {
        let pod = field.pods()[number];
        field.set(pod, Serving::Absent);
        if deleted {
            field.apply(|_, plan| {
                plan.push(seatrial::cluster::Write::DeletePod { pod, grace: None });
            });
        }
        let until = field.now() + Duration::secs(5);
        field.run_until(until);
    }
    let failed: Vec<u64> = field
        .take_calls()
        .iter()
        .filter(|call| call.fate != Fate::Ok)
        .map(|call| call.start.since_start().whole_secs() / 5)
        .collect();
    let of = |turn| failed.iter().filter(|at| **at == turn).count();
    // Two are there and down; one of them is left alone, the other one is called on.
    // What was in service when a pod stopped counts with the five.
    assert_eq!(of(0) + of(1) + of(2), 15);
    assert!(of(3) > 200, "{} failed", of(3));
}

/// N486: another attempt elsewhere always helps against one dead pod of two; a blind one in half of
/// the cases.
#[test]
fn another_attempt_elsewhere() {
    let failed = |elsewhere| {
        let mut setup = one_kind(2, serve(constant(5), 100), 200.0);
        let retries = &mut setup.traffic[0].client.retries;
        (retries.attempts, retries.elsewhere) = (1, elsewhere);
        let mut field = start(setup);
        let pod = field.pods()[0];
        field.set(pod, Serving::Absent);
        field.run_until(ms(20_000));
        of_fate(&field.take_calls(), Fate::Refused)
    };
    assert_eq!(failed(true), 0);
    assert!((900..1100).contains(&failed(false)), "a quarter of 4000");
}

/// A circuit breaker: calls beyond so many under way fail at once.
#[test]
fn calls_at_once() {
    let mut setup = one_kind(1, serve(constant(1000), 100), 100.0);
    setup.traffic[0].client.calls_max = 10;
    let mut field = start(setup);
    field.run_until(ms(20_000));
    let calls = field.take_calls();
    let full = calls.iter().filter(|call| call.cause == Cause::CallerFull);
    assert!(full.clone().all(|call| call.latency.is_zero()));
    // Erlang's B with 10 servers and 100 erlang: 0.9.
    let part = full.count() * 100 / calls.len();
    assert!((88..93).contains(&part), "{part} %");
}

/// Calls of the greater priority are served first.
#[test]
fn priorities() {
    let server = Serve { order: Order::Priority, ..serve(constant(10), 1) };
    let mut setup = one_kind(1, server, 1.0).source("vip", "web", 1.0);
    recorded(&mut setup, 0, &[(0, 0), (1, 0), (2, 0)]);
    recorded(&mut setup, 1, &[(3, 0)]);
    setup.traffic[1].priority = 7;
    let mut field = start(setup);
    field.run_until(ms(100));
    let ends: Vec<SimTime> = field.take_calls().iter().map(|c| c.start + c.latency).collect();
    let starts = |calls: Vec<SimTime>| calls;
    assert_eq!(starts(ends), [ms(10), ms(20), ms(30), ms(40)]);
}

/// N424: w(t) = 1 + 9 · e^(−t / 10 s): the first call takes ten times as long, one after 10 s
/// 1 + 9 / e = 4.31 times.
#[test]
fn cold_servers() {
    let warm_up = Some(WarmUp { factor: 10.0, fades: Fades::Age(Duration::secs(10)) });
    let mut setup = one_kind(1, Serve { warm_up, ..serve(constant(10), 10) }, 1.0);
    recorded(&mut setup, 0, &[(0, 0), (10_000, 0), (100_000, 0)]);
    let mut field = start(setup);
    field.run_until(ms(200_000));
    let latencies: Vec<f64> =
        field.take_calls().iter().map(|call| call.latency.as_millis_f64()).collect();
    for (found, expected) in latencies.iter().zip([100.0, 43.109, 10.004]) {
        assert!((found - expected).abs() < 0.01, "{latencies:?}");
    }
}

/// N424: a cache that is empty at first: h(n) = h∞ · (1 − e^(−n / k)); with 90 % and k = 100, of the
/// first 100 calls 0.9 · (1 − (1 − 1/e)) = 33 % hit, of those after 1,000 nine tenths.
#[test]
fn a_cache_that_fills() {
    let cache = Some(Cache { hits: 0.9, fill: 100.0, miss: constant(100) });
    let mut field = start(one_kind(1, Serve { cache, ..serve(constant(5), 10_000) }, 100.0));
    field.run_until(ms(60_000));
    let calls = field.take_calls();
    let hits = |calls: &[CallRecord]| {
        let hits = calls.iter().filter(|call| call.latency == Duration::ms(5)).count();
        hits * 100 / calls.len()
    };
    let (first, later) = (hits(&calls[..100]), hits(&calls[1000..]));
    assert!((22..45).contains(&first) && (87..93).contains(&later), "{first} % {later} %");
}

/// N428: a release whose calls take twice as long and of which a tenth fails; and one that does not
/// understand what its caller speaks.
#[test]
fn releases() {
    let run = |change: &dyn Fn(&mut Setup)| {
        let mut setup = one_kind(1, serve(constant(10), 1000), 100.0);
        change(&mut setup);
        let mut field = start(setup);
        field.run_until(ms(20_000));
        field.take_calls()
    };
    let calls = run(&|setup| {
        let release = &mut setup.groups[0].behavior.release;
        (release.slower, release.errors) = (2.0, 0.1);
    });
    assert!(calls.iter().all(|call| call.latency == Duration::ms(20)));
    let faults = calls.iter().filter(|call| call.cause == Cause::ServerFault).count();
    assert!((8..13).contains(&(faults * 100 / calls.len())), "{faults}");
    let speaks = |speaks: &str, understands: &str| {
        run(&|setup| {
            let (own, other) = (setup.names.intern(speaks), setup.names.intern(understands));
            setup.traffic[0].speaks = Some(own);
            setup.groups[0].behavior.release.understands = vec![other];
        })
    };
    assert!(speaks("v1", "v1").iter().all(|call| call.fate == Fate::Ok));
    let calls = speaks("v2", "v1");
    assert!(calls.iter().all(|call| call.cause == Cause::Incompatible) && !calls.is_empty());
}

/// N97: calls share the CPU that the container may use: four of 50 ms at once on two cores take
/// 100 ms.
#[test]
fn a_shared_cpu() {
    let server =
        Serve { cpu: Duration::ms(50), discipline: Discipline::Cpu, ..serve(constant(50), 100) };
    let mut setup = one_kind(1, server, 1.0);
    setup.cores = 2;
    recorded(&mut setup, 0, &[(0, 0), (0, 0), (0, 0), (0, 0), (1000, 0)]);
    let mut field = start(setup);
    field.run_until(ms(5000));
    let latencies: Vec<Duration> = field.take_calls().iter().map(|call| call.latency).collect();
    assert_eq!(latencies, [100, 100, 100, 100, 50].map(Duration::ms));
    let pod = field.pods()[0];
    assert_eq!(field.cpu_spent(pod), Duration::ms(250));
}

/// N185, N186, N446: with every call answered by an error and three more attempts a call, the load is four times
/// as large without a budget, at most 1.2 times with one of a fifth, and no more than the bucket
/// holds with tokens.
#[test]
fn budgets_of_attempts() {
    let attempts = |budget| {
        let server = Serve { errors: 1.0, ..serve(constant(100), 1_000_000) };
        let mut setup = one_kind(2, server, 500.0);
        let retries = &mut setup.traffic[0].client.retries;
        (retries.attempts, retries.budget) = (3, budget);
        let mut field = start(setup);
        field.run_until(ms(10_000));
        let calls = field.take_calls();
        let more: u32 = calls.iter().map(|call| call.retries).sum();
        f64::from(more) / f64::from(u32::try_from(calls.len()).unwrap())
    };
    assert!((attempts(Budget::Unlimited) - 3.0).abs() < 0.01);
    let share = attempts(Budget::Share { share: 0.2, min: 0 });
    assert!((0.1..0.22).contains(&share), "{share} more a call");
    // Five of ten tokens, once.
    let tokens = attempts(Budget::Tokens { max: 10.0, ratio: 0.1 });
    assert!(tokens < 0.01, "{tokens} more a call");
}

/// N188, N427: a call to a container of the same pod takes its hold and two hops of microseconds,
/// whatever the network is like; it may fail as any other.
#[test]
fn a_container_of_the_same_pod() {
    let latencies = |errors| {
        let mut setup = one_kind(1, serve(constant(10), 10), 50.0);
        setup.latencies.hop = Distribution::Constant(0.020);
        setup.latencies.hop_in_pod = Duration::us(15);
        let beside = Serve { errors, ..serve(constant(2), 1) };
        setup.groups[0].beside = Some(("proxy", behavior(beside)));
        let proxy = setup.names.intern("proxy");
        let object = setup.object("web");
        let mut call = Downstream::new(object, 2, Duration::secs(1));
        call.to = Callee::Container(proxy);
        setup.groups[0].behavior.calls = vec![call];
        let mut field = start(setup);
        field.run_until(ms(10_000));
        field.take_calls()
    };
    // A new connection: there and back, there and back with the call, 10 ms and 2 · 2.03 ms.
    let calls = latencies(0.0);
    assert!(calls.iter().all(|call| call.latency == Duration::us(80_000 + 10_000 + 4_060)));
    let calls = latencies(0.5);
    let failed = calls.iter().filter(|call| call.cause == Cause::Downstream).count();
    assert!((68..82).contains(&(failed * 100 / calls.len())), "three of four: {failed}");
}
