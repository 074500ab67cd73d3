//! Runs that operators trigger, on all instances or on those of one server.

use std::time::Duration;

use super::*;

/// A job on two servers: one instance of ours and one of Java on `a`, one on `b`.
async fn shared() -> Cluster {
    cluster(&[
        &format!("/job/config={}", CONFIG.replace(": 2", ": 4")),
        "/job/servers/a=ENABLED",
        "/job/servers/b=ENABLED",
        "/job/servers/c=ENABLED",
        "/job/instances/a@-@1",
        "/job/instances/a@-@2",
        "/job/instances/b@-@1",
        "/job/ledger/members/a@-@1={}",
        "/job/ledger/members/b@-@1={}",
        "/job/sharding/0/instance=a@-@1",
        "/job/sharding/1/instance=b@-@1",
        "/job/sharding/2/instance=a@-@2",
        r#"/job/trigger/b@-@1=[{"requests":["earlier"]}]"#,
        "/job/trigger/gone@-@1",
    ])
    .await
}

#[tokio::test]
async fn ask_its_instances_and_no_others() {
    let cluster = shared().await;
    let requested = cluster.operations.trigger_on("job", "a", Some("五月")).await.unwrap();
    assert_eq!(requested.instances, ["a@-@1", "a@-@2"]);
    let trigger = cluster.get("/job/trigger/a@-@1").await.unwrap();
    assert!(
        trigger.contains(&requested.request) && trigger.contains("五月"),
        "{trigger}"
    );
    assert_eq!(
        cluster.get("/job/trigger/a@-@2").await.as_deref(),
        Some(""),
        "a Java member"
    );
    let other = cluster.get("/job/trigger/b@-@1").await.unwrap();
    assert_eq!(other, r#"[{"requests":["earlier"]}]"#);
    let run = cluster.operations.outcome(&requested, Duration::ZERO).await.unwrap();
    let items: Vec<u32> = run.items.keys().copied().collect();
    assert_eq!(items, [0, 2, 3], "item 3, which has no owner yet, may come to it");
    assert_eq!(run.items[&2], crate::starter::ItemOutcome::Unknown);
    assert!(!run.is_over());
}

#[tokio::test]
async fn count_an_item_that_has_moved_since() {
    let cluster = shared().await;
    cluster.put("/job/sharding/3/instance=b@-@1").await;
    let requested = cluster.operations.trigger_on("job", "a", None).await.unwrap();
    let request = &requested.request;
    let answered = format!(r#"{{"answered":{{"requests":["{request}"],"end":{{"verdict":"succeeded"}}}}}}"#);
    cluster.put(&format!("/job/ledger/items/0={answered}")).await;
    cluster.put("/job/sharding/0/instance=b@-@1").await;
    cluster.put("/job/sharding/2/instance=b@-@1").await;
    let run = cluster.operations.outcome(&requested, Duration::ZERO).await.unwrap();
    assert_eq!(run.items.keys().copied().collect::<Vec<_>>(), [0]);
    assert!(run.is_over() && run.is_success(), "{run:?}");
    let none = cluster.operations.trigger_on("job", "a", None).await.unwrap();
    let none = cluster.operations.outcome(&none, Duration::ZERO).await.unwrap();
    assert!(none.is_over() && !none.is_success(), "no item has run: {none:?}");
}

#[tokio::test]
async fn are_refused_without_an_instance() {
    let cluster = shared().await;
    let error = cluster.operations.trigger_on("job", "c", None).await.unwrap_err();
    assert_eq!(error.to_string(), "job `job` has no instance on server `c`");
    assert!(error.is_retryable());
    // A server is known by its whole address.
    let error = cluster.operations.trigger_on("job", "", None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no server `` of job `job`");
    assert!(error.is_not_found());
    assert!(
        cluster.get("/job/trigger/gone@-@1").await.is_some(),
        "nothing was written"
    );
}

#[tokio::test]
async fn refuses_a_trigger_without_an_instance() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}")]).await;
    let operations = &cluster.operations;
    let error = operations.trigger("job", None).await.unwrap_err();
    assert_eq!(error.to_string(), "job `job` has no instance that could run it");
    assert!(error.is_retryable());
    cluster.put("/job/instances/a@-@1").await;
    let error = operations.trigger("job", Some(&"x".repeat(2000))).await.unwrap_err();
    assert!(matches!(error, Error::ParameterTooLong { .. }), "{error}");
    let requested = operations.trigger("job", Some("x")).await.unwrap();
    assert_eq!(requested.instances, ["a@-@1"]);
    assert_eq!(
        cluster.get("/job/trigger/a@-@1").await.as_deref(),
        Some(""),
        "Java writes nothing into it"
    );
    for odd in ["", "no/such", "none"] {
        assert!(operations.trigger(odd, None).await.unwrap_err().is_not_found(), "{odd}");
    }
}
