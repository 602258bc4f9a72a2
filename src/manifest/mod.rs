//! Kubernetes manifests from files, folders, globs and a pipe, as documents with their identity.
//!
//! Owns finding and reading the files and telling objects apart; knows no kind of object.
//!
//! - A folder is read with all its subfolders (unlike `kubectl apply -f` without `-R`): files
//!   `.yaml`, `.yml`, `.json`, also with `.gz`, in the order of their paths. Hidden ones are left
//!   out. A file named by itself is read whatever its name.
//! - `kustomization.yaml` and helm charts are instructions to other tools: a message says what to
//!   pipe.
//! - Lists (`kind: List`, `PodList`, …) become their items; documents without content are left out.

mod document;
mod find;
mod loader;

pub use document::{Document, SCHEDULER_CONFIG};
pub use find::PathSpec;
pub use loader::{Loader, load};

use crate::tree::{Diagnostics, ParseOptions, Sources};

/// Reads all documents that the paths name, in the order of the paths; a file named twice is read
/// once.
///
/// Whatever is wrong is reported at its place and left out.
#[must_use]
pub fn read(
    loader: &Loader,
    paths: &[PathSpec],
    options: &ParseOptions,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut bytes = 0;
    for file in find::files(loader, paths, found) {
        if bytes > options.limits.bytes_of_all {
            let most = options.limits.bytes_of_all >> 20;
            found.error(file.named_at, format!("more than {most} MiB of manifests"));
            break;
        }
        let Some(id) = load(loader, &file.path, file.named_at, &options.limits, sources, found)
        else {
            continue;
        };
        bytes += sources.file(id).text().len();
        document::read_file(sources, id, options, &file, found, &mut documents);
    }
    documents
}

#[cfg(test)]
mod tests;
