//! Jobs and CronJobs as they are declared, defaults filled.

use std::sync::Arc;

use serde_json::Value;

use crate::base::{CronError, Duration, Schedule, Symbol};

use super::ids::ObjectName;
use super::intervals::Intervals;
use super::labels::Selector;
use super::pod::Template;

/// A Job as it is declared (rule C114).
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// The whole object as a value tree with defaults.
    pub source: Arc<Value>,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods' template.
    pub template: Arc<Template>,
    /// How many pods may run at once.
    pub parallelism: u32,
    /// How many must succeed; `None`: a work queue, that is done when one has succeeded and none
    /// runs.
    pub completions: Option<u32>,
    /// Whether each completion is one index (`completionMode: Indexed`).
    pub is_indexed: bool,
    /// So many failures are borne.
    pub backoff_limit: u32,
    /// So many failures of one index are borne; `None`: indexes are not judged one by one.
    pub backoff_limit_per_index: Option<u32>,
    /// So many failed indexes are borne; `None`: any number.
    pub max_failed_indexes: Option<u32>,
    /// Rules for failed pods, in order; `None`: no policy.
    pub failure_policy: Option<Vec<FailureRule>>,
    /// Rules of success, in order; empty: no policy.
    pub success_policy: Vec<SuccessRule>,
    /// It may be active for so long.
    pub active_deadline: Option<Duration>,
    /// It is deleted so long after its end.
    pub ttl: Option<Duration>,
    /// Whether it has no pods for now.
    pub is_suspended: bool,
    /// Whether a pod is replaced only when it has ended (`podReplacementPolicy: Failed`, or a
    /// failure policy).
    pub replaces_ended_only: bool,
    /// Whether somebody else looks after it (`managedBy`).
    pub is_managed_elsewhere: bool,
}

/// A rule for failed pods (rule C129).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRule {
    /// What follows.
    pub action: FailureAction,
    /// Which failures.
    pub when: FailureMatch,
}

/// What follows from a pod's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    /// The Job fails.
    FailJob,
    /// The index fails.
    FailIndex,
    /// It does not count.
    Ignore,
    /// It counts.
    Count,
}

impl FailureAction {
    /// The name as the API has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailJob => "FailJob",
            Self::FailIndex => "FailIndex",
            Self::Ignore => "Ignore",
            Self::Count => "Count",
        }
    }
}

/// Which failures of pods a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureMatch {
    /// A container ended with a code that is not 0.
    ExitCodes {
        /// Only this container.
        container: Option<Symbol>,
        /// Whether the code must be among the values, or must not.
        is_in: bool,
        /// The values.
        values: Vec<i32>,
    },
    /// The pod has one of these conditions: type and status.
    Conditions(Vec<(Box<str>, Box<str>)>),
}

/// A rule of success of an indexed Job (rule C130).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessRule {
    /// Which indexes count; `None`: all.
    pub indexes: Option<Intervals>,
    /// How many of them must succeed; `None`: all.
    pub count: Option<u32>,
}

/// A CronJob as it is declared (rule C135).
#[derive(Clone, Debug)]
pub struct CronJobSpec {
    /// Namespace and name.
    pub name: ObjectName,
    /// The whole object as a value tree with defaults.
    pub source: Arc<Value>,
    /// Its Jobs, but for their names.
    pub job: Arc<JobSpec>,
    /// When they start.
    pub schedule: Result<Schedule, CronError>,
    /// `schedule` and `timeZone` as written: whether they change.
    pub schedule_text: (String, Option<String>),
    /// What happens while an earlier one runs.
    pub concurrency: Concurrency,
    /// A start that is later than this is left out.
    pub starting_deadline: Option<Duration>,
    /// Whether it starts nothing for now.
    pub is_suspended: bool,
    /// So many succeeded Jobs are kept.
    pub succeeded_limit: u32,
    /// So many failed Jobs are kept.
    pub failed_limit: u32,
}

/// What happens if a Job is due while an earlier one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// It starts beside it.
    Allow,
    /// It does not start.
    Forbid,
    /// The earlier one is deleted.
    Replace,
}
