//! What can happen to a cluster, and what makes up for it later.

use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::cluster::note::Note;
use crate::cluster::trigger::Order;
use crate::operation::Target;
use crate::registry::memory::{Direction, Fate, Link};

use super::node::{Condition, Node, pid};
use super::world::{World, origin};

/// Where a link is cut to see whether what was half done is put right: at a write to a path with this in it.
const CUTS: [&str; 10] = [
    "/running",
    "/running",
    "/ledger/items/",
    "/ledger/epoch",
    "/instances/",
    "/instance",
    "/processing",
    "/failover/items/",
    "/failovering",
    "/trigger/",
];

/// After a connection broke a client has another one within this time, unless something is wrong with the network.
const BLIP: Duration = Duration::from_secs(1);

/// A cut that waits for a write of a node.
#[derive(Clone, Copy)]
pub(super) struct Trap {
    node: usize,
    /// How often its link was cut at a write before.
    cuts: u64,
    then: Then,
}

/// What follows when the link is cut.
#[derive(Clone, Copy)]
enum Then {
    Crash,
    Heal(Duration),
}

impl Trap {
    /// Whether the link, which is the node's, was cut.
    pub(super) fn is_sprung(&self, link: &Link) -> bool {
        link.cuts_at_writes() != self.cuts
    }

    pub(super) fn node(&self) -> usize {
        self.node
    }
}

/// Something that is done later, to the node of this index.
pub(super) enum Action {
    Start {
        ip: String,
    },
    Heal(usize),
    Resume(usize),
    /// The process goes on, but its network is gone for this long.
    ResumeUnheard(usize, Duration),
    Hasten(usize),
    /// The process is paused for less than its fence lasts, and is not heard when it goes on.
    FallSilent(usize),
    CatchUp(usize),
    NoticeClock(usize),
    SetClockRight(usize),
    Enable {
        ip: String,
    },
    EnableAll,
    EndPause {
        job: usize,
    },
    EnableItem {
        job: usize,
        item: u32,
    },
    Restore {
        job: usize,
    },
    RemoveRest {
        job: usize,
    },
    Restart(usize),
}

impl World {
    /// Something happens, drawn from the seed.
    pub(super) fn cause_a_fault(&mut self) {
        let running: Vec<usize> = self
            .nodes
            .iter()
            .filter(|node| node.condition == Condition::Running)
            .map(|node| node.index)
            .collect();
        if running.is_empty() {
            if !self.expects_a_start() {
                self.join();
            }
            return;
        }
        self.cancel_a_run();
        if self.dwell(&running) {
            return;
        }
        let node = running[self.rng.usize(..running.len())];
        match self.rng.u8(..127) {
            0..8 => self.crash(node),
            8..16 => self.stop(node),
            16..20 => self.join(),
            20..34 => self.pause(node),
            34..42 => self.cut(node),
            42..50 => self.lose_an_answer(node),
            50..62 => self.cut_at_a_step(node),
            62..68 => self.stall(node),
            68..74 => self.slow_down(node),
            74..78 => self.lag(node),
            78..82 => self.isolate(node),
            82..86 => self.expire(node),
            86..88 => self.expire_while_behind(node),
            88..92 => self.set_clock(node),
            92..94 => self.collect_containers(),
            94..99 => self.disable_server(node),
            99..100 => self.disable_all(),
            100..103 => self.disable_item(),
            103..110 => self.reconfigure(),
            110..112 => self.remove_config(),
            112..114 => self.remove_instance(node),
            114..115 => self.crash_all(&running),
            115..116 => self.remove_job(),
            116..118 => self.await_takeover(),
            118..121 => self.trigger(node),
            121..124 => self.pause_job(),
            _ => self.panic(node),
        }
    }

    /// Does what was planned.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Start { ip } => self.start_node(&ip),
            Action::Heal(node) => self.heal(node),
            Action::Resume(node) => self.resume(node),
            Action::ResumeUnheard(node, time) => self.resume_unheard(node, time),
            Action::Hasten(node) => {
                let node = &mut self.nodes[node];
                node.link.delay(node.latency);
            }
            Action::FallSilent(node) => self.fall_silent(node),
            Action::CatchUp(node) => self.nodes[node].link.catch_up(),
            Action::NoticeClock(node) => self.nodes[node].clock.notice(),
            Action::SetClockRight(node) => {
                self.note(node, "clock is set right");
                self.nodes[node].clock.set_right();
                self.plan(Duration::from_millis(900), Action::NoticeClock(node));
            }
            Action::Enable { ip } => self.switch(&ip, "ENABLED"),
            Action::EnableAll => self.switch_all("ENABLED"),
            Action::EndPause { job } => self.end_pause(job),
            Action::EnableItem { job, item } => {
                let path = format!("/{}/sharding/{item}/disabled", self.jobs[job].name);
                self.observer.delete(&path);
            }
            Action::Restore { job } => {
                self.history
                    .note(format!("operator: {} has its configuration back", self.jobs[job].name));
                self.restore(job);
            }
            Action::RemoveRest { job } => self.remove_rest(job),
            Action::Restart(node) => self.restart(node),
        }
    }

    pub(super) fn crash(&mut self, node: usize) {
        self.note(node, "crashes");
        self.nodes[node].crash();
        self.restart_later(node);
    }

    /// Everybody is gone for many periods, and one comes back.
    fn crash_all(&mut self, running: &[usize]) {
        for node in running.iter().copied() {
            self.note(node, "crashes with all others");
            self.nodes[node].crash();
        }
        let ip = self.nodes[running[0]].ip.clone();
        let after = self.session_timeout + self.up_to(Duration::from_secs(40));
        self.plan(after, Action::Start { ip });
    }

    fn stop(&mut self, node: usize) {
        let grace = self.millis(0..5_000);
        self.note(node, &format!("is told to stop within {grace:?}"));
        self.nodes[node].stop(grace);
        self.restart_later(node);
    }

    fn restart_later(&mut self, node: usize) {
        if self.rng.u8(..5) > 0 {
            let ip = self.nodes[node].ip.clone();
            let after = self.up_to(self.session_timeout * 2);
            self.plan(after, Action::Start { ip });
        }
    }

    /// An instance comes, half the time during a firing.
    fn join(&mut self) {
        if self.nodes.iter().filter(|node| node.is_there()).count() >= 6 {
            return;
        }
        let ip = format!("10.0.0.{}", self.rng.u8(1..=6));
        if self.rng.bool() {
            self.start_node(&ip);
        } else {
            let after = self.next_second(Instant::now()) - Instant::now() + self.millis(0..20);
            self.plan(after, Action::Start { ip });
        }
    }

    /// A worker panics, at any of the next steps that the process makes.
    fn panic(&mut self, index: usize) {
        let step = self.rng.u32(1..80);
        self.note(index, &format!("panics at step {step} from now"));
        self.history.panics(index);
        self.nodes[index].panic_at(step);
    }

    fn pause(&mut self, index: usize) {
        let longest = self.session_timeout * if self.rng.bool() { 1 } else { 3 };
        let time = self.up_to(longest);
        self.freeze(index, time);
        if self.rng.u8(..3) == 0 {
            let unheard = self.up_to(self.session_timeout);
            self.plan(time, Action::ResumeUnheard(index, unheard));
        } else {
            self.plan(time, Action::Resume(index));
        }
    }

    fn fall_silent(&mut self, index: usize) {
        if self.nodes[index].condition == Condition::Running {
            let time = self.session_timeout.mul_f64(0.3 + 0.34 * self.rng.f64());
            self.freeze(index, time);
            self.plan(time, Action::ResumeUnheard(index, self.session_timeout));
        }
    }

    fn freeze(&mut self, index: usize, time: Duration) {
        self.note(index, &format!("is paused for {time:?}"));
        let node = &mut self.nodes[index];
        node.condition = Condition::Paused;
        node.machine.pause();
        node.link.freeze();
        self.history.freeze(index);
    }

    fn resume(&mut self, index: usize) {
        if self.nodes[index].condition != Condition::Paused {
            return;
        }
        self.note(index, "goes on");
        let node = &mut self.nodes[index];
        node.condition = Condition::Running;
        node.link.thaw();
        node.machine.go_on();
        // It learns a little later what became of its session.
        node.link_faults += 1;
        let after = self.millis(0..100);
        self.plan(after, Action::Heal(index));
    }

    fn resume_unheard(&mut self, index: usize, time: Duration) {
        if self.nodes[index].condition != Condition::Paused {
            return;
        }
        self.note(index, &format!("goes on, unheard for {time:?}"));
        let node = &mut self.nodes[index];
        node.condition = Condition::Running;
        node.link.stall(Direction::Requests);
        node.machine.go_on();
        node.link_faults += 1;
        self.plan(time, Action::Heal(index));
    }

    fn cut(&mut self, index: usize) {
        let time = self.up_to(self.session_timeout * 2);
        self.note(index, &format!("is cut off for {time:?}"));
        self.nodes[index].link.cut();
        self.heal_after(index, time);
    }

    fn lose_an_answer(&mut self, index: usize) {
        let fate = if self.rng.bool() { Fate::Applied } else { Fate::Dropped };
        let time = self.up_to(self.session_timeout * 2);
        self.note(
            index,
            &format!("next write is cut off ({fate:?}), until {time:?} from now"),
        );
        self.nodes[index].link.cut_at_next_write(fate);
        self.heal_after(index, time);
    }

    /// The link is cut in the middle of something, and the process often ends with it.
    fn cut_at_a_step(&mut self, index: usize) {
        let fate = if self.rng.u8(..3) > 0 {
            Fate::Applied
        } else {
            Fate::Dropped
        };
        let step = CUTS[self.rng.usize(..CUTS.len())];
        let then = match self.rng.u8(..4) {
            _ if self.trap.is_some() => None,
            0 | 1 => Some(Then::Crash),
            2 => Some(Then::Heal(self.up_to(BLIP))),
            _ => None,
        };
        let end = match then {
            Some(Then::Crash) => "crashes".to_owned(),
            Some(Then::Heal(time)) => format!("is cut off for {time:?}"),
            None => "is cut off".to_owned(),
        };
        self.note(index, &format!("{end} at its next write to {step} ({fate:?})"));
        let link = &self.nodes[index].link;
        match then {
            Some(then) => {
                let cuts = link.cuts_at_writes();
                self.trap = Some(Trap {
                    node: index,
                    cuts,
                    then,
                });
                link.cut_at_next_write_to(step, fate);
            }
            None => {
                link.cut_at_next_write_to(step, fate);
                let time = self.up_to(self.session_timeout * 2);
                self.heal_after(index, time);
            }
        }
    }

    /// The link of this node was cut at the write that was waited for.
    pub(super) fn spring(&mut self, Trap { node, then, .. }: Trap) {
        match then {
            Then::Crash => self.crash(node),
            Then::Heal(time) => self.heal_after(node, time),
        }
    }

    fn stall(&mut self, index: usize) {
        let direction = if self.rng.bool() {
            Direction::Requests
        } else {
            Direction::Answers
        };
        let time = self.up_to(self.session_timeout);
        self.note(index, &format!("{direction:?} are held up for {time:?}"));
        self.nodes[index].link.stall(direction);
        self.heal_after(index, time);
    }

    fn slow_down(&mut self, index: usize) {
        let delay = self.millis(20..1_500);
        self.note(index, &format!("answers take {delay:?}"));
        self.nodes[index].link.delay(delay);
        let time = self.up_to(self.session_timeout * 2);
        self.plan(time, Action::Hasten(index));
        if self.rng.bool() {
            // While an answer is on its way: it counts from when it was asked for.
            let after = self.millis(0..3_000);
            self.plan(after, Action::FallSilent(index));
        }
    }

    fn lag(&mut self, index: usize) {
        self.note(index, "server falls behind");
        self.nodes[index].link.lag();
        let time = self.up_to(self.session_timeout);
        self.plan(time, Action::CatchUp(index));
    }

    fn isolate(&mut self, index: usize) {
        let time = self.up_to(self.session_timeout * 3 / 2);
        self.note(index, &format!("server is cut off from the others for {time:?}"));
        self.nodes[index].link.isolate();
        self.heal_after(index, time);
    }

    /// The next session is opened on a server that is behind.
    fn expire_while_behind(&mut self, index: usize) {
        self.lag(index);
        self.expire(index);
    }

    /// An operator's tool, or a fault of the registry, ends the session of a connected client. The client has to learn it at
    /// once, because its fence cannot know it.
    fn expire(&mut self, index: usize) {
        if self.nodes[index].link_faults == 0 {
            self.note(index, "session is ended by the registry");
            self.nodes[index].expired_at = Some(Instant::now());
            self.nodes[index].link.expire();
        }
    }

    fn set_clock(&mut self, index: usize) {
        let by = match self.rng.u8(..3) {
            0 => SignedDuration::from_hours(24),
            _ => SignedDuration::from_millis(self.rng.i64(-2_000..2_000)),
        };
        self.note(index, &format!("clock is set to be off by {by:?}"));
        self.nodes[index].clock.set_offset(by);
        let (notice, right) = (self.millis(0..1_000), self.millis(1_000..20_000));
        self.plan(notice, Action::NoticeClock(index));
        self.plan(right, Action::SetClockRight(index));
    }

    fn collect_containers(&mut self) {
        let count = self.registry.collect_containers();
        self.history.note(format!("{count} containers are collected"));
    }

    fn disable_server(&mut self, index: usize) {
        let ip = self.nodes[index].ip.clone();
        self.switch(&ip, "DISABLED");
        let after = self.up_to(self.session_timeout * 2);
        self.plan(after, Action::Enable { ip });
    }

    fn switch(&mut self, ip: &str, status: &str) {
        self.history.note(format!("operator: {ip} is {status}"));
        for job in &self.jobs {
            self.observer.set(&format!("/{}/servers/{ip}", job.name), status);
        }
    }

    fn disable_all(&mut self) {
        self.switch_all("DISABLED");
        let after = self.up_to(self.session_timeout * 3);
        self.plan(after, Action::EnableAll);
    }

    fn switch_all(&mut self, status: &str) {
        for host in 1..=6 {
            self.switch(&format!("10.0.0.{host}"), status);
        }
    }

    /// An operator pauses a whole job, which may be paused already.
    fn pause_job(&mut self) {
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
    fn cancel_a_run(&mut self) {
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

    pub(super) fn end_pause(&mut self, job: usize) {
        let target = Target::job(&self.jobs[job].name);
        let ended = self.operations.enable(&target).now_or_never();
        if ended.expect("answered on the spot").is_ok() {
            self.history.note(format!("operator: {target} is enabled"));
        }
    }

    /// An operator takes one job away from one instance, and starts the process again later.
    fn remove_instance(&mut self, index: usize) {
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

    fn restart(&mut self, index: usize) {
        if self.nodes[index].condition == Condition::Running {
            self.note(index, "is started again");
            self.nodes[index].stop(Duration::ZERO);
            let ip = self.nodes[index].ip.clone();
            self.plan(Duration::from_secs(1), Action::Start { ip });
        }
    }

    fn remove_config(&mut self) {
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
    fn remove_job(&mut self) {
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

    pub(super) fn remove_rest(&mut self, job: usize) {
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
        self.begin_anew(job);
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

    fn disable_item(&mut self) {
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

    /// The next item that is queued to be taken over is disabled before anybody can take it.
    fn await_takeover(&mut self) {
        self.observer.look();
        self.observer.take_queued();
        self.awaits_takeover = true;
    }

    /// An operator disables an item that waits to be taken over, while a machine stands still: if it is for that one to take
    /// the item, the others do so later.
    pub(super) fn disable_queued(&mut self, (name, item): (String, u32)) {
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

    fn reconfigure(&mut self) {
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

    fn trigger(&mut self, index: usize) {
        let job = self.rng.usize(..self.jobs.len());
        let name = &self.jobs[job].name;
        let request = format!("q{}", self.rng.u32(..));
        if self.rng.bool() {
            let parameter = self.rng.bool().then(|| format!("p{}", self.rng.u8(..3)));
            self.history
                .note(format!("operator: {name} is asked to run, with {parameter:?}"));
            let requests = vec![request];
            return self.observer.order(name, &Order { requests, parameter });
        }
        self.history
            .note(format!("operator: {name} is asked to run, by node {index}"));
        self.nodes[index].trigger(name, request);
    }

    pub(super) fn heal_after(&mut self, index: usize, time: Duration) {
        self.nodes[index].link_faults += 1;
        self.plan(time, Action::Heal(index));
    }

    fn heal(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        match node.condition {
            Condition::Crashed => return,
            // A registry cannot hear from a process that does not run.
            Condition::Paused => return self.plan(Duration::from_secs(1), Action::Heal(index)),
            Condition::Running | Condition::Stopping => {}
        }
        node.link_faults -= 1;
        node.link.heal();
        node.link.delay(node.latency);
        self.note(index, "network is whole");
    }

    pub(super) fn note(&self, node: usize, what: &str) {
        self.history.note(format!("node {node} {what}"));
    }

    pub(super) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.f64())
    }
}
