//! Dotted paths into a tree: `spec.containers[0].image`, `nodes[pool=workers].count`.
//!
//! A step is a key, an index `[0]`, a choice `[key=value]` of the item that has it, or a key in
//! quotes where it has dots: `labels["app.kubernetes.io/name"]`.

use std::borrow::Cow;
use std::ops::Range;

use super::arena::{NodeId, Tree};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::parse::ParseOptions;
use super::source::{Sources, Span, offset};
use super::spanned::Spanned;
use super::suggest::closest;
use super::value::Value;
use super::yaml;

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// What is wrong, as a lower-case fragment.
    pub message: Cow<'static, str>,
    /// What to write instead.
    pub hint: Option<String>,
    /// The bytes of the path that are wrong.
    pub range: Range<usize>,
}

impl PathError {
    fn new(range: Range<usize>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), hint: None, range }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// As a message at the path, which is written from `start` of `place` on.
    fn diagnostic(self, place: Span) -> Diagnostic {
        let at = |byte: usize| place.start + offset(byte);
        let span = Span::new(place.file, at(self.range.start), at(self.range.end));
        let diagnostic = Diagnostic::error(span, self.message);
        match self.hint {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Where { key: String, value: String },
}

/// Longer paths would nest values deeper than reading them does.
const STEPS_MAX: usize = 64;

/// A step and its bytes in the path.
type Placed = (Step, Range<usize>);

impl<'t> Value<'t> {
    /// The value at a path.
    ///
    /// # Errors
    /// If the path is malformed or leads nowhere; the error names the step and what is there.
    pub fn find(self, path: &str) -> Result<Self, PathError> {
        let mut value = self;
        for (step, range) in steps(path)? {
            value = match &step {
                Step::Key(key) => value.get(key).ok_or_else(|| no_key(value, key, &range))?,
                Step::Index(_) | Step::Where { .. } => {
                    let index = item(value, &step, &range)?;
                    let items = value.len();
                    value.items().nth(index).ok_or_else(|| no_item(items, &range))?
                }
            };
        }
        Ok(value)
    }
}

impl Tree {
    /// Puts a copy of a value at a path; mappings on the way are made where they are absent, and
    /// an index one past the end appends.
    ///
    /// # Errors
    /// If the path is malformed or does not fit what is there.
    pub fn set(&mut self, path: &str, value: Value<'_>) -> Result<(), PathError> {
        self.set_under(self.root().id(), path, value)
    }

    /// As [`Tree::set`], with a path that begins at a node of this tree.
    ///
    /// # Errors
    /// If the path is malformed or does not fit what is there.
    pub fn set_under(
        &mut self,
        node: NodeId,
        path: &str,
        value: Value<'_>,
    ) -> Result<(), PathError> {
        let steps = steps(path)?;
        let mut parent = node;
        let Some((last, way)) = steps.split_last() else {
            return Ok(());
        };
        for (index, (step, range)) in way.iter().enumerate() {
            let next = &steps[index + 1].0;
            parent = self.enter(parent, step, range, next)?;
        }
        let (step, range) = last;
        let value = self.graft(value);
        match step {
            Step::Key(key) => {
                self.become_mapping(parent, range)?;
                self.set_entry(parent, key, value);
            }
            Step::Index(_) | Step::Where { .. } => {
                let index = item(self.value(parent), step, range)?;
                let items = self.value(parent).len();
                match index {
                    _ if index < items => self.set_item(parent, index, value),
                    _ if index == items => self.push_item(parent, value),
                    _ => return Err(no_item(items, range)),
                }
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        parent: NodeId,
        step: &Step,
        range: &Range<usize>,
        next: &Step,
    ) -> Result<NodeId, PathError> {
        if let Step::Key(key) = step {
            self.become_mapping(parent, range)?;
            if let Some(child) = self.value(parent).field(key) {
                return Ok(child.id());
            }
            let child = match next {
                Step::Key(_) => self.add_mapping(),
                Step::Index(_) | Step::Where { .. } => self.add_sequence(),
            };
            self.set_entry(parent, key, child);
            return Ok(child);
        }
        let value = self.value(parent);
        let index = item(value, step, range)?;
        let found = value.items().nth(index).map(Value::id);
        found.ok_or_else(|| no_item(self.value(parent).len(), range))
    }

    /// A null may become a mapping; anything else must be one.
    fn become_mapping(&mut self, node: NodeId, range: &Range<usize>) -> Result<(), PathError> {
        if self.value(node).is_null() {
            self.node_mut(node).data = self.push_entries([]);
        }
        if self.value(node).is_mapping() {
            return Ok(());
        }
        let message = format!("no key can be set in {}", self.value(node).kind_name());
        let error = PathError::new(range.clone(), message);
        Err(match self.value(node).is_sequence() {
            true => error.hint("an item of it is written [0], or [key=value]"),
            false => error,
        })
    }
}

/// `path=value` or `KIND/NAME:path=value`, as of `--set`: what is laid over a file, or over an
/// object of the manifests.
#[derive(Clone, Debug)]
pub struct Assignment {
    all: Span,
    /// `KIND/[NAMESPACE/]NAME`, if it is for an object.
    pub target: Option<Spanned<String>>,
    path: Spanned<String>,
    value: Tree,
}

impl Assignment {
    /// Reads an assignment; the value is YAML. `None` if it is none, which is said.
    ///
    /// The text is added to the sources as `name`, so that messages about the value show it.
    pub fn read(
        name: &str,
        assignment: &str,
        sources: &mut Sources,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let before = found.error_count();
        let file = sources.add(name, assignment);
        let span = |range: Range<usize>| Span::new(file, offset(range.start), offset(range.end));
        let all = span(0..assignment.len());
        let Some(equals) = assignment_sign(assignment) else {
            let diagnostic = Diagnostic::error(all, "expected `path=value`");
            found.push(diagnostic.with_hint("for example run.seed=7"));
            return None;
        };
        let mut documents = Vec::new();
        let options = ParseOptions::scenario();
        let segment = equals + 1..assignment.len();
        yaml::parse(sources.file(file), segment, &options, found, &mut documents);
        if found.error_count() > before {
            return None;
        }
        let value = documents.into_iter().next().map_or_else(Tree::default, |first| first.tree);
        let start = object_end(&assignment[..equals]).map_or(0, |colon| colon + 1);
        let end = assignment[..equals].trim_end().len().max(start);
        let target = start
            .checked_sub(1)
            .map(|colon| Spanned { value: assignment[..colon].to_owned(), span: span(0..colon) });
        let path = Spanned { value: assignment[start..end].to_owned(), span: span(start..end) };
        Some(Self { all, target, path, value })
    }

    /// Lays the value over what a node of a tree holds. Whether it went well.
    pub fn apply(&self, tree: &mut Tree, node: NodeId, found: &mut Diagnostics) -> bool {
        match tree.set_under(node, &self.path.value, self.value.root()) {
            Ok(()) => true,
            Err(error) => {
                let start = Span { start: self.path.span.start, ..self.all };
                found.push(error.diagnostic(start));
                false
            }
        }
    }

    /// The path within the file or object.
    #[must_use]
    pub fn path(&self) -> &Spanned<String> {
        &self.path
    }
}

/// Where the object's name ends: the first colon, if what is before it is `KIND/NAME`.
fn object_end(path: &str) -> Option<usize> {
    let colon = path.find(':')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
    let before = &path[..colon];
    (before.contains('/') && before.chars().all(is_name)).then_some(colon)
}

/// The first `=` outside of brackets and quotes.
fn assignment_sign(text: &str) -> Option<usize> {
    let mut brackets = 0_usize;
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => brackets += 1,
            ']' if !quoted => brackets = brackets.saturating_sub(1),
            '=' if !quoted && brackets == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn no_key(value: Value<'_>, key: &str, range: &Range<usize>) -> PathError {
    if !value.is_mapping() {
        let message = format!("no key \"{key}\" in {}", value.kind_name());
        return PathError::new(range.clone(), message);
    }
    let error = PathError::new(range.clone(), format!("no key \"{key}\""));
    match closest(key, value.entries().map(|entry| entry.key)) {
        Some(close) => error.hint(format!("did you mean \"{close}\"?")),
        None => error,
    }
}

fn no_item(items: usize, range: &Range<usize>) -> PathError {
    PathError::new(range.clone(), format!("the list has {items} items; the first is [0]"))
}

/// The index that a step means in a list (perhaps one past its end).
fn item(value: Value<'_>, step: &Step, range: &Range<usize>) -> Result<usize, PathError> {
    if !value.is_sequence() {
        let message = format!("an item of {}: only lists have some", value.kind_name());
        return Err(PathError::new(range.clone(), message));
    }
    let (key, wanted) = match step {
        Step::Index(index) => return Ok(*index),
        Step::Where { key, value } => (key, value),
        Step::Key(_) => unreachable!("keys are no items"),
    };
    let has = |item: Value<'_>| item.get(key).is_some_and(|v| v.written() == wanted.as_str());
    if let Some(index) = value.items().position(has) {
        return Ok(index);
    }
    let error = PathError::new(range.clone(), format!("no item with {key}={wanted}"));
    let values = value.items().filter_map(|item| item.get(key));
    let there: Vec<String> = values.map(|value| value.written().into_owned()).take(20).collect();
    Err(if there.is_empty() { error } else { error.hint(format!("{key} is {}", there.join(", "))) })
}

/// Takes a path apart.
fn steps(path: &str) -> Result<Vec<Placed>, PathError> {
    let mut steps = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let rest = &path[at..];
        let (step, used) = if rest.starts_with('[') {
            bracket(rest, at)?
        } else {
            key(rest, at, steps.is_empty())?
        };
        steps.push((step, at..at + used));
        at += used;
    }
    match steps.len() {
        0 => Err(PathError::new(0..path.len(), "an empty path")),
        count if count > STEPS_MAX => {
            let message = format!("a path of more than {STEPS_MAX} steps");
            Err(PathError::new(0..path.len(), message))
        }
        _ => Ok(steps),
    }
}

fn key(rest: &str, at: usize, first: bool) -> Result<(Step, usize), PathError> {
    let dot = usize::from(rest.starts_with('.'));
    let name = &rest[dot..];
    let length = name.find(['.', '[']).unwrap_or(name.len());
    if length == 0 || first && dot == 1 || !first && dot == 0 {
        let end = at + rest.chars().next().map_or(0, char::len_utf8);
        return Err(PathError::new(at..end, "expected a key here"));
    }
    Ok((Step::Key(name[..length].to_owned()), dot + length))
}

fn bracket(rest: &str, at: usize) -> Result<(Step, usize), PathError> {
    let wrong = |message: &'static str| Err(PathError::new(at..at + rest.len(), message));
    if let Some(quoted) = rest.strip_prefix("[\"") {
        return match quoted.find("\"]") {
            Some(end) => Ok((Step::Key(quoted[..end].to_owned()), end + 4)),
            None => wrong("a `[\"` without `\"]`"),
        };
    }
    let Some(end) = rest.find(']') else {
        return wrong("a `[` without `]`");
    };
    let inside = &rest[1..end];
    if let Some((key, value)) = inside.split_once('=') {
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        return Ok((Step::Where { key, value }, end + 1));
    }
    match inside.trim().parse() {
        Ok(index) => Ok((Step::Index(index), end + 1)),
        Err(_) => {
            let message = "expected `[0]`, `[key=value]` or `[\"key\"]`";
            Err(PathError::new(at..at + end + 1, message))
        }
    }
}

/// The path from the root to a node; empty for the root.
pub(super) fn path_of(tree: &Tree, node: NodeId) -> String {
    let mut steps = Vec::new();
    walk(tree.root(), node, &mut steps);
    steps.concat()
}

/// Depth-first; recursion is bounded by the depth limit of reading.
fn walk(value: Value<'_>, sought: NodeId, steps: &mut Vec<String>) -> bool {
    if value.id() == sought {
        return true;
    }
    for (index, item) in value.items().enumerate() {
        steps.push(format!("[{index}]"));
        if walk(item, sought, steps) {
            return true;
        }
        steps.pop();
    }
    for entry in value.entries() {
        steps.push(key_step(entry.key, steps.is_empty()));
        if walk(entry.value, sought, steps) {
            return true;
        }
        steps.pop();
    }
    false
}

fn key_step(key: &str, first: bool) -> String {
    let simple = !key.is_empty() && !key.contains(['.', '[', ']', '=', '"']);
    match (simple, first) {
        (true, true) => key.to_owned(),
        (true, false) => format!(".{key}"),
        (false, _) => format!("[\"{key}\"]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::parse;

    const TEXT: &str = "\
run: {seed: 1}
nodes:
- {pool: workers, count: 6}
- {pool: gpu, count: 1}
labels: {app.kubernetes.io/name: x}
behaviors:
- serve: {hold: 20ms}
none:
";

    fn set(assignments: &[&str]) -> (Tree, Sources, Diagnostics) {
        let mut sources = Sources::new();
        let file = sources.add("f", TEXT);
        let mut found = Diagnostics::new();
        let mut documents = parse(&sources, file, &ParseOptions::scenario(), &mut found);
        let mut tree = documents.remove(0).tree;
        for assignment in assignments {
            if let Some(read) = Assignment::read("--set", assignment, &mut sources, &mut found) {
                let root = tree.root().id();
                read.apply(&mut tree, root, &mut found);
            }
        }
        (tree, sources, found)
    }

    fn at(tree: &Tree, path: &str) -> String {
        format!("{:?}", tree.root().find(path).unwrap())
    }

    #[test]
    fn values_are_set_at_paths() {
        let (tree, sources, found) = set(&[
            "run.seed=7",
            "nodes[pool=workers].count=9",
            "nodes[1].count=2",
            "nodes[2]={pool: new, count: [1]}",
            "behaviors[0].serve.hold=30ms",
            "labels[\"app.kubernetes.io/name\"]=\"yes\"",
            "a.b.c=0x10",
            "none.x=~",
            "seq[0]=1",
        ]);
        assert_eq!(found.lines(&sources), [""; 0]);
        let paths = ["run.seed", "nodes[pool=workers].count", "nodes[pool=gpu].count", "nodes[2]"];
        let said: Vec<String> = paths.iter().map(|path| at(&tree, path)).collect();
        assert_eq!(said, ["7", "9", "2", r#"{"pool": "new", "count": [1]}"#]);
        assert_eq!(at(&tree, "labels[\"app.kubernetes.io/name\"]"), "\"yes\"");
        assert_eq!(at(&tree, "a.b.c"), "16");
        assert_eq!(at(&tree, "none"), r#"{"x": null}"#);
        assert_eq!(at(&tree, "seq"), "[1]");
        let seed = tree.root().find("run.seed").unwrap();
        assert_eq!(sources.place(seed.span()), "--set:1:10");
        let hold = tree.root().find("behaviors[0].serve.hold").unwrap();
        assert_eq!(
            (sources.text(hold.span()), hold.path()),
            ("30ms", "behaviors[0].serve.hold".to_owned())
        );
        let pool = tree.root().find("nodes[0].pool").unwrap();
        assert_eq!(sources.place(pool.span()), "f:3:10");
    }

    #[test]
    fn wrong_paths_say_where_and_what_is_there() {
        let cases = [
            ("seed", "--set:1:1: error: expected `path=value`"),
            ("run..seed=1", "--set:1:4: error: expected a key here"),
            (".run=1", "--set:1:1: error: expected a key here"),
            ("nodes[9].count=1", "--set:1:6: error: the list has 2 items; the first is [0]"),
            ("nodes[pool=x].count=1", "--set:1:6: error: no item with pool=x"),
            ("nodes[x]=1", "--set:1:6: error: expected `[0]`, `[key=value]` or `[\"key\"]`"),
            ("nodes[0=1", "--set:1:1: error: expected `path=value`"),
            ("run.seed.x=1", "--set:1:9: error: no key can be set in an integer"),
            ("run[0]=1", "--set:1:4: error: an item of a mapping: only lists have some"),
            ("run=[1", "--set:1:5: error: a `[` that is never closed"),
        ];
        for (assignment, expected) in cases {
            let (_, sources, found) = set(&[assignment]);
            let said = found.lines(&sources);
            assert_eq!(said.len(), 1, "{assignment}: {said:?}");
            assert!(said[0].starts_with(expected), "{assignment}: {said:?}");
        }
        let (tree, ..) = set(&[]);
        let error = tree.root().find("run.sede").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean \"seed\"?"));
    }
}
