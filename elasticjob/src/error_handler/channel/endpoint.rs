//! A web address that notices are posted to.
//!
//! Only a connection that was not made is tried again. Once there was one, the notice may have arrived although the
//! answer did not, and people would get it twice.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Method, Url};

use crate::error_handler::Undelivered;
use crate::http_client;
use crate::property::{Reader, accept};

/// So much of an answer is read. Those of robots are a line.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Where to post, and how long to wait. Its address may hold a token, so it is never shown.
pub(super) struct Endpoint {
    url: Url,
    connect_timeout: Duration,
    read_timeout: Duration,
    /// Made with the first notice: most jobs never send any.
    client: OnceLock<Client>,
}

/// The names of an endpoint's properties.
pub(super) struct Keys {
    pub(super) url: &'static str,
    pub(super) connect_timeout: &'static str,
    pub(super) read_timeout: &'static str,
}

/// An answer with any status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// A request that led to no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer of {host}")]
struct NoAnswer {
    host: String,
    source: reqwest::Error,
}

impl Endpoint {
    /// Reads the address and the times. By default connecting may take three seconds, and each wait for more of the
    /// answer five.
    pub(super) fn read(reader: &mut Reader<'_>, keys: &Keys) -> Option<Self> {
        let url = reader.required(keys.url, &http_client::ADDRESS);
        let connect_timeout = reader.with_default(keys.connect_timeout, &accept::MILLISECONDS, "3000");
        let read_timeout = reader.with_default(keys.read_timeout, &accept::MILLISECONDS, "5000");
        Some(Self {
            url: url?,
            connect_timeout: connect_timeout?,
            read_timeout: read_timeout?,
            client: OnceLock::new(),
        })
    }

    /// Returns the address. It may hold a token: it must not be shown.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Posts JSON to the address.
    pub(super) async fn post(&self, body: &serde_json::Value) -> Result<Answer, Undelivered> {
        self.send(Method::POST, self.url.clone(), body, &[]).await
    }

    /// Sends JSON to `url`, which is the address with something added. Redirects are not followed: they would turn a POST
    /// into a GET, or send the notification to another host.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        body: &serde_json::Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Undelivered> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let made = self.client().map_err(reqwest::Error::without_url)?;
                self.client.get_or_init(|| made)
            }
        };
        let mut request = client
            .request(method, url)
            .header("Content-Type", "application/json; charset=utf-8")
            .body(body.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.map_err(|error| self.no_answer(error))?;
        let status = response.status().as_u16();
        let body = http_client::text_within(response, ANSWER_LIMIT)
            .await
            .map_err(|error| self.no_answer(error))?;
        Ok(Answer { status, body })
    }

    /// Makes the client.
    fn client(&self) -> reqwest::Result<Client> {
        http_client::builder()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
    }

    /// Returns that there was no answer, naming the host and nothing else of the address.
    fn no_answer(&self, error: reqwest::Error) -> Undelivered {
        // After a connection the notification may have arrived, and would be sent twice.
        let is_transient = error.is_connect();
        let cause = NoAnswer {
            host: self.url.host_str().unwrap_or_default().to_owned(),
            source: error.without_url(),
        };
        if is_transient {
            Undelivered::transient(cause)
        } else {
            cause.into()
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}
