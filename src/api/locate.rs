//! From the path of a problem to the place in the text.

use super::problem::{Problem, Reason};
use crate::tree::{Diagnostic, Diagnostics, Severity, Span, Value};

/// Tells problems at their places in the document that the object was read from.
///
/// Where a path leads to nothing (something is missing, a default is at fault) the nearest value
/// above it is the place.
pub fn report(problems: &[Problem], document: Value<'_>, found: &mut Diagnostics) {
    found.extend(problems.iter().map(|problem| diagnostic(problem, document)));
}

fn diagnostic(problem: &Problem, document: Value<'_>) -> Diagnostic {
    let severity = if problem.is_error {
        Severity::Error
    } else {
        Severity::Warning
    };
    let message = match problem.reason {
        Reason::UnknownField | Reason::NotModelled => problem.message.clone(),
        _ => problem.to_string(),
    };
    let diagnostic = Diagnostic::new(severity, locate(problem, document), message);
    match &problem.hint {
        Some(hint) => diagnostic.with_hint(hint.clone()),
        None => diagnostic,
    }
}

fn locate(problem: &Problem, document: Value<'_>) -> Span {
    let mut value = document;
    for step in steps(&problem.path) {
        let next = match step {
            Step::Index(index) if value.is_sequence() => value.items().nth(index),
            Step::Index(index) => value.get(&index.to_string()),
            Step::Key(key) => value.get(key),
        };
        match next {
            Some(next) => value = next,
            None => return value.span(),
        }
    }
    match (problem.reason, value.key_span()) {
        (Reason::UnknownField, Some(key)) => key,
        _ => value.span(),
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            let key = &inner[..end];
            steps.push(key.parse().map_or(Step::Key(key), Step::Index));
            rest = inner.get(end + 1..).unwrap_or("");
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end > 0 {
                steps.push(Step::Key(&rest[..end]));
            }
            rest = &rest[end..];
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
        for path in [
            "", ".", "[", "]", "a[", "a[]", "a]b", "..a", "[0][0]", "ä[ö]ü",
        ] {
            let _: usize = steps(path).len();
        }
    }
}
