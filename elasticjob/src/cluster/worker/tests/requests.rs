//! Runs of single items that an operator asks for.

use super::*;
use crate::cluster::ledger::Record;
use crate::operation::{Error, Requested};
use crate::run::{ItemOutcome, Source};

impl Cluster {
    async fn ask(&self, item: u32, parameter: Option<&str>) -> Result<Requested, Error> {
        self.operations().trigger_item("job", item, parameter).await
    }

    /// Returns the items that began at this second or later, in their order.
    fn begun_since(&self, second: f64) -> Vec<u32> {
        let since = Duration::from_secs_f64(second);
        let runs = self.history.all().into_iter().filter(|ran| ran.began >= since);
        runs.map(|ran| ran.item).collect()
    }

    async fn requests(&self) -> Vec<String> {
        self.children("/job/ledger/requests").await
    }
}

#[tokio::test(start_paused = true)]
async fn runs_that_item_once_and_no_other() {
    let mut cluster = Cluster::new().await;
    let _instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, with_failover(4), quick()));
    cluster.until(7.0).await;
    let requested = cluster.ask(2, Some("五月")).await.unwrap();
    assert_eq!(requested.instances.len(), 1);
    cluster.until(8.0).await;
    assert_eq!(cluster.begun_since(7.0), [2]);
    assert_eq!(cluster.requests().await, [""; 0]);
    let data = cluster.data("/job/ledger/items/2").await.unwrap();
    let run = Record::parse(data.as_bytes()).run.unwrap();
    assert_eq!((run.source, run.parameter.as_deref()), (Source::Trigger, Some("五月")));
    let run = cluster.operations().outcome(&requested, Duration::ZERO).await.unwrap();
    assert_eq!(run.items.into_iter().collect::<Vec<_>>(), [(2, ItemOutcome::Succeeded)]);
    cluster.until(26.0).await;
    assert_eq!(cluster.history.count_at(at(25)), 4);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn is_carried_out_once_although_the_owner_dies() {
    let mut cluster = Cluster::new().await;
    let without_failover = with_failover(1).to_builder().failover(false).build().unwrap();
    let first = cluster.join("10.0.0.1", without_failover.clone(), quick());
    let second = cluster.join("10.0.0.2", without_failover, quick());
    cluster.until(7.0).await;
    let owner = if cluster.history.at(at(5))[0].1 == first.id() {
        &first
    } else {
        &second
    };
    owner.link.cut();
    let requested = cluster.ask(0, None).await.unwrap();
    owner.kill();
    cluster.until(24.0).await;
    assert_eq!(cluster.begun_since(7.0), [0]);
    let run = cluster.operations().outcome(&requested, Duration::ZERO).await.unwrap();
    assert!(run.is_success(), "{run:?}");
    assert_eq!(cluster.requests().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn comes_after_the_run_that_goes_on_each_parameter_for_itself() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", with_failover(2), lasting(Duration::from_secs(4)));
    cluster.until(7.0).await;
    for parameter in ["a", "b", "a"] {
        cluster.ask(1, Some(parameter)).await.unwrap();
    }
    cluster.until(9.5).await;
    assert_eq!(cluster.begun_since(7.0), [1]);
    cluster.until(20.0).await;
    assert_eq!(cluster.begun_since(7.0), [1, 1], "two that want the same are one");
    assert_eq!(cluster.requests().await, [""; 0]);
    cluster.until(30.0).await;
    assert_eq!(cluster.history.count_at(at(25)), 2);
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn makes_up_for_the_time_that_comes_meanwhile() {
    let mut cluster = Cluster::new().await;
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 1 { 8 } else { 0 }))));
    let _only = cluster.join("10.0.0.1", with_failover(2), work);
    cluster.until(20.0).await;
    cluster.ask(1, None).await.unwrap();
    cluster.until(40.0).await;
    assert_eq!(cluster.history.count_at(at(25)), 2, "after the run that was asked for");
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn waits_for_the_end_of_a_pause() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", with_failover(1), quick());
    cluster.until(7.0).await;
    only.link.cut();
    cluster.ask(0, None).await.unwrap();
    let target = crate::operation::Target::job("job");
    cluster.operations().disable(&target, None).await.unwrap();
    only.link.heal();
    cluster.until(15.0).await;
    assert_eq!(cluster.begun_since(7.0), [0; 0]);
    let refused = cluster.ask(0, None).await.unwrap_err();
    assert!(matches!(refused, Error::Paused { .. }), "{refused}");
    cluster.operations().enable(&target).await.unwrap();
    cluster.until(18.0).await;
    assert_eq!(cluster.begun_since(7.0), [0]);
}

#[tokio::test(start_paused = true)]
async fn is_refused_for_what_cannot_run() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join("10.0.0.1", with_failover(3), quick());
    cluster.until(7.0).await;
    let error = cluster.ask(3, None).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchItem { item: 3, total: 3, .. }), "{error}");
    let operations = cluster.operations();
    let note = operations.note(Some("alice"), None);
    operations.disable_item("job", 0, Some(note)).await.unwrap();
    let error = cluster.ask(0, None).await.unwrap_err().to_string();
    assert!(
        error.starts_with("item 0 of job `job` is switched off since ") && error.ends_with(" by alice"),
        "{error}"
    );
    cluster.register_java("10.0.0.9@-@9").await;
    cluster.set("/job/sharding/1/instance", "10.0.0.9@-@9").await;
    let error = cluster.ask(1, None).await.unwrap_err().to_string();
    assert!(
        error.contains("belongs to 10.0.0.9@-@9, which runs no single items"),
        "{error}"
    );
    assert_eq!(cluster.requests().await, [""; 0]);
}

/// The items asked for, beside a run of item 0 that goes on for long.
mod beside_a_run {
    use super::*;

    /// Item 0 runs for 30 seconds, every other item for one.
    fn long_first() -> Work {
        Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 0 { 30 } else { 1 }))))
    }

    #[tokio::test(start_paused = true)]
    async fn begins_at_once() {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", with_failover(3), long_first());
        cluster.until(7.0).await;
        let requested = cluster.ask(2, None).await.unwrap();
        cluster.until(8.0).await;
        assert_eq!(cluster.begun_since(7.0), [2]);
        cluster.until(9.0).await;
        let run = cluster.operations().outcome(&requested, Duration::ZERO).await.unwrap();
        assert!(run.is_success(), "{run:?}");
        assert_eq!(cluster.begun_since(8.0), [0; 0]);
        // The time that comes meanwhile is made up for all items after the long run.
        cluster.until(37.0).await;
        let mut made_up = cluster.begun_since(9.0);
        made_up.sort_unstable();
        assert_eq!(made_up, [0, 1, 2]);
        only.stop(Duration::from_secs(60)).await;
        cluster.history.check();
    }

    #[tokio::test(start_paused = true)]
    async fn begins_at_once_for_each_of_them() {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", with_failover(4), long_first());
        cluster.until(7.0).await;
        for (item, parameter) in [(1, "a"), (2, "b"), (3, "c"), (0, "d")] {
            cluster.ask(item, Some(parameter)).await.unwrap();
        }
        cluster.until(8.0).await;
        assert_eq!(cluster.begun_since(7.0), [1, 2, 3], "item 0 runs");
        only.stop(Duration::from_secs(60)).await;
        cluster.history.check();
    }

    /// Otherwise triggers that follow each other would keep every time waiting.
    #[tokio::test(start_paused = true)]
    async fn waits_behind_a_time_if_only_other_triggers_run() {
        let mut cluster = Cluster::new().await;
        let work: Work = Arc::new(|_| Box::pin(tokio::time::sleep(Duration::from_secs(4))));
        let only = cluster.join("10.0.0.1", with_failover(2), work);
        cluster.until(23.0).await;
        cluster.ask(0, None).await.unwrap();
        cluster.until(26.0).await;
        cluster.ask(1, None).await.unwrap();
        cluster.until(26.9).await;
        assert_eq!(cluster.begun_since(22.0), [0], "the time of 25 s waits");
        cluster.until(28.0).await;
        assert_eq!(cluster.history.count_at(at(25)), 2);
        only.stop(Duration::from_secs(60)).await;
        cluster.history.check();
    }
}

/// The pause begins at each moment from the trigger to its run, also while its claim is under way.
#[tokio::test(start_paused = true)]
async fn runs_that_item_alone_whenever_a_pause_comes() {
    let mut delayed = 0;
    for after in (0..300).step_by(10) {
        let mut cluster = Cluster::new().await;
        let only = cluster.join("10.0.0.1", with_failover(3), quick());
        cluster.until(7.0).await;
        let target = crate::operation::Target::job("job");
        only.link.delay(Duration::from_millis(50));
        cluster.ask(2, None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        cluster.operations().disable(&target, None).await.unwrap();
        cluster.until(11.0).await;
        delayed += usize::from(cluster.begun_since(7.0).is_empty());
        cluster.operations().enable(&target).await.unwrap();
        cluster.until(15.0).await;
        assert_eq!(cluster.begun_since(7.0), [2], "paused {after} ms after the trigger");
        cluster.history.check();
    }
    assert!((5..30).contains(&delayed), "{delayed} of 30 were refused");
}
