//! Listeners: called around each firing, on each instance or once in the cluster.

use crate::job::BoxError;
use crate::listener::{DistributeOnceJobListener, Firing, JobListener, ListenerKind};

use super::*;

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

#[tokio::test(start_paused = true)]
async fn are_called_around_each_firing_on_each_instance() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let config = listened_to(2, &["AUDIT"]);
    let one = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(1)));
    let other = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(1)));
    cluster.until(19.0).await;
    for due in [at(5), at(15)] {
        check_around(&cluster, &journal, due);
        for moment in ["before", "after"] {
            let calls = journal.at(moment, due);
            let mut by: Vec<&str> = calls.iter().map(|entry| &*entry.by).collect();
            by.sort_unstable();
            assert_eq!(by, [one.id(), other.id()], "each once");
            assert_eq!(calls.iter().map(|entry| entry.items.len()).sum::<usize>(), 2);
        }
    }
    cluster.history.check();
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

/// Two firings at once would be one for its listeners.
#[tokio::test(start_paused = true)]
async fn listeners_see_the_firing_of_a_single_item_after_the_one_that_goes_on() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_secs(if item == 0 { 4 } else { 0 }))));
    let _only = cluster.join("10.0.0.1", listened_to(2, &["AUDIT"]), work);
    cluster.until(6.0).await;
    cluster.operations().trigger_item("job", 1, None).await.unwrap();
    cluster.until(8.9).await;
    assert_eq!(cluster.history.all().len(), 2, "item 0 runs");
    cluster.until(10.0).await;
    assert_eq!(cluster.history.all().len(), 3);
    let moments: Vec<_> = journal
        .all()
        .iter()
        .map(|entry| (entry.moment, entry.items.len()))
        .collect();
    assert_eq!(moments, [("before", 2), ("after", 2), ("before", 1), ("after", 1)]);
}

#[tokio::test(start_paused = true)]
async fn are_called_in_their_order() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    for (name, who, order) in [("A", "a", 2), ("B", "b", 1), ("C", "c", 2)] {
        let scribe = Scribe {
            order,
            ..Scribe::new(who, &journal)
        };
        cluster.listen(name, ListenerKind::regular(scribe));
    }
    let _only = cluster.join("10.0.0.1", listened_to(1, &["C", "A", "B"]), quick());
    cluster.until(9.0).await;
    let calls: Vec<_> = journal.all().iter().map(|entry| (entry.moment, entry.who)).collect();
    let expected = ["before", "after"].map(|moment| ["b", "c", "a"].map(|who| (moment, who)));
    assert_eq!(calls, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn count_a_make_up_run_to_the_firing_before() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let _only = cluster.join("10.0.0.1", listened_to(1, &["AUDIT"]), lasting(Duration::from_secs(11)));
    cluster.until(28.0).await;
    assert_eq!(cluster.history.all().len(), 3, "second 5, and made up 15 and 25");
    let calls: Vec<_> = journal.all().iter().map(|entry| (entry.moment, entry.due)).collect();
    assert_eq!(calls, [("before", at(5))]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_fails_should_stop_nothing() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let failing = Scribe {
        fails: true,
        ..Scribe::new("failing", &journal)
    };
    let slow = Scribe {
        before: Duration::from_secs(600),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("FAILING", ListenerKind::regular(failing));
    cluster.listen("PANICKING", ListenerKind::regular(Panicking));
    cluster.listen(
        "SLOW",
        ListenerKind::regular(slow).started_timeout(Duration::from_secs(1)),
    );
    cluster.listen("LAST", ListenerKind::regular(Scribe::new("last", &journal)));
    let names = ["FAILING", "PANICKING", "SLOW", "LAST"];
    let _only = cluster.join("10.0.0.1", listened_to(2, &names), quick());
    cluster.until(9.0).await;
    assert_eq!(cluster.history.count_at(at(5)), 2);
    assert_eq!(journal.at("after", at(5)).len(), 3);
    let complaints = cluster.complaints();
    assert_eq!(
        complaints,
        [
            "job listener `FAILING` before a firing: no ink",
            "job listener `PANICKING` before a firing: panicked: out of paper",
            "job listener `SLOW` before a firing: not done within 1s",
            "job listener `FAILING` after a firing: no ink",
        ]
    );
}

struct Panicking;

impl JobListener for Panicking {
    async fn before(&self, _: &Firing) -> Result<(), BoxError> {
        panic!("out of paper");
    }
}

#[tokio::test(start_paused = true)]
async fn run_nothing_if_the_error_handler_gives_up() {
    let mut cluster = Cluster::new().await;
    cluster.complaints.is_giving_up = true;
    let journal = Journal::of(&cluster);
    let failing = Scribe {
        fails: true,
        ..Scribe::new("failing", &journal)
    };
    cluster.listen("FAILING", ListenerKind::regular(failing));
    let _only = cluster.join("10.0.0.1", listened_to(2, &["FAILING"]), quick());
    cluster.until(19.0).await;
    assert_eq!(cluster.history.all().len(), 0);
    assert_eq!(journal.all().len(), 2, "of each of two firings the begin");
    assert!(journal.all().iter().all(|entry| entry.moment == "before"));
    for item in 0..2 {
        assert_eq!(cluster.data(&format!("/job/sharding/{item}/running")).await, None);
        let ledger = cluster.data(&format!("/job/ledger/items/{item}")).await.unwrap();
        assert!(ledger.contains("gave the firing up"), "{ledger}");
    }
}

#[tokio::test(start_paused = true)]
async fn end_within_the_grace_of_an_instance_that_leaves() {
    for (grace, ends_by_itself) in [(8, true), (1, false)] {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        let slow = Scribe {
            after: Duration::from_secs(3),
            ..Scribe::new("slow", &journal)
        };
        cluster.listen("SLOW", ListenerKind::regular(slow));
        let only = cluster.join("10.0.0.1", listened_to(1, &["SLOW"]), quick());
        cluster.until(6.0).await;
        let asked = cluster.clock.elapsed();
        only.stop(Duration::from_secs(grace)).await;
        let took = cluster.clock.elapsed() - asked;
        let after = journal.at("after", at(5));
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].ended.is_some(), ends_by_itself, "{grace} {after:?}");
        assert!(took <= Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn let_an_instance_leave_while_others_run() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(2, &["ONCE"]);
    let leaving = cluster.join("10.0.0.1", config.clone(), quick());
    let staying = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(4)));
    cluster.until(6.0).await;
    assert_eq!(
        cluster.children("/job/guarantee/completed").await.len(),
        1,
        "it has ended and waits"
    );
    leaving.stop(Duration::from_secs(30)).await;
    assert!(
        cluster.clock.elapsed() < Duration::from_secs(7),
        "{:?}",
        cluster.clock.elapsed()
    );
    assert_eq!(
        cluster.children("/job/guarantee/completed").await.len(),
        1,
        "which Java members count"
    );
    cluster.until(14.0).await;
    let after = journal.at("after", at(5));
    assert_eq!(after.iter().map(|entry| &entry.by).collect::<Vec<_>>(), [&staying.id()]);
    assert!(after[0].began >= Duration::from_secs(9), "{after:?}");
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn hold_up_no_other_when_stopped_in_a_hook() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(4),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let config = listened_to(2, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(6.0).await;
    let (stopping, other) = caller_and_other(&instances, &journal);
    stop_job(stopping, Duration::from_secs(1));
    cluster.until(14.0).await;
    let before = journal.at("before", at(5));
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!((before[0].ended, &before[1].by), (None, &other.id()));
    assert!(before[1].began < Duration::from_secs(9), "{before:?}");
    assert_eq!(by(&cluster.history.at(at(5)), &other.id()).len(), 1);
    assert_eq!(journal.at("after", at(5)).len(), 1);
}

/// Returns the instance that called the hook at five seconds, and the one that did not.
fn caller_and_other<'a>(instances: &'a [Instance; 2], journal: &Journal) -> (&'a Instance, &'a Instance) {
    let [one, other] = instances;
    if journal.at("before", at(5))[0].by == one.id() {
        (one, other)
    } else {
        (other, one)
    }
}

/// The job leaves there; the process and its session live on.
fn stop_job(instance: &Instance, grace: Duration) {
    let cancel_at = Instant::now() + grace;
    let stop = Command::Stop { cancel_at };
    instance.handle.commands.unbounded_send(stop).unwrap();
}

#[tokio::test(start_paused = true)]
async fn are_not_called_again_after_returning_at_a_stop() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(1),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let config = listened_to(2, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(5.5).await;
    let (caller, other) = caller_and_other(&instances, &journal);
    // It ends at six seconds, and some time later all others can know.
    caller.link.delay(Duration::from_millis(300));
    cluster.until(6.2).await;
    assert!(journal.at("before", at(5))[0].ended.is_some());
    stop_job(caller, Duration::ZERO);
    cluster.until(14.0).await;
    let before = journal.at("before", at(5));
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(by(&cluster.history.at(at(5)), &other.id()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn are_called_once_around_all_items() {
    for count in [1, 2, 3] {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        cluster.listen(
            "ONCE",
            ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
        );
        let work: Work = Arc::new(|item| Box::pin(tokio::time::sleep(Duration::from_millis(100 * u64::from(item)))));
        let instances: Vec<_> = (1..=count)
            .map(|host| cluster.join(&format!("10.0.0.{host}"), listened_to(6, &["ONCE"]), Arc::clone(&work)))
            .collect();
        cluster.until(39.0).await;
        for due in [at(5), at(15), at(25), at(35)] {
            check_once(&cluster, &journal, due, 6);
        }
        cluster.history.check();
        assert_eq!(cluster.complaints(), Vec::<String>::new(), "{count} instances");
        assert_eq!(cluster.children("/job/guarantee/started").await, Vec::<String>::new());
        assert_eq!(
            cluster.children("/job/guarantee/completed-latch").await,
            Vec::<String>::new()
        );
        drop(instances);
    }
}

#[tokio::test(start_paused = true)]
async fn write_the_barrier_as_java_does() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(2),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let _one = cluster.join("10.0.0.1", listened_to(3, &["ONCE"]), lasting(Duration::from_secs(1)));
    let _other = cluster.join("10.0.0.2", listened_to(3, &["ONCE"]), lasting(Duration::from_secs(1)));
    cluster.until(6.0).await;
    assert_eq!(cluster.children("/job/guarantee").await, ["started", "started-latch"]);
    assert_eq!(cluster.children("/job/guarantee/started").await, ["0", "1", "2"]);
    for path in ["/job/guarantee", "/job/guarantee/started", "/job/guarantee/started/1"] {
        assert_eq!(cluster.data(path).await.as_deref(), Some(""), "{path}");
    }
    let contenders = cluster.children("/job/guarantee/started-latch").await;
    assert_eq!(contenders.len(), 1, "{contenders:?}");
    assert!(
        contenders[0].starts_with("_c_") && contenders[0].ends_with("-latch-0000000000"),
        "{contenders:?}"
    );
    cluster.until(9.5).await;
    assert_eq!(cluster.data("/job/guarantee/started").await, None);
    assert_eq!(cluster.data("/job/guarantee/completed").await, None);
}

#[tokio::test(start_paused = true)]
async fn wait_for_no_item_that_cannot_run() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let _one = cluster.join("10.0.0.1", listened_to(4, &["ONCE"]), quick());
    let _other = cluster.join("10.0.0.2", listened_to(4, &["ONCE"]), quick());
    cluster.until(3.0).await;
    cluster.create("/job/sharding/1/disabled", "").await;
    cluster.until(9.0).await;
    check_once(&cluster, &journal, at(5), 3);
    let after = &journal.at("after", at(5))[0];
    assert!(after.began < Duration::from_millis(5500), "at once: {after:?}");
    cluster.set("/job/servers/10.0.0.2", "DISABLED").await;
    cluster.until(29.0).await;
    check_once(&cluster, &journal, at(25), 3);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn are_called_again_if_the_caller_dies() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let slow = Scribe {
        before: Duration::from_secs(2),
        ..Scribe::new("slow", &journal)
    };
    cluster.listen("ONCE", ListenerKind::distribute_once(Once(slow)));
    let config = listened_to(4, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(6.0).await;
    let caller = journal.at("before", at(5))[0].by.clone();
    let (dying, living) = if instances[0].id() == caller {
        (&instances[0], &instances[1])
    } else {
        (&instances[1], &instances[0])
    };
    dying.kill();
    cluster.until(34.0).await;
    let before = journal.at("before", at(5));
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!((before[0].ended, before[1].by.clone()), (None, living.id()));
    assert_eq!(journal.at("after", at(5)).len(), 1);
    let ran = cluster.history.at(at(5));
    assert_eq!((ran.len(), by(&ran, &living.id()).len()), (2, 2), "the others are lost");
    check_once(&cluster, &journal, at(25), 4);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn are_called_once_after_an_instance_died() {
    for failover in [false, true] {
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        cluster.listen(
            "ONCE",
            ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
        );
        let config = listened_to(4, &["ONCE"]);
        let config = config
            .to_builder()
            .cron("5/40 * * * * ?")
            .failover(failover)
            .build()
            .unwrap();
        let survivor = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(2)));
        let victim = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(2)));
        cluster.until(6.0).await;
        victim.kill();
        cluster.until(42.0).await;
        let after = journal.at("after", at(5));
        assert_eq!(after.len(), 1, "failover {failover}: {after:?}");
        let runs = cluster.history.all().into_iter();
        let by_survivor: Vec<Ran> = runs.filter(|ran| ran.by == survivor.id()).collect();
        assert_eq!(by_survivor.len(), if failover { 4 } else { 2 });
        for ran in by_survivor {
            assert!(
                ran.ended.is_some_and(|ended| ended <= after[0].began),
                "{after:?} {ran:?}"
            );
        }
        assert_eq!(journal.at("before", at(5)).len(), 1);
        assert_eq!(cluster.complaints(), Vec::<String>::new(), "failover {failover}");
        cluster.until(59.0).await;
        check_once(&cluster, &journal, at(45), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn are_called_around_a_takeover() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let config = listened_to(2, &["AUDIT"]);
    let config = config
        .to_builder()
        .cron("5/40 * * * * ?")
        .failover(true)
        .build()
        .unwrap();
    let survivor = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(2)));
    let victim = cluster.join("10.0.0.2", config, lasting(Duration::from_secs(2)));
    cluster.until(6.0).await;
    let lost = by(&cluster.history.at(at(5)), &victim.id());
    victim.kill();
    cluster.until(40.0).await;
    let calls_of = |moment| {
        let mut entries = journal.at(moment, at(5));
        entries.retain(|entry| entry.by == survivor.id() && entry.items == lost);
        entries
    };
    assert_eq!(
        (calls_of("before").len(), calls_of("after").len()),
        (1, 1),
        "{:?}",
        journal.all()
    );
    let taken: Vec<Ran> = cluster
        .history
        .all()
        .into_iter()
        .filter(|ran| ran.attempt == 2)
        .collect();
    assert_eq!(taken.len(), 1);
    assert!(calls_of("before")[0].ended.unwrap() <= taken[0].began);
    assert!(taken[0].ended.unwrap() <= calls_of("after")[0].began);
}

#[tokio::test(start_paused = true)]
async fn include_a_late_instance_from_the_next_firing_on() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(4, &["ONCE"]);
    let work = lasting(Duration::from_secs(3));
    let _one = cluster.join("10.0.0.1", config.clone(), Arc::clone(&work));
    cluster.until(6.0).await;
    let late = cluster.join("10.0.0.2", config, work);
    cluster.until(29.0).await;
    for due in [at(5), at(15), at(25)] {
        check_once(&cluster, &journal, due, 4);
    }
    assert_eq!(by(&cluster.history.at(at(25)), &late.id()).len(), 2);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn survive_lost_answers() {
    for fate in [Fate::Applied, Fate::Dropped] {
        for part in [
            "/guarantee/started/",
            "/guarantee/started-latch/",
            "/ledger/called",
            "/guarantee/completed/",
        ] {
            let mut cluster = Cluster::new().await;
            let journal = Journal::of(&cluster);
            cluster.listen(
                "ONCE",
                ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
            );
            let config = listened_to(4, &["ONCE"]);
            let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
            cluster.until(4.0).await;
            instances
                .iter()
                .for_each(|instance| instance.link.cut_at_next_write_to(part, fate));
            cluster.until(7.0).await;
            instances.iter().for_each(|instance| instance.link.heal());
            cluster.until(29.0).await;
            let cuts: u64 = instances.iter().map(|instance| instance.link.cuts_at_writes()).sum();
            assert!(cuts > 0, "{part}");
            for due in [at(5), at(15), at(25)] {
                check_once(&cluster, &journal, due, 4);
            }
            cluster.history.check();
            assert_eq!(cluster.complaints(), Vec::<String>::new(), "{fate:?} {part}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn are_each_called_once() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    for (name, who) in [("FIRST", "first"), ("SECOND", "second")] {
        cluster.listen(name, ListenerKind::distribute_once(Once(Scribe::new(who, &journal))));
    }
    cluster.listen("AUDIT", ListenerKind::regular(Scribe::new("audit", &journal)));
    let config = listened_to(6, &["FIRST", "AUDIT", "SECOND"]);
    let _all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(39.0).await;
    for due in [at(5), at(15), at(25), at(35)] {
        assert_eq!(cluster.history.count_at(due), 6);
        for moment in ["before", "after"] {
            let calls = journal.at(moment, due);
            let count = |who| calls.iter().filter(|entry| entry.who == who).count();
            assert_eq!(
                [count("first"), count("second"), count("audit")],
                [1, 1, 3],
                "{calls:?}"
            );
        }
    }
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn wait_for_a_missing_instance_until_the_timeout() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let once = ListenerKind::distribute_once(Once(Scribe::new("once", &journal)));
    cluster.listen(
        "ONCE",
        once.started_timeout(Duration::from_secs(3))
            .completed_timeout(Duration::from_secs(2)),
    );
    let only = cluster.join("10.0.0.1", listened_to(2, &["ONCE"]), quick());
    cluster.until(3.0).await;
    // A Java member has one of the items, and does nothing.
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(4.9).await;
    let ours = [0, 1].map(|item| format!("/job/sharding/{item}/instance"));
    let owners = [cluster.data(&ours[0]).await, cluster.data(&ours[1]).await];
    assert!(
        owners.contains(&Some(java.to_owned())) && owners.contains(&Some(only.id())),
        "{owners:?}"
    );
    cluster.until(14.0).await;
    assert_eq!(cluster.history.count_at(at(5)), 1);
    assert_eq!(journal.all().len(), 0);
    let missing = owners.iter().position(|owner| owner.as_deref() == Some(java)).unwrap();
    assert_eq!(
        cluster.complaints(),
        [
            format!("job listener `ONCE` before a firing: these items have not started within 3s: [{missing}]"),
            format!("job listener `ONCE` after a firing: these items have not ended within 2s: [{missing}]"),
        ]
    );
    assert_eq!(
        cluster.data("/job/guarantee/started").await,
        None,
        "nothing is left behind"
    );
    assert_eq!(cluster.data("/job/guarantee/completed").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_java_member_should_take_part() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let only = cluster.join("10.0.0.1", listened_to(2, &["ONCE"]), lasting(Duration::from_secs(1)));
    cluster.until(3.0).await;
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(6.0).await;
    let own = by(&cluster.history.at(at(5)), &only.id());
    assert_eq!(own, Vec::<u32>::new(), "it waits");
    let ours = cluster.children("/job/guarantee/started").await;
    assert_eq!(ours.len(), 1);
    let theirs = match &*ours[0] {
        "0" => "1",
        _ => "0",
    };
    // The Java member comes last and calls the hook itself.
    cluster.create(&format!("/job/guarantee/started/{theirs}"), "").await;
    cluster.until(6.2).await;
    for path in [
        &*format!("started/{theirs}"),
        &*format!("started/{}", ours[0]),
        "started",
    ] {
        cluster.delete(&format!("/job/guarantee/{path}")).await;
    }
    cluster.until(6.5).await;
    assert_eq!(cluster.history.count_at(at(5)), 1);
    assert_eq!(journal.all().len(), 0, "the hook was called over there");
    // It ends first, and ours is last.
    cluster.create("/job/guarantee/completed", "").await;
    cluster.create(&format!("/job/guarantee/completed/{theirs}"), "").await;
    cluster.until(9.0).await;
    assert_eq!(journal.at("after", at(5)).len(), 1);
    assert_eq!(
        cluster.data("/job/guarantee/completed").await,
        None,
        "which tells the Java member"
    );
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

/// A Java leader at a barrier waits for our instance and reshards nothing, so our instance must not wait for the resharding.
#[tokio::test(start_paused = true)]
async fn do_not_wait_for_a_java_leader_at_the_barrier() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let only = cluster.join("10.0.0.1", listened_to(2, &["ONCE"]), quick());
    cluster.until(6.0).await;
    let java = "10.0.0.9@-@77";
    cluster.set("/job/leader/election/instance", java).await;
    cluster.register_java(java).await;
    cluster.delete("/job/sharding/1/instance").await;
    cluster.create("/job/sharding/1/instance", java).await;
    let flag = "/job/leader/sharding/necessary";
    cluster.create(flag, "").await;
    cluster.until(16.0).await;
    assert_eq!(cluster.history.count_at(at(15)), 0, "no instance waits for it");
    cluster.create("/job/guarantee/started", "").await;
    cluster.create("/job/guarantee/started/1", "").await;
    cluster.until(17.0).await;
    assert_eq!(by(&cluster.history.at(at(15)), &only.id()), [0]);
    assert_eq!(journal.at("before", at(15)).len(), 1);
    assert_eq!(cluster.data("/job/guarantee/started").await, None, "the leader goes on");
    assert!(cluster.data(flag).await.is_some());
}

/// A Java member waits until all items have come, those that are switched off included, and does not see to the hook.
#[tokio::test(start_paused = true)]
async fn are_called_soon_beside_a_late_java_member() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let only = cluster.join("10.0.0.1", listened_to(3, &["ONCE"]), quick());
    cluster.until(3.0).await;
    cluster.create("/job/sharding/2/disabled", "").await;
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(5.2).await;
    for item in 0..2 {
        if cluster.data(&format!("/job/sharding/{item}/instance")).await != Some(only.id()) {
            cluster.create(&format!("/job/guarantee/started/{item}"), "").await;
        }
    }
    cluster.until(5.5).await;
    assert_eq!(journal.at("before", at(5)).len(), 1);
    assert_eq!(cluster.data("/job/guarantee/started").await, None);
}

#[tokio::test(start_paused = true)]
async fn ignore_nodes_left_behind_at_the_barrier() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(4, &["ONCE"]);
    let _all = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(3.0).await;
    for path in [
        "/job/guarantee",
        "/job/guarantee/started",
        "/job/guarantee/started/0",
        "/job/guarantee/started/3",
    ] {
        cluster.create(path, "").await;
    }
    cluster.until(29.0).await;
    for due in [at(15), at(25)] {
        check_once(&cluster, &journal, due, 4);
    }
    assert_eq!(cluster.history.count_at(at(5)), 4);
    assert_eq!(cluster.complaints(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn pass_the_barrier_in_few_requests() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    cluster.listen(
        "ONCE",
        ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
    );
    let config = listened_to(4, &["ONCE"]);
    let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
    cluster.until(14.0).await;
    let before = instances.each_ref().map(|instance| instance.registry.counts());
    cluster.until(19.0).await;
    let asked = [0, 1].map(|index| instances[index].registry.counts() - before[index]);
    check_once(&cluster, &journal, at(15), 4);
    for counts in asked {
        assert!(
            counts.writes <= 2 + 2 * 3 && counts.reads <= 2 * 4 && counts.watches == 2,
            "{counts:?}"
        );
    }
    let writes: u64 = asked.iter().map(|counts| counts.writes).sum();
    assert_eq!(
        writes,
        2 * (2 + 2) + 2 * 2,
        "claims, ends, registrations; for each hook a contender and the end"
    );
}

#[tokio::test(start_paused = true)]
async fn wake_no_instance_when_giving_up() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let once = ListenerKind::distribute_once(Once(Scribe::new("once", &journal)));
    let config = listened_to(3, &["ONCE"]);
    cluster.listen("ONCE", once.clone().started_timeout(Duration::from_secs(1)));
    let hasty = cluster.join("10.0.0.1", config.clone(), quick());
    cluster.listeners = JobListeners::none();
    cluster.listen("ONCE", once);
    let patient = cluster.join("10.0.0.2", config, quick());
    cluster.until(3.0).await;
    let java = "10.0.0.9@-@77";
    cluster.register_java(java).await;
    cluster.until(8.0).await;
    let ran = cluster.history.at(at(5));
    assert_eq!((ran.len(), by(&ran, &hasty.id()).len()), (1, 1), "it gave up: {ran:?}");
    let gathered = cluster.children("/job/guarantee/started").await;
    assert_eq!(gathered.len(), 1, "the other is there: {gathered:?}");
    let owners = [0, 1, 2].map(|item| format!("/job/sharding/{item}/instance"));
    for (item, owner) in owners.iter().enumerate() {
        if cluster.data(owner).await.as_deref() == Some(java) {
            cluster.create(&format!("/job/guarantee/started/{item}"), "").await;
        }
    }
    cluster.until(14.0).await;
    let ran = cluster.history.at(at(5));
    assert_eq!(by(&ran, &patient.id()).len(), 1);
    let before = journal.at("before", at(5));
    assert_eq!(
        before.iter().map(|entry| &entry.by).collect::<Vec<_>>(),
        [&patient.id()]
    );
}

#[tokio::test(start_paused = true)]
async fn are_not_repeated_over_short_cuts() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut cluster = Cluster::new().await;
        let journal = Journal::of(&cluster);
        cluster.listen(
            "ONCE",
            ListenerKind::distribute_once(Once(Scribe::new("once", &journal))),
        );
        let config = listened_to(4, &["ONCE"]);
        let instances = ["10.0.0.1", "10.0.0.2"].map(|ip| cluster.join(ip, config.clone(), quick()));
        cluster.until(4.0).await;
        for firing in [5, 15, 25, 35] {
            // Around each firing, where it may hurt.
            let mut now = f64::from(firing);
            for _ in 0..4 {
                let link = &instances[rng.usize(..2)].link;
                now += rng.f64() * 0.1;
                cluster.until(now).await;
                link.cut();
                now += 0.01 + rng.f64() * 0.4;
                cluster.until(now).await;
                link.heal();
            }
        }
        cluster.until(64.0).await;
        for due in [at(5), at(15), at(25), at(35)] {
            for moment in ["before", "after"] {
                let calls = journal.at(moment, due);
                let whole = calls.iter().filter(|entry| entry.ended.is_some()).count();
                assert!(whole <= 1, "seed {seed}: {calls:?}");
            }
        }
        for due in [at(45), at(55)] {
            check_once(&cluster, &journal, due, 4);
        }
        cluster.history.check();
        assert_eq!(cluster.complaints(), Vec::<String>::new(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn ask_rarely_for_an_item_that_another_runs() {
    let mut cluster = Cluster::new().await;
    let journal = Journal::of(&cluster);
    let once = ListenerKind::distribute_once(Once(Scribe::new("once", &journal)));
    let limit = Duration::from_secs(1);
    cluster.listen("ONCE", once.started_timeout(limit).completed_timeout(limit));
    // There is no mark that says until when it runs.
    let config = listened_to(2, &["ONCE"]).to_builder();
    let config = config.failover(false).monitor_execution(false).build().unwrap();
    let slow = cluster.join("10.0.0.1", config.clone(), lasting(Duration::from_secs(40)));
    cluster.until(1.0).await;
    let other = cluster.join("10.0.0.2", config, quick());
    other.link.delay(Duration::from_millis(5));
    cluster.until(8.0).await;
    assert_eq!(by(&cluster.history.at(at(5)), &slow.id()).len(), 1);
    cluster.set("/job/servers/10.0.0.1", "DISABLED").await;
    cluster.until(13.0).await;
    let before = other.registry.counts();
    cluster.until(23.0).await;
    assert_eq!(
        by(&cluster.history.at(at(15)), &other.id()).len(),
        1,
        "the other is still run"
    );
    let asked = other.registry.counts() - before;
    assert!(asked.requests() <= 60, "{asked:?}");
    cluster.until(56.0).await;
    assert_eq!(by(&cluster.history.at(at(55)), &other.id()).len(), 2);
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
