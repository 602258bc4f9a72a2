//! Generators: pods that come without a controller, from an arrival process or a trace.
//!
//! A generator keeps its place and draws the next pod when the last one has come: however long a
//! run is, no list of pods is kept. Gaps, sizes and lifetimes have streams of their own, so that a
//! change of one leaves the others as they were.

use rand_chacha::ChaCha8Rng;

use crate::base::{Distribution, Duration, IdVec, Interner, SimTime, cast};
use crate::base::{dist::open01, math::ln};
use crate::cluster::{Change, Cluster, Component, NewPod, Plan, Write};
use crate::event::Event;
use crate::model::{Arrivals, GeneratorId, GeneratorSpec, Model, PoissonProcess, WorkloadKind};
use crate::record::PodName;
use crate::sim::{Ctx, CursorId, Streams};

/// Pods that one event makes at most, of those that come at the same instant.
const BATCH: u32 = 256;

/// All generators of the model.
#[derive(Debug)]
pub struct Generators {
    rows: IdVec<GeneratorId, Generator>,
}

#[derive(Debug)]
struct Generator {
    spec: GeneratorSpec,
    /// The sums of the weights up to each entry of the mix.
    weights: Vec<f64>,
    source: Source,
    cursor: Option<CursorId>,
    /// How many have come.
    number: u64,
    gaps: ChaCha8Rng,
    sizes: ChaCha8Rng,
    lifetimes: ChaCha8Rng,
}

/// When pods come, ready to be asked.
#[derive(Debug)]
enum Source {
    Poisson(PoissonProcess),
    Renewal(Distribution),
    Once(SimTime),
    Listed,
}

impl Generators {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let mut rows = IdVec::new();
        for spec in &model.generators {
            rows.push(Generator::new(spec, &model.names, streams));
        }
        Self { rows }
    }
}

impl Component<GeneratorId> for Generators {
    fn start(&mut self, _cluster: &Cluster, _plan: &mut Plan, ctx: &mut Ctx<'_>) {
        for (id, generator) in self.rows.enumerate_mut() {
            generator.cursor = Some(ctx.queue.add_cursor());
            let first = generator.next(SimTime::ZERO);
            generator.wait(id, first, ctx);
        }
    }

    fn observe(&mut self, _change: &Change, _cluster: &Cluster, _ctx: &mut Ctx<'_>) {}

    fn handle(&mut self, id: GeneratorId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let generator = &mut self.rows[id];
        for _ in 0..BATCH {
            plan.push(Write::CreatePod(generator.pod(id, cluster)));
            let next = generator.next(now);
            if next != Some(now) {
                return generator.wait(id, next, ctx);
            }
        }
        generator.wait(id, Some(now), ctx);
    }
}

impl Generator {
    fn new(spec: &GeneratorSpec, names: &Interner, streams: &Streams) -> Self {
        let name = names.resolve(spec.name);
        let mut sum = 0.0;
        let weights = spec.mix.iter().map(|(weight, _)| {
            sum += weight;
            sum
        });
        Self {
            weights: weights.collect(),
            source: match &spec.arrivals {
                Arrivals::Poisson(rate) => Source::Poisson(PoissonProcess::new(rate)),
                Arrivals::Renewal(gap) => Source::Renewal(gap.clone()),
                Arrivals::At(at) => Source::Once(*at),
                Arrivals::Listed(_) => Source::Listed,
            },
            spec: spec.clone(),
            cursor: None,
            number: 0,
            gaps: streams.open("generator-gaps", name),
            sizes: streams.open("generator-sizes", name),
            lifetimes: streams.open("generator-lifetimes", name),
        }
    }

    /// When the next pod comes, after one at `now`; `None`: never.
    ///
    /// All at one instant without a count is one pod.
    fn next(&mut self, now: SimTime) -> Option<SimTime> {
        let is_over = |count: u64| self.number >= count;
        if self.spec.count.is_some_and(is_over) {
            return None;
        }
        match &self.source {
            Source::Poisson(process) => process.next(now, -ln(open01(&mut self.gaps))),
            Source::Renewal(gap) => {
                let at = now.saturating_add(gap.sample_duration(&mut self.gaps));
                Some(at).filter(|at| *at < SimTime::MAX)
            }
            Source::Once(at) => Some(*at).filter(|_| self.spec.count.is_some() || self.number == 0),
            Source::Listed => self.listed().map(|(at, _, _)| at),
        }
    }

    /// The next entry of the list: instant, entry of the mix, lifetime.
    fn listed(&self) -> Option<(SimTime, usize, Option<Duration>)> {
        let Arrivals::Listed(list) = &self.spec.arrivals else {
            return None;
        };
        let pod = list.get(usize::try_from(self.number).ok()?)?;
        Some((pod.at, cast::usize_of(pod.template), pod.lifetime))
    }

    fn wait(&mut self, id: GeneratorId, next: Option<SimTime>, ctx: &mut Ctx<'_>) {
        if let (Some(cursor), Some(at)) = (self.cursor, next) {
            ctx.queue.set_cursor(cursor, at, Event::Generator(id));
        }
    }

    /// The pod that comes now.
    fn pod(&mut self, id: GeneratorId, cluster: &Cluster) -> NewPod {
        let (entry, lifetime) = match self.listed() {
            Some((_, entry, lifetime)) => (entry, lifetime),
            None => (self.entry(), self.lifetime()),
        };
        let template = &self.spec.mix[entry].1.0;
        let number = self.number;
        self.number += 1;
        let name = PodName::Numbered { prefix: self.spec.name, number };
        let row = cluster.generator_template(id, entry);
        NewPod {
            lifetime: lifetime.or(template.spec.lifetime),
            ..NewPod::new(self.spec.namespace, name, row, WorkloadKind::Generator)
        }
    }

    /// An entry of the mix, drawn by weight.
    fn entry(&mut self) -> usize {
        let [.., whole] = self.weights[..] else {
            return 0;
        };
        if self.weights.len() == 1 {
            return 0;
        }
        let place = open01(&mut self.sizes) * whole;
        let entry = self.weights.partition_point(|sum| *sum <= place);
        entry.min(self.weights.len() - 1)
    }

    fn lifetime(&mut self) -> Option<Duration> {
        let lifetime = self.spec.lifetime.as_ref()?;
        Some(lifetime.sample_duration(&mut self.lifetimes))
    }
}
