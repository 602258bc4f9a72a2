//! Counts of the pods that spreading and affinity ask about, kept up pod by pod.
//!
//! A counter says for one question ("pods of this namespace with these labels", "pods that carry
//! this term") how many there are on each node and in each domain of one topology key. A pod that
//! comes or goes changes the counters that count its class and nothing else, so a decision reads
//! sums where the plain evaluation walks over all pods.
//!
//! ```text
//! pod counted on a node ─► counters of its class ─► per node, per domain of the key
//! ```
//!
//! Which counters count which classes is found through anchors: a question that asks for a label
//! with one value in one namespace meets only the classes that have it, so thousands of workloads
//! that ask about themselves do not look at each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{IdVec, Interner, LookupMap, Symbol, cast};
use crate::model::{Labels, NodeId, NodeSpec, PodAffinity, PodAffinityTerm};

use super::classes::ClassId;
use super::nodes::Nodes;
use super::plugins::inter_pod_affinity::{OwnTerm, all_select};
use super::pod_info::PodInfo;

/// The place of a topology key.
type KeyId = usize;
/// The place of a counter.
pub(super) type CounterId = usize;

/// No domain: the node lacks the label.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What all counters together may take, in bytes; beyond it all are made anew when needed.
const COUNTERS_MAX: usize = 128 << 20;

/// How a pod carries a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Carried {
    /// Required affinity.
    Required,
    /// Required anti-affinity.
    AntiRequired,
    /// Preferred affinity with this weight.
    Preferred(i32),
    /// Preferred anti-affinity with this weight.
    AntiPreferred(i32),
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// Pods that all of these match; terminating ones only if it says so.
    Selected(Vec<OwnTerm>, bool),
    /// Pods that carry a term.
    Carriers(Carried, PodAffinityTerm),
}

impl Question {
    /// Whether pods that are being deleted do not count.
    const fn is_of_the_living(&self) -> bool {
        matches!(self, Self::Selected(_, false))
    }
}

/// The domains of one key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    label: Symbol,
    /// The domain of each node.
    pub(super) domain_of: IdVec<NodeId, u32>,
    by_value: LookupMap<Symbol, u32>,
    /// How many nodes each domain has.
    pub(super) nodes_in: Vec<u32>,
    /// How many nodes have the label.
    pub(super) nodes_with: usize,
}

impl Key {
    fn enter(&mut self, node: NodeId, labels: &Labels) {
        let domain = labels.get(self.label).map_or(NOWHERE, |value| {
            let new = cast::u32_of(self.nodes_in.len());
            let domain = *self.by_value.or_insert_with(value, || new);
            if domain == new {
                self.nodes_in.push(0);
            }
            self.nodes_in[cast::usize_of(domain)] += 1;
            self.nodes_with += 1;
            domain
        });
        grow(&mut self.domain_of, node, NOWHERE);
        self.domain_of[node] = domain;
    }

    fn leave(&mut self, node: NodeId) {
        let domain = std::mem::replace(&mut self.domain_of[node], NOWHERE);
        if domain != NOWHERE {
            self.nodes_in[cast::usize_of(domain)] -= 1;
            self.nodes_with -= 1;
        }
    }

    /// The domain of a node.
    pub(super) fn of(&self, node: NodeId) -> u32 {
        self.domain_of.get(node).copied().unwrap_or(NOWHERE)
    }
}

/// A question with its counts.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    pub(super) question: Question,
    pub(super) key: KeyId,
    /// Pods by node, those of nodes without the key too.
    pub(super) on_node: IdVec<NodeId, u32>,
    /// Pods by domain.
    pub(super) in_domain: Vec<u32>,
    /// Pods on nodes that have the key.
    pub(super) total: u64,
}

impl Counter {
    fn add(&mut self, node: NodeId, domain: u32, by: i32) {
        grow(&mut self.on_node, node, 0);
        let on_node = &mut self.on_node[node];
        *on_node = on_node.wrapping_add_signed(by);
        self.shift(domain, by);
    }

    /// Changes the sum of a domain.
    fn shift(&mut self, domain: u32, by: i32) {
        if domain == NOWHERE {
            return;
        }
        let domain = cast::usize_of(domain);
        if self.in_domain.len() <= domain {
            self.in_domain.resize(domain + 1, 0);
        }
        self.in_domain[domain] = self.in_domain[domain].wrapping_add_signed(by);
        self.total = self.total.wrapping_add_signed(i64::from(by));
    }

    /// How many pods a domain has.
    pub(super) fn count(&self, domain: u32) -> u32 {
        self.in_domain.get(cast::usize_of(domain)).copied().unwrap_or(0)
    }

    /// How many pods a node has.
    pub(super) fn on(&self, node: NodeId) -> u32 {
        self.on_node.get(node).copied().unwrap_or(0)
    }
}

/// A namespace, a label and its value: where questions and classes meet.
type Anchor = (Symbol, Symbol, Symbol);

/// Pods of a class on one node.
#[derive(Clone, Copy, Debug, Default)]
struct Heads {
    alive: u32,
    terminating: u32,
}

/// A class of which pods are or were counted.
#[derive(Clone, Debug)]
struct Counted {
    info: Arc<PodInfo>,
    /// Its pods by node.
    on: BTreeMap<NodeId, Heads>,
    /// The counters that count it, and how often.
    by: Vec<(CounterId, i32)>,
}

/// Which counters and classes may meet.
#[derive(Clone, Debug, Default)]
struct Meetings {
    counters: LookupMap<Anchor, Vec<CounterId>>,
    /// Counters of selections without an anchor.
    counters_of_all: Vec<CounterId>,
    classes: LookupMap<Anchor, Vec<ClassId>>,
    all_classes: Vec<ClassId>,
}

/// All counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Fellows {
    keys: Vec<Key>,
    key_of: LookupMap<Symbol, KeyId>,
    pub(super) counters: Vec<Counter>,
    counter_of: LookupMap<(Question, KeyId), CounterId>,
    /// The counters of carried terms, in the order in which they were made.
    pub(super) carriers: Vec<CounterId>,
    counted: IdVec<ClassId, Option<Counted>>,
    meetings: Meetings,
    /// Counts how often all counters were made anew: ids of before are void.
    pub(super) epoch: u64,
}

impl Fellows {
    /// The key of a counter.
    pub(super) fn key_of(&self, counter: CounterId) -> &Key {
        &self.keys[self.counters[counter].key]
    }

    /// The id of a key.
    pub(super) fn intern_key(&mut self, label: Symbol, nodes: &Nodes) -> KeyId {
        let keys = &mut self.keys;
        *self.key_of.or_insert_with(label, || {
            let mut key = Key {
                label,
                domain_of: IdVec::new(),
                by_value: LookupMap::new(),
                nodes_in: Vec::new(),
                nodes_with: 0,
            };
            for node in nodes.order() {
                key.enter(*node, &nodes.state(*node).spec.labels);
            }
            keys.push(key);
            keys.len() - 1
        })
    }

    /// The counter of a question about a key; made and filled if it is new.
    pub(super) fn counter(
        &mut self,
        question: Question,
        label: Symbol,
        nodes: &Nodes,
        names: &Interner,
    ) -> CounterId {
        let key = self.intern_key(label, nodes);
        if let Some(known) = self.counter_of.get(&(question.clone(), key)) {
            return *known;
        }
        let id = self.counters.len();
        self.counters.push(Counter {
            question: question.clone(),
            key,
            on_node: IdVec::new(),
            in_domain: Vec::new(),
            total: 0,
        });
        match &question {
            Question::Selected(all, _) => self.meet_classes(id, all, names),
            Question::Carriers(..) => self.carriers.push(id),
        }
        self.counter_of.insert((question, key), id);
        id
    }

    /// Finds the classes that a new counter of a selection counts.
    fn meet_classes(&mut self, id: CounterId, all: &[OwnTerm], names: &Interner) {
        let meetings = &mut self.meetings;
        let classes = if let Some(anchor) = all.iter().find_map(OwnTerm::anchor) {
            meetings.counters.or_insert_with(anchor, Vec::new).push(id);
            meetings.classes.get(&anchor)
        } else {
            meetings.counters_of_all.push(id);
            Some(&meetings.all_classes)
        };
        for class in classes.cloned().unwrap_or_default() {
            if all_select(all, &self.known(class).info, names) {
                self.count_by(class, id);
            }
        }
    }

    fn known(&self, class: ClassId) -> &Counted {
        self.counted[class].as_ref().expect("a class that was entered")
    }

    /// A counter counts a class once more: the pods that are there, and those to come.
    fn count_by(&mut self, class: ClassId, id: CounterId) {
        let Self { counted, counters, keys, .. } = self;
        let counted = counted[class].as_mut().expect("a class that was entered");
        match counted.by.iter_mut().find(|(counter, _)| *counter == id) {
            Some((_, times)) => *times += 1,
            None => counted.by.push((id, 1)),
        }
        let counter = &mut counters[id];
        let of_the_living = counter.question.is_of_the_living();
        for (node, heads) in &counted.on {
            let pods = heads.alive + if of_the_living { 0 } else { heads.terminating };
            if pods > 0 {
                let domain = keys[counter.key].of(*node);
                counter.add(*node, domain, i32::try_from(pods).unwrap_or(i32::MAX));
            }
        }
    }

    /// A class of which no pod was counted before: finds its counters, and makes those of the terms
    /// that its pods carry.
    fn enter_class(
        &mut self,
        class: ClassId,
        info: &Arc<PodInfo>,
        nodes: &Nodes,
        names: &Interner,
    ) {
        self.counted.grow_to(class);
        let info = Arc::clone(info);
        self.counted[class] =
            Some(Counted { info: Arc::clone(&info), on: BTreeMap::new(), by: Vec::new() });
        let meetings = &mut self.meetings;
        meetings.all_classes.push(class);
        let mut met = meetings.counters_of_all.clone();
        for (key, value) in info.labels.iter() {
            let anchor = (info.namespace, key, value);
            meetings.classes.or_insert_with(anchor, Vec::new).push(class);
            met.extend(meetings.counters.get(&anchor).into_iter().flatten());
        }
        for id in met {
            let Question::Selected(all, _) = &self.counters[id].question else { continue };
            if all_select(all, &info, names) {
                self.count_by(class, id);
            }
        }
        self.make_carried(class, &info.spec.pod_affinity, nodes, names);
    }

    /// Makes counters for the terms that pods of a class carry.
    fn make_carried(&mut self, class: ClassId, of: &PodAffinity, nodes: &Nodes, names: &Interner) {
        let required = of.required.iter().map(|t| (Carried::Required, t));
        let anti = of.anti_required.iter().map(|t| (Carried::AntiRequired, t));
        let preferred = of.preferred.iter().map(|(w, t)| (Carried::Preferred(*w), t));
        let avoided = of.anti_preferred.iter().map(|(w, t)| (Carried::AntiPreferred(*w), t));
        for (how, term) in required.chain(anti).chain(preferred).chain(avoided) {
            let question = Question::Carriers(how, term.clone());
            let id = self.counter(question, term.topology_key, nodes, names);
            self.count_by(class, id);
        }
    }

    /// A pod is counted on a node.
    pub(super) fn add(
        &mut self,
        (node, class): (NodeId, ClassId),
        info: &Arc<PodInfo>,
        is_terminating: bool,
        nodes: &Nodes,
        names: &Interner,
    ) {
        if self.counted.get(class).is_none_or(Option::is_none) {
            self.enter_class(class, info, nodes, names);
        }
        self.change(node, class, is_terminating, 1);
    }

    /// A pod is counted no longer.
    pub(super) fn remove(&mut self, node: NodeId, class: ClassId, is_terminating: bool) {
        self.change(node, class, is_terminating, -1);
    }

    fn change(&mut self, node: NodeId, class: ClassId, is_terminating: bool, sign: i32) {
        let heads = if is_terminating { (0, sign) } else { (sign, 0) };
        self.change_where(node, class, heads, sign, |question| {
            !(is_terminating && question.is_of_the_living())
        });
    }

    /// The deletion of a counted pod has begun (`sign` −1): spreading does not count it any more.
    pub(super) fn terminate(&mut self, node: NodeId, class: ClassId, sign: i32) {
        self.change_where(node, class, (sign, -sign), sign, Question::is_of_the_living);
    }

    /// Counts a pod of a class once more or once less in those of its counters that are meant.
    fn change_where(
        &mut self,
        node: NodeId,
        class: ClassId,
        (alive, terminating): (i32, i32),
        sign: i32,
        is_meant: impl Fn(&Question) -> bool,
    ) {
        let Self { counted, counters, keys, .. } = self;
        let Some(counted) = counted.get_mut(class).and_then(Option::as_mut) else { return };
        let heads = counted.on.entry(node).or_default();
        heads.alive = heads.alive.wrapping_add_signed(alive);
        heads.terminating = heads.terminating.wrapping_add_signed(terminating);
        if heads.alive == 0 && heads.terminating == 0 {
            counted.on.remove(&node);
        }
        for (id, times) in &counted.by {
            let counter = &mut counters[*id];
            if is_meant(&counter.question) {
                let domain = keys[counter.key].of(node);
                counter.add(node, domain, sign * times);
            }
        }
    }

    /// Nodes come, without pods.
    pub(super) fn enter_node(&mut self, node: NodeId, spec: &NodeSpec) {
        for key in self.keys.iter_mut() {
            key.enter(node, &spec.labels);
        }
    }

    /// A node goes; it has no pods any more.
    pub(super) fn leave_node(&mut self, node: NodeId) {
        for key in self.keys.iter_mut() {
            key.leave(node);
        }
    }

    /// A node's labels are others now: its pods are counted in other domains.
    pub(super) fn relabel(&mut self, node: NodeId, spec: &NodeSpec) {
        let Self { keys, counters, .. } = self;
        let before: Vec<u32> = keys.iter().map(|key| key.of(node)).collect();
        for key in keys.iter_mut() {
            key.leave(node);
            key.enter(node, &spec.labels);
        }
        for counter in counters.iter_mut() {
            let (old, new) = (before[counter.key], keys[counter.key].of(node));
            let pods = i32::try_from(counter.on(node)).unwrap_or(i32::MAX);
            if old != new && pods > 0 {
                counter.shift(old, -pods);
                counter.shift(new, pods);
            }
        }
    }

    /// Bytes of all counters, about.
    fn size(&self, nodes: usize) -> usize {
        self.counters.len() * (nodes * 4 + 256)
    }

    /// Forgets all counters when they have become too large; those of carried terms are made again
    /// at once, from the pods on the nodes.
    pub(super) fn limit(&mut self, nodes: &Nodes, names: &Interner) {
        if self.size(nodes.len()) <= COUNTERS_MAX {
            return;
        }
        self.epoch += 1;
        self.counters.clear();
        self.counter_of.clear();
        self.carriers.clear();
        self.meetings.counters.clear();
        self.meetings.counters_of_all.clear();
        for class in self.meetings.all_classes.clone() {
            let counted = self.counted[class].as_mut().expect("a class that was entered");
            counted.by.clear();
            let info = Arc::clone(&counted.info);
            self.make_carried(class, &info.spec.pod_affinity, nodes, names);
        }
    }
}

fn grow<T: Clone>(table: &mut IdVec<NodeId, T>, node: NodeId, with: T) {
    while table.len() <= node.index() {
        table.push(with.clone());
    }
}
