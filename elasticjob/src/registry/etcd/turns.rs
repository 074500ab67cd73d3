//! In which order the calls of a session are made.
//!
//! Calls that name a common job are made one after the other, in their order, except that reads may go side by side. A sync
//! comes after all calls before it. Others do not wait for each other: a process may have thousands of jobs.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::{CancellationToken, DropGuard};

/// How many jobs may be known before those that are idle are forgotten.
const SWEPT_FROM: usize = 64;

/// What a call names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Reads(BTreeSet<String>),
    Writes(BTreeSet<String>),
    /// All that was asked before.
    All,
}

/// The calls that were begun and have not ended.
#[derive(Debug, Default)]
pub(super) struct Turns {
    jobs: BTreeMap<String, Calls>,
    swept_at: usize,
}

/// Those that name a job.
#[derive(Debug, Default)]
struct Calls {
    /// The newest that is no read, and the reads behind it.
    write: Option<CancellationToken>,
    reads: Vec<CancellationToken>,
}

/// The turn of a call. It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    after: Vec<CancellationToken>,
    _over: DropGuard,
}

impl Turns {
    /// Adds a call behind all before it.
    pub(super) fn add(&mut self, names: Names) -> Turn {
        self.sweep();
        let over = CancellationToken::new();
        let mut after = Vec::new();
        match names {
            Names::All => after.extend(self.jobs.values().flat_map(Calls::all).cloned()),
            Names::Writes(jobs) => {
                for job in jobs {
                    let calls = self.jobs.entry(job).or_default();
                    after.extend(calls.all().cloned());
                    *calls = Calls {
                        write: Some(over.clone()),
                        reads: Vec::new(),
                    };
                }
            }
            Names::Reads(jobs) => {
                for job in jobs {
                    let calls = self.jobs.entry(job).or_default();
                    calls.reads.retain(|read| !read.is_cancelled());
                    after.extend(calls.write.clone());
                    calls.reads.push(over.clone());
                }
            }
        }
        after.retain(|call| !call.is_cancelled());
        let over = over.drop_guard();
        Turn { after, _over: over }
    }

    /// Forgets idle jobs from time to time, so that it costs little for each call.
    fn sweep(&mut self) {
        if self.jobs.len() > self.swept_at.max(SWEPT_FROM) {
            self.jobs
                .retain(|_, calls| calls.all().any(|call| !call.is_cancelled()));
            self.swept_at = self.jobs.len() * 2;
        }
    }
}

impl Calls {
    fn all(&self) -> impl Iterator<Item = &CancellationToken> {
        self.write.iter().chain(&self.reads)
    }
}

impl Turn {
    /// Waits until it has come.
    pub(super) async fn come(&mut self) {
        for call in std::mem::take(&mut self.after) {
            call.cancelled().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn jobs(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn has_come(turn: &mut Turn) -> bool {
        let after = turn.after.clone();
        let has_come = turn.come().now_or_never().is_some();
        turn.after = after;
        has_come
    }

    mod a_call {
        use super::*;

        #[test]
        fn waits_for_those_before_it_on_its_jobs() {
            let mut turns = Turns::default();
            let mut first = turns.add(Names::Writes(jobs(&["a", "b"])));
            let mut second = turns.add(Names::Writes(jobs(&["b"])));
            let mut other = turns.add(Names::Writes(jobs(&["c"])));
            let mut sync = turns.add(Names::All);
            assert!(has_come(&mut first) && has_come(&mut other));
            assert!(!has_come(&mut second) && !has_come(&mut sync));
            drop(first);
            assert!(has_come(&mut second) && !has_come(&mut sync));
            drop((second, other));
            assert!(has_come(&mut sync));
        }

        #[test]
        fn that_reads_waits_for_writes_alone() {
            let mut turns = Turns::default();
            let write = turns.add(Names::Writes(jobs(&["a"])));
            let mut reads = [
                turns.add(Names::Reads(jobs(&["a"]))),
                turns.add(Names::Reads(jobs(&["a"]))),
            ];
            let mut next = turns.add(Names::Writes(jobs(&["a"])));
            assert!(!reads.iter_mut().any(has_come));
            drop(write);
            assert!(reads.iter_mut().all(has_come) && !has_come(&mut next));
            drop(reads);
            assert!(has_come(&mut next));
        }
    }

    #[test]
    fn forgets_idle_jobs() {
        let mut turns = Turns::default();
        for job in 0..10_000 {
            drop(turns.add(Names::Writes(jobs(&[&job.to_string()]))));
        }
        assert!(turns.jobs.len() <= 2 * SWEPT_FROM + 1, "{}", turns.jobs.len());
    }
}
