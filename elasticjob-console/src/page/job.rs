//! A job: what it does in a sentence, its newest firings as a matrix, its items, its next times.

use std::collections::BTreeSet;

use askama::Template;
use elasticjob::configuration::cron::Expression;
use elasticjob::configuration::zone::Zone;
use elasticjob::operation::world::{Cell, Firing, JobNow, Outcome, Standing};
use elasticjob::operation::{Finding, ItemReport, ItemStatus, next_firings};
use elasticjob::run::Reason;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::condition::{Condition, Severity, is_off, server};
use crate::draw::{self, Shape};
use crate::text::{clock, full, millis, shown, whole};
use crate::twin;
use crate::words::Words;

use super::jobs::newest_shapes;
use super::{Fragments, Scene, When, escaped, id_of, rendered, schedule, zone};

/// Items that the page shows; failing ones come first.
const ROWS: usize = 64;

/// Next times on the page.
const TIMES: usize = 10;

/// What the address of a job's page says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    tab: Tab,
    /// The firing that is open.
    at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tab {
    #[default]
    Matrix,
    Items,
    Schedule,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Matrix, Self::Items, Self::Schedule];

    fn code(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Items => "items",
            Self::Schedule => "schedule",
        }
    }

    fn name(self, w: &Words) -> &'static str {
        match self {
            Self::Matrix => w.matrix,
            Self::Items => w.items,
            Self::Schedule => w.schedule,
        }
    }
}

/// The page of a job.
#[derive(Clone, Debug)]
pub(crate) struct JobView {
    name: String,
    query: Query,
}

impl JobView {
    pub(crate) fn new(name: String, query: Query) -> Self {
        Self { name, query }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn fragments(&self, scene: &Scene) -> Fragments {
        let mut fragments = Fragments::new(shown(&self.name));
        let Some(job) = scene.picture.jobs.get(&*self.name) else {
            fragments.push("head", &Missing::of(self, scene));
            return fragments;
        };
        let view = Seen {
            job,
            scene,
            w: scene.words,
            zone: zone(&job.report),
        };
        fragments.push("head", &view.head());
        fragments.push("actions", &view.actions());
        match self.query.tab {
            Tab::Matrix => {
                fragments.push("matrix", &view.matrix(self.query.at));
                if let Some(at) = self.query.at {
                    fragments.push("firing", &view.firing(at));
                }
            }
            Tab::Items => {
                for item in view.rows() {
                    fragments.list("rows", id_of("i", &item.to_string()), &view.item(item));
                }
                fragments.lists.entry("rows").or_default();
            }
            Tab::Schedule => fragments.push("times", &view.times()),
        }
        fragments
    }

    pub(super) fn body(&self, scene: &Scene, fragments: &Fragments) -> String {
        let has_job = scene.picture.jobs.contains_key(&*self.name);
        rendered(&JobBody {
            w: scene.words,
            scene,
            name: shown(&self.name),
            has_job,
            tabs: tabs(scene, &self.name, Some(self.query.tab)),
            tab: self.query.tab,
            actions: fragments.html("actions"),
            head: fragments.html("head"),
            matrix: fragments.html("matrix"),
            firing: fragments.html("firing"),
            times: fragments.html("times"),
            rows: fragments.listed("rows"),
            more: scene
                .picture
                .jobs
                .get(&*self.name)
                .and_then(|job| hidden(job))
                .map(scene.words.more_items),
        })
    }
}

/// Returns the tabs of a job's pages; if none of ours is chosen, it is that of the configuration.
pub(super) fn tabs(scene: &Scene, job: &str, chosen: Option<Tab>) -> Vec<TabLink> {
    let (w, page) = (scene.words, scene.job(job));
    let own = Tab::ALL.iter().map(|tab| TabLink {
        name: tab.name(w),
        address: format!("{page}?tab={}", tab.code()),
        is_chosen: chosen == Some(*tab),
    });
    let past = format!("job:\"{}\"", job.replace('"', "\"\""));
    let others = [
        TabLink {
            name: w.configuration,
            address: format!("{page}/config"),
            is_chosen: chosen.is_none(),
        },
        TabLink {
            name: w.history,
            address: format!("{}/history?q={}", scene.base, escaped(&past)),
            is_chosen: false,
        },
    ];
    own.chain(others).collect()
}

/// Returns how many items the page does not show.
fn hidden(job: &JobNow) -> Option<usize> {
    (job.report.brief.sharding_total_count as usize)
        .checked_sub(ROWS)
        .filter(|more| *more > 0)
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobBody<'a> {
    w: &'a Words,
    scene: &'a Scene,
    name: String,
    has_job: bool,
    tabs: Vec<TabLink>,
    tab: Tab,
    actions: &'a str,
    head: &'a str,
    matrix: &'a str,
    firing: &'a str,
    times: &'a str,
    rows: String,
    more: Option<String>,
}

pub(super) struct TabLink {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) is_chosen: bool,
}

/// A job that is not there, or whose configuration nobody can run by.
#[derive(Template)]
#[template(path = "missing.html")]
struct Missing {
    text: String,
    problem: Option<String>,
}

impl Missing {
    fn of(view: &JobView, scene: &Scene) -> Self {
        let w = scene.words;
        let text = match scene.picture.standing {
            Standing::Reading { done, all } => scene.reading(done, all),
            _ => (w.no_such_job)(&shown(&view.name)),
        };
        let other = scene.picture.others.get(&*view.name);
        Self {
            text,
            problem: other.map(|other| shown(&(w.unlisted)(&other.reason))),
        }
    }
}

/// A job that is there.
struct Seen<'a> {
    job: &'a JobNow,
    scene: &'a Scene,
    w: &'a Words,
    zone: TimeZone,
}

#[derive(Template)]
#[template(path = "job_head.html")]
struct Head<'a> {
    w: &'a Words,
    class: &'static str,
    sign: &'static str,
    sentence: String,
    next: Option<When>,
    ran: Option<String>,
    facts: Vec<String>,
    findings: Vec<(bool, String)>,
}

/// What an operator does with the job.
#[derive(Template)]
#[template(path = "job_actions.html")]
struct Actions<'a> {
    w: &'a Words,
    scene: &'a Scene,
    path: String,
    label: String,
    is_off: bool,
    trigger_twin: String,
    switch_twin: String,
}

#[derive(Template)]
#[template(path = "matrix.html")]
struct Matrix<'a> {
    w: &'a Words,
    rows: Vec<MatrixRow>,
    heads: Vec<ColumnHead>,
    is_empty: bool,
    /// A sample of each shape, and what it means.
    legend: Vec<(String, &'static str)>,
    height: String,
    range: String,
}

struct MatrixRow {
    item: u32,
    parameter: String,
    sign: &'static str,
    class: &'static str,
    last: String,
    svg: String,
    owner: String,
}

/// The head of a column, which opens the firing.
struct ColumnHead {
    address: String,
    title: String,
    is_open: bool,
    is_trigger: bool,
    /// A time, where there is room for one.
    label: String,
}

#[derive(Template)]
#[template(path = "firing.html")]
struct FiringPart<'a> {
    w: &'a Words,
    title: String,
    back: String,
    is_kept: bool,
    rows: Vec<FiringRow>,
}

struct FiringRow {
    item: u32,
    parameter: String,
    sign: &'static str,
    class: &'static str,
    outcome: &'static str,
    took: String,
    instance: String,
    source: &'static str,
    attempt: String,
    ended: String,
    cause: String,
    run: String,
    /// The page of the run.
    address: Option<String>,
}

#[derive(Template)]
#[template(path = "item_row.html")]
struct ItemRow<'a> {
    w: &'a Words,
    scene: &'a Scene,
    id: String,
    path: String,
    item: u32,
    parameter: String,
    sign: &'static str,
    class: &'static str,
    owner: String,
    last: String,
    when: Option<When>,
    findings: Vec<(bool, String)>,
    is_off: bool,
    is_running: bool,
    /// The twins of the buttons.
    twins: String,
}

#[derive(Template)]
#[template(path = "times.html")]
struct Times<'a> {
    w: &'a Words,
    schedule: String,
    cron: String,
    zone: String,
    times: Vec<(String, When)>,
}

impl<'a> Seen<'a> {
    /// Returns the items that the page shows, those that fail first if not all are.
    fn rows(&self) -> Vec<u32> {
        let total = self.job.report.brief.sharding_total_count;
        if total as usize <= ROWS {
            return (0..total).collect();
        }
        let mut shapes: Vec<(Shape, u32)> = newest_shapes(self.job).map(|(item, shape)| (shape, item)).collect();
        shapes.sort_unstable();
        let chosen: BTreeSet<u32> = shapes.into_iter().take(ROWS).map(|(_, item)| item).collect();
        chosen.into_iter().collect()
    }

    fn clock(&self, time: Timestamp) -> String {
        clock(time, &self.zone, self.scene.now)
    }

    fn head(&self) -> Head<'_> {
        let (w, report) = (self.w, &self.job.report);
        let condition = Condition::of(self.job, w, self.scene.now);
        let sentence = match (&condition.severity, &report.brief.cron) {
            (Severity::Well, Some(_)) => (w.runs)(&schedule(report, w)),
            (Severity::Well, None) => w.runs_when_triggered.to_owned(),
            _ => condition.reason,
        };
        let leader = report.leader.as_deref().map(|leader| (w.leader)(&shown(leader)));
        let facts = [
            (w.count_items)(report.brief.sharding_total_count),
            (w.instances)(report.instances.len()),
        ];
        let facts = facts
            .into_iter()
            .chain(leader)
            .chain([(w.version)(report.configuration_version)]);
        Head {
            w,
            class: condition.severity.class(),
            sign: condition.severity.sign(),
            sentence,
            next: report
                .brief
                .next
                .filter(|_| !is_off(report))
                .map(|next| When::of(next, &self.zone, self.scene)),
            ran: self.all_ran(),
            facts: facts.collect(),
            findings: said(&self.job.explanation.findings, w),
        }
    }

    fn actions(&self) -> Actions<'_> {
        let (report, brief) = (&self.job.report, &self.job.report.brief);
        let (job, is_off) = (&*brief.job_name, is_off(report));
        let path = format!("/jobs/{}", escaped(job));
        Actions {
            w: self.w,
            scene: self.scene,
            path: self.scene.job(&brief.job_name),
            label: (self.w.run_items)(brief.sharding_total_count, report.instances.len()),
            is_off,
            trigger_twin: twin::of(self.scene, &["trigger", job], &format!("{path}/trigger"), None),
            switch_twin: if is_off {
                twin::of(self.scene, &["enable", job], &format!("{path}/enable"), None)
            } else {
                twin::of(
                    self.scene,
                    &["disable", job],
                    &format!("{path}/disable"),
                    Some(twin::REASON),
                )
            },
        }
    }

    /// Says when all items ran last, if they all succeeded.
    fn all_ran(&self) -> Option<String> {
        let total = self.job.report.brief.sharding_total_count as usize;
        let is_over = |firing: &&Firing| {
            firing.cells().count() == total && !firing.cells().any(|(_, cell)| cell.outcome == Outcome::Running)
        };
        let newest = self.job.firings.all().iter().rev().find(is_over)?;
        let is_well = newest
            .cells()
            .all(|(_, cell)| Shape::of(Some(cell)) == Shape::Succeeded);
        is_well.then(|| (self.w.all_ran)(total, &self.clock(newest.time)))
    }

    fn matrix(&self, open: Option<Timestamp>) -> Matrix<'_> {
        let w = self.w;
        let firings: Vec<&Firing> = self.job.firings.all().iter().collect();
        let longest = draw::longest(&firings);
        let rows = self.rows().into_iter().map(|item| {
            let report = self.report(item);
            let newest = self.job.firings.newest(item);
            let shape = Shape::of(newest);
            MatrixRow {
                item,
                parameter: self.parameter(item),
                sign: shape.sign(),
                class: shape.class(),
                last: newest.and_then(|cell| cell.took_millis).map(millis).unwrap_or_default(),
                svg: draw::row(&firings, item, longest, &format!("{} {item}", w.item)),
                owner: report
                    .and_then(|report| report.instance_id.as_deref())
                    .map_or(w.no_owner.to_owned(), |id| shown(server(id))),
            }
        });
        let heads = firings.iter().enumerate().map(|(index, firing)| ColumnHead {
            address: format!(
                "{}?at={}",
                self.scene.job(&self.job.report.brief.job_name),
                escaped(&firing.time.to_string())
            ),
            title: match firing.request {
                None => full(firing.time, &self.zone),
                Some(_) => format!("{} ({})", full(firing.time, &self.zone), w.trigger),
            },
            is_open: open == Some(firing.time),
            is_trigger: firing.request.is_some(),
            label: if index % 10 == 0 {
                self.clock(firing.time)
            } else {
                String::new()
            },
        });
        Matrix {
            w,
            rows: rows.collect(),
            heads: heads.collect(),
            is_empty: firings.is_empty(),
            legend: Shape::ALL
                .iter()
                .map(|shape| (draw::sample(*shape), (w.shape)(*shape)))
                .collect(),
            height: (w.height)(&millis(longest)),
            range: match (firings.first(), firings.last()) {
                (Some(first), Some(last)) => format!("{} – {}", self.clock(first.time), self.clock(last.time)),
                _ => String::new(),
            },
        }
    }

    fn firing(&self, at: Timestamp) -> FiringPart<'_> {
        let w = self.w;
        let found = self.job.firings.all().iter().find(|firing| firing.time == at);
        let none = (None, w.not_observed);
        let rows = found.map(|firing| {
            let rows = self.rows().into_iter().map(|item| {
                let (cell, outcome) = firing
                    .cell(item)
                    .map_or(none, |cell| (Some(cell), (w.outcome)(cell.outcome)));
                self.firing_row(item, cell, outcome)
            });
            rows.collect()
        });
        FiringPart {
            w,
            title: (w.firing_at)(&full(at, &self.zone)),
            back: self.scene.job(&self.job.report.brief.job_name),
            is_kept: found.is_some(),
            rows: rows.unwrap_or_default(),
        }
    }

    fn firing_row(&self, item: u32, cell: Option<&Cell>, outcome: &'static str) -> FiringRow {
        let w = self.w;
        let shape = Shape::of(cell);
        FiringRow {
            item,
            parameter: self.parameter(item),
            sign: shape.sign(),
            class: shape.class(),
            outcome,
            took: cell.and_then(|cell| cell.took_millis).map(millis).unwrap_or_default(),
            instance: cell
                .and_then(|cell| cell.instance.as_deref())
                .map(shown)
                .unwrap_or_default(),
            source: cell
                .and_then(|cell| cell.source)
                .map_or("", |source| (w.source)(source)),
            attempt: cell
                .filter(|cell| cell.attempt > 1)
                .map(|cell| (w.attempt)(cell.attempt))
                .unwrap_or_default(),
            ended: cell
                .and_then(|cell| cell.ended)
                .map(|ended| self.clock(ended))
                .unwrap_or_default(),
            cause: cell.map(|cell| self.cause(cell)).unwrap_or_default(),
            run: cell.and_then(|cell| cell.run.as_deref()).map(shown).unwrap_or_default(),
            address: cell
                .and_then(|cell| cell.run.as_deref())
                .filter(|_| self.scene.has_history)
                .map(|run| format!("{}/runs/{}", self.scene.base, escaped(run))),
        }
    }

    /// Returns why the item ended so: in the language of the visitor if the cause is one of ours.
    fn cause(&self, cell: &Cell) -> String {
        let known = cell.reason.filter(|reason| *reason != Reason::Unknown);
        match known {
            Some(reason) => (self.w.reason_of)(reason).to_owned(),
            None => cell.cause.as_deref().map(whole).unwrap_or_default(),
        }
    }

    fn report(&self, item: u32) -> Option<&ItemReport> {
        self.job
            .report
            .items
            .get(item as usize)
            .filter(|report| report.item == item)
    }

    /// Returns the parameter of an item; empty if it has none.
    fn parameter(&self, item: u32) -> String {
        let parameter = self.report(item).and_then(|report| report.parameter.as_deref());
        parameter.map(shown).unwrap_or_default()
    }

    fn item(&self, item: u32) -> ItemRow<'_> {
        let w = self.w;
        let report = self.report(item);
        let newest = self.job.firings.newest(item);
        let shape = Shape::of(newest);
        let explained = self.job.explanation.items.get(item as usize);
        let status = report.map(|report| report.status);
        let last = newest.map(|cell| {
            let took = cell.took_millis.map(millis);
            [Some((w.outcome)(cell.outcome).to_owned()), took]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", ")
        });
        let is_off = status == Some(ItemStatus::Disabled);
        let is_running = newest.is_some_and(|cell| cell.outcome == Outcome::Running);
        ItemRow {
            w,
            scene: self.scene,
            id: id_of("i", &item.to_string()),
            path: format!("{}/items/{item}", self.scene.job(&self.job.report.brief.job_name)),
            item,
            parameter: self.parameter(item),
            sign: shape.sign(),
            class: shape.class(),
            owner: report
                .and_then(|report| report.instance_id.as_deref())
                .map_or(w.no_owner.to_owned(), shown),
            last: last.unwrap_or_default(),
            when: newest
                .and_then(|cell| cell.ended)
                .map(|ended| When::of(ended, &self.zone, self.scene)),
            findings: explained
                .map(|explained| said(&explained.findings, w))
                .unwrap_or_default(),
            is_off,
            is_running,
            twins: self.twins(item, is_off, is_running),
        }
    }

    /// Returns the twins of the buttons of an item.
    fn twins(&self, item: u32, is_off: bool, is_running: bool) -> String {
        let (job, number) = (&*self.job.report.brief.job_name, item.to_string());
        let (path, scene) = (format!("/jobs/{}", escaped(job)), self.scene);
        let body = format!("{{\"item\":{item}}}");
        let of_item = |action, path: &str, body| twin::of(scene, &[action, job, "--item", &number], path, body);
        let mut twins = of_item("trigger", &format!("{path}/trigger"), Some(&*body));
        if is_running {
            twins += &of_item("cancel", &format!("{path}/cancel"), Some(&*body));
        }
        twins += &if is_off {
            of_item("enable", &format!("{path}/items/{item}/enable"), None)
        } else {
            of_item("disable", &format!("{path}/items/{item}/disable"), Some(twin::REASON))
        };
        twins
    }

    fn times(&self) -> Times<'_> {
        let (w, brief) = (self.w, &self.job.report.brief);
        let zone = brief
            .time_zone
            .as_deref()
            .and_then(|name| Zone::parse(name).ok())
            .unwrap_or_else(Zone::system);
        let expression = brief.cron.as_deref().and_then(|cron| Expression::parse(cron).ok());
        let times = expression.map(|expression| next_firings(&expression, &zone, self.scene.now, TIMES));
        let shown_time = |time: Timestamp| (full(time, &self.zone), When::of(time, &self.zone, self.scene));
        Times {
            w,
            schedule: schedule(&self.job.report, w),
            cron: shown(brief.cron.as_deref().unwrap_or_default()),
            zone: zone.name().to_owned(),
            times: times.unwrap_or_default().into_iter().map(shown_time).collect(),
        }
    }
}

/// Returns each finding as a sentence, and whether it is an obstacle.
fn said(findings: &[Finding], w: &Words) -> Vec<(bool, String)> {
    let said = |finding: &Finding| (finding.is_obstacle(), shown(&(w.finding)(finding)));
    findings.iter().map(said).collect()
}
