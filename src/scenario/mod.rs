//! The scenario: joins all that was read into one [`Model`].
//!
//! ```text
//! scenario.yaml ─ tree ─► ScenarioFile ─┐
//! manifests ─ tree ─ api ─► objects ────┼─ lower ─► Model, expectations, findings
//! --set path=value ─────────────────────┘
//! ```
//!
//! Owns the scenario file's types, units and profiles. Everything wrong is found in one go, each
//! at its place. The order of files decides nothing: objects are sorted by kind and name first.

mod addresses;
mod behaviors;
mod call_graph;
mod checks;
mod clients;
mod cloud;
mod cloud_actions;
mod cluster_autoscaler;
mod commands;
mod cpu;
mod custom;
mod cycles;
mod file;
mod file_addresses;
mod file_behavior;
mod file_cloud;
mod file_cluster_autoscaler;
mod file_cpu;
mod file_horizontal;
mod file_ingress;
mod file_karpenter;
mod file_kubelet;
mod file_mesh;
mod file_metrics;
mod file_traffic;
mod horizontal;
mod ingress;
mod input;
mod karpenter;
mod keda;
mod keda_jobs;
mod keda_triggers;
mod known;
mod kubelet;
mod latencies;
mod latency_sources;
mod later;
mod law;
mod loads;
mod lower;
mod mesh;
mod metrics;
mod network;
mod node_monitor;
mod node_pools;
mod nodes;
mod object_checks;
mod objects;
pub mod plain;
mod plain_parts;
mod proxy;
mod rates;
mod run;
mod scheduler;
mod script;
mod search;
mod shell;
mod show;
mod show_calls;
mod show_cloud;
mod show_scheduler;
mod static_pods;
mod timeline;
mod units;
mod verticals;
mod workloads;

use std::path::Path;
use std::sync::Arc;

use crate::manifest::{self, Loader};
use crate::model::Model;
use crate::tree::{
    self, Assignment, Diagnostic, Diagnostics, FileId, InPart, ParseOptions, Sources, Span, Spanned,
};

use input::Input;

pub use custom::lower as lower_custom;
pub use file::ScenarioFile;
pub use search::{Knob, Values};
pub use show::show;
pub use timeline::part;

/// A scenario that can run.
#[derive(Debug)]
pub struct Loaded {
    /// The model, shared by all runs.
    pub model: Arc<Model>,
    /// The lines of `expect`, with their places.
    pub expect: Vec<Spanned<String>>,
    /// The values that are open, by path.
    pub knobs: Vec<Knob>,
    /// All objects as trees with defaults.
    pub objects: Vec<Arc<serde_json::Value>>,
    /// The texts of all files that were read.
    pub sources: Sources,
    /// Warnings.
    pub found: Diagnostics,
}

/// A scenario that cannot run: what was found, and the texts to show it in.
#[derive(Debug)]
pub struct Refused {
    /// The texts of all files that were read.
    pub sources: Sources,
    /// At least one error.
    pub found: Diagnostics,
    /// The lines of `expect`, as far as they could be read.
    pub expect: Vec<Spanned<String>>,
}

/// Where a scenario's files come from.
#[derive(Clone, Debug)]
pub struct Place {
    /// Relative paths in the scenario start here.
    pub loader: Loader,
    /// The scenario file, as the loader knows it.
    pub path: String,
}

impl Place {
    /// A path of the command line: a file, or a folder that means its `scenario.yaml`.
    #[must_use]
    pub fn on_disk(path: &str) -> Self {
        let given = Path::new(path);
        let file = if given.is_dir() { given.join("scenario.yaml") } else { given.to_owned() };
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        let file = file.to_string_lossy().into_owned();
        Self { loader: Loader::disk(base), path: file }
    }
}

/// Reads and checks a scenario. `sets` are assignments laid over the file (`path=value`) or over an
/// object of its manifests (`KIND/NAME:path=value`).
///
/// # Errors
/// If anything in it or in its manifests is wrong: all of it, at once.
pub fn load(place: &Place, sets: &[String]) -> Result<Loaded, Box<Refused>> {
    load_with(place, sets, &[])
}

/// Reads and checks a scenario whose scheduler knows policies of the user's own by these names.
///
/// A profile enables them as it enables Kubernetes' plugins: in `plugins.score.enabled` of a
/// configuration, or in `cluster.scheduler.weights`. Who runs the model brings the policies.
///
/// # Errors
/// If anything in it or in its manifests is wrong: all of it, at once.
///
/// # Panics
/// If there are more than [`CUSTOM_MAX`](crate::model::CUSTOM_MAX) names.
pub fn load_with(
    place: &Place,
    sets: &[String],
    policies: &[&str],
) -> Result<Loaded, Box<Refused>> {
    let most = usize::from(crate::model::CUSTOM_MAX);
    assert!(policies.len() <= most, "at most {most} policies, not {}", policies.len());
    let mut input = Input::new(place.loader.clone());
    input.policies = policies.iter().map(|name| (*name).to_owned()).collect();
    let limits = ParseOptions::scenario().limits;
    let Input { loader, sources, found, .. } = &mut input;
    let file = manifest::load(loader, &place.path, Span::NONE, &limits, sources, found);
    if file.is_none() && Path::new(&place.path).parent().is_some_and(Path::is_dir) {
        let folder = Path::new(&place.path).parent().unwrap_or(Path::new(""));
        let hint = format!("a folder of manifests? seatrial rollout {}", folder.display());
        let is_folder = place.path.ends_with("/scenario.yaml");
        found.edit_from(0, |told| {
            if is_folder && told.hint.is_none() {
                told.hint = Some(hint.clone().into());
            }
        });
    }
    finish(file, sets, input)
}

/// Reads and checks the scenario that manifests without one are run in; they come from the loader.
fn load_text(
    loader: Loader,
    name: &str,
    text: &str,
    sets: &[String],
) -> Result<Loaded, Box<Refused>> {
    let mut input = Input::new(loader);
    input.is_plain = true;
    let file = input.sources.add(name, text);
    finish(Some(file), sets, input)
}

fn finish(file: Option<FileId>, sets: &[String], mut input: Input) -> Result<Loaded, Box<Refused>> {
    let file = file.and_then(|file| read_file(file, sets, &mut input));
    let lines = file.as_ref().map_or_else(Vec::new, |file| file.value.expect.clone());
    let knobs = file.as_ref().map(|file| search::knobs(&file.value, &mut input.found));
    let knobs = knobs.unwrap_or_default();
    let lowered = file.and_then(|file| lower::lower(&file.value, &file.damaged, &mut input));
    let Input { sources, found, .. } = input;
    match lowered {
        Some(lower::Lowered { model, objects }) if !found.has_errors() => {
            Ok(Loaded { model: Arc::new(model), expect: lines, knobs, objects, sources, found })
        }
        _ => Err(Box::new(Refused { sources, found, expect: lines })),
    }
}

fn read_file(id: FileId, sets: &[String], input: &mut Input) -> Option<InPart<ScenarioFile>> {
    let Input { sources, found, sets: object_sets, .. } = input;
    let options = ParseOptions::scenario();
    let path = sources.file(id).name().to_owned();
    let documents = tree::parse(sources, id, &options, found);
    let mut documents = documents.into_iter();
    let Some(first) = documents.next() else {
        if found.has_errors() {
            return None;
        }
        let message = format!("\"{path}\" is empty");
        let hint = "`seatrial schema` describes a scenario";
        found.push(Diagnostic::error(Span::new(id, 0, 0), message).with_hint(hint));
        return None;
    };
    let mut tree = first.tree;
    check_identity(&tree, &path, found)?;
    if let Some(second) = documents.next() {
        let message = "a scenario is one document, and this is a second one";
        let hint = "manifests belong into files of their own, named in `apply`";
        found.push(Diagnostic::error(second.tree.root().span(), message).with_hint(hint));
        return None;
    }
    one_entry(&mut tree);
    for set in sets {
        let Some(read) = Assignment::read("--set", set, sources, found) else { continue };
        match read.target {
            Some(_) => object_sets.push(read),
            None => {
                let root = tree.root().id();
                read.apply(&mut tree, root, found);
            }
        }
    }
    tree::from_value_in_part(tree.root(), found)
}

/// `timeline: { script: FILE }` is a timeline of one entry.
fn one_entry(tree: &mut tree::Tree) {
    let timeline = tree.root().field("timeline").filter(|timeline| timeline.is_mapping());
    if let Some(entry) = timeline.map(tree::Value::id) {
        let root = tree.root().id();
        let list = tree.add_sequence();
        tree.push_item(list, entry);
        tree.set_entry(root, "timeline", list);
    }
}

/// A file that is no scenario at all gets one message, not one for each of its keys.
fn check_identity(tree: &tree::Tree, path: &str, found: &mut Diagnostics) -> Option<()> {
    let root = tree.root();
    if !root.is_mapping() {
        let message = format!("expected a scenario, found {}", root.kind_name());
        found.error(root.span(), message);
        return None;
    }
    match root.field("kind").and_then(|kind| kind.as_str().map(|text| (kind, text))) {
        Some((_, "Scenario")) => Some(()),
        Some((kind, other)) => {
            let error = Diagnostic::error(kind.span(), format!("kind \"{other}\" is no scenario"));
            let manifests = format!(
                "are these manifests? seatrial check {path} checks them, seatrial rollout {path} \
                 rolls them"
            );
            let error = error.with_hint(match root.field("metadata") {
                Some(_) => manifests,
                None => "expected kind: Scenario".to_owned(),
            });
            found.push(error.with_suggestion(other, ["Scenario"]));
            None
        }
        None => {
            let error = Diagnostic::error(root.span(), "this is no scenario: `kind` is missing");
            found.push(error.with_hint("it begins with apiVersion: seatrial/v1, kind: Scenario"));
            None
        }
    }
}

/// Whether a file holds Kubernetes objects, and is no scenario. A pattern names manifests.
#[must_use]
pub fn is_manifests(path: &str) -> bool {
    let mut sources = Sources::new();
    let mut found = Diagnostics::new();
    let loader = Loader::disk("");
    let limits = ParseOptions::manifest().limits;
    if path.contains(['*', '?', '[']) && !std::path::Path::new(path).exists() {
        return true;
    }
    let file = manifest::load(&loader, path, Span::NONE, &limits, &mut sources, &mut found);
    let Some(file) = file else { return false };
    let documents = tree::parse(&sources, file, &ParseOptions::manifest(), &mut found);
    let words = |document: &tree::Parsed, key: &str| {
        let value = document.tree.root().field(key);
        value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let is_ours = |document| {
        words(document, "kind") == "Scenario" || words(document, "apiVersion").contains("seatrial")
    };
    let is_object =
        |document| !words(document, "kind").is_empty() && !words(document, "apiVersion").is_empty();
    !documents.iter().any(is_ours) && documents.iter().any(is_object)
}

/// Checks manifests without a scenario: what `apply` would bring.
///
/// # Errors
/// If anything in them is wrong.
pub fn check_manifests(loader: &Loader, paths: &[String]) -> Result<Checked, Box<Refused>> {
    let mut input = Input::new(loader.clone());
    input.is_plain = true;
    let paths: Vec<_> = paths.iter().map(|path| Spanned::nowhere(path.clone())).collect();
    let objects = objects::check(&paths, &mut input);
    let Input { sources, found, .. } = input;
    if found.has_errors() {
        return Err(Box::new(Refused { sources, found, expect: Vec::new() }));
    }
    Ok(Checked { objects, sources, found })
}

/// Manifests that are right.
#[derive(Debug)]
pub struct Checked {
    /// How many objects of each kind, by name of the kind.
    pub objects: Vec<(String, usize)>,
    /// The texts of all files that were read.
    pub sources: Sources,
    /// Warnings.
    pub found: Diagnostics,
}

/// The JSON Schema of the scenario file.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ScenarioFile).to_value()
}
