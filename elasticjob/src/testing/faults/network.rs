//! What happens to connections: they are cut, slow or silent, lose an answer, and sessions end.
//!
//! Faults overlap. A node counts those of its link, so that a fault which needs a sound link is left out meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use crate::registry::memory::{Direction, Fate};
use crate::testing::node::Condition;
use crate::testing::world::World;

use super::{Action, Then, Trap};

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

impl World {
    /// Cuts the link, for up to twice the session timeout: the session may outlive that or not.
    pub(super) fn cut(&mut self, index: usize) {
        let time = self.up_to(self.session_timeout * 2);
        self.note(index, &format!("is cut off for {time:?}"));
        self.nodes[index].link.cut();
        self.heal_after(index, time);
    }

    /// Cuts the link at the next write, before or after the registry has executed it: the client cannot tell which.
    pub(super) fn lose_an_answer(&mut self, index: usize) {
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
    pub(super) fn cut_at_a_step(&mut self, index: usize) {
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
    pub(in crate::testing) fn spring(&mut self, Trap { node, then, .. }: Trap) {
        match then {
            Then::Crash => self.crash(node),
            Then::Heal(time) => self.heal_after(node, time),
        }
    }

    /// Holds up all messages of one direction, while the other goes on: each side takes the other for dead or alive on
    /// its own.
    pub(super) fn stall(&mut self, index: usize) {
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

    /// Has every answer take up to a second and a half for some time.
    pub(super) fn slow_down(&mut self, index: usize) {
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

    /// Has the server of this node fall behind the others: its reads are of the past until it catches up.
    pub(super) fn lag(&mut self, index: usize) {
        self.note(index, "server falls behind");
        self.nodes[index].link.lag();
        let time = self.up_to(self.session_timeout);
        self.plan(time, Action::CatchUp(index));
    }

    /// Cuts the server of this node off from the others: it answers reads, and nothing that needs the others.
    pub(super) fn isolate(&mut self, index: usize) {
        let time = self.up_to(self.session_timeout * 3 / 2);
        self.note(index, &format!("server is cut off from the others for {time:?}"));
        self.nodes[index].link.isolate();
        self.heal_after(index, time);
    }

    /// The next session is opened on a server that is behind.
    pub(super) fn expire_while_behind(&mut self, index: usize) {
        self.lag(index);
        self.expire(index);
    }

    /// An operator's tool, or a fault of the registry, ends the session of a connected client. The client has to learn it at
    /// once, because its fence cannot know it.
    pub(super) fn expire(&mut self, index: usize) {
        if self.nodes[index].link_faults == 0 {
            self.note(index, "session is ended by the registry");
            self.nodes[index].expired_at = Some(Instant::now());
            self.nodes[index].link.expire();
        }
    }

    pub(in crate::testing) fn heal_after(&mut self, index: usize, time: Duration) {
        self.nodes[index].link_faults += 1;
        self.plan(time, Action::Heal(index));
    }

    /// Makes a link whole. The link of a machine that stands still is healed after it goes on.
    pub(super) fn heal(&mut self, index: usize) {
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

    /// Has the registry delete empty containers, as it does from time to time.
    pub(super) fn collect_containers(&mut self) {
        let count = self.registry.collect_containers();
        self.history.note(format!("{count} containers are collected"));
    }
}
