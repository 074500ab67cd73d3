//! Where a reader of changes stands. Pure.
//!
//! Changes are numbered without gaps, in the order of the transactions that made them. So a reader that knows the last
//! number that it has handed out can tell whether what it reads is all that there is: it counts. Changes are kept for a
//! while only. A reader that finds the first of them gone, or the counter behind its own number as after a restored
//! backup, has its watches read everything again.

/// Beyond so many changes a reader reads none of them, since its watches could not hold them.
const MOST: i64 = 32 * 1024;

/// The number of the last change that was handed out.
///
/// It moves only with a transaction that came to its end; after one that did not, the same changes are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor(i64);

/// What brings a reader to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is there.
    Here,
    /// The changes with numbers beyond this one.
    After(i64),
    /// There is none: so many changes that they are not worth it, or a counter that was set back.
    Lost,
}

impl Cursor {
    /// Returns the cursor of a reader that knows everything up to this number.
    pub(super) fn at(counter: i64) -> Self {
        Self(counter)
    }

    /// Returns the number, for a database that compares it itself.
    #[cfg(feature = "registry-postgres")]
    pub(super) fn number(self) -> i64 {
        self.0
    }

    /// Returns what brings the reader to `counter`, which is the number of the last change that there is.
    pub(super) fn way_to(self, counter: i64) -> Way {
        match counter.checked_sub(self.0) {
            Some(0) => Way::Here,
            Some(1..=MOST) => Way::After(self.0),
            _ => Way::Lost,
        }
    }

    /// Whether these are the numbers of all changes from here to `counter`, in order. If not, some are gone.
    pub(super) fn is_whole(self, counter: i64, mut numbers: impl Iterator<Item = i64>) -> bool {
        counter >= self.0
            && (self.0 + 1..=counter).all(|expected| numbers.next() == Some(expected))
            && numbers.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod a_reader {
        use super::*;

        #[test]
        fn reads_what_comes_after_its_number() {
            assert_eq!(Cursor::at(7).way_to(7), Way::Here);
            assert_eq!(Cursor::at(7).way_to(9), Way::After(7));
        }

        #[test]
        fn is_lost_if_the_counter_was_set_back_or_is_far_ahead() {
            assert_eq!(Cursor::at(7).way_to(6), Way::Lost);
            assert_eq!(Cursor::at(0).way_to(MOST), Way::After(0));
            assert_eq!(Cursor::at(0).way_to(MOST + 1), Way::Lost);
            assert_eq!(Cursor::at(i64::MIN).way_to(i64::MAX), Way::Lost);
        }

        #[test]
        fn finds_each_gap() {
            let is_whole = |numbers: &[i64]| Cursor::at(7).is_whole(10, numbers.iter().copied());
            assert!(is_whole(&[8, 9, 10]));
            assert!(!Cursor::at(7).is_whole(6, std::iter::empty()), "set back");
            for gap in [&[][..], &[9, 10], &[8, 10], &[8, 9], &[8, 9, 10, 11], &[8, 10, 9]] {
                assert!(!is_whole(gap), "{gap:?}");
            }
        }
    }
}
