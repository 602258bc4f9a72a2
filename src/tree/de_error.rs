//! Serde's errors in the user's words, with the value they are about.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::arena::NodeId;
use super::de::unknown_key;
use super::diagnostic::Diagnostic;
use super::source::Span;
use super::value::Value;

/// An error of reading one value.
#[derive(Debug)]
pub(super) struct Error {
    problem: Box<Problem>,
    /// The value that is wrong; the innermost.
    pub(super) node: Option<NodeId>,
    span: Option<Span>,
}

#[derive(Debug)]
pub(super) enum Problem {
    /// In words; after a line break a hint.
    Other(String),
    Missing(&'static str),
    /// Expected, found.
    Type(String, String),
    UnknownVariant(String, &'static [&'static str]),
    UnknownKey(String, &'static [&'static str]),
    NotAMapping(&'static str),
    NoVariant(&'static [&'static str]),
    NoContent(String),
    SurplusContent(String),
}

impl Error {
    pub(super) fn new(problem: Problem) -> Self {
        Self { problem: Box::new(problem), node: None, span: None }
    }

    /// The same about a value, unless it is about one already.
    pub(super) fn at(self, value: Value<'_>) -> Self {
        if self.node.is_some() {
            return self;
        }
        Self { node: Some(value.id()), span: Some(value.span()), ..self }
    }

    /// The same about the key of a value.
    pub(super) fn at_key(self, value: Value<'_>, key: Span) -> Self {
        Self { node: Some(value.id()), span: Some(key), ..self }
    }

    /// The key that is missing, if that is the problem.
    pub(super) fn missing_field(&self) -> Option<&'static str> {
        match *self.problem {
            Problem::Missing(field) => Some(field),
            _ => None,
        }
    }

    /// As it is shown; `value` is the one that the error is about.
    pub(super) fn diagnostic(self, value: Value<'_>) -> Diagnostic {
        let span = self.span.unwrap_or_else(|| value.span());
        match *self.problem {
            Problem::Missing(field) => match value.entry(field) {
                Some(entry) => {
                    Diagnostic::error(entry.key_span, format!("key \"{field}\" has no value"))
                }
                None => Diagnostic::error(span, format!("key \"{field}\" is missing")),
            },
            Problem::UnknownVariant(word, known) => {
                let listed = list(known);
                let diagnostic = Diagnostic::error(span, format!("\"{word}\" is not {listed}"));
                diagnostic.with_suggestion(&word, known.iter().copied())
            }
            Problem::UnknownKey(key, known) => unknown_key(&key, span, known),
            Problem::Other(text) => match text.split_once('\n') {
                Some((message, hint)) => {
                    Diagnostic::error(span, message.to_owned()).with_hint(hint.to_owned())
                }
                None => Diagnostic::error(span, text),
            },
            other => {
                let mut message = other.to_string();
                if let Problem::Type(expected, found) = &other
                    && found.starts_with("the number ")
                {
                    // As it was written, not as it was understood.
                    message = format!("expected {expected}, found the number {}", value.written());
                }
                let diagnostic = Diagnostic::error(span, message);
                match value.as_bool() {
                    Some(_) if other.wants_text() => diagnostic.with_hint(format!(
                        "quote it if the text is meant: \"{}\"",
                        value.written()
                    )),
                    _ => diagnostic,
                }
            }
        }
    }
}

impl Problem {
    fn wants_text(&self) -> bool {
        matches!(self, Self::Type(expected, _) if expected == "a string")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(message) => f.write_str(message),
            Self::Missing(field) => write!(f, "key \"{field}\" is missing"),
            Self::Type(expected, found) => write!(f, "expected {expected}, found {found}"),
            Self::UnknownVariant(word, known) => write!(f, "\"{word}\" is not {}", list(known)),
            Self::UnknownKey(key, _) => write!(f, "unknown key \"{key}\""),
            Self::NotAMapping(found) => write!(f, "expected a mapping, found {found}"),
            Self::NoVariant(known) => {
                write!(f, "expected {}, as a word or as a mapping of one key", list(known))
            }
            Self::NoContent(word) => write!(f, "\"{word}\" needs a value: write `{word}: …`"),
            Self::SurplusContent(word) => write!(f, "\"{word}\" takes no value"),
        }
    }
}

/// `"a", "b" or "c"`.
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match &quoted[..] {
        [] => "anything".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        if message.starts_with("data did not match any variant of untagged enum") {
            let plain = "not one of the forms that this value may have";
            return Self::new(Problem::Other(plain.to_owned()));
        }
        Self::new(Problem::Other(message))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = found_words(found).into_owned();
        Self::new(Problem::Type(expected_words(&expected.to_string()), found))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let found = format!("{length} values");
        Self::new(Problem::Type(expected_words(&expected.to_string()), found))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownVariant(variant.to_owned(), expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownKey(field.to_owned(), expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }
}

fn found_words(found: Unexpected<'_>) -> Cow<'static, str> {
    match found {
        Unexpected::Bool(value) => format!("the boolean {value}").into(),
        Unexpected::Unsigned(value) => format!("the number {value}").into(),
        Unexpected::Signed(value) => format!("the number {value}").into(),
        Unexpected::Float(value) => format!("the number {value}").into(),
        Unexpected::Str(text) => format!("{text:?}").into(),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a mapping".into(),
        other => other.to_string().into(),
    }
}

/// Serde names types of Rust; people write YAML.
fn expected_words(expected: &str) -> String {
    let words = match expected {
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" | "u128" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 up",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a mapping",
        _ if expected.starts_with("struct ") => "a mapping",
        _ if expected.starts_with("a tuple of size ") => {
            return expected.replace("a tuple of size", "a list of length");
        }
        other => other,
    };
    words.to_owned()
}
