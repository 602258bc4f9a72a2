//! The arithmetic of Deployments: how large each ReplicaSet shall be.
//!
//! Pure functions from numbers to numbers; they know no cluster. Sizes are signed, because the
//! original's are and some of its steps go below zero on the way. ReplicaSets stand in order of
//! creation, oldest first.

use crate::base::{cast, int_or_string::surge_and_unavailable};
use crate::model::Strategy;

/// What a Deployment's strategy comes to for its number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `spec.replicas`.
    pub replicas: i64,
    /// How many pods there may be above `replicas`; 0 unless the update rolls.
    pub surge: i64,
    /// How many pods may be missing; 0 unless the update rolls.
    pub unavailable: i64,
    /// Whether the strategy is RollingUpdate.
    pub is_rolling: bool,
}

/// What the arithmetic reads of a ReplicaSet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// `spec.replicas`.
    pub spec: i64,
    /// `status.availableReplicas`.
    pub available: i64,
    /// Annotation `desired-replicas`.
    pub desired: Option<i64>,
    /// Annotation `max-replicas`.
    pub max: Option<i64>,
}

/// What one look does with the old ReplicaSets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldStep {
    /// New sizes, in the order given.
    pub sizes: Vec<i64>,
    /// Whether it counts as a step: then the look ends here.
    pub scaled: bool,
}

impl Limits {
    /// Of a strategy. A text that is no percentage counts as nothing: validation has refused it.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
    /// `ResolveFenceposts`, `MaxUnavailable`, `MaxSurge` (rule C23).
    #[must_use]
    pub fn of(strategy: &Strategy, replicas: i64) -> Self {
        let Strategy::RollingUpdate { max_surge, max_unavailable } = strategy else {
            return Self { replicas, surge: 0, unavailable: 0, is_rolling: false };
        };
        let (surge, missing) =
            surge_and_unavailable(max_surge, max_unavailable, replicas).unwrap_or((0, 0));
        Self { replicas, surge, unavailable: missing.min(replicas), is_rolling: true }
    }

    /// How many pods must be available: `spec − MaxUnavailable`, whatever the strategy is.
    #[must_use]
    pub const fn available_min(&self) -> i64 {
        self.replicas - self.unavailable
    }

    /// What the annotation `max-replicas` says.
    #[must_use]
    pub const fn max(&self) -> i64 {
        self.replicas + self.surge
    }
}

/// The size that the new ReplicaSet of `spec` pods shall have while all together ask for `total`.
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go `NewRSNewReplicas`,
/// pkg/controller/deployment/rolling.go `reconcileNewReplicaSet` (rules C31, C34).
#[must_use]
pub fn new_size(limits: &Limits, total: i64, spec: i64) -> i64 {
    if !limits.is_rolling || spec >= limits.replicas {
        return limits.replicas;
    }
    let room = limits.max() - total;
    if room <= 0 {
        return spec;
    }
    spec + room.min(limits.replicas - spec)
}

/// Scales the old ReplicaSets that are active down: unhealthy pods first, then as many as
/// availability allows.
///
/// An old ReplicaSet whose status lags behind a scale-down (more available than asked for) makes
/// the original stop half-way with an error that nobody sees: what was written stays, and the look
/// counts as one without a step (rules C35, C37).
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/rolling.go `reconcileOldReplicaSets`,
/// `cleanupUnhealthyReplicas`, `scaleDownOldReplicaSetsForRollingUpdate` (rules C35 to C38).
#[must_use]
pub fn scale_down_old(limits: &Limits, old: &[Size], new: Size) -> OldStep {
    let mut sizes: Vec<i64> = old.iter().map(|o| o.spec).collect();
    let old_total: i64 = sizes.iter().sum();
    let spare = old_total + new.spec - limits.available_min() - (new.spec - new.available);
    if old_total == 0 || spare <= 0 {
        return OldStep { sizes, scaled: false };
    }
    let Some(unhealthy) = drop_unhealthy(&mut sizes, old, spare) else {
        return OldStep { sizes, scaled: false };
    };
    let available: i64 = old.iter().map(|o| o.available).sum::<i64>() + new.available;
    let healthy = drop_oldest(&mut sizes, available - limits.available_min());
    OldStep { sizes, scaled: unhealthy + healthy > 0 }
}

/// Takes away pods that are not available, at most `most`; `None` where the original fails.
fn drop_unhealthy(sizes: &mut [i64], old: &[Size], most: i64) -> Option<i64> {
    let mut dropped = 0;
    for (size, of) in sizes.iter_mut().zip(old) {
        if dropped >= most {
            break;
        }
        if *size == 0 || *size == of.available {
            continue;
        }
        let count = (most - dropped).min(*size - of.available);
        if count < 0 {
            return None;
        }
        *size -= count;
        dropped += count;
    }
    Some(dropped)
}

/// Takes `most` pods away, from the oldest ReplicaSet on.
fn drop_oldest(sizes: &mut [i64], most: i64) -> i64 {
    let mut left = most.max(0);
    let before = left;
    for size in sizes {
        let count = left.min(*size);
        *size -= count;
        left -= count;
    }
    before - left
}

/// Whether `spec.replicas` was changed since the active ReplicaSets were sized.
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `isScalingEvent` (rule C47).
#[must_use]
pub fn is_scaling(limits: &Limits, sets: &[Size]) -> bool {
    let active = sets.iter().filter(|s| s.spec > 0);
    active.filter_map(|s| s.desired).any(|desired| desired != limits.replicas)
}

/// The writes of the scaling path: which ReplicaSet gets which size. The annotations are written
/// with it, so an entry may leave its size.
///
/// `new` is the index of the new ReplicaSet, `status_replicas` the Deployment's `status.replicas`.
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `scale`, util/deployment_util.go
/// `FindActiveOrLatest`, `IsSaturated` (rules C49, C50, C51).
#[must_use]
pub fn scale(
    limits: &Limits,
    sets: &[Size],
    new: Option<usize>,
    status_replicas: i64,
) -> Vec<(usize, i64)> {
    let active: Vec<usize> = (0..sets.len()).filter(|i| sets[*i].spec > 0).collect();
    if active.len() <= 1 {
        let only = active.first().copied();
        let target = only.or(new).or(sets.len().checked_sub(1));
        let wrong = target.filter(|i| sets[*i].spec != limits.replicas);
        return wrong.map(|i| (i, limits.replicas)).into_iter().collect();
    }
    if new.is_some_and(|i| is_saturated(limits, &sets[i])) {
        let old = active.into_iter().filter(|i| Some(*i) != new);
        return old.map(|i| (i, 0)).collect();
    }
    if limits.is_rolling {
        return in_proportion(limits, sets, active, status_replicas);
    }
    Vec::new()
}

fn is_saturated(limits: &Limits, new: &Size) -> bool {
    [Some(new.spec), new.desired, Some(new.available)].iter().all(|n| *n == Some(limits.replicas))
}

/// Shares what is to be added or taken among the active ReplicaSets, the largest first; the rest
/// goes to the first (rule C51).
fn in_proportion(
    limits: &Limits,
    sets: &[Size],
    mut active: Vec<usize>,
    status_replicas: i64,
) -> Vec<(usize, i64)> {
    let allowed = if limits.replicas > 0 { limits.max() } else { 0 };
    let to_add = allowed - active.iter().map(|i| sets[*i].spec).sum::<i64>();
    match to_add.signum() {
        1 => active.sort_by_key(|i| (-sets[*i].spec, std::cmp::Reverse(*i))),
        -1 => active.sort_by_key(|i| (-sets[*i].spec, *i)),
        _ => {}
    }
    let mut added = 0;
    let mut sizes: Vec<(usize, i64)> = Vec::with_capacity(active.len());
    for i in active {
        let share = proportion(limits, &sets[i], status_replicas, (to_add, added));
        sizes.push((i, sets[i].spec + share));
        added += share;
    }
    if let Some((_, size)) = sizes.first_mut() {
        *size = (*size + to_add - added).max(0);
    }
    sizes
}

/// The part of `to_add` that goes to one ReplicaSet, after `added` went to others.
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
/// `GetReplicaSetProportion`, `getReplicaSetFraction` (rule C52).
fn proportion(
    limits: &Limits,
    set: &Size,
    status_replicas: i64,
    (to_add, added): (i64, i64),
) -> i64 {
    if set.spec == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(limits, set, status_replicas);
    let left = to_add - added;
    if to_add > 0 { fraction.min(left) } else { fraction.max(left) }
}

fn fraction(limits: &Limits, set: &Size, status_replicas: i64) -> i64 {
    if limits.replicas == 0 {
        return -set.spec;
    }
    let before = set.max.filter(|max| *max != 0).unwrap_or(status_replicas);
    if before == 0 {
        return 0;
    }
    let product = cast::f64_of_i64(set.spec * limits.max());
    let size = product / cast::f64_of_i64(before);
    cast::i64_trunc(size + if size < 0.0 { -0.5 } else { 0.5 }) - set.spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::IntOrString;

    fn limits(replicas: i64, surge: &str, unavailable: &str) -> Limits {
        let strategy = Strategy::RollingUpdate {
            max_surge: IntOrString::parse(surge),
            max_unavailable: IntOrString::parse(unavailable),
        };
        Limits::of(&strategy, replicas)
    }

    fn size(spec: i64, available: i64) -> Size {
        Size { spec, available, ..Size::default() }
    }

    /// Cases of deployment_util_test.go and rule C23.
    #[test]
    fn limits_round_surge_up_and_missing_down() {
        let got = |r, s, u| (limits(r, s, u).surge, limits(r, s, u).unavailable);
        assert_eq!(got(10, "25%", "25%"), (3, 2)); // ⌈2.5⌉, ⌊2.5⌋
        assert_eq!(got(4, "25%", "25%"), (1, 1));
        assert_eq!(got(3, "25%", "25%"), (1, 0));
        assert_eq!(got(10, "0", "1%"), (0, 1)); // 0 and ⌊0.1⌋: one, or nothing moves
        assert_eq!(got(2, "1", "100"), (1, 2)); // never more than there are
        assert_eq!(got(0, "1", "1"), (1, 0));
        let recreate = Limits::of(&Strategy::Recreate, 5);
        assert_eq!((recreate.surge, recreate.unavailable), (0, 0));
    }

    /// Cases of rolling_test.go: replicas, surge, old, new → new.
    #[test]
    fn the_new_one_grows_into_the_room() {
        let grow =
            |replicas, surge, old, new| new_size(&limits(replicas, surge, "0"), old + new, new);
        assert_eq!(grow(10, "2", 10, 0), 2); // 12 − 10
        assert_eq!(grow(10, "2", 5, 0), 7); // 12 − 5
        assert_eq!(grow(10, "2", 10, 2), 2); // full
        assert_eq!(grow(10, "2", 0, 11), 10); // too large: at once
        assert_eq!(grow(3, "1", 0, 2), 3); // never above spec
        assert_eq!(new_size(&Limits::of(&Strategy::Recreate, 6), 3, 3), 6);
    }

    /// Cases of rolling_test.go `reconcileOldReplicaSets`: 10 replicas, maxUnavailable 2, surge 2.
    #[test]
    fn old_ones_shrink_as_availability_allows() {
        let old = |old: (i64, i64), new: (i64, i64)| {
            let step =
                scale_down_old(&limits(10, "2", "2"), &[size(old.0, old.1)], size(new.0, new.1));
            (step.sizes[0], step.scaled)
        };
        assert_eq!(old((10, 10), (0, 0)), (8, true)); // 10 − 8 spare
        assert_eq!(old((10, 8), (2, 0)), (8, true)); // 2 unhealthy; 8 available: no more
        assert_eq!(old((10, 10), (2, 0)), (8, true));
        assert_eq!(old((8, 8), (2, 2)), (6, true));
        assert_eq!(old((8, 0), (2, 0)), (8, false)); // 10 − 8 − 2 = 0 spare
        assert_eq!(old((8, 0), (4, 2)), (6, true)); // 12 − 8 − 2 = 2, all of it unhealthy
        assert_eq!(old((0, 0), (10, 10)), (0, false));
    }

    /// Rule C37: the first old one is reduced, the second one's status lags.
    #[test]
    fn a_lagging_status_stops_the_look_silently() {
        let old = [size(4, 2), size(3, 5)];
        let step = scale_down_old(&limits(6, "2", "2"), &old, size(2, 2));
        // spare = 7 + 2 − 4 − 0 = 5; the first gives 2, the second would give −2.
        assert_eq!(step.sizes, [2, 3]);
        assert!(!step.scaled);
    }

    /// Rule C40: the broken middle one goes first, because the oldest is healthy.
    #[test]
    fn unhealthy_pods_go_before_older_healthy_ones() {
        // spare = 8 + 3 + 0 − 8 − 0 = 3: all of the middle one; available 8 − 8 = 0.
        let step = scale_down_old(&limits(10, "25%", "25%"), &[size(8, 8), size(3, 0)], size(0, 0));
        assert_eq!(step.sizes, [8, 0]);
    }

    fn shares(limits: &Limits, specs_newest_first: &[i64], max: i64, new: bool) -> Vec<i64> {
        let oldest_first = specs_newest_first.iter().rev();
        let mut sets: Vec<Size> = oldest_first
            .map(|spec| Size { spec: *spec, available: *spec, desired: Some(max), max: Some(max) })
            .collect();
        let newest = new.then(|| sets.len() - 1);
        for (i, to) in scale(limits, &sets, newest, 0) {
            sets[i].spec = to;
        }
        sets.iter().rev().map(|s| s.spec).collect()
    }

    /// All of rule C53 that is arithmetic alone (sync_test.go `TestScale`).
    #[test]
    fn scaling_shares_in_proportion() {
        let none = |replicas| limits(replicas, "0", "1");
        let check = |replicas, before: &[i64], after: &[i64]| {
            let max = before.iter().sum();
            assert_eq!(shares(&none(replicas), before, max, true), after, "{before:?}");
        };
        check(10, &[2, 3], &[4, 6]);
        check(3, &[2, 3], &[1, 2]);
        check(4, &[8, 1], &[4, 0]);
        check(10, &[2, 3, 2], &[3, 4, 3]);
        check(8, &[2, 8, 3], &[1, 5, 2]);
        check(4, &[1, 1, 1], &[2, 1, 1]);
        check(2, &[1, 1, 1], &[1, 1, 0]);
        check(0, &[3, 2, 1], &[0, 0, 0]);
        check(6, &[0, 0, 0], &[6, 0, 0]);
        check(12, &[10], &[12]);
        check(5, &[10], &[5]);
        // Surge 2 before and after, 10 → 20: 12 pods become 22.
        assert_eq!(shares(&limits(20, "2", "0"), &[6, 6], 12, true), [11, 11]);
        // Surge 3 → 6, 10 → 50: 13 pods become 56.
        assert_eq!(shares(&limits(50, "6", "0"), &[5, 8], 13, true), [22, 34]);
        // With a template change there is no new one yet.
        assert_eq!(shares(&none(14), &[7, 3], 10, false), [10, 4]);
        assert_eq!(shares(&none(5), &[2, 2], 4, false), [3, 2]);
    }

    #[test]
    fn a_saturated_new_one_takes_all() {
        let full = Size { spec: 5, available: 5, desired: Some(5), max: Some(5) };
        let old = Size { desired: Some(4), ..size(2, 2) };
        let limits = limits(5, "0", "1");
        assert!(is_scaling(&limits, &[old, full]));
        assert_eq!(scale(&limits, &[old, full], Some(1), 7), [(0, 0)]);
    }

    /// The last case of `TestScale`: full size, unavailable, one old pod, at the limit.
    #[test]
    fn a_full_new_one_that_is_not_available_leaves_the_old() {
        let new = Size { spec: 4, available: 0, desired: Some(4), max: Some(5) };
        let old = Size { spec: 1, available: 1, desired: Some(4), max: Some(5) };
        let written = scale(&limits(4, "1", "0"), &[old, new], Some(1), 5);
        assert_eq!(written, [(0, 1), (1, 4)]);
    }
}
