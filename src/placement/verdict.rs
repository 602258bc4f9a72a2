//! What a filter says of a node: the plugin, the code, the reasons, and their texts.

use smallvec::SmallVec;

use std::sync::Arc;

use crate::base::{Interner, Symbol};
use crate::model::CUSTOM_MAX;
pub use crate::model::Plugin;

/// A set of plugins: those that rejected a pod (rule S24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginSet(u32);

impl PluginSet {
    /// No plugin.
    pub const EMPTY: Self = Self(0);

    /// Adds one.
    pub fn insert(&mut self, plugin: Plugin) {
        self.0 |= 1 << plugin.index();
    }

    /// All but one.
    #[must_use]
    pub fn without(self, plugin: Plugin) -> Self {
        Self(self.0 & !(1 << plugin.index()))
    }

    /// Whether one is in it.
    #[must_use]
    pub fn contains(self, plugin: Plugin) -> bool {
        self.0 & (1 << plugin.index()) != 0
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All plugins, those of the user's own too.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether any is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of those in it, sorted.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.iter().map(Plugin::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Whether none is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it, in the order in which they are asked.
    pub fn iter(self) -> impl Iterator<Item = Plugin> {
        let custom = (0..CUSTOM_MAX).map(Plugin::Custom);
        Plugin::ALL.into_iter().chain(custom).filter(move |p| self.contains(*p))
    }
}

/// How final a rejection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Preemption may help.
    Unschedulable,
    /// Preemption on that node cannot help.
    UnschedulableAndUnresolvable,
}

/// Why a node does not take a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is cordoned (rule S75).
    WereUnschedulable,
    /// The pod names another node (rule S76).
    OtherNodeName,
    /// A taint (rule S95).
    UntoleratedTaint,
    /// Selector or affinity (rule S99).
    NodeAffinity,
    /// It is not among the nodes that the affinity names (rule S18).
    NotNamedByAffinity,
    /// A host port is taken (rule S77).
    PortTaken,
    /// It is full by number of pods (rule S86).
    TooManyPods,
    /// Rule S86.
    InsufficientCpu,
    /// Rule S86.
    InsufficientMemory,
    /// Rule S86.
    InsufficientEphemeralStorage,
    /// Rule S86: one of the other resources.
    Insufficient(Symbol),
    /// Any other text.
    Fixed(&'static str),
    /// A text made for the occasion.
    Text(Arc<str>),
}

impl Reason {
    /// The text, letter for letter as the scheduler of 1.35 and later writes it.
    ///
    /// Sources: kubernetes v1.36.3 pkg/scheduler/framework/plugins (rules S18, S75 to S99).
    #[must_use]
    pub fn text(&self, names: &Interner) -> String {
        let fixed = match self {
            Self::WereUnschedulable => "node(s) were unschedulable",
            Self::OtherNodeName => "node(s) didn't match the requested node name",
            Self::UntoleratedTaint => "node(s) had untolerated taint(s)",
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::NotNamedByAffinity => "node(s) didn't satisfy plugin(s) [NodeAffinity]",
            Self::PortTaken => "node(s) didn't have free ports for the requested pod ports",
            Self::TooManyPods => "Too many pods",
            Self::InsufficientCpu => "Insufficient cpu",
            Self::InsufficientMemory => "Insufficient memory",
            Self::InsufficientEphemeralStorage => "Insufficient ephemeral-storage",
            Self::Insufficient(name) => return format!("Insufficient {}", names.resolve(*name)),
            Self::Fixed(text) => text,
            Self::Text(text) => return text.to_string(),
        };
        fixed.to_owned()
    }
}

/// The verdict of the first filter that does not let a pod on a node (rule S30).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which filter.
    pub plugin: Plugin,
    /// How final.
    pub code: Code,
    /// Why; several only of NodeResourcesFit.
    pub reasons: SmallVec<[Reason; 2]>,
}

impl Rejection {
    /// With one reason, where preemption may help.
    #[must_use]
    pub fn unschedulable(plugin: Plugin, reason: Reason) -> Self {
        Self { code: Code::Unschedulable, ..Self::unresolvable(plugin, reason) }
    }

    /// With one reason, final.
    #[must_use]
    pub fn unresolvable(plugin: Plugin, reason: Reason) -> Self {
        Self {
            plugin,
            code: Code::UnschedulableAndUnresolvable,
            reasons: SmallVec::from_iter([reason]),
        }
    }
}
