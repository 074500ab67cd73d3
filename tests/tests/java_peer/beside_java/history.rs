//! Members of both kinds record what becomes of their runs in one PostgreSQL database.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::trace::Source;
use elasticjob::trace::history::{Database, History, RecordedRun, RunFilter, RunOutcome};
use elasticjob_tests::cluster::{Cluster, SHARE, host_of};
use elasticjob_tests::databases::{self, DatabaseServer, PASSWORD, USER};

use super::{Java, Kind, NEVER, Ours, are_to_share, cluster, is_cleared_up, runs_that, trigger};

const ITEMS: u32 = 4;

/// How often the job is asked for.
const FIRINGS: usize = 3;

/// One of each kind, of which the first makes the tables and leads; the job runs a few times, and the history knows all.
async fn both_write(namespace: &str, first: Kind) -> anyhow::Result<()> {
    let server = tokio::task::block_in_place(|| DatabaseServer::start(databases::Kind::Postgres))?;
    let url = server.url();
    let cluster = cluster(namespace)?;
    let start = |kind: Kind, host| {
        let setup = kind
            .member(&cluster, host)
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
    let database: Database = server.full_url().parse()?;
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
        assert_eq!(recorded.detail.is_some(), is_ours, "{recorded:?}");
        let source = if is_ours { Source::Trigger } else { Source::Schedule };
        assert_eq!(recorded.source, source, "{recorded:?}");
        let took = recorded
            .ended_at
            .context("it ended")?
            .duration_since(recorded.started_at);
        ensure!(took.as_millis() >= 90, "{recorded:?}");
        // By the same zone as we read them.
        let ago = jiff::Timestamp::now().duration_since(recorded.started_at);
        ensure!(ago.unsigned_abs() < Duration::from_secs(600), "{recorded:?}");
    }
    for address in ["127.0.0.1", "127.0.0.2"] {
        let found = history
            .runs(&succeeded.clone().instance(address), None, 100)
            .await?
            .rows;
        let expected = recorded.iter().filter(|run| run.ip == address).count();
        assert_eq!(found.len(), expected, "{address}");
    }
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

/// How often each host ran each item.
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

/// The number of the host with this address.
fn host(ip: &str) -> anyhow::Result<u8> {
    let last = ip.rsplit('.').next().context("an address")?;
    Ok(last.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_should_write_one_history_where_java_made_the_tables() -> anyhow::Result<()> {
    both_write("history-java-first", Java).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_should_write_one_history_where_we_made_the_tables() -> anyhow::Result<()> {
    both_write("history-we-first", Ours).await
}
