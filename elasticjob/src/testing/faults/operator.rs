//! What operators do meanwhile.
//!
//! They act on the registry itself, over no link that could fail. What they switch off they switch on again later.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::cluster::note::Note;
use crate::cluster::trigger::Trigger;
use crate::operation::Target;
use crate::testing::node::{Condition, Node, pid};
use crate::testing::world::{World, origin};

use super::Action;

impl World {
    /// Switches the server of this node off for all jobs, for some time.
    pub(super) fn disable_server(&mut self, index: usize) {
        let ip = self.nodes[index].ip.clone();
        self.switch(&ip, "DISABLED");
        let after = self.up_to(self.session_timeout * 2);
        self.plan(after, Action::Enable { ip });
    }

    pub(super) fn switch(&mut self, ip: &str, status: &str) {
        self.history.note(format!("operator: {ip} is {status}"));
        for job in &self.jobs {
            self.observer.set(&format!("/{}/servers/{ip}", job.name), status);
        }
    }

    /// Switches all servers off: then no instance may run anything.
    pub(super) fn disable_all(&mut self) {
        self.switch_all("DISABLED");
        let after = self.up_to(self.session_timeout * 3);
        self.plan(after, Action::EnableAll);
    }

    pub(super) fn switch_all(&mut self, status: &str) {
        for host in 1..=6 {
            self.switch(&format!("10.0.0.{host}"), status);
        }
    }

    /// An operator pauses a whole job, which may be paused already.
    pub(super) fn pause_job(&mut self) {
        let job = self.rng.usize(..self.jobs.len());
        let target = Target::job(&self.jobs[job].name);
        let note = Note {
            at: origin() + self.history.now(),
            by: None,
            reason: None,
            is_for_pause: false,
        };
        let paused = self.operations.disable(&target, Some(note)).now_or_never();
        if paused.expect("answered on the spot").is_ok() {
            self.history.note(format!("operator: {target} is paused"));
            let after = self.up_to(self.session_timeout * 2);
            self.plan(after, Action::EndPause { job });
        }
    }

    /// An operator may cancel what runs of a job, or of one item, or have one item run.
    pub(super) fn cancel_a_run(&mut self) {
        let Some(rng) = &mut self.canceller else { return };
        let (is_cancel, is_request) = (rng.bool(), rng.bool());
        let job = self.jobs[rng.usize(..self.jobs.len())].name.clone();
        if !is_cancel {
            let item = rng.u32(..4);
            if is_request && let Some(Ok(asked)) = self.operations.trigger_item(&job, item, None).now_or_never() {
                self.history
                    .note(format!("operator: {job}/{item} is to run, {}", asked.request));
                self.observer.asked(asked.request, &job, item);
            }
            return;
        }
        let item = rng.bool().then(|| rng.u32(..4));
        let note = Note {
            at: origin() + self.history.now(),
            by: Some("the operator".to_owned()),
            reason: None,
            is_for_pause: false,
        };
        let cancelled = self.operations.cancel(&job, item, Some(note)).now_or_never();
        if let Ok(cancelled) = cancelled.expect("answered on the spot") {
            let runs: Vec<String> = cancelled
                .runs
                .iter()
                .map(|(item, run)| format!("{item}: {}", run.run))
                .collect();
            self.history
                .note(format!("operator: {job} is cancelled, {}", runs.join(", ")));
        }
    }

    pub(in crate::testing) fn end_pause(&mut self, job: usize) {
        let target = Target::job(&self.jobs[job].name);
        let ended = self.operations.enable(&target).now_or_never();
        if ended.expect("answered on the spot").is_ok() {
            self.history.note(format!("operator: {target} is enabled"));
        }
    }

    /// An operator takes one job away from one instance, and starts the process again later.
    pub(super) fn remove_instance(&mut self, index: usize) {
        let job = self.rng.usize(..self.jobs.len());
        let name = self.jobs[job].name.clone();
        let prefix = format!("{}@-@{}-", self.nodes[index].ip, pid(index));
        let instances = self.observer.children(&format!("/{name}/instances"));
        let Some(id) = instances.iter().find(|id| id.starts_with(&prefix)) else {
            return;
        };
        self.history.note(format!("operator: {id} is removed from {name}"));
        self.nodes[index].take_away(&name);
        self.observer.delete(&format!("/{name}/instances/{id}"));
        let after = self.millis(5_000..30_000);
        self.plan(after, Action::Restart(index));
    }

    /// Removes the configuration of a job, which has it back some time later. Its instances run by what they know.
    pub(super) fn remove_config(&mut self) {
        let job = self.rng.usize(..self.jobs.len());
        let name = &self.jobs[job].name;
        if self.observer.delete(&format!("/{name}/config")) {
            self.history
                .note(format!("operator: the configuration of {name} is removed"));
            let after = self.millis(200..20_000);
            self.plan(after, Action::Restore { job });
        }
    }

    /// An operator removes a job from the registry while it runs, with everything that is below its root, in one go or in
    /// two. The processes that had it are started again later.
    pub(super) fn remove_job(&mut self) {
        let job = self.rng.usize(..self.jobs.len());
        if self.jobs[job].drawn.is_none() {
            // Users' jobs are not to be run twice at once.
            return;
        }
        let most = if self.rng.bool() {
            usize::MAX
        } else {
            self.rng.usize(1..60)
        };
        if self.remove_some(job, most) > most {
            let after = self.millis(0..300);
            self.plan(after, Action::RemoveRest { job });
        }
    }

    pub(in crate::testing) fn remove_rest(&mut self, job: usize) {
        self.remove_some(job, usize::MAX);
    }

    /// Removes so many of a job's nodes; how many there were.
    fn remove_some(&mut self, job: usize, most: usize) -> usize {
        let name = self.jobs[job].name.clone();
        self.observer.look();
        let alive = self.observer.alive(&name);
        self.history.removed(&name, &alive, self.session_timeout);
        let rng = &mut self.rng;
        let count = self.observer.remove(&name, most, |names| rng.shuffle(names));
        let removed = count.min(most);
        self.history
            .note(format!("operator: {removed} of {count} nodes of {name} are removed"));
        self.begin_again(job);
        for index in 0..self.nodes.len() {
            let prefix = format!("{}@-@{}-", self.nodes[index].ip, pid(index));
            if alive.iter().any(|id| id.starts_with(&prefix)) {
                self.nodes[index].take_away(&name);
                let after = self.millis(1_000..30_000);
                self.plan(after, Action::Restart(index));
            }
        }
        count
    }

    pub(super) fn disable_item(&mut self) {
        let (job, item) = (self.rng.usize(..self.jobs.len()), self.rng.u32(..4));
        self.disable(job, item);
    }

    fn disable(&mut self, job: usize, item: u32) {
        let path = format!("/{}/sharding/{item}/disabled", self.jobs[job].name);
        if self.observer.create(&path, "") {
            self.history.note(format!("operator: {path}"));
            let after = self.millis(500..15_000);
            self.plan(after, Action::EnableItem { job, item });
        }
    }

    /// The next item that is queued to be taken over is disabled before an instance can take it.
    pub(super) fn await_takeover(&mut self) {
        self.observer.look();
        self.observer.take_queued();
        self.awaits_takeover = true;
    }

    /// An operator disables an item that waits to be taken over, while a machine stands still: if it is for that one to take
    /// the item, the others do so later.
    pub(in crate::testing) fn disable_queued(&mut self, (name, item): (String, u32)) {
        self.awaits_takeover = false;
        let Some(job) = self.jobs.iter().position(|job| job.name == name) else {
            return;
        };
        self.disable(job, item);
        // If the session of a process was ended at this instant, the process learns it before it stands still.
        let is_fit = |node: &&Node| node.condition == Condition::Running && node.expired_at != Some(Instant::now());
        let running: Vec<usize> = self.nodes.iter().filter(is_fit).map(|node| node.index).collect();
        if running.len() > 1 {
            let index = running[self.rng.usize(..running.len())];
            let time = self.millis(1_500..3_000);
            self.freeze(index, time);
            self.plan(time, Action::Resume(index));
        }
    }

    /// Changes the stored configuration of a job, as an operator who reads it first.
    pub(super) fn reconfigure(&mut self) {
        let index = self.rng.usize(..self.jobs.len());
        let job = &mut self.jobs[index];
        let path = format!("/{}/config", job.name);
        let Some(stored) = self.observer.data(&path) else {
            return;
        };
        job.adopt(&stored);
        if !job.redraw(&mut self.rng) {
            return;
        }
        self.history.note(format!("operator: {}", job.describe()));
        self.observer.set(&path, &job.config.to_registry().yaml);
    }

    /// Asks for a run of a job: directly in the registry, or through an instance.
    pub(super) fn trigger(&mut self, index: usize) {
        let job = self.rng.usize(..self.jobs.len());
        let name = &self.jobs[job].name;
        let request = format!("q{}", self.rng.u32(..));
        if self.rng.bool() {
            let parameter = self.rng.bool().then(|| format!("p{}", self.rng.u8(..3)));
            self.history
                .note(format!("operator: {name} is asked to run, with {parameter:?}"));
            let requests = vec![request];
            return self.observer.trigger(name, &Trigger { requests, parameter });
        }
        self.history
            .note(format!("operator: {name} is asked to run, by node {index}"));
        self.nodes[index].trigger(name, request);
    }
}
