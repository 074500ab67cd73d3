//! The application that is hurt: an ordinary one, of three jobs that write down what they do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use elasticjob::ElasticJob;
use elasticjob::executor::Pool;
use elasticjob::job::{Registration, ShardingContext, job};
use elasticjob::starter::stop_signal;
use elasticjob::testing::leave_out_for_good;
use elasticjob::trace::{Events, Lagged};
use jiff::SignedDuration;
use tokio::time::{Instant, sleep_until};

use crate::history::{Journal, since_boot};
use crate::lines::Appender;

use super::fact::{Fact, What};

/// In the environment of a process that is to be a member.
pub const MEMBER: &str = "CHAOS_MEMBER";

/// Where members write what they hear of scheduled times.
pub(super) const FACTS: &str = "CHAOS_FACTS";

/// A file that is there while all is to be calm.
pub(super) const CALM: &str = "CHAOS_CALM";

/// The number of items of the largest job.
pub(super) const ITEMS: &str = "CHAOS_ITEMS";

/// The rule of the protocol that is left out.
pub(super) const LEAVE_OUT: &str = "CHAOS_LEAVE_OUT";

/// As many items of a job as an instance runs at once.
const POOL: &str = "SIXTEEN";

/// How often a run shows that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_millis(50);

/// How long items may take to end when the process is stopped.
const GRACE: Duration = Duration::from_secs(3);

/// What a job of the application is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobPlan {
    /// Its name.
    pub name: &'static str,
    /// Into how many items it is divided.
    pub items: u32,
    /// Seconds between two scheduled times.
    pub period: i32,
    /// Whether items of instances that died are run again.
    pub failover: bool,
    /// The shortest and the longest that an item usually works.
    work: (Duration, Duration),
    /// Of so many runs one works for very long.
    lasting: u64,
}

/// How often an item is tried at one time.
pub const ATTEMPTS: u32 = 3;

/// Longer than a session outlives its process, and than a process that is cut off believes in its session.
const VERY_LONG: Duration = Duration::from_secs(8);

/// Of so many runs one fails.
const FAILING: u64 = 25;

impl JobPlan {
    /// Returns the jobs there are; the first, of so many items, is the busiest.
    #[must_use]
    pub fn all(items: u32) -> [Self; 3] {
        let milliseconds = |from, to| (Duration::from_millis(from), Duration::from_millis(to));
        [
            Self {
                name: "busy",
                items,
                period: 2,
                failover: true,
                work: milliseconds(50, 400),
                lasting: 400,
            },
            Self {
                name: "long",
                items: 10,
                period: 5,
                failover: true,
                work: milliseconds(1_000, 6_000),
                lasting: 4,
            },
            Self {
                name: "plain",
                items: 8,
                period: 3,
                failover: false,
                work: milliseconds(100, 1_500),
                lasting: 40,
            },
        ]
    }

    /// Returns the time between two scheduled times.
    #[must_use]
    pub fn period(&self) -> SignedDuration {
        SignedDuration::from_secs(self.period.into())
    }

    fn registration(self, site: Arc<Site>) -> Registration {
        let work = move |shard: ShardingContext| {
            let site = Arc::clone(&site);
            async move { self.work(&site, &shard).await }
        };
        job(self.name, work)
            .cron(&format!("0/{} * * * * ?", self.period))
            .sharding(self.items)
            .set("time-zone", "GMT")
            .set("failover", self.failover)
            .set("misfire", true)
            .set("job-executor-service-handler-type", POOL)
            .set("props.elasticjob.failover-attempts", ATTEMPTS)
    }

    async fn work(self, site: &Site, shard: &ShardingContext) -> anyhow::Result<()> {
        let recorder = site.journal.begin(shard);
        let mut rng = draw(shard);
        let (shortest, longest) = self.work;
        let is_lasting = rng.u64(..self.lasting) == 0;
        let is_failing = rng.u64(..FAILING) == 0;
        let time = shortest + (longest - shortest).mul_f64(rng.f64());
        let time = if site.calm.exists() {
            shortest.min(time)
        } else if is_lasting {
            VERY_LONG
        } else {
            time
        };
        let end = Instant::now() + time;
        while Instant::now() < end {
            sleep_until(end.min(Instant::now() + SIGN_OF_LIFE)).await;
            recorder.go_on();
        }
        recorder.finish();
        anyhow::ensure!(!is_failing, "it fails now and then");
        Ok(())
    }
}

/// Returns the same in each attempt, so that an instance that takes a long run over has a long run to do.
fn draw(shard: &ShardingContext) -> fastrand::Rng {
    let mut hasher = DefaultHasher::new();
    (shard.job_name(), shard.sharding_item(), shard.scheduled_time()).hash(&mut hasher);
    fastrand::Rng::with_seed(hasher.finish())
}

/// What the jobs share.
struct Site {
    journal: Journal,
    calm: PathBuf,
}

/// Runs the application until it is stopped, as the environment of this process says.
///
/// # Errors
/// When it does not start, or cannot be stopped well.
pub fn run() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    end_with_the_input();
    if let Ok(rule) = std::env::var(LEAVE_OUT) {
        leave_out_for_good(rule.parse()?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve())
}

async fn serve() -> anyhow::Result<()> {
    let site = Arc::new(Site {
        journal: Journal::open(Path::new(&variable::<String>("MEMBER_HISTORY")?))?,
        calm: variable(CALM)?,
    });
    let facts = Appender::open(Path::new(&variable::<String>(FACTS)?))?;
    let mut builder = ElasticJob::builder()
        .without_discovery()
        .pool(POOL, Pool::of(16.try_into().expect("it is not zero")));
    for plan in JobPlan::all(variable(ITEMS)?) {
        builder = builder.job(plan.registration(Arc::clone(&site)));
    }
    let mut stop = pin!(stop_signal());
    let running = tokio::select! {
        biased;
        // First, so that we listen before anything starts.
        () = &mut stop => return Ok(()),
        running = builder.build()?.start() => running?,
    };
    let mut listening = pin!(write_down(running.events(), facts));
    tokio::select! {
        () = &mut listening => anyhow::bail!("the events ended before the application"),
        stopped = running.stopped() => return Ok(stopped?),
        () = stop => {}
    }
    tokio::select! {
        () = listening => anyhow::bail!("the events ended before the application"),
        () = running.shutdown(GRACE) => Ok(()),
    }
}

/// Until the application has stopped.
async fn write_down(mut events: Events, facts: Appender) {
    loop {
        match events.next().await {
            Ok(Some(event)) => {
                let at = since_boot();
                if let Some((job, item, what)) = What::of_event(event) {
                    facts.append(&Fact { at, job, item, what });
                }
            }
            Ok(None) => return,
            // The ledger tells of them as well.
            Err(Lagged(_)) => {}
        }
    }
}

fn variable<T: FromStr>(name: &str) -> anyhow::Result<T>
where
    T::Err: Into<anyhow::Error>,
{
    let text = std::env::var(name).with_context(|| format!("{name} is not set"))?;
    text.parse()
        .map_err(Into::into)
        .with_context(|| format!("{name} is `{text}`"))
}

/// Ends the process when its standard input is closed: the parent process keeps that open as long as it lives.
fn end_with_the_input() {
    std::thread::spawn(|| {
        // Whether it ends well or not, it is over.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(70);
    });
}
