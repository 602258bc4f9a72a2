//! The font of the charts: DejaVu Sans, from the crate `dejavu`; no system font is read.
//!
//! Owns measuring and rasterising. plotters' own text drawing leaves out the left bearing of each
//! glyph and rounds every advance, which shows in print; so glyphs are placed here.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

use super::chart_math::single;

/// What an SVG asks for: ours, then one of the same widths.
pub(super) const FAMILIES: &str = "DejaVu Sans, Verdana, sans-serif";

/// Regular or bold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(dejavu::sans::regular()).expect("DejaVu Sans is a valid font")
});
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(dejavu::sans::bold()).expect("DejaVu Sans Bold is a valid font")
});

/// Width of a line of text in pixels; `em` is the font size in pixels.
pub(super) fn width(text: &str, em: f64, weight: Weight) -> f64 {
    let mut end = 0.0;
    place(text, em, weight, |_, _, next| end = next);
    f64::from(end)
}

/// Draws a line of text from `(x, baseline)`: calls `put(x, y, coverage 0..=1)` for each pixel.
pub(super) fn draw(
    text: &str,
    em: f64,
    weight: Weight,
    at: (f64, f64),
    mut put: impl FnMut(i32, i32, f64),
) {
    let face = face(weight);
    let scale = scale(face, em);
    let (x, baseline) = (single(at.0), single(at.1));
    place(text, em, weight, |id, start, _| {
        let glyph = id.with_scale_and_position(scale, point(x + start, baseline));
        if let Some(outline) = face.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            let (left, top) = (
                super::chart_math::pixel(corner.x.into()),
                super::chart_math::pixel(corner.y.into()),
            );
            outline.draw(|dx, dy, coverage| {
                put(
                    left.saturating_add_unsigned(dx),
                    top.saturating_add_unsigned(dy),
                    coverage.into(),
                );
            });
        }
    });
}

/// The text, cut with an ellipsis so that it is at most `room` pixels wide.
pub(super) fn fit(text: &str, em: f64, weight: Weight, room: f64) -> String {
    if width(text, em, weight) <= room {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let cut = |n: usize| chars[..n].iter().collect::<String>().trim_end().to_owned() + "…";
    let keep = (0..chars.len()).rev().find(|n| width(&cut(*n), em, weight) <= room);
    cut(keep.unwrap_or(0))
}

/// The text in lines of at most `room` pixels, broken between words; a longer word is cut.
pub(super) fn wrap(text: &str, em: f64, weight: Weight, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let joined = lines.last().map(|line| format!("{line} {word}"));
        match joined {
            Some(longer) if width(&longer, em, weight) <= room => {
                if let Some(last) = lines.last_mut() {
                    *last = longer;
                }
            }
            _ => lines.push(fit(word, em, weight, room)),
        }
    }
    lines
}

fn face(weight: Weight) -> &'static FontRef<'static> {
    match weight {
        Weight::Regular => &REGULAR,
        Weight::Bold => &BOLD,
    }
}

/// `ab_glyph` scales by ascent minus descent, CSS by the em.
fn scale(face: &FontRef<'_>, em: f64) -> PxScale {
    let height = face.height_unscaled() / face.units_per_em().unwrap_or(1.0);
    PxScale::from(single(em) * height)
}

/// Calls `each(glyph, where it begins, where the next begins)` along the line.
fn place(text: &str, em: f64, weight: Weight, mut each: impl FnMut(ab_glyph::GlyphId, f32, f32)) {
    let face = face(weight);
    let scaled = face.as_scaled(scale(face, em));
    let mut pen = 0.0;
    let mut last = None;
    for c in text.chars() {
        let id = scaled.glyph_id(c);
        pen += last.map_or(0.0, |before| scaled.kern(before, id));
        let next = pen + scaled.h_advance(id);
        each(id, pen, next);
        (pen, last) = (next, Some(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        // Advance of `0` in DejaVu Sans is 1303 of 2048 units.
        assert!((width("00", 100.0, Weight::Regular) - 2.0 * 130_300.0 / 2048.0).abs() < 0.01);
        assert!(width("calls", 12.0, Weight::Bold) > width("calls", 12.0, Weight::Regular));
    }

    #[test]
    fn long_text_is_cut_or_wrapped_to_its_room() {
        let cut = fit("deployment/a-very-long-name", 12.0, Weight::Regular, 80.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0, Weight::Regular) <= 80.0);
        let lines = wrap("one two three four five six", 12.0, Weight::Regular, 70.0);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| width(line, 12.0, Weight::Regular) <= 70.0));
        assert_eq!(lines.join(" "), "one two three four five six");
    }
}
