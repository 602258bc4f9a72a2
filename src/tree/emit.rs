//! Writes values as clean YAML: block style, quotes only where the text would be misread.

use std::fmt::Write as _;

use super::arena::Tree;
use super::scalar::is_misread;
use super::value::{Kind, Value};

/// A value as a YAML document, ending in a line break.
#[must_use]
pub fn to_yaml(value: Value<'_>) -> String {
    let mut out = String::new();
    if nested(value) {
        block(value, 0, &mut out);
    } else {
        out.push_str(&scalar(value, 2));
        out.push('\n');
    }
    out
}

/// JSON as a YAML document, ending in a line break; keys in the order of the map.
#[must_use]
pub fn json_to_yaml(json: &serde_json::Value) -> String {
    to_yaml(Tree::from_json(json).root())
}

fn nested(value: Value<'_>) -> bool {
    matches!(value.kind(), Kind::Sequence | Kind::Mapping) && !value.is_empty()
}

/// The lines of a list or mapping that is not empty.
fn block(value: Value<'_>, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    for item in value.items() {
        out.push_str(&margin);
        out.push_str("- ");
        if nested(item) {
            let start = out.len();
            block(item, indent + 2, out);
            out.replace_range(start..start + indent + 2, ""); // its first line stands behind `- `
        } else {
            out.push_str(&scalar(item, indent + 2));
            out.push('\n');
        }
    }
    for entry in value.entries() {
        out.push_str(&margin);
        write_key(entry.key, &margin, out);
        if nested(entry.value) {
            out.push('\n');
            let deeper = if entry.value.is_sequence() { indent } else { indent + 2 };
            block(entry.value, deeper, out);
        } else {
            out.push(' ');
            out.push_str(&scalar(entry.value, indent + 2));
            out.push('\n');
        }
    }
}

fn write_key(key: &str, margin: &str, out: &mut String) {
    const SIMPLE_KEY_BYTES: usize = 1000; // YAML: a simple key has at most 1024 characters
    let shown = if is_plain(key) { key.to_owned() } else { quoted(key) };
    if shown.len() > SIMPLE_KEY_BYTES {
        write!(out, "? {shown}\n{margin}:").expect("writing to a string");
    } else {
        write!(out, "{shown}:").expect("writing to a string");
    }
}

/// What stands behind `key: ` or `- `; lines after the first are indented.
fn scalar(value: Value<'_>, indent: usize) -> String {
    match value.kind() {
        Kind::Null => "null".to_owned(),
        Kind::Bool(value) => value.to_string(),
        Kind::Int(value) => value.to_string(),
        Kind::Float(value) => float(value),
        Kind::Str(text) if is_plain(text) => text.to_owned(),
        Kind::Str(text) if is_literal(text) => literal(text, indent),
        Kind::Str(text) => quoted(text),
        Kind::Sequence => "[]".to_owned(),
        Kind::Mapping => "{}".to_owned(),
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    format!("{value:?}")
}

/// Whether a text may stand without quotes.
fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let second = chars.next();
    let opens = match first {
        '-' | '?' | ':' => second.is_none_or(char::is_whitespace),
        _ => ",[]{}#&*!|>'\"%@`=".contains(first),
    };
    !opens
        && !is_misread(text)
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.starts_with("<<")
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text of several lines may be a literal block.
fn is_literal(text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    text.contains('\n')
        && !first.is_empty()
        && !text.lines().any(|line| line.starts_with([' ', '\t']) && line.trim().is_empty())
        && !first.starts_with([' ', '\t'])
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

fn literal(text: &str, indent: usize) -> String {
    let chomp = match text.strip_suffix('\n') {
        None => "-",
        Some(rest) if rest.ends_with('\n') => "+",
        Some(_) => "",
    };
    let mut out = format!("|{chomp}");
    let body = text.strip_suffix('\n').unwrap_or(text);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
    }
    out
}

/// In double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c => write!(out, "\\U{:08x}", u32::from(c)).expect("writing to a string"),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Diagnostics, ParseOptions, Sources, parse};
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn blocks_and_quotes() {
        let value = json!({
            "args": ["--port=80", "-v", "- x", "a: b", "a #b", "#x", "*", "x:"],
            "empty": [[], {}, "", null],
            "nested": [[1, [2]], {"a": [{"b": 1}], "c": "d"}],
            "text": "one\n  two\n\nthree\n",
            "words": ["yes", "0644", "1.10", "1:20", "null", "~", "no", "v1", "500m", "é", "\u{1}"],
        });
        let expected = "\
args:
- --port=80
- -v
- \"- x\"
- \"a: b\"
- \"a #b\"
- \"#x\"
- \"*\"
- \"x:\"
empty:
- []
- {}
- \"\"
- null
nested:
- - 1
  - - 2
- a:
  - b: 1
  c: d
text: |
  one
    two

  three
words:
- \"yes\"
- \"0644\"
- \"1.10\"
- \"1:20\"
- \"null\"
- \"~\"
- \"no\"
- v1
- 500m
- é
- \"\\U00000001\"
";
        assert_eq!(json_to_yaml(&value), expected);
        assert_eq!(read(expected), value);
    }

    fn read(text: &str) -> Json {
        let mut sources = Sources::new();
        let file = sources.add("f", text);
        let mut found = Diagnostics::new();
        let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
        assert!(found.is_empty(), "{text}\n{:?}", found.lines(&sources));
        documents.first().map_or(Json::Null, |document| document.tree.root().to_json())
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{0,6}",
            "[-?:,\\[\\]{}#&*!|>'\"%@`~=<. \t\n0-9a-z]{0,12}",
            any::<String>(),
            Just("---\n".to_owned()),
            "( ?[a-z#-]{0,3}\n){0,4}[a-z ]{0,3}",
        ]
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>()
                .prop_filter("whole floats become integers", |f| f.is_finite() && f.fract() != 0.0)
                .prop_map(Json::from),
            any_text().prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::btree_map(any_text(), inner, 0..5)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in any_json()) {
            prop_assert_eq!(read(&json_to_yaml(&value)), value.clone());
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(read(&json), value);
        }
    }
}
