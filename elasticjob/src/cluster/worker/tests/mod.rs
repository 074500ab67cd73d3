//! Whole clusters in one thread: several processes' workers on one embedded registry, in virtual time.

mod astray;
mod cancel;
mod configuration;
mod contenders;
mod differences;
mod failover;
mod failures;
mod firing;
mod labels;
mod listeners;
mod many_items;
mod misfire;
mod notices;
mod operators;
mod panics;
mod pause;
mod progress;
mod reconnect;
mod refused;
mod removal;
mod report;
mod requests;
mod retries;
mod session;
mod sharing;
mod standby;
mod strategies;
mod streaming;
mod takeover;
mod triggers;
mod verdicts;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::cluster::fence::{Gated, Stopped};
use crate::cluster::ids::Ids;
use crate::cluster::launch::{CallResult, Launch, ListenerCall};
use crate::cluster::ledger::{End, Source, Verdict};
use crate::cluster::session::{FenceAlarm, Place, Retry};
use crate::listener::{JobListeners, Listeners};
use crate::operation::Operations;
use crate::registry::memory::{Direction, Fate, Link, MemoryRegistry};
use crate::registry::metered::Metered;
use crate::registry::{Answer, CreateMode, Read, Registry, Session, Step};
use crate::schedule::{Clock, ManualClock};
use crate::sharding::Strategies;
use crate::tasks::{Task, Tasks};
use crate::trace::JobEvent;

/// How long items run, by item.
type Work = Arc<dyn Fn(u32) -> BoxFuture<'static, ()> + Send + Sync>;

/// One run of an item: who, when due, which item, and when it began and ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ran {
    by: String,
    item: u32,
    due: Timestamp,
    attempt: u32,
    token: i64,
    began: Duration,
    ended: Option<Duration>,
}

#[derive(Clone, Default)]
struct History(Arc<Mutex<Vec<Ran>>>);

impl History {
    fn all(&self) -> Vec<Ran> {
        self.0.lock().unwrap().clone()
    }

    /// Returns the items that ran for one scheduled time, with their instances, sorted by item.
    fn at(&self, due: Timestamp) -> Vec<(u32, String)> {
        let mut items: Vec<_> = self
            .all()
            .into_iter()
            .filter(|ran| ran.due == due)
            .map(|ran| (ran.item, ran.by))
            .collect();
        items.sort();
        items
    }

    fn count_at(&self, due: Timestamp) -> usize {
        self.at(due).len()
    }

    /// Panics where two runs of one item overlap, or a token does not grow.
    fn check(&self) {
        let mut by_item: BTreeMap<u32, Vec<Ran>> = BTreeMap::new();
        for ran in self.all() {
            by_item.entry(ran.item).or_default().push(ran);
        }
        for runs in by_item.values_mut() {
            runs.sort_by_key(|ran| ran.token);
            for pair in runs.windows(2) {
                assert!(pair[0].token < pair[1].token, "token used twice: {pair:?}");
                assert!(
                    pair[0].ended.is_some_and(|ended| ended <= pair[1].began),
                    "runs overlap: {pair:?}"
                );
                assert_ne!(
                    (pair[0].due, pair[0].attempt),
                    (pair[1].due, pair[1].attempt),
                    "run twice: {pair:?}"
                );
            }
        }
    }
}

struct FakeRunner {
    tasks: Tasks,
    clock: Arc<ManualClock>,
    history: History,
    work: Work,
    listeners: Listeners,
    complaints: Complaints,
}

/// The faults that the error handler receives, and whether it gives up the firing for them.
#[derive(Clone, Default)]
struct Complaints {
    heard: Arc<Mutex<Vec<String>>>,
    is_giving_up: bool,
}

impl Runner for FakeRunner {
    fn launch(&self, launch: Launch) {
        let Launch {
            start,
            fence,
            cancellation,
            finished,
            launched_at,
            ..
        } = launch;
        let (history, clock) = (self.history.clone(), Arc::clone(&self.clock));
        let index = {
            let mut runs = history.0.lock().unwrap();
            runs.push(Ran {
                by: start.run.owner.clone(),
                item: start.item,
                due: Timestamp::from_millisecond(start.run.due).unwrap(),
                attempt: start.run.attempt,
                token: start.fencing_token,
                began: clock.elapsed(),
                ended: None,
            });
            runs.len() - 1
        };
        let work = (self.work)(start.item);
        self.tasks.spawn("item", async move {
            let outcome = Gated::new(work, fence, cancellation).await;
            history.0.lock().unwrap()[index].ended = Some(clock.elapsed());
            let verdict = if outcome.is_ok() {
                Verdict::Succeeded
            } else {
                Verdict::Cancelled
            };
            let is_fenced = matches!(outcome, Err(Stopped::Fenced));
            let _ = finished.unbounded_send(Finished {
                key: RunKey {
                    item: start.item,
                    run: start.run.id,
                    attempt: start.run.attempt,
                },
                is_fenced,
                end: End::new(verdict),
                is_abort: false,
                retries: 0,
                began_at: Some(launched_at),
                ended_at: clock.now(),
                failure: None,
            });
        });
    }

    fn configure(&self, _config: &JobConfig) -> Result<(), String> {
        Ok(())
    }

    fn is_listened_to(&self) -> bool {
        !self.listeners.is_empty()
    }

    fn call_listeners(&self, call: ListenerCall) -> Task<CallResult> {
        self.tasks
            .spawn("listeners", self.listeners.clone().call_listeners(call))
    }

    fn report(&self, fault: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        let sources = std::iter::successors(fault.source(), |source| source.source());
        let text = sources.fold(fault.to_string(), |text, source| format!("{text}: {source}"));
        self.complaints.heard.lock().unwrap().push(text);
        self.complaints.is_giving_up
    }
}

/// One process of the application.
struct Instance {
    link: Link,
    registry: Arc<Metered<Link>>,
    tasks: Tasks,
    handle: WorkerHandle,
    memberships: watch::Receiver<Option<Arc<Membership>>>,
    process: Arc<Process>,
    /// Its id when it was killed.
    killed: OnceCell<String>,
}

impl Instance {
    /// Its id, also when it was killed.
    fn id_before(&self) -> String {
        self.killed.get().cloned().unwrap_or_else(|| self.id())
    }

    fn id(&self) -> String {
        self.memberships.borrow().as_ref().expect("joined").id().to_string()
    }

    fn events(&self) -> crate::trace::Events {
        self.process.events.subscribe()
    }

    /// As a process that is killed: nothing of it says goodbye.
    fn kill(&self) {
        self.killed.set(self.id()).expect("it dies once");
        self.link.cut();
        self.tasks.token().cancel();
    }

    /// Triggers the whole job here.
    async fn trigger(&self, request: &str) -> Result<(), TriggerError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Trigger {
            request: request.to_owned(),
            parameter: None,
            answer,
        };
        self.handle.commands.unbounded_send(command).unwrap();
        answered.await.unwrap()
    }

    async fn stop(&self, grace: Duration) {
        self.handle
            .commands
            .unbounded_send(Command::Stop {
                cancel_at: Instant::now() + grace,
            })
            .unwrap();
        self.handle
            .state
            .clone()
            .wait_for(|state| *state == JobState::Stopped)
            .await
            .unwrap();
        self.tasks.token().cancel();
    }
}

struct Cluster {
    registry: MemoryRegistry,
    clock: Arc<ManualClock>,
    history: History,
    seed: u64,
    observer: Arc<dyn Session>,
    /// Those that processes know which join from now on.
    strategies: Strategies,
    listeners: JobListeners,
    complaints: Complaints,
}

const TIMEOUT: Duration = Duration::from_secs(9);

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    start() + Duration::from_secs(u64::try_from(second).unwrap())
}

fn every_second(total: u32) -> JobConfig {
    JobConfig::builder("job")
        .cron("* * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total)
        .build()
        .unwrap()
}

/// Every 20 seconds from the fifth on, with failover.
fn with_failover(total: u32) -> JobConfig {
    let config = JobConfig::builder("job")
        .cron("5/20 * * * * ?")
        .time_zone("GMT")
        .sharding_total_count(total);
    config
        .failover(true)
        .prop("elasticjob.failover-attempts", "3")
        .build()
        .unwrap()
}

fn quick() -> Work {
    Arc::new(|_| Box::pin(async {}))
}

fn lasting(time: Duration) -> Work {
    Arc::new(move |_| Box::pin(tokio::time::sleep(time)))
}

impl Cluster {
    async fn new() -> Self {
        Self::on(|registry| registry).await
    }

    /// On a registry that is set up by `with`.
    async fn on(with: impl FnOnce(MemoryRegistry) -> MemoryRegistry) -> Self {
        // Shown where a test fails, and with `RUST_LOG`.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .without_time()
            .with_test_writer()
            .try_init();
        let clock = Arc::new(ManualClock::starting_at(start()));
        let of_registry = Arc::clone(&clock);
        let registry =
            MemoryRegistry::with_clock(move || of_registry.now().as_millisecond()).with_session_timeout(TIMEOUT);
        let registry = with(registry);
        let observer = registry.connect().await.unwrap();
        Self {
            registry,
            clock,
            history: History::default(),
            seed: 1,
            observer,
            strategies: Strategies::built_in(),
            listeners: JobListeners::none(),
            complaints: Complaints::default(),
        }
    }

    fn join(&mut self, ip: &str, config: JobConfig, work: Work) -> Instance {
        let pid = u32::try_from(self.seed + 1).unwrap();
        self.join_as(ip, pid, config, work)
    }

    fn join_as(&mut self, ip: &str, pid: u32, config: JobConfig, work: Work) -> Instance {
        self.join_labelled(ip, pid, config, work, &[])
    }

    fn join_labelled(&mut self, ip: &str, pid: u32, config: JobConfig, work: Work, labels: &[&str]) -> Instance {
        let (clock, history, complaints) = (Arc::clone(&self.clock), self.history.clone(), self.complaints.clone());
        let listeners = Listeners::of(config.listener_types(), &self.listeners, None).unwrap();
        self.join_with_labels(ip, pid, config, labels, |tasks| {
            Box::new(FakeRunner {
                tasks: tasks.clone(),
                clock,
                history,
                work,
                listeners,
                complaints,
            })
        })
    }

    fn join_with(
        &mut self,
        ip: &str,
        pid: u32,
        config: JobConfig,
        runner: impl FnOnce(&Tasks) -> Box<dyn Runner>,
    ) -> Instance {
        self.join_with_labels(ip, pid, config, &[], runner)
    }

    fn join_with_labels(
        &mut self,
        ip: &str,
        pid: u32,
        config: JobConfig,
        labels: &[&str],
        runner: impl FnOnce(&Tasks) -> Box<dyn Runner>,
    ) -> Instance {
        self.seed += 1;
        let tasks = Tasks::new();
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let link = self.registry.link(&format!("{ip}-{}", self.seed));
        let registry = Arc::new(Metered::new(link.clone()));
        let place = Place {
            registry: Arc::clone(&registry) as _,
            clock,
            tasks: tasks.clone(),
            ids: Ids::seeded(self.seed),
            ip: ip.to_owned(),
            pid,
            retry: Retry {
                base: Duration::from_secs(1),
                limit: Duration::from_secs(3),
                attempts: None,
            },
            alarm: FenceAlarm::Task,
        };
        let (keeper, process) = Process::new(place, self.strategies.clone(), Duration::from_secs(30));
        tasks.spawn("keeper", keeper.run());
        let memberships = process.memberships.clone();
        let process = Arc::new(process);
        let runner = runner(&tasks);
        let application = Application {
            config: Arc::new(config),
            implementation: None,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        let (worker, handle) = Worker::new(Arc::clone(&process), application, runner).unwrap();
        tasks.spawn("worker", worker.run());
        Instance {
            link,
            registry,
            tasks,
            handle,
            memberships,
            process,
            killed: OnceCell::new(),
        }
    }

    /// Returns the instances of the attempts at one item for one scheduled time.
    fn attempts(&self, item: u32, due: Timestamp) -> Vec<(u32, String)> {
        let runs = self
            .history
            .all()
            .into_iter()
            .filter(|ran| ran.item == item && ran.due == due);
        runs.map(|ran| (ran.attempt, ran.by)).collect()
    }

    /// Lets the time up to a second of the history pass.
    async fn until(&self, second: f64) {
        let target = start() + Duration::from_secs_f64(second);
        tokio::time::sleep_until(self.clock.instant_at(target)).await;
    }

    async fn data(&self, path: &str) -> Option<String> {
        let answers = self.observer.read(vec![Read::Data(path.to_owned())]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Data(found)) => found.map(|(data, _)| String::from_utf8(data).unwrap()),
            _ => None,
        }
    }

    async fn children(&self, path: &str) -> Vec<String> {
        let answers = self.observer.read(vec![Read::Children(path.to_owned())]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Children(found)) => found.unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    async fn set(&self, path: &str, data: &str) {
        let step = Step::Set {
            path: path.to_owned(),
            data: data.into(),
            version: None,
        };
        self.observer.write(vec![step]).await.unwrap();
    }

    async fn delete(&self, path: &str) {
        let step = Step::Delete {
            path: path.to_owned(),
            version: None,
        };
        self.observer.write(vec![step]).await.unwrap();
    }

    /// Registers a Java member on `10.0.0.9`, which does nothing.
    async fn register_java(&self, id: &str) {
        self.create("/job/servers/10.0.0.9", "ENABLED").await;
        let data = format!("jobInstanceId: {id}\nserverIp: 10.0.0.9\n");
        self.create(&format!("/job/instances/{id}"), &data).await;
    }

    async fn create(&self, path: &str, data: &str) {
        let step = Step::Create {
            path: path.to_owned(),
            data: data.into(),
            mode: CreateMode::Persistent,
        };
        self.observer.write(vec![step]).await.unwrap();
    }

    /// Returns what an operator has.
    fn operations(&self) -> Operations {
        Operations::with_clock(Arc::new(self.registry.clone()), Arc::clone(&self.clock) as _)
    }
}

/// Returns what `pick` takes of the events, which has to come within some minutes.
async fn first_event<T>(events: &mut crate::trace::Events, mut pick: impl FnMut(JobEvent) -> Option<T>) -> T {
    let picking = async {
        loop {
            let event = events.next().await.unwrap().expect("the application runs");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    };
    let picked = tokio::time::timeout(Duration::from_secs(300), picking).await;
    picked.expect("it is not said")
}

fn by(runs: &[(u32, String)], id: &str) -> Vec<u32> {
    runs.iter().filter(|(_, by)| by == id).map(|(item, _)| *item).collect()
}
