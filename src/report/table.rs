//! Plain text tables: aligned columns, two spaces between them, no borders.
//!
//! ```text
//! policy        pods waiting   p99 wait
//! default                 11   38 s
//! best-fit                 3   12 s
//! ```

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets::NOTHING};

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// The rows as lines of text, each indented by `indent` spaces and ended by a newline; `columns`
/// are heading and alignment. No heading line when all headings are empty.
/// A row that is too short is filled up.
#[must_use]
pub fn text_table(columns: &[(&str, Align)], rows: &[Vec<String>], indent: usize) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if columns.iter().any(|(heading, _)| !heading.is_empty()) {
        table.set_header(columns.iter().map(|(heading, align)| cell(heading, *align)));
    }
    for row in rows {
        table.add_row(
            columns
                .iter()
                .enumerate()
                .map(|(i, (_, align))| cell(row.get(i).map_or("", String::as_str), *align)),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let margin = " ".repeat(indent);
    table.lines().map(|line| format!("{}\n", format!("{margin}{line}").trim_end())).collect()
}

fn cell(text: &str, align: Align) -> Cell {
    Cell::new(text).set_alignment(match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(columns: &[(&str, Align)], rows: &[&[&str]], want: &str) {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|s| (*s).to_owned()).collect()).collect();
        assert_eq!(text_table(columns, &rows, 2), want);
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        check(
            &[("policy", Align::Left), ("pods", Align::Right), ("p99", Align::Left)],
            &[&["default", "11", "38 s"], &["best-fit", "3"]],
            "  policy     pods   p99\n  default      11   38 s\n  best-fit      3\n",
        );
    }

    #[test]
    fn without_headings_there_is_no_heading_line() {
        check(&[("", Align::Right), ("", Align::Left)], &[&["31", "a proxy"]], "  31   a proxy\n");
        check(&[("", Align::Left)], &[], "");
    }
}
