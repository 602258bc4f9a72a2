//! The eviction API: whether a pod may be evicted now, and the writes that do it.
//!
//! ```text
//! evict ─► pending, terminal, terminating ──────────────────────────────► DELETE
//!      ├─► no budget ───────────────────────────────────────────────────► DELETE
//!      ├─► two budgets ─────────────────────────────────────────────────► 500
//!      ├─► not ready, and the budget lets it go or is met ──────────────► DELETE
//!      └─► allowed > 0 ─► allowed −1, disruptedPods[pod] = now ─────────► DELETE
//!          allowed = 0 ─────────────────────────────────────────────────► 429
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/registry/core/pod/storage/eviction.go `Create`,
//! `checkAndDecrement` (rules C151 to C155). Differs: decision and writes are one step, so that
//! there are no conflicts and no retries of the API server's own.

use std::fmt;

use crate::base::Duration;
use crate::model::{BudgetId, PodRef};

use super::{Budget, DisruptionAllowed};
use super::{BudgetStatus, BudgetWrite, Charged, Cluster, Disruption, Phase, Plan, Pod, Write};

/// `disruptedPods` may have so many entries.
const DISRUPTED_MAX: usize = 2000;

/// Why the API server did not evict a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionRefused {
    /// The status code: 403, 404, 429, 500.
    pub code: u16,
    /// The reason; empty with 500.
    pub reason: &'static str,
    /// The message.
    pub message: String,
    /// The message of the cause `DisruptionBudget`, if there is one.
    pub cause: Option<String>,
    /// `retryAfterSeconds`: client-go itself waits so long and tries again; without it the caller
    /// has the answer at once (rule C154).
    pub retry_after: Option<Duration>,
    /// The budget that stands in the way, if it is one.
    pub budget: Option<BudgetId>,
}

impl EvictionRefused {
    /// Whether the caller may try again: 429.
    #[must_use]
    pub const fn is_too_many(&self) -> bool {
        self.code == 429
    }

    fn too_many(budget: BudgetId, cause: String, retry_after: Option<Duration>) -> Self {
        Self {
            code: 429,
            reason: "TooManyRequests",
            message: "Cannot evict pod as it would violate the pod's disruption budget.".to_owned(),
            cause: Some(cause),
            retry_after,
            budget: Some(budget),
        }
    }

    fn forbidden(budget: BudgetId, name: &str, why: &str) -> Self {
        Self {
            code: 403,
            reason: "Forbidden",
            message: format!("poddisruptionbudget.policy {name:?} is forbidden: {why}"),
            cause: None,
            retry_after: None,
            budget: Some(budget),
        }
    }
}

impl fmt::Display for EvictionRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)?;
        if let Some(cause) = &self.cause {
            write!(f, " | DisruptionBudget: {cause}")?;
        }
        if let Some(after) = self.retry_after {
            write!(f, " | retry-after {}", after.whole_secs())?;
        }
        Ok(())
    }
}

impl Plan {
    /// Asks for the eviction of a pod with that grace (`None`: the pod's own), unless the API
    /// server would refuse it as things are and after what this plan has evicted already.
    ///
    /// # Errors
    /// What the API server answers instead.
    pub fn evict_pod(
        &mut self,
        pod: PodRef,
        grace: Option<Duration>,
        cluster: &Cluster,
    ) -> Result<(), EvictionRefused> {
        let spends = cluster.may_evict(pod, &self.charged)?;
        if let (Some(budget), Some(row)) = (spends, cluster.pod(pod)) {
            self.charged.evictions.push(budget);
            self.push(Write::Budget(budget, BudgetWrite::Disrupt(row.name)));
        }
        self.push(Write::Evict { pod, reason: Disruption::EvictionByEvictionApi, grace });
        Ok(())
    }
}

impl Cluster {
    /// Whether a pod may be evicted now, after what is `charged`, and of which budget it takes one
    /// of the evictions.
    ///
    /// # Errors
    /// What the API server answers instead.
    pub fn may_evict(
        &self,
        pod: PodRef,
        charged: &Charged,
    ) -> Result<Option<BudgetId>, EvictionRefused> {
        let Some(row) = self.pod(pod) else {
            return Err(EvictionRefused {
                code: 404,
                reason: "NotFound",
                message: "pod not found".to_owned(),
                cause: None,
                retry_after: None,
                budget: None,
            });
        };
        if row.status.phase != Phase::Running || row.deletion.is_some() {
            return Ok(None);
        }
        let (id, budget) = match self.template_of(row).budgets.as_slice() {
            [] => return Ok(None),
            [one] => match self.budgets.get(*one) {
                Some(budget) => (*one, budget),
                None => return Ok(None),
            },
            _ => {
                return Err(EvictionRefused {
                    code: 500,
                    reason: "",
                    message: "This pod has more than one PodDisruptionBudget, which the eviction \
                              subresource does not support."
                        .to_owned(),
                    cause: None,
                    retry_after: None,
                    budget: None,
                });
            }
        };
        if is_free_to_go(row, budget) {
            return Ok(None);
        }
        let spent = charged.evictions.iter().filter(|spent| **spent == id).count();
        let spent = i64::try_from(spent).unwrap_or(i64::MAX);
        let name = self.names.resolve(budget.spec.name.name);
        check(id, budget, name, spent).map(|()| Some(id))
    }
}

/// Whether a pod that is not ready may go without taking one of the evictions (rule C153).
fn is_free_to_go(pod: &Pod, budget: &Budget) -> bool {
    let BudgetStatus { healthy, desired, .. } = budget.status;
    !pod.status.ready && (budget.spec.evicts_unhealthy || (healthy >= desired && desired > 0))
}

/// Whether a budget allows one more eviction, after `spent` others of the same plan.
fn check(id: BudgetId, budget: &Budget, name: &str, spent: i64) -> Result<(), EvictionRefused> {
    let status = &budget.status;
    if status.observed_generation < budget.generation {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(EvictionRefused::too_many(id, cause, Some(Duration::secs(10))));
    }
    if status.allowed < 0 {
        return Err(EvictionRefused::forbidden(id, name, "pdb disruptions allowed is negative"));
    }
    if status.disrupted.len() > DISRUPTED_MAX {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(EvictionRefused::forbidden(id, name, why));
    }
    if status.allowed > spent {
        return Ok(());
    }
    let budget = format!("The disruption budget {name}");
    let cause = match &status.condition {
        Some(DisruptionAllowed::SyncFailed(why)) => {
            format!("{budget} does not allow evicting pods currently because it failed sync: {why}")
        }
        _ if status.healthy <= status.desired => {
            let (desired, healthy) = (status.desired, status.healthy);
            format!("{budget} needs {desired} healthy pods and has {healthy} currently")
        }
        _ => format!("{budget} does not allow evicting pods currently"),
    };
    Err(EvictionRefused::too_many(id, cause, None))
}
