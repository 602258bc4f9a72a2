//! The profiles of latencies: rules N300 to N303 and N310 of the specification of node and network.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use crate::base::{Distribution, Duration, Ratio, cast};
use crate::model::Latencies;
use crate::tree::{Diagnostic, Diagnostics};

use super::file::{LatenciesFile, LatencyTable, ProfileName};
use super::law::Law;
use super::units::Share;

impl<'de> Deserialize<'de> for LatenciesFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LatenciesVisitor)
    }
}

struct LatenciesVisitor;

impl<'de> Visitor<'de> for LatenciesVisitor {
    type Value = LatenciesFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ideal, measured, or a table of latencies")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LatenciesFile, E> {
        let profile = match text {
            "ideal" => ProfileName::Ideal,
            "measured" => ProfileName::Measured,
            "measured-small" => ProfileName::MeasuredSmall,
            "measured-medium" => ProfileName::MeasuredMedium,
            "measured-large" => ProfileName::MeasuredLarge,
            other => return Err(E::unknown_variant(other, &PROFILES)),
        };
        Ok(LatenciesFile::Profile(profile))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LatenciesFile, A::Error> {
        let table = LatencyTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(LatenciesFile::Table(Box::new(table)))
    }
}

const PROFILES: [&str; 5] =
    ["ideal", "measured", "measured-small", "measured-medium", "measured-large"];

impl JsonSchema for LatenciesFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Latencies".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let profile = generator.subschema_for::<ProfileName>();
        let table = generator.subschema_for::<LatencyTable>();
        json_schema!({
            "description": "how long the machinery takes: a profile, or a table over one",
            "anyOf": [profile, table],
        })
    }
}

/// The latencies that are meant, for a cluster of so many nodes.
pub(super) fn lower(
    file: Option<&LatenciesFile>,
    nodes: usize,
    found: &mut Diagnostics,
) -> Latencies {
    if let Some(LatenciesFile::Table(table)) = file {
        if let Some(rate) = table.pull_rate.as_ref().filter(|rate| rate.value.0.0 == 0) {
            found.error(rate.span, "a pull of 0 bytes a second never ends");
        }
        if let Some(slow) = &table.pull_slow {
            let rate = table.pull_rate.as_ref().map_or(40_000_000, |rate| rate.value.0.0);
            if !(1..=rate).contains(&slow.value.0.0) {
                let error = Diagnostic::error(slow.span, "the slow pulls are not the faster ones");
                found.push(error.with_hint("pullRate is the median, pullSlow one in a hundred"));
            }
        }
        if let Some(rate) = table.network_rate.as_ref().filter(|rate| rate.value.0.0 <= 0) {
            let error = Diagnostic::error(rate.span, "at 0 bytes a second no call arrives");
            found.push(error.with_hint("for example networkRate: 120Mi, a gigabit a second"));
        }
        let period = table.metrics_period.as_ref();
        if let Some(period) = period.filter(|period| period.value.0 < Duration::ms(1)) {
            found.error(period.span, "the period of the metrics pipeline is at least 1ms");
        }
    }
    match file {
        None => profile(ProfileName::Measured, nodes),
        Some(LatenciesFile::Profile(name)) => profile(*name, nodes),
        Some(LatenciesFile::Table(table)) => {
            let mut latencies = profile(table.base, nodes);
            latencies.profile = "custom";
            lay_over(table, &mut latencies);
            latencies
        }
    }
}

fn profile(name: ProfileName, nodes: usize) -> Latencies {
    match name {
        ProfileName::Ideal => Latencies::ideal(),
        ProfileName::MeasuredSmall => small(),
        ProfileName::MeasuredMedium => medium(),
        ProfileName::MeasuredLarge => large(),
        ProfileName::Measured => match nodes {
            0..=30 => small(),
            31..=1000 => medium(),
            _ => large(),
        },
    }
}

fn log_normal(median: f64, p99: f64) -> Distribution {
    Distribution::log_normal_p99(median, p99)
}

/// Profile S of rule N302: up to ten idle nodes.
fn small() -> Latencies {
    Latencies {
        profile: "measured (small cluster)",
        base: "small",
        own: Vec::new(),
        limited_clients: true,
        watch: log_normal(0.005, 0.1),
        api_write: log_normal(0.006, 0.05),
        // Rule C154: about 100 ms in a quiet namespace, 30 ms while budgets are written.
        eviction: log_normal(0.1, 0.2),
        schedule: log_normal(0.005, 0.025),
        schedule_cycle: Duration::ms(1),
        kubelet_sync: log_normal(0.013, 0.05),
        volumes: Duration::ms(300),
        // An assumption: a cloud's disk is there after some seconds.
        provision: log_normal(3.0, 15.0),
        // Rule N302: an EBS volume is mounted after 15 to 17 s with all waits (k/k#62119), and moves
        // in about 60 s.
        attach: log_normal(6.0, 30.0),
        detach: log_normal(6.0, 30.0),
        volume_poll: Duration::secs(1),
        sandbox: log_normal(0.45, 1.5),
        container_start: log_normal(0.2, 0.6),
        pull: log_normal(0.3, 1.5),
        pull_rate: 40.0e6,
        // Rule N302: LN(40 MB/s; 8 MB/s at p1), between 49 MB/s and 10 MB/s as measured. A scenario
        // that sets pullRate alone has pulls of that rate, without a tail.
        pull_slow: 8.0e6,
        relist: Duration::secs(1),
        // Rule N460: the kubelet reacts in 20 to 60 ms.
        kill: log_normal(0.035, 0.06),
        sandbox_stop: log_normal(0.15, 1.0),
        // Rule N130: unmount, cgroup, and three calls of the API, after the relist.
        finalize: log_normal(0.25, 0.6),
        endpoints: log_normal(0.015, 0.2),
        proxy_period: Duration::secs(1),
        // Rule N152: 0.12 s a run in a small cluster.
        proxy_run: log_normal(0.12, 0.25),
        // Rule N188: 0.26 ms there and back in one zone, up to 0.56 ms.
        hop: log_normal(0.000_13, 0.000_28),
        hop_same_node: None,
        hop_between_zones: None,
        // Rule N188: 10 to 20 µs.
        hop_in_pod: Duration::us(15),
        network_rate: f64::INFINITY,
        metrics_period: Duration::secs(15),
        // Rules A62, A67: 10 s with a back-off to 15 s; 8 ms a node; `--kubelet-request-timeout`.
        kubelet_sample: Distribution::uniform(10.0, 15.0),
        scrape_spread: Duration::ms(8),
        scrape_timeout: Duration::secs(10),
        scrape_loss: 0.0,
        // Rule N85: 268 of 276 first probes were in time on a machine that had nothing else to do.
        probe_miss: 0.05,
        // Rule N300: 0.164 s from the request on, of which the first sync is not a part.
        resize: log_normal(0.15, 0.4),
        status_write: log_normal(0.009, 0.075),
        // Rule C161: up to 4 %.
        lease_jitter: Distribution::uniform(0.0, 0.4),
    }
}

/// Profile M of rule N302: about a hundred nodes.
fn medium() -> Latencies {
    Latencies {
        profile: "measured (medium cluster)",
        base: "medium",
        watch: log_normal(0.01, 0.3),
        api_write: log_normal(0.01, 0.1),
        status_write: log_normal(0.015, 0.15),
        proxy_run: log_normal(0.3, 0.9),
        ..small()
    }
}

/// Profile L of rule N302: about five thousand nodes.
fn large() -> Latencies {
    Latencies {
        profile: "measured (large cluster)",
        base: "large",
        watch: log_normal(0.02, 1.0),
        api_write: log_normal(0.03, 0.4),
        schedule: log_normal(0.01, 0.05),
        // 270 pods a second.
        schedule_cycle: Duration::us(3704),
        kubelet_sync: log_normal(0.03, 1.0),
        endpoints: log_normal(0.05, 1.0),
        status_write: log_normal(0.045, 0.6),
        // Rule N152: 2.84 s for a partial run at 3,595 services.
        proxy_run: log_normal(2.0, 6.0),
        ..small()
    }
}

fn lay_over(table: &LatencyTable, to: &mut Latencies) {
    let mut own = Vec::new();
    let laws: [(&'static str, &Option<Law>, &mut Distribution); 21] = [
        ("watch", &table.watch, &mut to.watch),
        ("apiWrite", &table.api_write, &mut to.api_write),
        ("eviction", &table.eviction, &mut to.eviction),
        ("schedule", &table.schedule, &mut to.schedule),
        ("kubeletSync", &table.kubelet_sync, &mut to.kubelet_sync),
        ("provision", &table.provision, &mut to.provision),
        ("attach", &table.attach, &mut to.attach),
        ("detach", &table.detach, &mut to.detach),
        ("sandbox", &table.sandbox, &mut to.sandbox),
        ("containerStart", &table.container_start, &mut to.container_start),
        ("pull", &table.pull, &mut to.pull),
        ("kill", &table.kill, &mut to.kill),
        ("sandboxStop", &table.sandbox_stop, &mut to.sandbox_stop),
        ("finalize", &table.finalize, &mut to.finalize),
        ("endpoints", &table.endpoints, &mut to.endpoints),
        ("proxyRun", &table.proxy_run, &mut to.proxy_run),
        ("hop", &table.hop, &mut to.hop),
        ("statusWrite", &table.status_write, &mut to.status_write),
        ("resize", &table.resize, &mut to.resize),
        ("leaseJitter", &table.lease_jitter, &mut to.lease_jitter),
        ("kubeletSample", &table.kubelet_sample, &mut to.kubelet_sample),
    ];
    for (name, law, to) in laws {
        if let Some(Law(law)) = law {
            to.clone_from(law);
            own.push(name);
        }
    }
    let by_distance = [
        ("hopSameNode", &table.hop_same_node, &mut to.hop_same_node),
        ("hopBetweenZones", &table.hop_between_zones, &mut to.hop_between_zones),
    ];
    for (name, law, to) in by_distance {
        if let Some(Law(law)) = law {
            *to = Some(law.clone());
            own.push(name);
        }
    }
    let spans = [
        ("scheduleCycle", &table.schedule_cycle, &mut to.schedule_cycle),
        ("volumes", &table.volumes, &mut to.volumes),
        ("volumePoll", &table.volume_poll, &mut to.volume_poll),
        ("relist", &table.relist, &mut to.relist),
        ("proxyPeriod", &table.proxy_period, &mut to.proxy_period),
        ("hopInPod", &table.hop_in_pod, &mut to.hop_in_pod),
        ("scrapeSpread", &table.scrape_spread, &mut to.scrape_spread),
        ("scrapeTimeout", &table.scrape_timeout, &mut to.scrape_timeout),
    ];
    for (name, span, to) in spans {
        if let Some(span) = span {
            *to = span.0;
            own.push(name);
        }
    }
    if let Some(rate) = &table.pull_rate {
        to.pull_rate = cast::f64_of_i64(rate.value.0.0);
        to.pull_slow = to.pull_rate;
        own.extend(["pullRate", "pullSlow"]);
    }
    if let Some(rate) = &table.pull_slow {
        to.pull_slow = cast::f64_of_i64(rate.value.0.0);
        own.push("pullSlow");
    }
    if let Some(rate) = &table.network_rate {
        to.network_rate = cast::f64_of_i64(rate.value.0.0);
        own.push("networkRate");
    }
    if let Some(Share(Ratio(loss))) = table.scrape_loss {
        to.scrape_loss = loss;
        own.push("scrapeLoss");
    }
    if let Some(Share(Ratio(miss))) = table.probe_miss {
        to.probe_miss = miss;
        own.push("probeMiss");
    }
    if let Some(period) = &table.metrics_period {
        to.metrics_period = period.value.0;
        own.push("metricsPeriod");
    }
    to.own = own;
}
