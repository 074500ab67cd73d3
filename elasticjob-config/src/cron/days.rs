//! Which days of a month an expression means.
//!
//! An expression names days in one of two ways, by the day of the month or by the day of the week, and never in both.
//! The days of one month are computed as a set at once, from two numbers: the weekday that the month begins with, and
//! its length. So finding the next day takes one look at a month, however few of its days match.

use jiff::civil::Date;

use super::set::Set;

/// 0, 7, 14, 21 and 28: added to the first such day of a month, all days of that weekday.
const EVERY_SEVENTH: Set = Set::from_bits(0x1020_4081);

/// The day-of-month or the day-of-week field, whichever is not `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Days {
    /// Days by number: `1,15`.
    OfMonth(Set),
    /// `L` and `L-3`: so many days before the last day of the month.
    Last { before: u8 },
    /// `15W`: the weekday nearest to a day, in the same month.
    NearestWeekday { day: u8 },
    /// `LW` and `L-3W`: the weekday nearest to a day that is counted from the end.
    LastNearestWeekday { before: u8 },
    /// Days of the week, 1 is Sunday: `MON-FRI`.
    OfWeek(Set),
    /// `6L`: the last such day of the month.
    LastOfWeek { weekday: u8 },
    /// `6#3`: the third such day of the month, if there is one.
    NthOfWeek { weekday: u8, nth: u8 },
}

impl Days {
    /// The days that match in the month that starts with `first`.
    pub(super) fn in_month(&self, first: Date) -> Set {
        let month = Month::starting_with(first);
        match *self {
            Self::OfMonth(days) => days.and(month.all()),
            Self::Last { before } => month.day_before_end(before).map_or(Set::default(), Set::single),
            Self::NearestWeekday { day } => month.nearest_weekday(day),
            Self::LastNearestWeekday { before } => month
                .day_before_end(before)
                .map_or(Set::default(), |day| month.nearest_weekday(day)),
            Self::OfWeek(weekdays) => month.days_of_week(weekdays),
            Self::LastOfWeek { weekday } => month
                .days_of_week(Set::single(weekday))
                .last()
                .map_or(Set::default(), Set::single),
            Self::NthOfWeek { weekday, nth } => month
                .days_of_week(Set::single(weekday))
                .iter()
                .nth(usize::from(nth) - 1)
                .map_or(Set::default(), Set::single),
        }
    }

    /// Whether this is every day of every month.
    pub(super) fn is_every(&self) -> bool {
        match *self {
            Self::OfMonth(days) => days.len() == 31,
            Self::OfWeek(weekdays) => weekdays.len() == 7,
            _ => false,
        }
    }
}

/// What matters of a month: the weekday that it begins with, and its length.
#[derive(Clone, Copy)]
struct Month {
    /// 0 is Sunday.
    first_weekday: u8,
    length: u8,
}

impl Month {
    /// Returns the month of a date that is its first day.
    fn starting_with(first: Date) -> Self {
        Self {
            first_weekday: first.weekday().to_sunday_zero_offset() as u8,
            length: first.days_in_month() as u8,
        }
    }

    /// Returns all days of the month.
    fn all(self) -> Set {
        Set::range(1, self.length)
    }

    /// Returns the day that many days before the last one, if the month is long enough.
    fn day_before_end(self, before: u8) -> Option<u8> {
        self.length.checked_sub(before).filter(|&day| day >= 1)
    }

    /// The weekday of a day of this month, 0 is Sunday. Days beyond the month's end count on into the next.
    fn weekday(self, day: u8) -> u8 {
        (self.first_weekday + day - 1) % 7
    }

    /// Saturday goes back to Friday and Sunday on to Monday, but never out of the month.
    ///
    /// A `day` beyond the month's end matches when it moves back into the month: 31W in April
    /// is Friday the 30th when the 31st would be a Saturday. That is what Quartz does.
    fn nearest_weekday(self, day: u8) -> Set {
        let nearest = match self.weekday(day) {
            6 if day == 1 => day + 2,
            6 => day - 1,
            0 if day == self.length => day - 2,
            0 => day + 1,
            _ => day,
        };
        Set::single(nearest).and(self.all())
    }

    /// Returns the days of the month that fall on one of these weekdays.
    fn days_of_week(self, weekdays: Set) -> Set {
        let mut days = Set::default();
        for weekday in weekdays.iter() {
            // Members are 1 for Sunday; the first such day of the month is 1 to 7.
            let first = (weekday - 1 + 7 - self.first_weekday) % 7 + 1;
            days = days.or(EVERY_SEVENTH.shift(first));
        }
        days.and(self.all())
    }
}
