//! Objects and who they are: apiVersion, kind, namespace, name.

use std::sync::Arc;

use crate::tree::{
    Assignment, Diagnostic, Diagnostics, FileId, NodeId, ParseOptions, Severity, Sources, Span,
    Spanned, Tree, Value, parse,
};

use super::find::Found;

/// A Kubernetes object as it was written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Document {
    tree: Arc<Tree>,
    node: NodeId,
    /// The file that holds it.
    pub file: FileId,
    /// The template that helm rendered it from, if a comment `# Source: …` says so.
    pub origin: Option<Arc<str>>,
    /// `apiVersion`; for an item of a typed list that of the list.
    pub api_version: Spanned<String>,
    /// `kind`.
    pub kind: Spanned<String>,
    /// `metadata.namespace`, if given.
    pub namespace: Option<Spanned<String>>,
    /// `metadata.name`; never empty.
    pub name: Spanned<String>,
}

impl Document {
    /// The whole object.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        self.tree.value(self.node)
    }

    /// The tree that the object is a part of.
    #[must_use]
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Lays a value over the object. What it is and what it is called cannot be changed so.
    pub fn set(&mut self, assignment: &Assignment, found: &mut Diagnostics) {
        let path = assignment.path();
        if matches!(
            path.value.as_str(),
            "kind" | "apiVersion" | "metadata.name" | "metadata.namespace"
        ) {
            let message = format!("{} says which object it is: it cannot be set", path.value);
            return found.push(Diagnostic::error(path.span, message));
        }
        assignment.apply(Arc::make_mut(&mut self.tree), self.node, found);
    }

    /// Where messages about the object as a whole point: its name.
    #[must_use]
    pub fn span(&self) -> Span {
        self.name.span
    }
}

/// What is said of a scheduler's configuration among manifests.
pub const SCHEDULER_CONFIG: &str =
    "a scheduler's configuration is no object of a cluster: left out";

/// Adds the objects of a file.
pub(super) fn read_file(
    sources: &Sources,
    file: FileId,
    options: &ParseOptions,
    how: &Found,
    found: &mut Diagnostics,
    documents: &mut Vec<Document>,
) {
    let before = found.len();
    let parsed = parse(sources, file, options, found);
    hint_at_templates(sources, file, before, found);
    for parsed in parsed {
        let tree = Arc::new(parsed.tree);
        let mut reader = Reader {
            tree: &tree,
            file,
            origin: parsed.origin.map(Arc::from),
            itself: how.itself,
            found,
            documents,
        };
        reader.object(tree.root(), None);
    }
}

/// What an item of a typed list has from its list.
#[derive(Clone, Copy)]
struct Inherited<'t> {
    api_version: Option<Value<'t>>,
    list_kind: Value<'t>,
}

struct Reader<'a> {
    tree: &'a Arc<Tree>,
    file: FileId,
    origin: Option<Arc<str>>,
    itself: bool,
    found: &'a mut Diagnostics,
    documents: &'a mut Vec<Document>,
}

impl<'a> Reader<'a> {
    /// Recursion (lists in lists) is bounded by the depth limit of reading.
    fn object(&mut self, value: Value<'a>, list: Option<Inherited<'a>>) {
        if !value.is_mapping() {
            let message = format!("expected a Kubernetes object, found {}", value.kind_name());
            self.found.error(value.span(), message);
            return;
        }
        let has = |key: &str| value.entry(key).is_some();
        if list.is_none() && !(has("apiVersion") || has("kind") || has("metadata")) {
            let message = "this is no Kubernetes object: it has no apiVersion, kind and metadata";
            self.found.error(value.span(), message);
            return;
        }
        let before = self.found.error_count();
        let kind = self.kind(value, list);
        let inherited = list.and_then(|list| list.api_version);
        let api_version = self.text(value, "apiVersion", value.field("apiVersion").or(inherited));
        if let Some(kind) = &kind
            && (self.list(value, kind) || self.foreign(value, api_version.as_ref()))
        {
            return;
        }
        let metadata = value.field("metadata");
        let name = self.name(value, metadata);
        let namespace = metadata.and_then(|m| m.field("namespace"));
        let namespace = namespace.and_then(|text| self.text(value, "namespace", Some(text)));
        let (Some(api_version), Some(kind), Some(name)) = (api_version, kind, name) else {
            return;
        };
        if self.found.error_count() > before {
            return;
        }
        let (file, origin) = (self.file, self.origin.clone());
        let (tree, node) = (Arc::clone(self.tree), value.id());
        self.documents.push(Document {
            tree,
            node,
            file,
            origin,
            api_version,
            kind,
            namespace,
            name,
        });
    }

    fn kind(&mut self, value: Value<'a>, list: Option<Inherited<'a>>) -> Option<Spanned<String>> {
        let inherited = || {
            let list_kind = list?.list_kind;
            let kind = list_kind.as_str()?.strip_suffix("List")?;
            (!kind.is_empty()).then(|| Spanned::new(kind.to_owned(), list_kind.span()))
        };
        match value.field("kind") {
            None => inherited().or_else(|| self.text(value, "kind", None)),
            Some(kind) => self.text(value, "kind", Some(kind)),
        }
    }

    /// Flattens a list; whether it was one.
    fn list(&mut self, value: Value<'a>, kind: &Spanned<String>) -> bool {
        let Some(items) = value.get("items").filter(|_| kind.ends_with("List")) else {
            return false;
        };
        if !(items.is_sequence() || items.is_null()) {
            let message = format!("items of a list must be a list, found {}", items.kind_name());
            self.found.error(items.span(), message);
            return true;
        }
        let Some(list_kind) = value.field("kind") else {
            return false;
        };
        let list = Inherited { api_version: value.field("apiVersion"), list_kind };
        for item in items.items() {
            self.object(item, Some(list));
        }
        true
    }

    /// What other tools read: not objects of a cluster. Whether it was such.
    fn foreign(&mut self, value: Value<'a>, api_version: Option<&Spanned<String>>) -> bool {
        let Some(api_version) = api_version else {
            return false;
        };
        let group = api_version.split('/').next().unwrap_or("");
        if group == "kustomize.config.k8s.io" {
            let message = "an instruction for kustomize is not applied";
            let diagnostic = Diagnostic::warning(api_version.span, message);
            let hint = "render it: kubectl kustomize … | seatrial … -";
            self.found.push(diagnostic.with_hint(hint));
            return true;
        }
        if group == "kubescheduler.config.k8s.io" {
            let warning = Diagnostic::warning(api_version.span, SCHEDULER_CONFIG);
            let hint = "name the file in the scenario: cluster: { scheduler: { config: FILE } }";
            self.found.push(warning.with_hint(hint));
            return true;
        }
        if group != "seatrial" {
            return false;
        }
        if self.itself {
            let message = "a file for seatrial itself, not a Kubernetes object";
            self.found.error(value.span(), message);
        }
        true
    }

    fn name(&mut self, value: Value<'a>, metadata: Option<Value<'a>>) -> Option<Spanned<String>> {
        let name = metadata.and_then(|metadata| metadata.field("name"));
        if name.is_some() {
            return self.text(value, "metadata.name", name);
        }
        let place = metadata.map_or_else(|| value.span(), Value::span);
        let diagnostic = Diagnostic::error(place, "the object has no metadata.name");
        let generated = metadata.is_some_and(|metadata| metadata.field("generateName").is_some());
        self.found.push(match generated {
            true => diagnostic.with_hint("metadata.generateName is not enough to apply an object"),
            false => diagnostic,
        });
        None
    }

    /// A text that must be there.
    fn text(
        &mut self,
        object: Value<'a>,
        key: &str,
        value: Option<Value<'a>>,
    ) -> Option<Spanned<String>> {
        let Some(value) = value else {
            let mut diagnostic =
                Diagnostic::error(object.span(), format!("the object has no {key}"));
            if let Some(close) = near_key(object, key) {
                diagnostic = diagnostic.with_related(close, "is this it?");
            }
            self.found.push(diagnostic);
            return None;
        };
        match value.as_str() {
            Some(text) if text.contains("{{") => {
                let message = format!("{key} is a template, not a name");
                let diagnostic = Diagnostic::error(value.span(), message);
                self.found.push(diagnostic.with_hint(HELM_HINT));
                None
            }
            Some(text) if !text.is_empty() => Some(Spanned::new(text.to_owned(), value.span())),
            Some(_) => {
                self.found.error(value.span(), format!("{key} is empty"));
                None
            }
            None => {
                let message = format!("{key} must be a string, found {}", value.kind_name());
                let hint = format!("quote it: \"{}\"", value.written());
                let scalar = !(value.is_mapping() || value.is_sequence());
                let diagnostic = Diagnostic::error(value.span(), message);
                self.found.push(if scalar { diagnostic.with_hint(hint) } else { diagnostic });
                None
            }
        }
    }
}

fn near_key(object: Value<'_>, key: &str) -> Option<Span> {
    let close = crate::tree::closest(key, object.entries().map(|entry| entry.key))?;
    object.entry(close).map(|entry| entry.key_span)
}

const HELM_HINT: &str =
    "is it a helm template? render the chart: helm template CHART | seatrial … -";

/// What a document that is no YAML may be, if it holds a template action.
fn hint_at_templates(sources: &Sources, file: FileId, from: usize, found: &mut Diagnostics) {
    if found.len() == from || !sources.file(file).text().contains("{{") {
        return;
    }
    found.edit_from(from, |diagnostic| {
        if diagnostic.severity != Severity::Error {
            return;
        }
        if let Some(action) = action_in_document(sources, diagnostic.span) {
            diagnostic.hint = Some(HELM_HINT.into());
            if action.start != diagnostic.span.start {
                diagnostic.related.push((action, "a template action".into()));
            }
        }
    });
}

/// The first `{{` in the document around a place.
fn action_in_document(sources: &Sources, place: Span) -> Option<Span> {
    let text = sources.file_of(place)?.text();
    let at = (0..=place.start as usize).rev().find(|&at| text.is_char_boundary(at))?;
    let start = text[..at].rfind("\n---").map_or(0, |marker| marker + 1);
    let end = text[at..].find("\n---").map_or(text.len(), |marker| at + marker);
    let action = u32::try_from(start + text[start..end].find("{{")?).ok()?;
    Some(Span::new(place.file, action, action + 2))
}
