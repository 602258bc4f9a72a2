//! What is known of the cloud's promises: requests under way, failures, instances without nodes.
//!
//! ```text
//! nodes + instances ─► readiness ─► ranges ─► requests done or late ─► creation errors ─► sizes
//! ```
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 clusterstate/clusterstate.go,
//! utils/backoff/exponential_backoff.go (rules A126 to A128, A155 to A158, A184).

use std::collections::{BTreeMap, BTreeSet};

use crate::base::go_time::format_go_duration;
use crate::base::{Duration, LookupSet, SimTime, Symbol, cast};

use super::Options;
use super::cloud::{Cloud, ErrorClass, Group, Instance, InstanceError};
use super::view::View;

/// How long lists of instances are taken as they were (rule A184).
const INSTANCES_KEPT: Duration = Duration::mins(2);

/// What was asked of the cloud for a group and has not come yet (rule A155).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// So many nodes.
    pub increase: u32,
    /// When it was asked, or asked for more.
    pub since: SimTime,
    /// When it has failed.
    pub deadline: SimTime,
}

/// A group that is not asked for nodes for a while (rule A158).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedOff {
    /// Its number.
    pub group: usize,
    /// Until when.
    pub until: SimTime,
    /// Why.
    pub error: InstanceError,
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    duration: Duration,
    until: SimTime,
    failed: SimTime,
}

/// How many nodes of a group, or of all, are how (rule A126).
#[derive(Clone, Debug, Default)]
struct Readiness {
    ready: usize,
    unready: usize,
    not_started: Vec<Symbol>,
    registered: usize,
    unregistered: usize,
    long_unregistered: usize,
}

impl Readiness {
    const fn is_known(&self) -> bool {
        self.registered + self.unregistered + self.long_unregistered > 0
    }

    /// Nodes that are not on their way any more, for good or ill.
    const fn settled(&self) -> usize {
        self.ready + self.unready + self.long_unregistered
    }
}

/// A target size that does not come true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mismatch {
    registered: usize,
    target: usize,
    since: SimTime,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) requests: BTreeMap<usize, Request>,
    backoffs: BTreeMap<usize, Backoff>,
    /// Instances without a node: the group, and since when.
    unregistered: BTreeMap<Symbol, (usize, SimTime)>,
    mismatches: BTreeMap<usize, Mismatch>,
    by_group: Vec<Readiness>,
    all: Readiness,
    nodes: usize,
    targets: Vec<usize>,
    instances: Vec<Vec<Instance>>,
    /// Lists of instances as they were when last asked for.
    kept: BTreeMap<usize, Vec<Instance>>,
    refreshed: Option<SimTime>,
    /// Groups that were backed off in this iteration.
    pub(super) backed_off: Vec<BackedOff>,
    pub(super) log: Vec<String>,
}

impl Registry {
    /// Rule A124 (7).
    pub(super) fn update(&mut self, view: &View<'_>, cloud: &mut dyn Cloud, options: &Options) {
        self.backed_off.clear();
        self.log.clear();
        let groups = cloud.groups().to_vec();
        let before = std::mem::take(&mut self.instances);
        self.read_instances(view.now, cloud, groups.len());
        self.match_nodes(view);
        self.count(view, cloud, options, groups.len());
        self.targets = groups.iter().map(|group| cast::usize_of(group.target)).collect();
        self.settle_requests(view.now, (cloud, &groups), options);
        self.note_errors(&groups, &before, view.now, options);
        self.compare_sizes(view.now);
    }

    /// Whether nothing is under way and nothing is amiss.
    pub(super) fn is_settled(&self) -> bool {
        let is_plain = |instance: &Instance| instance.error.is_none() && !instance.is_deleting;
        self.requests.is_empty()
            && self.backoffs.is_empty()
            && self.unregistered.is_empty()
            && self.mismatches.is_empty()
            && self.instances.iter().flatten().all(is_plain)
    }

    /// Lists of instances, which are as they were, count as read at this instant.
    pub(super) const fn refresh(&mut self, now: SimTime) {
        self.refreshed = Some(now);
    }

    /// Whether lists of instances were read anew by an iteration at this instant.
    pub(super) fn would_read(&self, now: SimTime) -> bool {
        let tick = |at: SimTime| at.as_nanos() / INSTANCES_KEPT.as_nanos();
        self.refreshed.is_none_or(|last| tick(last) < tick(now))
    }

    /// Looks at the target sizes again.
    pub(super) fn recalculate(&mut self, groups: &[Group]) {
        self.targets = groups.iter().map(|group| cast::usize_of(group.target)).collect();
    }

    /// Lets a list of instances be asked for anew.
    pub(super) fn forget_instances(&mut self, group: usize) {
        self.kept.remove(&group);
    }

    fn read_instances(&mut self, now: SimTime, cloud: &dyn Cloud, count: usize) {
        if self.would_read(now) {
            self.kept.clear();
        }
        self.refreshed = Some(now);
        for group in 0..count {
            if self.is_scaling_up(group) {
                self.kept.remove(&group);
            }
        }
        let list = |group| self.kept.entry(group).or_insert_with(|| cloud.instances(group)).clone();
        self.instances = (0..count).map(list).collect();
    }

    fn match_nodes(&mut self, view: &View<'_>) {
        let mut registered = LookupSet::new();
        for node in &view.nodes {
            registered.insert(node.spec.name);
        }
        let before = std::mem::take(&mut self.unregistered);
        for (group, instances) in self.instances.iter().enumerate() {
            for instance in instances {
                let is_expected = !instance.is_deleting && instance.error.is_none();
                if is_expected && !registered.contains(&instance.name) {
                    let since = before.get(&instance.name).map_or(view.now, |(_, since)| *since);
                    self.unregistered.insert(instance.name, (group, since));
                }
            }
        }
    }

    /// Rule A126.
    fn count(&mut self, view: &View<'_>, cloud: &dyn Cloud, options: &Options, count: usize) {
        let mut by_group = vec![Readiness::default(); count];
        let mut all = Readiness::default();
        for node in &view.nodes {
            let is_there = cloud.has_instance(node.spec.name, node.group);
            let of_group = node.group.and_then(|group| by_group.get_mut(group));
            for of in of_group.into_iter().chain([&mut all]) {
                of.registered += 1;
                if !is_there {
                    continue;
                }
                if node.is_ready {
                    of.ready += 1;
                } else if node.created + options.startup_time > view.now {
                    of.not_started.push(node.spec.name);
                } else {
                    of.unready += 1;
                }
            }
        }
        for (group, since) in self.unregistered.values() {
            let is_long = *since + options.provision_time < view.now;
            for of in by_group.get_mut(*group).into_iter().chain([&mut all]) {
                if is_long {
                    of.long_unregistered += 1;
                } else {
                    of.unregistered += 1;
                }
            }
        }
        (self.by_group, self.all, self.nodes) = (by_group, all, view.nodes.len());
    }

    /// Requests that are done, and those that are late (rules A155, A156).
    fn settle_requests(
        &mut self,
        now: SimTime,
        (cloud, groups): (&mut dyn Cloud, &[Group]),
        options: &Options,
    ) {
        self.backoffs.retain(|_, backoff| backoff.failed + options.backoff_reset >= now);
        for (group, request) in self.requests.clone() {
            if !self.is_short(group) {
                self.requests.remove(&group);
                self.backoffs.remove(&group);
            } else if request.deadline < now {
                let id = &groups[group].id;
                let span = (now - request.since).as_nanos();
                let span = format_go_duration(i64::try_from(span).unwrap_or(i64::MAX));
                self.log.push(format!(
                    "ScaleUpTimedOut: Nodes added to group {id} failed to register within {span}"
                ));
                let message = format!("Scale-up timed out for node group {id} after {span}");
                let code = "timeout".to_owned();
                let error = InstanceError { class: ErrorClass::Other, code, message };
                self.fail(group, error, now, options);
                self.requests.remove(&group);
                match cloud.decrease_target(group, request.increase) {
                    Ok(()) => self.recalculate(cloud.groups()),
                    Err(why) => self.log.push(format!(
                        "FailedToRevertScaleUp: Failed to decrease target size for group {id} \
                         after scale-up timeout: {why}"
                    )),
                }
            }
        }
    }

    /// Rule A157.
    fn note_errors(
        &mut self,
        groups: &[Group],
        before: &[Vec<Instance>],
        now: SimTime,
        options: &Options,
    ) {
        for (number, group) in groups.iter().enumerate() {
            if self.instances[number].iter().all(|instance| instance.error.is_none()) {
                continue;
            }
            let known: BTreeSet<Symbol> = before
                .get(number)
                .into_iter()
                .flatten()
                .filter(|instance| instance.error.is_some())
                .map(|instance| instance.name)
                .collect();
            let mut unseen: BTreeMap<(ErrorClass, String), (u32, BTreeSet<String>)> =
                BTreeMap::new();
            for instance in &self.instances[number] {
                let Some(error) = &instance.error else { continue };
                let of = unseen.entry((error.class, error.code.clone())).or_default();
                of.0 += u32::from(!known.contains(&instance.name));
                of.1.insert(error.message.clone());
            }
            for ((class, code), (count, messages)) in unseen {
                if count == 0 || !self.is_scaling_up(number) {
                    continue;
                }
                let text = messages.into_iter().collect::<Vec<_>>().join(", ");
                self.log.push(format!(
                    "ScaleUpFailed: Failed adding {count} nodes to group {} due to {}.{code}; \
                     source errors: {text}",
                    group.id,
                    class.name()
                ));
                self.take_back(number, count);
                let error = InstanceError { class, code, message: text };
                self.fail(number, error, now, options);
            }
        }
    }

    fn take_back(&mut self, group: usize, count: u32) {
        if let Some(request) = self.requests.get_mut(&group) {
            request.increase = request.increase.saturating_sub(count);
            if request.increase == 0 {
                self.requests.remove(&group);
            }
        }
    }

    /// Targets that have not come true (rule A156).
    fn compare_sizes(&mut self, now: SimTime) {
        let before = std::mem::take(&mut self.mismatches);
        for (group, of) in self.by_group.iter().enumerate() {
            let target = self.targets[group];
            let missing = of.unregistered + of.long_unregistered;
            if !of.is_known() || (of.registered <= target && of.registered + missing >= target) {
                continue;
            }
            let found = Mismatch { registered: of.registered, target, since: now };
            let same = before
                .get(&group)
                .filter(|old| (old.registered, old.target) == (found.registered, found.target));
            self.mismatches.insert(group, same.copied().unwrap_or(found));
        }
    }

    /// Notes that a group was asked for more (rule A155).
    pub(super) fn request(&mut self, group: usize, increase: u32, now: SimTime, span: Duration) {
        let first = Request { increase: 0, since: now, deadline: now };
        let request = self.requests.entry(group).or_insert(first);
        request.increase += increase;
        (request.since, request.deadline) = (now, now + span);
    }

    /// Backs a group off (rule A158).
    pub(super) fn fail(
        &mut self,
        group: usize,
        error: InstanceError,
        now: SimTime,
        options: &Options,
    ) {
        let duration = match self.backoffs.get(&group) {
            None => options.backoff_first,
            Some(old) if old.until < now => {
                Duration::ns(old.duration.as_nanos().saturating_mul(2)).min(options.backoff_max)
            }
            Some(old) => old.duration,
        };
        let until = now + duration;
        self.backoffs.insert(group, Backoff { duration, until, failed: now });
        self.backed_off.push(BackedOff { group, until, error });
    }

    pub(super) fn is_backed_off(&self, group: usize, now: SimTime) -> bool {
        self.backoffs.get(&group).is_some_and(|backoff| backoff.until >= now)
    }

    /// Fewer nodes than the target.
    fn is_short(&self, group: usize) -> bool {
        let target = self.targets.get(group).copied().unwrap_or(0);
        let settled = self.by_group.get(group).map_or(0, Readiness::settled);
        target > settled
    }

    fn is_scaling_up(&self, group: usize) -> bool {
        self.requests.contains_key(&group) && self.is_short(group)
    }

    /// Rule A127.
    pub(super) fn is_healthy(&self, options: &Options) -> bool {
        !is_too_much(self.all.unready, self.nodes, options)
    }

    /// Rule A127.
    pub(super) fn is_group_healthy(&self, group: usize, options: &Options) -> bool {
        let Some(of) = self.by_group.get(group) else { return true };
        let asked = self.requests.get(&group).map_or(0, |request| request.increase);
        let there = cast::usize_of(asked) + of.long_unregistered;
        let target = self.targets[group];
        if !of.is_known() {
            return target == 0 || target == there;
        }
        let due = target.saturating_sub(there);
        let started = of.ready + of.unready + of.not_started.len();
        !is_too_much(due.saturating_sub(of.ready), started, options)
    }

    /// How many nodes of a group are on their way (rule A128).
    pub(super) fn upcoming(&self, group: usize, now: SimTime) -> usize {
        let Some(of) = self.by_group.get(group) else { return 0 };
        if !self.requests.contains_key(&group) || self.is_backed_off(group, now) {
            return 0;
        }
        self.targets[group].saturating_sub(of.settled())
    }

    /// The nodes of a group that are there but not ready yet.
    pub(super) fn not_started(&self, group: usize) -> &[Symbol] {
        self.by_group.get(group).map_or(&[], |of| of.not_started.as_slice())
    }

    /// Instances whose nodes should have come by now, by group.
    pub(super) fn lost(&self, now: SimTime, options: &Options) -> BTreeMap<usize, Vec<Symbol>> {
        let mut by_group: BTreeMap<usize, Vec<Symbol>> = BTreeMap::new();
        for (group, instances) in self.instances.iter().enumerate() {
            let is_lost = |instance: &&Instance| {
                let since = self.unregistered.get(&instance.name);
                since.is_some_and(|(_, since)| *since + options.provision_time < now)
            };
            let of: Vec<Symbol> = instances.iter().filter(is_lost).map(|i| i.name).collect();
            if !of.is_empty() {
                by_group.insert(group, of);
            }
        }
        by_group
    }

    /// Instances that could not be made, by group.
    pub(super) fn broken(&self) -> Vec<(usize, Vec<Symbol>)> {
        let of = |instances: &Vec<Instance>| -> Vec<Symbol> {
            let broken = |i: &&Instance| i.error.is_some() && !i.is_deleting;
            instances.iter().filter(broken).map(|instance| instance.name).collect()
        };
        let all = self.instances.iter().map(of).enumerate();
        all.filter(|(_, broken)| !broken.is_empty()).collect()
    }

    /// Groups whose target has not come true for too long, and by how much (rule A156).
    pub(super) fn too_large(&self, now: SimTime, options: &Options) -> Vec<(usize, u32)> {
        let is_old = |of: &Mismatch| of.since + options.provision_time < now;
        let of = self.mismatches.iter().filter(|(_, of)| is_old(of));
        of.filter(|(_, of)| of.target > of.registered)
            .map(|(group, of)| (*group, cast::u32_of(of.target - of.registered)))
            .collect()
    }
}

/// More unready nodes than are taken for normal (rule A127).
fn is_too_much(unready: usize, nodes: usize, options: &Options) -> bool {
    let share = options.unready_percentage / 100.0 * cast::f64_of_usize(nodes);
    unready > options.unready_count && cast::f64_of_usize(unready) > share
}
