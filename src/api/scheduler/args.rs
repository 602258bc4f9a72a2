//! Arguments of the plugins.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/apis/config/v1/defaults.go and
//! pkg/scheduler/apis/config/validation/validation_pluginargs.go (rules S72, S89, S93, S104, S176).

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::node_selector::{NodeRules, faults};
use super::super::problem::{At, Found, Reason};
use super::super::read::{is_set, items, text};
use super::super::{names as syntax, schema};
use super::{VERSION, span};
use crate::base::{Interner, Symbol};
use crate::model::{DefaultSpread, Plugin, PluginArgs, Resource, Scoring};

const STRATEGIES: [&str; 3] = ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];
const SHAPE_OFF: &str =
    "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring";

/// Reads the arguments of one plugin.
pub(super) struct Reader<'a> {
    /// Where they are.
    pub at: &'a At<'a>,
    /// The arguments as written.
    pub args: &'a Value,
    pub names: &'a mut Interner,
    pub found: &'a mut Found,
}

impl Reader<'_> {
    pub(super) fn read(&mut self, plugin: Plugin, to: &mut PluginArgs) {
        if !is_set(self.args) || !self.is_of(plugin) {
            return;
        }
        match plugin {
            Plugin::NodeResourcesFit => self.resources_fit(to),
            Plugin::NodeResourcesBalancedAllocation => self.balanced(to),
            Plugin::NodeAffinity => self.node_affinity(to),
            Plugin::InterPodAffinity => self.inter_pod_affinity(to),
            Plugin::PodTopologySpread => self.spread(to),
            Plugin::DefaultPreemption => self.preemption(to),
            Plugin::VolumeBinding => self.volume_binding(to),
            _ => {}
        }
    }

    /// Whether they are arguments of this plugin at all, by kind and fields.
    fn is_of(&mut self, plugin: Plugin) -> bool {
        let kind = format!("{}Args", plugin.as_str());
        let Some(fields) = schema::type_named(&kind) else {
            let message = format!("{} takes no arguments: nobody reads them", plugin.as_str());
            self.found.add(self.at, Reason::NotModelled, message);
            return false;
        };
        let (given, version) = (text(&self.args["kind"]), text(&self.args["apiVersion"]));
        let wrong_kind = !given.is_empty() && given != kind;
        if wrong_kind || !version.is_empty() && version != VERSION {
            let (group, given_group) = (super::SCHEDULER_GROUP, version.split('/').next());
            let message = format!(
                "args for plugin {} were not of type {kind}.{group}, got {}.{}",
                plugin.as_str(),
                if given.is_empty() { &kind } else { given },
                given_group.filter(|group| !group.is_empty()).unwrap_or(group),
            );
            let field = if wrong_kind { "kind" } else { "apiVersion" };
            let problem = self.found.add(&self.at.field(field), Reason::Invalid, message);
            problem.hint = Some(format!("write apiVersion: {VERSION}, kind: {kind}"));
            return false;
        }
        schema::check_type(fields, self.args, self.at, self.found);
        self.args.is_object()
    }

    /// A number with its default, checked against a range.
    fn number(&mut self, field: &str, usual: i64, to: i64, range: &str) -> i64 {
        let number = self.args[field].as_i64().unwrap_or(usual);
        if !(0..=to).contains(&number) {
            self.found.invalid(&self.at.field(field), &number, range);
        }
        number
    }

    fn resources_fit(&mut self, to: &mut PluginArgs) {
        let list = self.at.field("ignoredResources");
        for (index, name) in items(&self.args["ignoredResources"]).iter().enumerate() {
            self.name(text(name), &list.index(index));
            to.ignored_resources.push(self.names.intern(text(name)));
        }
        let list = self.at.field("ignoredResourceGroups");
        for (index, group) in items(&self.args["ignoredResourceGroups"]).iter().enumerate() {
            let (group, here) = (text(group), list.index(index));
            if group.contains('/') {
                let why = "resource group name can't contain '/'";
                self.found.invalid_text(&here, group, why);
            } else {
                self.name(group, &here);
            }
            to.ignored_groups.push(group.to_owned());
        }
        let strategy = &self.args["scoringStrategy"];
        if is_set(strategy) {
            self.strategy(strategy, to);
        }
    }

    fn strategy(&mut self, strategy: &Value, to: &mut PluginArgs) {
        let at = self.at.field("scoringStrategy");
        let word = text(&strategy["type"]);
        if !STRATEGIES.contains(&word) {
            self.found.not_supported(&at.field("type"), word, &STRATEGIES);
            let close = crate::tree::closest(word, STRATEGIES);
            let hint = close.map(|close| format!("did you mean \"{close}\"?"));
            self.found.0.last_mut().expect("just added").hint = hint;
        }
        let resources = items(&strategy["resources"]);
        if !resources.is_empty() {
            to.fit_resources = self.weighted(resources, &at.field("resources"));
        }
        let (curve, here) =
            (&strategy["requestedToCapacityRatio"], at.field("requestedToCapacityRatio"));
        match (word, is_set(curve)) {
            ("RequestedToCapacityRatio", true) => {
                let shape = self.shape(&curve["shape"], &here.field("shape"));
                to.scoring = Scoring::RequestedToCapacityRatio(shape);
            }
            ("RequestedToCapacityRatio", false) => {
                let why = "must be specified when type is RequestedToCapacityRatio";
                self.found.required(&here, why);
            }
            (_, true) => {
                let why = "must be nil when type is not RequestedToCapacityRatio";
                self.found.forbidden(&here, why);
            }
            ("MostAllocated", false) => to.scoring = Scoring::MostAllocated,
            _ => to.scoring = Scoring::LeastAllocated,
        }
    }

    fn weighted(&mut self, list: &[Value], at: &At<'_>) -> Vec<(Resource, i64)> {
        let mut all = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let name = text(&entry["name"]);
            let weight = entry["weight"].as_i64().filter(|weight| *weight != 0).unwrap_or(1);
            if !(1..=100).contains(&weight) {
                let why = format!("resource weight of {name} not in valid range (0, 100]");
                let here = at.index(index);
                self.found.invalid(&here.field("weight"), &weight, &why);
            }
            all.push((self.resource(name), weight));
        }
        all
    }

    fn shape(&mut self, shape: &Value, at: &At<'_>) -> Vec<(i64, i64)> {
        let number = |value: &Value| value.as_i64().unwrap_or(0);
        let points: Vec<(i64, i64)> = (items(shape).iter())
            .map(|point| (number(&point["utilization"]), number(&point["score"])))
            .collect();
        if points.is_empty() {
            self.found.required(at, "at least one point must be specified");
        }
        let unsorted = points.windows(2).position(|pair| pair[0].0 >= pair[1].0);
        if let Some(index) = unsorted.map(|before| before + 1) {
            let why = "values must be sorted in increasing order";
            let here = at.index(index);
            self.found.invalid(&here.field("utilization"), &points[index].0, why);
        }
        for (index, (utilization, score)) in points.iter().enumerate() {
            let here = at.index(index);
            if !(0..=100).contains(utilization) {
                let here = here.field("utilization");
                self.found.invalid(&here, utilization, "not in valid range [0, 100]");
            }
            if !(0..=10).contains(score) {
                self.found.invalid(&here.field("score"), score, "not in valid range [0, 10]");
            }
        }
        points
    }

    fn balanced(&mut self, to: &mut PluginArgs) {
        let list = items(&self.args["resources"]);
        let at = self.at.field("resources");
        let (mut seen, mut resources) = (BTreeSet::new(), Vec::new());
        for (index, entry) in list.iter().enumerate() {
            let (name, here) = (text(&entry["name"]), at.index(index));
            if !seen.insert(name) {
                self.found.duplicate(&here.field("name"), &format!("{name:?}"));
            }
            let weight = entry["weight"].as_i64().unwrap_or(0);
            if !matches!(weight, 0 | 1) {
                self.found.invalid(&here.field("weight"), &weight, "must be 1");
            }
            resources.push(self.resource(name));
        }
        if !resources.is_empty() {
            to.balanced_resources = resources;
        }
    }

    fn node_affinity(&mut self, to: &mut PluginArgs) {
        let added = &self.args["addedAffinity"];
        if !is_set(added) {
            return;
        }
        for (path, message) in faults(added) {
            let at = self.at.field("addedAffinity");
            let message = message.replacen("Unsupported", "unsupported", 1);
            self.found.add(
                &at.field(&path),
                Reason::Invalid,
                message.replacen("Invalid", "invalid", 1),
            );
        }
        let rules = NodeRules::lower(&Value::Null, added, self.names);
        to.added_affinity = Some(rules.affinity);
    }

    fn inter_pod_affinity(&mut self, to: &mut PluginArgs) {
        let weight = self.number("hardPodAffinityWeight", 1, 100, "not in valid range [0, 100]");
        to.hard_pod_affinity_weight = i32::try_from(weight).unwrap_or(1);
        to.ignores_preferred_of_existing = self.args["ignorePreferredTermsOfExistingPods"] == true;
    }

    fn preemption(&mut self, to: &mut PluginArgs) {
        let (share, least) = ("minCandidateNodesPercentage", "minCandidateNodesAbsolute");
        to.candidates_percentage = self.number(share, 10, 100, "not in valid range [0, 100]");
        to.candidates_absolute = self.number(least, 100, i64::MAX, "not in valid range [0, inf)");
        if to.candidates_percentage == 0 && to.candidates_absolute == 0 {
            for (field, other) in [(share, least), (least, share)] {
                let why = format!("cannot be zero at the same time as {other}");
                self.found.invalid(&self.at.field(field), &0, &why);
            }
        }
    }

    fn volume_binding(&mut self, to: &mut PluginArgs) {
        let why = "invalid BindTimeoutSeconds, should not be a negative value";
        let seconds = self.number("bindTimeoutSeconds", 600, i64::MAX, why);
        to.volume_bind_timeout = span(seconds);
        if is_set(&self.args["shape"]) {
            self.found.invalid(&self.at.field("shape"), &self.args["shape"], SHAPE_OFF);
        }
    }

    fn spread(&mut self, to: &mut PluginArgs) {
        let list = &self.args["defaultConstraints"];
        let at = self.at.field("defaultingType");
        let word = match text(&self.args["defaultingType"]) {
            "" => "System",
            word => word,
        };
        match word {
            "List" => {}
            "System" if items(list).is_empty() => {}
            "System" => {
                let why = "when .defaultConstraints are not empty";
                self.found.invalid_text(&at, word, why);
                let hint = Some("write defaultingType: List".to_owned());
                self.found.0.last_mut().expect("just added").hint = hint;
            }
            other => self.found.not_supported(&at, other, &["System", "List"]),
        }
        let at = self.at.field("defaultConstraints");
        let mut seen = BTreeSet::new();
        for (index, constraint) in items(list).iter().enumerate() {
            self.constraint(constraint, &at.index(index), &mut seen);
        }
        if word == "List" {
            let constraints = super::super::lower::lower_spread(list, self.names);
            to.default_spread = DefaultSpread::List(constraints);
        }
    }

    fn constraint<'v>(
        &mut self,
        constraint: &'v Value,
        at: &At<'_>,
        seen: &mut BTreeSet<(&'v str, &'v str)>,
    ) {
        let skew = constraint["maxSkew"].as_i64().unwrap_or(0);
        if skew <= 0 {
            self.found.invalid(&at.field("maxSkew"), &skew, "not in valid range (0, inf)");
        }
        let key = text(&constraint["topologyKey"]);
        if key.is_empty() {
            self.found.required(&at.field("topologyKey"), "can not be empty");
        } else {
            self.name(key, &at.field("topologyKey"));
        }
        let (when, here) = (text(&constraint["whenUnsatisfiable"]), at.field("whenUnsatisfiable"));
        match when {
            "DoNotSchedule" | "ScheduleAnyway" => {}
            "" => self.found.required(&here, "can not be empty"),
            other => self.found.not_supported(&here, other, &["DoNotSchedule", "ScheduleAnyway"]),
        }
        if is_set(&constraint["labelSelector"]) {
            let why = "constraint must not define a selector, as they deduced for each pod";
            self.found.forbidden(&at.field("labelSelector"), why);
        }
        if !seen.insert((key, when)) {
            self.found.duplicate(at, &format!("\"{{{key}, {when}}}\""));
        }
    }

    /// The name of a resource or label.
    fn name(&mut self, name: &str, at: &At<'_>) {
        for why in syntax::qualified_name(name) {
            self.found.invalid_text(at, name, &why);
        }
    }

    fn resource(&mut self, name: &str) -> Resource {
        let scalar = |symbol: Symbol| Resource::Scalar(symbol);
        match name {
            "cpu" => Resource::Cpu,
            "memory" => Resource::Memory,
            "ephemeral-storage" => Resource::EphemeralStorage,
            other => scalar(self.names.intern(other)),
        }
    }
}
