use std::time::Duration;

use elasticjob_config::Secret;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::{Certificate, TlsParameters};

use super::letter::Letter;
use crate::property::{Accepts, Properties, Reader, accept};

/// What a mail server requires, and the recipients of the mails.
///
/// By default a connection is encrypted from its first byte and a user is named: a mail holds the failure of a job, and
/// a password must not cross a network in the clear.
pub(in crate::error_handler::channel) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) credentials: Option<(String, Secret)>,
    pub(super) letter: Letter,
    pub(super) encryption: Encryption<TlsParameters>,
    pub(super) timeout: Duration,
    pub(super) is_debug: bool,
}

/// How a connection is encrypted.
///
/// `T` stands for what the encryption needs.
pub(super) enum Encryption<T> {
    /// From the first byte.
    Always(T),
    /// After a greeting; without it nothing is sent.
    StartTls(T),
    None,
}

const HOST: Accepts<String> = Accepts::new("the name or address of a mail server", |text| {
    let text = text.trim();
    let is_host = |character: char| character.is_alphanumeric() || matches!(character, '-' | '.' | '_' | ':');
    text.chars().all(is_host).then(|| text.to_owned())
});

const ADDRESS: Accepts<Mailbox> = Accepts::explained("a mail address, such as `Jobs <jobs@example.org>`", mailbox);

const ADDRESSES: Accepts<Vec<Mailbox>> = Accepts::explained(
    "mail addresses, separated by commas, such as `a@example.org, b@example.org`",
    |text| text.split(',').map(mailbox).collect(),
);

const CERTIFICATES: Accepts<Certificate> = Accepts::explained("a file with certificates in PEM form", |path| {
    let pem = std::fs::read(path.trim()).map_err(|error| error.to_string())?;
    if !pem.windows(BEGIN.len()).any(|bytes| bytes == BEGIN) {
        return Err("there is none in it".to_owned());
    }
    Certificate::from_pem(&pem).map_err(|error| error.to_string())
});

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Reads a mail address.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    let text = text.trim();
    text.parse().map_err(|error| format!("`{text}` is none ({error})"))
}

impl Properties for Settings {
    const PREFIXES: &'static [&'static str] = &["email."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let host = reader.required("email.host", &HOST);
        let port = reader.required("email.port", &accept::PORT);
        let credentials = credentials(reader);
        let letter = letter(reader);
        let encryption = encryption(reader, host.as_deref());
        let is_debug = reader.with_default("email.debug", &accept::FLAG, "false");
        let timeout = reader.with_default("email.timeoutMilliseconds", &accept::MILLISECONDS, "10000");
        Some(Self {
            host: host?,
            port: port?,
            credentials: credentials?,
            letter: letter?,
            encryption: encryption?,
            timeout: timeout?,
            is_debug: is_debug?,
        })
    }
}

/// Reads the user and the password. They are required unless `email.auth` is false, and are then a fault.
fn credentials(reader: &mut Reader<'_>) -> Option<Option<(String, Secret)>> {
    let is_needed = reader.with_default("email.auth", &accept::FLAG, "true");
    if is_needed != Some(false) {
        let username = reader.required("email.username", &accept::TEXT);
        let password = reader.required("email.password", &accept::SECRET);
        return Some(Some((username?, password?)));
    }
    let problem = "is of no use with `email.auth: false`";
    let username = reader.optional("email.username", &accept::TEXT);
    let password = reader.optional("email.password", &accept::SECRET);
    if username.flatten().is_some() {
        reader.fault("email.username", problem);
    }
    if password.flatten().is_some() {
        reader.fault("email.password", problem);
    }
    Some(None)
}

/// Reads what each mail has in common.
fn letter(reader: &mut Reader<'_>) -> Option<Letter> {
    let from = reader.required("email.from", &ADDRESS);
    let to = reader.required("email.to", &ADDRESSES);
    let cc = reader.optional("email.cc", &ADDRESSES);
    let bcc = reader.optional("email.bcc", &ADDRESSES);
    let subject = reader.with_default("email.subject", &accept::TEXT, "ElasticJob error message");
    Some(Letter {
        from: from?,
        to: to?,
        cc: cc?.unwrap_or_default(),
        bcc: bcc?.unwrap_or_default(),
        subject: subject?,
    })
}

/// Reads how connections are encrypted, and makes ready what that needs: a certificate that cannot be used is found at
/// the start.
fn encryption(reader: &mut Reader<'_>, host: Option<&str>) -> Option<Encryption<TlsParameters>> {
    let is_always = reader.with_default("email.useSsl", &accept::FLAG, "true");
    let is_started = reader.with_default("email.startTls", &accept::FLAG, "false");
    let trusted = reader.optional("email.ssl.trust", &accept::TEXT);
    let certificates = reader.optional("email.ssl.caFile", &CERTIFICATES);
    let (is_always, is_started, trusted, certificates, host) =
        (is_always?, is_started?, trusted?, certificates?, host?);
    let encryption = match (is_always, is_started) {
        (true, true) => {
            let problem = "the connection is encrypted from its start already: \
                           set `email.useSsl` to false for a server that wants STARTTLS";
            reader.fault("email.startTls", problem);
            return None;
        }
        (true, false) => Encryption::Always,
        (false, true) => Encryption::StartTls,
        (false, false) => return Some(Encryption::None),
    };
    let mut parameters = TlsParameters::builder(host.to_owned())
        .dangerous_accept_invalid_certs(trusted.is_some_and(|trusted| is_trusted(host, &trusted)));
    if let Some(certificates) = certificates {
        parameters = parameters.add_root_certificate(certificates);
    }
    match parameters.build_rustls() {
        Ok(parameters) => Some(encryption(parameters)),
        Err(error) => {
            reader.fault("email.ssl.caFile", format!("cannot be used: {error}"));
            None
        }
    }
}

/// Returns whether a server is taken for what it says it is: one of these hosts, or any.
fn is_trusted(host: &str, trusted: &str) -> bool {
    let mut names = trusted.split([' ', ',']).map(str::trim);
    names.any(|name| name == "*" || name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::property;

    const COMPLETE: [(&str, &str); 6] = [
        ("email.host", "mail.example.org"),
        ("email.port", "465"),
        ("email.username", "jobs"),
        ("email.password", "tiger"),
        ("email.from", "jobs@example.org"),
        ("email.to", "a@example.org, B <b@example.org>"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Settings, String> {
        let props: BTreeMap<_, _> = COMPLETE
            .iter()
            .chain(changes)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        property::read(&props).map_err(|faults| faults.to_string())
    }

    fn check(changes: &[(&str, &str)], expect: &str) {
        let faults = read(changes).err().unwrap();
        assert!(faults.contains(expect), "{faults}");
        assert!(!faults.contains("tiger"), "{faults}");
    }

    #[test]
    fn defaults_should_be_those_of_java() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.letter.subject, "ElasticJob error message");
        assert_eq!(settings.letter.to.len(), 2);
        assert!(settings.letter.cc.is_empty() && settings.letter.bcc.is_empty());
        assert!(matches!(settings.encryption, Encryption::Always(_)));
        assert!(!settings.is_debug);
    }

    #[test]
    fn each_fault_should_name_the_key_the_value_and_what_is_expected() {
        check(
            &[("email.port", "smtp")],
            "`props.email.port` is `smtp`: expected a port from 1 to 65535",
        );
        check(&[("email.port", "0")], "`props.email.port` is `0`");
        check(&[("email.host", "")], "`props.email.host`: is missing");
        check(
            &[("email.host", "a b")],
            "`props.email.host` is `a b`: expected the name",
        );
        check(&[("email.password", "")], "`props.email.password`: is missing");
        check(&[("email.to", "a@example.org, b at example")], "`b at example` is none");
        check(
            &[("email.cc", "people")],
            "`props.email.cc` is `people`: expected mail addresses",
        );
        check(
            &[("email.useSsl", "yes")],
            "`props.email.useSsl` is `yes`: expected `true` or `false`",
        );
        check(&[("email.startTls", "true")], "set `email.useSsl` to false");
        check(&[("email.ssl.caFile", "/nowhere.pem")], "No such file");
        check(&[("email.sslTrust", "*")], "did you mean `email.ssl.trust`?");
        check(
            &[("email.auth", "false")],
            "`props.email.password` is `[provided]`: is of no use",
        );
        let faults = read(&[("email.host", ""), ("email.port", "x"), ("email.from", "y")])
            .err()
            .unwrap();
        assert_eq!(faults.matches("props.").count(), 3, "{faults}");
    }

    #[test]
    fn how_to_encrypt_should_be_chosen() {
        let encryption = |changes: &[_]| read(changes).unwrap().encryption;
        let plain = ("email.useSsl", "false");
        assert!(matches!(encryption(&[plain]), Encryption::None));
        assert!(matches!(
            encryption(&[plain, ("email.startTls", "true")]),
            Encryption::StartTls(_)
        ));
    }

    #[test]
    fn only_hosts_that_are_named_should_be_trusted_blindly() {
        assert!(is_trusted("Mail.example.org", "other, mail.example.org"));
        assert!(is_trusted("mail.example.org", "*"));
        assert!(!is_trusted("mail.example.org", "example.org"));
    }
}
