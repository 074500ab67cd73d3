//! One firing: what it writes, and answers that are lost.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_written_should_be_what_java_writes() {
    let mut cluster = Cluster::new().await;
    let config = JobConfig::builder("job")
        .cron("0/5 * * * * ?")
        .sharding_total_count(2)
        .build()
        .unwrap();
    let instance = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(2)));
    cluster.until(6.0).await;
    let id = instance.id();
    assert_eq!(cluster.data("/job").await.as_deref(), Some(""));
    assert_eq!(cluster.data("/job/config").await, Some(config.to_yaml()));
    assert_eq!(cluster.data("/job/servers/10.0.0.1").await.as_deref(), Some("ENABLED"));
    let node = format!("jobInstanceId: {id}\nserverIp: 10.0.0.1\n");
    assert_eq!(cluster.data(&format!("/job/instances/{id}")).await, Some(node));
    assert_eq!(cluster.data("/job/leader/election/instance").await.as_ref(), Some(&id));
    assert_eq!(
        cluster.children("/job/leader/election/latch").await,
        Vec::<String>::new()
    );
    assert_eq!(cluster.children("/job/leader/sharding").await, Vec::<String>::new());
    for item in 0..2 {
        assert_eq!(
            cluster.data(&format!("/job/sharding/{item}/instance")).await.as_ref(),
            Some(&id)
        );
        assert_eq!(
            cluster.data(&format!("/job/sharding/{item}/running")).await.as_ref(),
            Some(&id)
        );
    }
    cluster.until(8.0).await;
    assert_eq!(cluster.data("/job/sharding/0/running").await, None);
}

#[tokio::test(start_paused = true)]
async fn runs_once_after_a_lost_answer_to_a_claim() {
    for fate in [Fate::Applied, Fate::Dropped] {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_second(3), quick());
        cluster.until(4.9).await;
        only.link.cut_at_next_write(fate);
        cluster.until(5.3).await;
        only.link.heal();
        cluster.until(9.5).await;
        cluster.history.check();
        assert_eq!(cluster.history.count_at(at(5)), 3, "{fate:?}");
        assert_eq!(cluster.history.count_at(at(9)), 3, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn runs_once_the_registry_is_no_longer_busy() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(3), quick());
    cluster.until(4.9).await;
    only.link.be_busy_for("/running", 7);
    cluster.until(9.5).await;
    cluster.history.check();
    for second in [4, 5, 6, 9] {
        assert_eq!(cluster.history.count_at(at(second)), 3, "{second}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_an_end_once_the_registry_is_no_longer_busy() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), lasting(Duration::from_millis(500)));
    cluster.until(5.2).await;
    // More often than a refusal is put up with.
    only.link.be_busy_for("/ledger/items/", 20);
    cluster.until(5.9).await;
    for item in 0..2 {
        let ledger = cluster.data(&format!("/job/ledger/items/{item}")).await;
        assert!(ledger.is_some_and(|ledger| ledger.contains("succeeded")), "{item}");
        assert_eq!(cluster.data(&format!("/job/sharding/{item}/running")).await, None);
    }
    cluster.until(9.9).await;
    cluster.history.check();
    assert_eq!(cluster.history.count_at(at(9)), 2);
}

#[tokio::test(start_paused = true)]
async fn leaves_no_mark_after_a_lost_answer_to_an_end() {
    for fate in [Fate::Applied, Fate::Dropped] {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_second(2), lasting(Duration::from_millis(500)));
        cluster.until(5.2).await;
        only.link.cut_at_next_write(fate);
        cluster.until(5.7).await;
        only.link.heal();
        cluster.until(9.2).await;
        cluster.history.check();
        assert_eq!(cluster.history.count_at(at(9)), 2, "{fate:?}");
        cluster.until(9.9).await;
        assert_eq!(cluster.data("/job/sharding/0/running").await, None, "{fate:?}");
        assert!(
            cluster.data("/job/ledger/items/0").await.unwrap().contains("succeeded"),
            "{fate:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn compares_clocks_before_each_firing_if_configured() {
    let mut cluster = Cluster::new().await;
    let config = every_second(1)
        .to_builder()
        .max_time_diff(Some(Duration::from_secs(2)))
        .build()
        .unwrap();
    let _only = cluster.join("10.0.0.1", config, quick());
    cluster.until(3.5).await;
    assert_eq!(cluster.history.count_at(at(3)), 1, "the clocks agree");
    assert_eq!(cluster.data("/job/systemTime/current").await.as_deref(), Some(""));
}
