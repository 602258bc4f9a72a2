//! What reading needs at every step: files, findings, and the files' texts for messages.

use std::sync::Arc;

use crate::api::{self, Problem};
use crate::manifest::{self, Document, Loader, PathSpec};
use crate::tree::{
    Assignment, Diagnostics, FileId, ParseOptions, SourceFile, Sources, Span, Spanned,
};

/// Files and findings.
#[derive(Debug)]
pub(super) struct Input {
    /// Where files come from; relative paths start at the scenario's folder.
    pub loader: Loader,
    /// The texts of all files read so far.
    pub sources: Sources,
    /// All that was found wrong or doubtful.
    pub found: Diagnostics,
    /// Names of policies that profiles of the scheduler may enable.
    pub policies: Vec<String>,
    /// What is laid over objects of the manifests.
    pub sets: Vec<Assignment>,
    /// The gate HPAScaleToZero.
    pub scales_to_zero: bool,
    /// Whether manifests come without a scenario: what they need of elsewhere is assumed and said.
    pub is_plain: bool,
}

impl Input {
    pub(super) fn new(loader: Loader) -> Self {
        let (sources, found) = (Sources::new(), Diagnostics::new());
        Self {
            loader,
            sources,
            found,
            policies: Vec::new(),
            sets: Vec::new(),
            scales_to_zero: false,
            is_plain: false,
        }
    }

    /// A file that the scenario names (plain or gzip).
    pub(super) fn read_file(&mut self, path: &Spanned<String>) -> Option<FileId> {
        let Self { loader, sources, found, .. } = self;
        let limits = ParseOptions::manifest().limits;
        let full = loader.full(&path.value);
        manifest::load(loader, &full, path.span, &limits, sources, found)
    }

    /// Its text.
    pub(super) fn read_text(&mut self, path: &Spanned<String>) -> Option<Arc<SourceText>> {
        let file = self.read_file(path)?;
        Some(Arc::new(SourceText(Arc::clone(self.sources.file(file)))))
    }

    /// Checks an object and fills its defaults in; answers with what is wrong with it.
    pub(super) fn prepare(&self, kind: api::Kind, tree: &mut serde_json::Value) -> Vec<Problem> {
        let mut problems = api::prepare(kind, tree);
        if self.scales_to_zero && tree["spec"]["minReplicas"] == 0 {
            problems.retain(|problem| problem.path != "spec.minReplicas");
        }
        problems
    }

    /// The Kubernetes objects of files, folders and globs.
    pub(super) fn read_manifests(&mut self, paths: &[Spanned<String>]) -> Vec<Document> {
        let paths: Vec<PathSpec> =
            paths.iter().map(|path| PathSpec::new(path.value.clone(), path.span)).collect();
        let Self { loader, sources, found, .. } = self;
        manifest::read(loader, &paths, &ParseOptions::manifest(), sources, found)
    }
}

/// The text of a file, kept alive.
#[derive(Debug)]
pub(super) struct SourceText(Arc<SourceFile>);

impl SourceText {
    /// The line that a reader of CSV was at; the start of the file if it does not know.
    pub(super) fn line(&self, at: Option<&csv::Position>) -> Span {
        let at = at.and_then(|at| u32::try_from(at.byte()).ok()).unwrap_or(0);
        let rest = self.0.text().get(at as usize..).unwrap_or("");
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        Span::new(self.0.id(), at, at + u32::try_from(length).unwrap_or(0))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.text().as_bytes()
    }
}
