//! Logging in: a script gets the token that it sends with each request.

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};

use crate::access::Rights;
use crate::routes::Site;

use super::envelope::{Body, Failure, Model, Reply};

/// Where a script logs in.
pub(crate) const PATH: &str = "/api/login";

/// The words of a script that logs in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    username: String,
    password: String,
}

/// What it gets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoggedIn {
    username: String,
    access_token: String,
    /// Whether it may only look. Java has left this out since 3.0.2.
    is_guest: bool,
}

pub(super) async fn log_in(State(site): State<Site>, parts: Parts, Body(login): Body<Login>) -> Reply<LoggedIn> {
    let entry = site.gate.log_in(&login.username, &login.password, &parts).await;
    let (access_token, rights) = entry.ok_or_else(Failure::unauthorized)?;
    Ok(Model(LoggedIn {
        username: login.username,
        access_token,
        is_guest: rights == Rights::Viewer,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::{Body as HttpBody, to_bytes};
    use axum::extract::Request;
    use axum::http::{Method, StatusCode, header};
    use elasticjob::operation::Operations;
    use elasticjob::operation::world::World;
    use elasticjob::registry::memory::MemoryRegistry;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use crate::gate::Gate;
    use crate::key::Key;
    use crate::routes;

    /// Sends a request with these headers to a console with the key `secret`; returns the status and the body.
    async fn send(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
        let key = Key::new("secret".to_owned(), 8088);
        let world = World::new(Operations::new(Arc::new(MemoryRegistry::new())));
        let console = routes::router(world, Gate::Key { key, hosts: Vec::new() });
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, "127.0.0.1:8088");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpBody::from(body.to_owned())).unwrap();
        let response = console.oneshot(request).await.unwrap();
        let allows = response
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("access-control"));
        assert!(!allows, "no other origin is allowed anything");
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn log_in(body: &str) -> Value {
        let (status, answer) = send(Method::POST, "/api/login", &[], body).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str(&answer).unwrap()
    }

    const UNAUTHORIZED: &str = r#"{"success":false,"errorCode":403,"errorMsg":"Unauthorized.","model":null}"#;

    #[tokio::test]
    async fn gives_a_token_that_lets_a_script_in() {
        let answer = log_in(r#"{"username":"root","password":"secret"}"#).await;
        let model = json!({"username": "root", "accessToken": "secret", "isGuest": false});
        assert_eq!(
            answer,
            json!({"success": true, "errorCode": 0, "errorMsg": null, "model": model})
        );
        for header in [("access-token", "secret"), ("authorization", "Bearer secret")] {
            let (status, body) = send(Method::GET, "/api/jobs/count", &[header], "").await;
            assert_eq!((status, &*body), (StatusCode::OK, "0"), "{header:?}");
            // A browser is led from `localhost` to the address; a script is not.
            let (status, body) = send(
                Method::GET,
                "/api/jobs/count",
                &[("host", "localhost:8088"), header],
                "",
            )
            .await;
            assert_eq!((status, &*body), (StatusCode::OK, "0"), "{header:?}");
            let (_, body) = send(Method::POST, "/api/jobs/a/trigger", &[header], "").await;
            assert!(body.contains("there is no job `a` in the registry"), "{body}");
        }
    }

    #[tokio::test]
    async fn refuses_what_is_wrong() {
        for body in [
            r#"{"username":"root","password":"Secret"}"#,
            r#"{"username":"root","password":""}"#,
        ] {
            assert_eq!(log_in(body).await["errorMsg"], "Unauthorized.", "{body}");
        }
        for body in [
            "",
            "{}",
            r#"{"username":"root","password":"secret","remember":true}"#,
            "[]",
        ] {
            assert_eq!(log_in(body).await["errorCode"], 400, "{body}");
        }
    }

    #[tokio::test]
    async fn is_needed_beside_any_cookie() {
        let cookie = ("cookie", "ej-8088=secret");
        for (headers, is_let_in) in [
            (&[][..], false),
            (&[("access-token", "secre")], false),
            (&[("access-token", "")], false),
            // A wrong token is not mended by the cookie of a browser.
            (&[("access-token", "wrong"), cookie], false),
            (&[("authorization", "Basic c2VjcmV0"), cookie], false),
            (&[("access-token", "secret"), cookie], true),
            (&[("access-token", "secret"), ("sec-fetch-site", "cross-site")], true),
        ] {
            let (status, body) = send(Method::GET, "/api/jobs/getAllJobsBriefInfo", headers, "").await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(body != UNAUTHORIZED, is_let_in, "{headers:?}: {body}");
        }
        // A form of another page has no token. Its cookies do not count.
        let (_, body) = send(
            Method::POST,
            "/api/jobs/a/trigger",
            &[cookie, ("origin", "http://evil.test")],
            "",
        )
        .await;
        assert!(body.contains("another origin"), "{body}");
        let (status, body) = send(
            Method::OPTIONS,
            "/api/jobs/count",
            &[("origin", "http://evil.test")],
            "",
        )
        .await;
        assert_eq!((status, &*body), (StatusCode::OK, ""));
    }
}
