//! What is wrong with an object, and where in it.

use std::fmt;

/// One finding about an object, located by a path into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path into the object, as Kubernetes writes it: `spec.template.spec.containers[0].image`,
    /// `metadata.labels[app.kubernetes.io/name]`; empty for the object itself.
    pub path: String,
    /// What kind of finding.
    pub reason: Reason,
    /// A lower-case fragment, worded like the API server's field errors.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the object is refused (else it is a warning).
    pub is_error: bool,
}

/// What kind of finding; the first ones are the API server's cause types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A value that is not allowed.
    Invalid,
    /// Something is missing.
    Required,
    /// The same thing twice.
    Duplicate,
    /// Not one of the listed values.
    NotSupported,
    /// It may not be set here.
    Forbidden,
    /// It names something that is not there.
    NotFound,
    /// A text or list beyond its limit.
    TooLong,
    /// A value of the wrong type.
    Type,
    /// A field that Kubernetes does not know.
    UnknownField,
    /// A field that Kubernetes knows, changes behaviour and is not modelled.
    NotModelled,
}

impl Problem {
    /// As the API server words it: the message starts with a capital letter.
    #[must_use]
    pub fn api_message(&self) -> String {
        let mut letters = self.message.chars();
        let first = letters.next().map_or_else(String::new, |c| c.to_uppercase().collect());
        first + letters.as_str()
    }

    /// `FIELD: MESSAGE` as the API server words it.
    #[must_use]
    pub fn cause_text(&self) -> String {
        format!("{}: {}", self.path, self.api_message())
    }
}

impl Reason {
    /// The cause type in a status of the API server; empty for our own kinds.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Invalid => "FieldValueInvalid",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::Type | Self::UnknownField | Self::NotModelled => "",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A place in an object: steps on the stack, written out only when there is something to say.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    parent: Option<&'a Self>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> At<'a> {
    pub(super) const ROOT: At<'static> = At { parent: None, step: Step::Root };

    /// A field, or several joined with dots.
    pub(super) const fn field(&'a self, name: &'a str) -> Self {
        At { parent: Some(self), step: Step::Field(name) }
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        At { parent: Some(self), step: Step::Index(index) }
    }

    /// A key of a mapping with free keys.
    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        At { parent: Some(self), step: Step::Key(key) }
    }

    fn write(&self, out: &mut String) {
        use fmt::Write as _;
        if let Some(parent) = self.parent {
            parent.write(out);
        }
        let written = match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if out.is_empty() => out.write_str(name),
            Step::Field(name) => write!(out, ".{name}"),
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Key(key) => write!(out, "[{key}]"),
        };
        written.expect("a string takes any text");
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        self.write(&mut path);
        f.write_str(&path)
    }
}

/// Collects findings; readers go on after one, so that all are shown at once.
#[derive(Default)]
pub(super) struct Found(pub(super) Vec<Problem>);

impl Found {
    pub(super) fn add(&mut self, at: &At<'_>, reason: Reason, message: String) -> &mut Problem {
        let is_error = reason != Reason::NotModelled;
        let path = at.to_string();
        self.0.push(Problem { path, reason, message, hint: None, is_error });
        self.0.last_mut().expect("just pushed")
    }

    /// `value` as JSON.
    pub(super) fn invalid(&mut self, at: &At<'_>, value: &impl fmt::Display, detail: &str) {
        self.add(at, Reason::Invalid, format!("invalid value: {value}: {detail}"));
    }

    pub(super) fn invalid_text(&mut self, at: &At<'_>, value: &str, detail: &str) {
        self.invalid(at, &format!("{value:?}"), detail);
    }

    pub(super) fn required(&mut self, at: &At<'_>, detail: &str) {
        let colon = if detail.is_empty() { "" } else { ": " };
        self.add(at, Reason::Required, format!("required value{colon}{detail}"));
    }

    pub(super) fn not_supported(&mut self, at: &At<'_>, value: &str, known: &[&str]) {
        let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
        let known = known.join(", ");
        let message = format!("unsupported value: {value:?}: supported values: {known}");
        self.add(at, Reason::NotSupported, message);
    }

    /// `value` as JSON.
    pub(super) fn duplicate(&mut self, at: &At<'_>, value: &impl fmt::Display) {
        self.add(at, Reason::Duplicate, format!("duplicate value: {value}"));
    }

    pub(super) fn forbidden(&mut self, at: &At<'_>, detail: &str) {
        self.add(at, Reason::Forbidden, format!("forbidden: {detail}"));
    }

    pub(super) fn not_found(&mut self, at: &At<'_>, value: &str) {
        self.add(at, Reason::NotFound, format!("not found: {value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_kubernetes_writes_them() {
        let spec = At::ROOT.field("spec.template.spec");
        let list = spec.field("containers");
        assert_eq!(
            list.index(0).field("image").to_string(),
            "spec.template.spec.containers[0].image"
        );
        let labels = At::ROOT.field("metadata.labels");
        assert_eq!(labels.key("a.b/c").to_string(), "metadata.labels[a.b/c]");
        assert_eq!(At::ROOT.to_string(), "");
    }

    #[test]
    fn messages_are_lower_case_fragments() {
        let mut found = Found::default();
        found.invalid(&At::ROOT.field("spec.replicas"), &-1, "must be greater than or equal to 0");
        found.not_supported(&At::ROOT.field("x"), "a", &["b", "c"]);
        let texts: Vec<String> = found.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "spec.replicas: invalid value: -1: must be greater than or equal to 0",
                "x: unsupported value: \"a\": supported values: \"b\", \"c\"",
            ]
        );
    }
}
