//! Ingresses: their paths, the proxies that serve them, and calls that go through them.

use crate::base::{Duration, Interner};
use crate::manifest::Document;
use crate::model::{
    BehaviorChange, BehaviorRule, ConnectionKind, Finds, IngressPath, IngressPlace, IngressSpec,
    ObjectName, Serve, ServiceSpec, Template, Workload,
};
use crate::tree::{Diagnostic, Diagnostics, Span, Spanned, Value};

use super::behaviors::{self, Known, object_name, shown, split_target};
use super::file::{FindsFile, IngressFile, TrafficFile};
use super::known::missing;
use super::objects::identity;

/// Proxies outside the cluster, processes of one, and tries of a call at most.
const MOST: u32 = 1_000;

/// All paths of all Ingresses, with the places of what they lead to.
#[derive(Debug, Default)]
pub(super) struct Paths {
    pub all: Vec<IngressPath>,
    /// Whether there is a mesh, whose proxies ask whether a call may be sent again.
    pub is_meshed: bool,
    places: Vec<Span>,
}

impl Paths {
    /// Those of the documents.
    pub(super) fn of(documents: &[Document], names: &mut Interner) -> Self {
        let mut paths = Self::default();
        for document in documents.iter().filter(|document| document.kind.value == "Ingress") {
            let (_, namespace, name) = identity(document);
            let ingress = object_name(namespace, name, names);
            let Some(spec) = document.root().get("spec") else { continue };
            for rule in spec.get("rules").into_iter().flat_map(Value::items) {
                let host = rule.get("host").and_then(Value::as_str).unwrap_or("");
                let below = rule.at(&["http", "paths"]);
                for path in below.into_iter().flat_map(Value::items) {
                    let is_exact = path.get("pathType").and_then(Value::as_str) == Some("Exact");
                    let own = path.get("path").and_then(Value::as_str).unwrap_or("/");
                    let to = path.get("backend").unwrap_or(path);
                    paths.add((ingress, host, Some(own), is_exact), to, namespace, names);
                }
            }
            if let Some(to) = spec.get("defaultBackend") {
                paths.add((ingress, "", None, false), to, namespace, names);
            }
        }
        paths
    }

    fn add(
        &mut self,
        (ingress, host, path, is_exact): (ObjectName, &str, Option<&str>, bool),
        to: Value<'_>,
        namespace: &str,
        names: &mut Interner,
    ) {
        let service = to.at(&["service", "name"]).and_then(Value::as_str);
        self.places.push(to.span());
        self.all.push(IngressPath {
            ingress,
            host: host.to_owned(),
            path: path.map(str::to_owned),
            is_exact,
            backend: service.map(|name| object_name(namespace, name, names)),
        });
    }

    /// Paths that lead to a Service that is not there: calls would get 503.
    pub(super) fn warn(&self, services: &[ObjectName], names: &Interner, found: &mut Diagnostics) {
        for (path, place) in self.all.iter().zip(&self.places) {
            let Some(service) = path.backend.filter(|name| !services.contains(name)) else {
                continue;
            };
            let (ingress, name) = (names.resolve(path.ingress.name), names.resolve(service.name));
            let message =
                format!("ingress \"{ingress}\" leads to service \"{name}\", which is not there");
            let texts: Vec<String> =
                services.iter().map(|name| shown("service", *name, names)).collect();
            let wanted = shown("service", service, names);
            let warning = Diagnostic::warning(*place, message).with_hint("such calls get 503");
            found.push(warning.with_suggestion(&wanted, texts.iter().map(String::as_str)));
        }
    }
}

/// Whom a source calls: the Service, and the Ingress through which.
pub(super) fn target(
    file: &TrafficFile,
    (known, paths): (&Known<'_>, &Paths),
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(ObjectName, Option<ObjectName>)> {
    let to = &file.to;
    let by_url = to.value.strip_prefix("http://").or_else(|| to.value.strip_prefix("https://"));
    if let Some(url) = by_url {
        if let Some(second) = &file.url {
            found.error(second.span, "`to` is a URL already");
        }
        if paths.all.is_empty() && !known.gaps.objects {
            let error = Diagnostic::error(to.span, "there is no Ingress that takes this URL");
            found.push(error.with_hint("does `apply` name its manifest?"));
            return None;
        }
        return taken(url, to.span, &paths.all.iter().collect::<Vec<_>>(), known, names, found);
    }
    let Some(("ingress" | "ingresses" | "ing", namespace, name)) = split_target(&to.value) else {
        let keys = [
            ("url", file.url.as_ref().map(|url| url.span)),
            ("method", file.method.as_ref().filter(|_| !paths.is_meshed).map(|m| m.span)),
        ];
        for (key, span) in keys.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let message = format!("`{key}` is for calls through an Ingress");
            let hint = match key {
                "method" => "to: ingress/NAME, or a mesh (cluster.mesh)",
                _ => "to: ingress/NAME",
            };
            found.push(Diagnostic::error(span, message).with_hint(hint));
        }
        return behaviors::service(to, known, names, found).map(|service| (service, None));
    };
    if let Some(port) = &file.port {
        let error =
            Diagnostic::error(port.span, "an Ingress says which port of a Service it calls");
        found.push(error.with_hint("leave `port` out"));
    }
    let wanted = object_name(namespace, name, names);
    let own: Vec<&IngressPath> = paths.all.iter().filter(|path| path.ingress == wanted).collect();
    if own.is_empty() {
        if !known.gaps.objects {
            let mut texts: Vec<String> =
                paths.all.iter().map(|path| shown("ingress", path.ingress, names)).collect();
            texts.dedup();
            found.push(missing(to.span, ("ingress", wanted), &texts, names));
        }
        return None;
    }
    if let Some(url) = &file.url {
        let text = url.value.trim_start_matches("http://").trim_start_matches("https://");
        return taken(text, url.span, &own, known, names, found);
    }
    if own.iter().any(|path| path.backend != own[0].backend) {
        let message = format!("ingress \"{name}\" leads to several Services");
        let error = Diagnostic::error(to.span, message);
        found.push(error.with_hint(format!("say which: url: {}", own[0].example())));
        return None;
    }
    backend(own[0], to.span, known, names, found)
}

/// The path that takes a request.
fn taken(
    url: &str,
    place: Span,
    paths: &[&IngressPath],
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<(ObjectName, Option<ObjectName>)> {
    let cut = url.find('/').unwrap_or(url.len());
    let (host, path) = url.split_at(cut);
    let path = if path.is_empty() { "/" } else { path };
    let best = paths.iter().filter_map(|own| Some((own.takes(host, path)?, own)));
    // Of equal ones the first.
    let best = best.rev().max_by_key(|(how, _)| *how);
    let Some((_, best)) = best else {
        let all: Vec<String> = paths.iter().map(|path| path.example()).collect();
        let message = format!("no path of an Ingress takes \"{url}\": such calls get 404");
        let hint =
            format!("they take {}", all.iter().take(5).cloned().collect::<Vec<_>>().join(", "));
        let error = Diagnostic::error(place, message).with_hint(hint);
        found.push(error.with_suggestion(url, all.iter().map(String::as_str)));
        return None;
    };
    backend(best, place, known, names, found)
}

fn backend(
    path: &IngressPath,
    place: Span,
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<(ObjectName, Option<ObjectName>)> {
    let Some(service) = path.backend else {
        found.error(place, "this path of the Ingress leads to no Service");
        return None;
    };
    if !known.services.contains(&service) {
        if !known.gaps.objects {
            let texts: Vec<String> =
                known.services.iter().map(|name| shown("service", *name, names)).collect();
            found.push(missing(place, ("service", service), &texts, names));
        }
        return None;
    }
    Some((service, Some(path.ingress)))
}

/// The proxies, checked; which Service leads to them is found by [`front`].
pub(super) fn lower(
    file: Option<&Spanned<IngressFile>>,
    is_ideal: bool,
    found: &mut Diagnostics,
) -> IngressSpec {
    let mut to = if is_ideal { IngressSpec::ideal() } else { IngressSpec::nginx() };
    let Some(file) = file.map(|file| &file.value) else { return to };
    to.finds = match file.endpoints {
        Some(FindsFile::Dynamic) | None => Finds::Dynamic,
        Some(FindsFile::Reload) => Finds::Reload,
        Some(FindsFile::Service) => Finds::Service,
    };
    if let (Some(count), Some(_)) = (&file.proxies, &file.workload) {
        let error = Diagnostic::error(count.span, "`proxies` is for proxies outside the cluster");
        found.push(error.with_hint("the workload says how many pods it has"));
    }
    let mut count = |given: &Option<Spanned<u32>>, key: &str, least: u32| {
        let given = given.as_ref()?;
        if given.value < least || given.value > MOST {
            found.error(given.span, format!("`{key}` is from {least} to {MOST}"));
            return None;
        }
        Some(given.value)
    };
    if let Some(proxies) = count(&file.proxies, "proxies", 1) {
        to.place = IngressPlace::Outside(proxies);
    }
    to.workers = count(&file.workers, "workers", 1).unwrap_or(to.workers);
    if let Some(tries) = count(&file.tries, "tries", 1) {
        to.client.retries.attempts = tries - 1;
    }
    let connections = &mut to.client.connections;
    match count(&file.keep_alive, "keepAlive", 0) {
        Some(0) => connections.kind = ConnectionKind::New,
        Some(pool) => connections.kind = ConnectionKind::KeepAlive { pool },
        None => {}
    }
    let spans = [
        ("sync", &file.sync, &mut to.sync, true),
        ("poll", &file.poll, &mut to.poll, true),
        ("drain", &file.drain, &mut to.drain, true),
        ("connectTimeout", &file.connect_timeout, &mut to.client.connect_timeout, false),
        ("readTimeout", &file.read_timeout, &mut to.client.timeout, false),
        ("keepAliveTimeout", &file.keep_alive_timeout, &mut connections.idle_max, true),
    ];
    for (key, given, to, may_be_zero) in spans {
        let Some(given) = given else { continue };
        if given.value.0 == Duration::ZERO && !may_be_zero {
            found.error(given.span, format!("with a `{key}` of 0s every call fails"));
        }
        *to = given.value.0;
    }
    if let Some(law) = &file.reload {
        to.reload = law.0.clone();
    }
    only_for(file, to.finds, found);
    to
}

/// Keys that another way to find pods has no use for.
fn only_for(file: &IngressFile, finds: Finds, found: &mut Diagnostics) {
    let keys = [
        ("poll", file.poll.as_ref().map(|key| key.span), Finds::Dynamic, "dynamic"),
        ("drain", file.drain.as_ref().map(|key| key.span), Finds::Reload, "reload"),
    ];
    for (key, span, of, word) in keys {
        if let Some(span) = span.filter(|_| finds != of) {
            let message = format!("`{key}` plays a part where `endpoints` is {word}");
            found.push(Diagnostic::warning(span, message).with_hint("it has no effect"));
        }
    }
}

/// Whose pods the proxies are, and the rule by which they serve when no other says so: a proxy
/// takes part of a millisecond.
pub(super) fn workload(
    file: Option<&Spanned<IngressFile>>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(Workload, BehaviorRule)> {
    let target = file?.value.workload.as_ref()?;
    let workload = behaviors::workload(target, known, names, found)?;
    let hold = crate::base::Distribution::log_normal_p99(0.000_3, 0.002);
    let serve = Serve { cpu: Duration::us(150), ..Serve::new(hold, 16_384) };
    let change = BehaviorChange { serve: Some(serve), ..BehaviorChange::default() };
    Some((
        workload,
        BehaviorRule { workload: Some(workload), container: None, image: None, change },
    ))
}

/// The Service by which calls reach the proxies' pods: one of a load balancer before one of a
/// node's port before any other.
pub(super) fn front(
    file: Option<&Spanned<IngressFile>>,
    workload: Workload,
    templates: &[&Template],
    services: &[ServiceSpec],
    found: &mut Diagnostics,
) -> Option<IngressPlace> {
    let place = file?.value.workload.as_ref()?;
    let template = templates.iter().find(|template| template.workload == workload)?;
    let namespace = workload.name.namespace;
    let mut all: Vec<&ServiceSpec> =
        services.iter().filter(|service| service.selects(namespace, &template.labels)).collect();
    all.sort_by_key(|service| match service.kind {
        crate::model::ServiceKind::LoadBalancer => 0,
        crate::model::ServiceKind::NodePort => 1,
        _ => 2,
    });
    let Some(first) = all.first() else {
        let message = format!("no Service leads to the pods of {}", place.value);
        let error = Diagnostic::error(place.span, message);
        found.push(error.with_hint("without `workload` proxies stand outside the cluster"));
        return None;
    };
    Some(IngressPlace::Behind(first.name))
}
