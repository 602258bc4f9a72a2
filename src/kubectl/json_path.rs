//! Paths into an object as `kubectl wait --for=jsonpath=…` has them: fields, indexes, `[*]` and
//! filters that compare a field with a text or number.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/client-go/util/jsonpath,
//! kubectl/pkg/cmd/get/customcolumn.go `RelaxedJSONPathExpression`. Differs: no ranges, unions,
//! `..` and functions.

use serde_json::Value;

/// A path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Items whose field at the path is that text.
    Where(Vec<String>, String),
}

const UNEXPECTED: &str = "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or \
     '{.name1.name2}'";

impl JsonPath {
    /// Reads `{.status.phase}`, braces and the first dot may be left out.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let inner = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or(UNEXPECTED)?,
            None => text,
        };
        let inner = inner.strip_prefix('.').unwrap_or(inner);
        if inner.is_empty() || inner.contains(['{', '}']) {
            return Err(UNEXPECTED.to_owned());
        }
        let mut steps = Vec::new();
        let mut rest = inner;
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('[') {
                Some(bracket) => in_brackets(bracket)?,
                None => {
                    let name = rest.strip_prefix('.').unwrap_or(rest);
                    field(name)?
                }
            };
            steps.push(step);
            rest = after;
        }
        Ok(Self(steps))
    }

    /// All values that it leads to.
    pub(super) fn find<'v>(&self, object: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![object];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.of(value)).collect();
        }
        found
    }
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Self::All, Value::Object(map)) => map.values().collect(),
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::Index(index), Value::Array(items)) => {
                let from_end = |back: usize| items.len().checked_sub(back);
                let place = match usize::try_from(*index) {
                    Ok(place) => Some(place),
                    Err(_) => usize::try_from(index.unsigned_abs()).ok().and_then(from_end),
                };
                place.and_then(|place| items.get(place)).into_iter().collect()
            }
            (Self::Where(path, wanted), Value::Array(items)) => {
                let has = |item: &&Value| {
                    let inner = path.iter().fold(*item, |value, name| &value[name.as_str()]);
                    as_text(inner).is_some_and(|text| text == *wanted)
                };
                items.iter().filter(has).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A value as Go prints it, if it is neither an object nor a list.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => Some("<nil>".to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn field(text: &str) -> Result<(Step, &str), String> {
    // A backslash keeps a dot within a name.
    let (mut name, mut end, mut is_escaped) = (String::new(), text.len(), false);
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !is_escaped => is_escaped = true,
            '.' | '[' if !is_escaped => {
                end = at;
                break;
            }
            c => {
                is_escaped = false;
                name.push(c);
            }
        }
    }
    match name.as_str() {
        "" => Err("a name is missing in the path".to_owned()),
        "*" => Ok((Step::All, &text[end..])),
        _ if name.contains(['(', ')', '@', '?', '=']) => Err(format!("\"{name}\" is no name")),
        _ => Ok((Step::Field(name), &text[end..])),
    }
}

/// What follows on `[`.
fn in_brackets(text: &str) -> Result<(Step, &str), String> {
    if let Some(filter) = text.strip_prefix("?(") {
        let (condition, rest) = filter.split_once(")]").ok_or("\")]\" is missing")?;
        let (path, wanted) =
            condition.split_once("==").ok_or("of filters only those with == are modelled")?;
        let path = path.trim().strip_prefix("@.").ok_or("a filter begins with @.")?;
        let path = path.split('.').map(str::to_owned).collect();
        let wanted = wanted.trim().trim_matches(['"', '\'']).to_owned();
        return Ok((Step::Where(path, wanted), rest));
    }
    let (inner, rest) = text.split_once(']').ok_or("\"]\" is missing")?;
    let quoted = inner.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
    let step = match (inner, quoted) {
        ("*", _) => Step::All,
        (_, Some(name)) => Step::Field(name.to_owned()),
        (number, None) => {
            let error = || format!("[{number}] is not modelled: an index, [*] or [?(@.a==\"b\")]");
            Step::Index(number.parse().map_err(|_| error())?)
        }
    };
    Ok((step, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_values() {
        let object = json!({
            "metadata": { "annotations": { "a.b/c": "x" } },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Other" }],
            },
        });
        let find = |text: &str| -> Vec<String> {
            let path = JsonPath::parse(text).expect(text);
            path.find(&object).into_iter().filter_map(as_text).collect()
        };
        assert_eq!(find("{.status.phase}"), ["Running"]);
        assert_eq!(find("status.phase"), ["Running"]);
        assert_eq!(find("{.status.conditions[?(@.type==\"Ready\")].status}"), ["True"]);
        assert_eq!(find("{.status.conditions[*].type}"), ["Ready", "Other"]);
        assert_eq!(find("{.status.conditions[-1].type}"), ["Other"]);
        assert_eq!(find("{.metadata.annotations['a.b/c']}"), ["x"]);
        assert_eq!(find("{.metadata.annotations.a\\.b/c}"), ["x"]);
        assert!(find("{.status.nothing.there}").is_empty());
        for text in ["", "{}", "{.a", "{.a[x]}", "{.a[?(@.b>1)]}", "{.a..b}"] {
            assert!(JsonPath::parse(text).is_err(), "{text}");
        }
    }
}
