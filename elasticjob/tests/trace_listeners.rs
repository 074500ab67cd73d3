//! Trace listeners: declared, or made by code. They hold up no job.

use std::time::Duration;

use elasticjob::prelude::*;
use elasticjob::starter::ItemOutcome;
use elasticjob::trace::TaskState;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the declared listener sends the events that it receives.
type Said = mpsc::UnboundedSender<String>;

#[derive(Inject)]
struct Audit {
    said: Component<Said>,
}

#[trace_listener(name = "AUDIT", include_job_names = ["settle"], timeout = "3s")]
impl TraceListener for Audit {
    async fn on_event(&self, event: &JobEvent) -> Result<(), BoxError> {
        self.said.send(text_of(event))?;
        Ok(())
    }
}

#[elastic_job(sharding = 2)]
async fn settle(shard: ShardingContext) -> Result<(), &'static str> {
    match shard.sharding_item() {
        0 => Ok(()),
        _ => Err("no answer"),
    }
}

#[elastic_job(sharding = 1)]
async fn other() {}

fn text_of(event: &JobEvent) -> String {
    match event {
        JobEvent::Started(run) => format!("started {}", run.item),
        JobEvent::Ended { run, outcome, .. } => match outcome {
            ItemOutcome::Failed { cause } => format!("ended {} {cause}", run.item),
            ItemOutcome::Succeeded => format!("ended {} well", run.item),
            other => format!("ended {} {other:?}", run.item),
        },
        JobEvent::Task(task) if task.state == TaskState::Error => format!("task: {}", task.message),
        JobEvent::Task(_) => "task".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Never done.
struct Stuck;

impl TraceListener for Stuck {
    async fn on_event(&self, _: &JobEvent) -> Result<(), BoxError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn call_listeners_for_their_jobs_without_delay() {
    let (said, mut heard) = mpsc::unbounded_channel::<String>();
    let application = ElasticJob::builder()
        .environment([])
        .component::<Said>(said)
        .trace_listener("STUCK", Stuck)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    for job in ["other", "settle"] {
        let once = application.one_off_named(job).unwrap();
        let execution = once.execute_and_wait(PATIENCE).await.unwrap();
        assert_eq!(execution.is_success(), job == "other");
    }
    let mut all = Vec::new();
    while all.len() < 7 {
        all.push(tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap());
    }
    all.sort();
    assert_eq!(
        all,
        [
            "ended 0 well",
            "ended 1 no answer",
            "started 0",
            "started 1",
            "task",
            "task",
            "task: item 1: no answer"
        ]
    );
    application.shutdown(Duration::from_secs(5)).await;
    assert!(heard.try_recv().is_err(), "nothing of the other job");
    let listening = application.trace_listeners();
    let counts: Vec<_> = listening
        .iter()
        .map(|one| (&*one.name, one.delivered, one.failed, one.dropped))
        .collect();
    assert_eq!(counts, [("AUDIT", 7, 0, 0), ("STUCK", 0, 0, 12)]);
}

#[test]
fn two_trace_listeners_of_one_name_are_refused() {
    let (said, _heard) = mpsc::unbounded_channel();
    let builder = ElasticJob::builder().environment([]).component::<Said>(said);
    let refused = builder
        .trace_listener("AUDIT", Stuck)
        .build()
        .expect_err("a fault")
        .to_string();
    assert!(
        refused.contains("more than one trace listener is named `AUDIT`"),
        "{refused}"
    );
}

#[test]
fn refuse_a_listener_without_its_component() {
    let refused = ElasticJob::builder().environment([]).build().unwrap_err().to_string();
    assert!(refused.contains("AUDIT"), "{refused}");
}

mod types {
    use elasticjob::starter::Builder;

    use super::*;

    struct Ledger(Said);

    impl TraceListener for Ledger {
        async fn on_event(&self, event: &JobEvent) -> Result<(), BoxError> {
            self.0.send(text_of(event))?;
            Ok(())
        }
    }

    fn builder(said: &Said, variables: &[(&str, &str)]) -> Builder {
        let variables = variables
            .iter()
            .map(|(key, value)| (format!("ELASTICJOB_TRACING_{key}"), (*value).to_owned()));
        let builder = ElasticJob::builder()
            .without_files()
            .environment(variables)
            .without_discovery();
        builder
            .register::<settle>()
            .register::<other>()
            .tracing_type("LEDGER", Ledger(said.clone()))
    }

    fn refusal(variables: &[(&str, &str)]) -> String {
        let (said, _heard) = mpsc::unbounded_channel();
        builder(&said, variables).build().expect_err("a fault").to_string()
    }

    #[tokio::test]
    async fn of_the_program_are_called_if_configured() {
        for (variables, expected) in [
            (
                &[("TYPE", "LEDGER"), ("EXCLUDE_JOB_NAMES", "settle")][..],
                vec!["ended 0 well", "started 0", "task"],
            ),
            (&[], vec![]),
        ] {
            let (said, mut heard) = mpsc::unbounded_channel();
            let application = builder(&said, variables).build().unwrap().start().await.unwrap();
            for job in ["settle", "other"] {
                let once = application.one_off_named(job).unwrap();
                once.execute_and_wait(PATIENCE).await.unwrap();
            }
            application.shutdown(Duration::from_secs(5)).await;
            let mut all = Vec::new();
            while let Ok(one) = heard.try_recv() {
                all.push(one);
            }
            all.sort();
            all.dedup();
            assert_eq!(all, expected);
        }
    }

    #[test]
    fn that_the_program_does_not_have_are_refused_with_those_it_has() {
        let refused = refusal(&[("TYPE", "MONGO")]);
        let expected = "environment variable ELASTICJOB_TRACING_TYPE: `elasticjob.tracing.type`: unknown tracing type `MONGO`: \
                        expected one of RDB, LEDGER";
        assert!(refused.contains(expected), "{refused}");
    }

    #[test]
    fn of_the_program_have_no_database() {
        let refused = refusal(&[
            ("TYPE", "LEDGER"),
            ("DATA_SOURCE_URL", "sqlite:h.db"),
            ("RETENTION", "3d"),
        ]);
        let expected = "is for the type `RDB`, and `tracing.type` is `LEDGER`";
        assert_eq!(refused.matches(expected).count(), 2, "{refused}");
    }

    #[test]
    fn of_the_program_are_not_called_as_ours() {
        let (said, _heard) = mpsc::unbounded_channel();
        let refused = builder(&said, &[])
            .tracing_type("rdb", Ledger(said))
            .build()
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("tracing type `rdb` (elasticjob/tests/trace_listeners.rs:"),
            "{refused}"
        );
    }
}
