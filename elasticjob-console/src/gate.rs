//! What each request passes before any page: its host, its visitor, the rights that its route needs, and the page that sent a form; and
//! the headers of each answer.
//!
//! The host comes first. A page of another site that has its name point at this machine would be of the same origin as the
//! console, and could read every page; its name is none of ours, so it gets no content.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;

use crate::access::peer::{Local, Peer};
use crate::access::session::Use;
use crate::access::{Access, Accounts, LogIn, Rights, Visitor};
use crate::audit::{self, Entry, Outcome};
use crate::key::Key;
use crate::page::{escaped, unescaped};
use crate::routes::Site;
use crate::table::{Needs, Route};
use crate::{api, token};

/// Which visitors are let in.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    /// A visitor that has the key, and asks by a name of this machine.
    Key {
        key: Key,
        /// Further names by which browsers reach the console.
        hosts: Vec<String>,
    },
    /// A user of the console.
    Users(Arc<Accounts>),
    /// A visitor that the application around the console lets in.
    Application(Access),
}

/// The policy of all pages. Scripts are ours alone, and texts become elements in one place of ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; \
                      trusted-types ej-fragment";

/// Answers a request for a host that is not ours, and finds out which visitor sent any other.
pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let response = match gate.answer(&parts) {
        Some(answer) => answer,
        // No answer allows a page of another origin anything.
        None if parts.method == Method::OPTIONS && parts.uri.path().starts_with("/api/") => {
            StatusCode::OK.into_response()
        }
        None => {
            if let Some(visitor) = gate.visitor(&parts, Use::Request) {
                parts.extensions.insert(visitor);
            }
            next.run(Request::from_parts(parts, body)).await
        }
    };
    with_headers(response)
}

/// Lets a request through to its route if its visitor may do what the row says, and refuses it otherwise. What a visitor changes, or
/// may not change, is in the audit log.
pub(crate) async fn permit(
    State((site, route)): State<(Site, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let jobs = jobs_of(&mut parts).await;
    let audited = site.gate.audited(route, &parts);
    let Some(refusal) = site.gate.refusal(route, &parts, &jobs) else {
        let request = Request::from_parts(parts, body);
        return match audited {
            None => next.run(request).await,
            Some(entry) => carried_out(&site, entry, request, next).await,
        };
    };
    if let Some(mut entry) = audited {
        entry.outcome = Outcome::Refused(refusal.to_string());
        audit::append(&site.store, entry, Timestamp::now()).await;
    }
    if let Some(answer) = api::refused(route.path, refusal, &jobs) {
        return answer;
    }
    match refusal {
        Refusal::Stranger => site.gate.stranger(&parts),
        refusal => refusal.into_response(),
    }
}

/// Carries a request out between two rows of the audit log.
async fn carried_out(site: &Site, entry: Entry, request: Request, next: Next) -> Response {
    let asked = audit::append(&site.store, entry.clone(), Timestamp::now()).await;
    let response = next.run(request).await;
    let outcome = Outcome::of_response(&response);
    let entry = Entry {
        outcome,
        of: asked,
        ..entry
    };
    audit::append(&site.store, entry, Timestamp::now()).await;
    response
}

/// Returns the jobs that the path names.
async fn jobs_of(parts: &mut Parts) -> Vec<String> {
    let named = RawPathParams::from_request_parts(parts, &()).await;
    let jobs = |params: RawPathParams| {
        let jobs = params.iter().filter(|(name, _)| *name == "job");
        jobs.map(|(_, job)| job.to_owned()).collect()
    };
    named.map(jobs).unwrap_or_default()
}

/// Why a request does not reach its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No visitor is known.
    Stranger,
    /// A page of another origin sent it.
    OtherOrigin,
    /// The visitor has not these rights.
    Lacks(Rights),
    /// The visitor is known by a token, which changes nothing of its user.
    NotByToken,
    /// There is no such job for the visitor.
    NoSuchJob,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger => f.write_str("log in first"),
            Self::OtherOrigin => f.write_str("the form was sent by a page of another origin"),
            Self::Lacks(rights) => write!(f, "this needs the rights of a visitor that is {rights}"),
            Self::NotByToken => f.write_str("a token changes nothing of its user: log in"),
            Self::NoSuchJob => f.write_str("there is no such job"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Stranger => StatusCode::UNAUTHORIZED,
            Self::OtherOrigin | Self::Lacks(_) | Self::NotByToken => StatusCode::FORBIDDEN,
            Self::NoSuchJob => StatusCode::NOT_FOUND,
        };
        (status, format!("{self}\n")).into_response()
    }
}

impl Gate {
    /// Returns the visitor that sent a request; `None` if it may not look. A stream asks again from time to time.
    ///
    /// A request with a token is judged by the token alone: its cookies count for nothing.
    pub(crate) fn visitor(&self, parts: &Parts, of: Use) -> Option<Visitor> {
        match (self, token::of(&parts.headers)) {
            (Self::Application(access), None) => access.of(parts),
            (Self::Application(access), Some(_)) => {
                let mut parts = parts.clone();
                parts.headers.remove(header::COOKIE);
                access.of(&parts)
            }
            (Self::Users(accounts), _) => accounts.visitor(parts, of, Timestamp::now()),
            (Self::Key { key, .. }, token) => {
                let has_key = token.map_or_else(|| key.is_in(&parts.headers), |token| key.is_token(token));
                has_key.then(|| Visitor::new("console", Rights::Admin))
            }
        }
    }

    /// Returns a token for a program that logs in, and the rights that it gives; `None` if it is refused. Of an application around the
    /// console, that application hands out tokens.
    pub(crate) async fn log_in(&self, name: &str, password: &str, parts: &Parts) -> Option<(String, Rights)> {
        match self {
            Self::Key { key, .. } if key.is_token(password) => Some((key.text().to_owned(), Rights::Admin)),
            Self::Users(accounts) => match accounts.log_in(name, password, parts, Timestamp::now()).await {
                LogIn::In(session) => Some((session, accounts.rights_of(name)?)),
                LogIn::Wrong | LogIn::Wait(_) | LogIn::Busy => None,
            },
            Self::Key { .. } | Self::Application(_) => None,
        }
    }

    /// Returns the users of the console, if it has users of its own.
    pub(crate) fn accounts(&self) -> Option<&Accounts> {
        match self {
            Self::Users(accounts) => Some(accounts),
            Self::Key { .. } | Self::Application(_) => None,
        }
    }

    /// Returns the answer to a request that is for another host, or that brings the key.
    fn answer(&self, parts: &Parts) -> Option<Response> {
        let hosts = match self {
            Self::Key { hosts, .. } => hosts,
            Self::Users(accounts) => &accounts.hosts,
            Self::Application(_) => return None,
        };
        let Some(host) = host(parts).filter(|host| is_known(hosts, host, parts)) else {
            return Some(StatusCode::MISDIRECTED_REQUEST.into_response());
        };
        match (self, token::of(&parts.headers)) {
            (Self::Key { key, .. }, None) => key.accept(parts, &host),
            _ => None,
        }
    }

    /// Returns the entry of the audit log for a request that changes something; `None` for others, and for those of strangers: they
    /// would fill the log.
    fn audited(&self, route: &Route, parts: &Parts) -> Option<Entry> {
        let is_reading = matches!(parts.method, Method::GET | Method::HEAD);
        if is_reading || route.needs == Needs::Nothing {
            return None;
        }
        let visitor = parts.extensions.get::<Visitor>()?;
        let path = unescaped(parts.uri.path()).unwrap_or_else(|| parts.uri.path().to_owned());
        let is_dry = parts.uri.query().is_some_and(|query| query.contains("dryRun=true"));
        let dry = if is_dry { " (dry run)" } else { "" };
        Some(Entry {
            visitor: visitor.name().to_owned(),
            peer: self.peer(parts),
            action: format!("{} {path}{dry}", parts.method),
            outcome: Outcome::Asked,
            of: None,
        })
    }

    /// Returns the address from which a request came, as far as it is known.
    fn peer(&self, parts: &Parts) -> String {
        match self {
            Self::Users(accounts) => accounts.peer(parts).to_string(),
            Self::Key { .. } | Self::Application(_) => {
                let peer = parts.extensions.get::<Peer>();
                peer.map(|peer| peer.0.to_string()).unwrap_or_default()
            }
        }
    }

    /// Decides by the row of a route whether a request reaches it.
    fn refusal(&self, route: &Route, parts: &Parts, jobs: &[String]) -> Option<Refusal> {
        let is_reading = matches!(parts.method, Method::GET | Method::HEAD);
        // A page of another origin cannot send a token; and what needs nothing of the API does nothing for a cookie.
        let by_token = token::of(&parts.headers).is_some();
        let is_of_a_program = by_token || route.needs == Needs::Nothing && route.path.starts_with("/api/");
        if !is_reading && !is_of_a_program && !self.is_from_here(parts) {
            return Some(Refusal::OtherOrigin);
        }
        let rights = match route.needs {
            Needs::Nothing => return None,
            Needs::Own => Rights::Viewer,
            Needs::Rights(rights) => rights,
        };
        let Some(visitor) = parts.extensions.get::<Visitor>() else {
            return Some(Refusal::Stranger);
        };
        if !visitor.may(rights) {
            return Some(Refusal::Lacks(rights));
        }
        if route.needs == Needs::Own && by_token {
            return Some(Refusal::NotByToken);
        }
        // A page says itself that there is no such job: it is made of what its visitor sees.
        let is_page = is_reading && !route.path.starts_with("/api/");
        let is_hidden = !is_page && jobs.iter().any(|job| !visitor.sees(job));
        is_hidden.then_some(Refusal::NoSuchJob)
    }

    /// Returns the answer to a request of a visitor that may not look. A browser that asks for a page is led to the login.
    pub(crate) fn stranger(&self, parts: &Parts) -> Response {
        if self.accounts().is_none() {
            return (StatusCode::FORBIDDEN, NO_KEY).into_response();
        }
        let accepts = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let is_for_page = parts.method == Method::GET && accepts.is_some_and(|accepts| accepts.contains("text/html"));
        if !is_for_page {
            return Refusal::Stranger.into_response();
        }
        let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
        Redirect::to(&format!("/login?return={}", escaped(wanted))).into_response()
    }

    /// Returns whether a page of this origin sent the request. Browsers say so themselves, on `https` and on loopback addresses;
    /// elsewhere the origin says it.
    fn is_from_here(&self, parts: &Parts) -> bool {
        let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(site) = text(&HeaderName::from_static("sec-fetch-site")) {
            return site == "same-origin";
        }
        let Some(origin) = text(&header::ORIGIN) else {
            return false;
        };
        let public = self.accounts().and_then(|accounts| accounts.public_url.as_deref());
        if let Some(public) = public {
            return origin.eq_ignore_ascii_case(public);
        }
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let host = text(&header::HOST);
        authority.is_some_and(|authority| host.is_some_and(|host| authority.eq_ignore_ascii_case(host)))
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

/// Returns whether a host is one of ours: a name of this machine, one that is configured, or the address that the connection is to.
fn is_known(hosts: &[String], host: &str, parts: &Parts) -> bool {
    let is_address = |local: &Local| host.trim_matches(['[', ']']).parse() == Ok(local.0.to_canonical());
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
        || parts.extensions.get::<Local>().is_some_and(is_address)
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
    use axum::body::Body;

    use super::*;
    use crate::globs::Globs;
    use crate::table;

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

    /// The status of a request by the key to a console that is known as `jobs.example.org`, too; `None` if it reaches a page.
    fn by_key(headers: &[(&str, &str)]) -> Option<StatusCode> {
        let hosts = vec!["jobs.example.org".to_owned()];
        let gate = Gate::Key { key: key(), hosts };
        gate.answer(&request(Method::GET, headers))
            .map(|response| response.status())
    }

    fn of_operator(method: Method, headers: &[(&str, &str)], jobs: &[&str]) -> Option<Refusal> {
        let mut parts = request(method.clone(), headers);
        let visitor = Visitor::new("alice", Rights::Operator).only(Globs::parse(["a*"]).unwrap());
        parts.extensions.insert(visitor);
        let route = table::row(method, "/jobs/{job}", Needs::Rights(Rights::Operator), |method| {
            axum::routing::on(method, || async {})
        });
        let jobs: Vec<String> = jobs.iter().copied().map(str::to_owned).collect();
        let gate = Gate::Application(Access::new(|_| None));
        gate.refusal(&route, &parts, &jobs)
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
            assert_eq!(by_key(&[("host", host)]), refused, "{host}");
        }
        assert_eq!(by_key(&[]), Some(StatusCode::MISDIRECTED_REQUEST));
    }

    #[test]
    fn takes_forms_of_its_own_pages_alone() {
        let host = ("host", "127.0.0.1:8088");
        let post = |more: &[(&str, &str)]| {
            let mut headers = vec![host];
            headers.extend_from_slice(more);
            of_operator(Method::POST, &headers, &[])
        };
        let refused = Some(Refusal::OtherOrigin);
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
    fn has_no_job_that_the_visitor_does_not_see() {
        let from_here = [("sec-fetch-site", "same-origin")];
        assert_eq!(of_operator(Method::POST, &from_here, &["a1"]), None);
        assert_eq!(of_operator(Method::POST, &from_here, &["b1"]), Some(Refusal::NoSuchJob));
        assert_eq!(
            of_operator(Method::POST, &from_here, &["a1", "b1"]),
            Some(Refusal::NoSuchJob)
        );
        assert_eq!(of_operator(Method::GET, &[], &["b1"]), None);
    }
}
