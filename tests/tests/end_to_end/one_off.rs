//! One process asks for a run, and learns what became of it on all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use elasticjob_tests::center::Center;
use elasticjob_tests::cluster::{Cluster, host_of};
use elasticjob_tests::command::{Answer, Command};
use elasticjob_tests::process::Member;

use crate::{MEMBER, NEVER, cluster};

pub(crate) const REBUILD: &str = "rebuild";

/// Three processes, of which the first obeys.
async fn three(cluster: &Cluster) -> anyhow::Result<(Member, [Member; 2])> {
    let member = |host| cluster.member(host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
    let members = (member(1).obeying().start()?, [member(2).start()?, member(3).start()?]);
    cluster
        .until("the items of the one-off job are shared", async || {
            let owners = cluster.owners(REBUILD).await?;
            let hosts: BTreeSet<u8> = owners.values().map(|id| host_of(id)).collect::<Result<_, _>>()?;
            ensure!(owners.len() == 6 && hosts.len() == 3, "{owners:?}");
            Ok(())
        })
        .await;
    Ok(members)
}

pub(crate) fn execute(job: &str) -> Command {
    Command::Execute {
        job: job.to_owned(),
        timeout: Duration::from_secs(30),
    }
}

pub(crate) async fn knows_the_outcome_of_each_item(center: &Center) -> anyhow::Result<()> {
    let cluster = Cluster::on(center, MEMBER, "one-off-outcomes")?;
    let (mut first, _others) = three(&cluster).await?;
    let cause = |item: u32| match item % 3 {
        0 => "Succeeded".to_owned(),
        1 => format!("Failed {{ cause: \"no disk for item {item}\" }}"),
        _ => format!("Failed {{ cause: \"panicked: no memory for item {item}\" }}"),
    };
    let expected: BTreeMap<u32, String> = (0..6).map(|item| (item, cause(item))).collect();
    for count in 1..=2 {
        assert_eq!(first.ask(&execute(REBUILD)).await?, Answer::Executed(expected.clone()));
        let runs = cluster.runs()?;
        let hosts: BTreeSet<u8> = runs
            .iter()
            .map(|run| host_of(&run.id.instance))
            .collect::<Result<_, _>>()?;
        assert_eq!(
            (runs.len(), hosts.len()),
            (6 * count, 3),
            "each item ran where it belongs, once a request"
        );
    }
    cluster.assert_lawful();
    Ok(())
}

#[tokio::test]
async fn refuses_an_unknown_job_by_name() -> anyhow::Result<()> {
    let cluster = cluster("one-off-refused")?;
    let (mut first, _others) = three(&cluster).await?;
    for name in ["share", "rebuilt"] {
        let expected = format!("no one-off job `{name}`: there is `rebuild`");
        assert_eq!(first.ask(&execute(name)).await?, Answer::Refused(expected));
    }
    Ok(())
}
