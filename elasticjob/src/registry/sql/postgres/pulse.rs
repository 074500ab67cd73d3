//! What goes on beside the calls of a member, over a connection of its own: heartbeats, looks at the sessions of others, and
//! [hints](super::hint). No call waits for it, and it waits for no call.
//!
//! Beats are for a member that is served: a session whose calls are not answered any more has to end after its timeout, and not
//! after the timeout from when its member gives up.
//!
//! Behind a pooler that gives each transaction another connection nothing must be listened for: notifications go to whichever
//! client has the connection, and make its answers unreadable. Such a connection of the server is older or younger than
//! ours, changes from one request to the next, or is the one that serves calls. In case of a doubt a probe decides, which the
//! member sends over its other connection: what a connection sends to itself proves nothing. Without hints polls are all there is.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::hint::{self, Hint, Hints};
use super::line::{self, Line as _, Listening, broken, literal};
use crate::registry::sql::backend::Failure;
use crate::registry::sql::expiry::{Beat, Expiry, Look};
use crate::uptime::uptime;

/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);

/// The time between the two connections of a member, and between ours and a request: those that a pooler opens for either are
/// older or younger than ours by as much.
const SETTLING: Duration = Duration::from_millis(200);

/// So often the age is asked for.
const LOOKS: usize = 3;

/// How far two clocks may disagree about the age of a connection.
const TOLERANCE: Duration = Duration::from_millis(20);

/// Changes are kept for so long; of a busy job only the last ones.
const KEPT: Duration = Duration::from_secs(3_600);

/// The pause between two looks for changes that are older.
const FORGETTING: Duration = Duration::from_secs(600);

const PLACE: &str =
    "SELECT json_build_array(pid, (extract(epoch FROM clock_timestamp() - backend_start) * 1000000)::bigint)::text
                     FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// Beats stop if no call was answered for this part of the timeout. Polls are asked for each quarter of it, and may wait for a lock
/// for a sixth.
const UNSERVED: u32 = 2;

/// While they have stopped, this part of the timeout is the pause between two looks whether calls are answered again.
const UNSERVED_PAUSE: u32 = 12;

/// So often a process is looked for that listens behind a pooler. It may have ended.
const SEARCHES: u32 = 200;

/// How long a probe may take that arrives.
const PATIENCE_WITH_PROBES: Duration = Duration::from_secs(2);

/// The heart of a session.
pub(super) struct Pulse {
    options: PgConnectOptions,
    namespace: String,
    session: i64,
    timeout: Duration,
    hints: Hints,
    expiry: Expiry,
    next_look: Duration,
    forgets_at: Duration,
    sent_at: Duration,
    /// The process of the server that listens for us.
    listens: Option<i64>,
    /// How often it was looked for since there was found to be a pooler between.
    searches: u32,
}

/// Whether hints arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    /// No probe has arrived yet.
    Unknown,
    Heard,
    /// There is a pooler between.
    Deaf,
}

impl Hearing {
    /// Whether it is known now that nothing arrives.
    fn is_vain(self, probed_at: Option<Duration>, now: Duration) -> bool {
        self == Self::Unknown && probed_at.is_some_and(|at| now.saturating_sub(at) >= PATIENCE_WITH_PROBES)
    }
}

/// When a connection was opened, by our clock.
#[derive(Clone, Copy, Debug)]
struct Opened {
    began: Duration,
    ended: Duration,
}

impl Opened {
    /// Whether a connection of the server with this age, as asked between two moments, can be this one.
    fn is_of_age(self, age: Duration, asked: Duration, answered: Duration) -> bool {
        let (least, most) = (asked.saturating_sub(self.ended), answered.saturating_sub(self.began));
        (least.saturating_sub(TOLERANCE)..=most + TOLERANCE).contains(&age)
    }
}

impl Pulse {
    pub(super) fn new(
        options: PgConnectOptions,
        namespace: String,
        session: i64,
        timeout: Duration,
        hints: Hints,
    ) -> Self {
        let name = options.get_application_name().unwrap_or("elasticjob");
        let name = format!("{name} beats");
        Self {
            options: options.application_name(&name),
            namespace,
            session,
            timeout,
            hints,
            expiry: Expiry::default(),
            next_look: uptime(),
            forgets_at: uptime(),
            sent_at: Duration::ZERO,
            listens: None,
            searches: 0,
        }
    }

    /// Goes on until it is dropped, over one connection after the other.
    pub(super) async fn run(mut self) -> Infallible {
        loop {
            let failure = match self.connect().await {
                Ok((mut line, hearing)) => match self.beat_over(&mut line, hearing).await {
                    Ok(never) => match never {},
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            debug!(%failure, "the second connection to the registry is lost");
            sleep(PAUSE).await;
        }
    }

    /// The longest silence that is not taken for a lost connection.
    fn patience(&self) -> Duration {
        self.timeout * 2 / 5
    }

    async fn connect(&mut self) -> Result<(Listening, Hearing), Failure> {
        sleep(SETTLING).await;
        let began = uptime();
        let connected = async {
            // A pool, since a listener takes nothing else.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None);
            let pool = pool.connect_with(self.options.clone()).await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            Ok::<_, sqlx::Error>(listener)
        };
        let listener = match timeout(self.patience(), connected).await {
            Ok(result) => result,
            Err(_) => return Err(broken(format!("no connection within {:?}", self.patience()))),
        };
        let mut line = Listening {
            listener: listener?,
            patience: self.patience(),
        };
        let ended = uptime();
        let hearing = self.listen(&mut line, Opened { began, ended }).await?;
        Ok((line, hearing))
    }

    /// Begins to listen, unless there is a pooler between.
    async fn listen(&mut self, line: &mut Listening, opened: Opened) -> Result<Hearing, Failure> {
        let mut process = None;
        for _ in 0..LOOKS {
            sleep(SETTLING).await;
            let asked = uptime();
            let place = line.text(PLACE.to_owned()).await?;
            let (seen, age): (i64, u64) = serde_json::from_str(&place).map_err(broken)?;
            let is_one = seen != self.hints.process() && process.is_none_or(|process| process == seen);
            if !is_one || !opened.is_of_age(Duration::from_micros(age), asked, uptime()) {
                info!("the registry is asked for changes alone, since there is a pooler between");
                return Ok(Hearing::Deaf);
            }
            process = Some(seen);
        }
        let channel = hint::channel(&self.namespace);
        self.listens = Some(on_one_process(line, &format!("LISTEN {channel}")).await?);
        self.searches = 0;
        self.hints.want_probe();
        Ok(Hearing::Unknown)
    }

    /// Ends what a process of the server may listen for in the name of other clients, as soon as the pooler gives it to us again.
    async fn stop_listening(&mut self, line: &mut Listening) -> Result<(), Failure> {
        if self.listens.is_none() || self.searches == SEARCHES {
            return Ok(());
        }
        self.searches += 1;
        let process = on_one_process(line, "UNLISTEN *").await?;
        self.listens = self.listens.filter(|listens| *listens != process);
        Ok(())
    }

    async fn beat_over(&mut self, line: &mut Listening, mut hearing: Hearing) -> Result<Infallible, Failure> {
        loop {
            let wait = self.do_what_is_due(line).await?;
            if hearing.is_vain(self.hints.probed_at(), uptime()) {
                hearing = Hearing::Deaf;
                info!("the registry is asked for changes alone, since its notifications do not arrive");
            }
            if hearing == Hearing::Deaf {
                self.stop_listening(line).await?;
                // Of those that arrive by chance none may stay.
                while line.listener.next_buffered().is_some() {}
            }
            tokio::select! {
                biased;
                notification = line.listener.try_recv(), if hearing != Hearing::Deaf => match notification? {
                    Some(notification) => self.hear(notification.payload(), &mut hearing),
                    None => return Err(broken("the connection was closed")),
                },
                () = self.hints.written() => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn hear(&self, payload: &str, hearing: &mut Hearing) {
        let hint = Hint::parse(payload);
        let (is_own, jobs) = (hint.from == self.session, hint.into_jobs());
        if !is_own {
            self.hints.hear(jobs);
        } else if jobs.is_empty() {
            // The probe. Other hints of its own this connection has sent to itself.
            *hearing = Hearing::Heard;
        }
    }

    /// Returns how long there is nothing to do.
    async fn do_what_is_due(&mut self, line: &mut Listening) -> Result<Duration, Failure> {
        let now = uptime();
        if self.next_beat(now) <= now {
            self.beat(line, now).await?;
        }
        if self.next_look <= now {
            self.look(line).await?;
        }
        if self.forgets_at <= now {
            line::forget(line, &self.namespace, KEPT).await?;
            self.forgets_at = now + FORGETTING;
        }
        if self.hints.has_written() && self.next_hint() <= now {
            self.sent_at = now;
            let hint = Hint::new(self.session, self.hints.take_written());
            let statement = line::notify(&hint::channel(&self.namespace), &hint.text());
            line.first(statement).await?;
        }
        let next = self.next_beat(uptime()).min(self.next_look).min(self.forgets_at);
        let next = if self.hints.has_written() {
            next.min(self.next_hint())
        } else {
            next
        };
        Ok(next.saturating_sub(uptime()))
    }

    /// Returns when the next beat is due, which is never now if calls are not answered.
    fn next_beat(&self, now: Duration) -> Duration {
        let is_served = now.saturating_sub(self.hints.answered_at()) < self.timeout / UNSERVED;
        if is_served {
            self.hints.renewed_at() + self.timeout / 3
        } else {
            now + self.timeout / UNSERVED_PAUSE
        }
    }

    fn next_hint(&self) -> Duration {
        self.sent_at + hint::PAUSE
    }

    async fn beat(&self, line: &mut Listening, now: Duration) -> Result<(), Failure> {
        // A beat that a crash undoes makes the session seem no younger: any other beat than before is a sign of life.
        let statement = format!(
            "UPDATE elasticjob.session SET beat = beat + 1 WHERE id = {} AND NOT dead RETURNING 'alive'",
            self.session
        );
        if line.first(line::hasty(&statement)).await?.is_none() {
            // The member learns it by its next poll, from which moment nothing is to be done here.
            self.hints.hear(hint::Jobs::Any);
        }
        self.hints.renewed(now);
        Ok(())
    }

    /// Looks at the beats of the others, and ends what is over.
    async fn look(&mut self, line: &mut Listening) -> Result<(), Failure> {
        let sent_at = uptime();
        let statement = format!(
            "SELECT coalesce(json_agg(json_build_array(id, beat, timeout_millis, dead)), '[]')::text
             FROM elasticjob.session WHERE namespace = {} AND id <> {}",
            literal(&self.namespace),
            self.session
        );
        let text = line.text(statement).await?;
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
        let mut dead: Vec<i64> = rows
            .iter()
            .filter(|(.., dead)| *dead)
            .map(|(session, ..)| *session)
            .collect();
        for Beat { session, beat, .. } in self.expiry.after(look, &alive) {
            if line::end(line, session, beat).await? {
                info!(
                    session = format_args!("{session:x}"),
                    "ended a registry session that was not renewed"
                );
                dead.push(session);
            }
        }
        for session in &dead {
            line::clean(line, &self.namespace, *session).await?;
        }
        if !dead.is_empty() {
            // Which jobs had nodes of theirs is not known here.
            let hint = Hint::new(self.session, hint::Jobs::Any);
            line.first(line::notify(&hint::channel(&self.namespace), &hint.text()))
                .await?;
            self.hints.hear(hint::Jobs::Any);
        }
        Ok(())
    }
}

/// Runs a statement. Returns which process of the server did.
async fn on_one_process(line: &mut Listening, statement: &str) -> Result<i64, Failure> {
    let statement = format!("BEGIN; {statement}; SELECT pg_backend_pid()::text; COMMIT");
    line.text(statement).await?.parse().map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    mod a_connection {
        use super::*;

        #[test]
        fn has_the_age_of_ours_unless_a_pooler_has_opened_it() {
            let at = |millis: u64| Duration::from_millis(100_000 + millis);
            let opened = Opened {
                began: at(0),
                ended: at(50),
            };
            let is_ours = |age: u64| opened.is_of_age(Duration::from_millis(age), at(350), at(360));
            assert!(is_ours(310) && is_ours(350));
            assert!(!is_ours(5), "opened for this request");
            assert!(!is_ours(5_000), "opened for another client");
        }
    }

    mod hearing {
        use super::*;

        #[test]
        fn is_given_up_without_a_probe() {
            let sent = Duration::from_secs(100);
            let is_vain = |hearing: Hearing, after| hearing.is_vain(Some(sent), sent + after);
            assert!(!is_vain(Hearing::Unknown, PATIENCE_WITH_PROBES / 2));
            assert!(is_vain(Hearing::Unknown, PATIENCE_WITH_PROBES));
            assert!(!is_vain(Hearing::Heard, PATIENCE_WITH_PROBES * 9));
            assert!(
                !Hearing::Unknown.is_vain(None, sent * 9),
                "the member has not sent it yet"
            );
        }
    }
}
