//! What is wrong with an object, and where in it.

use std::fmt;

/// One finding about an object, located by a path into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field as the API server names it: `spec.template.spec.containers[0].image`,
    /// `metadata.labels`; empty for the object itself.
    pub path: String,
    /// Where that is in the object, if the field's name does not lead there:
    /// `metadata.labels[app.kubernetes.io/name]`, or `spec.taints[0]` for `metadata.taints[0]`.
    pub place: Option<String>,
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
    /// A text beyond its limit.
    TooLong,
    /// A list beyond its limit.
    TooMany,
    /// A value of the wrong type.
    Type,
    /// A field that Kubernetes does not know.
    UnknownField,
    /// A field that Kubernetes knows, changes behaviour and is not modelled.
    NotModelled,
}

impl Problem {
    /// Where it is in the object.
    pub(super) fn location(&self) -> &str {
        self.place.as_deref().unwrap_or(&self.path)
    }

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
            Self::TooMany => "FieldValueTooMany",
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
    /// A key or field that the API server does not name.
    Silent(&'a str),
    /// A field (or several joined with dots) that it names otherwise, or that is not there.
    Alias(&'a str, &'a str),
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

    /// A key that leads to the place and that the API server does not name.
    pub(super) const fn silent(&'a self, key: &'a str) -> Self {
        At { parent: Some(self), step: Step::Silent(key) }
    }

    /// A field that leads to the place and that the API server does not name.
    pub(super) const fn silent_field(&'a self, name: &'a str) -> Self {
        self.alias("", name)
    }

    /// A field that the API server calls `shown` and that is called `real`, empty if it leads
    /// nowhere.
    pub(super) const fn alias(&'a self, shown: &'a str, real: &'a str) -> Self {
        At { parent: Some(self), step: Step::Alias(shown, real) }
    }

    /// Writes the steps; those to the place when `real`. Gives whether the two differ.
    fn write(&self, real: bool, out: &mut String) -> bool {
        use fmt::Write as _;
        let differs = self.parent.is_some_and(|parent| parent.write(real, out));
        let dot = if out.is_empty() { "" } else { "." };
        let written = match self.step {
            Step::Root => Ok(()),
            Step::Field(name) => write!(out, "{dot}{name}"),
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Key(key) => write!(out, "[{key}]"),
            Step::Silent(key) if real => write!(out, "[{key}]"),
            Step::Silent(_) => Ok(()),
            Step::Alias(shown, name) => {
                let name = if real { name } else { shown };
                let dot = if name.is_empty() || name.starts_with('[') { "" } else { dot };
                write!(out, "{dot}{name}")
            }
        };
        written.expect("a string takes any text");
        differs || matches!(self.step, Step::Silent(_) | Step::Alias(..))
    }

    /// The place in the object, if the field's name does not lead there.
    fn place(&self) -> Option<String> {
        let mut place = String::new();
        self.write(true, &mut place).then_some(place)
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        self.write(false, &mut path);
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
        let place = at.place();
        self.0.push(Problem { path, place, reason, message, hint: None, is_error });
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
        self.unsupported(at, &format!("{value:?}"), known);
    }

    /// `value` as JSON.
    pub(super) fn unsupported(&mut self, at: &At<'_>, value: &str, known: &[&str]) {
        let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
        let known = known.join(", ");
        let message = format!("unsupported value: {value}: supported values: {known}");
        self.add(at, Reason::NotSupported, message);
    }

    /// A value that is not shown.
    pub(super) fn invalid_rule(&mut self, at: &At<'_>, detail: &str) {
        self.add(at, Reason::Invalid, format!("invalid value: {detail}"));
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

    pub(super) fn not_found_because(&mut self, at: &At<'_>, value: &str, why: &str) {
        self.add(at, Reason::NotFound, format!("not found: {value:?}: {why}"));
    }

    pub(super) fn too_many(&mut self, at: &At<'_>, count: usize, max: usize) {
        let message = format!("too many: {count}: must have at most {max} items");
        self.add(at, Reason::TooMany, message);
    }

    pub(super) fn too_long(&mut self, at: &At<'_>, max: usize) {
        let message = format!("too long: may not be more than {max} bytes");
        self.add(at, Reason::TooLong, message);
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
    fn names_and_places_may_differ() {
        let labels = At::ROOT.field("metadata.labels");
        let label = labels.silent("a/b");
        assert_eq!(
            (label.to_string().as_str(), label.place()),
            ("metadata.labels", Some("metadata.labels[a/b]".to_owned()))
        );
        let taints = At::ROOT.alias("metadata.taints", "spec.taints");
        assert_eq!(taints.index(1).place().as_deref(), Some("spec.taints[1]"));
        assert_eq!(taints.index(1).to_string(), "metadata.taints[1]");
        assert_eq!(labels.place(), None);
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
