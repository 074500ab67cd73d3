//! Real mail servers, with TLS and authentication, which keep what they are sent.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::certificates::Certificates;

/// How long a server may take to start, or a mail to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Debian's, which has the modules of Debian's packages.
const PYTHON: &str = "/usr/bin/python3";

/// The account that may send mail.
pub const USER: &str = "jobs";

/// Its password.
pub const PASSWORD: &str = "tiger";

/// A mail that no server of these takes: to this address.
pub const REFUSED: &str = "refused@example.org";

/// How connections to a server are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte.
    Tls,
    /// After a greeting; without it the server takes nothing.
    StartTls,
    /// Not at all.
    None,
}

/// A mail server at `localhost`. Dropping it ends it.
#[derive(Debug)]
pub struct MailServer {
    /// The end of its input ends it, as the end of this process does.
    process: Child,
    port: u16,
    certificates: Certificates,
    /// Unbounded: a server that is not listened to must not block.
    lines: Mutex<mpsc::UnboundedReceiver<String>>,
}

/// A mail as the server took it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// The sender, as the envelope has it.
    pub from: String,
    /// All recipients.
    pub to: Vec<String>,
    /// With all headers; long lines are broken.
    pub content: String,
    /// Who had logged in.
    pub user: String,
    /// Whether it came by TLS.
    pub encrypted: bool,
}

impl Mail {
    /// Returns what stands below the headers, with lines as long as they were written.
    #[must_use]
    pub fn text(&self) -> String {
        let text = self.content.split_once("\r\n\r\n").map(|(_headers, text)| text);
        text.unwrap_or_default().replace("=\r\n", "")
    }
}

#[derive(Deserialize)]
struct Started {
    port: u16,
}

impl MailServer {
    /// Starts a server.
    ///
    /// # Errors
    /// When `openssl` or the package `python3-aiosmtpd` is missing.
    pub async fn start(encryption: Encryption) -> anyhow::Result<Self> {
        let certificates = Certificates::make()?;
        let program = certificates.directory().join("server.py");
        fs::write(&program, include_str!("mail_server.py"))?;
        let encryption = match encryption {
            Encryption::Tls => "tls",
            Encryption::StartTls => "starttls",
            Encryption::None => "none",
        };
        let mut process = Command::new(PYTHON)
            .arg(program)
            .arg(encryption)
            .arg(certificates.directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {PYTHON}"))?;
        let output = process.stdout.take().context("the server has no output")?;
        let (sender, mut lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines
                .take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        let started = timeout(PATIENCE, lines.recv()).await?;
        let started = started.context("no mail server: these tests need the package python3-aiosmtpd")?;
        Ok(Self {
            process,
            port: serde_json::from_str::<Started>(&started)?.port,
            certificates,
            lines: Mutex::new(lines),
        })
    }

    /// Its port at `localhost`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the certificate of the authority that its own one is of.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.certificates.authority()
    }

    /// Waits for the next mail.
    ///
    /// # Errors
    /// When none comes.
    pub async fn next(&self) -> anyhow::Result<Mail> {
        let mut lines = self.lines.lock().await;
        let line = timeout(PATIENCE, lines.recv()).await.context("no mail comes")?;
        Ok(serde_json::from_str(&line.context("the mail server is gone")?)?)
    }

    /// Mails that came and were not asked for.
    pub async fn rest(&self) -> usize {
        let mut lines = self.lines.lock().await;
        std::iter::from_fn(|| lines.try_recv().ok()).count()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It is gone, or will be.
        let _ = self.process.wait();
    }
}
