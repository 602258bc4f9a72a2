//! Layers: from data to curves, areas, bars and dots in pixels, with their legend entries.
//!
//! Owns thinning of long series and the order of stacks. Knows nothing of headers and ticks.

use super::chart::{Bar, Estimate, Layer, Panel, Role, Scale, Series, Unit};
use super::chart_math::{Span, count};
use super::chart_paint::{Group, Mark, Paint, Point, Rect, area};
use super::chart_scale::Map;
use super::chart_stack::{height, stack};
use super::chart_text::estimate_text;

/// Width in pixels of the columns to which long series are thinned.
const COLUMN: f64 = 1.0;
/// A line of more points is too restless for dashes.
const CALM: usize = 300;

/// Where a panel's plot is and how values map into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) rect: Rect,
    pub(super) x: Map,
    pub(super) y: Map,
}

/// How a series looks in the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swatch {
    Line,
    Box,
    Band,
    Dot,
}

/// A legend entry.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) swatch: Swatch,
    /// Dash and gap lengths of a [`Swatch::Line`].
    pub(super) dash: &'static [f64],
}

impl Frame {
    pub(super) fn x(&self, v: f64) -> Option<f64> {
        self.x.place(v).map(|share| self.rect.x + share * self.rect.w)
    }

    pub(super) fn y(&self, v: f64) -> Option<f64> {
        self.y.place(v).map(|share| self.rect.y + (1.0 - share) * self.rect.h)
    }

    fn point(&self, (x, y): (f64, f64)) -> Option<Point> {
        Some((self.x(x)?, self.y(y)?))
    }

    /// Where bars and stacks stand: 0, or the bottom of an axis that does not show it.
    pub(super) fn ground(&self) -> f64 {
        let bottom = self.rect.y + self.rect.h;
        self.y(0.0).unwrap_or(bottom).clamp(self.rect.y, bottom)
    }
}

/// What the layers of a panel span on x and y.
pub(super) fn extent(panel: &Panel, x_log: bool) -> (Span, Span) {
    let (mut x, mut y) = (Span::default(), Span::default());
    let y_log = panel.y.scale == Scale::Log;
    for layer in &panel.layers {
        match layer {
            Layer::Line(series) | Layer::Step(series) | Layer::Dots(series) => {
                for (px, py) in series.points.iter().filter(|(_, py)| py.is_finite()) {
                    x.add_on(*px, x_log);
                    y.add_on(*py, y_log);
                }
            }
            Layer::Stacked { x: at, series, .. } if !series.is_empty() => {
                for (i, px) in at.iter().enumerate() {
                    x.add_on(*px, x_log);
                    y.add_on(series.iter().map(|s| height(s, i)).sum(), y_log);
                }
            }
            Layer::Stacked { .. } => {}
            Layer::Band { points, .. } => {
                for (px, low, high) in points.iter().filter(|(_, l, h)| (l + h).is_finite()) {
                    x.add_on(*px, x_log);
                    y.add_on(*low, y_log);
                    y.add_on(*high, y_log);
                }
            }
            Layer::Bars { bars, .. } => {
                let half = bar_pitch(panel) / 2.0;
                for bar in bars.iter().filter(|bar| bar.value.is_finite()) {
                    x.add_on(bar.at - half, x_log);
                    x.add_on(bar.at + half, x_log);
                    let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
                    for v in [bar.value, low, high] {
                        y.add_on(v, y_log);
                    }
                }
            }
            Layer::Estimates { rows, .. } => {
                for row in rows.iter().filter(|row| row.value.is_finite()) {
                    for v in [row.value, row.low, row.high] {
                        x.add_on(v, x_log);
                    }
                    y.add(count(row.row));
                }
            }
            Layer::Cdf { samples, .. } => {
                for v in samples {
                    x.add_on(*v, x_log);
                }
                if !samples.is_empty() {
                    y.add(1.0);
                }
            }
            Layer::Level { at, .. } => y.add_on(*at, y_log),
        }
    }
    if !x_log && panel.layers.iter().any(|layer| matches!(layer, Layer::Dots(_))) {
        x.widen(0.03);
    }
    (x, y)
}

/// The legend of a panel, from the layers that have a name.
pub(super) fn keys(panel: &Panel, x_log: bool) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut add = |name: &str, role: Role, swatch, dash| {
        if !name.is_empty() {
            keys.push(Key { name: name.to_owned(), role, swatch, dash });
        }
    };
    for layer in &panel.layers {
        match layer {
            Layer::Line(s) | Layer::Step(s) => add(&s.name, s.role, Swatch::Line, dash(s)),
            Layer::Dots(s) => add(&s.name, s.role, Swatch::Dot, &[]),
            Layer::Stacked { series, .. } => {
                series.iter().for_each(|s| add(&s.name, s.role, Swatch::Box, &[]));
            }
            Layer::Band { name, role, .. } => add(name, *role, Swatch::Band, &[]),
            Layer::Bars { name, role, .. } => add(name, *role, Swatch::Box, &[]),
            Layer::Estimates { name, role, .. } => add(name, *role, Swatch::Dot, &[]),
            Layer::Level { name, role, .. } => add(name, *role, Swatch::Line, role.stroke().dash),
            Layer::Cdf { name, role, samples } if !name.is_empty() => {
                let name = format!("{name}{}", left_out(samples, x_log));
                add(&name, *role, Swatch::Line, role.stroke().dash);
            }
            Layer::Cdf { .. } => {}
        }
    }
    keys
}

/// Dashes tell calm lines apart; a restless one is solid, here and in the legend.
fn dash(series: &Series) -> &'static [f64] {
    if series.points.len() <= CALM { series.role.stroke().dash } else { &[] }
}

/// What a log axis cannot show is said in words.
fn left_out(samples: &[f64], x_log: bool) -> String {
    let below = samples.iter().filter(|v| **v <= 0.0).count();
    if !x_log || below == 0 {
        return String::new();
    }
    let share = 100.0 * count(below) / count(samples.iter().filter(|v| v.is_finite()).count());
    format!(" ({share:.0} % at 0)")
}

/// All layers of a panel, back to front.
pub(super) fn draw(panel: &Panel, frame: &Frame) -> Vec<Group> {
    let bars_total = panel.layers.iter().filter(|l| matches!(l, Layer::Bars { .. })).count();
    let mut bars_before = 0;
    let mut groups = Vec::new();
    for layer in &panel.layers {
        match layer {
            Layer::Line(s) => groups.push(Group {
                dash: dash(s),
                ..curve(&s.name, s.role, lines(&s.points, frame), frame)
            }),
            Layer::Step(s) => groups.push(Group {
                dash: dash(s),
                ..curve(&s.name, s.role, steps(&s.points, frame), frame)
            }),
            Layer::Dots(s) => groups.push(dots(s, frame)),
            Layer::Stacked { x, series, shape } => groups.extend(stack(x, series, *shape, frame)),
            Layer::Band { name, role, points } => groups.push(band(name, *role, points, frame)),
            Layer::Bars { name, role, bars } => {
                let slot = (bars_before, bars_total, bar_pitch(panel));
                groups.push(draw_bars(name, *role, bars, slot, frame));
                bars_before += 1;
            }
            Layer::Estimates { name, role, rows } => {
                groups.push(estimates(name, *role, rows, frame));
            }
            Layer::Cdf { name, role, samples } => {
                groups.push(curve(name, *role, cumulative(samples, frame), frame));
            }
            Layer::Level { name, role, at } => {
                let ends = [frame.x.lo, frame.x.hi].map(|x| (x, *at));
                groups.push(curve(name, *role, lines(&ends, frame), frame));
            }
        }
    }
    groups
}

/// What is printed at the right of each row of estimates.
pub(super) fn row_texts(panel: &Panel, unit: &Unit) -> Vec<(usize, String)> {
    let rows = panel.layers.iter().flat_map(|layer| {
        if let Layer::Estimates { rows, .. } = layer { rows.as_slice() } else { &[] }
    });
    rows.filter(|r| r.value.is_finite())
        .map(|r| (r.row, estimate_text(unit, (r.value, r.low, r.high))))
        .collect()
}

pub(super) fn series_group(name: &str, frame: &Frame, marks: Vec<Mark>) -> Group {
    Group {
        class: "series",
        name: name.to_owned(),
        clip: Some(frame.rect.grown(2.0)),
        marks,
        ..Group::default()
    }
}

fn dots(series: &Series, frame: &Frame) -> Group {
    let paint = Paint::solid(series.role.rgb());
    let places = series.points.iter().filter_map(|point| frame.point(*point));
    let marks = places.map(|at| Mark::Dot { at, radius: 5.0, paint });
    // A dot at the edge of the plot is seen whole.
    let clip = Some(frame.rect.grown(7.0));
    Group { clip, ..series_group(&series.name, frame, marks.collect()) }
}

fn curve(name: &str, role: Role, runs: Vec<Vec<Point>>, frame: &Frame) -> Group {
    let stroke = role.stroke();
    let paint = Paint::solid(role.rgb());
    let marks = runs.into_iter().map(|run| match run.as_slice() {
        [alone] => Mark::Dot { at: *alone, radius: stroke.width, paint },
        _ => Mark::Path { points: run, width: stroke.width, paint },
    });
    Group { dash: stroke.dash, ..series_group(name, frame, marks.collect()) }
}

fn lines(points: &[(f64, f64)], frame: &Frame) -> Vec<Vec<Point>> {
    runs(points.iter().map(|p| frame.point(*p))).iter().map(|run| thin(run)).collect()
}

fn steps(points: &[(f64, f64)], frame: &Frame) -> Vec<Vec<Point>> {
    let mut out: Vec<Vec<Point>> = Vec::new();
    let placed: Vec<Option<Point>> = points.iter().map(|p| frame.point(*p)).collect();
    let right = frame.rect.x + frame.rect.w;
    let mut seen = 0;
    for run in runs(placed.iter().copied()) {
        seen = placed[seen..].iter().position(Option::is_some).map_or(seen, |skip| seen + skip);
        seen += run.len();
        // The last value holds until the gap begins, or to the end of the axis.
        let gap = points.get(seen).and_then(|p| frame.x(p.0)).unwrap_or(right);
        let mut corners = Vec::new();
        for (x, y) in thin(&run) {
            if let Some((_, before)) = corners.last().copied() {
                corners.push((x, before));
            }
            corners.push((x, y));
        }
        if let Some((x, y)) = corners.last().copied() {
            corners.push((gap.max(x), y));
        }
        out.push(corners);
    }
    out
}

/// Splits at gaps.
fn runs(points: impl Iterator<Item = Option<Point>>) -> Vec<Vec<Point>> {
    let mut runs = vec![Vec::new()];
    for point in points {
        match (point, runs.last_mut()) {
            (Some(point), Some(run)) => run.push(point),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Keeps first, lowest, highest and last of each column, in their order.
fn thin(points: &[Point]) -> Vec<Point> {
    let mut kept = Vec::new();
    for column in columns(points.len(), |i| points[i].0) {
        let by_y = |a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1);
        let ends = [Some(column.start), Some(column.end - 1)];
        let extremes = [column.clone().min_by(by_y), column.max_by(by_y)];
        let mut keep: Vec<usize> = ends.into_iter().chain(extremes).flatten().collect();
        keep.sort_unstable();
        keep.dedup();
        kept.extend(keep.into_iter().map(|i| points[i]));
    }
    kept
}

/// Runs of indices that fall into one column.
pub(super) fn columns(len: usize, x: impl Fn(usize) -> f64) -> Vec<std::ops::Range<usize>> {
    let column = |i: usize| (x(i) / COLUMN).floor();
    let mut out = Vec::new();
    let mut start = 0;
    for i in 1..=len {
        if i == len || (column(i) - column(start)).abs() > 0.5 {
            out.push(start..i);
            start = i;
        }
    }
    out
}

fn band(name: &str, role: Role, points: &[(f64, f64, f64)], frame: &Frame) -> Group {
    let bottom = frame.rect.y + frame.rect.h;
    let mut runs = vec![Vec::new()];
    for (x, low, high) in points {
        // On a log axis a lower end of 0 is the bottom of the plot.
        let low = if low.is_finite() { frame.y(*low).or(Some(bottom)) } else { None };
        match (frame.x(*x), low, frame.y(*high), runs.last_mut()) {
            (Some(x), Some(low), Some(high), Some(run)) => run.push((x, low, high)),
            (_, _, _, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| run.len() > 1);
    let paint = Paint::sheer(role.rgb(), 0.22);
    let marks = runs.iter().map(|run| area(thin_band(run), paint)).collect();
    series_group(name, frame, marks)
}

fn thin_band(run: &[(f64, f64, f64)]) -> Vec<(f64, f64, f64)> {
    let mut out = Vec::new();
    for column in columns(run.len(), |i| run[i].0) {
        let part = &run[column];
        let low = part.iter().map(|e| e.1).fold(f64::MIN, f64::max);
        let high = part.iter().map(|e| e.2).fold(f64::MAX, f64::min);
        out.push((part[0].0, low, high));
    }
    if let (Some(end), Some(kept)) = (run.last(), out.last().copied())
        && end.0 > kept.0
    {
        out.push((end.0, kept.1, kept.2));
    }
    out
}

/// Distance between neighbouring bars of a panel.
fn bar_pitch(panel: &Panel) -> f64 {
    let mut at: Vec<f64> = Vec::new();
    for layer in &panel.layers {
        if let Layer::Bars { bars, .. } = layer {
            at.extend(bars.iter().map(|bar| bar.at).filter(|v| v.is_finite()));
        }
    }
    at.sort_by(f64::total_cmp);
    let gaps = at.windows(2).map(|p| p[1] - p[0]).filter(|gap| *gap > 0.0);
    gaps.fold(f64::INFINITY, f64::min).clamp(0.0, 1e300).min(if at.len() < 2 { 1.0 } else { 1e300 })
}

fn draw_bars(
    name: &str,
    role: Role,
    bars: &[Bar],
    (before, total, pitch): (usize, usize, f64),
    frame: &Frame,
) -> Group {
    let pitch = if pitch < 1e299 { pitch } else { 1.0 };
    let width = 0.8 * pitch / count(total);
    let shift = (count(before) - count(total) / 2.0) * width;
    let mut marks = Vec::new();
    for bar in bars {
        let left = bar.at + shift;
        let (Some(x0), Some(x1), Some(y)) =
            (frame.x(left), frame.x(left + width), frame.y(bar.value))
        else {
            continue;
        };
        let ground = frame.ground();
        let inset = if total > 1 { 1.0_f64.min((x1 - x0) / 8.0) } else { 0.0 };
        let rect = Rect {
            x: x0 + inset,
            y: y.min(ground),
            w: x1 - x0 - 2.0 * inset,
            h: (y - ground).abs(),
        };
        marks.push(Mark::Rect { rect, paint: Paint::solid(role.rgb()) });
        if let Some((low, high)) = bar.interval {
            let at = |v: f64| frame.y(v).unwrap_or(ground);
            marks.extend(whisker(
                (x0.midpoint(x1), at(low)),
                (x0.midpoint(x1), at(high)),
                Paint::ink(),
            ));
        }
    }
    series_group(name, frame, marks)
}

fn estimates(name: &str, role: Role, rows: &[Estimate], frame: &Frame) -> Group {
    let paint = Paint::solid(role.rgb());
    let mut marks = Vec::new();
    for row in rows {
        let Some(at) = frame.point((row.value, count(row.row))) else {
            continue;
        };
        if let (Some(low), Some(high)) = (frame.x(row.low), frame.x(row.high)) {
            marks.extend(whisker((low, at.1), (high, at.1), paint));
        }
        marks.push(Mark::Dot { at, radius: 5.0, paint });
    }
    series_group(name, frame, marks)
}

/// A line with a small cap at each end, upright or level.
fn whisker(a: Point, b: Point, paint: Paint) -> Vec<Mark> {
    let upright = (a.0 - b.0).abs() < 1e-9;
    let cap = |p: Point| {
        if upright {
            vec![(p.0 - 4.0, p.1), (p.0 + 4.0, p.1)]
        } else {
            vec![(p.0, p.1 - 4.0), (p.0, p.1 + 4.0)]
        }
    };
    [vec![a, b], cap(a), cap(b)]
        .into_iter()
        .map(|points| Mark::Path { points, width: 1.6, paint })
        .collect()
}

/// Steps up by one share at each sample; from the left end of the axis to its right end.
fn cumulative(samples: &[f64], frame: &Frame) -> Vec<Vec<Point>> {
    let mut sorted: Vec<f64> = samples.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let (left, right) = (frame.rect.x, frame.rect.x + frame.rect.w);
    let total = count(sorted.len());
    let share = |n: usize| frame.y(count(n) / total);
    let hidden = sorted.iter().filter(|v| frame.x(**v).is_none()).count();
    let shown = sorted.iter().enumerate().skip(hidden);
    let rises = shown.filter_map(|(i, v)| Some((frame.x(*v)?, share(i + 1)?)));
    let start = share(hidden).map(|y| (left, y));
    let points: Vec<Point> = start.into_iter().chain(rises).collect();
    if total < 1.0 || points.is_empty() {
        return Vec::new();
    }
    let mut corners: Vec<Point> = Vec::new();
    for (x, y) in thin(&points) {
        if let Some((_, before)) = corners.last().copied() {
            corners.push((x, before));
        }
        corners.push((x, y));
    }
    if let Some((x, y)) = corners.last().copied() {
        corners.push((right.max(x), y));
    }
    vec![corners]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 100 by 10 pixels, x 0 to 100, y 0 to 10.
    pub(in super::super) fn frame() -> Frame {
        let x = Map { lo: 0.0, hi: 100.0, scale: Scale::Linear };
        let y = Map { lo: 0.0, hi: 10.0, scale: Scale::Linear };
        Frame { rect: Rect { x: 0.0, y: 0.0, w: 100.0, h: 10.0 }, x, y }
    }

    #[test]
    fn thinning_keeps_every_extreme() {
        let points: Vec<Point> = (0..1_000_000)
            .map(|i| (f64::from(i) / 10_000.0, if i == 654_321 { 9.0 } else { 1.0 }))
            .collect();
        let kept = thin(&points);
        assert!(kept.len() <= 4 * 101, "{}", kept.len());
        assert!(kept.iter().any(|p| p.1 > 8.0));
    }

    #[test]
    fn a_gap_ends_a_step_and_the_last_value_holds_to_the_end() {
        let got = steps(&[(0.0, 1.0), (10.0, 2.0), (20.0, f64::NAN), (50.0, 3.0)], &frame());
        assert_eq!(got[0], [(0.0, 9.0), (10.0, 9.0), (10.0, 8.0), (20.0, 8.0)]);
        assert_eq!(got[1], [(50.0, 7.0), (100.0, 7.0)]);
    }

    #[test]
    fn a_cumulative_curve_ends_at_one_hundred_percent() {
        let y = Map { lo: 0.0, hi: 1.0, scale: Scale::Linear };
        let got = cumulative(&[30.0, 10.0], &Frame { y, ..frame() });
        assert_eq!(
            got,
            [[(0.0, 10.0), (10.0, 10.0), (10.0, 5.0), (30.0, 5.0), (30.0, 0.0), (100.0, 0.0)]]
        );
    }
}
