//! Tokens in the headers of requests: what programs have in the place of a cookie.
//!
//! A request with a token is judged by the token alone. A page of another origin cannot send these headers, since no answer of ours
//! allows it to.

use axum::http::header::{self, HeaderMap, HeaderName};

/// The header of the Java console.
const OF_JAVA: HeaderName = HeaderName::from_static("access-token");

/// Returns the token of a request, by `Authorization: Bearer` or `Access-Token`; an empty text, which no token is, if such a header is there and
/// has none. `None` if there is no such header.
pub(crate) fn of(headers: &HeaderMap) -> Option<&str> {
    let given = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match given(header::AUTHORIZATION) {
        Some(text) => Some(bearer(text).unwrap_or_default()),
        None => given(OF_JAVA),
    }
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(headers: &[(&'static str, &str)]) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        of(&headers.collect()).map(str::to_owned)
    }

    #[test]
    fn is_taken_from_either_header() {
        assert_eq!(token(&[]), None);
        assert_eq!(token(&[("cookie", "ej-8088=a")]), None);
        assert_eq!(token(&[("access-token", "a")]).as_deref(), Some("a"));
        assert_eq!(token(&[("authorization", "Bearer a")]).as_deref(), Some("a"));
        assert_eq!(token(&[("authorization", "bearer  a ")]).as_deref(), Some("a"));
        // Whatever else is there counts as a token that is none.
        assert_eq!(token(&[("authorization", "Basic a")]).as_deref(), Some(""));
        assert_eq!(
            token(&[("authorization", "Basic a"), ("access-token", "b")]).as_deref(),
            Some("")
        );
        assert_eq!(token(&[("access-token", "")]).as_deref(), Some(""));
    }
}
