//! A look over the scheduler's shoulder.

use std::fmt::Debug;

use crate::base::SimTime;
use crate::cluster::Pod;
use crate::placement::{Applicant, World};

/// Sees each attempt to place a pod, as the scheduler sees it, before it is made.
///
/// A run has none unless somebody asks for explanations. It changes nothing.
pub trait Probe: Debug + Send {
    /// The scheduler is about to place a pod; its search begins at node number `start`.
    fn attempt(&mut self, at: SimTime, pod: &Pod, of: &Applicant, world: &World<'_>, start: usize);
}
