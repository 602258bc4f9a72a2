//! From the bytes of a file to the trees of its documents.

use std::ops::Range;
use std::sync::Arc;

use super::arena::Tree;
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::source::{FileId, SourceFile, Sources, Span, TEXT_BYTES_MAX, offset, origin_comment};
use super::{json, yaml};

/// How much input is taken; passing one is a located error, never a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file after decompression.
    pub bytes: usize,
    /// Bytes of all manifests together.
    pub bytes_of_all: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Values in one document.
    pub nodes: usize,
    /// Values that aliases may add to one document.
    pub alias_nodes: usize,
}

impl Default for Limits {
    /// 256 MiB a file, 512 MiB of all, 200 levels, 50 million values, 1 million through aliases.
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            bytes_of_all: 512 << 20,
            depth: 200,
            nodes: 50_000_000,
            alias_nodes: 1_000_000,
        }
    }
}

/// How to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// How much is taken.
    pub limits: Limits,
    /// What a repeated key is; the last value wins where it is a warning.
    pub duplicate_keys: Severity,
    /// Whether keys stay as written; otherwise `on:` is the key `true`, as for Kubernetes.
    pub literal_keys: bool,
}

impl ParseOptions {
    /// For Kubernetes objects: a repeated key is a warning, since the API server takes the last.
    #[must_use]
    pub fn manifest() -> Self {
        Self { limits: Limits::default(), duplicate_keys: Severity::Warning, literal_keys: false }
    }

    /// For scenarios: a repeated key is an error, keys stay as written.
    #[must_use]
    pub fn scenario() -> Self {
        Self { limits: Limits::default(), duplicate_keys: Severity::Error, literal_keys: true }
    }
}

/// A document of a file. Documents without content are left out.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Its values.
    pub tree: Tree,
    /// Its part of the file, from its `---` to the next.
    pub span: Span,
    /// What a comment `# Source: chart/templates/x.yaml` above it says, as helm writes it.
    pub origin: Option<String>,
}

/// Checks that bytes are text and adds them to the table.
///
/// UTF-8 with or without byte-order mark. Anything else is reported at the first wrong byte, and
/// gives `None`.
pub fn add_bytes(
    sources: &mut Sources,
    name: &str,
    mut bytes: Vec<u8>,
    limits: &Limits,
    found: &mut Diagnostics,
) -> Option<FileId> {
    let limit = limits.bytes.min(TEXT_BYTES_MAX);
    if bytes.len() > limit {
        let message = format!("\"{name}\" is longer than {limit} bytes");
        let hint = "split it into several files";
        found.push(Diagnostic::error(Span::NONE, message).with_hint(hint));
        return None;
    }
    if let Some(what) = foreign_encoding(&bytes) {
        let message = format!("\"{name}\" is {what}, not UTF-8 text");
        found.push(Diagnostic::error(Span::NONE, message).with_hint("save it as UTF-8"));
        return None;
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            let file = sources.add(name, text);
            refuse_nul(sources, file, found).then_some(file)
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let binary = text.as_bytes()[..at].contains(&0);
            let file = sources.add(name, text);
            if !binary || refuse_nul(sources, file, found) {
                let place = Span::new(file, offset(at), offset(at) + 3);
                let hint = "is it a binary file, or text in another encoding?";
                found.push(Diagnostic::error(place, "not UTF-8 text").with_hint(hint));
            }
            None
        }
    }
}

fn refuse_nul(sources: &Sources, file: FileId, found: &mut Diagnostics) -> bool {
    let Some(at) = sources.file(file).text().find('\0') else {
        return true;
    };
    let place = Span::new(file, offset(at), offset(at) + 1);
    found.push(Diagnostic::error(place, "a NUL byte").with_hint("is it a binary file?"));
    false
}

fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, ..] => Some("UTF-16"),
        [1..=0x7f, 0, 1..=0x7f, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// Reads all documents of a file, YAML or JSON.
///
/// A wrong document is reported and left out; the others are read all the same. JSON is recognised
/// by its first byte (and may be several values one after the other, as kubectl takes it).
/// Never panics, whatever the text.
#[must_use]
pub fn parse(
    sources: &Sources,
    file: FileId,
    options: &ParseOptions,
    found: &mut Diagnostics,
) -> Vec<Parsed> {
    let file = sources.file(file);
    let named_json = file.name().trim_end_matches(".gz").ends_with(".json");
    let looks_json = file.text().trim_start().starts_with(['{', '[']);
    if named_json || looks_json {
        match json::parse(file, options, found) {
            Ok(documents) => return documents,
            Err(error) if named_json && !is_marked(file.text()) => {
                found.push(error);
                return Vec::new();
            }
            Err(_) => {} // a flow mapping, perhaps
        }
    }
    if let Some(error) = control_character(file) {
        found.push(error);
        return Vec::new();
    }
    let mut documents = Vec::new();
    for segment in segments(file.text()) {
        yaml::parse(file, segment, options, found, &mut documents);
    }
    documents
}

fn is_marked(text: &str) -> bool {
    text.starts_with("---") || text.contains("\n---")
}

/// go-yaml's reader refuses what YAML calls not printable, wherever it is.
fn control_character(file: &Arc<SourceFile>) -> Option<Diagnostic> {
    let refused = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        c => c.is_control() || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}'),
    };
    let (at, c) = file.text().char_indices().find(|&(_, c)| refused(c))?;
    let place = Span::new(file.id(), offset(at), offset(at + c.len_utf8()));
    let message = format!("control character U+{:04X}", u32::from(c));
    Some(Diagnostic::error(place, message).with_hint("write it as an escape in double quotes"))
}

/// The parts of a stream that hold one document each: they begin at lines `---` (or at directives
/// and comments right before one) and end before the next, or after a line `...`.
fn segments(text: &str) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut marked = false;
    let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    for line in line_starts {
        if is_marker(&text[line..], "---") {
            if marked || !is_prefix(&text[start..line]) {
                segments.push(start..line);
                start = line;
            }
            marked = true;
        } else if is_marker(&text[line..], "...") {
            let end = text[line..].find('\n').map_or(text.len(), |at| line + at + 1);
            segments.push(start..end);
            start = end;
            marked = false;
        }
    }
    segments.push(start..text.len());
    segments
}

fn is_marker(rest: &str, marker: &str) -> bool {
    rest.strip_prefix(marker)
        .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\n', '\r']))
}

/// Only blank lines, comments and directives.
fn is_prefix(text: &str) -> bool {
    text.lines().all(|line| line.starts_with(['%', '#']) || is_blank(line))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// The origin comment among the comments before the content of a segment.
pub(super) fn origin(segment: &str) -> Option<String> {
    let head = segment.lines().take_while(|line| is_blank(line) || line.starts_with(['-', '%']));
    head.filter_map(origin_comment).last().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        segments(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn a_stream_is_cut_at_markers() {
        assert_eq!(cut("a: 1\n---\nb: 1\n"), ["a: 1\n", "---\nb: 1\n"]);
        assert_eq!(cut("---\na: 1\n--- # x\nb: 1"), ["---\na: 1\n", "--- # x\nb: 1"]);
        assert_eq!(cut("# c\n%YAML 1.1\n---\na: 1\n"), ["# c\n%YAML 1.1\n---\na: 1\n"]);
        assert_eq!(cut("a: 1\n...\n%TAG ! x\n---\nb"), ["a: 1\n...\n", "%TAG ! x\n---\nb"]);
        assert_eq!(cut("a: |\n  ---\nb: ---x\n"), ["a: |\n  ---\nb: ---x\n"]);
        assert_eq!(cut("---\n---\na"), ["---\n", "---\na"]);
        assert_eq!(cut("a\r\n---\r\nb"), ["a\r\n", "---\r\nb"]);
    }

    fn read(bytes: &[u8]) -> Vec<String> {
        let mut sources = Sources::new();
        let mut found = Diagnostics::new();
        let options = ParseOptions::manifest();
        let added = add_bytes(&mut sources, "f", bytes.to_vec(), &options.limits, &mut found);
        if let Some(file) = added {
            drop(parse(&sources, file, &options, &mut found));
        }
        found.lines(&sources)
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        assert_eq!(read(b"\xef\xbb\xbfa: 1"), [""; 0]);
        assert_eq!(read(b"a: 1\nb: \xff\xfe"), ["f:2:4: error: not UTF-8 text"]);
        assert_eq!(read(b"a: 1\nb: \0"), ["f:2:4: error: a NUL byte"]);
        assert_eq!(read(b"a\0\xff"), ["f:1:2: error: a NUL byte"]);
        assert_eq!(read(b"\xff\xfea\0"), ["error: \"f\" is UTF-16, not UTF-8 text"]);
        assert_eq!(read(b"a\0:\0"), ["error: \"f\" is UTF-16, not UTF-8 text"]);
        assert_eq!(read(b"a: \x07"), ["f:1:4: error: control character U+0007"]);
    }

    #[test]
    fn bytes_are_limited() {
        let mut found = Diagnostics::new();
        let limits = Limits { bytes: 3, ..Limits::default() };
        let added = add_bytes(&mut Sources::new(), "f", b"a: 1".to_vec(), &limits, &mut found);
        assert_eq!((added, found.error_count()), (None, 1));
    }
}
