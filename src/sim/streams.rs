//! Random streams: one generator a (purpose, thing), so that a new draw here changes nothing there.
//!
//! `seed` is the experiment and `replication` the repeat: together they are the generator's key.
//! Purpose and the thing's name choose the stream under that key. Two policies under one seed see
//! the same arrivals and service times, which makes their difference sharp.
//!
//! The generator is ChaCha with 8 rounds, named by its algorithm because its output is fixed for
//! good. The hash is FNV-1a with 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The source of all randomness in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The experiment.
    pub seed: u64,
    /// The repeat.
    pub replication: u32,
}

impl Streams {
    /// Opens the generator for one purpose of one thing, always the same one from its start.
    ///
    /// The thing keeps it: opening again begins again.
    #[must_use]
    pub fn open(&self, purpose: &'static str, thing: &str) -> ChaCha8Rng {
        let mut key = *b"seatrial stream\0________________";
        key[16..24].copy_from_slice(&self.seed.to_le_bytes());
        key[24..28].copy_from_slice(&self.replication.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream_id(purpose, thing));
        rng
    }
}

/// The stream's number: a hash of both names, parted by a byte that UTF-8 never has.
fn stream_id(purpose: &str, thing: &str) -> u64 {
    fnv1a(purpose.bytes().chain([0xff]).chain(thing.bytes()))
}

fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    fn first(seed: u64, replication: u32, purpose: &'static str, thing: &str) -> u64 {
        Streams { seed, replication }.open(purpose, thing).next_u64()
    }

    #[test]
    fn every_part_chooses_another_stream() {
        let base = first(7, 0, "arrival", "shoppers");
        assert_eq!(base, first(7, 0, "arrival", "shoppers"));
        for other in [
            first(8, 0, "arrival", "shoppers"),
            first(7, 1, "arrival", "shoppers"),
            first(7, 0, "hold", "shoppers"),
            first(7, 0, "arrival", "shopper"),
            first(7, 0, "arrivals", "hoppers"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a("foobar".bytes()), 0x8594_4171_f739_67e8);
    }

    /// The expected words are from a ChaCha8 written apart from this one: the key as in `open`,
    /// block counter 0, the stream's number as the nonce.
    #[test]
    fn the_draws_of_a_seed_never_change() {
        assert_eq!(first(7, 0, "arrival", "shoppers"), 0x6ceb_cb60_0ed6_319c);
        assert_eq!(first(7, 1, "hold", "checkout"), 0x6808_7435_500f_5d79);
        assert_eq!(first(u64::MAX, u32::MAX, "", ""), 0xd686_41b6_2bbb_39ac);
    }
}
