//! Which of a Job's pods go first when there are too many (rule C124).
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/job_controller.go `activePodsForRemoval`,
//! indexed_job_utils.go `appendDuplicatedIndexPodsForRemoval`, pkg/controller/controller_utils.go
//! `ActivePods.Less`. Differs: restarts are a pod's sum; equal pods go in order of creation.

use std::cmp::Reverse;

use crate::base::Slots;
use crate::cluster::Pod;
use crate::model::PodId;

/// The pods that go, at least `count` of the active ones if there are so many: of an indexed Job
/// those beyond its `completions`, and all but one of each index, go in any case.
pub(super) fn to_remove(
    active: &[PodId],
    pods: &Slots<PodId, Pod>,
    completions: Option<u32>,
    count: usize,
) -> Vec<PodId> {
    let mut left: Vec<PodId> = active.to_vec();
    let mut goes: Vec<PodId> = Vec::new();
    if let Some(completions) = completions {
        let index = |pod: &PodId| pods[*pod].index;
        left.sort_by_key(|pod| (index(pod), Reverse(order(&pods[*pod]))));
        let mut last = None;
        left.retain(|pod| {
            let own = index(pod).filter(|own| *own < completions);
            let stays = own.is_some() && own != last;
            last = own.or(last);
            if !stays {
                goes.push(*pod);
            }
            stays
        });
    }
    let missing = count.saturating_sub(goes.len());
    if missing > 0 {
        left.sort_by_key(|pod| order(&pods[*pod]));
        goes.extend(left.into_iter().take(missing));
    }
    goes
}

/// The smaller goes first: without node, earlier phase, not ready, ready since later, more
/// restarts, created later.
fn order(pod: &Pod) -> impl Ord + use<> {
    let ready_since = pod.status.ready.then(|| pod.ready_since());
    let is_ready = pod.status.ready;
    let age =
        (Reverse(ready_since), Reverse(pod.status.restarts), Reverse(pod.created.floor_secs()));
    (pod.node.is_some(), pod.status.phase, is_ready, age)
}
