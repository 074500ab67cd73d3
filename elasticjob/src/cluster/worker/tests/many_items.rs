//! Jobs of so many items that nothing about all of them fits into one request, with short names and long ones.

use std::collections::BTreeSet;

use super::*;
use crate::cluster::view::take_looks;
use crate::limits;

/// Every 20 seconds from the fifth on, with failover.
fn job(name: &str, total: u32) -> JobConfig {
    let config = JobConfig::builder(name).cron("5/20 * * * * ?").time_zone("GMT");
    config.sharding_total_count(total).failover(true).build().unwrap()
}

/// Returns how many items each of these ran for one time.
fn shares(cluster: &Cluster, due: Timestamp) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for (_, by) in cluster.history.at(due) {
        *shares.entry(by).or_default() += 1;
    }
    shares
}

/// Returns the items that ran for one time, each once.
fn items_at(cluster: &Cluster, due: Timestamp) -> BTreeSet<u32> {
    let ran = cluster.history.at(due);
    let items: BTreeSet<u32> = ran.iter().map(|(item, _)| *item).collect();
    assert_eq!(items.len(), ran.len(), "each once");
    items
}

/// Shares the items out, fires, loses an instance while all items run, and gets another total.
async fn lives_through_it(mut cluster: Cluster, name: &str, total: u32, instances: u32) {
    let work = || lasting(Duration::from_secs(2));
    let members: Vec<Instance> = (0..instances)
        .map(|number| {
            cluster.join(
                &format!("10.0.{}.{}", number / 200, number % 200),
                job(name, total),
                work(),
            )
        })
        .collect();
    cluster.until(24.0).await;
    assert_eq!(items_at(&cluster, at(5)).len(), total as usize, "shared out and run");
    let even = total as usize / instances as usize;
    let shared = shares(&cluster, at(5));
    assert_eq!(shared.len(), instances as usize);
    assert!(
        shared.values().all(|share| (even..=even + 1).contains(share)),
        "{shared:?}"
    );

    cluster.until(26.0).await;
    members[0].kill();
    cluster.until(44.0).await;
    let lost: Vec<Ran> = cluster
        .history
        .all()
        .into_iter()
        .filter(|ran| ran.due == at(25))
        .collect();
    let again: Vec<&Ran> = lost.iter().filter(|ran| ran.attempt == 2).collect();
    assert_eq!(
        again.len(),
        shared[&members[0].id_before()],
        "taken over, each item once"
    );
    assert!(again.iter().all(|ran| ran.ended.is_some()), "and run");

    let more = total + total / 10;
    let config = job(name, more).to_yaml();
    cluster.set(&format!("/{name}/config"), &config).await;
    cluster.until(49.0).await;
    assert_eq!(items_at(&cluster, at(45)).len(), more as usize, "with more items");
    assert_eq!(shares(&cluster, at(45)).len(), instances as usize - 1);
    cluster.set(&format!("/{name}/config"), &job(name, 7).to_yaml()).await;
    cluster.until(69.0).await;
    assert_eq!(items_at(&cluster, at(65)), (0..7).collect(), "with seven");
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_on_three_instances() {
    lives_through_it(Cluster::new().await, "job", 10_000, 3).await;
}

/// As etcd does: a claim takes some forty items.
#[tokio::test(start_paused = true)]
async fn ten_thousand_in_a_registry_that_counts_steps() {
    let cluster = Cluster::on(|registry| registry.with_steps(120).with_net_effects()).await;
    lives_through_it(cluster, "job", 10_000, 3).await;
}

#[tokio::test(start_paused = true)]
async fn names_of_a_hundred_letters() {
    lives_through_it(Cluster::new().await, &"x".repeat(100), 3_000, 3).await;
}

#[tokio::test(start_paused = true)]
async fn chinese_names() {
    lives_through_it(Cluster::new().await, &"月末工资结算".repeat(17), 3_000, 3).await;
}

mod looks_at_items {
    use super::*;

    /// Returns how often an item is looked at, on average, from the start of three instances until the items of one that
    /// died have run elsewhere and are shared out. Requests take so few items that all of this takes many, and many
    /// decisions.
    async fn of_each(total: u32) -> u64 {
        let _limits = limits::lower(16 * 1024, 100);
        take_looks();
        let mut cluster = Cluster::new().await;
        let work = || lasting(Duration::from_secs(2));
        let members: Vec<Instance> = (1..=3)
            .map(|number| cluster.join(&format!("10.0.0.{number}"), job("job", total), work()))
            .collect();
        cluster.until(26.0).await;
        assert_eq!(items_at(&cluster, at(5)).len(), total as usize);
        members[0].kill();
        cluster.until(49.0).await;
        assert_eq!(items_at(&cluster, at(45)).len(), total as usize, "with two instances");
        take_looks() / u64::from(total)
    }

    #[tokio::test(start_paused = true)]
    async fn are_as_many_for_each_of_thousands_as_of_hundreds() {
        let (few, many) = (of_each(300).await, of_each(3_000).await);
        // Ten times as many, if each step looked at all of them.
        assert!(many < few * 2, "{many} for each of 3,000 items, {few} for each of 300");
    }
}
