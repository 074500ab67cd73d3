//! Requests about runs of the past: the page of the history, a run with its log, and both for other programs.
//!
//! They ask the database of the history, and nothing else. A part of a page that is rendered again is asked for with the header
//! [`PART`], by the script of the page.

use std::time::Duration;

use axum::Extension;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use elasticjob::trace::history::{Cursor, Error, RecordedLog};
use jiff::Timestamp;

use crate::access::Visitor;
use crate::history::{Filter, Found, Run, csv, json};
use crate::page::history::{self as page, Answer, READ};
use crate::page::run::RunPage;
use crate::page::{self as pages, Scene, View};
use crate::routes::{Site, base};
use crate::words::Language;

/// The header of a request for the part of a page that changes.
const PART: HeaderName = HeaderName::from_static("x-part");

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most runs in a file.
const EXPORTED: usize = 10_000;

/// Answers with the history.
pub(crate) async fn history(
    State(site): State<Site>,
    OriginalUri(original): OriginalUri,
    Extension(visitor): Extension<Visitor>,
    Query(query): Query<page::Query>,
    request: Parts,
) -> Response {
    let scene = scene(&site, &original, &request, &visitor).await;
    let (filter, problems) = Filter::parse(&query.q);
    let after = query.after.as_deref().and_then(|after| after.parse().ok());
    let found = runs(&site, &filter, after.as_ref(), READ, &visitor, &scene).await;
    let answer = match &found {
        Ok(found) => Answer::Runs {
            found,
            place: site.histories.place(&filter),
        },
        Err(problem) => Answer::Away(problem.clone()),
    };
    if request.headers.contains_key(PART) {
        return Html(page::part(&scene, &query, &filter, &problems, &answer)).into_response();
    }
    let body = page::body(&scene, &query, &filter, &problems, &answer);
    let address = request.uri.path_and_query().map_or("/history", |path| path.as_str());
    Html(pages::page_of(
        &View::Still("history"),
        &scene,
        address,
        &site.boot,
        scene.words.history,
        &body,
        None,
    ))
    .into_response()
}

/// Answers with runs as CSV.
pub(crate) async fn as_csv(site: State<Site>, visitor: Extension<Visitor>, query: Query<page::Query>) -> Response {
    export(site, visitor, query, csv, "text/csv; charset=utf-8", "history.csv").await
}

/// Answers with runs as JSON.
pub(crate) async fn as_json(site: State<Site>, visitor: Extension<Visitor>, query: Query<page::Query>) -> Response {
    export(site, visitor, query, json, "application/json", "history.json").await
}

async fn export(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Query(query): Query<page::Query>,
    write: fn(&[Run]) -> String,
    kind: &'static str,
    name: &'static str,
) -> Response {
    let (filter, problems) = Filter::parse(&query.q);
    if !problems.is_empty() {
        // A file that has more than what was asked for would be taken for it.
        return (
            StatusCode::BAD_REQUEST,
            "the filter is not understood: look at the page of the history\n",
        )
            .into_response();
    }
    let (picture, now) = (site.picture(&visitor), Timestamp::now());
    let mut all = Vec::new();
    let mut after = query.after.as_deref().and_then(|after| after.parse::<Cursor>().ok());
    loop {
        let read = site
            .histories
            .runs(&filter, after.as_ref(), READ, &visitor, &picture, now);
        match within(read).await {
            Ok(found) => {
                all.extend(found.runs);
                after = found.next;
            }
            Err(problem) => return (StatusCode::SERVICE_UNAVAILABLE, problem + "\n").into_response(),
        }
        if after.is_none() || all.len() >= EXPORTED {
            break;
        }
    }
    all.truncate(EXPORTED);
    attachment(kind, name, write(&all))
}

/// Answers with a run.
pub(crate) async fn run(
    State(site): State<Site>,
    OriginalUri(original): OriginalUri,
    Extension(visitor): Extension<Visitor>,
    Path(run): Path<String>,
    request: Parts,
) -> Response {
    let scene = scene(&site, &original, &request, &visitor).await;
    let (attempts, logs) = match recorded(&site, &run, &visitor).await {
        Ok(Some(found)) => found,
        Ok(None) => return (StatusCode::NOT_FOUND, format!("{}\n", scene.words.no_such_run)).into_response(),
        Err(problem) => {
            let text = (scene.words.database_away)(&problem);
            return (StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n")).into_response();
        }
    };
    let page = RunPage {
        attempts: &attempts,
        logs: &logs,
    };
    let part = page.part(&scene);
    if request.headers.contains_key(PART) {
        return Html(part).into_response();
    }
    let title = page.title(&scene);
    Html(pages::page_of(
        &View::Still("history"),
        &scene,
        request.uri.path(),
        &site.boot,
        &title,
        &part,
        None,
    ))
    .into_response()
}

/// Answers with all that a run has logged, as a text.
pub(crate) async fn log(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    Path(run): Path<String>,
) -> Response {
    match recorded(&site, &run, &visitor).await {
        Ok(Some((_, logs))) if !logs.is_empty() => {
            let text =
                |log: &RecordedLog| format!("{} item {}, attempt {}\n{}", log.job, log.item, log.attempt, log.text);
            let texts: Vec<String> = logs.iter().map(text).collect();
            attachment("text/plain; charset=utf-8", "run.log", texts.join("\n"))
        }
        Ok(_) => (StatusCode::NOT_FOUND, "no log of this run is kept\n").into_response(),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem + "\n").into_response(),
    }
}

/// Returns the attempts of a run and their logs; `None` if the visitor sees no such run.
async fn recorded(site: &Site, run: &str, visitor: &Visitor) -> Result<Option<(Vec<Run>, Vec<RecordedLog>)>, String> {
    for history in site.histories.all() {
        let mut attempts = within(history.attempts(run)).await?;
        attempts.retain(|run| visitor.sees(&run.job));
        let Some(newest) = attempts.last() else { continue };
        let key = newest.detail.as_ref().map_or(&newest.id, |detail| &detail.run_id);
        let logs = within(history.logs(key)).await?;
        return Ok(Some((attempts.into_iter().map(Run::from).collect(), logs)));
    }
    Ok(None)
}

/// Reads runs. An error is what the database says.
async fn runs(
    site: &Site,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
    visitor: &Visitor,
    scene: &Scene,
) -> Result<Found, String> {
    let read = site
        .histories
        .runs(filter, after, limit, visitor, &scene.picture, scene.now);
    within(read).await
}

/// Waits for the database, and no longer than a visitor does.
async fn within<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answered) => answered.map_err(|error| said(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Returns an error with all its causes.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    elasticjob::configuration::without_secrets(&text).into_owned()
}

/// Returns the scene of a page. Its jobs are read, as for any other page: they are what a filter completes.
async fn scene(site: &Site, original: &axum::http::Uri, request: &Parts, visitor: &Visitor) -> Scene {
    site.ready().await;
    site.scene(Language::of(&request.headers), base(original, &request.uri), visitor)
}

fn attachment(kind: &'static str, name: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, text).into_response()
}
