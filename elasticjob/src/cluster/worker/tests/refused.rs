//! Requests that the registry refuses for good: reported where operators look, and not made again and again.

use super::*;
use crate::limits;

/// Room for reads and for what an instance says of itself, and too little for a claim.
const TOO_SMALL_FOR_CLAIMS: usize = 500;

async fn said_by(cluster: &Cluster, instance: &Instance) -> String {
    let path = format!("/job/ledger/members/{}", instance.id());
    cluster.data(&path).await.unwrap_or_default()
}

fn hindrances(instance: &Instance) -> Vec<String> {
    instance.handle.status.now().hindrances
}

#[tokio::test(start_paused = true)]
async fn claims_are_reported_until_they_are_taken_again() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(1), quick());
    cluster.until(3.5).await;
    assert_eq!(hindrances(&only), Vec::<String>::new());
    let lowered = limits::lower(TOO_SMALL_FOR_CLAIMS, 1000);
    let before = only.registry.counts();
    cluster.until(23.5).await;
    let counts = only.registry.counts() - before;
    assert_eq!(cluster.history.count_at(at(10)), 0);
    let [hindrance] = &hindrances(&only)[..] else {
        panic!("{:?}", hindrances(&only));
    };
    assert!(hindrance.starts_with("claim items: the request has "), "{hindrance}");
    assert!(said_by(&cluster, &only).await.contains(hindrance), "for `explain`");
    assert!(
        counts.writes < 20,
        "a claim each 5 s, and the session's own: {counts:?}"
    );

    drop(lowered);
    cluster.until(33.5).await;
    assert_eq!(cluster.history.count_at(at(32)), 1);
    assert_eq!(hindrances(&only), Vec::<String>::new());
    assert!(!said_by(&cluster, &only).await.contains("hindrances"));
    cluster.history.check();
}

#[tokio::test(start_paused = true)]
async fn reads_are_reported_and_repeated_after_a_pause() {
    let mut cluster = Cluster::new().await;
    let only = cluster.join("10.0.0.1", every_second(2), quick());
    cluster.until(3.5).await;
    let config = every_second(3).to_registry().yaml;
    cluster.set("/job/config", &config).await;
    let lowered = limits::lower(64, 1000);
    let before = only.registry.counts();
    cluster.until(63.5).await;
    let counts = only.registry.counts() - before;
    assert!(
        hindrances(&only)
            .iter()
            .any(|text| text.starts_with("read what has changed: "))
    );
    assert!(counts.reads < 15, "one each 5 s: {counts:?}");

    drop(lowered);
    cluster.until(73.5).await;
    assert_eq!(cluster.history.count_at(at(72)), 3, "by what could not be read");
    assert_eq!(hindrances(&only), Vec::<String>::new());
}
