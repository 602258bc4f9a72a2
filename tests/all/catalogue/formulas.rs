//! The numbers that the rules of the catalogue expect, by their formulas: in a cluster whose delays
//! are all zero but those of the formula, the 99.9 % interval over the seeds holds the formula's
//! value and is narrow.
//!
//! Most of it is one pod that goes (four become three) or comes (four become five), so that its part
//! of the calls is known.

use seatrial::base::math::{exp, ln, normal_cdf};
use seatrial::base::stats::Summary;

use super::table::{KEEPS_ALL, NO_PROBE, SLEEP_5};
use super::{experiment, model_of};

/// At 20 s one pod of four goes.
const ONE_GOES: &str = "timeline=[{ at: 20s, run: kubectl scale deployment/web --replicas=3 }]";
/// At 20 s there is one pod more than four.
const ONE_COMES: &str = "timeline=[{ at: 20s, run: kubectl scale deployment/web --replicas=5 }]";
const ROLLS: &str = "timeline=[{ at: 20s, run: kubectl rollout restart deployment/web }]";
const SHORT: &str = "run={ until: 28s, seed: 11, warmup: 15s }";
const UNTIL_2M: &str = "run={ until: 2m, seed: 11, warmup: 15s }";
/// Proxies know after a second (R), the kubelet kills after 50 ms (K).
const ONE_SECOND: &str = "cluster.latencies={ base: ideal, proxyRun: 1s, kill: 50ms }";
const IDEAL: &str = "cluster.latencies=ideal";
const ROOM: &str = "deployment/web:spec.template.spec.terminationGracePeriodSeconds=30";

/// A number of the calls of `web` in each run; none is zero.
fn each(sets: &[&str], seeds: u32, path: &[&str]) -> Vec<f64> {
    let found = experiment(sets, seeds);
    let number = found.summary.get(&[&["services", "web", "calls"], path].concat());
    let number = number.unwrap_or_else(|| panic!("{path:?} has no number with {sets:?}"));
    number.runs.iter().map(|value| value.unwrap_or(0.0)).collect()
}

const FAILED: &[&str] = &["failed"];

/// The mean of the samples is what the formula says: 99.9 % interval, no wider than this part of it
/// to each side.
fn check(what: &str, samples: &[f64], formula: f64, within: f64) {
    let found = Summary::with_confidence(samples, 0.999);
    let (low, high) = (found.low, found.high);
    println!("{what}: {formula:.2}, found [{low:.2}, {high:.2}]");
    assert!(low <= formula && formula <= high, "{what}: {formula} is not in [{low}, {high}]");
    let half = (high - low) / 2.0;
    assert!(half <= within * formula, "{what}: ± {half} of {formula}");
}

/// E[(X − t)⁺] of a log-normal X with this median and 99th percentile.
fn excess(median: f64, p99: f64, over: f64) -> f64 {
    let sigma = ln(p99 / median) / 2.326_347_874;
    let mean = median * exp(sigma * sigma / 2.0);
    if over <= 0.0 {
        return mean;
    }
    let d = ln(median / over) / sigma;
    mean * normal_cdf(d + sigma) - over * normal_cdf(d)
}

/// N460: λ_pod · (R − K) calls are refused and λ_pod · E[S] are reset, with R = 1 s, K = 50 ms and
/// S = 100 ms; λ_pod = 400/s.
#[test]
fn immediate_exit() {
    let sets =
        [ONE_GOES, SHORT, ONE_SECOND, "traffic[0].rate=1600/s", "behaviors[0].serve.hold=100ms"];
    check("refused", &each(&sets, 12, &["by_cause", "stale_proxy"]), 400.0 * 0.95, 0.05);
    check("reset", &each(&sets, 12, &["by_cause", "cut_by_stop"]), 400.0 * 0.1, 0.2);
}

/// N460: what a whole rollout loses is λ · (R − K + E[S]), however many pods there are: at 200/s
/// 200 · (1 − 0.05 + 0.02) = 194.
#[test]
fn a_rollout_loses_the_same_with_any_number_of_pods() {
    for (replicas, until) in [("2", "40s"), ("4", "60s"), ("12", "100s")] {
        let sets = [
            ROLLS,
            ONE_SECOND,
            KEEPS_ALL,
            &format!("deployment/web:spec.replicas={replicas}"),
            &format!("run={{ until: {until}, seed: 11, warmup: 15s }}"),
        ];
        check(&format!("{replicas} pods"), &each(&sets, 24, FAILED), 194.0, 0.08);
    }
}

/// N461, with N310's figures of how late proxies are as they stand (LN(0.3; 1.5), LN(1.5; 6.8),
/// LN(5.5; 24.5)): a sleep of P leaves λ_pod · E[(R − P)⁺], so a small cluster is silent at 2 s, one
/// of a hundred nodes at 10 s, and one of 5,000 leaks at 15 s still.
#[test]
fn a_sleep_against_late_proxies() {
    let rate = 400.0;
    let failed = |median: f64, p99: f64, secs: u32, seeds: u32| {
        let sleep = format!(
            "deployment/web:spec.template.spec.containers[name=app].lifecycle={{ preStop: {{ \
             sleep: {{ seconds: {secs} }} }} }}"
        );
        let sets = [
            // What proxies do at the start is over by then.
            "timeline=[{ at: 200s, run: kubectl scale deployment/web --replicas=3 }]",
            &format!("run={{ until: {}s, seed: 11 }}", 200.0 + 3.0 * p99),
            &format!(
                "cluster.latencies={{ base: ideal, proxyRun: {{ median: {median}s, p99: {p99}s }} }}"
            ),
            "cluster.nodes=[{ pool: workers, count: 60, allocatable: { cpu: 4, memory: 8Gi } }]",
            "traffic[0]={ name: users, to: service/web, steps: [{ at: 0s, rate: 0/s }, { at: 200s, rate: 400/s }] }",
            "deployment/web:spec.template.spec.terminationGracePeriodSeconds=60",
            "behaviors[0].serve.hold=0s",
            if secs == 0 { "name=no-sleep" } else { sleep.as_str() },
        ];
        each(&sets, seeds, FAILED)
    };
    // The median, the 99th percentile, a sleep, and how narrow the interval is.
    let leaks = [
        (0.3, 1.5, 0, 0.25),
        (1.5, 6.8, 0, 0.15),
        (1.5, 6.8, 2, 0.4),
        (5.5, 24.5, 0, 0.15),
        (5.5, 24.5, 5, 0.3),
        (5.5, 24.5, 15, 0.5),
    ];
    for (median, p99, secs, within) in leaks {
        let formula = rate / 4.0 * excess(median, p99, f64::from(secs));
        let what = format!("LN({median}; {p99}), sleep {secs} s");
        // Few seeds see the far end of the distribution.
        let seeds = if secs == 15 { 64 } else { 16 };
        check(&what, &failed(median, p99, secs, seeds), formula, within);
    }
    // What is left: 0.2 % and 0.3 % of what there is without a sleep.
    for (median, p99, secs) in [(0.3, 1.5, 2), (1.5, 6.8, 10)] {
        assert!(excess(median, p99, f64::from(secs)) < 0.006 * excess(median, p99, 0.0));
        let (left, all) = (failed(median, p99, secs, 4), failed(median, p99, 0, 4));
        let (left, all) = (left.iter().sum::<f64>(), all.iter().sum::<f64>());
        assert!(left <= 0.03 * all, "LN({median}; {p99}), sleep {secs} s: {left} of {all}");
    }
}

/// N462: a hook that eats the grace leaves a server two seconds: of calls of 5 s, which go on coming
/// over kept connections until the signal, those of the last three seconds are cut: λ_pod · (S − 2 s).
#[test]
fn two_seconds_are_left() {
    let sets = [
        ONE_GOES,
        UNTIL_2M,
        IDEAL,
        ROOM,
        "deployment/web:spec.template.spec.containers[name=app].lifecycle={ preStop: { exec: { command: [sleep, '40'] } } }",
        "behaviors[0].shutdown={ drain: 20s }",
        "behaviors[0].serve={ hold: 5s, concurrency: 5000 }",
        "traffic[0].connections={ kind: http2, count: 400 }",
        "traffic[0].timeout=30s",
    ];
    check("cut", &each(&sets, 16, FAILED), 50.0 * 3.0, 0.12);
}

/// N463: a drain that is shorter than calls loses λ_pod · E[(S − g)⁺]: with S exponential of 5 s and
/// a grace of 15 s, of which the hook takes 5 s, 50 · 5 · e⁻³ = 12.4. Nothing is refused.
#[test]
fn a_drain_that_is_too_short() {
    let sets = [
        "timeline=[{ at: 60s, run: kubectl scale deployment/web --replicas=3 }]",
        "run={ until: 2m, seed: 11, warmup: 5s }",
        IDEAL,
        "deployment/web:spec.template.spec.terminationGracePeriodSeconds=15",
        SLEEP_5,
        "behaviors[0].shutdown={ drain: 2m }",
        "behaviors[0].serve={ hold: { exponential: 5s }, concurrency: 5000 }",
        "traffic[0]={ name: users, to: service/web, timeout: 10m, steps: [{ at: 0s, rate: 200/s }, { at: 60s, rate: 0/s }] }",
    ];
    check("cut", &each(&sets, 30, FAILED), 50.0 * 5.0 * exp(-3.0), 0.25);
    assert!(each(&sets, 2, &["by_fate", "refused"]).iter().sum::<f64>() <= 0.0);
}

/// N467: a pod without a readiness probe is in rotation from Running on: λ_pod · (start − R) calls are
/// refused, 40 · (5 s − 1 s) = 160.
#[test]
fn no_readiness_probe() {
    let sets = [ONE_COMES, SHORT, ONE_SECOND, NO_PROBE, "behaviors[0].start=5s"];
    check("refused", &each(&sets, 30, FAILED), 40.0 * 4.0, 0.08);
}

/// N468: a call takes 20 ms · (1 + 29 · e^(−t / 8 s)), more than 150 ms until t = 8 s · ln(29 / 6.5)
/// = 11.96 s: λ_pod · 11.96 s calls are slow, and the longest takes 30 times as long.
#[test]
fn a_cold_pod() {
    let sets = [
        ONE_COMES,
        "run={ until: 50s, seed: 11, warmup: 19s, slow: 150ms }",
        IDEAL,
        NO_PROBE,
        "behaviors[0].start=0s",
        "behaviors[0].serve={ hold: 20ms, warmUp: { factor: 30, age: 8s }, concurrency: 1000 }",
        // Four pods that are warm by then.
        "timeline[0].at=80s",
        "run.warmup=75s",
        "run.until=100s",
    ];
    let slow = each(&sets, 16, &["slow"]);
    check("slow", &slow, 40.0 * 8.0 * ln(29.0 / 6.5), 0.06);
    let longest = each(&sets, 16, &["latency_max"]);
    assert!(longest.iter().all(|secs| (0.55..=0.6).contains(secs)), "{longest:?}");
}

/// N469, N191: a target that is deregistered gets new connections for LN(25 s; 65 s) still (an ALB):
/// a preStop sleep of 40 s leaves λ_pod · E[(R − 40 s)⁺], rare; 70 s all but nothing.
#[test]
fn deregistration_takes_its_time() {
    let failed = |secs: u32| {
        let sleep = format!(
            "deployment/web:spec.template.spec.containers[name=app].lifecycle={{ preStop: {{ \
             sleep: {{ seconds: {secs} }} }} }}"
        );
        let sets = [
            // New targets are healthy after two checks.
            "timeline=[{ at: 40s, run: kubectl scale deployment/web --replicas=3 }]",
            "run={ until: 150s, seed: 11, warmup: 39s }",
            IDEAL,
            "service/web:spec.type=LoadBalancer",
            "cluster.loadBalancer={ targets: pods, interval: 10s, healthy: 2, deregister: { median: 25s, p99: 65s } }",
            "deployment/web:spec.template.spec.terminationGracePeriodSeconds=120",
            "behaviors[0].serve.hold=0s",
            "traffic[0]={ name: users, to: service/web, timeout: 1s, steps: [{ at: 0s, rate: 0/s }, { at: 39s, rate: 100/s }] }",
            &sleep,
        ];
        each(&sets, 30, FAILED)
    };
    // One in eight takes longer than 40 s, and one in 160 longer than 70 s.
    let leaks = |secs| failed(secs).iter().filter(|count| **count > 0.0).count();
    let (forty, seventy) = (leaks(40), leaks(70));
    assert!((1..=10).contains(&forty) && seventy <= 2, "{forty} and {seventy} of 30 runs");
    check("1 s", &failed(1), 25.0 * excess(25.0, 65.0, 1.0), 0.3);
}

/// N478: a release with errors e: the share is e · k / n with k of n pods new. Here it is one more
/// each minute.
#[test]
fn the_share_of_errors_rises_with_each_pod() {
    for new in [1_u32, 2, 3] {
        let (from, to) = (20 + 60 * (new - 1) + 8, 20 + 60 * new);
        let sets = [
            "timeline=[{ at: 20s, run: 'kubectl set image deployment/web app=web:v2' }]",
            IDEAL,
            "deployment/web:spec.strategy={ rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }",
            "deployment/web:spec.minReadySeconds=58",
            SLEEP_5,
            "behaviors[1]={ for: deployment/web, image: '*:v2', start: 0s, serve: { hold: 20ms }, release: { errors: 20% } }",
            &format!("run={{ until: {to}s, seed: 11, warmup: {from}s }}"),
        ];
        let share = each(&sets, 8, &["failed_share"]);
        check(&format!("{new} of 4"), &share, 0.2 * f64::from(new) / 4.0, 0.1);
    }
}

/// N479: a pod that crashes is called until the kubelet has seen it (U(0, 1 s), N4) and proxies know
/// it (R = 1 s), λ_pod · 1.5 s, and what it had in service is lost.
#[test]
fn a_crash_is_seen_late() {
    let sets = [
        "timeline=[]",
        "run={ until: 200s, seed: 11, warmup: 10s }",
        "cluster.latencies={ base: ideal, relist: 1s, proxyRun: 1s }",
        "deployment/web:spec.replicas=12",
        "behaviors[0]={ for: deployment/web, start: 5s, run: { exponential: 1000s }, exit: [{ code: 1 }], serve: { hold: 20ms } }",
        "traffic[0].rate=240/s",
    ];
    let found = experiment(&sets, 24);
    let number = |path: &[&str]| {
        let number = found.summary.get(path).expect("counted");
        number.runs.iter().map(|value| value.unwrap_or(0.0)).collect::<Vec<f64>>()
    };
    let failed = number(&["services", "web", "calls", "failed"]);
    let crashes = number(&["workloads", "web", "restarts"]);
    let (all, times) = (failed.iter().sum::<f64>(), crashes.iter().sum::<f64>());
    let each: Vec<f64> =
        failed.iter().zip(&crashes).map(|(calls, n)| calls - n * all / times).collect();
    let half = Summary::with_confidence(&each, 0.999).high * 24.0 / times;
    println!("{:.2} ± {half:.2} failed a crash, {times} crashes", all / times);
    // 20/s · (1.5 s + 20 ms).
    assert!((all / times - 30.4).abs() < half.min(6.0), "{} ± {half}", all / times);
}

/// N482: where all pods go first, nobody serves until new ones do: λ · start-up calls fail, with four
/// pods and with one.
#[test]
fn all_pods_go_first() {
    let strategies = [
        ("4", "{ type: Recreate, rollingUpdate: null }"),
        ("1", "{ rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }"),
    ];
    for (replicas, strategy) in strategies {
        let failed = |start: u32| {
            let sets = [
                ROLLS,
                "run={ until: 60s, seed: 11, warmup: 15s }",
                IDEAL,
                SLEEP_5,
                NO_PROBE,
                &format!("deployment/web:spec.replicas={replicas}"),
                &format!("deployment/web:spec.strategy={strategy}"),
                &format!("behaviors[0].start={start}s"),
            ];
            each(&sets, 8, FAILED)
        };
        check(&format!("{replicas} pods, 3 s"), &failed(3), 200.0 * 3.0, 0.1);
        check(&format!("{replicas} pods, 13 s"), &failed(13), 200.0 * 13.0, 0.05);
    }
}

/// N486: one of four pods is dead for R: k blind attempts more leave p^(k + 1) with p = 1/4; of what
/// failed without them 1/4, 1/64.
#[test]
fn blind_attempts() {
    let failed = |more: u32, seeds: u32| {
        let sets = [
            ONE_GOES,
            "run={ until: 26s, seed: 11, warmup: 15s }",
            "cluster.latencies={ base: ideal, proxyRun: 2s }",
            "behaviors[0].serve.hold=0s",
            "traffic[0].rate=1600/s",
            &format!(
                "traffic[0].retries={{ attempts: {more}, backOff: {{ base: 1ms, max: 1ms }} }}"
            ),
        ];
        each(&sets, seeds, FAILED)
    };
    check("none", &failed(0, 8), 3200.0 / 4.0, 0.06);
    check("one", &failed(1, 12), 3200.0 / 16.0, 0.12);
    check("three", &failed(3, 16), 3200.0 / 256.0, 0.35);
}

/// N464: a StatefulSet waits for each pod's end: each that ignores SIGTERM makes the rollout longer by
/// its grace of 30 s.
#[test]
fn who_ignores_sigterm_takes_the_grace() {
    let lasts = |shutdown: &str| {
        let sets = [
            "apply=[web.yaml, set.yaml]",
            "timeline=[{ at: 20s, run: kubectl rollout restart statefulset/set }]",
            "run={ until: 4m, seed: 11 }",
            IDEAL,
            &format!(
                "behaviors[1]={{ for: statefulset/set, start: 2s, serve: {{ hold: 20ms }}, shutdown: {shutdown} }}"
            ),
            "traffic[1]={ name: others, to: service/set, rate: 10/s }",
        ];
        let found = experiment(&sets, 2);
        found.summary.value(&["rollouts", "set", "duration"]).expect("it is complete")
    };
    let (prompt, deaf) = (lasts("{}"), lasts("{ ignoresSignal: true }"));
    println!("{prompt} s, {deaf} s");
    assert!((deaf - prompt - 3.0 * 30.0).abs() < 0.1, "{prompt} s, {deaf} s");
}

/// N476: a node pulls one image after another: the last of m workloads is there m pulls after the
/// start, so that rollouts last longer by one pull for each.
#[test]
fn rollouts_last_for_all_pulls_of_a_node() {
    let last = |workloads: u32| {
        let names: Vec<String> = (0..workloads).map(|n| format!("other-{n}")).collect();
        let runs: Vec<String> = names
            .iter()
            .map(|name| {
                format!("{{ at: 3m, run: 'kubectl set image deployment/{name} app={name}:v2' }}")
            })
            .collect();
        let sets = [
            "apply=[web.yaml, few.yaml]",
            &format!("timeline=[{}]", runs.join(", ")),
            "run={ until: 10m, seed: 11 }",
            "cluster.latencies={ base: ideal, pullRate: 50Mi }",
            "cluster.nodes=[{ pool: workers, count: 1, allocatable: { cpu: 200, memory: 200Gi, pods: 500 } }]",
            "behaviors=[{ start: 1s, imageSize: 1Gi, serve: { hold: 20ms } }]",
            "traffic[0].rate=1/s",
        ];
        let found = experiment(&sets, 1);
        let lasts = |name: &String| {
            found.summary.value(&["rollouts", name, "duration"]).expect("it is complete")
        };
        names.iter().map(lasts).fold(0.0, f64::max)
    };
    let (one, two, four) = (last(1), last(2), last(4));
    println!("{one} s, {two} s, {four} s");
    // 1 GiB at 50 MiB/s.
    assert!((two - one - 20.48).abs() < 0.1 && (four - one - 3.0 * 20.48).abs() < 0.3);
}

/// N480: pods that started together leak to their limit together, each after (limit − base) / m =
/// (256 − 64) / 2 = 96 s, and nobody serves until they are back; where they started 24 s apart, others
/// do.
#[test]
fn a_herd_of_leaks() {
    let nobody = |staggered: &str| {
        let sets = [
            ROLLS,
            "run={ until: 230s, seed: 11, warmup: 80s }",
            IDEAL,
            &format!("deployment/web:spec.minReadySeconds={staggered}"),
            KEEPS_ALL,
            SLEEP_5,
            "behaviors[0]={ for: deployment/web, start: 5s, leak: 2Mi, serve: { hold: 20ms } }",
            "deployment/web:spec.template.spec.containers[name=app].resources.limits={ memory: 256Mi }",
            if staggered == "0" {
                "deployment/web:spec.strategy={ rollingUpdate: { maxSurge: 4 } }"
            } else {
                "name=apart"
            },
        ];
        let restarts = experiment(&sets, 2).summary.value(&["workloads", "web", "restarts"]);
        let missing = each(&sets, 4, &["by_cause", "no_ready_pod"]);
        (missing.iter().sum::<f64>() / 4.0, restarts.expect("counted"))
    };
    let ((herd, kills), (apart, others)) = (nobody("0"), nobody("18"));
    println!("no pod: {herd} calls, {kills} kills; apart {apart}, {others} kills");
    // Twice each in 205 s: 5 s of start-up, and the second time 10 s of back-off besides (N91).
    assert!((kills - 8.0).abs() < 0.1 && (3800.0..=4800.0).contains(&herd), "{herd} {kills}");
    assert!(others >= 3.0 && apart <= 0.0, "{apart} {others}");
}

/// N164, N481: a stall of 30 s that readiness alone sees: calls are refused for as long as no pod is
/// ready, and nobody is restarted.
#[test]
fn a_stall_that_readiness_sees() {
    let sets = [
        "timeline=[]",
        "run={ until: 3m, seed: 11, warmup: 15s }",
        IDEAL,
        "behaviors[0].hang={ at: 70s, lasts: 30s }",
        "deployment/web:spec.template.spec.containers[name=app].readinessProbe={ httpGet: { port: 8080 }, periodSeconds: 1, failureThreshold: 1 }",
        "traffic[0].timeout=60s",
    ];
    let found = experiment(&sets, 4);
    let refused = each(&sets, 4, &["by_cause", "no_ready_pod"]);
    let restarts = found.summary.value(&["workloads", "web", "restarts"]).expect("counted");
    println!("{refused:?} refused, {restarts} restarts");
    // From the first probe that waits in vain for a second, until the first that is answered.
    assert!(
        refused.iter().all(|calls| (200.0 * 27.0..=200.0 * 31.0).contains(calls)),
        "{refused:?}"
    );
    assert!(restarts <= 0.0, "{restarts}");
}

/// The changes are read as they are meant.
#[test]
fn the_cluster_of_the_formulas() {
    let model = model_of(&[ONE_SECOND]);
    assert!((model.latencies.proxy_run.mean() - 1.0).abs() < 1e-9);
    assert!(model.latencies.watch.mean() <= 0.0);
    assert!((excess(1.0, 10.0, 0.0) - excess(1.0, 10.0, 1e-9)).abs() < 1e-6);
}
