//! The texts that were read, and places in them.
//!
//! A [`Span`] is a byte range in one file of a [`Sources`] table; lines and columns are computed
//! only when somebody asks, which is when a message is drawn.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// The longest text that offsets of 32 bits can point into, bytes.
pub(crate) const TEXT_BYTES_MAX: usize = (u32::MAX >> 2) as usize;

/// Names a file of a [`Sources`] table; dense, in the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A range of bytes in one file: half-open, offsets from the start of the file.
///
/// Values that no file holds (built by code) have [`Span::NONE`]; messages at it have no place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// No place at all.
    pub const NONE: Self = Self { file: FileId(u32::MAX), start: 0, end: 0 };

    /// The bytes `start..end` of a file.
    #[must_use]
    pub const fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }

    /// Whether this is [`Span::NONE`].
    #[must_use]
    pub fn is_none(self) -> bool {
        self.file == Self::NONE.file
    }

    /// The same file's range from the start of `self` to the end of `other`.
    ///
    /// `self` when the files differ.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.file == other.file && other.end >= self.start {
            Self { end: other.end, ..self }
        } else {
            self
        }
    }

    pub(crate) const fn raw(self) -> [u32; 3] {
        [self.file.0, self.start, self.end]
    }

    pub(crate) const fn from_raw(raw: [u32; 3]) -> Self {
        Self { file: FileId(raw[0]), start: raw[1], end: raw[2] }
    }
}

/// [`Span::NONE`].
impl Default for Span {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("nowhere");
        }
        write!(f, "{}:{}..{}", self.file.0, self.start, self.end)
    }
}

/// A place as people count: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// Line, the first is 1.
    pub line: usize,
    /// Column in characters, the first is 1.
    pub column: usize,
}

/// One text, with the name it has for the user.
#[derive(Debug)]
pub struct SourceFile {
    id: FileId,
    name: String,
    text: String,
    line_starts: OnceLock<Vec<u32>>,
}

impl SourceFile {
    /// Its id in the table.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.id
    }

    /// The name as the user gave it: a path, `<stdin>`, `--set`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let after = self.text.match_indices('\n').map(|(at, _)| offset(at + 1));
            std::iter::once(0).chain(after).collect()
        })
    }

    /// Index (from 0) of the line that holds a byte.
    pub(crate) fn line_of(&self, at: u32) -> usize {
        self.line_starts().partition_point(|&start| start <= at).saturating_sub(1)
    }

    /// The byte range of a line (index from 0) without its line break.
    pub(crate) fn line_range(&self, line: usize) -> std::ops::Range<usize> {
        let starts = self.line_starts();
        let start = starts.get(line).map_or(self.text.len(), |&s| s as usize);
        let end = starts.get(line + 1).map_or(self.text.len(), |&s| s as usize);
        let shown = self.text[start..end].trim_end_matches(['\n', '\r']);
        start..start + shown.len()
    }

    /// Line and column of a byte; a byte past the end counts as the end.
    #[must_use]
    pub fn line_column(&self, at: u32) -> LineColumn {
        let line = self.line_of(at);
        let start = self.line_starts()[line] as usize;
        let end = floor_boundary(&self.text, at as usize);
        let column = self.text[start.min(end)..end].chars().count() + 1;
        LineColumn { line: line + 1, column }
    }

    /// What `# Source: …` above the document at a byte says, as helm writes it.
    ///
    /// Looks upward from the byte: through the document and the comments right above its `---`.
    #[must_use]
    pub fn origin_at(&self, at: u32) -> Option<&str> {
        const LINES_MAX: usize = 20_000; // beyond them it is a dump, not a template
        let mut line = self.line_of(at);
        let mut above_marker = false;
        for _ in 0..LINES_MAX {
            let text = &self.text[self.line_range(line)];
            if let Some(origin) = origin_comment(text) {
                return Some(origin);
            }
            if above_marker && !text.starts_with('#') {
                return None;
            }
            above_marker = above_marker || text.starts_with("---");
            line = line.checked_sub(1)?;
        }
        None
    }
}

/// What a line `# Source: chart/templates/x.yaml` names.
pub(crate) fn origin_comment(line: &str) -> Option<&str> {
    let said = line.strip_prefix("# Source:")?.trim();
    (!said.is_empty()).then_some(said)
}

/// The greatest character boundary at or before a byte.
pub(crate) fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A length or offset in a text as 32 bits; texts are refused before they can be longer.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a text is shorter than 4 GiB")
}

/// All texts of a command, by id.
///
/// Cheap to clone: texts are shared.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Arc<SourceFile>>,
}

impl Sources {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that messages shall show.
    ///
    /// # Panics
    /// If the text is longer than 1 GiB; readers check their limits before.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        assert!(text.len() <= TEXT_BYTES_MAX, "a text of {} bytes is too long", text.len());
        let id = FileId(offset(self.files.len()));
        let name = name.into();
        let file = SourceFile { id, name, text, line_starts: OnceLock::new() };
        self.files.push(Arc::new(file));
        id
    }

    /// The file of an id.
    ///
    /// # Panics
    /// If the id is of another table.
    #[must_use]
    pub fn file(&self, id: FileId) -> &Arc<SourceFile> {
        &self.files[id.0 as usize]
    }

    /// The file that a span lies in; `None` for [`Span::NONE`].
    #[must_use]
    pub fn file_of(&self, span: Span) -> Option<&Arc<SourceFile>> {
        self.files.get(span.file.0 as usize)
    }

    /// The text of a span; empty for [`Span::NONE`].
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        let range = span.start as usize..span.end as usize;
        self.file_of(span).and_then(|file| file.text.get(range)).unwrap_or("")
    }

    /// `name:line:column` of the start of a span; empty for [`Span::NONE`].
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        self.file_of(span).map_or_else(String::new, |file| {
            let LineColumn { line, column } = file.line_column(span.start);
            format!("{}:{line}:{column}", file.name)
        })
    }

    /// All files, in the order of adding.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let mut sources = Sources::new();
        let id = sources.add("a.yaml", "äb\r\ncd\n");
        let file = sources.file(id);
        let at = |byte| {
            let LineColumn { line, column } = file.line_column(byte);
            (line, column)
        };
        assert_eq!([at(0), at(2), at(5), at(6)], [(1, 1), (1, 2), (2, 1), (2, 2)]);
        assert_eq!((at(8), at(99)), ((3, 1), (3, 1)));
        assert_eq!(file.line_range(0), 0..3);
        assert_eq!(sources.place(Span::new(id, 5, 6)), "a.yaml:2:1");
        assert_eq!(sources.place(Span::NONE), "");
    }

    #[test]
    fn origin_is_found_upward_within_the_document() {
        let text = "# Source: c/a.yaml\n---\na: 1\n---\n# Source: c/b.yaml\nb: 1\n---\nc: 1\n";
        let mut sources = Sources::new();
        let file = sources.add("x", text);
        let origin = |word: &str| {
            let at = offset(text.find(word).unwrap());
            sources.file(file).origin_at(at).map(str::to_owned)
        };
        assert_eq!(origin("a: 1"), Some("c/a.yaml".to_owned()));
        assert_eq!(origin("b: 1"), Some("c/b.yaml".to_owned()));
        assert_eq!(origin("c: 1"), None);
    }
}
