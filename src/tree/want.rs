//! Values of a type that the reader insists on; anything else is reported.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::value::Value;

/// Each gives `None` after reporting `expected a string, found a list` at the value.
impl<'t> Value<'t> {
    /// A string.
    pub fn want_str(self, found: &mut Diagnostics) -> Option<&'t str> {
        let text = self.as_str();
        if text.is_none() {
            let scalar = !(self.is_mapping() || self.is_sequence() || self.is_null());
            let hint = || format!("quote it: \"{}\"", self.written());
            self.refuse("a string", scalar.then(hint), found);
        }
        text
    }

    /// A whole number.
    pub fn want_i64(self, found: &mut Diagnostics) -> Option<i64> {
        let number = self.as_i64();
        if number.is_none() {
            self.refuse("an integer", None, found);
        }
        number
    }

    /// A number.
    pub fn want_f64(self, found: &mut Diagnostics) -> Option<f64> {
        let number = self.as_f64();
        if number.is_none() {
            self.refuse("a number", None, found);
        }
        number
    }

    /// A truth value.
    pub fn want_bool(self, found: &mut Diagnostics) -> Option<bool> {
        let truth = self.as_bool();
        if truth.is_none() {
            self.refuse("a boolean", None, found);
        }
        truth
    }

    /// A list.
    pub fn want_sequence(self, found: &mut Diagnostics) -> Option<Self> {
        if self.is_sequence() {
            return Some(self);
        }
        self.refuse("a list", None, found);
        None
    }

    /// A mapping.
    pub fn want_mapping(self, found: &mut Diagnostics) -> Option<Self> {
        if self.is_mapping() {
            return Some(self);
        }
        self.refuse("a mapping", None, found);
        None
    }

    fn refuse(self, wanted: &str, hint: Option<String>, found: &mut Diagnostics) {
        let message = format!("expected {wanted}, found {}", self.kind_name());
        let diagnostic = Diagnostic::error(self.span(), message);
        found.push(match hint {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::{Diagnostics, ParseOptions, Sources, parse};

    #[test]
    fn what_is_wanted_or_an_error_at_the_value() {
        let mut sources = Sources::new();
        let file = sources.add("f", "s: x\ni: 1\nb: yes\nl: []\nm: {}\n");
        let mut found = Diagnostics::new();
        let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
        let root = documents[0].tree.root();
        let get = |key| root.get(key).unwrap();
        assert_eq!(get("s").want_str(&mut found), Some("x"));
        assert_eq!(get("i").want_i64(&mut found), Some(1));
        assert_eq!(get("i").want_f64(&mut found), Some(1.0));
        assert_eq!(get("b").want_bool(&mut found), Some(true));
        assert!(get("l").want_sequence(&mut found).is_some());
        assert!(get("m").want_mapping(&mut found).is_some());
        assert!(found.is_empty());
        assert_eq!(get("b").want_str(&mut found), None);
        assert_eq!(get("m").want_i64(&mut found), None);
        assert_eq!(get("s").want_f64(&mut found), None);
        assert_eq!(get("i").want_bool(&mut found), None);
        assert!(get("m").want_sequence(&mut found).is_none());
        assert!(get("l").want_mapping(&mut found).is_none());
        assert_eq!(
            found.lines(&sources),
            [
                "f:1:4: error: expected a number, found a string",
                "f:2:4: error: expected a boolean, found an integer",
                "f:3:4: error: expected a string, found a boolean",
                "f:4:1: error: expected a mapping, found a list",
                "f:5:1: error: expected a list, found a mapping",
                "f:5:1: error: expected an integer, found a mapping",
            ]
        );
    }
}
