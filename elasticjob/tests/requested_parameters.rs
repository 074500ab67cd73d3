//! Parameters that a trigger of a one-off job gives to its run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use elasticjob::job::{BoxError, FromRun, RunContext};
use elasticjob::prelude::*;
use elasticjob::starter::{Execution, ItemOutcome, TriggerError};

const PATIENCE: Duration = Duration::from_secs(60);

/// What runs were given, in their order.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Vec<String>>>);

impl Given {
    fn note(&self, what: impl ToString) {
        self.0.lock().expect("no run panics").push(what.to_string());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no run panics").clone()
    }
}

#[elastic_job(sharding = 1)]
async fn archive(given: Component<Given>, year: JobParameter<u16>) {
    given.note(*year);
}

#[elastic_job(sharding = 1)]
fn archive_if_given(year: &Option<JobParameter<u16>>, given: &Component<Given>) {
    given.note(year.map_or("no year".to_owned(), |year| year.to_string()));
}

#[elastic_job(sharding = 1)]
async fn print(shard: ShardingContext, given: Component<Given>) {
    given.note(shard.job_parameter());
}

pub mod private {
    //! A public job may take what is private.
    #![allow(private_interfaces, reason = "this is what is tried")]

    use super::*;

    struct Place(u32);

    impl FromRun for Place {
        fn from_run(run: &RunContext) -> Result<Self, BoxError> {
            Ok(Self(run.sharding().sharding_item()))
        }
    }

    /// Notes the step and the item.
    #[elastic_job(sharding = 1)]
    pub async fn count(given: Component<Given>, place: Place, step: JobParameter<i64>) {
        given.note(*step + i64::from(place.0));
    }
}

async fn started() -> (ElasticJob, Given) {
    let given = Given::default();
    let jobs = ElasticJob::builder().environment([]).component(given.clone());
    let jobs = jobs
        .build()
        .expect("nothing is wrong")
        .start()
        .await
        .expect("it starts");
    (jobs, given)
}

fn failed(execution: &Execution) -> &str {
    match &execution.items[&0] {
        ItemOutcome::Failed { cause } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn is_parsed_as_the_job_takes_it() -> elasticjob::Result<()> {
    let (jobs, given) = started().await;
    let archive = jobs.one_off::<archive>()?;
    assert!(archive.execute_with_and_wait(2024, PATIENCE).await?.is_success());
    assert!(archive.execute_with_and_wait(2025_u16, PATIENCE).await?.is_success());
    let if_given = jobs.one_off::<archive_if_given>()?;
    assert!(if_given.execute_and_wait(PATIENCE).await?.is_success());
    assert!(if_given.execute_with_and_wait(2026, PATIENCE).await?.is_success());
    let count = jobs.one_off::<private::count>()?;
    assert!(count.execute_with_and_wait(-7, PATIENCE).await?.is_success());
    assert_eq!(given.all(), ["2024", "2025", "no year", "2026", "-7"]);
    jobs.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn is_a_text_for_other_jobs() -> elasticjob::Result<()> {
    let (jobs, given) = started().await;
    let print = jobs.one_off::<print>()?;
    assert!((*print).execute_with_and_wait("订单", PATIENCE).await?.is_success());
    assert!(print.execute_and_wait(PATIENCE).await?.is_success());
    let archive = jobs.one_off_named("archive")?;
    let execution = archive.execute_with_and_wait("last year", PATIENCE).await?;
    assert!(
        failed(&execution).contains("`last year` does not parse as u16"),
        "{execution:?}"
    );
    assert_eq!(given.all(), ["订单", ""]);
    jobs.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn is_kept_for_each_of_several_requests() -> elasticjob::Result<()> {
    let (jobs, given) = started().await;
    let archive = jobs.one_off::<archive>()?;
    for year in [2021, 2022, 2023] {
        archive.execute_with(year).await?;
    }
    assert!(archive.execute_with_and_wait(2024, PATIENCE).await?.is_success());
    assert_eq!(given.all(), ["2021", "2022", "2023", "2024"]);
    jobs.shutdown(PATIENCE).await;
    Ok(())
}

#[tokio::test]
async fn may_be_missing_from_the_configuration_and_not_from_a_run() -> elasticjob::Result<()> {
    let (jobs, given) = started().await;
    let execution = jobs.one_off::<archive>()?.execute_and_wait(PATIENCE).await?;
    assert!(
        failed(&execution).contains("the job has no parameter, expected u16"),
        "{execution:?}"
    );
    assert!(given.all().is_empty());
    jobs.shutdown(PATIENCE).await;

    for (key, value, expected) in [
        (
            "jobs.archive.cron",
            "0 0 0 1 1 ? 2099",
            "the job has no parameter, expected u16",
        ),
        (
            "jobs.archive.job-parameter",
            "x",
            "job parameter `x` does not parse as u16",
        ),
    ] {
        let jobs = ElasticJob::builder().environment([]).component(Given::default());
        let faults = jobs.set(key, value).build().expect_err(key).to_string();
        assert!(faults.contains(expected), "{key}: {faults}");
    }
    Ok(())
}

#[tokio::test]
async fn is_short() -> elasticjob::Result<()> {
    let (jobs, given) = started().await;
    let print = jobs.one_off_named("print")?;
    let long = "长".repeat(342);
    let error = print.execute_with(&*long).await.unwrap_err();
    let is_too_long = |error: &elasticjob::Error| {
        let elasticjob::Error::Trigger { source, .. } = error else {
            return false;
        };
        matches!(
            source,
            TriggerError::ParameterTooLong {
                length: 1026,
                limit: 1024
            }
        )
    };
    assert!(is_too_long(&error) && !error.is_retryable(), "{error:?}");
    let most = &long[..1023];
    assert!(print.execute_with_and_wait(most, PATIENCE).await?.is_success());
    assert_eq!(given.all(), [most]);
    jobs.shutdown(PATIENCE).await;
    Ok(())
}
