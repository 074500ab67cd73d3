//! Unique names: run ids, request ids, latch ids. From a seed, so that a simulation repeats them.

use uuid::Builder;

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A source of unique names.
#[derive(Debug)]
pub(crate) struct Ids(fastrand::Rng);

impl Ids {
    /// From the operating system's randomness.
    pub(crate) fn random() -> Self {
        Self(fastrand::Rng::new())
    }

    /// The same names for the same seed.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "for clusters in virtual time")
    )]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Returns an independent source of ids.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// Six characters that tell sessions of one process id apart.
    pub(crate) fn suffix(&mut self) -> String {
        self.text(6)
    }

    /// Names one run, or one request: 60 bits, short since it is written with every item of every firing.
    pub(crate) fn run(&mut self) -> String {
        self.text(12)
    }

    /// A lower-case UUID, as Curator puts it into the names of latch nodes.
    pub(crate) fn uuid(&mut self) -> String {
        Builder::from_random_bytes(self.0.u128(..).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    fn text(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from(BASE36[self.0.usize(..BASE36.len())]))
            .collect()
    }
}
