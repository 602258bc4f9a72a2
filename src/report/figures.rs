//! The charts of a run, from its facts. Only what has data is drawn.

use crate::base::{Duration, SimTime, cast};
use crate::model::Workload;
use crate::record::{Cause, CommandRecord};
use crate::recorder::{
    CallCounts, Facts, Gauge, Interval, ReplicaPoint, Rollout, SamplePoint, ServiceCalls,
};

use super::chart::{Axis, Figure, Layer, Panel, Role, Stack, Unit};
use super::{figures_pools, figures_scaling, names, rollouts};

/// Charts of one kind at most.
pub(super) const EACH_MAX: usize = 8;
/// Commands marked in one chart at most.
const MARKERS_MAX: usize = 6;

/// All charts of a run, each with the name of its file.
#[must_use]
pub fn figures(facts: &Facts) -> Vec<(String, Figure)> {
    let mut all = Vec::new();
    all.extend(rollout_figures(facts));
    all.extend(call_figures(facts));
    all.extend(figures_scaling::all(facts));
    all.extend(nodes(facts).map(|figure| ("nodes".to_owned(), figure)));
    all.extend(pending(facts).map(|figure| ("pending".to_owned(), figure)));
    all
}

/// A name as a part of a file's name.
pub(super) fn file_part(name: &str) -> String {
    name.replace('/', "-")
}

pub(super) fn secs(at: SimTime) -> f64 {
    at.as_secs_f64()
}

/// What each figure says below its title.
pub(super) fn subtitle(facts: &Facts) -> String {
    let run = &facts.model.run;
    let of = match run.replications {
        1 => String::new(),
        runs => format!(", first of {runs} runs"),
    };
    format!("{}, seed {}{of}", facts.model.name, run.seed)
}

/// With the commands of the timeline between two instants; of those of one instant the one that
/// names one of `own` gives the label.
pub(super) fn with_commands(
    mut figure: Figure,
    facts: &Facts,
    (from, until): (f64, f64),
    own: &[&str],
) -> Figure {
    let inside = |c: &&CommandRecord| (from..=until).contains(&secs(c.at)) && c.refused.is_none();
    let done: Vec<&CommandRecord> = facts.commands.iter().filter(inside).collect();
    // Twins that are commanded at one instant share a mark.
    for group in done.chunk_by(|a, b| a.at == b.at).take(MARKERS_MAX) {
        let more = match group.len() {
            1 => String::new(),
            all => format!(" +{}", all - 1),
        };
        let of_own = group.iter().find(|command| own.iter().any(|own| is_about(command, own)));
        let label = format!("{}{more}", short(&of_own.unwrap_or(&group[0]).text));
        figure = figure.marker(secs(group[0].at), label);
    }
    figure
}

/// Whether a command names something: as `NAME`, `KIND/NAME` or `KIND/NAMESPACE/NAME`.
fn is_about(command: &CommandRecord, own: &str) -> bool {
    let name = own.rsplit('/').next();
    command.text.split_whitespace().any(|word| word.rsplit('/').next() == name)
}

/// A command without what everybody knows, cut to a length that fits above a chart.
fn short(text: &str) -> String {
    let known = |word: &&str| *word != "kubectl" && (word.starts_with('-') || !word.contains('='));
    let words: Vec<&str> = text.split_whitespace().filter(known).collect();
    let text = words.join(" ").replace("deployment/", "");
    if text.chars().count() <= 34 {
        return text;
    }
    let cut: String = text.chars().take(33).collect();
    format!("{cut}…")
}

fn rollout_figures(facts: &Facts) -> Vec<(String, Figure)> {
    let figure = |(workload, name): (Workload, String)| {
        let last = *rollouts::of_workload(facts, workload).last()?;
        let figure = rollout(facts, last, &names::with_kind(workload, &name))?;
        Some((format!("rollout-{}", file_part(&name)), figure))
    };
    names::rolling(&facts.model).into_iter().filter_map(figure).take(EACH_MAX).collect()
}

/// Pods by revision, those that are ready, and the failed calls, while a workload rolls.
fn rollout(facts: &Facts, last: &Rollout, name: &str) -> Option<Figure> {
    let (from, until) = rollouts::span(facts, last);
    let margin = Duration::secs(10).max((until - from) / 8);
    let window = (from.saturating_sub(margin), until.saturating_add(margin).min(facts.ended));
    let title = rollouts::title(facts, last);
    let replicas = replicas_panel(facts, last.workload, window, (last.revision, &title))?;
    let range = (secs(window.0), secs(window.1));
    let axis = Axis::clock().range(range.0, range.1);
    let mut figure = Figure::new(format!("Rollout of {name}: {title}"), axis)
        .subtitle(subtitle(facts))
        .panel(replicas);
    for panel in [failures_panel(facts, last, window), latency_of_services(facts, last, window)] {
        figure.panels.extend(panel);
    }
    figure = with_commands(figure, facts, range, &[name]);
    if let Some(completed) = last.completed {
        figure = figure.marker(secs(completed), "complete");
    }
    Some(figure)
}

fn points_between(facts: &Facts, (from, until): (SimTime, SimTime)) -> Vec<SamplePoint<'_>> {
    let points = facts.samples.points();
    let first = points.clone().take_while(|point| point.at < from).count().saturating_sub(1);
    points.skip(first).take_while(|point| point.at <= until).collect()
}

fn replicas_panel(
    facts: &Facts,
    workload: Workload,
    window: (SimTime, SimTime),
    (newest, title): (u32, &str),
) -> Option<Panel> {
    let points = points_between(facts, window);
    let own = |row: &&ReplicaPoint| row.workload == workload;
    let of = |point: &SamplePoint<'_>, value: &dyn Fn(&ReplicaPoint) -> f64| -> f64 {
        point.replicas.iter().filter(own).map(value).sum()
    };
    let mut revisions: Vec<u32> = points
        .iter()
        .flat_map(|p| p.replicas.iter().filter(own).filter(|r| r.pods > 0.0).map(|r| r.revision))
        .collect();
    revisions.sort_unstable();
    revisions.dedup();
    if revisions.is_empty() {
        return None;
    }
    let x: Vec<f64> = points.iter().map(|point| secs(point.at)).collect();
    let stack = |(index, revision): (usize, &u32)| {
        let pods = |row: &ReplicaPoint| {
            if row.revision == *revision { row.pods } else { 0.0 }
        };
        let values = points.iter().map(|point| of(point, &pods)).collect();
        let role = match *revision {
            revision if revision == newest => Role::After,
            _ if index + 2 >= revisions.len() => Role::Before,
            _ => Role::Series(index + 1),
        };
        Stack::new(revision_name(*revision, newest, title), role, values)
    };
    let stacks: Vec<Stack> = revisions.iter().enumerate().map(stack).collect();
    let line = |value: &dyn Fn(&ReplicaPoint) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|point| (secs(point.at), of(point, value))).collect()
    };
    let wanted = |point: &SamplePoint<'_>| {
        let wanted = point.replicas.iter().filter(own).map(|row| row.wanted);
        (secs(point.at), wanted.fold(0.0, f64::max))
    };
    let terminating = line(&|row| row.terminating);
    let mut panel = Panel::new(Axis::new("pods", Unit::Count))
        .layer(Layer::stacked(x, stacks))
        .layer(Layer::step("wanted", Role::Reference, points.iter().map(wanted).collect()))
        .layer(Layer::step("ready", Role::Total, line(&|row| row.ready)));
    if terminating.iter().any(|(_, pods)| *pods > 0.0) {
        panel = panel.layer(Layer::step("ending", Role::Series(3), terminating));
    }
    Some(panel)
}

/// `v2` of the revision that a rollout `v1 → v2` leads to.
fn revision_name(revision: u32, newest: u32, title: &str) -> String {
    let (old, new) = title.split_once(" → ").unwrap_or(("old", "new"));
    match revision {
        revision if revision == newest => new.to_owned(),
        revision if revision + 1 == newest => old.to_owned(),
        revision => format!("revision {revision}"),
    }
}

/// Series of the Services that lead to a workload, in order.
fn services<'a>(facts: &'a Facts, rollout: &Rollout) -> Vec<&'a ServiceCalls> {
    let services = names::services_of(&facts.model, rollout.workload);
    services.into_iter().map(|index| &facts.services.as_slice()[index]).collect()
}

fn failures_panel(facts: &Facts, last: &Rollout, window: (SimTime, SimTime)) -> Option<Panel> {
    let calls = *services(facts, last).first()?;
    let (x, stacks) = causes(&bins(calls, window, BINS_MAX));
    let mut panel = Panel::new(Axis::new("failed calls per second", Unit::Count));
    if calls.between(window.0, window.1).counts.total() == 0 {
        return None;
    }
    if stacks.is_empty() {
        let none = x.iter().map(|at| (*at, 0.0)).collect();
        panel = panel.layer(Layer::step("none", Role::Muted, none));
    } else {
        panel = panel.layer(Layer::stacked(x, stacks));
    }
    Some(panel)
}

/// The calls that started in one or several intervals.
pub(super) struct Bin {
    /// When the first of them begins.
    pub(super) at: SimTime,
    seconds: f64,
    sum: Interval,
}

impl Bin {
    /// So many of its calls a second.
    pub(super) fn rate(&self, count: impl Fn(&CallCounts) -> u64) -> f64 {
        cast::f64_of_u64(count(&self.sum.counts)) / self.seconds
    }
}

/// More of them in one picture cannot be told apart.
const BINS_MAX: usize = 300;

/// The intervals in the window; where there are more than `most`, several are one bin.
pub(super) fn bins(
    calls: &ServiceCalls,
    (from, until): (SimTime, SimTime),
    most: usize,
) -> Vec<Bin> {
    let inside = calls.intervals().filter(|(at, _)| (from..until).contains(at));
    let all: Vec<_> = inside.collect();
    let width = calls.width().as_secs_f64();
    let bin = |chunk: &[(SimTime, Interval<&[u32]>)]| {
        let mut sum = Interval::default();
        chunk.iter().for_each(|(_, row)| sum.merge(row));
        Bin { at: chunk[0].0, seconds: cast::f64_of_usize(chunk.len()) * width, sum }
    };
    all.chunks(all.len().div_ceil(most).max(1)).map(bin).collect()
}

/// Starts of the bins, and failed calls a second by cause, most first.
fn causes(bins: &[Bin]) -> (Vec<f64>, Vec<Stack>) {
    let of = |cause: Cause| {
        bins.iter().map(|bin| bin.rate(|counts| counts.of_cause(cause))).collect::<Vec<f64>>()
    };
    let mut found: Vec<(f64, Cause, Vec<f64>)> = Cause::ALL
        .into_iter()
        .filter(|cause| *cause != Cause::None)
        .map(|cause| (cause, of(cause)))
        .map(|(cause, values)| (values.iter().sum(), cause, values))
        .filter(|(sum, ..)| *sum > 0.0)
        .collect();
    found.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    let stack = |(index, (_, cause, values)): (usize, (f64, Cause, Vec<f64>))| {
        Stack::new(cause.sentence(), Role::Failure(index), values)
    };
    let stacks = found.into_iter().enumerate().map(stack).collect();
    (bins.iter().map(|bin| secs(bin.at)).collect(), stacks)
}

/// Points of a curve.
pub(super) type Points = Vec<(f64, f64)>;

fn latency(bins: &[Bin], p: f64) -> Points {
    let value = |bin: &Bin| bin.sum.latency.quantile(p).map_or(f64::NAN, Duration::as_secs_f64);
    bins.iter().map(|bin| (secs(bin.at), value(bin))).collect()
}

fn latency_panel(bins: &[Bin]) -> Option<Panel> {
    let curves = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];
    let mut panel = Panel::new(Axis::new("latency of good calls", Unit::Seconds).log());
    let mut any = false;
    for (rank, (name, p)) in curves.into_iter().enumerate() {
        let points = latency(bins, p);
        any |= points.iter().any(|(_, value)| *value > 0.0);
        panel = panel.layer(Layer::line(name, Role::Rank(rank), points));
    }
    any.then_some(panel)
}

fn latency_of_services(facts: &Facts, last: &Rollout, window: (SimTime, SimTime)) -> Option<Panel> {
    latency_panel(&bins(services(facts, last).first()?, window, BINS_MAX))
}

fn call_figures(facts: &Facts) -> Vec<(String, Figure)> {
    let services = names::services(&facts.model).into_iter().zip(facts.services.iter());
    let called = services.filter(|(_, calls)| calls.intervals().len() > 0);
    let figure = |(name, calls): (String, &ServiceCalls)| {
        (format!("calls-{}", file_part(&name)), calls_figure(facts, &name, calls))
    };
    called.map(figure).take(EACH_MAX).collect()
}

/// Calls a second, failed ones by cause at the bottom, and latencies below.
fn calls_figure(facts: &Facts, name: &str, calls: &ServiceCalls) -> Figure {
    let bins = bins(calls, (SimTime::ZERO, SimTime::MAX), BINS_MAX);
    let (x, mut stacks) = causes(&bins);
    let ok = |bin: &Bin| bin.rate(CallCounts::ok);
    stacks.push(Stack::new("answered well", Role::Ok, bins.iter().map(ok).collect()));
    let end = secs(facts.ended);
    let rates = Axis::new("calls per second", Unit::Number);
    let figure = Figure::new(format!("Calls to service/{name}"), Axis::clock().range(0.0, end))
        .subtitle(subtitle(facts))
        .panel(Panel::new(rates).layer(Layer::stacked(x, stacks)));
    let service = names::services(&facts.model).iter().position(|own| own == name);
    let behind = |(workload, _): &(Workload, String)| {
        service.is_some_and(|at| names::services_of(&facts.model, *workload).contains(&at))
    };
    let workloads: Vec<String> =
        names::rolling(&facts.model).into_iter().filter(behind).map(|(_, own)| own).collect();
    let own: Vec<&str> = workloads.iter().map(String::as_str).chain([name]).collect();
    let mut figure = with_commands(figure, facts, (0.0, end), &own);
    let warmup = facts.model.run.warmup;
    if !warmup.is_zero() {
        figure = figure.span(0.0, warmup.as_secs_f64(), "warm-up");
    }
    figure.panels.extend(latency_panel(&bins));
    figure
}

/// A curve over all samples.
pub(super) fn curve(facts: &Facts, value: impl Fn(&SamplePoint<'_>) -> f64) -> Points {
    facts.samples.points().map(|point| (secs(point.at), value(&point))).collect()
}

pub(super) fn share_of(point: &SamplePoint<'_>, part: Gauge, whole: Gauge) -> f64 {
    let whole = point.gauge(whole).mean;
    if whole > 0.0 { point.gauge(part).mean / whole } else { f64::NAN }
}

/// How much of the nodes is asked for and used, and how many pods run and wait.
fn nodes(facts: &Facts) -> Option<Figure> {
    let samples = &facts.samples;
    if samples.points().len() < 2 || samples.area(Gauge::CpuAllocatable) <= 0.0 {
        return None;
    }
    let band = samples.points().map(|point| {
        let (least, most) =
            (point.gauge(Gauge::CpuRequestedLeast), point.gauge(Gauge::CpuRequestedMost));
        (secs(point.at), least.min, most.max)
    });
    let share = |of: Gauge| curve(facts, |point| share_of(point, of, Gauge::CpuAllocatable));
    let mut cpu = Panel::new(Axis::new("share of allocatable CPU", Unit::Share))
        .layer(Layer::band("least to most requested node", Role::Series(0), band.collect()))
        .layer(Layer::line("requested", Role::Series(0), share(Gauge::CpuRequested)));
    if samples.area(Gauge::CpuUsed) > 0.0 {
        cpu = cpu.layer(Layer::line("used", Role::Series(1), share(Gauge::CpuUsed)));
    }
    let pods = |name: &str, role, gauge| {
        Layer::step(name, role, curve(facts, |point| point.gauge(gauge).mean))
    };
    let mut counts = Panel::new(Axis::new("pods", Unit::Count)).layer(pods(
        "run",
        Role::Series(0),
        Gauge::PodsRunning,
    ));
    if samples.max(Gauge::PodsPending) > 0.0 {
        let layer = pods("wait for a node", Role::Failure(0), Gauge::PodsPending);
        counts = counts.layer(layer);
    }
    let end = secs(facts.ended);
    let axis = Axis::clock().range(0.0, end);
    let figure = Figure::new("Use of the nodes", axis).subtitle(subtitle(facts));
    let mut figure = figure.panel(cpu).panel(counts);
    figure.panels.extend(figures_pools::machines(facts));
    figure.panels.extend(figures_pools::cost(facts));
    Some(with_commands(figure, facts, (0.0, end), &[]))
}

/// The share of pods that waited at most so long.
fn pending(facts: &Facts) -> Option<Figure> {
    let samples = &facts.pods.pending_samples;
    if samples.len() < 20 || samples.iter().all(|span| *span < Duration::secs(1)) {
        return None;
    }
    let samples = samples.iter().map(|span| span.as_secs_f64()).collect();
    let y = Axis::cumulative("share of pods that waited at most so long");
    let panel = Panel::new(y).layer(Layer::cdf("", Role::Series(0), samples));
    let never = facts.pods.all.never_scheduled;
    let pods = crate::base::text::counted(facts.pods.all.placed, "pod");
    let figure = Figure::new(
        "How long pods waited for a node",
        Axis::new("from creation to placement", Unit::Seconds).log(),
    );
    let figure = figure.subtitle(subtitle(facts)).panel(panel);
    let note = match never {
        0 => format!("{pods} were placed."),
        never => format!("{pods} were placed; {never} more never were and are not in the picture."),
    };
    Some(figure.note(note))
}
