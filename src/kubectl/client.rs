//! What a client asks of the API server, and how kubectl tells what comes of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::api::{PatchType, TextSelector};
use crate::base::Timestamp;

use super::resources::Resource;
use super::wait::Waiting;

/// Documents of files by the name that `-f` has, in order.
pub type Files = BTreeMap<String, Vec<Value>>;

/// Where an object is.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Its kind.
    pub resource: &'static Resource,
    /// Its namespace; means nothing for kinds without.
    pub namespace: &'a str,
    /// Its name; empty of one that is created.
    pub name: &'a str,
    /// Which of its subresources is meant.
    pub sub: Sub,
}

/// A subresource of an object, or the object itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sub {
    /// The object.
    #[default]
    Object,
    /// `scale`.
    Scale,
    /// `resize`, of pods.
    Resize,
    /// `status`.
    Status,
}

impl Sub {
    /// Its name in a path.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Object => None,
            Self::Scale => Some("scale"),
            Self::Resize => Some("resize"),
            Self::Status => Some("status"),
        }
    }
}

/// Which object: its kind (plural), its namespace, empty for kinds without, and its name.
pub type Place = (&'static str, String, String);

impl At<'_> {
    /// Which object it is, to look it up by.
    #[must_use]
    pub fn place(&self) -> Place {
        let namespace = if self.resource.is_namespaced { self.namespace } else { "" };
        (self.resource.plural, namespace.to_owned(), self.name.to_owned())
    }

    /// The path of the request.
    #[must_use]
    pub fn path(&self) -> String {
        let name = Some(self.name).filter(|name| !name.is_empty());
        self.resource.path(self.namespace, name, self.sub.name())
    }

    /// Whether the subresource `scale` is meant.
    #[must_use]
    pub fn is_scale(&self) -> bool {
        self.sub == Sub::Scale
    }
}

/// An API server, as kubectl needs it. Objects are trees as clients see them.
pub trait Api {
    /// One object.
    ///
    /// # Errors
    /// It is not there.
    fn get(&mut self, at: At<'_>) -> Result<Value, Status>;

    /// All objects of a kind in a namespace, by name.
    ///
    /// # Errors
    /// The server refuses.
    fn list(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        selector: &TextSelector,
    ) -> Result<Vec<Value>, Status>;

    /// Creates an object and gives it as stored. `content_type` is that of the request.
    ///
    /// # Errors
    /// The server refuses it.
    fn create(
        &mut self,
        at: At<'_>,
        object: Value,
        content_type: &'static str,
    ) -> Result<Value, Status>;

    /// The name by which what is written from now on is managed.
    fn act_as(&mut self, _manager: &str) {}

    /// Applies a configuration on the server and gives the object as stored.
    ///
    /// # Errors
    /// The server refuses it, or others manage some of its fields.
    fn apply(&mut self, _at: At<'_>, _config: Value, _force: bool) -> Result<Value, Status> {
        Err(Status::no_such_path())
    }

    /// Patches an object and gives it as stored.
    ///
    /// # Errors
    /// The server refuses the patch.
    fn patch(&mut self, at: At<'_>, language: PatchType, patch: Value) -> Result<Value, Status>;

    /// Replaces an object and gives it as stored.
    ///
    /// # Errors
    /// The server refuses it.
    fn replace(&mut self, at: At<'_>, object: Value) -> Result<Value, Status>;

    /// Deletes an object.
    ///
    /// # Errors
    /// It is not there.
    fn delete(&mut self, at: At<'_>, options: DeleteOptions) -> Result<(), Status>;

    /// One object with all of its status, for commands that wait.
    ///
    /// # Errors
    /// It is not there.
    fn observe(&mut self, at: At<'_>) -> Result<Value, Status> {
        self.get(at)
    }

    /// A number that tells an object from others that had its name before; `None`: it is not
    /// there.
    fn life(&mut self, at: At<'_>) -> Option<u64> {
        self.get(at).ok().map(|_| 0)
    }
}

/// How an object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteOptions {
    /// `gracePeriodSeconds`, if the client gives one.
    pub grace_s: Option<i64>,
    /// What becomes of its dependents.
    pub cascade: Cascade,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cascade {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay.
    Orphan,
}

impl Cascade {
    /// The propagation policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

impl DeleteOptions {
    /// As the request carries them.
    #[must_use]
    pub fn body(self) -> Value {
        let mut body = json!({ "propagationPolicy": self.cascade.as_str() });
        if let Some(seconds) = self.grace_s {
            body["gracePeriodSeconds"] = seconds.into();
        }
        body
    }
}

/// Why the API server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status.
    pub code: u16,
    /// `NotFound`, `Invalid`, …
    pub reason: &'static str,
    /// The whole text.
    pub message: String,
    /// Kind and name of the object, where the server tells them.
    pub of: Option<(String, String)>,
    /// What is wrong with it, `FIELD: MESSAGE` each.
    pub causes: Vec<String>,
}

/// What kubectl printed, and how it ended.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// 0: all went well.
    pub exit_code: u8,
    /// What it still waits for.
    pub waiting: Option<Box<Waiting>>,
}

/// Why a command fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server refuses.
    Status(Box<Status>),
    /// kubectl refuses.
    Text(String),
    /// Several objects failed.
    Many(Vec<Self>),
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

pub(super) type Done = Result<(), Trouble>;

impl Trouble {
    /// The text alone, as `%v` of the error gives it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Status(status) => status.message.clone(),
            Self::Text(text) => text.clone(),
            Self::Many(all) => {
                let texts: Vec<String> = all.iter().map(Self::text).collect();
                format!("[{}]", texts.join(", "))
            }
        }
    }

    /// With what was being done in front of it, as kubectl does it.
    pub(super) fn when(self, doing: &str, source: &str) -> Self {
        match self {
            Self::Status(mut status) => {
                status.message = format!("error when {doing} {source:?}: {}", status.message);
                Self::Status(status)
            }
            other => Self::Text(format!("error when {doing} {source:?}: {}", other.text())),
        }
    }

    /// What kubectl writes to its standard error.
    ///
    /// Source: kubectl v0.36.3 pkg/cmd/util/helpers.go `checkErr` (recorded).
    pub(super) fn printed(&self) -> String {
        let mut text = match self {
            Self::Many(all) if all.len() == 1 => return all[0].printed(),
            Self::Status(status) if status.reason == "Invalid" => status.invalid(),
            Self::Status(status) => status.line(),
            Self::Text(text) if text.starts_with("error: ") => text.clone(),
            Self::Text(text) => format!("error: {text}"),
            Self::Many(all) => all.iter().fold(String::new(), |mut lines, one| {
                let line = match one {
                    Self::Status(status) => status.line(),
                    other => other.text(),
                };
                let _ = writeln!(lines, "{line}");
                lines
            }),
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

impl Status {
    /// Of one line.
    fn line(&self) -> String {
        match self.reason {
            "" => format!("Error from server: {}", self.message),
            reason => format!("Error from server ({reason}): {}", self.message),
        }
    }

    /// Of an object that is invalid: field by field.
    fn invalid(&self) -> String {
        let mut text = match &self.of {
            Some((kind, name)) => format!("The {kind} {name:?} is invalid"),
            None if self.causes.is_empty() => {
                return format!("The request is invalid: {}", self.message);
            }
            None => "The request is invalid".to_owned(),
        };
        match self.causes.as_slice() {
            [] => {}
            [cause] => {
                let _ = write!(text, ": {cause}");
            }
            causes => {
                text.push_str(": ");
                for cause in causes {
                    let _ = write!(text, "\n* {cause}");
                }
            }
        }
        text
    }

    /// Nothing of this name is there.
    #[must_use]
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.full());
        Self { code: 404, reason: "NotFound", message, of: None, causes: Vec::new() }
    }

    /// Something of this name is there already.
    #[must_use]
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.full());
        Self { code: 409, reason: "AlreadyExists", message, of: None, causes: Vec::new() }
    }

    /// Admission refuses it.
    #[must_use]
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.full());
        Self { code: 403, reason: "Forbidden", message, of: None, causes: Vec::new() }
    }

    /// The server has no such path.
    #[must_use]
    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self { code: 404, reason: "NotFound", message, of: None, causes: Vec::new() }
    }
}

/// One command being carried out.
pub(super) struct Session<'a> {
    pub(super) api: &'a mut dyn Api,
    pub(super) files: &'a Files,
    pub(super) now: Timestamp,
    pub(super) namespace: &'a str,
    pub(super) dry_run: DryRun,
    pub(super) prints_names: bool,
    pub(super) out: String,
    pub(super) err: String,
    pub(super) waiting: Option<Waiting>,
}

/// `--dry-run`: nothing is written. Differs: the server is not asked for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DryRun {
    No,
    Client,
    Server,
}

impl<'a> Session<'a> {
    /// One that only looks.
    pub(super) fn looking(api: &'a mut dyn Api, files: &'a Files, namespace: &'a str) -> Self {
        Self {
            api,
            files,
            now: Timestamp::from_unix(0),
            namespace,
            dry_run: DryRun::Server,
            prints_names: false,
            out: String::new(),
            err: String::new(),
            waiting: None,
        }
    }

    /// The line about an object that was acted upon.
    pub(super) fn tell(&mut self, resource: &Resource, name: &str, done: &str) {
        let of = resource.printed();
        let note = match self.dry_run {
            DryRun::No => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        };
        let _ = match self.prints_names {
            true => writeln!(self.out, "{of}/{name}"),
            false => writeln!(self.out, "{of}/{name} {done}{note}"),
        };
    }

    /// Whether anything is written to the server.
    pub(super) fn writes(&self) -> bool {
        self.dry_run == DryRun::No
    }
}

/// All troubles as one, if there are any.
pub(super) fn all_of(troubles: Vec<Trouble>) -> Done {
    if troubles.is_empty() { Ok(()) } else { Err(Trouble::Many(troubles)) }
}
