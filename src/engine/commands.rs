//! The timeline: kubectl's commands and faults.
//!
//! A command asks the API server of the run and writes to it, as kubectl does; one that is refused
//! is recorded in the words that a person would have seen.

use std::sync::Arc;

use crate::base::go_time::Timestamp;
use crate::kubectl::{self, Files, Invocation, Output, Verb};
use crate::model::{Action, Command, DrainOptions, InstanceRef};
use crate::record::CommandRecord;
use crate::sim::Ctx;

use super::World;
use super::api_server::ApiServer;

/// The namespace of what names none.
const NAMESPACE: &str = "default";

/// Carries out one entry of the timeline. Each write of a command is committed before its next
/// one, as a client of an API server sees it.
pub(super) fn run(index: u32, world: &mut World) {
    let model = Arc::clone(world.cluster.model());
    let entry = &model.timeline[index as usize];
    let at = world.queue.now();
    let result = match &entry.action {
        Action::Command(Command::Kubectl(command)) => {
            kubectl::parse_words(&command.words, NAMESPACE)
                .map_err(|error| error.stderr.trim_end().to_owned())
                .map(|invocation| ask(&invocation, &command.files, world))
                .and_then(|output| match output.exit_code {
                    0 => Ok(()),
                    _ => Err(output.stderr.trim_end().to_owned()),
                })
        }
        Action::Command(Command::Drain(options)) => drain(&entry.text, options, world),
        Action::Cloud(action) => crate::cloud::act(*action, &world.cluster, &mut world.plan),
        Action::Fault(fault) => crate::faults::strike(*fault, &world.cluster, &mut world.plan),
    };
    let (text, refused) = (entry.text.clone(), result.err());
    world.recorder.command(CommandRecord { at, text, refused });
}

/// Lets kubectl ask the API server of the run.
fn ask(invocation: &Invocation, files: &Files, world: &mut World) -> Output {
    let start = Timestamp::from_unix(world.cluster.model().run.start_unix);
    let now = start.at(world.queue.now());
    kubectl::run(invocation, files, now, &mut ApiServer(world))
}

/// What a termination handler does when a machine is about to be interrupted: its node is cordoned
/// and drained, for as long as it takes.
pub(super) fn drain_machine(instance: InstanceRef, world: &mut World) {
    let name = (world.cluster.cloud().instance(instance))
        .and_then(|machine| machine.node)
        .map(|node| &world.cluster.nodes()[node])
        .filter(|node| !node.is_gone)
        .map(|node| node.spec.name);
    let Some(name) = name else { return };
    let text = format!("interruption of {}", world.cluster.names().resolve(name));
    let options = DrainOptions {
        nodes: vec![name],
        force: true,
        ignore_daemon_sets: true,
        delete_empty_dir_data: true,
        ..DrainOptions::default()
    };
    // It cannot be refused: the node is there, and no selector is given.
    drop(drain(&text, &options, world));
}

/// A drain begins and goes on by itself.
fn drain(text: &str, options: &DrainOptions, world: &mut World) -> Result<(), String> {
    let World { cluster, plan, queue, streams, recorder, drains, .. } = world;
    let ctx = &mut Ctx { queue, streams, recorder };
    drains.start(text, options, cluster, plan, ctx).map(|_| ())
}

/// Lets kubectl carry out a line.
///
/// # Errors
/// A word that cannot be taken, or a drain that cannot begin.
pub(super) fn kubectl(line: &str, files: &Files, world: &mut World) -> Result<Output, String> {
    let invocation = kubectl::parse(line, NAMESPACE).map_err(|error| error.message)?;
    if let Verb::Drain(words) = &invocation.verb {
        let options = words.options(&invocation.targets, world.cluster.names_mut());
        return drain(line, &options, world).map(|()| Output::default());
    }
    Ok(ask(&invocation, files, world))
}
