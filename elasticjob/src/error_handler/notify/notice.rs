//! The contents of notifications.
//!
//! Everything is bounded when it comes in, and not when it is sent: the text of each cause to 4 KiB, their number to
//! 16. A job that fails with a megabyte of text a thousand times therefore costs a bounded amount of memory.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::chain::Chain;

use super::super::Failure;
use super::damper::Held;

/// As much of a text of a job's as is kept for a message. Services refuse long messages anyway.
const TEXT_LIMIT: usize = 4096;

/// So many causes of one failure are kept.
const CAUSE_LIMIT: usize = 16;

/// So many items are listed in a summary.
const ITEM_LIMIT: usize = 20;

/// A failure as it is kept until it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Occurrence {
    pub(super) item: Option<u32>,
    /// Outermost first; at least one.
    pub(super) causes: Vec<String>,
    pub(super) time: Timestamp,
    pub(super) run: Option<FailedRun>,
}

/// The run that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FailedRun {
    id: String,
    attempt: u32,
    instance: String,
    total: u32,
    scheduled: Timestamp,
}

impl Occurrence {
    pub(super) fn of(failure: &Failure<'_>, time: Timestamp) -> Self {
        let causes = Chain(failure.cause()).texts().into_iter().take(CAUSE_LIMIT);
        Self {
            item: failure.item(),
            causes: causes.map(|text| shortened(&text, TEXT_LIMIT).into_owned()).collect(),
            time,
            run: failure.run().map(|run| FailedRun {
                id: run.run_id().to_owned(),
                attempt: run.attempt(),
                instance: run.instance_id().to_owned(),
                total: run.sharding_total_count(),
                scheduled: run.scheduled_time(),
            }),
        }
    }

    #[cfg(test)]
    pub(super) fn for_test(item: Option<u32>, causes: &[&str]) -> Self {
        Self {
            item,
            causes: causes.iter().map(|&text| text.to_owned()).collect(),
            time: Timestamp::UNIX_EPOCH,
            run: None,
        }
    }
}

/// A notification about a job: a failure, or several of one kind that came within a while.
///
/// ```
/// use elasticjob::error_handler::{Failure, Notice};
/// use elasticjob::job::ShardingContext;
///
/// let cause = std::io::Error::other("disk full");
/// let shard = ShardingContext::for_test(3, 10).with_job_name("sync_orders");
/// let notice = Notice::for_test(&Failure::of_run(&shard, &cause));
/// assert_eq!((notice.job_name(), notice.item(), notice.count()), ("sync_orders", Some(3), 1));
/// assert!(notice.text().starts_with("Job 'sync_orders' exception occur in job processing, caused by disk full\n"));
/// ```
#[derive(Clone, Debug)]
pub struct Notice {
    job_name: Arc<str>,
    host: Arc<str>,
    newest: Occurrence,
    /// Of failures that were held back.
    summary: Option<Summary>,
}

#[derive(Clone, Debug)]
struct Summary {
    count: u64,
    items: BTreeSet<u32>,
    interval: Duration,
}

impl Notice {
    pub(super) fn first(job_name: Arc<str>, host: Arc<str>, failure: Occurrence) -> Self {
        Self {
            job_name,
            host,
            newest: failure,
            summary: None,
        }
    }

    pub(super) fn summary(job_name: Arc<str>, host: Arc<str>, held: Held, interval: Duration) -> Self {
        Self {
            job_name,
            host,
            newest: held.newest,
            summary: Some(Summary {
                count: held.count,
                items: held.items,
                interval,
            }),
        }
    }

    /// The notice of a failure at the Unix epoch on `localhost`, for tests of notifiers.
    #[must_use]
    pub fn for_test(failure: &Failure<'_>) -> Self {
        let occurrence = Occurrence::of(failure, Timestamp::UNIX_EPOCH);
        Self::first(failure.job_name().into(), "localhost".into(), occurrence)
    }

    /// Returns the name of the job.
    #[must_use]
    pub fn job_name(&self) -> &str {
        &self.job_name
    }

    /// How many failures this stands for. More than one only in a summary.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.summary.as_ref().map_or(1, |summary| summary.count)
    }

    /// Returns whether this is a summary of failures that were held back, within an interval after one that was sent.
    #[must_use]
    pub fn is_summary(&self) -> bool {
        self.summary.is_some()
    }

    /// The item that failed, the newest of several; `None` when the failure belongs to no single item.
    #[must_use]
    pub fn item(&self) -> Option<u32> {
        self.newest.item
    }

    /// Into how many items the job is divided, as far as the failure is of a run.
    #[must_use]
    pub fn sharding_total_count(&self) -> Option<u32> {
        self.run().map(|run| run.total)
    }

    /// What failed, and what led to it, outermost first; the newest of several failures.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.newest.causes
    }

    /// The same in one line.
    #[must_use]
    pub fn cause(&self) -> String {
        self.newest.causes.join(": ")
    }

    /// When it failed, the newest of several.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.newest.time
    }

    /// The machine that it failed on.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The instance of the job that it failed on, as far as the failure is of a run.
    #[must_use]
    pub fn instance_id(&self) -> Option<&str> {
        self.run().map(|run| run.instance.as_str())
    }

    /// The run that failed.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.run().map(|run| run.id.as_str())
    }

    /// Which attempt at the scheduled time it was.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        self.run().map(|run| run.attempt)
    }

    /// The time that the run was for.
    #[must_use]
    pub fn scheduled_time(&self) -> Option<Timestamp> {
        self.run().map(|run| run.scheduled)
    }

    fn run(&self) -> Option<&FailedRun> {
        self.newest.run.as_ref()
    }

    /// All of it in words, in several lines.
    ///
    /// It begins as the messages of Java members do, so that the rules of mailboxes and robots that know those apply.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// The text, cut to so many bytes.
    #[cfg(any(feature = "dingtalk", feature = "feishu", feature = "slack", feature = "wechat"))]
    pub(crate) fn text_within(&self, limit: usize) -> String {
        shortened(&self.to_string(), limit).into_owned()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job '{}' exception occur in job processing", self.job_name)?;
        match &self.summary {
            None => f.write_str(", caused by ")?,
            Some(Summary { count, interval, .. }) => {
                let times = if *count == 1 { "time" } else { "times" };
                let interval = jiff::fmt::friendly::SpanPrinter::new().unsigned_duration_to_string(interval);
                write!(f, " {count} more {times} within {interval}, last caused by ")?;
            }
        }
        f.write_str(&self.newest.causes.join("\n  caused by "))?;
        match (&self.summary, self.run()) {
            (Some(Summary { items, .. }), run) if items.len() > 1 => write_items(f, items, run)?,
            (_, run) => {
                if let Some(item) = self.item() {
                    write_items(f, &BTreeSet::from([item]), run)?;
                }
            }
        }
        if let Some(run) = self.run() {
            let FailedRun {
                id,
                attempt,
                instance,
                scheduled,
                ..
            } = run;
            write!(
                f,
                "\nscheduled: {scheduled}, attempt {attempt}\nrun: {id}\ninstance: {instance}"
            )?;
        }
        write!(f, "\nhost: {}\ntime: {}", self.host, self.newest.time)
    }
}

fn write_items(f: &mut fmt::Formatter<'_>, items: &BTreeSet<u32>, run: Option<&FailedRun>) -> fmt::Result {
    let mut listed = String::new();
    for item in items.iter().take(ITEM_LIMIT) {
        let separator = if listed.is_empty() { "" } else { ", " };
        write!(listed, "{separator}{item}")?;
    }
    let word = if items.len() == 1 { "item" } else { "items" };
    write!(f, "\n{word}: {listed}")?;
    if items.len() > ITEM_LIMIT {
        write!(f, " and {} more", items.len() - ITEM_LIMIT)?;
    }
    match run {
        Some(run) => write!(f, " of {}", run.total),
        None => Ok(()),
    }
}

/// At most `limit` bytes of a text, and that it was cut.
fn shortened(text: &str, limit: usize) -> std::borrow::Cow<'_, str> {
    const MARK: &str = "…";
    if text.len() <= limit {
        return text.into();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(MARK.len()));
    format!("{}{MARK}", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::job::ShardingContext;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot sync")]
    struct CannotSync(#[source] io::Error);

    #[test]
    fn names_the_job_every_cause_and_the_place() {
        let shard = ShardingContext::for_test(3, 10)
            .with_job_name("sync_orders")
            .with_instance_id("10.0.0.7@-@1")
            .with_attempt(2);
        let notice = Notice::for_test(&Failure::of_run(&shard, &CannotSync(io::Error::other("disk full"))));
        assert_eq!(
            notice.text().replace(shard.run_id(), "RUN"),
            "Job 'sync_orders' exception occur in job processing, caused by cannot sync\n  caused by disk full\n\
             item: 3 of 10\nscheduled: 1970-01-01T00:00:00Z, attempt 2\nrun: RUN\ninstance: 10.0.0.7@-@1\n\
             host: localhost\ntime: 1970-01-01T00:00:00Z"
        );
        assert_eq!(notice.cause(), "cannot sync: disk full");
    }

    #[test]
    fn sums_up_failures_with_their_items() {
        let text = |items: std::ops::Range<u32>, count| {
            let held = Held {
                count,
                items: items.collect(),
                newest: Occurrence::for_test(Some(1), &["disk full"]),
            };
            Notice::summary("a".into(), "h".into(), held, Duration::from_secs(60)).text()
        };
        let end = "\nhost: h\ntime: 1970-01-01T00:00:00Z";
        assert_eq!(
            text(1..3, 41),
            format!(
                "Job 'a' exception occur in job processing 41 more times within 1m, last caused by disk full\n\
                 items: 1, 2{end}"
            )
        );
        assert!(text(1..2, 1).contains(" 1 more time within 1m, last caused by disk full\nitem: 1\n"));
        assert!(text(0..100, 100).contains(" 18, 19 and 80 more\n"));
    }

    #[test]
    fn a_long_text_should_be_cut_between_characters() {
        assert_eq!(shortened("größe", 7), "größe");
        assert_eq!(shortened("größe!", 7), "grö…");
        assert_eq!(shortened("größe!", 6), "gr…");
        let cause = io::Error::other("x".repeat(100_000));
        let notice = Notice::for_test(&Failure::new("a", &cause));
        assert!(notice.text().len() < 5000);
    }
}
