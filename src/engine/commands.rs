//! The timeline: kubectl's commands and faults.
//!
//! A command asks the API server of the run and writes to it, as kubectl does; one that is refused
//! is recorded in the words that a person would have seen.

use std::sync::Arc;

use crate::base::go_time::Timestamp;
use crate::kubectl::{self, Files, Output, Verb};
use crate::model::{Action, Command};
use crate::record::CommandRecord;
use crate::sim::Ctx;

use super::World;
use super::api_server::ApiServer;

/// Carries out one entry of the timeline. Each write of a command is committed before its next
/// one, as a client of an API server sees it.
pub(super) fn run(index: u32, world: &mut World) {
    let model = Arc::clone(world.cluster.model());
    let entry = &model.timeline[index as usize];
    let at = world.queue.now();
    let result = match &entry.action {
        Action::Command(command) => carry_out(command, &entry.text, world),
        Action::Fault(fault) => crate::faults::strike(*fault, &mut world.cluster, &mut world.plan),
    };
    let (text, refused) = (entry.text.clone(), result.err());
    world.recorder.command(CommandRecord { at, text, refused });
}

/// # Errors
/// What kubectl prints where it fails.
fn carry_out(command: &Command, text: &str, world: &mut World) -> Result<(), String> {
    let output = kubectl(&command.line, &command.files, text, world)?;
    match output.exit_code {
        0 => Ok(()),
        _ => Err(output.stderr.trim_end().to_owned()),
    }
}

/// Lets kubectl carry out a line; a drain begins and goes on by itself.
///
/// # Errors
/// A word that cannot be taken, or a drain that cannot begin.
pub(super) fn kubectl(
    line: &str,
    files: &Files,
    text: &str,
    world: &mut World,
) -> Result<Output, String> {
    let invocation = kubectl::parse(line, "default").map_err(|error| error.message)?;
    if let Verb::Drain(drain) = &invocation.verb {
        let World { cluster, plan, queue, streams, recorder, drains, .. } = world;
        let options = drain.options(cluster.names_mut());
        let ctx = &mut Ctx { queue, streams, recorder };
        drains.start(text, &options, cluster, plan, ctx)?;
        return Ok(Output::default());
    }
    let start = Timestamp::from_unix(world.cluster.model().run.start_unix);
    let now = start.at(world.queue.now());
    Ok(kubectl::run(&invocation, files, now, &mut ApiServer(world)))
}
