//! When a firing's listeners are told of it: once its items are claimed, and once all have ended.
//!
//! Until they were told of the begin, the claimed items wait; until they were told of the end, the firing goes on.

use crate::cluster::layout::Moment;

use super::{Claiming, Firings, Occasion};

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

    /// Where a firing begins.
    pub(super) fn listening(&self) -> ListenerPhase {
        match self.is_listened_to {
            true => ListenerPhase::Due(Moment::Started),
            false => ListenerPhase::Over,
        }
    }

    /// Where the firing under way stands once its make-up run follows: its listeners are told at the end of both. If they
    /// heard nothing of it, since it ran no item here, the make-up run begins for them.
    pub(super) fn listening_of_make_up(&self) -> ListenerPhase {
        match self.current.as_ref().map(|current| current.listening) {
            None | Some(ListenerPhase::Over) => self.listening(),
            Some(listening) => listening,
        }
    }

    /// Whether what is claimed for the firing under way is to wait for listeners.
    pub(crate) fn is_beginning(&self) -> bool {
        let listening = self.current.as_ref().map(|current| current.listening);
        matches!(
            listening,
            Some(ListenerPhase::Due(Moment::Started) | ListenerPhase::Calling(Moment::Started))
        )
    }

    /// Returns what the listeners are to be told now, and of what. If no claimed item waits for them, `is_held` is false: all
    /// that was claimed had been given away, if anything was, and they hear nothing of the firing.
    pub(crate) fn next_call(&mut self, is_held: bool) -> Option<(Moment, Occasion)> {
        let current = self.current.as_mut()?;
        let ListenerPhase::Due(moment) = current.listening else {
            return None;
        };
        let is_claimed = matches!(self.claiming, Claiming::Idle) && current.rest.is_none();
        let is_there = match moment {
            Moment::Started => is_claimed,
            Moment::Completed => is_claimed && current.open.is_empty(),
        };
        if !is_there {
            return None;
        }
        if moment == Moment::Started && !is_held {
            current.listening = ListenerPhase::Over;
            return None;
        }
        current.listening = ListenerPhase::Calling(moment);
        Some((moment, current.occasion.clone()))
    }

    /// They were told. A firing that was given up meanwhile has no end to be told of.
    pub(crate) fn listeners_called(&mut self, moment: Moment, is_given_up: bool) {
        if let Some(current) = &mut self.current
            && current.listening == ListenerPhase::Calling(moment)
        {
            current.listening = match moment {
                Moment::Started if !is_given_up => ListenerPhase::Due(Moment::Completed),
                _ => ListenerPhase::Over,
            };
        }
    }
}
