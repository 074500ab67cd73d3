//! How large the jobs of a seed are, how long their names, and how little a request takes there.

use std::ops::Range;

use crate::limits::{self, Lowered};

/// Of so many seeds
const SHARE_OF: u16 = 800;
/// so many have jobs of tens of items, of which no request takes all,
const TENS: u16 = 12;
/// and so many have jobs of thousands.
const THOUSANDS: u16 = 1;

/// The registry of one of so many seeds is like etcd.
const ETCD_OF: u8 = 20;

/// How many items jobs have, and what that makes of everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Small,
    /// So large that followers watch their own items alone.
    Large,
    Tens,
    Thousands,
    /// So many items each, under the limits that hold outside of simulations.
    Of(u32),
}

impl Scale {
    /// Draws the scale of a seed.
    pub(super) fn draw(seed: u64, rng: &mut fastrand::Rng) -> Self {
        let is_large = rng.u8(..4) == 0;
        // Drawn from a source of their own, so that the other seeds stay what they are.
        match fastrand::Rng::with_seed(!seed).u16(..SHARE_OF) {
            drawn if drawn < THOUSANDS => Self::Thousands,
            drawn if drawn < THOUSANDS + TENS => Self::Tens,
            _ if is_large => Self::Large,
            _ => Self::Small,
        }
    }

    /// Lowers what a request takes, and from which size on a follower watches its own items alone.
    pub(super) fn lower_limits(self, rng: &mut fastrand::Rng) -> Option<Lowered> {
        match self {
            Self::Small | Self::Of(_) => None,
            Self::Large => Some(limits::lower(rng.usize(3_000..8_000), rng.usize(4..20))),
            // Names are long: what a registration writes takes more than 3,000.
            Self::Tens => Some(limits::lower(rng.usize(7_000..12_000), rng.usize(4..20))),
            Self::Thousands => Some(limits::lower(rng.usize(50_000..150_000), rng.usize(4..2_000))),
        }
    }

    /// Draws how many steps a request takes, if the registry of a seed is like etcd: it counts steps, and carries out what a
    /// transaction comes to for each node.
    pub(super) fn steps(self, seed: u64) -> Option<usize> {
        // From a source of its own, so that the other seeds stay what they are.
        let mut rng = fastrand::Rng::with_seed(seed.rotate_left(32) ^ !seed);
        let is_like_etcd = rng.u8(..ETCD_OF) == 0;
        is_like_etcd.then(|| match self {
            Self::Small | Self::Large => rng.usize(48..96),
            Self::Tens => rng.usize(48..128),
            Self::Thousands | Self::Of(_) => 120,
        })
    }

    /// Returns how many items a job has.
    pub(super) fn items(self) -> Range<u32> {
        match self {
            Self::Small => 1..6,
            Self::Large => 1..14,
            Self::Tens => 30..80,
            Self::Thousands => 1_000..2_000,
            Self::Of(items) => items..items + 1,
        }
    }

    /// Returns whether a firing takes so many requests that jobs fire every few seconds only: else something would always
    /// be under way.
    pub(super) fn is_slow(self) -> bool {
        !matches!(self, Self::Small | Self::Large)
    }

    /// Returns how many times as long everything may take as with a job of ten thousand items or less.
    pub(super) fn patience(self) -> u32 {
        match self {
            Self::Of(items) => (items / 10_000).max(1),
            _ => 1,
        }
    }

    /// Returns whether a job has too many items for a thread each.
    pub(super) fn is_huge(self) -> bool {
        matches!(self, Self::Thousands | Self::Of(_))
    }

    /// Returns the names of jobs.
    pub(super) fn names(self, seed: u64) -> [String; 2] {
        let short = ["alpha", "beta"];
        match self {
            Self::Small | Self::Large | Self::Of(_) => short.map(str::to_owned),
            _ if seed.is_multiple_of(2) => short.map(|name| name.repeat(25)),
            _ => ["月末工资结算", "日终对账"].map(|name| name.repeat(17)),
        }
    }
}
