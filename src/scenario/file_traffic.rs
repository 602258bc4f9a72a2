//! The parts of the scenario file about calls: who makes them, how, and how they are served.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::law::Law;
use super::units::{PerSecond, Share, Size, Span};

/// How a container serves calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct ServeFile {
    /// How long a call is in service when nothing slows it down.
    pub hold: Law,
    /// CPU time of a call.
    pub cpu: Option<Span>,
    /// Calls in service at once.
    pub concurrency: Option<Spanned<u32>>,
    /// Calls that wait at most.
    pub backlog: Option<u32>,
    /// Part of the calls that it answers with an error.
    pub errors: Option<Share>,
    /// How calls in service share it; `slots` if absent.
    pub sharing: Option<SharingFile>,
    /// Which of the calls that wait is next; `fifo` if absent.
    pub order: Option<OrderOfCalls>,
    /// Its first calls take longer.
    pub warm_up: Option<Spanned<WarmUpFile>>,
    /// A cache: calls that it cannot answer take longer.
    pub cache: Option<Spanned<CacheFile>>,
    /// It closes a connection that no call has used for so long.
    pub idle_max: Option<Span>,
    /// It says "close" on a connection that is so old, more or less a tenth.
    pub age_max: Option<Span>,
    /// Whether it tells its clients on SIGTERM that it stops (`Connection: close`, GOAWAY); true if
    /// absent. Else kept connections stay open until the process ends.
    pub says_close: Option<bool>,
    /// Where HTTP and gRPC probes are answered: `shared` among its calls, in its queue and by its
    /// workers; `own`, if absent, beside them at once.
    pub probes: Option<ProbesFile>,
    /// How long a worker has to do with a probe that is `shared`; 1 ms if absent.
    pub probe_hold: Option<Span>,
    /// What a call sends to it, on average; 0 if absent: bytes are not counted.
    pub request: Option<Size>,
    /// What it answers, on average; 0 if absent.
    pub response: Option<Size>,
}

/// How calls in service share a server.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SharingFile {
    /// Not at all: each has a worker of its own.
    Slots,
    /// One worker does a bit of each in turn (processor sharing).
    Even,
    /// They share the CPU of the container: slower when the machine has too little, and frozen to
    /// the end of a period of 100 ms when the quota of its CPU limit is used up (CFS).
    Cpu,
}

/// Where probes are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbesFile {
    /// Beside the calls.
    Own,
    /// Among the calls.
    Shared,
}

/// Which of the calls that wait is next.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderOfCalls {
    /// The one that came first.
    Fifo,
    /// The one that came last.
    Lifo,
    /// The one of the greatest priority.
    Priority,
}

/// How a server gets warm: exactly one of `age` and `calls`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct WarmUpFile {
    /// How many times as long the very first call takes.
    pub factor: Spanned<f64>,
    /// With its age: after this long 37 % of the excess are left.
    pub age: Option<Spanned<Span>>,
    /// With the calls that it has served: after so many 37 % of the excess are left.
    pub calls: Option<Spanned<f64>>,
}

/// A cache.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct CacheFile {
    /// Part of the calls that it answers when it is full.
    pub hits: Share,
    /// How many calls fill it to 63 %; absent: it is full from the start.
    pub fill: Option<Spanned<f64>>,
    /// How long a call takes that it cannot answer.
    pub miss: Law,
}

/// What is particular to a release.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default)]
pub struct ReleaseFile {
    /// Its calls take so many times as long.
    pub slower: Option<Spanned<f64>>,
    /// Part of its calls that fail, besides `serve.errors`.
    pub errors: Option<Share>,
    /// The version of the protocol in which it calls others.
    pub speaks: Option<Spanned<String>>,
    /// The versions of calls that it understands; all if absent.
    pub understands: Vec<String>,
}

/// Calls that a container makes while it serves one.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct DownstreamFile {
    /// `service/NAME`, or `container/NAME`: another container of the same pod, which is there as
    /// long as the pod serves and takes any number of calls at once.
    pub to: Spanned<String>,
    /// How many.
    pub times: Option<Spanned<u32>>,
    /// All at once, together with neighbours that say so too; else one after another.
    #[serde(default)]
    pub parallel: bool,
    /// How often it is made at all.
    pub probability: Option<Share>,
    /// The container's own call can do without its answer.
    #[serde(default)]
    pub optional: bool,
    /// How long an attempt is waited for; 5s if absent.
    pub timeout: Option<Spanned<Span>>,
    /// How long a new connection is waited for; as long as the attempt if absent.
    pub connect_timeout: Option<Spanned<Span>>,
    /// How long all attempts together are waited for.
    pub deadline: Option<Spanned<Span>>,
    /// How connections are used; a new one a call if absent.
    pub connections: Option<Spanned<ConnectionsFile>>,
    /// What happens to calls that fail.
    pub retries: Option<Spanned<RetriesFile>>,
    /// A second attempt starts beside the first when that has not been answered for so long.
    pub hedge: Option<Spanned<Span>>,
    /// Pods that fail are left alone for a while.
    pub ejection: Option<Spanned<EjectionFile>>,
    /// Calls under way at once at most: more fail at once (a circuit breaker).
    pub calls_max: Option<Spanned<u32>>,
    /// To a headless Service: how long the client keeps an answer of DNS, whatever its TTL says;
    /// `ttl`: for as long as that says. It asks for each new connection if absent.
    pub dns_cache: Option<Spanned<DnsCacheFile>>,
}

/// A source of calls: exactly one of rate, steps, daily, series, bursts, recorded and users.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct TrafficFile {
    /// Its name.
    pub name: Spanned<String>,
    /// `service/NAME`, with `NAMESPACE/` before the name if it is not `default`; `ingress/NAME`,
    /// through the proxies of `cluster.ingress` by the paths of that Ingress alone; or
    /// `http://HOST/PATH`, which any Ingress may take. Commands may change Ingresses and bring new
    /// ones: where no path takes a call any more, or none yet, it fails by `no_route`.
    pub to: Spanned<String>,
    /// To an Ingress with several paths: `HOST/PATH` of the calls, or `/PATH`.
    pub url: Option<Spanned<String>>,
    /// To an Ingress: `GET` if absent. Its proxies do not send a POST again that a pod may have got.
    pub method: Option<Spanned<MethodFile>>,
    /// Port of the Service; its first if absent.
    pub port: Option<Spanned<u16>>,
    /// The same rate all the time.
    pub rate: Option<Spanned<PerSecond>>,
    /// Steps: each rate holds until the next.
    pub steps: Option<Vec<Spanned<StepFile>>>,
    /// A daily curve: a sine between two rates.
    pub daily: Option<Spanned<DailyFile>>,
    /// A series from a CSV file.
    pub series: Option<Spanned<SeriesFile>>,
    /// A rate that jumps between two values at random (MMPP-2).
    pub bursts: Option<Spanned<BurstsFile>>,
    /// Recorded calls from a CSV file, each at its own instant.
    pub recorded: Option<Spanned<RecordedFile>>,
    /// A closed loop: users who call, wait for the answer, think, and call again.
    pub users: Option<Spanned<UsersFile>>,
    /// How long an attempt is waited for; 5s if absent.
    pub timeout: Option<Spanned<Span>>,
    /// How long a new connection is waited for; as long as the attempt if absent.
    pub connect_timeout: Option<Spanned<Span>>,
    /// How long all attempts together are waited for.
    pub deadline: Option<Spanned<Span>>,
    /// How connections are used; a new one a call if absent.
    pub connections: Option<Spanned<ConnectionsFile>>,
    /// What happens to calls that fail.
    pub retries: Option<Spanned<RetriesFile>>,
    /// A second attempt starts beside the first when that has not been answered for so long.
    pub hedge: Option<Spanned<Span>>,
    /// Pods that fail are left alone for a while.
    pub ejection: Option<Spanned<EjectionFile>>,
    /// Calls under way at once at most: more fail at once (a circuit breaker).
    pub calls_max: Option<Spanned<u32>>,
    /// To a headless Service: how long the client keeps an answer of DNS, whatever its TTL says;
    /// `ttl`: for as long as that says. It asks for each new connection if absent.
    pub dns_cache: Option<Spanned<DnsCacheFile>>,
    /// Which calls a server takes first whose `order` is `priority`: the greatest; 0 if absent.
    pub priority: Option<u8>,
    /// How long its calls are in service, in place of what the server says.
    pub hold: Option<Law>,
    /// The version of the protocol that it speaks.
    pub speaks: Option<String>,
    /// How many addresses the calls come from: with `sessionAffinity: ClientIP` each node sends
    /// those of one address to one pod. Each call comes from another one if absent.
    pub clients: Option<Spanned<u32>>,
}

/// The methods of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MethodFile {
    /// Asks.
    Get,
    /// Asks for the head.
    Head,
    /// Puts.
    Put,
    /// Deletes.
    Delete,
    /// Does something: not idempotent.
    Post,
    /// Changes something: not idempotent.
    Patch,
}

/// How long a client keeps an answer of DNS: a span, or `ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsCacheFile {
    /// For as long as the answer says.
    Ttl,
    /// For so long.
    Span(crate::base::Duration),
}

impl<'de> Deserialize<'de> for DnsCacheFile {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text.trim() == "ttl" {
            return Ok(Self::Ttl);
        }
        super::units::span(text.trim()).map(Self::Span).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for DnsCacheFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DnsCache".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a span of time with its unit, or ttl",
            "examples": ["30s", "ttl"],
        })
    }
}

/// A rate that jumps between two values.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BurstsFile {
    /// The two rates.
    pub rates: (PerSecond, PerSecond),
    /// How long each lasts on average; exponential.
    pub stays: (Span, Span),
}

/// Recorded calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct RecordedFile {
    /// The file, relative to this one: CSV, plain or gzip, in order of time.
    pub file: Spanned<String>,
    /// The column with the instants: seconds, or dates with times. The first is the start.
    pub at: Spanned<String>,
    /// How long a call is in service: by column what each unit of it takes. As the server says if
    /// absent.
    #[serde(default)]
    pub hold: BTreeMap<String, Spanned<Span>>,
    /// How many times as fast as recorded.
    pub faster: Option<Spanned<f64>>,
    /// After this long they come again.
    pub repeat: Option<Spanned<Span>>,
}

/// Users of a closed loop.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UsersFile {
    /// How many.
    pub count: Spanned<u32>,
    /// How long each thinks between an answer and its next call.
    pub think: Law,
    /// They come evenly within this time; all at the start if absent.
    pub ramp: Option<Span>,
}

/// A step of a rate.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StepFile {
    /// From when.
    pub at: Span,
    /// The rate from then on.
    pub rate: PerSecond,
}

/// A daily curve.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DailyFile {
    /// The lowest rate.
    pub low: PerSecond,
    /// The highest rate.
    pub high: PerSecond,
    /// When it is highest, from the start.
    pub peak: Span,
    /// From peak to peak; 24h if absent.
    pub period: Option<Span>,
}

/// A series of counts from a CSV file (plain or gzip).
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SeriesFile {
    /// The file, relative to this one.
    pub file: Spanned<String>,
    /// The column with the counts.
    pub column: Spanned<String>,
    /// What each row stands for; 1m if absent.
    pub every: Option<Spanned<Span>>,
    /// The column that says where a row stands in time, for `from`.
    pub time: Option<Spanned<String>>,
    /// The text of that column in the first row that is used.
    pub from: Option<Spanned<String>>,
    /// The counts are multiplied by this.
    pub scale: Option<Spanned<f64>>,
}

/// How connections are used: a kind, or a kind and its settings.
#[derive(Debug)]
pub enum ConnectionsFile {
    /// A kind.
    Kind(ConnectionsKind),
    /// A kind and its settings.
    Table(Box<ConnectionsTable>),
}

/// The kinds of use of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionsKind {
    /// A new one for each call.
    New,
    /// A pool of kept ones on each node, or of each pod that calls; one call at a time on each.
    KeepAlive,
    /// Long-lived ones, each for any number of calls at once (HTTP/2, gRPC).
    Http2,
}

/// Settings of connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionsTable {
    /// How calls share them.
    pub kind: ConnectionsKind,
    /// `keep-alive`: how many without a call a pool keeps; 100 if absent.
    pub pool: Option<Spanned<u32>>,
    /// `http2`: how many connections; 1 if absent.
    pub count: Option<Spanned<u32>>,
    /// The client closes one that no call has used for so long.
    pub idle_max: Option<Span>,
    /// The client uses one for so long, more or less a tenth.
    pub age_max: Option<Span>,
    /// TLS: one more round trip for a new one.
    #[serde(default)]
    pub tls: bool,
    /// Whether the client notices that the server has closed one before it uses it again; true if
    /// absent.
    pub notices_close: Option<bool>,
}

/// What happens to calls that fail.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub struct RetriesFile {
    /// More attempts after the first.
    pub attempts: Spanned<u32>,
    /// After which ends; all but ok if absent.
    pub on: Option<Vec<Spanned<String>>>,
    /// How long before each: Envoy's 25 ms to 250 ms if absent.
    pub back_off: Option<Spanned<BackOffFile>>,
    /// What bounds the attempts of all calls together.
    pub budget: Option<Spanned<BudgetFile>>,
    /// Whether another attempt goes to another pod if there is one.
    #[serde(default)]
    pub elsewhere: bool,
}

/// How long a caller waits before another attempt.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BackOffFile {
    /// The unit: evenly from 0 to (2ⁿ − 1) units before the n-th; with `jitter` the first pause.
    pub base: Spanned<Span>,
    /// The longest.
    pub max: Spanned<Span>,
    /// With `jitter`: how much longer each is than the one before; 2 if absent.
    pub factor: Option<Spanned<f64>>,
    /// Each pause is the same more or less this part (gRPC: 0.2), in place of evenly from 0.
    pub jitter: Option<Share>,
}

/// What bounds further attempts: `share` (Envoy) or `tokens` (gRPC).
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BudgetFile {
    /// At any time this part of the calls under way may be further attempts.
    pub share: Option<Share>,
    /// With `share`: so many are always allowed; 3 if absent.
    pub min: Option<u32>,
    /// A bucket of so many tokens: a failure takes one, and attempts are made while more than half
    /// is there.
    pub tokens: Option<Spanned<f64>>,
    /// With `tokens`: what a success gives; 0.1 if absent.
    pub ratio: Option<Spanned<f64>>,
}

/// When pods that fail are left alone; what is absent is as Envoy has it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct EjectionFile {
    /// After so many failures in a row; 5 if absent.
    pub failures: Option<Spanned<u32>>,
    /// For so long, times the number of times; 30s if absent.
    pub base: Option<Span>,
    /// For so long at most; 5m if absent.
    pub max: Option<Span>,
    /// This part of the pods at most, but one always; 10% if absent.
    pub share: Option<Share>,
    /// They come back at the next of the sweeps that are so far apart; 10s if absent, 0s: at once.
    pub interval: Option<Span>,
}
