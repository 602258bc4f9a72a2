//! More queueing theory: bursts, priorities, orders of service, turns, hedging, overload, layers of
//! retries. As in `theory`: 99.9 % intervals over replications, at most 2 % to each side.

use seatrial::base::math::exp;
use seatrial::base::{Distribution, Duration, cast};
use seatrial::model::{
    BackOff, Discipline, Downstream, IngressPlace, IngressSpec, Load, Order, Rate, Serve,
};
use seatrial::recorder::Recorder;

use crate::support::servers::{Field, Setup, behavior, serve};
use crate::theory::{check, exponential, mean_latency, replicate, secs, share, window};

/// One kind of pods, with settings of its own.
fn field(server: Serve, pods: usize, rate: f64, replication: u32) -> Field {
    let setup = Setup::new(12).group("web", pods, behavior(server)).source("load", "web", rate);
    Field::new(setup, replication, Recorder::keeping_calls())
}

type Matrix = [[f64; 2]; 2];

fn times(a: Matrix, b: Matrix) -> Matrix {
    let cell = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]]
}

fn plus(a: Matrix, b: Matrix) -> Matrix {
    [[a[0][0] + b[0][0], a[0][1] + b[0][1]], [a[1][0] + b[1][0], a[1][1] + b[1][1]]]
}

fn scaled(a: Matrix, by: f64) -> Matrix {
    a.map(|row| row.map(|cell| cell * by))
}

fn inverse(a: Matrix) -> Matrix {
    let det = a[0][0] * a[1][1] - a[0][1] * a[1][0];
    scaled([[a[1][1], -a[0][1]], [-a[1][0], a[0][0]]], 1.0 / det)
}

/// The mean number in an MMPP-2/M/1 queue with μ = 1, by the matrix-geometric method: R solves
/// A₀ + R A₁ + R² A₂ = 0, π₀ (B₀ + R A₂) = 0 and π₀ (I − R)⁻¹ 1 = 1; L = π₀ R (I − R)⁻² 1.
fn in_a_queue_of_bursts(rates: [f64; 2], stays: [f64; 2]) -> f64 {
    let [a, b] = [1.0 / stays[0], 1.0 / stays[1]];
    let one: Matrix = [[1.0, 0.0], [0.0, 1.0]];
    let up: Matrix = [[rates[0], 0.0], [0.0, rates[1]]];
    let here = plus([[-a, a], [b, -b]], scaled(up, -1.0));
    let back = inverse(scaled(plus(here, scaled(one, -1.0)), -1.0));
    let mut r: Matrix = [[0.0; 2]; 2];
    for _ in 0..20_000 {
        r = times(plus(up, times(r, r)), back);
    }
    let balance = plus(here, r);
    // π₀ is what the balance takes to zero, up to a factor.
    let empty = [balance[1][0], -balance[0][0]];
    let rest = inverse(plus(one, scaled(r, -1.0)));
    let sum = |m: Matrix| (0..2).map(|i| empty[i] * (m[i][0] + m[i][1])).sum::<f64>();
    sum(times(r, times(rest, rest))) / sum(rest)
}

/// N420: rates of 0.3 and 0.9 a second that change each 20 s: (r₁ q₂ + r₂ q₁) / (q₁ + q₂) = 0.6 a
/// second. W = L / λ of an MMPP-2/M/1 queue, which a Poisson stream of as many calls does not reach.
#[test]
fn bursts() {
    let (rates, stays) = ([0.3, 0.9], [20.0, 20.0]);
    let sojourn = in_a_queue_of_bursts(rates, stays) / 0.6;
    // With one rate it is an M/M/1.
    assert!((in_a_queue_of_bursts([0.6, 0.6], stays) - 1.5).abs() < 1e-6);
    assert!(sojourn > 1.2 * 2.5, "{sojourn}");
    let length = 120_000;
    let means = replicate(|replication| {
        let mut setup = Setup::new(12)
            .group("web", 1, behavior(serve(exponential(), 1)))
            .source("load", "web", 1.0);
        setup.traffic[0].load =
            Load::Modulated { rates, stays: stays.map(Duration::from_secs_f64) };
        let calls = window(Field::new(setup, replication, Recorder::keeping_calls()), 500, length);
        (cast::f64_of_usize(calls.len()) / cast::f64_of_u64(length), mean_latency(&calls))
    });
    check("rate of bursts", &means.iter().map(|(count, _)| *count).collect::<Vec<_>>(), 0.6);
    check("MMPP-2/M/1", &means.iter().map(|(_, mean)| *mean).collect::<Vec<_>>(), sojourn);
}

/// Two priorities without preemption, both M/M/1 with λ₁ = 0.3 and λ₂ = 0.4: W₀ = λ E[S²] / 2 = 0.7;
/// those of the greater wait W₀ / (1 − ρ₁) = 1, the others W₀ / ((1 − ρ₁)(1 − ρ)) = 3.3333 (Cobham).
#[test]
fn priorities() {
    let means = replicate(|replication| {
        let server = Serve { order: Order::Priority, ..serve(exponential(), 1) };
        let mut setup = Setup::new(12)
            .group("web", 1, behavior(server))
            .source("low", "web", 0.4)
            .source("high", "web", 0.3);
        setup.traffic[1].priority = 3;
        let calls = window(Field::new(setup, replication, Recorder::keeping_calls()), 500, 60_000);
        let of = |number: u32| {
            let is_it = |call: &&seatrial::record::CallRecord| {
                call.source.is_some_and(|source| source.number() == number)
            };
            mean_latency(&calls.iter().filter(is_it).copied().collect::<Vec<_>>())
        };
        (of(0), of(1))
    });
    check("greater priority", &means.iter().map(|(_, high)| *high).collect::<Vec<_>>(), 2.0);
    check(
        "lesser priority",
        &means.iter().map(|(low, _)| *low).collect::<Vec<_>>(),
        1.0 + 0.7 / 0.21,
    );
}

/// The order in which those are taken that wait does not change the mean: last come, first served
/// gives M/M/1's 1 / (μ − λ) too. (Its tail is longer.)
#[test]
fn last_come_first_served() {
    let means = replicate(|replication| {
        let server = Serve { order: Order::Lifo, ..serve(exponential(), 1) };
        mean_latency(&window(field(server, 1, 0.5, replication), 500, 60_000))
    });
    check("LIFO", &means, 2.0);
}

/// N442: more values of the table, up to ρ = 0.9.
#[test]
fn more_servers() {
    for (servers, rho, wait, length) in [(8_u32, 0.8, 0.286_03, 6000), (10, 0.9, 0.668_73, 14_000)]
    {
        let rate = rho * f64::from(servers);
        let means = replicate(|replication| {
            let field = field(serve(exponential(), servers), 1, rate, replication);
            mean_latency(&window(field, 500, length))
        });
        check(&format!("M/M/{servers} at {rho}"), &means, 1.0 + wait);
    }
}

/// N443: whatever the shape of holds, calls that share a server take x / (1 − ρ), each for its own
/// x: of holds of 0.5 s and 2 s those of 2 s take four times as long.
#[test]
fn a_share_for_each_length() {
    let means = replicate(|replication| {
        let server = Serve { discipline: Discipline::Sharing, ..serve(exponential(), 100_000) };
        let mut setup = Setup::new(12)
            .group("web", 1, behavior(server))
            .source("short", "web", 0.4)
            .source("long", "web", 0.2);
        setup.traffic[0].hold = Some(Distribution::Constant(0.5));
        setup.traffic[1].hold = Some(Distribution::Constant(2.0));
        let calls = window(Field::new(setup, replication, Recorder::keeping_calls()), 500, 40_000);
        let of = |number: u32| {
            let is_it = |call: &&seatrial::record::CallRecord| {
                call.source.is_some_and(|source| source.number() == number)
            };
            mean_latency(&calls.iter().filter(is_it).copied().collect::<Vec<_>>())
        };
        (of(0), of(1))
    });
    check("0.5 s at 0.6", &means.iter().map(|(short, _)| *short).collect::<Vec<_>>(), 0.5 / 0.4);
    check("2 s at 0.6", &means.iter().map(|(_, long)| *long).collect::<Vec<_>>(), 2.0 / 0.4);
}

/// N444: one proxy that gives calls to four pods in turn makes each an E₄/M/1 queue: W = 1 / (1 − σ)
/// with σ = (4λ / (4λ + 1 − σ))⁴ at λ = 0.8 a pod, shorter than the 5 of a random split.
#[test]
fn in_turn() {
    let rate = 3.2;
    let mut sigma: f64 = 0.5;
    for _ in 0..1000 {
        let part = rate / (rate + 1.0 - sigma);
        sigma = part * part * part * part;
    }
    let sojourn = 1.0 / (1.0 - sigma);
    assert!((2.5..4.0).contains(&sojourn), "{sojourn}");
    let means = replicate(|replication| {
        let mut setup = Setup::new(12)
            .group("web", 4, behavior(serve(exponential(), 1)))
            .source("load", "web", rate);
        let name = setup.object("web");
        setup.traffic[0].through = Some(name);
        let mut ingress = IngressSpec::ideal();
        (ingress.place, ingress.workers) = (IngressPlace::Outside(1), 1);
        ingress.client.timeout = Duration::secs(100_000);
        setup.ingress = Some(ingress);
        let field = Field::new(setup, replication, Recorder::keeping_calls());
        mean_latency(&window(field, 500, 24_000))
    });
    check("E4/M/1", &means, sojourn);
}

/// N425: a second attempt after d = 1 s beside one of exponential length 1: the first to end is after
/// 1 − e⁻ᵈ + e⁻ᵈ / 2 on average, and a part e⁻ᵈ of the calls has two.
#[test]
fn hedging() {
    let means = replicate(|replication| {
        let mut setup = Setup::new(12)
            .group("web", 2, behavior(serve(exponential(), 100_000)))
            .source("load", "web", 5.0);
        setup.traffic[0].client.hedge = Some(Duration::secs(1));
        let calls = window(Field::new(setup, replication, Recorder::keeping_calls()), 20, 4000);
        (mean_latency(&calls), share(&calls, |call| call.retries > 0))
    });
    let second = exp(-1.0);
    check("hedged", &means.iter().map(|(mean, _)| *mean).collect::<Vec<_>>(), 1.0 - second / 2.0);
    check("hedges", &means.iter().map(|(_, part)| *part).collect::<Vec<_>>(), second);
}

/// N447, N474: 150 calls a second where 100 can be served, for T = 200 s: the backlog is (λ − μ) T =
/// 10,000, so that the last of them waits 100 s, and it is gone after 10,000 / (100 − 50) = 200 s of
/// 50 calls a second.
#[test]
fn overload() {
    let found = replicate(|replication| {
        let hold = Distribution::exponential(0.01);
        let mut setup =
            Setup::new(14).group("web", 1, behavior(serve(hold, 1))).source("load", "web", 1.0);
        let points = [(secs(0), 150.0), (secs(200), 50.0)].into();
        setup.traffic[0].load = Load::Poisson(Rate { points, is_linear: false, repeat: None });
        setup.traffic[0].client.timeout = Duration::secs(100_000);
        let calls = window(Field::new(setup, replication, Recorder::keeping_calls()), 0, 450);
        let at_the_end =
            |call: &&seatrial::record::CallRecord| (secs(199)..secs(200)).contains(&call.start);
        let last: Vec<_> = calls.iter().filter(at_the_end).copied().collect();
        let drained = calls.iter().filter(|call| call.start > secs(200));
        let drained = drained.filter(|call| call.latency < Duration::ms(30)).map(|call| call.start);
        (mean_latency(&last), drained.min().expect("it is over").since_start().as_secs_f64())
    });
    check("wait of the last", &found.iter().map(|(wait, _)| *wait).collect::<Vec<_>>(), 99.75);
    check("drained", &found.iter().map(|(_, at)| *at).collect::<Vec<_>>(), 400.0);
}

/// N446: two layers that each try twice more while everything fails: (r + 1)² = 9 attempts at the
/// bottom for each call at the top.
#[test]
fn layers_of_retries() {
    let server = Serve { errors: 1.0, ..serve(Distribution::Constant(0.001), 1000) };
    let mut setup = Setup::new(12)
        .group("front", 1, behavior(serve(Distribution::Constant(0.001), 1000)))
        .group("web", 1, behavior(server))
        .source("load", "front", 20.0);
    let again = |client: &mut seatrial::model::Client| {
        client.retries.attempts = 2;
        let pause = Duration::ms(1);
        client.retries.back_off = BackOff::Full { base: pause, max: pause };
    };
    again(&mut setup.traffic[0].client);
    let to = setup.object("web");
    let mut down = Downstream::new(to, 1, Duration::secs(5));
    again(&mut down.client);
    setup.groups[0].behavior.calls = vec![down];
    let calls = window(Field::new(setup, 0, Recorder::keeping_calls()), 5, 60);
    let of = |is_top: bool| calls.iter().filter(move |call| call.source.is_some() == is_top);
    let top = of(true).count();
    let bottom: u32 = of(false).map(|call| 1 + call.retries).sum();
    let factor = f64::from(bottom) / cast::f64_of_usize(top);
    assert!(of(true).all(|call| call.retries == 2) && top > 1000);
    assert!((factor - 9.0).abs() < 0.05, "{factor}");
}
