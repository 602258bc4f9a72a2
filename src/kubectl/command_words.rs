//! Words of a line with their places, and the flags among them.

use std::ops::Range;

use super::command::Result;
use super::words::CommandError;

type Word = (String, Range<usize>);

/// Splits a line as a shell would: at blanks, with single and double quotes.
pub(super) fn split(line: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<(char, usize)> = None;
    for (at, c) in line.char_indices() {
        let end = at + c.len_utf8();
        match (quote, c) {
            (Some((open, _)), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some((c, at));
                word.get_or_insert((String::new(), at..end));
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert((String::new(), at..end)).0.push(c),
        }
        if let Some((_, range)) = &mut word {
            range.end = end;
        }
    }
    if let Some((_, at)) = quote {
        return Err(CommandError::new(at..line.len(), "a quote is not closed"));
    }
    words.extend(word);
    Ok(words)
}

/// The words of a line, taken one by one.
pub(super) struct Words<'l> {
    line: &'l str,
    words: std::collections::VecDeque<Word>,
    last: Range<usize>,
}

impl<'l> Words<'l> {
    pub(super) fn new(line: &'l str, words: Vec<Word>) -> Self {
        Self { line, words: words.into(), last: 0..line.len() }
    }

    pub(super) fn peek(&self) -> Option<&str> {
        self.words.front().map(|(word, _)| word.as_str())
    }

    pub(super) fn next(&mut self) -> Option<Word> {
        let word = self.words.pop_front()?;
        self.last = word.1.clone();
        Some(word)
    }

    /// The next word, which must be there and be no flag.
    pub(super) fn want(&mut self, what: &str) -> Result<Word> {
        match self.next() {
            Some((word, at)) if word.starts_with('-') => Err(Self::unknown_flag(&word, at, &[])),
            Some(word) => Ok(word),
            None => Err(CommandError::new(self.end(), format!("expected {what}"))),
        }
    }

    /// The message about a flag; `known` are those that the command takes.
    pub(super) fn unknown_flag(word: &str, at: Range<usize>, known: &[&str]) -> CommandError {
        let flag = word.split('=').next().unwrap_or(word);
        let error = CommandError::new(at, format!("flag \"{flag}\" is not modelled here"));
        match crate::base::text::did_you_mean(flag, known.iter().copied()) {
            Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
            None => error,
        }
    }

    /// Nothing that is left may be a flag.
    pub(super) fn no_other_flag(&self, known: &[&str]) -> Result<()> {
        match self.words.iter().find(|(word, _)| word.starts_with('-')) {
            Some((word, at)) => Err(Self::unknown_flag(word, at.clone(), known)),
            None => Ok(()),
        }
    }

    /// Whether no word is left.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Nothing may be left.
    pub(super) fn done(&mut self) -> Result<()> {
        match self.next() {
            None => Ok(()),
            Some((word, at)) if word.starts_with('-') => Err(Self::unknown_flag(&word, at, &[])),
            Some((word, at)) => Err(CommandError::new(at, format!("unexpected \"{word}\""))),
        }
    }

    /// The place after the last word.
    pub(super) fn end(&self) -> Range<usize> {
        let end = self.line.trim_end().len();
        self.words.back().map_or(end..end, |(_, at)| at.clone())
    }

    /// The place of the word taken last.
    pub(super) fn last(&self) -> Range<usize> {
        self.last.clone()
    }

    /// Takes `--flag=value` or `--flag value`, wherever it stands.
    pub(super) fn take_flag(&mut self, flag: &str) -> Result<Option<Word>> {
        let Some(index) = self.words.iter().position(|(word, _)| {
            word == flag || word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
        }) else {
            return Ok(None);
        };
        let (word, at) = self.words.remove(index).expect("found at this index");
        if let Some((_, value)) = word.split_once('=') {
            return Ok(Some((value.to_owned(), at)));
        }
        let missing = || CommandError::new(at, format!("{flag} needs a value"));
        self.words.remove(index).map(Some).ok_or_else(missing)
    }

    /// Takes a flag without a value, wherever it stands.
    pub(super) fn take_switch(&mut self, flag: &str) -> bool {
        let index = self.words.iter().position(|(word, _)| word == flag);
        index.and_then(|index| self.words.remove(index)).is_some()
    }

    /// Takes `-n NAMESPACE` in its forms.
    pub(super) fn take_namespace(&mut self) -> Result<Option<String>> {
        let long = self.take_flag("--namespace")?;
        let short = self.take_flag("-n")?;
        Ok(long.or(short).map(|(namespace, _)| namespace))
    }
}
