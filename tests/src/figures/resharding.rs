//! What it costs to share a thousand items out among a hundred instances, in virtual time.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::crowd::Crowd;
use crate::history::since_boot;
use crate::metered::one_off;

use super::print;

const INSTANCES: usize = 100;

const ITEMS: u32 = 1_000;

pub(super) fn measure() -> anyhow::Result<()> {
    let virtual_time = Builder::new_current_thread().enable_all().start_paused(true).build()?;
    virtual_time.block_on(async {
        let crowd = Crowd::gather(INSTANCES, || one_off(ITEMS)).await?;
        let lost = crowd.links().nth(INSTANCES / 2).expect("there are so many");
        let mut took = Duration::ZERO;
        let real = since_boot();
        let mut shared = Ok(());
        let asked = crowd
            .asked_during(async || {
                let begin = Instant::now();
                lost.expire();
                shared = crowd.shared_out(ITEMS).await;
                took = begin.elapsed();
                crowd.settle().await;
            })
            .await;
        shared?;
        let name = format!("a session of {INSTANCES} is lost, {ITEMS} items");
        print(
            format!("{name}: until they are shared out"),
            took.as_millis(),
            "ms of virtual time",
        );
        print(
            format!("{name}: transactions of all"),
            asked.transactions,
            "transactions",
        );
        print(format!("{name}: requests of all"), asked.requests, "requests");
        print(format!("{name}: nodes that all read"), asked.nodes_read, "nodes");
        let minute = (since_boot() - real).as_millis();
        print(format!("{name}: a minute of all instances in real time"), minute, "ms");
        Ok(())
    })
}
