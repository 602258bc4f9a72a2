//! The value of the label `pod-template-hash`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::base::cast;
use crate::record::ALPHABET;

/// A hash of a template tree that does not depend on the order of its keys, spelled in the
/// alphabet of generated names. `collisions` chooses another value for the same template.
///
/// Source: kubernetes v1.36.3 pkg/controller/controller_utils.go `ComputeHash` (FNV-1a, 32 bits),
/// apimachinery/pkg/util/rand/rand.go `SafeEncodeString` (rule C27). Differs: the text that is
/// hashed is canonical JSON and not a dump of Go's memory, so the values are others.
#[must_use]
pub fn template_hash(template: &Value, collisions: Option<u32>) -> String {
    let mut hash = Fnv(0x811c_9dc5);
    hash.tree(template);
    if let Some(collisions) = collisions {
        hash.bytes(&u64::from(collisions).to_le_bytes());
    }
    let letter = |c: u8| char::from(ALPHABET[usize::from(c) % ALPHABET.len()]);
    hash.0.to_string().bytes().map(letter).collect()
}

struct Fnv(u32);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    fn tree(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                self.bytes(b"{");
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                for (key, value) in entries {
                    self.text(key);
                    self.bytes(b":");
                    self.tree(value);
                }
                self.bytes(b"}");
            }
            Value::Array(items) => {
                self.bytes(b"[");
                for item in items {
                    self.tree(item);
                    self.bytes(b",");
                }
                self.bytes(b"]");
            }
            Value::String(text) => self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                let mut text = String::new();
                write!(text, "{value}").expect("a string takes all");
                self.bytes(text.as_bytes());
            }
        }
    }

    /// Text with its length before it, so that no two trees read alike.
    fn text(&mut self, text: &str) {
        self.bytes(&cast::u64_of(text.len()).to_le_bytes());
        self.bytes(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":["x",null]}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b":["x",null],"a":1}"#).unwrap();
        assert_eq!(template_hash(&one, None), template_hash(&two, None));
        assert_ne!(template_hash(&one, None), template_hash(&one, Some(1)));
        assert_ne!(template_hash(&json!(["a", "b"]), None), template_hash(&json!(["ab"]), None));
    }

    #[test]
    fn a_digit_is_always_the_same_letter() {
        // '0' is 48 and 48 mod 27 = 21: the letter after 20 others is '4'; '9' is 57, so 3: 'f'.
        let text = template_hash(&json!({}), None);
        assert!(text.bytes().all(|c| b"bcdf456789".contains(&c)), "{text}");
    }
}
