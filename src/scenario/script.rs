//! A timeline in a shell's words: lines `kubectl …` and `sleep 30`, comments, here-documents, `&&`,
//! `||`, `!`, `if` and `set -e`. A command starts when the one before it has ended.
//!
//! ```text
//! text ─► list of chains of commands (this file) ─► steps with what follows each (shell.rs)
//! ```
//!
//! Differs: of a shell no variables, pipes, loops, functions or substitutions.

use crate::base::{Duration, SimTime};
use crate::model::Script;
use crate::tree::{Diagnostic, FileId, Span, Spanned};

use super::commands::{Line, Place};
use super::input::Input;
use super::shell::{Chain, Do, List, Word, compile};

/// Reads a script that starts at `start`; its steps name lines by their places in `lines`.
pub(super) fn read(
    start: SimTime,
    path: &Spanned<String>,
    input: &mut Input,
    lines: &mut Vec<Line>,
) -> Option<Script> {
    let file = input.read_file(path)?;
    let text = std::sync::Arc::clone(input.sources.file(file));
    let text = text.text();
    let first = text.lines().next().unwrap_or_default();
    let stops = first.starts_with("#!") && first.split_whitespace().skip(1).any(has_e);
    let mut parser = Parser { text, at: 0, file, now: start, stops, pending: None, input, lines };
    let mut list = List::new();
    while parser.at < text.len() {
        list.extend(parser.list(&[]));
        parser.stray();
    }
    let (first, steps) = compile(&list);
    Some(Script { name: path.value.clone(), at: start, first, steps })
}

/// Whether an option of `set` or of a shell holds an `e`: `-e`, `-euo`.
fn has_e(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains('e'))
}

struct Parser<'a> {
    text: &'a str,
    /// The next byte.
    at: usize,
    file: FileId,
    /// When a command runs at the earliest.
    now: SimTime,
    /// `set -e`.
    stops: bool,
    /// A here-document that begins in the next line: its line's place, its last word, where that
    /// is asked for.
    pending: Option<(Option<usize>, String, Span)>,
    input: &'a mut Input,
    lines: &'a mut Vec<Line>,
}

/// Commands that change nothing here.
const IGNORED: [&str; 6] = ["echo", "printf", "date", "cd", "export", "unset"];
/// Words of a shell that are not read here, and what to do instead.
const REFUSED: [(&str, &str); 12] = [
    ("for", "write a line for each"),
    ("while", "kubectl wait and kubectl rollout status wait for something"),
    ("until", "kubectl wait and kubectl rollout status wait for something"),
    ("case", "write the lines that would run"),
    ("function", "write its lines where they run"),
    ("[", "ask for what a kubectl command answers"),
    ("[[", "ask for what a kubectl command answers"),
    ("test", "ask for what a kubectl command answers"),
    ("{", "write one command a line"),
    ("(", "write one command a line"),
    ("source", "write its lines here"),
    (".", "write its lines here"),
];

impl Parser<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span::new(self.file, place(start), place(end))
    }

    fn error(&mut self, (start, end): (usize, usize), message: &str, hint: &str) {
        let error = Diagnostic::error(self.span(start, end), message.to_owned());
        self.input.found.push(error.with_hint(hint.to_owned()));
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Goes over blanks, comments and lines that go on.
    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            let skipped = match rest.chars().next() {
                Some(' ' | '\t' | '\r') => 1,
                Some('\\') if rest[1..].starts_with('\n') => 2,
                Some('#') => rest.find('\n').unwrap_or(rest.len()),
                _ => return,
            };
            self.at += skipped;
        }
    }

    /// Goes over ends of commands.
    fn ends(&mut self) {
        loop {
            self.blanks();
            match self.rest().chars().next() {
                Some('\n') => self.line_end(),
                Some(';') => self.at += 1,
                _ => return,
            }
        }
    }

    /// Goes over the end of a line, and over the here-document that follows it.
    fn line_end(&mut self) {
        self.at += 1;
        let Some((line, word, place)) = self.pending.take() else { return };
        let begin = self.at;
        let mut end = begin;
        let mut is_closed = false;
        while self.at < self.text.len() && !is_closed {
            let rest = self.rest();
            let (text, skip) = match rest.split_once('\n') {
                Some((text, _)) => (text, text.len() + 1),
                None => (rest, rest.len()),
            };
            is_closed = text.trim_start_matches('\t').trim_end() == word;
            end = if is_closed { self.at } else { self.at + skip };
            self.at += skip;
        }
        if !is_closed {
            let message = format!("the here-document does not end: \"{word}\" is missing");
            self.input.found.error(place, message);
        }
        let body = Spanned::new(self.text[begin..end].to_owned(), self.span(begin, end));
        if let Some(line) = line.and_then(|line| self.lines.get_mut(line)) {
            line.stdin = Some(body);
        }
    }

    /// The word that begins here.
    fn word(&self) -> &str {
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || ";|&<>".contains(c));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Chains of commands, up to one of these words.
    fn list(&mut self, until: &[&str]) -> List {
        let mut list = List::new();
        loop {
            self.ends();
            let word = self.word();
            if OF_LOOPS.contains(&word) {
                self.at += word.len();
                continue;
            }
            if self.at >= self.text.len() || until.contains(&word) || ENDS.contains(&word) {
                return list;
            }
            let stops = self.stops;
            let mut chain = self.chain();
            chain.stops = stops && self.stops;
            list.push(chain);
        }
    }

    /// A word that ends something that was not begun.
    fn stray(&mut self) {
        let length = self.word().len();
        if length > 0 {
            let word = self.word().to_owned();
            let message = format!("\"{word}\" ends nothing");
            self.error((self.at, self.at + length), &message, "it belongs to an if");
            self.at += length;
        }
    }

    fn chain(&mut self) -> Chain {
        let mut chain = Chain::default();
        let mut joined_by_and = true;
        loop {
            self.blanks();
            let mut is_negated = false;
            while self.word() == "!" {
                is_negated = !is_negated;
                self.at += 1;
                self.blanks();
            }
            let what = self.simple();
            chain.words.push(Word { joined_by_and, is_negated, what });
            self.blanks();
            let rest = self.rest();
            joined_by_and = match rest {
                _ if rest.starts_with("&&") => true,
                _ if rest.starts_with("||") => false,
                _ => break,
            };
            self.at += 2;
            self.blanks();
            while self.rest().starts_with('\n') {
                self.line_end();
                self.blanks();
            }
        }
        if self.rest().starts_with(['|', '&']) {
            let at = self.at;
            let sign = if self.rest().starts_with('|') { "|" } else { "&" };
            let message = format!("\"{sign}\" is a shell's and not read here");
            self.error((at, at + 1), &message, "write one plain command a line");
            self.skip_line();
        }
        chain
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn simple(&mut self) -> Do {
        let word = self.word().to_owned();
        if word == "if" {
            return self.condition();
        }
        let refused = REFUSED.iter().find(|(known, _)| {
            *known == word || (*known == "(" && word.starts_with('(')) || is_function(&word)
        });
        if let Some((_, hint)) = refused {
            let message = format!("\"{word}\" is a shell's and not read here");
            self.error((self.at, self.at + word.len()), &message, hint);
            self.skip_block(&word);
            return Do::Nothing(true);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_name))
        {
            self.scan(false);
            return Do::Nothing(true);
        }
        let before = self.input.found.error_count();
        let (text, at, document) = self.scan(matches!(word.as_str(), "kubectl" | "sleep"));
        match word.as_str() {
            // It is wrong already; its here-document is gone over all the same.
            "kubectl" if self.input.found.error_count() > before => {
                self.pending = document.map(|(word, span)| (None, word, span));
                Do::Nothing(true)
            }
            "kubectl" => self.kubectl(&text, at, document),
            "sleep" => self.sleep(&text, at),
            "set" => {
                self.set(&text);
                Do::Nothing(true)
            }
            "exit" => {
                let status = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
                Do::Exit(status)
            }
            "true" | ":" => Do::Nothing(true),
            "false" => Do::Nothing(false),
            ignored if IGNORED.contains(&ignored) => Do::Nothing(true),
            other => {
                let message = format!("\"{other}\" is nothing that a script here knows");
                let hint = "known are lines that begin with kubectl or sleep, if, set -e, exit, \
                            and comments";
                self.error((at, at + other.len().max(1)), &message, hint);
                self.at = self.at.max(at + 1);
                Do::Nothing(true)
            }
        }
    }

    /// Goes over the head of what a shell would repeat, and over what it would choose from.
    fn skip_block(&mut self, word: &str) {
        self.skip_line();
        while word == "case" && self.at < self.text.len() {
            self.at += 1;
            let is_end = self.rest().trim_start().starts_with("esac");
            self.skip_line();
            if is_end {
                return;
            }
        }
    }

    /// `if …; then …; else …; fi`, of which the first word is read.
    fn condition(&mut self) -> Do {
        let begin = self.at;
        self.at += self.word().len();
        let asked = self.list(&["then"]);
        if !self.take("then", begin) {
            if self.word() == "fi" {
                self.at += 2;
            }
            return Do::Nothing(true);
        }
        let then = self.list(&["else", "elif", "fi"]);
        let otherwise = match self.word() {
            "elif" => {
                let nested = self.condition();
                let word = Word { joined_by_and: true, is_negated: false, what: nested };
                // It has taken the one fi of both.
                let chain = Chain { words: vec![word], stops: false };
                return Do::If(asked, then, vec![chain]);
            }
            "else" => {
                self.at += 4;
                self.list(&["fi"])
            }
            _ => List::new(),
        };
        self.take("fi", begin);
        Do::If(asked, then, otherwise)
    }

    fn take(&mut self, word: &str, begin: usize) -> bool {
        if self.word() == word {
            self.at += word.len();
            return true;
        }
        let message = format!("\"{word}\" is missing");
        self.error((begin, begin + 2), &message, "if COMMAND; then COMMAND; else COMMAND; fi");
        false
    }

    /// A command up to its end, its place, and where its here-document is asked for. Redirections
    /// are blanked out. `checks` that it holds nothing else of a shell's.
    fn scan(&mut self, checks: bool) -> (String, usize, Option<(String, Span)>) {
        let begin = self.at;
        let mut text = String::new();
        let (mut quote, mut document) = (None, None);
        let mut reported = false;
        while let Some(c) = self.rest().chars().next() {
            let before = self.text[..self.at].chars().next_back();
            let is_begin = before.is_none_or(char::is_whitespace);
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None | Some('"'), '\\') => {
                    text.push(c);
                    self.at += 1;
                    text.extend(self.rest().chars().next());
                    self.at += self.rest().chars().next().map_or(0, char::len_utf8);
                    continue;
                }
                (None, '\n' | ';') => break,
                (None, '#') if is_begin => break,
                (None, '&') if self.rest().starts_with("&>") => {
                    self.redirection(&mut text);
                    continue;
                }
                (None, '|' | '&') => break,
                (None, '<') if self.rest().starts_with("<<") => {
                    document = self.here_document(&mut text);
                    continue;
                }
                (None, '>') => {
                    if text.ends_with(['1', '2']) {
                        text.pop();
                        text.push(' ');
                    }
                    self.redirection(&mut text);
                    continue;
                }
                (None, '<' | '`') | (None | Some('"'), '$') if checks && !reported => {
                    let is_part = |c: &char| !c.is_whitespace() && *c != '"';
                    let what: String = self.rest().chars().take_while(is_part).collect();
                    let message = format!("\"{what}\" is a shell's and not read here");
                    let place = (self.at, self.at + what.len());
                    self.error(place, &message, "write one plain command a line");
                    reported = true;
                }
                _ => {}
            }
            text.push(c);
            self.at += c.len_utf8();
        }
        text.truncate(text.trim_end().len());
        (text, begin, document)
    }

    /// Blanks out `> FILE`, `2>&1`: what a command prints goes nowhere here.
    fn redirection(&mut self, text: &mut String) {
        let from = self.at;
        let rest = self.rest();
        let signs = rest.find(|c: char| !">&".contains(c)).unwrap_or(rest.len());
        let blanks = rest[signs..].len() - rest[signs..].trim_start_matches([' ', '\t']).len();
        let target = &rest[signs + blanks..];
        let end = target.find(|c: char| c.is_whitespace() || ";|&<>".contains(c));
        self.at += signs + blanks + end.unwrap_or(target.len());
        text.extend(std::iter::repeat_n(' ', self.at - from));
    }

    /// Blanks out `<<WORD`; the document begins in the next line.
    fn here_document(&mut self, text: &mut String) -> Option<(String, Span)> {
        let from = self.at;
        self.at += 2;
        if self.rest().starts_with('-') {
            self.at += 1;
        }
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
        let word = self.word().to_owned();
        self.at += word.len();
        text.extend(std::iter::repeat_n(' ', self.at - from));
        let word = word.trim_matches(['\'', '"']).to_owned();
        (!word.is_empty()).then(|| (word, self.span(from, self.at)))
    }

    fn kubectl(&mut self, text: &str, at: usize, document: Option<(String, Span)>) -> Do {
        let place = Place::Script(self.span(at, at + text.len()));
        let line = self.lines.len();
        self.lines.push(Line { at: self.now, text: text.to_owned(), place, stdin: None });
        if let Some((word, span)) = document {
            self.pending = Some((Some(line), word, span));
        }
        Do::Line(line)
    }

    fn sleep(&mut self, text: &str, at: usize) -> Do {
        let words: Vec<&str> = text.split_whitespace().skip(1).collect();
        let spans: Option<Vec<f64>> = words.iter().map(|word| seconds(word)).collect();
        let Some(spans) = spans.filter(|spans| !spans.is_empty()) else {
            let place = (at, at + text.len());
            let hint = "for example sleep 30 or sleep 2m";
            self.error(place, "expected a length of time after sleep", hint);
            return Do::Nothing(true);
        };
        let length = Duration::from_secs_f64(spans.iter().sum());
        self.now += length;
        Do::Sleep(length)
    }

    /// `set -e`, `set -euo pipefail`, `set +e`, `set -o errexit`.
    fn set(&mut self, text: &str) {
        let words: Vec<&str> = text.split_whitespace().skip(1).collect();
        for (place, word) in words.iter().enumerate() {
            let on = words.get(place.wrapping_sub(1)).copied();
            match *word {
                "errexit" => self.stops = on != Some("+o"),
                word if has_e(word) => self.stops = true,
                word if word.starts_with('+') && word.contains('e') => self.stops = false,
                _ => {}
            }
        }
    }
}

/// Words that end what others began.
const ENDS: [&str; 4] = ["then", "else", "elif", "fi"];
/// Words of loops, which are refused where they begin.
const OF_LOOPS: [&str; 2] = ["do", "done"];

fn is_function(word: &str) -> bool {
    word.ends_with("()")
}

/// `30`, `1.5`, `30s`, `2m`, `1h`, `1d`.
fn seconds(word: &str) -> Option<f64> {
    let units = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0)];
    let unit = units.iter().find_map(|(unit, scale)| Some((word.strip_suffix(*unit)?, *scale)));
    let (number, scale) = unit.unwrap_or((word, 1.0));
    let number: f64 = number.parse().ok()?;
    (0.0..1e9).contains(&number).then_some(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_shells() {
        assert_eq!(seconds("1.5"), Some(1.5));
        assert_eq!(seconds("2m"), Some(120.0));
        assert_eq!(seconds("soon"), None);
        assert!(has_e("-euo") && has_e("-e") && !has_e("-x") && !has_e("--verbose"));
    }
}
