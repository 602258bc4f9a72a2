//! Whether a Job's success policy is met (rule C130).
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/success_policy.go `matchSuccessPolicy`.

use crate::model::{Intervals, SuccessRule};

/// The place of the first rule that is met.
pub(super) fn first_met(
    rules: &[SuccessRule],
    completions: u32,
    succeeded: &Intervals,
) -> Option<usize> {
    if succeeded.total() == 0 {
        return None;
    }
    rules.iter().position(|rule| match (&rule.indexes, rule.count) {
        (Some(indexes), count) => {
            let wanted = indexes.below(completions);
            wanted.common(succeeded) >= count.unwrap_or(wanted.total())
        }
        (None, Some(count)) => succeeded.total() >= count,
        (None, None) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(indexes: Option<&str>, count: Option<u32>, succeeded: &str) -> bool {
        let rule = SuccessRule { indexes: indexes.map(Intervals::parse), count };
        first_met(&[rule], 10, &Intervals::parse(succeeded)).is_some()
    }

    /// Rule C130.
    #[test]
    fn all_of_the_indexes_or_so_many_of_them() {
        assert!(met(Some("0,2-3"), None, "0-3"));
        assert!(!met(Some("0,2-3"), None, "0-2"));
        assert!(met(Some("0,2-3"), Some(2), "0,3"));
        assert!(!met(Some("0,2-3"), Some(2), "1,3"));
        assert!(met(None, Some(2), "7,9"));
        assert!(!met(None, Some(2), ""));
    }
}
