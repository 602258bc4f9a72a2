//! Puts a tree together from a stream of scalars, starts and ends, within limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arena::{Data, Entry, NodeId, Range32, Text, Tree};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::parse::ParseOptions;
use super::source::{SourceFile, Span};

/// A mapping key as read, before its value.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) text: Text,
    pub(super) range: Range32,
    /// A plain `<<`.
    pub(super) merge: bool,
}

struct Pending {
    entry: Entry,
    merge: bool,
}

struct Frame {
    node: NodeId,
    mapping: bool,
    /// Where this collection's children begin in `items` or `pending`.
    from: usize,
    key: Option<Key>,
    /// Whether a `<<` was met.
    merges: bool,
    anchor: usize,
}

/// The tree being built, and the collections that are still open.
pub(super) struct Builder<'o> {
    pub(super) tree: Tree,
    options: &'o ParseOptions,
    frames: Vec<Frame>,
    items: Vec<NodeId>,
    pending: Vec<Pending>,
    root: Option<NodeId>,
    /// Finished anchored nodes by the parser's number.
    anchors: BTreeMap<usize, NodeId>,
    aliased: usize,
}

/// What the next node would be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Item,
    Key,
    Value,
}

impl<'o> Builder<'o> {
    pub(super) fn new(file: &Arc<SourceFile>, options: &'o ParseOptions) -> Self {
        Self {
            tree: Tree::over(file),
            options,
            frames: Vec::new(),
            items: Vec::new(),
            pending: Vec::new(),
            root: None,
            anchors: BTreeMap::new(),
            aliased: 0,
        }
    }

    pub(super) fn place(&self) -> Place {
        match self.frames.last() {
            None => Place::Root,
            Some(frame) if !frame.mapping => Place::Item,
            Some(frame) if frame.key.is_none() => Place::Key,
            Some(_) => Place::Value,
        }
    }

    /// The key whose value is still missing in the innermost mapping.
    pub(super) fn key(&mut self, key: Key) {
        let frame = self.frames.last_mut().expect("a key lies in a mapping");
        frame.merges |= key.merge;
        frame.key = Some(key);
    }

    pub(super) fn scalar(
        &mut self,
        data: Data,
        range: Range32,
        anchor: usize,
    ) -> Result<(), Diagnostic> {
        let node = self.node(data, range)?;
        self.anchor(anchor, node);
        self.attach(node);
        Ok(())
    }

    pub(super) fn begin(
        &mut self,
        mapping: bool,
        range: Range32,
        anchor: usize,
    ) -> Result<(), Diagnostic> {
        if self.frames.len() >= self.options.limits.depth {
            return Err(too_deep(self.tree.span(range), self.options.limits.depth));
        }
        let node = self.node(Data::Null, range)?;
        let from = if mapping { self.pending.len() } else { self.items.len() };
        self.frames.push(Frame { node, mapping, from, key: None, merges: false, anchor });
        Ok(())
    }

    /// Closes the innermost collection; `end` is one past its last byte, if the text says so.
    pub(super) fn end(
        &mut self,
        end: Option<usize>,
        found: &mut Diagnostics,
    ) -> Result<(), Diagnostic> {
        let frame = self.frames.pop().expect("an end closes a collection");
        let data = if frame.mapping {
            self.end_mapping(&frame, found)?
        } else {
            let tree = &mut self.tree;
            tree.push_items(self.items.drain(frame.from..))
        };
        let last = self.last_byte(data);
        let node = self.tree.node_mut(frame.node);
        node.data = data;
        let end = end.map_or(last, super::source::offset);
        node.range.end = end.max(node.range.start);
        self.anchor(frame.anchor, frame.node);
        self.attach(frame.node);
        Ok(())
    }

    /// The finished document; `None` if nothing was in it.
    pub(super) fn finish(mut self) -> Option<Tree> {
        let root = self.root.take()?;
        self.tree.set_root(root);
        Some(self.tree)
    }

    fn node(&mut self, data: Data, range: Range32) -> Result<NodeId, Diagnostic> {
        if self.tree.node_count() >= self.options.limits.nodes {
            let message = format!("more than {} values in a document", self.options.limits.nodes);
            return Err(Diagnostic::error(self.tree.span(range), message));
        }
        Ok(self.tree.push_node(data, range))
    }

    fn anchor(&mut self, anchor: usize, node: NodeId) {
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
    }

    fn attach(&mut self, node: NodeId) {
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return;
        };
        if !frame.mapping {
            self.items.push(node);
            return;
        }
        let key = frame.key.take().expect("a value follows its key");
        let entry = Entry { key: key.text, key_range: key.range, value: node };
        self.pending.push(Pending { entry, merge: key.merge });
    }

    fn last_byte(&self, data: Data) -> u32 {
        let last = match data {
            Data::Sequence(range) => self.tree.items(range).last().copied(),
            Data::Mapping(range) => self.tree.entries(range).last().map(|entry| entry.value),
            _ => None,
        };
        last.map_or(0, |node| self.tree.node(node).range.end)
    }
}

/// Mappings: repeated keys and merges.
impl Builder<'_> {
    fn end_mapping(&mut self, frame: &Frame, found: &mut Diagnostics) -> Result<Data, Diagnostic> {
        let pending: Vec<Pending> = self.pending.drain(frame.from..).collect();
        if frame.merges {
            return self.end_merged(&pending, found);
        }
        let repeats = self.repeats(&pending);
        if repeats.is_empty() {
            return Ok(self.tree.push_entries(pending.into_iter().map(|p| p.entry)));
        }
        // The last value wins, in the position of the first.
        let mut entries: Vec<Option<Entry>> = pending.iter().map(|p| Some(p.entry)).collect();
        for (first, again) in repeats {
            self.report_repeat(&pending[first].entry, &pending[again].entry, found);
            entries[first] = entries[again].take();
        }
        Ok(self.tree.push_entries(entries.into_iter().flatten()))
    }

    /// Pairs (first index, later index) of equal keys, the later ones ascending.
    fn repeats(&self, pending: &[Pending]) -> Vec<(usize, usize)> {
        let key = |index: usize| self.tree.text(pending[index].entry.key);
        if pending.len() <= 16 {
            let first_of = |again: usize| (0..again).find(|&first| key(first) == key(again));
            let pairs = (1..pending.len()).map(|again| (first_of(again), again));
            return pairs.filter_map(|(first, again)| Some((first?, again))).collect();
        }
        let mut order: Vec<usize> = (0..pending.len()).collect();
        order.sort_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        let runs = order.chunk_by(|&a, &b| key(a) == key(b));
        let mut pairs: Vec<(usize, usize)> =
            runs.flat_map(|run| run[1..].iter().map(|&again| (run[0], again))).collect();
        pairs.sort_by_key(|&(_, again)| again);
        pairs
    }

    fn report_repeat(&self, first: &Entry, again: &Entry, found: &mut Diagnostics) {
        let message = format!("key \"{}\" is given twice", self.tree.text(again.key));
        let severity = self.options.duplicate_keys;
        let place = self.tree.span(again.key_range);
        let before = self.tree.span(first.key_range);
        found.push(Diagnostic::new(severity, place, message).with_related(before, "first here"));
    }

    /// As go-yaml v2 `decoder.mapping` and `merge`: entries take effect in the order of the text,
    /// a merge as if its entries stood in its place; of several merged mappings the first wins.
    fn end_merged(
        &mut self,
        pending: &[Pending],
        found: &mut Diagnostics,
    ) -> Result<Data, Diagnostic> {
        let mut merged: Vec<(Entry, bool)> = Vec::new();
        for p in pending {
            if !p.merge {
                self.put(&mut merged, p.entry, true, found);
                continue;
            }
            for entry in self.merge_sources(&p.entry)? {
                self.put(&mut merged, entry, false, found);
            }
        }
        Ok(self.tree.push_entries(merged.into_iter().map(|(entry, _)| entry)))
    }

    fn put(
        &self,
        merged: &mut Vec<(Entry, bool)>,
        entry: Entry,
        explicit: bool,
        found: &mut Diagnostics,
    ) {
        let same = |(old, _): &(Entry, bool)| self.tree.text(old.key) == self.tree.text(entry.key);
        let Some(old) = merged.iter().position(same) else {
            merged.push((entry, explicit));
            return;
        };
        if explicit && merged[old].1 {
            self.report_repeat(&merged[old].0, &entry, found);
        }
        merged[old] = (entry, explicit || merged[old].1);
    }

    fn merge_sources(&self, entry: &Entry) -> Result<Vec<Entry>, Diagnostic> {
        let mapping = |node: NodeId| match self.tree.node(node).data {
            Data::Mapping(range) => Ok(self.tree.entries(range)),
            _ => {
                let place = self.tree.span(entry.key_range);
                let message = "\"<<\" merges a mapping or a list of mappings";
                Err(Diagnostic::error(place, message))
            }
        };
        let Data::Sequence(range) = self.tree.node(entry.value).data else {
            return mapping(entry.value).map(<[Entry]>::to_vec);
        };
        let mut all = Vec::new();
        for &item in self.tree.items(range).iter().rev() {
            all.extend_from_slice(mapping(item)?);
        }
        Ok(all)
    }
}

/// Aliases: expanded to copies, within limits.
impl Builder<'_> {
    /// The scalar that an alias in the place of a key stands for.
    pub(super) fn aliased(&self, anchor: usize) -> Option<NodeId> {
        self.anchors.get(&anchor).copied()
    }

    /// Remembers an anchored key, as the text that it is.
    pub(super) fn anchor_key(&mut self, anchor: usize, text: Text, range: Range32) {
        if anchor != 0 {
            let node = self.tree.push_node(Data::Text(text), range);
            self.anchor(anchor, node);
        }
    }

    pub(super) fn alias(&mut self, anchor: usize, range: Range32) -> Result<(), Diagnostic> {
        let use_site = self.tree.span(range);
        let Some(node) = self.aliased(anchor) else {
            let message = "an alias inside the value that it stands for";
            return Err(Diagnostic::error(use_site, message));
        };
        let before = self.tree.node_count();
        let budget = self.options.limits.alias_nodes.saturating_sub(self.aliased);
        let definition = self.tree.span(self.tree.node(node).range);
        let depth = self.frames.len();
        let copied = self.copy(node, depth, before.saturating_add(budget));
        self.aliased += self.tree.node_count() - before;
        match copied {
            Ok(copy) => {
                self.attach(copy);
                Ok(())
            }
            Err(TooMuch::Nodes) => {
                let limit = self.options.limits.alias_nodes;
                let message = format!("aliases expand to more than {limit} values");
                let diagnostic = Diagnostic::error(use_site, message);
                Err(diagnostic.with_related(definition, "the value that is repeated"))
            }
            Err(TooMuch::Depth) => Err(too_deep(use_site, self.options.limits.depth)
                .with_related(definition, "the value that is repeated")),
        }
    }

    /// Recursion is bounded by the depth limit.
    fn copy(&mut self, from: NodeId, depth: usize, nodes_max: usize) -> Result<NodeId, TooMuch> {
        if self.tree.node_count() >= nodes_max {
            return Err(TooMuch::Nodes);
        }
        let node = *self.tree.node(from);
        let copy = self.tree.push_node(node.data, node.range);
        let collection = matches!(node.data, Data::Sequence(_) | Data::Mapping(_));
        if collection && depth >= self.options.limits.depth {
            return Err(TooMuch::Depth);
        }
        if let Data::Sequence(range) = node.data {
            let mut items = self.tree.items(range).to_vec();
            for item in &mut items {
                *item = self.copy(*item, depth + 1, nodes_max)?;
            }
            self.tree.node_mut(copy).data = self.tree.push_items(items);
        }
        if let Data::Mapping(range) = node.data {
            let mut entries = self.tree.entries(range).to_vec();
            for entry in &mut entries {
                entry.value = self.copy(entry.value, depth + 1, nodes_max)?;
            }
            self.tree.node_mut(copy).data = self.tree.push_entries(entries);
        }
        Ok(copy)
    }
}

enum TooMuch {
    Nodes,
    Depth,
}

fn too_deep(place: Span, limit: usize) -> Diagnostic {
    Diagnostic::error(place, format!("nested deeper than {limit} levels"))
}
