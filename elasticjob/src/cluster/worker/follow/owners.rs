//! The owners of all items, if not all items are watched.
//!
//! A leader of ours writes into the epoch which items it gave to which instance. So if one of two hundred instances dies, not each of
//! the others reads a thousand items. A Java leader writes nothing there, and an instance that missed an epoch does not know: then it
//! reads all owners.
//!
//! Epochs are counted by the version of their node. What an epoch says is relative to the assignment before it. So it
//! may be applied only by an instance that knew all owners at that version: one version in between that it has not
//! seen, and it reads all.

use crate::cluster::instance::InstanceId;
use crate::cluster::view::StoredEpoch;

/// What is known of the owners of all items.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// The epoch up to which all owners have been read, or are about to be.
    known_at: Option<i32>,
    /// The items were shared out, and it was not yet looked which.
    is_due: bool,
}

/// What an epoch says of owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// What is known already.
    Nothing,
    /// These items have other owners now.
    Moved(Vec<(u32, Option<InstanceId>)>),
    /// Not enough: the owners of all items are to be read.
    TooLittle,
}

impl Owners {
    /// Events may have been missed, or were not asked for: nothing is known.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes in that the items were shared out. The epoch is to be read next.
    pub(super) fn shared_out(&mut self) {
        self.is_due = true;
    }

    /// The epoch was read. `is_alone` says that there are no members but ours, who keep epochs.
    pub(super) fn epoch_read(&mut self, epoch: Option<&StoredEpoch>, is_alone: bool) -> Moves {
        if is_alone && epoch.is_some_and(StoredEpoch::is_unfinished) {
            // The last of its parts is about to follow, and has them all.
            return Moves::Nothing;
        }
        let known_at = std::mem::replace(&mut self.known_at, epoch.map(|epoch| epoch.version));
        let is_due = std::mem::take(&mut self.is_due);
        if known_at == self.known_at {
            // Shared out, and not written here: not by an instance of ours.
            return if is_due { Moves::TooLittle } else { Moves::Nothing };
        }
        let moved = epoch.filter(|_| is_alone).and_then(|epoch| {
            let basis = epoch.basis.as_ref()?;
            // Of the assignment before, or, beside processes that know of no parts, of one of its parts.
            let before = epoch.version.checked_sub_unsigned(basis.parts())?..epoch.version;
            before.contains(&known_at?).then(|| basis.moved())?
        });
        moved.map_or(Moves::TooLittle, Moves::Moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(version: i32, basis: &str) -> StoredEpoch {
        StoredEpoch {
            basis: serde_json::from_str(basis).ok(),
            version,
        }
    }

    const MOVED: &str = r#"{"instances":["a@-@1","b@-@2"],"total":9,"strategy":"s","moved":[[3,1],[7,null]]}"#;
    const UNKNOWN_OWNER: &str = r#"{"instances":["a@-@1"],"total":9,"strategy":"s","moved":[[3,1]]}"#;
    const NOT_SAID: &str = r#"{"instances":[],"total":9,"strategy":"s"}"#;

    fn known_at(version: i32) -> Owners {
        let mut owners = Owners::default();
        assert_eq!(owners.epoch_read(Some(&epoch(version, MOVED)), true), Moves::TooLittle);
        owners.shared_out();
        owners
    }

    #[test]
    fn what_the_next_epoch_tells_should_be_enough() {
        let moved = Moves::Moved(vec![(3, InstanceId::parse("b@-@2")), (7, None)]);
        let mut owners = known_at(4);
        assert_eq!(owners.epoch_read(Some(&epoch(5, MOVED)), true), moved);
        assert_eq!(
            owners.epoch_read(Some(&epoch(5, MOVED)), true),
            Moves::Nothing,
            "read twice"
        );
        assert_eq!(
            owners.epoch_read(Some(&epoch(6, MOVED)), true),
            moved,
            "with nothing else to tell"
        );
    }

    #[test]
    fn the_last_of_several_parts_should_tell_of_all() {
        let moved = Moves::Moved(vec![(3, InstanceId::parse("b@-@2")), (7, None)]);
        let three = MOVED.replace(r#""total""#, r#""parts":3,"total""#);
        let unfinished = r#"{"instances":[],"total":0,"strategy":""}"#;
        let mut owners = known_at(4);
        assert_eq!(owners.epoch_read(Some(&epoch(5, unfinished)), true), Moves::Nothing);
        assert_eq!(owners.epoch_read(Some(&epoch(6, unfinished)), true), Moves::Nothing);
        assert_eq!(owners.epoch_read(Some(&epoch(7, &three)), true), moved);
        let last = |version, known| known_at(known).epoch_read(Some(&epoch(version, &three)), true);
        assert_eq!(last(7, 4), moved, "none of the others was read");
        assert_eq!(last(7, 3), Moves::TooLittle, "another leader began before");
        let mut newcomer = Owners::default();
        assert_eq!(newcomer.epoch_read(Some(&epoch(6, unfinished)), true), Moves::Nothing);
        assert_eq!(newcomer.epoch_read(Some(&epoch(7, &three)), true), Moves::TooLittle);
    }

    #[test]
    fn all_owners_should_be_read_where_it_is_not_known_which_have_changed() {
        let all = |version, basis, is_alone| known_at(4).epoch_read(Some(&epoch(version, basis)), is_alone);
        assert_eq!(all(6, MOVED, true), Moves::TooLittle, "an epoch was missed");
        assert_eq!(
            all(3, MOVED, true),
            Moves::TooLittle,
            "the job was removed and made again"
        );
        assert_eq!(all(5, NOT_SAID, true), Moves::TooLittle, "too many");
        assert_eq!(
            all(5, UNKNOWN_OWNER, true),
            Moves::TooLittle,
            "no instance of that number"
        );
        assert_eq!(all(5, "?", true), Moves::TooLittle, "not understood");
        assert_eq!(
            all(5, MOVED, false),
            Moves::TooLittle,
            "a Java member may have led meanwhile"
        );
        assert_eq!(
            all(4, MOVED, true),
            Moves::TooLittle,
            "shared out, and not by one of ours"
        );
        assert_eq!(known_at(4).epoch_read(None, true), Moves::TooLittle, "it is gone");
        let mut owners = known_at(4);
        owners.forget();
        assert_eq!(owners.epoch_read(Some(&epoch(5, MOVED)), true), Moves::TooLittle);
    }
}
