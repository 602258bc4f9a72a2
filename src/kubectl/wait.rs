//! Commands that wait: `kubectl wait`, `rollout status`, and `delete` for what it deleted.
//!
//! ```text
//! command ─► Waiting ─► look ─► met: next object ─► … ─► over
//!                        ▲  └─ not yet ─┐
//!                        └── a change ──┘      time-out ─► the object failed
//! ```
//!
//! It looks at one object after another, as kubectl does; whoever has the clock looks when the
//! object has changed, and says when the time is over.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/kubectl/pkg/cmd/wait/{wait,json}.go,
//! pkg/cmd/rollout/rollout_status.go, pkg/cmd/delete/delete.go (rule C65).

use std::fmt::Write as _;

use serde_json::Value;

use crate::base::{Duration, go_time::parse_go_duration};

use super::client::{Api, At, Output, Session, Sub, Trouble, all_of};
use super::json_path::{JsonPath, as_text};
use super::resources::Resource;
use super::rollout_status;
use super::targets::{Info, Targets, Whole, is_missing};
use super::words::{Args, CommandError, Flag, Result, switch, value};

/// A week: what kubectl makes of "for ever".
const WEEK: Duration = Duration::secs(168 * 3600);
/// How often it is looked whether something has come to be.
const POLL: Duration = Duration::ms(500);

pub(super) const FLAGS: &[Flag] = &[
    value("for"),
    value("timeout"),
    switch("all"),
    value("selector").short('l'),
    value("filename").short('f'),
];

/// `kubectl wait`.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    until: Until,
    /// Zero: look once.
    timeout: Duration,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
enum Until {
    /// `--for=create`.
    Created,
    /// `--for=delete`, and the end of `delete`.
    Gone,
    /// `--for=condition=NAME=STATUS`.
    Condition { name: String, status: String },
    /// `--for=jsonpath=PATH=VALUE`.
    Path(JsonPath, Option<String>),
    /// `rollout status`.
    RolledOut { revision: i64, watches: bool },
}

/// How `rollout status` waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// `--watch`.
    pub watches: bool,
    /// `--timeout`; zero: for ever.
    pub timeout: Duration,
    /// `--revision`; zero: any.
    pub revision: i64,
}

/// A length of time of a flag, in Go's words.
pub(super) fn length(args: &Args, flag: &str) -> Result<Option<i64>> {
    let Some(word) = args.get(flag) else { return Ok(None) };
    let nanos = parse_go_duration(&word.text).map_err(|_| {
        let message = format!("\"{}\" is not a length of time", word.text);
        let says = format!(
            "error: invalid argument \"{0}\" for \"--{flag}\" flag: time: invalid duration \
             \"{0}\"\nSee '{1} --help' for usage.\n",
            word.text, args.command
        );
        let error = CommandError::new(word.at.clone(), message);
        error.hint(format!("for example --{flag}=5m")).says(says)
    })?;
    Ok(Some(nanos))
}

/// Nanoseconds of a flag; what is negative means a week.
fn or_week(nanos: i64) -> Duration {
    u64::try_from(nanos).map_or(WEEK, Duration::ns)
}

pub(super) fn read(args: &Args) -> Result<(Wait, Targets)> {
    let targets = Targets::read(&args.words, args, Whole::Asked)?;
    let Some(word) = args.get("for") else {
        let error = CommandError::new(args.end.clone(), "--for is missing");
        let hint = "for example --for=condition=Available";
        return Err(error.hint(hint).says("error: unrecognized condition: \"\"\n"));
    };
    let error = |message: String| CommandError::new(word.at.clone(), message);
    let text = word.text.as_str();
    let until = match (text.to_lowercase().as_str(), text.split_once('=')) {
        ("delete", _) => Until::Gone,
        ("create", _) => Until::Created,
        (_, Some(("condition", of))) => {
            let (name, status) = of.split_once('=').unwrap_or((of, "true"));
            Until::Condition { name: name.to_owned(), status: status.to_owned() }
        }
        (_, Some(("jsonpath", of))) => {
            let (path, wanted) = split_path(of).map_err(error)?;
            Until::Path(JsonPath::parse(&path).map_err(error)?, wanted)
        }
        _ => {
            let hint = "condition=NAME, jsonpath='{.PATH}'=VALUE, create or delete";
            return Err(error(format!("unrecognized condition: {text:?}")).hint(hint));
        }
    };
    let timeout = length(args, "timeout")?.map_or(Duration::secs(30), or_week);
    Ok((Wait { until, timeout }, targets))
}

/// Path and value at the one `=` between them; `==` belongs to the path.
fn split_path(text: &str) -> std::result::Result<(String, Option<String>), String> {
    let hidden = text.replace("==", "\u{0}");
    let parts: Vec<String> = hidden.split('=').map(|part| part.replace('\u{0}', "==")).collect();
    match parts.as_slice() {
        [path] => Ok((path.clone(), None)),
        [path, wanted] => match wanted.trim_matches(['\'', '"']) {
            "" => Err("jsonpath wait has to have a value after equal sign, like \
                       --for=jsonpath='{.status.readyReplicas}'=3"
                .to_owned()),
            wanted => Ok((path.clone(), Some(wanted.to_owned()))),
        },
        _ => Err("jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or \
                  --for=jsonpath='{.status.readyReplicas}'"
            .to_owned()),
    }
}

impl Wait {
    /// The condition that it waits for, if it is one of the object's status.
    #[must_use]
    pub fn condition(&self) -> Option<&str> {
        match &self.until {
            Until::Condition { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether it waits for something that need not be there yet.
    #[must_use]
    pub fn is_for_new(&self) -> bool {
        self.until == Until::Created
    }
}

pub(super) fn read_watch(args: &Args) -> Result<Watch> {
    let revision = args.number("revision", "a revision")?.unwrap_or(0);
    if revision < 0 {
        let message = format!("revision must be a positive integer: {revision}");
        return Err(CommandError::new(args.place("revision"), message));
    }
    let timeout = length(args, "timeout")?.map_or(Duration::ZERO, or_week);
    Ok(Watch { watches: args.switch("watch")?.unwrap_or(true), timeout, revision })
}

/// `--timeout` of `delete`: zero means a week.
pub(super) fn read_delete_timeout(args: &Args) -> Result<Duration> {
    Ok(length(args, "timeout")?.filter(|nanos| *nanos != 0).map_or(WEEK, or_week))
}

/// An object that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Its kind.
    pub resource: &'static Resource,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Tells it from another one of that name.
    life: Option<u64>,
}

impl Awaited {
    pub(super) fn new(at: At<'_>, life: Option<u64>) -> Self {
        let (namespace, name) = (at.namespace.to_owned(), at.name.to_owned());
        Self { resource: at.resource, namespace, name, life }
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self) -> At<'_> {
        let Self { resource, namespace, name, .. } = self;
        At { resource, namespace, name, sub: Sub::Object }
    }
}

/// What a command that has done all else still waits for.
#[derive(Clone, Debug)]
pub struct Waiting {
    until: Until,
    objects: Vec<Awaited>,
    /// How many of them are done with.
    place: usize,
    /// Objects that are to come; how to find them.
    coming: Option<(Targets, String)>,
    timeout: Option<Duration>,
    said: String,
    troubles: Vec<Trouble>,
    is_silent: bool,
}

/// What a look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It waits on.
    Waits,
    /// It ends.
    Over,
}

impl Waiting {
    fn new(until: Until, objects: Vec<Awaited>, timeout: Option<Duration>) -> Self {
        Self {
            until,
            objects,
            place: 0,
            coming: None,
            timeout,
            said: String::new(),
            troubles: Vec::new(),
            is_silent: false,
        }
    }

    /// What a deletion waits for.
    pub(super) fn gone(objects: Vec<Awaited>, timeout: Duration) -> Self {
        let waiting = Self::new(Until::Gone, objects, Some(timeout));
        Self { is_silent: true, ..waiting }
    }

    /// The object that it looks at now; `None`: it is over, or any new object may be the one.
    #[must_use]
    pub fn object(&self) -> Option<&Awaited> {
        self.objects.get(self.place)
    }

    /// Whether it waits for objects that are not there yet.
    #[must_use]
    pub const fn is_for_new(&self) -> bool {
        self.coming.is_some()
    }

    /// How long it waits: from its start, or for each object anew.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Counts the objects that have a time-out of their own.
    #[must_use]
    pub const fn turn(&self) -> usize {
        if matches!(self.until, Until::RolledOut { .. }) { self.place } else { 0 }
    }

    /// How often it looks; `None`: as soon as something changes.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        self.is_for_new().then_some(POLL)
    }

    /// Looks at the objects, from where it was.
    pub fn look(&mut self, api: &mut dyn Api) -> Looked {
        if self.coming.is_some() && !self.has_come(api) {
            return Looked::Waits;
        }
        while let Some(object) = self.objects.get(self.place) {
            let met = self.until.met(object, api, &mut self.said);
            match met {
                Ok(false) => return Looked::Waits,
                Ok(true) => self.tell_met(),
                Err(trouble) => self.troubles.push(trouble),
            }
            self.place += 1;
        }
        Looked::Over
    }

    fn tell_met(&mut self) {
        let object = &self.objects[self.place];
        let is_told = !self.is_silent && !matches!(self.until, Until::RolledOut { .. });
        if is_told {
            let _ =
                writeln!(self.said, "{}/{} condition met", object.resource.printed(), object.name);
        }
    }

    fn has_come(&mut self, api: &mut dyn Api) -> bool {
        let Some((targets, namespace)) = &self.coming else { return true };
        let files = std::collections::BTreeMap::new();
        let mut session = Session::looking(api, &files, namespace);
        match session.find_all(targets) {
            Ok(infos) if infos.is_empty() => false,
            Ok(infos) => {
                self.objects = infos.iter().map(|info| Awaited::new(info.at(), None)).collect();
                self.coming = None;
                true
            }
            Err(_) => false,
        }
    }

    /// The time is over.
    pub fn time_out(&mut self, api: &mut dyn Api) -> Looked {
        const LATE: &str = "timed out waiting for the condition";
        if self.coming.take().is_some() {
            self.troubles.push(LATE.into());
            return Looked::Over;
        }
        if matches!(self.until, Until::RolledOut { .. }) {
            self.troubles.push(LATE.into());
            self.place += 1;
            return self.look(api);
        }
        while let Some(object) = self.objects.get(self.place) {
            let is_gone = self.until == Until::Gone && is_gone(object, api);
            if is_gone {
                self.tell_met();
            } else {
                let (plural, name) = (object.resource.plural, &object.name);
                self.troubles.push(format!("{LATE} on {plural}/{name}").into());
            }
            self.place += 1;
        }
        Looked::Over
    }

    /// What kubectl has printed since it waits, and how it ends.
    #[must_use]
    pub fn output(self) -> Output {
        let failed = all_of(self.troubles).err().map(|trouble| trouble.printed());
        let exit_code = u8::from(failed.is_some());
        let stderr = failed.unwrap_or_default();
        Output { stdout: self.said, stderr, exit_code, waiting: None }
    }
}

fn is_gone(object: &Awaited, api: &mut dyn Api) -> bool {
    match api.life(object.at()) {
        None => true,
        Some(life) => object.life.is_some_and(|own| own != life),
    }
}

impl Until {
    /// Whether an object has come so far.
    fn met(
        &self,
        object: &Awaited,
        api: &mut dyn Api,
        said: &mut String,
    ) -> std::result::Result<bool, Trouble> {
        if *self == Self::Gone {
            return Ok(is_gone(object, api));
        }
        let found = match api.observe(object.at()) {
            Ok(found) => found,
            Err(status) if is_missing(&status) => {
                return match self {
                    Self::RolledOut { .. } => Err("object has been deleted".into()),
                    // A watch only sees it go.
                    _ => Ok(false),
                };
            }
            Err(status) => return Err(status.into()),
        };
        match self {
            Self::Created | Self::Gone => Ok(true),
            Self::Condition { name, status } => Ok(has_condition(&found, name, status)),
            Self::Path(path, wanted) => Ok(leads_to(path, wanted.as_deref(), &found)?),
            Self::RolledOut { revision, watches } => {
                let (kind, name) = (object.resource.name, &object.name);
                let (line, done) = rollout_status::view(kind, name, &found, *revision)?;
                if said.lines().last() != Some(line.as_str()) {
                    let _ = writeln!(said, "{line}");
                }
                Ok(done || !watches)
            }
        }
    }
}

fn has_condition(object: &Value, name: &str, status: &str) -> bool {
    let all = object["status"]["conditions"].as_array();
    let is_it = |of: &&Value| of["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(name));
    let Some(found) = all.into_iter().flatten().find(is_it) else { return false };
    let generation = object["metadata"]["generation"].as_i64();
    let own = found["observedGeneration"].as_i64();
    let observed = own.or_else(|| object["status"]["observedGeneration"].as_i64());
    if observed.zip(generation).is_some_and(|(observed, now)| observed < now) {
        return false;
    }
    found["status"].as_str().is_some_and(|text| text.eq_ignore_ascii_case(status))
}

fn leads_to(
    path: &JsonPath,
    wanted: Option<&str>,
    object: &Value,
) -> std::result::Result<bool, String> {
    let found = path.find(object);
    let Some(first) = found.first() else { return Ok(false) };
    if found.len() > 1 {
        return Err("given jsonpath expression matches more than one value".to_owned());
    }
    let Some(wanted) = wanted else { return Ok(true) };
    let nested = "jsonpath leads to a nested object or list which is not supported";
    Ok(as_text(first).ok_or(nested)?.trim() == wanted.trim())
}

type Begun = std::result::Result<Waiting, Trouble>;

/// Begins to wait; objects that are not there are troubles.
pub(super) fn begin(wait: &Wait, targets: &Targets, session: &mut Session<'_>) -> Begun {
    let Wait { until, timeout } = wait;
    if *until == Until::Created {
        let mut waiting = Waiting::new(until.clone(), Vec::new(), Some(*timeout));
        waiting.coming = Some((targets.clone(), session.namespace.to_owned()));
        return Ok(waiting);
    }
    let found = session.find(targets);
    let is_for_end = *until == Until::Gone;
    let is_known_gone =
        |trouble: &Trouble| is_for_end && matches!(trouble, Trouble::Status(s) if is_missing(s));
    let (mut infos, mut troubles) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(info) => infos.push(info),
            Err(trouble) if is_known_gone(&trouble) => {}
            Err(trouble) => troubles.push(trouble),
        }
    }
    if infos.is_empty() && troubles.is_empty() && !is_for_end {
        return Err("no matching resources found".into());
    }
    let objects = awaited(&infos, session);
    let mut waiting = Waiting::new(until.clone(), objects, Some(*timeout));
    waiting.troubles = troubles;
    if *timeout == Duration::ZERO && waiting.look(session.api) == Looked::Waits {
        let late = waiting.objects[waiting.place..].iter();
        let late = late.map(|object| {
            format!("condition not met for {}/{}", object.resource.plural, object.name).into()
        });
        let late: Vec<Trouble> = late.collect();
        waiting.troubles.extend(late);
        waiting.place = waiting.objects.len();
    }
    Ok(waiting)
}

fn awaited(infos: &[Info], session: &mut Session<'_>) -> Vec<Awaited> {
    infos.iter().map(|info| Awaited::new(info.at(), session.api.life(info.at()))).collect()
}

/// Begins to watch rollouts.
pub(super) fn begin_watch(watch: Watch, infos: &[Info], session: &mut Session<'_>) -> Waiting {
    let Watch { watches, timeout, revision } = watch;
    let timeout = Some(timeout).filter(|timeout| *timeout > Duration::ZERO);
    let objects = awaited(infos, session);
    Waiting::new(Until::RolledOut { revision, watches }, objects, timeout)
}
