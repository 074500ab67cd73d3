//! `WEBHOOK`, by a web server that looks at every byte.

use elasticjob_tests::hook::Hook;
use serde_json::json;

use crate::application::Application;

#[tokio::test]
async fn sends_a_filled_in_template_as_configured() -> anyhow::Result<()> {
    let hook = Hook::start("").await?;
    let url = hook.url("/v2/enqueue?a=b");
    let props = [
        ("webhook.url", &*url),
        ("webhook.method", "PUT"),
        ("webhook.authorization", "Bearer tiger"),
        (
            "webhook.template",
            r#"{"summary": "{{job}} on {{host}}", "custom": {"count": "{{count}}", "why": "{{causes}}"}, "severity": 1}"#,
        ),
    ];
    let application = Application::start("WEBHOOK", &props).await?;
    application.fail().await?;
    let request = hook.next().await?;
    assert_eq!(request.method, "PUT");
    assert_eq!(request.uri, "/v2/enqueue?a=b");
    assert_eq!(request.headers["authorization"], "Bearer tiger");
    assert_eq!(request.headers["content-type"], "application/json; charset=utf-8");
    let body = request.json()?;
    let summary = body["summary"].as_str().unwrap_or_default();
    assert!(
        summary.starts_with("failing on ") && summary.len() > "failing on ".len(),
        "{summary}"
    );
    let why = &body["custom"]["why"];
    assert!(
        why[0].as_str().is_some_and(|why| why.starts_with("cannot sync ")),
        "{why}"
    );
    assert_eq!(why[1], "disk <full>");
    assert_eq!(body["custom"]["count"], 1);
    assert_eq!(body["severity"], json!(1));
    let log = application.stop().await;
    assert!(!log.contains("tiger") && !log.contains("not delivered"), "{log}");
    Ok(())
}

#[tokio::test]
async fn without_a_template_everything_should_be_sent() -> anyhow::Result<()> {
    let hook = Hook::start("").await?;
    let application = Application::start("WEBHOOK", &[("webhook.url", &hook.url("/"))]).await?;
    application.fail().await?;
    let request = hook.next().await?;
    assert_eq!(request.method, "POST");
    assert!(!request.headers.contains_key("authorization"));
    let body = request.json()?;
    assert_eq!(body["job"], "failing");
    assert_eq!(body["shardingTotalCount"], 2);
    assert_eq!(body["attempt"], 1);
    assert!(
        body["item"].is_u64() && body["runId"].is_string() && body["instanceId"].is_string(),
        "{body}"
    );
    Ok(())
}
