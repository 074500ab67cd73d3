use std::collections::BTreeMap;
use std::time::Duration;

use elasticjob::trace::history::{Durations, IntervalCounts, Page, RecordedLog, RecordedRun, RecordedSkip, RunOutcome};
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::table::{Table, optional, plain};
use super::time::local;
use super::{Show, Style, Tone};

/// Runs, the newest first.
pub(crate) struct RunPage(pub(crate) Page<RecordedRun>);

/// How many runs of each interval ended how.
#[derive(Serialize)]
pub(crate) struct Counts(pub(crate) Vec<IntervalCounts>);

/// How long runs took.
#[derive(Serialize)]
pub(crate) struct Took(pub(crate) Option<Durations>);

/// Times that were not run.
pub(crate) struct Skips(pub(crate) Vec<RecordedSkip>);

impl Show for RunPage {
    fn text(&self, style: Style) -> String {
        let titles = [
            "STARTED", "JOB", "ITEM", "OUTCOME", "TOOK", "WHY", "ATTEMPT", "RETRIES", "SERVER", "RUN", "FAILURE",
        ];
        let mut table = Table::new(style, &titles);
        for run in &self.0.rows {
            let took = run.ended_at.map(|ended| ended.duration_since(run.started_at));
            table.row([
                plain(local(run.started_at)),
                plain(&run.job),
                plain(run.item),
                tone(run.outcome).cell(run.outcome),
                optional(took.map(|took| length(took.unsigned_abs()))),
                plain(format!("{:?}", run.source).to_lowercase()),
                optional(run.detail.as_ref().map(|detail| detail.attempt)),
                optional(run.detail.as_ref().map(|detail| detail.retries)),
                plain(&run.ip),
                optional(run.detail.as_ref().map(|detail| &detail.run_id)),
                plain(first_line(run.failure.as_deref().unwrap_or_default())),
            ]);
        }
        let next = self.0.next.as_ref();
        let next = next.map(|next| style.paint(Tone::Quiet, &format!("more: --after {next}")) + "\n");
        table.text("No run is recorded that this is true of.") + &next.unwrap_or_default()
    }
}

impl Serialize for RunPage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({ "runs": self.0.rows, "next": self.0.next.as_ref().map(ToString::to_string) }).serialize(serializer)
    }
}

/// The log of each attempt of a run.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Logs(pub(crate) Vec<RecordedLog>);

/// Messages of an attempt that goes on, as far as they have not been shown.
#[derive(Serialize)]
pub(crate) struct Messages<'a> {
    /// Shown above them, once.
    #[serde(skip)]
    title: Option<String>,
    messages: &'a [&'a str],
}

impl<'a> Messages<'a> {
    /// Returns messages, with a title if they are the first of their attempt.
    pub(crate) fn new(log: &RecordedLog, messages: &'a [&'a str]) -> Self {
        let is_first = log.messages().count() == messages.len();
        Self {
            title: is_first.then(|| title(log)),
            messages,
        }
    }
}

impl Show for Logs {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for log in &self.0 {
            text.push_str(&style.paint(Tone::Strong, &title(log)));
            text.push('\n');
            if log.cut() > 0 {
                let cut = format!("{} earlier messages were cut off", log.cut());
                text.push_str(&style.paint(Tone::Quiet, &cut));
                text.push('\n');
            }
            for message in log.messages() {
                text.push_str(message);
                text.push('\n');
            }
            if !log.is_over {
                text.push_str(&style.paint(
                    Tone::Quiet,
                    "the run has not ended, or its process died: --follow shows what comes",
                ));
                text.push('\n');
            }
        }
        text
    }
}

impl Show for Messages<'_> {
    fn text(&self, style: Style) -> String {
        let title = self.title.iter().map(|title| style.paint(Tone::Strong, title));
        let messages = self.messages.iter().map(|message| (*message).to_owned());
        title.chain(messages).map(|line| line + "\n").collect()
    }
}

/// Says which attempt a log is of.
fn title(log: &RecordedLog) -> String {
    format!(
        "{} item {}, attempt {}, {}",
        log.job,
        log.item,
        log.attempt,
        local(log.scheduled_time)
    )
}

impl Show for Counts {
    fn text(&self, style: Style) -> String {
        let outcomes = RunOutcome::ALL;
        let titles: Vec<String> = outcomes
            .iter()
            .map(|outcome| outcome.to_string().to_uppercase())
            .collect();
        let titles: Vec<String> = std::iter::once("FROM".to_owned()).chain(titles).collect();
        let mut table = Table::new(style, &titles);
        for interval in &self.0 {
            let count = |outcome| interval.counts.get(outcome);
            let cells = outcomes.iter().map(|outcome| optional(count(outcome)));
            table.row(std::iter::once(plain(local(interval.from))).chain(cells));
        }
        table.text("No run is recorded that this is true of.")
    }
}

impl Show for Took {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["RUNS", "SHORTEST", "50 %", "90 %", "99 %", "LONGEST"]);
        if let Some(took) = &self.0 {
            let lengths = [took.min, took.p50, took.p90, took.p99, took.max];
            table.row(std::iter::once(plain(took.count)).chain(lengths.map(|took| plain(length(took)))));
        }
        table.text("No run has ended that this is true of.")
    }
}

impl Show for Skips {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["AFTER", "BEFORE", "JOB", "ITEM", "TIMES", "REASON"]);
        for skip in &self.0 {
            table.row([
                plain(local(skip.times.after)),
                plain(local(skip.times.before)),
                plain(&skip.job),
                plain(skip.item),
                plain(skip.times.count),
                plain(&skip.times.reason),
            ]);
        }
        table.text("No skipped time is recorded.")
    }
}

impl Serialize for Skips {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for RecordedSkip { job, item, times, .. } in &self.0 {
            let (after, before) = (times.after, times.before);
            let fields: BTreeMap<&str, serde_json::Value> = [
                ("job", json!(job)),
                ("item", json!(item)),
                ("after", json!(after)),
                ("before", json!(before)),
                ("count", json!(times.count)),
                ("reason", json!(times.reason)),
            ]
            .into();
            list.serialize_element(&fields)?;
        }
        list.end()
    }
}

/// Returns how an outcome is to be taken.
fn tone(outcome: RunOutcome) -> Tone {
    match outcome {
        RunOutcome::Succeeded => Tone::Good,
        RunOutcome::Running => Tone::Notable,
        _ => Tone::Bad,
    }
}

/// A length of time, to three places.
fn length(took: Duration) -> String {
    match took.as_secs() {
        0 if took.as_millis() < 10 => format!("{:.3} ms", took.as_secs_f64() * 1000.0),
        0 => format!("{} ms", took.as_millis()),
        1..=119 => format!("{:.3} s", took.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Rows are one line each. All of it is in the answer as JSON.
fn first_line(text: &str) -> String {
    const LIMIT: usize = 80;
    let line = text.lines().next().unwrap_or_default();
    match line.chars().nth(LIMIT) {
        Some(_) => line.chars().take(LIMIT - 1).chain(['…']).collect(),
        None => line.to_owned(),
    }
}
