//! Listeners that the application brings, declared by an attribute or registered, named by type or in the configuration.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use elasticjob::listener::{DeclaredListener, ListenerKind};
use elasticjob::prelude::*;
use elasticjob::starter::Builder;

/// What happened, in order.
#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

impl Journal {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Inject)]
struct Audit {
    journal: Component<Journal>,
}

const AUDIT_LINE: u32 = line!() + 2;

#[job_listener]
impl JobListener for Audit {
    async fn before(&self, firing: &Firing) -> Result<(), BoxError> {
        let items: Vec<String> = firing.items().map(|item| item.to_string()).collect();
        let (job, parameter) = (firing.job_name(), firing.item_parameter(1).unwrap_or("none"));
        self.journal
            .add(format!("before {job} {} {parameter}", items.join(",")));
        Ok(())
    }

    async fn after(&self, firing: &Firing) -> Result<(), BoxError> {
        self.journal.add(format!("after {}", firing.job_name()));
        Ok(())
    }

    fn order(&self) -> i32 {
        1
    }
}

#[derive(Inject)]
struct Report {
    journal: Component<Journal>,
}

#[job_listener(name = "REPORT", started_timeout = "5s", completed_timeout = "1m")]
impl DistributeOnceJobListener for Report {
    async fn before(&self, _: &Firing) -> Result<(), BoxError> {
        self.journal.add("once before");
        Ok(())
    }

    async fn after(&self, _: &Firing) -> Result<(), BoxError> {
        self.journal.add("once after");
        Err("no paper".into())
    }

    fn order(&self) -> i32 {
        2
    }
}

#[elastic_job(sharding = 2, item_parameters = "1=Rome", listeners = [Report, self::Audit])]
async fn settle(journal: Component<Journal>) {
    journal.add("item");
}

/// Runs this job once, and stops.
async fn run(builder: Builder, job: &str) {
    let running = builder.build().unwrap().start().await.unwrap();
    let job = running.one_off_named(job).unwrap();
    job.execute_and_wait(Duration::from_secs(60)).await.unwrap();
    // The hooks after the firing are waited for.
    running.shutdown(Duration::from_secs(30)).await;
}

/// Returns what keeps the application from starting.
fn faults(builder: Builder) -> Vec<String> {
    match builder.build() {
        Err(elasticjob::Error::Invalid(faults)) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

const CALLS: [&str; 6] = [
    "before settle 0,1 Rome",
    "once before",
    "item",
    "item",
    "after settle",
    "once after",
];

#[tokio::test]
async fn calls_declared_listeners_by_type_in_their_order() {
    assert_eq!([Audit::NAME, Report::NAME], ["Audit", "REPORT"]);
    let journal = Arc::new(Journal::default());
    let builder = ElasticJob::builder()
        .shared_component(Arc::clone(&journal))
        .environment([]);
    run(builder, "settle").await;
    assert_eq!(journal.lines(), CALLS);
}

#[tokio::test]
async fn a_registered_listener_equals_a_declared_one() {
    let journal = Arc::new(Journal::default());
    let component = || Component::from(Arc::clone(&journal));
    let report = ListenerKind::distribute_once(Report { journal: component() });
    let of_job = Arc::clone(&journal);
    let job = job("settle", move || {
        of_job.add("item");
        async {}
    });
    let builder = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .job_listener("MINE", Audit { journal: component() })
        .job_listener_kind("OTHER", report.completed_timeout(Duration::from_secs(10)))
        .job(job.sharding(2).item_parameters("1=Rome"))
        .set("jobs.settle.job-listener-types", "OTHER,MINE");
    run(builder, "settle").await;
    assert_eq!(journal.lines(), CALLS);
}

#[test]
fn an_unknown_listener_is_refused_with_the_known_ones() {
    let builder = ElasticJob::builder()
        .component(Journal::default())
        .environment([])
        .set("jobs.settle.job-listener-types", "Audit,REPROT");
    let found = faults(builder);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("job settle ("), "{found:?}");
    let expected = "unknown job listener `REPROT`: expected one of Audit, REPORT";
    assert!(found[0].ends_with(expected), "{found:?}");

    let none = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .job(job("settle", || async {}).sharding(1))
        .set("jobs.settle.job-listener-types", "AUDIT");
    let found = faults(none);
    assert!(
        found[0].ends_with("unknown job listener `AUDIT`: there is none"),
        "{found:?}"
    );
}

#[test]
fn two_listeners_of_one_name_are_refused() {
    let journal = Arc::new(Journal::default());
    let builder = ElasticJob::builder()
        .shared_component(Arc::clone(&journal))
        .environment([]);
    let registered = line!() + 1;
    let found = faults(builder.job_listener(
        "Audit",
        Audit {
            journal: journal.into(),
        },
    ));
    let file = file!();
    let expected = format!("more than one job listener is named `Audit`: {file}:{registered}, {file}:{AUDIT_LINE}");
    assert_eq!(found, [expected]);
}

#[test]
fn names_what_a_declared_listener_misses() {
    let found = faults(ElasticJob::builder().environment([]));
    assert!(
        found
            .iter()
            .any(|fault| fault.starts_with("job listener Audit (") && fault.contains("field `journal: ")),
        "{found:?}"
    );
}
