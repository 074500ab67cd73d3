//! What runs report of their progress. They are run by the real executor.

use super::*;
use crate::executor::Work as ExecutorWork;
use crate::job::{Components, ShardingContext, job};
use crate::operation::ItemReport;

impl Cluster {
    async fn items(&self) -> Vec<ItemReport> {
        self.operations().items("job").await.unwrap()
    }

    /// Returns what is shown of an item's progress: percent, text and age.
    async fn progress_of(&self, item: usize) -> Option<(Option<u8>, String, u64)> {
        let progress = self.items().await[item].progress.clone()?;
        Some((progress.percent, progress.text, progress.age_seconds))
    }

    async fn written(&self) -> Vec<String> {
        self.children("/job/ledger/progress").await
    }

    /// Returns how often the progress of an item was written since its node is there.
    async fn writes(&self, item: u32) -> i32 {
        let path = format!("/job/ledger/progress/{item}");
        let session = self.registry.connect().await.unwrap();
        let answers = session.read(vec![Read::Data(path)]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Data(Some((_, stat)))) => stat.version + 1,
            other => panic!("it is not there: {other:?}"),
        }
    }
}

/// Runs that last so many seconds, and report each tenth of a second.
fn reporting(seconds: u32) -> ExecutorWork {
    let job = job("job", move |shard: ShardingContext| async move {
        for step in 0..seconds * 10 {
            let fraction = f64::from(step) / f64::from(seconds * 10);
            shard.progress(fraction, &format!("第 {step} 页"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    ExecutorWork::Declared {
        kind: job.kind(),
        job: job.build(&Components::default()).unwrap().into(),
    }
}

#[tokio::test(start_paused = true)]
async fn is_shown_at_once_and_written_slowly() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join_executing("10.0.0.1", with_failover(3), reporting(18));
    cluster.until(5.5).await;
    assert_eq!(cluster.written().await, [""; 0], "it may be over soon");
    cluster.until(10.0).await;
    let (percent, text, age) = cluster.progress_of(1).await.unwrap();
    assert!(
        (8..=12).contains(&percent.unwrap()) && text.starts_with("第 "),
        "{percent:?} {text}"
    );
    assert!((2..=5).contains(&age), "{age}");
    let explained = cluster.operations().explain("job").await.unwrap();
    let explained = explained.items[1].findings.iter().map(ToString::to_string);
    let explained = explained.collect::<Vec<_>>().join("; ");
    assert!(
        explained.contains(&format!("progress: {} % 第 ", percent.unwrap())),
        "{explained}"
    );
    cluster.until(22.5).await;
    // 180 reports of each of three runs.
    assert_eq!(cluster.writes(1).await, 4);
    cluster.until(24.9).await;
    assert_eq!(cluster.progress_of(1).await, None, "its run is over");
    drop(only);
}

#[tokio::test(start_paused = true)]
async fn of_short_runs_costs_nothing() {
    let mut cluster = Cluster::new().await;
    let job = job("job", async |shard: ShardingContext| shard.progress(0.5, "half"));
    let work = ExecutorWork::Declared {
        kind: job.kind(),
        job: job.build(&Components::default()).unwrap().into(),
    };
    let _only = cluster.join_executing("10.0.0.1", every_second(2), work);
    cluster.until(30.0).await;
    assert_eq!(
        cluster.data("/job/ledger/progress").await,
        None,
        "nothing was ever written"
    );
}

#[tokio::test(start_paused = true)]
async fn goes_with_the_run() {
    let mut cluster = Cluster::new().await;
    let _only = cluster.join_executing("10.0.0.1", with_failover(2), reporting(6));
    cluster.until(9.0).await;
    assert_eq!(cluster.written().await.len(), 2);
    cluster.until(17.5).await;
    assert_eq!(cluster.written().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn is_of_the_attempt_that_goes_on() {
    let mut cluster = Cluster::new().await;
    let work = || reporting(40);
    let first = cluster.join_executing("10.0.0.1", with_failover(1), work());
    let second = cluster.join_executing("10.0.0.2", with_failover(1), work());
    cluster.until(16.0).await;
    assert!(cluster.progress_of(0).await.is_some());
    let owner = cluster.items().await[0].running_on.clone().unwrap();
    let [owner, taker] = if owner == first.id() {
        [&first, &second]
    } else {
        [&second, &first]
    };
    owner.kill();
    cluster.until(40.0).await;
    let items = cluster.items().await;
    assert_eq!(items[0].running_on.as_deref(), Some(&*taker.id()));
    assert!(cluster.progress_of(0).await.is_some());
    let stored = cluster.data("/job/ledger/progress/0").await.unwrap();
    assert!(stored.contains(r#""attempt":2"#), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn goes_on_after_lost_connections_and_foreign_hands() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join_executing("10.0.0.1", with_failover(2), reporting(18));
    cluster.until(8.0).await;
    assert!(cluster.progress_of(0).await.is_some());
    // An operator deletes a node of it, and the connection breaks.
    cluster.delete("/job/ledger/progress/0").await;
    only.link.cut();
    cluster.until(9.0).await;
    only.link.heal();
    cluster.until(22.0).await;
    let (percent, _, age) = cluster.progress_of(0).await.unwrap();
    assert!(percent >= Some(50) && age <= 8, "{percent:?}, {age}");
}
