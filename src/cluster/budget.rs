//! The row of a PodDisruptionBudget, and writes about it.

use std::sync::Arc;

use crate::base::SimTime;
use crate::model::{BudgetId, DisruptionBudget, ObjectKey};

use super::{Change, Cluster, ObjectChange};

/// A PodDisruptionBudget.
#[derive(Clone, Debug)]
pub struct Budget {
    /// As declared now.
    pub spec: Arc<DisruptionBudget>,
    /// When it was created.
    pub created: SimTime,
    /// `metadata.generation` (rule C4).
    pub generation: u64,
    /// Whether it is being deleted and waits for its dependents (foreground).
    pub is_deleting: bool,
    /// Status.
    pub status: BudgetStatus,
}

/// Status of a PodDisruptionBudget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
}

/// A write about a PodDisruptionBudget.
#[derive(Clone, Debug)]
pub enum BudgetWrite {
    /// All of its status.
    Status(BudgetStatus),
}

impl Budget {
    /// As it is when it has just been created.
    pub(super) fn new(spec: Arc<DisruptionBudget>, created: SimTime) -> Self {
        Self { spec, created, generation: 1, is_deleting: false, status: BudgetStatus::default() }
    }
}

impl Cluster {
    /// Carries out a write about a Budget.
    pub(super) fn write_budget(
        &mut self,
        id: BudgetId,
        write: BudgetWrite,
        changes: &mut Vec<Change>,
    ) {
        let Some(row) = self.budgets.get_mut(id) else { return };
        let what = match write {
            BudgetWrite::Status(status) if row.status == status => return,
            BudgetWrite::Status(status) => {
                row.status = status;
                ObjectChange::Status
            }
        };
        changes.push(Change::Object { key: ObjectKey::Budget(id), what });
    }
}
