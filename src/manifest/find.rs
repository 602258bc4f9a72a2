//! From the paths that the user named to the files that are read.

use std::collections::BTreeSet;

use crate::tree::{Diagnostic, Diagnostics, Severity, Span, closest};

use super::loader::{Loader, PathKind};

/// A file, a folder, a glob pattern or `-`, and where the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSpec {
    /// As written.
    pub path: String,
    /// Where; [`Span::NONE`] for the command line.
    pub span: Span,
}

impl PathSpec {
    /// A path in a file, such as an entry of `apply:`.
    pub fn new(path: impl Into<String>, span: Span) -> Self {
        Self { path: path.into(), span }
    }
}

/// A path of the command line.
impl From<&str> for PathSpec {
    fn from(path: &str) -> Self {
        Self::new(path, Span::NONE)
    }
}

/// A file to read.
pub(super) struct Found {
    pub(super) path: String,
    pub(super) named_at: Span,
    /// Whether the user named the file itself, not a folder around it.
    pub(super) itself: bool,
}

const DEPTH_MAX: usize = 32;
const FILES_MAX: usize = 100_000;
/// Folders that are looked into: links may make many of few.
const FOLDERS_MAX: usize = 100_000;

/// The files of all paths, each once, in the order of the paths; in a folder sorted.
pub(super) fn files(loader: &Loader, paths: &[PathSpec], found: &mut Diagnostics) -> Vec<Found> {
    let mut search = Search {
        loader,
        seen: BTreeSet::new(),
        files: Vec::new(),
        kustomizations: Vec::new(),
        folders: 0,
        is_full: false,
        found,
    };
    for spec in paths {
        search.path(spec);
    }
    search.files
}

/// The message about a path that is not there, with the name beside it that was perhaps meant.
pub(super) fn suggest(loader: &Loader, full: &str, diagnostic: Diagnostic) -> Diagnostic {
    let path = full.trim_end_matches('/');
    let name = name_of(path);
    let siblings = loader.list(folder_of(path)).unwrap_or_default();
    match closest(name, siblings.iter().map(|path| name_of(path))) {
        Some(close) => {
            let place = &path[..path.len() - name.len()];
            diagnostic.with_hint(format!("did you mean \"{place}{close}\"?"))
        }
        None => diagnostic,
    }
}

struct Search<'a> {
    loader: &'a Loader,
    seen: BTreeSet<String>,
    files: Vec<Found>,
    /// Found on the way of the path being searched.
    kustomizations: Vec<String>,
    folders: usize,
    /// Whether a limit was passed: the search is over.
    is_full: bool,
    found: &'a mut Diagnostics,
}

impl Search<'_> {
    fn path(&mut self, spec: &PathSpec) {
        if spec.path == "-" {
            self.add("-".to_owned(), spec.span, true);
            return;
        }
        let before = self.files.len();
        self.some_path(spec);
        // Where there is nothing else, the user surely meant what kustomize would make of it.
        let severity = match self.files.len() == before {
            true => Severity::Error,
            false => Severity::Warning,
        };
        for full in std::mem::take(&mut self.kustomizations) {
            let message = format!("\"{full}\" is not applied");
            let diagnostic = Diagnostic::new(severity, spec.span, message);
            self.found.push(diagnostic.with_hint(kustomize_hint(folder_of(&full))));
        }
    }

    fn some_path(&mut self, spec: &PathSpec) {
        let full = self.loader.full(&spec.path);
        match self.loader.kind(&full) {
            PathKind::File => self.named(full, spec.span),
            PathKind::Folder => self.folder_with_files(&full, spec.span),
            PathKind::Missing if spec.path.contains(['*', '?', '[']) => self.pattern(spec),
            PathKind::Missing => self.missing(&full, spec.span),
        }
    }

    /// A file that the user named itself.
    fn named(&mut self, full: String, span: Span) {
        if is_kustomization(&full) {
            let message = format!("\"{full}\" is an instruction for kustomize, not a manifest");
            let hint = kustomize_hint(folder_of(&full));
            self.found.push(Diagnostic::error(span, message).with_hint(hint));
            return;
        }
        self.add(full, span, true);
    }

    fn pattern(&mut self, spec: &PathSpec) {
        let matches = match self.loader.matches(&spec.path) {
            Ok(matches) => matches,
            Err(fault) => {
                let message = format!("wrong pattern \"{}\": {}", spec.path, fault.to_lowercase());
                self.found.error(spec.span, message);
                return;
            }
        };
        if matches.is_empty() {
            let message = format!("no file matches \"{}\"", spec.path);
            self.found.error(spec.span, message);
        }
        for full in matches {
            match self.loader.kind(&full) {
                PathKind::Folder => self.folder(&full, spec.span, 0),
                PathKind::File | PathKind::Missing => self.in_folder(full, spec.span),
            }
        }
    }

    fn missing(&mut self, full: &str, span: Span) {
        let diagnostic = Diagnostic::error(span, format!("no file or folder \"{full}\""));
        self.found.push(suggest(self.loader, full, diagnostic));
    }

    fn folder_with_files(&mut self, full: &str, span: Span) {
        let state = |search: &Self| {
            let Self { files, seen, kustomizations, found, .. } = search;
            (files.len(), seen.len(), kustomizations.len(), found.len())
        };
        let before = state(self);
        self.folder(full, span, 0);
        if before == state(self) && !self.known(full) {
            let message = format!("no manifests in \"{full}\"");
            let hint = "files that end in .yaml, .yml or .json are read";
            self.found.push(Diagnostic::error(span, message).with_hint(hint));
        }
    }

    /// Whether files of this folder were found before, by another path.
    fn known(&self, full: &str) -> bool {
        let plain = full.trim_start_matches("./").trim_end_matches('/');
        let prefix = format!("{plain}/");
        self.seen.iter().any(|path| path.starts_with(&prefix))
    }

    /// Recursion is bounded by a depth, which a loop of links passes.
    fn folder(&mut self, full: &str, span: Span, depth: usize) {
        self.folders += 1;
        if self.folders > FOLDERS_MAX {
            self.stop(Diagnostic::error(span, format!("more than {FOLDERS_MAX} folders")));
        }
        if self.is_full {
            return;
        }
        let paths = match self.loader.list(full) {
            Ok(paths) => paths,
            Err(error) => {
                let message = format!("cannot list \"{full}\": {}", error.kind());
                self.found.error(span, message);
                return;
            }
        };
        if paths.iter().any(|path| name_of(path) == "Chart.yaml") {
            let message = format!("\"{full}\" is a helm chart, not a folder of manifests");
            let hint = format!("render it: helm template {full} | seatrial … -");
            self.found.push(Diagnostic::error(span, message).with_hint(hint));
            return;
        }
        if depth >= DEPTH_MAX {
            let message = format!("\"{full}\" lies deeper than {DEPTH_MAX} folders");
            let diagnostic = Diagnostic::error(span, message);
            self.stop(diagnostic.with_hint("is there a loop of links?"));
            return;
        }
        for path in paths {
            if name_of(&path).starts_with('.') {
                continue;
            }
            match self.loader.kind(&path) {
                PathKind::Folder => self.folder(&path, span, depth + 1),
                PathKind::File if is_manifest(&path) => self.in_folder(path, span),
                PathKind::File | PathKind::Missing => {}
            }
        }
    }

    /// A file that came with a folder or pattern.
    fn in_folder(&mut self, full: String, span: Span) {
        if is_kustomization(&full) {
            self.kustomizations.push(full);
            return;
        }
        self.add(full, span, false);
    }

    fn add(&mut self, path: String, named_at: Span, itself: bool) {
        if self.files.len() >= FILES_MAX {
            self.stop(Diagnostic::error(named_at, format!("more than {FILES_MAX} files")));
            return;
        }
        if self.seen.insert(path.trim_start_matches("./").to_owned()) {
            self.files.push(Found { path, named_at, itself });
        }
    }

    /// A limit was passed: it is said once.
    fn stop(&mut self, said: Diagnostic) {
        if !self.is_full {
            self.is_full = true;
            self.found.push(said);
        }
    }
}

fn kustomize_hint(folder: &str) -> String {
    format!("render it: kubectl kustomize {folder} | seatrial … -")
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn folder_of(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

fn is_manifest(path: &str) -> bool {
    let plain = path.strip_suffix(".gz").unwrap_or(path);
    [".yaml", ".yml", ".json"].iter().any(|end| plain.ends_with(end))
}

fn is_kustomization(path: &str) -> bool {
    matches!(name_of(path), "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}
