//! VerticalPodAutoscalers.

use serde_json::Value;

use super::super::read::{count, is_set, items, quantity, text};
use super::object_name;
use crate::base::Interner;
use crate::model::{
    Amounts, ObjectName, VpaMode, VpaPolicy, VpaRequirement, VpaSpec, Workload, WorkloadKind,
};

/// The ends of the annotation that asks for whole cores of a container (rule A99).
const WHOLE_CORES: (&str, &str) = ("vpa-post-processor.kubernetes.io/", "_integerCPU");

/// Lowers a VerticalPodAutoscaler. Whether its target is there is asked by whoever knows all
/// objects.
pub fn lower_vpa(object: &Value, names: &mut Interner) -> VpaSpec {
    let spec = &object["spec"];
    let name = object_name(object, names);
    let update = &spec["updatePolicy"];
    let annotations = object["metadata"]["annotations"].as_object().into_iter().flatten();
    let whole = annotations
        .filter(|(_, value)| *value == "true")
        .filter_map(|(key, _)| key.strip_prefix(WHOLE_CORES.0)?.strip_suffix(WHOLE_CORES.1));
    let whole: Vec<&str> = whole.collect();
    VpaSpec {
        name,
        target: lower_target(&spec["targetRef"], name, names),
        mode: match text(&update["updateMode"]) {
            "Off" => VpaMode::Off,
            "Initial" => VpaMode::Initial,
            "InPlaceOrRecreate" => VpaMode::InPlaceOrRecreate,
            _ => VpaMode::Recreate,
        },
        replicas_min: count(&update["minReplicas"]),
        requirements: items(&update["evictionRequirements"]).iter().map(requirement).collect(),
        policies: items(&spec["resourcePolicy"]["containerPolicies"])
            .iter()
            .map(|policy| lower_policy(policy, names))
            .collect(),
        whole_cores: whole.into_iter().map(|name| names.intern(name)).collect(),
    }
}

fn lower_target(target: &Value, of: ObjectName, names: &mut Interner) -> Option<Workload> {
    let kind = match text(&target["kind"]) {
        "Deployment" => WorkloadKind::Deployment,
        "ReplicaSet" => WorkloadKind::ReplicaSet,
        "ReplicationController" => WorkloadKind::ReplicationController,
        "StatefulSet" => WorkloadKind::StatefulSet,
        "DaemonSet" => WorkloadKind::DaemonSet,
        "Job" => WorkloadKind::Job,
        _ => return None,
    };
    let name = names.intern(text(&target["name"]));
    Some(Workload { kind, name: ObjectName { name, ..of } })
}

fn requirement(written: &Value) -> VpaRequirement {
    let has = |name: &str| items(&written["resources"]).iter().any(|item| item == name);
    VpaRequirement {
        cpu: has("cpu"),
        memory: has("memory"),
        higher: written["changeRequirement"] != "TargetLowerThanRequests",
    }
}

fn lower_policy(policy: &Value, names: &mut Interner) -> VpaPolicy {
    let name = text(&policy["containerName"]);
    let controlled = &policy["controlledResources"];
    let has = |name: &str| !is_set(controlled) || items(controlled).iter().any(|item| item == name);
    VpaPolicy {
        container: (name != "*").then(|| names.intern(name)),
        is_off: policy["mode"] == "Off",
        min: lower_amounts(&policy["minAllowed"]),
        max: lower_amounts(&policy["maxAllowed"]),
        cpu: has("cpu"),
        memory: has("memory"),
        requests_only: policy["controlledValues"] == "RequestsOnly",
    }
}

/// CPU and memory of a list of resources.
pub fn lower_amounts(of: &Value) -> Amounts {
    Amounts {
        cpu: quantity(&of["cpu"]).map(|cpu| cpu.milli_value()),
        memory: quantity(&of["memory"]).map(|memory| memory.value()),
    }
}
