//! When a firing's listeners are told of it: once its items are claimed, and once all have ended.
//!
//! Until they were told of the begin, the claimed items wait; until they were told of the end, the firing goes on.

use crate::cluster::layout::Moment;

use super::{Claiming, Firings, Occasion, OpenFiring};

/// Where the firing under way stands with the job's listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListenerPhase {
    /// They are to be told of this next,
    Due(Moment),
    /// or are being told.
    Calling(Moment),
    /// There are none, or they have been told of everything.
    #[default]
    Over,
}

impl Firings {
    /// Whether the job has listeners, from the next firing on.
    pub(crate) fn listened_to(&mut self, is_listened_to: bool) {
        self.is_listened_to = is_listened_to;
    }

    /// Returns where a firing begins.
    pub(super) fn first_phase(&self) -> ListenerPhase {
        match self.is_listened_to {
            true => ListenerPhase::Due(Moment::Started),
            false => ListenerPhase::Over,
        }
    }

    /// Where the firing under way stands once its make-up run follows: its listeners are told at the end of both. If they
    /// heard nothing of it, since it ran no item here, the make-up run begins for them.
    pub(super) fn phase_of_make_up(&self) -> ListenerPhase {
        let called = self
            .open
            .iter()
            .map(|firing| firing.phase)
            .find(|phase| *phase != ListenerPhase::Over);
        called.unwrap_or_else(|| self.first_phase())
    }

    /// Whether what is claimed for the firing under way is to wait for listeners.
    pub(crate) fn is_beginning(&self) -> bool {
        let is_beginning = |firing: &OpenFiring| {
            matches!(
                firing.phase,
                ListenerPhase::Due(Moment::Started) | ListenerPhase::Calling(Moment::Started)
            )
        };
        self.open.iter().any(is_beginning)
    }

    /// Returns what the listeners are to be told now, and of what. If no claimed item waits for them, `is_held` is false: all
    /// that was claimed had been given away, if anything was, and they hear nothing of the firing.
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

    /// They were told. A firing that was given up meanwhile has no end to be told of.
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
