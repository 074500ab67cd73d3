//! Error handlers that the application brings, declared by an attribute or registered.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use elasticjob::error_handler::{
    ErrorHandlerFactory, Failure, ForJob, JobErrorHandler, Notice, Notifier, Reaction, Undelivered, WithInterval,
};
use elasticjob::prelude::*;
use elasticjob::property::{Properties, Reader, accept};
use elasticjob::starter::Builder;

/// What handlers did, in no order.
#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

impl Journal {
    fn add(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn sorted(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort();
        lines
    }
}

#[derive(Inject)]
struct Count {
    journal: Component<Journal>,
}

const COUNT_LINE: u32 = line!() + 2;

#[job_error_handler(name = "COUNT")]
impl JobErrorHandler for Count {
    fn handle(&self, failure: &Failure<'_>) -> Reaction {
        let run = failure.run().unwrap();
        self.journal
            .add(format!("count {} {}", failure.job_name(), run.sharding_item()));
        Reaction::Continue
    }
}

#[derive(Inject)]
struct Bell {
    journal: Component<Journal>,
}

#[job_error_handler(name = "BELL")]
impl Notifier for Bell {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        self.journal.add(format!(
            "bell {} {} {}",
            notice.job_name(),
            notice.count(),
            notice.cause()
        ));
        Ok(())
    }
}

#[derive(Inject)]
struct Pagers {
    journal: Component<Journal>,
}

struct Number(String);

impl Properties for Number {
    const PREFIXES: &'static [&'static str] = &["pager."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.required("pager.number", &accept::TEXT).map(Self)
    }
}

struct Pager {
    journal: Arc<Journal>,
    number: String,
}

impl Notifier for Pager {
    async fn notify(&self, notice: &Notice) -> Result<(), Undelivered> {
        self.journal
            .add(format!("calling {} {}", self.number, notice.job_name()));
        Ok(())
    }
}

#[job_error_handler(name = "PAGER")]
impl ErrorHandlerFactory for Pagers {
    type Properties = WithInterval<Number>;

    fn make(&self, properties: WithInterval<Number>, job: &ForJob<'_>) -> Box<dyn JobErrorHandler> {
        let pager = Pager {
            journal: self.journal.clone().into_inner(),
            number: properties.own.0,
        };
        job.notifying(pager, properties.interval)
    }
}

/// Returns a job with two items that fail.
fn failing(name: &str, handler: &str) -> elasticjob::job::Registration {
    job(name, async || Err::<(), _>("no disk"))
        .sharding(2)
        .set("job-error-handler-type", handler)
}

fn application(journal: &Arc<Journal>) -> Builder {
    ElasticJob::builder()
        .shared_component(Arc::clone(journal))
        .environment([])
}

/// Runs each of these jobs once, and stops.
async fn run(builder: Builder, jobs: &[&str]) {
    let running = builder.build().unwrap().start().await.unwrap();
    for job in jobs {
        let job = running.one_off_named(job).unwrap();
        let execution = job.execute_and_wait(Duration::from_secs(60)).await.unwrap();
        assert!(!execution.is_success());
    }
    running.shutdown(Duration::from_secs(10)).await;
}

/// Returns what keeps the application from starting.
fn faults(builder: Builder) -> Vec<String> {
    match builder.build() {
        Err(elasticjob::Error::Invalid(faults)) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn declared_handlers_are_found_by_name() {
    let journal = Arc::new(Journal::default());
    let builder = application(&journal)
        .job(failing("a", "COUNT"))
        .job(failing("b", "BELL").set("props.notify.interval", "1h"))
        .job(failing("c", "PAGER").set("props.pager.number", "110"))
        .job(
            failing("d", "PAGER")
                .set("props.pager.number", "112")
                .set("props.notify.interval", "0"),
        );
    run(builder, &["a", "b", "c", "d"]).await;
    let expected = [
        "bell b 1 no disk",
        "bell b 1 no disk",
        "calling 110 c",
        "calling 110 c",
        "calling 112 d",
        "calling 112 d",
        "count a 0",
        "count a 1",
    ];
    assert_eq!(journal.sorted(), expected);
}

#[tokio::test]
async fn a_registered_handler_equals_a_declared_one() {
    let journal = Arc::new(Journal::default());
    let component = || Component::from(Arc::clone(&journal));
    let builder = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .error_handler("COUNT", Count { journal: component() })
        .notifier("BELL", Bell { journal: component() })
        .error_handler_factory("PAGER", Pagers { journal: component() })
        .job(failing("a", "COUNT"))
        .job(failing("b", "BELL"))
        .job(failing("c", "PAGER").set("props.pager.number", "110"));
    run(builder, &["a", "b", "c"]).await;
    let expected = [
        "bell b 1 no disk",
        "bell b 1 no disk",
        "calling 110 c",
        "calling 110 c",
        "count a 0",
        "count a 1",
    ];
    assert_eq!(journal.sorted(), expected);
}

#[test]
fn two_handlers_of_one_name_are_refused() {
    let journal = Arc::new(Journal::default());
    let builder = application(&journal).job(failing("a", "COUNT"));
    let bell = Bell {
        journal: Arc::clone(&journal).into(),
    };
    let registered = line!() + 1;
    let found = faults(builder.notifier("COUNT", bell));
    let file = file!();
    let expected = format!("more than one error handler is named `COUNT`: {file}:{registered}, {file}:{COUNT_LINE}");
    assert_eq!(found, [expected]);
}

#[test]
fn names_what_a_declared_handler_misses() {
    let found = faults(ElasticJob::builder().environment([]).job(failing("a", "LOG")));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("error handler BELL ("), "{found:?}");
    assert!(found[0].contains("field `journal: "), "{found:?}");
}

#[test]
fn names_the_job_of_refused_props() {
    let found = faults(
        application(&Arc::default())
            .job(failing("c", "PAGER").set("props.pager.nmber", "1"))
            .job(failing("d", "BELL").set("props.notify.interval", "often")),
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("jobs.c.props.pager.number`: is missing"), "{found:?}");
    assert!(found[1].contains("did you mean `pager.number`?"), "{found:?}");
    assert!(
        found[2].contains("jobs.d.props.notify.interval` is `often`: expected a duration"),
        "{found:?}"
    );
}
