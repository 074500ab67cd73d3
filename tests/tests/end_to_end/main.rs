//! Real processes share jobs through real ZooKeeper servers, the core of it also through other registry centres, and are hurt in all the ways that processes are.
//!
//! Tests wait for what they want to see, however long a busy machine takes, and check the history of what ran
//! against the laws that hold under all faults.

mod access;
mod bad_input;
mod configuration;
mod each_center;
mod failover;
mod health;
mod layout;
mod leaving;
mod listeners;
mod misfire;
mod moving;
mod notices;
mod one_off;
mod operators;
mod outages;
mod pause;
mod secured;
mod sharing;
mod standby;
mod strategies;
mod streams;
mod tries;
mod typed_jobs;

use std::time::Duration;

use elasticjob_tests::cluster::Cluster;
use elasticjob_tests::process::{Member, MemberSetup};
use elasticjob_tests::zookeeper::Server;
use jiff::SignedDuration;

/// The application that members run.
const MEMBER: &str = env!("CARGO_BIN_EXE_member");

/// A schedule that is not reached while tests run.
const NEVER: &str = "0 0 0 1 1 ? 2099";

/// Work that can be caught in the act. A member does all of the job's items within a period, four at a time.
const LONG: Duration = Duration::from_millis(400);

/// The registry holds times to the millisecond.
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

/// Returns a cluster on the server that tests share.
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
