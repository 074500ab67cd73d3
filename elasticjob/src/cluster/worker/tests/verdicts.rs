//! Every scheduled time of an item has a verdict: of runs that no instance ends, and of times that come while something else
//! runs.

use super::*;
use crate::cluster::ledger::Record;
use crate::trace::LostRun;

/// At seconds 0, 20 and 40 of each minute.
fn every_twenty_seconds(total: u32) -> elasticjob_config::job::Builder {
    JobConfig::builder("job")
        .cron("0/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total)
}

impl Cluster {
    async fn record(&self, item: u32) -> Record {
        let ledger = self.data(&format!("/job/ledger/items/{item}")).await;
        Record::parse(ledger.expect("a ledger").as_bytes())
    }

    /// The newest times of an item that passed without a run: after, before, count and reason.
    async fn skipped(&self, item: u32) -> Option<(i64, i64, u64, String)> {
        let gap = self.record(item).await.skipped?;
        let second = |millis: i64| (millis - start().as_millisecond()) / 1000;
        Some((second(gap.after), second(gap.before), gap.count, gap.reason))
    }

    async fn trigger(&self, instance: &Instance, request: &str) {
        let (answer, answered) = oneshot::channel();
        let request = request.to_owned();
        let command = Command::Trigger { request, answer };
        instance.handle.commands.unbounded_send(command).unwrap();
        answered.await.unwrap().unwrap();
    }
}

fn lost(event: JobEvent) -> Option<(u32, LostRun)> {
    match event {
        JobEvent::Lost { item, run, .. } => Some((item, run?)),
        _ => None,
    }
}

mod runs {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_run_of_dead_owner_as_lost_with_the_next_claim() {
        for is_monitored in [true, false] {
            let mut cluster = Cluster::new().await;
            let config = every_twenty_seconds(1).monitor_execution(is_monitored).build().unwrap();
            let first = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(15)));
            cluster.until(25.0).await;
            let second = cluster.join("10.0.0.2", config, quick());
            first.kill();
            cluster.until(39.9).await;
            let mut events = second.events();
            let begun = cluster.record(0).await.run.expect("a run");
            cluster.until(45.0).await;
            let (item, run) = told(&mut events, lost).await;
            assert_eq!(
                (item, run.scheduled_time, &*run.instance),
                (0, at(20), &*first.id_before())
            );
            assert_eq!(run.run_id, begun.id);
            let record = cluster.record(0).await;
            let lost = record.lost.expect("the lost run");
            assert_eq!((&lost.id, lost.end), (&begun.id, Some(End::new(Verdict::Lost))));
            assert_eq!(record.run.expect("a run").due, at(40).as_millisecond());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_requests_of_a_run_that_is_lost() {
        let mut cluster = Cluster::new().await;
        let config = every_twenty_seconds(1).build().unwrap();
        let first = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(15)));
        cluster.until(55.0).await;
        cluster.trigger(&first, "q1").await;
        cluster.until(57.0).await;
        first.kill();
        let _second = cluster.join("10.0.0.2", config, quick());
        cluster.until(59.0).await;
        assert_eq!(cluster.record(0).await.answer_to("q1"), None);
        cluster.until(85.0).await;
        let record = cluster.record(0).await;
        assert_eq!(record.answer_to("q1"), Some(&End::new(Verdict::Lost)), "{record:?}");
    }
}

mod triggers {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn takes_no_scheduled_time_with_it() {
        for misfire in [true, false] {
            let mut cluster = Cluster::new().await;
            let config = every_twenty_seconds(1).misfire(misfire).build().unwrap();
            let only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(10)));
            cluster.until(35.0).await;
            cluster.trigger(&only, "q1").await;
            cluster.until(47.0).await;
            let made_up = cluster.history.all().into_iter().find(|ran| ran.due == at(40));
            let began = made_up.expect("made up").began;
            assert!(
                (45_000..45_500).contains(&began.as_millis()),
                "{began:?}, misfire {misfire}"
            );
            cluster.until(65.0).await;
            assert_eq!(cluster.record(0).await.skipped, None);
            cluster.history.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_the_times_after_the_one_made_up_to_misfire() {
        let mut cluster = Cluster::new().await;
        let config = every_twenty_seconds(1).misfire(false).build().unwrap();
        let only = cluster.join("10.0.0.1", config, lasting(Duration::from_secs(19)));
        cluster.until(39.5).await;
        cluster.trigger(&only, "q1").await;
        // Until 58.5; the time of 40 is made up until 77.5, when that of 60 is skipped.
        cluster.until(85.0).await;
        assert_eq!(cluster.history.count_at(at(40)), 1);
        assert_eq!(cluster.history.count_at(at(60)), 0);
        assert_eq!(cluster.history.count_at(at(80)), 1);
        let reason = "it came while the firing before it went on, and `misfire` is off";
        assert_eq!(cluster.skipped(0).await, Some((40, 80, 1, reason.to_owned())));
    }
}
