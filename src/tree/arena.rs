//! The tree: nodes in an arena, each with the place it was written at.
//!
//! A node is 24 bytes, a mapping entry 20. Texts are slices of the source wherever the source says
//! them literally, otherwise (escapes, folded lines, built by code) of one buffer a tree. Offsets
//! run through the tree's parts: its own file, then the texts that were grafted into it, one after
//! the other.

use std::borrow::Cow;
use std::sync::Arc;

use super::source::{SourceFile, Span, offset};
use super::value::Value;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    fn at(index: usize) -> Self {
        Self(offset(index))
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Offsets in the tree's joined texts; `NOWHERE` for what no text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range32 {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Range32 {
    pub(crate) const NOWHERE: Self = Self { start: u32::MAX, end: u32::MAX };

    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: offset(start), end: offset(end) }
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A text: a slice of the joined sources, or (top bit of `len`) of the buffer of decoded texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    start: u32,
    len: u32,
}

const DECODED: u32 = 1 << 31;

impl Text {
    pub(crate) fn source(start: usize, len: usize) -> Self {
        Self { start: offset(start), len: offset(len) }
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    /// A range of `items`.
    Sequence(Range32),
    /// A range of `entries`.
    Mapping(Range32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) data: Data,
    pub(crate) range: Range32,
}

/// A key of a mapping and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Text,
    pub(crate) key_range: Range32,
    pub(crate) value: NodeId,
}

const _: () = assert!(size_of::<Node>() == 24 && size_of::<Entry>() == 20);

/// A text that the tree points into, from `base` on in the joined offsets.
#[derive(Clone, Debug)]
struct Part {
    base: u32,
    file: Arc<SourceFile>,
}

/// One document: scalars, sequences and mappings with ordered text keys, all with their places.
///
/// Read it through [`Tree::root`] and [`Value`]. No node is shared between two places (aliases and
/// merges are expanded when reading, within limits), so editing one place changes no other.
#[derive(Clone, Debug)]
pub struct Tree {
    parts: Vec<Part>,
    nodes: Vec<Node>,
    items: Vec<NodeId>,
    entries: Vec<Entry>,
    decoded: String,
    root: NodeId,
}

impl Tree {
    /// The topmost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        self.value(self.root)
    }

    /// The value of a node of this tree.
    #[must_use]
    pub fn value(&self, node: NodeId) -> Value<'_> {
        Value::new(self, node)
    }

    /// A tree over a file, with a null as root.
    pub(crate) fn over(file: &Arc<SourceFile>) -> Self {
        Self { parts: vec![Part { base: 0, file: Arc::clone(file) }], ..Self::default() }
    }

    /// The nodes in the arena, those no longer in use included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn set_root(&mut self, root: NodeId) {
        self.root = root;
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    pub(crate) fn push_node(&mut self, data: Data, range: Range32) -> NodeId {
        let id = NodeId::at(self.nodes.len());
        self.nodes.push(Node { data, range });
        id
    }

    pub(crate) fn items(&self, range: Range32) -> &[NodeId] {
        &self.items[range.range()]
    }

    pub(crate) fn entries(&self, range: Range32) -> &[Entry] {
        &self.entries[range.range()]
    }

    pub(crate) fn entry(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    pub(crate) fn entry_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.entries[index as usize]
    }

    pub(crate) fn push_items(&mut self, items: impl IntoIterator<Item = NodeId>) -> Data {
        let start = self.items.len();
        self.items.extend(items);
        Data::Sequence(Range32::new(start, self.items.len()))
    }

    pub(crate) fn push_entries(&mut self, entries: impl IntoIterator<Item = Entry>) -> Data {
        let start = self.entries.len();
        self.entries.extend(entries);
        Data::Mapping(Range32::new(start, self.entries.len()))
    }

    pub(crate) fn push_decoded(&mut self, text: &str) -> Text {
        let start = offset(self.decoded.len());
        self.decoded.push_str(text);
        Text { start, len: offset(text.len()) | DECODED }
    }

    pub(crate) fn text(&self, text: Text) -> &str {
        let start = text.start as usize;
        if text.len & DECODED != 0 {
            return &self.decoded[start..start + (text.len & !DECODED) as usize];
        }
        self.source(Range32::new(start, start + text.len as usize)).unwrap_or("")
    }

    /// What the source says at a range.
    pub(crate) fn source(&self, range: Range32) -> Option<&str> {
        let part = self.part(range)?;
        let local = (range.start - part.base) as usize..(range.end - part.base) as usize;
        part.file.text().get(local)
    }

    /// A range of the joined texts as a place in its file.
    pub(crate) fn span(&self, range: Range32) -> Span {
        self.part(range).map_or(Span::NONE, |part| {
            Span::new(part.file.id(), range.start - part.base, range.end - part.base)
        })
    }

    fn part(&self, range: Range32) -> Option<&Part> {
        if range == Range32::NOWHERE {
            return None;
        }
        if let [only] = &self.parts[..] {
            return Some(only);
        }
        let after = self.parts.partition_point(|part| part.base <= range.start);
        after.checked_sub(1).and_then(|index| self.parts.get(index))
    }

    /// Offset of a new part: one past the end of the last, so that empty ranges are not ambiguous.
    fn add_part(&mut self, file: &Arc<SourceFile>) -> u32 {
        let end = |part: &Part| part.base as usize + part.file.text().len() + 1;
        let base = offset(self.parts.last().map_or(0, end));
        self.parts.push(Part { base, file: Arc::clone(file) });
        base
    }

    /// Copies a value of another tree into this one, with its places; not yet attached anywhere.
    ///
    /// Attach it with [`Tree::set_entry`] or [`Tree::push_item`].
    pub fn graft(&mut self, value: Value<'_>) -> NodeId {
        let from = value.tree();
        let mut shifts = Vec::with_capacity(from.parts.len());
        for part in &from.parts {
            let known = self.parts.iter().find(|own| own.file.id() == part.file.id());
            let base = known.map(|own| own.base).unwrap_or_else(|| self.add_part(&part.file));
            shifts.push((part.base, base));
        }
        let shift = |range: Range32| {
            let after = shifts.partition_point(|&(base, _)| base <= range.start);
            match after.checked_sub(1).map(|index| shifts[index]) {
                Some((old, new)) if range != Range32::NOWHERE => {
                    Range32 { start: range.start - old + new, end: range.end - old + new }
                }
                _ => range,
            }
        };
        self.graft_node(from, value.id(), &shift)
    }

    fn graft_node(
        &mut self,
        from: &Self,
        id: NodeId,
        shift: &impl Fn(Range32) -> Range32,
    ) -> NodeId {
        let node = *from.node(id);
        let data = match node.data {
            Data::Text(text) => Data::Text(self.graft_text(from, text, shift)),
            Data::Sequence(range) => {
                let children = from.items(range).iter();
                let copies: Vec<NodeId> =
                    children.map(|&child| self.graft_node(from, child, shift)).collect();
                self.push_items(copies)
            }
            Data::Mapping(range) => {
                let mut copies = Vec::with_capacity(from.entries(range).len());
                for entry in from.entries(range) {
                    let key = self.graft_text(from, entry.key, shift);
                    let value = self.graft_node(from, entry.value, shift);
                    copies.push(Entry { key, key_range: shift(entry.key_range), value });
                }
                self.push_entries(copies)
            }
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => node.data,
        };
        self.push_node(data, shift(node.range))
    }

    fn graft_text(&mut self, from: &Self, text: Text, shift: &impl Fn(Range32) -> Range32) -> Text {
        if text.len & DECODED != 0 {
            return self.push_decoded(from.text(text));
        }
        let moved = shift(Range32 { start: text.start, end: text.start + text.len });
        Text { start: moved.start, len: text.len }
    }
}

/// Editing, and building from code. What is built has no place.
impl Tree {
    /// Adds a null.
    pub fn add_null(&mut self) -> NodeId {
        self.push_node(Data::Null, Range32::NOWHERE)
    }

    /// Adds a bool.
    pub fn add_bool(&mut self, value: bool) -> NodeId {
        self.push_node(Data::Bool(value), Range32::NOWHERE)
    }

    /// Adds an integer.
    pub fn add_int(&mut self, value: i64) -> NodeId {
        self.push_node(Data::Int(value), Range32::NOWHERE)
    }

    /// Adds a float.
    pub fn add_float(&mut self, value: f64) -> NodeId {
        self.push_node(Data::Float(value), Range32::NOWHERE)
    }

    /// Adds a text.
    pub fn add_str(&mut self, value: &str) -> NodeId {
        let text = self.push_decoded(value);
        self.push_node(Data::Text(text), Range32::NOWHERE)
    }

    /// Adds an empty mapping.
    pub fn add_mapping(&mut self) -> NodeId {
        let data = self.push_entries([]);
        self.push_node(data, Range32::NOWHERE)
    }

    /// Adds an empty sequence.
    pub fn add_sequence(&mut self) -> NodeId {
        let data = self.push_items([]);
        self.push_node(data, Range32::NOWHERE)
    }

    /// Makes another node the root.
    pub fn replace_root(&mut self, node: NodeId) {
        self.root = node;
    }

    /// Gives a mapping's key a value: in its old position if the key is there, else at the end.
    ///
    /// # Panics
    /// If the node is no mapping.
    pub fn set_entry(&mut self, mapping: NodeId, key: &str, value: NodeId) {
        let range = self.mapping_range(mapping);
        for index in range.start..range.end {
            if self.text(self.entry(index).key) == key {
                self.entry_mut(index).value = value;
                return;
            }
        }
        let key = self.push_decoded(key);
        let new = Entry { key, key_range: Range32::NOWHERE, value };
        let all: Vec<Entry> = self.entries(range).iter().copied().chain([new]).collect();
        self.node_mut(mapping).data = self.push_entries(all);
    }

    /// Removes a key; whether it was there.
    ///
    /// # Panics
    /// If the node is no mapping.
    pub fn remove_entry(&mut self, mapping: NodeId, key: &str) -> bool {
        let range = self.mapping_range(mapping);
        let keep = |entry: &&Entry| self.text(entry.key) != key;
        let kept: Vec<Entry> = self.entries(range).iter().filter(keep).copied().collect();
        let removed = kept.len() < self.entries(range).len();
        if removed {
            self.node_mut(mapping).data = self.push_entries(kept);
        }
        removed
    }

    /// Adds a value at the end of a sequence.
    ///
    /// # Panics
    /// If the node is no sequence.
    pub fn push_item(&mut self, sequence: NodeId, value: NodeId) {
        let items = self.sequence_items(sequence).chain([value]);
        let all: Vec<NodeId> = items.collect();
        self.node_mut(sequence).data = self.push_items(all);
    }

    /// Puts a value in the place of a sequence's item.
    ///
    /// # Panics
    /// If the node is no sequence or has no such item.
    pub fn set_item(&mut self, sequence: NodeId, index: usize, value: NodeId) {
        let Data::Sequence(range) = self.node(sequence).data else {
            panic!("set_item on {}", self.value(sequence).kind_name());
        };
        self.items[range.range()][index] = value;
    }

    pub(crate) fn new_entry(&mut self, key: &str, value: NodeId) -> Entry {
        let key = self.push_decoded(key);
        Entry { key, key_range: Range32::NOWHERE, value }
    }

    pub(crate) fn add_data(&mut self, data: Data) -> NodeId {
        self.push_node(data, Range32::NOWHERE)
    }

    fn sequence_items(&self, sequence: NodeId) -> impl Iterator<Item = NodeId> {
        let Data::Sequence(range) = self.node(sequence).data else {
            panic!("an item of {}", self.value(sequence).kind_name());
        };
        self.items(range).iter().copied()
    }

    fn mapping_range(&self, mapping: NodeId) -> Range32 {
        let Data::Mapping(range) = self.node(mapping).data else {
            panic!("an entry of {}", self.value(mapping).kind_name());
        };
        range
    }

    /// What was written for a scalar: `0644` for 420; a value built by code as it prints.
    pub(crate) fn written(&self, id: NodeId) -> Cow<'_, str> {
        let node = self.node(id);
        match node.data {
            Data::Text(text) => Cow::Borrowed(self.text(text)),
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => {
                self.source(node.range).map_or_else(|| printed(node.data), Cow::Borrowed)
            }
            Data::Sequence(_) | Data::Mapping(_) => Cow::Borrowed(""),
        }
    }
}

fn printed(data: Data) -> Cow<'static, str> {
    match data {
        Data::Null => Cow::Borrowed("null"),
        Data::Bool(true) => Cow::Borrowed("true"),
        Data::Bool(false) => Cow::Borrowed("false"),
        Data::Int(value) => Cow::Owned(value.to_string()),
        Data::Float(value) => Cow::Owned(format!("{value:?}")),
        Data::Text(_) | Data::Sequence(_) | Data::Mapping(_) => Cow::Borrowed(""),
    }
}

/// A tree with a null as root and no source.
impl Default for Tree {
    fn default() -> Self {
        let root = Node { data: Data::Null, range: Range32::NOWHERE };
        Self {
            parts: Vec::new(),
            nodes: vec![root],
            items: Vec::new(),
            entries: Vec::new(),
            decoded: String::new(),
            root: NodeId(0),
        }
    }
}
