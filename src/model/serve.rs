//! How a container serves calls, and what it calls meanwhile (rules N423, N424, N427, N428).

use crate::base::{Bytes, Distribution, Duration, Symbol};

use super::client::{Client, NO_LIMIT};
use super::ids::ObjectName;

/// How a container serves calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    /// How long a call is in service when nothing else is.
    pub hold: Distribution,
    /// CPU time that a call uses.
    pub cpu: Duration,
    /// How many calls are in service at once.
    pub concurrency: u32,
    /// How many calls wait at most; more are refused with 503.
    pub backlog: u32,
    /// Part of the calls that it answers with an error of its own, from 0 to 1.
    pub errors: f64,
    /// How calls in service share the server.
    pub discipline: Discipline,
    /// Which of the calls that wait is next.
    pub order: Order,
    /// How it gets warm.
    pub warm_up: Option<WarmUp>,
    /// A cache in front of slower work.
    pub cache: Option<Cache>,
    /// It closes a connection that no call has used for so long.
    pub idle_max: Duration,
    /// It says "close" on a connection that is so old, more or less a tenth.
    pub age_max: Duration,
    /// Whether it tells its clients that it stops: `Connection: close`, GOAWAY. Else kept
    /// connections stay open until the process ends, and it waits for them as long as its drain
    /// lasts.
    pub says_close: bool,
    /// HTTP and gRPC probes wait among the calls, and each is in service for so long. `None`: they
    /// are answered beside them, at once.
    pub probes: Option<Duration>,
    /// What a call sends to it.
    pub request: Bytes,
    /// What it answers.
    pub response: Bytes,
}

impl Serve {
    /// Slots that do not share, first come first served, an endless backlog, no CPU, no errors.
    #[must_use]
    pub const fn new(hold: Distribution, concurrency: u32) -> Self {
        Self {
            hold,
            cpu: Duration::ZERO,
            concurrency,
            backlog: u32::MAX,
            errors: 0.0,
            discipline: Discipline::Slots,
            order: Order::Fifo,
            warm_up: None,
            cache: None,
            idle_max: NO_LIMIT,
            age_max: NO_LIMIT,
            says_close: true,
            probes: None,
            request: Bytes(0),
            response: Bytes(0),
        }
    }
}

/// How calls in service share a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Not at all: each has a worker of its own.
    Slots,
    /// As if the server had one worker that does a bit of each call in turn (processor sharing).
    Sharing,
    /// They share the CPU that the container may use: all go slower when it does not suffice, and
    /// stand still when the limit's quota of a period is used up (rule N97).
    Cpu,
}

/// Which of the calls that wait is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one that came first.
    Fifo,
    /// The one that came last.
    Lifo,
    /// The one of the greatest priority; of equal ones that which came first.
    Priority,
}

/// How a server gets warm: its first calls take longer by a factor that fades (rule N424).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// How much longer the very first call takes.
    pub factor: f64,
    /// With what it fades, exponentially.
    pub fades: Fades,
}

/// With what a warm-up fades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fades {
    /// With the time since the server accepted first: a time constant.
    Age(Duration),
    /// With the calls that it has served: so many are one constant.
    Calls(f64),
}

/// A cache: a call that it cannot answer takes longer (rules N423, N424).
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Part of the calls that a full cache answers.
    pub hits: f64,
    /// How many calls fill it to 63 %; 0: it is full from the start.
    pub fill: f64,
    /// How long a call takes that it cannot answer, in seconds.
    pub miss: Distribution,
}

/// What is particular to a release (rule N428).
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Its calls take so many times as long.
    pub slower: f64,
    /// Part of the calls that fail in it, besides the errors of [`Serve`].
    pub errors: f64,
    /// The version of the protocol in which it calls others.
    pub speaks: Option<Symbol>,
    /// The versions of calls that it understands; empty: all.
    pub understands: Vec<Symbol>,
}

impl Release {
    /// Nothing is.
    #[must_use]
    pub const fn plain() -> Self {
        Self { slower: 1.0, errors: 0.0, speaks: None, understands: Vec::new() }
    }
}

/// Calls that a container makes while it serves one.
#[derive(Clone, Debug, PartialEq)]
pub struct Downstream {
    /// To whom.
    pub to: Callee,
    /// How many.
    pub times: u32,
    /// All at once, and together with neighbours of which that is true too; else one after another.
    pub parallel: bool,
    /// How often it is made at all, from 0 to 1.
    pub probability: f64,
    /// Whether the container's own call can do without its answer.
    pub optional: bool,
    /// How it is made.
    pub client: Client,
}

impl Downstream {
    /// One after another, each time, a new connection a call, one attempt.
    #[must_use]
    pub fn new(to: ObjectName, times: u32, timeout: Duration) -> Self {
        let client = Client::plain(timeout);
        let to = Callee::Service(to);
        Self { to, times, parallel: false, probability: 1.0, optional: false, client }
    }
}

/// Whom a container calls while it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A Service.
    Service(ObjectName),
    /// Another container of its own pod, by localhost or a shared volume.
    Container(Symbol),
}

impl Callee {
    /// The Service, if it is one.
    #[must_use]
    pub const fn service(self) -> Option<ObjectName> {
        match self {
            Self::Service(name) => Some(name),
            Self::Container(_) => None,
        }
    }
}
