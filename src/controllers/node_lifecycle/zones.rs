//! Failure domains: their states, and their queues of nodes that wait for a NoExecute taint.
//!
//! Source: kubernetes v1.36.3 pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go,
//! node_lifecycle_controller.go `ComputeZoneState`, `setLimiterInZone` (rules C165 to C167).

use std::collections::BTreeSet;

use crate::base::{Duration, SimTime};
use crate::model::{NodeId, NodeMonitor};

/// The state of a failure domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ZoneState {
    /// No pass has seen it.
    #[default]
    Initial,
    /// Most of its nodes are ready.
    Normal,
    /// Many are not.
    Partial,
    /// None is ready.
    Full,
}

impl ZoneState {
    /// By how many nodes are ready and how many are not (rule C166).
    pub(super) fn of(ready: usize, unready: usize) -> Self {
        // A share of 0.55, in single precision as in the original.
        let is_share = |part: usize, all: usize| {
            let (part, all) = (u16::try_from(part), u16::try_from(all));
            let single = |n: Result<u16, _>| f32::from(n.unwrap_or(u16::MAX));
            single(part) / single(all) >= 0.55
        };
        if ready == 0 && unready > 0 {
            Self::Full
        } else if unready > 2 && is_share(unready, unready + ready) {
            Self::Partial
        } else {
            Self::Normal
        }
    }
}

/// A bucket that holds one token.
#[derive(Clone, Copy, Debug)]
struct Limiter {
    /// From one token to the next; `None`: there are none.
    gap: Option<Duration>,
    /// When the next token is there.
    next: SimTime,
}

impl Limiter {
    fn take(&mut self, now: SimTime) -> bool {
        let Some(gap) = self.gap.filter(|_| self.next <= now) else { return false };
        self.next = now + gap;
        true
    }
}

/// A failure domain.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) state: ZoneState,
    limiter: Limiter,
    /// Nodes that wait, by when they were put in and their rank.
    waiting: BTreeSet<(SimTime, usize, NodeId)>,
    /// Nodes that wait or have had their turn: those are not put in again.
    known: BTreeSet<NodeId>,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            state: ZoneState::Initial,
            limiter: Limiter { gap: NodeMonitor::DEFAULT.eviction_gap, next: SimTime::ZERO },
            waiting: BTreeSet::new(),
            known: BTreeSet::new(),
        }
    }
}

impl Zone {
    /// Puts a node in, unless it is known; of those that are put in at once the one of the
    /// lowest rank comes first.
    pub(super) fn add(&mut self, node: NodeId, rank: usize, now: SimTime) {
        if self.known.insert(node) {
            self.waiting.insert((now, rank, node));
        }
    }

    /// Forgets a node.
    pub(super) fn remove(&mut self, node: NodeId) {
        if self.known.remove(&node) {
            self.waiting.retain(|(_, _, waiting)| *waiting != node);
        }
    }

    /// Whether a node waits.
    pub(super) fn has(&self, node: NodeId) -> bool {
        self.known.contains(&node) && self.waiting.iter().any(|(_, _, waiting)| *waiting == node)
    }

    /// When the next node has its turn, as things are.
    pub(super) fn next_turn(&self) -> Option<SimTime> {
        let (since, _, _) = self.waiting.first()?;
        self.limiter.gap.map(|_| self.limiter.next.max(*since))
    }

    /// The node whose turn it is; it costs a token whatever becomes of it.
    pub(super) fn take(&mut self, now: SimTime) -> Option<NodeId> {
        if self.waiting.is_empty() || !self.limiter.take(now) {
            return None;
        }
        self.waiting.pop_first().map(|(_, _, node)| node)
    }

    /// Lets nodes through as the state says; `size`: how many nodes count for the zone.
    pub(super) fn set_pace(
        &mut self,
        state: ZoneState,
        size: usize,
        settings: &NodeMonitor,
        now: SimTime,
    ) {
        let is_large = size > settings.large_zone as usize;
        self.swap(
            match state {
                ZoneState::Partial if is_large => settings.secondary_gap,
                ZoneState::Partial => None,
                ZoneState::Initial | ZoneState::Normal | ZoneState::Full => settings.eviction_gap,
            },
            now,
        );
    }

    /// Lets no node through.
    pub(super) fn stop(&mut self, now: SimTime) {
        self.swap(None, now);
    }

    /// A new bucket is empty if the old one was (rule C167).
    fn swap(&mut self, gap: Option<Duration>, now: SimTime) {
        if self.limiter.gap == gap {
            return;
        }
        let had_token = self.limiter.take(now);
        let next = if had_token { now } else { now + gap.unwrap_or_default() };
        self.limiter = Limiter { gap, next };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + Duration::secs(secs)
    }

    /// Rule C166.
    #[test]
    fn states_by_number_and_share() {
        assert_eq!(ZoneState::of(0, 1), ZoneState::Full);
        assert_eq!(ZoneState::of(1, 2), ZoneState::Normal, "two are not enough");
        assert_eq!(ZoneState::of(2, 3), ZoneState::Partial, "0.6");
        assert_eq!(ZoneState::of(3, 3), ZoneState::Normal, "0.5");
        assert_eq!(ZoneState::of(9, 11), ZoneState::Partial, "0.55 exactly");
        assert_eq!(ZoneState::of(5, 0), ZoneState::Normal);
    }

    /// Rule C165: one node in 10 s.
    #[test]
    fn one_token_in_ten_seconds() {
        let mut zone = Zone::default();
        for node in 0..3 {
            zone.add(NodeId::new(node), 0, at(100));
        }
        assert_eq!(zone.take(at(100)), Some(NodeId::new(0)));
        assert_eq!(zone.take(at(109)), None);
        assert_eq!(zone.next_turn(), Some(at(110)));
        assert_eq!(zone.take(at(110)), Some(NodeId::new(1)));
        zone.add(NodeId::new(1), 0, at(111));
        zone.remove(NodeId::new(2));
        assert_eq!(zone.next_turn(), None, "who has had a turn is not put in again");
    }

    /// Rule C167: slower in a large zone, stopped in a small one; a new bucket is as empty as the
    /// old one.
    #[test]
    fn a_disrupted_zone_is_slow() {
        let mut zone = Zone::default();
        (0..3).for_each(|node| zone.add(NodeId::new(node), 0, at(0)));
        assert!(zone.take(at(0)).is_some());
        zone.set_pace(ZoneState::Partial, 50, &NodeMonitor::DEFAULT, at(5));
        assert_eq!(zone.next_turn(), None);
        zone.set_pace(ZoneState::Normal, 50, &NodeMonitor::DEFAULT, at(60));
        assert_eq!(zone.next_turn(), Some(at(70)), "stopped: no token had come");
        zone.set_pace(ZoneState::Partial, 51, &NodeMonitor::DEFAULT, at(75));
        assert_eq!(zone.next_turn(), Some(at(75)), "the old bucket was full");
    }
}
