//! Which controllers a case runs: a row for each that is there.

use std::sync::Arc;

use seatrial::base::Duration;
use seatrial::cluster::Controller;
use seatrial::controllers::{
    CronJobController, DaemonSetController, DeploymentController, DisruptionController,
    EndpointSliceController, JobController, NodeLifecycleController, PodGcController,
    ReplicaSetController, StatefulSetController, TaintEvictionController,
    TtlAfterFinishedController,
};
use seatrial::model::{Model, NodeId};
use seatrial::sim::Streams;

use super::case::{Case, list, ms, text};

type Make = fn(&Arc<Model>, &Streams) -> Box<dyn Controller>;

/// By their recorded names, in the order in which keys of one instant are looked at: what is
/// owned before its owner; budgets first, as they are looked at when pods are not there yet.
const CONTROLLERS: &[(&str, Make)] = &[
    ("disruption", |model, streams| Box::new(DisruptionController::new(model, streams))),
    ("podgc", |model, streams| Box::new(PodGcController::new(model, streams))),
    ("tainteviction", |model, streams| Box::new(TaintEvictionController::new(model, streams))),
    ("replicaset", |model, streams| {
        let controller = ReplicaSetController::new(model, streams);
        match streams.replication {
            0 => Box::new(controller),
            _ => Box::new(controller.with_drawn_order(streams)),
        }
    }),
    ("deployment", |model, streams| Box::new(DeploymentController::new(model, streams))),
    ("statefulset", |model, streams| Box::new(StatefulSetController::new(model, streams))),
    ("daemonset", |model, streams| Box::new(DaemonSetController::new(model, streams))),
    ("job", |model, streams| Box::new(JobController::new(model, streams))),
    ("ttl", |model, streams| Box::new(TtlAfterFinishedController::new(model, streams))),
    ("cronjob", |model, streams| Box::new(CronJobController::new(model, streams))),
];

/// The controllers of a case.
pub(super) fn of_case(
    case: &Case<'_>,
    model: &Arc<Model>,
    streams: &Streams,
) -> Result<Vec<Box<dyn Controller>>, String> {
    let wanted: Vec<&str> = list(&case.value["controllers"]).iter().map(text).collect();
    let (lifecycle, slices) = ("nodelifecycle", "endpointslice");
    let is_known = |name: &&&str| {
        **name == lifecycle
            || **name == slices
            || CONTROLLERS.iter().any(|(known, _)| known == *name)
    };
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        return Err(format!("no controller {unknown:?}"));
    }
    let runs = CONTROLLERS.iter().filter(|(name, _)| wanted.contains(name));
    let mut all: Vec<Box<dyn Controller>> = Vec::new();
    if wanted.contains(&lifecycle) {
        let answer = ms(&case.value["answer_delay_ms"]["node-controller"]);
        let controller = NodeLifecycleController::new(model, streams);
        let turns = case.turns.iter().copied().map(NodeId::new).collect();
        all.push(Box::new(controller.with_answers_after(Duration::ms(answer)).with_turns(turns)));
    }
    all.extend(runs.map(|(_, make)| make(model, streams)));
    if wanted.contains(&slices) {
        let batch = Duration::ms(ms(&case.value["endpoint_updates_batch_ms"]));
        let controller = EndpointSliceController::new(model, streams);
        all.push(Box::new(controller.with_batch_period(batch)));
    }
    Ok(all)
}
