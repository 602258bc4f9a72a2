//! Rolling updates: some nodes at a time, the old pod first or the new one first.
//!
//! Which of the nodes that could be next are taken is drawn: the original leaves it to the order of
//! a map, another one each time (rule C10).

use rand::Rng;
use rand::seq::SliceRandom;

use crate::base::IntOrString;
use crate::cluster::DaemonSetStatus;
use crate::model::{DaemonSetStrategy, NodeId, PodId};

use super::manage::Steps;
use super::view::{Verdict, View};

/// Whether all pods are of the newest revision and available.
pub(super) const fn is_complete(status: &DaemonSetStatus) -> bool {
    status.updated >= status.desired && status.available >= status.desired
}

/// What a node has of the two revisions.
#[derive(Clone, Copy, Debug)]
enum Has {
    /// Neither.
    Nothing,
    /// Only a new one.
    New(PodId),
    /// Only an old one.
    Old(PodId),
    /// One of each: new and old.
    Both(PodId, PodId),
    /// Several of one revision.
    TooMany,
}

/// Source: kubernetes v1.36.3 pkg/controller/daemon/update.go `findUpdatedPodsOnNode`.
fn has(pods: &[PodId], view: &View<'_>) -> Has {
    let mut has = Has::Nothing;
    for id in pods {
        let pod = view.pod(*id);
        if pod.deletion.is_some() {
            continue;
        }
        has = match (has, view.is_new(pod)) {
            (Has::Nothing, true) => Has::New(*id),
            (Has::Nothing, false) => Has::Old(*id),
            (Has::New(new), false) => Has::Both(new, *id),
            (Has::Old(old), true) => Has::Both(*id, old),
            _ => return Has::TooMany,
        };
    }
    has
}

/// How many pods may be missing, and how many may be too many.
struct Limits {
    unavailable: usize,
    surge: usize,
    desired: usize,
}

impl Limits {
    /// Both rounded up against the number of nodes that want a pod; not both zero.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/daemon/update.go `updatedDesiredNodeCounts` (rules
    /// C3, C97). Differs: a text that is no percentage counts as zero.
    fn of(view: &View<'_>) -> Option<Self> {
        let DaemonSetStrategy::RollingUpdate { max_unavailable, max_surge } = &view.spec().strategy
        else {
            return None;
        };
        let desired = view.places.iter().filter(|place| place.verdict.wants).count();
        let count = |share: &IntOrString| {
            let of = crate::base::cast::i64_of(desired);
            usize::try_from(share.scaled_up(of).unwrap_or(0)).unwrap_or(0)
        };
        let (unavailable, surge) = (count(max_unavailable), count(max_surge));
        let is_stuck = desired > 0 && unavailable == 0 && surge == 0;
        Some(Self { unavailable: if is_stuck { 1 } else { unavailable }, surge, desired })
    }
}

/// What a rolling update does next; `None` if it fails: with surge, an old pod alone on a node that
/// is gone.
///
/// Source: kubernetes v1.36.3 pkg/controller/daemon/update.go `rollingUpdate` (rules C106 to C108).
pub(super) fn roll(view: &View<'_>, rng: &mut impl Rng) -> Option<Steps> {
    let Some(limits) = Limits::of(view) else { return Some(Steps::default()) };
    if limits.surge == 0 {
        Some(old_first(view, &limits, rng))
    } else {
        new_first(view, &limits, rng)
    }
}

/// Takes any so many of a list.
fn any<T: Copy>(mut list: Vec<T>, count: usize, rng: &mut impl Rng) -> Vec<T> {
    if count == 0 || count >= list.len() {
        list.truncate(count);
        return list;
    }
    let (drawn, _) = list.partial_shuffle(rng, count);
    drawn.to_vec()
}

/// All nodes that have pods or want one.
fn nodes<'v>(
    view: &'v View<'_>,
) -> impl Iterator<Item = (NodeId, Option<Verdict>, &'v [PodId])> + 'v {
    let counts = |place: &&super::view::Place| place.verdict.wants || !place.pods.is_empty();
    let here = view.places.iter().filter(counts);
    let here = here.map(|place| (place.node, Some(place.verdict), &place.pods[..]));
    here.chain(view.strays.iter().map(|(node, pods)| (*node, None, &pods[..])))
}

/// Without surge the old pod goes, and the next look makes the new one (rule C106).
fn old_first(view: &View<'_>, limits: &Limits, rng: &mut impl Rng) -> Steps {
    let mut unavailable = 0;
    let (mut replaced, mut candidates) = (Vec::new(), Vec::new());
    for (_, _, pods) in nodes(view) {
        match has(pods, view) {
            Has::TooMany | Has::Nothing | Has::Both(..) => unavailable += 1,
            Has::New(new) => unavailable += usize::from(!view.is_available(view.pod(new))),
            Has::Old(old) if !view.is_available(view.pod(old)) => {
                replaced.push(old);
                unavailable += 1;
            }
            Has::Old(old) => candidates.push(old),
        }
    }
    replaced.extend(any(candidates, limits.unavailable.saturating_sub(unavailable), rng));
    Steps { delete: replaced, ..Steps::default() }
}

/// With surge the new pod comes, and the old one goes when the new one is available (rule C108).
fn new_first(view: &View<'_>, limits: &Limits, rng: &mut impl Rng) -> Option<Steps> {
    let (mut surging, mut available) = (0, 0);
    let (mut delete, mut leaving) = (Vec::new(), Vec::new());
    let (mut create, mut candidates) = (Vec::new(), Vec::new());
    for (node, verdict, pods) in nodes(view) {
        match has(pods, view) {
            Has::TooMany => surging += 1,
            Has::Nothing => {}
            Has::New(new) => available += usize::from(view.is_available(view.pod(new))),
            Has::Old(old) => {
                let is_available = view.is_available(view.pod(old));
                available += usize::from(is_available);
                match (is_available, verdict?.wants) {
                    (false, false) => delete.push(old),
                    (true, false) => leaving.push(old),
                    (false, true) => create.push(node),
                    (true, true) => candidates.push(node),
                }
            }
            Has::Both(new, old) => {
                available += usize::from(view.is_available(view.pod(old)));
                if view.is_available(view.pod(new)) {
                    delete.push(old);
                } else {
                    surging += 1;
                }
            }
        }
    }
    delete.extend(any(leaving, available.saturating_sub(limits.desired), rng));
    create.extend(any(candidates, limits.surge.saturating_sub(surging), rng));
    Some(Steps { create, delete, ..Steps::default() })
}
