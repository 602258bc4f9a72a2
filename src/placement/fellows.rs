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

use crate::base::{IdVec, Interner, LookupMap, Symbol, cast};
use crate::model::{Labels, NodeId, NodeSpec, PodAffinity, PodAffinityTerm};

use super::classes::ClassId;
use super::nodes::{NodeState, Nodes};
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

/// Which counters count the pods of a class.
#[derive(Clone, Debug, Default)]
struct Counted {
    /// How many counters have been looked at.
    seen: usize,
    /// Those that count it, and how often.
    by: Vec<(CounterId, i32)>,
    /// Whether the terms that it carries have their counters.
    has_carried: bool,
}

/// All counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Fellows {
    keys: Vec<Key>,
    key_of: LookupMap<Symbol, KeyId>,
    pub(super) counters: Vec<Counter>,
    counter_of: LookupMap<(Question, KeyId), CounterId>,
    counted: IdVec<ClassId, Counted>,
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
        self.counter_of.insert((question, key), id);
        for node in nodes.order() {
            self.fill(id, *node, nodes.state(*node), names);
        }
        id
    }

    /// Counts the pods of a node for a new counter.
    fn fill(&mut self, id: CounterId, node: NodeId, state: &NodeState, names: &Interner) {
        for pod in &state.pods {
            let class = pod.class.expect("a counted pod has a class");
            self.look(class, &pod.info, names);
            let alive_only = self.counters[id].question.is_of_the_living();
            let last = self.counted[class].by.last();
            if let Some((_, times)) = last.filter(|(c, _)| *c == id)
                && !(alive_only && pod.is_terminating)
            {
                let times = *times;
                let domain = self.key_of(id).of(node);
                self.counters[id].add(node, domain, times);
            }
        }
    }

    /// Looks at counters that are new to a class.
    fn look(&mut self, class: ClassId, info: &PodInfo, names: &Interner) {
        let counted = self.counted.grow_to(class);
        for id in counted.seen..self.counters.len() {
            let times = match &self.counters[id].question {
                Question::Selected(all, _) => i32::from(all_select(all, info, names)),
                Question::Carriers(how, term) => carries(&info.spec.pod_affinity, *how, term),
            };
            if times > 0 {
                counted.by.push((id, times));
            }
        }
        counted.seen = self.counters.len();
    }

    /// Makes counters for the terms that pods of a class carry.
    fn make_carried(&mut self, class: ClassId, info: &PodInfo, nodes: &Nodes, names: &Interner) {
        if self.counted.grow_to(class).has_carried {
            return;
        }
        self.counted[class].has_carried = true;
        let of = &info.spec.pod_affinity;
        let required = of.required.iter().map(|t| (Carried::Required, t));
        let anti = of.anti_required.iter().map(|t| (Carried::AntiRequired, t));
        let preferred = of.preferred.iter().map(|(w, t)| (Carried::Preferred(*w), t));
        let avoided = of.anti_preferred.iter().map(|(w, t)| (Carried::AntiPreferred(*w), t));
        for (how, term) in required.chain(anti).chain(preferred).chain(avoided) {
            let question = Question::Carriers(how, term.clone());
            self.counter(question, term.topology_key, nodes, names);
        }
    }

    /// A pod is counted on a node; called before it stands there.
    pub(super) fn add(
        &mut self,
        (node, class): (NodeId, ClassId),
        info: &PodInfo,
        is_terminating: bool,
        nodes: &Nodes,
        names: &Interner,
    ) {
        if !info.spec.pod_affinity.is_empty() {
            self.make_carried(class, info, nodes, names);
        }
        self.look(class, info, names);
        self.change(node, class, is_terminating, 1);
    }

    /// A pod is counted no longer.
    pub(super) fn remove(&mut self, node: NodeId, class: ClassId, is_terminating: bool) {
        self.change(node, class, is_terminating, -1);
    }

    fn change(&mut self, node: NodeId, class: ClassId, is_terminating: bool, sign: i32) {
        self.change_where(node, class, sign, |question| {
            !(is_terminating && question.is_of_the_living())
        });
    }

    /// The deletion of a counted pod has begun (`sign` −1): spreading does not count it any more.
    pub(super) fn terminate(&mut self, node: NodeId, class: ClassId, sign: i32) {
        self.change_where(node, class, sign, Question::is_of_the_living);
    }

    /// Counts a pod of a class once more or once less in those of its counters that are meant.
    fn change_where(
        &mut self,
        node: NodeId,
        class: ClassId,
        sign: i32,
        is_meant: impl Fn(&Question) -> bool,
    ) {
        let Self { counted, counters, keys, .. } = self;
        let Some(counted) = counted.get(class) else { return };
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
        let epoch = self.epoch + 1;
        *self = Self { epoch, ..Self::default() };
        for node in nodes.order() {
            for pod in &nodes.state(*node).pods {
                if !pod.info.spec.pod_affinity.is_empty() {
                    let class = pod.class.expect("a counted pod has a class");
                    self.make_carried(class, &pod.info, nodes, names);
                }
            }
        }
    }
}

/// How often a pod carries a term.
fn carries(of: &PodAffinity, how: Carried, term: &PodAffinityTerm) -> i32 {
    if of.is_empty() {
        return 0;
    }
    let plain = |list: &[PodAffinityTerm]| list.iter().filter(|t| *t == term).count();
    let weighted = |list: &[(i32, PodAffinityTerm)], weight: i32| {
        list.iter().filter(|(w, t)| *w == weight && t == term).count()
    };
    let times = match how {
        Carried::Required => plain(&of.required),
        Carried::AntiRequired => plain(&of.anti_required),
        Carried::Preferred(weight) => weighted(&of.preferred, weight),
        Carried::AntiPreferred(weight) => weighted(&of.anti_preferred, weight),
    };
    i32::try_from(times).unwrap_or(i32::MAX)
}

fn grow<T: Clone>(table: &mut IdVec<NodeId, T>, node: NodeId, with: T) {
    while table.len() <= node.index() {
        table.push(with.clone());
    }
}
