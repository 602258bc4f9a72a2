//! Entries of `workload`: generators of bare pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::{Interner, SimTime};
use crate::model::{Arrivals, GeneratorSpec, Rate, TemplateHandle, Workload, WorkloadKind};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::behaviors::object_name;
use super::file::{ArrivalsFile, KindFile, WorkloadFile};

/// Pods that one instant may bring at most.
const AT_ONCE_MAX: u64 = 10_000_000;

/// The workload that an entry is, for behaviours to refer to.
pub(super) fn identity(file: &WorkloadFile, names: &mut Interner) -> Workload {
    let namespace = file.namespace.as_ref().map_or("default", |n| n.value.as_str());
    let name = object_name(namespace, &file.name.value, names);
    Workload { kind: WorkloadKind::Generator, name }
}

/// The pod of one kind, as a manifest would have it.
pub(super) fn manifest(file: &WorkloadFile, kind: &KindFile) -> Value {
    let texts = |map: &BTreeMap<String, String>| json!(map);
    let requests: BTreeMap<&String, &String> =
        kind.requests.value.iter().map(|(name, amount)| (name, &amount.value.0)).collect();
    // What cannot be shared out twice has a limit, which is its request.
    let is_extended = |name: &str| name.contains('/') || name.starts_with("hugepages-");
    let limits: BTreeMap<_, _> =
        requests.iter().filter(|(name, _)| is_extended(name)).map(|(n, a)| (*n, *a)).collect();
    let namespace = file.namespace.as_ref().map_or("default", |n| n.value.as_str());
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": file.name.value,
            "namespace": namespace,
            "labels": texts(&kind.labels),
        },
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "main",
                "image": "workload:v1",
                "resources": { "requests": requests, "limits": limits },
            }],
        },
    });
    let spec = &mut pod["spec"];
    if !kind.node_selector.is_empty() {
        spec["nodeSelector"] = texts(&kind.node_selector);
    }
    if !kind.tolerations.is_empty() {
        spec["tolerations"] = json!(kind.tolerations.value);
    }
    if let Some(class) = &kind.priority_class {
        spec["priorityClassName"] = json!(class.value);
    }
    if let Some(scheduler) = &kind.scheduler_name {
        spec["schedulerName"] = json!(scheduler.value);
    }
    pod
}

/// The generator that an entry stands for; `mix` has one template for each of its kinds.
pub(super) fn lower(
    entry: &Spanned<WorkloadFile>,
    mix: Vec<(f64, TemplateHandle)>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<GeneratorSpec> {
    let file = &entry.value;
    if mix.len() < file.pods.len() {
        return None; // a kind of pod is wrong
    }
    if file.pods.is_empty() {
        found.error(entry.span, "pods: expected at least one kind of pod");
        return None;
    }
    for kind in &file.pods {
        let weight = kind.value.weight.as_ref().map_or(1.0, |weight| weight.value);
        if !weight.is_finite() || weight <= 0.0 {
            let place = kind.value.weight.as_ref().map_or(kind.span, |weight| weight.span);
            found.error(place, format!("a weight is above 0, not {weight}"));
        }
    }
    let arrivals = arrivals(file, &file.arrivals, found)?;
    let identity = identity(file, names);
    Some(GeneratorSpec {
        name: identity.name.name,
        namespace: identity.name.namespace,
        arrivals,
        count: file.count,
        mix,
        lifetime: file.lifetime.as_ref().map(|law| law.0.clone()),
    })
}

fn arrivals(
    file: &WorkloadFile,
    arrivals: &Spanned<ArrivalsFile>,
    found: &mut Diagnostics,
) -> Option<Arrivals> {
    let ArrivalsFile { rate, every, at } = &arrivals.value;
    match (rate, every, at) {
        (Some(rate), None, None) => Some(Arrivals::Poisson(Rate::constant(rate.0))),
        (None, Some(law), None) => Some(Arrivals::Renewal(law.0.clone())),
        (None, None, Some(at)) => match file.count {
            Some(count) if count <= AT_ONCE_MAX => Some(Arrivals::At(SimTime::ZERO + at.0)),
            Some(count) => {
                let message = format!("{count} pods at once are more than {AT_ONCE_MAX}");
                found.error(arrivals.span, message);
                None
            }
            None => {
                let error = Diagnostic::error(arrivals.span, "`at` needs `count`");
                found.push(error.with_hint("count: 100"));
                None
            }
        },
        _ => {
            let error =
                Diagnostic::error(arrivals.span, "expected exactly one of rate, every and at");
            found.push(error.with_hint("for example { rate: 100/s }"));
            None
        }
    }
}
