//! kubectl: a client in its own words.
//!
//! ```text
//! a line of words ─ parse ─► Invocation          (every word checked, nothing asked)
//! Invocation + files + time ─ run ─► requests to an Api ─► what kubectl prints
//! old object + request ─ server::… ─► new object (pure; for whoever keeps the objects)
//! ```
//!
//! Objects are trees. It knows which words kubectl takes and what is wrong with others; whether an
//! object is there, the API says.
//!
//! Differs: words and flags that change nothing in a cluster (`logs`, `top`, …) are read and do
//! nothing, `get` and `describe` say only whether an object is there; client-side validation is
//! that of the API.

mod apply;
mod autoscale;
mod client;
mod create;
mod delete;
mod expose;
mod get;
mod json_path;
mod label;
mod nodes;
mod pairs;
mod patch;
mod resources;
mod rollout;
mod rollout_status;
mod scale;
pub mod server;
mod set;
mod targets;
mod wait;
mod words;

use std::ops::Range;

use crate::base::{Timestamp, text::did_you_mean};

pub use apply::Apply;
pub use autoscale::Autoscale;
pub use client::{Api, At, Cascade, DeleteOptions, Files, Output, Place, Status, Sub};
pub use create::Create;
pub use delete::Delete;
pub use expose::Expose;
pub use get::Get;
pub use label::Labels;
pub use nodes::{Drain, Taint, Taints};
pub use patch::Patch;
pub use resources::{Resource, kind_called, resource, resource_of};
pub use rollout::Rollout;
pub use scale::Scale;
pub use set::{Env, Set};
pub use targets::{Target, Targets};
pub use wait::{Awaited, Looked, Wait, Waiting, Watch};
pub use words::CommandError;

use client::{DryRun, Session};
use words::{Args, Flag, Result, Takes, Word, split, switch, value};

/// A command of kubectl, every word of it checked.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What it does.
    pub verb: Verb,
    /// Of which objects; empty of commands that make new ones.
    pub targets: Targets,
    /// `-n`.
    pub namespace: String,
    dry_run: DryRun,
    prints_names: bool,
    /// `--field-manager`.
    manager: Option<String>,
}

/// What a command does.
#[derive(Clone, Debug)]
pub enum Verb {
    /// `set …`.
    Set(Set),
    /// `scale`.
    Scale(Scale),
    /// `rollout …`.
    Rollout(Rollout),
    /// `label`.
    Label(Labels),
    /// `annotate`.
    Annotate(Labels),
    /// `taint`.
    Taint(Taints),
    /// `cordon`.
    Cordon,
    /// `uncordon`.
    Uncordon,
    /// `drain`: read here, carried out by whoever can evict.
    Drain(Box<Drain>),
    /// `autoscale`.
    Autoscale(Autoscale),
    /// `patch`.
    Patch(Patch),
    /// `apply -f`.
    Apply(Apply),
    /// `create -f`.
    CreateFiles(Vec<String>),
    /// `create KIND`, `run`.
    Create(Box<Create>),
    /// `expose`.
    Expose(Box<Expose>),
    /// `delete`.
    Delete(Delete),
    /// `wait`.
    Wait(Box<Wait>),
    /// `get NAME`, `describe NAME`: it fails if the object is not there.
    Get(Get),
    /// `get` of whatever is there, `logs`, `top`, …: nothing changes.
    Look,
}

/// The verbs that are carried out.
const VERBS: [&str; 17] = [
    "set",
    "scale",
    "rollout",
    "label",
    "annotate",
    "taint",
    "cordon",
    "uncordon",
    "drain",
    "autoscale",
    "patch",
    "apply",
    "create",
    "run",
    "expose",
    "delete",
    "wait",
];

/// Verbs that only look.
const LOOKS: [&str; 12] = [
    "get",
    "describe",
    "logs",
    "top",
    "events",
    "explain",
    "version",
    "cluster-info",
    "api-resources",
    "api-versions",
    "diff",
    "auth",
];

/// Flags that every command takes.
const COMMON: &[Flag] = &[
    value("namespace").short('n'),
    Flag { long: "dry-run", short: None, takes: Takes::Maybe("client") },
    value("output").short('o'),
    value("field-manager"),
    switch("record"),
];

/// Reads one line. `namespace` is that of objects without `-n`.
///
/// # Errors
/// On the first word that cannot be taken.
pub fn parse(line: &str, namespace: &str) -> Result<Invocation> {
    read(split(line)?, line.trim_end().len(), namespace)
}

/// A line split into words as a shell does it.
///
/// # Errors
/// If a quote is not closed.
pub fn words(line: &str) -> Result<Vec<String>> {
    Ok(split(line)?.into_iter().map(|word| word.text).collect())
}

/// Reads words that a shell has split. Places are those in the words joined with blanks.
///
/// # Errors
/// On the first word that cannot be taken.
pub fn parse_words(words: &[String], namespace: &str) -> Result<Invocation> {
    let mut end = 0;
    let words: Vec<Word> = words
        .iter()
        .map(|text| {
            let at = end..end + text.len();
            end = at.end + 1;
            Word { text: text.clone(), at }
        })
        .collect();
    read(words, end.saturating_sub(1), namespace)
}

fn read(mut words: Vec<Word>, end: usize, namespace: &str) -> Result<Invocation> {
    let is_kubectl = words.first().is_some_and(|word| word.text == "kubectl");
    if is_kubectl {
        words.remove(0);
    }
    let place = words.iter().position(|word| !word.text.starts_with('-'));
    // `-n shop scale …`: a flag before the verb takes the next word.
    let place = place.map(|place| match words.get(place.wrapping_sub(1)) {
        Some(flag) if flag.text == "-n" || flag.text == "--namespace" => place + 1,
        _ => place,
    });
    let Some(verb) = place.filter(|place| *place < words.len()).map(|place| words.remove(place))
    else {
        return Err(CommandError::new(end..end, "expected a verb of kubectl"));
    };
    Reader { words, end, namespace, is_kubectl }.verb(&verb)
}

struct Reader<'a> {
    words: Vec<Word>,
    end: usize,
    namespace: &'a str,
    is_kubectl: bool,
}

impl Reader<'_> {
    fn verb(self, verb: &Word) -> Result<Invocation> {
        let one = |flags: &'static [Flag]| vec![COMMON, flags];
        match verb.text.as_str() {
            "set" => self.set(),
            "rollout" => self.rollout(),
            "scale" => self.with("scale", &one(scale::FLAGS), |args| {
                scale::read(args).map(|(of, targets)| (Verb::Scale(of), targets))
            }),
            "label" => self.with("label", &one(label::FLAGS), |args| {
                label::read("label", args).map(|(of, targets)| (Verb::Label(of), targets))
            }),
            "annotate" => self.with("annotate", &one(label::FLAGS), |args| {
                label::read("annotation", args).map(|(of, targets)| (Verb::Annotate(of), targets))
            }),
            "taint" => self.with("taint", &one(nodes::TAINT_FLAGS), |args| {
                nodes::read_taint(args).map(|(of, targets)| (Verb::Taint(of), targets))
            }),
            "cordon" => self.with("cordon", &one(nodes::CORDON_FLAGS), |args| {
                nodes::read_nodes(args).map(|targets| (Verb::Cordon, targets))
            }),
            "uncordon" => self.with("uncordon", &one(nodes::CORDON_FLAGS), |args| {
                nodes::read_nodes(args).map(|targets| (Verb::Uncordon, targets))
            }),
            "drain" => self.with("drain", &one(nodes::DRAIN_FLAGS), |args| {
                let (drain, targets) = nodes::read_drain(args)?;
                Ok((Verb::Drain(Box::new(drain)), targets))
            }),
            "autoscale" => self.with("autoscale", &one(autoscale::FLAGS), |args| {
                autoscale::read(args).map(|(of, targets)| (Verb::Autoscale(of), targets))
            }),
            "patch" => self.with("patch", &one(patch::FLAGS), |args| {
                patch::read(args).map(|(of, targets)| (Verb::Patch(of), targets))
            }),
            "apply" => self.with("apply", &one(apply::FLAGS), |args| {
                apply::read_apply(args).map(|of| (Verb::Apply(of), Targets::default()))
            }),
            "create" => self.with("create", &[COMMON, apply::FLAGS, create::FLAGS], |args| {
                let verb = match args.get("filename") {
                    Some(_) => Verb::CreateFiles(apply::read(args)?),
                    None => Verb::Create(Box::new(create::read(args)?)),
                };
                Ok((verb, Targets::default()))
            }),
            "run" => self.with("run", &one(create::RUN_FLAGS), |args| {
                let create = create::read_run(args)?;
                Ok((Verb::Create(Box::new(create)), Targets::default()))
            }),
            "expose" => self.with("expose", &one(expose::FLAGS), |args| {
                let (expose, targets) = expose::read(args)?;
                Ok((Verb::Expose(Box::new(expose)), targets))
            }),
            "delete" => self.with("delete", &one(delete::FLAGS), |args| {
                delete::read(args).map(|(of, targets)| (Verb::Delete(of), targets))
            }),
            "wait" => self.with("wait", &one(wait::FLAGS), |args| {
                let (of, targets) = wait::read(args)?;
                Ok((Verb::Wait(Box::new(of)), targets))
            }),
            "get" | "describe" => Ok(self.get(&verb.text)),
            look if LOOKS.contains(&look) => Ok(self.looks()),
            _ => Err(self.unknown_verb(verb)),
        }
    }

    /// What is not understood of a look changes nothing.
    fn get(self, verb: &str) -> Invocation {
        let (words, command) = (self.words.clone(), format!("kubectl {verb}"));
        let read = Args::read(words, &[get::FLAGS], self.end, command).and_then(|args| {
            let namespace = args.text("namespace").unwrap_or(self.namespace).to_owned();
            get::read(&args).map(|(get, targets)| (get, targets, namespace))
        });
        match read {
            Ok((get, targets, namespace)) if !get.watches => {
                let verb = Verb::Get(get);
                Invocation {
                    verb,
                    targets,
                    namespace,
                    dry_run: DryRun::No,
                    prints_names: false,
                    manager: None,
                }
            }
            _ => self.looks(),
        }
    }

    fn looks(self) -> Invocation {
        Invocation {
            verb: Verb::Look,
            targets: Targets::default(),
            namespace: self.namespace.to_owned(),
            dry_run: DryRun::No,
            prints_names: false,
            manager: None,
        }
    }

    fn unknown_verb(&self, verb: &Word) -> CommandError {
        let text = &verb.text;
        let message = match self.is_kubectl {
            true => format!("kubectl {text} is not modelled"),
            false => format!("\"{text}\" is no command of kubectl that is modelled"),
        };
        let says = format!("error: unknown command \"{text}\" for \"kubectl\"\n");
        let error = CommandError::new(verb.at.clone(), message).says(says);
        match did_you_mean(text, VERBS) {
            Some(known) => error.hint(format!("did you mean \"{known}\"?")),
            None => error.hint(format!("modelled are: {}", VERBS.join(", "))),
        }
    }

    /// Takes the word after the verb, one of these.
    fn what(&mut self, verb: &str, known: &[&'static str]) -> Result<&'static str> {
        let place = self.words.iter().position(|word| !word.text.starts_with('-'));
        let Some(place) = place else {
            let message = format!("expected one of {}", known.join(", "));
            return Err(CommandError::new(self.end..self.end, message));
        };
        let word = self.words.remove(place);
        let short = if word.text == "sa" { "serviceaccount" } else { word.text.as_str() };
        if let Some(known) = known.iter().find(|known| **known == short) {
            return Ok(known);
        }
        let message = format!("kubectl {verb} {} is not modelled", word.text);
        let says = format!("error: unknown command \"{} {}\"\n", verb, word.text);
        let error = CommandError::new(word.at, message).says(says);
        Err(match did_you_mean(&word.text, known.iter().copied()) {
            Some(known) => error.hint(format!("did you mean \"{known}\"?")),
            None => error.hint(format!("modelled are: {}", known.join(", "))),
        })
    }

    fn set(mut self) -> Result<Invocation> {
        let known = ["image", "env", "resources", "serviceaccount", "selector"];
        let what = self.what("set", &known)?;
        let own = match what {
            "env" => set::ENV_FLAGS,
            "resources" => set::RESOURCES_FLAGS,
            _ => &[],
        };
        self.with(&format!("set {what}"), &[COMMON, set::FLAGS, own], |args| {
            set::read(what, args).map(|(of, targets)| (Verb::Set(of), targets))
        })
    }

    fn rollout(mut self) -> Result<Invocation> {
        let known = ["restart", "pause", "resume", "undo", "history", "status"];
        let what = self.what("rollout", &known)?;
        let own = match what {
            "undo" => rollout::UNDO_FLAGS,
            "status" => rollout::STATUS_FLAGS,
            _ => &[],
        };
        self.with(&format!("rollout {what}"), &[COMMON, rollout::FLAGS, own], |args| {
            rollout::read(what, args).map(|(of, targets)| (Verb::Rollout(of), targets))
        })
    }

    /// Sorts the words and has them read.
    fn with(
        self,
        command: &str,
        flags: &[&[Flag]],
        read: impl FnOnce(&Args) -> Result<(Verb, Targets)>,
    ) -> Result<Invocation> {
        let args = Args::read(self.words, flags, self.end, format!("kubectl {command}"))?;
        if let Some(rest) = args.rest.as_ref().and_then(|rest| rest.first())
            && !["create", "run"].contains(&command)
        {
            let message = format!("unexpected \"{}\"", rest.text);
            return Err(CommandError::new(rest.at.clone(), message));
        }
        let dry_run = match args.text("dry-run") {
            None | Some("none" | "false") => DryRun::No,
            Some("client" | "true") => DryRun::Client,
            Some("server") => DryRun::Server,
            Some(other) => {
                let message = format!(
                    "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
                );
                return Err(CommandError::new(args.place("dry-run"), message));
            }
        };
        let prints_names = match args.get("output") {
            None => false,
            Some(word) if word.text == "name" => true,
            Some(word) => {
                let message = format!("output \"{}\" is not modelled here", word.text);
                let error = CommandError::new(word.at.clone(), message);
                return Err(error.hint("modelled is -o name"));
            }
        };
        let namespace = args.text("namespace").unwrap_or(self.namespace).to_owned();
        let manager = args.text("field-manager").map(str::to_owned);
        let (verb, targets) = read(&args)?;
        Ok(Invocation { verb, targets, namespace, dry_run, prints_names, manager })
    }
}

impl Invocation {
    /// The files that it reads.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let of_verb: &[String] = match &self.verb {
            Verb::Apply(Apply { files, .. }) | Verb::CreateFiles(files) => files,
            _ => &[],
        };
        let named = of_verb.iter().chain(&self.targets.files).map(String::as_str);
        named.chain(self.patch_file())
    }

    /// The file with a patch.
    #[must_use]
    pub fn patch_file(&self) -> Option<&str> {
        match &self.verb {
            Verb::Patch(patch) => patch.file.as_deref(),
            _ => None,
        }
    }

    /// The place of the word that names an object, for messages.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        let found = self.targets.named.iter().find(|target| target.name == name);
        found.map(|target| target.at.clone())
    }
}

/// The field manager of a command that names none.
///
/// Source: kubectl v0.36.3 pkg/cmd, `FieldManager` of each command.
fn manager_of(verb: &Verb) -> &'static str {
    match verb {
        Verb::Set(_) => "kubectl-set",
        Verb::Rollout(_) => "kubectl-rollout",
        Verb::Label(_) => "kubectl-label",
        Verb::Annotate(_) => "kubectl-annotate",
        Verb::Taint(_) => "kubectl-taint",
        Verb::Autoscale(_) => "kubectl-autoscale",
        Verb::Patch(_) => "kubectl-patch",
        Verb::Apply(of) if !of.is_server_side => "kubectl-client-side-apply",
        Verb::Create(of) if of.resource.kind == Some(crate::api::Kind::Pod) => "kubectl-run",
        Verb::Create(_) | Verb::CreateFiles(_) => "kubectl-create",
        Verb::Expose(_) => "kubectl-expose",
        Verb::Apply(_)
        | Verb::Scale(_)
        | Verb::Cordon
        | Verb::Uncordon
        | Verb::Drain(_)
        | Verb::Delete(_)
        | Verb::Wait(_)
        | Verb::Get(_)
        | Verb::Look => "kubectl",
    }
}

/// Carries a command out: asks the API and tells what kubectl prints. `now` is the time of the
/// command.
pub fn run(invocation: &Invocation, files: &Files, now: Timestamp, api: &mut dyn Api) -> Output {
    let Invocation { verb, targets, namespace, dry_run, prints_names, manager } = invocation;
    api.act_as(manager.as_deref().unwrap_or_else(|| manager_of(verb)));
    let mut session = Session {
        api,
        files,
        now,
        namespace,
        dry_run: *dry_run,
        prints_names: *prints_names,
        out: String::new(),
        err: String::new(),
        waiting: None,
    };
    let session_ref = &mut session;
    let done = match verb {
        Verb::Set(set) => set::run(set, targets, session_ref),
        Verb::Scale(scale) => scale::run(*scale, targets, session_ref),
        Verb::Rollout(rollout) => rollout::run(*rollout, targets, session_ref),
        Verb::Label(labels) => label::run_label(labels, targets, session_ref),
        Verb::Annotate(labels) => label::run_annotate(labels, targets, session_ref),
        Verb::Taint(taints) => nodes::run_taint(taints, targets, session_ref),
        Verb::Cordon => nodes::run_cordon(true, targets, session_ref),
        Verb::Uncordon => nodes::run_cordon(false, targets, session_ref),
        Verb::Autoscale(of) => autoscale::run(of, targets, session_ref),
        Verb::Patch(patch) => patch::run(patch, targets, session_ref),
        Verb::Apply(of) => apply::run_apply(of, session_ref),
        Verb::CreateFiles(files) => apply::run_create(files, session_ref),
        Verb::Create(create) => create::run(create, session_ref),
        Verb::Expose(expose) => expose::run(expose, targets, session_ref),
        Verb::Delete(delete) => delete::run(*delete, targets, session_ref),
        Verb::Wait(of) => wait::begin(of, targets, session_ref).map(|waiting| {
            session_ref.waiting = Some(waiting);
        }),
        Verb::Get(get) => get::run(*get, targets, session_ref),
        Verb::Drain(_) | Verb::Look => Ok(()),
    };
    let Session { out, mut err, waiting, .. } = session;
    let failed = done.err().map(|trouble| trouble.printed());
    err.push_str(failed.as_deref().unwrap_or_default());
    let waiting = waiting.filter(|_| failed.is_none()).map(Box::new);
    Output { stdout: out, stderr: err, exit_code: u8::from(failed.is_some()), waiting }
}

#[cfg(test)]
mod tests;
