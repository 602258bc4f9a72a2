//! Layout: what stands where in a figure, so that no text is cut or meets another.
//!
//! ```text
//! title                                   wrapped
//! subtitle
//! y label               ▬ legend ▬ entry  one row if it fits, else rows of its own
//!        │ marker labels, staggered
//!  tick ─┼───────────────────────────┐
//!        │           plot            │    one such block a panel
//!      0 ┼────┬─────┬─────┬─────┬────┘
//!           tick labels, x label          below the last panel
//! note
//! ```

use super::chart::{Axis, Figure, Marker, Panel, Scale, Unit};
use super::chart_layers::{self as layers, Frame, Key, Swatch};
use super::chart_markers::{Flag, flags};
use super::chart_math::count;
use super::chart_paint::{Align, Drawing, Group, Mark, Paint, Rect};
use super::chart_plan::{NAME_ROOM, PAD, PanelPlan, Plan, RIGHT, TEXT_EM, WIDTH, text_width};
use super::chart_scale::Map;
use super::font::{self, Weight};

const TITLE_EM: f64 = 18.0;
const LABEL_EM: f64 = 13.0;
pub(super) const SMALL_EM: f64 = 12.0;
const LINE: f64 = 19.0;
const SWATCH: f64 = 24.0;
const BOX: f64 = 12.0;
const KEY_GAP: f64 = 18.0;

const GREY_TEXT: Paint = Paint::solid((0x55, 0x55, 0x55));
const GRID: Paint = Paint::solid((0xE6, 0xE6, 0xE6));
const AXIS: Paint = Paint::solid((0x66, 0x66, 0x66));

/// The figure as marks in pixels; both ways out draw these.
pub(super) fn lay_out(figure: &Figure) -> Drawing {
    let empty = [Panel::new(Axis::new("", Unit::Number))];
    let panels = if figure.panels.is_empty() { &empty } else { figure.panels.as_slice() };
    let plan = Plan::of(figure, panels);
    let mut page = Page { groups: Vec::new(), y: PAD };
    page.header(figure);
    for (i, panel) in panels.iter().enumerate() {
        let through: &[Marker] = &figure.markers;
        page.panel(panel, &plan.panels[i], &plan, through, i == 0);
    }
    page.x_axis(&plan);
    page.note(figure);
    Drawing {
        width: WIDTH,
        height: (page.y + PAD - 6.0).ceil(),
        title: figure.title.clone(),
        groups: page.groups,
    }
}

/// A page being filled from top to bottom.
struct Page {
    groups: Vec<Group>,
    /// Where the next thing begins.
    y: f64,
}

impl Page {
    fn group(&mut self, class: &'static str, marks: Vec<Mark>) {
        if !marks.is_empty() {
            self.groups.push(Group { class, marks, ..Group::default() });
        }
    }

    fn header(&mut self, figure: &Figure) {
        let room = WIDTH - 2.0 * PAD;
        let mut marks = Vec::new();
        for line in font::wrap(&figure.title, TITLE_EM, Weight::Bold, room) {
            self.y += TITLE_EM;
            marks.push(text((PAD, self.y), line, TITLE_EM, Weight::Bold));
            self.y += 6.0;
        }
        for line in
            font::wrap(figure.subtitle.as_deref().unwrap_or(""), LABEL_EM, Weight::Regular, room)
        {
            self.y += LABEL_EM;
            marks.push(grey((PAD, self.y), line, LABEL_EM, Align::Start));
            self.y += 5.0;
        }
        self.group("header", marks);
    }

    fn panel(
        &mut self,
        panel: &Panel,
        plan: &PanelPlan,
        whole: &Plan,
        through: &[Marker],
        first: bool,
    ) {
        self.y += 14.0;
        self.head(plan, whole);
        let own = panel.markers.iter();
        let labelled: Vec<&Marker> =
            if first { through.iter().chain(own).collect() } else { own.collect() };
        let flags = flags(&labelled, &whole.x.map, (whole.left, whole.right), WIDTH);
        let rows = flags.iter().map(|flag| flag.row + 1).max().unwrap_or(0);
        self.y += if rows == 0 { 13.0 } else { 8.0 + 16.0 * count(rows) };
        let rect = Rect { x: whole.left, y: self.y, w: whole.right - whole.left, h: plan.height };
        let frame = Frame { rect, x: whole.x.map, y: plan.y.map };
        let lines: Vec<&Marker> = through.iter().chain(&panel.markers).collect();
        self.grid(panel, plan, whole, &frame);
        if plan.empty {
            let middle = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0 + 5.0);
            let blank = Rect { x: middle.0 - 45.0, y: middle.1 - 18.0, w: 90.0, h: 26.0 };
            let white = Mark::Rect { rect: blank, paint: Paint::solid((0xFF, 0xFF, 0xFF)) };
            let words = grey(middle, "no data".to_owned(), 15.0, Align::Middle);
            self.group("empty", vec![white, words]);
        } else {
            self.groups.extend(layers::draw(panel, &frame));
        }
        self.shades(&lines, &frame);
        self.axes(&frame, plan, whole);
        self.marker_lines(&lines, &flags, &frame);
        self.y += plan.height;
    }

    /// The y label and the legend; on one row if both fit.
    fn head(&mut self, plan: &PanelPlan, whole: &Plan) {
        let label = font::fit(&plan.y.label, LABEL_EM, Weight::Bold, WIDTH - 2.0 * PAD);
        let label_width = font::width(&label, LABEL_EM, Weight::Bold);
        let widths: Vec<f64> = plan.keys.iter().map(key_width).collect();
        let total: f64 = widths.iter().sum();
        let baseline = self.y + LABEL_EM;
        let beside = PAD + label_width + 30.0 + total <= RIGHT + KEY_GAP;
        if label.is_empty() && plan.keys.is_empty() {
            return;
        }
        if !label.is_empty() {
            self.group("label", vec![text((PAD, baseline), label.clone(), LABEL_EM, Weight::Bold)]);
        }
        let (mut x, mut y) = if beside {
            (RIGHT + KEY_GAP - total, baseline)
        } else {
            (whole.left, baseline + LINE)
        };
        if label.is_empty() && !beside {
            y = baseline;
        }
        let begin = x;
        for (key, width) in plan.keys.iter().zip(widths) {
            if x > begin && x + width > RIGHT + KEY_GAP {
                (x, y) = (begin, y + LINE);
            }
            self.key(key, x, y);
            x += width;
        }
        self.y = y.max(baseline) + 4.0;
    }

    fn key(&mut self, key: &Key, x: f64, baseline: f64) {
        let paint = Paint::solid(key.role.rgb());
        let middle = baseline - 4.5;
        let across = vec![(x + 1.0, middle), (x + SWATCH - 1.0, middle)];
        let stroke = key.role.stroke();
        let square = Rect { x, y: middle - BOX / 2.0, w: BOX, h: BOX };
        let wide = Rect { x, y: middle - 6.0, w: SWATCH, h: 12.0 };
        let swatch = match key.swatch {
            Swatch::Line => vec![Mark::Path { points: across, width: stroke.width, paint }],
            Swatch::Box => vec![Mark::Rect { rect: square, paint }],
            Swatch::Band => {
                vec![Mark::Rect { rect: wide, paint: Paint::sheer(key.role.rgb(), 0.22) }]
            }
            Swatch::Dot => vec![
                Mark::Path { points: across, width: 1.6, paint },
                Mark::Dot { at: (x + SWATCH / 2.0, middle), radius: 4.5, paint },
            ],
        };
        self.groups.push(Group {
            class: "swatch",
            dash: key.dash,
            marks: swatch,
            ..Group::default()
        });
        let name = key_name(key);
        self.group(
            "key",
            vec![text((x + swatch_width(key) + 6.0, baseline), name, TEXT_EM, Weight::Regular)],
        );
    }

    fn shades(&mut self, markers: &[&Marker], frame: &Frame) {
        let shade = |marker: &&Marker| {
            let ends = [marker.at, marker.until?].map(|v| v.clamp(frame.x.lo, frame.x.hi));
            let (x0, x1) = (frame.x(ends[0])?, frame.x(ends[1])?);
            let rect = Rect { x: x0, w: (x1 - x0).max(0.0), ..frame.rect };
            (x1 > x0).then_some(Mark::Rect { rect, paint: Paint::sheer((0x60, 0x50, 0x40), 0.10) })
        };
        let marks = markers.iter().filter_map(shade).collect();
        self.group("shade", marks);
    }

    /// The plot's place with what a script needs, grid lines, y tick labels.
    fn grid(&mut self, panel: &Panel, plan: &PanelPlan, whole: &Plan, frame: &Frame) {
        let Rect { x, y, w, h } = frame.rect;
        let named = matches!(panel.y.unit, Unit::Names(_));
        let mut marks = Vec::new();
        let mut labels = Vec::new();
        for tick in &plan.y.ticks {
            let Some(at) = frame.y(tick.at) else { continue };
            let label = font::fit(&tick.label, TEXT_EM, Weight::Regular, NAME_ROOM);
            labels.push(Mark::Text {
                at: (x - 8.0, at + 4.5),
                text: label,
                em: TEXT_EM,
                weight: Weight::Regular,
                align: Align::End,
                paint: if named { Paint::ink() } else { GREY_TEXT },
            });
            marks.push(level(x, at, w, GRID));
        }
        if plan.y.map.scale == Scale::Log {
            marks.extend(
                plan.y.minor.iter().filter_map(|v| Some(level(x - 3.0, frame.y(*v)?, 3.0, AXIS))),
            );
        }
        if !whole.x_named {
            marks.extend(
                whole.x.ticks.iter().filter_map(|t| Some(upright(frame.x(t.at)?, y, h, GRID))),
            );
        }
        for (row, note) in &plan.row_texts {
            let Some(at) = frame.y(count(*row)) else {
                continue;
            };
            let note = font::fit(note, TEXT_EM, Weight::Regular, RIGHT - whole.right);
            labels.push(text((whole.right + 10.0, at + 4.5), note, TEXT_EM, Weight::Regular));
        }
        self.groups.push(Group {
            class: "plot",
            data: plot_data(frame),
            marks,
            ..Group::default()
        });
        self.group("ticks", labels);
    }

    /// In front of the data: the base line, the zero lines, the x tick marks.
    fn axes(&mut self, frame: &Frame, plan: &PanelPlan, whole: &Plan) {
        let Rect { x, y, w, h } = frame.rect;
        let mut marks = vec![level(x, y + h, w, AXIS)];
        let within = |map: &Map| map.scale == Scale::Linear && map.spans(0.0);
        if let (true, Some(at), false) =
            (within(&plan.y.map), frame.y(0.0), plan.y.map.lo > plan.y.map.hi)
        {
            marks.push(level(x, at, w, AXIS));
        }
        let zero =
            frame.x(0.0).filter(|at| *at > x + 1.0 && within(&whole.x.map) && !whole.x_named);
        marks.extend(zero.map(|at| upright(at, y, h, AXIS)));
        let ticks =
            whole.x.ticks.iter().filter_map(|t| Some(upright(frame.x(t.at)?, y + h, 5.0, AXIS)));
        marks.extend(ticks);
        marks.extend(
            whole.x.minor.iter().filter_map(|v| Some(upright(frame.x(*v)?, y + h, 3.0, AXIS))),
        );
        self.group("axes", marks);
    }

    fn marker_lines(&mut self, markers: &[&Marker], flags: &[Flag], frame: &Frame) {
        let Rect { y, h, .. } = frame.rect;
        let ends = markers.iter().flat_map(|m| [Some(m.at), m.until]).flatten();
        let mut places: Vec<f64> =
            ends.filter(|at| frame.x.spans(*at)).filter_map(|at| frame.x(at)).collect();
        places.sort_by(f64::total_cmp);
        places.dedup_by(|a, b| (*a - *b).abs() < 1e-6);
        let line = |x: f64| {
            let flag = flags.iter().find(|flag| (flag.x - x).abs() < 1e-6);
            let top = flag.map_or(y, |flag| y - 16.0 * count(flag.row) - 14.0);
            Mark::Path { points: vec![(x, y + h), (x, top)], width: 1.2, paint: AXIS }
        };
        let lines = places.into_iter().map(line).collect();
        self.groups.push(Group {
            class: "markers",
            dash: &[5.0, 3.0],
            marks: lines,
            ..Group::default()
        });
        let label = |flag: &Flag| {
            let at = (flag.span.0, y - 16.0 * count(flag.row) - 5.0);
            text(at, flag.label.clone(), SMALL_EM, Weight::Regular)
        };
        self.group("marker-labels", flags.iter().map(label).collect());
    }

    fn x_axis(&mut self, plan: &Plan) {
        let room = plan.right - plan.left;
        let mut marks = Vec::new();
        let slot = room / count(plan.x.ticks.len().max(1)) - 8.0;
        for tick in &plan.x.ticks {
            let Some(share) = plan.x.map.place(tick.at) else {
                continue;
            };
            let label = if plan.x_named {
                font::fit(&tick.label, TEXT_EM, Weight::Regular, slot)
            } else {
                tick.label.clone()
            };
            let half = text_width(&label) / 2.0;
            let x =
                (plan.left + share * room).clamp(half + 4.0, (WIDTH - half - 4.0).max(half + 4.0));
            marks.push(grey((x, self.y + 19.0), label, TEXT_EM, Align::Middle));
        }
        self.y += if marks.is_empty() { 8.0 } else { 22.0 };
        if !plan.x.label.is_empty() {
            let label = font::fit(&plan.x.label, LABEL_EM, Weight::Bold, WIDTH - 2.0 * PAD);
            let half = font::width(&label, LABEL_EM, Weight::Bold) / 2.0;
            let x =
                (plan.left + room / 2.0).clamp(PAD + half, (WIDTH - PAD - half).max(PAD + half));
            self.y += 17.0;
            marks.push(Mark::Text {
                at: (x, self.y),
                text: label,
                em: LABEL_EM,
                weight: Weight::Bold,
                align: Align::Middle,
                paint: Paint::ink(),
            });
        }
        self.y += 6.0;
        self.group("ticks", marks);
    }

    fn note(&mut self, figure: &Figure) {
        let Some(note) = &figure.note else { return };
        let mut marks = Vec::new();
        self.y += 4.0;
        for line in font::wrap(note, SMALL_EM, Weight::Regular, WIDTH - 2.0 * PAD) {
            self.y += SMALL_EM;
            marks.push(grey((PAD, self.y), line, SMALL_EM, Align::Start));
            self.y += 4.0;
        }
        self.group("note", marks);
    }
}

fn plot_data(frame: &Frame) -> Vec<(&'static str, String)> {
    let name = |map: &Map| if map.scale == Scale::Log { "log" } else { "linear" }.to_owned();
    let Rect { x, y, w, h } = frame.rect;
    vec![
        ("left", format!("{x:.1}")),
        ("top", format!("{y:.1}")),
        ("width", format!("{w:.1}")),
        ("height", format!("{h:.1}")),
        ("x0", frame.x.lo.to_string()),
        ("x1", frame.x.hi.to_string()),
        ("y0", frame.y.lo.to_string()),
        ("y1", frame.y.hi.to_string()),
        ("xscale", name(&frame.x)),
        ("yscale", name(&frame.y)),
    ]
}

fn key_name(key: &Key) -> String {
    font::fit(&key.name, TEXT_EM, Weight::Regular, RIGHT - PAD - 140.0)
}

fn swatch_width(key: &Key) -> f64 {
    if key.swatch == Swatch::Box { BOX } else { SWATCH }
}

fn key_width(key: &Key) -> f64 {
    swatch_width(key) + 6.0 + text_width(&key_name(key)) + KEY_GAP
}

fn text(at: (f64, f64), text: String, em: f64, weight: Weight) -> Mark {
    Mark::Text { at, text, em, weight, align: Align::Start, paint: Paint::ink() }
}

fn grey(at: (f64, f64), text: String, em: f64, align: Align) -> Mark {
    Mark::Text { at, text, em, weight: Weight::Regular, align, paint: GREY_TEXT }
}

fn level(x: f64, y: f64, length: f64, paint: Paint) -> Mark {
    Mark::Rect { rect: Rect { x, y: y - 0.5, w: length, h: 1.0 }, paint }
}

fn upright(x: f64, y: f64, length: f64, paint: Paint) -> Mark {
    Mark::Rect { rect: Rect { x: x - 0.5, y, w: 1.0, h: length }, paint }
}
