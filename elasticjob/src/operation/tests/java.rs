//! What the Java console says of a namespace, by its rules.

use super::*;
use crate::operation::java::{JobBriefInfo, Status};
use crate::operation::{ItemStatus, ServerBrief};

/// A job with an instance, of which each test changes something.
const NODES: [&str; 6] = [
    "/job/config=jobName: job\ncron: 0/5 * * * * ?\nshardingTotalCount: 2\ndescription: 每日备份\n",
    "/job/instances/a@-@1=jobInstanceId: a@-@1\nserverIp: a\n",
    "/job/servers/a=ENABLED",
    "/job/sharding/0/instance=a@-@1",
    "/job/sharding/1/instance=a@-@1",
    "/foreign=of another program",
];

async fn job(cluster: &Cluster) -> JobBriefInfo {
    let mut jobs = cluster.operations.java_jobs(|_| true).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

mod status {
    use super::*;

    #[tokio::test]
    async fn follows_the_first_rule_that_applies() {
        let cluster = cluster(&NODES).await;
        let status = async || job(&cluster).await.status;
        assert_eq!(status().await, Status::Ok);
        for (node, expected) in [
            ("/job/sharding/1/instance=", Status::Ok),
            ("/job/sharding/1/instance=b@-@9", Status::ShardingFlag),
            ("/job/sharding/0/instance=", Status::ShardingFlag),
            ("/job/sharding/1/instance=", Status::ShardingFlag),
            // A stale server that is on keeps a job from being disabled, and so does a switch in another case.
            ("/job/servers/b=DISABLED", Status::ShardingFlag),
            ("/job/servers/a=disabled", Status::ShardingFlag),
            ("/job/servers/a=DISABLED", Status::Disabled),
            ("/job/servers/c=ENABLED", Status::ShardingFlag),
            // A pause of ours is nothing to the Java console.
            ("/job/ledger/pause={}", Status::ShardingFlag),
        ] {
            cluster.put(node).await;
            assert_eq!(status().await, expected, "{node}");
        }
        for server in ["a", "b", "c"] {
            cluster.delete(&format!("/job/servers/{server}")).await;
        }
        assert_eq!(status().await, Status::Disabled, "there is no server");
        cluster.delete("/job/instances/a@-@1").await;
        assert_eq!(status().await, Status::Crashed);
    }

    #[tokio::test]
    async fn is_there_for_a_configuration_that_no_job_can_run_by() {
        let cluster = cluster(&NODES).await;
        cluster
            .put("/job/config=jobName: job\ncron: never\nshardingTotalCount: many\n")
            .await;
        let found = job(&cluster).await;
        assert_eq!((found.cron.as_deref(), found.sharding_total_count), (Some("never"), 0));
        cluster.put("/job/config=no map").await;
        assert!(cluster.operations.java_jobs(|_| true).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn lists_jobs_in_the_order_of_java() {
    let cluster = cluster(&[]).await;
    for name in ["b", "备份", "a.b-c", "B"] {
        cluster
            .put(&format!("/{name}/config=jobName: x\nshardingTotalCount: 1\n"))
            .await;
    }
    let jobs = cluster.operations.java_jobs(|job| job != "b").await.unwrap();
    let names: Vec<_> = jobs.iter().map(|job| &*job.job_name).collect();
    assert_eq!(names, ["B", "a.b-c", "备份"]);
    let json = serde_json::to_value(&jobs[1]).unwrap();
    let expected = serde_json::json!({
        "jobName": "a.b-c", "status": "CRASHED", "description": "", "cron": null, "instanceCount": 0, "shardingTotalCount": 1,
    });
    assert_eq!(json, expected);
}

#[tokio::test]
async fn counts_servers_as_java_meets_them() {
    let cluster = cluster(&NODES).await;
    for node in [
        "/job/instances/b@-@2=jobInstanceId: b@-@2\nserverIp: '10.0.0.2'\n",
        "/job/instances/old@-@3",
        "/job/servers/10.0.0.2=disabled",
        "/job/servers/stale=ENABLED",
        // Java comes to `zz` before it has met the server in `job`, and to `aa` after that.
        "/zz/instances/a@-@8=serverIp: a\n",
        "/aa/instances/a@-@7=serverIp: a\n",
        "/zz/servers/10.0.0.2=DISABLED",
    ] {
        cluster.put(node).await;
    }
    let found = cluster.operations.java_servers(|_| true).await.unwrap();
    let shown = |server: &ServerBrief| {
        let numbers = [server.instances_num, server.jobs_num, server.disabled_jobs_num];
        (
            server.server_ip.clone(),
            server.instances.join(","),
            server.job_names.join(","),
            numbers,
        )
    };
    let shown: Vec<_> = found.iter().map(shown).collect();
    let expected = [
        ("10.0.0.2", "b@-@2", "job,zz", [1, 2, 2]),
        ("a", "a@-@1,a@-@7", "job", [2, 1, 0]),
        ("stale", "", "job", [0, 1, 0]),
    ];
    let expected = expected.map(|(ip, ids, jobs, numbers)| (ip.to_owned(), ids.to_owned(), jobs.to_owned(), numbers));
    assert_eq!(shown, expected);

    let jobs = cluster.operations.java_jobs_on("10.0.0.2", |_| true).await.unwrap();
    let shown: Vec<_> = jobs
        .iter()
        .map(|job| (&*job.job_name, job.status, job.instance_count, job.sharding_total_count))
        .collect();
    assert_eq!(shown, [("job", Status::Disabled, 1, 0), ("zz", Status::Disabled, 0, 0)]);
    assert!(
        cluster
            .operations
            .java_jobs_on("old", |_| true)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn shows_items_whose_owner_is_gone() {
    let cluster = cluster(&NODES).await;
    for node in [
        "/job/sharding/1/instance=10.0.0.9@-@5",
        "/job/sharding/1/failover=a@-@1",
        "/job/sharding/2",
    ] {
        cluster.put(node).await;
    }
    let items = cluster.operations.java_items("job").await.unwrap();
    let shown: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item.item,
                item.status,
                item.server_ip.as_deref(),
                item.instance_id.as_deref(),
                item.failover,
            )
        })
        .collect();
    let flag = ItemStatus::ShardingFlag;
    let expected = [
        (0, ItemStatus::Pending, Some("a"), Some("a@-@1"), false),
        (1, flag, Some("10.0.0.9"), Some("10.0.0.9@-@5"), true),
        (2, flag, None, None, false),
    ];
    assert_eq!(shown, expected);
    assert!(matches!(
        cluster.operations.java_items("unknown").await,
        Err(Error::NoSuchJob { .. })
    ));
}

#[tokio::test]
async fn switches_all_servers_of_a_job() {
    let cluster = cluster(&NODES).await;
    cluster.put("/job/servers/b=ENABLED").await;
    let note = cluster.operations.note(Some("mei"), None);
    let off = cluster.operations.disable_servers("job", Some(note)).await.unwrap();
    assert_eq!((off.servers.len(), off.pause), (2, None));
    assert_eq!(job(&cluster).await.status, Status::Disabled);
    assert_eq!(cluster.get("/job/ledger/pause").await, None);
    // What was paused as well is on afterwards.
    cluster.operations.disable(&Target::job("job"), None).await.unwrap();
    let on = cluster.operations.enable_servers("job").await.unwrap();
    assert_eq!(on.pause, Some(PauseChange::Ended));
    assert_eq!(job(&cluster).await.status, Status::Ok);
    assert_eq!(cluster.get("/job/ledger/pause").await, None);
    assert!(matches!(
        cluster.operations.disable_servers("unknown", None).await,
        Err(Error::NoSuchJob { .. })
    ));
}
