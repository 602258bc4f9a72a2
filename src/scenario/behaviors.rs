//! What containers do: entries of `behaviors` become rules, checked against what is there.

use crate::base::{Bytes, Distribution, Duration, Interner, MilliCpu, Ratio, SimTime};
use crate::model::{
    Behavior, BehaviorChange, BehaviorRule, Callee, Downstream, Exit, Hang, HangWhen, HookFailures,
    Intervals, Logs, ObjectName, Release, Serve, Shutdown, Workload, WorkloadKind, Writes,
};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::clients::{self, BACKLOG, CONCURRENCY};
use super::cpu;
use super::file::{BehaviorFile, DownstreamFile, ExitFile, HangFile, HookFailsFile, ShutdownFile};
use super::input::Input;
use super::known::{Gaps, missing, no_kind};
use super::units::Share;

/// What a container does when nobody says otherwise. The numbers are assumptions, shown by
/// `check --show`: it starts within seconds, serves within tens of milliseconds, and exits at once
/// on SIGTERM, as most programs do that do not care.
pub(super) fn standard() -> Behavior {
    Behavior {
        start: Distribution::log_normal_p99(1.0, 4.0),
        shutdown: Shutdown { accept: Duration::ZERO, drain: Duration::ZERO, ignores_signal: false },
        serve: Some(Serve {
            cpu: Duration::ms(5),
            backlog: BACKLOG,
            ..Serve::new(Distribution::log_normal_p99(0.010, 0.060), CONCURRENCY)
        }),
        calls: Vec::new(),
        hang: None,
        run: None,
        cpu_idle: MilliCpu(1),
        cpu: None,
        memory: Bytes::mib(64),
        leak: Bytes(0),
        call_memory: Bytes(0),
        writes: None,
        logs: None,
        gates: None,
        tells_memory: false,
        hook: Duration::secs(1),
        hook_failures: HookFailures::default(),
        exits: Vec::new(),
        image_size: Bytes::mib(50),
        release: Release::plain(),
    }
}

/// Splits `KIND/[NAMESPACE/]NAME`.
pub(super) fn split_target(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(name), None, None) => Some((kind, "default", name)),
        (Some(kind), Some(namespace), Some(name), None) => Some((kind, namespace, name)),
        _ => None,
    }
}

/// An object's name in a namespace, interned.
pub(super) fn object_name(namespace: &str, name: &str, names: &mut Interner) -> ObjectName {
    ObjectName { namespace: names.intern(namespace), name: names.intern(name) }
}

/// The Service that `to: service/NAME` names.
pub(super) fn service(
    to: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<ObjectName> {
    let texts = |names: &Interner| -> Vec<String> {
        known.services.iter().map(|name| shown("service", *name, names)).collect()
    };
    let Some((kind, namespace, name)) = split_target(&to.value) else {
        found.push(no_kind(to.span, &to.value, &texts(names), "service/checkout"));
        return None;
    };
    if !matches!(kind, "service" | "services" | "svc") {
        let error = Diagnostic::error(to.span, format!("calls go to a service, not to a {kind}"));
        found.push(error.with_hint(format!("for example service/{name}")));
        return None;
    }
    let wanted = object_name(namespace, name, names);
    if known.services.contains(&wanted) {
        return Some(wanted);
    }
    if !known.gaps.objects {
        found.push(missing(to.span, ("service", wanted), &texts(names), names));
    }
    None
}

/// `KIND/NAME`, with the namespace if it is not `default`.
pub(super) fn shown(kind: &str, name: ObjectName, names: &Interner) -> String {
    name.of_kind(kind, names)
}

/// What is there for behaviours to refer to.
pub(super) struct Known<'a> {
    pub workloads: &'a [Workload],
    pub services: &'a [ObjectName],
    pub gaps: Gaps,
}

/// The rule that an entry stands for.
pub(super) fn lower(
    entry: &Spanned<BehaviorFile>,
    known: &Known<'_>,
    names: &mut Interner,
    input: &mut Input,
) -> BehaviorRule {
    let cpu = entry.value.cpu.as_ref().and_then(|cpu| cpu::lower(cpu, input));
    let found = &mut input.found;
    let file = &entry.value;
    let workload = file.target.as_ref().and_then(|t| workload(t, known, names, found));
    let calls = file.calls.as_ref().map(|calls| {
        let call = |call: &Spanned<DownstreamFile>| downstream(call, known, names, found);
        calls.iter().filter_map(call).collect()
    });
    let law = |law: &Option<super::law::Law>| law.as_ref().map(|law| law.0.clone());
    let change = BehaviorChange {
        start: law(&file.start),
        shutdown: file.shutdown.as_ref().map(shutdown),
        serve: file.serve.as_ref().map(|s| clients::serve(s, found)),
        calls,
        hang: file.hang.as_ref().and_then(|h| hang(h, found)),
        run: law(&file.run),
        exits: file.exit.as_ref().map(|all| all.iter().map(|e| exit(e, found)).collect()),
        cpu_idle: file.cpu_idle.map(|cpu| cpu.0),
        cpu,
        memory: file.memory.map(|size| size.0),
        leak: file.leak.map(|size| size.0),
        call_memory: file.memory_per_call.map(|size| size.0),
        writes: file.writes.as_ref().map(|writes| Writes {
            start: writes.start.map_or(Bytes(0), |size| size.0),
            rate: writes.rate.map_or(Bytes(0), |size| size.0),
            call: writes.per_call.map_or(Bytes(0), |size| size.0),
            volume: writes.volume.as_ref().map(|name| names.intern(&name.value)),
        }),
        logs: file.logs.as_ref().map(|logs| Logs {
            rate: logs.rate.map_or(Bytes(0), |size| size.0),
            call: logs.per_call.map_or(Bytes(0), |size| size.0),
        }),
        gates: law(&file.gates),
        hook: file.hook.map(|span| span.0),
        hook_failures: file.hook_fails.as_ref().map(hook_failures),
        image_size: file.image_size.map(|size| size.0),
        release: file.release.as_ref().map(|r| clients::release(&r.value, names, found)),
    };
    if change == BehaviorChange::default() && file.cpu.is_none() {
        let warning = Diagnostic::warning(entry.span, "this behaviour changes nothing");
        found.push(warning.with_hint("give it start, shutdown, serve, calls, run, memory …"));
    }
    BehaviorRule {
        workload,
        container: file.container.as_ref().map(|name| names.intern(&name.value)),
        image: file.image.as_ref().map(|image| image.value.clone()),
        change,
    }
}

pub(super) fn workload(
    target: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<Workload> {
    let texts = |names: &Interner| -> Vec<String> {
        known.workloads.iter().map(|w| shown(w.kind.as_str(), w.name, names)).collect()
    };
    let Some((kind, namespace, name)) = split_target(&target.value) else {
        found.push(no_kind(target.span, &target.value, &texts(names), "deployment/checkout"));
        return None;
    };
    let kind = match kind {
        "deployment" | "deployments" | "deploy" => WorkloadKind::Deployment,
        "replicaset" | "replicasets" | "rs" => WorkloadKind::ReplicaSet,
        "replicationcontroller" | "replicationcontrollers" | "rc" => {
            WorkloadKind::ReplicationController
        }
        "statefulset" | "statefulsets" | "sts" => WorkloadKind::StatefulSet,
        "daemonset" | "daemonsets" | "ds" => WorkloadKind::DaemonSet,
        "job" | "jobs" => WorkloadKind::Job,
        "cronjob" | "cronjobs" | "cj" | "scaledjob" | "scaledjobs" | "sj" => WorkloadKind::CronJob,
        "pod" | "pods" => WorkloadKind::Pod,
        "workload" => WorkloadKind::Generator,
        other => {
            let kinds = [
                "deployment",
                "replicaset",
                "statefulset",
                "daemonset",
                "job",
                "cronjob",
                "pod",
                "workload",
            ];
            let message = format!("no behaviour can be for a {other}");
            let error = Diagnostic::error(target.span, message);
            let error = error.with_hint(format!("it can be for a {}", kinds.join(", ")));
            found.push(error.with_suggestion(other, kinds));
            return None;
        }
    };
    let wanted = Workload { kind, name: object_name(namespace, name, names) };
    if known.workloads.contains(&wanted) {
        return Some(wanted);
    }
    let gap = match kind {
        WorkloadKind::Generator => known.gaps.generators,
        _ => known.gaps.objects,
    };
    if !gap {
        found.push(missing(target.span, (kind.as_str(), wanted.name), &texts(names), names));
    }
    None
}

fn downstream(
    call: &Spanned<DownstreamFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<Downstream> {
    let to = callee(call, known, names, found)?;
    let times = call.value.times.as_ref().map_or(1, |times| times.value);
    if times == 0 || times > 1000 {
        let place = call.value.times.as_ref().map_or(call.span, |times| times.span);
        found.error(place, format!("a call is made from 1 to 1000 times, not {times}"));
        return None;
    }
    let probability = call.value.probability.map_or(1.0, |Share(Ratio(part))| part);
    Some(Downstream {
        to,
        times,
        parallel: call.value.parallel,
        probability,
        optional: call.value.optional,
        client: clients::client(&(&call.value).into(), found),
    })
}

/// Whom a container calls.
fn callee(
    call: &Spanned<DownstreamFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<Callee> {
    let file = &call.value;
    let Some(("container", _, name)) = split_target(&file.to.value) else {
        return service(&file.to, known, names, found).map(Callee::Service);
    };
    // Localhost is always there and never full: what is for a network has no sense.
    let keys = [
        ("timeout", file.timeout.as_ref().map(|key| key.span)),
        ("connectTimeout", file.connect_timeout.as_ref().map(|key| key.span)),
        ("deadline", file.deadline.as_ref().map(|key| key.span)),
        ("connections", file.connections.as_ref().map(|key| key.span)),
        ("retries", file.retries.as_ref().map(|key| key.span)),
        ("hedge", file.hedge.as_ref().map(|key| key.span)),
        ("ejection", file.ejection.as_ref().map(|key| key.span)),
        ("callsMax", file.calls_max.as_ref().map(|key| key.span)),
    ];
    for (key, span) in keys {
        if let Some(span) = span {
            let message = format!("`{key}` is for calls to a service");
            let hint = "a container of the same pod is called by localhost";
            found.push(Diagnostic::error(span, message).with_hint(hint));
        }
    }
    Some(Callee::Container(names.intern(name)))
}

fn exit(file: &Spanned<ExitFile>, found: &mut Diagnostics) -> Exit {
    let ExitFile { code, indexes, share, runs } = &file.value;
    if *code == 0 {
        found.error(file.span, "a code of an exit that fails is from 1 to 255");
    }
    Exit {
        code: *code,
        indexes: indexes.as_ref().map(|all| Intervals::of(all.iter().copied())),
        share: share.as_ref().map_or(1.0, |share| {
            let Ratio(part) = share.0;
            part
        }),
        runs: *runs,
    }
}

fn hook_failures(file: &HookFailsFile) -> HookFailures {
    let part = |share: Option<Share>| share.map_or(0.0, |Share(Ratio(part))| part);
    HookFailures { post_start: part(file.post_start), pre_stop: part(file.pre_stop) }
}

fn hang(file: &Spanned<HangFile>, found: &mut Diagnostics) -> Option<Hang> {
    let HangFile { at, after, calls, lasts, share } = &file.value;
    let when = match (at, after, calls) {
        (Some(at), None, None) => HangWhen::At(SimTime::at(at.0)),
        (None, Some(law), None) => HangWhen::After(law.0.clone()),
        (None, None, Some(calls)) => HangWhen::Calls((*calls).max(1)),
        _ => {
            let message = "expected exactly one of at, after and calls: when it hangs";
            let error = Diagnostic::error(file.span, message);
            found.push(error.with_hint("for example hang: { after: 60s, lasts: 30s }"));
            return None;
        }
    };
    let lasts = lasts.map(|lasts| lasts.0);
    if lasts.is_some_and(Duration::is_zero) {
        found.error(file.span, "a hang that lasts for no time");
    }
    Some(Hang { when, lasts, share: share.map_or(1.0, |Share(Ratio(part))| part) })
}

fn shutdown(file: &ShutdownFile) -> Shutdown {
    let span = |span: Option<super::units::Span>| span.map_or(Duration::ZERO, |span| span.0);
    Shutdown {
        accept: span(file.accept),
        drain: span(file.drain),
        ignores_signal: file.ignores_signal,
    }
}
