//! Jobs, their servers, instances and items.
//!
//! Words in capitals are those that Java's console has, so that operators find what they know. What is out of order is
//! coloured, and said in words as well, because colours may be off.

use std::fmt::Write as _;

use comfy_table::Cell;
use elasticjob::operation::{
    InstanceReport, ItemReport, ItemStatus, JobBrief, JobOnServer, JobReport, JobStatus, Listing, Note, RunReport,
    ServerBrief, ServerReport, ServerSwitch, Unlisted, UnlistedReason, Verdict,
};
use serde::Serialize;

use super::numbers::ranges;
use super::table::{Table, optional, plain};
use super::time::local;
use super::{Show, Style, Tone};

impl Show for Listing {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(
            style,
            &[
                "NAME",
                "STATUS",
                "INSTANCES",
                "ITEMS",
                "SCHEDULE",
                "NEXT",
                "DESCRIPTION",
            ],
        );
        for job in &self.jobs {
            table.row([
                plain(&job.job_name),
                status_of(job),
                plain(job.instance_count),
                plain(job.sharding_total_count),
                optional(schedule(job)),
                optional(job.next.filter(|_| !job.is_paused).map(local)),
                plain(&job.description),
            ]);
        }
        let mut text = table.text("There is no job.");
        if !self.others.is_empty() {
            text.push_str(&others(style, &self.others));
        }
        text
    }

    fn is_nothing(&self) -> Option<&'static str> {
        (self.jobs.is_empty() && self.others.is_empty()).then_some(NO_JOB)
    }

    fn is_partial(&self) -> bool {
        Listing::is_partial(self)
    }
}

const NO_JOB: &str = "there is no job";

/// Those of the jobs that were asked for. If there is none of them, the namespace may have others.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Selected {
    pub(crate) listing: Listing,
    #[serde(skip)]
    pub(crate) is_of_empty_namespace: bool,
}

impl Show for Selected {
    fn text(&self, style: Style) -> String {
        self.listing.text(style)
    }

    fn is_nothing(&self) -> Option<&'static str> {
        self.is_of_empty_namespace.then_some(NO_JOB)
    }

    fn is_partial(&self) -> bool {
        self.listing.is_partial()
    }
}

/// Returns what else is in the namespace, and why it is not among the jobs.
fn others(style: Style, others: &[Unlisted]) -> String {
    let mut table = Table::new(style, &["NOT SHOWN", "WHY"]);
    for other in others {
        table.row([
            plain(&other.name),
            match &other.reason {
                UnlistedReason::Foreign => Tone::Quiet.cell("it has nothing of what a job has"),
                UnlistedReason::NoConfiguration => Tone::Notable.cell("it has no configuration"),
                UnlistedReason::InvalidConfiguration { problem } | UnlistedReason::Refused { problem } => {
                    Tone::Bad.cell(problem)
                }
                _ => plain("unknown"),
            },
        ]);
    }
    format!("\n{}", table.text(""))
}

impl Show for JobReport {
    fn text(&self, style: Style) -> String {
        let brief = &self.brief;
        let (name, tone) = status_name(brief.status);
        let mut text = format!(
            "{} {}\n",
            style.paint(Tone::Strong, &brief.job_name),
            style.paint(tone, name)
        );
        let mut line = |title: &str, value: String| {
            if !value.is_empty() {
                // A string takes all that is written to it.
                let _ = writeln!(text, "{} {value}", style.paint(Tone::Quiet, &format!("{title:<15}")));
            }
        };
        if brief.is_paused {
            let note = brief
                .pause
                .as_ref()
                .map_or_else(|| "by an unknown operator".to_owned(), said);
            line("paused", note);
        }
        line("description", brief.description.clone());
        line("implementation", self.implementation.clone());
        line("schedule", schedule(brief).unwrap_or_default());
        line("", self.schedule.clone().unwrap_or_default());
        line("next", brief.next.map(local).unwrap_or_default());
        line("leader", self.leader.clone().unwrap_or_else(|| "none".to_owned()));
        line(
            "items",
            format!(
                "{}{}",
                brief.sharding_total_count,
                if self.is_resharding {
                    ", about to be reshared"
                } else {
                    ""
                }
            ),
        );
        line("configuration", format!("version {}", self.configuration_version));
        text.push('\n');
        text.push_str(&self.servers.text(style));
        text.push('\n');
        text.push_str(&self.instances.text(style));
        text.push('\n');
        text.push_str(&self.items.text(style));
        text
    }
}

impl Show for Vec<ServerReport> {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["SERVER", "SWITCH", "INSTANCES", "NOTE"]);
        for server in self {
            table.row([
                plain(&server.ip),
                match server.switch {
                    ServerSwitch::Enabled => Tone::Good.cell("ENABLED"),
                    ServerSwitch::Disabled => Tone::Notable.cell("DISABLED"),
                    _ => Tone::Bad.cell("UNCLEAR"),
                },
                plain(server.instance_count),
                plain(server.disabled.as_ref().map(said).unwrap_or_default()),
            ]);
        }
        table.text("It has no server.")
    }
}

impl Show for Vec<InstanceReport> {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["INSTANCE", "STATE", "ITEMS"]);
        for instance in self {
            let states = [
                (instance.is_leader, "leads"),
                (!instance.is_enabled, "disabled"),
                (instance.is_draining, "draining"),
                (!instance.is_ours, "Java"),
            ];
            let states: Vec<&str> = states.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
            table.row([
                plain(&instance.id),
                if instance.is_enabled && !instance.is_draining {
                    plain(states.join(", "))
                } else {
                    Tone::Notable.cell(states.join(", "))
                },
                plain(ranges(&instance.items)),
            ]);
        }
        table.text("It has no instance.")
    }
}

impl Show for Vec<ItemReport> {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(
            style,
            &["ITEM", "STATUS", "INSTANCE", "LAST RUN", "RESULT", "PARAMETER", "NOTE"],
        );
        for item in self {
            table.row([
                plain(item.item),
                item_status(item),
                match (&item.instance_id, &item.assigned_to) {
                    (Some(instance), _) => plain(instance),
                    (None, Some(gone)) => Tone::Bad.cell(format!("{gone} (gone)")),
                    (None, None) => optional(None::<&str>),
                },
                optional(item.run.as_ref().and_then(|run| run.due).map(local)),
                match (&item.progress, &item.run) {
                    (Some(progress), _) => plain(format!("running: {progress}")),
                    (None, Some(run)) => result(run),
                    (None, None) => optional(None::<&str>),
                },
                plain(item.parameter.as_deref().unwrap_or_default()),
                plain(item.disabled.as_ref().map(said).unwrap_or_default()),
            ]);
        }
        table.text("It has no item yet.")
    }
}

impl Show for Vec<ServerBrief> {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["SERVER", "INSTANCES", "JOBS", "DISABLED JOBS"]);
        for server in self {
            table.row([
                plain(&server.server_ip),
                plain(server.instances_num),
                plain(server.jobs_num),
                match server.disabled_jobs_num {
                    0 => plain(0),
                    number => Tone::Notable.cell(number),
                },
            ]);
        }
        table.text("There is no server.")
    }

    fn is_nothing(&self) -> Option<&'static str> {
        self.is_empty().then_some("there is no server")
    }
}

impl Show for Vec<JobOnServer> {
    fn text(&self, style: Style) -> String {
        let mut table = Table::new(style, &["NAME", "STATUS", "INSTANCES"]);
        for job in self {
            table.row([plain(&job.job_name), status(job.status), plain(job.instance_count)]);
        }
        table.text("No job knows this server.")
    }

    fn is_nothing(&self) -> Option<&'static str> {
        self.is_empty().then_some("no job knows this server")
    }
}

/// Returns the schedule with its zone; `None` for a job that runs when it is triggered.
fn schedule(job: &JobBrief) -> Option<String> {
    let cron = job.cron.as_ref()?;
    Some(match &job.time_zone {
        Some(zone) => format!("{cron} ({zone})"),
        None => cron.clone(),
    })
}

/// Returns the word for the status of a job, and how it is to be taken.
fn status_name(status: JobStatus) -> (&'static str, Tone) {
    match status {
        JobStatus::Ok => ("OK", Tone::Good),
        JobStatus::Paused => ("PAUSED", Tone::Notable),
        JobStatus::Disabled => ("DISABLED", Tone::Notable),
        JobStatus::ShardingFlag => ("SHARDING_FLAG", Tone::Notable),
        JobStatus::Crashed => ("CRASHED", Tone::Bad),
        _ => ("UNKNOWN", Tone::Quiet),
    }
}

/// The status, and that the job is paused if another thing comes first.
fn status_of(job: &JobBrief) -> Cell {
    match (job.status, job.is_paused) {
        (JobStatus::Paused, _) | (_, false) => status(job.status),
        (first, true) => {
            let (name, tone) = status_name(first);
            tone.cell(format!("{name}, PAUSED"))
        }
    }
}

fn status(status: JobStatus) -> Cell {
    let (name, tone) = status_name(status);
    tone.cell(name)
}

/// Returns the status of an item.
fn item_status(item: &ItemReport) -> Cell {
    let (name, tone) = match item.status {
        ItemStatus::Pending => ("PENDING", Tone::Good),
        ItemStatus::Running if item.failover => ("RUNNING (failover)", Tone::Notable),
        ItemStatus::Running => ("RUNNING", Tone::Good),
        ItemStatus::Disabled => ("DISABLED", Tone::Notable),
        ItemStatus::ShardingFlag => ("SHARDING_FLAG", Tone::Notable),
        _ => ("UNKNOWN", Tone::Quiet),
    };
    tone.cell(name)
}

/// Returns how a run ended, with the cause if there is one.
fn result(run: &RunReport) -> Cell {
    let Some(verdict) = run.verdict else {
        return plain("running");
    };
    let tone = match verdict {
        Verdict::Succeeded => Tone::Good,
        Verdict::Skipped | Verdict::Unknown => Tone::Notable,
        _ => Tone::Bad,
    };
    match &run.cause {
        Some(cause) => tone.cell(format!("{verdict}: {cause}")),
        None => tone.cell(verdict.to_string()),
    }
}

/// Who said it, when and why.
fn said(note: &Note) -> String {
    let mut text = format!("since {}", local(note.at));
    for (word, value) in [(" by ", &note.by), (": ", &note.reason)] {
        if let Some(value) = value {
            text.push_str(word);
            text.push_str(value);
        }
    }
    text
}
