//! A recorded case, as it is read.

use serde_json::{Map, Value};

/// A case with what every part asks of it.
pub(crate) struct Case<'a> {
    pub(crate) value: &'a Value,
    /// Operations by time, each with its place in the list.
    pub(crate) ops: Vec<(usize, &'a Value)>,
    pub(crate) horizon: u64,
    pub(crate) grid: u64,
    /// In which order nodes get a taint that wait for it equally long.
    pub(crate) turns: Vec<u32>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        let mut ops: Vec<_> = list(&value["ops"]).iter().enumerate().collect();
        ops.sort_by_key(|(_, op)| ms(&op["t"]));
        let grid = ms(&value["grid_ms"]).max(1);
        Self { value, ops, horizon: ms(&value["horizon_ms"]), grid, turns: Vec::new() }
    }

    pub(crate) fn has_pods(&self) -> bool {
        self.value["pods_recorded"] == true
    }

    /// The recorded timelines: one, or one a run.
    pub(crate) fn timelines(&self) -> Vec<&'a Value> {
        match &self.value["outcomes"] {
            Value::Array(runs) => runs.iter().collect(),
            _ => vec![&self.value["timeline"]],
        }
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn ms(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// JSON merge patch.
pub(crate) fn merge(to: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        return to.clone_from(patch);
    };
    if !to.is_object() {
        *to = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            to.as_object_mut().expect("an object").remove(key);
        } else {
            merge(&mut to[key.as_str()], value);
        }
    }
}
