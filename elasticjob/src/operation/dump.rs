//! Asking a dump port for the subtree of a job.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Error;

/// How long a dump port may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Longest answer that is taken.
const MAX_ANSWER: u64 = 128 * 1024 * 1024;

/// What the [dump port](crate::snapshot) of an instance, ours or a Java member's, says of a job: empty where the port
/// refused, a line feed alone where the job is unknown. No registry is asked.
///
/// # Errors
/// [`Error::Dump`] when it does not answer within half a minute, or with more than 128 MiB.
pub async fn dump(address: SocketAddr, job: &str) -> Result<String, Error> {
    let answer = timeout(LIMIT, ask(address, job)).await;
    answer
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
        .map_err(|source| Error::Dump { address, source })
}

async fn ask(address: SocketAddr, job: &str) -> io::Result<String> {
    if job.contains(['\n', '\r', '@']) {
        let message = "a name with `@` or a line end cannot be asked for";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("dump@{job}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    let read = stream.take(MAX_ANSWER + 1).read_to_end(&mut answer).await?;
    if read as u64 > MAX_ANSWER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
