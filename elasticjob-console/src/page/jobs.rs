//! The list of jobs, with what needs attention above it.

use std::sync::Arc;

use askama::Template;
use elasticjob::operation::world::{Firing, JobNow, Picture};
use serde::Deserialize;

use crate::condition::{Concern, Condition, Severity, concerns, durations, is_off, is_running};
use crate::draw::{self, Shape};
use crate::text::{millis, shown};
use crate::words::Words;

use super::{Fragments, Scene, When, escaped, id_of, rendered, schedule, zone};

/// Jobs on a page.
const ROWS: usize = 100;

/// Causes in the band above the list.
const CONCERNS: usize = 5;

/// Jobs that a cause names.
const NAMED: usize = 3;

/// Items that are squares of their own; of more there are numbers.
const SQUARES: u32 = 12;

/// Firings in the bars of a row.
const BARS: usize = 30;

/// What the address of the list says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct JobsView {
    q: String,
    is: Kind,
    sort: Sort,
    page: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    All,
    Attention,
    Running,
    Off,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Attention,
    Name,
    Next,
}

impl Kind {
    const ALL: [Self; 4] = [Self::All, Self::Attention, Self::Running, Self::Off];

    fn code(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Attention => "attention",
            Self::Running => "running",
            Self::Off => "off",
        }
    }

    fn has(self, listed: &Listed<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Attention => listed.condition.severity < Severity::Off,
            Self::Running => is_running(&listed.job.report),
            Self::Off => listed.condition.severity == Severity::Off,
        }
    }
}

impl Sort {
    const ALL: [Self; 3] = [Self::Attention, Self::Name, Self::Next];

    fn code(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Name => "name",
            Self::Next => "next",
        }
    }
}

/// A job that the list may show.
struct Listed<'a> {
    name: &'a Arc<str>,
    job: &'a JobNow,
    condition: &'a Condition,
}

impl JobsView {
    /// Returns the names of the jobs that match the text.
    fn matching<'a>(&'a self, picture: &'a Picture) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<JobNow>)> {
        let wanted: Vec<String> = self
            .q
            .to_lowercase()
            .split_whitespace()
            .take(16)
            .map(str::to_owned)
            .collect();
        picture.jobs.iter().filter(move |(name, job)| {
            if wanted.is_empty() {
                return true;
            }
            let text = format!("{name} {}", job.report.brief.description).to_lowercase();
            wanted.iter().all(|word| text.contains(word))
        })
    }

    /// Returns how many jobs stand before those of this page.
    fn first(&self) -> usize {
        self.page.saturating_mul(ROWS)
    }

    pub(crate) fn shown(&self, picture: &Picture) -> Vec<Arc<str>> {
        let from = self.first();
        self.matching(picture)
            .skip(from)
            .take(ROWS)
            .map(|(name, _)| Arc::clone(name))
            .collect()
    }

    /// Returns the jobs of this page, the number of those that match, and how many there are of each kind.
    fn listed<'a>(&'a self, scene: &'a Scene) -> (Vec<Listed<'a>>, usize, [usize; 4]) {
        let all: Vec<Listed<'_>> = self
            .matching(&scene.picture)
            .filter_map(|(name, job)| {
                let condition = scene.judgement.of(name)?;
                Some(Listed { name, job, condition })
            })
            .collect();
        let counts = Kind::ALL.map(|kind| all.iter().filter(|listed| kind.has(listed)).count());
        let mut some: Vec<Listed<'_>> = all.into_iter().filter(|listed| self.is.has(listed)).collect();
        match self.sort {
            Sort::Name => {}
            Sort::Attention => some.sort_by_key(|listed| listed.condition.severity),
            Sort::Next => {
                some.sort_by_key(|listed| (listed.job.report.brief.next.is_none(), listed.job.report.brief.next))
            }
        }
        let found = some.len();
        let page = some.into_iter().skip(self.first()).take(ROWS).collect();
        (page, found, counts)
    }

    pub(super) fn fragments(&self, scene: &Scene) -> Fragments {
        let w = scene.words;
        let (listed, found, counts) = self.listed(scene);
        let mut fragments = Fragments::new(w.jobs);
        let concerns = concerns(scene.judgement.all());
        fragments.push("band", &Band::of(scene, &concerns));
        fragments.push("counts", &self.counts(scene, counts));
        fragments.push("below", &self.below(scene, found));
        for listed in &listed {
            fragments.list("rows", id_of("j", listed.name), &Row::of(listed, scene));
        }
        fragments.lists.entry("rows").or_default();
        fragments
    }

    pub(super) fn body(&self, scene: &Scene, fragments: &Fragments) -> String {
        rendered(&JobsBody {
            view: self,
            w: scene.words,
            scene,
            band: fragments.html("band"),
            counts: fragments.html("counts"),
            below: fragments.html("below"),
            rows: fragments.listed("rows"),
        })
    }

    /// Returns the address of the list with something else.
    fn address(&self, scene: &Scene, is: Kind, sort: Sort, page: usize) -> String {
        let mut query = Vec::new();
        if !self.q.is_empty() {
            query.push(format!("q={}", escaped(&self.q)));
        }
        if is != Kind::default() {
            query.push(format!("is={}", is.code()));
        }
        if sort != Sort::default() {
            query.push(format!("sort={}", sort.code()));
        }
        if page > 0 {
            query.push(format!("page={page}"));
        }
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        format!("{}/jobs{query}", scene.base)
    }

    fn counts<'a>(&self, scene: &'a Scene, counts: [usize; 4]) -> Counts<'a> {
        let w = scene.words;
        let kinds = Kind::ALL.iter().zip(counts).map(|(kind, count)| Choice {
            name: match kind {
                Kind::All => w.all,
                Kind::Attention => w.attention,
                Kind::Running => w.running,
                Kind::Off => w.off,
            },
            count: Some(count),
            address: self.address(scene, *kind, self.sort, 0),
            is_chosen: *kind == self.is,
        });
        let sorts = Sort::ALL.iter().map(|sort| Choice {
            name: match sort {
                Sort::Attention => w.by_attention,
                Sort::Name => w.by_name,
                Sort::Next => w.by_next,
            },
            count: None,
            address: self.address(scene, self.is, *sort, 0),
            is_chosen: *sort == self.sort,
        });
        Counts {
            w,
            kinds: kinds.collect(),
            sorts: sorts.collect(),
        }
    }

    fn below(&self, scene: &Scene, found: usize) -> Below<'static> {
        let w = scene.words;
        let (from, to) = (self.first(), self.first().saturating_add(ROWS).min(found));
        let empty = match (scene.picture.jobs.is_empty(), found) {
            (true, _) => Some(w.no_job.to_owned()),
            (false, 0) => Some(w.no_match.to_owned()),
            _ => None,
        };
        let others = scene.picture.others.values().take(20);
        Below {
            w,
            registry: (w.looked_at)(&scene.registry),
            empty,
            pages: (found > ROWS && from < found).then(|| (w.page_of)(from + 1, to, found)),
            earlier: (self.page > 0).then(|| self.address(scene, self.is, self.sort, self.page - 1)),
            later: (to < found).then(|| self.address(scene, self.is, self.sort, self.page + 1)),
            others: others
                .map(|other| (shown(&other.name), shown(&(w.unlisted)(&other.reason))))
                .collect(),
            is_in_memory: scene.registry.starts_with("embedded"),
        }
    }
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsBody<'a> {
    view: &'a JobsView,
    w: &'a Words,
    scene: &'a Scene,
    band: &'a str,
    counts: &'a str,
    below: &'a str,
    rows: String,
}

/// What needs attention.
#[derive(Template)]
#[template(path = "band.html")]
struct Band {
    concerns: Vec<ConcernLine>,
    more: Option<String>,
    well: String,
}

struct ConcernLine {
    class: &'static str,
    sign: &'static str,
    reason: String,
    /// The names and addresses of the first jobs.
    jobs: Vec<(String, String)>,
    more: Option<String>,
}

impl Band {
    fn of(scene: &Scene, concerns: &[Concern]) -> Self {
        let w = scene.words;
        let totals = scene.judgement.totals;
        let line = |concern: &Concern| ConcernLine {
            class: concern.severity.class(),
            sign: concern.severity.sign(),
            reason: concern.reason.clone(),
            jobs: concern
                .jobs
                .iter()
                .take(NAMED)
                .map(|job| (shown(job), scene.job(job)))
                .collect(),
            more: concern
                .jobs
                .len()
                .checked_sub(NAMED)
                .filter(|more| *more > 0)
                .map(w.more_jobs),
        };
        Self {
            concerns: concerns.iter().take(CONCERNS).map(line).collect(),
            more: concerns
                .len()
                .checked_sub(CONCERNS)
                .filter(|more| *more > 0)
                .map(w.more_jobs),
            well: (w.all_well)(totals.jobs, totals.items, totals.instances),
        }
    }
}

#[derive(Template)]
#[template(path = "counts.html")]
struct Counts<'a> {
    w: &'a Words,
    kinds: Vec<Choice>,
    sorts: Vec<Choice>,
}

struct Choice {
    name: &'static str,
    count: Option<usize>,
    address: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "below.html")]
struct Below<'a> {
    w: &'a Words,
    registry: String,
    empty: Option<String>,
    pages: Option<String>,
    earlier: Option<String>,
    later: Option<String>,
    others: Vec<(String, String)>,
    is_in_memory: bool,
}

/// A job in the list.
#[derive(Template)]
#[template(path = "job_row.html")]
struct Row<'a> {
    w: &'a Words,
    id: String,
    class: &'static str,
    sign: &'static str,
    name: String,
    address: String,
    second: String,
    schedule: String,
    cron: String,
    next: Option<When>,
    no_next: &'static str,
    squares: Vec<(Shape, String)>,
    numbers: Vec<(Shape, usize)>,
    bars: String,
    durations: String,
    reason: &'a str,
}

impl<'a> Row<'a> {
    fn of(listed: &'a Listed<'_>, scene: &'a Scene) -> Self {
        let (w, report, condition) = (scene.words, &listed.job.report, listed.condition);
        let brief = &report.brief;
        let total = brief.sharding_total_count;
        let shapes = || newest_shapes(listed.job);
        let parameters = || {
            let items = report.items.iter().take(4);
            let named = items.filter_map(|item| Some(format!("{}={}", item.item, item.parameter.as_deref()?)));
            named.collect::<Vec<_>>().join(" · ")
        };
        let second = if brief.description.is_empty() {
            parameters()
        } else {
            brief.description.clone()
        };
        let bars: Vec<&Firing> = {
            let firings = listed.job.firings.all();
            firings[firings.len().saturating_sub(BARS)..].iter().collect()
        };
        Row {
            w,
            id: id_of("j", listed.name),
            class: condition.severity.class(),
            sign: condition.severity.sign(),
            name: shown(listed.name),
            address: scene.job(listed.name),
            second: shown(&second),
            schedule: schedule(report, w),
            cron: shown(brief.cron.as_deref().unwrap_or_default()),
            next: brief
                .next
                .filter(|_| !is_off(report))
                .map(|next| When::of(next, &zone(report), scene)),
            no_next: match &brief.cron {
                _ if is_off(report) => w.off,
                Some(_) => w.never,
                None => w.when_triggered,
            },
            squares: if total <= SQUARES {
                let named = |(item, shape): (u32, Shape)| (shape, format!("{} {item}", w.item));
                shapes().map(named).collect()
            } else {
                Vec::new()
            },
            numbers: if total <= SQUARES {
                Vec::new()
            } else {
                numbers(shapes().map(|(_, shape)| shape))
            },
            bars: draw::bars(&bars, w.last_firings),
            durations: durations(listed.job)
                .map_or_else(String::new, |(p50, p95)| format!("{} / {}", millis(p50), millis(p95))),
            reason: &condition.reason,
        }
    }
}

/// Returns the newest outcome of each item.
pub(super) fn newest_shapes(job: &JobNow) -> impl Iterator<Item = (u32, Shape)> + '_ {
    (0..job.report.brief.sharding_total_count).map(|item| (item, Shape::of(job.firings.newest(item))))
}

/// Counts shapes, the worst first.
fn numbers(shapes: impl Iterator<Item = Shape>) -> Vec<(Shape, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for shape in shapes {
        *counts.entry(shape).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}
