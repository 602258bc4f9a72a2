//! What a Job's failure policy says of a failed pod (rule C129).
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/pod_failure_policy.go `matchPodFailurePolicy`.
//! Differs: of a pod's conditions DisruptionTarget, Ready and PodScheduled are known.

use crate::base::Symbol;
use crate::cluster::{Cluster, ContainerExit, Pod};
use crate::model::{FailureAction, FailureMatch, FailureRule, PodSpec};

/// What a rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matched {
    /// Its action.
    pub action: FailureAction,
    /// Its place in the policy.
    pub rule: usize,
    /// What it saw.
    pub cause: Cause,
}

/// What of a pod matches a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The end of a container: its name and code.
    Exit(Symbol, i32),
    /// A condition, by its place in the rule.
    Condition(usize),
}

/// The first rule that matches a failed pod.
pub(super) fn first_match(rules: &[FailureRule], pod: &Pod, spec: &PodSpec) -> Option<Matched> {
    rules.iter().enumerate().find_map(|(place, rule)| {
        let cause = match &rule.when {
            FailureMatch::ExitCodes { container, is_in, values } => {
                let fits = |exit: &ContainerExit| {
                    container.is_none_or(|name| container_name(*exit, spec) == Some(name))
                        && values.contains(&exit.code) == *is_in
                };
                let exit = pod.status.exits.iter().find(fits)?;
                Cause::Exit(container_name(exit, spec)?, exit.code)
            }
            FailureMatch::Conditions(patterns) => {
                let fits = |pattern: &(Box<str>, Box<str>)| has_condition(pod, pattern);
                Cause::Condition(patterns.iter().position(fits)?)
            }
        };
        Some(Matched { action: rule.action, rule: place, cause })
    })
}

/// Regular containers stand before init containers.
fn container_name(exit: ContainerExit, spec: &PodSpec) -> Option<Symbol> {
    let all = spec.containers.iter().chain(&spec.init_containers);
    all.map(|container| container.name).nth(usize::from(exit.container))
}

fn has_condition(pod: &Pod, (kind, status): &(Box<str>, Box<str>)) -> bool {
    let holds = match &**kind {
        "DisruptionTarget" if pod.disruption.is_none() => return false,
        "DisruptionTarget" => true,
        "Ready" if pod.status.start_time.is_none() => return false,
        "Ready" => pod.status.ready,
        "PodScheduled" => pod.node.is_some(),
        _ => return false,
    };
    **status == *(if holds { "True" } else { "False" })
}

/// The message of the Job's failure.
pub(super) fn message(matched: Matched, pod: &Pod, rules: &[FailureRule], of: &Cluster) -> String {
    let names = of.names();
    let Matched { action, rule, cause } = matched;
    let action = action.as_str();
    let pod = format!("{}/{}", names.resolve(pod.namespace), pod.name.text(names));
    match cause {
        Cause::Exit(container, code) => format!(
            "Container {} for pod {pod} failed with exit code {code} matching {action} rule at \
             index {rule}",
            names.resolve(container)
        ),
        Cause::Condition(place) => {
            let kind = match &rules[rule].when {
                FailureMatch::Conditions(patterns) => &*patterns[place].0,
                FailureMatch::ExitCodes { .. } => "",
            };
            format!("Pod {pod} has condition {kind} matching {action} rule at index {rule}")
        }
    }
}
