//! The story of a failed call, of each cause of the closed list: `explain` names the cause, the pod
//! and what led to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use seatrial::base::{Duration, SimTime};
use seatrial::engine::World;
use seatrial::explain::call::explain_call;
use seatrial::model::Model;
use seatrial::record::{CallRecord, Cause};
use seatrial::recorder::{Recorder, Wants};

use super::model_of;
use super::table::{DRAINS, KEEPS_ALL, MESH_ORDINARY, NO_PROBE, NO_ROLLOUT, SLEEP_5};
use super::ways::{
    APART, BALANCED, CHECKS, FIVE_ADDRESSES, HEADLESS, LOCAL, NINE_NODES, WEB_THEN_FRONT,
};

/// A cause, what brings it about, and what its story says.
struct Story(Cause, &'static [&'static str], &'static [&'static str]);

const FEW: &str = "traffic[0].rate=50/s";
const MANY: &str = "traffic[0].rate=300/s";
const SHORT: &str = "run.until=110s";
const RESTART: &str = "kubectl rollout restart deployment/web";
const DELETED: &str = "the deletion of pod web-";
const RUNS: &str = "runs on workers-";
const READY: &str = " is ready\n";
const SLOW: &str = "behaviors[0].serve={ hold: 500ms, concurrency: 1, backlog: 100 }";
const FRONT: &str = "apply=[web.yaml, front.yaml]";
const TO_FRONT: &str = "traffic[0].to=service/front";
const FRONT_CALLS: &str = "behaviors[1]={ for: deployment/front, calls: [{ to: service/web }] }";
const INGRESS: &str = "apply=[web.yaml, ingress.yaml]";
const TO_INGRESS: &str = "traffic[0].to=ingress/web";
const MESHED: &str =
    "cluster.mesh={ injection: { namespaces: [default] }, retries: { attempts: 0 } }";
const POST: &str = "traffic[0].method=POST";
const ALIVE: &str = "deployment/web:spec.template.spec.containers[name=app].livenessProbe={ httpGet: { port: 8080 }, periodSeconds: 5 }";
const ONE_SECOND: &str = "traffic[0].timeout=1s";

const PODS: &[Story] = &[
    Story(Cause::StaleProxy, &[], &[RESTART, DELETED, RUNS, READY, "Stopping container app"]),
    Story(Cause::NotYetServing, &[SLEEP_5, NO_PROBE, "behaviors[0].start=5s"], &[RUNS, READY]),
    Story(
        Cause::ProcessDown,
        &[NO_ROLLOUT, "behaviors[0].run=30s", "behaviors[0].exit=[{ code: 1 }]"],
        &[RUNS, "Started container app"],
    ),
    Story(Cause::CutByStop, &["behaviors[0].serve.hold=2s"], &[DELETED, "before the call ended"]),
    Story(Cause::CutWaiting, &[SLOW, "traffic[0].rate=7/s"], &[DELETED, RUNS]),
    Story(
        Cause::OutOfMemory,
        &[
            NO_ROLLOUT,
            "behaviors[0].leak=8Mi",
            "behaviors[0].serve.hold=1s",
            "deployment/web:spec.template.spec.containers[name=app].resources.limits={ memory: 256Mi }",
        ],
        &[RUNS, "killed for its memory"],
    ),
    Story(
        Cause::ConnectionClosed,
        &[
            MANY,
            "traffic[0].connections={ kind: http2, count: 20 }",
            "behaviors[0].serve={ hold: 20ms, saysClose: false }",
            "cluster.latencies={ base: measured-small, hop: { median: 5ms, p99: 8ms } }",
        ],
        &[DELETED, RUNS],
    ),
    Story(
        Cause::NodeDown,
        &["timeline=[{ at: 60s, fault: { crash: { node: workers-0 } } }]", ONE_SECOND],
        &["fault: crash of node workers-0", "runs on workers-0"],
    ),
    Story(
        Cause::WaitedTooLong,
        &[NO_ROLLOUT, SLOW, "traffic[0].rate=20/s", "traffic[0].timeout=2s"],
        &[RUNS, "no answer in time"],
    ),
    Story(Cause::SlowService, &[NO_ROLLOUT, "behaviors[0].serve.hold=3s", ONE_SECOND], &[RUNS]),
    Story(
        Cause::BacklogFull,
        &[NO_ROLLOUT, "behaviors[0].serve={ hold: 500ms, concurrency: 1, backlog: 1 }"],
        &[RUNS],
    ),
    Story(
        Cause::NoReadyPod,
        &["timeline=[{ at: 60s, run: kubectl scale deployment/web --replicas=0 }]"],
        &["kubectl scale deployment/web", "of the service were there"],
    ),
    Story(Cause::ServerFault, &[NO_ROLLOUT, "behaviors[0].release={ errors: 20% }"], &[RUNS]),
    Story(
        Cause::IdleClosed,
        &[
            NO_ROLLOUT,
            "behaviors[0].serve={ hold: 20ms, idleMax: 5s }",
            "traffic[0].rate=1/s",
            "traffic[0].connections={ kind: keep-alive, noticesClose: false, idleMax: 90s }",
        ],
        &[RUNS],
    ),
    Story(
        Cause::CallerFull,
        &[NO_ROLLOUT, "traffic[0].callsMax=1", "behaviors[0].serve.hold=200ms"],
        &["too many calls under way"],
    ),
    Story(
        Cause::Incompatible,
        &[NO_ROLLOUT, "traffic[0].speaks=v2", "behaviors[0].release={ understands: [v1] }"],
        &[RUNS],
    ),
    Story(
        Cause::Hung,
        &[NO_ROLLOUT, "behaviors[0].hang={ after: 30s, share: 0.5 }", ONE_SECOND],
        &[RUNS, "no answer in time"],
    ),
    Story(
        Cause::KilledByProbe,
        &[NO_ROLLOUT, "behaviors[0].hang={ at: 70s, lasts: 30s }", ALIVE, "traffic[0].timeout=60s"],
        &[RUNS, "Liveness probe failed", "Container app failed liveness probe"],
    ),
];

const ELSEWHERE: &[Story] = &[
    Story(
        Cause::Downstream,
        &[FRONT, FRONT_CALLS, TO_FRONT, NO_ROLLOUT, "behaviors[0].release={ errors: 20% }"],
        &["users → service/front"],
    ),
    Story(
        Cause::StaleDns,
        &[HEADLESS, SLEEP_5, ONE_SECOND, "traffic[0].dnsCache=60s"],
        &[RESTART, DELETED, "an old answer of DNS"],
    ),
    Story(
        Cause::OtherApplication,
        &[
            FRONT,
            HEADLESS,
            SLEEP_5,
            ONE_SECOND,
            "traffic[0].dnsCache=60s",
            FIVE_ADDRESSES,
            "deployment/web:spec.replicas=8",
            WEB_THEN_FRONT,
        ],
        &[
            RESTART,
            "rollout restart deployment/front",
            DELETED,
            " at 10.9.0.",
            "'s and is front-",
            "the server answers with an error",
        ],
    ),
    Story(
        Cause::StaleBalancer,
        &[NINE_NODES, APART, BALANCED, LOCAL, CHECKS, KEEPS_ALL, ONE_SECOND, SLEEP_5, FOUR_MINUTES],
        &["the load balancer"],
    ),
    Story(
        Cause::NotOnNode,
        &[
            FRONT,
            FRONT_CALLS,
            TO_FRONT,
            NINE_NODES,
            APART,
            ONE_SECOND,
            "service/web:spec.internalTrafficPolicy=Local",
        ],
        &["the policy is Local"],
    ),
    Story(Cause::StaleIngress, &[INGRESS, TO_INGRESS, POST, MANY], &[DELETED, RESTART]),
    Story(
        Cause::CutByReload,
        &[
            INGRESS,
            TO_INGRESS,
            POST,
            SLEEP_5,
            DRAINS,
            "behaviors[0].serve.hold=4s",
            "cluster.ingress={ endpoints: reload, drain: 1s }",
        ],
        &["after a reload"],
    ),
    Story(
        Cause::NoRoute,
        &[INGRESS, TO_INGRESS, "timeline=[{ at: 60s, run: kubectl delete ingress web }]"],
        &["kubectl delete ingress web", "the server answers with an error"],
    ),
    Story(
        Cause::StaleMesh,
        &[FRONT, FRONT_CALLS, TO_FRONT, MESHED, MANY],
        &["a pod calls service/web", DELETED, RESTART, "was asked for"],
    ),
    Story(
        Cause::Ejected,
        &[
            FRONT,
            FRONT_CALLS,
            TO_FRONT,
            NO_ROLLOUT,
            "cluster.mesh={ injection: { namespaces: [default] }, retries: { attempts: 0 }, ejection: { failures: 2, share: 100% } }",
            "behaviors[0].serve={ hold: 10ms, errors: 50% }",
        ],
        &["a pod calls service/web", "4 pods of the service were there, 0 of them being deleted"],
    ),
    Story(
        Cause::Partitioned,
        &[
            FRONT,
            FRONT_CALLS,
            TO_FRONT,
            ONE_SECOND,
            "timeline=[{ at: 60s, fault: { partition: { node: workers-0, from: nodes } } }]",
        ],
        &["fault: partition of node workers-0", "two sides of a cut network"],
    ),
    Story(
        Cause::NoMeshProxy,
        &["cluster.mesh={ start: 8s, drain: 30s }", MESH_ORDINARY, "behaviors[0].container=app"],
        &[RUNS, "the mesh proxy"],
    ),
    Story(
        Cause::CutByMeshProxy,
        &[
            "cluster.mesh={ drain: 5s }",
            MESH_ORDINARY,
            SLEEP_5,
            "behaviors[0].container=app",
            "behaviors[0].serve={ hold: 8s, concurrency: 5000 }",
            DRAINS,
            "traffic[0].timeout=20s",
        ],
        &[DELETED, "a mesh proxy ended"],
    ),
    // What leads to it is told too: the kubelet evicts, a machine shuts down.
    Story(
        Cause::ProcessDown,
        &[
            NO_ROLLOUT,
            MANY,
            "cluster.nodes=[{ pool: workers, count: 1, allocatable: { cpu: 16, memory: 2Gi } }]",
            "behaviors[0].memory=400Mi",
            "behaviors[0].leak=2Mi",
        ],
        &["The node was low on resource: memory."],
    ),
    Story(
        Cause::CutByStop,
        &[
            "cluster.nodes=[{ pool: workers, count: 2, allocatable: { cpu: 16, memory: 64Gi }, kubelet: { shutdownGracePeriod: 30s } }]",
            "behaviors[0].serve.hold=2s",
            "timeline=[{ at: 60s, fault: { shutdown: { node: workers-0 } } }]",
        ],
        &["fault: shutdown of node workers-0", "Stopping container app"],
    ),
];

const FOUR_MINUTES: &str = "run.until=4m";

/// The number of the first failed call for a cause.
fn first(model: &Arc<Model>, cause: Cause) -> Result<u64, BTreeSet<Cause>> {
    let recorder = Recorder::new(model, Wants::default());
    let outcome = World::new(model, 0, recorder).run().expect("within all limits");
    let facts = outcome.recorder.into_facts(outcome.cluster.names(), outcome.ended, outcome.events);
    let facts = facts.expect("it is on");
    // Not those from before the first pod is ready.
    let settled = SimTime::at(Duration::secs(50));
    let is_it = |call: &CallRecord| call.start >= settled && call.cause == cause;
    let found = facts.failures.iter().position(is_it);
    let others: BTreeSet<Cause> = facts.failures.iter().map(|call| call.cause).collect();
    found.map(|at| at as u64 + 1).ok_or(others)
}

fn judge(stories: &[Story]) {
    let mut wrong = Vec::new();
    for Story(cause, sets, says) in stories {
        let model = model_of(&[&[FEW, SHORT], *sets].concat());
        let number = match first(&model, *cause) {
            Ok(number) => number,
            Err(others) => {
                wrong.push(format!("{cause:?}: no such call, but {others:?}"));
                continue;
            }
        };
        let story = explain_call(&model, number, 0).expect("it failed");
        let text = story.text();
        let end = format!("CAUSE  {}: {}", cause.as_str(), cause.sentence());
        for words in says.iter().copied().chain([end.as_str()]) {
            if !text.contains(words) {
                wrong.push(format!("{cause:?} does not say {words:?}:\n{text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn stories_of_pods() {
    judge(PODS);
}

#[test]
fn stories_of_ways_to_pods() {
    judge(ELSEWHERE);
}

/// The list is closed, and all of it has a story.
#[test]
fn each_cause_has_a_story() {
    let told: Vec<Cause> = PODS.iter().chain(ELSEWHERE).map(|story| story.0).collect();
    let missing = Cause::ALL.into_iter().filter(|cause| *cause != Cause::None);
    let missing: Vec<Cause> = missing.filter(|cause| !told.contains(cause)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What a run's summary says of why calls failed, and what to try.
fn advice(sets: &[&str]) -> String {
    let found = super::experiment(sets, 1);
    let text = seatrial::report::text::print(&found.summary, &found.facts, &[]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.find("WHY").map(|at| text[at..].to_owned()).unwrap_or_default()
}

/// Each cause that somebody can do something about has advice in the summary.
#[test]
fn each_cause_has_advice() {
    // What failed elsewhere is told there; nobody's manifest mends a cut network.
    let without = [Cause::Downstream, Cause::Partitioned];
    let stories = PODS.iter().chain(ELSEWHERE).filter(|story| !without.contains(&story.0));
    let silent: Vec<Cause> = stories
        .filter(|Story(_, sets, _)| {
            !advice(&[&[FEW, SHORT, "run.warmup=50s"], *sets].concat()).contains("TRY")
        })
        .map(|story| story.0)
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

/// N460, N463 to N465: what helps calls that are cut as pods end is not what helps calls that come
/// too late.
#[test]
fn the_advice_knows_why_pods_cut_calls() {
    let long = "behaviors[0].serve={ hold: 40s, concurrency: 1000 }";
    let patient = "traffic[0].timeout=2m";
    let keep = "traffic[0].connections=keep-alive";
    let cases: [(&[&str], &str); 5] = [
        (&[MANY], "TRY preStop sleep 2 s in web"),
        (&[long, patient, FEW], "and a drain on SIGTERM that lets the calls in flight end"),
        (
            &[long, patient, FEW, "behaviors[0].shutdown={ drain: 2m }"],
            "WHY calls of web last longer than its pods have to end: a grace of 30 s. TRY \
             terminationGracePeriodSeconds 4",
        ),
        (
            &[long, patient, FEW, "behaviors[0].shutdown={ ignoresSignal: true }"],
            "WHY web does not hear SIGTERM: it is killed at the end of its grace of 30 s.",
        ),
        (
            &[
                MANY,
                keep,
                "behaviors[0].serve={ hold: 100ms, saysClose: false }",
                "behaviors[0].shutdown={ accept: 5s, drain: 20s }",
            ],
            "TRY Connection: close or GOAWAY on SIGTERM (serve.saysClose)",
        ),
    ];
    for (sets, words) in cases {
        let found = advice(sets);
        assert!(found.contains(words), "{sets:?} does not say {words:?}: {found}");
    }
}

/// N463: a rollout is charged with the calls that it cut, also those that began before it.
#[test]
fn a_rollout_is_charged_with_the_calls_that_it_cut() {
    let sets = [
        "behaviors[0].serve={ hold: 40s, concurrency: 1000 }",
        "traffic[0].timeout=2m",
        FEW,
        "run.warmup=10s",
    ];
    let found = super::experiment(&sets, 1);
    let number = |path: &[&str]| found.summary.value(path).expect("counted");
    let all = number(&["services", "web", "calls", "failed"]);
    let rolled = number(&["rollouts", "web", "failed_calls"]);
    // All that were under way at 60 s: 40 s of 50 a second and some more.
    assert!(all >= 1900.0 && all - rolled < 1.0, "{all} {rolled}");
}
