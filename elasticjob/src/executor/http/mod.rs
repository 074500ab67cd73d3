//! `HTTP`: a request to a service runs each item.
//!
//! A job of this type is a section of the configuration, without a line of code:
//!
//! ```
//! use elasticjob::ElasticJob;
//!
//! // As in application.yaml:
//! let builder = ElasticJob::builder()
//!     .without_discovery()
//!     .set("jobs.close-day.elastic-job-type", "HTTP")
//!     .set("jobs.close-day.cron", "0 0 1 * * ?")
//!     .set("jobs.close-day.sharding-total-count", "3")
//!     .set("jobs.close-day.props.http.uri", "https://ledger.example.org/close")
//!     .set("jobs.close-day.props.http.method", "POST");
//! assert_eq!(builder.build()?.job_names().collect::<Vec<_>>(), ["close-day"]);
//! # Ok::<_, elasticjob::Error>(())
//! ```
//!
//! # Settings
//! They are props of the job. Address and method are required.
//!
//! | prop | what it is | default |
//! |---|---|---|
//! | `http.uri` | the address. No log and no error shows what may be secret in it: user, path and query | |
//! | `http.method` | `GET`, `POST`, `HEAD`, `OPTIONS`, `PUT`, `DELETE` or `TRACE` | |
//! | `http.data` | the body of a `POST`, `PUT` or `DELETE` | none |
//! | `http.content.type` | what that body is | `application/x-www-form-urlencoded` |
//! | `http.connect.timeout.milliseconds` | how long a connection may take | 3000 |
//! | `http.read.timeout.milliseconds` | how long the service may be silent | 5000 |
//! | `http.body.timeout.milliseconds` | how long the body of the answer may take as a whole | 60000 |
//! | `http.fail-on-error-status` | whether an item fails by a status of 400 and above; with `false` it succeeds with a warning, as with Java members | true |
//!
//! The header `shardingContext` tells the service which item it is asked for, as JSON: `jobName`, `taskId`,
//! `shardingTotalCount`, `jobParameter`, `shardingItem`, and `shardingParameter` if the item has one. The headers
//! `elasticjob-run-id` and `elasticjob-fencing-token` are for a service that takes each run once, and none from the past.
//!
//! Redirects are followed, at most ten, but never from an encrypted address to one that is not. If a run is cancelled, or
//! the session with the registry centre can no longer be relied on, the connection is dropped; the service decides what it does
//! then.
//!
//! An item that fails is tried again if the job has a `retry`, unless the service says that it will not have the request: by a
//! status from 400 to 499 other than 408, 409, 423, 425 and 429, or by a redirect that is not followed.

mod settings;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use tokio::time::timeout;
use tracing::{debug, warn};

pub use self::settings::HttpProperties;
use super::JobExecutor;
use super::context_json::context_json;
use crate::http_client;
use crate::job::{BoxError, RunContext, permanent};

/// So much of an answer's body is read.
const BODY_LIMIT: usize = 64 * 1024;

/// As much of it as an error quotes.
const QUOTED: usize = 300;

/// So many redirects of one request are followed.
const REDIRECTS: usize = 10;

/// Executes jobs of type `HTTP`; see the [module](self).
#[derive(Debug, Default)]
pub struct HttpExecutor {
    /// By their times to connect and to read; jobs with the same ones share connections. A std mutex: never held
    /// across an await.
    clients: Mutex<HashMap<(Duration, Duration), Client>>,
}

/// Why an item failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot ask {address}")]
    NoAnswer { address: String, source: reqwest::Error },
    #[error("the answer of {address} breaks off")]
    Broken { address: String, source: reqwest::Error },
    #[error("the answer of {address} did not end within {limit:?}")]
    Endless { address: String, limit: Duration },
    #[error("{address} answers with status {status}{}", quoted(body))]
    Status {
        address: String,
        status: StatusCode,
        body: String,
    },
    #[error("{address} answers with status {status}, a redirect that is not followed")]
    Redirect { address: String, status: StatusCode },
}

impl HttpExecutor {
    /// The `elastic-job-type`.
    pub const NAME: &'static str = "HTTP";

    /// Returns the client with these timeouts, and makes it if it is the first of its kind.
    fn client(&self, properties: &HttpProperties) -> reqwest::Result<Client> {
        let timeouts = (properties.connect_timeout, properties.read_timeout);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&timeouts) {
            return Ok(client.clone());
        }
        let client = http_client::builder()
            .connect_timeout(timeouts.0)
            .read_timeout(timeouts.1)
            .redirect(Policy::custom(follow))
            .build()?;
        clients.insert(timeouts, client.clone());
        Ok(client)
    }
}

impl JobExecutor for HttpExecutor {
    type Properties = HttpProperties;

    async fn execute(&self, run: &RunContext, properties: &HttpProperties) -> Result<(), BoxError> {
        let address = settings::shown(&properties.url);
        let answer = self.ask(run, properties).await;
        let answer = answer.map_err(|error| Failure::NoAnswer {
            address: address.clone(),
            source: error.without_url(),
        })?;
        let status = answer.status();
        let body = match timeout(properties.body_timeout, http_client::text_within(answer, BODY_LIMIT)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => {
                let source = error.without_url();
                return Err(Failure::Broken { address, source }.into());
            }
            Err(_) => {
                let limit = properties.body_timeout;
                return Err(Failure::Endless { address, limit }.into());
            }
        };
        let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let is_bad = is_redirect || status.as_u16() >= 400;
        if !is_bad {
            debug!(status = status.as_u16(), body, "the service answers");
            return Ok(());
        }
        if !properties.is_failing_on_error_status {
            warn!(
                status = status.as_u16(),
                body, "the service answers with a status that is no success"
            );
            return Ok(());
        }
        let failure = if is_redirect {
            Failure::Redirect { address, status }
        } else {
            Failure::Status { address, status, body }
        };
        Err(if may_pass(status) {
            failure.into()
        } else {
            permanent(failure).into()
        })
    }
}

impl HttpExecutor {
    /// Sends the request of a run and waits for the head of the answer. Dropping the future drops the connection.
    async fn ask(&self, run: &RunContext, properties: &HttpProperties) -> reqwest::Result<Response> {
        let HttpProperties {
            url,
            method,
            data,
            content_type,
            ..
        } = properties;
        let sharding = run.sharding();
        let mut request = self
            .client(properties)?
            .request(method.clone(), url.clone())
            .header("shardingContext", header(&context_json(sharding)))
            .header("elasticjob-run-id", sharding.run_id())
            .header("elasticjob-fencing-token", sharding.fencing_token());
        if let Some(data) = data {
            request = request
                .header(CONTENT_TYPE, content_type)
                .body(data.reveal().to_owned());
        }
        request.send().await
    }
}

/// Returns whether the same request may be answered otherwise later.
fn may_pass(status: StatusCode) -> bool {
    let for_now = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::LOCKED,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_server_error() || for_now.contains(&status)
}

/// Headers hold all that JSON does but one character.
fn header(json: &str) -> HeaderValue {
    let json = json.replace('\u{7f}', "\\u007f");
    HeaderValue::from_bytes(json.as_bytes()).expect("control characters are escaped")
}

/// Decides whether a redirect is followed. One that would give up encryption is answered as it is, and fails the item.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let is_encrypted = |url: &reqwest::Url| url.scheme() == "https";
    let was_encrypted = attempt.previous().last().is_some_and(is_encrypted);
    if was_encrypted && !is_encrypted(attempt.url()) {
        attempt.stop()
    } else if attempt.previous().len() > REDIRECTS {
        attempt.error("too many redirects")
    } else {
        attempt.follow()
    }
}

/// Returns the beginning of an answer's body for the text of an error, without secrets.
fn quoted(body: &str) -> String {
    // A service may answer with what it was asked.
    let body = elasticjob_config::without_secrets(body.trim());
    match &body[..body.floor_char_boundary(QUOTED)] {
        "" => String::new(),
        quoted => format!(": {quoted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ShardingContext;

    #[test]
    fn every_context_should_fit_into_a_header() {
        let every: String = ('\0'..='\u{ff}').chain(['\u{2028}', '中', '😀']).collect();
        let context = ShardingContext::for_test(0, 1).with_sharding_parameter(&every);
        let value = header(&context_json(&context));
        let read: serde_json::Value = serde_json::from_slice(value.as_bytes()).unwrap();
        assert_eq!(read["shardingParameter"], every);
    }
}
