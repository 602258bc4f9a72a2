//! The placer: nodes, classes and their columns together; asked for one decision after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{IdVec, Interner, cast};
use crate::model::{NodeId, NodeSpec, Plugin, PodRef, Profile, SchedulerSettings, Scoring};

use super::catalog::Catalog;
use super::classes::{Class, ClassId, Classes};
use super::columns::{Choice, Columns, Reader, Weights};
use super::failure::Failure;
use super::nodes::Nodes;
use super::nominator::Nominator;
use super::plain;
use super::pod_info::{Applicant, PlacedPod, PodInfo};
use super::select::feasible_max;
use super::walk;
use super::world::{Policy, World};

/// What all columns together may take, in bytes; beyond it they are made anew when needed.
const COLUMNS_MAX: usize = 48 << 20;

/// Decides where pods go, one after another, and keeps what it needs for that.
#[derive(Clone, Debug)]
pub struct Placer {
    nodes: Nodes,
    catalog: Catalog,
    nominator: Nominator,
    settings: SchedulerSettings,
    policies: Vec<Arc<dyn Policy>>,
    weights: Vec<Weights>,
    classes: Classes,
    columns: IdVec<ClassId, Option<Box<Columns>>>,
    columns_made: usize,
    /// Where the log of changes ended when each class was asked about last.
    asked: IdVec<ClassId, u64>,
    found: Vec<(u32, i64)>,
    /// How many pods on nodes have each priority.
    priorities: BTreeMap<i32, u32>,
    /// How many pods on nodes have affinity or anti-affinity to others.
    sociable: u32,
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
            classes: Classes::default(),
            columns: IdVec::new(),
            columns_made: 0,
            asked: IdVec::new(),
            found: Vec::new(),
            priorities: BTreeMap::new(),
            sociable: 0,
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
        self.nodes.add_all(nodes, names);
        self.refill(names);
    }

    /// Adds a node.
    pub fn add_node(&mut self, node: NodeId, spec: NodeSpec, names: &Interner) {
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
        self.refill(names);
    }

    /// Takes over what a node declares now.
    pub fn update_node(&mut self, node: NodeId, spec: &NodeSpec, names: &Interner) {
        self.nodes.update(node, spec, names);
        if let Some(at) = self.nodes.position(node) {
            let world = world!(self, 0, names);
            self.classes.refresh(at, &world);
        }
    }

    fn refill(&mut self, names: &Interner) {
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
        Applicant { pod, info: Arc::clone(self.info(class)), nominated }
    }

    /// Counts a pod on a node.
    pub fn add_pod(&mut self, node: NodeId, pod: PodRef, class: ClassId) {
        self.place(node, PlacedPod::new(pod, Arc::clone(self.info(class))));
    }

    /// Counts a pod on a node.
    pub fn place(&mut self, node: NodeId, pod: PlacedPod) {
        if self.nodes.get(node).is_none() {
            return;
        }
        *self.priorities.entry(pod.info.spec.priority).or_insert(0) += 1;
        self.sociable += u32::from(!pod.info.spec.pod_affinity.is_empty());
        self.nodes.add_pod(node, pod);
    }

    /// Counts a pod no longer.
    pub fn remove_pod(&mut self, node: NodeId, pod: PodRef) {
        let Some(gone) = self.nodes.remove_pod(node, pod) else { return };
        let spec = &gone.info.spec;
        self.sociable -= u32::from(!spec.pod_affinity.is_empty());
        let left = self.priorities.entry(spec.priority).or_insert(1);
        *left -= 1;
        if *left == 0 {
            self.priorities.remove(&spec.priority);
        }
    }

    /// Changes what is kept of a counted pod.
    pub fn touch_pod(&mut self, node: NodeId, pod: PodRef, change: impl FnOnce(&mut PlacedPod)) {
        self.nodes.touch_pod(node, pod, change);
    }

    /// Where a pod goes under a profile. It is not counted there yet.
    pub fn decide(
        &mut self,
        pod: PodRef,
        class: ClassId,
        profile: usize,
        names: &Interner,
    ) -> Decision {
        if self.needs_plain(class, profile) {
            return self.decide_plain(pod, class, profile, names);
        }
        let row = &self.classes.classes[class];
        let statics = self.classes.statics_of(row);
        let world = world!(self, profile, names);
        let (weights, nodes) = (&self.weights[profile], &self.nodes);
        let with = Reader { class: row, statics, nodes, weights, world: &world };
        let enough = feasible_max(self.nodes.len(), world.percentage);
        // Columns pay if fewer nodes change from one decision to the next than a search looks at.
        let end = self.nodes.log().end();
        let asked = std::mem::replace(self.asked.grow_to(class), end);
        let choice = if end - asked > cast::u64_of(enough) {
            walk::choose(self.start, enough, with, &mut self.found)
        } else {
            None
        };
        if let Some(choice) = choice {
            return placed(choice, &mut self.start);
        }
        let (columns, columns_made) = (&mut self.columns, &mut self.columns_made);
        let columns = columns_of(columns, columns_made, class, with);
        columns.refresh(with);
        if let Some(choice) = columns.choose(self.start, enough, with) {
            return placed(choice, &mut self.start);
        }
        let lowest = self.priorities.keys().next();
        if lowest.is_some_and(|lowest| *lowest < row.info.spec.priority) {
            return self.decide_plain(pod, class, profile, names);
        }
        Decision::Failed(columns.failure(with))
    }

    /// Whether the columns do not know all that a decision about the class reads.
    fn needs_plain(&self, class: ClassId, profile: usize) -> bool {
        let row: &Class = &self.classes.classes[class];
        let (info, profile) = (&row.info, &self.settings.profiles[profile]);
        let spec = &info.spec;
        let standard = Profile::default();
        self.nodes.is_empty()
            || self.classes.statics_of(row).is_narrowed
            || !self.nominator.is_empty()
            || self.sociable > 0
            || !spec.pod_affinity.is_empty()
            || !spec.spread.is_empty()
            || !spec.volumes.is_empty()
            || self.catalog.default_selector(info).is_some()
            || profile.filter != standard.filter
            || profile.pre_filter != standard.pre_filter
            || matches!(profile.args.scoring, Scoring::RequestedToCapacityRatio(_))
            || profile.args.fit_resources != standard.args.fit_resources
            || profile.args.balanced_resources != standard.args.balanced_resources
            || profile.args.added_affinity.is_some()
            || profile.args.default_spread != standard.args.default_spread
            || !profile.args.ignored_resources.is_empty()
            || !profile.args.ignored_groups.is_empty()
            || profile.score.iter().any(|(plugin, _)| matches!(plugin, Plugin::Custom(_)))
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
        let world = world!(self, profile, names);
        let attempt = plain::attempt(&of, &world, self.start);
        self.start = attempt.next_start;
        match attempt.chosen {
            Some(node) => Decision::Placed { node, feasible: cast::u32_of(attempt.feasible.len()) },
            None => Decision::Failed(Failure::of(&attempt, &of, &world)),
        }
    }
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
