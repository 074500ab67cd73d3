//! Jobs with so many servers, instances, orders and nodes that no transaction takes all of them.

use std::collections::BTreeSet;

use super::*;
use crate::cluster::note::TEXT_LIMIT;

const SERVERS: usize = 3_000;

fn ip(server: usize) -> String {
    format!("10.{}.{}.{}", server / 62_500, server / 250 % 250, server % 250)
}

fn id(server: usize) -> String {
    format!("{}@-@{}-abcdef", ip(server), 40_000 + server)
}

/// The job, with one instance of ours on each server.
async fn many_servers(switch: &str) -> Cluster {
    let cluster = cluster(&[
        &format!("/job/config={CONFIG}"),
        "/job/servers",
        "/job/instances",
        "/job/ledger/members",
    ])
    .await;
    let steps = (0..SERVERS).flat_map(|server| {
        let instance = format!("/job/instances/{}", id(server));
        let member = format!("/job/ledger/members/{}", id(server));
        [
            (format!("/job/servers/{}", ip(server)), switch.into()),
            (instance, Vec::new()),
            (member, br#"{"draining":false,"obeysPause":false}"#.into()),
        ]
    });
    cluster.create_all(steps).await;
    cluster
}

impl Cluster {
    async fn create_all(&self, nodes: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let mode = CreateMode::Persistent;
        let nodes = nodes.into_iter().map(|(path, data)| Step::Create { path, data, mode });
        for some in nodes.collect::<Vec<_>>().chunks(100) {
            self.session.write(some.to_vec()).await.unwrap();
        }
    }

    async fn children(&self, path: &str) -> Vec<String> {
        let answers = self.session.read(vec![Read::Children(path.to_owned())]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Children(found)) => found.unwrap_or_default(),
            other => panic!("unexpected {other:?}"),
        }
    }

    /// What the nodes below this one hold.
    async fn held_below(&self, path: &str) -> BTreeSet<String> {
        let names = self.children(path).await;
        assert_eq!(names.len(), SERVERS);
        let reads = names.iter().map(|name| Read::Data(format!("{path}/{name}")));
        let answers = self.session.read(reads.collect()).await.unwrap();
        let data = answers.into_iter().map(|answer| match answer {
            Answer::Data(Some((data, _))) => String::from_utf8(data).unwrap(),
            other => panic!("unexpected {other:?}"),
        });
        data.collect()
    }
}

fn all_servers() -> Vec<String> {
    let all: BTreeSet<String> = (0..SERVERS).map(ip).collect();
    all.into_iter().collect()
}

mod three_thousand_servers {
    use super::*;

    #[tokio::test]
    async fn are_switched_off_by_a_pause_and_on_again() {
        let cluster = many_servers("ENABLED").await;
        let long = "月".repeat(TEXT_LIMIT / 3);
        let note = cluster.operations.note(Some(&long), Some(&long));
        let job = Target::job("job");
        let switched = cluster.operations.disable(&job, Some(note)).await.unwrap();
        assert_eq!(switched[0].servers, all_servers());
        assert_eq!(
            cluster.held_below("/job/servers").await,
            BTreeSet::from(["DISABLED".to_owned()])
        );
        let switched = cluster.operations.enable(&job).await.unwrap();
        assert_eq!(switched[0].servers, all_servers());
        assert_eq!(
            cluster.held_below("/job/servers").await,
            BTreeSet::from(["ENABLED".to_owned()])
        );
    }

    #[tokio::test]
    async fn are_switched_on_without_a_pause() {
        let cluster = many_servers("DISABLED").await;
        let switched = cluster.operations.enable(&Target::job("job")).await.unwrap();
        assert_eq!(switched[0].servers, all_servers());
        assert_eq!(
            cluster.held_below("/job/servers").await,
            BTreeSet::from(["ENABLED".to_owned()])
        );
    }

    #[tokio::test]
    async fn are_shut_down() {
        let cluster = many_servers("ENABLED").await;
        let switched = cluster.operations.shut_down(&Target::job("job")).await.unwrap();
        assert_eq!(switched[0].servers, all_servers());
        assert_eq!(cluster.children("/job/instances").await, [""; 0]);
        assert_eq!(cluster.children("/job/servers").await.len(), SERVERS);
    }

    #[tokio::test]
    async fn are_removed() {
        let cluster = many_servers("ENABLED").await;
        let switched = cluster.operations.remove(&Target::job("job")).await.unwrap();
        assert_eq!(switched[0].servers, all_servers());
        assert_eq!(cluster.children("/job/instances").await, [""; 0]);
        assert_eq!(cluster.children("/job/servers").await, [""; 0]);
    }

    #[tokio::test]
    async fn are_asked_for_a_run_once_each() {
        let cluster = many_servers("ENABLED").await;
        let parameter = "x".repeat(1024);
        let first = cluster.operations.trigger("job", Some(&parameter)).await.unwrap();
        assert_eq!(first.instances, cluster.children("/job/instances").await);
        let held = cluster.held_below("/job/trigger").await;
        assert_eq!(held.len(), 1, "each has the same");
        let second = cluster.operations.trigger("job", Some(&parameter)).await.unwrap();
        let held = cluster.held_below("/job/trigger").await;
        let orders = format!(
            r#"[{{"requests":["{}","{}"],"parameter":"{parameter}"}}]"#,
            first.request, second.request
        );
        assert_eq!(held, BTreeSet::from([orders]));
    }
}

mod many_nodes {
    use super::*;

    #[tokio::test]
    async fn beyond_the_total_are_removed_as_stale() {
        let cluster = cluster(&[&format!("/job/config={CONFIG}"), "/job/sharding"]).await;
        let items = (0..6_000).flat_map(|item| {
            let item = format!("/job/sharding/{item}");
            [
                (item.clone(), Vec::new()),
                (format!("{item}/instance"), b"gone@-@1".into()),
            ]
        });
        cluster.create_all(items).await;
        let removed = cluster.operations.remove_stale("job").await.unwrap();
        assert_eq!(removed.len(), 2 * 5_998);
        assert!(removed.is_sorted());
        assert_eq!(cluster.children("/job/sharding").await, ["0", "1"]);
    }

    #[tokio::test]
    async fn go_with_their_job_and_are_not_read() {
        const ITEMS: u64 = 3_000;
        let registry = Arc::new(Metered::new(MemoryRegistry::new()));
        let session = registry.connect().await.unwrap();
        let operations = Operations::new(Arc::clone(&registry) as Arc<dyn Registry>);
        let cluster = Cluster { session, operations };
        for parent in ["/job/config=x", "/job/sharding", "/job/ledger/items"] {
            cluster.put(parent).await;
        }
        let nodes = (0..ITEMS).flat_map(|item| {
            [
                (format!("/job/sharding/{item}"), Vec::new()),
                (format!("/job/sharding/{item}/instance"), b"gone@-@1".into()),
                (format!("/job/ledger/items/{item}"), b"{}".into()),
            ]
        });
        cluster.create_all(nodes).await;
        let before = registry.counts();
        let removed = cluster.operations.remove_job("job").await.unwrap();
        assert_eq!(removed as u64, 3 * ITEMS + 5);
        assert_eq!(cluster.get("/job").await, None);
        let asked = registry.counts() - before;
        // The children of each node, once, and whether the job is there and has instances; and what this test read.
        assert_eq!(asked.nodes_read, 3 * ITEMS + 5 + 3 + 1);
    }

    #[tokio::test]
    async fn with_long_names_go_with_their_job() {
        let cluster = cluster(&["/job/config=x"]).await;
        let nodes = (0..1_000).map(|node| (format!("/job/config/{node:02000}"), Vec::new()));
        cluster.create_all(nodes).await;
        assert_eq!(cluster.operations.remove_job("job").await.unwrap(), 1_002);
        assert_eq!(cluster.get("/job").await, None);
    }
}
