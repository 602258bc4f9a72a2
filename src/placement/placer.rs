//! The placer: nodes, classes and their columns together; asked for one decision after another.

use std::sync::Arc;

use crate::base::{IdVec, Interner, cast};
use crate::model::{NodeId, NodeSpec, PodSpec, SchedulerSettings};

use super::classes::{ClassId, Classes};
use super::columns::{Choice, Columns, Reader};
use super::failure::{Failure, NO_NODES};
use super::nodes::{Nodes, Usage};
use super::plain;
use super::select::feasible_max;
use super::verdict::PluginSet;
use super::walk;

/// What all columns together may take, in bytes; beyond it they are made anew when needed.
const COLUMNS_MAX: usize = 48 << 20;

/// Decides where pods go, one after another, and keeps what it needs for that.
#[derive(Clone, Debug)]
pub struct Placer {
    nodes: Nodes,
    settings: SchedulerSettings,
    classes: Classes,
    columns: IdVec<ClassId, Option<Box<Columns>>>,
    columns_made: usize,
    /// Where the log of changes ended when each class was asked about last.
    asked: IdVec<ClassId, u64>,
    found: Vec<(u32, i64)>,
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

impl Placer {
    /// Without nodes.
    #[must_use]
    pub fn new(settings: &SchedulerSettings) -> Self {
        Self {
            nodes: Nodes::new(),
            settings: settings.clone(),
            classes: Classes::default(),
            columns: IdVec::new(),
            columns_made: 0,
            asked: IdVec::new(),
            found: Vec::new(),
            start: 0,
        }
    }

    /// The nodes as this placer sees them.
    #[must_use]
    pub const fn nodes(&self) -> &Nodes {
        &self.nodes
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
        self.classes.refill(&self.nodes, names);
    }

    /// Adds a node.
    pub fn add_node(&mut self, node: NodeId, spec: NodeSpec, names: &Interner) {
        self.nodes.add(node, spec, Usage::default(), names);
        self.classes.refill(&self.nodes, names);
    }

    /// Removes a node.
    pub fn remove_node(&mut self, node: NodeId, names: &Interner) {
        self.nodes.remove(node);
        self.classes.refill(&self.nodes, names);
    }

    /// Takes over what a node declares now.
    pub fn update_node(&mut self, node: NodeId, spec: &NodeSpec, names: &Interner) {
        self.nodes.update(node, spec, names);
        if let Some(at) = self.nodes.position(node) {
            self.classes.refresh(at, &self.nodes, names);
        }
    }

    /// The class of a pod: pods of one class are the same to a decision.
    pub fn class(&mut self, spec: &Arc<PodSpec>, names: &Interner) -> ClassId {
        self.classes.intern(spec, &self.nodes, names)
    }

    /// A specification that stands for all of the class.
    #[must_use]
    pub fn spec(&self, class: ClassId) -> &Arc<PodSpec> {
        &self.classes.classes[class].spec
    }

    /// Counts a pod on a node.
    pub fn add_pod(&mut self, node: NodeId, class: ClassId) {
        self.nodes.add_pod(node, &self.classes.classes[class].spec);
    }

    /// Counts a pod no longer.
    pub fn remove_pod(&mut self, node: NodeId, class: ClassId) {
        self.nodes.remove_pod(node, &self.classes.classes[class].spec);
    }

    /// Where the next pod of a class goes. It is not counted there yet.
    pub fn decide(&mut self, class: ClassId, names: &Interner) -> Decision {
        if self.nodes.is_empty() {
            return no_nodes();
        }
        let row = &self.classes.classes[class];
        let statics = self.classes.statics_of(row);
        if statics.is_narrowed {
            return self.decide_plain(class, names);
        }
        let with =
            Reader { class: row, statics, nodes: &self.nodes, settings: &self.settings, names };
        let enough = feasible_max(self.nodes.len(), self.settings.percentage_of_nodes_to_score);
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
        Decision::Failed(columns.failure(with))
    }

    /// The same by the plain evaluation.
    pub fn decide_plain(&mut self, class: ClassId, names: &Interner) -> Decision {
        if self.nodes.is_empty() {
            return no_nodes();
        }
        let pod = &self.classes.classes[class].spec;
        let attempt = plain::attempt(pod, &self.nodes, &self.settings, self.start, names);
        self.start = attempt.next_start;
        match attempt.chosen {
            Some(node) => Decision::Placed { node, feasible: cast::u32_of(attempt.feasible.len()) },
            None => {
                let error = attempt.fit_error(&self.nodes);
                Decision::Failed(Failure {
                    message: error.message(pod.preempts_never, names).into(),
                    plugins: error.plugins,
                })
            }
        }
    }
}

fn placed(choice: Choice, start: &mut usize) -> Decision {
    *start = choice.next_start;
    Decision::Placed { node: choice.node, feasible: cast::u32_of(choice.found) }
}

fn no_nodes() -> Decision {
    Decision::Failed(Failure { message: NO_NODES.into(), plugins: PluginSet::EMPTY })
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
    slot.get_or_insert_with(|| Box::new(Columns::new(with.class)))
}
