//! A web server that keeps what is posted to it, and answers what it is told to.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A web server. Dropping it ends it.
#[derive(Debug)]
pub struct Hook {
    address: SocketAddr,
    /// Dropping it ends the server.
    _server: JoinSet<()>,
    /// Unbounded: it holds as many requests as a test makes.
    requests: AsyncMutex<mpsc::UnboundedReceiver<Request>>,
    answers: Arc<Mutex<Answers>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST`.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The bytes, which have to be JSON.
    pub body: Bytes,
}

/// How a server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With this status and body.
    With(u16, &'static str),
    /// Never.
    Never,
}

#[derive(Debug)]
struct Answers {
    next: VecDeque<Answer>,
    usual: Answer,
}

impl Hook {
    /// A server that usually answers with status 200 and this body.
    ///
    /// # Errors
    /// When there is no port left.
    pub async fn start(usual: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, requests) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(Answers {
            next: VecDeque::new(),
            usual: Answer::With(200, usual),
        }));
        let app = Router::new().fallback(take).with_state((sender, Arc::clone(&answers)));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // Until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            _server: server,
            requests: AsyncMutex::new(requests),
            answers,
        })
    }

    /// The address of something on it: `/send?key=1`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next request so, and one more after it with each further call.
    pub fn answer(&self, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.next.push_back(answer);
    }

    /// Waits for the next request.
    ///
    /// # Errors
    /// When none comes.
    pub async fn next(&self) -> anyhow::Result<Request> {
        let mut requests = self.requests.lock().await;
        let next = timeout(PATIENCE, requests.recv()).await;
        next.context("no request comes")?.context("the server is gone")
    }

    /// How many requests came that were not asked for.
    pub async fn rest(&self) -> usize {
        let mut requests = self.requests.lock().await;
        std::iter::from_fn(|| requests.try_recv().ok()).count()
    }
}

impl Request {
    /// The body.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the body is no JSON")
    }
}

type Shared = (mpsc::UnboundedSender<Request>, Arc<Mutex<Answers>>);

async fn take(
    State((sender, answers)): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.next.pop_front().unwrap_or_else(|| answers.usual.clone())
    };
    let request = Request {
        method,
        uri,
        headers,
        body,
    };
    // The test may have seen enough.
    let _ = sender.send(request);
    match answer {
        Answer::With(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Answer::Never => std::future::pending().await,
    }
}
