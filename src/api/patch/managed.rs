//! Server-side apply: who manages which field, and what an applied configuration makes of an
//! object.
//!
//! ```text
//! live + configuration ─► a field that another manager has, with another value ─► conflict
//!                     └─► merged; fields that were applied before and nobody else has go
//! ```
//!
//! A field is a leaf of the object, or an item of a list whose items have keys. A mapping or list
//! that the API calls atomic is one field.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal
//! (structuredmerge.go, conflict.go), sigs.k8s.io/structured-merge-diff v6 (merge/update.go,
//! fieldpath/element.go); the keys and atomic fields of the built-in types. Differs: values are
//! compared as they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

use super::super::kinds::Kind;
use super::keys::{self, Field, Merge};

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// A field of a mapping.
    Field(String),
    /// The item of a list with these keys, their values as JSON.
    Item(Vec<(&'static str, String)>),
    /// A text of a set.
    Value(String),
}

/// Where a field is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct FieldPath(Vec<Part>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Field(name) => write!(f, ".{name}")?,
                Part::Item(keys) => {
                    let keys: Vec<String> =
                        keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                    write!(f, "[{}]", keys.join(","))?;
                }
                Part::Value(value) => write!(f, "[={value}]")?,
            }
        }
        Ok(())
    }
}

/// Who manages fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Its name: `kubectl`, `kubectl-set`, …
    pub name: String,
    /// Whether it applied them, and did not write them otherwise.
    pub applies: bool,
    /// `scale`, if it wrote that.
    pub subresource: Option<&'static str>,
    /// The API version that it used.
    pub version: String,
    /// When, as RFC 3339.
    pub time: String,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if let Some(subresource) = self.subresource {
            write!(f, " with subresource {subresource:?}")?;
        }
        if !self.applies {
            write!(f, " using {} at {}", self.version, self.time)?;
        }
        Ok(())
    }
}

/// A field that somebody else manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who, as messages say it.
    pub manager: String,
    /// Which.
    pub path: String,
}

/// What the API server says of conflicts.
#[must_use]
pub fn conflicts_text(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            one.manager, one.path
        );
    }
    let mut by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        by.entry(&conflict.manager).or_default().push(&conflict.path);
    }
    let mut text = format!("Apply failed with {} conflicts: ", conflicts.len());
    let mut first = true;
    for (manager, paths) in by {
        let gap = if std::mem::take(&mut first) { "" } else { "\n" };
        let _ = write!(text, "{gap}conflicts with {manager}:");
        for path in paths {
            let _ = write!(text, "\n- {path}");
        }
    }
    text
}

/// The managers of an object's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers(Vec<(Manager, BTreeSet<FieldPath>)>);

impl Managers {
    /// Those of an object that one manager has just brought.
    #[must_use]
    pub fn of(kind: Option<Kind>, object: &Value, manager: Manager) -> Self {
        Self(vec![(manager, paths(kind, object))])
    }

    /// Somebody wrote the object without applying it: what changed is theirs now.
    pub fn written(&mut self, kind: Option<Kind>, manager: Manager, old: &Value, new: &Value) {
        let (before, after) = (leaves(kind, old), leaves(kind, new));
        let changed: BTreeSet<FieldPath> = (after.iter())
            .filter(|(path, value)| before.get(*path) != Some(*value))
            .map(|(path, _)| path.clone())
            .collect();
        let is_over = |path: &FieldPath| changed.contains(path) || !after.contains_key(path);
        for (_, fields) in &mut self.0 {
            fields.retain(|path| !is_over(path));
        }
        if !changed.is_empty() {
            self.entry(manager).extend(changed);
        }
        self.0.retain(|(_, fields)| !fields.is_empty());
    }

    /// What somebody has written without applying it counts as applied by another.
    pub fn rename(&mut self, from: &str, to: &Manager) {
        let mut taken = BTreeSet::new();
        for (_, fields) in self.0.iter_mut().filter(|(own, _)| own.name == from) {
            taken.append(fields);
        }
        if !taken.is_empty() {
            self.entry(to.clone()).append(&mut taken);
            self.0.retain(|(_, fields)| !fields.is_empty());
        }
    }

    /// The fields of a manager, its time renewed.
    fn entry(&mut self, manager: Manager) -> &mut BTreeSet<FieldPath> {
        let found = self.0.iter().position(|(own, _)| own.is(&manager));
        let place = found.unwrap_or_else(|| {
            self.0.push((manager.clone(), BTreeSet::new()));
            self.0.len() - 1
        });
        let (own, fields) = &mut self.0[place];
        own.time = manager.time;
        fields
    }

    /// The object after a configuration is applied, not yet with defaults and not checked.
    ///
    /// # Errors
    /// Others manage some of its fields, and `force` does not take them over.
    pub fn apply(
        &mut self,
        kind: Option<Kind>,
        (live, config): (&Value, &Value),
        manager: Manager,
        force: bool,
    ) -> Result<Value, Vec<Conflict>> {
        let (wanted, there) = (leaves(kind, config), leaves(kind, live));
        let differs = |path: &FieldPath| {
            let (wanted, there) = (wanted.get(path), there.get(path));
            wanted.is_some() && there.is_some() && wanted != there
        };
        let mut conflicts = Vec::new();
        for (other, fields) in self.0.iter().filter(|(other, _)| !other.is(&manager)) {
            conflicts.extend(
                fields
                    .iter()
                    .filter(|path| differs(path))
                    .map(|path| Conflict { manager: other.to_string(), path: path.to_string() }),
            );
        }
        if !conflicts.is_empty() && !force {
            return Err(conflicts);
        }
        for (_, fields) in self.0.iter_mut().filter(|(other, _)| !other.is(&manager)) {
            fields.retain(|path| !differs(path));
        }
        let before = std::mem::take(self.entry(manager.clone()));
        let others = |path: &FieldPath| self.0.iter().any(|(_, fields)| fields.contains(path));
        let gone = before.into_iter().filter(|path| !wanted.contains_key(path) && !others(path));
        let gone: BTreeSet<FieldPath> = gone.collect();
        let mut new = live.clone();
        merge(&mut new, config, root(kind), &mut FieldPath::default());
        without(&mut new, root(kind), &mut FieldPath::default(), &gone);
        self.entry(manager).extend(wanted.into_keys());
        self.0.retain(|(_, fields)| !fields.is_empty());
        Ok(new)
    }
}

impl Manager {
    /// Whether fields of both stand in one entry.
    fn is(&self, other: &Self) -> bool {
        (&self.name, self.applies, self.subresource)
            == (&other.name, other.applies, other.subresource)
    }
}

/// The type at the top; a custom object has none.
fn root(kind: Option<Kind>) -> &'static str {
    kind.map_or("", keys::root)
}

fn paths(kind: Option<Kind>, object: &Value) -> BTreeSet<FieldPath> {
    leaves(kind, object).into_keys().collect()
}

/// All fields of an object with their values; an item of a list has none of its own.
fn leaves(kind: Option<Kind>, object: &Value) -> BTreeMap<FieldPath, Value> {
    let mut all = BTreeMap::new();
    collect(object, root(kind), &mut FieldPath::default(), &mut all);
    all
}

/// Fields that are the server's, or say which object it is.
const SERVERS: [&str; 12] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "selfLink",
    "apiVersion",
    "kind",
    "status",
];

fn is_servers(path: &FieldPath, name: &str) -> bool {
    let is_known = SERVERS.contains(&name);
    match path.0.as_slice() {
        [] => is_known && !["name", "namespace"].contains(&name),
        [Part::Field(first)] => first == "metadata" && is_known,
        _ => false,
    }
}

/// Mappings that are one field.
const ATOMIC: [&str; 9] = [
    "selector",
    "nodeSelector",
    "labelSelector",
    "namespaceSelector",
    "secretKeyRef",
    "configMapKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "scaleTargetRef",
];

fn collect(value: &Value, of: &str, path: &mut FieldPath, all: &mut BTreeMap<FieldPath, Value>) {
    let Value::Object(map) = value else {
        all.insert(path.clone(), value.clone());
        return;
    };
    for (name, value) in map {
        if is_servers(path, name) {
            continue;
        }
        let field = field(of, name);
        path.0.push(Part::Field(name.clone()));
        match (value, keyed(field, name)) {
            (Value::Array(items), Some(keys)) => {
                for item in items {
                    path.0.push(part_of(item, keys));
                    all.insert(path.clone(), Value::Null);
                    if item.is_object() {
                        collect(item, field.below, path, all);
                    }
                    path.0.pop();
                }
            }
            (Value::Object(inner), _) if !ATOMIC.contains(&name.as_str()) && !inner.is_empty() => {
                collect(value, field.below, path, all);
            }
            _ => {
                all.insert(path.clone(), value.clone());
            }
        }
        path.0.pop();
    }
}

fn field(of: &str, name: &str) -> Field {
    match of {
        "" => Field { below: "", merge: Merge::Replace, retains_keys: false },
        of => keys::field(of, name),
    }
}

/// The keys of a list's items; none of a set of texts. `None`: the list is one field.
fn keyed(field: Field, name: &str) -> Option<&'static [&'static str]> {
    Some(match field.merge {
        Merge::Replace => return None,
        Merge::Set => &[],
        Merge::Key("containerPort") => &["containerPort", "protocol"],
        Merge::Key("port") => &["port", "protocol"],
        Merge::Key("topologyKey") => &["topologyKey", "whenUnsatisfiable"],
        Merge::Key("name") => &["name"],
        Merge::Key("ip") => &["ip"],
        Merge::Key("uid") => &["uid"],
        Merge::Key("type") => &["type"],
        Merge::Key("mountPath") => &["mountPath"],
        Merge::Key("devicePath") => &["devicePath"],
        Merge::Key(_) if name.is_empty() => &["name"],
        Merge::Key(_) => return None,
    })
}

/// The part of a path that leads to an item.
fn part_of(item: &Value, keys: &[&'static str]) -> Part {
    if keys.is_empty() {
        return Part::Value(item.to_string());
    }
    let value = |key: &&'static str| {
        let value = item.get(*key).filter(|value| !value.is_null());
        // The default is a part of the key.
        let usual = if *key == "protocol" { "\"TCP\"" } else { "null" };
        (*key, value.map_or_else(|| usual.to_owned(), Value::to_string))
    };
    Part::Item(keys.iter().map(value).collect())
}

/// Lays a configuration over an object.
fn merge(into: &mut Value, config: &Value, of: &str, path: &mut FieldPath) {
    let Value::Object(config) = config else {
        into.clone_from(config);
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Some(map) = into.as_object_mut() else { return };
    for (name, value) in config {
        if is_servers(path, name) {
            continue;
        }
        let field = field(of, name);
        path.0.push(Part::Field(name.clone()));
        let slot = map.entry(name.clone()).or_insert(Value::Null);
        match (value, keyed(field, name)) {
            (Value::Array(items), Some(keys)) => merge_items(slot, items, (field, keys), path),
            (Value::Object(_), _) if !ATOMIC.contains(&name.as_str()) => {
                merge(slot, value, field.below, path);
            }
            _ => slot.clone_from(value),
        }
        path.0.pop();
    }
}

fn merge_items(
    slot: &mut Value,
    items: &[Value],
    (field, keys): (Field, &[&'static str]),
    path: &mut FieldPath,
) {
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    let Some(list) = slot.as_array_mut() else { return };
    for item in items {
        let part = part_of(item, keys);
        let found = list.iter_mut().find(|own| part_of(own, keys) == part);
        path.0.push(part);
        match found {
            Some(own) if item.is_object() => merge(own, item, field.below, path),
            Some(_) => {}
            None => list.push(item.clone()),
        }
        path.0.pop();
    }
}

/// Takes fields out of an object; whether anything is left of it.
fn without(value: &mut Value, of: &str, path: &mut FieldPath, gone: &BTreeSet<FieldPath>) -> bool {
    let Some(map) = value.as_object_mut() else { return true };
    let names: Vec<String> = map.keys().cloned().collect();
    let had_any = !names.is_empty();
    for name in names {
        let field = field(of, &name);
        path.0.push(Part::Field(name.clone()));
        let Some(inner) = map.get_mut(&name) else { continue };
        let stays = !gone.contains(path)
            && match (&mut *inner, keyed(field, &name)) {
                (Value::Array(items), Some(keys)) => {
                    let had_items = !items.is_empty();
                    items.retain_mut(|item| {
                        path.0.push(part_of(item, keys));
                        let stays = !gone.contains(path)
                            && (!item.is_object() || without(item, field.below, path, gone));
                        path.0.pop();
                        stays
                    });
                    !items.is_empty() || !had_items
                }
                (Value::Object(_), _) if !ATOMIC.contains(&name.as_str()) => {
                    without(inner, field.below, path, gone)
                }
                _ => true,
            };
        path.0.pop();
        if !stays {
            map.remove(&name);
        }
    }
    !map.is_empty() || !had_any
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KIND: Option<Kind> = Some(Kind::Deployment);

    fn by(name: &str, applies: bool) -> Manager {
        Manager {
            name: name.to_owned(),
            applies,
            subresource: None,
            version: "apps/v1".to_owned(),
            time: "2026-01-05T00:00:00Z".to_owned(),
        }
    }

    fn web(image: &str, env: &[&str]) -> Value {
        let env: Vec<Value> =
            env.iter().map(|name| json!({ "name": name, "value": "1" })).collect();
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "app", "image": image, "env": env }] },
                },
            },
        })
    }

    #[test]
    fn a_field_of_somebody_else_is_a_conflict() {
        let first = web("web:1", &["A", "B"]);
        let mut managers = Managers::of(KIND, &first, by("kubectl", true));
        let second = web("web:2", &["A", "B"]);
        managers.written(KIND, by("kubectl-set", false), &first, &second);
        let third = web("web:3", &["A"]);
        let refused = managers.clone().apply(KIND, (&second, &third), by("kubectl", true), false);
        let text = conflicts_text(&refused.expect_err("it is in conflict"));
        assert_eq!(
            text,
            "Apply failed with 1 conflict: conflict with \"kubectl-set\" using apps/v1 at \
             2026-01-05T00:00:00Z: .spec.template.spec.containers[name=\"app\"].image"
        );
        let same = managers.clone().apply(KIND, (&second, &second), by("kubectl", true), false);
        assert_eq!(same.as_ref(), Ok(&second), "the same value is shared");
        let forced = managers.apply(KIND, (&second, &third), by("kubectl", true), true);
        assert_eq!(forced, Ok(third.clone()), "and B is nobody's any more");
        let again = managers.apply(KIND, (&third, &first), by("kubectl", true), false);
        assert_eq!(again, Ok(first), "it is its own again");
    }

    #[test]
    fn others_fields_stay() {
        let first = web("web:1", &["A"]);
        let mut managers = Managers::of(KIND, &first, by("kubectl", true));
        let mut live = first.clone();
        live["spec"]["replicas"] = json!(5);
        live["metadata"]["labels"] = json!({ "tier": "front" });
        managers.written(KIND, by("hpa", false), &first, &live);
        let applied = managers.apply(KIND, (&live, &first), by("kubectl", true), false);
        assert_eq!(applied, Ok(live.clone()));
        // Two of one value have it together: it stays until both let it go.
        let mut config = first.clone();
        config["spec"]["replicas"] = json!(5);
        assert_eq!(managers.apply(KIND, (&live, &config), by("b", true), false), Ok(live.clone()));
        assert_eq!(managers.apply(KIND, (&live, &first), by("b", true), false), Ok(live.clone()));
    }
}
