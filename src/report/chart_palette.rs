//! The colours and strokes of roles: Okabe and Ito, "Color Universal Design" (2008), and greys.

use super::chart::Role;

/// Red, green, blue.
pub(super) type Rgb = (u8, u8, u8);

/// How a curve is stroked: width in pixels and lengths of dash and gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub(super) width: f64,
    pub(super) dash: &'static [f64],
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
        const FAILURES: [Rgb; 6] = [VERMILLION, ORANGE, PURPLE, YELLOW, MAROON, (0xB3, 0x8B, 0x6D)];
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
