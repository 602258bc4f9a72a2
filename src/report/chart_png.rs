//! Pixels as a PNG with a palette: charts have few colours, and blends of them at the edges.

use std::collections::BTreeMap;

type Color = [u8; 3];

/// Colours of a palette at most.
const COLORS: usize = 256;

/// RGB pixels, row by row, as PNG. Of more than 256 colours the most frequent stay exact, each other
/// becomes the nearest of them.
pub(super) fn encode(pixels: &[u8], (w, h): (u32, u32)) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<3>();
    let palette = palette(pixels);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, w, h);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.concat());
    encoder.set_filter(png::Filter::NoFilter);
    // 192 dots an inch: shown at half its pixels, printed at 26 cm.
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: 7559,
        yppu: 7559,
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header().expect("a vector takes all writes");
    let image = indices(pixels, &palette);
    writer.write_image_data(&image).expect("the buffer has the size of the header");
    writer.finish().expect("a vector takes all writes");
    out
}

/// The most frequent colours; of equally frequent ones the darkest first.
fn palette(pixels: &[Color]) -> Vec<Color> {
    let mut counts: BTreeMap<Color, usize> = BTreeMap::new();
    for run in pixels.chunk_by(|a, b| a == b) {
        *counts.entry(run[0]).or_default() += run.len();
    }
    let mut all: Vec<(Color, usize)> = counts.into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all.truncate(COLORS);
    all.into_iter().map(|(color, _)| color).collect()
}

/// Each pixel as the place of its colour.
fn indices(pixels: &[Color], palette: &[Color]) -> Vec<u8> {
    let mut known: BTreeMap<Color, u8> = palette.iter().copied().zip(0..=u8::MAX).collect();
    let mut out = Vec::with_capacity(pixels.len());
    for run in pixels.chunk_by(|a, b| a == b) {
        let index = *known.entry(run[0]).or_insert_with(|| nearest(run[0], palette));
        out.resize(out.len() + run.len(), index);
    }
    out
}

fn nearest(color: Color, palette: &[Color]) -> u8 {
    let distance = |other: &Color| -> u32 {
        let parts = color.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)));
        parts.map(|part| part * part).sum()
    };
    let nearest = palette.iter().zip(0..=u8::MAX).min_by_key(|(other, _)| distance(other));
    nearest.map_or(0, |(_, index)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours as they are read back.
    fn decoded(png: &[u8]) -> Vec<u8> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut pixels).expect("pixels");
        pixels
    }

    #[test]
    fn few_colours_stay_exact_and_rare_ones_come_near() {
        let few = [[1, 2, 3], [255, 255, 255], [1, 2, 3], [0, 158, 115]].concat();
        assert_eq!(decoded(&encode(&few, (2, 2))), few);
        let grey = |v: u8| [v, v, v];
        let mut many: Vec<Color> = (0..=u8::MAX).flat_map(|v| [grey(v), grey(v)]).collect();
        many.push([8, 7, 7]);
        many.push([200, 200, 203]);
        let back = decoded(&encode(&many.concat(), (514, 1)));
        assert_eq!(back[..3 * 512], many.concat()[..3 * 512]);
        assert_eq!(back[3 * 512..], [grey(7), grey(201)].concat());
    }
}
