//! Containers, their probes and hooks.

use serde_json::Value;

use super::super::read::{count, is_set, items, port, quantity, seconds, text};
use super::super::requests::{list, resources};
use crate::base::{Bytes, Duration, Interner, MilliCpu};
use crate::model::{
    AfterExit, Container, ContainerPort, Hook, OwnRequests, Probe, ProbeKind, Protocol, PullPolicy,
    ResizePolicy, RestartPolicy, RestartRule,
};

pub(super) fn lower_container(container: &Value, names: &mut Interner) -> Container {
    let (amounts, lifecycle) = (&container["resources"], &container["lifecycle"]);
    let limits = resources(&list(&amounts["limits"]), names);
    let has_limit = |name: &str| quantity(&amounts["limits"][name]).is_some();
    Container {
        name: names.intern(text(&container["name"])),
        image: names.intern(text(&container["image"])),
        pull_policy: match text(&container["imagePullPolicy"]) {
            "Always" => PullPolicy::Always,
            "Never" => PullPolicy::Never,
            _ => PullPolicy::IfNotPresent,
        },
        ports: items(&container["ports"]).iter().filter_map(|p| lower_port(p, names)).collect(),
        requests: resources(&list(&amounts["requests"]), names),
        asked: lower_asked(&amounts["requests"]),
        cpu_limit: has_limit("cpu").then_some(limits.cpu).filter(|limit| *limit > MilliCpu::ZERO),
        memory_limit: (has_limit("memory").then_some(limits.memory))
            .filter(|limit| *limit > Bytes::ZERO),
        storage_limit: (has_limit("ephemeral-storage").then_some(limits.ephemeral_storage))
            .filter(|limit| *limit > Bytes::ZERO),
        restart_always: container["restartPolicy"] == "Always",
        restart_policy: restart_policy(&container["restartPolicy"]),
        restart_rules: items(&container["restartPolicyRules"]).iter().map(lower_rule).collect(),
        resize_policy: lower_resize_policy(&container["resizePolicy"]),
        stop_signal: Some(text(&lifecycle["stopSignal"]))
            .filter(|signal| !signal.is_empty())
            .map(|signal| names.intern(signal)),
        readiness: lower_probe(&container["readinessProbe"]),
        liveness: lower_probe(&container["livenessProbe"]),
        startup: lower_probe(&container["startupProbe"]),
        pre_stop: lower_hook(&lifecycle["preStop"]),
        post_start: lower_hook(&lifecycle["postStart"]),
        pre_stop_quits: quits(&lifecycle["preStop"]),
    }
}

/// Requests as they are written.
pub(super) fn lower_asked(requests: &Value) -> OwnRequests {
    OwnRequests {
        cpu: quantity(&requests["cpu"]).map(|cpu| MilliCpu(cpu.milli_value())),
        memory: quantity(&requests["memory"]).map(|memory| Bytes(memory.value())),
    }
}

/// `restartPolicy` of a pod or container, if it is written.
pub(super) fn restart_policy(value: &Value) -> Option<RestartPolicy> {
    Some(match text(value) {
        "Always" => RestartPolicy::Always,
        "OnFailure" => RestartPolicy::OnFailure,
        "Never" => RestartPolicy::Never,
        _ => return None,
    })
}

/// Rule N104.
fn lower_resize_policy(policy: &Value) -> ResizePolicy {
    let restarts = |resource: &str| {
        let mut own = items(policy).iter().filter(|own| own["resourceName"] == resource);
        own.any(|own| own["restartPolicy"] == "RestartContainer")
    };
    ResizePolicy { cpu: restarts("cpu"), memory: restarts("memory") }
}

/// Rule N93.
fn lower_rule(rule: &Value) -> RestartRule {
    let on = &rule["exitCodes"];
    let code = |value: &Value| value.as_i64().and_then(|code| i32::try_from(code).ok());
    RestartRule {
        action: match text(&rule["action"]) {
            "RestartAllContainers" => AfterExit::RestartAll,
            _ => AfterExit::Restart,
        },
        is_other: on["operator"] == "NotIn",
        codes: items(&on["values"]).iter().filter_map(code).collect(),
    }
}

fn lower_port(declared: &Value, names: &mut Interner) -> Option<ContainerPort> {
    Some(ContainerPort {
        name: names.intern(text(&declared["name"])),
        port: port(&declared["containerPort"])?,
        protocol: protocol(&declared["protocol"]),
    })
}

pub(super) fn protocol(value: &Value) -> Protocol {
    match text(value) {
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

/// Rule N80; what has no handler is no probe.
fn lower_probe(probe: &Value) -> Option<Probe> {
    let handlers = [
        ("httpGet", ProbeKind::Http),
        ("tcpSocket", ProbeKind::Tcp),
        ("grpc", ProbeKind::Grpc),
        ("exec", ProbeKind::Exec),
    ];
    let (_, how) = handlers.into_iter().find(|(key, _)| is_set(&probe[*key]))?;
    let positive = |key: &str, standard| count(&probe[key]).filter(|n| *n > 0).unwrap_or(standard);
    let span = |key: &str, standard| Duration::secs(positive(key, standard).into());
    Some(Probe {
        how,
        initial_delay: seconds(&probe["initialDelaySeconds"]).unwrap_or(Duration::ZERO),
        period: span("periodSeconds", 10),
        timeout: span("timeoutSeconds", 1),
        success_threshold: positive("successThreshold", 1),
        failure_threshold: positive("failureThreshold", 3),
        grace: seconds(&probe["terminationGracePeriodSeconds"]),
    })
}

fn lower_hook(hook: &Value) -> Option<Hook> {
    if is_set(&hook["exec"]) {
        let command: Vec<&str> = items(&hook["exec"]["command"]).iter().map(text).collect();
        return Some(Hook::Exec(command_sleep(&command)));
    }
    if is_set(&hook["sleep"]) {
        return Some(Hook::Sleep(seconds(&hook["sleep"]["seconds"]).unwrap_or(Duration::ZERO)));
    }
    is_set(&hook["httpGet"]).then_some(Hook::Http)
}

/// Whether a hook stops the process of its container: a signal by `kill`, `pkill` or `killall`, or
/// the request to quit that proxies know.
fn quits(hook: &Value) -> bool {
    let command = items(&hook["exec"]["command"]).iter().map(text);
    let is_break = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')');
    let mut words: Vec<&str> = command.flat_map(|part| part.split(is_break)).collect();
    words.push(text(&hook["httpGet"]["path"]));
    let signals = words.iter().zip(words.iter().skip(1)).any(|(program, next)| {
        let program = program.rsplit('/').next().unwrap_or("");
        matches!(program, "kill" | "pkill" | "killall") && *next != "-0"
    });
    signals || words.iter().any(|word| word.contains("quitquitquit"))
}

/// How long a command sleeps, if it does: `sleep 5`, `sh -c "sleep 5 && nginx -s quit"`.
///
/// Several sleeps in a row add up; what else the command does is taken to need no time.
#[must_use]
pub fn command_sleep(command: &[&str]) -> Option<Duration> {
    let program = command.first()?.rsplit('/').next()?;
    match program {
        "sleep" => sleep_time(command.get(1..)?.iter().copied()),
        "sh" | "bash" | "ash" | "dash" | "zsh" | "busybox" | "env" | "tini" | "timeout" => {
            let script =
                command.iter().position(|word| word.starts_with('-') && word.ends_with('c'));
            match script {
                Some(at) => script_sleep(command.get(at + 1)?),
                None => command_sleep(command.get(1..)?),
            }
        }
        _ => None,
    }
}

fn script_sleep(script: &str) -> Option<Duration> {
    let separators = ['&', ';', '|', '\n', '(', ')', '{', '}'];
    let one = |command: &str| {
        let mut words = command.split_whitespace().skip_while(|word| {
            matches!(*word, "exec" | "then" | "do" | "else") || word.contains('=')
        });
        let program = words.next()?.rsplit('/').next()?;
        (program == "sleep").then(|| sleep_time(words)).flatten()
    };
    let all = script.split(separators).filter_map(one);
    all.reduce(Duration::saturating_add)
}

/// The arguments of `sleep`: numbers with s, m, h or d, added up.
fn sleep_time<'a>(arguments: impl Iterator<Item = &'a str>) -> Option<Duration> {
    const DAYS_MAX: f64 = 1e4;
    let one = |word: &str| {
        let word = word.trim_matches(['"', '\'']);
        let (number, unit) = match word.char_indices().last()? {
            (at, 's') => (&word[..at], 1.0),
            (at, 'm') => (&word[..at], 60.0),
            (at, 'h') => (&word[..at], 3_600.0),
            (at, 'd') => (&word[..at], 86_400.0),
            _ => (word, 1.0),
        };
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let seconds = number.parse::<f64>().ok().filter(|_| plain)? * unit;
        Some(Duration::from_secs_f64(seconds.min(DAYS_MAX * 86_400.0)))
    };
    let all = arguments.map_while(one);
    all.reduce(Duration::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule N93: the first rule that matches, then the container's own policy, then the pod's.
    #[test]
    fn what_follows_an_exit() {
        let container = serde_json::json!({
            "name": "a", "image": "app:1", "restartPolicy": "Never",
            "lifecycle": {"stopSignal": "SIGUSR1"},
            "restartPolicyRules": [
                {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}},
                {"action": "RestartAllContainers", "exitCodes": {"operator": "NotIn", "values": [1, 42]}},
            ],
        });
        let mut names = Interner::default();
        let container = lower_container(&container, &mut names);
        let after = |code| container.after_exit(code, RestartPolicy::Always);
        assert_eq!(after(42), AfterExit::Restart);
        assert_eq!(after(1), AfterExit::Stay);
        assert_eq!(after(0), AfterExit::RestartAll);
        assert_eq!(container.stop_signal, Some(names.intern("SIGUSR1")));
        let plain = Container { restart_policy: None, restart_rules: Vec::new(), ..container };
        let after = |code, policy| plain.after_exit(code, policy);
        assert_eq!(after(0, RestartPolicy::OnFailure), AfterExit::Stay);
        assert_eq!(after(7, RestartPolicy::OnFailure), AfterExit::Restart);
        assert_eq!(after(0, RestartPolicy::Always), AfterExit::Restart);
    }

    /// N472: what ends the process before its turn.
    #[test]
    fn hooks_that_stop_their_process() {
        let of = |command: &[&str]| quits(&serde_json::json!({ "exec": { "command": command } }));
        assert!(of(&["sh", "-c", "sleep 5; kill 1"]));
        assert!(of(&["/bin/kill", "-TERM", "1"]));
        assert!(of(&["curl", "-X", "POST", "localhost:15020/quitquitquit"]));
        assert!(!of(&["sh", "-c", "while killall -0 nginx; do sleep 1; done"]));
        assert!(!of(&["sleep", "5"]) && !of(&["pilot-agent", "request", "POST", "drain"]));
        let get = serde_json::json!({ "httpGet": { "path": "/quitquitquit", "port": 15_020 } });
        assert!(quits(&get) && !quits(&Value::Null));
    }

    #[test]
    fn sleeps_are_understood() {
        let secs = |command: &[&str]| command_sleep(command).map(Duration::whole_millis);
        assert_eq!(secs(&["sleep", "5"]), Some(5_000));
        assert_eq!(secs(&["/bin/sleep", "0.5"]), Some(500));
        assert_eq!(secs(&["/bin/sh", "-c", "sleep 5"]), Some(5_000));
        assert_eq!(secs(&["sh", "-ec", "nginx -s quit && sleep 1m; sleep 5s"]), Some(65_000));
        assert_eq!(secs(&["bash", "-c", "exec sleep 10"]), Some(10_000));
        assert_eq!(
            secs(&["sh", "-c", "nginx -s quit; while killall -0 nginx; do sleep 1; done"]),
            Some(1_000)
        );
        assert_eq!(secs(&["nginx", "-s", "quit"]), None);
        assert_eq!(secs(&["sh", "-c", "sleep $WAIT"]), None);
        assert_eq!(secs(&["sleep"]), None);
        assert_eq!(secs(&[]), None);
    }
}
