//! What is known of scheduled times beside the runs: from the events of members, and from the ledger.

use std::time::Duration;

use elasticjob::starter::ItemOutcome;
use elasticjob::trace::{JobEvent, Source};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that became of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// It was so at the latest then, since the machine's start.
    pub at: Duration,
    /// The job.
    pub job: String,
    /// The item.
    pub item: u32,
    /// What.
    pub what: What,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A run has begun, and has no end yet.
    Claimed {
        /// When it was due.
        scheduled: Timestamp,
        /// Which attempt.
        attempt: u32,
    },
    /// The end of a run is recorded.
    Ended {
        /// When it was due.
        scheduled: Timestamp,
        /// Its name.
        run: String,
        /// Which attempt.
        attempt: u32,
        /// How it ended.
        verdict: Verdict,
        /// Why.
        cause: String,
    },
    /// The times between these were not run.
    Skipped {
        /// All after this,
        after: Timestamp,
        /// before this.
        before: Timestamp,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It returned success.
    Succeeded,
    /// It returned an error.
    Failed,
    /// It was stopped.
    Cancelled,
    /// Its instance died.
    Lost,
    /// It was claimed and not begun.
    Skipped,
}

/// The part of an item's ledger that is looked at.
#[derive(Debug, Deserialize)]
struct Ledger {
    run: Option<Run>,
    skipped: Option<Gap>,
}

#[derive(Debug, Deserialize)]
struct Run {
    id: String,
    due: i64,
    attempt: u32,
    source: Source,
    end: Option<End>,
}

#[derive(Debug, Deserialize)]
struct End {
    verdict: Verdict,
    cause: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Gap {
    after: i64,
    before: i64,
}

impl What {
    /// Returns what an event says; `None` where that is nothing for the account of scheduled times.
    #[must_use]
    pub fn of_event(event: JobEvent) -> Option<(String, u32, Self)> {
        match event {
            JobEvent::Ended { run, outcome, .. } if run.source != Source::Trigger => {
                let (verdict, cause) = match outcome {
                    ItemOutcome::Succeeded => (Verdict::Succeeded, String::new()),
                    ItemOutcome::Failed { cause } => (Verdict::Failed, cause),
                    ItemOutcome::Cancelled { cause } => (Verdict::Cancelled, cause),
                    ItemOutcome::Skipped { reason } => (Verdict::Skipped, reason),
                    _ => return None,
                };
                let what = Self::Ended {
                    scheduled: run.scheduled_time,
                    run: run.run_id,
                    attempt: run.attempt,
                    verdict,
                    cause,
                };
                Some((run.job.to_string(), run.item, what))
            }
            JobEvent::Skipped { job, item, times } => {
                let (after, before) = (times.after, times.before);
                Some((job.to_string(), item, Self::Skipped { after, before }))
            }
            _ => None,
        }
    }

    /// Returns what the ledger of an item says.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn of_ledger(data: &[u8]) -> anyhow::Result<Vec<Self>> {
        let Ledger { run, skipped } = serde_json::from_slice(data)?;
        let mut facts = Vec::new();
        if let Some(Gap { after, before }) = skipped {
            facts.push(Self::Skipped {
                after: Timestamp::from_millisecond(after)?,
                before: Timestamp::from_millisecond(before)?,
            });
        }
        if let Some(run) = run.filter(|run| run.source != Source::Trigger) {
            let (scheduled, attempt) = (Timestamp::from_millisecond(run.due)?, run.attempt);
            facts.push(match run.end {
                None => Self::Claimed { scheduled, attempt },
                Some(End { verdict, cause }) => Self::Ended {
                    scheduled,
                    run: run.id,
                    attempt,
                    verdict,
                    cause: cause.unwrap_or_default(),
                },
            });
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_should_tell_of_its_run_and_its_gap() -> anyhow::Result<()> {
        let text = r#"{"until":3000,"run":{"id":"r","due":3000,"attempt":2,"owner":"a","source":"failover",
            "end":{"verdict":"lost","cause":"parked"}},"skipped":{"after":1000,"before":3000,"count":1,"reason":"x"}}"#;
        let at = |second| Timestamp::from_second(second).expect("within range");
        let expected = [
            What::Skipped {
                after: at(1),
                before: at(3),
            },
            What::Ended {
                scheduled: at(3),
                run: "r".into(),
                attempt: 2,
                verdict: Verdict::Lost,
                cause: "parked".into(),
            },
        ];
        assert_eq!(What::of_ledger(text.as_bytes())?, expected);
        assert_eq!(What::of_ledger(b"{}")?, []);
        assert!(What::of_ledger(b"").is_err());
        Ok(())
    }
}
