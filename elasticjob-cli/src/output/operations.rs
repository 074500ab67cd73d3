//! What was done.
//!
//! An answer says what the registry has now, and where that has no effect yet: an operation that a Java member ignores
//! must not look as if it had been done.

use comfy_table::Cell;
use elasticjob::operation::{
    CancelOutcome, CancelReport, Drained, Execution, Obstacle, PauseChange, Requested, Switched,
};
use elasticjob::starter::ItemOutcome;
use serde::Serialize;

use super::numbers::ranges;
use super::table::{Table, plain};
use super::{Show, Style, Tone};

/// What was done to several jobs or their servers, and how that is called.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Done<T> {
    #[serde(skip)]
    pub(crate) what: &'static str,
    pub(crate) to: T,
}

impl Show for Done<Vec<Switched>> {
    fn text(&self, style: Style) -> String {
        let what = self.what.to_uppercase();
        let is_about_pause = self.to.iter().any(|switched| switched.pause.is_some());
        let mut table = if is_about_pause {
            Table::new(style, &["JOB", "PAUSE", &what])
        } else {
            Table::new(style, &["JOB", &what])
        };
        for switched in &self.to {
            let (name, servers) = (plain(&switched.job_name), plain(switched.servers.join(", ")));
            if is_about_pause {
                table.row([name, pause(switched.pause), servers])
            } else {
                table.row([name, servers])
            };
        }
        table.text("There was nothing to do.")
    }
}

impl Show for Done<Vec<Drained>> {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["JOB", &self.what.to_uppercase()]);
        for drained in &self.to {
            table.row([
                plain(&drained.job_name),
                if drained.is_effective {
                    plain("yes")
                } else {
                    Tone::Notable.cell("not before one of our instances leads: Java members ignore draining")
                },
            ]);
        }
        table.text("There was nothing to do.")
    }
}

/// Returns what became of the pause of a job.
fn pause(change: Option<PauseChange>) -> Cell {
    match change {
        None => plain(""),
        Some(PauseChange::Begun) => Tone::Notable.cell("begun"),
        Some(PauseChange::BegunUnkept) => {
            Tone::Bad.cell("begun, but Java members on new servers run it: no member of ours is there")
        }
        Some(PauseChange::Ended) => Tone::Good.cell("over"),
        Some(PauseChange::Stays) => Tone::Notable.cell("goes on, for the whole job: nothing starts"),
        Some(_) => plain("unknown"),
    }
}

/// Something that was done to one thing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deed<T> {
    pub(crate) done: &'static str,
    #[serde(flatten)]
    pub(crate) to: T,
}

/// An item of a job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) job_name: String,
    pub(crate) item: u32,
}

/// Nodes of a job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Nodes {
    pub(crate) job_name: String,
    pub(crate) nodes: usize,
}

/// Paths of a job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Paths {
    pub(crate) job_name: String,
    pub(crate) paths: Vec<String>,
}

/// An instance in its jobs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Instance {
    pub(crate) instance: String,
    pub(crate) job_names: Vec<String>,
}

impl Show for Deed<Item> {
    fn text(&self, _: Style) -> String {
        format!("Item {} of job {} {}.\n", self.to.item, self.to.job_name, self.done)
    }
}

impl Show for Deed<Nodes> {
    fn text(&self, _: Style) -> String {
        format!("Job {} {}: {} nodes.\n", self.to.job_name, self.done, self.to.nodes)
    }
}

impl Show for Deed<Paths> {
    fn text(&self, _: Style) -> String {
        if self.to.paths.is_empty() {
            return format!("Nothing of job {} is stale.\n", self.to.job_name);
        }
        let lines = self
            .to
            .paths
            .iter()
            .map(|path| format!("/{}{path}\n", self.to.job_name));
        format!("{}:\n{}", capitalized(self.done), lines.collect::<String>())
    }
}

impl Show for Deed<Instance> {
    fn text(&self, _: Style) -> String {
        let jobs = self.to.job_names.join(", ");
        format!("Instance {} {}: {jobs}.\n", self.to.instance, self.done)
    }
}

impl Show for Requested {
    fn text(&self, style: Style) -> String {
        let request = style.paint(Tone::Quiet, &format!("(request {})", self.request));
        format!(
            "Job {} is to run, asked were {} {request}\n",
            self.job_name,
            self.instances.join(", ")
        )
    }
}

impl Show for CancelReport {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["ITEM", "RESULT"]);
        for (item, outcome) in &self.items {
            table.row([
                plain(item),
                match outcome {
                    CancelOutcome::Ended { end } => ended(end),
                    CancelOutcome::Running => Tone::Notable.cell("cancelled, and has not ended yet"),
                    CancelOutcome::Superseded => Tone::Notable.cell("ended, and another run has begun since"),
                    _ => plain("unknown"),
                },
            ]);
        }
        for (item, instance) in &self.unreachable {
            let reason =
                format!("not cancelled: {instance} does not know of that: it is a Java member, or an older one");
            table.row([plain(item), Tone::Bad.cell(reason)]);
        }
        table.text("Nothing runs.")
    }
}

impl Show for Execution {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["ITEM", "RESULT"]);
        for (item, outcome) in &self.items {
            table.row([plain(item), ended(outcome)]);
        }
        let mut text = table.text("No item is to run.");
        for obstacle in &self.obstacles {
            text.push_str(&format!("{} {}\n", style.paint(Tone::Bad, "✗"), said(obstacle)));
        }
        text
    }
}

/// What became of an item.
fn ended(outcome: &ItemOutcome) -> Cell {
    match outcome {
        ItemOutcome::Succeeded => Tone::Good.cell("succeeded"),
        ItemOutcome::Failed { cause } => Tone::Bad.cell(format!("failed: {cause}")),
        ItemOutcome::Cancelled { cause } => Tone::Bad.cell(format!("cancelled: {cause}")),
        ItemOutcome::Skipped { reason } => Tone::Notable.cell(format!("skipped: {reason}")),
        ItemOutcome::Unknown => Tone::Notable.cell("unknown: it belongs to a Java member"),
        ItemOutcome::Pending => Tone::Notable.cell("not ended in the time that was given"),
        _ => plain("unknown"),
    }
}

/// What holds a run up, with the items that it holds up.
pub(crate) fn said(obstacle: &Obstacle) -> String {
    match &obstacle.items[..] {
        [] => obstacle.finding.to_string(),
        [item] => format!("item {item}: {}", obstacle.finding),
        items => format!("items {}: {}", ranges(items), obstacle.finding),
    }
}

/// Returns a text as the begin of a sentence.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
