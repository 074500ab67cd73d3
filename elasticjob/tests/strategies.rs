//! Sharding strategies of the application's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use elasticjob::prelude::*;
use elasticjob::sharding::{Assignment, ShardingRequest, ShardingStrategy};
use elasticjob::starter::Builder;

/// What strategies were asked, in order.
#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

/// All items go to the instance with the greatest id.
#[derive(Inject)]
struct Standby {
    journal: Component<Journal>,
}

const STANDBY_LINE: u32 = line!() + 2;

#[sharding_strategy(name = "STANDBY")]
impl ShardingStrategy for Standby {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        let (name, count) = (request.job_name(), request.total_count());
        self.journal.0.lock().unwrap().push(format!("{name} {count}"));
        let first = (!request.instances().is_empty()).then_some(0);
        Assignment::from_fn(request, |_| first)
    }
}

/// A strategy that assigns no item.
struct NoItems;

impl ShardingStrategy for NoItems {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        Assignment::from_fn(request, |_| None)
    }
}

fn application(journal: &Arc<Journal>, strategy: &str) -> Builder {
    ElasticJob::builder()
        .shared_component(Arc::clone(journal))
        .environment([])
        .job(
            job("settle", async || {})
                .sharding(3)
                .set("job-sharding-strategy-type", strategy),
        )
}

/// Returns what keeps the application from starting.
fn faults(builder: Builder) -> Vec<String> {
    match builder.build() {
        Err(elasticjob::Error::Invalid(faults)) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_declared_strategy_shares_items_out() {
    let journal = Arc::new(Journal::default());
    let running = application(&journal, "STANDBY").build().unwrap().start().await.unwrap();
    let settle = running.one_off_named("settle").unwrap();
    let execution = settle.execute_and_wait(Duration::from_secs(60)).await.unwrap();
    assert!(execution.is_success());
    assert_eq!(execution.items.len(), 3);
    assert_eq!(*journal.0.lock().unwrap(), ["settle 3"]);
    running.shutdown(Duration::from_secs(10)).await;
}

#[test]
fn an_unknown_strategy_is_refused_with_the_known_ones() {
    let found = faults(application(&Arc::default(), "NO_ITEMZ").sharding_strategy("NO_ITEMS", NoItems));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].ends_with(
            "unknown sharding strategy `NO_ITEMZ`: expected one of AVG_ALLOCATION, LABEL, NO_ITEMS, ODEVITY, ROUND_ROBIN, \
             SINGLE_SHARDING_BALANCE, STANDBY, STICKY"
        ),
        "{found:?}"
    );
}

#[test]
fn two_strategies_of_one_name_are_refused() {
    let builder = application(&Arc::default(), "STANDBY");
    let registered = line!() + 1;
    let found = faults(builder.sharding_strategy("STANDBY", NoItems));
    let file = file!();
    assert_eq!(
        found,
        [format!(
            "more than one sharding strategy is named `STANDBY`: {file}:{registered}, {file}:{STANDBY_LINE}"
        )]
    );
}

#[test]
fn names_what_a_declared_strategy_misses() {
    let builder = ElasticJob::builder()
        .environment([])
        .job(job("settle", async || {}).sharding(3));
    let found = faults(builder);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&format!("sharding strategy STANDBY ({}:", file!())),
        "{found:?}"
    );
}

#[test]
fn a_strategy_is_registered_without_discovery() {
    let alone = || {
        ElasticJob::builder().without_discovery().environment([]).job(
            job("settle", async || {})
                .sharding(3)
                .set("job-sharding-strategy-type", "STANDBY"),
        )
    };
    assert!(faults(alone())[0].contains("unknown sharding strategy `STANDBY`"));
    assert!(alone().sharding_strategy("STANDBY", NoItems).build().is_ok());
}

/// Returns an application with a job of two items by labels, in a process that carries `labels`.
fn by_label(labels: &str, items: &str) -> Builder {
    ElasticJob::builder()
        .without_discovery()
        .environment([])
        .set("labels", labels)
        .set("jobs.settle.job-sharding-strategy-type", "LABEL")
        .set("jobs.settle.props.label.items", items)
        .job(job("settle", async || {}).sharding(2))
}

#[tokio::test]
async fn shows_an_item_without_label_in_the_leaders_health() {
    let running = by_label("gpu", "0=gpu,1=tape").build().unwrap().start().await.unwrap();
    let shown = async {
        loop {
            let health = running.health();
            if !health.jobs["settle"].unassigned.is_empty() {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let health = tokio::time::timeout(Duration::from_secs(60), shown).await.unwrap();
    assert_eq!(
        (&*health.jobs["settle"].items, &*health.jobs["settle"].unassigned),
        (&[0][..], &[1][..])
    );
    assert!(health.is_ready && health.is_live, "the process serves what it can");
    assert_eq!(
        health.problems(),
        ["job `settle`: its sharding strategy gives no instance the items 1"]
    );
    running.shutdown(Duration::from_secs(10)).await;
}

#[test]
fn empty_labels_are_refused() {
    let faults_of = |labels: &str, items: &str| faults(by_label(labels, items)).join("\n");
    let fault = faults_of("gpu", "0=gpu,2=tape");
    assert!(
        fault.contains("`elasticjob.jobs.settle.props.label.items` is `0=gpu,2=tape`: "),
        "{fault}"
    );
    assert!(faults_of("gpu", "first=gpu").contains("expected labels of items, such as `0=gpu,1=gpu&eu`: "));
    let fault = faults_of("gpu & large", "0=gpu");
    assert!(
        fault.contains("`elasticjob.labels`") && fault.contains("a label has neither `&` nor `=`"),
        "{fault}"
    );
}
