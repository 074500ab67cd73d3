//! Follows the ledgers of all items from beside: what a member recorded and did not live to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::bail;
use elasticjob::registry::{Answer, Read, Registry, Session, SessionState, Watch, WatchEvent};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::history::since_boot;

use super::application::JobPlan;
use super::fact::{Fact, What};

/// Between two tries to be served, while servers are away.
const PAUSE: Duration = Duration::from_millis(100);

/// As many ledgers as are read at once.
const BATCH: usize = 100;

/// Records what happens until it is dropped.
#[derive(Debug)]
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

/// A std mutex around it: never held across an await.
#[derive(Debug, Default)]
struct Seen {
    facts: Vec<Fact>,
    /// What each ledger said last, and the transaction that wrote it.
    last: BTreeMap<String, (i64, Vec<What>)>,
    /// Ledgers that are older than they were.
    forgotten: Vec<String>,
}

impl Witness {
    pub(super) fn start(registry: Arc<dyn Registry>, plans: &[JobPlan]) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let ledgers: BTreeMap<String, (String, u32)> = plans
            .iter()
            .flat_map(|plan| (0..plan.items).map(|item| (ledger(plan.name, item), (plan.name.to_owned(), item))))
            .collect();
        let jobs = plans.iter().map(|plan| plan.name).collect::<Vec<_>>();
        let follower = Follower {
            registry,
            jobs,
            ledgers,
            seen: Arc::clone(&seen),
        };
        let mut task = JoinSet::new();
        task.spawn(follower.follow());
        Self { seen, _task: task }
    }

    /// Returns what was seen so far.
    pub(super) fn facts(&self) -> Vec<Fact> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).facts.clone()
    }

    /// Returns what the registry centre had acknowledged, and then had not.
    pub(super) fn forgotten(&self) -> Vec<String> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forgotten
            .clone()
    }
}

fn ledger(job: &str, item: u32) -> String {
    format!("/{job}/ledger/items/{item}")
}

struct Follower {
    registry: Arc<dyn Registry>,
    jobs: Vec<&'static str>,
    /// The job and the item of each path.
    ledgers: BTreeMap<String, (String, u32)>,
    seen: Arc<Mutex<Seen>>,
}

impl Follower {
    async fn follow(self) {
        loop {
            if let Ok(session) = self.registry.connect().await {
                // It ends with the session, and a new session reads everything again.
                let _ = self.follow_in(&*session).await;
            }
            sleep(PAUSE).await;
        }
    }

    async fn follow_in(&self, session: &dyn Session) -> anyhow::Result<()> {
        let mut watches = Vec::new();
        for job in &self.jobs {
            watches.push(session.watch(&format!("/{job}/ledger/items")).await?);
        }
        let mut changed: BTreeSet<String> = self.ledgers.keys().cloned().collect();
        loop {
            if !changed.is_empty() {
                // Whichever server answers has seen what the last one had.
                let _ = session.sync().await;
            }
            while let Some(batch) = next_batch(&changed) {
                match self.look_at(session, &batch).await {
                    Ok(()) => changed.retain(|path| !batch.contains(path)),
                    Err(error) if is_over(session) => return Err(error),
                    Err(_) => sleep(PAUSE).await,
                }
            }
            for event in poll_fn(|context| poll_events(&mut watches, context)).await {
                match event {
                    WatchEvent::Created(path) | WatchEvent::Changed(path) if self.ledgers.contains_key(&path) => {
                        changed.insert(path);
                    }
                    WatchEvent::Resync => changed.extend(self.ledgers.keys().cloned()),
                    WatchEvent::Closed => bail!("the session is over"),
                    _ => {}
                }
            }
        }
    }

    async fn look_at(&self, session: &dyn Session, paths: &[String]) -> anyhow::Result<()> {
        let reads = paths.iter().cloned().map(Read::Data).collect();
        let answers = session.read(reads).await?;
        let at = since_boot();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, answer) in paths.iter().zip(answers) {
            let Answer::Data(Some((data, stat))) = answer else {
                continue;
            };
            // Data that is no ledger says nothing, and the judge will miss what it should have said.
            let facts = What::of_ledger(&data).unwrap_or_default();
            let (job, item) = &self.ledgers[path];
            let now = (stat.modified, facts.clone());
            let (modified, before) = seen.last.insert(path.clone(), now).unwrap_or_default();
            if stat.modified < modified {
                let what = format!(
                    "{path}: {before:?} of transaction {modified:#x}, now {facts:?} of {:#x}",
                    stat.modified
                );
                seen.forgotten.push(what);
            }
            let new = facts.into_iter().filter(|what| !before.contains(what));
            seen.facts.extend(new.map(|what| Fact {
                at,
                job: job.clone(),
                item: *item,
                what,
            }));
        }
        Ok(())
    }
}

fn next_batch(changed: &BTreeSet<String>) -> Option<Vec<String>> {
    (!changed.is_empty()).then(|| changed.iter().take(BATCH).cloned().collect())
}

fn is_over(session: &dyn Session) -> bool {
    *session.state().borrow() == SessionState::Lost
}

/// Returns all events that there are, as soon as there is one.
fn poll_events(watches: &mut [Box<dyn Watch>], context: &mut Context<'_>) -> Poll<Vec<WatchEvent>> {
    let mut events = Vec::new();
    for watch in watches {
        while let Poll::Ready(event) = watch.poll_next(context) {
            let is_closed = event == WatchEvent::Closed;
            events.push(event);
            if is_closed {
                break;
            }
        }
    }
    if events.is_empty() {
        Poll::Pending
    } else {
        Poll::Ready(events)
    }
}
