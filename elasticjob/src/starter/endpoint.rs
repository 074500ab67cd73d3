//! The endpoint that Prometheus and Kubernetes ask: `GET /metrics`, `/healthz`, `/readyz`.
//!
//! Every client that reaches it can read it, names of jobs included, so it listens on the loopback interface by default.
//! Its callers do not hold each other up ([`callers`]): each connection answers one request, the request has to come within
//! [`REQUEST_LIMIT`], and metrics, which take time, are rendered a few at once on threads of their own. Health is answered even
//! while all of these are busy.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::callers::{self, RequestSignal};
use crate::chain::Chain;
use crate::tasks::Tasks;
use crate::telemetry::{Exposition, UPKEEP_INTERVAL};

use super::health::Health;

/// How long a caller may take to send its request, from the first byte to the last.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// The longest request, in bytes.
const LONGEST_REQUEST: usize = 16 * 1024;

/// How long a connection may take for its request and its answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);

/// Renderings of metrics at once. Other callers that ask for metrics wait.
const RENDERINGS: usize = 2;

/// Returns the health of the application; `None` once it is gone.
pub(super) type Ask = Arc<dyn Fn() -> Option<Health> + Send + Sync>;

/// An endpoint that listens and does not answer yet.
#[derive(Debug)]
pub(super) struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
    exposition: Exposition,
}

impl Endpoint {
    /// Listens on `address`, and has metrics recorded from here on.
    pub(super) fn open(address: SocketAddr) -> Result<Self, String> {
        let listening = callers::listen(address).and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        let (listener, address) = listening.map_err(|error| {
            format!("`elasticjob.metrics`: cannot listen on {address}: {error}; choose another `port`, 0 for any that is free")
        })?;
        let exposition = Exposition::install().map_err(|error| format!("`elasticjob.metrics`: {error}"))?;
        Ok(Self {
            listener,
            address,
            exposition,
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `tasks` are stopped.
    pub(super) fn serve(self, tasks: &Tasks, health: Ask) {
        let exposition = self.exposition.clone();
        let of_upkeep = tasks.clone();
        tasks.spawn("metrics upkeep", async move {
            let token = of_upkeep.token();
            while token
                .run_until_cancelled(tokio::time::sleep(UPKEEP_INTERVAL))
                .await
                .is_some()
            {
                let exposition = exposition.clone();
                let upkeep = of_upkeep.spawn_blocking("metrics upkeep", move || exposition.upkeep());
                let _ = upkeep.await;
            }
        });
        let answers = Answers {
            tasks: tasks.clone(),
            exposition: self.exposition,
            health,
            renderings: Arc::new(Semaphore::new(RENDERINGS)),
        };
        let serving = tasks.clone();
        tasks.spawn("endpoint", async move {
            let answer = |stream, _, progress| within_limit(stream, answers.clone(), progress);
            callers::serve("endpoint", self.listener, &serving, answer).await;
        });
    }
}

/// What connections need to answer.
#[derive(Clone)]
struct Answers {
    tasks: Tasks,
    exposition: Exposition,
    health: Ask,
    renderings: Arc<Semaphore>,
}

async fn within_limit(stream: TcpStream, answers: Answers, progress: RequestSignal) {
    let answered = tokio::time::timeout(CONNECTION_LIMIT, answer(stream, answers, progress));
    if answered.await.is_err() {
        debug!("connection to the endpoint cut: it took too long");
    }
}

async fn answer(stream: TcpStream, answers: Answers, progress: RequestSignal) {
    let service = service_fn(move |request: Request<Incoming>| {
        progress.answering();
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.to(request.method(), request.uri().path()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_LIMIT)
        .max_buf_size(LONGEST_REQUEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(error = %Chain(&error), "connection to the endpoint ended early");
    }
}

impl Answers {
    async fn to(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET is all there is\n".to_owned());
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => self.metrics().await,
            "/healthz" => self.health(|health| health.is_live),
            "/readyz" => self.health(|health| health.is_ready),
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /metrics, /healthz and /readyz\n".to_owned(),
            ),
        }
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        let _turn = self.renderings.acquire().await.expect("the semaphore is never closed");
        let exposition = self.exposition.clone();
        let rendered = self.tasks.spawn_blocking("metrics", move || exposition.render()).await;
        match rendered {
            Ok(rendered) => typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", rendered),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    fn health(&self, is_well: fn(&Health) -> bool) -> Response<Full<Bytes>> {
        let Some(health) = (self.health)() else {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the application has stopped\n".to_owned(),
            );
        };
        let status = if is_well(&health) {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let body = serde_json::to_string(&health).expect("health has names, numbers and times, which JSON can hold");
        typed(status, "application/json", body + "\n")
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
