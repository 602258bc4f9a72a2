//! Who decides how many pods there shall be: what a PodDisruptionBudget's percentages are of.

use std::collections::BTreeMap;

use crate::base::IntOrString;
use crate::model::{ObjectKey, OwnerRef, PodId};

use super::{Budget, Cluster};

/// How many pods a budget's pods shall be, and how many of them it wants healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `expectedPods`.
    pub pods: i64,
    /// `desiredHealthy`.
    pub desired: i64,
    /// Whether some of the pods have no controller: they do not count.
    pub has_unmanaged: bool,
}

impl Cluster {
    /// Whose `spec.replicas` decides how many pods of an owner there are, and how many; `None` if
    /// the owner is gone.
    ///
    /// # Errors
    /// In the API server's words, if the owner has no scale: a DaemonSet or a Job.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/disruption/disruption.go `finders`,
    /// `getPodDeployment`, `getScaleController` (rule C145).
    pub fn scale_of(&self, owner: OwnerRef) -> Result<Option<(ObjectKey, u32)>, String> {
        let no_scale =
            |resource: &str| Err(format!("{resource} does not implement the scale subresource"));
        match owner {
            OwnerRef::ReplicaSet(set) => {
                let Some(row) = self.replica_sets.get(set) else { return Ok(None) };
                let deployment = row.owner.and_then(|id| Some((id, self.deployment(id)?)));
                Ok(Some(match deployment {
                    Some((id, deployment)) => (ObjectKey::Deployment(id), deployment.replicas),
                    None => (ObjectKey::ReplicaSet(set.id), row.replicas),
                }))
            }
            OwnerRef::StatefulSet(set) => {
                let row = self.stateful_sets.get(set);
                Ok(row.map(|row| (ObjectKey::StatefulSet(set), row.spec.replicas)))
            }
            OwnerRef::DaemonSet(set) if self.daemon_sets.get(set).is_some() => {
                no_scale("daemonsets.apps")
            }
            OwnerRef::Job(job) if self.jobs.contains(job) => no_scale("jobs.batch"),
            OwnerRef::DaemonSet(_) | OwnerRef::Job(_) => Ok(None),
        }
    }

    /// The sum of the scales of the distinct controllers of these pods, and whether some pod has
    /// none.
    ///
    /// # Errors
    /// If the controller of a pod is gone or has no scale (rule C148).
    ///
    /// Source: disruption.go `getExpectedScale` (rules C144, C145).
    pub fn expected_scale(&self, pods: &[PodId]) -> Result<(i64, bool), String> {
        let mut scales: BTreeMap<ObjectKey, u32> = BTreeMap::new();
        let mut has_unmanaged = false;
        for pod in pods {
            let row = &self.pods[*pod];
            let Some(owner) = row.owner else {
                has_unmanaged = true;
                continue;
            };
            let found = self.scale_of(owner)?;
            let gone = || format!("found no controllers for pod {:?}", row.name.text(&self.names));
            let (key, scale) = found.ok_or_else(gone)?;
            scales.insert(key, scale);
        }
        Ok((scales.values().map(|scale| i64::from(*scale)).sum(), has_unmanaged))
    }

    /// What a budget expects of its pods.
    ///
    /// # Errors
    /// If it cannot be said: see [`Self::expected_scale`]; or a share that is no percentage.
    ///
    /// Source: disruption.go `getExpectedPodCount` (rule C144; both shares round up, rule C3).
    pub fn expected_pods(&self, budget: &Budget) -> Result<Expected, String> {
        let share = |of: &IntOrString, total| of.scaled_up(total).map_err(|why| why.to_string());
        let plain = |pods, desired, has_unmanaged| Expected { pods, desired, has_unmanaged };
        if let Some(max) = &budget.spec.max_unavailable {
            let (pods, has_unmanaged) = self.expected_scale(&budget.pods)?;
            let desired = (pods - share(max, pods)?).max(0);
            return Ok(plain(pods, desired, has_unmanaged));
        }
        match &budget.spec.min_available {
            Some(IntOrString::Int(min)) => {
                let count = i64::try_from(budget.pods.len()).unwrap_or(i64::MAX);
                Ok(plain(count, *min, false))
            }
            Some(min) => {
                let (pods, has_unmanaged) = self.expected_scale(&budget.pods)?;
                Ok(plain(pods, share(min, pods)?, has_unmanaged))
            }
            None => Ok(plain(0, 0, false)),
        }
    }
}
