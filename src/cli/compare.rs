//! `seatrial compare`: two scenarios over the same seeds.

use clap::Args;

use super::Exit;
use super::output::{note, say};
use super::run::{Outputs, Settings, cannot_write, experiment, ready};
use crate::experiment;
use crate::recorder::Wants;
use crate::report::files::Folder;

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The scenario that is compared with
    #[arg(value_name = "A")]
    before: String,
    /// The scenario that is compared
    #[arg(value_name = "B")]
    after: String,
    #[command(flatten)]
    outputs: Outputs,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let both = (
        ready(&arguments.before, &arguments.settings),
        ready(&arguments.after, &arguments.settings),
    );
    let (before, after) = match both {
        (Ok(before), Ok(after)) => (before.loaded.model, after.loaded.model),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let (seeds, counts) =
        ((before.run.seed, after.run.seed), (before.run.replications, after.run.replications));
    if seeds.0 != seeds.1 || counts.0 != counts.1 {
        note(&format!(
            "error: the two differ in seed ({} and {}) or replications ({} and {})",
            seeds.0, seeds.1, counts.0, counts.1
        ));
        note("help: say both for both: --seed 1 --replications 20");
        return Exit::BadInput;
    }
    let run = |model| experiment(model, &arguments.settings, Wants::default());
    let (first, second) = match (run(&before), run(&after)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let comparison = experiment::compare(&first, &second);
    let names = [before.name.as_str(), after.name.as_str()];
    let json = format!("{:#}\n", comparison.json(names, seeds.0));
    if !arguments.outputs.no_files {
        let target = arguments.outputs.output.join(format!("{}-vs-{}", before.name, after.name));
        let written = Folder::create(&target)
            .and_then(|folder| folder.finish_comparison(&comparison, names, seeds.0));
        match written {
            Ok(what) => note(&format!("wrote {}/ ({})", target.display(), what.text())),
            Err(error) => return cannot_write(&target, &error),
        }
    }
    match arguments.outputs.json {
        true => say(&json),
        false => say(&comparison.text(names, seeds.0)),
    }
}
