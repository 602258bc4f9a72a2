//! Who calls whom, as far as manifests say so: addresses of Services in the environment and the
//! arguments of containers.
//!
//! ```text
//! env PRODUCT_CATALOG_SERVICE_ADDR=productcatalogservice:3550
//! args --backend-url=http://backend.shop.svc:9898/echo      ─► deployment/frontend → service/…
//! env REDIS_HOST=redis
//! ```
//!
//! A name alone is no address: it must have a port, stand behind `//`, or be the value of a variable
//! or flag whose name says so (`…_HOST`, `--backend-url`). Values from ConfigMaps and Secrets are not
//! read. Ours, not Kubernetes'.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::plain::Fronted;

/// Ends of names of variables and flags that have an address.
const ENDS: [&str; 8] = ["addr", "address", "host", "hostname", "url", "uri", "endpoint", "server"];

/// A workload's pods call a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The workload as scenarios name it: `deployment/shop/web`.
    pub from: String,
    /// The Service as scenarios name it: `service/shop/cart`.
    pub to: String,
}

/// The calls between workloads behind Services; of those that would close a circle the last ones
/// are left out.
pub(super) fn edges(objects: &[Arc<Value>], fronted: &[Fronted]) -> Vec<Edge> {
    let mut owners: BTreeMap<(String, String), &Fronted> = BTreeMap::new();
    for own in fronted {
        for service in &own.services {
            owners.insert(parts(service), own);
        }
    }
    let mut all: Vec<Edge> = Vec::new();
    for object in objects {
        let Some((from, namespace)) = workload(object, fronted) else { continue };
        let mut named = BTreeSet::new();
        let spec = &object["spec"]["template"]["spec"];
        for container in spec["containers"].as_array().into_iter().flatten() {
            named.extend(texts(container).flat_map(|(name, text)| addresses(&name, &text)));
        }
        for (host, of) in named {
            let key = (of.unwrap_or_else(|| namespace.clone()), host);
            let Some(to) = owners.get(&key).filter(|to| to.target != from.target) else { continue };
            let service = to.services.iter().find(|service| parts(service) == key);
            let Some(service) = service else { continue };
            if !leads(&to.target, &from.target, &all, fronted) {
                all.push(Edge { from: from.target.clone(), to: service.clone() });
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Namespace and name of a Service as scenarios name it.
fn parts(service: &str) -> (String, String) {
    let rest = service.trim_start_matches("service/");
    let (namespace, name) = rest.split_once('/').unwrap_or(("default", rest));
    (namespace.to_owned(), name.to_owned())
}

/// The workload that an object is, and its namespace.
fn workload<'a>(object: &Value, fronted: &'a [Fronted]) -> Option<(&'a Fronted, String)> {
    let kind = object["kind"].as_str()?.to_lowercase();
    let name = object["metadata"]["name"].as_str()?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let target = match namespace {
        "default" => format!("{kind}/{name}"),
        _ => format!("{kind}/{namespace}/{name}"),
    };
    let found = fronted.iter().find(|own| own.target == target)?;
    Some((found, namespace.to_owned()))
}

/// Texts of a container that may have addresses, each with the name of its variable or flag.
fn texts(container: &Value) -> impl Iterator<Item = (String, String)> {
    let env = container["env"].as_array().into_iter().flatten().filter_map(|variable| {
        Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned()))
    });
    let words = ["command", "args"]
        .into_iter()
        .flat_map(|key| container[key].as_array().into_iter().flatten().filter_map(Value::as_str));
    let words = words.map(|word| match word.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => (flag.to_owned(), value.to_owned()),
        _ => (String::new(), word.to_owned()),
    });
    env.chain(words)
}

/// Names of Services with their namespaces, if they say them, that a text has addresses of.
fn addresses(name: &str, text: &str) -> Vec<(String, Option<String>)> {
    let name = name.to_lowercase();
    let says_so = ENDS.iter().any(|end| name.ends_with(end));
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_host) {
        let before = &rest[..start];
        let host = &rest[start..];
        let end = host.find(|c| !is_host(c)).unwrap_or(host.len());
        let (host, after) = host.split_at(end);
        let port = after.strip_prefix(':').and_then(|after| after.chars().next());
        let has_port = port.is_some_and(|digit| digit.is_ascii_digit());
        let is_behind = before.ends_with("//") || before.ends_with('@');
        let is_whole = host.len() == text.len();
        if has_port || is_behind || (says_so && is_whole) {
            let mut labels = host.trim_end_matches('.').split('.');
            let service = labels.next().unwrap_or_default().to_owned();
            match (labels.next(), labels.next()) {
                (None, _) => found.push((service, None)),
                (Some(namespace), None | Some("svc")) => {
                    found.push((service, Some(namespace.to_owned())));
                }
                // A pod of a StatefulSet, or a name outside the cluster.
                (Some(_), Some(_)) => {}
            }
        }
        rest = after;
    }
    found
}

/// Whether calls to a workload lead to another one.
fn leads(from: &str, to: &str, edges: &[Edge], fronted: &[Fronted]) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if !seen.insert(at.clone()) {
            continue;
        }
        let own = edges.iter().filter(|edge| edge.from == at);
        next.extend(own.filter_map(|edge| {
            let target = fronted.iter().find(|own| own.services.contains(&edge.to))?;
            Some(target.target.clone())
        }));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn what_is_an_address() {
        let of = |name: &str, text: &str| {
            let found = addresses(name, text).into_iter();
            let text = |(service, namespace): (String, Option<String>)| match namespace {
                Some(namespace) => format!("{namespace}/{service}"),
                None => service,
            };
            found.map(text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("CART_SERVICE_ADDR", "cartservice:7070"), "cartservice");
        assert_eq!(of("--backend-url", "http://backend:9898/echo"), "backend");
        assert_eq!(of("", "http://backend.shop.svc.cluster.local/echo"), "shop/backend");
        assert_eq!(of("REDIS_HOST", "redis"), "redis");
        // A user is no Service, and nothing comes of it.
        assert_eq!(of("DSN", "postgres://user:word@db.data:5432/shop"), "user data/db");
        assert_eq!(of("NODES", "a:1,b:2"), "a b");
        assert_eq!(of("NAME", "redis"), "");
        assert_eq!(of("SEEDS", "cassandra-0.cassandra.default.svc:7000"), "");
    }
}
