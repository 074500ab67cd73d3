//! What a firing asks of the registry.

use std::sync::Arc;

use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::metered::Counts;
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{Answer, Read, Registry as _, Step};
use elasticjob::schedule::SystemClock;
use tokio::runtime::Builder;

use super::{print, runtime};
use crate::metered::{Member, Site, ending_apart, ending_together, one_off};
use crate::zookeeper::Server;

const ITEMS: [u32; 4] = [1, 10, 100, 1_000];

/// Firings that are counted, a second each.
const FIRINGS: i64 = 5;

/// Seconds after which everything has found its place.
const SETTLE: i64 = 4;

pub(super) fn measure() -> anyhow::Result<()> {
    let virtual_time = Builder::new_current_thread().enable_all().start_paused(true).build()?;
    virtual_time.block_on(async {
        for items in ITEMS {
            steady(items).await?;
        }
        without_items().await?;
        time_difference_check().await?;
        conflict().await?;
        ends_apart().await?;
        first_start(1_000).await?;
        newcomer(10).await?;
        newcomer(1_000).await
    })?;
    runtime()?.block_on(async {
        let server = tokio::task::block_in_place(Server::start)?;
        for items in ITEMS {
            on_zookeeper(&server, items).await?;
        }
        Ok(())
    })
}

async fn steady(items: u32) -> anyhow::Result<()> {
    let site = Site::embedded();
    let member = site.join(ending_together(items)).await?;
    let counts = counted(&site, &member).await;
    report(&format!("per firing, {items} items that end together"), counts, FIRINGS);
    member.leave().await;
    Ok(())
}

async fn without_items() -> anyhow::Result<()> {
    let site = Site::embedded();
    let members = [
        site.join(ending_together(1)).await?,
        site.join(ending_together(1)).await?,
    ];
    site.pass(SETTLE).await;
    let before = members.each_ref().map(Member::counts);
    site.pass(FIRINGS).await;
    let mut counts = [0, 1].map(|index| members[index].counts() - before[index]);
    counts.sort_by_key(Counts::requests);
    report("per firing, 1 item, on the instance that has none", counts[0], FIRINGS);
    report("per firing, 1 item, on the instance that has it", counts[1], FIRINGS);
    for member in members {
        member.leave().await;
    }
    Ok(())
}

async fn time_difference_check() -> anyhow::Result<()> {
    let site = Site::embedded();
    let member = site.join(ending_together(10).set("max-time-diff-seconds", 30)).await?;
    let counts = counted(&site, &member).await;
    report("per firing, 10 items, with max-time-diff-seconds", counts, FIRINGS);
    member.leave().await;
    Ok(())
}

/// Another client writes an item's ledger, so that the owner's copy of it is wrong.
async fn conflict() -> anyhow::Result<()> {
    let site = Site::embedded();
    let member = site.join(ending_together(10)).await?;
    let other = site.registry.connect().await?;
    site.pass(SETTLE).await;
    let before = member.counts();
    for _ in 0..FIRINGS {
        let path = "/job/ledger/items/0".to_owned();
        let answers = other.read(vec![Read::Data(path.clone())]).await?;
        let [Answer::Data(Some((data, _)))] = &answers[..] else {
            anyhow::bail!("item 0 has no ledger");
        };
        let (data, version) = (data.clone(), None);
        other.write(vec![Step::Set { path, data, version }]).await?;
        site.pass(1).await;
    }
    let counts = member.counts() - before;
    report("per firing, 10 items, in conflict over one", counts, FIRINGS);
    member.leave().await;
    Ok(())
}

async fn ends_apart() -> anyhow::Result<()> {
    let site = Site::embedded();
    let member = site.join(ending_apart(10)).await?;
    let counts = counted(&site, &member).await;
    report("per firing, 10 items that end 20 ms apart", counts, FIRINGS);
    member.leave().await;
    Ok(())
}

/// The first instance of a new job: it elects itself and shares the items out.
async fn first_start(items: u32) -> anyhow::Result<()> {
    let site = Site::embedded();
    let member = site.join(one_off(items)).await?;
    site.pass(SETTLE).await;
    report(
        &format!("once, first start of a job of {items} items"),
        member.counts(),
        1,
    );
    member.leave().await;
    Ok(())
}

/// A second instance joins, and gets half of the items.
async fn newcomer(items: u32) -> anyhow::Result<()> {
    let site = Site::embedded();
    let leader = site.join(one_off(items)).await?;
    site.pass(SETTLE).await;
    let before = leader.counts();
    let newcomer = site.join(one_off(items)).await?;
    site.pass(SETTLE).await;
    report(
        &format!("once, joining a job of {items} items: newcomer"),
        newcomer.counts(),
        1,
    );
    report(
        &format!("once, joining a job of {items} items: leader, who reshards"),
        leader.counts() - before,
        1,
    );
    newcomer.leave().await;
    leader.leave().await;
    Ok(())
}

/// The same in real time, with what the server counts beside.
async fn on_zookeeper(server: &Server, items: u32) -> anyhow::Result<()> {
    let registry = ZooKeeperRegistry::new(&server.address().to_string(), &format!("items-{items}"))?;
    let site = Site::new(registry, Arc::new(SystemClock::new()));
    let member = site.join(ending_together(items)).await?;
    site.pass(SETTLE).await;
    let (before, server_before) = (member.counts(), server.counters()?);
    site.pass(FIRINGS).await;
    let (counts, server_counts) = (member.counts() - before, server.counters()? - server_before);
    let name = format!("per firing, {items} items that end together, zookeeper");
    report(&name, counts, FIRINGS);
    // The heartbeat, one each sixth of the session timeout, is a transaction as well.
    let transactions = server_counts.transactions - i64::try_from(counts.syncs)?;
    print(
        format!("{name}: transactions by the server's count"),
        ratio(transactions, FIRINGS),
        "transactions",
    );
    member.leave().await;
    Ok(())
}

async fn counted(site: &Site<MemoryRegistry>, member: &Member<MemoryRegistry>) -> Counts {
    site.pass(SETTLE).await;
    let before = member.counts();
    site.pass(FIRINGS).await;
    member.counts() - before
}

fn report(name: &str, counts: Counts, firings: i64) {
    let each = |count: u64| ratio(i64::try_from(count).unwrap_or(i64::MAX), firings);
    print(format!("{name}: transactions"), each(counts.writes), "transactions");
    print(format!("{name}: reads"), each(counts.reads), "requests");
    if counts.watches > 0 {
        print(format!("{name}: watches set"), each(counts.watches), "requests");
    }
}

fn ratio(count: i64, of: i64) -> String {
    if count % of == 0 {
        return (count / of).to_string();
    }
    format!("{:.2}", count as f64 / of as f64)
}
