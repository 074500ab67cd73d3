//! The configuration of a job as a visitor changes it: by a form or as YAML, looked at before it is saved, in one save.
//!
//! What the visitor sends is read into settings by their names in the registry ([`form`], [`yaml`]), masked values become the stored ones
//! ([`masks`](crate::masks)), and [`Draft`] says all that is wrong, what would change, and what that does. A save writes what was looked at, to the
//! version that it was looked at with.

mod effect;
mod form;
mod yaml;

use std::collections::BTreeSet;

use axum::Form;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use elasticjob::configuration::job::JobConfig;
use elasticjob::operation::{Change, Error, StoredConfiguration};

use crate::access::{Rights, Visitor};
use crate::masks::{self, PROPS, Settings};
use crate::page::config::{ConfigPage, Notice};
use crate::page::{self, Message, Scene, View, escaped};
use crate::routes::{SETTLING, Site, Visit};
use crate::text::shown;

pub(crate) use effect::{Effect, Schedule, moved};
pub(crate) use form::{FIELDS, Input, props_text};
pub(crate) use yaml::write as yaml_text;

/// What a visitor would make of a configuration.
pub(crate) struct Draft {
    /// As the visitor sent it: masked values are masked.
    pub(crate) given: Settings,
    /// What is wrong, by the setting that it is about; empty if it is about the whole.
    pub(crate) faults: Vec<(String, String)>,
    /// What is different from what is stored. Secrets are not shown.
    pub(crate) changes: Vec<Change>,
    /// What the change does; `None` if it cannot be made.
    pub(crate) effect: Option<Effect>,
    config: Option<JobConfig>,
}

impl Draft {
    /// Looks at settings that a visitor sent, all of them: what is missing has its default.
    pub(crate) fn new(stored: &StoredConfiguration, given: Settings, visitor: &Visitor) -> Self {
        let before = JobConfig::legible_settings(&stored.text);
        let mut draft = Self {
            given: given.clone(),
            faults: Vec::new(),
            changes: Vec::new(),
            effect: None,
            config: None,
        };
        let meant = match masks::restored(&before, given.clone()) {
            Ok(meant) => meant,
            Err(faults) => {
                draft
                    .faults
                    .extend(faults.into_iter().map(|fault| (quoted_name(&fault), fault)));
                // What else is wrong is said, too.
                given
            }
        };
        if !visitor.may(Rights::Admin) {
            let code = masks::changes_of_code(&before, &meant).into_iter();
            draft.faults.extend(code.map(|name| (name.to_owned(), String::new())));
        }
        let names: BTreeSet<&String> = before.keys().chain(meant.keys()).collect();
        let changed = names
            .into_iter()
            .filter(|name| value(&before, name) != value(&meant, name))
            .map(|name| (name.as_str(), meant.get(name).map(String::as_str)));
        match stored.with_settings(changed) {
            Ok(config) if draft.faults.is_empty() => {
                draft.changes = stored.changes(&config);
                draft.effect = Some(Effect::new(&before, &config.settings()));
                draft.config = Some(config);
            }
            Ok(_) => {}
            Err(Error::Unacceptable { source, .. }) => {
                let faults = source.faults().iter();
                draft
                    .faults
                    .extend(faults.map(|fault| (fault.key.clone(), fault.problem.clone())));
            }
            Err(error) => draft.faults.push((String::new(), error.chain().to_string())),
        }
        draft
    }
}

/// Returns the value of a setting. An empty text counts as none, unless it is a property.
fn value<'a>(settings: &'a Settings, name: &str) -> Option<&'a String> {
    let value = settings.get(name);
    value.filter(|value| !value.is_empty() || name.starts_with(PROPS))
}

/// Returns the name of a setting that a fault quotes.
fn quoted_name(fault: &str) -> String {
    fault.split('`').nth(1).unwrap_or_default().to_owned()
}

/// What a request about a configuration comes with.
pub(crate) struct Asked {
    site: Site,
    visitor: Visitor,
    scene: Scene,
    path: String,
    /// What came of the action before.
    message: Option<Message>,
}

impl FromRequestParts<Site> for Asked {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, StatusCode> {
        let Visit {
            site,
            visitor,
            base,
            language,
        } = Visit::from_request_parts(parts, site).await?;
        site.ready().await;
        let scene = site.scene(language, base, &visitor);
        Ok(Self {
            scene,
            site,
            visitor,
            path: parts.uri.path().to_owned(),
            message: Query::try_from_uri(&parts.uri).ok().map(|query| query.0),
        })
    }
}

impl Asked {
    /// Reads the configuration, or says why there is none.
    async fn stored(&self, job: &str) -> Result<StoredConfiguration, Response> {
        let w = self.scene.words;
        let missing = || {
            let text = (w.no_such_job)(&shown(job));
            self.page(w.configuration, &page::config::missing(&text), StatusCode::OK)
        };
        if !self.visitor.sees(job) {
            return Err(missing());
        }
        match self.site.world.operations().configuration(job).await {
            Ok(Some(stored)) => Ok(stored),
            Ok(None) | Err(Error::NoSuchJob { .. }) => Err(missing()),
            Err(error) => {
                let text = shown(&error.chain().to_string());
                Err(self.page(
                    w.configuration,
                    &page::config::missing(&text),
                    StatusCode::SERVICE_UNAVAILABLE,
                ))
            }
        }
    }

    fn page(&self, title: &str, body: &str, status: StatusCode) -> Response {
        let page = page::page_of(
            &View::Still("jobs"),
            &self.scene,
            &self.path,
            &self.site.boot,
            title,
            body,
            self.message.as_ref(),
        );
        (status, Html(page)).into_response()
    }

    fn show(&self, stored: &StoredConfiguration, draft: Option<&Draft>, notice: Option<Notice>) -> Response {
        let page = ConfigPage {
            stored,
            draft,
            notice,
            may_edit: self.visitor.may(Rights::Editor),
        };
        let status = match draft {
            Some(draft) if !draft.faults.is_empty() => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::OK,
        };
        self.page(&shown(&stored.job_name), &page.body(&self.scene), status)
    }
}

/// Answers with the configuration of a job.
pub(crate) async fn show(asked: Asked, Path(job): Path<String>) -> Response {
    match asked.stored(&job).await {
        Ok(stored) => asked.show(&stored, None, None),
        Err(response) => response,
    }
}

/// Looks at a change, or saves it.
pub(crate) async fn change(asked: Asked, Path(job): Path<String>, Form(form): Form<Vec<(String, String)>>) -> Response {
    let stored = match asked.stored(&job).await {
        Ok(stored) => stored,
        Err(response) => return response,
    };
    let sent = form::Sent::parse(form);
    let given = match &sent.yaml {
        Some(text) => match yaml::read(&job, text) {
            Ok(given) => given,
            Err(problem) => {
                let notice = Notice::Yaml {
                    text: text.clone(),
                    problem,
                };
                return asked.show(&stored, None, Some(notice));
            }
        },
        None => sent.settings,
    };
    let draft = Draft::new(&stored, given, &asked.visitor);
    if sent.version != Some(stored.version) {
        return asked.show(&stored, Some(&draft), Some(Notice::Changed));
    }
    let Some(config) = draft.config.as_ref().filter(|_| sent.is_save) else {
        return asked.show(&stored, Some(&draft), None);
    };
    let operations = asked.site.world.operations();
    match operations.update_configuration(&job, config, stored.version).await {
        Ok(version) => {
            asked.site.world.read_again([&*job], SETTLING).await;
            let done = (asked.scene.words.configured)(version);
            let address = format!("{}/config?done={}", asked.scene.job(&job), escaped(&done));
            Redirect::to(&address).into_response()
        }
        Err(Error::Changed { .. }) => match asked.stored(&job).await {
            Ok(newer) => {
                let draft = Draft::new(&newer, draft.given, &asked.visitor);
                asked.show(&newer, Some(&draft), Some(Notice::Changed))
            }
            Err(response) => response,
        },
        Err(error) => asked.show(
            &stored,
            Some(&draft),
            Some(Notice::Failed(shown(&error.chain().to_string()))),
        ),
    }
}
