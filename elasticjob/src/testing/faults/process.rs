//! What happens to processes: they die, stop, stand still and go on, and their clocks are wrong.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::registry::memory::Direction;
use crate::testing::node::Condition;
use crate::testing::world::World;

use super::Action;

impl World {
    pub(in crate::testing) fn crash(&mut self, node: usize) {
        self.note(node, "crashes");
        self.nodes[node].crash();
        self.restart_later(node);
    }

    /// Everybody is gone for many periods, and one comes back.
    pub(super) fn crash_all(&mut self, running: &[usize]) {
        for node in running.iter().copied() {
            self.note(node, "crashes with all others");
            self.nodes[node].crash();
        }
        let ip = self.nodes[running[0]].ip.clone();
        let after = self.session_timeout + self.up_to(Duration::from_secs(40));
        self.plan(after, Action::Start { ip });
    }

    /// Stops a process in good order, with a grace period that may be too short for what runs.
    pub(super) fn stop(&mut self, node: usize) {
        let grace = self.millis(0..5_000);
        self.note(node, &format!("is stopped within {grace:?}"));
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
    pub(super) fn join(&mut self) {
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
    pub(super) fn panic(&mut self, index: usize) {
        let step = self.rng.u32(1..80);
        self.note(index, &format!("panics at step {step} from now"));
        self.history.panics(index);
        self.nodes[index].panic_at(step);
    }

    /// Has a machine stand still, for less or more than its session lasts. When it goes on, the network may not hear it
    /// for a while.
    pub(super) fn pause(&mut self, index: usize) {
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

    pub(super) fn fall_silent(&mut self, index: usize) {
        if self.nodes[index].condition == Condition::Running {
            let time = self.session_timeout.mul_f64(0.3 + 0.34 * self.rng.f64());
            self.freeze(index, time);
            self.plan(time, Action::ResumeUnheard(index, self.session_timeout));
        }
    }

    pub(super) fn freeze(&mut self, index: usize, time: Duration) {
        self.note(index, &format!("is paused for {time:?}"));
        let node = &mut self.nodes[index];
        node.condition = Condition::Paused;
        node.machine.pause();
        node.link.freeze();
        self.history.freeze(index);
    }

    pub(super) fn resume(&mut self, index: usize) {
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

    pub(super) fn resume_unheard(&mut self, index: usize, time: Duration) {
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

    /// Stops a process and starts it again, as after an operator took a job from it.
    pub(super) fn restart(&mut self, index: usize) {
        if self.nodes[index].condition == Condition::Running {
            self.note(index, "is started again");
            self.nodes[index].stop(Duration::ZERO);
            let ip = self.nodes[index].ip.clone();
            self.plan(Duration::from_secs(1), Action::Start { ip });
        }
    }

    /// Sets the clock of a machine wrong, by seconds or by a day. The process notices some time later, and the clock is
    /// set right in the end.
    pub(super) fn set_clock(&mut self, index: usize) {
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
}
