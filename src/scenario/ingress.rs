//! Ingresses: their paths, the proxies that serve them, and calls that go through them.

use crate::api;
use crate::base::{Duration, Interner};
use crate::manifest::Document;
use crate::model::{
    BehaviorChange, BehaviorRule, ConnectionKind, Finds, IngressBalance, IngressPath, IngressPlace,
    IngressRequest, IngressRules, IngressSpec, ObjectName, Serve, ServiceSpec, Template, Workload,
};
use crate::tree::{Diagnostic, Diagnostics, Span, Spanned, Value};

use super::behaviors::{self, Known, object_name, shown, split_target};
use super::file::{FindsFile, IngressBalanceFile, IngressFile, TrafficFile};
use super::known::missing;
use super::objects::identity;

/// Proxies outside the cluster, processes of one, and tries of a call at most.
const MOST: u32 = 1_000;

/// All Ingresses, with the places of what their paths lead to.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Those that are there from the start.
    pub all: Vec<IngressRules>,
    /// What commands make of them and add to them.
    pub later: Vec<IngressRules>,
    /// Whether there is a mesh, whose proxies ask whether a call may be sent again.
    pub is_meshed: bool,
    places: Vec<Span>,
}

impl Paths {
    /// Those of the documents and of the trees that commands write.
    pub(super) fn of(
        documents: &[Document],
        later: &[serde_json::Value],
        names: &mut Interner,
    ) -> Self {
        let mut paths = Self::default();
        for document in documents.iter().filter(|document| document.kind.value == "Ingress") {
            let mut tree = document.root().to_json();
            tree["metadata"]["namespace"] = identity(document).1.into();
            paths.all.push(api::lower_ingress(&tree, names));
            let Some(spec) = document.root().get("spec") else { continue };
            let rules = spec.get("rules").into_iter().flat_map(Value::items);
            let below = rules.filter_map(|rule| rule.at(&["http", "paths"]));
            let backends = below
                .flat_map(Value::items)
                .map(|path| path.get("backend").unwrap_or(path))
                .chain(spec.get("defaultBackend"));
            paths.places.extend(backends.map(|to| to.span()));
        }
        paths.later.extend(later.iter().map(|tree| api::lower_ingress(tree, names)));
        paths
    }

    /// All paths, those that are there from the start first.
    fn paths(&self) -> Vec<&IngressPath> {
        self.all.iter().chain(&self.later).flat_map(|rules| &rules.paths).collect()
    }

    /// Paths that lead to a Service that is not there: calls would get 503.
    pub(super) fn warn(&self, services: &[ObjectName], names: &Interner, found: &mut Diagnostics) {
        let all = self.all.iter().flat_map(|rules| &rules.paths);
        for (path, place) in all.zip(&self.places) {
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

/// Whom a source calls: the Service, the Ingress through which, and what it asks that for.
#[derive(Debug)]
pub(super) struct Target {
    pub service: ObjectName,
    pub through: Option<ObjectName>,
    pub request: Option<IngressRequest>,
}

/// Whom a source calls.
pub(super) fn target(
    file: &TrafficFile,
    (known, paths): (&Known<'_>, &Paths),
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<Target> {
    let to = &file.to;
    let all = paths.paths();
    let by_url = to.value.strip_prefix("http://").or_else(|| to.value.strip_prefix("https://"));
    if let Some(url) = by_url {
        if let Some(second) = &file.url {
            found.error(second.span, "`to` is a URL already");
        }
        if all.is_empty() && !known.gaps.objects {
            let error = Diagnostic::error(to.span, "there is no Ingress that takes this URL");
            found.push(error.with_hint("does `apply` name its manifest?"));
            return None;
        }
        return taken((url, None), to.span, &all, known, names, found);
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
        let service = behaviors::service(to, known, names, found)?;
        return Some(Target { service, through: None, request: None });
    };
    if let Some(port) = &file.port {
        let error =
            Diagnostic::error(port.span, "an Ingress says which port of a Service it calls");
        found.push(error.with_hint("leave `port` out"));
    }
    let wanted = object_name(namespace, name, names);
    let own: Vec<&IngressPath> =
        all.iter().copied().filter(|path| path.ingress == wanted).collect();
    if own.is_empty() {
        if !known.gaps.objects {
            let mut texts: Vec<String> =
                all.iter().map(|path| shown("ingress", path.ingress, names)).collect();
            texts.dedup();
            found.push(missing(to.span, ("ingress", wanted), &texts, names));
        }
        return None;
    }
    if let Some(url) = &file.url {
        let text = url.value.trim_start_matches("http://").trim_start_matches("https://");
        return taken((text, Some(wanted)), url.span, &own, known, names, found);
    }
    // Commands may write other versions of it.
    let mut versions = paths.all.iter().chain(&paths.later).filter(|rules| rules.name == wanted);
    let first = versions.next().map_or(&[][..], |rules| &rules.paths);
    if first.iter().any(|path| path.backend != own[0].backend) {
        let message = format!("ingress \"{name}\" leads to several Services");
        let error = Diagnostic::error(to.span, message);
        found.push(error.with_hint(format!("say which: url: {}", own[0].example())));
        return None;
    }
    let example = own[0].example();
    backend((&example, Some(wanted)), own[0], to.span, known, names, found)
}

/// The path that takes a request.
fn taken(
    (url, of): (&str, Option<ObjectName>),
    place: Span,
    paths: &[&IngressPath],
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<Target> {
    let Some(best) = request(url, of).taken_by(paths.iter().copied()) else {
        let all: Vec<String> = paths.iter().map(|path| path.example()).collect();
        let message = format!("no path of an Ingress takes \"{url}\": such calls get 404");
        let hint =
            format!("they take {}", all.iter().take(5).cloned().collect::<Vec<_>>().join(", "));
        let error = Diagnostic::error(place, message).with_hint(hint);
        found.push(error.with_suggestion(url, all.iter().map(String::as_str)));
        return None;
    };
    backend((url, of), best, place, known, names, found)
}

/// What calls of a URL ask for.
fn request(url: &str, of: Option<ObjectName>) -> IngressRequest {
    let cut = url.find('/').unwrap_or(url.len());
    let (host, path) = url.split_at(cut);
    let path = if path.is_empty() { "/" } else { path };
    IngressRequest { host: host.into(), path: path.into(), of }
}

fn backend(
    (url, of): (&str, Option<ObjectName>),
    path: &IngressPath,
    place: Span,
    known: &Known<'_>,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<Target> {
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
    Some(Target { service, through: Some(path.ingress), request: Some(request(url, of)) })
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
    if let Some(balance) = &file.balance {
        to.balance = match balance.value {
            IngressBalanceFile::RoundRobin => IngressBalance::RoundRobin,
            IngressBalanceFile::Ewma => IngressBalance::Ewma,
        };
        if to.finds == Finds::Service {
            let message = "`balance` plays no part where `endpoints` is service";
            let warning = Diagnostic::warning(balance.span, message);
            found.push(warning.with_hint("a kube-proxy chooses"));
        }
    }
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
    let poll = file.poll.as_ref().filter(|_| finds != Finds::Dynamic);
    if let Some(poll) = poll {
        let message = "`poll` plays a part where `endpoints` is dynamic";
        found.push(Diagnostic::warning(poll.span, message).with_hint("it has no effect"));
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
