//! `KEY=VALUE` and `KEY-` after the objects of a command.
//!
//! Source: kubectl v0.36.3 pkg/cmd/util/helpers.go `GetResourcesAndPairs`, `ParsePairs`.

use std::ops::Range;

use super::words::{CommandError, Result, Word};

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    /// `KEY=VALUE`.
    Set(String, String),
    /// `KEY-`.
    Remove(String),
}

fn is_pair(word: &str) -> bool {
    (word.contains('=') && !word.starts_with('=')) || (word.ends_with('-') && word != "-")
}

/// The words that name objects, and those that are changes of `what`, written as `form`.
pub(super) fn split_pairs<'w>(
    words: &'w [Word],
    what: &str,
    form: &str,
    example: &str,
) -> Result<(&'w [Word], &'w [Word])> {
    let first = words.iter().position(|word| is_pair(&word.text)).unwrap_or(words.len());
    let (targets, changes) = words.split_at(first);
    if let Some(word) = changes.iter().find(|word| !is_pair(&word.text)) {
        let Word { text, at } = word;
        let says =
            format!("error: all resources must be specified before {what} changes: {text}\n");
        let error = CommandError::new(at.clone(), format!("expected {form}, found \"{text}\""));
        return Err(error.hint(example).says(says));
    }
    // `deployment/web app` has an object and something else.
    let has_slash = |word: &Word| word.text.contains('/');
    if targets.first().is_some_and(has_slash)
        && let Some(Word { text, at }) = targets.iter().find(|word| !has_slash(word))
    {
        let error = CommandError::new(at.clone(), format!("expected {form}, found \"{text}\""));
        return Err(error.hint(example));
    }
    Ok((targets, changes))
}

/// The changes, in order.
pub(super) fn pairs(
    words: &[Word],
    what: &str,
    removes: bool,
) -> Result<Vec<(Pair, Range<usize>)>> {
    let pair = |Word { text, at }: &Word| {
        let pair = match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Pair::Set(key.to_owned(), value.to_owned()),
            _ => match text.strip_suffix('-').filter(|key| removes && !key.is_empty()) {
                Some(key) => Pair::Remove(key.to_owned()),
                None => {
                    let message = format!("invalid {what} format: {text}");
                    return Err(CommandError::new(at.clone(), message));
                }
            },
        };
        Ok((pair, at.clone()))
    };
    words.iter().map(pair).collect()
}
