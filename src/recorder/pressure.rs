//! What nodes ran out of, and what their kubelets did about it.

use crate::base::{Bytes, Duration, SimTime};
use crate::model::Pressure;

/// What nodes ran out of, and what was done about it.
#[derive(Clone, Debug, Default)]
pub struct PressureTally {
    /// Pods that were evicted for it, by [`Pressure`].
    pub evicted: [u64; Pressure::ALL.len()],
    /// Pods that nodes turned away meanwhile.
    pub turned_away: u64,
    /// Pods that were evicted because they had more on the disk than they may have.
    pub over_limit: u64,
    /// Images that were removed.
    pub images_removed: u64,
    /// Their sizes together.
    pub bytes_removed: Bytes,
    /// Pulls of images that had been there and were removed.
    pub pulled_again: u64,
    /// When nodes began to have a condition less when they ceased to, and how many have it.
    spans: [(i128, u64); Pressure::ALL.len()],
}

impl PressureTally {
    /// A node has a condition from now on, or has it no longer.
    pub fn turns(&mut self, what: Pressure, is_on: bool, at: SimTime) {
        let nanos = i128::from(at.since_start().as_nanos());
        let (sum, count) = &mut self.spans[what as usize];
        match is_on {
            true => (*sum, *count) = (*sum - nanos, *count + 1),
            false => (*sum, *count) = (*sum + nanos, count.saturating_sub(1)),
        }
    }

    /// How long nodes had a condition, all together, up to an instant.
    #[must_use]
    pub fn lasted(&self, what: Pressure, ended: SimTime) -> Duration {
        let (sum, count) = self.spans[what as usize];
        let nanos = i128::from(ended.since_start().as_nanos());
        let all = sum + nanos * i128::from(count);
        u64::try_from(all).map_or(Duration::ZERO, Duration::ns)
    }

    /// An image was removed.
    pub fn removed(&mut self, size: Bytes) {
        self.images_removed += 1;
        self.bytes_removed = Bytes(self.bytes_removed.0.saturating_add(size.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One node from 10 s to 40 s, another one from 30 s on: 30 s and, at 60 s, 30 s more.
    #[test]
    fn the_times_of_all_nodes_are_added() {
        let secs = |at| SimTime::at(Duration::secs(at));
        let mut tally = PressureTally::default();
        tally.turns(Pressure::Disk, true, secs(10));
        tally.turns(Pressure::Disk, true, secs(30));
        tally.turns(Pressure::Disk, false, secs(40));
        assert_eq!(tally.lasted(Pressure::Disk, secs(60)), Duration::secs(60));
        assert_eq!(tally.lasted(Pressure::Memory, secs(60)), Duration::ZERO);
    }
}
