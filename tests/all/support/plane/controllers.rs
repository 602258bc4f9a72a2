//! Which controllers a case runs: a row for each that is there.

use std::sync::Arc;

use seatrial::cluster::Controller;
use seatrial::controllers::{
    CronJobController, DaemonSetController, DeploymentController, EndpointSliceController,
    JobController, ReplicaSetController, StatefulSetController, TtlAfterFinishedController,
};
use seatrial::model::Model;
use seatrial::sim::Streams;

use super::case::{Case, list, text};

type Make = fn(&Arc<Model>, &Streams) -> Box<dyn Controller>;

/// By their recorded names, in the order in which keys of one instant are looked at: what is
/// owned before its owner.
const CONTROLLERS: &[(&str, Make)] = &[
    ("replicaset", |model, streams| Box::new(ReplicaSetController::new(model, streams))),
    ("deployment", |model, streams| Box::new(DeploymentController::new(model, streams))),
    ("statefulset", |model, streams| Box::new(StatefulSetController::new(model, streams))),
    ("daemonset", |model, streams| Box::new(DaemonSetController::new(model, streams))),
    ("job", |model, streams| Box::new(JobController::new(model, streams))),
    ("ttl", |model, streams| Box::new(TtlAfterFinishedController::new(model, streams))),
    ("cronjob", |model, streams| Box::new(CronJobController::new(model, streams))),
    ("endpointslice", |model, streams| Box::new(EndpointSliceController::new(model, streams))),
];

/// The controllers of a case.
pub(super) fn of_case(
    case: &Case<'_>,
    model: &Arc<Model>,
    streams: &Streams,
) -> Result<Vec<Box<dyn Controller>>, String> {
    let wanted: Vec<&str> = list(&case.value["controllers"]).iter().map(text).collect();
    let is_known = |name: &&&str| !CONTROLLERS.iter().any(|(known, _)| known == *name);
    if let Some(unknown) = wanted.iter().find(is_known) {
        return Err(format!("no controller {unknown:?}"));
    }
    let runs = CONTROLLERS.iter().filter(|(name, _)| wanted.contains(name));
    Ok(runs.map(|(_, make)| make(model, streams)).collect())
}
