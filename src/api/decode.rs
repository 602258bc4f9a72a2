//! Strict decoding of an object, with the errors that Go's decoder gives.
//!
//! Source: sigs.k8s.io/json v0.0.0-20250730193827 internal/golang/encoding/json/decode.go,
//! kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json/json.go
//! (recorded). A value of the wrong type is remembered and the decoder goes on; a value that its
//! own reader refuses (a quantity, a time) ends it at once. Differs: where the table has no type
//! (status of most kinds) anything is taken; names of types beyond the table are those of the table.

use serde_json::Value;

use super::kinds::Kind;
use super::schema::{Shape, common_field, type_name, type_of};
use super::strategy::Decoded;
use crate::base::{Quantity, Timestamp};

/// Decodes an object of a kind.
pub(super) fn decode(kind: Kind, object: &Value) -> Decoded {
    let shape = Shape::Object(type_name(kind, object));
    let mut reader = Reader { steps: Vec::new(), owner: "", saved: None, strict: Vec::new() };
    let ended = reader.value(&shape, object).err();
    Decoded { error: ended.or(reader.saved), strict: reader.strict }
}

/// A step into the object.
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

struct Reader<'a> {
    steps: Vec<Step<'a>>,
    /// The type that holds the field that is read.
    owner: &'static str,
    saved: Option<String>,
    strict: Vec<String>,
}

impl<'a> Reader<'a> {
    /// An error ends the reading.
    fn value(&mut self, shape: &Shape, value: &'a Value) -> Result<(), String> {
        match (shape, value) {
            (_, Value::Null) | (Shape::Any, _) => {}
            (Shape::Quantity, value) => return quantity(value),
            (Shape::Time, value) => return self.time(value),
            (Shape::List(item), Value::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    self.inside(Step::Index(index), item, value)?;
                }
            }
            (Shape::Map(item), Value::Object(map)) => {
                for (key, value) in map {
                    self.inside(Step::Key(key), item, value)?;
                }
            }
            (Shape::Type(name) | Shape::Object(name), Value::Object(map)) => {
                let before = std::mem::replace(&mut self.owner, go_type(name));
                let is_object = matches!(shape, Shape::Object(_));
                for (key, value) in map {
                    let common = is_object.then(|| common_field(key)).flatten();
                    match common.as_ref().or(type_of(name).field(key).map(|field| &field.shape)) {
                        Some(shape) => self.inside(Step::Field(key), shape, value)?,
                        None => self.unknown(key),
                    }
                }
                self.owner = before;
            }
            (Shape::Bytes, Value::String(text)) => {
                if let Some(at) = wrong_base64(text) {
                    let error = format!("illegal base64 data at input byte {at}");
                    self.saved.get_or_insert(error);
                }
            }
            (shape, value) => self.scalar(shape, value),
        }
        Ok(())
    }

    fn inside(&mut self, step: Step<'a>, shape: &Shape, value: &'a Value) -> Result<(), String> {
        self.steps.push(step);
        let ended = self.value(shape, value);
        self.steps.pop();
        ended
    }

    fn scalar(&mut self, shape: &Shape, value: &Value) {
        let whole = |number: &serde_json::Number, wide: bool| {
            number.as_i64().is_some_and(|n| wide || i32::try_from(n).is_ok())
        };
        let fits = match (shape, value) {
            (Shape::Text(_), Value::String(_)) | (Shape::Bool, Value::Bool(_)) => true,
            (Shape::IntOrText, Value::String(_)) => true,
            (Shape::Int | Shape::IntOrText, Value::Number(number)) => whole(number, false),
            (Shape::Long, Value::Number(number)) => whole(number, true),
            _ => false,
        };
        if !fits {
            let error = self.wrong_type(shape, value);
            self.saved.get_or_insert(error);
        }
    }

    fn time(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::String(text) => {
                Timestamp::parse(text).map(|_| ()).map_err(|error| error.to_string())
            }
            _ => Err(self.wrong_type(&Shape::Text(""), value)),
        }
    }

    fn wrong_type(&self, shape: &Shape, value: &Value) -> String {
        let number = matches!(shape, Shape::Int | Shape::Long | Shape::IntOrText);
        let given = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(text) if number => format!("number {text}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let fields: Vec<&str> = self.steps.iter().filter_map(Step::field).collect();
        let place = match fields.as_slice() {
            [] => String::new(),
            fields => format!("Go struct field {}.{} of type ", self.owner, fields.join(".")),
        };
        let place = if place.is_empty() { "Go value of type ".to_owned() } else { place };
        format!("json: cannot unmarshal {given} into {place}{}", go_name(shape))
    }

    fn unknown(&mut self, key: &str) {
        use std::fmt::Write as _;
        let mut path = String::new();
        for step in &self.steps {
            let written = match step {
                Step::Field(name) | Step::Key(name) if path.is_empty() => path.write_str(name),
                Step::Field(name) | Step::Key(name) => write!(path, ".{name}"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
            written.expect("a string takes any text");
        }
        let dot = if path.is_empty() { "" } else { "." };
        self.strict.push(format!("unknown field \"{path}{dot}{key}\""));
    }
}

impl Step<'_> {
    const fn field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Index(_) | Self::Key(_) => None,
        }
    }
}

fn quantity(value: &Value) -> Result<(), String> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Quantity::parse(&text).map(|_| ()).map_err(|error| error.to_string())
}

/// The first byte that is none of base 64.
fn wrong_base64(text: &str) -> Option<usize> {
    let bytes: Vec<(usize, u8)> =
        text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\n' | b'\r')).collect();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = bytes.iter().take_while(|(_, byte)| is_digit(*byte)).count();
    let padding = bytes[digits..].iter().take_while(|(_, byte)| *byte == b'=').count();
    let rest = bytes.get(digits + padding);
    match (digits % 4, padding, rest) {
        (0, 0, None) | (2, 2, None) | (3, 1, None) => None,
        (_, 0, Some((at, _))) | (0 | 1, 1.., Some((at, _))) => Some(*at),
        (2, 2, Some((at, _))) | (3, 1, Some((at, _))) => Some(*at),
        // Go tells the place behind what it has read, else the length of what it has read.
        (_, 0, None) => Some(text.len()),
        (_, _, _) => bytes.get(digits).map(|(at, _)| *at),
    }
}

fn go_type(name: &'static str) -> &'static str {
    name.strip_suffix("V1").unwrap_or(name)
}

/// A type as Go's reflection writes it.
fn go_name(shape: &Shape) -> String {
    match shape {
        Shape::Text("") => "string".to_owned(),
        Shape::Text(name) if name.contains('.') => (*name).to_owned(),
        Shape::Text(name) => format!("v1.{name}"),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::Time => "v1.Time".to_owned(),
        Shape::Int | Shape::IntOrText => "int32".to_owned(),
        Shape::Long => "int64".to_owned(),
        Shape::Bool => "bool".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::Any => "interface {}".to_owned(),
        Shape::List(item) => format!("[]{}", go_name(item)),
        Shape::Map(item) if matches!(**item, Shape::Quantity) => "v1.ResourceList".to_owned(),
        Shape::Map(item) => format!("map[string]{}", go_name(item)),
        Shape::Type(name) | Shape::Object(name) => {
            format!("{}.{}", type_of(name).package, go_type(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(object: &Value) -> String {
        decode(Kind::Pod, object).error.unwrap_or_default()
    }

    #[test]
    fn errors_are_those_of_go() {
        assert_eq!(
            error(&json!({ "spec": { "containers": [{ "command": "a" }] } })),
            "json: cannot unmarshal string into Go struct field Container.spec.containers.command of \
             type []string"
        );
        assert_eq!(
            error(&json!({ "metadata": { "labels": { "a": 1 } } })),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type \
             string"
        );
        let both = json!({
            "metadata": { "name": 1 },
            "spec": { "containers": [{ "resources": { "limits": { "cpu": "x" } } }] },
        });
        assert!(error(&both).starts_with("quantities must match"), "what ends it is told");
    }

    #[test]
    fn unknown_fields_by_path() {
        let pod = json!({ "speck": 1, "spec": { "containers": [{ "cmd": [] }] } });
        let decoded = decode(Kind::Pod, &pod);
        assert_eq!(
            decoded.strict,
            ["unknown field \"spec.containers[0].cmd\"", "unknown field \"speck\""]
        );
        assert_eq!(decoded.error, None);
    }

    #[test]
    fn base_64() {
        for fine in ["", "YQ==", "YWI=", "YWJj", "YW\nJj"] {
            assert_eq!(wrong_base64(fine), None, "{fine}");
        }
        assert_eq!(wrong_base64("!!"), Some(0));
        assert_eq!(wrong_base64("not base64"), Some(3));
    }
}
