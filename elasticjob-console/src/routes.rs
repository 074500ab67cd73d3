//! Which request leads where.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{OriginalUri, Query, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use elasticjob::operation::world::{Picture, World};
use jiff::Timestamp;
use serde::Deserialize;

use crate::access::Visitor;
use crate::condition::Judgement;
use crate::gate::{self, Gate};
use crate::page::{self, Fragments, Message, Scene, View};
use crate::words::{self, Language};
use crate::{act, assets, live};

/// How long a first page waits for the jobs to be read. Then it says how far that has come, and the stream brings the rest.
const FIRST_READ: Duration = Duration::from_secs(2);

/// Pages of which the elements are kept.
const RENDERED: usize = 64;

/// The largest form, in bytes.
const LARGEST_FORM: usize = 1024 * 1024;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) world: World,
    registry: Arc<str>,
    pub(crate) gate: Gate,
    memory: Arc<Mutex<Memory>>,
    /// Tells streams of this process from those of the one before.
    pub(crate) boot: Arc<str>,
}

/// What was made for one page and is right for others, too. A std mutex guards it: never held across an await.
#[derive(Default)]
struct Memory {
    judgements: HashMap<Language, Arc<Judgement>>,
    /// The elements of pages, with the revision of the picture that they are of.
    rendered: HashMap<Rendering, (u64, Arc<Fragments>)>,
}

/// What the elements of a page depend on beside the picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rendering {
    pub(crate) address: Arc<str>,
    pub(crate) language: Language,
    pub(crate) base: Arc<str>,
    pub(crate) may_operate: bool,
}

/// Returns the console as a router.
pub(crate) fn router(world: World, gate: Gate) -> Router {
    let site = Site {
        gate: gate.clone(),
        memory: Arc::default(),
        registry: world.operations().registry().into(),
        boot: format!("{:x}", Timestamp::now().as_millisecond()).into(),
        world,
    };
    Router::new()
        .route("/", get(view))
        .route("/jobs", get(view))
        .route("/jobs/{job}", get(view))
        .route("/servers", get(view))
        .route("/live", get(live::stream))
        .route("/language", post(language))
        .route("/jobs/{job}/trigger", post(act::trigger))
        .route("/jobs/{job}/disable", post(act::disable))
        .route("/jobs/{job}/enable", post(act::enable))
        .route("/jobs/{job}/items/{item}/trigger", post(act::trigger_item))
        .route("/jobs/{job}/items/{item}/cancel", post(act::cancel_item))
        .route("/jobs/{job}/items/{item}/disable", post(act::disable_item))
        .route("/jobs/{job}/items/{item}/enable", post(act::enable_item))
        .route("/servers/{server}/disable", post(act::disable_server))
        .route("/servers/{server}/enable", post(act::enable_server))
        .route("/assets/{name}", get(assets::get))
        .fallback(no_such_page)
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_FORM))
        .layer(middleware::from_fn_with_state(gate, gate::pass))
        .with_state(site)
}

impl Site {
    /// Returns the scene of a page now.
    pub(crate) fn scene(&self, language: Language, base: Arc<str>, visitor: &Visitor) -> Scene {
        let (picture, now) = (self.world.picture(), Timestamp::now());
        let judgement = self.judgement(&picture, language, now);
        let registry = Arc::clone(&self.registry);
        Scene::new(picture, judgement, now, language, base, registry, visitor)
    }

    /// Returns the conditions of all jobs, which all pages of a language share.
    fn judgement(&self, picture: &Picture, language: Language, now: Timestamp) -> Arc<Judgement> {
        let mut memory = self.memory();
        let known = memory.judgements.entry(language).or_default();
        if !known.is_of(picture, now) {
            *known = Arc::new(known.next(picture, language.words(), now));
        }
        Arc::clone(known)
    }

    /// Returns the elements of a page, which all that look at the same page share.
    pub(crate) fn fragments(&self, rendering: &Rendering, view: &View, scene: &Scene) -> Arc<Fragments> {
        let revision = scene.picture.revision;
        if let Some((of, fragments)) = self.memory().rendered.get(rendering)
            && *of == revision
        {
            return Arc::clone(fragments);
        }
        let fragments = Arc::new(view.fragments(scene));
        let mut memory = self.memory();
        if memory.rendered.len() >= RENDERED {
            memory.rendered.retain(|_, (of, _)| *of == revision);
        }
        if memory.rendered.len() < RENDERED {
            let of_now = (revision, Arc::clone(&fragments));
            memory.rendered.insert(rendering.clone(), of_now);
        }
        fragments
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a page looks at what a view shows.
    pub(crate) fn look(&self, view: &View) {
        let shown = view.shown(&self.world.picture());
        self.world.look(shown.iter().map(|job| &**job));
    }
}

/// The prefix at which the console is mounted: what the whole address has before the path that we are given.
pub(crate) fn base(original: &Uri, own: &Uri) -> Arc<str> {
    let prefix = original.path().strip_suffix(own.path()).unwrap_or_default();
    prefix.trim_end_matches('/').into()
}

/// Answers with a page.
async fn view(
    State(site): State<Site>,
    OriginalUri(original): OriginalUri,
    Extension(visitor): Extension<Visitor>,
    Query(message): Query<Message>,
    request: Request,
) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let Some(view) = View::parse(uri) else {
        return no_such_page(request).await;
    };
    site.world.look([]);
    site.world.read(FIRST_READ).await;
    site.look(&view);
    let scene = site.scene(Language::of(headers), base(&original, uri), &visitor);
    let address = without_message(uri);
    Html(page::page(&view, &scene, &address, &site.boot, Some(&message))).into_response()
}

/// Returns the address of a page without what came of an action, so that it is said once.
fn without_message(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default().split('&');
    let rest: Vec<&str> = query
        .filter(|pair| !pair.is_empty() && !pair.starts_with("done=") && !pair.starts_with("failed="))
        .collect();
    match rest[..] {
        [] => uri.path().to_owned(),
        _ => format!("{}?{}", uri.path(), rest.join("&")),
    }
}

#[derive(Deserialize)]
struct Choice {
    language: String,
    back: String,
}

/// Keeps the language that a visitor chose, and leads back.
async fn language(OriginalUri(original): OriginalUri, uri: Uri, Form(choice): Form<Choice>) -> Response {
    if Language::parse(&choice.language).is_none() {
        return (StatusCode::UNPROCESSABLE_ENTITY, "no such language\n").into_response();
    }
    let base = base(&original, &uri);
    let path = if base.is_empty() { "/" } else { &base };
    let cookie = format!(
        "{}={}; Path={path}; SameSite=Lax; Max-Age=31536000",
        words::COOKIE,
        choice.language
    );
    let back = Redirect::to(&format!("{base}{}", local(&choice.back)));
    ([(header::SET_COOKIE, cookie)], back).into_response()
}

/// Returns a path of ours as it was given, and the first page for anything else.
pub(crate) fn local(path: &str) -> &str {
    let is_local = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']);
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local && is_plain { path } else { "/jobs" }
}

async fn no_such_page(request: Request) -> Response {
    let words = Language::of(request.headers()).words();
    (StatusCode::NOT_FOUND, format!("{}\n", words.no_such_page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_back_to_its_own_pages_alone() {
        for (path, leads) in [
            ("/jobs/a?tab=items", "/jobs/a?tab=items"),
            ("//evil.test", "/jobs"),
            ("/\\evil.test", "/jobs"),
            ("https://evil.test", "/jobs"),
            ("/a\r\nset-cookie: x", "/jobs"),
            ("", "/jobs"),
        ] {
            assert_eq!(local(path), leads);
        }
    }

    #[test]
    fn knows_its_prefix() {
        let base = |original: &str, own: &str| base(&original.parse().unwrap(), &own.parse().unwrap()).to_string();
        assert_eq!(base("/jobs/a", "/jobs/a"), "");
        assert_eq!(base("/ops/console/jobs", "/jobs"), "/ops/console");
        assert_eq!(base("/ops", "/"), "");
        assert_eq!(base("/ops/", "/"), "/ops");
    }
}
