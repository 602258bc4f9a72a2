//! `cloud.clusterAutoscaler` of the scenario file as written: the real program's flags.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::AUTOSCALER_FLAGS;
use crate::tree::Spanned;

/// The ConfigMap `cluster-autoscaler-priority-expander`, which is no flag.
const PRIORITIES: &str = "priorities";

/// Cluster Autoscaler: it gives node groups more machines for pods that wait, and removes nodes
/// that are not needed. Keys are the flags of the real program without their dashes.
#[derive(Debug, Default)]
pub struct ClusterAutoscalerFile {
    /// Flags as written.
    pub flags: BTreeMap<String, Spanned<FlagFile>>,
    /// Patterns of the expander `priority` by priority.
    pub priorities: Option<Spanned<BTreeMap<String, Vec<String>>>>,
}

/// The value of a flag.
#[derive(Clone, Debug)]
pub enum FlagFile {
    /// A text, a number, a truth.
    One(String),
    /// Several of them.
    List(Vec<String>),
}

const NAMES: [&str; AUTOSCALER_FLAGS.len() + 1] = {
    let mut names = [PRIORITIES; AUTOSCALER_FLAGS.len() + 1];
    let mut at = 0;
    while at < AUTOSCALER_FLAGS.len() {
        names[at] = AUTOSCALER_FLAGS[at].name;
        at += 1;
    }
    names
};
static KEYS: &[&str] = &NAMES;

impl<'de> Deserialize<'de> for ClusterAutoscalerFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_struct("ClusterAutoscaler", KEYS, FlagsVisitor)
    }
}

struct FlagsVisitor;

impl<'de> Visitor<'de> for FlagsVisitor {
    type Value = ClusterAutoscalerFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flags of Cluster Autoscaler")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut file = ClusterAutoscalerFile::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == PRIORITIES {
                file.priorities = Some(map.next_value()?);
            } else if KEYS.contains(&key.as_str()) {
                file.flags.insert(key, map.next_value()?);
            } else {
                map.next_value::<de::IgnoredAny>()?;
            }
        }
        Ok(file)
    }
}

impl<'de> Deserialize<'de> for FlagFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(FlagVisitor)
    }
}

struct FlagVisitor;

impl<'de> Visitor<'de> for FlagVisitor {
    type Value = FlagFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of a flag")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FlagFile, E> {
        Ok(FlagFile::One(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, is: bool) -> Result<FlagFile, E> {
        Ok(FlagFile::One(is.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<FlagFile, E> {
        Ok(FlagFile::One(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<FlagFile, E> {
        Ok(FlagFile::One(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<FlagFile, E> {
        Ok(FlagFile::One(number.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FlagFile, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(FlagFile::List(all))
    }
}

impl JsonSchema for ClusterAutoscalerFile {
    fn schema_name() -> Cow<'static, str> {
        "ClusterAutoscaler".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        for flag in AUTOSCALER_FLAGS {
            let mut one = serde_json::json!({ "description": flag.about });
            match flag.kind() {
                "array" => one["type"] = ["array", "string"].as_slice().into(),
                "string" => one["type"] = ["string", "array"].as_slice().into(),
                kind => one["type"] = kind.into(),
            }
            properties.insert(flag.name.to_owned(), one);
        }
        let priorities = serde_json::json!({
            "description": "the ConfigMap of the expander priority: patterns of groups by priority",
            "type": "object",
            "additionalProperties": { "type": "array", "items": { "type": "string" } },
        });
        properties.insert(PRIORITIES.to_owned(), priorities);
        json_schema!({
            "description": "Cluster Autoscaler: the flags of the real program without their dashes",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}
