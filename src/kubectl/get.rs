//! `kubectl get` and `kubectl describe`: what they print is not made, but a script may ask whether
//! an object is there.
//!
//! Source: kubectl v0.36.3 pkg/cmd/get/get.go, pkg/cmd/describe/describe.go.

use std::fmt::Write as _;

use super::client::{Done, Session, Trouble, all_of};
use super::targets::{Targets, Whole, is_missing};
use super::words::{Args, Flag, Result, Takes, switch, value};

/// A look at objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Get {
    /// `--ignore-not-found`.
    ignores_missing: bool,
    /// `-o name`.
    prints_names: bool,
    /// Whether it goes on looking for ever.
    pub(super) watches: bool,
}

pub(super) const FLAGS: &[Flag] = &[
    value("namespace").short('n'),
    value("output").short('o'),
    value("selector").short('l'),
    value("filename").short('f'),
    value("field-selector"),
    value("sort-by"),
    value("template"),
    value("label-columns").short('L'),
    value("chunk-size"),
    value("subresource"),
    value("raw"),
    switch("all-namespaces").short('A'),
    switch("watch").short('w'),
    switch("watch-only"),
    switch("ignore-not-found"),
    switch("no-headers"),
    switch("show-labels"),
    switch("show-kind"),
    switch("show-events"),
    switch("show-managed-fields"),
    switch("recursive").short('R'),
    Flag { long: "allow-missing-template-keys", short: None, takes: Takes::Maybe("true") },
];

pub(super) fn read(args: &Args) -> Result<(Get, Targets)> {
    let get = Get {
        ignores_missing: args.is_on("ignore-not-found")?,
        prints_names: args.text("output") == Some("name"),
        watches: args.is_on("watch")? || args.is_on("watch-only")?,
    };
    Ok((get, Targets::read(&args.words, args, Whole::Allowed)?))
}

pub(super) fn run(get: Get, targets: &Targets, session: &mut Session<'_>) -> Done {
    let mut troubles = Vec::new();
    for found in session.find(targets) {
        match found {
            Ok(info) if get.prints_names => {
                let _ = writeln!(session.out, "{}/{}", info.resource.printed(), info.name);
            }
            Err(Trouble::Status(status)) if get.ignores_missing && is_missing(&status) => {}
            Ok(_) => {}
            Err(trouble) => troubles.push(trouble),
        }
    }
    all_of(troubles)
}
