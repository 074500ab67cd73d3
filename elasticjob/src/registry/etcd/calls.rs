//! The calls of a session: what each asks of etcd, and when it may be answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use etcd_client::{KvClient, Txn, TxnResponse};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::registry::{Answer, Error, Read, Step, WriteError, Written};

use super::failure::{Failure, Stop};
use super::groups::{Groups, Seen, job_of};
use super::keys::Keys;
use super::plan::{self, Plan, Scene};
use super::request::{self, Guard, Guarded};

/// Ticks that a transaction takes beside as many steps as there may be.
const SPARE: usize = 6;

/// Ticks of one transaction that does nothing else.
const TICKS: usize = 100;

/// A transaction with a sequential node is tried so often, while other sessions are faster.
const ATTEMPTS: usize = 50;

/// What calls are made with on a connection.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) kv: KvClient,
    pub(super) guard: Guard,
    pub(super) keys: Arc<Keys>,
    pub(super) groups: Groups,
    /// Until when a write may have been sent to be answered.
    pub(super) proven_until: watch::Receiver<Instant>,
}

/// Returns the jobs that are read.
pub(super) fn jobs_of_reads(reads: &[Read]) -> BTreeSet<String> {
    let job = |read: &Read| {
        let (Read::Data(path) | Read::Children(path)) = read;
        job_of(path)
    };
    reads.iter().map(job).collect()
}

impl Context {
    /// Executes steps.
    pub(super) async fn write(mut self, steps: Vec<Step>) -> Result<Vec<Written>, Stop<WriteError>> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        for _ in 0..ATTEMPTS {
            match self.write_once(&steps).await {
                Err(Raced::Again) => {}
                Err(Raced::Stop(stop)) => return Err(stop),
                Ok(written) => return Ok(written),
            }
        }
        Err(Stop::Broken("other sessions are faster again and again".to_owned()))
    }

    async fn write_once(&mut self, steps: &[Step]) -> Result<Vec<Written>, Raced> {
        let counted: Vec<&str> = plan::counted(steps).into_iter().collect();
        let counters = if counted.is_empty() {
            Default::default()
        } else {
            let response = self.send(request::counting(&self.keys, &counted)).await?;
            request::counted(&counted, response.op_responses())
        };
        let keys = Arc::clone(&self.keys);
        let scene = Scene {
            keys: &keys,
            session: self.guard.session,
            at: jiff::Timestamp::now().as_millisecond(),
        };
        let plan = Plan::of(steps, scene, counters);
        let groups = self.groups.of(&plan.jobs);
        let is_changed = |job: &String| match job.as_str() {
            "" => !plan.changed.is_empty(),
            _ => plan.changed.contains(job),
        };
        let unchanged: Vec<Vec<u8>> = groups
            .iter()
            .filter(|(job, _)| !is_changed(job))
            .map(|(job, _)| keys.tick(job, self.guard.session))
            .collect();
        let fits = unchanged.len() <= SPARE;
        let mut ticks = if fits { unchanged } else { Vec::new() };
        if ticks.is_empty()
            && plan.is_uncounted()
            && let Some(job) = plan.changed.first()
        {
            ticks.push(keys.tick(job, self.guard.session));
        }
        let sent_at = Instant::now();
        let transaction = request::transaction(&self.guard, &plan.conditions, &plan.changes, ticks);
        let response = self.send(transaction).await?;
        let responses = response.op_responses();
        if response.succeeded() {
            let answer = plan.answer(scene, request::revision(&response), &request::before(&responses));
            self.see(groups, request::revision(&response), fits).await?;
            if answer.is_ok() {
                self.prove(sent_at).await?;
            }
            return answer.map_err(|refused| Raced::Stop(Stop::Answer(refused)));
        }
        let looked = request::looked(&responses);
        self.expect_guard(looked.first().copied().flatten())?;
        match plan.failure(looked.get(1..).unwrap_or_default()) {
            plan::Failure::Raced => Err(Raced::Again),
            plan::Failure::Refused(refused) => {
                self.see(groups, 0, false).await?;
                Err(Raced::Stop(Stop::Answer(refused)))
            }
        }
    }

    /// Reads several things.
    pub(super) async fn read(mut self, reads: Vec<Read>) -> Result<Vec<Answer>, Failure> {
        if reads.is_empty() {
            return Ok(Vec::new());
        }
        let groups = self.groups.of(&jobs_of_reads(&reads));
        let fits = groups.len() <= SPARE;
        let ticks = if fits { self.ticks(&groups) } else { Vec::new() };
        let response = self
            .send(request::reading(&self.keys, &self.guard, &reads, ticks))
            .await?;
        let answers = request::read(&self.keys, &reads, response.op_responses());
        self.see(groups, request::revision(&response), fits).await?;
        Ok(answers)
    }

    /// Waits for all events of changes that were acknowledged before, and proves that the session lives.
    pub(super) async fn sync(mut self) -> Result<(), Failure> {
        let sent_at = Instant::now();
        let groups = self.groups.all();
        if groups.is_empty() {
            self.tick(Vec::new()).await?;
        }
        self.see(groups, 0, false).await?;
        self.prove(sent_at).await
    }

    /// Returns a revision that is not older than this call.
    pub(super) async fn revision(mut self) -> Result<i64, Failure> {
        self.tick(Vec::new()).await
    }

    fn ticks(&self, groups: &[(String, Seen)]) -> Vec<Vec<u8>> {
        let tick = |(job, _): &(String, Seen)| self.keys.tick(job, self.guard.session);
        groups.iter().map(tick).collect()
    }

    /// Waits until all events up to a revision have been handed out to these groups. If that revision changed none of their keys,
    /// which `is_ticked` denies, ticks are set first.
    async fn see(&mut self, groups: Vec<(String, Seen)>, revision: i64, is_ticked: bool) -> Result<(), Failure> {
        for groups in groups.chunks(TICKS) {
            let revision = if is_ticked {
                revision
            } else {
                self.tick(self.ticks(groups)).await?
            };
            for (_, seen) in groups {
                // A group that is gone is watched no more.
                let _ = seen.clone().wait_for(|seen| *seen >= revision).await;
            }
        }
        Ok(())
    }

    /// Sets ticks, and returns the revision at which it did.
    async fn tick(&mut self, ticks: Vec<Vec<u8>>) -> Result<i64, Failure> {
        let response = self.send(request::ticking(&self.guard, ticks)).await?;
        if response.succeeded() {
            return Ok(request::revision(&response));
        }
        let looked = request::looked(&response.op_responses());
        self.expect_guard(looked.first().copied().flatten())?;
        Err(Stop::Broken(
            "etcd contradicts itself about the session's key".to_owned(),
        ))
    }

    async fn send(&mut self, transaction: Txn) -> Result<TxnResponse, Failure> {
        Ok(self.kv.txn(transaction).await?)
    }

    fn expect_guard(&self, found: Option<super::value::Meta>) -> Result<(), Failure> {
        match self.guard.judge(found) {
            Guarded::Holds => Ok(()),
            Guarded::Replaced => Err(Stop::Broken("another connection of the session was made".to_owned())),
            Guarded::Gone => Err(Stop::Over("its lease has ended".to_owned())),
        }
    }

    /// Waits until it is known that the lease lives for the session's timeout from this moment on.
    async fn prove(&mut self, sent_at: Instant) -> Result<(), Failure> {
        match self.proven_until.wait_for(|until| *until >= sent_at).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Stop::Broken("the session's task has ended".to_owned())),
        }
    }
}

/// Why a transaction was not executed.
enum Raced {
    /// Another session was faster with a sequential node.
    Again,
    Stop(Stop<WriteError>),
}

impl From<Failure> for Raced {
    fn from(failure: Failure) -> Self {
        Self::Stop(failure.of_call())
    }
}

/// Returns the error of a session that is over.
pub(super) fn expired<E: From<Error>>() -> E {
    Error::SessionExpired.into()
}
