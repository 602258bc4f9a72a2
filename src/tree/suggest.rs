//! "Did you mean".

/// The candidate most like the word, if one is like it at all; the first of equals.
#[must_use]
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::osa_distance(&lower, &candidate.to_lowercase());
        let longer = word.chars().count().max(candidate.chars().count());
        let near = distance == 0 || distance <= (longer / 3).clamp(1, 4) && distance < longer;
        if near && candidate != word && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn near_words_only() {
        let keys = ["replicas", "selector", "template"];
        assert_eq!(closest("replcias", keys), Some("replicas"));
        assert_eq!(closest("Replicas", keys), Some("replicas"));
        assert_eq!(closest("strategy", keys), None);
        assert_eq!(closest("a", ["b"]), None);
    }
}
