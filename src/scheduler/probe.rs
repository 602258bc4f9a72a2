//! A look over the scheduler's shoulder.

use std::fmt::Debug;

use crate::base::SimTime;
use crate::cluster::{Cluster, Pod};
use crate::placement::{Applicant, World};

/// What there is to see when the scheduler is about to place a pod.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// When.
    pub at: SimTime,
    /// The pod.
    pub pod: &'a Pod,
    /// The cluster; the scheduler may know less of it.
    pub cluster: &'a Cluster,
    /// What is to be placed.
    pub of: &'a Applicant,
    /// All that the decision reads.
    pub world: World<'a>,
    /// The number of the node at which the search begins.
    pub start: usize,
}

/// Sees each attempt to place a pod, as the scheduler sees it, before it is made.
///
/// A run has none unless somebody asks for explanations. It changes nothing.
pub trait Probe: Debug + Send {
    /// An attempt is about to be made.
    fn attempt(&mut self, look: Look<'_>);
}
