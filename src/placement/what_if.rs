//! What would have helped a pod that goes nowhere: the smallest changes of the pod or the cluster,
//! each tried by the plain evaluation.
//!
//! Source: ours; Kubernetes says only why a pod does not fit.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Bytes, Interner, MilliCpu, Symbol};
use crate::model::{
    NodeId, NodeSpec, Operator, PodAffinityTerm, PodSpec, PodVolume, Profile, Requirement,
    Resources, Selector, Taint, TaintEffect, Toleration, TolerationOperator,
};

use super::nodes::Nodes;
use super::plain;
use super::pod_info::{Applicant, PodInfo};
use super::world::World;

/// How many changes are tried at most.
const TRIES_MAX: usize = 400;
/// How many amounts of less requests are tried at most.
const AMOUNTS_MAX: usize = 48;
/// How much a constraint's skew is raised at most.
const SKEW_MORE: i32 = 4;

/// Changes that together make the pod fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// Each in words: `request 500m less cpu (1500m in place of 2)`.
    pub changes: Vec<String>,
    /// The node that takes the pod then.
    pub node: String,
}

/// The pod and the cluster with some changes.
#[derive(Clone)]
struct Draft<'a> {
    info: PodInfo,
    nodes: Cow<'a, Nodes>,
    names: Cow<'a, Interner>,
    profile: Cow<'a, Profile>,
    changes: Vec<String>,
}

impl<'a> Draft<'a> {
    fn spec(&mut self) -> &mut PodSpec {
        Arc::make_mut(&mut self.info.spec)
    }

    /// The same with one change more.
    fn with(&self, words: String, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed.changes.push(words);
        changed
    }
}

/// Tries changes.
struct Search<'a> {
    of: &'a Applicant,
    world: World<'a>,
    start: usize,
    tries: usize,
}

/// The smallest changes that make the pod fit: single ones; two together where no single one does.
#[must_use]
pub fn remedies(of: &Applicant, world: &World<'_>, start: usize) -> Vec<Remedy> {
    let mut search = Search { of, world: *world, start, tries: 0 };
    let draft = Draft {
        info: PodInfo::clone(&of.info),
        nodes: Cow::Borrowed(world.nodes),
        names: Cow::Borrowed(world.names),
        profile: Cow::Borrowed(world.profile),
        changes: Vec::new(),
    };
    let loose = loosened(&draft);
    let mut found = search.less(&draft);
    found.extend(search.one_more_node(&draft));
    found.extend(search.all(&loose));
    if !found.is_empty() {
        return found;
    }
    for (at, first) in loose.iter().enumerate() {
        found.extend(search.less(first));
        found.extend(search.one_more_node(first));
        let seconds: Vec<Draft<'_>> = loosened(first)
            .into_iter()
            .filter(|second| {
                let added = second.changes.last();
                loose.iter().skip(at + 1).any(|other| other.changes.last() == added)
            })
            .collect();
        found.extend(search.all(&seconds));
    }
    found
}

impl<'a> Search<'a> {
    /// The node that takes the pod after these changes.
    fn fits(&mut self, draft: &Draft<'_>) -> Option<Remedy> {
        if self.tries >= TRIES_MAX {
            return None;
        }
        self.tries += 1;
        let of = Applicant { info: Arc::new(draft.info.clone()), ..self.of.clone() };
        let world = World {
            nodes: &draft.nodes,
            names: &draft.names,
            profile: &draft.profile,
            ..self.world
        };
        let chosen = plain::attempt(&of, &world, self.start).chosen?;
        let node = draft.names.resolve(draft.nodes.state(chosen).spec.name).to_owned();
        Some(Remedy { changes: draft.changes.clone(), node })
    }

    fn all(&mut self, drafts: &[Draft<'_>]) -> Vec<Remedy> {
        // Of the changes of one kind, where the later ones are larger, the first that helps.
        let mut found: Vec<Remedy> = Vec::new();
        let mut helped = BTreeSet::new();
        for draft in drafts {
            let kind = draft.changes.last().and_then(|words| words.split(" maxSkew").next());
            let kind = kind.unwrap_or_default().to_owned();
            if helped.contains(&kind) {
                continue;
            }
            if let Some(remedy) = self.fits(draft) {
                helped.insert(kind);
                found.push(remedy);
            }
        }
        found
    }

    /// Smaller requests: of one resource alone, else of several.
    fn less(&mut self, draft: &Draft<'_>) -> Vec<Remedy> {
        let mut amounts = lacking(draft);
        amounts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        amounts.dedup_by(|a, b| a.lacks == b.lacks);
        let mut found = Vec::new();
        let mut helped: Vec<Vec<Kind>> = Vec::new();
        for amount in amounts.iter().take(AMOUNTS_MAX) {
            let kinds: Vec<Kind> = amount.lacks.iter().map(|(kind, _)| *kind).collect();
            let is_covered = |other: &Vec<Kind>| other.iter().all(|kind| kinds.contains(kind));
            if helped.iter().any(is_covered) {
                continue;
            }
            let less = draft.with(amount.words(draft), |draft| amount.take(draft.spec()));
            if let Some(remedy) = self.fits(&less) {
                helped.push(kinds);
                found.push(remedy);
            }
        }
        found
    }

    /// An empty node like those that are there, one a pool.
    fn one_more_node(&mut self, draft: &Draft<'_>) -> Vec<Remedy> {
        let mut found = Vec::new();
        let mut helped: BTreeSet<String> = BTreeSet::new();
        for like in kinds_of_nodes(&draft.nodes) {
            let pool = pool_of(like, &draft.names);
            if helped.contains(&pool) {
                continue;
            }
            let more = draft.with(format!("one more node {pool}"), |draft| add_node(draft, like));
            if let Some(remedy) = self.fits(&more) {
                helped.insert(pool);
                found.push(remedy);
            }
        }
        found
    }
}

/// A resource of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Cpu,
    Memory,
    Storage,
    Other(Symbol),
}

/// By how much the requests are too large for a node.
struct Lacking {
    lacks: Vec<(Kind, i64)>,
    /// Sum of the shares of the requests, and a whole for each resource.
    cost: f64,
}

fn amount_of(resources: &Resources, kind: Kind) -> i64 {
    match kind {
        Kind::Cpu => resources.cpu.0,
        Kind::Memory => resources.memory.0,
        Kind::Storage => resources.ephemeral_storage.0,
        Kind::Other(name) => resources.scalar(name),
    }
}

/// What each node lacks for the requests, where smaller ones help.
fn lacking(draft: &Draft<'_>) -> Vec<Lacking> {
    let wanted = &draft.info.spec.requests;
    let mut kinds = vec![Kind::Cpu, Kind::Memory, Kind::Storage];
    kinds.extend(wanted.scalars.iter().map(|(name, _)| Kind::Other(*name)));
    let of_node = |node: &NodeId| {
        let state = draft.nodes.state(*node);
        let lack = |kind: &Kind| {
            let wanted = amount_of(wanted, *kind);
            let taken = amount_of(&state.usage.requested, *kind);
            let lack = taken + wanted - amount_of(&state.spec.allocatable, *kind);
            (wanted > 0 && lack > 0).then_some((*kind, lack))
        };
        let lacks: Vec<(Kind, i64)> = kinds.iter().filter_map(lack).collect();
        let some_is_left = |(kind, lack): &(Kind, i64)| *lack < amount_of(wanted, *kind);
        if lacks.is_empty() || !lacks.iter().all(some_is_left) {
            return None;
        }
        let share = |(kind, lack): &(Kind, i64)| {
            1.0 + crate::base::cast::f64_of_i64(*lack)
                / crate::base::cast::f64_of_i64(amount_of(wanted, *kind))
        };
        let cost = lacks.iter().map(share).sum();
        Some(Lacking { lacks, cost })
    };
    draft.nodes.order().iter().filter_map(of_node).collect()
}

impl Lacking {
    fn words(&self, draft: &Draft<'_>) -> String {
        let text = |kind: Kind, amount: i64| match kind {
            Kind::Cpu => MilliCpu(amount).to_string(),
            Kind::Memory | Kind::Storage => Bytes(amount).to_string(),
            Kind::Other(_) => amount.to_string(),
        };
        let one = |(kind, lack): &(Kind, i64)| {
            let name = match kind {
                Kind::Cpu => "cpu",
                Kind::Memory => "memory",
                Kind::Storage => "ephemeral-storage",
                Kind::Other(name) => draft.names.resolve(*name),
            };
            let wanted = amount_of(&draft.info.spec.requests, *kind);
            let (less, left) = (text(*kind, *lack), text(*kind, wanted - lack));
            format!("{less} less {name} ({left} in place of {})", text(*kind, wanted))
        };
        let all: Vec<String> = self.lacks.iter().map(one).collect();
        format!("request {}", all.join(" and "))
    }

    fn take(&self, spec: &mut PodSpec) {
        for (kind, lack) in &self.lacks {
            for resources in [&mut spec.requests, &mut spec.scored_requests] {
                match kind {
                    Kind::Cpu => resources.cpu.0 = (resources.cpu.0 - lack).max(0),
                    Kind::Memory => resources.memory.0 = (resources.memory.0 - lack).max(0),
                    Kind::Storage => {
                        let amount = &mut resources.ephemeral_storage.0;
                        *amount = (*amount - lack).max(0);
                    }
                    Kind::Other(name) => resources.add_scalar(*name, -lack),
                }
            }
            match kind {
                Kind::Cpu => spec.nonzero_requests.0.0 -= lack,
                Kind::Memory => spec.nonzero_requests.1.0 -= lack,
                Kind::Storage | Kind::Other(_) => {}
            }
        }
    }
}

/// One node of each kind: of one pool, one zone, one size, with the same taints.
fn kinds_of_nodes(nodes: &Nodes) -> Vec<&NodeSpec> {
    let mut kinds: Vec<&NodeSpec> = Vec::new();
    for node in nodes.order() {
        let spec = &nodes.state(*node).spec;
        let is_like = |other: &&NodeSpec| {
            (other.pool, other.zone, other.pods_max) == (spec.pool, spec.zone, spec.pods_max)
                && other.allocatable == spec.allocatable
                && other.taints == spec.taints
        };
        if !kinds.iter().any(is_like) {
            kinds.push(spec);
        }
    }
    kinds
}

fn pool_of(like: &NodeSpec, names: &Interner) -> String {
    match names.resolve(like.pool) {
        "" => format!("like {}", names.resolve(like.name)),
        pool => format!("in pool {pool}"),
    }
}

fn add_node(draft: &mut Draft<'_>, like: &NodeSpec) {
    let mut spec = like.clone();
    let names = draft.names.to_mut();
    let stem = match names.resolve(like.pool) {
        "" => names.resolve(like.name).to_owned(),
        pool => pool.to_owned(),
    };
    let free = (0_u32..).map(|number| format!("{stem}-{number}"));
    let is_free = |name: &String| names.get(name).is_none_or(|n| draft.nodes.named(n).is_none());
    let name = { free }.find(is_free).expect("some number is free");
    spec.name = names.intern(&name);
    let host = names.intern("kubernetes.io/hostname");
    spec.labels.set(host, spec.name);
    spec.unschedulable = false;
    spec.taints.retain(|taint| !names.resolve(taint.key).starts_with("node.kubernetes.io/"));
    let last = draft.nodes.order().iter().max().map_or(0, |node| node.number() + 1);
    let names: &Interner = &draft.names;
    draft.nodes.to_mut().add(NodeId::new(last), spec, names);
}

/// The pod and cluster with one demand less, one draft a demand.
fn loosened<'a>(draft: &Draft<'a>) -> Vec<Draft<'a>> {
    let mut all = Vec::new();
    taints(draft, &mut all);
    node_demands(draft, &mut all);
    fellow_demands(draft, &mut all);
    other_demands(draft, &mut all);
    all
}

/// Tolerations of the taints that nodes have together, and nodes without a cordon.
fn taints<'a>(draft: &Draft<'a>, all: &mut Vec<Draft<'a>>) {
    let mut sets: Vec<Vec<&Taint>> = Vec::new();
    let names: &Interner = &draft.names;
    for node in draft.nodes.order() {
        let state = draft.nodes.state(*node);
        let repels = |taint: &&Taint| {
            taint.effect != TaintEffect::PreferNoSchedule
                && !draft.info.spec.tolerations.iter().any(|t| t.tolerates(taint))
        };
        let set: Vec<&Taint> = state.spec.taints.iter().filter(repels).collect();
        let is_of_its_own =
            |taint: &&Taint| names.resolve(taint.key).starts_with("node.kubernetes.io/");
        if !set.is_empty() && !set.iter().any(is_of_its_own) && !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets.sort_by_key(Vec::len);
    for set in sets {
        let words: Vec<String> = set.iter().map(|taint| taint_text(taint, names)).collect();
        let more: Vec<Toleration> = set.iter().map(|taint| toleration_of(taint)).collect();
        let words = format!("tolerate {}", words.join(" and "));
        all.push(draft.with(words, |draft| draft.spec().tolerations.extend(more)));
    }
    for node in draft.nodes.order() {
        let spec = &draft.nodes.state(*node).spec;
        if spec.unschedulable {
            let mut open = spec.clone();
            open.unschedulable = false;
            let key = "node.kubernetes.io/unschedulable";
            open.taints.retain(|taint| names.resolve(taint.key) != key);
            let words = format!("uncordon node {}", names.resolve(spec.name));
            all.push(draft.with(words, |draft| {
                let names: &Interner = &draft.names;
                draft.nodes.to_mut().update(*node, &open, names);
            }));
        }
    }
}

fn toleration_of(taint: &Taint) -> Toleration {
    Toleration {
        key: Some(taint.key),
        operator: TolerationOperator::Equal,
        value: taint.value,
        effect: Some(taint.effect),
        seconds: None,
    }
}

fn taint_text(taint: &Taint, names: &Interner) -> String {
    let value = match names.resolve(taint.value) {
        "" => String::new(),
        value => format!("={value}"),
    };
    format!("{}{value}:{:?}", names.resolve(taint.key), taint.effect)
}

/// Without one label of the node selector, or without the required affinity to nodes.
fn node_demands<'a>(draft: &Draft<'a>, all: &mut Vec<Draft<'a>>) {
    let (spec, names) = (&draft.info.spec, &draft.names);
    for (key, value) in spec.node_selector.iter() {
        let words = format!("drop node selector {}={}", names.resolve(key), names.resolve(value));
        all.push(draft.with(words, |draft| draft.spec().node_selector.remove(key)));
    }
    let terms = spec.node_affinity.required.as_deref().unwrap_or_default();
    for (at, term) in terms.iter().enumerate() {
        for (index, requirement) in term.expressions.iter().enumerate() {
            let words =
                format!("drop required node affinity {}", requirement_text(requirement, names));
            all.push(draft.with(words, |draft| {
                let affinity = &mut draft.spec().node_affinity;
                let terms = affinity.required.as_mut().expect("it has terms");
                terms[at].expressions.remove(index);
                if terms[at].expressions.is_empty() && terms[at].fields.is_empty() {
                    affinity.required = None; // without anything it would match nothing
                }
            }));
        }
    }
    if spec.node_affinity.required.is_some() && terms.iter().all(|t| t.expressions.len() != 1) {
        let words = "drop all required node affinity".to_owned();
        all.push(draft.with(words, |draft| draft.spec().node_affinity.required = None));
    }
    let added = draft.profile.args.added_affinity.as_ref();
    if added.is_some_and(|added| added.required.is_some()) {
        let words = "drop the addedAffinity of the scheduler's profile".to_owned();
        all.push(draft.with(words, |draft| {
            draft.profile.to_mut().args.added_affinity = None;
        }));
    }
}

/// Without one term of affinity to pods, or without one spread constraint, or with more skew.
fn fellow_demands<'a>(draft: &Draft<'a>, all: &mut Vec<Draft<'a>>) {
    let (spec, names) = (&draft.info.spec, &draft.names);
    for (at, term) in spec.pod_affinity.required.iter().enumerate() {
        let words = format!("drop required affinity {}", term_text(term, names));
        all.push(draft.with(words, |draft| {
            draft.spec().pod_affinity.required.remove(at);
        }));
    }
    for (at, term) in spec.pod_affinity.anti_required.iter().enumerate() {
        let words = format!("drop required anti-affinity {}", term_text(term, names));
        all.push(draft.with(words, |draft| {
            draft.spec().pod_affinity.anti_required.remove(at);
        }));
    }
    for (at, constraint) in spec.spread.iter().enumerate().filter(|(_, c)| c.is_hard) {
        let (key, skew) = (names.resolve(constraint.topology_key), constraint.max_skew);
        for more in (1..=SKEW_MORE).map(|more| skew.saturating_add(more)) {
            let words = format!("spread over {key} with maxSkew {more} in place of {skew}");
            all.push(draft.with(words, |draft| draft.spec().spread[at].max_skew = more));
        }
        let words = format!("drop the spread constraint over {key}");
        all.push(draft.with(words, |draft| {
            draft.spec().spread.remove(at);
        }));
    }
}

/// Without one host port or one volume.
fn other_demands<'a>(draft: &Draft<'a>, all: &mut Vec<Draft<'a>>) {
    let (spec, names) = (&draft.info.spec, &draft.names);
    for (at, port) in spec.host_ports.iter().enumerate() {
        let words = format!("drop host port {}", port.port);
        all.push(draft.with(words, |draft| {
            draft.spec().host_ports.remove(at);
        }));
    }
    for (at, volume) in spec.volumes.iter().enumerate() {
        let what = match volume {
            PodVolume::Claim(name) => format!("claim {}", names.resolve(*name)),
            PodVolume::Ephemeral { volume, .. } => {
                format!("ephemeral volume {}", names.resolve(*volume))
            }
            PodVolume::Templated { template, .. } => {
                format!("claim template {}", names.resolve(*template))
            }
            PodVolume::Disk(disk) => format!("disk {}", names.resolve(disk.id)),
            PodVolume::Csi(driver) => format!("volume of driver {}", names.resolve(*driver)),
        };
        all.push(draft.with(format!("drop {what}"), |draft| {
            draft.spec().volumes.remove(at);
        }));
    }
}

fn term_text(term: &PodAffinityTerm, names: &Interner) -> String {
    let pods = term.selector.as_ref().map_or("none".to_owned(), |s| selector_text(s, names));
    format!("to pods {pods} by {}", names.resolve(term.topology_key))
}

/// A selector in the words of kubectl: `app=web,tier in (a,b)`.
fn selector_text(selector: &Selector, names: &Interner) -> String {
    let all: Vec<String> = selector.0.iter().map(|r| requirement_text(r, names)).collect();
    if all.is_empty() { "of any labels".to_owned() } else { all.join(",") }
}

fn requirement_text(requirement: &Requirement, names: &Interner) -> String {
    let key = names.resolve(requirement.key);
    let values: Vec<&str> = requirement.values.iter().map(|v| names.resolve(*v)).collect();
    match (requirement.operator, values.as_slice()) {
        (Operator::In, [value]) => format!("{key}={value}"),
        (Operator::NotIn, [value]) => format!("{key}!={value}"),
        (Operator::In, values) => format!("{key} in ({})", values.join(",")),
        (Operator::NotIn, values) => format!("{key} notin ({})", values.join(",")),
        (Operator::Exists, _) => key.to_owned(),
        (Operator::DoesNotExist, _) => format!("!{key}"),
        (Operator::Gt, values) => format!("{key} > {}", values.join(",")),
        (Operator::Lt, values) => format!("{key} < {}", values.join(",")),
    }
}
