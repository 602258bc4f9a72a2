//! CPU that containers use over time whatever they are called: a recorded series.

use super::traffic::Rate;

/// CPU over time.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuUse {
    /// In cores.
    pub cores: Rate,
    /// Whose it is.
    pub of: CpuOf,
}

/// Whose CPU a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuOf {
    /// Of the workload: its ready pods share it evenly.
    Workload,
    /// Of each pod from its start.
    Pod,
}
