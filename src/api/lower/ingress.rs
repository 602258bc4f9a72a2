//! Ingresses.

use serde_json::Value;

use super::super::read::{entries, items, port, text};
use super::object_name;
use crate::base::Interner;
use crate::model::{IngressPath, IngressPort, IngressRules, ObjectName};

/// What annotations begin with that ingress-nginx reads.
const OWN: &str = "nginx.ingress.kubernetes.io/";
/// The annotation that was the class once.
const CLASS: &str = "kubernetes.io/ingress.class";

/// Lowers an Ingress: all paths of its rules in order, then its default backend.
pub fn lower_ingress(object: &Value, names: &mut Interner) -> IngressRules {
    let name = object_name(object, names);
    let spec = &object["spec"];
    let mut paths = Vec::new();
    for rule in items(&spec["rules"]) {
        let host = text(&rule["host"]);
        for path in items(&rule["http"]["paths"]) {
            let own = match text(&path["path"]) {
                "" => "/",
                own => own,
            };
            let (backend, port) = backend(&path["backend"], name, names);
            paths.push(IngressPath {
                ingress: name,
                host: host.to_owned(),
                path: Some(own.to_owned()),
                is_exact: path["pathType"] == "Exact",
                backend,
                port,
            });
        }
    }
    if spec["defaultBackend"].is_object() {
        let (backend, port) = backend(&spec["defaultBackend"], name, names);
        let (host, path) = (String::new(), None);
        paths.push(IngressPath { ingress: name, host, path, is_exact: false, backend, port });
    }
    let is_own = |key: &str| key.starts_with(OWN) || key == CLASS;
    let annotations = entries(&object["metadata"]["annotations"]).filter(|(key, _)| is_own(key));
    let annotations: Vec<(&str, &Value)> = annotations.collect();
    IngressRules { name, paths, settings: format!("{spec} {annotations:?}") }
}

/// The Service that a path leads to, and its port.
fn backend(
    declared: &Value,
    ingress: ObjectName,
    names: &mut Interner,
) -> (Option<ObjectName>, Option<IngressPort>) {
    let service = &declared["service"];
    let Some(name) = service["name"].as_str() else { return (None, None) };
    let backend = ObjectName { namespace: ingress.namespace, name: names.intern(name) };
    let of = &service["port"];
    let by_name = of["name"].as_str().map(|name| IngressPort::Name(names.intern(name)));
    (Some(backend), by_name.or_else(|| port(&of["number"]).map(IngressPort::Number)))
}
