//! What becomes of what an object owns when it is deleted.
//!
//! ```text
//! background  the owner goes, then what it owned
//! foreground  what it owns goes first; the owner waits, marked, until nothing is left
//! orphan      what it owned stays without owner; the owner goes
//! ```
//!
//! Where the collector has a client that is limited, what was owned waits for it (rule C195); else
//! all of it happens at the instant of the deletion.
//!
//! Source: kubernetes v1.36.3 pkg/controller/garbagecollector/garbagecollector.go (rules C191 to
//! C193). Differs: what becomes orphaned is so at once, and every owner blocks its owner's end.

use std::collections::VecDeque;

use crate::api::Kind;
use crate::model::{
    DeploymentId, JobRef, ObjectKey, PodRef, Propagation, ReplicaSetId, ReplicaSetRef,
};
use crate::recorder::Recorder;

use super::{Change, ClaimOwner, Cluster, ObjectChange};

/// What waits for the collector.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    /// Whether there is a collector that takes its time.
    is_collected: bool,
    waiting: VecDeque<(Owned, Propagation)>,
}

/// What an owner owns.
#[derive(Debug)]
enum Owned {
    Pod(PodRef),
    ReplicaSet(ReplicaSetRef),
    Job(JobRef),
}

impl Cluster {
    /// Deletes an object and treats what it owns as asked.
    pub(super) fn delete_owner(
        &mut self,
        key: ObjectKey,
        propagation: Propagation,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let owned = self.owned(key);
        match propagation {
            Propagation::Foreground if !owned.is_empty() => {
                self.mark_deleting(key, changes);
                self.hand_over(owned, propagation, changes, recorder);
            }
            Propagation::Orphan => {
                for one in owned {
                    self.release(&one, changes);
                }
                self.remove_owner(key, changes);
            }
            Propagation::Background | Propagation::Foreground => {
                self.remove_owner(key, changes);
                self.hand_over(owned, propagation, changes, recorder);
            }
        }
    }

    /// From now on what owners leave waits for the collector.
    pub fn collect_later(&mut self) {
        self.garbage.is_collected = true;
    }

    /// How much waits for the collector.
    #[must_use]
    pub fn garbage(&self) -> usize {
        self.garbage.waiting.len()
    }

    /// Leaves what was owned to the collector, or deletes it.
    fn hand_over(
        &mut self,
        owned: Vec<Owned>,
        propagation: Propagation,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        if !self.garbage.is_collected {
            for one in owned {
                self.delete_owned(&one, propagation, changes, recorder);
            }
        } else if !owned.is_empty() {
            let waiting = owned.into_iter().map(|one| (one, propagation));
            self.garbage.waiting.extend(waiting);
            changes.push(Change::Garbage);
        }
    }

    /// The collector deletes the next one.
    pub(super) fn collect(&mut self, changes: &mut Vec<Change>, recorder: &mut Recorder) {
        if let Some((owned, propagation)) = self.garbage.waiting.pop_front() {
            self.delete_owned(&owned, propagation, changes, recorder);
        }
    }

    fn owned(&self, key: ObjectKey) -> Vec<Owned> {
        let pods = match key {
            ObjectKey::Deployment(id) => {
                let sets = self.deployment(id).map_or(&[][..], |row| &row.replica_sets).iter();
                return sets.map(|set| Owned::ReplicaSet(self.replica_sets.refer(*set))).collect();
            }
            ObjectKey::CronJob(id) => {
                let jobs = self.cron_jobs.get(id).map_or(&[][..], |row| &row.jobs).iter();
                return jobs.map(|job| Owned::Job(self.jobs.refer(*job))).collect();
            }
            ObjectKey::ReplicaSet(id) => self.replica_sets.at(id).map(|row| &row.pods),
            ObjectKey::StatefulSet(id) => self.stateful_sets.get(id).map(|row| &row.pods),
            ObjectKey::DaemonSet(id) => self.daemon_sets.get(id).map(|row| &row.pods),
            ObjectKey::Job(id) => self.jobs.at(id).map(|row| &row.pods),
            _ => None,
        };
        pods.into_iter().flatten().map(|pod| Owned::Pod(self.pods.refer(*pod))).collect()
    }

    fn delete_owned(
        &mut self,
        owned: &Owned,
        propagation: Propagation,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        match owned {
            Owned::Pod(pod) => self.delete_pod(*pod, None, changes, recorder),
            Owned::ReplicaSet(set) => {
                self.delete_replica_set(*set, propagation, changes, recorder);
            }
            Owned::Job(job) => self.delete_job(*job, propagation, changes, recorder),
        }
    }

    fn release(&mut self, owned: &Owned, changes: &mut Vec<Change>) {
        match owned {
            Owned::Pod(pod) => self.set_pod_owner(*pod, None, changes),
            Owned::ReplicaSet(set) => self.set_replica_set_owner(*set, None, changes),
            Owned::Job(job) => {
                if let Some(row) = self.jobs.get_mut(*job) {
                    row.owner = None;
                }
            }
        }
    }

    /// Marks an owner that waits for what it owns.
    fn mark_deleting(&mut self, key: ObjectKey, changes: &mut Vec<Change>) {
        macro_rules! mark {
            ($row:expr) => {
                if let Some(row) = $row {
                    row.generation += u64::from(!row.is_deleting);
                    row.is_deleting = true;
                }
            };
        }
        let what = ObjectChange::Spec;
        match key {
            ObjectKey::Deployment(id) => mark!(&mut self.deployments[id]),
            ObjectKey::ReplicaSet(id) => mark!(Some(&mut self.replica_sets[id])),
            ObjectKey::StatefulSet(id) => mark!(self.stateful_sets.get_mut(id)),
            ObjectKey::DaemonSet(id) => mark!(self.daemon_sets.get_mut(id)),
            ObjectKey::Job(id) => mark!(Some(&mut self.jobs[id])),
            _ => return,
        }
        changes.push(self.told_of(key, what));
    }

    fn told_of(&self, key: ObjectKey, what: ObjectChange) -> Change {
        match key {
            ObjectKey::Deployment(deployment) => Change::Deployment { deployment, what },
            ObjectKey::ReplicaSet(id) => self.told(self.replica_sets.refer(id), what),
            key => Change::Object { key, what },
        }
    }

    fn is_deleting(&self, key: ObjectKey) -> bool {
        match key {
            ObjectKey::Deployment(id) => self.deployment(id).is_some_and(|row| row.is_deleting),
            ObjectKey::ReplicaSet(id) => {
                self.replica_sets.at(id).is_some_and(|row| row.is_deleting)
            }
            ObjectKey::StatefulSet(id) => {
                self.stateful_sets.get(id).is_some_and(|row| row.is_deleting)
            }
            ObjectKey::DaemonSet(id) => self.daemon_sets.get(id).is_some_and(|row| row.is_deleting),
            ObjectKey::Job(id) => self.jobs.at(id).is_some_and(|row| row.is_deleting),
            _ => false,
        }
    }

    /// Something that an object owned is gone: an owner that waited for it goes too.
    pub(super) fn settle_owner(&mut self, key: ObjectKey, changes: &mut Vec<Change>) {
        if self.is_deleting(key) && self.owned(key).is_empty() {
            self.remove_owner(key, changes);
        }
    }

    /// Removes an owner's row and tree; what it owned is the caller's.
    fn remove_owner(&mut self, key: ObjectKey, changes: &mut Vec<Change>) {
        match key {
            ObjectKey::Deployment(id) => self.remove_deployment(id, changes),
            ObjectKey::ReplicaSet(id) => self.remove_replica_set(id, changes),
            ObjectKey::StatefulSet(id) => {
                let Some(row) = self.stateful_sets.remove(id) else { return };
                let name = row.spec.name;
                self.trees.remove(&(Kind::StatefulSet, name));
                self.drop_selector(key, name.namespace, &row.spec.selector);
                changes.push(self.told_of(key, ObjectChange::Removed));
                self.drop_revisions(row.revisions);
                self.drop_claims(ClaimOwner::StatefulSet(id), changes);
            }
            ObjectKey::DaemonSet(id) => {
                let Some(row) = self.daemon_sets.remove(id) else { return };
                let name = row.spec.name;
                self.trees.remove(&(Kind::DaemonSet, name));
                self.drop_selector(key, name.namespace, &row.spec.selector);
                changes.push(self.told_of(key, ObjectChange::Removed));
                self.drop_revisions(row.revisions);
            }
            ObjectKey::Job(id) => {
                if self.jobs.at(id).is_none() {
                    return;
                }
                changes.push(self.told_of(key, ObjectChange::Removed));
                let row = self.jobs.remove(id);
                self.drop_selector(key, row.spec.name.namespace, &row.selector);
                self.drop_template(row.template);
                self.trees.remove(&(Kind::Job, row.spec.name));
                let Some(owner) = row.owner else { return };
                if let Some(owner) = self.cron_jobs.get_mut(owner) {
                    owner.jobs.retain(|job| *job != id);
                }
                let key = ObjectKey::CronJob(owner);
                changes.push(self.told_of(key, ObjectChange::Dependents));
            }
            ObjectKey::CronJob(id) => {
                let Some(row) = self.cron_jobs.remove(id) else { return };
                self.trees.remove(&(Kind::CronJob, row.spec.name));
                changes.push(self.told_of(key, ObjectChange::Removed));
            }
            _ => {}
        }
    }

    fn remove_deployment(&mut self, id: DeploymentId, changes: &mut Vec<Change>) {
        let Some(row) = self.deployments[id].take() else { return };
        self.trees.remove(&(Kind::Deployment, row.spec.name));
        changes.push(self.told_of(ObjectKey::Deployment(id), ObjectChange::Removed));
    }

    fn remove_replica_set(&mut self, id: ReplicaSetId, changes: &mut Vec<Change>) {
        if self.replica_sets.at(id).is_none() {
            return;
        }
        let key = ObjectKey::ReplicaSet(id);
        changes.push(self.told_of(key, ObjectChange::Removed));
        let kind = self.kind_of_set(&self.replica_sets[id]);
        let row = self.replica_sets.remove(id);
        self.drop_selector(key, row.name.namespace, &row.selector);
        self.trees.remove(&(kind, row.name));
        self.replica_set_by_name.remove(&(kind, row.name));
        self.drop_template(row.template);
        match row.owner {
            Some(owner) => {
                if let Some(owner) = &mut self.deployments[owner] {
                    owner.replica_sets.retain(|set| *set != id);
                }
                self.settle_owner(ObjectKey::Deployment(owner), changes);
            }
            None => self.free_replica_sets.retain(|set| *set != id),
        }
    }
}
