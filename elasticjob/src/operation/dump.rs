//! Asking a dump port for the subtree of a job.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use elasticjob_config::{document_without_secrets, without_secrets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Error;
use crate::cluster::layout::Node;

/// Between the path of a node and its data.
const SEPARATOR: &str = " | ";

/// How long a dump port may take, and how long its answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpLimits {
    /// How long it may take to connect.
    pub connect: Duration,
    /// How long it may take in all.
    pub answer: Duration,
    /// Most bytes of the answer.
    pub bytes: u64,
}

impl Default for DumpLimits {
    /// Half a minute, and 128 MiB.
    fn default() -> Self {
        let answer = Duration::from_secs(30);
        Self {
            connect: answer,
            answer,
            bytes: 128 * 1024 * 1024,
        }
    }
}

/// Reads the dump of a job from the [dump port](crate::snapshot) of an instance, ours or a Java member's. The text is empty if the
/// port refused, and a single line feed if the job is unknown. This sends no request to the registry. Secrets are replaced in any answer.
///
/// # Errors
/// [`Error::Dump`] when it does not answer within half a minute, or with more than 128 MiB.
/// A name with `@` or a line end cannot be asked for, and is an [`Error::Dump`], too.
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn dump(address: SocketAddr, job: &str) -> Result<String, Error> {
    dump_within(address, job, DumpLimits::default()).await
}

/// As [`dump`], within these limits.
///
/// # Errors
/// As there.
///
/// # Cancel safety
/// As there.
pub async fn dump_within(address: SocketAddr, job: &str, limits: DumpLimits) -> Result<String, Error> {
    let answer = timeout(limits.answer, ask(address, job, limits)).await;
    answer
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
        .map_err(|source| Error::Dump { address, source })
}

async fn ask(address: SocketAddr, job: &str, limits: DumpLimits) -> io::Result<String> {
    if job.contains(['\n', '\r', '@']) {
        let message = "a name with `@` or a line end cannot be asked for";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut stream = timeout(limits.connect, TcpStream::connect(address)).await??;
    stream.write_all(format!("dump@{job}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    let read = stream
        .take(limits.bytes.saturating_add(1))
        .read_to_end(&mut answer)
        .await?;
    if read as u64 > limits.bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
    }
    Ok(without_secrets_of(job, &String::from_utf8_lossy(&answer)))
}

/// Returns a node of a job as a dump shows it: without its secrets.
pub(crate) fn dumped_node(job: &str, path: &str, data: &str) -> String {
    let shown = if path == Node::Config.of(job) {
        document_without_secrets(data)
    } else {
        without_secrets(data)
    };
    format!("{path}{SEPARATOR}{shown}")
}

/// Returns the answer of a dump port without secrets: an older member of ours, or a Java member, gives it as it is.
fn without_secrets_of(job: &str, answer: &str) -> String {
    let (root, config) = (Node::Root.of(job), Node::Config.of(job));
    let path_of = |line: &str| -> Option<usize> { line.find(SEPARATOR).filter(|_| line.starts_with(&root)) };
    let mut text = String::with_capacity(answer.len());
    let mut lines = answer.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if path_of(line).is_none_or(|end| line[..end] != config) {
            text.push_str(&without_secrets(line));
            continue;
        }
        let mut data = line[config.len() + SEPARATOR.len()..].to_owned();
        while let Some(line) = lines.next_if(|line| path_of(line).is_none()) {
            data.push_str(line);
        }
        // The dump has added one line end to the data.
        let data = data.strip_suffix('\n').unwrap_or(&data);
        text.push_str(&dumped_node(job, &config, data));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    mod answers_of_others {
        use super::*;

        #[test]
        fn are_shown_without_secrets() {
            let theirs = "/share/config | cron: 0/3 * * * * ?\nprops: {mail.password: tiger, size: 1}\n\n\
                /share/ledger/items/0 | {\"cause\":\"cannot ask https://lion:tiger@ip1/\"}\n";
            let expected = "/share/config | cron: 0/3 * * * * ?\nprops:\n  \"mail.password\": \"[provided]\"\n  \"size\": 1\n\n\
                /share/ledger/items/0 | {\"cause\":\"cannot ask https://[provided]@ip1/\"}\n";
            assert_eq!(without_secrets_of("share", theirs), expected);
            assert_eq!(without_secrets_of("share", expected), expected);
        }

        #[test]
        fn stay_as_they_are_without_secrets() {
            for text in [
                "",
                "\n",
                "/share/config | cron: c\n\n/share/servers/ip1 | ENABLED\n",
                "/share/config | cron: c\n",
            ] {
                assert_eq!(without_secrets_of("share", text), text);
            }
        }
    }
}
