//! What upstream leaves to chance within one instant: who of several looks first, whether a look
//! comes between two things that happen at once, how many of its deletions a ReplicaSet has seen
//! when it sums up, in which order it lists its pods.
//!
//! Draw 0 is the plain order. In every other draw these are drawn, each draw with a haste of its
//! own. A case agrees if one draw agrees from its beginning to its end.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use seatrial::cluster::{Plan, Write};
use seatrial::sim::Streams;

/// What is drawn in one run of a case.
#[derive(Debug)]
pub(crate) struct Chance {
    draw: u32,
    rng: ChaCha8Rng,
}

impl Chance {
    pub(super) fn new(streams: &Streams) -> Self {
        Self { draw: streams.replication, rng: streams.open("chance", "") }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.draw == 0
    }

    /// Whether a key is looked at before anything else happens at this instant; `quick`: whether
    /// that is so in the plain order.
    pub(super) fn looks_first(&mut self, quick: bool) -> bool {
        const HASTE: [f64; 5] = [0.95, 0.8, 0.5, 0.2, 1.0];
        match self.draw {
            0 => quick,
            draw => self.rng.random_bool(HASTE[draw as usize % HASTE.len()]),
        }
    }

    /// Which of so many is next: the first one in the plain order.
    pub(super) fn which(&mut self, count: usize) -> usize {
        if self.draw == 0 || count < 2 { 0 } else { self.rng.random_range(0..count) }
    }

    /// A uid for a pod whose recorded one is not known.
    pub(super) fn uid(&mut self) -> Option<u64> {
        (self.draw > 0).then(|| self.rng.next_u64())
    }

    /// Whether a further look at a Deployment begins before its status has come back from this one,
    /// which has made or scaled ReplicaSets: its own status is refused, and the key waits for its
    /// back-off, which takes the place of whatever the key waited for (rules C15, C30).
    pub(super) fn is_stale(&mut self, plan: &Plan) -> bool {
        let has = |is: fn(&Write) -> bool| plan.writes().iter().any(is);
        self.draw > 0
            && has(|w| matches!(w, Write::CreateReplicaSet(_) | Write::ScaleReplicaSet { .. }))
            && has(|w| matches!(w, Write::DeploymentStatus { .. }))
            && self.rng.random_bool(0.8)
    }

    /// Parts what a ReplicaSet asks for into what it has seen when it looks next, and the rest:
    /// deletions go out side by side and are seen one after the other, and until all are seen only
    /// the status is kept up (rule C19).
    pub(super) fn part(&mut self, plan: &mut Plan) -> Option<Vec<Write>> {
        let writes: Vec<Write> = plan.take().collect();
        let is_deletion = |write: &Write| matches!(write, Write::DeletePod { .. });
        let deletions = writes.iter().filter(|write| is_deletion(write)).count();
        let is_seen_at_once = deletions < 2 || (self.draw > 0 && self.rng.random_bool(0.3));
        let mut seen = match is_seen_at_once {
            true => deletions,
            false if self.draw == 0 => deletions / 2,
            false => self.rng.random_range(1..deletions),
        };
        let mut unseen = Vec::new();
        for write in writes {
            if is_deletion(&write) && seen == 0 {
                unseen.push(write);
            } else {
                seen -= usize::from(is_deletion(&write));
                plan.push(write);
            }
        }
        (!unseen.is_empty()).then_some(unseen)
    }
}
