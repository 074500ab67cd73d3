//! The props of jobs of type `HTTP`.
//!
//! The address may hold a user, a token in its path, or one in its query. No message shows more of it than scheme, host
//! and port.

use std::fmt;
use std::time::Duration;

use elasticjob_config::Secret;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};

use crate::http_client;
use crate::property::{Accepts, Properties, Reader, accept};

/// What a job of type `HTTP` says about its request.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpProperties {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) data: Option<Secret>,
    pub(super) content_type: HeaderValue,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) is_failing_on_error_status: bool,
}

const METHOD: Accepts<Method> = Accepts::new(
    "one of `GET`, `POST`, `HEAD`, `OPTIONS`, `PUT`, `DELETE`, `TRACE`",
    |text| match text.trim() {
        "GET" => Some(Method::GET),
        "POST" => Some(Method::POST),
        "HEAD" => Some(Method::HEAD),
        "OPTIONS" => Some(Method::OPTIONS),
        "PUT" => Some(Method::PUT),
        "DELETE" => Some(Method::DELETE),
        "TRACE" => Some(Method::TRACE),
        _ => None,
    },
);

const CONTENT_TYPE: Accepts<HeaderValue> = Accepts::new("a content type, such as `application/json`", |text| {
    text.trim().parse().ok()
});

/// As for Java members: their platform adds it.
const DEFAULT_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

impl Properties for HttpProperties {
    const PREFIXES: &'static [&'static str] = &["http."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.required("http.uri", &http_client::ADDRESS);
        let method = reader.required("http.method", &METHOD);
        let data = reader.optional("http.data", &accept::SECRET);
        let content_type = reader.with_default("http.content.type", &CONTENT_TYPE, DEFAULT_CONTENT_TYPE);
        let connect_timeout = reader.with_default("http.connect.timeout.milliseconds", &accept::MILLISECONDS, "3000");
        let read_timeout = reader.with_default("http.read.timeout.milliseconds", &accept::MILLISECONDS, "5000");
        let body_timeout = reader.with_default("http.body.timeout.milliseconds", &accept::MILLISECONDS, "60000");
        let is_failing = reader.with_default("http.fail-on-error-status", &accept::FLAG, "true");
        let (method, data) = (method?, data?);
        if data.is_some() && !matches!(method, Method::POST | Method::PUT | Method::DELETE) {
            reader.fault("http.data", format!("is of no use with `{method}`: that sends none"));
        }
        Some(Self {
            url: url?,
            method,
            data,
            content_type: content_type?,
            connect_timeout: connect_timeout?,
            read_timeout: read_timeout?,
            body_timeout: body_timeout?,
            is_failing_on_error_status: is_failing?,
        })
    }
}

impl fmt::Debug for HttpProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProperties")
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .finish_non_exhaustive()
    }
}

/// Returns an address without what may be secret in it: `https://example.org/..`. Services put tokens into paths, too.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    let rest = if url.path() == "/" { "/" } else { "/.." };
    format!("{}://{host}{port}{rest}", url.scheme())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::property;

    const GET: [(&str, &str); 2] = [("http.uri", "http://a.example.org/x"), ("http.method", "GET")];

    fn read(changes: &[(&str, &str)]) -> Result<HttpProperties, String> {
        let props = GET.iter().chain(changes);
        let props = props.map(|&(key, value)| (key.to_owned(), value.to_owned()));
        property::read(&BTreeMap::from_iter(props)).map_err(|faults| faults.to_string())
    }

    #[test]
    fn defaults_should_be_those_of_java() {
        let properties = read(&[]).unwrap();
        assert_eq!(properties.connect_timeout, Duration::from_secs(3));
        assert_eq!(properties.read_timeout, Duration::from_secs(5));
        assert_eq!(properties.content_type, DEFAULT_CONTENT_TYPE);
        assert!(properties.data.is_none());
    }

    #[test]
    fn each_fault_should_name_the_key_and_what_is_expected() {
        let check = |changes: &[_], expect: &str| {
            let faults = read(changes).err().unwrap();
            assert!(faults.contains(expect), "{faults}");
            assert!(!faults.contains("tiger"), "{faults}");
        };
        check(
            &[("http.uri", "")],
            "`props.http.uri`: is missing, expected a web address",
        );
        check(
            &[("http.uri", "ftp://tiger")],
            "`props.http.uri` is `[provided]`: expected a web address",
        );
        check(
            &[("http.method", "get")],
            "`props.http.method` is `get`: expected one of `GET`, `POST`",
        );
        check(&[("http.method", "")], "`props.http.method`: is missing");
        check(
            &[("http.data", "tiger")],
            "`props.http.data` is `[provided]`: is of no use with `GET`",
        );
        check(&[("http.metod", "GET")], "did you mean `http.method`?");
        check(
            &[("http.connect.timeout.milliseconds", "3s")],
            "expected a number of milliseconds",
        );
    }

    #[test]
    fn nothing_secret_should_be_shown() {
        let properties = read(&[
            (
                "http.uri",
                "https://lion:tiger@a.example.org:8/bot/tiger?key=tiger#tiger",
            ),
            ("http.method", "POST"),
            ("http.data", "tiger"),
        ]);
        let shown = format!("{:?}", properties.unwrap());
        assert_eq!(
            shown,
            r#"HttpProperties { method: POST, url: "https://a.example.org:8/..", .. }"#
        );
    }
}
