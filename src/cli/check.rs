//! `seatrial check`: read and lower only.

use clap::Args;

use super::Exit;
use super::output::{note, say, show};
use crate::base::text::counted;
use crate::manifest::Loader;
use crate::scenario::{self, Place};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Scenario files or folders; or Kubernetes manifests: files, folders, globs, - for a pipe
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Print the model after defaults
    #[arg(long)]
    show: bool,
    /// The files are manifests, not scenarios; needed where they look like neither
    #[arg(long, conflicts_with = "show")]
    manifests: bool,
    /// Lay a value over the scenario, as in run.seed=7
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Warnings are errors
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    if arguments.manifests || arguments.files.iter().all(|file| are_manifests(file)) {
        return manifests(arguments);
    }
    let mut worst = Exit::Done;
    for file in &arguments.files {
        let exit = scenario(file, arguments);
        if exit != Exit::Done {
            worst = exit;
        }
    }
    worst
}

/// A folder without a scenario in it holds manifests; so do the pipe and a file of objects.
fn are_manifests(file: &str) -> bool {
    let path = std::path::Path::new(file);
    match path.is_dir() {
        _ if file == "-" => true,
        true => !path.join("scenario.yaml").exists(),
        false => scenario::is_manifests(file),
    }
}

fn scenario(file: &str, arguments: &Arguments) -> Exit {
    match scenario::load(&Place::on_disk(file), &arguments.sets) {
        Ok(mut loaded) => {
            drop(super::run::expectations(&mut loaded));
            show(&loaded.found, &loaded.sources);
            if loaded.found.has_errors() {
                return Exit::BadInput;
            }
            if arguments.strict && !loaded.found.is_empty() {
                return Exit::BadInput;
            }
            if arguments.show {
                return say(&scenario::show(&loaded));
            }
            let model = &loaded.model;
            say(&format!(
                "{file}: {}, {}, {}, {}\n",
                counted(model.nodes.len() as u64, "node"),
                counted(model.templates().count() as u64, "workload"),
                counted(model.services.len() as u64, "service"),
                counted(model.traffic.len() as u64, "traffic source"),
            ))
        }
        Err(refused) => super::run::refuse(*refused),
    }
}

fn manifests(arguments: &Arguments) -> Exit {
    match scenario::check_manifests(&Loader::disk(""), &arguments.files) {
        Ok(checked) => {
            show(&checked.found, &checked.sources);
            if arguments.strict && !checked.found.is_empty() {
                return Exit::BadInput;
            }
            let kinds = checked.objects.iter().map(|(kind, count)| format!("{count} {kind}"));
            let kinds: Vec<String> = kinds.collect();
            if kinds.is_empty() {
                note("error: no Kubernetes objects there");
                return Exit::BadInput;
            }
            say(&format!("{}\n", kinds.join(", ")))
        }
        Err(refused) => {
            show(&refused.found, &refused.sources);
            Exit::BadInput
        }
    }
}
