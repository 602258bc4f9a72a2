//! The model after defaults, as text that a person can read: `check --show`.

use serde_json::{Map, Value, json};

use crate::base::{Distribution, Duration, Interner, Ratio, SimTime};
use crate::model::{
    BalancerSpec, Behavior, Eviction, Exit, Hang, HangWhen, HookFailures, HorizontalSettings,
    KubeletSpec, Latencies, Logs, NodeMonitor, NodeSpec, Outage, Release, Signal, Template, Writes,
};
use crate::tree::json_to_yaml;

use super::latency_sources::source;
use super::{Loaded, show_calls, show_cloud, show_scheduler};

/// The model after defaults, as YAML: first what the scenario says, then all objects.
#[must_use]
pub fn show(loaded: &Loaded) -> String {
    let model = &loaded.model;
    let names = &model.names;
    let nodes: Vec<Value> = model.nodes.iter().map(|node| show_node(node, names)).collect();
    let behaviors: Map<String, Value> =
        model.templates().flat_map(|t| show_template(t, names)).collect();
    let traffic = model.traffic.iter().map(|t| {
        json!({
            "name": names.resolve(t.name),
            "to": format!("service/{}", names.resolve(t.to.name)),
            "url": t.request.as_ref().map(|asked| format!("{}{}", asked.host, asked.path)),
            "through": t.through.map(|name| super::behaviors::shown("ingress", name, names)),
            "idempotent": t.is_idempotent,
            "load": show_calls::load(&t.load),
            "client": show_calls::client(&t.client),
            "priority": t.priority,
            "hold": t.hold.as_ref().map(show_law),
            "speaks": t.speaks.map(|version| names.resolve(version)),
            "clients": t.clients,
        })
    });
    let timeline = model.timeline.iter().map(|e| json!({ "at": e.at.to_string(), "do": e.text }));
    let head = json!({
        "name": model.name,
        "about": model.about,
        "nodes": nodes,
        "cloud": show_cloud::show(&model.cloud, names),
        "latencies": show_latencies(&model.latencies),
        "nodeMonitor": show_monitor(&model.node_monitor),
        "horizontalPodAutoscaler": show_horizontal(&model.horizontal),
        "addresses": super::addresses::show(model),
        "dns": {
            "ttl": model.dns.ttl.go_text(),
            "cache": model.dns.cache.go_text(),
            "negative": model.dns.negative.go_text(),
        },
        "regressions": {
            "cancelledExecProbes": model.regressions.cancelled_exec_probes,
            "unreadyAfterKubeletRestart": model.regressions.unready_after_kubelet_restart,
        },
        "loadBalancer": model.balancer.as_ref().map(show_balancer),
        "ingress": show_calls::ingress(&model.ingress, names),
        "registry": { "outages": model.outages.iter().map(show_outage).collect::<Vec<_>>() },
        "mesh": model.mesh.as_ref().map(|mesh| {
            super::mesh::show(mesh, model.behaviors.mesh.as_ref(), names)
        }),
        "scheduler": show_scheduler::show(&model.scheduler, names),
        "behaviors": behaviors,
        "traffic": traffic.collect::<Vec<_>>(),
        "timeline": timeline.collect::<Vec<_>>(),
        "run": {
            "until": model.run.until.map(|until| until.since_start().go_text()),
            "seed": model.run.seed,
            "replications": model.run.replications,
            "warmup": model.run.warmup.go_text(),
            "slow": model.run.slow.go_text(),
            "sample": model.run.sample.go_text(),
        },
        "expect": loaded.expect.iter().map(|e| e.value.clone()).collect::<Vec<_>>(),
    });
    let mut text = json_to_yaml(&head);
    for tree in &loaded.objects {
        text.push_str("---\n");
        text.push_str(&json_to_yaml(tree));
    }
    text
}

fn show_outage(outage: &Outage) -> Value {
    json!({
        "images": outage.images,
        "from": outage.from.since_start().go_text(),
        "until": (outage.until != SimTime::MAX).then(|| outage.until.since_start().go_text()),
    })
}

fn show_balancer(balancer: &BalancerSpec) -> Value {
    json!({
        "targets": format!("{:?}", balancer.targets).to_lowercase(),
        "register": show_law(&balancer.register),
        "interval": balancer.interval.go_text(),
        "unhealthy": balancer.unhealthy,
        "healthy": balancer.healthy,
        "deregister": show_law(&balancer.deregister),
    })
}

pub(super) fn show_node(node: &NodeSpec, names: &Interner) -> Value {
    let labels: Map<String, Value> = node
        .labels
        .iter()
        .map(|(key, value)| (names.resolve(key).to_owned(), json!(names.resolve(value))))
        .collect();
    let taints: Vec<String> = node
        .taints
        .iter()
        .map(|t| format!("{}={}:{:?}", names.resolve(t.key), names.resolve(t.value), t.effect))
        .collect();
    let mut allocatable = json!({
        "cpu": node.allocatable.cpu.to_string(),
        "memory": node.allocatable.memory.to_string(),
        "pods": node.pods_max,
    });
    for (name, amount) in &node.allocatable.scalars {
        allocatable[names.resolve(*name)] = json!(amount);
    }
    json!({
        "name": names.resolve(node.name),
        "allocatable": allocatable,
        "labels": labels,
        "taints": taints,
        "price": format!("{}/h", node.price_per_hour.as_usd()),
        "proxy": {
            "mode": format!("{:?}", node.proxy.mode).to_lowercase(),
            "minSyncPeriod": node.proxy.min_sync.map(|min| min.go_text()),
            "syncPeriod": node.proxy.sync.go_text(),
        },
        "kubelet": show_kubelet(&node.kubelet),
    })
}

fn show_kubelet(kubelet: &KubeletSpec) -> Value {
    let all = |of: &dyn Fn(&Eviction) -> Option<String>| -> Option<Value> {
        let given = Signal::ALL.into_iter().filter_map(|signal| {
            let value = of(kubelet.on(signal))?;
            Some((signal.as_str().to_owned(), Value::from(value)))
        });
        let given: Map<String, Value> = given.collect();
        (!given.is_empty()).then_some(Value::Object(given))
    };
    let reclaim = |of: &Eviction| {
        let is_some = of.reclaim != Eviction::NONE.reclaim;
        is_some.then(|| of.reclaim.to_string())
    };
    let groups = kubelet.shutdown_by_priority.iter().map(|(priority, time)| {
        json!({ "priority": priority, "shutdownGracePeriodSeconds": time.whole_secs() })
    });
    let mut shown = json!({
        "evictionHard": all(&|of| of.hard.map(|hard| hard.to_string())),
        "evictionSoft": all(&|of| of.soft.map(|(soft, _)| soft.to_string())),
        "evictionSoftGracePeriod": all(&|of| of.soft.map(|(_, grace)| grace.go_text())),
        "evictionMaxPodGracePeriod": kubelet.eviction_grace_max.go_text(),
        "evictionMinimumReclaim": all(&reclaim),
        "evictionPressureTransitionPeriod": kubelet.eviction_transition.go_text(),
        "shutdownGracePeriod": kubelet.shutdown_grace.go_text(),
        "shutdownGracePeriodCriticalPods": kubelet.shutdown_grace_critical.go_text(),
        "shutdownGracePeriodByPodPriority": groups.collect::<Vec<_>>(),
        "serializeImagePulls": kubelet.serialize_pulls,
        "maxParallelImagePulls": kubelet.parallel_pulls_max,
        "registryPullQPS": kubelet.pulls_per_second,
        "registryBurst": kubelet.pulls_burst,
        "crashLoopBackOff": { "maxContainerRestartPeriod": kubelet.backoff_max.go_text() },
        "imageGCHighThresholdPercent": kubelet.images.high,
        "imageGCLowThresholdPercent": kubelet.images.low,
        "imageMinimumGCAge": kubelet.images.age_min.go_text(),
        "containerLogMaxSize": kubelet.logs.size_max.to_string(),
        "containerLogMaxFiles": kubelet.logs.files_max,
    });
    if let Some(disk) = &kubelet.disk {
        shown["disk"] = json!({
            "nodefs": disk.nodefs.to_string(),
            "imagefs": disk.imagefs.map(|size| size.to_string()),
            "system": disk.system.to_string(),
        });
    }
    shown
}

fn show_template(template: &Template, names: &Interner) -> Vec<(String, Value)> {
    let spec = &template.spec;
    let workload = template.workload;
    let of = |kind: &str, index: usize, name| {
        let container = names.resolve(name);
        let to = super::behaviors::shown(workload.kind.as_str(), workload.name, names);
        let behavior = match kind {
            "init " => template.init_behavior(index),
            _ => template.behavior(index),
        };
        let serves = kind.is_empty() && template.server.map(usize::from) == Some(index);
        (format!("{to} {kind}container {container}"), show_behavior(behavior, serves, names))
    };
    let inits = spec.init_containers.iter().enumerate().map(|(i, c)| of("init ", i, c.name));
    inits.chain(spec.containers.iter().enumerate().map(|(i, c)| of("", i, c.name))).collect()
}

fn show_exit(exit: &Exit) -> String {
    let Exit { code, indexes, share, runs } = exit;
    let of = indexes.as_ref().map_or_else(String::new, |of| format!(" of indexes {of}"));
    let first = runs.map_or_else(String::new, |runs| format!(" first {runs}"));
    format!("{code} in {} of the{first} runs{of}", Ratio(*share))
}

fn show_hang(hang: &Hang) -> String {
    let Hang { when, lasts, share } = hang;
    let when = match when {
        HangWhen::At(at) => format!("at {}", at.since_start().go_text()),
        HangWhen::After(law) => format!("{} after it is able to serve", show_law(law)),
        HangWhen::Calls(calls) => format!("with call {calls}"),
    };
    let lasts = lasts.map_or("for ever".to_owned(), |lasts| format!("for {}", lasts.go_text()));
    format!("{when}, {lasts}, in {} of the runs", Ratio(*share))
}

fn show_behavior(behavior: &Behavior, serves: bool, names: &Interner) -> Value {
    let mut shown = json!({
        "start": show_law(&behavior.start),
        "shutdown": match behavior.shutdown.ignores_signal {
            true => "ignores SIGTERM".to_owned(),
            false => format!(
                "accepts {} more, then drains {} at most",
                behavior.shutdown.accept.go_text(),
                behavior.shutdown.drain.go_text(),
            ),
        },
        "cpuIdle": behavior.cpu_idle.to_string(),
        "memory": behavior.memory.to_string(),
        "leak": format!("{}/s", behavior.leak),
        "gates": behavior.gates.as_ref().map(show_law),
        "memoryPerCall": behavior.call_memory.to_string(),
        "imageSize": behavior.image_size.to_string(),
    });
    if let Some(writes) = &behavior.writes {
        let volume = writes.volume.map_or("its own layer", |name| names.resolve(name));
        let Writes { start, rate, call, .. } = writes;
        let calls = if call.0 > 0 { format!(" and {call} a call") } else { String::new() };
        let text = format!("{start} at its start, then {rate}/s{calls}, to {volume}");
        shown["writes"] = json!(text);
    }
    if let Some(Logs { rate, call }) = &behavior.logs {
        shown["logs"] = json!(format!("{rate}/s and {call} a call"));
    }
    if let Some(hang) = &behavior.hang {
        shown["hang"] = json!(show_hang(hang));
    }
    if let Some(cpu) = &behavior.cpu {
        shown["cpu"] = super::cpu::show(cpu);
    }
    if let Some(run) = &behavior.run {
        shown["run"] = json!(show_law(run));
    }
    if behavior.hook_failures != HookFailures::default() {
        let HookFailures { post_start, pre_stop } = behavior.hook_failures;
        let (post_start, pre_stop) = (Ratio(post_start), Ratio(pre_stop));
        shown["hookFails"] = json!(format!("{post_start} of postStart, {pre_stop} of preStop"));
    }
    if !behavior.exits.is_empty() {
        shown["exit"] = json!(behavior.exits.iter().map(show_exit).collect::<Vec<_>>());
    }
    if let Some(serve) = behavior.serve.as_ref().filter(|_| serves) {
        shown["serve"] = show_calls::serve(serve);
        let call = |c: &crate::model::Downstream| show_calls::downstream(c, names);
        if !behavior.calls.is_empty() {
            shown["calls"] = json!(behavior.calls.iter().map(call).collect::<Vec<_>>());
        }
        if behavior.release != Release::plain() {
            shown["release"] = show_calls::release(&behavior.release, names);
        }
    }
    shown
}

/// A law in words.
pub(super) fn show_law(law: &Distribution) -> String {
    match law {
        Distribution::Constant(value) => format!("{value} s"),
        other => format!(
            "median {} s, p99 {} s, mean {} s",
            rounded(other.quantile(0.5)),
            rounded(other.quantile(0.99)),
            rounded(other.mean()),
        ),
    }
}

/// Four significant digits.
fn rounded(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let text = format!("{value:.3e}");
    text.parse::<f64>().map_or(text, |value| value.to_string())
}

fn show_monitor(monitor: &NodeMonitor) -> Value {
    let rate = |gap: Option<Duration>| gap.map_or(0.0, |gap| 1.0 / gap.as_secs_f64());
    json!({
        "period": monitor.period.go_text(),
        "grace": monitor.grace.go_text(),
        "startupGrace": monitor.startup_grace.go_text(),
        "lease": monitor.lease.go_text(),
        "evictionRate": rate(monitor.eviction_gap),
        "secondaryEvictionRate": rate(monitor.secondary_gap),
        "largeZone": monitor.large_zone,
    })
}

fn show_horizontal(of: &HorizontalSettings) -> Value {
    json!({
        "syncPeriod": of.period.go_text(),
        "downscaleStabilization": of.stabilization.go_text(),
        "tolerance": of.tolerance,
        "cpuInitializationPeriod": of.initialization.go_text(),
        "initialReadinessDelay": of.initial_delay.go_text(),
        "scaleToZero": of.scales_to_zero,
    })
}

fn show_latencies(latencies: &Latencies) -> Value {
    let laws = [
        ("watch", &latencies.watch),
        ("apiWrite", &latencies.api_write),
        ("eviction", &latencies.eviction),
        ("schedule", &latencies.schedule),
        ("kubeletSync", &latencies.kubelet_sync),
        ("provision", &latencies.provision),
        ("attach", &latencies.attach),
        ("detach", &latencies.detach),
        ("sandbox", &latencies.sandbox),
        ("containerStart", &latencies.container_start),
        ("pull", &latencies.pull),
        ("kill", &latencies.kill),
        ("sandboxStop", &latencies.sandbox_stop),
        ("finalize", &latencies.finalize),
        ("endpoints", &latencies.endpoints),
        ("proxyRun", &latencies.proxy_run),
        ("hop", &latencies.hop),
        ("statusWrite", &latencies.status_write),
        ("resize", &latencies.resize),
        ("leaseJitter", &latencies.lease_jitter),
        ("kubeletSample", &latencies.kubelet_sample),
    ];
    let spans = [
        ("scheduleCycle", latencies.schedule_cycle),
        ("volumes", latencies.volumes),
        ("volumePoll", latencies.volume_poll),
        ("relist", latencies.relist),
        ("proxyPeriod", latencies.proxy_period),
        ("hopInPod", latencies.hop_in_pod),
        ("metricsPeriod", latencies.metrics_period),
        ("scrapeSpread", latencies.scrape_spread),
        ("scrapeTimeout", latencies.scrape_timeout),
    ];
    let mut shown = json!({
        "profile": latencies.profile,
        "limitedClients": latencies.limited_clients,
    });
    let mut put = |name: &str, value: String| {
        shown[name] = json!(format!("{value} · {}", source(name, latencies)));
    };
    for (name, law) in laws {
        put(name, show_law(law));
    }
    let by_distance = [
        ("hopSameNode", &latencies.hop_same_node),
        ("hopBetweenZones", &latencies.hop_between_zones),
    ];
    for (name, law) in by_distance {
        put(name, law.as_ref().map_or_else(|| "as hop".to_owned(), show_law));
    }
    for (name, span) in spans {
        put(name, span.go_text());
    }
    put("scrapeLoss", Ratio(latencies.scrape_loss).to_string());
    put("probeMiss", Ratio(latencies.probe_miss).to_string());
    let rates = [
        ("pullRate", latencies.pull_rate),
        ("pullSlow", latencies.pull_slow),
        ("networkRate", latencies.network_rate),
    ];
    for (name, rate) in rates {
        put(
            name,
            match rate.is_finite() {
                true => format!("{rate} bytes/s"),
                false => "unlimited".to_owned(),
            },
        );
    }
    shown
}
