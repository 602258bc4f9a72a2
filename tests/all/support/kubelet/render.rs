//! Statuses and events as the recordings have them, and where two time lines part.

use seatrial::base::SimTime;
use seatrial::kubelet::machine::{
    Because, Condition, ContainerStatus, Ended, Kill, Message, Outcome, Phase, Say, State, Status,
    Which,
};
use serde_json::{Value, json};

use super::Told;

/// The epoch in seconds from the start of a recording.
const EPOCH: i64 = -946_685_100;

const KINDS: [&str; 7] = [
    "PodScheduled",
    "PodReadyToStartContainers",
    "Initialized",
    "ContainersReady",
    "Ready",
    "AllContainersRestarting",
    "DisruptionTarget",
];

fn secs(at: SimTime) -> Value {
    json!(at.since_start().whole_secs())
}

/// The status as a write has it.
pub(super) fn status(status: &Status, manifest: &Value) -> Value {
    let mut told = json!({
        "phase": match status.phase {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
        },
        "observed_generation": status.observed_generation,
    });
    if !status.reason.is_empty() {
        told["reason"] = json!(status.reason);
    }
    if let Some(message) = message(status) {
        told["message"] = json!(message);
    }
    if let Some(ip) = status.ip {
        told["ip"] = json!(format!("10.244.0.{}", ip + 1));
    }
    if let Some(start) = status.start {
        told["start_s"] = secs(start);
    }
    let has = status.conditions;
    let all = [
        has.scheduled,
        has.ready_to_start,
        has.initialized,
        has.containers_ready,
        has.ready,
        has.all_restarting,
        has.disruption,
    ];
    for (kind, condition) in KINDS.iter().zip(all) {
        if let Some(condition) = condition {
            told["conditions"][kind] = self::condition(condition);
        }
    }
    let inits = manifest["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    for (at, container) in status.containers.iter().enumerate() {
        let (list, at) = if at < inits { ("init", at) } else { ("containers", at - inits) };
        let key = if list == "init" { "initContainers" } else { list };
        let name = &manifest["spec"][key][at]["name"];
        if told[list].is_null() {
            told[list] = json!([]);
        }
        told[list].as_array_mut().expect("a list").push(self::container(container, name));
    }
    told
}

fn message(status: &Status) -> Option<String> {
    Some(match status.message {
        Message::None => return None,
        Message::Rejected(numbers) => {
            format!("Pod was rejected: {}", refused(status.reason, numbers))
        }
        Message::Deadline => DEADLINE.to_owned(),
        Message::Preempted => PREEMPTED.to_owned(),
    })
}

const DEADLINE: &str = "Pod was active on the node longer than the specified deadline";
const PREEMPTED: &str = "Preempted in order to admit critical pod";

fn refused(reason: &str, [asked, used, has]: [i64; 3]) -> String {
    let why = match reason {
        "NodeAffinity" => "node(s) didn't match Pod's node affinity/selector",
        "NodePorts" => "node(s) didn't have free ports for the requested pod ports",
        "TaintToleration" => "node(s) had taints that the pod didn't tolerate",
        _ => {
            let what = reason.strip_prefix("OutOf").unwrap_or(reason);
            return format!(
                "Node didn't have enough resource: {what}, requested: {asked}, used: {used}, \
                 capacity: {has}"
            );
        }
    };
    format!("Predicate {reason} failed: {why}")
}

fn condition(condition: Condition) -> Value {
    let reason = match condition.reason {
        Because::None => "",
        Because::ContainersNotReady => "ContainersNotReady",
        Because::ContainersNotInitialized => "ContainersNotInitialized",
        Because::PodCompleted => "PodCompleted",
        Because::PodFailed => "PodFailed",
        Because::ReadinessGatesNotReady => "ReadinessGatesNotReady",
        Because::RestartAllContainersStarted => "RestartAllContainersStarted",
        Because::TerminationByKubelet => "TerminationByKubelet",
    };
    let is_true = if condition.is_true { "True" } else { "False" };
    json!([is_true, reason, secs(condition.since)])
}

fn container(container: &ContainerStatus, name: &Value) -> Value {
    let mut told = json!({
        "name": name,
        "ready": container.ready,
        "restarts": container.restarts,
        "started": container.started,
        "state": match container.state {
            State::Waiting(reason) => json!({"waiting": reason}),
            State::Running(since) => json!({"running": true, "started_s": secs(since)}),
            State::Terminated(end) => ended(end),
        },
    });
    if let Some(last) = container.last {
        told["last"] = ended(last);
    }
    told
}

fn ended(end: Ended) -> Value {
    let time = |at: Option<SimTime>| at.map_or_else(|| json!(EPOCH), secs);
    if end.finished.is_none() {
        return json!({
            "terminated": end.reason, "exit": end.code, "started_s": null, "finished_s": null,
        });
    }
    json!({
        "terminated": end.reason, "exit": end.code,
        "started_s": time(end.started), "finished_s": time(end.finished),
    })
}

/// The event without its time and place.
pub(super) fn event(say: Say, container: Option<&Value>, manifest: &Value) -> Value {
    let pod = manifest["metadata"]["name"].as_str().unwrap_or_default();
    let text = |key: &str| container.and_then(|c| c[key].as_str()).unwrap_or_default();
    let (name, image) = (text("name"), text("image"));
    let probe = |which| match which {
        Which::Readiness => "Readiness",
        Which::Liveness => "Liveness",
        Which::Startup => "Startup",
    };
    let (reason, message) = match say {
        Say::Pulling => ("Pulling", format!("Pulling image \"{image}\"")),
        Say::Pulled { took, with_wait } => (
            "Pulled",
            format!(
                "Successfully pulled image \"{image}\" in {} ({} including waiting). Image size: \
                 1 bytes.",
                span(took.whole_millis()),
                span(with_wait.whole_millis())
            ),
        ),
        Say::Present => (
            "Pulled",
            format!(
                "Container image \"{image}\" already present on machine and can be accessed by \
                 the pod"
            ),
        ),
        Say::PullFailed => (
            "Failed",
            format!(
                "Failed to pull image \"{image}\": rpc error: code = Unknown desc = pull: scripted"
            ),
        ),
        Say::PullQps => ("Failed", format!("Failed to pull image \"{image}\": pull QPS exceeded")),
        Say::PullBackOff => ("BackOff", format!("Back-off pulling image \"{image}\"")),
        Say::NeverPull => (
            "ErrImageNeverPull",
            format!("Container image \"{image}\" is not present with pull policy of Never"),
        ),
        Say::StartFailed(why) => ("Failed", format!("Error: {why}")),
        Say::CreateFailed => ("Failed", "Error: create: scripted".to_owned()),
        Say::RunFailed => ("Failed", "Error: start: scripted".to_owned()),
        Say::Created => ("Created", "Container created".to_owned()),
        Say::Started => ("Started", "Container started".to_owned()),
        Say::PostStartFailed => ("FailedPostStartHook", "PostStartHook failed".to_owned()),
        Say::PreStopFailed => ("FailedPreStopHook", "PreStopHook failed".to_owned()),
        Say::Killing(why) => ("Killing", killing(why, container, manifest)),
        Say::CrashBackOff => {
            ("BackOff", format!("Back-off restarting failed container {name} in pod {pod}_default"))
        }
        Say::Unhealthy(which, outcome) => ("Unhealthy", unhealthy(probe(which), outcome)),
        Say::SandboxFailed => (
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup \
             network for sandbox: scripted"
                .to_owned(),
        ),
        Say::SandboxChanged => ("SandboxChanged", String::new()),
        Say::KillFailed => ("FailedKillPod", String::new()),
        Say::DeadlineExceeded => ("DeadlineExceeded", DEADLINE.to_owned()),
        Say::Rejected(reason, numbers) => (reason, refused(reason, numbers)),
        Say::MountFailed | Say::MountTimedOut => ("FailedMount", String::new()),
        Say::Preempting => ("Preempting", PREEMPTED.to_owned()),
    };
    json!({"reason": reason, "message": message})
}

fn killing(why: Kill, container: Option<&Value>, manifest: &Value) -> String {
    let own = container.unwrap_or(&Value::Null);
    let name = own["name"].as_str().unwrap_or_default();
    let policy = own["restartPolicy"].as_str().or(manifest["spec"]["restartPolicy"].as_str());
    let again = if policy == Some("Never") { "" } else { ", will be restarted" };
    match why {
        Kill::Stopping => format!("Stopping container {name}"),
        Kill::Liveness => format!("Container {name} failed liveness probe{again}"),
        Kill::Startup => format!("Container {name} failed startup probe{again}"),
        Kill::PostStart => "FailedPostStartHook".to_owned(),
        Kill::Plain | Kill::Resize => "killing".to_owned(),
    }
}

fn unhealthy(probe: &str, outcome: Outcome) -> String {
    let error = match outcome {
        Outcome::TimedOut => {
            return format!("{probe} probe failed: command timed out: command timed out");
        }
        Outcome::NotRunning => "Unknown desc = container not running",
        Outcome::Cancelled => "Canceled desc = context canceled",
        Outcome::Errored | Outcome::Failed => "Unknown desc = exec: scripted",
        Outcome::Ok | Outcome::Sandbox(_) | Outcome::Exit(_) | Outcome::Replaced => {
            return format!("{probe} probe failed: ");
        }
    };
    format!("{probe} probe errored and resulted in unknown state: rpc error: code = {error}")
}

/// A span as Go writes it.
fn span(millis: u64) -> String {
    let (secs, rest) = (millis / 1000, millis % 1000);
    if secs == 0 {
        return if rest == 0 { "0s".to_owned() } else { format!("{rest}ms") };
    }
    let fraction = format!(".{rest:03}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let (mins, secs) = (secs / 60, secs % 60);
    if mins == 0 { format!("{secs}{fraction}s") } else { format!("{mins}m{secs}{fraction}s") }
}

/// Where ours and a recorded outcome part first.
pub(crate) fn first_difference(ours: &Told, outcome: &Value) -> Option<(u64, String)> {
    let theirs_cri = list(&outcome["cri"]);
    let writes = list(&outcome["api"]).into_iter().filter(|write| write["by"] == "kubelet");
    let theirs_api = writes.map(strip_write).collect();
    let theirs_events = list(&outcome["events"]).into_iter().map(strip_event).collect();
    let parts = [
        part("cri", ours.cri.clone(), theirs_cri, true),
        part("api", ours.api.clone(), theirs_api, false),
        part("event", ours.events.clone(), theirs_events, true),
    ];
    parts.into_iter().flatten().min_by_key(|(at, _)| *at)
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Without what the world's own writes put there.
pub(super) fn strip_write(mut write: Value) -> Value {
    let known = write.as_object_mut().expect("a write");
    known.remove("by");
    if known["verb"] == "delete" || known.contains_key("error") {
        known.remove("status");
    }
    if let Some(status) = known.get_mut("status").and_then(Value::as_object_mut) {
        for key in ["generation", "deletion_s", "deletion_grace"] {
            status.remove(key);
        }
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_object_mut) {
            conditions.retain(|kind, _| KINDS.contains(&kind.as_str()));
        }
    }
    write
}

fn strip_event(mut event: Value) -> Value {
    let known = event.as_object_mut().expect("an event");
    known.remove("type");
    if known["reason"] == "BackOff"
        && let Some(message) = known["message"].as_str().map(str::to_owned)
        && let Some((head, _)) = message.split_once('(')
    {
        known.insert("message".to_owned(), json!(head));
    }
    event
}

fn part(
    name: &str,
    ours: Vec<Value>,
    theirs: Vec<Value>,
    is_unordered: bool,
) -> Option<(u64, String)> {
    let order = |list: Vec<Value>| {
        let time = |v: &Value| v["t"].as_u64().unwrap_or(0);
        let mut list = list;
        if !is_unordered {
            // Several pods of one instant come in any order; those of one pod keep theirs.
            let pod = |v: &Value| v["pod"].as_str().map(str::to_owned);
            list.sort_by_key(|v| (time(v), pod(v)));
        }
        let mut list: Vec<(u64, String)> = list.iter().map(|v| (time(v), v.to_string())).collect();
        if is_unordered {
            list.sort();
        }
        list
    };
    let (ours, theirs) = (order(ours), order(theirs));
    let at = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at))?;
    let (one, other) = (ours.get(at), theirs.get(at));
    let when = one.into_iter().chain(other).map(|(when, _)| *when).min().unwrap_or(0);
    let told = |side: Option<&(u64, String)>| {
        side.map_or_else(|| "nothing".to_owned(), |(_, text)| text.clone())
    };
    Some((when, format!("{name}: {}, not {}", told(one), told(other))))
}
