//! Real processes share jobs through real ZooKeeper servers, and are hurt in all the ways that processes are.
//!
//! Tests wait for what they want to see, however long a busy machine takes, and check the history of what ran
//! against the laws that hold whatever happens.

mod sharing;

use elasticjob_tests::cluster::Cluster;
use elasticjob_tests::process::{Member, MemberSetup};
use elasticjob_tests::zookeeper::Server;

/// The application that members run.
const MEMBER: &str = env!("CARGO_BIN_EXE_member");

/// A cluster on the server that tests share.
fn cluster(namespace: &str) -> anyhow::Result<Cluster> {
    Cluster::new(MEMBER, Server::shared().address(), namespace)
}

/// Members with nothing special to them, one on each of these hosts.
fn members(cluster: &Cluster, hosts: &[u8]) -> anyhow::Result<Vec<Member>> {
    hosts
        .iter()
        .map(|host| cluster.member(*host))
        .map(MemberSetup::start)
        .collect()
}
