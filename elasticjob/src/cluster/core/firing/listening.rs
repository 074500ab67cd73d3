//! When the listeners of a firing are called: once its items are claimed, and once all have ended.
//!
//! The claimed items wait for the first call, and the firing goes on until the second has returned.

use crate::cluster::layout::Moment;

use super::{Claiming, Firings, Occasion, OpenFiring};

/// Which call of the listeners a firing has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListenerPhase {
    /// This call is next.
    Due(Moment),
    /// This call is under way.
    Calling(Moment),
    /// There is no call to come.
    #[default]
    Over,
}

impl Firings {
    /// Takes in whether the job has listeners, from the next firing on.
    pub(crate) fn listened_to(&mut self, is_listened_to: bool) {
        self.is_listened_to = is_listened_to;
    }

    /// Returns the first call of a firing.
    pub(super) fn first_phase(&self) -> ListenerPhase {
        if self.is_listened_to {
            ListenerPhase::Due(Moment::Started)
        } else {
            ListenerPhase::Over
        }
    }

    /// Returns the next call of a make-up run: the listeners are called after both it and the firing that it follows. If they
    /// were not called before, since no item ran here, the make-up run begins for them.
    pub(super) fn phase_of_make_up(&self) -> ListenerPhase {
        let called = self
            .open
            .iter()
            .map(|firing| firing.phase)
            .find(|phase| *phase != ListenerPhase::Over);
        called.unwrap_or_else(|| self.first_phase())
    }

    /// Returns whether claimed items wait for the first call of listeners.
    pub(crate) fn is_beginning(&self) -> bool {
        let is_beginning = |firing: &OpenFiring| {
            matches!(
                firing.phase,
                ListenerPhase::Due(Moment::Started) | ListenerPhase::Calling(Moment::Started)
            )
        };
        self.open.iter().any(is_beginning)
    }

    /// Returns the call that is due, and for what. `is_held` says whether claimed items wait for it: if all that was claimed had
    /// been given away, the listeners are not called for the firing.
    pub(crate) fn next_call(&mut self, is_held: bool) -> Option<(Moment, Occasion)> {
        let is_due = |firing: &&mut OpenFiring| matches!(firing.phase, ListenerPhase::Due(_));
        let firing = self.open.iter_mut().find(is_due)?;
        let ListenerPhase::Due(moment) = firing.phase else {
            return None;
        };
        let is_claimed = matches!(self.claiming, Claiming::Idle) && firing.rest.is_none();
        let is_there = match moment {
            Moment::Started => is_claimed,
            Moment::Completed => is_claimed && firing.items.is_empty(),
        };
        if !is_there {
            return None;
        }
        if moment == Moment::Started && !is_held {
            firing.phase = ListenerPhase::Over;
            return None;
        }
        firing.phase = ListenerPhase::Calling(moment);
        Some((moment, firing.occasion.clone()))
    }

    /// Takes in that the listeners were called. There is no second call for a firing that was given up.
    pub(crate) fn listeners_called(&mut self, moment: Moment, is_given_up: bool) {
        let is_called = |firing: &&mut OpenFiring| firing.phase == ListenerPhase::Calling(moment);
        if let Some(firing) = self.open.iter_mut().find(is_called) {
            firing.phase = match moment {
                Moment::Started if !is_given_up => ListenerPhase::Due(Moment::Completed),
                _ => ListenerPhase::Over,
            };
        }
    }
}
