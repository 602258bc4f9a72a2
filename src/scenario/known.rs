//! Names that refer to something: whether it is there, and what else was perhaps meant.

use crate::base::Interner;
use crate::model::ObjectName;
use crate::tree::{Diagnostic, Span, closest};

use super::behaviors::shown;

/// Parts of the input that could not be read. What they may have brought is not called missing:
/// one mistake, one message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gaps {
    /// Manifests, or the list of them.
    pub objects: bool,
    /// Pools of nodes.
    pub nodes: bool,
    /// Entries of `workload`.
    pub generators: bool,
    /// The section `run`.
    pub run: bool,
}

/// The message about a name that nothing has; `texts` are all there are, as [`shown`] writes them.
pub(super) fn missing(
    place: Span,
    (kind, wanted): (&str, ObjectName),
    texts: &[String],
    names: &Interner,
) -> Diagnostic {
    let name = names.resolve(wanted.name);
    let namespace = match names.resolve(wanted.namespace) {
        "default" => String::new(),
        other => format!(" in namespace {other}"),
    };
    let error = Diagnostic::error(place, format!("there is no {kind} \"{name}\"{namespace}"));
    let wanted = shown(kind, wanted, names);
    let elsewhere = || {
        let of_name = |text: &&String| text.rsplit('/').next() == Some(name);
        texts.iter().find(of_name).map(String::as_str)
    };
    match closest(&wanted, texts.iter().map(String::as_str)).or_else(elsewhere) {
        Some(close) => error.with_hint(format!("did you mean \"{close}\"?")),
        None if texts.is_empty() => {
            error.with_hint(format!("there is no {kind} at all: does `apply` name its manifest?"))
        }
        None => error,
    }
}

/// The message about a text that does not say a kind; `texts` are all names that fit there.
pub(super) fn no_kind(place: Span, text: &str, texts: &[String], example: &str) -> Diagnostic {
    let of_name = |known: &&String| known.rsplit('/').next() == Some(text);
    let example = texts.iter().find(of_name).map_or(example, String::as_str);
    let error = Diagnostic::error(place, format!("\"{text}\" is not KIND/NAME"));
    error.with_hint(format!("for example {example}"))
}
