//! Sees every change of a run and notes the facts that the recordings have.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use seatrial::base::SimTime;
use seatrial::cluster::{
    Change, Cluster, Controller, Deployment, ObjectChange, Plan, ProgressReason, Requeue,
};
use seatrial::model::{DeploymentId, ObjectKey, OwnerRef, PodRef, ReplicaSetRef};
use seatrial::sim::Ctx;

/// What happened in a run, times in ms.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub deployments: BTreeMap<String, DeploymentFacts>,
    pub pods_created: i64,
    pub pods_deleted: i64,
    pub max_existing: i64,
    pub max_active: i64,
    pub pod_order: Vec<String>,
    pub last_change: f64,
    names: BTreeMap<PodRef, String>,
    sets: BTreeMap<ReplicaSetRef, (String, usize, Option<u32>)>,
}

#[derive(Debug, Default)]
pub(super) struct DeploymentFacts {
    /// `0:4 1:1 0:3`: ReplicaSet by creation, size; `x` once deleted.
    pub sizes: Vec<String>,
    pub progressing: Vec<String>,
    pub complete: Vec<f64>,
    pub min_available: Option<i64>,
    is_complete: bool,
    sets: usize,
}

/// The watcher, in the place of a controller.
pub(super) struct Watcher(pub Rc<RefCell<Facts>>);

impl Controller for Watcher {
    fn name(&self) -> &'static str {
        "watcher"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, _out: &mut Vec<ObjectKey>) {
        self.0.borrow_mut().note(change, cluster);
    }

    fn reconcile(&mut self, _: ObjectKey, _: &Cluster, _: &mut Plan, _: &mut Ctx<'_>) -> Requeue {
        Requeue::Never
    }
}

#[expect(clippy::cast_precision_loss, reason = "minutes")]
fn ms(at: SimTime) -> f64 {
    at.since_start().as_nanos() as f64 / 1e6
}

impl Facts {
    fn note(&mut self, change: &Change, cluster: &Cluster) {
        let now = ms(cluster.now());
        match change {
            Change::PodAdded { pod, owner } => {
                self.pods_created += 1;
                let row = cluster.pod(*pod).expect("it was added");
                let name = row.name.text(cluster.names());
                if matches!(owner, Some(OwnerRef::StatefulSet(_))) {
                    self.pod_order.push(format!("+{name}"));
                }
                self.names.insert(*pod, name);
            }
            Change::PodRemoved { pod, owner, .. } => {
                self.pods_deleted += 1;
                if matches!(owner, Some(OwnerRef::StatefulSet(_))) {
                    self.pod_order.push(format!("-{}", self.names[pod]));
                }
            }
            Change::ReplicaSet { replica_set, owner: Some(owner), what } => {
                self.replica_set(*replica_set, *owner, *what, cluster);
            }
            Change::Deployment { deployment, what } if *what != ObjectChange::Removed => {
                self.deployment(*deployment, now, cluster);
            }
            Change::Node { .. } | Change::ReplicaSet { .. } => return,
            _ => {}
        }
        self.last_change = now;
        let pods = || cluster.pods().iter();
        let count = |count: usize| i64::try_from(count).expect("few");
        self.max_existing = self.max_existing.max(count(pods().count()));
        let active = pods().filter(|(_, pod)| pod.is_active()).count();
        self.max_active = self.max_active.max(count(active));
    }

    fn replica_set(
        &mut self,
        set: ReplicaSetRef,
        owner: DeploymentId,
        what: ObjectChange,
        cluster: &Cluster,
    ) {
        if what == ObjectChange::Removed {
            if let Some((name, index, _)) = self.sets.remove(&set) {
                let facts = self.deployments.entry(name).or_default();
                facts.sizes.push(format!("{index}:gone"));
            }
            return;
        }
        let (Some(row), Some(of)) = (cluster.replica_sets().get(set), cluster.deployment(owner))
        else {
            return;
        };
        let name = cluster.names().resolve(of.spec.name.name).to_owned();
        let facts = self.deployments.entry(name.clone()).or_default();
        let known = self.sets.entry(set).or_insert_with(|| {
            facts.sets += 1;
            (name, facts.sets - 1, None)
        });
        if known.2 != Some(row.replicas) {
            known.2 = Some(row.replicas);
            facts.sizes.push(format!("{}:{}", known.1, row.replicas));
        }
    }

    fn deployment(&mut self, id: DeploymentId, now: f64, cluster: &Cluster) {
        let Some(row) = cluster.deployment(id) else { return };
        let name = cluster.names().resolve(row.spec.name.name).to_owned();
        let facts = self.deployments.entry(name).or_default();
        let complete = is_complete(row);
        if complete && !facts.is_complete {
            facts.complete.push(now);
        }
        facts.is_complete = complete;
        if !facts.complete.is_empty() {
            let available = i64::from(row.status.available);
            facts.min_available = Some(facts.min_available.map_or(available, |m| m.min(available)));
        }
        if let Some(progressing) = row.status.progressing {
            let text = told(progressing.reason);
            if facts.progressing.last() != Some(&text) {
                facts.progressing.push(text);
            }
        }
    }
}

fn told(reason: ProgressReason) -> String {
    let status = match reason {
        ProgressReason::ProgressDeadlineExceeded => "False",
        ProgressReason::DeploymentPaused | ProgressReason::DeploymentResumed => "Unknown",
        _ => "True",
    };
    format!("{status}/{reason:?}")
}

/// Rule C57.
fn is_complete(row: &Deployment) -> bool {
    let (status, wanted) = (&row.status, row.replicas);
    wanted > 0
        && status.updated == wanted
        && status.replicas == wanted
        && status.available == wanted
        && status.observed_generation >= row.generation
}
