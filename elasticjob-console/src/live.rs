//! The stream that keeps a page true.
//!
//! The stream of a page renders the same elements as the page, at most every [`PACE`] and only if the world has changed, and sends
//! those that differ from what it sent before. It is polled when the connection takes more, so a browser that does not read costs
//! nothing: what it missed is in the elements that it is sent next. There is no queue. Streams of the same page share its
//! elements.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{OriginalUri, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::access::Visitor;
use crate::access::session::Use;
use crate::page::View;
use crate::routes::{Rendering, Site, base, local};
use crate::words::Language;

/// The shortest time between two events of a stream.
const PACE: Duration = Duration::from_millis(250);

/// How often a page is looked at anew although nothing changed: so long its jobs count as shown.
const LOOK: Duration = Duration::from_secs(5);

/// After which time it is asked again whether the visitor may look.
const ASK_AGAIN: Duration = Duration::from_secs(25);

/// How often a line is sent although there is no news.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(crate) struct Asked {
    /// The address of the page.
    view: String,
    /// What the page knows: the process that made it, and the revision.
    after: String,
}

/// What changed: elements by id, and the order of lists.
#[derive(Serialize)]
struct News<'a> {
    after: String,
    title: &'a str,
    elements: Vec<(&'a str, &'a str)>,
    lists: &'a std::collections::BTreeMap<&'static str, Vec<String>>,
}

/// A page that is open in a browser.
struct Open {
    site: Site,
    view: View,
    rendering: Rendering,
    visitor: Visitor,
    /// By which the visitor is known.
    request: Parts,
    /// When it was last asked who that is.
    asked_at: Instant,
    /// The revision that the page has; `None` if it is of another process.
    revision: Option<u64>,
    /// Hashes of the elements that the page has.
    known: HashMap<String, u64>,
}

/// Streams what changes on a page.
pub(crate) async fn stream(
    State(site): State<Site>,
    OriginalUri(original): OriginalUri,
    Extension(visitor): Extension<Visitor>,
    Query(asked): Query<Asked>,
    request: Parts,
) -> Response {
    let view = local(&asked.view).parse::<Uri>().ok().and_then(|uri| View::parse(&uri));
    let Some(view) = view else {
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    };
    let after = asked.after.split_once('-').filter(|(boot, _)| **boot == *site.boot);
    let open = Open {
        rendering: Rendering {
            address: asked.view.as_str().into(),
            language: Language::of(&request.headers),
            base: base(&original, &request.uri),
            rights: visitor.rights(),
            jobs: visitor.jobs().clone(),
        },
        revision: after.and_then(|(_, revision)| revision.parse().ok()),
        known: HashMap::new(),
        site,
        view,
        visitor,
        request,
        asked_at: Instant::now(),
    };
    let events = stream::unfold(open, |mut open| async move {
        let event = open.next().await?;
        Some((Ok::<_, Infallible>(event), open))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // Or nginx keeps events back.
    ([(HeaderName::from_static("x-accel-buffering"), "no")], sse).into_response()
}

impl Open {
    /// Waits for news, and returns it; `None` once the visitor may not look any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.ask_again()?;
            self.site.look(&self.view, &self.visitor);
            if let Some(revision) = self.revision {
                if self.known.is_empty() && self.site.world.picture().revision == revision {
                    // The page has what is rendered now.
                    self.render();
                }
                let changed = self.site.world.later_than(revision);
                if tokio::time::timeout(LOOK, changed).await.is_err() {
                    continue;
                }
                tokio::time::sleep(PACE).await;
            }
            if let Some(event) = self.render() {
                return Some(event);
            }
        }
    }

    /// Asks who the visitor is, if that was some time ago: users log out, and rights change.
    fn ask_again(&mut self) -> Option<()> {
        if self.asked_at.elapsed() >= ASK_AGAIN {
            self.asked_at = Instant::now();
            self.visitor = self.site.gate.visitor(&self.request, Use::Stream)?;
            self.rendering.rights = self.visitor.rights();
            self.rendering.jobs = self.visitor.jobs().clone();
        }
        Some(())
    }

    /// Renders the page; `None` if nothing on it is news.
    fn render(&mut self) -> Option<Event> {
        let Rendering { language, base, .. } = &self.rendering;
        let scene = self.site.scene(*language, Arc::clone(base), &self.visitor);
        let revision = scene.picture.revision;
        let is_first = self.revision.is_none();
        self.revision = Some(revision);
        let fragments = self.site.fragments(&self.rendering, &self.view, &scene);
        let mut elements = Vec::new();
        let mut known = HashMap::with_capacity(self.known.len());
        for fragment in &fragments.elements {
            let hash = hash(&fragment.html);
            if self.known.get(&fragment.id) != Some(&hash) {
                elements.push((&*fragment.id, &*fragment.html));
            }
            known.insert(fragment.id.clone(), hash);
        }
        // Elements that are gone leave their list.
        let is_news = is_first || !elements.is_empty() || known.len() != self.known.len();
        self.known = known;
        let news = News {
            after: format!("{}-{revision}", self.site.boot),
            title: &fragments.title,
            elements,
            lists: &fragments.lists,
        };
        is_news.then(|| Event::default().json_data(&news).expect("texts are JSON"))
    }
}

/// Returns a hash of an element without the texts of its times: the browser counts these, so that they are no news.
fn hash(html: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in html.split("</time>") {
        let end = part
            .rfind("<time ")
            .and_then(|time| Some(time + part[time..].find('>')?));
        part[..end.unwrap_or(part.len())].hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_time_that_passes_for_no_news() {
        let row = |at: &str, text: &str| hash(&format!("<td><time datetime=\"{at}\">{text}</time></td><td>a</td>"));
        assert_eq!(row("10:00", "in 3 s"), row("10:00", "in 2 s"));
        assert_ne!(row("10:00", "in 3 s"), row("10:05", "in 3 s"));
        assert_ne!(hash("<p>in 3 s</p>"), hash("<p>in 2 s</p>"));
        assert_ne!(hash("<time a>1</time><p>b</p>"), hash("<time a>1</time><p>c</p>"));
    }
}
