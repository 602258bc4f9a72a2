//! The cloud as the autoscaler sees it: node groups, their instances, and four verbs.

use crate::base::Symbol;
use crate::model::{NodeSpec, Resources};

/// A node group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// The smallest size.
    pub min: u32,
    /// The largest size.
    pub max: u32,
    /// How many instances it is to have.
    pub target: u32,
    /// What a new node is like; its name and its label `kubernetes.io/hostname` do not count.
    pub template: NodeSpec,
    /// `status.capacity` of a new node.
    pub capacity: Resources,
    /// What an hour of a node costs; any currency.
    pub price_per_hour: f64,
}

/// An instance of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The name of its node.
    pub name: Symbol,
    /// Why it could not be made.
    pub error: Option<InstanceError>,
    /// Whether it is being deleted.
    pub is_deleting: bool,
}

/// Why an instance could not be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceError {
    /// Its class.
    pub class: ErrorClass,
    /// Its code.
    pub code: String,
    /// In words.
    pub message: String,
}

/// Classes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The cloud has none left, or a quota is used up.
    OutOfResources,
    /// Anything else.
    Other,
}

impl ErrorClass {
    /// Its name in the autoscaler's messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfResources => "OutOfResource",
            Self::Other => "Other",
        }
    }
}

/// What the autoscaler asks of the cloud. Each verb answers at once; what follows takes its time.
pub trait Cloud {
    /// All node groups, in the order that decides.
    fn groups(&self) -> &[Group];

    /// The instances of a group, those too that are being made or deleted.
    fn instances(&self, group: usize) -> Vec<Instance>;

    /// Whether the instance of a node is there.
    fn has_instance(&self, node: Symbol, group: Option<usize>) -> bool;

    /// Raises the target size.
    ///
    /// # Errors
    /// In the cloud's words.
    fn increase(&mut self, group: usize, by: u32) -> Result<(), String>;

    /// Deletes instances and lowers the target size.
    ///
    /// # Errors
    /// In the cloud's words.
    fn delete(&mut self, group: usize, nodes: &[Symbol]) -> Result<(), String>;

    /// Lowers the target size without deleting anything.
    ///
    /// # Errors
    /// In the cloud's words.
    fn decrease_target(&mut self, group: usize, by: u32) -> Result<(), String>;
}
