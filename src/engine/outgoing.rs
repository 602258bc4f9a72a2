//! The writes of one look on their way: in which order they go out, and which are refused.

use std::collections::VecDeque;

use crate::base::LookupMap;
use crate::cluster::{Change, Write};
use crate::model::ObjectKey;

/// The writes of a look that have not been sent yet.
///
/// They go out one after another, each when the one before has landed. Pods are made side by side
/// in batches of 1, 2, 4 and so on, and deleted all at once.
///
/// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go `manageReplicas`,
/// `slowStartBatch` (rules C14, C69, C71).
#[derive(Debug)]
pub(super) struct Outgoing {
    writes: VecDeque<Write>,
    /// How many pods the next batch makes at most.
    pods: usize,
}

impl Outgoing {
    pub(super) fn new(writes: impl Iterator<Item = Write>) -> Self {
        Self { writes: writes.collect(), pods: 1 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Nothing more goes out.
    pub(super) fn clear(&mut self) {
        self.writes.clear();
    }

    /// What goes out side by side now.
    pub(super) fn batch(&mut self) -> Vec<Write> {
        let limit = match self.writes.front() {
            Some(Write::CreatePod(_)) => self.pods,
            Some(Write::DeletePod { .. }) => usize::MAX,
            _ => 1,
        };
        let kind = self.writes.front().map(std::mem::discriminant);
        let alike = |write: &&Write| Some(std::mem::discriminant(*write)) == kind;
        let count = self.writes.iter().take_while(alike).take(limit).count();
        if matches!(self.writes.front(), Some(Write::CreatePod(_))) {
            self.pods *= 2;
        }
        self.writes.drain(..count).collect()
    }
}

/// Whether an Event tells of a write.
pub(super) const fn is_told(write: &Write) -> bool {
    if let Write::CreateReplicaSet(new) = write {
        return new.replicas > 0;
    }
    matches!(
        write,
        Write::CreatePod(_)
            | Write::DeletePod { .. }
            | Write::CreateJob { .. }
            | Write::ScaleReplicaSet { .. }
            | Write::ScaleDeployment { .. }
    )
}

/// Whether a refused write is tried once more with the version that is there then (rule C76).
pub(super) const fn is_retried(write: &Write) -> bool {
    matches!(write, Write::ReplicaSetStatus { .. })
}

/// When each Deployment and ReplicaSet changed last, counted in changes.
#[derive(Debug)]
pub(super) struct Versions {
    is_kept: bool,
    now: u64,
    changed: LookupMap<ObjectKey, u64>,
}

impl Versions {
    pub(super) fn new(is_kept: bool) -> Self {
        Self { is_kept, now: 0, changed: LookupMap::new() }
    }

    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn note(&mut self, change: &Change) {
        let key = if let Change::Deployment { deployment, .. } = change {
            ObjectKey::Deployment(*deployment)
        } else if let Change::ReplicaSet { replica_set, .. } = change {
            ObjectKey::ReplicaSet(replica_set.id)
        } else {
            return;
        };
        if self.is_kept {
            self.now += 1;
            self.changed.insert(key, self.now);
        }
    }

    /// Whether a write is about an older version than what is there (rules C5, C30).
    pub(super) fn is_stale(&self, write: &Write, seen: u64) -> bool {
        let key = if let Write::DeploymentStatus { deployment, .. } = write {
            ObjectKey::Deployment(*deployment)
        } else if let Write::ScaleReplicaSet { replica_set, .. }
        | Write::ReviseReplicaSet { replica_set, .. }
        | Write::ReplicaSetStatus { replica_set, .. } = write
        {
            ObjectKey::ReplicaSet(replica_set.id)
        } else {
            return false;
        };
        self.changed.get(&key).is_some_and(|changed| *changed > seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{DeploymentStatus, ObjectChange};
    use crate::model::DeploymentId;

    /// Rules C5 and C30: a status of a version that somebody has changed since is refused, also if
    /// it was the same look that did; where clients are not limited nobody asks.
    #[test]
    fn a_stale_write_is_refused() {
        let deployment = DeploymentId::new(0);
        let change = Change::Deployment { deployment, what: ObjectChange::Spec };
        let status = DeploymentStatus::default();
        let write = Write::DeploymentStatus { deployment, status, revision: 1 };
        let mut versions = Versions::new(true);
        let seen = versions.now();
        assert!(!versions.is_stale(&write, seen));
        versions.note(&change);
        assert!(versions.is_stale(&write, seen));
        assert!(!versions.is_stale(&write, versions.now()), "the next look has seen it");
        let mut ideal = Versions::new(false);
        ideal.note(&change);
        assert!(!ideal.is_stale(&write, 0));
    }
}
