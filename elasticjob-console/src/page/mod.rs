//! Pages, made of what the world knows. They read nothing from the registry.
//!
//! A page consists of fragments, elements with an id. [`View::fragments`] makes them for the page and for the stream that keeps it
//! true, so both say the same.

pub(crate) mod config;
pub(crate) mod history;
mod job;
mod jobs;
pub(crate) mod run;
mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::http::Uri;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use elasticjob::configuration::cron::Expression;
use elasticjob::operation::JobReport;
use elasticjob::operation::world::{Picture, Standing};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::access::{Rights, Visitor};
use crate::assets;
use crate::condition::Judgement;
use crate::text::{clock, shown, span};
use crate::words::Words;

pub(crate) use job::JobView;
pub(crate) use jobs::JobsView;
pub(crate) use servers::ServersView;

/// What a page is about, as its address says.
#[derive(Clone, Debug)]
pub(crate) enum View {
    Jobs(JobsView),
    Job(JobView),
    Servers(ServersView),
    /// The settings: nothing of them is news but how far the picture can be relied on.
    Settings,
    /// A page of this section that a handler of its own makes: nothing of it follows the world but its standing.
    Still(&'static str),
}

/// An element of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) id: String,
    pub(crate) html: String,
}

/// The elements of a page, and in which order those of a list stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragments {
    pub(crate) title: String,
    pub(crate) elements: Vec<Fragment>,
    /// The ids of the elements of each list, by the id of the list.
    pub(crate) lists: BTreeMap<&'static str, Vec<String>>,
}

/// For whom a page is made, and of what.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) picture: Picture,
    pub(crate) judgement: Arc<Judgement>,
    pub(crate) now: Timestamp,
    pub(crate) words: &'static Words,
    /// What stands before all paths: empty, or the prefix at which the console is mounted.
    pub(crate) base: Arc<str>,
    /// Names the registry.
    pub(crate) registry: Arc<str>,
    /// Whether the command line can reach the registry.
    pub(crate) is_shared: bool,
    /// The visitor that the page is for. `picture` and `judgement` are of the jobs that this visitor sees.
    pub(crate) visitor: Visitor,
    /// Whether visitors log in, and can log out.
    pub(crate) has_login: bool,
    /// Whether a database has the history of runs.
    pub(crate) has_history: bool,
}

impl View {
    /// Reads the address of a page, without the prefix of the console.
    pub(crate) fn parse(uri: &Uri) -> Option<Self> {
        let query = uri.query().unwrap_or_default();
        let parts: Vec<&str> = uri.path().split('/').skip(1).collect();
        Some(match parts[..] {
            [""] | ["jobs"] => Self::Jobs(queried(query)?),
            ["jobs", job] => {
                let query = queried(query)?;
                Self::Job(JobView::new(unescaped(job)?, query))
            }
            ["servers"] => Self::Servers(ServersView {}),
            ["settings"] | ["settings", "audit"] => Self::Settings,
            ["history"] | ["runs", _] => Self::Still("history"),
            ["jobs", _, "config"] => Self::Still("jobs"),
            _ => return None,
        })
    }

    /// Returns the jobs that it shows, which are read more often.
    pub(crate) fn shown(&self, picture: &Picture) -> Vec<Arc<str>> {
        match self {
            Self::Job(view) => picture
                .jobs
                .get_key_value(view.name())
                .map(|(name, _)| Arc::clone(name))
                .into_iter()
                .collect(),
            Self::Jobs(view) => view.shown(picture),
            Self::Servers(_) | Self::Settings | Self::Still(_) => Vec::new(),
        }
    }

    /// Makes the elements of the page.
    pub(crate) fn fragments(&self, scene: &Scene) -> Fragments {
        let mut fragments = match self {
            Self::Jobs(view) => view.fragments(scene),
            Self::Job(view) => view.fragments(scene),
            Self::Servers(view) => view.fragments(scene),
            Self::Settings => Fragments::new(scene.words.settings),
            Self::Still(_) => Fragments::new(scene.words.history),
        };
        fragments.push("standing", &StandingPart::of(scene));
        fragments
    }

    /// Makes the body of the page around its elements.
    fn body(&self, scene: &Scene, fragments: &Fragments) -> String {
        match self {
            Self::Jobs(view) => view.body(scene, fragments),
            Self::Job(view) => view.body(scene, fragments),
            Self::Servers(view) => view.body(scene, fragments),
            Self::Settings => String::new(),
            Self::Still(_) => String::new(),
        }
    }

    fn section(&self) -> &'static str {
        match self {
            Self::Jobs(_) | Self::Job(_) => "jobs",
            Self::Servers(_) => "servers",
            Self::Settings => "settings",
            Self::Still(section) => section,
        }
    }
}

impl Fragments {
    fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    fn push(&mut self, id: impl Into<String>, template: &impl Template) {
        let (id, html) = (id.into(), rendered(template));
        self.elements.push(Fragment { id, html });
    }

    fn list(&mut self, list: &'static str, id: String, template: &impl Template) {
        self.lists.entry(list).or_default().push(id.clone());
        self.push(id, template);
    }

    fn html(&self, id: &str) -> &str {
        let mut elements = self.elements.iter();
        elements
            .find(|fragment| fragment.id == id)
            .map_or("", |fragment| &fragment.html)
    }

    fn listed(&self, list: &str) -> String {
        let ids = self.lists.get(list).map(Vec::as_slice).unwrap_or_default();
        ids.iter().map(|id| self.html(id)).collect()
    }
}

/// Renders a template of ours, which cannot fail.
pub(crate) fn rendered(template: &impl Template) -> String {
    template.render().expect("a template writes into a string")
}

/// A whole page.
#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a> {
    scene: &'a Scene,
    w: &'a Words,
    title: &'a str,
    section: &'a str,
    /// The address of the page without the prefix.
    address: &'a str,
    boot: &'a str,
    style: &'a str,
    script: &'a str,
    icon: &'a str,
    standing: &'a str,
    body: &'a str,
    message: Option<&'a Message>,
}

/// What came of an action, above the page that follows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) done: Option<String>,
    pub(crate) failed: Option<String>,
}

/// Makes a whole page of a view.
pub(crate) fn page(view: &View, scene: &Scene, address: &str, boot: &str, message: Option<&Message>) -> String {
    let fragments = view.fragments(scene);
    let body = view.body(scene, &fragments);
    framed(view, scene, &fragments, &body, address, boot, message)
}

/// Makes a page of settings around what is set.
pub(crate) fn settings(scene: &Scene, body: &str, boot: &str, message: Option<&Message>) -> String {
    let view = View::Settings;
    framed(&view, scene, &view.fragments(scene), body, "/settings", boot, message)
}

/// Makes a page that a handler of its own has made the body of.
pub(crate) fn page_of(
    view: &View,
    scene: &Scene,
    address: &str,
    boot: &str,
    title: &str,
    body: &str,
    message: Option<&Message>,
) -> String {
    let fragments = Fragments {
        title: title.to_owned(),
        ..view.fragments(scene)
    };
    framed(view, scene, &fragments, body, address, boot, message)
}

fn framed(
    view: &View,
    scene: &Scene,
    fragments: &Fragments,
    body: &str,
    address: &str,
    boot: &str,
    message: Option<&Message>,
) -> String {
    rendered(&Frame {
        scene,
        w: scene.words,
        title: &fragments.title,
        section: view.section(),
        address,
        boot,
        style: &assets::STYLE,
        script: &assets::SCRIPT,
        icon: &assets::ICON,
        standing: fragments.html("standing"),
        body,
        message,
    })
}

/// The line above the page that says how far it can be relied on.
#[derive(Template)]
#[template(path = "standing.html")]
struct StandingPart<'a> {
    scene: &'a Scene,
    w: &'a Words,
    class: &'static str,
    text: String,
    problem: String,
}

impl<'a> StandingPart<'a> {
    fn of(scene: &'a Scene) -> Self {
        let w = scene.words;
        let (class, text, problem) = match &scene.picture.standing {
            Standing::Live => ("live", w.live.to_owned(), String::new()),
            Standing::Reading { done, all } => ("reading", scene.reading(*done, *all), String::new()),
            Standing::Away { since, problem } => {
                let since = clock(*since, &TimeZone::system(), scene.now);
                ("away", w.stale.to_owned(), (w.away)(&since, &shown(problem)))
            }
            _ => ("reading", w.stale.to_owned(), String::new()),
        };
        Self {
            scene,
            w,
            class,
            text,
            problem,
        }
    }
}

impl Scene {
    /// Returns whether the visitor may do more than look.
    pub(crate) fn may_operate(&self) -> bool {
        self.visitor.may(Rights::Operator)
    }

    /// Says how far the jobs are read. How many there are is for visitors that see all.
    fn reading(&self, done: usize, all: usize) -> String {
        if self.visitor.jobs().is_all() {
            (self.words.reading)(done, all)
        } else {
            self.words.reading_some.to_owned()
        }
    }

    /// Returns the address of a job's page.
    pub(crate) fn job(&self, job: &str) -> String {
        format!("{}/jobs/{}", self.base, escaped(job))
    }
}

/// A time to come or past, which the browser counts.
pub(crate) struct When {
    pub(crate) at: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

impl When {
    pub(crate) fn of(time: Timestamp, zone: &TimeZone, scene: &Scene) -> Self {
        let (w, away) = (scene.words, time.duration_since(scene.now));
        Self {
            at: time.to_string(),
            title: crate::text::full(time, zone),
            text: if away.is_negative() {
                (w.ago)(&span(-away))
            } else {
                (w.in_time)(&span(away))
            },
        }
    }
}

/// Returns the zone that the times of a job are shown in.
pub(crate) fn zone(report: &JobReport) -> TimeZone {
    let named = report
        .brief
        .time_zone
        .as_deref()
        .and_then(|name| elasticjob::configuration::zone::Zone::parse(name).ok());
    named.map_or_else(TimeZone::system, |zone| zone.time_zone().clone())
}

/// Returns the schedule of a job in words.
fn schedule(report: &JobReport, w: &Words) -> String {
    let expression = report
        .brief
        .cron
        .as_deref()
        .and_then(|cron| Expression::parse(cron).ok());
    expression.map_or_else(
        || w.when_triggered.to_owned(),
        |expression| (w.schedule_of)(&expression),
    )
}

/// Returns the id of an element for something of any name.
fn id_of(kind: &str, name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    format!("{kind}-{}", BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..9]))
}

/// Writes a text so that it is one part of a path, or one value of a query.
pub(crate) fn escaped(text: &str) -> String {
    use std::fmt::Write;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => escaped.push(byte.into()),
            // A part of dots alone would lead up.
            b'.' if text.bytes().any(|byte| byte != b'.') => escaped.push('.'),
            byte => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

/// Reads what [`escaped`] wrote; `None` if it is no text.
pub(crate) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn queried<T: for<'a> Deserialize<'a>>(query: &str) -> Option<T> {
    let uri: Uri = format!("/?{query}").parse().ok()?;
    axum::extract::Query::try_from_uri(&uri).ok().map(|query| query.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_any_name_into_a_path() {
        for name in [
            "sync_orders",
            "备份/每日",
            "a b&c=d?e#f",
            "..",
            "a..b",
            "%2e%2e",
            "<script>",
            "\u{202e}",
        ] {
            let path = escaped(name);
            assert!(path.is_ascii() && !path.contains(['/', '?', '#', '&', '<']), "{path}");
            assert_eq!(unescaped(&path).as_deref(), Some(name));
        }
        assert_eq!(escaped(".."), "%2E%2E");
        assert_eq!(unescaped("%"), None);
        assert_eq!(unescaped("%zz"), None);
        assert_eq!(unescaped("%ff"), None);
    }

    #[test]
    fn is_found_by_its_address() {
        let view = |text: &str| View::parse(&text.parse().unwrap());
        assert!(matches!(view("/"), Some(View::Jobs(_))));
        assert!(matches!(view("/jobs?q=%3Cscript%3E&sort=next"), Some(View::Jobs(_))));
        assert!(matches!(view("/jobs/a%2Fb"), Some(View::Job(job)) if job.name() == "a/b"));
        assert!(matches!(view("/servers"), Some(View::Servers(_))));
        for unknown in ["/x", "/jobs/a/b", "/jobs/%ff", "//evil.test"] {
            assert!(view(unknown).is_none(), "{unknown}");
        }
    }
}
