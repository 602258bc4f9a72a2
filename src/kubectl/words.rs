//! Words of a line with their places, and the flags among them.

use std::ops::Range;

use crate::base::text::did_you_mean;

/// What is wrong with a line, where in it (bytes), and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The offending bytes of the line.
    pub at: Range<usize>,
    /// A lower-case fragment.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What kubectl itself writes to its standard error.
    pub stderr: String,
}

impl CommandError {
    /// kubectl says the same, as an error.
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        let message = message.into();
        let stderr = format!("error: {message}\n");
        Self { at, message, hint: None, stderr }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// kubectl says it in other words.
    pub(super) fn says(mut self, stderr: impl Into<String>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// kubectl says so of the use of a command.
    pub(super) fn usage(at: Range<usize>, message: impl Into<String>, command: &str) -> Self {
        let error = Self::new(at, message);
        let says = format!("error: {}\nSee '{command} -h' for help and examples\n", error.message);
        error.says(says)
    }
}

pub(super) type Result<T> = std::result::Result<T, CommandError>;

/// A word and its bytes in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: Range<usize>,
}

/// Splits a line as a shell would: at blanks, with single and double quotes and backslashes.
pub(super) fn split(line: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<(char, usize)> = None;
    let mut letters = line.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        let mut end = at + c.len_utf8();
        let begin = || Word { text: String::new(), at: at..end };
        match (quote, c) {
            (Some((open, _)), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some((c, at));
                word.get_or_insert_with(begin);
            }
            (None, '\\') if letters.next_if(|(_, next)| *next == '\n').is_some() => continue,
            (None | Some(('"', _)), '\\') => {
                let escaped = |next: char| quote.is_none() || "\"\\$`\n".contains(next);
                let word = word.get_or_insert_with(begin);
                match letters.next_if(|(_, next)| escaped(*next)) {
                    Some((at, next)) => {
                        end = at + next.len_utf8();
                        if next != '\n' {
                            word.text.push(next);
                        }
                    }
                    None => word.text.push('\\'),
                }
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_with(begin).text.push(c),
        }
        if let Some(word) = &mut word {
            word.at.end = end;
        }
    }
    if let Some((_, at)) = quote {
        return Err(CommandError::new(at..line.len(), "a quote is not closed"));
    }
    words.extend(word);
    Ok(words)
}

/// A flag that a command takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) takes: Takes,
}

/// What stands after a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A value, here or in the next word.
    Value,
    /// Nothing, or `=true`, `=false`.
    Switch,
    /// Nothing (then it means this) or `=value`.
    Maybe(&'static str),
}

pub(super) const fn value(long: &'static str) -> Flag {
    Flag { long, short: None, takes: Takes::Value }
}

pub(super) const fn switch(long: &'static str) -> Flag {
    Flag { long, short: None, takes: Takes::Switch }
}

impl Flag {
    pub(super) const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }
}

/// The words of a command without its verb, sorted out.
#[derive(Clone, Debug)]
pub(super) struct Args {
    /// What is no flag, in order.
    pub(super) words: Vec<Word>,
    /// What stands after `--`.
    pub(super) rest: Option<Vec<Word>>,
    flags: Vec<(&'static str, Word)>,
    /// Where the command ends.
    pub(super) end: Range<usize>,
    /// `kubectl set image`, for messages.
    pub(super) command: String,
}

impl Args {
    /// Sorts words by the flags that a command takes.
    pub(super) fn read(
        words: Vec<Word>,
        flags: &[&[Flag]],
        end: usize,
        command: String,
    ) -> Result<Self> {
        let mut args =
            Self { words: Vec::new(), rest: None, flags: Vec::new(), end: end..end, command };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word.text == "--" {
                args.rest = Some(words.by_ref().collect());
            } else if word.text.starts_with('-') && word.text != "-" {
                args.flag(word, &mut words, flags)?;
            } else {
                args.words.push(word);
            }
        }
        Ok(args)
    }

    fn flag(
        &mut self,
        word: Word,
        next: &mut impl Iterator<Item = Word>,
        flags: &[&[Flag]],
    ) -> Result<()> {
        let Word { text, at } = word;
        let (name, given) = match text.strip_prefix("--") {
            Some(_) => match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text.clone(), None),
            },
            None => {
                let mut letters = text.chars();
                let name: String = letters.by_ref().take(2).collect();
                let rest = letters.as_str();
                let value = rest.strip_prefix('=').unwrap_or(rest);
                (name, (!rest.is_empty()).then(|| value.to_owned()))
            }
        };
        let is_named = |flag: &&Flag| match name.strip_prefix("--") {
            Some(long) => flag.long == long,
            None => flag.short.is_some_and(|short| name.ends_with(short)),
        };
        let Some(flag) = flags.iter().copied().flatten().find(is_named) else {
            return Err(self.unknown_flag(&name, at, flags));
        };
        let value = match (flag.takes, given) {
            (_, Some(value)) => Word { text: value, at },
            (Takes::Switch, None) => Word { text: "true".to_owned(), at },
            (Takes::Maybe(default), None) => Word { text: default.to_owned(), at },
            (Takes::Value, None) => next.next().ok_or_else(|| {
                let says = match name.strip_prefix("--") {
                    Some(_) => format!("flag needs an argument: {name}"),
                    None => format!("flag needs an argument: '{}' in {name}", &name[1..]),
                };
                let error = CommandError::new(at, format!("{name} needs a value"));
                error.says(format!("error: {says}\nSee '{} --help' for usage.\n", self.command))
            })?,
        };
        self.flags.push((flag.long, value));
        Ok(())
    }

    fn unknown_flag(&self, name: &str, at: Range<usize>, flags: &[&[Flag]]) -> CommandError {
        let says = match name.strip_prefix("--") {
            Some(_) => format!("unknown flag: {name}"),
            None => format!("unknown shorthand flag: '{0}' in -{0}", &name[1..]),
        };
        let error = CommandError::new(at, format!("flag \"{name}\" is not modelled here"));
        let error =
            error.says(format!("error: {says}\nSee '{} --help' for usage.\n", self.command));
        let known: Vec<String> =
            flags.iter().copied().flatten().map(|flag| format!("--{}", flag.long)).collect();
        match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
            None => error,
        }
    }

    /// The value of a flag, the last one given.
    pub(super) fn get(&self, long: &str) -> Option<&Word> {
        self.flags.iter().rev().find(|(name, _)| *name == long).map(|(_, word)| word)
    }

    /// Its text.
    pub(super) fn text(&self, long: &str) -> Option<&str> {
        self.get(long).map(|word| word.text.as_str())
    }

    /// All values of a flag that may be given several times.
    pub(super) fn all<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a Word> + 'a {
        self.flags.iter().filter(move |(name, _)| *name == long).map(|(_, word)| word)
    }

    /// A switch; `None` if it is not given.
    pub(super) fn switch(&self, long: &str) -> Result<Option<bool>> {
        let Some(word) = self.get(long) else { return Ok(None) };
        match word.text.as_str() {
            "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(Some(true)),
            "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(Some(false)),
            other => {
                let message = format!("\"{other}\" is neither true nor false");
                let says = format!(
                    "error: invalid argument \"{other}\" for \"--{long}\" flag: strconv.ParseBool: \
                     parsing \"{other}\": invalid syntax\nSee '{} --help' for usage.\n",
                    self.command
                );
                Err(CommandError::new(word.at.clone(), message).says(says))
            }
        }
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, long: &str) -> Result<bool> {
        Ok(self.switch(long)?.unwrap_or(false))
    }

    /// A whole number; `what` it counts is for our message.
    pub(super) fn number(&self, long: &str, what: &str) -> Result<Option<i64>> {
        let Some(word) = self.get(long) else { return Ok(None) };
        let error = || {
            let message = format!("\"{}\" is not a number of {what}", word.text);
            let says = format!(
                "error: invalid argument \"{0}\" for \"--{long}\" flag: strconv.ParseInt: parsing \
                 \"{0}\": invalid syntax\nSee '{1} --help' for usage.\n",
                word.text, self.command
            );
            CommandError::new(word.at.clone(), message).says(says)
        };
        let number: i32 = word.text.parse().map_err(|_| error())?;
        Ok(Some(number.into()))
    }

    /// The place of a flag's value, or the end.
    pub(super) fn place(&self, long: &str) -> Range<usize> {
        self.get(long).map_or_else(|| self.end.clone(), |word| word.at.clone())
    }

    /// The place of the words, or the end.
    pub(super) fn words_at(&self) -> Range<usize> {
        match (self.words.first(), self.words.last()) {
            (Some(first), Some(last)) => first.at.start..last.at.end,
            _ => self.end.clone(),
        }
    }
}
