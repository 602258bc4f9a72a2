//! The text form of label selectors: tokens, then requirements separated by commas.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/labels/selector.go `Lexer`,
//! `Parser` (recorded).

use std::collections::BTreeSet;

use super::names;
use super::selector::{TextOperator, TextRequirement, checked, quoted};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Error,
    End,
    Word,
    Open,
    Close,
    Comma,
    Not,
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
}

pub(super) fn parse(text: &str) -> Result<Vec<TextRequirement>, String> {
    Parser { tokens: tokens(text), next: 0 }.requirements()
}

fn tokens(text: &str) -> Vec<(Token, String)> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(first) = rest.chars().next() else {
            out.push((Token::End, String::new()));
            return out;
        };
        let (token, length) =
            if is_special(first) { special(rest) } else { (word(rest), word_length(rest)) };
        out.push((token, rest[..length].to_owned()));
        rest = &rest[length..];
    }
}

const fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn word_length(text: &str) -> usize {
    let ends = |c: char| is_special(c) || matches!(c, ' ' | '\t' | '\r' | '\n');
    text.find(ends).unwrap_or(text.len())
}

fn word(text: &str) -> Token {
    match &text[..word_length(text)] {
        "in" => Token::In,
        "notin" => Token::NotIn,
        _ => Token::Word,
    }
}

/// The longest known run of special characters.
fn special(text: &str) -> (Token, usize) {
    const KNOWN: [(&str, Token); 9] = [
        ("==", Token::DoubleEquals),
        ("!=", Token::NotEquals),
        ("=", Token::Equals),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
        (">", Token::Greater),
        ("<", Token::Less),
    ];
    let known = KNOWN.iter().find(|(literal, _)| text.starts_with(literal));
    known.map_or((Token::Error, text.len()), |(literal, token)| (*token, literal.len()))
}

struct Parser {
    tokens: Vec<(Token, String)>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> (Token, &str) {
        let last = self.tokens.len() - 1;
        let (token, literal) = &self.tokens[self.next.min(last)];
        (*token, literal)
    }

    fn take(&mut self) -> (Token, String) {
        let (token, literal) = self.peek();
        let taken = (token, literal.to_owned());
        self.next += 1;
        taken
    }

    /// Where a value or key may stand, `in` and `notin` are words.
    fn peek_value(&self) -> (Token, &str) {
        let (token, literal) = self.peek();
        (as_value(token), literal)
    }

    fn take_value(&mut self) -> (Token, String) {
        let (token, literal) = self.take();
        (as_value(token), literal)
    }

    fn requirements(mut self) -> Result<Vec<TextRequirement>, String> {
        let mut out = Vec::new();
        loop {
            match self.peek_value() {
                (Token::Word | Token::Not, _) => {
                    let requirement = self.requirement();
                    out.push(requirement.map_err(|e| format!("unable to parse requirement: {e}"))?);
                    match self.take_value() {
                        (Token::End, _) => return Ok(out),
                        (Token::Comma, _) => {
                            let (token, literal) = self.peek_value();
                            if !matches!(token, Token::Word | Token::Not) {
                                return expected(literal, "identifier after ','");
                            }
                        }
                        (_, literal) => return expected(&literal, "',' or 'end of string'"),
                    }
                }
                (Token::End, _) => return Ok(out),
                (_, literal) => return expected(literal, "!, identifier, or 'end of string'"),
            }
        }
    }

    fn requirement(&mut self) -> Result<TextRequirement, String> {
        let (mut token, mut literal) = self.take_value();
        let negated = token == Token::Not;
        if negated {
            (token, literal) = self.take_value();
        }
        if token != Token::Word {
            return expected(&literal, "identifier");
        }
        let key = literal;
        let against = names::qualified_name(&key);
        if !against.is_empty() {
            let (key, against) = (quoted(&key), against.join("; "));
            return Err(format!("<nil>: Invalid value: {key}: {against}"));
        }
        if negated {
            return checked(&key, TextOperator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek_value().0, Token::End | Token::Comma) {
            return checked(&key, TextOperator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            TextOperator::In | TextOperator::NotIn => self.values()?,
            _ => BTreeSet::from([self.exact_value()?]),
        };
        checked(&key, operator, values.into_iter().collect())
    }

    fn operator(&mut self) -> Result<TextOperator, String> {
        Ok(match self.take() {
            (Token::In, _) => TextOperator::In,
            (Token::NotIn, _) => TextOperator::NotIn,
            (Token::Equals, _) => TextOperator::Equals,
            (Token::DoubleEquals, _) => TextOperator::DoubleEquals,
            (Token::NotEquals, _) => TextOperator::NotEquals,
            (Token::Greater, _) => TextOperator::GreaterThan,
            (Token::Less, _) => TextOperator::LessThan,
            (_, literal) => return expected(&literal, "in, notin, =, ==, !=, gt, lt"),
        })
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek_value().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.take_value() {
            (Token::Word, literal) => Ok(literal),
            (_, literal) => expected(&literal, "identifier"),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let (token, literal) = self.take_value();
        if token != Token::Open {
            return Err(format!("found '{literal}' expected: '('"));
        }
        match self.peek_value() {
            (Token::Word | Token::Comma, _) => {
                let values = self.list()?;
                self.take();
                Ok(values)
            }
            (Token::Close, _) => {
                self.take();
                Ok(BTreeSet::from([String::new()]))
            }
            (_, literal) => expected(literal, "',', ')' or identifier"),
        }
    }

    /// Values up to the closing bracket, which stays; nothing between two commas is an empty text.
    fn list(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.take_value() {
                (Token::Word, literal) => {
                    values.insert(literal);
                    match self.peek_value() {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, literal) => return expected(literal, "',' or ')'"),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    let (token, _) = self.peek_value();
                    if matches!(token, Token::Close | Token::Comma) {
                        values.insert(String::new());
                    }
                    if token == Token::Close {
                        return Ok(values);
                    }
                    if token == Token::Comma {
                        self.take();
                    }
                }
                (_, literal) => return expected(&literal, "',', or identifier"),
            }
        }
    }
}

fn as_value(token: Token) -> Token {
    if matches!(token, Token::In | Token::NotIn) { Token::Word } else { token }
}

fn expected<T>(found: &str, what: &str) -> Result<T, String> {
    Err(format!("found '{found}', expected: {what}"))
}
