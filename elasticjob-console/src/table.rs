//! The table of routes: each request that the console answers, and the rights that it needs.
//!
//! The router is made of this table alone, so a handler that is not in it is reached by no request, and each row states what it needs.
//! To add a route is to add a row. [`gate::permit`] stands before each row and decides by it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::access::Rights;
use crate::api::{java, v2};
use crate::gate;
use crate::routes::{self, Site};
use crate::{act, assets, configure, live, login, past, settings};

/// The largest body of a request, in bytes.
const LARGEST_BODY: usize = 1024 * 1024;

/// A request that the console answers.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// The path. A part `{job}` is the name of a job: the gate lets only a visitor through that sees it. For other visitors there is no
    /// such job. Pages are an exception, since they are made of jobs that their visitor sees.
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    /// Makes the router of the row, for the method of the row.
    handler: fn(MethodFilter) -> MethodRouter<Site>,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: the answer has nothing of any job.
    Nothing,
    /// A visitor that has not come by a token. It changes what is its own: how it is known, and what it is shown.
    Own,
    /// A visitor with these rights.
    Rights(Rights),
}

const VIEWER: Needs = Needs::Rights(Rights::Viewer);
const OPERATOR: Needs = Needs::Rights(Rights::Operator);
const EDITOR: Needs = Needs::Rights(Rights::Editor);
const ADMIN: Needs = Needs::Rights(Rights::Admin);

/// A row for pages and other answers that change nothing.
pub(crate) const fn get(path: &'static str, needs: Needs, handler: fn(MethodFilter) -> MethodRouter<Site>) -> Route {
    row(Method::GET, path, needs, handler)
}

/// A row for a form.
pub(crate) const fn post(path: &'static str, needs: Needs, handler: fn(MethodFilter) -> MethodRouter<Site>) -> Route {
    row(Method::POST, path, needs, handler)
}

/// A row for any method.
pub(crate) const fn row(
    method: Method,
    path: &'static str,
    needs: Needs,
    handler: fn(MethodFilter) -> MethodRouter<Site>,
) -> Route {
    Route {
        method,
        path,
        needs,
        handler,
    }
}

/// All routes, in parts.
static TABLE: &[&[Route]] = &[PAGES, USERS, ACTIONS, java::ROUTES];

const PAGES: &[Route] = &[
    get("/", VIEWER, |method| on(method, routes::view)),
    get("/jobs", VIEWER, |method| on(method, routes::view)),
    get("/jobs/{job}", VIEWER, |method| on(method, routes::view)),
    get("/jobs/{job}/config", VIEWER, |method| on(method, configure::show)),
    get("/servers", VIEWER, |method| on(method, routes::view)),
    get("/api", VIEWER, |method| on(method, v2::reference::page)),
    get("/history", VIEWER, |method| on(method, past::history)),
    get("/history.csv", VIEWER, |method| on(method, past::as_csv)),
    get("/history.json", VIEWER, |method| on(method, past::as_json)),
    // A run is found by its id, and its handler answers for jobs that the visitor sees.
    get("/runs/{run}", VIEWER, |method| on(method, past::run)),
    get("/runs/{run}/log", VIEWER, |method| on(method, past::log)),
    get("/live", VIEWER, |method| on(method, live::stream)),
    get("/assets/{name}", Needs::Nothing, |method| on(method, assets::get)),
    get("/session", VIEWER, |method| on(method, login::session)),
    post("/language", Needs::Nothing, |method| on(method, routes::language)),
];

const USERS: &[Route] = &[
    get("/login", Needs::Nothing, |method| on(method, login::page)),
    post("/login", Needs::Nothing, |method| on(method, login::log_in)),
    post("/logout", Needs::Own, |method| on(method, login::log_out)),
    get("/settings", VIEWER, |method| on(method, settings::page)),
    get("/settings/audit", ADMIN, |method| on(method, settings::audit)),
    post("/settings/tokens", Needs::Own, |method| {
        on(method, settings::make_token)
    }),
    post("/settings/tokens/{token}/revoke", Needs::Own, |method| {
        on(method, settings::revoke_token)
    }),
    post("/settings/sessions/{session}/end", Needs::Own, |method| {
        on(method, settings::end_session)
    }),
];

const ACTIONS: &[Route] = &[
    post("/jobs/{job}/config", EDITOR, |method| on(method, configure::change)),
    post("/jobs/{job}/trigger", OPERATOR, |method| on(method, act::trigger)),
    post("/jobs/{job}/disable", OPERATOR, |method| on(method, act::disable)),
    post("/jobs/{job}/enable", OPERATOR, |method| on(method, act::enable)),
    post("/jobs/{job}/items/{item}/trigger", OPERATOR, |method| {
        on(method, act::trigger_item)
    }),
    post("/jobs/{job}/items/{item}/cancel", OPERATOR, |method| {
        on(method, act::cancel_item)
    }),
    post("/jobs/{job}/items/{item}/disable", OPERATOR, |method| {
        on(method, act::disable_item)
    }),
    post("/jobs/{job}/items/{item}/enable", OPERATOR, |method| {
        on(method, act::enable_item)
    }),
    // They concern the jobs that the visitor sees.
    post("/servers/{server}/disable", OPERATOR, |method| {
        on(method, act::disable_server)
    }),
    post("/servers/{server}/enable", OPERATOR, |method| {
        on(method, act::enable_server)
    }),
];

/// Returns all rows.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    let ours = v2::ENDPOINTS.iter().map(|endpoint| &endpoint.route);
    TABLE.iter().flat_map(|part| part.iter()).chain(ours)
}

/// Makes the router of all rows, with the gate before it.
pub(crate) fn router(site: Site) -> Router {
    let gate = site.gate.clone();
    let routes = all().fold(Router::new(), |router, route| {
        let filter = MethodFilter::try_from(route.method.clone()).expect("the table has common methods");
        let handler =
            (route.handler)(filter).layer(middleware::from_fn_with_state((site.clone(), route), gate::permit));
        router.route(route.path, handler)
    });
    routes
        .fallback(routes::no_such_page)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(gate, gate::pass))
        .with_state(site)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::http::StatusCode;
    use elasticjob::operation::Operations;
    use elasticjob::operation::world::World;
    use elasticjob::registry::memory::MemoryRegistry;
    use tower::ServiceExt;

    use super::*;
    use crate::access::{Access, Visitor};
    use crate::gate::Gate;
    use crate::globs::Globs;

    /// A console that takes each request for one of this visitor.
    fn console(visitor: Option<Visitor>) -> Router {
        let world = World::new(Operations::new(Arc::new(MemoryRegistry::new())));
        routes::router(world, Gate::Application(Access::new(move |_| visitor.clone())))
    }

    /// Sends the request of a row, as a page of this origin does. Of the API of the Java console it returns what its body says.
    async fn status(console: &Router, route: &Route) -> StatusCode {
        let path: Vec<&str> = route
            .path
            .split('/')
            .map(|part| match part {
                "{item}" => "0",
                part if part.starts_with('{') => "b1",
                part => part,
            })
            .collect();
        let request = Request::builder()
            .method(route.method.clone())
            .uri(path.join("/"))
            .header("sec-fetch-site", "same-origin")
            .body(Body::empty())
            .unwrap();
        let response = console.clone().oneshot(request).await.unwrap();
        if !java::ROUTES.iter().any(|known| known.path == route.path) {
            return match response.status() {
                // The API says so to a stranger.
                StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
                status => status,
            };
        }
        assert_eq!(response.status(), StatusCode::OK, "{}", route.path);
        let body = to_bytes(response.into_body(), LARGEST_BODY).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let message = answer["errorMsg"].as_str().unwrap_or_default();
        match answer["errorCode"].as_u64() {
            Some(403) => StatusCode::FORBIDDEN,
            Some(500) if message.starts_with("there is no job `b1`") => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lets_each_role_do_what_its_rows_say() {
        let strangers = console(None);
        for route in all() {
            let row = format!("{} {}", route.method, route.path);
            let is_open = route.needs == Needs::Nothing;
            let is_refused = status(&strangers, route).await == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, !is_open, "{row}, a stranger");
        }
        for rights in Rights::ALL {
            let console = console(Some(Visitor::new("alice", rights)));
            for route in all() {
                let row = format!("{} {}, {rights}", route.method, route.path);
                let may = match route.needs {
                    Needs::Nothing | Needs::Own => true,
                    Needs::Rights(needed) => rights >= needed,
                };
                let status = status(&console, route).await;
                assert_eq!(status != StatusCode::FORBIDDEN, may, "{row}: {status}");
                assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{row}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn has_no_job_for_a_visitor_that_does_not_see_it() {
        let visitor = Visitor::new("alice", Rights::Admin).only(Globs::parse(["a*"]).unwrap());
        let console = console(Some(visitor));
        for route in all().filter(|route| route.path.contains("{job}")) {
            let status = status(&console, route).await;
            let is_page = route.method == Method::GET && !route.path.starts_with("/api/");
            // A page is made of what its visitor sees, and says that there is no such job.
            let expected = if is_page { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(status, expected, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn changes_nothing_of_others_without_rights() {
        let mut rows = BTreeSet::new();
        for route in all() {
            let row = format!("{} {}", route.method, route.path);
            // Java asks these two questions by POST.
            let is_question = ["/api/event-trace/execution", "/api/event-trace/status"].contains(&route.path);
            let is_reading = is_question || matches!(route.method, Method::GET | Method::HEAD);
            let is_login = ["/login", "/language", "/api/login"].contains(&route.path);
            match route.needs {
                // What needs nothing has nothing of any job, and is of the login.
                Needs::Nothing => assert!(is_login || is_reading, "{row}"),
                Needs::Own => assert!(!is_reading, "{row}"),
                Needs::Rights(rights) => assert!(is_reading || rights > Rights::Viewer, "{row}"),
            }
            assert!(rows.insert(row.clone()), "{row} stands twice");
        }
    }

    #[tokio::test]
    async fn knows_no_other_methods() {
        let console = console(Some(Visitor::new("alice", Rights::Admin)));
        for method in [
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
            Method::TRACE,
        ] {
            let request = Request::builder()
                .method(method.clone())
                .uri("/jobs/a/trigger")
                .header("sec-fetch-site", "same-origin");
            let response = console
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        }
    }
}
