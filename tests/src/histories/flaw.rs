//! Registries that break one promise now and then, around one that keeps all: the checks have to find them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use elasticjob::registry::decorator::{Decorated, Decorator};
use elasticjob::registry::{
    Answer, BoxFuture, CreateMode, Error, Read, Registry, Session, Step, Watch, WatchEvent, WriteError, Written,
};

use super::subject::{Client, Fault, Namespace, Subject};

/// The promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// An event does not come.
    DropsEvents,
    /// An event comes before the one that was to come first.
    SwapsEvents,
    /// An event comes twice.
    DoublesEvents,
    /// An answer comes before the events that precede it.
    AnswersBeforeEvents,
    /// The deletions of nodes of sessions that are over are no events.
    HidesEnds,
    /// A transaction whose answer is lost is carried out twice.
    WritesTwice,
    /// A transaction whose answer is lost is carried out later.
    WritesLate,
    /// A transaction of a session that is over is carried out.
    LetsTheDeadWrite,
    /// The halves of a transaction are two transactions.
    TearsTransactions,
    /// A version that is expected is not looked at.
    IgnoresVersions,
    /// A version is left out.
    SkipsVersions,
    /// An ephemeral node stays.
    KeepsEphemerals,
    /// A read shows what an earlier one has shown.
    ReadsTheOld,
}

/// A subject with a flaw.
#[derive(Debug)]
pub struct Flawed<S> {
    /// What it would be without.
    pub subject: S,
    /// The promise that it breaks.
    pub flaw: Flaw,
}

impl<S: Subject> Subject for Flawed<S> {
    fn namespace<'a>(&'a self, name: &'a str, clients: usize) -> BoxFuture<'a, anyhow::Result<Namespace>> {
        Box::pin(async move {
            let Namespace {
                observer,
                clients,
                keep,
            } = self.subject.namespace(name, clients).await?;
            let occasions = Arc::<AtomicU64>::default();
            let flawed = |client| {
                Box::new(FlawedClient {
                    client,
                    flaw: self.flaw,
                    occasions: Arc::clone(&occasions),
                }) as Box<dyn Client>
            };
            Ok(Namespace {
                // What it sees is what the others should.
                observer,
                clients: clients.into_iter().map(flawed).collect(),
                keep,
            })
        })
    }
}

struct FlawedClient {
    client: Box<dyn Client>,
    flaw: Flaw,
    occasions: Arc<AtomicU64>,
}

impl Client for FlawedClient {
    fn registry(&self) -> Arc<dyn Registry> {
        flawed_registry(self.client.registry(), self.flaw, &self.occasions)
    }

    fn faults(&self) -> &'static [Fault] {
        self.client.faults()
    }

    fn hurt(&self, fault: Fault) {
        self.client.hurt(fault);
    }

    fn heal(&self) {
        self.client.heal();
    }
}

fn flawed_registry(registry: Arc<dyn Registry>, flaw: Flaw, occasions: &Arc<AtomicU64>) -> Arc<dyn Registry> {
    Arc::new(FlawedRegistry {
        registry,
        flaw,
        occasions: Arc::clone(occasions),
    })
}

#[derive(Debug)]
struct FlawedRegistry {
    registry: Arc<dyn Registry>,
    flaw: Flaw,
    occasions: Arc<AtomicU64>,
}

impl Registry for FlawedRegistry {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, Error>> {
        let flawed = FlawedSession {
            flaw: self.flaw,
            chance: Chance(Arc::clone(&self.occasions)),
            registry: Arc::clone(&self.registry),
            late: Arc::default(),
            shown: Arc::default(),
        };
        Box::pin(async move { Ok(Decorated::new(self.registry.connect().await?, flawed)) })
    }

    fn describe(&self) -> String {
        self.registry.describe()
    }
}

/// Decides when a promise is broken.
#[derive(Clone, Debug)]
struct Chance(Arc<AtomicU64>);

impl Chance {
    /// Whether it is broken this time: once in so many.
    fn comes(&self, once_in: u64) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) % once_in == once_in - 1
    }
}

#[derive(Debug)]
struct FlawedSession {
    flaw: Flaw,
    chance: Chance,
    registry: Arc<dyn Registry>,
    /// What was said to be lost. A std mutex: held for moments.
    late: Arc<Mutex<Vec<Vec<Step>>>>,
    /// What reads have shown. A std mutex: held for moments.
    shown: Arc<Mutex<HashMap<String, Answer>>>,
}

type Writing = BoxFuture<'static, Result<Vec<Written>, WriteError>>;

impl Decorator for FlawedSession {
    fn write(&self, session: &dyn Session, mut steps: Vec<Step>) -> Writing {
        match self.flaw {
            Flaw::WritesTwice if self.chance.comes(8) => {
                let (first, second) = (session.write(steps.clone()), session.write(steps));
                Box::pin(async {
                    let _ = (first.await, second.await);
                    Err(Error::ConnectionLoss.into())
                })
            }
            Flaw::WritesLate if self.chance.comes(8) => {
                self.late.lock().unwrap_or_else(PoisonError::into_inner).push(steps);
                Box::pin(std::future::ready(Err(Error::ConnectionLoss.into())))
            }
            Flaw::LetsTheDeadWrite => {
                let (writing, registry) = (session.write(steps.clone()), Arc::clone(&self.registry));
                Box::pin(async move {
                    let result = writing.await;
                    if let Err(error) = &result
                        && error.error.is_session_lost()
                        && let Ok(other) = registry.connect().await
                    {
                        let _ = other.write(steps).await;
                    }
                    result
                })
            }
            Flaw::TearsTransactions if steps.len() > 2 => {
                let rest = steps.split_off(2);
                let (first, second) = (session.write(steps), session.write(rest));
                Box::pin(async {
                    let answers = first.await?;
                    let more = second.await.map_err(|error| WriteError {
                        step: error.step.map(|step| step + 2),
                        ..error
                    })?;
                    Ok([answers, more].concat())
                })
            }
            Flaw::IgnoresVersions => {
                steps.iter_mut().for_each(forget_version);
                session.write(steps)
            }
            Flaw::KeepsEphemerals if self.chance.comes(4) => {
                steps.iter_mut().for_each(keep);
                session.write(steps)
            }
            Flaw::SkipsVersions => {
                let (writing, skips) = (session.write(steps), self.chance.comes(4));
                Box::pin(async move {
                    let mut answers = writing.await?;
                    for answer in answers.iter_mut().filter(|_| skips) {
                        if let Written::Set(stat) = answer {
                            stat.version += 1;
                        }
                    }
                    Ok(answers)
                })
            }
            _ => session.write(steps),
        }
    }

    fn read_at_once(&self, session: &dyn Session, reads: Vec<Read>) -> BoxFuture<'static, Result<Vec<Answer>, Error>> {
        let reading = session.read_at_once(reads.clone());
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        let late: Vec<_> = late.into_iter().map(|steps| session.write(steps)).collect();
        let (reads_the_old, shown) = (
            self.flaw == Flaw::ReadsTheOld && self.chance.comes(3),
            Arc::clone(&self.shown),
        );
        Box::pin(async move {
            let mut answers = reading.await?;
            for writing in late {
                let _ = writing.await;
            }
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            for (read, answer) in reads.iter().zip(&mut answers) {
                let old = shown.insert(format!("{read:?}"), answer.clone());
                if let Some(old) = old.filter(|_| reads_the_old) {
                    *answer = old;
                }
            }
            Ok(answers)
        })
    }

    fn watch(&self, session: &dyn Session, path: &str) -> BoxFuture<'static, Result<Box<dyn Watch>, Error>> {
        let (watching, flaw, chance) = (session.watch(path), self.flaw, self.chance.clone());
        Box::pin(async move {
            let watch = watching.await?;
            Ok(Box::new(FlawedWatch {
                watch,
                flaw,
                chance,
                held: None,
                next: None,
            }) as Box<dyn Watch>)
        })
    }
}

fn forget_version(step: &mut Step) {
    if let Step::Set { version, .. } | Step::Delete { version, .. } | Step::Check { version, .. } = step {
        *version = None;
    }
}

fn keep(step: &mut Step) {
    if let Step::Create {
        mode: mode @ CreateMode::Ephemeral,
        ..
    } = step
    {
        *mode = CreateMode::Persistent;
    }
}

#[derive(Debug)]
struct FlawedWatch {
    watch: Box<dyn Watch>,
    flaw: Flaw,
    chance: Chance,
    /// An event that is not given yet, and comes after the next.
    held: Option<WatchEvent>,
    /// An event that comes before all others.
    next: Option<WatchEvent>,
}

impl Watch for FlawedWatch {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        if let Some(event) = self.next.take() {
            return Poll::Ready(event);
        }
        loop {
            let event = match self.watch.poll_next(cx) {
                Poll::Ready(event) => event,
                Poll::Pending => return self.held.take().map_or(Poll::Pending, Poll::Ready),
            };
            if let Some(held) = self.held.take() {
                self.next = Some(held);
                return Poll::Ready(event);
            }
            let is_change = !matches!(event, WatchEvent::Resync | WatchEvent::Closed);
            match self.flaw {
                Flaw::DropsEvents if is_change && self.chance.comes(24) => {}
                Flaw::HidesEnds if matches!(&event, WatchEvent::Deleted(path) if path.contains("/live/s")) => {}
                Flaw::SwapsEvents if is_change && self.chance.comes(8) => self.held = Some(event),
                Flaw::DoublesEvents if is_change && self.chance.comes(24) => {
                    self.next = Some(event.clone());
                    return Poll::Ready(event);
                }
                Flaw::AnswersBeforeEvents if is_change && self.chance.comes(8) => {
                    self.next = Some(event);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                _ => return Poll::Ready(event),
            }
        }
    }
}
