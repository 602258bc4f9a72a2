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

/// A progress bar on a terminal; nothing elsewhere.
pub(super) struct Progress(Option<indicatif::ProgressBar>);

impl Progress {
    pub(super) fn new(name: &str, replications: u32) -> Self {
        if !io::stderr().is_terminal() || replications < 2 {
            return Self(None);
        }
        let style =
            indicatif::ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} runs {eta}");
        let bar = indicatif::ProgressBar::new(u64::from(replications));
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self(Some(bar.with_message(name.to_owned())))
    }

    pub(super) fn set(&self, ended: u32) {
        if let Some(bar) = &self.0 {
            bar.set_position(u64::from(ended));
        }
    }

    /// So many runs have ended of a number that may have grown.
    pub(super) fn set_of(&self, ended: u32, all: u32) {
        if let Some(bar) = &self.0 {
            bar.set_length(u64::from(all));
            bar.set_position(u64::from(ended));
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The wall clock, for what is said beside the result.
pub(super) struct Clock(
    #[expect(clippy::disallowed_types, reason = "cli alone reads the clock")] std::time::Instant,
);

impl Clock {
    #[expect(clippy::disallowed_types, reason = "cli alone reads the clock")]
    pub(super) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
