//! What each request passes before any page: its host, who asks, and where a form was sent from; and the headers of each answer.
//!
//! The host comes first. A page of another site that has its name point at this machine would be of the same origin as the
//! console, and could read every page; its name is none of ours, so it gets no content.

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{Access, Rights, Visitor};
use crate::key::Key;

/// Which visitors are let in.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    /// A visitor that has the key, and asks by a name of this machine.
    Key {
        key: Key,
        /// Further names by which browsers reach the console.
        hosts: Vec<String>,
    },
    /// A visitor that the application around the console lets in.
    Application(Access),
}

/// The policy of all pages. Scripts are ours alone, and texts become elements in one place of ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; \
                      trusted-types ej-fragment";

/// Lets a request through, or answers it.
pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let response = match gate.refusal(&mut parts) {
        Some(refusal) => refusal,
        None => next.run(Request::from_parts(parts, body)).await,
    };
    with_headers(response)
}

impl Gate {
    /// Returns who sent a request; `None` if they may not look. A stream asks again from time to time.
    pub(crate) fn visitor(&self, parts: &Parts) -> Option<Visitor> {
        match self {
            Self::Application(access) => access.of(parts),
            Self::Key { key, .. } => {
                let has_key = key.is_in(&parts.headers);
                has_key.then(|| Visitor::new("console", Rights::Operator))
            }
        }
    }

    /// Returns the answer to a request that may not pass. A visitor that may is put into the request.
    fn refusal(&self, parts: &mut Parts) -> Option<Response> {
        if let Self::Key { key, hosts } = self {
            let Some(host) = host(parts).filter(|host| is_known(hosts, host)) else {
                return Some(StatusCode::MISDIRECTED_REQUEST.into_response());
            };
            if let Some(redirect) = key.accept(parts, &host) {
                return Some(redirect);
            }
        }
        let Some(visitor) = self.visitor(parts) else {
            return Some((StatusCode::FORBIDDEN, NO_KEY).into_response());
        };
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            if !is_from_here(parts) {
                return Some(
                    (StatusCode::FORBIDDEN, "the form was sent by a page of another origin\n").into_response(),
                );
            }
            if !visitor.may(Rights::Operator) {
                return Some((StatusCode::FORBIDDEN, "a viewer changes nothing\n").into_response());
            }
        }
        parts.extensions.insert(visitor);
        None
    }
}

const NO_KEY: &str = "This console is for those who have its key.\n\nThe address with the key is in the log of the application, \
                      `console open`. Open that address once; this browser keeps the key.\n";

/// Returns the name of the host that a request is for.
fn host(parts: &Parts) -> Option<String> {
    let authority = match parts.headers.get(header::HOST) {
        Some(host) => host.to_str().ok()?.parse::<Authority>().ok()?,
        None => parts.uri.authority()?.clone(),
    };
    Some(authority.host().to_ascii_lowercase())
}

fn is_known(hosts: &[String], host: &str) -> bool {
    matches!(host, "127.0.0.1" | "localhost" | "[::1]") || hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
}

/// Returns whether a page of this origin sent the request. Browsers say so themselves, on `https` and on loopback addresses; elsewhere
/// the origin says it.
fn is_from_here(parts: &Parts) -> bool {
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(&HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let (Some(origin), Some(host)) = (text(&header::ORIGIN), text(&header::HOST)) else {
        return false;
    };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn key() -> Key {
        Key::new("secret".to_owned(), 8088)
    }

    fn request(method: Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/jobs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap().into_parts().0
    }

    /// The status of a request by the key to a console that is known as `jobs.example.org`, too.
    fn by_key(method: Method, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let hosts = vec!["jobs.example.org".to_owned()];
        let gate = Gate::Key { key: key(), hosts };
        let mut headers = headers.to_vec();
        headers.push(("cookie", "ej-8088=secret"));
        gate.refusal(&mut request(method, &headers))
            .map(|response| response.status())
    }

    fn as_viewer(method: Method, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let gate = Gate::Application(Access::new(|_| Some(Visitor::new("alice", Rights::Viewer))));
        gate.refusal(&mut request(method, headers))
            .map(|response| response.status())
    }

    #[test]
    fn refuses_hosts_that_are_not_ours() {
        for (host, refused) in [
            ("127.0.0.1:8088", None),
            ("localhost", Some(StatusCode::TEMPORARY_REDIRECT)),
            ("LOCALHOST:1", Some(StatusCode::TEMPORARY_REDIRECT)),
            ("[::1]:8088", None),
            ("Jobs.Example.org", None),
            ("evil.test", Some(StatusCode::MISDIRECTED_REQUEST)),
            ("127.0.0.1.evil.test:8088", Some(StatusCode::MISDIRECTED_REQUEST)),
            ("localhost@evil.test", Some(StatusCode::MISDIRECTED_REQUEST)),
            ("", Some(StatusCode::MISDIRECTED_REQUEST)),
        ] {
            assert_eq!(by_key(Method::GET, &[("host", host)]), refused, "{host}");
        }
        assert_eq!(by_key(Method::GET, &[]), Some(StatusCode::MISDIRECTED_REQUEST));
    }

    #[test]
    fn takes_forms_of_its_own_pages_alone() {
        let host = ("host", "127.0.0.1:8088");
        let post = |more: &[(&str, &str)]| {
            let mut headers = vec![host];
            headers.extend_from_slice(more);
            by_key(Method::POST, &headers)
        };
        let refused = Some(StatusCode::FORBIDDEN);
        assert_eq!(post(&[("sec-fetch-site", "same-origin")]), None);
        assert_eq!(post(&[("sec-fetch-site", "same-site")]), refused);
        assert_eq!(
            post(&[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8088")]),
            refused
        );
        assert_eq!(post(&[("origin", "http://127.0.0.1:8088")]), None);
        assert_eq!(post(&[("origin", "http://127.0.0.1:9")]), refused);
        assert_eq!(post(&[("origin", "null")]), refused);
        assert_eq!(post(&[]), refused);
    }

    #[test]
    fn lets_viewers_look_alone() {
        let headers = [("host", "localhost"), ("sec-fetch-site", "same-origin")];
        assert_eq!(as_viewer(Method::GET, &headers), None);
        for method in [
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
        ] {
            assert_eq!(as_viewer(method, &headers), Some(StatusCode::FORBIDDEN));
        }
    }
}
