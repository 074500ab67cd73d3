//! A pause of a whole job, as operators begin and end it.

use super::*;

const OURS: &str = r#"/job/ledger/members/a@-@1={"obeysPause":true}"#;

/// A job with a member of ours on `a`, a Java member on `b`, and `c` switched off by an operator.
async fn paused(by: &str) -> Cluster {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/servers/a=ENABLED",
        "/job/servers/b=ENABLED",
        "/job/servers/c=DISABLED",
        "/job/instances/a@-@1",
        "/job/instances/b@-@2",
        OURS,
        "/job/ledger/epoch={\"later\":\"shape\"}",
        "/job/sharding/0/instance=a@-@1",
        "/job/sharding/1/instance=a@-@1",
    ])
    .await;
    let note = cluster.operations.note(Some(by), Some("month end freeze"));
    let switched = cluster
        .operations
        .disable(&Target::job("job"), Some(note))
        .await
        .unwrap();
    assert_eq!(
        (&*switched[0].servers, switched[0].pause),
        (&["b".to_owned()][..], Some(PauseChange::Begun))
    );
    cluster
}

async fn shown(cluster: &Cluster) -> Vec<String> {
    let explained = cluster.operations.explain("job").await.unwrap();
    explained.findings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn is_shown_wherever_an_operator_looks() {
    let cluster = paused("alice").await;
    let brief = cluster.operations.job_brief("job").await.unwrap();
    assert_eq!((brief.status, brief.is_paused), (JobStatus::Paused, true));
    assert_eq!(brief.pause.and_then(|note| note.by).as_deref(), Some("alice"));
    let explained = cluster.operations.explain("job").await.unwrap();
    let first = explained.findings[0].to_string();
    assert!(
        first.starts_with("it is paused since ")
            && first.ends_with(" by alice: month end freeze: nothing of it starts"),
        "{first}"
    );
    let waits = |finding: &Finding| matches!(finding, Finding::Waits { .. });
    assert!(
        !explained.items.iter().any(|item| item.findings.iter().any(waits)),
        "{explained:?}"
    );
    let error = cluster.operations.trigger("job", None).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("job `job` is paused since ")
            && text.ends_with(" by alice: month end freeze: `enable` ends that"),
        "{text}"
    );
    assert_eq!(cluster.get("/job/trigger").await, None, "no instance is triggered");
    cluster.delete("/job/instances/a@-@1").await;
    cluster.delete("/job/instances/b@-@2").await;
    let brief = cluster.operations.job_brief("job").await.unwrap();
    assert_eq!((brief.status, brief.is_paused), (JobStatus::Crashed, true));
}

#[tokio::test]
async fn writes_the_epoch_as_it_is() {
    let cluster = paused("alice").await;
    assert_eq!(
        cluster.get("/job/ledger/epoch").await.as_deref(),
        Some(r#"{"later":"shape"}"#)
    );
    let answers = cluster
        .session
        .read(vec![Read::Data("/job/ledger/epoch".into())])
        .await
        .unwrap();
    assert!(
        matches!(&answers[0], Answer::Data(Some((_, stat))) if stat.version == 1),
        "{answers:?}"
    );
}

#[tokio::test]
async fn is_replaced_by_the_newest_word() {
    let cluster = paused("alice").await;
    let note = cluster.operations.note(Some("bob"), None);
    cluster
        .operations
        .disable(&Target::job("job"), Some(note))
        .await
        .unwrap();
    let brief = cluster.operations.job_brief("job").await.unwrap();
    assert_eq!(brief.pause.and_then(|note| note.by).as_deref(), Some("bob"));
    let switched = cluster.operations.enable(&Target::job("job")).await.unwrap();
    assert_eq!(
        (&*switched[0].servers, switched[0].pause),
        (&["b".to_owned()][..], Some(PauseChange::Ended))
    );
    assert_eq!(cluster.get("/job/servers/c").await.as_deref(), Some("DISABLED"));
    assert_eq!(cluster.get("/job/ledger/pause").await, None);
    assert_eq!(cluster.get("/job/ledger/notes/servers/b").await, None);
    assert!(shown(&cluster).await.iter().all(|finding| !finding.contains("paused")));
}

#[tokio::test]
async fn is_not_ended_by_an_operator_that_meant_an_earlier_one() {
    let cluster = paused("alice").await;
    let survey = cluster
        .operations
        .survey("job", crate::operation::survey::Depth::Whole)
        .await
        .unwrap();
    let meant = survey.view.pause.as_ref().unwrap().modified;
    cluster.operations.enable(&Target::job("job")).await.unwrap();
    let note = cluster.operations.note(Some("bob"), None);
    cluster
        .operations
        .disable(&Target::job("job"), Some(note))
        .await
        .unwrap();
    // The answer to the end of alice's was lost, and it is decided once more.
    let survey = cluster
        .operations
        .survey("job", crate::operation::survey::Depth::Whole)
        .await
        .unwrap();
    let error = crate::operation::pause::end(&survey, meant).map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, Error::Paused { note: Some(note), .. } if note.by.as_deref() == Some("bob")),
        "{error}"
    );
}

#[tokio::test]
async fn stays_for_a_server_that_is_switched_on() {
    let cluster = paused("alice").await;
    let switched = cluster
        .operations
        .enable(&Target::job_on_server("job", "c"))
        .await
        .unwrap();
    assert_eq!(switched[0].pause, Some(PauseChange::Stays));
    assert_eq!(cluster.get("/job/servers/c").await.as_deref(), Some("ENABLED"));
    assert!(cluster.get("/job/ledger/pause").await.is_some());
}

#[tokio::test]
async fn holds_although_its_note_cannot_be_read() {
    let cluster = paused("alice").await;
    cluster.put("/job/ledger/pause=a later shape").await;
    assert_eq!(
        shown(&cluster).await[0],
        "it is paused by an unknown operator: nothing of it starts"
    );
    let error = cluster.operations.trigger("job", None).await.unwrap_err();
    assert_eq!(error.to_string(), "job `job` is paused: `enable` ends that");
    cluster.operations.enable(&Target::job("job")).await.unwrap();
    assert_eq!(cluster.get("/job/ledger/pause").await, None);
    assert_eq!(cluster.get("/job/servers/b").await.as_deref(), Some("ENABLED"));
}

#[tokio::test]
async fn switches_a_thousand_servers() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}"), "/job/servers"]).await;
    for server in 0..1_001 {
        cluster.create(&format!("/job/servers/{server}"), "ENABLED").await;
    }
    let note = cluster.operations.note(Some("张伟"), Some(&"月末冻结".repeat(85)));
    let target = Target::job("job");
    let switched = cluster.operations.disable(&target, Some(note)).await.unwrap();
    assert_eq!(
        (switched[0].servers.len(), switched[0].pause),
        (1_001, Some(PauseChange::BegunUnkept))
    );
    assert_eq!(
        cluster.operations.enable(&target).await.unwrap()[0].servers.len(),
        1_001
    );
    let servers = cluster.operations.job("job").await.unwrap().servers;
    assert!(servers.iter().all(|server| server.switch == ServerSwitch::Enabled));
    let note = cluster.operations.note(None, Some(&"月".repeat(342)));
    let error = cluster.operations.disable(&target, Some(note)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the operator's name or the reason has 1026 bytes, the limit is 1024"
    );
}

#[tokio::test]
async fn goes_with_its_job() {
    let cluster = paused("alice").await;
    for node in [
        "/job/instances/a@-@1",
        "/job/instances/b@-@2",
        "/job/ledger/members/a@-@1",
    ] {
        cluster.delete(node).await;
    }
    cluster.operations.remove_job("job").await.unwrap();
    assert_eq!(cluster.get("/job/ledger/pause").await, None);
    let error = cluster.operations.disable(&Target::job("job"), None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no job `job` in the registry");
}
