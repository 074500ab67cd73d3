//! Members of both kinds record what becomes of their runs in one database, whichever made the tables: for each version of
//! Java members that Maven has, and each kind of database that is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::trace::Source;
use elasticjob::trace::history::{
    Database, History, JavaFilter, JavaName, JavaPaging, RecordedRun, RunFilter, RunOutcome,
};
use elasticjob_tests::cluster::{Cluster, SHARE, host_of};
use elasticjob_tests::databases::Kind::{MariaDb, Postgres};
use elasticjob_tests::databases::{self, DatabaseServer, PASSWORD, USER};
use elasticjob_tests::java;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::time::{Instant, sleep};

use super::{Java, Kind, NEVER, Ours, are_to_share, cluster, is_cleared_up, runs_that, trigger};

const ITEMS: u32 = 4;

/// How often the job is asked for.
const FIRINGS: usize = 2;

/// How long a server may take until it takes connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a member of either kind writes of each firing that it takes part in.
const STATES: [&str; 3] = ["TASK_FINISHED", "TASK_RUNNING", "TASK_STAGING"];

/// Both orders in each kind of database, with Java members of these versions.
macro_rules! with_java {
    ($($module:ident: $version:literal),+ $(,)?) => {$(
        mod $module {
            #[tokio::test(flavor = "multi_thread")]
            async fn writes_to_tables_that_we_made_in_postgres() -> anyhow::Result<()> {
                super::both_write($version, super::Postgres, super::Ours).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn makes_tables_that_we_write_to_in_postgres() -> anyhow::Result<()> {
                super::both_write($version, super::Postgres, super::Java).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn writes_to_tables_that_we_made_in_mariadb() -> anyhow::Result<()> {
                super::both_write($version, super::MariaDb, super::Ours).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn makes_tables_that_we_write_to_in_mariadb() -> anyhow::Result<()> {
                super::both_write($version, super::MariaDb, super::Java).await
            }
        }
    )+};
}

with_java!(java_3_0_1: "3.0.1", java_3_0_2: "3.0.2", java_3_0_3: "3.0.3", java_3_0_4: "3.0.4");

/// One of each kind, of which the first makes the tables and leads; the job runs a few times, and the history knows all.
#[expect(clippy::too_many_lines, reason = "one story")]
async fn both_write(version: &str, kind: databases::Kind, first: Kind) -> anyhow::Result<()> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let (server, java) = tokio::task::block_in_place(|| -> anyhow::Result<_> {
        Ok((DatabaseServer::shared(kind)?, java::member_of(version)?))
    })?;
    let name = format!("history_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    connect(&server.full_url())
        .await?
        .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await?;
    let url = server.url_of(&name);
    let cluster = cluster(&name.replace('_', "-"))?;
    let start = |kind: Kind, host| {
        let setup = match kind {
            Java => cluster.member_of(&java, host),
            Ours => kind.member(&cluster, host),
        };
        let setup = setup
            .with("ELASTICJOB_JOBS_SHARE_CRON", NEVER)
            .with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", ITEMS)
            .with("ELASTICJOB_TRACING_TYPE", "RDB")
            .with(
                "ELASTICJOB_TRACING_DATA_SOURCE_URL",
                format!("jdbc:{}", url.replace("postgres://", "postgresql://")),
            )
            .with("ELASTICJOB_TRACING_DATA_SOURCE_USERNAME", USER)
            .with("ELASTICJOB_TRACING_DATA_SOURCE_PASSWORD", PASSWORD);
        // A Java member records what the registry's configuration says, where ours have put nothing of that.
        let setup = match kind {
            Java => setup.with("ELASTICJOB_JOBS_SHARE_OVERWRITE", true),
            Ours => setup,
        };
        setup.start()
    };
    let database: Database = server.full_url_of(&name).parse()?;
    let history = History::open(&database)?;
    let _first = start(first, 1)?;
    are_to_share(&cluster, SHARE, &[1]).await;
    cluster
        .until("the first has made the tables", async || {
            history.runs(&RunFilter::default(), None, 1).await?;
            Ok(())
        })
        .await;
    let _second = start(first.other(), 2)?;
    are_to_share(&cluster, SHARE, &[1, 2]).await;
    let items: Vec<u32> = (0..ITEMS).collect();
    for firing in 1..=FIRINGS {
        trigger(&cluster).await?;
        cluster
            .until(&format!("firing {firing} has run"), async || {
                let ended = runs_that::<true>(&cluster)?.len();
                ensure!(ended == firing * items.len(), "{ended} runs");
                Ok(())
            })
            .await;
        is_cleared_up(&cluster, SHARE, &items).await;
    }

    let run = by_host_and_item(&cluster)?;
    ensure!(
        run.keys().any(|(host, _)| *host == 1) && run.keys().any(|(host, _)| *host == 2),
        "{run:?}"
    );
    let succeeded = RunFilter::default().job(SHARE).outcome(RunOutcome::Succeeded);
    let recorded = cluster
        .until("all that was run is recorded", async || {
            let found = history.runs(&succeeded, None, 100).await?.rows;
            ensure!(counted(&found)? == run, "{run:?} were run, recorded are {found:#?}");
            Ok(found)
        })
        .await;
    assert_eq!(
        history.runs(&RunFilter::default(), None, 100).await?.rows.len(),
        recorded.len()
    );
    for recorded in &recorded {
        let is_ours = (host(&recorded.ip)? == 1) == (first == Ours);
        // Java's driver, and its tables, have whole seconds in MariaDB.
        let is_exact = kind == Postgres || (is_ours && first == Ours);
        is_plausible(recorded, is_ours, is_exact)?;
    }
    for address in ["127.0.0.1", "127.0.0.2"] {
        let found = history
            .runs(&succeeded.clone().instance(address), None, 100)
            .await?
            .rows;
        let expected = recorded.iter().filter(|run| run.ip == address).count();
        assert_eq!(found.len(), expected, "{address}");
    }
    states_are_written(&cluster, &server.full_url_of(&name)).await?;
    answers_the_java_console(&history, &recorded).await?;
    let durations = history
        .durations(&RunFilter::default().job(SHARE))
        .await?
        .context("some ended")?;
    assert_eq!(durations.count, u64::try_from(recorded.len())?);
    let counts = history
        .counts(&RunFilter::default(), Duration::from_secs(86_400))
        .await?;
    let counted: u64 = counts.iter().flat_map(|counts| counts.counts.values()).sum();
    assert_eq!(counted, durations.count);
    cluster.assert_lawful();
    Ok(())
}

/// Checks what is recorded of a run that took 100 ms, to the second if the columns are not exact.
fn is_plausible(recorded: &RecordedRun, is_ours: bool, is_exact: bool) -> anyhow::Result<()> {
    assert_eq!(recorded.detail.is_some(), is_ours, "{recorded:?}");
    let source = if is_ours { Source::Trigger } else { Source::Schedule };
    assert_eq!(recorded.source, source, "{recorded:?}");
    let ended = recorded.ended_at.context("it ended")?;
    let took = ended.duration_since(recorded.started_at);
    ensure!(took.as_millis() >= if is_exact { 90 } else { 0 }, "{recorded:?}");
    // By the same zone as we read them.
    let ago = jiff::Timestamp::now().duration_since(recorded.started_at);
    ensure!(ago.unsigned_abs() < Duration::from_secs(600), "{recorded:?}");
    Ok(())
}

/// Checks that pages of the Java console have what both members wrote.
async fn answers_the_java_console(history: &History, recorded: &[RecordedRun]) -> anyhow::Result<()> {
    let mut paging = JavaPaging::default();
    let mut filter = JavaFilter::default();
    (filter.job, filter.is_success) = (Some(SHARE.to_owned()), Some(true));
    let mut ids = BTreeSet::new();
    paging.size = 3;
    for number in 1..=recorded.len().div_ceil(3) {
        paging.number = u32::try_from(number)?;
        let page = history.java_executions(&filter, &paging).await?;
        assert_eq!(page.total, u64::try_from(recorded.len())?);
        ids.extend(page.rows.into_iter().map(|row| row.id));
    }
    let expected: BTreeSet<String> = recorded.iter().map(|run| run.id.clone()).collect();
    assert_eq!(ids, expected, "each is on one page");

    let newest = recorded.iter().map(|run| run.started_at).max().context("some ran")?;
    let page = history.java_executions(&filter, &JavaPaging::default()).await?;
    assert_eq!(page.rows[0].start_time, Some(newest));
    filter.after = Some(newest);
    let page = history.java_executions(&filter, &JavaPaging::default()).await?;
    assert_eq!((page.total, page.rows.len()), (0, 0), "the bounds are strict");

    let mut filter = JavaFilter::default();
    filter.state = Some("TASK_FINISHED".to_owned());
    let page = history.java_statuses(&filter, &JavaPaging::default()).await?;
    ensure!(
        page.total >= 2 && page.rows.iter().all(|row| row.state == "TASK_FINISHED"),
        "{page:?}"
    );
    let names = history.java_names(JavaName::ExecutionJob, &SHARE[..2], 20).await?;
    assert_eq!(names, [SHARE]);
    let ips = history.java_names(JavaName::ExecutionIp, "127.0.0.", 20).await?;
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2"]);
    Ok(())
}

/// Waits until both members have written each state of a firing.
async fn states_are_written(cluster: &Cluster, url: &str) -> anyhow::Result<()> {
    let mut connection = connect(url).await?;
    cluster
        .until("both have written the states of their firings", async || {
            let states = states(&mut connection).await?;
            for address in ["127.0.0.1", "127.0.0.2"] {
                let known = states.iter().filter(|(of, _)| of == address);
                ensure!(known.map(|(_, state)| state).eq(&STATES), "{states:?}");
            }
            Ok(())
        })
        .await;
    Ok(())
}

/// Returns how often each host ran each item.
fn by_host_and_item(cluster: &Cluster) -> anyhow::Result<BTreeMap<(u8, u32), usize>> {
    let mut counted = BTreeMap::new();
    for run in runs_that::<true>(cluster)? {
        *counted.entry((host_of(&run.id.instance)?, run.id.item)).or_default() += 1;
    }
    Ok(counted)
}

fn counted(recorded: &[RecordedRun]) -> anyhow::Result<BTreeMap<(u8, u32), usize>> {
    let mut counted = BTreeMap::new();
    for run in recorded {
        *counted.entry((host(&run.ip)?, run.item)).or_default() += 1;
    }
    Ok(counted)
}

/// Returns the number of the host with this address.
fn host(ip: &str) -> anyhow::Result<u8> {
    let last = ip.rsplit('.').next().context("an address")?;
    Ok(last.parse()?)
}

/// Returns the states that are recorded, each with the address of the instance that wrote it.
async fn states(connection: &mut AnyConnection) -> anyhow::Result<BTreeSet<(String, String)>> {
    let found = sqlx::query("SELECT slave_id, state FROM JOB_STATUS_TRACE_LOG")
        .fetch_all(connection)
        .await?;
    let states = found.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    states.collect()
}

/// Connects, also to a server that has just begun to listen.
async fn connect(url: &str) -> anyhow::Result<AnyConnection> {
    install_default_drivers();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match AnyConnection::connect(url).await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}
