//! What is in the model and not in the cluster when a run begins.

use std::collections::BTreeSet;

use crate::base::Symbol;

use super::ids::{ObjectName, Workload};

/// Objects of the model's tables that only a command of the timeline creates: numbers of theirs
/// have their place, and clients may call them, before they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Later {
    /// Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs and bare pods.
    pub workloads: BTreeSet<Workload>,
    /// Services.
    pub services: BTreeSet<ObjectName>,
    /// HorizontalPodAutoscalers.
    pub hpas: BTreeSet<ObjectName>,
    /// VerticalPodAutoscalers.
    pub vpas: BTreeSet<ObjectName>,
    /// NodePools of Karpenter.
    pub pools: BTreeSet<Symbol>,
}

impl Later {
    /// Whether a workload is not there from the start.
    #[must_use]
    pub fn has(&self, workload: Workload) -> bool {
        self.workloads.contains(&workload)
    }
}
