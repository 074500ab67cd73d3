//! Whether everything is as it should be again, once all faults are over.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::ledger::Source;

use super::node::{Condition, Node};
use super::world::{World, origin};

/// What recovery may take beside twice the session timeout and one period.
const SLACK: Duration = Duration::from_secs(2 + 5);

/// How long the cluster is watched after that.
const WATCHED: Duration = Duration::from_secs(12);

/// What nobody needs while nothing happens.
const LEFT_OVER: [&str; 5] = [
    "leader/sharding",
    "leader/election/latch",
    "leader/failover/items",
    "leader/failover/latch",
    "trigger",
];

/// After a scheduled time everybody has fired, and quick items have ended.
const QUIET: Duration = Duration::from_millis(650);

impl World {
    /// Waits for as long as recovery may take, watches for some firings, and judges.
    pub(super) async fn check_recovery(&mut self) {
        let longest = self.jobs.iter().map(|job| job.period).max().unwrap_or_default();
        let bound = self.session_timeout * 2 + SLACK + longest;
        let recovered = self.quiet_moment_after(Instant::now() + bound);
        self.pass_time_until(recovered).await;
        let before: Vec<u64> = self
            .nodes
            .iter()
            .map(|node| node.registry.counts().requests())
            .collect();
        let end = self.quiet_moment_after(recovered + WATCHED.max(longest * 2));
        self.pass_time_until(end).await;
        self.check_firings(recovered, end);
        self.check_registry();
        self.check_requests(&before, end - recovered);
        self.check_trigger().await;
    }

    /// Each scheduled time between was run once by each item.
    fn check_firings(&mut self, from: Instant, to: Instant) {
        let mut launched: BTreeMap<(String, u32, i64), u32> = BTreeMap::new();
        for run in self.history.runs() {
            if run.source != Source::Trigger {
                *launched.entry((run.job.to_string(), run.item, run.due)).or_default() += 1;
            }
        }
        let (from, to) = (self.seconds_of(from), self.seconds_of(to));
        for job in &self.jobs {
            let period = i64::try_from(job.period.as_secs()).expect("short");
            let times = (from + 1..=to).filter(|second| second.rem_euclid(60) % period == 0);
            let total = job.config.sharding_total_count().get();
            for (second, item) in times.flat_map(|second| (0..total).map(move |item| (second, item))) {
                if !launched.contains_key(&(job.name.clone(), item, second * 1000)) {
                    self.history
                        .violation(format!("{}/{item} was not run at {}", job.name, second * 1000));
                }
            }
        }
    }

    /// Nothing is left over, and every item belongs to somebody who is there.
    fn check_registry(&mut self) {
        for job in &self.jobs {
            let name = &job.name;
            let children = |path: &str| self.observer.children(&format!("/{name}/{path}"));
            let instances = children("instances");
            let complain = |what: String| self.history.violation(format!("{name}: {what}"));
            let there = self.nodes.iter().filter(|node| node.is_there()).count();
            if instances.len() != there {
                complain(format!("{instances:?} are registered, {there} nodes are there"));
            }
            if children("ledger/members") != instances {
                complain(format!("the members are {:?}", children("ledger/members")));
            }
            for path in LEFT_OVER {
                let left = children(path);
                if !left.is_empty() {
                    complain(format!("{left:?} is left over in {path}"));
                }
            }
            let leader = self.observer.data(&format!("/{name}/leader/election/instance"));
            if !leader.as_ref().is_some_and(|leader| instances.contains(leader)) {
                complain(format!("led by {leader:?}"));
            }
            let total = job.config.sharding_total_count().get();
            if children("sharding").len() != total as usize {
                complain(format!("items {:?} for {total}", children("sharding")));
            }
            for item in 0..total {
                let owner = self.observer.data(&format!("/{name}/sharding/{item}/instance"));
                if !owner.as_ref().is_some_and(|owner| instances.contains(owner)) {
                    complain(format!("item {item} belongs to {owner:?}"));
                }
                for mark in ["running", "failover", "failovering"] {
                    if let Some(holder) = self.observer.data(&format!("/{name}/sharding/{item}/{mark}")) {
                        complain(format!("item {item} is marked as {mark} by {holder}"));
                    }
                }
            }
            let epoch = self.observer.data(&format!("/{name}/ledger/epoch")).unwrap_or_default();
            if epoch.contains("deferred") {
                complain(format!("items are still to be moved: {epoch}"));
            }
        }
    }

    /// A claim and an end for each firing, a sign of life each sixth of the session timeout, and little else.
    fn check_requests(&mut self, before: &[u64], time: Duration) {
        let firings: u64 = self
            .jobs
            .iter()
            .map(|job| time.as_secs() / job.period.as_secs() + 1)
            .sum();
        let signs = time.as_secs() * 7 / self.session_timeout.as_secs();
        // Items of one firing end apart when they wait for each other in a pool of one.
        let allowed = firings * (1 + 6) + signs + 10;
        for (node, before) in self.nodes.iter().zip(before) {
            let requests = node.registry.counts().requests() - before;
            if node.condition == Condition::Running && requests > allowed {
                let index = node.index;
                self.history
                    .violation(format!("node {index} made {requests} requests, {allowed} are allowed"));
            }
        }
    }

    /// A run that is asked for now comes, once for each item.
    async fn check_trigger(&mut self) {
        let Some(node) = self.nodes.iter().find(|node| Node::is_there(node)) else {
            return;
        };
        let before = self.history.now();
        for job in &self.jobs {
            node.trigger(&job.name, "last".to_owned());
        }
        let end = Instant::now() + Duration::from_secs(2);
        self.pass_time_until(end).await;
        let runs = self.history.runs();
        for job in &self.jobs {
            for item in 0..job.config.sharding_total_count().get() {
                let asked = runs.iter().filter(|run| {
                    run.launched_at >= before
                        && *run.job == *job.name
                        && run.item == item
                        && run.source == Source::Trigger
                });
                let count = asked.count();
                if count != 1 {
                    self.history
                        .violation(format!("{}/{item} was run {count} times when asked for", job.name));
                }
            }
        }
    }

    fn quiet_moment_after(&self, at: Instant) -> Instant {
        self.began + Duration::from_secs((at - self.began).as_secs() + 1) + QUIET
    }

    fn seconds_of(&self, at: Instant) -> i64 {
        (origin() + (at - self.began)).as_second()
    }
}
