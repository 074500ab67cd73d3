//! Listeners: called around each firing, on each instance or once in the cluster.

use crate::job::BoxError;
use crate::listener::{DistributeOnceJobListener, Firing, JobListener, ListenerKind};

use super::*;

mod each_instance;
mod java;
mod once;

/// A call of a hook: the listener, the moment, the instance, its items, the scheduled time, and when the call began and ended.
#[derive(Clone, Debug)]
struct Entry {
    who: &'static str,
    moment: &'static str,
    by: String,
    items: Vec<u32>,
    due: Timestamp,
    began: Duration,
    /// `None` if the call was dropped.
    ended: Option<Duration>,
}

#[derive(Clone)]
struct Journal {
    entries: Arc<Mutex<Vec<Entry>>>,
    clock: Arc<ManualClock>,
}

impl Journal {
    fn of(cluster: &Cluster) -> Self {
        Self {
            entries: Arc::default(),
            clock: Arc::clone(&cluster.clock),
        }
    }

    fn all(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Returns the calls for one moment of the firing that is due at a time.
    fn at(&self, moment: &str, due: Timestamp) -> Vec<Entry> {
        let mut entries = self.all();
        entries.retain(|entry| entry.moment == moment && entry.due == due);
        entries
    }

    fn begin(&self, who: &'static str, moment: &'static str, firing: &Firing) -> usize {
        let mut entries = self.entries.lock().unwrap();
        entries.push(Entry {
            who,
            moment,
            by: firing.instance_id().to_owned(),
            items: firing.items().collect(),
            due: firing.scheduled_time(),
            began: self.clock.elapsed(),
            ended: None,
        });
        entries.len() - 1
    }

    fn end(&self, index: usize) {
        self.entries.lock().unwrap()[index].ended = Some(self.clock.elapsed());
    }
}

/// A listener that records its calls, each of which lasts a while.
#[derive(Clone)]
struct Scribe {
    who: &'static str,
    journal: Journal,
    before: Duration,
    after: Duration,
    fails: bool,
    order: i32,
}

impl Scribe {
    fn new(who: &'static str, journal: &Journal) -> Self {
        Self {
            who,
            journal: journal.clone(),
            before: Duration::from_millis(20),
            after: Duration::from_millis(20),
            fails: false,
            order: i32::MAX,
        }
    }

    async fn write(&self, moment: &'static str, firing: &Firing, pause: Duration) -> Result<(), BoxError> {
        let index = self.journal.begin(self.who, moment, firing);
        tokio::time::sleep(pause).await;
        self.journal.end(index);
        if self.fails { Err("no ink".into()) } else { Ok(()) }
    }
}

impl JobListener for Scribe {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        self.write("before", firing, self.before).await
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        self.write("after", firing, self.after).await
    }

    fn order(&self) -> i32 {
        self.order
    }
}

/// As [`Scribe`], once in the cluster.
#[derive(Clone)]
struct Once(Scribe);

impl DistributeOnceJobListener for Once {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        self.0.write("before", firing, self.0.before).await
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        self.0.write("after", firing, self.0.after).await
    }

    fn order(&self) -> i32 {
        self.0.order
    }
}

impl Cluster {
    fn listen(&mut self, name: &str, kind: ListenerKind) {
        self.listeners.register(name, Arc::new(kind)).unwrap();
    }

    fn complaints(&self) -> Vec<String> {
        self.complaints.heard.lock().unwrap().clone()
    }
}

/// Every ten seconds from the fifth on.
fn listened_to(total: u32, listeners: &[&str]) -> JobConfig {
    let config = JobConfig::builder("job")
        .cron("5/10 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total);
    let config = listeners
        .iter()
        .fold(config, |config, name| config.listener_type(*name));
    config.build().unwrap()
}

/// Panics if an item ran before the first hook of its firing on its instance had ended, or after the second began.
fn check_around(cluster: &Cluster, journal: &Journal, due: Timestamp) {
    for ran in cluster.history.all().into_iter().filter(|ran| ran.due == due) {
        let of_it = |entry: &&Entry| entry.by == ran.by && entry.items.contains(&ran.item);
        let befores = journal.at("before", due);
        let before = befores
            .iter()
            .find(of_it)
            .expect("the hook before the firing was called");
        assert!(
            before.ended.is_some_and(|ended| ended <= ran.began),
            "{before:?} {ran:?}"
        );
        let afters = journal.at("after", due);
        let after = afters.iter().find(of_it).expect("the hook after the firing was called");
        assert!(ran.ended.is_some_and(|ended| ended <= after.began), "{after:?} {ran:?}");
    }
}

/// Panics unless each hook was called once in the cluster: one before any item began, the other after all had ended.
fn check_once(cluster: &Cluster, journal: &Journal, due: Timestamp, items: usize) {
    let runs: Vec<Ran> = cluster.history.all().into_iter().filter(|ran| ran.due == due).collect();
    assert_eq!(runs.len(), items, "{runs:?}");
    let (before, after) = (journal.at("before", due), journal.at("after", due));
    assert_eq!((before.len(), after.len()), (1, 1), "{before:?} {after:?}");
    for ran in runs {
        assert!(
            before[0].ended.is_some_and(|ended| ended <= ran.began),
            "{before:?} {ran:?}"
        );
        assert!(
            ran.ended.is_some_and(|ended| ended <= after[0].began),
            "{after:?} {ran:?}"
        );
    }
}

mod starts {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn call_hooks_for_one_firing_with_items() {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        let config = JobConfig::builder("job")
            .cron("0/20 * * * * ?")
            .time_zone("GMT")
            .sharding_total_count(2);
        let config = config.listener_type("each").listener_type("once").build().unwrap();
        cluster.listen("each", ListenerKind::regular(Scribe::new("each", &journal)));
        cluster.listen(
            "once",
            ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
        );
        for (second, due) in [(19.9, 20), (39.9, 40)] {
            cluster.until(second).await;
            let only = cluster.join("10.0.0.1", config.clone(), quick());
            cluster.until(f64::from(due) + 10.0).await;
            for moment in ["before", "after"] {
                let calls = journal.at(moment, at(due.into()));
                let mut calls: Vec<_> = calls.iter().map(|entry| (entry.who, entry.items.clone())).collect();
                calls.sort();
                assert_eq!(calls, [("each", vec![0, 1]), ("once", vec![0, 1])], "{moment} {due}");
            }
            only.stop(Duration::ZERO).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn call_no_hook_if_no_item_runs() {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        cluster.listen("each", ListenerKind::regular(Scribe::new("each", &journal)));
        let config = every_second(1).to_builder().listener_type("each").build().unwrap();
        let _only = cluster.join("10.0.0.1", config, quick());
        cluster.until(5.5).await;
        cluster.create("/job/sharding/0/disabled", "").await;
        cluster.until(10.5).await;
        assert_eq!(journal.at("before", at(5)).len(), 1);
        assert_eq!(journal.at("before", at(7)).len(), 0);
        assert_eq!(journal.at("after", at(7)).len(), 0);
    }
}

mod leaving {
    use super::*;
    use crate::test_log::Log;

    /// Returns what an instance logs that leaves after its firing, or in it.
    async fn logged_by_one_that_leaves(listeners: &[&str], fails: bool) -> String {
        let (log, _here) = Log::record();
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        let scribe = |who| Scribe {
            fails,
            ..Scribe::new(who, &journal)
        };
        cluster.listen("EACH", ListenerKind::regular(scribe("each")));
        cluster.listen("ONCE", ListenerKind::distribute_once(Once(scribe("once"))));
        let only = cluster.join("10.0.0.1", listened_to(2, listeners), quick());
        cluster.until(6.0).await;
        only.stop(Duration::from_secs(8)).await;
        assert!(!journal.at("before", at(5)).is_empty());
        log.text()
    }

    #[tokio::test(start_paused = true)]
    async fn is_not_taken_for_a_removal() {
        for listeners in [&["EACH"][..], &["ONCE"], &["EACH", "ONCE"]] {
            for fails in [false, true] {
                let log = logged_by_one_that_leaves(listeners, fails).await;
                assert!(
                    !log.contains("removed from the registry"),
                    "{listeners:?} {fails}: {log}"
                );
            }
        }
    }
}
