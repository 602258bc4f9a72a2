//! A class's view of all nodes, kept between decisions and refreshed only where a node changed.
//!
//! By place of the walk: who rejects, and the part of the total that the node alone decides
//! (requests that fit, evenness). With the greatest of each 64 places, a decision reads a few words
//! for the end of the search and a few for the best node; normalised scores (taints to be avoided,
//! preferred affinity) are computed over the found nodes only where they are not the same for all.
//!
//! ```text
//! change log ─► refresh places ─► feasible bits, local totals, greatest of 64
//!                                        │ start, enough
//!                                        ▼
//!                   window of the search ─► best total ─► first of the heap's walk
//! ```

use crate::base::cast;
use crate::model::{NodeId, PodSpec, Profile, Scoring};

use super::bits::{WORD, mask_of, nth_bit, ones};
use super::classes::{Class, Statics, filter_static};
use super::failure::{Failure, FitError};
use super::nodes::{Line, NodeState, Nodes};
use super::plugins::{balanced_allocation, node_ports, resources_fit};
use super::select::{SCORE_MAX, normalized, normalized_reverse, preorder};
use super::social::Judge;
use super::verdict::{Plugin, Rejection};
use super::world::World;

/// The local total of a place that does not take the class.
const NEVER: i16 = i16::MIN;

/// Weights and strategy of a profile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) taint_toleration: i64,
    pub(super) node_affinity: i64,
    resources_fit: i64,
    balanced_allocation: i64,
    /// PodTopologySpread.
    pub(super) spread: i64,
    /// InterPodAffinity.
    pub(super) inter_pod: i64,
    /// ImageLocality.
    pub(super) images: i64,
    is_most: bool,
}

impl Weights {
    pub(super) fn of(profile: &Profile) -> Self {
        Self {
            taint_toleration: profile.weight(Plugin::TaintToleration),
            node_affinity: profile.weight(Plugin::NodeAffinity),
            resources_fit: profile.weight(Plugin::NodeResourcesFit),
            balanced_allocation: profile.weight(Plugin::NodeResourcesBalancedAllocation),
            spread: profile.weight(Plugin::PodTopologySpread),
            inter_pod: profile.weight(Plugin::InterPodAffinity),
            images: profile.weight(Plugin::ImageLocality),
            is_most: profile.args.scoring == Scoring::MostAllocated,
        }
    }
}

/// What changes of a decision about pods of one class: numbers of the pod and of the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    requests: [i64; 2],
    nonzero: [i64; 2],
    scores_balance: bool,
    /// Whether CPU, memory and the number of pods are all that has to fit.
    pub(super) is_simple: bool,
}

impl Numbers {
    pub(super) fn of(pod: &PodSpec, world: &World<'_>) -> Self {
        let others = pod.requests.ephemeral_storage.0 > 0 || !pod.requests.scalars.is_empty();
        Self {
            requests: [pod.requests.cpu.0, pod.requests.memory.0],
            nonzero: [pod.scored_requests.cpu.0, pod.scored_requests.memory.0],
            scores_balance: !balanced_allocation::skips(pod, world),
            is_simple: !others && pod.host_ports.is_empty(),
        }
    }

    /// Whether number of pods, CPU and memory fit (rule S86).
    pub(super) fn fits(&self, line: &Line) -> bool {
        let fits = |of: usize| {
            self.requests[of] <= 0 || self.requests[of] <= line.allocatable[of] - line.requested[of]
        };
        line.room > 0 && fits(0) && fits(1)
    }

    /// The weighted scores that the node alone decides: those of [`resources_fit`] and
    /// [`balanced_allocation`] for CPU and memory.
    #[inline(always)]
    pub(super) fn local(&self, line: &Line, weights: &Weights) -> i64 {
        let [cpu, memory] = line.allocatable;
        if cpu <= 0 || memory <= 0 {
            return self.local_without(line, weights);
        }
        let inverse = line.inverse.map(f64::from);
        let percent = |at: usize| {
            let (requested, of) = (line.nonzero[at] + self.nonzero[at], line.allocatable[at]);
            let part = if weights.is_most { requested.min(of) } else { (of - requested).max(0) };
            let part = part.wrapping_mul(SCORE_MAX);
            let near = cast::i64_trunc(cast::f64_of_i64(part) * inverse[at]);
            let rest = part.wrapping_sub(near.wrapping_mul(of));
            near + i64::from(rest >= of) - i64::from(rest < 0)
        };
        let mut total = weights.resources_fit * ((percent(0) + percent(1)) / 2);
        if self.scores_balance {
            let with = [0, 1].map(|at| line.requested[at] + self.requests[at]);
            let with = balanced_allocation::evenness_near(with, line.allocatable, inverse);
            let gain = balanced_allocation::gain(with, i64::from(line.evenness));
            total += weights.balanced_allocation * gain;
        }
        total
    }

    /// The same of a node that lacks one of the two.
    #[cold]
    fn local_without(&self, line: &Line, weights: &Weights) -> i64 {
        let requested = [0, 1].map(|of| line.nonzero[of] + self.nonzero[of]);
        let fit = resources_fit::score_of_two(weights.is_most, requested, line.allocatable);
        let mut total = weights.resources_fit * fit;
        if self.scores_balance {
            let with = [0, 1].map(|of| line.requested[of] + self.requests[of]);
            let with = balanced_allocation::evenness(with, line.allocatable);
            let gain = balanced_allocation::gain(with, i64::from(line.evenness));
            total += weights.balanced_allocation * gain;
        }
        total
    }
}

/// What a decision reads beside the columns.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) class: &'a Class,
    pub(super) statics: &'a Statics,
    pub(super) nodes: &'a Nodes,
    pub(super) weights: &'a Weights,
    pub(super) world: &'a World<'a>,
}

/// The verdicts and local totals of all nodes for one class.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    numbers: Numbers,
    /// How far the log has been read.
    seen: u64,
    /// A bit a place: the class is let on.
    feasible: Vec<u64>,
    /// Places that changed since they were looked at last: a bit each.
    stale: Vec<u64>,
    /// The local total of each place; [`NEVER`] where the class is not let on.
    local: Vec<i16>,
    /// The greatest local total of each 64 places.
    best: Vec<i16>,
    /// Which of `rejections` each place gives, plus 1; 0 where the class is let on.
    verdicts: Vec<u32>,
    /// The different rejections and how many places give each.
    rejections: Vec<(Rejection, u32)>,
    /// What these rejections come to, once it was asked for.
    failure: Option<Failure>,
}

/// The found nodes: places from `start` on, circularly, up to the first that is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// One or two runs of places, in the order of the search.
    runs: [(usize, usize); 2],
    /// How many of them take the pod.
    found: usize,
    next_start: usize,
}

/// A node and what the search was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) node: NodeId,
    pub(super) found: usize,
    pub(super) next_start: usize,
}

impl Columns {
    pub(super) fn new(with: Reader<'_>) -> Self {
        Self {
            numbers: Numbers::of(&with.class.info.spec, with.world),
            seen: 0,
            feasible: Vec::new(),
            stale: Vec::new(),
            local: Vec::new(),
            best: Vec::new(),
            verdicts: Vec::new(),
            rejections: Vec::new(),
            failure: None,
        }
    }

    /// Bytes that columns of so many nodes take, about.
    pub(super) const fn size(nodes: usize) -> usize {
        nodes * 7 + 256
    }

    /// Notes the nodes that changed since it was read last. They are looked at when a search comes
    /// to them: one that ends early never looks at most of them.
    pub(super) fn catch_up(&mut self, with: Reader<'_>) {
        let log = with.nodes.log();
        match log.since(self.seen).filter(|_| self.local.len() == with.nodes.len()) {
            Some(places) => {
                for place in places {
                    let place = cast::usize_of(*place);
                    self.stale[place / WORD] |= 1 << (place % WORD);
                }
            }
            None => self.fill(with),
        }
        self.seen = log.end();
    }

    /// Looks at those of 64 places that changed: first at all that still take the class, of which
    /// only the local total is another, one computation beside the other; then at the rest.
    #[inline]
    fn refresh(&mut self, word: usize, with: Reader<'_>) {
        let stale = std::mem::take(&mut self.stale[word]);
        if stale == 0 {
            return;
        }
        let mut others = stale & !self.feasible[word];
        let lines = with.nodes.lines();
        for bit in ones(stale & self.feasible[word]) {
            let at = word * WORD + bit;
            let is_let_on = self.numbers.is_simple && with.statics.rejects[at].is_none();
            if is_let_on && self.numbers.fits(&lines[at]) {
                self.local[at] = small(self.numbers.local(&lines[at], with.weights));
            } else {
                others |= 1 << bit;
            }
        }
        for bit in ones(others) {
            self.judge_place(word * WORD + bit, with);
        }
        self.best[word] = self.best_of(word);
    }

    fn fill(&mut self, with: Reader<'_>) {
        let nodes = with.nodes.len();
        self.feasible = vec![0; nodes.div_ceil(WORD)];
        self.stale = vec![0; nodes.div_ceil(WORD)];
        self.local = vec![NEVER; nodes];
        self.best = vec![NEVER; nodes.div_ceil(WORD)];
        self.verdicts = vec![0; nodes];
        self.rejections.clear();
        self.failure = None;
        for at in 0..nodes {
            let verdict = self.verdict(at, with);
            self.enter(at, verdict, with);
        }
        for word in 0..self.best.len() {
            self.best[word] = self.best_of(word);
        }
    }

    fn verdict(&self, at: usize, with: Reader<'_>) -> Result<(), Rejection> {
        let is_let_on = with.statics.rejects[at].is_none();
        if is_let_on && self.numbers.is_simple && self.numbers.fits(&with.nodes.lines()[at]) {
            return Ok(());
        }
        filter(&with.class.info.spec, with.nodes.at(at), with.world)
    }

    /// Enters the verdict of a place that has none.
    fn enter(&mut self, at: usize, verdict: Result<(), Rejection>, with: Reader<'_>) {
        match verdict {
            Ok(()) => {
                self.feasible[at / WORD] |= 1 << (at % WORD);
                self.local[at] = small(self.numbers.local(&with.nodes.lines()[at], with.weights));
                self.verdicts[at] = 0;
            }
            Err(rejection) => {
                let known = self.rejections.iter().position(|(r, _)| *r == rejection);
                let index = known.unwrap_or_else(|| {
                    self.rejections.push((rejection, 0));
                    self.rejections.len() - 1
                });
                self.rejections[index].1 += 1;
                self.local[at] = NEVER;
                self.verdicts[at] = cast::u32_of(index + 1);
            }
        }
    }

    /// Looks at a place of which all may have changed.
    fn judge_place(&mut self, at: usize, with: Reader<'_>) {
        let verdict = self.verdict(at, with);
        match (self.verdicts[at], &verdict) {
            (index, Err(rejection))
                if index > 0 && self.rejections[cast::usize_of(index) - 1].0 == *rejection => {}
            (index, _) => {
                if index > 0 || verdict.is_err() {
                    self.failure = None;
                }
                self.leave(at, index);
                self.enter(at, verdict, with);
            }
        }
    }

    fn leave(&mut self, at: usize, index: u32) {
        if index == 0 {
            self.feasible[at / WORD] &= !(1 << (at % WORD));
        } else {
            self.rejections[cast::usize_of(index) - 1].1 -= 1;
        }
    }

    fn best_of(&self, word: usize) -> i16 {
        let end = (word * WORD + WORD).min(self.local.len());
        self.local[word * WORD..end].iter().fold(NEVER, |best, local| best.max(*local))
    }

    /// The node that takes the next pod of the class, if one does.
    pub(super) fn choose(
        &mut self,
        start: usize,
        enough: usize,
        with: Reader<'_>,
    ) -> Option<Choice> {
        let window = self.window(start, enough, with);
        let place = match window.found {
            0 => return None,
            1 => self.places(window).next().expect("the one found").1,
            _ if with.statics.is_uniform() => self.best_local(window),
            _ => self.best_total(window, with),
        };
        Some(Choice {
            node: with.nodes.order()[place],
            found: window.found,
            next_start: window.next_start,
        })
    }

    /// Ends the search at the place after the last of `enough` feasible ones that is feasible
    /// itself; without such a place it goes once round (rules S23, S27).
    fn window(&mut self, start: usize, enough: usize, with: Reader<'_>) -> Window {
        let nodes = self.local.len();
        let words = self.feasible.len();
        let mut found = 0;
        for step in 0..=words {
            let word = (start / WORD + step) % words;
            self.refresh(word, with);
            let mask = mask_of(step, words, start);
            let bits = self.feasible[word] & mask;
            let count = cast::usize_of(bits.count_ones());
            if found + count > enough {
                let end = word * WORD + nth_bit(bits, enough - found);
                let runs = if end > start {
                    [(start, end), (end, end)]
                } else {
                    [(start, nodes), (0, end)]
                };
                return Window { runs, found: enough, next_start: end };
            }
            found += count;
        }
        Window { runs: [(start, nodes), (0, start)], found, next_start: start }
    }

    /// The feasible bits of each word that a run touches: word and bits, in order.
    fn words(&self, (from, to): (usize, usize)) -> impl Iterator<Item = (usize, u64)> {
        (from / WORD..to.div_ceil(WORD)).map(move |word| {
            let mut bits = self.feasible[word];
            if word == from / WORD {
                bits &= u64::MAX << (from % WORD);
            }
            if word == to / WORD {
                bits &= !(u64::MAX << (to % WORD));
            }
            (word, bits)
        })
    }

    /// All feasible places of the window with their numbers in the list of those found.
    fn places(&self, window: Window) -> impl Iterator<Item = (usize, usize)> {
        let words = window.runs.into_iter().filter(|(from, to)| from < to);
        let words = words.flat_map(|run| self.words(run));
        words.flat_map(|(word, bits)| ones(bits).map(move |bit| word * WORD + bit)).enumerate()
    }

    /// The best local total of the window, and of equal ones the first on the heap's walk.
    fn best_local(&self, window: Window) -> usize {
        let runs = || window.runs.into_iter().filter(|(from, to)| from < to);
        let words = || runs().flat_map(|run| self.words(run));
        let best = words().map(|(word, bits)| self.best_among(word, bits));
        let best = best.max().unwrap_or(NEVER);
        let (mut key, mut place, mut number) = (u64::MAX, usize::MAX, 0);
        for (word, bits) in words() {
            if self.best[word] >= best {
                for bit in self.firsts(best, (word, bits), number) {
                    let below = (bits & !(u64::MAX << bit)).count_ones();
                    let walk = preorder(number + cast::usize_of(below));
                    if walk < key {
                        (key, place) = (walk, word * WORD + bit);
                    }
                }
            }
            number += cast::usize_of(bits.count_ones());
        }
        place
    }

    /// The greatest local total of some places of a word.
    fn best_among(&self, word: usize, bits: u64) -> i16 {
        if bits == self.feasible[word] {
            return self.best[word];
        }
        let locals = ones(bits).map(|bit| self.local[word * WORD + bit]);
        locals.max().unwrap_or(NEVER)
    }

    /// Of the places of a word with this local total those that can be first on the heap's walk.
    /// The places of `bits` have numbers from `number` on; between two powers of two (counted from
    /// 1) a smaller number comes first, so only the first after each power counts.
    fn firsts(
        &self,
        total: i16,
        (word, bits): (usize, u64),
        number: usize,
    ) -> impl Iterator<Item = usize> + '_ {
        let (low, high) = (number + 1, number + cast::usize_of(bits.count_ones()));
        let mut power = low;
        std::iter::from_fn(move || {
            while power <= high {
                let from = nth_bit(bits, power - low);
                let next = (power + 1).next_power_of_two();
                power = next;
                let has_total = |bit: &usize| self.local[word * WORD + bit] == total;
                let first = ones(bits & (u64::MAX << from)).find(has_total);
                if first.is_some() {
                    return first;
                }
            }
            None
        })
    }

    /// The same with the scores that are normalised over the found nodes (rules S96, S100).
    fn best_total(&self, window: Window, with: Reader<'_>) -> usize {
        let statics = with.statics;
        let (mut taint_max, mut affinity_max) = (0, 0);
        for (_, place) in self.places(window) {
            taint_max = taint_max.max(statics.taint_raw[place]);
            affinity_max = affinity_max.max(statics.affinity_raw[place]);
        }
        let weights = with.weights;
        let total = |place: usize| {
            let taint = match statics.taint_raw[place] {
                0 => SCORE_MAX,
                raw => normalized_reverse(raw, taint_max),
            };
            let affinity = match statics.affinity_raw[place] {
                0 => 0,
                raw => normalized(raw, affinity_max),
            };
            i64::from(self.local[place])
                + weights.taint_toleration * taint
                + weights.node_affinity * affinity
        };
        let (mut best, mut key, mut at) = (i64::MIN, u64::MAX, usize::MAX);
        for (number, place) in self.places(window) {
            let total = total(place);
            if total > best || (total == best && preorder(number) < key) {
                (best, key, at) = (total, preorder(number), place);
            }
        }
        at
    }

    /// All places that the class fits on alone, in the order of the search, with their local totals.
    pub(super) fn candidates<'c, 'r>(
        &'c mut self,
        start: usize,
        with: Reader<'r>,
    ) -> Candidates<'c, 'r> {
        let words = self.feasible.len();
        Candidates { columns: self, with, start, words, step: 0, word: 0, bits: 0 }
    }

    /// Why no node takes the class when others forbid those that it fits on alone.
    pub(super) fn failure_with(
        &self,
        judge: Option<&Judge<'_>>,
        barred: &[(usize, Rejection)],
        with: Reader<'_>,
    ) -> Failure {
        let mut error = FitError::of(self.local.len());
        let mut rejections = self.rejections.clone();
        for (place, rejection) in barred {
            if let Some(own) = cast::usize_of(self.verdicts[*place]).checked_sub(1) {
                rejections[own].1 -= 1;
            }
            error.count(rejection, 1);
        }
        for (rejection, count) in rejections.iter().filter(|(_, count)| *count > 0) {
            error.count(rejection, *count);
        }
        let whole = Window { runs: [(0, self.local.len()), (0, 0)], found: 0, next_start: 0 };
        for (_, place) in self.places(whole) {
            let is_barred = barred.iter().any(|(barred, _)| *barred == place);
            let verdict = || judge?.verdict(with.nodes.order()[place]).err();
            if let Some(rejection) = (!is_barred).then(verdict).flatten() {
                error.count(&rejection, 1);
            }
        }
        Failure::without_victims(&error, &with.class.info.spec, with.world)
    }

    /// Why no node takes the class; the same text until a verdict changes.
    pub(super) fn failure(&mut self, with: Reader<'_>) -> Failure {
        let Self { failure, rejections, local, .. } = self;
        let new = || {
            let mut error = FitError::of(local.len());
            for (rejection, count) in rejections.iter().filter(|(_, count)| *count > 0) {
                error.count(rejection, *count);
            }
            Failure::without_victims(&error, &with.class.info.spec, with.world)
        };
        failure.get_or_insert_with(new).clone()
    }
}

/// The places that a class fits on alone, looked at one by one.
pub(super) struct Candidates<'c, 'r> {
    columns: &'c mut Columns,
    with: Reader<'r>,
    start: usize,
    words: usize,
    /// The next word of the walk, counted from that of the start.
    step: usize,
    word: usize,
    bits: u64,
}

impl Iterator for Candidates<'_, '_> {
    type Item = (usize, i64);

    fn next(&mut self) -> Option<(usize, i64)> {
        while self.bits == 0 {
            if self.step > self.words {
                return None;
            }
            self.word = (self.start / WORD + self.step) % self.words;
            self.columns.refresh(self.word, self.with);
            let mask = mask_of(self.step, self.words, self.start);
            self.bits = self.columns.feasible[self.word] & mask;
            self.step += 1;
        }
        let place = self.word * WORD + cast::usize_of(self.bits.trailing_zeros());
        self.bits &= self.bits - 1;
        Some((place, i64::from(self.columns.local[place])))
    }
}

/// The filters that a class without fellows and volumes meets, in order.
pub(super) fn filter(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> Result<(), Rejection> {
    filter_static(pod, node, world)?;
    node_ports::filter(pod, node, world.names)?;
    resources_fit::filter(pod, node, world)
}

/// A local total as columns keep it; profiles whose weights could pass the range have no columns.
fn small(total: i64) -> i16 {
    i16::try_from(total).expect("weights are small")
}
