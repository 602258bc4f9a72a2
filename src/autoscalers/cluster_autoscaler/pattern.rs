//! Patterns over the ids of groups, as the priority expander reads them.
//!
//! Differs: of Go's regular expressions it knows literals, `.`, classes, `* + ?`, `^ $`, `\` and
//! `|` outside of parentheses; parentheses stand for themselves.

/// Whether any part of the text matches.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    pattern.split('|').any(|one| {
        let one: Vec<char> = one.chars().collect();
        match one.split_first() {
            Some(('^', rest)) => here(rest, &text),
            _ => (0..=text.len()).any(|from| here(&one, &text[from..])),
        }
    })
}

fn here(pattern: &[char], text: &[char]) -> bool {
    let Some(first) = pattern.first() else { return true };
    if *first == '$' && pattern.len() == 1 {
        return text.is_empty();
    }
    let width = width(pattern);
    let (atom, rest) = pattern.split_at(width);
    let fits = |at: usize| text.get(at).is_some_and(|c| takes(atom, *c));
    let run = (0..).take_while(|at| fits(*at)).count();
    match rest.first() {
        Some('*') => (0..=run).any(|count| here(&rest[1..], &text[count..])),
        Some('+') => (1..=run).any(|count| here(&rest[1..], &text[count..])),
        Some('?') => (0..=run.min(1)).any(|count| here(&rest[1..], &text[count..])),
        _ => run > 0 && here(rest, &text[1..]),
    }
}

/// How many characters the first atom has.
fn width(pattern: &[char]) -> usize {
    match pattern {
        ['\\', _, ..] => 2,
        ['[', ..] => pattern.iter().position(|c| *c == ']').map_or(1, |end| end + 1),
        _ => 1,
    }
}

fn takes(atom: &[char], c: char) -> bool {
    match atom {
        ['.'] => true,
        ['\\', 'd'] => c.is_ascii_digit(),
        ['\\', 'w'] => c.is_ascii_alphanumeric() || c == '_',
        ['\\', literal] => c == *literal,
        ['[', '^', class @ .., ']'] => !in_class(class, c),
        ['[', class @ .., ']'] => in_class(class, c),
        [literal] => c == *literal,
        _ => false,
    }
}

fn in_class(class: &[char], c: char) -> bool {
    match class {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || in_class(rest, c),
        [one, rest @ ..] => *one == c || in_class(rest, c),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_anywhere_unless_anchored_as_in_a152() {
        for (pattern, text, wanted) in [
            ("gpu.*", "a-gpu-1", true),
            ("^gpu", "a-gpu-1", false),
            ("^general-2$", "general-2", true),
            ("^general-2$", "general-22", false),
            (".*-[1-3]$", "spot-2", true),
            ("a+b?c|spot", "aac", true),
            ("nothing", "spot", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
