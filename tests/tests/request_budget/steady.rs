//! What a firing may ask where nothing goes wrong.

use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::registry::metered::Counts;
use elasticjob::registry::{Answer, Read, Registry as _, Step};
use elasticjob_tests::metered::{Member, Site, ending_apart, ending_together, falling_behind};

/// Seconds after which everything has found its place.
const SETTLE: i64 = 4;

const FIRINGS: i64 = 10;

async fn steady<const N: usize>(site: &Site<MemoryRegistry>, members: [&Member<MemoryRegistry>; N]) -> [Counts; N] {
    site.pass(SETTLE).await;
    let before = members.map(Member::counts);
    site.pass(FIRINGS).await;
    let mut counts = members.map(Member::counts);
    counts
        .iter_mut()
        .zip(before)
        .for_each(|(counts, before)| *counts = *counts - before);
    counts
}

#[track_caller]
fn check(counts: Counts, writes: i64, reads: i64) {
    let expected = (writes * FIRINGS, reads * FIRINGS);
    let found = (counts.writes.cast_signed(), counts.reads.cast_signed());
    assert_eq!(found, expected, "transactions and reads in {FIRINGS} firings");
    assert_eq!(
        counts.requests(),
        counts.writes + counts.reads,
        "nothing else is asked: {counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn items_that_end_together_should_cost_two_transactions_and_no_read() {
    for items in [1, 2, 10, 100, 1_000] {
        let site = Site::embedded();
        let member = site.join(ending_together(items)).await.expect("it starts");
        let [counts] = steady(&site, [&member]).await;
        check(counts, 2, 0);
        // A check of the epoch, twice one of the own membership, and for each item the mark and the ledger, twice.
        assert_eq!(
            counts.steps,
            u64::from(1 + 2 + 4 * items) * FIRINGS.cast_unsigned(),
            "{items} items"
        );
        member.leave().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_items_should_ask_nothing() {
    let site = Site::embedded();
    let first = site.join(ending_together(1)).await.expect("it starts");
    let second = site.join(ending_together(1)).await.expect("it starts");
    let mut counts = steady(&site, [&first, &second]).await;
    counts.sort_by_key(Counts::requests);
    check(counts[0], 0, 0);
    check(counts[1], 2, 0);
}

#[tokio::test(start_paused = true)]
async fn items_that_end_apart_should_cost_a_transaction_each() {
    let site = Site::embedded();
    let member = site.join(ending_apart(10)).await.expect("it starts");
    let [counts] = steady(&site, [&member]).await;
    check(counts, 1 + 10, 0);
}

#[tokio::test(start_paused = true)]
async fn a_make_up_run_should_cost_one_transaction() {
    let site = Site::embedded();
    let member = site.join(falling_behind(10)).await.expect("it starts");
    site.pass(SETTLE).await;
    let before = member.counts();
    site.pass(3 * FIRINGS).await;
    let counts = member.counts() - before;
    // Two runs in three seconds. Their claims go with the ends before them.
    assert_eq!(
        (counts.writes, counts.reads),
        (2 * FIRINGS.cast_unsigned(), 0),
        "{counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_difference_check_should_cost_a_transaction() {
    let site = Site::embedded();
    let job = ending_together(10).set("max-time-diff-seconds", 30);
    let member = site.join(job).await.expect("it starts");
    let [counts] = steady(&site, [&member]).await;
    check(counts, 3, 0);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_should_cost_one_read_and_one_more_try() {
    let site = Site::embedded();
    let member = site.join(ending_together(10)).await.expect("it starts");
    let other = site.registry.connect().await.expect("it is up");
    site.pass(SETTLE).await;
    let before = member.counts();
    for _ in 0..FIRINGS {
        let path = "/job/ledger/items/0".to_owned();
        let answers = other.read(vec![Read::Data(path.clone())]).await.expect("it is up");
        let [Answer::Data(Some((data, _)))] = &answers[..] else {
            panic!("item 0 has no ledger: {answers:?}");
        };
        let (data, version) = (data.clone(), None);
        other
            .write(vec![Step::Set { path, data, version }])
            .await
            .expect("it is there");
        site.pass(1).await;
    }
    check(member.counts() - before, 3, 1);
}
