//! The job of a simulation that draws everything: items that take some time, block, and fail now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::erased::BoxFuture;
use crate::job::{ErasedJob, Outcome, RunContext, ShardingContext};

use super::history::{History, LiveRun};
use super::threads::sleep_blocking;

/// Between two polls of an item that takes time.
const STEP: Duration = Duration::from_millis(100);

/// What the items of one job do. Clones are the same.
#[derive(Clone)]
pub(super) struct Work {
    history: History,
    /// A std mutex: never held across an await.
    drawn: Arc<Mutex<Drawn>>,
}

/// The source that the course of each run is drawn from, and the bounds of it.
struct Drawn {
    rng: fastrand::Rng,
    longest: Duration,
    /// No run takes less time.
    least: Duration,
    /// Whether the items are blocking functions.
    blocks: bool,
    /// Whether runs report their progress.
    reports: bool,
    /// The item, and when it is due, that takes so long although all are quick.
    slow: Option<(u32, i64, Duration)>,
}

/// How one run goes.
struct Course {
    time: Duration,
    fails: bool,
    /// Whether blocking work looks if it should end.
    listens: bool,
}

impl Work {
    /// Most items are quick, some take up to `longest`, and some fail.
    pub(super) fn new(history: History, rng: fastrand::Rng, longest: Duration, blocks: bool) -> Self {
        let drawn = Drawn {
            rng,
            longest,
            least: Duration::ZERO,
            blocks,
            reports: false,
            slow: None,
        };
        Self {
            history,
            drawn: Arc::new(Mutex::new(drawn)),
        }
    }

    /// Runs report their progress from now on.
    pub(super) fn report_progress(&self) {
        self.drawn().reports = true;
    }

    /// No run takes less time than this from now on.
    pub(super) fn take_at_least(&self, time: Duration) {
        self.drawn().least = time;
    }

    /// From here on all items are quick, and blocking work comes to its end.
    pub(super) fn calm_down(&self) {
        let mut drawn = self.drawn();
        drawn.longest = Duration::ZERO;
        drawn.least = Duration::ZERO;
        drawn.blocks = false;
    }

    /// The run of this item that is due then, in milliseconds since 1970, takes that long.
    pub(super) fn slow_down(&self, item: u32, due: i64, time: Duration) {
        self.drawn().slow = Some((item, due, time));
    }

    /// Returns how long a hook of a listener takes now, and whether it fails.
    pub(super) fn hook(&self) -> (Duration, bool) {
        let Drawn { rng, longest, .. } = &mut *self.drawn();
        let time = match rng.u8(..4) {
            0 => Duration::from_secs(1).min(*longest).mul_f64(rng.f64()),
            _ => Duration::from_millis(rng.u64(..20)),
        };
        (time, rng.u8(..10) == 0)
    }

    fn is_calm(&self) -> bool {
        self.drawn().longest.is_zero()
    }

    fn course(&self, item: u32, due: i64) -> Course {
        let mut drawn = self.drawn();
        if let Some((slow_item, slow_due, time)) = drawn.slow
            && (slow_item, slow_due) == (item, due)
        {
            return Course {
                time,
                fails: false,
                listens: true,
            };
        }
        let Drawn {
            rng, longest, least, ..
        } = &mut *drawn;
        let share = rng.f64();
        let time = match rng.u8(..10) {
            0..6 => Duration::from_millis(rng.u64(..20)),
            6..8 => longest.mul_f64(share / 5.0),
            _ => longest.mul_f64(share),
        };
        Course {
            time: time.max(*least),
            fails: rng.u8(..10) == 0,
            listens: rng.bool(),
        }
    }

    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ErasedJob for Work {
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome> {
        let shard = run.sharding();
        let course = self.course(shard.sharding_item(), shard.scheduled_time().as_millisecond());
        let live = self.history.live(shard.run_id(), shard.attempt());
        let (blocks, reports) = {
            let drawn = self.drawn();
            (drawn.blocks, drawn.reports)
        };
        let reporting = reports.then(|| shard.clone());
        let work = self.clone();
        Box::pin(async move {
            let fails = course.fails;
            match live.filter(|_| blocks) {
                Some(live) => {
                    live.blocks();
                    let cancellation = run.cancellation().clone();
                    run.run_blocking(move || block(&course, &work, &live, &cancellation))
                        .await?;
                }
                None => take(course.time, reporting.as_ref()).await,
            }
            if fails { Err("drawn to fail".into()) } else { Ok(()) }
        })
    }
}

async fn take(time: Duration, reporting: Option<&ShardingContext>) {
    let mut left = time;
    while !left.is_zero() {
        if let Some(shard) = reporting {
            shard.progress(1.0 - left.div_duration_f64(time), "a step");
        }
        let step = left.min(STEP);
        tokio::time::sleep(step).await;
        left -= step;
    }
}

/// Writes to the item's resource at each step, until that refuses.
fn block(course: &Course, work: &Work, live: &LiveRun, cancellation: &CancellationToken) {
    let mut left = course.time;
    loop {
        let is_cancelled = course.listens && cancellation.is_cancelled();
        if is_cancelled || !live.writes() || left.is_zero() || work.is_calm() {
            return;
        }
        let step = left.min(STEP);
        sleep_blocking(step);
        left -= step;
    }
}
