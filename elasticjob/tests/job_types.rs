//! Jobs by configuration alone, of types that the application brings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elasticjob::prelude::*;
use elasticjob::property::{Properties, Reader, accept};
use elasticjob::starter::Builder;
use tempfile::NamedTempFile;

/// What jobs said, in no order.
#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

impl Journal {
    fn sorted(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort();
        lines
    }
}

struct Words {
    text: String,
    loud: bool,
}

impl Properties for Words {
    const PREFIXES: &'static [&'static str] = &["say."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.required("say.text", &accept::TEXT);
        let loud = reader.with_default("say.loud", &accept::FLAG, "false");
        Some(Self {
            text: text?,
            loud: loud?,
        })
    }
}

/// Jobs of type `SAY` put their words into the journal.
#[derive(Inject)]
struct Say {
    journal: Component<Journal>,
}

const SAY_LINE: u32 = line!() + 2;

#[job_executor(name = "SAY")]
impl JobExecutor for Say {
    type Properties = Words;

    async fn execute(&self, run: &RunContext, words: &Words) -> Result<(), BoxError> {
        let shard = run.sharding();
        let text = format!("{} {}: {}", shard.job_name(), shard.sharding_item(), words.text);
        let text = if words.loud { text.to_uppercase() } else { text };
        self.journal.0.lock().unwrap().push(text);
        Ok(())
    }
}

/// Another executor, registered under any name.
struct Silent;

impl JobExecutor for Silent {
    type Properties = ();

    async fn execute(&self, _: &RunContext, _: &()) -> Result<(), BoxError> {
        Ok(())
    }
}

fn file(yaml: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    file
}

fn application(journal: &Arc<Journal>, file: &NamedTempFile) -> Builder {
    ElasticJob::builder()
        .shared_component(Arc::clone(journal))
        .environment([])
        .file(file.path())
}

/// Returns what keeps the application from starting.
fn faults(builder: Builder) -> Vec<String> {
    match builder.build() {
        Err(elasticjob::Error::Invalid(faults)) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_of_a_declared_type_is_configuration_alone() {
    let journal = Arc::new(Journal::default());
    let yaml = "elasticjob: {jobs: {greet: {elastic-job-type: SAY, sharding-total-count: 2, props: {say: {text: hello}}}, \
                shout: {elastic-job-type: SAY, sharding-total-count: 1, props: {say.text: hey, say.loud: true}}}}";
    let running = application(&journal, &file(yaml))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    for job in ["greet", "shout"] {
        let execution = running.one_off_named(job).unwrap();
        let execution = execution.execute_and_wait(Duration::from_secs(60)).await.unwrap();
        assert!(execution.is_success());
    }
    assert_eq!(journal.sorted(), ["SHOUT 0: HEY", "greet 0: hello", "greet 1: hello"]);
    running.shutdown(Duration::from_secs(10)).await;
}

#[test]
fn wrong_props_are_refused_with_their_line() {
    let yaml = "elasticjob:\n  jobs:\n    greet:\n      elastic-job-type: SAY\n      sharding-total-count: 1\n      props:\n        say.loud: maybe\n        say.texts: hello\n        other: x\n";
    let found = faults(application(&Arc::default(), &file(yaml)));
    let expected = [
        ":7: `elasticjob.jobs.greet.props.say.loud` is `maybe`: expected `true` or `false`",
        ":8: `elasticjob.jobs.greet.props.say.texts`: unknown property, did you mean `say.text`?",
    ];
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].ends_with("`elasticjob.jobs.greet.props.say.text`: is missing, expected a text"),
        "{found:?}"
    );
    for (found, expected) in found[1..].iter().zip(expected) {
        assert!(found.ends_with(expected), "{found}");
    }
}

#[test]
fn an_unknown_type_is_refused_with_the_known_ones() {
    let yaml = "elasticjob: {jobs: {greet: {elastic-job-type: SHOUT, sharding-total-count: 1}}}";
    let found = faults(application(&Arc::default(), &file(yaml)).job_executor("SILENT", Silent));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("job greet ("), "{found:?}");
    assert!(
        found[0].contains("unknown elastic-job-type `SHOUT`: expected one of "),
        "{found:?}"
    );
    assert!(found[0].contains("SAY, ") && found[0].contains("SILENT"), "{found:?}");
}

#[test]
fn two_types_of_one_name_are_refused() {
    let yaml =
        "elasticjob: {jobs: {greet: {elastic-job-type: SAY, sharding-total-count: 1, props: {say.text: hello}}}}";
    let yaml = file(yaml);
    let builder = application(&Arc::default(), &yaml);
    let registered = line!() + 1;
    let found = faults(builder.job_executor("SAY", Silent));
    let file = file!();
    assert_eq!(
        found,
        [format!(
            "more than one elastic-job-type is named `SAY`: {file}:{registered}, {file}:{SAY_LINE}"
        )]
    );
}

#[test]
fn names_what_a_declared_type_misses() {
    let builder = ElasticJob::builder()
        .environment([])
        .set("jobs.greet.elastic-job-type", "SILENT")
        .set("jobs.greet.sharding-total-count", "1")
        .job_executor("SILENT", Silent);
    let found = faults(builder);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&format!("elastic-job-type SAY ({}:", file!())),
        "{found:?}"
    );
    assert!(found[0].contains("field `journal: "), "{found:?}");
}

#[tokio::test]
async fn a_type_is_registered_without_discovery() {
    let builder = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .set("jobs.night.elastic-job-type", "SILENT")
        .set("jobs.night.sharding-total-count", "1")
        .job_executor("SILENT", Silent);
    let running = builder.build().unwrap().start().await.unwrap();
    let night = running.one_off_named("night").unwrap();
    assert!(
        night
            .execute_and_wait(Duration::from_secs(60))
            .await
            .unwrap()
            .is_success()
    );
    running.shutdown(Duration::from_secs(10)).await;
}
