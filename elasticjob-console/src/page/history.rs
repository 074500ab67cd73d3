//! The history: runs of the past by a filter, one by one or by what they have in common.

use askama::Template;
use elasticjob::trace::history::RunOutcome;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::draw::Shape;
use crate::history::{Bucket, Filter, Found, Group, Problem, Run, Summary};
use crate::text::{clock, full, millis, shown};
use crate::words::Words;

use super::{Scene, escaped, rendered};

/// Runs of a page. Groups and durations are of all that were read for it.
const ROWS: usize = 50;

/// Runs that are read for a page.
pub(crate) const READ: usize = 1000;

/// The height of the histogram, the width of a bar, and the room for labels, in pixels.
const HEIGHT: usize = 56;
const BAR: usize = 34;
const LABELS: usize = 16;

/// So often the newest runs are read again.
const AGAIN: u32 = 5;

/// What the address says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    pub(crate) q: String,
    pub(crate) by: By,
    /// Where an older page begins.
    pub(crate) after: Option<String>,
}

/// By what runs are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    #[default]
    Run,
    Error,
    Host,
}

/// What there is to show.
pub(crate) enum Answer<'a> {
    /// Runs of this database, or those that the console has seen itself.
    Runs { found: &'a Found, place: Option<&'a str> },
    /// The database did not answer.
    Away(String),
}

impl By {
    const ALL: [Self; 3] = [Self::Run, Self::Error, Self::Host];

    fn code(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Error => "error",
            Self::Host => "host",
        }
    }
}

#[derive(Template)]
#[template(path = "history.html")]
struct Body<'a> {
    w: &'a Words,
    scene: &'a Scene,
    q: String,
    jobs: Vec<String>,
    part: String,
}

/// All that is rendered again when runs are read again.
#[derive(Template)]
#[template(path = "history_part.html")]
struct Part<'a> {
    w: &'a Words,
    problems: Vec<String>,
    /// Says where the runs are from, or what is wrong.
    note: String,
    is_away: bool,
    again: u32,
    outcomes: Vec<Link>,
    kinds: Vec<Link>,
    by: By,
    histogram: String,
    counted: String,
    rows: Vec<Row>,
    groups: Vec<GroupRow>,
    nothing: bool,
    older: Option<String>,
    newest: Option<String>,
    csv: String,
    json: String,
}

struct Link {
    name: String,
    address: String,
    is_chosen: bool,
}

struct Row {
    sign: &'static str,
    class: &'static str,
    outcome: &'static str,
    source: &'static str,
    started: String,
    title: String,
    job: String,
    job_address: String,
    item: u32,
    took: String,
    server: String,
    server_address: String,
    attempt: String,
    address: Option<String>,
    failure: String,
}

struct GroupRow {
    name: String,
    address: Option<String>,
    runs: usize,
    unsuccessful: usize,
    median: String,
    jobs: String,
    first: String,
    last: String,
    newest: Option<String>,
}

/// Makes the body of the page.
pub(crate) fn body(scene: &Scene, query: &Query, filter: &Filter, problems: &[Problem], answer: &Answer<'_>) -> String {
    let jobs = scene.picture.jobs.keys().take(20).map(|job| job.to_string());
    rendered(&Body {
        w: scene.words,
        scene,
        q: filter.text.clone(),
        jobs: jobs.collect(),
        part: part(scene, query, filter, problems, answer),
    })
}

/// Makes the part of the page that changes.
pub(crate) fn part(scene: &Scene, query: &Query, filter: &Filter, problems: &[Problem], answer: &Answer<'_>) -> String {
    let w = scene.words;
    let (found, note, is_away) = match answer {
        Answer::Runs { found, place } => {
            let note = place.map_or(w.from_memory.to_owned(), |place| (w.from_database)(&shown(place)));
            (Some(*found), note, false)
        }
        Answer::Away(problem) => (None, (w.database_away)(&shown(problem)), true),
    };
    let runs = found.map_or(&[][..], |found| &found.runs);
    let page = &runs[..runs.len().min(ROWS)];
    let summary = Summary::new(runs);
    let addresses = Addresses { scene, query, filter };
    let older = match (found, page.last()) {
        (Some(_), Some(last)) if runs.len() > page.len() => crate::history::behind(last),
        (Some(found), _) => found.next.clone(),
        _ => None,
    };
    let groups = match query.by {
        By::Run => Vec::new(),
        By::Error => Group::by_error(runs),
        By::Host => Group::by_server(runs),
    };
    rendered(&Part {
        w,
        problems: problems.iter().map(|problem| said(problem, w)).collect(),
        note,
        is_away,
        // An older page does not change, and its reader is not disturbed.
        again: if is_away || query.after.is_none() { AGAIN } else { 0 },
        outcomes: addresses.outcomes(&summary),
        kinds: addresses.kinds(),
        by: query.by,
        histogram: histogram(&summary.durations, w),
        counted: counted(&summary, w),
        nothing: found.is_some() && (runs.is_empty() || (query.by != By::Run && groups.is_empty())),
        rows: match query.by {
            By::Run => page.iter().map(|run| row(run, &addresses)).collect(),
            By::Error | By::Host => Vec::new(),
        },
        groups: groups.iter().map(|group| group_row(group, &addresses)).collect(),
        older: older.map(|cursor| addresses.page(&filter.text, query.by, Some(&cursor.to_string()))),
        newest: query
            .after
            .is_some()
            .then(|| addresses.page(&filter.text, query.by, None)),
        csv: addresses.export("csv"),
        json: addresses.export("json"),
    })
}

/// Says what is wrong with a filter.
fn said(problem: &Problem, w: &Words) -> String {
    match problem {
        Problem::TooLong => w.filter_too_long.to_owned(),
        Problem::Unknown(term) => (w.filter_unknown)(&shown(term)),
        Problem::Value { term, value, expected } => (w.filter_value)(term, &shown(value), expected),
    }
}

/// Makes the addresses of pages of the history.
struct Addresses<'a> {
    scene: &'a Scene,
    query: &'a Query,
    filter: &'a Filter,
}

impl Addresses<'_> {
    fn page(&self, q: &str, by: By, after: Option<&str>) -> String {
        let after = after.map_or(String::new(), |after| format!("&after={}", escaped(after)));
        format!("{}/history?q={}&by={}{after}", self.scene.base, escaped(q), by.code())
    }

    fn export(&self, kind: &str) -> String {
        format!("{}/history.{kind}?q={}", self.scene.base, escaped(&self.filter.text))
    }

    fn narrowed(&self, term: &str, value: &str) -> String {
        self.page(&self.filter.with(term, Some(value)), By::Run, None)
    }

    fn outcomes(&self, summary: &Summary) -> Vec<Link> {
        let w = self.scene.words;
        let link = |outcome: Option<RunOutcome>| {
            let name = outcome.map_or(w.all, w.run_outcome);
            let count = outcome.and_then(|outcome| summary.outcomes.get(&outcome));
            Link {
                name: count.map_or(name.to_owned(), |count| format!("{name} {count}")),
                address: self.page(
                    &self
                        .filter
                        .with("is", outcome.map(|outcome| outcome.to_string()).as_deref()),
                    self.query.by,
                    None,
                ),
                is_chosen: self.filter.outcome() == outcome,
            }
        };
        std::iter::once(None)
            .chain(RunOutcome::ALL.map(Some))
            .map(link)
            .collect()
    }

    fn kinds(&self) -> Vec<Link> {
        let w = self.scene.words;
        let link = |by: By| Link {
            name: match by {
                By::Run => w.by_run,
                By::Error => w.by_error,
                By::Host => w.by_host,
            }
            .to_owned(),
            address: self.page(&self.filter.text, by, self.query.after.as_deref()),
            is_chosen: self.query.by == by,
        };
        By::ALL.into_iter().map(link).collect()
    }
}

/// Returns the address of a run; `None` if no database has it.
pub(super) fn address(scene: &Scene, run: &Run) -> Option<String> {
    scene.has_history.then(|| {
        format!(
            "{}/runs/{}",
            scene.base,
            escaped(run.run_id.as_deref().unwrap_or(&run.id))
        )
    })
}

/// Returns the shape of an outcome, the same as in the matrix.
pub(super) fn shape(outcome: RunOutcome) -> Shape {
    match outcome {
        RunOutcome::Running => Shape::Running,
        RunOutcome::Succeeded => Shape::Succeeded,
        RunOutcome::Failed => Shape::Failed,
        RunOutcome::Lost => Shape::Lost,
        _ => Shape::Skipped,
    }
}

fn row(run: &Run, addresses: &Addresses<'_>) -> Row {
    let (scene, zone) = (addresses.scene, TimeZone::system());
    let (w, shape) = (scene.words, shape(run.outcome));
    Row {
        sign: shape.sign(),
        class: shape.class(),
        outcome: (w.run_outcome)(run.outcome),
        source: (w.source)(run.source),
        started: clock(run.started_at, &zone, scene.now),
        title: full(run.started_at, &zone),
        job: shown(&run.job),
        job_address: addresses.narrowed("job", &run.job),
        item: run.item,
        took: run.took_millis.map(millis).unwrap_or_default(),
        server: shown(&run.server),
        server_address: addresses.narrowed("on", &run.server),
        attempt: run
            .attempt
            .filter(|attempt| *attempt > 1)
            .map(w.attempt)
            .unwrap_or_default(),
        address: address(scene, run),
        failure: shown(run.failure.as_deref().unwrap_or_default()),
    }
}

fn group_row(group: &Group, addresses: &Addresses<'_>) -> GroupRow {
    let (scene, zone) = (addresses.scene, TimeZone::system());
    let w = scene.words;
    let by_host = addresses.query.by == By::Host;
    let mut jobs: Vec<String> = group.jobs.iter().take(3).map(|job| shown(job)).collect();
    let more = group.jobs.len().saturating_sub(jobs.len());
    if more > 0 {
        jobs.push((w.more_jobs)(more));
    }
    GroupRow {
        name: match &*group.name {
            "" => w.no_cause.to_owned(),
            name => shown(name),
        },
        address: by_host.then(|| addresses.narrowed("on", &group.name)),
        runs: group.runs,
        unsuccessful: group.unsuccessful,
        median: group.median.map(millis).unwrap_or_default(),
        jobs: jobs.join(", "),
        first: clock(group.first, &zone, scene.now),
        last: clock(group.last, &zone, scene.now),
        newest: address(scene, &group.newest),
    }
}

/// Says how many runs were counted, and how long they took.
fn counted(summary: &Summary, w: &Words) -> String {
    match summary.percentiles {
        Some((half, most)) => (w.counted_runs)(summary.count, &millis(half), &millis(most)),
        None => String::new(),
    }
}

/// Draws how many runs took how long: a bar for each bucket, those that did not succeed on top.
fn histogram(buckets: &[Bucket], w: &Words) -> String {
    use std::fmt::Write as _;
    let most = buckets.iter().map(|bucket| bucket.succeeded + bucket.others).max();
    let Some(most) = most.filter(|most| *most > 0) else {
        return String::new();
    };
    let (width, height) = (buckets.len() * BAR, HEIGHT + LABELS);
    let mut svg = format!(
        "<svg class=\"histogram\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
        w.durations_of_runs
    );
    for (index, bucket) in buckets.iter().enumerate() {
        let tall = |count: usize| match count {
            0 => 0,
            // One run among thousands is seen, too.
            count => (count * HEIGHT / most).max(2),
        };
        let (succeeded, others) = (tall(bucket.succeeded), tall(bucket.others));
        let x = index * BAR;
        // Writing into a string cannot fail.
        let _ = write!(
            svg,
            "<g><title>{} – {}: {}</title>",
            millis(bucket.from),
            millis(bucket.below),
            bucket.succeeded + bucket.others
        );
        for (class, tall, below) in [("succeeded", succeeded, 0), ("failed", others, succeeded)] {
            if tall > 0 {
                let y = HEIGHT.saturating_sub(tall + below);
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{tall}\"/>",
                    BAR - 3
                );
            }
        }
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{}\">{}</text></g>",
            height - 3,
            short(bucket.from)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Returns a duration that fits below a bar.
fn short(took: u64) -> String {
    match took {
        0 => "0".to_owned(),
        1..1_000 => format!("{took}ms"),
        1_000..60_000 => format!("{}s", took / 1_000),
        60_000..3_600_000 => format!("{}min", took / 60_000),
        _ => format!("{}h", took / 3_600_000),
    }
}
