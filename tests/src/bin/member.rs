//! An ordinary application of the framework, as one of several processes that share jobs.
//!
//! Its configuration comes from where any application's does. `MEMBER_HISTORY` names the file that its items write
//! to, `MEMBER_WORK` says how long they work, with `MEMBER_REPORTS` they report their progress, `MEMBER_LISTENS` says how long its listeners take; with `MEMBER_STREAM` there is a job
//! that streams; with `MEMBER_HAS_ONE_THREAD` its runtime has one thread. It obeys a few commands on its standard input, answers on its standard
//! output, and ends when the input does, which is when its parent process is gone.

use std::io::BufRead as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use elasticjob::executor::{ExecutorServiceHandler, Pool};
use elasticjob::prelude::*;
use elasticjob::property::{Accepts, Properties, Reader, accept};
use elasticjob::sharding::{Assignment, ShardingRequest, ShardingStrategy};
use elasticjob_tests::command::{Answer, Command};
use elasticjob_tests::hearing::Ears;
use elasticjob_tests::history::Journal;
use elasticjob_tests::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How often a run shows that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_millis(50);

/// How an item works.
struct Work {
    time: Duration,
    /// Whether it reports its progress at each sign of life.
    reports: bool,
}

/// Ten items that take their time.
#[elastic_job(cron = "0/2 * * * * ?", time_zone = "GMT", sharding = 10)]
async fn share(shard: ShardingContext, journal: Component<Journal>, work: Component<Work>) {
    let recorder = journal.begin(&shard);
    let begun = Instant::now();
    let end = begun + work.time;
    while Instant::now() < end {
        if work.reports {
            let fraction = begun.elapsed().div_duration_f64(work.time);
            shard.progress(fraction, &format!("{:?} 已过", begun.elapsed()));
        }
        sleep_until(end.min(Instant::now() + SIGN_OF_LIFE)).await;
        recorder.go_on();
    }
    recorder.finish();
}

/// Runs when asked to. Of three items one succeeds, one fails, one panics.
#[elastic_job(sharding = 6)]
async fn rebuild(shard: ShardingContext, journal: Component<Journal>) -> anyhow::Result<()> {
    journal.begin(&shard).finish();
    match shard.sharding_item() % 3 {
        0 => Ok(()),
        1 => anyhow::bail!("no disk for item {}", shard.sharding_item()),
        _ => panic!("no memory for item {}", shard.sharding_item()),
    }
}

/// All items go to the greatest instance, where the number of instances is odd.
#[derive(Default)]
struct Odd;

#[sharding_strategy(name = "ODD")]
impl ShardingStrategy for Odd {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        let count = request.instances().len();
        assert!(count % 2 == 1, "no idea of {count}");
        Assignment::from_fn(request, |_| Some(0))
    }
}

/// How long a listener takes.
struct Pause(Duration);

/// A listener that is called on each instance.
#[derive(Inject)]
struct Each {
    ears: Component<Ears>,
    pause: Component<Pause>,
}

#[job_listener(name = "EACH")]
impl JobListener for Each {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        self.ears.hear("EACH", "before", firing, self.pause.0).await;
        Ok(())
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        self.ears.hear("EACH", "after", firing, self.pause.0).await;
        Ok(())
    }
}

/// A listener that is called once in the cluster.
#[derive(Inject)]
struct Once {
    ears: Component<Ears>,
    pause: Component<Pause>,
}

#[job_listener(name = "ONCE")]
impl DistributeOnceJobListener for Once {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        self.ears.hear("ONCE", "before", firing, self.pause.0).await;
        Ok(())
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        self.ears.hear("ONCE", "after", firing, self.pause.0).await;
        Ok(())
    }
}

/// What jobs of type `NOTE` are to log.
struct Words(String);

impl Properties for Words {
    const PREFIXES: &'static [&'static str] = &["note."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.required("note.text", &accept::TEXT).map(Self)
    }
}

/// Jobs of type `NOTE` log something.
#[derive(Default)]
struct Note;

#[job_executor(name = "NOTE")]
impl JobExecutor for Note {
    type Properties = Words;

    async fn execute(&self, run: &RunContext, words: &Words) -> Result<(), BoxError> {
        tracing::info!(item = run.sharding().sharding_item(), words = words.0, "noted");
        Ok(())
    }
}

/// How jobs of type `STUCK` never end.
enum How {
    Blocking,
    Polling,
}

impl Properties for How {
    const PREFIXES: &'static [&'static str] = &["stuck."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        const HOW: Accepts<How> = Accepts::new("`blocking` or `polling`", |text| match text {
            "blocking" => Some(How::Blocking),
            "polling" => Some(How::Polling),
            _ => None,
        });
        reader.required("stuck.how", &HOW)
    }
}

/// Blocks its thread, and never returns.
fn park_for_ever() {
    loop {
        std::thread::park();
    }
}

/// Jobs of type `STUCK` never end, even if they are cancelled.
#[derive(Default)]
struct Stuck;

#[job_executor(name = "STUCK")]
impl JobExecutor for Stuck {
    type Properties = How;

    async fn execute(&self, run: &RunContext, how: &How) -> Result<(), BoxError> {
        match how {
            How::Blocking => run.run_blocking(park_for_ever).await?,
            How::Polling => park_for_ever(),
        }
        Ok(())
    }
}

/// Two items at once.
#[derive(Default)]
struct Pair;

#[executor_service_handler(name = "PAIR")]
impl ExecutorServiceHandler for Pair {
    fn pool(&self, _job_name: &str) -> Pool {
        Pool::of(2.try_into().expect("not zero"))
    }
}

fn main() -> anyhow::Result<()> {
    let mut runtime = match std::env::var_os("MEMBER_HAS_ONE_THREAD") {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.worker_threads(2).enable_all().build()?.block_on(member())
}

async fn member() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let commands = commands();
    let ready = builder()?.build()?;
    if std::env::var_os("MEMBER_OBEYS").is_none() {
        return Ok(ready.run().await?);
    }
    obey(ready.start().await?, commands).await
}

/// Returns the application; `MEMBER_FLAW` is what is wrong with it.
fn builder() -> anyhow::Result<elasticjob::starter::Builder> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let history = variable("MEMBER_HISTORY")?;
    let journal = Journal::open(Path::new(&history))?;
    let pause = std::env::var("MEMBER_LISTENS").map_or(Ok(0), |pause| pause.parse())?;
    let work = Work {
        time: Duration::from_millis(variable("MEMBER_WORK")?.parse()?),
        reports: std::env::var("MEMBER_REPORTS").is_ok(),
    };
    let mut builder = ElasticJob::builder()
        .component(journal)
        .component(Ears::open(Path::new(&history))?)
        .component(Pause(Duration::from_millis(pause)));
    if let Ok(file) = variable("MEMBER_STREAM") {
        builder = builder.job(stream::job(Path::new(&file))?);
    }
    Ok(match std::env::var("MEMBER_FLAW").as_deref() {
        Err(_) => builder.component(work),
        Ok("no-component") => builder,
        Ok("no-job") => builder.without_discovery(),
        Ok("twins") => builder.component(work).job(job("share", async || {})),
        Ok(other) => anyhow::bail!("unknown flaw {other}"),
    })
}

/// Returns the commands on the standard input. Its end is ours.
fn commands() -> mpsc::Receiver<Command> {
    let (sender, commands) = mpsc::channel(1);
    // A thread, since a read of the standard input would keep the runtime from ending.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let command = line
                .context("no input")
                .and_then(|line| Ok(serde_json::from_str(&line)?));
            // The receiver is gone if the application only runs.
            let _ = sender.blocking_send(command.expect("the parent process sends known commands"));
        }
        std::process::exit(70);
    });
    commands
}

async fn obey(running: ElasticJob, mut commands: mpsc::Receiver<Command>) -> anyhow::Result<()> {
    loop {
        let command = tokio::select! {
            stopped = running.stopped() => return Ok(stopped?),
            command = commands.recv() => command.context("the input is over")?,
        };
        let answer = match command {
            Command::IsReady => Answer::Ready(running.is_ready()),
            Command::Execute { job, timeout } => execute(&running, &job, timeout).await,
        };
        println!("{}", serde_json::to_string(&answer)?);
    }
}

async fn execute(running: &ElasticJob, job: &str, timeout: Duration) -> Answer {
    let execution = async { running.one_off_named(job)?.execute_and_wait(timeout).await };
    match execution.await {
        Ok(execution) => {
            let outcomes = execution.items.iter();
            Answer::Executed(
                outcomes
                    .map(|(item, outcome)| (*item, format!("{outcome:?}")))
                    .collect(),
            )
        }
        Err(error) => Answer::Refused(format!("{error:?}")),
    }
}
