//! Operations on an embedded registry that holds what members of any kind may have left there.

mod configuration;
mod copy;
mod explain;
mod java;
mod listing;
mod many;
mod obstacles;
mod pause;
mod removal;
mod session;
mod settings;
mod switches;
mod triggers;

use std::sync::Arc;

use elasticjob_config::job::JobConfig;

use crate::registry::memory::MemoryRegistry;
use crate::registry::metered::Metered;
use crate::registry::{Answer, CreateMode, Read, Registry, Session, Step};
use crate::run::Verdict;

use super::*;

const CONFIG: &str = "jobName: job\ncron: 0/5 * * * * ?\nshardingTotalCount: 2\n";

/// What can be seen from beside.
struct Cluster {
    session: Arc<dyn Session>,
    operations: Operations,
}

/// A namespace with these nodes, each `path=data`.
async fn cluster(nodes: &[&str]) -> Cluster {
    let registry = MemoryRegistry::new();
    let session = registry.connect().await.unwrap();
    let operations = Operations::new(Arc::new(registry));
    let cluster = Cluster { session, operations };
    for node in nodes {
        cluster.put(node).await;
    }
    cluster
}

impl Cluster {
    /// Creates a node with its parents, or sets it.
    async fn put(&self, node: &str) {
        let (path, data) = node.split_once('=').unwrap_or((node, ""));
        let ends = path.match_indices('/').skip(1).map(|(end, _)| end);
        for path in ends.map(|end| &path[..end]) {
            if self.get(path).await.is_none() {
                self.create(path, "").await;
            }
        }
        match self.get(path).await {
            None => self.create(path, data).await,
            Some(_) => {
                let (path, data) = (path.to_owned(), data.into());
                let version = None;
                self.session
                    .write(vec![Step::Set { path, data, version }])
                    .await
                    .unwrap();
            }
        }
    }

    async fn create(&self, path: &str, data: &str) {
        let (path, data) = (path.to_owned(), data.into());
        let mode = CreateMode::Persistent;
        self.session
            .write(vec![Step::Create { path, data, mode }])
            .await
            .unwrap();
    }

    async fn delete(&self, path: &str) {
        let (path, version) = (path.to_owned(), None);
        self.session.write(vec![Step::Delete { path, version }]).await.unwrap();
    }

    async fn get(&self, path: &str) -> Option<String> {
        let answers = self.session.read(vec![Read::Data(path.to_owned())]).await.unwrap();
        match answers.into_iter().next() {
            Some(Answer::Data(found)) => found.map(|(data, _)| String::from_utf8(data).unwrap()),
            other => panic!("unexpected {other:?}"),
        }
    }
}
