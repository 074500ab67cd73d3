//! The endpoint that Prometheus and Kubernetes ask: `GET /metrics`, `/healthz`, `/readyz`.
//!
//! It is open to whoever reaches it, and shows names of jobs: so it listens on the loopback interface unless told
//! otherwise. It promises to harm nobody who is asked for little: connections are few, each answers one request and is
//! cut after some seconds, and what takes time is rendered on a thread of its own.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::tasks::Tasks;
use crate::telemetry::{Exposition, UPKEEP_INTERVAL};

use super::health::Health;

/// Connections at once. Whoever comes later waits.
const CONNECTIONS: usize = 16;

/// How long a connection may take for its request and its answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);

/// Between attempts to accept a connection where that failed: mostly there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Gives the health of the application; `None` once it is gone.
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
        let listening = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
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

    /// Answers until `tasks` are told to end.
    pub(super) fn serve(self, tasks: &Tasks, health: Ask) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
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
        };
        let token = tasks.token().clone();
        tasks.spawn("endpoint", async move {
            token.run_until_cancelled(accept(listener, answers)).await;
        });
        Ok(())
    }
}

/// What connections need to answer.
#[derive(Clone)]
struct Answers {
    tasks: Tasks,
    exposition: Exposition,
    health: Ask,
}

async fn accept(listener: tokio::net::TcpListener, answers: Answers) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = Arc::clone(&room)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let answers = answers.clone();
                let token = answers.tasks.token().clone();
                answers.tasks.clone().spawn("endpoint connection", async move {
                    let _permit = permit;
                    let answered = tokio::time::timeout(CONNECTION_LIMIT, answer(stream, answers));
                    if token
                        .run_until_cancelled(answered)
                        .await
                        .is_some_and(|answered| answered.is_err())
                    {
                        debug!("connection to the endpoint cut: it took too long");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection to the endpoint");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, answers: Answers) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.to(request.method(), request.uri().path()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "connection to the endpoint ended early");
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
        let status = match is_well(&health) {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
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
