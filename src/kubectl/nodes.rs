//! `kubectl taint`, `cordon`, `uncordon`, and the words of `drain`.
//!
//! Source: kubectl v0.36.3 pkg/cmd/taint/{taint,utils}.go, pkg/cmd/drain/drain.go (recorded).

use serde_json::{Value, json};

use crate::api::{PatchType, TextSelector, label_value_faults, qualified_name_faults, two_way};
use crate::base::{Duration, Interner, go_time::parse_go_duration};
use crate::model::DrainOptions;

use super::client::{Done, Session, Trouble, all_of};
use super::targets::{Info, Target, Targets, Whole};
use super::words::{Args, CommandError, Flag, Result, Word, switch, value};

/// Taints that change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taints {
    /// New ones.
    pub added: Vec<Taint>,
    /// Those that go; without effect all of the key.
    pub removed: Vec<Taint>,
    /// `--overwrite`.
    pub overwrites: bool,
}

/// A taint in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`, or empty.
    pub effect: String,
}

/// `kubectl drain`; the nodes are the targets of the command.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    /// `--selector`, which can be read.
    pub selector: Option<String>,
    /// `--ignore-daemonsets`.
    pub ignores_daemon_sets: bool,
    /// `--delete-emptydir-data`.
    pub deletes_empty_dirs: bool,
    /// `--force`: pods without controllers too.
    pub force: bool,
    /// `--disable-eviction`: pods are deleted.
    pub deletes: bool,
    /// `--grace-period`, if one is given that is not negative.
    pub grace: Option<Duration>,
    /// `--timeout`; zero: without end.
    pub timeout: Duration,
    /// `--pod-selector`, which can be read.
    pub pods: Option<String>,
    /// `--skip-wait-for-delete-timeout`, in seconds.
    pub skip_wait: u64,
}

impl Drain {
    /// What its actor is asked for.
    #[must_use]
    pub fn options(&self, nodes: &Targets, names: &mut Interner) -> DrainOptions {
        let nodes = nodes.named.iter();
        DrainOptions {
            nodes: nodes.map(|target| names.intern(&target.name)).collect(),
            selector: self.selector.clone(),
            pod_selector: self.pods.clone(),
            force: self.force,
            ignore_daemon_sets: self.ignores_daemon_sets,
            delete_empty_dir_data: self.deletes_empty_dirs,
            disable_eviction: self.deletes,
            grace: self.grace,
            timeout: self.timeout,
            skip_wait: self.skip_wait,
        }
    }
}

pub(super) const TAINT_FLAGS: &[Flag] =
    &[switch("overwrite"), switch("all"), value("selector").short('l')];
pub(super) const CORDON_FLAGS: &[Flag] = &[value("selector").short('l')];
pub(super) const DRAIN_FLAGS: &[Flag] = &[
    value("selector").short('l'),
    switch("ignore-daemonsets"),
    switch("delete-emptydir-data"),
    switch("delete-local-data"),
    switch("force"),
    switch("disable-eviction"),
    value("grace-period"),
    value("timeout"),
    value("pod-selector"),
    value("skip-wait-for-delete-timeout"),
    value("chunk-size"),
];

pub(super) fn read_taint(args: &Args) -> Result<(Taints, Targets)> {
    let is_taint = |word: &&Word| {
        word.text.contains('=') || word.text.contains(':') || word.text.ends_with('-')
    };
    let first = args.words.iter().position(|word| is_taint(&word)).unwrap_or(args.words.len());
    let (targets, changes) = args.words.split_at(first);
    if let Some(word) = changes.iter().find(|word| !is_taint(word)) {
        let message =
            format!("all resources must be specified before taint changes: {}", word.text);
        return Err(CommandError::new(word.at.clone(), message));
    }
    if targets.is_empty() {
        let message = "one or more resources must be specified as <resource> <name>";
        return Err(CommandError::new(args.end.clone(), message));
    }
    if changes.is_empty() {
        let error = CommandError::new(args.end.clone(), "at least one taint update is required");
        return Err(error.hint("for example dedicated=web:NoSchedule"));
    }
    let mut taints = Taints { overwrites: args.is_on("overwrite")?, ..Taints::default() };
    for word in changes {
        let usage =
            |message: String| CommandError::usage(word.at.clone(), message, "kubectl taint");
        if let Some(text) = word.text.strip_suffix('-') {
            let Taint { key, effect, .. } = taint(text).map_err(usage)?;
            taints.removed.push(Taint { key, effect, ..Taint::default() });
            continue;
        }
        let new = taint(&word.text).map_err(usage)?;
        if new.effect.is_empty() {
            return Err(usage(format!("invalid taint spec: {}", word.text)));
        }
        if taints.added.iter().any(|other| other.key == new.key && other.effect == new.effect) {
            let Taint { key, value, effect } = new;
            return Err(usage(format!(
                "duplicated taints with the same key and effect: {{{key} {value} {effect} <nil>}}"
            )));
        }
        taints.added.push(new);
    }
    let targets = Targets::read(targets, args, Whole::Asked)?;
    only_nodes(&targets, args)?;
    let clashes = |removed: &Taint| {
        let count = taints.added.iter().filter(|new| {
            new.key == removed.key && (removed.effect.is_empty() || removed.effect == new.effect)
        });
        count.map(|_| format!("{}={}", removed.key, removed.effect)).collect::<Vec<_>>()
    };
    let both: Vec<String> = taints.removed.iter().flat_map(clashes).collect();
    if !both.is_empty() {
        let message = format!(
            "can not both modify and remove the following taint(s) in the same command: {}",
            both.join(", ")
        );
        return Err(CommandError::new(args.words_at(), message));
    }
    Ok((taints, targets))
}

fn only_nodes(targets: &Targets, args: &Args) -> Result<()> {
    match targets.resources().find(|resource| resource.name != "Node") {
        None => Ok(()),
        Some(other) => {
            let message = format!(
                "invalid resource type {}, only [\"node\" \"nodes\"] are supported",
                other.plural
            );
            Err(CommandError::new(args.words_at(), message))
        }
    }
}

/// `KEY=VALUE:EFFECT`, `KEY:EFFECT` or `KEY`.
fn taint(text: &str) -> std::result::Result<Taint, String> {
    let invalid = || format!("invalid taint spec: {text}");
    let (pair, effect) = text.split_once(':').unwrap_or((text, ""));
    if effect.contains(':') {
        return Err(invalid());
    }
    let mut taint = Taint { key: pair.to_owned(), effect: effect.to_owned(), ..Taint::default() };
    if text.contains(':') {
        if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            return Err(format!("invalid taint effect: {effect}, unsupported taint effect"));
        }
        let parts: Vec<&str> = pair.split('=').collect();
        match parts[..] {
            [_] => {}
            [key, value] => {
                let faults = label_value_faults(value);
                if !faults.is_empty() {
                    return Err(format!("{}, {}", invalid(), faults.join("; ")));
                }
                (taint.key, taint.value) = (key.to_owned(), value.to_owned());
            }
            _ => return Err(invalid()),
        }
    }
    let faults = qualified_name_faults(&taint.key);
    if faults.is_empty() { Ok(taint) } else { Err(format!("{}, {}", invalid(), faults.join("; "))) }
}

impl Taint {
    /// As the object has it.
    fn tree(&self) -> Value {
        let mut tree = json!({ "key": self.key, "effect": self.effect });
        if !self.value.is_empty() {
            tree["value"] = self.value.as_str().into();
        }
        tree
    }

    /// Whether it means a taint of an object.
    fn is(&self, tree: &Value) -> bool {
        let same_effect = self.effect.is_empty() || tree["effect"] == self.effect.as_str();
        tree["key"] == self.key.as_str() && same_effect
    }
}

pub(super) fn run_taint(taints: &Taints, targets: &Targets, session: &mut Session<'_>) -> Done {
    let mut troubles = Vec::new();
    for found in session.find(targets) {
        let done = found.and_then(|info| taint_node(taints, &info, session));
        troubles.extend(done.err());
    }
    all_of(troubles)
}

fn taint_node(taints: &Taints, info: &Info, session: &mut Session<'_>) -> Done {
    let old = info.object["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let there = taints.added.iter().filter(|new| old.iter().any(|taint| new.is(taint)));
    let there: Vec<&str> = there.map(|taint| taint.key.as_str()).collect();
    if !taints.overwrites && !there.is_empty() {
        return Err(Trouble::Text(format!(
            "node {} already has {} taint(s) with same effect(s) and --overwrite is false",
            info.name,
            there.join(",")
        )));
    }
    let mut new: Vec<Value> = taints.added.iter().map(Taint::tree).collect();
    new.extend(old.iter().filter(|taint| !taints.added.iter().any(|n| n.is(taint))).cloned());
    let adds = old.len() != new.len();
    let (mut removes, mut troubles) = (false, Vec::new());
    for removed in &taints.removed {
        let before = new.len();
        new.retain(|taint| !removed.is(taint));
        removes = new.len() != before;
        if !removes {
            let text = match removed.effect.as_str() {
                "" => removed.key.clone(),
                effect => format!("{}:{effect}", removed.key),
            };
            troubles.push(Trouble::Text(format!("taint {text:?} not found")));
        }
    }
    all_of(troubles)?;
    let mut object = info.object.clone();
    set_taints(&mut object, new);
    if session.writes() {
        let kind = info.resource.kind.ok_or("no such kind")?;
        let patch = two_way(kind, &info.object, &object)?;
        session.api.patch(info.at(), PatchType::Strategic, patch)?;
    }
    let done = match (adds, removes) {
        _ if taints.overwrites => "modified",
        (true, true) => "modified",
        (true, false) => "tainted",
        (false, _) => "untainted",
    };
    session.tell(info.resource, &info.name, done);
    Ok(())
}

fn set_taints(object: &mut Value, taints: Vec<Value>) {
    if !object["spec"].is_object() {
        object["spec"] = json!({});
    }
    match object["spec"].as_object_mut() {
        Some(spec) if taints.is_empty() => {
            spec.remove("taints");
        }
        Some(spec) => {
            spec.insert("taints".to_owned(), taints.into());
        }
        None => {}
    }
}

/// The nodes of `cordon`, `uncordon` and `drain`: names alone, or `node/NAME`.
pub(super) fn read_nodes(args: &Args) -> Result<Targets> {
    if args.words.is_empty() && args.get("selector").is_none() {
        let error = CommandError::new(args.end.clone(), "expected the name of a node");
        let says = format!(
            "error: USAGE: {0} NODE [flags]\nSee '{0} -h' for help and examples\n",
            args.command
        );
        return Err(error.says(says));
    }
    if !args.words.is_empty() && args.get("selector").is_some() {
        let error = CommandError::new(args.words_at(), "a node and --selector exclude each other");
        let says = format!(
            "error: error: cannot specify both a node name and a --selector option\nSee '{} -h' \
             for help and examples\n",
            args.command
        );
        return Err(error.says(says));
    }
    let resource = super::resources::resource(crate::api::Kind::Node);
    let mut targets = Targets::default();
    if let Some(word) = args.get("selector") {
        let selector = TextSelector::parse(&word.text);
        targets.selector = selector.map_err(|e| CommandError::new(word.at.clone(), e))?;
        targets.is_selected = true;
        targets.kinds = vec![resource];
    }
    for word in &args.words {
        let name = word.text.split_once('/').map_or(word.text.as_str(), |(kind, name)| {
            if super::resources::resource_called(kind, &word.at).is_ok_and(|r| r.name == "Node") {
                name
            } else {
                word.text.as_str()
            }
        });
        targets.named.push(Target { resource, name: name.to_owned(), at: word.at.clone() });
    }
    Ok(targets)
}

pub(super) fn run_cordon(wanted: bool, targets: &Targets, session: &mut Session<'_>) -> Done {
    use std::fmt::Write as _;
    let what = if wanted { "cordon" } else { "uncordon" };
    for info in session.find_all(targets)? {
        if (info.object["spec"]["unschedulable"] == true) == wanted {
            session.tell(info.resource, &info.name, &format!("already {what}ed"));
            continue;
        }
        if session.writes() {
            let patch = json!({ "spec": { "unschedulable": wanted.then_some(true) } });
            if let Err(status) = session.api.patch(info.at(), PatchType::Strategic, patch) {
                let (name, why) = (&info.name, status.message);
                let _ = writeln!(session.err, "error: unable to {what} node {name:?}: {why}");
                continue;
            }
        }
        session.tell(info.resource, &info.name, &format!("{what}ed"));
    }
    Ok(())
}

pub(super) fn read_drain(args: &Args) -> Result<(Drain, Targets)> {
    let nodes = read_nodes(args)?;
    let timeout = match args.get("timeout") {
        None => Duration::ZERO,
        Some(word) => {
            let nanos = parse_go_duration(&word.text);
            let nanos = nanos.ok().and_then(|nanos| u64::try_from(nanos).ok());
            nanos.map(Duration::ns).ok_or_else(|| {
                let message = format!("\"{}\" is not a length of time", word.text);
                let says = format!(
                    "error: invalid argument \"{0}\" for \"--timeout\" flag: time: invalid \
                     duration \"{0}\"\nSee '{1} --help' for usage.\n",
                    word.text, args.command
                );
                let error = CommandError::new(word.at.clone(), message);
                error.hint("for example --timeout=5m").says(says)
            })?
        }
    };
    if let Some(word) = args.get("pod-selector") {
        let message = "--pod-selector=<pod_selector> must be a valid label selector";
        let parsed = TextSelector::parse(&word.text);
        parsed.map_err(|_| CommandError::new(word.at.clone(), message))?;
    }
    let grace = args.number("grace-period", "seconds")?;
    let skip_wait = args.number("skip-wait-for-delete-timeout", "seconds")?;
    let drain = Drain {
        selector: args.text("selector").map(str::to_owned),
        ignores_daemon_sets: args.is_on("ignore-daemonsets")?,
        deletes_empty_dirs: args.is_on("delete-emptydir-data")?
            || args.is_on("delete-local-data")?,
        force: args.is_on("force")?,
        deletes: args.is_on("disable-eviction")?,
        grace: grace.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::secs),
        timeout,
        pods: args.text("pod-selector").map(str::to_owned),
        skip_wait: skip_wait.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0),
    };
    Ok((drain, nodes))
}
