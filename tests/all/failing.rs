//! Containers that end badly, and hooks that fail (rules N64, N67, N68, N90, N93); readiness gates
//! that somebody opens by a command (rule N88).

use crate::support::{Told, tell};

fn run(pod: &str, behaviors: &str, timeline: &str) -> Told {
    let scenario = format!(
        "apiVersion: seatrial/v1
kind: Scenario
name: failing
cluster:
  nodes: [{{ pool: workers, count: 1, allocatable: {{ cpu: 4, memory: 4Gi }} }}]
  latencies: ideal
behaviors: {behaviors}
apply: [pod.yaml]
timeline: {timeline}
run: {{ until: 10m, replications: 1 }}
"
    );
    let pod = format!("apiVersion: v1\nkind: Pod\nmetadata: {{ name: app }}\nspec:\n{pod}");
    tell(&[("scenario.yaml", &scenario), ("pod.yaml", &pod)])
}

const WITH_INIT: &str = "
  restartPolicy: POLICY
  initContainers: [{ name: migrate, image: migrate:1 }]
  containers: [{ name: main, image: app:1 }]
";

/// Rules N64, N90: an init container that fails is started again: at once, then after 10 s and
/// 20 s; the main container waits for its success.
#[test]
fn an_init_container_is_tried_again() {
    let pod = WITH_INIT.replace("POLICY", "Always");
    let fails = "[{ container: migrate, run: 5s, exit: [{ code: 1, runs: 3 }] }]";
    let told = run(&pod, fails, "[]");
    assert_eq!(
        told.times("Started container migrate"),
        [0.0, 5.0, 20.0, 45.0],
        "{:#?}",
        told.events
    );
    assert_eq!(told.times("Back-off restarting failed container migrate"), [10.0, 25.0]);
    assert_eq!(told.times("Started container main"), [50.0], "N64");
    let forever = run(&pod, "[{ container: migrate, exit: [{ code: 3 }] }]", "[]");
    assert_eq!(forever.rows("reason", "CrashLoopBackOff").len(), 1, "{:?}", forever.pods());
    // Who is not named ends well.
    let others = run(&pod, "[{ exit: [{ code: 3 }], run: 5s }]", "[]");
    assert_eq!(others.times("Started container migrate"), [0.0], "{:#?}", others.events);
}

/// Rule N64: without restarts the pod has failed with its init container.
#[test]
fn a_pod_fails_with_its_init_container() {
    let pod = WITH_INIT.replace("POLICY", "Never");
    let told = run(&pod, "[{ container: migrate, exit: [{ code: 1 }] }]", "[]");
    assert!(told.times("Started container main").is_empty(), "{:#?}", told.events);
    assert_eq!(told.rows("reason", "Error").len(), 1, "{:?}", told.pods());
}

/// Rules N67, N90: a container whose postStart hook fails is killed and started again, with
/// back-off from its second end on; the container after it is not kept from starting.
#[test]
fn a_failed_post_start_hook_kills_the_container() {
    let pod = "
  containers:
    - name: main
      image: app:1
      lifecycle: { postStart: { exec: { command: [/warm-up] } } }
    - { name: other, image: other:1 }
";
    let told = run(pod, "[{ container: main, hook: 2s, hookFails: { postStart: 1 } }]", "[]");
    assert_eq!(told.times("FailedPostStartHook")[..2], [2.0, 4.0], "{:#?}", told.events);
    assert_eq!(told.times("Started container main")[..3], [0.0, 2.0, 14.0], "{:#?}", told.events);
    assert_eq!(told.times("Started container other"), [2.0], "N67");
    let well = run(pod, "[{ container: main, hook: 2s }]", "[]");
    assert_eq!(well.times("Started container main"), [0.0]);
}

/// Rules N68, N122: a failed preStop hook is an event; the stop goes on, with what the hook took
/// off its grace.
#[test]
fn a_failed_pre_stop_hook_is_an_event() {
    let pod = "
  containers:
    - name: main
      image: app:1
      lifecycle: { preStop: { exec: { command: [/say-goodbye] } } }
";
    let behaviors = "[{ container: main, start: 0s, hook: 3s, hookFails: { preStop: 100% } }]";
    let told = run(pod, behaviors, "[{ at: 60s, run: kubectl delete pod app --wait=false }]");
    assert_eq!(told.times("FailedPreStopHook"), [63.0], "{:#?}", told.events);
    assert_eq!(told.column("gone_s"), [63.0], "{:?}", told.pods());
}

/// Rule N93: exit codes decide. 42 restarts a container that is never restarted else; another ends
/// it for good.
#[test]
fn restart_rules_look_at_exit_codes() {
    let pod = "
  restartPolicy: Never
  containers:
    - name: main
      image: app:1
      restartPolicy: Never
      restartPolicyRules: [{ action: Restart, exitCodes: { operator: In, values: [42] } }]
";
    let of = |exit: &str| {
        let told = run(pod, &format!("[{{ container: main, run: 5s, exit: [{exit}] }}]"), "[]");
        told.times("Started container main")
    };
    assert_eq!(of("{ code: 42, runs: 2 }, { code: 7 }"), [0.0, 5.0, 20.0], "N93, N90");
    assert_eq!(of("{ code: 7 }"), [0.0], "N93");
}

/// Rule N93: a rule may restart all containers of the pod, the init container first.
#[test]
fn a_rule_restarts_all_containers() {
    let pod = "
  initContainers: [{ name: set-up, image: set-up:1 }]
  containers:
    - name: main
      image: app:1
      restartPolicy: Always
      restartPolicyRules: [{ action: RestartAllContainers, exitCodes: { operator: In, values: [42] } }]
    - { name: other, image: other:1 }
";
    let behaviors = "[{ container: main, run: 30s, exit: [{ code: 42, runs: 1 }] }]";
    let told = run(pod, behaviors, "[]");
    assert_eq!(told.times("Started container set-up"), [0.0, 30.0], "{:#?}", told.events);
    assert_eq!(told.times("Started container other"), [0.0, 30.0], "{:#?}", told.events);
}

/// Rule N88: who may write the status opens a readiness gate, and shuts it.
#[test]
fn a_command_opens_a_readiness_gate() {
    let pod = "
  readinessGates: [{ conditionType: example.com/checked }]
  containers: [{ name: main, image: app:1 }]
";
    let patch = |at: &str, status: &str| {
        let body = format!(
            r#"{{\"status\":{{\"conditions\":[{{\"type\":\"example.com/checked\",\"status\":\"{status}\"}}]}}}}"#
        );
        format!("{{ at: {at}, run: \"kubectl patch pod app --subresource=status -p '{body}'\" }}")
    };
    let wait = "{ at: 5s, run: kubectl wait pod/app --for=condition=Ready --timeout=60s }";
    let timeline = format!("[{wait}, {}, {}]", patch("40s", "True"), patch("60s", "False"));
    let told = run(pod, "[{ start: 0s }]", &timeline);
    assert_eq!(told.column("ready_s"), [40.0], "{:?}", told.pods());
    let shut = format!("[{}]", patch("40s", "False"));
    let told = run(pod, "[{ start: 0s }]", &shut);
    assert!(told.column("ready_s").is_empty(), "{:?}", told.pods());
}
