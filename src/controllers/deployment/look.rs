//! One look at one Deployment: what it sees, what it asks for, and how it ends.

use std::sync::Arc;

use crate::api::Kind;
use crate::base::cast;
use crate::cluster::{
    Cluster, Deployment, DeploymentStatus, NewReplicaSet, ProgressReason, ReplicaFailure,
    ReplicaSet, ReplicaSetStatus, Write,
};
use crate::model::{
    DeploymentId, ObjectName, ReplicaSetRef, Strategy, Template, Workload, WorkloadKind,
};
use crate::record::{About, EventRecord, RolloutRecord, RolloutStep};
use crate::sim::Ctx;

use super::super::deployment_progress::{Progress, Sums, set_reason, sum_up};
use super::super::rolling::{self, Limits, Size};
use super::super::template_hash::template_hash;

/// How a look ends.
pub(super) enum End {
    /// Without a status: another look follows from its writes.
    Unwritten,
    /// With a status, on the way of the strategy.
    Rollout(DeploymentStatus),
    /// With a status, without judging progress.
    Plain(DeploymentStatus),
    /// The new ReplicaSet is not made: its name is taken, and it is tried again with another hash;
    /// or it is refused, and is tried again later.
    Again(DeploymentStatus),
}

/// Whose rollout is told of.
pub(super) fn whose(row: &Deployment) -> Workload {
    Workload { kind: WorkloadKind::Deployment, name: row.spec.name }
}

/// Why the new ReplicaSet is not made.
enum Unmade {
    /// Its name is another one's.
    Taken,
    /// The API server refuses it, for this.
    Refused(String),
}

/// A ReplicaSet as this look sees it.
#[derive(Clone, Copy, Debug)]
struct Set {
    /// `None`: this look makes it.
    at: Option<ReplicaSetRef>,
    size: Size,
    revision: u32,
    status: ReplicaSetStatus,
}

/// One look at one Deployment: what it sees, and what it asks for.
pub(super) struct Look<'a> {
    id: DeploymentId,
    row: &'a Deployment,
    cluster: &'a Cluster,
    limits: Limits,
    pub(super) progress: Progress,
    /// Oldest first.
    sets: Vec<Set>,
    new: Option<usize>,
    /// Status before, with the conditions that this look sets on the way.
    status: DeploymentStatus,
    pub(super) revision: u32,
    pub(super) writes: Vec<Write>,
    recorder: &'a mut crate::recorder::Recorder,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        id: DeploymentId,
        row: &'a Deployment,
        cluster: &'a Cluster,
        ctx: &'a mut Ctx<'_>,
    ) -> Self {
        let rows = cluster.replica_sets();
        let mut order: Vec<_> = row.replica_sets.iter().map(|set| (*set, &rows[*set])).collect();
        let age =
            |set: &ReplicaSet| (set.created.floor_secs(), cluster.names().resolve(set.name.name));
        order.sort_by(|(_, a), (_, b)| age(a).cmp(&age(b)));
        let wanted = &row.spec.template;
        let is_wanted =
            |set: &ReplicaSet| is_same(wanted, &cluster.templates()[set.template].template);
        let seen = |set: &ReplicaSet| Set {
            at: None,
            size: Size {
                spec: i64::from(set.replicas),
                available: i64::from(set.status.available),
                desired: set.desired.map(i64::from),
                max: set.max.map(i64::from),
            },
            revision: set.revision,
            status: set.status,
        };
        let sets = order.iter().map(|(id, set)| Set { at: Some(rows.refer(*id)), ..seen(set) });
        Self {
            id,
            row,
            cluster,
            limits: Limits::of(&row.spec.strategy, i64::from(row.replicas)),
            progress: Progress {
                deadline: row.spec.progress_deadline,
                generation: row.generation,
                replicas: row.replicas,
                now: ctx.now(),
            },
            sets: sets.collect(),
            new: order.iter().position(|(_, set)| is_wanted(set)),
            status: row.status,
            revision: row.revision,
            writes: Vec::new(),
            recorder: ctx.recorder,
        }
    }

    /// The look itself.
    pub(super) fn sync(&mut self) -> End {
        if self.row.is_deleting {
            self.revise_new();
            return End::Plain(self.sum_up());
        }
        let paused = self.row.spec.paused;
        let before = self.status;
        self.progress.note_pause(&mut self.status, paused);
        if self.status != before {
            // Told at once, as all that follows may hide it again (rule C55).
            let (deployment, status, revision) = (self.id, self.status, self.revision);
            self.writes.push(Write::DeploymentStatus { deployment, status, revision });
        }
        if self.revise_new() {
            return End::Unwritten;
        }
        if let Some(to) = self.row.spec.rollback_to.filter(|_| !paused) {
            return self.roll_back(to);
        }
        let sizes: Vec<Size> = self.sets.iter().map(|set| set.size).collect();
        if paused || rolling::is_scaling(&self.limits, &sizes) {
            self.scale(&sizes);
            if paused && self.row.spec.rollback_to.is_none() {
                self.clean_up();
            }
            return End::Plain(self.sum_up());
        }
        let goes_on = match self.row.spec.strategy {
            Strategy::Recreate => self.recreate(),
            Strategy::RollingUpdate { .. } => self.roll(),
        };
        if let Err(unmade) = goes_on {
            return self.try_again(&unmade);
        }
        let mut status = self.sum_up();
        self.progress.estimate(&self.row.status, &mut status);
        status.failure = self.failure();
        End::Rollout(status)
    }

    /// What keeps pods from coming or going: the new ReplicaSet's word, else that of any other.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/progress.go `getReplicaFailures`
    /// (rule C61).
    fn failure(&self) -> Option<ReplicaFailure> {
        let new = self.new.and_then(|i| self.sets[i].status.failure);
        new.or_else(|| self.sets.iter().find_map(|set| set.status.failure))
    }

    /// Another hash next time, or the same again after a while.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `getNewReplicaSet` (rule C29).
    fn try_again(&mut self, unmade: &Unmade) -> End {
        let mut status = self.row.status;
        match unmade {
            Unmade::Taken => status.collisions += 1,
            Unmade::Refused(message) => {
                let name = self.row.spec.name;
                if self.cluster.namespace_deleted(name.namespace).is_none() {
                    let reason = ProgressReason::ReplicaSetCreateError;
                    if self.progress.deadline.is_some() {
                        set_reason(&mut status, reason, self.progress.now);
                    }
                    let message = Some(message.clone()).filter(|_| self.wants_events());
                    self.tell_of(true, "ReplicaSetCreateError", message);
                }
            }
        }
        End::Again(status)
    }

    /// Takes the template of the revision asked for back.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/rollback.go `rollback` (rule C64).
    fn roll_back(&mut self, to: u64) -> End {
        if self.new.is_none() {
            return match self.create_new() {
                Ok(()) => End::Plain(self.status),
                Err(unmade) => self.try_again(&unmade),
            };
        }
        let mut revisions: Vec<u32> = self.sets.iter().map(|set| set.revision).collect();
        revisions.sort_unstable();
        let last = revisions.len().checked_sub(2).map_or(0, |i| revisions[i]);
        let wanted = if to == 0 { u64::from(last) } else { to };
        let is_it = |set: &&Set| set.revision > 0 && u64::from(set.revision) == wanted;
        let found = self.sets.iter().find(is_it).and_then(|set| set.at);
        let template = |at: ReplicaSetRef| {
            let set = &self.cluster.replica_sets()[at.id];
            &self.cluster.templates()[set.template].template
        };
        let found = found.filter(|at| !is_same(&self.row.spec.template, template(*at)));
        if found.is_some() {
            let name = self.cluster.names().resolve(self.row.spec.name.name);
            let message = format!("Rolled back deployment \"{name}\" to revision {wanted}");
            self.tell("DeploymentRollback", Some(message).filter(|_| self.wants_events()));
        }
        self.writes.push(Write::RollBack { deployment: self.id, replica_set: found });
        End::Unwritten
    }

    /// Brings revision, annotations and `minReadySeconds` of the new ReplicaSet up to date; true if
    /// that took a write, which ends the look.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `getNewReplicaSet` (rule C28).
    fn revise_new(&mut self) -> bool {
        let Some((new, at)) = self.new.and_then(|i| Some((self.sets[i], self.sets[i].at?))) else {
            return false;
        };
        let revision = new.revision.max(self.next_revision());
        let min_ready = self.row.spec.min_ready;
        let annotations = &self.row.spec.annotations;
        let set = &self.cluster.replica_sets()[at.id];
        let is_there = set.min_ready == min_ready && set.annotations.has_all(annotations);
        if revision == new.revision && is_there {
            self.revision = revision;
            if self.progress.deadline.is_some() && self.status.progressing.is_none() {
                let found = ProgressReason::FoundNewReplicaSet;
                set_reason(&mut self.status, found, self.progress.now);
            }
            return false;
        }
        let annotations = annotations.clone();
        self.writes.push(Write::ReviseReplicaSet {
            replica_set: at,
            revision,
            min_ready,
            annotations,
        });
        if revision != new.revision {
            self.tell_start(revision);
        }
        true
    }

    /// One more than the highest revision of the old ones.
    fn next_revision(&self) -> u32 {
        let old = (0..self.sets.len()).filter(|i| Some(*i) != self.new);
        1 + old.map(|i| self.sets[i].revision).max().unwrap_or(0)
    }

    fn tell_start(&mut self, revision: u32) {
        self.recorder.rollout(RolloutRecord {
            at: self.progress.now,
            workload: whose(self.row),
            revision,
            step: RolloutStep::Started,
        });
    }

    /// Makes the new ReplicaSet if there is none.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `getNewReplicaSet` (rules C29,
    /// C33).
    fn create_new(&mut self) -> Result<(), Unmade> {
        if self.new.is_some() {
            return Ok(());
        }
        let total = self.sets.iter().map(|set| set.size.spec).sum();
        let spec = rolling::new_size(&self.limits, total, 0);
        let revision = self.next_revision();
        let hash = self.free_hash()?;
        self.admit_new(&hash)?;
        let event = self.wants_events().then(|| {
            let names = self.cluster.names();
            let name = names.resolve(self.row.spec.name.name);
            format!("Scaled up replica set {name}-{hash} from 0 to {spec}")
        });
        self.tell("ScalingReplicaSet", event.filter(|_| spec > 0));
        self.writes.push(Write::CreateReplicaSet(NewReplicaSet {
            deployment: self.id,
            hash,
            template: Arc::clone(&self.row.spec.template),
            replicas: count(spec),
            min_ready: self.row.spec.min_ready,
            revision,
            desired: self.row.replicas,
            max: count(self.limits.max()),
        }));
        self.new = Some(self.sets.len());
        self.sets.push(Set {
            at: None,
            size: Size {
                spec,
                available: 0,
                desired: Some(self.limits.replicas),
                max: Some(self.limits.max()),
            },
            revision,
            status: ReplicaSetStatus::default(),
        });
        self.revision = revision;
        if self.progress.deadline.is_some() {
            let created = ProgressReason::NewReplicaSetCreated;
            set_reason(&mut self.status, created, self.progress.now);
        }
        // Told at once, before the old side is looked at (rule C29).
        let (deployment, status) = (self.id, self.status);
        self.writes.push(Write::DeploymentStatus { deployment, status, revision });
        self.tell_start(revision);
        Ok(())
    }

    /// Whether the API server takes a new ReplicaSet.
    fn admit_new(&self, hash: &str) -> Result<(), Unmade> {
        let of = self.row.spec.name;
        let name = format!("{}-{hash}", self.cluster.names().resolve(of.name));
        let admitted = self.cluster.admit_made(Kind::ReplicaSet, of.namespace, &name);
        admitted.map_err(|why| {
            let why = why.message;
            Unmade::Refused(format!("Failed to create new replica set \"{name}\": {why}"))
        })
    }

    /// The hash of the template for so many collisions as were counted, if the name that it gives
    /// is free.
    fn free_hash(&self) -> Result<String, Unmade> {
        let collisions = Some(self.row.status.collisions).filter(|count| *count > 0);
        let hash = template_hash(&self.row.spec.template.source, collisions);
        let names = self.cluster.names();
        let of = self.row.spec.name;
        let name = names.get(&format!("{}-{hash}", names.resolve(of.name)));
        let name = name.map(|name| ObjectName { name, ..of });
        let taken = name.and_then(|name| self.cluster.replica_set_named(Kind::ReplicaSet, name));
        if taken.is_some() { Err(Unmade::Taken) } else { Ok(hash) }
    }

    /// Source: kubernetes v1.36.3 pkg/controller/deployment/rolling.go `rolloutRolling` (rule C32).
    fn roll(&mut self) -> Result<(), Unmade> {
        self.create_new()?;
        let Some(new) = self.new else { return Ok(()) };
        let total = self.sets.iter().map(|set| set.size.spec).sum();
        let spec = self.sets[new].size.spec;
        let size = rolling::new_size(&self.limits, total, spec);
        if size != spec {
            self.resize(new, size);
            return Ok(());
        }
        let old: Vec<usize> = self.active_old().collect();
        let sizes: Vec<Size> = old.iter().map(|i| self.sets[*i].size).collect();
        let step = rolling::scale_down_old(&self.limits, &sizes, self.sets[new].size);
        for (i, size) in old.into_iter().zip(step.sizes) {
            self.resize(i, size);
        }
        if !step.scaled && self.progress.is_complete(&self.row.status) {
            self.clean_up();
        }
        Ok(())
    }

    /// Source: kubernetes v1.36.3 pkg/controller/deployment/recreate.go `rolloutRecreate`
    /// (rules C43, C46).
    fn recreate(&mut self) -> Result<(), Unmade> {
        let old: Vec<usize> = self.active_old().collect();
        if !old.is_empty() {
            old.into_iter().for_each(|i| self.resize(i, 0));
            return Ok(());
        }
        if self.old_pods_run() {
            return Ok(());
        }
        self.create_new()?;
        if let Some(new) = self.new {
            self.resize(new, self.limits.replicas);
        }
        if self.progress.is_complete(&self.row.status) {
            self.clean_up();
        }
        Ok(())
    }

    /// Whether a pod of an old template may still run, terminating ones included.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/recreate.go `oldPodsRunning`
    /// (rule C44).
    fn old_pods_run(&self) -> bool {
        let (pods, rows) = (self.cluster.pods(), self.cluster.replica_sets());
        let runs = |set: &Set| {
            let listed = set.at.map_or(&[][..], |at| &rows[at.id].pods);
            set.status.replicas > 0 || listed.iter().any(|pod| !pods[*pod].is_terminal())
        };
        self.old().any(|i| runs(&self.sets[i]))
    }

    fn old(&self) -> impl Iterator<Item = usize> {
        let new = self.new;
        (0..self.sets.len()).filter(move |i| Some(*i) != new)
    }

    fn active_old(&self) -> impl Iterator<Item = usize> {
        self.old().filter(|i| self.sets[*i].size.spec > 0)
    }

    /// The scaling path (rule C48).
    fn scale(&mut self, sizes: &[Size]) {
        let replicas = i64::from(self.row.status.replicas);
        for (i, size) in rolling::scale(&self.limits, sizes, self.new, replicas) {
            self.write_size(i, size);
        }
    }

    /// Sets the size of a ReplicaSet if it is another one (rule C39).
    fn resize(&mut self, i: usize, size: i64) {
        if self.sets[i].size.spec != size {
            self.write_size(i, size);
        }
    }

    /// Sets size and annotations of a ReplicaSet.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `scaleReplicaSet` (rule C39).
    /// What this look goes on with is the size before, as the original's list is.
    fn write_size(&mut self, i: usize, size: i64) {
        let Some(at) = self.sets[i].at else { return };
        let before = self.sets[i].size.spec;
        if before != size && self.wants_events() {
            let row = &self.cluster.replica_sets()[at.id];
            let name = self.cluster.names().resolve(row.name.name);
            let way = if size > before { "up" } else { "down" };
            let text = format!("Scaled {way} replica set {name} from {before} to {size}");
            self.tell("ScalingReplicaSet", Some(text));
        }
        self.writes.push(Write::ScaleReplicaSet {
            replica_set: at,
            replicas: count(size),
            desired: Some(self.row.replicas),
            max: Some(count(self.limits.max())),
        });
    }

    fn wants_events(&self) -> bool {
        self.recorder.wants_events()
    }

    fn tell(&mut self, reason: &'static str, message: Option<String>) {
        self.tell_of(false, reason, message);
    }

    fn tell_of(&mut self, is_warning: bool, reason: &'static str, message: Option<String>) {
        let Some(message) = message else { return };
        self.recorder.event(EventRecord {
            at: self.progress.now,
            is_warning,
            reason,
            about: About::Object("Deployment", self.row.spec.name),
            message,
        });
    }

    /// Deletes what the history has too much of: of the oldest revisions those that are empty.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `cleanupDeployment` (rule C62).
    fn clean_up(&mut self) {
        let rows = self.cluster.replica_sets();
        let old = self.old().filter_map(|i| self.sets[i].at);
        let mut old: Vec<ReplicaSetRef> = old.filter(|at| !rows[at.id].is_deleting).collect();
        let limit = cast::usize_of(self.row.spec.history_limit);
        let excess = old.len().saturating_sub(limit);
        old.sort_by_key(|at| rows[at.id].revision);
        for replica_set in old.into_iter().take(excess) {
            let row = &rows[replica_set.id];
            let is_seen = row.status.observed_generation >= row.generation;
            if row.status.replicas == 0 && row.replicas == 0 && is_seen {
                self.writes.push(Write::DeleteReplicaSet { replica_set });
            }
        }
    }

    fn sum_up(&self) -> DeploymentStatus {
        let mut sums = Sums {
            spec: 0,
            all: ReplicaSetStatus::default(),
            updated: self.new.map_or(0, |i| self.sets[i].status.replicas),
        };
        for set in &self.sets {
            sums.spec += count(set.size.spec);
            sums.all.replicas += set.status.replicas;
            sums.all.ready += set.status.ready;
            sums.all.available += set.status.available;
            sums.all.terminating += set.status.terminating;
        }
        sum_up(&self.status, self.row.generation, &sums, &self.limits)
    }
}

/// Whether two templates are the same revision (rule C26).
fn is_same(one: &Arc<Template>, other: &Arc<Template>) -> bool {
    Arc::ptr_eq(&one.source, &other.source) || one.source == other.source
}

/// A size as the API has it.
fn count(size: i64) -> u32 {
    u32::try_from(size).expect("a size is neither negative nor beyond 32 bits")
}
