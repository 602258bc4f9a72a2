//! Reading JSON values without any assumption: what is absent or of another type is nothing.

use serde_json::{Map, Value};

use crate::base::{Duration, IntOrString, Quantity};

static EMPTY: &str = "";

/// A text, or the empty one.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or(EMPTY)
}

/// The items of a list, or none.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The entries of a mapping, or none.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// Whether something is there that is not null.
pub(super) fn is_set(value: &Value) -> bool {
    !value.is_null()
}

/// A whole number that is not negative, cut to the range.
pub(super) fn count(value: &Value) -> Option<u32> {
    let value = value.as_i64()?.max(0);
    Some(u32::try_from(value).unwrap_or(u32::MAX))
}

/// Whole seconds; below zero none, cut to the range of a span.
pub(super) fn seconds(value: &Value) -> Option<Duration> {
    const MAX: u64 = u64::MAX / 1_000_000_000;
    let secs = u64::try_from(value.as_i64()?.max(0)).unwrap_or(0);
    Some(Duration::secs(secs.min(MAX)))
}

/// A port number.
pub(super) fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok())
}

/// A quantity: a text, or a number as YAML has it.
pub(super) fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}

/// A count or a percentage.
pub(super) fn int_or_string(value: &Value) -> Option<IntOrString> {
    match value {
        Value::String(text) => Some(IntOrString::Text(text.as_str().into())),
        Value::Number(number) => number.as_i64().map(IntOrString::Int),
        _ => None,
    }
}

/// Sets what is not there.
pub(super) fn default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    if !map.get(key).is_some_and(is_set) {
        map.insert(key.to_owned(), value.into());
    }
}

/// A mapping below a mapping, to be changed.
pub(super) fn map_mut<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key)?.as_object_mut()
}

/// The mappings of a list below a mapping, to be changed.
pub(super) fn maps_mut<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = map.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Through several keys to a mapping, to be changed.
pub(super) fn deep_mut<'a>(
    value: &'a mut Value,
    keys: &[&str],
) -> Option<&'a mut Map<String, Value>> {
    keys.iter().try_fold(value.as_object_mut()?, |map, key| map_mut(map, key))
}
