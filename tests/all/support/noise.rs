//! Noise for tests that mutate input.

use std::ops::Range;

/// Values that no one wants, for any key.
pub(crate) const ODD: [&str; 44] = [
    "",
    "~",
    "[]",
    "{}",
    "[[]]",
    "{a: b}",
    "''",
    "'a b/c'",
    "-1",
    "0",
    "1",
    "2",
    "-0.0",
    "1e308",
    ".nan",
    ".inf",
    "1000000",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "99999999999999999999",
    "0s",
    "1ns",
    "-5s",
    "2562047h",
    "500h",
    "584y",
    "1e18/s",
    "0/s",
    "1e-300/s",
    "0%",
    "100%",
    "1000%",
    "-1%",
    "1m",
    "1n",
    "9Ei",
    "1e-9",
    "💥",
    "true",
    "null",
    "\"\\0\"",
    "*nothing",
    "&a [*a]",
];

/// The rounds that are tried: other ones by `SEATRIAL_FUZZ=FROM..TO`.
#[expect(clippy::disallowed_methods, reason = "what whoever looks for a fault wants to set")]
pub(crate) fn rounds(usual: Range<u64>) -> Range<u64> {
    let Ok(named) = std::env::var("SEATRIAL_FUZZ") else { return usual };
    let (from, to) = named.split_once("..").expect("SEATRIAL_FUZZ=FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// A small generator of our own: the same bytes on every machine.
pub(crate) struct Noise(u64);

impl Noise {
    /// Begins with a seed, which is not zero.
    pub(crate) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// One of a few.
    pub(crate) fn one_of<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    /// A number below a bound (xorshift64*).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % bound
    }

    /// A few edits of a text: bytes changed, taken out, put in, parts repeated.
    pub(crate) fn mutate(&mut self, text: &str) -> Vec<u8> {
        const SPICE: &[u8] = b"0123456789-:{}[],\"'#&*!|>%@ \n\t\0\xff~./eE";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len());
            let spice = SPICE[self.below(SPICE.len())];
            match self.below(6) {
                0 => bytes[at] = spice,
                1 => bytes.insert(at, spice),
                2 => drop(bytes.remove(at)),
                3 => {
                    let end = (at + 1 + self.below(40)).min(bytes.len());
                    drop(bytes.drain(at..end));
                }
                4 => {
                    let end = (at + 1 + self.below(60)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    drop(bytes.splice(to..to, part));
                }
                _ => {
                    let end = (at + 1 + self.below(8)).min(bytes.len());
                    let digits = b"-99999999999999999999"[..end - at].to_vec();
                    drop(bytes.splice(at..end, digits));
                }
            }
        }
        bytes
    }
}
