//! JSON: straight from bytes to a tree.
//!
//! Source: RFC 8259; numbers as sigs.k8s.io/json: whole within 64 bits, otherwise floats.

use std::sync::Arc;

use super::arena::{Data, Range32, Text};
use super::build::{Builder, Key, Place};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::parse::{ParseOptions, Parsed};
use super::source::{SourceFile, Span, offset};

/// Reads the values of a text, one after the other; the first error ends it.
///
/// Repeated keys are reported only if all is well, since the caller may try YAML next.
pub(super) fn parse(
    file: &Arc<SourceFile>,
    options: &ParseOptions,
    found: &mut Diagnostics,
) -> Result<Vec<Parsed>, Diagnostic> {
    let mut documents = Vec::new();
    let mut own = Diagnostics::new();
    let mut reader = Reader { file, bytes: file.text().as_bytes(), at: 0 };
    loop {
        reader.skip_blank();
        let start = reader.at;
        if start == reader.bytes.len() {
            found.append(own);
            return Ok(documents);
        }
        let mut builder = Builder::new(file, options);
        reader.document(&mut builder, &mut own)?;
        let tree = builder.finish().expect("a JSON document has a value");
        if !tree.root().is_null() {
            let span = reader.span(start, reader.at);
            documents.push(Parsed { tree, span, origin: None });
        }
    }
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn document(
        &mut self,
        builder: &mut Builder<'_>,
        found: &mut Diagnostics,
    ) -> Result<(), Diagnostic> {
        loop {
            self.skip_blank();
            let complete = match builder.place() {
                Place::Key => self.key(builder)?,
                Place::Root | Place::Item | Place::Value => self.value(builder)?,
            };
            if complete && self.after_value(builder, found)? {
                return Ok(());
            }
        }
    }

    /// Reads a value, or opens a collection; whether a value is complete now.
    fn value(&mut self, builder: &mut Builder<'_>) -> Result<bool, Diagnostic> {
        let start = self.at;
        match self.peek() {
            Some(open @ (b'{' | b'[')) => {
                self.at += 1;
                builder.begin(open == b'{', Range32::new(start, start), 0)?;
                self.skip_blank();
                return Ok(self.peek() == Some(open + 2)); // empty: closed by `after_value`
            }
            Some(b'"') => {
                let text = self.string(builder)?;
                builder.scalar(Data::Text(text), Range32::new(start, self.at), 0)?;
            }
            Some(b'-' | b'0'..=b'9') => {
                let data = self.number()?;
                builder.scalar(data, Range32::new(start, self.at), 0)?;
            }
            _ => {
                let data = self.word()?;
                builder.scalar(data, Range32::new(start, self.at), 0)?;
            }
        }
        Ok(true)
    }

    /// Separators and ends after a value; whether the document is complete.
    fn after_value(
        &mut self,
        builder: &mut Builder<'_>,
        found: &mut Diagnostics,
    ) -> Result<bool, Diagnostic> {
        loop {
            let close = match builder.place() {
                Place::Root => return Ok(true),
                Place::Item => b']',
                Place::Key => b'}',
                Place::Value => return Err(self.expected("a value")),
            };
            self.skip_blank();
            match self.peek() {
                Some(byte) if byte == close => {
                    self.at += 1;
                    builder.end(Some(self.at), found)?;
                }
                Some(b',') => {
                    self.at += 1;
                    return Ok(false);
                }
                _ if close == b']' => return Err(self.expected("`,` or `]`")),
                _ => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    /// Reads a key and its colon; no value is complete after it.
    fn key(&mut self, builder: &mut Builder<'_>) -> Result<bool, Diagnostic> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            let error = self.expected("a key in double quotes");
            let before = self.file.text()[..start].trim_end();
            let is_end = self.peek() == Some(b'}') && before.ends_with(',');
            return Err(if is_end {
                error.with_hint("take out the comma before it")
            } else {
                error
            });
        }
        let text = self.string(builder)?;
        let range = Range32::new(start, self.at);
        self.skip_blank();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        builder.key(Key { text, range, merge: false });
        Ok(false)
    }

    fn string(&mut self, builder: &mut Builder<'_>) -> Result<Text, Diagnostic> {
        let start = self.at + 1;
        self.at = start;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::source(start, self.at - 1 - start));
                }
                Some(b'\\') => break,
                Some(0x20..) => self.at += 1,
                Some(_) => return Err(self.error(self.at, "a control character in a string")),
                None => return Err(self.error(start - 1, "a quote that is never closed")),
            }
        }
        let mut decoded = self.file.text()[start..self.at].to_owned();
        while self.peek() != Some(b'"') {
            self.piece(start, &mut decoded)?;
        }
        self.at += 1;
        Ok(builder.tree.push_decoded(&decoded))
    }

    /// An escape, or a run of characters without one.
    fn piece(&mut self, start: usize, decoded: &mut String) -> Result<(), Diagnostic> {
        match self.peek() {
            Some(b'\\') => {
                let escaped = self.escape()?;
                decoded.push(escaped);
            }
            Some(0x20..) => {
                let from = self.at;
                while matches!(self.peek(), Some(byte) if byte >= 0x20 && byte != b'"' && byte != b'\\')
                {
                    self.at += 1;
                }
                decoded.push_str(&self.file.text()[from..self.at]);
            }
            Some(_) => return Err(self.error(self.at, "a control character in a string")),
            None => return Err(self.error(start - 1, "a quote that is never closed")),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<char, Diagnostic> {
        let start = self.at;
        let letter = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.error(start, "unknown escape")),
        })
    }

    /// `\uXXXX`, in pairs beyond the basic plane; a lone half is U+FFFD, as in Go.
    fn unicode(&mut self, start: usize) -> Result<char, Diagnostic> {
        let first = self.hex(start)?;
        if !(0xd800..0xdc00).contains(&first) || !self.bytes[self.at..].starts_with(b"\\u") {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        self.at += 2;
        let second = self.hex(before)?;
        if !(0xdc00..0xe000).contains(&second) {
            self.at = before;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, start: usize) -> Result<u32, Diagnostic> {
        let digits = self.file.text().get(self.at..self.at + 4);
        let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
        self.at += 4;
        value.ok_or_else(|| self.error(start, "expected four hexadecimal digits after `\\u`"))
    }

    fn number(&mut self) -> Result<Data, Diagnostic> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let whole = self.digits();
        let leading_zero = whole > 1 && self.bytes[self.at - whole] == b'0';
        let mut valid = whole > 0 && !leading_zero;
        let mut integer = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            integer = false;
            valid &= self.digits() > 0;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            integer = false;
            self.at += usize::from(matches!(self.peek(), Some(b'-' | b'+')));
            valid &= self.digits() > 0;
        }
        if !valid {
            return Err(self.error(start, "not a JSON number"));
        }
        let text = &self.file.text()[start..self.at];
        if let (true, Ok(value)) = (integer, text.parse()) {
            return Ok(Data::Int(value));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Data::Float(value)),
            _ => Err(self.error(start, "number out of range")),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self) -> Result<Data, Diagnostic> {
        let rest = &self.bytes[self.at..];
        let known =
            [("null", Data::Null), ("true", Data::Bool(true)), ("false", Data::Bool(false))];
        let Some((word, data)) = known.into_iter().find(|(w, _)| rest.starts_with(w.as_bytes()))
        else {
            return Err(self.expected("a value"));
        };
        self.at += word.len();
        Ok(data)
    }

    fn skip_blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expected(&self, what: &str) -> Diagnostic {
        self.error(self.at, &format!("expected {what}"))
    }

    fn error(&self, at: usize, message: &str) -> Diagnostic {
        let text = self.file.text();
        let at = super::source::floor_boundary(text, at);
        let next = text[at..].chars().next().filter(|&c| c != '\n');
        let place = self.span(at, at + next.map_or(0, char::len_utf8));
        Diagnostic::error(place, message.to_owned())
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file.id(), offset(start), offset(end))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
