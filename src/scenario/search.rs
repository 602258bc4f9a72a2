//! `search`: the values that are open, for `seatrial advise`.
//!
//! ```text
//! cluster.nodes[pool=workers].count: 4..10
//! hpa/api:spec.metrics[0].resource.target.averageUtilization: [50, 60, 70]
//! ```

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::tree::Diagnostics;

use super::file::ScenarioFile;
use super::units::Amount;

/// Values of one range at most: more are a slip of the pen.
const VALUES_MAX: usize = 1000;

/// A path with the values that it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// As of `--set`: a path of the scenario, or `KIND/NAME:path` of an object.
    pub path: String,
    /// Its values as YAML, in the order of the file; none twice.
    pub values: Vec<String>,
}

/// The values of a knob as written: a list, or a range `4..10` or `50..90 step 10`.
#[derive(Clone, Debug)]
pub struct Values(Vec<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values such as [50, 60], or a range such as 4..10 or 50..90 step 10")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Values, E> {
        range(text).map(Values).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Values, A::Error> {
        let mut values = Vec::new();
        while let Some(Amount(value)) = items.next_element()? {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        match values.is_empty() {
            true => Err(de::Error::custom("a list without values leaves nothing to try")),
            false => Ok(Values(values)),
        }
    }
}

impl JsonSchema for Values {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a list of values, or a range of whole numbers: 4..10, 50..90 step 10",
            "anyOf": [
                { "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] } },
                { "type": "string" },
            ],
            "examples": ["4..10", ["25%", "50%"]],
        })
    }
}

/// The values of `4..10` or `50..90 step 10`: whole numbers, both ends included.
fn range(text: &str) -> Result<Vec<String>, String> {
    let wanted = || format!("\"{text}\" is no range: write 4..10, 50..90 step 10, or a list");
    let (ends, step) = match text.split_once("step") {
        Some((ends, step)) => (ends, step.trim().parse::<usize>().map_err(|_| wanted())?),
        None => (text, 1),
    };
    let (first, last) = ends.split_once("..").ok_or_else(wanted)?;
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| wanted());
    let (first, last) = (number(first)?, number(last)?);
    if step == 0 || first > last {
        return Err(format!("\"{text}\" holds no value"));
    }
    if usize::try_from(last.abs_diff(first)).is_ok_and(|span| span / step >= VALUES_MAX) {
        return Err(format!("\"{text}\" holds more than {VALUES_MAX} values: say a larger step"));
    }
    Ok((first..=last).step_by(step).map(|value| value.to_string()).collect())
}

/// The knobs of a scenario, by path.
pub(super) fn knobs(file: &ScenarioFile, found: &mut Diagnostics) -> Vec<Knob> {
    let mut all = Vec::new();
    for (path, values) in &file.search {
        if path.contains('=') && !path.contains('[') {
            found.error(values.span, format!("\"{path}\" is no path: the values stand behind it"));
            continue;
        }
        all.push(Knob { path: path.clone(), values: values.value.0.clone() });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_both_ends() {
        assert_eq!(range("4..6").unwrap(), ["4", "5", "6"]);
        assert_eq!(range("50..90 step 20").unwrap(), ["50", "70", "90"]);
        assert_eq!(range("-1 .. 0").unwrap(), ["-1", "0"]);
        for wrong in ["4", "6..4", "1..2 step 0", "a..b", "1..", "0..1000000"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
