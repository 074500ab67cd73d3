//! Clusters in virtual time: whole applications on the embedded registry, in one thread, with faults, from a seed.
//!
//! [`Simulation::of`] puts your own application into one, as it is: start there. [`simulate`] draws a cluster, its jobs
//! and what happens to them from a seed; that is how the framework proves itself. Either lets minutes of virtual time
//! pass in milliseconds, then heals everything, and looks at what happened:
//!
//! - no two live runs of an item overlap, and blocking work that overruns its session is refused by its token;
//! - nothing is executed once its session has ended, nor by a process that was paused for longer than that;
//! - tokens grow, no scheduled time is run twice, and no run begins after its end is recorded;
//! - the account of each item has no gap and has no time twice; with `failover` the items that a dead instance was running are
//!   taken over, as the next attempt, and no others;
//! - a time that comes just after an instance or new items have come is run by each item, and one that passes
//!   an item which is switched off is recorded;
//! - an instance with a link without faults claims no item that is switched off or about to move; an item
//!   moves, and its mark goes, when its run has ended;
//! - the next attempt of a run has its triggers and its parameter; a run is given up after exactly as many attempts as are
//!   allowed; the end of a run answers its triggers;
//! - a time that came while its item ran is made up, or skipped for a known reason;
//! - within twice the session timeout, one period and 7 seconds the cluster is normal again: every item runs at each of its times,
//!   on a present instance, with nothing left over in the registry;
//! - a distribute-once hook is called by one instance at a time, and again only if that instance is gone; if nothing happens
//!   to the cluster, each hook is called once, before the first item begins and after the last has ended;
//! - no run of a job is claimed between the transaction that pauses it and the one that ends the pause;
//! - a run of a single item that an operator triggers is one run, of that item, and it comes;
//! - a run that an operator cancels ends as cancelled, unless it ended before its instance had to know, and no other run does;
//! - what a run reports of its progress goes with it;
//! - no instance sends more requests than a firing costs, and none polls.
//!
//! Processes crash, stand still, restart and leave; links are cut, slow, hold requests or answers up, lose the answer of
//! any step of the protocol, or of the one at which the process dies; servers fall behind, or are cut off and still
//! answer; sessions are ended out of turn; clocks are off, some by a day, and run at rates up to the bound that is
//! documented; operators disable, pause, reconfigure, trigger, cancel and take away; containers, configurations and whole jobs
//! vanish; jobs are larger than what is done at once, some have thousands of items, or names that are long or Chinese. Some
//! seeds repeat faults that have to come in one order.
//!
//! The same seed gives the same history, to the letter. That relies on nothing in the framework, and in the jobs, asking
//! the machine for time, for randomness or for a thread.

mod account;
mod bars;
mod check;
mod clock;
mod faults;
mod focus;
mod hearing;
mod history;
mod job;
mod laws;
pub(crate) mod node;
mod observer;
mod outside;
mod scale;
mod scheduler;
mod simulation;
mod sorted;
mod threads;
mod verdicts;
mod watched;
mod work;
mod world;

use std::fmt;
use std::time::Duration;

use crate::cluster::mutation;

use simulation::Course;
use world::HandedOut;

pub use crate::cluster::mutation::{Mutation, UnknownMutation};
pub use simulation::Simulation;
pub use threads::sleep_blocking;

/// What became of one seed.
///
/// Shown, it is the whole history, in which a violation stands between what led to it and what came of it. Debugged, as
/// by a failed assertion, it is the violations alone.
pub struct Report {
    history: history::History,
}

/// Runs the cluster of this seed, with a rule of the protocol left out where one is named.
///
/// The cluster, its jobs and its faults are all drawn, so that nothing of the caller's is in it. With a rule left out a
/// violation is to be expected from some seeds: that is how the checks themselves are tested.
///
/// # Panics
/// Inside of a tokio runtime: it makes its own.
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
    in_virtual_time(seed, None, Course::drawn(), HandedOut::default(), left_out)
}

/// Runs the cluster of a seed as [`simulate`] does, with jobs of so many items each, and faults for half a minute.
///
/// The limits on what a request takes are those of a real cluster, which some seeds lower otherwise.
///
/// # Panics
/// Inside of a tokio runtime: it makes its own. If `items` is no total count that a job may have.
#[must_use]
pub fn simulate_items(seed: u64, items: u32, left_out: Option<Mutation>) -> Report {
    let course = Course {
        items: Some(items),
        time: Some(ITEMS_TIME),
        ..Course::drawn()
    };
    in_virtual_time(seed, None, course, HandedOut::default(), left_out)
}

/// How long faults strike jobs with a given number of items: each firing is much work.
const ITEMS_TIME: Duration = Duration::from_secs(30);

/// Runs a simulation in this thread, whose time passes when nothing is left to do.
fn in_virtual_time(
    seed: u64,
    application: Option<crate::starter::ApplicationParts>,
    course: Course,
    handed_out: HandedOut,
    left_out: Option<Mutation>,
) -> Report {
    let _left_out = mutation::leave_out(left_out);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing that can be refused");
    let history = runtime.block_on(world::World::run(seed, application, course, handed_out));
    Report { history }
}

/// Leaves a rule out of this process for good, to see that what looks for faults from outside finds them. Only the first
/// call does.
pub fn leave_out_for_good(rule: Mutation) {
    mutation::leave_out_for_good(rule);
}

impl Report {
    /// Returns what should not have happened, with its time.
    ///
    /// In the order in which it was found. Empty if all went well.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.history.violations()
    }

    /// Stands for the whole history: two that differ anywhere have different ones.
    ///
    /// Two runs of one seed that have different ones show that something asked the machine for time, chance or a
    /// thread. It may differ between versions of this crate.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.history.fingerprint()
    }

    /// Returns how many runs were launched.
    ///
    /// An attempt counts as one. A test may make sure by it that its jobs ran at all.
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
    fn clusters_keep_all_promises_under_faults() {
        for seed in 0..40 {
            let report = simulate(seed, None);
            assert_eq!(report.violations(), Vec::<String>::new(), "seed {seed}");
        }
    }

    /// Faults that only a rare course of events brings about, and that were there once.
    #[test]
    fn what_was_found_by_chance_should_not_come_back() {
        for (seed, what) in [
            (
                3278,
                "a process called a hook twice after its configuration had changed",
            ),
            (
                6920,
                "an instance that an operator removed created ledgers without a pause",
            ),
            (
                17377,
                "a contender that was withdrawn while it was on its way held up all others",
            ),
            (
                32382,
                "a process that gave up at a barrier took the place of another of its firings",
            ),
            (
                3346,
                "a claim that was refused was tried again although its server had been disabled meanwhile",
            ),
            (50105, "a watch that was refused was set again without a pause"),
            (
                121516,
                "the checker took an instance of a job that was created again for a member of the removed one",
            ),
        ] {
            assert_eq!(simulate(seed, None).violations(), Vec::<String>::new(), "{what}");
        }
    }

    mod jobs_of_many_items {
        use super::*;

        #[test]
        fn keep_all_promises_under_long_and_chinese_names() {
            for (seed, name) in [(35, "月末工资结算月末工资结算"), (80, "alphaalpha")] {
                let report = simulate(seed, None);
                assert!(
                    report.to_string().contains(&format!("job {name}")),
                    "the job of seed {seed}"
                );
                assert_eq!(report.violations(), Vec::<String>::new(), "seed {seed}");
            }
        }
    }

    #[test]
    fn each_rule_should_be_in_the_list_of_mutations() {
        let list = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mutations.md");
        let list = std::fs::read_to_string(list).unwrap();
        let is_missing = |rule: &&Mutation| !list.contains(&format!("| `{rule:?}` |"));
        let missing: Vec<_> = Mutation::ALL.iter().filter(is_missing).collect();
        assert_eq!(missing, Vec::<&Mutation>::new());
    }

    #[test]
    fn a_seed_should_stand_for_one_history() {
        let first = simulate(7, None);
        assert!(first.runs() > 0);
        assert_eq!(first.fingerprint(), simulate(7, None).fingerprint());
        assert_ne!(first.fingerprint(), simulate(8, None).fingerprint());
    }
}
