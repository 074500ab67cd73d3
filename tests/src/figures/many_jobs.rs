//! 10,000 jobs in one process, on the embedded registry.

use std::sync::Arc;
use std::time::Duration;

use elasticjob::ElasticJob;
use elasticjob::job::{Registration, ShardingContext, job};
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::schedule::{Clock, SystemClock};
use elasticjob::starter::Builder;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::lateness::Lateness;
use super::{print, process, runtime};

const JOBS: u32 = 10_000;

/// Applications that the jobs are spread over, each with a clock of its own, so that as many groups of jobs fire one
/// after the other within each second: cron knows whole seconds only. Of few phases each is a burst of many jobs.
const PHASES: [u32; 2] = [100, 1_000];

/// Before a measurement: the second in which all were started is not like the others.
const SETTLE: Duration = Duration::from_secs(3);

const MEASURE: Duration = Duration::from_secs(10);

const GRACE: Duration = Duration::from_secs(5);

pub(super) fn measure() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        few_threads().await?;
        at_once().await?;
        for phases in PHASES {
            spread(phases).await?;
        }
        Ok(())
    })
}

async fn few_threads() -> anyhow::Result<()> {
    let lateness = Arc::new(Lateness::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let running = application(&clock)
        .job(every_second("only".to_owned(), &clock, &lateness))
        .build()?
        .start()
        .await?;
    sleep(SETTLE).await;
    print("threads, 1 job", process::threads()?, "threads");
    print("memory, 1 job", megabytes(process::resident_memory()?), "MB");
    running.shutdown(GRACE).await;
    Ok(())
}

/// All are due in the same instant, second after second.
async fn at_once() -> anyhow::Result<()> {
    let lateness = Arc::new(Lateness::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let begin = Instant::now();
    let jobs = (0..JOBS).map(|number| every_second(format!("job-{number}"), &clock, &lateness));
    let ready = jobs.fold(application(&clock), Builder::job).build()?;
    print(format!("check of {JOBS} jobs"), seconds(begin.elapsed()), "s");
    let running = ready.start().await?;
    print(
        format!("start of {JOBS} jobs, check included"),
        seconds(begin.elapsed()),
        "s",
    );
    sleep(SETTLE).await;
    firings("all at one instant", &lateness).await;
    print(format!("threads, {JOBS} jobs"), process::threads()?, "threads");
    print(
        format!("memory, {JOBS} jobs"),
        megabytes(process::resident_memory()?),
        "MB",
    );
    print(
        format!("memory at most, {JOBS} jobs"),
        megabytes(process::peak_memory()?),
        "MB",
    );
    running.shutdown(GRACE).await;
    Ok(())
}

/// As many a second, but not in the same instant.
async fn spread(phases: u32) -> anyhow::Result<()> {
    let lateness = Arc::new(Lateness::new());
    let registry = Arc::new(MemoryRegistry::new());
    let mut all = Vec::new();
    for phase in 0..phases {
        let clock: Arc<dyn Clock> = Arc::new(Shifted::by(Duration::from_secs(1) * phase / phases));
        let jobs = (0..JOBS / phases).map(|number| every_second(format!("job-{phase}-{number}"), &clock, &lateness));
        let builder = application(&clock).registry(Arc::clone(&registry) as _);
        all.push(jobs.fold(builder, Builder::job).build()?.start().await?);
    }
    sleep(SETTLE).await;
    firings(&format!("{} at one instant", JOBS / phases), &lateness).await;
    for running in all {
        running.shutdown(GRACE).await;
    }
    Ok(())
}

fn application(clock: &Arc<dyn Clock>) -> Builder {
    ElasticJob::builder()
        .without_discovery()
        .environment([])
        .clock(Arc::clone(clock))
}

fn every_second(name: String, clock: &Arc<dyn Clock>, lateness: &Arc<Lateness>) -> Registration {
    let (clock, lateness) = (Arc::clone(clock), Arc::clone(lateness));
    let note = move |shard: ShardingContext| {
        lateness.note(shard.scheduled_time(), clock.now());
        std::future::ready(())
    };
    job(name, note).cron("* * * * * ?").set("time-zone", "UTC").sharding(1)
}

/// Watches the firings of some seconds.
async fn firings(name: &str, lateness: &Lateness) {
    lateness.take();
    let busy_before = process::processor_time();
    sleep(MEASURE).await;
    let busy = process::processor_time().saturating_sub(busy_before);
    let summary = lateness.take();
    let each = busy.as_micros() as f64 / summary.count as f64;
    let rate = summary.count as f64 / MEASURE.as_secs_f64();
    print(format!("{name}: firings"), format!("{rate:.0}"), "/s");
    print(
        format!("{name}: processor time of a firing"),
        format!("{each:.0}"),
        "us",
    );
    print(format!("{name}: lateness p50"), milliseconds(summary.median), "ms");
    print(format!("{name}: lateness p99"), milliseconds(summary.p99), "ms");
    print(format!("{name}: lateness at most"), milliseconds(summary.longest), "ms");
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// The machine's clock, set otherwise.
#[derive(Debug)]
struct Shifted {
    clock: SystemClock,
    by: SignedDuration,
}

impl Shifted {
    fn by(by: Duration) -> Self {
        Self {
            clock: SystemClock::new(),
            by: SignedDuration::try_from(by).unwrap_or_default(),
        }
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        self.clock.now() + self.by
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn jumps(&self) -> watch::Receiver<u64> {
        self.clock.jumps()
    }
}
