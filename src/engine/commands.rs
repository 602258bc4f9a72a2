//! The timeline: kubectl's commands and faults become plans.
//!
//! A command that the API server or kubectl would refuse changes nothing; the refusal is recorded
//! in the words that a person would have seen.

use std::sync::Arc;

use crate::api;
use crate::base::{Duration, SimTime, go_time::Timestamp};
use crate::cluster::{Cluster, Plan, Write};
use crate::model::{
    Action, Command, DeploymentId, DeploymentSpec, NodeId, ObjectName, PodRef, ReplicaSetRef,
    Target, TargetKind, WorkloadKind,
};
use crate::record::CommandRecord;

use crate::sim::Ctx;

use super::World;

/// Carries out one entry of the timeline. Each write of a command is committed before its next
/// one, as a client of an API server sees it.
pub(super) fn run(index: u32, world: &mut World) {
    let model = Arc::clone(world.cluster.model());
    let entry = &model.timeline[index as usize];
    let at = world.queue.now();
    let World { cluster, plan, queue, streams, recorder, drains, .. } = world;
    let result = match &entry.action {
        Action::Command(Command::Drain(options)) => {
            let ctx = &mut Ctx { queue, streams, recorder };
            drains.start(&entry.text, options, cluster, plan, ctx).map(|_| ())
        }
        Action::Command(command) => carry_out(command, cluster, plan, at),
        Action::Fault(fault) => crate::faults::strike(*fault, cluster, plan),
    };
    let (text, refused) = (entry.text.clone(), result.err());
    world.recorder.command(CommandRecord { at, text, refused });
}

type Done = Result<(), String>;

fn carry_out(command: &Command, cluster: &mut Cluster, plan: &mut Plan, now: SimTime) -> Done {
    match command {
        Command::SetImage { target, images } => {
            let (id, spec) = find_deployment(*target, cluster)?;
            let patched = api::set_image(&spec.source, images)?;
            update(id, &Arc::new(patched), cluster, plan)
        }
        Command::RolloutRestart { target } => {
            let (id, spec) = find_deployment(*target, cluster)?;
            let start = Timestamp::from_unix(cluster.model().run.start_unix);
            let patched = api::restart(&spec.source, &start.at(now).to_string())?;
            update(id, &Arc::new(patched), cluster, plan)
        }
        Command::Scale { target, replicas, current } => {
            scale(*target, *replicas, *current, cluster, plan)
        }
        Command::Delete { target, grace } => delete(*target, *grace, cluster, plan),
        Command::Drain(_) => Ok(()), // an actor of its own: see above
        Command::Cordon { node } => cordon(*node, true, cluster, plan),
        Command::Uncordon { node } => cordon(*node, false, cluster, plan),
    }
}

/// Lowers a patched Deployment again and asks for it.
fn update(
    deployment: DeploymentId,
    source: &Arc<serde_json::Value>,
    cluster: &mut Cluster,
    plan: &mut Plan,
) -> Done {
    let model = Arc::clone(cluster.model());
    let (behaviors, classes) = (&model.behaviors, &model.priorities);
    let mut cx = api::Lowering { behaviors, classes, names: cluster.names_mut() };
    let lowered = api::lower_deployment(source, &mut cx);
    let spec = lowered.map_err(|problems| {
        problems.first().map_or_else(String::new, |first| first.message.clone())
    })?;
    plan.push(Write::UpdateDeployment { deployment, spec: Arc::new(spec) });
    Ok(())
}

fn scale(
    target: Target,
    replicas: u32,
    current: Option<u32>,
    cluster: &Cluster,
    plan: &mut Plan,
) -> Done {
    let expected = |now: u32| match current {
        Some(wanted) if wanted != now => {
            Err(format!("error: Expected replicas to be {wanted}, was {now}"))
        }
        _ => Ok(()),
    };
    if target.kind == TargetKind::Workload(WorkloadKind::ReplicaSet) {
        let (replica_set, now) = find_replica_set(target.name, cluster)?;
        expected(now)?;
        plan.push(Write::ScaleReplicaSet { replica_set, replicas, desired: None, max: None });
        return Ok(());
    }
    let (deployment, _) = find_deployment(target, cluster)?;
    expected(cluster.deployment(deployment).map_or(0, |row| row.replicas))?;
    plan.push(Write::ScaleDeployment { deployment, replicas });
    Ok(())
}

fn delete(target: Target, grace: Option<Duration>, cluster: &Cluster, plan: &mut Plan) -> Done {
    let write = match target.kind {
        TargetKind::Workload(WorkloadKind::Deployment) => {
            Write::DeleteDeployment { deployment: find_deployment(target, cluster)?.0 }
        }
        TargetKind::Workload(WorkloadKind::ReplicaSet) => {
            Write::DeleteReplicaSet { replica_set: find_replica_set(target.name, cluster)?.0 }
        }
        TargetKind::Workload(
            WorkloadKind::StatefulSet
            | WorkloadKind::DaemonSet
            | WorkloadKind::Job
            | WorkloadKind::CronJob
            | WorkloadKind::ReplicationController,
        ) => return Err("error: deleting this kind is not modelled".to_owned()),
        TargetKind::Workload(WorkloadKind::Pod | WorkloadKind::Generator) => {
            Write::DeletePod { pod: find_pod(target.name, cluster)?, grace }
        }
        TargetKind::Service => {
            let service = cluster.service_named(target.name);
            let service = service.filter(|id| cluster.service(*id).is_some());
            let missing = || not_found("services", target.name, cluster);
            Write::DeleteService { service: service.ok_or_else(missing)? }
        }
        TargetKind::Hpa => {
            let named = |id: &_| cluster.hpa(*id).is_some_and(|h| h.spec.name == target.name);
            let hpa = cluster.hpa_ids().find(named);
            let missing =
                || not_found("horizontalpodautoscalers.autoscaling", target.name, cluster);
            Write::DeleteHpa { hpa: hpa.ok_or_else(missing)? }
        }
        TargetKind::Node => return Err("error: deleting a node is not modelled".to_owned()),
    };
    plan.push(write);
    Ok(())
}

fn cordon(
    name: crate::base::Symbol,
    unschedulable: bool,
    cluster: &Cluster,
    plan: &mut Plan,
) -> Done {
    let node = find_node(name, cluster)?;
    plan.push(Write::Cordon { node, unschedulable });
    Ok(())
}

fn find_deployment(
    target: Target,
    cluster: &Cluster,
) -> Result<(DeploymentId, Arc<DeploymentSpec>), String> {
    if target.kind != TargetKind::Workload(WorkloadKind::Deployment) {
        return Err("error: only a deployment can be changed like this".to_owned());
    }
    let id = cluster.deployment_named(target.name);
    let row = id.and_then(|id| cluster.deployment(id).map(|row| (id, Arc::clone(&row.spec))));
    row.ok_or_else(|| not_found("deployments.apps", target.name, cluster))
}

fn find_replica_set(name: ObjectName, cluster: &Cluster) -> Result<(ReplicaSetRef, u32), String> {
    let mut all = cluster.replica_sets().iter();
    let found = all.find(|(_, row)| row.name == name);
    let found = found.map(|(id, row)| (cluster.replica_sets().refer(id), row.replicas));
    found.ok_or_else(|| not_found("replicasets.apps", name, cluster))
}

fn find_pod(name: ObjectName, cluster: &Cluster) -> Result<PodRef, String> {
    let names = cluster.names();
    let text = names.resolve(name.name);
    let mut all = cluster.pods().iter();
    let found =
        all.find(|(_, pod)| pod.namespace == name.namespace && pod.name.text(names) == text);
    let found = found.map(|(id, _)| cluster.pods().refer(id));
    found.ok_or_else(|| not_found("pods", name, cluster))
}

fn find_node(name: crate::base::Symbol, cluster: &Cluster) -> Result<NodeId, String> {
    let missing = || {
        let name = cluster.names().resolve(name);
        format!("Error from server (NotFound): nodes \"{name}\" not found")
    };
    cluster.node_named(name).ok_or_else(missing)
}

fn not_found(resource: &str, name: ObjectName, cluster: &Cluster) -> String {
    let name = cluster.names().resolve(name.name);
    format!("Error from server (NotFound): {resource} \"{name}\" not found")
}
