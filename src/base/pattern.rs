//! Regular expressions as Go's `regexp` reads them (RE2): whether any part of a text matches.
//!
//! The crate `regex-lite` matches as RE2 does, in time that is bounded by the lengths of text and
//! pattern; `\d`, `\w`, `\s` and `\b` are those of ASCII in both. Differs: no classes by Unicode
//! names (`\pL`), no `\Q…\E`; a brace that begins no repetition has to be
//! escaped, and more than 1,000 repetitions are not refused by their number.

use regex_lite::Regex;

/// A pattern, ready to match.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in a fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|why| why.to_string())
    }

    /// Whether any part of the text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule A152: patterns match anywhere unless they are anchored.
    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, wanted) in [
            ("gpu.*", "a-gpu-1", true),
            ("^gpu", "a-gpu-1", false),
            ("^general-2$", "general-2", true),
            ("^general-2$", "general-22", false),
            (".*-[1-3]$", "spot-2", true),
            ("a+b?c|spot", "aac", true),
            ("nothing", "spot", false),
            ("", "spot", true),
            ("^(spot|cheap)-(m|c)[0-9]+$", "cheap-m12", true),
            ("^(spot|cheap)-(m|c)[0-9]+$", "cheap-r12", false),
            ("^(?:ab){2,3}$", "ababab", true),
            ("^(?:ab){2,3}$", "ab", false),
            ("(?i)SPOT", "my-spot", true),
            ("(?P<zone>[^-]+)-b\\b", "eu-b", true),
            ("^[[:alpha:]]\\d\\.x$", "m5.x", true),
            ("^[\\w-]*$", "m5_x-1", true),
            ("^[^\\d]+$", "m5", false),
            ("^(a*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false),
            ("x*?y", "y", true),
            ("[]a]+", "]", true),
            ("\\Aa|b\\z", "cb", true),
        ] {
            let read = Pattern::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert_eq!(read.is_match(text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in ["(", ")", "[a", "*a", "a{2,1}", "\\", "[b-a]", "(?=a)", "\\y"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
