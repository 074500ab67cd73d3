//! Items that fail and are tried again, and items that take too long, on two processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use elasticjob_tests::cluster::{Cluster, host_of};
use elasticjob_tests::command::Answer;
use elasticjob_tests::process::{Member, MemberSetup};

use crate::one_off::execute;
use crate::{NEVER, cluster};

const TIDY: &str = "tidy";

/// It writes down that it was tried, and succeeds at the third try; where there is a file called `hang` it does not end,
/// and where there is one called `fail` it fails.
const SCRIPT: &str = r#"echo "$ELASTIC_JOB_SHARDING_ITEM $ELASTIC_JOB_INSTANCE_ID $ELASTIC_JOB_RUN_ID $ELASTIC_JOB_ATTEMPT $ELASTIC_JOB_FENCING_TOKEN $ELASTIC_JOB_RETRY" >> tries
[ -e hang ] && exec sleep 600
[ -e fail ] && exit 1
[ "$ELASTIC_JOB_RETRY" -ge 2 ]
"#;

/// A try of an item.
#[derive(Clone, Debug)]
struct Try {
    host: u8,
    attempt: u32,
    token: i64,
    retry: u32,
}

/// By run and item.
fn tries(directory: &Path) -> anyhow::Result<BTreeMap<(String, u32), Vec<Try>>> {
    let mut tries: BTreeMap<_, Vec<Try>> = BTreeMap::new();
    for line in fs::read_to_string(directory.join("tries")).unwrap_or_default().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [item, instance, run, attempt, token, retry] = words[..] else {
            anyhow::bail!("{line}");
        };
        tries.entry((run.to_owned(), item.parse()?)).or_default().push(Try {
            host: host_of(instance)?,
            attempt: attempt.parse()?,
            token: token.parse()?,
            retry: retry.parse()?,
        });
    }
    Ok(tries)
}

/// Returns the directory of the script.
fn with_script(cluster: &Cluster) -> anyhow::Result<PathBuf> {
    let directory = cluster.directory().join("scripts");
    fs::create_dir(&directory)?;
    fs::write(directory.join("tidy"), SCRIPT)?;
    Ok(directory)
}

/// Returns a process with a job of two items that runs the script, with these settings beside.
fn member(cluster: &Cluster, host: u8, directory: &Path, settings: &str) -> MemberSetup {
    let yaml = format!(
        "elasticjob:\n  jobs:\n    {TIDY}:\n      elastic-job-type: SCRIPT\n      sharding-total-count: 2\n{settings}      \
         props:\n        script.command.line: sh tidy\n        script.working-directory: {}\n",
        directory.display()
    );
    let member = cluster.member(host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
    // Programs are looked for there, and a member is given no environment otherwise.
    let path = std::env::var("PATH").unwrap_or_default();
    member.with("PATH", path).configured(&yaml)
}

/// Waits until each of the two has an item.
async fn is_shared(cluster: &Cluster) {
    let shared = cluster.until("each process has an item", async || {
        let owners = cluster.owners(TIDY).await?;
        let hosts: BTreeSet<u8> = owners.values().map(|id| host_of(id)).collect::<Result<_, _>>()?;
        ensure!(hosts.len() == 2, "{owners:?}");
        Ok(())
    });
    shared.await;
}

#[tokio::test]
async fn retries_within_a_run_until_its_timeout() -> anyhow::Result<()> {
    let cluster = cluster("tries")?;
    let directory = with_script(&cluster)?;
    let start = |host| {
        let settings = "      timeout: 2s\n      retry: 3\n      retry-backoff: 100ms\n";
        member(&cluster, host, &directory, settings)
    };
    let (mut first, _second) = (start(1).obeying().start()?, start(2).start()?);
    is_shared(&cluster).await;

    let Answer::Executed(outcomes) = first.ask(&execute(TIDY)).await? else {
        anyhow::bail!("the job was not run");
    };
    assert!(outcomes.values().all(|outcome| outcome == "Succeeded"), "{outcomes:?}");
    let known = tries(&directory)?;
    let hosts: BTreeSet<u8> = known.values().flatten().map(|found| found.host).collect();
    assert_eq!((known.len(), hosts), (2, BTreeSet::from([1, 2])), "{known:?}");
    for tries in known.values() {
        assert!(tries.iter().map(|found| found.retry).eq(0..3), "{tries:?}");
        let runs: BTreeSet<_> = tries
            .iter()
            .map(|found| (found.host, found.attempt, found.token))
            .collect();
        assert_eq!(runs.len(), 1, "{tries:?}");
    }

    fs::write(directory.join("hang"), "")?;
    let Answer::Executed(outcomes) = first.ask(&execute(TIDY)).await? else {
        anyhow::bail!("the job was not run");
    };
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    for outcome in outcomes.values() {
        assert!(outcome.contains("tried 4 times: timed out after 2s"), "{outcome}");
    }
    Ok(())
}

#[tokio::test]
async fn runs_elsewhere_after_a_death_between_two_tries() -> anyhow::Result<()> {
    let cluster = cluster("tries-between")?;
    let directory = with_script(&cluster)?;
    fs::write(directory.join("fail"), "")?;
    let start = |host| {
        let settings = "      cron: 0/1 * * * * ?\n      time-zone: GMT\n      failover: true\n      retry: 3\n      \
                        retry-backoff: 1h\n      retry-max-backoff: 1h\n";
        let member = member(&cluster, host, &directory, settings);
        // Longer than the test has patience.
        member.with("ELASTICJOB_SHUTDOWN_GRACE_PERIOD", "10m").start()
    };
    let is_pausing = async |member: &Member| {
        cluster
            .until("an item pauses", async || {
                ensure!(member.log().contains("failed, trying again"), "nothing of that");
                Ok(())
            })
            .await;
    };
    let dying = start(1)?;
    is_pausing(&dying).await;
    dying.kill().await?;

    let mut leaving = start(2)?;
    cluster
        .until("both items are another attempt at the same run", async || {
            let known = tries(&directory)?;
            let is_again = |tries: &&Vec<Try>| {
                let runs: Vec<_> = tries.iter().map(|found| (found.host, found.attempt)).collect();
                runs == [(1, 1), (2, 2)] && tries[0].token < tries[1].token && tries[1].retry == 0
            };
            ensure!(known.values().filter(is_again).count() == 2, "{known:?}");
            Ok(())
        })
        .await;
    is_pausing(&leaving).await;
    leaving.terminate()?;
    let (status, log) = leaving.ended().await?;
    assert!(status.success(), "{log}");
    for item in 0..2 {
        let ledger = cluster
            .text(&format!("/{TIDY}/ledger/items/{item}"))
            .await?
            .unwrap_or_default();
        assert!(ledger.contains("\"failed\""), "{ledger}");
    }
    Ok(())
}
