//! The key of a console that an application serves by itself: it keeps other users and programs of the machine out.
//!
//! The log has the address with the key. The browser that opens it gets the key as a cookie, and a redirect to the address without
//! it, so that the key stays out of bookmarks and of the `Referer`. The name of the cookie has the port in it, since browsers send
//! a cookie to all ports of a host.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::access::random;

/// The bytes of a key.
const LENGTH: usize = 16;

/// A key, and the cookie that browsers keep it in.
#[derive(Clone)]
pub(crate) struct Key {
    text: Arc<str>,
    cookie: Arc<str>,
}

impl Key {
    /// Returns a key for the console on a port.
    pub(crate) fn new(text: String, port: u16) -> Self {
        Self {
            text: text.into(),
            cookie: format!("ej-{port}").into(),
        }
    }

    /// Returns the key that a file keeps, so that browsers keep their access over a restart. The file is made if it is not there or
    /// holds no key, and only its owner can read it. A directory that cannot be written gives a key for this run alone.
    pub(crate) fn kept(file: &Path, port: u16) -> Self {
        let text = read(file).unwrap_or_else(|| {
            let text = random::text::<LENGTH>();
            if let Err(error) = write(file, &text) {
                tracing::debug!(file = %file.display(), %error, "the key of the console is for this run alone");
            }
            text
        });
        Self::new(text, port)
    }

    /// Returns the text of the key.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Answers a request that brings the key in its address, or comes by the name `localhost`.
    pub(crate) fn accept(&self, request: &Parts, host: &str) -> Option<Response> {
        if request.method != Method::GET {
            return None;
        }
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
        let mut rest: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        if host == "localhost" {
            // Most servers of developers are on `localhost`, and would be sent our cookie.
            let port = request.headers.get(header::HOST)?.to_str().ok()?.rsplit_once(':');
            let port = port.and_then(|(_, port)| port.parse().ok()).unwrap_or(80_u16);
            let to = format!("http://127.0.0.1:{port}{}", joined(path, &rest));
            return Some((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response());
        }
        let given = rest.iter().position(|pair| pair.starts_with("key="))?;
        let given = rest.remove(given).trim_start_matches("key=");
        if !self.is(given) {
            return None;
        }
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000",
            self.cookie, self.text
        );
        // Only a path: nothing that a caller writes can lead elsewhere.
        let to = joined(&format!("/{}", path.trim_start_matches(['/', '\\'])), &rest);
        Some(
            (
                StatusCode::SEE_OTHER,
                [(header::SET_COOKIE, cookie), (header::LOCATION, to)],
            )
                .into_response(),
        )
    }

    /// Returns whether a request has the key as a cookie.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        cookies(headers, &self.cookie).any(|given| self.is(given))
    }

    /// Returns whether a text is the key, which a program sends as its token.
    pub(crate) fn is_token(&self, token: &str) -> bool {
        self.is(token)
    }

    /// Compares in a time that does not tell how much of a guess is right.
    fn is(&self, given: &str) -> bool {
        let (key, given) = (self.text.as_bytes(), given.as_bytes());
        let different = key.iter().zip(given).fold(0, |sum, (one, other)| sum | (one ^ other));
        key.len() == given.len() && different == 0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

fn joined(path: &str, query: &[&str]) -> String {
    match query {
        [] => path.to_owned(),
        query => format!("{path}?{}", query.join("&")),
    }
}

/// Returns the values of a cookie.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let texts = headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = texts
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.filter_map(move |(found, value)| (found == name).then_some(value))
}

fn read(file: &Path) -> Option<String> {
    if !is_ours(file) {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let text = text.trim();
    let is_key = BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .is_ok_and(|bytes| bytes.len() == LENGTH);
    is_key.then(|| text.to_owned())
}

/// Returns whether only this user can have written a file: the directory for temporary files is everybody's.
#[cfg(unix)]
fn is_ours(file: &Path) -> bool {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let own = fs::metadata("/proc/self").map(|process| process.uid());
    let is_own = |found: &fs::Metadata| own.as_ref().map_or(true, |own| *own == found.uid());
    fs::symlink_metadata(file)
        .is_ok_and(|found| found.is_file() && is_own(&found) && found.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_ours(_file: &Path) -> bool {
    // Its directory for temporary files is the user's own.
    true
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::Request;

    fn request(uri: &str, host: &str) -> Parts {
        let request = Request::builder().uri(uri).header(header::HOST, host);
        request.body(Body::empty()).unwrap().into_parts().0
    }

    fn key() -> Key {
        Key::new("secret".to_owned(), 8088)
    }

    fn location(uri: &str) -> Option<String> {
        let response = key().accept(&request(uri, "127.0.0.1:8088"), "127.0.0.1")?;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.starts_with("ej-8088=secret; "), "{cookie}");
        Some(response.headers()[header::LOCATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn moves_from_the_address_into_a_cookie() {
        assert_eq!(location("/?key=secret").as_deref(), Some("/"));
        assert_eq!(
            location("/jobs?q=a&key=secret&sort=name").as_deref(),
            Some("/jobs?q=a&sort=name")
        );
        assert_eq!(location("//evil.test/?key=secret").as_deref(), Some("/evil.test/"));
        for uri in ["/?key=Secret", "/?key=", "/?key=secret1", "/?keys=secret", "/"] {
            assert_eq!(location(uri), None, "{uri}");
        }
    }

    #[test]
    fn counts_in_the_cookie_of_its_port() {
        let with = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            key().is_in(&headers)
        };
        assert!(with("a=1; ej-8088=secret"));
        assert!(with("ej-8088=old; ej-8088=secret"));
        assert!(!with("ej-8089=secret"));
        assert!(!with("ej-8088=secre"));
    }

    #[test]
    fn leads_from_localhost_to_its_address() {
        let response = key()
            .accept(&request("/jobs?q=1", "localhost:8088"), "localhost")
            .unwrap();
        assert_eq!(response.headers()[header::LOCATION], "http://127.0.0.1:8088/jobs?q=1");
    }

    #[test]
    fn stays_the_same_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let first = Key::kept(&file, 1);
        assert_eq!(first.text().len(), 22);
        assert_eq!(Key::kept(&file, 1).text(), first.text());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            // What others could have written is not taken.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            assert_ne!(Key::kept(&file, 1).text(), first.text());
        }
    }
}
