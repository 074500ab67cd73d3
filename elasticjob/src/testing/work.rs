//! The jobs of a simulation: items that take some time, and fail now and then.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use futures_util::FutureExt;

use crate::cluster::fence::Stopped;
use crate::cluster::launch::{Finished, Launch, Runner};
use crate::cluster::ledger::{End, Verdict};
use crate::executor::{Item, Outcome, Permits, run_item};
use crate::job::BoxError;
use crate::registry::BoxFuture;
use crate::tasks::Tasks;

use super::history::{History, LiveRun};

/// Between two polls of an item that takes time.
const STEP: Duration = Duration::from_millis(100);

/// How long the items of one job take. Clones are the same.
#[derive(Clone)]
pub(super) struct Work {
    /// A std mutex: never held across an await.
    inner: Arc<Mutex<Drawn>>,
}

struct Drawn {
    rng: fastrand::Rng,
    longest: Duration,
}

/// Runs the items of one job on one simulated machine.
pub(super) struct SimulatedRunner {
    pub(super) machine: usize,
    pub(super) job: Arc<str>,
    pub(super) is_monitored: bool,
    pub(super) tasks: Tasks,
    pub(super) permits: Permits,
    pub(super) history: History,
    pub(super) work: Work,
}

impl Work {
    /// Most items are quick, some take up to `longest`, and some fail.
    pub(super) fn new(rng: fastrand::Rng, longest: Duration) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Drawn { rng, longest })),
        }
    }

    /// From here on all items are quick.
    pub(super) fn calm_down(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).longest = Duration::ZERO;
    }

    fn draw(&self) -> (Duration, bool) {
        let mut drawn = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Drawn { rng, longest } = &mut *drawn;
        let share = rng.f64();
        let time = match rng.u8(..10) {
            0..6 => Duration::from_millis(rng.u64(..20)),
            6..8 => longest.mul_f64(share / 5.0),
            _ => longest.mul_f64(share),
        };
        (time, rng.u8(..10) == 0)
    }
}

impl Runner for SimulatedRunner {
    fn launch(&self, launch: Launch) {
        let Launch {
            start,
            fence,
            cancellation,
            finished,
            ..
        } = launch;
        let live = self
            .history
            .launched(self.machine, &self.job, &start, self.is_monitored);
        let (time, fails) = self.work.draw();
        let item = Item {
            permits: self.permits.clone(),
            fence,
            stop: cancellation,
            tasks: self.tasks.clone(),
            grace: Duration::ZERO,
        };
        let history = self.history.clone();
        self.tasks.spawn("item", async move {
            let live = Arc::new(live);
            let watched = Arc::clone(&live);
            let ended = run_item(item, move |_| {
                let inner = steps(time, fails).boxed();
                Box::pin(Watched { inner, live: watched })
            })
            .await;
            let end = concluded(&ended.outcome);
            match Arc::into_inner(live) {
                Some(live) => live.end(&ended.outcome.to_string()),
                None => history.violation("a run is over, and its future lives on"),
            }
            // The worker may be gone.
            let _ = finished.send(Box::new(Finished {
                item: start.item,
                run: start.run.id,
                attempt: start.run.attempt,
                is_fenced: matches!(ended.outcome, Outcome::Cancelled(Stopped::Fenced)),
                end,
                is_abort: false,
            }));
        });
    }

    fn configure(&self, _config: &JobConfig) -> Result<(), String> {
        Ok(())
    }

    fn report(&self, _fault: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        false
    }
}

async fn steps(time: Duration, fails: bool) -> Result<(), BoxError> {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(STEP);
        tokio::time::sleep(step).await;
        left -= step;
    }
    if fails { Err("drawn to fail".into()) } else { Ok(()) }
}

fn concluded(outcome: &Outcome) -> End {
    let verdict = match outcome {
        Outcome::Succeeded => Verdict::Succeeded,
        Outcome::Failed(_) | Outcome::Panicked(_) => Verdict::Failed,
        Outcome::Cancelled(_) => Verdict::Cancelled,
    };
    match verdict {
        Verdict::Succeeded => End::new(verdict),
        _ => End::because(verdict, outcome.to_string()),
    }
}

/// Tells the history of each poll.
struct Watched {
    inner: BoxFuture<'static, Result<(), BoxError>>,
    live: Arc<LiveRun>,
}

impl Future for Watched {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.live.polled();
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for SimulatedRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedRunner")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}
