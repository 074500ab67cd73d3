//! A run: each attempt with its outcome, its error and its log.

use askama::Template;
use elasticjob::trace::history::{RecordedLog, RunOutcome};
use jiff::tz::TimeZone;

use crate::history::Run;
use crate::text::{full, millis, shown, whole};
use crate::words::Words;

use super::history::shape;
use super::{Scene, escaped, rendered};

/// So much of a log is shown; a link leads to all of it.
const SHOWN: usize = 64 * 1024;

/// So often a run that goes on is read again.
const AGAIN: u32 = 2;

/// A run of which at least one attempt is recorded.
pub(crate) struct RunPage<'a> {
    pub(crate) attempts: &'a [Run],
    pub(crate) logs: &'a [RecordedLog],
}

#[derive(Template)]
#[template(path = "run.html")]
struct Part<'a> {
    w: &'a Words,
    scene: &'a Scene,
    title: String,
    job: String,
    job_address: String,
    item_address: String,
    facts: Vec<String>,
    attempts: Vec<Attempt>,
    again: u32,
    /// The whole log.
    log_address: Option<String>,
}

struct Attempt {
    title: String,
    sign: &'static str,
    class: &'static str,
    outcome: &'static str,
    facts: Vec<(&'static str, String)>,
    failure: String,
    log: Vec<(&'static str, String)>,
    cut: String,
    goes_on: bool,
}

impl RunPage<'_> {
    fn newest(&self) -> &Run {
        self.attempts.last().expect("an attempt is recorded")
    }

    pub(crate) fn title(&self, scene: &Scene) -> String {
        let run = self.newest();
        (scene.words.run_of)(run.item, &shown(&run.job))
    }

    /// Makes all of the page.
    pub(crate) fn part(&self, scene: &Scene) -> String {
        let (w, newest, zone) = (scene.words, self.newest(), TimeZone::system());
        let scheduled = newest
            .scheduled_time
            .map(|time| format!("{} {}", w.scheduled, full(time, &zone)));
        let facts = [scheduled, Some((w.source)(newest.source).to_owned())];
        let goes_on = newest.outcome == RunOutcome::Running;
        rendered(&Part {
            w,
            scene,
            title: self.title(scene),
            job: shown(&newest.job),
            job_address: scene.job(&newest.job),
            item_address: format!(
                "{}/history?q={}",
                scene.base,
                escaped(&format!(
                    "job:\"{}\" item:{}",
                    newest.job.replace('"', "\"\""),
                    newest.item
                ))
            ),
            facts: facts.into_iter().flatten().collect(),
            attempts: self.attempts.iter().rev().map(|run| self.attempt(run, scene)).collect(),
            again: if goes_on { AGAIN } else { 0 },
            log_address: (!self.logs.is_empty()).then(|| {
                let run = newest.run_id.as_deref().unwrap_or(&newest.id);
                format!("{}/runs/{}/log", scene.base, escaped(run))
            }),
        })
    }

    fn attempt(&self, run: &Run, scene: &Scene) -> Attempt {
        let (w, zone, shape) = (scene.words, TimeZone::system(), shape(run.outcome));
        let log = self.logs.iter().find(|log| log.id == run.id);
        let facts = [
            (w.started, Some(full(run.started_at, &zone))),
            (w.ended, run.ended_at.map(|ended| full(ended, &zone))),
            (w.took, run.took_millis.map(millis)),
            (w.owner, Some(shown(run.instance.as_deref().unwrap_or(&run.server)))),
            (
                w.retries,
                run.retries
                    .filter(|retries| *retries > 0)
                    .map(|retries| retries.to_string()),
            ),
            (w.run, run.run_id.as_deref().map(shown)),
        ];
        Attempt {
            title: (w.attempt)(run.attempt.unwrap_or(1)),
            sign: shape.sign(),
            class: shape.class(),
            outcome: (w.run_outcome)(run.outcome),
            facts: facts
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            failure: whole(run.failure.as_deref().unwrap_or_default()),
            cut: log
                .map(RecordedLog::cut)
                .filter(|cut| *cut > 0)
                .map(w.log_cut)
                .unwrap_or_default(),
            goes_on: run.outcome == RunOutcome::Running,
            log: log.map(messages).unwrap_or_default(),
        }
    }
}

/// Returns the newest messages of a log, each with the class of its level.
fn messages(log: &RecordedLog) -> Vec<(&'static str, String)> {
    let all: Vec<&str> = log.messages().collect();
    let mut room = SHOWN;
    let newest = all.iter().rev().take_while(|message| {
        room = room.saturating_sub(message.len());
        room > 0
    });
    let mut newest: Vec<(&'static str, String)> = newest.map(|message| (level(message), whole(message))).collect();
    newest.reverse();
    newest
}

/// Returns the class of a message, whose second word is its level, or the stream of a script.
fn level(message: &str) -> &'static str {
    match message.split(' ').nth(1) {
        Some("ERROR") => "error",
        Some("WARN" | "stderr") => "warn",
        Some("DEBUG" | "TRACE") => "quiet",
        _ => "info",
    }
}
