//! The login page, and what opens and ends sessions.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;

use crate::access::LogIn;
use crate::access::session::Use;
use crate::assets;
use crate::page::{escaped, rendered};
use crate::routes::{Site, local};
use crate::words::{Language, Words};

#[derive(Template)]
#[template(path = "login.html")]
struct Page<'a> {
    w: &'a Words,
    style: &'a str,
    icon: &'a str,
    /// The page that follows.
    wanted: &'a str,
    /// This page, for the choice of a language.
    address: String,
    name: &'a str,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(rename = "return", default)]
    wanted: String,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(rename = "return", default)]
    wanted: String,
}

/// Answers with the login page, or leads on if the visitor is known.
pub(crate) async fn page(State(site): State<Site>, Query(query): Query<Wanted>, parts: Parts) -> Response {
    if site.gate.accounts().is_none() {
        return StatusCode::NOT_FOUND.into_response();
    }
    if site.gate.visitor(&parts, Use::Request).is_some() {
        return Redirect::to(local(&query.wanted)).into_response();
    }
    Html(rendered_page(&parts, "", &query.wanted, None)).into_response()
}

fn rendered_page(parts: &Parts, name: &str, wanted: &str, problem: Option<String>) -> String {
    let wanted = local(wanted);
    rendered(&Page {
        w: Language::of(&parts.headers).words(),
        style: &assets::STYLE,
        icon: &assets::ICON,
        wanted,
        address: format!("/login?return={}", escaped(wanted)),
        name,
        problem,
    })
}

/// Opens a session, and leads to the page that was wanted.
pub(crate) async fn log_in(State(site): State<Site>, parts: Parts, Form(form): Form<Credentials>) -> Response {
    let Some(accounts) = site.gate.accounts() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let words = Language::of(&parts.headers).words();
    let refused = |status: StatusCode, problem: String| {
        let page = rendered_page(&parts, &form.name, &form.wanted, Some(problem));
        (status, Html(page)).into_response()
    };
    match accounts
        .log_in(&form.name, &form.password, &parts, Timestamp::now())
        .await
    {
        LogIn::In(id) => {
            // A session from before the login does not become that of the user.
            accounts.end_of(&parts.headers).await;
            let cookie = [(header::SET_COOKIE, accounts.cookie(&id))];
            (cookie, Redirect::to(local(&form.wanted))).into_response()
        }
        LogIn::Wrong => refused(StatusCode::UNAUTHORIZED, words.wrong_password.to_owned()),
        LogIn::Wait(pause) => {
            let seconds = (pause.as_secs() + 1).to_string();
            let answer = refused(StatusCode::TOO_MANY_REQUESTS, (words.wait_to_log_in)(&seconds));
            ([(header::RETRY_AFTER, seconds)], answer).into_response()
        }
        LogIn::Busy => refused(StatusCode::TOO_MANY_REQUESTS, words.busy_logins.to_owned()),
    }
}

/// Ends the session of the browser.
pub(crate) async fn log_out(State(site): State<Site>, parts: Parts) -> Response {
    let Some(accounts) = site.gate.accounts() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    accounts.end_of(&parts.headers).await;
    let cookie = [(header::SET_COOKIE, accounts.no_cookie())];
    (cookie, Redirect::to("/login")).into_response()
}

/// Says that the visitor is known, to a page that was cut off.
pub(crate) async fn session() -> StatusCode {
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests;
