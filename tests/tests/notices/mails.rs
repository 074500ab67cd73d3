//! `EMAIL`, by a real mail server.

use elasticjob_tests::mail::{Encryption, MailServer, PASSWORD, REFUSED, USER};
use elasticjob_tests::zookeeper::free_port;

use crate::application::Application;

/// The props of a job, which a test changes.
struct Props(Vec<(&'static str, String)>);

impl Props {
    fn of(server: &MailServer) -> Self {
        Self(vec![
            ("email.host", "localhost".to_owned()),
            ("email.port", server.port().to_string()),
            ("email.username", USER.to_owned()),
            ("email.password", PASSWORD.to_owned()),
            ("email.from", "Jobs <jobs@example.org>".to_owned()),
            ("email.to", "a@example.org, b@example.org".to_owned()),
            ("email.ssl.caFile", server.authority().display().to_string()),
        ])
    }

    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, value.to_owned()));
        self
    }

    async fn start(&self) -> anyhow::Result<Application> {
        let props: Vec<_> = self.0.iter().map(|(key, value)| (*key, &**value)).collect();
        Application::start("EMAIL", &props).await
    }
}

#[tokio::test]
async fn a_failure_should_reach_everybody_over_tls_and_be_in_the_log() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::Tls).await?;
    let props = Props::of(&server)
        .with("email.cc", "c@example.org")
        .with("email.bcc", "d@example.org")
        .with("email.subject", "Jobs: Größe")
        .with("email.debug", "true");
    let application = props.start().await?;
    application.fail().await?;
    let mail = server.next().await?;
    assert!(mail.encrypted);
    assert_eq!((&*mail.user, &*mail.from), (USER, "jobs@example.org"));
    assert_eq!(
        mail.to,
        ["a@example.org", "b@example.org", "c@example.org", "d@example.org"]
    );
    for expected in [
        "To: a@example.org, b@example.org\r\n",
        "Cc: c@example.org\r\n",
        "From: Jobs <jobs@example.org>\r\n",
        "Subject: Jobs: =?utf-8?b?R3LDtsOfZQ==?=\r\n",
    ] {
        assert!(
            mail.content.contains(expected),
            "nothing of {expected:?} in {}",
            mail.content
        );
    }
    let text = mail.text();
    for expected in [
        "Job 'failing' exception occur in job processing, caused by cannot sync ",
        "caused by disk &lt;full&gt;",
    ] {
        assert!(text.contains(expected), "nothing of {expected:?} in {text}");
    }
    assert!(!mail.content.contains("d@example.org"), "{}", mail.content);
    let log = application
        .logs(&[
            "job failed job=\"failing\"",
            "cannot sync 1: disk <full>",
            "answer=\"taken\"",
        ])
        .await;
    assert!(!log.contains(PASSWORD), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_flood_should_be_one_mail_and_a_summary() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::Tls).await?;
    let application = Props::of(&server).start().await?;
    for _ in 0..5 {
        application.fail().await?;
    }
    let first = server.next().await?.text();
    assert!(first.contains("in job processing, caused by"), "{first}");
    application.stop().await;
    let summary = server.next().await?.text();
    assert!(
        summary.contains("in job processing 9 more times within 1m, last caused by"),
        "{summary}"
    );
    assert!(summary.contains("items: 0, 1 of 2"), "{summary}");
    assert_eq!(server.rest().await, 0);
    Ok(())
}

#[tokio::test]
async fn sends_every_failure_without_an_interval_by_mail() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::None).await?;
    let props = Props::of(&server)
        .with("email.useSsl", "false")
        .with("notify.interval", "0");
    let application = props.start().await?;
    for _ in 0..2 {
        application.fail().await?;
    }
    for _ in 0..4 {
        assert!(!server.next().await?.encrypted);
    }
    let log = application.stop().await;
    assert_eq!(server.rest().await, 0);
    assert!(
        log.contains("the password of the mail account is sent unencrypted"),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn a_connection_should_be_encrypted_after_a_greeting() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::StartTls).await?;
    let props = Props::of(&server)
        .with("email.useSsl", "false")
        .with("email.startTls", "true");
    let application = props.start().await?;
    application.fail().await?;
    let mail = server.next().await?;
    assert!(mail.encrypted && mail.user == USER, "{mail:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_should_be_sent_where_a_server_cannot_encrypt() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::None).await?;
    let props = Props::of(&server)
        .with("email.useSsl", "false")
        .with("email.startTls", "true");
    let application = props.start().await?;
    application.fail().await?;
    application.logs(&["notification not sent", "STARTTLS"]).await;
    application.stop().await;
    assert_eq!(server.rest().await, 0);
    Ok(())
}

#[tokio::test]
async fn a_server_should_be_trusted_by_its_certificate_or_by_name() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::Tls).await?;
    let unknown = Props::of(&server).with("email.ssl.caFile", "").start().await?;
    unknown.fail().await?;
    unknown.logs(&["notification not sent", "UnknownIssuer"]).await;
    unknown.stop().await;

    let trusted = Props::of(&server)
        .with("email.ssl.caFile", "")
        .with("email.ssl.trust", "localhost");
    let trusted = trusted.start().await?;
    trusted.fail().await?;
    assert!(server.next().await?.encrypted);
    Ok(())
}

#[tokio::test]
async fn a_refusal_should_be_logged_with_every_cause_and_the_job_live() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::Tls).await?;
    let name = format!("mail server localhost:{} did not take the mail", server.port());
    for (props, reason) in [
        (Props::of(&server).with("email.password", "lion"), "535"),
        (Props::of(&server).with("email.to", REFUSED), "no such mailbox here"),
        (
            Props::of(&server).with("email.port", &free_port()?.to_string()),
            "onnection refused",
        ),
    ] {
        let application = props.start().await?;
        application.fail().await?;
        let is_passing = reason == "onnection refused";
        if is_passing {
            application.logs(&["notification not sent, trying again", reason]).await;
        } else {
            application.logs(&["notification not sent", &name, reason]).await;
        }
        application.fail().await?;
        let log = application.stop().await;
        assert!(log.contains("notification not sent job=failing handler=EMAIL"), "{log}");
        assert!(!log.contains("lion"), "{log}");
    }
    assert_eq!(server.rest().await, 0);
    Ok(())
}

#[tokio::test]
async fn a_host_that_does_not_resolve_should_be_logged_and_the_job_live() -> anyhow::Result<()> {
    let server = MailServer::start(Encryption::Tls).await?;
    let application = Props::of(&server).with("email.host", "mail.invalid").start().await?;
    application.fail().await?;
    application.logs(&["mail server mail.invalid:", "trying again"]).await;
    application.fail().await?;
    Ok(())
}
