//! What can happen to a cluster, and what makes up for it later.
//!
//! Each fault is drawn from the seed, and one that lasts plans its own end: a link that is cut heals, a machine that stands
//! still goes on, what an operator has switched off is switched on again. So after the last fault the cluster has all that it
//! needs to recover, and whether it does is checked.
//!
//! How often a fault is drawn is its share in one list. To change a share changes what every seed does.

mod network;
mod operator;
mod process;

use std::time::Duration;

use crate::registry::memory::Link;

use super::node::Condition;
use super::world::World;

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
    /// Returns whether the link, which is the node's, was cut.
    pub(super) fn is_sprung(&self, link: &Link) -> bool {
        link.cuts_at_writes() != self.cuts
    }

    /// Returns the node whose link is to be cut.
    pub(super) fn node(&self) -> usize {
        self.node
    }
}

/// Something that is done later, to the node of this index.
///
/// Its index stays that of the same node: one that has ended stays in the list.
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

    /// Writes down what happens to a node.
    pub(super) fn note(&self, node: usize, what: &str) {
        self.history.note(format!("node {node} {what}"));
    }

    /// Draws a time of so many milliseconds.
    pub(super) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    /// Draws a time that is at most so long.
    pub(super) fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.f64())
    }
}
