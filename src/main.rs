//! The command `seatrial`.

fn main() -> std::process::ExitCode {
    seatrial::cli::main()
}
