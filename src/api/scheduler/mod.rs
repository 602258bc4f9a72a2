//! `KubeSchedulerConfiguration`: how a scheduler is set, read as it is.
//!
//! ```text
//! JSON ─ fields ─ defaults, rules ─► plugins by extension point, arguments ─► SchedulerSettings
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/apis/config/{v1,validation} and
//! pkg/scheduler/framework/runtime/framework.go `NewFramework` (rules S4, S70 to S72). Differs: all
//! that is wrong is told at once; what is not modelled is told as a warning: extenders, more than
//! one worker, limits of the client, plugins for reserving and binding other than Kubernetes' own.

mod args;
mod plugins;

use std::collections::BTreeMap;

use serde_json::Value;

use super::is_within;
use super::problem::{At, Found, Problem, Reason};
use super::read::{is_set, items, text};
use super::schema;
use crate::base::{Duration, Interner};
use crate::model::{Plugin, PluginArgs, Profile, SchedulerSettings};

/// The API group of the kind.
pub const SCHEDULER_GROUP: &str = "kubescheduler.config.k8s.io";
/// The kind.
pub const SCHEDULER_KIND: &str = "KubeSchedulerConfiguration";
const VERSION: &str = "kubescheduler.config.k8s.io/v1";

/// Reads a `KubeSchedulerConfiguration`. `policies` are the names of policies of the user's own,
/// which a profile can enable beside Kubernetes' plugins.
///
/// When one of the problems is an error the settings must not be used.
#[must_use]
pub fn lower_scheduler(
    config: &Value,
    policies: &[String],
    names: &mut Interner,
) -> (SchedulerSettings, Vec<Problem>) {
    let mut found = Found::default();
    if !identity(config, &mut found) {
        return (SchedulerSettings::default(), found.0);
    }
    schema::check_type(SCHEDULER_KIND, config, &At::ROOT, &mut found);
    let fields = found.0.len();
    let mut settings = SchedulerSettings { policies: policies.to_vec(), ..Default::default() };
    numbers(config, &mut settings, &mut found);
    settings.profiles = profiles(&config["profiles"], policies, names, &mut found);
    let mut rest = found.0.split_off(fields);
    let of_wrong_type = |problem: &Problem| {
        let wrong = |p: &Problem| p.reason == Reason::Type && is_within(&problem.path, &p.path);
        found.0.iter().any(wrong)
    };
    rest.retain(|problem| !of_wrong_type(problem));
    found.0.extend(rest);
    (settings, found.0)
}

/// Whether it is of the kind and a version of it that is read.
fn identity(config: &Value, found: &mut Found) -> bool {
    let (kind, version) = (text(&config["kind"]), text(&config["apiVersion"]));
    if kind != SCHEDULER_KIND {
        let message = match (config.is_object(), kind) {
            (false, _) => format!("expected a {SCHEDULER_KIND}"),
            (true, "") => "Object 'Kind' is missing".to_owned(),
            (true, kind) => format!("expected kind {SCHEDULER_KIND}, found {kind:?}"),
        };
        let problem = found.add(&At::ROOT.field("kind"), Reason::Invalid, message);
        problem.hint =
            Some(format!("it begins with apiVersion: {VERSION}, kind: {SCHEDULER_KIND}"));
        return false;
    }
    if version != VERSION {
        let at = At::ROOT.field("apiVersion");
        let message = format!("no kind {SCHEDULER_KIND:?} is registered for version {version:?}");
        let problem = found.add(&at, Reason::NotSupported, message);
        problem.hint = Some(format!("Kubernetes 1.36 reads {VERSION}"));
        return false;
    }
    true
}

/// What holds for all profiles.
fn numbers(config: &Value, settings: &mut SchedulerSettings, found: &mut Found) {
    let at = At::ROOT.field("parallelism");
    if let Some(workers) = config["parallelism"].as_i64() {
        if workers <= 0 {
            found.invalid(&at, &workers, "should be an integer value greater than zero");
        } else if workers != 1 {
            let message = format!(
                "parallelism {workers} is not modelled: one worker looks at \
                 the nodes, so the search ends exactly where it has found enough"
            );
            found.add(&at, Reason::NotModelled, message);
        }
    }
    let share = percentage(config, &At::ROOT, found);
    settings.percentage_of_nodes_to_score = share.unwrap_or(0);
    let seconds = |field: &str, usual: i64| config[field].as_i64().unwrap_or(usual);
    let (first, longest) =
        (seconds("podInitialBackoffSeconds", 1), seconds("podMaxBackoffSeconds", 10));
    if first <= 0 {
        let at = At::ROOT.field("podInitialBackoffSeconds");
        found.invalid(&at, &first, "must be greater than 0");
    }
    if longest < first {
        let at = At::ROOT.field("podMaxBackoffSeconds");
        let why = "must be greater than or equal to PodInitialBackoffSeconds";
        found.invalid(&at, &longest, why);
        if !is_set(&config["podMaxBackoffSeconds"]) {
            let hint = format!("without podMaxBackoffSeconds it is {longest}");
            found.0.last_mut().expect("just added").hint = Some(hint);
        }
    }
    settings.backoff_initial = span(first);
    settings.backoff_max = span(longest);
}

/// Whole seconds as far as a span can hold them.
fn span(seconds: i64) -> Duration {
    super::read::seconds(&seconds.into()).unwrap_or(Duration::ZERO)
}

fn percentage(of: &Value, at: &At<'_>, found: &mut Found) -> Option<u8> {
    let share = of["percentageOfNodesToScore"].as_i64()?;
    let fine = u8::try_from(share).ok().filter(|share| *share <= 100);
    if fine.is_none() {
        let at = at.field("percentageOfNodesToScore");
        found.invalid(&at, &share, "not in valid range [0-100]");
    }
    fine
}

fn profiles(
    list: &Value,
    policies: &[String],
    names: &mut Interner,
    found: &mut Found,
) -> Vec<Profile> {
    let at = At::ROOT.field("profiles");
    let written = items(list);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut all = Vec::new();
    for (index, profile) in written.iter().enumerate() {
        let here = at.index(index);
        let name = match &profile["schedulerName"] {
            name if !is_set(name) && written.len() == 1 => "default-scheduler",
            name => text(name),
        };
        let place = here.field("schedulerName");
        if name.is_empty() {
            found.required(&place, "");
        } else if let Some(first) = seen.insert(name, index) {
            found.duplicate(&place, &format!("{name:?}"));
            let hint = format!("profiles[{first}] has this name too");
            found.0.last_mut().expect("just added").hint = Some(hint);
        }
        let mut lowered = plugins::lower(&profile["plugins"], &here, name, policies, found);
        lowered.percentage_of_nodes_to_score = percentage(profile, &here, found);
        lowered.args = plugin_config(&profile["pluginConfig"], &here, policies, names, found);
        all.push(lowered);
    }
    same_queue_sort(written, &at, found);
    if all.is_empty() {
        all.push(Profile::default());
    }
    all
}

/// One queue holds the pods of all profiles, so all sort it alike.
fn same_queue_sort(profiles: &[Value], at: &At<'_>, found: &mut Found) {
    let normal = |profile: &Value| {
        let set = &profile["plugins"]["queueSort"];
        let list = |key: &str| -> Vec<(String, i64)> {
            let entry =
                |e: &Value| (text(&e["name"]).to_owned(), e["weight"].as_i64().unwrap_or(0));
            items(&set[key]).iter().map(entry).collect()
        };
        (list("enabled"), list("disabled"))
    };
    let Some(first) = profiles.first().map(normal) else { return };
    for (index, profile) in profiles.iter().enumerate().skip(1) {
        if normal(profile) != first {
            let here = at.index(index);
            let here = here.field("plugins.queueSort");
            let given = &profile["plugins"]["queueSort"];
            found.invalid(&here, given, "must be the same for all profiles");
        }
    }
}

fn plugin_config(
    list: &Value,
    profile: &At<'_>,
    policies: &[String],
    names: &mut Interner,
    found: &mut Found,
) -> PluginArgs {
    let mut lowered = PluginArgs::default();
    let at = profile.field("pluginConfig");
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, entry) in items(list).iter().enumerate() {
        let here = at.index(index);
        let name = text(&entry["name"]);
        if let Some(first) = seen.insert(name, index) {
            found.duplicate(&here, &format!("{name:?}"));
            let hint = format!("pluginConfig[{first}] is about this plugin too");
            found.0.last_mut().expect("just added").hint = Some(hint);
            continue;
        }
        if plugins::REMOVED.contains(&name) {
            found.invalid_text(&here, name, &plugins::removed());
            continue;
        }
        match plugins::named(name, policies) {
            Some(Plugin::Custom(_)) if is_set(&entry["args"]) => {
                let message = format!("arguments of {name} are not read: a policy has its own");
                found.add(&here.field("args"), Reason::NotModelled, message);
            }
            Some(plugin) => {
                let here = here.field("args");
                let mut reader = args::Reader { at: &here, args: &entry["args"], names, found };
                reader.read(plugin, &mut lowered);
            }
            None => {
                let message = format!("arguments of an unknown plugin {name:?}: nobody reads them");
                let problem = found.add(&here.field("name"), Reason::NotModelled, message);
                problem.hint = plugins::suggestion(name, policies);
            }
        }
    }
    lowered
}

#[cfg(test)]
mod tests;
