//! Why no server gave a session: what each of them does with a plain connection.
//!
//! The client says only that all servers were tried. An operator has to know whether a name is wrong, a server is down, or one
//! is there that does not answer.

use std::fmt;
use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

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
}

/// Returns what each of these servers (`host:port`) does, in words. Ends within `limit`.
pub(super) async fn describe(servers: &[String], limit: Duration) -> String {
    let found = join_all(servers.iter().map(|server| probe(server, limit / 2))).await;
    let described = servers.iter().zip(found);
    let texts: Vec<String> = described.map(|(server, found)| format!("{server} {found}")).collect();
    texts.join("; ")
}

/// Resolves the name, then connects to its first address: each for `limit` at most.
async fn probe(server: &str, limit: Duration) -> Found {
    let address = match timeout(limit, lookup_host(server)).await {
        Ok(Ok(mut addresses)) => addresses.next(),
        Ok(Err(error)) => return Found::Unresolvable(error),
        Err(_) => return Found::Unresolved(limit),
    };
    let Some(address) = address else {
        return Found::Unresolvable(io::Error::other("the name has no address"));
    };
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Found::Accepts,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Found::Refused,
        Ok(Err(error)) => Found::NoWay(error),
        Err(_) => Found::Silent(limit),
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolvable(error) => write!(f, "cannot be resolved: {error}"),
            Self::Unresolved(limit) => write!(f, "is not resolved within {limit:?}: no name server answers"),
            Self::Refused => f.write_str("refuses connections"),
            Self::NoWay(error) => write!(f, "cannot be reached: {error}"),
            Self::Silent(limit) => write!(f, "takes no connection within {limit:?}"),
            Self::Accepts => f.write_str("accepts connections and gives no session"),
        }
    }
}
