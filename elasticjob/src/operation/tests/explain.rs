//! Why a job does not run.

use super::*;

#[tokio::test]
async fn every_obstacle_should_be_explained() {
    let cluster = cluster(&[
        &format!("/job/config={}misfire: false\n", CONFIG.replace(": 2", ": 8")),
        "/job/instances/a@-@1",
        "/job/instances/b@-@1",
        "/job/servers/a=ENABLED",
        "/job/servers/b=DISABLED",
        "/job/leader/sharding/necessary",
        "/job/trigger/a@-@1",
        "/job/ledger/epoch={\"instances\":[],\"total\":8,\"strategy\":\"LABEL\",\"left_out\":[7]}",
        "/job/ledger/members/a@-@1={\"draining\":true,\"hindrances\":[\"claim items: the request is too large\"],\
         \"differences\":\"cron is x in the registry, y here\"}",
        "/job/ledger/members/b@-@1={\"differences\":\"cron is x in the registry, y here\"}",
        "/job/sharding/1/instance=gone@-@1",
        "/job/sharding/2/instance=b@-@1",
        "/job/sharding/3/instance=a@-@1",
        "/job/sharding/3/running=gone@-@1",
        "/job/sharding/4/instance=a@-@1",
        "/job/sharding/4/running=a@-@1",
        "/job/sharding/5/instance=a@-@1",
        "/job/sharding/5/disabled",
        "/job/sharding/6/instance=a@-@1",
        "/job/ledger/items/6={\"run\":{\"id\":\"r\",\"due\":0,\"attempt\":3,\"owner\":\"a@-@1\",\"source\":\"failover\",\
         \"end\":{\"verdict\":\"lost\",\"cause\":\"parked: its instances died in a row\"}},\
         \"skipped\":{\"after\":0,\"before\":5000,\"count\":4,\"reason\":\"no instance ran the item\"}}",
    ])
    .await;
    let explained = cluster.operations.explain("job").await.unwrap();
    let is = |found: &[Finding], wanted: &dyn Fn(&Finding) -> bool| found.iter().any(wanted);
    let of_job = &explained.findings;
    assert!(
        matches!(of_job[0], Finding::Resharding { is_under_way: false }),
        "{of_job:?}"
    );
    assert!(is(
        of_job,
        &|found| matches!(found, Finding::ServerDisabled { server, note: None } if server == "b")
    ));
    assert!(is(of_job, &|found| matches!(
        found,
        Finding::TriggerWaits { is_present: true, .. }
    )));
    assert!(is(of_job, &|found| matches!(found, Finding::Draining { .. })));
    assert!(is(of_job, &|found| found.is_obstacle()
        && found.to_string()
            == "a@-@1 cannot claim items: the request is too large"));
    assert!(is(of_job, &|found| !found.is_obstacle()
        && found.to_string()
            == "the registry's configuration is in force, and differs from that of the application of a@-@1, b@-@1: cron is x in the \
                registry, y here"));
    assert!(is(of_job, &|found| matches!(found, Finding::MisfireOff)));
    assert!(is(of_job, &|found| matches!(found, Finding::MonitorExecutionOff)));
    assert!(is(of_job, &|found| matches!(found, Finding::NoLeader)));
    let first = |item: usize| &explained.items[item].findings[0];
    assert!(matches!(first(0), Finding::NoOwner), "{:?}", first(0));
    assert!(matches!(first(1), Finding::OwnerGone { .. }), "{:?}", first(1));
    assert!(matches!(first(2), Finding::OwnerDisabled { .. }), "{:?}", first(2));
    assert!(matches!(first(3), Finding::DeadMark { .. }), "{:?}", first(3));
    assert!(
        matches!(first(4), Finding::Running { on: Some(_), .. }),
        "{:?}",
        first(4)
    );
    assert!(
        matches!(first(5), Finding::ItemDisabled { note: None }),
        "{:?}",
        first(5)
    );
    assert!(matches!(first(7), Finding::Unassigned), "{:?}", first(7));
    let parked = &explained.items[6].findings;
    assert!(
        matches!(&parked[..], [Finding::Parked { .. }, Finding::Skipped { .. }]),
        "it waits for no time while nothing of the job starts: {parked:?}"
    );
}
