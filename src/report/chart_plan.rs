//! What must be known of all panels before the first is drawn: their axes, heights and margins.

use super::chart::{Axis, Figure, Layer, Panel, Scale, Unit};
use super::chart_layers::{self as layers, Key};
use super::chart_math::{Span, count, index};
use super::chart_scale::{self as scale, Ends, Fitted, Map};
use super::font::{self, Weight};

pub(super) const WIDTH: f64 = 1000.0;
pub(super) const PAD: f64 = 18.0;
pub(super) const RIGHT: f64 = WIDTH - 30.0;
pub(super) const TEXT_EM: f64 = 12.5;
pub(super) const NAME_ROOM: f64 = 320.0;

/// What must be known of all panels before the first is drawn.
pub(super) struct Plan {
    pub(super) x: Fitted,
    /// Whether x is an axis of names, which has no grid and no zero.
    pub(super) x_named: bool,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) panels: Vec<PanelPlan>,
}

pub(super) struct PanelPlan {
    pub(super) y: Fitted,
    pub(super) height: f64,
    pub(super) keys: Vec<Key>,
    pub(super) row_texts: Vec<(usize, String)>,
    pub(super) empty: bool,
}

impl Plan {
    pub(super) fn of(figure: &Figure, panels: &[Panel]) -> Self {
        let x_log = figure.x.scale == Scale::Log;
        let mut all = Span::default();
        let mut plans = Vec::new();
        for panel in panels {
            let (x, y) = layers::extent(panel, x_log);
            x.0.into_iter().for_each(|(lo, hi)| {
                all.add(lo);
                all.add(hi);
            });
            let height = plot_height(panel, panels.len());
            plans.push(PanelPlan {
                y: scale::fit(&panel.y, y.0, Ends::Ticks, y_ticks(panel, height)),
                height,
                keys: layers::keys(panel, x_log),
                row_texts: layers::row_texts(panel, &figure.x.unit),
                empty: y.0.is_none() || x.0.is_none() && !only_levels(panel),
            });
        }
        let tick_width =
            |p: &PanelPlan| p.y.ticks.iter().map(|t| text_width(&t.label)).fold(30.0, f64::max);
        let left = PAD + plans.iter().map(tick_width).fold(0.0, f64::max).min(NAME_ROOM) + 10.0;
        let texts = plans.iter().flat_map(|p| &p.row_texts).map(|(_, t)| text_width(t));
        let right = RIGHT - texts.map(|w| w + 4.0).fold(0.0, f64::max).min(WIDTH / 3.0);
        Self {
            x: fit_x(&figure.x, all.0, right - left),
            x_named: matches!(figure.x.unit, Unit::Names(_)),
            left,
            right,
            panels: plans,
        }
    }
}

fn only_levels(panel: &Panel) -> bool {
    panel.layers.iter().all(|layer| matches!(layer, Layer::Level { .. }))
}

fn plot_height(panel: &Panel, panels: usize) -> f64 {
    if let Unit::Names(names) = &panel.y.unit {
        return 30.0 * count(names.len().max(2)) + 8.0;
    }
    match panels {
        1 => 300.0,
        2..=4 => 190.0,
        _ => 130.0,
    }
}

/// Decades of a log axis may stand closer than linear ticks.
fn y_ticks(panel: &Panel, height: f64) -> usize {
    let apart = if panel.y.scale == Scale::Log { 26.0 } else { 42.0 };
    index(height / apart)
}

/// As many ticks as have room for their labels.
fn fit_x(axis: &Axis, extent: Option<(f64, f64)>, room: f64) -> Fitted {
    let with = |target| scale::fit(axis, extent, Ends::Exact, target);
    let fits = |fitted: &Fitted| {
        let ends: Vec<(f64, f64)> =
            fitted.ticks.iter().filter_map(|t| tick_span(t, &fitted.map, room)).collect();
        ends.windows(2).all(|pair| pair[0].1 + 14.0 <= pair[1].0)
    };
    (2..=12).rev().map(with).find(fits).unwrap_or_else(|| with(2))
}

fn tick_span(tick: &scale::Tick, map: &Map, room: f64) -> Option<(f64, f64)> {
    let middle = map.place(tick.at)? * room;
    let half = text_width(&tick.label) / 2.0;
    Some((middle - half, middle + half))
}

/// Width of a text in the size of ticks and legend.
pub(super) fn text_width(text: &str) -> f64 {
    font::width(text, TEXT_EM, Weight::Regular)
}
