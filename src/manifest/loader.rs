//! Bytes of files: from the disk, or from memory for tests.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::find::suggest;
use crate::tree::{Diagnostic, Diagnostics, FileId, Limits, Sources, Span, add_bytes};

/// Where files come from. The path `-` is the standard input.
#[derive(Clone, Debug)]
pub enum Loader {
    /// The disk; relative paths start at a folder.
    Disk {
        /// That folder; empty for the current one.
        base: PathBuf,
    },
    /// Files by path, with `/` between the parts; for tests and for results that hold their input.
    Memory(BTreeMap<String, Vec<u8>>),
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathKind {
    File,
    Folder,
    Missing,
}

/// As a shell: hidden files only by name, `*` within one folder.
const GLOB: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

impl Loader {
    /// The disk, relative to a folder.
    #[must_use]
    pub fn disk(base: impl Into<PathBuf>) -> Self {
        Self::Disk { base: base.into() }
    }

    /// Files in memory.
    #[must_use]
    pub fn from_memory<P: Into<String>, B: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (P, B)>,
    ) -> Self {
        let files = files.into_iter().map(|(path, bytes)| (path.into(), bytes.into()));
        Self::Memory(files.collect())
    }

    /// The path as it is opened and shown.
    #[must_use]
    pub fn full(&self, path: &str) -> String {
        match self {
            Self::Disk { base } if path != "-" && !base.as_os_str().is_empty() => {
                shown(&base.join(path))
            }
            Self::Disk { .. } | Self::Memory(_) => path.to_owned(),
        }
    }

    pub(super) fn kind(&self, full: &str) -> PathKind {
        match self {
            Self::Disk { .. } => match std::fs::metadata(full) {
                Ok(metadata) if metadata.is_dir() => PathKind::Folder,
                Ok(_) => PathKind::File,
                Err(_) => PathKind::Missing,
            },
            Self::Memory(files) if files.contains_key(full) => PathKind::File,
            Self::Memory(files) => {
                let prefix = folder_prefix(full);
                let inside = files.keys().any(|path| path.starts_with(&prefix));
                if inside { PathKind::Folder } else { PathKind::Missing }
            }
        }
    }

    /// The paths in a folder, sorted.
    ///
    /// Fails if the folder cannot be listed.
    pub(super) fn list(&self, full: &str) -> io::Result<Vec<String>> {
        let mut paths = match self {
            Self::Disk { .. } => std::fs::read_dir(full)?
                .map(|entry| Ok(shown(&Path::new(full).join(entry?.file_name()))))
                .collect::<io::Result<Vec<String>>>()?,
            Self::Memory(files) => {
                let prefix = folder_prefix(full);
                let inside = files.keys().filter_map(|path| path.strip_prefix(&prefix));
                let names = inside.filter_map(|rest| rest.split('/').next());
                names.map(|name| format!("{prefix}{name}")).collect()
            }
        };
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The paths that match a pattern, sorted.
    ///
    /// Fails with the pattern's fault.
    pub(super) fn matches(&self, pattern: &str) -> Result<Vec<String>, String> {
        let wrong = |error: glob::PatternError| error.msg.to_owned();
        let mut paths: Vec<String> = match self {
            Self::Disk { base } => {
                let escaped = glob::Pattern::escape(&base.to_string_lossy());
                let full = Path::new(&escaped).join(pattern);
                let entries = glob::glob_with(&full.to_string_lossy(), GLOB).map_err(wrong)?;
                entries.filter_map(Result::ok).map(|path| shown(&path)).collect()
            }
            Self::Memory(files) => {
                let pattern = glob::Pattern::new(pattern).map_err(wrong)?;
                let matching = files.keys().filter(|path| pattern.matches_with(path, GLOB));
                matching.cloned().collect()
            }
        };
        paths.sort();
        Ok(paths)
    }

    /// The bytes of a file, at most one more than the limit.
    fn bytes(&self, full: &str, limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(files) => {
                files.get(full).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
            Self::Disk { .. } if full == "-" => take(io::stdin().lock(), limit),
            Self::Disk { .. } => take(std::fs::File::open(full)?, limit),
        }
    }
}

fn take(reader: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn folder_prefix(full: &str) -> String {
    match full.trim_end_matches('/') {
        "" | "." => String::new(),
        folder => format!("{folder}/"),
    }
}

/// A path with `/` between the parts on every system.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' { text.into_owned() } else { text.replace('\\', "/") }
}

/// Reads a file into the table: UTF-8 text, plain or gzip; `-` is the standard input.
///
/// `path` is as the disk knows it. What is wrong is reported at `named_at`, where the user named
/// the file, or at its place in the file.
pub fn load(
    loader: &Loader,
    path: &str,
    named_at: Span,
    limits: &Limits,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<FileId> {
    let name = if path == "-" { "<stdin>" } else { path };
    let mut unreadable = |error: &io::Error| {
        let message = format!("cannot read \"{name}\": {}", plain(error));
        let diagnostic = Diagnostic::error(named_at, message);
        found.push(match error.kind() {
            io::ErrorKind::NotFound => suggest(loader, path, diagnostic),
            _ => diagnostic,
        });
    };
    let mut bytes = match loader.bytes(path, limits.bytes) {
        Ok(bytes) => bytes,
        Err(error) => {
            unreadable(&error);
            return None;
        }
    };
    if bytes.starts_with(&[0x1f, 0x8b]) {
        match take(MultiGzDecoder::new(&bytes[..]), limits.bytes) {
            Ok(unpacked) => bytes = unpacked,
            Err(error) => {
                unreadable(&error);
                return None;
            }
        }
    }
    let before = found.len();
    let added = add_bytes(sources, name, bytes, limits, found);
    found.edit_from(before, |diagnostic| {
        if diagnostic.span.is_none() {
            diagnostic.span = named_at; // about the file as a whole
        }
    });
    added
}

/// Without the number of the system's error, which differs between systems.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
