//! Whether every scheduled time has its verdict where it is easily lost: just after a start, just after new items came, and of
//! items that do not run. Once all faults are over.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::cluster::ledger::Source;
use crate::schedule::{Calendar, Clock};

use super::clock::SWAY;
use super::hearing::{COMPLETED_LIMIT, STARTED_LIMIT};
use super::job::Job;
use super::node::{Condition, Node};
use super::world::{World, origin};

/// A time waits for so long at most until the items are shared out.
const HELD: Duration = Duration::from_secs(6);

/// With a distribute-once listener, items wait so much longer for items that are shared out late.
const GATHERED: Duration = STARTED_LIMIT.saturating_add(COMPLETED_LIMIT);

/// Processes that should stop have left by then.
const LEFT: Duration = Duration::from_secs(30);

/// A request and what follows from it take so long beside the delay of the link.
const MARGIN: Duration = Duration::from_millis(20);

impl World {
    /// Returns how long after a time the items of a job have begun at the latest.
    fn held_of(&self, job: &Job) -> Duration {
        let held = self.patience(HELD);
        if job.is_listened_to() { held + GATHERED } else { held }
    }

    /// Checks it, in each of these cases.
    pub(super) async fn check_verdicts(&mut self) {
        self.check_items_that_are_off().await;
        self.check_new_items().await;
        self.check_first_time().await;
    }

    /// Times that pass items which an operator has switched off are accounted for when they have come.
    async fn check_items_that_are_off(&mut self) {
        let longest = self.jobs.iter().map(Job::period).max().unwrap_or_default();
        for job in &self.jobs {
            self.observer.create(&format!("/{}/sharding/0/disabled", job.name), "");
        }
        self.pass_time_until(Instant::now() + longest * 3 + self.patience(HELD))
            .await;
        let now = origin() + (Instant::now() - self.began);
        for job in &self.jobs {
            let calendar = Calendar::new(&job.config, now);
            let newest = calendar.and_then(|calendar| calendar.newest(now - self.patience(HELD), Timestamp::MIN));
            let record = self.observer.account().record(&job.name, 0);
            let until = record.and_then(|record| record.until(Timestamp::MAX));
            let reason = record.and_then(|record| Some(record.skipped.as_ref()?.reason.as_str()));
            if until < newest || reason != Some("switched off") {
                let what = format!(
                    "{}/0 is switched off, {newest:?} passed: {until:?}, {reason:?}",
                    job.name
                );
                self.history.violation(what);
            }
        }
        for job in &self.jobs {
            self.observer.delete(&format!("/{}/sharding/0/disabled", job.name));
        }
        self.pass_time_until(Instant::now() + longest + self.patience(HELD))
            .await;
    }

    /// Items that come just before a scheduled time run at it, or are recorded to have missed it.
    async fn check_new_items(&mut self) {
        for index in 0..self.jobs.len() {
            let now = origin() + (Instant::now() - self.began);
            let job = &self.jobs[index];
            let calendar = Calendar::new(&job.config, now + SignedDuration::from_secs(1));
            let Some(due) = calendar.and_then(|calendar| calendar.next()) else {
                continue;
            };
            let (name, total) = (job.name.clone(), job.config.sharding_total_count().get() + 2);
            let config = job.config.to_builder().sharding_total_count(total).build();
            let config = config.expect("it was valid with fewer").to_registry().yaml;
            // Each instance knows of them before its own clock shows that time.
            let lead = self
                .nodes
                .iter()
                .filter(|node| node.is_there())
                .map(|node| self.lead(node));
            let at = self.instant_of(due) - lead.max().unwrap_or_default();
            self.pass_time_until(at).await;
            let before = self.jobs[index].config.to_registry().yaml;
            self.observer.set(&format!("/{name}/config"), &config);
            self.history.note(format!("{name} has {total} items just before {due}"));
            let held = self.held_of(&self.jobs[index]);
            self.pass_time_until(self.instant_of(due) + held).await;
            self.check_run_at(&name, total - 2..total, due);
            self.observer.set(&format!("/{name}/config"), &before);
            self.pass_time_until(Instant::now() + held).await;
        }
    }

    /// An instance that is alone and comes just before a scheduled time runs it.
    async fn check_first_time(&mut self) {
        for node in &mut self.nodes {
            if node.condition == Condition::Running {
                node.stop(Duration::ZERO);
            }
        }
        self.pass_time_until(Instant::now() + self.patience(LEFT)).await;
        let pause = self.millis(50..600);
        let start = self.next_second(Instant::now() + Duration::from_secs(1)) - pause;
        self.pass_time_until(start).await;
        self.start_node("10.0.0.1");
        let mut registered: Vec<Option<Instant>> = vec![None; self.jobs.len()];
        let end = Instant::now() + self.patience(LEFT);
        while registered.contains(&None) && Instant::now() < end {
            self.pass_time_until(Instant::now() + Duration::from_millis(10)).await;
            for (job, registered) in self.jobs.iter().zip(&mut registered) {
                if !self.observer.alive(&job.name).is_empty() {
                    registered.get_or_insert(Instant::now());
                }
            }
        }
        let lead = self.nodes.last().map(|node| self.lead(node)).unwrap_or_default();
        let mut expected = Vec::new();
        for (job, registered) in self.jobs.iter().zip(registered) {
            let Some(registered) = registered else {
                self.history.violation(format!("no instance comes to {}", job.name));
                continue;
            };
            let since = origin() + (registered - self.began) + lead;
            let calendar = Calendar::new(&job.config, since);
            expected.extend(calendar.and_then(|calendar| Some((job.name.clone(), calendar.next()?))));
        }
        for (name, due) in expected {
            let job = self.jobs.iter().find(|job| job.name == name).expect("one of them");
            let (total, held) = (job.config.sharding_total_count().get(), self.held_of(job));
            let end = (self.instant_of(due) + held).max(Instant::now());
            self.pass_time_until(end).await;
            self.check_run_at(&name, 0..total, due);
        }
    }

    /// Returns how long before a time something has to be so, for a node to know of it when its clock shows that time: it
    /// hears of it, and reads it. By then its clock may have swayed.
    fn lead(&self, node: &Node) -> Duration {
        let right = origin() + self.began.elapsed();
        let ahead = Duration::try_from(node.clock.now().duration_since(right)).unwrap_or_default();
        ahead + SWAY + node.latency * 5 + MARGIN
    }

    /// Returns the moment at which a right clock shows this time.
    fn instant_of(&self, time: Timestamp) -> Instant {
        self.began + Duration::try_from(time.duration_since(origin())).unwrap_or_default()
    }

    /// Items for which this is the first time have to run. Of the others one may have been claimed by an instance just before it
    /// was given to the next: then the time is missed, with a word.
    fn check_run_at(&self, name: &str, first: Range<u32>, due: Timestamp) {
        let runs = self.history.runs();
        let of_time = runs
            .iter()
            .filter(|run| *run.job == *name && run.due == due.as_millisecond());
        let ran: BTreeSet<u32> = of_time
            .filter(|run| run.source != Source::Trigger)
            .map(|run| run.item)
            .collect();
        // An instance that has them beside others waits for its firing of that time first, which may last, as it does where
        // its listeners wait for other instances: then the time is missed, with a word.
        let is_listened_to = self.jobs.iter().any(|job| job.name == name && job.is_listened_to());
        let is_reported = |item: u32| {
            let record = self.observer.account().record(name, item);
            (is_listened_to || !first.contains(&item))
                && record.is_some_and(|record| record.until(Timestamp::MAX) >= Some(due))
        };
        let is_missing = |item: &u32| !ran.contains(item) && !is_reported(*item);
        let missing: Vec<u32> = (0..first.end).filter(is_missing).collect();
        if !missing.is_empty() {
            let what = format!(
                "{name}: items {missing:?} of {} were not run at {due}, the first of {first:?}",
                first.end
            );
            self.history.violation(what);
        }
    }
}
