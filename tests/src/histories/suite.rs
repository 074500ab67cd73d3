//! Plays many histories, and shows the first that is wrong.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};

use super::check::{Fault, Shown, Violation, check};
use super::driver::play;
use super::history::History;
use super::scenario::{Mix, Scenario, draw};
use super::subject::Subject;

/// A history is played so often until its observer keeps its connection.
const ATTEMPTS: usize = 5;

/// A scenario with less in it is played so often before it counts as right.
const REPETITIONS: usize = 3;

/// So many scenarios are tried to find a small one that is wrong.
const TRIES: usize = 60;

/// So many records are shown.
const SHOWN: usize = 150;

/// How histories are played on a registry.
#[derive(Clone, Copy)]
pub struct Suite<'a> {
    /// The registry.
    pub subject: &'a dyn Subject,
    /// What is drawn.
    pub mix: Mix,
    /// So many are played at a time.
    pub at_once: usize,
}

/// What histories have shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Findings {
    /// How many there were.
    pub histories: u64,
    /// Their sum.
    pub shown: Shown,
}

/// A history that is wrong.
struct Wrong {
    scenario: Scenario,
    history: History,
    violation: Violation,
}

impl Suite<'_> {
    /// Plays a history for each seed.
    ///
    /// # Errors
    /// With a small history that is wrong, if there is one; or if a history cannot be played.
    pub async fn run(&self, seeds: Range<u64>) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        let names = AtomicU64::new(0);
        let histories = stream::iter(seeds.map(|seed| (seed, draw(seed, self.mix))));
        let judged = histories.map(async |(seed, scenario)| (seed, self.judge(scenario, &names).await));
        let mut judged = std::pin::pin!(judged.buffer_unordered(self.at_once));
        while let Some((seed, result)) = judged.next().await {
            match result? {
                Ok(shown) => {
                    findings.histories += 1;
                    findings.shown += shown;
                }
                Err(wrong) => bail!("seed {seed}: {}", self.smallest(*wrong, &names).await?),
            }
        }
        Ok(findings)
    }

    /// Plays histories until one is wrong, one after the other. Returns its seed and what is wrong.
    ///
    /// # Errors
    /// If a history cannot be played.
    pub async fn search(&self, seeds: Range<u64>) -> anyhow::Result<Option<(u64, Violation)>> {
        let names = AtomicU64::new(0);
        for seed in seeds {
            if let Err(wrong) = self.judge(draw(seed, self.mix), &names).await? {
                return Ok(Some((seed, wrong.violation)));
            }
        }
        Ok(None)
    }

    async fn judge(&self, scenario: Scenario, names: &AtomicU64) -> anyhow::Result<Result<Shown, Box<Wrong>>> {
        for _ in 0..ATTEMPTS {
            let name = format!("h{}", names.fetch_add(1, Ordering::Relaxed));
            let namespace = self.subject.namespace(&name, scenario.clients.len()).await?;
            let history = play(&scenario, namespace).await?;
            match check(&history) {
                Ok(shown) => return Ok(Ok(shown)),
                Err(Fault::Unobserved) => {}
                Err(Fault::Violation(violation)) => {
                    return Ok(Err(Box::new(Wrong {
                        scenario,
                        history,
                        violation,
                    })));
                }
            }
        }
        bail!("the observer has lost its connection in each of {ATTEMPTS} histories")
    }

    /// Leaves out what need not be there for the history to be wrong.
    async fn smallest(&self, mut wrong: Wrong, names: &AtomicU64) -> anyhow::Result<Wrong> {
        let mut tries = 0;
        'smaller: loop {
            for scenario in wrong.scenario.smaller() {
                for _ in 0..REPETITIONS {
                    tries += 1;
                    if tries > TRIES {
                        return Ok(wrong);
                    }
                    if let Err(smaller) = self.judge(scenario.clone(), names).await? {
                        wrong = *smaller;
                        continue 'smaller;
                    }
                }
            }
            return Ok(wrong);
        }
    }
}

/// The violation, and the history up to it.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.violation)?;
        let end = self.violation.at.map_or(self.history.records.len(), |at| at + 1);
        let begin = end.saturating_sub(SHOWN);
        let mut lines = String::new();
        for record in &self.history.records[begin..end] {
            writeln!(lines, "  {record}")?;
        }
        write!(f, "{lines}")
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown {
            done,
            refused,
            happened,
            undone,
            reads,
            events,
            resyncs,
            deaths,
        } = self.shown;
        write!(
            f,
            "{} histories: {done} transactions done, {refused} refused, {happened} of unknown outcome done and {undone} not; \
             {reads} reads, {events} events, {resyncs} resyncs, {deaths} sessions ended",
            self.histories
        )
    }
}
