//! `WECHAT`, `DINGTALK`, `FEISHU` and `SLACK`, by a web server that looks at every byte.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use elasticjob_tests::hook::{Answer, Hook, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::application::Application;

const TAKEN: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

/// How the text about a failure begins.
const BEGINNING: &str = "Job 'failing' exception occur in job processing, caused by cannot sync ";

/// Base64 of HMAC-SHA256, by another program.
fn signed(key: &str, message: &str) -> anyhow::Result<String> {
    let mut openssl = Command::new("sh")
        .args([
            "-c",
            "openssl dgst -sha256 -mac HMAC -macopt \"key:$1\" -binary | base64",
            "sh",
            key,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = openssl.stdin.take().context("no input")?;
    stdin.write_all(message.as_bytes())?;
    drop(stdin);
    let output = openssl.wait_with_output()?;
    ensure!(output.status.success(), "openssl fails");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Returns the pairs of a query, decoded.
fn query(request: &Request) -> anyhow::Result<BTreeMap<String, String>> {
    let pairs = request.uri.query().unwrap_or_default().split('&');
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').context("a pair")?;
            Ok((name.to_owned(), decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> anyhow::Result<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2).context("two digits")?;
        bytes.push(u8::from_str_radix(code, 16)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(String::from_utf8(bytes)?)
}

fn is_now(milliseconds: i64) -> bool {
    let time = Timestamp::from_millisecond(milliseconds).expect("robots know times of today");
    Timestamp::now().duration_since(time).abs() < SignedDuration::from_mins(5)
}

/// Checks all but the body and the address.
fn assert_post(request: &Request) {
    assert_eq!(request.method, "POST");
    assert_eq!(request.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(request.headers["content-length"], request.body.len().to_string());
    assert!(request.headers["user-agent"].as_bytes().starts_with(b"elasticjob/"));
    assert!(!request.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_wechat_robot_should_be_sent_a_text() -> anyhow::Result<()> {
    let hook = Hook::start(TAKEN).await?;
    let application = Application::start("WECHAT", &[("wechat.webhook", &hook.url("/send?key=tiger"))]).await?;
    application.fail().await?;
    let request = hook.next().await?;
    assert_post(&request);
    assert_eq!(request.uri, "/send?key=tiger");
    let body = request.json()?;
    let text = body["text"]["content"].as_str().unwrap_or_default();
    assert!(
        text.starts_with(BEGINNING) && text.contains("caused by disk <full>"),
        "{text}"
    );
    assert_eq!(body, json!({"msgtype": "text", "text": {"content": text}}));
    let log = application.stop().await;
    assert!(!log.contains("tiger"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_dingtalk_robot_should_be_sent_a_signed_text_with_its_keyword() -> anyhow::Result<()> {
    let hook = Hook::start(TAKEN).await?;
    for path in ["/send?access_token=x", "/send"] {
        let url = hook.url(path);
        let props = [
            ("dingtalk.webhook", &*url),
            ("dingtalk.keyword", "Alarm: "),
            ("dingtalk.secret", "SEC+tiger/="),
        ];
        let application = Application::start("DINGTALK", &props).await?;
        application.fail().await?;
        let request = hook.next().await?;
        assert_post(&request);
        assert_eq!(request.uri.path(), "/send");
        let query = query(&request)?;
        assert_eq!(query.contains_key("access_token"), path.contains('?'), "{query:?}");
        assert!(is_now(query["timestamp"].parse()?), "{query:?}");
        let message = format!("{}\nSEC+tiger/=", query["timestamp"]);
        assert_eq!(query["sign"], signed("SEC+tiger/=", &message)?);
        let body = request.json()?;
        let text = body["text"]["content"].as_str().unwrap_or_default();
        assert!(text.starts_with(&format!("Alarm: {BEGINNING}")), "{text}");
        assert_eq!(body, json!({"msgtype": "text", "text": {"content": text}}));
        let log = application.stop().await;
        assert!(!log.contains("tiger"), "{log}");
        // The summary of the second item.
        hook.next().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_dingtalk_robot_without_a_secret_should_be_sent_no_signature() -> anyhow::Result<()> {
    let hook = Hook::start(TAKEN).await?;
    let application = Application::start("DINGTALK", &[("dingtalk.webhook", &hook.url("/send?a=b%2Fc"))]).await?;
    application.fail().await?;
    assert_eq!(hook.next().await?.uri, "/send?a=b%2Fc");
    Ok(())
}

#[tokio::test]
async fn a_feishu_robot_should_be_sent_a_text_with_its_signature_inside() -> anyhow::Result<()> {
    for taken in [
        r#"{"code":0,"msg":"success","data":{}}"#,
        r#"{"StatusCode":0,"StatusMessage":"success"}"#,
    ] {
        let hook = Hook::start(taken).await?;
        let url = hook.url("/hook/abc");
        let props = [("feishu.webhook", &*url), ("feishu.secret", "tiger")];
        let application = Application::start("FEISHU", &props).await?;
        application.fail().await?;
        let request = hook.next().await?;
        assert_post(&request);
        assert_eq!(request.uri, "/hook/abc");
        let body = request.json()?;
        let timestamp = body["timestamp"].as_str().context("a text")?;
        assert!(is_now(timestamp.parse::<i64>()? * 1000), "{timestamp}");
        assert_eq!(body["sign"], signed(&format!("{timestamp}\ntiger"), "")?);
        let text = body["content"]["text"].as_str().context("a text")?;
        assert!(text.starts_with(BEGINNING), "{text}");
        assert_eq!(body["msg_type"], "text");
        let log = application.stop().await;
        assert!(!log.contains("not delivered"), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn sends_slack_a_text_without_mentions() -> anyhow::Result<()> {
    let hook = Hook::start("ok").await?;
    let application = Application::start("SLACK", &[("slack.webhook", &hook.url("/services/T/B/x"))]).await?;
    application.fail().await?;
    let request = hook.next().await?;
    assert_post(&request);
    let body = request.json()?;
    let text = body["text"].as_str().context("a text")?;
    assert!(
        text.starts_with(BEGINNING) && text.contains("disk &lt;full&gt;"),
        "{text}"
    );
    assert_eq!(body, json!({ "text": text }));
    Ok(())
}

#[tokio::test]
async fn a_refusal_should_be_logged_with_its_reason() -> anyhow::Result<()> {
    let hook = Hook::start(TAKEN).await?;
    let url = hook.url("/send?access_token=tiger");
    let props = [("dingtalk.webhook", &*url), ("notify.interval", "0")];
    let cases: [(u16, &str, &[&str]); 4] = [
        (
            200,
            r#"{"errcode":310000,"errmsg":"keywords not in content"}"#,
            &["code 310000", "keywords not in content"],
        ),
        (404, "gone", &["status 404: gone"]),
        (302, "elsewhere", &["status 302: elsewhere"]),
        (200, "<html>", &["does not say whether it took the notice: <html>"]),
    ];
    for (status, body, expected) in cases {
        let application = Application::start("DINGTALK", &props).await?;
        hook.answer(Answer::With(status, body));
        application.fail().await?;
        application.logs(expected).await;
        let log = application.stop().await;
        assert!(
            log.contains("notification not sent job=failing handler=DINGTALK attempts=1"),
            "{log}"
        );
        assert!(!log.contains("tiger"), "{log}");
        assert_eq!(hook.rest().await, 2, "one for each item");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_too_busy_should_be_asked_again() -> anyhow::Result<()> {
    let hook = Hook::start(TAKEN).await?;
    hook.answer(Answer::With(503, "slowly"));
    let application = Application::start("WECHAT", &[("wechat.webhook", &hook.url("/"))]).await?;
    application.fail().await?;
    let (first, second) = (hook.next().await?, hook.next().await?);
    assert_eq!(first.body, second.body);
    let log = application.stop().await;
    assert!(
        log.contains("status 503: slowly") && !log.contains("ERROR elasticjob::error_handler::notify"),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_answers_should_hold_up_no_job() -> anyhow::Result<()> {
    let hook = Hook::start(TAKEN).await?;
    hook.answer(Answer::Never);
    let url = hook.url("/send?key=tiger");
    let props = [("wechat.webhook", &*url), ("wechat.readTimeoutMilliseconds", "500")];
    let application = Application::start("WECHAT", &props).await?;
    application.fail().await?;
    let log = application
        .logs(&["notification not sent", "no answer of 127.0.0.1", "timed out"])
        .await;
    assert!(!log.contains("tiger"), "{log}");
    application.fail().await?;
    Ok(())
}

#[tokio::test]
async fn a_host_that_does_not_resolve_should_be_logged_and_the_job_live() -> anyhow::Result<()> {
    let props = [("slack.webhook", "http://chat.invalid/services/tiger")];
    let application = Application::start("SLACK", &props).await?;
    application.fail().await?;
    let log = application
        .logs(&["no answer of chat.invalid", "trying again", "dns"])
        .await;
    assert!(!log.contains("tiger"), "{log}");
    application.fail().await?;
    Ok(())
}
