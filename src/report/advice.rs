//! Why calls failed, and what may help: sentences for the end of the printed summary.
//!
//! A suggestion is derived from what was seen, not simulated: it says so.

use crate::base::{Duration, cast};
use crate::model::{
    Container, DeploymentSpec, Hook, Probe, ProbeKind, Strategy, Workload, WorkloadKind,
};
use crate::record::Cause;
use crate::recorder::Facts;

use super::summary::Summary;
use super::{drains, names, words};

/// One reason and one suggestion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advice {
    /// What was seen.
    pub(super) why: String,
    /// What may help.
    pub(super) try_this: String,
}

/// Causes that have the same remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Stop,
    NotYetServing,
    NoReadyPod,
    Overload,
    NodeDown,
    ProcessDown,
    OutOfMemory,
    SlowService,
    ServerFault,
    IdleClosed,
    CallerFull,
    Incompatible,
    Hung,
    KilledByProbe,
    Balancer,
    Reused,
    NotOnNode,
    MeshProxy,
    CutByReload,
    Ejected,
    NoRoute,
}

impl Group {
    const fn of(cause: Cause) -> Option<Self> {
        match cause {
            Cause::StaleProxy
            | Cause::StaleIngress
            | Cause::StaleMesh
            | Cause::StaleDns
            | Cause::CutByStop
            | Cause::CutWaiting
            | Cause::ConnectionClosed => Some(Self::Stop),
            Cause::NotYetServing => Some(Self::NotYetServing),
            Cause::NoReadyPod => Some(Self::NoReadyPod),
            Cause::BacklogFull | Cause::WaitedTooLong => Some(Self::Overload),
            Cause::NodeDown => Some(Self::NodeDown),
            Cause::ProcessDown => Some(Self::ProcessDown),
            Cause::OutOfMemory => Some(Self::OutOfMemory),
            Cause::SlowService => Some(Self::SlowService),
            Cause::ServerFault => Some(Self::ServerFault),
            Cause::IdleClosed => Some(Self::IdleClosed),
            Cause::CallerFull => Some(Self::CallerFull),
            Cause::Incompatible => Some(Self::Incompatible),
            Cause::Hung => Some(Self::Hung),
            Cause::KilledByProbe => Some(Self::KilledByProbe),
            Cause::OtherApplication => Some(Self::Reused),
            Cause::StaleBalancer => Some(Self::Balancer),
            Cause::NotOnNode => Some(Self::NotOnNode),
            Cause::NoMeshProxy | Cause::CutByMeshProxy => Some(Self::MeshProxy),
            Cause::CutByReload => Some(Self::CutByReload),
            Cause::Ejected => Some(Self::Ejected),
            Cause::NoRoute => Some(Self::NoRoute),
            // The call that it depended on has a cause of its own; a network that was cut has none
            // that a workload could help.
            Cause::Downstream | Cause::Partitioned | Cause::None => None,
        }
    }
}

/// The failures of one Service that have one remedy.
struct Failures {
    service: usize,
    group: Group,
    failed: f64,
}

/// The two remedies that would help most calls; else why pods were never placed.
pub(super) fn advice(summary: &Summary, facts: &Facts) -> Vec<Advice> {
    let services = names::services(&facts.model);
    let mut all: Vec<Failures> = Vec::new();
    for (service, name) in services.iter().enumerate() {
        for cause in Cause::ALL {
            let path = ["services", name, "calls", "by_cause", cause.as_str()];
            let failed = summary.value(&path).unwrap_or(0.0);
            let Some(group) = Group::of(cause).filter(|_| failed > 0.0) else {
                continue;
            };
            let same = |f: &&mut Failures| f.service == service && f.group == group;
            match all.iter_mut().find(same) {
                Some(known) => known.failed += failed,
                None => all.push(Failures { service, group, failed }),
            }
        }
    }
    blame_killers(&mut all);
    all.sort_by(|a, b| b.failed.total_cmp(&a.failed));
    let total: f64 = all.iter().map(|f| f.failed).sum();
    let weighty = all.iter().filter(|f| f.failed >= total / 10.0).take(2);
    let advice: Vec<Advice> =
        weighty.map(|f| of_failures(f, &services[f.service], summary, facts)).collect();
    let mut all: Vec<Advice> = drains::advice(facts).into_iter().chain(advice).collect();
    if all.is_empty() {
        all.extend(of_pulls(facts));
        all.extend(of_sandboxes(facts));
        all.extend(of_pods(summary));
    }
    all.truncate(2);
    all
}

/// Who has killed pods is what to change, not how they roll: calls that met no pod of a Service
/// count with those that were cut when its pods were killed.
fn blame_killers(all: &mut Vec<Failures>) {
    let is_killer = |f: &&Failures| matches!(f.group, Group::KilledByProbe | Group::OutOfMemory);
    let killers: Vec<(usize, Group)> =
        all.iter().filter(is_killer).map(|f| (f.service, f.group)).collect();
    for (service, killer) in killers {
        let is_gap = |f: &Failures| {
            f.service == service && matches!(f.group, Group::NoReadyPod | Group::ProcessDown)
        };
        let gaps: f64 = all.iter().filter(|f| is_gap(f)).map(|f| f.failed).sum();
        all.retain(|f| !is_gap(f));
        let mut own = all.iter_mut().filter(|f| f.service == service && f.group == killer);
        own.by_ref().for_each(|f| f.failed += gaps);
    }
}

fn of_failures(failures: &Failures, name: &str, summary: &Summary, facts: &Facts) -> Advice {
    let model = &facts.model;
    let served_by = |spec: &&DeploymentSpec| {
        let workload = Workload { kind: WorkloadKind::Deployment, name: spec.name };
        names::services_of(model, workload).contains(&failures.service)
    };
    let spec = model.deployments.iter().find(served_by);
    let (why, try_this) = match failures.group {
        Group::Stop => of_stop(name, spec, summary),
        Group::NotYetServing => of_start(name, spec),
        Group::NoReadyPod => of_no_pod(name, spec),
        Group::Overload => (
            format!("the pods of {name} got more calls than they can serve."),
            "more replicas, or an autoscaler that acts earlier".to_owned(),
        ),
        Group::NodeDown => (
            format!("calls to {name} still went to a node that was down."),
            "more replicas on more nodes, and retries of callers with a short timeout".to_owned(),
        ),
        Group::ProcessDown => (
            format!("a pod of {name} was in rotation while its process was down."),
            "a readinessProbe that asks often, and more replicas".to_owned(),
        ),
        Group::OutOfMemory => (
            format!(
                "containers of {name} were killed at their memory limit, and started again later each \
                 time."
            ),
            "a higher memory limit, or fewer calls at a time (serve.concurrency)".to_owned(),
        ),
        Group::SlowService => (
            format!("{name} takes longer than its callers wait."),
            "a longer timeout, or fewer calls a pod".to_owned(),
        ),
        Group::IdleClosed => (
            format!("callers used connections that {name} had closed as idle."),
            "an idle time-out of the callers' pools below that of the server (connections.idleMax)"
                .to_owned(),
        ),
        Group::CallerFull => (
            format!("callers of {name} had as many calls under way as they allow (callsMax)."),
            "answers that come faster: more replicas; a larger callsMax moves the wait to them"
                .to_owned(),
        ),
        Group::Incompatible => (
            format!("callers and pods of {name} spoke different versions while both were there."),
            "a release that understands the old version too, rolled out before its callers"
                .to_owned(),
        ),
        Group::Hung => of_hung(name, spec),
        Group::KilledByProbe => of_probe(name, spec),
        Group::Reused => (
            format!("callers of {name} had addresses that pods of another application had by then."),
            "callers that ask DNS more often (dnsCache), pods that serve for longer than that after \
             their deletion, or a larger range of addresses (cluster.addresses)"
                .to_owned(),
        ),
        Group::Balancer => of_balancer(name, spec),
        Group::MeshProxy => (
            format!("calls of {name} met a pod whose mesh proxy had ended or not begun."),
            "the proxy as a native sidecar, which starts before and ends after the other containers"
                .to_owned(),
        ),
        Group::CutByReload => (
            format!("calls of {name} lasted longer than an ingress proxy's old processes."),
            "a longer cluster.ingress.drain (worker-shutdown-timeout), or dynamic endpoints"
                .to_owned(),
        ),
        Group::Ejected => (
            format!("mesh proxies had ejected all pods of {name}, and none was left to call."),
            "a lower cluster.mesh.ejection.share (maxEjectionPercent), or a panic threshold \
             (cluster.mesh.panic)"
                .to_owned(),
        ),
        Group::NoRoute => (
            format!("no Ingress led calls of {name} to a service and port that were there."),
            "a rule for host and path that stays while callers use it; the new Service before the \
             path that leads to it"
                .to_owned(),
        ),
        Group::NotOnNode => (
            format!("a traffic policy of {name} is Local, and calls came to nodes without a pod."),
            "the policy Cluster, or a pod on each node that callers use (a DaemonSet)".to_owned(),
        ),
        Group::ServerFault => (
            format!("{name} answers with errors of its own (serve.errors)."),
            "retries of callers".to_owned(),
        ),
    };
    Advice { why, try_this }
}

const NOT_RECREATE: &str = "strategy RollingUpdate in place of Recreate";

/// The container that serves calls.
fn server(spec: &DeploymentSpec) -> Option<&Container> {
    let template = &spec.template;
    template.spec.containers.get(usize::from(template.server?))
}

/// How long after the deletion of a pod its server takes calls: the preStop hook, and what it
/// accepts after the signal.
fn stops_after(spec: &DeploymentSpec) -> (Option<Duration>, Duration) {
    let accept = spec
        .template
        .server
        .map_or(Duration::ZERO, |index| spec.template.behavior(usize::from(index)).shutdown.accept);
    let hook = match server(spec).and_then(|container| container.pre_stop.as_ref()) {
        Some(Hook::Sleep(span) | Hook::Exec(Some(span))) => Some(*span),
        Some(Hook::Exec(None) | Hook::Http) | None => None,
    };
    (hook, accept)
}

fn of_stop(name: &str, spec: Option<&DeploymentSpec>, summary: &Summary) -> (String, String) {
    let (hook, accept) = spec.map_or((None, Duration::ZERO), stops_after);
    let path = ["services", name, "calls", "failed_after_deletion_max"];
    let seen = summary.get(&path).map(|number| number.runs.iter().flatten().copied());
    let late = seen.and_then(|runs| runs.reduce(f64::max));
    let stops = match hook {
        None => format!("{name} stops {accept} after SIGTERM"),
        Some(hook) => format!("{name} stops {} after the deletion of its pod", hook + accept),
    };
    if spec.is_some_and(|spec| spec.strategy == Strategy::Recreate) {
        return (format!("{stops}, and all of its pods go at once."), NOT_RECREATE.to_owned());
    }
    if let Some(cut) = spec.and_then(|spec| of_cut(name, spec, summary)) {
        return cut;
    }
    let Some(late) = late else {
        return (format!("{stops}."), "a preStop sleep of some seconds".to_owned());
    };
    let late_text = words::value(late, super::summary::Unit::Seconds);
    let why = format!("{stops}; calls failed up to {late_text} after the deletion of their pod.");
    let sleep = cast::u64_trunc(late) + 1;
    if hook.is_some_and(|hook| hook >= Duration::secs(sleep)) {
        return (why, "a drain on SIGTERM that lets the calls in flight end".to_owned());
    }
    let grace = spec.map_or(Duration::secs(30), |spec| spec.template.spec.grace);
    let more = if Duration::secs(sleep) >= grace {
        " and a longer terminationGracePeriodSeconds"
    } else {
        ""
    };
    let drains = spec.is_none_or(|spec| {
        let server = spec.template.server.map(usize::from);
        server.is_none_or(|index| !spec.template.behavior(index).shutdown.drain.is_zero())
    });
    let of = |cause: Cause| {
        summary.value(&["services", name, "calls", "by_cause", cause.as_str()]).unwrap_or(0.0)
    };
    let more = if !drains && of(Cause::CutByStop) + of(Cause::CutWaiting) > of(Cause::StaleProxy) {
        format!("{more}, and a drain on SIGTERM that lets the calls in flight end")
    } else {
        more.to_owned()
    };
    (why, format!("preStop sleep {sleep} s in {name}{more}"))
}

/// Calls that pods cut as they ended, where these are most of what failed: proxies that are late are
/// not why, and no sleep helps them (rules N463 to N465).
fn of_cut(name: &str, spec: &DeploymentSpec, summary: &Summary) -> Option<(String, String)> {
    let number = |what: &[&str]| {
        summary.value(&[&["services", name, "calls"], what].concat()).unwrap_or(0.0)
    };
    let of = |cause: Cause| number(&["by_cause", cause.as_str()]);
    let cut = of(Cause::CutByStop) + of(Cause::CutWaiting) + of(Cause::ConnectionClosed);
    let late = number(&["failed_after_deletion_max"]);
    if cut < of(Cause::StaleProxy) + of(Cause::StaleDns) + of(Cause::StaleIngress) {
        return None;
    }
    let behavior = spec.template.behavior(usize::from(spec.template.server?));
    let (shutdown, grace) = (behavior.shutdown, spec.template.spec.grace);
    let hook = stops_after(spec).0.unwrap_or(Duration::ZERO);
    if shutdown.ignores_signal {
        return Some((
            format!(
                "{name} does not hear SIGTERM: it is killed at the end of its grace of {grace}."
            ),
            "a program that gets the signal (exec form of the command, an init as PID 1) and ends \
             when its calls have"
                .to_owned(),
        ));
    }
    if shutdown.drain.is_zero() {
        return None;
    }
    if behavior.serve.as_ref().is_some_and(|serve| !serve.says_close) {
        return Some((
            format!(
                "{name} leaves its connections open on SIGTERM, so that calls came until it ended."
            ),
            "Connection: close or GOAWAY on SIGTERM (serve.saysClose)".to_owned(),
        ));
    }
    if late + 1.0 < grace.as_secs_f64() {
        return None;
    }
    let longest = number(&["latency_max"]);
    let enough = hook + Duration::secs(cast::u64_trunc(longest) + 2);
    let drain = if hook + shutdown.accept + shutdown.drain < enough {
        ", and a server that finishes its calls for as long"
    } else {
        ""
    };
    Some((
        format!("calls of {name} last longer than its pods have to end: a grace of {grace}."),
        format!("terminationGracePeriodSeconds {} in {name}{drain}", enough.whole_secs()),
    ))
}

fn of_start(name: &str, spec: Option<&DeploymentSpec>) -> (String, String) {
    let probes = spec.and_then(server).is_some_and(|container| container.readiness.is_some());
    let why = if probes {
        format!("{name} is ready before it can serve: its probe does not ask what serves calls.")
    } else {
        format!("{name} has no readinessProbe: its pods get calls before they can serve.")
    };
    let what = if probes { "a readinessProbe of" } else { "a readinessProbe on" };
    (why, format!("{what} the port that serves calls"))
}

/// What hangs is found by a liveness probe, and kept from callers by a readiness probe (rule N94).
fn of_hung(name: &str, spec: Option<&DeploymentSpec>) -> (String, String) {
    let container = spec.and_then(server);
    let asks = |probe: Option<Probe>| {
        probe.is_some_and(|probe| matches!(probe.how, ProbeKind::Http | ProbeKind::Grpc))
    };
    let (ready, alive) =
        container.map_or((false, false), |c| (asks(c.readiness), asks(c.liveness)));
    let why = format!("a process of {name} was there and answered nothing.");
    let try_this = match (ready, alive) {
        (false, _) => "a readinessProbe that asks the server itself (httpGet or grpc)",
        (true, false) => {
            "a livenessProbe that asks the server itself, slower than the readinessProbe"
        }
        (true, true) => {
            "probes that give up earlier (periodSeconds, failureThreshold), and retries"
        }
    };
    (why, try_this.to_owned())
}

/// What kills under load makes the load of the others greater (rule N481).
fn of_probe(name: &str, spec: Option<&DeploymentSpec>) -> (String, String) {
    let liveness = spec.and_then(server).and_then(|container| container.liveness);
    let why = match liveness {
        Some(probe) => format!(
            "containers of {name} were killed for a probe that gives up after {} × {}.",
            probe.failure_threshold, probe.period
        ),
        None => format!("containers of {name} were killed for a probe."),
    };
    let try_this = "a liveness probe that asks less of the server and waits longer (timeoutSeconds, \
                    failureThreshold); readiness alone keeps load away";
    (why, try_this.to_owned())
}

/// A balancer hears by its own checks that a pod is gone (rules N162, N190).
fn of_balancer(name: &str, spec: Option<&DeploymentSpec>) -> (String, String) {
    let hook = spec.and_then(|spec| stops_after(spec).0);
    let stops = hook.map_or(String::new(), |hook| format!(", which take calls for {hook} more"));
    let why = format!("the load balancer of {name} had not heard of pods that left a node{stops}.");
    let try_this = "a preStop sleep longer than the balancer's checks and deregistration, and a \
                    terminationGracePeriodSeconds above that";
    (why, try_this.to_owned())
}

fn of_no_pod(name: &str, spec: Option<&DeploymentSpec>) -> (String, String) {
    let why = format!("for a time no pod of {name} was ready.");
    let try_this = match spec.map(|spec| (&spec.strategy, spec.replicas)) {
        Some((Strategy::Recreate, _)) => NOT_RECREATE,
        Some((Strategy::RollingUpdate { .. }, 0 | 1)) => "two replicas or more, maxUnavailable 0",
        Some((Strategy::RollingUpdate { .. }, _)) => "maxUnavailable 0 and maxSurge 1",
        None => "two replicas or more, on several nodes",
    };
    (why, try_this.to_owned())
}

fn of_pulls(facts: &Facts) -> Option<Advice> {
    let pulls = &facts.pods.failed_pulls;
    let (image, count) = pulls.iter().max_by_key(|(_, count)| **count)?;
    let tries = if *count == 1 { "a pull" } else { "pulls" };
    let why = format!("{tries} of {image} failed in the first run, {count} in all.");
    let never = facts.model.outages.iter().any(|outage| outage.is_for_good(image));
    let try_this = if never {
        "a tag that is there: the rollout waits until one is, or for an undo"
    } else {
        "imagePullPolicy IfNotPresent, and images that are on the nodes before they are needed"
    };
    Some(Advice { why, try_this: try_this.to_owned() })
}

/// Pods that wait on a node whose network plugin fails (rule N58): it is Ready, so that the scheduler
/// goes on to choose it.
fn of_sandboxes(facts: &Facts) -> Option<Advice> {
    let sandboxes = &facts.pods.failed_sandboxes;
    let (node, most) = sandboxes.iter().max_by_key(|(_, count)| **count)?;
    let tries = if *most == 1 { "a sandbox" } else { "sandboxes" };
    let why = format!(
        "{tries} could not be made on node {node} in the first run, {most} in all; each is tried \
         again after 10 to 15 s."
    );
    let addresses = &facts.model.addresses;
    let try_this = if addresses.cluster.is_some() || addresses.node_bits.is_some() {
        "a larger range of addresses (cluster.addresses), or fewer pods a node".to_owned()
    } else {
        format!(
            "kubectl cordon {node} until its network plugin works, and delete the pods that wait \
             there"
        )
    };
    Some(Advice { why, try_this })
}

fn of_pods(summary: &Summary) -> Option<Advice> {
    let never = summary.get(&["pods", "never_scheduled"])?;
    let count = never.value.filter(|count| *count > 0.0)?;
    let reasons = summary.iter().filter(|(path, _)| {
        path.segments().starts_with(&["pods".to_owned(), "waited_for".to_owned()])
    });
    let most =
        reasons.max_by(|(_, a), (_, b)| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)));
    let reason = most.and_then(|(path, _)| path.segments().last().cloned())?;
    let count = words::value(count, never.unit);
    let why = format!("{count} pods found no node until the end, most for: {reason}.");
    let try_this = match reason.strip_prefix("Insufficient ") {
        Some(resource) => format!("more or larger nodes, or smaller requests of {resource}"),
        None => "nodes that meet what the pods ask for".to_owned(),
    };
    Some(Advice { why, try_this })
}
