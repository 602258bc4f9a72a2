//! To and from `serde_json::Value`.

use serde_json::{Map, Number, Value as Json};

use super::arena::{NodeId, Tree};
use super::value::{Kind, Value};

impl Value<'_> {
    /// As JSON.
    ///
    /// What JSON has no number for (`.inf`, `.nan`) becomes its text; integers beyond 64 bits signed
    /// are floats.
    #[must_use]
    pub fn to_json(self) -> Json {
        match self.kind() {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::Bool(value),
            Kind::Int(value) => Json::Number(value.into()),
            Kind::Float(value) => self.float_to_json(value),
            Kind::Str(text) => Json::String(text.to_owned()),
            Kind::Sequence => Json::Array(self.items().map(Self::to_json).collect()),
            Kind::Mapping => {
                let pairs = self.entries().map(|entry| (entry.key.to_owned(), entry.value));
                Json::Object(pairs.map(|(key, value)| (key, value.to_json())).collect())
            }
        }
    }

    fn float_to_json(self, value: f64) -> Json {
        let text = || Json::String(self.written().into_owned());
        Number::from_f64(value).map_or_else(text, Json::Number)
    }
}

impl Tree {
    /// A tree of values without places.
    #[must_use]
    pub fn from_json(json: &Json) -> Self {
        let mut tree = Self::default();
        let root = tree.add_json(json);
        tree.replace_root(root);
        tree
    }

    /// Adds JSON, not yet attached; attach it with [`Tree::set_entry`] or [`Tree::push_item`].
    pub fn add_json(&mut self, json: &Json) -> NodeId {
        match json {
            Json::Null => self.add_null(),
            Json::Bool(value) => self.add_bool(*value),
            Json::Number(number) => self.add_number(number),
            Json::String(text) => self.add_str(text),
            Json::Array(items) => self.add_array(items),
            Json::Object(map) => self.add_object(map),
        }
    }

    fn add_number(&mut self, number: &Number) -> NodeId {
        match number.as_i64() {
            Some(value) => self.add_int(value),
            None => self.add_float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    fn add_array(&mut self, items: &[Json]) -> NodeId {
        let items: Vec<NodeId> = items.iter().map(|item| self.add_json(item)).collect();
        let data = self.push_items(items);
        self.add_data(data)
    }

    fn add_object(&mut self, map: &Map<String, Json>) -> NodeId {
        let pairs = map.iter().map(|(key, value)| (key, self.add_json(value)));
        let pairs: Vec<(&String, NodeId)> = pairs.collect();
        let entries: Vec<_> =
            pairs.into_iter().map(|(key, value)| self.new_entry(key, value)).collect();
        let data = self.push_entries(entries);
        self.add_data(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Diagnostics, ParseOptions, Sources, parse};

    #[test]
    fn json_goes_through_a_tree() {
        let json = serde_json::json!({"a": [1, -2.5, null, true, "x"], "b": {"c": {}, "d": []}});
        let tree = Tree::from_json(&json);
        assert_eq!(tree.root().to_json(), json);
        assert!(tree.root().get("a").unwrap().span().is_none());
        assert_eq!(&*tree.root().find("a[1]").unwrap().written(), "-2.5");
    }

    #[test]
    fn numbers_that_json_lacks() {
        let mut sources = Sources::new();
        let file = sources.add("f", "a: .inf\nb: 18446744073709551615\nc: 1.0\n");
        let mut found = Diagnostics::new();
        let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
        let json = documents[0].tree.root().to_json();
        assert_eq!(json, serde_json::json!({"a": ".inf", "b": 18446744073709551615.0, "c": 1}));
    }

    #[test]
    fn editing_changes_one_place_only() {
        let mut sources = Sources::new();
        let file = sources.add("f", "a: &x {k: [1]}\nb: *x\n");
        let mut found = Diagnostics::new();
        let mut tree = parse(&sources, file, &ParseOptions::manifest(), &mut found).remove(0).tree;
        let list = tree.root().find("b.k").unwrap().id();
        let two = tree.add_int(2);
        tree.push_item(list, two);
        let one = tree.add_str("new");
        tree.set_item(list, 0, one);
        let (a, b) = (tree.root().get("a").unwrap().id(), tree.root().get("b").unwrap().id());
        let flag = tree.add_bool(true);
        tree.set_entry(b, "flag", flag);
        assert!(tree.remove_entry(a, "k") && !tree.remove_entry(a, "k"));
        let expected = serde_json::json!({"a": {}, "b": {"k": ["new", 2], "flag": true}});
        assert_eq!(tree.root().to_json(), expected);
    }
}
