//! The settings: the visitor, its sessions and tokens, and for an admin all users, and the audit log.

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::access::session::Session;
use crate::access::token::Token;
use crate::access::{Accounts, NoToken, Rights, Visitor};
use crate::audit::{Entry, Outcome, Row};
use crate::globs::Globs;
use crate::page::{self, Message, Scene, When, escaped, rendered};
use crate::routes::Site;
use crate::text::{full, shown};
use crate::words::{Language, Words};

/// Rows of the audit log on a page.
const AUDITED: usize = 200;

#[derive(Template)]
#[template(path = "settings.html")]
struct Body<'a> {
    w: &'a Words,
    scene: &'a Scene,
    is_admin: bool,
    name: String,
    rights: &'static str,
    jobs: String,
    /// A token that was made by this request.
    made: Option<String>,
    users: Vec<UserRow>,
    sessions: Vec<SessionRow>,
    tokens: Vec<TokenRow>,
    /// The rights that a token of the visitor may have.
    choices: Vec<(&'static str, &'static str)>,
}

struct UserRow {
    name: String,
    rights: &'static str,
    jobs: String,
    sessions: usize,
}

struct SessionRow {
    path: String,
    user: String,
    peer: String,
    agent: String,
    opened: When,
    used: When,
    is_this: bool,
}

struct TokenRow {
    name: String,
    /// Where it is revoked; `None` if it is of the configuration.
    path: Option<String>,
    owner: String,
    rights: &'static str,
    jobs: String,
    expires: Option<When>,
    used: Option<When>,
}

#[derive(Deserialize)]
pub(crate) struct NewToken {
    #[serde(default)]
    name: String,
    #[serde(default)]
    rights: String,
    #[serde(default)]
    jobs: String,
    #[serde(default)]
    days: String,
}

/// Answers with the settings.
pub(crate) async fn page(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Query(message): Query<Message>,
    parts: Parts,
) -> Response {
    site.world.look([]);
    rendered_page(&site, &visitor, &parts, None, Some(&message)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Before {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditBody<'a> {
    w: &'a Words,
    scene: &'a Scene,
    is_lasting: bool,
    /// What cannot be read, or the first row that is wrong.
    problem: Option<String>,
    rows: Vec<AuditRow>,
    earlier: Option<String>,
}

struct AuditRow {
    number: i64,
    at: String,
    visitor: String,
    peer: String,
    action: String,
    outcome: &'static str,
    class: &'static str,
    why: String,
    of: Option<i64>,
}

impl AuditRow {
    fn of(row: Row, words: &Words, zone: &TimeZone) -> Self {
        let Entry {
            visitor,
            peer,
            action,
            outcome,
            of,
        } = row.entry;
        let class = match &outcome {
            Outcome::Asked => "asked",
            Outcome::Done => "succeeded",
            Outcome::Failed(_) | Outcome::Refused(_) => "failed",
        };
        Self {
            number: row.number,
            at: full(row.at, zone),
            visitor: shown(&visitor),
            peer: shown(&peer),
            action: shown(&action),
            outcome: (words.audited)(&outcome),
            class,
            why: shown(outcome.parts().1),
            of,
        }
    }
}

/// Answers with rows of the audit log, the newest first.
pub(crate) async fn audit(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Query(query): Query<Before>,
    parts: Parts,
) -> Response {
    site.world.look([]);
    let scene = site.scene(Language::of(&parts.headers), crate::routes::base_of(&parts), &visitor);
    let (w, zone) = (scene.words, TimeZone::system());
    let found = site.store.rows(query.before.unwrap_or(i64::MAX), AUDITED).await;
    let (rows, unread) = match found {
        Ok(rows) => (rows, None),
        Err(error) => (Vec::new(), Some((w.audit_away)(&shown(&error.to_string())))),
    };
    let wrong = site.wrong_row.map(w.audit_wrong);
    let oldest = rows.last().map(|row| row.number).filter(|_| rows.len() == AUDITED);
    let body = AuditBody {
        w,
        is_lasting: site.store.is_lasting(),
        problem: unread.or(wrong),
        earlier: oldest.map(|oldest| format!("{}/settings/audit?before={oldest}", scene.base)),
        rows: rows.into_iter().map(|row| AuditRow::of(row, w, &zone)).collect(),
        scene: &scene,
    };
    Html(page::settings(&scene, &rendered(&body), &site.boot, None)).into_response()
}

/// Makes a token, and shows it once.
pub(crate) async fn make_token(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    parts: Parts,
    Form(form): Form<NewToken>,
) -> Response {
    let Some(accounts) = site.gate.accounts() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (words, now) = (Language::of(&parts.headers).words(), Timestamp::now());
    let made = match form.token(now) {
        Ok(token) => accounts.make_token(&visitor, form.name.trim(), token, now).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(token) => rendered_page(&site, &visitor, &parts, Some(token), None).into_response(),
        Err(problem) => {
            let failed = Message {
                done: None,
                failed: Some((words.no_token)(&problem).to_owned()),
            };
            let page = rendered_page(&site, &visitor, &parts, None, Some(&failed));
            (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
        }
    }
}

impl NewToken {
    fn token(&self, now: Timestamp) -> Result<Token, NoToken> {
        let days: i64 = self.days.trim().parse().map_err(|_| NoToken::Limits)?;
        let lasts = days.checked_mul(24).filter(|hours| (1..=24 * 366).contains(hours));
        let expires = now.checked_add(SignedDuration::from_hours(lasts.ok_or(NoToken::Limits)?));
        let patterns = self
            .jobs
            .split([',', ' ', '\n', '，'])
            .map(str::trim)
            .filter(|pattern| !pattern.is_empty());
        let patterns: Vec<&str> = patterns.collect();
        let jobs = match patterns[..] {
            [] => Globs::all(),
            _ => Globs::parse(patterns).map_err(|_| NoToken::Limits)?,
        };
        Ok(Token {
            owner: None,
            rights: Rights::parse(&self.rights).ok_or(NoToken::Rights)?,
            jobs,
            expires: Some(expires.map_err(|_| NoToken::Limits)?),
            used: None,
        })
    }
}

/// Ends a token.
pub(crate) async fn revoke_token(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    parts: Parts,
    Path(token): Path<String>,
) -> Response {
    let Some(accounts) = site.gate.accounts() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let words = Language::of(&parts.headers).words();
    answer(
        accounts
            .revoke(&visitor, &token)
            .await
            .then(|| (words.token_revoked)(&token)),
        words,
    )
}

/// Ends a session.
pub(crate) async fn end_session(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    parts: Parts,
    Path(session): Path<String>,
) -> Response {
    let Some(accounts) = site.gate.accounts() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let words = Language::of(&parts.headers).words();
    let ended = accounts.end_session(&visitor, &session).await;
    answer(ended.map(|user| (words.session_ended)(&user)), words)
}

fn answer(done: Option<String>, words: &Words) -> Response {
    let (key, text, outcome) = match done {
        Some(text) => ("done", text, Outcome::Done),
        None => (
            "failed",
            words.gone_already.to_owned(),
            Outcome::Failed("gone already, or of another".to_owned()),
        ),
    };
    let page = Redirect::to(&format!("/settings?{key}={}", escaped(&shown(&text))));
    (Extension(outcome), page).into_response()
}

fn rendered_page(
    site: &Site,
    visitor: &Visitor,
    parts: &Parts,
    made: Option<String>,
    message: Option<&Message>,
) -> Html<String> {
    let base = crate::routes::base_of(parts);
    let scene = site.scene(Language::of(&parts.headers), base, visitor);
    let body = body(site.gate.accounts(), visitor, parts, &scene, made);
    Html(page::settings(&scene, &rendered(&body), &site.boot, message))
}

fn body<'a>(
    accounts: Option<&Accounts>,
    visitor: &Visitor,
    parts: &Parts,
    scene: &'a Scene,
    made: Option<String>,
) -> Body<'a> {
    let w = scene.words;
    let sessions = accounts
        .map(|accounts| accounts.sessions(visitor, scene.now))
        .unwrap_or_default();
    let tokens = accounts.map(|accounts| accounts.tokens(visitor)).unwrap_or_default();
    let own = accounts.and_then(|accounts| accounts.session_of(&parts.headers));
    let users = accounts
        .filter(|_| visitor.may(Rights::Admin))
        .into_iter()
        .flat_map(Accounts::users);
    let users = users.map(|(name, user)| UserRow {
        name: shown(name),
        rights: (w.rights)(user.rights),
        jobs: shown(&user.jobs.to_string()),
        sessions: sessions.iter().filter(|(_, session)| &*session.user == name).count(),
    });
    let choices = Rights::ALL.into_iter().filter(|rights| visitor.may(*rights));
    Body {
        w,
        is_admin: visitor.may(Rights::Admin),
        name: shown(visitor.name()),
        rights: (w.rights)(visitor.rights()),
        jobs: shown(&visitor.jobs().to_string()),
        made,
        users: users.collect(),
        tokens: tokens
            .iter()
            .map(|(name, token)| TokenRow::of(name, token, scene))
            .collect(),
        choices: choices.map(|rights| (rights.name(), (w.rights)(rights))).collect(),
        sessions: sessions
            .iter()
            .map(|(name, session)| SessionRow::of(name, session, own.as_deref() == Some(name), scene))
            .collect(),
        scene,
    }
}

impl SessionRow {
    fn of(name: &str, session: &Session, is_this: bool, scene: &Scene) -> Self {
        let zone = TimeZone::system();
        Self {
            path: format!("{}/settings/sessions/{}/end", scene.base, escaped(name)),
            user: shown(&session.user),
            peer: shown(&session.peer),
            agent: shown(&session.agent),
            opened: When::of(session.opened, &zone, scene),
            used: When::of(session.used, &zone, scene),
            is_this,
        }
    }
}

impl TokenRow {
    fn of(name: &str, token: &Token, scene: &Scene) -> Self {
        let zone = TimeZone::system();
        let when = |time: Timestamp| When::of(time, &zone, scene);
        let is_made = token.owner.is_some();
        Self {
            name: shown(name),
            path: is_made.then(|| format!("{}/settings/tokens/{}/revoke", scene.base, escaped(name))),
            owner: token
                .owner
                .as_deref()
                .map_or_else(|| scene.words.of_configuration.to_owned(), shown),
            rights: (scene.words.rights)(token.rights),
            jobs: shown(&token.jobs.to_string()),
            expires: token.expires.map(when),
            used: token.used.map(when),
        }
    }
}
