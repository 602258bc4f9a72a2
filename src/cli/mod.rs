//! The command line: one file a subcommand; each parses arguments, calls, prints.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 an expectation not met,
//! 2 bad input, 3 a limit passed, 4 could not read or write, 101 a bug of ours.

mod advise;
mod check;
mod compare;
mod explain;
mod output;
mod run;
mod trial;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use output::say;

/// The sea trial of a Kubernetes cluster before it enters service.
#[derive(Debug, Parser)]
#[command(name = "seatrial", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario: print the summary, write results/NAME/
    Run(run::Arguments),
    /// Read and check a scenario or manifests: every error at once, nothing runs
    Check(check::Arguments),
    /// Run two scenarios over the same seeds: the difference of each headline number
    Compare(compare::Arguments),
    /// Roll manifests without a scenario: failed calls, their causes, what would help
    Rollout(trial::Rollout),
    /// Drain nodes or cut their power under manifests without a scenario
    Drill(trial::Drill),
    /// Search the open values of a scenario for the best that holds every line
    Advise(advise::Arguments),
    /// Say why a pod went where it went, or nowhere, and what would have helped
    Explain(explain::Arguments),
    /// Print the JSON Schema of the scenario file
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Done.
    Done = 0,
    /// An expectation does not hold.
    NotMet = 1,
    /// The input is wrong.
    BadInput = 2,
    /// A limit was passed.
    Limit = 3,
    /// Could not read or write.
    Io = 4,
}

/// Runs the command that the arguments ask for.
#[must_use]
pub fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => dispatch(&cli.command),
        Err(error) => {
            let is_help = !error.use_stderr();
            let printed = error.print().is_ok();
            if is_help && printed { Exit::Done } else { Exit::BadInput }
        }
    };
    ExitCode::from(exit as u8)
}

fn dispatch(command: &Command) -> Exit {
    match command {
        Command::Run(arguments) => run::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Advise(arguments) => advise::run(arguments),
        Command::Rollout(arguments) => trial::rollout(arguments),
        Command::Drill(arguments) => trial::drill(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Schema => {
            let schema = crate::scenario::schema();
            say(&format!("{schema:#}\n"))
        }
        Command::Completions { shell } => {
            let mut bytes = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "seatrial", &mut bytes);
            say(&String::from_utf8_lossy(&bytes))
        }
    }
}
