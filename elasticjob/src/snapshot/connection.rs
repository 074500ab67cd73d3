//! One conversation: a line in, a text out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::callers::RequestSignal;
use crate::cluster::layout::Node;
use crate::operation::{Limits, TreeError, subtree};
use crate::registry::Session;

use super::text;

/// How long a client may take to send its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// How long a client may take to receive the answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long the request of a client may be.
const LONGEST_REQUEST: usize = 1024;

/// The largest subtree that is dumped.
const LARGEST: Limits = Limits {
    nodes: 200_000,
    bytes: 32 * 1024 * 1024,
};

/// Why a client got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("the request is longer than {LONGEST_REQUEST} bytes")]
    TooLong,
    #[error("the client was silent for {REQUEST_LIMIT:?}")]
    Silent,
    #[error("the client did not take its answer within {ANSWER_LIMIT:?}")]
    Slow,
    #[error("not a request: `dump@` and the name of a job are expected")]
    NoRequest,
    #[error("there is no session with the registry at present")]
    NoSession,
    #[error("the job cannot be read")]
    Tree(#[source] TreeError),
    #[error("the connection failed")]
    Connection(#[from] io::Error),
}

/// The place of a client among the others.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) progress: RequestSignal,
    /// Limits how many clients have their jobs read at once.
    pub(super) readings: Arc<Semaphore>,
}

/// Reads one request and answers it. The caller closes the connection.
pub(super) async fn converse(
    stream: &mut TcpStream,
    session: impl FnOnce() -> Option<Arc<dyn Session>>,
    turn: &Turn,
) -> Result<(), Unanswered> {
    let line = timeout(REQUEST_LIMIT, line(stream))
        .await
        .unwrap_or(Err(Unanswered::Silent))?;
    let job = job(&line).ok_or(Unanswered::NoRequest)?;
    turn.progress.answering();
    let _reading = turn.readings.acquire().await.expect("the semaphore is never closed");
    let nodes = if is_name(job) {
        let session = session().ok_or(Unanswered::NoSession)?;
        subtree(&*session, &Node::Root.of(job), LARGEST)
            .await
            .map_err(Unanswered::Tree)?
    } else {
        Vec::new()
    };
    let answer = text::answer(job, &nodes);
    let sent = timeout(ANSWER_LIMIT, async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    });
    Ok(sent.await.map_err(|_| Unanswered::Slow)??)
}

/// The first line, or all there is where the stream ends before.
async fn line(stream: &mut TcpStream) -> Result<String, Unanswered> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 256];
    loop {
        let count = stream.read(&mut buffer).await?;
        let is_over = count == 0;
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            bytes.truncate(end);
            break;
        }
        if bytes.len() > LONGEST_REQUEST {
            return Err(Unanswered::TooLong);
        }
        if is_over {
            break;
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The job that is asked for. Java splits at `@` and takes two parts, empty ones at the end not counted.
fn job(line: &str) -> Option<&str> {
    let job = line.strip_prefix("dump@")?.trim_end_matches('@');
    (!job.is_empty() && !job.contains('@')).then_some(job)
}

/// Returns whether a job can be called so. What cannot is unknown; its path could be another node's, or none.
fn is_name(job: &str) -> bool {
    elasticjob_config::job::JobName::parse(job).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_should_be_read_as_java_reads_it() {
        for (line, expected) in [
            ("dump@demoJob", Some("demoJob")),
            ("dump@demoJob@", Some("demoJob")),
            ("dump", None),
            ("dump@", None),
            ("dump@@", None),
            ("dump@a@b", None),
            ("dump@@a", None),
            ("Dump@a", None),
            (" dump@a", None),
            ("", None),
        ] {
            assert_eq!(job(line), expected, "{line}");
        }
    }
}
