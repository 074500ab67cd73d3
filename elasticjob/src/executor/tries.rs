//! How long a run may take, and how often one that fails is tried again.
//!
//! To the cluster all tries are one run: it keeps its mark, its fencing token and its place in the ledger, and only how the
//! last try ended becomes its verdict. So an instance that dies or is fenced between two tries counts as having died while running
//! the item, and `failover` applies. The next attempt has all tries again.

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

use super::item::{Ended, Item, Running, run_item};
use super::outcome::Outcome;

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
    pub(super) outcome: Outcome,
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
    fn not_yet() -> Self {
        Self {
            outcome: Outcome::Cancelled(Stopped::Cancelled),
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

    fn given_up(self, reason: GivenUp) -> Self {
        info!(cause = %Cause(&self.outcome), %reason, "failed, not tried again");
        let given_up = Some(reason);
        Self { given_up, ..self }
    }

    fn stopped(self, stopped: Stopped) -> Self {
        let outcome = Outcome::Cancelled(stopped);
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
        S: Fn(u32, Running) -> BoxFuture<'static, Result<(), BoxError>> + Sync,
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
            Outcome::Succeeded | Outcome::Cancelled(_) => return Next::Over,
            Outcome::Failed(cause) => is_permanent(cause.error()),
            Outcome::Panicked(_) | Outcome::TimedOut(_) => false,
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
struct Cause<'a>(&'a Outcome);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Failed(cause) => Chain(cause.error()).fmt(f),
            other => other.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, mpsc};

    use jiff::Timestamp;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::cluster::fence::Fence;
    use crate::executor::{Pool, Underway};
    use crate::job::{RunContext, ShardingContext, permanent};
    use crate::schedule::ManualClock;
    use crate::tasks::Tasks;

    /// The fence passes after two thirds of it.
    const SESSION_TIMEOUT: Duration = Duration::from_secs(900);

    /// How long blocking work is waited for.
    const GRACE: Duration = Duration::from_secs(3);

    fn read(props: &[(&str, &str)]) -> Result<Tries, String> {
        let props: BTreeMap<String, String> = props
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        crate::property::read(&props).map_err(|faults| faults.to_string())
    }

    fn item() -> Item {
        let tasks = Tasks::in_virtual_time();
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        Item {
            permits: Pool::of(NonZeroUsize::MIN).open().permits(),
            fence: Fence::on_tokio_time(clock, SESSION_TIMEOUT, Duration::ZERO, &tasks),
            stop: CancellationToken::new(),
            tasks,
            ticket: Underway::default().enter("job".into(), 0, "run".into()),
            grace: GRACE,
        }
    }

    fn identity(item: u32) -> Identity {
        Identity {
            run: "run".to_owned(),
            item,
        }
    }

    /// Runs it with a job that receives the number of earlier tries.
    async fn run<F>(tries: Tries, item: Item, job: impl Fn(u32) -> F + Send + Sync + 'static) -> Tried
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let wind_down = WindDown::below(&item.stop);
        let start = move |retry, _: Running| -> BoxFuture<'static, _> { job(retry).boxed() };
        tries.run(&item, &wind_down, &identity(0), &start).await
    }

    struct CountsDrops(Arc<AtomicU32>);

    impl Drop for CountsDrops {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn three_retries() -> Tries {
        read(&[(RETRY, "3"), (BACKOFF, "2s"), (MAX_BACKOFF, "3s")]).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_fails_should_be_tried_again_until_it_succeeds() {
        let start = Instant::now();
        let job = |retry| async move { if retry < 2 { Err("no network".into()) } else { Ok(()) } };
        let tried = run(three_retries(), item(), job).await;
        assert!(matches!(tried.outcome, Outcome::Succeeded));
        assert_eq!(tried.tries, 3);
        // The first pause is of 2 s, the second of 3, and each is half of it at least.
        let elapsed = start.elapsed().as_secs_f64();
        assert!((2.5..=5.0).contains(&elapsed), "{elapsed}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_should_fail_as_its_last_try_did() {
        let job = |retry| async move { Err(format!("failure {retry}").into()) };
        let tried = run(three_retries(), item(), job).await;
        assert_eq!(tried.outcome.to_string(), "failed: failure 3");
        assert_eq!(tried.tries, 4);
        let once = run(read(&[]).unwrap(), item(), job).await;
        assert_eq!(
            (once.outcome.to_string().as_str(), once.tries),
            ("failed: failure 0", 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_other_try_would_help_against_should_fail_at_once() {
        let job = |_| async { Err(permanent("no account").into()) };
        let tried = run(three_retries(), item(), job).await;
        assert_eq!((tried.tries, tried.given_up), (1, Some(GivenUp::Permanent)));
        let panics = |_| async { panic!("a bug, or not") };
        assert_eq!(run(three_retries(), item(), panics).await.tries, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_should_be_dropped_after_its_time() {
        let tries = read(&[(TIMEOUT, "30s"), (RETRY, "1")]).unwrap();
        let dropped = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&dropped);
        let start = Instant::now();
        let job = move |_| {
            let count = Arc::clone(&count);
            async move {
                let _held = CountsDrops(count);
                std::future::pending().await
            }
        };
        let item = item();
        let tried = run(tries, item, job).await;
        assert_eq!(tried.outcome.to_string(), "timed out after 30s");
        assert_eq!((tried.tries, dropped.load(Ordering::Relaxed)), (2, 2));
        assert!((60..62).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn blocking_work_that_overruns_should_be_told_and_not_be_tried_again_beside_itself() {
        let tries = read(&[(TIMEOUT, "1s"), (RETRY, "3")]).unwrap();
        let item = item();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let begun = Arc::new(std::sync::Mutex::new(Some(begun)));
        let (end, blocks) = mpsc::channel::<()>();
        let blocks = Arc::new(std::sync::Mutex::new(blocks));
        let task = item.tasks.clone().spawn("run", async move {
            let wind_down = WindDown::below(&CancellationToken::new());
            let start = move |_, running: Running| -> BoxFuture<'static, _> {
                let run = RunContext::for_test(ShardingContext::for_test(0, 1)).with_blocking(running.blocking);
                let (begun, blocks) = (Arc::clone(&begun), Arc::clone(&blocks));
                let token = running.cancellation;
                Box::pin(async move {
                    run.run_blocking(move || {
                        begun.lock().unwrap().take().expect("tried once").send(token).unwrap();
                        let _ = blocks.lock().unwrap().recv();
                    })
                    .await?;
                    Ok(())
                })
            };
            tries.run(&item, &wind_down, &identity(0), &start).await
        });
        let token = has_begun.await.unwrap();
        // Virtual time does not pass by itself while work blocks on a thread.
        tokio::time::advance(Duration::from_secs(1)).await;
        token.cancelled().await;
        // Before it is read that the work goes on, and after.
        for _ in 0..2 {
            tokio::time::advance(GRACE).await;
            tokio::task::yield_now().await;
        }
        let tried = task.await.unwrap();
        drop(end);
        assert_eq!(tried.outcome.to_string(), "timed out after 1s");
        assert_eq!((tried.overrunning, tried.tries), (1, 1));
        assert_eq!(tried.given_up, Some(GivenUp::Overrunning));
    }

    #[tokio::test(start_paused = true)]
    async fn no_other_try_should_be_made_for_who_is_to_end() {
        let tries = read(&[(RETRY, "9"), (BACKOFF, "10s")]).unwrap();
        let job = |_| async { Err("no network".into()) };
        let ended = |item: Item, wind_down: WindDown| async move {
            let start = move |retry, _: Running| -> BoxFuture<'static, _> { job(retry).boxed() };
            tries.run(&item, &wind_down, &identity(0), &start).await
        };
        let start = Instant::now();
        let (running, wind_down) = (item(), WindDown::below(&CancellationToken::new()));
        let run = running.tasks.clone().spawn("run", ended(running, wind_down.clone()));
        sleep(Duration::from_secs(1)).await;
        assert!(wind_down.ask("the item is to move"));
        let tried = run.await.unwrap();
        let given_up = Some(GivenUp::WoundDown("the item is to move"));
        assert_eq!(tried.given_up, given_up);
        assert_eq!(tried.outcome.to_string(), "failed: no network");
        assert_eq!((start.elapsed().as_secs(), tried.tries), (1, 1));
        let tried = ended(item(), wind_down).await;
        assert_eq!((start.elapsed().as_secs(), tried.tries), (1, 1));
        assert_eq!(tried.given_up, given_up);
    }

    #[test]
    fn an_account_should_say_how_many_tries_there_were_and_why_not_more() {
        let account = |tries, given_up| {
            let tried = Tried {
                tries,
                given_up,
                ..Tried::not_yet()
            };
            tried.account("no network")
        };
        let moving = Some(GivenUp::WoundDown("the item is to move"));
        assert_eq!(account(1, None), "no network");
        assert_eq!(account(3, None), "tried 3 times: no network");
        assert_eq!(
            account(1, moving),
            "not tried again, since the item is to move: no network"
        );
        assert_eq!(
            account(3, moving),
            "tried 3 times, not again, since the item is to move: no network"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_stopped_in_a_pause_or_in_its_first_wait_should_be_cancelled() {
        let tries = read(&[(RETRY, "9"), (BACKOFF, "10s")]).unwrap();
        let item = item();
        let job = move |item: Item| async move { run(tries, item, |_| async { Err("no network".into()) }).await };
        let waiting = item.tasks.spawn("run", job(item.clone()));
        sleep(Duration::from_secs(1)).await;
        item.stop.cancel();
        let tried = waiting.await.unwrap();
        assert_eq!((tried.outcome.to_string().as_str(), tried.tries), ("cancelled", 1));
        let tried = job(item).await;
        assert_eq!((tried.outcome.to_string().as_str(), tried.tries), ("cancelled", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn others_should_have_the_room_while_a_run_pauses() {
        let item = item();
        let start = Instant::now();
        let (tries, other) = (three_retries(), item.clone());
        let failing = item.tasks.spawn("run", async move {
            run(tries, other, |retry| async move {
                if retry == 0 { Err("no network".into()) } else { Ok(()) }
            })
            .await
        });
        tokio::task::yield_now().await;
        let other = run(three_retries(), item, |_| async { Ok(()) }).await;
        assert!(matches!(other.outcome, Outcome::Succeeded));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(failing.await.unwrap().tries, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_gets_ahead_should_have_all_its_retries_anew() {
        let tries = read(&[(RETRY, "1"), (BACKOFF, "1s")]).unwrap();
        let wind_down = WindDown::below(&CancellationToken::new());
        let start = |retry: u32, running: Running| -> BoxFuture<'static, _> {
            if retry < 5 {
                running.progress.made();
            }
            Box::pin(async { Err("no network".into()) })
        };
        let tried = tries.run(&item(), &wind_down, &identity(0), &start).await;
        assert_eq!(tried.tries, 6, "the last that got ahead is tried again, too");
    }

    #[tokio::test(start_paused = true)]
    async fn the_fence_should_end_a_pause() {
        let tries = read(&[(RETRY, "9"), (BACKOFF, "1h"), (MAX_BACKOFF, "1h")]).unwrap();
        let tried = run(tries, item(), |_| async { Err("no network".into()) }).await;
        assert!(matches!(tried.outcome, Outcome::Cancelled(Stopped::Fenced)));
        assert_eq!(tried.tries, 1);
    }

    #[test]
    fn pauses_should_double_up_to_a_limit_and_differ_from_run_to_run() {
        let tries = read(&[(RETRY, "100"), (BACKOFF, "1s"), (MAX_BACKOFF, "10s")]).unwrap();
        let pauses = |item| (0..100).map(move |retry| tries.pause(retry, &identity(item)).as_secs_f64());
        for (retry, pause) in (0..).zip(pauses(0)) {
            let whole = 2_f64.powi(retry).min(10.0);
            assert!((whole / 2.0..=whole).contains(&pause), "{retry}: {pause}");
        }
        assert!(pauses(0).eq(pauses(0)));
        assert!(pauses(0).zip(pauses(1)).all(|(one, other)| one != other));
    }

    #[test]
    fn what_is_wrong_should_be_told() {
        let fault = |key, value| read(&[(key, value)]).unwrap_err();
        for (key, value) in [
            (TIMEOUT, "0s"),
            (TIMEOUT, "soon"),
            (RETRY, "-1"),
            (RETRY, "1001"),
            (BACKOFF, "x"),
        ] {
            let fault = fault(key, value);
            assert!(fault.contains(key) && fault.contains(value), "{fault}");
        }
        assert_eq!(
            fault("elasticjob.retry.backof", "3s"),
            "`props.elasticjob.retry.backof`: unknown property, did you mean `elasticjob.retry.backoff`?"
        );
        assert_eq!(
            fault(BACKOFF, "2m"),
            "`props.elasticjob.retry.max-backoff`: expected no less than `elasticjob.retry.backoff`, which is 120s"
        );
    }
}
