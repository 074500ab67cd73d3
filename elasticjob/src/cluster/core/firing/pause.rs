//! What a pause of the whole job does to the occasions that wait.
//!
//! Scheduled times pass during a pause, and the first claim after it accounts for all of them in one gap, with the
//! pause as the reason. Triggers wait: each is for a run of its own, and an operator who triggers a paused job expects
//! the run after the pause. Runs that have begun go on to their ends, but none of them has another attempt.

use jiff::Timestamp;

use crate::cluster::core::context::Context;
use crate::cluster::pause::PAUSED;

use super::sources::Origin;
use super::{Claim, ClaimOutcome, FiringId, Firings};

/// What is known of pauses here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pause {
    is_on: bool,
    /// When the job was last seen to be paused.
    until: Option<Timestamp>,
}

impl Pause {
    /// Looks again: the clock was set, and may have been ahead.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        self.until = self.until.map(|until| until.min(now));
    }

    /// When the job was last seen to be paused: the times before it may have passed for that reason.
    pub(super) fn until(self) -> Option<Timestamp> {
        self.until
    }
}

impl Firings {
    /// Drops the scheduled times that have come, for as long as the job is paused. The next claim accounts for them, all in
    /// one. Triggers wait: each is for a run of its own.
    pub(super) fn follow_pause(&mut self, cx: &Context<'_>) {
        let was_on = std::mem::replace(&mut self.pause.is_on, cx.view.is_paused());
        let Pause { is_on, .. } = self.pause;
        if is_on || was_on {
            self.pause.until = Some(cx.now);
        }
        if is_on {
            self.sources.times.pause();
        }
        if was_on && !is_on {
            // A job that catches up makes up what passed during a pause as well.
            self.sources.times.must_look_back();
        }
    }

    /// The job was paused when the claim came in: none of its items run, nor what was still to be claimed with them.
    pub(super) fn refused_by_pause(&mut self, claim: &Claim) -> ClaimOutcome {
        let mut refused: Vec<u32> = claim.items().collect();
        let firing = claim.firing().and_then(|id| self.open.get_mut(id));
        let rest = firing.and_then(|firing| firing.rest.take());
        refused.extend(rest.iter().flat_map(Claim::items));
        refused.iter().for_each(|item| self.open.close(*item));
        let is_in_vain = |id: &FiringId| self.open.get(*id).is_some_and(|firing| !firing.is_begun);
        let in_vain = claim.firing().filter(is_in_vain);
        // A scheduled time passes during a pause. A trigger is never carried out by running nothing.
        if let Some(firing) = in_vain.and_then(|id| self.open.take(id))
            && firing.origin != Origin::Times
        {
            self.sources.source(firing.origin).put_back(firing.occasion);
        }
        ClaimOutcome {
            refused: refused.into_iter().map(|item| (item, PAUSED)).collect(),
            ..ClaimOutcome::default()
        }
    }
}
