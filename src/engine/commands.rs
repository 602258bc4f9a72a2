//! The timeline: kubectl's commands, scripts of them, and faults.
//!
//! A command asks the API server of the run and writes to it, as kubectl does; one that is refused
//! is recorded in the words that a person would have seen. A command that waits is looked after
//! until what it waits for has come, or its time is over; then the next step of its script begins.
//!
//! ```text
//! entry, step of a script ─► run ─┬─ over ───────────────► record ─► next step
//!                                 └─ waits ─► running ─► over ──┘
//!                        a change of its object ─► Look ─┘ └─ TimeOut
//! ```

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::base::go_time::Timestamp;
use crate::base::{Distribution, Duration, SimTime, cast};
use crate::cluster::{Change, Cluster};
use crate::event::{CommandStep, DrainId, Event};
use crate::kubectl::{self, Files, Invocation, Looked, Output, Verb, Waiting};
use crate::model::{Action, Command, DrainOptions, InstanceRef, Model, ScriptAction, ScriptNext};
use crate::record::{CommandRecord, ScriptRecord};
use crate::sim::{Ctx, Streams};

use super::World;
use super::api_server::ApiServer;
use super::awaited::concerns;

/// The namespace of what names none.
const NAMESPACE: &str = "default";

/// The commands that wait.
#[derive(Debug)]
pub(super) struct Commands {
    running: Vec<Option<Running>>,
    watch: Distribution,
    rng: ChaCha8Rng,
}

/// A command that waits.
#[derive(Debug)]
struct Running {
    entry: u32,
    /// Script and step that it is.
    script: Option<(u32, u32)>,
    what: What,
    /// What it had printed before it waited.
    said: String,
    /// Whether it will look anyway.
    looks: bool,
    /// When it has looked last, if it looks from time to time.
    from: SimTime,
    turn: usize,
}

#[derive(Debug)]
enum What {
    Waits(Box<Waiting>),
    Drains(DrainId),
}

impl Commands {
    pub(super) fn new(model: &Model, streams: &Streams) -> Self {
        let watch = model.latencies.watch.clone();
        Self { running: Vec::new(), watch, rng: streams.open("kubectl", "") }
    }

    /// Lets the commands that wait for what has changed look at it.
    pub(super) fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if self.running.is_empty() {
            return;
        }
        let all = self.running.iter_mut().enumerate();
        for (index, running) in all.filter_map(|(i, r)| Some((i, r.as_mut()?))) {
            let What::Waits(waiting) = &running.what else { continue };
            if running.looks || !concerns(change, waiting, cluster) {
                continue;
            }
            running.looks = true;
            let at = match waiting.period() {
                None => ctx.now() + self.watch.sample_duration(&mut self.rng),
                Some(period) => {
                    let passed = (ctx.now() - running.from).as_nanos();
                    let whole = passed.div_ceil(period.as_nanos()) * period.as_nanos();
                    running.from + Duration::ns(whole)
                }
            };
            let command = cast::u32_of(index);
            ctx.at(at, Event::Command { command, step: CommandStep::Look });
        }
    }
}

/// Carries out one entry of the timeline.
pub(super) fn run(index: u32, world: &mut World) {
    if let Some(output) = begin(index, None, world) {
        end((index, None), &output, world);
    }
}

/// Begins a script.
pub(super) fn start_script(script: u32, step: Option<u32>, world: &mut World) {
    let model = Arc::clone(world.cluster.model());
    let of = &model.scripts[cast::usize_of(script)];
    if let Some(step) = step {
        return follow((script, of.steps[cast::usize_of(step)].then), world);
    }
    follow((script, of.first), world);
}

/// The steps of a script from one on, up to a sleep or a command that waits: these go on later.
fn follow((script, mut next): (u32, ScriptNext), world: &mut World) {
    let model = Arc::clone(world.cluster.model());
    let of = &model.scripts[cast::usize_of(script)];
    loop {
        let step = match next {
            ScriptNext::Step(step) => step,
            ScriptNext::End(status) => {
                let (began, ended) = (of.at, world.queue.now());
                return world.recorder.script(ScriptRecord { script, began, ended, status });
            }
        };
        let entry = match of.steps[cast::usize_of(step)].action {
            ScriptAction::Sleep(length) => {
                let event = Event::Script { script, slept: Some(step) };
                return world.queue.push_after(length, event);
            }
            ScriptAction::Entry(entry) => entry,
        };
        let own = Some((script, step));
        let output = begin(entry, own, world);
        let Some((_, then)) = output.and_then(|output| end((entry, own), &output, world)) else {
            return;
        };
        next = then;
    }
}

/// Begins a command, or carries out whatever else an entry says; how it ended, or `None` if it
/// waits. Each write of a command is committed before its next one, as a client of an API server
/// sees it.
fn begin(entry: u32, script: Option<(u32, u32)>, world: &mut World) -> Option<Output> {
    let model = Arc::clone(world.cluster.model());
    let of = &model.timeline[cast::usize_of(entry)];
    let at = world.queue.now();
    world.recorder.command(CommandRecord::begun(entry, at, of.text.clone()));
    let done = |result: Result<(), String>| match result {
        Ok(()) => Output::default(),
        Err(stderr) => Output { stderr, exit_code: 1, ..Output::default() },
    };
    let output = match &of.action {
        Action::Command(Command::Kubectl(command)) => {
            match kubectl::parse_words(&command.words, NAMESPACE) {
                Ok(invocation) => ask(&invocation, &command.files, world),
                Err(error) => done(Err(error.stderr)),
            }
        }
        Action::Command(Command::Drain(options)) => match drain(&of.text, options, world) {
            Ok(id) => {
                wait((entry, script), What::Drains(id), String::new(), world);
                return None;
            }
            Err(why) => done(Err(why)),
        },
        Action::Cloud(action) => done(crate::cloud::act(action, &world.cluster, &mut world.plan)),
        Action::Fault(fault) => {
            done(crate::faults::strike(*fault, &world.cluster, &mut world.plan))
        }
    };
    let mut output = output;
    if let Some(mut waiting) = output.waiting.take() {
        let looked = waiting.look(&mut ApiServer(world));
        if looked == Looked::Waits {
            wait((entry, script), What::Waits(waiting), output.stdout, world);
            return None;
        }
        let said = output.stdout;
        output = waiting.output();
        output.stdout.insert_str(0, &said);
    }
    Some(output)
}

/// A command waits from now on.
fn wait((entry, script): (u32, Option<(u32, u32)>), what: What, said: String, world: &mut World) {
    let now = world.queue.now();
    let (turn, timeout) = match &what {
        What::Waits(waiting) => (waiting.turn(), waiting.timeout()),
        What::Drains(_) => (0, None),
    };
    let running = Running { entry, script, what, said, looks: false, from: now, turn };
    let free = world.commands.running.iter().position(Option::is_none);
    let index = free.unwrap_or(world.commands.running.len());
    match free {
        Some(_) => world.commands.running[index] = Some(running),
        None => world.commands.running.push(Some(running)),
    }
    arm(cast::u32_of(index), timeout, world);
}

/// Sets the clock for the object that is waited for now.
fn arm(command: u32, timeout: Option<Duration>, world: &mut World) {
    let Some(running) = world.commands.running.get(cast::usize_of(command)) else { return };
    let Some((entry, turn)) = running.as_ref().map(|of| (of.entry, of.turn)) else { return };
    if let Some(timeout) = timeout {
        let turn = u16::try_from(turn).unwrap_or(u16::MAX);
        let step = CommandStep::TimeOut { entry, turn };
        world.queue.push_after(timeout, Event::Command { command, step });
    }
}

/// Something of a command that waits.
pub(super) fn handle(command: u32, step: CommandStep, world: &mut World) {
    let index = cast::usize_of(command);
    let Some(mut running) = world.commands.running.get_mut(index).and_then(Option::take) else {
        return;
    };
    let What::Waits(waiting) = &mut running.what else {
        world.commands.running[index] = Some(running);
        return;
    };
    let looked = match step {
        CommandStep::Look => {
            running.looks = false;
            waiting.look(&mut ApiServer(world))
        }
        CommandStep::TimeOut { entry, turn } => {
            let is_own = entry == running.entry && usize::from(turn) == running.turn;
            if !is_own {
                world.commands.running[index] = Some(running);
                return;
            }
            waiting.time_out(&mut ApiServer(world))
        }
    };
    if looked == Looked::Waits {
        let (turn, timeout) = (waiting.turn(), waiting.timeout());
        let is_next = turn != running.turn;
        running.turn = turn;
        world.commands.running[index] = Some(running);
        if is_next {
            arm(command, timeout, world);
        }
        return;
    }
    let Running { entry, script, what, said, .. } = running;
    if let What::Waits(waiting) = what {
        let mut output = waiting.output();
        output.stdout.insert_str(0, &said);
        end_and_follow((entry, script), &output, world);
    }
}

/// Ends the commands whose drains have ended.
pub(super) fn look_at_drains(world: &mut World) {
    for index in 0..world.commands.running.len() {
        let Some(running) = &world.commands.running[index] else { continue };
        let What::Drains(id) = running.what else { continue };
        let Some(result) = world.drains.result(id) else { continue };
        let (entry, script) = (running.entry, running.script);
        world.commands.running[index] = None;
        let exit_code = u8::from(result.is_err());
        let (stdout, stderr) = match result {
            Ok(said) => (said, String::new()),
            Err(why) => (String::new(), why),
        };
        let output = Output { stdout, stderr, exit_code, waiting: None };
        end_and_follow((entry, script), &output, world);
    }
}

/// A command that waited has ended: its script goes on.
fn end_and_follow(own: (u32, Option<(u32, u32)>), output: &Output, world: &mut World) {
    if let Some(next) = end(own, output, world) {
        follow(next, world);
    }
}

/// Records how a command has ended; where its script goes on, if it is of one.
fn end(
    (entry, script): (u32, Option<(u32, u32)>),
    output: &Output,
    world: &mut World,
) -> Option<(u32, ScriptNext)> {
    let model = Arc::clone(world.cluster.model());
    let step = script.map(|(script, step)| {
        (script, &model.scripts[cast::usize_of(script)].steps[cast::usize_of(step)])
    });
    let is_asked = step.is_some_and(|(_, step)| step.is_asked);
    let last = |text: &str| text.trim_end().lines().last().unwrap_or_default().to_owned();
    let failed = (output.exit_code != 0).then(|| output.stderr.trim_end().to_owned());
    let said = if failed.is_some() { String::new() } else { last(&output.stdout) };
    world.recorder.command_ended(entry, world.queue.now(), failed, said, is_asked);
    let (script, step) = step?;
    world.settle();
    Some((script, if output.exit_code == 0 { step.then } else { step.otherwise }))
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
fn drain(text: &str, options: &DrainOptions, world: &mut World) -> Result<DrainId, String> {
    let World { cluster, plan, queue, streams, recorder, drains, .. } = world;
    let ctx = &mut Ctx { queue, streams, recorder };
    drains.start(text, options, cluster, plan, ctx)
}

/// Lets kubectl carry out a line; it does not wait.
///
/// # Errors
/// A word that cannot be taken, or a drain that cannot begin.
pub(super) fn kubectl(line: &str, files: &Files, world: &mut World) -> Result<Output, String> {
    let invocation = kubectl::parse(line, NAMESPACE).map_err(|error| error.message)?;
    if let Verb::Drain(words) = &invocation.verb {
        let options = words.options(&invocation.targets, world.cluster.names_mut());
        return drain(line, &options, world).map(|_| Output::default());
    }
    Ok(ask(&invocation, files, world))
}
