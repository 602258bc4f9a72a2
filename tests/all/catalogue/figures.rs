//! What rules of the catalogue say in numbers.

use super::table::{DRAINS, GRACE_60, KEEPS_ALL, SLEEP_5, SLEEP_15};
use super::{SEEDS, calls, experiment};

/// What a number came to on average, of runs with these changes.
fn mean(sets: &[&str], seeds: u32, path: &[&str]) -> f64 {
    let found = experiment(sets, seeds);
    found.summary.value(path).unwrap_or_else(|| panic!("{path:?} has no number with {sets:?}"))
}

const DURATION: &[&str] = &["rollouts", "web", "duration"];
const FAILED: &[&str] = &["services", "web", "calls", "failed"];
const SET_V2: &str = "timeline=[{ at: 60s, run: 'kubectl set image deployment/web app=web:v2' }]";

/// N461: one sleep, three sizes of clusters. A small one is silent from 2 s on, a large one leaks at
/// 5 s still; a longer sleep never fails more. (The rule's figures for a hundred nodes and for
/// 5,000 are those of clusters under a load test's churn; here the rollout is alone.)
#[test]
fn a_sleep_is_enough_for_clusters_of_a_size() {
    let sleep = |secs: u32| {
        format!(
            "deployment/web:spec.template.spec.containers[name=app].lifecycle={{ preStop: {{ \
             sleep: {{ seconds: {secs} }} }} }}"
        )
    };
    for (profile, silent_from, leaks_at) in
        [("measured-small", 2, 0), ("measured-medium", 5, 1), ("measured-large", 15, 5)]
    {
        let latencies = format!("cluster.latencies={profile}");
        let failed = [0, 1, 2, 5, 10, 15, 30, 40].map(|secs| {
            let sets = [latencies.as_str(), &sleep(secs), GRACE_60, "traffic[0].rate=100/s"];
            (secs, calls(&experiment(&sets, 4), "failed"))
        });
        println!("{profile}: {failed:?}");
        for pair in failed.windows(2) {
            let ((_, (before, _)), (secs, (after, _))) = (pair[0], pair[1]);
            assert!(after <= before + 1.0, "{profile}: {secs} s fail more: {failed:?}");
        }
        for (secs, (mean, most)) in failed {
            assert!(secs < silent_from || most <= 0.0, "{profile}, {secs} s: {failed:?}");
            assert!(secs > leaks_at || mean > 0.0, "{profile}, {secs} s: {failed:?}");
        }
    }
}

/// N475: 25 % of one to three pods is no pod that may be missing and one that may be more: no call
/// fails where each pod stops well.
#[test]
fn a_quarter_of_few_pods() {
    for replicas in ["1", "2", "3"] {
        let replicas = format!("deployment/web:spec.replicas={replicas}");
        let (_, most) = calls(&experiment(&[&replicas, SLEEP_5, DRAINS], SEEDS), "failed");
        assert!(most <= 0.0, "{replicas}: {most}");
    }
}

/// N476: a node pulls one image after another: the rollout of a large image to one node lasts for
/// the sum over what is pulled there.
#[test]
fn images_are_pulled_one_after_another() {
    let front =
        "cluster.nodes=[{ pool: workers, count: 1, allocatable: { cpu: 16, memory: 64Gi } }]";
    let behaviors = "behaviors=[{ start: 2s, imageSize: 1Gi, serve: { hold: 20ms } }]";
    let both = "timeline=[{ at: 60s, run: 'kubectl set image deployment/web app=web:v2' }, { at: 60s, run: 'kubectl set image deployment/front app=front:v2' }]";
    let common =
        [front, behaviors, SLEEP_5, "cluster.latencies={ pullRate: 50Mi }", "traffic[0].rate=1/s"];
    let alone = mean(&[&common[..], &[SET_V2]].concat(), 3, DURATION);
    let beside =
        mean(&[&common[..], &[both, "apply=[web.yaml, front.yaml]"]].concat(), 3, DURATION);
    println!("alone {alone} s, beside another {beside} s");
    // 1 GiB at 50 MiB/s: 20.5 s more for the one that is second, which either may be.
    assert!((5.0..21.5).contains(&(beside - alone)), "alone {alone} s, beside another {beside} s");
}

/// N477: a release that is never ready stops after the pods that may be more; nobody notices but
/// the deadline.
#[test]
fn a_release_that_is_never_ready() {
    let sets = [
        SET_V2,
        SLEEP_5,
        "behaviors[1]={ for: deployment/web, image: '*:v2', start: 10h }",
        "run.until=13m",
        "traffic[0].rate=50/s",
    ];
    let found = experiment(&sets, 3);
    let number = |path: &[&str]| found.summary.value(path).expect("a number");
    assert!(number(FAILED) <= 0.0, "{} failed", number(FAILED));
    assert!(number(&["rollouts", "web", "completed"]) <= 0.0);
    assert!(number(&["rollouts", "web", "deadline_exceeded"]) >= 1.0);
}

/// N478: a release that answers a fifth of its calls with errors: the share of failed calls ends at
/// a fifth, and nothing stops it; readiness knows nothing of it.
#[test]
fn a_release_that_answers_with_errors() {
    let sets = [
        SET_V2,
        SLEEP_15,
        DRAINS,
        KEEPS_ALL,
        "behaviors[1]={ for: deployment/web, image: '*:v2', release: { errors: 20% } }",
    ];
    let share = ["services", "web", "calls", "failed_share"];
    let after = mean(&[&sets[..], &["run.warmup=3m"]].concat(), SEEDS, &share);
    let all = mean(&[&sets[..], &["run.warmup=60s"]].concat(), SEEDS, &share);
    assert!((after - 0.2).abs() < 0.01, "{after}");
    assert!((0.05..0.19).contains(&all), "on the way: {all}");
    assert!(mean(&sets, 2, &["rollouts", "web", "completed"]) >= 1.0);
}

/// N479: a release that crashes a minute after it is ready: minReadySeconds above that blocks the
/// rollout, below it lets it pass, and then all pods crash.
#[test]
fn a_release_that_crashes_later() {
    let crash =
        "behaviors[1]={ for: deployment/web, image: '*:v2', run: 60s, exit: [{ code: 1 }] }";
    let sets = |secs: &str| {
        let min_ready = format!("deployment/web:spec.minReadySeconds={secs}");
        let sets = [SET_V2, SLEEP_5, KEEPS_ALL, crash, &min_ready, "run.until=5m"];
        let found = experiment(&sets, SEEDS);
        let completed = found.summary.value(&["rollouts", "web", "completed"]);
        (completed.expect("a rollout"), calls(&found, "failed").0)
    };
    let ((blocked, few), (passed, many)) = (sets("90"), sets("5"));
    println!("blocked: {few} failed, passed: {many} failed");
    assert!(blocked <= 0.0 && passed >= 1.0, "{blocked} {passed}");
    assert!(few > 0.0 && many > 2.0 * few, "{few} {many}");
}

/// N480: a leak of 2 MiB a second kills a container of 64 MiB at its limit of 256 MiB after 96 s, and
/// again each 96 s; a limit twice as large only takes longer. With pods that started together all
/// go at once.
#[test]
fn a_leak_is_a_sawtooth() {
    let limit = |mib: u32| {
        let limit = format!(
            "deployment/web:spec.template.spec.containers[name=app].resources.limits={{ memory: \
             {mib}Mi }}"
        );
        let sets = ["behaviors[0].leak=2Mi", "timeline=[]", "run.until=5m", &limit];
        let found = experiment(&sets, SEEDS);
        let restarts = found.summary.value(&["workloads", "web", "restarts"]);
        (calls(&found, "failed").0, restarts.expect("counted"))
    };
    let ((failed, restarts), (later, fewer)) = (limit(256), limit(512));
    println!("256 MiB: {failed} failed, {restarts} restarts; 512 MiB: {later}, {fewer}");
    // Four pods, at about 98 s, 196 s and 294 s, or at 226 s.
    assert!((8.0..=12.0).contains(&restarts) && (fewer - 4.0).abs() < 0.1, "{restarts} {fewer}");
    assert!(later > 10.0 && failed > 1.5 * later, "{failed} {later}");
}

/// N486, N446: logical failures with 0, 1 and 3 more attempts, that go anywhere: about p, p², p⁴ of
/// the calls at the time; a budget of 20 % helps less.
#[test]
fn more_attempts() {
    let failed = |retries: &str| {
        let retries = format!("traffic[0].retries={retries}");
        let found = experiment(&[&retries, "traffic[0].rate=500/s"], SEEDS);
        (calls(&found, "failed").0, calls(&found, "retried").0)
    };
    let none = failed("{ attempts: 0 }").0;
    let (one, retried) = failed("{ attempts: 1 }");
    let (three, _) = failed("{ attempts: 3 }");
    let (budget, _) = failed("{ attempts: 3, budget: { share: 20%, min: 3 } }");
    println!("none {none}, one {one} ({retried} retried), three {three}, budget {budget}");
    // The first attempts fail as before.
    assert!((retried / none - 1.0).abs() < 0.1, "{retried} of {none}");
    // One or two of five pods are dead at a time.
    assert!(one < 0.45 * none && one > 0.05 * none, "{one} of {none}");
    assert!(three < 0.4 * one, "{three} of {one}");
    // What waits for its next attempt counts against the budget too.
    assert!(budget > one && budget < 0.8 * none, "{budget} of {none}");
}

/// N490: a front that needs k calls of which each fails with p fails with 1 − (1 − p)ᵏ.
#[test]
fn many_calls_behind_one() {
    for (times, expected) in [(1, 0.02), (5, 0.096_08), (20, 0.332_39)] {
        let front = format!(
            "behaviors[1]={{ for: deployment/front, calls: [{{ to: service/web, times: {times}, parallel: true }}] }}"
        );
        let sets = [
            "apply=[web.yaml, front.yaml]",
            "behaviors[0].release={ errors: 2% }",
            &front,
            "traffic[0].to=service/front",
            "traffic[0].rate=50/s",
            "timeline=[]",
        ];
        let share = mean(&sets, SEEDS, &["services", "front", "calls", "failed_share"]);
        assert!((share / expected - 1.0).abs() < 0.1, "{times}: {share}, not {expected}");
    }
}

/// N420, N421, N534: users who wait for answers make fewer calls while nobody answers: the same outage is
/// hidden by a closed loop of the same rate.
#[test]
fn a_closed_loop_hides_an_outage() {
    let outage = [
        SLEEP_5,
        "deployment/web:spec.strategy={ type: Recreate, rollingUpdate: null }",
        "behaviors[0].start=10s",
        "deployment/web:spec.template.spec.containers[name=app].readinessProbe=null",
    ];
    let open = mean(&outage, SEEDS, FAILED);
    // 202 users who think for 1 s on average and wait for 20 ms: 198 calls a second.
    let users = [
        "traffic[0].rate=null",
        "traffic[0].users={ count: 202, think: 1s }",
        "traffic[0].retries={ attempts: 5, backOff: { base: 1s, max: 10s } }",
    ];
    let closed =
        mean(&[&outage[..], &users].concat(), SEEDS, &["services", "web", "calls", "total"]);
    let total = mean(&outage, SEEDS, &["services", "web", "calls", "total"]);
    println!("open: {open} failed of {total}; closed: {closed} calls");
    assert!(open > 1000.0, "{open}");
    assert!(closed < total - open / 2.0, "{closed} calls, {total} in the open loop");
}

/// N138: as 1.36.3 is, a pod that drains stays ready to an exec probe; before 1.35 it did not, as with
/// an HTTP probe in either. A key of the scenario says which.
#[test]
fn exec_probes_of_a_pod_that_ends() {
    let switch = |text: &str| {
        let sets = [text.to_owned()];
        let files = [("scenario.yaml", super::SCENARIO), ("web.yaml", crate::support::WEB)];
        let files = files.map(|(name, text)| (name, text.replace("REPLICAS", "1")));
        let loader = seatrial::manifest::Loader::from_memory(
            files.iter().map(|(name, text)| (*name, text.as_str())),
        );
        let place = seatrial::scenario::Place { loader, path: "scenario.yaml".to_owned() };
        let loaded = seatrial::scenario::load(&place, &sets).unwrap_or_else(|_| panic!("{text}"));
        loaded.model.regressions.cancelled_exec_probes
    };
    assert!(switch("name=as-it-is"));
    assert!(switch("cluster.regressions={}"));
    assert!(!switch("cluster.regressions={ cancelledExecProbes: false }"));
}

/// N485, N16: up to 1.34 no pod of a node whose kubelet is started anew is ready until it has been
/// probed, after up to a period: of four with a period of 10 s the first is after 2 s on average.
#[test]
fn a_kubelet_that_is_started_anew() {
    let failed = |is_old: bool| {
        let switch = format!("cluster.regressions={{ unreadyAfterKubeletRestart: {is_old} }}");
        let sets = [
            "cluster.nodes=[{ pool: workers, count: 1, allocatable: { cpu: 16, memory: 64Gi } }]",
            "timeline=[{ at: 100s, fault: { kubeletRestart: { node: workers-0 } } }]",
            "deployment/web:spec.template.spec.containers[name=app].readinessProbe={ tcpSocket: { port: 8080 }, periodSeconds: 10 }",
            &switch,
        ];
        calls(&experiment(&sets, 12), "failed")
    };
    let (_, now) = failed(false);
    let (before, _) = failed(true);
    println!("{now} failed, {before} up to 1.34");
    assert!(now <= 0.0, "{now}");
    // 200 calls a second.
    assert!((150.0..800.0).contains(&before), "{before}");
}
