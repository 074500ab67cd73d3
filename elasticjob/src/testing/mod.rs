//! Clusters in virtual time: whole applications on the embedded registry, in one thread, with faults, from a seed.
//!
//! [`simulate`] draws a cluster, its jobs and what happens to them from a seed, lets minutes of virtual time pass in
//! milliseconds, then heals everything and looks whether all is as promised: no two runs of an item overlap, tokens
//! grow, no scheduled time is run twice, nothing runs once its session has ended, and within a bound everything runs
//! again as it should. The same seed gives the same history, to the letter.
//!
//! It relies on nothing in the framework asking the machine for time, for randomness or for a thread.

mod check;
mod clock;
mod faults;
mod history;
mod node;
mod observer;
mod scheduler;
mod work;
mod world;

use std::fmt;

use crate::cluster::mutation;

pub use crate::cluster::mutation::Mutation;

/// What became of one seed.
pub struct Report {
    history: history::History,
}

/// Runs the cluster of this seed, with a rule of the protocol left out where one is named.
///
/// ```
/// use elasticjob::testing::simulate;
///
/// let report = simulate(1, None);
/// assert!(report.violations().is_empty(), "{report}");
/// assert_eq!(report.fingerprint(), simulate(1, None).fingerprint());
/// ```
#[must_use]
pub fn simulate(seed: u64, left_out: Option<Mutation>) -> Report {
    let _left_out = mutation::leave_out(left_out);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing that can be refused");
    let history = runtime.block_on(world::World::run(seed));
    Report { history }
}

/// Leaves a rule out of this process for good, to see that what looks for faults from outside finds them. Only the first
/// call does.
pub fn leave_out_for_good(rule: Mutation) {
    mutation::leave_out_for_good(rule);
}

impl Report {
    /// What should not have happened, with its time.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.history.violations()
    }

    /// Stands for the whole history: two that differ anywhere have different ones.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.history.fingerprint()
    }

    /// How many runs were launched.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.history.runs().len()
    }
}

/// The history, an entry a line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.history.fmt(f)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("violations", &self.violations())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_should_keep_all_promises_whatever_happens_to_them() {
        for seed in 0..40 {
            let report = simulate(seed, None);
            assert_eq!(report.violations(), Vec::<String>::new(), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_should_stand_for_one_history() {
        let first = simulate(7, None);
        assert!(first.runs() > 0);
        assert_eq!(first.fingerprint(), simulate(7, None).fingerprint());
        assert_ne!(first.fingerprint(), simulate(8, None).fingerprint());
    }
}
