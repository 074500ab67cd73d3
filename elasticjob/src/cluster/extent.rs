//! Since when the items of a job are there, as far as this instance has seen it.
//!
//! An item accounts for the scheduled times since it exists, and no earlier ones. An item that the job had when this
//! instance was registered counts from then; one that came when the job grew counts from that moment. So a job that
//! gets more items does not report a gap from 1970 to now, and an instance that starts answers for no time before its
//! start unless the ledger says otherwise.

use jiff::Timestamp;

/// Since when each item is there for this instance: its scheduled times count from then.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    total: u32,
    /// When this instance was registered.
    registered_at: Timestamp,
    /// The first item that came when the job grew, and when that was. Both rise.
    grown: Vec<(u32, Timestamp)>,
}

impl Extent {
    /// Of a job that has `total` items when this instance is registered.
    pub(crate) fn new(total: u32, registered_at: Timestamp) -> Self {
        Self {
            total,
            registered_at,
            grown: Vec::new(),
        }
    }

    /// Records that the job has `total` items from now on.
    pub(crate) fn become_of(&mut self, total: u32, now: Timestamp) {
        // An item that goes is a new one when it comes again.
        self.grown.retain(|(first, _)| *first < total);
        if total > self.total {
            self.grown.push((self.total, now));
        }
        self.total = total;
    }

    /// Corrects the times after the clock was set: it was ahead when it gave a time later than now.
    pub(crate) fn look_again(&mut self, now: Timestamp) {
        self.registered_at = self.registered_at.min(now);
        self.grown.iter_mut().for_each(|(_, at)| *at = (*at).min(now));
    }

    /// Returns when this instance was registered, by its wall clock.
    pub(crate) fn registered_at(&self) -> Timestamp {
        self.registered_at
    }

    /// Returns when the item came; when this instance was registered, if it was there by then.
    pub(crate) fn since(&self, item: u32) -> Timestamp {
        self.grown_at(item).unwrap_or(self.registered_at)
    }

    /// Returns when the item came, if this instance was there before it.
    pub(crate) fn grown_at(&self, item: u32) -> Option<Timestamp> {
        let newest = self.grown.iter().rev().find(|(first, _)| *first <= item);
        newest.map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a second")
    }

    #[test]
    fn counts_new_items_from_when_they_came() {
        let mut extent = Extent::new(2, at(1));
        extent.become_of(4, at(2));
        extent.become_of(5, at(3));
        let since = |extent: &Extent| [0, 1, 2, 3, 4].map(|item| extent.since(item).as_second());
        assert_eq!(since(&extent), [1, 1, 2, 2, 3]);
        extent.become_of(3, at(4));
        extent.become_of(5, at(5));
        assert_eq!(since(&extent), [1, 1, 2, 5, 5], "items that went come again");
        extent.become_of(1, at(6));
        extent.become_of(5, at(7));
        assert_eq!(since(&extent), [1, 7, 7, 7, 7]);
        assert_eq!((extent.grown_at(0), extent.grown_at(1)), (None, Some(at(7))));
    }

    #[test]
    fn believes_no_clock_that_was_ahead() {
        let mut extent = Extent::new(2, at(100));
        extent.become_of(4, at(200));
        extent.look_again(at(150));
        assert_eq!((extent.since(0), extent.since(2)), (at(100), at(150)));
        extent.look_again(at(50));
        assert_eq!((extent.since(0), extent.since(2)), (at(50), at(50)));
        extent.look_again(at(60));
        assert_eq!((extent.registered_at(), extent.since(2)), (at(50), at(50)));
    }
}
