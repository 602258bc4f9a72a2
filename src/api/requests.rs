//! What a pod asks for: effective requests, limits and quality of service.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/component-helpers/resource/helpers.go `PodRequests`,
//! `PodLimits`; pkg/scheduler/framework/types.go `calculateResource`;
//! pkg/apis/core/v1/helper/qos/qos.go `ComputePodQOS` (rules S80 to S85, N96; recorded).
//! Differs: amounts beyond 2^50 (millicores, bytes, units) count as 2^50.

use std::collections::BTreeMap;

use serde_json::Value;

use super::read::{entries, is_set, items, quantity};
use crate::base::{Bytes, Format, Interner, MilliCpu, Quantity};
use crate::model::{QosClass, Resources};

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// The scheduler's default for a container that does not say how much CPU it wants (rule S85).
const CPU_DEFAULT: i64 = 100;
/// The scheduler's default for a container that does not say how much memory it wants (rule S85).
const MEMORY_DEFAULT: i64 = 200 * 1_024 * 1_024;
/// The largest amount that is counted.
const AMOUNT_MAX: i64 = 1 << 50;

/// What a pod asks for, from its tree with defaults (`spec`, and `status` of one that runs).
#[derive(Clone, Debug)]
pub struct PodAmounts {
    /// Effective requests, overhead included (rules S81, S83).
    pub requests: Amounts,
    /// Effective limits, overhead included.
    pub limits: Amounts,
    /// Requests with the scheduler's defaults for containers without (rule S85).
    pub nonzero: (MilliCpu, Bytes),
}

/// Computes what a pod asks for.
#[must_use]
pub fn pod_amounts(pod: &Value) -> PodAmounts {
    let requests = pod_requests(pod, &Amounts::new());
    let mut missing = defaults();
    let has_own =
        entries(&pod["spec"]["resources"]["requests"]).any(|(name, _)| is_pod_level(name));
    if has_own {
        missing.retain(|name, _| !requests.contains_key(name));
    }
    let with_defaults = pod_requests(pod, &missing);
    let nonzero = (cpu_of(&with_defaults), bytes_of(&with_defaults, "memory"));
    PodAmounts { requests, limits: pod_limits(pod), nonzero }
}

/// What NodeResourcesFit scores of an incoming pod: containers with the scheduler's defaults for
/// CPU and memory, and overhead; what the pod asks for as a whole is not looked at (rule S88).
#[must_use]
pub fn scored_amounts(pod: &Value) -> Amounts {
    let mut total = aggregate(&pod["spec"], |container| {
        let mut own = list(&container["resources"]["requests"]);
        for (name, amount) in defaults() {
            own.entry(name).or_insert(amount);
        }
        own
    });
    add(&mut total, &list(&pod["spec"]["overhead"]));
    total
}

/// The scheduler's defaults (rule S85).
fn defaults() -> Amounts {
    Amounts::from([
        ("cpu".to_owned(), Quantity::from_milli(CPU_DEFAULT, Format::DecimalSI)),
        ("memory".to_owned(), Quantity::from_value(MEMORY_DEFAULT, Format::BinarySI)),
    ])
}

/// Effective requests; containers get what they lack from `missing`.
fn pod_requests(pod: &Value, missing: &Amounts) -> Amounts {
    let spec = &pod["spec"];
    let mut total = aggregate(spec, |container| {
        let mut own = container_amounts(pod, container, "requests");
        for (name, amount) in missing {
            own.entry(name.clone()).or_insert_with(|| amount.clone());
        }
        own
    });
    override_by_pod(&mut total, &spec["resources"]["requests"]);
    add(&mut total, &list(&spec["overhead"]));
    total
}

/// Effective limits; overhead counts only where there is a limit.
fn pod_limits(pod: &Value) -> Amounts {
    let spec = &pod["spec"];
    let mut total = aggregate(spec, |container| container_amounts(pod, container, "limits"));
    override_by_pod(&mut total, &spec["resources"]["limits"]);
    let mut overhead = list(&spec["overhead"]);
    overhead.retain(|name, _| total.contains_key(name));
    add(&mut total, &overhead);
    total
}

/// Σ containers + Σ sidecars, at least what any init container needs (rule S81).
pub(super) fn aggregate(spec: &Value, amounts: impl Fn(&Value) -> Amounts) -> Amounts {
    let mut total = Amounts::new();
    for container in items(&spec["containers"]) {
        add(&mut total, &amounts(container));
    }
    let mut sidecars = Amounts::new();
    let mut init = Amounts::new();
    for container in items(&spec["initContainers"]) {
        let mut need = amounts(container);
        if container["restartPolicy"] == "Always" {
            add(&mut total, &need);
            add(&mut sidecars, &need);
            need.clone_from(&sidecars);
        } else {
            add(&mut need, &sidecars);
        }
        raise(&mut init, &need);
    }
    raise(&mut total, &init);
    total
}

/// What a container asks for: its spec, and while it is resized what it has (rule S84).
fn container_amounts(pod: &Value, container: &Value, kind: &str) -> Amounts {
    let spec = list(&container["resources"][kind]);
    let named = |status: &&Value| status["name"] == container["name"];
    let statuses = &pod["status"];
    let status = items(&statuses["containerStatuses"]).iter().find(named).or_else(|| {
        let sidecar = container["restartPolicy"] == "Always";
        let list = items(&statuses["initContainerStatuses"]);
        list.iter().find(|status| sidecar && named(status))
    });
    let Some(status) = status.filter(|status| is_set(&status["resources"])) else {
        return spec;
    };
    let infeasible = items(&statuses["conditions"]).iter().any(|condition| {
        condition["type"] == "PodResizePending" && condition["reason"] == "Infeasible"
    });
    let mut most = list(&status["resources"][kind]);
    if kind == "requests" {
        raise(&mut most, &list(&status["allocatedResources"]));
    }
    if !infeasible {
        raise(&mut most, &spec);
    }
    most
}

/// Pod-level amounts replace those of the containers (rule S83).
fn override_by_pod(total: &mut Amounts, own: &Value) {
    total.extend(list(own).into_iter().filter(|(name, _)| is_pod_level(name)));
}

/// The resources that may be set for the whole pod.
pub(super) fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

/// A list of resources as amounts; what is no quantity is left out.
pub(super) fn list(value: &Value) -> Amounts {
    let amount = |(name, value): (&str, &Value)| Some((name.to_owned(), quantity(value)?));
    entries(value).filter_map(amount).collect()
}

fn add(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let sum = to.get(name).map_or_else(|| amount.clone(), |present| present + amount);
        to.insert(name.clone(), sum);
    }
}

fn raise(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        if to.get(name).is_none_or(|present| present < amount) {
            to.insert(name.clone(), amount.clone());
        }
    }
}

fn cpu_of(amounts: &Amounts) -> MilliCpu {
    MilliCpu(amounts.get("cpu").map_or(0, |amount| cut(amount, Quantity::milli_value)))
}

fn bytes_of(amounts: &Amounts, name: &str) -> Bytes {
    Bytes(amounts.get(name).map_or(0, |amount| cut(amount, Quantity::value)))
}

/// An amount in whole units within the range that is counted.
fn cut(amount: &Quantity, unit: fn(&Quantity) -> i64) -> i64 {
    let limit = Quantity::from_value(AMOUNT_MAX, Format::BinarySI);
    if *amount >= limit {
        return AMOUNT_MAX;
    }
    unit(amount).clamp(-AMOUNT_MAX, AMOUNT_MAX)
}

/// Whether an amount is beyond what is counted.
pub(super) fn is_too_large(name: &str, amount: &Quantity) -> bool {
    let unit = if name == "cpu" { Quantity::milli_value } else { Quantity::value };
    cut(amount, unit) >= AMOUNT_MAX
}

/// Amounts as the scheduler counts them: rounded up once, on the whole (rule S80).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/types.go `Resource.Add`.
pub fn resources(amounts: &Amounts, names: &mut Interner) -> Resources {
    let mut out = Resources {
        cpu: cpu_of(amounts),
        memory: bytes_of(amounts, "memory"),
        ephemeral_storage: bytes_of(amounts, "ephemeral-storage"),
        ..Resources::default()
    };
    for (name, amount) in amounts.iter().filter(|(name, _)| is_scalar(name)) {
        out.add_scalar(names.intern(name), cut(amount, Quantity::value));
    }
    out
}

/// Extended resources, hugepages, attachable volumes, prefixed native ones.
///
/// Source: kubernetes v1.36.3 pkg/apis/core/v1/helper/helpers.go `IsScalarResourceName`.
pub(super) fn is_scalar(name: &str) -> bool {
    name.contains('/') || name.starts_with("hugepages-") || name.starts_with("attachable-volumes-")
}

/// The quality of service class of a pod (rule N96).
#[must_use]
pub fn qos_class(spec: &Value) -> QosClass {
    let own = &spec["resources"];
    let has_own = ["requests", "limits"]
        .iter()
        .any(|kind| entries(&own[kind]).any(|(name, _)| is_pod_level(name)));
    let parts: Vec<&Value> = if has_own {
        vec![own]
    } else {
        let all = items(&spec["initContainers"]).iter().chain(items(&spec["containers"]));
        all.map(|container| &container["resources"]).collect()
    };
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut all_limited = true;
    for part in parts {
        let limited = computed(&part["limits"]);
        all_limited &= limited.len() == 2;
        add(&mut limits, &limited);
        add(&mut requests, &computed(&part["requests"]));
    }
    if requests.is_empty() && limits.is_empty() {
        QosClass::BestEffort
    } else if all_limited && requests == limits {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}

/// CPU and memory above zero.
fn computed(value: &Value) -> Amounts {
    let mut amounts = list(value);
    amounts.retain(|name, amount| matches!(name.as_str(), "cpu" | "memory") && amount.sign() > 0);
    amounts
}

/// Limits become requests where a pod or container has none, as the API server fills them in.
///
/// Source: kubernetes v1.36.3 pkg/apis/core/v1/defaults.go `SetDefaults_Pod` (rule S82).
pub(super) fn fill_requests(spec: &mut Value) {
    for kind in ["containers", "initContainers"] {
        for container in spec.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            fill_from_limits(container, |_| true);
        }
    }
    if entries(&spec["resources"]["limits"]).next().is_none() {
        return;
    }
    let of_containers = aggregate(spec, |container| list(&container["resources"]["requests"]));
    let mut filled = spec["resources"]["requests"].as_object().cloned().unwrap_or_default();
    for (name, amount) in of_containers {
        if is_pod_level(&name) && !name.starts_with("hugepages-") && !filled.contains_key(&name) {
            filled.insert(name, amount.to_string().into());
        }
    }
    spec["resources"]["requests"] = filled.into();
    fill_from_limits(spec, is_pod_level);
}

fn fill_from_limits(owner: &mut Value, which: fn(&str) -> bool) {
    let Some(limits) = owner["resources"]["limits"].as_object().cloned() else {
        return;
    };
    let Some(resources) = owner["resources"].as_object_mut() else {
        return;
    };
    let requests = resources.entry("requests").or_insert_with(|| Value::Object(Default::default()));
    let Some(requests) = requests.as_object_mut() else {
        return;
    };
    for (name, limit) in limits.into_iter().filter(|(name, _)| which(name)) {
        requests.entry(name).or_insert(limit);
    }
    if requests.is_empty() {
        resources.remove("requests");
    }
}
