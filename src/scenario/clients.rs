//! How callers call and servers serve, as a scenario says it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use crate::base::{Bytes, Duration, Ratio};
use crate::model::{
    BackOff, Budget, Cache, Client, ConnectionKind, Connections, Discipline, DnsCache, Ejection,
    Fades, FateSet, NO_LIMIT, Order, Release, Retries, Serve, WarmUp,
};
use crate::record::Fate;
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{
    BackOffFile, BudgetFile, ConnectionsFile, ConnectionsKind, ConnectionsTable, DnsCacheFile,
    DownstreamFile, EjectionFile, OrderOfCalls, ReleaseFile, RetriesFile, ServeFile, SharingFile,
    TrafficFile, WarmUpFile,
};
use super::file_traffic::ProbesFile;
use super::units::{Share, Span};

/// How long an attempt is waited for when nobody says otherwise.
const TIMEOUT: Duration = Duration::secs(5);
/// More attempts after the first, at most.
const RETRIES_MAX: u32 = 100;
/// Connections that a pool holds when nobody says otherwise.
const POOL: u32 = 100;
/// Shared connections of one client at most.
const SHARED_MAX: u32 = 10_000;
pub(super) const CONCURRENCY: u32 = 64;
pub(super) const BACKLOG: u32 = 1024;

/// The keys of a caller, wherever they stand.
pub(super) struct Keys<'f> {
    timeout: Option<&'f Spanned<Span>>,
    connect_timeout: Option<&'f Spanned<Span>>,
    deadline: Option<&'f Spanned<Span>>,
    connections: Option<&'f Spanned<ConnectionsFile>>,
    retries: Option<&'f Spanned<RetriesFile>>,
    hedge: Option<&'f Spanned<Span>>,
    ejection: Option<&'f Spanned<EjectionFile>>,
    calls_max: Option<&'f Spanned<u32>>,
    dns_cache: Option<&'f Spanned<DnsCacheFile>>,
}

macro_rules! keys_of {
    ($($file:ty),*) => {$(
        impl<'f> From<&'f $file> for Keys<'f> {
            fn from(file: &'f $file) -> Self {
                Self {
                    timeout: file.timeout.as_ref(),
                    connect_timeout: file.connect_timeout.as_ref(),
                    deadline: file.deadline.as_ref(),
                    connections: file.connections.as_ref(),
                    retries: file.retries.as_ref(),
                    hedge: file.hedge.as_ref(),
                    ejection: file.ejection.as_ref(),
                    calls_max: file.calls_max.as_ref(),
                    dns_cache: file.dns_cache.as_ref(),
                }
            }
        }
    )*};
}
keys_of!(TrafficFile, DownstreamFile);

/// The caller that these keys describe.
pub(super) fn client(keys: &Keys<'_>, found: &mut Diagnostics) -> Client {
    let spans = [
        ("time-out", keys.timeout),
        ("time-out", keys.connect_timeout),
        ("deadline", keys.deadline),
    ];
    for (what, span) in spans {
        if let Some(span) = span.filter(|span| span.value.0.is_zero()) {
            let error = Diagnostic::error(span.span, format!("a {what} of 0s fails every call"));
            found.push(error.with_hint("without the key there is none, or the standard one"));
        }
    }
    let timeout = keys.timeout.map_or(TIMEOUT, |timeout| timeout.value.0);
    if let Some(hedge) = keys.hedge.filter(|hedge| hedge.value.0 >= timeout) {
        let message =
            format!("an attempt ends after {timeout}: no second one ever starts beside it");
        let warning = Diagnostic::warning(hedge.span, message);
        found.push(warning.with_hint("hedge is shorter than timeout"));
    }
    if let Some(most) = keys.calls_max.filter(|most| most.value == 0) {
        let error = Diagnostic::error(most.span, "with no call at a time there are no calls");
        found.push(error.with_hint("without the key any number may be under way"));
    }
    Client {
        connections: keys
            .connections
            .map_or(Connections::new(ConnectionKind::New), |file| connections(file, found)),
        timeout,
        connect_timeout: keys.connect_timeout.map_or(NO_LIMIT, |span| span.value.0),
        deadline: keys.deadline.map_or(NO_LIMIT, |span| span.value.0),
        retries: keys.retries.map_or(Retries::none(), |file| retries(&file.value, found)),
        hedge: keys.hedge.map(|span| span.value.0),
        ejection: keys.ejection.map(|file| ejection(&file.value, found)),
        calls_max: keys.calls_max.map_or(u32::MAX, |most| most.value),
        dns_cache: match keys.dns_cache.map(|keeps| keeps.value) {
            Some(DnsCacheFile::Ttl) => DnsCache::Ttl,
            Some(DnsCacheFile::Span(span)) => DnsCache::For(span),
            None => DnsCache::For(Duration::ZERO),
        },
    }
}

fn connections(file: &Spanned<ConnectionsFile>, found: &mut Diagnostics) -> Connections {
    let plain = |kind| match kind {
        ConnectionsKind::New => ConnectionKind::New,
        ConnectionsKind::KeepAlive => ConnectionKind::KeepAlive { pool: POOL },
        ConnectionsKind::Http2 => ConnectionKind::Shared { count: 1 },
    };
    let table = match &file.value {
        ConnectionsFile::Kind(kind) => return Connections::new(plain(*kind)),
        ConnectionsFile::Table(table) => table,
    };
    let mut kind = plain(table.kind);
    let of = [
        (&table.pool, ConnectionsKind::KeepAlive, "pool", "keep-alive"),
        (&table.count, ConnectionsKind::Http2, "count", "http2"),
    ];
    for (given, wanted, key, name) in of {
        let Some(number) = given else { continue };
        if table.kind != wanted {
            let message = format!("`{key}` is for connections of the kind {name}");
            let hint = format!("connections: {{ kind: {name}, {key}: {} }}", number.value);
            found.push(Diagnostic::error(number.span, message).with_hint(hint));
        } else if number.value == 0 || number.value > SHARED_MAX {
            found.error(number.span, format!("`{key}` is from 1 to {SHARED_MAX}"));
        }
        match &mut kind {
            ConnectionKind::KeepAlive { pool } => *pool = number.value,
            ConnectionKind::Shared { count } => *count = number.value.max(1),
            ConnectionKind::New => {}
        }
    }
    let limit = |span: Option<Span>| span.map_or(NO_LIMIT, |span| span.0);
    if table.age_max.is_some_and(|span| span.0.is_zero()) {
        let error = Diagnostic::error(file.span, "a connection of the age 0s takes no call");
        found.push(error.with_hint("`connections: new` opens one for each call"));
    }
    Connections {
        kind,
        idle_max: limit(table.idle_max),
        age_max: limit(table.age_max),
        tls: table.tls,
        notices_close: table.notices_close.unwrap_or(true),
    }
}

fn retries(file: &RetriesFile, found: &mut Diagnostics) -> Retries {
    if file.attempts.value > RETRIES_MAX {
        let message = format!("a call is tried again {RETRIES_MAX} times at most");
        let error = Diagnostic::error(file.attempts.span, message);
        found.push(
            error.with_hint("callers make 1 to 5 more attempts, most of them within a budget"),
        );
    }
    let ends = || Fate::ALL.iter().skip(1).map(|fate| fate.as_str());
    let place = |text: &Spanned<String>| {
        let place =
            Fate::ALL.iter().position(|fate| fate.as_str() == text.value && *fate != Fate::Ok);
        if place.is_none() {
            let error = Diagnostic::error(text.span, format!("no call ends \"{}\"", text.value));
            let hint = format!("known are {}", ends().collect::<Vec<_>>().join(", "));
            found.push(error.with_hint(hint).with_suggestion(&text.value, ends()));
        }
        place.and_then(|place| u8::try_from(place).ok())
    };
    let on =
        file.on.as_ref().map_or(FateSet::FAILED, |on| FateSet::of(on.iter().filter_map(place)));
    Retries {
        attempts: file.attempts.value,
        on,
        back_off: file.back_off.as_ref().map_or(BackOff::ENVOY, |file| back_off(file, found)),
        budget: file.budget.as_ref().map_or(Budget::Unlimited, |file| budget(file, found)),
        elsewhere: file.elsewhere,
    }
}

pub(super) fn back_off(file: &Spanned<BackOffFile>, found: &mut Diagnostics) -> BackOff {
    let BackOffFile { base, max, factor, jitter } = &file.value;
    if max.value.0 < base.value.0 {
        let error = Diagnostic::error(max.span, "the longest pause is below the first");
        found.push(error.with_related(base.span, "the first"));
    }
    let Some(Share(Ratio(jitter))) = *jitter else {
        if let Some(factor) = factor {
            let error = Diagnostic::error(factor.span, "`factor` goes with `jitter`");
            found.push(error.with_hint("without jitter the pause before the n-th is even from 0"));
        }
        return BackOff::Full { base: base.value.0, max: max.value.0 };
    };
    let factor = factor.as_ref().map_or(2.0, |factor| at_least(factor, 1.0, found));
    BackOff::Around { initial: base.value.0, factor, max: max.value.0, jitter }
}

pub(super) fn budget(file: &Spanned<BudgetFile>, found: &mut Diagnostics) -> Budget {
    let BudgetFile { share, min, tokens, ratio } = &file.value;
    match (share, tokens) {
        (Some(Share(Ratio(share))), None) => {
            if let Some(ratio) = ratio {
                let error = Diagnostic::error(ratio.span, "`ratio` goes with `tokens`");
                found.push(error.with_hint("for example budget: { tokens: 10, ratio: 0.1 }"));
            }
            Budget::Share { share: *share, min: min.unwrap_or(3) }
        }
        (None, Some(tokens)) => Budget::Tokens {
            max: at_least(tokens, 1.0, found),
            ratio: ratio.as_ref().map_or(0.1, |ratio| at_least(ratio, 0.0, found)),
        },
        _ => {
            let error = Diagnostic::error(file.span, "expected one of share and tokens");
            found.push(error.with_hint("for example budget: { share: 20%, min: 3 }"));
            Budget::Unlimited
        }
    }
}

pub(super) fn ejection(file: &EjectionFile, found: &mut Diagnostics) -> Ejection {
    if let Some(failures) = file.failures.as_ref().filter(|failures| failures.value == 0) {
        let error =
            Diagnostic::error(failures.span, "pods are left alone after 1 failure at least");
        found.push(error.with_hint("Envoy's default is 5"));
    }
    let envoy = Ejection::ENVOY;
    Ejection {
        failures: file.failures.as_ref().map_or(envoy.failures, |failures| failures.value.max(1)),
        base: file.base.map_or(envoy.base, |span| span.0),
        max: file.max.map_or(envoy.max, |span| span.0),
        share_max: file.share.map_or(envoy.share_max, |Share(Ratio(share))| share),
        interval: file.interval.map_or(envoy.interval, |span| span.0),
    }
}

/// A number that must be finite and not below something.
fn at_least(number: &Spanned<f64>, least: f64, found: &mut Diagnostics) -> f64 {
    if number.value.is_finite() && number.value >= least {
        return number.value;
    }
    found.error(number.span, format!("expected a number from {least} on, not {}", number.value));
    least
}

/// How a container serves.
pub(super) fn serve(file: &Spanned<ServeFile>, found: &mut Diagnostics) -> Serve {
    let ServeFile { hold, cpu, concurrency, backlog, errors, .. } = &file.value;
    if let Some(concurrency) = concurrency.as_ref().filter(|c| c.value == 0) {
        let error = Diagnostic::error(concurrency.span, "concurrency is at least 1");
        found.push(error.with_hint("it is how many calls are in service at once"));
    }
    let hold = hold.0.clone();
    // A call that says nothing of CPU uses half of its time in service.
    let cpu_default = Duration::from_secs_f64(hold.mean().min(1e6) / 2.0);
    let limit = |span: Option<Span>| span.map_or(NO_LIMIT, |span| span.0);
    Serve {
        hold,
        cpu: cpu.map_or(cpu_default, |span| span.0),
        concurrency: concurrency.as_ref().map_or(CONCURRENCY, |c| c.value.max(1)),
        backlog: backlog.unwrap_or(BACKLOG),
        errors: errors.map_or(0.0, |Share(Ratio(part))| part),
        discipline: match file.value.sharing {
            Some(SharingFile::Slots) | None => Discipline::Slots,
            Some(SharingFile::Even) => Discipline::Sharing,
            Some(SharingFile::Cpu) => Discipline::Cpu,
        },
        order: match file.value.order {
            Some(OrderOfCalls::Fifo) | None => Order::Fifo,
            Some(OrderOfCalls::Lifo) => Order::Lifo,
            Some(OrderOfCalls::Priority) => Order::Priority,
        },
        warm_up: file.value.warm_up.as_ref().and_then(|file| warm_up(file, found)),
        cache: file.value.cache.as_ref().map(|file| {
            let Share(Ratio(hits)) = file.value.hits;
            let fill = file.value.fill.as_ref().map_or(0.0, |fill| at_least(fill, 0.0, found));
            Cache { hits, fill, miss: file.value.miss.0.clone() }
        }),
        idle_max: limit(file.value.idle_max),
        age_max: limit(file.value.age_max),
        says_close: file.value.says_close.unwrap_or(true),
        probes: probes(file, found),
        request: file.value.request.map_or(Bytes(0), |size| size.0),
        response: file.value.response.map_or(Bytes(0), |size| size.0),
    }
}

/// How long a probe is in service, if probes wait among the calls.
fn probes(file: &Spanned<ServeFile>, found: &mut Diagnostics) -> Option<Duration> {
    let ServeFile { probes, probe_hold, .. } = &file.value;
    let is_shared = *probes == Some(ProbesFile::Shared);
    if probe_hold.is_some() && !is_shared {
        let message = "probeHold without probes: shared does nothing";
        found.push(Diagnostic::warning(file.span, message).with_hint("probes: shared"));
    }
    is_shared.then(|| probe_hold.map_or(Duration::ms(1), |hold| hold.0))
}

fn warm_up(file: &Spanned<WarmUpFile>, found: &mut Diagnostics) -> Option<WarmUp> {
    let WarmUpFile { factor, age, calls } = &file.value;
    let factor = at_least(factor, 1.0, found);
    let fades = match (age, calls) {
        (Some(age), None) if !age.value.0.is_zero() => Fades::Age(age.value.0),
        (None, Some(calls)) => Fades::Calls(at_least(calls, 1.0, found)),
        _ => {
            let message = "expected one of age and calls, above 0: with what the warm-up fades";
            let error = Diagnostic::error(file.span, message);
            found.push(error.with_hint("for example warmUp: { factor: 8, age: 20s }"));
            return None;
        }
    };
    Some(WarmUp { factor, fades })
}

/// What is particular to a release.
pub(super) fn release(
    file: &ReleaseFile,
    names: &mut crate::base::Interner,
    found: &mut Diagnostics,
) -> Release {
    Release {
        slower: file.slower.as_ref().map_or(1.0, |slower| at_least(slower, 0.0, found)),
        errors: file.errors.map_or(0.0, |Share(Ratio(part))| part),
        speaks: file.speaks.as_ref().map(|version| names.intern(&version.value)),
        understands: file.understands.iter().map(|version| names.intern(version)).collect(),
    }
}

impl<'de> Deserialize<'de> for ConnectionsFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ConnectionsVisitor)
    }
}

struct ConnectionsVisitor;

impl<'de> Visitor<'de> for ConnectionsVisitor {
    type Value = ConnectionsFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("new, keep-alive, http2, or a table such as { kind: http2, count: 4 }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ConnectionsFile, E> {
        let kind = match text {
            "new" => ConnectionsKind::New,
            "keep-alive" => ConnectionsKind::KeepAlive,
            "http2" => ConnectionsKind::Http2,
            other => return Err(E::unknown_variant(other, &["new", "keep-alive", "http2"])),
        };
        Ok(ConnectionsFile::Kind(kind))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConnectionsFile, A::Error> {
        let table = ConnectionsTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ConnectionsFile::Table(Box::new(table)))
    }
}

impl JsonSchema for ConnectionsFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Connections".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kind = generator.subschema_for::<ConnectionsKind>();
        let table = generator.subschema_for::<ConnectionsTable>();
        json_schema!({
            "description": "how connections are used: a kind, or a kind and its settings",
            "anyOf": [kind, table],
        })
    }
}
