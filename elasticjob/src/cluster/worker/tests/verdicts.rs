//! Every scheduled time of an item has a verdict: of runs that no instance ends, of items that do not run, of times that come
//! while something else runs, and of the first times after a start or after the job grew.

use super::*;
use crate::cluster::ledger::{End, Reason, Record, Run, Verdict};
use crate::cluster::recent::Kept;
use crate::limits;
use crate::trace::{LostRun, SkippedTimes};

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

    /// Returns the newest times of an item that passed without a run: after, before, count and reason.
    async fn skipped(&self, item: u32) -> Option<(i64, i64, u64, String)> {
        let gap = self.record(item).await.skipped?;
        let second = |millis: i64| (millis - start().as_millisecond()) / 1000;
        Some((second(gap.after), second(gap.before), gap.count, gap.reason))
    }

    /// Returns the seconds at which an item was run.
    fn seconds(&self, item: u32) -> Vec<i64> {
        let runs = self.history.all().into_iter().filter(|ran| ran.item == item);
        runs.map(|ran| ran.due.as_second() - start().as_second()).collect()
    }
}

fn lost(event: JobEvent) -> Option<(u32, LostRun)> {
    match event {
        JobEvent::Lost { item, run, .. } => Some((item, run?)),
        _ => None,
    }
}

fn skipped(event: JobEvent) -> Option<(u32, SkippedTimes)> {
    match event {
        JobEvent::Skipped { item, times, .. } => Some((item, times)),
        _ => None,
    }
}

mod runs {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_other_instances_that_ended_meanwhile_hold_no_time_up() {
        let mut cluster = Cluster::new().await;
        let one = cluster.join("10.0.0.1", every_second(2), quick());
        let other = cluster.join("10.0.0.2", every_second(2), quick());
        cluster.until(5.5).await;
        let item = (0..2)
            .find(|item| cluster.history.at(at(5)).contains(&(*item, one.id())))
            .expect("each has one");
        // As if the other instance had claimed the item for later times just before the leader gave it to this one.
        let mut record = cluster.record(item).await;
        record = record.claimed(
            Run {
                id: "before".to_owned(),
                due: at(10).as_millisecond(),
                owner: other.id(),
                end: None,
                ..record.run.clone().expect("a run")
            },
            at(10),
            Kept::of(2),
        );
        let path = format!("/job/ledger/items/{item}");
        let text = |record: &Record| String::from_utf8(record.to_bytes()).unwrap();
        cluster.set(&path, &text(&record)).await;
        cluster.until(9.5).await;
        record.run.as_mut().expect("a run").end = Some(End::coded(Verdict::Skipped, Reason::GivenAway));
        cluster.set(&path, &text(&record)).await;
        cluster.until(12.5).await;
        let seconds: Vec<i64> = cluster.seconds(item).into_iter().filter(|second| *second > 5).collect();
        assert_eq!(seconds, [11, 12]);
    }

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
            let (item, run) = first_event(&mut events, lost).await;
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
        first.trigger("q1").await.unwrap();
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

mod items {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn accounts_for_times_of_an_item_that_is_switched_off() {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_twenty_seconds(2).build().unwrap(), quick());
        cluster.until(25.0).await;
        cluster.create("/job/sharding/1/disabled", "").await;
        cluster.until(35.0).await;
        let (mut events, before) = (only.events(), only.registry.counts());
        cluster.until(45.0).await;
        let off = |count: i64| {
            Some((
                20,
                20 * count + 21,
                u64::try_from(count).unwrap(),
                "switched off".to_owned(),
            ))
        };
        assert_eq!(cluster.skipped(1).await, off(1));
        cluster.until(65.0).await;
        assert_eq!(cluster.skipped(1).await, off(2), "one range of times");
        let counts = only.registry.counts() - before;
        assert_eq!(counts.writes, 2 * 2, "with the claims of item 0: {counts:?}");
        for second in [40, 60] {
            let (item, times) = first_event(&mut events, skipped).await;
            assert_eq!((item, times.count, &*times.reason), (1, 1, "switched off"));
            assert_eq!((times.after, times.before), (at(second - 20), at(second + 1)));
        }
        cluster.delete("/job/sharding/1/disabled").await;
        cluster.until(85.0).await;
        assert_eq!(cluster.skipped(1).await, off(2), "nothing is reported twice");
        assert_eq!(cluster.seconds(1), [20, 80]);
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_for_times_at_which_all_items_are_switched_off() {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", every_twenty_seconds(2).build().unwrap(), quick());
        cluster.until(25.0).await;
        for item in 0..2 {
            cluster.create(&format!("/job/sharding/{item}/disabled"), "").await;
        }
        cluster.until(35.0).await;
        let before = only.registry.counts();
        cluster.until(65.0).await;
        let counts = only.registry.counts() - before;
        assert_eq!(counts.writes, 2, "one a time: {counts:?}");
        for item in 0..2 {
            assert_eq!(
                cluster.skipped(item).await,
                Some((20, 61, 2, "switched off".to_owned()))
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_for_times_while_all_servers_are_switched_off() {
        let mut cluster = Cluster::new().await;
        let config = every_twenty_seconds(2).build().unwrap();
        let instances = [("10.0.0.1", config.clone()), ("10.0.0.2", config)];
        let instances = instances.map(|(ip, config)| cluster.join(ip, config, quick()));
        cluster.until(25.0).await;
        for ip in ["10.0.0.1", "10.0.0.2"] {
            cluster.set(&format!("/job/servers/{ip}"), "DISABLED").await;
        }
        cluster.until(65.0).await;
        for item in 0..2 {
            assert_eq!(
                cluster.skipped(item).await,
                Some((20, 61, 2, "switched off".to_owned()))
            );
        }
        drop(instances);
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_open_runs_to_their_takeover() {
        let _limits = limits::lower(1_000_000, 1);
        let mut cluster = Cluster::new().await;
        let config = every_twenty_seconds(2).failover(true).build().unwrap();
        let first = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(60)));
        let second = cluster.join("10.0.0.2", config, quick());
        cluster.until(22.0).await;
        let runs = cluster.history.at(at(20));
        let [item] = by(&runs, &first.id())[..] else {
            panic!("each has one: {runs:?}");
        };
        let run = cluster.record(item).await.run.expect("a run").id;
        for ip in ["10.0.0.1", "10.0.0.2"] {
            cluster.set(&format!("/job/servers/{ip}"), "DISABLED").await;
        }
        first.kill();
        cluster.until(85.0).await;
        let left = cluster.record(item).await.run.expect("a run");
        assert_eq!((left.id, left.end), (run.clone(), None));
        cluster.set("/job/servers/10.0.0.2", "ENABLED").await;
        cluster.until(95.0).await;
        assert_eq!(
            cluster.attempts(item, at(20)),
            [(1, first.id_before()), (2, second.id())]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_for_times_of_an_item_that_has_no_instance() {
        let mut cluster = Cluster::new().await;
        let config = every_twenty_seconds(2).sharding_strategy("LABEL");
        let config = config.prop("label.items", "0=gpu").build().unwrap();
        let able = cluster.join_labelled("10.0.0.1", 7, config.clone(), quick(), &["gpu"]);
        let other = cluster.join("10.0.0.2", config, quick());
        cluster.until(25.0).await;
        able.stop(Duration::ZERO).await;
        cluster.until(35.0).await;
        let before = other.registry.counts();
        cluster.until(65.0).await;
        let counts = other.registry.counts() - before;
        assert_eq!(counts.writes, 2 * 2, "with the claims of item 1: {counts:?}");
        assert_eq!(cluster.skipped(0).await, Some((20, 61, 2, "no instance".to_owned())));
        let late = cluster.join_labelled(
            "10.0.0.3",
            9,
            every_twenty_seconds(2).build().unwrap(),
            quick(),
            &["gpu"],
        );
        cluster.until(85.0).await;
        assert_eq!(by(&cluster.history.at(at(80)), &late.id()), [0]);
        assert_eq!(cluster.seconds(0), [20, 80]);
        assert_eq!(cluster.skipped(0).await, Some((20, 61, 2, "no instance".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_to_a_java_leader_what_has_no_instance() {
        let mut cluster = Cluster::new().await;
        let _only = cluster.join("10.0.0.1", every_twenty_seconds(2).build().unwrap(), quick());
        cluster.until(25.0).await;
        let java = "10.0.0.9@-@1";
        cluster.register_java(java).await;
        cluster.set("/job/leader/election/instance", java).await;
        cluster.delete("/job/sharding/1/instance").await;
        cluster.until(45.0).await;
        assert_eq!(
            cluster.record(1).await.until(at(45)),
            Some(at(20)),
            "it may have given it to a member of its own"
        );
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
            only.trigger("q1").await.unwrap();
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
        only.trigger("q1").await.unwrap();
        // Until 58.5; the time of 40 is made up until 77.5, when that of 60 is skipped.
        cluster.until(85.0).await;
        assert_eq!(cluster.history.count_at(at(40)), 1);
        assert_eq!(cluster.history.count_at(at(60)), 0);
        assert_eq!(cluster.history.count_at(at(80)), 1);
        let reason = "it came while the firing before it went on, and `misfire` is off";
        assert_eq!(cluster.skipped(0).await, Some((40, 80, 1, reason.to_owned())));
    }
}

mod starts {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn runs_a_time_that_comes_before_the_items_are_shared_out() {
        for misfire in [true, false] {
            let mut cluster = Cluster::new().await;
            let config = every_twenty_seconds(2).misfire(misfire).build().unwrap();
            cluster.until(19.9).await;
            let first = cluster.join("10.0.0.1", config.clone(), quick());
            cluster.until(20.05).await;
            assert_eq!(cluster.data("/job/sharding/0/instance").await, None);
            cluster.until(25.0).await;
            assert_eq!(cluster.history.count_at(at(20)), 2, "misfire {misfire}");
            first.stop(Duration::ZERO).await;
            cluster.until(39.9).await;
            let _again = cluster.join("10.0.0.1", config, quick());
            cluster.until(45.0).await;
            assert_eq!(cluster.history.count_at(at(40)), 2, "misfire {misfire}");
            for item in 0..2 {
                assert_eq!(cluster.record(item).await.skipped, None);
            }
            cluster.history.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn runs_a_time_that_comes_before_new_items_are_shared_out() {
        for misfire in [true, false] {
            let mut cluster = Cluster::new().await;
            let config = |total| every_twenty_seconds(total).misfire(misfire).build().unwrap();
            let _first = cluster.join("10.0.0.1", config(1), quick());
            let _second = cluster.join("10.0.0.2", config(1), quick());
            cluster.until(19.9).await;
            cluster.set("/job/config", &config(3).to_registry().yaml).await;
            cluster.until(45.0).await;
            for second in [20, 40] {
                assert_eq!(cluster.history.count_at(at(second)), 3, "{second}, misfire {misfire}");
            }
            cluster.history.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn runs_no_time_of_before_an_item_was_there() {
        let mut cluster = Cluster::new().await;
        let config = |total| every_twenty_seconds(total).build().unwrap();
        let _only = cluster.join("10.0.0.1", config(3), quick());
        cluster.until(25.0).await;
        cluster.set("/job/config", &config(1).to_registry().yaml).await;
        cluster.until(42.0).await;
        cluster.set("/job/config", &config(4).to_registry().yaml).await;
        cluster.until(65.0).await;
        assert_eq!(cluster.seconds(0), [20, 40, 60]);
        assert_eq!(cluster.seconds(1), [20, 60]);
        assert_eq!(cluster.seconds(3), [60]);
        assert_eq!(
            cluster.skipped(1).await,
            Some((20, 60, 1, "the job had fewer items".to_owned()))
        );
        assert_eq!(cluster.record(3).await.skipped, None);
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_for_a_time_that_new_items_could_not_run_at() {
        let mut cluster = Cluster::new().await;
        let config = |total| every_twenty_seconds(total).misfire(false).build().unwrap();
        let _only = cluster.join("10.0.0.1", config(1), lasting(Duration::from_secs(12)));
        cluster.until(19.9).await;
        cluster.set("/job/config", &config(2).to_registry().yaml).await;
        cluster.until(45.0).await;
        assert_eq!(cluster.seconds(1), [40]);
        let (after, before, count, reason) = cluster.skipped(1).await.expect("skipped times");
        assert_eq!((after, before, count, &*reason), (19, 40, 1, "too late"));
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_for_times_without_any_instance() {
        let mut cluster = Cluster::new().await;
        let config = every_twenty_seconds(1).build().unwrap();
        let first = cluster.join("10.0.0.1", config.clone(), quick());
        cluster.until(12.0).await;
        first.stop(Duration::ZERO).await;
        cluster.until(50.0).await;
        let _again = cluster.join("10.0.0.1", config, quick());
        cluster.until(65.0).await;
        let (_, before, count, reason) = cluster.skipped(0).await.expect("skipped times");
        assert_eq!((before, count, &*reason), (60, 2, "no instance ran the item"));
    }

    #[tokio::test(start_paused = true)]
    async fn runs_a_time_before_resharding_after_a_fast_clock() {
        let mut cluster = Cluster::new().await;
        cluster.clock.shift(jiff::SignedDuration::from_hours(24));
        let config = |total| every_twenty_seconds(total).misfire(false).build().unwrap();
        let _only = cluster.join("10.0.0.1", config(1), quick());
        tokio::time::sleep(Duration::from_secs(5)).await;
        cluster.clock.set(at(5));
        cluster.until(39.9).await;
        cluster.set("/job/config", &config(3).to_registry().yaml).await;
        cluster.until(45.0).await;
        assert_eq!(cluster.history.count_at(at(40)), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_each_item_once_after_a_late_join() {
        let mut cluster = Cluster::new().await;
        let config = every_twenty_seconds(4).misfire(false).build().unwrap();
        let _first = cluster.join("10.0.0.1", config.clone(), quick());
        cluster.until(19.9).await;
        let _second = cluster.join("10.0.0.2", config, quick());
        cluster.until(45.0).await;
        assert_eq!(cluster.history.count_at(at(20)), 4);
        assert_eq!(cluster.history.count_at(at(40)), 4);
        cluster.history.check();
    }
}
