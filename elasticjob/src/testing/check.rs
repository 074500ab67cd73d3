//! Whether everything is as it should be again, once all faults are over.
//!
//! These are the promises about the end: that the cluster comes back by itself, in bounded time, with every item on an
//! instance and every time accounted for, and that it is quiet then. What must never happen is checked at each step,
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cluster::layout::Moment;
use crate::cluster::ledger::Source;
use crate::schedule::Calendar;

use super::hearing::{COMPLETED_LIMIT, Call, CallState, STARTED_LIMIT, is_once};
use super::history::Run;
use super::job::Job;
use super::node::{Condition, Node};
use super::world::{World, origin};

/// What recovery may take beside twice the session timeout and one period.
const SLACK: Duration = Duration::from_secs(2 + 5);

/// How long the cluster is watched after that.
const WATCHED: Duration = Duration::from_secs(12);

/// How long after a trigger all items have run.
const ANSWERED: Duration = Duration::from_secs(3);

/// Nodes that no instance needs while nothing happens.
const LEFT_OVER: [&str; 5] = [
    "leader/sharding",
    "leader/election/latch",
    "leader/failover/items",
    "leader/failover/latch",
    "trigger",
];

/// How long after a scheduled time all instances have fired, and quick items have ended.
const QUIET: Duration = Duration::from_millis(650);

/// Returns what is wrong with the calls of a listener in one firing, as these runs have it.
fn fault_of_calls(calls: &[&Call], runs: &[&Run]) -> Option<&'static str> {
    let of = |moment| calls.iter().filter(move |call| call.moment == moment);
    if of(Moment::Started).count() != 1 || of(Moment::Completed).count() != 1 {
        return Some("not one call of each hook");
    }
    let is_before = |call: &Call| match call.state {
        CallState::Returned { at } => runs.iter().all(|run| at <= run.launched_at),
        CallState::UnderWay | CallState::Dropped => false,
    };
    let is_after = |call: &Call| {
        let has_ended = |run: &&Run| run.ended_at.is_some_and(|ended| ended <= call.began_at);
        runs.iter().all(has_ended)
    };
    if !of(Moment::Started).all(|call| is_before(call)) {
        return Some("an item began before the hook returned");
    }
    (!of(Moment::Completed).all(|call| is_after(call))).then_some("the hook was called before an item had ended")
}

impl World {
    /// Waits for as long as recovery may take, watches for some firings, and judges.
    pub(super) async fn check_recovery(&mut self) {
        let longest = self.jobs.iter().map(Job::period).max().unwrap_or_default();
        let is_listened_to = self.jobs.iter().any(Job::is_listened_to);
        // No instance waits longer for instances that do not come to a firing.
        let at_barriers = if is_listened_to {
            STARTED_LIMIT + COMPLETED_LIMIT
        } else {
            Duration::ZERO
        };
        let bound = self.session_timeout * 2 + self.patience(SLACK) + longest + at_barriers;
        let recovered = self.quiet_moment_after(Instant::now() + bound);
        self.pass_time_until(recovered).await;
        let before: Vec<u64> = self
            .nodes
            .iter()
            .map(|node| node.registry.counts().requests())
            .collect();
        let end = self.quiet_moment_after(recovered + WATCHED.max(longest * 2));
        self.pass_time_until(end).await;
        self.check_accounts(end, longest);
        self.check_registry();
        if self.jobs.iter().all(|job| job.drawn.is_some()) {
            self.check_firings(recovered, end);
            self.check_listeners(recovered, end);
            self.check_requests(&before, end - recovered);
            self.check_trigger().await;
            self.check_misfire(longest).await;
            self.check_verdicts().await;
        }
    }

    /// Each scheduled time between was run by each item.
    fn check_firings(&mut self, from: Instant, to: Instant) {
        let mut launched: BTreeSet<(String, u32, i64)> = BTreeSet::new();
        for run in self.history.runs() {
            if run.source != Source::Trigger {
                launched.insert((run.job.to_string(), run.item, run.due));
            }
        }
        for job in &self.jobs {
            let times = self.times_between(job, from, to);
            let total = job.config.sharding_total_count().get();
            for (second, item) in times.flat_map(|second| (0..total).map(move |item| (second, item))) {
                if !launched.contains(&(job.name.clone(), item, second * 1000)) {
                    self.history
                        .violation(format!("{}/{item} was not run at {}", job.name, second * 1000));
                }
            }
        }
    }

    /// The hooks of each scheduled time between were called, before its first item began and after its last had ended.
    fn check_listeners(&self, from: Instant, to: Instant) {
        let (calls, runs) = (self.history.calls(), self.history.runs());
        for job in self.jobs.iter().filter(|job| job.is_listened_to()) {
            for second in self.times_between(job, from, to) {
                let due = second * 1000;
                let is_of = |of: &str, at: i64, source| *of == *job.name && at == due && source == Source::Schedule;
                let runs = runs.iter().filter(|run| is_of(&run.job, run.due, run.source));
                let calls = calls.iter().filter(|call| is_of(&call.job, call.due, call.source));
                self.check_hooks(job, &calls.collect::<Vec<_>>(), &runs.collect::<Vec<_>>());
            }
        }
    }

    /// The same, of one firing.
    fn check_hooks(&self, job: &Job, calls: &[&Call], runs: &[&Run]) {
        let owners: BTreeSet<&str> = runs.iter().map(|run| run.owner.as_str()).collect();
        for name in job.config.listener_types() {
            let is_once = is_once(name);
            let firings: Vec<Option<&str>> = if is_once {
                vec![None]
            } else {
                owners.iter().copied().map(Some).collect()
            };
            for firing in firings {
                let is_his = |owner: &str| firing.is_none_or(|his| his == owner);
                let runs = runs.iter().copied().filter(|run| is_his(&run.owner));
                let calls = calls.iter().copied().filter(|call| call.is_once == is_once);
                let calls: Vec<&Call> = calls.filter(|call| is_his(&call.owner)).collect();
                if let Some(fault) = fault_of_calls(&calls, &runs.collect::<Vec<_>>()) {
                    self.history.violation(format!("{name}: {fault}: {calls:?}"));
                }
            }
        }
    }

    /// Returns the scheduled times of a job of ours, in seconds since 1970.
    fn times_between(&self, job: &Job, from: Instant, to: Instant) -> impl Iterator<Item = i64> + use<> {
        let period = i64::try_from(job.period().as_secs()).expect("short");
        (self.seconds_of(from) + 1..=self.seconds_of(to)).filter(move |second| second.rem_euclid(60) % period == 0)
    }

    /// Each item is accounted for until now, and no dead instance runs it.
    fn check_accounts(&mut self, now: Instant, longest: Duration) {
        let now = origin() + (now - self.began);
        for job in &self.jobs {
            if job.config.cron().is_none() {
                continue;
            }
            let instances = self.observer.children(&format!("/{}/instances", job.name));
            // What runs now is accounted for since it was claimed; one that overlaps with its next time is behind.
            let calendar = Calendar::new(&job.config, now);
            let newest =
                calendar.and_then(|calendar| calendar.newest(now - longest - self.patience(SLACK), Timestamp::MIN));
            for item in 0..job.config.sharding_total_count().get() {
                let complain = |what: String| self.history.violation(format!("{}/{item}: {what}", job.name));
                let Some(record) = self.observer.account().record(&job.name, item) else {
                    complain("has no ledger".to_owned());
                    continue;
                };
                if record.until(Timestamp::MAX) < newest {
                    complain(format!("is accounted for up to {:?}", record.until(Timestamp::MAX)));
                }
                if let Some(run) = &record.run
                    && run.end.is_none()
                    && !instances.contains(&run.owner)
                {
                    complain(format!(
                        "run {} of {}, which is gone, has no verdict",
                        run.id, run.owner
                    ));
                }
            }
        }
    }

    /// Nothing is left over, and every item belongs to a present instance.
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
            // Of items that the job has no more nothing ends, so what was meant for these stays.
            let is_item = |name: &String| name.parse().is_ok_and(|item: u32| item < total);
            for path in ["ledger/cancels", "ledger/requests", "ledger/progress"] {
                let left: Vec<String> = children(path).into_iter().filter(is_item).collect();
                if !left.is_empty() {
                    complain(format!("{left:?} is left over in {path}"));
                }
            }
            if children("sharding").len() != total as usize {
                complain(format!("items {:?} for {total}", children("sharding")));
            }
            for item in 0..total {
                let owner = self.observer.data(&format!("/{name}/sharding/{item}/instance"));
                if !owner.as_ref().is_some_and(|owner| instances.contains(owner)) {
                    complain(format!("item {item} belongs to {owner:?}"));
                }
                for mark in ["running", "failover", "failovering"] {
                    let holder = self.observer.data(&format!("/{name}/sharding/{item}/{mark}"));
                    // Items of users may be running at any time.
                    let is_right = |holder: &String| job.drawn.is_none() && instances.contains(holder);
                    if let Some(holder) = holder.filter(|holder| !is_right(holder)) {
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
            .map(|job| time.as_secs() / job.period().as_secs() + 1)
            .sum();
        let items = self.items();
        let signs = time.as_secs() * 7 / self.session_timeout.as_secs();
        // Items of one firing end apart when they wait for each other in a pool of one.
        let gatherings = self.jobs.iter().filter(|job| job.is_listened_to()).count() as u64;
        // If a request takes few of many items, each may need one of its own.
        let a_firing = if self.scale.is_slow() { items.max(14) } else { 14 };
        let allowed = firings * (1 + a_firing + gatherings * (50 + items)) + signs + 10;
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
        let end = Instant::now() + self.patience(ANSWERED);
        self.pass_time_until(end).await;
        let runs = self.history.runs();
        let mut asked: BTreeMap<(&str, u32), usize> = BTreeMap::new();
        for run in &runs {
            if run.launched_at >= before && run.source == Source::Trigger {
                *asked.entry((&run.job, run.item)).or_default() += 1;
            }
        }
        for job in &self.jobs {
            for item in 0..job.config.sharding_total_count().get() {
                let count = asked.get(&(&*job.name, item)).copied().unwrap_or_default();
                if count != 1 {
                    self.history
                        .violation(format!("{}/{item} was run {count} times when asked for", job.name));
                }
            }
        }
    }

    /// Of the times that come while an item runs the newest is made up right after it, if the job is to do so.
    async fn check_misfire(&mut self, longest: Duration) {
        let began = self.quiet_moment_after(Instant::now() + longest);
        self.pass_time_until(began).await;
        let now = origin() + (Instant::now() - self.began);
        let mut expected = Vec::new();
        for job in &self.jobs {
            let (Some(drawn), Some(calendar)) = (&job.drawn, Calendar::new(&job.config, now)) else {
                continue;
            };
            let Some(due) = calendar.next() else { continue };
            drawn.work.slow_down(0, due.as_millisecond(), drawn.period * 3 / 2);
            expected.push((job.name.clone(), due, due + drawn.period, job.config.misfire()));
        }
        let end = self.quiet_moment_after(Instant::now() + longest * 4);
        self.pass_time_until(end).await;
        let runs = self.history.runs();
        for (job, slow, missed, is_made_up) in expected {
            let of = |due: Timestamp, source| {
                runs.iter()
                    .filter(|run| *run.job == *job && run.item == 0 && run.due == due.as_millisecond())
                    .filter(|run| run.source == source)
                    .count()
            };
            let found = (
                of(slow, Source::Schedule),
                of(missed, Source::Misfire),
                of(missed, Source::Schedule),
            );
            if found != (1, usize::from(is_made_up), 0) {
                let what = format!("{job}/0 at {slow} and {missed}: {found:?} runs, scheduled, made up, not made up");
                self.history.violation(what);
            }
        }
    }

    /// Returns the first moment after this one at which no item runs: between the end of one firing and the begin of
    /// the next.
    fn quiet_moment_after(&self, at: Instant) -> Instant {
        let first = (at - self.began).as_secs() + 1;
        let margin = self.patience(Duration::from_secs(2)).as_secs();
        let slow = || self.jobs.iter().filter(|job| job.is_slow());
        // Listeners of some instances wait for others first, and many items are claimed one part after the other.
        let is_quiet = |second: &u64| {
            slow().all(|job| {
                let period = job.period().as_secs();
                (margin..=period - margin).contains(&(second % period))
            })
        };
        let second = (first..first + 60).find(is_quiet).unwrap_or(first);
        self.began + Duration::from_secs(second) + QUIET
    }

    /// Returns how long something may take here that takes so long with jobs of some thousand items.
    pub(super) fn patience(&self, usual: Duration) -> Duration {
        usual * self.scale.patience()
    }

    /// Returns the full second that a right clock shows then, since 1970.
    fn seconds_of(&self, at: Instant) -> i64 {
        (origin() + (at - self.began)).as_second()
    }
}
