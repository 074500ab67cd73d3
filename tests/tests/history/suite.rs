//! What holds on every database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::job::Registration;
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::trace::Source;
use elasticjob::trace::history::{Database, History, RecordedRun, RunFilter, RunOutcome};
use jiff::Timestamp;

use crate::application::{PATIENCE, execute, history, recorded, start, start_on};
use crate::java;
use crate::place::Place;

/// Returns a one-off job. Its item 2 fails for a long reason.
fn three_items(name: &str) -> Registration {
    job(name, async |shard: ShardingContext| match shard.sharding_item() {
        2 => Err(format!("磁盘满了 \0 {}", "x".repeat(5000))),
        _ => Ok(()),
    })
    .sharding(3)
}

pub(crate) async fn runs_should_be_recorded_with_their_ends(place: Place) -> anyhow::Result<()> {
    let before = Timestamp::now();
    let application = start(&place.url, &[], [three_items("订单")]).await?;
    execute(&application, "订单").await?;
    let history = history(&application)?;
    let is_ended = |rows: &[_]| rows.len() == 3 && rows.iter().all(|run: &RecordedRun| run.ended_at.is_some());
    let mut runs = recorded(&history, &RunFilter::default(), is_ended).await?;
    runs.sort_by_key(|run| run.item);
    let outcomes: Vec<_> = runs.iter().map(|run| (run.item, run.outcome)).collect();
    let (succeeded, failed) = (RunOutcome::Succeeded, RunOutcome::Failed);
    assert_eq!(outcomes, [(0, succeeded), (1, succeeded), (2, failed)]);
    let failure = runs[2].failure.as_deref().context("a failure")?;
    ensure!(failure.starts_with("磁盘满了 \u{fffd} xxx"), "{failure}");
    assert_eq!(failure.chars().count(), 4000, "cut by characters");
    for run in &runs {
        let detail = run.detail.as_ref().context("ours")?;
        assert_eq!((run.source, detail.attempt), (Source::Trigger, 1));
        ensure!(
            detail.instance.starts_with(&run.ip) && run.task_id.ends_with(&detail.instance),
            "{run:?}"
        );
        ensure!(run.task_id.starts_with("订单@-@0,1,2@-@READY@-@"), "{run:?}");
        let ended_at = run.ended_at.context("ended")?;
        let times = [before, run.started_at, ended_at, Timestamp::now()];
        ensure!(times.map(|time| time.as_second()).is_sorted(), "{times:?}");
        ensure!(
            run.started_at.duration_since(detail.scheduled_time).as_secs().abs() < 60,
            "{run:?}"
        );
    }
    let failures = RunFilter::default()
        .outcome(RunOutcome::Failed)
        .job("订单")
        .item(2)
        .source(Source::Trigger);
    let found = history.runs(&failures.instance(runs[2].ip.clone()), None, 10).await?;
    assert_eq!(found.rows, runs[2..]);
    assert_eq!(found.next, None);

    application.shutdown(Duration::from_secs(5)).await;
    let recording = application.recording().context("recorded")?;
    assert_eq!(
        (recording.recorded, recording.dropped, recording.is_reachable),
        (9, 0, true)
    );
    // What Java reads.
    let states = place
        .texts("SELECT state FROM JOB_STATUS_TRACE_LOG ORDER BY creation_time, state DESC")
        .await?;
    let states: BTreeSet<&str> = states.iter().map(String::as_str).collect();
    assert_eq!(states, BTreeSet::from(["TASK_STAGING", "TASK_RUNNING", "TASK_ERROR"]));
    let items = place.texts("SELECT sharding_item FROM JOB_STATUS_TRACE_LOG").await?;
    assert_eq!(items, ["[0, 1, 2]"; 3]);
    let messages = place
        .texts("SELECT message FROM JOB_STATUS_TRACE_LOG WHERE state = 'TASK_ERROR'")
        .await?;
    ensure!(messages[0].starts_with("item 2: 磁盘满了"), "{messages:?}");
    let sources = place.texts("SELECT execution_source FROM JOB_EXECUTION_LOG").await?;
    assert_eq!(sources, ["NORMAL_TRIGGER"; 3]);
    Ok(())
}

pub(crate) async fn a_make_up_run_and_skipped_times_should_be_recorded_as_such(place: Place) -> anyhow::Result<()> {
    let slow = job("slow", async |_: ShardingContext| {
        tokio::time::sleep(Duration::from_millis(2500)).await
    });
    let slow = slow.cron("* * * * * ?").sharding(1).set("misfire", "true");
    let application = start(&place.url, &[], [slow]).await?;
    let history = history(&application)?;
    let misfires = RunFilter::default()
        .source(Source::Misfire)
        .outcome(RunOutcome::Succeeded);
    let made_up = recorded(&history, &misfires, |rows| !rows.is_empty()).await?;
    let took = made_up[0]
        .ended_at
        .context("ended")?
        .duration_since(made_up[0].started_at);
    ensure!(took.as_millis() >= 2400, "{took:?}");
    application.shutdown(Duration::from_secs(10)).await;
    // The times that came while it ran, but for the one that was made up.
    let database: Database = place.url.parse()?;
    let skipped = History::open(&database)?
        .skipped(&RunFilter::default().job("slow").item(0), 100)
        .await?;
    ensure!(
        !skipped.is_empty() && skipped.iter().all(|skip| skip.times.count > 0),
        "{skipped:?}"
    );
    let java = place
        .texts("SELECT DISTINCT execution_source FROM JOB_EXECUTION_LOG ORDER BY execution_source")
        .await?;
    assert_eq!(java, ["MISFIRE", "NORMAL_TRIGGER"]);
    Ok(())
}

pub(crate) async fn tables_of_java_should_be_used_as_they_are(place: Place) -> anyhow::Result<()> {
    shared_with_java(place, true).await
}

pub(crate) async fn tables_of_java_without_a_source_should_be_used_too(place: Place) -> anyhow::Result<()> {
    shared_with_java(place, false).await
}

async fn shared_with_java(place: Place, has_source: bool) -> anyhow::Result<()> {
    let [executions, statuses] = java::tables(place.kind, has_source);
    let rows = [
        java::row(&place, "one", 0, Some(3), None),
        java::row(&place, "two", 1, None, None),
        java::row(&place, "three", 2, None, Some("disk full")),
    ];
    place.execute(&[&executions, &statuses, &java::insert(&rows)]).await?;

    // Before any member of ours has come.
    let database: Database = place.url.parse()?;
    let history = History::open(&database)?;
    let all = RunFilter::default();
    let failed = all.clone().outcome(RunOutcome::Failed);
    let found = history.runs(&failed, None, 10).await?.rows;
    ensure!(found.len() == 1 && found[0].detail.is_none(), "{found:?}");
    assert_eq!(history.runs(&all, None, 10).await?.rows.len(), 3);
    assert_eq!(history.counts(&all, Duration::from_secs(3600)).await?.len(), 1);
    let durations = history.durations(&all).await?.context("one ended")?;
    assert_eq!((durations.count, durations.max), (1, Duration::from_secs(3)));
    assert_eq!(history.skipped(&all, 10).await?, []);

    let application = start(&place.url, &[], [three_items("ours")]).await?;
    execute(&application, "ours").await?;
    application.shutdown(Duration::from_secs(5)).await;
    // The same history as before sees what ours have written since.
    assert_eq!(history.runs(&RunFilter::default(), None, 10).await?.rows.len(), 6);
    let ours = history.runs(&RunFilter::default().job("ours"), None, 10).await?.rows;
    ensure!(ours.iter().all(|run| run.detail.is_some()), "{ours:?}");
    let mut java = history.runs(&RunFilter::default().job("java"), None, 10).await?.rows;
    java.sort_by_key(|run| run.item);
    let outcomes: Vec<_> = java.iter().map(|run| run.outcome).collect();
    assert_eq!(
        outcomes,
        [RunOutcome::Succeeded, RunOutcome::Running, RunOutcome::Failed]
    );
    assert_eq!(java[0].started_at, "2026-01-01T00:00:00Z".parse()?);
    assert_eq!(java[0].ended_at, Some("2026-01-01T00:00:03Z".parse()?));
    assert_eq!((java[0].source, &java[0].detail), (Source::Schedule, &None));
    assert_eq!(java[2].failure.as_deref(), Some("disk full"));
    for outcome in [
        RunOutcome::Succeeded,
        RunOutcome::Running,
        RunOutcome::Failed,
        RunOutcome::Lost,
    ] {
        let found = history
            .runs(&RunFilter::default().job("java").outcome(outcome), None, 10)
            .await?;
        assert_eq!(found.rows.len(), usize::from(outcome != RunOutcome::Lost), "{outcome}");
    }
    let states = place.texts("SELECT state FROM JOB_STATUS_TRACE_LOG").await?;
    assert_eq!(states.len(), 3, "{states:?}");
    Ok(())
}

pub(crate) async fn every_run_should_be_on_one_page(place: Place) -> anyhow::Result<()> {
    let application = start(&place.url, &[], [three_items("ours")]).await?;
    execute(&application, "ours").await?;
    application.shutdown(Duration::from_secs(5)).await;
    // Five of each item, at the same moment.
    let rows: Vec<String> = (0..60)
        .map(|number| java::row(&place, &format!("{number:02}"), number % 12, Some(1), None))
        .collect();
    place.execute(&[&java::insert(&rows)]).await?;
    let database: Database = place.url.parse()?;
    let history = History::open(&database)?;
    for limit in [1, 7, 1000] {
        let (mut seen, mut after, mut times) = (BTreeSet::new(), None, Vec::new());
        loop {
            let page = history.runs(&RunFilter::default(), after.as_ref(), limit).await?;
            ensure!(page.rows.len() <= limit as usize);
            times.extend(page.rows.iter().map(|run| run.started_at));
            ensure!(
                page.rows.iter().all(|run| seen.insert(run.id.clone())),
                "twice: {page:?}"
            );
            // As a text, as a web page hands it on.
            after = page.next.map(|next| next.to_string().parse()).transpose()?;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 63);
        ensure!(times.iter().rev().is_sorted(), "{times:?}");
    }
    let two = RunFilter::default()
        .from("2026-01-01T00:05:00Z".parse()?)
        .until("2026-01-01T00:07:00Z".parse()?);
    let found = history.runs(&two, None, 100).await?.rows;
    let items: BTreeSet<u32> = found.iter().map(|run| run.item).collect();
    assert_eq!((found.len(), items), (10, BTreeSet::from([5, 6])));
    Ok(())
}

/// However few of many runs are asked for, a page looks at some of them only, and all pages find each once.
pub(crate) async fn a_page_should_look_at_some_runs_and_the_next_go_on(place: Place) -> anyhow::Result<()> {
    const RUNS: u32 = 5000;
    let [executions, statuses] = java::tables(place.kind, true);
    place.execute(&[&executions, &statuses]).await?;
    for first in (0..RUNS).step_by(1000) {
        let rows: Vec<String> = (first..first + 1000)
            .map(|number| java::row(&place, &format!("{number:05}"), number / 2, Some(1), None))
            .collect();
        place.execute(&[&java::insert(&rows)]).await?;
    }
    let database: Database = place.url.parse()?;
    let history = History::open(&database)?;
    // Each is of two runs. No index is by the item alone.
    for (item, pages) in [(RUNS / 2 - 1, [2, 0, 0]), (1250, [0, 2, 0]), (0, [0, 0, 2])] {
        let filter = RunFilter::default().item(item);
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..pages.len() {
            let page = history.runs(&filter, after.as_ref(), 10).await?;
            found.push(page.rows.len());
            after = page.next;
        }
        assert_eq!((&found[..], after), (&pages[..], None), "item {item}");
    }
    Ok(())
}

pub(crate) async fn counts_and_durations_should_be_those_of_the_runs(place: Place) -> anyhow::Result<()> {
    let application = start(&place.url, &[], [three_items("ours")]).await?;
    execute(&application, "ours").await?;
    application.shutdown(Duration::from_secs(5)).await;
    let rows: Vec<String> = (0..100)
        .map(|number| {
            java::row(
                &place,
                &format!("{number}"),
                number,
                Some(number + 1),
                (number < 10).then_some("no"),
            )
        })
        .collect();
    place.execute(&[&java::insert(&rows)]).await?;
    let database: Database = place.url.parse()?;
    let history = History::open(&database)?;
    let java = RunFilter::default().job("java");
    let counts = history.counts(&java, Duration::from_secs(3600)).await?;
    let counts: Vec<_> = counts
        .iter()
        .map(|counts| (counts.from.to_string(), &counts.counts))
        .collect();
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert_eq!(counts[0].0, "2026-01-01T00:00:00Z");
    let (succeeded, failed) = (RunOutcome::Succeeded, RunOutcome::Failed);
    assert_eq!(
        (counts[0].1.get(&succeeded), counts[0].1.get(&failed)),
        (Some(&50), Some(&10))
    );
    assert_eq!(
        (counts[1].1.get(&succeeded), counts[1].1.get(&failed)),
        (Some(&40), None)
    );

    let durations = history.durations(&java).await?.context("some ended")?;
    let seconds = [
        durations.min,
        durations.p50,
        durations.p90,
        durations.p99,
        durations.max,
    ];
    assert_eq!(seconds.map(|time| time.as_secs()), [1, 50, 90, 99, 100]);
    assert_eq!(durations.count, 100);
    assert_eq!(history.durations(&RunFilter::default().job("unknown")).await?, None);
    Ok(())
}

/// Five instances write at once, and every run is there once.
pub(crate) async fn all_runs_of_five_instances_should_be_recorded(place: Place) -> anyhow::Result<()> {
    const ITEMS: u32 = 400;
    const FIRINGS: u32 = 5;
    let registry = Arc::new(MemoryRegistry::new());
    let quick = || job("quick", async |_: ShardingContext| {}).sharding(ITEMS);
    let mut instances = Vec::new();
    for _ in 0..5 {
        instances.push(start_on(&registry, &place.url, [quick()]).await?);
    }
    for _ in 0..FIRINGS {
        ensure!(execute(&instances[0], "quick").await?.is_success());
    }
    let database: Database = place.url.parse()?;
    let history = History::open(&database)?;
    // So that none of it is given up because the machine is slow.
    let written = async {
        let succeeded = RunFilter::default().outcome(RunOutcome::Succeeded);
        loop {
            let counts = history.counts(&succeeded, Duration::from_secs(86_400)).await;
            let counts = counts.iter().flatten().flat_map(|counts| counts.counts.values());
            if counts.sum::<u64>() == u64::from(ITEMS * FIRINGS) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 2, written)
        .await
        .context("all is written")?;
    let mut writers = 0;
    for instance in &instances {
        instance.shutdown(Duration::from_secs(30)).await;
        let recording = instance.recording().context("recorded")?;
        writers += usize::from(recording.recorded > 0);
    }
    ensure!(writers > 1, "all was written by {writers}");
    let (mut seen, mut after) = (BTreeSet::new(), None);
    loop {
        let page = history.runs(&RunFilter::default(), after.as_ref(), 1000).await?;
        for run in page.rows {
            assert_eq!(run.outcome, RunOutcome::Succeeded, "{run:?}");
            ensure!(seen.insert((run.item, run.detail.context("ours")?.run_id)));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), (ITEMS * FIRINGS) as usize);
    Ok(())
}

pub(crate) async fn only_the_jobs_that_are_named_should_be_recorded(place: Place) -> anyhow::Result<()> {
    let jobs = || [three_items("one"), three_items("other")];
    for setting in [
        "ELASTICJOB_TRACING_INCLUDE_JOB_NAMES",
        "ELASTICJOB_TRACING_EXCLUDE_JOB_NAMES",
    ] {
        let application = start(&place.url, &[(setting, "one")], jobs()).await?;
        execute(&application, "one").await?;
        execute(&application, "other").await?;
        application.shutdown(Duration::from_secs(5)).await;
    }
    let names = place
        .texts("SELECT job_name FROM JOB_EXECUTION_LOG ORDER BY job_name")
        .await?;
    assert_eq!(names, ["one", "one", "one", "other", "other", "other"]);
    Ok(())
}

pub(crate) async fn old_history_should_be_deleted_and_new_kept(place: Place) -> anyhow::Result<()> {
    let [executions, statuses] = java::tables(place.kind, true);
    let rows: Vec<String> = (0..1200)
        .map(|number| java::row(&place, &format!("{number}"), number % 50, Some(1), None))
        .collect();
    place.execute(&[&executions, &statuses, &java::insert(&rows)]).await?;
    let settings = [("ELASTICJOB_TRACING_RETENTION", "30d")];
    let application = start(&place.url, &settings, [three_items("ours")]).await?;
    execute(&application, "ours").await?;
    let history = history(&application)?;
    let is_new = |rows: &[RecordedRun]| rows.len() == 3 && rows.iter().all(|run| run.job == "ours");
    recorded(&history, &RunFilter::default(), is_new).await?;
    application.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
