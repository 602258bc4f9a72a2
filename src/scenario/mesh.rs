//! `cluster.mesh`: a service mesh whose proxies stand in the pods' manifests, or are put there.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::{Distribution, Duration, Interner, Ratio};
use crate::manifest::Document;
use crate::model::{
    Balance, BehaviorChange, BehaviorRule, Conditions, Injection, MeshSpec, NO_LIMIT, Proxied,
    PushSpec, Shutdown, Template,
};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::clients;
use super::file::MeshFile;
use super::file_mesh::{BalanceFile, InjectedFile, InjectionFile, MeshRetriesFile};
use super::objects::identity;
use super::show::show_law;
use super::units::{Share, Span};

/// What Istio calls its proxy's container, and how long that drains.
const CONTAINER: &str = "istio-proxy";
const DRAIN: Duration = Duration::secs(5);
/// More tries after the first, at most.
const TRIES_MAX: u32 = 100;

/// What a scenario's mesh becomes.
pub(super) struct Lowered {
    pub spec: MeshSpec,
    /// How its proxies start and stop when no other rule says so.
    pub rule: BehaviorRule,
    pub proxied: Proxied,
}

/// The mesh, checked as far as that needs no pods.
pub(super) fn lower(
    file: Option<&Spanned<MeshFile>>,
    (is_ideal, documents): (bool, &[Document]),
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<Lowered> {
    let file = &file?.value;
    let name = file.container.as_ref().map_or(CONTAINER, |name| name.value.as_str());
    let container = names.intern(name);
    let start = file.start.as_ref().map(|law| law.0.clone());
    let accept = file.drain.as_ref().map_or(DRAIN, |drain| drain.value.0);
    let change = BehaviorChange {
        start: Some(start.unwrap_or_else(|| Distribution::log_normal_p99(1.0, 3.0))),
        shutdown: Some(Shutdown { accept, drain: Duration::ZERO, ignores_signal: false }),
        ..BehaviorChange::default()
    };
    let rule = BehaviorRule { workload: None, container: Some(container), image: None, change };
    let injection = file.injection.as_ref().map(|file| {
        let own = file.value.namespaces.clone();
        let is_by_label = own.is_none();
        let namespaces = own.unwrap_or_else(|| labelled(documents));
        Arc::new(injection(name, &file.value, (namespaces, is_by_label), found))
    });
    let mut spec = MeshSpec::istio(container);
    set(&mut spec, file, is_ideal, found);
    Some(Lowered { spec, rule, proxied: Proxied { container, injection } })
}

fn set(to: &mut MeshSpec, file: &MeshFile, is_ideal: bool, found: &mut Diagnostics) {
    if let Some(law) = &file.latency {
        to.latency = law.0.clone();
    }
    if is_ideal {
        to.push = PushSpec::ideal();
    }
    if let Some(push) = file.push.as_ref().map(|push| &push.value) {
        let span = |given: &Option<Spanned<Span>>, or| given.as_ref().map_or(or, |s| s.value.0);
        to.push.debounce = span(&push.debounce, to.push.debounce);
        to.push.debounce_max = span(&push.debounce_max, to.push.debounce_max);
        if let Some(most) = &push.debounce_max
            && most.value.0 < to.push.debounce
        {
            let message = "`debounceMax` is shorter than `debounce`, which then bounds nothing";
            found.push(Diagnostic::error(most.span, message).with_hint("debounceMax: 10s"));
        }
        if let Some(law) = &push.takes {
            to.push.takes = law.0.clone();
        }
    }
    to.balance = match file.balance {
        Some(BalanceFile::LeastRequest) | None => Balance::LeastRequest,
        Some(BalanceFile::RoundRobin) => Balance::RoundRobin,
        Some(BalanceFile::Random) => Balance::Random,
    };
    if let Some(retries) = &file.retries {
        set_retries(to, &retries.value, found);
    }
    to.client.ejection = file.ejection.as_ref().map(|file| clients::ejection(&file.value, found));
    if let Some(warmup) = &file.warmup {
        to.warmup = warmup.value.0;
    }
    if let Some(Share(Ratio(part))) = file.panic {
        to.panic = part;
    }
    if let Some(most) = &file.calls_max {
        if most.value == 0 {
            let error = Diagnostic::error(most.span, "with no call at a time there are no calls");
            found.push(error.with_hint("without the key any number may be under way"));
        }
        to.client.calls_max = most.value;
    }
    if let Some(connect) = &file.connect_timeout {
        not_zero(connect, "connectTimeout", found);
        to.client.connect_timeout = connect.value.0;
    }
    to.client.connections.tls = file.mtls.unwrap_or(true);
    to.exits_when_idle = file.exit_when_idle.unwrap_or(false);
}

fn not_zero(span: &Spanned<Span>, key: &str, found: &mut Diagnostics) {
    if span.value.0.is_zero() {
        found.error(span.span, format!("with a `{key}` of 0s every call fails"));
    }
}

fn set_retries(to: &mut MeshSpec, file: &MeshRetriesFile, found: &mut Diagnostics) {
    let retries = &mut to.client.retries;
    if let Some(attempts) = &file.attempts {
        if attempts.value > TRIES_MAX {
            let message = format!("a call is tried again {TRIES_MAX} times at most");
            found.error(attempts.span, message);
        }
        retries.attempts = attempts.value;
    }
    if let Some(back_off) = &file.back_off {
        retries.back_off = clients::back_off(back_off, found);
    }
    if let Some(budget) = &file.budget {
        retries.budget = clients::budget(budget, found);
    }
    if let Some(timeout) = &file.per_try_timeout {
        not_zero(timeout, "perTryTimeout", found);
        to.client.timeout = timeout.value.0;
    }
    if let Some(on) = &file.on {
        let place = |word: &Spanned<String>| {
            let place = Conditions::NAMES.iter().position(|name| *name == word.value);
            if place.is_none() {
                let message = format!("no condition of Envoy's is called \"{}\"", word.value);
                let hint = format!("known are {}", Conditions::NAMES.join(", "));
                let error = Diagnostic::error(word.span, message).with_hint(hint);
                found.push(error.with_suggestion(&word.value, Conditions::NAMES));
            }
            place.and_then(|place| u8::try_from(place).ok())
        };
        to.on = Conditions::of(on.iter().filter_map(place).collect::<Vec<_>>());
    }
    to.resends = file.resend.unwrap_or(false);
}

/// The namespaces whose label asks for the proxy.
fn labelled(documents: &[Document]) -> Vec<String> {
    let asks = |document: &&Document| {
        let labels = document.root().at(&["metadata", "labels"]);
        let label = |key| labels.and_then(|labels| labels.get(key)?.as_str());
        document.kind.value == "Namespace"
            && Injection::is_asked_for(label("istio-injection"), label("istio.io/rev"))
    };
    documents.iter().filter(asks).map(|document| identity(document).2.to_owned()).collect()
}

/// The container that is put into pods, as Istio's template has it.
fn injection(
    name: &str,
    file: &InjectionFile,
    (namespaces, is_by_label): (Vec<String>, bool),
    found: &mut Diagnostics,
) -> Injection {
    let is_native = file.kind.as_ref().is_none_or(|k| k.value == InjectedFile::NativeSidecar);
    if let Some(hold) = file.hold_application.as_ref().filter(|_| is_native) {
        let message = "a native sidecar starts before the other containers by itself";
        let warning = Diagnostic::warning(hold.span, message);
        found.push(warning.with_hint("holdApplication is for kind: container"));
    }
    let holds = !is_native && file.hold_application.as_ref().is_some_and(|hold| hold.value);
    let amount = |given: &Option<super::units::Amount>, or: &str| {
        given.as_ref().map_or_else(|| or.to_owned(), |given| given.0.clone())
    };
    let probe = |period: u32, failures: u32| {
        json!({
            "httpGet": { "path": "/healthz/ready", "port": 15_021, "scheme": "HTTP" },
            "periodSeconds": period,
            "timeoutSeconds": 3,
            "successThreshold": 1,
            "failureThreshold": failures,
        })
    };
    let (cpu, memory) = (amount(&file.cpu, "100m"), amount(&file.memory, "128Mi"));
    let mut container = json!({
        "name": name,
        "image": "docker.io/istio/proxyv2:1.29.0",
        "imagePullPolicy": "IfNotPresent",
        "resources": {
            "requests": { "cpu": cpu, "memory": memory },
            "limits": { "cpu": "2", "memory": "1Gi" },
        },
        "readinessProbe": probe(15, 4),
        "startupProbe": probe(1, 600),
        "lifecycle": {},
    });
    if is_native {
        container["restartPolicy"] = json!("Always");
    }
    if holds {
        let wait = json!({ "exec": { "command": ["pilot-agent", "wait"] } });
        container["lifecycle"]["postStart"] = wait;
    }
    if let Some(command) = &file.pre_stop {
        container["lifecycle"]["preStop"] = json!({ "exec": { "command": command } });
    }
    Injection { namespaces, is_by_label, container, is_native, is_first: is_native || holds }
}

/// A mesh that no pod is part of is hardly meant.
pub(super) fn check(
    file: Option<&Spanned<MeshFile>>,
    mesh: Option<&MeshSpec>,
    (templates, is_later): (&[&Template], bool),
    names: &Interner,
    found: &mut Diagnostics,
) {
    let (Some(file), Some(mesh)) = (file, mesh) else { return };
    if templates.iter().any(|template| template.is_meshed(Some(mesh))) {
        return;
    }
    if let Some(injection) = &file.value.injection {
        if is_later && injection.value.namespaces.is_none() {
            let message = "no pod gets the proxy before a command labels its namespace";
            return found.push(Diagnostic::warning(injection.span, message));
        }
        let error = Diagnostic::error(injection.span, "no pod gets the proxy");
        let hint = "namespaces: [default], or a Namespace with the label istio-injection: enabled";
        return found.push(error.with_hint(hint));
    }
    let name = names.resolve(mesh.container);
    let place = file.value.container.as_ref().map_or(file.span, |name| name.span);
    let all = templates
        .iter()
        .flat_map(|template| template.spec.init_containers.iter().chain(&template.spec.containers));
    let error = Diagnostic::error(place, format!("no pod has a container \"{name}\""));
    let error = error.with_hint("`injection` puts it there, as istioctl kube-inject does");
    found.push(error.with_suggestion(name, all.map(|container| names.resolve(container.name))));
}

/// The mesh after defaults.
pub(super) fn show(mesh: &MeshSpec, proxied: Option<&Proxied>, names: &Interner) -> Value {
    let injection = proxied.and_then(|proxied| proxied.injection.as_deref());
    json!({
        "container": names.resolve(mesh.container),
        "injection": injection.map(|injection| json!({
            "kind": if injection.is_native { "native-sidecar" } else { "container" },
            "namespaces": injection.namespaces,
            "holdApplication": injection.is_first && !injection.is_native,
            "container": injection.container,
        })),
        "latency": show_law(&mesh.latency),
        "push": {
            "debounce": mesh.push.debounce.go_text(),
            "debounceMax": mesh.push.debounce_max.go_text(),
            "takes": show_law(&mesh.push.takes),
        },
        "balance": match mesh.balance {
            Balance::LeastRequest => "least-request",
            Balance::RoundRobin => "round-robin",
            Balance::Random => "random",
        },
        "retries": {
            "attempts": mesh.client.retries.attempts,
            "on": mesh.on.names().collect::<Vec<_>>(),
            "perTryTimeout": (mesh.client.timeout != NO_LIMIT)
                .then(|| mesh.client.timeout.go_text()),
            "resend": mesh.resends,
        },
        "panic": mesh.panic,
        "warmup": mesh.warmup.go_text(),
        "exitWhenIdle": mesh.exits_when_idle,
        "client": super::show_calls::client(&mesh.client),
    })
}
