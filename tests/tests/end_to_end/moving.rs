//! Jobs that move from one registry centre to another, and go on there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::operation::Operations;
use elasticjob::registry::sql::{PostgresRegistry, SqliteRegistry};
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{Answer, Read, Registry, Session};
use elasticjob_tests::cluster::{Cluster, PERIOD, SHARE, all_items};
use elasticjob_tests::databases::{self, DatabaseServer};
use elasticjob_tests::process::Member;
use elasticjob_tests::programs::program;
use elasticjob_tests::zookeeper::Server;
use jiff::Timestamp;

use crate::cluster;

/// Longer than a server takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns what a command says, and whether it succeeded.
async fn command(arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = tokio::process::Command::new(program("elasticjob"))
        .args(arguments)
        .env_clear()
        .current_dir(std::env::temp_dir())
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(said)?))
}

async fn succeeds(arguments: &[&str]) -> anyhow::Result<String> {
    let (is_done, said) = command(arguments).await?;
    ensure!(is_done, "{arguments:?}: {said}");
    Ok(said)
}

/// Ends a member, and waits until its instance is gone from the jobs.
async fn ends(mut member: Member, operations: &Operations) -> anyhow::Result<()> {
    member.terminate()?;
    let (status, log) = member.ended().await?;
    ensure!(status.success(), "{log}");
    let job = operations.job(SHARE).await?;
    ensure!(job.instances.is_empty(), "{job:?}");
    Ok(())
}

/// When each item has run, by scheduled time.
fn runs(cluster: &Cluster) -> anyhow::Result<BTreeMap<u32, Vec<Timestamp>>> {
    let mut runs: BTreeMap<u32, Vec<Timestamp>> = BTreeMap::new();
    for run in cluster.runs()?.into_iter().filter(|run| run.id.job == SHARE) {
        runs.entry(run.id.item).or_default().push(run.id.scheduled);
    }
    runs.values_mut().for_each(|times| times.sort_unstable());
    Ok(runs)
}

/// All nodes of a registry, but those that members create as containers and a server deletes when they are empty.
async fn tree(session: &Arc<dyn Session>) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let (mut nodes, mut waiting) = (BTreeMap::new(), vec![String::new()]);
    while let Some(path) = waiting.pop() {
        let node = if path.is_empty() { "/".to_owned() } else { path.clone() };
        let answers = session
            .read(vec![Read::Data(node.clone()), Read::Children(node)])
            .await?;
        let [Answer::Data(data), Answer::Children(children)] = &answers[..] else {
            anyhow::bail!("unexpected: {answers:?}");
        };
        waiting.extend(children.iter().flatten().map(|name| format!("{path}/{name}")));
        if let Some((data, _)) = data
            && !path.is_empty()
            && !path.contains("/leader")
        {
            nodes.insert(path, data.clone());
        }
    }
    Ok(nodes)
}

/// Waits until a server that listens serves, too.
async fn serves(server: &DatabaseServer) -> anyhow::Result<()> {
    let registry = PostgresRegistry::new(&server.full_url(), "first")?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = registry.connect().await {
        ensure!(tokio::time::Instant::now() < deadline, "{error}");
    }
    Ok(())
}

fn sqlite(file: &Path) -> anyhow::Result<SqliteRegistry> {
    Ok(SqliteRegistry::new(file, "moving")?)
}

/// Checks that each time between the old runs and the new ones is accounted for: by the ledger that came along, since the member was
/// never there before.
async fn accounts_for_each_time(
    after: &Operations,
    old: &BTreeMap<u32, Vec<Timestamp>>,
    new: &BTreeMap<u32, Vec<Timestamp>>,
) -> anyhow::Result<()> {
    for item in after.items(SHARE).await? {
        let times = &new[&item.item];
        let first = old[&item.item].len();
        let missed = times[first - 1].duration_until(times[first]).as_secs() / PERIOD.as_secs() - 1;
        ensure!(missed >= 2, "item {}: {times:?}", item.item);
        let skipped = item
            .skipped
            .with_context(|| format!("item {} of {times:?} has no gap", item.item))?;
        ensure!(
            skipped.count == u64::try_from(missed)?,
            "item {}: {missed} times of {times:?}: {skipped:?}",
            item.item
        );
    }
    Ok(())
}

#[tokio::test]
async fn go_on_with_their_ledgers_in_sqlite_and_move_back_unchanged() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("任务.db");
    let url = format!("sqlite:{}", file.display());
    let zookeeper = format!("zookeeper:{}", Server::shared().address());
    let cluster = cluster("moving")?;
    let member = cluster.member(1).start()?;
    cluster.shared_by(&[1]).await;
    cluster.runs_without_gap(&all_items(), 2).await;
    let to_sqlite = [
        "registry",
        "copy",
        "--from",
        &zookeeper,
        "--to",
        &url,
        "--namespace",
        "moving",
        "--yes",
    ];
    let (is_done, said) = command(&to_sqlite).await?;
    ensure!(!is_done && said.contains("Stop all instances"), "{said}");
    ensure!(!file.exists(), "{said}");

    let before = Operations::new(Arc::clone(cluster.registry()));
    ends(member, &before).await?;
    let old = runs(&cluster)?;
    succeeds(&to_sqlite).await?;
    let said = succeeds(&[&to_sqlite[..], &["--dry-run"]].concat()).await?;
    ensure!(said.contains("TO WRITE"), "{said}");
    ensure!(
        said.lines().any(|line| line.starts_with(SHARE) && line.ends_with(" 0")),
        "{said}"
    );

    let newest = old.values().flatten().max().context("it has run")?;
    cluster
        .until("times pass without a run", async || {
            ensure!(newest.duration_until(Timestamp::now()) > PERIOD * 3, "they do not");
            Ok(())
        })
        .await;

    let member = cluster
        .member(2)
        .with("ELASTICJOB_REG_CENTER_SERVER_LISTS", "")
        .with("ELASTICJOB_REG_CENTER_URL", &url)
        .start()?;
    let new = cluster
        .until("each item runs again", async || {
            let runs = runs(&cluster)?;
            let goes_on = |item: &u32| runs.get(item).map(Vec::len) > old.get(item).map(Vec::len);
            ensure!(all_items().iter().all(goes_on), "{runs:?}");
            Ok(runs)
        })
        .await;
    cluster.assert_lawful();
    let after = Operations::new(Arc::new(sqlite(&file)?));
    accounts_for_each_time(&after, &old, &new).await?;
    ends(member, &after).await?;
    after.close().await;

    // A password is in a file, and not in the arguments of a command, which others can see.
    let place = |name: &str, reg_center: &str| -> anyhow::Result<String> {
        let path = folder.path().join(name);
        fs::write(&path, format!("elasticjob: {{reg-center: {{{reg_center}}}}}"))?;
        Ok(path.display().to_string())
    };
    let server = DatabaseServer::start(databases::Kind::Postgres)?;
    serves(&server).await?;
    let postgres = place(
        "postgres.yaml",
        &format!("url: '{}', namespace: in-between", server.full_url()),
    )?;
    let said = succeeds(&[
        "registry", "copy", "--from", &url, "--to", &postgres, "-n", "moving", "--yes",
    ])
    .await?;
    ensure!(!said.contains("Fencing tokens"), "{said}");
    let servers = Server::shared().address();
    let back = place(
        "back.yaml",
        &format!("server-lists: '{servers}', namespace: moved-back"),
    )?;
    let said = succeeds(&["registry", "copy", "--from", &postgres, "--to", &back, "--yes"]).await?;
    ensure!(said.contains("Fencing tokens begin lower"), "{said}");
    let zookeeper = ZooKeeperRegistry::new(&Server::shared().address().to_string(), "moved-back")?;
    let (there, here) = (
        tree(&zookeeper.connect().await?).await?,
        tree(&sqlite(&file)?.connect().await?).await?,
    );
    ensure!(there.len() > 40, "{there:?}");
    assert_eq!(there, here);
    Ok(())
}

#[tokio::test]
async fn are_in_a_registry_that_was_checked() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.db");
    let server = Server::shared().address().to_string();
    let said = succeeds(&["registry", "check", "--server-lists", &server, "--namespace", "checked"]).await?;
    for expected in [
        "transactions",
        "ZooKeeper 3.",
        "a single server",
        "nodes can be created",
        "not encrypted",
    ] {
        ensure!(said.contains(expected), "{expected}: {said}");
    }
    let settings = folder.path().join("application.yaml");
    let directory = folder.path().display().to_string();
    let check = async |reg_center: &str| -> anyhow::Result<(bool, String)> {
        fs::write(&settings, format!("elasticjob: {{reg-center: {{{reg_center}}}}}"))?;
        command(&["registry", "check", "--json", "-C", &directory]).await
    };
    let url = format!("url: 'sqlite:{}', namespace: shop", file.display());
    let (is_done, said) = check(&url).await?;
    ensure!(!is_done && said.contains("there is no such file"), "{said}");
    SqliteRegistry::new(&file, "shop")?.connect().await?.close().await;
    let (is_done, said) = check(&url).await?;
    let json: serde_json::Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    ensure!(is_done && json["writes"]["requests"].as_u64() > Some(10), "{said}");
    ensure!(said.contains("SQLite 3.") && said.contains("it is whole"), "{said}");
    let server = DatabaseServer::start(databases::Kind::Postgres)?;
    serves(&server).await?;
    let (is_done, said) = check(&format!("url: '{}', namespace: first", server.full_url())).await?;
    // Servers of tests are quick, and forget what they answered if the power fails.
    ensure!(
        !is_done && said.contains("`fsync` is off") && said.contains("PostgreSQL 1"),
        "{said}"
    );
    let (is_done, said) = check("type: EMBEDDED").await?;
    ensure!(is_done && said.contains("there is nothing to check"), "{said}");
    let (is_done, said) = check("server-lists: 'localhost:1', namespace: n, connection-timeout: 2s").await?;
    ensure!(!is_done && said.contains("localhost:1 refuses connections"), "{said}");
    Ok(())
}
