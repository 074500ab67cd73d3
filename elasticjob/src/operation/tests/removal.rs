//! Jobs, and what members left behind, that operators remove.

use super::*;

#[tokio::test]
async fn removes_a_job_only_without_instances() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/ledger/members/a@-@1={}",
        "/job/servers/a=ENABLED",
        "/job/foreign/node/deep/down=x",
        "/job2/config=x",
    ])
    .await;
    let operations = &cluster.operations;
    let error = operations.remove_job("job").await.unwrap_err();
    assert!(matches!(error, Error::Running { .. }), "{error}");
    let shut = operations.shut_down(&Target::job("job")).await.unwrap();
    assert_eq!(shut[0].servers, ["a"]);
    assert_eq!(cluster.get("/job/instances/a@-@1").await, None);
    let error = operations.remove_job("job").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "job `job` is served by a@-@1: shut it down first, and let them end their runs",
        "it is a member until its last run is recorded"
    );
    cluster.delete("/job/ledger/members/a@-@1").await;
    assert_eq!(operations.remove_job("job").await.unwrap(), 11);
    assert_eq!(cluster.get("/job").await, None);
    assert!(cluster.get("/job2/config").await.is_some());
    let error = operations.remove_job("job").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn what_is_stale_should_be_removed_and_nothing_else() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/servers/a=ENABLED",
        "/job/servers/gone=ENABLED",
        "/job/servers/off=DISABLED",
        "/job/trigger/a@-@1",
        "/job/trigger/b@-@1",
        "/job/sharding/0/instance=a@-@1",
        "/job/sharding/0/running=a@-@1",
        "/job/sharding/1/running=dead@-@1",
        "/job/sharding/2/instance=dead@-@1",
        "/job/sharding/3/running=a@-@1",
        "/job/leader/failover/items/1",
        "/job/leader/failover/items/7",
        "/job/ledger/notes/servers/a={\"at\":\"2026-01-01T00:00:00Z\"}",
        "/job/ledger/items/1={\"run\":{\"id\":\"r\",\"due\":0,\"attempt\":1,\"owner\":\"dead@-@1\",\"source\":\"schedule\"}}",
    ])
    .await;
    let expected = [
        "/leader/failover/items/7",
        "/ledger/notes/servers/a",
        "/servers/gone",
        "/sharding/1/running",
        "/sharding/2",
        "/sharding/2/instance",
        "/trigger/b@-@1",
    ];
    let operations = &cluster.operations;
    assert_eq!(operations.stale("job").await.unwrap(), expected);
    assert_eq!(operations.remove_stale("job").await.unwrap(), expected);
    assert_eq!(operations.stale("job").await.unwrap(), [""; 0]);
    for path in expected {
        assert_eq!(cluster.get(&format!("/job{path}")).await, None, "{path}");
    }
    let items = operations.items("job").await.unwrap();
    let run = items[1].run.as_ref().unwrap();
    assert_eq!(run.verdict, Some(Verdict::Lost), "the ledger says so");
}
