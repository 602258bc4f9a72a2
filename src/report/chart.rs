//! Charts: a figure is plain data, drawn to SVG or PNG by one layout.
//!
//! ```text
//! Figure ─lay_out─► Drawing (texts, lines, areas in pixels) ─┬─svg─► String    tenths of a pixel in a viewBox
//!                   chart_layout, chart_layers, chart_scale  └─png─► Vec<u8>   drawn at 4x, averaged to 2x
//! ```
//!
//! Owns: the data types, the colours, the two ways out. Panels are stacked and share the x axis.
//! Linear y axes begin at 0 unless [`Axis::free`] is said, log axes say so in their label, an empty
//! panel says "no data". Long series are thinned to the extremes of each pixel.
//! Absent on purpose: files, cluster types, interaction. The SVG carries what a script needs for it:
//! `<g class="plot" data-left= data-top= data-width= data-height= data-x0= data-x1= data-y0= data-y1=
//! data-xscale= data-yscale=>` a panel (pixels, then axis ends) and `<g class="series" data-name=>` a series.

use super::{chart_layout, chart_paint};

/// A whole picture: header, panels that share the x axis, markers through all of them.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The headline, wrapped when long.
    pub title: String,
    /// What was varied, seed, counts: a smaller line below the title.
    pub subtitle: Option<String>,
    /// Small print below the picture: what a band means, the command that makes the figure.
    pub note: Option<String>,
    /// The axis that all panels share.
    pub x: Axis,
    /// From top to bottom.
    pub panels: Vec<Panel>,
    /// Instants or spans that concern every panel; labelled above the first.
    pub markers: Vec<Marker>,
}

/// One plot of a figure. Layers are painted in order: areas and bands first, lines after.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its y axis; the label stands above the panel.
    pub y: Axis,
    /// What is drawn, from back to front.
    pub layers: Vec<Layer>,
    /// Instants or spans that concern this panel alone.
    pub markers: Vec<Marker>,
}

/// A labelled axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What is measured; log and clock axes add their own hint in brackets.
    pub label: String,
    /// What its numbers are, and so how ticks are chosen and written.
    pub unit: Unit,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// Fixed ends, in the axis' unit; otherwise the data decide.
    pub range: Option<(f64, f64)>,
    /// Whether a linear y axis must show 0 (the default).
    pub from_zero: bool,
}

/// What the numbers of an axis are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Whole things: ticks are whole numbers.
    Count,
    /// Any number; its unit stands in the label.
    Number,
    /// A share, 1.0 is 100 %.
    Share,
    /// A signed relative difference, 0.1 is +10 %.
    Change,
    /// A span in seconds, written with its unit (`50 ms`, `2 min`).
    Seconds,
    /// An instant in seconds since the start, written `m:ss` or `h:mm`.
    Clock,
    /// Bytes, written in powers of 1024 (`4 GiB`).
    Bytes,
    /// Named places at 0, 1, 2, …: columns on x, rows from top to bottom on y.
    Names(Vec<String>),
}

/// How an axis maps numbers to places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios; what is not above 0 is not drawn (a [`Layer::Cdf`] counts it).
    Log,
}

/// Something drawn in a panel. An empty name has no entry in the legend.
/// A value that is not finite is a gap.
#[derive(Clone, Debug)]
pub enum Layer {
    /// Points joined by straight lines.
    Line(Series),
    /// Each value holds until the next point, the last one to the end of the axis.
    Step(Series),
    /// A dot at each point; their order means nothing.
    Dots(Series),
    /// Series on top of each other, the first at the bottom, over common x values.
    /// What is above zero is drawn at least one pixel high, so that a rare failure is seen.
    Stacked {
        /// Common x values, rising.
        x: Vec<f64>,
        /// One value per x in each; what is missing counts as zero.
        series: Vec<Stack>,
        /// Between the points: steps or straight lines.
        shape: Shape,
    },
    /// The space between two curves: an interval, or the range over things.
    Band {
        /// Name in the legend.
        name: String,
        /// Colour.
        role: Role,
        /// `(x, low, high)`.
        points: Vec<(f64, f64, f64)>,
    },
    /// Upright bars from zero; several layers of bars stand side by side.
    Bars {
        /// Name in the legend.
        name: String,
        /// Colour.
        role: Role,
        /// The bars.
        bars: Vec<Bar>,
    },
    /// Dots with intervals on a y axis of [`Unit::Names`]; the figures are printed at the right.
    Estimates {
        /// Name in the legend.
        name: String,
        /// Colour.
        role: Role,
        /// The rows.
        rows: Vec<Estimate>,
    },
    /// The share of samples at or below x; its panel's y axis is [`Axis::cumulative`].
    Cdf {
        /// Name in the legend.
        name: String,
        /// Colour and dashes.
        role: Role,
        /// Unsorted samples in the unit of the x axis.
        samples: Vec<f64>,
    },
    /// A level across the whole panel: a target, a limit, a capacity.
    Level {
        /// Name in the legend.
        name: String,
        /// Colour and dashes.
        role: Role,
        /// Its y value.
        at: f64,
    },
}

/// A named curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Colour, width and dashes.
    pub role: Role,
    /// `(x, y)`, rising in x.
    pub points: Vec<(f64, f64)>,
}

/// One series of a stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Name in the legend.
    pub name: String,
    /// Colour.
    pub role: Role,
    /// One value per x of the stack.
    pub values: Vec<f64>,
}

/// What is between two points of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The first value, until the second point.
    Steps,
    /// A straight line.
    Lines,
}

/// One bar.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Its place on the x axis.
    pub at: f64,
    /// Its height.
    pub value: f64,
    /// The ends of its interval, if it has one.
    pub interval: Option<(f64, f64)>,
}

/// One row of estimates.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Index of its name on the y axis.
    pub row: usize,
    /// The estimate.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// An instant or a span on the x axis: a rollout begins, a zone is lost.
#[derive(Clone, Debug)]
pub struct Marker {
    /// Where, in the unit of the x axis.
    pub at: f64,
    /// Where it ends, if it lasts; the span is shaded.
    pub until: Option<f64>,
    /// A few words.
    pub label: String,
}

/// What a series stands for, and so its colour: Okabe and Ito's set, which colour-blind people can
/// tell apart. What failed is warm, what went well is blue or grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Went well.
    Ok,
    /// Failed, by the index of its cause.
    Failure(usize),
    /// One of several equals; from the second on with dashes of its own.
    Series(usize),
    /// A quantile, light to dark: 0 for p50, 1 for p90, 2 for p99, 3 for the maximum.
    Rank(usize),
    /// The old revision, the baseline.
    Before,
    /// The new revision, the candidate.
    After,
    /// A count or sum in front of areas: dark.
    Total,
    /// A target or limit: dark, dashed.
    Reference,
    /// Of no weight: grey.
    Muted,
}

/// Draws the figure as SVG, 1000 pixels wide. The same figure gives the same bytes.
#[must_use]
pub fn render_svg(figure: &Figure) -> String {
    chart_paint::svg(&chart_layout::lay_out(figure))
}

/// Draws the figure as PNG, 2000 pixels wide (twice the size of the SVG, for sharp print and
/// screens). The same figure gives the same bytes.
#[must_use]
pub fn render_png(figure: &Figure) -> Vec<u8> {
    chart_paint::png(&chart_layout::lay_out(figure))
}

impl Figure {
    /// A figure without panels yet.
    #[must_use]
    pub fn new(title: impl Into<String>, x: Axis) -> Self {
        Self {
            title: title.into(),
            subtitle: None,
            note: None,
            x,
            panels: Vec::new(),
            markers: Vec::new(),
        }
    }

    /// With a smaller line below the title.
    #[must_use]
    pub fn subtitle(mut self, text: impl Into<String>) -> Self {
        self.subtitle = Some(text.into());
        self
    }

    /// With small print below the picture.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }

    /// With one more panel, below the others.
    #[must_use]
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// With an instant marked through all panels.
    #[must_use]
    pub fn marker(mut self, at: f64, label: impl Into<String>) -> Self {
        self.markers.push(Marker { at, until: None, label: label.into() });
        self
    }

    /// With a span shaded through all panels.
    #[must_use]
    pub fn span(mut self, at: f64, until: f64, label: impl Into<String>) -> Self {
        self.markers.push(Marker { at, until: Some(until), label: label.into() });
        self
    }
}

impl Panel {
    /// A panel without layers yet.
    #[must_use]
    pub fn new(y: Axis) -> Self {
        Self { y, layers: Vec::new(), markers: Vec::new() }
    }

    /// With one more layer, in front of the others.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// With an instant marked in this panel alone.
    #[must_use]
    pub fn marker(mut self, at: f64, label: impl Into<String>) -> Self {
        self.markers.push(Marker { at, until: None, label: label.into() });
        self
    }
}

impl Axis {
    /// A linear axis.
    #[must_use]
    pub fn new(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, scale: Scale::Linear, range: None, from_zero: true }
    }

    /// The usual x axis: simulated seconds since the start, read as a clock.
    #[must_use]
    pub fn clock() -> Self {
        Self::new("time", Unit::Clock)
    }

    /// The usual y axis of a [`Layer::Cdf`]: 0 to 100 %.
    #[must_use]
    pub fn cumulative(label: impl Into<String>) -> Self {
        Self::new(label, Unit::Share).range(0.0, 1.0)
    }

    /// An axis of names; for differences between two cases, or a comparison of several.
    #[must_use]
    pub fn names(label: impl Into<String>, names: Vec<String>) -> Self {
        Self::new(label, Unit::Names(names))
    }

    /// Logarithmic.
    #[must_use]
    pub fn log(mut self) -> Self {
        self.scale = Scale::Log;
        self
    }

    /// With fixed ends.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Need not show 0.
    #[must_use]
    pub fn free(mut self) -> Self {
        self.from_zero = false;
        self
    }
}

impl Layer {
    /// A [`Layer::Line`].
    #[must_use]
    pub fn line(name: impl Into<String>, role: Role, points: Vec<(f64, f64)>) -> Self {
        Self::Line(Series { name: name.into(), role, points })
    }

    /// A [`Layer::Step`].
    #[must_use]
    pub fn step(name: impl Into<String>, role: Role, points: Vec<(f64, f64)>) -> Self {
        Self::Step(Series { name: name.into(), role, points })
    }

    /// A [`Layer::Dots`].
    #[must_use]
    pub fn dots(name: impl Into<String>, role: Role, points: Vec<(f64, f64)>) -> Self {
        Self::Dots(Series { name: name.into(), role, points })
    }

    /// A [`Layer::Stacked`] of steps.
    #[must_use]
    pub fn stacked(x: Vec<f64>, series: Vec<Stack>) -> Self {
        Self::Stacked { x, series, shape: Shape::Steps }
    }

    /// A [`Layer::Band`].
    #[must_use]
    pub fn band(name: impl Into<String>, role: Role, points: Vec<(f64, f64, f64)>) -> Self {
        Self::Band { name: name.into(), role, points }
    }

    /// A [`Layer::Cdf`].
    #[must_use]
    pub fn cdf(name: impl Into<String>, role: Role, samples: Vec<f64>) -> Self {
        Self::Cdf { name: name.into(), role, samples }
    }

    /// A [`Layer::Level`].
    #[must_use]
    pub fn level(name: impl Into<String>, role: Role, at: f64) -> Self {
        Self::Level { name: name.into(), role, at }
    }
}

impl Stack {
    /// One series of a stack.
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role, values: Vec<f64>) -> Self {
        Self { name: name.into(), role, values }
    }
}

#[cfg(test)]
#[path = "chart_tests.rs"]
mod tests;
