//! Jobs, items and what is no job, as operators see them.

use super::*;

#[tokio::test]
async fn shows_the_status_of_the_java_console() {
    let cluster = cluster(&[&format!("/job/config={CONFIG}")]).await;
    let status = async || cluster.operations.job_brief("job").await.unwrap().status;
    assert_eq!(status().await, JobStatus::Crashed);
    cluster.put("/job/instances/a@-@1").await;
    assert_eq!(status().await, JobStatus::Disabled, "there is no server");
    cluster.put("/job/servers/a=disabled").await;
    assert_eq!(status().await, JobStatus::Disabled, "in any spelling");
    cluster.put("/job/servers/b=").await;
    assert_eq!(status().await, JobStatus::ShardingFlag, "no item has an owner");
    cluster.put("/job/sharding/0/instance=a@-@1").await;
    cluster.put("/job/sharding/1/instance=a@-@1").await;
    assert_eq!(status().await, JobStatus::Ok);
    cluster.put("/job/sharding/1/instance=a@-@2").await;
    assert_eq!(status().await, JobStatus::ShardingFlag, "the owner of one is gone");
}

#[tokio::test]
async fn shows_an_item_without_owner_in_the_status() {
    let nodes = [
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/servers/a=ENABLED",
        "/job/sharding/1/instance=a@-@1",
        "/job/sharding/2/instance=a@-@1",
    ];
    let cluster = cluster(&nodes).await;
    let status = async || cluster.operations.jobs().await.unwrap().jobs[0].status;
    assert_eq!(
        status().await,
        JobStatus::ShardingFlag,
        "an item beyond the total is none"
    );
    cluster.put("/job/sharding/0/instance=a@-@1").await;
    assert_eq!(status().await, JobStatus::Ok);
}

#[tokio::test]
async fn shows_no_owner_that_is_gone() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/instances/a@-@1",
        "/job/sharding/0/instance=a@-@1",
        "/job/sharding/0/running=a@-@1",
        "/job/sharding/1/instance=b@-@9",
        "/job/sharding/1/failover=a@-@1",
        "/job/sharding/2/instance=a@-@1",
        "/job/sharding/2/disabled",
        "/job/sharding/2/running=a@-@1",
        "/job/sharding/10/instance=a@-@1",
        "/job/sharding/foreign/instance=a@-@1",
    ])
    .await;
    let items = cluster.operations.items("job").await.unwrap();
    let shown: Vec<_> = items
        .iter()
        .map(|item| (item.item, item.status, item.instance_id.as_deref(), item.failover))
        .collect();
    assert_eq!(
        shown,
        [
            (0, ItemStatus::Running, Some("a@-@1"), false),
            (1, ItemStatus::ShardingFlag, None, true),
            (2, ItemStatus::Disabled, Some("a@-@1"), false),
            (10, ItemStatus::Pending, Some("a@-@1"), false),
        ]
    );
    assert_eq!(items[1].assigned_to.as_deref(), Some("b@-@9"));
}

#[tokio::test]
async fn distinguishes_other_nodes_from_jobs() {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/half/servers/a=ENABLED",
        "/odd/config=shardingTotalCount: many",
        "/other/programs/node=x",
    ])
    .await;
    let listing = cluster.operations.jobs().await.unwrap();
    assert_eq!(listing.jobs.len(), 1);
    let others: Vec<_> = listing
        .others
        .iter()
        .map(|other| (other.name.as_str(), &other.reason))
        .collect();
    assert!(
        matches!(
            others[..],
            [
                ("half", UnlistedReason::NoConfiguration),
                ("odd", UnlistedReason::InvalidConfiguration { .. }),
                ("other", UnlistedReason::Foreign),
            ]
        ),
        "{others:?}"
    );
    assert_eq!(cluster.operations.job_count().await.unwrap(), 4);
    assert_eq!(cluster.operations.servers().await.unwrap()[0].job_names, ["half"]);
    assert!(matches!(
        cluster.operations.job("half").await,
        Err(Error::NoConfiguration { .. })
    ));
    assert!(cluster.operations.configuration("half").await.unwrap().is_none());
}

#[tokio::test]
async fn lists_two_thousand_jobs_in_few_requests() {
    let registry = Metered::new(MemoryRegistry::new());
    let session = registry.connect().await.unwrap();
    for job in 0..2_000 {
        let create = |path: String, data: &str| Step::Create {
            path,
            data: data.into(),
            mode: CreateMode::Persistent,
        };
        let config = format!("jobName: job{job}\nshardingTotalCount: 2\n");
        let mut steps = vec![
            create(format!("/job{job}"), ""),
            create(format!("/job{job}/config"), &config),
        ];
        steps.extend(
            ["servers", "instances", "sharding", "sharding/0", "sharding/1"]
                .map(|name| create(format!("/job{job}/{name}"), "")),
        );
        steps.push(create(format!("/job{job}/servers/a"), "ENABLED"));
        steps.push(create(format!("/job{job}/instances/a@-@1"), ""));
        steps.push(create(format!("/job{job}/sharding/0/instance"), "a@-@1"));
        steps.push(create(format!("/job{job}/sharding/1/instance"), "a@-@1"));
        session.write(steps).await.unwrap();
    }
    let registry = Arc::new(registry);
    let before = registry.counts().requests();
    let listing = Operations::new(Arc::<Metered<_>>::clone(&registry))
        .jobs()
        .await
        .unwrap();
    assert_eq!(listing.jobs.len(), 2_000);
    assert!(listing.jobs.iter().all(|job| job.status == JobStatus::Ok));
    let requests = registry.counts().requests() - before;
    // Six reads a job, then three, of four hundred in a request; and one for the names.
    assert!(requests <= 50, "{requests}");
}
