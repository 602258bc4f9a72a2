//! Why a pod goes nowhere, counted and in words.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::Interner;
use crate::model::{PodRef, PodSpec};

use super::plain::Attempt;
use super::pod_info::Applicant;
use super::preemption::{Nomination, nobody_to_evict, post_filter};
use super::verdict::{Code, PluginSet, Reason, Rejection};
use super::world::World;

/// Why a pod goes nowhere, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The message, letter for letter.
    pub message: Arc<str>,
    /// Who rejected; nobody if it is an error.
    pub plugins: PluginSet,
    /// What becomes of the pod's nomination.
    pub nomination: Nomination,
    /// Whom the scheduler evicts for the pod, in order.
    pub victims: Vec<PodRef>,
    /// Pods whose nominations it withdraws.
    pub cleared: Vec<PodRef>,
}

impl Failure {
    /// An attempt that was an error: it clears the nomination (rule S35).
    #[must_use]
    pub fn error(message: &str) -> Self {
        Self {
            message: message.into(),
            plugins: PluginSet::EMPTY,
            nomination: Nomination::Clear,
            victims: Vec::new(),
            cleared: Vec::new(),
        }
    }

    /// Where nobody could be evicted: no pod has a lower priority.
    #[must_use]
    pub(super) fn without_victims(error: &FitError, pod: &PodSpec, world: &World<'_>) -> Self {
        let message = error.message(&nobody_to_evict(error, pod.preempts_never), world.names);
        let nomination = if pod.preempts_never { Nomination::Keep } else { Nomination::Clear };
        Self { plugins: error.plugins, nomination, ..Self::error(&message) }
    }

    /// Of an attempt that found no node: runs the PostFilter plugins.
    #[must_use]
    pub fn of(attempt: &Attempt, of: &Applicant, world: &World<'_>) -> Self {
        if let Some(error) = &attempt.error {
            return Self::error(error);
        }
        let error = FitError::of_attempt(attempt, world);
        let after = post_filter(attempt, of, world);
        Self {
            message: error.message(&after.message, world.names).into(),
            plugins: error.plugins,
            nomination: after.nomination,
            victims: after.victims,
            cleared: after.cleared,
        }
    }
}

/// The reasons of all nodes, counted (rule S125).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FitError {
    /// All nodes, those outside a narrowed search too.
    pub nodes: u32,
    /// How often each reason was given: a node may give several.
    pub reasons: BTreeMap<Reason, u32>,
    /// How many nodes preemption might help on.
    pub unschedulable: u32,
    /// Who rejected.
    pub plugins: PluginSet,
    /// Why no node was looked at (rule S17).
    pub pre_filter: Option<Rejection>,
}

impl FitError {
    /// Of so many nodes.
    #[must_use]
    pub fn of(nodes: usize) -> Self {
        Self { nodes: super::select::count_of(nodes), ..Self::default() }
    }

    /// Of an attempt that found no node.
    #[must_use]
    pub fn of_attempt(attempt: &Attempt, world: &World<'_>) -> Self {
        let mut error = Self::of(world.nodes.len());
        for (_, rejection) in &attempt.failed {
            error.count(rejection, 1);
        }
        if let Some((_, by)) = &attempt.narrowed {
            let explicit = super::select::count_of(attempt.failed.len());
            error.plugins = error.plugins.union(*by);
            if explicit < error.nodes {
                let names = by.names();
                let text = format!("node(s) didn't satisfy plugin(s) [{}]", names.join(" "));
                let reason = Reason::Text(Arc::from(text));
                *error.reasons.entry(reason).or_insert(0) += error.nodes - explicit;
            }
        }
        if let Some(rejected) = &attempt.pre_filter {
            error.plugins = rejected.plugins;
            error.pre_filter = Some(rejected.rejection.clone());
        }
        error
    }

    /// Of a search among so many nodes that was narrowed by NodeAffinity to one that is there, or
    /// to none (rule S18).
    pub(super) fn narrowed(nodes: usize, why: Option<&Rejection>) -> Self {
        let mut error = Self::of(nodes);
        error.plugins.insert(super::verdict::Plugin::NodeAffinity);
        let mut others = error.nodes;
        if let Some(why) = why {
            error.count(why, 1);
            others -= 1;
        }
        if others > 0 {
            error.reasons.insert(Reason::NotNamedByAffinity, others);
        }
        error
    }

    /// Adds the verdict of `nodes` nodes.
    pub fn count(&mut self, rejection: &Rejection, nodes: u32) {
        for reason in &rejection.reasons {
            *self.reasons.entry(reason.clone()).or_insert(0) += nodes;
        }
        self.plugins.insert(rejection.plugin);
        if rejection.code == Code::Unschedulable {
            self.unschedulable += nodes;
        }
    }

    /// The message of the event and the condition, letter for letter; `post_filter` is what the
    /// PostFilter plugins say.
    ///
    /// Source: kubernetes v1.36.3 pkg/scheduler/framework/types.go `FitError.Error` (rules S124,
    /// S125; recorded).
    #[must_use]
    pub fn message(&self, post_filter: &str, names: &Interner) -> String {
        let mut text = match &self.pre_filter {
            Some(why) => {
                let reasons: Vec<_> = why.reasons.iter().map(|r| r.text(names)).collect();
                format!("{} {}.", available(self.nodes), reasons.join(", "))
            }
            None => {
                let reasons = self.reasons.iter().map(|(r, n)| (*n, r.text(names)));
                histogram(self.nodes, &reasons.collect::<Vec<_>>())
            }
        };
        if !post_filter.is_empty() {
            text.push(' ');
            text.push_str(post_filter);
        }
        text
    }
}

fn available(nodes: u32) -> String {
    format!("0/{nodes} nodes are available:")
}

/// Counts with their texts, sorted as strings.
pub(super) fn histogram(nodes: u32, counts: &[(u32, String)]) -> String {
    let mut entries: Vec<String> = counts.iter().map(|(n, text)| format!("{n} {text}")).collect();
    entries.sort_unstable();
    if entries.is_empty() {
        return available(nodes);
    }
    format!("{} {}.", available(nodes), entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Plugin;
    use super::*;

    fn fit(code: Code, reasons: &[Reason]) -> Rejection {
        let reasons = reasons.iter().cloned().collect();
        Rejection { plugin: Plugin::NodeResourcesFit, code, reasons }
    }

    #[test]
    fn entries_are_sorted_as_strings_as_in_v14() {
        let names = Interner::new();
        let mut error = FitError::of(15);
        let full = [Reason::InsufficientCpu];
        error.count(&fit(Code::UnschedulableAndUnresolvable, &full), 10);
        error.count(&fit(Code::UnschedulableAndUnresolvable, &[Reason::TooManyPods]), 2);
        let tainted = Rejection::unresolvable(Plugin::TaintToleration, Reason::UntoleratedTaint);
        error.count(&tainted, 3);
        assert_eq!(
            error.message("", &names),
            "0/15 nodes are available: 10 Insufficient cpu, 2 Too many pods, 3 node(s) had \
             untolerated taint(s)."
        );
    }
}
