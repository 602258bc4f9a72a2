//! Sets of indexes as compressed ranges.

use std::fmt;

/// A set of indexes: ranges in order, none touching the next; both ends belong to a range.
///
/// Printed as Kubernetes prints `completedIndexes`: `0,1,3-5` (rule C127).
///
/// Source: kubernetes v1.36.3 pkg/controller/job/indexed_job_utils.go `orderedIntervals`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<(u32, u32)>);

impl Intervals {
    /// Reads `0,1,3-5`; what is no number is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse()) {
                ranges.push((first, last));
            }
        }
        Self::of_ranges(ranges)
    }

    /// Of indexes in any order.
    #[must_use]
    pub fn of(indexes: impl IntoIterator<Item = u32>) -> Self {
        Self::of_ranges(indexes.into_iter().map(|index| (index, index)).collect())
    }

    fn of_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len().min(64));
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// All that are in one of the two.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::of_ranges(self.0.iter().chain(&other.0).copied().collect())
    }

    /// Those below a bound.
    #[must_use]
    pub fn below(&self, bound: u32) -> Self {
        let inside = self.0.iter().take_while(|range| range.0 < bound);
        Self(inside.map(|(first, last)| (*first, (*last).min(bound - 1))).collect())
    }

    /// Whether an index is in it.
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        let after = self.0.partition_point(|range| range.1 < index);
        self.0.get(after).is_some_and(|range| range.0 <= index)
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// How many are in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> u32 {
        let overlap = |a: &(u32, u32), b: &(u32, u32)| {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last { last - first + 1 } else { 0 }
        };
        self.0.iter().flat_map(|a| other.0.iter().map(move |b| overlap(a, b))).sum()
    }

    /// The `count` lowest indexes below a bound that are not in it.
    #[must_use]
    pub fn first_missing(&self, count: usize, bound: u32) -> Vec<u32> {
        let mut found = Vec::with_capacity(count);
        let mut from = 0;
        for (first, last) in self.0.iter().copied().chain([(bound, bound)]) {
            found.extend((from..first.min(bound)).take(count - found.len()));
            from = last.saturating_add(1);
        }
        found
    }
}

impl fmt::Display for Intervals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two neighbours are printed one by one, three and more as a range (rule C127).
    #[test]
    fn ranges_are_printed_compressed_and_read_back() {
        let some = Intervals::of([7, 0, 1, 4, 3, 5]);
        assert_eq!(some.to_string(), "0,1,3-5,7");
        assert_eq!(Intervals::parse("0,1,3-5,7"), some);
        assert_eq!(Intervals::parse(""), Intervals::default());
        assert_eq!(some.total(), 6);
        assert!(some.has(4) && !some.has(2) && !some.has(8));
        assert_eq!(some.below(5).to_string(), "0,1,3,4");
        assert_eq!(some.common(&Intervals::parse("1-3,9")), 2);
        assert_eq!(some.union(&Intervals::of([2])).to_string(), "0-5,7");
    }

    #[test]
    fn the_lowest_missing_ones_below_the_bound() {
        let some = Intervals::parse("0,1,3-5,7");
        assert_eq!(some.first_missing(2, 9), [2, 6]);
        assert_eq!(some.first_missing(9, 9), [2, 6, 8]);
        assert_eq!(some.first_missing(9, 4), [2]);
        assert_eq!(Intervals::default().first_missing(2, 9), [0, 1]);
    }
}
