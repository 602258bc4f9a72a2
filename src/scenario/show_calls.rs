//! Callers and servers after defaults, for `check --show`.

use serde_json::{Value, json};

use crate::base::{Duration, Interner};
use crate::model::{
    BackOff, Budget, Callee, Client, ConnectionKind, DnsCache, Downstream, Fades, IngressBalance,
    IngressPlace, IngressSpec, Load, NO_LIMIT, Rate, Release, Serve,
};
use crate::record::Fate;

use super::show::show_law;

/// When calls come.
pub(super) fn load(load: &Load) -> String {
    match load {
        Load::Poisson(rate) => show_rate(rate),
        Load::Modulated { rates, stays } => format!(
            "{}/s for {} on average, then {}/s for {}",
            rates[0],
            stays[0].go_text(),
            rates[1],
            stays[1].go_text()
        ),
        Load::Recorded { calls, repeat } => {
            let again =
                repeat.map_or_else(String::new, |r| format!(", again every {}", r.go_text()));
            format!("{} recorded calls{again}", calls.len())
        }
        Load::Users { count, think, ramp } => {
            format!("{count} users within {}, who think {}", ramp.go_text(), show_law(think))
        }
    }
}

fn show_rate(rate: &Rate) -> String {
    match rate.points.as_ref() {
        [(_, only)] => format!("{only}/s"),
        points => {
            let low = points.iter().fold(f64::INFINITY, |low, (_, rate)| low.min(*rate));
            format!("{low}/s to {}/s over {} points", rate.max(), points.len())
        }
    }
}

fn limit(span: Duration) -> String {
    if span == NO_LIMIT { "no limit".to_owned() } else { span.go_text() }
}

/// How calls are made.
pub(super) fn client(client: &Client) -> Value {
    let connections = &client.connections;
    let kind = match connections.kind {
        ConnectionKind::New => "new".to_owned(),
        ConnectionKind::KeepAlive { pool } => format!("keep-alive, at most {pool} idle"),
        ConnectionKind::Shared { count } => format!("http2, {count}"),
    };
    let retries = &client.retries;
    let on: Vec<&str> = (0_u8..)
        .zip(Fate::ALL)
        .filter(|(place, _)| retries.on.contains(*place))
        .map(|(_, fate)| fate.as_str())
        .collect();
    let back_off = match retries.back_off {
        BackOff::Full { base, max } => {
            format!("0 to (2^n - 1) x {}, at most {}", base.go_text(), max.go_text())
        }
        BackOff::Around { initial, factor, max, jitter } => format!(
            "{} x {factor}^(n - 1), at most {}, more or less {jitter}",
            initial.go_text(),
            max.go_text()
        ),
    };
    let budget = match retries.budget {
        Budget::Unlimited => "unlimited".to_owned(),
        Budget::Share { share, min } => format!("{share} of the calls under way, or {min}"),
        Budget::Tokens { max, ratio } => format!("{max} tokens, {ratio} back for each success"),
    };
    let dns = match client.dns_cache {
        DnsCache::Ttl => "ttl".to_owned(),
        DnsCache::For(span) => span.go_text(),
    };
    json!({
        "dnsCache": dns,
        "connections": {
            "kind": kind,
            "idleMax": limit(connections.idle_max),
            "ageMax": limit(connections.age_max),
            "tls": connections.tls,
            "noticesClose": connections.notices_close,
        },
        "timeout": limit(client.timeout),
        "connectTimeout": limit(client.connect_timeout),
        "deadline": limit(client.deadline),
        "retries": match retries.attempts {
            0 => json!(0),
            attempts => json!({
                "attempts": attempts,
                "on": on,
                "backOff": back_off,
                "budget": budget,
                "elsewhere": retries.elsewhere,
            }),
        },
        "hedge": client.hedge.map(Duration::go_text),
        "ejection": client.ejection.map(|e| json!({
            "failures": e.failures,
            "base": e.base.go_text(),
            "max": e.max.go_text(),
            "share": e.share_max,
            "interval": e.interval.go_text(),
        })),
        "callsMax": (client.calls_max < u32::MAX).then_some(client.calls_max),
    })
}

/// How a container serves.
pub(super) fn serve(serve: &Serve) -> Value {
    let warm_up = serve.warm_up.map(|warm| {
        let fades = match warm.fades {
            Fades::Age(age) => format!("{} of age", age.go_text()),
            Fades::Calls(calls) => format!("{calls} calls"),
        };
        format!("{} times as long at first, fades by e every {fades}", warm.factor)
    });
    let cache = serve.cache.as_ref().map(
        |cache| json!({ "hits": cache.hits, "fill": cache.fill, "miss": show_law(&cache.miss) }),
    );
    json!({
        "hold": show_law(&serve.hold),
        "cpu": serve.cpu.go_text(),
        "concurrency": serve.concurrency,
        "backlog": serve.backlog,
        "errors": serve.errors,
        "sharing": format!("{:?}", serve.discipline).to_lowercase(),
        "order": format!("{:?}", serve.order).to_lowercase(),
        "warmUp": warm_up,
        "cache": cache,
        "idleMax": limit(serve.idle_max),
        "ageMax": limit(serve.age_max),
        "saysClose": serve.says_close,
        "probes": serve.probes.map_or_else(
            || "own".to_owned(),
            |hold| format!("shared, {} each", hold.go_text()),
        ),
        "request": serve.request.to_string(),
        "response": serve.response.to_string(),
    })
}

/// Calls that a container makes.
pub(super) fn downstream(call: &Downstream, names: &Interner) -> Value {
    json!({
        "to": match call.to {
            Callee::Service(name) => format!("service/{}", names.resolve(name.name)),
            Callee::Container(name) => format!("container/{}", names.resolve(name)),
        },
        "times": call.times,
        "parallel": call.parallel,
        "probability": call.probability,
        "optional": call.optional,
        "client": client(&call.client),
    })
}

/// The proxies that serve Ingresses.
pub(super) fn ingress(spec: &IngressSpec, names: &Interner) -> Value {
    json!({
        "proxies": match spec.place {
            IngressPlace::Outside(count) => format!("{count} outside the cluster"),
            IngressPlace::Behind(name) => {
                format!("the pods behind {}", super::behaviors::shown("service", name, names))
            }
        },
        "workers": spec.workers,
        "endpoints": format!("{:?}", spec.finds).to_lowercase(),
        "balance": match spec.balance {
            IngressBalance::RoundRobin => "round-robin",
            IngressBalance::Ewma => "ewma",
        },
        "sync": spec.sync.go_text(),
        "poll": spec.poll.go_text(),
        "reload": show_law(&spec.reload),
        "drain": limit(spec.drain),
        "client": client(&spec.client),
    })
}

/// What is particular to a release.
pub(super) fn release(release: &Release, names: &Interner) -> Value {
    let known: Vec<&str> = release.understands.iter().map(|v| names.resolve(*v)).collect();
    json!({
        "slower": release.slower,
        "errors": release.errors,
        "speaks": release.speaks.map(|version| names.resolve(version)),
        "understands": known,
    })
}
