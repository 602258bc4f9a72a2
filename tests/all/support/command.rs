//! The command itself, run in a folder.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the command.
pub(crate) fn seatrial(folder: &Path, arguments: &[&str]) -> Output {
    seatrial_fed(folder, arguments, b"")
}

/// The same with something on its standard input, which it may not want to read.
pub(crate) fn seatrial_fed(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    command.current_dir(folder).args(arguments).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    drop(child.stdin.take().expect("a pipe").write_all(stdin));
    child.wait_with_output().expect("the command ends")
}
