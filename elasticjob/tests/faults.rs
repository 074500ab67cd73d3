//! All that is wrong with an application, at once, each fault with its place.

use std::fs;

use elasticjob::ElasticJob;
use elasticjob::job::{Registration, job};
use elasticjob::prelude::*;
use elasticjob::starter::Fault;
use tempfile::TempDir;

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "only read in")]
struct Limits {
    batch: u8,
}

/// Returns a job that takes something of each kind.
fn orders() -> Registration {
    let work =
        async |_: ShardingContext, _: Component<u64>, _: JobParameter<i8>, _: ItemParameter<i8>, _: Props<Limits>| {};
    job("orders", work).sharding(2)
}

/// Returns the faults of an application with this file, without the directory of the file and the lines of this one.
fn faults(yaml: &str, jobs: impl IntoIterator<Item = Registration>) -> Vec<String> {
    let faults = with_parts(yaml, jobs).into_iter();
    faults.map(|(text, ..)| text).collect()
}

/// Returns the same with the job, the place and the problem of each.
fn with_parts(
    yaml: &str,
    jobs: impl IntoIterator<Item = Registration>,
) -> Vec<(String, Option<String>, Option<String>, String)> {
    let directory: TempDir = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("application.yaml"), yaml).expect("written");
    let mut builder = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .directory(directory.path());
    for job in jobs {
        builder = builder.job(job);
    }
    let elasticjob::Error::Invalid(faults) = builder.build().expect_err("there are faults") else {
        panic!("the application is invalid");
    };
    let prefix = format!("{}/", directory.path().display());
    let relative = |text: &str| text.replace(&prefix, "");
    let parts = |fault: &Fault| {
        let place = fault.place.as_deref().map(relative);
        (
            relative(&fault.to_string()),
            fault.job.clone(),
            place,
            relative(&fault.problem),
        )
    };
    faults.iter().map(parts).collect()
}

#[track_caller]
fn assert_each_is_there(faults: &[String], expected: &[&str]) {
    for beginning in expected {
        let found = faults.iter().filter(|fault| fault.starts_with(beginning)).count();
        assert_eq!(found, 1, "`{beginning}` in {faults:#?}");
    }
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
}

#[test]
fn of_values_in_a_file_name_their_lines() {
    let yaml = "\
elasticjob:
  jobs:
    orders:
      sharding-item-parameters: 0=1,1=x
      job-parameter: y
      props:
        batch: 256
      job-listener-types: [NOT_THERE]
      job-error-handler-type: NOT_THERE
      job-sharding-strategy-type: NOTHING
      job-executor-service-handler-type: NO_POOL
";
    let found = faults(yaml, [orders()]);
    assert_each_is_there(
        &found,
        &[
            "job orders (application.yaml:4), parameter `4: ItemParameter<i8>`: parameter `x` of sharding item 1",
            "job orders (application.yaml:5), parameter `3: JobParameter<i8>`: job parameter `y`",
            "job orders (application.yaml:7), parameter `5: Props<faults::Limits>`: property `batch`",
            "job orders (application.yaml:8): ",
            "job orders (application.yaml:9): ",
            "job orders (application.yaml:10): ",
            "job orders (application.yaml:11): ",
            "job orders (elasticjob/tests/faults.rs:",
        ],
    );
}

#[test]
fn of_all_kinds_come_out_at_once() {
    let yaml = "\
elasticjob:
  colour: red
  dump: {port: many}
  jobs:
    orders:
      corn: x
      cron: 61 * * * * ?
      sharding-item-parameters: 0=1,1=x
      job-parameter: '1'
      timeout: soon
      retry: many
      props.batch: 1
    typed: {elastic-job-type: SCRPT, sharding-total-count: 1}
    nothing: {sharding-total-count: none, job-error-handler-type: NOT_THERE}
    script: {elastic-job-type: SCRIPT, sharding-total-count: 0, timeout: 1s 1s}
";
    let twice = job("orders", async |_: Component<u16>| {}).sharding(1);
    let component = |of: &Registration, number: u32, kind: &str| {
        format!(
            "job orders ({}), parameter `{number}: Component<{kind}>`: no component {kind}",
            of.place()
        )
    };
    let components = [component(&orders(), 2, "u64"), component(&twice, 1, "u16")];
    let found = faults(yaml, [orders(), twice]);
    assert_each_is_there(
        &found,
        &[
            "several jobs are named orders: ",
            "application.yaml:2: `elasticjob.colour`: is not a setting",
            "application.yaml:3: `elasticjob.dump.port` is `many`",
            "application.yaml:6: `elasticjob.jobs.orders.corn`: is not a setting",
            "application.yaml:7: `elasticjob.jobs.orders.cron` is `61 * * * * ?`",
            "job orders (application.yaml:8), parameter `4: ItemParameter<i8>`: parameter `x`",
            "application.yaml:10: `elasticjob.jobs.orders.props.elasticjob.timeout` is `soon`",
            "application.yaml:11: `elasticjob.jobs.orders.props.elasticjob.retry` is `many`",
            &components[0],
            &components[1],
            "job typed (application.yaml:13): ",
            "application.yaml:14: `elasticjob.jobs.nothing`: nothing does this job's work",
            "application.yaml:14: `elasticjob.jobs.nothing.sharding-total-count` is `none`",
            "job nothing (application.yaml:14): ",
            "application.yaml:15: `elasticjob.jobs.script.sharding-total-count` is `0`",
            "application.yaml:15: `elasticjob.jobs.script.props.elasticjob.timeout` is `1s 1s`",
            "application.yaml:15: `elasticjob.jobs.script.props.script.command.line`: is missing",
        ],
    );
}

#[test]
fn that_follow_from_others_are_left_out() {
    let yaml = "\
elasticjob:
  jobs:
    orders:
      sharding-total-count: ${NO_TOTAL}
      sharding-item-parameters: 0=1,1=
      job-parameter: ${NO_PARAMETER}
      props.batch: ${NO_BATCH}
";
    let work = async |_: ShardingContext, _: JobParameter<i8>, _: ItemParameter<i8>, _: Props<Limits>| {};
    let found = faults(yaml, [job("orders", work)]);
    assert_each_is_there(
        &found,
        &[
            "application.yaml:4: `elasticjob.jobs.orders.sharding-total-count` is `${NO_TOTAL}`",
            "application.yaml:5: `elasticjob.jobs.orders.sharding-item-parameters` is `0=1,1=`",
            "application.yaml:6: `elasticjob.jobs.orders.job-parameter` is `${NO_PARAMETER}`",
            "application.yaml:7: `elasticjob.jobs.orders.props.batch` is `${NO_BATCH}`",
        ],
    );
}

#[test]
fn say_job_place_and_problem() {
    let yaml = "\
elasticjob:
  colour: red
  jobs:
    orders:
      corn: 0 0 2 * * ?
      sharding-item-parameters: 0=1,1=x
      retry: many
      job-listener-types: [NOT_THERE]
    typed: {elastic-job-type: SCRPT, sharding-total-count: 1}
    script: {elastic-job-type: SCRIPT, sharding-total-count: 0, cron: 0 0 2 * * ?}
";
    let work = async |_: ShardingContext, _: ItemParameter<i8>, _: Component<u64>| {};
    let orders = job("orders", work).sharding(2);
    let declared = orders.place().to_string();
    let found = with_parts(yaml, [orders]);
    for (job, place, problem) in [
        (None, "application.yaml:2", "`elasticjob.colour`: is not a setting"),
        (
            Some("orders"),
            "application.yaml:5",
            "`elasticjob.jobs.orders.corn`: is not a setting",
        ),
        (
            Some("orders"),
            "application.yaml:6",
            "parameter `2: ItemParameter<i8>`: parameter `x`",
        ),
        (
            Some("orders"),
            "application.yaml:7",
            "`elasticjob.jobs.orders.props.elasticjob.retry` is `many`",
        ),
        (Some("orders"), "application.yaml:8", "unknown job listener `NOT_THERE`"),
        (
            Some("orders"),
            &*declared,
            "parameter `3: Component<u64>`: no component u64",
        ),
        (Some("typed"), "application.yaml:9", "unknown elastic-job-type `SCRPT`"),
        (
            Some("script"),
            "application.yaml:10",
            "`elasticjob.jobs.script.sharding-total-count` is `0`",
        ),
        (
            Some("script"),
            "application.yaml:10",
            "`elasticjob.jobs.script.props.script.command.line`: is missing",
        ),
    ] {
        let is_it = |(text, of, at, what): &&(String, Option<String>, Option<String>, String)| {
            let is_whole = text.contains(what.as_str()) && text.contains(place);
            of.as_deref() == job && at.as_deref() == Some(place) && what.starts_with(problem) && is_whole
        };
        assert_eq!(
            found.iter().filter(is_it).count(),
            1,
            "{job:?} {place} {problem}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 9, "{found:#?}");
}
