//! Why no server gave a session: what each of them does with a connection.
//!
//! The client says only that all servers were tried. An operator has to know whether a name is wrong, a server is down, or one
//! is there that does not answer, and with TLS, which side does not trust the other.

use std::fmt;
use std::io;
#[cfg(feature = "zookeeper-tls")]
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
#[cfg(feature = "zookeeper-tls")]
use tokio_rustls::TlsConnector;

#[cfg(feature = "zookeeper-tls")]
use super::tls;

/// An answer to `srvr` has a few hundred bytes.
const MOST: u64 = 64 * 1024;

/// What a server does with a connection.
#[derive(Debug)]
enum Found {
    /// The name of its host cannot be resolved.
    Unresolvable(io::Error),
    /// No name server answers.
    Unresolved(Duration),
    /// It refuses the connection: nothing listens there.
    Refused,
    /// There is no way to it.
    NoWay(io::Error),
    /// It takes no connection in this time, nor refuses it.
    Silent(Duration),
    /// It accepts the connection.
    Accepts,
    /// One side does not trust the other.
    #[cfg(feature = "zookeeper-tls")]
    Distrusts(io::Error),
    /// It accepts the connection, and no word of TLS comes from it in this time.
    #[cfg(feature = "zookeeper-tls")]
    NoHandshake(Duration),
    /// It accepts the connection over TLS.
    #[cfg(feature = "zookeeper-tls")]
    AcceptsTls,
}

/// Connects to servers, to see what they do.
pub(super) struct Probe {
    #[cfg(feature = "zookeeper-tls")]
    tls: Option<TlsConnector>,
}

impl Probe {
    /// One that makes plain connections.
    pub(super) fn plain() -> Self {
        Self {
            #[cfg(feature = "zookeeper-tls")]
            tls: None,
        }
    }

    /// One that makes a handshake.
    #[cfg(feature = "zookeeper-tls")]
    pub(super) fn over_tls(config: Arc<rustls::ClientConfig>) -> Self {
        let tls = Some(TlsConnector::from(config));
        Self { tls }
    }

    /// Returns what each of these servers (`host:port`) does, in words. Ends within `limit`.
    pub(super) async fn describe(&self, servers: &[String], limit: Duration) -> String {
        let found = join_all(servers.iter().map(|server| self.look(server, limit / 3))).await;
        let described = servers.iter().zip(found);
        let texts: Vec<String> = described.map(|(server, found)| format!("{server} {found}")).collect();
        texts.join("; ")
    }

    /// Returns whether connections are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "zookeeper-tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "zookeeper-tls"))]
        false
    }

    /// Asks a server the four-letter word `srvr`. Returns its answer, or what the server does instead. Ends within `limit`.
    pub(super) async fn srvr(&self, server: &str, limit: Duration) -> Result<String, String> {
        let conversation = async {
            let stream = TcpStream::connect(server).await?;
            #[cfg(feature = "zookeeper-tls")]
            if let Some((tls, name)) = self.tls.as_ref().zip(tls::server_name(server)) {
                return ask(tls.connect(name, stream).await?).await;
            }
            ask(stream).await
        };
        match timeout(limit, conversation).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("does not answer: {error}")),
            Err(_) => Err(format!("does not answer within {limit:?}")),
        }
    }

    /// Resolves the name, then connects to its first address, then makes the handshake: each for `limit` at most.
    async fn look(&self, server: &str, limit: Duration) -> Found {
        let address = match timeout(limit, lookup_host(server)).await {
            Ok(Ok(mut addresses)) => addresses.next(),
            Ok(Err(error)) => return Found::Unresolvable(error),
            Err(_) => return Found::Unresolved(limit),
        };
        let Some(address) = address else {
            return Found::Unresolvable(io::Error::other("the name has no address"));
        };
        let stream = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Found::Refused,
            Ok(Err(error)) => return Found::NoWay(error),
            Err(_) => return Found::Silent(limit),
        };
        self.shake_hands(server, stream, limit).await
    }

    #[cfg(feature = "zookeeper-tls")]
    async fn shake_hands(&self, server: &str, stream: TcpStream, limit: Duration) -> Found {
        let Some((tls, name)) = self.tls.as_ref().zip(tls::server_name(server)) else {
            return Found::Accepts;
        };
        let handshake = async {
            let mut stream = tls.connect(name, stream).await?;
            // A server that does not trust us says so after the handshake, to the first that we read.
            stream.write_all(b"srvr").await?;
            stream.flush().await?;
            stream.read_u8().await
        };
        match timeout(limit, handshake).await {
            Ok(Ok(_)) => Found::AcceptsTls,
            Ok(Err(error)) => Found::Distrusts(error),
            Err(_) => Found::NoHandshake(limit),
        }
    }

    #[cfg(not(feature = "zookeeper-tls"))]
    #[expect(clippy::unused_async, reason = "with TLS there is a handshake")]
    async fn shake_hands(&self, _server: &str, _stream: TcpStream, _limit: Duration) -> Found {
        Found::Accepts
    }
}

/// Asks `srvr` over this connection, which the server closes behind its answer.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    stream.write_all(b"srvr").await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let ended = stream.take(MOST).read_to_end(&mut answer).await;
    // Over TLS the end comes without a farewell.
    if answer.is_empty() {
        ended?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolvable(error) => write!(f, "cannot be resolved: {error}"),
            Self::Unresolved(limit) => write!(f, "is not resolved within {limit:?}: no name server answers"),
            Self::Refused => f.write_str("refuses connections"),
            Self::NoWay(error) => write!(f, "cannot be reached: {error}"),
            Self::Silent(limit) => write!(f, "takes no connection within {limit:?}"),
            Self::Accepts => f.write_str(
                "accepts connections and gives no session (a port for TLS does so too if `reg-center.tls.ca` is not set)",
            ),
            #[cfg(feature = "zookeeper-tls")]
            Self::Distrusts(error) if error.kind() == io::ErrorKind::UnexpectedEof => f.write_str(
                "accepts connections and ends them amid TLS: the port is not for TLS, or the server does not trust our certificate",
            ),
            #[cfg(feature = "zookeeper-tls")]
            Self::Distrusts(error) => write!(f, "accepts connections, but not over TLS: {error}"),
            #[cfg(feature = "zookeeper-tls")]
            Self::NoHandshake(limit) => write!(f, "accepts connections and speaks no TLS within {limit:?}"),
            #[cfg(feature = "zookeeper-tls")]
            Self::AcceptsTls => f.write_str("accepts connections over TLS and gives no session"),
        }
    }
}
