//! Which plugins take part at which extension point.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/apis/config/v1/default_plugins.go `mergePlugins`,
//! pkg/scheduler/framework/runtime/framework.go `updatePluginList`, `expandMultiPointPlugins`,
//! `getScoreWeights` (rules S70, S71).

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::problem::{At, Found, Reason};
use super::super::read::{items, text};
use crate::model::{Plugin, Profile};
use crate::tree::closest;

/// Plugins of old versions.
pub(super) const REMOVED: [&str; 4] =
    ["AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"];
/// Plugins of 1.36 that are off by default and not modelled.
const NOT_MODELLED: [&str; 1] = ["GangScheduling"];

/// What is said of a removed plugin.
pub(super) fn removed() -> String {
    let version = super::VERSION;
    format!("was invalid in version \"v1\" (KubeSchedulerConfiguration is version {version:?})")
}

/// The plugin of a name: Kubernetes' or a policy of the user's own.
pub(super) fn named(name: &str, policies: &[String]) -> Option<Plugin> {
    let own = || (0..).zip(policies).find(|(_, policy)| *policy == name);
    Plugin::named(name).or_else(|| own().map(|(number, _)| Plugin::Custom(number)))
}

/// What may have been meant.
pub(super) fn suggestion(name: &str, policies: &[String]) -> Option<String> {
    let mut known: Vec<&str> = policies.iter().map(String::as_str).collect();
    known.extend(Plugin::ALL.map(Plugin::as_str));
    let close = closest(name, known);
    close.map(|close| format!("did you mean \"{close}\"?"))
}

/// An extension point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    PreFilter,
    Filter,
    PostFilter,
    Reserve,
    PreScore,
    Score,
    PreBind,
    Bind,
    PostBind,
    Permit,
    PreEnqueue,
    QueueSort,
}

impl Point {
    /// In the order in which Kubernetes goes through them: the first to complain is heard.
    const ALL: [Self; 12] = [
        Self::PreFilter,
        Self::Filter,
        Self::PostFilter,
        Self::Reserve,
        Self::PreScore,
        Self::Score,
        Self::PreBind,
        Self::Bind,
        Self::PostBind,
        Self::Permit,
        Self::PreEnqueue,
        Self::QueueSort,
    ];

    /// Its key and the name of its interface.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::PreFilter => ("preFilter", "PreFilterPlugin"),
            Self::Filter => ("filter", "FilterPlugin"),
            Self::PostFilter => ("postFilter", "PostFilterPlugin"),
            Self::Reserve => ("reserve", "ReservePlugin"),
            Self::PreScore => ("preScore", "PreScorePlugin"),
            Self::Score => ("score", "ScorePlugin"),
            Self::PreBind => ("preBind", "PreBindPlugin"),
            Self::Bind => ("bind", "BindPlugin"),
            Self::PostBind => ("postBind", "PostBindPlugin"),
            Self::Permit => ("permit", "PermitPlugin"),
            Self::PreEnqueue => ("preEnqueue", "PreEnqueuePlugin"),
            Self::QueueSort => ("queueSort", "QueueSortPlugin"),
        }
    }

    /// Whether a plugin has something to say here (rule S71).
    const fn has(self, plugin: Plugin) -> bool {
        use Plugin as P;
        match self {
            Self::PreEnqueue => {
                matches!(plugin, P::SchedulingGates | P::DynamicResources | P::DefaultPreemption)
            }
            Self::QueueSort => matches!(plugin, P::PrioritySort),
            Self::Filter => {
                Self::PreFilter.has(plugin)
                    || matches!(
                        plugin,
                        P::NodeUnschedulable | P::NodeName | P::TaintToleration | P::Custom(_)
                    )
            }
            Self::PreFilter => matches!(
                plugin,
                P::NodeAffinity
                    | P::NodePorts
                    | P::NodeResourcesFit
                    | P::VolumeRestrictions
                    | P::NodeVolumeLimits
                    | P::VolumeBinding
                    | P::VolumeZone
                    | P::PodTopologySpread
                    | P::InterPodAffinity
                    | P::DynamicResources
                    | P::NodeDeclaredFeatures
            ),
            Self::PostFilter => matches!(plugin, P::DynamicResources | P::DefaultPreemption),
            Self::PreScore => matches!(
                plugin,
                P::TaintToleration
                    | P::NodeAffinity
                    | P::NodeResourcesFit
                    | P::VolumeBinding
                    | P::PodTopologySpread
                    | P::InterPodAffinity
                    | P::NodeResourcesBalancedAllocation
            ),
            Self::Score => {
                Self::PreScore.has(plugin)
                    || matches!(plugin, P::DynamicResources | P::ImageLocality | P::Custom(_))
            }
            Self::Reserve | Self::PreBind => {
                matches!(plugin, P::VolumeBinding | P::DynamicResources)
            }
            Self::Bind => matches!(plugin, P::DefaultBinder),
            Self::Permit | Self::PostBind => false,
        }
    }
}

/// An enabled plugin with the weight that it has as a score plugin.
type Entry = (Plugin, i64);

/// What is written for one extension point.
#[derive(Default)]
struct Set {
    enabled: Vec<Entry>,
    disabled: BTreeSet<String>,
}

impl Set {
    fn disables(&self, plugin: &str) -> bool {
        self.disabled.contains("*") || self.disabled.contains(plugin)
    }
}

/// The plugins of a profile.
pub(super) fn lower(
    plugins: &Value,
    profile: &At<'_>,
    scheduler_name: &str,
    policies: &[String],
    found: &mut Found,
) -> Profile {
    let at = profile.field("plugins");
    let name_of = |plugin| name_of(plugin, policies);
    let multi = {
        let here = at.field("multiPoint");
        let set = read(&plugins["multiPoint"], &here, None, policies, found);
        merged(&set, &name_of)
    };
    let mut lowered = Profile { scheduler_name: scheduler_name.to_owned(), ..Profile::default() };
    for point in Point::ALL {
        let (key, _) = point.names();
        let here = at.field(key);
        let set = read(&plugins[key], &here, Some(point), policies, found);
        let list = expanded(&multi, &set, point, &name_of);
        let plain = || list.iter().map(|(plugin, _)| *plugin).collect();
        match point {
            Point::PreFilter => lowered.pre_filter = plain(),
            Point::Filter => lowered.filter = plain(),
            Point::PostFilter => lowered.post_filter = plain(),
            Point::PreScore => lowered.pre_score = plain(),
            Point::PreEnqueue => lowered.pre_enqueue = plain(),
            Point::Score => lowered.score = list,
            Point::Reserve | Point::PreBind => usual(&list, point, &lowered, &here, found),
            Point::Bind if list.is_empty() => {
                let message = format!(
                    "at least one bind plugin is needed for profile with scheduler name \
                     {scheduler_name:?}"
                );
                found.add(&here, Reason::Required, message);
            }
            Point::QueueSort if list.is_empty() => {
                let message = format!(
                    "only one queue sort plugin required for profile with scheduler name \
                     {scheduler_name:?}, but got 0"
                );
                found.add(&here, Reason::Required, message);
            }
            Point::Bind | Point::PostBind | Point::Permit | Point::QueueSort => {}
        }
    }
    halves(&lowered, &at, found);
    lowered
}

fn name_of(plugin: Plugin, policies: &[String]) -> &str {
    match plugin {
        Plugin::Custom(number) => policies.get(usize::from(number)).map_or("", String::as_str),
        known => known.as_str(),
    }
}

/// The list of `multiPoint`: the default one with what is written.
fn merged<'a>(set: &Set, name_of: &impl Fn(Plugin) -> &'a str) -> Vec<Entry> {
    let mut rest = set.enabled.clone();
    let mut all = Vec::new();
    for plugin in Plugin::ALL {
        if set.disables(name_of(plugin)) {
            continue;
        }
        match rest.iter().position(|(own, _)| *own == plugin) {
            Some(at) => all.push(rest.remove(at)),
            None => all.push((plugin, Profile::default().weight(plugin).max(1))),
        }
    }
    all.extend(rest);
    all
}

/// The list of one point: first what stands in place of an entry of `multiPoint`, in the order
/// written, then the others of `multiPoint`, then what is written besides.
fn expanded<'a>(
    multi: &[Entry],
    set: &Set,
    point: Point,
    name_of: &impl Fn(Plugin) -> &'a str,
) -> Vec<Entry> {
    if set.disabled.contains("*") {
        return set.enabled.clone();
    }
    let common = |(plugin, _): &&Entry| point.has(*plugin) && !set.disables(name_of(*plugin));
    let common: Vec<Entry> = multi.iter().filter(common).copied().collect();
    let among = |list: &[Entry], plugin| list.iter().any(|(other, _)| *other == plugin);
    let (instead, besides): (Vec<Entry>, Vec<Entry>) =
        set.enabled.iter().partition(|(plugin, _)| among(&common, *plugin));
    let others = common.into_iter().filter(|(plugin, _)| !among(&instead, *plugin));
    let others: Vec<Entry> = others.collect();
    instead.iter().copied().chain(others).chain(besides).collect()
}

/// Reads what is written for a point, or for all of them.
fn read(
    set: &Value,
    at: &At<'_>,
    point: Option<Point>,
    policies: &[String],
    found: &mut Found,
) -> Set {
    let mut lowered = Set::default();
    let list = at.field("disabled");
    for (index, entry) in items(&set["disabled"]).iter().enumerate() {
        let name = text(&entry["name"]);
        let known = named(name, policies).is_some()
            || REMOVED.contains(&name)
            || NOT_MODELLED.contains(&name);
        if !known && name != "*" {
            let here = list.index(index);
            let message = format!("no plugin {name:?} takes part: disabling it changes nothing");
            let problem = found.add(&here.field("name"), Reason::NotModelled, message);
            problem.hint = suggestion(name, policies);
        }
        lowered.disabled.insert(name.to_owned());
    }
    let list = at.field("enabled");
    for (index, entry) in items(&set["enabled"]).iter().enumerate() {
        let here = list.index(index);
        let Some(plugin) = enabled(text(&entry["name"]), point, &here, policies, found) else {
            continue;
        };
        if let Some((_, interface)) = registered(&lowered.enabled, plugin, point) {
            let name = name_of(plugin, policies);
            let message = format!("plugin {name:?} already registered as {interface:?}");
            found.add(&here.field("name"), Reason::Duplicate, message);
            continue;
        }
        let weight = entry["weight"].as_i64().unwrap_or(0);
        let weighs = point.is_none_or(|point| point == Point::Score) && Point::Score.has(plugin);
        if weight != 0 && !weighs {
            let name = name_of(plugin, policies);
            let message =
                format!("the weight of {name} counts nowhere: only score plugins have one");
            found.add(&here.field("weight"), Reason::NotModelled, message);
        } else if weight < 0 {
            let message = format!("with weight {weight} the worst nodes are preferred");
            found.add(&here.field("weight"), Reason::NotModelled, message);
        }
        lowered.enabled.push((plugin, if weight == 0 { 1 } else { weight }));
    }
    lowered
}

/// The plugin, if it exists and can be enabled here.
fn enabled(
    name: &str,
    point: Option<Point>,
    at: &At<'_>,
    policies: &[String],
    found: &mut Found,
) -> Option<Plugin> {
    let at = at.field("name");
    if NOT_MODELLED.contains(&name) {
        let message = format!("{name} is not modelled: pods are placed without it");
        found.add(&at, Reason::NotModelled, message);
        return None;
    }
    if REMOVED.contains(&name) {
        found.invalid_text(&at, name, &removed());
        return None;
    }
    let (_, interface) = point.unwrap_or(Point::PreFilter).names();
    let Some(plugin) = named(name, policies) else {
        let message = format!("{interface} {name:?} does not exist");
        let problem = found.add(&at, Reason::NotFound, message);
        let own = "known are Kubernetes' own plugins and the policies given to the library";
        problem.hint = suggestion(name, policies).or_else(|| Some(own.to_owned()));
        return None;
    };
    if point.is_some_and(|point| !point.has(plugin)) {
        let message = format!("plugin {name:?} does not extend {interface} plugin");
        let problem = found.add(&at, Reason::NotSupported, message);
        let has = |point: &Point| point.has(plugin);
        let keys: Vec<&str> = Point::ALL.into_iter().filter(has).map(|p| p.names().0).collect();
        problem.hint = Some(format!("it has a part in {}", keys.join(", ")));
        return None;
    }
    Some(plugin)
}

/// The point at which a plugin of the list is there already.
fn registered(
    list: &[Entry],
    plugin: Plugin,
    point: Option<Point>,
) -> Option<(&'static str, &'static str)> {
    if !list.iter().any(|(other, _)| *other == plugin) {
        return None;
    }
    let first = || Point::ALL.into_iter().find(|point| point.has(plugin));
    point.or_else(first).map(Point::names)
}

/// Reserving and preparing for binding is as in the default profile.
fn usual(list: &[Entry], point: Point, profile: &Profile, at: &At<'_>, found: &mut Found) {
    let plugin = Plugin::VolumeBinding;
    if profile.filter.contains(&plugin) && !list.iter().any(|(other, _)| *other == plugin) {
        let ((key, _), name) = (point.names(), plugin.as_str());
        let message = format!("{key} without {name} is not modelled: it binds claims all the same");
        found.add(at, Reason::NotModelled, message);
    }
}

/// A plugin that needs what it finds in a first step, and has been denied that step.
fn halves(profile: &Profile, at: &At<'_>, found: &mut Found) {
    let score: Vec<Plugin> = profile.score.iter().map(|(plugin, _)| *plugin).collect();
    let pairs = [
        (Point::Filter, profile.filter.as_slice(), Point::PreFilter, profile.pre_filter.as_slice()),
        (Point::Score, score.as_slice(), Point::PreScore, profile.pre_score.as_slice()),
    ];
    for (point, list, first, prepared) in pairs {
        let ((key, _), (first_key, _)) = (point.names(), first.names());
        for plugin in list.iter().filter(|p| first.has(**p) && !prepared.contains(p)) {
            let name = plugin.as_str();
            let message = format!(
                "{name} in {key} but not in {first_key} is not modelled: it \
                 does as if it were in both"
            );
            found.add(&at.field(first_key), Reason::NotModelled, message);
        }
    }
}
