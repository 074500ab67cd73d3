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
         \"end\":{\"verdict\":\"lost\",\"cause\":\"parked: its instances died in a row\",\"code\":\"parked\"}},\
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

mod overdue {
    use jiff::Timestamp;

    use super::*;
    use crate::operation::explain::explain;
    use crate::operation::survey::Depth;

    /// Returns the first scheduled time without a run, as seconds after 02:00, and the number of items. The job fires each full hour,
    /// and the ledger of item 0 accounts for all until 01:30.
    async fn found(second: i64, ledger: &str, nodes: &[&str]) -> Option<(i64, u32)> {
        let two: Timestamp = "2026-03-01T02:00:00Z".parse().unwrap();
        let until = two.as_millisecond() - 1_800_000;
        let config = format!("/job/config={}timeZone: UTC\n", CONFIG.replace("0/5 * *", "0 0 *"));
        let ledger = format!("/job/ledger/items/0={{\"until\":{until}{ledger}}}");
        let nodes: Vec<&str> = [&*config, &*ledger].into_iter().chain(nodes.iter().copied()).collect();
        let cluster = cluster(&nodes).await;
        let survey = cluster.operations.survey("job", Depth::Whole).await.unwrap();
        let now = Timestamp::from_second(two.as_second() + second).unwrap();
        let overdue = |finding: &Finding| match finding {
            Finding::Overdue { since, items } => Some((since.as_second() - two.as_second(), *items)),
            _ => None,
        };
        explain(&survey, now).findings.iter().find_map(overdue)
    }

    #[tokio::test]
    async fn begins_a_minute_after_the_time() {
        assert_eq!(found(59, "", &[]).await, None);
        assert_eq!(found(60, "", &[]).await, Some((0, 1)));
        assert_eq!(found(100_000, "", &[]).await, Some((0, 1)));
    }

    #[tokio::test]
    async fn counts_items_from_the_first_time() {
        let later = "/job/ledger/items/1={\"since\":1772334000000}";
        assert_eq!(found(7300, "", &[later]).await, Some((0, 2)));
        let beyond_the_total = "/job/ledger/items/2={\"since\":1772334000000}";
        assert_eq!(found(7300, "", &[beyond_the_total]).await, Some((0, 1)));
    }

    #[tokio::test]
    async fn is_none_while_something_is_in_the_way() {
        let ours = [
            "/job/instances/a@-@1",
            "/job/ledger/members/a@-@1={}",
            "/job/servers/a=ENABLED",
        ];
        let with = |more: &[&'static str]| [&ours[..], more].concat();
        let own = with(&["/job/sharding/0/instance=a@-@1"]);
        assert_eq!(found(60, "", &own).await, Some((0, 1)));
        let run = r#","run":{"id":"r","due":0,"attempt":1,"owner":"a@-@1","source":"schedule"}"#;
        assert_eq!(found(60, run, &own).await, None, "it runs");
        let of_dead = run.replace("a@-@1", "b@-@1");
        assert_eq!(found(60, &of_dead, &own).await, Some((0, 1)));
        let off = with(&["/job/sharding/0/disabled"]);
        assert_eq!(found(60, "", &off).await, None, "it is switched off");
        let server_off = with(&["/job/sharding/0/instance=a@-@1", "/job/servers/a=DISABLED"]);
        assert_eq!(found(60, "", &server_off).await, None, "its server is switched off");
        let paused = with(&["/job/ledger/pause={}"]);
        assert_eq!(found(60, "", &paused).await, None, "the job is paused");
        let of_java = with(&["/job/instances/b@-@7"]);
        assert_eq!(found(60, "", &of_java).await, None, "a Java member may have run it");
    }
}
