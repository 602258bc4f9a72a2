//! The two ways out of a drawing: plotters' SVG backend and plotters' bitmap backend.
//!
//! ```text
//! Drawing ── groups ── marks: Rect, Path, Area, Dot, Text   (pixels at 1x, y downwards)
//!    ├─ svg: each group by an SVGBackend at ten times the size, joined under one viewBox
//!    └─ png: each mark by its coverage into a BitMapBackend at four times the size, averaged to two
//! ```
//!
//! plotters rounds to whole pixels, leaves holes in thick restless lines and has neither dashes nor
//! clipping: hence the scales, our own coverage for bitmaps, and `<g>` around the SVG's groups.

use plotters::prelude::*;

use super::chart_math::pixel;
use super::chart_palette::Rgb;
use super::font::{self, Weight};

/// Pixels at 1x, y downwards.
pub(super) type Point = (f64, f64);

/// Units of the viewBox in a pixel.
const FINE: f64 = 10.0;
/// The bitmap is drawn at this scale …
const DRAWN: usize = 4;
/// … and averaged over squares of this side.
const AVERAGED: usize = 2;

/// A laid-out figure.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) title: String,
    pub(super) groups: Vec<Group>,
}

/// Marks that belong together.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// The SVG's `class`.
    pub(super) class: &'static str,
    /// The SVG's `data-name`; may be empty.
    pub(super) name: String,
    /// More attributes for scripts: name without `data-`, value.
    pub(super) data: Vec<(&'static str, String)>,
    /// Nothing is drawn outside.
    pub(super) clip: Option<Rect>,
    /// Dash and gap lengths of the paths; solid when empty.
    pub(super) dash: &'static [f64],
    pub(super) marks: Vec<Mark>,
}

/// One thing to draw.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// A filled rectangle.
    Rect { rect: Rect, paint: Paint },
    /// A line with round joins and ends.
    Path { points: Vec<Point>, width: f64, paint: Paint },
    /// What is between two curves over rising x: `(x, lower y, upper y)`, so the second is greater.
    Area { edges: Vec<(f64, f64, f64)>, paint: Paint },
    /// A filled circle.
    Dot { at: Point, radius: f64, paint: Paint },
    /// A line of text on its baseline.
    Text { at: Point, text: String, em: f64, weight: Weight, align: Align, paint: Paint },
}

/// Which part of a text stands at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// A colour and how much it covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    rgb: Rgb,
    alpha: f64,
}

/// An upright rectangle.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Paint {
    pub(super) const fn solid(rgb: Rgb) -> Self {
        Self { rgb, alpha: 1.0 }
    }

    pub(super) const fn sheer(rgb: Rgb, alpha: f64) -> Self {
        Self { rgb, alpha }
    }

    /// Text and whiskers.
    pub(super) const fn ink() -> Self {
        Self::solid((0x22, 0x22, 0x22))
    }

    fn color(self) -> RGBAColor {
        RGBColor(self.rgb.0, self.rgb.1, self.rgb.2).mix(self.alpha)
    }
}

impl Rect {
    pub(super) fn grown(self, by: f64) -> Self {
        Self { x: self.x - by, y: self.y - by, w: self.w + 2.0 * by, h: self.h + 2.0 * by }
    }
}

/// A [`Mark::Area`].
pub(super) fn area(edges: Vec<(f64, f64, f64)>, paint: Paint) -> Mark {
    Mark::Area { edges, paint }
}

/// The drawing as one SVG document that can stand alone or inside HTML.
pub(super) fn svg(drawing: &Drawing) -> String {
    let (w, h) = (drawing.width, drawing.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" \
         viewBox=\"0 0 {} {}\" role=\"img\" stroke-linejoin=\"round\" stroke-linecap=\"round\">\n\
         <title>{}</title>\n",
        pixel(w * FINE),
        pixel(h * FINE),
        escape(&drawing.title)
    );
    for group in &drawing.groups {
        push_group(&mut out, group, drawing);
    }
    out.push_str("</svg>\n");
    out
}

fn push_group(out: &mut String, group: &Group, drawing: &Drawing) {
    let mut tag = format!("<g class=\"{}\"", group.class);
    if !group.name.is_empty() {
        tag += &format!(" data-name=\"{}\"", escape(&group.name));
    }
    for (name, value) in &group.data {
        tag += &format!(" data-{name}=\"{}\"", escape(value));
    }
    let dash: Vec<String> =
        shrunk(group).iter().map(|length| pixel(length * FINE).to_string()).collect();
    if !dash.is_empty() {
        tag += &format!(" stroke-dasharray=\"{}\"", dash.join(" "));
    }
    let inner = marks_svg(&group.marks, drawing);
    let clipped = group.clip.map_or_else(
        || inner.clone(),
        |clip| {
            let [x, y, w, h] = [clip.x, clip.y, clip.w, clip.h].map(|v| pixel(v * FINE));
            format!(
                "<svg x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\" \
                 overflow=\"hidden\">\n{inner}</svg>\n"
            )
        },
    );
    out.push_str(&format!("{tag}>\n{clipped}</g>\n"));
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Round ends lengthen a dash by the width of the line; this takes it off again.
fn shrunk(group: &Group) -> Vec<f64> {
    let width = group
        .marks
        .iter()
        .find_map(|mark| if let Mark::Path { width, .. } = mark { Some(*width) } else { None });
    let by = width.unwrap_or(0.0);
    let turn = |(i, length): (usize, &f64)| {
        if i % 2 == 0 { (length - by).max(0.1) } else { length + by.min(length - 0.1) }
    };
    group.dash.iter().enumerate().map(turn).collect()
}

/// The marks as plotters writes them, without its own `<svg>` around.
fn marks_svg(marks: &[Mark], drawing: &Drawing) -> String {
    let size = [drawing.width, drawing.height].map(|v| pixel(v * FINE).unsigned_abs());
    let mut text = String::new();
    {
        let sheet = SVGBackend::with_string(&mut text, (size[0], size[1])).into_drawing_area();
        for mark in marks {
            put_svg(&sheet, mark).expect("writing to a string cannot fail");
        }
        sheet.present().expect("writing to a string cannot fail");
    }
    let body = text.split_once('\n').map_or("", |(_, body)| body);
    body.strip_suffix("</svg>\n").unwrap_or(body).to_owned()
}

type Sheet<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn put_svg(sheet: &Sheet<'_>, mark: &Mark) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let fine = |(x, y): Point| (pixel(x * FINE), pixel(y * FINE));
    match mark {
        Mark::Rect { rect, paint } => {
            let corners = [fine((rect.x, rect.y)), fine((rect.x + rect.w, rect.y + rect.h))];
            sheet.draw(&Rectangle::new(corners, paint.color().filled()))
        }
        Mark::Path { points, width, paint } => {
            let style = paint.color().stroke_width(pixel(width * FINE).unsigned_abs());
            let points: Vec<(i32, i32)> = points.iter().map(|p| fine(*p)).collect();
            sheet.draw(&PathElement::new(points, style))
        }
        Mark::Area { edges, paint } => {
            let low = edges.iter().map(|e| fine((e.0, e.1)));
            let high = edges.iter().rev().map(|e| fine((e.0, e.2)));
            let points: Vec<(i32, i32)> = low.chain(high).collect();
            sheet.draw(&Polygon::new(points, paint.color()))
        }
        Mark::Dot { at, radius, paint } => {
            sheet.draw(&Circle::new(fine(*at), pixel(radius * FINE), paint.color().filled()))
        }
        Mark::Text { at, text, em, weight, align, paint } => sheet.draw(&Text::new(
            text.clone(),
            svg_origin(fine(*at), *em),
            svg_style(*em, *weight, *align, *paint),
        )),
    }
}

/// plotters hangs a text by a point 0.76 em above its baseline.
fn svg_origin((x, baseline): (i32, i32), em: f64) -> (i32, i32) {
    (x, baseline - pixel(0.76 * em * FINE))
}

fn svg_style(em: f64, weight: Weight, align: Align, paint: Paint) -> TextStyle<'static> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let style = match weight {
        Weight::Regular => FontStyle::Normal,
        Weight::Bold => FontStyle::Bold,
    };
    let side = match align {
        Align::Start => HPos::Left,
        Align::Middle => HPos::Center,
        Align::End => HPos::Right,
    };
    // plotters divides by 1.24 to get the em.
    let font = FontDesc::new(FontFamily::Name(font::FAMILIES), em * FINE * 1.24, style);
    TextStyle { font, color: paint.color().to_backend_color(), pos: Pos::new(side, VPos::Top) }
}

/// The drawing as PNG at twice its size.
pub(super) fn png(drawing: &Drawing) -> Vec<u8> {
    let side = |v: f64| usize::try_from(pixel(v).max(1)).unwrap_or(1) * DRAWN;
    let (w, h) = (side(drawing.width), side(drawing.height));
    let mut buffer = vec![255; w * h * 3];
    {
        let size = (narrow(w), narrow(h));
        let mut canvas = Canvas {
            back: BitMapBackend::with_buffer(&mut buffer, size),
            clip: [0, 0, size.0.cast_signed(), size.1.cast_signed()],
        };
        let whole = canvas.clip;
        for group in &drawing.groups {
            canvas.clip = group.clip.map_or(whole, |clip| overlap(whole, clip));
            for mark in &group.marks {
                canvas.put(mark, &shrunk(group));
            }
        }
    }
    let size = (narrow(w / AVERAGED), narrow(h / AVERAGED));
    super::chart_png::encode(&averaged(&buffer, w, h), size)
}

fn narrow(v: usize) -> u32 {
    u32::try_from(v).unwrap_or(u32::MAX)
}

fn overlap(whole: [i32; 4], clip: Rect) -> [i32; 4] {
    let [x0, y0, x1, y1] =
        [clip.x, clip.y, clip.x + clip.w, clip.y + clip.h].map(|v| pixel(v * scale()));
    [x0.max(whole[0]), y0.max(whole[1]), x1.min(whole[2]), y1.min(whole[3])]
}

fn scale() -> f64 {
    super::chart_math::count(DRAWN)
}

fn averaged(buffer: &[u8], w: usize, h: usize) -> Vec<u8> {
    let (out_w, out_h) = (w / AVERAGED, h / AVERAGED);
    let mut out = Vec::with_capacity(out_w * out_h * 3);
    let parts = u32::try_from(AVERAGED * AVERAGED).unwrap_or(1);
    for y in 0..out_h {
        for x in 0..out_w {
            for channel in 0..3 {
                let mut sum = parts / 2;
                for dy in 0..AVERAGED {
                    let row = (y * AVERAGED + dy) * w;
                    for dx in 0..AVERAGED {
                        sum += u32::from(buffer[(row + x * AVERAGED + dx) * 3 + channel]);
                    }
                }
                out.push(u8::try_from(sum / parts).unwrap_or(u8::MAX));
            }
        }
    }
    out
}

/// A bitmap under way; `clip` is left, top, right, bottom.
struct Canvas<'a> {
    back: BitMapBackend<'a>,
    clip: [i32; 4],
}

impl Canvas<'_> {
    fn put(&mut self, mark: &Mark, dash: &[f64]) {
        let s = scale();
        match mark {
            Mark::Rect { rect, paint } => self.rect(*rect, *paint),
            Mark::Path { points, width, paint } => {
                let points: Vec<Point> = points.iter().map(|p| (p.0 * s, p.1 * s)).collect();
                let dash: Vec<f64> = dash.iter().map(|length| length * s).collect();
                for (a, b) in dashes(&points, &dash) {
                    self.capsule(a, b, width * s / 2.0, *paint);
                }
            }
            Mark::Area { edges, paint } => {
                for pair in edges.windows(2) {
                    self.strip(pair[0], pair[1], *paint);
                }
            }
            Mark::Dot { at, radius, paint } => {
                let at = (at.0 * s, at.1 * s);
                self.capsule(at, at, radius * s, *paint);
            }
            Mark::Text { at, text, em, weight, align, paint } => {
                let width = font::width(text, *em, *weight);
                let left = match align {
                    Align::Start => at.0,
                    Align::Middle => at.0 - width / 2.0,
                    Align::End => at.0 - width,
                };
                let start = (left * s, at.1 * s);
                font::draw(text, em * s, *weight, start, |x, y, c| {
                    self.blend(x, y, c, *paint);
                });
            }
        }
    }

    fn blend(&mut self, x: i32, y: i32, coverage: f64, paint: Paint) {
        let [x0, y0, x1, y1] = self.clip;
        if (x0..x1).contains(&x) && (y0..y1).contains(&y) && coverage > 0.0 {
            let color = paint.color().mix(coverage.min(1.0)).to_backend_color();
            self.back.draw_pixel((x, y), color).expect("a bitmap in memory takes every pixel");
        }
    }

    fn rect(&mut self, rect: Rect, paint: Paint) {
        let [x0, y0, x1, y1] = overlap(self.clip, rect);
        if x0 < x1 && y0 < y1 {
            self.back
                .draw_rect((x0, y0), (x1, y1), &paint.color(), true)
                .expect("a bitmap in memory takes every pixel");
        }
    }

    /// The columns whose centres lie between two edges of an area.
    fn strip(&mut self, a: (f64, f64, f64), b: (f64, f64, f64), paint: Paint) {
        let s = scale();
        let first = pixel((a.0 * s - 0.5).ceil()).max(self.clip[0]);
        let end = pixel((b.0 * s - 0.5).ceil()).min(self.clip[2]);
        for column in first..end {
            let share = ((f64::from(column) + 0.5) / s - a.0) / (b.0 - a.0);
            let low = (a.1 + share * (b.1 - a.1)) * s;
            let high = (a.2 + share * (b.2 - a.2)) * s;
            self.column(column, high, low, paint);
        }
    }

    fn column(&mut self, x: i32, top: f64, bottom: f64, paint: Paint) {
        let (inner_top, inner_bottom) = (pixel(top.ceil()), pixel(bottom.floor()));
        if inner_top > inner_bottom {
            self.blend(x, inner_bottom, bottom - top, paint);
            return;
        }
        let (y0, y1) = (inner_top.max(self.clip[1]), inner_bottom.min(self.clip[3]));
        if y0 < y1 {
            self.back
                .draw_rect((x, y0), (x + 1, y1), &paint.color(), true)
                .expect("a bitmap in memory takes every pixel");
        }
        self.blend(x, inner_top - 1, f64::from(inner_top) - top, paint);
        self.blend(x, inner_bottom, bottom - f64::from(inner_bottom), paint);
    }

    /// All within `radius` of the line from `a` to `b`, by distance.
    fn capsule(&mut self, a: Point, b: Point, radius: f64, paint: Paint) {
        let flat = (b.0 - a.0).abs() >= (b.1 - a.1).abs();
        // Walk along the longer side; `turn` swaps the axes of a steep line.
        let turn = |p: Point| if flat { p } else { (p.1, p.0) };
        let (from, to) =
            if turn(a).0 <= turn(b).0 { (turn(a), turn(b)) } else { (turn(b), turn(a)) };
        let run = (to.0 - from.0).max(1e-9);
        let slope = (to.1 - from.1) / run;
        let reach = radius * (1.0 + slope * slope).sqrt() + 1.5;
        let limit = if flat { (self.clip[0], self.clip[2]) } else { (self.clip[1], self.clip[3]) };
        let begin = pixel((from.0 - radius - 1.0).floor()).max(limit.0);
        let end = pixel((to.0 + radius + 1.0).ceil()).min(limit.1);
        for major in begin..end {
            let along = f64::from(major) + 0.5;
            let middle = from.1 + slope * (along.clamp(from.0, to.0) - from.0);
            for minor in pixel((middle - reach).floor())..=pixel((middle + reach).ceil()) {
                let at = (along, f64::from(minor) + 0.5);
                let coverage = radius + 0.5 - distance_to_line(at, from, to);
                let (x, y) = if flat { (major, minor) } else { (minor, major) };
                self.blend(x, y, coverage.min(1.0), paint);
            }
        }
    }
}

fn distance_to_line(at: Point, from: Point, to: Point) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let long = (dx * dx + dy * dy).max(1e-18);
    let share = (((at.0 - from.0) * dx + (at.1 - from.1) * dy) / long).clamp(0.0, 1.0);
    let (x, y) = (from.0 + share * dx - at.0, from.1 + share * dy - at.1);
    (x * x + y * y).sqrt()
}

/// The pieces of a path, cut at the dashes.
fn dashes(points: &[Point], dash: &[f64]) -> Vec<(Point, Point)> {
    let pieces = points.windows(2).map(|p| (p[0], p[1]));
    if dash.is_empty() {
        return pieces.collect();
    }
    let mut out = Vec::new();
    let (mut part, mut left) = (0, dash[0]);
    for (a, b) in pieces {
        let length = ((b.0 - a.0) * (b.0 - a.0) + (b.1 - a.1) * (b.1 - a.1)).sqrt();
        let along = |d: f64| (a.0 + (b.0 - a.0) * d / length, a.1 + (b.1 - a.1) * d / length);
        let mut done = 0.0;
        while length - done > 1e-9 {
            let next = (done + left).min(length);
            if part % 2 == 0 {
                out.push((along(done), along(next)));
            }
            left -= next - done;
            done = next;
            if left <= 1e-9 {
                part = (part + 1) % dash.len();
                left = dash[part];
            }
        }
    }
    out
}
