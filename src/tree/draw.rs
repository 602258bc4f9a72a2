//! Draws messages as rustc does: the line, a mark under the word, the hint below.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::source::{LineColumn, SourceFile, Sources, Span, floor_boundary, offset};

/// How messages are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawOptions {
    /// Colours as ANSI escapes; only when a terminal is known to want them.
    pub color: bool,
    /// How many are drawn; the rest is a count.
    pub limit: usize,
}

impl Default for DrawOptions {
    /// No colours, at most 50.
    fn default() -> Self {
        Self { color: false, limit: 50 }
    }
}

/// Lines within this distance of each other are drawn as one piece of text.
const NEAR_LINES: usize = 8;
/// Bytes of a line that are drawn at most.
const LINE_BYTES: usize = 240;
/// Bytes of a long line that are drawn before the marked place.
const BEFORE_BYTES: usize = 60;

impl Diagnostics {
    /// All messages as text for people, sorted and each once; empty if there are none.
    #[must_use]
    pub fn draw(&self, sources: &Sources, options: &DrawOptions) -> String {
        let sorted = self.sorted();
        let mut out = String::new();
        for diagnostic in sorted.iter().take(options.limit) {
            out.push_str(&draw(diagnostic, sources, options.color));
            out.push_str("\n\n");
        }
        if sorted.len() > options.limit {
            let more = sorted.len() - options.limit;
            writeln!(out, "… and {more} more").expect("writing to a string");
        }
        out
    }
}

/// One message, without a line break at the end.
fn draw(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let pieces = pieces(diagnostic, sources);
    let mut group = Group::with_title(level.primary_title(clip(&diagnostic.message)));
    for piece in &pieces {
        group = group.element(piece.snippet());
    }
    if let Some(origin) = origin(diagnostic, sources) {
        group = group.element(Level::NOTE.message(format!("rendered from {origin}")));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name(Some("hint")).message(clip(hint)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let shown = renderer.hyperlink(false).render(&[group]);
    pieces.iter().fold(shown, |shown, piece| piece.true_place(shown))
}

fn origin<'s>(diagnostic: &Diagnostic, sources: &'s Sources) -> Option<&'s str> {
    sources.file_of(diagnostic.span)?.origin_at(diagnostic.span.start)
}

/// A message may quote a word of any length.
fn clip(message: &str) -> String {
    const MESSAGE_BYTES: usize = 600;
    if message.len() <= MESSAGE_BYTES {
        return message.to_owned();
    }
    // What is said stands at the end, after the word that it is said about.
    let head = &message[..floor_boundary(message, MESSAGE_BYTES / 2)];
    let tail = &message[floor_boundary(message, message.len() - MESSAGE_BYTES / 2)..];
    format!("{head}…{tail}")
}

/// A mark under some bytes of one line.
struct Mark {
    line: usize,
    /// Bytes in the file.
    bytes: Range<usize>,
    label: String,
    primary: bool,
}

/// Neighbouring lines of one file with their marks.
struct Piece<'s> {
    file: &'s SourceFile,
    marks: Vec<Mark>,
}

fn pieces<'s>(diagnostic: &Diagnostic, sources: &'s Sources) -> Vec<Piece<'s>> {
    let mut pieces: Vec<Piece<'s>> = Vec::new();
    let first = (diagnostic.span, "", true);
    let others = diagnostic.related.iter().map(|(span, label)| (*span, label.as_ref(), false));
    for (span, label, primary) in std::iter::once(first).chain(others) {
        let Some(file) = sources.file_of(span) else {
            continue;
        };
        let mark = mark(file, span, label, primary);
        let near = |piece: &&mut Piece<'_>| {
            piece.file.id() == file.id()
                && piece.marks.iter().any(|old| old.line.abs_diff(mark.line) <= NEAR_LINES)
        };
        match pieces.iter_mut().find(near) {
            Some(piece) => piece.marks.push(mark),
            None => pieces.push(Piece { file, marks: vec![mark] }),
        }
    }
    pieces
}

/// Marks the part of a span that lies on its first line.
fn mark(file: &SourceFile, span: Span, label: &str, primary: bool) -> Mark {
    let line = file.line_of(span.start);
    let range = file.line_range(line);
    let start = floor_boundary(file.text(), span.start as usize).min(range.end);
    let end = floor_boundary(file.text(), span.end as usize).clamp(start, range.end);
    Mark { line, bytes: start..end, label: label.to_owned(), primary }
}

impl Piece<'_> {
    fn snippet(&self) -> Element<'_> {
        let first = self.marks.iter().map(|mark| mark.line).min().unwrap_or(0);
        let last = self.marks.iter().map(|mark| mark.line).max().unwrap_or(0);
        let mut text = String::new();
        let mut annotations = Vec::new();
        for line in first..=last {
            self.add_line(line, &mut text, &mut annotations);
        }
        let snippet = Snippet::source(text).path(self.file.name()).line_start(first + 1);
        Element::Cause(snippet.annotations(annotations))
    }

    /// Puts the true column into the heading, where the drawn line is clipped on the left.
    fn true_place(&self, shown: String) -> String {
        let mark = &self.marks[0];
        let line = self.file.line_range(mark.line);
        let on_line = self.marks.iter().filter(|other| other.line == mark.line);
        let first = on_line.map(|other| other.bytes.start).min();
        let window = window(self.file.text(), &line, first);
        if window.start == line.start {
            return shown;
        }
        let before = &self.file.text()[window.start..mark.bytes.start];
        let wrong = before.chars().count() + 2; // from 1, and one for the `…`
        let LineColumn { line, column } = self.file.line_column(offset(mark.bytes.start));
        let place = |column| format!("{}:{line}:{column}", self.file.name());
        shown.replacen(&place(wrong), &place(column), 1)
    }

    fn add_line<'a>(
        &'a self,
        line: usize,
        text: &mut String,
        annotations: &mut Vec<annotate_snippets::Annotation<'a>>,
    ) {
        let whole = self.file.line_range(line);
        let marks = || self.marks.iter().filter(|mark| mark.line == line);
        let shown = window(self.file.text(), &whole, marks().map(|mark| mark.bytes.start).min());
        if shown.start > whole.start {
            text.push('…');
        }
        let base = text.len();
        text.push_str(&self.file.text()[shown.clone()]);
        for mark in marks() {
            let start = mark.bytes.start.clamp(shown.start, shown.end) - shown.start;
            let end = mark.bytes.end.clamp(shown.start, shown.end) - shown.start;
            let kind = match mark.primary {
                true => AnnotationKind::Primary,
                false => AnnotationKind::Context,
            };
            let label = (!mark.label.is_empty()).then_some(mark.label.as_str());
            annotations.push(kind.span(base + start..base + end).label(label));
        }
        if shown.end < whole.end {
            text.push('…');
        }
        text.push('\n');
    }
}

/// What is drawn of a line: all, or a window around the first mark.
fn window(text: &str, line: &Range<usize>, mark: Option<usize>) -> Range<usize> {
    if line.len() <= LINE_BYTES {
        return line.clone();
    }
    let start = mark.unwrap_or(line.start).saturating_sub(BEFORE_BYTES).max(line.start);
    let start = if start < line.start + BEFORE_BYTES { line.start } else { start };
    let start = floor_boundary(text, start);
    start..floor_boundary(text, (start + LINE_BYTES).min(line.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, make: impl FnOnce(&dyn Fn(&str) -> Span) -> Diagnostic) -> String {
        let mut sources = Sources::new();
        let file = sources.add("a.yaml", text);
        let span = |word: &str| {
            let at = offset(text.find(word).unwrap());
            Span::new(file, at, at + offset(word.len()))
        };
        let mut found = Diagnostics::new();
        found.push(make(&span));
        found.draw(&sources, &DrawOptions::default())
    }

    #[test]
    fn a_word_is_marked_and_explained() {
        let shown = drawn("cpu: 1\nmemroy: 2\n", |span| {
            Diagnostic::error(span("memroy"), "unknown key \"memroy\"")
                .with_hint("did you mean \"memory\"?")
        });
        let expected = "\
error: unknown key \"memroy\"
 --> a.yaml:2:1
  |
2 | memroy: 2
  | ^^^^^^
  |
  = hint: did you mean \"memory\"?

";
        assert_eq!(shown, expected);
    }

    #[test]
    fn far_places_are_drawn_apart_and_near_ones_together() {
        let gap = "x: y\n".repeat(1000);
        let text = format!("one: 1\ntwo: 2\n{gap}three: 3\n");
        let shown = drawn(&text, |span| {
            Diagnostic::warning(span("two"), "message")
                .with_related(span("one"), "near")
                .with_related(span("three"), "far")
        });
        let expected = "\
warning: message
    --> a.yaml:2:1
     |
   1 | one: 1
     | --- near
   2 | two: 2
     | ^^^
     |
    ::: a.yaml:1003:1
     |
1003 | three: 3
     | ----- far

";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_huge_line_is_clipped_and_the_column_is_right() {
        let long = "ä".repeat(5 << 20);
        let text = format!("a: \"{long}\" WRONG {long}\n");
        let shown = drawn(&text, |span| Diagnostic::error(span("WRONG"), "message"));
        assert!(shown.len() < 2000, "{}", shown.len());
        assert!(shown.contains(&format!("a.yaml:1:{}", 7 + (5 << 20))), "{shown}");
        assert!(shown.contains("WRONG") && shown.contains("^^^^^"), "{shown}");
    }

    #[test]
    fn a_long_span_is_marked_on_its_first_line() {
        let shown = drawn("a:\n  b: 1\n  c: 2\n", |span| {
            Diagnostic::error(span("b: 1\n  c: 2"), "message")
        });
        assert!(shown.contains("2 |   b: 1\n  |   ^^^^\n"), "{shown}");
    }

    #[test]
    fn helm_origin_and_missing_place() {
        let shown = drawn("---\n# Source: c/x.yaml\na: 1\n", |span| {
            Diagnostic::error(span("a"), "message")
        });
        assert!(shown.contains("= note: rendered from c/x.yaml"), "{shown}");
        let shown = drawn("", |_| Diagnostic::error(Span::NONE, "no file \"b\"").with_hint("h"));
        assert_eq!(shown, "error: no file \"b\"\n |\n = hint: h\n\n");
    }

    #[test]
    fn many_are_counted() {
        let mut sources = Sources::new();
        let file = sources.add("a", "x".repeat(200));
        let mut found = Diagnostics::new();
        (0..60).for_each(|at| found.error(Span::new(file, at, at + 1), "wrong"));
        let shown = found.draw(&sources, &DrawOptions::default());
        assert!(shown.ends_with("… and 10 more\n"));
        assert_eq!(shown.matches("error:").count(), 50);
        let color = DrawOptions { color: true, limit: 1 };
        assert!(found.draw(&sources, &color).contains("\u{1b}["));
    }

    #[test]
    fn the_end_of_a_file_can_be_marked() {
        let mut sources = Sources::new();
        let file = sources.add("a", "x: [");
        let mut found = Diagnostics::new();
        found.error(Span::new(file, 4, 4), "end");
        found.error(Span::new(file, 0, 99), "all");
        assert!(found.draw(&sources, &DrawOptions::default()).contains("a:1:5"));
    }
}
