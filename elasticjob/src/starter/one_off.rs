//! Handles of one-off jobs: triggering them, and waiting for what becomes of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc::UnboundedSender;
#[cfg(feature = "registry-postgres")]
use sqlx::{Postgres, Transaction};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::cluster::process::Process;
use crate::cluster::trigger::PARAMETER_LIMIT;
use crate::cluster::worker::{Command, Progress, TriggerError, Waiter};
use crate::job::{Job, TakesParameter};
use crate::operation::{Execution, Obstacle, Operations};
#[cfg(feature = "registry-postgres")]
use crate::operation::{Requested, requested};
use crate::run::ItemOutcome;

use super::error::Error;

/// What holds up a run that was asked for is looked into after this long,
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// and again after this long each time.
const NEXT_LOOK: Duration = Duration::from_secs(30);

/// A job without a schedule, which runs when it is triggered.
///
/// A trigger goes through the registry: each instance of the job runs its items, wherever it was triggered. Handles are
/// cheap to clone and hold no connection of their own.
#[derive(Clone)]
pub struct OneOff {
    name: String,
    commands: UnboundedSender<Command>,
    process: Arc<Process>,
    /// To see what holds a run up.
    operations: Operations,
}

/// The one-off job that was declared as `J`; it can do what [`OneOff`] can.
///
/// With the feature `axum` it is an extractor: of a request that went through `Extension(elastic_job)`.
pub struct OneOffJob<J> {
    one_off: OneOff,
    job: PhantomData<fn() -> J>,
}

impl OneOff {
    pub(super) fn new(
        name: String,
        commands: UnboundedSender<Command>,
        process: Arc<Process>,
        operations: Operations,
    ) -> Self {
        Self {
            name,
            commands,
            process,
            operations,
        }
    }

    /// The name of the job.
    /// It is the name in the configuration, which may differ from the name of its declaration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Triggers the job: it runs once, now, each item on its owner. Returns when the trigger is in the registry: the run will come as long
    /// as one of the instances lives. An instance that is running the job already runs it once more after that; triggers that wait
    /// are joined.
    ///
    /// # Errors
    /// [`Error::Trigger`]. Where the registry's answer was lost the run may come nevertheless.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the run comes.
    ///
    /// Use [`execute_and_wait`](Self::execute_and_wait) to learn what became of the run.
    pub async fn execute(&self) -> Result<(), Error> {
        self.request(self.process.ids().run(), None).await
    }

    /// As [`execute`](Self::execute), with a parameter for this run in place of the job's own, 1 KiB at most. Requests that wait are
    /// served by one run if they have the same parameter. Java members do not know it, and run with the job's own.
    ///
    /// # Errors
    /// As `execute`.
    ///
    /// # Cancel safety
    /// As `execute`.
    pub async fn execute_with(&self, parameter: impl Into<String>) -> Result<(), Error> {
        self.request(self.process.ids().run(), Some(parameter.into())).await
    }

    /// As [`execute`](Self::execute), then waits until all items have ended, on whichever instance, for `timeout` at
    /// most. Items that have not ended by then are [`ItemOutcome::Pending`] in the answer. What holds them up is looked at after half
    /// of the timeout or 5 s, and each 30 s from then on: it is in [`Execution::obstacles`], and is logged as a warning.
    ///
    /// # Errors
    /// As `execute`.
    ///
    /// # Cancel safety
    /// As `execute`; the run goes on without the waiter.
    ///
    /// That an item failed is no error of this method: ask [`Execution::is_success`].
    pub async fn execute_and_wait(&self, timeout: Duration) -> Result<Execution, Error> {
        self.requested_and_waited_for(None, timeout).await
    }

    /// As [`execute_and_wait`](Self::execute_and_wait), with a parameter as of [`execute_with`](Self::execute_with).
    ///
    /// # Errors
    /// As `execute`.
    ///
    /// # Cancel safety
    /// As `execute_and_wait`.
    pub async fn execute_with_and_wait(
        &self,
        parameter: impl Into<String>,
        timeout: Duration,
    ) -> Result<Execution, Error> {
        self.requested_and_waited_for(Some(parameter.into()), timeout).await
    }

    /// As [`execute`](Self::execute), by a transaction of the application: the run comes if the transaction is committed, and otherwise
    /// it does not. So an order is never stored without its run, nor a run started for an order that is not there.
    ///
    /// The registry has to be in the PostgreSQL database that the transaction is one of: the server and the database are compared, so
    /// that another address of the same server will do, and a pooler. The role of the transaction needs `USAGE` on the schema
    /// `elasticjob` and `INSERT` on its table `inbox`.
    ///
    /// ```no_run
    /// use elasticjob::prelude::*;
    /// use sqlx::PgPool;
    ///
    /// #[elastic_job(sharding = 1)]
    /// async fn ship(order: JobParameter<i64>) {
    ///     println!("shipping {}", *order);
    /// }
    ///
    /// async fn order(ship: &OneOffJob<ship>, pool: &PgPool) -> Result<i64, Box<dyn std::error::Error>> {
    ///     let mut transaction = pool.begin().await?;
    ///     let order: i64 = sqlx::query_scalar("INSERT INTO orders DEFAULT VALUES RETURNING number")
    ///         .fetch_one(&mut *transaction)
    ///         .await?;
    ///     ship.execute_with_in(order, &mut transaction).await?;
    ///     // Without the commit there is neither the order nor the run.
    ///     transaction.commit().await?;
    ///     Ok(order)
    /// }
    /// ```
    ///
    /// Instances look for it each 250 ms to 1 s, and this process within 20 ms of the call and then ever more slowly; nothing is locked
    /// and no notification is sent by the transaction. The trigger is for the instances that there are when one of them finds it. If there
    /// is none, it waits for one; if the job is paused, for the end of that. From then on the run comes as any other triggered run
    /// does: as long as its instances live. Several calls in one transaction are several triggers, and join as
    /// others do. Part of a transaction that is rolled back to a savepoint takes its triggers along.
    ///
    /// [`Operations::outcome`](crate::operation::Operations::outcome) takes what is returned, after the commit. The outcome is known until
    /// a run for another trigger has ended.
    ///
    /// # Errors
    /// [`Error::Trigger`]. If the registry is of another kind, or has had no session yet, or if the transaction is one of another database,
    /// which names both, the transaction is as it was. After any other error the database may have ended it: it can only be rolled back.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the run comes with the commit.
    #[cfg(feature = "registry-postgres")]
    pub async fn execute_in(&self, transaction: &mut Transaction<'_, Postgres>) -> Result<Requested, Error> {
        self.put(None, transaction).await
    }

    /// As [`execute_in`](Self::execute_in), with a parameter as of [`execute_with`](Self::execute_with), in which there is no U+0000.
    ///
    /// # Errors
    /// As `execute_in`.
    ///
    /// # Cancel safety
    /// As `execute_in`.
    #[cfg(feature = "registry-postgres")]
    pub async fn execute_with_in(
        &self,
        parameter: impl Into<String>,
        transaction: &mut Transaction<'_, Postgres>,
    ) -> Result<Requested, Error> {
        self.put(Some(parameter.into()), transaction).await
    }

    #[cfg(feature = "registry-postgres")]
    async fn put(
        &self,
        parameter: Option<String>,
        transaction: &mut Transaction<'_, Postgres>,
    ) -> Result<Requested, Error> {
        self.check_length(parameter.as_deref())?;
        let request = self.process.ids().run();
        let put = self
            .operations
            .put(transaction, &self.name, request.clone(), parameter.as_deref());
        put.await.map_err(|source| self.error(TriggerError::Registry(source)))?;
        Ok(requested(&self.name, request))
    }

    async fn requested_and_waited_for(&self, parameter: Option<String>, timeout: Duration) -> Result<Execution, Error> {
        let deadline = Instant::now() + timeout;
        let request = self.process.ids().run();
        let (progress, mut observed) = watch::channel(Progress::default());
        self.send(Command::Await(Waiter {
            request: request.clone(),
            progress,
        }))?;
        self.request(request.clone(), parameter).await?;
        // The worker lets go of its end when all is known.
        let known = async { while observed.changed().await.is_ok() {} };
        let obstacles = self.look_into(&request, known, deadline).await;
        let Progress { total, outcomes } = observed.borrow().clone();
        let mut items: BTreeMap<u32, ItemOutcome> = (0..total).map(|item| (item, ItemOutcome::Pending)).collect();
        items.extend(outcomes);
        Ok(Execution {
            job_name: self.name.clone(),
            request,
            items,
            obstacles,
        })
    }

    /// Waits for `known`, until the deadline at most, and says meanwhile what holds the run up; returns what still does.
    async fn look_into(&self, request: &str, known: impl Future<Output = ()>, deadline: Instant) -> Vec<Obstacle> {
        let mut known = std::pin::pin!(known);
        let mut obstacles = Vec::new();
        let half = deadline.saturating_duration_since(Instant::now()) / 2;
        let mut next_look = Instant::now() + FIRST_LOOK.min(half);
        loop {
            let found = tokio::select! {
                biased;
                () = &mut known => break Vec::new(),
                () = tokio::time::sleep_until(deadline) => break obstacles,
                found = self.obstacles_at(next_look, request) => found,
            };
            if found != obstacles {
                self.tell(&found);
            }
            obstacles = found;
            next_look = Instant::now() + NEXT_LOOK;
        }
    }

    /// What holds the run up at this moment; nothing if that cannot be seen.
    async fn obstacles_at(&self, at: Instant, request: &str) -> Vec<Obstacle> {
        tokio::time::sleep_until(at).await;
        match self.operations.obstacles(&self.name, request).await {
            Ok(obstacles) => obstacles,
            Err(error) => {
                debug!(job = self.name, request, error = %error.chain(), "cannot see what holds the run up");
                Vec::new()
            }
        }
    }

    /// Warns of what holds the run up.
    fn tell(&self, obstacles: &[Obstacle]) {
        let job = &*self.name;
        for Obstacle { finding, items } in obstacles {
            match items.len() {
                0 => warn!(job, obstacle = %finding, "a triggered run is held up"),
                items => warn!(job, items, obstacle = %finding, "a triggered run is held up"),
            }
        }
    }

    async fn request(&self, request: String, parameter: Option<String>) -> Result<(), Error> {
        self.check_length(parameter.as_deref())?;
        let (answer, answered) = oneshot::channel();
        self.send(Command::Trigger {
            request,
            parameter,
            answer,
        })?;
        answered
            .await
            .unwrap_or(Err(TriggerError::Stopped))
            .map_err(|source| self.error(source))
    }

    fn check_length(&self, parameter: Option<&str>) -> Result<(), Error> {
        match parameter.map(str::len) {
            Some(length) if length > PARAMETER_LIMIT => {
                let limit = PARAMETER_LIMIT;
                Err(self.error(TriggerError::ParameterTooLong { length, limit }))
            }
            _ => Ok(()),
        }
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        self.commands
            .unbounded_send(command)
            .map_err(|_| self.error(TriggerError::Stopped))
    }

    fn error(&self, source: TriggerError) -> Error {
        Error::Trigger {
            job: self.name.clone(),
            source,
        }
    }
}

impl<J: Job> OneOffJob<J> {
    pub(super) fn new(one_off: OneOff) -> Self {
        Self {
            one_off,
            job: PhantomData,
        }
    }

    /// Triggers the job: it runs once with this parameter, of the type that the job takes as [`JobParameter<T>`](crate::job::JobParameter);
    /// another type does not compile. Otherwise as [`OneOff::execute_with`], which a job without such an argument has for texts:
    /// `(*job).execute_with("text")`.
    ///
    /// ```
    /// use elasticjob::prelude::*;
    ///
    /// /// A run is always given the year, so that there is none in the configuration.
    /// #[elastic_job(sharding = 1)]
    /// async fn archive(year: JobParameter<u16>) {
    ///     assert_eq!(*year, 2024);
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let jobs = ElasticJob::builder().environment([]).build()?.start().await?;
    /// let archive = jobs.one_off::<archive>()?;
    /// let execution = archive.execute_with_and_wait(2024, std::time::Duration::from_secs(60)).await?;
    /// assert!(execution.is_success());
    /// # jobs.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<_, elasticjob::Error>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`OneOff::execute`].
    ///
    /// # Cancel safety
    /// As [`OneOff::execute`].
    pub async fn execute_with<T: fmt::Display, Place>(&self, parameter: T) -> Result<(), Error>
    where
        J: TakesParameter<T, Place>,
    {
        self.one_off.execute_with(parameter.to_string()).await
    }

    /// As [`OneOff::execute_in`], with a parameter as of [`execute_with`](Self::execute_with).
    ///
    /// # Errors
    /// As [`OneOff::execute_in`].
    ///
    /// # Cancel safety
    /// As [`OneOff::execute_in`].
    #[cfg(feature = "registry-postgres")]
    pub async fn execute_with_in<T: fmt::Display, Place>(
        &self,
        parameter: T,
        transaction: &mut Transaction<'_, Postgres>,
    ) -> Result<Requested, Error>
    where
        J: TakesParameter<T, Place>,
    {
        self.one_off.execute_with_in(parameter.to_string(), transaction).await
    }

    /// As [`execute_with`](Self::execute_with), then waits as [`OneOff::execute_and_wait`] does.
    ///
    /// # Errors
    /// As [`OneOff::execute`].
    ///
    /// # Cancel safety
    /// As [`OneOff::execute_and_wait`].
    pub async fn execute_with_and_wait<T: fmt::Display, Place>(
        &self,
        parameter: T,
        timeout: Duration,
    ) -> Result<Execution, Error>
    where
        J: TakesParameter<T, Place>,
    {
        self.one_off.execute_with_and_wait(parameter.to_string(), timeout).await
    }
}

impl<J> Deref for OneOffJob<J> {
    type Target = OneOff;

    fn deref(&self) -> &OneOff {
        &self.one_off
    }
}

impl<J> Clone for OneOffJob<J> {
    fn clone(&self) -> Self {
        Self {
            one_off: self.one_off.clone(),
            job: PhantomData,
        }
    }
}

impl fmt::Debug for OneOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneOff")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<J> fmt::Debug for OneOffJob<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.one_off, f)
    }
}
