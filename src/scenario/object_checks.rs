//! What only all objects together show: autoscalers, Services and ports that lead nowhere.

use std::collections::BTreeMap;

use crate::base::{Interner, Symbol};
use crate::manifest::Document;
use crate::model::{HpaTarget, ObjectName, ServiceSpec, Template, Workload};
use crate::tree::{Diagnostic, Span};

use super::cycles;
use super::input::Input;
use super::objects::{NamedPort, Objects, identity};

/// Autoscalers whose target is not there do nothing, which is hardly meant.
pub(super) fn hpas(objects: &Objects, documents: &[Document], names: &Interner, input: &mut Input) {
    if input.found.has_errors() {
        return; // it may be in what could not be read
    }
    for hpa in &objects.hpas {
        let namespace = names.resolve(hpa.name.namespace);
        let of = |kind: &'static str| {
            let inside = documents.iter().map(identity);
            inside.filter(move |(k, n, _)| *k == kind && *n == namespace).map(|(_, _, name)| name)
        };
        let (kind, target) = match hpa.target {
            HpaTarget::Deployment(name) => ("Deployment", names.resolve(name)),
            HpaTarget::ReplicaSet(name) => ("ReplicaSet", names.resolve(name)),
            HpaTarget::ReplicationController(name) => {
                ("ReplicationController", names.resolve(name))
            }
            HpaTarget::StatefulSet(name) => ("StatefulSet", names.resolve(name)),
            HpaTarget::Missing => ("", ""),
        };
        let is_later = |name: &ObjectName| {
            names.resolve(name.name) == target && name.namespace == hpa.name.namespace
        };
        let of_kind = |of: &&Workload| of.kind.as_str() == kind.to_lowercase();
        let mut later = objects.later.workloads.iter().filter(of_kind);
        if of(kind).any(|name| name == target) || later.any(|of| is_later(&of.name)) {
            continue;
        }
        let own = (HPA, namespace, names.resolve(hpa.name.name));
        let Some(own) = documents.iter().find(|d| identity(d) == own) else { continue };
        let at = |keys: &[&str]| own.root().at(keys);
        let place = at(&["spec", "scaleTargetRef", "name"]).or_else(|| at(&["spec"]));
        let place = place.map_or(own.span(), |value| value.span());
        let warning = match kind {
            "" => Diagnostic::warning(place, "this autoscaler scales nothing that is modelled"),
            kind => {
                let message = format!("there is no {kind} \"{target}\" for this autoscaler");
                Diagnostic::warning(place, message).with_suggestion(target, of(kind))
            }
        };
        let idle = "it does nothing";
        input.found.push(if warning.hint.is_some() { warning } else { warning.with_hint(idle) });
    }
}

const HPA: &str = "HorizontalPodAutoscaler";

/// Services whose selector matches the labels of no template: calls to them find nobody.
///
/// Where `except` says so it is told elsewhere.
pub(super) fn idle_services(
    services: &[ServiceSpec],
    selectors: &BTreeMap<ObjectName, Span>,
    templates: &[&Template],
    except: impl Fn(ObjectName) -> bool,
    (names, input): (&Interner, &mut Input),
) {
    for (service, behind) in services.iter().zip(cycles::behind(services, templates)) {
        let has_selector = service.selector.as_ref().is_some_and(|s| s.iter().next().is_some());
        let Some(place) = selectors.get(&service.name).filter(|_| has_selector) else { continue };
        if !behind.is_empty() || except(service.name) {
            continue;
        }
        let name = names.resolve(service.name.name);
        let message = format!("no workload stands behind service \"{name}\"");
        let hint = idle_hint(service, templates, names);
        input.found.push(Diagnostic::warning(*place, message).with_hint(hint));
    }
}

/// Ports of Services that name a port which no container of their pods has: calls to them find
/// nobody.
///
/// Source: kubernetes v1.36.3 endpointslice/utils.go `FindPort` (rule C177).
pub(super) fn lost_ports(
    (services, ports): (&[ServiceSpec], &[NamedPort]),
    templates: &[&Template],
    names: &Interner,
    input: &mut Input,
) {
    for port in ports {
        let Some(service) = services.iter().find(|own| own.name == port.service) else { continue };
        let behind = templates
            .iter()
            .filter(|template| service.selects(template.workload.name.namespace, &template.labels));
        let all: Vec<Symbol> = behind
            .clone()
            .flat_map(|template| {
                let sidecars = template.spec.init_containers.iter().filter(|c| c.restart_always);
                template.spec.containers.iter().chain(sidecars)
            })
            .flat_map(|container| &container.ports)
            .map(|port| port.name)
            .filter(|name| !names.resolve(*name).is_empty())
            .collect();
        if behind.count() == 0 || all.contains(&port.target) {
            continue;
        }
        let (target, name) = (names.resolve(port.target), names.resolve(service.name.name));
        let message = format!("no container behind service \"{name}\" has a port \"{target}\"");
        let warning = Diagnostic::warning(port.place, message);
        let known = all.iter().map(|name| names.resolve(*name));
        let hint = "no call gets through: name a port of a container, or give its number";
        input.found.push(warning.with_hint(hint).with_suggestion(target, known));
    }
}

/// What the selector of a Service without pods was perhaps meant to be.
pub(super) fn idle_hint(
    service: &ServiceSpec,
    templates: &[&Template],
    names: &Interner,
) -> String {
    let near = templates.iter().filter(|t| t.workload.name.namespace == service.name.namespace);
    for (key, value) in service.selector.iter().flat_map(|s| s.iter()) {
        let values = near.clone().filter_map(|t| t.labels.get(key)).map(|v| names.resolve(v));
        let (key, value) = (names.resolve(key), names.resolve(value));
        if let Some(close) = crate::tree::closest(value, values) {
            return format!("did you mean {key}: {close}?");
        }
    }
    "its selector matches the labels of no pod template".to_owned()
}
