//! Worked examples of the rules, and what must hold of every preemption.

use smallvec::smallvec;

use super::*;
use crate::base::{Bytes, Duration, Interner, MilliCpu, SimTime, Symbol};
use crate::model::{
    DisruptionBudget, Labels, NodeAffinity, NodeSelectorTerm, NodeSpec, ObjectName, Operator,
    PodId, PodSpec, PodVolume, Requirement, Resources, SchedulerSettings, Selector, Taint,
    TaintEffect,
};
use crate::placement::plain::attempt;
use crate::placement::{Failure, PlacedPod, Placer, PodInfo};

const fn node(number: u32) -> NodeId {
    NodeId::new(number)
}

const fn pod(number: u32) -> PodRef {
    PodRef { id: PodId::new(number), life: 0 }
}

/// The pod that asks.
const ASKING: PodRef = pod(1000);

fn amounts(cpu: i64, memory: i64) -> Resources {
    Resources { cpu: MilliCpu(cpu), memory: Bytes(memory), ..Resources::default() }
}

/// A cluster by hand.
struct Bench {
    names: Interner,
    placer: Placer,
    pods: u32,
}

impl Bench {
    /// Nodes `n0`, `n1` … of so many millicores and as many bytes.
    fn new(sizes: &[i64]) -> Self {
        Self::with(sizes, &SchedulerSettings::default(), |_, _, _| {})
    }

    fn with(
        sizes: &[i64],
        settings: &SchedulerSettings,
        change: impl Fn(usize, &mut NodeSpec, &mut Interner),
    ) -> Self {
        let mut names = Interner::new();
        names.intern("");
        let mut placer = Placer::new(settings);
        let mut nodes = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            let name = names.intern(&format!("n{number}"));
            let mut spec = NodeSpec::plain(name, amounts(*size, *size));
            change(number, &mut spec, &mut names);
            nodes.push((node(cast::u32_of(number)), spec));
        }
        placer.add_nodes(nodes, &names);
        Self { names, placer, pods: 0 }
    }

    fn spec(&mut self, priority: i32, cpu: i64) -> PodSpec {
        let scheduler = self.names.intern("default-scheduler");
        PodSpec { priority, requests: amounts(cpu, 0), ..PodSpec::plain(Vec::new(), scheduler) }
    }

    fn info(&mut self, spec: PodSpec, app: &str) -> Arc<PodInfo> {
        let (namespace, key) = (self.names.intern("default"), self.names.intern("app"));
        let labels = Labels::new([(key, self.names.intern(app))]);
        Arc::new(PodInfo::plain(namespace, labels, Arc::new(spec)))
    }

    /// Puts a pod on a node: priority, millicores, second in which it started.
    fn put(&mut self, on: u32, priority: i32, cpu: i64, start: u64) -> PodRef {
        self.put_with(on, priority, cpu, |placed| {
            placed.start = Some(SimTime::ZERO + Duration::secs(start));
        })
    }

    fn put_with(
        &mut self,
        on: u32,
        priority: i32,
        cpu: i64,
        change: impl FnOnce(&mut PlacedPod),
    ) -> PodRef {
        let this = pod(self.pods);
        self.pods += 1;
        let spec = self.spec(priority, cpu);
        let mut placed = PlacedPod::new(this, self.info(spec, "old"));
        placed.name = Some(self.names.intern(&format!("p{}", this.id.number())));
        change(&mut placed);
        self.placer.place(node(on), placed, &self.names);
        this
    }

    fn asks(&mut self, priority: i32, cpu: i64) -> PostFilter {
        let spec = self.spec(priority, cpu);
        self.asks_as(spec)
    }

    fn asks_as(&mut self, spec: PodSpec) -> PostFilter {
        let info = self.info(spec, "new");
        self.run(info, post_filter)
    }

    fn message(&mut self, spec: PodSpec) -> String {
        let info = self.info(spec, "new");
        self.run(info, |found, of, world| Failure::of(found, of, world).message.to_string())
    }

    fn run<T>(
        &self,
        info: Arc<PodInfo>,
        ask: impl FnOnce(&Attempt, &Applicant, &World<'_>) -> T,
    ) -> T {
        let nominated = self.placer.world(0, &self.names).nominator.node_of(ASKING);
        let of = Applicant { pod: ASKING, info, nominated, pinned: None };
        let world = self.placer.world(0, &self.names);
        let found = attempt(&of, &world, 0);
        assert_eq!(found.chosen, None, "the pod fits");
        ask(&found, &of, &world)
    }

    fn named(&mut self, name: &str) -> NodeAffinity {
        let values = smallvec![self.names.intern(name)];
        let key = self.names.intern("metadata.name");
        let fields = smallvec![Requirement { key, operator: Operator::In, values }];
        let term = NodeSelectorTerm { fields, ..NodeSelectorTerm::default() };
        NodeAffinity { required: Some(vec![term]), ..NodeAffinity::default() }
    }
}

fn without(plugin: Plugin, of: impl Fn(&mut crate::model::Profile) -> &mut Vec<Plugin>) -> Bench {
    let mut settings = SchedulerSettings::default();
    of(&mut settings.profiles[0]).retain(|known| *known != plugin);
    Bench::with(&[100], &settings, |_, _, _| {})
}

#[test]
fn the_pick_of_v15() {
    let mut bench = Bench::new(&[1000, 1000, 1000]);
    bench.put(0, 10, 1000, 0);
    bench.put(1, 5, 500, 0);
    bench.put(1, 5, 500, 0);
    let victim = bench.put(2, 5, 1000, 0);
    let found = bench.asks(100, 1000);
    assert_eq!(found.nomination, Nomination::Set(node(2)));
    assert_eq!((found.victims, found.message.as_str()), (vec![victim], ""));
    let preemption = found.preemption.expect("a preemption");
    assert_eq!((preemption.wanted, preemption.offset, preemption.candidates.len()), (3, 0, 3));
    assert_eq!(preemption.best, [node(2)]);
}

#[test]
fn messages_of_s127() {
    let mut full = Bench::new(&[100, 100, 100]);
    for on in 0..3 {
        full.put(on, 0, 100, 0);
    }
    let spec = full.spec(0, 50);
    assert_eq!(
        full.message(spec),
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 \
         nodes are available: 3 No preemption victims found for incoming pod."
    );

    let taint = |number: usize, spec: &mut NodeSpec, names: &mut Interner| {
        if number < 2 {
            let (key, value) = (names.intern("gpu"), names.intern("yes"));
            spec.taints = vec![Taint { key, value, effect: TaintEffect::NoSchedule }];
        }
    };
    let mut tainted = Bench::with(&[100; 5], &SchedulerSettings::default(), taint);
    for on in 2..5 {
        let spec = PodSpec { requests: amounts(100, 100), ..tainted.spec(0, 0) };
        let placed = PlacedPod::new(pod(on), tainted.info(spec, "old"));
        tainted.placer.place(node(on), placed, &tainted.names);
    }
    let spec = PodSpec { requests: amounts(50, 50), ..tainted.spec(0, 0) };
    assert_eq!(
        tainted.message(spec),
        "0/5 nodes are available: 2 node(s) had untolerated taint(s), 3 Insufficient cpu, 3 \
         Insufficient memory. no new claims to deallocate, preemption: 0/5 nodes are available: 2 \
         Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod."
    );

    let mut pinned = Bench::new(&[100; 4]);
    let spec = PodSpec { requests: amounts(0, 100), ..pinned.spec(0, 0) };
    let placed = PlacedPod::new(pod(0), pinned.info(spec.clone(), "old"));
    pinned.placer.place(node(1), placed, &pinned.names);
    let spec = PodSpec { node_affinity: pinned.named("n1"), ..spec };
    assert_eq!(
        pinned.message(spec),
        "0/4 nodes are available: 1 Insufficient memory, 3 node(s) didn't satisfy plugin(s) \
         [NodeAffinity]. no new claims to deallocate, preemption: 0/4 nodes are available: 1 No \
         preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling."
    );

    let mut claimless = Bench::new(&[100; 5]);
    let volumes = vec![PodVolume::Claim(claimless.names.intern("x"))];
    let spec = PodSpec { volumes, ..claimless.spec(0, 0) };
    assert_eq!(
        claimless.message(spec),
        "0/5 nodes are available: persistentvolumeclaim \"x\" not found. not found"
    );

    let mut started = Bench::new(&[100]);
    started.put(0, 0, 100, 0);
    let spec = started.spec(1, 50);
    assert_eq!(started.message(spec), "0/1 nodes are available: 1 Insufficient cpu.");
}

#[test]
fn profiles_without_one_of_the_plugins() {
    let full = |mut bench: Bench| {
        bench.put(0, 0, 100, 0);
        bench.asks(0, 50)
    };
    let no_victims = "preemption: 0/1 nodes are available: 1 No preemption victims found for \
                      incoming pod.";
    let found = full(without(Plugin::DynamicResources, |p| &mut p.post_filter));
    assert_eq!(found.message, no_victims);
    let found = full(without(Plugin::DefaultPreemption, |p| &mut p.post_filter));
    let kept = (found.message.as_str(), found.nomination, found.preemption);
    assert_eq!(kept, ("no new claims to deallocate", Nomination::Keep, None));
    // Its own PreFilter leaves no state then (rule X31).
    let found = full(without(Plugin::DynamicResources, |p| &mut p.pre_filter));
    assert_eq!((found.message.as_str(), found.is_error), ("not found", true));
}

#[test]
fn not_eligible_as_in_s171() {
    let under_way = |placed: &mut PlacedPod| {
        placed.is_terminating = true;
        placed.is_preempted = true;
    };
    let evicted = |placed: &mut PlacedPod| placed.is_terminating = true;
    let mut bench = Bench::new(&[100, 100]);
    bench.put_with(0, 0, 100, under_way);
    bench.put_with(1, 0, 100, evicted);
    let spec = bench.spec(1, 100);
    let never = bench.asks_as(PodSpec { preempts_never: true, ..spec.clone() });
    assert_eq!(
        (never.message.as_str(), never.nomination),
        (
            "no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.",
            Nomination::Keep
        )
    );
    let info = bench.info(spec.clone(), "new");
    bench.placer.nominator_mut().add(ASKING, Arc::clone(&info), node(0));
    let waits = bench.asks_as(spec.clone());
    let text = "no new claims to deallocate, preemption: not eligible due to a terminating pod on \
                the nominated node.";
    assert_eq!((waits.message.as_str(), waits.nomination), (text, Nomination::Keep));
    // Deletion for another reason does not hold it back; nobody is evicted twice (rule S186).
    bench.placer.nominator_mut().add(ASKING, info, node(1));
    let again = bench.asks_as(spec);
    assert!(matches!(again.nomination, Nomination::Set(_)));
    assert_eq!(again.victims, []);
}

#[test]
fn budgets_split_as_in_s179() {
    let mut bench = Bench::new(&[400]);
    let all: Vec<PodRef> = (0..4).map(|start| bench.put(0, 0, 100, start)).collect();
    let budget = |bench: &mut Bench, disrupted: Vec<Symbol>| {
        let name = bench.names.intern("default");
        let (key, old) = (bench.names.intern("app"), bench.names.intern("old"));
        let selector = Some(Selector::from_labels(&Labels::new([(key, old)])));
        let name = ObjectName { namespace: name, name };
        let budget =
            DisruptionBudget { allowed: 1, disrupted, ..DisruptionBudget::plain(name, selector) };
        bench.placer.catalog_mut().budgets = vec![budget];
    };
    // The first takes the one eviction; the three others are protected and put back first.
    budget(&mut bench, Vec::new());
    let found = bench.asks(1, 100);
    assert_eq!(found.victims, [all[0]]);
    assert_eq!(found.preemption.expect("a preemption").candidates[0].violations, 0);
    // It has been disrupted already: the second takes the eviction.
    let first = bench.names.intern("p0");
    budget(&mut bench, vec![first]);
    let found = bench.asks(1, 200);
    assert_eq!(found.victims, [all[0], all[1]]);
    let found = bench.asks(1, 300);
    assert_eq!(found.victims, [all[0], all[1], all[3]]);
    assert_eq!(found.preemption.expect("a preemption").candidates[0].violations, 1);
}

#[test]
fn nominations_of_lower_pods_are_withdrawn() {
    let mut bench = Bench::new(&[100]);
    bench.put(0, 0, 100, 0);
    for (number, priority) in [(500, 1), (501, 2), (502, 3)] {
        let spec = bench.spec(priority, 10);
        let info = bench.info(spec, "new");
        bench.placer.nominator_mut().add(pod(number), info, node(0));
    }
    let found = bench.asks(2, 50);
    assert_eq!(found.cleared, [pod(500)]);
}

#[test]
fn of_many_nodes_some_are_tried() {
    let mut bench = Bench::new(&[100; 250]);
    for on in 0..250 {
        bench.put(on, 0, 100, 0);
    }
    let found = bench.asks(1, 100).preemption.expect("a preemption");
    assert_eq!((found.potential.len(), found.wanted, found.candidates.len()), (250, 100, 100));
    assert_eq!(found.chosen, Some(found.potential[found.offset]));
    let offsets: Vec<usize> = (0..2000).map(|n| offset_of(pod(n))).collect();
    let low = offsets.iter().filter(|offset| **offset < 125).count();
    assert!((900..1100).contains(&low), "{low} of 2000 in the first half");
}

fn offset_of(pod: PodRef) -> usize {
    let names = Interner::new();
    let mut bench = Bench { names, placer: Placer::new(&SchedulerSettings::default()), pods: 0 };
    let spec = bench.spec(0, 0);
    let info = bench.info(spec, "new");
    offset(250, 100, &Applicant { pod, info, nominated: None, pinned: None })
}

/// A row of small numbers without order.
struct Row(u64);

impl Row {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 += 1;
        dist::mix(self.0) % limit
    }

    fn cpu(&mut self, least: u64, most: u64) -> i64 {
        i64::try_from(least + self.below(most - least)).expect("small")
    }

    fn priority(&mut self, limit: u64) -> i32 {
        i32::try_from(self.below(limit)).expect("small") - 1
    }
}

/// Fills a few nodes and asks; gives the millicores that were asked for.
fn filled(row: &mut Row) -> (Bench, i32, i64) {
    let sizes: Vec<i64> = (0..4).map(|_| row.cpu(500, 1500)).collect();
    let mut bench = Bench::new(&sizes);
    for (on, size) in (0..).zip(&sizes) {
        let mut left = *size;
        while left > 0 {
            let cpu = row.cpu(20, 300).min(left);
            let priority = row.priority(5);
            bench.put(on, priority, cpu, row.below(4));
            left -= cpu;
        }
    }
    (bench, row.priority(6), row.cpu(100, 900))
}

#[test]
fn victims_are_lower_enough_and_none_too_many() {
    let mut preemptions = 0;
    for seed in 0..300 {
        let (mut bench, priority, cpu) = filled(&mut Row(seed * 1_000_003));
        let found = bench.asks(priority, cpu);
        let preemption = found.preemption.expect("nodes are looked at");
        preemptions += u32::from(preemption.chosen.is_some());
        let world = bench.placer.world(0, &bench.names);
        for candidate in &preemption.candidates {
            let state = world.nodes.state(candidate.node);
            let size = state.spec.allocatable.cpu.0;
            let cpu_of = |victim: &Victim| {
                let placed = state.pods.iter().find(|placed| placed.pod == victim.pod);
                placed.expect("a victim is on its node").info.spec.requests.cpu.0
            };
            let freed: i64 = candidate.victims.iter().map(cpu_of).sum();
            let left = size - state.usage.requested.cpu.0 + freed - cpu;
            assert!(left >= 0, "seed {seed}: the pod fits when its victims are gone");
            for victim in &candidate.victims {
                assert!(victim.priority < priority, "seed {seed}: {victim:?}");
                assert!(cpu_of(victim) > left, "seed {seed}: {victim:?} could stay");
            }
            let order = candidate.victims.windows(2);
            let is_sorted = |pair: &[Victim]| {
                (pair[1].priority, pair[0].start) <= (pair[0].priority, pair[1].start)
                    || pair[1].priority < pair[0].priority
            };
            assert!(order.into_iter().all(is_sorted), "seed {seed}: the most important first");
        }
        for (id, why) in &preemption.rejected {
            let lower = |placed: &PlacedPod| placed.info.spec.priority < priority;
            let any = world.nodes.state(*id).pods.iter().any(lower);
            assert_eq!(*why == NotHelpful::NoVictims, !any, "seed {seed}");
        }
    }
    assert!(preemptions > 100, "{preemptions} of 300 preempt");
}
