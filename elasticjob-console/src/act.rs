//! What an operator does by a form. Each answer leads to a page that says what came of it.

use std::slice;

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Redirect;
use axum::{Extension, Form};
use elasticjob::operation::world::JobNow;
use elasticjob::operation::{Error, Note, Operations, Target};
use serde::Deserialize;

use crate::access::Visitor;
use crate::audit::Outcome;
use crate::page::escaped;
use crate::routes::{SETTLING, Site, Visit};
use crate::text::shown;
use crate::words::Words;

/// Where an action leads, and what came of it.
type Answer = (Extension<Outcome>, Redirect);

/// An action that a visitor asked for.
pub(crate) struct Asked {
    site: Site,
    visitor: Visitor,
    words: &'static Words,
    base: std::sync::Arc<str>,
}

impl FromRequestParts<Site> for Asked {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, StatusCode> {
        let visit = Visit::from_request_parts(parts, site).await?;
        Ok(Self {
            words: visit.language.words(),
            base: visit.base,
            site: visit.site,
            visitor: visit.visitor,
        })
    }
}

impl Asked {
    fn operations(&self) -> &Operations {
        self.site.world.operations()
    }

    /// Leads to a page below the console, with what came of the action on these jobs. The page shows what it has done.
    async fn answer(self, jobs: &[String], page: &str, done: Result<String, Error>) -> Answer {
        let (key, text) = match &done {
            Ok(text) => ("done", text.clone()),
            Err(error) => ("failed", error.chain().to_string()),
        };
        if done.is_ok() {
            self.site
                .world
                .read_again(jobs.iter().map(|job| &**job), SETTLING)
                .await;
        }
        let outcome = match &done {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(error.chain().to_string()),
        };
        let sign = if page.contains('?') { '&' } else { '?' };
        let page = Redirect::to(&format!("{}{page}{sign}{key}={}", self.base, escaped(&shown(&text))));
        (Extension(outcome), page)
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn of_job(job: &str) -> String {
    format!("/jobs/{}", escaped(job))
}

fn of_items(job: &str) -> String {
    format!("{}?tab=items", of_job(job))
}

#[derive(Deserialize)]
pub(crate) struct Trigger {
    #[serde(default)]
    parameter: String,
}

#[derive(Deserialize)]
pub(crate) struct Off {
    #[serde(default)]
    reason: String,
}

/// Triggers all items of a job.
pub(crate) async fn trigger(asked: Asked, Path(job): Path<String>, Form(form): Form<Trigger>) -> Answer {
    let parameter = (!form.parameter.is_empty()).then_some(&*form.parameter);
    let done = asked.operations().trigger(&job, parameter).await;
    let done = done.map(|_| (asked.words.triggered)(&job));
    asked.answer(slice::from_ref(&job), &of_job(&job), done).await
}

/// Pauses a job.
pub(crate) async fn disable(asked: Asked, Path(job): Path<String>, Form(form): Form<Off>) -> Answer {
    let note = asked.operations().note(Some(asked.visitor.name()), given(&form.reason));
    let done = asked.operations().disable(&Target::job(&*job), Some(note)).await;
    let done = done.map(|_| (asked.words.switched_off)(&job));
    asked.answer(slice::from_ref(&job), &of_job(&job), done).await
}

/// Ends the pause of a job.
pub(crate) async fn enable(asked: Asked, Path(job): Path<String>) -> Answer {
    let done = asked.operations().enable(&Target::job(&*job)).await;
    let done = done.map(|_| (asked.words.switched_on)(&job));
    asked.answer(slice::from_ref(&job), &of_job(&job), done).await
}

/// Triggers one item.
pub(crate) async fn trigger_item(asked: Asked, Path((job, item)): Path<(String, u32)>) -> Answer {
    let done = asked.operations().trigger_item(&job, item, None).await;
    let done = done.map(|_| (asked.words.triggered)(&(asked.words.item_of)(item, &job)));
    asked.answer(slice::from_ref(&job), &of_items(&job), done).await
}

/// Cancels the run of one item.
pub(crate) async fn cancel_item(asked: Asked, Path((job, item)): Path<(String, u32)>) -> Answer {
    let note = asked.operations().note(Some(asked.visitor.name()), None);
    let done = asked.operations().cancel(&job, Some(item), Some(note)).await;
    let done = done.map(|_| (asked.words.run_cancelled)(&(asked.words.item_of)(item, &job)));
    asked.answer(slice::from_ref(&job), &of_items(&job), done).await
}

/// Switches one item off.
pub(crate) async fn disable_item(asked: Asked, Path((job, item)): Path<(String, u32)>) -> Answer {
    let note = asked.operations().note(Some(asked.visitor.name()), None);
    let done = asked.operations().disable_item(&job, item, Some(note)).await;
    let done = done.map(|()| (asked.words.switched_off)(&(asked.words.item_of)(item, &job)));
    asked.answer(slice::from_ref(&job), &of_items(&job), done).await
}

/// Switches one item on.
pub(crate) async fn enable_item(asked: Asked, Path((job, item)): Path<(String, u32)>) -> Answer {
    let done = asked.operations().enable_item(&job, item).await;
    let done = done.map(|()| (asked.words.switched_on)(&(asked.words.item_of)(item, &job)));
    asked.answer(slice::from_ref(&job), &of_items(&job), done).await
}

/// Whether a server is switched off or on.
enum Switch {
    Off(Note),
    On,
}

impl Asked {
    /// Switches a server in all jobs that the visitor sees. Returns these, and what came of it.
    async fn switch_server(&self, server: &str, switch: Switch) -> (Vec<String>, Result<(), Error>) {
        let targets = self.on_server(server);
        if targets.is_empty() {
            let (server, job) = (server.to_owned(), None);
            return (Vec::new(), Err(Error::NoSuchServer { server, job }));
        }
        let mut changed = Vec::new();
        for target in targets {
            let done = match &switch {
                Switch::Off(note) => self.operations().disable(&target, Some(note.clone())).await,
                Switch::On => self.operations().enable(&target).await,
            };
            match done {
                Ok(switched) => changed.extend(switched.into_iter().map(|switched| switched.job_name)),
                Err(error) => return (changed, Err(error)),
            }
        }
        (changed, Ok(()))
    }

    /// Returns what a server is to a visitor: that in all jobs, or in each of those that the visitor sees.
    fn on_server(&self, server: &str) -> Vec<Target> {
        if self.visitor.jobs().is_all() {
            return vec![Target::server(server)];
        }
        let picture = self.site.picture(&self.visitor);
        let is_there = |job: &JobNow| job.report.servers.iter().any(|found| found.ip == server);
        let jobs = picture.jobs.iter().filter(|(_, job)| is_there(job));
        jobs.map(|(name, _)| Target::job_on_server(&**name, server)).collect()
    }
}

/// Switches a server off in the jobs that the visitor sees.
pub(crate) async fn disable_server(asked: Asked, Path(server): Path<String>, Form(form): Form<Off>) -> Answer {
    let note = asked.operations().note(Some(asked.visitor.name()), given(&form.reason));
    let (jobs, done) = asked.switch_server(&server, Switch::Off(note)).await;
    let done = done.map(|()| (asked.words.switched_off)(&server));
    asked.answer(&jobs, "/servers", done).await
}

/// Switches a server on in the jobs that the visitor sees.
pub(crate) async fn enable_server(asked: Asked, Path(server): Path<String>) -> Answer {
    let (jobs, done) = asked.switch_server(&server, Switch::On).await;
    let done = done.map(|()| (asked.words.switched_on)(&server));
    asked.answer(&jobs, "/servers", done).await
}
