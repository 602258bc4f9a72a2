//! Writing to the terminal: a broken pipe ends quietly.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::tree::{Diagnostics, DrawOptions, Sources};

use super::Exit;

/// Prints a result.
pub(super) fn say(text: &str) -> Exit {
    match io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            note(&format!("error: cannot write to the standard output: {error}"));
            Exit::Io
        }
    }
}

/// Prints a line beside the result. What cannot be printed there cannot be told anywhere.
pub(super) fn note(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Whether stderr takes colours.
#[expect(clippy::disallowed_methods, reason = "cli alone reads the environment")]
fn has_color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints findings, drawn beside the lines they are about.
pub(super) fn show(found: &Diagnostics, sources: &Sources) {
    if found.is_empty() {
        return;
    }
    let options = DrawOptions { color: has_color(), ..DrawOptions::default() };
    let text = found.draw(sources, &options);
    note(text.trim_end());
}
