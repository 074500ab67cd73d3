//! The health, the metrics and the events of a job.

use super::*;

/// At seconds 0, 20 and 40 of each minute.
fn every_twenty_seconds(total: u32) -> JobConfig {
    JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total)
        .build()
        .unwrap()
}

fn unaccounted(instance: &Instance) -> u64 {
    instance.handle.status.now().unaccounted
}

#[tokio::test(start_paused = true)]
async fn counts_times_without_instances_as_unaccounted() {
    let mut cluster = Cluster::new().await;
    let first = cluster.join("10.0.0.1", every_twenty_seconds(2), quick());
    cluster.until(35.0).await;
    assert_eq!(cluster.history.count_at(at(20)), 2);
    assert_eq!(unaccounted(&first), 0, "the time that was run has its verdict");
    first.stop(Duration::ZERO).await;
    cluster.until(90.0).await;
    let second = cluster.join("10.0.0.1", every_twenty_seconds(2), quick());
    cluster.until(99.5).await;
    assert_eq!(
        unaccounted(&second),
        2 * 3,
        "those of 40, 60 and 80 seconds, for each item"
    );
    cluster.until(115.0).await;
    assert_eq!(cluster.history.count_at(at(100)), 2);
    assert_eq!(unaccounted(&second), 0, "the claim has said what became of them");
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_switched_off_should_not_be_unaccounted() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_twenty_seconds(2), quick());
    cluster.until(35.0).await;
    cluster.create("/job/sharding/1/disabled", "").await;
    cluster.until(115.0).await;
    assert_eq!(by(&cluster.history.at(at(100)), &only.id()), [0]);
    assert_eq!(unaccounted(&only), 0);
}

#[tokio::test(start_paused = true)]
async fn accounts_for_times_during_a_firing() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(u64::from(item) * 70))));
    let only = cluster.join("10.0.0.1", every_twenty_seconds(2), work);
    for second in [35.0, 55.0, 75.0, 89.0] {
        cluster.until(second).await;
        assert_eq!(unaccounted(&only), 0, "at {second}");
    }
    // Made up at 90 seconds, with a word on the others.
    cluster.until(99.0).await;
    assert_eq!(unaccounted(&only), 0);
    assert_eq!(cluster.history.count_at(at(80)), 2);
}

#[tokio::test(start_paused = true)]
async fn accounts_for_a_skipped_time_with_its_reason() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_twenty_seconds(1), quick());
    cluster.until(35.0).await;
    // A leader that is none of ours is about to share the items out, and does not.
    let java = "10.0.0.9@-@1";
    cluster.register_java(java).await;
    cluster.set("/job/leader/election/instance", java).await;
    cluster.until(37.0).await;
    cluster.create("/job/leader/sharding/necessary", "").await;
    cluster.until(55.0).await;
    assert_eq!(cluster.history.count_at(at(40)), 0);
    assert_eq!(unaccounted(&only), 0, "its reason is known");
    cluster.delete("/job/leader/sharding/necessary").await;
    cluster.until(65.0).await;
    assert_eq!(cluster.history.count_at(at(60)), 1);
    let ledger = cluster.data("/job/ledger/items/0").await.unwrap();
    assert!(ledger.contains(r#""reason":"too late""#), "{ledger}");
}

#[tokio::test(start_paused = true)]
async fn shows_own_items_and_runs() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_twenty_seconds(3), lasting(Duration::from_secs(5)));
    let now = || only.handle.status.now();
    cluster.until(15.0).await;
    assert_eq!(
        (now().items, now().running, now().last_firing),
        (vec![0, 1, 2], 0, None)
    );
    cluster.until(22.0).await;
    assert_eq!(now().running, 3);
    assert_eq!(now().running_since.map(Timestamp::as_second), Some(at(20).as_second()));
    cluster.until(30.0).await;
    assert_eq!((now().running, now().running_since), (0, None));
    assert_eq!(now().last_firing.map(Timestamp::as_second), Some(at(20).as_second()));
    assert_eq!(only.handle.status.overdue(Instant::now()), Duration::ZERO);
    only.link.expire();
    only.link.cut();
    cluster.until(32.0).await;
    assert_eq!(now().items, Vec::<u32>::new(), "without a session nothing is ours");
}

#[cfg(feature = "prometheus")]
mod metrics {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    /// Returns the value of a series, by the text that Prometheus reads.
    fn value(rendered: &str, series: &str) -> Option<f64> {
        let line = rendered
            .lines()
            .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    #[tokio::test(start_paused = true)]
    async fn count_every_kind_of_event() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _here = ::metrics::set_default_local_recorder(&recorder);
        let of = |series: &str| value(&handle.render(), series);

        let mut cluster = Cluster::new().await;
        // Due at 5, 25 and 45 seconds.
        let first = cluster.join("10.0.0.1", with_failover(2), lasting(Duration::from_secs(2)));
        let second = cluster.join("10.0.0.2", with_failover(2), lasting(Duration::from_secs(2)));
        cluster.until(15.0).await;
        assert_eq!(
            of(r#"elasticjob_firings_total{job="job",source="schedule"}"#),
            Some(2.0)
        );
        assert_eq!(of(r#"elasticjob_runs_total{job="job",outcome="succeeded"}"#), Some(2.0));
        assert_eq!(of(r#"elasticjob_failovers_total{job="job"}"#), Some(0.0));
        let reshardings = of(r#"elasticjob_reshardings_total{job="job"}"#).unwrap();
        assert!((1.0..=2.0).contains(&reshardings), "{reshardings}");

        cluster.until(26.0).await;
        assert_eq!(
            of(r#"elasticjob_items_running{job="job"}"#),
            Some(1.0),
            "of the last who said so"
        );
        second.kill();
        cluster.until(44.0).await;
        assert_eq!(of(r#"elasticjob_failovers_total{job="job"}"#), Some(1.0));
        assert_eq!(
            of(r#"elasticjob_firings_total{job="job",source="failover"}"#),
            Some(1.0)
        );
        assert_eq!(of(r#"elasticjob_items_owned{job="job"}"#), Some(2.0));
        assert_eq!(of(r#"elasticjob_unaccounted_times{job="job"}"#), Some(0.0));

        first.stop(Duration::ZERO).await;
        assert_eq!(of(r#"elasticjob_items_owned{job="job"}"#), Some(0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn show_the_last_success_on_the_owner() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _here = ::metrics::set_default_local_recorder(&recorder);
        let last = |item: &str| {
            let series = format!("elasticjob_last_success_timestamp_seconds{{job=\"job\",item=\"{item}\"}}");
            value(&handle.render(), &series)
        };
        let seconds = |second: i64| Some(Duration::try_from(at(second).as_duration()).unwrap().as_secs_f64());

        let mut cluster = Cluster::new().await;
        let first = cluster.join("10.0.0.1", every_twenty_seconds(1002), lasting(Duration::from_secs(1)));
        cluster.until(15.0).await;
        assert_eq!(last("0"), None, "it has not run yet");
        cluster.until(30.0).await;
        assert!(last("0") >= seconds(21) && last("0") < seconds(22), "{:?}", last("0"));
        assert!(last("999") >= seconds(21) && last("1000+") >= seconds(21));
        assert_eq!(last("1000"), None, "the others share a series");
        first.stop(Duration::ZERO).await;
        assert!(last("0").is_some_and(f64::is_nan), "{:?}", last("0"));

        // From the ledger, which knows when it was due.
        let _second = cluster.join("10.0.0.2", every_twenty_seconds(1002), lasting(Duration::from_secs(1)));
        cluster.until(37.0).await;
        assert_eq!((last("0"), last("1000+")), (seconds(20), seconds(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn count_times_during_a_firing_as_misfires() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _here = ::metrics::set_default_local_recorder(&recorder);
        let of = |series: &str| value(&handle.render(), series);

        let mut cluster = Cluster::new().await;
        let _only = cluster.join("10.0.0.1", every_twenty_seconds(1), lasting(Duration::from_secs(50)));
        // From 20 to 70 seconds: 40 and 60 come meanwhile, the newer is made up and the older accounted for.
        cluster.until(75.0).await;
        assert_eq!(of(r#"elasticjob_misfires_total{job="job"}"#), Some(2.0));
        assert_eq!(of(r#"elasticjob_firings_total{job="job",source="misfire"}"#), Some(1.0));
        assert_eq!(of(r#"elasticjob_skipped_times_total{job="job"}"#), Some(1.0));
    }
}
