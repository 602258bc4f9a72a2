//! Whether a machine is still what its pool asks for (rule A217).
//!
//! Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/nodeclaim/disruption/drift.go
//! `areStaticFieldsDrifted`, `areRequirementsDrifted`. Differs: it is judged at once when a pool is
//! declared anew, not up to five minutes later; the cloud's own drift (another image) is not
//! modelled.

use std::sync::Arc;

use crate::base::Interner;
use crate::model::{Labels, PoolSpec};

use super::requirement::{Place, Requirements};
use super::types::NodePool;
use super::words::Words;

/// Whether a machine made for `made` is not what the pool, as it is declared now, would make: what
/// its nodes have by the pool's word is another, or what is asked of them does not hold of this
/// one's labels. Weight, limits, budgets and consolidation do not count.
pub(super) fn has_drifted(
    made: &Arc<PoolSpec>,
    labels: &Labels,
    (spec, pool): (&Arc<PoolSpec>, &NodePool),
    (words, names): (&Words, &Interner),
) -> bool {
    if Arc::ptr_eq(made, spec) {
        return false;
    }
    let fixed = |of: &PoolSpec| {
        (of.labels.clone(), of.taints.clone(), of.expire_after, of.termination_grace)
    };
    let is = Requirements::of_labels(labels, words, names);
    fixed(made) != fixed(spec) || !is.compatible(&pool.requirements, Place::OnNode, words, names)
}
