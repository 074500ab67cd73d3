//! `EMAIL`: a mail by an SMTP server.

mod letter;
mod settings;

use std::sync::Arc;

use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tracing::{info, warn};

use self::letter::Letter;
use self::settings::{Encryption, Settings};
use crate::error_handler::factory::{ErrorHandlerFactory, ForJob, WithInterval};
use crate::error_handler::{JobErrorHandler, Notice, Notifier, Undelivered};

/// `EMAIL`.
pub(super) struct EmailFactory;

struct Email {
    job_name: Arc<str>,
    letter: Letter,
    server: String,
    /// A connection for each mail: failures are rare, and servers cut idle ones.
    transport: AsyncSmtpTransport<Tokio1Executor>,
    is_debug: bool,
}

/// A mail was not taken.
#[derive(Debug, thiserror::Error)]
#[error("mail server {server} did not take the mail")]
struct NotTaken {
    server: String,
    source: smtp::Error,
}

impl ErrorHandlerFactory for EmailFactory {
    type Properties = WithInterval<Settings>;

    fn make(&self, properties: Self::Properties, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        let Settings {
            host,
            port,
            credentials,
            letter,
            encryption,
            timeout,
            is_debug,
        } = properties.own;
        if credentials.is_some() && matches!(encryption, Encryption::None) {
            let hint = "set `email.useSsl` or `email.startTls`";
            warn!(
                job = job.job_name(),
                hint, "the password of the mail account is sent unencrypted"
            );
        }
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host)
            .port(port)
            .hello_name(hello_name(job.host()))
            .timeout(Some(timeout))
            .tls(tls(encryption));
        if let Some((user, password)) = credentials {
            transport = transport.credentials(Credentials::new(user, password.reveal().to_owned()));
        }
        let email = Email {
            job_name: job.job_name().into(),
            letter,
            server: format!("{host}:{port}"),
            transport: transport.build(),
            is_debug,
        };
        job.notifying(email, properties.interval)
    }
}

fn tls(encryption: Encryption<TlsParameters>) -> Tls {
    match encryption {
        Encryption::Always(parameters) => Tls::Wrapper(parameters),
        Encryption::StartTls(parameters) => Tls::Required(parameters),
        Encryption::None => Tls::None,
    }
}

/// Our name in the greeting: that of the host, if servers can read it.
fn hello_name(host: &str) -> ClientId {
    let is_readable = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
    if !host.is_empty() && host.chars().all(is_readable) {
        ClientId::Domain(host.to_owned())
    } else {
        ClientId::default()
    }
}

impl Notifier for Email {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        let mail = self.letter.about(notice)?;
        let answer = self.transport.send(mail).await.map_err(|error| self.not_taken(error))?;
        if self.is_debug {
            let answer: Vec<&str> = answer.message().collect();
            info!(job = %self.job_name, server = %self.server, answer = answer.join(" "), "mail sent");
        }
        Ok(())
    }
}

impl Email {
    fn not_taken(&self, error: smtp::Error) -> Undelivered {
        let is_final = error.is_permanent() || error.is_client() || error.is_response() || error.is_tls();
        // After a silence the mail may have been taken.
        let is_final = is_final || error.is_timeout();
        let cause = NotTaken {
            server: self.server.clone(),
            source: error,
        };
        if is_final {
            cause.into()
        } else {
            Undelivered::transient(cause)
        }
    }
}
