//! What some seeds dwell on: faults that have to come in one order and at one moment, which chance alone brings about once
//! in thousands of seeds.

use crate::registry::Step;
use crate::registry::memory::Direction;

use super::faults::Action;
use super::world::World;

/// Of so many seeds one dwells on a fault.
const SHARE_OF: u8 = 32;

/// What a seed dwells on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    /// All faults are as likely as they are.
    Nothing,
    /// A job is removed and begun again while an instance of the former one is not heard.
    Unheard,
    /// The claims of make-up runs are refused.
    MakeUps,
}

impl Focus {
    /// Draws what a seed dwells on.
    pub(super) fn draw(seed: u64) -> Self {
        // Drawn from a source of its own, so that the other seeds stay what they are.
        match fastrand::Rng::with_seed(!seed.rotate_left(32)).u8(..SHARE_OF) {
            0 => Self::Unheard,
            1 => Self::MakeUps,
            _ => Self::Nothing,
        }
    }
}

impl World {
    /// Causes a fault that this seed dwells on, every other time. Returns whether it did.
    pub(super) fn dwell(&mut self, running: &[usize]) -> bool {
        match self.focus {
            Focus::Unheard => self.rng.bool() && self.remove_unheard(running),
            Focus::MakeUps => self.rng.u8(..8) > 0 && self.overtake_make_ups(running),
            Focus::Nothing => false,
        }
    }

    /// Has each instance overtaken when it next records the last ends of a firing and claims a make-up run in one transaction, as by
    /// an operator who pauses the job and ends the pause at once.
    fn overtake_make_ups(&mut self, running: &[usize]) -> bool {
        for index in running.iter().copied() {
            self.note(index, "is overtaken at its next claim of a make-up run");
            self.nodes[index].link.overtake_next_write_that(is_make_up);
        }
        true
    }

    /// Holds up the requests of an instance, and removes its job, which another process begins again: what the instance was
    /// writing arrives at nodes of the same names and, as the job is young, of the same versions.
    fn remove_unheard(&mut self, running: &[usize]) -> bool {
        let is_heard = |index: &&usize| self.nodes[**index].link_faults == 0;
        let heard: Vec<usize> = running.iter().filter(is_heard).copied().collect();
        let job = self.rng.usize(..self.jobs.len());
        if heard.is_empty() || self.jobs[job].drawn.is_none() {
            return false;
        }
        let index = heard[self.rng.usize(..heard.len())];
        let time = self.session_timeout.mul_f64(0.3 + 0.6 * self.rng.f64());
        self.note(
            index,
            &format!("Requests are held up for {time:?}, and a job is removed"),
        );
        self.nodes[index].link.stall(Direction::Requests);
        self.heal_after(index, time);
        let removal = self.millis(300..2_000);
        self.plan(removal, Action::RemoveRest { job });
        let ip = format!("10.0.0.{}", self.rng.u8(1..=6));
        let start = removal + self.millis(0..500);
        self.plan(start, Action::Start { ip });
        true
    }
}

/// Whether these steps remove the mark of an item and make it again: they record the end of a run and claim the one that makes up for
/// what it missed.
fn is_make_up(steps: &[Step]) -> bool {
    let is_made_again = |path: &str| {
        let is_made = |step: &Step| matches!(step, Step::Create { .. }) && step.path() == path;
        path.ends_with("/running") && steps.iter().any(is_made)
    };
    let is_deletion = |step: &&Step| matches!(step, Step::Delete { .. });
    steps.iter().filter(is_deletion).any(|step| is_made_again(step.path()))
}
