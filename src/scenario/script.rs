//! A timeline in a shell's words: lines `kubectl …` and `sleep 30`, comments, here-documents.
//!
//! Differs from a shell: no variables, pipes, loops or conditions; a command ends at once, whatever
//! it would wait for, so that only `sleep` takes time.

use crate::base::{Duration, SimTime};
use crate::tree::{Diagnostic, FileId, Span, Spanned};

use super::commands::{Line, Place};
use super::input::Input;

/// Reads a script whose first line runs at `start`.
pub(super) fn read(
    start: SimTime,
    path: &Spanned<String>,
    input: &mut Input,
    lines: &mut Vec<Line>,
) {
    let Some(file) = input.read_file(path) else { return };
    let text = std::sync::Arc::clone(input.sources.file(file));
    let mut script = Script { text: text.text(), at: 0, file, now: start, input, lines };
    while let Some((line, at)) = script.next_command() {
        script.command(&line, at);
    }
}

struct Script<'a> {
    text: &'a str,
    /// The next byte.
    at: usize,
    file: FileId,
    now: SimTime,
    input: &'a mut Input,
    lines: &'a mut Vec<Line>,
}

/// Words at the beginning of a line that change nothing here.
const IGNORED: [&str; 8] = ["set", "echo", "printf", "true", ":", "date", "exit", "cd"];

impl Script<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span::new(self.file, place(start), place(end))
    }

    /// A line of the text, without its end.
    fn next_line(&mut self) -> Option<(String, usize)> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = rest.find('\n').unwrap_or(rest.len());
        let at = self.at;
        self.at = (at + end + 1).min(self.text.len());
        Some((rest[..end].to_owned(), at))
    }

    /// A command: a line, with those that follow a backslash at its end or within its quotes.
    fn next_command(&mut self) -> Option<(String, usize)> {
        loop {
            let (mut text, at) = self.next_line()?;
            let begin = text.trim_start();
            if begin.is_empty() || begin.starts_with('#') {
                continue;
            }
            while is_open(&text) {
                let Some((more, _)) = self.next_line() else { break };
                text.push('\n');
                text.push_str(&more);
            }
            return Some((text, at));
        }
    }

    fn command(&mut self, line: &str, at: usize) {
        let begin = line.len() - line.trim_start().len();
        let (text, at) = (without_comment(&line[begin..]).trim_end(), at + begin);
        let whole = self.span(at, at + text.len());
        let word = text.split_whitespace().next().unwrap_or_default();
        match word {
            "kubectl" => self.kubectl(text, at),
            "sleep" => self.sleep(text, whole),
            ignored if IGNORED.contains(&ignored) => {}
            other => {
                let message = format!("\"{other}\" is nothing that a script here knows");
                let error = Diagnostic::error(self.span(at, at + other.len()), message);
                let hint = "known are lines that begin with kubectl or sleep, and comments";
                self.input.found.push(error.with_hint(hint));
            }
        }
    }

    fn kubectl(&mut self, text: &str, at: usize) {
        let (text, end_word) = here_document(text);
        let mut stdin = None;
        if let Some(word) = end_word {
            let begin = self.at;
            let mut end = begin;
            let mut is_closed = false;
            while let Some((line, start)) = self.next_line() {
                end = start;
                if line.trim_start_matches('\t').trim_end() == word {
                    is_closed = true;
                    break;
                }
                end = self.at;
            }
            if !is_closed {
                let message = format!("the here-document does not end: \"{word}\" is missing");
                self.input.found.error(self.span(at, at + text.len()), message);
            }
            let body = self.text[begin..end].to_owned();
            stdin = Some(Spanned::new(body, self.span(begin, end)));
        }
        if let Some((what, place)) = shell_word(text) {
            let span = self.span(at + place, at + place + what.len());
            let error =
                Diagnostic::error(span, format!("\"{what}\" is a shell's and not read here"));
            self.input.found.push(error.with_hint("write one plain command a line"));
            return;
        }
        let place = Place::Script(self.span(at, at + text.len()));
        self.lines.push(Line { at: self.now, text: text.to_owned(), place, stdin });
    }

    fn sleep(&mut self, text: &str, whole: Span) {
        let words: Vec<&str> = text.split_whitespace().skip(1).collect();
        let spans: Option<Vec<f64>> = words.iter().map(|word| seconds(word)).collect();
        match spans.filter(|spans| !spans.is_empty()) {
            Some(spans) => self.now += Duration::from_secs_f64(spans.iter().sum()),
            None => {
                let error = Diagnostic::error(whole, "expected a length of time after sleep");
                self.input.found.push(error.with_hint("for example sleep 30 or sleep 2m"));
            }
        }
    }
}

/// `30`, `1.5`, `30s`, `2m`, `1h`, `1d`.
fn seconds(word: &str) -> Option<f64> {
    let units = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0)];
    let unit = units.iter().find_map(|(unit, scale)| Some((word.strip_suffix(*unit)?, *scale)));
    let (number, scale) = unit.unwrap_or((word, 1.0));
    let number: f64 = number.parse().ok()?;
    (0.0..1e9).contains(&number).then_some(number * scale)
}

/// Whether a command goes on in the next line.
fn is_open(text: &str) -> bool {
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') => return false,
            (None | Some('"'), '\\') if letters.next().is_none() => {
                return true;
            }
            _ => {}
        }
    }
    quote.is_some()
}

/// What stands before a `#` that begins a word outside of quotes.
fn without_comment(text: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if before.is_whitespace() => return &text[..at],
            _ => {}
        }
        before = c;
    }
    text
}

/// The command without `<<WORD` at its end, and the word.
fn here_document(text: &str) -> (&str, Option<String>) {
    let Some((command, word)) = text.rsplit_once("<<") else { return (text, None) };
    let word = word.strip_prefix('-').unwrap_or(word).trim();
    let word = word.trim_matches(['\'', '"']);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !word.is_empty() && word.chars().all(is_word) {
        true => (command.trim_end(), Some(word.to_owned())),
        false => (text, None),
    }
}

/// The first word outside of quotes that means something to a shell, and its place.
fn shell_word(text: &str) -> Option<(String, usize)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | ';' | '&' | '>' | '<' | '`') | (None | Some('"'), '$') => {
                let is_part = |c: &char| !c.is_whitespace() && *c != '"';
                return Some((text[at..].chars().take_while(is_part).collect(), at));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_shells() {
        assert_eq!(seconds("1.5"), Some(1.5));
        assert_eq!(seconds("2m"), Some(120.0));
        assert_eq!(seconds("soon"), None);
        assert!(is_open("kubectl patch deploy web \\"));
        assert!(is_open("kubectl patch deploy web -p '{"));
        assert!(!is_open("kubectl scale deploy web # don't"));
        assert_eq!(without_comment("a 'b # c' # d"), "a 'b # c' ");
        let (text, word) = here_document("kubectl apply -f - <<'EOF'");
        assert_eq!((text, word.as_deref()), ("kubectl apply -f -", Some("EOF")));
        assert_eq!(shell_word("a && b"), Some(("&&".to_owned(), 2)));
        assert_eq!(shell_word("kubectl patch -p '{\"$patch\": 1}'"), None);
    }
}
