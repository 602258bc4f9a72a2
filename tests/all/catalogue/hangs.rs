//! Servers that hang, and probes that wait among the calls of a server that has too many.

use super::table::Measure::Failed;
use super::table::{GRACE_60, Row, SLEEP_15};
use super::{SEEDS, calls, experiment};

macro_rules! container {
    ($rest:literal) => {
        concat!("deployment/web:spec.template.spec.containers[name=app].", $rest)
    };
}

const READY: &str =
    container!("readinessProbe={ httpGet: { port: 8080 }, periodSeconds: 1, failureThreshold: 1 }");
const ALIVE: &str = container!("livenessProbe={ httpGet: { port: 8080 }, periodSeconds: 5 }");
const ALIVE_TCP: &str = container!("livenessProbe={ tcpSocket: { port: 8080 }, periodSeconds: 5 }");
const ALIVE_EXEC: &str =
    container!("livenessProbe={ exec: { command: [alive] }, periodSeconds: 5 }");
const ALIVE_PATIENT: &str = container!(
    "livenessProbe={ httpGet: { port: 8080 }, periodSeconds: 5, timeoutSeconds: 10, \
     failureThreshold: 10 }"
);
const REPLICAS_8: &str = "deployment/web:spec.replicas=8";
const REPLICAS_12: &str = "deployment/web:spec.replicas=12";
const NO_ROLLOUT: &str = "timeline=[]";
/// Half of the processes deadlock twenty seconds after they can serve.
const DEADLOCK: &str = "behaviors[0].hang={ after: 60s, share: 0.5 }";
/// What all pods need does not answer for half a minute.
const STALL: &str = "behaviors[0].hang={ at: 70s, lasts: 30s }";
const PATIENT: &str = "traffic[0].timeout=60s";
const ELSEWHERE: &str = "traffic[0].retries={ attempts: 5, elsewhere: true }";
/// A server of 400 calls a second, a quarter of them in each of four pods; its probes wait too.
const SHARED: &str =
    "behaviors[0].serve={ hold: 20ms, concurrency: 2, backlog: 1000, probes: shared }";
const OWN: &str = "behaviors[0].serve={ hold: 20ms, concurrency: 2, backlog: 1000 }";
const START: &str = "behaviors[0].start=10s";
/// Twenty seconds of a fifth more than that.
const BURST: &str = "traffic[0].steps=[{ at: 0s, rate: 300/s }, { at: 80s, rate: 480/s }, { at: 100s, rate: 300/s }]";
const NO_RATE: &str = "traffic[0].rate=null";
const WARMUP: &str = "run.warmup=75s";

pub(super) const HANGS: &[Row] = &[
    // Nobody but the server itself knows that it hangs.
    Row {
        rule: "N83, N94: a deadlock",
        cause: &[NO_ROLLOUT, DEADLOCK, "traffic[0].timeout=1s"],
        measure: Failed(&["hung"]),
        // Attempts elsewhere alone are not enough: at times all four pods hang.
        helps: &[&[ELSEWHERE, READY, ALIVE]],
        wrong: &[&[ALIVE_TCP], &[ALIVE_EXEC], &[SLEEP_15], &[REPLICAS_8]],
    },
    // N481: patient callers would have their answers after half a minute.
    Row {
        rule: "N481, a stall of what all need",
        cause: &[
            NO_ROLLOUT,
            STALL,
            PATIENT,
            ALIVE,
            "behaviors[0].serve={ hold: 20ms, backlog: 5000 }",
        ],
        measure: Failed(&["killed_by_probe", "no_ready_pod"]),
        helps: &[&[ALIVE_TCP], &[ALIVE_PATIENT], &[container!("livenessProbe=null")]],
        // N164: no pod is ready, so that calls are refused in place of waiting.
        wrong: &[&[GRACE_60], &[REPLICAS_8], &[READY]],
    },
    // N481, N447: a queue of two seconds is longer than the probe waits; each pod that is killed
    // leaves its calls to the others.
    Row {
        rule: "N481, a probe that kills under load",
        cause: &[NO_ROLLOUT, SHARED, ALIVE, START, NO_RATE, BURST, WARMUP, PATIENT],
        measure: Failed(&["killed_by_probe", "no_ready_pod", "process_down"]),
        helps: &[&[OWN], &[ALIVE_TCP], &[ALIVE_EXEC], &[ALIVE_PATIENT], &[REPLICAS_12]],
        wrong: &[&[GRACE_60], &[SLEEP_15]],
    },
];

/// How many calls wait in vain while one of two processes hangs: all that it gets, without a probe
/// that asks it; with one, those of the seconds until it has left the endpoints (N94), and a liveness
/// probe brings it back.
#[test]
fn how_long_a_deadlock_is_noticed() {
    let common = [NO_ROLLOUT, DEADLOCK, "traffic[0].timeout=1s"];
    let found = |more: &[&str]| {
        let found = experiment(&[&common[..], more].concat(), SEEDS);
        let restarts = found.summary.value(&["workloads", "web", "restarts"]);
        (calls(&found, "failed").0, restarts.expect("counted"))
    };
    let (nobody, none) = found(&[]);
    let (kept_away, still_none) = found(&[READY]);
    let (restarted, some) = found(&[READY, ALIVE]);
    println!("{nobody} failed; kept away {kept_away}; restarted {restarted}, {some} restarts");
    assert!(none <= 0.0 && still_none <= 0.0 && some >= 1.0, "{none} {still_none} {some}");
    assert!(kept_away < 0.1 * nobody, "{kept_away} of {nobody}");
    assert!(kept_away > 0.0 && restarted > 0.0, "{kept_away} {restarted}");
}

/// The server hangs with the thousandth call that its process takes, and each process after it: at
/// 50 calls a second to each of four pods that is after 20 s.
#[test]
fn a_server_that_hangs_with_a_call() {
    let sets = [
        NO_ROLLOUT,
        "behaviors[0].hang={ calls: 1000 }",
        "traffic[0].timeout=1s",
        container!(
            "livenessProbe={ httpGet: { port: 8080 }, periodSeconds: 2, failureThreshold: 1 }"
        ),
        "run.until=170s",
    ];
    let found = experiment(&sets, SEEDS);
    let restarts = found.summary.value(&["workloads", "web", "restarts"]).expect("counted");
    println!("{restarts} restarts");
    // From some 5 s on: 20 s of calls, up to 3 s until it is killed, 2 s until it is back, and
    // back-offs of 10, 20 and 40 s (rule N91).
    assert!((12.0..=20.0).contains(&restarts), "{restarts}");
    assert!(calls(&found, "failed").0 > 100.0);
}

/// A hang that ends is a pause: what has waited is answered then, and the slowest call has waited
/// for all of it.
#[test]
fn a_pause() {
    let sets = [NO_ROLLOUT, "behaviors[0].hang={ at: 90s, lasts: 10s }", PATIENT];
    let found = experiment(&sets, SEEDS);
    let slowest = found.summary.value(&["services", "web", "calls", "latency_max"]);
    let slow = calls(&found, "slow").0;
    println!("{slowest:?} {slow}");
    assert!(calls(&found, "failed").1 <= 0.0);
    // 200 calls a second for ten seconds.
    assert!((1800.0..2400.0).contains(&slow), "{slow}");
}
