//! The field table, and objects checked against it.
//!
//! Differs from strict decoding in the API server: all findings are reported, not the first; whole
//! numbers that YAML writes as `1.0` pass.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::kinds::Kind;
use super::problem::{At, Found, Reason};
use super::read::{is_set, text};
use crate::base::{Quantity, Timestamp};
use crate::tree::closest;

/// What a simulation makes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldClass {
    Modelled,
    Irrelevant,
    NotModelled,
}

#[derive(Clone)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    class: FieldClass,
    /// Of a field that is not modelled: the only value that matters.
    value: Option<&'static str>,
    /// What is done instead of modelling it.
    instead: &'static str,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A text, with the name of its type in Go where it has one.
    Text(&'static str),
    /// Bytes in base 64.
    Bytes,
    Time,
    Int,
    Long,
    Bool,
    Quantity,
    IntOrText,
    Any,
    List(Box<Self>),
    Map(Box<Self>),
    Type(&'static str),
    /// An object with `apiVersion`, `kind` and `metadata` of its own.
    Object(&'static str),
}

/// A type of the table.
#[derive(Clone, Default)]
pub(super) struct Type {
    /// The package of Go, such as `v1`.
    pub(super) package: &'static str,
    pub(super) fields: Vec<Field>,
}

impl Type {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

type Types = BTreeMap<&'static str, Type>;

/// Parsed once; it never changes.
static TYPES: OnceLock<Types> = OnceLock::new();

/// The type of a name; of an unknown name one without fields.
pub(super) fn type_of(name: &str) -> &'static Type {
    static NONE: Type = Type { package: "v1", fields: Vec::new() };
    types().get(name).unwrap_or(&NONE)
}

fn types() -> &'static Types {
    TYPES.get_or_init(|| parse(include_str!("fields.txt")))
}

fn parse(table: &'static str) -> Types {
    let mut types = Types::new();
    let mut current: &'static str = "";
    let (mut package, mut same) = ("v1", Vec::new());
    for line in table.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('@') {
            package = name.trim();
            continue;
        }
        if let Some((name, other)) = line.split_once(" = ").filter(|_| !line.starts_with(' ')) {
            same.push((name, other.trim()));
            continue;
        }
        if !line.starts_with(' ') {
            current = line.trim();
            types.insert(current, Type { package, fields: Vec::new() });
            continue;
        }
        let (sign, rest) = line.trim().split_at(1);
        let class = match sign {
            "+" => FieldClass::Modelled,
            "!" => FieldClass::NotModelled,
            _ => FieldClass::Irrelevant,
        };
        let (fields, instead) = rest.split_once('#').unwrap_or((rest, ""));
        let fields = fields.split_whitespace().map(|field| {
            let (name, shape) = field.split_once(':').expect("a field of the table has a type");
            let (shape, value) = match shape.split_once('=') {
                Some((shape, value)) => (shape, Some(value)),
                None => (shape, None),
            };
            Field { name, shape: Shape::parse(shape), class, value, instead: instead.trim() }
        });
        types.get_mut(current).expect("fields stand below a type").fields.extend(fields);
    }
    for (name, other) in same {
        let other = types.get(other).cloned().unwrap_or_default();
        types.insert(name, other);
    }
    types
}

impl Shape {
    fn parse(text: &'static str) -> Self {
        let inner = |start, end| text.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        if let Some(item) = inner('[', ']') {
            return Self::List(Box::new(Self::parse(item)));
        }
        if let Some(value) = inner('{', '}') {
            return Self::Map(Box::new(Self::parse(value)));
        }
        if let Some(name) = text.strip_prefix("str/") {
            return Self::Text(name);
        }
        if let Some(name) = text.strip_prefix("obj/") {
            return Self::Object(name);
        }
        match text {
            "str" => Self::Text(""),
            "bytes" => Self::Bytes,
            "time" => Self::Time,
            "int" => Self::Int,
            "long" => Self::Long,
            "bool" => Self::Bool,
            "qty" => Self::Quantity,
            "ios" => Self::IntOrText,
            "any" => Self::Any,
            name => Self::Type(name),
        }
    }

    const fn wanted(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Bytes => "a string",
            Self::Time => "a time such as 2026-01-05T00:00:00Z",
            Self::Int | Self::Long => "an integer",
            Self::Bool => "true or false",
            Self::Quantity => "a quantity",
            Self::IntOrText => "an integer or a string",
            Self::Any => "anything",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Type(_) | Self::Object(_) => "a mapping",
        }
    }
}

/// Checks the fields of an object as it is written: names, types, and what is not modelled.
pub(super) fn check(kind: Kind, object: &Value, found: &mut Found) {
    walk(&Shape::Object(type_name(kind, object)), object, &At::ROOT, found);
}

/// The type of an object of a kind.
pub(super) fn type_name(kind: Kind, object: &Value) -> &'static str {
    let first_version = text(&object["apiVersion"]) == "autoscaling/v1";
    match kind {
        Kind::HorizontalPodAutoscaler if first_version => "HorizontalPodAutoscalerV1",
        _ => kind.name(),
    }
}

/// The fields that every object has.
pub(super) fn common_field(key: &str) -> Option<Shape> {
    match key {
        "apiVersion" | "kind" => Some(Shape::Text("")),
        "metadata" => Some(Shape::Type("ObjectMeta")),
        _ => None,
    }
}

/// Checks a value against a type of the table.
pub(super) fn check_type(name: &'static str, value: &Value, at: &At<'_>, found: &mut Found) {
    walk(&Shape::Type(name), value, at, found);
}

/// The name of a type of the table, if it is one.
pub(super) fn type_named(name: &str) -> Option<&'static str> {
    types().get_key_value(name).map(|(name, _)| *name)
}

fn check_field(
    key: &str,
    value: &Value,
    fields: &[Field],
    common: &[&str],
    at: &At<'_>,
    found: &mut Found,
) {
    let Some(field) = fields.iter().find(|field| field.name == key) else {
        let known = fields.iter().map(|field| field.name).chain(common.iter().copied());
        let known: Vec<&str> = known.collect();
        unknown(key, &known, at, found);
        return;
    };
    if field.class == FieldClass::NotModelled && matters(field, value) {
        let given = field.value.map_or_else(String::new, |value| format!(" {value}"));
        let message = format!("{}{given} is not modelled: {}", field.name, field.instead);
        found.add(at, Reason::NotModelled, message);
    }
    walk(&field.shape, value, at, found);
}

fn matters(field: &Field, value: &Value) -> bool {
    match (field.value, value) {
        (Some(only), _) => value == only,
        (None, Value::Array(list)) => !list.is_empty(),
        (None, Value::String(text)) => !text.is_empty(),
        (None, _) => is_set(value),
    }
}

fn unknown(key: &str, known: &[&str], at: &At<'_>, found: &mut Found) {
    let close = closest(key, known.iter().copied());
    let hint = match close {
        Some(close) => format!("did you mean \"{close}\"?"),
        None if known.len() <= 12 => format!("known here: {}", known.join(", ")),
        None => "Kubernetes 1.36 has no such field here".to_owned(),
    };
    let message = format!("unknown field \"{key}\"");
    found.add(at, Reason::UnknownField, message).hint = Some(hint);
}

/// Checks a value against its shape; the depth is that of the table.
fn walk(shape: &Shape, value: &Value, at: &At<'_>, found: &mut Found) {
    let fits = match (shape, value) {
        (_, Value::Null) | (Shape::Any, _) => true,
        (Shape::Text(_) | Shape::Bytes, value) => value.is_string(),
        (Shape::Time, value) => value.as_str().is_some_and(|text| Timestamp::parse(text).is_ok()),
        (Shape::Int, value) => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        (Shape::Long, value) => value.is_i64(),
        (Shape::Bool, value) => value.is_boolean(),
        (Shape::IntOrText, value) => {
            value.is_string() || value.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
        }
        (Shape::Quantity, value) => return check_quantity(value, at, found),
        (Shape::List(item), Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                walk(item, value, &at.index(index), found);
            }
            true
        }
        (Shape::Map(inner), Value::Object(map)) => {
            for (key, value) in map {
                walk(inner, value, &at.key(key), found);
            }
            true
        }
        (Shape::Type(name), Value::Object(map)) => {
            let fields = &type_of(name).fields;
            for (key, value) in map {
                check_field(key, value, fields, &[], &at.field(key), found);
            }
            true
        }
        (Shape::Object(name), Value::Object(map)) => {
            let fields = &type_of(name).fields;
            for (key, value) in map {
                let at = at.field(key);
                match common_field(key) {
                    Some(shape) => walk(&shape, value, &at, found),
                    None => {
                        let common = ["apiVersion", "kind", "metadata"];
                        check_field(key, value, fields, &common, &at, found);
                    }
                }
            }
            true
        }
        _ => false,
    };
    if !fits {
        wrong_type(shape, value, at, found);
    }
}

fn check_quantity(value: &Value, at: &At<'_>, found: &mut Found) {
    let parsed = match value {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => return wrong_type(&Shape::Quantity, value, at, found),
    };
    if let Err(error) = parsed {
        let problem = found.add(at, Reason::Type, format!("{value} is no quantity: {error}"));
        problem.hint = quantity_hint(text(value));
    }
}

/// What people write when they mean a quantity.
fn quantity_hint(text: &str) -> Option<String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
    let unit = text.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let unit = match unit.to_lowercase().as_str() {
        "gb" => "G",
        "mb" => "M",
        "kb" => "k",
        "gib" => "Gi",
        "mib" => "Mi",
        "kib" => "Ki",
        _ if text.contains(' ') => unit,
        _ => return None,
    };
    Some(format!("write {number}{unit}"))
}

fn wrong_type(shape: &Shape, value: &Value, at: &At<'_>, found: &mut Found) {
    let (wanted, given) = (shape.wanted(), described(value));
    let whole = matches!(shape, Shape::Int | Shape::Long | Shape::IntOrText);
    if whole && value.is_number() && !value.is_f64() {
        let bits = if matches!(shape, Shape::Long) { 64 } else { 32 };
        let message = format!("expected {wanted} of {bits} bits, found {given}");
        found.add(at, Reason::Type, message);
        return;
    }
    let problem = found.add(at, Reason::Type, format!("expected {wanted}, found {given}"));
    let scalar = value.is_number() || value.is_boolean();
    problem.hint = match (shape, value) {
        (Shape::Text(_), _) if scalar => Some(format!("write it in quotes: \"{value}\"")),
        (Shape::Int | Shape::Long, Value::String(text)) if text.trim().parse::<i64>().is_ok() => {
            Some(format!("write it without quotes: {}", text.trim()))
        }
        (Shape::Bool, Value::String(text)) => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" => Some("write true".to_owned()),
            "no" | "off" | "false" => Some("write false".to_owned()),
            _ => None,
        },
        (Shape::List(_), _) if !value.is_array() => {
            Some("put a dash in front: this field holds a list".to_owned())
        }
        _ => None,
    };
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) if number.is_f64() => format!("the number {number}"),
        Value::Number(number) => format!("the integer {number}"),
        Value::String(text) if text.chars().count() > 40 => "a string".to_owned(),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(kind: Kind, object: &Value) -> Vec<String> {
        let mut found = Found::default();
        check(kind, object, &mut found);
        let line = |problem: &super::super::Problem| {
            let hint = problem.hint.as_deref().map_or(String::new(), |hint| format!(" ({hint})"));
            format!("{problem}{hint}")
        };
        found.0.iter().map(line).collect()
    }

    #[test]
    fn each_named_type_is_there() {
        fn named(shape: &Shape) -> Option<&'static str> {
            match shape {
                Shape::List(inner) | Shape::Map(inner) => named(inner),
                Shape::Type(name) | Shape::Object(name) => Some(name),
                _ => None,
            }
        }
        for (owner, Type { fields, .. }) in types() {
            for field in fields {
                let name = named(&field.shape);
                let there = name.is_none_or(|name| types().contains_key(name));
                assert!(there, "{owner}.{}: no type {name:?}", field.name);
                let twice = fields.iter().filter(|other| other.name == field.name).count();
                assert_eq!(twice, 1, "{owner}.{}", field.name);
                let told = field.class != FieldClass::NotModelled || !field.instead.is_empty();
                assert!(told, "{owner}.{} says nothing", field.name);
            }
        }
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_named() {
        let pod = json!({
            "spce": {},
            "spec": {
                "containers": [{ "imagee": "a", "ports": [{ "containerPort": "80" }] }],
                "restartPolicy": true,
                "hostNetwork": "yes",
                "priority": 3_000_000_000_u64,
                "nodeSelector": { "a": 1 },
                "volumes": {},
            },
        });
        assert_eq!(
            lines(Kind::Pod, &pod),
            [
                "spce: unknown field \"spce\" (did you mean \"spec\"?)",
                "spec.containers[0].imagee: unknown field \"imagee\" (did you mean \"image\"?)",
                "spec.containers[0].ports[0].containerPort: expected an integer, found the string \
                 \"80\" (write it without quotes: 80)",
                "spec.hostNetwork: expected true or false, found the string \"yes\" (write true)",
                "spec.nodeSelector[a]: expected a string, found the integer 1 (write it in quotes: \"1\")",
                "spec.priority: expected an integer of 32 bits, found the integer 3000000000",
                "spec.restartPolicy: expected a string, found the boolean true (write it in quotes: \
                 \"true\")",
                "spec.volumes: expected a list, found a mapping (put a dash in front: this field \
                 holds a list)",
            ]
        );
    }

    #[test]
    fn what_is_not_modelled_is_named_when_it_matters() {
        let deployment = |policy| json!({ "spec": { "podReplacementPolicy": policy } });
        assert_eq!(lines(Kind::Deployment, &deployment("TerminationStarted")), [""; 0]);
        assert_eq!(
            lines(Kind::Deployment, &deployment("TerminationComplete")),
            ["spec.podReplacementPolicy: podReplacementPolicy TerminationComplete is not \
                 modelled: pods are replaced as soon as they begin to end"]
        );
        let pod = json!({ "spec": { "affinity": { "podAffinity": null }, "resourceClaims": [] } });
        assert_eq!(lines(Kind::Pod, &pod), [""; 0]);
    }

    #[test]
    fn quantities_are_read() {
        let node = json!({ "status": { "capacity": { "cpu": 4, "memory": "16GB", "pods": [] } } });
        let found = lines(Kind::Node, &node);
        assert!(found[0].starts_with("status.capacity[memory]: \"16GB\" is no quantity: "));
        assert!(found[0].ends_with("(write 16G)"), "{}", found[0]);
        assert_eq!(found[1], "status.capacity[pods]: expected a quantity, found a list");
    }
}
