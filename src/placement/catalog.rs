//! Objects beside nodes and pods that decisions read: Services, owners, namespaces, storage,
//! budgets. The scheduler reads them live from its watches (rule S5).

use std::collections::BTreeMap;

use crate::base::{LookupMap, Symbol};
use crate::model::{DisruptionBudget, Labels, ObjectName, Selector};

use super::pod_info::{Owner, PodInfo};
use super::storage::StorageCatalog;

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Selectors of Services that have one, by name.
    pub services: BTreeMap<ObjectName, Labels>,
    /// Selectors of owners by namespace, kind and name.
    pub owners: LookupMap<(Symbol, Owner), Selector>,
    /// Labels of namespaces.
    pub namespaces: BTreeMap<Symbol, Labels>,
    /// Storage objects: from a model's by `StorageCatalog::from`.
    pub storage: StorageCatalog,
    /// PodDisruptionBudgets, by namespace and name.
    pub budgets: Vec<DisruptionBudget>,
}

impl Catalog {
    /// What default spread constraints count of a pod: the selectors of all Services that select it
    /// and of its owner, together; `None` if there is none of them (rule S104).
    ///
    /// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/helper/spread.go
    /// `DefaultSelector` (recorded).
    #[must_use]
    pub fn default_selector(&self, pod: &PodInfo) -> Option<Selector> {
        let mut merged = Labels::default();
        let in_namespace = |name: &&ObjectName| name.namespace == pod.namespace;
        for (_, selector) in self.services.iter().filter(|(name, _)| in_namespace(name)) {
            if !selector.is_empty() && pod.labels.has_all(selector) {
                selector.iter().for_each(|(key, value)| merged.set(key, value));
            }
        }
        let mut all = Selector::from_labels(&merged);
        if let Some(owner) = pod.owner
            && let Some(selector) = self.owners.get(&(pod.namespace, owner))
        {
            all.0.extend(selector.0.iter().cloned());
        }
        (!all.0.is_empty()).then_some(all)
    }
}
