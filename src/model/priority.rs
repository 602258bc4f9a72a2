//! Priority classes: what `priorityClassName` means.
//!
//! Source: kubernetes v1.36.3 plugin/pkg/admission/priority/admission.go.

use std::collections::BTreeMap;

use serde_json::Value;

/// The priority classes of the cluster, the two of Kubernetes among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityClasses {
    classes: BTreeMap<String, PriorityClass>,
}

/// What a class gives its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityClass {
    /// Priority; higher goes first.
    pub value: i32,
    /// `preemptionPolicy: Never`.
    pub preempts_never: bool,
    /// Whether pods without a class get it.
    pub is_default: bool,
}

impl Default for PriorityClasses {
    fn default() -> Self {
        let system = |value| PriorityClass { value, preempts_never: false, is_default: false };
        let classes = BTreeMap::from([
            ("system-cluster-critical".to_owned(), system(2_000_000_000)),
            ("system-node-critical".to_owned(), system(2_000_001_000)),
        ]);
        Self { classes }
    }
}

impl PriorityClasses {
    /// Adds a PriorityClass object; of a name that stands twice the last counts.
    pub fn add(&mut self, object: &Value) {
        let value = object["value"].as_i64().unwrap_or(0);
        let value = i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX });
        let class = PriorityClass {
            value,
            preempts_never: object["preemptionPolicy"] == "Never",
            is_default: object["globalDefault"] == true,
        };
        let name = object["metadata"]["name"].as_str().unwrap_or("");
        self.classes.insert(name.to_owned(), class);
    }

    /// The class of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<PriorityClass> {
        self.classes.get(name).copied()
    }

    /// What a pod without a class gets: of several defaults the lowest (rule C189).
    #[must_use]
    pub fn standard(&self) -> PriorityClass {
        let none = PriorityClass { value: 0, preempts_never: false, is_default: true };
        let defaults = self.classes.values().filter(|class| class.is_default);
        defaults.min_by_key(|class| class.value).copied().unwrap_or(none)
    }

    /// All names, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Rule C189: without a class the default one counts, of several the lowest, else 0; the
    /// cluster has two classes of its own.
    #[test]
    fn of_several_defaults_the_lowest_counts() {
        let mut classes = PriorityClasses::default();
        assert_eq!(classes.standard().value, 0);
        let value = |name: &str| classes.get(name).map(|class| class.value);
        assert_eq!(value("system-cluster-critical"), Some(2_000_000_000));
        assert_eq!(value("system-node-critical"), Some(2_000_001_000));
        for (name, value) in [("high", 100), ("low", 10)] {
            classes.add(&json!({
                "metadata": { "name": name }, "value": value, "globalDefault": true,
            }));
        }
        assert_eq!((classes.standard().value, classes.get("none")), (10, None));
    }
}
