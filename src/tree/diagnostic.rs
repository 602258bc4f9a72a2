//! What is wrong with what the user wrote: collected first, shown together.

use std::borrow::Cow;

use super::source::{Sources, Span};

/// Whether a run may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The input is refused.
    Error,
    /// The input is taken; somebody should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One located message.
///
/// The message is a lower-case fragment without a full stop (`unknown key "memroy"`), the hint says
/// what to do (`did you mean "memory"?`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, with the offending word.
    pub message: Cow<'static, str>,
    /// Where; [`Span::NONE`] when it is about no text (a missing file).
    pub span: Span,
    /// What to do about it.
    pub hint: Option<Cow<'static, str>>,
    /// Other places that explain it, each with a label.
    pub related: Vec<(Span, Cow<'static, str>)>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(span: Span, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Severity::Error, span, message)
    }

    /// A warning at a place.
    pub fn warning(span: Span, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Severity::Warning, span, message)
    }

    /// A message of the given severity.
    pub fn new(severity: Severity, span: Span, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { severity, message, span, hint: None, related: Vec::new() }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint `did you mean "…"?` when one of the candidates is close to the word.
    #[must_use]
    pub fn with_suggestion<'c>(
        mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Self {
        if let Some(close) = super::suggest::closest(word, candidates) {
            self.hint = Some(format!("did you mean \"{close}\"?").into());
        }
        self
    }

    /// The same with another place that explains it.
    #[must_use]
    pub fn with_related(mut self, span: Span, label: impl Into<Cow<'static, str>>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// Collects messages; readers go on after one, so that all are shown at once.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: usize,
}

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        self.list.push(diagnostic);
    }

    /// Adds an error without hint.
    pub fn error(&mut self, span: Span, message: impl Into<Cow<'static, str>>) {
        self.push(Diagnostic::error(span, message));
    }

    /// Adds a warning without hint.
    pub fn warning(&mut self, span: Span, message: impl Into<Cow<'static, str>>) {
        self.push(Diagnostic::warning(span, message));
    }

    /// Adds all of another collection.
    pub fn append(&mut self, other: Self) {
        self.errors += other.errors;
        self.list.extend(other.list);
    }

    /// Whether the input must be refused.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Errors so far, repeated ones included.
    ///
    /// Compare before and after a step to know whether the step went well.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In the order of adding, repeated ones included.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// In file order, then by position, repeated ones once; those without a place come first.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by(|a, b| {
            let key = |d: &Diagnostic| (!d.span.is_none(), d.span, d.severity);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        sorted.dedup();
        sorted
    }

    /// One line each, sorted: `a.yaml:3:7: error: unknown key "memroy"`. For tests and logs.
    #[must_use]
    pub fn lines(&self, sources: &Sources) -> Vec<String> {
        let line = |d: &Diagnostic| {
            let place = sources.place(d.span);
            let colon = if place.is_empty() { "" } else { ": " };
            format!("{place}{colon}{}: {}", d.severity.word(), d.message)
        };
        self.sorted().into_iter().map(line).collect()
    }

    /// Keeps those for which the condition holds.
    pub(crate) fn retain(&mut self, mut holds: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(&mut holds);
        self.errors = self.list.iter().filter(|d| d.severity == Severity::Error).count();
    }

    /// Makes warnings of the errors from an index of [`Self::iter`] on.
    pub(crate) fn soften_from(&mut self, from: usize) {
        for diagnostic in &mut self.list[from..] {
            self.errors -= usize::from(diagnostic.severity == Severity::Error);
            diagnostic.severity = Severity::Warning;
        }
    }

    /// Edits those from an index of [`Self::iter`] on; the severity must stay.
    pub(crate) fn edit_from(&mut self, from: usize, edit: impl FnMut(&mut Diagnostic)) {
        self.list[from..].iter_mut().for_each(edit);
    }

    /// How many there are, repeated ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_by_place_and_without_repeats() {
        let mut sources = Sources::new();
        let a = sources.add("a", "one\ntwo\n");
        let b = sources.add("b", "x");
        let mut found = Diagnostics::new();
        found.warning(Span::new(b, 0, 1), "later file");
        found.error(Span::new(a, 4, 7), "second line");
        found.error(Span::new(a, 0, 3), "first line");
        found.error(Span::new(a, 0, 3), "first line");
        found.error(Span::NONE, "no file \"c\"");
        assert_eq!(
            found.lines(&sources),
            [
                "error: no file \"c\"",
                "a:1:1: error: first line",
                "a:2:1: error: second line",
                "b:1:1: warning: later file",
            ]
        );
        assert_eq!((found.error_count(), found.has_errors()), (4, true));
    }

    #[test]
    fn suggests_only_what_is_close() {
        let d = Diagnostic::error(Span::NONE, "unknown key \"memroy\"");
        let close = d.clone().with_suggestion("memroy", ["cpu", "memory"]);
        assert_eq!(close.hint.as_deref(), Some("did you mean \"memory\"?"));
        assert_eq!(d.with_suggestion("zzz", ["cpu", "memory"]).hint, None);
    }
}
