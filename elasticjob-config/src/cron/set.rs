//! A set of small numbers in one machine word.
//!
//! Each number is a bit. So "the next member from here" is a mask and a count of zeros, and the days of a month that
//! fall on a weekday are one pattern that is shifted.

/// Numbers from 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Set(u64);

impl Set {
    /// The numbers of the bits that are set.
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) fn single(value: u8) -> Self {
        Self(1 << value)
    }

    /// All numbers from `first` to `last`; empty when they are crossed.
    pub(super) fn range(first: u8, last: u8) -> Self {
        Self(at_most(last) & at_least(first))
    }

    pub(super) fn insert(&mut self, value: u8) {
        self.0 |= 1 << value;
    }

    pub(super) fn contains(self, value: u8) -> bool {
        self.0 & (1 << value) != 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns how many members there are.
    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(super) fn first(self) -> Option<u8> {
        self.first_from(0)
    }

    pub(super) fn last(self) -> Option<u8> {
        self.last_until(63)
    }

    /// The smallest member that is not below `value`.
    pub(super) fn first_from(self, value: u8) -> Option<u8> {
        let rest = self.0 & at_least(value);
        (rest != 0).then(|| rest.trailing_zeros() as u8)
    }

    /// The largest member that is not above `value`.
    pub(super) fn last_until(self, value: u8) -> Option<u8> {
        let rest = self.0 & at_most(value);
        (rest != 0).then(|| 63 - rest.leading_zeros() as u8)
    }

    /// How many members are below `value`.
    pub(super) fn count_below(self, value: u8) -> u32 {
        (self.0 & !at_least(value)).count_ones()
    }

    /// Returns the members in ascending order.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |&value| self.contains(value))
    }

    /// Moves every member up by `by`; what goes beyond 63 is lost.
    pub(super) fn shift(self, by: u8) -> Self {
        Self(self.0 << by)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Returns the bits of all numbers from this one on, which may be 64: then there are none.
fn at_least(value: u8) -> u64 {
    u64::MAX.checked_shl(value.into()).unwrap_or(0)
}

/// Returns the bits of all numbers up to this one.
fn at_most(value: u8) -> u64 {
    !at_least(value + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_include_their_bound() {
        let set = Set::range(5, 9).or(Set::single(63)).or(Set::single(0));
        assert_eq!(set.first_from(0), Some(0));
        assert_eq!(set.first_from(1), Some(5));
        assert_eq!(set.first_from(10), Some(63));
        assert_eq!(set.first_from(64), None);
        assert_eq!(set.last_until(63), Some(63));
        assert_eq!(set.last_until(62), Some(9));
        assert_eq!(set.last_until(4), Some(0));
        assert_eq!(Set::range(5, 9).last_until(4), None);
        assert_eq!(set.count_below(6), 2);
        assert_eq!(Set::range(3, 2), Set::default());
    }
}
