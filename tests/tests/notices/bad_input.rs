//! Settings that are wrong are told before anything runs.

use std::fs;

use elasticjob::prelude::*;

/// What the start of an application with this file says.
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
fn assert_told(fault: &str, expected: &[&str]) {
    for text in expected {
        assert!(fault.contains(text), "nothing of `{text}` in: {fault}");
    }
}

#[test]
fn everything_wrong_with_a_mail_should_be_told_at_once_with_its_place() -> anyhow::Result<()> {
    let props = "        email.host: mail.example.org\n        email.port: smtp\n        email.username: jobs\n        \
                 email.password: tiger\n        email.from: nobody\n        email.portt: 25\n";
    let fault = with("EMAIL", props)?;
    assert_told(
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
fn an_address_that_is_none_should_be_told_without_it() -> anyhow::Result<()> {
    for (handler, key) in [
        ("WECHAT", "wechat.webhook"),
        ("DINGTALK", "dingtalk.webhook"),
        ("FEISHU", "feishu.webhook"),
        ("SLACK", "slack.webhook"),
        ("WEBHOOK", "webhook.url"),
    ] {
        let fault = with(handler, &format!("        {key}: ftp://tiger.example.org\n"))?;
        assert_told(
            &fault,
            &[
                &format!("failing.props.{key}"),
                "expected a web address",
                "application.yaml:6",
            ],
        );
        assert!(!fault.contains("tiger"), "{fault}");
        let fault = with(handler, "        batch: 1\n")?;
        assert_told(
            &fault,
            &[&format!("failing.props.{key}"), "is missing, expected a web address"],
        );
    }
    Ok(())
}

#[test]
fn other_values_should_be_told_with_what_is_expected() -> anyhow::Result<()> {
    let with = |key_and_value: &str| {
        with(
            "WEBHOOK",
            &format!("        webhook.url: http://a\n        {key_and_value}\n"),
        )
    };
    assert_told(
        &with("webhook.method: GET")?,
        &["expected `POST` or `PUT`", "application.yaml:7"],
    );
    assert_told(
        &with("webhook.readTimeoutMilliseconds: 5s")?,
        &["expected a number of milliseconds"],
    );
    assert_told(&with("webhook.template: '{'")?, &["expected JSON with `{{job}}`"]);
    assert_told(
        &with("notify.interval: often")?,
        &["notify.interval", "`often`", "expected a duration"],
    );
    assert_told(&with("notify.intervall: 1m")?, &["did you mean `notify.interval`?"]);
    assert_eq!(with("notify.interval: 5m")?, "");
    Ok(())
}

#[test]
fn a_handler_that_there_is_not_should_be_told_with_those_that_there_are() -> anyhow::Result<()> {
    let fault = fault("elasticjob:\n  jobs:\n    failing: { job-error-handler-type: PAGER }\n")?;
    assert_told(
        &fault,
        &[
            "failing",
            "unknown error handler `PAGER`: expected one of DINGTALK, EMAIL, FEISHU, IGNORE, LOG, SLACK, THROW, WEBHOOK, WECHAT",
        ],
    );
    Ok(())
}
