//! Addresses of IPv4, and ranges of them.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;

/// An address; never 0.0.0.0, so that an `Option` of it takes four bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ip(NonZeroU32);

impl Ip {
    /// 127.0.0.1.
    pub const LOCALHOST: Self = match Self::new(0x7f00_0001) {
        Some(ip) => ip,
        None => unreachable!(),
    };

    /// The address of a number, the first byte of its text being the highest; `None`: 0.0.0.0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// An address as it is written: `10.244.1.7`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(text.parse::<Ipv4Addr>().ok()?.to_bits())
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv4Addr::from_bits(self.number()).fmt(f)
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A range of addresses that begin alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    base: u32,
    bits: u8,
}

impl Cidr {
    /// The range of that many bits around an address; more than 32 count as 32.
    #[must_use]
    pub const fn around(number: u32, bits: u8) -> Self {
        let bits = if bits > 32 { 32 } else { bits };
        Self { base: number & mask(bits), bits }
    }

    /// A range as it is written: `10.244.0.0/16`. What the address says behind the bits counts
    /// for nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self::around(address.to_bits(), bits))
    }

    /// How many bits its addresses have in common.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// The number of its first address.
    #[must_use]
    pub const fn base(self) -> u32 {
        self.base
    }

    /// The place of its last address, counted from 0.
    #[must_use]
    pub const fn last(self) -> u32 {
        !mask(self.bits)
    }

    /// The address at a place, if it has that many.
    #[must_use]
    pub const fn at(self, place: u32) -> Option<Ip> {
        if place > self.last() { None } else { Ip::new(self.base | place) }
    }

    /// The place of one of its addresses.
    #[must_use]
    pub const fn place(self, ip: Ip) -> Option<u32> {
        if self.contains(ip) { Some(ip.number() & self.last()) } else { None }
    }

    /// Whether an address is one of its own.
    #[must_use]
    pub const fn contains(self, ip: Ip) -> bool {
        ip.number() & mask(self.bits) == self.base
    }

    /// Whether two ranges have an address in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        let bits = if self.bits < other.bits { self.bits } else { other.bits };
        self.base & mask(bits) == other.base & mask(bits)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.base), self.bits)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const fn mask(bits: u8) -> u32 {
    if bits == 0 { 0 } else { u32::MAX << (32 - bits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers() {
        let range = Cidr::parse("10.244.7.9/24").unwrap();
        assert_eq!(range.to_string(), "10.244.7.0/24");
        assert_eq!(range.at(9).unwrap().to_string(), "10.244.7.9");
        assert_eq!((range.at(256), range.last()), (None, 255));
        assert_eq!(range.place(Ip::parse("10.244.7.200").unwrap()), Some(200));
        assert_eq!(range.place(Ip::parse("10.244.8.200").unwrap()), None);
        for wrong in ["10.244.0.0", "10.244.0.0/33", "10.244.0/16", "fd00::/8", "/8"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Ip::parse("0.0.0.0"), None);
        assert_eq!(size_of::<Option<Ip>>(), 4);
    }

    #[test]
    fn ranges_overlap_if_one_holds_the_other() {
        let range = |text| Cidr::parse(text).unwrap();
        assert!(range("10.0.0.0/8").overlaps(range("10.244.0.0/16")));
        assert!(range("10.244.0.0/16").overlaps(range("0.0.0.0/0")));
        assert!(!range("10.244.0.0/24").overlaps(range("10.244.1.0/24")));
    }
}
