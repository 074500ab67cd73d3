//! Code of the application that panics, wherever the framework calls it: each time the item ends, with a verdict, and the
//! job runs again.
//!
//! What a panic hook prints of them is captured by the test harness.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::panic::panic_any;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use elasticjob::error_handler::{
    ErrorHandlerFactory, Failure, ForJob, JobErrorHandler, Notice, Notifier, Reaction, Undelivered,
};
use elasticjob::executor::{ExecutorServiceHandler, JobExecutor, Pool};
use elasticjob::job::Start;
use elasticjob::operation::Operations;
use elasticjob::prelude::*;
use elasticjob::property::{Properties, Reader, accept};
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::starter::{Builder, ItemOutcome};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Panics when it is dropped, with a payload that does so, too.
struct FailsWhenDropped;

impl Drop for FailsWhenDropped {
    fn drop(&mut self) {
        panic_any(FailsWhenDropped);
    }
}

/// An error that panics in each of its methods.
struct Hostile(#[allow(dead_code, reason = "it is dropped")] FailsWhenDropped);

impl fmt::Display for Hostile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(FailsWhenDropped)
    }
}

impl fmt::Debug for Hostile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(FailsWhenDropped)
    }
}

impl StdError for Hostile {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        panic_any(FailsWhenDropped)
    }
}

fn hostile() -> BoxError {
    Box::new(Hostile(FailsWhenDropped))
}

/// An error that leads back to itself.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("round and round")
    }
}

impl StdError for Endless {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self)
    }
}

/// Whether what is parsed may panic: the checks at start are over.
static IS_RUNNING: AtomicBool = AtomicBool::new(false);

fn parsed<T>(value: T) -> T {
    if IS_RUNNING.load(Ordering::Relaxed) {
        panic_any(FailsWhenDropped)
    } else {
        value
    }
}

struct Batch;

impl FromStr for Batch {
    type Err = std::num::ParseIntError;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(parsed(Self))
    }
}

#[derive(serde::Deserialize)]
struct Limits {
    #[serde(rename = "batch", deserialize_with = "batch")]
    _batch: Option<u32>,
}

fn batch<'de, D: serde::Deserializer<'de>>(_: D) -> Result<Option<u32>, D::Error> {
    Ok(parsed(None))
}

struct Extracted;

impl FromRun for Extracted {
    fn from_run(_: &RunContext) -> Result<Self, BoxError> {
        panic_any(FailsWhenDropped)
    }
}

struct Type;

impl JobExecutor for Type {
    type Properties = ();

    async fn execute(&self, _: &RunContext, (): &()) -> Result<(), BoxError> {
        Err(hostile())
    }
}

struct Handler;

impl JobErrorHandler for Handler {
    fn handle(&self, _: &Failure<'_>) -> Reaction {
        panic_any(FailsWhenDropped)
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        panic!("a handler that is dropped");
    }
}

struct HostileNotifier;

impl Notifier for HostileNotifier {
    fn notify(&self, notice: &Notice) -> impl Future<Output = Result<(), Undelivered>> + Send {
        let is_first = notice.count() == 1;
        if is_first {
            panic_any(FailsWhenDropped);
        }
        async { Err(hostile().into()) }
    }
}

struct Listens;

impl JobListener for Listens {
    async fn before(&self, _: &Firing) -> Result<(), BoxError> {
        Err(hostile())
    }

    fn after(&self, _: &Firing) -> impl Future<Output = Result<(), BoxError>> + Send {
        let is_a_panic = true;
        if is_a_panic {
            panic_any(FailsWhenDropped);
        }
        async { Ok(()) }
    }
}

struct ListensOnce;

impl DistributeOnceJobListener for ListensOnce {
    async fn before(&self, _: &Firing) -> Result<(), BoxError> {
        panic_any(FailsWhenDropped)
    }

    async fn after(&self, _: &Firing) -> Result<(), BoxError> {
        Err(hostile())
    }
}

struct Traces;

impl TraceListener for Traces {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        Err(hostile())
    }
}

struct TracesNever;

impl TraceListener for TracesNever {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        panic_any(FailsWhenDropped)
    }
}

fn builder() -> Builder {
    ElasticJob::builder()
        .without_discovery()
        .environment([])
        .registry(Arc::new(MemoryRegistry::new()))
}

/// Every call of a run into code of the application, as a job that panics in it, and what its run is then.
#[expect(clippy::too_many_lines, reason = "a list")]
fn calls() -> Vec<(elasticjob::job::Registration, &'static str)> {
    let fails = |name: &str| job(name, async || Err::<(), _>(hostile())).sharding(1);
    let succeeds = |name: &str| job(name, async || {}).sharding(1);
    let text = "`Display` panicked";
    vec![
        (fails("error"), text),
        (
            job("error, tried again", async || Err::<(), _>(hostile()))
                .sharding(1)
                .set("props.elasticjob.retry", 2)
                .set("props.elasticjob.retry.backoff", "1ms"),
            "tried 3 times",
        ),
        (
            job("endless error", async || Err::<(), _>(Endless))
                .sharding(1)
                .set("props.elasticjob.retry", 1)
                .set("props.elasticjob.retry.backoff", "1ms"),
            "round and round",
        ),
        (
            job("payload", async || -> () { panic_any(FailsWhenDropped) }).sharding(1),
            "panicked",
        ),
        (
            job("call of the closure", || -> std::future::Ready<()> {
                panic_any(FailsWhenDropped)
            })
            .sharding(1),
            "panicked",
        ),
        (
            job("future that is dropped", || {
                let held = FailsWhenDropped;
                poll_fn(move |_| {
                    let _keeps = &held;
                    Poll::Ready(())
                })
            })
            .sharding(1),
            "panicked",
        ),
        (
            job("future that times out", async || {
                let _held = FailsWhenDropped;
                std::future::pending::<()>().await;
            })
            .sharding(1)
            .set("props.elasticjob.timeout", "10ms"),
            "panicked",
        ),
        (
            job("blocking work", async |run: RunContext| {
                run.run_blocking(|| -> () { panic_any(FailsWhenDropped) }).await
            })
            .sharding(1),
            "the blocking function panicked",
        ),
        (
            job("result of blocking work", async |run: RunContext| {
                let result = run.run_blocking(|| FailsWhenDropped).await;
                drop(result);
            })
            .sharding(1),
            "panicked",
        ),
        (job("extractor", async |_: Extracted| {}).sharding(1), "panicked"),
        (
            job("parameter", async |_: JobParameter<Batch>| {})
                .sharding(1)
                .parameter("7"),
            "panicked",
        ),
        (
            job("props", async |_: Props<Limits>| {})
                .sharding(1)
                .set("props.batch", "7"),
            "panicked",
        ),
        (
            dataflow(
                "fetch",
                async || -> Result<Vec<u32>, BoxError> { panic_any(FailsWhenDropped) },
                async |_: Vec<u32>| {},
            )
            .sharding(1),
            "panicked",
        ),
        (
            dataflow(
                "process",
                async || Ok::<_, BoxError>(vec![1]),
                async |_: Vec<u32>| Err::<(), _>(hostile()),
            )
            .sharding(1),
            text,
        ),
        (fails("error handler").set("job-error-handler-type", "HANDLER"), text),
        (
            fails("notifier")
                .set("job-error-handler-type", "HOSTILE")
                .set("props.notify.interval", "0"),
            text,
        ),
        (succeeds("listener").set("job-listener-types", "LISTENS"), ""),
        (
            succeeds("distribute-once listener").set("job-listener-types", "ONCE"),
            "",
        ),
    ]
}

mod every_call {
    use super::*;

    #[tokio::test]
    async fn ends_its_item_each_time() -> anyhow::Result<()> {
        let calls = calls();
        let mut expected: Vec<(String, &str)> =
            calls.iter().map(|(job, text)| (job.name().to_owned(), *text)).collect();
        expected.push(("type".to_owned(), "`Display` panicked"));
        let mut builder = builder()
            .job_executor("TYPE", Type)
            .error_handler("HANDLER", Handler)
            .notifier("HOSTILE", HostileNotifier)
            .job_listener("LISTENS", Listens)
            .distribute_once_job_listener("ONCE", ListensOnce)
            .trace_listener("TRACES", Traces)
            .trace_listener("TRACES_NEVER", TracesNever)
            .component(FailsWhenDropped)
            .set("jobs.type.elastic-job-type", "TYPE")
            .set("jobs.type.sharding-total-count", "1");
        for (job, _) in calls {
            builder = builder.job(job);
        }
        let running = builder.build()?.start().await?;
        running.ready().await?;
        IS_RUNNING.store(true, Ordering::Relaxed);
        for round in 1..=2 {
            for (name, text) in &expected {
                let execution = running.one_off_named(name)?.execute_and_wait(PATIENCE).await?;
                match &execution.items[&0] {
                    ItemOutcome::Succeeded => assert_eq!(*text, "", "{name}, round {round}"),
                    ItemOutcome::Failed { cause } => {
                        assert!(
                            !text.is_empty() && cause.contains(text),
                            "{name}, round {round}: {cause}"
                        );
                    }
                    other => panic!("{name}, round {round}: {other:?}"),
                }
            }
        }
        for listener in running.trace_listeners() {
            assert!(listener.failed > 0, "{listener:?}");
        }
        assert!(running.health().is_ready);
        running.shutdown(Duration::from_secs(5)).await;
        Ok(())
    }
}

mod at_start {
    use super::*;

    #[derive(Debug)]
    struct Unready;

    impl Default for Unready {
        fn default() -> Self {
            panic_any(FailsWhenDropped)
        }
    }

    #[elastic_job(sharding = 1)]
    impl SimpleJob for Unready {
        async fn execute(&self, _: &ShardingContext) -> Result<(), BoxError> {
            Ok(())
        }
    }

    struct Checked;

    impl FromRun for Checked {
        fn from_run(_: &RunContext) -> Result<Self, BoxError> {
            Ok(Self)
        }

        fn check(start: &mut Start<'_>) {
            start.fault(Hostile(FailsWhenDropped));
            panic!("in the check");
        }
    }

    struct Unread;

    impl Properties for Unread {
        const PREFIXES: &'static [&'static str] = &["unread."];

        fn read(_: &mut Reader<'_>) -> Option<Self> {
            panic!("in the reader")
        }
    }

    struct TypeWithProps;

    impl JobExecutor for TypeWithProps {
        type Properties = Unread;

        async fn execute(&self, _: &RunContext, _: &Unread) -> Result<(), BoxError> {
            Ok(())
        }
    }

    struct NoPool;

    impl ExecutorServiceHandler for NoPool {
        fn pool(&self, _: &str) -> Pool {
            panic!("in the pool")
        }
    }

    #[test]
    fn is_a_fault_beside_the_others() {
        let refused = builder()
            .register::<Unready>()
            .job(job("checked", async |_: Checked| {}).sharding(1))
            .job_executor("TYPE", TypeWithProps)
            .set("jobs.typed.elastic-job-type", "TYPE")
            .set("jobs.typed.sharding-total-count", "1")
            .pool("POOL", NoPool)
            .job(
                job("pooled", async || {})
                    .sharding(1)
                    .set("job-executor-service-handler-type", "POOL"),
            )
            .build();
        let faults = refused.expect_err("it is refused").to_string();
        for expected in [
            "making it panicked: a panic without a message",
            "(its text cannot be shown: `Display` panicked",
            "the check panicked: in the check",
            "Unread panicked: in the reader",
            "its handler panicked: in the pool",
        ] {
            assert!(faults.contains(expected), "{expected}: {faults}");
        }
    }
}

mod a_changed_configuration {
    use super::*;

    struct Makes;

    struct Mood(String);

    impl Properties for Mood {
        const PREFIXES: &'static [&'static str] = &["mood."];

        fn read(reader: &mut Reader<'_>) -> Option<Self> {
            reader.with_default("mood.is", &accept::TEXT, "good").map(Self)
        }
    }

    impl ErrorHandlerFactory for Makes {
        type Properties = Mood;

        fn make(&self, Mood(mood): Mood, _: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
            match mood.as_str() {
                "bad" => panic_any(FailsWhenDropped),
                _ => Box::new(Handler),
            }
        }
    }

    /// The handler that a change replaces panics when it is dropped; the one after it cannot be made.
    #[tokio::test]
    async fn leaves_the_job_at_work() -> anyhow::Result<()> {
        let registry = MemoryRegistry::new();
        let running = ElasticJob::builder()
            .without_discovery()
            .environment([])
            .registry(Arc::new(registry.clone()))
            .error_handler_factory("MAKES", Makes)
            .job(
                job("settle", async |shard: ShardingContext| {
                    Err::<(), _>(shard.job_parameter().to_owned())
                })
                .sharding(1)
                .parameter("first")
                .set("job-error-handler-type", "MAKES"),
            )
            .build()?
            .start()
            .await?;
        running.ready().await?;
        let operations: &Operations = &running.operations();
        for (mood, parameter) in [("better", "second"), ("bad", "third"), ("good", "fourth")] {
            let stored = operations.configuration("settle").await?.expect("it has one");
            let changed = stored
                .config?
                .to_builder()
                .prop("mood.is", mood)
                .job_parameter(parameter);
            operations
                .update_configuration("settle", &changed.build()?, stored.version)
                .await?;
            // One that cannot be made leaves the configuration before it in force.
            let expected = match mood {
                "bad" => "second",
                _ => parameter,
            };
            let runs = async {
                loop {
                    let execution = running.one_off_named("settle")?.execute_and_wait(PATIENCE).await?;
                    match &execution.items[&0] {
                        ItemOutcome::Failed { cause } if cause == expected => return anyhow::Ok(()),
                        ItemOutcome::Failed { .. } => {}
                        other => anyhow::bail!("{mood}: {other:?}"),
                    }
                }
            };
            tokio::time::timeout(PATIENCE, runs).await??;
        }
        running.shutdown(Duration::from_secs(5)).await;
        Ok(())
    }
}
