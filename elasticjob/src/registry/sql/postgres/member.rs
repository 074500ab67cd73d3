//! A member on PostgreSQL: each request is one call of a function, over one connection, one after the other. What goes on beside
//! them is its [pulse](super::pulse).
//!
//! The functions are in the database and do what a transaction of the registry has to do at one place: they look at the
//! session, lock the jobs that are concerned, execute the steps and record the changes. So a request costs one round
//! trip, and two members that write to different jobs do not wait for each other.
//!
//! Each job has numbers of its own. A request brings the changes of the jobs that it names, so that its answer is preceded by
//! the events that it depends on; the changes of all other jobs are asked for now and then, and after hints.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Either, Executor as _, PgConnection, Row as _};
use tokio::time::{Instant, sleep_until};

use super::failing::is_passing;
use super::hint::{self, Hint, Hints, Jobs};
use super::inbox::Inbox;
use super::line::{self, Line as _, broken};
use super::message::{self, Caller, Following, ROOT, Reply};
use super::warnings::Warnings;
use crate::registry::sql::backend::{Backend, Delivery, Failure};
use crate::registry::sql::cursor::{Cursor, Way};
use crate::registry::sql::session::{Request, Response};
use crate::registry::watches::Watches;
use crate::registry::{Error, Read, Step, WriteError};
use crate::uptime::uptime;

/// The pause between two polls, which hints make shorter.
const PAUSE: Duration = Duration::from_secs(1);

/// The same while there is something to do.
const BUSY_PAUSE: Duration = Duration::from_millis(250);

/// So long after a call or an event there is.
const BUSY_FOR: Duration = Duration::from_secs(5);

/// The pause while something is expected in the inbox, at first; it grows.
const EXPECTING_PAUSE: Duration = Duration::from_millis(20);

/// So often the inbox of a job is looked into between two polls.
const INBOX_ROUNDS: usize = 16;

const OVER: Failure = Failure::Over("another member has ended it");

/// What a member knows between two calls. It cannot be printed, since the options hold the password.
pub(super) struct Member {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    warnings: Warnings,
    caller: Caller,
    /// Which server answered last on this connection, as it says itself.
    server: Option<String>,
    timeout: Duration,
    following: Following,
    /// How many watches had ended when it was last looked which jobs are watched.
    ended_watches: u64,
    hints: Hints,
    inbox: Inbox,
    next_poll: Instant,
    busy_until: Instant,
}

impl Member {
    /// Returns a member whose session has just been created over this connection.
    pub(super) fn new(
        options: PgConnectOptions,
        connection: PgConnection,
        caller: Caller,
        timeout: Duration,
        hints: Hints,
        inbox: Inbox,
    ) -> Self {
        let now = Instant::now();
        Self {
            options,
            connection: Some(connection),
            warnings: Warnings::new(),
            caller,
            server: None,
            timeout,
            following: Following::default(),
            ended_watches: 0,
            hints,
            inbox,
            next_poll: now,
            busy_until: now,
        }
    }

    /// Calls a function that gives a reply.
    async fn call(&mut self, statement: String) -> Result<Reply, Trouble> {
        let [text] = self.texts([statement]).await?;
        self.reply(&text)
    }

    /// Reads a reply, which has to be of the server that gave the others on this connection.
    fn reply(&mut self, text: &str) -> Result<Reply, Trouble> {
        let reply = Reply::parse(text).map_err(Failure::Broken)?;
        if reply.over {
            return Err(OVER.into());
        }
        // Numbers may stand for other changes there: to be answered on a new connection means to read everything again.
        let server = self.server.get_or_insert_with(|| reply.server.clone());
        if *server != reply.server {
            return Err(broken("another server answers, or another timeline").into());
        }
        Ok(reply)
    }

    /// Runs statements in one transaction, and returns the text that each gives. If the future is dropped, the connection goes with
    /// it: an answer that comes later is for no call.
    async fn texts<const N: usize>(&mut self, statements: [String; N]) -> Result<[String; N], Trouble> {
        let message = message::together(&statements);
        let mut connection = self.connection.take().ok_or_else(|| broken("there is no connection"))?;
        let texts = match self
            .warnings
            .while_it_runs(called(&mut connection, &self.warnings, message))
            .await
        {
            Ok(texts) => texts?,
            Err(error)
                if error
                    .as_database_error()
                    .and_then(|error| error.code())
                    .is_some_and(|code| is_passing(&code)) =>
            {
                // The server waits for the end of a transaction that failed.
                connection.first("ROLLBACK".to_owned()).await?;
                self.connection = Some(connection);
                self.hints.answered(uptime());
                return Err(Trouble::Busy(error.to_string()));
            }
            Err(error) => return Err(Failure::from(error).into()),
        };
        let texts = texts.try_into().map_err(|_| broken("another number of rows"))?;
        self.connection = Some(connection);
        self.hints.answered(uptime());
        Ok(texts)
    }

    /// Calls the function of transactions, and renews the session if that is due.
    async fn transaction(&mut self, steps: &[Step], share: u32, following: &Following) -> Result<Reply, Trouble> {
        let now = uptime();
        let renew = self.is_renewal_due(now, share);
        let statement = message::transaction(&self.caller, steps, renew, following);
        let reply = self.call(statement).await?;
        if renew {
            self.hints.renewed(now);
        }
        Ok(reply)
    }

    /// Calls the function of reads, which locks nothing and does not renew the session.
    async fn read(&mut self, reads: &[Read], count: Option<&str>, following: &Following) -> Result<Reply, Trouble> {
        self.call(message::read(&self.caller, reads, count, following)).await
    }

    /// Returns whether the last renewal is older than this share of the timeout.
    fn is_renewal_due(&self, now: Duration, share: u32) -> bool {
        now.saturating_sub(self.hints.renewed_at()) >= self.timeout / share
    }

    /// What is followed of these jobs.
    fn following_of<'a>(&self, jobs: impl Iterator<Item = &'a str>) -> Following {
        let mut following = Following::default();
        for job in jobs {
            let cursor = self.following.cursors.get(job).copied();
            if let Some(cursor) = cursor.or(self.following.of_all.then(|| Cursor::at(0))) {
                following.cursors.insert(job.to_owned(), cursor);
            }
        }
        following
    }

    /// Forgets what no watch covers any more. It looks only if a watch has ended: to look at thousands of watches before each call
    /// takes longer than the calls.
    fn forget(&mut self, watches: &Watches) {
        let ended = watches.ended();
        if ended == self.ended_watches {
            return;
        }
        self.ended_watches = ended;
        let (jobs, of_all) = watches.jobs();
        self.following.of_all = of_all;
        if !of_all {
            self.following.cursors.retain(|job, _| jobs.contains(job));
        }
    }

    /// Takes the changes of a reply into account.
    fn take(&mut self, reply: &Reply, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        let mut events = Vec::new();
        for (job, counter, changes) in &reply.changes {
            let cursor = self.following.cursors.get(job).copied().unwrap_or(Cursor::at(0));
            self.following.cursors.insert(job.clone(), Cursor::at(*counter));
            let is_whole = cursor.way_to(*counter) != Way::Lost
                && cursor.is_whole(*counter, changes.iter().map(|(number, ..)| *number));
            if !is_whole {
                deliveries.push(Delivery::ResyncOf(job.clone()));
                continue;
            }
            for (_, token, step, kind, path) in changes {
                let event = message::event(*kind, path).ok_or_else(|| broken("a change of an unknown kind"))?;
                events.push(((*token, *step), event));
            }
        }
        // Between jobs by the clock; within a job it is the order of the numbers.
        events.sort_by_key(|(place, _)| *place);
        deliveries.extend(events.into_iter().map(|(_, event)| Delivery::Event(event)));
        Ok(())
    }

    /// Serves one request.
    async fn request(&mut self, request: Request, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        match request {
            Request::Write(steps) => {
                let following = self.following_of(message::jobs(&steps).into_iter());
                let written = match self.transaction(&steps, 12, &following).await {
                    Ok(reply) => {
                        self.take(&reply, deliveries)?;
                        let written = reply.written(&steps).map_err(Failure::Broken)?;
                        if written.is_ok() {
                            self.hints.write(message::changed(&steps));
                        }
                        written
                    }
                    Err(Trouble::Busy(reason)) => Err(WriteError::from(Error::Busy(reason))),
                    Err(Trouble::Failed(failure)) => return Err(failure),
                };
                deliveries.push(Delivery::Response(Response::Written(written)));
            }
            Request::Read(reads) => {
                let paths = reads.iter().map(|read| match read {
                    Read::Data(path) | Read::Children(path) => message::job_of(path),
                });
                // The children of the root come and go with events of their own jobs.
                let names_root = reads
                    .iter()
                    .any(|read| matches!(read, Read::Children(path) if path == "/"));
                let following = if names_root {
                    self.following.clone()
                } else {
                    self.following_of(paths)
                };
                let reply = self.read(&reads, None, &following).await?;
                self.take(&reply, deliveries)?;
                let answers = reply.answers(&reads).map_err(Failure::Broken)?;
                deliveries.push(Delivery::Response(Response::Read(answers)));
            }
            Request::Sync => {
                self.catch_up(12, deliveries).await?;
                deliveries.push(Delivery::Response(Response::Synced));
            }
            Request::Watch(path) => {
                let job = message::job_of(&path);
                // Others are not asked for: an application watches thousands of jobs, one after the other.
                let following = match job {
                    ROOT => self.following.clone(),
                    job => self.following_of(std::iter::once(job)),
                };
                let reply = self.read(&[], Some(job), &following).await?;
                self.take(&reply, deliveries)?;
                self.follow(job, &reply);
                deliveries.push(Delivery::Watch(path));
            }
        }
        Ok(())
    }

    /// Begins to follow a job where it stands, or all jobs if it is the root.
    fn follow(&mut self, job: &str, reply: &Reply) {
        let cursors = &mut self.following.cursors;
        for (name, counter) in &reply.counters {
            cursors.entry(name.clone()).or_insert(Cursor::at(*counter));
        }
        cursors.entry(job.to_owned()).or_insert(Cursor::at(0));
        self.following.of_all |= job == ROOT;
    }

    /// Asks for the changes of all that is watched, and renews the session if that was last done this part of its timeout ago.
    async fn catch_up(&mut self, share: u32, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        let all = self.following.clone();
        let reply = if self.is_renewal_due(uptime(), share) {
            self.transaction(&[], share, &all).await?
        } else {
            self.read(&[], None, &all).await?
        };
        self.take(&reply, deliveries)
    }

    /// As [`catch_up`](Self::catch_up), and takes what is in the inbox.
    async fn poll(&mut self, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        let all = self.following.clone();
        let (now, waiting) = (uptime(), message::waiting(&self.caller));
        // Its pulse renews the session earlier, as long as it has a connection.
        let renew = self.is_renewal_due(now, 2);
        let asked = if renew {
            message::transaction(&self.caller, &[], renew, &all)
        } else {
            message::read(&self.caller, &[], None, &all)
        };
        let [reply, waiting] = self.texts([asked, waiting]).await?;
        let reply = self.reply(&reply)?;
        if renew {
            self.hints.renewed(now);
        }
        self.take(&reply, deliveries)?;
        let waiting: Vec<(String, bool)> = serde_json::from_str(&waiting).map_err(broken)?;
        self.attend_to(waiting, deliveries).await
    }

    /// Takes what is in the inbox of jobs that this member has an instance of. To be sure that one of the instances lives is why no
    /// other member does. If it came from this process, the members of other jobs get a hint.
    async fn attend_to(&mut self, waiting: Vec<(String, bool)>, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        let (mut taken, mut hinted) = (BTreeSet::new(), BTreeSet::new());
        for (job, is_ours) in waiting {
            if is_ours && self.empty_inbox(&job).await? {
                taken.insert(job);
            } else if !is_ours && self.expecting_pause().is_some() {
                hinted.insert(job);
            }
        }
        self.hints.write(hinted);
        if taken.is_empty() {
            return Ok(());
        }
        self.hints.write(taken);
        self.catch_up(2, deliveries).await
    }

    /// Turns what is in the inbox of a job into its nodes. Returns whether anything was there that they could take.
    async fn empty_inbox(&mut self, job: &str) -> Result<bool, Failure> {
        for round in 0..INBOX_ROUNDS {
            match self.texts([message::take(&self.caller, job)]).await {
                Ok([taken]) if taken == "true" => {}
                // Of those that others hold the next poll takes care.
                Ok(_) | Err(Trouble::Busy(_)) => return Ok(round > 0),
                Err(Trouble::Failed(failure)) => return Err(failure),
            }
        }
        Ok(true)
    }

    /// Returns the time between two polls.
    fn pause(&self) -> Duration {
        let pause = match self.expecting_pause() {
            Some(pause) => pause,
            None if Instant::now() < self.busy_until => BUSY_PAUSE,
            None => PAUSE,
        };
        // Also soon enough to renew a short session without its pulse.
        pause.min(self.timeout / 4)
    }

    /// Returns the time between two polls while something is expected in the inbox: short at first, since a transaction that is not
    /// over soon may take long.
    fn expecting_pause(&self) -> Option<Duration> {
        let since = self.hints.expected_for().filter(|since| *since < BUSY_FOR)?;
        Some(since.clamp(EXPECTING_PAUSE, BUSY_PAUSE))
    }

    /// Runs a statement that gives one text or none. If the future is dropped, the connection goes with it.
    async fn first(&mut self, statement: String) -> Result<Option<String>, Failure> {
        let mut connection = self.connection.take().ok_or_else(|| broken("there is no connection"))?;
        let text = connection.first(statement).await?;
        self.connection = Some(connection);
        Ok(text)
    }
}

impl Backend for Member {
    const CALLS_AT_ONCE: usize = 1;

    async fn rest(&mut self) {
        tokio::select! {
            () = self.hints.heard() => {}
            () = sleep_until(self.next_poll) => {}
        }
    }

    async fn serve(&mut self, requests: Vec<Request>, watches: &Watches) -> Result<Vec<Delivery>, Failure> {
        let mut deliveries = Vec::new();
        self.forget(watches);
        if !requests.is_empty() {
            self.busy_until = Instant::now() + BUSY_FOR;
        }
        if self.hints.is_probe_wanted() {
            let probe = Hint::probe(self.caller.session);
            let channel = hint::channel(&self.caller.namespace);
            self.first(line::notify(&channel, &probe.text())).await?;
            self.hints.probed(uptime());
        }
        let is_hinted = self.hints.take_heard().concern(&self.following);
        for request in requests {
            self.request(request, &mut deliveries).await?;
        }
        // Also while calls come without pause: each brings changes of its own jobs alone.
        if is_hinted || Instant::now() >= self.next_poll {
            self.poll(&mut deliveries).await?;
            let now = Instant::now();
            if !deliveries.is_empty() {
                self.busy_until = now + BUSY_FOR;
            }
            self.next_poll = now + self.pause();
        }
        if let Some(pause) = self.expecting_pause() {
            // It may be expected since a moment ago.
            self.next_poll = self.next_poll.min(Instant::now() + pause);
        }
        Ok(deliveries)
    }

    async fn rejoin(&mut self) -> Result<(), Failure> {
        (self.connection, self.server) = (None, None);
        self.connection = Some(self.options.connect().await?);
        let now = uptime();
        let statement = format!(
            "UPDATE elasticjob.session SET connection = connection + 1, beat = beat + 1
             WHERE id = {} AND NOT dead RETURNING json_build_array(connection, pg_backend_pid())::text",
            self.caller.session
        );
        let numbers = self.first(statement).await?.ok_or(OVER)?;
        let (connection, process) = serde_json::from_str(&numbers).map_err(broken)?;
        self.caller.connection = connection;
        self.hints.renewed(now);
        self.hints.served_by(process);
        if let Some(connection) = &mut self.connection {
            // It may be another server.
            self.inbox.learn(connection, &self.hints).await;
        }
        // All watches read everything again, from where the counters stand now.
        let reply = self.read(&[], Some(ROOT), &Following::default()).await?;
        for (job, cursor) in &mut self.following.cursors {
            *cursor = Cursor::at(reply.counters.get(job).copied().unwrap_or_default());
        }
        if self.following.of_all {
            self.follow(ROOT, &reply);
        }
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await?);
        }
        let session = self.caller.session;
        let statement = format!("UPDATE elasticjob.session SET dead = true WHERE id = {session} RETURNING 'dead'");
        self.first(statement).await?;
        let connection = self
            .connection
            .as_mut()
            .ok_or_else(|| broken("there is no connection"))?;
        line::clean(connection, &self.caller.namespace, session).await?;
        // The member itself is over: its pulse sends no hint of these.
        let hint = Hint::new(session, Jobs::Any).text();
        connection
            .first(line::notify(&hint::channel(&self.caller.namespace), &hint))
            .await?;
        Ok(())
    }
}

/// Why a call has no reply.
#[derive(Debug)]
enum Trouble {
    /// Nothing was done, and the connection is as good as before.
    Busy(String),
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Busy(reason) => Self::Broken(reason),
            Trouble::Failed(failure) => failure,
        }
    }
}

/// Runs the message of a call, and returns the texts that its statements give. If the server warned of its commit, nothing is certain.
async fn called(
    connection: &mut PgConnection,
    warnings: &Warnings,
    statement: String,
) -> Result<Result<Vec<String>, Failure>, sqlx::Error> {
    let mut texts = Vec::new();
    // How many warnings there were when a statement of the message ended: the last is the commit.
    let mut counts = vec![warnings.count()];
    let mut answers = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(statement)));
    while let Some(answer) = answers.try_next().await? {
        match answer {
            Either::Right(row) => texts.push(row.try_get_unchecked(0)?),
            Either::Left(_) => counts.push(warnings.count()),
        }
    }
    Ok(match counts.as_slice() {
        [.., before, after] if before == after => Ok(texts),
        _ => Err(broken("the server warned of a commit: a standby may not have it")),
    })
}
