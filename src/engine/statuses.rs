//! The status of objects as a client of the API server reads it: for commands that wait.

#![expect(clippy::wildcard_enum_match_arm, reason = "most kinds have no status here")]

use serde_json::{Map, Value, json};

use crate::api::Kind;
use crate::cluster::{
    Cluster, DaemonSetStatus, DeploymentStatus, DisruptionAllowed, HpaStatus, JobStatus, Phase,
    Pod, ProgressReason, ReplicaFailure, ReplicaSetStatus, ResizeStatus, StatefulSetStatus,
};
use crate::model::ObjectName;

/// Puts its status into an object.
pub(super) fn add(kind: Kind, name: ObjectName, cluster: &Cluster, object: &mut Value) {
    let status = match kind {
        Kind::Pod => {
            let row = cluster.pod_named(name).and_then(|pod| cluster.pod(pod));
            row.map(|row| pod(row, cluster))
        }
        Kind::Deployment => {
            let id = cluster.deployment_named(name);
            id.and_then(|id| cluster.deployment(id)).map(|row| deployment(&row.status))
        }
        Kind::ReplicaSet | Kind::ReplicationController => {
            let set = cluster.replica_set_named(kind, name);
            set.and_then(|set| cluster.replica_sets().get(set)).map(|row| replica_set(&row.status))
        }
        Kind::StatefulSet => {
            let id = cluster.stateful_sets().named(name);
            let row = id.and_then(|id| cluster.stateful_sets().get(id));
            row.map(|row| stateful_set(&row.status, name, cluster))
        }
        Kind::DaemonSet => {
            let id = cluster.daemon_sets().named(name);
            id.and_then(|id| cluster.daemon_sets().get(id)).map(|row| daemon_set(&row.status))
        }
        Kind::Job => {
            let found = cluster.jobs().iter().find(|(_, row)| row.spec.name == name);
            found.map(|(_, row)| job(&row.status))
        }
        Kind::PodDisruptionBudget => {
            let id = cluster.budgets().named(name);
            id.and_then(|id| cluster.budgets().get(id)).map(|row| {
                let (status, reason) =
                    row.status.condition.as_ref().map_or(("", ""), DisruptionAllowed::as_strs);
                let mut conditions = Conditions::default();
                conditions.put("DisruptionAllowed", status, reason);
                json!({
                    "currentHealthy": row.status.healthy, "desiredHealthy": row.status.desired,
                    "expectedPods": row.status.expected, "disruptionsAllowed": row.status.allowed,
                    "observedGeneration": row.status.observed_generation,
                    "conditions": conditions.0,
                })
            })
        }
        Kind::HorizontalPodAutoscaler => {
            let mut all = cluster.hpa_ids().filter_map(|id| cluster.hpa(id));
            all.find(|row| row.spec.name == name).map(|row| autoscaler(&row.status))
        }
        Kind::Node => cluster.node_named(name.name).map(|node| {
            let mut conditions = Conditions::default();
            conditions.put("Ready", cluster.nodes()[node].condition.as_str(), "");
            let mut status = object["status"].clone();
            status["conditions"] = conditions.0.into();
            if status["addresses"].is_null() {
                let row = &cluster.nodes()[node];
                let name = cluster.names().resolve(row.spec.name);
                status["addresses"] = json!([
                    { "type": "InternalIP", "address": row.address.to_string() },
                    { "type": "Hostname", "address": name },
                ]);
            }
            status
        }),
        _ => None,
    };
    if let Some(status) = status {
        object["status"] = status;
    }
}

#[derive(Default)]
struct Conditions(Vec<Value>);

impl Conditions {
    /// One without a status is not there.
    fn put(&mut self, kind: &str, status: &str, reason: &str) {
        if !status.is_empty() {
            self.0.push(json!({ "type": kind, "status": status, "reason": reason }));
        }
    }
}

const fn truth(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

/// Numbers, of which those that are zero are left out, as the API server does it.
fn numbers(all: &[(&str, u64)]) -> Map<String, Value> {
    let some = all.iter().filter(|(_, number)| *number > 0);
    some.map(|(name, number)| ((*name).to_owned(), (*number).into())).collect()
}

fn pod(row: &Pod, cluster: &Cluster) -> Value {
    let status = &row.status;
    let phase = match status.phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    };
    let mut conditions = Conditions::default();
    match (row.node, &row.unschedulable) {
        (Some(_), _) => conditions.put("PodScheduled", "True", ""),
        (None, Some(_)) => conditions.put("PodScheduled", "False", "Unschedulable"),
        (None, None) => {}
    }
    if status.start_time.is_some() || status.started.is_some() {
        let (ready, done) = (truth(status.ready), status.phase == Phase::Succeeded);
        let reason = if done { "PodCompleted" } else { "" };
        conditions.put("Initialized", truth(status.started.is_some() || done), reason);
        conditions.put("ContainersReady", ready, reason);
        conditions.put("Ready", ready, reason);
    }
    if let Some(reason) = row.disruption {
        conditions.put("DisruptionTarget", "True", reason.as_str());
    }
    if let Some(resize) = &row.resize {
        resizing(&resize.status, &mut conditions);
    }
    for (kind, holds) in &row.conditions {
        conditions.put(cluster.names().resolve(*kind), truth(*holds), "");
    }
    let mut object = json!({ "phase": phase, "conditions": conditions.0 });
    // The address of its node is known as soon as the kubelet has written something (rule N59).
    if let Some(node) = row.node.filter(|_| status.start_time.is_some()) {
        let host = cluster.nodes()[node].address.to_string();
        object["hostIPs"] = json!([{ "ip": host }]);
        object["hostIP"] = host.into();
    }
    if let Some(ip) = status.ip {
        object["podIP"] = ip.to_string().into();
        object["podIPs"] = json!([{ "ip": ip.to_string() }]);
    }
    if !status.reason.is_empty() {
        object["reason"] = status.reason.into();
    }
    object
}

/// Conditions of a pod that is resized (rule N104).
fn resizing(of: &ResizeStatus, conditions: &mut Conditions) {
    if let Some(pending) = &of.pending {
        conditions.put("PodResizePending", "True", pending.reason());
        if let Some(condition) = conditions.0.last_mut() {
            condition["message"] = (*pending.message).into();
        }
    }
    if let Some(error) = &of.progress {
        let reason = if error.is_some() { "Error" } else { "" };
        conditions.put("PodResizeInProgress", "True", reason);
        if let (Some(condition), Some(error)) = (conditions.0.last_mut(), error) {
            condition["message"] = (**error).into();
        }
    }
}

fn failure(conditions: &mut Conditions, failure: Option<ReplicaFailure>) {
    let reason = match failure {
        None => return,
        Some(ReplicaFailure::FailedCreate) => "FailedCreate",
        Some(ReplicaFailure::FailedDelete) => "FailedDelete",
    };
    conditions.put("ReplicaFailure", "True", reason);
}

/// Status and reason of the condition Progressing.
const fn progress(reason: ProgressReason) -> (&'static str, &'static str) {
    match reason {
        ProgressReason::NewReplicaSetCreated => ("True", "NewReplicaSetCreated"),
        ProgressReason::FoundNewReplicaSet => ("True", "FoundNewReplicaSet"),
        ProgressReason::ReplicaSetUpdated => ("True", "ReplicaSetUpdated"),
        ProgressReason::NewReplicaSetAvailable => ("True", "NewReplicaSetAvailable"),
        ProgressReason::ReplicaSetCreateError => ("False", "ReplicaSetCreateError"),
        ProgressReason::ProgressDeadlineExceeded => ("False", "ProgressDeadlineExceeded"),
        ProgressReason::DeploymentPaused => ("Unknown", "DeploymentPaused"),
        ProgressReason::DeploymentResumed => ("Unknown", "DeploymentResumed"),
    }
}

fn deployment(of: &DeploymentStatus) -> Value {
    let mut conditions = Conditions::default();
    if of.observed_generation > 0 {
        let reason =
            if of.is_available { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" };
        conditions.put("Available", truth(of.is_available), reason);
    }
    if let Some(progressing) = of.progressing {
        let (status, reason) = progress(progressing.reason);
        conditions.put("Progressing", status, reason);
    }
    failure(&mut conditions, of.failure);
    let mut status = numbers(&[
        ("observedGeneration", of.observed_generation),
        ("replicas", of.replicas.into()),
        ("updatedReplicas", of.updated.into()),
        ("readyReplicas", of.ready.into()),
        ("availableReplicas", of.available.into()),
        ("unavailableReplicas", of.unavailable.into()),
        ("terminatingReplicas", of.terminating.into()),
    ]);
    status.insert("conditions".to_owned(), conditions.0.into());
    status.into()
}

fn replica_set(of: &ReplicaSetStatus) -> Value {
    let mut conditions = Conditions::default();
    failure(&mut conditions, of.failure);
    let mut status = numbers(&[
        ("observedGeneration", of.observed_generation),
        ("fullyLabeledReplicas", of.fully_labeled.into()),
        ("readyReplicas", of.ready.into()),
        ("availableReplicas", of.available.into()),
        ("terminatingReplicas", of.terminating.into()),
    ]);
    status.insert("replicas".to_owned(), of.replicas.into());
    status.insert("conditions".to_owned(), conditions.0.into());
    status.into()
}

fn stateful_set(of: &StatefulSetStatus, name: ObjectName, cluster: &Cluster) -> Value {
    let names = cluster.names();
    let mut status = numbers(&[
        ("observedGeneration", of.observed_generation),
        ("readyReplicas", of.ready.into()),
        ("currentReplicas", of.current.into()),
        ("updatedReplicas", of.updated.into()),
    ]);
    status.insert("replicas".to_owned(), of.replicas.into());
    status.insert("availableReplicas".to_owned(), of.available.into());
    let revisions =
        [("currentRevision", of.current_revision), ("updateRevision", of.update_revision)];
    for (field, hash) in revisions {
        if let Some(hash) = hash {
            let revision = format!("{}-{}", names.resolve(name.name), names.resolve(hash));
            status.insert(field.to_owned(), revision.into());
        }
    }
    status.into()
}

fn daemon_set(of: &DaemonSetStatus) -> Value {
    let mut status = numbers(&[
        ("observedGeneration", of.observed_generation),
        ("updatedNumberScheduled", of.updated.into()),
        ("numberAvailable", of.available.into()),
        ("numberUnavailable", of.unavailable.into()),
    ]);
    let counts = [
        ("desiredNumberScheduled", of.desired),
        ("currentNumberScheduled", of.current),
        ("numberMisscheduled", of.misscheduled),
        ("numberReady", of.ready),
    ];
    status.extend(counts.into_iter().map(|(name, number)| (name.to_owned(), number.into())));
    status.into()
}

fn job(of: &JobStatus) -> Value {
    let mut conditions = Conditions::default();
    for condition in &of.conditions {
        conditions.put(condition.kind.as_str(), truth(condition.holds), condition.reason);
    }
    let mut status = numbers(&[
        ("active", of.active.into()),
        ("succeeded", of.succeeded.into()),
        ("failed", of.failed.into()),
    ]);
    status.insert("ready".to_owned(), of.ready.into());
    status.insert("terminating".to_owned(), of.terminating.into());
    status.insert("conditions".to_owned(), conditions.0.into());
    status.into()
}

fn autoscaler(of: &HpaStatus) -> Value {
    let mut conditions = Conditions::default();
    if !of.able_reason.is_empty() {
        let able = truth(!of.able_reason.starts_with("Failed"));
        conditions.put("AbleToScale", able, of.able_reason);
    }
    if !of.active_reason.is_empty() {
        let active = truth(of.active_reason == "ValidMetricFound");
        conditions.put("ScalingActive", active, of.active_reason);
    }
    if !of.limited_reason.is_empty() {
        conditions.put("ScalingLimited", truth(of.is_limited), of.limited_reason);
    }
    if let Some(zero) = of.scaled_to_zero {
        let reason = if zero { "ScaledToZero" } else { "NotScaledToZero" };
        conditions.put("ScaledToZero", truth(zero), reason);
    }
    json!({
        "currentReplicas": of.current, "desiredReplicas": of.desired, "conditions": conditions.0,
    })
}
