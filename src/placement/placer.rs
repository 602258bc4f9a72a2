//! The placer: nodes, classes and their columns together; asked for one decision after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{IdVec, Interner, Symbol, cast};
use crate::model::{NodeId, NodeSpec, Plugin, PodRef, Profile, SchedulerSettings, Scoring};

use super::catalog::Catalog;
use super::classes::{Class, ClassId, Classes};
use super::columns::{Choice, Columns, Reader, Weights, filter};
use super::failure::{Failure, FitError};
use super::fellows::Fellows;
use super::nodes::Nodes;
use super::nominator::Nominator;
use super::plain;
use super::pod_info::{Applicant, PlacedPod, PodInfo};
use super::select::{feasible_max, next_start};
use super::social::{self, Asked, Judge, Plan, Room};
use super::verdict::Rejection;
use super::walk;
use super::world::{Policy, World};

/// What all columns together may take, in bytes; beyond it they are made anew when needed.
const COLUMNS_MAX: usize = 48 << 20;

/// The greatest weight that columns count with: the scores of a node alone are kept in 16 bits.
const WEIGHT_MAX: i64 = 160;

/// Decides where pods go, one after another, and keeps what it needs for that.
#[derive(Clone, Debug)]
pub struct Placer {
    nodes: Nodes,
    catalog: Catalog,
    nominator: Nominator,
    settings: SchedulerSettings,
    policies: Vec<Arc<dyn Policy>>,
    weights: Vec<Weights>,
    /// Whether the columns do not know all that a profile's plugins read.
    are_plain: Vec<bool>,
    classes: Classes,
    columns: IdVec<ClassId, Option<Box<Columns>>>,
    columns_made: usize,
    /// Where the log of changes ended when each class was asked about last.
    asked: IdVec<ClassId, u64>,
    room: Room,
    fellows: Fellows,
    plans: IdVec<ClassId, Plan>,
    /// Counts the changes of other objects, and of nodes that make plans anew.
    catalog_version: u64,
    /// How many pods on nodes have each priority.
    priorities: BTreeMap<i32, u32>,
    start: usize,
}

/// Where a pod goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To a node.
    Placed {
        /// Which.
        node: NodeId,
        /// How many nodes were found that take it.
        feasible: u32,
    },
    /// Nowhere.
    Failed(Failure),
}

/// The world of a profile, of fields that are not borrowed otherwise.
macro_rules! world {
    ($self:ident, $profile:expr, $names:expr) => {
        World {
            nodes: &$self.nodes,
            catalog: &$self.catalog,
            nominator: &$self.nominator,
            profile: &$self.settings.profiles[$profile],
            percentage: $self.settings.percentage_of(&$self.settings.profiles[$profile]),
            policies: &$self.policies,
            names: $names,
        }
    };
}

impl Placer {
    /// Without nodes.
    #[must_use]
    pub fn new(settings: &SchedulerSettings) -> Self {
        Self {
            nodes: Nodes::new(),
            catalog: Catalog::default(),
            nominator: Nominator::default(),
            settings: settings.clone(),
            policies: Vec::new(),
            weights: settings.profiles.iter().map(Weights::of).collect(),
            are_plain: settings.profiles.iter().map(is_plain).collect(),
            classes: Classes::default(),
            columns: IdVec::new(),
            columns_made: 0,
            asked: IdVec::new(),
            room: Room::default(),
            fellows: Fellows::default(),
            plans: IdVec::new(),
            catalog_version: 0,
            priorities: BTreeMap::new(),
            start: 0,
        }
    }

    /// With policies of the user's own, which profiles name as [`Plugin::Custom`].
    #[must_use]
    pub fn with_policies(mut self, policies: Vec<Arc<dyn Policy>>) -> Self {
        self.policies = policies;
        self
    }

    /// The nodes as this placer sees them.
    #[must_use]
    pub const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Other objects.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Other objects, to change.
    pub const fn catalog_mut(&mut self) -> &mut Catalog {
        self.catalog_version += 1;
        &mut self.catalog
    }

    /// Nominations.
    #[must_use]
    pub const fn nominator(&self) -> &Nominator {
        &self.nominator
    }

    /// Nominations, to change.
    pub const fn nominator_mut(&mut self) -> &mut Nominator {
        &mut self.nominator
    }

    /// The number of the profile for pods of this `schedulerName` (rule S4).
    #[must_use]
    pub fn profile_named(&self, name: &str) -> Option<usize> {
        self.settings.profiles.iter().position(|profile| profile.scheduler_name == name)
    }

    /// A profile by its number.
    #[must_use]
    pub fn profile(&self, number: usize) -> &Profile {
        &self.settings.profiles[number]
    }

    /// What a decision under a profile reads.
    #[must_use]
    pub fn world<'a>(&'a self, profile: usize, names: &'a Interner) -> World<'a> {
        world!(self, profile, names)
    }

    /// Where the next search starts (rule S27).
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// Sets where the next search starts.
    pub const fn set_start(&mut self, start: usize) {
        self.start = start;
    }

    /// Adds nodes in this order, without pods.
    pub fn add_nodes(
        &mut self,
        nodes: impl IntoIterator<Item = (NodeId, NodeSpec)>,
        names: &Interner,
    ) {
        let nodes: Vec<_> = nodes.into_iter().collect();
        for (node, spec) in &nodes {
            self.fellows.enter_node(*node, spec);
        }
        self.nodes.add_all(nodes, names);
        self.refill(names);
    }

    /// Adds a node.
    pub fn add_node(&mut self, node: NodeId, spec: NodeSpec, names: &Interner) {
        self.fellows.enter_node(node, &spec);
        self.nodes.add(node, spec, names);
        self.refill(names);
    }

    /// Removes a node; its pods are no longer counted.
    pub fn remove_node(&mut self, node: NodeId, names: &Interner) {
        let pods = self.nodes.get(node).map(|state| state.pods.clone()).unwrap_or_default();
        for pod in pods {
            self.remove_pod(node, pod.pod);
        }
        self.nodes.remove(node);
        self.fellows.leave_node(node);
        self.refill(names);
    }

    /// Takes over what a node declares now.
    pub fn update_node(&mut self, node: NodeId, spec: &NodeSpec, names: &Interner) {
        let Some(known) = self.nodes.get(node).map(|state| &state.spec) else { return };
        let is_relabelled = known.labels != spec.labels;
        if is_relabelled || known.images != spec.images {
            self.catalog_version += 1;
        }
        self.nodes.update(node, spec, names);
        if is_relabelled {
            self.fellows.relabel(node, spec);
        }
        if let Some(at) = self.nodes.position(node) {
            let world = world!(self, 0, names);
            self.classes.refresh(at, &world);
        }
    }

    fn refill(&mut self, names: &Interner) {
        self.catalog_version += 1;
        let world = world!(self, 0, names);
        self.classes.refill(&world);
    }

    /// The class of a pod: pods of one class are the same to a decision.
    pub fn class(&mut self, info: &Arc<PodInfo>, names: &Interner) -> ClassId {
        let world = world!(self, 0, names);
        self.classes.intern(info, &world)
    }

    /// A pod that stands for all of the class.
    #[must_use]
    pub fn info(&self, class: ClassId) -> &Arc<PodInfo> {
        &self.classes.classes[class].info
    }

    /// A pod of the class that asks for a node.
    #[must_use]
    pub fn applicant(&self, pod: PodRef, class: ClassId) -> Applicant {
        let nominated = self.nominator.node_of(pod);
        Applicant { pod, info: Arc::clone(self.info(class)), nominated, pinned: None }
    }

    /// Counts a pod on a node.
    pub fn add_pod(&mut self, node: NodeId, pod: PodRef, class: ClassId, names: &Interner) {
        let mut placed = PlacedPod::new(pod, Arc::clone(self.info(class)));
        placed.class = Some(class);
        self.place(node, placed, names);
    }

    /// Counts a pod on a node.
    pub fn place(&mut self, node: NodeId, mut pod: PlacedPod, names: &Interner) {
        if self.nodes.get(node).is_none() {
            return;
        }
        let class = pod.class.unwrap_or_else(|| self.class(&pod.info, names));
        pod.class = Some(class);
        *self.priorities.entry(pod.info.spec.priority).or_insert(0) += 1;
        let Self { fellows, nodes, .. } = self;
        fellows.add((node, class), &pod.info, pod.is_terminating, nodes, names);
        nodes.add_pod(node, pod);
    }

    /// Counts a pod no longer.
    ///
    /// # Panics
    /// Never: what is counted has a class.
    pub fn remove_pod(&mut self, node: NodeId, pod: PodRef) {
        let Some(gone) = self.nodes.remove_pod(node, pod) else { return };
        let class = gone.class.expect("a counted pod has a class");
        self.fellows.remove(node, class, gone.is_terminating);
        let priority = gone.info.spec.priority;
        let left = self.priorities.entry(priority).or_insert(1);
        *left -= 1;
        if *left == 0 {
            self.priorities.remove(&priority);
        }
    }

    /// Changes what is kept of a counted pod.
    ///
    /// # Panics
    /// Never: what is counted has a class.
    pub fn touch_pod(&mut self, node: NodeId, pod: PodRef, change: impl FnOnce(&mut PlacedPod)) {
        let Self { fellows, nodes, .. } = self;
        nodes.touch_pod(node, pod, |placed| {
            let was_terminating = placed.is_terminating;
            change(placed);
            let class = placed.class.expect("a counted pod has a class");
            match (was_terminating, placed.is_terminating) {
                (false, true) => fellows.terminate(node, class, -1),
                (true, false) => fellows.terminate(node, class, 1),
                _ => {}
            }
        });
    }

    /// Where a pod goes under a profile. It is not counted there yet.
    pub fn decide(
        &mut self,
        pod: PodRef,
        class: ClassId,
        profile: usize,
        names: &Interner,
    ) -> Decision {
        self.nodes.begin_attempt();
        if !self.needs_plain(class, profile)
            && let Some(decision) = self.decide_fast(pod, class, profile, names)
        {
            return decision;
        }
        self.decide_plain(pod, class, profile, names)
    }

    /// By columns and counters; `None` where only the plain evaluation knows.
    fn decide_fast(
        &mut self,
        pod: PodRef,
        class: ClassId,
        profile: usize,
        names: &Interner,
    ) -> Option<Decision> {
        self.fellows.limit(&self.nodes, names);
        let world = world!(self, profile, names);
        let row = &self.classes.classes[class];
        let plan = self.plans.grow_to(class);
        plan.refresh(&row.info, self.catalog_version, &mut self.fellows, &world);
        let (plan, fellows) = (&*plan, &self.fellows);
        let statics = self.classes.statics_of(row);
        let (weights, nodes) = (&self.weights[profile], &self.nodes);
        let with = Reader { class: row, statics, nodes, weights, world: &world };
        let enough = feasible_max(nodes.len(), world.percentage);
        let judge = plan.has_filters().then(|| Judge::new(plan, fellows, with));
        let barred = barred((pod, plan), &self.nominator, with)?;
        let nominated = self.nominator.node_of(pod);
        if let Some(node) = nominated {
            // The nominated node alone comes first (rule S19).
            let place = nodes.position(node).filter(|place| walk::fits(*place, with));
            let is_barred = barred.iter().any(|(place, _)| nodes.order()[*place] == node);
            let fits = place.is_some()
                && !is_barred
                && judge.as_ref().is_none_or(|judge| judge.takes(node));
            return fits.then_some(Decision::Placed { node, feasible: 1 });
        }
        let (start, room) = (self.start % nodes.len(), &mut self.room);
        let judge = judge.as_ref();
        let (info, barred) = (&row.info, barred.as_slice());
        let asked = Asked { start, enough, plan, judge, fellows, info, barred };
        // Columns pay if fewer nodes change from one decision to the next than a search looks at.
        let end = nodes.log().end();
        let before = std::mem::replace(self.asked.grow_to(class), end);
        if end - before > cast::u64_of(enough) {
            let candidates = walk::candidates(start, with);
            if let Some(choice) = social::choose(candidates, &asked, room, with) {
                return Some(placed(choice, &mut self.start));
            }
        }
        let columns = columns_of(&mut self.columns, &mut self.columns_made, class, with);
        columns.catch_up(with);
        let choice = if plan.is_empty() && barred.is_empty() {
            columns.choose(start, enough, with)
        } else {
            social::choose(columns.candidates(start, with), &asked, room, with)
        };
        if let Some(choice) = choice {
            return Some(placed(choice, &mut self.start));
        }
        let lowest = self.priorities.keys().next();
        if lowest.is_some_and(|lowest| *lowest < row.info.spec.priority) {
            return None;
        }
        self.start = start;
        Some(Decision::Failed(if judge.is_some() || !barred.is_empty() {
            columns.failure_with(judge, barred, with)
        } else {
            columns.failure(with)
        }))
    }

    /// Whether a pod goes to the only node that it can go to: that of this name (rule C102).
    pub fn decide_pinned(
        &mut self,
        pod: PodRef,
        class: ClassId,
        name: Symbol,
        profile: usize,
        names: &Interner,
    ) -> Decision {
        self.nodes.begin_attempt();
        if !self.needs_plain(class, profile)
            && let Some(decision) = self.decide_pinned_fast(pod, class, name, profile, names)
        {
            return decision;
        }
        self.decide_pinned_plain(pod, class, name, profile, names)
    }

    /// By a look at that node; `None` where only the plain evaluation knows.
    fn decide_pinned_fast(
        &mut self,
        pod: PodRef,
        class: ClassId,
        name: Symbol,
        profile: usize,
        names: &Interner,
    ) -> Option<Decision> {
        self.fellows.limit(&self.nodes, names);
        let world = world!(self, profile, names);
        let row = &self.classes.classes[class];
        let (spec, node) = (&row.info.spec, self.nodes.named(name));
        let is_counted = |node| self.nominator.counted(node, pod, spec.priority).next().is_some();
        if self.nominator.node_of(pod).is_some() || node.is_some_and(is_counted) {
            return None;
        }
        let plan = self.plans.grow_to(class);
        plan.refresh(&row.info, self.catalog_version, &mut self.fellows, &world);
        let (statics, weights) = (self.classes.statics_of(row), &self.weights[profile]);
        let with = Reader { class: row, statics, nodes: &self.nodes, weights, world: &world };
        let judge = plan.has_filters().then(|| Judge::new(plan, &self.fellows, with));
        let verdict = node.map(|node| {
            filter(spec, self.nodes.state(node), &world)?;
            judge.as_ref().map_or(Ok(()), |judge| judge.verdict(node))
        });
        let looked_at = usize::from(node.is_some());
        let next = next_start(self.start, looked_at, self.nodes.len());
        if let (Some(node), Some(Ok(()))) = (node, &verdict) {
            self.start = next;
            return Some(Decision::Placed { node, feasible: 1 });
        }
        if self.priorities.keys().next().is_some_and(|lowest| *lowest < spec.priority) {
            return None;
        }
        let error = FitError::narrowed(self.nodes.len(), verdict.and_then(Result::err).as_ref());
        let failure = Failure::without_victims(&error, spec, &world);
        self.start = next;
        Some(Decision::Failed(failure))
    }

    /// The same by the plain evaluation.
    pub fn decide_pinned_plain(
        &mut self,
        pod: PodRef,
        class: ClassId,
        name: Symbol,
        profile: usize,
        names: &Interner,
    ) -> Decision {
        let of = Applicant { pinned: Some(name), ..self.applicant(pod, class) };
        self.evaluate(&of, profile, names)
    }

    /// Whether the columns do not know all that a decision reads.
    fn needs_plain(&self, class: ClassId, profile: usize) -> bool {
        let row: &Class = &self.classes.classes[class];
        let spec = &row.info.spec;
        self.are_plain[profile]
            || self.nodes.is_empty()
            || self.classes.statics_of(row).is_narrowed
            || !spec.volumes.is_empty()
            || spec.node_affinity.preferred_error.is_some()
    }

    /// The same by the plain evaluation.
    pub fn decide_plain(
        &mut self,
        pod: PodRef,
        class: ClassId,
        profile: usize,
        names: &Interner,
    ) -> Decision {
        let of = self.applicant(pod, class);
        self.evaluate(&of, profile, names)
    }

    fn evaluate(&mut self, of: &Applicant, profile: usize, names: &Interner) -> Decision {
        let world = world!(self, profile, names);
        let attempt = plain::attempt(of, &world, self.start);
        self.start = attempt.next_start;
        match attempt.chosen {
            Some(node) => Decision::Placed { node, feasible: cast::u32_of(attempt.feasible.len()) },
            None => Decision::Failed(Failure::of(&attempt, of, &world)),
        }
    }
}

/// Whether a profile's plugins read more than the columns know.
fn is_plain(profile: &Profile) -> bool {
    let (standard, args) = (Profile::default(), &profile.args);
    profile.filter != standard.filter
        || profile.pre_filter != standard.pre_filter
        || profile.post_filter != standard.post_filter
        || profile.pre_score != standard.pre_score
        || matches!(args.scoring, Scoring::RequestedToCapacityRatio(_))
        || args.fit_resources != standard.args.fit_resources
        || args.balanced_resources != standard.args.balanced_resources
        || args.added_affinity.is_some()
        || !args.ignored_resources.is_empty()
        || !args.ignored_groups.is_empty()
        || profile.score.iter().any(|(plugin, _)| matches!(plugin, Plugin::Custom(_)))
        || profile.score.iter().any(|(_, weight)| weight.saturating_abs() > WEIGHT_MAX)
}

/// Places that pods nominated to their nodes bar for a pod that fits on them alone (rule S31);
/// `None` where that depends on more than the node.
fn barred(
    (pod, plan): (PodRef, &Plan),
    nominator: &Nominator,
    with: Reader<'_>,
) -> Option<Vec<(usize, Rejection)>> {
    let spec = &with.class.info.spec;
    if !nominator.counts_for(pod, spec.priority) {
        return Some(Vec::new());
    }
    let mut barred = Vec::new();
    for id in nominator.nodes() {
        let mut nominated = nominator.counted(id, pod, spec.priority).peekable();
        let Some(place) = with.nodes.position(id).filter(|_| nominated.peek().is_some()) else {
            continue;
        };
        let mut node = with.nodes.state(id).clone();
        for other in nominated {
            if plan.has_filters() || !other.info.spec.pod_affinity.anti_required.is_empty() {
                return None;
            }
            node.add(PlacedPod::new(other.pod, Arc::clone(&other.info)));
        }
        if let Err(rejection) = filter(spec, &node, with.world) {
            barred.push((place, rejection));
        }
    }
    Some(barred)
}

fn placed(choice: Choice, start: &mut usize) -> Decision {
    *start = choice.next_start;
    Decision::Placed { node: choice.node, feasible: cast::u32_of(choice.found) }
}

/// The columns of a class, made if need be; when all together become too large all go.
fn columns_of<'a>(
    columns: &'a mut IdVec<ClassId, Option<Box<Columns>>>,
    made: &mut usize,
    class: ClassId,
    with: Reader<'_>,
) -> &'a mut Columns {
    if columns.get(class).is_none_or(Option::is_none) {
        if (*made + 1) * Columns::size(with.nodes.len()) > COLUMNS_MAX {
            columns.iter_mut().for_each(|c| *c = None);
            *made = 0;
        }
        *made += 1;
    }
    let slot = columns.grow_to(class);
    slot.get_or_insert_with(|| Box::new(Columns::new(with)))
}
