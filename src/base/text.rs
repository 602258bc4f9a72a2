//! Small helpers for texts that people read.

/// `240,117`: a comma between groups of three digits.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 pod`, `240,117 pods`: a count with its noun, plural by an `s`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// The known word that was probably meant: a third of the letters may differ, at least one. The
/// first of equally close ones.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let lower = word.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&lower, &name.to_lowercase());
    let close = known.into_iter().map(|name| (distance(name), name));
    let close = close.filter(|(apart, _)| *apart <= limit);
    close.min_by_key(|(apart, _)| *apart).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(240_117), "240,117");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(counted(1, "call"), "1 call");
        assert_eq!(counted(1_200, "call"), "1,200 calls");
    }

    #[test]
    fn typing_errors() {
        let keys = ["memory", "cpu", "replicas"];
        assert_eq!(did_you_mean("memroy", keys), Some("memory"));
        assert_eq!(did_you_mean("Replica", keys), Some("replicas"));
        assert_eq!(did_you_mean("ports", keys), None);
    }
}
