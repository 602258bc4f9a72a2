//! Lines of the printed summary: words in the margin, sentences wrapped beside them.

/// Width of the words at the left.
pub(super) const MARGIN: usize = 9;
/// Sentences are wrapped at this width.
const WIDTH_MAX: usize = 100;

/// `and 3 more rollouts`, when there are more than are shown.
pub(super) fn more(all: usize, shown: usize, noun: &str) -> Option<String> {
    let rest = all.checked_sub(shown).filter(|rest| *rest > 0)?;
    let plural = if rest == 1 { "" } else { "s" };
    Some(format!("and {rest} more {noun}{plural}"))
}

/// A sentence in lines that fit beside the margin.
pub(super) fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + word.chars().count() < WIDTH_MAX - MARGIN {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Lines beside a word in the margin.
pub(super) fn labelled(label: &str, mut lines: Vec<String>, note: Option<String>) -> Vec<String> {
    lines.extend(note);
    let mut label = label;
    for line in &mut lines {
        *line = format!("{label:MARGIN$}{line}");
        label = "";
    }
    lines
}
