//! The only place that talks to the registry: reads in batches, and changes that are decided again if another change came in
//! between.
//!
//! Every change follows one pattern: survey the job, let pure code decide on the steps, write them in one transaction
//! that checks what the decision relied on. If the registry refuses, or the answer is lost, the job is surveyed again
//! after a sync and decided again. A decision finds by itself that its change is already made, and then returns no
//! steps. After [`ATTEMPTS`] refusals in a row the call ends with [`Error::Busy`].

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::cluster::layout::Node;
use crate::registry::{self, Answer, Read, Session, SessionState, Step, WatchEvent, WriteError};

use super::survey::{Depth, Survey};
use super::{Error, Operations};

/// Most things that are read in one request, and
const BATCH: usize = 400;
/// most requests at a time.
const IN_FLIGHT: usize = 8;

/// Of so many nodes, or items, what is read is held at once beside what it says.
const READ_TOGETHER: usize = 10_000;

/// Most jobs that are changed at a time.
const CHANGES_IN_FLIGHT: usize = 8;

/// How often a change is tried that others get in the way of.
const ATTEMPTS: u32 = 20;

/// A job that the registry does not let us read.
pub(super) struct Closed {
    pub(super) job: String,
    pub(super) refusal: registry::Error,
}

impl Operations {
    /// Returns the time by the clock of these operations.
    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Returns an id for a request that no other request has.
    pub(super) fn new_id(&self) -> String {
        self.shared.ids.lock().unwrap_or_else(PoisonError::into_inner).run()
    }

    /// Wraps an error of the registry with the name of that registry.
    pub(super) fn failed(&self, source: registry::Error) -> Error {
        Error::Registry {
            registry: self.shared.registry.describe(),
            source,
        }
    }

    /// Returns the session, or opens one if there is none that lives. Calls that come at once share the one that is opened.
    pub(super) async fn session(&self) -> Result<Arc<dyn Session>, Error> {
        let slot = || self.shared.session.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = || {
            let session = slot().clone();
            session.filter(|session| *session.state().borrow() != SessionState::Lost)
        };
        if let Some(session) = usable() {
            return Ok(session);
        }
        let _opening = self.shared.opening.lock().await;
        if let Some(session) = usable() {
            return Ok(session);
        }
        let opened = self.new_session().await?;
        Ok(Arc::clone(slot().insert(opened)))
    }

    /// Opens a session of one's own, which creates nothing by itself: an operator who names the wrong namespace leaves nothing
    /// behind.
    pub(super) async fn new_session(&self) -> Result<Arc<dyn Session>, Error> {
        let connected = self.shared.registry.connect_to_look().await;
        connected.map_err(|error| self.failed(error))
    }

    /// The names of all nodes of the namespace, jobs or not.
    pub(super) async fn names(&self) -> Result<Vec<String>, Error> {
        let session = self.session().await?;
        self.names_by(&*session).await
    }

    /// As [`names`](Self::names), by a session of one's own.
    pub(super) async fn names_by(&self, session: &dyn Session) -> Result<Vec<String>, Error> {
        let answers = read_all(session, vec![Read::Children("/".to_owned())]).await;
        match answers.map_err(|error| self.failed(error))?.pop() {
            Some(Answer::Children(names)) => Ok(names.unwrap_or_default()),
            _ => Ok(Vec::new()),
        }
    }

    /// These jobs as they are now, in two rounds of reads for all of them.
    pub(super) async fn surveys(
        &self,
        jobs: impl IntoIterator<Item = &str>,
        depth: Depth,
    ) -> Result<Vec<Survey>, Error> {
        let session = self.session().await?;
        self.surveys_by(&*session, jobs, depth).await
    }

    /// As [`surveys`](Self::surveys), by a session of one's own.
    pub(super) async fn surveys_by(
        &self,
        session: &dyn Session,
        jobs: impl IntoIterator<Item = &str>,
        depth: Depth,
    ) -> Result<Vec<Survey>, Error> {
        let (surveys, closed) = self.read_surveys(session, jobs, depth).await?;
        match closed.into_iter().next() {
            Some(Closed { refusal, .. }) => Err(self.failed(refusal)),
            None => Ok(surveys),
        }
    }

    /// As [`surveys`](Self::surveys), with the jobs apart that the registry does not let us read.
    pub(super) async fn surveys_and_closed(
        &self,
        jobs: impl IntoIterator<Item = &str>,
        depth: Depth,
    ) -> Result<(Vec<Survey>, Vec<Closed>), Error> {
        let session = self.session().await?;
        self.read_surveys(&*session, jobs, depth).await
    }

    /// As [`surveys_and_closed`](Self::surveys_and_closed), by a session of one's own.
    pub(super) async fn read_surveys(
        &self,
        session: &dyn Session,
        jobs: impl IntoIterator<Item = &str>,
        depth: Depth,
    ) -> Result<(Vec<Survey>, Vec<Closed>), Error> {
        let mut surveys: Vec<Survey> = jobs
            .into_iter()
            .filter(|job| may_be_name(job))
            .map(|job| Survey::new(session.limits(), job, depth))
            .collect();
        let mut refusals = BTreeMap::new();
        for _round in 0..2 {
            let mut wanted = Vec::new();
            for (index, survey) in surveys.iter_mut().enumerate() {
                wanted.extend(survey.take_wanted().into_iter().map(|wanted| (index, wanted)));
            }
            for some in wanted.chunks(READ_TOGETHER) {
                let reads = some
                    .iter()
                    .flat_map(|(index, wanted)| surveys[*index].reads(wanted).into_iter().map(|read| (*index, read)));
                let answers = read_of_each(session, reads.collect(), &mut refusals)
                    .await
                    .map_err(|error| self.failed(error))?;
                for ((index, read), answer) in answers {
                    surveys[index].note(&read, answer);
                }
            }
        }
        let (mut open, mut closed) = (Vec::new(), Vec::new());
        for (index, survey) in surveys.into_iter().enumerate() {
            match refusals.remove(&index) {
                None => open.push(survey),
                Some(refusal) => closed.push(Closed {
                    job: survey.job().to_owned(),
                    refusal,
                }),
            }
        }
        Ok((open, closed))
    }

    /// One job as it is now.
    pub(super) async fn survey(&self, job: &str, depth: Depth) -> Result<Survey, Error> {
        let session = self.session().await?;
        self.survey_by(&*session, job, depth).await
    }

    /// As [`survey`](Self::survey), by a session of one's own.
    pub(super) async fn survey_by(&self, session: &dyn Session, job: &str, depth: Depth) -> Result<Survey, Error> {
        let survey = self.surveys_by(session, [job], depth).await?.pop();
        survey
            .filter(Survey::exists)
            .ok_or_else(|| Error::NoSuchJob { job: job.to_owned() })
    }

    /// Calls `look` at once, and each time that the job changes, until it has seen enough or the time is over;
    /// returns what it saw last.
    pub(super) async fn watched<T>(
        &self,
        job: &str,
        timeout: Duration,
        mut look: impl FnMut(&Survey) -> Result<ControlFlow<T, T>, Error>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + timeout;
        // Of our own, since a session has one watch at most on a path.
        let session = self.new_session().await?;
        let watched = async {
            let watch = session.watch(&Node::Root.of(job)).await;
            let mut watch = watch.map_err(|error| self.failed(error))?;
            loop {
                let seen = match look(&self.survey_by(&*session, job, Depth::Whole).await?)? {
                    ControlFlow::Break(seen) => return Ok(seen),
                    ControlFlow::Continue(seen) => seen,
                };
                match timeout_at(deadline, poll_fn(|cx| watch.poll_next(cx))).await {
                    Ok(WatchEvent::Closed) => return Err(self.failed(registry::Error::SessionExpired)),
                    Ok(_) => {
                        // Events of one transaction come together, and are looked into together.
                        let mut context = Context::from_waker(Waker::noop());
                        while let Poll::Ready(event) = watch.poll_next(&mut context) {
                            if event == WatchEvent::Closed {
                                break;
                            }
                        }
                    }
                    Err(_) => return Ok(seen),
                }
            }
        };
        let result = watched.await;
        session.close().await;
        result
    }

    /// Changes a job in one transaction, which `decide` makes from the present nodes. `decide` is called again if these changed
    /// meanwhile or the answer was lost, so it must not include changes that are already made.
    pub(super) async fn change<T>(
        &self,
        job: &str,
        depth: Depth,
        decide: impl Fn(&Survey) -> Result<(Vec<Step>, T), Error>,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS {
            let (steps, result) = decide(&self.survey(job, depth).await?)?;
            if steps.is_empty() || self.write(steps).await? {
                return Ok(result);
            }
        }
        Err(Error::Busy { job: job.to_owned() })
    }

    /// Does the same to several jobs, some at a time. The first error ends it; what was done by then stays done.
    pub(super) async fn each<T, F>(&self, jobs: Vec<String>, change: impl Fn(String) -> F) -> Result<Vec<T>, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let changes = jobs.into_iter().map(change);
        stream::iter(changes).buffered(CHANGES_IN_FLIGHT).try_collect().await
    }

    /// Writes a transaction, and returns whether it is known to be done. It is not if another change was faster or the
    /// answer was lost; then the next read shows the present state.
    pub(super) async fn write(&self, steps: Vec<Step>) -> Result<bool, Error> {
        use registry::Error::{BadVersion, ConnectionLoss, NoNode, NodeExists, NotEmpty};
        let session = self.session().await?;
        match session.write(steps).await {
            Ok(_) => Ok(true),
            Err(WriteError {
                error: NodeExists | NoNode | BadVersion | NotEmpty | ConnectionLoss,
                ..
            }) => {
                session.sync().await.map_err(|error| self.failed(error))?;
                Ok(false)
            }
            Err(refused) => Err(self.failed(refused.error)),
        }
    }
}

/// Returns whether a job may have this name: one with a slash is no job's, and a path of it would be another node's.
pub(super) fn may_be_name(job: &str) -> bool {
    !job.is_empty() && !job.contains('/')
}

/// What is read, by the index of its job.
type OfJob = (usize, Read);

/// Reads for several jobs in common requests. If the registry refuses, reads for one job at a time, and notes the refusal of
/// each job that is closed to us.
async fn read_of_each(
    session: &dyn Session,
    reads: Vec<OfJob>,
    refusals: &mut BTreeMap<usize, registry::Error>,
) -> Result<Vec<(OfJob, Answer)>, registry::Error> {
    let all = |reads: &[OfJob]| reads.iter().map(|(_, read)| read.clone()).collect();
    match read_all(session, all(&reads)).await {
        Ok(answers) => return Ok(reads.into_iter().zip(answers).collect()),
        Err(registry::Error::Refused(_)) => {}
        Err(error) => return Err(error),
    }
    let jobs: Vec<Vec<OfJob>> = reads
        .chunk_by(|(one, _), (other, _)| one == other)
        .map(<[OfJob]>::to_vec)
        .collect();
    let each = jobs.into_iter().map(|reads| async {
        let answers = read_all(session, all(&reads)).await;
        (reads, answers)
    });
    let mut each = stream::iter(each).buffered(IN_FLIGHT);
    let mut answered = Vec::new();
    while let Some((reads, answers)) = each.next().await {
        match (answers, reads.first()) {
            (Ok(answers), _) => answered.extend(reads.into_iter().zip(answers)),
            (Err(refusal @ registry::Error::Refused(_)), Some((index, _))) => drop(refusals.insert(*index, refusal)),
            (Err(error), _) => return Err(error),
        }
    }
    Ok(answered)
}

/// Reads any number of things, in requests of a bounded size.
pub(super) async fn read_all(session: &dyn Session, reads: Vec<Read>) -> Result<Vec<Answer>, registry::Error> {
    let batches: Vec<Vec<Read>> = reads.chunks(BATCH).map(<[Read]>::to_vec).collect();
    let answers = stream::iter(batches.into_iter().map(|batch| session.read(batch))).buffered(IN_FLIGHT);
    let answers: Vec<Vec<Answer>> = answers.try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}
