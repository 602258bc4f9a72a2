//! The row of a PodDisruptionBudget, and writes about it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::base::SimTime;
use crate::model::{BudgetId, DisruptionBudget, Labels, ObjectKey, ObjectName, PodId, Template};
use crate::record::PodName;

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
    /// Raised by each write: stands for `metadata.resourceVersion`.
    pub version: u64,
    /// Whether it is being deleted and waits for its dependents (foreground).
    pub is_deleting: bool,
    /// All pods that it selects, those being deleted and terminal ones too, in order of serials.
    pub pods: Vec<PodId>,
    /// Status.
    pub status: BudgetStatus,
}

/// Status of a PodDisruptionBudget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
    /// `expectedPods`.
    pub expected: i64,
    /// `currentHealthy`.
    pub healthy: i64,
    /// `desiredHealthy`.
    pub desired: i64,
    /// `disruptionsAllowed`.
    pub allowed: i64,
    /// `disruptedPods`, in order of the evictions: by name, and when.
    pub disrupted: Vec<(PodName, SimTime)>,
    /// Condition `DisruptionAllowed`.
    pub condition: Option<DisruptionAllowed>,
}

/// The condition `DisruptionAllowed`, by its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisruptionAllowed {
    /// True.
    SufficientPods,
    /// False: no more evictions now.
    InsufficientPods,
    /// False: the controller could not count (rule C148); with what it says.
    SyncFailed(Box<str>),
}

impl DisruptionAllowed {
    /// The condition that goes with so many evictions allowed.
    #[must_use]
    pub const fn of(allowed: i64) -> Self {
        if allowed > 0 { Self::SufficientPods } else { Self::InsufficientPods }
    }

    /// Status and reason as the API has them.
    #[must_use]
    pub const fn as_strs(&self) -> (&'static str, &'static str) {
        match self {
            Self::SufficientPods => ("True", "SufficientPods"),
            Self::InsufficientPods => ("False", "InsufficientPods"),
            Self::SyncFailed(_) => ("False", "SyncFailed"),
        }
    }
}

/// A write about a PodDisruptionBudget.
#[derive(Clone, Debug)]
pub enum BudgetWrite {
    /// All of its status, if nobody has written since that version (rule C150).
    Status {
        /// The version that it was made from.
        version: u64,
        /// All of it.
        status: BudgetStatus,
    },
    /// The eviction API takes one of the evictions for a pod (rule C154).
    Disrupt(PodName),
}

impl Budget {
    /// As it is when it has just been created.
    pub(super) const fn new(spec: Arc<DisruptionBudget>, created: SimTime) -> Self {
        let status = BudgetStatus {
            observed_generation: 0,
            expected: 0,
            healthy: 0,
            desired: 0,
            allowed: 0,
            disrupted: Vec::new(),
            condition: None,
        };
        Self {
            spec,
            created,
            generation: 1,
            version: 0,
            is_deleting: false,
            pods: Vec::new(),
            status,
        }
    }

    /// As it is at the start of a run: with what its manifest says of the status.
    pub(super) fn declared(spec: Arc<DisruptionBudget>, created: SimTime) -> Self {
        let disrupted = spec.disrupted.iter().map(|name| (PodName::Fixed(*name), created));
        let (allowed, disrupted) = (spec.allowed, disrupted.collect());
        let mut row = Self::new(spec, created);
        row.status = BudgetStatus { allowed, disrupted, ..BudgetStatus::default() };
        row
    }
}

impl Cluster {
    /// Adds a budget; templates that it selects learn of it.
    pub(super) fn add_budget(&mut self, row: Budget, changes: &mut Vec<Change>) {
        let id = self.budgets.insert(row.spec.name, row);
        self.select_guarded(id);
        let key = ObjectKey::Budget(id);
        changes.push(Change::Object { key, what: ObjectChange::Added });
    }

    /// Puts another version of a budget in place.
    pub(super) fn replace_budget(
        &mut self,
        spec: Arc<DisruptionBudget>,
        is_same_spec: bool,
        changes: &mut Vec<Change>,
    ) {
        let Some(id) = self.budgets.named(spec.name) else { return };
        let row = self.budgets.get_mut(id).expect("it was found by name");
        row.spec = spec;
        row.generation += u64::from(!is_same_spec);
        row.version += 1;
        self.select_guarded(id);
        let key = ObjectKey::Budget(id);
        changes.push(Change::Object { key, what: ObjectChange::Spec });
    }

    /// Deletes a budget; whether it was there.
    pub(super) fn delete_budget(&mut self, name: ObjectName, changes: &mut Vec<Change>) -> bool {
        let Some(id) = self.budgets.named(name) else { return false };
        self.budgets.remove(id);
        for template in self.templates.ids().collect::<Vec<_>>() {
            self.templates[template].budgets.retain(|other| *other != id);
        }
        let key = ObjectKey::Budget(id);
        changes.push(Change::Object { key, what: ObjectChange::Removed });
        true
    }

    /// Carries out a write about a Budget.
    pub(super) fn write_budget(
        &mut self,
        id: BudgetId,
        write: BudgetWrite,
        changes: &mut Vec<Change>,
    ) {
        let at = self.now.floor_secs();
        let Some(row) = self.budgets.get_mut(id) else { return };
        match write {
            BudgetWrite::Status { version, status } => {
                if version != row.version || row.status == status {
                    return;
                }
                row.status = status;
            }
            BudgetWrite::Disrupt(pod) => {
                let status = &mut row.status;
                status.allowed -= 1;
                if status.allowed == 0 {
                    status.condition = Some(DisruptionAllowed::InsufficientPods);
                }
                status.disrupted.retain(|(name, _)| *name != pod);
                status.disrupted.push((pod, at));
            }
        }
        row.version += 1;
        let key = ObjectKey::Budget(id);
        changes.push(Change::Object { key, what: ObjectChange::Status });
    }

    /// The budgets that select a template's labels.
    pub(super) fn budgets_of(
        &self,
        labels: &Labels,
        template: &Template,
    ) -> SmallVec<[BudgetId; 1]> {
        let namespace = template.workload.name.namespace;
        let all = self.budgets.iter();
        all.filter(|(_, row)| guards(&row.spec, namespace, labels, self))
            .map(|(id, _)| id)
            .collect()
    }

    /// Finds the templates and pods that a budget selects.
    fn select_guarded(&mut self, id: BudgetId) {
        let Some(row) = self.budgets.get(id) else { return };
        let spec = Arc::clone(&row.spec);
        for template in self.templates.ids().collect::<Vec<_>>() {
            let row = &self.templates[template];
            let is_in = guards(&spec, row.template.workload.name.namespace, &row.labels, self);
            let budgets = &mut self.templates[template].budgets;
            budgets.retain(|other| *other != id);
            if is_in {
                budgets.push(id);
                budgets.sort_unstable();
            }
        }
        let selects = |template| self.templates[template].budgets.contains(&id);
        let mut pods: Vec<_> = (self.pods.iter())
            .filter(|(_, pod)| selects(pod.template))
            .map(|(id, pod)| (pod.serial, id))
            .collect();
        pods.sort_unstable();
        if let Some(row) = self.budgets.get_mut(id) {
            row.pods = pods.into_iter().map(|(_, id)| id).collect();
        }
    }

    /// Puts a pod on the lists of the budgets that select it.
    pub(super) fn join_budgets(&mut self, id: PodId) {
        let (template, serial) = (self.pods[id].template, self.pods[id].serial);
        for budget in &self.templates[template].budgets {
            if let Some(row) = self.budgets.get_mut(*budget) {
                let place = row.pods.binary_search_by_key(&serial, |p| self.pods[*p].serial);
                row.pods.insert(place.unwrap_or_else(|place| place), id);
            }
        }
    }

    /// Takes a pod off the lists of the budgets that select it.
    pub(super) fn leave_budgets(&mut self, id: PodId) {
        let (template, serial) = (self.pods[id].template, self.pods[id].serial);
        for budget in &self.templates[template].budgets {
            if let Some(row) = self.budgets.get_mut(*budget) {
                let place = row.pods.binary_search_by_key(&serial, |p| self.pods[*p].serial);
                row.pods.remove(place.expect("a budget lists its pods"));
            }
        }
    }
}

/// Whether a budget selects pods of these labels: an empty selector all of its namespace, none
/// none.
fn guards(
    spec: &DisruptionBudget,
    namespace: crate::base::Symbol,
    labels: &Labels,
    cluster: &Cluster,
) -> bool {
    spec.name.namespace == namespace
        && spec.selector.as_ref().is_some_and(|selector| selector.matches(labels, &cluster.names))
}
