//! Why a pod goes nowhere, counted and in words.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::Interner;

use super::verdict::{Code, PluginSet, Reason, Rejection};

/// Why a pod goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The message, letter for letter.
    pub message: Arc<str>,
    /// Who rejected; nobody if it is an error: there are no nodes (rule S14).
    pub plugins: PluginSet,
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
    pub pre_filter: Option<&'static str>,
}

impl FitError {
    /// Of so many nodes.
    #[must_use]
    pub fn of(nodes: usize) -> Self {
        Self { nodes: super::select::count_of(nodes), ..Self::default() }
    }

    /// Adds the verdict of `nodes` nodes.
    pub fn count(&mut self, rejection: &Rejection, nodes: u32) {
        for reason in &rejection.reasons {
            *self.reasons.entry(*reason).or_insert(0) += nodes;
        }
        self.plugins.insert(rejection.plugin);
        if rejection.code == Code::Unschedulable {
            self.unschedulable += nodes;
        }
    }

    /// The message of the event and the condition, letter for letter as under the default profile
    /// when preemption finds nobody to evict.
    ///
    /// Source: kubernetes v1.36.3 pkg/scheduler/framework/types.go `FitError.Error`,
    /// plugins/defaultpreemption, plugins/dynamicresources `PostFilter` (rules S124 to S127, X30,
    /// X31; recorded). Differs: preemption itself is not modelled, so where lower-priority pods
    /// could be evicted this still says that there are none.
    #[must_use]
    pub fn message(&self, preempts_never: bool, names: &Interner) -> String {
        let total = self.nodes;
        if let Some(why) = self.pre_filter {
            return format!("{} {why}. not found", available(total));
        }
        let reasons = self.reasons.iter().map(|(r, n)| (*n, r.text(names)));
        let reasons = histogram(total, &reasons.collect::<Vec<_>>());
        let preemption = if preempts_never {
            "not eligible due to preemptionPolicy=Never.".to_owned()
        } else {
            let candidates = self.unschedulable;
            let no_victims = "No preemption victims found for incoming pod".to_owned();
            let not_helpful = "Preemption is not helpful for scheduling".to_owned();
            let counts = [(candidates, no_victims), (total - candidates, not_helpful)];
            histogram(total, &counts.into_iter().filter(|(n, _)| *n > 0).collect::<Vec<_>>())
        };
        format!("{reasons} no new claims to deallocate, preemption: {preemption}")
    }
}

fn available(nodes: u32) -> String {
    format!("0/{nodes} nodes are available:")
}

/// Counts with their texts, sorted as strings.
fn histogram(nodes: u32, counts: &[(u32, String)]) -> String {
    let mut entries: Vec<String> = counts.iter().map(|(n, text)| format!("{n} {text}")).collect();
    entries.sort_unstable();
    if entries.is_empty() {
        return available(nodes);
    }
    format!("{} {}.", available(nodes), entries.join(", "))
}

/// The text for a cluster without nodes (rule S14).
pub(super) const NO_NODES: &str = "no nodes available to schedule pods";

/// Why nothing was looked at when the terms of the affinity contradict themselves (rule S99).
pub(super) const TERMS_CONFLICT: &str = "pod affinity terms conflict";

#[cfg(test)]
mod tests {
    use smallvec::SmallVec;

    use super::super::verdict::Plugin;
    use super::*;

    fn fit(code: Code, reasons: &[Reason]) -> Rejection {
        Rejection { plugin: Plugin::NodeResourcesFit, code, reasons: SmallVec::from_slice(reasons) }
    }

    #[test]
    fn the_messages_of_s127() {
        let names = Interner::new();
        let mut error = FitError::of(3);
        error.count(&fit(Code::Unschedulable, &[Reason::InsufficientCpu]), 3);
        assert_eq!(
            error.message(false, &names),
            "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, \
             preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
        );
        let mut error = FitError::of(5);
        let tainted = Rejection::unresolvable(Plugin::TaintToleration, Reason::UntoleratedTaint);
        error.count(&tainted, 2);
        let both = [Reason::InsufficientCpu, Reason::InsufficientMemory];
        error.count(&fit(Code::Unschedulable, &both), 3);
        assert_eq!(
            error.message(false, &names),
            "0/5 nodes are available: 2 node(s) had untolerated taint(s), 3 Insufficient cpu, \
             3 Insufficient memory. no new claims to deallocate, preemption: 0/5 nodes are \
             available: 2 Preemption is not helpful for scheduling, 3 No preemption victims found \
             for incoming pod."
        );
        assert!(
            error
                .message(true, &names)
                .ends_with("preemption: not eligible due to preemptionPolicy=Never.")
        );
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
            error.message(false, &names),
            "0/15 nodes are available: 10 Insufficient cpu, 2 Too many pods, 3 node(s) had \
             untolerated taint(s). no new claims to deallocate, preemption: 0/15 nodes are \
             available: 15 Preemption is not helpful for scheduling."
        );
    }
}
