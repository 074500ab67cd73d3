//! What is written, on a real SQLite.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::Row as _;
use tempfile::TempDir;

use crate::run::ItemOutcome;
use crate::trace::{JobEvent, LostRun, RunEvent, Source, TaskEvent, TaskState};

use super::fit::Texts;
use super::query::History;
use super::rows::Rows;
use super::shape::Shape;
use super::statement::Statement;
use super::store::{Access, Store};
use super::{Database, RecordedRun, RunFilter, RunOutcome};

struct Place {
    store: Store,
    shape: Shape,
    _directory: TempDir,
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/history.db", directory.path().display());
        let database: Database = url.parse().unwrap();
        let store = Store::new(&database, Access::Write).unwrap();
        let shape = store.prepare().await.unwrap().shape;
        Self {
            store,
            shape,
            _directory: directory,
        }
    }

    async fn write(&self, events: &[JobEvent]) {
        let rows = Rows::of(events, "host");
        self.store.write(&rows, &self.shape, Texts::Fitted).await.unwrap();
    }

    async fn runs(&self) -> Vec<RecordedRun> {
        let history = History::of(self.store.clone());
        history.runs(&RunFilter::default(), None, 100).await.unwrap().rows
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn run(attempt: u32) -> RunEvent {
    RunEvent {
        job: "job".into(),
        item: 3,
        scheduled_time: at(10),
        run_id: "k3v9x0a1b2c3".into(),
        attempt,
        retries: 0,
        source: match attempt {
            1 => Source::Schedule,
            _ => Source::Failover,
        },
        instance: Arc::from(format!("10.0.0.{attempt}@-@7-abcdef")),
        task_id: "job@-@3@-@READY@-@10.0.0.1@-@7-abcdef".into(),
        started_at: at(11),
    }
}

fn started(attempt: u32) -> JobEvent {
    JobEvent::Started(run(attempt))
}

fn ended(attempt: u32) -> JobEvent {
    JobEvent::Ended {
        run: RunEvent {
            started_at: at(12),
            retries: 2,
            ..run(attempt)
        },
        outcome: ItemOutcome::Succeeded,
        ended_at: at(15),
        failure: None,
    }
}

fn lost(attempt: u32) -> JobEvent {
    let run = run(attempt);
    JobEvent::Lost {
        job: "job".into(),
        item: 3,
        run: Some(LostRun {
            scheduled_time: run.scheduled_time,
            run_id: run.run_id,
            attempt,
            source: run.source,
            instance: run.instance,
        }),
    }
}

#[tokio::test]
async fn joins_start_and_end_of_a_run_in_one_row() {
    for order in [
        &[started(1), ended(1)][..],
        &[ended(1), started(1)],
        &[started(1), ended(1), started(1), ended(1)],
    ] {
        let (one_by_one, together) = (Place::new().await, Place::new().await);
        for event in order {
            one_by_one.write(std::slice::from_ref(event)).await;
        }
        together.write(order).await;
        together.write(order).await;
        for place in [one_by_one, together] {
            let runs = place.runs().await;
            assert_eq!(runs.len(), 1, "{runs:#?}");
            assert_eq!(runs[0].outcome, RunOutcome::Succeeded);
            assert_eq!((runs[0].started_at, runs[0].ended_at), (at(12), Some(at(15))));
            let detail = runs[0].detail.as_ref().unwrap();
            assert_eq!((detail.scheduled_time, detail.retries), (at(10), 2));
        }
    }
}

#[tokio::test]
async fn records_a_lost_run_with_or_without_its_start() {
    for order in [&[started(1), lost(1)][..], &[lost(1)], &[lost(1), started(1)]] {
        let place = Place::new().await;
        for event in order {
            place.write(std::slice::from_ref(event)).await;
        }
        let runs = place.runs().await;
        assert_eq!(runs.len(), 1, "{runs:#?}");
        assert_eq!(runs[0].outcome, RunOutcome::Lost, "{order:?}");
        assert_eq!(runs[0].failure.as_deref(), Some("its instance died"));
        assert_eq!(runs[0].ip, "10.0.0.1");
    }
}

#[tokio::test]
async fn records_a_followed_attempt_as_lost() {
    let place = Place::new().await;
    place.write(&[started(1)]).await;
    place.write(&[started(2), ended(2)]).await;
    let mut runs = place.runs().await;
    runs.sort_by_key(|run| run.detail.as_ref().unwrap().attempt);
    let outcomes: Vec<_> = runs.iter().map(|run| (run.outcome, run.source)).collect();
    assert_eq!(
        outcomes,
        [
            (RunOutcome::Lost, Source::Schedule),
            (RunOutcome::Succeeded, Source::Failover)
        ]
    );
    // An end that was recorded stays.
    let place = Place::new().await;
    place.write(&[started(1), ended(1), lost(1), started(2)]).await;
    let kept = place.runs().await;
    assert!(kept.iter().any(|run| run.outcome == RunOutcome::Succeeded), "{kept:#?}");
}

#[tokio::test]
async fn distinguishes_states_of_one_task_by_the_run() {
    let place = Place::new().await;
    let state = |run_id: &str, second| {
        JobEvent::Task(TaskEvent {
            job: "job".into(),
            task_id: "job@-@3@-@READY@-@10.0.0.1@-@7".into(),
            instance: "10.0.0.1@-@7".into(),
            scheduled_time: at(second),
            run_id: run_id.into(),
            attempt: 1,
            items: [3].into(),
            state: TaskState::Staging,
            message: String::new(),
            at: at(second),
        })
    };
    let events = [state("first0000000", 10), state("second000000", 20)];
    place.write(&events).await;
    place.write(&events).await;
    let mut query = Statement::new();
    query.push(
        "SELECT s.task_id, r.run_id, r.scheduled_time, r.instance FROM JOB_STATUS_TRACE_LOG s \
         JOIN ELASTICJOB_STATE r ON r.id = s.id ORDER BY r.scheduled_time",
    );
    let found = place.store.rows(&query).await.unwrap();
    let rows: Vec<(String, String, i64, String)> = found
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect();
    let row = |run: &str, time| {
        let task = "job@-@3@-@READY@-@10.0.0.1@-@7".to_owned();
        (task, run.to_owned(), time, "10.0.0.1@-@7".to_owned())
    };
    assert_eq!(rows, [row("first0000000", 10_000), row("second000000", 20_000)]);
}
