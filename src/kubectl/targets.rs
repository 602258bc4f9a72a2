//! Which objects a command is about: `TYPE NAME…`, `TYPE/NAME…`, `TYPE -l`, `TYPE --all`, `-f`.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/cli-runtime/pkg/resource/builder.go.

use std::ops::Range;

use serde_json::Value;

use crate::api::TextSelector;

use super::client::{At, Session, Status, Sub, Trouble};
use super::resources::{Resource, resource_called, resource_of};
use super::words::{Args, CommandError, Result, Word};

/// The objects of a command.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// By name.
    pub named: Vec<Target>,
    /// All of these kinds that the selector selects.
    pub kinds: Vec<&'static Resource>,
    /// `-l`.
    pub selector: TextSelector,
    /// Whether there is one, or `--all`.
    pub is_selected: bool,
    /// `-f`.
    pub files: Vec<String>,
}

/// One object by name.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kind.
    pub resource: &'static Resource,
    /// Its name.
    pub name: String,
    /// The word in the line.
    pub at: Range<usize>,
}

/// What a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// A kind alone means all its objects.
    Allowed,
    /// A kind alone needs a selector or `--all`.
    Asked,
}

const SEPARATE: &str = "there is no need to specify a resource type as a separate argument when \
                        passing arguments in resource/name form (e.g. 'kubectl get \
                        resource/<resource_name>' instead of 'kubectl get resource \
                        resource/<resource_name>'";

impl Targets {
    /// Reads the words that name objects, with `-l`, `--all` and `-f`.
    pub(super) fn read(words: &[Word], args: &Args, whole: Whole) -> Result<Self> {
        let mut targets = Self {
            files: args
                .all("filename")
                .flat_map(|word| word.text.split(',').map(str::to_owned))
                .collect(),
            ..Self::default()
        };
        if let Some(word) = args.get("selector") {
            let selector = TextSelector::parse(&word.text);
            targets.selector =
                selector.map_err(|error| CommandError::new(word.at.clone(), error))?;
            targets.is_selected = true;
        }
        if args.is_on("all")? {
            if targets.is_selected {
                let message = "cannot set --all and --selector at the same time";
                return Err(CommandError::new(args.place("all"), message));
            }
            targets.is_selected = true;
        }
        targets.words(words, args)?;
        targets.check(words, args, whole)?;
        Ok(targets)
    }

    fn words(&mut self, words: &[Word], args: &Args) -> Result<()> {
        let has_slash = |word: &&Word| word.text.contains('/');
        if words.iter().any(|word| has_slash(&word)) {
            if let Some(word) = words.iter().find(|word| !has_slash(word)) {
                return Err(CommandError::new(word.at.clone(), SEPARATE));
            }
            for Word { text, at } in words {
                let (kind, name) = text.split_once('/').unwrap_or((text, ""));
                self.name(resource_called(kind, at)?, name, at)?;
            }
            return Ok(());
        }
        let Some((kinds, names)) = words.split_first() else { return Ok(()) };
        let kinds_at = &kinds.at;
        let is_alone = names.is_empty() && !self.is_selected;
        let found: Result<Vec<_>> =
            kinds.text.split(',').map(|kind| resource_called(kind, kinds_at)).collect();
        // `restart web` is no kind without a name.
        let found = found.map_err(|error| match is_alone {
            true => without_kind(&kinds.text, &kinds.at).says(error.stderr),
            false => error,
        })?;
        if names.is_empty() {
            self.kinds = found;
            return Ok(());
        }
        if found.len() > 1 {
            let message = "you may only specify a single resource type";
            return Err(CommandError::new(args.words_at(), message));
        }
        for Word { text, at } in names {
            self.name(found[0], text, at)?;
        }
        Ok(())
    }

    fn name(&mut self, resource: &'static Resource, name: &str, at: &Range<usize>) -> Result<()> {
        if name.is_empty() {
            let error = CommandError::new(at.clone(), "the name is empty");
            let says =
                "error: arguments in resource/name form must have a single resource and name\n";
            return Err(error.says(says));
        }
        self.named.push(Target { resource, name: name.to_owned(), at: at.clone() });
        Ok(())
    }

    fn check(&self, words: &[Word], args: &Args, whole: Whole) -> Result<()> {
        if self.is_selected && !self.named.is_empty() {
            let message = "name cannot be provided when a selector is specified";
            return Err(CommandError::new(args.words_at(), message));
        }
        if !self.kinds.is_empty() && !self.is_selected && whole == Whole::Asked {
            let text = words.first().map_or("", |word| word.text.as_str());
            let says = "error: resource(s) were provided, but no name was specified\n";
            let error = CommandError::new(args.words_at(), format!("\"{text}\" is not KIND/NAME"));
            return Err(error.hint(format!("for example {text}/checkout")).says(says));
        }
        if self.named.is_empty() && self.kinds.is_empty() && self.files.is_empty() {
            let says = "error: one or more resources must be specified as <resource> <name> or \
                        <resource>/<name>\n";
            let error = CommandError::new(args.end.clone(), "expected KIND/NAME");
            return Err(error.says(says));
        }
        Ok(())
    }

    /// The kinds that it is about, files left out, with the places of their words.
    pub(super) fn resources(&self) -> impl Iterator<Item = &'static Resource> {
        let named = self.named.iter().map(|target| target.resource);
        named.chain(self.kinds.iter().copied())
    }
}

fn without_kind(word: &str, at: &Range<usize>) -> CommandError {
    let error = CommandError::new(at.clone(), format!("\"{word}\" is not KIND/NAME"));
    error.hint(format!("for example deployment/{word}"))
}

/// An object that a command found.
#[derive(Clone, Debug)]
pub(super) struct Info {
    pub(super) resource: &'static Resource,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) object: Value,
}

impl Info {
    pub(super) fn at(&self) -> At<'_> {
        At {
            resource: self.resource,
            namespace: &self.namespace,
            name: &self.name,
            sub: Sub::Object,
        }
    }

    pub(super) fn scale(&self) -> At<'_> {
        self.part(Sub::Scale)
    }

    pub(super) fn part(&self, sub: Sub) -> At<'_> {
        At { sub, ..self.at() }
    }

    /// `deployments/web`: as some errors name it.
    pub(super) fn text(&self) -> String {
        format!("{}/{}", self.resource.plural, self.name)
    }
}

impl Session<'_> {
    /// The objects, one after another; those that are not there are troubles.
    pub(super) fn find(&mut self, targets: &Targets) -> Vec<std::result::Result<Info, Trouble>> {
        let mut found = Vec::new();
        for file in &targets.files {
            match self.documents(file) {
                Ok(documents) => {
                    for (resource, namespace, object) in documents {
                        let name = name_of(&object).to_owned();
                        found.push(self.info(resource, &namespace, &name));
                    }
                }
                Err(trouble) => found.push(Err(trouble)),
            }
        }
        let namespace = self.namespace.to_owned();
        for target in &targets.named {
            found.push(self.info(target.resource, &namespace, &target.name));
        }
        for resource in &targets.kinds {
            match self.api.list(resource, &namespace, &targets.selector) {
                Ok(objects) => found.extend(objects.into_iter().map(|object| {
                    let name = name_of(&object).to_owned();
                    Ok(Info { resource, namespace: namespace.clone(), name, object })
                })),
                Err(status) => found.push(Err(status.into())),
            }
        }
        found
    }

    /// The objects, all of which must be there.
    pub(super) fn find_all(
        &mut self,
        targets: &Targets,
    ) -> std::result::Result<Vec<Info>, Trouble> {
        let (mut infos, mut troubles) = (Vec::new(), Vec::new());
        for found in self.find(targets) {
            match found {
                Ok(info) => infos.push(info),
                Err(trouble) => troubles.push(trouble),
            }
        }
        if troubles.is_empty() { Ok(infos) } else { Err(Trouble::Many(troubles)) }
    }

    fn info(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> std::result::Result<Info, Trouble> {
        let object = self.api.get(At { resource, namespace, name, sub: Sub::Object })?;
        Ok(Info { resource, namespace: namespace.to_owned(), name: name.to_owned(), object })
    }

    /// The objects of a file, with their namespaces.
    pub(super) fn documents(
        &self,
        file: &str,
    ) -> std::result::Result<Vec<(&'static Resource, String, Value)>, Trouble> {
        let Some(documents) = self.files.get(file) else {
            return Err(format!("the path {file:?} does not exist").into());
        };
        let mut found = Vec::new();
        for object in documents.iter().flat_map(flattened) {
            let text = |key: &str| object[key].as_str().unwrap_or_default();
            let (version, kind) = (text("apiVersion"), text("kind"));
            let Some(resource) = resource_of(version, kind) else {
                return Err(format!(
                    "resource mapping not found for name: {:?} namespace: {:?} from {file:?}: no \
                     matches for kind {kind:?} in version {version:?}\nensure CRDs are installed \
                     first",
                    name_of(object),
                    object["metadata"]["namespace"].as_str().unwrap_or_default(),
                )
                .into());
            };
            let mut object = object.clone();
            let own = object["metadata"]["namespace"].as_str().map(str::to_owned);
            let namespace = own.unwrap_or_else(|| self.namespace.to_owned());
            if resource.is_namespaced && object["metadata"].is_object() {
                object["metadata"]["namespace"] = namespace.as_str().into();
            }
            found.push((resource, namespace, object));
        }
        Ok(found)
    }
}

/// The items of a list, or the object itself.
fn flattened(object: &Value) -> Vec<&Value> {
    let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match (is_list, object["items"].as_array()) {
        (true, Some(items)) => items.iter().collect(),
        _ => vec![object],
    }
}

pub(super) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Whether a status says that nothing is there.
pub(super) fn is_missing(status: &Status) -> bool {
    status.reason == "NotFound"
}
