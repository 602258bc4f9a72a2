//! The claims that StatefulSets make for their pods, and who owns them (rule C94).
//!
//! What a claim asks for and where its volume is stands in the scheduler's catalogue.

use crate::base::Symbol;
use crate::model::{ObjectName, PodRef, StatefulSetId};

use super::{Change, Cluster, ObjectChange};

/// Whose end takes a claim along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOwner {
    /// It stays.
    Nobody,
    /// The StatefulSet's.
    StatefulSet(StatefulSetId),
    /// The pod's.
    Pod(PodRef),
}

impl Cluster {
    /// Who owns a claim that a StatefulSet has made; `None` if there is no such claim.
    #[must_use]
    pub fn claim_owner(&self, namespace: Symbol, name: &str) -> Option<ClaimOwner> {
        let name = self.names.get(name)?;
        self.claims.get(&ObjectName { namespace, name }).copied()
    }

    /// All claims that StatefulSets have made.
    pub fn claims(&self) -> impl Iterator<Item = (ObjectName, ClaimOwner)> {
        self.claims.iter().map(|(name, owner)| (*name, *owner))
    }

    /// Makes a claim, or gives it another owner.
    pub(super) fn set_claim(
        &mut self,
        namespace: Symbol,
        name: &str,
        owner: ClaimOwner,
        changes: &mut Vec<Change>,
    ) {
        let name = ObjectName { namespace, name: self.names.intern(name) };
        let what = match self.claims.insert(name, owner) {
            None => ObjectChange::Added,
            Some(_) => ObjectChange::Spec,
        };
        changes.push(Change::Claim { name, what });
    }

    /// Removes what a pod or StatefulSet that is gone owned.
    pub(super) fn drop_claims(&mut self, owner: ClaimOwner, changes: &mut Vec<Change>) {
        if self.claims.is_empty() {
            return;
        }
        self.claims.retain(|name, of| {
            let stays = *of != owner;
            if !stays {
                changes.push(Change::Claim { name: *name, what: ObjectChange::Removed });
            }
            stays
        });
    }
}
