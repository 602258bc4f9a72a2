//! More nodes for pods that no node takes.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 core/scaleup/orchestrator;
//! processors/nodegroupset/balancing_processor.go (rules A133 to A138, A143 to A146, A154, A155).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Interner, SimTime, cast, go_sort};

use super::cloud::{Cloud, Group};
use super::estimate::{Estimate, PodGroup, estimate, pod_groups};
use super::expander::{Choice, Facts, rule};
use super::snapshot::{Snapshot, Wanted};
use super::templates::{Template, are_similar};
use super::view::{NodeView, View};
use super::{ClusterAutoscaler, ErrorClass, InstanceError, PODS_ARE_NEW};

/// How it came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleUpResult {
    /// The iteration ended before.
    #[default]
    NotTried,
    /// No pod needs a node.
    NotNeeded,
    /// The cluster is as large as it may be (rule A134).
    LimitedByMaxNodesTotal,
    /// All pods are too young (rule A133).
    InCooldown,
    /// No group helps.
    NoOptionsAvailable,
    /// Nodes were asked for.
    Successful,
    /// The cloud refused.
    Error,
}

/// A group that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupIncrease {
    /// Its number.
    pub group: usize,
    /// Its target before.
    pub from: u32,
    /// Its target now.
    pub to: u32,
    /// Its largest size.
    pub max: u32,
}

/// Pods that no group helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Which, by their numbers in the view.
    pub pods: Vec<usize>,
    /// What filters say of the groups, by number.
    pub rejected: BTreeMap<usize, Vec<String>>,
    /// Why groups were not looked at, by number.
    pub skipped: BTreeMap<usize, Vec<String>>,
}

/// One attempt to add nodes.
#[derive(Clone, Debug, Default)]
pub struct ScaleUp {
    /// How it came out.
    pub result: ScaleUpResult,
    /// By group: the pod groups that it takes, and the estimate.
    pub estimates: Vec<(usize, Vec<Vec<usize>>, Estimate)>,
    /// What the expanders chose from.
    pub choices: Vec<Choice>,
    /// The choices that survived each expander.
    pub rounds: Vec<(&'static str, Vec<usize>)>,
    /// The choice.
    pub best: Option<usize>,
    /// The groups that grow.
    pub increases: Vec<GroupIncrease>,
    /// Pods that it is for.
    pub triggered: Vec<usize>,
    /// Pods that another group takes.
    pub awaiting: Vec<usize>,
    /// Pods that no group helps.
    pub remaining: Vec<Remaining>,
    /// Messages.
    pub log: Vec<String>,
    /// Groups that the cloud refused to grow.
    pub failed: Vec<usize>,
    /// What the cloud said to a request that it refused.
    pub error: Option<String>,
}

/// What is at hand while options are weighed.
#[derive(Clone)]
struct Weighing<'b> {
    groups: &'b [Group],
    templates: &'b [Template],
    all: &'b [PodGroup],
    /// Pod groups that each valid group takes.
    takes: BTreeMap<usize, Vec<usize>>,
    errors: Vec<BTreeMap<usize, Vec<String>>>,
    skipped: BTreeMap<usize, Vec<String>>,
    /// Cores and bytes that may still be added.
    left: [i64; 2],
    /// Nodes that are there or come.
    nodes: usize,
}

impl ClusterAutoscaler {
    /// Whether nodes are to be added now, and which.
    pub(super) fn up(
        &mut self,
        view: &View<'_>,
        snapshot: &mut Snapshot<'_>,
        (cloud, templates, pending): (&mut dyn Cloud, &[Template], &[usize]),
        (is_held, names): (&mut bool, &mut Interner),
    ) -> ScaleUp {
        let result = |result| ScaleUp { result, ..ScaleUp::default() };
        let Some(oldest) = pending.iter().map(|at| view.pods[*at].created).min() else {
            return result(ScaleUpResult::NotNeeded);
        };
        let is_ready = |node: &&NodeView| node.is_ready && !node.spec.unschedulable;
        let ready = view.nodes.iter().filter(is_ready).count();
        if self.options.nodes_max > 0 && ready >= self.options.nodes_max {
            return self.too_large(pending);
        }
        if oldest + PODS_ARE_NEW > view.now {
            *is_held = true;
            return result(ScaleUpResult::InCooldown);
        }
        let groups = cloud.groups().to_vec();
        let all = pod_groups(&view.pods, pending);
        let weighing = self.weigh(view, snapshot, (&groups, templates, &all), names);
        self.decide(view, snapshot, (cloud, &weighing), names)
    }

    /// Rule A134.
    fn too_large(&self, pending: &[usize]) -> ScaleUp {
        let all = Remaining {
            pods: pending.to_vec(),
            rejected: BTreeMap::new(),
            skipped: BTreeMap::new(),
        };
        ScaleUp {
            result: ScaleUpResult::LimitedByMaxNodesTotal,
            remaining: vec![all],
            log: vec![self.total_reached()],
            ..ScaleUp::default()
        }
    }

    fn total_reached(&self) -> String {
        let most = self.options.nodes_max;
        format!("MaxNodesTotalReached: Max total nodes in cluster reached: {most}")
    }

    /// Valid groups and the pods that they take (rules A136, A138).
    fn weigh<'b>(
        &self,
        view: &View<'_>,
        snapshot: &mut Snapshot<'_>,
        (groups, templates, all): (&'b [Group], &'b [Template], &'b [PodGroup]),
        names: &mut Interner,
    ) -> Weighing<'b> {
        let upcoming: Vec<usize> =
            (0..groups.len()).map(|group| self.registry.upcoming(group, view.now)).collect();
        let mut left = [self.options.cores_max, self.options.memory_max];
        let sizes = |of: &crate::model::Resources| [cores(of), of.memory.0];
        let mut take = |of: [i64; 2], count: i64| {
            left.iter_mut().zip(of).for_each(|(left, of)| *left -= of * count);
        };
        let counts = |node: &&NodeView| snapshot.nodes.get(node.node).is_some();
        view.nodes.iter().filter(counts).for_each(|node| take(sizes(&node.capacity), 1));
        let coming = templates.iter().zip(&upcoming);
        coming.for_each(|(t, count)| take(sizes(&t.capacity), cast::i64_of(*count)));
        let mut weighing = Weighing {
            groups,
            templates,
            all,
            takes: BTreeMap::new(),
            errors: vec![BTreeMap::new(); all.len()],
            skipped: BTreeMap::new(),
            left,
            nodes: snapshot.nodes.len(),
        };
        for number in 0..groups.len() {
            let unsafe_now = self.unsafe_now(number, view);
            if let Some(why) = unsafe_now.or_else(|| weighing.obstacle(number)) {
                weighing.skipped.insert(number, vec![why]);
                continue;
            }
            weighing.try_all(number, view, snapshot, names);
        }
        weighing
    }

    /// Why a group is not to be asked now (rules A127, A136).
    fn unsafe_now(&self, number: usize, view: &View<'_>) -> Option<String> {
        if !self.registry.is_group_healthy(number, &self.options) {
            return Some("not ready for scale-up".to_owned());
        }
        let is_off = self.registry.is_backed_off(number, view.now);
        is_off.then(|| "in backoff after failed scale-up".to_owned())
    }

    fn decide(
        &mut self,
        view: &View<'_>,
        snapshot: &mut Snapshot<'_>,
        (cloud, weighing): (&mut dyn Cloud, &Weighing<'_>),
        names: &mut Interner,
    ) -> ScaleUp {
        let mut up = ScaleUp::default();
        for (number, taken) in &weighing.takes {
            if taken.is_empty() {
                continue;
            }
            let similar = self.similar(*number, weighing, names);
            let permitted = self.permitted(*number, &similar, weighing);
            let of: Vec<&PodGroup> = taken.iter().map(|at| &weighing.all[*at]).collect();
            let with = (permitted, self.options.is_fast);
            let template = &weighing.templates[*number];
            let found = estimate(snapshot, template, (&view.pods, &of), with, names);
            let pods = found.pods.clone();
            let lists = of.iter().map(|group| group.pods.clone()).collect();
            let nodes = found.nodes;
            up.estimates.push((*number, lists, found));
            if nodes > 0 && !pods.is_empty() {
                up.choices.push(Choice { group: *number, nodes, pods, similar });
            }
        }
        if up.choices.is_empty() {
            up.result = ScaleUpResult::NoOptionsAvailable;
            up.remaining = weighing.remaining();
            return up;
        }
        self.choose(view, weighing, &mut up);
        self.execute(view, (cloud, weighing), names, &mut up);
        up
    }

    fn choose(&self, view: &View<'_>, weighing: &Weighing<'_>, up: &mut ScaleUp) {
        let facts = |choice: &Choice| Facts {
            id: weighing.groups[choice.group].id.as_str(),
            capacity: &weighing.templates[choice.group].capacity,
            price: weighing.groups[choice.group].price_per_hour,
            requests: choice.pods.iter().map(|pod| &view.pods[*pod].info.spec.requests).collect(),
        };
        let facts: Vec<Facts<'_>> = up.choices.iter().map(facts).collect();
        let ruling = rule(&up.choices, &facts, view.nodes.len(), &self.options);
        let last = ruling.rounds.last().map(|(_, left)| left.clone()).unwrap_or_default();
        up.best = last.into_iter().min_by_key(|at| facts[*at].id);
        up.rounds = ruling.rounds;
        up.log.extend(ruling.log);
    }

    /// Groups that are alike and take the same pods (rule A153).
    fn similar(&self, number: usize, weighing: &Weighing<'_>, names: &Interner) -> Vec<usize> {
        if !self.options.balances {
            return Vec::new();
        }
        let own = &weighing.takes[&number];
        let is_similar = |other: &usize| {
            let (a, b) = (&weighing.templates[number], &weighing.templates[*other]);
            *other != number && are_similar(a, b, &self.options, names)
        };
        let covers = |(_, taken): &(&usize, &Vec<usize>)| own.iter().all(|at| taken.contains(at));
        let others = weighing.takes.iter().filter(covers).map(|(number, _)| *number);
        others.filter(is_similar).collect()
    }

    /// How many nodes an estimation may add (rule A143).
    fn permitted(&self, number: usize, similar: &[usize], weighing: &Weighing<'_>) -> usize {
        let room = |at: &usize| {
            let group = &weighing.groups[*at];
            cast::usize_of(group.max.saturating_sub(group.target))
        };
        let mut least: usize = std::iter::once(&number).chain(similar).map(room).sum();
        if self.options.nodes_per_scale_up > 0 {
            least = least.min(self.options.nodes_per_scale_up);
        }
        if self.options.nodes_max > 0 {
            least = least.min(self.options.nodes_max.saturating_sub(weighing.nodes));
        }
        least
    }

    /// Caps, balances and asks the cloud (rules A145, A154).
    fn execute(
        &mut self,
        view: &View<'_>,
        (cloud, weighing): (&mut dyn Cloud, &Weighing<'_>),
        names: &Interner,
        up: &mut ScaleUp,
    ) {
        let Some(choice) = up.best.map(|at| up.choices[at].clone()) else { return };
        let mut nodes = choice.nodes;
        if self.options.nodes_max > 0 && weighing.nodes + nodes > self.options.nodes_max {
            up.log.push(self.total_reached());
            nodes = self.options.nodes_max.saturating_sub(weighing.nodes);
        }
        nodes = nodes.min(weighing.quota(choice.group));
        let mut targets = vec![choice.group];
        targets.extend(self.similar(choice.group, weighing, names));
        up.increases = balance(&targets, weighing.groups, nodes);
        let mut left = weighing.left;
        for grows in &mut up.increases {
            let capacity = &weighing.templates[grows.group].capacity;
            let most = cast::u32_of(within(left, [cores(capacity), capacity.memory.0]));
            grows.to = grows.to.min(grows.from.saturating_add(most));
            let by = i64::from(grows.to - grows.from);
            left = [left[0] - cores(capacity) * by, left[1] - capacity.memory.0 * by];
        }
        up.increases.retain(|grows| grows.to > grows.from);
        up.triggered.clone_from(&choice.pods);
        let increases = up.increases.clone();
        if let Err(group) = self.grow(view.now, cloud, &increases, up) {
            up.increases.clear();
            up.remaining = weighing.without(choice.group).remaining();
            up.failed = vec![group];
            return;
        }
        up.result = ScaleUpResult::Successful;
        self.last_scale_up = Some(view.now);
        up.awaiting = weighing.awaiting(choice.group);
        up.remaining = weighing.remaining();
    }

    /// Asks the cloud group by group; stops at the first that refuses (rules A145, A155).
    fn grow(
        &mut self,
        now: SimTime,
        cloud: &mut dyn Cloud,
        increases: &[GroupIncrease],
        up: &mut ScaleUp,
    ) -> Result<(), usize> {
        for grows in increases {
            let id = cloud.groups()[grows.group].id.clone();
            let (from, to, max) = (grows.from, grows.to, grows.max);
            up.log.push(format!(
                "ScaledUpGroup: Scale-up: setting group {id} size to {to} instead of {from} (max: \
                 {max})"
            ));
            if let Err(why) = cloud.increase(grows.group, to - from) {
                up.log.push(format!("FailedToScaleUpGroup: Scale-up failed for group {id}: {why}"));
                up.result = ScaleUpResult::Error;
                up.error = Some(format!("failed to increase node group size: {why}"));
                let code = "cloudProviderError".to_owned();
                let error = InstanceError { class: ErrorClass::Other, code, message: why };
                self.registry.fail(grows.group, error, now, &self.options);
                return Err(grows.group);
            }
            up.log.push(format!(
                "ScaledUpGroup: Scale-up: group {id} size set to {to} instead of {from} (max: {max})"
            ));
            self.registry.request(grows.group, to - from, now, self.options.provision_time);
            self.grown.insert(grows.group, now);
        }
        Ok(())
    }

    /// Raises groups below their least size (rule A124 (16)).
    pub(super) fn raise_to_min(&mut self, now: SimTime, cloud: &mut dyn Cloud, up: &mut ScaleUp) {
        let is_below = |(_, group): &(usize, &Group)| group.target < group.min;
        let raise = |(number, of): (usize, &Group)| GroupIncrease {
            group: number,
            from: of.target,
            to: of.min,
            max: of.max,
        };
        let groups = cloud.groups().iter().enumerate();
        let increases: Vec<GroupIncrease> = groups.filter(is_below).map(raise).collect();
        up.result = ScaleUpResult::NotNeeded;
        if increases.is_empty() {
            return;
        }
        match self.grow(now, cloud, &increases, up) {
            Ok(()) => {
                up.result = ScaleUpResult::Successful;
                self.last_scale_up = Some(now);
                up.increases.extend(increases);
            }
            Err(group) => up.failed = vec![group],
        }
    }
}

/// Whole cores, rounded up.
pub(super) fn cores(of: &crate::model::Resources) -> i64 {
    of.cpu.0.div_euclid(1_000) + i64::from(of.cpu.0.rem_euclid(1_000) > 0)
}

/// How many nodes of this size there is room for.
fn within(left: [i64; 2], size: [i64; 2]) -> usize {
    let most = left.iter().zip(size).filter(|(_, size)| *size > 0).map(|(left, size)| left / size);
    cast::usize_of_i64(most.min().unwrap_or(0)).min(cast::usize_of(u32::MAX))
}

/// New nodes one by one to the smallest group (rule A154).
fn balance(targets: &[usize], groups: &[Group], mut nodes: usize) -> Vec<GroupIncrease> {
    let of = |number: &usize| {
        let (group, at) = (*number, &groups[*number]);
        GroupIncrease { group, from: at.target, to: at.target, max: at.max }
    };
    let mut all: Vec<GroupIncrease> =
        targets.iter().map(of).filter(|grows| grows.from < grows.max).collect();
    let room: usize = all.iter().map(|grows| cast::usize_of(grows.max - grows.from)).sum();
    nodes = nodes.min(room);
    go_sort::sort(&mut all, |a, b| a.from < b.from);
    let (mut first, mut at) = (0, 0);
    while nodes > 0 {
        let now = all[at];
        if now.to < now.max {
            all[at].to += 1;
            nodes -= 1;
        } else {
            all.swap(first, at);
            first += 1;
        }
        let has_smaller = at + 1 < all.len() && all[at].to > all[at + 1].to;
        at = if has_smaller { at + 1 } else { first };
    }
    all.retain(|grows| grows.to > grows.from);
    all
}

impl Weighing<'_> {
    /// Why a group cannot grow at all (rule A136).
    fn obstacle(&self, number: usize) -> Option<String> {
        let (group, of) = (&self.groups[number], &self.templates[number].capacity);
        if group.target >= group.max {
            return Some("max node group size reached".to_owned());
        }
        let mut exceeded = Vec::new();
        if cores(of) > self.left[0] {
            exceeded.push("cpu");
        }
        if of.memory.0 > self.left[1] {
            exceeded.push("memory");
        }
        let text = || {
            let list = exceeded.join(", ");
            format!("exceeded quota: \"cluster-wide\", resources: {list}")
        };
        (!exceeded.is_empty()).then(text)
    }

    fn quota(&self, number: usize) -> usize {
        let of = &self.templates[number].capacity;
        within(self.left, [cores(of), of.memory.0])
    }

    /// Which pod groups a node of the group takes.
    fn try_all(
        &mut self,
        number: usize,
        view: &View<'_>,
        snapshot: &mut Snapshot<'_>,
        names: &mut Interner,
    ) {
        let template = &self.templates[number];
        let before = snapshot.point();
        let node = snapshot.imagine(template.node(&template.name, names));
        let mut taken = Vec::new();
        for (at, group) in self.all.iter().enumerate() {
            let pod = &view.pods[group.pods[0]];
            let of = Wanted { pod: pod.pod, info: Arc::clone(&pod.info) };
            match snapshot.check(&of, node, names) {
                Ok(()) => taken.push(at),
                Err(why) => {
                    let reasons = why.map(|why| {
                        why.reasons.iter().map(|reason| reason.text(names)).collect::<Vec<_>>()
                    });
                    self.errors[at].insert(number, reasons.unwrap_or_default());
                }
            }
        }
        snapshot.back_to(before);
        self.takes.insert(number, taken);
    }

    /// As if the group took no pod, since it could not grow.
    fn without(&self, best: usize) -> Self {
        let mut left = self.clone();
        for at in left.takes.insert(best, Vec::new()).unwrap_or_default() {
            left.errors[at].insert(best, vec!["scale-up execution failed".to_owned()]);
        }
        left
    }

    fn is_taken(&self, at: usize) -> bool {
        self.takes.values().any(|taken| taken.contains(&at))
    }

    fn awaiting(&self, best: usize) -> Vec<usize> {
        let waits =
            |(at, _): &(usize, &PodGroup)| self.is_taken(*at) && !self.takes[&best].contains(at);
        let groups = self.all.iter().enumerate().filter(waits);
        groups.flat_map(|(_, group)| group.pods.iter().copied()).collect()
    }

    fn remaining(&self) -> Vec<Remaining> {
        let mut all: Vec<Remaining> = Vec::new();
        for (at, group) in self.all.iter().enumerate().filter(|(at, _)| !self.is_taken(*at)) {
            let (rejected, skipped) = (self.errors[at].clone(), self.skipped.clone());
            match all.iter_mut().find(|r| r.rejected == rejected) {
                Some(same) => same.pods.extend(&group.pods),
                None => all.push(Remaining { pods: group.pods.clone(), rejected, skipped }),
            }
        }
        all
    }
}
