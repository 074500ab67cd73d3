//! What faults may cost all instances together: nothing while they last, and then so much for each instance, however
//! many items there are.

use elasticjob::registry::memory::{Fate, Link};
use elasticjob_tests::crowd::{Crowd, SETTLE, Total};
use elasticjob_tests::metered::one_off;

/// Shorter than the session's timeout.
const INTERRUPTION: i64 = 2;

/// Longer than the session's timeout.
const OUTAGE: i64 = 20;

async fn crowd(instances: usize, items: u32) -> Crowd {
    let crowd = Crowd::gather(instances, || one_off(items)).await.expect("all start");
    let idle = crowd.asked_during(async || crowd.site.pass(SETTLE).await).await;
    assert_eq!(idle, Total::default(), "nothing happens, so nothing is asked");
    crowd
}

/// Returns what was asked from this on until all is well again, after which nothing is.
async fn cost_of(crowd: &Crowd, fault: impl AsyncFnOnce()) -> Total {
    let cost = crowd
        .asked_during(async || {
            fault().await;
            crowd.site.pass(SETTLE).await;
        })
        .await;
    let after = crowd.asked_during(async || crowd.site.pass(SETTLE).await).await;
    assert_eq!(after, Total::default(), "all is well again");
    cost
}

#[track_caller]
fn check(cost: Total, transactions: u64, requests_each: u64, instances: usize) {
    let most = requests_each * instances as u64;
    assert!(
        cost.transactions <= transactions && cost.requests <= most,
        "at most {transactions} transactions and {most} requests were to be: {cost:?}"
    );
}

fn nth(crowd: &Crowd, index: usize) -> &Link {
    crowd.links().nth(index).expect("there are so many")
}

#[tokio::test(start_paused = true)]
async fn a_crash_among_two_hundred_should_cost_each_a_few_requests() {
    let crowd = crowd(200, 400).await;
    // The leader, which needs a successor, and another instance.
    for (index, transactions) in [(0, 4), (100, 2)] {
        let cost = cost_of(&crowd, async || nth(&crowd, index).cut()).await;
        check(cost, transactions, 8, 200);
        assert!(cost.nodes_read <= 40 * 200, "no instance reads all items: {cost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_should_cost_each_a_few_requests() {
    let crowd = crowd(50, 100).await;
    let cost = cost_of(&crowd, async || nth(&crowd, 20).expire()).await;
    check(cost, 3, 8, 50);
}

#[tokio::test(start_paused = true)]
async fn an_interruption_for_all_should_cost_each_one_look_at_everything() {
    let crowd = crowd(50, 100).await;
    let interrupt = async || {
        crowd.links().for_each(Link::cut);
        let meanwhile = crowd.asked_during(async || crowd.site.pass(INTERRUPTION).await).await;
        assert!(
            meanwhile.requests <= 50,
            "no instance asks again and again while the registry is silent: {meanwhile:?}"
        );
        crowd.links().for_each(Link::heal);
    };
    let cost = cost_of(&crowd, interrupt).await;
    check(cost, 4, 14, 50);
}

#[tokio::test(start_paused = true)]
async fn an_outage_for_all_should_cost_each_a_start() {
    let crowd = crowd(50, 100).await;
    let outage = async || {
        crowd.links().for_each(Link::cut);
        crowd.site.pass(OUTAGE).await;
        crowd.links().for_each(Link::heal);
    };
    let cost = cost_of(&crowd, outage).await;
    // One transaction to register for each, and a few for all. Each sets the watches of a large job, a request for a path.
    check(cost, 50 + 8, 27, 50);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_should_cost_a_look_and_no_second_try_of_what_was_done() {
    let crowd = crowd(5, 10).await;
    let lose = async || {
        // The next resharding is done, and the leader does not know.
        let leader = nth(&crowd, 0);
        leader.cut_at_next_write(Fate::Applied);
        nth(&crowd, 4).expire();
        crowd.site.pass(1).await;
        leader.heal();
    };
    let cost = cost_of(&crowd, lose).await;
    assert_eq!(nth(&crowd, 0).cuts_at_writes(), 1, "an answer was lost");
    check(cost, 5, 14, 5);
}
