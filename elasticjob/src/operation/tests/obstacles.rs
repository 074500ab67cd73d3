//! What holds up a run that was asked for.

use std::time::Duration;

use super::*;

/// A job that `a` serves alone, and a run that was asked for.
async fn asked() -> (Cluster, Requested) {
    let cluster = cluster(&[
        &format!(
            "/job/config={}",
            CONFIG
                .replace(": 2", ": 4")
                .replace("0/5 * * * * ?", "0 0 0 1 1 ? 1999")
        ),
        "/job/instances/a@-@1",
        "/job/servers/a=ENABLED",
        "/job/leader/election/instance=a@-@1",
        "/job/ledger/members/a@-@1={}",
        "/job/sharding/0/instance=a@-@1",
        "/job/sharding/1/instance=a@-@1",
        "/job/sharding/2/instance=a@-@1",
        "/job/sharding/3/instance=a@-@1",
    ])
    .await;
    let requested = cluster.operations.trigger("job", None).await.unwrap();
    (cluster, requested)
}

/// What is said of it at this moment.
async fn said(cluster: &Cluster, requested: &Requested) -> Vec<(String, Vec<u32>)> {
    let run = cluster.operations.outcome(requested, Duration::ZERO).await.unwrap();
    let obstacles = run.obstacles.into_iter();
    obstacles
        .map(|obstacle| (obstacle.finding.to_string(), obstacle.items))
        .collect()
}

#[tokio::test]
async fn are_none_although_the_schedule_never_fires() {
    let (cluster, requested) = asked().await;
    assert_eq!(said(&cluster, &requested).await, []);
}

#[tokio::test]
async fn of_the_whole_job_come_alone_and_name_the_operator() {
    let (cluster, requested) = asked().await;
    let note = cluster.operations.note(Some("张伟"), Some("月末冻结"));
    let target = Target::job_on_server("job", "a");
    cluster.operations.disable(&target, Some(note)).await.unwrap();
    cluster.put("/job/sharding/1/instance=gone@-@1").await;
    let off = said(&cluster, &requested).await;
    assert_eq!(off.len(), 2, "{off:?}");
    assert_eq!(off[0].0, "all servers that have instances are switched off");
    assert!(off[1].0.ends_with(" by 张伟: 月末冻结"), "{off:?}");
    cluster.operations.disable(&Target::job("job"), None).await.unwrap();
    let paused = said(&cluster, &requested).await;
    assert!(paused[0].0.starts_with("it is paused"), "{paused:?}");
    cluster.operations.enable(&Target::job("job")).await.unwrap();
    cluster.delete("/job/instances/a@-@1").await;
    assert_eq!(said(&cluster, &requested).await[0].0, "no instance serves it");
}

#[tokio::test]
async fn of_items_are_said_together_and_only_while_these_have_not_ended() {
    let (cluster, requested) = asked().await;
    let run = |id: &str, request: &str| {
        format!(
            r#"{{"run":{{"id":"{id}","due":0,"attempt":1,"owner":"a@-@1","source":"trigger","requests":["{request}"]}}}}"#
        )
    };
    cluster.put("/job/sharding/1/running=a@-@1").await;
    cluster
        .put(&format!("/job/ledger/items/1={}", run("r1", "another")))
        .await;
    cluster.put("/job/sharding/2/running=a@-@1").await;
    cluster
        .put(&format!("/job/ledger/items/2={}", run("r2", "a third")))
        .await;
    cluster.put("/job/sharding/3/running=a@-@1").await;
    cluster
        .put(&format!("/job/ledger/items/3={}", run("r3", &requested.request)))
        .await;
    cluster.put("/job/sharding/0/instance=gone@-@1").await;
    assert_eq!(
        said(&cluster, &requested).await,
        [
            ("it was given to gone@-@1, which is gone".to_owned(), vec![0]),
            ("it runs on a@-@1".to_owned(), vec![1, 2]),
        ],
        "what was asked for holds nothing up"
    );
    let answered = format!(
        r#"{{"answered":{{"requests":["{}"],"end":{{"verdict":"succeeded"}}}}}}"#,
        requested.request
    );
    for item in [1, 2] {
        cluster.delete(&format!("/job/sharding/{item}/running")).await;
        cluster.put(&format!("/job/ledger/items/{item}={answered}")).await;
    }
    cluster.delete("/job/sharding/0/instance").await;
    cluster.put("/job/sharding/0/disabled").await;
    assert_eq!(
        said(&cluster, &requested).await,
        [],
        "an item that is switched off is skipped"
    );
}

#[tokio::test]
async fn are_shown_while_the_run_is_followed() {
    let (cluster, requested) = asked().await;
    cluster.put("/job/servers/a=DISABLED").await;
    let (seen, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let follow = cluster.operations.follow(&requested, Duration::from_secs(600), |run| {
        seen.send(run.obstacles.len()).unwrap();
    });
    let end = async {
        assert_eq!(heard.recv().await, Some(2));
        cluster.put("/job/servers/a=ENABLED").await;
        while heard.recv().await != Some(0) {}
        let answered = format!(
            r#"{{"answered":{{"requests":["{}"],"end":{{"verdict":"succeeded"}}}}}}"#,
            requested.request
        );
        for item in 0..4 {
            cluster.put(&format!("/job/ledger/items/{item}={answered}")).await;
        }
    };
    let (run, ()) = tokio::join!(follow, end);
    let run = run.unwrap();
    assert!(run.is_success() && run.obstacles.is_empty(), "{run:?}");
}
