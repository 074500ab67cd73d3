//! Wrong settings are refused before anything runs.

use std::fs;

use elasticjob::prelude::*;

/// Returns what the start of an application with this file says.
fn fault(yaml: &str) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("application.yaml"), yaml)?;
    let failing = job("failing", async || Err::<(), _>("no disk")).sharding(1);
    let builder = ElasticJob::builder().without_discovery().environment([]).job(failing);
    let error = builder.directory(directory.path()).build().err();
    Ok(error.map(|error| error.to_string()).unwrap_or_default())
}

fn with(handler: &str, props: &str) -> anyhow::Result<String> {
    fault(&format!(
        "elasticjob:\n  jobs:\n    failing:\n      job-error-handler-type: {handler}\n      props:\n{props}"
    ))
}

#[track_caller]
fn assert_reported(fault: &str, expected: &[&str]) {
    for text in expected {
        assert!(fault.contains(text), "nothing of `{text}` in: {fault}");
    }
}

#[test]
fn reports_all_faults_of_a_mail_with_places() -> anyhow::Result<()> {
    let props = "        email.host: mail.example.org\n        email.port: smtp\n        email.username: jobs\n        \
                 email.password: tiger\n        email.from: people\n        email.portt: 25\n";
    let fault = with("EMAIL", props)?;
    assert_reported(
        &fault,
        &[
            "4 problems",
            "elasticjob.jobs.failing.props.email.port",
            "`smtp`",
            "expected a port from 1 to 65535",
            "application.yaml:7",
            "elasticjob.jobs.failing.props.email.from",
            "expected a mail address",
            "application.yaml:10",
            "elasticjob.jobs.failing.props.email.to",
            "is missing",
            "elasticjob.jobs.failing.props.email.portt",
            "did you mean `email.port`?",
        ],
    );
    assert!(!fault.contains("tiger"), "{fault}");
    Ok(())
}

#[test]
fn refuses_a_bad_address_without_showing_it() -> anyhow::Result<()> {
    for (handler, key) in [
        ("WECHAT", "wechat.webhook"),
        ("DINGTALK", "dingtalk.webhook"),
        ("FEISHU", "feishu.webhook"),
        ("SLACK", "slack.webhook"),
        ("WEBHOOK", "webhook.url"),
    ] {
        let fault = with(handler, &format!("        {key}: ftp://tiger.example.org\n"))?;
        assert_reported(
            &fault,
            &[
                &format!("failing.props.{key}"),
                "expected a web address",
                "application.yaml:6",
            ],
        );
        assert!(!fault.contains("tiger"), "{fault}");
        let fault = with(handler, "        batch: 1\n")?;
        assert_reported(
            &fault,
            &[&format!("failing.props.{key}"), "is missing, expected a web address"],
        );
    }
    Ok(())
}

#[test]
fn refuses_other_values_with_the_expected_ones() -> anyhow::Result<()> {
    let with = |key_and_value: &str| {
        with(
            "WEBHOOK",
            &format!("        webhook.url: http://a\n        {key_and_value}\n"),
        )
    };
    assert_reported(
        &with("webhook.method: GET")?,
        &["expected `POST` or `PUT`", "application.yaml:7"],
    );
    assert_reported(
        &with("webhook.readTimeoutMilliseconds: 5s")?,
        &["expected a number of milliseconds"],
    );
    assert_reported(&with("webhook.template: '{'")?, &["expected JSON with `{{job}}`"]);
    assert_reported(
        &with("notify.interval: often")?,
        &["notify.interval", "`often`", "expected a duration"],
    );
    assert_reported(&with("notify.intervall: 1m")?, &["did you mean `notify.interval`?"]);
    assert_eq!(with("notify.interval: 5m")?, "");
    Ok(())
}

#[test]
fn refuses_an_unknown_handler_with_the_known_ones() -> anyhow::Result<()> {
    let fault = fault("elasticjob:\n  jobs:\n    failing: { job-error-handler-type: PAGER }\n")?;
    assert_reported(
        &fault,
        &[
            "failing",
            "unknown error handler `PAGER`: expected one of DINGTALK, EMAIL, FEISHU, IGNORE, LOG, SLACK, THROW, WEBHOOK, WECHAT",
        ],
    );
    Ok(())
}
