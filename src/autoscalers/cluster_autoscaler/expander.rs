//! Which of the possible scale-ups is done.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 expander/{waste,mostpods,leastnodes,price,
//! priority,factory} (rules A147 to A152).

use crate::base::{Pattern, cast, math};
use crate::model::Resources;

use super::{Expander, Options};

/// A way to help pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The number of its group.
    pub group: usize,
    /// How many nodes.
    pub nodes: usize,
    /// Which pods, by their numbers in the view.
    pub pods: Vec<usize>,
    /// Groups that are alike.
    pub similar: Vec<usize>,
}

/// What the expanders read of a choice beside itself.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The id of its group.
    pub id: &'a str,
    /// `status.capacity` of a node.
    pub capacity: &'a Resources,
    /// What an hour of a node costs.
    pub price: f64,
    /// What its pods ask for.
    pub requests: Vec<&'a Resources>,
}

/// What the expanders say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// The numbers of the choices that survived each expander.
    pub rounds: Vec<(&'static str, Vec<usize>)>,
    /// What is written to the log.
    pub log: Vec<String>,
}

/// Asks the expanders one after another; `nodes` is the size of the cluster.
#[must_use]
pub fn rule(choices: &[Choice], facts: &[Facts<'_>], nodes: usize, options: &Options) -> Ruling {
    let mut ruling = Ruling::default();
    let mut left: Vec<usize> = (0..choices.len()).collect();
    for expander in &options.expanders {
        left = match expander {
            Expander::Random => left,
            Expander::LeastWaste => best(&left, |at| waste(&choices[at], &facts[at])),
            Expander::MostPods => best(&left, |at| -cast::f64_of_usize(choices[at].pods.len())),
            Expander::LeastNodes => best(&left, |at| cast::f64_of_usize(choices[at].nodes)),
            Expander::Price => best(&left, |at| cost(&choices[at], &facts[at], nodes)),
            Expander::Priority => by_priority(&left, facts, options, &mut ruling.log),
        };
        ruling.rounds.push((expander.name(), left.clone()));
        if left.len() == 1 {
            break;
        }
    }
    ruling
}

/// Those with the least, ties kept.
fn best(of: &[usize], score: impl Fn(usize) -> f64) -> Vec<usize> {
    let scores: Vec<f64> = of.iter().map(|at| score(*at)).collect();
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    of.iter()
        .zip(&scores)
        .filter(|(_, score)| score.total_cmp(&least).is_eq())
        .map(|(at, _)| *at)
        .collect()
}

/// Rule A148.
fn waste(choice: &Choice, facts: &Facts<'_>) -> f64 {
    let nodes = cast::i64_of(choice.nodes);
    let part = |amount: fn(&Resources) -> i64| {
        let asked: i64 = facts.requests.iter().map(|of| amount(of)).sum();
        let there = amount(facts.capacity) * nodes;
        cast::f64_of_i64(there - asked) / cast::f64_of_i64(there)
    };
    part(|of| of.cpu.0) + part(|of| of.memory.0)
}

const GIB: f64 = 1_073_741_824.0;

/// An hour of a pod: 0.03 a core and 0.004 a GiB.
fn pod_price(cpu: i64, memory: i64) -> f64 {
    cast::f64_of_i64(cpu) / 1_000.0 * 0.03 + cast::f64_of_i64(memory) / GIB * 0.004
}

/// Rules A150, A151.
fn cost(choice: &Choice, facts: &Facts<'_>, nodes: usize) -> f64 {
    let steady = pod_price(500, 500 << 20);
    let count = cast::f64_of_usize(choice.nodes);
    let mut pods = 0.0;
    facts.requests.iter().for_each(|of| pods += pod_price(of.cpu.0, of.memory.0));
    let share = (facts.price * count + steady) / (pods + steady);
    let preferred = match nodes {
        0..=2 => 1_000.0,
        3..=6 => 2_000.0,
        7..=20 => 4_000.0,
        21..=60 => 8_000.0,
        61..=200 => 16_000.0,
        _ => 32_000.0,
    };
    let cpu = cast::f64_of_i64(facts.capacity.cpu.0);
    let unfit = f64::max(preferred / cpu, cpu / preferred);
    let suppressed = (unfit - 1.0) * (1.0 - math::tanh((count - 1.0) / 15.0)) + 1.0;
    suppressed * share
}

/// Rule A152. If one pattern is none, the map as a whole counts as if it were not there.
fn by_priority(
    left: &[usize],
    facts: &[Facts<'_>],
    options: &Options,
    log: &mut Vec<String>,
) -> Vec<usize> {
    let mut priorities: Vec<(i64, Vec<Pattern>)> = Vec::new();
    for (priority, patterns) in &options.priorities {
        let read = patterns.iter().map(|pattern| Pattern::parse(pattern));
        let Ok(read) = read.collect() else { return left.to_vec() };
        priorities.push((*priority, read));
    }
    if priorities.is_empty() {
        return left.to_vec();
    }
    let mut highest: Option<i64> = None;
    let mut kept = Vec::new();
    for at in left {
        let id = facts[*at].id;
        let of_id = |(_, patterns): &&(i64, Vec<Pattern>)| {
            patterns.iter().any(|pattern| pattern.is_match(id))
        };
        let found = priorities.iter().filter(of_id).map(|(priority, _)| *priority);
        let Some(top) = found.max() else {
            log.push(format!(
                "PriorityConfigMapNotMatchedGroup: Priority expander: node group {id} not found \
                 in priority expander configuration. The group won't be used."
            ));
            continue;
        };
        if highest.is_none_or(|highest| top > highest) {
            highest = Some(top);
            kept.clear();
        }
        if highest == Some(top) {
            kept.push(*at);
        }
    }
    if highest.is_none() {
        log.push(
            "PriorityConfigMapNoGroupMatched: Priority expander: no priorities info found for any \
             of the expansion options. No options filtered."
                .to_owned(),
        );
        return left.to_vec();
    }
    kept
}
