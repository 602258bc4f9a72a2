//! A set of small numbers, a bit each.

use super::cast;

/// Numbers from 0 on; takes as many bits as the largest one that was ever in it.
#[derive(Clone, Debug, Default)]
pub struct BitSet(Vec<u64>);

const fn bit(number: u32) -> u64 {
    1 << (number % 64)
}

impl BitSet {
    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        self.0.get(cast::usize_of(number / 64)).is_some_and(|word| word & bit(number) != 0)
    }

    /// Puts a number in; whether it was not there.
    pub fn insert(&mut self, number: u32) -> bool {
        let is_new = !self.contains(number);
        let at = cast::usize_of(number / 64);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= bit(number);
        is_new
    }

    /// Takes a number out; whether it was there.
    pub fn remove(&mut self, number: u32) -> bool {
        let was_there = self.contains(number);
        if was_there {
            self.0[cast::usize_of(number / 64)] &= !bit(number);
        }
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_and_go() {
        let mut all = BitSet::default();
        assert!(all.insert(64) && all.insert(0) && !all.insert(64));
        assert_eq!([0, 1, 64, 128].map(|number| all.contains(number)), [true, false, true, false]);
        assert!(all.remove(64) && !all.remove(64) && !all.remove(1000));
        assert!(!all.contains(64) && all.contains(0));
    }
}
