//! Pages, and what all handlers share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, OriginalUri, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form, Router};
use elasticjob::operation::world::{Picture, World};
use jiff::Timestamp;
use serde::Deserialize;

use crate::access::{Rights, Visitor};
use crate::api;
use crate::api::java::Dumps;
use crate::condition::Judgement;
use crate::gate::Gate;
use crate::globs::Globs;
use crate::history::Histories;
use crate::page::{self, Fragments, Message, Scene, View};
use crate::store::Store;
use crate::table;
use crate::words::{self, Language};

/// How long a first page waits for the jobs to be read. Then it says how far that has come, and the stream brings the rest.
pub(crate) const FIRST_READ: Duration = Duration::from_secs(2);

/// How long a page waits to show what the action before it has done. Then its stream shows it.
pub(crate) const SETTLING: Duration = Duration::from_secs(2);

/// Pages of which the elements are kept, and sets of jobs of which the picture is.
const RENDERED: usize = 64;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) histories: Histories,
    registry: Arc<str>,
    pub(crate) gate: Gate,
    memory: Arc<Mutex<Memory>>,
    pub(crate) dumps: Dumps,
    /// Where the audit log is.
    pub(crate) store: Store,
    /// The first row of the audit log that was wrong when the console started.
    pub(crate) wrong_row: Option<i64>,
    /// Tells streams of this process from those of the one before.
    pub(crate) boot: Arc<str>,
}

/// Who sent a request, and what answers are made by.
pub(crate) struct Visit {
    pub(crate) site: Site,
    pub(crate) visitor: Visitor,
    pub(crate) base: Arc<str>,
    pub(crate) language: Language,
}

impl FromRequestParts<Site> for Visit {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, StatusCode> {
        let visitor = parts.extensions.get::<Visitor>().cloned();
        Ok(Self {
            site: site.clone(),
            visitor: visitor.ok_or(StatusCode::FORBIDDEN)?,
            base: base_of(parts),
            language: Language::of(&parts.headers),
        })
    }
}

impl FromRef<Site> for Histories {
    fn from_ref(site: &Site) -> Self {
        site.histories.clone()
    }
}

/// What was made for one page and is right for others, too. A std mutex guards it: never held across an await.
#[derive(Default)]
struct Memory {
    judgements: HashMap<(Language, Globs), Arc<Judgement>>,
    /// What visitors see that see some jobs alone.
    pictures: HashMap<Globs, Picture>,
    /// The elements of pages, with the revision of the picture that they are of.
    rendered: HashMap<Rendering, (u64, Arc<Fragments>)>,
}

/// What the elements of a page depend on beside the picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rendering {
    pub(crate) address: Arc<str>,
    pub(crate) language: Language,
    pub(crate) base: Arc<str>,
    pub(crate) rights: Rights,
    pub(crate) jobs: Globs,
}

/// Returns the console as a router, without a history.
#[cfg(test)]
pub(crate) fn router(world: World, gate: Gate) -> Router {
    router_with(world, Histories::default(), gate)
}

/// Returns the console as a router, with these histories. Its audit log is where its users are kept, or in memory.
pub(crate) fn router_with(world: World, histories: Histories, gate: Gate) -> Router {
    let of_users = gate.accounts().map(|accounts| accounts.store.clone());
    router_keeping(world, histories, gate, of_users.unwrap_or_else(Store::in_memory), None)
}

/// Returns the console as a router, with its audit log in a store, and the first row in it that is wrong.
pub(crate) fn router_keeping(
    world: World,
    histories: Histories,
    gate: Gate,
    store: Store,
    wrong_row: Option<i64>,
) -> Router {
    let site = Site {
        histories,
        store,
        wrong_row,
        gate,
        memory: Arc::default(),
        dumps: Dumps::default(),
        registry: world.operations().registry().into(),
        boot: format!("{:x}", Timestamp::now().as_millisecond()).into(),
        world,
    };
    table::router(site)
}

impl Site {
    /// Returns the scene of a page now.
    pub(crate) fn scene(&self, language: Language, base: Arc<str>, visitor: &Visitor) -> Scene {
        let (picture, now) = (self.picture(visitor), Timestamp::now());
        let judgement = self.judgement(&picture, language, visitor, now);
        Scene {
            picture,
            judgement,
            now,
            words: language.words(),
            base,
            registry: Arc::clone(&self.registry),
            is_shared: self.world.operations().is_shared(),
            visitor: visitor.clone(),
            has_login: self.gate.accounts().is_some(),
            has_history: self.histories.all().next().is_some(),
        }
    }

    /// Returns the jobs that a visitor sees, as they are known now. All that a visitor is shown is made of this.
    pub(crate) fn picture(&self, visitor: &Visitor) -> Picture {
        let all = self.world.picture();
        if visitor.jobs().is_all() {
            return all;
        }
        let mut memory = self.memory();
        if let Some(known) = memory.pictures.get(visitor.jobs())
            && known.revision == all.revision
        {
            return known.clone();
        }
        let picture = seen_by(&all, visitor);
        if memory.pictures.len() >= RENDERED {
            memory.pictures.clear();
        }
        memory.pictures.insert(visitor.jobs().clone(), picture.clone());
        picture
    }

    /// Returns the conditions of all jobs, which all pages of a language share.
    fn judgement(&self, picture: &Picture, language: Language, visitor: &Visitor, now: Timestamp) -> Arc<Judgement> {
        let mut memory = self.memory();
        let of = (language, visitor.jobs().clone());
        if memory.judgements.len() >= RENDERED && !memory.judgements.contains_key(&of) {
            memory.judgements.clear();
        }
        let known = memory.judgements.entry(of).or_default();
        if !known.is_of(picture) {
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

    /// Says that a visitor looks, and waits until the jobs are read, or a moment.
    pub(crate) async fn ready(&self) {
        self.world.look([]);
        self.world.read(FIRST_READ).await;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a visitor looks at what a view shows.
    pub(crate) fn look(&self, view: &View, visitor: &Visitor) {
        let shown = view.shown(&self.picture(visitor));
        self.world.look(shown.iter().map(|job| &**job));
    }
}

/// Returns a picture without the jobs that a visitor does not see.
fn seen_by(all: &Picture, visitor: &Visitor) -> Picture {
    let mut picture = all.clone();
    let jobs = all.jobs.iter().filter(|(name, _)| visitor.sees(name));
    picture.jobs = Arc::new(jobs.map(|(name, job)| (Arc::clone(name), Arc::clone(job))).collect());
    let others = all.others.iter().filter(|(name, _)| visitor.sees(name));
    picture.others = Arc::new(others.map(|(name, other)| (Arc::clone(name), other.clone())).collect());
    picture
}

/// The prefix at which the console is mounted: what the whole address has before the path that we are given.
pub(crate) fn base(original: &Uri, own: &Uri) -> Arc<str> {
    let prefix = original.path().strip_suffix(own.path()).unwrap_or_default();
    prefix.trim_end_matches('/').into()
}

/// Returns the prefix of a request that has reached its route.
pub(crate) fn base_of(parts: &Parts) -> Arc<str> {
    let original = parts.extensions.get::<OriginalUri>();
    original.map_or_else(|| "".into(), |original| base(&original.0, &parts.uri))
}

/// Answers with a page.
pub(crate) async fn view(
    State(site): State<Site>,
    OriginalUri(original): OriginalUri,
    Extension(visitor): Extension<Visitor>,
    Query(message): Query<Message>,
    request: Request,
) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let Some(view) = View::parse(uri) else {
        return no_such_page(State(site), request).await;
    };
    site.ready().await;
    site.look(&view, &visitor);
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
pub(crate) struct Choice {
    language: String,
    back: String,
}

/// Keeps the language that a visitor chose, and leads back.
pub(crate) async fn language(OriginalUri(original): OriginalUri, uri: Uri, Form(choice): Form<Choice>) -> Response {
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

/// Answers a request that no row of the table is for.
pub(crate) async fn no_such_page(State(site): State<Site>, request: Request) -> Response {
    if request.extensions().get::<Visitor>().is_none() {
        return site.gate.stranger(&request.into_parts().0);
    }
    if request.uri().path().starts_with("/api/") {
        return api::v2::no_such_path(request.uri().clone()).await.into_response();
    }
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
