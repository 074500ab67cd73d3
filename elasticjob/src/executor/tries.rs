//! How long a run may take, and how often one that fails is tried again.
//!
//! To the cluster all tries are one run: it keeps its mark, its fencing token and its place in the ledger, and only how the
//! last try ended becomes its verdict. So an instance that dies or is fenced between two tries counts as having died while running
//! the item, and `failover` applies. The next attempt has all tries again.
//!
//! The pauses are exponential with a jitter of up to a half. The jitter is derived from the run's id and not from
//! randomness, so that a simulation repeats itself while items of a real cluster still differ. In a pause the run holds
//! no room in the pool.

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::cluster::fence::{Gated, Stopped};
use crate::cluster::wind_down::WindDown;
use crate::erased::BoxFuture;
use crate::job::{BoxError, is_permanent};
use crate::property::{Accepts, Properties, Reader, accept};

use super::item::{Ended, Item, RunEnvironment, run_item};
use super::outcome::TryOutcome;

const TIMEOUT: &str = "elasticjob.timeout";
const RETRY: &str = "elasticjob.retry";
const BACKOFF: &str = "elasticjob.retry.backoff";
const MAX_BACKOFF: &str = "elasticjob.retry.max-backoff";

/// A job that is tried more often has something else wrong with it.
const MOST_RETRIES: u32 = 1000;

const RETRIES: Accepts<u32> = Accepts::new("a whole number from 0 to 1000", |text| {
    text.trim().parse().ok().filter(|retries| *retries <= MOST_RETRIES)
});

/// What a job's props say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tries {
    /// Of each try, from when it has room in the pool; of each batch of a stream.
    timeout: Option<Duration>,
    /// How often one that failed is tried again.
    retries: u32,
    /// The pause before the first of them; it doubles
    backoff: Duration,
    /// up to this.
    max_backoff: Duration,
}

/// Which run it is, for pauses that differ from run to run, and are the same for the same one.
#[derive(Hash)]
pub(super) struct Identity {
    pub(super) run: String,
    pub(super) item: u32,
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Tried {
    /// How the last try ended.
    pub(super) outcome: TryOutcome,
    /// Pieces of its blocking work that go on nevertheless.
    pub(super) overrunning: usize,
    /// How many there were: none where there was no room in the pool before it was stopped.
    pub(super) tries: u32,
    /// Why no further try was made; `None` if it did not fail, or none was left.
    pub(super) given_up: Option<GivenUp>,
}

/// Why a run that failed is not tried again, although it has tries left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// Its error says that no other try would help.
    Permanent,
    /// Its blocking work goes on, and would run beside the next try.
    Overrunning,
    /// It was asked to end, for this reason.
    WoundDown(&'static str),
}

/// What follows a try.
enum Next {
    /// Nothing: it did not fail, or no try is left.
    Over,
    GivenUp(GivenUp),
    /// Another try, after a pause.
    Again(Duration),
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent => f.write_str("the error is permanent"),
            Self::Overrunning => f.write_str("its blocking work goes on"),
            Self::WoundDown(reason) => f.write_str(reason),
        }
    }
}

impl Tried {
    /// Returns a run of which no try was made: it counts as cancelled if it is stopped now.
    fn not_yet() -> Self {
        Self {
            outcome: TryOutcome::Cancelled(Stopped::Cancelled),
            overrunning: 0,
            tries: 0,
            given_up: None,
        }
    }

    /// Returns the account of a failure with the tries before it. They stand in front, since a text that is too long is
    /// cut at its end.
    pub(super) fn account(&self, failure: &str) -> String {
        match (self.tries, self.given_up) {
            (0 | 1, None) => failure.to_owned(),
            (0 | 1, Some(reason)) => format!("not tried again, since {reason}: {failure}"),
            (tries, None) => format!("tried {tries} times: {failure}"),
            (tries, Some(reason)) => format!("tried {tries} times, not again, since {reason}: {failure}"),
        }
    }

    /// How often it was tried again.
    pub(super) fn retries(&self) -> u32 {
        self.tries.saturating_sub(1)
    }

    /// Notes why no further try is made. The failure of the last try stays the outcome.
    fn given_up(self, reason: GivenUp) -> Self {
        info!(cause = %Cause(&self.outcome), %reason, "failed, not tried again");
        let given_up = Some(reason);
        Self { given_up, ..self }
    }

    /// Replaces the outcome: the run was stopped between two tries, so it did not end by the failure of the last one.
    fn stopped(self, stopped: Stopped) -> Self {
        let outcome = TryOutcome::Cancelled(stopped);
        Self { outcome, ..self }
    }
}

impl Properties for Tries {
    const PREFIXES: &'static [&'static str] = &["elasticjob.timeout", "elasticjob.retry"];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let timeout = reader.optional(TIMEOUT, &accept::DURATION);
        let retries = reader.with_default(RETRY, &RETRIES, "0");
        let backoff = reader.with_default(BACKOFF, &accept::DURATION, "1s");
        let max_backoff = reader.with_default(MAX_BACKOFF, &accept::DURATION, "1m");
        let tries = Self {
            timeout: timeout?,
            retries: retries?,
            backoff: backoff?,
            max_backoff: max_backoff?,
        };
        if tries.max_backoff < tries.backoff {
            reader.fault(
                MAX_BACKOFF,
                format!("expected no less than `{BACKOFF}`, which is {:?}", tries.backoff),
            );
        }
        Some(tries)
    }
}

impl Tries {
    /// Runs an item until a try succeeds, none is left, or it must stop. `start` receives the number of earlier tries.
    ///
    /// Between two tries other items may use its room in the pool. A run that [should end](crate::job::RunContext::wind_down) is not
    /// tried again, and fails like its last try. A run that makes progress, as streams do, has all its retries again.
    ///
    /// # Cancel safety
    /// As of [`run_item`].
    pub(super) async fn run<S>(&self, item: &Item, wind_down: &WindDown, identity: &Identity, start: &S) -> Tried
    where
        S: Fn(u32, RunEnvironment) -> BoxFuture<'static, Result<(), BoxError>> + Sync,
    {
        let mut tried = Tried::not_yet();
        let room = item.permits.clone().acquire().boxed();
        let mut room = Gated::new(room, item.fence.clone(), item.stop.clone()).await;
        let mut in_a_row = 0;
        loop {
            let permit = match room {
                Ok(permit) => permit,
                // Others may run the item again: this is not how it ended.
                Err(Stopped::Fenced) => return tried.stopped(Stopped::Fenced),
                Err(Stopped::Cancelled) => {
                    let reason = wind_down.reason().filter(|_| tried.tries > 0);
                    return match reason {
                        Some(reason) => tried.given_up(GivenUp::WoundDown(reason)),
                        // A run that an operator cancels in a pause did not fail: it was not to go on.
                        None => tried.stopped(Stopped::Cancelled),
                    };
                }
            };
            let retry = tried.tries;
            let ended = run_item(item, permit, self.timeout, move |running| start(retry, running)).await;
            if ended.has_progressed {
                in_a_row = 0;
            }
            let next = self.next(&ended, in_a_row, wind_down, identity);
            tried = Tried {
                outcome: ended.outcome,
                overrunning: ended.overrunning,
                tries: retry.saturating_add(1),
                given_up: None,
            };
            let pause = match next {
                Next::Over => return tried,
                Next::GivenUp(reason) => return tried.given_up(reason),
                Next::Again(pause) => pause,
            };
            in_a_row = u32::saturating_add(in_a_row, 1);
            warn!(cause = %Cause(&tried.outcome), retry = in_a_row, of = self.retries, ?pause, "failed, trying again");
            let permits = item.permits.clone();
            let wait = async move {
                sleep(pause).await;
                permits.acquire().await
            };
            room = Gated::new(wait.boxed(), item.fence.clone(), wind_down.token().clone()).await;
        }
    }

    /// Returns what follows a try, after so many retries in a row.
    fn next(&self, ended: &Ended, retries: u32, wind_down: &WindDown, identity: &Identity) -> Next {
        let is_permanent = match &ended.outcome {
            TryOutcome::Succeeded | TryOutcome::Cancelled(_) => return Next::Over,
            TryOutcome::Failed(cause) => is_permanent(cause.error()),
            TryOutcome::Panicked(_) | TryOutcome::TimedOut(_) => false,
        };
        if retries >= self.retries {
            return Next::Over;
        }
        if is_permanent {
            return Next::GivenUp(GivenUp::Permanent);
        }
        if ended.overrunning > 0 {
            return Next::GivenUp(GivenUp::Overrunning);
        }
        match wind_down.reason() {
            Some(reason) => Next::GivenUp(GivenUp::WoundDown(reason)),
            None => Next::Again(self.pause(retries, identity)),
        }
    }

    /// Between half of what it is to be, and all of it, so that items which fail together are not tried together.
    fn pause(&self, retries: u32, identity: &Identity) -> Duration {
        let doubled = 2_u32
            .checked_pow(retries)
            .and_then(|factor| self.backoff.checked_mul(factor));
        let whole = doubled.map_or(self.max_backoff, |doubled| doubled.min(self.max_backoff));
        // No randomness of the machine's: a simulation has none.
        let mut hasher = DefaultHasher::new();
        (identity, retries).hash(&mut hasher);
        whole / 2 + (whole / 2).mul_f64(fastrand::Rng::with_seed(hasher.finish()).f64())
    }
}

/// How a try failed, for the log.
struct Cause<'a>(&'a TryOutcome);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TryOutcome::Failed(cause) => Chain(cause.error()).fmt(f),
            other => other.fmt(f),
        }
    }
}
