//! How SQLite goes about questions.

use jiff::Timestamp;

use super::way::Way;
use super::*;

const ADDRESS: &str = "10.0.0.7";

/// Every combination of conditions.
fn filters() -> Vec<RunFilter> {
    let time = Timestamp::from_second(1_767_225_600).unwrap();
    let mut filters = vec![RunFilter::default()];
    let mut combine = |more: &dyn Fn(RunFilter) -> Vec<RunFilter>| {
        let combined: Vec<_> = filters.iter().cloned().flat_map(more).collect();
        filters.extend(combined);
    };
    combine(&|filter| vec![filter.job("job")]);
    combine(&|filter| vec![filter.item(3)]);
    combine(&|filter| {
        let id = format!("{ADDRESS}@-@1-abcdef");
        vec![filter.clone().instance(ADDRESS), filter.instance(id)]
    });
    combine(&|filter| RunOutcome::ALL.map(|outcome| filter.clone().outcome(outcome)).into());
    combine(&|filter| {
        let sources = [Source::Schedule, Source::Misfire, Source::Failover, Source::Trigger];
        sources.map(|source| filter.clone().source(source)).into()
    });
    combine(&|filter| vec![filter.from(time)]);
    combine(&|filter| vec![filter.until(time)]);
    filters
}

#[tokio::test]
async fn uses_an_index_and_no_sort_for_every_query() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/history.db", directory.path().display());
    let store = Store::new(&url.parse().unwrap(), Access::Write).unwrap();
    store.prepare().await.unwrap();
    let history = History::of(store);
    let place = Cursor {
        time: 1_767_225_600_000_000,
        id: "run".to_owned(),
    };
    let sources = history.sources().await.unwrap();
    let filters = filters();
    assert_eq!(filters.len(), 2 * 2 * 3 * 6 * 5 * 2 * 2);
    for filter in filters {
        for (after, last) in [
            (None, None),
            (Some(&place), None),
            (None, Some(&place)),
            (Some(&place), Some(&place)),
        ] {
            let mut query = history.page(&sources, &filter, after, last);
            query.sql = format!("EXPLAIN QUERY PLAN {} LIMIT 51", query.sql);
            let plan = history.store.rows(&query).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.try_get(3).unwrap()).collect();
            let index = match Way::of(&filter) {
                Way::Source => "ELASTICJOB_RUNS_BY_SOURCE (execution_source=?",
                Way::Item => "ELASTICJOB_RUNS_BY_ITEM (job_name=? AND sharding_item=?",
                Way::JobAndSuccess => "ELASTICJOB_RUNS_BY_JOB_SUCCESS (job_name=? AND is_success=?",
                Way::Job => "ELASTICJOB_RUNS_BY_JOB (job_name=?",
                Way::Success => "ELASTICJOB_RUNS_BY_SUCCESS (is_success=?",
                Way::Address => "ELASTICJOB_RUNS_BY_IP (ip=?",
                Way::Time => "ELASTICJOB_RUNS_BY_TIME",
            };
            assert!(plan[0].contains(index), "{filter:?}: {plan:#?}");
            assert!(plan[1].starts_with("SEARCH d "), "{filter:?}: {plan:#?}");
            assert_eq!(plan.len(), 2, "{filter:?}: {plan:#?}");
        }
    }
}

#[tokio::test]
async fn finds_the_attempts_of_a_run_by_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/history.db", directory.path().display());
    let store = Store::new(&url.parse().unwrap(), Access::Write).unwrap();
    store.prepare().await.unwrap();
    let history = History::of(store);
    let Sources { runs, details } = history.sources().await.unwrap();
    for (column, index) in [
        ("d.run_id", "ELASTICJOB_RUN_BY_RUN (run_id=?"),
        ("e.id", "sqlite_autoindex_JOB_EXECUTION_LOG_1 (id=?"),
    ] {
        let columns = columns(history.store.dialect());
        let query =
            format!("EXPLAIN QUERY PLAN SELECT {columns} FROM {runs}{details} WHERE {column} = 'run' LIMIT 100");
        let plan = history.store.rows(&Statement::of(query)).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.try_get(3).unwrap()).collect();
        assert!(plan[0].contains(index) && plan.len() == 2, "{plan:#?}");
    }
}

#[test]
fn an_index_should_serve_all_of_the_usual_questions() {
    let job = || RunFilter::default().job("job");
    for served in [
        RunFilter::default(),
        job(),
        job().item(3),
        job().outcome(RunOutcome::Succeeded),
        RunFilter::default().instance(ADDRESS),
        RunFilter::default().source(Source::Failover),
    ] {
        assert!(served.is_served(), "{served:?}");
    }
    for looked_through in [
        RunFilter::default().item(3),
        job().outcome(RunOutcome::Lost),
        job().source(Source::Trigger),
        RunFilter::default().instance(format!("{ADDRESS}@-@1-abcdef")),
    ] {
        assert!(!looked_through.is_served(), "{looked_through:?}");
    }
}

#[tokio::test]
async fn reports_a_database_that_cannot_be_queried() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/absent.db", directory.path().display());
    let history = History::open(&url.parse().unwrap()).unwrap();
    let all = RunFilter::default();
    assert!(history.runs(&all, None, 1).await.is_err());
    assert!(history.skipped(&all, 1).await.is_err());
    assert!(history.durations(&all).await.is_err());
}
