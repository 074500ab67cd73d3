//! Servers and items that operators switch off, and instances that they drain.

use super::*;

#[tokio::test]
async fn shows_a_note_until_another_operator_switches() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}"), "/job/servers/a=ENABLED"]).await;
    let operations = &cluster.operations;
    let note = operations.note(Some("ann"), Some("disk full"));
    let target = Target::job_on_server("job", "a");
    operations.disable(&target, Some(note.clone())).await.unwrap();
    assert_eq!(cluster.get("/job/servers/a").await.as_deref(), Some("DISABLED"));
    operations.disable_item("job", 1, Some(note.clone())).await.unwrap();
    let report = operations.job("job").await.unwrap();
    assert_eq!(report.servers[0].disabled.as_ref(), Some(&note));
    assert_eq!(operations.items("job").await.unwrap()[0].disabled.as_ref(), Some(&note));
    let explained = operations.explain("job").await.unwrap();
    let said: Vec<String> = explained.items[1].findings.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("by ann: disk full"), "{said:?}");

    // As the Java console does it.
    cluster.put("/job/servers/a=ENABLED").await;
    cluster.put("/job/servers/a=DISABLED").await;
    let report = operations.job("job").await.unwrap();
    assert_eq!(report.servers[0].disabled, None, "another operator did that");

    operations.enable(&target).await.unwrap();
    operations.enable_item("job", 1).await.unwrap();
    assert_eq!(cluster.get("/job/servers/a").await.as_deref(), Some("ENABLED"));
    assert_eq!(cluster.get("/job/sharding/1/disabled").await, None);
    assert_eq!(cluster.get("/job/ledger/notes/servers/a").await, None);
    assert_eq!(cluster.get("/job/ledger/notes/items/1").await, None);
}

#[tokio::test]
async fn switches_a_server_in_all_its_jobs() {
    let cluster = cluster(&[
        &format!("/one/config={}", CONFIG.replace("job\n", "one\n")),
        "/one/servers/a=ENABLED",
        "/one/servers/b=ENABLED",
        "/two/servers/a=ENABLED",
        "/three/servers/b=ENABLED",
        "/one/instances/a@-@1",
        "/one/instances/a2@-@1",
    ])
    .await;
    let operations = &cluster.operations;
    let switched = operations.disable(&Target::server("a"), None).await.unwrap();
    let jobs: Vec<_> = switched.iter().map(|switched| switched.job_name.as_str()).collect();
    assert_eq!(jobs, ["one", "two"]);
    for (path, expected) in [
        ("/one/servers/a", "DISABLED"),
        ("/two/servers/a", "DISABLED"),
        ("/one/servers/b", "ENABLED"),
        ("/three/servers/b", "ENABLED"),
    ] {
        assert_eq!(cluster.get(path).await.as_deref(), Some(expected), "{path}");
    }
    let on_server = operations.jobs_on_server("a").await.unwrap();
    let shown: Vec<_> = on_server
        .iter()
        .map(|job| (job.job_name.as_str(), job.status, job.instance_count))
        .collect();
    assert_eq!(
        shown,
        [("one", JobStatus::Disabled, 1), ("two", JobStatus::Disabled, 0)]
    );

    operations.remove(&Target::server("a")).await.unwrap();
    assert_eq!(cluster.get("/one/servers/a").await, None);
    assert_eq!(cluster.get("/one/instances/a@-@1").await, None);
    assert!(cluster.get("/one/instances/a2@-@1").await.is_some(), "another server");
    let error = operations.enable(&Target::server("a")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no server `a`");
    let error = operations.enable(&Target::job_on_server("one", "c")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no server `c` of job `one`");
}

#[tokio::test]
async fn only_an_instance_of_ours_should_be_drained() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/instances/b@-@1",
        "/job/ledger/members/a@-@1={\"labels\":[\"gpu\"]}",
        "/job/leader/election/instance=b@-@1",
    ])
    .await;
    let operations = &cluster.operations;
    let drained = operations.drain("a@-@1").await.unwrap();
    assert!(!drained[0].is_effective, "a Java member leads");
    let instances = operations.job("job").await.unwrap().instances;
    assert_eq!(
        instances
            .iter()
            .map(|instance| instance.is_draining)
            .collect::<Vec<_>>(),
        [true, false]
    );
    operations.undrain("a@-@1").await.unwrap();
    let member = cluster.get("/job/ledger/members/a@-@1").await;
    assert_eq!(member.as_deref(), Some(r#"{"draining":false,"labels":["gpu"]}"#));
    assert!(!operations.job("job").await.unwrap().instances[0].is_draining);
    assert!(matches!(operations.drain("b@-@1").await, Err(Error::NotOurs { .. })));
    assert!(matches!(
        operations.drain("c@-@1").await,
        Err(Error::NoSuchInstance { .. })
    ));
}
