//! Jobs that move to another registry.

use std::sync::Mutex;

use super::*;
use crate::registry::decorator::{Decorated, Decorator};
use crate::registry::{BoxFuture, Error as RegistryError, WriteError, Written};

/// What members of both kinds leave behind when they are gone.
fn left_behind() -> Vec<String> {
    let mut nodes = vec![
        format!("/任务/config={CONFIG}"),
        "/任务/servers/10.0.0.1=DISABLED".to_owned(),
        "/任务/ledger/epoch=7".to_owned(),
        "/任务/ledger/pause={}".to_owned(),
        "/任务/ledger/notes/servers/10.0.0.1={\"reason\":\"维护\"}".to_owned(),
        "/任务/leader/failover/items/3".to_owned(),
        "/任务/sharding/0/instance=10.0.0.1@-@7".to_owned(),
        "/任务/sharding/1/disabled".to_owned(),
        "/任务/foreign/node=x".to_owned(),
        "/of-java/config=jobName: of-java".to_owned(),
        "/of-java/sharding/0/instance=10.0.0.1@-@7".to_owned(),
    ];
    nodes.extend((0..40).map(|item| format!("/任务/ledger/items/{item}={}", "v".repeat(64 * 1024))));
    nodes
}

/// A registry with these nodes.
async fn registry(nodes: &[String]) -> MemoryRegistry {
    let registry = MemoryRegistry::new();
    let operations = Operations::new(Arc::new(registry.clone()));
    let session = registry.connect().await.unwrap();
    let cluster = Cluster { session, operations };
    for node in nodes {
        cluster.put(node).await;
    }
    registry
}

fn operations(registry: &MemoryRegistry) -> Operations {
    Operations::new(Arc::new(registry.clone()))
}

/// All nodes of a registry but containers, which may go at any time.
async fn nodes(registry: &MemoryRegistry) -> Vec<(String, Vec<u8>)> {
    let session = registry.connect().await.unwrap();
    let limits = Limits {
        nodes: usize::MAX,
        bytes: usize::MAX,
    };
    let answers = session.read(vec![Read::Children("/".into())]).await.unwrap();
    let [Answer::Children(Some(jobs))] = &answers[..] else {
        panic!("{answers:?}")
    };
    let mut nodes = Vec::new();
    for job in jobs {
        nodes.push((format!("/{job}"), Vec::new()));
        nodes.extend(subtree(&*session, &format!("/{job}"), limits).await.unwrap());
    }
    nodes
}

/// A registry that loses the connection at a write.
#[derive(Debug)]
struct Cut {
    registry: MemoryRegistry,
    /// How many writes succeed before.
    writes: Arc<Mutex<usize>>,
}

#[derive(Debug)]
struct CutSession(Arc<Mutex<usize>>);

impl Decorator for CutSession {
    fn write(&self, session: &dyn Session, steps: Vec<Step>) -> BoxFuture<'static, Result<Vec<Written>, WriteError>> {
        let mut left = self.0.lock().unwrap();
        if *left == 0 {
            return Box::pin(async { Err(RegistryError::ConnectionLoss.into()) });
        }
        *left -= 1;
        session.write(steps)
    }
}

impl Registry for Cut {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Session>, RegistryError>> {
        Box::pin(async {
            let session = self.registry.connect().await?;
            Ok(Decorated::new(session, CutSession(Arc::clone(&self.writes))))
        })
    }

    fn describe(&self) -> String {
        "one that is cut".to_owned()
    }
}

mod a_copy {
    use super::*;

    #[tokio::test]
    async fn has_all_that_outlives_sessions() {
        let (from, to) = (registry(&left_behind()).await, MemoryRegistry::new());
        let (source, target) = (operations(&from), operations(&to));
        let wanted = source.copy_to(&target, IfThere::Refuse, true).await.unwrap();
        assert_eq!(nodes(&to).await, [], "nothing was to be written");
        let report = source.copy_to(&target, IfThere::Refuse, false).await.unwrap();
        assert_eq!(report.jobs, wanted.jobs);
        assert_eq!(nodes(&to).await, nodes(&from).await);
        assert!(
            report.jobs.iter().all(|job| job.changes == job.nodes && job.nodes > 3),
            "{report:?}"
        );
        let again = source.copy_to(&target, IfThere::Refuse, false).await.unwrap();
        assert!(again.jobs.iter().all(|job| job.changes == 0), "{again:?}");
        // And back.
        let back = MemoryRegistry::new();
        target
            .copy_to(&operations(&back), IfThere::Refuse, false)
            .await
            .unwrap();
        assert_eq!(nodes(&back).await, nodes(&from).await);
    }

    #[tokio::test]
    async fn leaves_out_what_goes_by_itself() {
        let mut here = left_behind();
        here.push("/no-job/servers/a".to_owned());
        here.push("/of-java/leader/election/latch".to_owned());
        let (from, to) = (registry(&here).await, MemoryRegistry::new());
        let session = from.connect().await.unwrap();
        let mode = CreateMode::Ephemeral;
        let running = Step::Create {
            path: "/of-java/sharding/0/running".into(),
            data: vec![],
            mode,
        };
        session.write(vec![running]).await.unwrap();
        let report = operations(&from)
            .copy_to(&operations(&to), IfThere::Refuse, false)
            .await
            .unwrap();
        let names: Vec<&str> = report.jobs.iter().map(|job| job.job.as_str()).collect();
        assert_eq!(names, ["of-java", "任务"]);
        assert_eq!(report.left_out.len(), 2, "{report:?}");
        assert!(report.left_out[0].starts_with("/no-job: it is no job"), "{report:?}");
        assert!(
            report.left_out[1].starts_with("1 nodes that go with sessions"),
            "{report:?}"
        );
        let there = nodes(&to).await;
        assert!(
            !there
                .iter()
                .any(|(path, _)| path.contains("running") || path.contains("election")),
            "{there:?}"
        );
    }

    #[tokio::test]
    async fn that_was_cut_anywhere_is_known_and_completed() {
        assert!(is_cut_anywhere(&left_behind()).await > 5);
    }

    #[tokio::test]
    async fn of_small_transactions_begins_and_ends_in_one() {
        let small: Vec<String> = left_behind().into_iter().filter(|node| node.len() < 1024).collect();
        for limit in [600, 650, 700, 750] {
            let _limits = crate::limits::lower(limit, 1);
            assert!(is_cut_anywhere(&small).await > 3, "{limit}");
        }
    }

    /// Cuts a copy after each number of writes, and completes it. Returns how many there are.
    async fn is_cut_anywhere(nodes_of_source: &[String]) -> usize {
        let from = registry(nodes_of_source).await;
        let mut cuts = 0;
        loop {
            let to = MemoryRegistry::new();
            let writes = Arc::new(Mutex::new(cuts));
            let cut = Cut {
                registry: to.clone(),
                writes: Arc::clone(&writes),
            };
            let result = operations(&from)
                .copy_to(&Operations::new(Arc::new(cut)), IfThere::Refuse, false)
                .await;
            if result.is_ok() {
                assert_eq!(nodes(&to).await, nodes(&from).await);
                break;
            }
            // No job is taken for whole that is not.
            let there = nodes(&to).await;
            for job in ["任务", "of-java"] {
                let has = |path: &str| there.iter().any(|(there, _)| there == path);
                let is_whole = has(&format!("/{job}/config"));
                assert!(!is_whole || !has(&format!("/{job}/ledger/incomplete-copy")), "{cuts}");
                let of_job = |nodes: &[(String, Vec<u8>)]| {
                    let below = |path: &String| path.starts_with(&format!("/{job}/"));
                    nodes.iter().filter(|(path, _)| below(path)).count()
                };
                assert!(
                    !is_whole || of_job(&there) == of_job(&nodes(&from).await),
                    "{cuts}: {job}"
                );
            }
            operations(&from)
                .copy_to(&operations(&to), IfThere::Refuse, false)
                .await
                .unwrap();
            assert_eq!(nodes(&to).await, nodes(&from).await, "after {cuts} writes");
            cuts += 1;
        }
        cuts
    }
}

mod a_target {
    use super::*;

    #[tokio::test]
    async fn with_other_content_is_overwritten_on_demand_alone() {
        let from = registry(&left_behind()).await;
        let mut others = left_behind();
        others[1] = "/任务/servers/10.0.0.2=".to_owned();
        others.push("/任务/ledger/requests/4=x".to_owned());
        others.push("/beside/config=jobName: beside".to_owned());
        let to = registry(&others).await;
        let before = nodes(&to).await;
        let error = operations(&from)
            .copy_to(&operations(&to), IfThere::Refuse, false)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::There { jobs, .. } if *jobs == ["任务"]),
            "{error}"
        );
        assert_eq!(nodes(&to).await, before);
        operations(&from)
            .copy_to(&operations(&to), IfThere::Overwrite, false)
            .await
            .unwrap();
        let there: Vec<_> = nodes(&to)
            .await
            .into_iter()
            .filter(|(path, _)| !path.starts_with("/beside"))
            .collect();
        assert_eq!(there, nodes(&from).await);
        assert!(nodes(&to).await.iter().any(|(path, _)| path == "/beside/config"));
    }

    #[tokio::test]
    async fn or_source_with_an_instance_is_left_alone() {
        for live in ["instances/a@-@1", "ledger/members/a@-@1", "ledger/standby/a@-@1"] {
            let mut here = left_behind();
            here.push(format!("/任务/{live}"));
            let (living, dead) = (registry(&here).await, registry(&left_behind()).await);
            let empty = MemoryRegistry::new();
            for (from, to) in [(&living, &empty), (&dead, &living)] {
                let before = nodes(to).await;
                let error = operations(from)
                    .copy_to(&operations(to), IfThere::Overwrite, false)
                    .await
                    .unwrap_err();
                assert!(
                    matches!(&error, Error::Running { job, .. } if job == "任务"),
                    "{live}: {error}"
                );
                assert_eq!(nodes(to).await, before, "{live}");
            }
        }
    }
}
