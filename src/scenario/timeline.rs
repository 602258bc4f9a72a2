//! Entries of the timeline become commands and faults, checked against what is there.

use crate::base::{Duration, Interner, SimTime, cast};
use crate::model::{
    Action, CloudSpec, CustomObject, CutFrom, DeploymentSpec, Fault, FaultPlace, ObjectName,
    Script, ScriptAction, TimelineEntry, Workload,
};
use crate::tree::{Diagnostic, Diagnostics, Span, Spanned};

use super::cloud_actions;
use super::commands::{self, Line, Read};
use super::file::{FaultFile, PartitionFile, PlaceFile, TimelineFile};
use super::input::Input;
use super::known::Gaps;
use super::script;

/// What is there for commands to refer to.
pub(super) struct Known<'a> {
    pub workloads: &'a [Workload],
    pub services: &'a [ObjectName],
    pub hpas: &'a [ObjectName],
    pub customs: &'a [CustomObject],
    pub nodes: &'a [crate::base::Symbol],
    pub zones: &'a [crate::base::Symbol],
    pub deployments: &'a [DeploymentSpec],
    pub cloud: &'a CloudSpec,
    pub gaps: Gaps,
}

fn start_of(entry: &TimelineFile) -> SimTime {
    SimTime::ZERO + entry.at.map_or(Duration::ZERO, |at| at.0)
}

/// The lines of all commands, and the scripts.
pub(super) fn read(
    entries: &[Spanned<TimelineFile>],
    input: &mut Input,
) -> (Vec<Line>, Vec<Script>) {
    let (mut lines, mut scripts) = (Vec::new(), Vec::new());
    for entry in entries {
        let start = start_of(&entry.value);
        let TimelineFile { run, script, fault, cloud, .. } = &entry.value;
        match (run, script, fault, cloud) {
            (Some(run), None, None, None) => lines.push(Line::of_entry(start, run)),
            (None, Some(path), None, None) => {
                scripts.extend(script::read(start, path, input, &mut lines));
            }
            _ => {}
        }
    }
    (lines, scripts)
}

/// All entries, in order of time, and the scripts among them.
pub(super) fn lower(
    entries: &[Spanned<TimelineFile>],
    (commands, mut scripts): (Vec<Read<'_>>, Vec<Script>),
    known: &Known<'_>,
    names: &mut Interner,
    input: &mut Input,
) -> (Vec<TimelineEntry>, Vec<Script>) {
    let mut all = Vec::new();
    for entry in entries {
        let TimelineFile { at, run, script, fault, cloud } = &entry.value;
        let start = start_of(&entry.value);
        match (run, script, fault, cloud) {
            (Some(_), None, None, None) | (None, Some(_), None, None) => {}
            (None, None, None, Some(action)) => {
                let lowered = cloud_actions::lower(action, known.cloud, names, &mut input.found);
                if let Some((action, text)) = lowered {
                    let action = Action::Cloud(action);
                    let is_scripted = false;
                    all.push((None, TimelineEntry { at: start, is_scripted, action, text }));
                }
            }
            (None, None, Some(fault), None) => {
                if let Some((fault, text)) = lower_fault(fault, known, names, &mut input.found) {
                    let action = Action::Fault(fault);
                    let is_scripted = false;
                    all.push((None, TimelineEntry { at: start, is_scripted, action, text }));
                }
            }
            _ => {
                let message = "expected exactly one of run, script, fault and cloud";
                let error = Diagnostic::error(entry.span, message);
                input.found.push(error.with_hint("run: kubectl rollout restart deployment/NAME"));
            }
        }
        if at.is_none() && script.is_none() {
            input.found.error(entry.span, "key \"at\" is missing");
        }
    }
    let commands = commands::lower(commands, known, names, input);
    all.extend(commands.into_iter().map(|(line, entry)| (Some(line), entry)));
    all.sort_by_key(|(_, entry)| entry.at);
    // Steps name lines; now they can name entries.
    for step in scripts.iter_mut().flat_map(|script: &mut Script| &mut script.steps) {
        if let ScriptAction::Entry(of) = &mut step.action {
            let line = cast::usize_of(*of);
            // A line that is wrong has no entry; then nothing will run.
            let entry = all.iter().position(|(own, _)| *own == Some(line)).unwrap_or(0);
            *of = cast::u32_of(entry);
        }
    }
    (all.into_iter().map(|(_, entry)| entry).collect(), scripts)
}

/// A fault and how the report calls it.
fn lower_fault(
    fault: &Spanned<FaultFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(Fault, String)> {
    type Make = fn(FaultPlace) -> Fault;
    let FaultFile { crash, not_ready, shutdown, kubelet_restart, metrics_server, .. } =
        &fault.value;
    let FaultFile { cni_down, sandbox_loss, partition, recover, .. } = &fault.value;
    let kinds: [(&Option<_>, &str, Make); 7] = [
        (crash, "crash", Fault::Crash),
        (not_ready, "not ready:", Fault::NotReady),
        (shutdown, "shutdown", Fault::Shutdown),
        (kubelet_restart, "restart of the kubelet", Fault::KubeletRestart),
        (cni_down, "failing network plugin", Fault::CniDown),
        (sandbox_loss, "loss of all sandboxes", Fault::SandboxLoss),
        (recover, "recovery", Fault::Recover),
    ];
    let is_of_places = kinds.iter().any(|(place, ..)| place.is_some());
    match (partition, metrics_server) {
        (Some(cut), None) if !is_of_places => return lower_cut(cut, known, names, found),
        (None, Some(state)) if !is_of_places => return metrics_server_is(state, found),
        _ => {}
    }
    let mut written = kinds
        .into_iter()
        .filter_map(|(place, word, make)| place.as_ref().map(|place| (place, word, make)));
    let others = partition.is_some() || metrics_server.is_some();
    let (Some((place, word, make)), None, false) = (written.next(), written.next(), others) else {
        let one = "expected exactly one of crash, notReady, shutdown, kubeletRestart, \
                   cniDown, sandboxLoss, metricsServer, partition and recover";
        let message = if is_of_places || others { one } else { "an empty fault" };
        let error = Diagnostic::error(fault.span, message);
        found.push(error.with_hint("crash: { node: NAME }"));
        return None;
    };
    let (place, shown) = lower_place(place, known, names, found)?;
    Some((make(place), format!("{word} of {shown}").replace(": of", ":")))
}

/// metrics-server is away, or back.
fn metrics_server_is(state: &Spanned<String>, found: &mut Diagnostics) -> Option<(Fault, String)> {
    let is_up = match state.value.as_str() {
        "up" => true,
        "down" => false,
        other => {
            let message = format!("metrics-server is up or down, not \"{other}\"");
            found.error(state.span, message);
            return None;
        }
    };
    let word = if is_up { "back" } else { "away" };
    Some((Fault::MetricsServer { is_up }, format!("metrics-server is {word}")))
}

/// Machines that are cut off, and how the report calls it.
fn lower_cut(
    file: &Spanned<PartitionFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(Fault, String)> {
    let PartitionFile { node: of_node, zone: of_zone, from } = &file.value;
    let (place, shown) = match (of_node, of_zone) {
        (Some(name), None) => {
            (FaultPlace::Node(node(name, known, names, found)?), format!("node {}", name.value))
        }
        (None, Some(name)) => {
            (FaultPlace::Zone(zone(name, known, names, found)?), format!("zone {}", name.value))
        }
        _ => {
            let error = Diagnostic::error(file.span, "expected exactly one of node and zone");
            found.push(error.with_hint("partition: { zone: NAME, from: control-plane }"));
            return None;
        }
    };
    let Some(text) = from else {
        return Some((Fault::Cut(place, CutFrom::Everything), format!("partition of {shown}")));
    };
    let named = |rest: &str| Spanned { value: rest.to_owned(), span: text.span };
    let from = match text.value.split_once('/') {
        Some(("node", name)) => {
            CutFrom::Place(FaultPlace::Node(node(&named(name), known, names, found)?))
        }
        Some(("zone", name)) => {
            CutFrom::Place(FaultPlace::Zone(zone(&named(name), known, names, found)?))
        }
        _ => match text.value.as_str() {
            "control-plane" => CutFrom::ControlPlane,
            "nodes" => CutFrom::Nodes,
            "outside" => CutFrom::Outside,
            "everything" => CutFrom::Everything,
            other => {
                let words = ["control-plane", "nodes", "outside", "everything"];
                let error =
                    Diagnostic::error(text.span, format!("nothing is cut off from \"{other}\""));
                let error = error.with_hint(
                    "known are control-plane, nodes, outside, everything, node/NAME, zone/NAME",
                );
                found.push(error.with_suggestion(other, words));
                return None;
            }
        },
    };
    if from == CutFrom::Place(place) {
        found.error(text.span, "machines are not cut off from themselves");
        return None;
    }
    Some((Fault::Cut(place, from), format!("partition of {shown} from {}", text.value)))
}

fn lower_place(
    place: &Spanned<PlaceFile>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(FaultPlace, String)> {
    match (&place.value.node, &place.value.zone) {
        (Some(name), None) => {
            let symbol = node(name, known, names, found)?;
            Some((FaultPlace::Node(symbol), format!("node {}", name.value)))
        }
        (None, Some(name)) => {
            let symbol = zone(name, known, names, found)?;
            Some((FaultPlace::Zone(symbol), format!("zone {}", name.value)))
        }
        _ => {
            let error = Diagnostic::error(place.span, "expected exactly one of node and zone");
            found.push(error.with_hint("crash: { node: NAME }"));
            None
        }
    }
}

fn zone(
    name: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<crate::base::Symbol> {
    let symbol = names.intern(&name.value);
    if known.zones.contains(&symbol) {
        return Some(symbol);
    }
    if known.gaps.nodes {
        return None;
    }
    let message = format!("no node is in zone \"{}\"", name.value);
    let all = known.zones.iter().map(|zone| names.resolve(*zone));
    found.push(Diagnostic::error(name.span, message).with_suggestion(&name.value, all));
    None
}

pub(super) fn node(
    name: &Spanned<String>,
    known: &Known<'_>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<crate::base::Symbol> {
    let symbol = names.intern(&name.value);
    if known.nodes.contains(&symbol) || may_come(&name.value, known.cloud, names) {
        return Some(symbol);
    }
    if known.gaps.nodes {
        return None;
    }
    let error = Diagnostic::error(name.span, format!("there is no node \"{}\"", name.value));
    let all = known.nodes.iter().map(|node| names.resolve(*node));
    found.push(error.with_suggestion(&name.value, all));
    None
}

/// Whether a node of this name may come from a node group during the run.
fn may_come(name: &str, cloud: &CloudSpec, names: &Interner) -> bool {
    let Some((pool, number)) = name.rsplit_once('-') else { return false };
    number.bytes().all(|digit| digit.is_ascii_digit())
        && cloud.groups.iter().any(|group| names.resolve(group.name) == pool)
}

/// The part of a scalar's span that the bytes `at` of its text take.
#[must_use]
pub fn part(whole: &Spanned<String>, at: &std::ops::Range<usize>) -> Span {
    let Span { file, start, end } = whole.span;
    let (written, text) = ((end - start) as usize, whole.value.len());
    // A plain scalar is written as it is, a quoted one between two quotes.
    let skipped = match written.checked_sub(text) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return whole.span,
    };
    let offset = |byte: usize| start + u32::try_from(byte + skipped).unwrap_or(0);
    Span::new(file, offset(at.start), offset(at.end).min(end))
}
