//! Keeps a [`World`](super::World) true: one session, one watch, reads in batches.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::cluster::layout::job_of;
use crate::operation::survey::{Depth, Survey};
use crate::operation::{Error, Unlisted, UnlistedReason, explain, listing, next, report};
use crate::registry::{self, Session, SessionState, Watch, WatchEvent};

use super::{IDLE, JobNow, PACE, Picture, SHOWN_PACE, Shared, Standing};

/// Jobs that are read together.
const TOGETHER: usize = 200;

/// Changed jobs that are read as often as if they were shown. If there are more, they share the reads.
const AT_ONCE: usize = 10;

/// Least time between two rounds of reads, so that a registry that keeps losing us is not asked without a pause.
const RETRY: Duration = Duration::from_secs(1);

/// How long a look at a job counts.
const SHOWN: Duration = Duration::from_secs(15);

pub(super) async fn run(shared: &Shared, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop.fuse());
    let mut known = Known::default();
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = looked(shared) => {}
        }
        let follower = match open(shared).await {
            Ok(follower) => follower,
            Err(error) => {
                known.lost(shared, &error);
                tokio::select! {
                    () = &mut stop => return,
                    () = tokio::time::sleep(RETRY) => continue,
                }
            }
        };
        let followed = tokio::select! {
            () = &mut stop => Ok(ControlFlow::Break(())),
            followed = follow(shared, &mut known, follower.session.as_ref(), follower.watch) => followed,
        };
        follower.session.close().await;
        match followed {
            Ok(ControlFlow::Break(())) => return,
            Ok(ControlFlow::Continue(())) => known.sleep(shared),
            Err(error) => {
                known.lost(shared, &error);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Waits until a caller has looked within [`IDLE`].
async fn looked(shared: &Shared) {
    while idle_at(shared).is_none_or(|at| at <= Instant::now()) {
        shared.looked.notified().await;
    }
}

/// Returns when the world falls asleep; `None` if no caller ever looked.
fn idle_at(shared: &Shared) -> Option<Instant> {
    let looks = shared.looks.lock().unwrap_or_else(PoisonError::into_inner);
    looks.newest.map(|newest| newest + IDLE)
}

struct Follower {
    session: Arc<dyn Session>,
    watch: Box<dyn Watch>,
}

async fn open(shared: &Shared) -> Result<Follower, Error> {
    let session = shared.operations.new_session().await?;
    let watch = session.watch("/").await;
    match watch {
        Ok(watch) => Ok(Follower { session, watch }),
        Err(error) => {
            session.close().await;
            Err(shared.operations.failed(error))
        }
    }
}

/// Follows the registry until nobody looks any more.
async fn follow(
    shared: &Shared,
    known: &mut Known,
    session: &dyn Session,
    mut watch: Box<dyn Watch>,
) -> Result<ControlFlow<()>, Error> {
    known.read_all(shared, session).await?;
    known.follow_wishes(shared, session).await?;
    let mut marked = Marked::default();
    loop {
        let Some(idle_at) = idle_at(shared).filter(|at| *at > Instant::now()) else {
            return Ok(ControlFlow::Continue(()));
        };
        let wake_at = marked
            .due_at(shared)
            .unwrap_or(idle_at)
            .min(known.next_due(shared))
            .min(idle_at);
        tokio::select! {
            _ = unserved(session) => return Err(shared.operations.failed(registry::Error::ConnectionLoss)),
            event = poll_fn(|cx| watch.poll_next(cx)) => match marked.note(event) {
                Noted::Job => {}
                Noted::Resync => {
                    known.read_all(shared, session).await?;
                    marked = Marked::default();
                }
                Noted::Closed => return Err(shared.operations.failed(registry::Error::SessionExpired)),
            },
            // A job that is looked at from now on is due sooner.
            () = shared.looked.notified() => known.follow_wishes(shared, session).await?,
            () = tokio::time::sleep_until(wake_at) => {
                marked.jobs.extend(known.overdue(shared.operations.now()).map(|job| (job, Instant::now())));
                let due = marked.take_due(shared);
                known.read(shared, session, due).await?;
            }
        }
    }
}

/// Waits until the servers do not serve the session.
async fn unserved(session: &dyn Session) {
    let mut state = session.state();
    drop(state.wait_for(|state| *state != SessionState::Connected).await);
}

/// Jobs that have changed and are to be read, and since when.
#[derive(Default)]
struct Marked {
    jobs: BTreeMap<Arc<str>, Instant>,
}

enum Noted {
    Job,
    Resync,
    Closed,
}

impl Marked {
    fn note(&mut self, event: WatchEvent) -> Noted {
        let path = match event {
            WatchEvent::Created(path) | WatchEvent::Changed(path) | WatchEvent::Deleted(path) => path,
            WatchEvent::Resync => return Noted::Resync,
            WatchEvent::Closed => return Noted::Closed,
        };
        if let Some(job) = job_of(&path)
            && !self.jobs.contains_key(job)
        {
            self.jobs.insert(job.into(), Instant::now());
        }
        Noted::Job
    }

    /// Returns when the first of them is to be read.
    fn due_at(&self, shared: &Shared) -> Option<Instant> {
        let looks = shared.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = self.pace();
        let due = |(job, since): (&Arc<str>, &Instant)| {
            *since
                + if looks.shown.contains_key(job) {
                    SHOWN_PACE
                } else {
                    pace
                }
        };
        self.jobs.iter().map(due).min()
    }

    /// Returns how long jobs wait that are not shown: the longer the more of them have changed.
    fn pace(&self) -> Duration {
        let shares = u32::try_from(self.jobs.len().div_ceil(AT_ONCE)).unwrap_or(u32::MAX);
        SHOWN_PACE.saturating_mul(shares.max(1)).min(PACE)
    }

    fn take_due(&mut self, shared: &Shared) -> BTreeSet<Arc<str>> {
        let mut looks = shared.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        looks.shown.retain(|_, at| now.duration_since(*at) < SHOWN);
        let pace = self.pace();
        let pace_of = |job: &Arc<str>| {
            if looks.shown.contains_key(job) {
                SHOWN_PACE
            } else {
                pace
            }
        };
        let is_due = |job: &Arc<str>, since: &mut Instant| now >= *since + pace_of(job);
        self.jobs.extract_if(.., is_due).map(|(job, _)| job).collect()
    }
}

/// What the world knows beside its picture.
#[derive(Default)]
struct Known {
    /// The times at which jobs are due next: a job that nobody serves gives no event.
    next: BTreeMap<Arc<str>, Timestamp>,
}

impl Known {
    /// Reads all jobs anew, some at a time, and shows how far that has come.
    async fn read_all(&mut self, shared: &Shared, session: &dyn Session) -> Result<(), Error> {
        let names: BTreeSet<Arc<str>> = {
            let names = shared.operations.names_by(session).await?;
            names.iter().map(|name| name.as_str().into()).collect()
        };
        self.next.retain(|job, _| names.contains(job));
        shared.picture.send_modify(|picture| {
            picture.revision += 1;
            Arc::make_mut(&mut picture.jobs).retain(|job, _| names.contains(job));
            Arc::make_mut(&mut picture.others).retain(|job, _| names.contains(job));
            picture.standing = Standing::Reading {
                done: 0,
                all: names.len(),
            };
        });
        let all: Vec<Arc<str>> = names.into_iter().collect();
        let mut done = 0;
        for some in all.chunks(TOGETHER) {
            self.read(shared, session, some.iter().cloned()).await?;
            done += some.len();
            let standing = Standing::Reading { done, all: all.len() };
            shared.picture.send_modify(|picture| picture.standing = standing);
        }
        shared.picture.send_modify(|picture| {
            picture.revision += 1;
            picture.standing = Standing::Live;
            picture.as_of = Some(shared.operations.now());
        });
        Ok(())
    }

    /// Reads these jobs, and shows them.
    async fn read(
        &mut self,
        shared: &Shared,
        session: &dyn Session,
        jobs: impl IntoIterator<Item = Arc<str>>,
    ) -> Result<(), Error> {
        let jobs: Vec<Arc<str>> = jobs.into_iter().collect();
        for some in jobs.chunks(TOGETHER) {
            let names = some.iter().map(|job| &**job);
            let (surveys, closed) = shared.operations.read_surveys(session, names, Depth::Whole).await?;
            let now = shared.operations.now();
            let mut found: BTreeMap<Arc<str>, Found> = BTreeMap::new();
            for closed in closed {
                let problem = closed.refusal.to_string();
                let reason = UnlistedReason::Refused { problem };
                let other = Unlisted {
                    name: closed.job,
                    reason,
                };
                found.insert(other.name.as_str().into(), Found::Other(other));
            }
            for survey in surveys.iter().filter(|survey| survey.exists()) {
                found.insert(survey.job().into(), self.look_at(shared, survey, now));
            }
            shared.picture.send_modify(|picture| show(picture, some, found, now));
        }
        Ok(())
    }

    /// Reads the jobs that callers want to be read at once.
    async fn follow_wishes(&mut self, shared: &Shared, session: &dyn Session) -> Result<(), Error> {
        let (wanted, wishes) = {
            let mut looks = shared.looks.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut looks.wanted), looks.wishes)
        };
        // What the operations wrote has to be in what this session reads.
        if !wanted.is_empty() {
            session.sync().await.map_err(|error| shared.operations.failed(error))?;
            self.read(shared, session, wanted).await?;
        }
        shared.followed.send_replace(wishes);
        Ok(())
    }

    fn look_at(&mut self, shared: &Shared, survey: &Survey, now: Timestamp) -> Found {
        let config = match listing::listed(survey) {
            Ok(config) => config,
            Err(other) => return Found::Other(other),
        };
        let before = shared.picture.borrow().jobs.get(survey.job()).cloned();
        let mut firings = before.map(|job| job.firings.clone()).unwrap_or_default();
        let zone = next::zone(&config);
        let ledgers = survey.ledgers.iter().map(|(item, ledger)| (*item, &ledger.value));
        firings.note(ledgers, now, |time| config.cron()?.next_after(time, zone.time_zone()));
        let report = report::of(survey, &config, now);
        let job: Arc<str> = survey.job().into();
        let (explanation, otherwise_at) = explain::of(survey, Some(Ok(config)), now);
        match report.brief.next.into_iter().chain(otherwise_at).min() {
            Some(next) => drop(self.next.insert(job, next)),
            None => drop(self.next.remove(&job)),
        }
        Found::Job(Box::new(JobNow {
            revision: 0,
            explanation,
            report,
            firings,
        }))
    }

    /// Returns the jobs whose next time has come: what is shown of them is of before.
    fn overdue(&mut self, now: Timestamp) -> impl Iterator<Item = Arc<str>> {
        let is_due = move |_: &Arc<str>, next: &mut Timestamp| *next <= now;
        self.next.extract_if(.., is_due).map(|(job, _)| job)
    }

    /// Returns when the next job is due, but not before the shortest pace is over.
    fn next_due(&self, shared: &Shared) -> Instant {
        let now = shared.operations.now();
        let next = self.next.values().min().map(|next| next.duration_since(now));
        let wait = next
            .and_then(|wait| Duration::try_from(wait).ok())
            .unwrap_or(Duration::ZERO);
        let wait = if self.next.is_empty() { PACE } else { wait };
        Instant::now() + wait.clamp(SHOWN_PACE, PACE)
    }

    fn lost(&self, shared: &Shared, error: &Error) {
        let now = shared.operations.now();
        shared.picture.send_modify(|picture| {
            if matches!(picture.standing, Standing::Away { .. }) {
                return;
            }
            picture.revision += 1;
            picture.standing = Standing::Away {
                since: picture.as_of.unwrap_or(now),
                problem: crate::chain::Chain(error).to_string(),
            };
        });
    }

    fn sleep(&mut self, shared: &Shared) {
        self.next.clear();
        shared.picture.send_modify(|picture| {
            picture.revision += 1;
            picture.standing = Standing::Asleep;
            // What is seen at the next look would be taken for what goes on.
            picture.jobs = Arc::default();
            picture.others = Arc::default();
        });
    }
}

/// What a node in the place of a job is.
enum Found {
    Job(Box<JobNow>),
    Other(Unlisted),
}

/// Brings the picture up to date with what was read of these jobs.
fn show(picture: &mut Picture, read: &[Arc<str>], mut found: BTreeMap<Arc<str>, Found>, now: Timestamp) {
    picture.revision += 1;
    picture.as_of = Some(now);
    let (jobs, others) = (Arc::make_mut(&mut picture.jobs), Arc::make_mut(&mut picture.others));
    for name in read {
        match found.remove(name) {
            Some(Found::Job(job)) => {
                others.remove(name);
                let job = JobNow {
                    revision: picture.revision,
                    ..*job
                };
                jobs.insert(Arc::clone(name), Arc::new(job));
            }
            Some(Found::Other(other)) => {
                jobs.remove(name);
                others.insert(Arc::clone(name), other);
            }
            None => {
                jobs.remove(name);
                others.remove(name);
            }
        }
    }
}
