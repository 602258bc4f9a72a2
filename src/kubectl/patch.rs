//! `kubectl patch`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/patch/patch.go (recorded).

use serde_json::Value;

use crate::api::PatchType;

use super::client::{Done, Session, Sub, Trouble, all_of};
use super::targets::{Targets, Whole};
use super::words::{Args, CommandError, Flag, Result, value};

/// A patch in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// `--type`.
    pub language: PatchType,
    /// `-p`; none if it is in a file.
    pub patch: Option<Value>,
    /// `--patch-file`.
    pub file: Option<String>,
    /// `--subresource`.
    pub sub: Sub,
}

pub(super) const FLAGS: &[Flag] = &[
    value("patch").short('p'),
    value("patch-file"),
    value("type"),
    value("subresource"),
    value("filename").short('f'),
];

pub(super) fn read(args: &Args) -> Result<(Patch, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Asked)?;
    let language = match args.text("type").map(str::to_lowercase).as_deref() {
        None | Some("strategic") => PatchType::Strategic,
        Some("merge") => PatchType::Merge,
        Some("json") => PatchType::Json,
        Some(other) => {
            let message = format!("--type must be one of [json merge strategic], not {other:?}");
            return Err(CommandError::usage(args.place("type"), message, "kubectl patch"));
        }
    };
    let named = args.get("subresource").map(|word| (word, word.text.as_str()));
    let sub = match named {
        None => Sub::Object,
        Some((_, "scale")) => Sub::Scale,
        Some((_, "resize")) => Sub::Resize,
        Some((_, "status")) => Sub::Status,
        Some((word, _)) => {
            let message = format!("the subresource \"{}\" is not modelled here", word.text);
            return Err(CommandError::new(word.at.clone(), message));
        }
    };
    let (patch, file) = match (args.get("patch"), args.text("patch-file")) {
        (Some(_), Some(_)) => {
            let message = "cannot specify --patch and --patch-file together";
            return Err(CommandError::new(args.place("patch-file"), message));
        }
        (None, None) => {
            let message =
                "must specify --patch or --patch-file containing the contents of the patch";
            let error = CommandError::new(args.end.clone(), message);
            return Err(error.hint("for example -p '{\"spec\":{\"replicas\":3}}'"));
        }
        (None, Some(file)) => (None, Some(file.to_owned())),
        (Some(word), None) => {
            let parsed = json_of(&word.text);
            let patch = parsed.map_err(|error| {
                CommandError::new(
                    word.at.clone(),
                    format!("unable to parse {:?}: {error}", word.text),
                )
            })?;
            (Some(patch), None)
        }
    };
    Ok((Patch { language, patch, file, sub }, targets))
}

/// YAML or JSON as JSON.
fn json_of(text: &str) -> std::result::Result<Value, String> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut sources = crate::tree::Sources::new();
    let file = sources.add("patch", text);
    let mut found = crate::tree::Diagnostics::new();
    let options = crate::tree::ParseOptions::manifest();
    let parsed = crate::tree::parse(&sources, file, &options, &mut found);
    match found.iter().next() {
        Some(first) => Err(first.message.to_string()),
        None => parsed
            .first()
            .map(|parsed| parsed.tree.root().to_json())
            .ok_or_else(|| "it is empty".to_owned()),
    }
}

pub(super) fn run(patch: &Patch, targets: &Targets, session: &mut Session<'_>) -> Done {
    let body = match (&patch.patch, &patch.file) {
        (Some(body), _) => body.clone(),
        (None, Some(file)) => {
            let documents = session.files.get(file);
            let missing =
                || format!("unable to read patch file: open {file}: no such file or directory");
            documents.and_then(|all| all.first()).cloned().ok_or_else(missing)?
        }
        (None, None) => return Err("no patch".into()),
    };
    let mut troubles: Vec<Trouble> = Vec::new();
    let mut count = 0;
    for found in session.find(targets) {
        let done = found.and_then(|info| {
            count += 1;
            let mut done = "patched";
            if session.writes() {
                let at = info.part(patch.sub);
                let new = session.api.patch(at, patch.language, body.clone())?;
                if patch.sub != Sub::Scale && new == info.object {
                    done = "patched (no change)";
                }
            }
            session.tell(info.resource, &info.name, done);
            Ok(())
        });
        troubles.extend(done.err());
    }
    if count == 0 && troubles.is_empty() {
        return Err("no objects passed to patch".into());
    }
    all_of(troubles)
}
