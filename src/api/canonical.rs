//! Objects as Go keeps them once they are decoded: what is null is not set, quantities are texts.

use serde_json::{Map, Value};

use super::kinds::Kind;
use super::read::quantity;
use super::schema::{Shape, common_field, type_name, type_of};

/// Brings an object to its form after decoding. What has the wrong type stays as it is.
pub(super) fn canonical(kind: Kind, object: &mut Value) {
    let name = type_name(kind, object);
    walk(&Shape::Object(name), object);
}

fn walk(shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Type(name), Value::Object(map)) => fields(name, false, map),
        (Shape::Object(name), Value::Object(map)) => fields(name, true, map),
        (Shape::List(item), Value::Array(list)) => {
            for value in list {
                zero(item, value);
                walk(item, value);
            }
        }
        (Shape::Map(item), Value::Object(map)) => {
            for (_, value) in map {
                zero(item, value);
                walk(item, value);
            }
        }
        (Shape::Quantity, value) => {
            if let Some(quantity) = quantity(value) {
                *value = quantity.to_string().into();
            }
        }
        (Shape::Any, value) => prune(value),
        _ => {}
    }
}

fn fields(name: &str, is_object: bool, map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    for (key, value) in map {
        let common = is_object.then(|| common_field(key)).flatten();
        if let Some(shape) = common.as_ref().or(type_of(name).field(key).map(|field| &field.shape))
        {
            walk(shape, value);
        }
    }
}

/// In a list or a map a null is the zero of the type.
fn zero(shape: &Shape, value: &mut Value) {
    if value.is_null() {
        *value = match shape {
            Shape::Text(_) | Shape::Bytes => "".into(),
            Shape::Quantity => "0".into(),
            Shape::Int | Shape::Long | Shape::IntOrText => 0.into(),
            Shape::Bool => false.into(),
            Shape::Type(_) | Shape::Object(_) => Map::new().into(),
            Shape::Time | Shape::Any | Shape::List(_) | Shape::Map(_) => Value::Null,
        };
    }
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(prune);
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nulls_and_quantities() {
        let mut pod = json!({
            "metadata": { "labels": { "a": null }, "annotations": null },
            "spec": { "containers": [null, { "resources": { "requests": { "cpu": 0.5 } } }] },
            "status": { "a": [{ "b": null }] },
        });
        canonical(Kind::Pod, &mut pod);
        let expected = json!({
            "metadata": { "labels": { "a": "" } },
            "spec": { "containers": [{}, { "resources": { "requests": { "cpu": "500m" } } }] },
            "status": { "a": [{}] },
        });
        assert_eq!(pod, expected);
    }
}
