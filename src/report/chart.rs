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

/// Red, green, blue.
pub(super) type Rgb = (u8, u8, u8);

/// How a curve is stroked: width in pixels and lengths of dash and gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub(super) width: f64,
    pub(super) dash: &'static [f64],
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
        self.markers.push(Marker {
            at,
            until: None,
            label: label.into(),
        });
        self
    }

    /// With a span shaded through all panels.
    #[must_use]
    pub fn span(mut self, at: f64, until: f64, label: impl Into<String>) -> Self {
        self.markers.push(Marker {
            at,
            until: Some(until),
            label: label.into(),
        });
        self
    }
}

impl Panel {
    /// A panel without layers yet.
    #[must_use]
    pub fn new(y: Axis) -> Self {
        Self {
            y,
            layers: Vec::new(),
            markers: Vec::new(),
        }
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
        self.markers.push(Marker {
            at,
            until: None,
            label: label.into(),
        });
        self
    }
}

impl Axis {
    /// A linear axis.
    #[must_use]
    pub fn new(label: impl Into<String>, unit: Unit) -> Self {
        Self {
            label: label.into(),
            unit,
            scale: Scale::Linear,
            range: None,
            from_zero: true,
        }
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
        Self::Line(Series {
            name: name.into(),
            role,
            points,
        })
    }

    /// A [`Layer::Step`].
    #[must_use]
    pub fn step(name: impl Into<String>, role: Role, points: Vec<(f64, f64)>) -> Self {
        Self::Step(Series {
            name: name.into(),
            role,
            points,
        })
    }

    /// A [`Layer::Stacked`] of steps.
    #[must_use]
    pub fn stacked(x: Vec<f64>, series: Vec<Stack>) -> Self {
        Self::Stacked {
            x,
            series,
            shape: Shape::Steps,
        }
    }

    /// A [`Layer::Band`].
    #[must_use]
    pub fn band(name: impl Into<String>, role: Role, points: Vec<(f64, f64, f64)>) -> Self {
        Self::Band {
            name: name.into(),
            role,
            points,
        }
    }

    /// A [`Layer::Cdf`].
    #[must_use]
    pub fn cdf(name: impl Into<String>, role: Role, samples: Vec<f64>) -> Self {
        Self::Cdf {
            name: name.into(),
            role,
            samples,
        }
    }

    /// A [`Layer::Level`].
    #[must_use]
    pub fn level(name: impl Into<String>, role: Role, at: f64) -> Self {
        Self::Level {
            name: name.into(),
            role,
            at,
        }
    }
}

impl Stack {
    /// One series of a stack.
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role, values: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            role,
            values,
        }
    }
}

const SOLID: &[f64] = &[];
const DASHES: [&[f64]; 4] = [SOLID, &[9.0, 4.0], &[3.0, 3.0], &[10.0, 3.0, 3.0, 3.0]];
const BLUE: Rgb = (0x00, 0x72, 0xB2);
const ORANGE: Rgb = (0xE6, 0x9F, 0x00);
const GREEN: Rgb = (0x00, 0x9E, 0x73);
const PURPLE: Rgb = (0xCC, 0x79, 0xA7);
const SKY: Rgb = (0x56, 0xB4, 0xE9);
const VERMILLION: Rgb = (0xD5, 0x5E, 0x00);
const YELLOW: Rgb = (0xF0, 0xE4, 0x42);
const MAROON: Rgb = (0x7A, 0x1F, 0x1F);
const NIGHT: Rgb = (0x12, 0x26, 0x4B);
const GREY: Rgb = (0x99, 0x99, 0x99);
const SLATE: Rgb = (0xC3, 0xCC, 0xD5);
const STEEL: Rgb = (0x4C, 0x9F, 0xCE);
const PALE_SKY: Rgb = (0x8C, 0xC3, 0xE4);
const INK: Rgb = (0x33, 0x33, 0x33);

impl Role {
    /// Its colour in the chart: Okabe and Ito, "Color Universal Design" (2008), and greys.
    #[must_use]
    pub fn rgb(self) -> (u8, u8, u8) {
        const FAILURES: [Rgb; 6] = [
            VERMILLION,
            ORANGE,
            PURPLE,
            YELLOW,
            MAROON,
            (0xB3, 0x8B, 0x6D),
        ];
        const SERIES: [Rgb; 7] = [BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, INK];
        const RANKS: [Rgb; 4] = [SKY, BLUE, NIGHT, VERMILLION];
        match self {
            Self::Ok => PALE_SKY,
            Self::Failure(cause) => FAILURES[cause % FAILURES.len()],
            Self::Series(index) => SERIES[index % SERIES.len()],
            Self::Rank(rank) => RANKS[rank.min(RANKS.len() - 1)],
            Self::Before => SLATE,
            Self::After => STEEL,
            Self::Total | Self::Reference => INK,
            Self::Muted => GREY,
        }
    }

    /// How its curve is stroked.
    pub(super) fn stroke(self) -> Stroke {
        let (width, dash) = match self {
            Self::Ok | Self::Before | Self::After | Self::Total => (2.2, SOLID),
            Self::Failure(index) | Self::Series(index) => (2.0, DASHES[index % DASHES.len()]),
            Self::Rank(rank) => ([2.4, 2.0, 1.6, 1.2][rank.min(3)], SOLID),
            Self::Reference => (1.6, DASHES[1]),
            Self::Muted => (1.4, SOLID),
        };
        Stroke { width, dash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(x: Axis, y: Axis, layer: Layer) -> Figure {
        Figure::new("A <title> & more", x).panel(Panel::new(y).layer(layer))
    }

    /// Draws both ways, twice, and checks form and size.
    fn check(figure: &Figure) -> String {
        let svg = render_svg(figure);
        assert_eq!(svg, render_svg(figure));
        let mut open: Vec<&str> = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (inside, _) = tag.split_once('>').expect("every tag is closed");
            let name = inside
                .split([' ', '/'])
                .find(|s| !s.is_empty())
                .unwrap_or("");
            if inside.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !inside.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty() && !svg.contains("NaN") && !svg.contains("inf"));
        let png = render_png(figure);
        assert!(png == render_png(figure));
        let decoder = png::Decoder::new(std::io::Cursor::new(&png));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let height = svg
            .split("height=\"")
            .nth(1)
            .and_then(|s| s.split('"').next())
            .unwrap();
        assert_eq!(
            (info.width, info.height),
            (2000, 2 * height.parse::<u32>().unwrap())
        );
        assert!(pixels.iter().any(|p| *p < 128));
        svg
    }

    fn numbers(unit: Unit) -> Axis {
        Axis::new("y", unit)
    }

    #[test]
    fn every_kind_of_layer_is_drawn() {
        let points = vec![
            (0.0, 1.0),
            (10.0, 3.0),
            (20.0, f64::NAN),
            (30.0, f64::INFINITY),
            (40.0, 2.0),
        ];
        let bar = Bar {
            at: 1.0,
            value: 2.0,
            interval: Some((1.0, 3.0)),
        };
        let row = Estimate {
            row: 1,
            value: 0.1,
            low: -0.1,
            high: 0.2,
        };
        let names = || Axis::names("", vec!["a".to_owned(), "b".to_owned()]);
        let name = || "series".to_owned();
        let role = Role::Series(1);
        let stack = vec![
            Stack::new(name(), role, vec![1.0, 0.0]),
            Stack::new("b", Role::Ok, vec![2.0]),
        ];
        let cases = [
            one(
                Axis::clock(),
                numbers(Unit::Count),
                Layer::line(name(), role, points.clone()),
            ),
            one(
                Axis::clock(),
                numbers(Unit::Number).log(),
                Layer::step(name(), role, points),
            ),
            one(
                Axis::clock(),
                numbers(Unit::Bytes),
                Layer::stacked(vec![0.0, 5.0], stack),
            ),
            one(
                Axis::clock(),
                numbers(Unit::Share),
                Layer::band(name(), role, vec![(0.0, 0.1, 0.2), (9.0, 0.2, 0.4)]),
            ),
            one(
                names(),
                numbers(Unit::Number),
                Layer::Bars {
                    name: name(),
                    role,
                    bars: vec![bar],
                },
            ),
            one(
                numbers(Unit::Change),
                names(),
                Layer::Estimates {
                    name: name(),
                    role,
                    rows: vec![row],
                },
            ),
            one(
                numbers(Unit::Seconds).log(),
                Axis::cumulative("share"),
                Layer::cdf(name(), role, vec![0.0, 0.1, 3.0]),
            ),
            one(
                Axis::clock().range(0.0, 9.0),
                numbers(Unit::Number),
                Layer::level(name(), role, 4.0),
            ),
        ];
        for figure in &cases {
            let svg = check(figure);
            assert!(
                svg.contains("data-name=\"series\"") && !svg.contains("no data"),
                "{figure:?}"
            );
        }
    }

    #[test]
    fn nothing_to_draw_is_said_in_words() {
        let none = || Layer::line("x", Role::Ok, vec![(1.0, f64::NAN)]);
        for figure in [
            Figure::new("", Axis::clock()),
            one(Axis::clock(), numbers(Unit::Count), none()),
            one(Axis::clock().log(), numbers(Unit::Count).log(), none()),
            one(
                numbers(Unit::Seconds).log(),
                Axis::cumulative("y"),
                Layer::cdf("x", Role::Ok, vec![]),
            ),
            one(
                Axis::names("", vec![]),
                numbers(Unit::Count),
                Layer::stacked(vec![], vec![]),
            ),
        ] {
            assert!(check(&figure).contains("no data"), "{figure:?}");
        }
    }

    #[test]
    fn all_zero_is_data() {
        let zeros = Layer::line("failed", Role::Failure(0), vec![(0.0, 0.0), (9.0, 0.0)]);
        assert!(!check(&one(Axis::clock(), numbers(Unit::Count), zeros)).contains("no data"));
    }

    #[test]
    fn a_million_points_make_a_small_file_that_keeps_the_spike() {
        let points = (0..1_000_000).map(|i| {
            let x = f64::from(i);
            (
                x,
                if i == 500_001 {
                    900.0
                } else {
                    f64::from(i % 7)
                },
            )
        });
        let figure = one(
            Axis::clock(),
            numbers(Unit::Count),
            Layer::line("y", Role::Ok, points.collect()),
        );
        let svg = render_svg(&figure);
        assert!(svg.len() < 80_000, "{}", svg.len());
        let top = |s: &str| {
            s.split_whitespace()
                .filter_map(|p| p.split_once(',')?.1.parse::<f64>().ok())
                .fold(1e9, f64::min)
        };
        let line = svg
            .split("points=\"")
            .nth(1)
            .and_then(|s| s.split('"').next())
            .unwrap();
        assert!(
            top(line) < 1500.0,
            "the spike reaches far up: {}",
            top(line)
        );
    }

    #[test]
    fn absurd_texts_do_not_break_the_layout() {
        let long = "a very long name without end ".repeat(20);
        let layers = (0..12)
            .map(|i| Layer::line(long.clone(), Role::Series(i), vec![(0.0, 1.0), (1e9, 1e12)]));
        let mut figure = one(
            Axis::new(long.clone(), Unit::Clock),
            Axis::new(long.clone(), Unit::Count),
            Layer::level("", Role::Muted, 0.0),
        );
        figure.panels[0].layers.extend(layers);
        let figure = figure
            .subtitle(long.clone())
            .note(long.clone())
            .marker(5e8, long.clone())
            .span(9.9e8, 2e9, long);
        check(&figure);
    }
}
