//! A member on PostgreSQL: each request is one call of a function, over one connection, one after the other.
//!
//! The functions are in the database and do what a transaction of the registry has to do at one place: they look at the
//! session, lock the jobs that are concerned, execute the steps and record the changes. So a request costs one round
//! trip, and two members that write to different jobs do not wait for each other.
//!
//! Each job has numbers of its own. A request brings the changes of the jobs that it names, so that its answer is preceded by
//! the events that it depends on; the changes of all other jobs are asked for ten times a second.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, Row as _};
use tokio::time::Instant;
use tracing::info;

use super::message::{self, Caller, Following, ROOT, Reply};
use crate::registry::sql::backend::{Backend, Delivery, Failure};
use crate::registry::sql::cursor::{Cursor, Way};
use crate::registry::sql::expiry::{Beat, Expiry, Look};
use crate::registry::sql::session::{Request, Response};
use crate::registry::watches::Watches;
use crate::registry::{Read, Step};
use crate::uptime::uptime;

const OVER: Failure = Failure::Over("another member has ended it");

/// What a member knows between two calls.
#[derive(Debug)]
pub(super) struct Member {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    caller: Caller,
    timeout: Duration,
    following: Following,
    expiry: Expiry,
    /// When the beat was last raised, by [`uptime`].
    renewed_at: Duration,
    next_look: Duration,
    next_poll: Instant,
}

impl Member {
    /// Returns a member whose session has just been created over this connection.
    pub(super) fn new(options: PgConnectOptions, connection: PgConnection, caller: Caller, timeout: Duration) -> Self {
        let now = uptime();
        Self {
            options,
            connection: Some(connection),
            caller,
            timeout,
            following: Following::default(),
            expiry: Expiry::default(),
            renewed_at: now,
            next_look: now,
            next_poll: Instant::now(),
        }
    }

    /// Calls a function. If the future is dropped, the connection goes with it: an answer that comes later is for no call.
    async fn call(&mut self, statement: String) -> Result<Reply, Failure> {
        let mut connection = self.connection.take().ok_or_else(|| broken("there is no connection"))?;
        let text = scalar(&mut connection, statement).await?;
        let reply = Reply::parse(&text).map_err(Failure::Broken)?;
        if reply.over {
            return Err(OVER);
        }
        self.connection = Some(connection);
        Ok(reply)
    }

    /// Calls the function of transactions, and renews the session if that is due.
    async fn transaction(&mut self, steps: &[Step], share: u32, following: &Following) -> Result<Reply, Failure> {
        let now = uptime();
        let renew = self.is_renewal_due(now, share);
        let statement = message::transaction(&self.caller, steps, renew, following);
        let reply = self.call(statement).await?;
        if renew {
            self.renewed_at = now;
        }
        Ok(reply)
    }

    /// Calls the function of reads, which locks nothing and does not renew the session.
    async fn read(&mut self, reads: &[Read], count: Option<&str>, following: &Following) -> Result<Reply, Failure> {
        self.call(message::read(&self.caller, reads, count, following)).await
    }

    /// Returns whether the last renewal is older than this share of the timeout.
    fn is_renewal_due(&self, now: Duration, share: u32) -> bool {
        now.saturating_sub(self.renewed_at) >= self.timeout / share
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

    /// Forgets what no watch covers any more.
    fn forget(&mut self, watches: &Watches) {
        let (jobs, of_all) = watches.jobs();
        self.following.of_all = of_all;
        if !of_all {
            self.following.cursors.retain(|job, _| jobs.contains(job));
        }
    }

    /// Takes the changes of a reply into account.
    fn take(&mut self, reply: &Reply, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        let mut events = Vec::new();
        let mut is_whole = true;
        for (job, counter, changes) in &reply.changes {
            let cursor = self.following.cursors.get(job).copied().unwrap_or(Cursor::at(0));
            is_whole &= cursor.way_to(*counter) != Way::Lost
                && cursor.is_whole(*counter, changes.iter().map(|(number, ..)| *number));
            for (_, token, step, kind, path) in changes {
                let event = message::event(*kind, path).ok_or_else(|| broken("a change of an unknown kind"))?;
                events.push(((*token, *step), event));
            }
            self.following.cursors.insert(job.clone(), Cursor::at(*counter));
        }
        if !is_whole {
            deliveries.push(Delivery::Resync);
            return Ok(());
        }
        // Between jobs by the clock; within a job it is the order of the numbers.
        events.sort_by_key(|(place, _)| *place);
        deliveries.extend(events.into_iter().map(|(_, event)| Delivery::Event(event)));
        Ok(())
    }

    /// Serves one request.
    async fn request(&mut self, request: Request, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        let all = self.following.clone();
        match request {
            Request::Write(steps) => {
                let following = self.following_of(message::jobs(&steps).into_iter());
                let reply = self.transaction(&steps, 12, &following).await?;
                self.take(&reply, deliveries)?;
                let written = reply.written(&steps).map_err(Failure::Broken)?;
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
                let following = if names_root { all } else { self.following_of(paths) };
                let reply = self.read(&reads, None, &following).await?;
                self.take(&reply, deliveries)?;
                let answers = reply.answers(&reads).map_err(Failure::Broken)?;
                deliveries.push(Delivery::Response(Response::Read(answers)));
            }
            Request::Sync => {
                let reply = if self.is_renewal_due(uptime(), 12) {
                    self.transaction(&[], 12, &all).await?
                } else {
                    self.read(&[], None, &all).await?
                };
                self.take(&reply, deliveries)?;
                deliveries.push(Delivery::Response(Response::Synced));
            }
            Request::Watch(path) => {
                let job = message::job_of(&path);
                let reply = self.read(&[], Some(job), &all).await?;
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

    /// Asks for the changes of all that is watched, and renews the session if that is due.
    async fn poll(&mut self, deliveries: &mut Vec<Delivery>) -> Result<(), Failure> {
        let all = self.following.clone();
        let reply = if self.is_renewal_due(uptime(), 3) {
            self.transaction(&[], 3, &all).await?
        } else {
            self.read(&[], None, &all).await?
        };
        self.take(&reply, deliveries)
    }

    /// Looks at the beats of the others, and ends what is over.
    async fn look(&mut self) -> Result<(), Failure> {
        let sent_at = uptime();
        let statement = format!(
            "SELECT coalesce(json_agg(json_build_array(id, beat, timeout_millis, dead)), '[]')::text
             FROM elasticjob.session WHERE namespace = {} AND id <> {}",
            literal(&self.caller.namespace),
            self.caller.session
        );
        let text = self.scalar(statement).await?;
        let rows: Vec<(i64, i64, u64, bool)> = serde_json::from_str(&text).map_err(broken)?;
        let look = Look {
            sent_at,
            answered_at: uptime(),
        };
        let beat = |(session, beat, timeout, _): &(i64, i64, u64, bool)| Beat {
            session: *session,
            beat: *beat,
            timeout: Duration::from_millis(*timeout),
        };
        let alive: Vec<Beat> = rows.iter().filter(|(.., dead)| !dead).map(beat).collect();
        self.next_look = sent_at + Expiry::pause(self.timeout, &alive);
        for Beat { session, beat, .. } in self.expiry.after(look, &alive) {
            let statement = format!(
                "UPDATE elasticjob.session SET dead = true WHERE id = {session} AND beat = {beat} RETURNING 'dead'"
            );
            if self.optional(statement).await?.is_some() {
                info!(
                    session = format_args!("{session:x}"),
                    "ended a registry session that was not renewed"
                );
                self.clean(session).await?;
            }
        }
        for (session, ..) in rows.iter().filter(|(.., dead)| *dead) {
            self.clean(*session).await?;
        }
        Ok(())
    }

    /// Deletes the nodes of a session that is dead, some jobs at a time, and the session at last.
    async fn clean(&mut self, session: i64) -> Result<(), Failure> {
        let namespace = literal(&self.caller.namespace);
        let statement = format!("SELECT elasticjob.clean_v1({namespace}, {session})::text");
        // Jobs that others hold are for the next look.
        for _ in 0..1_000 {
            if self.scalar(statement.clone()).await? == "false" {
                break;
            }
        }
        let statement = format!(
            "DELETE FROM elasticjob.session WHERE id = {session} AND dead AND NOT EXISTS
                (SELECT 1 FROM elasticjob.node WHERE owner = {session}) RETURNING 'gone'"
        );
        self.optional(statement).await?;
        Ok(())
    }

    /// Runs a statement that gives one text.
    async fn scalar(&mut self, statement: String) -> Result<String, Failure> {
        self.optional(statement).await?.ok_or_else(|| broken("no row"))
    }

    /// Runs a statement that gives one text or none. If the future is dropped, the connection goes with it.
    async fn optional(&mut self, statement: String) -> Result<Option<String>, Failure> {
        let mut connection = self.connection.take().ok_or_else(|| broken("there is no connection"))?;
        let row = first(&mut connection, statement).await?;
        self.connection = Some(connection);
        Ok(row)
    }
}

impl Backend for Member {
    const CALLS_AT_ONCE: usize = 1;
    const POLL: Duration = Duration::from_millis(100);

    async fn serve(&mut self, requests: Vec<Request>, watches: &Watches) -> Result<Vec<Delivery>, Failure> {
        let mut deliveries = Vec::new();
        self.forget(watches);
        if uptime() >= self.next_look {
            self.look().await?;
        }
        for request in requests {
            self.request(request, &mut deliveries).await?;
        }
        // Also while calls come without pause: each brings changes of its own jobs alone.
        if Instant::now() >= self.next_poll {
            self.poll(&mut deliveries).await?;
            self.next_poll = Instant::now() + Self::POLL;
        }
        Ok(deliveries)
    }

    async fn rejoin(&mut self) -> Result<(), Failure> {
        self.connection = None;
        self.connection = Some(self.options.connect().await?);
        let now = uptime();
        let statement = format!(
            "UPDATE elasticjob.session SET connection = connection + 1, beat = beat + 1
             WHERE id = {} AND NOT dead RETURNING connection::text",
            self.caller.session
        );
        let connection = self.optional(statement).await?.ok_or(OVER)?;
        self.caller.connection = connection.parse().map_err(broken)?;
        self.renewed_at = now;
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
        self.optional(statement).await?;
        self.clean(session).await
    }
}

/// Runs one message, and returns the one text that it gives.
async fn scalar(connection: &mut PgConnection, statement: String) -> Result<String, Failure> {
    first(connection, statement).await?.ok_or_else(|| broken("no row"))
}

/// Runs one message, and returns the text in the first row, if there is a row.
async fn first(connection: &mut PgConnection, statement: String) -> Result<Option<String>, Failure> {
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    match rows.first() {
        Some(row) => Ok(Some(row.try_get_unchecked(0)?)),
        None => Ok(None),
    }
}

/// Returns a text as a literal that does not depend on the settings of the server.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn broken(error: impl ToString) -> Failure {
    Failure::Broken(error.to_string())
}
