//! Calls against queueing theory: the 99.9 % interval over replications holds the theory's value
//! and is narrow, at most 2 % of it to each side.
//!
//! Each replication drops what starts in its warm-up, and follows what starts in its window until
//! it ends. Seeds are fixed. One second is the mean hold unless said otherwise.

use seatrial::base::math::ln;
use seatrial::base::stats::Summary;
use seatrial::base::{Distribution, Duration, SimTime, cast};
use seatrial::cluster::{Serving, Write};
use seatrial::model::{BackOff, Budget, Discipline, Load, Serve, ServiceId};
use seatrial::record::{CallRecord, Cause, Fate};
use seatrial::recorder::Recorder;

use crate::support::servers::{Field, Setup, behavior, serve};

const REPLICATIONS: u32 = 30;

/// The mean of the samples is the theory's value: 99.9 % interval, half-width at most 2 %.
pub(crate) fn check(what: &str, samples: &[f64], theory: f64) {
    let found = Summary::with_confidence(samples, 0.999);
    let (low, high) = (found.low, found.high);
    assert!(low <= theory && theory <= high, "{what}: {theory} is not in [{low}, {high}]");
    let half = (high - low) / 2.0 / theory;
    assert!(half <= 0.02, "{what}: half-width {:.2} % of {theory}", half * 100.0);
}

/// Pods of one kind, called at a rate.
fn field(server: Serve, pods: usize, per_second: f64, replication: u32) -> Field {
    let setup =
        Setup::new(11).group("web", pods, behavior(server)).source("load", "web", per_second);
    Field::new(setup, replication, Recorder::keeping_calls())
}

pub(crate) fn secs(at: u64) -> SimTime {
    SimTime::at(Duration::secs(at))
}

/// The calls that start in a window of `window` seconds after a warm-up of `warmup`.
pub(crate) fn window(mut field: Field, warmup: u64, window: u64) -> Vec<CallRecord> {
    let (from, to) = (secs(warmup), secs(warmup + window));
    field.run_until(to + Duration::secs(500));
    let mut calls = field.take_calls();
    calls.retain(|call| from <= call.start && call.start < to);
    calls
}

pub(crate) fn mean_latency(calls: &[CallRecord]) -> f64 {
    let sum: f64 = calls.iter().map(|call| call.latency.as_secs_f64()).sum();
    sum / cast::f64_of_usize(calls.len())
}

pub(crate) fn share(calls: &[CallRecord], of: impl Fn(&CallRecord) -> bool) -> f64 {
    cast::f64_of_usize(calls.iter().filter(|call| of(call)).count())
        / cast::f64_of_usize(calls.len())
}

/// One number a replication.
pub(crate) fn replicate<T>(run: impl Fn(u32) -> T) -> Vec<T> {
    (0..REPLICATIONS).map(run).collect()
}

pub(crate) fn exponential() -> Distribution {
    Distribution::exponential(1.0)
}

/// N441: W = 1 / (μ − λ); the sojourn is exponential, so one in a hundred is longer than
/// ln(100) / (μ − λ).
#[test]
fn one_server() {
    for (rho, length) in [(0.5_f64, 40_000), (0.8, 160_000)] {
        let sojourn = 1.0 / (1.0 - rho);
        let p99 = ln(100.0) * sojourn;
        let mut tails = Vec::new();
        let means: Vec<f64> = (0..REPLICATIONS)
            .map(|replication| {
                let calls =
                    window(field(serve(exponential(), 1), 1, rho, replication), 2000, length);
                tails.push(share(&calls, |call| call.latency.as_secs_f64() <= p99));
                mean_latency(&calls)
            })
            .collect();
        check(&format!("M/M/1 at {rho}"), &means, sojourn);
        check(&format!("M/M/1 at {rho}, share below p99"), &tails, 0.99);
    }
}

/// N442: mean waits at ρ = 0.8 in units of the mean hold, from Erlang's C.
#[test]
fn many_servers() {
    for (servers, wait, length) in
        [(2_u32, 1.7778, 60_000), (4, 0.74554, 22_000), (16, 0.09528, 1600)]
    {
        let rate = 0.8 * f64::from(servers);
        let means = replicate(|replication| {
            let field = field(serve(exponential(), servers), 1, rate, replication);
            mean_latency(&window(field, 500, length))
        });
        check(&format!("M/M/{servers}"), &means, 1.0 + wait);
    }
}

/// N423, N443: Erlang's B with 5 servers and 4 erlang: B₀ = 1, Bₖ = aBₖ₋₁ / (k + aBₖ₋₁) gives 0.19907.
#[test]
fn loss() {
    let losses = replicate(|replication| {
        let server = Serve { backlog: 0, ..serve(exponential(), 5) };
        let calls = window(field(server, 1, 4.0, replication), 100, 6000);
        share(&calls, |call| call.cause == Cause::BacklogFull)
    });
    check("Erlang B", &losses, 0.199_067);
}

/// N423, N443: M/M/1/K with K = 5 (one in service, four wait) at ρ = 0.8: (1 − ρ)ρᴷ / (1 − ρᴷ⁺¹)
/// = 0.2 · 0.32768 / (1 − 0.262144) = 0.088821.
#[test]
fn bounded_backlog() {
    let losses = replicate(|replication| {
        let server = Serve { backlog: 4, ..serve(exponential(), 1) };
        let calls = window(field(server, 1, 0.8, replication), 200, 60_000);
        share(&calls, |call| call.fate == Fate::ServerError)
    });
    check("M/M/1/5", &losses, 0.088_821);
}

/// N443, Pollaczek and Khinchine: Wq = λE[S²] / (2(1 − ρ)). Log-normal hold of mean 1 and cv 1,
/// E[S²] = 1 + 1² = 2; ρ = 0.6: 0.6 · 2 / 0.8 = 1.5. Constant hold: 0.6 / 0.8 = 0.75.
#[test]
fn any_hold() {
    let holds = [
        (Distribution::log_normal_cv(1.0, 1.0), 1.5, 90_000),
        (Distribution::Constant(1.0), 0.75, 8000),
    ];
    for (hold, wait, length) in holds {
        let means = replicate(|replication| {
            let field = field(serve(hold.clone(), 1), 1, 0.6, replication);
            mean_latency(&window(field, 1000, length))
        });
        check(&format!("M/G/1 with {hold:?}"), &means, 1.0 + wait);
    }
}

/// N440: calls under way, counted each second, against rate times mean latency of the calls.
#[test]
fn little() {
    let ratios = replicate(|replication| {
        let mut field = field(serve(exponential(), 2), 2, 2.8, replication);
        field.run_until(secs(500));
        field.take_calls();
        let (mut under_way, length) = (0, 4000);
        for at in 0..length {
            field.run_until(secs(500 + at));
            under_way += field.traffic.calls_under_way();
        }
        field.run_until(secs(500 + length + 300));
        let mut calls = field.take_calls();
        calls.retain(|call| secs(500) <= call.start && call.start < secs(500 + length));
        let area: f64 = calls.iter().map(|call| call.latency.as_secs_f64()).sum();
        cast::f64_of_usize(under_way) / area
    });
    check("L / λW", &ratios, 1.0);
}

/// N444: a uniform random split over n pods is n independent M/M/1 of λ / n each; N156: each pod
/// gets the same share.
#[test]
fn uniform_split() {
    let mut shares = Vec::new();
    let means: Vec<f64> = (0..REPLICATIONS)
        .map(|replication| {
            let calls = window(field(serve(exponential(), 1), 5, 2.5, replication), 500, 10_000);
            shares.push(share(&calls, |call| call.pod == Some(3)));
            mean_latency(&calls)
        })
        .collect();
    check("five M/M/1", &means, 2.0);
    check("share of one pod", &shares, 0.2);
}

/// N446: attempts fail with p = 0.4 and independently, two more attempts: one in p³ = 0.064 calls
/// fails, and the load is 1 + p + p² = 1.56 attempts a call.
#[test]
fn retries() {
    let mut loads = Vec::new();
    let losses: Vec<f64> = (0..REPLICATIONS)
        .map(|replication| {
            let server = Serve { errors: 0.4, ..serve(Distribution::Constant(0.01), 100) };
            let mut setup =
                Setup::new(11).group("web", 3, behavior(server)).source("load", "web", 100.0);
            setup.traffic[0].client.retries.attempts = 2;
            let field = Field::new(setup, replication, Recorder::keeping_calls());
            let calls = window(field, 10, 400);
            let attempts: u32 = calls.iter().map(|call| 1 + call.retries).sum();
            loads.push(f64::from(attempts) / cast::f64_of_usize(calls.len()));
            share(&calls, |call| call.fate == Fate::ServerError)
        })
        .collect();
    check("failed calls", &losses, 0.064);
    check("attempts a call", &loads, 1.56);
}

/// N460, N501: pods that exit at once, K after their deletion; proxies know after R. Each replaced pod
/// costs λ_pod · (R − K) refused and λ_pod · E[S] reset calls. Four pods, 400/s: λ_pod = 100/s;
/// R = 1 s, K = 0.1 s, E[S] = 0.05 s: 90 + 5 = 95 a pod.
#[test]
fn exit_at_once() {
    let (mut refused, mut reset) = (Vec::new(), Vec::new());
    for replication in 0..REPLICATIONS {
        let hold = Distribution::exponential(0.05);
        let mut setup = Setup::new(11)
            .group("web", 4, behavior(serve(hold, 1000)))
            .source("load", "web", 400.0);
        setup.nodes = 6;
        setup.latencies.watch = Distribution::Constant(1.0);
        let mut field = Field::new(setup, replication, Recorder::keeping_calls());
        field.run_until(secs(2));
        field.take_calls();
        let web = ServiceId::new(0);
        let rounds = 30;
        for round in 0..rounds {
            let pod = field.pods()[round % 4];
            let from = field.now();
            field.publish(web, |p| p != pod, |_| false);
            field.run_until(from + Duration::ms(100));
            field.set(pod, Serving::Absent);
            field.run_until(from + Duration::ms(1100));
            field.set(pod, Serving::Accepting);
            field.publish(web, |_| true, |_| false);
            field.run_until(from + Duration::ms(2200));
        }
        let calls = field.take_calls();
        let count = |fate| calls.iter().filter(|call| call.fate == fate).count();
        refused.push(cast::f64_of_usize(count(Fate::Refused)) / cast::f64_of_usize(rounds));
        reset.push(cast::f64_of_usize(count(Fate::Reset)) / cast::f64_of_usize(rounds));
        assert_eq!(count(Fate::Ok) + count(Fate::Refused) + count(Fate::Reset), calls.len());
    }
    let all: Vec<f64> = refused.iter().zip(&reset).map(|(a, b)| a + b).collect();
    check("refused a pod", &refused, 90.0);
    check("failed a pod", &all, 95.0);
    let found = Summary::with_confidence(&reset, 0.999);
    assert!(found.low <= 5.0 && 5.0 <= found.high, "reset a pod: {found:?}");
}

/// N157, N507: when no endpoint is ready, those that serve while they terminate take the calls; when
/// they serve no more, calls are rejected (N158).
#[test]
fn the_last_terminating_pod_serves() {
    let mut field = field(serve(Distribution::Constant(0.001), 100), 2, 1000.0, 0);
    let web = ServiceId::new(0);
    let (first, last) = (field.pods()[0], field.pods()[1]);
    field.apply(|_, plan| {
        plan.push(Write::DeletePod { pod: last, grace: None });
    });
    field.publish(web, |p| p == last, |p| p == last);
    field.run_until(secs(1));
    let calls = field.take_calls();
    let serial = field.cluster.pod(last).expect("it terminates").serial;
    assert!(calls.len() > 800);
    assert!(calls.iter().all(|call| call.fate == Fate::Ok && call.pod == Some(serial)));
    field.publish(web, |p| p == first, |_| false);
    field.run_until(secs(2));
    assert!(field.take_calls().iter().skip(10).all(|call| call.pod != Some(serial)));
    field.publish(web, |_| false, |p| p == last);
    field.run_until(secs(3));
    let calls = field.take_calls();
    let rejected = |call: &&CallRecord| call.cause == Cause::NoReadyPod;
    assert!(calls.iter().skip(10).all(|call| rejected(&call)));
    assert!(calls.iter().filter(rejected).all(|call| call.latency.is_zero()));
}

/// N443, processor sharing: E[T | x] = x / (1 − ρ) whatever the shape of the hold. At ρ = 0.6 the
/// mean is 2.5 holds, for an even hold and for one with a heavy tail.
#[test]
fn processor_sharing() {
    let holds = [
        (Distribution::uniform(0.0, 2.0), 20_000),
        (Distribution::log_normal_cv(1.0, 1.5), 90_000),
    ];
    for (hold, length) in holds {
        let means = replicate(|replication| {
            let server = Serve { discipline: Discipline::Sharing, ..serve(hold.clone(), 100_000) };
            mean_latency(&window(field(server, 1, 0.6, replication), 1000, length))
        });
        check(&format!("M/G/1-PS with {hold:?}"), &means, 2.5);
    }
}

/// N443: M/M/c/K with c = 3, K = 6 at 2.7 erlang: pₙ ∝ aⁿ / n! up to c, then times a / c each:
/// weights 1, 2.7, 3.645, 3.2805, 2.95245, 2.657205, 2.3914845 (sum 18.62664), of which the last
/// is the part that finds all places taken: 0.128391.
#[test]
fn servers_with_few_places() {
    let losses = replicate(|replication| {
        let server = Serve { backlog: 3, ..serve(exponential(), 3) };
        let calls = window(field(server, 1, 2.7, replication), 100, 12_000);
        share(&calls, |call| call.cause == Cause::BacklogFull)
    });
    check("M/M/3/6", &losses, 2.391_484_5 / 18.626_639_5);
}

/// N421, machine repair: ten users think 5 s on average, one server holds 1 s. With r = Z / S the
/// server is idle with p₀ = 1 / Σ N! / (N − k)! r⁻ᵏ; X = (1 − p₀) / S and R = N / X − Z.
#[test]
fn closed_loop() {
    let (users, think) = (10_u32, 5.0);
    let weights = (0..users).scan(1.0, |term, k| {
        *term *= f64::from(users - k) / think;
        Some(*term)
    });
    let idle = 1.0 / (1.0 + weights.sum::<f64>());
    let throughput = 1.0 - idle;
    let response = f64::from(users) / throughput - think;
    let mut rates = Vec::new();
    let means: Vec<f64> = (0..REPLICATIONS)
        .map(|replication| {
            let mut setup = Setup::new(11)
                .group("web", 1, behavior(serve(exponential(), 1)))
                .source("load", "web", 1.0);
            let think = Distribution::exponential(think);
            setup.traffic[0].load = Load::Users { count: users, think, ramp: Duration::secs(5) };
            let field = Field::new(setup, replication, Recorder::keeping_calls());
            let calls = window(field, 500, 10_000);
            rates.push(cast::f64_of_usize(calls.len()) / 10_000.0);
            mean_latency(&calls)
        })
        .collect();
    check("machine repair, response", &means, response);
    check("machine repair, throughput", &rates, throughput);
}

/// N446 against its fluid limits, attempts of which p = 0.8 fail and three more each: 1 + p + p² +
/// p³ attempts a call; with a budget of a fifth of the attempts under way A = λ + A / 5, which is
/// 1.25 a call, and less than one attempt in a hundred more, as attempts are whole.
#[test]
fn amplification() {
    let attempts = |budget: Budget, replication| {
        let server = Serve { errors: 0.8, ..serve(Distribution::Constant(1.0), 100_000) };
        let mut setup =
            Setup::new(11).group("web", 1, behavior(server)).source("load", "web", 200.0);
        let retries = &mut setup.traffic[0].client.retries;
        (retries.attempts, retries.budget) = (3, budget);
        let pause = Duration::ms(1);
        retries.back_off = BackOff::Full { base: pause, max: pause };
        let field = Field::new(setup, replication, Recorder::keeping_calls());
        let calls = window(field, 10, 20);
        let all: u32 = calls.iter().map(|call| 1 + call.retries).sum();
        f64::from(all) / cast::f64_of_usize(calls.len())
    };
    let free = replicate(|replication| attempts(Budget::Unlimited, replication));
    check("attempts a call without a budget", &free, 1.0 + 0.8 + 0.64 + 0.512);
    let budget = Budget::Share { share: 0.2, min: 0 };
    let bound = replicate(|replication| attempts(budget, replication));
    let found = Summary::with_confidence(&bound, 0.999);
    assert!(found.low >= 1.25 && found.high <= 1.26, "attempts a call with a budget: {found:?}");
}
