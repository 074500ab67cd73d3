//! Declared jobs, from the attribute to a run.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use elasticjob::job::{Components, ErasedJob, Job, Kind, Outcome, Registration};
use elasticjob::prelude::*;
use elasticjob::starter::Jobs;

/// What jobs did, in order.
#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

impl Journal {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("orders are locked")]
struct Locked;

const EVERY_KEY_LINE: u32 = line!() + 2;

#[elastic_job(
    cron = "0/5 * * * * ?",
    time_zone = "Asia/Shanghai",
    sharding = 3,
    item_parameters = "0=Beijing,1=Shanghai,2=Guangzhou",
    parameter = "250",
    failover,
    misfire = false,
    strategy = "ROUND_ROBIN",
    executor = "SINGLE_THREAD",
    error_handler = "IGNORE",
    job_listener_types = ["Audit", "CleanUp"],
    max_time_diff_seconds = -1,
    reconcile_interval_minutes = 0,
    description = "copies orders",
    props("email.host" = "localhost", batch = 1_000, ratio = 0.5, dry_run = true)
)]
async fn every_key(
    shard: &ShardingContext,
    city: ItemParameter<String>,
    batch: JobParameter<u32>,
    props: Props<BTreeMap<String, String>>,
    journal: Component<Journal>,
    stop: CancellationToken,
) -> Result<(), Locked> {
    if stop.is_cancelled() {
        return Err(Locked);
    }
    let host = &props["email.host"];
    journal.note(format!("{} {} {} {host}", shard.sharding_item(), *city, *batch));
    Ok(())
}

#[elastic_job(sharding_total_count = 1, one_off, bootstrap = "rebuild", name = "rebuild-report")]
fn blocking_job(run: RunContext, journal: &Component<Journal>) {
    journal.note(format!(
        "{:?} {}",
        std::thread::current().id(),
        run.sharding().sharding_item()
    ));
}

#[elastic_job]
fn failing() -> Result<(), String> {
    Err("no orders".to_owned())
}

#[elastic_job]
async fn anyhow_failing() -> anyhow::Result<()> {
    anyhow::bail!("no disk")
}

#[elastic_job(
    sharding = 1,
    timeout = "30s",
    retry = 3,
    retry_backoff = "100ms",
    retry_max_backoff = "1m 30s"
)]
async fn patient() {}

#[elastic_job(sharding = 1)]
fn panicking() {
    panic!("no memory")
}

#[elastic_job(cron = "0 0 2 * * ?")]
async fn r#match(_: ShardingContext) {}

#[derive(Inject)]
struct Settle {
    journal: Component<Journal>,
    limit: Option<Component<u32>>,
}

#[elastic_job(cron = "0 0 2 * * ?", sharding = 4)]
impl SimpleJob for Settle {
    async fn execute(&self, shard: &ShardingContext) -> Result<(), BoxError> {
        self.journal
            .note(format!("settle {} {:?}", shard.sharding_item(), self.limit.as_deref()));
        Ok(())
    }
}

#[derive(Default)]
struct Counter(AtomicU32);

#[elastic_job(sharding = 1)]
impl SimpleJob for Counter {
    async fn execute(&self, shard: &ShardingContext) -> Result<(), BoxError> {
        let runs = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if runs < shard.attempt() {
            Err("a new value each run".into())
        } else {
            Ok(())
        }
    }
}

#[derive(Inject)]
struct Drain {
    journal: Component<Journal>,
}

#[elastic_job(cron = "0 0 2 * * ?", sharding = 2, streaming)]
impl DataflowJob for Drain {
    type Item = String;

    async fn fetch(&self, _: &ShardingContext) -> Result<Vec<String>, BoxError> {
        Ok(self.journal.0.lock().unwrap().pop().into_iter().collect())
    }

    async fn process(&self, shard: &ShardingContext, data: Vec<String>) -> Result<(), BoxError> {
        match data.iter().find(|line| line.starts_with("bad")) {
            Some(bad) => Err(format!("item {}: {bad}", shard.sharding_item()).into()),
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Once;

#[elastic_job(name = "once", sharding = 1, streaming = false)]
impl DataflowJob for Once {
    type Item = ();

    async fn fetch(&self, _: &ShardingContext) -> Result<Vec<()>, BoxError> {
        Ok(vec![()])
    }

    async fn process(&self, _: &ShardingContext, _: Vec<()>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[elastic_job(sharding = 1)]
#[cfg(any())]
fn never_compiled(_: NoSuchType) {}

mod nested {
    use elasticjob as renamed;

    #[renamed::elastic_job(crate = renamed, sharding = 1)]
    pub(crate) async fn in_a_module() {}

    #[derive(renamed::job::Inject)]
    #[inject(crate = renamed)]
    pub(crate) struct Unit;

    macro_rules! declare {
        ($name:ident, $cron:literal) => {
            #[renamed::elastic_job(crate = renamed, cron = $cron)]
            pub(super) fn $name() {}
        };
    }

    declare!(by_macro, "0 0 3 * * ?");
}

#[test]
fn declared_jobs_are_discovered_once() {
    #[elastic_job(sharding = 1)]
    fn in_a_function() {}
    in_a_function();

    let jobs = Jobs::discovered()
        .register::<in_a_function>()
        .register::<Settle>()
        .finish()
        .unwrap();
    let names: Vec<_> = jobs.iter().map(Registration::name).collect();
    let expected = [
        "Counter",
        "Drain",
        "Settle",
        "anyhow_failing",
        "by_macro",
        "every_key",
        "failing",
        "in_a_function",
        "in_a_module",
        "match",
        "once",
        "panicking",
        "patient",
        "rebuild-report",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_declaration_should_say_what_its_attribute_says() {
    let declaration = every_key::DECLARATION;
    assert_eq!(declaration.name(), "every_key");
    assert_eq!(declaration.path(), "macros::every_key");
    assert_eq!(declaration.kind(), Kind::Simple);
    assert!(declaration.place().file().ends_with("macros.rs"));
    assert_eq!(declaration.place().line(), EVERY_KEY_LINE);
    assert!(!declaration.is_one_off());
    let expected = [
        ("cron", "0/5 * * * * ?"),
        ("time-zone", "Asia/Shanghai"),
        ("sharding-total-count", "3"),
        ("sharding-item-parameters", "0=Beijing,1=Shanghai,2=Guangzhou"),
        ("job-parameter", "250"),
        ("failover", "true"),
        ("misfire", "false"),
        ("job-sharding-strategy-type", "ROUND_ROBIN"),
        ("job-executor-service-handler-type", "SINGLE_THREAD"),
        ("job-error-handler-type", "IGNORE"),
        ("job-listener-types", "Audit,CleanUp"),
        ("max-time-diff-seconds", "-1"),
        ("reconcile-interval-minutes", "0"),
        ("description", "copies orders"),
        ("props.email.host", "localhost"),
        ("props.batch", "1000"),
        ("props.ratio", "0.5"),
        ("props.dry_run", "true"),
    ];
    assert_eq!(declaration.values(), expected);

    let one_off = blocking_job::DECLARATION;
    assert_eq!(one_off.name(), "rebuild-report");
    assert_eq!(one_off.path(), "macros::blocking_job");
    assert_eq!(
        one_off.values(),
        [("sharding-total-count", "1"), ("job-bootstrap-bean-name", "rebuild")]
    );
    assert!(one_off.is_one_off());

    assert_eq!(nested::in_a_module::DECLARATION.path(), "macros::nested::in_a_module");
    assert_eq!(nested::by_macro::DECLARATION.values(), [("cron", "0 0 3 * * ?")]);
    assert_eq!(Settle::DECLARATION.path(), "macros::Settle");
}

#[test]
fn what_a_run_may_take_should_be_props() {
    let expected = [
        ("sharding-total-count", "1"),
        ("props.elasticjob.timeout", "30s"),
        ("props.elasticjob.retry", "3"),
        ("props.elasticjob.retry.backoff", "100ms"),
        ("props.elasticjob.retry.max-backoff", "1m 30s"),
    ];
    assert_eq!(patient::DECLARATION.values(), expected);
    let built = |key, value| {
        let builder = elasticjob::ElasticJob::builder().without_discovery().environment([]);
        let built = builder
            .register::<patient>()
            .set(format!("jobs.patient.{key}"), value)
            .build();
        built.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(built("timeout", "1h"), Ok(()));
    let error = built("retry-backoff", "soon").expect_err("it is refused");
    assert!(
        error.contains("elasticjob.retry.backoff") && error.contains("soon"),
        "{error}"
    );
    for (key, value, expected) in [
        ("props.elasticjob.retries", "3", "did you mean `elasticjob.retry`?"),
        ("props.elasticjob.catchup", "10m", "did you mean `elasticjob.catch-up`?"),
        (
            "props.elasticjob.failover-attempts",
            "0",
            "is `0`: expected a whole number of 1 or more",
        ),
    ] {
        let error = built(key, value).expect_err("it is refused");
        assert!(error.contains(expected), "{error}");
    }
    let error = built("retry-backof", "1s").expect_err("it is refused");
    assert!(error.contains("did you mean `retry-backoff`?"), "{error}");
}

#[test]
fn a_dataflow_job_should_say_whether_it_streams() {
    let declaration = Drain::DECLARATION;
    assert_eq!(declaration.kind(), Kind::Dataflow);
    let streaming = |on| ("props.streaming.process", on);
    assert!(declaration.values().contains(&streaming("true")));
    assert!(Once::DECLARATION.values().contains(&streaming("false")));
}

#[tokio::test]
async fn a_dataflow_job_streams_by_its_props() {
    let left = async |streaming, lines: &[&str]| {
        let (components, journal) = components();
        lines.iter().for_each(|line| journal.note(*line));
        let shard = ShardingContext::for_test(1, 2);
        let outcome = run::<Drain>(components, shard, &[("streaming.process", streaming)]).await;
        (journal.lines().len(), outcome.map_err(|error| error.to_string()))
    };
    assert_eq!(left("true", &["a", "b", "c"]).await, (0, Ok(())));
    assert_eq!(left("false", &["a", "b", "c"]).await, (2, Ok(())));
    let failed = Err("item 1: bad b".to_owned());
    assert_eq!(left("true", &["a", "bad b", "c"]).await, (1, failed));
}

#[test]
fn refuses_to_stream_another_kind_of_job() {
    let built = elasticjob::ElasticJob::builder()
        .without_discovery()
        .environment([])
        .register::<failing>()
        .set("jobs.failing.sharding-total-count", "1")
        .set("jobs.failing.props.streaming.process", "true")
        .build();
    let error = built.expect_err("it is refused").to_string();
    assert!(error.contains("streaming.process"), "{error}");
    assert!(error.contains("only a dataflow job streams"), "{error}");
}

#[test]
fn a_declaration_configures_its_job() {
    use elasticjob_config::sources::{Declared, Loader};

    let declarations = [every_key::DECLARATION, blocking_job::DECLARATION];
    let declared = declarations.map(|declaration| Declared {
        name: declaration.name().to_owned(),
        origin: declaration.place().to_string(),
        values: Registration::from(declaration).values().to_vec(),
    });
    let settings = Loader::new().declared(declared.into()).load().unwrap();

    let config = &settings.jobs["every_key"].config;
    assert_eq!(config.cron().unwrap().as_str(), "0/5 * * * * ?");
    assert_eq!(config.time_zone().unwrap().name(), "Asia/Shanghai");
    assert_eq!(config.sharding_total_count().get(), 3);
    assert_eq!(config.item_parameters().get(2), Some("Guangzhou"));
    assert_eq!(config.job_parameter(), "250");
    assert!(config.failover() && !config.misfire());
    assert_eq!((config.max_time_diff(), config.reconcile_interval()), (None, None));
    assert_eq!(config.sharding_strategy(), Some("ROUND_ROBIN"));
    assert_eq!(config.executor_service_handler(), Some("SINGLE_THREAD"));
    assert_eq!(config.error_handler(), Some("IGNORE"));
    assert_eq!(config.listener_types(), ["Audit", "CleanUp"]);
    assert_eq!(config.description(), "copies orders");
    assert_eq!(config.props()["email.host"], "localhost");
    assert_eq!(config.props()["dry_run"], "true");

    let one_off = &settings.jobs["rebuild-report"];
    assert!(one_off.config.cron().is_none());
    assert_eq!(one_off.bootstrap.as_deref(), Some("rebuild"));
}

#[test]
fn a_one_off_job_takes_no_schedule() {
    let built = elasticjob::ElasticJob::builder()
        .without_discovery()
        .environment(
            [("ELASTICJOB_JOBS_REBUILD_REPORT_CRON", "0 0 2 * * ?")]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
        )
        .component(Journal::default())
        .register::<blocking_job>()
        .build();
    let error = built.expect_err("it is refused").to_string();
    assert!(
        error.contains("cron `0 0 2 * * ?` for a job that is declared `one_off` ("),
        "{error}"
    );
    assert!(error.contains("tests/macros.rs:65"), "{error}");
}

/// Components with a journal, and the journal.
fn components() -> (Components, Component<Journal>) {
    let mut components = Components::default();
    components.provide(Journal::default()).unwrap();
    let journal = components.get::<Journal>().unwrap().into();
    (components, journal)
}

fn build<J: Job>(components: &Components) -> Box<dyn ErasedJob> {
    J::DECLARATION.build(components).unwrap()
}

async fn run<J: Job>(components: Components, shard: ShardingContext, props: &[(&str, &str)]) -> Outcome {
    let job = build::<J>(&components);
    let props = props
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    job.run(
        RunContext::for_test(shard)
            .with_components(components)
            .with_props(props),
    )
    .await
}

#[tokio::test]
async fn a_function_receives_its_parameters() {
    let (components, journal) = components();
    let shard = ShardingContext::for_test(1, 3)
        .with_sharding_parameter("Shanghai")
        .with_job_parameter("250");
    run::<every_key>(components, shard, &[("email.host", "mail")])
        .await
        .unwrap();
    assert_eq!(journal.lines(), ["1 Shanghai 250 mail"]);
}

#[tokio::test]
async fn a_run_without_a_parameter_fails() {
    let (components, journal) = components();
    let shard = ShardingContext::for_test(1, 3)
        .with_sharding_parameter("Shanghai")
        .with_job_parameter("many");
    let outcome = run::<every_key>(components, shard, &[("email.host", "mail")]).await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "job parameter `many` does not parse as u32: invalid digit found in string"
    );
    assert_eq!(journal.lines(), [""; 0]);
}

#[tokio::test]
async fn a_blocking_function_runs_apart() {
    use std::sync::Arc;

    use elasticjob::job::BlockingExecutor;

    /// Runs work on a thread of its own.
    #[derive(Debug)]
    struct Threads;

    impl BlockingExecutor for Threads {
        fn run(&self, work: Box<dyn FnOnce() + Send>) -> elasticjob::registry::BoxFuture<'static, ()> {
            std::thread::spawn(work).join().unwrap();
            Box::pin(async {})
        }
    }

    let (components, journal) = components();
    let job = build::<blocking_job>(&components);
    let run = RunContext::for_test(ShardingContext::for_test(0, 1)).with_components(components);
    job.run(run.with_blocking(Arc::new(Threads))).await.unwrap();

    let here = format!("{:?} 0", std::thread::current().id());
    assert_eq!(journal.lines().len(), 1);
    assert_ne!(journal.lines()[0], here);
}

#[tokio::test]
async fn errors_of_any_type_should_come_out() {
    let shard = || ShardingContext::for_test(0, 1);
    let failed = run::<failing>(Components::default(), shard(), &[]).await;
    assert_eq!(failed.unwrap_err().to_string(), "no orders");

    let failed = run::<anyhow_failing>(Components::default(), shard(), &[]).await;
    assert_eq!(failed.unwrap_err().to_string(), "no disk");

    let failed = run::<panicking>(Components::default(), shard(), &[]).await;
    assert_eq!(
        failed.unwrap_err().to_string(),
        "the blocking function panicked: no memory"
    );
}

#[tokio::test]
async fn a_type_is_made_once() {
    let (mut components, journal) = components();
    components.provide(7_u32).unwrap();
    run::<Settle>(components, ShardingContext::for_test(2, 4), &[])
        .await
        .unwrap();
    assert_eq!(journal.lines(), ["settle 2 Some(7)"]);

    let counter = build::<Counter>(&Components::default());
    for attempt in 1..=3 {
        let shard = ShardingContext::for_test(0, 1).with_attempt(attempt);
        counter.run(RunContext::for_test(shard)).await.unwrap();
    }
}

#[test]
fn creates_no_type_without_its_component() {
    let Err(missing) = Settle::DECLARATION.build(&Components::default()) else {
        panic!("there is no journal");
    };
    assert_eq!(
        missing.to_string(),
        "no component macros::Journal was provided: hand it in with `ElasticJob::builder().component(..)`"
    );
}

#[tokio::test]
async fn the_function_should_stay_as_written() {
    let journal = Component::from(Journal::default());
    let props = Props(BTreeMap::from([("email.host".to_owned(), "mail".to_owned())]));
    let city = ItemParameter("Beijing".to_owned());
    let stop = CancellationToken::new();
    stop.cancel();
    let shard = ShardingContext::for_test(0, 3);
    let outcome = every_key(&shard, city, JobParameter(1), props, journal.clone(), stop).await;
    assert_eq!(outcome.unwrap_err().to_string(), "orders are locked");

    r#match(shard.clone()).await;
    blocking_job(RunContext::for_test(shard), &journal);
    assert_eq!(journal.lines().len(), 1);
}

#[test]
fn a_unit_struct_should_need_no_components() {
    assert!(nested::Unit::inject(&Components::default()).is_ok());
    nested::by_macro();
}
