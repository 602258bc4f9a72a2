//! From the path of a problem to the place in the text.

use std::collections::BTreeSet;

use super::problem::{Problem, Reason};
use crate::tree::{Diagnostic, Diagnostics, Severity, Span, Value};

/// Tells problems at their places in the document that the object was read from.
///
/// Where a path leads to nothing (something is missing, a default is at fault) the nearest value
/// above it is the place. One mistake is told once: several things that lack the same parent are
/// one missing parent, and a default that follows from a wrong value beside it is not told.
pub fn report(problems: &[Problem], document: Value<'_>, found: &mut Diagnostics) {
    let placed: Vec<Placed<'_, '_>> = problems.iter().map(|p| place(p, document)).collect();
    let mut absent = BTreeSet::new();
    for (problem, at) in problems.iter().zip(&placed) {
        if is_consequence(problem, at, problems, &placed) {
            continue;
        }
        let siblings =
            placed.iter().filter(|other| at.absent.is_some() && other.absent == at.absent);
        match at.absent {
            Some(parent) if parent.len() < problem.location().len() && siblings.count() > 1 => {
                if absent.insert(parent) {
                    let message = format!("{parent}: required value");
                    found.push(Diagnostic::error(at.span, message));
                }
            }
            _ => found.push(diagnostic(problem, at)),
        }
    }
}

/// Whether another problem explains this one.
fn is_consequence(
    problem: &Problem,
    at: &Placed<'_, '_>,
    problems: &[Problem],
    placed: &[Placed<'_, '_>],
) -> bool {
    // No labels match a selector that is not there.
    if problem.path == "spec.template.metadata.labels" {
        let no_selector = |p: &Problem| p.path == "spec.selector" && p.reason == Reason::Required;
        return problem.message.contains("`selector`") && problems.iter().any(no_selector);
    }
    // What is missing is not wrong as well.
    let missing = |other: &Problem| {
        other.reason == Reason::Required && other.location() == problem.location()
    };
    if problem.reason == Reason::Invalid && at.absent.is_some() && problems.iter().any(missing) {
        return true;
    }
    let beside = |other: &Placed<'_, '_>| other.absent.is_none() && other.parent == at.parent;
    problem.reason == Reason::Invalid && at.absent.is_some() && placed.iter().any(beside)
}

/// A message without the regular expression that Kubernetes adds to it.
#[must_use]
pub fn plain(message: &str) -> String {
    let message = message.split(NO_QUANTITY).next().unwrap_or(message);
    match message.split_once(", regex used for validation is '") {
        Some((head, tail)) => {
            let rest = tail.rfind("')").map_or("", |end| &tail[end + 1..]);
            format!("{head}{rest}")
        }
        None => message.to_owned(),
    }
}

/// Where a problem is.
struct Placed<'p, 'd> {
    span: Span,
    /// The value, if it is there.
    value: Option<Value<'d>>,
    /// The span of the value that holds it.
    parent: Span,
    /// The path up to the first step that leads to nothing.
    absent: Option<&'p str>,
}

fn diagnostic(problem: &Problem, at: &Placed<'_, '_>) -> Diagnostic {
    let severity = if problem.is_error { Severity::Error } else { Severity::Warning };
    let message = match problem.reason {
        Reason::UnknownField | Reason::NotModelled => problem.message.clone(),
        _ => problem.to_string(),
    };
    let diagnostic = Diagnostic::new(severity, at.span, plain(&message));
    match (&problem.hint, at.value) {
        // As it was written, not as it was understood: "yes" rather than "true".
        (Some(hint), Some(value)) if hint.starts_with(IN_QUOTES) => {
            diagnostic.with_hint(format!("{IN_QUOTES}\"{}\"", value.written()))
        }
        (Some(hint), _) => diagnostic.with_hint(hint.clone()),
        (None, _) if message.contains(NO_QUANTITY) => {
            diagnostic.with_hint("write it as in 4, 500m, 16Gi")
        }
        (None, _) => diagnostic,
    }
}

const NO_QUANTITY: &str = ": quantities must match the regular expression";
const IN_QUOTES: &str = "write it in quotes: ";

fn place<'p, 'd>(problem: &'p Problem, document: Value<'d>) -> Placed<'p, 'd> {
    let mut value = document;
    let mut parent = document.span();
    let mut last = "";
    for (step, end) in steps(problem.location()) {
        parent = value.span();
        if let Step::Key(key) = step {
            last = key;
        }
        let next = match step {
            Step::Index(index) if value.is_sequence() => value.items().nth(index),
            Step::Index(index) => value.get(&index.to_string()),
            Step::Key(key) => value.get(key),
        };
        match next {
            Some(next) => value = next,
            None => {
                let absent = Some(&problem.location()[..end]);
                return Placed { span: value.span(), value: None, parent, absent };
            }
        }
    }
    let names_key = problem.reason == Reason::Invalid
        && value.as_str() != Some(last)
        && problem.message.starts_with(&format!("invalid value: {last:?}:"));
    let span = match value.key_span() {
        Some(key) if names_key || problem.reason == Reason::UnknownField => key,
        _ => value.span(),
    };
    Placed { span, value: Some(value), parent, absent: None }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The steps of a path, each with its end in it.
fn steps(path: &str) -> Vec<(Step<'_>, usize)> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            let key = &inner[..end];
            rest = inner.get(end + 1..).unwrap_or("");
            let step = key.parse().map_or(Step::Key(key), Step::Index);
            steps.push((step, path.len() - rest.len()));
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let key = &rest[..end];
            rest = &rest[end..];
            if end > 0 {
                steps.push((Step::Key(key), path.len() - rest.len()));
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::problem::{At, Found};
    use super::*;
    use crate::tree::{ParseOptions, Sources, parse};

    #[test]
    fn the_nearest_value_above_is_the_place() {
        let text = "metadata:\n  labels:\n    a.b/c: -x\nspec:\n  containers:\n    - name: app\n";
        let mut sources = Sources::new();
        let file = sources.add("a.yaml", text);
        let mut found = Diagnostics::new();
        let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
        let mut problems = Found::default();
        let labels = At::ROOT.field("metadata.labels");
        problems.invalid_text(&labels.key("a.b/c"), "-x", "no label");
        let list = At::ROOT.field("spec.containers");
        problems.required(&list.index(0).field("image"), "");
        problems.required(&list.index(7), "");
        report(&problems.0, documents[0].tree.root(), &mut found);
        assert_eq!(
            found.lines(&sources),
            [
                "a.yaml:3:12: error: metadata.labels[a.b/c]: invalid value: \"-x\": no label",
                "a.yaml:5:3: error: spec.containers[7]: required value",
                "a.yaml:6:7: error: spec.containers[0].image: required value",
            ]
        );
    }

    #[test]
    fn odd_paths_do_no_harm() {
        for path in ["", ".", "[", "]", "a[", "a[]", "a]b", "..a", "[0][0]", "ä[ö]ü"] {
            let _: usize = steps(path).len();
        }
    }
}
