//! YAML: the parser's events to a tree.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StrInput, Tag};

use super::arena::{Data, Range32, Text};
use super::build::{Builder, Key, Place};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::parse::{ParseOptions, Parsed, origin};
use super::scalar::{self, Scalar};
use super::source::{SourceFile, Span, offset};

/// Reads the documents of a segment (one, unless somebody is inventive).
pub(super) fn parse(
    file: &Arc<SourceFile>,
    segment: Range<usize>,
    options: &ParseOptions,
    found: &mut Diagnostics,
    documents: &mut Vec<Parsed>,
) {
    let text = &file.text()[segment.clone()];
    let span = Span::new(file.id(), offset(segment.start), offset(segment.end));
    let limits = granit_parser::options! {
        flow_nesting_limit: options.limits.depth,
        block_nesting_limit: options.limits.depth,
    };
    let mut events = Parser::new_from_str_with_options(text, limits);
    let mut reader = Reader { file, text, base: segment.start, options, builder: None };
    loop {
        match reader.document(&mut events, found) {
            Ok(Some(tree)) if !tree.root().is_null() => {
                documents.push(Parsed { tree, span, origin: origin(text) });
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => {
                found.push(*error);
                return;
            }
        }
    }
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    text: &'a str,
    /// Offset of the segment in the file.
    base: usize,
    options: &'a ParseOptions,
    builder: Option<Builder<'a>>,
}

type Boxed = Box<Diagnostic>;

impl<'a> Reader<'a> {
    fn document(
        &mut self,
        events: &mut Parser<'a, StrInput<'a>>,
        found: &mut Diagnostics,
    ) -> Result<Option<super::Tree>, Boxed> {
        while let Some(next) = events.next_event() {
            let (event, span) =
                next.map_err(|error| self.refused(error.kind(), *error.marker()))?;
            let range = self.range(&span);
            match event {
                Event::DocumentStart(..) => {
                    self.builder = Some(Builder::new(self.file, self.options));
                }
                Event::DocumentEnd => {
                    let builder = self.builder.take().expect("a document ends after its start");
                    return Ok(builder.finish().or_else(|| Some(super::Tree::default())));
                }
                Event::StreamEnd => return Ok(None),
                other => self.event(other, range, found)?,
            }
        }
        Ok(None)
    }

    fn event(
        &mut self,
        event: Event<'a>,
        range: Range32,
        found: &mut Diagnostics,
    ) -> Result<(), Boxed> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text = Written { text, style, tag: tag.as_deref() };
                self.scalar(&text, range, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(false, range, anchor),
            Event::MappingStart(_, anchor, _) => self.begin(true, range, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let flow = range.start < range.end;
                let end = flow.then_some(range.end as usize);
                Ok(self.builder().end(end, found)?)
            }
            Event::Alias(anchor) => self.alias(anchor, range),
            _ => Ok(()), // stream start, comments
        }
    }

    fn builder(&mut self) -> &mut Builder<'a> {
        self.builder.as_mut().expect("nodes lie in a document")
    }

    fn begin(&mut self, mapping: bool, range: Range32, anchor: usize) -> Result<(), Boxed> {
        if self.builder().place() == Place::Key {
            let what = if mapping { "a mapping" } else { "a list" };
            return Err(self.bad_key(range, what));
        }
        // The start of a block collection is its first child's; its end is set later.
        Ok(self.builder().begin(mapping, range, anchor)?)
    }

    fn scalar(
        &mut self,
        written: &Written<'a, '_>,
        range: Range32,
        anchor: usize,
    ) -> Result<(), Boxed> {
        let scalar = written.resolve().map_err(|message| {
            let place = self.span(range);
            Box::new(Diagnostic::error(place, message))
        })?;
        if self.builder().place() == Place::Key {
            return self.scalar_key(written, scalar, range, anchor);
        }
        let data = match scalar {
            Scalar::Null => Data::Null,
            Scalar::Bool(value) => Data::Bool(value),
            Scalar::Int(value) => Data::Int(value),
            Scalar::Float(value) => Data::Float(value),
            Scalar::Text => Data::Text(self.keep(&written.text)),
        };
        Ok(self.builder().scalar(data, range, anchor)?)
    }

    /// Keys are texts; numbers and truth values become theirs.
    ///
    /// Source: sigs.k8s.io/yaml yaml.go `convertToJSONableObject`.
    fn scalar_key(
        &mut self,
        written: &Written<'a, '_>,
        scalar: Scalar,
        range: Range32,
        anchor: usize,
    ) -> Result<(), Boxed> {
        let merge = scalar == Scalar::Text && written.is_plain() && written.text == "<<";
        let literal = self.options.literal_keys && !written.text.is_empty();
        let text = match scalar {
            _ if literal => self.keep(&written.text),
            Scalar::Text => self.keep(&written.text),
            Scalar::Null => return Err(self.bad_key(range, "nothing")),
            Scalar::Bool(value) => self.builder().tree.push_decoded(&value.to_string()),
            Scalar::Int(value) => self.builder().tree.push_decoded(&value.to_string()),
            Scalar::Float(value) => self.builder().tree.push_decoded(&scalar::float_key(value)),
        };
        self.builder().anchor_key(anchor, text, range);
        self.builder().key(Key { text, range, merge });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, range: Range32) -> Result<(), Boxed> {
        if self.builder().place() != Place::Key {
            return Ok(self.builder().alias(anchor, range)?);
        }
        let builder = self.builder();
        let text = builder.aliased(anchor).and_then(|node| match builder.tree.node(node).data {
            Data::Text(text) => Some(text),
            Data::Null | Data::Sequence(_) | Data::Mapping(_) => None,
            Data::Bool(value) => Some(builder.tree.push_decoded(&value.to_string())),
            Data::Int(value) => Some(builder.tree.push_decoded(&value.to_string())),
            Data::Float(value) => Some(builder.tree.push_decoded(&scalar::float_key(value))),
        });
        let Some(text) = text else {
            return Err(self.bad_key(range, "this alias"));
        };
        self.builder().key(Key { text, range, merge: false });
        Ok(())
    }

    fn bad_key(&self, range: Range32, what: &str) -> Boxed {
        let message = format!("{what} cannot be a key");
        Box::new(Diagnostic::error(self.span(range), message).with_hint("keys are strings"))
    }

    /// A text as a slice of the source where it is one.
    fn keep(&mut self, text: &str) -> Text {
        let at = (text.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if self.text.get(at..at.wrapping_add(text.len())).is_some() {
            return Text::source(self.base + at, text.len());
        }
        self.builder().tree.push_decoded(text)
    }

    fn range(&self, span: &granit_parser::Span) -> Range32 {
        let range = span.byte_range().unwrap_or(0..0);
        let end = range.end.min(self.text.len());
        Range32::new(self.base + range.start.min(end), self.base + end)
    }

    fn span(&self, range: Range32) -> Span {
        Span::new(self.file.id(), range.start, range.end)
    }

    fn refused(&self, kind: &ErrorKind, marker: granit_parser::Marker) -> Boxed {
        let at = marker.byte_offset().unwrap_or(0).min(self.text.len());
        let mut at = super::source::floor_boundary(self.text, at);
        let (message, mut hint) = explain(kind, self.options.limits.depth);
        let line = self.text[..at].rfind('\n').map_or(0, |before| before + 1);
        if is_tab(kind) {
            at = self.text[line..at].find('\t').map_or(at, |tab| line + tab);
        }
        let is_key =
            matches!(kind, ErrorKind::ExpectedBlockMappingKey | ErrorKind::SimpleKeyExpected);
        if is_key && lacks_blank(&self.text[line..]) {
            hint = Some("a blank is missing after the `:`");
        }
        let next = self.text[at..].chars().next().filter(|&c| c != '\n');
        let end = at + next.map_or(0, char::len_utf8);
        let place = self.span(Range32::new(self.base + at, self.base + end));
        let mut diagnostic = Diagnostic::error(place, message);
        if matches!(kind, ErrorKind::InvalidColonPlacement)
            && let Some(open) = open_bracket(&self.text[..at])
        {
            let open = Range32::new(self.base + open, self.base + open + 1);
            diagnostic = diagnostic.with_related(self.span(open), "still open here");
        }
        Box::new(match hint {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        })
    }
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    )
}

/// Whether the line begins with a word and a colon that sticks to what follows.
fn lacks_blank(text: &str) -> bool {
    let line = text.lines().next().unwrap_or("").trim_start();
    let word = line.trim_start_matches(|c: char| c.is_alphanumeric() || "-_.".contains(c));
    word.len() < line.len()
        && word.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace()))
}

/// The last bracket that is open at the end of a text, as far as one can see without reading it
/// as YAML: quotes and comments are skipped.
fn open_bracket(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut before = ' ';
    let mut is_comment = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (_, '\n') => is_comment = false,
            _ if is_comment => {}
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '#') if before.is_whitespace() => is_comment = true,
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '[' | '{') => open.push(at),
            (None, ']' | '}') => drop(open.pop()),
            _ => {}
        }
        before = c;
    }
    open.pop()
}

/// A scalar event.
struct Written<'a, 't> {
    text: Cow<'a, str>,
    style: ScalarStyle,
    tag: Option<&'t Tag>,
}

impl Written<'_, '_> {
    fn is_plain(&self) -> bool {
        self.style == ScalarStyle::Plain && self.tag.is_none()
    }

    fn resolve(&self) -> Result<Scalar, String> {
        let Some(tag) = self.tag else {
            let plain = self.style == ScalarStyle::Plain;
            return Ok(if plain { scalar::resolve(&self.text) } else { Scalar::Text });
        };
        let Some(name) = tag.core_suffix() else {
            return Ok(Scalar::Text);
        };
        let read = scalar::resolve(&self.text);
        match (name, read) {
            ("binary", _) => Err("a value of type !!binary is not read".to_owned()),
            ("int", Scalar::Int(_))
            | ("float", Scalar::Float(_) | Scalar::Int(_))
            | ("bool", Scalar::Bool(_))
            | ("null", Scalar::Null) => Ok(read),
            ("int" | "float" | "bool" | "null", _) => {
                Err(format!("\"{}\" is not of type !!{name}", self.text))
            }
            _ => Ok(Scalar::Text),
        }
    }
}

/// The parser's message in the words of the user, and what to do.
fn explain(kind: &ErrorKind, depth: usize) -> (Cow<'static, str>, Option<&'static str>) {
    let (message, hint) = match kind {
        ErrorKind::RecursionLimitExceeded => {
            return (format!("nested deeper than {depth} levels").into(), None);
        }
        kind if is_tab(kind) => ("a tab as indentation", Some("indent with spaces")),
        ErrorKind::UnknownAnchor => {
            ("an alias without its anchor", Some("quote the value if the `*` belongs to it"))
        }
        ErrorKind::MappingValueNotAllowed => (
            "a `:` where no key can stand",
            Some("quote a value that contains `: `, and check the indentation"),
        ),
        ErrorKind::InvalidColonPlacement => {
            ("a `:` where no key can stand", Some("is a bracket before it never closed?"))
        }
        ErrorKind::UnclosedQuotedScalar => ("a quote that is never closed", None),
        ErrorKind::UnclosedFlowCollection { open: '[' } => ("a `[` that is never closed", None),
        ErrorKind::UnclosedFlowCollection { .. } => ("a `{` that is never closed", None),
        ErrorKind::ExpectedFlowMappingSeparator => ("expected `,` or `}`", None),
        ErrorKind::ExpectedFlowSequenceSeparator => ("expected `,` or `]`", None),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::SimpleKeyExpected => {
            ("expected a key and `:`", Some("check the indentation of this line"))
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            ("expected `- `", Some("check the indentation of this line"))
        }
        ErrorKind::InvalidIndentation => ("wrong indentation", None),
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("`{character}` cannot begin a value");
            return (message.into(), Some("quote the value"));
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            ("unknown escape in double quotes", Some("write `\\\\` for a backslash"))
        }
        other => return (lower_first(&other.to_string()).into(), None),
    };
    (message.into(), hint)
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
