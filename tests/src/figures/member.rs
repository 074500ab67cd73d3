//! The application with processes that are killed and stopped: ten items that take their time, and are taken over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use elasticjob::ElasticJob;
use elasticjob::job::{ShardingContext, job};
use tokio::time::sleep;

use crate::cluster::{Cluster, ITEMS, SHARE};
use crate::history::Journal;
use crate::process::MemberSetup;

use super::runtime;

/// In the environment of a process that is to be a member.
pub const MEMBER: &str = "FIGURES_MEMBER";

/// Returns a member to be, on the host of this number.
pub(super) fn member(cluster: &Cluster, host: u8, work: Duration) -> MemberSetup {
    cluster.member(host).with(MEMBER, "yes").working(work)
}

/// Runs the application until it is stopped.
///
/// # Errors
/// If it does not start.
pub fn run_member() -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let journal = Arc::new(Journal::open(Path::new(&variable("MEMBER_HISTORY")?))?);
    let work = Duration::from_millis(variable("MEMBER_WORK")?.parse()?);
    let run = move |shard: ShardingContext| {
        let journal = Arc::clone(&journal);
        async move {
            let recorder = journal.begin(&shard);
            sleep(work).await;
            recorder.finish();
        }
    };
    let cron = variable("ELASTICJOB_JOBS_SHARE_CRON").unwrap_or_else(|_| "0/2 * * * * ?".to_owned());
    let share = |name: &str| {
        job(name, run.clone())
            .cron(&cron)
            .sharding(ITEMS)
            .set("time-zone", "GMT")
            .set("failover", true)
    };
    let copies = variable("MEMBER_COPIES").map_or(Ok(1), |copies| copies.parse())?;
    runtime()?.block_on(async {
        let first = ElasticJob::builder().without_discovery().job(share(SHARE));
        let all = (1..copies).fold(first, |builder, copy: u32| {
            builder.job(share(&format!("{SHARE}{copy}")))
        });
        all.build()?.run().await.map_err(Into::into)
    })
}
