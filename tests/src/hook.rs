//! A web server that keeps what is posted to it, and gives the answers that a test sets.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Certificates;

/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A web server. Dropping it ends it.
#[derive(Debug)]
pub struct Hook {
    /// `http://127.0.0.1:4711`.
    origin: String,
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
    /// That it is at this address now.
    Elsewhere(String),
    /// Never.
    Never,
}

#[derive(Debug)]
struct Answers {
    next: VecDeque<Answer>,
    usual: Answer,
}

impl Hook {
    /// Returns a server that usually answers with status 200 and this body.
    ///
    /// # Errors
    /// When there is no port left.
    pub async fn start(usual: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        Ok(Self::serve(listener, origin, usual))
    }

    /// Returns the same with TLS, for clients that trust the authority of these certificates.
    ///
    /// # Errors
    /// When there is no port left, or the certificates cannot be read.
    pub async fn start_with_tls(usual: &'static str, certificates: &Certificates) -> anyhow::Result<Self> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let origin = format!("https://{}", tcp.local_addr()?);
        let acceptor = acceptor(certificates.directory())?;
        Ok(Self::serve(TlsListener { tcp, acceptor }, origin, usual))
    }

    fn serve<L>(listener: L, origin: String, usual: &'static str) -> Self
    where
        L: Listener<Addr: fmt::Debug>,
    {
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
        Self {
            origin,
            _server: server,
            requests: AsyncMutex::new(requests),
            answers,
        }
    }

    /// Returns the address of something on it: `/send?key=1`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
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

    /// Returns how many requests came that were not asked for.
    pub async fn rest(&self) -> usize {
        let mut requests = self.requests.lock().await;
        std::iter::from_fn(|| requests.try_recv().ok()).count()
    }
}

impl Request {
    /// Returns the body.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the body is no JSON")
    }
}

/// Connections that have agreed on keys.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A client that does not trust the certificate closes the connection, and the next one comes.
            if let Ok((stream, address)) = self.tcp.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn acceptor(directory: &Path) -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_file(directory.join("server.pem"))?;
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
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
        Answer::Elsewhere(address) => Redirect::temporary(&address).into_response(),
        Answer::Never => std::future::pending().await,
    }
}
