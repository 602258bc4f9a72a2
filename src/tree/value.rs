//! A handle to a value in a tree: what all reading code works with.

use std::borrow::Cow;
use std::fmt;

use super::arena::{Data, NodeId, Range32, Tree};
use super::source::Span;

/// A value in a [`Tree`]; two words, copied freely.
///
/// ```
/// use seatrial::tree::{Diagnostics, ParseOptions, Sources, parse};
///
/// let mut sources = Sources::new();
/// let file = sources.add("a.yaml", "spec:\n  replicas: 3\n  paused: yes\n");
/// let mut found = Diagnostics::new();
/// let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
/// let root = documents[0].tree.root();
/// let replicas = root.at(&["spec", "replicas"]).unwrap();
/// assert_eq!(replicas.as_i64(), Some(3));
/// assert_eq!(sources.place(replicas.span()), "a.yaml:2:13");
/// assert_eq!(root.at(&["spec", "paused"]).unwrap().as_bool(), Some(true));
/// ```
#[derive(Clone, Copy)]
pub struct Value<'t> {
    tree: &'t Tree,
    node: NodeId,
    /// The entry this was reached by; `NO_ENTRY` for roots and items.
    entry: u32,
}

const NO_ENTRY: u32 = u32::MAX;

/// What a value is, to match on.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'t> {
    /// Nothing: `null`, `~`, or no text at all.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number within 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Str(&'t str),
    /// A list; see [`Value::items`].
    Sequence,
    /// A mapping; see [`Value::entries`].
    Mapping,
}

/// A key of a mapping with its value, in the order of the text.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'t> {
    /// The key's text.
    pub key: &'t str,
    /// Where the key is.
    pub key_span: Span,
    /// Its value.
    pub value: Value<'t>,
}

impl<'t> Value<'t> {
    pub(crate) fn new(tree: &'t Tree, node: NodeId) -> Self {
        Self { tree, node, entry: NO_ENTRY }
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind<'t> {
        match self.tree.node(self.node).data {
            Data::Null => Kind::Null,
            Data::Bool(value) => Kind::Bool(value),
            Data::Int(value) => Kind::Int(value),
            Data::Float(value) => Kind::Float(value),
            Data::Text(text) => Kind::Str(self.tree.text(text)),
            Data::Sequence(_) => Kind::Sequence,
            Data::Mapping(_) => Kind::Mapping,
        }
    }

    /// With its article, for messages: "a string", "a list", …
    #[must_use]
    pub fn kind_name(self) -> &'static str {
        match self.kind() {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Str(_) => "a string",
            Kind::Sequence => "a list",
            Kind::Mapping => "a mapping",
        }
    }

    /// Whether it is null (which means "not set" nearly everywhere in Kubernetes).
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.kind(), Kind::Null)
    }

    /// Whether it is a mapping.
    #[must_use]
    pub fn is_mapping(self) -> bool {
        matches!(self.kind(), Kind::Mapping)
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_sequence(self) -> bool {
        matches!(self.kind(), Kind::Sequence)
    }

    /// The text, if it is a string (a number is none: see [`Value::written`]).
    #[must_use]
    pub fn as_str(self) -> Option<&'t str> {
        if let Kind::Str(text) = self.kind() { Some(text) } else { None }
    }

    /// The integer, if it is one; in YAML also `1.0` and `1e3`.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        if let Kind::Int(value) = self.kind() { Some(value) } else { None }
    }

    /// The number, whole or not.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "as JSON: integers beyond 2^53 are rounded")]
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Int(value) => Some(value as f64),
            Kind::Float(value) => Some(value),
            Kind::Null | Kind::Bool(_) | Kind::Str(_) | Kind::Sequence | Kind::Mapping => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        if let Kind::Bool(value) = self.kind() { Some(value) } else { None }
    }

    /// A scalar as it was written: `0644` for 420, `1.10` for 1.1; empty for lists and mappings.
    ///
    /// For what Kubernetes takes as text or number (quantities, int-or-string).
    #[must_use]
    pub fn written(self) -> Cow<'t, str> {
        self.tree.written(self.node)
    }

    /// The value of a key, null included; `None` if the key is absent or this is no mapping.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.entry(key).map(|entry| entry.value)
    }

    /// The value of a key that is there and not null.
    #[must_use]
    pub fn field(self, key: &str) -> Option<Self> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Through several keys; `None` where one is absent.
    #[must_use]
    pub fn at(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The entry of a key.
    #[must_use]
    pub fn entry(self, key: &str) -> Option<Entry<'t>> {
        self.entries().find(|entry| entry.key == key)
    }

    /// The entries of a mapping, in the order of the text; none for anything else.
    pub fn entries(self) -> impl DoubleEndedIterator<Item = Entry<'t>> + ExactSizeIterator {
        let tree = self.tree;
        let range = match tree.node(self.node).data {
            Data::Mapping(range) => range,
            _ => Range32::new(0, 0),
        };
        (range.start as usize..range.end as usize).map(move |index| {
            let index = super::source::offset(index);
            let entry = tree.entry(index);
            Entry {
                key: tree.text(entry.key),
                key_span: tree.span(entry.key_range),
                value: Value { tree, node: entry.value, entry: index },
            }
        })
    }

    /// The items of a list; none for anything else.
    pub fn items(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        let tree = self.tree;
        let range = match tree.node(self.node).data {
            Data::Sequence(range) => range,
            _ => Range32::new(0, 0),
        };
        tree.items(range).iter().map(move |&node| Value { tree, node, entry: NO_ENTRY })
    }

    /// How many entries or items it has.
    #[must_use]
    pub fn len(self) -> usize {
        match self.tree.node(self.node).data {
            Data::Sequence(range) | Data::Mapping(range) => (range.end - range.start) as usize,
            _ => 0,
        }
    }

    /// Whether it has no entries or items (as every scalar).
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The key that this value was reached by; `None` for roots and items.
    #[must_use]
    pub fn key(self) -> Option<&'t str> {
        let entry = (self.entry != NO_ENTRY).then(|| self.tree.entry(self.entry))?;
        Some(self.tree.text(entry.key))
    }

    /// Where that key is.
    #[must_use]
    pub fn key_span(self) -> Option<Span> {
        let entry = (self.entry != NO_ENTRY).then(|| self.tree.entry(self.entry))?;
        Some(self.tree.span(entry.key_range))
    }

    /// Where a message about this value shall point: the text of a scalar, the key of a list or
    /// mapping or of nothing.
    #[must_use]
    pub fn span(self) -> Span {
        let range = self.range();
        let scalar = !matches!(self.kind(), Kind::Sequence | Kind::Mapping);
        if scalar && range.start < range.end {
            return range;
        }
        self.key_span().filter(|span| !span.is_none()).unwrap_or(range)
    }

    /// All of the value's own text, from the first byte to the last.
    ///
    /// What came through an alias lies where the anchor is.
    #[must_use]
    pub fn range(self) -> Span {
        self.tree.span(self.tree.node(self.node).range)
    }

    /// The path from the root, as in `spec.containers[0].image`; costs a walk through the tree.
    #[must_use]
    pub fn path(self) -> String {
        super::path::path_of(self.tree, self.node)
    }

    /// The tree that it belongs to.
    #[must_use]
    pub fn tree(self) -> &'t Tree {
        self.tree
    }

    /// Its node, to edit the tree or to keep without borrowing it.
    #[must_use]
    pub fn id(self) -> NodeId {
        self.node
    }
}

/// As JSON.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Sequence => f.debug_list().entries(self.items()).finish(),
            Kind::Mapping => {
                let pairs = self.entries().map(|entry| (entry.key, entry.value));
                f.debug_map().entries(pairs).finish()
            }
            Kind::Null => f.write_str("null"),
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Int(value) => write!(f, "{value}"),
            Kind::Float(value) => write!(f, "{value:?}"),
            Kind::Str(text) => write!(f, "{text:?}"),
        }
    }
}

/// Equal in content: places, order of keys and how scalars were written do not matter.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::Null, Kind::Null) => true,
            (Kind::Bool(a), Kind::Bool(b)) => a == b,
            (Kind::Int(a), Kind::Int(b)) => a == b,
            (Kind::Float(a), Kind::Float(b)) => a.total_cmp(&b).is_eq(),
            (Kind::Str(a), Kind::Str(b)) => a == b,
            (Kind::Sequence, Kind::Sequence) => {
                self.len() == other.len() && self.items().eq(other.items())
            }
            (Kind::Mapping, Kind::Mapping) => {
                self.len() == other.len()
                    && self.entries().all(|entry| other.get(entry.key) == Some(entry.value))
            }
            _ => false,
        }
    }
}
