//! The seven fields of an expression: their names, bounds and words.
//!
//! Bounds and words are Quartz's: the days of the week count from Sunday as 1, and not from 0 as in the cron of Unix.

use std::fmt;

/// A field of a cron expression, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The first field, 0 to 59.
    Second,
    /// The second field, 0 to 59.
    Minute,
    /// The third field, 0 to 23.
    Hour,
    /// The fourth field, 1 to 31.
    DayOfMonth,
    /// The fifth field, 1 to 12 or JAN to DEC.
    Month,
    /// The sixth field, 1 (Sunday) to 7 (Saturday) or SUN to SAT.
    DayOfWeek,
    /// The seventh field, which may be left out.
    Year,
}

/// The years that a calendar of ours knows.
pub(super) const YEARS: (u16, u16) = (1970, 9999);

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl Field {
    /// All fields in the order in which they are written.
    pub const ALL: [Self; 7] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::DayOfMonth,
        Self::Month,
        Self::DayOfWeek,
        Self::Year,
    ];

    /// The smallest and the largest value.
    pub(super) fn bounds(self) -> (u16, u16) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (1, 7),
            Self::Year => YEARS,
        }
    }

    /// The largest step that makes sense.
    pub(super) fn max_step(self) -> u16 {
        self.bounds().1
    }

    /// The full English names of the values, from the smallest on; empty where values have no names.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }

    /// "minutes are 0 to 59".
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Second => "seconds are 0 to 59",
            Self::Minute => "minutes are 0 to 59",
            Self::Hour => "hours are 0 to 23",
            Self::DayOfMonth => "days of the month are 1 to 31",
            Self::Month => "months are 1 to 12 or JAN to DEC",
            Self::DayOfWeek => "days of the week are 1 (SUN) to 7 (SAT)",
            Self::Year => "years are 1970 to 9999",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
            Self::Year => "year",
        })
    }
}
